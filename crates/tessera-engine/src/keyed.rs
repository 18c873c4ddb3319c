//! Commands of Tessera's own on their way to the executor: those without a natural id, each under its caller's key.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tessera_core::event::{Origin, What};
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::record::Envelope;
use crate::secret::Secrets;
use crate::submission::Submission;

/// Under what a command is found again, and the hash of what it asks.
pub(crate) type CommandKey = ([u8; 16], [u8; 16]);

impl Submission {
    /// A command that happens as it is recorded. `told`: the source and id that stand with its data.
    pub(crate) fn now(
        program: &Arc<ProgramHandle>,
        (what, subject): (What, Subject),
        told: (Option<&str>, Option<&str>),
        data: &str,
        key: Option<CommandKey>,
        now: Instant,
    ) -> Self {
        let envelope = Envelope::text(told.0, told.1, data);
        let end = envelope.len() - 1;
        Self {
            program: program.clone(),
            what,
            subject,
            key,
            data: end - data.len()..end,
            envelope,
            effective_at: now,
            recorded_at: now,
            personal: BTreeMap::new(),
            identifiers: Vec::new(),
            origin: Origin::default(),
            explain: false,
        }
    }
}

/// A command without a natural id, under its caller's key.
pub(crate) fn by_key(
    secrets: &Secrets,
    program: &Arc<ProgramHandle>,
    subject: Subject,
    what: What,
    data: &Value,
    key: &str,
    now: Instant,
) -> Submission {
    by_key_and(secrets, program, subject, what, (data, &[]), key, now)
}

/// The same. `hashed`: what makes it another command and must not stand in the event, such as names and codes.
pub(crate) fn by_key_and(
    secrets: &Secrets,
    program: &Arc<ProgramHandle>,
    subject: Subject,
    what: What,
    (data, hashed): (&Value, &[String]),
    key: &str,
    now: Instant,
) -> Submission {
    let data = data.to_string();
    let named = subject.to_text().unwrap_or_default();
    let mut parts = vec![what.kind().as_bytes(), named.as_bytes(), data.as_bytes()];
    parts.extend(hashed.iter().map(String::as_bytes));
    let hash = secrets.command_hash(&parts);
    let source = format!("tessera:{}", what.kind());
    let found = secrets.event_key(program.number, &source, key);
    Submission::now(program, (what, subject), (Some("api"), Some(key)), &data, Some((found, hash)), now)
}
