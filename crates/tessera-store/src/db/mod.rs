//! The handle to one database, and the connections it lends.

pub(crate) mod checkpoint;
mod copy;
mod gather;
pub(crate) mod log;
mod pool;
pub(crate) mod postgres;
pub(crate) mod reader;
pub(crate) mod recent;
pub(crate) mod scratch;
pub(crate) mod servers;
pub(crate) mod sqlite;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use checkpoint::{Checkpointer, Turns, WriteTurn};
use log::LogFile;
use pool::Pool;
use postgres::PgConnection;
use sqlite::SqliteConnection;

use crate::citus::SHARD_OF_EACH_BUCKET;
use crate::db::reader::{READERS_MAX, Reader};
use crate::db::recent::RecentRows;
use crate::db::servers::Servers;
use crate::error::StoreError;
use crate::hot::Tx;
use crate::migrate::{self, Schema};
use crate::shards::Shards;

/// Which database it is, for the few statements that must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Embedded, in one file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A handle to one database: cheap to clone, shared between threads.
#[derive(Clone)]
pub struct Database {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<SqliteDatabase>),
    Postgres(Arc<PgDatabase>),
}

struct SqliteDatabase {
    file: PathBuf,
    turns: Arc<Turns>,
    log: LogFile,
    writer_lent: AtomicBool,
    readers: Pool<SqliteConnection>,
    recent: RecentRows,
    /// Stops its thread when the last handle goes. Whoever only reads leaves the log to whoever writes.
    checkpointer: Option<Checkpointer>,
}

struct PgDatabase {
    servers: Arc<Servers>,
    read_only: bool,
    readers: Pool<PgConnection>,
    /// Those that find rows by their keys, which is planned otherwise than a list or a report.
    lookers: Pool<PgConnection>,
}

impl Database {
    /// Opens the database in `file`, creating it if there is none, and brings its schema up to date.
    ///
    /// The folder must exist. Commits are flushed to the disk before they answer.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooNew`] if a newer version of the program wrote it; [`StoreError::Unavailable`] if the
    /// file cannot be opened.
    pub fn open_sqlite(file: &Path) -> Result<Self, StoreError> {
        let mut first = SqliteConnection::open(file, sqlite::Role::Writer)?;
        migrate::sqlite(&mut first)?;
        let turns = Arc::new(Turns::default());
        let checkpointer = Checkpointer::start(file, Arc::clone(&turns))?;
        Ok(Self::sqlite(file, turns, Some(checkpointer)))
    }

    /// Opens the database in `file` as it is, to read beside whoever writes to it: nothing is made, migrated or copied.
    ///
    /// Nobody can get a [`writer`](Self::writer) from it.
    ///
    /// # Errors
    /// [`StoreError::SchemaMissing`], [`StoreError::SchemaTooOld`] or [`StoreError::SchemaTooNew`] if this program cannot
    /// read it; [`StoreError::Unavailable`] if there is no such file.
    pub fn open_sqlite_to_read(file: &Path) -> Result<Self, StoreError> {
        migrate::must_be_current_sqlite(&mut SqliteConnection::open(file, sqlite::Role::Reader)?)?;
        Ok(Self::sqlite(file, Arc::default(), None))
    }

    /// The same without a look at the schema, for whoever checks a file before it is used.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is no such file.
    pub fn open_sqlite_as_it_is(file: &Path) -> Result<Self, StoreError> {
        drop(SqliteConnection::open(file, sqlite::Role::Reader)?);
        Ok(Self::sqlite(file, Arc::default(), None))
    }

    fn sqlite(file: &Path, turns: Arc<Turns>, checkpointer: Option<Checkpointer>) -> Self {
        let database = SqliteDatabase {
            file: file.to_owned(),
            turns,
            log: LogFile::of(&std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())),
            writer_lent: AtomicBool::new(false),
            readers: Pool::new(READERS_MAX),
            recent: RecentRows::new(),
            checkpointer,
        };
        Self { backend: Backend::Sqlite(Arc::new(database)) }
    }

    /// Connects to the database at `url` (`postgres://user:password@host:5432/name`) and brings its schema up to
    /// date, waiting for whoever is doing so already. Where the URL names several hosts, the one that takes writes is
    /// found, at first and whenever a connection is lost.
    ///
    /// # Errors
    /// As [`open_sqlite`](Self::open_sqlite); [`StoreError::Url`] if the URL cannot be used; [`StoreError::Database`] if
    /// the password is wrong.
    pub fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let servers = Servers::to_write(url)?;
        migrate::postgres(&servers)?;
        Ok(Self::postgres(servers, false))
    }

    /// Connects to the database at `url` as it is, to read: nothing is migrated. A standby will do, unless the URL says
    /// `target_session_attrs=read-write`.
    ///
    /// Nobody can get a [`writer`](Self::writer) from it.
    ///
    /// # Errors
    /// As [`open_sqlite_to_read`](Self::open_sqlite_to_read); [`StoreError::Url`] if the URL cannot be used;
    /// [`StoreError::Database`] if the password is wrong.
    pub fn open_postgres_to_read(url: &str) -> Result<Self, StoreError> {
        let servers = Servers::to_read(url)?;
        migrate::must_be_current_postgres(&mut PgConnection::open(&servers, postgres::Role::Reader)?)?;
        Ok(Self::postgres(servers, true))
    }

    fn postgres(servers: Arc<Servers>, read_only: bool) -> Self {
        let database =
            PgDatabase { servers, read_only, readers: Pool::new(READERS_MAX), lookers: Pool::new(READERS_MAX) };
        Self { backend: Backend::Postgres(Arc::new(database)) }
    }

    /// Where the schema of the database in `file` stands. Nothing is made or changed.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooNew`]; [`StoreError::SchemaBroken`] if it is not what migrations leave;
    /// [`StoreError::Unavailable`] if there is no such file.
    pub fn schema_of_sqlite(file: &Path) -> Result<Schema, StoreError> {
        migrate::schema_in_sqlite(&mut SqliteConnection::open(file, sqlite::Role::Reader)?)
    }

    /// Where the schema of the database at `url` stands. Nothing is made or changed.
    ///
    /// # Errors
    /// As [`schema_of_sqlite`](Self::schema_of_sqlite); [`StoreError::Url`] if the URL cannot be used;
    /// [`StoreError::Database`] if the password is wrong.
    pub fn schema_of_postgres(url: &str) -> Result<Schema, StoreError> {
        let servers = Servers::to_read(url)?;
        migrate::schema_in_postgres(&mut PgConnection::open(&servers, postgres::Role::Reader)?)
    }

    /// Copies the database in `from`, as it is at this moment, to the new file `to`, while others go on writing to it.
    /// `progress` is told how many pages of how many are copied. When this answers, the copy is on the disk.
    ///
    /// The copy reads one state, so the log of a busy writer grows until it is done.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if a file cannot be read or written; what is in `to` is then of no use.
    pub fn copy_sqlite(from: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        copy::copy(&mut SqliteConnection::open(from, sqlite::Role::Reader)?, to, progress)
    }

    /// A connection that writes. It may be moved to a thread of its own.
    ///
    /// # Errors
    /// [`StoreError::Busy`] on SQLite while another writer of this database is alive; [`StoreError::Database`] if it was
    /// opened to read.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        let read_only = || StoreError::Database("it was opened to be read".to_owned());
        let link = match &self.backend {
            // Without its thread nobody would ever copy the log.
            Backend::Sqlite(database) if database.checkpointer.is_none() => return Err(read_only()),
            Backend::Postgres(database) if database.read_only => return Err(read_only()),
            Backend::Sqlite(database) => Link::Sqlite(SqliteLink::open(Arc::clone(database))?),
            Backend::Postgres(database) => {
                Link::Postgres(PgConnection::open(&database.servers, postgres::Role::Writer)?)
            }
        };
        Ok(Writer { link })
    }

    /// Runs `f` with a reader that sees one moment of the database, beside any writer. Nothing can be written.
    ///
    /// Up to [`READERS_MAX`] run at a time; the next waits for one of them. Do not read inside a read.
    ///
    /// # Errors
    /// What `f` answers; [`StoreError::Busy`] if no reader came free within ten seconds;
    /// [`StoreError::Unavailable`] if the database cannot be reached.
    pub fn read<T>(&self, f: impl FnOnce(&mut Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.backend {
            Backend::Sqlite(database) => database.read(f),
            Backend::Postgres(database) => database.read(f),
        }
    }

    /// As [`read`](Self::read), for reads of rows by their keys that come again and again: on the embedded database they are
    /// taken from memory where they are known and have not changed, on PostgreSQL they are found by the index however small
    /// the table once was. What is seen is of one moment as there. A list or a report is not to be read so.
    ///
    /// Up to [`READERS_MAX`] run at a time, beside those of [`read`](Self::read).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_again<T>(&self, f: impl FnOnce(&mut Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.backend {
            Backend::Sqlite(database) => database.read_again(f),
            Backend::Postgres(database) => database.read_again(f),
        }
    }

    /// Makes durable what [`Tx::commit_visible`] has committed until now. Any thread may call it, beside the writer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the disk did not take it. Then nothing can be committed any more until the database
    /// is opened again, for nobody knows what a later flush would leave out.
    pub fn flush(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(database) => database.log.flush(),
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// The shard of every bucket, as Citus has them.
    ///
    /// # Errors
    /// [`StoreError::Database`] where its tables are not spread by Citus.
    pub fn shards_of_citus(&self) -> Result<Shards, StoreError> {
        let rows = self.read(|reader| reader.query(SHARD_OF_EACH_BUCKET, &[]))?;
        let places: Result<Vec<i64>, StoreError> = rows.iter().map(|row| row[0].int()).collect();
        Shards::of_places(&places?)
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match &self.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }
}

impl SqliteDatabase {
    /// What makes a read begin: the smallest table there is.
    const LOOK: &str = "SELECT 1 FROM installation LIMIT 1";

    fn read<T>(&self, f: impl FnOnce(&mut Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.lend(|connection| f(&mut Reader::sqlite(connection, None)))
    }

    fn read_again<T>(&self, f: impl FnOnce(&mut Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.lend(|connection| {
            let before = self.recent.moment();
            if before.is_some() {
                connection.query(Self::LOOK, &[])?;
            }
            // Unless a commit came between, the read sees what there was at that moment.
            let moment = before.filter(|_| self.recent.moment() == before);
            f(&mut Reader::sqlite(connection, moment.map(|moment| (&self.recent, moment))))
        })
    }

    fn lend<T>(&self, f: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut lease = self.readers.take(|| SqliteConnection::open(&self.file, sqlite::Role::Reader))?;
        let connection = lease.connection();
        connection.run("BEGIN")?;
        let answer = f(connection);
        // A panic in `f`, or a rollback that fails, closes the connection instead of lending it again.
        connection.rollback()?;
        lease.give_back();
        answer
    }
}

impl PgDatabase {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

    fn read<T>(&self, f: impl FnOnce(&mut Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let role = if self.read_only { postgres::Role::PatientReader } else { postgres::Role::Reader };
        self.lend(&self.readers, role, f)
    }

    fn read_again<T>(&self, f: impl FnOnce(&mut Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.lend(&self.lookers, postgres::Role::Looker, f)
    }

    fn lend<T>(
        &self,
        pool: &Pool<PgConnection>,
        role: postgres::Role,
        f: impl FnOnce(&mut Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut lease = pool.take(|| PgConnection::open(&self.servers, role))?;
        let connection = lease.connection();
        connection.begin(Self::BEGIN);
        let answer = f(&mut Reader::postgres(connection));
        if connection.was_opened_anew() {
            // Those beside it were lost with it, and each would be waited for.
            self.readers.forget_idle();
            self.lookers.forget_idle();
        }
        // A connection that cannot even roll back is closed; the answer stands.
        if connection.end("ROLLBACK").is_ok() {
            lease.give_back();
        }
        answer
    }
}

/// A connection that writes, one transaction after the other.
pub struct Writer {
    link: Link,
}

enum Link {
    Sqlite(SqliteLink),
    Postgres(PgConnection),
}

struct SqliteLink {
    // Closed before the handle: whoever closes last copies the log into the file.
    connection: SqliteConnection,
    lent: WriterLent,
}

/// The one writer of a SQLite database; another may be had when it is dropped.
struct WriterLent(Arc<SqliteDatabase>);

impl SqliteLink {
    fn open(database: Arc<SqliteDatabase>) -> Result<Self, StoreError> {
        if database.writer_lent.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Busy { what: "this database has a writer already" });
        }
        let lent = WriterLent(database);
        let mut connection = SqliteConnection::open(&lent.0.file, sqlite::Role::Writer)?;
        connection.leave_flushing_to_others()?;
        lent.0.recent.begin();
        Ok(Self { connection, lent })
    }
}

impl Drop for WriterLent {
    fn drop(&mut self) {
        self.0.recent.end();
        self.0.writer_lent.store(false, Ordering::Release);
    }
}

impl Writer {
    /// Begins a transaction. On SQLite it is the only one that writes until it ends.
    ///
    /// PostgreSQL hears of it with the first statement. A connection that was lost since the last transaction is opened
    /// anew then.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another process holds the SQLite file for ten seconds.
    pub fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        match &mut self.link {
            Link::Sqlite(link) => {
                let database = &link.lent.0;
                database.log.check()?;
                let turn: WriteTurn<'_> = database.turns.write();
                link.connection.run("BEGIN IMMEDIATE")?;
                Ok(Tx::sqlite(&mut link.connection, turn, (&database.log, &database.recent)))
            }
            Link::Postgres(connection) => {
                connection.begin("BEGIN");
                Ok(Tx::postgres(connection))
            }
        }
    }
}
