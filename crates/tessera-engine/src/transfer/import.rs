//! Files through the one door: lines become events, events become submissions, as fast as the executor takes them.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant as Stopwatch;

use serde_json::value::RawValue;

use super::mapping::{Mapping, MappingError};
use super::plan::Plan;
use super::rows::{Row, Rows};
use super::tally::{Fate, Report, Tally};
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
    pub fn run(&self, progress: &Progress) -> Result<Report, ImportError> {
        let started = Stopwatch::now();
        let in_file = |source| ImportError::File { path: self.file.clone(), source };
        let mut rows = Rows::open(&self.file, self.mapping.format, &self.mapping.columns()).map_err(in_file)?;
        let columns = rows.columns.clone();
        let plan = Plan::new(&self.mapping, &columns, &self.program)?;
        let (fates, decided) = std::sync::mpsc::channel();
        let mut tally = Tally::new(self, &columns);
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
                    tally.bad_line(&bad)?;
                    continue;
                }
            };
            let key = match plan.group {
                Some(place) => row.values[place].clone(),
                None => format!("line {}", row.line),
            };
            if lines.is_multiple_of(512) {
                progress.bytes.store(rows.bytes_read(), Ordering::Relaxed);
                tally.take(&decided, false)?;
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
                self.send(&plan, group, &fates, &mut tally, progress)?;
            }
        }
        let stopped = progress.stop.load(Ordering::Relaxed);
        if !stopped {
            for key in order {
                if progress.stop.load(Ordering::Relaxed) {
                    break;
                }
                if let Some(group) = groups.remove(&key) {
                    self.send(&plan, group, &fates, &mut tally, progress)?;
                    tally.take(&decided, false)?;
                }
            }
        }
        drop(fates);
        tally.take(&decided, true)?;
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
        let mut group = group;
        group.rows.retain(|row| !row.values.is_empty());
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
        self.engine.executor().submit_waiting(submission, reply).map_err(|_| ImportError::Stopped)
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
