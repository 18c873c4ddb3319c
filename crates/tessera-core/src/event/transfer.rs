use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::id::{EventId, MemberId, member_text};
use crate::ledger::LotPart;
use crate::program::Id;
use crate::time::{Day, Instant};

/// A wish to send points to another member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub to: MemberId,
    pub currency: Id,
    /// Units that are to arrive, at least 1; a fee comes on top.
    pub amount: i64,
    /// The caller's name for what is said with it. The text itself is kept by the caller.
    pub message: Option<CompactString>,
}

/// Points that another member sent, with the dates and funders they had there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    pub from: EventId,
    pub currency: Id,
    /// Amounts by the sender's lots.
    pub lots: Vec<LotPart>,
    /// Until when undated lots would have lived at the sender's: the last day, and its end. They keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<(Day, Instant)>,
    /// What the sender paid on top, by lots: it goes back with the rest if the points cannot arrive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fee: Vec<LotPart>,
    /// The program day of sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_on: Option<Day>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<CompactString>,
    /// The household that it stays in.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "member_text::optional")]
    pub household: Option<MemberId>,
}

impl Arrival {
    /// Units on the way.
    pub fn amount(&self) -> i64 {
        self.lots.iter().map(|part| part.amount).sum()
    }
}
