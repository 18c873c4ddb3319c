//! Brings a database to the schema this program knows, or refuses one that is ahead of it.
//!
//! Old programs are still running while a new one migrates, so a change first adds what the new one needs and takes
//! the old away in a later release. A released migration is never edited.

use std::sync::Arc;

use refinery::{Migration, Runner};

use crate::db::servers::Servers;
use crate::db::{postgres, sqlite};
use crate::error::StoreError;
use crate::tables;
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

static SOURCES: &[Source] = &[
    source!("V1__foundation"),
    source!("V2__redemptions"),
    source!("V3__vouchers"),
    source!("V5__rewards"),
    source!("V6__people"),
    source!("V7__adjustments"),
    source!("V8__play"),
    source!("V11__possession"),
    source!("V14__cases"),
    source!("V17__shards"),
];

/// Any number, as long as it is always the same: whoever migrates a database holds this lock.
const MIGRATION_LOCK: i64 = 0x7e55_e2a0;

/// Number and name (`V1__foundation`) of every migration, oldest first.
pub fn migration_names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|source| source.name)
}

/// Where the schema of a database stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The migrations that made it, oldest first.
    pub applied: Vec<&'static str>,
    /// Those that are still to come.
    pub pending: Vec<&'static str>,
}

pub(crate) fn sqlite(connection: &mut sqlite::SqliteConnection) -> Result<(), StoreError> {
    if is_current(&schema_in_sqlite(connection)?) {
        return Ok(());
    }
    let migrations = migrations(|source| source.sqlite)?;
    Runner::new(&migrations).run(connection.raw()).map_err(|error| failed(&error))?;
    must_be_whole(&mut |sql| connection.query(sql, &[]))
}

pub(crate) fn postgres(servers: &Arc<Servers>) -> Result<(), StoreError> {
    let migrations = migrations(|source| source.postgres)?;
    let mut connection = postgres::PgConnection::open(servers, postgres::Role::Migration)?;
    // Whoever starts at the same time waits here, and then finds the work done. The end of the connection unlocks too.
    connection.run(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))?;
    if !is_current(&schema_in_postgres(&mut connection)?) {
        connection.block_on(async |client, _| {
            Runner::new(&migrations).run_async(client).await.map_err(|error| failed(&error))
        })?;
        must_be_whole(&mut |sql| connection.query(sql, &[]))?;
    }
    connection.run(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
}

/// Whether nothing is to be done: its tables were looked at already.
fn is_current(schema: &Schema) -> bool {
    schema.pending.is_empty()
}

/// Asks a database of either kind.
type Ask<'a> = dyn FnMut(&str) -> Result<Vec<Row>, StoreError> + 'a;

pub(crate) fn schema_in_sqlite(connection: &mut sqlite::SqliteConnection) -> Result<Schema, StoreError> {
    let migrations = migrations(|source| source.sqlite)?;
    schema(&migrations, HISTORY_IN_SQLITE, &mut |sql| connection.query(sql, &[]))
}

pub(crate) fn schema_in_postgres(connection: &mut postgres::PgConnection) -> Result<Schema, StoreError> {
    let migrations = migrations(|source| source.postgres)?;
    schema(&migrations, HISTORY_IN_POSTGRES, &mut |sql| connection.query(sql, &[]))
}

/// What was applied, and what is to come. A database that no sequence of migrations leaves so is refused.
fn schema(migrations: &[Migration], history: &str, ask: &mut Ask<'_>) -> Result<Schema, StoreError> {
    let broken = |problem: String| StoreError::SchemaBroken { problem };
    let rows = if ask(history)?.is_empty() { Vec::new() } else { ask(APPLIED)? };
    let mut applied = Vec::with_capacity(rows.len());
    for row in &rows {
        applied.push((row[0].int()?, row[1].text()?, row[2].text()?));
    }
    let newest = applied.last().map_or(0, |(version, ..)| *version);
    refuse_newer(newest)?;
    if applied.is_empty() && ask("SELECT 1 FROM member WHERE 1 = 0").is_ok() {
        return Err(broken("there are tables, but no record of the migrations that made them".to_owned()));
    }
    let mut schema = Schema::default();
    for (migration, name) in migrations.iter().zip(migration_names()) {
        let version = i64::from(migration.version());
        match applied.iter().find(|(found, ..)| *found == version) {
            None if version > newest => schema.pending.push(name),
            None => return Err(broken(format!("{name} was left out"))),
            Some((_, found, checksum)) => {
                if *found != migration.name() || *checksum != migration.checksum().to_string() {
                    return Err(broken(format!("{name} was applied in another form than this program knows")));
                }
                schema.applied.push(name);
            }
        }
    }
    if schema.pending.is_empty() {
        must_be_whole(ask)?;
    }
    Ok(schema)
}

/// Every table has its columns.
fn must_be_whole(ask: &mut Ask<'_>) -> Result<(), StoreError> {
    for table in tables::every() {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let sql = format!("SELECT {} FROM {} WHERE 1 = 0", columns.join(", "), table.name);
        ask(&sql).map_err(|error| match error {
            StoreError::Database(problem) => StoreError::SchemaBroken { problem },
            other => other,
        })?;
    }
    Ok(())
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
    if connection.query(HISTORY_IN_SQLITE, &[])?.is_empty() {
        Ok(None)
    } else {
        newest(&connection.query(NEWEST, &[])?)
    }
}

fn found_in_postgres(connection: &mut postgres::PgConnection) -> Result<Option<i64>, StoreError> {
    if connection.query(HISTORY_IN_POSTGRES, &[])?.is_empty() {
        Ok(None)
    } else {
        newest(&connection.query(NEWEST, &[])?)
    }
}

/// A row where there is a record of migrations.
const HISTORY_IN_SQLITE: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history'";
const HISTORY_IN_POSTGRES: &str = "SELECT 1 FROM pg_class WHERE oid = to_regclass('refinery_schema_history')";

const APPLIED: &str = "SELECT CAST(version AS BIGINT), name, checksum FROM refinery_schema_history ORDER BY refinery_schema_history.version";

const NEWEST: &str = "SELECT CAST(MAX(version) AS BIGINT) FROM refinery_schema_history";

fn migrations(text: impl Fn(&Source) -> &str) -> Result<Vec<Migration>, StoreError> {
    let parsed = SOURCES.iter().map(|source| Migration::unapplied(source.name, text(source)));
    parsed.collect::<Result<_, _>>().map_err(|error| failed(&error))
}

/// The history may be there and still be empty, while its first migration runs.
fn newest(rows: &[Row]) -> Result<Option<i64>, StoreError> {
    rows.iter().flatten().next().map_or(Ok(None), |version| version.opt_int())
}

/// The newest migration this program knows. Numbers rise and may have gaps.
fn known() -> i64 {
    let newest = SOURCES.last().and_then(|source| source.name.strip_prefix('V')?.split_once("__"));
    newest.and_then(|(version, _)| version.parse().ok()).unwrap_or(0)
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
