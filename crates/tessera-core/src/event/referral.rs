use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::id::{MemberId, member_text};
use crate::member::Paid;
use crate::time::Instant;

/// What the one side of a referral tells the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferralStep {
    /// To the referrer: a friend joined, or waits again for a purchase that stays.
    Joined {
        #[serde(with = "member_text")]
        friend: MemberId,
    },
    /// To the referrer: a friend qualified; it pays then unless the order comes back.
    Waits {
        #[serde(with = "member_text")]
        friend: MemberId,
        until: Instant,
    },
    /// To the referrer: a friend has qualified for good.
    Qualified {
        #[serde(with = "member_text")]
        friend: MemberId,
        version: u32,
        /// The friend's devices, as keyed hashes.
        devices: Vec<CompactString>,
        /// The friend's household.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "member_text::optional")]
        household: Option<MemberId>,
    },
    /// To the friend: it pays; with what it paid the referrer, or why that was nothing.
    Paid { referrer: Paid, reason: Option<CompactString> },
    /// To the friend: it does not pay.
    Refused { reason: CompactString },
    /// To the referrer: the friend's order came back.
    Reversed {
        #[serde(with = "member_text")]
        friend: MemberId,
        version: u32,
        paid: Paid,
    },
}

impl ReferralStep {
    /// The event type's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Joined { .. } => "referral-joined",
            Self::Waits { .. } => "referral-waits",
            Self::Qualified { .. } => "referral-qualified",
            Self::Paid { .. } => "referral-paid",
            Self::Refused { .. } => "referral-refused",
            Self::Reversed { .. } => "referral-reversed",
        }
    }
}
