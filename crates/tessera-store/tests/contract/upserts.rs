//! `upsert_rows` and its guard.

use tessera_store::{Row, StoreError, Value, tables};

use crate::support::{OURS, THEIRS, distinct, sample, with};

const CONFLICT: Result<(), StoreError> = Err(StoreError::Conflict { table: "member" });

on_both! {
    fn without_a_guard_rows_are_added_or_replaced(db) {
        for table in tables::ALL.into_iter().filter(|table| table.guard.is_none() && table.key > 1) {
            let old = distinct(table, OURS, 0..4);
            db.write(|tx| tx.insert_rows(table, &old)).unwrap();
            // The values of another row under the same keys, and two rows more.
            let new: Vec<Row> = distinct(table, OURS, 2..6)
                .into_iter()
                .map(|row| [&row[..table.key], &sample(table, OURS, row[0].int().unwrap() + 101)[table.key..]].concat())
                .collect();
            db.write(|tx| tx.upsert_rows(table, &new)).unwrap();
            let expected = [&old[..2], &new[..]].concat();
            assert_eq!(db.ours(table), expected, "{}", table.name);
        }
    }

    fn a_guarded_row_is_new_at_version_one_and_then_written_over_the_version_before(db) {
        for table in [&tables::MEMBER, &tables::ORDER_KEY] {
            let new = distinct(table, OURS, 0..4);
            db.write(|tx| tx.upsert_rows(table, &new)).unwrap();
            assert_eq!(db.ours(table), new);
            // Two rows go on, two more are new: both in one call.
            let mut batch: Vec<Row> = new[..2].iter().map(|row| with(table, row, "version", 2)).collect();
            batch.extend(distinct(table, OURS, 4..6));
            db.write(|tx| tx.upsert_rows(table, &batch)).unwrap();
            assert_eq!(db.ours(table), [&batch[..2], &new[2..], &batch[2..]].concat());
        }
    }

    fn a_guarded_update_writes_every_other_column(db) {
        let table = &tables::MEMBER;
        let old = sample(table, OURS, 2);
        let mut new = with(table, &with(table, &old, "version", 2), "wake_at", Value::Null);
        new = with(table, &with(table, &new, "status", 9), "state", b"another state");
        db.write(|tx| tx.upsert_rows(table, std::slice::from_ref(&old))).unwrap();
        db.write(|tx| tx.upsert_rows(table, std::slice::from_ref(&new))).unwrap();
        assert_eq!(db.ours(table), vec![new]);
    }

    fn a_version_that_is_not_the_next_is_a_conflict(db) {
        let table = &tables::MEMBER;
        let row = sample(table, OURS, 1);
        db.write(|tx| tx.upsert_rows(table, std::slice::from_ref(&row))).unwrap();
        let current = with(table, &row, "version", 2);
        db.write(|tx| tx.upsert_rows(table, std::slice::from_ref(&current))).unwrap();
        for stale in [1, 2, 4, 0, -1] {
            let row = with(table, &with(table, &row, "version", stale), "status", 99);
            assert_eq!(db.write(|tx| tx.upsert_rows(table, &[row])), CONFLICT, "version {stale} over 2");
        }
        assert_eq!(db.ours(table), vec![current]);
    }

    fn a_later_version_of_a_row_that_is_not_there_is_a_conflict(db) {
        let table = &tables::MEMBER;
        for version in [0, 2, 3] {
            let row = with(table, &sample(table, OURS, 1), "version", version);
            assert_eq!(db.write(|tx| tx.upsert_rows(table, &[row])), CONFLICT, "version {version}");
        }
        assert_eq!(db.ours(table), Vec::<Row>::new());
    }

    fn one_stale_row_among_many_is_a_conflict(db) {
        let table = &tables::MEMBER;
        let rows = distinct(table, OURS, 0..20);
        db.write(|tx| tx.upsert_rows(table, &rows)).unwrap();
        let mut next: Vec<Row> = rows.iter().map(|row| with(table, row, "version", 2)).collect();
        next[13] = with(table, &rows[13], "version", 3);
        assert_eq!(db.write(|tx| tx.upsert_rows(table, &next)), CONFLICT);
        assert_eq!(db.ours(table), rows);
    }

    /// PostgreSQL answers the COMMIT of a transaction that it has given up with success.
    fn after_a_unique_column_was_met_a_commit_keeps_all_or_says_that_it_kept_nothing(db) {
        let table = &tables::PROGRAM;
        let (taken, before) = (sample(table, THEIRS, 0), sample(&tables::EVENT_KEY, OURS, 1));
        let row = with(table, &sample(table, OURS, 0), "key", taken[1].clone());
        let mut writer = db.database.writer().unwrap();
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::EVENT_KEY, std::slice::from_ref(&before)).unwrap();
        assert!(tx.upsert_rows(table, std::slice::from_ref(&row)).is_err());
        let kept = match tx.commit() {
            Ok(()) => vec![before],
            Err(_) => Vec::new(),
        };
        drop(writer);
        assert_eq!(db.ours(&tables::EVENT_KEY), kept);
    }

    fn the_same_key_twice_in_one_upsert_is_a_conflict(db) {
        for table in [&tables::MEMBER, &tables::VOUCHER] {
            let row = sample(table, OURS, 1);
            let refused = db.write(|tx| tx.upsert_rows(table, &[row.clone(), with(table, &row, "status", 5)]));
            assert_eq!(refused, Err(StoreError::Conflict { table: table.name }));
            assert_eq!(db.ours(table), Vec::<Row>::new());
        }
    }
}
