//! What the writing thread last met, for whoever asks whether events are taken.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tessera_store::StoreError;

/// A batch takes milliseconds; after this it is waiting for the database.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// How the writing thread is.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failing: Option<StoreError>,
    busy_since: Option<Instant>,
}

/// While it lives, the thread is at work.
pub(super) struct Busy<'h>(&'h Health);

impl Health {
    /// Why nothing can be written, if so: the last write failed, or one has been waiting for the database.
    pub fn trouble(&self) -> Option<String> {
        let state = self.lock();
        if let Some(error) = &state.failing {
            return Some(tell(error));
        }
        let busy = state.busy_since.map(|since| since.elapsed()).filter(|busy| *busy > STUCK_AFTER)?;
        Some(format!("a write has waited for the answer of the database for {} seconds", busy.as_secs()))
    }

    pub(super) fn note(&self, written: &Result<(), StoreError>) {
        self.lock().failing = written.as_ref().err().cloned();
    }

    pub(super) fn busy(&self) -> Busy<'_> {
        self.lock().busy_since = Some(Instant::now());
        Busy(self)
    }

    /// Only values are kept under the lock, so a poisoned state is a whole one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().busy_since = None;
    }
}

/// What may be told to whoever asks: an error that passes says what is wrong; any other is for the log.
pub fn tell(error: &StoreError) -> String {
    if error.is_transient() { error.to_string() } else { "the database refused; the log says more".to_owned() }
}
