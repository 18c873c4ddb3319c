//! The catalogue: what points can be spent on, at which price, for whom and how many.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::scalar::{Exact, Formula, Id, Texts};
use super::validate::Checker;
use crate::expression::{Expected, Expression, RootTypes};
use crate::time::{Day, Window};

/// Something that points can be spent on.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardDefinition {
    #[serde(default)]
    pub name: Texts,
    /// The price, in one currency: `{ bean: 800 }`.
    pub costs: BTreeMap<Id, i64>,
    /// Other prices by ladder and level, of which the lowest holds: `{ cup: { copper: 600 } }`.
    #[serde(default)]
    pub costs_by_tier: BTreeMap<Id, BTreeMap<Id, i64>>,
    pub gives: RewardGives,
    /// How many there are in all; left out, as many as are wanted.
    #[serde(default)]
    pub stock: Option<i64>,
    /// How many a member may have, by window.
    #[serde(default)]
    pub per_member: BTreeMap<Window, i64>,
    /// The first program day.
    #[serde(default)]
    pub from: Option<Day>,
    /// The last program day, inclusive.
    #[serde(default)]
    pub until: Option<Day>,
    /// The condition on the member.
    #[serde(default)]
    pub when: Option<Formula>,
}

/// What is handed over, shown to the counter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardGives {
    /// A SKU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub donation: Option<Donation>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Donation {
    pub cause: String,
    /// In the program's currency.
    pub money: Exact,
}

/// A reward, ready to be asked for.
#[derive(Debug)]
pub struct Reward {
    pub definition: RewardDefinition,
    pub currency: Id,
    pub price: i64,
    pub when: Option<Expression>,
}

impl Checker<'_> {
    /// Checks and compiles the catalogue.
    pub(super) fn rewards(&mut self, definition: &Definition) -> BTreeMap<Id, Reward> {
        let mut rewards = BTreeMap::new();
        for (id, reward) in &definition.rewards {
            let price = self.price(definition, id, reward);
            let path = ["rewards", id.as_str(), "when"];
            let types = RootTypes::for_trigger(definition, "reward", false);
            let when = reward.when.as_ref();
            let when = when.and_then(|formula| self.expression(&path, formula, &types, Expected::Truth));
            if let Some((currency, price)) = price {
                rewards.insert(id.clone(), Reward { definition: reward.clone(), currency, price, when });
            }
        }
        rewards
    }

    fn price(&mut self, definition: &Definition, id: &Id, reward: &RewardDefinition) -> Option<(Id, i64)> {
        let at = |key: &'static str| ["rewards", id.as_str(), key];
        let gives = &reward.gives;
        if gives.item.is_none() && gives.donation.is_none() {
            self.error(&at("gives"), "this reward gives nothing: say `item` or `donation`".to_owned());
        }
        let numbers = [("stock", reward.stock)].into_iter().filter_map(|(key, most)| Some((key, most?)));
        for (key, most) in numbers.chain(reward.per_member.values().map(|most| ("per_member", *most))) {
            if most <= 0 {
                self.error(&at(key), format!("{most} leaves nothing: a number above 0 is expected"));
            }
        }
        if matches!((reward.from, reward.until), (Some(from), Some(until)) if from > until) {
            self.error(&at("until"), "it ends before it begins".to_owned());
        }
        for (ladder, prices) in &reward.costs_by_tier {
            let path = ["rewards", id.as_str(), "costs_by_tier", ladder.as_str()];
            let ladders = definition.tiers.keys().map(Id::as_str);
            self.known(&path, "ladder", ladder.as_str(), ladders);
            for (level, price) in prices {
                if let Some(known) = definition.tiers.get(ladder) {
                    let levels = known.levels.iter().map(|level| level.id.as_str());
                    self.known(&path, "level", level.as_str(), levels);
                }
                if *price <= 0 {
                    self.error(&path, format!("{price} is no price: a number above 0 is expected"));
                }
            }
        }
        let mut costs = reward.costs.iter();
        let (Some((currency, price)), None) = (costs.next(), costs.next()) else {
            self.error(&at("costs"), "a reward has a price in one currency, such as { bean: 800 }".to_owned());
            return None;
        };
        let currencies = definition.currencies.keys().map(Id::as_str);
        self.known(&at("costs"), "currency", currency.as_str(), currencies);
        if *price <= 0 {
            self.error(&at("costs"), format!("{price} is no price: a number above 0 is expected"));
        }
        Some((currency.clone(), *price))
    }
}
