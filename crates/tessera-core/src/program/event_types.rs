//! The section `events`: event types of the program's own, and more fields on those that every program has.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::scalar::{Exact, Id, Texts, word_or_map};

/// An event type of the program's own, or more fields for one that every program has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventDefinition {
    #[serde(default)]
    pub name: Texts,
    #[serde(default)]
    pub data: BTreeMap<Id, FieldDefinition>,
    /// More fields on each line of a purchase.
    #[serde(default)]
    pub item: BTreeMap<Id, FieldDefinition>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldDefinition {
    pub kind: FieldKind,
    pub optional: bool,
    pub min: Option<Exact>,
    pub max: Option<Exact>,
    /// The only texts allowed.
    pub one_of: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    Text,
    Integer,
    Number,
    Boolean,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FieldMap {
    #[serde(rename = "type")]
    kind: FieldKind,
    #[serde(default)]
    optional: bool,
    min: Option<Exact>,
    max: Option<Exact>,
    #[serde(default)]
    one_of: Vec<String>,
}

word_or_map!(
    FieldDefinition,
    "text, integer, number, boolean or settings with a type",
    |word| {
        let kind = match word {
            "text" => Some(FieldKind::Text),
            "integer" => Some(FieldKind::Integer),
            "number" => Some(FieldKind::Number),
            "boolean" => Some(FieldKind::Boolean),
            _ => None,
        };
        kind.map(|kind| FieldDefinition { kind, optional: false, min: None, max: None, one_of: Vec::new() })
    },
    FieldMap,
    |read| Ok::<_, String>(FieldDefinition {
        kind: read.kind,
        optional: read.optional,
        min: read.min,
        max: read.max,
        one_of: read.one_of,
    })
);
