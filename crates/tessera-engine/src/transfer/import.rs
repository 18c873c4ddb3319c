//! Files through the one door: lines become events, events become submissions, as fast as the executor takes them.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant as Stopwatch};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::value::RawValue;
use tessera_core::decide::OutcomeStatus;
use tessera_core::program::{FieldKind, nearest};
use tessera_core::quantity::Amount;
use tessera_core::time::Instant;
use zen_expression::variable::{Variable, VariableMap};

use super::mapping::{Field, Format, Mapping, MappingError, Missing, SumField, Summed};
use super::rows::{BadLine, Columns, Row, Rows};
use crate::engine::Engine;
use crate::programs::ProgramHandle;
use crate::submission::{Answer, CloudEvent, Refusal, Submission};

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error("{}:{line}: {problem}", path.display())]
    Strict { path: PathBuf, line: u64, problem: String },
    #[error("the executor has stopped")]
    Stopped,
}

/// How far an import is.
#[derive(Debug, Default)]
pub struct Progress {
    pub lines: AtomicU64,
    pub events: AtomicU64,
    pub bytes: AtomicU64,
    /// Set to stop after what is under way; the same import later goes on where this one stopped.
    pub stop: AtomicBool,
}

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

/// The code of refusals that the mapping asks for: they are meant, so nothing is to be corrected.
const BY_MAPPING: &str = "refused-by-mapping";

/// How many refusals are shown one by one.
const EXAMPLES_MAX: usize = 10;

#[derive(Debug)]
pub struct Import<'a> {
    pub engine: &'a Engine,
    pub program: Arc<ProgramHandle>,
    pub mapping: Mapping,
    pub file: PathBuf,
    /// Where lines go that were not taken: correct them and import this file.
    pub rejects: PathBuf,
    /// The first bad line ends the import.
    pub strict: bool,
}

/// Lines of one event.
struct Group {
    last_line: u64,
    rows: Vec<Row>,
    /// What is wrong with a line of it: without that line the event would be another one.
    bad: Option<String>,
}

/// What became of one event.
enum Fate {
    Done(OutcomeStatus, bool),
    Refused(Vec<Row>, Refusal),
}

impl Import<'_> {
    /// Streams the file through. Memory holds the lines of open groups and of at most a queue of events.
    pub fn run(&self, progress: &Progress) -> Result<Report, ImportError> {
        let started = Stopwatch::now();
        let in_file = |source| ImportError::File { path: self.file.clone(), source };
        let mut rows = Rows::open(&self.file, self.mapping.format, &self.mapping.columns()).map_err(in_file)?;
        let columns = rows.columns.clone();
        let plan = Plan::new(&self.mapping, &columns, &self.program)?;
        let (fates, decided) = std::sync::mpsc::channel();
        let mut ledger = Ledger::new(self, &columns);
        let mut groups: HashMap<String, Group> = HashMap::new();
        let mut order: VecDeque<String> = VecDeque::new();
        while !progress.stop.load(Ordering::Relaxed) {
            let Some(next) = rows.next().map_err(in_file)? else { break };
            let lines = progress.lines.fetch_add(1, Ordering::Relaxed) + 1;
            let row = match next {
                Ok(row) => row,
                Err(bad) => {
                    let key = plan.group.and_then(|place| bad.values.get(place));
                    if let Some(group) = key.and_then(|key| groups.get_mut(key)) {
                        group.bad.get_or_insert_with(|| format!("line {}: {}", bad.line, bad.problem));
                    } else if let Some(key) = key {
                        let row = Row { line: bad.line, values: Vec::new() };
                        let problem = Some(format!("line {}: {}", bad.line, bad.problem));
                        groups.insert(key.clone(), Group { last_line: bad.line, rows: vec![row], bad: problem });
                        order.push_back(key.clone());
                    }
                    ledger.bad_line(&bad)?;
                    continue;
                }
            };
            let key = match plan.group {
                Some(place) => row.values[place].clone(),
                None => format!("line {}", row.line),
            };
            if lines.is_multiple_of(512) {
                progress.bytes.store(rows.bytes_read(), Ordering::Relaxed);
                ledger.take(&decided, false)?;
            }
            let line = row.line;
            if let Some(group) = groups.get_mut(&key) {
                group.last_line = line;
                group.rows.push(row);
            } else {
                groups.insert(key.clone(), Group { last_line: line, rows: vec![row], bad: None });
                order.push_back(key);
            }
            while let Some(first) = order.front() {
                let closed = plan.group.is_none()
                    || groups.get(first).is_none_or(|group| group.last_line + self.mapping.event.window < line);
                if !closed {
                    break;
                }
                let Some(first) = order.pop_front() else { break };
                let Some(group) = groups.remove(&first) else { continue };
                self.send(&plan, group, &fates, &mut ledger, progress)?;
            }
        }
        let stopped = progress.stop.load(Ordering::Relaxed);
        if !stopped {
            for key in order {
                if progress.stop.load(Ordering::Relaxed) {
                    break;
                }
                if let Some(group) = groups.remove(&key) {
                    self.send(&plan, group, &fates, &mut ledger, progress)?;
                    ledger.take(&decided, false)?;
                }
            }
        }
        drop(fates);
        ledger.take(&decided, true)?;
        ledger.finish(progress, started.elapsed())
    }

    /// Makes one event of a group and hands it over.
    fn send(
        &self,
        plan: &Plan<'_>,
        group: Group,
        fates: &Sender<Fate>,
        ledger: &mut Ledger<'_>,
        progress: &Progress,
    ) -> Result<(), ImportError> {
        progress.events.fetch_add(1, Ordering::Relaxed);
        let mut group = group;
        group.rows.retain(|row| !row.values.is_empty());
        if let Some(problem) = group.bad {
            let detail = format!("another line of this event could not be read: {problem}");
            return ledger.refused(&group.rows, &Refusal::new("incomplete-event", detail));
        }
        let now = self.engine.context.clock.now();
        let made = plan.event(&group.rows).and_then(|event| {
            let data: &RawValue =
                serde_json::from_str(&event.data).map_err(|error| Refusal::new("invalid-event", error.to_string()))?;
            let event = CloudEvent {
                specversion: None,
                id: event.id.as_str().into(),
                source: self.mapping.source.as_str().into(),
                kind: event.kind.as_str().into(),
                subject: event.subject.map(Into::into),
                time: event.time.map(|time| time.to_string().into()),
                data: Some(data),
            };
            Submission::from_event(&self.engine.context.secrets, &self.program, &event, now)
        });
        let submission = match made {
            Ok(submission) => submission,
            Err(refusal) => return ledger.refused(&group.rows, &refusal),
        };
        let (fates, rows) = (fates.clone(), group.rows);
        let reply = Box::new(move |answer: Answer| {
            let fate = match answer {
                Answer::Done { outcome, .. } => Fate::Done(outcome.status, outcome.member.is_none()),
                Answer::Refused(refusal) => Fate::Refused(rows, refusal),
                Answer::Unavailable => Fate::Refused(
                    rows,
                    Refusal::new("unavailable", "the database did not take it; import the file again"),
                ),
            };
            // The import may have ended in an error; the event is written all the same.
            let _ = fates.send(fate);
        });
        self.engine.executor().submit_waiting(submission, reply).map_err(|_| ImportError::Stopped)
    }
}

/// A mapping with its columns found in the file.
struct Plan<'a> {
    mapping: &'a Mapping,
    columns: &'a Columns,
    group: Option<usize>,
    id: usize,
    time: Option<(usize, TimeZone)>,
    subject: Option<usize>,
    returns: Option<RowCondition>,
    refuse: Option<RowCondition>,
    kinds: HashMap<String, FieldKind>,
}

/// One event as the file tells it.
struct RawEvent {
    kind: String,
    id: String,
    time: Option<Instant>,
    subject: Option<String>,
    data: String,
}

/// Fields that are amounts on every purchase.
const AMOUNTS: [&str; 9] =
    ["total", "tax", "shipping", "tip", "discount", "exchange_rate", "quantity", "unit_price", "amount"];

impl<'a> Plan<'a> {
    fn new(mapping: &'a Mapping, columns: &'a Columns, program: &ProgramHandle) -> Result<Self, MappingError> {
        let place = |name: &str| {
            columns.place(name).ok_or_else(|| {
                let hint = match nearest(name, columns.names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has: {}", columns.names.join(", ")),
                };
                MappingError::NoColumn { column: name.to_owned(), hint }
            })
        };
        for column in mapping.columns() {
            place(column)?;
        }
        let event = &mapping.event;
        let versions = program.versions();
        let definition = &versions.head().definition;
        let time = match &event.time {
            None => None,
            Some(time) => {
                let zone = time.zone.as_deref().unwrap_or(&definition.timezone);
                let zone = TimeZone::get(zone).map_err(|_| MappingError::Zone(zone.to_owned()))?;
                Some((place(&time.column)?, zone))
            }
        };
        let declared = definition.events.get(event.kind.as_str());
        let kinds = declared.into_iter().flat_map(|declared| declared.data.iter().chain(&declared.item));
        let condition = |when: &str| RowCondition::new(when, columns);
        Ok(Self {
            mapping,
            columns,
            group: event.group_by.as_deref().map(place).transpose()?,
            id: place(&event.id)?,
            time,
            subject: event.subject.as_ref().map(|subject| place(&subject.column)).transpose()?,
            returns: mapping.returns.as_ref().map(|returns| condition(&returns.when)).transpose()?,
            refuse: mapping.refuse.as_ref().map(|refuse| condition(&refuse.when)).transpose()?,
            kinds: kinds.map(|(name, field)| (name.to_string(), field.kind)).collect(),
        })
    }

    fn event(&self, rows: &[Row]) -> Result<RawEvent, Refusal> {
        let Some(first) = rows.first() else { return Err(Refusal::new("invalid-line", "no line")) };
        if let (Some(condition), Some(refuse)) = (&self.refuse, &self.mapping.refuse)
            && condition.holds(first)?
        {
            return Err(Refusal::new(BY_MAPPING, refuse.reason.clone()));
        }
        let is_return = self.returns.as_ref().map_or(Ok(false), |condition| condition.holds(first))?;
        let kind = if is_return { "return" } else { self.mapping.event.kind.as_str() };
        // The first line's time counts; whose event it is must be said once.
        let differs = self.subject.and_then(|place| rows.iter().find(|row| row.values[place] != first.values[place]));
        if let Some(other) = differs {
            let detail = format!("line {}: its member differs from line {} of the same event", other.line, first.line);
            return Err(Refusal::new("lines-disagree", detail));
        }
        Ok(RawEvent {
            kind: kind.to_owned(),
            id: first.values[self.id].clone(),
            time: self.time_of(first)?,
            subject: self.subject_of(first)?,
            data: self.data(rows, is_return)?,
        })
    }

    fn time_of(&self, row: &Row) -> Result<Option<Instant>, Refusal> {
        let Some((place, zone)) = &self.time else { return Ok(None) };
        let text = row.values[*place].trim();
        if let Ok(instant) = text.parse::<Instant>() {
            return Ok(Some(instant));
        }
        let civil: Option<DateTime> = text.parse().ok();
        let resolved = civil.and_then(|civil| zone.to_ambiguous_timestamp(civil).compatible().ok());
        resolved
            .map(|timestamp| Some(Instant::from(timestamp)))
            .ok_or_else(|| self.bad(row, *place, "a time such as 2026-03-31T23:59:00 is expected"))
    }

    fn subject_of(&self, row: &Row) -> Result<Option<String>, Refusal> {
        let (Some(place), Some(subject)) = (self.subject, &self.mapping.event.subject) else { return Ok(None) };
        let value = row.values[place].trim();
        match (value.is_empty(), subject.missing) {
            (false, _) => Ok(Some(format!("{}:{value}", subject.kind))),
            (true, Missing::Guest) => Ok(None),
            (true, Missing::Refuse) => Err(self.bad(row, place, "the member is missing")),
        }
    }

    fn bad(&self, row: &Row, place: usize, problem: &str) -> Refusal {
        let column = self.columns.names.get(place).map_or("?", String::as_str);
        Refusal::new("invalid-line", format!("line {}, column {column}: {problem}", row.line))
    }

    fn data(&self, rows: &[Row], is_return: bool) -> Result<String, Refusal> {
        let mut data = String::with_capacity(64 + rows.len() * 64);
        data.push('{');
        let first = &rows[0];
        for (name, field) in &self.mapping.data {
            // A return names no order of its own: the number of a credit note is not an order's.
            let skipped =
                is_return && !matches!(name.as_str(), "currency" | "total" | "location" | "channel" | "staff");
            if skipped {
                continue;
            }
            let value = match field {
                Field::Sum(SumField { sum }) => {
                    let total: Amount =
                        rows.iter().map(|row| self.summed(row, sum)).sum::<Result<Amount, Refusal>>()?;
                    Some(if is_return { total.abs() } else { total }.to_string())
                }
                field => self.value(first, name, field)?,
            };
            push(&mut data, name, value.as_deref());
        }
        if !self.mapping.item.is_empty() {
            data.push_str("\"items\":[");
            for row in rows {
                data.push('{');
                for (name, field) in &self.mapping.item {
                    let value = self.value(row, name, field)?;
                    let value = if is_return { value.map(|value| turned(name, value)) } else { value };
                    push(&mut data, name, value.as_deref());
                }
                close(&mut data, '}');
                data.push(',');
            }
            close(&mut data, ']');
            data.push(',');
        }
        close(&mut data, '}');
        Ok(data)
    }

    fn summed(&self, row: &Row, sum: &Summed) -> Result<Amount, Refusal> {
        match sum {
            Summed::Product(product) => self.product(row, &product.product),
            Summed::Field(name) => match self.mapping.item.get(name) {
                Some(Field::Product(product)) => self.product(row, &product.product),
                Some(Field::Column(column)) => self.amount(row, column),
                _ => self.amount(row, name),
            },
        }
    }

    fn product(&self, row: &Row, (left, right): &(String, String)) -> Result<Amount, Refusal> {
        let product = self.amount(row, left)?.product(self.amount(row, right)?);
        product.map_err(|error| Refusal::new("invalid-line", format!("line {}, {left} × {right}: {error}", row.line)))
    }

    fn amount(&self, row: &Row, column: &str) -> Result<Amount, Refusal> {
        let place = self.columns.place(column).unwrap_or_default();
        row.values[place]
            .trim()
            .parse()
            .map_err(|error: tessera_core::quantity::AmountError| self.bad(row, place, &error.to_string()))
    }

    /// A field as JSON; `None` for an empty one.
    fn value(&self, row: &Row, name: &str, field: &Field) -> Result<Option<String>, Refusal> {
        match field {
            Field::Value(value) => Ok(Some(self.literal(name, &value.value))),
            Field::Product(product) => Ok(Some(self.product(row, &product.product)?.to_string())),
            Field::Sum(_) => Ok(None),
            Field::Column(column) => {
                let place = self.columns.place(column).unwrap_or_default();
                let text = &row.values[place];
                if text.is_empty() {
                    return Ok(None);
                }
                if AMOUNTS.contains(&name) {
                    return Ok(Some(self.amount(row, column)?.to_string()));
                }
                Ok(Some(self.literal(name, text)))
            }
        }
    }

    /// Declared numbers and booleans as they are, everything else as text.
    fn literal(&self, name: &str, text: &str) -> String {
        match self.kinds.get(name) {
            Some(FieldKind::Integer | FieldKind::Number) if text.trim().parse::<Amount>().is_ok() => {
                text.trim().to_owned()
            }
            Some(FieldKind::Boolean) if matches!(text, "true" | "false") => text.to_owned(),
            _ => serde_json::Value::from(text).to_string(),
        }
    }
}

/// What comes back is counted from 0 up, however the file writes it.
fn turned(name: &str, value: String) -> String {
    match name {
        "quantity" => value.trim_start_matches('-').to_owned(),
        "amount" => value.parse::<Amount>().map_or(value, |amount| (-amount).to_string()),
        _ => value,
    }
}

fn push(data: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        data.push_str(&serde_json::Value::from(name).to_string());
        data.push(':');
        data.push_str(value);
        data.push(',');
    }
}

fn close(data: &mut String, bracket: char) {
    if data.ends_with(',') {
        data.pop();
    }
    data.push(bracket);
}

/// A condition about a row: `startsWith(row.invoice, "C")`. Every column is a text.
struct RowCondition {
    when: String,
    bytecode: zen_expression::Expression<zen_expression::expression::Standard>,
    reads: Vec<(String, usize)>,
}

impl RowCondition {
    fn new(when: &str, columns: &Columns) -> Result<Self, MappingError> {
        let wrong = |problem: String| MappingError::Condition { when: when.to_owned(), problem };
        let bytecode = zen_expression::compile_expression(when).map_err(|error| wrong(error.to_string()))?;
        let mut sense = zen_expression::intellisense::IntelliSense::new();
        let analysis = sense.analyze(when, &zen_expression::variable::VariableType::Any);
        let mut reads = Vec::new();
        for reference in &analysis.references {
            let path: Vec<&str> = reference.path.iter().map(AsRef::as_ref).collect();
            let place = match path.as_slice() {
                ["row", column] => columns.place(column).map(|place| ((*column).to_owned(), place)),
                _ => None,
            };
            reads.push(place.ok_or_else(|| wrong(format!("it reads `{}`; it can read row.<column>", path.join("."))))?);
        }
        Ok(Self { when: when.to_owned(), bytecode, reads })
    }

    fn holds(&self, row: &Row) -> Result<bool, Refusal> {
        let mut fields = VariableMap::new();
        for (name, place) in &self.reads {
            fields.insert_str(name, Variable::String(row.values[*place].as_str().into()));
        }
        let mut root = VariableMap::new();
        root.insert_str("row", Variable::from_object(fields));
        let result = self.bytecode.evaluate(Variable::from_object(root));
        result.ok().and_then(|value| value.as_bool()).ok_or_else(|| {
            Refusal::new("invalid-line", format!("line {}: `{}` gives neither true nor false", row.line, self.when))
        })
    }
}

/// The column of the reason in a file of rejects.
const REASON: &str = "rejected_because";

/// Counts what became of the events, and keeps what was not taken.
struct Ledger<'a> {
    import: &'a Import<'a>,
    header: Vec<String>,
    report: Report,
    reasons: HashMap<String, u64>,
    rejects: Option<Rejects>,
}

/// The file of lines that were not taken, in the form the import reads.
enum Rejects {
    Csv(csv::Writer<std::fs::File>),
    Ndjson(std::io::BufWriter<std::fs::File>),
}

impl<'a> Ledger<'a> {
    fn new(import: &'a Import<'a>, columns: &Columns) -> Self {
        Self {
            import,
            header: columns.names.clone(),
            report: Report::default(),
            reasons: HashMap::new(),
            rejects: None,
        }
    }

    fn take(&mut self, decided: &Receiver<Fate>, to_the_end: bool) -> Result<(), ImportError> {
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

    fn bad_line(&mut self, bad: &BadLine) -> Result<(), ImportError> {
        self.report.bad_lines += 1;
        self.reason("unreadable line", bad.line, &bad.problem)?;
        if bad.values.is_empty() {
            self.reject(std::slice::from_ref(&bad.text), &bad.problem)
        } else {
            self.reject(&bad.values, &bad.problem)
        }
    }

    fn refused(&mut self, rows: &[Row], refusal: &Refusal) -> Result<(), ImportError> {
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
                    Rejects::Csv(writer)
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

    fn finish(mut self, progress: &Progress, elapsed: Duration) -> Result<Report, ImportError> {
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

/// The mapping of a plain list of members: columns `phone`, `email`, `card` …, `name`, `birthday`, `language`, `joined`.
pub fn default_member_mapping(file: &Path) -> Result<Mapping, ImportError> {
    let in_file = |source| ImportError::File { path: file.to_owned(), source };
    let rows = Rows::open(file, super::mapping::Format::Csv, &[]).map_err(in_file)?;
    let known = ["phone", "email", "card", "member", "customer", "household", "identifier"];
    let first =
        known.into_iter().find(|name| rows.columns.place(name).is_some()).ok_or_else(|| MappingError::NoColumn {
            column: "phone".to_owned(),
            hint:
                "a list of members has a column phone, email, card, member, customer or household; else give --mapping"
                    .to_owned(),
        })?;
    let mut text = format!(
        "source = \"members\"\n[event]\ntype = \"enrol\"\nid = \"{first}\"\nsubject = {{ kind = \"{first}\", column = \"{first}\" }}\n"
    );
    if rows.columns.place("joined").is_some() {
        text += "time = { column = \"joined\" }\n";
    }
    text += "[data]\n";
    for field in ["name", "birthday", "language", "phone", "email"] {
        if rows.columns.place(field).is_some() && field != first {
            text += &format!("{field} = \"{field}\"\n");
        }
    }
    Ok(Mapping::parse(&text)?)
}
