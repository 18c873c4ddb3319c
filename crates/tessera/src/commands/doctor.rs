use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use tessera_engine::clock::SystemClock;
use tessera_engine::doctor::{State, examine};

use super::Context;
use crate::output::{Failure, Progress, RED, REFUSED, YELLOW, counted, json, paint, say};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tessera doctor --data /var/lib/tessera\n  tessera doctor --full --json\n\nLooks at the folder and who may read the master key, the lock, the disk, the schema, every page of the database file, whether the key is the database's, the programs, what is late, and folds a sample of the members again. It writes nothing and works beside a running server. Exit code 1 when something must be put right; a warning is none."
)]
pub struct Arguments {
    /// Fold every member again, as `verify` does, instead of a sample
    #[arg(long)]
    full: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let (mut progress, mut members) = (Progress::new("members", 0), 0);
    let checks = examine(&context.settings.location(), Arc::new(SystemClock), arguments.full, &mut |_| {
        members += 1;
        progress.at(members, members, started);
    });
    progress.done();
    let count = |state: State| checks.iter().filter(|check| check.state == state).count() as u64;
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    if context.json {
        json(&serde_json::json!({ "well": problems == 0, "checks": checks }))?;
    } else {
        let is_terminal = std::io::stdout().is_terminal();
        let width = checks.iter().map(|check| check.check.len()).max().unwrap_or(0);
        for check in &checks {
            let (word, colour) = match check.state {
                State::Good => ("good   ", None),
                State::Skipped => ("skipped", None),
                State::Warning => ("warning", Some(YELLOW)),
                State::Problem => ("problem", Some(RED)),
            };
            let word = colour.map_or_else(|| word.to_owned(), |colour| paint(is_terminal, colour, word));
            say!("{word}  {:width$}  {}", check.check, check.found);
            for line in check.advice.iter().flat_map(|advice| advice.lines()) {
                say!("         {:width$}  → {line}", "");
            }
        }
        say!("\n{}, {}", counted(problems, "problem", "problems"), counted(warnings, "warning", "warnings"));
    }
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}
