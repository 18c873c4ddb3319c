//! What the migrations make, and when a database is refused.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tessera_store::{Database, Dialect, Kind, Row, StoreError, Value, migration_names, tables};

use crate::support::{OURS, TestDb, distinct, sample, with};

fn texts(rows: Vec<Row>) -> Vec<String> {
    rows.into_iter().flatten().map(|value| value.into_text().unwrap()).collect()
}

fn ask(db: &TestDb, sql: &str, params: &[Value]) -> Vec<Row> {
    db.database.read(|reader| reader.query(sql, params)).unwrap()
}

#[test]
fn both_folders_hold_the_same_migrations() {
    let folder = |name: &str| -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(name);
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        files.map(|name| name.strip_suffix(".sql").unwrap_or(&name).to_owned()).collect()
    };
    let known: BTreeSet<String> = migration_names().map(str::to_owned).collect();
    assert_eq!(folder("sqlite"), known);
    assert_eq!(folder("postgres"), known);
    assert!(versions().is_sorted_by(|one, next| one < next), "numbers rise: {:?}", versions());
}

/// The number of every migration; gaps are allowed.
fn versions() -> Vec<i64> {
    let number = |name: &str| name.strip_prefix('V').and_then(|name| name.split_once("__")?.0.parse().ok());
    migration_names().map(|name| number(name).unwrap()).collect()
}

on_both! {
    fn tables_are_as_the_verbs_describe_them(db) {
        for table in tables::every() {
            let described = table.columns.iter().enumerate().map(|(i, column)| {
                let kind = match (column.kind, db.database.dialect()) {
                    (Kind::Int, Dialect::Sqlite) => "INTEGER",
                    (Kind::Int, Dialect::Postgres) => "bigint",
                    (Kind::Text, Dialect::Sqlite) => "TEXT",
                    (Kind::Text, Dialect::Postgres) => "text",
                    (Kind::Bytes, Dialect::Sqlite) => "BLOB",
                    (Kind::Bytes, Dialect::Postgres) => "bytea",
                };
                let key = if i < table.key { i64::try_from(i).unwrap() + 1 } else { 0 };
                let row: Row = vec![column.name.into(), kind.into(), i64::from(!column.nullable).into(), key.into()];
                row
            });
            let sql = match db.database.dialect() {
                Dialect::Sqlite => "SELECT name, type, \"notnull\", pk FROM pragma_table_info($1) ORDER BY cid",
                Dialect::Postgres => {
                    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                            COALESCE(array_position(CAST(p.conkey AS int2[]), a.attnum), 0) \
                     FROM pg_attribute a LEFT JOIN pg_constraint p ON p.conrelid = a.attrelid AND p.contype = 'p' \
                     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
                }
            };
            assert_eq!(ask(db, sql, &[table.name.into()]), described.collect::<Vec<_>>(), "{}", table.name);
        }
    }

    fn every_table_is_described(db) {
        let sql = match db.database.dialect() {
            Dialect::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
            Dialect::Postgres => {
                "SELECT relname FROM pg_class WHERE relkind = 'r' \
                 AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
            }
        };
        let made: BTreeSet<String> = texts(ask(db, sql, &[])).into_iter().collect();
        let described = tables::every().map(|table| table.name).chain(["refinery_schema_history"]);
        assert_eq!(made, described.map(str::to_owned).collect());
    }

    fn no_trigger_no_foreign_key_no_sequence(db) {
        match db.database.dialect() {
            Dialect::Sqlite => {
                let odd = "SELECT name FROM sqlite_schema WHERE type IN ('trigger', 'view') OR name = 'sqlite_sequence'";
                assert_eq!(texts(ask(db, odd, &[])), Vec::<String>::new());
                let foreign = "SELECT m.name FROM sqlite_schema m, pragma_foreign_key_list(m.name)";
                assert_eq!(texts(ask(db, foreign, &[])), Vec::<String>::new());
            }
            Dialect::Postgres => {
                let here = "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())";
                for odd in [
                    format!("SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = {here}"),
                    "SELECT tgname FROM pg_trigger".to_owned(),
                    format!("SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = {here}"),
                    format!("SELECT proname FROM pg_proc WHERE pronamespace = {here}"),
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() \
                     AND (column_default IS NOT NULL OR is_identity = 'YES')".to_owned(),
                ] {
                    assert_eq!(texts(ask(db, &odd, &[])), Vec::<String>::new(), "{odd}");
                }
            }
        }
    }

    fn hot_tables_have_no_index_beside_the_key_and_the_wake_up(db) {
        let sql = match db.database.dialect() {
            Dialect::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
            Dialect::Postgres => {
                "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
                 JOIN pg_class t ON t.oid = x.indrelid AND t.relname <> 'refinery_schema_history' \
                 WHERE i.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
                 AND NOT x.indisprimary AND NOT x.indisunique ORDER BY i.relname"
            }
        };
        let cold = ["case_file_", "fulfilment_", "partner_order_", "pool_code_", "waitlist_"];
        let mut found = texts(ask(db, sql, &[]));
        found.retain(|name| !cold.iter().any(|table| name.starts_with(table)));
        let known =
            ["adjustment_state", "api_key_hash", "member_identifier_claimed", "member_wake_at", "outbox_due", "outbox_topic"];
        assert_eq!(found, known);
    }

    fn the_search_for_wake_ups_uses_its_index(db) {
        let rows = distinct(&tables::MEMBER, OURS, 0..1_000);
        db.write(|tx| tx.insert_rows(&tables::MEMBER, &rows)).unwrap();
        let due = "SELECT bucket, program, member FROM member WHERE wake_at IS NOT NULL AND wake_at <= $1 \
                   ORDER BY wake_at LIMIT 10";
        let explain = match db.database.dialect() {
            Dialect::Sqlite => format!("EXPLAIN QUERY PLAN {due}"),
            Dialect::Postgres => format!("EXPLAIN {}", due.replace("$1", "CAST(50 AS BIGINT)")),
        };
        let params = if db.database.dialect() == Dialect::Sqlite { vec![Value::Int(50)] } else { vec![] };
        let plan = db.write(|tx| tx.query(&explain, &params)).unwrap();
        let plan = plan.iter().flatten().filter_map(|value| value.text().ok()).collect::<Vec<_>>().join("\n");
        assert!(plan.contains("member_wake_at"), "{plan}");
    }

    fn what_was_committed_is_there_after_reopening(db) {
        let rows = distinct(&tables::EVENT, OURS, 0..10);
        db.write(|tx| tx.insert_rows(&tables::EVENT, &rows)).unwrap();
        let again = db.open_again().unwrap();
        let keys: Vec<Row> = rows.iter().map(|row| row[..4].to_vec()).collect();
        let found = again.read(|reader| reader.fetch_by_keys(&tables::EVENT, &keys)).unwrap();
        assert_eq!(crate::support::sorted(found), rows);
        let mut writer = again.writer().unwrap();
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::EVENT, &[sample(&tables::EVENT, OURS, 10)]).unwrap();
        tx.commit().unwrap();
        assert_eq!(db.ours(&tables::EVENT).len(), 11, "the first handle sees it too");
    }

    fn several_may_open_at_once(db) {
        let opened: Vec<Result<(), StoreError>> = std::thread::scope(|scope| {
            let opening: Vec<_> = (0..6).map(|_| scope.spawn(|| db.open_again().map(|_| ()))).collect();
            opening.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(opened, vec![Ok(()); 6]);
    }

    fn a_database_of_a_newer_version_is_refused_with_advice(db) {
        let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
                     VALUES (99, 'from_the_future', '2030-01-01T00:00:00Z', '1')";
        db.write(|tx| tx.execute(newer, &[])).unwrap();
        let refused = db.open_again().map(|_| ()).unwrap_err();
        let known = *versions().last().unwrap();
        assert_eq!(refused, StoreError::SchemaTooNew { found: 99, known });
        assert!(refused.to_string().contains("newer version of Tessera") && refused.to_string().contains("99"));
    }

    fn a_reader_takes_the_database_as_it_is(db) {
        db.write(|tx| tx.insert_rows(&tables::EVENT, &[sample(&tables::EVENT, OURS, 0)])).unwrap();
        let reader = db.open_to_read().unwrap();
        let count = || reader.read(|reader| reader.query("SELECT COUNT(*) FROM event WHERE program = $1", &[OURS.into()])).unwrap();
        assert_eq!(count(), vec![vec![Value::Int(1)]]);
        db.write(|tx| tx.insert_rows(&tables::EVENT, &[sample(&tables::EVENT, OURS, 1)])).unwrap();
        assert_eq!(count(), vec![vec![Value::Int(2)]], "beside a writer");
        assert!(matches!(reader.writer().map(|_| ()), Err(StoreError::Database(_))));
        assert!(reader.read(|reader| reader.query("DELETE FROM event", &[])).is_err());
    }

    fn a_reader_refuses_another_schema_than_its_own_and_leaves_it(db) {
        let known = *versions().last().unwrap();
        let newest = "WHERE version = (SELECT MAX(version) FROM refinery_schema_history)";
        let ahead = format!("UPDATE refinery_schema_history SET version = CAST($1 AS INTEGER) {newest}");
        db.write(|tx| tx.execute(&ahead, &[(known + 1).into()])).unwrap();
        let too_new = StoreError::SchemaTooNew { found: known + 1, known };
        assert_eq!(db.open_to_read().map(|_| ()), Err(too_new));
        db.write(|tx| tx.execute(&format!("DELETE FROM refinery_schema_history {newest}"), &[])).unwrap();
        let too_old = StoreError::SchemaTooOld { found: versions().into_iter().rev().nth(1).unwrap(), known };
        assert_eq!(db.open_to_read().map(|_| ()), Err(too_old));
        db.write(|tx| tx.execute("DROP TABLE refinery_schema_history", &[])).unwrap();
        assert_eq!(db.open_to_read().map(|_| ()), Err(StoreError::SchemaMissing));
        assert_eq!(db.open_to_read().map(|_| ()), Err(StoreError::SchemaMissing), "it was not made");
    }

    fn a_database_whose_migration_was_edited_is_refused(db) {
        db.write(|tx| tx.execute("UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1", &[])).unwrap();
        let refused = db.open_again().map(|_| ());
        assert!(matches!(refused, Err(StoreError::SchemaBroken { .. })), "{refused:?}");
        assert_eq!(db.schema().map(|_| ()), refused);
    }

    fn the_schema_tells_what_was_applied(db) {
        let schema = db.schema().unwrap();
        assert_eq!((schema.applied, schema.pending), (migration_names().collect(), Vec::new()));
    }

    fn a_database_without_anything_tells_what_is_pending(db) {
        for table in tables::every().map(|table| table.name).chain(["refinery_schema_history"]) {
            db.write(|tx| tx.execute(&format!("ALTER TABLE {table} RENAME TO {table}_away"), &[])).unwrap();
        }
        let schema = db.schema().unwrap();
        assert_eq!((schema.applied, schema.pending), (Vec::new(), migration_names().collect()));
        for table in tables::every().map(|table| table.name).chain(["refinery_schema_history"]) {
            db.write(|tx| tx.execute(&format!("ALTER TABLE {table}_away RENAME TO {table}"), &[])).unwrap();
        }
    }

    fn a_half_made_schema_is_refused_and_left(db) {
        let refused = |problem: &str| {
            for refusal in [db.open_again().map(|_| ()).unwrap_err(), db.schema().unwrap_err()] {
                let StoreError::SchemaBroken { problem: found } = &refusal else { panic!("{refusal}") };
                assert!(found.contains(problem), "{found}");
            }
        };
        db.write(|tx| tx.execute("ALTER TABLE voucher RENAME TO voucher_away", &[])).unwrap();
        refused("voucher");
        db.write(|tx| tx.execute("ALTER TABLE voucher_away RENAME TO voucher", &[])).unwrap();
        db.write(|tx| tx.execute("ALTER TABLE api_key RENAME COLUMN scopes TO rights", &[])).unwrap();
        refused("scopes");
        db.write(|tx| tx.execute("ALTER TABLE api_key RENAME COLUMN rights TO scopes", &[])).unwrap();
        db.write(|tx| tx.execute("DELETE FROM refinery_schema_history", &[])).unwrap();
        refused("no record");
    }
}

#[test]
fn sqlite_is_strict_durable_and_rowless_where_rows_are_narrow() {
    let db = TestDb::new(Dialect::Sqlite).unwrap();
    let loose = "SELECT name FROM pragma_table_list \
                 WHERE schema = 'main' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'refinery%' AND strict = 0";
    assert_eq!(texts(ask(&db, loose, &[])), Vec::<String>::new());
    let rowless = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr = 1 ORDER BY name";
    let expected = [
        "code_pool",
        "draw",
        "entry",
        "event_key",
        "fulfilment",
        "installation",
        "member_identifier",
        "order_key",
        "partner_order",
        "pool",
        "pool_code",
        "possession",
        "program",
        "redemption",
        "voucher",
        "voucher_batch",
        "voucher_code",
        "voucher_text",
        "waitlist",
    ];
    assert_eq!(texts(ask(&db, rowless, &[])), expected);
    let mut writer = db.database.writer().unwrap();
    let mut tx = writer.begin().unwrap();
    for (pragma, expected) in [
        ("PRAGMA journal_mode", Value::from("wal")),
        // NORMAL: a commit flushes by itself, or leaves it to `Database::flush`.
        ("PRAGMA synchronous", Value::Int(1)),
        ("PRAGMA foreign_keys", Value::Int(0)),
        ("PRAGMA wal_autocheckpoint", Value::Int(0)),
    ] {
        assert_eq!(tx.query(pragma, &[]).unwrap(), vec![vec![expected]], "{pragma}");
    }
}

#[test]
fn sqlite_files_left_by_a_crash_hold_every_commit_and_nothing_else() {
    let db = TestDb::new(Dialect::Sqlite).unwrap();
    let mut writer = db.database.writer().unwrap();
    for n in 0..20 {
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::ENTRY, &[sample(&tables::ENTRY, OURS, n)]).unwrap();
        tx.commit().unwrap();
    }
    let mut tx = writer.begin().unwrap();
    tx.insert_rows(&tables::ENTRY, &[sample(&tables::ENTRY, OURS, 99)]).unwrap();
    // What a crash leaves: the file and the log as they are now, closed by nobody.
    let crashed = tempfile::TempDir::new().unwrap();
    let file = crashed.path().join("tessera.db");
    std::fs::copy(db.file().unwrap(), &file).unwrap();
    std::fs::copy(db.file().unwrap().with_extension("db-wal"), file.with_extension("db-wal")).unwrap();
    drop(tx);

    let again = Database::open_sqlite(&file).unwrap();
    let ask = "SELECT COUNT(*), MAX(seq) FROM entry WHERE program = $1";
    let found = again.read(|reader| reader.query(ask, &[OURS.into()])).unwrap();
    assert_eq!(found, vec![vec![Value::Int(20), Value::Int(19)]]);
}

/// What was committed before the copy began is in it; nothing of a later commit is, however many there are meanwhile.
#[test]
fn sqlite_is_copied_as_it_is_at_one_moment_beside_a_writer() {
    let db = TestDb::new(Dialect::Sqlite).unwrap();
    let rows: Vec<Row> = (0..20_000).map(|n| sample(&tables::ENTRY, OURS, n)).collect();
    db.write(|tx| tx.insert_rows(&tables::ENTRY, &rows)).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let copy = folder.path().join("copy.db");
    let mut writer = db.database.writer().unwrap();
    let (mut seq, mut told) = (20_000, Vec::new());
    Database::copy_sqlite(&db.file().unwrap(), &copy, &mut |done, total| {
        told.push((done, total));
        let mut tx = writer.begin().unwrap();
        // Both at the front and at the end of the tree.
        tx.insert_rows(&tables::ENTRY, &[sample(&tables::ENTRY, OURS, seq), sample(&tables::ENTRY, 0, seq)]).unwrap();
        tx.commit().unwrap();
        seq += 1;
    })
    .unwrap();
    assert!(told.len() > 1, "it takes several steps: {told:?}");
    assert_eq!(told.last().map(|(done, total)| done == total), Some(true), "{told:?}");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["copy.db"], "one file");
    let copied = Database::open_sqlite_to_read(&copy).unwrap();
    let found = copied.read(|reader| {
        assert_eq!(reader.query("PRAGMA quick_check", &[])?, vec![vec![Value::from("ok")]]);
        reader.query("SELECT COUNT(*), MAX(seq) FROM entry", &[])
    });
    assert_eq!(found, Ok(vec![vec![Value::Int(20_000), Value::Int(19_999)]]));
}

/// The salts of a log, which change whenever it is started anew; `None` for one without a header.
///
/// The count of checkpoints before them is the writer's own. Where the disk takes all at once, the thread's connection
/// cuts the log, and the count stays: on a fast disk a test that compared it saw no start up to its last megabyte.
fn salts_of(log: &Path) -> Option<[u8; 8]> {
    let mut header = [0; 24];
    std::fs::File::open(log).ok()?.read_exact(&mut header).ok()?;
    header[16..].try_into().ok()
}

/// How soon the thread comes to it depends on the machine, so the writer goes on until it has.
#[test]
fn sqlite_copies_the_log_beside_the_writer_and_starts_it_anew() {
    let db = TestDb::new(Dialect::Sqlite).unwrap();
    let file = db.file().unwrap();
    let log = file.with_extension("db-wal");
    let mut writer = db.database.writer().unwrap();
    let payload = "x".repeat(100_000);
    // Transactions of about 1 MB.
    let mut write = |batch: i64| {
        let row = |n| with(&tables::EVENT, &sample(&tables::EVENT, OURS, batch * 10 + n), "payload", payload.as_str());
        let rows: Vec<Row> = (0..10).map(row).collect();
        let mut tx = writer.begin().unwrap();
        tx.insert_rows(&tables::EVENT, &rows).unwrap();
        tx.commit().unwrap();
    };
    write(0);
    let first = salts_of(&log);
    assert!(first.is_some());
    let mut written = 1;
    while salts_of(&log) == first {
        assert!(written < 3_000, "it was not started anew in {written} MB");
        write(written);
        written += 1;
        // Where the disk takes all at once, the thread is let copy most of it.
        while std::fs::metadata(&file).unwrap().len() + (256 << 20) < u64::try_from(written).unwrap() << 20 {
            std::thread::yield_now();
        }
    }
    assert!(written > 90, "it was started anew after {written} MB");
    let copied = std::fs::metadata(&file).unwrap().len();
    assert!(copied > 80 << 20, "what was in it was copied: {} MiB", copied >> 20);
}

#[test]
fn a_reader_leaves_no_file_behind_and_makes_none() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("tessera.db");
    assert!(matches!(Database::open_sqlite_to_read(&file).map(|_| ()), Err(StoreError::Unavailable(_))));
    assert!(!file.exists());
    drop(Database::open_sqlite(&file).unwrap());
    let names = || -> BTreeSet<_> {
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let (before, bytes) = (names(), std::fs::read(&file).unwrap());
    let reader = Database::open_sqlite_to_read(&file).unwrap();
    reader.read(|reader| reader.query("SELECT COUNT(*) FROM member", &[])).unwrap();
    drop(reader);
    assert_eq!(names(), before);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

/// Readers come and go as commands do, while the writer goes on, closes the log and begins a new one.
#[test]
fn readers_come_and_go_beside_writers_that_do() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("tessera.db");
    drop(Database::open_sqlite(&file).unwrap());
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..20 {
                let database = Database::open_sqlite(&file).unwrap();
                let mut writer = database.writer().unwrap();
                for n in 0..10 {
                    let mut tx = writer.begin().unwrap();
                    tx.insert_rows(&tables::ENTRY, &[sample(&tables::ENTRY, OURS, round * 10 + n)]).unwrap();
                    tx.commit().unwrap();
                }
            }
            written.store(true, Ordering::Relaxed);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut least = 0;
                while !written.load(Ordering::Relaxed) {
                    let reader = Database::open_sqlite_to_read(&file).unwrap();
                    let count = reader.read(|reader| reader.query("SELECT COUNT(*) FROM entry", &[])).unwrap();
                    let count = count[0][0].int().unwrap();
                    assert!(count >= least, "{count} after {least}");
                    least = count;
                }
            });
        }
    });
}

#[test]
fn a_file_that_is_no_database_or_no_place_is_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "these are notes, not a database, and long enough to look at closely".repeat(20)).unwrap();
    assert!(matches!(Database::open_sqlite(&file).map(|_| ()), Err(StoreError::Database(_))));
    let nowhere = folder.path().join("missing").join("tessera.db");
    assert!(matches!(Database::open_sqlite(&nowhere).map(|_| ()), Err(StoreError::Unavailable(_))));
}

#[test]
fn a_wrong_url_is_refused_without_its_password() {
    for url in [
        "postgres://me:s3cret@host:port/x",
        "postgres://me:s3cret@%2Fnowhere/x",
        "nonsense s3cret",
        "postgres://me@[::1]:1/x?s3cret=1",
    ] {
        let refused = Database::open_postgres(url).map(|_| ()).unwrap_err();
        assert!(!refused.to_string().contains("s3cret"), "{refused}");
    }
}

#[test]
fn without_citus_nothing_is_spread() {
    let prepare = |url: &str| drop(Database::open_postgres(url).unwrap());
    let Some(database) = crate::postgres::prepared_database(prepare) else { return };
    let refused = tessera_store::spread_with_citus(&database.url(), 32).unwrap_err();
    assert_eq!(refused, StoreError::NoCitus);
    assert!(refused.to_string().contains("CREATE EXTENSION citus in this database"), "{refused}");
}

/// As far as can be told without Citus, which refuses a lock over several shards: with a row in the catalogue that says it
/// is there, a pool is locked by its key alone.
#[test]
fn where_citus_is_a_pool_is_locked_by_a_statement_of_its_own() {
    let prepare = |url: &str| drop(Database::open_postgres(url).unwrap());
    let Some(database) = crate::postgres::prepared_database(prepare) else { return };
    let pretend = "SET allow_system_table_mods = on; INSERT INTO pg_extension (oid, extname, extowner, extnamespace, \
                   extrelocatable, extversion) VALUES (99999, 'citus', 10, 11, false, '0'); SELECT 1";
    assert_eq!(database.count(pretend), 1);
    let mut writer = Database::open_postgres(&database.url()).unwrap().writer().unwrap();
    let mut tx = writer.begin().unwrap();
    let pool = |name: &str| -> Row { vec![7.into(), 1.into(), name.into()] };
    tx.take_from_pools(&[(pool("stock"), 2, 5), (pool("budget"), 3, 5)]).unwrap();
    let refused = tx.take_from_pools(&[(pool("stock"), 4, 5)]);
    assert_eq!(refused, Err(StoreError::PoolExhausted { pool: "stock".to_owned(), used: 2, cap: 5 }));
    let locks = "SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%FOR UPDATE%' AND statement NOT LIKE '%pg_prepared%'";
    let statements = texts(tx.query(locks, &[]).unwrap());
    assert_eq!(statements.len(), 1, "{statements:?}");
    assert!(statements[0].contains("FROM pool WHERE bucket = $1 AND"), "{statements:?}");
    tx.commit().unwrap();
}
