use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use tessera_engine::verify::verify;

use super::Context;
use crate::output::{Failure, Progress, REFUSED, grouped, json};

/// Example: `tessera verify --program copper-cup`
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  tessera verify --program copper-cup\n\nFolds every member again from events and entries, checks the chain of hashes, that every currency sums to zero,\nand that the stored state is the same. Exit code 1 on any difference."
)]
pub struct Arguments {
    #[arg(long)]
    program: String,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    let program = reader.programs.get(&reader.database, &arguments.program)?;
    let counted = reader.database.read(|reader| {
        let rows =
            reader.query("SELECT CAST(COUNT(*) AS BIGINT) FROM member WHERE program = $1", &[program.number.into()])?;
        rows.first().map_or(Ok(0), |row| row[0].int())
    })?;
    let started = Instant::now();
    let mut progress = Progress::new("members", u64::try_from(counted).unwrap_or(0));
    let found = verify(&reader, &program, &mut |members| progress.at(members, members, started))?;
    progress.done();
    if context.json {
        json(&found)?;
    } else {
        println!(
            "folded {} members, {} events, {} entries and {} orders: {}",
            grouped(found.members),
            grouped(found.events),
            grouped(found.entries),
            grouped(found.orders),
            if found.differences.is_empty() {
                "no difference".to_owned()
            } else {
                format!("{} differences", found.differences.len())
            }
        );
        for difference in &found.differences {
            println!("  {}: {}", difference.member, difference.what);
        }
    }
    Ok(if found.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}
