-- Cases: what was more than a velocity rule lets pass, one for each rule, subject and window. Cold: written by what is
-- more, read by those who look into it. A subject is an id or a keyed hash.
CREATE TABLE case_file (
    program INTEGER NOT NULL,
    id TEXT NOT NULL,
    rule TEXT NOT NULL,
    what TEXT NOT NULL,
    per TEXT NOT NULL,
    subject TEXT NOT NULL,
    member BLOB,
    began_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    most INTEGER NOT NULL,
    used INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    more TEXT NOT NULL,
    hits INTEGER NOT NULL,
    action TEXT NOT NULL,
    state INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    taken_by TEXT,
    taken_name TEXT,
    taken_at INTEGER,
    verdict TEXT,
    note TEXT,
    closed_by TEXT,
    closed_name TEXT,
    closed_at INTEGER,
    PRIMARY KEY (program, id)
) STRICT;
CREATE INDEX case_file_state ON case_file (program, state, opened_at, id);

-- What opened a case and what came to it since: commands that passed by their event, those refused by why.
CREATE TABLE case_hit (
    program INTEGER NOT NULL,
    id TEXT NOT NULL,
    command BLOB NOT NULL,
    at INTEGER NOT NULL,
    member BLOB,
    event_seq INTEGER,
    added INTEGER NOT NULL,
    refusal TEXT,
    asked_by TEXT NOT NULL,
    staff TEXT,
    device TEXT,
    location TEXT,
    PRIMARY KEY (program, id, command)
) STRICT;
