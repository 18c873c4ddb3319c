//! A decision while it is being made: the member as they would be, and what will be written.

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;
use rust_decimal::Decimal;

use super::basis::{self, Basis, Usage, key};
use super::caps;
use super::derived::Cause;
use super::draw;
use super::evaluate::{self, AwardLine, Evaluation, Look};
use super::expiry;
use super::outcome::{self, Effect, EffectKind, points};
use super::pool::Pooling;
use super::tier::standing::Standing;
use super::{
    Answer, Credit, Decision, EventStatus, Inputs, IssuedVoucher, OrderProgress, PartnerOrder, PoolChange, Record,
    Recorded, Rejected, RuleTrace, WaitlistChange,
};
use crate::event::{Command, FieldValues, Order, What};
use crate::id::EventId;
use crate::ledger::{Account, Entry, EntryKind, LotRef, Redemption};
use crate::member::{Change, MemberState, Status};
use crate::program::{CurrencyDefinition, Expires, Id, Pending, Program};
use crate::quantity::{Points, apportion};
use crate::time::{Day, Instant};
use crate::voucher::CodeRecord;

pub(super) struct Working<'a> {
    pub inputs: &'a Inputs<'a>,
    pub state: MemberState,
    /// The version in force for the event being decided.
    pub program: Arc<Program>,
    effective_at: Instant,
    /// The member as of an earlier business time, for a backdated event (I5).
    past: Option<Past>,
    pub events: Vec<Recorded>,
    pub main: usize,
    pub orders: Vec<(CompactString, u64)>,
    pub progress: Vec<(CompactString, OrderProgress)>,
    pools: BTreeMap<CompactString, (i64, i64)>,
    vouchers: Vec<IssuedVoucher>,
    pub waitlist: Vec<WaitlistChange>,
    /// Codes of partners to be given: from which pool, to which redemption.
    pub codes: Vec<(Id, u64)>,
    pub partner_orders: Vec<PartnerOrder>,
    /// Redemptions made or changed, by their event.
    pub redemptions: Vec<(u64, Redemption)>,
    /// Codes of vouchers whose uses changed.
    pub voucher_codes: Vec<CodeRecord>,
    pub trace: Vec<RuleTrace>,
    pub causes: Vec<Cause>,
    pub cases: Vec<super::CaseHit>,
    /// Whose parts of a household's pool are moving.
    pub pooling: Pooling,
    /// The lot that the points would go to which repay debt next.
    pub repaying: Option<LotRef>,
    /// Where the member stands on every ladder, once it was judged and as long as nothing has changed since.
    pub judged: Option<Vec<Standing>>,
}

/// What was true at the business time of a backdated event.
#[derive(Clone)]
pub(super) struct Past {
    pub member: MemberState,
    /// Limits used in any window, from every stored event.
    used: BTreeMap<(CompactString, Day), i64>,
}

/// A backdated event is judged in its own windows, every other in the open ones; pools with what this decision used.
impl Usage for Working<'_> {
    fn used(&self, limit: &str, from: Day) -> i64 {
        match &self.past {
            Some(past) => past.used.get(&(CompactString::from(limit), from)).copied().unwrap_or(0),
            None => self.state.used(limit, from),
        }
    }

    fn pool(&self, pool: &str) -> i64 {
        let before = self.inputs.pools.get(pool).copied().unwrap_or(0);
        before + self.pools.get(pool).map_or(0, |(by, _)| *by)
    }
}

impl<'a> Working<'a> {
    pub fn begin(inputs: &'a Inputs<'a>, command: &Command) -> Result<Self, Rejected> {
        let at = command.effective_at;
        let program = inputs.versions.at(at).clone();
        let day = program.calendar.day(at);
        let fresh = |status| MemberState::new(inputs.new_member, status, at, day);
        let state = match inputs.state {
            Some(state) => state.clone(),
            None if command.what.makes_gift_card() => fresh(Status::GiftCard),
            None if command.what.makes_household() => fresh(Status::Household),
            None => fresh(if inputs.guest { Status::Guest } else { Status::Active }),
        };
        let mut past = None;
        // A lot of another system is judged by nothing that happened here.
        let is_judged = !matches!(command.what, What::WakeUp) && !command.what.is_from_elsewhere();
        if at < state.clock && is_judged {
            let earliest = program.definition.backdate_max.before(program.calendar.day(state.clock));
            if day < earliest {
                return Err(Rejected::TooLate { effective_at: at, earliest: program.calendar.start(earliest) });
            }
            past = Some(Past::new(inputs, &state, at));
        }
        Ok(Self {
            inputs,
            state,
            program,
            effective_at: at,
            past,
            events: Vec::new(),
            main: 0,
            orders: Vec::new(),
            progress: Vec::new(),
            pools: BTreeMap::new(),
            vouchers: Vec::new(),
            waitlist: Vec::new(),
            codes: Vec::new(),
            partner_orders: Vec::new(),
            redemptions: Vec::new(),
            voucher_codes: Vec::new(),
            trace: Vec::new(),
            causes: Vec::new(),
            cases: Vec::new(),
            pooling: Pooling::default(),
            repaying: None,
            judged: None,
        })
    }

    /// The business time of the event being decided.
    pub fn at(&self) -> Instant {
        self.events.last().map_or(self.effective_at, |event| event.effective_at)
    }

    /// Whether the command is about a business time before the member's own clock.
    pub fn is_backdated(&self) -> bool {
        self.past.is_some()
    }

    pub fn past(&self) -> Option<&Past> {
        self.past.as_ref()
    }

    /// The command's own business time.
    pub fn at_effective(&self) -> Instant {
        self.effective_at
    }

    pub fn day(&self) -> Day {
        self.events.last().map_or_else(|| self.program.calendar.day(self.effective_at), |event| event.record.day)
    }

    /// Opens an event; what follows belongs to it.
    pub fn open(&mut self, kind: &str, status: EventStatus, at: Instant, data: Option<String>) -> u64 {
        let day = self.program.calendar.day(at);
        self.judged = None;
        self.state.begin_event(at, day);
        self.events.push(Recorded {
            seq: self.state.events,
            kind: kind.into(),
            status,
            effective_at: at,
            version: self.program.version,
            data,
            record: Record { day, ..Record::default() },
            entries: Vec::new(),
        });
        self.state.events
    }

    /// Opens the command's own event.
    pub fn open_main(&mut self, kind: &str, status: EventStatus) -> u64 {
        self.program = self.inputs.versions.at(self.effective_at).clone();
        let seq = self.open(kind, status, self.effective_at, None);
        self.main = self.events.len() - 1;
        if status == EventStatus::Applied && !matches!(kind, "adjustment" | "import" | "move-in" | "move-voucher") {
            self.change(Change::Happened { at: self.effective_at });
        }
        seq
    }

    /// Does what may turn out to be impossible inside the event that is open; then nothing of it stays.
    pub fn attempt<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Rejected>) -> Option<T> {
        let (state, event, past) = (self.state.clone(), self.record().clone(), self.past.clone());
        let (progress, pools, causes) = (self.progress.clone(), self.pools.clone(), self.causes.clone());
        let (redemptions, voucher_codes) = (self.redemptions.clone(), self.voucher_codes.clone());
        let (orders, vouchers, trace) = (self.orders.len(), self.vouchers.len(), self.trace.len());
        let done = work(self).ok();
        if done.is_none() {
            (self.state, self.past, self.judged) = (state, past, None);
            (self.progress, self.pools, self.causes) = (progress, pools, causes);
            (self.redemptions, self.voucher_codes) = (redemptions, voucher_codes);
            *self.record() = event;
            self.orders.truncate(orders);
            self.vouchers.truncate(vouchers);
            self.trace.truncate(trace);
        }
        done
    }

    pub fn record(&mut self) -> &mut Recorded {
        let last = self.events.len() - 1;
        &mut self.events[last]
    }

    pub fn change(&mut self, change: Change) {
        if let (Some(past), Change::Used { limit, from, by, .. }) = (&mut self.past, &change) {
            *past.used.entry((limit.clone(), *from)).or_insert(0) += by;
        }
        self.judged = None;
        self.state.apply_change(&change);
        self.record().record.changes.push(change);
    }

    pub fn effect(&mut self, effect: Effect) {
        self.record().record.effects.push(effect);
    }

    /// Posts an entry; an amount of zero posts nothing (A1).
    pub fn post(&mut self, kind: EntryKind, from: Account, to: Account, posting: Posting<'_>) {
        if posting.amount.is_zero() {
            return;
        }
        let (at, event, version) = (self.at(), self.state.events, self.program.version);
        let mut entry = Entry {
            seq: self.state.entries + 1,
            event,
            at,
            currency: posting.currency.clone(),
            kind,
            from,
            to,
            amount: posting.amount,
            lot: posting.lot,
            expires_at: posting.expires_at,
            campaign: posting.campaign.cloned(),
            version,
            hash: [0; 32],
        };
        entry.hash = entry.chained(&self.state.chain);
        self.judged = None;
        self.state.apply_entry(&entry);
        self.move_parts(&entry);
        self.repay_shortfalls(&entry);
        self.record().entries.push(entry);
    }

    /// The basis of the command's own event: the member as they were at its business time (I5, C8).
    pub fn basis(&self, kind: &str) -> Basis {
        let before = self.past.as_ref().map_or(&self.state, |past| &past.member);
        // The event is opened next.
        self.with_draws(kind, self.state.events + 1, |working| {
            basis::basis(&working.program, kind, before, &working.state, working, working.effective_at)
        })
    }

    fn with_draws(&self, kind: &str, event: u64, basis: impl FnOnce(&Self) -> Basis) -> Basis {
        let before = self.events.iter().map(|event| event.record.draws.len()).sum();
        let (draws, entropy, member) = (self.inputs.draws, &self.inputs.entropy, self.state.id);
        let seed = draw::Seed { draws, entropy, member, event, before };
        Basis { draws: draw::numbers(&self.program, kind, seed), ..basis(self) }
    }

    /// The basis of what time or the open event brings about: the member as they are by now (C8).
    pub fn basis_now(&self, kind: &str, at: Instant) -> Basis {
        self.with_draws(kind, self.state.events, |working| {
            basis::basis(&working.program, kind, &working.state, &working.state, working, at)
        })
    }

    pub fn evaluate(
        &mut self,
        kind: &str,
        order: Option<&Order>,
        data: &FieldValues,
        basis: &Basis,
        only: Option<&Id>,
    ) -> Evaluation {
        let state = &self.state;
        let spendable = |currency: &Id| state.purse(currency.as_str()).map_or(0, |purse| purse.active().get());
        let explain = self.inputs.explain;
        let look = Look { program: &self.program, kind, order, data, basis, only, spendable: &spendable, explain };
        let mut evaluation = evaluate::evaluate(&look);
        self.trace.append(&mut evaluation.trace);
        evaluation
    }

    /// Gives what an evaluation found: limits used, points posted, tiers measured, actions done.
    pub fn give(&mut self, evaluation: &Evaluation, order_id: Option<&CompactString>) -> Vec<Credit> {
        let day = self.day();
        for (limit, usage) in &evaluation.usage {
            self.use_limit(limit, usage.by, day);
        }
        for (rule, by) in &evaluation.carried {
            self.carry(rule, *by);
        }
        for exposure in &evaluation.exposures {
            if !self.state.exposures.iter().any(|(known, _)| *known == exposure.campaign) {
                let (campaign, worth) = (exposure.campaign.clone(), exposure.worth.clone());
                self.change(Change::Exposed { campaign, held_out: exposure.held_out, worth });
            }
        }
        let (totals, base) = (evaluation.totals(), evaluation.base_totals());
        self.announce_waits(&totals, &base, order_id, day);
        self.record().record.draws.extend(evaluation.draws.iter().cloned());
        let mut credits = Vec::new();
        for award in &evaluation.awards {
            self.award(award, day, &mut credits);
        }
        for (currency, all) in &totals {
            if counts_at_once(&self.program, currency) || !self.waits_here(currency) {
                self.measure_points(currency, base.get(currency).copied().unwrap_or(0), *all, day);
            }
            self.moved(currency);
        }
        for action in &evaluation.actions {
            self.act(action);
        }
        self.play(evaluation);
        credits
    }

    /// Changes the fraction that a rule carries on to the next event (M2). A return may leave it below zero: what an
    /// order lent to a later one.
    pub fn carry(&mut self, rule: &CompactString, by: Decimal) {
        if !by.is_zero() {
            let fraction = self.state.fraction(rule) + by;
            self.change(Change::Carried { rule: rule.clone(), fraction });
        }
    }

    fn announce_waits(
        &mut self,
        totals: &BTreeMap<Id, i64>,
        base: &BTreeMap<Id, i64>,
        order_id: Option<&CompactString>,
        day: Day,
    ) {
        let program = self.program.clone();
        for (currency, all) in totals {
            let Some(pending) = program.currency(currency.as_str()).map(|definition| &definition.pending) else {
                continue;
            };
            // What no order earned has no order whose event could release it.
            let waits = !pending.period.is_zero() || (pending.until.is_some() && order_id.is_some());
            // Whoever can hold no more waits for nothing.
            if waits && *all > 0 && !self.room(currency).is_zero() {
                let event = self.state.events;
                let counts = if pending.counts_to_tiers { 0 } else { base.get(currency).copied().unwrap_or(0) };
                // What an event causes may add to what the event itself gave.
                let known = self
                    .state
                    .purse(currency.as_str())
                    .and_then(|purse| purse.waits.iter().find(|wait| wait.event == event));
                let counts = points(counts) + known.map_or(Points::ZERO, |wait| wait.base);
                self.change(Change::Waits {
                    currency: currency.clone(),
                    event,
                    order_id: order_id.cloned(),
                    earned_on: day,
                    matures_at: self.matures_at(pending, day),
                    until: pending.until.clone(),
                    version: program.version,
                    base: counts,
                });
            }
        }
    }

    /// How much more a member can hold, so that no lot is larger than what one entry may move.
    pub fn room(&self, currency: &Id) -> Points {
        let purse = self.state.purse(currency.as_str());
        let held = self.state.held(currency.as_str());
        purse.map_or(Points::MAX, |purse| Points::MAX.less(purse.active()).less(purse.pending()).less(held))
    }

    /// Whether what the open event earns in a currency waits.
    fn waits_here(&self, currency: &Id) -> bool {
        let event = self.state.events;
        self.state.purse(currency.as_str()).is_some_and(|purse| purse.waits.iter().any(|wait| wait.event == event))
    }

    /// When points earned on a day become spendable by themselves.
    pub fn matures_at(&self, pending: &Pending, earned_on: Day) -> Option<Instant> {
        (!pending.period.is_zero()).then(|| self.program.calendar.start(pending.period.after(earned_on)))
    }

    fn award(&mut self, award: &AwardLine, day: Day, credits: &mut Vec<Credit>) {
        let program = self.program.clone();
        let Some(definition) = program.currency(award.currency.as_str()) else { return };
        let funders = program
            .campaign(award.campaign.as_str())
            .map_or_else(|| vec![(None, 1)], |campaign| campaign.funders.clone());
        let weights: Vec<i128> = funders.iter().map(|(_, weight)| *weight).collect();
        let mut first = true;
        for ((funder, _), part) in funders.into_iter().zip(apportion(i128::from(award.amount), &weights)) {
            let capped = first.then(|| award.capped_by.clone()).flatten();
            first = false;
            let wanted = capped.is_some().then_some(award.wanted);
            let effect = Effect {
                campaign: Some(award.campaign.clone()),
                wanted,
                capped_by: capped,
                ..Effect::of(EffectKind::Accrual)
            };
            self.accrue(
                definition,
                &award.currency,
                Points::clamped(part),
                funder,
                day,
                Some(&award.campaign),
                effect,
                credits,
            );
        }
    }

    /// Earned points: pending where the currency waits, else debt first, then a lot.
    #[expect(clippy::too_many_arguments, reason = "one place posts accruals, with all an entry needs")]
    pub fn accrue(
        &mut self,
        definition: &CurrencyDefinition,
        currency: &Id,
        amount: Points,
        funder: Option<Id>,
        earned_on: Day,
        campaign: Option<&Id>,
        effect: Effect,
        credits: &mut Vec<Credit>,
    ) {
        let expiry = expiry::last_day(&self.program, &definition.expires, earned_on);
        let (last_day, expires_at) = expiry.unzip();
        let of = |kind, amount: Points| Effect {
            kind,
            currency: Some(currency.clone()),
            amount: Some(amount.get()),
            expires_on: last_day,
            ..effect.clone()
        };
        if amount.is_zero() {
            if effect.capped_by.is_some() {
                self.effect(of(EffectKind::Accrual, amount));
            }
            return;
        }
        let amount = amount.min(self.room(currency));
        if amount.is_zero() {
            return;
        }
        if definition.pending.waits() && self.waits_here(currency) {
            let from_earn = definition.pending.expiry_counts_from == crate::program::CountsFrom::Earn;
            let (last_day, expires_at) = if from_earn { (last_day, expires_at) } else { (None, None) };
            let lot = LotRef { last_day, funder, order: Some(self.state.events) };
            let wait = self
                .state
                .purse(currency.as_str())
                .and_then(|purse| purse.waits.iter().find(|wait| wait.event == self.state.events));
            let matures_at = wait.and_then(|wait| wait.matures_at);
            let posting = Posting { currency, amount, lot: Some(lot.clone()), expires_at, campaign };
            self.post(EntryKind::Accrual, Account::Issued, Account::Pending, posting);
            self.effect(Effect { matures_at, expires_on: last_day, ..of(EffectKind::Pending, amount) });
            credits.push(Credit::new(currency, amount, Some(lot)));
            return;
        }
        let owed = self.state.purse(currency.as_str()).map_or(Points::ZERO, |purse| purse.debt);
        let (repaid, rest) = amount.split(owed);
        if !repaid.is_zero() {
            let lot = LotRef { last_day, funder: funder.clone(), order: None };
            let owed = self.owed_for_shortfalls(currency);
            self.repaying = Some(lot.clone());
            let posting = Posting { currency, amount: repaid, lot: None, expires_at: None, campaign };
            self.post(EntryKind::Accrual, Account::Issued, Account::Debt, posting);
            self.effect(Effect { expires_on: None, ..of(EffectKind::DebtRepaid, repaid) });
            // What an order that came back owed is as good as taken from the lot.
            let (taken, rest) = repaid.split(points(owed - self.owed_for_shortfalls(currency)));
            for (part, lot) in [(taken, Some(lot)), (rest, None)] {
                credits.extend((!part.is_zero()).then(|| Credit::new(currency, part, lot)));
            }
        }
        if !rest.is_zero() {
            let lot = LotRef { last_day, funder, order: None };
            let posting = Posting { currency, amount: rest, lot: Some(lot.clone()), expires_at, campaign };
            self.post(EntryKind::Accrual, Account::Issued, Account::Active, posting);
            self.date_idle(currency, &definition.expires);
            self.effect(of(EffectKind::Accrual, rest));
            credits.push(Credit::new(currency, rest, Some(lot)));
        }
    }

    /// Uses or, when negative, gives back room of a limit in the window of a business day.
    pub fn use_limit(&mut self, limit: &CompactString, by: i64, day: Day) {
        if by == 0 {
            return;
        }
        if key::is_pool(limit) {
            let most = basis::pool_most(&self.program, limit, day);
            let change = self.pools.entry(limit.clone()).or_insert((0, most));
            change.0 += by;
            return;
        }
        if let Some(window) = key::window(limit).filter(|_| caps::is_counted(limit)) {
            self.change(Change::Used {
                limit: limit.clone(),
                from: day.start_of(window),
                until: day.end_of(window),
                by,
            });
        }
    }

    /// What is used of a pool, this decision's own use with it.
    pub fn used_of_pool(&self, pool: &str) -> i64 {
        self.pool(pool)
    }

    /// Takes from a pool that holds at most so much.
    pub fn take_from_pool(&mut self, pool: CompactString, by: i64, most: i64) {
        self.pools.entry(pool).or_insert((0, most)).0 += by;
    }

    /// The same for an order that is worth another sum now: only in windows still open (C2).
    pub fn use_again(&mut self, limit: &CompactString, by: i64, day: Day) {
        let today = self.program.calendar.day(self.state.clock);
        if key::window(limit).is_none_or(|window| day.end_of(window) > today) {
            self.use_limit(limit, by, day);
        }
    }

    pub fn vouchers_issued(&self) -> usize {
        self.vouchers.len()
    }

    pub fn issued_since(&self, before: usize) -> Vec<IssuedVoucher> {
        self.vouchers.get(before..).unwrap_or_default().to_vec()
    }

    /// A voucher with the code it has.
    pub fn issued(&mut self, voucher: IssuedVoucher) {
        self.vouchers.push(voucher);
    }

    /// Issues a voucher for a campaign, or with a reward; says its code.
    pub fn issue_voucher(&mut self, campaign: Option<&Id>, voucher: &Id) -> Option<CompactString> {
        let program = self.program.clone();
        let definition = program.definition.vouchers.get(voucher)?;
        let valid = definition.valid.map(|valid| valid.after(self.day()));
        let last_day = valid.into_iter().chain(definition.until).min();
        let number = u32::try_from(self.vouchers.len()).unwrap_or(u32::MAX);
        let code = super::derived::voucher_code(&self.inputs.entropy, self.state.id, self.state.events, number);
        self.effect(Effect {
            voucher: Some(voucher.clone()),
            code: Some(code.clone()),
            campaign: campaign.cloned(),
            expires_on: last_day,
            ..Effect::of(EffectKind::VoucherIssued)
        });
        self.vouchers.push(IssuedVoucher {
            code: code.clone(),
            voucher: voucher.clone(),
            version: program.version,
            uses: definition.uses.per_code,
            event: self.state.events,
            issued_at: self.at(),
            expires_at: last_day.map(|last| program.calendar.end(last)),
        });
        Some(code)
    }

    /// Moves the inactivity date of the currencies that this kind of event keeps alive (L4): never back.
    pub fn keep_alive(&mut self, kind: &str) {
        if !self.state.status.is_member() {
            return;
        }
        let program = self.program.clone();
        for (currency, definition) in &program.definition.currencies {
            if let Expires::Inactivity { inactivity, round, moved_by } = &definition.expires
                && moved_by.iter().any(|known| *known == *kind)
            {
                self.idle_from(currency, round.last_day(inactivity.after(self.day())));
            }
        }
    }

    /// What is earned in a currency that expires by inactivity needs a date: where there is none, or it has passed, it
    /// counts from the day of earning, whatever kind of event that was.
    pub fn date_idle(&mut self, currency: &Id, expires: &Expires) {
        if let Expires::Inactivity { inactivity, round, .. } = expires {
            let idle = self.state.purse(currency.as_str()).and_then(|purse| purse.idle);
            if idle.is_none_or(|(_, end)| end <= self.state.clock) {
                self.idle_from(currency, round.last_day(inactivity.after(self.day())));
            }
        }
    }

    fn idle_from(&mut self, currency: &Id, last_day: Day) {
        let known = self.state.purse(currency.as_str()).and_then(|purse| purse.idle);
        if known.is_none_or(|(known, _)| known < last_day) {
            let expires_at = self.program.calendar.end(last_day);
            self.change(Change::Idle { currency: currency.clone(), last_day, expires_at });
        }
    }

    /// Everything decided: what follows from it, and what to write.
    pub fn finish(mut self, command: &Command) -> Result<Decision, Rejected> {
        let main = self.main;
        let id =
            EventId { member: self.state.id, seq: self.events.get(main).map_or(self.state.events, |event| event.seq) };
        let count = |events: usize| u32::try_from(events).unwrap_or(u32::MAX);
        let answer = Answer {
            before: count(main),
            after: count(self.events.len().saturating_sub(main + 1)),
            balances: outcome::balances(&self.program, &self.state),
            tiers: outcome::levels(&self.program, &self.state),
        };
        let mut outcome = answer.outcome(id, self.state.status == Status::Guest, &self.events);
        outcome.program_version = self.inputs.versions.at(command.effective_at).version;
        outcome.of_survivor(&self.state);
        if let Some(event) = self.events.get_mut(main) {
            event.record.answer = Some(answer);
        }
        if let (None, Some(first)) = (self.inputs.state, self.events.first_mut()) {
            first.record.joined = Some(self.state.status);
        }
        self.state.wake_at = super::settle::next_wake(self.inputs.versions, &self.state);
        self.state.wake_version = self.inputs.versions.head().version;
        let follow_ups = self.events.iter().flat_map(|event| event.record.follow_ups.iter().cloned()).collect();
        let pools = self.pools.into_iter().filter(|(_, (by, _))| *by != 0);
        Ok(Decision {
            events: self.events,
            main,
            state: self.state,
            orders: self.orders,
            progress: self.progress,
            pools: pools.map(|(pool, (by, most))| PoolChange { pool, by, most }).collect(),
            vouchers: self.vouchers,
            waitlist: self.waitlist,
            codes: self.codes,
            partner_orders: self.partner_orders,
            redemptions: self.redemptions,
            voucher_codes: self.voucher_codes,
            follow_ups,
            cases: self.cases,
            outcome,
            trace: self.trace,
        })
    }
}

/// Whether what is earned in a currency counts to tiers at once (L6).
pub(super) fn counts_at_once(program: &Program, currency: &Id) -> bool {
    let pending = program.currency(currency.as_str()).map(|definition| &definition.pending);
    pending.is_none_or(|pending| !pending.waits() || pending.counts_to_tiers)
}

/// What an entry moves.
pub(super) struct Posting<'p> {
    pub currency: &'p Id,
    pub amount: Points,
    pub lot: Option<LotRef>,
    pub expires_at: Option<Instant>,
    pub campaign: Option<&'p Id>,
}

impl Past {
    /// Folds the member's stored events before an instant, and every limit they used.
    fn new(inputs: &Inputs<'_>, state: &MemberState, at: Instant) -> Self {
        let history = inputs.history.unwrap_or_default();
        let mut used = BTreeMap::new();
        for change in history.iter().flat_map(|event| &event.record.changes) {
            if let Change::Used { limit, from, by, .. } = change {
                *used.entry((limit.clone(), *from)).or_insert(0) += by;
            }
        }
        let program = inputs.versions.at(at);
        let joined = MemberState::new(
            state.id,
            state.status,
            at.min(state.joined_at),
            program.calendar.day(at.min(state.joined_at)),
        );
        let member = super::settle::as_at(inputs.versions, state.id, history, at).unwrap_or(joined);
        Self { member, used }
    }
}
