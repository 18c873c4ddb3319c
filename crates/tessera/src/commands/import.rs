use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use tessera_engine::transfer::{
    Format, Import, ImportError, Mapping, Moving, Parts, Progress, Report, default_member_mapping,
};

use super::moving;
use super::task::Task;
use super::{Context, known};
use crate::output::{self, Failure, REFUSED, grouped, json, note, say, unreadable};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Import purchases, returns and other events, a line an event or a line an item
    #[command(
        after_help = "Examples:\n  tessera import events sales.csv.gz --program copper-cup --mapping till.toml\n  tessera import events day.csv --program shop --mapping till.toml --strict\n\ndocs/import.md shows how to write a mapping; docs/examples has two.\n\nLines that are not taken go to a rejects file: correct them there and import that file. An import that was stopped goes on when it is started again: what was taken is not taken twice."
    )]
    Events(Arguments),
    /// Import members, or move them in from another system
    #[command(
        after_help = "Examples:\n  tessera import members members.csv --program copper-cup\n  tessera import members members.csv --lots lots.csv --vouchers vouchers.csv --program copper-cup --mapping moving.toml --reconcile\n  tessera import members members.csv --lots lots.csv --program copper-cup --mapping moving.toml --reconcile totals.csv\n\ndocs/moving-in.md tells how to move in from another system; its mapping has [members], [lots] and [vouchers].\n\nWithout --mapping the first of the columns phone, email, card, member, customer, household and identifier names the member; name, birthday, language, joined, phone and email are read where they are there."
    )]
    Members(MemberArguments),
    /// Import a whole installation, as `tessera export --all` wrote it
    #[command(
        after_help = "Examples:\n  tessera import all everything.gz --data new\n  tessera import all everything.gz --database-url postgres://localhost/tessera\n\nThe installation must be empty, and the master.key the same: put it into the data folder before. It is one transaction: a file that is damaged, or an import that is stopped, leaves nothing."
    )]
    All(super::export::ImportArguments),
}

#[derive(Args, Debug)]
pub struct Arguments {
    /// CSV or NDJSON, gzipped or not
    pub(super) file: PathBuf,
    /// Which program, such as copper-cup
    #[arg(long, value_name = "PROGRAM")]
    pub(super) program: String,
    /// Which column is what
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Where lines go that are not taken [default: DIR/rejects/FILE.csv]
    #[arg(long, value_name = "FILE")]
    pub(super) rejects: Option<PathBuf>,
    /// Stop at the first line that is not taken
    #[arg(long)]
    pub(super) strict: bool,
}

#[derive(Args, Debug)]
pub struct MemberArguments {
    #[command(flatten)]
    arguments: Arguments,
    /// Their lots of points, to move in with them
    #[arg(long, value_name = "FILE", requires = "mapping")]
    lots: Option<PathBuf>,
    /// Their vouchers, to move in with them
    #[arg(long, value_name = "FILE", requires = "mapping")]
    vouchers: Option<PathBuf>,
    /// Hold the files against the ledger afterwards, and against the totals of a file where one is given
    #[arg(long, value_name = "TOTALS.csv", requires = "mapping")]
    reconcile: Option<Option<PathBuf>>,
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let (arguments, members) = match command {
        Command::Events(arguments) => (arguments, false),
        Command::Members(members) => {
            let MemberArguments { arguments, lots, vouchers, reconcile } = members;
            let text = arguments.mapping.as_ref().map(|file| (file, std::fs::read_to_string(file)));
            if let Some((file, text)) = text {
                let text = text.map_err(|error| unreadable(file, &error))?;
                if Moving::is_meant(&text) {
                    let moving = moving::read(file, &text)?;
                    let parts = Parts { members: Some(arguments.file.clone()), lots, vouchers };
                    return moving::run(context, &arguments, &moving, &parts, reconcile.as_ref().map(Option::as_deref));
                }
                if lots.is_some() || vouchers.is_some() || reconcile.is_some() {
                    let what = format!("{}: it has no [members], [lots] or [vouchers]", file.display());
                    return Err(Failure::usage(what).right("docs/moving-in.md shows how to write such a mapping"));
                }
            }
            (arguments, true)
        }
        Command::All(arguments) => return super::export::import(context, &arguments),
    };
    // Not opened: what is written into a pipe is for the import alone.
    let kind = std::fs::metadata(&arguments.file).map_err(|error| unreadable(&arguments.file, &error))?;
    if kind.is_dir() {
        return Err(unreadable(&arguments.file, &std::io::ErrorKind::IsADirectory.into()));
    }
    let mapping = match (&arguments.mapping, members) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
            Mapping::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?
        }
        (None, true) if !kind.is_file() => {
            return Err(Failure::usage(
                "--mapping is missing: without it a file is looked at twice, which a pipe is not",
            )
            .right("write the pipe's content to a file, or a mapping as docs/import.md shows"));
        }
        (None, true) => default_member_mapping(&arguments.file).map_err(failed)?,
        (None, false) => {
            return Err(Failure::usage("--mapping is missing: it says which column is what")
                .right("docs/import.md shows how to write one"));
        }
    };
    let engine = context.writer(&task(&arguments.program, members))?;
    let program = known(&engine.context, &arguments.program)?;
    let rejects =
        arguments.rejects.clone().unwrap_or_else(|| rejects_file(&context.settings.data, &arguments.file, &mapping));
    let import =
        Import { engine: &engine, program, mapping, file: arguments.file.clone(), rejects, strict: arguments.strict };
    let progress = Arc::new(Progress::default());
    stop_on_signal(&progress);
    let report = watched(&import, &progress)?;
    drop(import);
    engine.close();
    if context.json {
        json(&report)?
    } else {
        print(&report)
    }
    tell_error(&report, arguments.strict);
    let clean = report.refused == report.meant && report.bad_lines == 0 && !report.stopped && report.error.is_none();
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// The first signal lets what is under way be written, the second ends at once.
pub(super) fn stop_on_signal(progress: &Arc<Progress>) {
    let stop = progress.clone();
    // Only refused when there is a handler, and this is the first.
    let _ = ctrlc::set_handler(move || {
        if stop.stop.swap(true, Ordering::Relaxed) {
            // As after a crash, what was accepted is written, and the same import goes on.
            std::process::exit(REFUSED.into());
        }
        note!("stopping: what is under way is written; a second Ctrl-C ends at once");
    });
}

pub(super) fn tell_error(report: &Report, strict: bool) {
    if let Some(error) = &report.error {
        let right = if strict {
            "correct it and import the file again: nothing is taken twice"
        } else {
            "what stood before is taken: import the whole file again, and nothing is taken twice"
        };
        output::failure(&Failure::refused(error).right(right));
    }
}

pub(super) fn task(program: &str, members: bool) -> Task {
    if members {
        let path = format!("/v1/programs/{program}/members");
        Task::over_api("import members", "POST", path, "a member at a time, with a key for members:write")
    } else {
        let path = format!("/v1/programs/{program}/events");
        let with = "with a key for events:write; it takes single events, batches and NDJSON of CloudEvents";
        Task::over_api("import events", "POST", path, with)
    }
}

/// A file that cannot be read, or a mapping that does not fit it, is wrong use; nothing was taken yet.
pub(super) fn failed(error: ImportError) -> Failure {
    match error {
        ImportError::File { .. } | ImportError::Mapping { .. } | ImportError::RejectsAreTheFile(_) => {
            Failure::usage(error)
        }
        other => Failure::refused(other),
    }
}

/// `DIR/rejects/<file>.csv`; where that is the file itself, or one of its kind, the next number.
pub(super) fn rejects_file(data: &Path, file: &Path, mapping: &Mapping) -> PathBuf {
    let folder = data.join("rejects");
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let name = [".csv", ".ndjson", ".jsonl"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    // A bare name lies in the folder this runs in.
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_reject =
        folder.canonicalize().is_ok_and(|folder| parent.canonicalize().is_ok_and(|parent| parent == folder));
    let numbered = name.rsplit_once('-').and_then(|(name, number)| Some((name, number.parse::<u32>().ok()?)));
    let name = match numbered {
        _ if !is_reject => name.to_owned(),
        Some((name, number)) => format!("{name}-{}", number + 1),
        None => format!("{name}-2"),
    };
    folder.join(format!("{name}.{}", if mapping.format_of(file) == Format::Ndjson { "ndjson" } else { "csv" }))
}

/// Runs the import while another thread shows how far it is.
pub(super) fn watched(import: &Import<'_>, progress: &Arc<Progress>) -> Result<Report, Failure> {
    let length = std::fs::metadata(&import.file).map_or(0, |metadata| metadata.len());
    let (finished, watch) = crossbeam_channel::bounded::<()>(0);
    let watched = progress.clone();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(move || {
            let started = Instant::now();
            let mut shown = output::Progress::new("events", length);
            while let Err(crossbeam_channel::RecvTimeoutError::Timeout) = watch.recv_timeout(Duration::from_millis(200))
            {
                shown.at(watched.bytes.load(Ordering::Relaxed), watched.events.load(Ordering::Relaxed), started);
            }
            shown.done();
        });
        let report = import.run(progress);
        drop(finished);
        if watcher.join().is_err() {
            note!("the progress display failed; the import did not");
        }
        report.map_err(failed)
    })
}

pub(super) fn print(report: &Report) {
    let rows = [
        ("lines", report.lines),
        ("events", report.events),
        ("  applied", report.applied),
        ("  duplicates", report.duplicates),
        ("  parked", report.parked),
        ("  refused", report.refused),
        ("guests", report.guests),
    ];
    for (name, count) in rows {
        say!("{name:<26}{:>14}", grouped(count));
    }
    if report.bad_lines > 0 {
        say!("{:<26}{:>14}", "unreadable lines", grouped(report.bad_lines));
    }
    say!("{:<26}{:>14}  in {:.1} s", "per second", grouped(report.per_second), report.seconds);
    if !report.reasons.is_empty() {
        say!("\nnot taken because");
    }
    for (reason, count) in &report.reasons {
        say!("  {reason:<24}{:>14}", grouped(*count));
    }
    for example in &report.examples {
        note!("{example}");
    }
    let told = report.examples.len() as u64;
    let all = report.reasons.iter().map(|(_, count)| count).sum::<u64>() - report.meant;
    if all > told && told > 0 {
        note!("… and {} more", grouped(all - told));
    }
    if let Some(rejects) = &report.rejects {
        note!("lines that were not taken are in {}: correct them and import that file", rejects.display());
    }
    if report.stopped {
        note!("stopped; start the same import again to go on");
    }
}
