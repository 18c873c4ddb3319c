//! What people have to do for a redemption before the member has what it gives.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::time::Instant;

/// How far a redemption has come in the hands of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilment {
    pub state: FulfilmentState,
    pub since: Instant,
    /// Who brought it there: the name of a key. `None`: the redemption itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<CompactString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentState {
    Requested,
    Approved,
    Sent,
    /// The member has it.
    Done,
    /// The member does not get it; the points are back.
    Refused,
    /// The member cancelled it; the points are back.
    Cancelled,
}

impl FulfilmentState {
    pub const ALL: [Self; 6] =
        [Self::Requested, Self::Approved, Self::Sent, Self::Done, Self::Refused, Self::Cancelled];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Sent => "sent",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// The number stored for it; never changes.
    pub const fn code(self) -> i64 {
        match self {
            Self::Requested => 1,
            Self::Approved => 2,
            Self::Sent => 3,
            Self::Done => 4,
            Self::Refused => 5,
            Self::Cancelled => 6,
        }
    }

    /// Where somebody may bring it from here. `Cancelled` comes by returning the redemption, as long as nothing was
    /// sent.
    pub const fn next(self, needs_approval: bool) -> &'static [Self] {
        match self {
            Self::Requested if needs_approval => &[Self::Approved, Self::Refused],
            Self::Requested | Self::Approved => &[Self::Sent, Self::Done, Self::Refused],
            Self::Sent => &[Self::Done, Self::Refused],
            Self::Done | Self::Refused | Self::Cancelled => &[],
        }
    }

    /// Whether the member may still cancel it.
    pub const fn may_be_cancelled(self) -> bool {
        matches!(self, Self::Requested | Self::Approved)
    }
}
