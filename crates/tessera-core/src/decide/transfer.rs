//! Points that one member sends to another (P7): lot by lot, each with its own date and funder, through `clearing`.

use compact_str::{CompactString, ToCompactString};

use super::outcome::{Effect, EffectKind, balance, points};
use super::redeem::by_l1;
use super::working::{Posting, Working};
use super::{EventStatus, Rejected, settle};
use crate::event::{Arrival, Transfer};
use crate::id::{EventId, MemberId};
use crate::ledger::{Account, EntryKind, LotPart, LotRef};
use crate::member::Status;
use crate::program::Id;
use crate::quantity::Points;
use crate::time::{Day, Instant};

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
        if self.program.currency(currency.as_str()).is_none() {
            return Err(Rejected::UnknownCurrency { currency: currency.clone() });
        }
        if *amount <= 0 {
            return Err(Rejected::NothingToTransfer);
        }
        let owed = self.owed(currency);
        if !owed.is_zero() {
            return Err(Rejected::TransferWhileOwing { currency: currency.clone(), debt: owed.get() });
        }
        let has = balance(&self.state, currency);
        if *amount > has.available {
            return Err(Rejected::NotEnoughPoints { currency: currency.clone(), wanted: *amount, balance: has });
        }
        let lots: Vec<LotPart> = by_l1(&self.state, currency, points(*amount)).iter().map(LotPart::of).collect();
        for part in &lots {
            self.post_part(EntryKind::Transfer, (Account::Active, Account::Clearing), currency, part);
            self.effect(of_part(EffectKind::Sent, currency, part, *to));
        }
        let idle = self.idle_of(currency).filter(|_| lots.iter().any(|part| part.lot.last_day.is_none()));
        let from = EventId { member: self.state.id, seq };
        let (currency, message) = (currency.clone(), transfer.message.clone());
        let carries = vec![(currency.clone(), points(*amount))];
        let arrival = Arrival { from, currency, lots, idle, fee: Vec::new(), message };
        self.follow_up(*to, "transfer-in", &arrival, carries);
        Ok(())
    }

    /// Until when lots without a date of their own live.
    fn idle_of(&self, currency: &Id) -> Option<(Day, Instant)> {
        let purse = self.state.purse(currency.as_str())?;
        settle::idle_date(self.inputs.versions, purse, self.state.clock)
    }

    fn post_part(&mut self, kind: EntryKind, (from, to): (Account, Account), currency: &Id, part: &LotPart) {
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
        let (amount, room) = (points(arrival.amount()), self.room(currency));
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
            self.clear(currency, &dated, from.member, EffectKind::Received);
        }
        self.moved(currency);
        self.expire_dead_on_arrival();
        self.follow_causes();
        Ok(())
    }

    /// What was sent and could not arrive is back in its lots.
    pub(super) fn transfer_back(&mut self, arrival: &Arrival, to: MemberId, code: &CompactString) {
        let currency = &arrival.currency;
        for part in &arrival.lots {
            self.clear(currency, part, to, EffectKind::CameBack);
        }
        if let Some(last) = self.record().record.effects.last_mut() {
            last.reason = Some(code.clone());
        }
        self.moved(currency);
        self.expire_dead_on_arrival();
        self.follow_causes();
    }

    /// Points leave `clearing`: what is owed is repaid first (R6), the rest is in its lot.
    fn clear(&mut self, currency: &Id, part: &LotPart, other: MemberId, kind: EffectKind) {
        let (repaid, rest) = points(part.amount).split(self.owed(currency));
        let of = |amount: Points| LotPart { amount: amount.get(), ..part.clone() };
        if !repaid.is_zero() {
            self.post_part(EntryKind::Transfer, (Account::Clearing, Account::Debt), currency, &of(repaid));
            let effect = of_part(EffectKind::DebtRepaid, currency, &of(repaid), other);
            self.effect(Effect { expires_on: None, ..effect });
        }
        if !rest.is_zero() {
            self.post_part(EntryKind::Transfer, (Account::Clearing, Account::Active), currency, &of(rest));
            self.effect(of_part(kind, currency, &of(rest), other));
        }
    }
}

fn of_part(kind: EffectKind, currency: &Id, part: &LotPart, other: MemberId) -> Effect {
    let member = Some(other.to_compact_string());
    Effect { expires_on: part.lot.last_day, member, ..Effect::points(kind, currency, part.amount) }
}
