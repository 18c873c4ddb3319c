//! What goes to partners and comes from them: orders of e-gifts and notices of entitlements out of the outbox, at least
//! once each, and what partners say of an order through the one door.

mod notice;
mod outgoing;
mod relay;
mod report;

pub use notice::{Received, receive};
pub(crate) use outgoing::{code_of, order_row, told_row};
pub use relay::{PartnerRelay, relay_due};
pub use report::{
    Difference, OrderView, PartnerMonth, Reconciliation, ReportProblem, month, month_page, month_products, reconcile,
};

use std::sync::Arc;

use serde_json::json;
use tessera_core::event::{PartnerStep, What};
use tessera_core::id::EventId;
use tessera_core::ledger::PartnerState;
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::keyed::by_key;
use crate::programs::ProgramHandle;
use crate::secret::Secrets;
use crate::submission::Submission;

impl Submission {
    /// A partner says what became of an order. `key`: what the same is said under again.
    pub(crate) fn partner_step(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        redemption: EventId,
        (to, reason): (PartnerState, Option<&str>),
        key: &str,
        now: Instant,
    ) -> Self {
        let step = PartnerStep { redemption: redemption.seq, to, reason: reason.map(Into::into) };
        let mut data = json!({ "redemption": redemption.to_string(), "state": to.word() });
        if let Some(reason) = reason {
            data["reason"] = reason.into();
        }
        let member = Subject::Member(redemption.member);
        by_key(secrets, program, member, What::PartnerStep(step), &data, key, now)
    }
}
