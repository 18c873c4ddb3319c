-- What rules with a chance drew, for the audit: one row a draw, won or not.
-- Cold: written with the event that drew, read by lists.

CREATE TABLE draw (
    program INTEGER NOT NULL,
    campaign TEXT NOT NULL,
    at INTEGER NOT NULL,
    member BLOB NOT NULL,
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    chance TEXT NOT NULL,
    drawn INTEGER NOT NULL,
    won INTEGER NOT NULL,
    PRIMARY KEY (program, campaign, at, member, seq, number)
) STRICT, WITHOUT ROWID;
