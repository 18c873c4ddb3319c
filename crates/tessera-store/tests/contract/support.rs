//! A database per test, rows to put in it, and the neighbour who must not notice.

use std::path::PathBuf;

use crate::postgres::{self, TestDatabase};
use tempfile::TempDir;
use tessera_store::{Database, Dialect, Kind, Row, Schema, StoreError, Table, Tx, Value, tables};

/// The program under test.
pub const OURS: i64 = 1;
/// The program that holds the same ids.
pub const THEIRS: i64 = 2;
/// How many rows the neighbour has in each table.
const THEIR_ROWS: i64 = 12;

/// Writes each test for both databases.
macro_rules! on_both {
    ($($(#[$meta:meta])* fn $name:ident($db:ident) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn check($db: &crate::support::TestDb) $body

            #[test]
            fn sqlite() {
                crate::support::run(tessera_store::Dialect::Sqlite, check);
            }

            #[test]
            fn postgres() {
                crate::support::run(tessera_store::Dialect::Postgres, check);
            }
        }
    )*};
}

pub struct TestDb {
    // Closed before the place goes.
    pub database: Database,
    place: Place,
}

enum Place {
    Folder(TempDir),
    Server(TestDatabase),
}

/// Runs the test beside a neighbour with the same ids, who must hold the same rows afterwards.
pub fn run(dialect: Dialect, check: fn(&TestDb)) {
    let Some(db) = TestDb::new(dialect) else { return };
    db.write(|tx| {
        for table in tables::ALL {
            tx.insert_rows(table, &distinct(table, THEIRS, 0..THEIR_ROWS))?;
        }
        Ok(())
    })
    .unwrap();
    let before = db.rows_of(THEIRS);
    check(&db);
    assert_eq!(db.rows_of(THEIRS), before, "the second program must not change");
}

impl TestDb {
    pub fn new(dialect: Dialect) -> Option<Self> {
        let place = match dialect {
            Dialect::Sqlite => Place::Folder(TempDir::new().unwrap()),
            Dialect::Postgres => {
                Place::Server(postgres::prepared_database(|url| drop(Database::open_postgres(url).unwrap()))?)
            }
        };
        let database = open(&place).unwrap();
        Some(Self { database, place })
    }

    /// A second handle to the same database, as another process would have.
    pub fn open_again(&self) -> Result<Database, StoreError> {
        open(&self.place)
    }

    /// A handle that only reads.
    pub fn open_to_read(&self) -> Result<Database, StoreError> {
        match &self.place {
            Place::Folder(folder) => Database::open_sqlite_to_read(&file_in(folder)),
            Place::Server(server) => Database::open_postgres_to_read(&server.url()),
        }
    }

    /// Where its schema stands.
    pub fn schema(&self) -> Result<Schema, StoreError> {
        match &self.place {
            Place::Folder(folder) => Database::schema_of_sqlite(&file_in(folder)),
            Place::Server(server) => Database::schema_of_postgres(&server.url()),
        }
    }

    /// The SQLite file.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Folder(folder) => Some(file_in(folder)),
            Place::Server(_) => None,
        }
    }

    /// One committed transaction.
    pub fn write<T>(&self, f: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut writer = self.database.writer()?;
        let mut tx = writer.begin()?;
        let answer = f(&mut tx)?;
        tx.commit()?;
        Ok(answer)
    }

    /// All rows of our program in a table, in key order.
    pub fn ours(&self, table: &Table) -> Vec<Row> {
        self.rows(table, OURS)
    }

    /// Every table of a program.
    fn rows_of(&self, program: i64) -> Vec<(&'static str, Vec<Row>)> {
        tables::ALL.map(|table| (table.name, self.rows(table, program))).to_vec()
    }

    fn rows(&self, table: &Table, program: i64) -> Vec<Row> {
        let names = |columns: &[tessera_store::Column]| -> String {
            columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
        };
        let (all, key, name) = (names(table.columns), names(table.key_columns()), table.name);
        let text = format!("SELECT {all} FROM {name} WHERE program = $1 ORDER BY {key}");
        self.database.read(|reader| reader.query(&text, &[program.into()])).unwrap()
    }
}

fn open(place: &Place) -> Result<Database, StoreError> {
    match place {
        Place::Folder(folder) => Database::open_sqlite(&file_in(folder)),
        Place::Server(server) => Database::open_postgres(&server.url()),
    }
}

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("tessera.db")
}

/// Sixteen bytes, as an id has, with zeros and high bits in them.
pub fn id(n: i64) -> Value {
    let mut bytes = [0xff; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    Value::from(bytes)
}

/// The n-th row of a table: keys depend on `n` alone, the rest on the program too; what may be absent is, every other time.
pub fn sample(table: &Table, program: i64, n: i64) -> Row {
    let value = |(i, column): (usize, &tessera_store::Column)| match column.kind {
        _ if column.nullable && n % 2 == 1 => Value::Null,
        Kind::Int if column.name == "bucket" => Value::Int(n % 1024),
        Kind::Int if column.name == "program" => Value::Int(program),
        Kind::Int if table.guard == Some(i) => Value::Int(1),
        Kind::Int if i < table.key => Value::Int(n),
        Kind::Int => Value::Int(n * 10 + program),
        Kind::Text if i < table.key => Value::from(format!("{} {n}", column.name)),
        Kind::Text => Value::from(format!("{} {program} {n} “ünï” Tiếng Việt ภาษาไทย 😀 'quoted' $1 ?1", column.name)),
        Kind::Bytes if i < table.key => id(n),
        Kind::Bytes => Value::from(vec![0, 0xff, b'\'', program.to_be_bytes()[7], n.to_be_bytes()[7]]),
    };
    table.columns.iter().enumerate().map(value).collect()
}

/// Samples, of a table whose key is the program alone only one.
pub fn distinct(table: &Table, program: i64, numbers: std::ops::Range<i64>) -> Vec<Row> {
    let take = if table.key == 1 { 1 } else { usize::MAX };
    numbers.take(take).map(|n| sample(table, program, n)).collect()
}

/// A row's key.
pub fn key(table: &Table, row: &Row) -> Row {
    row[..table.key].to_vec()
}

/// The same row with another value in one column.
pub fn with(table: &Table, row: &Row, column: &str, value: impl Into<Value>) -> Row {
    let mut row = row.clone();
    row[index(table, column)] = value.into();
    row
}

pub fn index(table: &Table, column: &str) -> usize {
    table.columns.iter().position(|candidate| candidate.name == column).unwrap()
}

pub fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}
