//! What can happen to a member: the events every program has, those it declares, and the commands made of them.

mod benefit;
mod birthday;
mod claim;
mod command;
mod data;
mod follow_up;
mod freeze;
mod gift_card;
mod household;
mod membership;
mod merge;
mod moving;
mod order;
mod origin;
mod people;
mod placement;
mod read;
mod recorded;
mod redemption;
mod referral;
mod transfer;

pub use benefit::{Situation, UseBenefit};
pub use birthday::{Birthday, BirthdayError};
pub use claim::Claim;
pub use command::{
    Adjustment, Asker, Command, Exchange, Imported, Profile, RedeemVoucher, Return, ReturnItem, RollbackVoucher,
    Undone, What,
};
pub use data::{DataProblem, FieldValue, FieldValues};
pub use follow_up::{FOLLOW_UP_TYPES, RefusedFollowUp, read_follow_up};
pub use freeze::Freeze;
pub use gift_card::{CardPart, GiftCardRefund, GiftCardStep, REWARD_CARD, RewardCard};
pub use household::{HouseholdNews, HouseholdStep, PoolReward, Pooled};
pub use membership::{MEMBERSHIP_TYPES, Membership, MembershipStep};
pub use merge::{BackPurse, Brought, GivenBack, Merge, SurvivorLeft, Unmerge};
pub use moving::{MovedIn, MovedLevel, MovedVoucher};
pub use order::{ITEM_FIELDS, ITEMS_MAX, Item, Order, PURCHASE_FIELDS, Payment, Returned};
pub use origin::Origin;
pub use people::{NameKey, Removal, Renaming, SecondFact};
pub use placement::{PlaceTier, PlacementEnd, PlacementKind, PlacementStep};
pub use read::{DocumentedTypes, read_event};
pub use recorded::read_recorded;
pub use redemption::{FulfilmentStep, PartnerStep, Redeem, RedemptionPart};
pub use referral::ReferralStep;
pub use transfer::{Arrival, Transfer};

/// The event types that every program has.
pub const BUILT_IN_TYPES: [&str; 6] = ["purchase", "return", "exchange", "amend", "enrol", "profile"];

/// Event types of redemptions: commands of their own, no events that anybody sends.
pub const REDEMPTION_TYPES: [&str; 6] =
    ["redemption", "capture", "void", "redemption-return", "fulfilment", "partner-notice"];

/// Whether no event type of a document has this name: it is in the program's own history, or will be.
pub fn is_reserved(kind: &str) -> bool {
    OWN_TYPES.contains(&kind) || FOLLOW_UP_TYPES.contains(&kind)
}

/// What has a name of our own, but for what the event of another member causes.
const OWN_TYPES: &[&str] = &[
    "adjustment",
    "expiry",
    "maturity",
    "tier-review",
    "wake-up",
    "redemption",
    "redemption-return",
    "reservation",
    "reservation-end",
    "capture",
    "void",
    "refund",
    "fulfilment",
    "waitlist",
    "waitlist-leave",
    "seat-offer",
    "seat-offer-end",
    "voucher-redemption",
    "voucher-rollback",
    "claim",
    "merge",
    "merge-undo",
    "identifiers",
    "leave",
    "erase",
    "freeze",
    "thaw",
    "transfer",
    "import",
    "move-in",
    "move-voucher",
    "referral",
    "challenge-join",
    "ranking",
    "benefit-use",
    "benefit-return",
    "tier-invite",
    "tier-match",
    "tier-trial",
    "tier-lock",
    "tier-unlock",
    "tier-withdraw",
    "tier-placement-end",
    "entitlement-end",
    "membership-fee",
    "membership-trial",
    "membership-payment-failed",
    "membership-cancel",
    "membership-refund",
    "membership-renewal",
    "membership-grace",
    "membership-end",
    "gift-card",
    "gift-card-import",
    "gift-card-top-up",
    "gift-card-block",
    "gift-card-unblock",
    "gift-card-void",
    "gift-card-replacement",
    "gift-card-reward",
    "partner-notice",
    "entitlement-change",
    "household",
    "household-accept",
    "household-leave",
    "household-put-in",
    "household-invite",
    "household-removal",
    "household-head",
    "household-share",
];

/// Triggers that no event from outside has: what time or an award brings about.
pub const DERIVED_TRIGGERS: [&str; 8] =
    ["birthday", "balance", "tier", "tier-left", "challenge", "streak", "club-joined", "club-ended"];
