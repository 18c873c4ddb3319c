-- What rewards give beyond points: codes of partners, what people have to do, who waits for a seat, what partners are
-- to deliver. Cold, but for the one update that gives a code; each row is of one program.

-- How many codes of a partner were ever brought in.
CREATE TABLE code_pool (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    pool TEXT COLLATE "C" NOT NULL,
    imported BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, pool)
);

-- A code, sealed; whom it was given to, and by which redemption. The hash finds one that is brought in twice.
CREATE TABLE pool_code (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    pool TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    member BYTEA,
    seq BIGINT,
    given_at BIGINT,
    PRIMARY KEY (bucket, program, pool, number)
);
CREATE UNIQUE INDEX pool_code_hash ON pool_code (bucket, program, pool, hash);
CREATE INDEX pool_code_free ON pool_code (bucket, program, pool, number) WHERE member IS NULL;
CREATE UNIQUE INDEX pool_code_given ON pool_code (program, member, seq) WHERE member IS NOT NULL;

-- Redemptions that a person has to do something for, by how far they are.
CREATE TABLE fulfilment (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    reward TEXT COLLATE "C" NOT NULL,
    state BIGINT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
);
CREATE INDEX fulfilment_state ON fulfilment (program, state, since, member, seq);

-- Who waits for a reward that is sold out, first come first served.
CREATE TABLE waitlist (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    reward TEXT COLLATE "C" NOT NULL,
    place BIGINT NOT NULL,
    member BYTEA NOT NULL,
    state BIGINT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, reward, place)
);
CREATE UNIQUE INDEX waitlist_member ON waitlist (program, reward, member) WHERE state <= 2;

-- What a partner is to deliver for a redemption, and what became of it.
CREATE TABLE partner_order (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    partner TEXT COLLATE "C" NOT NULL,
    product TEXT COLLATE "C" NOT NULL,
    state BIGINT NOT NULL,
    reference TEXT COLLATE "C",
    sealed BYTEA,
    ordered_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, member, seq)
);
CREATE UNIQUE INDEX partner_order_reference ON partner_order (program, partner, reference) WHERE reference IS NOT NULL;
CREATE INDEX partner_order_time ON partner_order (program, partner, ordered_at);
