//! Moving in: a member as they were in another system (L9).
//!
//! What was earned elsewhere fires nothing here: no welcome, no campaign, no notice of a level. From then on the member
//! is one like any other: a level holds to its end, a lot dies on its own day.

use std::collections::BTreeMap;

use super::outcome::{Effect, EffectKind, points};
use super::tier::standing;
use super::working::{Posting, Working};
use super::{EventStatus, IssuedVoucher, Rejected};
use crate::event::{Imported, MovedIn, MovedLevel, MovedVoucher};
use crate::ledger::{Account, EntryKind, LotRef, Wait};
use crate::member::{Change, Status};
use crate::program::{CountsFrom, Expires, Id, Program};
use crate::quantity::Points;
use crate::time::{Day, Instant};

impl Working<'_> {
    pub(super) fn move_in(&mut self, moved: &MovedIn) -> Result<(), Rejected> {
        if self.inputs.state.is_some() {
            return Err(Rejected::AlreadyEnrolled);
        }
        let program = self.inputs.versions.at(self.at_effective()).clone();
        let today = program.calendar.day(self.at_effective());
        for day in [moved.joined, moved.first_purchase, moved.last_purchase].into_iter().flatten() {
            if day > today {
                return Err(Rejected::MovedFromTheFuture { day, today });
            }
        }
        for currency in moved.balances.keys().chain(moved.idle_until.keys()) {
            if program.currency(currency.as_str()).is_none() {
                return Err(Rejected::UnknownCurrency { currency: currency.clone() });
            }
        }
        let levels = levels(&program, &moved.tiers)?;
        self.open_main("move-in", EventStatus::Applied);
        self.record().record.joined = Some(Status::Active);
        self.effect(Effect::of(EffectKind::Joined));
        let joined_on = moved.joined.unwrap_or(today);
        self.change(Change::MovedIn {
            joined_at: program.calendar.start(joined_on).min(self.at()),
            joined_on,
            purchases: moved.purchases,
            spend: moved.spend,
            first_purchase: moved.first_purchase,
            last_purchase: moved.last_purchase,
        });
        if let Some(birthday) = moved.birthday {
            self.change(Change::Birthday { birthday: birthday.0, at: self.at() });
            // A birthday that is being celebrated already is the old system's.
            for gift in super::birthday::due(self.inputs.versions, &self.state, self.state.clock) {
                self.change(Change::Gift { campaign: gift.campaign, birthday: gift.birthday });
            }
        }
        for (ladder, rank, level) in levels {
            self.take_level(&program, &ladder, rank, level, today);
        }
        for (currency, last_day) in &moved.idle_until {
            let expires_at = program.calendar.end(*last_day);
            self.change(Change::Idle { currency: currency.clone(), last_day: *last_day, expires_at });
        }
        for (currency, amount) in &moved.balances {
            if *amount < 0 {
                self.import_debt(currency, amount.saturating_neg());
            } else {
                self.import_lot(&program, currency, *amount, (None, None));
            }
        }
        self.expire_dead_on_arrival();
        Ok(())
    }

    /// A level with its days, without the joy of reaching it.
    fn take_level(&mut self, program: &Program, ladder: &Id, rank: usize, level: &MovedLevel, today: Day) {
        let Some(rules) = program.ladder(ladder.as_str()) else { return };
        if let (Some(progress), [(measure, _)]) = (level.progress, rules.measures.as_slice())
            && !progress.is_zero()
        {
            let on = standing::bucket(program, rules, self.state.joined_on, today);
            self.change(Change::Measured { ladder: ladder.clone(), measure: measure.clone(), on, by: progress });
        }
        // Who was never higher stands on the base, and not since a day.
        if rank == 0 && level.since.is_none() {
            return;
        }
        let since = level.since.map_or(self.at(), |day| program.calendar.start(day).min(self.at()));
        self.change(Change::Level { ladder: ladder.clone(), level: level.level.clone(), at: since });
        if rank == 0 {
            return;
        }
        let until = match level.holds_until {
            Some(day) => program.calendar.end(day),
            None => program.calendar.start(standing::holds_from(program, rules, self.state.joined_on, today)),
        };
        // A level whose days are over is reviewed at once, by the program's own rules.
        self.change(Change::Floor { ladder: ladder.clone(), floor: Some((level.level.clone(), until)) });
    }

    /// L9: a lot as it was elsewhere. It was earned there, so it counts to no tier and moves no campaign here.
    pub(super) fn import(&mut self, imported: &Imported) -> Result<(), Rejected> {
        let program = self.inputs.versions.at(self.at_effective()).clone();
        let currency = &imported.currency;
        if program.currency(currency.as_str()).is_none() {
            return Err(Rejected::UnknownCurrency { currency: currency.clone() });
        }
        let earned = program.calendar.day(self.at_effective());
        if let Some(expires) = imported.expires.filter(|expires| *expires < earned) {
            return Err(Rejected::ExpiresBeforeEarned { expires, earned });
        }
        self.open_main("import", EventStatus::Applied);
        match imported.matures.map(|day| program.calendar.start(day)).filter(|at| *at > self.state.clock) {
            Some(matures_at) => self.import_waiting(&program, imported, earned, matures_at),
            None => self.import_lot(&program, currency, imported.amount, (imported.expires, imported.funder.clone())),
        }
        self.expire_dead_on_arrival();
        Ok(())
    }

    /// R6: what was owed elsewhere is owed here, and repaid first.
    fn import_debt(&mut self, currency: &Id, amount: i64) {
        let posting = Posting { currency, amount: points(amount), lot: None, expires_at: None, campaign: None };
        self.post(EntryKind::Import, Account::Debt, Account::Imported, posting);
        self.effect(Effect::points(EffectKind::Imported, currency, -amount));
    }

    /// L6: points that cannot be spent yet, with the day on which they can.
    fn import_waiting(&mut self, program: &Program, imported: &Imported, earned_on: Day, matures_at: Instant) {
        let (currency, event) = (&imported.currency, self.state.events);
        let Some(definition) = program.currency(currency.as_str()) else { return };
        let dated = match imported.expires {
            Some(day) => Some((day, program.calendar.end(day))),
            None if definition.pending.expiry_counts_from == CountsFrom::Maturity => None,
            None => super::expiry::last_day(program, &definition.expires, earned_on),
        };
        self.change(Change::Waits {
            currency: currency.clone(),
            event,
            order_id: None,
            earned_on,
            matures_at: Some(matures_at),
            until: None,
            version: Wait::FROM_ELSEWHERE,
            base: Points::ZERO,
        });
        let (last_day, expires_at) = dated.unzip();
        let lot = Some(LotRef { last_day, funder: imported.funder.clone(), order: Some(event) });
        let posting = Posting { currency, amount: points(imported.amount), lot, expires_at, campaign: None };
        self.post(EntryKind::Import, Account::Imported, Account::Pending, posting);
        let effect = Effect::points(EffectKind::Imported, currency, imported.amount);
        self.effect(Effect { expires_on: last_day, matures_at: Some(matures_at), ..effect });
    }

    fn import_lot(
        &mut self,
        program: &Program,
        currency: &Id,
        amount: i64,
        (expires, funder): (Option<Day>, Option<Id>),
    ) {
        let Some(definition) = program.currency(currency.as_str()) else { return };
        let owed = self.state.purse(currency.as_str()).map(|purse| purse.debt).unwrap_or_default();
        let (repaid, rest) = points(amount).split(owed);
        let posting = Posting { currency, amount: repaid, lot: None, expires_at: None, campaign: None };
        self.post(EntryKind::Import, Account::Imported, Account::Debt, posting);
        let dated = match expires {
            Some(day) => Some((day, program.calendar.end(day))),
            None => super::expiry::last_day(program, &definition.expires, self.day()),
        };
        let (last_day, expires_at) = dated.unzip();
        let lot = LotRef { last_day, funder, order: None };
        let posting = Posting { currency, amount: rest, lot: Some(lot), expires_at, campaign: None };
        self.post(EntryKind::Import, Account::Imported, Account::Active, posting);
        if last_day.is_none() && matches!(definition.expires, Expires::Inactivity { .. }) {
            self.date_idle(currency, &definition.expires);
        }
        let effect = Effect { expires_on: last_day, ..Effect::points(EffectKind::Imported, currency, amount) };
        self.effect(effect);
    }

    /// A voucher that another system issued, with its own code and its own end.
    pub(super) fn move_voucher(&mut self, moved: &MovedVoucher) -> Result<(), Rejected> {
        let program = self.inputs.versions.at(self.at_effective()).clone();
        let Some(definition) = program.definition.vouchers.get(&moved.voucher) else {
            return Err(Rejected::NoSuchVoucher { voucher: moved.voucher.clone() });
        };
        self.open_main("move-voucher", EventStatus::Applied);
        let code = match &moved.code {
            Some(code) => code.clone(),
            None => super::derived::voucher_code(&self.inputs.entropy, self.state.id, self.state.events, 0),
        };
        self.effect(Effect {
            voucher: Some(moved.voucher.clone()),
            code: Some(code.clone()),
            expires_on: moved.expires,
            ..Effect::of(EffectKind::VoucherIssued)
        });
        let expires_at: Option<Instant> = moved.expires.map(|day| program.calendar.end(day));
        let (event, issued_at) = (self.state.events, self.at());
        self.issued(IssuedVoucher {
            code,
            voucher: moved.voucher.clone(),
            version: program.version,
            uses: definition.uses.per_code,
            event,
            issued_at,
            expires_at,
        });
        Ok(())
    }
}

/// Each level with its ladder and rank, or which of them the program does not have.
fn levels<'m>(
    program: &Program,
    tiers: &'m BTreeMap<Id, MovedLevel>,
) -> Result<Vec<(Id, usize, &'m MovedLevel)>, Rejected> {
    let mut found = Vec::new();
    for (ladder, moved) in tiers {
        let Some(rules) = program.ladder(ladder.as_str()) else {
            return Err(Rejected::UnknownLadder { ladder: ladder.clone() });
        };
        let Some(rank) = rules.levels.iter().position(|level| level.id == moved.level) else {
            let known = rules.levels.iter().map(|level| level.id.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Rejected::UnknownLevel { ladder: ladder.clone(), level: moved.level.clone(), known });
        };
        found.push((ladder.clone(), rank, moved));
    }
    Ok(found)
}
