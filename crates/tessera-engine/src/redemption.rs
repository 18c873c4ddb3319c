//! Redemptions on their way to the executor: commands without a natural id, each with the caller's key.

use std::sync::Arc;

use serde_json::{Value, json};
use tessera_core::event::{FulfilmentStep, Redeem, RedemptionPart, What};
use tessera_core::id::EventId;
use tessera_core::ledger::FulfilmentState;
use tessera_core::program::Id;
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::keyed::by_key;
use crate::programs::ProgramHandle;
use crate::secret::Secrets;
use crate::submission::Submission;

/// What is done with a redemption that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Spends what was reserved, or so many points of it.
    Capture { points: Option<i64> },
    /// Releases what was reserved.
    Void,
    /// Gives back what was spent, or so many points of it.
    Return { points: Option<i64> },
}

impl Submission {
    /// Spends or reserves points. `key`: the caller's idempotency key.
    pub fn redeem(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        redeem: Redeem,
        key: &str,
        now: Instant,
    ) -> Self {
        let mut data = match &redeem.reward {
            Some(reward) => json!({ "reward": reward.as_str(), "capture": redeem.capture }),
            None => json!({ "currency": redeem.currency.as_str(), "capture": redeem.capture }),
        };
        let optional = [
            ("points", redeem.points.map(Value::from)),
            ("payable", redeem.payable.map(|payable| payable.to_string().into())),
            ("tender", redeem.tender.as_deref().map(Value::from)),
            ("order_id", redeem.order_id.as_deref().map(Value::from)),
            ("proof", redeem.proven.map(|kind| kind.word().into())),
            ("by", redeem.by.map(|by| by.to_string().into())),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                data[name] = value;
            }
        }
        by_key(secrets, program, member, What::Redeem(redeem), &data, key, now)
    }

    /// Does something with a redemption. `key`: the caller's idempotency key, of its own for each kind of step.
    pub fn redemption_step(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        redemption: EventId,
        step: Step,
        key: &str,
        now: Instant,
    ) -> Self {
        let part = |points| RedemptionPart { redemption: redemption.seq, points };
        let (what, points) = match step {
            Step::Capture { points } => (What::Capture(part(points)), points),
            Step::Void => (What::Void { redemption: redemption.seq }, None),
            Step::Return { points } => (What::ReturnRedemption(part(points)), points),
        };
        let mut data = json!({ "redemption": redemption.to_string() });
        if let Some(points) = points {
            data["points"] = points.into();
        }
        by_key(secrets, program, Subject::Member(redemption.member), what, &data, key, now)
    }
}

/// What is done about waiting for a reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    Join,
    Leave,
    /// Only the engine offers, to the member at this place.
    Offer(i64),
}

impl Submission {
    /// Somebody did something for a redemption: `by` is the name of their key. `key`: the caller's idempotency key.
    pub fn fulfilment(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        redemption: EventId,
        (to, by): (FulfilmentState, &str),
        key: &str,
        now: Instant,
    ) -> Self {
        let what = What::Fulfil(FulfilmentStep { redemption: redemption.seq, to, by: by.into() });
        let data = json!({ "redemption": redemption.to_string(), "state": to.word(), "by": by });
        by_key(secrets, program, Subject::Member(redemption.member), what, &data, key, now)
    }

    /// A member waits for a reward, or no longer. `key`: the caller's idempotency key.
    pub fn waiting(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        (reward, waiting): (Id, Waiting),
        key: &str,
        now: Instant,
    ) -> Self {
        let data = json!({ "reward": reward.as_str() });
        let what = match waiting {
            Waiting::Join => What::WaitFor { reward },
            Waiting::Leave => What::LeaveWaitlist { reward },
            Waiting::Offer(place) => What::Offer { reward, place },
        };
        by_key(secrets, program, member, what, &data, key, now)
    }
}
