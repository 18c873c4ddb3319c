//! What a condition waits for: numbers of a cart compared with constants, alone or joined by `and`.

use rust_decimal::Decimal;
use zen_expression::functions::{FunctionKind, InternalFunction};
use zen_expression::lexer::{ComparisonOperator, LogicalOperator, Operator};
use zen_expression::parser::Node;

/// A number that grows with what is in a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CartNumber {
    /// `event.total`
    Total,
    /// `event.net`
    Net,
    /// `len(event.items)`
    Lines,
}

/// `event.total >= 300000`: what a cart must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    pub of: CartNumber,
    pub least: Decimal,
    /// The number itself is not enough: `>`.
    pub above: bool,
}

impl Goal {
    /// How many whole units a number is short of it; 0 where it is met.
    pub fn short(&self, now: Decimal, unit: Decimal) -> Option<i64> {
        let exact = self.least.checked_sub(now)?.checked_div(unit)?;
        let whole = exact.ceil();
        let needed = if self.above && whole == exact { whole + Decimal::ONE } else { whole };
        i64::try_from(needed.max(Decimal::ZERO)).ok()
    }
}

/// The goals of a condition. What stands inside `or` or `not` is none: meeting it alone may change nothing.
pub(super) fn goals(ast: &Node<'_>) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut open = vec![ast];
    while let Some(node) = open.pop() {
        match node {
            Node::Parenthesized(inner) => open.push(inner),
            Node::Binary { left, operator: Operator::Logical(LogicalOperator::And), right } => {
                open.extend([left, right]);
            }
            Node::Binary { left, operator: Operator::Comparison(comparison), right } => {
                goals.extend(goal(left, *comparison, right));
            }
            _ => {}
        }
    }
    goals
}

fn goal(left: &Node<'_>, comparison: ComparisonOperator, right: &Node<'_>) -> Option<Goal> {
    let (of, least, above) = match (left, comparison, right) {
        (of, ComparisonOperator::GreaterThanOrEqual, Node::Number(least)) => (of, least, false),
        (of, ComparisonOperator::GreaterThan, Node::Number(least)) => (of, least, true),
        (Node::Number(least), ComparisonOperator::LessThanOrEqual, of) => (of, least, false),
        (Node::Number(least), ComparisonOperator::LessThan, of) => (of, least, true),
        _ => return None,
    };
    Some(Goal { of: cart_number(of)?, least: *least, above })
}

fn cart_number(node: &Node<'_>) -> Option<CartNumber> {
    match node {
        Node::Parenthesized(inner) => cart_number(inner),
        Node::FunctionCall { kind: FunctionKind::Internal(InternalFunction::Len), arguments: [of] } => {
            (event_field(of) == Some("items")).then_some(CartNumber::Lines)
        }
        node => match event_field(node)? {
            "total" => Some(CartNumber::Total),
            "net" => Some(CartNumber::Net),
            _ => None,
        },
    }
}

fn event_field<'a>(node: &Node<'a>) -> Option<&'a str> {
    match node {
        Node::Member { node: Node::Identifier("event"), property: Node::String(name) } => Some(name),
        _ => None,
    }
}
