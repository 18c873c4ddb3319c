//! What each kind of command does.

use compact_str::CompactString;

use super::outcome::{Effect, EffectKind};
use super::working::Working;
use super::{Basis, EventStatus, OrderProgress, OrderRecord, PricedVoucher, Rejected};
use crate::event::{Command, FieldValues, Order, Profile, What};
use crate::ledger::{Purse, Wait};
use crate::member::{Change, MemberState, ParkedEvent, Status};
use crate::program::{CountsFrom, Id, OwnPurchases, Program};
use crate::time::Instant;

impl Working<'_> {
    /// A member that an event makes joins at its business time, and is welcomed before it counts.
    pub(super) fn enrol_if_new(&mut self, command: &Command) -> Result<(), Rejected> {
        let makes_none = command.what.makes_gift_card() || command.what.makes_household();
        let joins = self.inputs.state.is_none() && !makes_none;
        if joins && !matches!(command.what, What::Enrol(_) | What::MoveIn(_)) {
            self.open("enrol", EventStatus::Derived, command.effective_at, None);
            self.join(command.effective_at);
            self.main = self.events.len();
        }
        Ok(())
    }

    fn join(&mut self, at: Instant) {
        self.record().record.joined = Some(Status::Active);
        match self.inputs.memory {
            // P3: nobody is welcomed twice.
            Some(_) => self.effect(Effect::of(EffectKind::Rejoined)),
            None => {
                self.effect(Effect::of(EffectKind::Joined));
                self.run_trigger("enrol", &Vec::new(), at, None);
            }
        }
        self.follow_causes();
    }

    pub(super) fn enrol(&mut self, profile: &Profile) -> Result<(), Rejected> {
        if self.inputs.state.is_some() {
            return Err(Rejected::AlreadyEnrolled);
        }
        self.open_main("enrol", EventStatus::Applied);
        // First: a birthday is told to somebody who remembers (P3, P8).
        if let Some(memory) = self.inputs.memory {
            self.remember(memory);
        }
        self.note_birthday(profile)?;
        self.note_referral(profile)?;
        self.join(self.at());
        self.birthday_at_once();
        Ok(())
    }

    pub(super) fn profile(&mut self, profile: &Profile) -> Result<(), Rejected> {
        self.open_main("profile", EventStatus::Applied);
        self.note_birthday(profile)?;
        self.note_referral(profile)?;
        self.birthday_at_once();
        Ok(())
    }

    /// Somebody who tells a birthday that is being celebrated gets the gift at once.
    fn birthday_at_once(&mut self) {
        let clock = self.state.clock;
        for gift in super::birthday::due(self.inputs.versions, &self.state, clock) {
            self.celebrate(&gift.campaign, gift.birthday, gift.at.max(clock));
        }
    }

    pub(super) fn purchase(&mut self, order: &Order) -> Result<(), Rejected> {
        if let Some(known) = self.inputs.orders.iter().find(|known| known.order_id == order.order_id) {
            return Err(if known.member == self.state.id {
                Rejected::OrderExists { order_id: order.order_id.clone() }
            } else {
                Rejected::OrderOfAnotherMember { order_id: order.order_id.clone() }
            });
        }
        self.check_payments(order)?;
        let basis = self.order_basis(order)?;
        let vouchers = self.price_vouchers(order, &basis)?;
        self.open_main("purchase", EventStatus::Applied);
        let standings = self.standings();
        self.make_order(order, basis, vouchers);
        let awaited = (!self.state.parked.is_empty()).then(|| self.order_made(order));
        self.make_claimable(&order.order_id);
        self.judge_tiers(&standings);
        self.follow_causes();
        if let Some(made) = awaited {
            self.settle_parked(made);
        }
        Ok(())
    }

    /// The basis of a purchase, with the rate of a foreign currency (M5).
    pub(super) fn order_basis(&mut self, order: &Order) -> Result<Basis, Rejected> {
        self.program = self.inputs.versions.at(self.at_effective()).clone();
        let own = self.inputs.origin.own_staff.as_ref().filter(|own| order.staff.as_ref() == Some(own));
        let earns = self.program.definition.staff.own_purchases;
        let own_purchase = own.map(|_| earns).filter(|earns| *earns != OwnPurchases::Earn);
        let basis = Basis { own_purchase, ..self.basis("purchase") };
        self.with_rate(basis, order)
    }

    /// A basis with the rate of an order in a foreign currency; refused where nobody says it.
    fn with_rate(&self, basis: Basis, order: &Order) -> Result<Basis, Rejected> {
        Ok(match rate_of(&self.program, order)? {
            Some(rate) => Basis { exchange_rate: Some(compact_str::format_compact!("{rate}")), ..basis },
            None => basis,
        })
    }

    /// Decides a purchase that is new, inside the event that is open. Tiers are left for the caller to judge (R10).
    pub(super) fn make_order(&mut self, order: &Order, basis: Basis, vouchers: Vec<PricedVoucher>) {
        let converted = basis.rate().map(|rate| order.converted(rate));
        let content = converted.as_ref().unwrap_or(order);
        let (seq, day) = (self.record().seq, self.day());
        self.change(Change::Purchased { amount: content.total, on: day });
        if self.state.status != Status::Guest {
            let evaluation = self.evaluate("purchase", Some(content), &content.extra, &basis, None);
            self.record().record.credits = self.give(&evaluation, Some(&order.order_id));
            self.measure_spend(content.net(&self.program.definition.base), day);
            self.measure_event("purchase", 1, day);
            self.keep_alive("purchase");
            self.expire_dead_on_arrival();
            self.qualify("purchase", (Some(content), &content.extra), &basis);
        }
        self.use_vouchers(vouchers, Some(&order.order_id));
        self.orders.push((order.order_id.clone(), seq));
        self.record().record.basis = Some(basis);
    }

    /// The order that the open event has just made.
    pub(super) fn order_made(&self, order: &Order) -> OrderRecord {
        let made = self.events.last();
        let record = made.map(|event| event.record.clone()).unwrap_or_default();
        OrderRecord {
            order_id: order.order_id.clone(),
            member: self.state.id,
            made_by: self.state.id,
            event: made.map_or(0, |event| event.seq),
            effective_at: self.at(),
            basis: record.basis.unwrap_or_default(),
            content: order.clone(),
            credits: record.credits,
            vouchers: record.vouchers,
            progress: None,
        }
    }

    /// Events that waited for this order, or for one that such an event makes, are decided now, in the order they came
    /// (I4).
    pub(super) fn settle_parked(&mut self, made: OrderRecord) {
        let mut orders = vec![made];
        let is_for = |parked: &ParkedEvent, orders: &[OrderRecord]| {
            orders.iter().position(|order| order.order_id == parked.order_id)
        };
        while let Some((place, parked)) =
            self.state.parked.iter().find_map(|parked| is_for(parked, &orders).map(|place| (place, parked.clone())))
        {
            let program = self.inputs.versions.at(parked.effective_at).clone();
            let read = crate::event::read_event(&program.definition, &parked.kind, &parked.data);
            let order = orders[place].clone();
            let at = parked.effective_at.max(order.effective_at);
            self.open(&parked.kind, EventStatus::Derived, at, Some(parked.data.clone()));
            self.change(Change::Unparked { event: parked.event });
            // What turns out to be impossible now (more units than bought) stays an event without effect.
            let settled = self.attempt(|working| match read {
                Ok(What::Return(back)) => Ok((Some(working.return_units(&order, &back)?), None)),
                Ok(What::Amend(content)) => Ok((Some(working.amend_order(&order, &content)?), None)),
                Ok(What::Exchange(exchange)) => {
                    working.must_be_free(&exchange.bought.order_id)?;
                    let basis = working.with_rate(working.basis_now("purchase", at), &exchange.bought)?;
                    let (progress, bought) = working.exchange_units(&order, &exchange, basis, Vec::new())?;
                    Ok((Some(progress), Some(bought)))
                }
                Ok(What::Declared { kind, data }) => {
                    let basis = working.basis_now(kind.as_str(), at);
                    Ok((working.declare(&kind, &data, basis, Some(&order)), None))
                }
                _ => Ok((None, None)),
            });
            if let Some((progress, bought)) = settled {
                orders[place].progress = progress.or(orders[place].progress.take());
                orders.extend(bought);
            }
        }
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
        if let Some(order_id) = super::declared_order(data).filter(|_| releases(&program, kind))
            && self.inputs.orders.is_empty()
        {
            return self.park(kind.as_str(), &order_id);
        }
        if self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        self.program = program;
        let basis = self.basis(kind.as_str());
        self.open_main(kind.as_str(), EventStatus::Applied);
        let order = self.inputs.orders.first().filter(|order| order.member == self.state.id).cloned();
        self.declare(kind, data, basis, order.as_ref());
        Ok(())
    }

    /// An event of a declared type, inside the event that is open; with the progress of the order whose points it
    /// releases.
    fn declare(
        &mut self,
        kind: &Id,
        data: &FieldValues,
        basis: Basis,
        order: Option<&OrderRecord>,
    ) -> Option<OrderProgress> {
        let standings = self.standings();
        self.change(Change::Counted { kind: kind.clone() });
        let evaluation = self.evaluate(kind.as_str(), None, data, &basis, None);
        let credits = self.give(&evaluation, None);
        self.measure_event(kind.as_str(), 1, self.day());
        self.keep_alive(kind.as_str());
        self.qualify(kind.as_str(), (None, data), &basis);
        let progress = order.map(|order| self.release_order(kind, order));
        self.expire_dead_on_arrival();
        self.judge_tiers(&standings);
        self.follow_causes();
        let record = &mut self.record().record;
        record.basis = Some(basis);
        record.credits = credits;
        progress
    }

    /// Pending points of an order become spendable by an event (L6).
    fn release_order(&mut self, kind: &Id, order: &OrderRecord) -> OrderProgress {
        let mut progress = self.progress_of(order);
        let of_order = |wait: &&Wait| wait.until.as_ref() == Some(kind) && wait.event == order.event;
        let of_purse =
            |purse: &Purse| purse.waits.iter().find(of_order).map(|wait| (purse.currency.clone(), wait.clone()));
        let waits: Vec<(Id, Wait)> = self.state.purses.iter().filter_map(of_purse).collect();
        let rules = self.rules_of(order);
        for (currency, settings) in &rules.definition.currencies {
            let matured = self.matures_at(&settings.pending, order.basis.day).is_some_and(|at| at <= self.state.clock);
            // What matured by itself stands where it then went to.
            if settings.pending.until.as_ref() == Some(kind) && !matured {
                progress.released.insert(currency.clone());
            }
        }
        for (currency, wait) in waits {
            progress.released.insert(currency.clone());
            let dated_now = rules
                .currency(currency.as_str())
                .is_some_and(|settings| settings.pending.expiry_counts_from == CountsFrom::Maturity);
            let matured = self.release(&currency, &wait, self.day());
            if dated_now {
                progress.added.extend(matured);
            }
        }
        progress.changes += 1;
        self.note_progress(&order.order_id, &progress);
        progress
    }
}

/// The rate of an order in a foreign currency; `None` in the program's own.
fn rate_of(program: &Program, order: &Order) -> Result<Option<rust_decimal::Decimal>, Rejected> {
    let own = program.definition.currency.as_str();
    if order.currency.is_empty() || order.currency == own {
        return Ok(None);
    }
    let known = program.definition.exchange_rates.get(order.currency.as_str()).map(|rate| rate.0);
    let missing = || Rejected::NoExchangeRate { currency: order.currency.clone(), expected: own.to_owned() };
    order.exchange_rate.or(known).ok_or_else(missing).map(Some)
}

/// An order in the program's currency (M5).
///
/// # Errors
/// Where nobody says the rate of its own.
pub fn priced_in(program: &Program, order: &Order) -> Result<Order, Rejected> {
    Ok(rate_of(program, order)?.map_or_else(|| order.clone(), |rate| order.converted(rate)))
}

/// Whether events of this type make pending points spendable.
fn releases(program: &Program, kind: &Id) -> bool {
    program.definition.currencies.values().any(|currency| currency.pending.until.as_ref() == Some(kind))
}
