//! The section `tiers`: ladders of levels, what they measure and how long a level holds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::scalar::{Exact, Id, Texts, word_or_map};
use crate::time::Period;

/// A ladder of levels.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LadderDefinition {
    /// What is measured, for levels whose `at` is one number.
    #[serde(default)]
    pub measure: Option<Measure>,
    /// Several measures by name, for levels whose `at` has several conditions (T7).
    #[serde(default)]
    pub measures: BTreeMap<Id, Measure>,
    #[serde(default)]
    pub window: TierWindow,
    #[serde(default)]
    pub holds_to: HoldsTo,
    #[serde(default)]
    pub down: Down,
    /// Which rate an order earns at that itself crosses a threshold (T5).
    #[serde(default)]
    pub crossing: Crossing,
    /// When a return that undoes a crossing takes the level away (T6).
    #[serde(default)]
    pub return_undoes: ReturnUndoes,
    pub levels: Vec<LevelDefinition>,
}

/// What a ladder measures (T1): points earned, money spent, or events counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    Earned { earned: Id, counts: Counts },
    Spend,
    Events { events: Id },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Bonus points do not buy tiers.
    #[default]
    Base,
    All,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MeasureMap {
    earned: Option<Id>,
    #[serde(default)]
    counts: Counts,
    events: Option<Id>,
}

word_or_map!(
    Measure,
    "`spend`, { earned: <currency> } or { events: <type> }",
    |word| { (word == "spend").then_some(Measure::Spend) },
    MeasureMap,
    |read| {
        match (read.earned, read.events) {
            (Some(earned), None) => Ok(Measure::Earned { earned, counts: read.counts }),
            (None, Some(events)) => Ok(Measure::Events { events }),
            _ => Err("exactly one of `earned` and `events` is expected"),
        }
    }
);

/// The stretch of time a measure is counted in (T2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierWindow {
    #[default]
    CalendarYear,
    /// Years that begin on the day of joining.
    Anniversary,
    Rolling {
        rolling: Period,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TierWindowMap {
    rolling: Period,
}

word_or_map!(
    TierWindow,
    "calendar_year, anniversary or { rolling: P12M }",
    |word| {
        match word {
            "calendar_year" => Some(TierWindow::CalendarYear),
            "anniversary" => Some(TierWindow::Anniversary),
            _ => None,
        }
    },
    TierWindowMap,
    |read| Ok::<_, String>(TierWindow::Rolling { rolling: read.rolling })
);

/// To the end of which period a level holds (T3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldsTo {
    #[default]
    Next,
    Current,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Down {
    pub to: DownTo,
    /// How much longer a level is kept after its end.
    pub grace: Period,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DownTo {
    #[default]
    OneDown,
    ToEarned,
    ToBase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Crossing {
    /// The rate of the level before the order.
    #[default]
    Before,
    /// Each part of the order at its own rate.
    Marginal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnUndoes {
    #[default]
    AtOnce,
    AtReview,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelDefinition {
    pub id: Id,
    /// What it takes to reach it; left out of a level that is `by_invitation`.
    #[serde(default)]
    pub at: Threshold,
    /// Nothing that is measured reaches it: somebody is asked in.
    #[serde(default)]
    pub by_invitation: bool,
    #[serde(default)]
    pub name: Texts,
    /// Base earning is multiplied by this, by currency.
    #[serde(default)]
    pub rate: BTreeMap<Id, Exact>,
    #[serde(default)]
    pub benefits: Vec<Id>,
}

/// What it takes to reach a level: a number, or conditions over several measures (T7). Without conditions it is never
/// reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// How many of the conditions must hold.
    pub needed: usize,
    /// By measure; under the empty name for the ladder's one `measure`.
    pub of: Vec<(Id, Exact)>,
}

impl Default for Threshold {
    fn default() -> Self {
        Self { needed: 1, of: Vec::new() }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ThresholdMap {
    all: Option<BTreeMap<Id, Exact>>,
    any: Option<BTreeMap<Id, Exact>>,
    at_least: Option<usize>,
    of: Option<BTreeMap<Id, Exact>>,
}

word_or_map!(
    Threshold,
    "a number, { all: … }, { any: … } or { at_least: 2, of: … }",
    |word| {
        let number = rust_decimal::Decimal::from_str_exact(word).ok();
        number.map(|number| Threshold { needed: 1, of: vec![(Id::default(), Exact(number))] })
    },
    ThresholdMap,
    |read| {
        let (needed, conditions) = match (read.all, read.any, read.at_least, read.of) {
            (Some(all), None, None, None) => (all.len(), all),
            (None, Some(any), None, None) => (1, any),
            (None, None, Some(needed), Some(of)) => (needed, of),
            _ => {
                return Err(serde::de::Error::custom(
                    "exactly one of `all`, `any`, or `at_least` with `of` is expected",
                ));
            }
        };
        if needed == 0 || needed > conditions.len() {
            Err(format!("{needed} of {} conditions can never be judged", conditions.len()))
        } else {
            Ok(Threshold { needed, of: conditions.into_iter().collect() })
        }
    }
);
