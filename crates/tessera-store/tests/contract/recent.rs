//! Rows that were read lately: as a read would find them, whatever was written since.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tessera_store::{Database, Dialect, Row, StoreError, Table, Tx, Value, Writer, tables};

use crate::support::{OURS, TestDb, key, sample, sorted, with};

const TABLE: &Table = &tables::MEMBER;

fn embedded() -> TestDb {
    TestDb::new(Dialect::Sqlite).unwrap()
}

fn write<T>(writer: &mut Writer, f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> T {
    let mut tx = writer.begin().unwrap();
    let answer = f(&mut tx).unwrap();
    tx.commit().unwrap();
    answer
}

/// What is known of a row without a read: `None` where it would have to be read.
fn recent(database: &Database, table: &'static Table, row: &Row) -> Option<Option<Row>> {
    let recent = database.recent()?;
    let found = recent.fetch_by_keys(table, &[key(table, row)]).unwrap()?;
    recent.is_still_so().then(|| found.into_iter().next())
}

fn read(database: &Database, table: &'static Table, row: &Row) -> Option<Row> {
    let found = database.read(|reader| reader.fetch_by_keys(table, &[key(table, row)])).unwrap();
    found.into_iter().next()
}

fn at_version(row: &Row, version: i64) -> Row {
    with(TABLE, row, "version", version)
}

#[test]
fn a_row_that_was_read_is_known_as_it_is_now() {
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let (row, other) = (sample(TABLE, OURS, 1), sample(TABLE, OURS, 2));
    assert_eq!(recent(&db.database, TABLE, &row), None, "nobody has asked yet");
    assert_eq!(read(&db.database, TABLE, &row), None);
    assert_eq!(recent(&db.database, TABLE, &row), Some(None), "that there is none is known too");
    write(&mut writer, |tx| tx.insert_rows(TABLE, &[row.clone(), other.clone()]));
    assert_eq!(recent(&db.database, TABLE, &row), Some(Some(row.clone())));
    assert_eq!(recent(&db.database, TABLE, &other), None, "nobody has asked for it");
    let next = with(TABLE, &at_version(&row, 2), "state", vec![7, 7]);
    write(&mut writer, |tx| tx.upsert_rows(TABLE, std::slice::from_ref(&next)));
    assert_eq!(recent(&db.database, TABLE, &row), Some(Some(next.clone())));
    let mut tx = writer.begin().unwrap();
    tx.upsert_rows(TABLE, &[at_version(&row, 3)]).unwrap();
    assert_eq!(recent(&db.database, TABLE, &row), Some(Some(next.clone())), "not before it is committed");
    drop(tx);
    assert_eq!(recent(&db.database, TABLE, &row), Some(Some(next)), "it never happened");
}

#[test]
fn several_keys_are_known_together_or_not_at_all() {
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let rows: Vec<Row> = (0..4).map(|n| sample(TABLE, OURS, n)).collect();
    write(&mut writer, |tx| tx.insert_rows(TABLE, &rows[..3]));
    // Twice, in no order, and one that is not there.
    let keys: Vec<Row> = [3, 1, 0, 1].map(|n: usize| key(TABLE, &rows[n])).to_vec();
    let found = || db.database.recent().unwrap().fetch_by_keys(TABLE, &keys).unwrap();
    assert_eq!(read(&db.database, TABLE, &rows[0]), Some(rows[0].clone()));
    assert_eq!(found(), None);
    db.database.read(|reader| reader.fetch_by_keys(TABLE, &keys)).unwrap();
    assert_eq!(found().map(sorted), Some(sorted(rows[..2].to_vec())));
    let recent = db.database.recent().unwrap();
    assert!(recent.is_still_so());
    write(&mut writer, |tx| tx.insert_rows(TABLE, &rows[3..]));
    assert!(!recent.is_still_so(), "what was found before is of another moment than what is found now");
    assert!(
        db.database.recent().unwrap().fetch_by_keys(TABLE, &[vec![Value::Int(1)]]).is_err(),
        "no key of this table"
    );
}

/// What a read finds that began before `meanwhile` is not what is known after it.
fn not_known_from_before(meanwhile: impl FnOnce(&TestDb, Writer, &Row) -> Writer) {
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let row = sample(TABLE, OURS, 1);
    write(&mut writer, |tx| tx.insert_rows(TABLE, std::slice::from_ref(&row)));
    let mut writer = Some(writer);
    let old = db.database.read(|reader| {
        // It sees the database as it is here.
        reader.query("SELECT COUNT(*) FROM member", &[])?;
        writer = writer.take().map(|writer| meanwhile(&db, writer, &row));
        reader.fetch_by_keys(TABLE, &[key(TABLE, &row)])
    });
    assert_eq!(old.unwrap(), std::slice::from_ref(&row));
    assert_eq!(recent(&db.database, TABLE, &row), None);
    let now = read(&db.database, TABLE, &row);
    assert_ne!(now.as_ref(), Some(&row));
    assert_eq!(recent(&db.database, TABLE, &row), Some(now));
}

#[test]
fn a_read_that_comes_late_brings_nothing_old() {
    not_known_from_before(|_, mut writer, row| {
        write(&mut writer, |tx| tx.upsert_rows(TABLE, &[at_version(row, 2)]));
        writer
    });
    not_known_from_before(|_, mut writer, _| {
        write(&mut writer, |tx| tx.execute("UPDATE member SET wake_at = 77 WHERE program = $1", &[OURS.into()]));
        writer
    });
    not_known_from_before(|db, writer, row| {
        drop(writer);
        let again = db.open_again().unwrap();
        write(&mut again.writer().unwrap(), |tx| tx.upsert_rows(TABLE, &[at_version(row, 2)]));
        db.database.writer().unwrap()
    });
}

#[test]
fn what_was_read_while_it_was_being_written_is_not_known() {
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let row = sample(TABLE, OURS, 1);
    write(&mut writer, |tx| {
        tx.insert_rows(TABLE, std::slice::from_ref(&row))?;
        assert_eq!(read(&db.database, TABLE, &row), None, "it is not committed");
        assert_eq!(recent(&db.database, TABLE, &row), Some(None));
        Ok(())
    });
    assert_eq!(recent(&db.database, TABLE, &row), None);
    assert_eq!(read(&db.database, TABLE, &row), Some(row));
}

#[test]
fn any_statement_that_changes_a_kept_table_is_noticed() {
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let row = sample(TABLE, OURS, 2);
    write(&mut writer, |tx| tx.insert_rows(TABLE, std::slice::from_ref(&row)));
    let statements = [
        ("UPDATE member SET wake_at = 77 WHERE program = $1", true),
        ("update member set wake_at = 78 where program = $1", true),
        ("UPDATE OR IGNORE member SET wake_at = 79 WHERE program = $1", true),
        ("WITH n(i) AS (SELECT 80) UPDATE member SET wake_at = (SELECT i FROM n) WHERE program = $1", true),
        ("DELETE FROM member WHERE program = $1 AND wake_at = 1", true),
        ("UPDATE event SET payload = '{}' WHERE program = $1", false),
        ("DELETE FROM possession WHERE program = $1", false),
        ("SELECT COUNT(*) FROM member WHERE program = $1", false),
    ];
    for (sql, changes) in statements {
        let now = read(&db.database, TABLE, &row);
        assert_eq!(recent(&db.database, TABLE, &row), Some(now));
        match sql.starts_with("SELECT") {
            true => drop(write(&mut writer, |tx| tx.query(sql, &[OURS.into()]))),
            false => drop(write(&mut writer, |tx| tx.execute(sql, &[OURS.into()]))),
        }
        let known = recent(&db.database, TABLE, &row);
        assert_eq!(known.is_none(), changes, "{sql}");
        assert!(known.is_none_or(|known| known == read(&db.database, TABLE, &row)), "{sql}");
    }
    let returning = "UPDATE member SET wake_at = 81 WHERE program = $1 RETURNING CAST(1 AS BIGINT)";
    read(&db.database, TABLE, &row);
    write(&mut writer, |tx| tx.query(returning, &[OURS.into()]));
    assert_eq!(recent(&db.database, TABLE, &row), None);
}

#[test]
fn a_conflict_leaves_nothing_known_that_was_not_written() {
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let row = sample(TABLE, OURS, 1);
    write(&mut writer, |tx| tx.insert_rows(TABLE, std::slice::from_ref(&row)));
    for upserts in [true, false] {
        read(&db.database, TABLE, &row);
        assert_eq!(recent(&db.database, TABLE, &row), Some(Some(row.clone())));
        let mut tx = writer.begin().unwrap();
        let refused = match upserts {
            true => tx.upsert_rows(TABLE, &[at_version(&row, 9)]),
            false => tx.insert_rows(TABLE, &[with(TABLE, &row, "state", vec![1])]),
        };
        assert_eq!(refused, Err(StoreError::Conflict { table: "member" }));
        tx.commit().unwrap();
        assert_eq!(recent(&db.database, TABLE, &row), None);
    }
    assert_eq!(read(&db.database, TABLE, &row), Some(row));
}

#[test]
fn nothing_is_known_where_others_may_write() {
    let db = embedded();
    let row = sample(TABLE, OURS, 1);
    read(&db.database, TABLE, &row);
    assert!(db.database.recent().is_none(), "this handle has no writer");
    let writer = db.database.writer().unwrap();
    assert_eq!(recent(&db.database, TABLE, &row), None, "nor what was read before it had one");
    read(&db.database, TABLE, &row);
    assert_eq!(recent(&db.database, TABLE, &row), Some(None));
    drop(writer);
    assert!(db.database.recent().is_none());
    let again = db.open_again().unwrap();
    write(&mut again.writer().unwrap(), |tx| tx.insert_rows(TABLE, std::slice::from_ref(&row)));
    drop(again);
    let _writer = db.database.writer().unwrap();
    assert_eq!(recent(&db.database, TABLE, &row), None, "another handle wrote meanwhile");
    assert!(db.open_to_read().unwrap().recent().is_none());
    if let Some(server) = TestDb::new(Dialect::Postgres) {
        let _writer = server.database.writer().unwrap();
        assert!(server.database.recent().is_none(), "other processes change its rows");
    }
}

#[test]
fn tables_that_are_not_kept_are_read() {
    let db = embedded();
    let _writer = db.database.writer().unwrap();
    let row = sample(&tables::EVENT, OURS, 1);
    read(&db.database, &tables::EVENT, &row);
    assert_eq!(recent(&db.database, &tables::EVENT, &row), None);
    for table in [&tables::MEMBER_IDENTIFIER, &tables::MEMBER_PROFILE, &tables::ORDER_KEY, &tables::POOL] {
        let row = sample(table, OURS, 1);
        read(&db.database, table, &row);
        assert_eq!(recent(&db.database, table, &row), Some(None), "{}", table.name);
    }
}

#[test]
fn a_row_too_large_to_keep_is_forgotten_and_not_kept_as_it_was() {
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let row = sample(TABLE, OURS, 1);
    write(&mut writer, |tx| tx.insert_rows(TABLE, std::slice::from_ref(&row)));
    read(&db.database, TABLE, &row);
    let large = with(TABLE, &at_version(&row, 2), "state", vec![0; 40 << 20]);
    write(&mut writer, |tx| tx.upsert_rows(TABLE, std::slice::from_ref(&large)));
    assert_eq!(recent(&db.database, TABLE, &row), None);
    read(&db.database, TABLE, &row);
    assert_eq!(recent(&db.database, TABLE, &row), None);
}

#[test]
fn what_is_kept_stays_within_its_bound() {
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let rows: Vec<Row> = (0..64).map(|n| with(TABLE, &sample(TABLE, OURS, n), "state", vec![0; 1 << 20])).collect();
    write(&mut writer, |tx| tx.insert_rows(TABLE, &rows));
    rows.iter().for_each(|row| drop(read(&db.database, TABLE, row)));
    let kept = rows.iter().filter(|row| recent(&db.database, TABLE, row).is_some()).count();
    assert!((1..=32).contains(&kept), "{kept} of a megabyte each");
}

/// Readers fill while the writer raises numbers: whoever looks after a commit sees no smaller number than it wrote.
#[test]
fn beside_a_writer_nobody_finds_what_was_before() {
    const ROWS: i64 = 8;
    const ROUNDS: i64 = 80;
    let db = embedded();
    let mut writer = db.database.writer().unwrap();
    let pool = |n: i64| vec![Value::Int(n), OURS.into(), format!("pool {n}").into()];
    let committed: Vec<AtomicI64> = (0..ROWS).map(|_| AtomicI64::new(0)).collect();
    let (over, known) = (AtomicBool::new(false), AtomicI64::new(0));
    let used = |rows: Vec<Row>| rows.first().map_or(0, |row| row[3].int().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut n = 0;
                while !over.load(Ordering::SeqCst) {
                    n = (n + 1) % ROWS;
                    let at_least = committed[n as usize].load(Ordering::SeqCst);
                    let recent = db.database.recent();
                    let found = recent.and_then(|recent| recent.fetch_by_keys(&tables::POOL, &[pool(n)]).unwrap());
                    if let Some(rows) = found {
                        known.fetch_add(1, Ordering::SeqCst);
                        let found = used(rows);
                        assert!(found >= at_least, "{found} was found after {at_least} was written");
                    } else {
                        db.database.read(|reader| reader.fetch_by_keys(&tables::POOL, &[pool(n)])).unwrap();
                    }
                }
            });
        }
        for round in 1..=ROUNDS {
            for n in 0..ROWS {
                // A statement forgets everything, so that readers fill again.
                write(&mut writer, |tx| match (round + n) % 3 {
                    0 => tx
                        .execute(
                            "UPDATE pool SET used = used + 1 WHERE bucket = $1 AND program = $2 AND pool = $3",
                            &pool(n),
                        )
                        .map(drop),
                    _ => tx.take_from_pools(&[(pool(n), 1, i64::MAX)]),
                });
                let now = read(&db.database, &tables::POOL, &pool(n)).map_or(0, |row| row[3].int().unwrap());
                committed[n as usize].store(now, Ordering::SeqCst);
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(known.load(Ordering::SeqCst) > 0, "nothing was ever found");
}
