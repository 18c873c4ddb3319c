#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tempfile::TempDir;

use super::RecentRows;
use crate::tables::{self, MEMBER, POOL};
use crate::{Database, Kind, Row, StoreError, Table, Tx, Value, Writer};

struct Embedded {
    // Closed before the folder goes.
    database: Database,
    folder: TempDir,
}

impl Embedded {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { database: open(&folder), folder }
    }

    /// Another handle, as another process would have.
    fn open_again(&self) -> Database {
        open(&self.folder)
    }

    fn recent(&self) -> &RecentRows {
        match &self.database.backend {
            crate::db::Backend::Sqlite(database) => &database.recent,
            crate::db::Backend::Postgres(_) => unreachable!(),
        }
    }

    /// What is known of a row now without a read: `None` where it would have to be read.
    fn known(&self, table: &'static Table, row: &Row) -> Option<Option<Row>> {
        self.recent().get(self.recent().moment()?, table, table.key_of(row))
    }

    /// What a read finds, that may keep it.
    fn read(&self, table: &'static Table, row: &Row) -> Option<Row> {
        let found = self.database.read_again(|reader| reader.fetch_by_keys(table, &[key(table, row)])).unwrap();
        // It is the same as without memory.
        let anew = self.database.read(|reader| reader.fetch_by_keys(table, &[key(table, row)])).unwrap();
        assert_eq!(found, anew);
        found.into_iter().next()
    }
}

fn open(folder: &TempDir) -> Database {
    Database::open_sqlite(&folder.path().join("tessera.db")).unwrap()
}

fn key(table: &Table, row: &Row) -> Row {
    table.key_of(row).to_vec()
}

/// The n-th row of a table.
fn sample(table: &Table, n: i64) -> Row {
    let value = |(place, column): (usize, &crate::Column)| match column.kind {
        Kind::Int if table.guard == Some(place) => Value::Int(1),
        Kind::Int => Value::Int(n),
        Kind::Text => format!("{} {n}", column.name).into(),
        Kind::Bytes => n.to_be_bytes().repeat(2).into(),
    };
    table.columns.iter().enumerate().map(value).collect()
}

/// A member, and the same at a later version.
fn member(n: i64) -> Row {
    sample(&MEMBER, n)
}

fn at_version(row: &Row, version: i64) -> Row {
    with_state(row, version, vec![9])
}

fn with_state(row: &Row, version: i64, state: Vec<u8>) -> Row {
    let mut row = row.clone();
    row[3] = version.into();
    row[6] = state.into();
    row
}

fn write<T>(writer: &mut Writer, f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> T {
    let mut tx = writer.begin().unwrap();
    let answer = f(&mut tx).unwrap();
    tx.commit().unwrap();
    answer
}

#[test]
fn a_row_that_was_read_is_known_as_it_is_now() {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let (row, other) = (member(1), member(2));
    assert_eq!(db.known(&MEMBER, &row), None, "nobody has asked yet");
    assert_eq!(db.read(&MEMBER, &row), None);
    assert_eq!(db.known(&MEMBER, &row), Some(None), "that there is none is known too");
    write(&mut writer, |tx| tx.insert_rows(&MEMBER, &[row.clone(), other.clone()]));
    assert_eq!(db.known(&MEMBER, &row), Some(Some(row.clone())));
    assert_eq!(db.known(&MEMBER, &other), None, "nobody has asked for it");
    let next = at_version(&row, 2);
    write(&mut writer, |tx| tx.upsert_rows(&MEMBER, std::slice::from_ref(&next)));
    assert_eq!(db.known(&MEMBER, &row), Some(Some(next.clone())));
    let mut tx = writer.begin().unwrap();
    tx.upsert_rows(&MEMBER, &[at_version(&row, 3)]).unwrap();
    assert_eq!(db.known(&MEMBER, &row), Some(Some(next.clone())), "not before it is committed");
    drop(tx);
    assert_eq!(db.known(&MEMBER, &row), Some(Some(next)), "it never happened");
}

#[test]
fn what_is_known_and_what_is_read_is_found_together() {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let rows: Vec<Row> = (0..4).map(member).collect();
    write(&mut writer, |tx| tx.insert_rows(&MEMBER, &rows[..3]));
    db.read(&MEMBER, &rows[1]);
    db.read(&MEMBER, &rows[3]);
    // Twice, in no order, two known and two not, two there and one not.
    let keys: Vec<Row> = [3, 2, 1, 0, 1].map(|n: usize| key(&MEMBER, &rows[n])).to_vec();
    for _ in 0..2 {
        let mut found = db.database.read_again(|reader| reader.fetch_by_keys(&MEMBER, &keys)).unwrap();
        found.sort();
        assert_eq!(found, rows[..3]);
    }
    assert!(rows.iter().all(|row| db.known(&MEMBER, row).is_some()));
    let wrong = db.database.read_again(|reader| reader.fetch_by_keys(&MEMBER, &[vec![Value::Int(1)]]));
    assert!(wrong.is_err(), "no key of this table");
}

/// What another handle does unseen shows that memory was asked, and what a read must never do.
#[test]
fn a_read_takes_from_memory_what_is_known_and_no_other_read_does() {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let row = member(1);
    write(&mut writer, |tx| tx.insert_rows(&MEMBER, std::slice::from_ref(&row)));
    db.read(&MEMBER, &row);
    let again = db.open_again();
    write(&mut again.writer().unwrap(), |tx| tx.upsert_rows(&MEMBER, &[at_version(&row, 2)]));
    let keys = [key(&MEMBER, &row)];
    let known = db.database.read_again(|reader| reader.fetch_by_keys(&MEMBER, &keys)).unwrap();
    assert_eq!(known, std::slice::from_ref(&row));
    let read = db.database.read(|reader| reader.fetch_by_keys(&MEMBER, &keys)).unwrap();
    assert_eq!(read, [at_version(&row, 2)]);
}

/// A read sees one moment: what is written after it began it neither sees nor keeps.
fn sees_one_moment(meanwhile: impl FnOnce(&Embedded, Writer, &Row) -> Writer) {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let (row, unread) = (member(1), member(2));
    write(&mut writer, |tx| tx.insert_rows(&MEMBER, &[row.clone(), unread.clone()]));
    db.read(&MEMBER, &row);
    let mut writer = Some(writer);
    let both = [key(&MEMBER, &row), key(&MEMBER, &unread)];
    let found = db.database.read_again(|reader| {
        writer = writer.take().map(|writer| meanwhile(&db, writer, &row));
        reader.fetch_by_keys(&MEMBER, &both)
    });
    let mut found = found.unwrap();
    found.sort();
    assert_eq!(found, [row.clone(), unread.clone()]);
    let known = db.known(&MEMBER, &row);
    let now = db.read(&MEMBER, &row);
    assert_ne!(now.as_ref(), Some(&row));
    assert!(known.is_none_or(|known| known == now));
    let known = db.known(&MEMBER, &unread);
    let now = db.read(&MEMBER, &unread);
    assert!(known.is_none_or(|known| known == now));
}

#[test]
fn what_is_written_while_a_read_goes_on_is_not_mixed_in() {
    let later = |row: &Row| [at_version(row, 2), at_version(&member(2), 2)];
    sees_one_moment(|_, mut writer, row| {
        write(&mut writer, |tx| tx.upsert_rows(&MEMBER, &later(row)));
        writer
    });
    sees_one_moment(|_, mut writer, _| {
        write(&mut writer, |tx| tx.execute("UPDATE member SET wake_at = 77", &[]));
        writer
    });
    sees_one_moment(|db, writer, row| {
        drop(writer);
        let again = db.open_again();
        write(&mut again.writer().unwrap(), |tx| tx.upsert_rows(&MEMBER, &later(row)));
        db.database.writer().unwrap()
    });
}

#[test]
fn while_a_commit_is_under_way_nothing_is_taken_or_kept() {
    let db = Embedded::new();
    let _writer = db.database.writer().unwrap();
    let row = member(1);
    db.recent().commits();
    assert_eq!(db.read(&MEMBER, &row), None);
    db.recent().told(&super::Changes::default());
    assert_eq!(db.known(&MEMBER, &row), None);
    db.read(&MEMBER, &row);
    assert_eq!(db.known(&MEMBER, &row), Some(None));
    db.recent().commits();
    assert_eq!(db.known(&MEMBER, &row), None);
    db.recent().told(&super::Changes::default());
    assert_eq!(db.known(&MEMBER, &row), Some(None));
}

#[test]
fn what_was_read_while_it_was_being_written_is_not_known() {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let row = member(1);
    write(&mut writer, |tx| {
        tx.insert_rows(&MEMBER, std::slice::from_ref(&row))?;
        assert_eq!(db.read(&MEMBER, &row), None, "it is not committed");
        assert_eq!(db.known(&MEMBER, &row), Some(None));
        Ok(())
    });
    assert_eq!(db.known(&MEMBER, &row), None);
    assert_eq!(db.read(&MEMBER, &row), Some(row));
}

#[test]
fn any_statement_that_changes_a_kept_table_is_noticed() {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let row = sample(&MEMBER, 2);
    write(&mut writer, |tx| tx.insert_rows(&MEMBER, std::slice::from_ref(&row)));
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
        let now = db.read(&MEMBER, &row);
        assert_eq!(db.known(&MEMBER, &row), Some(now));
        match sql.starts_with("SELECT") {
            true => drop(write(&mut writer, |tx| tx.query(sql, &[Value::Int(2)]))),
            false => drop(write(&mut writer, |tx| tx.execute(sql, &[Value::Int(2)]))),
        }
        let known = db.known(&MEMBER, &row);
        assert_eq!(known.is_none(), changes, "{sql}");
        assert!(known.is_none_or(|known| known == db.read(&MEMBER, &row)), "{sql}");
    }
    let returning = "UPDATE member SET wake_at = 81 WHERE program = $1 RETURNING CAST(1 AS BIGINT)";
    db.read(&MEMBER, &row);
    write(&mut writer, |tx| tx.query(returning, &[Value::Int(2)]));
    assert_eq!(db.known(&MEMBER, &row), None);
}

#[test]
fn a_conflict_leaves_nothing_known_that_was_not_written() {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let row = sample(&MEMBER, 1);
    write(&mut writer, |tx| tx.insert_rows(&MEMBER, std::slice::from_ref(&row)));
    for upserts in [true, false] {
        db.read(&MEMBER, &row);
        assert_eq!(db.known(&MEMBER, &row), Some(Some(row.clone())));
        let mut tx = writer.begin().unwrap();
        let refused = match upserts {
            true => tx.upsert_rows(&MEMBER, &[at_version(&row, 9)]),
            false => tx.insert_rows(&MEMBER, &[with_state(&row, 1, vec![1])]),
        };
        assert_eq!(refused, Err(StoreError::Conflict { table: "member" }));
        tx.commit().unwrap();
        assert_eq!(db.known(&MEMBER, &row), None);
    }
    assert_eq!(db.read(&MEMBER, &row), Some(row));
}

#[test]
fn nothing_is_known_where_others_may_write() {
    let db = Embedded::new();
    let row = member(1);
    db.read(&MEMBER, &row);
    assert_eq!(db.recent().moment(), None, "this handle has no writer");
    let writer = db.database.writer().unwrap();
    assert_eq!(db.known(&MEMBER, &row), None, "nor is what was read before it had one");
    db.read(&MEMBER, &row);
    assert_eq!(db.known(&MEMBER, &row), Some(None));
    drop(writer);
    assert_eq!(db.recent().moment(), None);
    let again = db.open_again();
    write(&mut again.writer().unwrap(), |tx| tx.insert_rows(&MEMBER, std::slice::from_ref(&row)));
    drop(again);
    let _writer = db.database.writer().unwrap();
    assert_eq!(db.known(&MEMBER, &row), None, "another handle wrote meanwhile");
}

#[test]
fn tables_that_are_not_kept_are_read() {
    let db = Embedded::new();
    let _writer = db.database.writer().unwrap();
    let row = sample(&tables::EVENT, 1);
    db.read(&tables::EVENT, &row);
    assert_eq!(db.known(&tables::EVENT, &row), None);
    for table in [&tables::MEMBER_IDENTIFIER, &tables::MEMBER_PROFILE, &tables::ORDER_KEY, &tables::POOL] {
        let row = sample(table, 1);
        db.read(table, &row);
        assert_eq!(db.known(table, &row), Some(None), "{}", table.name);
    }
}

#[test]
fn a_row_too_large_to_keep_is_forgotten_and_not_kept_as_it_was() {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let row = sample(&MEMBER, 1);
    write(&mut writer, |tx| tx.insert_rows(&MEMBER, std::slice::from_ref(&row)));
    db.read(&MEMBER, &row);
    let large = with_state(&row, 2, vec![0; 40 << 20]);
    write(&mut writer, |tx| tx.upsert_rows(&MEMBER, std::slice::from_ref(&large)));
    assert_eq!(db.known(&MEMBER, &row), None);
    db.read(&MEMBER, &row);
    assert_eq!(db.known(&MEMBER, &row), None);
}

#[test]
fn what_is_kept_stays_within_its_bound() {
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let rows: Vec<Row> = (0..64).map(|n| with_state(&member(n), 1, vec![0; 1 << 20])).collect();
    write(&mut writer, |tx| tx.insert_rows(&MEMBER, &rows));
    rows.iter().for_each(|row| drop(db.read(&MEMBER, row)));
    let kept = rows.iter().filter(|row| db.known(&MEMBER, row).is_some()).count();
    assert!((1..=32).contains(&kept), "{kept} of a megabyte each");
}

/// Readers fill while the writer raises two numbers together: whoever looks finds both alike, and none smaller than what was
/// written before they looked.
#[test]
fn beside_a_writer_nobody_finds_what_was_before() {
    const PAIRS: i64 = 4;
    const ROUNDS: i64 = 150;
    let db = Embedded::new();
    let mut writer = db.database.writer().unwrap();
    let pool = |n: i64| vec![Value::Int(n), Value::Int(1), format!("pool {n}").into()];
    let committed: Vec<AtomicI64> = (0..PAIRS).map(|_| AtomicI64::new(0)).collect();
    let (over, known) = (AtomicBool::new(false), AtomicI64::new(0));
    let look = |pair: i64| {
        let keys = [pool(2 * pair), pool(2 * pair + 1)];
        let recent = db.recent();
        known.fetch_add(
            i64::from(recent.moment().is_some_and(|moment| recent.get(moment, &POOL, &keys[0]).is_some())),
            Ordering::SeqCst,
        );
        let found = db.database.read_again(|reader| {
            // One after the other, so that a commit may come between.
            Ok([reader.fetch_by_keys(&POOL, &keys[..1])?, reader.fetch_by_keys(&POOL, &keys[1..])?])
        });
        found.unwrap().map(|rows| rows.first().map_or(0, |row| row[3].int().unwrap()))
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut pair = 0;
                while !over.load(Ordering::SeqCst) {
                    pair = (pair + 1) % PAIRS;
                    let at_least = committed[pair as usize].load(Ordering::SeqCst);
                    let [one, other] = look(pair);
                    assert_eq!(one, other, "they are written together");
                    assert!(one >= at_least, "{one} was found after {at_least} was written");
                }
            });
        }
        for round in 1..=ROUNDS {
            for pair in 0..PAIRS {
                // A statement forgets everything, so that readers fill again.
                write(&mut writer, |tx| match (round + pair) % 5 {
                    0 => tx.execute("UPDATE pool SET used = used + 1 WHERE bucket / 2 = $1", &[pair.into()]).map(drop),
                    _ => tx.take_from_pools(&[(pool(2 * pair), 1, i64::MAX), (pool(2 * pair + 1), 1, i64::MAX)]),
                });
                committed[pair as usize].store(look(pair)[0], Ordering::SeqCst);
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(known.load(Ordering::SeqCst) > 0, "nothing was ever found");
}
