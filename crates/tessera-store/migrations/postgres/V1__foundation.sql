-- Everything Tessera stores. The twin for SQLite has the same number and name.
-- Text is compared by bytes, as SQLite does: one order of keys on both.
-- Instants are UTC microseconds. `bucket` (0..1023) leads every hot key.
-- No sequence, no trigger, no foreign key: a member's rows must be able to live on any node.

-- Hot: read and written by every batch.

CREATE TABLE member (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    version BIGINT NOT NULL,
    wake_at BIGINT,
    status BIGINT NOT NULL,
    state BYTEA NOT NULL,
    PRIMARY KEY (bucket, program, member)
) WITH (fillfactor = 85); -- room to update a member in place
CREATE INDEX member_wake_at ON member (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE event (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    effective_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    program_version BIGINT NOT NULL,
    payload TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
);

CREATE TABLE entry (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    event_seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    kind BIGINT NOT NULL,
    debit BIGINT NOT NULL,
    credit BIGINT NOT NULL,
    amount BIGINT NOT NULL CONSTRAINT entry_amount_is_positive CHECK (amount > 0),
    lot TEXT COLLATE "C",
    expires_at BIGINT,
    campaign TEXT COLLATE "C",
    program_version BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
);

CREATE TABLE event_key (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    key BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    member BYTEA,
    seq BIGINT,
    refusal TEXT COLLATE "C",
    PRIMARY KEY (bucket, program, key)
);

CREATE TABLE order_key (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    key BYTEA NOT NULL,
    member BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    version BIGINT NOT NULL,
    progress TEXT COLLATE "C",
    PRIMARY KEY (bucket, program, key)
);

CREATE TABLE member_identifier (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    key BYTEA NOT NULL,
    member BYTEA NOT NULL,
    PRIMARY KEY (bucket, program, key)
);

CREATE TABLE voucher (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    voucher TEXT COLLATE "C" NOT NULL,
    event_seq BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT,
    status BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, member, code)
);

CREATE TABLE pool (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    pool TEXT COLLATE "C" NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, pool)
);

-- Cold: written seldom, or read by jobs and lists.

CREATE TABLE member_profile (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    wrapped_key BYTEA NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (bucket, program, member)
);

CREATE TABLE outbox (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    id BYTEA NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    topic BYTEA,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    state BIGINT NOT NULL,
    payload TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, id)
);
CREATE INDEX outbox_due ON outbox (state, due_at);
CREATE INDEX outbox_topic ON outbox (program, kind, topic);

CREATE TABLE program (
    program BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL UNIQUE,
    head BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (program)
);

CREATE TABLE program_version (
    program BIGINT NOT NULL,
    version BIGINT NOT NULL,
    valid_from BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (program, version)
);

CREATE TABLE api_key (
    program BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (program, id)
);
CREATE INDEX api_key_hash ON api_key (hash);

-- Facts about this installation: not of a program, hence no wall.
CREATE TABLE installation (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
