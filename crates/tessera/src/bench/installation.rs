//! The installation a bench works on: made in a folder of its own, with a program and members, and thrown away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use serde_json::value::RawValue;
use tessera_engine::Engine;
use tessera_engine::engine::Location;
use tessera_engine::programs::{ProgramHandle, Publication};
use tessera_engine::submission::{Answer, CloudEvent, Submission};

use crate::output::Failure;

/// The program of the demo, under a name that no shop has.
const DOCUMENT: &str = include_str!("../../../../programs/coffee.yaml");

/// Its key here.
pub const PROGRAM: &str = "tessera-bench";

/// A byte of its master key, as digits. Always the same, so that one database serves one bench after the other: nothing in
/// it is anybody's.
pub const MASTER_KEY: &str = "be";

/// How often whoever watches is told how many members there are.
const TELL_EVERY: u32 = 1_000;

/// Where a bench may work: a folder to make its own in, and a database in place of the embedded one.
#[derive(Clone, Debug)]
pub struct Place {
    pub within: PathBuf,
    pub database_url: Option<String>,
}

/// A folder that goes with this value.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn make(within: &Path) -> Result<Self, Failure> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("tessera-bench-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = within.join(name);
        std::fs::create_dir_all(&folder).map_err(|error| Failure::refused(format!("{}: {error}", folder.display())))?;
        let left = folder.clone();
        // Only the first bench of a process sets it; the command runs one.
        let _ = ctrlc::set_handler(move || {
            super::memory::end_server();
            let _ = std::fs::remove_dir_all(&left);
            std::process::exit(130);
        });
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the bench's folder could not be removed");
        }
    }
}

/// An installation with one program.
#[derive(Debug)]
pub struct Installation {
    pub engine: Engine,
    pub program: Arc<ProgramHandle>,
    /// When it was opened: tells runs in one database apart.
    pub run: i64,
    pub database_url: Option<String>,
    // Last, so that it goes after the engine has closed the database in it.
    pub folder: Folder,
}

impl Installation {
    /// Opens it and publishes the coffee chain's program.
    pub fn make(place: &Place) -> Result<Self, Failure> {
        Self::of_document(place, DOCUMENT.replace("program: copper-cup", &format!("program: {PROGRAM}")))
    }

    /// Opens it and publishes a document of [`PROGRAM`]. A database that somebody else uses is refused.
    pub fn of_document(place: &Place, text: String) -> Result<Self, Failure> {
        let folder = Folder::make(&place.within)?;
        let location = Location {
            folder: folder.0.clone(),
            database_url: place.database_url.clone(),
            master_key: Some(MASTER_KEY.repeat(32)),
        };
        let engine = Engine::open(&location)?;
        let programs = engine.context.programs.list(&engine.context.database)?;
        if let Some(other) = programs.iter().find(|program| *program != PROGRAM) {
            let wrong = format!(
                "this database holds the program `{other}`: a bench would fill it with purchases that nobody made"
            );
            return Err(
                Failure::refused(wrong).right("give it an empty database of its own, or leave --database-url out")
            );
        }
        let publication = Publication { text, by: "bench".to_owned(), ..Publication::default() };
        let (program, _, _) = engine.publish(publication)?;
        let run = engine.context.clock.now().micros();
        Ok(Self { engine, program, run, database_url: place.database_url.clone(), folder })
    }

    /// Enrols members, through the executor as everybody is. `progress` is told how many were asked for.
    pub fn enrol(&self, members: u32, progress: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let refused = Arc::new(AtomicU64::new(0));
        for member in 0..members {
            let data = format!("{{\"name\":\"Nguyen Thi {member}\",\"language\":\"vi\"}}");
            let data = RawValue::from_string(data)?;
            let event = CloudEvent {
                specversion: None,
                id: format!("enrol-{:x}-{member}", self.run).into(),
                source: "bench".into(),
                kind: "enrol".into(),
                subject: Some(format!("phone:{}", phone(member)).into()),
                time: None,
                data: Some(&data),
            };
            let context = &self.engine.context;
            let submission = Submission::from_event(&context.secrets, &self.program, &event, context.clock.now());
            let submission = submission.map_err(|refusal| Failure::refused(refusal.detail))?;
            let refused = refused.clone();
            let reply = Box::new(move |answer| {
                if !matches!(answer, Answer::Done { .. }) {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
            self.engine.executor().submit_in_order_waiting(submission, reply)?;
            if member % TELL_EVERY == 0 {
                progress(member.into());
            }
        }
        // The queue keeps its order, so an empty write comes after everybody.
        self.engine.executor().write(|_| Ok::<_, tessera_engine::StoreError>(()))?;
        match refused.load(Ordering::Relaxed) {
            0 => Ok(()),
            refused => Err(Failure::refused(format!("{refused} of {members} members could not be enrolled"))),
        }
    }

    /// Writes what was accepted and lets go of the database, for another process to take it. Its folder stays.
    pub fn close(self) -> Folder {
        let Self { engine, folder, .. } = self;
        engine.close();
        folder
    }
}

/// A member's phone: not one that anybody has.
pub fn phone(member: u32) -> String {
    format!("+849{member:08}")
}

#[cfg(test)]
pub fn for_tests() -> Place {
    Place { within: std::env::temp_dir(), database_url: None }
}
