//! What may be done with members themselves.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::time::Period;

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MembersDefinition {
    pub merge: MergeDefinition,
}

/// Making one member of two (P1).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MergeDefinition {
    /// How long it can be undone: to the end of the last day. `P0D`: never.
    pub undo_within: Period,
}

impl Default for MergeDefinition {
    fn default() -> Self {
        Self { undo_within: Period::days(30) }
    }
}
