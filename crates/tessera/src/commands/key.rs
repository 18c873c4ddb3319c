use std::process::ExitCode;

use clap::Subcommand;
use tessera_core::program::{Id, IdProblem};
use tessera_engine::access::{self, Scope};

use super::task::Task;
use super::{Context, known};
use crate::output::{Failure, json, moment, note, say, table};

const ONLY_HERE: &str = "keys are made and revoked by this command alone";

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a key; its text is shown this once
    #[command(
        after_help = format!(
            "Examples:\n  tessera key create --program copper-cup --name console\n  tessera key create --program copper-cup --scope events:write --json\n  tessera key create --program copper-cup --name counter --scope adjustments:write --role agent\n\nThe scopes are {}.",
            Scope::ALL.map(Scope::name).join(", ")
        )
    )]
    Create {
        /// Which program, such as copper-cup
        #[arg(long, value_name = "PROGRAM")]
        program: String,
        /// What it is for, as lists show it
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// What it may do; may be given several times, and everything when left out
        #[arg(long = "scope", value_parser = scope, value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// Whose adjustments it makes, as the document's `adjustments.limits` name roles
        #[arg(long, value_parser = role, value_name = "ROLE")]
        role: Option<Id>,
    },
    /// List the keys of a program
    #[command(after_help = "Example:\n  tessera key list --program copper-cup")]
    List {
        /// Which program, such as copper-cup
        #[arg(long, value_name = "PROGRAM")]
        program: String,
    },
    /// Revoke a key at once
    #[command(after_help = "Example:\n  tessera key revoke --program copper-cup key_01jm7c")]
    Revoke {
        /// Which program, such as copper-cup
        #[arg(long, value_name = "PROGRAM")]
        program: String,
        /// As `key list` shows it
        id: String,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| format!("the scopes are {}", Scope::ALL.map(Scope::name).join(", ")))
}

fn role(text: &str) -> Result<Id, String> {
    text.parse().map_err(|error: IdProblem| error.to_string())
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { program, name, scopes, role } => {
            let engine = context.writer(&Task::of_command("key create", ONLY_HERE))?;
            let handle = known(&engine.context, &program)?;
            let scopes = if scopes.is_empty() { Scope::ALL.to_vec() } else { scopes };
            let (shared, executor) = (&engine.context, engine.executor());
            let made = access::create_with_role(shared, executor, handle.number, &name, &scopes, role.as_ref())?;
            engine.close();
            if context.json {
                json(&made)?;
            } else {
                say!("id   {}\nkey  {}", made.id, made.key);
                note!("the key is shown this once: keep it now");
            }
        }
        Command::List { program } => {
            let reader = context.reader()?;
            let handle = known(&reader, &program)?;
            let keys = access::list(&reader.database, handle.number)?;
            if context.json {
                json(&keys)?;
                return Ok(ExitCode::SUCCESS);
            }
            let rows = keys.into_iter().map(|key| {
                let scopes: Vec<&str> = match key.scopes.len() {
                    all if all == Scope::ALL.len() => vec!["all"],
                    _ => key.scopes.iter().map(|scope| scope.name()).collect(),
                };
                let state = key.revoked_at.map_or_else(|| "valid".to_owned(), |at| format!("revoked {}", moment(at)));
                vec![key.id, key.name, scopes.join(" "), key.role.unwrap_or_default(), moment(key.created_at), state]
            });
            say!("{}", table(&["id", "name", "scopes", "role", "made", "state"], &[], rows));
        }
        Command::Revoke { program, id } => {
            let engine = context.writer(&Task::of_command("key revoke", ONLY_HERE))?;
            let handle = known(&engine.context, &program)?;
            let revoked = access::revoke(&engine.context, engine.executor(), handle.number, &id)?;
            engine.close();
            if !revoked {
                return Err(Failure::refused(format!("`{program}` has no valid key {id}"))
                    .right("`tessera key list` shows the keys of a program"));
            }
            if context.json {
                json(&serde_json::json!({ "id": id, "revoked": true }))?;
            } else {
                say!("revoked {id}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
