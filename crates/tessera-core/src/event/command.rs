use compact_str::CompactString;
use serde::Deserialize;

use super::{
    Arrival, Birthday, Brought, Claim, FieldValues, Freeze, FulfilmentStep, GiftCardRefund, GiftCardStep, GivenBack,
    HouseholdNews, HouseholdStep, Item, Membership, Merge, MovedIn, MovedVoucher, Order, PartnerStep, PlaceTier,
    Redeem, RedemptionPart, ReferralStep, RefusedFollowUp, Renaming, RewardCard, SurvivorLeft, Transfer, Unmerge,
    UseBenefit,
};
use crate::id::MemberId;
use crate::ledger::Entry;
use crate::program::Id;
use crate::quantity::Amount;
use crate::time::{Day, Instant};

/// Something to be decided about one member.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Business time: when it happened.
    pub effective_at: Instant,
    /// Record time: when we learned it.
    pub recorded_at: Instant,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Purchase(Order),
    /// The order as it should have been (R12): the same order, corrected by the difference.
    Amend(Order),
    Return(Return),
    Exchange(Exchange),
    Enrol(Profile),
    /// A change of the member's profile.
    Profile(Profile),
    /// An event type that the program declares.
    Declared {
        kind: Id,
        data: FieldValues,
    },
    Adjust(Adjustment),
    /// A lot of points from another system, at the time it was earned (L9).
    Import(Imported),
    /// A member from another system, as they were there.
    MoveIn(MovedIn),
    /// A voucher from another system.
    MoveVoucher(MovedVoucher),
    /// Spends points, or reserves them.
    Redeem(Redeem),
    /// Spends what a redemption reserved; what is left of it is released.
    Capture(RedemptionPart),
    /// Releases what a redemption reserved.
    Void {
        redemption: u64,
    },
    /// Cancels a redemption, or a part of it: the points go back to their lots (R7).
    ReturnRedemption(RedemptionPart),
    /// A guest's order is this member's (P6). Business time is that of the purchase.
    Claim(Claim),
    /// Somebody did something for a redemption.
    Fulfil(FulfilmentStep),
    /// A partner says what became of what they deliver for a redemption.
    PartnerStep(PartnerStep),
    /// Waits for a reward that is sold out.
    WaitFor {
        reward: Id,
    },
    LeaveWaitlist {
        reward: Id,
    },
    /// Sets a reward that came free aside for the member whose turn it is.
    Offer {
        reward: Id,
        place: i64,
    },
    /// Uses a voucher's code by itself (V1).
    RedeemVoucher(RedeemVoucher),
    /// Takes back a use of a voucher's code (V2).
    RollbackVoucher(RollbackVoucher),
    /// A change of the names under which the member is known (P4).
    Rename(Renaming),
    /// The membership ends (P3). `erase`: the person is forgotten as well.
    Leave {
        erase: bool,
    },
    /// Where the member stands among all.
    Rank {
        top_percent: Option<u8>,
    },
    /// The member takes part in a challenge that asks.
    JoinChallenge {
        challenge: Id,
    },
    /// Sends points to another member (P7).
    Transfer(Transfer),
    /// Points that another member sent.
    Arrival(Arrival),
    /// What the other side of a referral tells this one (F1).
    Referral(ReferralStep),
    /// What this member's event caused for another was refused there.
    FollowUpRefused(RefusedFollowUp),
    /// Uses a benefit that the member has.
    UseBenefit(UseBenefit),
    /// Takes back a use of a benefit, by its event.
    ReturnBenefit {
        used: u64,
    },
    /// Puts the member on a level beside what they reached, or ends that.
    PlaceTier(PlaceTier),
    /// Something happens to a paid membership (S1).
    Membership(Membership),
    /// Something done with a gift card besides spending it.
    GiftCard(GiftCardStep),
    /// What a gift card paid for came back.
    GiftCardRefund(GiftCardRefund),
    /// A member gives back the card that a reward gave, if nothing of it was used.
    GiftCardTakeBack(RewardCard),
    /// The card that a reward gave is gone: the points go back.
    GiftCardTakenBack(RewardCard),
    /// Makes this member one with another (P1).
    Merge(Merge),
    /// Everything of somebody who was merged into this member.
    MergeIn(Box<Brought>),
    /// Makes two of one again, within the document's time.
    Unmerge(Unmerge),
    /// What comes back to somebody who had been merged.
    MergeBack(GivenBack),
    /// Whoever this member was merged into has left (P3).
    SurvivorLeft(SurvivorLeft),
    /// Nothing is spent or sent from now on, or again (P4).
    Freeze(Freeze),
    /// Something done about a household.
    Household(HouseholdStep),
    /// What a household and its people tell each other.
    HouseholdNews(HouseholdNews),
    /// Only settles what fell due (I7).
    WakeUp,
}

impl What {
    /// The event type's name.
    pub fn kind(&self) -> &str {
        match self {
            Self::Purchase(_) => "purchase",
            Self::Amend(_) => "amend",
            Self::Return(_) => "return",
            Self::Exchange(_) => "exchange",
            Self::Enrol(_) => "enrol",
            Self::Profile(_) => "profile",
            Self::Declared { kind, .. } => kind.as_str(),
            Self::Adjust(_) => "adjustment",
            Self::Import(_) => "import",
            Self::MoveIn(_) => "move-in",
            Self::MoveVoucher(_) => "move-voucher",
            Self::Redeem(_) => "redemption",
            Self::Capture(_) => "capture",
            Self::Void { .. } => "void",
            Self::ReturnRedemption(_) => "redemption-return",
            Self::Claim(_) => "claim",
            Self::Fulfil(_) => "fulfilment",
            Self::PartnerStep(_) => "partner-notice",
            Self::WaitFor { .. } => "waitlist",
            Self::LeaveWaitlist { .. } => "waitlist-leave",
            Self::Offer { .. } => "seat-offer",
            Self::RedeemVoucher(_) => "voucher-redemption",
            Self::RollbackVoucher(_) => "voucher-rollback",
            Self::Rename(_) => "identifiers",
            Self::Leave { erase: false } => "leave",
            Self::Leave { erase: true } => "erase",
            Self::Rank { .. } => "ranking",
            Self::JoinChallenge { .. } => "challenge-join",
            Self::Transfer(_) => "transfer",
            Self::Arrival(_) => "transfer-in",
            Self::Referral(step) => step.kind(),
            Self::FollowUpRefused(_) => "follow-up-refused",
            Self::UseBenefit(_) => "benefit-use",
            Self::ReturnBenefit { .. } => "benefit-return",
            Self::PlaceTier(placement) => placement.event_type(),
            Self::Membership(membership) => membership.event_type(),
            Self::GiftCard(step) => step.kind(),
            Self::GiftCardRefund(_) => "gift-card-refund",
            Self::GiftCardTakeBack(_) => "gift-card-take-back",
            Self::GiftCardTakenBack(_) => "gift-card-taken-back",
            Self::Merge(_) => "merge",
            Self::MergeIn(_) => "merge-in",
            Self::Unmerge(_) => "merge-undo",
            Self::MergeBack(_) => "merge-back",
            Self::SurvivorLeft(_) => "survivor-left",
            Self::Freeze(freeze) => freeze.event_type(),
            Self::Household(step) => step.kind(),
            Self::HouseholdNews(news) => news.kind(),
            Self::WakeUp => "wake-up",
        }
    }

    /// Whether it brings something from another system: it is a matter of then, whatever the program does today.
    pub const fn is_from_elsewhere(&self) -> bool {
        matches!(self, Self::Import(_) | Self::MoveIn(_) | Self::MoveVoucher(_))
    }

    /// Whether it only takes back what was done.
    pub const fn is_rollback(&self) -> bool {
        matches!(self, Self::RollbackVoucher(_))
    }

    /// Whether this is done now, to a member there is: it makes nobody, and is never about the past.
    pub const fn is_about_now(&self) -> bool {
        match self {
            Self::UseBenefit(_) | Self::ReturnBenefit { .. } | Self::PlaceTier(_) | Self::Freeze(_) => true,
            Self::Membership(membership) => membership.is_about_now(),
            _ => self.is_redemption(),
        }
    }

    /// The order this makes, which must be new.
    pub fn makes_order(&self) -> Option<&str> {
        match self {
            Self::Purchase(order) => Some(&order.order_id),
            Self::Exchange(exchange) => Some(&exchange.bought.order_id),
            _ => None,
        }
    }

    /// The codes of vouchers that this names, as they are looked up.
    pub fn voucher_codes(&self) -> impl Iterator<Item = &CompactString> {
        let (orders, own) = match self {
            Self::Purchase(order) | Self::Amend(order) => (order.vouchers.as_slice(), None),
            Self::Exchange(exchange) => (exchange.bought.vouchers.as_slice(), None),
            Self::RedeemVoucher(redeem) => (&[][..], Some(&redeem.code)),
            Self::RollbackVoucher(rollback) => (&[][..], Some(&rollback.code)),
            _ => (&[][..], None),
        };
        orders.iter().chain(own)
    }

    /// The order this is about, which should exist.
    pub fn names_order(&self) -> Option<&str> {
        match self {
            Self::Amend(order) => Some(&order.order_id),
            Self::Return(back) => back.order_id.as_deref(),
            Self::Exchange(exchange) => exchange.back.order_id.as_deref(),
            _ => None,
        }
    }
}

/// A voucher's code that is used by itself, without the event of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeemVoucher {
    /// As it is looked up.
    pub code: CompactString,
    pub order_id: Option<CompactString>,
    /// What is bought; the code is the only voucher on it.
    pub order: Option<Order>,
}

/// A use of a voucher's code that is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackVoucher {
    /// As it is looked up.
    pub code: CompactString,
    /// The order it was used on; `None`: the member's last use.
    pub order_id: Option<CompactString>,
}

/// Items that come back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Return {
    /// `None` for a return that names no order (R11).
    pub order_id: Option<CompactString>,
    /// Empty: everything.
    pub items: Vec<ReturnItem>,
    pub currency: Option<CompactString>,
    /// What was paid back; for a return without order, else the items' sum.
    pub total: Option<Amount>,
}

/// A line of a return, found in its order by `line` or `sku`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReturnItem {
    /// With `quantity` the units that come back; the amount matters only where no order is named.
    pub item: Item,
}

/// Items back and items bought in one command (R10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub back: Return,
    pub bought: Order,
}

/// What rules may know of a member's profile. Names and addresses stay outside the core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub birthday: Option<Birthday>,
    /// The code or link of whoever brought this member.
    pub referred_by: Option<CompactString>,
    /// Whose it is; whoever reads the store looks it up.
    pub referrer: Option<MemberId>,
    /// The device they are on, as a keyed hash.
    pub device: Option<CompactString>,
}

/// A manual change of a balance (A2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    pub currency: Id,
    /// Units given; taken when negative.
    pub amount: i64,
    /// A code of the document's reasons; any text where it has none.
    pub reason: CompactString,
    /// Who asks. `None` for what was allowed before, such as in a replay: nobody is asked again.
    pub by: Option<Asker>,
    /// The adjustment that this one undoes.
    pub undoes: Option<Undone>,
}

impl Adjustment {
    /// One that asks for nobody's leave.
    pub fn new(currency: Id, amount: i64, reason: &str) -> Self {
        Self { currency, amount, reason: reason.into(), by: None, undoes: None }
    }
}

/// Who asks for an adjustment, as the document's limits look at them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The id of the key.
    pub key: CompactString,
    pub role: Option<Id>,
    /// Who used the key, where several do.
    pub staff: Option<CompactString>,
    /// A second person has agreed.
    pub approved: bool,
}

/// An adjustment that is undone: its event and what it moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    pub event: u64,
    pub entries: Vec<Entry>,
}

/// A lot that a member had in another system. Business time is when it was earned.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    pub currency: Id,
    /// Units left of it, at least 1.
    pub amount: i64,
    /// The last day it can be spent on; `None`: as the document dates what is earned then.
    #[serde(default)]
    pub expires: Option<Day>,
    /// Who paid for it, where that is not the program.
    #[serde(default)]
    pub funder: Option<Id>,
    /// The first day it can be spent on, where it still waits; `None`, or a day that has come: at once.
    #[serde(default)]
    pub matures: Option<Day>,
}
