-- What rewards give beyond points: codes of partners, what people have to do, who waits for a seat, what partners are
-- to deliver. Cold, but for the one update that gives a code; each row is of one program.

-- How many codes of a partner were ever brought in.
CREATE TABLE code_pool (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    pool TEXT NOT NULL,
    imported INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, pool)
) STRICT, WITHOUT ROWID;

-- A code, sealed; whom it was given to, and by which redemption. The hash finds one that is brought in twice.
CREATE TABLE pool_code (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    pool TEXT NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    sealed BLOB NOT NULL,
    member BLOB,
    seq INTEGER,
    given_at INTEGER,
    PRIMARY KEY (bucket, program, pool, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX pool_code_hash ON pool_code (bucket, program, pool, hash);
CREATE INDEX pool_code_free ON pool_code (bucket, program, pool, number) WHERE member IS NULL;
CREATE UNIQUE INDEX pool_code_given ON pool_code (program, member, seq) WHERE member IS NOT NULL;

-- Redemptions that a person has to do something for, by how far they are.
CREATE TABLE fulfilment (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    seq INTEGER NOT NULL,
    reward TEXT NOT NULL,
    state INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX fulfilment_state ON fulfilment (program, state, since, member, seq);

-- Who waits for a reward that is sold out, first come first served.
CREATE TABLE waitlist (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    reward TEXT NOT NULL,
    place INTEGER NOT NULL,
    member BLOB NOT NULL,
    state INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, reward, place)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX waitlist_member ON waitlist (program, reward, member) WHERE state <= 2;

-- What a partner is to deliver for a redemption, and what became of it.
CREATE TABLE partner_order (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    seq INTEGER NOT NULL,
    partner TEXT NOT NULL,
    product TEXT NOT NULL,
    state INTEGER NOT NULL,
    reference TEXT,
    sealed BLOB,
    ordered_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX partner_order_reference ON partner_order (program, partner, reference) WHERE reference IS NOT NULL;
CREATE INDEX partner_order_time ON partner_order (program, partner, ordered_at);
