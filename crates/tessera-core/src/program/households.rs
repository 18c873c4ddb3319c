//! Households (P5): people who save together, what of their points goes into the common pool, and who spends it.

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::definition::{Definition, Expires};
use super::scalar::Id;
use super::validate::Checker;
use crate::quantity::Points;
use crate::time::{Period, Window};

/// How members form households, and what they save and spend together.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HouseholdsDefinition {
    /// The most people of one household, its head among them: 2 to 20.
    pub size: u32,
    pub invites: Inviters,
    /// How long an invitation can be accepted.
    pub invitation: Period,
    /// How long after leaving one household a member may be in no other.
    pub cooling_off: Period,
    /// Whose share of an offer's holdout a member is in: their own, or that of their household (C9).
    pub holdout: HoldoutPerson,
    /// The common pool, by currency; what is not listed stays with each member.
    pub pools: BTreeMap<Id, PoolDefinition>,
}

impl Default for HouseholdsDefinition {
    fn default() -> Self {
        Self {
            size: 6,
            invites: Inviters::Head,
            invitation: Period::days(7),
            cooling_off: Period::ZERO,
            holdout: HoldoutPerson::Member,
            pools: BTreeMap::new(),
        }
    }
}

/// Who may invite others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Inviters {
    #[default]
    Head,
    Anyone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldoutPerson {
    #[default]
    Member,
    Household,
}

/// One currency of a household's pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolDefinition {
    /// What of each member's earnings goes into the pool at once.
    pub contribute: Contributed,
    /// Whether members may put more of their points in by hand.
    pub by_hand: bool,
    /// Who may spend from the pool.
    pub spend: Spenders,
    /// How many units each may spend of it, by window. What comes back does not count.
    pub per_member: BTreeMap<Window, i64>,
}

/// Who may spend from a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spenders {
    #[default]
    Anyone,
    Head,
    /// Everybody what they have put in themselves.
    OwnPart,
}

/// A part of what is earned: `all`, `none`, or a share such as `0.5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contributed(Decimal);

impl Contributed {
    /// Of so many points, rounded down.
    pub fn of(self, earned: Points) -> Points {
        let exact = Decimal::from(earned.get()).checked_mul(self.0).unwrap_or_default();
        Points::clamped(i128::try_from(exact.floor()).unwrap_or_default())
    }

    pub fn is_none(self) -> bool {
        self.0.is_zero()
    }
}

impl<'de> Deserialize<'de> for Contributed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Contributed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("all, none, or a share from 0 to 1")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Contributed, E> {
                let share = match text {
                    "all" => Some(Decimal::ONE),
                    "none" => Some(Decimal::ZERO),
                    number => Decimal::from_str_exact(number).ok(),
                };
                let share = share.filter(|share| (Decimal::ZERO..=Decimal::ONE).contains(share));
                let wrong = || E::custom(format!("all, none, or a share from 0 to 1 is expected here, not `{text}`"));
                share.map(Contributed).ok_or_else(wrong)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Contributed, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Contributed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Contributed".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["all", "none"] }, { "type": "number", "minimum": 0, "maximum": 1 }] })
    }
}

/// The most people that a document may let into one household: a pool knows each one's part of each lot.
const SIZE_MAX: u32 = 20;

impl Checker<'_> {
    /// Checks the section about households.
    pub(super) fn households(&mut self, definition: &Definition) {
        let Some(households) = &definition.households else { return };
        if !(2..=SIZE_MAX).contains(&households.size) {
            let message = format!("a household has 2 to {SIZE_MAX} people, not {}", households.size);
            self.error(&["households", "size"], message);
        }
        if households.invitation.is_zero() {
            self.error(&["households", "invitation"], "nobody could accept an invitation".to_owned());
        }
        for (currency, pool) in &households.pools {
            let at = |key: &'static str| ["households", "pools", currency.as_str(), key];
            let currencies = definition.currencies.keys().map(Id::as_str);
            self.known(&["households", "pools", currency.as_str()], "currency", currency.as_str(), currencies);
            if pool.contribute.is_none() && !pool.by_hand {
                let message = "nothing would ever be in this pool".to_owned();
                self.suggest(&at("contribute"), message, "set `contribute`, or `by_hand: true`");
            }
            for most in pool.per_member.values().filter(|most| **most < 1) {
                let message = format!("{most} leaves nothing: a number above 0 is expected");
                self.error(&at("per_member"), message);
            }
        }
    }

    /// Points in a pool keep the date they had when they were put in, whoever is active afterwards.
    pub(super) fn pools_of_idle_points(&mut self, definition: &Definition) {
        for currency in definition.households.iter().flat_map(|households| households.pools.keys()) {
            let settings = definition.currencies.get(currency);
            if settings.is_some_and(|settings| matches!(settings.expires, Expires::Inactivity { .. })) {
                self.warning(
                    &["households", "pools", currency.as_str()],
                    format!("{currency} dies of inactivity, and in a pool it keeps the date it had when it went in"),
                    "let it live for a time from its earning, as `{ after: P12M }`",
                );
            }
        }
    }
}
