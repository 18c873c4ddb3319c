use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use tessera_engine::verify::verify;

use super::{Context, known};
use crate::output::{Failure, Progress, REFUSED, counted, json, say};

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  tessera verify --program copper-cup\n\nFolds every member again from events and entries, checks the chain of hashes, that every currency sums to zero, and that the stored state is the same. Exit code 1 on any difference."
)]
pub struct Arguments {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    let program = known(&reader, &arguments.program)?;
    let members = reader.database.read(|reader| {
        let rows =
            reader.query("SELECT CAST(COUNT(*) AS BIGINT) FROM member WHERE program = $1", &[program.number.into()])?;
        rows.first().map_or(Ok(0), |row| row[0].int())
    })?;
    let started = Instant::now();
    let mut progress = Progress::new("members", u64::try_from(members).unwrap_or(0));
    let found = verify(&reader, &program, &mut |members| progress.at(members, members, started))?;
    progress.done();
    if context.json {
        json(&found)?;
    } else {
        say!(
            "folded {}, {}, {} and {}: {}",
            counted(found.members, "member", "members"),
            counted(found.events, "event", "events"),
            counted(found.entries, "entry", "entries"),
            counted(found.orders, "order", "orders"),
            match found.differences.len() as u64 {
                0 => "no difference".to_owned(),
                several => counted(several, "difference", "differences"),
            }
        );
        for difference in &found.differences {
            say!("  {}: {}", difference.member, difference.what);
        }
    }
    Ok(if found.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}
