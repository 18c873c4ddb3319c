-- Cases: what was more than a velocity rule lets pass, one for each rule, subject and window. Cold: written by what is
-- more, read by those who look into it. A subject is an id or a keyed hash.
CREATE TABLE case_file (
    program BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    per TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    member BYTEA,
    began_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    most BIGINT NOT NULL,
    used BIGINT NOT NULL,
    wanted BIGINT NOT NULL,
    more TEXT COLLATE "C" NOT NULL,
    hits BIGINT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    state BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    taken_by TEXT COLLATE "C",
    taken_name TEXT COLLATE "C",
    taken_at BIGINT,
    verdict TEXT COLLATE "C",
    note TEXT COLLATE "C",
    closed_by TEXT COLLATE "C",
    closed_name TEXT COLLATE "C",
    closed_at BIGINT,
    PRIMARY KEY (program, id)
);
CREATE INDEX case_file_state ON case_file (program, state, opened_at, id);

-- What opened a case and what came to it since: commands that passed by their event, those refused by why.
CREATE TABLE case_hit (
    program BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    command BYTEA NOT NULL,
    at BIGINT NOT NULL,
    member BYTEA,
    event_seq BIGINT,
    added BIGINT NOT NULL,
    refusal TEXT COLLATE "C",
    asked_by TEXT COLLATE "C" NOT NULL,
    staff TEXT COLLATE "C",
    device TEXT COLLATE "C",
    location TEXT COLLATE "C",
    PRIMARY KEY (program, id, command)
);
