//! Rows of a CSV or NDJSON file, plain or gzipped, one at a time: memory stays flat whatever the size.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::mapping::Format;

/// The longest line read, in bytes.
const LINE_MAX: usize = 1024 * 1024;

/// A row: its line in the file, and its values by column.
#[derive(Clone, Debug)]
pub struct Row {
    pub line: u64,
    pub values: Vec<String>,
}

/// The names of a file's columns and where each stands.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Columns {
    fn new(names: Vec<String>) -> Self {
        let places = names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        Self { names, places }
    }

    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// A line that cannot be read.
#[derive(Clone, Debug)]
pub struct BadLine {
    pub line: u64,
    pub problem: String,
    pub text: String,
    /// Its values, where the line could be taken apart.
    pub values: Vec<String>,
}

/// Counts the bytes read of the file itself, for progress.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

pub struct Rows {
    source: Source,
    pub columns: Columns,
    read: Arc<AtomicU64>,
}

enum Source {
    Csv(Box<csv::Reader<Box<dyn Read + Send>>>),
    Ndjson { reader: Box<dyn BufRead + Send>, line: u64 },
}

impl Rows {
    /// Opens a file; `.gz` at the end of its name is understood. `wanted`: the columns an NDJSON file is read for.
    pub fn open(path: &Path, format: Format, wanted: &[&str]) -> std::io::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let file = Counted { inner: File::open(path)?, read: read.clone() };
        let gzipped = path.extension().is_some_and(|extension| extension == "gz");
        let plain: Box<dyn Read + Send> = if gzipped {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, file)))
        } else {
            Box::new(file)
        };
        match format {
            Format::Csv => {
                let mut reader =
                    csv::ReaderBuilder::new().flexible(true).buffer_capacity(256 * 1024).from_reader(plain);
                let names = reader
                    .headers()
                    .map_err(std::io::Error::other)?
                    .iter()
                    .map(|name| name.trim_start_matches('\u{feff}').to_owned());
                let columns = Columns::new(names.collect());
                Ok(Self { source: Source::Csv(Box::new(reader)), columns, read })
            }
            Format::Ndjson => {
                let mut names: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
                names.sort();
                names.dedup();
                let reader = Box::new(BufReader::with_capacity(256 * 1024, plain));
                Ok(Self { source: Source::Ndjson { reader, line: 0 }, columns: Columns::new(names), read })
            }
        }
    }

    /// Bytes of the file read so far, as it lies on the disk.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The next row; `None` at the end; `Err` for a line that cannot be read, after which the next can.
    pub fn next(&mut self) -> std::io::Result<Option<Result<Row, BadLine>>> {
        match &mut self.source {
            Source::Csv(reader) => {
                let mut record = csv::StringRecord::new();
                let more = match reader.read_record(&mut record) {
                    Ok(more) => more,
                    Err(error) => return bad_csv(error).map(|bad| Some(Err(bad))),
                };
                if !more {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                if record.len() != self.columns.names.len() {
                    let problem = format!("{} values where the header has {}", record.len(), self.columns.names.len());
                    let values = record.iter().map(str::to_owned).collect();
                    return Ok(Some(Err(BadLine { line, problem, text: String::new(), values })));
                }
                Ok(Some(Ok(Row { line, values: record.iter().map(str::to_owned).collect() })))
            }
            Source::Ndjson { reader, line } => {
                let mut text = Vec::new();
                let count = reader.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut text)?;
                if count == 0 {
                    return Ok(None);
                }
                *line += 1;
                Ok(Some(json_row(&self.columns, *line, &text)))
            }
        }
    }
}

fn bad_csv(error: csv::Error) -> std::io::Result<BadLine> {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Err(error),
        csv::ErrorKind::Utf8 { err, .. } => Ok(BadLine {
            line,
            problem: format!("column {}: not UTF-8", err.field() + 1),
            text: String::new(),
            values: Vec::new(),
        }),
        _ => Ok(BadLine { line, problem: "not CSV".to_owned(), text: String::new(), values: Vec::new() }),
    }
}

fn json_row(columns: &Columns, line: u64, text: &[u8]) -> Result<Row, BadLine> {
    let bad = |problem: &str| BadLine {
        line,
        problem: problem.to_owned(),
        text: String::from_utf8_lossy(&text[..text.len().min(2_000)]).trim_end().to_owned(),
        values: Vec::new(),
    };
    if text.len() > LINE_MAX {
        return Err(bad("the line is longer than 1 MiB"));
    }
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|error| bad(&format!("not a JSON object: {error}")))?;
    let value = |name: &String| match fields.remove(name) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    Ok(Row { line, values: columns.names.iter().map(value).collect() })
}
