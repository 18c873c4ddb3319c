//! Brings a database to the schema this program knows, or refuses one that is ahead of it.
//!
//! Old programs are still running while a new one migrates, so a change first adds what the new one needs and takes
//! the old away in a later release. A released migration is never edited.

use refinery::{Migration, Runner};

use crate::db::{postgres, sqlite};
use crate::error::StoreError;
use crate::value::Row;

/// A migration: one number and name, a text per database.
struct Source {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! source {
    ($name:literal) => {
        Source {
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

static SOURCES: [Source; 2] = [source!("V1__foundation"), source!("V2__redemptions")];

/// Any number, as long as it is always the same: whoever migrates a database holds this lock.
const MIGRATION_LOCK: i64 = 0x7e55_e2a0;

/// Number and name (`V1__foundation`) of every migration, oldest first.
pub fn migration_names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|source| source.name)
}

pub(crate) fn sqlite(connection: &mut sqlite::SqliteConnection) -> Result<(), StoreError> {
    let migrations = migrations(|source| source.sqlite)?;
    if let Some(found) = found_in_sqlite(connection)? {
        refuse_newer(found)?;
    }
    Runner::new(&migrations).run(connection.raw()).map_err(|error| failed(&error))?;
    Ok(())
}

pub(crate) fn postgres(config: &tokio_postgres::Config) -> Result<(), StoreError> {
    let migrations = migrations(|source| source.postgres)?;
    let mut connection = postgres::PgConnection::open(config, postgres::Role::Migration)?;
    // Whoever starts at the same time waits here, and then finds the work done. The end of the connection unlocks too.
    connection.run(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))?;
    if let Some(found) = found_in_postgres(&mut connection)? {
        refuse_newer(found)?;
    }
    connection
        .block_on(async |client, _| Runner::new(&migrations).run_async(client).await.map_err(|error| failed(&error)))?;
    connection.run(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
}

/// Whoever only reads takes the schema as this program knows it, or not at all.
pub(crate) fn must_be_current_sqlite(connection: &mut sqlite::SqliteConnection) -> Result<(), StoreError> {
    must_be_current(found_in_sqlite(connection)?)
}

pub(crate) fn must_be_current_postgres(connection: &mut postgres::PgConnection) -> Result<(), StoreError> {
    must_be_current(found_in_postgres(connection)?)
}

fn must_be_current(found: Option<i64>) -> Result<(), StoreError> {
    let found = found.ok_or(StoreError::SchemaMissing)?;
    refuse_newer(found)?;
    let known = known();
    if found < known { Err(StoreError::SchemaTooOld { found, known }) } else { Ok(()) }
}

/// The newest migration of a database; `None` where there was never one.
fn found_in_sqlite(connection: &mut sqlite::SqliteConnection) -> Result<Option<i64>, StoreError> {
    let history = "SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if connection.query(history, &[])?.is_empty() { Ok(None) } else { newest(&connection.query(NEWEST, &[])?) }
}

fn found_in_postgres(connection: &mut postgres::PgConnection) -> Result<Option<i64>, StoreError> {
    let history = "SELECT 1 FROM pg_class WHERE oid = to_regclass('refinery_schema_history')";
    if connection.query(history, &[])?.is_empty() { Ok(None) } else { newest(&connection.query(NEWEST, &[])?) }
}

const NEWEST: &str = "SELECT CAST(MAX(version) AS BIGINT) FROM refinery_schema_history";

fn migrations(text: impl Fn(&Source) -> &str) -> Result<Vec<Migration>, StoreError> {
    let parsed = SOURCES.iter().map(|source| Migration::unapplied(source.name, text(source)));
    parsed.collect::<Result<_, _>>().map_err(|error| failed(&error))
}

/// The history may be there and still be empty, while its first migration runs.
fn newest(rows: &[Row]) -> Result<Option<i64>, StoreError> {
    rows.iter().flatten().next().map_or(Ok(None), |version| version.opt_int())
}

/// The newest migration this program knows.
fn known() -> i64 {
    i64::try_from(SOURCES.len()).unwrap_or(i64::MAX)
}

fn refuse_newer(found: i64) -> Result<(), StoreError> {
    let known = known();
    if found > known { Err(StoreError::SchemaTooNew { found, known }) } else { Ok(()) }
}

/// A failed migration tells the driver's reason through the same filter as any statement.
fn failed(error: &refinery::Error) -> StoreError {
    use refinery::error::Kind;
    if let Kind::Connection(_, cause) = error.kind() {
        if let Some(cause) = cause.downcast_ref::<tokio_postgres::Error>() {
            return postgres::refused(cause);
        }
        if let Some(cause) = cause.downcast_ref::<rusqlite::Error>() {
            return sqlite::describe(cause);
        }
    }
    StoreError::Database(format!("the schema cannot be brought up to date: {error}"))
}
