//! The commands, a file each.

mod bench;
mod demo;
mod import;
mod key;
mod program;
mod report;
mod scenario;
pub mod serve;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tessera_core::time::Instant;
use tessera_engine::Engine;
use tessera_engine::clock::{Clock, SystemClock};

use crate::config::{Resolved, Settings};
use crate::output::Failure;

/// A customer-loyalty platform: one program, described in one document, that answers everywhere the same.
#[derive(Parser, Debug)]
#[command(name = "tessera", version, arg_required_else_help = true, propagate_version = true, max_term_width = 110)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the API
    Serve(serve::Arguments),
    /// Make a coffee chain with a year of business, and serve it
    Demo(demo::Arguments),
    /// Check, plan, publish and roll back program documents
    #[command(subcommand)]
    Program(program::Command),
    /// Run scenarios: what is given, what happens, what is expected
    #[command(subcommand)]
    Scenario(scenario::Command),
    /// Bring events or members in from a file
    #[command(subcommand)]
    Import(import::Command),
    /// Fold the ledger again and compare it with what is stored
    Verify(verify::Arguments),
    /// Figures of a program as at an instant
    #[command(subcommand)]
    Report(report::Command),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Measure how fast this machine is
    #[command(subcommand)]
    Bench(bench::Command),
}

pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let settings = arguments.settings.resolve()?;
    let json = arguments.settings.json;
    let data_given = arguments.settings.data.is_some();
    let context = Context { settings, json, data_given };
    match arguments.command {
        Command::Serve(arguments) => serve::run(&context, &arguments),
        Command::Demo(arguments) => demo::run(&context, &arguments),
        Command::Program(command) => program::run(&context, command),
        Command::Scenario(command) => scenario::run(&context, command),
        Command::Import(command) => import::run(&context, command),
        Command::Verify(arguments) => verify::run(&context, &arguments),
        Command::Report(command) => report::run(&context, command),
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
    pub fn engine(&self) -> Result<Engine, Failure> {
        Engine::open(&self.settings.location()).map_err(Failure::refused)
    }

    /// Whether there is an installation to read.
    pub fn is_there(&self) -> bool {
        self.settings.database_url.is_some() || self.settings.data.join("tessera.db").exists()
    }

    /// An installation that must be there already, for commands that only read.
    pub fn reader(&self) -> Result<std::sync::Arc<tessera_engine::executor::Context>, Failure> {
        if !self.is_there() {
            let wrong = format!("there is no installation in {}", self.settings.data.display());
            return Err(
                Failure::refused(wrong).right("name its folder with --data, or make one: tessera program apply FILE")
            );
        }
        Engine::open_to_read(&self.settings.location()).map_err(Failure::refused)
    }

    pub fn now(&self) -> Instant {
        SystemClock.now()
    }
}

/// `--at`, for reports.
pub fn instant(text: &str) -> Result<Instant, String> {
    text.parse().map_err(|_| "a time with its offset is expected, such as 2026-03-31T23:59:00+07:00".to_owned())
}
