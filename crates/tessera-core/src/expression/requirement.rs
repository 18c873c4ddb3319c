//! What must stand in an event for a condition to hold, as far as it can be looked up: texts of the event and of its lines.
//!
//! It is necessary, and hardly ever sufficient. What is not understood here asks for nothing, so that the condition is
//! evaluated for every event; what is wrong with an evaluation never makes it hold.

use compact_str::CompactString;
use rust_decimal::Decimal;
use zen_expression::functions::{ClosureFunction, FunctionKind};
use zen_expression::lexer::{ComparisonOperator, LogicalOperator, Operator};
use zen_expression::parser::Node;

use super::goal::{self, CartNumber, LineKind};

/// Something that an event has, or its condition does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing that can be looked up.
    #[default]
    Nothing,
    /// One of these texts in their fields; none of them for what never holds.
    OneOf(Vec<FieldText>),
    /// Each of these.
    All(Vec<Self>),
    /// At least one of these; none of them for what never holds.
    Any(Vec<Self>),
}

/// A text in a field, exactly so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldText {
    pub of: FieldOf,
    pub field: CompactString,
    pub text: CompactString,
}

/// Whose field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldOf {
    Event,
    /// Any line of the order.
    Line,
}

impl Requirement {
    /// What never holds.
    pub(super) const NEVER: Self = Self::OneOf(Vec::new());

    /// By the tree of a condition; `item` in it is a line of the order.
    pub(super) fn of(ast: &Node<'_>) -> Self {
        Asked { line: Line::Item }.of(ast)
    }

    /// The texts of which an event has one, or the condition does not hold; of several such sets the one that is the least
    /// by `cost`, summed over its texts. `None` where nothing can be looked up.
    pub fn texts(&self, cost: &impl Fn(&FieldText) -> usize) -> Option<Vec<FieldText>> {
        self.cheapest(cost).map(|(_, texts)| texts)
    }

    fn cheapest(&self, cost: &impl Fn(&FieldText) -> usize) -> Option<(usize, Vec<FieldText>)> {
        match self {
            Self::Nothing => None,
            Self::OneOf(texts) => Some((texts.iter().map(cost).sum(), texts.clone())),
            Self::All(parts) => parts.iter().filter_map(|part| part.cheapest(cost)).min_by_key(|(cost, _)| *cost),
            Self::Any(parts) => parts.iter().try_fold((0, Vec::new()), |(sum, mut all), part| {
                let (cost, texts) = part.cheapest(cost)?;
                all.extend(texts);
                Some((sum + cost, all))
            }),
        }
    }

    /// Tells every text that it names, also those that are not looked up in the end.
    pub fn each_text(&self, tell: &mut impl FnMut(&FieldText)) {
        match self {
            Self::Nothing => {}
            Self::OneOf(texts) => texts.iter().for_each(tell),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_text(tell)),
        }
    }
}

/// What stands for a line: `item` under `each`, `#` within a list function.
#[derive(Clone, Copy)]
enum Line {
    Item,
    Element,
}

struct Asked {
    line: Line,
}

impl Asked {
    fn of(&self, node: &Node<'_>) -> Requirement {
        match node {
            Node::Bool(false) => Requirement::NEVER,
            Node::Parenthesized(inner) => self.of(inner),
            Node::Binary { left, operator: Operator::Logical(LogicalOperator::And), right } => {
                Requirement::All(vec![self.of(left), self.of(right)])
            }
            Node::Binary { left, operator: Operator::Logical(LogicalOperator::Or), right } => {
                Requirement::Any(vec![self.of(left), self.of(right)])
            }
            Node::Binary { left, operator: Operator::Comparison(comparison), right } => {
                self.comparison(left, *comparison, right)
            }
            Node::FunctionCall {
                kind: FunctionKind::Closure(ClosureFunction::Some | ClosureFunction::One),
                arguments: [list, Node::Closure { body, .. }],
            } if goal::event_field(list) == Some("items") => Self { line: Line::Element }.of(body),
            _ => Requirement::Nothing,
        }
    }

    fn comparison(&self, left: &Node<'_>, comparison: ComparisonOperator, right: &Node<'_>) -> Requirement {
        let found = match (comparison, text(left), text(right)) {
            (ComparisonOperator::Equal, _, Some(text)) => self.one_of(left, vec![text]),
            (ComparisonOperator::Equal, Some(text), _) => self.one_of(right, vec![text]),
            (ComparisonOperator::In, ..) => texts(right).and_then(|texts| self.one_of(left, texts)),
            _ => None,
        };
        found.unwrap_or_else(|| of_goal(left, comparison, right))
    }

    fn one_of(&self, field: &Node<'_>, texts: Vec<&str>) -> Option<Requirement> {
        let (of, field) = self.field(field)?;
        let texts = texts.into_iter().map(|text| FieldText { of, field: field.into(), text: text.into() });
        Some(Requirement::OneOf(texts.collect()))
    }

    fn field<'a>(&self, node: &Node<'a>) -> Option<(FieldOf, &'a str)> {
        match node {
            Node::Parenthesized(inner) => self.field(inner),
            Node::Member { node, property: Node::String(name) } => match (node, self.line) {
                // Within a list function another name may stand for `event` and `item`.
                (Node::Identifier("event"), Line::Item) => Some((FieldOf::Event, name)),
                (Node::Identifier("item"), Line::Item) | (Node::Pointer, Line::Element) => Some((FieldOf::Line, name)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// `len(filter(event.items, #.sku == "A")) >= 2` asks for a line of A, `sum(map(…, #.amount)) > 0` too.
fn of_goal(left: &Node<'_>, comparison: ComparisonOperator, right: &Node<'_>) -> Requirement {
    let goal = goal::goal(left, comparison, right);
    let goal = goal.filter(|goal| goal.least > Decimal::ZERO || goal.above && goal.least >= Decimal::ZERO);
    let Some(CartNumber::Lines(kind) | CartNumber::Amount(kind)) = goal.map(|goal| goal.of) else {
        return Requirement::Nothing;
    };
    let LineKind { category, brand, sku } = kind;
    let parts = [("sku", sku), ("brand", brand), ("category", category)].into_iter().filter_map(|(field, text)| {
        Some(Requirement::OneOf(vec![FieldText { of: FieldOf::Line, field: field.into(), text: text? }]))
    });
    Requirement::All(parts.collect())
}

fn text<'a>(node: &Node<'a>) -> Option<&'a str> {
    match node {
        Node::Parenthesized(inner) => text(inner),
        Node::String(text) => Some(text),
        _ => None,
    }
}

/// A list of texts and of nothing else: what is missing is in `[null]`.
fn texts<'a>(node: &Node<'a>) -> Option<Vec<&'a str>> {
    match node {
        Node::Parenthesized(inner) => texts(inner),
        Node::Array(parts) => parts.iter().map(|part| text(part)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Expression;

    /// What is asked for, as text: `item.sku=A|item.sku=B`; `-` for nothing, empty for what never holds.
    fn asked(source: &str) -> String {
        let expression = Expression::unchecked(source).unwrap_or_else(|| panic!("{source}"));
        let Some(texts) = expression.requirement.texts(&|_| 1) else { return "-".to_owned() };
        let name = |text: &FieldText| {
            let of = if text.of == FieldOf::Line { "item" } else { "event" };
            format!("{of}.{}={}", text.field, text.text)
        };
        texts.iter().map(name).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn what_must_be_there_is_read_from_comparisons_with_texts() {
        for (source, expected) in [
            (r#"item.sku == "A""#, "item.sku=A"),
            (r#""A" == (item.sku)"#, "item.sku=A"),
            (r#"item["sku"] == 'A'"#, "item.sku=A"),
            (r#"item.sku in ["A", "B"]"#, "item.sku=A|item.sku=B"),
            (r#"item.sku in []"#, ""),
            (r#"event.channel == "app""#, "event.channel=app"),
            (r#"event.channel == "app" and event.total > 5"#, "event.channel=app"),
            (r#"event.total > 5 and (member.purchases < 3 and item.category == "tea")"#, "item.category=tea"),
            (r#"item.sku in ["A", "B"] and item.brand == "X""#, "item.brand=X"),
            (r#"item.sku == "A" or event.channel == "app""#, "item.sku=A|event.channel=app"),
            (r#"item.sku == "A" or item.sku == "B" and event.total > 3"#, "item.sku=A|item.sku=B"),
            (r#"some(event.items, #.sku == "A")"#, "item.sku=A"),
            (r#"one(event.items, #.sku in ["A", "B"] and #.quantity > 1)"#, "item.sku=A|item.sku=B"),
            (r#"len(filter(event.items, #.sku == "A")) >= 2"#, "item.sku=A"),
            (r#"count(event.items, #.brand == "X" and #.category == "c") > 0"#, "item.brand=X"),
            (r#"1 <= sum(map(filter(event.items, #.category == "c"), #.amount))"#, "item.category=c"),
            ("false", ""),
            (r#"false and item.sku == "A""#, ""),
        ] {
            assert_eq!(asked(source), expected, "{source}");
        }
    }

    #[test]
    fn what_is_not_understood_asks_for_nothing() {
        for source in [
            "true",
            "event.total > 5",
            r#"item.sku != "A""#,
            r#"item.sku not in ["A"]"#,
            r#"not (item.sku == "A")"#,
            r#"item.sku == "A" or event.total > 5"#,
            r#"item.sku == "A" or not (item.sku == "B")"#,
            r#"item.sku == item.name"#,
            r#"item.sku == null"#,
            r#"item.sku in ["A", null]"#,
            r#"item.sku in ["A", item.name]"#,
            r#"(item.sku ?? "A") == "A""#,
            r#"item.sku + "" == "A""#,
            r#"upper(item.sku) == "A""#,
            r#"member.tier.cup == "steel""#,
            r#"event.total > 5 ? item.sku == "A" : true"#,
            r#"all(event.items, #.sku == "A")"#,
            r#"none(event.items, #.sku == "A")"#,
            r#"not some(event.items, #.sku == "A")"#,
            r#"some([1], event.channel == "app")"#,
            r#"some(event.items, item.sku == "A")"#,
            r#"some(map(event.items, #), #.sku == "A")"#,
            r#"len(filter(event.items, #.sku == "A")) >= 0"#,
            r#"len(filter(event.items, #.sku == "A")) < 2"#,
            r#"sum(map(filter(event.items, #.sku == "A"), #.amount)) > -1"#,
            r#"len(event.items) >= 2"#,
        ] {
            assert_eq!(asked(source), "-", "{source}");
        }
    }

    #[test]
    fn of_several_texts_the_rarest_are_looked_up() {
        let expression = Expression::unchecked(r#"event.channel == "app" and item.sku in ["A", "B"]"#).unwrap();
        let texts = |often: usize| {
            let cost = |text: &FieldText| if text.of == FieldOf::Event { often } else { 1 };
            expression.requirement.texts(&cost).unwrap().len()
        };
        assert_eq!([texts(1), texts(3)], [1, 2]);
    }
}
