//! What is done by hand with a member's standing, on its way to the executor: a benefit used or given back, a level
//! given. Commands without a natural id, each with the caller's key.

use std::sync::Arc;

use serde_json::{Value, json};
use tessera_core::event::{Membership, MembershipStep, PlaceTier, PlacementEnd, PlacementStep, UseBenefit, What};
use tessera_core::id::EventId;
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::keyed::by_key;
use crate::programs::ProgramHandle;
use crate::secret::Secrets;
use crate::submission::Submission;

impl Submission {
    /// Uses a benefit. `key`: the caller's idempotency key.
    pub fn use_benefit(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        wish: UseBenefit,
        key: &str,
        now: Instant,
    ) -> Self {
        let situation = &wish.situation;
        let data = with(
            json!({ "benefit": wish.benefit.as_str() }),
            [
                ("order_id", wish.order_id.as_deref().map(Value::from)),
                ("total", situation.total.map(|total| total.to_string().into())),
                ("shipping", situation.shipping.map(|shipping| shipping.to_string().into())),
                ("location", situation.location.as_deref().map(Value::from)),
                ("channel", situation.channel.as_deref().map(Value::from)),
                ("public_at", situation.public_at.map(|at| at.to_string().into())),
            ],
        );
        by_key(secrets, program, member, What::UseBenefit(wish), &data, key, now)
    }

    /// Takes a use of a benefit back. `key`: the caller's idempotency key.
    pub fn return_benefit(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        used: EventId,
        key: &str,
        now: Instant,
    ) -> Self {
        let data = json!({ "use": used.to_string() });
        let what = What::ReturnBenefit { used: used.seq };
        by_key(secrets, program, Subject::Member(used.member), what, &data, key, now)
    }

    /// What happens to a paid membership. `key`: the caller's idempotency key.
    pub fn membership(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        wish: Membership,
        key: &str,
        now: Instant,
    ) -> Self {
        let data = json!({ "plan": wish.plan.as_str() });
        let data = match &wish.step {
            MembershipStep::Fee { amount, reference } => with(
                data,
                [
                    ("amount", amount.map(|amount| amount.to_string().into())),
                    ("reference", reference.as_deref().map(Value::from)),
                ],
            ),
            MembershipStep::Cancel { at_once } => with(data, [("at_once", at_once.then(|| true.into()))]),
            MembershipStep::Trial | MembershipStep::PaymentFailed | MembershipStep::Refund => data,
        };
        by_key(secrets, program, member, What::Membership(wish), &data, key, now)
    }

    /// Puts a member on a level, or ends that. `key`: the caller's idempotency key.
    pub fn place_tier(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        wish: PlaceTier,
        key: &str,
        now: Instant,
    ) -> Self {
        let data = json!({ "ladder": wish.ladder.as_str(), "reason": wish.reason.as_str() });
        let data = match &wish.step {
            PlacementStep::Place { level, ends, keep_if, .. } => {
                let (last_day, period) = match ends {
                    PlacementEnd::Open => (None, None),
                    PlacementEnd::Until(day) => (Some(day.to_string().into()), None),
                    PlacementEnd::For(period) => (None, Some(period.to_string().into())),
                };
                let wanted = keep_if.iter().map(|(name, needed)| (name.to_string(), needed.to_string().into()));
                let wanted = (!keep_if.is_empty()).then(|| Value::Object(wanted.collect()));
                let level = level.as_ref().map(|level| level.as_str().into());
                with(data, [("level", level), ("until", last_day), ("for", period), ("keep_if", wanted)])
            }
            PlacementStep::Unlock => data,
            PlacementStep::Withdraw(kind) => with(data, [("kind", Some(kind.name().into()))]),
        };
        by_key(secrets, program, member, What::PlaceTier(wish), &data, key, now)
    }
}

/// Adds what was said.
fn with<const N: usize>(mut data: Value, optional: [(&str, Option<Value>); N]) -> Value {
    for (name, value) in optional {
        if let Some(value) = value {
            data[name] = value;
        }
    }
    data
}
