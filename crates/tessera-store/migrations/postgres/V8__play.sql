-- What rules with a chance drew, for the audit: one row a draw, won or not. And where members stand on leaderboards, as
-- last worked out; that may be thrown away and made again.
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

CREATE TABLE place (
    program BIGINT NOT NULL,
    board TEXT COLLATE "C" NOT NULL,
    period TEXT COLLATE "C" NOT NULL,
    place BIGINT NOT NULL,
    member BYTEA NOT NULL,
    score TEXT COLLATE "C" NOT NULL,
    reached_at BIGINT NOT NULL,
    PRIMARY KEY (program, board, period, place)
);

CREATE INDEX place_member ON place (program, board, period, member);
