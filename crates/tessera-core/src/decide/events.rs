//! What each kind of command does.

use compact_str::CompactString;
use rust_decimal::Decimal;

use super::evaluate::Evaluation;
use super::outcome::{Effect, EffectKind, points};
use super::working::{Posting, Working};
use super::{Credit, EventStatus, OrderRecord, Rejected};
use crate::event::{Adjustment, Command, FieldValues, Order, Profile, What};
use crate::ledger::{Account, EntryKind};
use crate::member::{Change, MemberState, ParkedEvent, Status};
use crate::program::{Id, Overdraft};
use crate::time::Instant;

impl Working<'_> {
    /// A member that an event makes joins at its business time, and is welcomed before it counts.
    pub(super) fn enrol_if_new(&mut self, command: &Command) -> Result<(), Rejected> {
        let joins = self.inputs.state.is_none();
        if joins && !matches!(command.what, What::Enrol(_)) {
            self.open("enrol", EventStatus::Derived, command.effective_at, None);
            self.join(command.effective_at);
            self.main = self.events.len();
        }
        Ok(())
    }

    fn join(&mut self, at: Instant) {
        self.record().record.joined = Some(Status::Active);
        self.effect(Effect::of(EffectKind::Joined));
        self.run_trigger("enrol", &Vec::new(), at, None);
        self.follow_causes();
    }

    pub(super) fn enrol(&mut self, profile: &Profile) -> Result<(), Rejected> {
        if self.inputs.state.is_some() {
            return Err(Rejected::AlreadyEnrolled);
        }
        self.open_main("enrol", EventStatus::Applied);
        self.note_birthday(profile)?;
        self.join(self.at());
        self.birthday_at_once();
        Ok(())
    }

    pub(super) fn profile(&mut self, profile: &Profile) -> Result<(), Rejected> {
        self.open_main("profile", EventStatus::Applied);
        self.note_birthday(profile)?;
        self.birthday_at_once();
        Ok(())
    }

    /// Somebody who tells a birthday that is being celebrated gets the gift at once.
    fn birthday_at_once(&mut self) {
        let clock = self.state.clock;
        for (at, campaign) in super::birthday::due(self.inputs.versions, &self.state, clock) {
            self.celebrate(&campaign, at.max(clock));
        }
    }

    pub(super) fn purchase(&mut self, order: &Order) -> Result<(), Rejected> {
        if let Some(known) = self.inputs.orders.first() {
            return Err(if known.member == self.state.id {
                Rejected::OrderExists { order_id: order.order_id.clone() }
            } else {
                Rejected::OrderOfAnotherMember { order_id: order.order_id.clone() }
            });
        }
        let basis = self.order_basis(order)?;
        let record = self.make_order(order, basis, true);
        self.settle_parked(record)
    }

    /// The basis of a purchase, with the rate of a foreign currency (M5).
    pub(super) fn order_basis(&mut self, order: &Order) -> Result<super::Basis, Rejected> {
        self.program = self.inputs.versions.at(self.at_effective()).clone();
        let mut basis = self.basis("purchase", self.at_effective());
        if let Some(rate) = self.exchange_rate(order)? {
            basis.exchange_rate = Some(compact_str::format_compact!("{rate}"));
        }
        Ok(basis)
    }

    /// `None` for the program's own currency.
    pub(super) fn exchange_rate(&self, order: &Order) -> Result<Option<Decimal>, Rejected> {
        let own = self.program.definition.currency.as_str();
        if order.currency.is_empty() || order.currency == own {
            return Ok(None);
        }
        let known = self.program.definition.exchange_rates.get(order.currency.as_str()).map(|rate| rate.0);
        order.exchange_rate.or(known).map(Some).ok_or_else(|| Rejected::NoExchangeRate {
            currency: order.currency.clone(),
            expected: own.to_owned(),
        })
    }

    /// Decides a purchase that is new. `judge`: whether tiers are judged now, or by the caller (R10).
    pub(super) fn make_order(&mut self, order: &Order, basis: super::Basis, judge: bool) -> OrderRecord {
        let standings = self.standings();
        let seq = self.open_main("purchase", EventStatus::Applied);
        let content = match basis.rate() {
            Some(rate) => order.converted(rate),
            None => order.clone(),
        };
        let day = self.day();
        self.change(Change::Purchased { amount: content.total, on: day });
        let (mut credits, mut evaluation) = (Vec::new(), Evaluation::default());
        if self.state.status != Status::Guest {
            evaluation = self.evaluate("purchase", Some(&content), &content.extra, &basis, None);
            credits = self.give(&evaluation, Some(&order.order_id));
            self.measure_spend(content.net(&self.program.definition.base), day);
            self.measure_event("purchase", day);
            self.keep_alive("purchase");
            self.expire_dead_on_arrival();
            if judge {
                self.judge_tiers(&standings);
                self.follow_causes();
            }
        }
        drop(evaluation);
        self.orders.push((order.order_id.clone(), seq));
        let main = self.main;
        let record = &mut self.events[main].record;
        record.credits.clone_from(&credits);
        record.basis = Some(basis.clone());
        OrderRecord {
            order_id: order.order_id.clone(),
            member: self.state.id,
            event: seq,
            effective_at: self.at_effective(),
            basis,
            content: order.clone(),
            credits,
            progress: None,
        }
    }

    /// Events that waited for this order are decided now, in the order they came (I4).
    pub(super) fn settle_parked(&mut self, mut record: OrderRecord) -> Result<(), Rejected> {
        let waiting: Vec<ParkedEvent> =
            self.state.parked.iter().filter(|parked| parked.order_id == record.order_id).cloned().collect();
        for parked in waiting {
            let program = self.inputs.versions.at(parked.effective_at).clone();
            let read = crate::event::read_event(&program.definition, &parked.kind, &parked.data);
            let at = parked.effective_at.max(record.effective_at);
            self.open(&parked.kind, EventStatus::Derived, at, Some(parked.data.clone()));
            self.change(Change::Unparked { event: parked.event });
            // What turns out to be impossible now (more units than bought) stays an event without effect.
            let settled = match read {
                Ok(What::Return(back)) => self.return_units(record.clone(), &back).ok(),
                Ok(What::Amend(order)) => self.amend_order(record.clone(), &order, self.events.len() - 1).ok(),
                Ok(What::Declared { kind, .. }) => {
                    self.release_order(&kind, &record.order_id.clone());
                    None
                }
                _ => None,
            };
            if let Some(progress) = settled {
                record.progress = Some(progress);
            }
        }
        Ok(())
    }

    /// Keeps an event until the order that it names comes.
    pub(super) fn park(&mut self, kind: &str, order_id: &CompactString) -> Result<(), Rejected> {
        if self.state.parked.len() >= MemberState::PARKED_MAX {
            return Err(Rejected::TooManyParked { most: MemberState::PARKED_MAX });
        }
        let event = self.open_main(kind, EventStatus::Parked);
        let parked = ParkedEvent {
            event,
            order_id: order_id.clone(),
            kind: kind.into(),
            effective_at: self.at_effective(),
            data: self.inputs.payload.to_owned(),
        };
        self.change(Change::Parked { event: parked });
        Ok(())
    }

    pub(super) fn declared(&mut self, kind: &Id, data: &FieldValues) -> Result<(), Rejected> {
        let program = self.inputs.versions.at(self.at_effective()).clone();
        let releases = program.definition.currencies.values().any(|currency| currency.pending.until.as_ref() == Some(kind));
        if let Some(order_id) = super::declared_order(data).filter(|_| releases)
            && self.inputs.orders.is_empty()
        {
            return self.park(kind.as_str(), &order_id);
        }
        self.program = program;
        let basis = self.basis(kind.as_str(), self.at_effective());
        let standings = self.standings();
        self.open_main(kind.as_str(), EventStatus::Applied);
        if self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        self.change(Change::Counted { kind: kind.clone() });
        let evaluation = self.evaluate(kind.as_str(), None, data, &basis, None);
        let credits = self.give(&evaluation, None);
        self.measure_event(kind.as_str(), self.day());
        self.keep_alive(kind.as_str());
        self.expire_dead_on_arrival();
        self.judge_tiers(&standings);
        if let Some(order_id) = super::declared_order(data).filter(|_| releases) {
            self.release_order(kind, &order_id);
        }
        self.follow_causes();
        let main = self.main;
        let record = &mut self.events[main].record;
        record.basis = Some(basis);
        record.credits = credits;
        Ok(())
    }

    /// Pending points of an order become spendable by an event (L6).
    pub(super) fn release_order(&mut self, kind: &Id, order_id: &CompactString) {
        let waits: Vec<(Id, crate::ledger::Wait)> = self
            .state
            .purses
            .iter()
            .flat_map(|purse| purse.waits.iter().map(|wait| (purse.currency.clone(), wait.clone())))
            .filter(|(_, wait)| wait.until.as_ref() == Some(kind) && wait.order_id.as_ref() == Some(order_id))
            .collect();
        for (currency, wait) in waits {
            self.release(&currency, &wait);
        }
    }

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
        self.open_main("adjustment", EventStatus::Applied);
        if adjustment.amount > 0 {
            self.adjust_up(definition, currency, adjustment.amount);
        } else {
            self.adjust_down(definition, currency, -adjustment.amount)?;
        }
        self.effect(Effect::points(EffectKind::Adjusted, currency, adjustment.amount));
        self.expire_dead_on_arrival();
        self.moved(currency);
        self.follow_causes();
        Ok(())
    }

    fn adjust_up(&mut self, definition: &crate::program::CurrencyDefinition, currency: &Id, amount: i64) {
        let owed = self.state.purse(currency.as_str()).map(|purse| purse.debt).unwrap_or_default();
        let (repaid, rest) = points(amount).split(owed);
        let posting = Posting { currency, amount: repaid, lot: None, expires_at: None, campaign: None };
        self.post(EntryKind::Adjustment, Account::Adjusted, Account::Debt, posting);
        let (last_day, expires_at) = super::expiry::last_day(&self.program, &definition.expires, self.day()).unzip();
        let lot = crate::ledger::LotRef { last_day, funder: None, order: None };
        let posting = Posting { currency, amount: rest, lot: Some(lot), expires_at, campaign: None };
        self.post(EntryKind::Adjustment, Account::Adjusted, Account::Active, posting);
    }

    fn adjust_down(&mut self, definition: &crate::program::CurrencyDefinition, currency: &Id, amount: i64) -> Result<(), Rejected> {
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
            Overdraft::Refuse => {
                Err(Rejected::NotEnoughToTakeBack { currency: currency.clone(), wanted: amount, available: taken.get() })
            }
        }
    }

    /// What an order was credited with, by the lots it went to: for returns in the same decision.
    pub(super) fn credits_of(record: &OrderRecord) -> impl Iterator<Item = &Credit> {
        record.credits.iter().chain(record.progress.iter().flat_map(|progress| &progress.added))
    }
}
