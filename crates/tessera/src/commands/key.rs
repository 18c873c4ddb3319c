use std::process::ExitCode;

use clap::Subcommand;
use tessera_engine::access::{self, Scope};

use super::Context;
use crate::output::{Failure, json, table};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a key; its text is shown this once
    #[command(
        after_help = "Example:\n  tessera key create --program copper-cup --name till-1 --scope events:write --scope members:read"
    )]
    Create {
        #[arg(long)]
        program: String,
        /// What it is for
        #[arg(long, default_value = "")]
        name: String,
        /// What it may do; everything when left out
        #[arg(long = "scope", value_parser = scope, value_name = "SCOPE")]
        scopes: Vec<Scope>,
    },
    /// List the keys of a program
    #[command(after_help = "Example:\n  tessera key list --program copper-cup")]
    List {
        #[arg(long)]
        program: String,
    },
    /// Revoke a key at once
    #[command(after_help = "Example:\n  tessera key revoke --program copper-cup key_8k2m…")]
    Revoke {
        #[arg(long)]
        program: String,
        id: String,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| format!("the scopes are {}", Scope::ALL.map(Scope::name).join(", ")))
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { program, name, scopes } => {
            let engine = context.engine()?;
            let handle = engine.program(&program)?;
            let scopes = if scopes.is_empty() { Scope::ALL.to_vec() } else { scopes };
            let made = access::create(&engine.context, engine.executor(), handle.number, &name, &scopes)?;
            engine.close();
            if context.json {
                json(&made)?;
            } else {
                println!("{}\n{}", made.id, made.key);
                eprintln!("the second line is the key: it is not shown again");
            }
        }
        Command::List { program } => {
            let reader = context.reader()?;
            let handle = reader.programs.get(&reader.database, &program)?;
            let keys = access::list(&reader.database, handle.number)?;
            if context.json {
                json(&keys)?;
                return Ok(ExitCode::SUCCESS);
            }
            let rows = keys.into_iter().map(|key| {
                let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
                let state = key.revoked_at.map_or_else(|| "valid".to_owned(), |at| format!("revoked {at}"));
                vec![key.id, key.name, scopes.join(" "), key.created_at.to_string(), state]
            });
            println!("{}", table(&["id", "name", "scopes", "made", "state"], &[], rows));
        }
        Command::Revoke { program, id } => {
            let engine = context.engine()?;
            let handle = engine.program(&program)?;
            let revoked = access::revoke(&engine.context, engine.executor(), handle.number, &id)?;
            engine.close();
            if !revoked {
                return Err(
                    Failure::refused(format!("`{program}` has no valid key {id}")).right("tessera key list shows them")
                );
            }
            println!("revoked {id}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
