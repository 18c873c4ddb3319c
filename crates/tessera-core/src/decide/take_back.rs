//! Taking points back: in which order, and what happens when there are not enough (R5, R6).

use super::outcome::{Effect, EffectKind};
use super::working::{Posting, Working};
use super::{Credit, OrderRecord, Rejected};
use crate::ledger::{Account, EntryKind, LotRef};
use crate::program::{Id, Overdraft};
use crate::quantity::Points;

impl Working<'_> {
    /// Takes what an order no longer earns: its pending points, then its own lots, then others by L1, then debt.
    ///
    /// `taken` remembers what was taken from the order's own lots, so that several returns take as one would.
    pub(super) fn take_back(&mut self, record: &OrderRecord, currency: &Id, amount: Points, taken: &mut Vec<Credit>) -> Result<(), Rejected> {
        let mut due = amount;
        due = self.take_pending(record.event, currency, due);
        let own: Vec<(LotRef, i64)> = Self::credits_of(record)
            .filter(|credit| credit.currency == *currency)
            .filter_map(|credit| credit.lot.clone().map(|lot| (LotRef { order: None, ..lot }, credit.amount)))
            .collect();
        for (lot, put) in own {
            let before: i64 = taken.iter().filter(|credit| credit.currency == *currency && credit.lot.as_ref() == Some(&lot)).map(|credit| credit.amount).sum();
            let most = Points::clamped(i128::from(put - before));
            let there = self.state.purse(currency.as_str()).and_then(|purse| purse.lot(&lot)).cloned();
            let Some(there) = there else { continue };
            let (take, _) = due.split(most.min(there.remaining));
            if take.is_zero() {
                continue;
            }
            let posting = Posting { currency, amount: take, lot: Some(lot.clone()), expires_at: there.expires_at, campaign: None };
            self.post(EntryKind::TakeBack, Account::Active, Account::Issued, posting);
            taken.push(Credit { currency: currency.clone(), amount: take.get(), lot: Some(lot) });
            due = due.less(take);
        }
        due = due.less(self.take_from_lots(EntryKind::TakeBack, Account::Issued, currency, due));
        let order_id = (!record.order_id.is_empty()).then(|| record.order_id.clone());
        let effect = |kind, amount: Points| Effect { order_id: order_id.clone(), ..Effect::points(kind, currency, amount.get()) };
        let overdraft = self.program.currency(currency.as_str()).map(|definition| definition.overdraft).unwrap_or_default();
        match overdraft {
            _ if due.is_zero() => self.effect(effect(EffectKind::TakenBack, amount)),
            Overdraft::Debt => {
                let posting = Posting { currency, amount: due, lot: None, expires_at: None, campaign: None };
                self.post(EntryKind::TakeBack, Account::Debt, Account::Issued, posting);
                self.effect(effect(EffectKind::TakenBack, amount));
                self.effect(effect(EffectKind::Debt, due));
            }
            Overdraft::Clamp => {
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

    fn take_pending(&mut self, event: u64, currency: &Id, amount: Points) -> Points {
        let wait = self.state.purse(currency.as_str()).and_then(|purse| purse.waits.iter().find(|wait| wait.event == event)).cloned();
        let mut due = amount;
        for lot in wait.iter().flat_map(|wait| &wait.lots) {
            let (take, rest) = due.split(lot.remaining);
            let reference = LotRef { last_day: lot.last_day, funder: lot.funder.clone(), order: Some(event) };
            let posting = Posting { currency, amount: take, lot: Some(reference), expires_at: lot.expires_at, campaign: None };
            self.post(EntryKind::TakeBack, Account::Pending, Account::Issued, posting);
            due = rest;
        }
        due
    }

    /// Takes from open lots in spending order (L1), and says how much it found.
    pub(super) fn take_from_lots(&mut self, kind: EntryKind, to: Account, currency: &Id, amount: Points) -> Points {
        let lots = self.state.purse(currency.as_str()).map(|purse| purse.lots.clone()).unwrap_or_default();
        let mut due = amount;
        for lot in lots {
            let (take, rest) = due.split(lot.remaining);
            let posting = Posting { currency, amount: take, lot: Some(lot.key()), expires_at: lot.expires_at, campaign: None };
            self.post(kind, Account::Active, to, posting);
            due = rest;
            if due.is_zero() {
                break;
            }
        }
        amount.less(due)
    }

}
