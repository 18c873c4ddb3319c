//! Challenges, streaks and badges: what counts, what a step or a milestone gives (C8), and what a return takes back (R2).
//!
//! What counts is worked out from the event and its basis alone, so that a return finds the same. What it leads to
//! is read off the member: a step is given once what counts reaches it, and taken back once it no longer does.

use std::collections::BTreeMap;

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::derived::Cause;
use super::evaluate::{Action, Evaluation, Look};
use super::outcome::{Effect, EffectKind, points};
use super::trace::{Reason, RuleTrace};
use super::working::Working;
use super::{Basis, Credit, DERIVED_MAX, OrderProgress, OrderRecord, Rejected, expiry};
use crate::event::{FieldValue, FieldValues, Order};
use crate::expression::{EvaluationError, EventScope, Scope};
use crate::ledger::LotRef;
use crate::member::{Change, MemberState, Progress, Reward, Run, Streak};
use crate::program::{
    CHALLENGES_MAX, Challenge, Every, Id, OnReturn, Program, StreakRules, Trigger, VALUE_BYTES_MAX, Within,
};
use crate::quantity::Amount;
use crate::time::{Day, Window};

/// A challenge that a member took part in when an event happened, and the stretch of time it counts in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playing {
    pub challenge: Id,
    /// The first day of the stretch, and the first day behind it.
    pub from: Day,
    pub until: Day,
}

/// What one event counts towards a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub challenge: Id,
    pub from: Day,
    pub until: Day,
    pub by: Amount,
    pub values: BTreeMap<CompactString, i64>,
}

/// A period of a streak in which something happened that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub streak: Id,
    pub every: Every,
    pub period: i32,
}

/// The challenges that a member takes part in on a business day, as far as events of a trigger count.
pub(super) fn playing(program: &Program, trigger: &Trigger, member: &MemberState, day: Day) -> Vec<Playing> {
    let today = program.calendar.day(member.clock).max(day);
    let challenges = trigger.challenges.iter().map(|place| &program.challenges[*place]);
    let found = challenges.filter_map(|challenge| {
        let (from, until) = stretch(challenge, member, day)?;
        // What is over counts no more, however late it becomes known (C2).
        let is_open = until > today || until == Day::default().end_of(Window::Ever);
        is_open.then(|| Playing { challenge: challenge.id.clone(), from, until })
    });
    found.collect()
}

/// The stretch of time that a day counts in for a member; `None` where nothing counts.
pub(super) fn stretch(challenge: &Challenge, member: &MemberState, day: Day) -> Option<(Day, Day)> {
    // A row is forgotten when its stretch is over, with the next event.
    let mut own = member.challenges.iter().filter(|row| row.challenge == challenge.id && row.until > day);
    if challenge.asks {
        let row = own.find(|row| row.from <= day && row.joined.is_some_and(|joined| joined <= day))?;
        return Some((row.from, row.until));
    }
    challenge.within.span(day, own.next().map(|row| (row.from, row.until)))
}

/// What an event counts towards challenges and streaks, by its basis.
pub(super) fn count(look: &Look<'_>, trigger: &Trigger, scope: &mut EventScope, result: &mut Evaluation) {
    for place in &trigger.challenges {
        let challenge = &look.program.challenges[*place];
        let reason = match look.basis.playing.iter().find(|playing| playing.challenge == challenge.id) {
            None if challenge.asks => Reason::NotTakingPart,
            None => Reason::NotRunning,
            Some(playing) => match counted(look, challenge, scope) {
                Ok((by, values)) if by.is_zero() && values.is_empty() => Reason::ConditionNotMet {
                    condition: challenge.when.as_ref().map(|when| when.source().to_owned()).unwrap_or_default(),
                },
                Ok((by, values)) => {
                    let counts = if values.is_empty() { by } else { whole(values.len()) };
                    let Playing { challenge, from, until } = playing.clone();
                    result.moves.push(Move { challenge, from, until, by, values });
                    Reason::Counted { by: counts }
                }
                Err(error) => Reason::CannotBeWorkedOut { error: error.to_string() },
            },
        };
        if look.explain {
            let applied = matches!(reason, Reason::Counted { .. });
            result.trace.push(RuleTrace { challenge: Some(challenge.id.clone()), applied, ..RuleTrace::of(reason) });
        }
    }
    for place in &trigger.streaks {
        let streak = &look.program.streaks[*place];
        let reason = match streak.when.as_ref().map_or(Ok(true), |when| when.holds(scope.scope())) {
            Ok(true) => {
                let (every, period) = (streak.every, streak.every.period(look.basis.day));
                result.marks.push(Mark { streak: streak.id.clone(), every, period });
                Reason::Counted { by: Amount::whole(1) }
            }
            Ok(false) => Reason::ConditionNotMet {
                condition: streak.when.as_ref().map(|when| when.source().to_owned()).unwrap_or_default(),
            },
            Err(error) => Reason::CannotBeWorkedOut { error: error.to_string() },
        };
        if look.explain {
            let applied = matches!(reason, Reason::Counted { .. });
            result.trace.push(RuleTrace { streak: Some(streak.id.clone()), applied, ..RuleTrace::of(reason) });
        }
    }
}

/// Different values, each with how often it counts.
type Values = BTreeMap<CompactString, i64>;

fn counted(
    look: &Look<'_>,
    challenge: &Challenge,
    scope: &mut EventScope,
) -> Result<(Amount, Values), EvaluationError> {
    let (mut by, mut values) = (Amount::ZERO, Values::new());
    let mut look_at = |scope: &Scope| -> Result<(), EvaluationError> {
        if !challenge.when.as_ref().map_or(Ok(true), |when| when.holds(scope))? {
            return Ok(());
        }
        match (&challenge.distinct, &challenge.amount) {
            (Some(distinct), _) => {
                if let Some(text) = distinct.text(scope)? {
                    values.insert(short(&text), 1);
                }
            }
            (None, Some(amount)) => by += exact(amount.number(scope)?),
            (None, None) => by += Amount::whole(1),
        }
        Ok(())
    };
    if challenge.each {
        let lines = look.order.map_or(0, |order| order.items.len());
        for line in 0..lines {
            look_at(scope.with_item(line))?;
        }
    } else {
        look_at(scope.scope())?;
    }
    Ok((by, values))
}

/// What counts is never below zero, and exact to six digits.
fn exact(number: Decimal) -> Amount {
    Amount::try_from(number.max(Decimal::ZERO).round_dp(6)).unwrap_or_default()
}

/// A value as it is kept: cut at a character's end.
fn short(text: &str) -> CompactString {
    let mut end = text.len().min(VALUE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

fn whole(count: usize) -> Amount {
    Amount::whole(i64::try_from(count).unwrap_or(i64::MAX))
}

impl Working<'_> {
    /// Counts what an event did towards challenges and streaks.
    pub(super) fn play(&mut self, evaluation: &Evaluation) {
        for step in &evaluation.moves {
            self.make_room();
            self.progress(step.clone());
        }
        for mark in &evaluation.marks {
            self.make_room();
            self.mark(mark, 1);
        }
    }

    /// Rows of challenges and streaks that the version no longer knows make room for those it does.
    fn make_room(&mut self) {
        if self.state.challenges.len().max(self.state.streaks.len()) < 2 * CHALLENGES_MAX {
            return;
        }
        let program = self.program.clone();
        let challenges = self.state.challenges.iter().map(|row| row.challenge.clone());
        let streaks = self.state.streaks.iter().map(|row| row.streak.clone());
        let is_unknown = |id: &Id| program.challenge(id.as_str()).is_none() && program.streak(id.as_str()).is_none();
        let gone: Vec<Id> = challenges.chain(streaks).filter(is_unknown).collect();
        gone.into_iter().for_each(|id| self.change(Change::Gone { id }));
    }

    fn progress(&mut self, step: Move) {
        let Move { challenge, from, until, by, values } = step;
        let values = values.into_iter().collect();
        self.change(Change::Progressed { challenge: challenge.clone(), from, until, by, values });
        let program = self.program.clone();
        let row = self.state.challenge(challenge.as_str(), from);
        let (Some(rules), Some(row)) = (program.challenge(challenge.as_str()), row) else { return };
        let most = row.given.saturating_add(u32::try_from(DERIVED_MAX).unwrap_or(u32::MAX));
        for place in row.given..rules.done(row.value).min(most) {
            let cause = Cause::Step { challenge: challenge.clone(), from, place };
            if !self.causes.contains(&cause) {
                self.causes.push(cause);
            }
        }
    }

    /// A step was done: what it gives is decided as an event of its own (C8).
    pub(super) fn give_step(&mut self, id: &Id, from: Day, place: u32) {
        let program = self.program.clone();
        let row = self.state.challenge(id.as_str(), from).filter(|row| row.given == place);
        let (Some(rules), Some(row)) = (program.challenge(id.as_str()), row) else { return };
        // What an exchange brought back may have taken with it what its purchase had reached (R10).
        if rules.done(row.value) <= place {
            return;
        }
        let (round, step) = (place / rules.length().max(1), place % rules.length().max(1) + 1);
        self.effect(Effect { challenge: Some(id.clone()), step: Some(step), ..Effect::of(EffectKind::ChallengeStep) });
        let data = vec![text("challenge", id), number("step", step), number("round", round + 1)];
        let before = self.vouchers_issued();
        let reward = self.reward("challenge", &data, place, 0);
        if rules.on_return == OnReturn::Reverse {
            self.remember_vouchers(id, (reward.event, place), before);
        }
        // Done once, it is done for good: its stretch would else begin again with the next event.
        let is_over = !rules.repeat && place + 1 == rules.length() && matches!(rules.within, Within::Period(_));
        self.change(Change::Stepped {
            challenge: id.clone(),
            from,
            given: place + 1,
            until: is_over.then(|| Day::default().end_of(Window::Ever)),
            reward: (rules.on_return == OnReturn::Reverse).then_some(reward),
        });
    }

    pub(super) fn give_milestone(&mut self, id: &Id, length: u32) {
        let run = self.state.streak(id.as_str()).map(Streak::run).unwrap_or_default();
        if run.length < length {
            return;
        }
        let data = vec![text("streak", id), number("length", length)];
        self.effect(Effect { streak: Some(id.clone()), step: Some(length), ..Effect::of(EffectKind::StreakMilestone) });
        let before = self.vouchers_issued();
        let reward = self.reward("streak", &data, length, run.last);
        self.remember_vouchers(id, (reward.event, length), before);
        self.change(Change::Milestone { streak: id.clone(), reward });
    }

    /// Runs the campaigns of a step or milestone, and says what they gave.
    fn reward(&mut self, kind: &str, data: &FieldValues, place: u32, period: i32) -> Reward {
        let held = self.state.badges.clone();
        let (event, on) = (self.state.events, self.day());
        let mut reward = Reward {
            place,
            period,
            event,
            on,
            points: Vec::new(),
            benefits: Vec::new(),
            badges: Vec::new(),
            usage: Vec::new(),
        };
        let Some((evaluation, credits)) = self.run_trigger(kind, data, self.at(), None) else { return reward };
        let mut sums: BTreeMap<Id, i64> = BTreeMap::new();
        for credit in credits {
            *sums.entry(credit.currency).or_default() += credit.amount;
        }
        reward.points = sums.into_iter().collect();
        reward.usage = evaluation.returnable_usage().into_iter().collect();
        for action in evaluation.actions {
            match action {
                Action::Grant { benefit, period, .. } => reward.benefits.push((benefit, period.after(on))),
                Action::Badge { badge, .. } if !held.iter().any(|known| known.badge == badge) => {
                    reward.badges.push(badge);
                }
                _ => {}
            }
        }
        reward
    }

    pub(super) fn give_badge(&mut self, campaign: &Id, badge: &Id) {
        if self.state.badges.iter().any(|known| known.badge == *badge) {
            return;
        }
        self.change(Change::Badge { badge: badge.clone(), on: Some(self.day()) });
        self.effect(Effect {
            badge: Some(badge.clone()),
            campaign: Some(campaign.clone()),
            ..Effect::of(EffectKind::BadgeGiven)
        });
    }

    /// Counts an event in a period of a streak, or takes one out again. What lies further back than the open periods is
    /// settled: late events and returns change it no more.
    fn mark(&mut self, mark: &Mark, by: i32) {
        let program = self.program.clone();
        let Some(rules) = program.streak(mark.streak.as_str()).filter(|rules| rules.every == mark.every) else {
            return;
        };
        let today = rules.every.period(program.calendar.day(self.state.clock));
        if mark.period <= today - Streak::OPEN {
            if self.inputs.explain {
                let trace = RuleTrace::of(Reason::PeriodClosed { open: Streak::OPEN.unsigned_abs() });
                self.trace.push(RuleTrace { streak: Some(rules.id.clone()), applied: false, ..trace });
            }
            return;
        }
        let known = self.state.streak(rules.id.as_str());
        if known.is_some_and(|known| known.every != rules.every) {
            self.change(Change::Gone { id: rules.id.clone() });
        }
        let before = self.state.streak(rules.id.as_str()).map(Streak::run).unwrap_or_default();
        let (streak, every, grace) = (rules.id.clone(), rules.every, rules.grace);
        self.change(Change::Marked { streak, every, grace, period: mark.period, by });
        if by > 0 {
            self.due_milestones(rules);
        } else if self.inputs.explain && self.state.streak(rules.id.as_str()).map(Streak::run) != Some(before) {
            let trace = RuleTrace::of(Reason::Uncounted { by: Amount::whole(1) });
            self.trace.push(RuleTrace { streak: Some(rules.id.clone()), ..trace });
        }
    }

    fn due_milestones(&mut self, rules: &StreakRules) {
        let Some(row) = self.state.streak(rules.id.as_str()) else { return };
        let run = row.run();
        let due = rules.milestones.iter().filter(|length| **length <= run.length && !row.was_given(**length, run));
        for length in due.copied().collect::<Vec<_>>() {
            let cause = Cause::Milestone { streak: rules.id.clone(), length };
            if !self.causes.contains(&cause) {
                self.causes.push(cause);
            }
        }
    }

    /// What a return or correction changes of challenges and streaks: `was` the order until now, `left` as it is then,
    /// both by the purchase's own basis (R2).
    pub(super) fn play_again(&mut self, rules: &Program, was: &Evaluation, left: &Evaluation) -> Result<(), Rejected> {
        for (step, by, values) in differences(&was.moves, &left.moves) {
            let keeps = rules.challenge(step.challenge.as_str()).is_none_or(|known| known.on_return == OnReturn::Keep);
            // A stretch that is over stays as it was (C2).
            if keeps || self.state.challenge(step.challenge.as_str(), step.from).is_none() {
                continue;
            }
            if self.inputs.explain {
                let by = if values.is_empty() { by } else { Amount::whole(values.values().sum()) };
                let reason = if by.is_negative() { Reason::Uncounted { by: -by } } else { Reason::Counted { by } };
                self.trace.push(RuleTrace { challenge: Some(step.challenge.clone()), ..RuleTrace::of(reason) });
            }
            self.progress(Move { by, values, ..step.clone() });
            self.take_steps_back(&step.challenge, step.from)?;
        }
        let is_in = |marks: &[Mark], mark: &Mark| marks.iter().any(|known| known.streak == mark.streak);
        for (marks, others, by) in [(&left.marks, &was.marks, 1), (&was.marks, &left.marks, -1)] {
            for mark in marks.iter().filter(|mark| !is_in(others, mark)) {
                let known = rules.streak(mark.streak.as_str());
                if known.is_some_and(|known| known.on_return == OnReturn::Reverse) {
                    self.mark_again(mark, by)?;
                }
            }
        }
        Ok(())
    }

    fn mark_again(&mut self, mark: &Mark, by: i32) -> Result<(), Rejected> {
        let before = self.state.streak(mark.streak.as_str()).map(Streak::run).unwrap_or_default();
        self.mark(mark, by);
        let Some(row) = self.state.streak(mark.streak.as_str()).filter(|_| by < 0) else { return Ok(()) };
        // Of the run as it was, the longest part that is left says which milestones still hold.
        let parts = row.runs().into_iter().filter(|run| run.last >= before.first);
        let longest = parts.map(|run: Run| run.length).max().unwrap_or(0);
        let lost: Vec<Reward> = row
            .rewards
            .iter()
            .filter(|reward| reward.period >= before.first && reward.place > longest)
            .cloned()
            .collect();
        for reward in lost {
            self.effect(Effect {
                streak: Some(mark.streak.clone()),
                step: Some(reward.place),
                ..Effect::of(EffectKind::MilestoneTaken)
            });
            self.take_reward_back(&mark.streak, &reward)?;
            self.change(Change::MilestoneTaken { streak: mark.streak.clone(), place: reward.place });
        }
        Ok(())
    }

    /// Steps that what counts no longer reaches are taken back, the last first.
    fn take_steps_back(&mut self, id: &Id, from: Day) -> Result<(), Rejected> {
        let program = self.program.clone();
        let Some(rules) = program.challenge(id.as_str()) else { return Ok(()) };
        while let Some(row) = self.state.challenge(id.as_str(), from).filter(|row| row.given > rules.done(row.value)) {
            // What was given too long ago to be remembered stays.
            let Some(reward) = row.rewards.iter().rfind(|reward| reward.place + 1 == row.given).cloned() else { break };
            let (challenge, given) = (Some(id.clone()), reward.place);
            let step = Some(reward.place % rules.length().max(1) + 1);
            self.effect(Effect { challenge, step, ..Effect::of(EffectKind::StepTaken) });
            self.take_reward_back(id, &reward)?;
            self.change(Change::StepTaken { challenge: id.clone(), from, given });
        }
        Ok(())
    }

    /// Takes back what a step or milestone gave: points by L1 and the currency's policy, benefits and badges. Vouchers
    /// stay good (C6), but those that go with what they were given for.
    fn take_reward_back(&mut self, of: &Id, reward: &Reward) -> Result<(), Rejected> {
        for (currency, amount) in &reward.points {
            let program = self.program.clone();
            let Some(settings) = program.currency(currency.as_str()) else { continue };
            // Its own lot first, so that old points do not become young (R5).
            let last_day = expiry::last_day(&program, &settings.expires, reward.on).map(|(day, _)| day);
            let lot = LotRef { last_day, funder: None, order: None };
            let record = OrderRecord {
                order_id: CompactString::default(),
                member: self.state.id,
                made_by: self.state.event_id(reward.event).member,
                event: reward.event,
                effective_at: self.at(),
                basis: Basis { version: program.version, at: self.at(), day: reward.on, ..Basis::default() },
                content: Order::default(),
                credits: vec![Credit::new(currency, points(*amount), Some(lot))],
                vouchers: Vec::new(),
                progress: None,
            };
            self.take_back(&record, currency, points(*amount), &mut OrderProgress::default())?;
            self.measure_points(currency, 0, -amount, reward.on);
            self.moved(currency);
        }
        self.void_vouchers_of(of, (reward.event, reward.place));
        for (limit, by) in &reward.usage {
            self.use_again(limit, -by, reward.on);
        }
        for (benefit, last_day) in &reward.benefits {
            self.change(Change::Ungranted { benefit: benefit.clone(), last_day: *last_day });
        }
        for badge in &reward.badges {
            self.change(Change::Badge { badge: badge.clone(), on: None });
            self.effect(Effect { badge: Some(badge.clone()), ..Effect::of(EffectKind::BadgeTaken) });
        }
        Ok(())
    }

    /// A member says that they take part in a challenge that asks.
    pub(super) fn join_challenge(&mut self, id: &Id) -> Result<(), Rejected> {
        let at = self.at_effective();
        let program = self.inputs.versions.at(at).clone();
        let challenge = || id.clone();
        let Some(rules) = program.challenge(id.as_str()) else {
            return Err(Rejected::UnknownChallenge { challenge: challenge() });
        };
        if !rules.asks {
            return Err(Rejected::NeedsNoJoining { challenge: challenge() });
        }
        let day = program.calendar.day(at);
        if stretch(rules, &self.state, day).is_some() {
            return Err(Rejected::AlreadyTakesPart { challenge: challenge() });
        }
        let Some((from, until)) = rules.within.span(day, None) else {
            return Err(Rejected::ChallengeNotNow { challenge: challenge() });
        };
        self.open_main("challenge-join", super::EventStatus::Applied);
        self.change(Change::TakesPart { challenge: challenge(), from, until, on: day });
        self.effect(Effect { challenge: Some(challenge()), ..Effect::of(EffectKind::ChallengeJoined) });
        Ok(())
    }
}

fn text(name: &'static str, id: &Id) -> (CompactString, FieldValue) {
    (CompactString::const_new(name), FieldValue::Text(id.as_str().into()))
}

fn number(name: &'static str, number: u32) -> (CompactString, FieldValue) {
    (CompactString::const_new(name), FieldValue::Number(Amount::whole(number.into())))
}

/// What moves between two evaluations of an order, by challenge.
fn differences<'a>(was: &'a [Move], left: &'a [Move]) -> Vec<(&'a Move, Amount, Values)> {
    let mut found = Vec::new();
    let only_left = left.iter().filter(|step| !was.iter().any(|known| known.challenge == step.challenge));
    for step in was.iter().chain(only_left) {
        let of = |moves: &'a [Move]| moves.iter().find(|known| known.challenge == step.challenge);
        let amount = |moves: &'a [Move]| of(moves).map_or(Amount::ZERO, |step| step.by);
        let mut values = Values::new();
        for (moves, sign) in [(was, -1), (left, 1)] {
            for (value, by) in of(moves).iter().flat_map(|step| &step.values) {
                *values.entry(value.clone()).or_default() += sign * by;
            }
        }
        values.retain(|_, by| *by != 0);
        let by = amount(left) - amount(was);
        if !by.is_zero() || !values.is_empty() {
            found.push((step, by, values));
        }
    }
    found
}

/// A member's place in a challenge, for the fact and for reading: what counts in the stretch of a day.
pub(super) fn standing<'a>(challenge: &Challenge, member: &'a MemberState, day: Day) -> Option<&'a Progress> {
    let (from, _) = stretch(challenge, member, day)?;
    member.challenge(challenge.id.as_str(), from)
}
