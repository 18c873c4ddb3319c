//! Moving in from another system: several files through the one door, then held against the ledger.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use serde_json::json;
use tessera_engine::executor::Context as EngineContext;
use tessera_engine::programs::ProgramHandle;
use tessera_engine::transfer::{
    Import, Moving, Part, Parts, Progress, ReconcileError, Reconciliation, Report, read_expected, reconcile,
};

use super::import::{Arguments, print, rejects_file, stop_on_signal, task, tell_error, watched};
use super::{Context, known};
use crate::output::{self, Failure, REFUSED, grouped, note, say, table, unreadable};

#[derive(Args, Debug)]
pub struct ReportArguments {
    /// The members, as they were imported
    members: PathBuf,
    /// Their lots
    #[arg(long, value_name = "FILE")]
    lots: Option<PathBuf>,
    /// Their vouchers
    #[arg(long, value_name = "FILE")]
    vouchers: Option<PathBuf>,
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    program: String,
    /// The mapping they were imported with
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// Totals that should be there: a CSV file with the columns figure and expected
    #[arg(long, value_name = "TOTALS.csv")]
    expected: Option<PathBuf>,
}

pub fn read(file: &Path, text: &str) -> Result<Moving, Failure> {
    Moving::parse(text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

/// `import members` with a mapping of several files.
pub fn run(
    context: &Context,
    arguments: &Arguments,
    moving: &Moving,
    parts: &Parts,
    reconciled: Option<Option<&Path>>,
) -> Result<ExitCode, Failure> {
    // Before the first line of any file is taken, all of them must be there and be understood.
    for (part, file) in parts.each() {
        let kind = std::fs::metadata(file).map_err(|error| unreadable(file, &error))?;
        if !kind.is_file() {
            let what = format!("{}: it is read twice, which a pipe or folder is not", file.display());
            return Err(Failure::usage(what).right("write it to a file"));
        }
        moving.mapping(part).map_err(Failure::usage)?;
    }
    let totals = reconciled.map(|file| file.map_or(Ok(Vec::new()), totals)).transpose()?;
    let engine = context.writer(&task(&arguments.program, true))?;
    let program = known(&engine.context, &arguments.program)?;
    let progress = Arc::new(Progress::default());
    stop_on_signal(&progress);
    let mut reports: Vec<(Part, Report)> = Vec::new();
    for (part, file) in parts.each() {
        let mapping = moving.mapping(part).map_err(Failure::usage)?;
        let rejects = match (&arguments.rejects, part) {
            (Some(rejects), Part::Members) => rejects.clone(),
            _ => rejects_file(&context.settings.data, file, &mapping),
        };
        for counter in [&progress.lines, &progress.events, &progress.bytes] {
            counter.store(0, Ordering::Relaxed);
        }
        let (program, strict) = (program.clone(), arguments.strict);
        let import = Import { engine: &engine, program, mapping, file: file.to_owned(), rejects, strict };
        let report = watched(&import, &progress)?;
        if !context.json {
            say!("{}", part.word());
            print(&report);
            say!("");
        }
        tell_error(&report, arguments.strict);
        let ended = report.stopped || report.error.is_some();
        reports.push((part, report));
        if ended {
            break;
        }
    }
    let whole = reports.iter().all(|(_, report)| !report.stopped && report.error.is_none());
    let found = match totals {
        Some(totals) if whole => Some(held(&engine.context, &program, moving, parts, &totals)?),
        _ => None,
    };
    engine.close();
    if context.json {
        let by_part: serde_json::Map<String, serde_json::Value> =
            reports.iter().map(|(part, report)| (part.word().to_owned(), json!(report))).collect();
        output::json(&json!({ "imported": by_part, "reconciliation": found }))?;
    } else if let Some(found) = &found {
        tell(found);
    }
    let clean = whole
        && reports.iter().all(|(_, report)| report.refused == 0 && report.bad_lines == 0)
        && found.is_none_or(|found| found.equal);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// `report moving-in`.
pub fn report(
    context: &Context,
    reader: &Arc<EngineContext>,
    arguments: &ReportArguments,
) -> Result<ExitCode, Failure> {
    let text = std::fs::read_to_string(&arguments.mapping).map_err(|error| unreadable(&arguments.mapping, &error))?;
    let moving = read(&arguments.mapping, &text)?;
    let parts = Parts {
        members: Some(arguments.members.clone()),
        lots: arguments.lots.clone(),
        vouchers: arguments.vouchers.clone(),
    };
    let totals = arguments.expected.as_deref().map(totals).transpose()?.unwrap_or_default();
    let program = known(reader, &arguments.program)?;
    let found = held(reader, &program, &moving, &parts, &totals)?;
    if context.json {
        output::json(&found)?
    } else {
        tell(&found)
    }
    Ok(if found.equal { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn totals(file: &Path) -> Result<Vec<(String, i128)>, Failure> {
    read_expected(file).map_err(|problem| Failure::usage(format!("{}: {problem}", file.display())))
}

fn held(
    context: &EngineContext,
    program: &Arc<ProgramHandle>,
    moving: &Moving,
    parts: &Parts,
    totals: &[(String, i128)],
) -> Result<Reconciliation, Failure> {
    reconcile(context, program, moving, parts, totals).map_err(|error| match error {
        ReconcileError::File { .. } | ReconcileError::Mapping(_) => Failure::usage(error),
        ReconcileError::Store(error) => Failure::refused(error),
    })
}

/// Differences that are shown one by one; `--json` has them all.
const SHOWN: usize = 200;

fn tell(found: &Reconciliation) {
    let count = |name: String, in_files: i128, taken: i128, rejected: i128, now: i128| {
        vec![name, grouped(in_files), grouped(taken), grouped(rejected), grouped(now)]
    };
    let mut rows = Vec::new();
    let members = found.members;
    let whole = |number: u64| i128::from(number);
    rows.push(count(
        "members".to_owned(),
        whole(members.in_files),
        whole(members.taken),
        whole(members.in_files - members.taken),
        whole(members.now),
    ));
    for (currency, figures) in &found.currencies {
        let (files, taken, rejected, ledger) = (figures.in_files, figures.taken, figures.rejected, figures.in_ledger);
        let lines = [files.lines, taken.lines, rejected.lines, ledger.lines].map(whole);
        rows.push(count(format!("{currency}, lots"), lines[0], lines[1], lines[2], lines[3]));
        rows.push(count(format!("{currency}, points"), files.points, taken.points, rejected.points, ledger.points));
        for (remark, sum) in &figures.remarks {
            let mut row = vec![format!("{currency}, points, of them {remark}"), grouped(sum.points)];
            row.resize(5, String::new());
            rows.push(row);
        }
    }
    for (kind, counts) in [("level", &found.levels), ("voucher", &found.vouchers)] {
        for (name, figures) in counts {
            let rejected = figures.in_files.saturating_sub(figures.taken);
            let [files, taken, rejected, now] = [figures.in_files, figures.taken, rejected, figures.now].map(whole);
            rows.push(count(format!("{kind} {name}"), files, taken, rejected, now));
        }
    }
    say!("{}", table(&["", "in the files", "taken", "not taken", "here now"], &[1, 2, 3, 4], rows));
    if !found.rejected.is_empty() {
        let rows =
            found.rejected.iter().map(|(reason, sum)| vec![reason.clone(), grouped(sum.lines), grouped(sum.points)]);
        say!("\n{}", table(&["not taken because", "lines", "points"], &[1, 2], rows));
    }
    if found.equal {
        say!("\neverything adds up");
        return;
    }
    let rows = found.differences.iter().take(SHOWN).map(|difference| {
        let place = match (&difference.file, difference.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (None, Some(line)) => format!("line {line}"),
            _ => String::new(),
        };
        vec![place, difference.member.clone().unwrap_or_default(), difference.what.clone(), difference.detail.clone()]
    });
    say!("\n{}", table(&["where", "member", "what", "why"], &[], rows));
    if found.differences.len() > SHOWN {
        note!("… and {} more: --json has them all", grouped((found.differences.len() - SHOWN) as u64));
    }
}
