//! Ordinary SQL in the portable subset, and what errors tell.

use tessera_store::{Dialect, Row, StoreError, Value, tables};

use crate::support::{OURS, TestDb, index, sample};

fn ask(db: &TestDb, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
    let by_reader = db.database.read(|reader| reader.query(sql, params));
    let in_tx = db.write(|tx| tx.query(sql, params));
    assert_eq!(by_reader.is_ok(), in_tx.is_ok(), "{by_reader:?} {in_tx:?}");
    if let (Ok(one), Ok(other)) = (&by_reader, &in_tx) {
        assert_eq!(one, other);
    }
    by_reader
}

on_both! {
    fn placeholders_go_by_their_number_not_by_where_they_stand(db) {
        let sql = "SELECT CAST($2 AS TEXT), CAST($1 AS BIGINT), CAST($2 AS TEXT), '$1', '?1'";
        let row = ask(db, sql, &[Value::Int(1), Value::from("two")]).unwrap();
        assert_eq!(row, vec![vec!["two".into(), Value::Int(1), "two".into(), "$1".into(), "?1".into()]]);
    }

    fn every_kind_of_value_goes_in_and_comes_out(db) {
        let sql = "SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), $3 = $3, $1 IS NULL, CAST($4 AS TEXT)";
        let row = ask(db, sql, &[Value::Int(i64::MIN), "ไทย".into(), Value::Int(5), Value::Null]);
        // PostgreSQL cannot tell the type of $3 alone and takes text: a number is refused by name, not sent.
        match db.database.dialect() {
            Dialect::Sqlite => {
                let expected: Row = vec![Value::Int(i64::MIN), "ไทย".into(), Value::Int(1), Value::Int(0), Value::Null];
                assert_eq!(row.unwrap(), vec![expected]);
            }
            Dialect::Postgres => assert!(row.unwrap_err().to_string().contains("$3")),
        }
        let sql = "SELECT hash, head > 1, member FROM event_key, program \
                   WHERE event_key.key = $1 AND program.program = event_key.program AND head = $2";
        let (key, program) = (&sample(&tables::EVENT_KEY, OURS, 1), &sample(&tables::PROGRAM, OURS, 0));
        db.write(|tx| {
            tx.insert_rows(&tables::EVENT_KEY, std::slice::from_ref(key))?;
            tx.insert_rows(&tables::PROGRAM, std::slice::from_ref(program))
        })
        .unwrap();
        let head = program[index(&tables::PROGRAM, "head")].clone();
        let row = ask(db, sql, &[key[2].clone(), head]).unwrap();
        assert_eq!(row, vec![vec![key[3].clone(), Value::Int(0), Value::Null]]);
    }

    fn statements_change_rows_and_say_how_many(db) {
        let rows: Vec<Row> = (0..5).map(|n| sample(&tables::OUTBOX, OURS, n)).collect();
        db.write(|tx| tx.insert_rows(&tables::OUTBOX, &rows)).unwrap();
        let update = "UPDATE outbox SET state = $3, attempts = attempts + 1 WHERE program = $1 AND due_at > $2";
        let changed = db.write(|tx| tx.execute(update, &[OURS.into(), Value::Int(11), Value::Int(-1)])).unwrap();
        assert_eq!(changed, 3);
        let delete = "DELETE FROM outbox WHERE program = $1 AND state = -1 RETURNING due_at";
        let gone = db.write(|tx| tx.query(delete, &[OURS.into()])).unwrap();
        assert_eq!(crate::support::sorted(gone), [21, 31, 41].map(|due| vec![Value::Int(due)]).to_vec());
        assert_eq!(db.ours(&tables::OUTBOX), rows[..2]);
    }

    fn texts_are_ordered_by_their_bytes(db) {
        let names = ["b", "B", "ä", "a", "Z", "a b", "a-b", "ab"];
        let rows: Vec<Row> = names.iter().map(|name| vec![Value::Int(1), OURS.into(), (*name).into(), Value::Int(0)]).collect();
        db.write(|tx| tx.insert_rows(&tables::POOL, &rows)).unwrap();
        let found = ask(db, "SELECT pool FROM pool WHERE program = $1 AND bucket = 1 ORDER BY pool", &[OURS.into()]).unwrap();
        let mut expected = names.map(Value::from);
        expected.sort();
        assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), expected);
    }

    fn too_few_or_too_many_parameters_are_refused(db) {
        let sql = "SELECT used FROM pool WHERE program = $1 AND bucket = $2";
        for params in [vec![], vec![Value::Int(1)], vec![Value::Int(1); 3]] {
            assert!(matches!(ask(db, sql, &params), Err(StoreError::Database(_))), "{}", params.len());
        }
        assert!(db.write(|tx| tx.execute("DELETE FROM pool WHERE bucket = $1", &[])).is_err());
    }

    fn a_result_that_is_no_whole_number_asks_for_a_cast(db) {
        let error = ask(db, "SELECT 1.5 * COUNT(*) FROM pool", &[]).unwrap_err();
        assert!(error.to_string().contains("cast"), "{error}");
        ask(db, "SELECT CAST(SUM(used) AS BIGINT) FROM pool", &[]).unwrap();
    }

    fn errors_tell_names_but_never_contents(db) {
        let secret = "an.nguyen@example.com";
        let row = crate::support::with(&tables::POOL, &sample(&tables::POOL, OURS, 1), "pool", secret);
        db.write(|tx| tx.insert_rows(&tables::POOL, std::slice::from_ref(&row))).unwrap();
        let copy = "INSERT INTO pool (bucket, program, pool, used) SELECT bucket, program, pool, used FROM pool WHERE pool = $1";
        let entry = crate::support::with(&tables::ENTRY, &sample(&tables::ENTRY, OURS, 1), "campaign", secret);
        let entry = crate::support::with(&tables::ENTRY, &entry, "amount", 0);
        let errors = [
            db.write(|tx| tx.execute(copy, &[secret.into()])).unwrap_err(),
            db.write(|tx| tx.insert_rows(&tables::ENTRY, std::slice::from_ref(&entry))).unwrap_err(),
            db.write(|tx| tx.execute("UPDATE pool SET used = NULL WHERE pool = $1", &[secret.into()])).unwrap_err(),
            db.write(|tx| tx.execute("UPDATE pool SET used = $1", &[secret.into()])).unwrap_err(),
        ];
        for error in &errors {
            assert!(matches!(error, StoreError::Database(_)), "{error:?}");
            assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
        }
        assert!(errors[0].to_string().contains("pool") && errors[1].to_string().contains("entry_amount"), "{errors:?}");
    }

    fn an_error_in_the_statement_is_named(db) {
        let error = ask(db, "SELECT nonsense FROM pool", &[]).unwrap_err();
        assert!(error.to_string().contains("nonsense"), "{error}");
        assert!(!error.is_transient());
        let error = ask(db, "SELECT \"nonsense\" FROM pool", &[]).unwrap_err();
        assert!(error.to_string().contains("nonsense"), "double quotes name columns, never texts: {error}");
    }
}
