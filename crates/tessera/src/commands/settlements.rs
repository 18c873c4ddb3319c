//! What is to be settled with others: with partners by the month, with causes that members gave to.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tessera_core::program::Id;
use tessera_core::time::Day;
use tessera_engine::executor::Context as EngineContext;
use tessera_engine::partner::{self, Difference, PartnerMonth};
use tessera_engine::query;

use super::{Context, known};
use crate::output::{Failure, REFUSED, grouped, grouped_amount, json as print_json, say, table, unreadable};

#[derive(Args, Debug)]
pub struct Partners {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// A month of the program's days, such as 2026-10
    #[arg(long, value_parser = month, value_name = "MONTH")]
    month: Day,
    /// One partner of its document [default: all]
    #[arg(long, value_name = "NAME")]
    partner: Option<Id>,
    /// The partner's own list: CSV with the columns order and state
    #[arg(long, value_name = "FILE", requires = "partner")]
    file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Causes {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// The first month, such as 2026-01 [default: the first there is]
    #[arg(long, value_parser = month, value_name = "MONTH")]
    from: Option<Day>,
    /// The last month [default: the last there is]
    #[arg(long, value_parser = month, value_name = "MONTH")]
    until: Option<Day>,
}

/// The first day of a month.
fn month(text: &str) -> Result<Day, String> {
    format!("{text}-01").parse().map_err(|_| "a month is expected, such as 2026-10".to_owned())
}

pub fn partners(context: &Context, reader: &EngineContext, arguments: &Partners) -> Result<ExitCode, Failure> {
    let program = known(reader, &arguments.program)?;
    let orders = partner::month(reader, &program, arguments.partner.as_ref(), arguments.month)?;
    let products = PartnerMonth::of(&orders);
    let found = match &arguments.file {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
            let found = partner::reconcile(&orders, &text)
                .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
            Some(found)
        }
        None => None,
    };
    if context.json {
        print_json(&json!({ "products": products, "orders": orders, "reconciliation": found }))?;
    } else {
        let rows = products.iter().map(|product| {
            let states: Vec<String> =
                product.by_state.iter().map(|(state, count)| format!("{} {state}", grouped(*count))).collect();
            vec![product.partner.clone(), product.product.clone(), grouped(product.orders), states.join(", ")]
        });
        say!("{}", table(&["partner", "product", "orders", "what became of them"], &[2], rows));
        if let Some(found) = &found {
            let counts = [found.ours, found.theirs, found.agree].map(|count| grouped(count as i128));
            say!("\nours {}, theirs {}, the same on both sides {}", counts[0], counts[1], counts[2]);
            let text = |side: &Option<String>| side.clone().unwrap_or_default();
            let row = |found: &Difference| {
                vec![found.kind.to_owned(), found.order.clone(), text(&found.ours), text(&found.theirs)]
            };
            if !found.differences.is_empty() {
                say!("{}", table(&["difference", "order", "ours", "theirs"], &[], found.differences.iter().map(row)));
            }
        }
    }
    let differs = found.is_some_and(|found| !found.differences.is_empty());
    Ok(if differs { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

pub fn causes(context: &Context, reader: &EngineContext, arguments: &Causes) -> Result<ExitCode, Failure> {
    let program = known(reader, &arguments.program)?;
    let months = query::settlements(reader, &program, arguments.from, arguments.until)?;
    let totals = query::causes(reader, &program, "en")?;
    if context.json {
        print_json(&json!({ "months": months, "causes": totals }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let decimals = program.versions().head().money.decimals();
    let money = |amount: &tessera_core::quantity::Amount| grouped_amount(&amount.to_text(decimals));
    let rows = months.iter().map(|month| {
        vec![month.cause.clone(), month.month.clone(), money(&month.given), money(&month.taken_back), money(&month.due)]
    });
    say!("{}\n", table(&["cause", "month", "given", "taken back", "to be paid"], &[2, 3, 4], rows));
    let rows = totals.iter().map(|cause| {
        let public = if cause.public { "yes" } else { "no" };
        vec![cause.cause.clone(), money(&cause.total), cause.currency.clone(), public.to_owned()]
    });
    say!("{}", table(&["cause", "in all", "currency", "public"], &[1], rows));
    Ok(ExitCode::SUCCESS)
}
