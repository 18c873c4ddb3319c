//! A whole installation as one file, to move it between databases: nothing is decided again, interpreted or left out.
//!
//! The file is gzipped text, a line each: a header, the rows of every table in the order of its key, a footer. A row is
//! a JSON array in the order of the table's columns; bytes are hexadecimal. The same rows make the same file, whichever
//! database they come from.
//!
//! Personal data stay sealed, and look-ups stay keyed: the master key goes another way, and must be the same on both
//! sides. The footer sums up every line before it under a key derived from the master key, so nobody without that can
//! change a file unnoticed.
//!
//! Memory stays flat on both ways: a row at a time out, a batch of rows in. An import is one transaction:
//! what fails, or is cut off, leaves nothing.

mod export;
mod import;
mod line;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tessera_store::{StoreError, Table, migration_names, tables};

use crate::engine::EngineError;
use crate::secret::SecretError;

pub use export::{Exported, export_all};
pub use import::{Imported, import_all};

/// The form of the file; another one gets another number.
const FORMAT: u32 = 1;
/// What the header says it is.
const KIND: &str = "installation";
/// Rows written with one statement.
const BATCH_ROWS_MAX: usize = 1_000;
/// And their size as text: few rows, where they are long.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// The longest line that is read: an event and its record are far below it.
const LINE_MAX: u64 = 64 << 20;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    tessera: String,
    format: u32,
    /// The newest migration: rows are as its tables are.
    schema: String,
    /// The fingerprint of the master key.
    master_key: String,
    rows: u64,
    tables: Vec<TableHeader>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TableHeader {
    name: String,
    columns: Vec<String>,
    rows: u64,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Footer {
    rows: u64,
    /// BLAKE3, keyed, of all lines before.
    sum: String,
}

fn schema() -> &'static str {
    migration_names().last().unwrap_or_default()
}

fn table_header(table: &Table, rows: u64) -> TableHeader {
    let columns = table.columns.iter().map(|column| column.name.to_owned()).collect();
    TableHeader { name: table.name.to_owned(), columns, rows }
}

/// Every table, in the order of the file: programs first, for whoever looks into it.
fn in_order() -> Vec<&'static Table> {
    let mut all: Vec<&'static Table> = tables::every().collect();
    all.sort_by_key(|table| (table.columns.iter().any(|column| column.name == "bucket"), table.name));
    all
}

/// Why an installation could not be moved. Nothing was made or changed.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: std::io::Error },
    #[error("{} is there already: an export writes over nothing", .0.display())]
    Exists(PathBuf),
    #[error("{} is not an export of an installation", .0.display())]
    Foreign(PathBuf),
    #[error("the file is of a newer version of Tessera: its format is {found}, this program reads {FORMAT}")]
    Format { found: u32 },
    #[error("the file is of another version of Tessera: its schema is {found}, this program writes {}", schema())]
    Schema { found: String },
    #[error("the export belongs to another master key ({wanted}) than this installation ({found})")]
    OtherKey { wanted: String, found: String },
    #[error("the master key of the export is missing: it must be the same ({wanted})")]
    NoKey { wanted: String },
    #[error("there is an installation already: {what}")]
    NotEmpty { what: String },
    #[error("the file ends before its end: it was cut off")]
    CutOff,
    #[error("the file was damaged or changed: {0}")]
    Damaged(String),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
