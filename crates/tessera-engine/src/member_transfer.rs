//! Points that a member sends to another, on their way to the executor.

use std::sync::Arc;

use serde_json::json;
use tessera_core::event::{Transfer, What};
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::keyed::by_key;
use crate::programs::ProgramHandle;
use crate::secret::Secrets;
use crate::submission::Submission;

impl Submission {
    /// Sends points. `key`: the caller's idempotency key.
    pub fn transfer(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        from: Subject,
        transfer: Transfer,
        key: &str,
        now: Instant,
    ) -> Self {
        let mut data = json!({
            "to": transfer.to.to_string(),
            "currency": transfer.currency.as_str(),
            "amount": transfer.amount,
        });
        if let Some(message) = &transfer.message {
            data["message"] = message.as_str().into();
        }
        by_key(secrets, program, from, What::Transfer(transfer), &data, key, now)
    }
}
