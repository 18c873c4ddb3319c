//! What became of a file's events: counted, and kept where it was not taken.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde::Serialize;
use tessera_core::decide::OutcomeStatus;

use super::import::{Import, ImportError, Progress};
use super::mapping::Format;
use super::plan::{BY_MAPPING, FILE_LINE};
use super::rows::{BadLine, Columns, Row};
use crate::submission::Refusal;

/// How an import ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub lines: u64,
    pub events: u64,
    pub applied: u64,
    pub duplicates: u64,
    pub parked: u64,
    pub refused: u64,
    /// Of the refused, those that the mapping asks to refuse.
    pub meant: u64,
    /// Events without a member, among the applied.
    pub guests: u64,
    /// Lines that could not be read.
    pub bad_lines: u64,
    pub seconds: f64,
    pub per_second: u64,
    /// Reasons of refusals and how often each, most frequent first.
    pub reasons: Vec<(String, u64)>,
    /// The first refusals, with file and line.
    pub examples: Vec<String>,
    pub rejects: Option<PathBuf>,
    /// It was told to stop.
    pub stopped: bool,
    /// What ended it before the end of the file, unless it was told to stop.
    pub error: Option<String>,
}

/// How many refusals are shown one by one.
const EXAMPLES_MAX: usize = 10;

/// What became of one event.
pub(super) enum Fate {
    Done(OutcomeStatus, bool),
    Refused(Vec<Row>, Refusal),
}

/// The column of the reason in a file of rejects.
const REASON: &str = "rejected_because";

/// Counts what became of the events, and keeps what was not taken.
pub(super) struct Tally<'a> {
    import: &'a Import<'a>,
    header: Vec<String>,
    /// The file was one of rejects: its lines end with the reason of last time.
    has_reasons: bool,
    format: Format,
    report: Report,
    reasons: HashMap<String, u64>,
    rejects: Option<Rejects>,
}

/// The file of lines that were not taken, in the form the import reads.
enum Rejects {
    Csv(Box<csv::Writer<std::fs::File>>),
    Ndjson(std::io::BufWriter<std::fs::File>),
}

impl Rejects {
    fn create<'a>(path: &Path, format: Format, header: impl Iterator<Item = &'a str>) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = std::fs::File::create(path)?;
        match format {
            Format::Ndjson => Ok(Self::Ndjson(std::io::BufWriter::new(file))),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                writer.write_record(header)?;
                Ok(Self::Csv(Box::new(writer)))
            }
        }
    }
}

/// A line to keep: its values, or the line as it stands where it could not be taken apart.
enum Kept<'a> {
    Values(Vec<&'a [u8]>),
    Line(&'a [u8]),
}

impl<'a> Tally<'a> {
    pub fn new(import: &'a Import<'a>, format: Format, columns: &Columns) -> Self {
        let mut header = columns.names.clone();
        let has_reasons = header.last().is_some_and(|name| name == REASON);
        header.truncate(header.len() - usize::from(has_reasons));
        Self { import, header, has_reasons, format, report: Report::default(), reasons: HashMap::new(), rejects: None }
    }

    /// Counts what was decided so far.
    pub fn take(&mut self, decided: &Receiver<Fate>) -> Result<(), ImportError> {
        decided.try_iter().try_for_each(|fate| self.count(fate))
    }

    /// Waits until everything that was sent is decided.
    pub fn take_to_the_end(&mut self, decided: &Receiver<Fate>) -> Result<(), ImportError> {
        decided.iter().try_for_each(|fate| self.count(fate))
    }

    fn count(&mut self, fate: Fate) -> Result<(), ImportError> {
        let (status, guest) = match fate {
            Fate::Done(status, guest) => (status, guest),
            Fate::Refused(rows, refusal) => return self.refused(&rows, &refusal),
        };
        self.report.guests += u64::from(guest && status == OutcomeStatus::Applied);
        match status {
            OutcomeStatus::Applied => self.report.applied += 1,
            OutcomeStatus::Duplicate => self.report.duplicates += 1,
            OutcomeStatus::Parked => self.report.parked += 1,
            OutcomeStatus::Refused => self.report.refused += 1,
        }
        Ok(())
    }

    /// Ends the import for a reason that the report tells. The first one counts.
    pub fn end(&mut self, problem: &str) {
        let problem = format!("{}: {problem}", self.import.file.display());
        self.report.error.get_or_insert(problem);
    }

    pub fn is_ended(&self) -> bool {
        self.report.error.is_some()
    }

    pub fn bad_line(&mut self, bad: &BadLine) -> Result<(), ImportError> {
        self.report.bad_lines += 1;
        self.reason("unreadable-line", bad.line, &bad.problem);
        let kept = match bad.values.is_empty() {
            true => Kept::Line(&bad.text),
            false => Kept::Values(bad.values.iter().map(Vec::as_slice).collect()),
        };
        self.reject(kept, &format!("line {}, {}", bad.line, bad.problem))
    }

    pub fn refused(&mut self, rows: &[Row], refusal: &Refusal) -> Result<(), ImportError> {
        self.report.refused += 1;
        if refusal.code == BY_MAPPING {
            self.report.meant += 1;
            *self.reasons.entry(refusal.detail.clone()).or_default() += 1;
            return Ok(());
        }
        // Of an event without a readable line every line was told before.
        let Some(first) = rows.first() else { return Ok(()) };
        let line = refusal.facts.get(FILE_LINE).and_then(serde_json::Value::as_u64).unwrap_or(first.line);
        // The line stands before what is told, and need not be told again.
        let place = format!("line {line}");
        let detail = refusal.detail.strip_prefix(&place).and_then(|rest| rest.strip_prefix([',', ':']));
        self.reason(&refusal.code, line, detail.unwrap_or(&refusal.detail).trim_start());
        for row in rows {
            self.reject(Kept::Values(row.values.iter().map(String::as_bytes).collect()), &refusal.detail)?;
        }
        Ok(())
    }

    fn reason(&mut self, code: &str, line: u64, problem: &str) {
        *self.reasons.entry(code.to_owned()).or_default() += 1;
        let told = format!("{}:{line}: {problem}", self.import.file.display());
        if self.import.strict {
            self.report.error.get_or_insert(told);
        } else if self.report.examples.len() < EXAMPLES_MAX {
            self.report.examples.push(told);
        }
    }

    /// Keeps a line with the reason behind it. The file has the same columns, so it can be corrected and imported.
    fn reject(&mut self, kept: Kept<'_>, problem: &str) -> Result<(), ImportError> {
        // A strict import is given again with the same file, corrected.
        if self.import.strict {
            return Ok(());
        }
        let path = self.import.rejects.clone();
        self.try_reject(kept, problem).map_err(|source| ImportError::Rejects { path, source })
    }

    fn try_reject<'l>(&mut self, mut kept: Kept<'l>, problem: &'l str) -> std::io::Result<()> {
        if let Kept::Values(values) = &mut kept {
            // The reason of last time goes. A line with too few values may have lost it already.
            let last_is_reason =
                values.len() > self.header.len() || values.last().is_some_and(|last| last.starts_with(b"line "));
            if self.has_reasons && last_is_reason {
                values.pop();
            }
            values.push(problem.as_bytes());
        }
        let header = self.header.iter().map(String::as_str).chain([REASON]);
        let rejects = match &mut self.rejects {
            Some(rejects) => rejects,
            none => {
                self.report.rejects = Some(self.import.rejects.clone());
                none.insert(Rejects::create(&self.import.rejects, self.format, header.clone())?)
            }
        };
        match (rejects, kept) {
            (Rejects::Csv(writer), Kept::Values(values)) => writer.write_record(values)?,
            (Rejects::Csv(writer), Kept::Line(line)) => writer.write_record([line, problem.as_bytes()])?,
            (Rejects::Ndjson(writer), Kept::Values(values)) => {
                let texts = values.into_iter().map(String::from_utf8_lossy);
                let line: serde_json::Map<String, serde_json::Value> =
                    header.zip(texts).map(|(name, text)| (name.to_owned(), text.into())).collect();
                serde_json::to_writer(&mut *writer, &line)?;
                writer.write_all(b"\n")?;
            }
            // A line that is no JSON has no place for a reason.
            (Rejects::Ndjson(writer), Kept::Line(line)) => {
                writer.write_all(line)?;
                writer.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    pub fn finish(mut self, progress: &Progress, elapsed: Duration) -> Result<Report, ImportError> {
        let flushed = match &mut self.rejects {
            Some(Rejects::Csv(writer)) => writer.flush(),
            Some(Rejects::Ndjson(writer)) => writer.flush(),
            None => Ok(()),
        };
        flushed.map_err(|source| ImportError::Rejects { path: self.import.rejects.clone(), source })?;
        let mut report = self.report;
        report.lines = progress.lines.load(Ordering::Relaxed);
        report.events = progress.events.load(Ordering::Relaxed);
        report.stopped = progress.stop.load(Ordering::Relaxed);
        report.seconds = elapsed.as_secs_f64();
        report.per_second = (report.events as f64 / report.seconds.max(0.001)) as u64;
        report.reasons = self.reasons.into_iter().collect();
        report.reasons.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
        Ok(report)
    }
}
