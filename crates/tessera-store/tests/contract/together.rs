//! `fetch_together` and `write_together`, and transactions in which little or nothing is asked.

use tessera_store::{Dialect, Row, StoreError, Table, Write, tables};

use crate::support::{OURS, distinct, key, sample, sorted, with};

fn keys(table: &'static Table, rows: &[Row]) -> (&'static Table, Vec<Row>) {
    (table, rows.iter().map(|row| key(table, row)).collect())
}

on_both! {
    fn rows_of_several_tables_come_in_the_places_of_their_keys(db) {
        let (members, orders) = (distinct(&tables::MEMBER, OURS, 0..3), distinct(&tables::ORDER_KEY, OURS, 0..40));
        db.write(|tx| {
            tx.write_together(&[
                Write::Insert(&tables::ORDER_KEY, &orders),
                Write::Insert(&tables::VOUCHER, &[]),
                Write::Upsert(&tables::MEMBER, &members),
            ])
        })
        .unwrap();
        let asked = [
            keys(&tables::MEMBER, &members[1..]),
            (&tables::VOUCHER, Vec::new()),
            keys(&tables::EVENT_KEY, &distinct(&tables::EVENT_KEY, OURS, 0..5)),
            keys(&tables::ORDER_KEY, &orders),
            keys(&tables::MEMBER, &members[..1]),
        ];
        let expected = vec![members[1..].to_vec(), vec![], vec![], sorted(orders), members[..1].to_vec()];
        let in_tx = db.write(|tx| tx.fetch_together(&asked)).unwrap();
        assert_eq!(in_tx.into_iter().map(sorted).collect::<Vec<_>>(), expected);
        let by_reader = db.database.read(|reader| reader.fetch_together(&asked)).unwrap();
        assert_eq!(by_reader.into_iter().map(sorted).collect::<Vec<_>>(), expected);
        assert_eq!(db.write(|tx| tx.fetch_together(&[])).unwrap(), Vec::<Vec<Row>>::new());
        db.write(|tx| tx.write_together(&[])).unwrap();
    }

    fn what_is_written_together_is_new_or_takes_the_place_of_what_was(db) {
        let table = &tables::MEMBER;
        let (old, new) = (sample(table, OURS, 1), sample(table, OURS, 2));
        db.write(|tx| tx.write_together(&[Write::Insert(table, std::slice::from_ref(&old))])).unwrap();
        let changed = with(table, &with(table, &old, "version", 2), "status", 5);
        let both = [changed.clone(), with(table, &new, "version", 1)];
        db.write(|tx| tx.write_together(&[Write::Upsert(table, &both)])).unwrap();
        assert_eq!(sorted(db.ours(table)), sorted(both.to_vec()));
    }

    fn the_first_conflict_of_several_writes_is_told_and_undoes_all(db) {
        let (held, member) = (sample(&tables::EVENT_KEY, OURS, 1), sample(&tables::MEMBER, OURS, 1));
        db.write(|tx| {
            tx.insert_rows(&tables::EVENT_KEY, std::slice::from_ref(&held))?;
            tx.insert_rows(&tables::MEMBER, std::slice::from_ref(&member))
        })
        .unwrap();
        let order = [sample(&tables::ORDER_KEY, OURS, 1)];
        let (taken, free) = ([held.clone()], [sample(&tables::EVENT_KEY, OURS, 2)]);
        let stale = [with(&tables::MEMBER, &member, "version", 7)];
        let twice = [free[0].clone(), free[0].clone()];
        let (orders, events) = (&tables::ORDER_KEY, &tables::EVENT_KEY);
        for (writes, table) in [
            ([Write::Insert(orders, &order), Write::Insert(events, &taken)], "event_key"),
            ([Write::Insert(events, &taken), Write::Insert(orders, &order)], "event_key"),
            ([Write::Insert(orders, &order), Write::Insert(events, &twice)], "event_key"),
            ([Write::Upsert(&tables::MEMBER, &stale), Write::Insert(events, &taken)], "member"),
            ([Write::Insert(events, &free), Write::Upsert(&tables::MEMBER, &stale)], "member"),
        ] {
            let mut writer = db.database.writer().unwrap();
            let mut tx = writer.begin().unwrap();
            let refused = tx.write_together(&writes);
            // The second write of these went through before the count of the first was known, and must not stay.
            assert!(matches!(&refused, Err(StoreError::Conflict { .. })), "{refused:?}");
            if !matches!(writes, [Write::Upsert(..), _]) {
                assert_eq!(refused, Err(StoreError::Conflict { table }));
            }
            assert!(matches!(tx.commit(), Err(StoreError::Database(_))), "it was committed after a conflict");
            drop(writer);
            assert_eq!(db.ours(orders), Vec::<Row>::new());
            assert_eq!(db.ours(events), taken);
            assert_eq!(db.ours(&tables::MEMBER), std::slice::from_ref(&member));
        }
    }

    fn a_transaction_in_which_nothing_is_asked_ends_either_way(db) {
        let mut writer = db.database.writer().unwrap();
        writer.begin().unwrap().commit().unwrap();
        drop(writer.begin().unwrap());
        let row = sample(&tables::EVENT_KEY, OURS, 1);
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::EVENT_KEY, std::slice::from_ref(&row)).unwrap();
        tx.commit().unwrap();
        assert_eq!(db.database.read(|_| Ok(7)).unwrap(), 7);
        drop(writer);
        assert_eq!(db.ours(&tables::EVENT_KEY), [row]);
    }

    fn whatever_a_transaction_asks_first_is_part_of_it(db) {
        if db.database.dialect() == Dialect::Sqlite {
            return; // begins before anything is asked
        }
        let table = &tables::EVENT_KEY;
        let row = |n| sample(table, OURS, n);
        let mut writer = db.database.writer().unwrap();
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(table, &[row(1)]).unwrap();
        drop(tx);
        let mut tx = writer.begin().unwrap();
        tx.write_together(&[Write::Insert(table, &[row(2)])]).unwrap();
        drop(tx);
        let mut tx = writer.begin().unwrap();
        tx.execute("DELETE FROM program WHERE program = $1", &[1.into()]).unwrap();
        drop(tx);
        let mut tx = writer.begin().unwrap();
        let sql = "INSERT INTO installation (name, value) VALUES ('first', '1') RETURNING name";
        tx.query(sql, &[]).unwrap();
        drop(tx);
        let mut tx = writer.begin().unwrap();
        assert_eq!(tx.query("SELECT name FROM installation WHERE name = 'first'", &[]).unwrap(), Vec::<Row>::new());
        tx.insert_rows(table, &[row(3)]).unwrap();
        drop(tx);
        let mut tx = writer.begin().unwrap();
        tx.fetch_together(&[keys(table, &[row(3)])]).unwrap();
        tx.insert_rows(table, &[row(4)]).unwrap();
        drop(tx);
        drop(writer);
        assert_eq!(db.ours(table), Vec::<Row>::new());
    }
}
