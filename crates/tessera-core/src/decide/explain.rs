//! "Why?" for an event that is stored: its rules looked at again, by its own version and basis.

use std::collections::{BTreeMap, BTreeSet};

use super::evaluate::{self, Evaluation, Look};
use super::outcome::Effect;
use super::take_back::own_lots;
use super::trace::{Part, PartOf, Reason};
use super::{Basis, EventStatus, OrderProgress, OrderRecord, Recorded, RuleTrace};
use crate::event::{FieldValues, Order, What};
use crate::ledger::LotRef;
use crate::member::Change;
use crate::program::{Id, Program};

/// For every rule that looked at a stored event, why it did or did not apply; for what no rule looks at, what it brought.
/// What became of an order is explained by [`explain_order`](super::explain_order).
pub fn explain(program: &Program, what: Option<&What>, event: &Recorded) -> Vec<RuleTrace> {
    if event.status == EventStatus::Parked {
        let parked = event.record.changes.iter().find_map(|change| match change {
            Change::Parked { event } => Some(RuleTrace::of(Reason::WaitsForOrder { order_id: event.order_id.clone() })),
            _ => None,
        });
        return parked.into_iter().collect();
    }
    let is_about_order = matches!(event.kind.as_str(), "return" | "amend" | "exchange");
    match (&event.record.basis, what) {
        (None, _) if is_about_order && event.record.progress.is_none() => vec![RuleTrace::of(Reason::Impossible)],
        (None, _) if is_about_order => Vec::new(),
        (Some(basis), Some(what)) => by_rules(program, what, basis, &event.record.effects),
        // Nobody sent it: a birthday, or a welcome.
        (Some(basis), None) => {
            let campaign = event.record.changes.iter().find_map(|change| match change {
                Change::Gift { campaign, .. } => Some(campaign),
                _ => None,
            });
            looked_at(program, &event.kind, None, &FieldValues::new(), basis, campaign)
        }
        (None, _) => brought(&event.record.effects),
    }
}

fn by_rules(program: &Program, what: &What, basis: &Basis, effects: &[Effect]) -> Vec<RuleTrace> {
    let none = FieldValues::new();
    let converted = |order: &Order| basis.rate().map_or_else(|| order.clone(), |rate| order.converted(rate));
    match what {
        What::Purchase(order) => looked_at(program, "purchase", Some(&converted(order)), &order.extra, basis, None),
        What::Exchange(exchange) => {
            looked_at(program, "purchase", Some(&converted(&exchange.bought)), &exchange.bought.extra, basis, None)
        }
        // A return that named no order took what its items would earn (R11).
        What::Return(back) => {
            let order = super::unlinked::as_order(back, &back.items);
            let mut trace = looked_at(program, "purchase", Some(&converted(&order)), &none, basis, None);
            trace.extend(brought(effects));
            trace
        }
        What::Declared { kind, data } => looked_at(program, kind.as_str(), None, data, basis, None),
        What::Enrol(_) => looked_at(program, "enrol", None, &none, basis, None),
        _ => brought(effects),
    }
}

fn looked_at(
    program: &Program,
    kind: &str,
    order: Option<&Order>,
    data: &FieldValues,
    basis: &Basis,
    only: Option<&Id>,
) -> Vec<RuleTrace> {
    // Whether enough could be spent is not part of the basis: what a rule spent stands in the event's effects.
    let spendable = |_: &Id| i64::MAX;
    evaluate::evaluate(&Look { program, kind, order, data, basis, only, spendable: &spendable, explain: true }).trace
}

/// What time, or somebody by hand, brought about.
fn brought(effects: &[Effect]) -> Vec<RuleTrace> {
    let of_no_campaign = effects.iter().filter(|effect| effect.campaign.is_none());
    of_no_campaign.map(|effect| RuleTrace::of(Reason::Brought { effect: Box::new(effect.clone()) })).collect()
}

/// For every campaign that gave something for an order, what it gave for all of it, what that was before, and what it
/// gives for what the order is now (R1).
pub(super) fn revalued(whole: &Evaluation, before: &Evaluation, left: &Evaluation) -> Vec<RuleTrace> {
    let mut worth: BTreeMap<(&Id, &Id), [i64; 3]> = BTreeMap::new();
    for (place, evaluation) in [whole, before, left].into_iter().enumerate() {
        for award in &evaluation.awards {
            worth.entry((&award.campaign, &award.currency)).or_default()[place] += award.amount;
        }
    }
    let trace = |((campaign, currency), [earned, before, left]): ((&Id, &Id), [i64; 3])| {
        let reason = Reason::Revalued { currency: currency.clone(), earned, before, left };
        RuleTrace { campaign: Some(campaign.clone()), applied: before != left, ..RuleTrace::of(reason) }
    };
    worth.into_iter().map(trace).collect()
}

/// For every currency whose points a return or correction moved, how many and from or to where (R5, R6).
pub(super) fn moved(
    rules: &Program,
    record: &OrderRecord,
    before: &OrderProgress,
    after: &OrderProgress,
) -> Vec<RuleTrace> {
    let currencies: BTreeSet<&Id> = before.net.keys().chain(after.net.keys()).collect();
    let of = |map: &BTreeMap<Id, i64>, currency: &Id| map.get(currency).copied().unwrap_or(0);
    let mut trace = Vec::new();
    for currency in currencies {
        let amount = of(&before.net, currency) - of(&after.net, currency);
        let own = own_lots(rules, record, after, currency);
        let mut sums: BTreeMap<(PartOf, Option<LotRef>), i64> = BTreeMap::new();
        for (progress, sign) in [(before, -1), (after, 1)] {
            for credit in progress.taken.iter().filter(|credit| credit.currency == *currency) {
                let is_own = own.iter().any(|(lot, _)| Some(lot) == credit.lot.as_ref());
                let part = match &credit.lot {
                    _ if credit.expired => PartOf::Expired,
                    Some(lot) if lot.order.is_some() => PartOf::Pending,
                    _ if is_own => PartOf::Own,
                    _ => PartOf::Other,
                };
                *sums.entry((part, credit.lot.clone())).or_default() += sign * credit.amount;
            }
            *sums.entry((PartOf::Debt, None)).or_default() += sign * of(&progress.owed, currency);
            *sums.entry((PartOf::Forgiven, None)).or_default() += sign * of(&progress.forgiven, currency);
            for credit in progress.added.iter().filter(|credit| credit.currency == *currency) {
                *sums.entry((PartOf::New, credit.lot.clone())).or_default() -= sign * credit.amount;
            }
        }
        let parts = |sign: i64| -> Vec<Part> {
            let parts = sums.iter().filter(|(_, sum)| *sum * sign > 0);
            parts.map(|((of, lot), sum)| Part { of: *of, amount: sum * sign, lot: lot.clone() }).collect()
        };
        let (from, to) = (parts(1), parts(-1));
        // What an earlier return took may be put right by a later one.
        let both = !from.is_empty() && !to.is_empty();
        let taken: i64 = from.iter().map(|part| part.amount).sum();
        let (taken_back, given_again) = if both { (taken, taken - amount) } else { (amount, -amount) };
        if taken_back > 0 {
            let currency = currency.clone();
            trace.push(RuleTrace::of(Reason::TakenBack { currency, amount: taken_back, from }));
        }
        if given_again > 0 {
            let currency = currency.clone();
            trace.push(RuleTrace::of(Reason::GivenAgain { currency, amount: given_again, to }));
        }
    }
    trace
}
