//! One installation, opened: its database, its keys, its programs and the door to them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tessera_store::{Database, StoreError};

use crate::clock::{Clock, Entropy, SystemClock};
use crate::executor::{Context, Executor, Overloaded, Reply};
use crate::folder::{FolderLock, Holder, LockError};
use crate::installation;
use crate::programs::{self, ProgramError, ProgramHandle, Programs, Publication};
use crate::secret::{SecretError, Secrets};
use crate::submission::{Answer, Submission};

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the data folder {} cannot be used: {source}", folder.display())]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("the data folder {} is in use by {}", folder.display(), by(holder.as_ref()))]
    Locked { folder: PathBuf, holder: Option<Holder> },
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

fn by(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), Holder::to_string)
}

/// Where an installation keeps its data, and how it is opened.
#[derive(Debug)]
pub struct Location {
    /// Holds the embedded database, the master key and the lock.
    pub folder: PathBuf,
    /// `postgres://…` in place of the embedded database.
    pub database_url: Option<String>,
    /// 64 hexadecimal digits in place of the key file.
    pub master_key: Option<String>,
}

impl Location {
    /// The file of the embedded database.
    pub fn database_file(&self) -> PathBuf {
        self.folder.join("tessera.db")
    }

    /// The file of the master key.
    pub fn key_file(&self) -> PathBuf {
        self.folder.join("master.key")
    }

    /// The keys, from the environment or the key file; with `is_new`, the file is made where there is none.
    pub fn secrets(&self, is_new: bool) -> Result<Secrets, SecretError> {
        match &self.master_key {
            Some(key) => Secrets::from_hex(key),
            None if is_new => Secrets::from_file_or_new(&self.key_file()),
            None => Secrets::from_file(&self.key_file()),
        }
    }
}

/// An installation that this process works on.
#[derive(Debug)]
pub struct Engine {
    pub context: Arc<Context>,
    executor: Option<Executor>,
    writers: Vec<JoinHandle<()>>,
    /// Held as long as the engine lives: one data folder, one writer.
    lock: Option<FolderLock>,
}

impl Engine {
    /// Opens an installation for reading and writing; it is made when it is not there.
    pub fn open(location: &Location) -> Result<Self, EngineError> {
        Self::open_with(location, Arc::new(SystemClock))
    }

    pub fn open_with(location: &Location, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        Self::open_on(location, clock, Entropy::default())
    }

    /// Opens an installation with its ports given: where time and randomness come from.
    pub fn open_on(location: &Location, clock: Arc<dyn Clock>, entropy: Entropy) -> Result<Self, EngineError> {
        let lock = match location.database_url {
            None => Some(lock(&location.folder, clock.as_ref())?),
            Some(_) => None,
        };
        let context = Arc::new(context(location, clock, Access::Write)?);
        let (executor, writers) = Executor::start(context.clone(), entropy)?;
        Ok(Self { context, executor: Some(executor), writers, lock })
    }

    /// Opens an installation for reading beside whoever writes to it. Nothing is made, migrated or taken: where there is
    /// no installation, or one of another version, that is an error.
    pub fn open_to_read(location: &Location) -> Result<Arc<Context>, EngineError> {
        Ok(Arc::new(context(location, Arc::new(SystemClock), Access::Read)?))
    }

    /// Tells whoever comes next what this process does with the folder, and where its API is.
    pub fn announce(&self, command: &str, address: Option<SocketAddr>) -> std::io::Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.write(Some(command), address))
    }

    pub fn executor(&self) -> &Executor {
        // Taken out only by `close`, which takes the engine.
        self.executor.as_ref().expect("an open engine has its executor")
    }

    pub fn program(&self, key: &str) -> Result<Arc<ProgramHandle>, ProgramError> {
        self.context.programs.get(&self.context.database, key)
    }

    /// Publishes a document. The head as the executor sees it follows with its next batch.
    pub fn publish(&self, publication: Publication) -> Result<(Arc<ProgramHandle>, u32, bool), EngineError> {
        publish(&self.context, self.executor(), publication)
    }

    /// Submits one command and waits for its answer.
    pub fn submit(&self, submission: Submission) -> Result<Answer, Overloaded> {
        let (answer, answered) = mpsc::sync_channel(1);
        let reply: Reply = Box::new(move |done| {
            // Whoever asked may have gone; the command is done all the same.
            let _ = answer.send(done);
        });
        self.executor().submit_waiting(submission, reply)?;
        Ok(answered.recv().unwrap_or(Answer::Unavailable))
    }

    /// Takes no more commands and waits until those accepted are written.
    pub fn close(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.executor = None;
        for writer in self.writers.drain(..) {
            if writer.join().is_err() {
                tracing::error!("the executor ended in a panic");
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Publishes in one transaction.
pub fn publish(
    context: &Context,
    executor: &Executor,
    publication: Publication,
) -> Result<(Arc<ProgramHandle>, u32, bool), EngineError> {
    let now = context.clock.now();
    let (key, version, changed) = executor.write(move |tx| {
        let (_, version, changed) = programs::publish(tx, &publication, now)?;
        let definition =
            tessera_core::program::read_document(&publication.text).map_err(ProgramError::Invalid)?.definition;
        Ok::<_, ProgramError>((definition.program, version, changed))
    })?;
    let handle = context.programs.get(&context.database, key.as_str())?;
    let stale = handle.clone();
    executor.write(move |tx| programs::refresh(tx, &stale))?;
    Ok((handle, version, changed))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

fn context(location: &Location, clock: Arc<dyn Clock>, access: Access) -> Result<Context, EngineError> {
    let folder = &location.folder;
    let file = location.database_file();
    if access == Access::Write {
        std::fs::create_dir_all(folder).map_err(|source| EngineError::Folder { folder: folder.clone(), source })?;
    }
    let database = match (&location.database_url, access) {
        (Some(url), Access::Write) => Some(Database::open_postgres(url)?),
        (Some(url), Access::Read) => Some(Database::open_postgres_to_read(url)?),
        (None, _) => None,
    };
    // A key is made with the installation, never for one that is there: it would find nobody and open nothing.
    let is_new = access == Access::Write
        && match &database {
            Some(database) => installation::is_new(database)?,
            None => !file.exists(),
        };
    let secrets = location.secrets(is_new)?;
    let database = match (database, access) {
        (Some(database), _) => database,
        (None, Access::Write) => Database::open_sqlite(&file)?,
        (None, Access::Read) => Database::open_sqlite_to_read(&file)?,
    };
    match access {
        Access::Write => installation::claim(&database, &secrets)?,
        Access::Read => installation::check(&database, &secrets)?,
    }
    let shards = installation::shards(&database)?;
    Ok(Context { database, secrets, clock, programs: Programs::default(), shards })
}

pub(crate) fn lock(folder: &std::path::Path, clock: &dyn Clock) -> Result<FolderLock, EngineError> {
    FolderLock::take(folder, clock.now()).map_err(|error| match error {
        LockError::Held(holder) => EngineError::Locked { folder: folder.to_owned(), holder },
        LockError::Io(source) => EngineError::Folder { folder: folder.to_owned(), source },
    })
}

/// Random bytes for callers that make keys.
pub fn entropy() -> Entropy {
    Entropy::default()
}
