use std::process::ExitCode;

use clap::Args;
use tessera_engine::doctor::schema_of;

use super::Context;
use super::task::Task;
use crate::output::{Failure, REFUSED, json, say};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tessera migrate --check\n  tessera migrate --data /var/lib/tessera\n\nBack up before: an older version does not read a database that a newer one has migrated. `tessera serve` migrates too when it starts. A database of a newer version, or one whose schema is not whole, is refused by every command."
)]
pub struct Arguments {
    /// Say what is pending, and change nothing; exit code 1 when something is
    #[arg(long)]
    check: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    context.must_be_there()?;
    let pending = schema_of(&context.settings.location())?.pending;
    if !arguments.check && !pending.is_empty() {
        let why = "a database is migrated while nobody writes to it";
        context.engine(&Task::of_command("migrate", why))?.close();
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
