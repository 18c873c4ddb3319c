//! Readers: streams, limits, and that they cannot write.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use tessera_store::{Dialect, READERS_MAX, Row, StoreError, Value, tables};

use crate::support::{OURS, distinct, key, sample, with};

/// Numbers from 1 to $1, each beside one large payload.
const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
                    SELECT n.i, event.payload FROM n, event WHERE event.program = $2";

/// What this transaction read from its first row to its last, on PostgreSQL.
const WHOLE_TABLES_READ: &str = "SELECT CAST(relname AS TEXT) FROM pg_stat_xact_user_tables WHERE seq_scan > 0";

fn resident_bytes() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<usize>().ok()? * 4_096)
}

on_both! {
    fn a_stream_of_a_quarter_gigabyte_needs_little_memory(db) {
        let payload = "x".repeat(64 * 1_024);
        let row = with(&tables::EVENT, &sample(&tables::EVENT, OURS, 1), "payload", payload.as_str());
        db.write(|tx| tx.insert_rows(&tables::EVENT, &[row])).unwrap();
        let before = resident_bytes().unwrap_or(0);
        let (mut rows, mut most) = (0, 0);
        db.database
            .read(|reader| {
                reader.query_each(MANY, &[Value::Int(4_000), OURS.into()], &mut |row| {
                    rows += 1;
                    assert_eq!((row[0].int()?, row[1].text()?.len()), (rows, payload.len()));
                    most = most.max(resident_bytes().unwrap_or(0));
                    Ok(())
                })
            })
            .unwrap();
        assert_eq!(rows, 4_000);
        // Other tests may run in this process; a stream kept whole would add 256 MiB.
        assert!(most.saturating_sub(before) < 128 << 20, "{} MiB more", most.saturating_sub(before) >> 20);
    }

    // A generic plan made while the table was small read all of it for each look until it was analysed, the dearest
    // statement of a server that had just been filled.
    fn a_look_by_key_reads_no_whole_table_though_it_was_small_when_first_asked(db) {
        let rows = distinct(&tables::ORDER_KEY, OURS, 0..3_000);
        let keys: Vec<Row> = rows[..8].iter().map(|row| key(&tables::ORDER_KEY, row)).collect();
        let look = || {
            db.database.read_again(|reader| {
                let found = reader.fetch_by_keys(&tables::ORDER_KEY, &keys)?;
                let whole = match db.database.dialect() {
                    Dialect::Sqlite => Vec::new(),
                    Dialect::Postgres => reader.query(WHOLE_TABLES_READ, &[])?,
                };
                Ok((found.len(), whole))
            })
        };
        // The server plans a statement anew for each of its first five values.
        for _ in 0..10 {
            look().unwrap();
        }
        db.write(|tx| tx.insert_rows(&tables::ORDER_KEY, &rows)).unwrap();
        assert_eq!(look().unwrap(), (keys.len(), Vec::new()));
    }

    fn a_stream_ends_with_the_first_error_and_the_reader_goes_on(db) {
        let row = with(&tables::EVENT, &sample(&tables::EVENT, OURS, 1), "payload", "{}");
        db.write(|tx| tx.insert_rows(&tables::EVENT, &[row])).unwrap();
        let mut seen = 0;
        db.database
            .read(|reader| {
                let ended = reader.query_each(MANY, &[Value::Int(10_000_000), OURS.into()], &mut |_| {
                    seen += 1;
                    if seen == 300 { Err(StoreError::Busy { what: "enough" }) } else { Ok(()) }
                });
                assert_eq!(ended, Err(StoreError::Busy { what: "enough" }));
                assert_eq!(reader.query("SELECT CAST(7 AS BIGINT)", &[])?, vec![vec![Value::Int(7)]]);
                let mut rows = Vec::new();
                reader.query_each(MANY, &[Value::Int(2), OURS.into()], &mut |row| {
                    rows.push(row);
                    Ok(())
                })?;
                assert_eq!(rows, [1, 2].map(|i| vec![Value::Int(i), "{}".into()]).to_vec());
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, 300);
    }

    fn a_stream_may_be_empty_or_end_with_a_full_fetch(db) {
        let row = with(&tables::EVENT, &sample(&tables::EVENT, OURS, 1), "payload", "{}");
        db.write(|tx| tx.insert_rows(&tables::EVENT, &[row])).unwrap();
        for wanted in [1, 255, 256, 257, 512] {
            let mut rows = 0;
            let mut count = |_: Row| {
                rows += 1;
                Ok(())
            };
            db.database.read(|reader| reader.query_each(MANY, &[wanted.into(), OURS.into()], &mut count)).unwrap();
            assert_eq!(rows, wanted);
        }
        let mut none = |_: Row| panic!("there is no such row");
        db.database.read(|reader| reader.query_each(MANY, &[Value::Int(1), Value::Int(99)], &mut none)).unwrap();
    }

    fn a_reader_cannot_write(db) {
        let row = sample(&tables::POOL, OURS, 1);
        db.write(|tx| tx.insert_rows(&tables::POOL, std::slice::from_ref(&row))).unwrap();
        let refused = [
            "DELETE FROM pool WHERE program = $1",
            "UPDATE pool SET used = 0 WHERE program = $1 RETURNING used",
            "INSERT INTO installation (name, value) SELECT pool, pool FROM pool WHERE program = $1",
        ];
        for sql in refused {
            let answer = db.database.read(|reader| reader.query(sql, &[OURS.into()]));
            // PostgreSQL says it with the same code as a server that has become one that is only read.
            assert!(matches!(answer, Err(StoreError::Database(_) | StoreError::Unavailable(_))), "{sql}: {answer:?}");
        }
        assert_eq!(db.ours(&tables::POOL), vec![row]);
    }

    fn an_error_or_a_panic_in_a_reader_costs_the_next_one_nothing(db) {
        for _ in 0..2 * READERS_MAX {
            let answer: Result<(), StoreError> = db.database.read(|reader| {
                assert!(reader.query("SELECT nothing", &[]).is_err());
                Err(StoreError::Busy { what: "on purpose" })
            });
            assert_eq!(answer, Err(StoreError::Busy { what: "on purpose" }));
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                db.database.read(|_| -> Result<(), StoreError> { panic!("on purpose") })
            }));
            assert!(panicked.is_err());
        }
        assert_eq!(db.ours(&tables::POOL), Vec::<Row>::new());
    }

    fn eight_read_at_a_time_and_the_others_wait(db) {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let full = Barrier::new(READERS_MAX);
        std::thread::scope(|scope| {
            for n in 0..3 * READERS_MAX {
                let (inside, most, full) = (&inside, &most, &full);
                scope.spawn(move || {
                    db.database
                        .read(|reader| {
                            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            // Only passes if eight are inside together; they come in three rounds of eight.
                            full.wait();
                            let rows = reader.query("SELECT CAST($1 AS BIGINT)", &[i64::try_from(n).unwrap().into()])?;
                            assert_eq!(rows[0][0].int()?, i64::try_from(n).unwrap());
                            inside.fetch_sub(1, Ordering::SeqCst);
                            Ok(())
                        })
                        .unwrap();
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), READERS_MAX);
    }
}
