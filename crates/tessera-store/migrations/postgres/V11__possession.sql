-- Proof that a member is there: the sealed secret of their card, the last step that was taken, a code that was sent.
-- Cold: read and written by what asks for proof alone.

CREATE TABLE possession (
    bucket BIGINT NOT NULL,
    program BIGINT NOT NULL,
    member BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    last_step BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    one_time BYTEA,
    one_time_until BIGINT NOT NULL,
    PRIMARY KEY (bucket, program, member)
);
