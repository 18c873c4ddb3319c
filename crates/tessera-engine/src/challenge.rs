//! Joining a challenge, on its way to the executor: a command without a natural id, with the caller's key.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tessera_core::event::{Origin, What};
use tessera_core::program::Id;
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::record::Envelope;
use crate::secret::Secrets;
use crate::submission::Submission;

impl Submission {
    /// A member takes part in a challenge that asks. `key`: the caller's idempotency key.
    pub fn join_challenge(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        challenge: Id,
        key: &str,
        now: Instant,
    ) -> Self {
        let data = json!({ "challenge": challenge.as_str() }).to_string();
        let what = What::JoinChallenge { challenge };
        let subject = member.to_text().unwrap_or_default();
        let hash = secrets.command_hash(&[what.kind().as_bytes(), subject.as_bytes(), data.as_bytes()]);
        let envelope = Envelope::text(Some("api"), Some(key), &data);
        let end = envelope.len() - 1;
        Self {
            program: program.clone(),
            key: Some((secrets.event_key(program.number, "tessera:challenge-join", key), hash)),
            what,
            subject: member,
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
