//! Where a test lets an attempt to write a batch end, as if the process had died there. Without the feature `testkit`,
//! which only tests turn on, nothing ever ends there and nobody can ask for it.

use tessera_store::StoreError;

#[cfg(feature = "testkit")]
use super::Executor;

/// A point of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of a batch is written, and the next one is being decided upon it.
    BesideDeciding,
    /// Where the database is spread: rows of a table are about to be read by their keys.
    Reading(&'static str),
    /// And there: other rows are, such as a member's events.
    Querying,
    /// And there: all is decided, and nothing is taken from a pool or claimed yet.
    Decided,
    /// And there: what one shard holds is written, and what the next one holds is not, if there is a
    /// next one.
    BetweenClaims,
    /// And there: what other shards hold is written, the member is not.
    AfterClaims,
    /// And there: the member is written, and names are not confirmed.
    AfterCommit,
}

/// The faults that tests ask for; none otherwise.
#[derive(Debug, Default)]
pub(super) struct Faults {
    #[cfg(feature = "testkit")]
    asked: std::sync::Mutex<Option<(Fault, u32)>>,
    #[cfg(feature = "testkit")]
    meanwhile: std::sync::Mutex<std::collections::VecDeque<Meanwhile>>,
}

/// What somebody else does while an attempt is at a point.
#[cfg(feature = "testkit")]
struct Meanwhile(Fault, Box<dyn FnOnce() + Send>);

#[cfg(feature = "testkit")]
impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meanwhile").field(&self.0).finish_non_exhaustive()
    }
}

impl Faults {
    #[cfg(not(feature = "testkit"))]
    pub fn meet(&self, _: Fault) -> Result<(), StoreError> {
        Ok(())
    }

    #[cfg(feature = "testkit")]
    pub fn meet(&self, fault: Fault) -> Result<(), StoreError> {
        let mut meanwhile = self.meanwhile.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(Meanwhile(_, happens)) = meanwhile.pop_front_if(|Meanwhile(wanted, _)| *wanted == fault) {
            drop(meanwhile);
            happens();
        }
        let mut asked = self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match asked.as_mut() {
            Some((wanted, times)) if *wanted == fault && *times > 0 => {
                *times -= 1;
                Err(StoreError::Unavailable("a test asked for it".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "testkit")]
impl Executor {
    /// The next `times` attempts to write a batch end at a point.
    pub fn fail_at(&self, fault: Fault, times: u32) {
        *self.faults.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((fault, times));
    }

    /// Whether an attempt is still to end at a point.
    pub fn has_fault_left(&self) -> bool {
        let asked = self.faults.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        asked.is_some_and(|(_, times)| times > 0)
    }

    /// While the next attempt to write a batch is at a point, this happens, and then it goes on: what another process does
    /// in between, in an order that a test decides. What is asked for after it happens after it.
    pub fn meanwhile(&self, fault: Fault, happens: impl FnOnce() + Send + 'static) {
        let mut meanwhile = self.faults.meanwhile.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        meanwhile.push_back(Meanwhile(fault, Box::new(happens)));
    }
}
