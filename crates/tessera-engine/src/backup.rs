//! Backups of the embedded database: made beside a server that goes on writing, and restored into an empty folder.
//!
//! A backup is a database file of its own, as it was at one moment after the backup began: every event acknowledged
//! before is in it. The master key is not, unless asked for: without it a backup can be opened by nobody.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tessera_core::time::Instant;
use tessera_store::{Database, StoreError};

use crate::clock::Clock;
use crate::engine::{EngineError, Location, lock};
use crate::installation;
use crate::new_file::NewFile;
use crate::secret::{SecretError, Secrets, write_key_file};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: std::io::Error },
    #[error("{} is there already: a backup writes over nothing", .0.display())]
    Exists(PathBuf),
    #[error("backups are for the embedded database")]
    NotEmbedded,
    #[error("{} holds `{name}`: a backup is restored into an empty folder", folder.display())]
    NotEmpty { folder: PathBuf, name: String },
    #[error("{} is not a whole backup: {problem}", file.display())]
    NotABackup { file: PathBuf, problem: String },
    #[error("{} is another master key than that of the backup", .0.display())]
    OtherKey(PathBuf),
    #[error("the master key of the backup is missing: without it nobody in it is known")]
    NoKey,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backup {
    pub file: PathBuf,
    pub bytes: u64,
    /// The copy of the master key, where one was asked for.
    pub key_file: Option<PathBuf>,
    /// Tells which master key opens it.
    pub master_key: String,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    pub folder: PathBuf,
    pub bytes: u64,
    pub programs: Vec<String>,
    /// Whether the master key was put into the folder; otherwise it was there, or comes from the environment.
    pub key_restored: bool,
}

fn at(file: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    let file = file.to_owned();
    move |source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists(file),
        _ => BackupError::File { file, source },
    }
}

/// Where a backup goes that was asked for with `to`: into a folder under the time it is made, or to the file itself.
pub fn file_for(to: &Path, now: Instant) -> PathBuf {
    if !to.is_dir() {
        return to.to_owned();
    }
    let second = Instant::from_micros(now.micros() - now.micros().rem_euclid(1_000_000)).to_string();
    let stamp: String = second.chars().filter(char::is_ascii_alphanumeric).collect();
    to.join(format!("tessera-{stamp}.db"))
}

/// Where the key of a backup lies, if anywhere: `<file>.key`.
pub fn key_file_of(file: &Path) -> PathBuf {
    with_suffix(file, ".key")
}

fn with_suffix(file: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies the embedded database to the new file `to`, with the key beside it where asked. `progress` is told pages done
/// and in all.
pub fn backup(
    location: &Location,
    to: &Path,
    with_key: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Backup, BackupError> {
    if location.database_url.is_some() {
        return Err(BackupError::NotEmbedded);
    }
    let key_file = with_key.then(|| key_file_of(to));
    if let Some(taken) = [Some(to.to_owned()), key_file.clone()].into_iter().flatten().find(|file| file.exists()) {
        return Err(BackupError::Exists(taken));
    }
    let source = location.database_file();
    // Whoever backs up a database with another's key would find out when it is too late. Its schema may be of any age: a
    // new version is backed up to before it migrates.
    let secrets = location.secrets(false)?;
    installation::check(&Database::open_sqlite_as_it_is(&source)?, &secrets)?;
    let master_key = secrets.fingerprint();
    let (new, file) = NewFile::create(to).map_err(at(to))?;
    // From here on the file is the database's.
    drop(file);
    Database::copy_sqlite(&source, new.part(), progress)?;
    if let Some(key_file) = &key_file {
        let text = match &location.master_key {
            Some(text) => text.trim().to_owned(),
            None => std::fs::read_to_string(location.key_file()).map_err(at(&location.key_file()))?,
        };
        write_key_file(key_file, &text).map_err(at(key_file))?;
    }
    new.finish().map_err(at(to))?;
    let bytes = std::fs::metadata(to).map_err(at(to))?.len();
    Ok(Backup { file: to.to_owned(), bytes, key_file, master_key })
}

/// Puts a backup into an empty folder (it may hold its `master.key` already) and checks it. The key is that of the
/// folder or the environment, of `key`, or of the file beside the backup, the first there is.
pub fn restore(
    file: &Path,
    location: &Location,
    key: Option<&Path>,
    clock: Arc<dyn Clock>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Restored, BackupError> {
    if location.database_url.is_some() {
        return Err(BackupError::NotEmbedded);
    }
    // What a copy of the file alone would leave behind.
    let log = with_suffix(file, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let problem = format!("it has a log, {}: it is a database in use, or was when it was copied", log.display());
        return Err(BackupError::NotABackup { file: file.to_owned(), problem });
    }
    let mut source = File::open(file).map_err(at(file))?;
    let total = source.metadata().map_err(at(file))?.len();
    must_be_empty(&location.folder)?;
    let key = key_for(file, location, key)?;
    let _lock = lock(&location.folder, clock.as_ref())?;
    let target = location.database_file();
    let (new, mut copy) = NewFile::create(&target).map_err(at(&target))?;
    let bytes = copy_file(&mut source, &mut copy, total, progress).map_err(at(new.part()))?;
    drop(copy);
    let programs = checked(file, new.part(), &key)?;
    if let Key::File { text, .. } = &key {
        write_key_file(&location.key_file(), text).map_err(at(&location.key_file()))?;
    }
    if let Err(error) = new.finish() {
        if let Key::File { .. } = &key {
            // The folder is left as it was.
            let _ = std::fs::remove_file(location.key_file());
        }
        return Err(at(&target)(error));
    }
    let key_restored = matches!(key, Key::File { .. });
    Ok(Restored { folder: location.folder.clone(), bytes, programs, key_restored })
}

fn must_be_empty(folder: &Path) -> Result<(), BackupError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(at(folder))?,
    };
    for entry in entries {
        let name = entry.map_err(at(folder))?.file_name().to_string_lossy().into_owned();
        // The part of a restore that was cut off is written over.
        if !["master.key", "lock", "tessera.db.part"].contains(&name.as_str()) {
            return Err(BackupError::NotEmpty { folder: folder.to_owned(), name });
        }
    }
    Ok(())
}

/// The key that a restored database will be opened with.
enum Key {
    /// That of the folder or the environment.
    There(Secrets, PathBuf),
    /// One that is put into the folder.
    File { secrets: Secrets, text: String, file: PathBuf },
}

fn key_for(backup: &Path, location: &Location, named: Option<&Path>) -> Result<Key, BackupError> {
    match location.secrets(false) {
        Ok(secrets) => {
            let from = if location.master_key.is_some() { "TESSERA_MASTER_KEY".into() } else { location.key_file() };
            return Ok(Key::There(secrets, from));
        }
        Err(SecretError::Missing(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let beside = key_file_of(backup);
    let file = match named {
        Some(file) => file.to_owned(),
        None if beside.exists() => beside,
        None => return Err(BackupError::NoKey),
    };
    let text = std::fs::read_to_string(&file).map_err(at(&file))?;
    Ok(Key::File { secrets: Secrets::from_hex(&text)?, text, file })
}

/// Bytes copied between two reports of progress.
const STEP: usize = 1 << 20;

fn copy_file(from: &mut File, to: &mut File, total: u64, progress: &mut dyn FnMut(u64, u64)) -> std::io::Result<u64> {
    let mut buffer = vec![0; STEP];
    let mut done = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        to.write_all(&buffer[..read])?;
        done += read as u64;
        progress(done, total);
    }
    to.sync_all()?;
    Ok(done)
}

/// A copy is taken only when it is whole, of a schema this program knows, and opens with the key. Says its programs.
fn checked(backup: &Path, copy: &Path, key: &Key) -> Result<Vec<String>, BackupError> {
    let broken = |problem: String| BackupError::NotABackup { file: backup.to_owned(), problem };
    let is_database = |error: StoreError| match error {
        StoreError::Database(problem) | StoreError::SchemaBroken { problem } => broken(problem),
        StoreError::SchemaMissing => broken("it holds nothing".to_owned()),
        other => other.into(),
    };
    let schema = Database::schema_of_sqlite(copy).map_err(is_database)?;
    if schema.applied.is_empty() {
        return Err(broken("it holds nothing".to_owned()));
    }
    let database = Database::open_sqlite_as_it_is(copy).map_err(is_database)?;
    let found = database.read(|reader| reader.query("PRAGMA quick_check(1)", &[])).map_err(is_database)?;
    match found.first().and_then(|row| row[0].text().ok()) {
        Some("ok") => {}
        problem => return Err(broken(problem.unwrap_or("its check says nothing").to_owned())),
    }
    let (secrets, from) = match key {
        Key::There(secrets, from) => (secrets, from),
        Key::File { secrets, file, .. } => (secrets, file),
    };
    installation::check(&database, secrets).map_err(|error| match error {
        EngineError::Secret(SecretError::OtherKey) => BackupError::OtherKey(from.clone()),
        other => other.into(),
    })?;
    Ok(crate::programs::Programs::default().list(&database)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gets_a_file_by_the_time_and_a_file_is_itself() {
        let folder = tempfile::tempdir().unwrap();
        let now: Instant = "2026-11-22T21:11:22.5+07:00".parse().unwrap();
        assert_eq!(file_for(folder.path(), now), folder.path().join("tessera-20261122T141122Z.db"));
        let file = folder.path().join("monday.db");
        assert_eq!(file_for(&file, now), file);
        assert_eq!(key_file_of(&file), folder.path().join("monday.db.key"));
    }
}
