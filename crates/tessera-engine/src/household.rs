//! What is done about households, on its way to the executor. An invitation's code is nowhere but with whoever has it:
//! the household keeps a keyed hash.

use std::sync::Arc;

use serde_json::{Value, json};
use tessera_core::code::Code;
use tessera_core::event::{HouseholdStep, What};
use tessera_core::id::MemberId;
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::keyed::by_key_and;
use crate::programs::ProgramHandle;
use crate::secret::{Secrets, hex};
use crate::submission::{Refusal, Submission};

/// The code of an invitation, and what is kept of it.
#[derive(Clone)]
pub struct InvitationCode {
    pub hash: [u8; 16],
    shown: String,
}

impl std::fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvitationCode").finish_non_exhaustive()
    }
}

impl InvitationCode {
    /// The code for an idempotency key: a retry gets the same.
    pub fn fresh(secrets: &Secrets, program: i64, key: &str) -> Self {
        Self::of(secrets, program, &Code::from_entropy(secrets.code_entropy(program, "household-invite", key)))
    }

    /// A code as somebody gives it.
    ///
    /// # Errors
    /// When it is mistyped.
    pub fn parse(secrets: &Secrets, program: i64, text: &str) -> Result<Self, Refusal> {
        let code = Code::parse(text).map_err(|problem| {
            Refusal::new("not-invited", format!("there is no invitation of this code: {problem}"))
                .with("mistyped", true)
        })?;
        Ok(Self::of(secrets, program, &code))
    }

    fn of(secrets: &Secrets, program: i64, code: &Code) -> Self {
        let hash = secrets.identifier_key(program, &format!("household-invite:{}", code.as_str()));
        Self { hash, shown: code.to_string() }
    }

    /// As it is sent to whom it is for.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// Nobody founded a household of this id.
pub fn unknown_household() -> Refusal {
    Refusal::new("unknown-household", "there is no such household in this program")
}

impl Submission {
    /// Does something about a household: with a member, or with the household itself. `key`: the caller's idempotency
    /// key, of its own for each kind of step.
    pub fn household(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        about: Subject,
        step: HouseholdStep,
        key: &str,
        now: Instant,
    ) -> Self {
        let text = |member: &MemberId| Value::from(member.to_string());
        let (data, hashed) = match &step {
            HouseholdStep::Found { .. } | HouseholdStep::Leave => (json!({}), Vec::new()),
            HouseholdStep::Accept { household, code } => {
                (json!({ "household": text(household) }), code.iter().map(|code| hex(code)).collect())
            }
            HouseholdStep::PutIn { currency, amount } => {
                (json!({ "currency": currency.as_str(), "amount": amount }), Vec::new())
            }
            // A code of our own follows from the key.
            HouseholdStep::Invite { by, to: Some(to), .. } => (json!({ "by": text(by), "to": text(to) }), Vec::new()),
            HouseholdStep::Invite { by, to: None, .. } => (json!({ "by": text(by) }), Vec::new()),
            HouseholdStep::Remove { by, member } => (json!({ "by": text(by), "member": text(member) }), Vec::new()),
            HouseholdStep::NewHead { by, to } => (json!({ "by": text(by), "to": text(to) }), Vec::new()),
        };
        by_key_and(secrets, program, about, What::Household(step), (&data, &hashed), key, now)
    }
}
