-- Every code there is, found by a keyed hash of its text: one read, and nobody learns codes from the database.
-- Hot: read by whatever names a code, written over by the command that uses it.

CREATE TABLE voucher_code (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    key BYTEA NOT NULL,
    version BIGINT NOT NULL,
    voucher TEXT COLLATE "C" NOT NULL,
    program_version BIGINT NOT NULL,
    member BYTEA,
    batch BYTEA,
    number BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT,
    most BIGINT,
    shared BIGINT NOT NULL,
    status BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    last_member BYTEA,
    last_seq BIGINT,
    PRIMARY KEY (bucket, program, key)
) WITH (fillfactor = 85); -- room to use a code in place

-- Codes that were made, taken in or shared together. Cold.
CREATE TABLE voucher_batch (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    batch BYTEA NOT NULL,
    voucher TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    kind BIGINT NOT NULL,
    length BIGINT NOT NULL,
    codes BIGINT NOT NULL,
    program_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    hash BYTEA NOT NULL,
    status BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, batch)
);

-- Codes that came from elsewhere and cannot be made again, by their number in the batch. Cold; `text` is sealed.
CREATE TABLE voucher_text (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    batch BYTEA NOT NULL,
    number BIGINT NOT NULL,
    text BYTEA NOT NULL,
    PRIMARY KEY (bucket, program, batch, number)
);
