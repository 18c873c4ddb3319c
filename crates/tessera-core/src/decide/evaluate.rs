//! What the rules of a program give for one event, from nothing but the program, the event and its basis.
//!
//! The order is C7's: base (rounded) → extras → bonuses → stacking → caps (rule → campaign → member → program) →
//! balance limits. A return runs the same function on what is left of the order (R1).

use std::collections::{BTreeMap, BTreeSet};

use compact_str::{CompactString, format_compact};
use rust_decimal::Decimal;

use super::Basis;
use super::award::{self, Worth};
use super::caps::Caps;
use super::draw::{self, Draw};
use super::play::{self, Mark, Move};
use super::trace::{Reason, RuleTrace};
use super::{holdout, stacking};
use crate::event::{FieldValues, Order};
use crate::expression::EventScope;
use crate::program::{Base, Campaign, Id, OwnPurchases, Program, Rule, Schedule, Trigger};
use crate::time::{Day, Instant};

/// What is looked at.
pub(super) struct Look<'a> {
    pub program: &'a Program,
    pub kind: &'a str,
    pub order: Option<&'a Order>,
    pub data: &'a FieldValues,
    pub basis: &'a Basis,
    /// Only this campaign: a birthday is each campaign's own.
    pub only: Option<&'a Id>,
    /// What can be spent of a currency, for rules that spend.
    pub spendable: &'a dyn Fn(&Id) -> i64,
    pub explain: bool,
}

impl<'a> Look<'a> {
    /// The campaigns to look at, in their order: for an explanation all of the trigger's, else those that the event can
    /// concern. The others give nothing, whatever else they hold or however their evaluation would fail.
    fn campaigns(&self, trigger: &'a Trigger, scope: &EventScope) -> impl Iterator<Item = &'a Campaign> + use<'a> {
        let program = self.program;
        let places = match self.only {
            // Nothing else is told of either.
            Some(only) => {
                let own =
                    program.place_of(only.as_str()).filter(|place| trigger.campaigns.binary_search(place).is_ok());
                own.into_iter().collect()
            }
            None => {
                let found = if self.explain { trigger.all() } else { trigger.concerned(scope) };
                found.iter().map(|place| trigger.campaigns[place]).collect::<Vec<usize>>()
            }
        };
        places.into_iter().map(|place| &program.campaigns[place])
    }

    /// Why a rule does not apply, where somebody asks.
    fn why(&self, reason: impl FnOnce() -> Reason) -> Why {
        self.explain.then(reason)
    }
}

/// What the rules give.
#[derive(Debug, Default)]
pub(super) struct Evaluation {
    pub awards: Vec<AwardLine>,
    pub actions: Vec<Action>,
    /// How much of each limit and budget is used, and whether a return gives it back (C2).
    pub usage: BTreeMap<CompactString, Use>,
    /// By how much the fraction that a rule carries on changes (M2).
    pub carried: Vec<(CompactString, Decimal)>,
    /// Offers from which some are held out that this event qualified for.
    pub exposures: Vec<Exposure>,
    /// What counts towards challenges, and the periods of streaks that it falls in.
    pub moves: Vec<Move>,
    pub marks: Vec<Mark>,
    /// What was drawn, won or not.
    pub draws: Vec<Draw>,
    pub trace: Vec<RuleTrace>,
}

/// A member came to an offer, or would have (C9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exposure {
    pub campaign: Id,
    pub held_out: bool,
    /// What the offer is worth to them, before limits.
    pub worth: BTreeMap<Id, i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AwardLine {
    pub campaign: Id,
    pub currency: Id,
    pub amount: i64,
    /// Before caps.
    pub wanted: i64,
    pub is_base: bool,
    pub capped_by: Option<CompactString>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Spend { campaign: Id, currency: Id, amount: i64, everything: bool },
    Issue { campaign: Id, voucher: Id },
    Grant { campaign: Id, benefit: Id, period: crate::time::Period },
    Badge { campaign: Id, badge: Id },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub by: i64,
    pub gives_back: bool,
}

impl Evaluation {
    /// What is given in all, by currency.
    pub fn totals(&self) -> BTreeMap<Id, i64> {
        sum(self.awards.iter())
    }

    /// What is given as base points, by currency.
    pub fn base_totals(&self) -> BTreeMap<Id, i64> {
        sum(self.awards.iter().filter(|award| award.is_base))
    }

    /// What a return would give back of limits and budgets.
    pub fn returnable_usage(&self) -> BTreeMap<CompactString, i64> {
        let kept = self.usage.iter().filter(|(_, usage)| usage.gives_back);
        kept.map(|(limit, usage)| (limit.clone(), usage.by)).collect()
    }
}

fn sum<'a>(awards: impl Iterator<Item = &'a AwardLine>) -> BTreeMap<Id, i64> {
    let mut totals = BTreeMap::new();
    for award in awards {
        *totals.entry(award.currency.clone()).or_default() += award.amount;
    }
    totals
}

/// A rule that applies, with what it is worth before stacking and caps.
pub(super) struct Applied<'a> {
    pub campaign: &'a Campaign,
    pub place: usize,
    pub rule: &'a Rule,
    /// The order's lines it is about; `None` for the order as a whole.
    pub lines: Option<Vec<usize>>,
    pub award: Option<Worth>,
    pub extra: Option<i64>,
}

impl<'a> Applied<'a> {
    /// What it gives before limits, by currency.
    pub fn worth(&self) -> impl Iterator<Item = (&'a Id, i64)> {
        let award =
            self.rule.award.as_ref().zip(self.award.as_ref()).map(|(award, worth)| (&award.currency, worth.amount));
        let extra = self.rule.extra.as_ref().zip(self.extra).map(|(extra, amount)| (&extra.currency, amount));
        award.into_iter().chain(extra)
    }
}

pub(super) fn evaluate(look: &Look<'_>) -> Evaluation {
    let mut result = Evaluation::default();
    let Some(trigger) = look.program.trigger(look.kind) else { return result };
    let clock = Some((&look.program.calendar, look.basis.at));
    let mut scope = EventScope::new(&trigger.fields, look.order, look.data, &look.basis.facts, clock);
    let mut applied: Vec<Applied<'_>> = Vec::new();
    let mut held: BTreeSet<&Id> = BTreeSet::new();
    for campaign in look.campaigns(trigger, &scope) {
        // An audience reads `event.net` as the program counts it; a rule may count otherwise.
        if campaign.audience.is_some() {
            set_net(look, &look.program.definition.base, &scope);
        }
        if let Err(why) = gate(look, campaign, &scope) {
            for place in 0..campaign.rules.len() {
                explain_why(look, &mut result, campaign, place, why.clone());
            }
            continue;
        }
        if look.basis.own_purchase.is_some_and(|own| own == OwnPurchases::None || !campaign.is_base) {
            for place in 0..campaign.rules.len() {
                explain(look, &mut result, campaign, place, || Reason::OwnPurchase);
            }
            continue;
        }
        let is_held = look.basis.held_out.contains(&campaign.id);
        for (place, rule) in campaign.rules.iter().enumerate() {
            match matches(look, campaign, place, rule, &mut scope) {
                Ok(_) if look.basis.own_purchase.is_some() && rule.extra.is_some() => {
                    explain(look, &mut result, campaign, place, || Reason::OwnPurchase);
                }
                Ok(found) => {
                    if is_held {
                        held.insert(&campaign.id);
                        explain(look, &mut result, campaign, place, || Reason::HeldOut);
                    }
                    applied.push(found);
                }
                Err(why) => explain_why(look, &mut result, campaign, place, why),
            }
        }
    }
    award::extras(look, &mut applied);
    expose(look, &applied, &held, &mut result);
    applied.retain(|found| !held.contains(&found.campaign.id));
    award::extras(look, &mut applied);
    for (loser, chosen) in stacking::losers(look.program, &applied) {
        for found in applied.iter().filter(|found| found.campaign.id == loser) {
            let another = || Reason::AnotherChosen { chosen: chosen.clone() };
            explain(look, &mut result, found.campaign, found.place, another);
        }
        applied.retain(|found| found.campaign.id != loser);
    }
    award::extras(look, &mut applied);
    give(look, &applied, &mut result);
    if look.only.is_none() && look.basis.own_purchase.is_none() {
        set_net(look, &look.program.definition.base, &scope);
        play::count(look, trigger, &mut scope, &mut result);
    }
    result
}

/// Exposure is noted once per campaign for both groups (C9), only where there is something to measure.
fn expose(look: &Look<'_>, applied: &[Applied<'_>], held: &BTreeSet<&Id>, result: &mut Evaluation) {
    for found in applied.iter().filter(|found| holdout::is_measured(look.program, found.campaign)) {
        let campaign = &found.campaign.id;
        let place = result.exposures.iter().position(|known| known.campaign == *campaign).unwrap_or_else(|| {
            let held_out = held.contains(campaign);
            result.exposures.push(Exposure { campaign: campaign.clone(), held_out, worth: BTreeMap::new() });
            result.exposures.len() - 1
        });
        for (currency, amount) in found.worth() {
            *result.exposures[place].worth.entry(currency.clone()).or_insert(0) += amount;
        }
    }
}

/// Why a rule does not apply; `None` where nobody asks.
type Why = Option<Reason>;

fn explain_why(look: &Look<'_>, result: &mut Evaluation, campaign: &Campaign, place: usize, why: Why) {
    if let Some(reason) = why {
        explain(look, result, campaign, place, || reason);
    }
}

fn explain(
    look: &Look<'_>,
    result: &mut Evaluation,
    campaign: &Campaign,
    place: usize,
    reason: impl FnOnce() -> Reason,
) {
    if look.explain {
        let reason = reason();
        let applied = matches!(
            reason,
            Reason::Awarded { .. }
                | Reason::Multiplied { .. }
                | Reason::Acted
                | Reason::Capped { .. }
                | Reason::Drawn { won: true, .. }
        );
        let facts =
            campaign.audience.iter().chain(campaign.rules[place].when.iter()).flat_map(|expression| &expression.facts);
        let facts =
            facts.filter_map(|fact| look.basis.facts.get(fact).map(|value| (fact.clone(), value.clone()))).collect();
        let words = reason.words();
        let campaign = Some(campaign.id.clone());
        result.trace.push(RuleTrace { campaign, rule: Some(place), applied, words, facts, ..RuleTrace::of(reason) });
    }
}

/// Whether a campaign runs and is for this member.
pub(super) fn gate(look: &Look<'_>, campaign: &Campaign, scope: &EventScope) -> Result<(), Why> {
    if !campaign.active {
        return Err(look.why(|| Reason::SwitchedOff));
    }
    let (schedule, day) = (&campaign.schedule, look.basis.day);
    let in_days = schedule.from.is_none_or(|from| from <= day) && schedule.until.is_none_or(|until| day <= until);
    if !(in_days && is_hour_of(look.program, schedule, look.basis.at, day)) {
        return Err(look.why(|| {
            let local = look.program.calendar.local(look.basis.at);
            let at = format_compact!("{} {day} {:02}:{:02}", day.weekday().name(), local.hour(), local.minute());
            Reason::NotScheduled { at }
        }));
    }
    match &campaign.audience {
        None => Ok(()),
        Some(audience) => match audience.holds(scope.scope()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(look.why(|| Reason::NotInAudience { condition: audience.source().to_owned() })),
            Err(error) => Err(look.why(|| Reason::CannotBeWorkedOut { error: error.to_string() })),
        },
    }
}

/// Whether the weekday and the hour are ones of a schedule, whatever its first and last day.
pub(super) fn is_hour_of(program: &Program, schedule: &Schedule, at: Instant, day: Day) -> bool {
    let on_weekday = schedule.weekdays.is_empty() || schedule.weekdays.contains(&day.weekday());
    let in_hours = schedule.hours.is_none_or(|(from, until)| {
        let (from, until, time) = (from.time(), until.time(), program.calendar.local(at).time());
        // Hours such as 22:00 to 02:00 go past midnight.
        if from <= until { from <= time && time < until } else { from <= time || time < until }
    });
    on_weekday && in_hours
}

fn set_net(look: &Look<'_>, base: &Base, scope: &EventScope) {
    if let Some(order) = look.order.filter(|_| scope.reads_net()) {
        scope.set_net(order.net(base).to_decimal());
    }
}

/// Whether a rule applies, to which lines, and what its award is worth.
fn matches<'a>(
    look: &Look<'_>,
    campaign: &'a Campaign,
    place: usize,
    rule: &'a Rule,
    scope: &mut EventScope,
) -> Result<Applied<'a>, Why> {
    let failed =
        |error: crate::expression::EvaluationError| look.why(|| Reason::CannotBeWorkedOut { error: error.to_string() });
    set_net(look, rule.award.as_ref().map_or(&look.program.definition.base, |award| &award.base), scope);
    let condition = || rule.when.as_ref().map(|when| when.source().to_owned()).unwrap_or_default();
    let lines = if rule.each {
        let count = look.order.map_or(0, |order| order.items.len());
        let mut lines = Vec::new();
        for index in 0..count {
            let scope = scope.with_item(index);
            if rule.when.as_ref().map_or(Ok(true), |when| when.holds(scope)).map_err(failed)? {
                lines.push(index);
            }
        }
        if lines.is_empty() {
            return Err(look.why(|| Reason::NoLineMatches { condition: condition() }));
        }
        Some(lines)
    } else {
        if !rule.when.as_ref().map_or(Ok(true), |when| when.holds(scope.scope())).map_err(failed)? {
            return Err(look.why(|| Reason::ConditionNotMet { condition: condition() }));
        }
        None
    };
    if let Some(spend) = &rule.spend {
        let available = (look.spendable)(&spend.currency);
        if available < spend.amount {
            let (currency, wanted) = (&spend.currency, spend.amount);
            return Err(look.why(|| Reason::NotEnoughToSpend { currency: currency.clone(), wanted, available }));
        }
    }
    let award = match &rule.award {
        Some(award) => Some(award::worth(look, campaign, rule, award, lines.as_deref(), scope).map_err(failed)?),
        None => None,
    };
    Ok(Applied { campaign, place, rule, lines, award, extra: None })
}

/// Gives what applies, as far as caps allow, in the order base → extras → bonuses.
fn give(look: &Look<'_>, applied: &[Applied<'_>], result: &mut Evaluation) {
    let mut caps = Caps::new(look);
    let steps: [fn(&Applied<'_>) -> bool; 3] = [
        |found| found.campaign.is_base && found.rule.extra.is_none(),
        |found| found.rule.extra.is_some(),
        |found| !found.campaign.is_base && found.rule.extra.is_none(),
    ];
    for step in steps {
        for found in applied.iter().filter(|found| step(found)) {
            give_one(look, found, &mut caps, result);
        }
    }
    for found in applied {
        if let (Some(worth), Some(award)) = (&found.award, &found.rule.award)
            && award.fraction == crate::program::Fraction::Carry
        {
            result.carried.push((found.rule.key.clone(), worth.fraction - look.basis.fraction(&found.rule.key)));
        }
    }
}

fn give_one(look: &Look<'_>, found: &Applied<'_>, caps: &mut Caps<'_>, result: &mut Evaluation) {
    let parts: Vec<(&Id, i64)> = found.worth().collect();
    let acts = found.rule.spend.is_some()
        || found.rule.issue.is_some()
        || found.rule.grant.is_some()
        || found.rule.badge.is_some();
    let wanted: i64 = parts.iter().map(|(_, amount)| *amount).sum();
    if wanted == 0 && !acts {
        explain(look, result, found.campaign, found.place, || nothing(found));
        return;
    }
    if let Err(limit) = caps.times_left(found) {
        explain(look, result, found.campaign, found.place, || Reason::UsedUp { limit });
        return;
    }
    if let Some(chance) = found.rule.chance {
        let full = parts.iter().find_map(|(currency, wanted)| caps.first_too_small(found, currency, *wanted));
        if let Some(limit) = full {
            explain(look, result, found.campaign, found.place, || Reason::UsedUp { limit });
            return;
        }
        let chance_text = format_compact!("{}", chance.decimal().normalize());
        let Some(drawn) = draw::draw(look.basis, found.campaign, found.place, found.rule, chance) else {
            explain(look, result, found.campaign, found.place, || Reason::MayWin { chance: chance_text });
            return;
        };
        let (number, won) = (drawn.drawn, drawn.won);
        explain(look, result, found.campaign, found.place, || Reason::Drawn {
            chance: chance_text,
            drawn: number,
            won,
        });
        result.draws.push(drawn);
        if !won {
            return;
        }
    }
    let mut given = acts;
    for (currency, wanted) in parts {
        let (amount, capped_by) = caps.take(found, currency, wanted, &mut result.usage);
        given |= amount > 0;
        explain(look, result, found.campaign, found.place, || match &capped_by {
            Some(by) => Reason::Capped { currency: currency.clone(), wanted, amount, by: by.clone() },
            None => awarded(found, currency, amount),
        });
        if amount > 0 || capped_by.is_some() {
            let (campaign, currency) = (found.campaign.id.clone(), currency.clone());
            result.awards.push(AwardLine {
                campaign,
                currency,
                amount,
                wanted,
                is_base: found.campaign.is_base,
                capped_by,
            });
        }
    }
    if given {
        caps.count(found, &mut result.usage);
    }
    if acts {
        let campaign = &found.campaign.id;
        let spend = found.rule.spend.iter().map(|spend| Action::Spend {
            campaign: campaign.clone(),
            currency: spend.currency.clone(),
            amount: spend.amount,
            everything: spend.everything,
        });
        let issue = found
            .rule
            .issue
            .iter()
            .map(|voucher| Action::Issue { campaign: campaign.clone(), voucher: voucher.clone() });
        let grant = found.rule.grant.iter().map(|grant| Action::Grant {
            campaign: campaign.clone(),
            benefit: grant.benefit.clone(),
            period: grant.period,
        });
        let badge =
            found.rule.badge.iter().map(|badge| Action::Badge { campaign: campaign.clone(), badge: badge.clone() });
        result.actions.extend(spend.chain(issue).chain(grant).chain(badge));
        if found.rule.award.is_none() && found.rule.extra.is_none() {
            explain(look, result, found.campaign, found.place, || Reason::Acted);
        }
    }
}

fn nothing(found: &Applied<'_>) -> Reason {
    match (&found.rule.award, &found.award, &found.rule.extra) {
        (Some(award), Some(worth), _) => Reason::RoundedToNothing {
            formula: award.amount.source().into(),
            worth: format_compact!("{}", worth.exact.normalize()),
        },
        (_, _, Some(extra)) => Reason::NothingToMultiply { currency: extra.currency.clone() },
        _ => Reason::Acted,
    }
}

fn awarded(found: &Applied<'_>, currency: &Id, amount: i64) -> Reason {
    match (&found.rule.award, &found.award, &found.rule.extra) {
        (Some(award), Some(worth), _) if award.currency == *currency => Reason::Awarded {
            currency: currency.clone(),
            amount,
            formula: award.amount.source().into(),
            rate: (worth.rate != Decimal::ONE).then(|| format_compact!("{}", worth.rate.normalize())),
        },
        (_, _, Some(extra)) => Reason::Multiplied {
            currency: currency.clone(),
            amount,
            times: format_compact!("{}", extra.times.normalize()),
            base: {
                let factor = extra.times - Decimal::ONE;
                let base = Decimal::from(amount).checked_div(factor).unwrap_or_default();
                crate::quantity::Rounding::HalfUp.whole(base)
            },
        },
        _ => Reason::Acted,
    }
}
