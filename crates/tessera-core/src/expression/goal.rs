//! What a condition waits for: numbers of a cart compared with constants, alone or joined by `and`.

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::Serialize;
use zen_expression::functions::{ClosureFunction, FunctionKind, InternalFunction};
use zen_expression::lexer::{ComparisonOperator, LogicalOperator, Operator};
use zen_expression::parser::Node;

use crate::event::Item;

/// A number that grows with what is in a cart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CartNumber {
    /// `event.total`
    Total,
    /// `event.net`
    Net,
    /// `len(event.items)`, or `len(filter(event.items, #.category == "bakery"))` and the like
    Lines(LineKind),
    /// `sum(map(filter(event.items, #.category == "bakery"), #.amount))` and the like
    Amount(LineKind),
}

/// Lines of an order: all of them, or those of which these texts are true.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LineKind {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<CompactString>,
}

impl LineKind {
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// The texts, as they are said.
    pub fn words(&self) -> String {
        let words: Vec<&str> =
            [&self.category, &self.brand, &self.sku].into_iter().flatten().map(|text| &**text).collect();
        words.join(" ")
    }

    pub fn matches(&self, item: &Item) -> bool {
        let is = |wanted: &Option<CompactString>, has: &Option<CompactString>| wanted.is_none() || wanted == has;
        is(&self.category, &item.category) && is(&self.brand, &item.brand) && is(&self.sku, &item.sku)
    }

    /// A line of this kind.
    pub fn line(&self) -> Item {
        let (category, brand, sku) = (self.category.clone(), self.brand.clone(), self.sku.clone());
        Item { category, brand, sku, ..Item::default() }
    }
}

/// `event.total >= 300000`: what a cart must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
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

pub(super) fn goal(left: &Node<'_>, comparison: ComparisonOperator, right: &Node<'_>) -> Option<Goal> {
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
            lines(of).map(CartNumber::Lines)
        }
        Node::FunctionCall {
            kind: FunctionKind::Closure(ClosureFunction::Count),
            arguments: [of, Node::Closure { body, .. }],
        } if event_field(of) == Some("items") => line_kind(body).map(CartNumber::Lines),
        Node::FunctionCall { kind: FunctionKind::Internal(InternalFunction::Sum), arguments: [of] } => {
            amounts(of).map(CartNumber::Amount)
        }
        node => match event_field(node)? {
            "total" => Some(CartNumber::Total),
            "net" => Some(CartNumber::Net),
            _ => None,
        },
    }
}

/// `map(event.items, #.amount)`, or of some of them.
fn amounts(node: &Node<'_>) -> Option<LineKind> {
    match node {
        Node::Parenthesized(inner) => amounts(inner),
        Node::FunctionCall {
            kind: FunctionKind::Closure(ClosureFunction::Map),
            arguments: [of, Node::Closure { body, .. }],
        } if line_field(body) == Some("amount") => lines(of),
        _ => None,
    }
}

/// `event.items`, or `filter(event.items, …)`.
fn lines(node: &Node<'_>) -> Option<LineKind> {
    match node {
        Node::Parenthesized(inner) => lines(inner),
        Node::FunctionCall {
            kind: FunctionKind::Closure(ClosureFunction::Filter),
            arguments: [of, Node::Closure { body, .. }],
        } if event_field(of) == Some("items") => line_kind(body),
        node => (event_field(node) == Some("items")).then(LineKind::default),
    }
}

/// `#.category == "bakery"`, alone or with others by `and`.
fn line_kind(node: &Node<'_>) -> Option<LineKind> {
    match node {
        Node::Parenthesized(inner) => line_kind(inner),
        Node::Binary { left, operator: Operator::Logical(LogicalOperator::And), right } => {
            let (left, right) = (line_kind(left)?, line_kind(right)?);
            Some(LineKind {
                category: left.category.or(right.category),
                brand: left.brand.or(right.brand),
                sku: left.sku.or(right.sku),
            })
        }
        Node::Binary { left, operator: Operator::Comparison(ComparisonOperator::Equal), right } => {
            let (field, text) = match (left, right) {
                (field, Node::String(text)) | (Node::String(text), field) => (line_field(field)?, *text),
                _ => return None,
            };
            let (text, any) = (Some(CompactString::from(text)), LineKind::default());
            match field {
                "category" => Some(LineKind { category: text, ..any }),
                "brand" => Some(LineKind { brand: text, ..any }),
                "sku" => Some(LineKind { sku: text, ..any }),
                _ => None,
            }
        }
        _ => None,
    }
}

fn line_field<'a>(node: &Node<'a>) -> Option<&'a str> {
    match node {
        Node::Parenthesized(inner) => line_field(inner),
        Node::Member { node: Node::Pointer, property: Node::String(name) } => Some(name),
        _ => None,
    }
}

pub(super) fn event_field<'a>(node: &Node<'a>) -> Option<&'a str> {
    match node {
        Node::Member { node: Node::Identifier("event"), property: Node::String(name) } => Some(name),
        _ => None,
    }
}
