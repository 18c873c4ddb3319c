-- Everything Tessera stores. The twin for PostgreSQL has the same number and name.
-- Instants are UTC microseconds. `bucket` (0..1023) leads every hot key.
-- No sequence, no trigger, no foreign key: a member's rows must be able to live on any node.

-- Hot: read and written by every batch.

CREATE TABLE member (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    version INTEGER NOT NULL,
    wake_at INTEGER,
    status INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (bucket, program, member)
) STRICT;
CREATE INDEX member_wake_at ON member (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE event (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    status INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    program_version INTEGER NOT NULL,
    payload TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
) STRICT;

CREATE TABLE entry (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    seq INTEGER NOT NULL,
    event_seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    currency TEXT NOT NULL,
    kind INTEGER NOT NULL,
    debit INTEGER NOT NULL,
    credit INTEGER NOT NULL,
    amount INTEGER NOT NULL CONSTRAINT entry_amount_is_positive CHECK (amount > 0),
    lot TEXT,
    expires_at INTEGER,
    campaign TEXT,
    program_version INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_key (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    key BLOB NOT NULL,
    hash BLOB NOT NULL,
    member BLOB,
    seq INTEGER,
    refusal TEXT,
    PRIMARY KEY (bucket, program, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE order_key (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    key BLOB NOT NULL,
    member BLOB NOT NULL,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    progress TEXT,
    PRIMARY KEY (bucket, program, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE member_identifier (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    key BLOB NOT NULL,
    member BLOB NOT NULL,
    PRIMARY KEY (bucket, program, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE voucher (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    code TEXT NOT NULL,
    voucher TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER,
    status INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, member, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE pool (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    pool TEXT NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, pool)
) STRICT, WITHOUT ROWID;

-- Cold: written seldom, or read by jobs and lists.

CREATE TABLE member_profile (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (bucket, program, member)
) STRICT;

CREATE TABLE outbox (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    topic BLOB,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    state INTEGER NOT NULL,
    payload TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, id)
) STRICT;
CREATE INDEX outbox_due ON outbox (state, due_at);
CREATE INDEX outbox_topic ON outbox (program, kind, topic);

CREATE TABLE program (
    program INTEGER NOT NULL,
    key TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (program)
) STRICT, WITHOUT ROWID;

CREATE TABLE program_version (
    program INTEGER NOT NULL,
    version INTEGER NOT NULL,
    valid_from INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    note TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (program, version)
) STRICT;

CREATE TABLE api_key (
    program INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    PRIMARY KEY (program, id)
) STRICT;
CREATE INDEX api_key_hash ON api_key (hash);

-- Facts about this installation: not of a program, hence no wall.
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
