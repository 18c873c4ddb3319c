use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::Context;
use crate::bench::{Cpu, Load, Place, http, import, memory, quote, retail};
use crate::output::{Failure, REFUSED, grouped, json, note, say, table};

const HELP: &str = "Everything runs in this process on an installation of its own, which is removed afterwards: in the folder for \
    temporary files, in that of --data, or in the empty database of --database-url. Commits reach the disk, so the folder \
    should lie on one, not in memory. The clients use the same processors as the server; `cpu` is the time of all of them \
    for each event, as Linux tells it, and empty elsewhere.";

const MEMORY_HELP: &str = "Members are made in this process, on an installation of its own that is removed afterwards, as the other \
    benches' is: in the folder for temporary files, in that of --data, or in the empty database of --database-url (which \
    keeps them). Then `tessera serve` is started on it, answers some quotes, balances and purchases, is left alone and \
    looked at: Linux tells what a process has, other systems do not. The memory of PostgreSQL is not in it.";

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Purchases over HTTP, each client sending the next as soon as the last is answered
    #[command(after_help = format!("Example:\n  tessera bench http --clients 64 --seconds 10\n\n{HELP}"))]
    Http {
        /// How many clients send at the same time
        #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4096))]
        clients: u32,
        #[command(flatten)]
        run: Run,
        /// Purchases in one request
        #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
        batch_size: u16,
    },
    /// A file of purchases, three lines each, and the bare writing of the same rows
    #[command(after_help = format!("Example:\n  tessera bench import --events 200000\n\n{HELP}"))]
    Import {
        /// How many purchases the file has
        #[arg(long, default_value_t = 200_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        events: u32,
        /// The same seed makes the same file
        #[arg(long, default_value_t = 1, value_name = "NUMBER")]
        seed: u64,
    },
    /// How much memory a server has that knows many members and little to do
    #[command(after_help = format!("Example:\n  tessera bench memory --members 1000000\n\n{MEMORY_HELP}"))]
    Memory {
        /// How many members it knows
        #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        members: u32,
        /// How long it is left alone before it is looked at
        #[arg(long, default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(0..=3600))]
        seconds: u64,
        /// The same seed makes the same requests
        #[arg(long, default_value_t = 1, value_name = "NUMBER")]
        seed: u64,
    },
    /// Quotes of five lines under many campaigns, each an offer for one article
    #[command(after_help = format!("Example:\n  tessera bench quote --campaigns 1000 --clients 1 --seconds 10\n\n{HELP}"))]
    Quote {
        /// How many campaigns are active: earning on everything, and the rest offers
        #[arg(long, default_value_t = 1000, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(2..=1000))]
        campaigns: u16,
        /// How many clients ask at the same time
        #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4096))]
        clients: u32,
        #[command(flatten)]
        run: Run,
    },
    /// The retail moment: four quotes, a balance and the purchase, one after the other
    #[command(after_help = format!("Example:\n  tessera bench retail --clients 256 --seconds 10\n\n{HELP}"))]
    Retail {
        /// How many tills sell at the same time
        #[arg(long, default_value_t = 256, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4096))]
        clients: u32,
        #[command(flatten)]
        run: Run,
    },
}

#[derive(Args, Debug, Clone, Copy)]
pub struct Run {
    /// How long is measured
    #[arg(long, default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds before that, which do not count
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(0..=600))]
    warm_up: u64,
    /// How many members buy
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    members: u32,
    /// The same seed makes the same baskets
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
}

impl Run {
    fn load(self, clients: u32) -> Load {
        let (warm_up, measured) = (Duration::from_secs(self.warm_up), Duration::from_secs(self.seconds));
        Load { clients, warm_up, measured, members: self.members, seed: self.seed }
    }
}

pub fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    crate::telemetry::Telemetry::log("warn");
    let within: PathBuf = if context.data_given { context.settings.data.clone() } else { std::env::temp_dir() };
    let place = Place { within, database_url: context.settings.database_url.clone() };
    let (refused, example) = match command {
        Command::Http { clients, run, batch_size } => {
            let figures = http::run(&place, run.load(clients), batch_size)?;
            if context.json {
                json(&figures)?
            } else {
                print_http(&figures)
            }
            (figures.refused, figures.example)
        }
        Command::Import { events, seed } => {
            let figures = import::run(&place, events, seed)?;
            if context.json {
                json(&figures)?
            } else {
                print_import(&figures)
            }
            (figures.refused, figures.example)
        }
        Command::Memory { members, seconds, seed } => {
            let wanted = memory::Wanted { members, rest: Duration::from_secs(seconds), seed };
            let figures = memory::run(&place, wanted)?;
            if context.json {
                json(&figures)?
            } else {
                print_memory(&figures)
            }
            (figures.refused, figures.example)
        }
        Command::Quote { campaigns, clients, run } => {
            let figures = quote::run(&place, run.load(clients), campaigns)?;
            if context.json {
                json(&figures)?
            } else {
                print_quote(&figures)
            }
            (figures.refused, figures.example)
        }
        Command::Retail { clients, run } => {
            let figures = retail::run(&place, run.load(clients))?;
            if context.json {
                json(&figures)?
            } else {
                print_retail(&figures)
            }
            (figures.refused, figures.example)
        }
    };
    if refused == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    note!("{} were refused, so the figures say little; the first: {}", grouped(refused), example.unwrap_or_default());
    Ok(ExitCode::from(REFUSED))
}

fn line(name: &str, value: impl std::fmt::Display, unit: &str) {
    say!("{name:<12}{:>12}  {unit}", value.to_string());
}

fn cpu(cpu: &Cpu, each: &str) {
    let Some(all) = cpu.cpu_us_per_event else { return };
    let parts: Vec<String> = cpu.cpu_us_by_thread.iter().map(|(does, time)| format!("{does} {time:.1}")).collect();
    line("cpu", format!("{all:.1}"), &format!("µs {each} ({})", parts.join(", ")));
    if let Some(load) = cpu.other_load {
        line("other load", format!("{load:.2}"), "processors busy with something else");
    }
}

fn print_http(figures: &http::Figures) {
    let each = if figures.batch_size == 1 { String::new() } else { format!(", {} in a request", figures.batch_size) };
    say!(
        "purchases over HTTP: {} clients, {} members{each}, {:.1} s\n",
        figures.clients,
        grouped(figures.members),
        figures.seconds
    );
    line("rate", grouped(figures.per_second), "purchases/s");
    line("p50", format!("{:.2}", figures.latency.p50_ms), "ms");
    line("p99", format!("{:.2}", figures.latency.p99_ms), "ms");
    cpu(&figures.cpu, "a purchase");
    line("events", grouped(figures.events), "");
}

fn print_import(figures: &import::Figures) {
    say!("import: {} lines, {} members, {:.1} s\n", grouped(figures.lines), grouped(figures.members), figures.seconds);
    line("rate", grouped(figures.per_second), "purchases/s");
    cpu(&figures.cpu, "a purchase");
    let rows = format!("purchases/s, the bare writing of the same {:.1} rows each", figures.floor.rows_per_event);
    line("floor", grouped(figures.floor.per_second), &rows);
    cpu(&figures.floor.cpu, "a purchase on the floor");
    line("ratio", format!("{:.2}", figures.ratio), "of the floor's speed");
    line("events", grouped(figures.events), "");
}

fn print_memory(figures: &memory::Figures) {
    say!("memory of a server that knows {} members\n", grouped(figures.members));
    let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    line("started", megabytes(figures.started_bytes), "MB, once it answers");
    let idle = format!("MB, {} s after {} requests", figures.rest_seconds, grouped(figures.requests));
    line("idle", megabytes(figures.idle_bytes), &idle);
    line("most", megabytes(figures.most_bytes), "MB, at any time");
}

fn print_quote(figures: &quote::Figures) {
    say!(
        "quotes of {} lines under {} campaigns: {} clients, {} members, {:.1} s\n",
        quote::LINES,
        grouped(figures.campaigns),
        figures.clients,
        grouped(figures.members),
        figures.seconds
    );
    line("rate", grouped(figures.per_second), "quotes/s");
    line("p50", format!("{:.2}", figures.latency.p50_ms), "ms");
    line("p99", format!("{:.2}", figures.latency.p99_ms), "ms");
    cpu(&figures.cpu, "a quote");
    line("quotes", grouped(figures.quotes), "");
}

fn print_retail(figures: &retail::Figures) {
    say!(
        "sales of 4 quotes, a balance and a purchase: {} clients, {} members, {:.1} s\n",
        figures.clients,
        grouped(figures.members),
        figures.seconds
    );
    line("rate", grouped(figures.per_second), "sales/s");
    cpu(&figures.cpu, "a sale");
    line("sales", grouped(figures.sales), "");
    let rows = [
        ("whole sale", figures.latency),
        ("quote", figures.quote),
        ("balance", figures.balance),
        ("purchase", figures.purchase),
    ];
    let rows = rows.map(|(what, latency)| {
        vec![what.to_owned(), format!("{:.2}", latency.p50_ms), format!("{:.2}", latency.p99_ms)]
    });
    say!("\n{}", table(&["", "p50 ms", "p99 ms"], &[1, 2], rows));
}
