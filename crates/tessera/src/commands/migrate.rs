use std::process::ExitCode;

use clap::Args;
use tessera_engine::doctor::schema_of;
use tessera_engine::installation;

use super::Context;
use super::task::Task;
use crate::output::{Failure, REFUSED, json, say};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tessera migrate --check\n  tessera migrate --data /var/lib/tessera\n  tessera migrate --citus --shards 32 --database-url postgres://tessera@coordinator/tessera\n\nBack up before: an older version does not read a database that a newer one has migrated. `tessera serve` migrates too when it starts. A database of a newer version, or one whose schema is not whole, is refused by every command."
)]
pub struct Arguments {
    /// Say what is pending, and change nothing; exit code 1 when something is
    #[arg(long)]
    check: bool,
    /// Spread the database over so many shards, 1 to 1024, for ever; stop every server before. With --citus, those of its
    /// tables [there: 32]
    #[arg(long, value_name = "N", conflicts_with = "check", value_parser = clap::value_parser!(u16).range(1..=1024))]
    shards: Option<u16>,
    /// Spread the tables over the machines of Citus, an extension of PostgreSQL; stop every server before
    #[arg(long, conflicts_with = "check")]
    citus: bool,
}

/// Shards of tables that Citus spreads, unless the caller says otherwise: a multiple of most numbers of machines.
const CITUS_SHARDS: u16 = 32;

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    context.must_be_there()?;
    let pending = schema_of(&context.settings.location())?.pending;
    if !arguments.check && !pending.is_empty() {
        let why = "a database is migrated while nobody writes to it";
        context.engine(&Task::of_command("migrate", why))?.close();
    }
    if arguments.citus || arguments.shards.is_some() {
        spread(context, arguments)?;
    }
    let schema = schema_of(&context.settings.location())?;
    let newest = schema.applied.last().copied().unwrap_or("none");
    if context.json {
        let applied: &[&str] = if arguments.check { &[] } else { &pending };
        json(&serde_json::json!({ "schema": newest, "applied": applied, "pending": schema.pending }))?;
    } else if !arguments.check && !pending.is_empty() {
        say!("applied {}: the schema is {newest}", pending.join(", "));
    } else if pending.is_empty() {
        say!("nothing is pending: the schema is {newest}");
    } else {
        say!("pending: {}; the schema is {newest}", pending.join(", "));
    }
    Ok(if schema.pending.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// Spreads the database over shards from its next start on.
fn spread(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let spread = match (arguments.citus, &context.settings.database_url) {
        (false, _) => None,
        (true, None) => {
            return Err(Failure::usage("Citus is an extension of PostgreSQL, and this is the embedded database")
                .right("name the coordinator's database with --database-url"));
        }
        (true, Some(url)) => {
            let shards = arguments.shards.unwrap_or(CITUS_SHARDS);
            Some(installation::spread_with_citus(url, shards).map_err(Failure::refused)?)
        }
    };
    let engine = context.engine(&Task::of_command("migrate", "a database is spread while nobody writes to it"))?;
    let count = arguments.shards;
    engine.executor().write(move |tx| match count {
        Some(count) if spread.is_none() => installation::note_shards(tx, count),
        _ => installation::note_citus(tx),
    })?;
    engine.close();
    if !context.json {
        let over = match (arguments.citus, count) {
            (false, Some(count)) => format!("{count} shards"),
            _ => "the shards of Citus".to_owned(),
        };
        say!("spread over {over} from the next start on");
    }
    Ok(())
}
