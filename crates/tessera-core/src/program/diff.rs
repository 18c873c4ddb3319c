//! What changes from one document to the next, in words.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Node;

/// One difference between two documents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The difference as a sentence.
    pub words: String,
}

/// Every difference, in the order of the paths. Empty when the documents mean the same.
pub fn difference(before: &Node, after: &Node) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", &before.to_json(), &after.to_json(), &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    match (before, after) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: BTreeMap<&String, (Option<&Value>, Option<&Value>)> =
                left.keys().chain(right.keys()).map(|key| (key, (left.get(key), right.get(key)))).collect();
            for (key, (left, right)) in keys {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                one(&inner, left, right, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if !left.is_empty() && !right.is_empty() => {
            for index in 0..left.len().max(right.len()) {
                one(&format!("{path}[{index}]"), left.get(index), right.get(index), found);
            }
        }
        _ if before != after => one_value(path, Some(before), Some(after), found),
        _ => {}
    }
}

fn one(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    match (before, after) {
        (Some(before), Some(after)) => compare(path, before, after, found),
        _ => one_value(path, before, after, found),
    }
}

fn one_value(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    let name = subject(path);
    let words = match (before, after) {
        (None, Some(value)) if value.is_object() || value.is_array() => format!("{name} is new"),
        (None, Some(value)) => format!("{name} is set to {}", plain(value)),
        (Some(value), None) if value.is_object() || value.is_array() => format!("{name} is removed"),
        (Some(value), None) => format!("{name} is no longer set (was {})", plain(value)),
        (Some(before), Some(after)) => format!("{name} changes from {} to {}", plain(before), plain(after)),
        (None, None) => return,
    };
    found.push(Difference { path: path.to_owned(), before: before.cloned(), after: after.cloned(), words });
}

/// `campaigns.everyday.rules[0].award.amount` as people would call it.
fn subject(path: &str) -> String {
    let singular = |section: &str| match section {
        "campaigns" => "campaign",
        "currencies" => "currency",
        "tiers" => "ladder",
        "benefits" => "benefit",
        "vouchers" => "voucher",
        "prices" => "member price",
        "events" => "event type",
        "transfers" => "sending",
        "velocity" => "velocity rule",
        _ => "",
    };
    let mut parts = path.splitn(3, '.');
    let (section, name, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    match (singular(section), name, rest) {
        ("", ..) | (_, None, _) => format!("`{path}`"),
        (kind, Some(name), None) => format!("{kind} `{name}`"),
        (kind, Some(name), Some(rest)) => format!("{kind} `{name}`: `{rest}`"),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::node::read;

    #[test]
    fn differences_are_said_in_words() {
        let before = read(
            "campaigns: { daily: { rules: [ { award: { amount: event.net / 10 } } ] }, old: { rules: [] } }\nname: A",
        )
        .unwrap();
        let after = read(
            "campaigns: { daily: { rules: [ { award: { amount: event.net / 5 } } ] }, new: { rules: [] } }\nname: A",
        )
        .unwrap();
        let words: Vec<String> = difference(&before, &after).into_iter().map(|difference| difference.words).collect();
        assert_eq!(
            words,
            [
                "campaign `daily`: `rules[0].award.amount` changes from `event.net / 10` to `event.net / 5`",
                "campaign `new` is new",
                "campaign `old` is removed",
            ]
        );
        assert!(difference(&after, &after).is_empty());
    }
}
