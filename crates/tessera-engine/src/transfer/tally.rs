//! What became of a file's events: counted, and kept where it was not taken.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde::Serialize;
use tessera_core::decide::OutcomeStatus;

use super::import::{Import, ImportError, Progress};
use super::mapping::Format;
use super::plan::BY_MAPPING;
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
    pub stopped: bool,
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
    report: Report,
    reasons: HashMap<String, u64>,
    rejects: Option<Rejects>,
}

/// The file of lines that were not taken, in the form the import reads.
enum Rejects {
    Csv(Box<csv::Writer<std::fs::File>>),
    Ndjson(std::io::BufWriter<std::fs::File>),
}

impl<'a> Tally<'a> {
    pub fn new(import: &'a Import<'a>, columns: &Columns) -> Self {
        Self {
            import,
            header: columns.names.clone(),
            report: Report::default(),
            reasons: HashMap::new(),
            rejects: None,
        }
    }

    pub fn take(&mut self, decided: &Receiver<Fate>, to_the_end: bool) -> Result<(), ImportError> {
        while let Ok(fate) =
            if to_the_end { decided.recv().map_err(|_| ()) } else { decided.try_recv().map_err(|_| ()) }
        {
            match fate {
                Fate::Done(status, guest) => {
                    self.report.guests += u64::from(guest && status != OutcomeStatus::Parked);
                    match status {
                        OutcomeStatus::Applied => self.report.applied += 1,
                        OutcomeStatus::Duplicate => self.report.duplicates += 1,
                        OutcomeStatus::Parked => self.report.parked += 1,
                        OutcomeStatus::Refused => self.report.refused += 1,
                    }
                }
                Fate::Refused(rows, refusal) => self.refused(&rows, &refusal)?,
            }
        }
        Ok(())
    }

    pub fn bad_line(&mut self, bad: &BadLine) -> Result<(), ImportError> {
        self.report.bad_lines += 1;
        self.reason("unreadable line", bad.line, &bad.problem)?;
        if bad.values.is_empty() {
            self.reject(std::slice::from_ref(&bad.text), &bad.problem)
        } else {
            self.reject(&bad.values, &bad.problem)
        }
    }

    pub fn refused(&mut self, rows: &[Row], refusal: &Refusal) -> Result<(), ImportError> {
        self.report.refused += 1;
        let line = rows.first().map_or(0, |row| row.line);
        if refusal.code == BY_MAPPING {
            self.report.meant += 1;
            *self.reasons.entry(refusal.detail.clone()).or_default() += 1;
            return Ok(());
        }
        self.reason(&refusal.code, line, &refusal.detail)?;
        for row in rows {
            self.reject(&row.values, &refusal.detail)?;
        }
        Ok(())
    }

    fn reason(&mut self, code: &str, line: u64, problem: &str) -> Result<(), ImportError> {
        *self.reasons.entry(code.to_owned()).or_default() += 1;
        if self.report.examples.len() < EXAMPLES_MAX {
            self.report.examples.push(format!("{}:{line}: {problem}", self.import.file.display()));
        }
        if self.import.strict {
            let path = self.import.file.clone();
            return Err(ImportError::Strict { path, line, problem: problem.to_owned() });
        }
        Ok(())
    }

    /// Keeps a line with the reason behind it. The file has the same columns, so it can be corrected and imported.
    fn reject(&mut self, values: &[String], problem: &str) -> Result<(), ImportError> {
        let path = self.import.rejects.clone();
        self.try_reject(values, problem).map_err(|source| ImportError::File { path, source })
    }

    fn try_reject(&mut self, values: &[String], problem: &str) -> std::io::Result<()> {
        let path = &self.import.rejects;
        if self.rejects.is_none() {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let file = std::fs::File::create(path)?;
            self.report.rejects = Some(path.clone());
            self.rejects = Some(match self.import.mapping.format {
                Format::Ndjson => Rejects::Ndjson(std::io::BufWriter::new(file)),
                Format::Csv => {
                    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                    writer.write_record(self.header.iter().map(String::as_str).chain([REASON]))?;
                    Rejects::Csv(Box::new(writer))
                }
            });
        }
        match &mut self.rejects {
            Some(Rejects::Csv(writer)) => writer.write_record(values.iter().map(String::as_str).chain([problem]))?,
            Some(Rejects::Ndjson(writer)) => {
                let fields = self
                    .header
                    .iter()
                    .map(String::as_str)
                    .chain([REASON])
                    .zip(values.iter().map(String::as_str).chain([problem]));
                let line: serde_json::Map<String, serde_json::Value> =
                    fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
                serde_json::to_writer(&mut *writer, &line)?;
                writer.write_all(b"\n")?;
            }
            None => {}
        }
        Ok(())
    }

    pub fn finish(mut self, progress: &Progress, elapsed: Duration) -> Result<Report, ImportError> {
        let flushed = match &mut self.rejects {
            Some(Rejects::Csv(writer)) => writer.flush(),
            Some(Rejects::Ndjson(writer)) => writer.flush(),
            None => Ok(()),
        };
        flushed.map_err(|source| ImportError::File { path: self.import.rejects.clone(), source })?;
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
