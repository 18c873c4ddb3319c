//! A data folder has one writer at a time. Its lock says who that is, for whoever comes next.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tessera_core::time::Instant;

/// The process that writes to a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub process: u32,
    pub since: Instant,
    /// What it does: `serve`, `import events`.
    #[serde(default)]
    pub command: Option<String>,
    /// Where its API listens.
    #[serde(default)]
    pub address: Option<SocketAddr>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} (", self.process)?;
        if let Some(command) = &self.command {
            write!(f, "`tessera {command}`")?;
            if let Some(address) = self.address {
                write!(f, " at http://{address}")?;
            }
            f.write_str(", ")?;
        }
        let since = self.since.micros();
        write!(f, "since {})", Instant::from_micros(since - since.rem_euclid(1_000_000)))
    }
}

/// More than looking at a lock takes.
const LOOK_MAX: Duration = Duration::from_millis(20);

/// What the lock of a folder tells whoever only looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// A process writes to the folder.
    Held(Option<Holder>),
    /// Nobody does; the last one who did, where that can be read.
    Free(Option<Holder>),
}

impl Lock {
    /// Looks at the lock of a folder. It is shared for that moment, and whoever starts to write in it waits.
    pub fn of(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join("lock");
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::Free(None)),
            opened => opened?,
        };
        let holder = || serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default()).ok();
        match file.try_lock_shared() {
            Ok(()) => Ok(Self::Free(holder())),
            Err(TryLockError::WouldBlock) => Ok(Self::Held(holder())),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The lock, held until it is dropped; the operating system drops it with the process, however that ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
    process: u32,
    since: Instant,
}

/// Why a folder's lock could not be had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// By whom, where that can be read.
    Held(Option<Holder>),
    Io(std::io::Error),
}

impl From<std::io::Error> for LockError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl FolderLock {
    /// Takes the lock of a folder, which is made if it is not there.
    pub fn take(folder: &Path, now: Instant) -> Result<Self, LockError> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("lock");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        let mut taken = file.try_lock();
        if matches!(taken, Err(TryLockError::WouldBlock)) {
            // It may be somebody who only looks, which takes no time.
            std::thread::sleep(LOOK_MAX);
            taken = file.try_lock();
        }
        match taken {
            Ok(()) => {
                let lock = Self { file, process: std::process::id(), since: now };
                lock.write(None, None)?;
                Ok(lock)
            }
            Err(TryLockError::WouldBlock) => {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                Err(LockError::Held(serde_json::from_str(&text).ok()))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Writes down who holds it.
    pub fn write(&self, command: Option<&str>, address: Option<SocketAddr>) -> std::io::Result<()> {
        let command = command.map(str::to_owned);
        let holder = Holder { process: self.process, since: self.since, command, address };
        let text = serde_json::to_string(&holder)?;
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(text.as_bytes())
    }
}
