//! Files through the one door: lines become events, events become submissions, as fast as the executor takes them.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant as Stopwatch;

use serde_json::value::RawValue;

use super::mapping::{Format, Mapping, MappingError};
use super::plan::Plan;
use super::rows::{BadLine, Row, Rows};
use super::tally::{Fate, Report, Tally};
use crate::engine::Engine;
use crate::programs::ProgramHandle;
use crate::submission::{Answer, CloudEvent, Refusal, Submission};

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Nothing can be read of the file.
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    #[error("{}: {error}", path.display())]
    Mapping { path: PathBuf, error: MappingError },
    #[error("{} is the file that is read: choose another for what is rejected", .0.display())]
    RejectsAreTheFile(PathBuf),
    #[error("{}: what is rejected cannot be kept: {source}", path.display())]
    Rejects { path: PathBuf, source: std::io::Error },
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

impl Import<'_> {
    /// Streams the file through. Memory holds the lines of open groups and of at most a queue of events.
    ///
    /// What ends an import before the end of the file, such as a damaged file, is told in the report: what was taken
    /// until then is taken. Lines of events that were still open are not sent, for more of them may have followed.
    ///
    /// # Errors
    /// If it cannot begin, or cannot keep what is rejected.
    pub fn run(&self, progress: &Progress) -> Result<Report, ImportError> {
        let started = Stopwatch::now();
        if let (Ok(file), Ok(rejects)) = (self.file.canonicalize(), self.rejects.canonicalize())
            && file == rejects
        {
            return Err(ImportError::RejectsAreTheFile(self.rejects.clone()));
        }
        let format = self.mapping.format_of(&self.file);
        let mut rows = Rows::open(&self.file, format, &self.mapping.columns())
            .map_err(|problem| ImportError::File { path: self.file.clone(), problem })?;
        let columns = rows.columns.clone();
        let plan = Plan::new(&self.mapping, &columns, &self.program)
            .map_err(|error| ImportError::Mapping { path: self.file.clone(), error })?;
        let (fates, decided) = std::sync::mpsc::channel();
        let mut tally = Tally::new(self, format, &columns);
        let mut open = OpenGroups::default();
        loop {
            if progress.stop.load(Ordering::Relaxed) || tally.is_ended() {
                break;
            }
            let next = match rows.next() {
                Ok(next) => next,
                Err(error) => {
                    let lines = progress.lines.load(Ordering::Relaxed);
                    tally.end(&format!("{}, after {lines} lines", in_words(&error)));
                    break;
                }
            };
            let Some(next) = next else {
                for group in open.rest() {
                    if progress.stop.load(Ordering::Relaxed) || tally.is_ended() {
                        break;
                    }
                    self.send(&plan, group, &fates, &mut tally, progress)?;
                    tally.take(&decided)?;
                }
                break;
            };
            let lines = progress.lines.fetch_add(1, Ordering::Relaxed) + 1;
            if self.strict || lines.is_multiple_of(512) {
                progress.bytes.store(rows.bytes_read(), Ordering::Relaxed);
                tally.take(&decided)?;
            }
            let row = match next {
                Ok(row) => row,
                Err(bad) => {
                    if let Some(place) = plan.group {
                        open.spoil(place, &bad);
                    }
                    tally.bad_line(&bad)?;
                    continue;
                }
            };
            let Some(place) = plan.group else {
                let group = Group { last_line: row.line, rows: vec![row], bad: None };
                self.send(&plan, group, &fates, &mut tally, progress)?;
                continue;
            };
            while let Some(group) = open.closed_before(row.line, self.mapping.event.window) {
                self.send(&plan, group, &fates, &mut tally, progress)?;
            }
            open.add(row.values[place].clone(), row);
        }
        drop(fates);
        tally.take_to_the_end(&decided)?;
        // No scheduler runs beside an import.
        if let Err(error) = crate::relay::relay_all(&self.engine.context, self.engine.executor()) {
            tracing::warn!(%error, "what events caused for other members waits for the server");
        }
        tally.finish(progress, started.elapsed())
    }

    /// Makes one event of a group and hands it over.
    fn send(
        &self,
        plan: &Plan<'_>,
        group: Group,
        fates: &Sender<Fate>,
        tally: &mut Tally<'_>,
        progress: &Progress,
    ) -> Result<(), ImportError> {
        progress.events.fetch_add(1, Ordering::Relaxed);
        if let Some(problem) = group.bad {
            let detail = format!("another line of this event could not be read: {problem}");
            return tally.refused(&group.rows, &Refusal::new("incomplete-event", detail));
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
            Err(refusal) => return tally.refused(&group.rows, &refusal),
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
        self.engine.executor().submit_in_order_waiting(submission, reply).map_err(|_| ImportError::Stopped)
    }
}

/// Why a file could not be read to its end.
fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the gzip file ends in the middle, so it was not copied whole".to_owned(),
        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => "the gzip file is damaged".to_owned(),
        _ => error.to_string(),
    }
}

/// Events whose lines may still go on, by what their lines have in common, in the order of their first lines.
#[derive(Default)]
struct OpenGroups {
    groups: HashMap<String, Group>,
    order: VecDeque<String>,
}

impl OpenGroups {
    fn add(&mut self, key: String, row: Row) {
        if let Some(group) = self.groups.get_mut(&key) {
            group.last_line = row.line;
            group.rows.push(row);
        } else {
            self.insert(key, Group { last_line: row.line, rows: vec![row], bad: None });
        }
    }

    fn insert(&mut self, key: String, group: Group) {
        self.groups.insert(key.clone(), group);
        self.order.push_back(key);
    }

    /// Notes that a line of an event cannot be read, for without it the event would be another one.
    ///
    /// Where values are missing they may have moved, so the line's event is looked for among all open ones.
    fn spoil(&mut self, place: usize, bad: &BadLine) {
        let problem = format!("line {}: {}", bad.line, bad.problem);
        let named = bad.value(place);
        let values = named.into_iter().chain((0..bad.values.len()).filter_map(|other| bad.value(other)));
        let open = values.filter(|value| !value.is_empty()).find(|value| self.groups.contains_key(*value));
        if let Some(group) = open.map(str::to_owned).and_then(|key| self.groups.get_mut(&key)) {
            group.last_line = bad.line;
            group.bad.get_or_insert(problem);
        } else if let Some(key) = named {
            self.insert(key.to_owned(), Group { last_line: bad.line, rows: Vec::new(), bad: Some(problem) });
        }
    }

    /// The oldest group, if it has had no line for longer than a window.
    fn closed_before(&mut self, line: u64, window: u64) -> Option<Group> {
        let first = self.order.front()?;
        if self.groups.get(first).is_some_and(|group| group.last_line + window >= line) {
            return None;
        }
        let first = self.order.pop_front()?;
        self.groups.remove(&first)
    }

    fn rest(&mut self) -> impl Iterator<Item = Group> {
        let Self { groups, order } = self;
        order.drain(..).filter_map(|key| groups.remove(&key))
    }
}

/// Columns that name a member, the first of them that a file has being taken.
const NAMES_A_MEMBER: [&str; 7] = ["phone", "email", "card", "member", "customer", "household", "identifier"];

/// The mapping of a plain list of members: columns `phone`, `email`, `card` …, `name`, `birthday`, `language`, `joined`.
pub fn default_member_mapping(file: &Path) -> Result<Mapping, ImportError> {
    let in_file = |error| ImportError::Mapping { path: file.to_owned(), error };
    let format = Format::of(file);
    let columns = Rows::names(file, format).map_err(|problem| ImportError::File { path: file.to_owned(), problem })?;
    let first = NAMES_A_MEMBER.into_iter().find(|name| columns.place(name).is_some());
    let first = first.ok_or_else(|| in_file(MappingError::NoMember(NAMES_A_MEMBER.join(", "))))?;
    // Lines of NDJSON need not have the fields of the first one.
    let is_there = |name: &str| format == Format::Ndjson || columns.place(name).is_some();
    let mut text = format!(
        "source = \"members\"\n[event]\ntype = \"enrol\"\nid = \"{first}\"\nsubject = {{ kind = \"{first}\", column = \"{first}\" }}\n"
    );
    if is_there("joined") {
        text += "time = { column = \"joined\", missing = \"now\" }\n";
    }
    text += "[data]\n";
    for field in ["name", "birthday", "language", "phone", "email"] {
        if is_there(field) && field != first {
            text += &format!("{field} = \"{field}\"\n");
        }
    }
    Mapping::parse(&text).map_err(in_file)
}
