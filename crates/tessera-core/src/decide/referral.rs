//! Referral (F1): a friend joins, qualifies by an event that lasts, and both sides get what the document gives.
//!
//! The friend's side knows when it qualifies and when the order comes back; the referrer's side decides whether it pays,
//! for there are the limits. Each tells the other by follow-ups, so it pays once, and is taken back once.

use compact_str::{CompactString, ToCompactString, format_compact};

use super::basis::Basis;
use super::outcome::{Effect, EffectKind, points};
use super::working::Working;
use super::{Credit, EventStatus, OrderProgress, OrderRecord, Reason, Rejected, RuleTrace};
use crate::event::{FieldValues, Order, Profile, ReferralStep};
use crate::expression::EventScope;
use crate::id::MemberId;
use crate::ledger::LotRef;
use crate::member::{Change, MemberState, Paid, Referral, ReferralCredit, ReferralStatus, Status};
use crate::program::{Id, Program, ReferralDefinition, ReferralGift, ReferralReturned};
use crate::time::{Instant, Window};

/// What entries of a referral name as their campaign.
const CAMPAIGN: Id = Id::constant("referral");

/// The counter of what paid a referrer in a window.
fn counter(window: Window) -> CompactString {
    format_compact!("referral/{}", window.name())
}

impl Working<'_> {
    /// Notes who brought a member and on which device they are, as far as the profile says.
    pub(super) fn note_referral(&mut self, profile: &Profile) -> Result<(), Rejected> {
        if let Some(device) = profile.device.as_ref().filter(|device| !self.state.devices.contains(device)) {
            self.change(Change::Device { device: device.clone() });
        }
        let Some(code) = &profile.referred_by else { return Ok(()) };
        let Some(rules) = &self.program.definition.referral else { return Err(Rejected::NoReferral) };
        let Some(referrer) = profile.referrer else {
            return Err(Rejected::UnknownReferralCode { code: code.clone() });
        };
        if referrer == self.state.id {
            return Err(Rejected::ReferralOfOneself);
        }
        let (day, joined_on) = (self.day(), self.state.joined_on);
        let until = rules.told_within.after(joined_on);
        if self.state.referral.is_some() || self.state.statistics.purchases > 0 || day > until {
            return Err(Rejected::ReferralTooLate { joined_on, until });
        }
        if self.inputs.state.is_none() && self.inputs.memory.is_some() {
            // P3: who comes back was a member already.
            self.close_referral(Referral::new(referrer, day), "rejoined");
            return Ok(());
        }
        self.set_referral(Referral::new(referrer, day));
        let step = ReferralStep::Joined { friend: self.state.id };
        self.tell(referrer, &step);
        self.effect(of(EffectKind::ReferralJoined, referrer));
        Ok(())
    }

    fn set_referral(&mut self, referral: Referral) {
        self.change(Change::Referral { referral: Box::new(referral) });
    }

    fn tell(&mut self, other: MemberId, step: &ReferralStep) {
        self.follow_up(other, step.kind(), step, Vec::new());
    }

    /// Whether the event that is open is what the member's referral waits for.
    pub(super) fn qualify(&mut self, kind: &str, (order, data): (Option<&Order>, &FieldValues), basis: &Basis) {
        let program = self.program.clone();
        let (Some(rules), Some(referral)) = (program.referral.as_ref(), self.state.referral.clone()) else { return };
        if referral.status != ReferralStatus::Joined || rules.definition.qualifies.trigger != *kind {
            return;
        }
        let late = rules.definition.within.is_some_and(|within| self.day() > within.after(self.state.joined_on));
        if late {
            return self.close_referral(referral, "too-late");
        }
        if !holds(&program, kind, order, data, basis) {
            if self.inputs.explain {
                let condition = rules.when.as_ref().map(|when| when.source().to_owned()).unwrap_or_default();
                let trace = RuleTrace::of(Reason::ConditionNotMet { condition });
                self.trace.push(RuleTrace { campaign: Some(CAMPAIGN), applied: false, ..trace });
            }
            return;
        }
        let (version, referrer) = (program.version, referral.referrer);
        let order_id = order.map(|order| order.order_id.clone());
        let after = rules.definition.after;
        let due_at = (!after.is_zero()).then(|| program.calendar.start(after.after(self.day())));
        let status = ReferralStatus::Qualified;
        self.effect(Effect { until: due_at, ..of(EffectKind::ReferralQualified, referrer) });
        let referral = Referral { status, order_id, version, due_at, ..referral };
        match due_at {
            Some(until) => {
                self.set_referral(referral);
                self.tell(referrer, &ReferralStep::Waits { friend: self.state.id, until });
            }
            None => self.ask_referrer(referral),
        }
    }

    /// The time in which the order may come back is over.
    pub(super) fn referral_is_due(&mut self, at: Instant) {
        let Some(referral) = self.state.referral.clone() else { return };
        self.open("referral", EventStatus::Derived, at, None);
        self.ask_referrer(referral);
    }

    fn ask_referrer(&mut self, referral: Referral) {
        let step = ReferralStep::Qualified {
            friend: self.state.id,
            version: referral.version,
            devices: self.state.devices.clone(),
            household: self.state.home(),
        };
        self.tell(referral.referrer, &step);
        self.set_referral(Referral { status: ReferralStatus::Asked, due_at: None, ..referral });
    }

    fn close_referral(&mut self, referral: Referral, reason: &str) {
        self.effect(refused(referral.referrer, reason));
        let (status, reason) = (ReferralStatus::Refused, Some(reason.into()));
        self.set_referral(Referral { status, reason, due_at: None, ..referral });
    }

    /// Another side's step arrives.
    pub(super) fn referral_step(&mut self, step: &ReferralStep) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status != Status::Active {
            return Err(Rejected::NeedsMember);
        }
        self.open_main(step.kind(), EventStatus::Derived);
        match step {
            ReferralStep::Joined { friend } => self.effect(of(EffectKind::ReferralJoined, *friend)),
            ReferralStep::Waits { friend, until } => {
                self.effect(Effect { until: Some(*until), ..of(EffectKind::ReferralQualified, *friend) });
            }
            ReferralStep::Qualified { friend, version, devices, household } => {
                self.pay_referrer((*friend, *household), *version, devices);
            }
            ReferralStep::Paid { referrer, reason } => self.pay_friend(referrer, reason.as_ref()),
            ReferralStep::Refused { reason } => {
                if let Some(referral) = self.state.referral.clone() {
                    self.close_referral(referral, reason);
                }
            }
            ReferralStep::Reversed { friend, version, paid } => {
                self.take_paid_back(*friend, *version, paid);
                let windows = self.rules_of_referral(*version).map(|rules| rules.limit.per_member).unwrap_or_default();
                for window in windows.keys().filter(|_| paid.event > 0) {
                    self.use_again(&counter(*window), -1, paid.on);
                }
            }
        }
        self.follow_causes();
        Ok(())
    }

    fn rules_of_referral(&self, version: u32) -> Option<ReferralDefinition> {
        let program = self.inputs.versions.number(version).unwrap_or(&self.program);
        program.definition.referral.clone()
    }

    /// Why a referral pays neither side.
    fn objection(
        &self,
        (friend, household): (MemberId, Option<MemberId>),
        devices: &[CompactString],
    ) -> Option<&'static str> {
        let circle = self.state.referral.as_ref().is_some_and(|own| own.referrer == friend);
        if friend == self.state.id {
            Some("oneself")
        } else if self.state.devices.iter().any(|device| devices.contains(device)) {
            Some("same-device")
        } else if household.is_some() && household == self.state.home() {
            Some("same-household")
        } else {
            circle.then_some("in-a-circle")
        }
    }

    fn pay_referrer(
        &mut self,
        (friend, household): (MemberId, Option<MemberId>),
        version: u32,
        devices: &[CompactString],
    ) {
        let rules = self.rules_of_referral(version);
        let objection =
            if rules.is_none() { Some("no-referral") } else { self.objection((friend, household), devices) };
        let (Some(rules), None) = (rules, objection) else {
            let reason = objection.unwrap_or("no-referral");
            self.effect(refused(friend, reason));
            return self.tell(friend, &ReferralStep::Refused { reason: reason.into() });
        };
        let day = self.day();
        let full = |(window, most): (&Window, &i64)| self.state.used(&counter(*window), day.start_of(*window)) >= *most;
        if rules.limit.per_member.iter().any(full) {
            let reason: CompactString = "limit".into();
            self.effect(refused(friend, &reason));
            return self.tell(friend, &ReferralStep::Paid { referrer: Paid::default(), reason: Some(reason) });
        }
        for window in rules.limit.per_member.keys() {
            self.use_limit(&counter(*window), 1, day);
        }
        let referrer = self.give_paid(friend, &rules.gives.referrer);
        self.tell(friend, &ReferralStep::Paid { referrer, reason: None });
    }

    fn pay_friend(&mut self, referrers: &Paid, reason: Option<&CompactString>) {
        let Some(referral) = self.state.referral.clone().filter(|known| known.status == ReferralStatus::Asked) else {
            return;
        };
        let Some(rules) = self.rules_of_referral(referral.version) else { return };
        let referral = Referral { referrers: referrers.clone(), reason: reason.cloned(), ..referral };
        if referral.is_back && rules.returned == ReferralReturned::Reverse {
            return self.reverse(referral);
        }
        let own = self.give_paid(referral.referrer, &rules.gives.friend);
        self.set_referral(Referral { status: ReferralStatus::Paid, own, ..referral });
    }

    /// Gives one side what the document says.
    fn give_paid(&mut self, other: MemberId, gifts: &[ReferralGift]) -> Paid {
        let (program, day, standings) = (self.program.clone(), self.day(), self.standings());
        self.effect(of(EffectKind::ReferralPaid, other));
        let mut credits: Vec<Credit> = Vec::new();
        for ReferralGift { award } in gifts {
            let currency = &award.currency;
            let Some(definition) = program.currency(currency.as_str()) else { continue };
            let effect = Effect { campaign: Some(CAMPAIGN), ..of(EffectKind::Accrual, other) };
            let amount = points(award.amount);
            self.accrue(definition, currency, amount, None, day, Some(&CAMPAIGN), effect, &mut credits);
            self.measure_points(currency, 0, award.amount, day);
            self.moved(currency);
        }
        self.judge_tiers(&standings);
        let credit = |credit: Credit| ReferralCredit {
            currency: credit.currency,
            amount: credit.amount,
            in_lot: credit.lot.is_some(),
            last_day: credit.lot.and_then(|lot| lot.last_day),
        };
        Paid { event: self.record().seq, on: day, credits: credits.into_iter().map(credit).collect() }
    }

    /// Takes one side's points back: its own lots first, then others, then as the currency's overdraft says.
    fn take_paid_back(&mut self, other: MemberId, version: u32, paid: &Paid) {
        self.effect(of(EffectKind::ReferralReversed, other));
        let standings = self.standings();
        let lot =
            |credit: &ReferralCredit| credit.in_lot.then(|| LotRef { last_day: credit.last_day, ..LotRef::default() });
        let credits: Vec<Credit> = paid
            .credits
            .iter()
            .map(|credit| Credit::new(&credit.currency, points(credit.amount), lot(credit)))
            .collect();
        let record = OrderRecord {
            order_id: CompactString::default(),
            member: self.state.id,
            made_by: self.state.event_id(paid.event).member,
            event: paid.event,
            effective_at: self.at(),
            basis: Basis { version, day: paid.on, ..Basis::default() },
            content: Order::default(),
            credits: credits.clone(),
            progress: None,
            vouchers: Vec::new(),
        };
        let mut currencies: Vec<&Id> = credits.iter().map(|credit| &credit.currency).collect();
        currencies.dedup();
        for currency in currencies {
            let of_currency = credits.iter().filter(|credit| credit.currency == *currency);
            let amount: i64 = of_currency.map(|credit| credit.amount).sum();
            let taken = self
                .attempt(|working| working.take_back(&record, currency, points(amount), &mut OrderProgress::default()));
            if taken.is_none() {
                // The overdraft is `refuse`, and they are spent.
                self.effect(refused(other, "not-enough-to-take-back"));
                continue;
            }
            self.measure_points(currency, 0, -amount, paid.on);
            self.moved(currency);
        }
        self.judge_tiers(&standings);
    }

    fn reverse(&mut self, referral: Referral) {
        let (referrer, version) = (referral.referrer, referral.version);
        if referral.own.event > 0 {
            self.take_paid_back(referrer, version, &referral.own);
        } else {
            self.effect(of(EffectKind::ReferralReversed, referrer));
        }
        let paid = referral.referrers.clone();
        self.tell(referrer, &ReferralStep::Reversed { friend: self.state.id, version, paid });
        self.set_referral(Referral { status: ReferralStatus::Reversed, ..referral });
    }

    /// What is left of an order may no longer be what qualified: all of it back, or less than `qualifies` asks for.
    pub(super) fn qualifies_still(&mut self, record: &OrderRecord, rest: Option<&Order>) {
        let Some(referral) = self.state.referral.clone() else { return };
        if referral.order_id.as_ref() != Some(&record.order_id) {
            return;
        }
        let rules = self.rules_of(record);
        let holds = |rest| holds(&rules, "purchase", Some(rest), &record.content.extra, &record.basis);
        if rest.is_some_and(holds) {
            return;
        }
        let settings = self.rules_of_referral(referral.version);
        match referral.status {
            ReferralStatus::Qualified => {
                let referrer = referral.referrer;
                let status = ReferralStatus::Joined;
                self.set_referral(Referral { status, order_id: None, due_at: None, ..referral });
                self.tell(referrer, &ReferralStep::Joined { friend: self.state.id });
            }
            ReferralStatus::Asked => self.set_referral(Referral { is_back: true, ..referral }),
            ReferralStatus::Paid if settings.is_some_and(|rules| rules.returned == ReferralReturned::Reverse) => {
                self.reverse(referral);
            }
            _ => {}
        }
    }

    /// The other side could not be told: they have left.
    pub(super) fn referral_refused(&mut self, step: &ReferralStep, code: &str) {
        let friend =
            matches!(step, ReferralStep::Joined { .. } | ReferralStep::Waits { .. } | ReferralStep::Qualified { .. });
        let Some(referral) = self.state.referral.clone().filter(|_| friend) else { return };
        if matches!(referral.status, ReferralStatus::Joined | ReferralStatus::Qualified | ReferralStatus::Asked) {
            self.close_referral(referral, code);
        }
    }
}

/// When a referral needs its member's attention.
pub(super) fn due(member: &MemberState) -> Option<Instant> {
    member.referral.as_ref().and_then(|referral| referral.due_at)
}

/// Whether an event is what the document says qualifies, as the member was before it.
fn holds(program: &Program, kind: &str, order: Option<&Order>, data: &FieldValues, basis: &Basis) -> bool {
    let Some(rules) = &program.referral else { return false };
    let Some(when) = &rules.when else { return true };
    let scope = EventScope::new(&when.fields, order, data, &basis.facts, Some((&program.calendar, basis.at)));
    if let Some(order) = order {
        scope.set_net(order.net(&program.definition.base).to_decimal());
    }
    when.holds(scope.scope()).unwrap_or(false) && rules.definition.qualifies.trigger == *kind
}

fn of(kind: EffectKind, other: MemberId) -> Effect {
    Effect { member: Some(other.to_compact_string()), ..Effect::of(kind) }
}

fn refused(other: MemberId, reason: &str) -> Effect {
    Effect { reason: Some(reason.into()), ..of(EffectKind::ReferralRefused, other) }
}
