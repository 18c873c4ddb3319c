//! Joining a challenge, on its way to the executor: a command without a natural id, with the caller's key.

use std::sync::Arc;

use serde_json::json;
use tessera_core::event::What;
use tessera_core::program::Id;
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::keyed::by_key;
use crate::programs::ProgramHandle;
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
        let data = json!({ "challenge": challenge.as_str() });
        by_key(secrets, program, member, What::JoinChallenge { challenge }, &data, key, now)
    }
}
