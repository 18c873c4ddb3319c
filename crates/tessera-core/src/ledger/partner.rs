//! What a partner delivers for a redemption, as far as it has come.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::program::Id;
use crate::time::Instant;

/// An order at a partner. What it was delivered as, such as a code, lies sealed in a table of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtPartner {
    pub partner: Id,
    pub state: PartnerState,
    pub since: Instant,
    /// Until when it has to be delivered (exclusive); given up then.
    pub until: Instant,
    /// Why it was refused, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CompactString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartnerState {
    Ordered,
    /// The member has it.
    Delivered,
    Used,
    /// Nobody used it in time.
    Expired,
    /// The partner took it back, and the points went back.
    Refunded,
    /// The partner does not deliver it, or did not in time; the points went back.
    Refused,
}

impl PartnerState {
    pub const ALL: [Self; 6] =
        [Self::Ordered, Self::Delivered, Self::Used, Self::Expired, Self::Refunded, Self::Refused];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Delivered => "delivered",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
            Self::Refused => "refused",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// The number stored for it; never changes.
    pub const fn code(self) -> i64 {
        match self {
            Self::Ordered => 1,
            Self::Delivered => 2,
            Self::Used => 3,
            Self::Expired => 4,
            Self::Refunded => 5,
            Self::Refused => 6,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// What the partner may say next.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Ordered => &[Self::Delivered, Self::Refused],
            Self::Delivered => &[Self::Used, Self::Expired, Self::Refunded],
            Self::Used | Self::Expired => &[Self::Refunded],
            Self::Refunded | Self::Refused => &[],
        }
    }

    /// Whether the points go back.
    pub const fn gives_back(self) -> bool {
        matches!(self, Self::Refunded | Self::Refused)
    }
}
