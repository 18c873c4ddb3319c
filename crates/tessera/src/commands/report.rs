use std::process::ExitCode;

use clap::{Args, Subcommand};
use tessera_core::time::Instant;
use tessera_engine::report;

use super::{Context, instant};
use crate::output::{Failure, grouped, json, table};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Members, sales, points, tiers and months
    #[command(
        after_help = "Example:\n  tessera report summary --program grocer --at 2017-10-01T00:00:00-04:00 --json\n\nWhat each figure means: docs/glossary.md"
    )]
    Summary(Arguments),
    /// A line a member, as CSV
    #[command(
        after_help = "Example:\n  tessera report members --program grocer --at 2017-10-01T00:00:00-04:00 --csv > members.csv"
    )]
    Members {
        #[command(flatten)]
        arguments: Arguments,
        /// Print CSV, the only form there is
        #[arg(long)]
        csv: bool,
    },
}

#[derive(Args, Debug)]
pub struct Arguments {
    #[arg(long)]
    program: String,
    /// The end of the business reported, exclusive; now when left out
    #[arg(long, value_parser = instant, value_name = "TIME")]
    at: Option<Instant>,
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    match command {
        Command::Summary(arguments) => {
            let program = reader.programs.get(&reader.database, &arguments.program)?;
            let at = arguments.at.unwrap_or_else(|| context.now());
            let summary = report::summary(&reader, &program, at)?;
            if context.json {
                json(&summary)?;
            } else {
                print(&program.versions().head().definition.currency, at, &summary);
            }
        }
        Command::Members { arguments, csv: _ } => {
            let program = reader.programs.get(&reader.database, &arguments.program)?;
            let at = arguments.at.unwrap_or_else(|| context.now());
            let out = std::io::BufWriter::new(std::io::stdout().lock());
            report::members_csv(&reader, &program, at, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(money: &str, at: Instant, summary: &report::Summary) {
    println!("as at the end of all business before {at}\n");
    println!("{:<12}{:>16}", "members", grouped(summary.members));
    println!("{:<12}{:>16}", "purchases", grouped(summary.purchases));
    println!("{:<12}{:>16}", "returns", grouped(summary.returns));
    println!("{:<12}{:>16} {money}\n", "spend", summary.spend);
    let header = ["currency", "issued", "taken back", "redeemed", "expired", "outstanding", "pending", "debt"];
    let rows = summary.currencies.iter().map(|(currency, figures)| {
        let figures = [
            figures.issued,
            figures.taken_back,
            figures.redeemed,
            figures.expired,
            figures.outstanding,
            figures.pending,
            figures.debt,
        ];
        std::iter::once(currency.to_string()).chain(figures.into_iter().map(grouped)).collect()
    });
    println!("{}\n", table(&header, &[1, 2, 3, 4, 5, 6, 7], rows));
    for (ladder, levels) in &summary.tiers {
        let rows = levels.iter().map(|(level, members)| vec![level.to_string(), grouped(*members)]);
        println!("{}\n", table(&[ladder.as_str(), "members"], &[1], rows));
    }
    let rows = summary.by_month.iter().map(|(month, figures)| {
        vec![month.clone(), grouped(figures.purchases), figures.spend.clone(), grouped(figures.issued)]
    });
    println!("{}", table(&["month", "purchases", "spend", "issued"], &[1, 2, 3], rows));
}
