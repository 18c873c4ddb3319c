use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use tessera_engine::transfer::{Import, Mapping, Progress, Report, default_member_mapping};

use super::Context;
use crate::output::{self, Failure, REFUSED, grouped, json};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Import purchases, returns and other events, a line an event or a line an item
    #[command(
        after_help = "Example:\n  tessera import events transactions.csv.gz --program grocer --mapping docs/examples/completejourney.toml\n\nLines that are not taken go to a rejects file: correct them there and import that file.\nAn import that was stopped goes on when it is started again: what was taken is not taken twice."
    )]
    Events(Arguments),
    /// Import members, a line each
    #[command(
        after_help = "Example:\n  tessera import members members.csv --program copper-cup\n\nWithout --mapping the columns phone, email, card or customer name the member; name, birthday, language and\njoined are read when they are there."
    )]
    Members(Arguments),
}

#[derive(Args, Debug)]
pub struct Arguments {
    /// CSV or NDJSON, .gz understood
    file: PathBuf,
    #[arg(long)]
    program: String,
    /// How columns become events
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Where lines go that are not taken [default: DIR/rejects/FILE.csv]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Stop at the first line that is not taken
    #[arg(long)]
    strict: bool,
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let (arguments, members) = match command {
        Command::Events(arguments) => (arguments, false),
        Command::Members(arguments) => (arguments, true),
    };
    let mapping = match (&arguments.mapping, members) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
            Mapping::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?
        }
        (None, true) => default_member_mapping(&arguments.file)?,
        (None, false) => {
            return Err(Failure::usage("--mapping is missing: it says which column is what")
                .right("docs/import.md shows how to write one"));
        }
    };
    let engine = context.engine()?;
    let program = engine.program(&arguments.program)?;
    let rejects = arguments.rejects.clone().unwrap_or_else(|| rejects_file(&context.settings.data, &arguments.file));
    let import =
        Import { engine: &engine, program, mapping, file: arguments.file.clone(), rejects, strict: arguments.strict };
    let progress = Arc::new(Progress::default());
    let stop = progress.clone();
    // A second handler is only refused when one is there, which this command made.
    let _ = ctrlc::set_handler(move || stop.stop.store(true, Ordering::Relaxed));
    let report = watched(&import, &progress)?;
    drop(import);
    engine.close();
    if context.json {
        json(&report)?
    } else {
        print(&report)
    }
    let clean = report.refused == report.meant && report.bad_lines == 0;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn rejects_file(data: &Path, file: &Path) -> PathBuf {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.trim_end_matches(".gz").trim_end_matches(".csv");
    data.join("rejects").join(format!("{name}.csv"))
}

/// Runs the import while another thread shows how far it is.
fn watched(import: &Import<'_>, progress: &Arc<Progress>) -> Result<Report, Failure> {
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
            eprintln!("the progress display failed; the import did not");
        }
        report.map_err(Failure::refused)
    })
}

fn print(report: &Report) {
    let rows = [
        ("lines", report.lines),
        ("events", report.events),
        ("applied", report.applied),
        ("duplicates", report.duplicates),
        ("parked", report.parked),
        ("refused", report.refused),
        ("guests", report.guests),
    ];
    for (name, count) in rows {
        println!("{name:<12}{:>14}", grouped(count));
    }
    if report.bad_lines > 0 {
        println!("{:<12}{:>14}", "unreadable", grouped(report.bad_lines));
    }
    println!("{:<12}{:>14}  in {:.1} s", "per second", grouped(report.per_second), report.seconds);
    for (reason, count) in &report.reasons {
        println!("  {:>8}  {reason}", grouped(*count));
    }
    for example in &report.examples {
        eprintln!("{example}");
    }
    if let Some(rejects) = &report.rejects {
        eprintln!("lines that were not taken are in {}: correct them and import that file", rejects.display());
    }
    if report.stopped {
        eprintln!("stopped; start the same import again to go on");
    }
}
