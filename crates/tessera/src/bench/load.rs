//! The server in this process, clients that keep it busy, and the stretch of time that is measured.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tessera_api::AppState;
use tessera_engine::access::{self, Scope};
use tessera_engine::scheduler::Scheduler;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::client::{Answer, Connection};
use super::figures::{Spent, Stopwatch};
use super::installation::Installation;
use crate::output::Failure;

/// How hard and how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub clients: u32,
    pub warm_up: Duration,
    pub measured: Duration,
    pub members: u32,
    pub seed: u64,
}

/// An answer that takes longer than this ends the bench.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the run is: clients note what falls into the measured stretch, and end after it.
#[derive(Debug, Default)]
pub struct Phase(AtomicU8);

const MEASURED: u8 = 1;
const OVER: u8 = 2;

impl Phase {
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OVER
    }

    pub fn is_measured(&self) -> bool {
        self.0.load(Ordering::Relaxed) == MEASURED
    }

    fn becomes(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// What clients saw, by kind of request: how long each took, in microseconds.
#[derive(Debug, Default)]
pub struct Tally {
    pub micros: BTreeMap<&'static str, Vec<u32>>,
    pub refused: u64,
    /// The first refusal, as it came.
    pub example: Option<String>,
}

impl Tally {
    pub fn note(&mut self, kind: &'static str, took: Duration) {
        self.micros.entry(kind).or_default().push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn refused(&mut self, count: u64, answer: Answer<'_>) {
        self.refused += count;
        self.example.get_or_insert_with(|| String::from_utf8_lossy(answer.body).chars().take(500).collect());
    }

    pub fn take(&mut self, kind: &str) -> Vec<u32> {
        self.micros.remove(kind).unwrap_or_default()
    }

    fn add(&mut self, other: Self) {
        for (kind, micros) in other.micros {
            self.micros.entry(kind).or_default().extend(micros);
        }
        self.refused += other.refused;
        self.example = self.example.take().or(other.example);
    }
}

/// The API as `serve` serves it, on a port of the loopback that was free.
struct Server {
    address: SocketAddr,
    runtime: Runtime,
    _scheduler: Scheduler,
}

impl Server {
    fn start(installation: &Installation) -> Result<Self, Failure> {
        let engine = &installation.engine;
        let metrics = PrometheusBuilder::new().install_recorder().ok();
        let state = AppState::new(engine.context.clone(), engine.executor().clone(), metrics);
        let scheduler = Scheduler::start(engine.context.clone(), engine.executor().clone())?;
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(async move {
            if let Err(error) = axum::serve(listener, tessera_api::router(state)).await {
                tracing::error!(%error, "the server of the bench has stopped");
            }
        });
        Ok(Self { address, runtime, _scheduler: scheduler })
    }
}

/// Runs `client` for each number below `load.clients`, each with a connection of its own, and gathers what they saw.
///
/// Clients share one thread: they wait most of the time, and a second thread would take more from the server.
pub fn run<F, R>(installation: &Installation, load: Load, client: F) -> Result<(Tally, Spent), Failure>
where
    F: Fn(u32, String, Connection, Arc<Phase>) -> R,
    R: Future<Output = Result<Tally, Failure>> + Send + 'static,
{
    let engine = &installation.engine;
    let key = access::create(&engine.context, engine.executor(), installation.program.number, "bench", &Scope::ALL)?;
    let server = Server::start(installation)?;
    let clients = Builder::new_current_thread().enable_all().build()?;
    let measured = clients.block_on(async {
        let phase = Arc::new(Phase::default());
        let mut tasks = JoinSet::new();
        for number in 0..load.clients {
            let connection = Connection::open(server.address).await?;
            tasks.spawn(client(number, key.key.clone(), connection, phase.clone()));
        }
        tokio::time::sleep(load.warm_up).await;
        let stopwatch = Stopwatch::start("clients");
        phase.becomes(MEASURED);
        tokio::time::sleep(load.measured).await;
        phase.becomes(OVER);
        let spent = stopwatch.stop();
        let tally = tokio::time::timeout(PATIENCE, gather(tasks)).await;
        let tally = tally.map_err(|_| Failure::refused("a request was not answered within 30 seconds"))??;
        Ok::<_, Failure>((tally, spent))
    });
    server.runtime.shutdown_timeout(Duration::from_secs(2));
    measured
}

async fn gather(mut tasks: JoinSet<Result<Tally, Failure>>) -> Result<Tally, Failure> {
    let mut all = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        all.add(tally??);
    }
    Ok(all)
}

/// Runs for a moment, then twice as long, until it has seen enough: on a busy machine a moment may be too short.
///
/// # Panics
/// If twenty seconds are.
#[cfg(test)]
pub fn longer_and_longer<F>(run: impl Fn(Load) -> F, is_enough: impl Fn(&F) -> bool) -> F {
    let mut measured = Duration::from_millis(200);
    loop {
        let load = Load { clients: 3, warm_up: Duration::from_millis(50), measured, members: 20, seed: 1 };
        let figures = run(load);
        if is_enough(&figures) {
            return figures;
        }
        measured *= 2;
        assert!(measured < Duration::from_secs(20), "nothing was answered");
    }
}
