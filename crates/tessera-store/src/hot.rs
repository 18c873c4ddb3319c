//! The transaction and its verbs: what the executor reads and writes, a batch at a time.
//!
//! What must differ between the databases stands side by side here; the texts are in `sql.rs`. A batch costs SQLite
//! one run of a cached statement per row, and PostgreSQL one statement per call and table.

use std::collections::BTreeMap;

use crate::db::checkpoint::WriteTurn;
use crate::db::log::LogFile;
use crate::db::postgres::{Asked, PgConnection, Writing};
use crate::db::recent::{Changes, RecentRows};
use crate::db::sqlite::SqliteConnection;
use crate::error::StoreError;
use crate::shards::{Shards, Watch};
use crate::sql::TableSql;
use crate::table::Table;
use crate::tables::POOL;
use crate::value::{Row, Value};

/// A transaction. Dropping it without a [`commit`](Self::commit) undoes everything.
///
/// After an error, drop it. A [`StoreError::PoolExhausted`] has changed nothing and a [`StoreError::Conflict`] leaves
/// the transaction usable, but with those rows of the call that met nobody; after any other error, and after any of
/// [`write_together`](Self::write_together), it cannot commit.
pub struct Tx<'a> {
    link: Link<'a>,
    open: bool,
    /// PostgreSQL answers the COMMIT of a failed transaction with success and a rollback, so we remember.
    failed: bool,
    /// Looks that it keeps to one shard, where somebody asked for that.
    watch: Option<Box<Watch>>,
}

enum Link<'a> {
    Sqlite {
        connection: &'a mut SqliteConnection,
        turn: WriteTurn<'a>,
        log: &'a LogFile,
        recent: &'a RecentRows,
        changes: Changes,
    },
    Postgres(&'a mut PgConnection),
}

impl<'a> Tx<'a> {
    pub(crate) fn sqlite(
        connection: &'a mut SqliteConnection,
        turn: WriteTurn<'a>,
        (log, recent): (&'a LogFile, &'a RecentRows),
    ) -> Self {
        let link = Link::Sqlite { connection, turn, log, recent, changes: Changes::default() };
        Self { link, open: true, failed: false, watch: None }
    }

    pub(crate) fn postgres(connection: &'a mut PgConnection) -> Self {
        Self { link: Link::Postgres(connection), open: true, failed: false, watch: None }
    }

    /// From here on a statement that names buckets of another shard than those before is refused, and so is one that
    /// names none of a table that is spread: a check for tests and debug builds.
    pub fn keep_to_one_shard(&mut self, shards: &Shards) {
        self.watch = Some(Box::new(Watch::over(shards)));
    }

    fn watched(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError> {
        self.watch.as_mut().map_or(Ok(()), |watch| watch.rows(table, rows))
    }

    fn watched_statement(&mut self, sql: &str, params: &[Value]) -> Result<(), StoreError> {
        self.watch.as_mut().map_or(Ok(()), |watch| watch.statement(sql, params))
    }

    /// All columns of the rows whose primary key is one of `keys`, each row once, in no order.
    ///
    /// Keys may come in any order and more than once. On PostgreSQL the rows of a table that is `locked` stay locked
    /// until the end of the transaction; they are taken in key order, so that two batches never wait in a circle.
    ///
    /// # Errors
    /// [`StoreError::Database`] if a key does not fit the table; [`StoreError::Unavailable`] if a lock did not come
    /// free within ten seconds, or no answer came within twenty.
    pub fn fetch_by_keys(&mut self, table: &'static Table, keys: &[Row]) -> Result<Vec<Row>, StoreError> {
        let mut found = self.fetch_asked(&[(table, keys)])?;
        Ok(found.pop().unwrap_or_default())
    }

    /// The same of several tables, the rows of each in the place of its keys. They are read, and locked, in the order
    /// given; to PostgreSQL all goes in one message.
    ///
    /// # Errors
    /// As [`fetch_by_keys`](Self::fetch_by_keys).
    pub fn fetch_together(&mut self, asked: &[(&'static Table, Vec<Row>)]) -> Result<Vec<Vec<Row>>, StoreError> {
        let asked: Vec<(&'static Table, &[Row])> =
            asked.iter().map(|(table, keys)| (*table, keys.as_slice())).collect();
        self.fetch_asked(&asked)
    }

    fn fetch_asked(&mut self, asked: &[(&'static Table, &[Row])]) -> Result<Vec<Vec<Row>>, StoreError> {
        for (table, keys) in asked {
            self.watched(table, keys)?;
        }
        let asked = distinct_of_each(asked)?;
        let found = match &mut self.link {
            Link::Sqlite { connection, .. } => asked
                .iter()
                .map(|(table, keys)| {
                    let sql = connection.table(table);
                    connection.select_rows(&sql.select, keys)
                })
                .collect(),
            Link::Postgres(connection) => connection.select_together(&asked, true),
        };
        self.noted(found)
    }

    /// Adds rows that must be new.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a key is there already, or twice in `rows`; [`StoreError::Database`] if a row does
    /// not fit the table.
    pub fn insert_rows(&mut self, table: &'static Table, rows: &[Row]) -> Result<(), StoreError> {
        self.watched(table, rows)?;
        let rows = fitting(table, rows)?;
        let written = self.write(table, |sql| &sql.insert, &rows)?;
        self.all_written(table, written, rows.len())
    }

    /// Adds rows, or replaces all columns but the key of those that are there.
    ///
    /// In a table with a guard, a row of version 1 is new, and a row of version n + 1 is written only over version n.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a row was not written because another version is there (or none where one had to
    /// be), or if a key is twice in `rows`; [`StoreError::Database`] if a row does not fit the table.
    pub fn upsert_rows(&mut self, table: &'static Table, rows: &[Row]) -> Result<(), StoreError> {
        self.watched(table, rows)?;
        let [new, changed] = new_and_changed(table, rows)?;
        let written = self.write(table, |sql| &sql.upsert, &new)? + self.update(table, &changed)?;
        self.all_written(table, written, new.len() + changed.len())
    }

    /// Several [`insert_rows`](Self::insert_rows) and [`upsert_rows`](Self::upsert_rows), in this order; to PostgreSQL all
    /// goes in one message.
    ///
    /// # Errors
    /// As theirs, of the first that fails; after any error nothing can be committed.
    pub fn write_together(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError> {
        let answer = match &self.link {
            Link::Sqlite { .. } => writes.iter().try_for_each(|write| match write {
                Write::Insert(table, rows) => self.insert_rows(table, rows),
                Write::Upsert(table, rows) => self.upsert_rows(table, rows),
            }),
            Link::Postgres(_) => self.write_in_one_message(writes),
        };
        self.failed |= answer.is_err();
        answer
    }

    fn write_in_one_message(&mut self, writes: &[Write<'_>]) -> Result<(), StoreError> {
        let mut writings = Vec::with_capacity(writes.len());
        let mut writing = |text: fn(&TableSql) -> &str, table, rows: Vec<_>| {
            if !rows.is_empty() {
                writings.push(Writing { text, table, rows });
            }
        };
        for write in writes {
            let (Write::Insert(table, rows) | Write::Upsert(table, rows)) = write;
            self.watched(table, rows)?;
            match write {
                Write::Insert(..) => writing(|sql| &sql.insert_new, table, fitting(table, rows)?),
                Write::Upsert(..) => {
                    let [new, changed] = new_and_changed(table, rows)?;
                    writing(|sql| &sql.upsert, table, new);
                    writing(|sql| &sql.update, table, changed);
                }
            }
        }
        let Link::Postgres(connection) = &mut self.link else { return Ok(()) };
        if writings.is_empty() {
            return Ok(());
        }
        let written = connection.write_together(&writings)?;
        let missed = writings.iter().zip(written).find(|(writing, written)| writing.rows.len() != *written);
        missed.map_or(Ok(()), |(writing, _)| Err(StoreError::Conflict { table: writing.table.name }))
    }

    /// Takes from scarce things, or gives back: each of `deltas` is a key of [`POOL`], what to add to the amount in
    /// use, and the most that may be in use.
    ///
    /// Pools are worked in key order, those of one key in the order given; one that does not exist begins at 0. What
    /// is given back is never refused, and no pool goes below 0. On PostgreSQL the pools stay locked until the end of
    /// the transaction, so call this as late as can be.
    ///
    /// # Errors
    /// [`StoreError::PoolExhausted`] for the first pool that has too little left; then nothing was changed.
    /// [`StoreError::Database`] if a key does not fit the table.
    pub fn take_from_pools(&mut self, deltas: &[(Row, i64, i64)]) -> Result<(), StoreError> {
        let keys: Vec<Row> = deltas.iter().map(|(key, _, _)| key.clone()).collect();
        let mut used: BTreeMap<Row, i64> = BTreeMap::new();
        for key in distinct_keys(&POOL, &keys)? {
            used.insert(key.to_vec(), 0);
        }
        if let Link::Postgres(_) = self.link {
            // A pool that is not there cannot be locked: make it first, unless somebody else just did.
            let rows: Vec<Row> = used.keys().map(|key| [key.as_slice(), &[Value::Int(0)]].concat()).collect();
            self.write(&POOL, |sql| &sql.insert, &fitting(&POOL, &rows)?)?;
        }
        for mut row in self.fetch_by_keys(&POOL, &keys)? {
            let amount = row.pop().unwrap_or(Value::Null).int().map_err(|error| error.located("pool", "used"))?;
            used.insert(row, amount);
        }
        let mut sorted: Vec<_> = deltas.iter().collect();
        sorted.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        for (key, delta, cap) in sorted {
            let used = used.entry(key.clone()).or_insert(0);
            *used = taken(*used, *delta, *cap).ok_or_else(|| exhausted(key, *used, *cap))?;
        }
        let rows: Vec<Row> = used
            .into_iter()
            .map(|(mut key, used)| {
                key.push(Value::Int(used));
                key
            })
            .collect();
        self.upsert_rows(&POOL, &rows)
    }

    /// All rows of a statement in the portable subset, with `$1`, `$2` … as placeholders. It sees what this
    /// transaction wrote, and may itself write (`… RETURNING`).
    ///
    /// # Errors
    /// [`StoreError::Database`] if the statement, or the number or kind of `params`, is wrong, or if a constraint is
    /// violated.
    pub fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.watched_statement(sql, params)?;
        let answer = match &mut self.link {
            Link::Sqlite { connection, changes, .. } => {
                changes.statement(sql);
                connection.query(sql, params)
            }
            Link::Postgres(connection) => connection.query(sql, params),
        };
        self.noted(answer)
    }

    /// Runs a statement in the portable subset that returns no rows, and says how many it changed.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.watched_statement(sql, params)?;
        let answer = match &mut self.link {
            Link::Sqlite { connection, changes, .. } => {
                changes.statement(sql);
                connection.execute(sql, params)
            }
            Link::Postgres(connection) => connection.execute(sql, params),
        };
        self.noted(answer)
    }

    /// As [`execute`](Self::execute), for a rare statement that may change every row of a large table: PostgreSQL may
    /// take as long as it takes.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn execute_patiently(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.watched_statement(sql, params)?;
        let answer = match &mut self.link {
            Link::Sqlite { connection, changes, .. } => {
                changes.statement(sql);
                connection.execute(sql, params)
            }
            Link::Postgres(connection) => connection.execute_patiently(sql, params),
        };
        self.noted(answer)
    }

    /// Makes everything durable and visible.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] leaves open whether it happened, if the connection was lost on the way or the disk did
    /// not take it: read to find out. After any other error it did not happen.
    pub fn commit(self) -> Result<(), StoreError> {
        match self.end()? {
            Some(log) => log.flush(),
            None => Ok(()),
        }
    }

    /// Makes everything visible, and durable once [`Database::flush`](crate::Database::flush) has answered: tell nobody
    /// before that. The next transaction may begin meanwhile. On PostgreSQL it is [`commit`](Self::commit).
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_visible(self) -> Result<(), StoreError> {
        self.end().map(|_| ())
    }

    /// Ends the transaction; with the log that has yet to be flushed.
    fn end(mut self) -> Result<Option<&'a LogFile>, StoreError> {
        if self.failed {
            return Err(StoreError::Database("the transaction has failed before, so nothing is committed".to_owned()));
        }
        let log = match &mut self.link {
            Link::Sqlite { connection, turn, log, recent, changes } => {
                // On an error the transaction may still be open, and dropping it rolls back.
                // Most transactions that are not the executor's change nothing that is kept.
                let tells = !changes.is_empty();
                if tells {
                    recent.commits();
                }
                let committed = connection.commit();
                if committed.is_err() {
                    changes.unsure();
                }
                if tells {
                    recent.told(changes);
                }
                committed?;
                turn.committed();
                Some(*log)
            }
            Link::Postgres(connection) => {
                connection.end("COMMIT")?;
                None
            }
        };
        self.open = false;
        Ok(log)
    }

    fn write(
        &mut self,
        table: &'static Table,
        text: fn(&TableSql) -> &str,
        rows: &[&[Value]],
    ) -> Result<usize, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let written = match &mut self.link {
            Link::Sqlite { connection, recent, changes, .. } => {
                recent.note(changes, table, rows);
                let sql = connection.table(table);
                connection.write_rows(text(&sql), table, rows)
            }
            Link::Postgres(connection) => {
                let writing = Writing { text, table, rows: rows.to_vec() };
                let written = connection.write_together(&[writing]);
                // Refused by the server, and not known by the count: then the transaction is lost, whatever the reason.
                self.failed |= written.is_err();
                written.map(|written| written.into_iter().sum())
            }
        };
        self.noted(written)
    }

    fn update(&mut self, table: &'static Table, rows: &[&[Value]]) -> Result<usize, StoreError> {
        match &mut self.link {
            Link::Sqlite { connection, recent, changes, .. } => {
                recent.note(changes, table, rows);
                let sql = connection.table(table);
                let written = connection.update_rows(&sql, table, rows);
                self.noted(written)
            }
            Link::Postgres(_) => self.write(table, |sql| &sql.update, rows),
        }
    }

    fn all_written(&mut self, table: &'static Table, written: usize, given: usize) -> Result<(), StoreError> {
        let answer = if written == given { Ok(()) } else { Err(StoreError::Conflict { table: table.name }) };
        self.noted(answer)
    }

    fn noted<T>(&mut self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match (&answer, &mut self.link) {
            (Ok(_), _) => {}
            // It goes on without some of what it meant to write.
            (Err(StoreError::Conflict { .. }), Link::Sqlite { changes, .. }) => changes.unsure(),
            (Err(StoreError::Conflict { .. }), Link::Postgres(_)) => {}
            (Err(_), _) => self.failed = true,
        }
        answer
    }
}

/// One of several writes that go together.
#[derive(Clone, Copy, Debug)]
pub enum Write<'r> {
    /// Rows that must be new.
    Insert(&'static Table, &'r [Row]),
    /// Rows that are added, or take the place of those that are there.
    Upsert(&'static Table, &'r [Row]),
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        // Should it fail, the connection is lost, and with it the transaction.
        let _: Result<(), StoreError> = match &mut self.link {
            Link::Sqlite { connection, .. } => connection.rollback(),
            Link::Postgres(connection) => connection.end("ROLLBACK"),
        };
    }
}

/// The keys, checked, sorted, each once: sorted ones touch the pages of a table in order.
pub(crate) fn distinct_keys<'k>(table: &Table, keys: &'k [Row]) -> Result<Vec<&'k [Value]>, StoreError> {
    let mut distinct = Vec::with_capacity(keys.len());
    for key in keys {
        table.check_key(key)?;
        distinct.push(key.as_slice());
    }
    distinct.sort_unstable();
    distinct.dedup();
    Ok(distinct)
}

/// The same for several tables.
pub(crate) fn distinct_of_each<'k>(asked: &[(&'static Table, &'k [Row])]) -> Result<Vec<Asked<'k>>, StoreError> {
    asked.iter().map(|(table, keys)| Ok((*table, distinct_keys(table, keys)?))).collect()
}

/// Rows for an upsert: those that may be new, and those of a table with a guard that must be there.
fn new_and_changed<'r>(table: &'static Table, rows: &'r [Row]) -> Result<[Vec<&'r [Value]>; 2], StoreError> {
    let rows = fitting(table, rows)?;
    if rows.windows(2).any(|pair| table.key_of(pair[0]) == table.key_of(pair[1])) {
        return Err(StoreError::Conflict { table: table.name });
    }
    let first = |row: &&[Value]| table.guard.is_none_or(|guard| row[guard] == Value::Int(1));
    let (new, changed) = rows.into_iter().partition(first);
    Ok([new, changed])
}

/// The rows, checked, in key order: two writers that meet on the same keys then wait one for the other instead of in a
/// circle, and SQLite walks a table's pages in order.
fn fitting<'r>(table: &Table, rows: &'r [Row]) -> Result<Vec<&'r [Value]>, StoreError> {
    let mut fitting = Vec::with_capacity(rows.len());
    for row in rows {
        table.check_row(row)?;
        fitting.push(row.as_slice());
    }
    fitting.sort_unstable_by(|one, other| table.key_of(one).cmp(table.key_of(other)));
    Ok(fitting)
}

/// What is in use after the change, or nothing where too little is left.
fn taken(used: i64, delta: i64, cap: i64) -> Option<i64> {
    let after = used.checked_add(delta)?;
    (delta <= 0 || after <= cap).then_some(after.max(0))
}

fn exhausted(key: &[Value], used: i64, cap: i64) -> StoreError {
    let pool = key.last().and_then(|name| name.text().ok()).unwrap_or_default().to_owned();
    StoreError::PoolExhausted { pool, used, cap }
}

#[cfg(test)]
mod tests {
    use super::taken;

    #[test]
    fn a_pool_never_passes_its_cap_and_never_goes_below_zero() {
        assert_eq!(taken(3, 2, 5), Some(5));
        assert_eq!(taken(3, 3, 5), None);
        assert_eq!(taken(3, -9, 5), Some(0));
        assert_eq!(taken(9, -1, 5), Some(8), "a cap lowered below what is in use does not refuse a return");
        assert_eq!(taken(i64::MAX, 1, i64::MAX), None);
    }
}
