//! An installation for one scenario: in a folder that goes with it, with a clock that stands where it is put.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tessera_core::time::Instant;
use tessera_store::ScratchSchema;

use crate::clock::{Entropy, FixedClock};
use crate::engine::{Engine, EngineError, Location};
use crate::{relay, scheduler};

/// More rounds than this, and the scheduler never comes to rest.
const ROUNDS_MAX: usize = 10_000;

pub(super) struct Installation {
    // Closed before its schema and its folder go.
    pub(super) engine: Engine,
    pub(super) clock: Arc<FixedClock>,
    _schema: Option<Schema>,
    _folder: Folder,
}

impl Installation {
    /// A new one; `chance` decides what is random. In a schema of its own where there is a `database_url`.
    pub(super) fn new(now: Instant, chance: u64, database_url: Option<&str>) -> Result<Self, EngineError> {
        let folder = Folder::new()?;
        let name = format!("tessera_scenario_{}", crate::secret::hex(&Entropy::default().bytes::<8>()));
        let schema = database_url.map(|url| ScratchSchema::new(url, &name)).transpose()?.map(Schema);
        let clock = Arc::new(FixedClock::at(now));
        let location = Location {
            folder: folder.0.clone(),
            database_url: schema.as_ref().map(|schema| schema.0.url().to_owned()),
            // Nothing in it outlives the scenario.
            master_key: Some("0".repeat(64)),
        };
        let engine = Engine::open_on(&location, clock.clone(), Entropy::repeatable(chance))?;
        Ok(Self { engine, clock, _schema: schema, _folder: folder })
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
            let done = scheduler::wake_due(context, executor)? + relay::relay_due(context, executor)?;
            if done + crate::waitlist::offer_free(context, executor)? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// A schema that goes when it is dropped.
struct Schema(ScratchSchema);

impl Drop for Schema {
    fn drop(&mut self) {
        if let Err(error) = self.0.remove() {
            tracing::warn!(%error, "a scenario's schema could not be removed");
        }
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
