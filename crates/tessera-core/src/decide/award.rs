//! How much a rule is worth for one event, before anything limits it.

use rust_decimal::Decimal;

use super::evaluate::{Applied, Look};
use crate::event::Order;
use crate::expression::{EvaluationError, EventScope, Scope};
use crate::program::{Award, Campaign, Crossing, Exact, Extras, Fraction, Id, LadderRules, Measure, RoundPer, Rule};
use crate::quantity::{Amount, Points, Rounding, apportion};

/// Digits behind the point that count before rounding: far more than any amount, rate or price has.
const DIGITS: u32 = 12;

/// What an award rule gives for one event.
#[derive(Clone, Debug)]
pub(super) struct Worth {
    pub amount: i64,
    /// Before rounding.
    pub exact: Decimal,
    /// What rounding left over (M2).
    pub fraction: Decimal,
    pub rate: Decimal,
    /// The amount by line of the order, for extras that are about some lines (C7); one part for an order without lines.
    pub by_line: Vec<i64>,
}

pub(super) fn worth(
    look: &Look<'_>,
    campaign: &Campaign,
    rule: &Rule,
    award: &Award,
    lines: Option<&[usize]>,
    scope: &mut EventScope,
) -> Result<Worth, EvaluationError> {
    let rate = if campaign.is_base { rate(look, &award.currency) } else { Decimal::ONE };
    let count = look.order.map_or(0, |order| order.items.len());
    let parts: Vec<(usize, Decimal)> = match (lines, award.per, look.order) {
        (Some(lines), ..) => by_item(award, lines, scope)?,
        (None, RoundPer::Line, Some(order)) if count > 0 => by_net_of_line(award, order, scope)?,
        _ => {
            let raw = units(award, scope.scope())?;
            return Ok(whole_order(look, campaign, rule, award, raw, rate, count));
        }
    };
    let mut worth =
        Worth { amount: 0, exact: Decimal::ZERO, fraction: Decimal::ZERO, rate, by_line: vec![0; count.max(1)] };
    worth.exact = parts.iter().map(|(_, raw)| times(*raw, rate)).sum();
    if award.per == RoundPer::Line {
        for (index, raw) in &parts {
            let rounded = whole(award.rounding, times(*raw, rate));
            worth.by_line[*index] += rounded;
            worth.amount += rounded;
        }
        return Ok(worth);
    }
    round(look, rule, award, &mut worth);
    let weights: Vec<i128> = (0..count.max(1))
        .map(|line| parts.iter().filter(|(index, _)| *index == line).map(|(_, raw)| millionths(*raw)).sum())
        .collect();
    worth.by_line = shared(worth.amount, &weights);
    Ok(worth)
}

/// What a formula gives, in the currency's smallest units; beyond any number of points it makes no difference how far.
fn units(award: &Award, scope: &Scope) -> Result<Decimal, EvaluationError> {
    Ok(times(award.amount.number(scope)?, award.unit))
}

/// A product; no number of points is larger than the largest, so that sums of products stay exact.
fn times(left: Decimal, right: Decimal) -> Decimal {
    let most = Decimal::from(Points::MAX.get());
    let beyond = if left.is_sign_negative() == right.is_sign_negative() { most } else { -most };
    left.checked_mul(right).unwrap_or(beyond).clamp(-most, most)
}

/// A whole number of points, never below zero.
fn whole(rounding: Rounding, exact: Decimal) -> i64 {
    rounding.whole(even(exact)).clamp(0, Points::MAX.get())
}

/// Without the last digits of a division that does not end: a third times three is one, and its floor is one.
fn even(exact: Decimal) -> Decimal {
    exact.round_dp(DIGITS)
}

fn by_item(award: &Award, lines: &[usize], scope: &mut EventScope) -> Result<Vec<(usize, Decimal)>, EvaluationError> {
    lines.iter().map(|index| Ok((*index, units(award, scope.with_item(*index))?))).collect()
}

fn by_net_of_line(award: &Award, order: &Order, scope: &EventScope) -> Result<Vec<(usize, Decimal)>, EvaluationError> {
    let nets = order.net_by_line(&award.base).into_iter().enumerate();
    let worths = nets.map(|(index, net)| {
        scope.set_net(net.to_decimal());
        Ok((index, units(award, scope.scope())?))
    });
    worths.collect()
}

fn whole_order(
    look: &Look<'_>,
    campaign: &Campaign,
    rule: &Rule,
    award: &Award,
    raw: Decimal,
    rate: Decimal,
    count: usize,
) -> Worth {
    let exact = match marginal_ladder(look, campaign, award) {
        Some((ladder, measured)) => {
            let net = look.order.map_or(Amount::ZERO, |order| order.net(&award.base));
            let held = look.basis.levels.get(&ladder.id).map_or(0, |level| ladder.rank(level));
            marginal(ladder, award, held, measured, raw, net)
        }
        None => times(raw, rate),
    };
    let mut worth = Worth { amount: 0, exact, fraction: Decimal::ZERO, rate, by_line: Vec::new() };
    round(look, rule, award, &mut worth);
    worth.by_line = match look.order {
        Some(order) if count > 0 => {
            let weights: Vec<i128> = order.net_by_line(&award.base).into_iter().map(Amount::millionths).collect();
            shared(worth.amount, &weights)
        }
        _ => vec![worth.amount],
    };
    worth
}

/// Rounds once (M2), with what was carried in; never below zero.
fn round(look: &Look<'_>, rule: &Rule, award: &Award, worth: &mut Worth) {
    let carried = match award.fraction {
        Fraction::Carry => look.basis.fraction(&rule.key),
        Fraction::Drop => Decimal::ZERO,
    };
    let exact = worth.exact.max(Decimal::ZERO) + carried;
    worth.amount = whole(award.rounding, exact);
    worth.fraction = exact - Decimal::from(worth.amount);
}

fn shared(amount: i64, weights: &[i128]) -> Vec<i64> {
    let parts = apportion(i128::from(amount), weights);
    parts.into_iter().map(|part| i64::try_from(part).unwrap_or_default()).collect()
}

fn millionths(value: Decimal) -> i128 {
    i128::from(Rounding::HalfEven.whole(value.checked_mul(Decimal::from(1_000_000)).unwrap_or(value)))
}

/// The rate of the member's level before the event (T5); of several ladders and clubs the highest.
fn rate(look: &Look<'_>, currency: &Id) -> Decimal {
    let rates = look.program.ladders.iter().filter_map(|ladder| {
        let level = look.basis.levels.get(&ladder.id)?;
        ladder.level(ladder.rank(level)).rate.get(currency)
    });
    let clubs = look.basis.clubs.iter();
    let of_clubs = clubs.filter_map(|plan| look.program.plan(plan.as_str())?.rate.get(currency));
    rates.chain(of_clubs).map(|rate| rate.0).max().unwrap_or(Decimal::ONE)
}

/// The ladder whose thresholds this award may cross in mid-order, where the document asks for marginal rates.
fn marginal_ladder<'a>(look: &Look<'a>, campaign: &Campaign, award: &Award) -> Option<(&'a LadderRules, Amount)> {
    if !campaign.is_base {
        return None;
    }
    look.program.ladders.iter().find_map(|ladder| {
        let counts = match ladder.measures.as_slice() {
            [(_, Measure::Earned { earned, .. })] => *earned == award.currency,
            [(_, Measure::Spend)] => true,
            _ => false,
        };
        let marginal = ladder.crossing == Crossing::Marginal && counts;
        marginal.then(|| look.basis.measured.get(&ladder.id).map(|measured| (ladder, *measured)))?
    })
}

/// T5 `marginal`: each part of the order at the rate of the level it falls into, from the level that is held on.
fn marginal(ladder: &LadderRules, award: &Award, held: usize, measured: Amount, raw: Decimal, net: Amount) -> Decimal {
    let by_spend = matches!(ladder.measures.first(), Some((_, Measure::Spend)));
    let threshold = |rank: usize| ladder.levels.get(rank).and_then(|level| level.at.of.first()).map(|(_, at)| at.0);
    let rate = |rank: usize| ladder.level(rank).rate.get(&award.currency).map_or(Decimal::ONE, |Exact(rate)| *rate);
    let mut reached = measured.to_decimal();
    let by_measure =
        (0..ladder.levels.len()).rev().find(|rank| threshold(*rank).is_some_and(|at| at <= reached)).unwrap_or(0);
    let mut rank = held.max(by_measure);
    let (mut rest, mut total) = (raw, Decimal::ZERO);
    let per_money = raw.checked_div(net.to_decimal()).unwrap_or_default();
    while let Some(next) = threshold(rank + 1) {
        let missing = next.saturating_sub(reached);
        // How many of the unrated points it takes to the next threshold.
        let unrated = if by_spend {
            times(missing, per_money)
        } else {
            times(missing, award.unit).checked_div(rate(rank)).unwrap_or(rest)
        };
        if rest <= unrated {
            break;
        }
        total += times(unrated, rate(rank));
        rest -= unrated;
        reached = next;
        rank += 1;
    }
    total + times(rest, rate(rank))
}

/// Works out every extra from the rounded base of the lines it is about, as several extras add up (C7).
pub(super) fn extras(look: &Look<'_>, applied: &mut [Applied<'_>]) {
    let lines = look.order.map_or(0, |order| order.items.len()).max(1);
    let stacking = &look.program.definition.stacking;
    let mut exact: Vec<Decimal> = vec![Decimal::ZERO; applied.len()];
    let currencies: std::collections::BTreeSet<&Id> =
        applied.iter().filter_map(|found| found.rule.extra.as_ref().map(|extra| &extra.currency)).collect();
    for currency in currencies {
        for line in 0..lines {
            let about: Vec<usize> =
                (0..applied.len()).filter(|index| is_about(&applied[*index], currency, line)).collect();
            let base = |index: usize| base_of(applied, index, line);
            let factor = |index: usize| applied[index].rule.extra.as_ref().map_or(Decimal::ONE, |extra| extra.times);
            match stacking.extras {
                Extras::Add => {
                    for index in about {
                        exact[index] += times(factor(index) - Decimal::ONE, base(index));
                    }
                }
                Extras::Highest => {
                    // Of equal ones the first, which is the first by priority, then name.
                    let best = about.into_iter().rev().max_by(|left, right| factor(*left).cmp(&factor(*right)));
                    if let Some(index) = best {
                        exact[index] += times(factor(index) - Decimal::ONE, base(index));
                    }
                }
                Extras::Product => {
                    let most = stacking.extras_max.map_or(Decimal::MAX, |most| most.0);
                    let mut so_far = Decimal::ONE;
                    for index in about {
                        let next = times(so_far, factor(index)).min(most.max(Decimal::ONE));
                        exact[index] += times(next - so_far, base(index));
                        so_far = next;
                    }
                }
            }
        }
    }
    share_out(applied, &exact);
}

/// Makes the extras of each currency whole together, rounded as the first of them says, and shares the sum out by
/// largest remainder (C7).
fn share_out(applied: &mut [Applied<'_>], exact: &[Decimal]) {
    let mut places: std::collections::BTreeMap<&Id, Vec<usize>> = std::collections::BTreeMap::new();
    for (place, found) in applied.iter().enumerate() {
        if let Some(extra) = &found.rule.extra {
            places.entry(&extra.currency).or_default().push(place);
        }
    }
    for places in places.into_values() {
        let rounding = applied[places[0]].rule.extra.as_ref().map(|extra| extra.rounding).unwrap_or_default();
        let sum = whole(rounding, places.iter().map(|place| exact[*place]).sum());
        let weights: Vec<i128> = places.iter().map(|place| millionths(exact[*place])).collect();
        for (place, part) in places.iter().zip(shared(sum, &weights)) {
            applied[*place].extra = Some(part);
        }
    }
}

fn is_about(found: &Applied<'_>, currency: &Id, line: usize) -> bool {
    let of_currency = found.rule.extra.as_ref().is_some_and(|extra| extra.currency == *currency);
    of_currency && found.lines.as_ref().is_none_or(|lines| lines.contains(&line))
}

/// The rounded base points on a line that an extra multiplies.
fn base_of(applied: &[Applied<'_>], index: usize, line: usize) -> Decimal {
    let Some(extra) = &applied[index].rule.extra else { return Decimal::ZERO };
    let bases = applied
        .iter()
        .filter(|found| found.campaign.is_base && extra.of.as_ref().is_none_or(|of| *of == found.campaign.id));
    let parts = bases.filter(|found| found.rule.award.as_ref().is_some_and(|award| award.currency == extra.currency));
    let points: i64 =
        parts.filter_map(|found| found.award.as_ref()).map(|worth| worth.by_line.get(line).copied().unwrap_or(0)).sum();
    Decimal::from(points)
}
