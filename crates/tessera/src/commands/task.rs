//! What a command does to an installation, and what to do when another process writes to it already.

use tessera_engine::folder::Holder;
use tessera_engine::{Engine, EngineError};

use crate::config::Resolved;
use crate::output::Failure;

/// What a command that writes is about to do.
pub struct Task {
    /// As it is called: `import events`.
    command: &'static str,
    instead: Instead,
}

/// How a running server is asked for the same.
enum Instead {
    Call {
        method: &'static str,
        path: String,
        with: String,
    },
    /// It cannot be; a sentence about that.
    Nothing(&'static str),
}

impl Task {
    /// A task that the API does too: what it is called, and what it needs.
    pub fn over_api(command: &'static str, method: &'static str, path: String, with: impl Into<String>) -> Self {
        Self { command, instead: Instead::Call { method, path, with: with.into() } }
    }

    /// A task that only a command does; `why` says what follows from that.
    pub fn of_command(command: &'static str, why: &'static str) -> Self {
        Self { command, instead: Instead::Nothing(why) }
    }

    pub fn open(&self, settings: &Resolved) -> Result<Engine, Failure> {
        let engine = Engine::open(&settings.location()).map_err(|error| match &error {
            EngineError::Locked { holder, .. } => Failure::refused(&error).right(self.advice(holder.as_ref())),
            _ => Failure::refused(&error),
        })?;
        // Only a courtesy to whoever comes next.
        let _ = engine.announce(self.command, None);
        Ok(engine)
    }

    fn advice(&self, holder: Option<&Holder>) -> String {
        let stop = match holder {
            Some(holder) if cfg!(unix) => format!("stop it (kill {})", holder.process),
            _ => "stop it".to_owned(),
        };
        let Some(address) = holder.and_then(|holder| holder.address) else {
            return format!("wait until it has ended, or {stop}, and try again");
        };
        match &self.instead {
            Instead::Call { method, path, with } => {
                format!("{stop} and try again, or ask it for the same:\n{method} http://{address}{path}\n{with}")
            }
            Instead::Nothing(why) => format!("{stop} and try again: {why}"),
        }
    }
}
