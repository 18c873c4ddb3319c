//! PostgreSQL: one connection with a small runtime of its own, and the statements it runs.
//!
//! The runtime lives in the calling thread and only turns while a call waits, so a statement wakes no other thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::servers::Servers;
use crate::citus::HAS_CITUS;
use crate::error::StoreError;
use crate::sql::TableSql;
use crate::table::{Kind, Table};
use crate::value::{Row, Value};

/// Statements kept prepared per connection.
const STATEMENTS_MAX: usize = 256;
/// A statement of a server's reader may take so many times as long: it may have to sort.
const READ_FACTOR: u32 = 3;
/// What [`refused`] says of a server that has become one that is only read.
const MADE_READ_ONLY: &str = "PostgreSQL answered 25006";
/// Rows fetched from a cursor at a time: enough to hide the round trip, few enough to keep memory flat.
const ROWS_AT_A_TIME: u32 = 256;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    /// Reads for callers who wait.
    Reader,
    /// Reads for a command, which may take as long as it takes.
    PatientReader,
    Migration,
}

pub(crate) struct PgConnection {
    client: Client,
    /// Absent once the connection was given up, and while being dropped.
    runtime: Option<Runtime>,
    /// How long BEGIN, COMMIT and their like may take.
    brief: Option<Duration>,
    /// How long any other statement may take.
    patience: Option<Duration>,
    statements: HashMap<Box<str>, Statement>,
    tables: HashMap<&'static str, Arc<TableSql>>,
    /// Whether its database is spread by Citus; nothing before somebody asks.
    is_citus: Option<bool>,
}

impl Role {
    /// How long a statement may take; `None` is for ever.
    fn patience(self, answer_within: Duration) -> Option<Duration> {
        match self {
            Self::Writer => Some(answer_within),
            Self::Reader => Some(answer_within * READ_FACTOR),
            Self::PatientReader | Self::Migration => None,
        }
    }

    /// What the server is told: it gives up what nobody waits for any more, and its locks with it.
    fn settings(self, answer_within: Duration) -> String {
        let answer = answer_within.as_millis();
        let lock = answer / 2;
        match self {
            // A generic plan chosen while a table is empty outlives that, and a scan per batch of a full table is
            // ruinous; a writer finds rows by key, always. The costs this adds would make it compile plans: no JIT.
            Self::Writer => format!(
                "SET application_name = 'tessera writer'; SET lock_timeout = {lock}; SET statement_timeout = {limit}; \
                 SET idle_in_transaction_session_timeout = {idle}; SET jit = off; \
                 SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
                limit = server_gives_up(answer_within),
                idle = answer * u128::from(READ_FACTOR),
            ),
            // A cursor is read to its end, not for its first rows only.
            Self::Reader | Self::PatientReader => {
                let limit = self.patience(answer_within).map_or(0, server_gives_up);
                format!(
                    "SET application_name = 'tessera reader'; SET statement_timeout = {limit}; SET jit = off; \
                     SET cursor_tuple_fraction = 1"
                )
            }
            Self::Migration => "SET application_name = 'tessera migration'".to_owned(),
        }
    }
}

/// The `statement_timeout` of a connection on which we wait so long, in milliseconds. Longer than we wait: where a commit
/// waits for a standby, a timeout ends the waiting and answers that it is done, though it is on one machine only.
fn server_gives_up(patience: Duration) -> u128 {
    (patience + patience / 2).as_millis()
}

impl PgConnection {
    pub(crate) fn open(servers: &Servers, role: Role) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Unavailable(format!("no runtime for a connection: {error}")))?;
        let brief = servers.answer_within();
        let client = runtime.block_on(async {
            let (client, connection) = servers.connect().await?;
            // It ends with the connection; whoever uses the client then learns that it is closed.
            tokio::spawn(connection);
            let settings = role.settings(brief);
            let set = tokio::time::timeout(brief, client.batch_execute(&settings)).await;
            set.map_err(|_| silent(brief))?.map_err(|error| refused(&error))?;
            Ok::<_, StoreError>(client)
        })?;
        let patience = role.patience(brief);
        // Migrations run whole files as one text.
        let brief = if role == Role::Migration { None } else { Some(brief) };
        let (statements, tables) = (HashMap::new(), HashMap::new());
        Ok(Self { client, runtime: Some(runtime), brief, patience, statements, tables, is_citus: None })
    }

    pub(crate) fn table(&mut self, table: &'static Table) -> Arc<TableSql> {
        Arc::clone(self.tables.entry(table.name).or_insert_with(|| Arc::new(TableSql::postgres(table))))
    }

    /// BEGIN, COMMIT: a text without parameters.
    pub(crate) fn run(&mut self, text: &str) -> Result<(), StoreError> {
        self.block_on_within(self.brief, async |client, _| {
            client.batch_execute(text).await.map_err(|error| refused(&error))
        })
    }

    /// Whether the connection was given up or closed.
    pub(crate) fn is_lost(&self) -> bool {
        self.runtime.is_none() || self.client.is_closed()
    }

    /// For the migrations, which speak to the driver.
    pub(crate) fn block_on<T>(
        &mut self,
        f: impl AsyncFnOnce(&mut Client, &mut HashMap<Box<str>, Statement>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.block_on_within(self.patience, f)
    }

    fn block_on_within<T>(
        &mut self,
        within: Option<Duration>,
        f: impl AsyncFnOnce(&mut Client, &mut HashMap<Box<str>, Statement>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime else { return Err(lost()) };
        let work = f(&mut self.client, &mut self.statements);
        let answer = match within {
            None => Ok(runtime.block_on(work)),
            Some(within) => runtime.block_on(async { tokio::time::timeout(within, work).await.map_err(|_| within) }),
        };
        match answer {
            Ok(answer) => {
                if matches!(&answer, Err(StoreError::Unavailable(why)) if why.starts_with(MADE_READ_ONLY)) {
                    // It would be asked again and again, while another server may be written to by now.
                    self.give_up();
                }
                answer
            }
            Err(within) => {
                self.give_up();
                Err(silent(within))
            }
        }
    }

    /// Closes it without a word: an answer that comes late would be taken for that of the next statement.
    fn give_up(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// As [`execute`](Self::execute), for a statement that may touch every member: it may take as long as it takes.
    pub(crate) fn execute_patiently(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.run("SET LOCAL statement_timeout = 0")?;
        let patience = self.patience.take();
        let answer = self.execute(sql, params);
        self.patience = patience;
        let limit = patience.map_or(0, server_gives_up);
        let written = answer?;
        self.run(&format!("SET LOCAL statement_timeout = {limit}"))?;
        Ok(written)
    }

    pub(crate) fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let rows = self.block_on(async |client, statements| {
            let statement = prepared(client, statements, sql).await?;
            let params = typed(&statement, params)?;
            client.query(&statement, &borrowed(&params)).await.map_err(|error| refused(&error))
        })?;
        rows.iter().map(read_row).collect()
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.block_on(async |client, statements| {
            let statement = prepared(client, statements, sql).await?;
            let params = typed(&statement, params)?;
            client.execute(&statement, &borrowed(&params)).await.map_err(|error| refused(&error))
        })
    }

    /// Reads through a cursor, so that neither side ever holds more than a few rows. Needs a transaction.
    pub(crate) fn query_each(
        &mut self,
        sql: &str,
        params: &[Value],
        f: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.execute(&format!("DECLARE each_row NO SCROLL CURSOR FOR {sql}"), params)?;
        let fetch = format!("FETCH {ROWS_AT_A_TIME} FROM each_row");
        loop {
            // Not prepared: the statement's columns are those of the query, another one each time.
            let rows = self
                .block_on(async |client, _| client.query_typed(&fetch, &[]).await.map_err(|error| refused(&error)))?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                if let Err(error) = read_row(row).and_then(&mut *f) {
                    self.run("CLOSE each_row")?;
                    return Err(error);
                }
            }
        }
        self.run("CLOSE each_row")
    }

    /// Runs `text` over the arrays of these rows' columns and returns what it selects.
    pub(crate) fn select_rows(
        &mut self,
        text: &str,
        table: &'static Table,
        keys: &[&[Value]],
    ) -> Result<Vec<Row>, StoreError> {
        let arrays = Array::of_columns(table.key_columns().len(), table, keys);
        let rows = self.block_on(async |client, statements| {
            let statement = prepared(client, statements, text).await?;
            client.query(&statement, &Array::borrowed(&arrays)).await.map_err(|error| refused(&error))
        })?;
        rows.iter().map(read_row).collect()
    }

    /// The rows with these keys, in their order, each locked until the end of the transaction.
    pub(crate) fn select_locked(
        &mut self,
        sql: &TableSql,
        table: &'static Table,
        keys: &[&[Value]],
    ) -> Result<Vec<Row>, StoreError> {
        if !self.is_citus()? {
            return self.select_rows(&sql.select_locked, table, keys);
        }
        // A lock over several shards is refused, and only an equal bucket says that it is one.
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            rows.extend(self.query(&sql.select_one_locked, key)?);
        }
        Ok(rows)
    }

    fn is_citus(&mut self) -> Result<bool, StoreError> {
        if let Some(known) = self.is_citus {
            return Ok(known);
        }
        let is_citus = !self.query(HAS_CITUS, &[])?.is_empty();
        self.is_citus = Some(is_citus);
        Ok(is_citus)
    }

    /// Runs `text` over the arrays of these rows' columns and says how many rows it wrote.
    pub(crate) fn write_rows(
        &mut self,
        text: &str,
        table: &'static Table,
        rows: &[&[Value]],
    ) -> Result<usize, StoreError> {
        let arrays = Array::of_columns(table.columns.len(), table, rows);
        let written = self.block_on(async |client, statements| {
            let statement = prepared(client, statements, text).await?;
            client.execute(&statement, &Array::borrowed(&arrays)).await.map_err(|error| refused(&error))
        })?;
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }
}

impl Drop for PgConnection {
    fn drop(&mut self) {
        // A runtime must not wait for itself inside an async task, should the last handle be dropped in one.
        self.give_up();
    }
}

async fn prepared(
    client: &Client,
    statements: &mut HashMap<Box<str>, Statement>,
    text: &str,
) -> Result<Statement, StoreError> {
    if let Some(statement) = statements.get(text) {
        return Ok(statement.clone());
    }
    let statement = client.prepare(text).await.map_err(|error| refused(&error))?;
    if statements.len() >= STATEMENTS_MAX {
        statements.clear();
    }
    statements.insert(text.into(), statement.clone());
    Ok(statement)
}

/// One column of a batch.
enum Array<'v> {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<&'v str>>),
    Bytes(Vec<Option<&'v [u8]>>),
}

impl<'v> Array<'v> {
    /// The first `width` columns of rows that were checked against the table.
    fn of_columns(width: usize, table: &Table, rows: &[&'v [Value]]) -> Vec<Self> {
        let columns = table.columns.iter().take(width).enumerate();
        columns
            .map(|(i, column)| match column.kind {
                Kind::Int => Self::Int(rows.iter().map(|row| row[i].opt_int().ok().flatten()).collect()),
                Kind::Text => Self::Text(rows.iter().map(|row| row[i].opt_text().ok().flatten()).collect()),
                Kind::Bytes => Self::Bytes(rows.iter().map(|row| row[i].opt_bytes().ok().flatten()).collect()),
            })
            .collect()
    }

    fn borrowed<'a>(arrays: &'a [Array<'v>]) -> Vec<&'a (dyn ToSql + Sync)> {
        arrays
            .iter()
            .map(|array| match array {
                Array::Int(array) => array as &(dyn ToSql + Sync),
                Array::Text(array) => array,
                Array::Bytes(array) => array,
            })
            .collect()
    }
}

/// A parameter in the type its statement wants.
enum Param<'v> {
    Bool(Option<bool>),
    Int2(Option<i16>),
    Int4(Option<i32>),
    Int8(Option<i64>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
}

fn typed<'v>(statement: &Statement, params: &'v [Value]) -> Result<Vec<Param<'v>>, StoreError> {
    let (wanted, given) = (statement.params().len(), params.len());
    if wanted != given {
        return Err(StoreError::Database(format!("{wanted} parameters were expected, {given} given")));
    }
    let typed = statement.params().iter().zip(params).enumerate();
    typed.map(|(i, (wanted, value))| param(wanted, value).ok_or_else(|| misfit(i, wanted, value))).collect()
}

fn param<'v>(wanted: &Type, value: &'v Value) -> Option<Param<'v>> {
    Some(match *wanted {
        Type::BOOL => Param::Bool(value.opt_int().ok()?.map(|value| value != 0)),
        Type::INT2 => Param::Int2(value.opt_int().ok()?.map(i16::try_from).transpose().ok()?),
        Type::INT4 => Param::Int4(value.opt_int().ok()?.map(i32::try_from).transpose().ok()?),
        Type::INT8 => Param::Int8(value.opt_int().ok()?),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => Param::Text(value.opt_text().ok()?),
        Type::BYTEA => Param::Bytes(value.opt_bytes().ok()?),
        _ => return None,
    })
}

fn misfit(index: usize, wanted: &Type, value: &Value) -> StoreError {
    let (number, found) = (index + 1, value.kind_name());
    StoreError::Database(format!("${number} is {wanted} in the statement, {found} (or a number too large) was given"))
}

fn borrowed<'a>(params: &'a [Param<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params
        .iter()
        .map(|param| match param {
            Param::Bool(value) => value as &(dyn ToSql + Sync),
            Param::Int2(value) => value,
            Param::Int4(value) => value,
            Param::Int8(value) => value,
            Param::Text(value) => value,
            Param::Bytes(value) => value,
        })
        .collect()
}

fn read_row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    row.columns().iter().enumerate().map(|(i, column)| read_value(row, i, column.type_())).collect()
}

fn read_value(row: &tokio_postgres::Row, i: usize, kind: &Type) -> Result<Value, StoreError> {
    let value = match *kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(i).map(Value::from),
        Type::INT4 => row.try_get::<_, Option<i32>>(i).map(|value| Value::from(value.map(i64::from))),
        Type::INT2 => row.try_get::<_, Option<i16>>(i).map(|value| Value::from(value.map(i64::from))),
        Type::BOOL => row.try_get::<_, Option<bool>>(i).map(|value| Value::from(value.map(i64::from))),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => row.try_get::<_, Option<String>>(i).map(Value::from),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(i).map(Value::from),
        _ => {
            let problem = format!("column {i} of the result is {kind}: cast it to BIGINT, TEXT or BYTEA in the query");
            return Err(StoreError::Database(problem));
        }
    };
    value.map_err(|error| {
        let problem = format!("column {i} of the result: {error}");
        StoreError::CorruptRow { place: None, problem }
    })
}

fn lost() -> StoreError {
    StoreError::Unavailable("the connection to PostgreSQL was lost".to_owned())
}

pub(super) fn silent(within: Duration) -> StoreError {
    StoreError::Unavailable(format!("PostgreSQL did not answer within {} ms", within.as_millis()))
}

/// SQLSTATE classes and codes after which the same statement may succeed in a new transaction. 25006: the server has
/// become one that is only read; its address soon leads to the one that is written.
const TRANSIENT: [&str; 10] = ["08", "40", "53", "55P03", "57014", "57P", "58030", "25006", "25P03", "25P04"];
/// Classes whose messages speak of the statement, a name or the set-up; others may quote what a row holds.
const SAFE_MESSAGES: [&str; 5] = ["0A", "28", "3D", "42", "53"];

/// What the server or the driver said, without what a row holds.
pub(crate) fn refused(error: &tokio_postgres::Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let io = std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
        return if error.is_closed() || io { lost() } else { StoreError::Database(chain(error)) };
    };
    let code = db.code().code();
    let mut text = format!("PostgreSQL answered {code}");
    for (what, name) in [("table", db.table()), ("column", db.column()), ("constraint", db.constraint())] {
        if let Some(name) = name {
            text = format!("{text}, {what} {name}");
        }
    }
    if SAFE_MESSAGES.iter().any(|class| code.starts_with(class)) {
        text = format!("{text}: {}", db.message());
    }
    if TRANSIENT.iter().any(|class| code.starts_with(class)) {
        StoreError::Unavailable(text)
    } else {
        StoreError::Database(text)
    }
}

/// The driver's own messages name parameters and columns by number.
pub(super) fn chain(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
