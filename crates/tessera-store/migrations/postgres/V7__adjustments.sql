-- What role a key has, for the limits of the document; none for a key that is a machine's.
ALTER TABLE api_key ADD COLUMN role TEXT COLLATE "C";

-- Adjustments that wait, or waited, for a second person, and those that came with a note. Cold: what is applied is an
-- event of its member like any other.
CREATE TABLE adjustment (
    program BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    member BYTEA NOT NULL,
    state BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C",
    undoes BIGINT,
    asked_by TEXT COLLATE "C" NOT NULL,
    asked_name TEXT COLLATE "C" NOT NULL,
    asked_role TEXT COLLATE "C",
    staff TEXT COLLATE "C",
    asked_at BIGINT NOT NULL,
    ends_at BIGINT,
    decided_by TEXT COLLATE "C",
    decided_name TEXT COLLATE "C",
    decided_at BIGINT,
    event_seq BIGINT,
    refusal TEXT COLLATE "C",
    PRIMARY KEY (program, id)
);
CREATE INDEX adjustment_state ON adjustment (program, state, asked_at, id);
