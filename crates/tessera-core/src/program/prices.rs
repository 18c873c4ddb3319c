//! Member prices: what lines cost members less, and which vouchers go beside them (C3).

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;

use super::campaigns::Schedule;
use super::definition::Definition;
use super::rewards::Early;
use super::scalar::{Exact, Formula, Id, Texts};
use super::validate::Checker;
use super::vouchers::{ItemChoice, Stacks};
use crate::expression::{Expected, Expression, RootTypes};
use crate::quantity::{Amount, Rounding};

/// A price that only members have: one of `price`, `amount_off` and `percent_off`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceDefinition {
    #[serde(default)]
    pub name: Texts,
    /// The terms in words, for members.
    #[serde(default)]
    pub text: Texts,
    /// The lines it is about; left out: all but those that sell gift cards.
    #[serde(default)]
    pub items: Option<ItemChoice>,
    /// What one unit costs.
    #[serde(default)]
    pub price: Option<Exact>,
    /// What is taken off each unit.
    #[serde(default)]
    pub amount_off: Option<Exact>,
    #[serde(default)]
    pub percent_off: Option<Exact>,
    /// How what is taken off becomes an amount of the program's currency (M2).
    #[serde(default)]
    pub rounding: Rounding,
    /// The condition on the member.
    #[serde(default)]
    pub when: Option<Formula>,
    /// Only orders of these channels; left out, of all.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Only orders of these locations; left out, of all.
    #[serde(default)]
    pub locations: Vec<String>,
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// Who has it before the first day of its schedule.
    #[serde(default)]
    pub early: Option<Early>,
    /// Which vouchers may take something off the same lines (C3).
    #[serde(default = "with_none")]
    pub stacks: Stacks,
}

fn with_none() -> Stacks {
    Stacks::Never
}

/// A member price, ready to be asked for.
#[derive(Debug)]
pub struct Price {
    pub definition: PriceDefinition,
    pub when: Option<Expression>,
}

impl Checker<'_> {
    /// Checks and compiles the member prices.
    pub(super) fn prices(&mut self, definition: &Definition) -> BTreeMap<Id, Price> {
        let mut prices = BTreeMap::new();
        for (id, price) in &definition.prices {
            if self.is_new() {
                self.member_price(definition, id.as_str(), price);
            }
            // No event has an empty name: only the member and the time are there.
            let types = RootTypes::for_trigger(definition, "", false);
            let path = ["prices", id.as_str(), "when"];
            let when = price.when.as_ref();
            let when = when.and_then(|formula| self.expression(&path, formula, &types, Expected::Truth));
            prices.insert(id.clone(), Price { definition: price.clone(), when });
        }
        prices
    }

    fn member_price(&mut self, definition: &Definition, id: &str, price: &PriceDefinition) {
        let at = |key: &'static str| ["prices", id, key];
        let kinds = [("price", price.price), ("amount_off", price.amount_off), ("percent_off", price.percent_off)];
        if kinds.iter().filter(|(_, said)| said.is_some()).count() != 1 {
            let message = "one of `price`, `amount_off` and `percent_off` is expected".to_owned();
            self.error(&["prices", id], message);
        }
        for (key, amount) in kinds.into_iter().filter_map(|(key, amount)| Some((key, amount?.0))) {
            if amount <= Decimal::ZERO || Amount::try_from(amount).is_err() {
                self.error(&at(key), format!("{amount} is no price: a number above 0 is expected"));
            }
        }
        if price.percent_off.is_some_and(|percent| percent.0 > Decimal::ONE_HUNDRED) {
            self.error(&at("percent_off"), "more than 100 percent cannot be taken off".to_owned());
        }
        if let Some(items) = &price.items {
            if items.is_everything() {
                self.error(&at("items"), "say which lines: `category`, `brand` or `sku`".to_owned());
            }
            if items.up_to.is_some() {
                self.suggest(&at("items"), "`up_to` is for a voucher's `free_item`".to_owned(), "leave it out");
            }
        }
        let schedule = price.schedule.clone().unwrap_or_default();
        if matches!((schedule.from, schedule.until), (Some(from), Some(until)) if from > until) {
            self.error(&at("schedule"), "it ends before it begins".to_owned());
        }
        if let Some(early) = &price.early {
            if schedule.from.is_none() {
                let message = "without `schedule: { from: … }` nobody has to wait".to_owned();
                self.suggest(&at("early"), message, "say from when it is for everybody");
            }
            self.early(definition, &at("early"), early);
        }
    }
}
