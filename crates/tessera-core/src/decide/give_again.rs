//! Giving points of an order again: a correction, or a return after which the rest is worth more (R1, R12).

use std::collections::BTreeMap;

use super::evaluate::Evaluation;
use super::expiry;
use super::outcome::{Effect, EffectKind, points};
use super::working::{Posting, Working};
use super::{Credit, OrderProgress, OrderRecord};
use crate::ledger::{Account, EntryKind, LotRef};
use crate::member::Change;
use crate::program::{CountsFrom, CurrencyDefinition, Id, Pending};
use crate::quantity::Points;
use crate::time::Instant;

impl Working<'_> {
    /// First what was taken back goes where it was, last taken first, so that a return and what undoes it leave no
    /// trace; the rest is dated by the order's own day.
    pub(super) fn give_again(
        &mut self,
        record: &OrderRecord,
        currency: &Id,
        amount: Points,
        full: &Evaluation,
        amended: bool,
        progress: &mut OrderProgress,
    ) {
        let waits = self.still_waits(record, currency, progress);
        let due = self.settle_what_is_owed(record, currency, amount, waits, progress);
        let more = self.put_taken_back(record, currency, due, progress, |lot| waits || lot.order.is_none());
        if !more.is_zero() {
            self.give_more(record, currency, more, full, amended, progress);
        }
        self.moved(currency);
    }

    /// Puts so much of what was taken from these lots back to them, last taken first. Says what is left to give.
    fn put_taken_back(
        &mut self,
        record: &OrderRecord,
        currency: &Id,
        due: Points,
        progress: &mut OrderProgress,
        may: impl Fn(&LotRef) -> bool,
    ) -> Points {
        let may_go_back =
            |credit: &Credit| credit.currency == *currency && !credit.expired && credit.lot.as_ref().is_some_and(&may);
        let mut more = due;
        while let Some(place) = progress.taken.iter().rposition(may_go_back).filter(|_| !more.is_zero()) {
            let lot = progress.taken[place].lot.clone().unwrap_or_default();
            let (again, rest) = more.split(Points::clamped(i128::from(progress.taken[place].amount)));
            self.put_back(record, currency, &lot, again);
            progress.taken[place].amount -= again.get();
            progress.taken.retain(|credit| credit.amount > 0);
            more = rest;
        }
        let back = due.less(more);
        if !back.is_zero() {
            let order_id = Some(record.order_id.clone());
            self.effect(Effect { order_id, ..Effect::points(EffectKind::Restored, currency, back.get()) });
        }
        more
    }

    /// What was forgiven or had expired needs no giving, and what is owed is repaid first (R6), but not with what has to
    /// wait. Says what is left to give.
    fn settle_what_is_owed(
        &mut self,
        record: &OrderRecord,
        currency: &Id,
        amount: Points,
        waits: bool,
        progress: &mut OrderProgress,
    ) -> Points {
        let forgiven = progress.forgiven.get(currency).copied().unwrap_or(0);
        let (excused, due) = amount.split(points(forgiven));
        lower(&mut progress.forgiven, currency, excused.get());
        // Pending points were taken first, so they are the last to go back: to wait, and to repay once they mature.
        let is_spendable = |credit: &&Credit| {
            credit.currency == *currency
                && !credit.expired
                && credit.lot.as_ref().is_some_and(|lot| lot.order.is_none())
        };
        let of_lots: i64 = progress.taken.iter().filter(is_spendable).map(|credit| credit.amount).sum();
        let spendable = points(of_lots + progress.owed.get(currency).copied().unwrap_or(0));
        let due = excuse_expired(currency, due, progress);
        self.note_shortfall(record, currency, progress);
        self.repay_debt(record, currency, due, if waits { spendable } else { Points::MAX })
    }

    /// Repays what is owed, with at most so much of what is given. Says what is left to give.
    fn repay_debt(&mut self, record: &OrderRecord, currency: &Id, due: Points, most: Points) -> Points {
        let owed = self.state.purse(currency.as_str()).map_or(Points::ZERO, |purse| purse.debt);
        let (repaid, rest) = due.split(owed.min(most));
        if !repaid.is_zero() {
            let posting = Posting { currency, amount: repaid, lot: None, expires_at: None, campaign: None };
            self.post(EntryKind::Restoration, Account::Issued, Account::Debt, posting);
            let order_id = Some(record.order_id.clone());
            self.effect(Effect { order_id, ..Effect::points(EffectKind::DebtRepaid, currency, repaid.get()) });
        }
        rest
    }

    /// Whether points that an order earns are still to wait (L6).
    fn still_waits(&self, record: &OrderRecord, currency: &Id, progress: &OrderProgress) -> bool {
        let rules = self.rules_of(record);
        let Some(pending) = rules.currency(currency.as_str()).map(|settings| &settings.pending) else { return false };
        let matures_at = self.matures_at(pending, record.basis.day);
        pending.waits() && !progress.released.contains(currency) && matures_at.is_none_or(|at| at > self.state.clock)
    }

    /// Puts points back to the lot, or the wait, that they were taken from.
    fn put_back(&mut self, record: &OrderRecord, currency: &Id, lot: &LotRef, amount: Points) {
        let expires_at = lot.last_day.map(|day| self.program.calendar.end(day));
        let to = if lot.order.is_some() { Account::Pending } else { Account::Active };
        if lot.order.is_some() {
            self.wait_again(record, currency);
        }
        let posting = Posting { currency, amount, lot: Some(lot.clone()), expires_at, campaign: None };
        self.post(EntryKind::Restoration, Account::Issued, to, posting);
    }

    /// Opens the wait of an order again where everything in it had been taken back. Says when it ends.
    fn wait_again(&mut self, record: &OrderRecord, currency: &Id) -> Option<Instant> {
        let rules = self.rules_of(record);
        let pending = rules.currency(currency.as_str()).map(|settings| settings.pending.clone()).unwrap_or_default();
        let matures_at = self.matures_at(&pending, record.basis.day);
        let waits = self
            .state
            .purse(currency.as_str())
            .is_some_and(|purse| purse.waits.iter().any(|wait| wait.event == record.event));
        if !waits {
            self.change(Change::Waits {
                currency: currency.clone(),
                event: record.event,
                order_id: Some(record.order_id.clone()),
                earned_on: record.basis.day,
                matures_at,
                until: pending.until,
                version: record.basis.version,
                base: Points::ZERO,
            });
        }
        matures_at
    }

    /// Gives what a correction adds to an order.
    fn give_more(
        &mut self,
        record: &OrderRecord,
        currency: &Id,
        amount: Points,
        full: &Evaluation,
        amended: bool,
        progress: &mut OrderProgress,
    ) {
        let rules = self.rules_of(record);
        let Some(settings) = rules.currency(currency.as_str()) else { return };
        let campaign = full.awards.iter().find(|award| award.currency == *currency).map(|award| award.campaign.clone());
        let kind = if amended { EffectKind::Accrual } else { EffectKind::Restored };
        let effect = Effect { order_id: Some(record.order_id.clone()), campaign: campaign.clone(), ..Effect::of(kind) };
        if !self.still_waits(record, currency, progress) {
            let spendable = CurrencyDefinition { pending: Pending::default(), ..settings.clone() };
            self.accrue(
                &spendable,
                currency,
                amount,
                None,
                record.basis.day,
                campaign.as_ref(),
                effect,
                &mut progress.added,
            );
            return;
        }
        let dated = settings.pending.expiry_counts_from == CountsFrom::Earn;
        let expiry = expiry::last_day(&rules, &settings.expires, record.basis.day).filter(|_| dated);
        let (last_day, expires_at) = expiry.unzip();
        let lot = LotRef { last_day, funder: None, order: Some(record.event) };
        let matures_at = self.wait_again(record, currency);
        let posting = Posting { currency, amount, lot: Some(lot.clone()), expires_at, campaign: campaign.as_ref() };
        self.post(EntryKind::Accrual, Account::Issued, Account::Pending, posting);
        self.effect(Effect {
            kind: EffectKind::Pending,
            currency: Some(currency.clone()),
            amount: Some(amount.get()),
            matures_at,
            expires_on: last_day,
            ..effect
        });
        progress.added.push(Credit::new(currency, amount, Some(lot)));
    }
}

/// What had expired was not taken, so it is not given again. It was the order's own, so it was taken before what came
/// from others or became debt, and is undone after that. Says what is left to give.
fn excuse_expired(currency: &Id, due: Points, progress: &mut OrderProgress) -> Points {
    let sum = |expired: bool| {
        let credits = progress.taken.iter().filter(|credit| credit.currency == *currency && credit.expired == expired);
        credits.map(|credit| credit.amount).sum::<i64>()
    };
    let owed = progress.owed.get(currency).copied().unwrap_or(0);
    let excused = (due.get() - owed - sum(false)).clamp(0, sum(true));
    let mut rest = excused;
    for credit in progress.taken.iter_mut().rev().filter(|credit| credit.currency == *currency && credit.expired) {
        let part = rest.min(credit.amount);
        credit.amount -= part;
        rest -= part;
    }
    progress.taken.retain(|credit| credit.amount > 0);
    lower(&mut progress.owed, currency, due.get());
    due.less(Points::clamped(i128::from(excused)))
}

/// Lowers a sum, at most to nothing.
fn lower(sums: &mut BTreeMap<Id, i64>, currency: &Id, by: i64) {
    if let Some(sum) = sums.get_mut(currency) {
        *sum -= by;
    }
    sums.retain(|_, sum| *sum > 0);
}
