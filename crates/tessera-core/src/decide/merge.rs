//! Two members become one, and one two again (P1, P2). The one who ends sends everything through `clearing` to the other,
//! lot by lot with its days and funder; what was counted of both is one sum, what is given once stays given once.

use compact_str::ToCompactString;

use super::outcome::{Effect, EffectKind};
use super::tier::standing::{self, Standing};
use super::working::{Posting, Working};
use super::{EventStatus, Recorded, Rejected, WaitlistChange, stock_pool, waiting_pool};
use crate::event::{BackPurse, Brought, GivenBack, Merge, SurvivorLeft, Unmerge};
use crate::id::{EventId, MemberId};
use crate::ledger::{Account, EntryKind, Lot, LotRef, Purse, Wait};
use crate::member::{Change, Club, ClubStatus, MemberState, Merged, Status, WaitState};
use crate::program::{Id, LadderRules, Program};
use crate::quantity::{Amount, Points};
use crate::time::Instant;

impl BackPurse {
    /// Everything in a purse.
    fn of(purse: &Purse) -> Self {
        Self {
            currency: purse.currency.clone(),
            lots: purse.lots.clone(),
            waits: purse.waits.clone(),
            debt: purse.debt,
            redeemed: purse.totals.redeemed,
            idle: purse.idle,
        }
    }

    fn points(&self) -> Points {
        let waits = self.waits.iter().flat_map(|wait| &wait.lots);
        self.lots.iter().chain(waits).map(|lot| lot.remaining).sum()
    }

    /// What goes through `clearing` of it: value, and the counter-value of what was spent.
    fn carried(&self) -> Points {
        self.points() + self.redeemed
    }
}

fn carries(purses: &[BackPurse]) -> Vec<(Id, Points)> {
    let carried = purses.iter().map(|purse| (purse.currency.clone(), purse.carried()));
    carried.filter(|(_, amount)| !amount.is_zero()).collect()
}

fn owes(purses: &[BackPurse]) -> Vec<(Id, Points)> {
    let owed = purses.iter().map(|purse| (purse.currency.clone(), purse.debt));
    owed.filter(|(_, amount)| !amount.is_zero()).collect()
}

impl Working<'_> {
    /// The member ends, and sends everything to the other. What is reserved is free before, so that it goes along.
    pub(super) fn merge(&mut self, merge: &Merge) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status != Status::Active {
            return Err(Rejected::NeedsMember);
        }
        if merge.into == self.state.id {
            return Err(Rejected::MergeWithOneself);
        }
        for hold in self.state.holds.clone() {
            self.void_for_leaving(&hold);
        }
        let state = self.state.clone();
        let seq = self.open_main("merge", EventStatus::Applied);
        self.withdraw_from_household();
        let purses: Vec<BackPurse> = state.purses.iter().map(BackPurse::of).collect();
        for purse in &purses {
            self.send_purse(purse);
        }
        let from = EventId { member: state.id, seq };
        self.follow_up_owing(merge.into, "merge-in", &Brought { from, state }, (carries(&purses), owes(&purses)));
        self.effect(with(EffectKind::Merged, merge.into));
        self.change(Change::MergedInto { into: merge.into });
        Ok(())
    }

    fn send_purse(&mut self, purse: &BackPurse) {
        let currency = &purse.currency;
        for lot in &purse.lots {
            self.pass(currency, (Account::Active, Account::Clearing), lot, lot.key());
        }
        for wait in &purse.waits {
            for lot in &wait.lots {
                let key = LotRef { order: Some(wait.event), ..lot.key() };
                self.pass(currency, (Account::Pending, Account::Clearing), lot, key);
            }
        }
        self.pass_sum(currency, (Account::Clearing, Account::Debt), purse.debt);
        self.pass_sum(currency, (Account::Redeemed, Account::Clearing), purse.redeemed);
    }

    fn pass(&mut self, currency: &Id, (from, to): (Account, Account), lot: &Lot, key: LotRef) {
        let (amount, expires_at) = (lot.remaining, lot.expires_at);
        self.post(
            EntryKind::Transfer,
            from,
            to,
            Posting { currency, amount, lot: Some(key), expires_at, campaign: None },
        );
    }

    fn pass_sum(&mut self, currency: &Id, (from, to): (Account, Account), amount: Points) {
        let posting = Posting { currency, amount, lot: None, expires_at: None, campaign: None };
        self.post(EntryKind::Transfer, from, to, posting);
    }

    /// What another member sent arrives: it repays what is owed here, and what was owed there is repaid from what is
    /// here (P2).
    fn receive(&mut self, purses: &[BackPurse], other: MemberId, kind: EffectKind) {
        for purse in purses {
            let currency = &purse.currency;
            if let Some((last_day, expires_at)) = purse.idle {
                let known = self.state.purse(currency.as_str()).and_then(|purse| purse.idle);
                if known.is_none_or(|(known, _)| known < last_day) {
                    self.change(Change::Idle { currency: currency.clone(), last_day, expires_at });
                }
            }
            self.pass_sum(currency, (Account::Clearing, Account::Redeemed), purse.redeemed);
            for lot in &purse.lots {
                self.receive_lot(currency, lot, other, kind);
            }
            for wait in &purse.waits {
                self.receive_wait(currency, wait, other, kind);
            }
            self.pass_sum(currency, (Account::Debt, Account::Clearing), purse.debt);
            let owed = self.owed(currency);
            let repaid = self.take_from_lots(EntryKind::Transfer, Account::Debt, currency, owed);
            self.repaid(currency, repaid, other);
            self.moved(currency);
        }
    }

    fn repaid(&mut self, currency: &Id, amount: Points, other: MemberId) {
        if !amount.is_zero() {
            let member = Some(other.to_compact_string());
            self.effect(Effect { member, ..Effect::points(EffectKind::DebtRepaid, currency, amount.get()) });
        }
    }

    fn receive_lot(&mut self, currency: &Id, lot: &Lot, other: MemberId, kind: EffectKind) {
        let (repaid, rest) = lot.remaining.split(self.owed(currency));
        self.pass_sum(currency, (Account::Clearing, Account::Debt), repaid);
        self.repaid(currency, repaid, other);
        if rest.is_zero() {
            return;
        }
        self.change(Change::EarnedAt {
            currency: currency.clone(),
            last_day: lot.last_day,
            funder: lot.funder.clone(),
            expires_at: lot.expires_at,
            wait: None,
            at: lot.earned_at,
        });
        let rest = Lot { remaining: rest, ..lot.clone() };
        self.pass(currency, (Account::Clearing, Account::Active), &rest, lot.key());
        let effect = with(kind, other);
        let amount = Some(rest.remaining.get());
        self.effect(Effect { currency: Some(currency.clone()), amount, expires_on: lot.last_day, ..effect });
    }

    /// What waits goes on waiting, for the same day or event.
    fn receive_wait(&mut self, currency: &Id, wait: &Wait, other: MemberId, kind: EffectKind) {
        self.change(Change::Waits {
            currency: currency.clone(),
            event: wait.event,
            order_id: wait.order_id.clone(),
            earned_on: wait.earned_on,
            matures_at: wait.matures_at,
            until: wait.until.clone(),
            version: wait.version,
            base: wait.base,
        });
        for lot in &wait.lots {
            self.change(Change::EarnedAt {
                currency: currency.clone(),
                last_day: lot.last_day,
                funder: lot.funder.clone(),
                expires_at: lot.expires_at,
                wait: Some(wait.event),
                at: lot.earned_at,
            });
            let key = LotRef { order: Some(wait.event), ..lot.key() };
            self.pass(currency, (Account::Clearing, Account::Pending), lot, key);
            self.effect(Effect {
                currency: Some(currency.clone()),
                amount: Some(lot.remaining.get()),
                expires_on: lot.last_day,
                matures_at: wait.matures_at,
                order_id: wait.order_id.clone(),
                ..with(kind, other)
            });
        }
    }

    /// Everything of somebody else becomes this member's (P1).
    pub(super) fn merge_in(&mut self, brought: &Brought) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status != Status::Active {
            return Err(Rejected::NeedsMember);
        }
        let from = &brought.state;
        if from.id == self.state.id || self.state.has_merged(from.id) {
            return Err(Rejected::MergeWithOneself);
        }
        if self.state.merged.len() + from.merged.len() >= MemberState::MERGED_MAX {
            return Err(Rejected::TooManyMerged { most: MemberState::MERGED_MAX });
        }
        for purse in from.purses.iter().map(BackPurse::of) {
            let (wanted, room) = (purse.points(), self.room(&purse.currency));
            if wanted > room {
                let (wanted, room) = (wanted.get(), room.get());
                return Err(Rejected::NoRoom { currency: purse.currency, wanted, room });
            }
        }
        let is_open = |club: &&Club| club.status != ClubStatus::Ended;
        let open_here = |club: &&Club| self.state.club(club.plan.as_str()).is_some_and(|own| is_open(&own));
        if let Some(club) = from.clubs.iter().filter(is_open).find(open_here) {
            return Err(Rejected::BothInClub { plan: club.plan.clone() });
        }
        let household = self.may_take_seat(from)?;
        let event = self.open_main("merge-in", EventStatus::Derived);
        let at = self.at();
        self.effect(with(EffectKind::MergedIn, from.id));
        self.take_waiting(from);
        self.change(Change::TookIn { event, at, brought: Box::new(brought.clone()) });
        self.take_once(from);
        self.take_limits(from);
        self.take_clubs(from);
        self.take_tiers(from);
        if let Some(household) = household {
            self.take_seat(household, from);
        }
        let standings = self.standings();
        let purses: Vec<BackPurse> =
            from.purses.iter().map(|purse| self.renumbered(from, BackPurse::of(purse))).collect();
        self.receive(&purses, from.id, EffectKind::Received);
        self.judge_tiers(&standings);
        self.expire_dead_on_arrival();
        self.follow_causes();
        self.settle_what_came();
        Ok(())
    }

    /// A purse whose waits are numbered as this member names them.
    fn renumbered(&self, from: &MemberState, mut purse: BackPurse) -> BackPurse {
        purse.waits.retain_mut(|wait| match self.state.number_from(from, wait.event) {
            Some(number) => {
                wait.event = number;
                true
            }
            None => false,
        });
        purse
    }

    /// Two places in one list are one; the other is free.
    fn take_waiting(&mut self, from: &MemberState) {
        for wait in &from.waiting {
            let state = match (self.state.waits_for(&wait.reward), wait.offered_until) {
                (Some(_), _) => WaitState::Left,
                (None, Some(_)) => WaitState::Offered,
                (None, None) => WaitState::Waiting,
            };
            if state == WaitState::Left {
                let of = &wait.reward;
                let pool = if wait.offered_until.is_some() { stock_pool(of) } else { waiting_pool(of) };
                self.take_from_pool(pool, -1, i64::MAX);
            }
            self.waitlist.push(WaitlistChange { reward: wait.reward.clone(), place: wait.place, state });
        }
    }

    /// What is given once, or known once.
    fn take_once(&mut self, from: &MemberState) {
        match (self.state.birthday, from.birthday) {
            (None, Some(birthday)) => {
                let at = from.birthday_since.unwrap_or_else(|| self.at());
                self.change(Change::Birthday { birthday, at });
                if let Some((from_year, birthday)) = from.birthday_next {
                    self.change(Change::BirthdayNext { from_year, birthday });
                }
            }
            (Some(own), Some(theirs)) if own != theirs => self.kept_once("birthday", None),
            _ => {}
        }
        for (campaign, birthday) in &from.gifts {
            let own = self.state.gifts.iter().find(|(known, _)| known == campaign).map(|(_, day)| *day);
            if own.is_some() {
                self.kept_once("gift", Some(campaign));
            }
            let birthday = own.map_or(*birthday, |own| own.max(*birthday));
            self.change(Change::Gift { campaign: campaign.clone(), birthday });
        }
        for grant in &from.grants {
            self.change(Change::Granted { benefit: grant.benefit.clone(), last_day: grant.last_day });
        }
        if let (Some(own), Some(theirs)) = (&self.state.referral, &from.referral)
            && own.referrer != theirs.referrer
        {
            self.kept_once("referral", None);
        }
    }

    pub(super) fn kept_once(&mut self, what: &str, campaign: Option<&Id>) {
        let reason = Some(what.into());
        self.effect(Effect { reason, campaign: campaign.cloned(), ..Effect::of(EffectKind::KeptOnce) });
    }

    /// What both used of a limit is used of one member's; fractions go on together (M2).
    fn take_limits(&mut self, from: &MemberState) {
        let today = self.program.calendar.day(self.state.clock);
        for counter in from.counters.iter().filter(|counter| counter.until > today) {
            let (limit, from, until, by) = (counter.limit.clone(), counter.from, counter.until, counter.used);
            self.change(Change::Used { limit, from, until, by });
        }
        // Whoever begins again as somebody else has used up what they had (C1).
        let now = self.state.clock;
        for counted in from.velocity.iter().filter(|counted| counted.until > now) {
            let (rule, from, until, by) = (counted.rule.clone(), counted.from, counted.until, counted.used);
            self.change(Change::Velocity { rule, from, until, by });
        }
        for fraction in &from.fractions {
            self.carry(&fraction.rule, fraction.carried);
        }
    }

    /// Of two memberships of a plan the open one; a trial was had if one of them had it.
    fn take_clubs(&mut self, from: &MemberState) {
        for theirs in &from.clubs {
            let own = self.state.club(theirs.plan.as_str()).cloned();
            let event = self.state.number_from(from, theirs.event).unwrap_or(theirs.event);
            let club = match own {
                Some(own) if theirs.status == ClubStatus::Ended => Club { tried: own.tried || theirs.tried, ..own },
                own => Club { event, tried: theirs.tried || own.is_some_and(|own| own.tried), ..theirs.clone() },
            };
            self.change(Change::Club { club });
        }
    }

    /// Tiers from what both did; never below the higher of the two until its own review (P1).
    fn take_tiers(&mut self, from: &MemberState) {
        let now = self.state.clock;
        let program = self.inputs.versions.at(now).clone();
        let day = program.calendar.day(now);
        for ladder in &program.ladders {
            let (own_rank, their_rank) = (standing::rank(ladder, &self.state), standing::rank(ladder, from));
            let held = |state: &MemberState, rank: usize| {
                let held = standing::at(&program, ladder, state, now, day);
                held.until.filter(|_| held.rank >= rank && rank > 0)
            };
            let (rank, until) = if their_rank > own_rank {
                (their_rank, held(from, their_rank))
            } else {
                (own_rank, held(&self.state, own_rank).max(held(from, own_rank)))
            };
            for (measure, on, by) in measured(&program, ladder, from, &self.state) {
                self.change(Change::Measured { ladder: ladder.id.clone(), measure, on, by });
            }
            for placement in from.placements(ladder.id.as_str(), now) {
                let known = self.state.placements(ladder.id.as_str(), now).find(|own| own.kind == placement.kind);
                let value = |placement: &crate::member::Placement| {
                    (ladder.rank(&placement.level), placement.until.unwrap_or(Instant::MAX))
                };
                if known.is_none_or(|known| value(known) < value(placement)) {
                    self.change(Change::Placed { placement: placement.clone() });
                }
            }
            if their_rank > own_rank {
                let (level, old) = (ladder.level(their_rank).id.clone(), ladder.level(own_rank).id.clone());
                let since = from.ladder(ladder.id.as_str()).map_or(now, |known| known.since);
                self.change(Change::Level { ladder: ladder.id.clone(), level: level.clone(), at: since });
                let (kind, ladder) = (EffectKind::TierUp, Some(ladder.id.clone()));
                self.effect(Effect { ladder, level: Some(level), from: Some(old), ..Effect::of(kind) });
            }
            let sustained = held(&self.state, rank);
            if let Some(until) = until.filter(|until| sustained < Some(*until)) {
                let floor = Some((ladder.level(rank).id.clone(), until));
                self.change(Change::Floor { ladder: ladder.id.clone(), floor });
            }
        }
    }

    /// The other could not have it: the member is one of their own again, with everything.
    pub(super) fn merge_refused(&mut self, brought: &Brought, by: MemberId) {
        self.change(Change::Unmerged);
        let purses: Vec<BackPurse> = brought.state.purses.iter().map(BackPurse::of).collect();
        // No time has passed for them, and nothing has moved.
        self.receive(&purses, by, EffectKind::CameBack);
    }

    /// Two again (P1): what came with the other goes back as far as it is there; what happened since stays.
    pub(super) fn unmerge(&mut self, unmerge: &Unmerge) -> Result<(), Rejected> {
        let member = unmerge.from;
        let not_merged = || Rejected::NotMerged { member: member.to_compact_string() };
        let merged = self.state.merged_now().find(|merged| merged.id == member && merged.by.is_none());
        let merged = merged.cloned().ok_or_else(not_merged)?;
        let until = undo_until(self.inputs.versions.at(merged.at), &merged);
        if self.at_effective() >= until {
            return Err(Rejected::MergeUndoTooLate { merged_at: merged.at, until });
        }
        let history = self.inputs.history.unwrap_or_default();
        let brought = history.iter().find(|event| event.seq == merged.event).and_then(|event| {
            event.record.changes.iter().find_map(|change| match change {
                Change::TookIn { brought, .. } => Some(brought.clone()),
                _ => None,
            })
        });
        let brought = brought.ok_or_else(not_merged)?;
        let seq = self.open_main("merge-undo", EventStatus::Applied);
        self.effect(with(EffectKind::Unmerged, member));
        // No review is waited for with a level that only came with the other.
        let standings: Vec<_> =
            self.standings().into_iter().map(|standing| Standing { until: None, ..standing }).collect();
        let from = &brought.state;
        let purses: Vec<BackPurse> =
            from.purses.iter().map(|purse| self.hand_back(from, &BackPurse::of(purse), history)).collect();
        let is_same = |wait: &&crate::member::Waiting| {
            self.state.waits_for(&wait.reward).is_some_and(|own| own.place == wait.place)
        };
        let waiting = from.waiting.iter().filter(is_same).cloned().collect();
        self.give_limits_back(from);
        let home = self.give_seat_back(from, merged.event, history);
        self.change(Change::LetGo { brought: brought.clone() });
        self.have_own_again(from, history, merged.event);
        self.judge_tiers(&standings);
        let back = GivenBack { by: EventId { member: self.state.id, seq }, purses, waiting, home };
        let on_the_way = (carries(&back.purses), owes(&back.purses));
        self.follow_up_owing(member, "merge-back", &back, on_the_way);
        self.follow_causes();
        Ok(())
    }

    /// Sends back of a currency what is still there of what came: from the same lots, from waits, and from where those
    /// matured to.
    fn hand_back(&mut self, from: &MemberState, brought: &BackPurse, history: &[Recorded]) -> BackPurse {
        let currency = &brought.currency;
        let mut back = BackPurse {
            lots: Vec::new(),
            waits: Vec::new(),
            debt: brought.debt.min(self.owed(currency)),
            redeemed: Points::ZERO,
            ..brought.clone()
        };
        let entries = || history.iter().flat_map(|event| &event.entries).filter(|entry| entry.currency == *currency);
        let mut matured: Vec<Lot> = Vec::new();
        for wait in &brought.waits {
            let Some(number) = self.state.number_from(from, wait.event) else { continue };
            let purse = self.state.purse(currency.as_str());
            let there = purse.and_then(|purse| purse.waits.iter().find(|known| known.event == number)).cloned();
            for lot in there.iter().flat_map(|there| &there.lots) {
                let key = LotRef { order: Some(number), ..lot.key() };
                self.pass(currency, (Account::Pending, Account::Clearing), lot, key);
            }
            back.waits.extend(there.map(|there| Wait { event: wait.event, ..there }));
            let is_of = |key: &LotRef| key.order == Some(number);
            let of_wait = entries().filter(|entry| {
                entry.kind == EntryKind::Maturity
                    && entry.to == Account::Active
                    && entry.lot.as_ref().is_some_and(is_of)
            });
            matured.extend(of_wait.filter_map(|entry| {
                let key = entry.lot.as_ref()?;
                Some(Lot {
                    last_day: key.last_day,
                    expires_at: entry.expires_at,
                    funder: key.funder.clone(),
                    earned_at: entry.at,
                    remaining: entry.amount,
                })
            }));
        }
        for lot in brought.lots.iter().chain(&matured) {
            let taken = self.take_from_lot(EntryKind::Transfer, Account::Clearing, currency, &lot.key(), lot.remaining);
            if !taken.is_zero() {
                back.lots.push(Lot { remaining: taken, ..lot.clone() });
            }
        }
        self.pass_sum(currency, (Account::Clearing, Account::Debt), back.debt);
        let is_theirs = |key: &LotRef| {
            let member = key.order.map(|number| self.state.event_id(number).member);
            member.is_some_and(|member| member == from.id || from.has_merged(member))
        };
        let came_back = entries()
            .filter(|entry| entry.from == Account::Redeemed && entry.lot.as_ref().is_some_and(is_theirs))
            .map(|entry| entry.amount)
            .sum();
        let spent = self.state.purse(currency.as_str()).map(|purse| purse.totals.redeemed).unwrap_or_default();
        back.redeemed = brought.redeemed.less(came_back).min(spent);
        self.pass_sum(currency, (Account::Redeemed, Account::Clearing), back.redeemed);
        let (given, stays) = (back.points(), brought.points().less(back.points()));
        for (kind, amount) in [(EffectKind::Sent, given), (EffectKind::Stays, stays)] {
            if !amount.is_zero() {
                let (currency, amount) = (Some(currency.clone()), Some(amount.get()));
                self.effect(Effect { currency, amount, ..with(kind, from.id) });
            }
        }
        self.moved(currency);
        back
    }

    fn give_limits_back(&mut self, from: &MemberState) {
        let today = self.program.calendar.day(self.state.clock);
        for counter in from.counters.iter().filter(|counter| counter.until > today) {
            // What is given once was given: to both.
            if super::basis::key::window(&counter.limit) == Some(crate::time::Window::Ever) {
                continue;
            }
            let by = -counter.used.min(self.state.used(&counter.limit, counter.from));
            let (limit, from, until) = (counter.limit.clone(), counter.from, counter.until);
            if by != 0 {
                self.change(Change::Used { limit, from, until, by });
            }
        }
        let now = self.state.clock;
        for counted in from.velocity.iter().filter(|counted| counted.until > now) {
            let (rule, from, until, by) = (counted.rule.clone(), counted.from, counted.until, -counted.used);
            self.change(Change::Velocity { rule, from, until, by });
        }
        let program = self.inputs.versions.at(self.state.clock).clone();
        for ladder in &program.ladders {
            for (measure, on, by) in measured(&program, ladder, from, &self.state) {
                let known = self.state.ladder(ladder.id.as_str());
                let there = known.map_or(Amount::ZERO, |known| known.sum(&measure, on, on.plus(1)));
                let by = Amount::ZERO - by.min(there);
                if !by.is_zero() {
                    self.change(Change::Measured { ladder: ladder.id.clone(), measure, on, by });
                }
            }
        }
    }

    /// The member is one of their own again, with what the other gave back.
    pub(super) fn merge_back(&mut self, back: &GivenBack) -> Result<(), Rejected> {
        if self.state.status != Status::Merged || self.state.into.is_none() {
            return Err(Rejected::NotMerged { member: self.state.id.to_compact_string() });
        }
        self.open_main("merge-back", EventStatus::Derived);
        self.change(Change::Unmerged);
        for wait in self.state.waiting.clone() {
            let state = match back.waiting.iter().find(|known| known.place == wait.place && known.reward == wait.reward)
            {
                Some(known) if known.offered_until.is_some() => WaitState::Offered,
                Some(_) => WaitState::Waiting,
                None => {
                    self.change(Change::WaitOver { reward: wait.reward });
                    continue;
                }
            };
            self.waitlist.push(WaitlistChange { reward: wait.reward, place: wait.place, state });
        }
        self.come_back_to_seat(back);
        self.receive(&back.purses, back.by.member, EffectKind::CameBack);
        self.expire_dead_on_arrival();
        self.follow_causes();
        self.settle_what_came();
        Ok(())
    }

    /// The other has left meanwhile: what was to go back stays.
    pub(super) fn merge_back_refused(&mut self, back: &GivenBack, by: MemberId) {
        let mut purses = back.purses.clone();
        for wait in purses.iter_mut().flat_map(|purse| &mut purse.waits) {
            wait.event = self.state.number_of(EventId { member: by, seq: wait.event }).unwrap_or(wait.event);
        }
        if let Some(belonging) = &back.home {
            self.change(Change::Belongs { belonging: belonging.clone() });
        }
        self.receive(&purses, by, EffectKind::CameBack);
        self.expire_dead_on_arrival();
        self.follow_causes();
        self.settle_what_came();
    }

    /// Whoever this member is one with has left: nobody is left to come back to (P3).
    pub(super) fn survivor_left(&mut self, left: &SurvivorLeft) -> Result<(), Rejected> {
        if self.state.status == Status::Active {
            return Err(Rejected::NotMerged { member: self.state.id.to_compact_string() });
        }
        self.open_main("survivor-left", EventStatus::Derived);
        if self.state.status != Status::Left {
            self.effect(with(EffectKind::Left, left.survivor));
            self.change(Change::Left { at: self.at() });
        }
        if left.erase {
            self.change(Change::Erased);
        }
        Ok(())
    }

    /// Those who are one with a member leave with them.
    pub(super) fn tell_merged(&mut self, erase: bool) {
        let survivor = self.state.id;
        let merged: Vec<MemberId> = self.state.merged_now().map(|merged| merged.id).collect();
        for member in merged {
            self.follow_up(member, "survivor-left", &SurvivorLeft { survivor, erase }, Vec::new());
        }
    }
}

/// Until when a merge can be undone (exclusive), as the version says under which it happened.
pub fn undo_until(program: &Program, merged: &Merged) -> Instant {
    let calendar = &program.calendar;
    let within = program.definition.members.merge.undo_within;
    if within.is_zero() { merged.at } else { calendar.end(within.after(calendar.day(merged.at))) }
}

/// What a member's ladder measured, in the buckets that it has with another.
fn measured(
    program: &Program,
    ladder: &LadderRules,
    from: &MemberState,
    survivor: &MemberState,
) -> Vec<(Id, crate::time::Day, Amount)> {
    let known = from.ladder(ladder.id.as_str()).into_iter().flat_map(|known| &known.measures);
    let buckets = known.flat_map(|known| known.buckets.iter().map(|(day, by)| (known.measure.clone(), *day, *by)));
    let bucket = |day| standing::bucket(program, ladder, survivor.joined_on, day);
    buckets.map(|(measure, day, by)| (measure, bucket(day), by)).collect()
}

pub(super) fn with(kind: EffectKind, other: MemberId) -> Effect {
    Effect { member: Some(other.to_compact_string()), ..Effect::of(kind) }
}
