use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use metrics_exporter_prometheus::PrometheusHandle;
use tessera_connect::partner::Partners;
use tessera_core::decide::CartAsk;
use tessera_engine::access::{self, KnownKey};
use tessera_engine::executor::{Context, Executor, Quoted};
use tessera_engine::identifier::Subject;
use tessera_engine::programs::{self, ProgramError, ProgramHandle};
use tessera_engine::query::{Seen, Wanted};
use tessera_engine::submission::{Answer, Submission};

use crate::guessing::{Guesser, Guesses};
use crate::readers::{Answers, Readers};
use crate::{CodeLimits, ConnectionLimits, Problem};

/// How long a key's rights are believed without looking again: what a revoked key may still do.
const KEY_BELIEVED: Duration = Duration::from_secs(1);
/// More keys than this are looked up each time.
const KEYS_MAX: usize = 10_000;

/// Replays at the same time: one keeps every processor busy.
const REPLAYS_MAX: usize = 1;

type KnownKeys = HashMap<String, (Instant, Arc<KnownKey>)>;

/// What handlers share. Cloned several times a request, so it is one reference.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

#[derive(Clone, Debug)]
pub struct Shared {
    pub context: Arc<Context>,
    pub executor: Executor,
    pub metrics: Option<PrometheusHandle>,
    /// Whom notices may come from.
    pub partners: Arc<Partners>,
    keys: Arc<Mutex<KnownKeys>>,
    readers: Readers,
    /// Who was wrong about codes.
    pub(crate) guesses: Guesses,
    /// Who may replay now.
    pub(crate) replays: Arc<tokio::sync::Semaphore>,
    /// How long a body may take.
    pub(crate) body_within: Duration,
}

impl AppState {
    pub fn new(context: Arc<Context>, executor: Executor, metrics: Option<PrometheusHandle>) -> Self {
        let replays = Arc::new(tokio::sync::Semaphore::new(REPLAYS_MAX));
        let readers = Readers::start(&Answers::of(context.clone()));
        Self(Arc::new(Shared {
            context,
            executor,
            metrics,
            partners: Arc::default(),
            keys: Arc::default(),
            readers,
            guesses: Guesses::default(),
            replays,
            body_within: ConnectionLimits::default().body_within,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The same with another bound for slow bodies.
    #[must_use]
    pub fn with_connection_limits(self, limits: ConnectionLimits) -> Self {
        self.with(|shared| shared.body_within = limits.body_within)
    }

    /// The same with other limits for wrong codes.
    #[must_use]
    pub fn with_code_limits(self, limits: CodeLimits) -> Self {
        self.with(|shared| shared.guesses = Guesses::new(limits))
    }

    /// The same with partners whose notices are taken.
    #[must_use]
    pub fn with_partners(self, partners: Arc<Partners>) -> Self {
        self.with(|shared| shared.partners = partners)
    }

    /// What a key opens.
    pub(crate) async fn authenticate(&self, key: &str) -> Result<Arc<KnownKey>, Problem> {
        {
            let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((seen, known)) = keys.get(key)
                && seen.elapsed() < KEY_BELIEVED
            {
                return Ok(known.clone());
            }
        }
        let (context, text) = (self.context.clone(), key.to_owned());
        let found = self.read(move || access::authenticate(&context, &text).map_err(Problem::from)).await?;
        let known = Arc::new(found.ok_or_else(Problem::unauthorized)?);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(key.to_owned(), (Instant::now(), known.clone()));
        Ok(known)
    }

    /// A program that exists, by its key.
    pub(crate) async fn program(&self, key: &str) -> Result<Arc<ProgramHandle>, Problem> {
        if let Some(known) = self.context.programs.known(key) {
            return Ok(known);
        }
        let (context, key) = (self.context.clone(), key.to_owned());
        self.read(move || {
            context.programs.get(&context.database, &key).map_err(|error: ProgramError| Problem::from(error))
        })
        .await
    }

    /// Whether another process has published a version that this one did not know yet.
    pub(crate) async fn refreshed(&self, program: &Arc<ProgramHandle>) -> Result<bool, Problem> {
        let (context, program) = (self.context.clone(), program.clone());
        self.read(move || Ok(programs::refresh_from(&context.database, &program)?)).await
    }

    /// What a command would do, with nothing written.
    pub(crate) async fn quote(&self, submission: Submission, ask: CartAsk) -> Result<Quoted, Problem> {
        self.readers.quote(submission, ask).await
    }

    /// A member as whoever may ask sees them, or why there is none.
    pub(crate) async fn see(&self, program: &Arc<ProgramHandle>, subject: Subject) -> Result<Seen, Problem> {
        self.readers.see(Wanted { program: program.clone(), subject }).await
    }

    /// Runs a short read: one member, a few rows by their keys.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.readers.read(read).await
    }

    /// Runs what blocks for longer, such as a list or a report, on a thread made for it.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(_) => Err(Problem::broken()),
        }
    }

    /// Refuses whoever was wrong about codes too often, where a command names some; else what to tell of its answer.
    pub(crate) fn watch(
        &self,
        guesser: Option<Guesser>,
        submission: &Submission,
    ) -> Result<impl FnOnce(&Answer) + Send + use<>, Problem> {
        let guesser = guesser.filter(|_| submission.what.voucher_codes().next().is_some());
        let (guesses, now) = (self.guesses.clone(), submission.recorded_at);
        if let Some(guesser) = guesser {
            guesses.check(guesser, now)?;
        }
        Ok(move |answer: &Answer| {
            if let (Some(guesser), Answer::Refused(refusal)) = (guesser, answer) {
                guesses.note(guesser, refusal, now);
            }
        })
    }

    /// Sends a command through the one door and waits for its answer.
    pub(crate) async fn submit(&self, submission: Submission) -> Result<Answer, Problem> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let reply = Box::new(move |done| {
            // A caller that hung up gets no answer; its command is done all the same.
            let _ = answer.send(done);
        });
        self.executor.submit(submission, reply).map_err(|_| Problem::overloaded())?;
        Ok(answered.await.unwrap_or(Answer::Unavailable))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Counts requests by route and status, and tells of each to whoever has asked for debug lines. Not of its address: that
/// may hold a telephone number.
pub(crate) async fn count(State(_): State<AppState>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let asked = tracing::enabled!(tracing::Level::DEBUG).then(|| (request.method().clone(), Instant::now()));
    let response = next.run(request).await;
    let status = response.status();
    if let Some((method, at)) = asked {
        let took_ms = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(%method, route, status = status.as_u16(), took_ms, "answered");
    }
    metrics::counter!("tessera_requests_total", "route" => route, "status" => status.as_str().to_owned()).increment(1);
    response
}
