use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use tessera_engine::clock::SystemClock;
use tessera_engine::transfer::all::{self, MoveError};

use super::Context;
use crate::output::{Failure, Progress, bytes, counted, json, note, say, unreadable};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tessera export --all --to everything.gz\n  tessera export --all --to everything.gz --database-url postgres://localhost/tessera\n\nWorks beside a running server, and writes what was acknowledged before it began. `tessera import all` reads the file into an empty installation, on either database. Personal data stay sealed: the master key is not in the file, and must be the same on both sides. docs/operations.md tells how to move."
)]
pub struct Arguments {
    /// The whole installation: every program, version, member, event, entry, key
    #[arg(long, required = true)]
    all: bool,
    /// The new file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args, Debug)]
pub struct ImportArguments {
    /// What `tessera export --all` wrote
    file: PathBuf,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    let started = Instant::now();
    let mut progress = Progress::new("rows", 100);
    let exported = all::export_all(&reader, &arguments.to, &mut |done, total| {
        progress.at((done * 100).checked_div(total).unwrap_or(0), done, started);
    })
    .map_err(|error| failed(error, &context.settings.data))?;
    progress.done();
    if context.json {
        json(&exported)?;
        return Ok(ExitCode::SUCCESS);
    }
    say!(
        "{}: {}, {} in {:.1} s",
        exported.file.display(),
        counted(exported.rows, "row", "rows"),
        bytes(exported.bytes),
        started.elapsed().as_secs_f64()
    );
    note!("it opens under the same master key only ({}), which is not in it", exported.master_key);
    Ok(ExitCode::SUCCESS)
}

/// `import all`.
pub fn import(context: &Context, arguments: &ImportArguments) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let mut progress = Progress::new("rows", 100);
    let location = context.settings.location();
    let imported = all::import_all(&location, &arguments.file, Arc::new(SystemClock), &mut |done, total| {
        progress.at((done * 100).checked_div(total).unwrap_or(0), done, started);
    })
    .map_err(|error| failed(error, &location.folder))?;
    progress.done();
    if context.json {
        json(&imported)?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{} in {:.1} s", counted(imported.rows, "row", "rows"), started.elapsed().as_secs_f64());
    for program in &imported.programs {
        note!("fold its ledger again with: tessera verify --data {} --program {program}", location.folder.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(error: MoveError, folder: &Path) -> Failure {
    let key = || {
        format!(
            "put the master.key of the installation that was exported into {}, or its digits into TESSERA_MASTER_KEY",
            folder.display()
        )
    };
    let again = "nothing was taken: export again, and copy the whole file";
    match error {
        MoveError::File { file, source } => unreadable(&file, &source),
        MoveError::Exists(_) => Failure::usage(&error).right("name another file, or move that one away"),
        MoveError::Foreign(_) => Failure::usage(&error).right("give a file that `tessera export --all` wrote"),
        MoveError::Format { .. } => Failure::refused(&error).right("import with the version that exported"),
        MoveError::Schema { .. } => {
            Failure::refused(&error).right("export and import with one version of Tessera; migrate before or after")
        }
        MoveError::NoKey { .. } | MoveError::OtherKey { .. } => Failure::refused(&error).right(key()),
        MoveError::NotEmpty { .. } => Failure::refused(&error).right("import into an empty folder or database"),
        MoveError::CutOff | MoveError::Damaged(_) => Failure::refused(&error).right(again),
        other => Failure::refused(other),
    }
}
