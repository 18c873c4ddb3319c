use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::id::{EventId, MemberId, member_text};
use crate::ledger::{Lot, Wait};
use crate::member::{Belonging, MemberState, Waiting};
use crate::program::Id;
use crate::quantity::Points;
use crate::time::{Day, Instant};

/// A wish to make this member one with another, to whom everything goes (P1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    pub into: MemberId,
    pub reason: Option<CompactString>,
}

/// Everything that a member had who was merged into this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The event by which they were merged.
    pub from: EventId,
    /// The member as they were before it.
    pub state: MemberState,
}

/// A wish to make two of one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmerge {
    /// Who had been merged into this member.
    pub from: MemberId,
}

/// What a member gets back who was merged and is one of their own again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenBack {
    /// The survivor's event.
    pub by: EventId,
    pub purses: Vec<BackPurse>,
    /// Places in waiting lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// Their place in a household, if it came with them and is still held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Belonging>,
}

/// What comes back of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackPurse {
    pub currency: Id,
    pub lots: Vec<Lot>,
    /// By the member's own events.
    pub waits: Vec<Wait>,
    pub debt: Points,
    /// Of what they had spent, what did not come back meanwhile.
    pub redeemed: Points,
    pub idle: Option<(Day, Instant)>,
}

impl super::What {
    /// Whether this is about somebody who was merged themselves, and not about who survived.
    pub fn is_of_merged(&self) -> bool {
        match self {
            Self::MergeBack(_) | Self::SurvivorLeft(_) | Self::WakeUp => true,
            Self::FollowUpRefused(refused) => refused.kind == "merge-in",
            _ => false,
        }
    }
}

/// Whoever this member was merged into has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurvivorLeft {
    #[serde(with = "member_text")]
    pub survivor: MemberId,
    /// The person is forgotten as well.
    pub erase: bool,
}
