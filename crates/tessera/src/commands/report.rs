use std::process::ExitCode;

use clap::{Args, Subcommand};
use tessera_core::time::Instant;
use tessera_engine::report;

use super::{Context, instant, known};
use crate::output::{self, Failure, grouped, grouped_amount, json, moment, say, table};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Members, sales, points, tiers and months
    #[command(
        after_help = "Examples:\n  tessera report summary --program copper-cup\n  tessera report summary --program copper-cup --at 2026-04-01T00:00:00+07:00\n\ndocs/glossary.md tells what each figure means."
    )]
    Summary(Arguments),
    /// A line a member, as CSV
    #[command(
        after_help = "Examples:\n  tessera report members --program copper-cup > members.csv\n  tessera report members --program copper-cup --at 2026-04-01T00:00:00+07:00"
    )]
    Members {
        #[command(flatten)]
        arguments: Arguments,
        /// Print CSV, as without --json anyway
        #[arg(long)]
        csv: bool,
    },
    /// Hold the files of another system against what moved in
    #[command(
        override_usage = "tessera report moving-in [OPTIONS] --program <PROGRAM>\n         --mapping <FILE> <MEMBERS>",
        after_help = "Examples:\n  tessera report moving-in members.csv --lots lots.csv --program copper-cup --mapping moving.toml\n  tessera report moving-in members.csv --program copper-cup --mapping moving.toml --expected totals.csv --json\n\nThe exit code is 1 when anything differs. docs/moving-in.md tells what is compared."
    )]
    MovingIn(super::moving::ReportArguments),
    /// What was ordered from partners in a month, held against their own list
    #[command(
        after_help = "Examples:\n  tessera report partners --program copper-cup --month 2026-10\n  tessera report partners --program copper-cup --month 2026-10 --partner giftly --file giftly.csv\n\nThe exit code is 1 when anything differs. docs/partners.md tells what is compared."
    )]
    Partners(super::settlements::Partners),
    /// What members gave to each cause, and what is to be paid, by the month
    #[command(
        after_help = "Examples:\n  tessera report causes --program copper-cup\n  tessera report causes --program copper-cup --from 2026-01 --until 2026-03\n\nA month that is over stays what it is: what is taken back later stands in its own month."
    )]
    Causes(super::settlements::Causes),
}

#[derive(Args, Debug)]
pub struct Arguments {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// Report business before this time, with its offset; all of it when left out
    #[arg(long, value_parser = instant, value_name = "TIME")]
    at: Option<Instant>,
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    match command {
        Command::MovingIn(arguments) => return super::moving::report(context, &reader, &arguments),
        Command::Partners(arguments) => return super::settlements::partners(context, &reader, &arguments),
        Command::Causes(arguments) => return super::settlements::causes(context, &reader, &arguments),
        Command::Summary(arguments) => {
            let program = known(&reader, &arguments.program)?;
            let at = arguments.at.unwrap_or_else(|| context.now());
            let summary = report::summary(&reader, &program, at)?;
            if context.json {
                json(&summary)?;
            } else {
                print(&program.versions().head().definition.currency, at, &summary);
            }
        }
        Command::Members { arguments, csv: _ } => {
            let program = known(&reader, &arguments.program)?;
            let at = arguments.at.unwrap_or_else(|| context.now());
            let table = report::members(&reader, &program, at)?;
            if context.json {
                json(&table.objects())?;
            } else {
                let mut text = Vec::new();
                table.write_csv(&mut text)?;
                output::put(format_args!("{}", String::from_utf8_lossy(&text)));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(money: &str, at: Instant, summary: &report::Summary) {
    say!("as at the end of all business before {}\n", moment(at));
    say!("{:<12}{:>16}", "members", grouped(summary.members));
    say!("{:<12}{:>16}", "purchases", grouped(summary.purchases));
    say!("{:<12}{:>16}", "returns", grouped(summary.returns));
    say!("{:<12}{:>16} {money}\n", "spend", grouped_amount(&summary.spend));
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
    say!("{}\n", table(&header, &[1, 2, 3, 4, 5, 6, 7], rows));
    if let Some(cards) = &summary.gift_cards {
        let header = ["gift cards", "sold", "moved in", "spent", "expired", "void", "outstanding", "reserved"];
        let figures = [
            &cards.sold,
            &cards.moved_in,
            &cards.spent,
            &cards.expired,
            &cards.voided,
            &cards.outstanding,
            &cards.held,
        ];
        let row = std::iter::once(grouped(cards.cards)).chain(figures.into_iter().map(|sum| grouped_amount(sum)));
        say!("{}\n", table(&header, &[0, 1, 2, 3, 4, 5, 6, 7], [row.collect()]));
    }
    for (ladder, levels) in &summary.tiers {
        let rows = levels.iter().map(|(level, members)| vec![level.to_string(), grouped(*members)]);
        say!("{}\n", table(&[ladder.as_str(), "members"], &[1], rows));
    }
    let rows = summary.by_month.iter().map(|(month, figures)| {
        vec![month.clone(), grouped(figures.purchases), grouped_amount(&figures.spend), grouped(figures.issued)]
    });
    say!("{}", table(&["month", "purchases", "spend", "issued"], &[1, 2, 3], rows));
}
