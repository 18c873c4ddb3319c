//! Who a member is: which proof a change of names needs, and what becomes of somebody who leaves.

use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::Definition;
use super::scalar::{Id, word_or_map};
use super::validate::Checker;
use crate::time::Period;

/// When a name may be added, changed or given away (P4).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityDefinition {
    /// Kinds of names that need the right one-time code before they are added.
    pub proof: Vec<Id>,
    /// After so long a silence a number may be somebody else's: no code to it alone is a proof.
    pub reuse_after: Period,
}

impl Default for IdentityDefinition {
    fn default() -> Self {
        Self { proof: vec![Id::constant("phone")], reuse_after: Period::months(12) }
    }
}

/// What becomes of the points of somebody who leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeavingPoints {
    #[default]
    Forfeit,
    /// Spendable points of a currency with a `value` are paid out in money, the rest is forfeited.
    PayOut,
}

/// How a membership ends (P3): `forfeit`, `pay_out`, or settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeavingDefinition {
    pub points: LeavingPoints,
    /// How long a keyed mark of the person is kept, so that nothing given once is given again.
    pub rejoin_memory: Period,
}

impl Default for LeavingDefinition {
    fn default() -> Self {
        Self { points: LeavingPoints::Forfeit, rejoin_memory: Period::months(24) }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LeavingMap {
    #[serde(default)]
    points: LeavingPoints,
    #[serde(default)]
    rejoin_memory: Option<Period>,
}

word_or_map!(
    LeavingDefinition,
    "forfeit, pay_out or their settings",
    |word| {
        let points = match word {
            "forfeit" => Some(LeavingPoints::Forfeit),
            "pay_out" => Some(LeavingPoints::PayOut),
            _ => None,
        };
        points.map(|points| LeavingDefinition { points, ..LeavingDefinition::default() })
    },
    LeavingMap,
    |read| {
        let usual = LeavingDefinition::default();
        let rejoin_memory = read.rejoin_memory.unwrap_or(usual.rejoin_memory);
        Ok::<_, String>(LeavingDefinition { points: read.points, rejoin_memory })
    }
);

impl Checker<'_> {
    /// Warns of settings that protect nobody.
    pub(super) fn people(&mut self, definition: &Definition) {
        let leaving = &definition.leaving;
        if leaving.points == LeavingPoints::PayOut && definition.currencies.values().all(|known| known.value.is_none())
        {
            self.warning(
                &["leaving"],
                "nothing is paid out: no currency has a `value`".to_owned(),
                "give a currency its `value` in money, or let points be forfeited",
            );
        }
        if definition.identity.reuse_after.is_zero() {
            self.error(
                &["identity", "reuse_after"],
                "a silence of nothing makes every code worthless: a period such as P12M is expected".to_owned(),
            );
        }
    }
}
