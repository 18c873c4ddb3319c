//! Names, leaving and coming back (P3, P4).

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::basis::key;
use super::outcome::{Effect, EffectKind};
use super::working::{Posting, Working};
use super::{EventStatus, Record, Rejected};
use crate::event::{Removal, Renaming, SecondFact};
use crate::ledger::{Account, EntryKind, LotRef};
use crate::member::{Change, Counter, Frozen, MemberState, Status};
use crate::program::{CurrencyDefinition, Id, LeavingPoints};
use crate::quantity::{Amount, Points};
use crate::time::{Day, Instant, Window};

/// What is remembered of somebody who left, without who it was: what was given once is not given again (P3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Limits that no window closes, and how much of each is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Counter>,
    /// By campaign, the last birthday a gift was given for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gifts: Vec<(Id, Day)>,
}

impl Memory {
    pub fn of(state: &MemberState) -> Self {
        let for_ever = |counter: &&Counter| key::window(&counter.limit) == Some(Window::Ever);
        Self { limits: state.counters.iter().filter(for_ever).cloned().collect(), gifts: state.gifts.clone() }
    }

    /// What was remembered when somebody came back, from the event by which they did.
    pub fn recorded(record: &Record) -> Option<Self> {
        if !record.effects.iter().any(|effect| effect.kind == EffectKind::Rejoined) {
            return None;
        }
        let mut memory = Self::default();
        for change in &record.changes {
            match change.clone() {
                Change::Used { limit, from, until, by } => memory.limits.push(Counter { limit, from, until, used: by }),
                Change::Gift { campaign, birthday } => memory.gifts.push((campaign, birthday)),
                _ => {}
            }
        }
        Some(memory)
    }

    /// The same without any date of birth: of gifts the year alone, so that none is given twice in it.
    #[must_use]
    pub fn without_birthdays(mut self) -> Self {
        for (_, birthday) in &mut self.gifts {
            *birthday = birthday.end_of(Window::Year).plus(-1);
        }
        self
    }

    /// What two marks of one person remember together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for counter in other.limits {
            match self.limits.iter_mut().find(|known| known.limit == counter.limit) {
                Some(known) => known.used = known.used.max(counter.used),
                None => self.limits.push(counter),
            }
        }
        for (campaign, birthday) in other.gifts {
            match self.gifts.iter_mut().find(|(known, _)| *known == campaign) {
                Some((_, known)) => *known = birthday.max(*known),
                None => self.gifts.push((campaign, birthday)),
            }
        }
        self
    }
}

impl Working<'_> {
    /// The member comes back: what was given once counts as given.
    pub(super) fn remember(&mut self, memory: &Memory) {
        for counter in &memory.limits {
            let Counter { limit, from, until, used } = counter.clone();
            self.change(Change::Used { limit, from, until, by: used });
        }
        for (campaign, birthday) in &memory.gifts {
            self.change(Change::Gift { campaign: campaign.clone(), birthday: *birthday });
        }
    }

    /// P4: a new number needs a code to it, and one that was silent for long a second fact.
    pub(super) fn rename(&mut self, renaming: &Renaming) -> Result<(), Rejected> {
        if self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        self.program = self.inputs.versions.at(self.at_effective()).clone();
        let identity = self.program.definition.identity.clone();
        let unproven = renaming.added.iter().find(|kind| identity.proof.contains(kind));
        if let Some(kind) = unproven.filter(|_| !renaming.proof) {
            return Err(Rejected::ProofNeeded { kind: kind.clone() });
        }
        let quarantined = match self.state.frozen {
            // Who may be a thief changes no names.
            Some(Frozen { since, quarantined: false }) => {
                return Err(Rejected::MemberFrozen { since, quarantined: false });
            }
            frozen => frozen.is_some(),
        };
        let last = self.state.statistics.last_event.unwrap_or(self.state.joined_at);
        let calendar = &self.program.calendar;
        let silent_from = calendar.start(identity.reuse_after.after(calendar.day(last)));
        let is_silent = self.at_effective() >= silent_from;
        if renaming.why == Removal::Reused && !is_silent {
            return Err(Rejected::NotSilent { last_event: last, silent_from });
        }
        if !renaming.added.is_empty() && (is_silent || quarantined) && !self.is_known_by(renaming.second.as_ref()) {
            return Err(Rejected::SecondFactNeeded { last_event: last });
        }
        self.open("identifiers", EventStatus::Applied, self.at_effective(), None);
        self.main = self.events.len() - 1;
        // Whoever has the number now is not who has the points: they stay, and nobody spends them by mistake.
        if renaming.why == Removal::Reused {
            let since = self.at();
            self.change(Change::Frozen { frozen: Some(Frozen { since, quarantined: true }) });
        } else if quarantined && !renaming.added.is_empty() {
            self.change(Change::Frozen { frozen: None });
        }
        Ok(())
    }

    fn is_known_by(&self, second: Option<&SecondFact>) -> bool {
        match second {
            Some(SecondFact::Name { is_own, .. }) => *is_own,
            Some(SecondFact::Birthday(told)) => self.state.birthday == Some(told.0),
            None => false,
        }
    }

    /// P3: reservations are voided, what waits is cancelled, points are forfeited or paid out, and what is owed is
    /// written off, each by an own entry. `erase`: the person goes, the sums stay.
    pub(super) fn leave(&mut self, erase: bool) -> Result<(), Rejected> {
        match self.state.status {
            Status::Guest => return Err(Rejected::NeedsMember),
            Status::Left => {
                self.open_main("erase", EventStatus::Applied);
                self.tell_merged(true);
                self.change(Change::Erased);
                return Ok(());
            }
            _ => {}
        }
        for hold in self.state.holds.clone() {
            self.void_for_leaving(&hold);
        }
        self.open_main(if erase { "erase" } else { "leave" }, EventStatus::Applied);
        self.stop_waiting();
        self.leave_household_behind();
        let program = self.program.clone();
        let purses = self.state.purses.clone();
        for purse in &purses {
            let currency = &purse.currency;
            for wait in &purse.waits {
                for lot in &wait.lots {
                    let key = LotRef { order: Some(wait.event), ..lot.key() };
                    self.write_off(Account::Pending, currency, lot.remaining, Some(key), lot.expires_at);
                }
            }
            let definition = program.currency(currency.as_str());
            let paid = definition.filter(|_| program.definition.leaving.points == LeavingPoints::PayOut);
            match paid.and_then(|definition| Some((definition, definition.value?.0))) {
                Some((definition, value)) => self.pay_out(definition, value, currency),
                None => {
                    for lot in &purse.lots {
                        self.write_off(Account::Active, currency, lot.remaining, Some(lot.key()), lot.expires_at);
                    }
                }
            }
            self.forgive_debt(currency);
        }
        self.tell_merged(erase);
        self.effect(Effect::of(EffectKind::Left));
        self.change(Change::Left { at: self.at() });
        if erase {
            self.change(Change::Erased);
        }
        Ok(())
    }

    /// What comes back to somebody who has left meanwhile, or to a household that nobody is in, is given up as the rest
    /// was.
    pub(super) fn forfeit_after_leaving(&mut self) {
        let is_closed = self.state.household.as_ref().is_some_and(|household| household.closed);
        if self.state.status != Status::Left && !is_closed {
            return;
        }
        for purse in self.state.purses.clone() {
            for lot in &purse.lots {
                self.write_off(Account::Active, &purse.currency, lot.remaining, Some(lot.key()), lot.expires_at);
            }
        }
    }

    fn write_off(
        &mut self,
        from: Account,
        currency: &Id,
        amount: Points,
        lot: Option<LotRef>,
        expires_at: Option<Instant>,
    ) {
        let posting = Posting { currency, amount, lot, expires_at, campaign: None };
        self.post(EntryKind::WriteOff, from, Account::WrittenOff, posting);
        self.effect(Effect::points(EffectKind::Forfeited, currency, amount.get()));
    }

    /// What is spendable is paid out in money; parts of the smallest coin are dropped.
    fn pay_out(&mut self, definition: &CurrencyDefinition, value: Decimal, currency: &Id) {
        let active = self.state.purse(currency.as_str()).map(crate::ledger::Purse::active).unwrap_or_default();
        let paid = self.take_from_lots(EntryKind::Redemption, Account::Redeemed, currency, active);
        if paid.is_zero() {
            return;
        }
        let decimals = u32::try_from(self.program.money.decimals()).unwrap_or(0);
        let money = Decimal::new(paid.get(), definition.scale).checked_mul(value).unwrap_or_default();
        let money = money.round_dp_with_strategy(decimals, RoundingStrategy::ToZero);
        let money = Amount::try_from(money).ok();
        self.effect(Effect { money, ..Effect::points(EffectKind::PaidOut, currency, paid.get()) });
    }

    /// R6: a debt never goes silently.
    fn forgive_debt(&mut self, currency: &Id) {
        let owed = self.owed(currency);
        let posting = Posting { currency, amount: owed, lot: None, expires_at: None, campaign: None };
        self.post(EntryKind::WriteOff, Account::WrittenOff, Account::Debt, posting);
        if !owed.is_zero() {
            self.effect(Effect::points(EffectKind::DebtForgiven, currency, owed.get()));
        }
    }
}
