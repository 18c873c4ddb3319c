//! Member prices of a cart: which rules are for it, and what each line then costs.

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::decide::basis::fact_value;
use crate::decide::evaluate::is_hour_of;
use crate::decide::reward::is_first;
use crate::event::{Item, Order};
use crate::expression::{EventScope, Facts};
use crate::member::MemberState;
use crate::program::{Id, Price, PriceDefinition, Program};
use crate::quantity::{Amount, Rounding};
use crate::time::Instant;

/// What one line costs the member, and by which price.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinePrice {
    pub line: CompactString,
    pub price: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The line without it, and with it.
    pub was: Amount,
    pub amount: Amount,
    pub saving: Amount,
    /// Why, in words.
    pub words: String,
}

/// A member price that is for this cart, with what it takes off each line.
pub(super) struct PriceRule<'p> {
    pub id: &'p Id,
    pub price: &'p Price,
    pub off: Vec<Amount>,
}

/// A cart at some of its member prices.
pub(super) struct Priced {
    pub items: Vec<Item>,
    /// By line, the place of the rule and what it takes off.
    pub lines: Vec<Option<(usize, Amount)>>,
    pub off: Amount,
}

/// The category of lines that sell gift cards: money costs what it is, unless a price names it.
const GIFT_CARD: &str = "gift_card";

/// The prices that a member has on a cart, by name; those that take something off a line.
pub(super) fn rules<'p>(program: &'p Program, member: &MemberState, order: &Order, at: Instant) -> Vec<PriceRule<'p>> {
    let decimals = u32::try_from(program.money.decimals()).unwrap_or_default();
    let is_for = |(id, price): &(&'p Id, &'p Price)| is_for(program, member, order, (id, price), at);
    let rule = |(id, price): (&'p Id, &'p Price)| {
        let off = order.items.iter().map(|item| off(&price.definition, item, decimals)).collect();
        PriceRule { id, price, off }
    };
    let found = program.prices.iter().filter(is_for).map(rule);
    found.filter(|rule| rule.off.iter().any(|off| !off.is_zero())).collect()
}

fn is_for(program: &Program, member: &MemberState, order: &Order, (_, price): (&Id, &Price), at: Instant) -> bool {
    let definition = &price.definition;
    let is_one = |allowed: &[String], found: &Option<CompactString>| {
        allowed.is_empty() || allowed.iter().any(|known| found.as_deref() == Some(known.as_str()))
    };
    if !is_one(&definition.channels, &order.channel) || !is_one(&definition.locations, &order.location) {
        return false;
    }
    let day = program.calendar.day(at);
    if let Some(schedule) = &definition.schedule {
        let is_early = |from| {
            let early = definition.early.as_ref();
            early.is_some_and(|early| early.before.before(from) <= day && is_first(program, member, early, day))
        };
        let has_begun = schedule.from.is_none_or(|from| from <= day || is_early(from));
        let in_days = has_begun && schedule.until.is_none_or(|until| day <= until);
        if !in_days || !is_hour_of(program, schedule, at, day) {
            return false;
        }
    }
    price.when.as_ref().is_none_or(|when| {
        let facts: Facts =
            when.facts.iter().map(|fact| (fact.clone(), fact_value(program, member, fact, at))).collect();
        let scope = EventScope::new(&when.fields, None, &[], &facts, Some((&program.calendar, at)));
        when.holds(scope.scope()).unwrap_or(false)
    })
}

/// What a price takes off one line; nothing where the line has a member price already.
fn off(price: &PriceDefinition, item: &Item, decimals: u32) -> Amount {
    let choice = price.items.as_ref();
    let sells_money = item.category.as_deref() == Some(GIFT_CARD);
    let named = choice.is_some_and(|choice| choice.category.as_deref() == Some(GIFT_CARD));
    let is_meant = choice.is_none_or(|choice| choice.means(item)) && (!sells_money || named);
    if !is_meant || item.member_price.is_some() || item.amount <= Amount::ZERO || item.quantity <= Amount::ZERO {
        return Amount::ZERO;
    }
    let (whole, units) = (item.amount.to_decimal(), item.quantity.to_decimal());
    let exact = match (price.price, price.amount_off, price.percent_off) {
        (Some(unit), ..) => unit.0.checked_mul(units).map(|costs| whole - costs),
        (_, Some(unit), _) => unit.0.checked_mul(units),
        (.., Some(percent)) => whole.checked_mul(percent.0).map(|part| part / Decimal::ONE_HUNDRED),
        _ => None,
    };
    rounded(exact.unwrap_or_default(), price.rounding, decimals).max(Amount::ZERO).min(item.amount)
}

fn rounded(amount: Decimal, rounding: Rounding, decimals: u32) -> Amount {
    let digits = decimals.min(6);
    let whole = rounding.whole(amount.checked_mul(Decimal::from(10_i64.pow(digits))).unwrap_or_default());
    Amount::from_millionths(i128::from(whole) * 10_i128.pow(6 - digits))
}

/// The rules that are lowest on some line when all are taken.
pub(super) fn lowest(order: &Order, rules: &[PriceRule<'_>]) -> Vec<usize> {
    let all: Vec<usize> = (0..rules.len()).collect();
    let mut found: Vec<usize> =
        (0..order.items.len()).filter_map(|line| Some(lowest_on(rules, &all, line)?.0)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The rule that is lowest on a line, and what it takes off; of equal ones the first by name.
fn lowest_on(rules: &[PriceRule<'_>], taken: &[usize], line: usize) -> Option<(usize, Amount)> {
    let lowest = taken.iter().rev().max_by_key(|rule| rules[**rule].off[line])?;
    let off = rules[*lowest].off[line];
    (!off.is_zero()).then_some((*lowest, off))
}

/// The lines with these of the rules, each at the lowest of its prices; of equal ones the first by name. `None` where
/// one of them is lowest on no line: without it, it is the same.
pub(super) fn priced(order: &Order, rules: &[PriceRule<'_>], taken: &[usize]) -> Option<Priced> {
    let lines: Vec<Option<(usize, Amount)>> =
        (0..order.items.len()).map(|line| lowest_on(rules, taken, line)).collect();
    if taken.iter().any(|rule| !lines.iter().flatten().any(|(lowest, _)| lowest == rule)) {
        return None;
    }
    let mut items = order.items.clone();
    for (item, found) in items.iter_mut().zip(&lines) {
        let Some((rule, off)) = found else { continue };
        item.amount -= *off;
        item.member_price = Some(rules[*rule].id.as_str().into());
        item.unit_price = item.unit_price.and_then(|_| {
            let unit = item.amount.to_decimal().checked_div(item.quantity.to_decimal())?;
            Amount::try_from(unit).ok()
        });
    }
    let off = lines.iter().flatten().map(|(_, off)| *off).sum();
    Some(Priced { items, lines, off })
}

/// What the lines cost, and why.
pub(super) fn views(order: &Order, rules: &[PriceRule<'_>], priced: &Priced, language: &str) -> Vec<LinePrice> {
    let lines = priced.lines.iter().enumerate().filter_map(|(line, found)| Some((line, (*found)?)));
    lines
        .map(|(line, (rule, saving))| {
            let PriceRule { id, price, .. } = &rules[rule];
            let was = order.items[line].amount;
            LinePrice {
                line: order.line_name(line),
                price: (*id).clone(),
                name: price.definition.name.in_language(language).map(str::to_owned),
                was,
                amount: was - saving,
                saving,
                words: words(id, price),
            }
        })
        .collect()
}

fn words(id: &Id, price: &Price) -> String {
    let definition = &price.definition;
    let gives = match (definition.price, definition.amount_off, definition.percent_off) {
        (Some(price), ..) => format!("{} a unit", price.0.normalize()),
        (_, Some(off), _) => format!("{} off each unit", off.0.normalize()),
        (.., Some(percent)) => format!("{} % off", percent.0.normalize()),
        _ => String::new(),
    };
    match &price.when {
        Some(when) => format!("member price `{id}`: {gives}, for `{}`", when.source()),
        None => format!("member price `{id}`: {gives}, for members"),
    }
}
