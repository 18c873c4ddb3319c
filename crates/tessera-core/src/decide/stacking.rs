//! Which campaigns go together (C3), decided the same on every channel (C4).

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::evaluate::Applied;
use crate::program::{Choose, Id, Program};

/// The campaigns that give way, each with the one that was chosen instead.
pub(super) fn losers(program: &Program, applied: &[Applied<'_>]) -> Vec<(Id, Id)> {
    let stacking = &program.definition.stacking;
    // Nothing gives way to nothing.
    if stacking.order.is_empty() || applied.len() < 2 {
        return Vec::new();
    }
    // In the order of priority, then name, as `applied` is.
    let mut standing: Vec<&Id> = Vec::new();
    let mut worth: BTreeMap<&Id, Decimal> = BTreeMap::new();
    for found in applied {
        let value = worth.entry(&found.campaign.id).or_default();
        *value += money(program, found);
        if !found.campaign.is_base && !standing.contains(&&found.campaign.id) {
            standing.push(&found.campaign.id);
        }
    }
    let always: Vec<&Id> = stacking.order.iter().flat_map(|group| &group.always).collect();
    let mut lost = Vec::new();
    for group in &stacking.order {
        let rivals: Vec<&Id> =
            standing.iter().copied().filter(|id| group.exclusive.contains(id) && !always.contains(id)).collect();
        if let Some(chosen) = choose(&rivals, &worth, group.choose) {
            for loser in rivals.iter().filter(|id| **id != chosen) {
                lost.push(((*loser).clone(), chosen.clone()));
                standing.retain(|id| id != loser);
            }
        }
        for alone in &group.never {
            if !standing.contains(&alone) {
                continue;
            }
            let others: Vec<&Id> = standing.iter().copied().filter(|id| *id != alone && !always.contains(id)).collect();
            let Some(first) = others.first().copied() else { continue };
            let together: Decimal = others.iter().map(|id| worth[*id]).sum();
            let wins = match group.choose {
                Choose::Best => worth[alone] > together,
                Choose::First => {
                    standing.iter().position(|id| *id == alone) < standing.iter().position(|id| *id == first)
                }
            };
            let (chosen, losers) = if wins { (alone, others) } else { (first, vec![alone]) };
            for loser in losers {
                lost.push((loser.clone(), chosen.clone()));
                standing.retain(|id| *id != loser);
            }
        }
    }
    lost
}

/// Of equal ones the first.
fn choose<'a>(rivals: &[&'a Id], worth: &BTreeMap<&Id, Decimal>, choose: Choose) -> Option<&'a Id> {
    match choose {
        Choose::First => rivals.first().copied(),
        Choose::Best => rivals.iter().rev().copied().max_by(|left, right| worth[*left].cmp(&worth[*right])),
    }
}

/// What a rule's points are worth in money, or in points where the currency has no value.
fn money(program: &Program, found: &Applied<'_>) -> Decimal {
    let value = |currency: &Id, amount: i64| {
        let definition = program.currency(currency.as_str());
        let unit = definition.map_or(Decimal::from(amount), |definition| Decimal::new(amount, definition.scale));
        unit * definition.and_then(|definition| definition.value).map_or(Decimal::ONE, |value| value.0)
    };
    found.worth().map(|(currency, amount)| value(currency, amount)).sum()
}
