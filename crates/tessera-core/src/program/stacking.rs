//! The section `stacking`: which campaigns go together.

use schemars::JsonSchema;
use serde::Deserialize;

use super::scalar::{Exact, Id};

/// Which campaigns go together (C3), and how several extras add up (C7).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stacking {
    pub order: Vec<StackingGroup>,
    pub extras: Extras,
    /// The most that several extras may multiply to, for `product`.
    pub extras_max: Option<Exact>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extras {
    #[default]
    Add,
    Highest,
    Product,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StackingGroup {
    /// Only one of these gives.
    pub exclusive: Vec<Id>,
    /// None of these goes together with any other bonus campaign.
    pub never: Vec<Id>,
    /// These go together with everything, even inside an exclusive group.
    pub always: Vec<Id>,
    pub choose: Choose,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// What is worth most to the member; then priority, then name.
    #[default]
    Best,
    /// The first by priority, then name.
    First,
}
