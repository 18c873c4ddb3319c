use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, Subcommand};
use tessera_engine::backup::{self, BackupError};
use tessera_engine::clock::SystemClock;

use super::Context;
use crate::output::{Failure, Progress, bytes, json, note, say, unreadable};

#[derive(Args, Debug)]
#[command(
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  tessera backup --to /mnt/backups\n  tessera backup --to monday.db --with-key\n  tessera backup restore monday.db --data restored\n\nWorks beside a running server: what was acknowledged before it began is in it. A backup is one file, a database of its own; in a folder it is named by the time. It holds no master.key, without which nobody can use it: keep a copy apart. docs/operations.md tells more."
)]
pub struct Arguments {
    /// The new file, or a folder for it
    #[arg(long, value_name = "PATH", required = true)]
    to: Option<PathBuf>,
    /// Put a copy of the master key beside it, as FILE.key
    #[arg(long)]
    with_key: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Put a backup into an empty data folder, and check it
    #[command(
        after_help = "Examples:\n  tessera backup restore monday.db --data restored\n  tessera backup restore monday.db --data restored --key master.key\n\nThe folder may hold its master.key already. Otherwise the key is that of --key, of TESSERA_MASTER_KEY, or of FILE.key beside the backup. Nothing is written over; a backup that is damaged, or of another key, leaves nothing."
    )]
    Restore {
        /// The backup
        file: PathBuf,
        /// The master key to put into the folder
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

pub fn run(context: &Context, arguments: Arguments) -> Result<ExitCode, Failure> {
    match (arguments.command, arguments.to) {
        (Some(Command::Restore { file, key }), _) => restore(context, &file, key.as_deref()),
        (None, Some(to)) => make(context, &to, arguments.with_key),
        (None, None) => Err(Failure::usage("--to is missing: it says where the backup goes")),
    }
}

fn make(context: &Context, to: &Path, with_key: bool) -> Result<ExitCode, Failure> {
    let location = context.settings.location();
    if location.database_url.is_some() {
        return Err(failed(BackupError::NotEmbedded));
    }
    context.must_be_there()?;
    let file = backup::file_for(to, context.now());
    let started = Instant::now();
    let mut progress = Progress::new("pages", 100);
    let made = backup::backup(&location, &file, with_key, &mut |done, total| {
        progress.at(percent(done, total), done, started);
    })
    .map_err(failed)?;
    progress.done();
    if context.json {
        json(&made)?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{}: {} in {:.1} s", made.file.display(), bytes(made.bytes), started.elapsed().as_secs_f64());
    match &made.key_file {
        Some(key) => note!(
            "{} is the master key: whoever has both files can read everything, so move it to another place",
            key.display()
        ),
        None => note!(
            "the master key is not in it, and without it the backup is of no use: keep a copy of master.key apart"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// For bars whose length is only known on the way.
fn percent(done: u64, total: u64) -> u64 {
    (done * 100).checked_div(total).unwrap_or(0)
}

fn restore(context: &Context, file: &Path, key: Option<&Path>) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let mut progress = Progress::new("bytes", 100);
    let location = context.settings.location();
    let restored = backup::restore(file, &location, key, Arc::new(SystemClock), &mut |done, total| {
        progress.at(percent(done, total), done, started);
    })
    .map_err(failed)?;
    progress.done();
    if context.json {
        json(&restored)?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{}: {} restored and checked", restored.folder.display(), bytes(restored.bytes));
    for program in &restored.programs {
        note!("fold its ledger again with: tessera verify --data {} --program {program}", restored.folder.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(error: BackupError) -> Failure {
    match error {
        BackupError::File { file, source } => unreadable(&file, &source),
        BackupError::Exists(_) => Failure::usage(&error).right("name another file, or move that one away"),
        BackupError::NotEmbedded => Failure::usage(&error).right(
            "back a PostgreSQL database up with pg_dump or its own means, and keep a copy of master.key;\n`tessera export --all --to FILE` writes everything to one file, which `tessera import all` reads",
        ),
        BackupError::NotEmpty { .. } => Failure::refused(&error).right("name another folder with --data"),
        BackupError::OtherKey(_) => Failure::refused(&error).right(
            "give the master.key of the installation that was backed up, with --key or as master.key in the folder",
        ),
        BackupError::NoKey => {
            Failure::refused(&error).right("give it with --key FILE, or its digits in TESSERA_MASTER_KEY")
        }
        other => Failure::refused(other),
    }
}
