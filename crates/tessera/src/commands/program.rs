use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use tessera_core::program::{self, Problem};
use tessera_engine::programs::{self, ProgramError, Publication};

use super::task::Task;
use super::{Context, known};
use crate::output::{self, Failure, RED, REFUSED, YELLOW, json, moment, note, paint, say, table, unreadable};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print the JSON Schema of program documents
    #[command(after_help = "Example:\n  tessera program schema > program.schema.json")]
    Schema,
    /// Check a document and list every mistake with its line
    #[command(
        after_help = "Example:\n  tessera program validate programs/coffee.yaml\n\nNo installation is needed. Exit code 1 when there is a mistake; a warning is none."
    )]
    Validate {
        /// The document, YAML or JSON
        file: PathBuf,
    },
    /// Say what publishing a document would change
    #[command(after_help = "Example:\n  tessera program plan programs/coffee.yaml")]
    Plan {
        /// The document, YAML or JSON
        file: PathBuf,
    },
    /// Publish a document as the next version
    #[command(
        after_help = "Examples:\n  tessera program apply programs/coffee.yaml --note \"double Tuesday\"\n  tessera program apply programs/coffee.yaml --base 3\n\nThe data folder is made where there is none. `program plan` says before what would change, `program rollback` takes it back."
    )]
    Apply {
        /// The document, YAML or JSON
        file: PathBuf,
        /// Why, for the history
        #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
        note: String,
        /// Publish only if this is still the newest version
        #[arg(long, value_name = "VERSION")]
        base: Option<u32>,
    },
    /// List the versions of a program
    #[command(after_help = "Example:\n  tessera program history copper-cup")]
    History {
        /// Which program, such as copper-cup
        #[arg(value_name = "PROGRAM")]
        program: String,
    },
    /// Print a document as it was published
    #[command(
        after_help = "Examples:\n  tessera program show copper-cup\n  tessera program show copper-cup --version 2 > before.yaml"
    )]
    Show {
        /// Which program, such as copper-cup
        #[arg(value_name = "PROGRAM")]
        program: String,
        /// The newest when left out
        #[arg(long = "version", value_name = "VERSION")]
        number: Option<u32>,
    },
    /// Publish an earlier version again, as a new one
    #[command(after_help = "Example:\n  tessera program rollback copper-cup --to 2")]
    Rollback {
        /// Which program, such as copper-cup
        #[arg(value_name = "PROGRAM")]
        program: String,
        /// The version whose document counts again
        #[arg(long, value_name = "VERSION")]
        to: u32,
    },
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Schema => {
            json(&program::json_schema())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Validate { file } => validate(context, &file),
        Command::Plan { file } => plan(context, &file),
        Command::Apply { file, note, base } => {
            let text = read(&file)?;
            let task = publishing(context, &file, &text)?;
            apply(
                context,
                &task,
                &file,
                Publication { text, expected_head: base, note, by: user(), ..Publication::default() },
            )
        }
        Command::History { program } => history(context, &program),
        Command::Show { program, number } => {
            let reader = context.reader()?;
            let handle = known(&reader, &program)?;
            let (version, text) = programs::document_text(&reader.database, &handle, number)?;
            if context.json {
                let document = program::read_document(&text).map_err(ProgramError::Invalid)?;
                let document = document.tree.to_json();
                json(&serde_json::json!({ "program": handle.key, "version": version, "document": document }))?;
            } else {
                output::put(format_args!("{text}"));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Rollback { program, to } => {
            let reader = context.reader()?;
            let handle = known(&reader, &program)?;
            let (_, text) = programs::document_text(&reader.database, &handle, Some(to))?;
            let with = format!(
                "with what `tessera program show {program} --version {to}` prints, If-Match: \"{}\" and a key for document:write",
                handle.versions().head().version
            );
            let path = format!("/v1/programs/{program}/document");
            let task = Task::over_api("program rollback", "PUT", path, with);
            let publication = Publication {
                text,
                expected_key: Some(program),
                note: format!("rolled back to version {to}"),
                by: user(),
                ..Publication::default()
            };
            apply(context, &task, &PathBuf::from(format!("version {to}")), publication)
        }
    }
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

/// Publishing, as a server that runs on the folder is asked for it. A document with mistakes gets no further than this.
fn publishing(context: &Context, file: &Path, text: &str) -> Result<Task, Failure> {
    let document = program::read_document(text)
        .map_err(|findings| failed(&file.display().to_string(), &ProgramError::Invalid(findings)))?;
    let program = document.definition.program;
    let there = context.is_there().then(|| context.reader()).transpose().unwrap_or_default();
    let head = there.and_then(|reader| reader.programs.get(&reader.database, program.as_str()).ok());
    Ok(match head {
        Some(known) => {
            let head = known.versions().head().version;
            let with = format!("with the document, If-Match: \"{head}\" and a key for document:write");
            Task::over_api("program apply", "PUT", format!("/v1/programs/{program}/document"), with)
        }
        None => Task::of_command("program apply", "the first version of a program is published by this command alone"),
    })
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "cli".to_owned())
}

fn validate(context: &Context, file: &Path) -> Result<ExitCode, Failure> {
    let (findings, valid) = match program::read_document(&read(file)?) {
        Ok(document) => (document.findings, true),
        Err(findings) => (findings, false),
    };
    if context.json {
        json(&serde_json::json!({ "valid": valid, "findings": findings }))?;
    } else {
        print_findings(&file.display().to_string(), &findings);
        if valid {
            say!("{}: valid", file.display());
        }
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

pub(super) fn print_findings(file: &str, findings: &[Problem]) {
    for finding in findings {
        let (kind, colour) = if finding.is_error() { ("error", RED) } else { ("warning", YELLOW) };
        let kind = paint(std::io::stderr().is_terminal(), colour, kind);
        note!("{file}:{}: {kind}: {}", finding.at, words(finding));
    }
}

fn words(finding: &Problem) -> String {
    let place = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    match &finding.suggestion {
        Some(suggestion) => format!("{place}{}\n    {suggestion}", finding.message),
        None => format!("{place}{}", finding.message),
    }
}

/// A mistake in a document, said with its lines; anything else as it is.
fn failed(file: &str, error: &ProgramError) -> Failure {
    if let ProgramError::Invalid(findings) = error {
        print_findings(file, findings);
    }
    Failure::refused(error)
}

fn plan(context: &Context, file: &Path) -> Result<ExitCode, Failure> {
    let text = read(file)?;
    let failed = |error| failed(&file.display().to_string(), &error);
    let (document, plan) = if context.is_there() {
        programs::plan(&context.reader()?.database, &text).map_err(failed)?
    } else {
        // Where there is no installation yet, every program is new.
        let document = program::read_document(&text).map_err(|findings| failed(ProgramError::Invalid(findings)))?;
        let findings = document.findings.clone();
        (document, programs::Plan { base: 0, differences: Vec::new(), findings })
    };
    if context.json {
        json(
            &serde_json::json!({ "program": document.definition.program, "base": plan.base, "differences": plan.differences, "findings": plan.findings }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    print_findings(&file.display().to_string(), &plan.findings);
    let program = &document.definition.program;
    match (plan.base, plan.differences.as_slice()) {
        (0, _) => say!("`{program}` is new: this would be version 1"),
        (base, []) => say!("`{program}` version {base} says the same: nothing would change"),
        (base, differences) => {
            say!("`{program}` version {base} → {}:", base + 1);
            for difference in differences {
                say!("  {}", difference.words);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn apply(context: &Context, task: &Task, file: &Path, publication: Publication) -> Result<ExitCode, Failure> {
    let engine = context.engine(task)?;
    let file = file.display().to_string();
    let published = engine.publish(publication);
    let (handle, version, changed) = published.map_err(|error| match &error {
        tessera_engine::EngineError::Program(error) => failed(&file, error),
        other => Failure::refused(other),
    })?;
    if context.json {
        json(&serde_json::json!({ "program": handle.key, "version": version, "changed": changed }))?;
    } else if changed {
        say!("published `{}` version {version}", handle.key);
    } else {
        say!("`{}` version {version} says the same already: nothing changed", handle.key);
    }
    engine.close();
    Ok(ExitCode::SUCCESS)
}

fn history(context: &Context, program: &str) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    let handle = known(&reader, program)?;
    let versions = programs::history(&reader.database, handle.number)?;
    if context.json {
        json(&versions)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = versions.into_iter().map(|info| {
        let since = info.valid_from.map_or_else(|| "the beginning".to_owned(), moment);
        vec![info.version.to_string(), since, info.created_by, info.note]
    });
    say!("{}", table(&["version", "in force since", "by", "note"], &[0], rows));
    Ok(ExitCode::SUCCESS)
}
