//! What orders that came back could not take from their own lots.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::MemberState;
use crate::ledger::LotRef;
use crate::program::Id;

/// Points of an order that were away when the order came back: reserved or spent. Others went for them, or they were owed.
/// Once they are home this is undone, so that it is as if they had been there (R1, R7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// The event that made the order.
    pub order: u64,
    pub order_id: CompactString,
    pub currency: Id,
    /// Of each lot of the order's own, how much was not found there.
    pub own: Vec<(LotRef, i64)>,
    /// What was taken for it from other lots, in order.
    pub instead: Vec<(LotRef, i64)>,
    /// What became debt, as far as nothing has repaid it.
    pub owed: i64,
    pub forgiven: i64,
    /// What has come home since. The order's progress does not say it yet.
    pub home: Vec<CameHome>,
}

/// Points of an order's own lot that came home after the order, and went for it at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameHome {
    pub lot: LotRef,
    pub amount: i64,
    /// The lot had died: nothing moved.
    pub dead: bool,
}

impl Shortfall {
    /// How much the order has had from elsewhere.
    pub fn gap(&self) -> i64 {
        self.instead.iter().map(|(_, amount)| amount).sum::<i64>() + self.owed + self.forgiven
    }

    /// How much of it would be undone if so much were in a lot.
    pub fn short_of(&self, lot: &LotRef) -> i64 {
        let short = self.own.iter().filter(|(known, _)| known == lot).map(|(_, short)| *short).sum::<i64>();
        short.min(self.gap())
    }

    /// So much of a lot has come home.
    pub fn found(&mut self, lot: &LotRef, amount: i64, dead: bool) {
        for (_, short) in self.own.iter_mut().filter(|(known, _)| known == lot) {
            *short -= amount;
        }
        self.own.retain(|(_, short)| *short > 0);
        match self.home.iter_mut().find(|known| known.lot == *lot && known.dead == dead) {
            Some(known) => known.amount += amount,
            None => self.home.push(CameHome { lot: lot.clone(), amount, dead }),
        }
    }

    /// What is owed for points that may still come home.
    pub fn may_be_repaid(&self) -> i64 {
        if self.own.is_empty() { 0 } else { self.owed }
    }

    /// Whether there is nothing to remember.
    pub fn is_over(&self) -> bool {
        self.gap() == 0 && self.home.is_empty()
    }
}

impl MemberState {
    /// Orders that are remembered with what they had from elsewhere; more forget the first.
    pub const SHORTFALLS_MAX: usize = 50;

    /// What an order has from elsewhere in a currency, in the place of what was known.
    pub(super) fn set_shortfall(&mut self, shortfall: &Shortfall) {
        let is_same = |known: &Shortfall| known.order == shortfall.order && known.currency == shortfall.currency;
        let place = self.shortfalls.iter().position(is_same);
        match place {
            Some(place) if shortfall.is_over() => drop(self.shortfalls.remove(place)),
            Some(place) => self.shortfalls[place] = shortfall.clone(),
            None if shortfall.is_over() => {}
            None => {
                let before = self.shortfalls.partition_point(|known| known.order <= shortfall.order);
                self.shortfalls.insert(before, shortfall.clone());
                if self.shortfalls.len() > Self::SHORTFALLS_MAX {
                    self.shortfalls.remove(0);
                }
            }
        }
    }

    /// Those of somebody who comes, by the numbers of this state.
    pub(super) fn take_shortfalls(&mut self, from: &Self) {
        for theirs in &from.shortfalls {
            if let Some(order) = self.number_from(from, theirs.order) {
                self.set_shortfall(&Shortfall { order, ..theirs.clone() });
            }
        }
    }

    pub(super) fn let_shortfalls_go(&mut self, from: &Self) {
        let numbers: Vec<Option<u64>> =
            from.shortfalls.iter().map(|theirs| self.number_from(from, theirs.order)).collect();
        self.shortfalls.retain(|known| !numbers.contains(&Some(known.order)));
    }
}
