//! Scenarios: what is given, what happens and what is expected, in a file that reads like a story.
//!
//! A scenario runs on an installation of its own, through the same door as everything else: the same executor, either
//! database, the same scheduler. Only the clock stands where the file puts it, and randomness is repeatable.
//! When its steps are done, the ledger is verified.
//!
//! Bounded by [`FILES_MAX`] files in a run and [`STEPS_MAX`] steps in a file. A failure ends its scenario at the step.

mod adjusting;
mod cards;
mod compare;
mod documents;
mod expect;
mod installation;
mod moment;
mod names;
mod read;
mod run;
mod shape;
mod step;
mod together;
mod vouchers;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tessera_store::StoreError;

pub use compare::Mismatch;
pub use read::{FileProblem, Scenario};

use crate::executor::Context;
use crate::programs::ProgramHandle;

/// Files in one run.
pub const FILES_MAX: usize = 10_000;
/// Steps in one scenario.
pub const STEPS_MAX: usize = 1_000;

/// What became of one file.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub file: PathBuf,
    /// The scenario's title; empty for a file that cannot be used.
    pub scenario: String,
    pub shows: Vec<String>,
    pub steps: usize,
    #[serde(flatten)]
    pub verdict: Verdict,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    Failed { failures: Vec<Failure> },
    Unusable { problems: Vec<FileProblem> },
}

/// One thing that is not as expected, or that should not have happened.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// From 1; `None` for what was found after the last step.
    pub step: Option<usize>,
    /// What the step is, in words.
    pub title: String,
    pub mismatches: Vec<Mismatch>,
    /// For every rule that looked, why it did or did not apply.
    pub why: Vec<String>,
}

impl Report {
    pub fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::Passed)
    }

    /// Everything that is wrong, a line each, with its file and line.
    pub fn complaints(&self) -> Vec<String> {
        let file = self.file.display();
        match &self.verdict {
            Verdict::Passed => Vec::new(),
            Verdict::Unusable { problems } => problems.iter().map(ToString::to_string).collect(),
            Verdict::Failed { failures } => {
                let mut lines = Vec::new();
                for failure in failures {
                    let step =
                        failure.step.map_or_else(|| "after the last step".to_owned(), |step| format!("step {step}"));
                    lines.extend(
                        failure.mismatches.iter().map(|mismatch| {
                            format!("{file}:{}: {step} ({}): {mismatch}", mismatch.line, failure.title)
                        }),
                    );
                    lines.extend(failure.why.iter().map(|why| format!("    {why}")));
                }
                lines
            }
        }
    }
}

/// What else is looked at when a scenario's steps are done: says what is wrong, in words.
pub type Afterwards<'a> = &'a dyn Fn(&Context, &Arc<ProgramHandle>) -> Result<Vec<String>, StoreError>;

/// Runs one file: on the embedded database, or in a schema of its own on PostgreSQL.
pub fn run_file(file: &Path, database_url: Option<&str>) -> Report {
    run_file_and(file, database_url, &|_, _| Ok(Vec::new()))
}

/// The same, and looks at what it left.
pub fn run_file_and(file: &Path, database_url: Option<&str>, afterwards: Afterwards<'_>) -> Report {
    let empty = Report {
        file: file.to_owned(),
        scenario: String::new(),
        shows: Vec::new(),
        steps: 0,
        verdict: Verdict::Passed,
    };
    match Scenario::read(file) {
        Err(problems) => Report { verdict: Verdict::Unusable { problems }, ..empty },
        Ok(scenario) => {
            let verdict = match run::run(&scenario, database_url, afterwards) {
                Ok(failures) if failures.is_empty() => Verdict::Passed,
                Ok(failures) => Verdict::Failed { failures },
                Err(error) => Verdict::Unusable { problems: vec![FileProblem::whole(file, error.to_string())] },
            };
            let steps = scenario.steps.len();
            Report { scenario: scenario.title, shows: scenario.shows, steps, verdict, ..empty }
        }
    }
}

/// Runs files on so many threads, and tells of each as it is done. The reports stand in the order of the files.
pub fn run_files(
    files: &[PathBuf],
    database_url: Option<&str>,
    threads: usize,
    done: &(dyn Fn(&Report) + Sync),
) -> Vec<Report> {
    let next = AtomicUsize::new(0);
    let reports: Mutex<Vec<(usize, Report)>> = Mutex::new(Vec::with_capacity(files.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, files.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(place) else { return };
                    let report = run_file(file, database_url);
                    done(&report);
                    reports.lock().unwrap_or_else(PoisonError::into_inner).push((place, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(place, _)| *place);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// The scenario files in a folder and below it, in the order of their names; a file is itself.
///
/// # Errors
/// Where a folder cannot be read, or holds more than [`FILES_MAX`] files.
pub fn files_in(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        // Says what is wrong with a path that leads nowhere.
        std::fs::metadata(path)?;
        return Ok(vec![path.to_owned()]);
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        let is_scenario = entry.extension().is_some_and(|kind| kind == "yaml" || kind == "yml" || kind == "json");
        if entry.is_dir() {
            files.extend(files_in(&entry)?);
        } else if is_scenario {
            files.push(entry);
        }
        if files.len() > FILES_MAX {
            return Err(std::io::Error::other(format!("there are more than {FILES_MAX} files")));
        }
    }
    Ok(files)
}
