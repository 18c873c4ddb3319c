//! `fetch_by_keys` and `insert_rows`.

use tessera_store::{Row, StoreError, Value, tables};

use crate::support::{OURS, THEIRS, distinct, id, key, sample, sorted, with};

on_both! {
    fn what_is_inserted_in_any_table_is_fetched_by_key(db) {
        for table in tables::ALL {
            let rows = distinct(table, OURS, 0..10);
            db.write(|tx| tx.insert_rows(table, &rows)).unwrap();
            let keys: Vec<Row> = rows.iter().map(|row| key(table, row)).collect();
            let in_tx = db.write(|tx| tx.fetch_by_keys(table, &keys)).unwrap();
            assert_eq!(sorted(in_tx), sorted(rows.clone()), "{}", table.name);
            let by_reader = db.database.read(|reader| reader.fetch_by_keys(table, &keys)).unwrap();
            assert_eq!(sorted(by_reader), sorted(rows), "{}", table.name);
        }
    }

    fn a_fetch_takes_keys_in_any_order_twice_and_missing_and_answers_each_row_once(db) {
        let table = &tables::MEMBER;
        let rows = distinct(table, OURS, 0..5);
        db.write(|tx| tx.insert_rows(table, &rows)).unwrap();
        let keys: Vec<Row> = [3, 1, 99, 3, 0, 3].iter().map(|n| key(table, &sample(table, OURS, *n))).collect();
        let expected = vec![rows[0].clone(), rows[1].clone(), rows[3].clone()];
        assert_eq!(sorted(db.write(|tx| tx.fetch_by_keys(table, &keys)).unwrap()), sorted(expected.clone()));
        assert_eq!(sorted(db.database.read(|reader| reader.fetch_by_keys(table, &keys)).unwrap()), sorted(expected));
    }

    fn one_fetch_may_span_programs(db) {
        let table = &tables::MEMBER;
        let (ours, theirs) = (sample(table, OURS, 4), sample(table, THEIRS, 4));
        db.write(|tx| tx.insert_rows(table, std::slice::from_ref(&ours))).unwrap();
        let found = db.write(|tx| tx.fetch_by_keys(table, &[key(table, &ours), key(table, &theirs)])).unwrap();
        assert_eq!(sorted(found), sorted(vec![ours, theirs]));
    }

    fn a_thousand_rows_and_keys_in_one_call(db) {
        for table in [&tables::MEMBER, &tables::ENTRY, &tables::EVENT_KEY] {
            let rows = distinct(table, OURS, 0..1_000);
            let keys: Vec<Row> = rows.iter().rev().map(|row| key(table, row)).collect();
            let found = db
                .write(|tx| {
                    tx.insert_rows(table, &rows)?;
                    tx.fetch_by_keys(table, &keys)
                })
                .unwrap();
            assert_eq!(sorted(found), sorted(rows), "{}", table.name);
        }
    }

    fn empty_batches_do_nothing(db) {
        db.write(|tx| {
            assert_eq!(tx.fetch_by_keys(&tables::MEMBER, &[])?, Vec::<Row>::new());
            tx.insert_rows(&tables::MEMBER, &[])?;
            tx.upsert_rows(&tables::MEMBER, &[])?;
            tx.take_from_pools(&[])
        })
        .unwrap();
        assert_eq!(db.database.read(|reader| reader.fetch_by_keys(&tables::POOL, &[])).unwrap(), Vec::<Row>::new());
        assert_eq!(db.ours(&tables::MEMBER), Vec::<Row>::new());
    }

    fn extremes_come_back_as_they_were(db) {
        let table = &tables::EVENT;
        let long = "ß".repeat(300_000);
        let mut rows = Vec::new();
        for (n, (number, text)) in [(i64::MAX, ""), (i64::MIN, "\u{1}\u{10ffff}"), (0, long.as_str())].iter().enumerate() {
            let row = sample(table, OURS, i64::try_from(n).unwrap());
            rows.push(with(table, &with(table, &row, "status", *number), "payload", *text));
        }
        db.write(|tx| tx.insert_rows(table, &rows)).unwrap();
        assert_eq!(db.ours(table), rows);

        let profile = with(&tables::MEMBER_PROFILE, &sample(&tables::MEMBER_PROFILE, OURS, 1), "data", Vec::new());
        db.write(|tx| tx.insert_rows(&tables::MEMBER_PROFILE, std::slice::from_ref(&profile))).unwrap();
        assert_eq!(db.ours(&tables::MEMBER_PROFILE), vec![profile], "empty bytes are not nothing");
    }

    fn inserting_a_key_that_is_there_is_a_conflict_and_changes_it_not(db) {
        for table in tables::ALL {
            let first = sample(table, OURS, 1);
            db.write(|tx| tx.insert_rows(table, std::slice::from_ref(&first))).unwrap();
            let mut second = first.clone();
            let last = second.len() - 1;
            second[last] = match &second[last] {
                Value::Bytes(_) => Value::from(b"other"),
                Value::Text(_) => Value::from("other"),
                Value::Int(_) | Value::Null if table.columns[last].kind == tessera_store::Kind::Int => Value::Int(77),
                _ => Value::from("other"),
            };
            let refused = db.write(|tx| tx.insert_rows(table, std::slice::from_ref(&second)));
            assert_eq!(refused, Err(StoreError::Conflict { table: table.name }));
            assert_eq!(db.ours(table), vec![first], "{}", table.name);
        }
    }

    fn the_same_key_twice_in_one_insert_is_a_conflict(db) {
        let table = &tables::EVENT_KEY;
        let row = sample(table, OURS, 1);
        let refused = db.write(|tx| tx.insert_rows(table, &[row.clone(), row.clone()]));
        assert_eq!(refused, Err(StoreError::Conflict { table: "event_key" }));
        assert_eq!(db.ours(table), Vec::<Row>::new());
    }

    fn a_unique_column_beside_the_key_conflicts_too(db) {
        let table = &tables::PROGRAM;
        let taken = sample(table, THEIRS, 0);
        let row = with(table, &sample(table, OURS, 0), "key", taken[1].clone());
        let refused = db.write(|tx| tx.insert_rows(table, std::slice::from_ref(&row)));
        assert_eq!(refused, Err(StoreError::Conflict { table: "program" }));
    }

    fn a_transaction_lives_on_after_a_conflict(db) {
        let table = &tables::EVENT_KEY;
        let row = sample(table, OURS, 1);
        db.write(|tx| tx.insert_rows(table, std::slice::from_ref(&row))).unwrap();
        db.write(|tx| {
            assert!(tx.insert_rows(table, std::slice::from_ref(&row)).is_err());
            assert_eq!(tx.fetch_by_keys(table, &[key(table, &row)])?, vec![row.clone()]);
            tx.insert_rows(table, &[sample(table, OURS, 2)])
        })
        .unwrap();
        assert_eq!(db.ours(table).len(), 2);
    }

    fn an_entry_moves_a_positive_amount(db) {
        let table = &tables::ENTRY;
        for amount in [0, -5] {
            let row = with(table, &sample(table, OURS, 1), "amount", amount);
            let refused = db.write(|tx| tx.insert_rows(table, std::slice::from_ref(&row)));
            assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        }
        assert_eq!(db.ours(table), Vec::<Row>::new());
    }

    fn a_row_that_does_not_fit_is_refused_before_it_is_sent(db) {
        let table = &tables::ORDER_KEY;
        let row = sample(table, OURS, 2);
        let refused = [
            row[..3].to_vec(),
            [row.clone(), vec![Value::Null]].concat(),
            with(table, &row, "seq", "7"),
            with(table, &row, "member", "text"),
            with(table, &row, "progress", 7),
            with(table, &row, "progress", "a\0b"),
            with(table, &row, "member", Value::Null),
        ];
        db.write(|tx| {
            for row in refused {
                for answer in [tx.insert_rows(table, std::slice::from_ref(&row)), tx.upsert_rows(table, std::slice::from_ref(&row))] {
                    assert!(matches!(answer, Err(StoreError::Database(_))), "{answer:?}");
                }
            }
            assert!(tx.fetch_by_keys(table, &[vec![Value::Int(1), id(1), Value::Int(OURS)]]).is_err());
            assert!(tx.fetch_by_keys(table, std::slice::from_ref(&row)).is_err());
            tx.insert_rows(table, std::slice::from_ref(&row))
        })
        .unwrap();
        assert_eq!(db.ours(table), vec![row]);
    }
}
