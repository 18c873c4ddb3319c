//! Begin, commit, rollback; two writers; what a reader sees meanwhile.

use tessera_store::{Dialect, Row, StoreError, Value, tables};

use crate::support::{OURS, TestDb, key, sample, with};

fn member(n: i64) -> Row {
    sample(&tables::MEMBER, OURS, n)
}

/// Claims keys, then touches members and orders: all rows in the given direction. Who comes second meets a conflict.
fn one_batch(
    writer: &mut tessera_store::Writer,
    barrier: &std::sync::Barrier,
    backwards: bool,
    from: i64,
    rows: i64,
) -> Result<(), StoreError> {
    let batch = |table, from: i64| -> Vec<Row> {
        let mut batch: Vec<Row> = (from..from + rows).map(|n| sample(table, OURS, n)).collect();
        if backwards {
            batch.reverse();
        }
        batch
    };
    barrier.wait();
    let mut tx = writer.begin()?;
    let claimed = tx.insert_rows(&tables::EVENT_KEY, &batch(&tables::EVENT_KEY, from));
    if !matches!(claimed, Err(StoreError::Conflict { .. })) {
        claimed?;
    }
    let members = batch(&tables::MEMBER, 0);
    let keys: Vec<Row> = members.iter().map(|row| key(&tables::MEMBER, row)).collect();
    assert_eq!(tx.fetch_by_keys(&tables::MEMBER, &keys)?.len(), members.len());
    tx.upsert_rows(&tables::VOUCHER, &batch(&tables::VOUCHER, 0))?;
    tx.commit()
}

fn count(db: &TestDb) -> usize {
    db.ours(&tables::MEMBER).len()
}

on_both! {
    fn dropping_undoes_everything(db) {
        let mut writer = db.database.writer().unwrap();
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
        tx.take_from_pools(&[(vec![Value::Int(1), Value::Int(OURS), Value::from("stock")], 1, 1)]).unwrap();
        tx.execute("UPDATE member SET status = $1", &[Value::Int(0)]).unwrap();
        drop(tx);
        assert_eq!((count(db), db.ours(&tables::POOL).len()), (0, 0));
        // The writer is as good as new.
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
        tx.commit().unwrap();
        assert_eq!(count(db), 1);
    }

    fn a_panic_undoes_everything(db) {
        let mut writer = db.database.writer().unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut tx = writer.begin().unwrap();
            tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
            panic!("on purpose");
        }));
        assert!(outcome.is_err());
        writer.begin().unwrap().commit().unwrap();
        assert_eq!(count(db), 0);
    }

    fn a_transaction_sees_its_own_writes_and_others_do_not_until_the_commit(db) {
        let mut writer = db.database.writer().unwrap();
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
        assert_eq!(tx.fetch_by_keys(&tables::MEMBER, &[key(&tables::MEMBER, &member(1))]).unwrap(), vec![member(1)]);
        assert_eq!(count(db), 0);
        tx.commit().unwrap();
        assert_eq!(count(db), 1);
    }

    fn a_reader_sees_one_moment(db) {
        let ask = "SELECT COUNT(*) FROM member WHERE program = $1";
        db.database
            .read(|reader| {
                assert_eq!(reader.query(ask, &[OURS.into()])?, vec![vec![Value::Int(0)]]);
                db.write(|tx| tx.insert_rows(&tables::MEMBER, &[member(1)]))?;
                assert_eq!(reader.query(ask, &[OURS.into()])?, vec![vec![Value::Int(0)]]);
                assert_eq!(reader.fetch_by_keys(&tables::MEMBER, &[key(&tables::MEMBER, &member(1))])?, Vec::<Row>::new());
                Ok(())
            })
            .unwrap();
        assert_eq!(count(db), 1);
    }

    fn a_failed_transaction_cannot_be_committed(db) {
        let mut writer = db.database.writer().unwrap();
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
        assert!(tx.query("SELECT nothing FROM nowhere", &[]).is_err());
        assert!(matches!(tx.commit(), Err(StoreError::Database(_))));
        assert_eq!(count(db), 0);
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
        tx.commit().unwrap();
        assert_eq!(count(db), 1);
    }

    fn how_many_writers(db) {
        let first = db.database.writer().unwrap();
        match db.database.dialect() {
            Dialect::Postgres => drop(db.database.writer().unwrap()),
            Dialect::Sqlite => {
                let second = db.database.writer().map(|_| ()).unwrap_err();
                assert!(matches!(second, StoreError::Busy { .. }) && second.is_transient(), "{second}");
            }
        }
        drop(first);
        db.database.writer().unwrap();
    }

    fn a_writer_moves_to_another_thread(db) {
        let mut writer = db.database.writer().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut tx = writer.begin().unwrap();
                tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
                tx.commit().unwrap();
            });
        });
        assert_eq!(count(db), 1);
    }

    fn of_two_who_read_the_same_version_one_is_told(db) {
        if db.database.dialect() == Dialect::Sqlite {
            return; // one writer: `upserts.rs` has the guard itself
        }
        let table = &tables::ORDER_KEY; // not locked by a fetch, so both can read it
        let row = sample(table, OURS, 1);
        db.write(|tx| tx.upsert_rows(table, std::slice::from_ref(&row))).unwrap();
        let next = with(table, &row, "version", 2);
        let (mut one, mut other) = (db.database.writer().unwrap(), db.database.writer().unwrap());
        let (mut one, mut other) = (one.begin().unwrap(), other.begin().unwrap());
        for tx in [&mut one, &mut other] {
            assert_eq!(tx.fetch_by_keys(table, &[key(table, &row)]).unwrap(), vec![row.clone()]);
        }
        one.upsert_rows(table, std::slice::from_ref(&next)).unwrap();
        let late = std::thread::scope(|scope| {
            // It waits for the first to end, and then meets another version.
            let late = scope.spawn(|| other.upsert_rows(table, std::slice::from_ref(&next)));
            one.commit().unwrap();
            late.join().unwrap()
        });
        assert_eq!(late, Err(StoreError::Conflict { table: "order_key" }));
    }

    fn of_two_who_insert_the_same_key_one_is_told(db) {
        if db.database.dialect() == Dialect::Sqlite {
            return; // one writer
        }
        let table = &tables::EVENT_KEY;
        let row = sample(table, OURS, 1);
        let (mut one, mut other) = (db.database.writer().unwrap(), db.database.writer().unwrap());
        let (mut one, mut other) = (one.begin().unwrap(), other.begin().unwrap());
        one.insert_rows(table, std::slice::from_ref(&row)).unwrap();
        let late = std::thread::scope(|scope| {
            let late = scope.spawn(|| other.insert_rows(table, std::slice::from_ref(&row)));
            one.commit().unwrap();
            late.join().unwrap()
        });
        assert_eq!(late, Err(StoreError::Conflict { table: "event_key" }));
    }

    fn a_fetch_locks_what_is_counted_and_nothing_else(db) {
        if db.database.dialect() == Dialect::Sqlite {
            return; // one writer
        }
        for table in tables::ALL {
            let row = sample(table, OURS, 1);
            db.write(|tx| tx.insert_rows(table, std::slice::from_ref(&row))).unwrap();
            let (mut one, mut other) = (db.database.writer().unwrap(), db.database.writer().unwrap());
            let mut one = one.begin().unwrap();
            one.fetch_by_keys(table, &[key(table, &row)]).unwrap();
            let lock = format!("SELECT 1 FROM {} WHERE program = $1 FOR UPDATE NOWAIT", table.name);
            let answer = other.begin().unwrap().query(&lock, &[OURS.into()]);
            assert_eq!(answer.is_err(), ["member", "pool", "code_pool", "possession"].contains(&table.name), "{}: {answer:?}", table.name);
            assert!(answer.err().is_none_or(|error| error.is_transient()));
        }
    }

    fn batches_that_name_the_same_rows_in_opposite_order_do_not_wait_in_a_circle(db) {
        if db.database.dialect() == Dialect::Sqlite {
            return; // one writer
        }
        const ROWS: i64 = 200;
        let members: Vec<Row> = (0..ROWS).map(member).collect();
        db.write(|tx| tx.upsert_rows(&tables::MEMBER, &members)).unwrap();
        let barrier = std::sync::Barrier::new(2);
        let outcomes: Vec<Result<(), StoreError>> = std::thread::scope(|scope| {
            let batches: Vec<_> = [false, true]
                .map(|backwards| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let mut writer = db.database.writer().unwrap();
                        // All rounds, whatever they answer: the other thread waits for this one at each.
                        let rounds = (0..20).map(|round| one_batch(&mut writer, barrier, backwards, round * ROWS, ROWS));
                        rounds.fold(Ok(()), Result::and)
                    })
                })
                .into();
            batches.into_iter().map(|batch| batch.join().unwrap()).collect()
        });
        assert_eq!(outcomes, vec![Ok(()), Ok(())]);
    }

    fn a_lost_connection_is_unavailable_and_the_next_transaction_has_a_new_one(db) {
        if db.database.dialect() == Dialect::Sqlite {
            return; // nothing to lose
        }
        let end_others = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let (mut writer, mut other) = (db.database.writer().unwrap(), db.database.writer().unwrap());
        assert_eq!(count(db), 0); // a reader is pooled, too
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
        let mut ending = other.begin().unwrap();
        assert!(ending.query(end_others, &[]).unwrap()[0][0].int().unwrap() >= 2);
        ending.commit().unwrap();
        let error = tx.insert_rows(&tables::MEMBER, &[member(2)]).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)) && error.is_transient(), "{error:?}");
        drop(tx);

        assert_eq!(count(db), 0, "the pooled reader was replaced");
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::MEMBER, &[member(1)]).unwrap();
        tx.commit().unwrap();
        assert_eq!(count(db), 1);
    }
}

/// The embedded database whose log can be flushed no more, and a writer of it.
fn without_log() -> (crate::support::TestDb, tessera_store::Writer) {
    let db = crate::support::TestDb::new(tessera_store::Dialect::Sqlite).unwrap();
    let writer = db.database.writer().unwrap();
    let mut log = db.file().unwrap().into_os_string();
    log.push("-wal");
    std::fs::remove_file(log).unwrap();
    (db, writer)
}

#[test]
fn i6_a_commit_that_cannot_be_flushed_is_none() {
    let (_db, mut writer) = without_log();
    let commit = writer.begin().unwrap().commit();
    assert!(matches!(commit, Err(StoreError::Unavailable(_))), "{commit:?}");
}

#[test]
fn i6_after_a_flush_that_failed_nothing_is_written_any_more() {
    let (db, mut writer) = without_log();
    writer.begin().unwrap().commit_visible().unwrap();
    let flush = db.database.flush();
    assert!(matches!(flush, Err(StoreError::Unavailable(_))), "{flush:?}");
    let next = writer.begin().map(drop);
    assert!(matches!(next, Err(StoreError::Unavailable(_))), "{next:?}");
}
