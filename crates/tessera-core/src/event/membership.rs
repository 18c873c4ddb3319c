use compact_str::CompactString;

use super::data::DataProblem;
use crate::program::Id;
use crate::quantity::Amount;

/// The event types of programs with plans.
pub const MEMBERSHIP_TYPES: [&str; 5] =
    ["membership-fee", "membership-trial", "membership-payment-failed", "membership-cancel", "membership-refund"];

/// What happens to a paid membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub plan: Id,
    pub step: MembershipStep,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipStep {
    /// The fee of a period was paid: the member joins, or their membership is renewed.
    Fee {
        /// Left out: what the plan costs.
        amount: Option<Amount>,
        /// The order or payment it was paid by.
        reference: Option<CompactString>,
    },
    Trial,
    /// The fee could not be collected.
    PaymentFailed,
    /// It ends with what is paid, or at once.
    Cancel {
        at_once: bool,
    },
    /// What is left of the fee is paid back; it ends at once.
    Refund,
}

impl Membership {
    pub const fn event_type(&self) -> &'static str {
        match self.step {
            MembershipStep::Fee { .. } => "membership-fee",
            MembershipStep::Trial => "membership-trial",
            MembershipStep::PaymentFailed => "membership-payment-failed",
            MembershipStep::Cancel { .. } => "membership-cancel",
            MembershipStep::Refund => "membership-refund",
        }
    }

    /// Whether it is done now, to a member there is. Payments may become known late.
    pub const fn is_about_now(&self) -> bool {
        !matches!(self.step, MembershipStep::Fee { .. } | MembershipStep::PaymentFailed)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MembershipData {
    plan: Id,
    #[serde(default)]
    amount: Option<Amount>,
    #[serde(default)]
    reference: Option<CompactString>,
    #[serde(default)]
    at_once: Option<bool>,
}

impl MembershipData {
    pub(super) fn of_kind(self, kind: &str) -> Result<Membership, DataProblem> {
        let misplaced = [
            ("amount", self.amount.is_some() && kind != "membership-fee"),
            ("reference", self.reference.is_some() && !matches!(kind, "membership-fee" | "membership-payment-failed")),
            ("at_once", self.at_once.is_some() && kind != "membership-cancel"),
        ];
        if let Some((name, _)) = misplaced.into_iter().find(|(_, misplaced)| *misplaced) {
            return Err(DataProblem::new(format!("data.{name}"), format!("unknown field: `{kind}` has none")));
        }
        if self.amount.is_some_and(Amount::is_negative) {
            return Err(DataProblem::new("data.amount", "what was paid is 0 or more"));
        }
        let step = match kind {
            "membership-fee" => MembershipStep::Fee { amount: self.amount, reference: self.reference },
            "membership-trial" => MembershipStep::Trial,
            "membership-payment-failed" => MembershipStep::PaymentFailed,
            "membership-cancel" => MembershipStep::Cancel { at_once: self.at_once.unwrap_or(false) },
            _ => MembershipStep::Refund,
        };
        Ok(Membership { plan: self.plan, step })
    }
}
