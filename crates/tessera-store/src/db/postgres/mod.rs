//! PostgreSQL: one connection with a small runtime of its own, and the statements it runs.
//!
//! The runtime lives in the calling thread and only turns while a call waits, so a statement wakes no other thread.

mod refusal;
mod values;

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{TryFutureExt as _, maybe_done, try_join};
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Statement};

use self::refusal::{MADE_READ_ONLY, lost};
pub(crate) use self::refusal::{chain, refused, silent};
use self::values::{Array, borrowed, read_row, typed};
use super::servers::Servers;
use crate::citus::HAS_CITUS;
use crate::error::StoreError;
use crate::sql::TableSql;
use crate::table::Table;
use crate::value::{Row, Value};

/// How much later than a BEGIN the statement that goes with it is given up, at least.
const BEFORE_THE_WHOLE: Duration = Duration::from_millis(100);
/// Statements kept prepared per connection.
const STATEMENTS_MAX: usize = 256;
/// A statement of a server's reader may take so many times as long: it may have to sort.
const READ_FACTOR: u32 = 3;
/// For who finds rows by their keys, always. A generic plan chosen while a table is empty outlives that until the table is
/// analysed, and a scan per batch of a full table is ruinous. The costs this adds would make it compile plans: no JIT.
const BY_KEY: &str = "SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";
/// Rows fetched from a cursor at a time: enough to hide the round trip, few enough to keep memory flat.
const ROWS_AT_A_TIME: u32 = 256;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    /// Reads for callers who wait.
    Reader,
    /// Reads rows by their keys for callers who wait, again and again.
    Looker,
    /// Reads for a command, which may take as long as it takes.
    PatientReader,
    Migration,
}

pub(crate) struct PgConnection {
    servers: Arc<Servers>,
    role: Role,
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
    /// A BEGIN that goes to the server with the first statement.
    begins: Option<&'static str>,
    /// Whether it was lost and opened anew since somebody asked.
    anew: bool,
}

/// Why a transaction that begins with a read has no answer.
enum First {
    /// It did not even begin: nothing happened.
    NotBegun(StoreError),
    Refused(StoreError),
}

/// Rows of one table, by keys that were checked and sorted.
pub(crate) type Asked<'k> = (&'static Table, Vec<&'k [Value]>);

/// A statement that writes rows, each of them, which were checked and sorted.
pub(crate) struct Writing<'r> {
    pub(crate) text: fn(&TableSql) -> &str,
    pub(crate) table: &'static Table,
    pub(crate) rows: Vec<&'r [Value]>,
}

impl Role {
    /// How long a statement may take; `None` is for ever.
    fn patience(self, answer_within: Duration) -> Option<Duration> {
        match self {
            Self::Writer => Some(answer_within),
            Self::Reader | Self::Looker => Some(answer_within * READ_FACTOR),
            Self::PatientReader | Self::Migration => None,
        }
    }

    /// What the server is told: it gives up what nobody waits for any more, and its locks with it.
    fn settings(self, answer_within: Duration) -> String {
        let answer = answer_within.as_millis();
        let lock = answer / 2;
        let limit = self.patience(answer_within).map_or(0, server_gives_up);
        match self {
            Self::Writer => format!(
                "SET application_name = 'tessera writer'; SET lock_timeout = {lock}; SET statement_timeout = {limit}; \
                 SET idle_in_transaction_session_timeout = {idle}; {BY_KEY}",
                idle = answer * u128::from(READ_FACTOR),
            ),
            Self::Looker => {
                format!("SET application_name = 'tessera looker'; SET statement_timeout = {limit}; {BY_KEY}")
            }
            // A cursor is read to its end, not for its first rows only.
            Self::Reader | Self::PatientReader => format!(
                "SET application_name = 'tessera reader'; SET statement_timeout = {limit}; SET jit = off; \
                 SET cursor_tuple_fraction = 1"
            ),
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
    pub(crate) fn open(servers: &Arc<Servers>, role: Role) -> Result<Self, StoreError> {
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
        let (servers, runtime) = (Arc::clone(servers), Some(runtime));
        let (is_citus, begins, anew) = (None, None, false);
        Ok(Self { servers, role, client, runtime, brief, patience, statements, tables, is_citus, begins, anew })
    }

    pub(crate) fn table(&mut self, table: &'static Table) -> Arc<TableSql> {
        Arc::clone(self.tables.entry(table.name).or_insert_with(|| Arc::new(TableSql::postgres(table))))
    }

    /// A text without parameters.
    pub(crate) fn run(&mut self, text: &str) -> Result<(), StoreError> {
        self.begin_before()?;
        self.run_within_brief(text)
    }

    fn run_within_brief(&mut self, text: &str) -> Result<(), StoreError> {
        self.block_on_within(self.brief, async |client, _| {
            client.batch_execute(text).await.map_err(|error| refused(&error))
        })
    }

    /// Begins a transaction: `text`, a BEGIN, goes to the server with the first statement, which spares a round trip.
    ///
    /// A connection that was lost while idle, as by a restart of the server, is opened anew then, once: nothing was done.
    pub(crate) fn begin(&mut self, text: &'static str) {
        self.begins = Some(text);
    }

    /// Ends the transaction by COMMIT or ROLLBACK.
    pub(crate) fn end(&mut self, text: &str) -> Result<(), StoreError> {
        match self.begins.take() {
            // Nothing was asked and nothing written: the server does not know of it.
            Some(_) => Ok(()),
            None => self.run_within_brief(text),
        }
    }

    /// Sends a BEGIN that is still to be sent, and waits for it: a statement that writes must not go along with it, or it
    /// would be done alone should the BEGIN be refused.
    fn begin_before(&mut self) -> Result<(), StoreError> {
        let Some(begin) = self.begins.take() else { return Ok(()) };
        if self.run_within_brief(begin).is_ok() {
            return Ok(());
        }
        self.open_anew()?;
        self.run_within_brief(begin)
    }

    fn open_anew(&mut self) -> Result<(), StoreError> {
        // Told even where nobody answers: those beside it are lost, too.
        self.anew = true;
        *self = Self::open(&Arc::clone(&self.servers), self.role)?;
        self.anew = true;
        Ok(())
    }

    /// Whether it was lost and opened anew since this was asked last.
    pub(crate) fn was_opened_anew(&mut self) -> bool {
        std::mem::take(&mut self.anew)
    }

    /// For the migrations, which speak to the driver.
    pub(crate) fn block_on<T>(
        &mut self,
        f: impl AsyncFnOnce(&mut Client, &mut HashMap<Box<str>, Statement>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.begin_before()?;
        self.block_on_within(self.patience, f)
    }

    /// Reads, with the BEGIN where one is still to be sent.
    fn read<T>(
        &mut self,
        f: impl AsyncFn(&Client, &mut HashMap<Box<str>, Statement>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Who waits for ever for the answer does not do so for the BEGIN.
        if self.patience.is_none() {
            self.begin_before()?;
        }
        let Some(begin) = self.begins.take() else {
            return self.block_on_within(self.patience, async |client, statements| f(client, statements).await);
        };
        let first = match self.runtime {
            Some(_) => self.begin_with(begin, &f),
            None => Err(First::NotBegun(lost())),
        };
        let answer = match first {
            Err(First::NotBegun(_)) => {
                self.open_anew()?;
                self.begin_with(begin, &f)
            }
            answer => answer,
        };
        let answer = answer.map_err(|first| match first {
            First::NotBegun(error) | First::Refused(error) => error,
        });
        self.noted(answer)
    }

    fn begin_with<T>(
        &mut self,
        begin: &str,
        f: &impl AsyncFn(&Client, &mut HashMap<Box<str>, Statement>) -> Result<T, StoreError>,
    ) -> Result<T, First> {
        let brief = self.brief.unwrap_or(Duration::MAX);
        // Whether it began is known before the whole is given up.
        let patience = self.patience.map(|patience| patience.max(brief.saturating_add(BEFORE_THE_WHOLE)));
        let answer = self.block_on_within(patience, async |client, statements| {
            let client = &*client;
            let begun = async {
                let begun = tokio::time::timeout(brief, client.batch_execute(begin)).await;
                begun.map_err(|_| silent(brief)).and_then(|begun| begun.map_err(|error| refused(&error)))
            };
            let asked = async { f(client, statements).await.map_err(First::Refused) };
            // Both are sent before either is waited for, the BEGIN first.
            Ok(try_join(begun.map_err(First::NotBegun), asked).await.map(|((), answer)| answer))
        });
        answer.unwrap_or_else(|error| Err(First::Refused(error)))
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
            Ok(answer) => self.noted(answer),
            Err(within) => {
                self.give_up();
                Err(silent(within))
            }
        }
    }

    /// A server that has become one that is only read would be asked again and again, while another may be written to by
    /// now. Every answer of a server comes by here.
    fn noted<T>(&mut self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(&answer, Err(StoreError::Unavailable(why)) if why.starts_with(MADE_READ_ONLY)) {
            self.give_up();
        }
        answer
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
        if !sql.starts_with("SELECT") {
            self.begin_before()?;
        }
        let rows = self.read(async |client, statements| {
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

    /// The rows of each table with these keys, all asked for in one message. `locks`: those of a table that is locked stay
    /// so until the end of the transaction.
    pub(crate) fn select_together(&mut self, asked: &[Asked<'_>], locks: bool) -> Result<Vec<Vec<Row>>, StoreError> {
        if locks && asked.iter().any(|(table, _)| table.locked) && self.is_citus()? {
            return asked.iter().map(|(table, keys)| self.select_on_citus(table, keys)).collect();
        }
        let arrays = asked.iter().map(|(table, keys)| Array::of_columns(table.key_columns().len(), table, keys));
        let (arrays, mut found): (Vec<_>, Vec<Vec<Row>>) = (arrays.collect(), vec![Vec::new(); asked.len()]);
        let mut places = Vec::with_capacity(asked.len());
        let mut texts = Vec::with_capacity(asked.len());
        for (place, (table, _)) in asked.iter().enumerate().filter(|(_, (_, keys))| !keys.is_empty()) {
            places.push(place);
            texts.push((self.table(table), locks && table.locked));
        }
        if places.is_empty() {
            return Ok(found);
        }
        let answers = self.read(async |client, statements| {
            let mut prepared_ones = Vec::with_capacity(texts.len());
            for (sql, locks) in &texts {
                let text = if *locks { &sql.select_locked } else { &sql.select };
                prepared_ones.push(prepared(client, statements, text).await?);
            }
            let params: Vec<_> = places.iter().map(|place| Array::borrowed(&arrays[*place])).collect();
            let asking = prepared_ones.iter().zip(&params).map(|(statement, params)| client.query(statement, params));
            Ok(all_in_order(asking).await)
        })?;
        for (place, rows) in places.into_iter().zip(answers) {
            let rows = self.noted(rows.map_err(|error| refused(&error)))?;
            found[place] = rows.iter().map(read_row).collect::<Result<_, _>>()?;
        }
        Ok(found)
    }

    /// A lock over several shards is refused there, and only an equal bucket says that it is one.
    fn select_on_citus(&mut self, table: &'static Table, keys: &[&[Value]]) -> Result<Vec<Row>, StoreError> {
        if !table.locked {
            let found = self.select_together(&[(table, keys.to_vec())], false)?;
            return Ok(found.into_iter().flatten().collect());
        }
        let sql = self.table(table);
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

    /// Runs all of these in their order, sent in one message, and says of each how many rows it wrote. After one that is
    /// refused the server refuses the rest.
    pub(crate) fn write_together(&mut self, writings: &[Writing<'_>]) -> Result<Vec<usize>, StoreError> {
        self.begin_before()?;
        let texts: Vec<_> = writings.iter().map(|writing| (self.table(writing.table), writing.text)).collect();
        let columns = |writing: &Writing<'_>| writing.table.columns.len();
        let arrays = writings.iter().map(|writing| Array::of_columns(columns(writing), writing.table, &writing.rows));
        let arrays: Vec<_> = arrays.collect();
        let answers = self.block_on_within(self.patience, async |client, statements| {
            let mut prepared_ones = Vec::with_capacity(texts.len());
            for (sql, text) in &texts {
                prepared_ones.push(prepared(client, statements, text(sql)).await?);
            }
            let params: Vec<_> = arrays.iter().map(|arrays| Array::borrowed(arrays)).collect();
            let client = &*client;
            let writing =
                prepared_ones.iter().zip(&params).map(|(statement, params)| client.execute(statement, params));
            Ok(all_in_order(writing).await)
        })?;
        let written = writings.iter().zip(answers).map(|(writing, answer)| match answer {
            Ok(written) => Ok(usize::try_from(written).unwrap_or(usize::MAX)),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                Err(StoreError::Conflict { table: writing.table.name })
            }
            Err(error) => Err(refused(&error)),
        });
        self.noted(written.collect())
    }
}

/// Sends all of them before it waits for the first, in their order: a request is sent when it is first polled.
async fn all_in_order<F: Future>(requests: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut requests: Vec<_> = requests.map(|request| Box::pin(maybe_done(request))).collect();
    poll_fn(|context| {
        // All of them each time, from the first to the last.
        let mut done = true;
        for request in &mut requests {
            done &= request.as_mut().poll(context).is_ready();
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    requests.iter_mut().filter_map(|request| request.as_mut().take_output()).collect()
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
