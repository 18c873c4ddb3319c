//! What was expected, held against what was found. Only what is named is compared; numbers are compared exactly.

use std::fmt;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use tessera_core::program::{Kind, Node};
use tessera_core::time::{Calendar, Instant};

use super::moment::Moment;

/// One thing that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The line of the expectation.
    pub line: usize,
    /// What it is about: `balances.bean.available`.
    pub what: String,
    pub expected: String,
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.what, self.expected, self.found)
    }
}

impl Mismatch {
    pub(super) fn new(node: &Node, what: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { line: node.at.line, what: what.to_owned(), expected: expected.into(), found: found.into() }
    }
}

/// Notes every place where `found` is not what `expected` names.
pub(super) fn compare(expected: &Node, found: &Value, what: &str, calendar: &Calendar, mismatches: &mut Vec<Mismatch>) {
    match (&expected.kind, found) {
        (Kind::Map(entries), Value::Object(fields)) => {
            for (key, value) in entries {
                let found = fields.get(&key.text).unwrap_or(&Value::Null);
                compare(value, found, &format!("{what}.{}", key.text), calendar, mismatches);
            }
        }
        (Kind::List(items), Value::Array(values)) if items.len() == values.len() => {
            for (place, (item, value)) in items.iter().zip(values).enumerate() {
                compare(item, value, &format!("{what}[{place}]"), calendar, mismatches);
            }
        }
        _ if is_same(expected, found, calendar) => {}
        _ => mismatches.push(Mismatch::new(expected, what, words(expected), shown(expected, found, calendar))),
    }
}

/// Whether a value is everything that a pattern names.
pub(super) fn matches(pattern: &Node, found: &Value, calendar: &Calendar) -> bool {
    let mut mismatches = Vec::new();
    compare(pattern, found, "", calendar, &mut mismatches);
    mismatches.is_empty()
}

fn is_same(expected: &Node, found: &Value, calendar: &Calendar) -> bool {
    match (&expected.kind, found) {
        (Kind::Null, Value::Null) => true,
        (Kind::Bool(expected), Value::Bool(found)) => expected == found,
        (Kind::Number(expected), Value::Number(found)) => is_same_number(expected, found.as_str()),
        (Kind::Number(expected), Value::String(found)) => is_same_number(expected, found),
        (Kind::Text(expected), Value::String(found)) => {
            let moment = |text: &str| Moment::read(text).map(|moment| moment.at(calendar));
            expected == found || found.parse::<Instant>().is_ok_and(|found| moment(expected) == Some(found))
        }
        _ => false,
    }
}

fn is_same_number(expected: &str, found: &str) -> bool {
    match (Decimal::from_str_exact(expected), Decimal::from_str_exact(found)) {
        (Ok(expected), Ok(found)) => expected == found,
        _ => expected == found,
    }
}

/// What is expected, as it was written.
pub(super) fn words(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Text(text) => text.clone(),
        _ => brief(&node.to_json()),
    }
}

/// A value in a line: JSON without quotes.
pub(super) fn brief(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => format!("[{}]", values.iter().map(brief).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {}", brief(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What was found; a time by the program's clock where one was expected.
fn shown(expected: &Node, found: &Value, calendar: &Calendar) -> String {
    let instant = found.as_str().and_then(|text| text.parse::<Instant>().ok());
    match (&expected.kind, instant) {
        (Kind::Text(_), Some(instant)) => calendar.local(instant).to_string().replace('T', " "),
        _ => brief(found),
    }
}
