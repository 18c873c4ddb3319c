//! The section `campaigns`: what is given for what, when, to whom, and how much at the most.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::Base;
use super::scalar::{Exact, Formula, Id, Share, Texts, word_or_map};
use crate::quantity::Rounding;
use crate::time::{Day, Period, TimeOfDay, Weekday, Window};

/// Campaigns of a document: each may look at every event.
pub const CAMPAIGNS_MAX: usize = 1_000;

/// What is given for what, when and to whom.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignDefinition {
    #[serde(default)]
    pub name: Texts,
    /// An event type; or `birthday`, `balance` (an award moved a balance), `tier` (a level was entered), `challenge` (a
    /// step was done), `streak` (a milestone was reached).
    pub trigger: Id,
    /// Base earning has the tier's rate and counts to tiers. Left out: a purchase campaign without schedule,
    /// audience, budget and holdout is base, every other is a bonus.
    #[serde(default)]
    pub earning: Option<Earning>,
    #[serde(default = "yes")]
    pub active: bool,
    #[serde(default)]
    pub schedule: Option<Schedule>,
    #[serde(default)]
    pub audience: Option<Formula>,
    /// The share of members who do not get it, to measure what it brings (C9).
    #[serde(default)]
    pub holdout: Option<Share>,
    /// The most that the campaign may give in all, by currency (C5).
    #[serde(default)]
    pub budget: BTreeMap<Id, i64>,
    #[serde(default)]
    pub limit: Option<Limit>,
    /// Who pays, by share; what is left is the program's.
    #[serde(default)]
    pub funded_by: BTreeMap<Id, Share>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// For `birthday`: how many days ahead.
    #[serde(default)]
    pub days_before: i32,
    pub rules: Vec<RuleDefinition>,
}

impl CampaignDefinition {
    /// One without rules, with every setting as it is when left out.
    pub(super) fn on(trigger: Id) -> Self {
        Self {
            name: Texts::default(),
            trigger,
            earning: None,
            active: true,
            schedule: None,
            audience: None,
            holdout: None,
            budget: BTreeMap::new(),
            limit: None,
            funded_by: BTreeMap::new(),
            priority: 0,
            days_before: 0,
            rules: Vec::new(),
        }
    }
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Earning {
    Base,
    Bonus,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The first program day.
    pub from: Option<Day>,
    /// The last program day, inclusive.
    pub until: Option<Day>,
    pub weekdays: Vec<Weekday>,
    /// From and until, by the wall clock; until is exclusive and may be past midnight.
    pub hours: Option<(TimeOfDay, TimeOfDay)>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleDefinition {
    /// `event.items`: the rule runs for every line; `item` is the line.
    #[serde(default)]
    pub each: Option<Formula>,
    #[serde(default)]
    pub when: Option<Formula>,
    #[serde(default)]
    pub award: Option<AwardDefinition>,
    #[serde(default)]
    pub extra: Option<ExtraDefinition>,
    #[serde(default)]
    pub spend: Option<SpendAction>,
    #[serde(default)]
    pub issue: Option<IssueAction>,
    #[serde(default)]
    pub grant: Option<GrantAction>,
    /// A badge of the document.
    #[serde(default)]
    pub badge: Option<Id>,
    /// The share of times that the rule applies, drawn each time.
    #[serde(default)]
    pub chance: Option<Share>,
    #[serde(default)]
    pub limit: Option<Limit>,
}

/// Points for something.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwardDefinition {
    pub currency: Id,
    pub amount: Formula,
    #[serde(default)]
    pub rounding: Rounding,
    /// Whether the order or each line is rounded (M7).
    #[serde(default)]
    pub per: RoundPer,
    /// What becomes of the fraction that rounding cuts off (M2).
    #[serde(default)]
    pub fraction: Fraction,
    #[serde(default)]
    pub base: Option<Base>,
}

impl AwardDefinition {
    pub(super) fn of(currency: &Id, amount: &str) -> Self {
        Self {
            currency: currency.clone(),
            amount: Formula(amount.to_owned()),
            rounding: Rounding::default(),
            per: RoundPer::default(),
            fraction: Fraction::default(),
            base: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoundPer {
    #[default]
    Order,
    Line,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fraction {
    #[default]
    Drop,
    Carry,
}

/// Base points once more: `times: 2` adds as much again (C7).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraDefinition {
    pub currency: Id,
    pub times: Exact,
    /// The campaign whose base points are meant; left out: all base points of the currency.
    #[serde(default)]
    pub of: Option<Id>,
    #[serde(default)]
    pub rounding: Rounding,
}

/// Takes points for what the same rule gives: a full stamp card.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendAction {
    pub currency: Id,
    pub amount: i64,
    /// Takes what is there beyond the amount too: a card whose surplus is lost.
    #[serde(skip)]
    pub everything: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueAction {
    pub voucher: Id,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantAction {
    pub benefit: Id,
    /// How long, from the business day, the last day included.
    #[serde(rename = "for")]
    pub period: Period,
}

/// How much, or how often, at the most (C1, C2).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    pub per_event: Option<Cap>,
    pub per_member: BTreeMap<Window, Cap>,
    /// Over all members.
    pub program: BTreeMap<Window, Cap>,
    /// Whether a return gives the room back (C2).
    #[serde(rename = "returns_give_back")]
    pub returns_give_back: Option<bool>,
}

/// A bare number counts times where the amount is fixed (`amount: 50`, `issue`, `grant`) and points where it is worked
/// out (a formula, an extra); `{ times: 4 }` and `{ points: 200 }` say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    Plain(i64),
    Times(i64),
    Points(i64),
}

impl Cap {
    pub const fn number(self) -> i64 {
        match self {
            Self::Plain(number) | Self::Times(number) | Self::Points(number) => number,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CapMap {
    times: Option<i64>,
    points: Option<i64>,
}

word_or_map!(
    Cap,
    "a whole number, { times: 4 } or { points: 200 }",
    |word| word.parse().ok().map(Cap::Plain),
    CapMap,
    |read| {
        match (read.times, read.points) {
            (Some(times), None) => Ok(Cap::Times(times)),
            (None, Some(points)) => Ok(Cap::Points(points)),
            _ => Err("exactly one of `times` and `points` is expected"),
        }
    }
);

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramLimits {
    /// By currency, then window.
    pub per_member: BTreeMap<Id, BTreeMap<Window, i64>>,
    pub program: BTreeMap<Id, BTreeMap<Window, i64>>,
    /// The most one event may give, by currency.
    pub per_event: BTreeMap<Id, i64>,
}
