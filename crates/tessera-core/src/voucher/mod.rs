//! Vouchers: codes that can be read, typed and guessed by nobody, and what they take off an order (V1, V2, C3, M3).

mod discount;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

pub use discount::{Candidate, Conflict, Discount, discounts, worth};
pub(crate) use discount::{Left, named_lines};

pub use crate::code::{Normal, as_shown, is_mistyped, normalise};
use crate::id::{EventId, MemberId};
use crate::program::Id;
use crate::time::Instant;

/// Vouchers on one order: more is no shopping.
pub const VOUCHERS_MAX: usize = 10;

/// A code as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRecord {
    /// As it is looked up: see [`normalise`].
    pub code: CompactString,
    pub voucher: Id,
    /// The version it was issued under: its terms hold, whatever the document says later.
    pub version: u32,
    /// Whom it was issued to; nobody's for a code that whoever has it may use.
    pub owner: Option<MemberId>,
    pub issued_at: Instant,
    /// Exclusive.
    pub expires_at: Option<Instant>,
    pub status: CodeStatus,
    /// How often it may be used in all; `None`: as often as members like.
    pub most: Option<i64>,
    /// The pool that counts the uses of a code that many share.
    pub pool: Option<CompactString>,
    /// Uses so far, of a code that is not shared.
    pub uses: i64,
    /// The event that used it last.
    pub last: Option<EventId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeStatus {
    #[default]
    Open,
    Cancelled,
}

impl CodeStatus {
    /// The number stored for it; never changes.
    pub const fn code(self) -> i64 {
        match self {
            Self::Open => 1,
            Self::Cancelled => 2,
        }
    }

    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Open),
            2 => Some(Self::Cancelled),
            _ => None,
        }
    }
}

impl CodeRecord {
    /// `open`, `used`, `expired` or `cancelled`, as at an instant; `used` only where the uses are its own.
    pub fn state(&self, now: Instant) -> &'static str {
        if self.status == CodeStatus::Cancelled {
            "cancelled"
        } else if self.most.is_some_and(|most| self.uses >= most) {
            "used"
        } else if self.has_expired(now) {
            "expired"
        } else {
            "open"
        }
    }

    pub fn has_expired(&self, at: Instant) -> bool {
        self.expires_at.is_some_and(|end| end <= at)
    }
}

/// That an event used a code, or gave a use of it back. Kept with the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeUse {
    pub code: CompactString,
    pub voucher: Id,
    /// The version whose terms held.
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<CompactString>,
    /// The event whose use is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<u64>,
}

impl CodeUse {
    /// What it adds to the uses of its code.
    pub const fn by(&self) -> i64 {
        if self.back.is_some() { -1 } else { 1 }
    }
}
