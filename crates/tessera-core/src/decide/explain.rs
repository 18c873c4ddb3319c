//! "Why?" for an event that is stored: its rules looked at again, by its own version and basis.

use super::evaluate::{self, Look};
use super::{Basis, RuleTrace};
use crate::event::{FieldValues, Order, What};
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
        What::Profile(_) | What::Return(_) | What::Adjust(_) | What::WakeUp => return Vec::new(),
    };
    // Whether enough could be spent is not part of the basis: what a rule spent stands in the event's effects.
    let spendable = |_: &Id| i64::MAX;
    let look = Look { program, kind, order: order.as_ref(), data, basis, only: None, spendable: &spendable, explain: true };
    evaluate::evaluate(&look).trace
}
