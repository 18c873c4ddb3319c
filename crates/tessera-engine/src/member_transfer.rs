//! Points that a member sends to another, on their way to the executor.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tessera_core::event::{Origin, Transfer, What};
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::record::Envelope;
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
        let data = data.to_string();
        let text = from.to_text().unwrap_or_default();
        let hash = secrets.command_hash(&[b"transfer", text.as_bytes(), data.as_bytes()]);
        let envelope = Envelope::text(Some("api"), Some(key), &data);
        let end = envelope.len() - 1;
        Self {
            program: program.clone(),
            what: What::Transfer(transfer),
            subject: from,
            key: Some((secrets.event_key(program.number, "tessera:transfers", key), hash)),
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
