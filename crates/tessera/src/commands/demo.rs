use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant as Stopwatch;

use clap::Args;
use tessera_core::time::Instant;
use tessera_engine::access::{self, Scope};
use tessera_engine::programs::Publication;

use super::task::Task;
use super::{Context, instant};
use crate::config::Resolved;
use crate::demo;
use crate::output::{Failure, Progress, grouped, say};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tessera demo\n  tessera demo --members 200 --listen 127.0.0.1:9000\n\nMakes the coffee chain Copper Cup in Ho Chi Minh City with a year of business in the folder demo-data (or that of --data), and serves it. A second start serves what is there."
)]
pub struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// How many members
    #[arg(long, default_value_t = 2_000, value_name = "NUMBER")]
    members: u32,
    /// The same seed makes the same year, if it ends at the same time
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// When the year ends, with its offset [default: now]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    until: Option<Instant>,
    /// Make the data and stop
    #[arg(long)]
    no_serve: bool,
}

/// The demo's program, as it stands in the repository.
const DOCUMENT: &str = include_str!("../../../../programs/coffee.yaml");

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    crate::telemetry::Telemetry::log("warn");
    let data = if context.data_given { context.settings.data.clone() } else { PathBuf::from("demo-data") };
    let settings = Resolved { data, ..context.settings.clone() };
    let task = Task::of_command("demo", "or use the one that is open");
    let engine = task.open(&settings)?;
    let is_new = engine.program("copper-cup").is_err();
    let publication = Publication { text: DOCUMENT.to_owned(), by: "demo".to_owned(), ..Publication::default() };
    let (program, _, _) = engine.publish(publication)?;
    if is_new {
        let now = engine.context.clock.now();
        let until = arguments.until.unwrap_or(now);
        if until > now {
            return Err(Failure::usage("--until: the year cannot end in the future").right("name a time that has been"));
        }
        let started = Stopwatch::now();
        let mut progress = Progress::new("events", u64::from(arguments.members) * demo::EVENTS_PER_MEMBER);
        let made = demo::make(&engine, &program, (arguments.members, until), arguments.seed, &mut |events| {
            progress.at(events, events, started)
        })?;
        progress.done();
        say!(
            "made {} members with {} purchases, {} returns, {} visits and {} reviews in {:.1} s",
            grouped(made.members),
            grouped(made.purchases),
            grouped(made.returns),
            grouped(made.visits),
            grouped(made.reviews),
            started.elapsed().as_secs_f64()
        );
    }
    if arguments.no_serve {
        engine.close();
        return Ok(ExitCode::SUCCESS);
    }
    let key = access::create(&engine.context, engine.executor(), program.number, "demo", &Scope::ALL)?;
    let partners = std::sync::Arc::new(context.settings.partners()?);
    let settings = (context.settings.limits, partners);
    super::serve::serve(engine, "demo", arguments.listen, settings, |address| {
        say!("\nCopper Cup is open at http://{address}");
        say!("  API browser  http://{address}/docs");
        say!("  key          {}\n", key.key);
        say!(
            "Try it:\n\n  curl -s http://{address}/v1/programs/copper-cup/members/{} -H 'Authorization: Bearer {}'\n",
            demo::FIRST_MEMBER,
            key.key
        );
        say!("Stop with Ctrl-C.");
    })
}
