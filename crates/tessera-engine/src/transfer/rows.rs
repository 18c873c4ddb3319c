//! Rows of a CSV or NDJSON file, plain or gzipped, one at a time: memory stays flat whatever the size.
//!
//! Whatever is in the file, reading goes on with the next line: a quote that is never closed costs its own line, not
//! the rest of the file.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::mapping::Format;

/// The longest line read, and the longest row over several lines, in bytes.
const LINE_MAX: usize = 1024 * 1024;
/// What is kept of a longer one, in bytes: enough to find it again.
const BEGINNING: usize = 200;

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

    fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("?", String::as_str)
    }
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    pub line: u64,
    pub problem: String,
    /// The line as it stands in the file, where it could not be taken apart.
    pub text: Vec<u8>,
    /// Its values as they stand in the file, where it could.
    pub values: Vec<Vec<u8>>,
}

impl BadLine {
    /// The value of a column, if it is one of the readable ones.
    pub fn value(&self, place: usize) -> Option<&str> {
        self.values.get(place).and_then(|value| std::str::from_utf8(value).ok())
    }

    fn of_text(line: &Line, problem: impl Into<String>) -> Self {
        let text = line.bytes.trim_ascii_end().to_vec();
        Self { line: line.number, problem: problem.into(), text, values: Vec::new() }
    }
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

/// A line of the file, with its end.
struct Line {
    number: u64,
    bytes: Vec<u8>,
    /// It was longer than is read; `bytes` is its beginning.
    too_long: bool,
}

/// The lines of a file, with room to put some back.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    number: u64,
    /// Read ahead for a row that turned out not to go on.
    put_back: VecDeque<Line>,
}

impl Lines {
    fn new(reader: Box<dyn BufRead + Send>) -> Self {
        Self { reader, number: 0, put_back: VecDeque::new() }
    }

    fn next(&mut self) -> std::io::Result<Option<Line>> {
        if let Some(line) = self.put_back.pop_front() {
            return Ok(Some(line));
        }
        let mut bytes = Vec::new();
        if self.reader.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let too_long = bytes.len() > LINE_MAX && !bytes.ends_with(b"\n");
        if too_long {
            self.reader.skip_until(b'\n')?;
            bytes.truncate(BEGINNING);
        }
        Ok(Some(Line { number: self.number, bytes, too_long }))
    }

    /// The next line that is not blank.
    fn next_filled(&mut self) -> std::io::Result<Option<Line>> {
        while let Some(line) = self.next()? {
            if !line.bytes.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

pub struct Rows {
    lines: Lines,
    format: Format,
    pub columns: Columns,
    read: Arc<AtomicU64>,
}

impl Rows {
    /// Opens a file, gzipped or not. `wanted`: the columns an NDJSON file is read for.
    ///
    /// # Errors
    /// Why no row can be read of it, in words.
    pub fn open(path: &Path, format: Format, wanted: &[&str]) -> Result<Self, String> {
        let (mut lines, read) = open(path)?;
        let columns = match format {
            Format::Csv => Columns::new(header(&mut lines)?),
            Format::Ndjson => {
                let mut names: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
                names.sort();
                names.dedup();
                Columns::new(names)
            }
        };
        Ok(Self { lines, format, columns, read })
    }

    /// The columns of a CSV file, or the fields of the first line of NDJSON.
    pub fn names(path: &Path, format: Format) -> Result<Columns, String> {
        let (mut lines, _) = open(path)?;
        if format == Format::Csv {
            return header(&mut lines).map(Columns::new);
        }
        let first = lines.next_filled().map_err(|error| error.to_string())?;
        let first = first.ok_or("the file is empty: a JSON object on each line is expected")?;
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&first.bytes)
            .map_err(|error| format!("line {} is no JSON object: {}", first.number, json_problem(&error)))?;
        Ok(Columns::new(fields.into_iter().map(|(name, _)| name).collect()))
    }

    /// Bytes of the file read so far, as it lies on the disk.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The next row; `None` at the end; `Err` inside for a line that cannot be read, after which the next can.
    pub fn next(&mut self) -> std::io::Result<Option<Result<Row, BadLine>>> {
        let Some(line) = self.lines.next_filled()? else { return Ok(None) };
        if line.too_long {
            return Ok(Some(Err(BadLine::of_text(&line, "the line is longer than 1 MiB"))));
        }
        match self.format {
            Format::Ndjson => Ok(Some(json_row(&self.columns, &line))),
            Format::Csv => self.csv_row(line).map(Some),
        }
    }

    fn csv_row(&mut self, mut line: Line) -> std::io::Result<Result<Row, BadLine>> {
        let mut quotes = Quotes::default();
        quotes.read(&line.bytes);
        let ahead = self.read_ahead(line.bytes.len(), &mut quotes)?;
        if matches!(quotes, Quotes::Inside | Quotes::Broken) {
            self.lines.put_back = ahead.into_iter().chain(self.lines.put_back.drain(..)).collect();
            // Taken apart as if a quote were any letter, so that it can be seen whose line it is.
            let text = without_end(&line.bytes);
            let values: Vec<Vec<u8>> = text.split(|byte| *byte == b',').map(<[u8]>::to_vec).collect();
            return Ok(Err(BadLine { line: line.number, problem: UNPAIRED.to_owned(), text: Vec::new(), values }));
        }
        ahead.iter().for_each(|next| line.bytes.extend_from_slice(&next.bytes));
        Ok(self.columns.row(line.number, split(without_end(&line.bytes))))
    }

    /// The lines over which a quoted value goes on.
    fn read_ahead(&mut self, mut length: usize, quotes: &mut Quotes) -> std::io::Result<Vec<Line>> {
        let mut ahead = Vec::new();
        while *quotes == Quotes::Inside {
            let Some(next) = self.lines.next()? else { break };
            length += next.bytes.len();
            quotes.read(&next.bytes);
            if next.too_long || length > LINE_MAX {
                *quotes = Quotes::Broken;
            }
            ahead.push(next);
        }
        Ok(ahead)
    }
}

impl Columns {
    fn row(&self, line: u64, values: Vec<Vec<u8>>) -> Result<Row, BadLine> {
        let bad = |problem: String, values| Err(BadLine { line, problem, text: Vec::new(), values });
        if values.len() != self.names.len() {
            return bad(format!("{} values where the header has {}", values.len(), self.names.len()), values);
        }
        let wrong = values.iter().enumerate().find_map(|(place, value)| match std::str::from_utf8(value) {
            Err(_) => Some((place, "not UTF-8")),
            Ok(text) if text.contains('\0') => Some((place, NUL)),
            Ok(_) => None,
        });
        if let Some((place, problem)) = wrong {
            return bad(format!("column {}: {problem}", self.name(place)), values);
        }
        let values = values.into_iter().map(|value| String::from_utf8(value).unwrap_or_default());
        Ok(Row { line, values: values.collect() })
    }
}

const UNPAIRED: &str = "its quotes (\") do not pair: write a quote twice that is part of a text";
const NUL: &str = "a NUL byte, which is no text";

fn open(path: &Path) -> Result<(Lines, Arc<AtomicU64>), String> {
    let read = Arc::new(AtomicU64::new(0));
    let in_words = |error: std::io::Error| error.to_string();
    let mut file = Counted { inner: File::open(path).map_err(in_words)?, read: read.clone() };
    let mut head = Vec::new();
    file.by_ref().take(2).read_to_end(&mut head).map_err(in_words)?;
    let is_gzip = head == [0x1f, 0x8b];
    let whole = Cursor::new(head).chain(file);
    let plain: Box<dyn Read + Send> = if is_gzip {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, whole)))
    } else {
        Box::new(whole)
    };
    Ok((Lines::new(Box::new(BufReader::with_capacity(256 * 1024, plain))), read))
}

fn header(lines: &mut Lines) -> Result<Vec<String>, String> {
    const EXPECTED: &str = "a CSV file begins with a line that names its columns";
    let first = lines.next_filled().map_err(|error| error.to_string())?;
    let first = first.ok_or_else(|| format!("the file is empty: {EXPECTED}"))?;
    if first.bytes.starts_with(&[0xff, 0xfe]) || first.bytes.starts_with(&[0xfe, 0xff]) {
        return Err("the file is UTF-16: save it as CSV UTF-8".to_owned());
    }
    if first.too_long {
        return Err(format!("its first line is longer than 1 MiB: {EXPECTED}"));
    }
    let text = first.bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&first.bytes);
    if text.contains(&0) {
        return Err(format!("its first line holds a NUL byte: {EXPECTED}"));
    }
    let names = split(without_end(text)).into_iter().map(String::from_utf8);
    names.collect::<Result<_, _>>().map_err(|_| format!("its first line is not UTF-8: {EXPECTED}"))
}

/// Where a reader of CSV stands in a row (RFC 4180).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Quotes {
    /// A value begins.
    #[default]
    Start,
    /// In a value that began without a quote: quotes are letters.
    Bare,
    Inside,
    /// After a quote inside: the end of the value, or half of a doubled quote.
    Closing,
    /// Text after the end of a value, so that a quote before it was none.
    Broken,
}

impl Quotes {
    /// One byte on; whether it belongs to the value.
    fn step(&mut self, byte: u8) -> bool {
        let (next, is_value) = match (*self, byte) {
            (Self::Start | Self::Bare | Self::Closing, b',') => (Self::Start, false),
            (Self::Start, b'"') => (Self::Inside, false),
            (Self::Inside, b'"') => (Self::Closing, false),
            (Self::Inside, _) | (Self::Closing, b'"') => (Self::Inside, true),
            (Self::Start | Self::Bare, _) => (Self::Bare, true),
            (Self::Closing, b'\r' | b'\n') => (Self::Closing, false),
            (Self::Closing | Self::Broken, _) => (Self::Broken, false),
        };
        *self = next;
        is_value
    }

    fn read(&mut self, bytes: &[u8]) {
        // Most lines have no quote, and then nothing opens or closes.
        if *self == Self::Inside || bytes.contains(&b'"') {
            for byte in bytes {
                self.step(*byte);
            }
        }
    }
}

/// The values of a row.
fn split(row: &[u8]) -> Vec<Vec<u8>> {
    if !row.contains(&b'"') {
        return row.split(|byte| *byte == b',').map(<[u8]>::to_vec).collect();
    }
    let (mut values, mut value, mut quotes) = (Vec::new(), Vec::new(), Quotes::default());
    for byte in row {
        if quotes.step(*byte) {
            value.push(*byte);
        } else if *byte == b',' {
            values.push(std::mem::take(&mut value));
        }
    }
    values.push(value);
    values
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line of the file is the first line of its JSON.
fn json_problem(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

fn json_row(columns: &Columns, line: &Line) -> Result<Row, BadLine> {
    let bytes = line.bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line.bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| BadLine::of_text(line, "not UTF-8"))?;
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
        .map_err(|error| BadLine::of_text(line, format!("not a JSON object: {}", json_problem(&error))))?;
    let mut values = Vec::with_capacity(columns.names.len());
    for name in &columns.names {
        let value = match fields.remove(name) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        if value.contains('\0') {
            return Err(BadLine::of_text(line, format!("column {name}: {NUL}")));
        }
        values.push(value);
    }
    Ok(Row { line: line.number, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line and its values, or what is wrong with it.
    type Found = Result<(u64, Vec<String>), (u64, String)>;

    /// Reads a text as a file of columns `a` and `b`.
    fn read(text: &[u8]) -> Vec<Found> {
        let lines = Lines::new(Box::new(Cursor::new(text.to_vec())));
        let columns = Columns::new(vec!["a".to_owned(), "b".to_owned()]);
        let mut rows = Rows { lines, format: Format::Csv, columns, read: Arc::default() };
        std::iter::from_fn(|| rows.next().expect("memory is read"))
            .map(|row| row.map(|row| (row.line, row.values)).map_err(|bad| (bad.line, bad.problem)))
            .collect()
    }

    fn good(line: u64, a: &str, b: &str) -> Found {
        Ok((line, vec![a.to_owned(), b.to_owned()]))
    }

    #[test]
    fn csv_is_read_as_rfc_4180_says() {
        assert_eq!(read(b"1,2\r\n\r\n3,\n,4"), [good(1, "1", "2"), good(3, "3", ""), good(4, "", "4")]);
        assert_eq!(read(b"\"1,\"\"x\"\"\",2\n\"\",\"\"\n"), [good(1, "1,\"x\"", "2"), good(2, "", "")]);
        assert_eq!(read(b"\"1\r\n2\",3\n4,5\n"), [good(1, "1\r\n2", "3"), good(3, "4", "5")]);
        assert_eq!(read(b"5\" disc,2\n"), [good(1, "5\" disc", "2")], "a quote inside a value without quotes");
    }

    /// Whatever a writer of CSV writes is read as it was, and as another reader reads it.
    #[test]
    fn what_is_written_is_read() {
        let parts = ["", "x", ",", "\"", "\n", "\r\n", "é", " "];
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut written = Vec::new();
        for first in parts {
            for second in parts {
                for third in parts {
                    let row = vec![format!("{first}{second}{third}"), format!("{third}-{first}")];
                    writer.write_record(&row).expect("memory is written");
                    written.push(row);
                }
            }
        }
        let text = writer.into_inner().expect("memory is written");
        let found: Vec<Vec<String>> = read(&text).into_iter().map(|row| row.expect("it is CSV").1).collect();
        assert_eq!(found, written);
    }

    #[test]
    fn an_open_quote_costs_its_own_line_and_no_other() {
        let open = |line| Err((line, UNPAIRED.to_owned()));
        assert_eq!(read(b"\"1,2\n3,4\n5,6\n"), [open(1), good(2, "3", "4"), good(3, "5", "6")]);
        assert_eq!(
            read(b"1,\"x\n3,4\n\"5\",6\n"),
            [open(1), good(2, "3", "4"), good(3, "5", "6")],
            "it pairs with another"
        );
        assert_eq!(read(b"\"1\"x,2\n3,4\n"), [open(1), good(2, "3", "4")]);
        let mut text = b"\"1,2\n".to_vec();
        (0..200_000).for_each(|_| text.extend_from_slice(b"3,4567\n"));
        text.extend_from_slice(b"\"5\",6\n");
        let found = read(&text);
        assert_eq!((found.len(), &found[0], &found[1]), (200_002, &open(1), &good(2, "3", "4567")));
        assert_eq!(found[200_001], good(200_002, "5", "6"));
    }

    #[test]
    fn a_line_without_end_is_left_out_and_its_beginning_kept() {
        let mut text = b"1,2\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 2 * LINE_MAX));
        text.extend_from_slice(b"\n3,4\n");
        let long = Err((2, "the line is longer than 1 MiB".to_owned()));
        assert_eq!(read(&text), [good(1, "1", "2"), long, good(3, "3", "4")]);
    }

    /// A line, and a row whose quoted value goes over several, of exactly so many bytes without the end.
    #[test]
    fn a_line_at_the_limit_is_read_and_one_byte_more_is_not() {
        let long = Err((1, "the line is longer than 1 MiB".to_owned()));
        for end in ["", "\n"] {
            let value = "x".repeat(LINE_MAX - 2);
            assert_eq!(read(format!("1,{value}{end}").as_bytes()), [good(1, "1", &value)]);
            assert_eq!(read(format!("1,{value}x{end}").as_bytes()), std::slice::from_ref(&long));
        }
        let lines = "x\n".repeat((LINE_MAX - 4) / 2);
        assert_eq!(read(format!("1,\"{lines}\"").as_bytes()), [good(1, "1", &lines)]);
        assert_eq!(read(format!("1,\"{lines}x\"").as_bytes())[0], Err((1, UNPAIRED.to_owned())));
    }

    #[test]
    fn bytes_that_are_no_text_are_told_with_their_column() {
        let found = read(b"1,caf\xe9\n\0,2\n1,2,3\n");
        let problems: Vec<String> = found.into_iter().map(|row| row.expect_err("none is text").1).collect();
        assert_eq!(
            problems,
            ["column b: not UTF-8", "column a: a NUL byte, which is no text", "3 values where the header has 2"]
        );
    }
}
