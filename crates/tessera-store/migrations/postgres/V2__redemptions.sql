-- What members redeemed, and how far each redemption has come. Its key is that of the event that made it.
-- Hot: read by whatever names a redemption, written over by the member's own writer only.

CREATE TABLE redemption (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    progress TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
) WITH (fillfactor = 85); -- room to update a redemption in place
