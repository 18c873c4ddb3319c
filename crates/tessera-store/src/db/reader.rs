//! Reading: one moment of the database, never a write.

use crate::db::postgres::PgConnection;
use crate::db::recent::RecentRows;
use crate::db::sqlite::SqliteConnection;
use crate::error::StoreError;
use crate::hot::distinct_of_each;
use crate::table::Table;
use crate::value::{Row, Value};

/// How many readers work at a time.
pub const READERS_MAX: usize = 8;

/// Reads in one transaction: what is committed after its first statement stays invisible to it.
///
/// After an error of the database (not of the caller's own), end the read: PostgreSQL answers nothing more in it.
pub struct Reader<'a> {
    source: Source<'a>,
}

enum Source<'a> {
    Sqlite(&'a mut SqliteConnection, Option<(&'a RecentRows, u64)>),
    Postgres(&'a mut PgConnection),
}

impl<'a> Reader<'a> {
    /// `recent`: where rows are kept, and the moment that this reads.
    pub(crate) fn sqlite(connection: &'a mut SqliteConnection, recent: Option<(&'a RecentRows, u64)>) -> Self {
        Self { source: Source::Sqlite(connection, recent) }
    }

    pub(crate) fn postgres(connection: &'a mut PgConnection) -> Self {
        Self { source: Source::Postgres(connection) }
    }

    /// All rows of a query in the portable subset, with `$1`, `$2` … as placeholders.
    ///
    /// # Errors
    /// [`StoreError::Database`] if the statement, or the number or kind of `params`, is wrong, or if it writes.
    pub fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        match &mut self.source {
            Source::Sqlite(connection, _) => connection.query(sql, params),
            Source::Postgres(connection) => connection.query(sql, params),
        }
    }

    /// Hands the rows of a query to `f` one by one; memory stays flat however many there are.
    ///
    /// # Errors
    /// As [`query`](Self::query); the first error of `f` ends it and is returned.
    pub fn query_each(
        &mut self,
        sql: &str,
        params: &[Value],
        f: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match &mut self.source {
            Source::Sqlite(connection, _) => connection.query_each(sql, params, f),
            Source::Postgres(connection) => connection.query_each(sql, params, f),
        }
    }

    /// All columns of the rows whose primary key is one of `keys`: each row once, in no order, without locks.
    ///
    /// # Errors
    /// [`StoreError::Database`] if a key does not fit the table.
    pub fn fetch_by_keys(&mut self, table: &'static Table, keys: &[Row]) -> Result<Vec<Row>, StoreError> {
        let mut found = self.fetch_asked(&[(table, keys)])?;
        Ok(found.pop().unwrap_or_default())
    }

    /// The same of several tables, the rows of each in the place of its keys; to PostgreSQL all goes in one message.
    ///
    /// # Errors
    /// As [`fetch_by_keys`](Self::fetch_by_keys).
    pub fn fetch_together(&mut self, asked: &[(&'static Table, Vec<Row>)]) -> Result<Vec<Vec<Row>>, StoreError> {
        let asked: Vec<(&'static Table, &[Row])> =
            asked.iter().map(|(table, keys)| (*table, keys.as_slice())).collect();
        self.fetch_asked(&asked)
    }

    fn fetch_asked(&mut self, asked: &[(&'static Table, &[Row])]) -> Result<Vec<Vec<Row>>, StoreError> {
        let asked = distinct_of_each(asked)?;
        match &mut self.source {
            Source::Sqlite(connection, recent) => {
                asked.into_iter().map(|(table, keys)| rows_of_sqlite(connection, *recent, table, keys)).collect()
            }
            Source::Postgres(connection) => connection.select_together(&asked, false),
        }
    }
}

fn rows_of_sqlite(
    connection: &mut SqliteConnection,
    recent: Option<(&RecentRows, u64)>,
    table: &'static Table,
    keys: Vec<&[Value]>,
) -> Result<Vec<Row>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sql = connection.table(table);
    let Some((rows, moment)) = recent else { return connection.select_rows(&sql.select, &keys) };
    let (mut found, mut unknown) = (Vec::with_capacity(keys.len()), Vec::new());
    for key in keys {
        match rows.get(moment, table, key) {
            Some(row) => found.extend(row),
            None => unknown.push(key),
        }
    }
    if !unknown.is_empty() {
        let mut read = connection.select_rows(&sql.select, &unknown)?;
        rows.keep(moment, table, &unknown, &read);
        found.append(&mut read);
    }
    Ok(found)
}
