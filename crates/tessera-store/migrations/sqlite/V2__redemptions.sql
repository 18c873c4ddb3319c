-- What members redeemed, and how far each redemption has come. Its key is that of the event that made it.
-- Hot: read by whatever names a redemption, written over by the member's own writer only.

CREATE TABLE redemption (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    seq INTEGER NOT NULL,
    progress TEXT NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
) STRICT, WITHOUT ROWID;
