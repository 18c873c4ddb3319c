use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::Basis;
use crate::event::{Order, Returned};
use crate::id::{EventId, MemberId};
use crate::ledger::LotRef;
use crate::member::MemberState;
use crate::program::Id;
use crate::quantity::{Amount, Points};
use crate::time::Instant;
use crate::voucher::CodeUse;

/// An order as a later event about it finds it.
#[derive(Clone, Debug)]
pub struct OrderRecord {
    pub order_id: CompactString,
    /// Whose order it is now: of one who was merged it is the survivor's.
    pub member: MemberId,
    /// Whose event made it.
    pub made_by: MemberId,
    /// The event that made it, as the member's state names it.
    pub event: u64,
    pub effective_at: Instant,
    /// What the order was decided on.
    pub basis: Basis,
    /// The order as last corrected.
    pub content: Order,
    /// What it was credited with when it was made.
    pub credits: Vec<Credit>,
    /// The codes it was made with.
    pub vouchers: Vec<CodeUse>,
    /// `None` while nothing has happened to it since.
    pub progress: Option<OrderProgress>,
}

/// Points an order brought, and the lot they went to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    pub currency: Id,
    pub amount: i64,
    /// `None` for what repaid debt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<LotRef>,
    /// Of what was taken back: it had expired before, so nothing moved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
}

impl Credit {
    pub(super) fn new(currency: &Id, amount: Points, lot: Option<LotRef>) -> Self {
        Self { currency: currency.clone(), amount: amount.get(), lot, expired: false }
    }
}

/// How far returns and corrections of an order have come. Kept with the order's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderProgress {
    /// The event whose data are the order's content: the last amendment, else the order's own.
    pub content: u64,
    pub returned: Returned,
    /// What the order has brought by now, by currency: credits less what was taken back.
    pub net: BTreeMap<Id, i64>,
    /// The part of `net` that is base points.
    pub net_base: BTreeMap<Id, i64>,
    /// What counts as spent by now.
    pub spend: Amount,
    /// What the order has used of limits and budgets by now, as far as returns give it back.
    pub usage: BTreeMap<CompactString, i64>,
    /// Limits under which a correction found less room than the purchase had: others have used it since.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rooms: BTreeMap<CompactString, i64>,
    /// How rounding of the order changed what its rules carry on to the next event (M2).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carried: BTreeMap<CompactString, CompactString>,
    /// Taken back so far, in order: from its own waits and lots, open or expired, then from others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Credit>,
    /// Points given back of what paid for the order, by redemption (R7).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunded: BTreeMap<u64, i64>,
    /// Sent back to gift cards (V3) and pools (P5) that paid for the order, in the money's smallest units, by their
    /// redemption.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub to_cards: BTreeMap<CompactString, i64>,
    /// Not taken back because nothing was left (R6 `clamp`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forgiven: BTreeMap<Id, i64>,
    /// Of what was taken back, what became debt (R6).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owed: BTreeMap<Id, i64>,
    /// Given by amendments, besides the order's own credits; or where its points matured to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Credit>,
    /// Currencies whose pending points an event made spendable, before they had matured by themselves.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub released: BTreeSet<Id>,
    /// Goes up by one with each event about the order.
    pub changes: u64,
    /// Whose events these are, where they are not those of whoever made the order: of the survivor of a merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<MemberId>,
}

impl OrderRecord {
    /// The order as the survivor of a merge names what it rests on. `by`: whose events its progress names.
    ///
    /// `None` as long as the survivor does not know of the merge.
    #[must_use]
    pub fn of_survivor(mut self, by: &MemberState, survivor: &MemberState) -> Option<Self> {
        let made_by = self.made_by;
        let event = |seq: u64| survivor.number_of(EventId { member: made_by, seq });
        let renamed = |credit: &mut Credit, number: &dyn Fn(u64) -> Option<u64>| {
            if let Some(lot) = &mut credit.lot {
                lot.order = lot.order.and_then(number);
            }
        };
        self.event = event(self.event)?;
        self.member = survivor.id;
        self.credits.iter_mut().for_each(|credit| renamed(credit, &event));
        if let Some(progress) = &mut self.progress {
            let number = |known: u64| survivor.number_from(by, known);
            progress.content = number(progress.content).unwrap_or(self.event);
            progress.taken.iter_mut().chain(&mut progress.added).for_each(|credit| renamed(credit, &number));
            let refunded = std::mem::take(&mut progress.refunded);
            progress.refunded =
                refunded.into_iter().filter_map(|(known, amount)| Some((number(known)?, amount))).collect();
            progress.by = Some(survivor.id);
        }
        Some(self)
    }

    /// Whose events the progress of this order names, where it is told.
    pub(super) fn named_by(&self) -> Option<MemberId> {
        (self.made_by != self.member).then_some(self.member)
    }
}
