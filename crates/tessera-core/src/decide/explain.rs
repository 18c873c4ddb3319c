//! "Why?" for an event that is stored: its rules looked at again, by its own version and basis.

use std::collections::BTreeMap;

use super::evaluate::{self, Evaluation, Look};
use super::trace::Reason;
use super::{Basis, RuleTrace};
use crate::event::{FieldValues, Order, What};
use crate::expression::Facts;
use crate::program::{Id, Program};

/// For every rule that looked at an event, why it did or did not apply. Empty for events that no rule looks at.
pub fn explain(program: &Program, what: &What, basis: &Basis) -> Vec<RuleTrace> {
    let none = FieldValues::new();
    let converted = |order: &Order| basis.rate().map_or_else(|| order.clone(), |rate| order.converted(rate));
    let (kind, order, data) = match what {
        What::Purchase(order) | What::Amend(order) => ("purchase", Some(converted(order)), &order.extra),
        What::Exchange(exchange) => ("purchase", Some(converted(&exchange.bought)), &exchange.bought.extra),
        What::Declared { kind, data } => (kind.as_str(), None, data),
        What::Enrol(_) => ("enrol", None, &none),
        // No rule looks at any other.
        _ => return Vec::new(),
    };
    // Whether enough could be spent is not part of the basis: what a rule spent stands in the event's effects.
    let spendable = |_: &Id| i64::MAX;
    let look =
        Look { program, kind, order: order.as_ref(), data, basis, only: None, spendable: &spendable, explain: true };
    evaluate::evaluate(&look).trace
}

/// For every campaign that gave something for an order, what it gives for what the order is now (R1).
pub(super) fn revalued(before: &Evaluation, left: &Evaluation) -> Vec<RuleTrace> {
    let mut pairs: BTreeMap<(&Id, &Id), (i64, i64)> = BTreeMap::new();
    for award in &before.awards {
        pairs.entry((&award.campaign, &award.currency)).or_default().0 += award.amount;
    }
    for award in &left.awards {
        pairs.entry((&award.campaign, &award.currency)).or_default().1 += award.amount;
    }
    let trace = |((campaign, currency), (before, left)): ((&Id, &Id), (i64, i64))| {
        let reason = Reason::Revalued { currency: currency.clone(), before, left };
        let words = reason.words();
        RuleTrace {
            campaign: campaign.clone(),
            rule: None,
            applied: before != left,
            reason,
            words,
            facts: Facts::new(),
        }
    };
    pairs.into_iter().map(trace).collect()
}
