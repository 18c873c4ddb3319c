use serde::{Deserialize, Serialize};

use super::{Account, LotRef};
use crate::program::Id;
use crate::quantity::Points;
use crate::time::Instant;

/// Why points moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Earned.
    Accrual,
    /// Pending became spendable.
    Maturity,
    /// Taken back for a return or a correction.
    TakeBack,
    /// Given again because a correction made the order earn more than after an earlier return.
    Restoration,
    Expiry,
    /// Spent.
    Redemption,
    Adjustment,
    WriteOff,
    /// Reserved for a redemption.
    Reservation,
    /// No longer reserved: voided, not captured, or the reservation ended.
    Release,
    /// Spent, and given back: what it paid for came back, or the redemption was cancelled.
    Refund,
    /// Brought in from another system (L9).
    Import,
    /// On the way from one member to another, or arrived (P7).
    Transfer,
    /// Money paid in to a gift card.
    Load,
    /// Into or out of the pool of a household (P5).
    Pool,
}

impl EntryKind {
    pub const ALL: [Self; 15] = [
        Self::Accrual,
        Self::Maturity,
        Self::TakeBack,
        Self::Restoration,
        Self::Expiry,
        Self::Redemption,
        Self::Adjustment,
        Self::WriteOff,
        Self::Reservation,
        Self::Release,
        Self::Refund,
        Self::Import,
        Self::Transfer,
        Self::Load,
        Self::Pool,
    ];

    /// The number stored for it; never changes.
    pub const fn code(self) -> u8 {
        match self {
            Self::Accrual => 1,
            Self::Maturity => 2,
            Self::TakeBack => 3,
            Self::Restoration => 4,
            Self::Expiry => 5,
            Self::Redemption => 6,
            Self::Adjustment => 7,
            Self::WriteOff => 8,
            Self::Reservation => 9,
            Self::Release => 10,
            Self::Refund => 11,
            Self::Import => 12,
            Self::Transfer => 13,
            Self::Load => 20,
            Self::Pool => 26,
        }
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A positive amount of one currency that moves between two accounts of one member (A1). Never changed, never removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The entry's place in the member's ledger, from 1.
    pub seq: u64,
    /// The event it belongs to.
    pub event: u64,
    /// Business time.
    pub at: Instant,
    pub currency: Id,
    pub kind: EntryKind,
    pub from: Account,
    pub to: Account,
    pub amount: Points,
    pub lot: Option<LotRef>,
    /// The end of the lot's last day.
    pub expires_at: Option<Instant>,
    pub campaign: Option<Id>,
    pub version: u32,
    /// BLAKE3 over the hash before and this entry's fields: whoever changes an entry breaks every later one.
    pub hash: [u8; 32],
}

impl Entry {
    /// The hash that chains this entry to the one before.
    ///
    /// Written order, integers big-endian and texts with their length in front: previous hash, seq, event, at,
    /// currency, kind, from, to, amount, lot, expires_at, campaign, version; what is missing is an empty text or
    /// [`i64::MIN`].
    pub fn chained(&self, previous: &[u8; 32]) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(160);
        bytes.extend_from_slice(previous);
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.extend_from_slice(&self.event.to_be_bytes());
        bytes.extend_from_slice(&self.at.micros().to_be_bytes());
        push_text(&mut bytes, self.currency.as_str());
        bytes.extend_from_slice(&[self.kind.code(), self.from.code(), self.to.code()]);
        bytes.extend_from_slice(&self.amount.get().to_be_bytes());
        match &self.lot {
            Some(lot) => push_text(&mut bytes, &lot.to_string()),
            None => push_text(&mut bytes, ""),
        }
        bytes.extend_from_slice(&self.expires_at.map_or(i64::MIN, Instant::micros).to_be_bytes());
        push_text(&mut bytes, self.campaign.as_ref().map_or("", Id::as_str));
        bytes.extend_from_slice(&self.version.to_be_bytes());
        *blake3::hash(&bytes).as_bytes()
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}
