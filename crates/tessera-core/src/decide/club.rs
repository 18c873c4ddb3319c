//! Paid membership (S1): joined and renewed by a fee, a grace where it fails, an end at the end of the period, and what
//! is paid back.

use compact_str::format_compact;
use serde::Serialize;

use super::outcome::{Effect, EffectKind};
use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::{Membership, MembershipStep};
use crate::member::{Change, Club, ClubStatus, MemberState, Status};
use crate::program::{Id, PlanDefinition, Program, RefundPolicy, Renews, Versions, from_minor, minor};
use crate::quantity::{Amount, Rounding};
use crate::time::{Day, Instant};

/// A paid membership as the member sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClubView {
    pub plan: Id,
    pub status: ClubStatus,
    pub since: Instant,
    /// The first and the last day of the period that is paid, or tried.
    pub from: Day,
    pub last_day: Day,
    /// When it ends unless it is renewed (exclusive): with its period, or with its grace.
    pub ends_at: Instant,
    pub ended_at: Option<Instant>,
    /// Whether another period is meant to follow.
    pub renews: bool,
    /// The fee of the next period could not be collected.
    pub payment_failed: bool,
    /// What was paid for this period.
    pub fee: Amount,
    /// What was paid for the next one already.
    pub paid_ahead: Option<Amount>,
    /// Whether they have had its trial, with whoever is one with them.
    pub tried: bool,
    /// Days until it ends, today included; 0 once it has.
    pub days_left: i32,
    pub used: Vec<UsedView>,
}

/// Uses of a benefit that a refund takes off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsedView {
    pub benefit: Id,
    pub times: i64,
    /// Of one use.
    pub worth: Amount,
    pub amount: Amount,
}

/// What a refund comes to, step by step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefundQuote {
    pub plan: Id,
    pub policy: RefundPolicy,
    pub rounding: Rounding,
    pub fee: Amount,
    pub days: i32,
    /// Whole days of the period that are left; the day of the refund is used.
    pub days_left: i32,
    /// The fee's share of the days that are left, rounded.
    pub in_proportion: Amount,
    /// What was paid for a period that has not begun.
    pub paid_ahead: Amount,
    pub used: Vec<UsedView>,
    pub less_used: Amount,
    pub refund: Amount,
    /// The calculation in words.
    pub words: String,
}

/// Every paid membership of a settled member, those that ended too.
pub fn clubs(program: &Program, member: &MemberState, now: Instant) -> Vec<ClubView> {
    let money = |units: i64| from_minor(program.money, units);
    let view = |club: &Club| ClubView {
        plan: club.plan.clone(),
        status: club.status,
        since: club.since,
        from: club.from,
        last_day: club.until.plus(-1),
        ends_at: club.ends_at,
        ended_at: club.ended_at,
        renews: club.next_fee.is_some()
            || (club.status != ClubStatus::Ended
                && !club.cancelled
                && program.plan(club.plan.as_str()).is_some_and(|plan| plan.renews == Renews::Auto)),
        payment_failed: club.failed,
        fee: money(club.fee),
        paid_ahead: club.next_fee.map(money),
        tried: club.tried,
        days_left: days_left(program, club, now),
        used: used(program, club),
    };
    member.clubs.iter().map(view).collect()
}

/// Days until a membership ends, today included.
pub(super) fn days_left(program: &Program, club: &Club, now: Instant) -> i32 {
    if !club.is_open(now) {
        return 0;
    }
    program.calendar.last_day_before(club.ends_at).number() - program.calendar.day(now).number() + 1
}

fn used(program: &Program, club: &Club) -> Vec<UsedView> {
    let money = |units: i64| from_minor(program.money, units);
    let view = |used: &crate::member::UsedOfClub| UsedView {
        benefit: used.benefit.clone(),
        times: used.times,
        worth: money(used.worth),
        amount: money(used.worth.saturating_mul(used.times)),
    };
    club.used.iter().map(view).collect()
}

/// What would be paid back now to a settled member.
///
/// # Errors
/// As the refund itself would be refused.
pub fn quote_refund(
    versions: &Versions,
    member: &MemberState,
    plan: &Id,
    now: Instant,
) -> Result<RefundQuote, Rejected> {
    let program = versions.at(now);
    let club = member.club(plan.as_str()).ok_or_else(|| Rejected::NotInClub { plan: plan.clone() })?;
    // The terms are those that held when the period began.
    let terms = versions.number(club.version).unwrap_or(program);
    let refund = terms.plan(plan.as_str()).map(|plan| plan.refund).unwrap_or_default();
    if refund.policy == RefundPolicy::None {
        return Err(Rejected::NotRefundable { plan: plan.clone() });
    }
    // What nobody cancelled ran to its end, and was used to its end.
    let ran_out = club.ended_at.is_some_and(|ended| program.calendar.start(club.until) <= ended);
    if club.refunded || ran_out {
        return Err(Rejected::NothingToRefund { plan: plan.clone() });
    }
    let day = program.calendar.day(club.ended_at.unwrap_or(now));
    let days = club.until.number() - club.from.number();
    let left = (club.until.number() - day.number() - 1).clamp(0, days);
    let in_proportion = share(club.fee, left, days, refund.rounding);
    let money = |units: i64| from_minor(program.money, units);
    let charged = refund.policy == RefundPolicy::ProRataLessUsed;
    let used = if charged { used(program, club) } else { Vec::new() };
    let worth: i64 = if charged { club.used.iter().map(|used| used.worth.saturating_mul(used.times)).sum() } else { 0 };
    // A period that has not begun has no part in what was used.
    let left_of_fee = (in_proportion - worth).max(0);
    let ahead = club.next_fee.unwrap_or(0);
    let total = left_of_fee.saturating_add(ahead);
    if total == 0 {
        return Err(Rejected::NothingToRefund { plan: plan.clone() });
    }
    let text = |units: i64| money(units).to_text(program.money.decimals());
    let rounding = match refund.rounding {
        Rounding::Floor => "rounded down",
        Rounding::HalfUp => "rounded to the nearest, halves up",
        Rounding::HalfEven => "rounded to the nearest, halves to even",
    };
    let mut words = format!("{left} of {days} days of {}: {}, {rounding}", text(club.fee), text(in_proportion));
    for used in &club.used {
        if charged {
            words += &format!("; less {} × {} for {}", used.times, text(used.worth), used.benefit);
        }
    }
    if in_proportion < worth {
        words += "; never below 0";
    }
    if ahead > 0 {
        words += &format!("; and {} paid for the next period", text(ahead));
    }
    words += &format!("; {} back", text(total));
    Ok(RefundQuote {
        plan: plan.clone(),
        policy: refund.policy,
        rounding: refund.rounding,
        fee: money(club.fee),
        days,
        days_left: left,
        in_proportion: money(in_proportion),
        paid_ahead: money(ahead),
        used,
        less_used: money(worth.min(in_proportion)),
        refund: money(total),
        words,
    })
}

/// `fee × left ÷ days`, exact and rounded once.
fn share(fee: i64, left: i32, days: i32, rounding: Rounding) -> i64 {
    let (product, days) = (i128::from(fee) * i128::from(left), i128::from(days.max(1)));
    let (whole, rest) = (product / days, product % days);
    let up = match rounding {
        Rounding::Floor => false,
        Rounding::HalfUp => rest * 2 >= days,
        Rounding::HalfEven => rest * 2 > days || (rest * 2 == days && whole % 2 == 1),
    };
    i64::try_from(whole + i128::from(up)).unwrap_or(i64::MAX)
}

impl Working<'_> {
    pub(super) fn membership(&mut self, wish: &Membership) -> Result<(), Rejected> {
        if self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        if wish.is_about_now() && self.inputs.state.is_none() {
            return Err(Rejected::NeedsMember);
        }
        self.open_main(wish.event_type(), EventStatus::Applied);
        let program = self.program.clone();
        let id = &wish.plan;
        let known = self.state.club(id.as_str()).cloned();
        let open = known.clone().filter(|club| club.status != ClubStatus::Ended);
        let in_club = || open.clone().ok_or_else(|| Rejected::NotInClub { plan: id.clone() });
        let plan = program.plan(id.as_str());
        let offered = || {
            plan.ok_or_else(|| {
                let plans = program.definition.membership.plans.keys();
                let known = plans.map(Id::as_str).collect::<Vec<_>>().join(", ");
                Rejected::UnknownPlan { plan: id.clone(), known }
            })
        };
        match &wish.step {
            MembershipStep::Fee { amount, .. } => {
                let plan = offered()?;
                let paid = amount.map_or(plan.fee.0, Amount::to_decimal);
                let fee = minor(program.money, paid).ok_or_else(|| Rejected::NoSuchMoney {
                    amount: format_compact!("{paid}"),
                    currency: program.money.code(),
                })?;
                self.pay_fee(id, plan, known, fee)?;
            }
            MembershipStep::Trial => self.try_club(id, offered()?, known)?,
            MembershipStep::PaymentFailed => {
                let club = in_club()?;
                self.effect(of_club(EffectKind::ClubPaymentFailed, &club));
                self.change(Change::Club { club: Club { failed: true, ..club } });
            }
            MembershipStep::Cancel { at_once } => {
                let club = in_club()?;
                // What was not paid for has no end to wait for.
                if *at_once || club.status == ClubStatus::Grace {
                    self.end_club(club);
                } else {
                    self.effect(of_club(EffectKind::ClubCancelled, &club));
                    self.change(Change::Club { club: Club { cancelled: true, ..club } });
                }
            }
            MembershipStep::Refund => {
                let quote = quote_refund(self.inputs.versions, &self.state, id, self.state.clock)?;
                let club = known.ok_or_else(|| Rejected::NotInClub { plan: id.clone() })?;
                self.effect(Effect {
                    money: Some(quote.refund),
                    words: Some(quote.words.into()),
                    until: None,
                    ..of_club(EffectKind::ClubRefunded, &club)
                });
                let club = Club { refunded: true, next_fee: None, ..club };
                if club.status == ClubStatus::Ended {
                    self.change(Change::Club { club });
                } else {
                    self.end_club(club);
                }
            }
        }
        self.follow_causes();
        Ok(())
    }

    fn pay_fee(&mut self, id: &Id, plan: &PlanDefinition, known: Option<Club>, fee: i64) -> Result<(), Rejected> {
        let at = self.at();
        match known {
            Some(club) if matches!(club.status, ClubStatus::Trial | ClubStatus::Paid) => {
                if club.next_fee.is_some() {
                    return Err(Rejected::PaidAhead { plan: id.clone(), last_day: club.until.plus(-1) });
                }
                self.effect(Effect { money: Some(self.money(fee)), ..of_club(EffectKind::ClubPaidAhead, &club) });
                self.change(Change::Club {
                    club: Club { next_fee: Some(fee), cancelled: false, failed: false, ..club },
                });
            }
            // Paid in its grace, though it became known when that was over.
            Some(club) if club.status == ClubStatus::Grace || paid_in_grace(&club, at) => {
                let was_out = club.status == ClubStatus::Ended;
                self.next_period(plan, club, fee, was_out);
            }
            other => {
                let day = self.day();
                let tried = other.is_some_and(|club| club.tried);
                let until = plan.period.after(day);
                let club = self.fresh_club(id, ClubStatus::Paid, day, until, fee, tried);
                self.enter_club(club);
            }
        }
        Ok(())
    }

    fn try_club(&mut self, id: &Id, plan: &PlanDefinition, known: Option<Club>) -> Result<(), Rejected> {
        let Some(trial) = plan.trial else { return Err(Rejected::NoTrial { plan: id.clone() }) };
        if let Some(club) = known {
            return Err(if club.status == ClubStatus::Ended {
                Rejected::TrialTaken { plan: id.clone() }
            } else {
                Rejected::InClub { plan: id.clone(), last_day: club.until.plus(-1) }
            });
        }
        let day = self.day();
        let club = self.fresh_club(id, ClubStatus::Trial, day, trial.after(day), 0, true);
        self.enter_club(club);
        Ok(())
    }

    fn fresh_club(&self, plan: &Id, status: ClubStatus, from: Day, until: Day, fee: i64, tried: bool) -> Club {
        // A trial is no period: what is paid begins where it ends.
        let (anchor, periods) = if status == ClubStatus::Trial { (until, 0) } else { (from, 1) };
        Club {
            plan: plan.clone(),
            status,
            since: self.at(),
            version: self.program.version,
            event: self.state.events,
            anchor,
            periods,
            from,
            until,
            ends_at: self.program.calendar.start(until),
            fee,
            next_fee: None,
            cancelled: false,
            failed: false,
            tried,
            refunded: false,
            ended_at: None,
            used: Vec::new(),
        }
    }

    fn enter_club(&mut self, club: Club) {
        let (plan, trial) = (club.plan.clone(), club.status == ClubStatus::Trial);
        self.effect(Effect { money: Some(self.money(club.fee)), ..of_club(EffectKind::ClubJoined, &club) });
        self.change(Change::Club { club });
        self.joined_club(plan, trial);
    }

    /// Another period, from where the last one ended. A version that changed the period counts from there.
    fn next_period(&mut self, plan: &PlanDefinition, club: Club, fee: i64, was_out: bool) {
        let terms = self.inputs.versions.number(club.version).cloned();
        let before = terms.as_ref().and_then(|terms| terms.plan(club.plan.as_str())).map(|plan| plan.period);
        let (anchor, periods) =
            if before == Some(plan.period) { (club.anchor, club.periods + 1) } else { (club.until, 1) };
        let until = plan.period.times(periods).after(anchor);
        let next = Club {
            status: ClubStatus::Paid,
            version: self.program.version,
            event: self.state.events,
            anchor,
            periods,
            from: club.until,
            until,
            ends_at: self.program.calendar.start(until),
            fee,
            next_fee: None,
            cancelled: false,
            failed: false,
            refunded: false,
            ended_at: None,
            used: Vec::new(),
            ..club
        };
        let plan = next.plan.clone();
        self.effect(Effect { money: Some(self.money(fee)), ..of_club(EffectKind::ClubRenewed, &next) });
        self.change(Change::Club { club: next });
        if was_out {
            self.joined_club(plan, false);
        }
    }

    fn end_club(&mut self, club: Club) {
        let ended = Club { status: ClubStatus::Ended, ended_at: Some(self.at()), ..club };
        self.effect(of_club(EffectKind::ClubEnded, &ended));
        let plan = ended.plan.clone();
        self.change(Change::Club { club: ended });
        self.ended_club(plan);
    }

    /// A period, a trial or a grace is over (S1).
    pub(super) fn club_due(&mut self, id: &Id, at: Instant) {
        let Some(club) = self.state.club(id.as_str()).cloned() else { return };
        let program = self.program.clone();
        let terms = self.inputs.versions.number(club.version).cloned().unwrap_or_else(|| program.clone());
        // What was paid for is given, also where the version in force has no such plan any more.
        let plan = program.plan(id.as_str()).or_else(|| terms.plan(id.as_str()));
        let graced = terms.plan(id.as_str()).map(|plan| (plan.renews, plan.grace));
        match (club.status, club.next_fee, plan) {
            (ClubStatus::Trial | ClubStatus::Paid, Some(fee), Some(plan)) => {
                self.open("membership-renewal", EventStatus::Derived, at, None);
                self.next_period(plan, club, fee, false);
            }
            (ClubStatus::Trial | ClubStatus::Paid, ..) => match graced {
                Some((renews, grace))
                    if !club.cancelled && !grace.is_zero() && (renews == Renews::Auto || club.failed) =>
                {
                    self.open("membership-grace", EventStatus::Derived, at, None);
                    let ends_at = program.calendar.start(grace.after(club.until));
                    let club = Club { status: ClubStatus::Grace, ends_at, ..club };
                    self.effect(of_club(EffectKind::ClubGrace, &club));
                    self.change(Change::Club { club });
                }
                _ => {
                    self.open("membership-end", EventStatus::Derived, at, None);
                    self.end_club(club);
                }
            },
            _ => {
                self.open("membership-end", EventStatus::Derived, at, None);
                self.end_club(club);
            }
        }
        self.follow_causes();
    }

    /// Counts a use of a benefit to the club that gives it, so that a refund can take it off.
    pub(super) fn charge_club(&mut self, benefit: &Id, worth: i64) -> Option<(Id, i64)> {
        let (program, now) = (self.program.clone(), self.at());
        let gives = |club: &&Club| {
            let plan = program.plan(club.plan.as_str());
            club.is_open(now) && plan.is_some_and(|plan| plan.benefits.contains(benefit))
        };
        let mut club = self.state.clubs.iter().find(gives)?.clone();
        let plan = club.plan.clone();
        club.count(benefit, worth, 1);
        self.change(Change::Club { club });
        Some((plan, worth))
    }

    /// A use of this period was taken back.
    pub(super) fn uncharge_club(&mut self, plan: &Id, benefit: &Id, worth: i64, used_by: u64) {
        let of_period = |club: &&Club| club.event <= used_by;
        let Some(mut club) = self.state.club(plan.as_str()).filter(of_period).cloned() else { return };
        club.count(benefit, worth, -1);
        self.change(Change::Club { club });
    }

    fn money(&self, units: i64) -> Amount {
        from_minor(self.program.money, units)
    }
}

/// Whether a fee that becomes known after the end was paid before it.
fn paid_in_grace(club: &Club, at: Instant) -> bool {
    let lapsed = !club.cancelled && !club.refunded && club.ended_at == Some(club.ends_at);
    club.status == ClubStatus::Ended && lapsed && at < club.ends_at
}

fn of_club(kind: EffectKind, club: &Club) -> Effect {
    let until = (club.status != ClubStatus::Ended).then_some(club.ends_at);
    Effect { plan: Some(club.plan.clone()), until, ..Effect::of(kind) }
}
