//! What the writing threads last met, for whoever asks whether events are taken.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tessera_store::StoreError;

/// A batch takes milliseconds; after this it is waiting for the database.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// How the writing threads are.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failing: Option<StoreError>,
    /// By the number of the work.
    busy_since: BTreeMap<u64, Instant>,
    last_work: u64,
}

/// While it lives, a thread is at work.
pub(super) struct Busy<'h> {
    health: &'h Health,
    work: u64,
}

impl Health {
    /// Why nothing can be written, if so: the last write failed, or one has been waiting for the database.
    pub fn trouble(&self) -> Option<String> {
        let state = self.lock();
        if let Some(error) = &state.failing {
            return Some(tell(error));
        }
        let busy = state.busy_since.values().next().map(Instant::elapsed).filter(|busy| *busy > STUCK_AFTER)?;
        Some(format!("a write has waited for the answer of the database for {} seconds", busy.as_secs()))
    }

    pub(super) fn note(&self, written: &Result<(), StoreError>) {
        self.lock().failing = written.as_ref().err().cloned();
    }

    pub(super) fn busy(&self) -> Busy<'_> {
        let mut state = self.lock();
        state.last_work += 1;
        let work = state.last_work;
        state.busy_since.insert(work, Instant::now());
        Busy { health: self, work }
    }

    /// Only values are kept under the lock, so a poisoned state is a whole one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.health.lock().busy_since.remove(&self.work);
    }
}

/// What may be told to whoever asks: an error that passes says what is wrong; any other is for the log.
pub fn tell(error: &StoreError) -> String {
    if error.is_transient() { error.to_string() } else { "the database refused; the log says more".to_owned() }
}
