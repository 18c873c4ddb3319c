use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::id::MemberId;
use crate::program::Id;
use crate::time::{Day, Instant};

/// Who brought a member, and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    pub referrer: MemberId,
    /// The program day on which it became known.
    pub since: Day,
    pub status: ReferralStatus,
    /// Why it is refused, as a code.
    pub reason: Option<CompactString>,
    /// The order that qualified, where it was one.
    pub order_id: Option<CompactString>,
    /// The version whose settings hold since it qualified.
    pub version: u32,
    /// When it pays, while the time in which the order may come back is running.
    pub due_at: Option<Instant>,
    /// The order came back while the other side was deciding: it is reversed as soon as it is paid.
    pub is_back: bool,
    /// What it brought to this member, and to the referrer.
    pub own: Paid,
    pub referrers: Paid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferralStatus {
    Joined,
    /// The time in which the order may come back is running.
    Qualified,
    /// The referrer is deciding.
    Asked,
    Paid,
    Reversed,
    Refused,
}

/// What a referral brought to one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// The event that gave it; 0 for none.
    pub event: u64,
    pub on: Day,
    pub credits: Vec<ReferralCredit>,
}

/// Points a referral brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralCredit {
    pub currency: Id,
    pub amount: i64,
    /// Into a lot with this last day; else it repaid what was owed.
    pub in_lot: bool,
    pub last_day: Option<Day>,
}

impl Referral {
    pub fn new(referrer: MemberId, since: Day) -> Self {
        Self {
            referrer,
            since,
            status: ReferralStatus::Joined,
            reason: None,
            order_id: None,
            version: 0,
            due_at: None,
            is_back: false,
            own: Paid::default(),
            referrers: Paid::default(),
        }
    }
}
