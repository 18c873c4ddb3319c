-- Every code there is, found by a keyed hash of its text: one read, and nobody learns codes from the database.
-- Hot: read by whatever names a code, written over by the command that uses it.

CREATE TABLE voucher_code (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    voucher TEXT NOT NULL,
    program_version INTEGER NOT NULL,
    member BLOB,
    batch BLOB,
    number INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER,
    most INTEGER,
    shared INTEGER NOT NULL,
    status INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    last_member BLOB,
    last_seq INTEGER,
    PRIMARY KEY (bucket, program, key)
) STRICT, WITHOUT ROWID;

-- Codes that were made, taken in or shared together. Cold.
CREATE TABLE voucher_batch (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    batch BLOB NOT NULL,
    voucher TEXT NOT NULL,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    length INTEGER NOT NULL,
    codes INTEGER NOT NULL,
    program_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    hash BLOB NOT NULL,
    status INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, batch)
) STRICT, WITHOUT ROWID;

-- Codes that came from elsewhere and cannot be made again, by their number in the batch. Cold; `text` is sealed.
CREATE TABLE voucher_text (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    batch BLOB NOT NULL,
    number INTEGER NOT NULL,
    text BLOB NOT NULL,
    PRIMARY KEY (bucket, program, batch, number)
) STRICT, WITHOUT ROWID;
