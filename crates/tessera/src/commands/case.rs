use std::process::ExitCode;

use clap::Subcommand;
use tessera_engine::adjustment::By;
use tessera_engine::case::{self, CaseView, State, Verdict, Wish};
use tessera_engine::query::PageRequest;

use super::task::Task;
use super::{Context, known};
use crate::output::{Failure, counted, json, moment, say, table};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List cases, newest first
    #[command(after_help = "Example:\n  tessera case list --program copper-cup --state open")]
    List {
        /// Which program, such as copper-cup
        #[arg(long, value_name = "PROGRAM")]
        program: String,
        /// Only these: open, taken or closed
        #[arg(long, value_parser = state, value_name = "STATE")]
        state: Option<State>,
        /// Only those of a velocity rule
        #[arg(long, value_name = "RULE")]
        rule: Option<String>,
        /// Only those about somebody, such as a staff id
        #[arg(long, value_name = "SUBJECT")]
        subject: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show a case with the commands that were more
    #[command(after_help = "Example:\n  tessera case show --program copper-cup case_01jm7c")]
    Show {
        /// Which program, such as copper-cup
        #[arg(long, value_name = "PROGRAM")]
        program: String,
        /// As `case list` shows it
        id: String,
    },
    /// Close a case with what came of looking into it
    #[command(
        after_help = "Example:\n  tessera case close --program copper-cup case_01jm7c --verdict fine --note \"a party of twelve\""
    )]
    Close {
        /// Which program, such as copper-cup
        #[arg(long, value_name = "PROGRAM")]
        program: String,
        /// As `case list` shows it
        id: String,
        /// What came of it: abuse, fine or unsure
        #[arg(long, value_parser = verdict, value_name = "VERDICT")]
        verdict: Verdict,
        /// For colleagues; no names
        #[arg(long, value_name = "NOTE")]
        note: Option<String>,
    },
}

fn state(text: &str) -> Result<State, String> {
    State::parse(text).ok_or_else(|| format!("the states are {}", State::ALL.map(State::word).join(", ")))
}

fn verdict(text: &str) -> Result<Verdict, String> {
    Verdict::parse(text).ok_or_else(|| format!("the verdicts are {}", Verdict::ALL.map(Verdict::word).join(", ")))
}

fn unknown(program: &str, id: &str) -> Failure {
    Failure::refused(format!("`{program}` has no case {id}")).right("`tessera case list` shows the cases of a program")
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List { program, state, rule, subject, limit } => {
            let reader = context.reader()?;
            let handle = known(&reader, &program)?;
            let page = PageRequest { limit: limit.into(), after: None };
            let found = case::list(&reader, &handle, &Wish { state, rule, subject }, &page)?.items;
            if context.json {
                json(&found)?;
            } else if found.is_empty() {
                say!("no cases");
            } else {
                let rows = found.into_iter().map(|case| {
                    let CaseView { id, state, rule, subject, used, most, hits, opened_at, .. } = case;
                    let used = format!("{used} of {most}");
                    vec![id, state.word().to_owned(), rule, subject, used, hits.to_string(), moment(opened_at)]
                });
                say!("{}", table(&["id", "state", "rule", "subject", "used", "hits", "opened"], &[5], rows));
            }
        }
        Command::Show { program, id } => {
            let reader = context.reader()?;
            let handle = known(&reader, &program)?;
            let (found, commands) = case::show(&reader, &handle, &id)?.ok_or_else(|| unknown(&program, &id))?;
            if context.json {
                json(&serde_json::json!({ "case": found, "commands": commands }))?;
                return Ok(ExitCode::SUCCESS);
            }
            let CaseView { state, rule, what, per, subject, most, used, hits, from, until, .. } = &found;
            say!("{id}: {}", state.word());
            let what = what.words();
            say!(
                "{rule}: {what} by {per} {subject} came to {used}, {most} pass ({} to {})",
                moment(*from),
                moment(*until)
            );
            if let Some(verdict) = &found.verdict {
                say!(
                    "closed as {verdict} by {}: {}",
                    found.closed_by.as_deref().unwrap_or_default(),
                    found.note.as_deref().unwrap_or("no note")
                );
            }
            say!("{} more:", counted(hits.unsigned_abs(), "command was", "commands were"));
            let rows = commands.into_iter().map(|hit| {
                let came = hit.event_id.or(hit.refusal).unwrap_or_default();
                vec![moment(hit.at), came, hit.member.unwrap_or_default(), hit.staff.unwrap_or_default(), hit.key]
            });
            say!("{}", table(&["at", "event or refusal", "member", "staff", "key"], &[], rows));
        }
        Command::Close { program, id, verdict, note } => {
            let path = format!("/v1/programs/{program}/cases/{id}/close");
            let task = Task::over_api("case close", "POST", path, "with a key for cases:write");
            let engine = context.writer(&task)?;
            let handle = known(&engine.context, &program)?;
            let by = By { key: "command".to_owned(), name: "tessera case close".to_owned(), ..By::default() };
            let closed = case::close(&engine.context, engine.executor(), &handle, &id, (verdict, note), &by);
            engine.close();
            let closed = closed?;
            if context.json {
                json(&closed)?;
            } else {
                say!("closed {id} as {}", verdict.word());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
