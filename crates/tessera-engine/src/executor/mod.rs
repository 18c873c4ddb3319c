//! The one door: a bounded queue of commands, decided and written in batches, each batch one transaction.
//!
//! A batch reads everything it names at once, decides purely, writes each table at once, commits, and answers every
//! caller. What bounds it: [`QUEUE_MAX`] waiting commands (more are told to come back), [`BATCH_MAX`] in a batch.

mod batch;
mod load;
mod write;

pub use batch::{quote, quote_cart};
pub(crate) use load::{events_between, pool_key};

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use tessera_store::{Database, StoreError, Tx, Writer};

use crate::clock::{Clock, Entropy};
use crate::programs::Programs;
use crate::secret::Secrets;
use crate::submission::{Answer, Submission};

/// Commands that may wait. At ten thousand a second this is less than half a second of work.
pub const QUEUE_MAX: usize = 4_096;

/// Commands in one transaction: enough to share the cost of a commit, few enough to answer soon.
pub const BATCH_MAX: usize = 256;

/// How often a batch that met another writer is tried again before its commands are tried one by one.
const ATTEMPTS_TOGETHER: usize = 3;
/// And how often each alone.
const ATTEMPTS_ALONE: usize = 20;

/// How a caller gets its answer.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// What every part of the engine stands on.
pub struct Context {
    pub database: Database,
    pub secrets: Secrets,
    pub clock: Arc<dyn Clock>,
    pub programs: Programs,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// The way into the executor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor {
    queue: Sender<Work>,
    /// Gets a signal when an event has caused something for another member.
    follow_ups: Receiver<()>,
}

/// What waits for the one writer.
enum Work {
    Command(Box<Submission>, Reply),
    /// A rare write that is no event: publishing, keys, notes in the outbox.
    Job(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// The queue is full: come back in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many events are waiting: try again in a second")]
pub struct Overloaded;

impl Executor {
    /// Starts the worker thread. It ends, with everything accepted written, when the last handle is dropped.
    pub fn start(context: Arc<Context>, entropy: Entropy) -> Result<(Self, JoinHandle<()>), StoreError> {
        let writer = context.database.writer()?;
        let (queue, waiting) = crossbeam_channel::bounded(QUEUE_MAX);
        let (wake_relay, follow_ups) = crossbeam_channel::bounded(1);
        let mut worker = Worker { context, writer, entropy, follow_ups: wake_relay };
        let thread = std::thread::Builder::new().name("executor".to_owned()).spawn(move || worker.run(&waiting));
        let thread = thread.map_err(|error| StoreError::Unavailable(format!("no thread for the executor: {error}")))?;
        Ok((Self { queue, follow_ups }, thread))
    }

    /// Hands a command over, or says that the queue is full.
    pub fn submit(&self, submission: Submission, reply: Reply) -> Result<(), Overloaded> {
        metrics::gauge!("tessera_queue_depth").set(self.queue.len() as f64);
        self.queue.try_send(Work::Command(Box::new(submission), reply)).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Overloaded,
        })
    }

    /// Hands a command over, waiting for room: for imports, which should go as fast as they can and no faster.
    pub fn submit_waiting(&self, submission: Submission, reply: Reply) -> Result<(), Overloaded> {
        self.queue.send(Work::Command(Box::new(submission), reply)).map_err(|_| Overloaded)
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
        let stopped = || E::from(StoreError::Unavailable("the executor has stopped".to_owned()));
        self.queue.send(Work::Job(Box::new(job))).map_err(|_| stopped())?;
        answered.recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// Gets a signal when an event has caused something for another member: time to relay.
    pub fn follow_ups(&self) -> &Receiver<()> {
        &self.follow_ups
    }

    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}

struct Worker {
    context: Arc<Context>,
    writer: Writer,
    entropy: Entropy,
    follow_ups: Sender<()>,
}

impl Worker {
    fn run(&mut self, queue: &Receiver<Work>) {
        while let Ok(first) = queue.recv() {
            let mut batch = Vec::new();
            let mut next = Some(first);
            let mut job = None;
            while let Some(work) = next.take() {
                match work {
                    Work::Command(command, reply) => batch.push((*command, reply)),
                    Work::Job(waiting) => job = Some(waiting),
                }
                if job.is_none() && batch.len() < BATCH_MAX {
                    next = queue.try_recv().ok();
                }
            }
            self.work(batch);
            if let Some(job) = job {
                job(&mut self.writer);
            }
        }
    }

    /// Works a batch until every command has its answer.
    fn work(&mut self, batch: Vec<(Submission, Reply)>) {
        let (mut commands, mut replies): (Vec<Submission>, std::collections::VecDeque<Reply>) =
            batch.into_iter().unzip();
        let mut attempts = 0;
        let mut apart = false;
        while !commands.is_empty() {
            let together = attempts < ATTEMPTS_TOGETHER && !apart;
            let size = if together { commands.len() } else { 1 };
            let attempt = std::panic::catch_unwind(AssertUnwindSafe(|| self.attempt(&commands[..size])));
            let answers = match attempt {
                Ok(Ok(answers)) => {
                    attempts = 0;
                    answers
                }
                Ok(Err(error)) => {
                    attempts += 1;
                    let retry = matches!(error, StoreError::Conflict { .. } | StoreError::PoolExhausted { .. })
                        || error.is_transient();
                    if retry && attempts < ATTEMPTS_ALONE {
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
                    attempts = 0;
                    vec![Answer::Unavailable; size]
                }
                // A bug in a decision must cost one command, not the door.
                Err(_) if size > 1 => {
                    attempts = ATTEMPTS_TOGETHER;
                    continue;
                }
                Err(_) => {
                    tracing::error!(kind = commands[0].what.kind(), "a command could not be decided: this is a bug");
                    vec![Answer::Unavailable]
                }
            };
            let done = answers.len();
            for answer in answers {
                if let Some(reply) = replies.pop_front() {
                    reply(answer);
                }
            }
            commands.drain(..done);
        }
    }
}
