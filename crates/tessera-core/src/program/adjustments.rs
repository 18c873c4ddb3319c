//! Changes of balances by hand: why they may be made, how much each role moves, and from where on two people decide
//! (A2).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::Definition;
use super::scalar::{Id, Texts, word_or_map};
use super::validate::Checker;
use crate::time::Period;

/// The rules of manual adjustments. Without them a reason is any text, and no limit holds.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentsDefinition {
    /// Why a balance may be changed by hand.
    pub reasons: BTreeMap<Id, ReasonDefinition>,
    /// How much a role moves by itself, by currency: `{ agent: { point: 200 } }`. Once there are limits, a role that is
    /// not among them moves nothing by itself.
    #[serde(default)]
    pub limits: BTreeMap<Id, BTreeMap<Id, RoleLimit>>,
    /// Above this a second person decides, whatever the role.
    #[serde(default)]
    pub second_approval_above: BTreeMap<Id, i64>,
    /// How long an adjustment waits for its second person.
    #[serde(default = "waits")]
    pub waits: Period,
}

fn waits() -> Period {
    Period::days(7)
}

/// One reason, and what it is good for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReasonDefinition {
    pub name: Texts,
    pub sign: Sign,
    /// The most one adjustment of this reason moves, by currency.
    pub max: BTreeMap<Id, i64>,
}

/// Which way a reason moves points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    #[default]
    Give,
    Take,
    Both,
}

impl Sign {
    pub const fn allows(self, amount: i64) -> bool {
        match self {
            Self::Give => amount >= 0,
            Self::Take => amount <= 0,
            Self::Both => true,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Give => "gives",
            Self::Take => "takes",
            Self::Both => "gives and takes",
        }
    }
}

/// What a role moves by itself: `200` at a time, or `{ each: 200, day: 1000 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleLimit {
    pub each: i64,
    /// The most in one program day, by key and staff.
    pub day: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RoleLimitMap {
    each: i64,
    day: Option<i64>,
}

word_or_map!(
    RoleLimit,
    "a number such as 200, or { each: 200, day: 1000 }",
    |word| word.parse().ok().map(|each| RoleLimit { each, day: None }),
    RoleLimitMap,
    |read| Ok::<_, String>(RoleLimit { each: read.each, day: read.day })
);

impl AdjustmentsDefinition {
    fn limit(&self, role: Option<&Id>, currency: &Id) -> Option<RoleLimit> {
        self.limits.get(role?)?.get(currency).copied()
    }

    /// The most that a role may decide about, alone or as the second person; `None`: as much as it likes.
    pub fn most(&self, role: Option<&Id>, currency: &Id) -> Option<i64> {
        (!self.limits.is_empty()).then(|| self.limit(role, currency).map_or(0, |limit| limit.each))
    }

    /// The most that a role moves without a second person.
    pub fn alone(&self, role: Option<&Id>, currency: &Id) -> Option<i64> {
        let general = self.second_approval_above.get(currency).copied();
        self.most(role, currency).into_iter().chain(general).min()
    }

    /// The most that anybody may approve.
    pub fn highest(&self, currency: &Id) -> Option<i64> {
        let of_roles = self.limits.values().filter_map(|limits| limits.get(currency)).map(|limit| limit.each).max();
        (!self.limits.is_empty()).then(|| of_roles.unwrap_or(0))
    }

    /// The most that a role moves in one program day without a second person.
    pub fn per_day(&self, role: Option<&Id>, currency: &Id) -> Option<i64> {
        self.limit(role, currency).and_then(|limit| limit.day)
    }
}

/// The shortest and the longest an adjustment waits, in days: long enough for a weekend, too short to be forgotten.
const WAITS_DAYS: (i32, i32) = (1, 90);

impl Checker<'_> {
    /// Checks what is said about adjustments.
    pub(super) fn adjustments(&mut self, definition: &Definition) {
        let Some(adjustments) = &definition.adjustments else { return };
        if adjustments.reasons.is_empty() {
            self.error(&["adjustments", "reasons"], "without a reason nothing can be adjusted: name one".to_owned());
        }
        for (id, reason) in &adjustments.reasons {
            for (currency, max) in &reason.max {
                self.sum(
                    definition,
                    &["adjustments", "reasons", id.as_str(), "max", currency.as_str()],
                    currency,
                    *max,
                );
            }
        }
        for (role, limits) in &adjustments.limits {
            for (currency, limit) in limits {
                let path = ["adjustments", "limits", role.as_str(), currency.as_str()];
                self.sum(definition, &path, currency, limit.each);
                if let Some(day) = limit.day.filter(|day| *day < limit.each) {
                    let message =
                        format!("{day} a day is less than {} at a time: the day would end before", limit.each);
                    self.error(&path, message);
                }
            }
        }
        for (currency, above) in &adjustments.second_approval_above {
            let path = ["adjustments", "second_approval_above", currency.as_str()];
            self.sum(definition, &path, currency, *above);
            let highest = adjustments.highest(currency);
            if let Some(highest) = highest.filter(|highest| highest <= above) {
                let message = format!(
                    "nobody may approve more than {highest}, so what is above {above} cannot be adjusted at all"
                );
                self.warning(&path, message, "give a role a higher limit, or set this lower");
            }
        }
        if !(WAITS_DAYS.0..=WAITS_DAYS.1).contains(&adjustments.waits.days_at_most()) {
            let message = format!("an adjustment waits P{}D to P{}D", WAITS_DAYS.0, WAITS_DAYS.1);
            self.error(&["adjustments", "waits"], message);
        }
    }

    fn sum(&mut self, definition: &Definition, path: &[&str], currency: &Id, sum: i64) {
        self.known(path, "currency", currency.as_str(), definition.currencies.keys().map(Id::as_str));
        if sum < 0 {
            self.error(path, "a number of 0 or more is expected".to_owned());
        }
    }
}
