//! Points that one member sends to another (P7): lot by lot, each with its own date and funder, through `clearing`.

use compact_str::{CompactString, ToCompactString, format_compact};

use super::outcome::{Effect, EffectKind, balance, points};
use super::redeem::by_l1;
use super::working::{Posting, Working};
use super::{EventStatus, Rejected, settle};
use crate::event::{Arrival, Transfer};
use crate::id::{EventId, MemberId};
use crate::ledger::{Account, EntryKind, LotPart, LotRef};
use crate::member::Status;
use crate::program::{Id, TransferDefinition, TransferTo};
use crate::quantity::Points;
use crate::time::{Day, Instant, Window};

impl Working<'_> {
    pub(super) fn transfer(&mut self, transfer: &Transfer) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        let Transfer { to, currency, amount, .. } = transfer;
        if *to == self.state.id {
            return Err(Rejected::TransferToOneself);
        }
        let seq = self.open_main("transfer", EventStatus::Applied);
        let rules = self.rules_of_transfer(transfer)?;
        let household = (rules.to == TransferTo::Household).then(|| self.state.home().ok_or(Rejected::NotInHousehold));
        let household = household.transpose()?;
        let has = balance(&self.state, currency);
        let wanted = amount.saturating_add(rules.fee);
        if wanted > has.available {
            return Err(Rejected::NotEnoughPoints { currency: currency.clone(), wanted, balance: has });
        }
        let day = self.program.calendar.day(self.state.clock);
        for window in rules.per_member.keys() {
            self.use_limit(&counter(currency, *window), *amount, day);
        }
        let lots = self.take_parts(currency, *amount);
        for part in &lots {
            self.post_part(EntryKind::Transfer, (Account::Active, Account::Clearing), currency, part);
            self.effect(of_part(EffectKind::Sent, currency, part, *to));
        }
        // After what is sent, so that the receiver gets what expires soonest, as anybody does who is paid with points.
        let fee = self.take_parts(currency, rules.fee);
        for part in &fee {
            self.post_part(EntryKind::Transfer, (Account::Active, Account::Redeemed), currency, part);
            self.effect(Effect { member: None, ..of_part(EffectKind::Fee, currency, part, *to) });
        }
        let idle = self.idle_of(currency).filter(|_| lots.iter().any(|part| part.lot.last_day.is_none()));
        let from = EventId { member: self.state.id, seq };
        let (currency, message) = (currency.clone(), transfer.message.clone());
        let carries = vec![(currency.clone(), points(*amount))];
        let arrival = Arrival { from, currency, lots, idle, fee, sent_on: Some(day), message, household };
        self.follow_up(*to, "transfer-in", &arrival, carries);
        Ok(())
    }

    /// What the document says about sending this currency, if this may be sent.
    fn rules_of_transfer(&self, transfer: &Transfer) -> Result<TransferDefinition, Rejected> {
        let Transfer { currency, amount, .. } = transfer;
        if self.program.currency(currency.as_str()).is_none() {
            return Err(Rejected::UnknownCurrency { currency: currency.clone() });
        }
        let rules = self.program.definition.transfers.get(currency).filter(|rules| rules.to != TransferTo::None);
        let Some(rules) = rules.cloned() else {
            return Err(Rejected::TransferNotAllowed { currency: currency.clone() });
        };
        if *amount <= 0 {
            return Err(Rejected::NothingToTransfer);
        }
        if *amount < rules.min || rules.max.is_some_and(|max| *amount > max) {
            let (wanted, min, max) = (*amount, rules.min, rules.max);
            return Err(Rejected::TransferSize { currency: currency.clone(), wanted, min, max });
        }
        let owed = self.owed(currency);
        if !owed.is_zero() {
            return Err(Rejected::TransferWhileOwing { currency: currency.clone(), debt: owed.get() });
        }
        let day = self.program.calendar.day(self.state.clock);
        for (window, most) in &rules.per_member {
            let sent = self.state.used(&counter(currency, *window), day.start_of(*window));
            if sent.saturating_add(*amount) > *most {
                let (window, most, wanted) = (window.name(), *most, *amount);
                return Err(Rejected::TransferLimit { currency: currency.clone(), window, most, sent, wanted });
            }
        }
        Ok(rules)
    }

    /// So many points by lots, soonest expiry first (L1). There are enough.
    fn take_parts(&self, currency: &Id, amount: i64) -> Vec<LotPart> {
        by_l1(&self.state, currency, points(amount)).iter().map(LotPart::of).collect()
    }

    /// Until when lots without a date of their own live.
    pub(super) fn idle_of(&self, currency: &Id) -> Option<(Day, Instant)> {
        let purse = self.state.purse(currency.as_str())?;
        settle::idle_date(self.inputs.versions, purse, self.state.clock)
    }

    pub(super) fn post_part(&mut self, kind: EntryKind, (from, to): (Account, Account), currency: &Id, part: &LotPart) {
        let (amount, expires_at) = (points(part.amount), part.expires_at);
        let lot = (to != Account::Debt).then(|| part.lot.clone());
        self.post(kind, from, to, Posting { currency, amount, lot, expires_at, campaign: None });
    }

    /// Points arrive that another member sent. They count to no tier, for nobody earned them here (T1).
    pub(super) fn arrive(&mut self, arrival: &Arrival) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status != Status::Active {
            return Err(Rejected::NeedsMember);
        }
        let Arrival { from, currency, lots, idle, .. } = arrival;
        if arrival.household.is_some() && arrival.household != self.state.home() {
            return Err(Rejected::NotOfHousehold { member: self.state.id.to_compact_string() });
        }
        let (amount, room) = (points(arrival.amount()), self.room_to_receive(currency));
        if amount > room {
            let (wanted, room) = (amount.get(), room.get());
            return Err(Rejected::NoRoom { currency: currency.clone(), wanted, room });
        }
        self.open_main("transfer-in", EventStatus::Derived);
        for part in lots {
            let dated = match (part.lot.last_day, idle) {
                (None, Some((last_day, end))) => LotPart {
                    lot: LotRef { last_day: Some(*last_day), ..part.lot.clone() },
                    expires_at: Some(*end),
                    ..part.clone()
                },
                _ => part.clone(),
            };
            self.give_lot(
                (EntryKind::Transfer, Account::Clearing),
                currency,
                &dated,
                (EffectKind::Received, from.member),
            );
        }
        self.moved(currency);
        self.expire_dead_on_arrival();
        self.follow_causes();
        Ok(())
    }

    /// How much more this member may hold, as the document says (`max_balance`).
    fn room_to_receive(&self, currency: &Id) -> Points {
        let room = self.room(currency);
        let most = self.program.currency(currency.as_str()).and_then(|definition| definition.max_balance);
        most.map_or(room, |most| {
            let has = balance(&self.state, currency);
            room.min(points((most - has.available - has.pending - has.held).max(0)))
        })
    }

    /// What was sent and could not arrive is back in its lots.
    pub(super) fn transfer_back(&mut self, arrival: &Arrival, to: MemberId, code: &CompactString) {
        let currency = &arrival.currency;
        for part in &arrival.lots {
            self.give_lot((EntryKind::Transfer, Account::Clearing), currency, part, (EffectKind::CameBack, to));
        }
        for part in &arrival.fee {
            self.give_lot((EntryKind::Refund, Account::Redeemed), currency, part, (EffectKind::Refunded, to));
        }
        for effect in &mut self.record().record.effects {
            effect.reason = Some(code.clone());
        }
        self.count_no_longer(arrival);
        self.moved(currency);
        self.expire_dead_on_arrival();
        self.follow_causes();
    }

    /// What came back was not sent: there is room for it again in windows that are still open.
    fn count_no_longer(&mut self, arrival: &Arrival) {
        let Some(day) = arrival.sent_on else { return };
        for window in Window::ALL {
            let counter = counter(&arrival.currency, window);
            if self.state.used(&counter, day.start_of(window)) > 0 {
                self.use_again(&counter, -arrival.amount(), day);
            }
        }
    }

    /// Points come into their lot: what is owed is repaid first (R6).
    pub(super) fn give_lot(
        &mut self,
        (kind, from): (EntryKind, Account),
        currency: &Id,
        part: &LotPart,
        (effect, other): (EffectKind, MemberId),
    ) {
        let (repaid, rest) = points(part.amount).split(self.owed(currency));
        let of = |amount: Points| LotPart { amount: amount.get(), ..part.clone() };
        if !repaid.is_zero() {
            self.post_part(kind, (from, Account::Debt), currency, &of(repaid));
            let effect = of_part(EffectKind::DebtRepaid, currency, &of(repaid), other);
            self.effect(Effect { expires_on: None, ..effect });
        }
        if !rest.is_zero() {
            self.post_part(kind, (from, Account::Active), currency, &of(rest));
            self.effect(of_part(effect, currency, &of(rest), other));
        }
    }
}

/// The counter of what a member sent in a window.
fn counter(currency: &Id, window: Window) -> CompactString {
    format_compact!("transfer/{currency}/{}", window.name())
}

pub(super) fn of_part(kind: EffectKind, currency: &Id, part: &LotPart, other: MemberId) -> Effect {
    let member = Some(other.to_compact_string());
    Effect { expires_on: part.lot.last_day, member, ..Effect::points(kind, currency, part.amount) }
}
