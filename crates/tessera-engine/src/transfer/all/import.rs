//! In: into an empty installation, all of it or nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::GzDecoder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tessera_store::{Database, Row, StoreError, Table, Tx, Value};

use super::{
    BATCH_BYTES_MAX, BATCH_ROWS_MAX, FORMAT, Footer, Header, KIND, LINE_MAX, MoveError, in_order, line, schema,
    table_header,
};
use crate::clock::Clock;
use crate::engine::{Location, lock};
use crate::installation::MASTER_KEY;
use crate::secret::{SecretError, Secrets, hex};

/// What was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub rows: u64,
    pub programs: Vec<String>,
}

/// The lines of a file, and the sum of those read.
struct Lines<R: Read> {
    source: BufReader<GzDecoder<R>>,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line with its end; empty after the last.
    fn next(&mut self) -> Result<&[u8], MoveError> {
        self.line.clear();
        let read = (&mut self.source).take(LINE_MAX).read_until(b'\n', &mut self.line);
        match read {
            Ok(0) => Ok(&[]),
            Ok(_) if self.line.ends_with(b"\n") => Ok(&self.line),
            Ok(_) if self.line.len() as u64 >= LINE_MAX => Err(MoveError::Damaged("a line has no end".to_owned())),
            Ok(_) => Err(MoveError::CutOff),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(MoveError::CutOff),
            Err(error) => Err(MoveError::Damaged(format!("it cannot be unpacked ({error})"))),
        }
    }
}

/// Reads the whole installation in `file` into the empty one at `location`. `progress` is told rows done and in all.
pub fn import_all(
    location: &Location,
    file: &Path,
    clock: Arc<dyn Clock>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Imported, MoveError> {
    let failed = |source| MoveError::File { file: file.to_owned(), source };
    let source = File::open(file).map_err(failed)?;
    let source = GzDecoder::new(BufReader::with_capacity(256 * 1024, source));
    let mut lines = Lines { source: BufReader::with_capacity(256 * 1024, source), line: Vec::new() };
    let header = header(file, &mut lines)?;
    let secrets = secrets_for(location, &header)?;
    let mut sum = secrets.export_hasher();
    sum.update(&lines.line);

    let target = Target::open(location, clock)?;
    let programs = {
        let mut writer = target.database().writer()?;
        let mut tx = writer.begin()?;
        must_be_empty(&mut tx, &header)?;
        let mut done = 0;
        for (table, announced) in in_order().into_iter().zip(&header.tables) {
            rows(&mut tx, table, announced.rows, &mut lines, &mut sum, &mut |rows| {
                done += rows;
                progress(done, header.rows);
            })?;
        }
        footer(&mut lines, &header, &sum)?;
        let keys = tx.query("SELECT key FROM program ORDER BY key", &[])?;
        let programs = keys.into_iter().flatten().map(Value::into_text).collect::<Result<_, StoreError>>()?;
        tx.commit()?;
        programs
    };
    target.keep();
    Ok(Imported { rows: header.rows, programs })
}

fn header<R: BufRead>(file: &Path, lines: &mut Lines<R>) -> Result<Header, MoveError> {
    /// What every format says about itself.
    #[derive(serde::Deserialize)]
    struct Beginning {
        tessera: String,
        format: u32,
    }
    let foreign = || MoveError::Foreign(file.to_owned());
    let line = match lines.next() {
        // Not gzipped at all, or gzipped text of something else.
        Err(MoveError::Damaged(_)) => return Err(foreign()),
        read => read?,
    };
    if line.is_empty() {
        return Err(foreign());
    }
    let beginning: Beginning = serde_json::from_slice(line).map_err(|_| foreign())?;
    if beginning.tessera != KIND {
        return Err(foreign());
    }
    if beginning.format != FORMAT {
        return Err(MoveError::Format { found: beginning.format });
    }
    let header: Header = read(line, "its header")?;
    if header.schema != schema() {
        return Err(MoveError::Schema { found: header.schema });
    }
    let known: Vec<_> =
        in_order().into_iter().zip(&header.tables).map(|(table, of)| table_header(table, of.rows)).collect();
    if known != header.tables || header.rows != known.iter().map(|table| table.rows).sum::<u64>() {
        return Err(MoveError::Damaged("its header names other tables than its schema has".to_owned()));
    }
    Ok(header)
}

fn read<T: DeserializeOwned>(line: &[u8], what: &str) -> Result<T, MoveError> {
    serde_json::from_slice(line).map_err(|_| MoveError::Damaged(format!("{what} cannot be read")))
}

/// The keys of the target, which must be those of the source.
fn secrets_for(location: &Location, header: &Header) -> Result<Secrets, MoveError> {
    let wanted = header.master_key.clone();
    let secrets = match location.secrets(false) {
        Err(SecretError::Missing(_)) => return Err(MoveError::NoKey { wanted }),
        read => read?,
    };
    match secrets.fingerprint() {
        found if found == wanted => Ok(secrets),
        found => Err(MoveError::OtherKey { wanted, found }),
    }
}

/// The database that is filled. An embedded one that this import has made goes again unless it is kept.
struct Target {
    database: Option<Database>,
    made: Option<PathBuf>,
    /// Held while it is filled.
    _lock: Option<crate::folder::FolderLock>,
}

impl Target {
    fn open(location: &Location, clock: Arc<dyn Clock>) -> Result<Self, MoveError> {
        if let Some(url) = &location.database_url {
            return Ok(Self { database: Some(Database::open_postgres(url)?), made: None, _lock: None });
        }
        let lock = lock(&location.folder, clock.as_ref())?;
        // Only a courtesy to whoever comes next.
        let _ = lock.write(Some("import all"), None);
        let file = location.database_file();
        let made = (!file.exists()).then(|| file.clone());
        Ok(Self { database: Some(Database::open_sqlite(&file)?), made, _lock: Some(lock) })
    }

    fn database(&self) -> &Database {
        // Taken out only when this is dropped.
        self.database.as_ref().expect("a target has its database until it is dropped")
    }

    fn keep(mut self) {
        self.made = None;
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.database = None;
        let Some(file) = &self.made else { return };
        for suffix in ["", "-wal", "-shm"] {
            let mut name = file.clone().into_os_string();
            name.push(suffix);
            // An empty database that is left over is as good as none.
            let _ = std::fs::remove_file(name);
        }
    }
}

/// Nothing but the fingerprint of the same master key may be there, as after a server was started once.
fn must_be_empty(tx: &mut Tx<'_>, header: &Header) -> Result<(), MoveError> {
    tx.execute(
        "DELETE FROM installation WHERE name = $1 AND value = $2",
        &[MASTER_KEY.into(), header.master_key.as_str().into()],
    )?;
    for table in in_order() {
        if !tx.query(&format!("SELECT 1 FROM {} LIMIT 1", table.name), &[])?.is_empty() {
            let programs = tx.query("SELECT key FROM program ORDER BY key", &[])?;
            let names: Vec<&str> = programs.iter().flatten().filter_map(|name| name.text().ok()).collect();
            let what = match names.as_slice() {
                [] => format!("the table `{}` holds rows", table.name),
                names => format!("it holds {}", names.join(", ")),
            };
            return Err(MoveError::NotEmpty { what });
        }
    }
    Ok(())
}

/// Reads the rows of one table and writes them.
fn rows<R: BufRead>(
    tx: &mut Tx<'_>,
    table: &'static Table,
    count: u64,
    lines: &mut Lines<R>,
    sum: &mut blake3::Hasher,
    written: &mut dyn FnMut(u64),
) -> Result<(), MoveError> {
    let damaged = |what: &str| MoveError::Damaged(format!("{what} of `{}`", table.name));
    let mut batch: Vec<Row> = Vec::new();
    let mut bytes = 0;
    for number in 1..=count {
        let line = lines.next()?;
        if line.is_empty() {
            return Err(MoveError::CutOff);
        }
        sum.update(line);
        batch.push(line::read(line, table.columns).ok_or_else(|| damaged("there is a line that is no row"))?);
        bytes += line.len();
        if batch.len() == BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX || number == count {
            tx.insert_rows(table, &batch).map_err(|error| match error {
                StoreError::Conflict { .. } => damaged("there are two rows of one key"),
                StoreError::Database(_) => damaged("there is a row that cannot be"),
                other => other.into(),
            })?;
            written(batch.len() as u64);
            batch.clear();
            bytes = 0;
        }
    }
    Ok(())
}

/// The end of the file: everything before it is as it was written.
fn footer<R: BufRead>(lines: &mut Lines<R>, header: &Header, sum: &blake3::Hasher) -> Result<(), MoveError> {
    let line = lines.next()?;
    if line.is_empty() {
        return Err(MoveError::CutOff);
    }
    let footer: Footer = read(line, "its end")?;
    if footer.rows != header.rows || footer.sum != hex(sum.finalize().as_bytes()) {
        return Err(MoveError::Damaged("its sum is not that of its lines".to_owned()));
    }
    match lines.next()? {
        [] => Ok(()),
        _ => Err(MoveError::Damaged("there are lines after its end".to_owned())),
    }
}
