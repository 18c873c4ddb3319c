//! Makes SQLite's write-ahead log durable: the flush of a commit, apart from the commit.
//!
//! SQLite flushes inside COMMIT (`synchronous = FULL`), so whoever writes stands still meanwhile. Here the writer commits
//! without a flush (`NORMAL`) and this flushes the same file, at once or on another thread beside the next transaction.
//! What `NORMAL` still flushes by itself is the order that keeps the file whole: the log before pages are copied out of it,
//! the pages before the log starts anew (<https://www.sqlite.org/pragma.html#pragma_synchronous>).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::StoreError;

/// The log of one database, for as long as it is open.
pub(crate) struct LogFile {
    path: PathBuf,
    /// Kept open: each commit flushes. Closing it releases none of SQLite's locks, which are on its other two files.
    file: OnceLock<File>,
    /// After a flush that failed, the system may have dropped what it could not write and call the next flush a success.
    broken: AtomicBool,
}

impl LogFile {
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), file: OnceLock::new(), broken: AtomicBool::new(false) }
    }

    /// Everything committed so far is on the disk when this answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it could not be flushed, and from then on until the database is opened again.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.check()?;
        let flushed = match self.file.get() {
            Some(file) => file.sync_data(),
            None => self.open().and_then(|file| file.sync_data()),
        };
        if flushed.is_err() {
            self.broken.store(true, Ordering::Release);
        }
        self.check()
    }

    /// Whether a commit can still be made durable.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.broken.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(StoreError::Unavailable(
                "the disk did not take what was written: look at the disk, then restart".to_owned(),
            )),
        }
    }

    /// It is there once something was committed.
    fn open(&self) -> std::io::Result<&File> {
        let file = File::options().write(true).open(&self.path)?;
        Ok(self.file.get_or_init(|| file))
    }
}

#[cfg(test)]
mod tests {
    use super::LogFile;

    #[test]
    fn after_a_flush_that_failed_nothing_counts_as_durable_any_more() {
        let folder = tempfile::TempDir::new().unwrap();
        let database = folder.path().join("tessera.db");
        let log = LogFile::of(&database);
        assert!(log.flush().is_err(), "there is no log");
        std::fs::write(folder.path().join("tessera.db-wal"), b"").unwrap();
        let told = log.flush().unwrap_err().to_string();
        assert!(told.contains("restart"), "{told}");
        assert!(LogFile::of(&database).flush().is_ok(), "opened again it is as good as new");
    }
}
