use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tessera_api::AppState;
use tessera_connect::partner::Partners;
use tessera_engine::Engine;
use tessera_engine::partner::PartnerRelay;
use tessera_engine::scheduler::Scheduler;
use tokio::net::TcpListener;

use super::Context;
use super::task::Task;
use crate::config::Limits;
use crate::output::{Failure, say};
use crate::telemetry::{Telemetry, traced};

/// How long requests under way may take to end when the server is stopped.
const GRACE: Duration = Duration::from_secs(20);

/// How often what was measured is summed up: nobody may ever ask for it, and it must not pile up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Files the process needs besides connections: the databases', logs, and some room.
const FILES_OF_OURS: usize = 128;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tessera serve --data /var/lib/tessera --listen 0.0.0.0:8080\n  TESSERA_LOG=warn tessera serve\n\nIt ends on Ctrl-C or a termination signal: requests under way are answered, and what was accepted is written. /docs on its address is a browser for the API. While it runs, commands that read go on working beside it."
)]
pub struct Arguments {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "TESSERA_LISTEN", value_name = "ADDRESS", hide_env_values = true)]
    listen: Option<SocketAddr>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let _telemetry = Telemetry::start(&context.settings)?;
    let listen = match arguments.listen {
        Some(listen) => listen,
        None => context.settings.listen.parse().map_err(|_| {
            Failure::usage(format!("`{}` is no address to listen on", context.settings.listen))
                .right("write 127.0.0.1:8080")
        })?,
    };
    let task = Task::of_command("serve", "one process serves a folder; --data names another");
    let partners = Arc::new(context.settings.partners()?);
    let engine = context.engine(&task)?;
    serve(engine, "serve", listen, (context.settings.limits, partners), |address| {
        say!("listening on http://{address}  (API browser: http://{address}/docs)");
    })
}

/// Serves until the process is told to stop; then takes no more requests, ends those under way and writes everything.
///
/// `command` is what this is called, for whoever finds the folder in use.
pub fn serve(
    engine: Engine,
    command: &str,
    listen: SocketAddr,
    (mut limits, partners): (Limits, Arc<Partners>),
    ready: impl FnOnce(SocketAddr),
) -> Result<ExitCode, Failure> {
    let metrics = PrometheusBuilder::new().install_recorder().ok();
    tessera_api::describe_metrics();
    let state = AppState::new(engine.context.clone(), engine.executor().clone(), metrics)
        .with_code_limits(limits.codes)
        .with_connection_limits(limits.connections)
        .with_partners(partners.clone());
    limits.connections.most = within_open_files(limits.connections.most);
    let scheduler = Scheduler::start(engine.context.clone(), engine.executor().clone()).map_err(Failure::refused)?;
    let relay = PartnerRelay::start(engine.context.clone(), engine.executor().clone(), partners);
    let relay = relay.map_err(Failure::refused)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::refused)?;
    // A watch keeps what it was told, so that a stop before anybody waits for it is not lost.
    let (stop, stopped) = tokio::sync::watch::channel(false);
    // Fails only where a handler is set already, which then stops the process.
    let _ = ctrlc::set_handler(move || {
        let _ = stop.send(true);
    });
    let announce = |address| engine.announce(command, Some(address));
    let served = runtime.block_on(async move {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Failure::refused(format!("cannot listen on {listen}: {error}"))
                .right("choose another address with --listen")
        })?;
        let address = listener.local_addr().map_err(Failure::refused)?;
        // Only a courtesy to whoever comes next.
        let _ = announce(address);
        ready(address);
        if let Some(metrics) = state.metrics.clone() {
            tokio::spawn(upkeep(metrics));
        }
        let mut stopping = stopped.clone();
        let server = tessera_api::serve(listener, traced(tessera_api::router(state)), limits.connections, stopped);
        tokio::select! {
            result = server => result.map_err(Failure::refused),
            // Connections that stay open without a request do not hold the stop up.
            () = async { let _ = stopping.wait_for(|told| *told).await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    });
    drop(scheduler);
    drop(relay);
    runtime.shutdown_timeout(Duration::from_secs(2));
    engine.close();
    served.map(|()| ExitCode::SUCCESS)
}

async fn upkeep(metrics: PrometheusHandle) {
    let mut due = tokio::time::interval(UPKEEP);
    loop {
        due.tick().await;
        metrics.run_upkeep();
    }
}

/// As many connections as the system lets this process have files: past that, taking one fails without an answer.
fn within_open_files(most: usize) -> usize {
    let Some(files) = open_files_max() else { return most };
    let room = files.saturating_sub(FILES_OF_OURS).max(files / 2).max(1);
    if room < most {
        tracing::info!(files, connections = room, "fewer connections than set: the limit of open files is lower");
    }
    most.min(room)
}

/// The soft limit of open files; nothing where the system does not tell it so.
fn open_files_max() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
