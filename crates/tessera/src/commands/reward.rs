//! Codes of partners that rewards give: brought in from a file, and how many are left.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand};
use serde_json::json;
use tessera_core::program::Id;
use tessera_engine::codes::{self, CODE_MAX, CodePoolView, Imported};

use super::code_file::CodeLines;
use super::task::Task;
use super::{Context, known};
use crate::output::{Failure, Progress, counted, grouped, json as print_json, note, say, table};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Codes of partners, by pool
    #[command(subcommand, after_help = "Example:\n  tessera reward codes list --program copper-cup")]
    Codes(Codes),
}

#[derive(Subcommand, Debug)]
pub enum Codes {
    /// Take in codes of a partner, a line each
    #[command(
        override_usage = "tessera reward codes import [OPTIONS] --program <PROGRAM>\n         --pool <NAME> <FILE>",
        after_help = "Example:\n  tessera reward codes import cinema.txt --program copper-cup --pool cinema\n\nA code that is there already is left out: the same file may be imported again."
    )]
    Import(Import),
    /// How many codes of each pool are left
    #[command(after_help = "Example:\n  tessera reward codes list --program copper-cup")]
    List {
        /// Which program, such as copper-cup
        #[arg(long, value_name = "PROGRAM")]
        program: String,
    },
}

#[derive(Args, Debug)]
pub struct Import {
    /// A code a line
    file: PathBuf,
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// Which pool of its document
    #[arg(long, value_name = "NAME")]
    pool: Id,
}

/// Codes written at a time.
const CHUNK: usize = 2_000;

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let Command::Codes(command) = command;
    match command {
        Codes::Import(arguments) => import(context, &arguments),
        Codes::List { program } => list(context, &program),
    }
}

fn import(context: &Context, arguments: &Import) -> Result<ExitCode, Failure> {
    let path = format!("/v1/programs/{}/code-pools/{}/codes", arguments.program, arguments.pool);
    let task = Task::over_api("reward codes import", "POST", path, "with a key for document:write");
    let length = std::fs::metadata(&arguments.file).map_or(0, |known| known.len());
    let mut file = CodeLines::open(&arguments.file, CODE_MAX)?;
    let engine = context.writer(&task)?;
    let program = known(&engine.context, &arguments.program)?;
    let rules = program.versions().at(context.now()).clone();
    if !rules.definition.code_pools.contains_key(&arguments.pool) {
        let known: Vec<&str> = rules.definition.code_pools.keys().map(Id::as_str).collect();
        let wrong = format!("`{}` has no code pool {}", arguments.program, arguments.pool);
        return Err(Failure::refused(wrong).right(format!("its pools: {}", known.join(", "))));
    }
    let (started, mut progress) = (Instant::now(), Progress::new("codes", length));
    let (mut told, mut waiting) = (Imported::default(), Vec::new());
    let write = |waiting: &mut Vec<String>| {
        let codes = std::mem::take(waiting);
        codes::import(&engine.context, engine.executor(), &program, &arguments.pool, codes)
    };
    while let Some(line) = file.next()? {
        let text = line.and_then(|line| String::from_utf8(line).ok());
        let Some(code) = text.filter(|text| !text.trim().chars().any(char::is_control)) else {
            write(&mut waiting)?;
            // The code itself is not repeated: output ends in logs.
            let wrong = format!("line {}: a code of 1 to {CODE_MAX} bytes of text is expected", file.number);
            return Err(Failure::refused(wrong).right("those before it are in; the whole file may be imported again"));
        };
        if !code.trim().is_empty() {
            waiting.push(code.trim().to_owned());
        }
        if waiting.len() >= CHUNK {
            let new = write(&mut waiting)?;
            told = Imported { imported: told.imported + new.imported, known: told.known + new.known };
            progress.at(file.read, told.imported + told.known, started);
        }
    }
    let new = write(&mut waiting)?;
    told = Imported { imported: told.imported + new.imported, known: told.known + new.known };
    progress.done();
    let pools = codes::pools(&engine.context, &program, "en")?;
    engine.close();
    let pool = pools.into_iter().find(|pool| pool.pool == arguments.pool);
    if context.json {
        print_json(&json!({ "imported": told.imported, "known": told.known, "pool": pool }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let known = grouped(i128::from(told.known));
    say!("{} taken in, {known} were there already", counted(told.imported, "code", "codes"));
    if let Some(pool) = pool {
        say!("{} left in {}", grouped(i128::from(pool.left)), pool.pool);
        warn(&pool);
    }
    Ok(ExitCode::SUCCESS)
}

fn warn(pool: &CodePoolView) {
    if let Some(low_at) = pool.low_at.filter(|_| pool.low) {
        note!("{} runs low: fewer than {} are left", pool.pool, grouped(i128::from(low_at)));
    }
}

fn list(context: &Context, program: &str) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    let program = known(&reader, program)?;
    let pools = codes::pools(&reader, &program, "en")?;
    if context.json {
        print_json(&pools)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = pools.iter().map(|pool| {
        let numbers = [pool.imported, pool.given, pool.reserved, pool.left].map(|number| grouped(i128::from(number)));
        let low = if pool.low { "low" } else { "" };
        std::iter::once(pool.pool.to_string()).chain(numbers).chain([low.to_owned()]).collect()
    });
    say!("{}", table(&["pool", "taken in", "given", "reserved", "left", ""], &[1, 2, 3, 4], rows));
    for pool in &pools {
        warn(pool);
    }
    Ok(ExitCode::SUCCESS)
}
