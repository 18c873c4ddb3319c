use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::What;
use crate::id::{MemberId, member_text};
use crate::ledger::{LotPart, LotRef};
use crate::program::Id;
use crate::time::{Day, Instant};

/// What somebody does about a household. `code` is what is stored of an invitation's code: its keyed hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HouseholdStep {
    /// The member founds a household and is its head. `known`: the id it got where this is decided again; `None`: it
    /// follows from the event.
    Found { known: Option<MemberId> },
    /// The member accepts an invitation: by its code, or as the one it is for.
    Accept { household: MemberId, code: Option<[u8; 16]> },
    /// The member leaves, and takes along what they have put in.
    Leave,
    /// The member puts points into the pool by hand.
    PutIn { currency: Id, amount: i64 },
    /// Somebody of the household invites: whoever has the code, or one member alone.
    Invite { by: MemberId, to: Option<MemberId>, code: [u8; 16] },
    /// The head sends somebody away, who gets back what they have put in.
    Remove { by: MemberId, member: MemberId },
    /// Somebody else is the head from now on.
    NewHead { by: MemberId, to: MemberId },
}

/// What a household and its people tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HouseholdNews {
    /// To the household: it is there from now on.
    Made {
        #[serde(with = "member_text")]
        head: MemberId,
    },
    /// To the household: somebody accepts an invitation.
    Join {
        #[serde(with = "member_text")]
        member: MemberId,
        code: Option<[u8; 16]>,
    },
    /// To the household: somebody has left it, or the program.
    Gone {
        #[serde(with = "member_text")]
        member: MemberId,
        of_program: bool,
    },
    /// To the household: points for the pool.
    Put {
        #[serde(with = "member_text")]
        member: MemberId,
        points: Pooled,
    },
    /// To the household: what an order no longer earns, and its member no longer has, is asked back.
    Ask {
        #[serde(with = "member_text")]
        member: MemberId,
        currency: Id,
        amount: i64,
        /// The lots that the order's points went to: they come first.
        own: Vec<LotRef>,
    },
    /// To the household: an order that its pool paid for came back, or more of it. All in the smallest units of money.
    Refund {
        /// The household's own redemption.
        redemption: u64,
        order_id: CompactString,
        /// What it paid of the order.
        paid: i64,
        /// How much of that had come back before, and how much has by now.
        before: i64,
        back: i64,
    },
    /// To the household: one of its people is one with somebody else by now, or on their own again, who has their place.
    Seat {
        #[serde(with = "member_text")]
        from: MemberId,
        #[serde(with = "member_text")]
        to: MemberId,
    },
    /// To a member: they have been taken in.
    TakenIn {
        #[serde(with = "member_text")]
        household: MemberId,
    },
    /// To a member: what they had put in and take along. They belong there no longer.
    Out {
        #[serde(with = "member_text")]
        household: MemberId,
        /// Who is out: somebody else may be told in their place, who is one with them.
        #[serde(with = "member_text")]
        member: MemberId,
        points: Vec<Pooled>,
    },
    /// To a member: what was there of what was asked back.
    Back {
        #[serde(with = "member_text")]
        household: MemberId,
        asked: i64,
        points: Pooled,
    },
    /// To a member: the pool buys them a reward, if they may have it.
    RewardAsk(PoolReward),
    /// To the household: they may.
    RewardAllowed { redemption: u64 },
    /// To a member: it is bought, and what is theirs of it is given.
    RewardGive(PoolReward),
    /// To the household: they have it, and the code of its voucher.
    RewardHad { redemption: u64, voucher: Option<CompactString> },
    /// To a member: it was not bought after all, or is cancelled.
    RewardBack(PoolReward),
}

/// A reward that a household's pool buys for one of its people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolReward {
    #[serde(with = "member_text")]
    pub household: MemberId,
    /// The household's own redemption.
    pub redemption: u64,
    pub reward: Id,
    /// The version that it is redeemed under.
    pub version: u32,
    /// Business time of the redemption: limits count in its windows.
    pub at: Instant,
}

/// Points between a member and a pool, with the dates and funders they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pooled {
    pub currency: Id,
    pub lots: Vec<LotPart>,
    /// Until when undated lots would have lived where they come from. They keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<(Day, Instant)>,
}

impl Pooled {
    pub fn amount(&self) -> i64 {
        self.lots.iter().map(|part| part.amount).sum()
    }
}

impl HouseholdStep {
    /// The event type's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Found { .. } => "household",
            Self::Accept { .. } => "household-accept",
            Self::Leave => "household-leave",
            Self::PutIn { .. } => "household-put-in",
            Self::Invite { .. } => "household-invite",
            Self::Remove { .. } => "household-removal",
            Self::NewHead { .. } => "household-head",
        }
    }

    /// Whether it is about the household itself, not about one of its people.
    pub const fn is_of_household(&self) -> bool {
        matches!(self, Self::Invite { .. } | Self::Remove { .. } | Self::NewHead { .. })
    }
}

impl HouseholdNews {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Made { .. } => "household-made",
            Self::Join { .. } => "household-join",
            Self::Gone { .. } => "household-gone",
            Self::Put { .. } => "household-put",
            Self::Ask { .. } => "household-ask",
            Self::Refund { .. } => "household-refund",
            Self::Seat { .. } => "household-seat",
            Self::TakenIn { .. } => "household-taken-in",
            Self::Out { .. } => "household-out",
            Self::Back { .. } => "household-back",
            Self::RewardAsk(_) => "household-reward-ask",
            Self::RewardAllowed { .. } => "household-reward-allowed",
            Self::RewardGive(_) => "household-reward-give",
            Self::RewardHad { .. } => "household-reward-had",
            Self::RewardBack(_) => "household-reward-back",
        }
    }

    const fn is_of_household(&self) -> bool {
        !matches!(
            self,
            Self::TakenIn { .. }
                | Self::Out { .. }
                | Self::Back { .. }
                | Self::RewardAsk(_)
                | Self::RewardGive(_)
                | Self::RewardBack(_)
        )
    }

    /// The household's own redemption that this is about, at the household.
    pub const fn names_redemption(&self) -> Option<u64> {
        match self {
            Self::Refund { redemption, .. }
            | Self::RewardAllowed { redemption }
            | Self::RewardHad { redemption, .. } => Some(*redemption),
            _ => None,
        }
    }

    /// The redemption of a reward that one of the people was told about.
    pub const fn of_reward(&self) -> Option<u64> {
        match self {
            Self::RewardAsk(of) | Self::RewardGive(of) | Self::RewardBack(of) => Some(of.redemption),
            _ => None,
        }
    }
}

impl What {
    /// Whether it makes a household.
    pub const fn makes_household(&self) -> bool {
        matches!(self, Self::HouseholdNews(HouseholdNews::Made { .. }))
    }

    /// Whether only a household has this happen to it.
    pub const fn is_of_household(&self) -> bool {
        match self {
            Self::Household(step) => step.is_of_household(),
            Self::HouseholdNews(news) => news.is_of_household(),
            _ => false,
        }
    }

    /// Whether it may be about a household. Everything else is about members.
    pub const fn may_be_of_household(&self) -> bool {
        self.is_of_household()
            || matches!(
                self,
                Self::Redeem(_)
                    | Self::Capture(_)
                    | Self::Void { .. }
                    | Self::ReturnRedemption(_)
                    | Self::Fulfil(_)
                    | Self::PartnerStep(_)
                    | Self::GiftCardTakenBack(_)
                    | Self::FollowUpRefused(_)
                    | Self::WakeUp
            )
    }
}
