use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Account, Entry, EntryKind, Lot, LotRef};
use crate::program::Id;
use crate::quantity::Points;
use crate::time::{Day, Instant};

/// Everything a member has in one currency: a fold of its entries.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purse {
    pub currency: Id,
    /// Open lots in spending order (L1); none is empty.
    pub lots: Vec<Lot>,
    /// What is pending, by the event that earned it.
    pub waits: Vec<Wait>,
    pub debt: Points,
    pub totals: Totals,
    /// For a currency that expires by inactivity: the last day, and its end.
    pub idle: Option<(Day, Instant)>,
}

/// What moved in the whole membership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Earned, gross of what was taken back.
    pub issued: Points,
    pub taken_back: Points,
    /// Spent, net of what came back.
    pub redeemed: Points,
    pub expired: Points,
    pub adjusted_in: Points,
    pub adjusted_out: Points,
    pub imported: Points,
    pub written_off: Points,
}

/// Points of one event that are not yet spendable (L6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The earning event.
    pub event: u64,
    pub order_id: Option<CompactString>,
    /// The business day of earning.
    pub earned_on: Day,
    /// When it becomes spendable by itself.
    pub matures_at: Option<Instant>,
    /// The event type that makes it spendable.
    pub until: Option<Id>,
    /// The version whose settings hold at maturity.
    pub version: u32,
    /// Base points that count to tiers once it has matured.
    pub base: Points,
    /// With the expiry they will have; for currencies whose expiry counts from maturity without one.
    pub lots: Vec<Lot>,
}

impl Clone for Purse {
    /// With room for another lot: a purse is copied to add to it, and without it all lots would be copied again.
    fn clone(&self) -> Self {
        let mut lots = Vec::with_capacity(self.lots.len() + 1);
        lots.extend_from_slice(&self.lots);
        Self { currency: self.currency.clone(), lots, waits: self.waits.clone(), ..*self }
    }
}

impl Purse {
    pub fn new(currency: Id) -> Self {
        Self {
            currency,
            lots: Vec::new(),
            waits: Vec::new(),
            debt: Points::ZERO,
            totals: Totals::default(),
            idle: None,
        }
    }

    /// Points in open lots.
    pub fn active(&self) -> Points {
        self.lots.iter().map(|lot| lot.remaining).sum()
    }

    pub fn pending(&self) -> Points {
        self.waits.iter().flat_map(|wait| &wait.lots).map(|lot| lot.remaining).sum()
    }

    /// L1: open lots less debt. Below zero while the member owes.
    pub fn balance(&self) -> i64 {
        self.active().get() - self.debt.get()
    }

    pub fn lot(&self, key: &LotRef) -> Option<&Lot> {
        self.lots.iter().find(|lot| lot.is(key))
    }

    /// Notes when the points were earned that the event's entries put into a lot, which it makes room for.
    pub(crate) fn label(&mut self, key: &LotRef, expires_at: Option<Instant>, earned_at: Instant) {
        let lots = match key.order {
            Some(event) => match self.waits.iter_mut().find(|wait| wait.event == event) {
                Some(wait) => &mut wait.lots,
                None => return,
            },
            None => &mut self.lots,
        };
        let mut lot = match lots.iter().position(|lot| lot.is(key)) {
            Some(place) => lots.remove(place),
            None => Lot {
                last_day: key.last_day,
                expires_at,
                funder: key.funder.clone(),
                earned_at,
                remaining: Points::ZERO,
            },
        };
        lot.earned_at = lot.earned_at.min(earned_at);
        insert(lots, lot);
    }

    /// Folds one entry of this currency; `earned_at` is the label of the lot that it may make. An entry that takes more
    /// than is there leaves zero; `verify` finds it.
    pub fn apply(&mut self, entry: &Entry, earned_at: Instant) {
        self.leave(entry);
        self.arrive(entry, earned_at);
        let totals = &mut self.totals;
        if entry.from == Account::Redeemed {
            totals.redeemed = totals.redeemed.less(entry.amount);
        }
        match (entry.kind, entry.from, entry.to) {
            (_, Account::Issued, _) => totals.issued += entry.amount,
            (_, _, Account::Issued) => totals.taken_back += entry.amount,
            (_, _, Account::Redeemed) => totals.redeemed += entry.amount,
            (_, _, Account::Expired) => totals.expired += entry.amount,
            (_, Account::Adjusted, _) => totals.adjusted_in += entry.amount,
            (_, _, Account::Adjusted) => totals.adjusted_out += entry.amount,
            (_, Account::Imported, _) => totals.imported += entry.amount,
            (_, _, Account::WrittenOff) => totals.written_off += entry.amount,
            _ => {}
        }
    }

    fn leave(&mut self, entry: &Entry) {
        match entry.from {
            Account::Active => {
                if let Some(key) = &entry.lot {
                    // A maturing entry names the pending lot; only active lots are left here.
                    if let Some(lot) = self.lots.iter_mut().find(|lot| lot.is(key)) {
                        lot.remaining = lot.remaining.less(entry.amount);
                    }
                    self.lots.retain(|lot| !lot.remaining.is_zero());
                }
            }
            Account::Pending => {
                if let Some(key) = &entry.lot {
                    let from = |wait: &&mut Wait| Some(wait.event) == key.order;
                    if let Some(wait) = self.waits.iter_mut().find(from) {
                        wait.leave(key, entry);
                    }
                    // Only the drained one goes: another may just be waiting for its first entry.
                    self.waits.retain(|wait| Some(wait.event) != key.order || !wait.lots.is_empty());
                }
            }
            Account::Debt => self.debt += entry.amount,
            _ => {}
        }
    }

    fn arrive(&mut self, entry: &Entry, earned_at: Instant) {
        match entry.to {
            Account::Active => {
                let key = entry.lot.clone().unwrap_or_default();
                add(&mut self.lots, &key, entry, earned_at);
            }
            Account::Pending => {
                let Some(key) = &entry.lot else { return };
                if let Some(wait) = self.waits.iter_mut().find(|wait| Some(wait.event) == key.order) {
                    add(&mut wait.lots, key, entry, entry.at);
                }
            }
            Account::Debt => self.debt = self.debt.less(entry.amount),
            _ => {}
        }
    }
}

impl Wait {
    /// The version of what was earned in another system: it counts to nothing here, and what the document says at
    /// maturity holds for it.
    pub const FROM_ELSEWHERE: u32 = 0;

    fn leave(&mut self, key: &LotRef, entry: &Entry) {
        // At maturity the expiry may be fixed only now: the entry then names the new last day, and any lot of the
        // same funder pays.
        let exact = self.lots.iter().position(|lot| lot.is(key));
        let same_funder = || self.lots.iter().position(|lot| lot.funder == key.funder);
        let index = match entry.kind {
            EntryKind::Maturity => exact.or_else(same_funder),
            _ => exact,
        };
        if let Some(index) = index {
            let lot = &mut self.lots[index];
            lot.remaining = lot.remaining.less(entry.amount);
        }
        self.lots.retain(|lot| !lot.remaining.is_zero());
    }
}

/// Adds to the lot of that key, or makes it at its place in the spending order.
fn add(lots: &mut Vec<Lot>, key: &LotRef, entry: &Entry, earned_at: Instant) {
    if let Some(index) = lots.iter().position(|lot| lot.is(key)) {
        lots[index].remaining += entry.amount;
        if earned_at < lots[index].earned_at {
            let mut lot = lots.remove(index);
            lot.earned_at = earned_at;
            insert(lots, lot);
        }
        return;
    }
    let lot = Lot {
        last_day: key.last_day,
        expires_at: entry.expires_at,
        funder: key.funder.clone(),
        earned_at,
        remaining: entry.amount,
    };
    insert(lots, lot);
}

fn insert(lots: &mut Vec<Lot>, lot: Lot) {
    let place = lots.partition_point(|other| other.spending_order() < lot.spending_order());
    lots.insert(place, lot);
}
