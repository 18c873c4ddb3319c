-- Proof that a member is there: the sealed secret of their card, the last step that was taken, a code that was sent.
-- Cold: read and written by what asks for proof alone.

CREATE TABLE possession (
    bucket INTEGER NOT NULL,
    program INTEGER NOT NULL,
    member BLOB NOT NULL,
    sealed BLOB NOT NULL,
    last_step INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    one_time BLOB,
    one_time_until INTEGER NOT NULL,
    PRIMARY KEY (bucket, program, member)
) STRICT, WITHOUT ROWID;
