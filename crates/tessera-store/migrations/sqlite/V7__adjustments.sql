-- What role a key has, for the limits of the document; none for a key that is a machine's.
ALTER TABLE api_key ADD COLUMN role TEXT;

-- Adjustments that wait, or waited, for a second person, and those that came with a note. Cold: what is applied is an
-- event of its member like any other.
CREATE TABLE adjustment (
    program INTEGER NOT NULL,
    id TEXT NOT NULL,
    hash BLOB NOT NULL,
    member BLOB NOT NULL,
    state INTEGER NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    reason TEXT NOT NULL,
    note TEXT,
    undoes INTEGER,
    asked_by TEXT NOT NULL,
    asked_name TEXT NOT NULL,
    asked_role TEXT,
    staff TEXT,
    asked_at INTEGER NOT NULL,
    ends_at INTEGER,
    decided_by TEXT,
    decided_name TEXT,
    decided_at INTEGER,
    event_seq INTEGER,
    refusal TEXT,
    PRIMARY KEY (program, id)
) STRICT;
CREATE INDEX adjustment_state ON adjustment (program, state, asked_at, id);
