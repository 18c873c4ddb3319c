use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::What;
use crate::id::EventId;
use crate::time::Day;

/// What is done with a gift card besides spending it, which is a redemption like any other. Amounts are in the smallest
/// units of the program's money; `code` is what is stored of a card's code: its keyed hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GiftCardStep {
    /// Makes the card. With 0 it is printed empty and loaded at the counter.
    Issue {
        code: [u8; 16],
        amount: i64,
    },
    /// A card of another system, with what is on it (L9).
    MoveIn {
        code: [u8; 16],
        parts: Vec<CardPart>,
    },
    TopUp {
        amount: i64,
    },
    /// A card that was lost pays for nothing.
    Block,
    Unblock,
    /// What is on it goes for good, and it is blocked: it was made by mistake, or the money was given back in another way.
    Void,
    /// The same card under another code: the balance moves, the old code pays for nothing.
    Replace {
        code: [u8; 16],
    },
}

/// Money on a card that dies together. `expires`: its last day, where it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CardPart {
    pub amount: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Day>,
}

/// Money that comes back to a card with the order that it paid for, for the order's member caused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiftCardRefund {
    /// The card's own redemption.
    pub redemption: u64,
    /// In the smallest units of the program's money; at most what was paid and has not come back.
    pub amount: i64,
    pub order_id: CompactString,
}

/// A card that a reward of a member gave: what the member's events and the card's tell each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardCard {
    pub redemption: EventId,
    /// In the smallest units of the program's money.
    pub amount: i64,
}

/// What a member's event causes, so that a card is made.
pub const REWARD_CARD: &str = "gift-card-reward";

impl GiftCardStep {
    /// The event type's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Issue { .. } => "gift-card",
            Self::MoveIn { .. } => "gift-card-import",
            Self::TopUp { .. } => "gift-card-top-up",
            Self::Block => "gift-card-block",
            Self::Unblock => "gift-card-unblock",
            Self::Void => "gift-card-void",
            Self::Replace { .. } => "gift-card-replacement",
        }
    }
}

impl What {
    /// Whether it may be about a gift card. Everything else is about members.
    pub const fn may_be_of_gift_card(&self) -> bool {
        matches!(self, Self::GiftCard(_) | Self::GiftCardRefund(_) | Self::GiftCardTakeBack(_) | Self::WakeUp)
            || self.is_redemption()
    }

    /// Whether it makes a gift card.
    pub const fn makes_gift_card(&self) -> bool {
        matches!(self, Self::GiftCard(GiftCardStep::Issue { .. } | GiftCardStep::MoveIn { .. }))
    }
}
