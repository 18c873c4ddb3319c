//! Taking points back: in which order, and what happens when there are not enough (R5, R6).

use std::collections::BTreeMap;

use compact_str::CompactString;

use super::expiry;
use super::outcome::{Effect, EffectKind, points};
use super::working::{Posting, Working};
use super::{Credit, OrderProgress, OrderRecord, Rejected};
use crate::ledger::{Account, Entry, EntryKind, Lot, LotRef};
use crate::program::{CountsFrom, Id, Overdraft, Program};
use crate::quantity::Points;

impl Working<'_> {
    /// Takes what an order no longer earns: its pending points, then its own lots, then others by L1, then debt.
    ///
    /// Of its own points those that have expired are gone already: nothing is taken for them, neither from other lots
    /// nor as debt, since the member would lose them twice (R2).
    ///
    /// `progress` remembers what was taken from where, so that several returns take as one would, and a correction
    /// gives back exactly that.
    pub(super) fn take_back(
        &mut self,
        record: &OrderRecord,
        currency: &Id,
        amount: Points,
        progress: &mut OrderProgress,
    ) -> Result<(), Rejected> {
        let mut due = self.take_pending(record.event, currency, amount, progress);
        let mut expired = Points::ZERO;
        for (lot, put) in own_lots(&self.rules_of(record), record, progress, currency) {
            let most = not_yet_taken(progress, currency, &lot, put);
            let gone = self.count_expired(record, currency, &lot, most.min(due), progress);
            (expired, due) = (expired + gone, due.less(gone));
            due = due.less(self.take_from_own(currency, &lot, due.min(most.less(gone)), progress));
        }
        let amount = amount.less(expired);
        while let Some(lot) = self.first_lot(currency).filter(|_| !due.is_zero()) {
            due = due.less(self.take_from_own(currency, &lot, due, progress));
        }
        let own =
            own_lots(&self.rules_of(record), record, progress, currency).into_iter().map(|(lot, _)| lot).collect();
        let asked = self.ask_pool(currency, due, own);
        if !asked.is_zero() {
            *progress.owed.entry(currency.clone()).or_insert(0) += asked.get();
            due = due.less(asked);
        }
        let order_id = (!record.order_id.is_empty()).then(|| record.order_id.clone());
        let effect = |kind, amount: Points| Effect {
            order_id: order_id.clone(),
            ..Effect::points(kind, currency, amount.get())
        };
        if !expired.is_zero() {
            self.effect(effect(EffectKind::AlreadyExpired, expired));
        }
        let overdraft =
            self.program.currency(currency.as_str()).map(|definition| definition.overdraft).unwrap_or_default();
        match overdraft {
            _ if amount.is_zero() => {}
            _ if due.is_zero() => self.effect(effect(EffectKind::TakenBack, amount)),
            Overdraft::Debt => {
                let posting = Posting { currency, amount: due, lot: None, expires_at: None, campaign: None };
                self.post(EntryKind::TakeBack, Account::Debt, Account::Issued, posting);
                *progress.owed.entry(currency.clone()).or_insert(0) += due.get();
                self.effect(effect(EffectKind::TakenBack, amount));
                self.effect(effect(EffectKind::Debt, due));
            }
            Overdraft::Clamp => {
                *progress.forgiven.entry(currency.clone()).or_insert(0) += due.get();
                self.effect(effect(EffectKind::TakenBack, amount.less(due)));
                self.effect(effect(EffectKind::Forgiven, due));
            }
            Overdraft::Refuse => {
                return Err(Rejected::NotEnoughToTakeBack {
                    currency: currency.clone(),
                    wanted: amount.get(),
                    available: amount.less(due).get(),
                });
            }
        }
        Ok(())
    }

    /// Counts at most so much of an own lot that has expired as taken, and says how much it was.
    fn count_expired(
        &self,
        record: &OrderRecord,
        currency: &Id,
        lot: &LotRef,
        most: Points,
        progress: &mut OrderProgress,
    ) -> Points {
        let gone = most.min(self.expired_of(record, currency, lot, progress));
        if !gone.is_zero() {
            progress.taken.push(Credit { expired: true, ..Credit::new(currency, gone, Some(lot.clone())) });
        }
        gone
    }

    /// How much of an own lot has expired and was not yet counted for the return of this or another order.
    fn expired_of(&self, record: &OrderRecord, currency: &Id, lot: &LotRef, progress: &OrderProgress) -> Points {
        // Of an order that somebody made who was merged, from when they came on; what was before is told beside.
        let first = match self.state.event_id(record.event).member == self.state.id {
            true => record.event,
            false => {
                self.state.merged_now().find(|merged| merged.id == record.made_by).map_or(0, |merged| merged.event)
            }
        };
        let events = || self.inputs.history.unwrap_or_default().iter().chain(&self.events);
        let (mut all, mut since) = (0, 0);
        let former = self.inputs.former.iter().map(|event| (event, true));
        for (event, counts) in former.chain(events().map(|event| (event, event.seq >= first))) {
            // What died while it was reserved or spent names its redemption too (L7, R7).
            let of_lot = |known: &LotRef| known.last_day == lot.last_day && known.funder == lot.funder;
            let is_expiry = |entry: &&Entry| {
                entry.kind == EntryKind::Expiry && entry.currency == *currency && entry.lot.as_ref().is_some_and(of_lot)
            };
            let amount: i64 = event.entries.iter().filter(is_expiry).map(|entry| entry.amount.get()).sum();
            all += amount;
            since += if counts { amount } else { 0 };
        }
        if since == 0 {
            return Points::ZERO;
        }
        let known = self.inputs.former.iter().chain(events()).filter_map(|event| event.record.progress.as_ref());
        let mut orders: BTreeMap<&CompactString, &OrderProgress> =
            known.map(|(order_id, progress)| (order_id, progress)).collect();
        orders.insert(&record.order_id, progress);
        let is_counted =
            |credit: &&Credit| credit.expired && credit.currency == *currency && credit.lot.as_ref() == Some(lot);
        let counted: i64 =
            orders.values().flat_map(|progress| &progress.taken).filter(is_counted).map(|credit| credit.amount).sum();
        let home = self.came_home_dead(currency, lot);
        Points::clamped(i128::from((all - counted - home).min(since)))
    }

    fn take_pending(&mut self, event: u64, currency: &Id, amount: Points, progress: &mut OrderProgress) -> Points {
        let wait = self
            .state
            .purse(currency.as_str())
            .and_then(|purse| purse.waits.iter().find(|wait| wait.event == event))
            .cloned();
        let mut due = amount;
        for lot in wait.iter().flat_map(|wait| &wait.lots) {
            let (take, rest) = due.split(lot.remaining);
            if take.is_zero() {
                break;
            }
            let reference = LotRef { order: Some(event), ..lot.key() };
            let posting = Posting {
                currency,
                amount: take,
                lot: Some(reference.clone()),
                expires_at: lot.expires_at,
                campaign: None,
            };
            self.post(EntryKind::TakeBack, Account::Pending, Account::Issued, posting);
            progress.taken.push(Credit::new(currency, take, Some(reference)));
            due = rest;
        }
        due
    }

    /// Takes at most so much back from an open lot, notes it with the order, and says how much it was.
    fn take_from_own(&mut self, currency: &Id, lot: &LotRef, most: Points, progress: &mut OrderProgress) -> Points {
        let taken = self.take_from_lot(EntryKind::TakeBack, Account::Issued, currency, lot, most);
        if !taken.is_zero() {
            progress.taken.push(Credit::new(currency, taken, Some(lot.clone())));
        }
        taken
    }

    /// Takes at most so much from an open lot, and says how much it was.
    pub(super) fn take_from_lot(
        &mut self,
        kind: EntryKind,
        to: Account,
        currency: &Id,
        lot: &LotRef,
        most: Points,
    ) -> Points {
        let there = self.state.purse(currency.as_str()).and_then(|purse| purse.lot(lot));
        let Some((remaining, expires_at)) = there.map(|lot| (lot.remaining, lot.expires_at)) else {
            return Points::ZERO;
        };
        let take = most.min(remaining);
        self.post(
            kind,
            Account::Active,
            to,
            Posting { currency, amount: take, lot: Some(lot.clone()), expires_at, campaign: None },
        );
        take
    }

    /// Takes from open lots in spending order (L1), and says how much it found.
    pub(super) fn take_from_lots(&mut self, kind: EntryKind, to: Account, currency: &Id, amount: Points) -> Points {
        let mut due = amount;
        while let Some(lot) = self.first_lot(currency).filter(|_| !due.is_zero()) {
            due = due.less(self.take_from_lot(kind, to, currency, &lot, due));
        }
        amount.less(due)
    }

    /// The lot that pays first (L1).
    pub(super) fn first_lot(&self, currency: &Id) -> Option<LotRef> {
        self.state.purse(currency.as_str()).and_then(|purse| purse.lots.first()).map(Lot::key)
    }
}

/// How much of what an order put into a lot of its own was not yet taken from it.
fn not_yet_taken(progress: &OrderProgress, currency: &Id, lot: &LotRef, put: i64) -> Points {
    let of_lot = |credit: &&Credit| credit.currency == *currency && credit.lot.as_ref() == Some(lot);
    let taken: i64 = progress.taken.iter().filter(of_lot).map(|credit| credit.amount).sum();
    points(put - taken)
}

/// The lots that an order's points went to and, where they waited, matured to; each with how much of it.
pub(super) fn own_lots(
    rules: &Program,
    record: &OrderRecord,
    progress: &OrderProgress,
    currency: &Id,
) -> Vec<(LotRef, i64)> {
    let settings = rules.currency(currency.as_str());
    let dated_at_maturity =
        settings.is_some_and(|settings| settings.pending.expiry_counts_from == CountsFrom::Maturity);
    let matured_to = settings.and_then(|settings| {
        expiry::last_day(rules, &settings.expires, settings.pending.period.after(record.basis.day)).map(|(day, _)| day)
    });
    let mut lots: Vec<(LotRef, i64)> = Vec::new();
    for credit in record.credits.iter().chain(&progress.added).filter(|credit| credit.currency == *currency) {
        let Some(lot) = credit.lot.clone() else { continue };
        let last_day = match lot.order.is_some() && dated_at_maturity {
            // An event released them: where to was noted then.
            true if progress.released.contains(currency) => continue,
            true => matured_to,
            false => lot.last_day,
        };
        let lot = LotRef { last_day, order: None, ..lot };
        match lots.iter_mut().find(|(known, _)| *known == lot) {
            Some((_, put)) => *put += credit.amount,
            None => lots.push((lot, credit.amount)),
        }
    }
    lots
}
