use compact_str::CompactString;

use super::What;
use crate::id::{EventId, MemberId};
use crate::ledger::{FulfilmentState, PartnerState};
use crate::program::Id;
use crate::program::ProofKind;
use crate::quantity::Amount;

/// A wish to spend points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeem {
    /// What is wanted for the points; its price then says currency and points, whatever stands here.
    pub reward: Option<Id>,
    pub currency: Id,
    /// Units to spend; `None`: as many as there are and the payable takes.
    pub points: Option<i64>,
    /// What is to be paid: points never pay more (M6).
    pub payable: Option<Amount>,
    /// What pays the rest: `cash`, `card` …
    pub tender: Option<CompactString>,
    pub order_id: Option<CompactString>,
    /// Whether the points are spent at once, in place of being reserved.
    pub capture: bool,
    /// By what it was proven that the member is there (P4); whoever made the command has looked.
    pub proven: Option<ProofKind>,
    /// Who spends from the pool of a household.
    pub by: Option<MemberId>,
}

/// What somebody did for a redemption of the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FulfilmentStep {
    /// Its event.
    pub redemption: u64,
    pub to: FulfilmentState,
    /// The name of the key that says so.
    pub by: CompactString,
}

/// What a partner says of what they deliver for a redemption of the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerStep {
    /// Its event.
    pub redemption: u64,
    pub to: PartnerState,
    /// Why it is refused, as a code.
    pub reason: Option<CompactString>,
}

/// All or a part of a redemption of the same member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedemptionPart {
    /// Its event.
    pub redemption: u64,
    /// `None`: everything.
    pub points: Option<i64>,
}

impl What {
    /// The redemption of the member's own that this is about.
    pub fn names_redemption(&self) -> Option<u64> {
        match self {
            Self::Capture(part) | Self::ReturnRedemption(part) => Some(part.redemption),
            Self::Void { redemption } => Some(*redemption),
            Self::Fulfil(step) => Some(step.redemption),
            Self::PartnerStep(step) => Some(step.redemption),
            Self::GiftCardTakenBack(card) => Some(card.redemption.seq),
            Self::FollowUpRefused(refused) => refused.names_redemption(),
            Self::GiftCardRefund(refund) => Some(refund.redemption),
            Self::HouseholdNews(news) => news.names_redemption(),
            _ => None,
        }
    }

    /// Whether points or vouchers are spent, reserved or released by this. Such a command is never about the past.
    pub const fn is_redemption(&self) -> bool {
        matches!(
            self,
            Self::Redeem(_)
                | Self::Capture(_)
                | Self::Void { .. }
                | Self::ReturnRedemption(_)
                | Self::Fulfil(_)
                | Self::PartnerStep(_)
                | Self::WaitFor { .. }
                | Self::LeaveWaitlist { .. }
                | Self::Offer { .. }
                | Self::RedeemVoucher(_)
                | Self::RollbackVoucher(_)
        )
    }

    /// The redemptions that paid for what this makes.
    pub fn paid_by(&self) -> impl Iterator<Item = EventId> {
        let order = match self {
            Self::Purchase(order) | Self::Amend(order) => Some(order),
            Self::Exchange(exchange) => Some(&exchange.bought),
            _ => None,
        };
        order.into_iter().flat_map(|order| &order.payments).filter_map(|payment| payment.redemption)
    }
}
