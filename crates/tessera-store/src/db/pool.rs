//! A bounded set of connections that are opened when needed and kept for the next reader.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::StoreError;

/// How long a reader waits for one of the others to finish. Reads inside reads can fill the pool for ever;
/// this turns that mistake into an error.
const WAIT_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Pool<C> {
    size_max: usize,
    state: Mutex<State<C>>,
    freed: Condvar,
}

struct State<C> {
    idle: Vec<C>,
    /// Idle ones and those lent out.
    open: usize,
}

/// A connection lent out. Dropping it closes the connection; [`give_back`](Self::give_back) keeps it.
pub(crate) struct Lease<'p, C> {
    /// Closed before its place is counted free, so that there are never more open than the maximum.
    connection: C,
    place: Place<'p, C>,
}

/// The place of an open connection in the count.
struct Place<'p, C>(&'p Pool<C>);

impl<C> Pool<C> {
    pub(crate) fn new(size_max: usize) -> Self {
        Self { size_max, state: Mutex::new(State { idle: Vec::new(), open: 0 }), freed: Condvar::new() }
    }

    /// An idle connection, or a new one while there are fewer than the maximum, or the next that is given back.
    pub(crate) fn take(&self, connect: impl FnOnce() -> Result<C, StoreError>) -> Result<Lease<'_, C>, StoreError> {
        let deadline = Instant::now() + WAIT_MAX;
        let mut state = self.lock();
        loop {
            if let Some(connection) = state.idle.pop() {
                return Ok(Lease { connection, place: Place(self) });
            }
            if state.open < self.size_max {
                state.open += 1;
                drop(state);
                // The place is counted free again if connecting fails.
                let place = Place(self);
                return Ok(Lease { connection: connect()?, place });
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(StoreError::Busy { what: "every reader is in use" });
            };
            (state, _) = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the connections that nobody uses.
    pub(crate) fn forget_idle(&self) {
        let mut state = self.lock();
        let idle = std::mem::take(&mut state.idle);
        state.open -= idle.len();
        drop(state);
        self.freed.notify_all();
        drop(idle);
    }

    /// No statement can panic while the lock is held, so a poisoned state is a whole one.
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Lease<'_, C> {
    pub(crate) fn connection(&mut self) -> &mut C {
        &mut self.connection
    }

    /// Keeps the connection for the next reader.
    pub(crate) fn give_back(self) {
        let Self { connection, place } = self;
        place.0.lock().idle.push(connection);
        place.0.freed.notify_one();
        std::mem::forget(place);
    }
}

impl<C> Drop for Place<'_, C> {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
        self.0.freed.notify_one();
    }
}
