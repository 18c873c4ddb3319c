use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use clap::{Args, Subcommand};
use tessera_engine::scenario::{self, Report, Verdict};

use super::Context;
use crate::output::{Failure, REFUSED, USAGE, json, say};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the scenarios of files and folders
    #[command(
        after_help = "Examples:\n  tessera scenario run scenarios\n  tessera scenario run my-program.yaml --filter birthday\n  tessera --database-url postgres://localhost/test scenario run scenarios\n\nEach runs through the engine itself, on an installation of its own (with --database-url in a schema of its own, which goes again). Exit code 0: all as expected; 1: something is not; 2: a file cannot be used. docs/scenarios.md describes the files."
    )]
    Run(Run),
}

#[derive(Args, Debug)]
pub struct Run {
    /// Scenario files, and folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Only files with this in their path
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let Command::Run(arguments) = command;
    let files = files(&arguments)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    // A file's lines stand together, whoever else is done at the same time.
    let printing = Mutex::new(());
    let reports = scenario::run_files(&files, context.settings.database_url.as_deref(), threads, &|report| {
        if !context.json {
            let _alone = printing.lock();
            print(report);
        }
    });
    let tally = Tally::of(&reports);
    if context.json {
        json(&serde_json::json!({
            "passed": tally.passed, "failed": tally.failed, "unusable": tally.unusable, "scenarios": reports,
        }))?;
    } else {
        say!(
            "{} scenarios: {} passed, {} failed, {} unusable; {:.1} s",
            reports.len(),
            tally.passed,
            tally.failed,
            tally.unusable,
            started.elapsed().as_secs_f64()
        );
    }
    Ok(match tally {
        Tally { unusable: 1.., .. } => ExitCode::from(USAGE),
        Tally { failed: 1.., .. } => ExitCode::from(REFUSED),
        _ => ExitCode::SUCCESS,
    })
}

fn files(arguments: &Run) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in &arguments.paths {
        let found = scenario::files_in(path);
        files.extend(found.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?);
    }
    if let Some(wanted) = &arguments.filter {
        files.retain(|file| file.to_string_lossy().contains(wanted.as_str()));
    }
    if files.is_empty() {
        return Err(Failure::usage("there is no scenario to run").right("name a file, or a folder of .yaml files"));
    }
    Ok(files)
}

fn print(report: &Report) {
    let (word, title) = match &report.verdict {
        Verdict::Passed => ("ok", report.scenario.as_str()),
        Verdict::Failed { .. } => ("FAILED", report.scenario.as_str()),
        Verdict::Unusable { .. } => ("UNUSABLE", "this file cannot be used"),
    };
    say!("{word:<8}  {}: {title}", report.file.display());
    for line in report.complaints() {
        say!("    {}", line.replace('\n', "\n    "));
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    unusable: usize,
}

impl Tally {
    fn of(reports: &[Report]) -> Self {
        let mut tally = Self::default();
        for report in reports {
            match report.verdict {
                Verdict::Passed => tally.passed += 1,
                Verdict::Failed { .. } => tally.failed += 1,
                Verdict::Unusable { .. } => tally.unusable += 1,
            }
        }
        tally
    }
}
