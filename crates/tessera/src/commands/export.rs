use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, Subcommand};
use tessera_engine::clock::SystemClock;
use tessera_engine::executor::Context as EngineContext;
use tessera_engine::transfer::all::{self, MoveError};
use tessera_engine::transfer::export_people;

use super::{Context, known};
use crate::output::{Failure, Progress, bytes, counted, grouped, json, note, say, unreadable};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tessera export --all --to everything.gz\n  tessera export --all --to everything.gz --database-url postgres://localhost/tessera\n\nWorks beside a running server, and writes what was acknowledged before it began. `tessera import all` reads the file into an empty installation, on either database. Personal data stay sealed: the master key is not in the file, and must be the same on both sides. docs/operations.md tells how to move."
)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    /// The whole installation: every program, version, member, event, entry, key
    #[arg(long, required = true)]
    all: bool,
    /// The new file
    #[arg(long, required = true, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Exported>,
}

#[derive(Subcommand, Debug)]
enum Exported {
    /// A program's members with all they have, and its gift cards, to move in elsewhere
    #[command(
        after_help = "Example:\n  tessera export members --program copper-cup --to members\n\nThe folder gets members.csv, lots.csv, vouchers.csv, cards.csv and moving.toml, for their owner only: names and phone numbers stand in them as they are, and the codes of gift cards, with which anybody can pay. What is reserved, and parts of a household's pool, are lots with a remark; points that wait for an order are counted, not written."
    )]
    Members {
        /// Which program, such as copper-cup
        #[arg(long, value_name = "PROGRAM")]
        program: String,
        /// The folder
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

#[derive(Args, Debug)]
pub struct ImportArguments {
    /// What `tessera export --all` wrote
    file: PathBuf,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    if let Some(Exported::Members { program, to }) = &arguments.part {
        return members(context, &reader, program, to);
    }
    let Some(to) = &arguments.to else { return Err(Failure::usage("--to is missing: the new file")) };
    let started = Instant::now();
    let mut progress = Progress::new("rows", 100);
    let exported = all::export_all(&reader, to, &mut |done, total| {
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

/// `export members`.
fn members(context: &Context, reader: &Arc<EngineContext>, program: &str, to: &Path) -> Result<ExitCode, Failure> {
    let program = known(reader, program)?;
    let people =
        export_people(reader, &program, to).map_err(|error| Failure::refused(format!("{}: {error}", to.display())))?;
    if context.json {
        json(&people)?;
        return Ok(ExitCode::SUCCESS);
    }
    let written = [
        ("members", people.members),
        ("lots", people.lots),
        ("vouchers", people.vouchers),
        ("gift cards", people.cards),
    ];
    for (name, count) in written {
        say!("{name:<26}{:>14}", grouped(count));
    }
    for (name, units) in [
        ("waiting for an order and stay behind", people.pending),
        ("in pools and nobody's in particular: they stay behind", people.common),
        ("reserved: lots.csv has them with a remark", people.held),
        ("in pools of households: lots.csv has them as lots of whoever put them in", people.pooled),
    ] {
        if units > 0 {
            note!("{} points are {name}", grouped(units));
        }
    }
    if people.cards_held > 0 {
        note!(
            "something is reserved on {}: it is in their balance",
            counted(people.cards_held, "gift card", "gift cards")
        );
    }
    if people.held > 0 || people.cards_held > 0 {
        note!("what is reserved can still be spent here: let nobody, or it is spent twice");
    }
    if people.cards > 0 {
        note!("cards.csv has the codes of the gift cards: whoever reads it can pay with them");
    }
    note!(
        "names and phone numbers stand in {} as they are: keep it safe, and remove it when you are done",
        to.display()
    );
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
