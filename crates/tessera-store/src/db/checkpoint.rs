//! Copies SQLite's write-ahead log back into the database, beside the writer instead of inside its commits.
//!
//! The writer never checkpoints. A thread with a connection of its own copies while the writer goes on (`PASSIVE`).
//! A busy writer would let the log grow for ever, for the log starts anew only at a moment when everything is copied;
//! so past [`RESTART_AT`] the thread asks the writer to wait between two transactions for the little that is left.
//!
//! Measured at full load: one batch in some 200 takes up to 50 ms instead of 4, and the log stays under 200 MiB.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::db::sqlite::{Role, SqliteConnection};
use crate::error::StoreError;

/// How often the thread looks at the log while there are commits.
const TICK: Duration = Duration::from_millis(50);
/// Frames (pages) not copied yet that are worth a copy: 128 MiB. A page written many times is then copied once; at half
/// of this an event costs 8 % more.
const COPY_AT: i64 = 32_768;
/// At the latest, what was committed is copied after this.
const COPY_AFTER: Duration = Duration::from_secs(1);
/// Frames in the log at which it is started anew: 96 MiB. The file keeps its size, so that later commits need not
/// grow it: their flush is then one of data only.
const RESTART_AT: i64 = 24_576;
/// Frames that are few enough to copy while the writer waits.
const FEW: i64 = 256;
/// How often the thread copies what the writer has added meanwhile, before it asks the writer to wait.
const ROUNDS_MAX: u32 = 3;
/// Frames in the log at which the thread waits for readers of an older state too, and the writer for it: 256 MiB.
/// Not earlier, because the writer's cache is lost by that.
const FORCE_AT: i64 = 65_536;
/// Frames in the log, after a long reader held it or the writer outran the copy, at which the file is cut: 512 MiB.
const TRUNCATE_AT: i64 = 131_072;
/// How long the thread waits for the writer's transaction to end before it lets go until the next tick.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Takes turns between the writer and the checkpoint, and wakes the thread after commits.
#[derive(Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    writing: bool,
    /// The thread waits for its turn, or has it: no transaction may begin.
    checkpoint_due: bool,
    committed: bool,
    stop: bool,
}

/// The writer's turn, from begin to commit or rollback.
pub(crate) struct WriteTurn<'t>(&'t Turns);

/// The thread; dropping it makes it stop and waits for that.
pub(crate) struct Checkpointer {
    turns: Arc<Turns>,
    thread: Option<JoinHandle<()>>,
}

impl Turns {
    /// Waits while the log is being started anew: a few milliseconds, as only the last pages are left to copy.
    pub(crate) fn write(&self) -> WriteTurn<'_> {
        let mut state = self.lock();
        while state.checkpoint_due {
            state = self.wait(state);
        }
        state.writing = true;
        WriteTurn(self)
    }

    /// Runs `work` between two transactions of the writer, if one such moment comes soon.
    fn between_writes(&self, work: impl FnOnce()) {
        let deadline = Instant::now() + TURN_WAIT_MAX;
        let mut state = self.lock();
        state.checkpoint_due = true;
        while state.writing && !state.stop && Instant::now() < deadline {
            (state, _) = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner);
        }
        let mine = !state.writing;
        drop(state);
        if mine {
            work();
        }
        self.lock().checkpoint_due = false;
        self.changed.notify_all();
    }

    /// Waits for a commit; false when it is time to stop.
    fn wait_for_commit(&self) -> bool {
        let mut state = self.lock();
        while !state.committed && !state.stop {
            state = self.wait(state);
        }
        state.committed = false;
        !state.stop
    }

    /// Sleeps for a tick, or until it is time to stop.
    fn tick(&self) -> bool {
        let deadline = Instant::now() + TICK;
        let mut state = self.lock();
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            if state.stop {
                break;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stop
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Only flags are kept under the lock, so a poisoned state is a whole one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteTurn<'_> {
    /// Tells the thread that there is something to copy.
    pub(crate) fn committed(&self) {
        self.0.lock().committed = true;
    }
}

impl Drop for WriteTurn<'_> {
    fn drop(&mut self) {
        self.0.lock().writing = false;
        self.0.changed.notify_all();
    }
}

impl Checkpointer {
    pub(crate) fn start(file: &Path, turns: Arc<Turns>) -> Result<Self, StoreError> {
        let mut connection = SqliteConnection::open(file, Role::Checkpoint)?;
        let shared = Arc::clone(&turns);
        let thread = std::thread::Builder::new()
            .name("tessera-checkpoint".to_owned())
            .spawn(move || run(&mut connection, &shared))
            .map_err(|error| StoreError::Unavailable(format!("no thread for checkpoints: {error}")))?;
        Ok(Self { turns, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.turns.lock().stop = true;
        self.turns.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It only fails if the thread panicked; the last connection to close copies the log anyway.
            let _: Result<(), _> = thread.join();
        }
    }
}

/// Errors are left to the next round: a log that is not copied costs room, never data.
fn run(connection: &mut SqliteConnection, turns: &Turns) {
    while turns.wait_for_commit() {
        let mut copied_at = Instant::now();
        while turns.tick() {
            let Ok(log) = connection.checkpoint("NOOP") else { continue };
            if log.behind() == 0 {
                break;
            }
            if log.behind() < COPY_AT && copied_at.elapsed() < COPY_AFTER {
                continue;
            }
            copied_at = Instant::now();
            let _: Result<(), StoreError> = copy(connection, turns);
        }
    }
}

fn copy(connection: &mut SqliteConnection, turns: &Turns) -> Result<(), StoreError> {
    let mut log = connection.checkpoint("PASSIVE")?;
    if log.frames < RESTART_AT {
        return Ok(());
    }
    for _ in 0..ROUNDS_MAX {
        if connection.checkpoint("NOOP")?.behind() < FEW {
            break;
        }
        log = connection.checkpoint("PASSIVE")?;
    }
    let mode = match log.frames {
        TRUNCATE_AT.. => "TRUNCATE",
        FORCE_AT.. => "RESTART",
        // Everything is copied: the writer starts the log anew by itself, unless someone still reads an older state.
        _ => "PASSIVE",
    };
    let mut outcome = Ok(());
    turns.between_writes(|| outcome = connection.checkpoint(mode).map(|_| ()));
    outcome
}
