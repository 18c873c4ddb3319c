-- What rules with a chance drew, for the audit: one row a draw, won or not. And where members stand on leaderboards, as
-- last worked out; that may be thrown away and made again.
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

CREATE TABLE place (
    program INTEGER NOT NULL,
    board TEXT NOT NULL,
    period TEXT NOT NULL,
    place INTEGER NOT NULL,
    member BLOB NOT NULL,
    score TEXT NOT NULL,
    reached_at INTEGER NOT NULL,
    PRIMARY KEY (program, board, period, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX place_member ON place (program, board, period, member);
