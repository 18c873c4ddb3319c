//! SQLite: one connection, how it is set up, and the statements it runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::ffi::ErrorCode;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement, ToSql};

use crate::db::gather;
use crate::error::StoreError;
use crate::sql::{TableSql, numbered};
use crate::table::Table;
use crate::value::{Row, Value};

/// Statements kept prepared per connection: the verbs of every table, and as many ordinary texts again.
const STATEMENTS_MAX: usize = 256;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
    Checkpoint,
}

pub(crate) struct SqliteConnection {
    raw: Connection,
    /// Shared text → text with SQLite's placeholders.
    texts: HashMap<Box<str>, Box<str>>,
    tables: HashMap<&'static str, Arc<TableSql>>,
}

/// The write-ahead log, in frames of one page.
pub(crate) struct Log {
    pub(crate) frames: i64,
    copied: i64,
}

impl Log {
    pub(crate) fn behind(&self) -> i64 {
        self.frames - self.copied
    }
}

impl Role {
    fn pragmas(self) -> &'static str {
        match self {
            // More does not pay, measured with 100,000 and with a million members: the operating system has the rest.
            Self::Writer => "PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 0;",
            // Small caches: eight of them, and what they miss the operating system mostly has. No memory map: each
            // reader would map the file anew, and count its pages again.
            Self::Reader => "PRAGMA cache_size = -4096; PRAGMA query_only = ON;",
            Self::Checkpoint => "PRAGMA cache_size = -512; PRAGMA wal_autocheckpoint = 0;",
        }
    }

    /// How long to wait for another process; writers of this process wait for each other nowhere.
    fn busy_timeout(self) -> Duration {
        match self {
            Self::Writer | Self::Reader => Duration::from_secs(10),
            // The writer waits meanwhile: a reader that takes longer keeps the log for now.
            Self::Checkpoint => Duration::from_millis(20),
        }
    }
}

impl SqliteConnection {
    pub(crate) fn open(file: &Path, role: Role) -> Result<Self, StoreError> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if role == Role::Writer {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let raw = Connection::open_with_flags(file, flags).map_err(refused)?;
        Self::set_up(&raw, role).map_err(refused)?;
        Ok(Self { raw, texts: HashMap::new(), tables: HashMap::new() })
    }

    fn set_up(raw: &Connection, role: Role) -> Result<(), rusqlite::Error> {
        raw.busy_timeout(role.busy_timeout())?;
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // A plan does not depend on the values bound; else statements that compare with a range are compiled anew for each.
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        raw.execute_batch(
            // fullfsync: on macOS a plain flush stops at the drive's own cache; elsewhere it changes nothing.
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;",
        )?;
        // The file remembers it. Readers take the file as it is, which may be another program's that is being set up.
        if role == Role::Writer {
            raw.execute_batch("PRAGMA journal_mode = WAL;")?;
        }
        raw.execute_batch(role.pragmas())?;
        if role == Role::Writer {
            // The log is open once something was read.
            raw.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            gather::prepare(raw);
        }
        raw.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(())
    }

    /// Commits no longer flush the log: whoever commits sees to it, with [`LogFile`](crate::db::log::LogFile).
    pub(crate) fn leave_flushing_to_others(&mut self) -> Result<(), StoreError> {
        self.raw.execute_batch("PRAGMA synchronous = NORMAL;").map_err(refused)
    }

    /// For the migrations, which speak to the driver.
    pub(crate) fn raw(&mut self) -> &mut Connection {
        &mut self.raw
    }

    pub(crate) fn table(&mut self, table: &'static Table) -> Arc<TableSql> {
        Arc::clone(self.tables.entry(table.name).or_insert_with(|| Arc::new(TableSql::sqlite(table))))
    }

    /// Ends the transaction, its pages in one write.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        gather::while_committing(|| self.run("COMMIT"))
    }

    /// BEGIN, ROLLBACK: a text without parameters, cached.
    pub(crate) fn run(&mut self, text: &str) -> Result<(), StoreError> {
        let mut statement = self.raw.prepare_cached(text).map_err(refused)?;
        statement.raw_execute().map_err(refused)?;
        Ok(())
    }

    /// Ends the transaction without a trace; does nothing where an error has ended it already.
    pub(crate) fn rollback(&mut self) -> Result<(), StoreError> {
        if self.raw.is_autocommit() { Ok(()) } else { self.run("ROLLBACK") }
    }

    pub(crate) fn query(&mut self, shared: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        self.query_each(shared, params, &mut |row| {
            found.push(row);
            Ok(())
        })?;
        Ok(found)
    }

    pub(crate) fn query_each(
        &mut self,
        shared: &str,
        params: &[Value],
        f: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let text = text_of(&mut self.texts, shared);
        let mut statement = self.raw.prepare_cached(text).map_err(refused)?;
        check_count(&statement, params)?;
        bind(&mut statement, params)?;
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(refused)? {
            f(read_row(row, width)?)?;
        }
        Ok(())
    }

    pub(crate) fn execute(&mut self, shared: &str, params: &[Value]) -> Result<u64, StoreError> {
        let text = text_of(&mut self.texts, shared);
        let mut statement = self.raw.prepare_cached(text).map_err(refused)?;
        check_count(&statement, params)?;
        bind(&mut statement, params)?;
        let changed = statement.raw_execute().map_err(refused)?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    /// The rows with these keys: the statement of `text`, run once per key.
    pub(crate) fn select_rows(&mut self, text: &str, keys: &[&[Value]]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.raw.prepare_cached(text).map_err(refused)?;
        let width = statement.column_count();
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            bind(&mut statement, key)?;
            let mut rows = statement.raw_query();
            if let Some(row) = rows.next().map_err(refused)? {
                found.push(read_row(row, width)?);
            }
        }
        Ok(found)
    }

    /// Runs the statement of `text` once per row and says how many rows it wrote. A unique violation is a conflict.
    pub(crate) fn write_rows(
        &mut self,
        text: &str,
        table: &'static Table,
        rows: &[&[Value]],
    ) -> Result<usize, StoreError> {
        let mut statement = self.raw.prepare_cached(text).map_err(refused)?;
        let mut written = 0;
        for row in rows {
            bind(&mut statement, row)?;
            written += statement.raw_execute().map_err(|error| match unique_violation(&error) {
                true => StoreError::Conflict { table: table.name },
                false => refused(error),
            })?;
        }
        Ok(written)
    }

    /// Writes over rows that are there, where the guard allows it, and says how many it wrote.
    pub(crate) fn update_rows(
        &mut self,
        sql: &TableSql,
        table: &'static Table,
        rows: &[&[Value]],
    ) -> Result<usize, StoreError> {
        if sql.update_steady.is_empty() {
            return self.write_rows(&sql.update, table, rows);
        }
        // An UPDATE that names an indexed column writes its index anew even where the value stays.
        let mut moved = Vec::new();
        for row in rows {
            if self.write_rows(&sql.update_steady, table, &[row])? == 0 {
                moved.push(*row);
            }
        }
        let written = self.write_rows(&sql.update, table, &moved)?;
        Ok(rows.len() - moved.len() + written)
    }

    /// Checkpoints in the given mode and says how far the log is copied.
    pub(crate) fn checkpoint(&mut self, mode: &str) -> Result<Log, StoreError> {
        let text = format!("PRAGMA wal_checkpoint({mode})");
        self.raw.query_row(&text, [], |row| Ok(Log { frames: row.get(1)?, copied: row.get(2)? })).map_err(refused)
    }
}

fn text_of<'t>(texts: &'t mut HashMap<Box<str>, Box<str>>, shared: &'t str) -> &'t str {
    if !texts.contains_key(shared) {
        if texts.len() >= STATEMENTS_MAX {
            texts.clear();
        }
        texts.insert(shared.into(), numbered(shared).into());
    }
    texts.get(shared).map_or(shared, |text| text)
}

/// A value bound where it lies; SQLite takes its own copy.
struct Bound<'v>(&'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<(), StoreError> {
    for (i, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, Bound(value)).map_err(refused)?;
    }
    Ok(())
}

/// SQLite takes a missing parameter for NULL; PostgreSQL refuses, and so do we.
fn check_count(statement: &Statement<'_>, params: &[Value]) -> Result<(), StoreError> {
    let (wanted, given) = (statement.parameter_count(), params.len());
    if wanted == given {
        return Ok(());
    }
    Err(StoreError::Database(format!("{wanted} parameters were expected, {given} given")))
}

fn read_row(row: &rusqlite::Row<'_>, width: usize) -> Result<Row, StoreError> {
    (0..width).map(|i| read_value(row.get_ref(i).map_err(refused)?, i)).collect()
}

fn read_value(value: ValueRef<'_>, column: usize) -> Result<Value, StoreError> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(value) => Ok(Value::Int(value)),
        ValueRef::Blob(value) => Ok(Value::Bytes(value.to_vec())),
        ValueRef::Text(value) => std::str::from_utf8(value).map(Value::from).map_err(|_| {
            let problem = format!("column {column} of the result is not Unicode");
            StoreError::CorruptRow { place: None, problem }
        }),
        ValueRef::Real(_) => {
            Err(StoreError::Database(format!("column {column} of the result is a float: cast it in the query")))
        }
    }
}

fn unique_violation(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE};
    error.sqlite_error().is_some_and(|error| {
        [SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_ROWID].contains(&error.extended_code)
    })
}

fn refused(error: rusqlite::Error) -> StoreError {
    describe(&error)
}

/// SQLite's messages name tables and columns; they hold no values.
pub(crate) fn describe(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Busy { what: "another process is using the database file" }
        }
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Unavailable(format!("SQLite: {error}")),
        _ => StoreError::Database(format!("SQLite: {error}")),
    }
}
