//! Conditions that no value can meet, as far as comparisons with constants joined by `and` show it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use zen_expression::lexer::{ComparisonOperator, LogicalOperator, Operator};
use zen_expression::parser::Node;

/// Whether the parts joined by `and` exclude each other: `x > 5 and x < 3`, `tier == "a" and tier == "b"`.
pub(super) fn contradicts_itself(ast: &Node<'_>) -> bool {
    let mut bounds: BTreeMap<String, Bounds<'_>> = BTreeMap::new();
    let mut open = vec![ast];
    while let Some(node) = open.pop() {
        match node {
            Node::Parenthesized(inner) => open.push(inner),
            Node::Binary { left, operator: Operator::Logical(LogicalOperator::And), right } => {
                open.extend([left, right])
            }
            Node::Binary { left, operator: Operator::Comparison(comparison), right } => {
                if let Some(path) = path(left) {
                    bounds.entry(path).or_default().narrow(*comparison, right);
                }
            }
            _ => {}
        }
    }
    bounds.values().any(Bounds::empty)
}

#[derive(Default)]
struct Bounds<'a> {
    /// The highest lower bound, and whether the bound itself is out.
    above: Option<(Decimal, bool)>,
    below: Option<(Decimal, bool)>,
    texts: Vec<&'a str>,
}

impl<'a> Bounds<'a> {
    fn narrow(&mut self, comparison: ComparisonOperator, right: &Node<'a>) {
        match (comparison, right) {
            (ComparisonOperator::Equal, Node::String(text)) => self.texts.push(text),
            (ComparisonOperator::Equal, Node::Number(number)) => {
                self.raise(*number, false);
                self.lower(*number, false);
            }
            (ComparisonOperator::GreaterThan, Node::Number(number)) => self.raise(*number, true),
            (ComparisonOperator::GreaterThanOrEqual, Node::Number(number)) => self.raise(*number, false),
            (ComparisonOperator::LessThan, Node::Number(number)) => self.lower(*number, true),
            (ComparisonOperator::LessThanOrEqual, Node::Number(number)) => self.lower(*number, false),
            _ => {}
        }
    }

    fn raise(&mut self, number: Decimal, open: bool) {
        self.above = self.above.max(Some((number, open)));
    }

    fn lower(&mut self, number: Decimal, open: bool) {
        self.below = Some(match self.below {
            Some((known, known_open)) if known < number || (known == number && known_open) => (known, known_open),
            _ => (number, open),
        });
    }

    fn empty(&self) -> bool {
        let numbers = matches!((self.above, self.below), (Some((low, open)), Some((high, closed)))
            if low > high || (low == high && (open || closed)));
        numbers || self.texts.windows(2).any(|pair| pair[0] != pair[1])
    }
}

/// `member.tier.cup` as text; `None` for anything that is not a plain path.
fn path(node: &Node<'_>) -> Option<String> {
    match node {
        Node::Identifier(name) => Some((*name).to_owned()),
        Node::Member { node, property: Node::String(name) } => Some(format!("{}.{name}", path(node)?)),
        _ => None,
    }
}
