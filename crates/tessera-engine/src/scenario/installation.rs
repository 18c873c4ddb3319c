//! An installation for one scenario: in a folder that goes with it, with a clock that stands where it is put.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tessera_core::time::Instant;

use crate::clock::{Entropy, FixedClock};
use crate::engine::{Engine, EngineError, Location};
use crate::{relay, scheduler};

/// More rounds than this, and the scheduler never comes to rest.
const ROUNDS_MAX: usize = 10_000;

pub(super) struct Installation {
    // Closed before its folder goes.
    pub(super) engine: Engine,
    pub(super) clock: Arc<FixedClock>,
    _folder: Folder,
}

impl Installation {
    /// A new one; `chance` decides what is random.
    pub(super) fn new(now: Instant, chance: u64) -> Result<Self, EngineError> {
        let folder = Folder::new()?;
        let clock = Arc::new(FixedClock::at(now));
        let location = Location {
            folder: folder.0.clone(),
            database_url: None,
            // Nothing in it outlives the scenario.
            master_key: Some("0".repeat(64)),
        };
        let engine = Engine::open_on(&location, clock.clone(), Entropy::repeatable(chance))?;
        Ok(Self { engine, clock, _folder: folder })
    }

    /// Sends what events caused for other members.
    pub(super) fn relay(&self) -> Result<(), EngineError> {
        relay::relay_all(&self.engine.context, self.engine.executor())?;
        Ok(())
    }

    /// Wakes members and releases follow-ups until nothing is due, as the scheduler does.
    pub(super) fn let_time_work(&self) -> Result<(), EngineError> {
        let (context, executor) = (&self.engine.context, self.engine.executor());
        for _ in 0..ROUNDS_MAX {
            if scheduler::wake_due(context, executor)? + relay::relay_due(context, executor)? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, EngineError> {
        let name = format!("tessera-scenario-{}", crate::secret::hex(&Entropy::default().bytes::<8>()));
        // In memory where there is a file system in memory: no scenario needs the disk that its steps are flushed to.
        let in_memory = Path::new("/dev/shm").join(&name);
        if std::fs::create_dir(&in_memory).is_ok() {
            return Ok(Self(in_memory));
        }
        let folder = std::env::temp_dir().join(name);
        match std::fs::create_dir(&folder) {
            Ok(()) => Ok(Self(folder)),
            Err(source) => Err(EngineError::Folder { folder, source }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a temporary folder could not be removed");
        }
    }
}
