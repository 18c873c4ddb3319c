//! The one door: a bounded queue of commands, decided and written in batches, each batch one transaction.
//!
//! A batch reads everything it names at once, decides purely, writes each table at once, commits, and answers every
//! caller. What bounds it: [`QUEUE_MAX`] waiting commands (more are told to come back), [`BATCH_MAX`] in a batch.
//!
//! The embedded database has one writer, and beside it a thread that decides the next batch. PostgreSQL has several in
//! each process, as it has several processes: whoever meets another one waits for its locks. What has to keep its order
//! goes through one of them.

mod again;
mod ahead;
mod archived;
mod asked;
mod batch;
mod claims;
mod faults;
mod flush;
mod forget;
mod health;
mod known;
mod load;
mod more;
mod on_shard;
mod payments;
mod personal;
mod slices;
mod whom;
mod write;

pub use batch::{Quoted, quote, quote_cart, quote_carts};
#[cfg(feature = "testkit")]
pub use faults::Fault;
pub use health::{Health, tell};
pub(crate) use load::{events_between, pool_key};
pub(crate) use slices::in_use;

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahead::{Decided, Decider};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use faults::Faults;
use flush::{Answering, Done};
use tessera_store::{Database, Dialect, Shards, StoreError, Tx, Writer};
use tracing::{Span, field};

use crate::clock::{Clock, Entropy};
use crate::identifier::Subject;
use crate::programs::Programs;
use crate::secret::Secrets;
use crate::submission::{Answer, Submission};

/// Commands that may wait for a writer. At ten thousand a second this is less than half a second of work.
pub const QUEUE_MAX: usize = 4_096;

/// Writers of one process where the database lets several write. While one waits for a commit, the next decides.
const WRITERS_MAX: usize = 8;

/// Commands in one transaction: enough to share the cost of a commit, few enough to answer soon.
pub const BATCH_MAX: usize = 256;

/// From so many waiting commands on the next batch is decided while one is written. Fewer make small batches of a commit
/// each, which costs more than the other processor gains.
const BESIDE_FROM: usize = 48;

/// How often a batch that met another writer is tried again before its commands are tried one by one.
const ATTEMPTS_TOGETHER: usize = 3;
/// And how often each alone.
const ATTEMPTS_ALONE: usize = 20;
/// How often a batch is tried while the database is away: the first failure may be a connection that died long ago.
const ATTEMPTS_AWAY: usize = 3;
/// No further attempt begins later than this after the first failure: callers wait, and would rather come back.
const AWAY_MAX: Duration = Duration::from_secs(10);

/// How a caller gets its answer.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// What every part of the engine stands on.
pub struct Context {
    pub database: Database,
    pub secrets: Secrets,
    pub clock: Arc<dyn Clock>,
    pub programs: Programs,
    /// Over what the database is spread, if it is.
    pub shards: Shards,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// The way into the executor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor {
    /// One a writer.
    queues: Arc<[Sender<Work>]>,
    /// Gets a signal when an event has caused something for another member.
    follow_ups: Receiver<()>,
    health: Arc<Health>,
    #[cfg(feature = "testkit")]
    faults: Arc<Faults>,
}

/// What waits for a writer.
enum Work {
    /// With the span of whoever waits for it.
    Command(Box<Submission>, Reply, Span),
    /// A rare write that is no event: publishing, keys, notes in the outbox.
    Job(Job),
}

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// Commands with who waits for their answers.
type Batch = Vec<(Submission, Reply)>;

/// The queue is full: come back in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many events are waiting: try again in a second")]
pub struct Overloaded;

impl Executor {
    /// Starts the writing threads. They end, with everything accepted written, when the last handle is dropped.
    pub fn start(context: Arc<Context>, entropy: Entropy) -> Result<(Self, Vec<JoinHandle<()>>), StoreError> {
        let (wake_relay, follow_ups) = crossbeam_channel::bounded(1);
        let health = Arc::new(Health::default());
        let faults = Arc::new(Faults::default());
        let count = writers(context.database.dialect(), &entropy);
        // All connections before any thread: one that fails leaves nothing behind.
        let writers: Result<Vec<Writer>, StoreError> = (0..count).map(|_| context.database.writer()).collect();
        let (mut queues, mut threads, mut entropy) = (Vec::new(), Vec::new(), Some(entropy));
        for (number, writer) in writers?.into_iter().enumerate() {
            let (queue, waiting) = crossbeam_channel::bounded(QUEUE_MAX);
            let answering = match context.database.dialect() {
                Dialect::Sqlite => {
                    let database = context.database.clone();
                    Answering::after(move || database.flush(), wake_relay.clone(), health.clone())?
                }
                Dialect::Postgres => Answering::at_once(wake_relay.clone()),
            };
            let (context, health, faults) = (context.clone(), health.clone(), faults.clone());
            let decides_beside = context.database.dialect() == Dialect::Sqlite && !context.shards.are_spread();
            let decider = decides_beside.then(|| Decider::start(context.clone())).transpose()?;
            let entropy = entropy.take().unwrap_or_default();
            let mut worker = Worker { context, writer, entropy, decider, deciding: None, answering, health, faults };
            let name = if number == 0 { "executor".to_owned() } else { format!("executor-{}", number + 1) };
            let thread = std::thread::Builder::new().name(name).spawn(move || worker.run(&waiting));
            let no_thread = |error| StoreError::Unavailable(format!("no thread for the executor: {error}"));
            threads.push(thread.map_err(no_thread)?);
            queues.push(queue);
        }
        let executor = Self {
            queues: queues.into(),
            follow_ups,
            health,
            #[cfg(feature = "testkit")]
            faults,
        };
        Ok((executor, threads))
    }

    /// Hands a command over, or says that the queue is full. For whoever waits for its answer before sending what comes
    /// after it: two that wait at the same time may be decided in either order.
    pub fn submit(&self, submission: Submission, reply: Reply) -> Result<(), Overloaded> {
        try_send(self.queue_of(&submission), submission, reply)
    }

    /// The same, waiting for room.
    pub fn submit_waiting(&self, submission: Submission, reply: Reply) -> Result<(), Overloaded> {
        send(self.queue_of(&submission), submission, reply)
    }

    /// Hands a command over, or says that the queue is full. What is sent this way is decided in the order of sending.
    pub fn submit_in_order(&self, submission: Submission, reply: Reply) -> Result<(), Overloaded> {
        try_send(self.first(), submission, reply)
    }

    /// The same, waiting for room: for imports, which should go as fast as they can and no faster.
    pub fn submit_in_order_waiting(&self, submission: Submission, reply: Reply) -> Result<(), Overloaded> {
        send(self.first(), submission, reply)
    }

    /// Commands about one member under one name meet in one batch rather than at the member's lock.
    fn queue_of(&self, submission: &Submission) -> &Sender<Work> {
        let mut hash = DefaultHasher::new();
        match &submission.subject {
            _ if self.queues.len() == 1 => return self.first(),
            Subject::Member(id) => id.as_bytes().hash(&mut hash),
            Subject::Identifier(identifier) => identifier.to_text().hash(&mut hash),
            Subject::Nobody => submission.key.hash(&mut hash),
        }
        &self.queues[(hash.finish() % self.queues.len() as u64) as usize]
    }

    /// Where rare writes go, and what has to keep its order.
    fn first(&self) -> &Sender<Work> {
        &self.queues[0]
    }

    /// Runs a rare write in a transaction of its own on the writing thread, and waits for it.
    pub fn write<T, E>(&self, write: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let job = move |writer: &mut Writer| {
            let run = |writer: &mut Writer| {
                let mut tx = writer.begin()?;
                let written = write(&mut tx)?;
                tx.commit()?;
                Ok(written)
            };
            let _ = answer.send(run(writer));
        };
        let stopped =
            || E::from(StoreError::Unavailable("the write was turned away, or the executor has stopped".to_owned()));
        self.first().send(Work::Job(Box::new(job))).map_err(|_| stopped())?;
        answered.recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// Gets a signal when an event has caused something for another member: time to relay.
    pub fn follow_ups(&self) -> &Receiver<()> {
        &self.follow_ups
    }

    /// Commands that wait now.
    pub fn waiting(&self) -> usize {
        self.queues.iter().map(Sender::len).sum()
    }

    /// Whether somebody would be told now to come back.
    pub fn is_full(&self) -> bool {
        self.queues.iter().any(Sender::is_full)
    }

    /// What the writing thread last met.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Tries whether the database can be written to again. Says nothing; [`Executor::health`] knows more soon after.
    ///
    /// `within`: how long to wait for that.
    pub fn try_to_write(&self, within: Duration) {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let health = self.health.clone();
        let job = move |writer: &mut Writer| {
            health.note(&touch(writer));
            let _ = answer.send(());
        };
        // A full queue says enough by itself.
        if self.first().try_send(Work::Job(Box::new(job))).is_ok() {
            let _ = answered.recv_timeout(within);
        }
    }
}

fn send(queue: &Sender<Work>, submission: Submission, reply: Reply) -> Result<(), Overloaded> {
    queue.send(Work::Command(Box::new(submission), reply, Span::current())).map_err(|_| Overloaded)
}

fn try_send(queue: &Sender<Work>, submission: Submission, reply: Reply) -> Result<(), Overloaded> {
    queue.try_send(Work::Command(Box::new(submission), reply, Span::current())).map_err(|error| match error {
        TrySendError::Full(_) | TrySendError::Disconnected(_) => Overloaded,
    })
}

/// How many write at a time. Repeatable randomness has one reader, or it would not repeat.
fn writers(dialect: Dialect, entropy: &Entropy) -> usize {
    match dialect {
        Dialect::Postgres if !entropy.is_repeatable() => {
            std::thread::available_parallelism().map_or(2, usize::from).clamp(2, WRITERS_MAX)
        }
        Dialect::Postgres | Dialect::Sqlite => 1,
    }
}

/// How often what crashed attempts left is looked for, and slices of pools give back what they do not need.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// Tidies up where the database is spread, now and then. `last`: when it was done before.
pub(crate) fn sweep(context: &Context, executor: &Executor, last: &mut Option<Instant>) -> Result<usize, StoreError> {
    if last.is_some_and(|last| last.elapsed() < SWEEP_EVERY) {
        return Ok(0);
    }
    *last = Some(Instant::now());
    sweep_now(context, executor)
}

/// The same at once: claims that led to nothing, names not confirmed, slices of pools. Says how much there was.
pub fn sweep_now(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    Ok(claims::sweep_claims(context, executor)? + slices::sweep_slices(context, executor)?)
}

/// Writes something that changes nothing.
fn touch(writer: &mut Writer) -> Result<(), StoreError> {
    let mut tx = writer.begin()?;
    tx.execute("UPDATE installation SET value = value WHERE name = $1", &[crate::installation::MASTER_KEY.into()])?;
    tx.commit()
}

struct Worker {
    context: Arc<Context>,
    writer: Writer,
    entropy: Entropy,
    /// Decides the next batch while this thread writes one, where this thread is the only one that writes.
    decider: Option<Decider>,
    /// Who waits for what it has.
    deciding: Option<VecDeque<Reply>>,
    answering: Answering,
    health: Arc<Health>,
    faults: Arc<Faults>,
}

impl Worker {
    fn run(&mut self, queue: &Receiver<Work>) {
        loop {
            let decided = self.decided();
            let first = match &decided {
                Some(_) => queue.try_recv().ok(),
                None => match queue.recv() {
                    Ok(first) => Some(first),
                    Err(_) => return,
                },
            };
            let span = tracing::debug_span!(target: crate::SPANS, parent: None, "batch", commands = field::Empty);
            let most = self.most(decided.as_ref(), queue.len());
            let (batch, job) = gather(first, queue, most, &span);
            let health = self.health.clone();
            let _busy = health.busy();
            span.record("commands", batch.len() as i64);
            let work = AssertUnwindSafe(|| match self.context.shards.are_spread() {
                false => self.work_in_step(decided, batch, queue),
                true => self.queues(batch).into_iter().for_each(|of_shard| self.work(of_shard, queue)),
            });
            if span.in_scope(|| std::panic::catch_unwind(work)).is_err() {
                // Whoever is left without an answer learns that there is none; the door stays open.
                tracing::error!("a batch could not be worked: this is a bug");
                let after = self.take_back();
                self.work(after, queue);
            }
            if let Some(job) = job {
                while let Some(decided) = self.decided() {
                    self.work_in_step(Some(decided), Batch::new(), queue);
                }
                // Whoever waits for a job that panics learns that it has no answer.
                if std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut self.writer))).is_err() {
                    tracing::error!("a write could not be done: this is a bug");
                }
            }
        }
    }

    /// How many commands the next batch may have. Where batches go in step, two halves keep two threads busy; a whole one
    /// after a small one would not.
    fn most(&self, decided: Option<&Decided>, waiting: usize) -> usize {
        let in_hand = decided.map_or(0, Decided::size) + waiting;
        match decided {
            None if self.decider.is_none() || waiting < BESIDE_FROM => BATCH_MAX,
            _ => in_hand.div_ceil(2).clamp(BESIDE_FROM / 2, BATCH_MAX),
        }
    }

    /// Works a batch until every command has its answer. While the database is away nobody waits in `queue`.
    fn work(&mut self, batch: Batch, queue: &Receiver<Work>) {
        let (mut commands, mut replies): (Vec<Submission>, VecDeque<Reply>) = batch.into_iter().unzip();
        let mut attempts = 0;
        let mut apart = false;
        let mut away_since: Option<Instant> = None;
        while !commands.is_empty() {
            let together = attempts < ATTEMPTS_TOGETHER && !apart;
            let size = if together { commands.len() } else { 1 };
            let attempt = std::panic::catch_unwind(AssertUnwindSafe(|| self.attempt(&commands[..size])));
            let (answers, began, wakes_relay) = match attempt {
                Ok(Ok(written)) => {
                    attempts = 0;
                    away_since = None;
                    self.health.note(&Ok(()));
                    (written.answers, Some(written.began), written.wakes_relay)
                }
                Ok(Err(error)) => {
                    attempts += 1;
                    let retry = if error.is_transient() {
                        let since = away_since.get_or_insert_with(Instant::now);
                        attempts < ATTEMPTS_AWAY && since.elapsed() < AWAY_MAX
                    } else {
                        let another = matches!(error, StoreError::Conflict { .. } | StoreError::PoolExhausted { .. });
                        another && attempts < ATTEMPTS_ALONE
                    };
                    if retry {
                        continue;
                    }
                    // A row that cannot be read or written costs the command about it, not those beside it.
                    if size > 1 && !error.is_transient() {
                        apart = true;
                        attempts = 0;
                        continue;
                    }
                    tracing::error!(%error, commands = size, "a batch could not be written");
                    metrics::counter!("tessera_batches_failed_total").increment(1);
                    // Before anybody is told: whoever comes back after that is not meant.
                    if error.is_transient() {
                        turn_away(queue);
                    }
                    self.health.note(&Err(error));
                    attempts = 0;
                    (vec![Answer::Unavailable; size], None, false)
                }
                // A bug in a decision must cost one command, not the door.
                Err(_) if size > 1 => {
                    attempts = ATTEMPTS_TOGETHER;
                    continue;
                }
                Err(_) => {
                    tracing::error!(kind = commands[0].what.kind(), "a command could not be decided: this is a bug");
                    (vec![Answer::Unavailable], None, false)
                }
            };
            commands.drain(..answers.len());
            self.answer(answers, began, wakes_relay, &mut replies);
        }
    }

    /// Hands answers over, to the first of those who wait.
    fn answer(
        &mut self,
        answers: Vec<Answer>,
        began: Option<Instant>,
        wakes_relay: bool,
        replies: &mut VecDeque<Reply>,
    ) {
        for answer in &answers {
            if let Answer::Refused(refusal) = answer
                && !refusal.replayed
            {
                metrics::counter!("tessera_refusals_total", "code" => refusal.code.clone()).increment(1);
            }
        }
        let answers = replies.drain(..answers.len()).zip(answers).collect();
        self.answering.give(Done { answers, began, wakes_relay });
    }
}

/// The commands that wait, at most so many, up to a rare write that waits behind them.
fn gather(first: Option<Work>, queue: &Receiver<Work>, most: usize, span: &Span) -> (Batch, Option<Job>) {
    let (mut batch, mut next) = (Batch::new(), first);
    while let Some(work) = next.take() {
        match work {
            Work::Command(command, reply, caller) => {
                span.follows_from(&caller);
                batch.push((*command, reply));
            }
            Work::Job(job) => return (batch, Some(job)),
        }
        if batch.len() < most {
            next = queue.try_recv().ok();
        }
    }
    (batch, None)
}

/// Tells everybody who waits now to come back: while the database is away, waiting in turn would take minutes.
fn turn_away(queue: &Receiver<Work>) {
    for _ in 0..queue.len() {
        match queue.try_recv() {
            Ok(Work::Command(_, reply, _)) => reply(Answer::Unavailable),
            // Dropped, it tells whoever waits that it has no answer.
            Ok(Work::Job(_)) | Err(_) => {}
        }
    }
}
