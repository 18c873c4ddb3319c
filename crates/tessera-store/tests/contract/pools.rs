//! `take_from_pools`: scarce things, also under contention.

use std::sync::Barrier;

use tessera_store::{Dialect, Row, StoreError, Value, tables};

use crate::support::{OURS, THEIRS, TestDb};

fn pool(program: i64, name: &str) -> Row {
    vec![Value::Int(7), Value::Int(program), Value::from(name)]
}

fn take(db: &TestDb, deltas: &[(&str, i64, i64)]) -> Result<(), StoreError> {
    let deltas: Vec<(Row, i64, i64)> =
        deltas.iter().map(|(name, delta, cap)| (pool(OURS, name), *delta, *cap)).collect();
    db.write(|tx| tx.take_from_pools(&deltas))
}

fn used(db: &TestDb) -> Vec<(String, i64)> {
    let rows = db.ours(&tables::POOL).into_iter();
    rows.map(|row| (row[2].text().unwrap().to_owned(), row[3].int().unwrap())).collect()
}

fn has(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
    pairs.iter().map(|(name, used)| ((*name).to_owned(), *used)).collect()
}

on_both! {
    fn a_pool_begins_at_zero_and_is_taken_up_to_its_cap(db) {
        take(db, &[("stock", 3, 5), ("budget", 100, 100)]).unwrap();
        take(db, &[("stock", 2, 5)]).unwrap();
        assert_eq!(used(db), has(&[("budget", 100), ("stock", 5)]));
    }

    fn taking_more_than_is_left_tells_what_is_used_and_changes_nothing(db) {
        take(db, &[("stock", 3, 5), ("budget", 1, 9)]).unwrap();
        let refused = take(db, &[("stock", 3, 5), ("budget", 1, 9), ("new", 1, 1)]);
        assert_eq!(refused, Err(StoreError::PoolExhausted { pool: "stock".to_owned(), used: 3, cap: 5 }));
        let refused = take(db, &[("none", 1, 0)]);
        assert_eq!(refused, Err(StoreError::PoolExhausted { pool: "none".to_owned(), used: 0, cap: 0 }));
        assert_eq!(used(db), has(&[("budget", 1), ("stock", 3)]));
    }

    fn a_refusal_leaves_the_transaction_usable_and_the_pools_as_they_were(db) {
        take(db, &[("stock", 3, 5)]).unwrap();
        db.write(|tx| {
            let refused = tx.take_from_pools(&[(pool(OURS, "a"), 1, 9), (pool(OURS, "stock"), 3, 5)]);
            assert!(matches!(refused, Err(StoreError::PoolExhausted { .. })));
            tx.take_from_pools(&[(pool(OURS, "stock"), 2, 5)])
        })
        .unwrap();
        let rows = used(db);
        assert!(rows.contains(&("stock".to_owned(), 5)) && !rows.contains(&("a".to_owned(), 1)), "{rows:?}");
    }

    fn giving_back_stops_at_zero_and_is_never_refused(db) {
        take(db, &[("stock", 8, 10)]).unwrap();
        take(db, &[("stock", -2, 5)]).unwrap();
        assert_eq!(used(db), has(&[("stock", 6)]), "even where the cap was lowered meanwhile");
        take(db, &[("stock", -60, 10), ("new", -1, 10)]).unwrap();
        assert_eq!(used(db), has(&[("new", 0), ("stock", 0)]));
    }

    fn one_pool_several_times_in_a_call_is_worked_in_the_order_given(db) {
        take(db, &[("stock", 4, 5), ("other", 1, 1), ("stock", -9, 5), ("stock", 5, 5)]).unwrap();
        assert_eq!(used(db), has(&[("other", 1), ("stock", 5)]));
        take(db, &[("stock", -5, 5)]).unwrap();
        let refused = take(db, &[("stock", 3, 5), ("stock", 3, 5)]);
        assert_eq!(refused, Err(StoreError::PoolExhausted { pool: "stock".to_owned(), used: 3, cap: 5 }));
    }

    fn the_pool_of_the_same_name_in_another_program_is_another(db) {
        db.write(|tx| tx.take_from_pools(&[(pool(OURS, "pool 3"), 1, 1)])).unwrap();
        // The neighbour's "pool 3" is in bucket 3: the same bucket, too, is not enough to be the same pool.
        let key = |program| vec![Value::Int(3), Value::Int(program), Value::from("pool 3")];
        db.write(|tx| tx.take_from_pools(&[(key(OURS), 5, 5)])).unwrap();
        let theirs = db.write(|tx| tx.fetch_by_keys(&tables::POOL, &[key(THEIRS)])).unwrap();
        assert_eq!(theirs, vec![[key(THEIRS), vec![Value::Int(3 * 10 + THEIRS)]].concat()]);
    }

    fn the_sum_is_exact_when_many_take_at_once(db) {
        const TAKERS: usize = 4;
        const EACH: i64 = 25;
        const CAP: i64 = 60;
        let barrier = Barrier::new(TAKERS);
        let barrier = &barrier;
        let granted: i64 = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..TAKERS).map(|n| scope.spawn(move || taker(db, n, barrier, EACH, CAP))).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(granted, CAP, "as many grants as the cap allows, no more and no fewer");
        assert_eq!(used(db).into_iter().find(|(name, _)| name == "scarce"), Some(("scarce".to_owned(), CAP)));
    }
}

/// Takes one at a time, in a transaction each, together with pools named in another order: nobody waits in a circle.
fn taker(db: &TestDb, n: usize, barrier: &Barrier, each: i64, cap: i64) -> i64 {
    barrier.wait();
    let mut granted = 0;
    for _ in 0..each {
        let mut deltas = vec![(pool(OURS, "scarce"), 1, cap), (pool(OURS, "a"), 1, 1_000), (pool(OURS, "z"), 1, 1_000)];
        let turn = n % deltas.len();
        deltas.rotate_left(turn);
        loop {
            // SQLite has one writer at a time; whoever comes second waits for a turn.
            let mut writer = match db.database.writer() {
                Err(StoreError::Busy { .. }) if db.database.dialect() == Dialect::Sqlite => {
                    std::thread::yield_now();
                    continue;
                }
                writer => writer.unwrap(),
            };
            let mut tx = writer.begin().unwrap();
            match tx.take_from_pools(&deltas) {
                Ok(()) => {
                    tx.commit().unwrap();
                    granted += 1;
                }
                Err(StoreError::PoolExhausted { pool, used, cap: of }) => {
                    assert_eq!((pool.as_str(), used, of), ("scarce", cap, cap));
                }
                Err(other) => panic!("{other}"),
            }
            break;
        }
    }
    granted
}
