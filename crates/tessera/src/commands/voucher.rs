use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand};
use serde_json::json;
use tessera_core::code::{LENGTH, normalise};
use tessera_core::program::Id;
use tessera_core::time::Day;
use tessera_engine::Engine;
use tessera_engine::query::{self, BatchView};
use tessera_engine::voucher::{
    Batch, BatchError, BatchKind, CHUNK, CODES_MAX, LINE_MAX, LineProblem, NewBatch, TOLD_MAX, cancel_batch,
    cancel_code, chunks, finish_import, import_chunk, make_chunk, open_batch,
};

use super::code_file::{CodeFile, CodeLines};
use super::task::Task;
use super::{Context, all_of, known};
use crate::output::{
    Failure, Progress, REFUSED, counted, grouped, json as print_json, moment, note, say, say_first, table,
};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make codes, a line each in a CSV file
    #[command(
        override_usage = "tessera voucher issue [OPTIONS] --program <PROGRAM> --voucher <NAME>\n         --count <COUNT> --key <KEY> --to <FILE>",
        after_help = "Examples:\n  tessera voucher issue --program copper-cup --voucher weekend --count 100000 --key autumn --to codes.csv\n  tessera voucher issue --program copper-cup --voucher bottle-cap --count 500000 --length 10 --key caps-1 --to caps.csv\n\nThe same key gives the same codes: a run that was stopped goes on when it is started again. Fewer than 16 characters are for vouchers that are claimed, and never so many codes that a guess hits one more often than once in a million."
    )]
    Issue(Issue),
    /// Make one code that many use
    #[command(
        override_usage = "tessera voucher share [OPTIONS] --program <PROGRAM> --voucher <NAME>\n         --code <CODE>",
        after_help = "Example:\n  tessera voucher share --program copper-cup --voucher weekend --code TET2026 --total 5000"
    )]
    Share(Share),
    /// Take in codes from elsewhere, a line each
    #[command(
        override_usage = "tessera voucher import [OPTIONS] --program <PROGRAM> --voucher <NAME>\n         --key <KEY> <FILE>",
        after_help = "Example:\n  tessera voucher import partner.txt --program copper-cup --voucher weekend --key partner-1\n\nDuplicates are told with their line. The same file under the same key may be imported again."
    )]
    Import(Import),
    /// Make a code, or all of a batch, void
    #[command(
        after_help = "Examples:\n  tessera voucher void --program copper-cup --code CDFG-2345-HJKM-67NP\n  tessera voucher void --program copper-cup --batch vb_0123456789abcdef"
    )]
    Void(Void),
    /// List the batches of a voucher
    #[command(after_help = "Example:\n  tessera voucher list --program copper-cup --voucher weekend")]
    List(List),
}

#[derive(Args, Debug)]
pub struct Of {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// Which voucher of its document
    #[arg(long, value_name = "NAME")]
    voucher: Id,
    /// What the batch is called, for people
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// The last day of every code, such as 2026-12-31 [default: as the document says]
    #[arg(long, value_name = "DAY")]
    expires_on: Option<Day>,
}

#[derive(Args, Debug)]
pub struct Issue {
    #[command(flatten)]
    of: Of,
    /// How many, at most 1,000,000
    #[arg(long)]
    count: u64,
    /// Characters of a code, the last of them its check
    #[arg(long, default_value_t = LENGTH)]
    length: usize,
    /// Your own word for this batch: the same again gives the same codes
    #[arg(long)]
    key: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args, Debug)]
pub struct Share {
    #[command(flatten)]
    of: Of,
    /// The code, as members type it
    #[arg(long)]
    code: String,
    /// How often it may be used in all [default: as often as members like]
    #[arg(long)]
    total: Option<u64>,
}

#[derive(Args, Debug)]
pub struct Import {
    /// A code a line
    file: PathBuf,
    #[command(flatten)]
    of: Of,
    /// Your own word for this file
    #[arg(long)]
    key: String,
}

#[derive(Args, Debug)]
pub struct Void {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    #[arg(long, required_unless_present = "batch", conflicts_with = "batch")]
    code: Option<String>,
    /// As `voucher list` shows it
    #[arg(long)]
    batch: Option<String>,
}

#[derive(Args, Debug)]
pub struct List {
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// Which voucher of its document
    #[arg(long, value_name = "NAME")]
    voucher: Id,
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Issue(arguments) => issue(context, &arguments),
        Command::Share(arguments) => share(context, arguments),
        Command::Import(arguments) => import(context, &arguments),
        Command::Void(arguments) => void(context, &arguments),
        Command::List(arguments) => list(context, &arguments),
    }
}

fn task(command: &'static str, program: &str, rest: &str) -> Task {
    Task::over_api(command, "POST", format!("/v1/programs/{program}/{rest}"), "with a key for redemptions:write")
}

fn opened(engine: &Engine, of: &Of, new: &NewBatch, key: &str) -> Result<Batch, Failure> {
    let program = known(&engine.context, &of.program)?;
    open_batch(&engine.context, engine.executor(), &program, (new, key)).map_err(refused)
}

fn refused(error: BatchError) -> Failure {
    match error {
        BatchError::Refused(refusal) => Failure::refused(refusal.detail),
        BatchError::Store(error) => Failure::refused(error),
    }
}

impl Of {
    fn batch(&self, kind: BatchKind) -> NewBatch {
        NewBatch {
            voucher: self.voucher.clone(),
            kind,
            name: self.name.clone(),
            count: 0,
            length: 0,
            expires_on: self.expires_on,
            code: None,
        }
    }
}

fn issue(context: &Context, arguments: &Issue) -> Result<ExitCode, Failure> {
    let path = format!("vouchers/{}/codes", arguments.of.voucher);
    let engine = context.writer(&task("voucher issue", &arguments.of.program, &path))?;
    let program = known(&engine.context, &arguments.of.program)?;
    let new = NewBatch { count: arguments.count, length: arguments.length, ..arguments.of.batch(BatchKind::Made) };
    let batch = opened(&engine, &arguments.of, &new, &arguments.key)?;
    let mut file = CodeFile::create(&arguments.to, "number,code")?;
    let started = Instant::now();
    let mut progress = Progress::new("codes", batch.codes);
    for numbers in chunks(batch.codes) {
        let (from, done) = (numbers.start, numbers.end - 1);
        let codes = make_chunk(&engine.context, engine.executor(), &program, (&batch, numbers)).map_err(refused)?;
        for (number, code) in (from..).zip(codes) {
            file.line(format_args!("{number},{code}"))?;
        }
        progress.at(done, done, started);
    }
    file.finish()?;
    progress.done();
    engine.close();
    if context.json {
        print_json(&json!({ "batch": BatchView::from(&batch), "file": arguments.to }))?;
    } else {
        let codes = counted(batch.codes, "code", "codes");
        say!("{codes} of {} in {} (batch {})", batch.voucher, arguments.to.display(), batch.key());
        note!("whoever has a code may use it: keep the file as you would keep money");
    }
    Ok(ExitCode::SUCCESS)
}

fn share(context: &Context, arguments: Share) -> Result<ExitCode, Failure> {
    let path = format!("vouchers/{}/codes", arguments.of.voucher);
    let engine = context.writer(&task("voucher share", &arguments.of.program, &path))?;
    let code = normalise(&arguments.code).map_err(Failure::usage)?;
    let new = NewBatch {
        count: arguments.total.unwrap_or(0),
        code: Some(code.clone()),
        ..arguments.of.batch(BatchKind::Shared)
    };
    // One code, one batch: it is its own key.
    let batch = opened(&engine, &arguments.of, &new, &format!("share {code}"))?;
    engine.close();
    if context.json {
        print_json(&json!({ "batch": BatchView::from(&batch), "code": code }))?;
    } else {
        let uses = arguments.total.map_or_else(|| "any number of uses".to_owned(), |most| counted(most, "use", "uses"));
        say!("{code} gives {}, {uses} in all (batch {})", batch.voucher, batch.key());
    }
    Ok(ExitCode::SUCCESS)
}

fn import(context: &Context, arguments: &Import) -> Result<ExitCode, Failure> {
    let path = format!("vouchers/{}/codes/import", arguments.of.voucher);
    let mut file = CodeLines::open(&arguments.file, LINE_MAX)?;
    let engine = context.writer(&task("voucher import", &arguments.of.program, &path))?;
    let program = known(&engine.context, &arguments.of.program)?;
    let batch = opened(&engine, &arguments.of, &arguments.of.batch(BatchKind::Imported), &arguments.key)?;
    let started = Instant::now();
    let mut progress = Progress::new("codes", 0);
    let (mut taken, mut wrong) = (0_u64, 0_u64);
    let mut told: Vec<LineProblem> = Vec::new();
    let mut waiting = Vec::new();
    let mut tell = |problems: Vec<LineProblem>| {
        wrong += problems.len() as u64;
        let room = TOLD_MAX.saturating_sub(told.len());
        told.extend(problems.into_iter().take(room));
    };
    let import = |waiting: &mut Vec<(u64, String)>| {
        let lines = std::mem::take(waiting);
        import_chunk(&engine.context, engine.executor(), &program, (&batch, lines)).map_err(refused)
    };
    while let Some(line) = file.next()? {
        if file.number > CODES_MAX {
            tell(import(&mut waiting)?);
            let wrong = format!("line {}: a file has at most {} lines", file.number, grouped(i128::from(CODES_MAX)));
            return Err(Failure::refused(wrong)
                .right("those before it are in: put the rest into a file of its own, under another key"));
        }
        // What is no text or too long is no code, and told as one that is none.
        let text = line.map(|line| String::from_utf8_lossy(&line).trim().to_owned());
        if text.as_ref().is_none_or(|text| !text.is_empty()) {
            taken += 1;
        }
        match text {
            Some(text) if text.is_empty() => {}
            Some(text) => waiting.push((file.number, text)),
            None => {
                let detail = format!("a line has at most {LINE_MAX} bytes");
                tell(vec![LineProblem { line: file.number, code: String::new(), detail }]);
            }
        }
        if waiting.len() as u64 == CHUNK {
            tell(import(&mut waiting)?);
            progress.at(0, taken, started);
        }
    }
    tell(import(&mut waiting)?);
    let line = file.number;
    finish_import(engine.executor(), &program, (&batch, line)).map_err(refused)?;
    progress.done();
    engine.close();
    let imported = taken - wrong;
    told.sort_by_key(|problem| problem.line);
    if context.json {
        print_json(&json!({ "batch": batch.key(), "lines": line, "imported": imported, "problems": told }))?;
    } else {
        say!("{} of {} (batch {})", counted(imported, "code", "codes"), grouped(i128::from(taken)), batch.key());
        say_first(&told, |found| format!("line {}: {}: {}", found.line, found.code, found.detail));
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn void(context: &Context, arguments: &Void) -> Result<ExitCode, Failure> {
    let (path, code) = match (&arguments.code, &arguments.batch) {
        (Some(code), _) => (format!("vouchers/{code}/void"), Some(normalise(code).map_err(Failure::usage)?)),
        (None, batch) => (format!("voucher-batches/{}/void", batch.as_deref().unwrap_or_default()), None),
    };
    let engine = context.writer(&task("voucher void", &arguments.program, &path))?;
    let program = known(&engine.context, &arguments.program)?;
    let told = match (code, arguments.batch.as_deref()) {
        (Some(code), _) => {
            cancel_code(&engine.context, engine.executor(), &program, &code).map_err(Failure::refused)?;
            json!({ "code": code, "cancelled": 1 })
        }
        (None, key) => {
            let key = key.unwrap_or_default();
            let batch = query::batch(&engine.context, &program, key)?.ok_or_else(|| {
                Failure::refused(format!("`{}` has no batch {key}", arguments.program))
                    .right("`tessera voucher list` shows the batches of a voucher")
            })?;
            let started = Instant::now();
            let mut progress = Progress::new("codes", batch.codes);
            let mut tell = |done| progress.at(done, done, started);
            let cancelled = cancel_batch(&engine.context, engine.executor(), &program, &batch, &mut tell)?;
            progress.done();
            json!({ "batch": key, "cancelled": cancelled })
        }
    };
    engine.close();
    if context.json {
        print_json(&told)?;
    } else {
        say!("made void: {}", counted(told["cancelled"].as_u64().unwrap_or(0), "code", "codes"));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(context: &Context, arguments: &List) -> Result<ExitCode, Failure> {
    let reader = context.reader()?;
    let program = known(&reader, &arguments.program)?;
    let batches = all_of(|page| query::batches(&reader, &program, (&arguments.voucher, page)))?;
    if context.json {
        print_json(&batches)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = batches.into_iter().map(|batch| {
        let state = if batch.cancelled { "void" } else { "good" };
        let expires = batch.expires_at.map_or_else(|| "never".to_owned(), moment);
        let kind = format!("{:?}", batch.kind).to_lowercase();
        vec![
            batch.id,
            batch.name,
            kind,
            grouped(i128::from(batch.codes)),
            moment(batch.created_at),
            expires,
            state.to_owned(),
        ]
    });
    say!("{}", table(&["id", "name", "kind", "codes", "made", "expires", "state"], &[3], rows));
    Ok(ExitCode::SUCCESS)
}
