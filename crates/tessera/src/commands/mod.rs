//! The commands, a file each.

mod backup;
mod bench;
mod case;
mod code_file;
mod demo;
mod doctor;
mod export;
mod gift_card;
mod import;
mod key;
mod migrate;
mod moving;
mod program;
mod replay;
mod report;
mod reward;
mod scenario;
pub mod serve;
mod settlements;
mod task;
mod verify;
mod voucher;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tessera_core::time::Instant;
use tessera_engine::clock::{Clock, SystemClock};
use tessera_engine::executor::Context as EngineContext;
use tessera_engine::programs::{ProgramError, ProgramHandle};
use tessera_engine::query::{Page, PageRequest};
use tessera_engine::{Engine, StoreError};

use crate::config::{Resolved, Settings};
use crate::output::Failure;
use task::Task;

/// A customer-loyalty platform: one program, described in one document, that answers everywhere the same.
#[derive(Parser, Debug)]
#[command(name = "tessera", version, arg_required_else_help = true, max_term_width = 110)]
#[command(
    after_help = "Examples:\n  tessera demo\n  tessera program apply programs/coffee.yaml\n  tessera serve --data /var/lib/tessera\n\nA flag wins over TESSERA_* in the environment, which wins over tessera.toml. Exit codes: 0 done, 1 refused or something found, 2 wrong use."
)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the API over HTTP until it is told to stop
    Serve(serve::Arguments),
    /// Make a coffee chain with a year of business, and serve it
    Demo(demo::Arguments),
    /// Check, plan, publish and roll back program documents
    #[command(subcommand, after_help = "Example:\n  tessera program validate programs/coffee.yaml")]
    Program(program::Command),
    /// Run scenarios: what is given, what happens, what is expected
    #[command(subcommand, after_help = "Example:\n  tessera scenario run scenarios")]
    Scenario(scenario::Command),
    /// Bring events, members or a whole installation in from a file
    #[command(subcommand, after_help = "Example:\n  tessera import members members.csv --program copper-cup")]
    Import(import::Command),
    /// Fold the ledger again and compare it with what is stored
    Verify(verify::Arguments),
    /// What a draft would have made of everything that happened
    Replay(replay::Arguments),
    /// Figures of a program, now or as at any instant
    #[command(subcommand, after_help = "Example:\n  tessera report summary --program copper-cup")]
    Report(report::Command),
    /// Make, share, take in and void codes of vouchers
    #[command(
        subcommand,
        after_help = "Example:\n  tessera voucher issue --program copper-cup --voucher weekend --count 1000 --key spring --to codes.csv"
    )]
    Voucher(voucher::Command),
    /// Make, show, list, load and void gift cards
    #[command(
        name = "gift-card",
        subcommand,
        after_help = "Example:\n  tessera gift-card issue --program copper-cup --amount 500000 --count 100 --key tet --to cards.csv"
    )]
    GiftCard(gift_card::Command),
    /// Take in codes of partners that rewards give
    #[command(
        subcommand,
        after_help = "Example:\n  tessera reward codes import cinema.txt --program copper-cup --pool cinema"
    )]
    Reward(reward::Command),
    /// Look into what was more than velocity rules let pass
    #[command(subcommand, after_help = "Example:\n  tessera case list --program copper-cup --state open")]
    Case(case::Command),
    /// Make, list and revoke API keys
    #[command(subcommand, after_help = "Example:\n  tessera key create --program copper-cup --name till-1")]
    Key(key::Command),
    /// Copy the embedded database to a file, and restore one
    Backup(backup::Arguments),
    /// Write everything to one file, to move to another database
    Export(export::Arguments),
    /// Look whether an installation is well, and say what to do
    Doctor(doctor::Arguments),
    /// Bring the schema of the database up to date
    Migrate(migrate::Arguments),
    /// Measure how fast this machine is, and how much memory a server has
    #[command(subcommand, after_help = "Example:\n  tessera bench http --clients 64 --seconds 10")]
    Bench(bench::Command),
}

pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let settings = arguments.settings.resolve()?;
    let json = arguments.settings.json;
    let data_given = arguments.settings.data.is_some();
    let context = Context { settings, json, data_given };
    match arguments.command {
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Backup(arguments) => backup::run(&context, arguments),
        Command::Export(arguments) => export::run(&context, &arguments),
        Command::Doctor(arguments) => doctor::run(&context, &arguments),
        Command::Migrate(arguments) => migrate::run(&context, &arguments),
        Command::Demo(arguments) => demo::run(&context, &arguments),
        Command::Program(command) => program::run(&context, command),
        Command::Scenario(command) => scenario::run(&context, command),
        Command::Import(command) => import::run(&context, command),
        Command::Verify(arguments) => verify::run(&context, &arguments),
        Command::Replay(arguments) => replay::run(&context, &arguments),
        Command::Report(command) => report::run(&context, command),
        Command::Voucher(command) => voucher::run(&context, command),
        Command::GiftCard(command) => gift_card::run(&context, command),
        Command::Reward(command) => reward::run(&context, command),
        Command::Case(command) => case::run(&context, command),
        Command::Key(command) => key::run(&context, command),
        Command::Bench(command) => bench::run(&context, command),
    }
}

/// What every command gets.
pub struct Context {
    pub settings: Resolved,
    pub json: bool,
    /// Whether the data folder was named, and is not just the usual one.
    pub data_given: bool,
}

impl Context {
    /// An installation to write to; it is made when it is not there.
    pub fn engine(&self, task: &Task) -> Result<Engine, Failure> {
        task.open(&self.settings)
    }

    /// Whether there is an installation to read.
    pub fn is_there(&self) -> bool {
        self.settings.database_url.is_some() || self.settings.data.join("tessera.db").exists()
    }

    /// An installation that must be there already, for commands that only read.
    pub fn reader(&self) -> Result<Arc<EngineContext>, Failure> {
        self.must_be_there()?;
        Engine::open_to_read(&self.settings.location()).map_err(Failure::refused)
    }

    /// An installation that must be there already, for commands that write to it.
    pub fn writer(&self, task: &Task) -> Result<Engine, Failure> {
        self.must_be_there()?;
        self.engine(task)
    }

    pub fn must_be_there(&self) -> Result<(), Failure> {
        if self.is_there() {
            return Ok(());
        }
        let wrong = format!("there is no installation in {}", self.settings.data.display());
        Err(Failure::refused(wrong).right("name its folder with --data, or make one: tessera program apply FILE"))
    }

    pub fn now(&self) -> Instant {
        SystemClock.now()
    }
}

/// A program of an installation; where there is none of this key, what there is.
pub fn known(installation: &EngineContext, key: &str) -> Result<Arc<ProgramHandle>, Failure> {
    installation.programs.get(&installation.database, key).map_err(|error| {
        let failure = Failure::refused(&error);
        match installation.programs.list(&installation.database) {
            Ok(keys) if matches!(error, ProgramError::Unknown { .. }) && !keys.is_empty() => {
                failure.right(format!("programs here: {}", keys.join(", ")))
            }
            _ => failure,
        }
    })
}

/// All of a list, page by page.
fn all_of<T>(page: impl Fn(&PageRequest) -> Result<Page<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    let mut request = PageRequest { limit: 1_000, after: None };
    let mut all = Vec::new();
    loop {
        let found = page(&request)?;
        all.extend(found.items);
        request.after = found.next;
        if request.after.is_none() {
            return Ok(all);
        }
    }
}

/// `--at`, for reports.
pub fn instant(text: &str) -> Result<Instant, String> {
    text.parse().map_err(|_| "a time with its offset is expected, such as 2026-03-31T23:59:00+07:00".to_owned())
}
