-- What rules with a chance drew, for the audit: one row a draw, won or not.
-- Cold: written with the event that drew, read by lists.

CREATE TABLE draw (
    program BIGINT NOT NULL,
    campaign TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    member BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    number BIGINT NOT NULL,
    rule BIGINT NOT NULL,
    chance TEXT COLLATE "C" NOT NULL,
    drawn BIGINT NOT NULL,
    won BIGINT NOT NULL,
    PRIMARY KEY (program, campaign, at, member, seq, number)
);
