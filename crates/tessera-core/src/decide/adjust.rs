//! Balances changed by hand: for which reason, by whom, up to which limit, and undone (A2).

use compact_str::{CompactString, format_compact};

use super::outcome::{Effect, EffectKind, points};
use super::working::{Posting, Working};
use super::{EventStatus, Rejected};
use crate::event::{Adjustment, Asker, Undone};
use crate::ledger::{Account, EntryKind, LotRef};
use crate::program::{AdjustmentsDefinition, CurrencyDefinition, Id, Overdraft, Program};
use crate::quantity::Points;
use crate::time::{Day, Instant};

/// The pool that counts what a key and its staff moved of a currency in a program day.
fn day_pool(currency: &Id, by: &Asker, day: Day) -> CompactString {
    match &by.staff {
        Some(staff) => format_compact!("pool:adjust/{currency}/{}/{staff}/{day}", by.key),
        None => format_compact!("pool:adjust/{currency}/{}/{day}", by.key),
    }
}

/// The pool that an adjustment draws on, where the document limits what a role moves in a day.
pub fn adjustment_pool(program: &Program, adjustment: &Adjustment, at: Instant) -> Option<CompactString> {
    let by = adjustment.by.as_ref().filter(|by| !by.approved)?;
    program.definition.adjustments.as_ref()?.per_day(by.role.as_ref(), &adjustment.currency)?;
    Some(day_pool(&adjustment.currency, by, program.calendar.day(at)))
}

impl Working<'_> {
    pub(super) fn adjust(&mut self, adjustment: &Adjustment) -> Result<(), Rejected> {
        let program = self.inputs.versions.at(self.at_effective()).clone();
        let currency = &adjustment.currency;
        let Some(definition) = program.currency(currency.as_str()) else {
            return Err(Rejected::UnknownCurrency { currency: currency.clone() });
        };
        if adjustment.amount == 0 {
            return Err(Rejected::NothingToAdjust);
        }
        self.program = program.clone();
        if let (Some(rules), Some(by)) = (&program.definition.adjustments, &adjustment.by) {
            reason_allows(rules, adjustment)?;
            self.role_allows(rules, adjustment, by)?;
        }
        self.open_main("adjustment", EventStatus::Applied);
        match &adjustment.undoes {
            Some(undone) => self.undo(definition, currency, undone)?,
            None if adjustment.amount > 0 => self.adjust_up(definition, currency, adjustment.amount),
            None => self.adjust_down(definition, currency, -adjustment.amount)?,
        }
        self.effect(Effect::points(EffectKind::Adjusted, currency, adjustment.amount));
        self.expire_dead_on_arrival();
        self.moved(currency);
        self.follow_causes();
        Ok(())
    }

    /// What a role moves at a time and in a day; above it a second person has to agree.
    fn role_allows(
        &mut self,
        rules: &AdjustmentsDefinition,
        adjustment: &Adjustment,
        by: &Asker,
    ) -> Result<(), Rejected> {
        let (currency, wanted) = (&adjustment.currency, magnitude(adjustment.amount));
        if by.approved {
            return Ok(());
        }
        if let Some(most) = rules.alone(by.role.as_ref(), currency).filter(|most| wanted > *most) {
            return Err(match rules.highest(currency).filter(|highest| wanted > *highest) {
                Some(most) => Rejected::AdjustmentTooLarge { currency: currency.clone(), wanted, most },
                None => Rejected::SecondApprovalNeeded { currency: currency.clone(), wanted, most },
            });
        }
        if let Some(most) = rules.per_day(by.role.as_ref(), currency) {
            let pool = day_pool(currency, by, self.program.calendar.day(self.at_effective()));
            let used = self.used_of_pool(&pool);
            if used.saturating_add(wanted) > most {
                return Err(Rejected::AdjustedEnoughToday { currency: currency.clone(), wanted, used, most });
            }
            self.take_from_pool(pool, wanted, most);
        }
        Ok(())
    }

    /// Puts back what an adjustment moved: into the lots it took from, out of the lot it gave.
    fn undo(&mut self, definition: &CurrencyDefinition, currency: &Id, undone: &Undone) -> Result<(), Rejected> {
        let (mut short, mut owed_again) = (Points::ZERO, Points::ZERO);
        for entry in undone.entries.iter().filter(|entry| entry.currency == *currency) {
            match (entry.from, entry.to) {
                (Account::Adjusted, Account::Active) => {
                    let lot = entry.lot.clone().unwrap_or_default();
                    let taken =
                        self.take_from_lot(EntryKind::Adjustment, Account::Adjusted, currency, &lot, entry.amount);
                    short += entry.amount.less(taken);
                }
                (Account::Adjusted, Account::Debt) => owed_again += entry.amount,
                (Account::Active, Account::Adjusted) => {
                    let rest = self.repay(currency, entry.amount);
                    let (lot, expires_at) = (entry.lot.clone(), entry.expires_at);
                    let posting = Posting { currency, amount: rest, lot, expires_at, campaign: None };
                    self.post(EntryKind::Adjustment, Account::Adjusted, Account::Active, posting);
                }
                (Account::Debt, Account::Adjusted) => {
                    let rest = self.repay(currency, entry.amount);
                    self.give_by_hand(definition, currency, rest);
                }
                _ => {}
            }
        }
        let posting = Posting { currency, amount: owed_again, lot: None, expires_at: None, campaign: None };
        self.post(EntryKind::Adjustment, Account::Debt, Account::Adjusted, posting);
        if !short.is_zero() {
            self.adjust_down(definition, currency, short.get())?;
        }
        Ok(())
    }

    /// Repays what is owed; says what is left.
    fn repay(&mut self, currency: &Id, amount: Points) -> Points {
        let owed = self.state.purse(currency.as_str()).map(|purse| purse.debt).unwrap_or_default();
        let (repaid, rest) = amount.split(owed);
        let posting = Posting { currency, amount: repaid, lot: None, expires_at: None, campaign: None };
        self.post(EntryKind::Adjustment, Account::Adjusted, Account::Debt, posting);
        rest
    }

    /// A lot of today.
    fn give_by_hand(&mut self, definition: &CurrencyDefinition, currency: &Id, amount: Points) {
        let (last_day, expires_at) = super::expiry::last_day(&self.program, &definition.expires, self.day()).unzip();
        let lot = LotRef { last_day, funder: None, order: None };
        let amount = amount.min(self.room(currency));
        let posting = Posting { currency, amount, lot: Some(lot), expires_at, campaign: None };
        self.post(EntryKind::Adjustment, Account::Adjusted, Account::Active, posting);
        self.date_idle(currency, &definition.expires);
    }

    fn adjust_up(&mut self, definition: &CurrencyDefinition, currency: &Id, amount: i64) {
        let rest = self.repay(currency, points(amount));
        self.give_by_hand(definition, currency, rest);
    }

    fn adjust_down(&mut self, definition: &CurrencyDefinition, currency: &Id, amount: i64) -> Result<(), Rejected> {
        let taken = self.take_from_lots(EntryKind::Adjustment, Account::Adjusted, currency, points(amount));
        let rest = points(amount).less(taken);
        if rest.is_zero() {
            return Ok(());
        }
        match definition.overdraft {
            Overdraft::Debt => {
                let posting = Posting { currency, amount: rest, lot: None, expires_at: None, campaign: None };
                self.post(EntryKind::Adjustment, Account::Debt, Account::Adjusted, posting);
                self.effect(Effect::points(EffectKind::Debt, currency, rest.get()));
                Ok(())
            }
            Overdraft::Clamp => {
                self.effect(Effect::points(EffectKind::Forgiven, currency, rest.get()));
                Ok(())
            }
            Overdraft::Refuse => Err(Rejected::NotEnoughToTakeBack {
                currency: currency.clone(),
                wanted: amount,
                available: taken.get(),
            }),
        }
    }
}

/// An amount without its sign; an API takes none so large that it has no other.
fn magnitude(amount: i64) -> i64 {
    amount.checked_abs().unwrap_or(i64::MAX)
}

/// The reason is one of the document's, and good for this. What undoes an adjustment has its reason, turned around.
fn reason_allows(rules: &AdjustmentsDefinition, adjustment: &Adjustment) -> Result<(), Rejected> {
    let Some((reason, definition)) = rules.reasons.iter().find(|(known, _)| **known == *adjustment.reason.as_str())
    else {
        let known = rules.reasons.keys().map(Id::as_str).collect::<Vec<_>>().join(", ");
        return Err(Rejected::UnknownReason { reason: adjustment.reason.clone(), known });
    };
    if adjustment.undoes.is_some() {
        return Ok(());
    }
    if !definition.sign.allows(adjustment.amount) {
        return Err(Rejected::AgainstTheReason { reason: reason.clone(), sign: definition.sign });
    }
    let (currency, wanted) = (&adjustment.currency, magnitude(adjustment.amount));
    match definition.max.get(currency).copied().filter(|most| wanted > *most) {
        Some(most) => {
            Err(Rejected::MoreThanTheReason { reason: reason.clone(), currency: currency.clone(), wanted, most })
        }
        None => Ok(()),
    }
}
