//! Vouchers: what a code gives, to whom, where, how often, and with which others (V1, V2, C3, R9).

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::{Definition, GrantAction};
use super::scalar::{Exact, Formula, Id, Texts, word_or_map};
use super::validate::Checker;
use crate::event::Item;
use crate::expression::{Expected, Expression, RootTypes};
use crate::quantity::{Amount, Rounding};
use crate::time::{Day, Period, Window};

/// What a code of this name gives, and when.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoucherDefinition {
    #[serde(default)]
    pub name: Texts,
    /// The terms in words, for members.
    #[serde(default)]
    pub text: Texts,
    pub gives: Gives,
    /// How long it is valid, from the business day of issue, the last day included.
    #[serde(default)]
    pub valid: Option<Period>,
    /// The first program day it can be used on.
    #[serde(default)]
    pub from: Option<Day>,
    /// The last program day, inclusive, however long `valid` is.
    #[serde(default)]
    pub until: Option<Day>,
    /// What the order must be worth before discounts.
    #[serde(default)]
    pub min_spend: Option<Exact>,
    /// The condition on the order and the member.
    #[serde(default)]
    pub when: Option<Formula>,
    /// The condition on the member.
    #[serde(default)]
    pub audience: Option<Formula>,
    /// Only orders of these channels; left out, of all.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Only orders of these locations; left out, of all.
    #[serde(default)]
    pub locations: Vec<String>,
    #[serde(default)]
    pub uses: Uses,
    /// Which other vouchers it goes together with on one order (C3).
    #[serde(default)]
    pub stacks: Stacks,
    /// Of what a percentage is taken where another voucher came first (C3).
    #[serde(default)]
    pub percent_of: PercentOf,
    /// Of several on one order, higher comes first; then by name.
    #[serde(default)]
    pub priority: i32,
    /// How a discount becomes an amount of the program's currency (M2).
    #[serde(default)]
    pub rounding: Rounding,
    /// What becomes of it when the whole order comes back (R9).
    #[serde(default)]
    pub on_return: OnVoucherReturn,
    /// What becomes of it when what it was given for comes back: the redemption is cancelled, or a return takes a step
    /// of a challenge or a milestone back.
    #[serde(default)]
    pub on_undo: OnUndo,
    /// Whether whoever has the code may use it, in place of the member it was issued to.
    #[serde(default)]
    pub transferable: bool,
}

/// Whether a voucher outlives what it was given for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUndo {
    /// It stays good.
    #[default]
    Keep,
    /// It is void, unless it was used; a redemption whose voucher was used is not cancelled.
    Void,
}

/// What a voucher gives: something off an order, or points, a benefit or a prize for whoever claims it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gives {
    pub amount_off: Option<Exact>,
    pub percent_off: Option<Exact>,
    /// The most that `percent_off` or `free_shipping` takes.
    pub up_to: Option<Exact>,
    /// One unit of the dearest line of its kind.
    pub free_item: Option<ItemChoice>,
    pub free_shipping: Option<bool>,
    /// The lines it is about; left out: the order.
    pub items: Option<ItemChoice>,
    /// Points for a claim, in units, by currency.
    pub points: BTreeMap<Id, i64>,
    /// A benefit for a claim.
    pub grant: Option<GrantAction>,
    /// What a claim wins, in words.
    pub prize: Texts,
}

/// Which lines are meant: those that meet all that is said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ItemChoice {
    pub category: Option<String>,
    pub brand: Option<String>,
    pub sku: Vec<String>,
    /// The most that one unit costs (of `free_item`).
    pub up_to: Option<Exact>,
}

/// How often a voucher may be used.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Uses {
    /// Of one code.
    pub per_code: i64,
    /// By one member, whatever the codes, by window.
    pub per_member: BTreeMap<Window, i64>,
}

impl Default for Uses {
    fn default() -> Self {
        Self { per_code: 1, per_member: BTreeMap::new() }
    }
}

/// C3: with which other vouchers one goes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stacks {
    /// With none of the same group; those that say no group are one.
    Exclusive {
        group: Option<Id>,
    },
    Always,
    /// With no other at all.
    Never,
}

impl Default for Stacks {
    fn default() -> Self {
        Self::Exclusive { group: None }
    }
}

impl Stacks {
    /// Whether two go together on one order.
    pub fn goes_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => false,
            (Self::Exclusive { group }, Self::Exclusive { group: other }) => group != other,
            _ => true,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StacksMap {
    exclusive: Id,
}

word_or_map!(
    Stacks,
    "exclusive, always, never or { exclusive: <group> }",
    |word| {
        match word {
            "exclusive" => Some(Stacks::default()),
            "always" => Some(Stacks::Always),
            "never" => Some(Stacks::Never),
            _ => None,
        }
    },
    StacksMap,
    |read| Ok::<_, String>(Stacks::Exclusive { group: Some(read.exclusive) })
);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PercentOf {
    /// Of what earlier vouchers left.
    #[default]
    Remaining,
    Original,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnVoucherReturn {
    /// It stays used.
    #[default]
    Keep,
    /// It can be used again, if it has not expired.
    Rearm,
}

/// A voucher, ready to be asked for.
#[derive(Debug)]
pub struct Voucher {
    pub definition: VoucherDefinition,
    pub when: Option<Expression>,
    pub audience: Option<Expression>,
}

impl VoucherDefinition {
    /// Whether a member claims it, in place of having something taken off an order.
    pub fn is_claimed(&self) -> bool {
        let gives = &self.gives;
        !gives.points.is_empty() || gives.grant.is_some() || !gives.prize.is_empty()
    }

    /// Whether it can only be judged by what is bought.
    pub fn is_about_the_order(&self) -> bool {
        self.min_spend.is_some() || self.when.is_some() || !self.channels.is_empty() || !self.locations.is_empty()
    }
}

impl Gives {
    pub fn frees_shipping(&self) -> bool {
        self.free_shipping == Some(true)
    }

    /// The lines it is about, if not the whole order.
    pub fn choice(&self) -> Option<&ItemChoice> {
        self.free_item.as_ref().or(self.items.as_ref())
    }
}

impl ItemChoice {
    /// Whether a line is meant.
    pub fn means(&self, item: &Item) -> bool {
        let is = |wanted: &Option<String>, found: &Option<compact_str::CompactString>| {
            wanted.as_ref().is_none_or(|wanted| found.as_deref() == Some(wanted.as_str()))
        };
        let is_sku = self.sku.is_empty() || self.sku.iter().any(|sku| item.sku.as_deref() == Some(sku.as_str()));
        is(&self.category, &item.category) && is(&self.brand, &item.brand) && is_sku
    }

    pub(super) fn is_everything(&self) -> bool {
        self.category.is_none() && self.brand.is_none() && self.sku.is_empty()
    }
}

/// A code that may be used more often is a shared one, whose total is said with it.
const PER_CODE_MAX: i64 = 1_000_000;

impl Checker<'_> {
    /// Checks and compiles the vouchers.
    pub(super) fn vouchers(&mut self, definition: &Definition) -> BTreeMap<Id, Voucher> {
        let mut vouchers = BTreeMap::new();
        for (id, voucher) in &definition.vouchers {
            if self.is_new() {
                self.voucher(definition, id.as_str(), voucher);
            }
            let mut compiled = |key: &str, trigger: &str, formula: &Option<Formula>| {
                let types = RootTypes::for_trigger(definition, trigger, false);
                let path = ["vouchers", id.as_str(), key];
                formula.as_ref().and_then(|formula| self.expression(&path, formula, &types, Expected::Truth))
            };
            let when = compiled("when", "purchase", &voucher.when);
            // No event has an empty name: only the member and the time are there.
            let audience = compiled("audience", "", &voucher.audience);
            vouchers.insert(id.clone(), Voucher { definition: voucher.clone(), when, audience });
        }
        vouchers
    }

    fn voucher(&mut self, definition: &Definition, id: &str, voucher: &VoucherDefinition) {
        let at = |key: &'static str| ["vouchers", id, key];
        if matches!((voucher.from, voucher.until), (Some(from), Some(until)) if from > until) {
            self.error(&at("until"), "it ends before it begins".to_owned());
        }
        if voucher.min_spend.is_some_and(|least| least.0 <= Decimal::ZERO || Amount::try_from(least.0).is_err()) {
            self.error(&at("min_spend"), "an amount above 0 is expected".to_owned());
        }
        let uses = &voucher.uses;
        if !(1..=PER_CODE_MAX).contains(&uses.per_code) {
            self.error(&at("uses"), format!("`per_code` is 1 to {PER_CODE_MAX}"));
        }
        for (window, most) in &uses.per_member {
            if *most <= 0 {
                let message = format!("{most} a {} leaves nothing: a number above 0 is expected", window.name());
                self.error(&at("uses"), message);
            }
        }
        self.voucher_gives(definition, id, voucher);
        if voucher.is_claimed() {
            let about_orders = [
                ("min_spend", voucher.min_spend.is_some()),
                ("when", voucher.when.is_some()),
                ("channels", !voucher.channels.is_empty()),
                ("locations", !voucher.locations.is_empty()),
                ("stacks", self.has(&at("stacks"))),
                ("percent_of", self.has(&at("percent_of"))),
                ("priority", self.has(&at("priority"))),
                ("on_return", self.has(&at("on_return"))),
                ("rounding", self.has(&at("rounding"))),
            ];
            for (key, _) in about_orders.into_iter().filter(|(_, said)| *said) {
                let message = format!("what is claimed is used on no order: `{key}` would do nothing");
                self.suggest(&at(key), message, "leave it out, or use `audience`");
            }
        } else if voucher.gives.percent_off.is_none() && self.has(&at("percent_of")) {
            self.suggest(&at("percent_of"), "there is no `percent_off`".to_owned(), "leave it out");
        }
    }

    fn voucher_gives(&mut self, definition: &Definition, id: &str, voucher: &VoucherDefinition) {
        let gives = &voucher.gives;
        let at = |key: &'static str| ["vouchers", id, "gives", key];
        let path = ["vouchers", id, "gives"];
        let off = [gives.amount_off.is_some(), gives.percent_off.is_some(), gives.free_item.is_some()];
        let kinds = off.into_iter().filter(|said| *said).count();
        let discount = kinds > 0 || gives.frees_shipping();
        if kinds > 1 {
            self.error(&path, "one of `amount_off`, `percent_off` and `free_item` is expected".to_owned());
        }
        if !discount && !voucher.is_claimed() {
            let message = "this voucher gives nothing".to_owned();
            self.suggest(
                &path,
                message,
                "say `amount_off`, `percent_off`, `free_item`, `free_shipping`, `points`, `grant` or `prize`",
            );
        }
        if discount && voucher.is_claimed() {
            let message =
                "either something is taken off an order, or `points`, `grant` and `prize` are claimed without one";
            self.error(&path, message.to_owned());
        }
        let amounts = [("amount_off", gives.amount_off), ("up_to", gives.up_to), ("percent_off", gives.percent_off)];
        for (key, amount) in amounts.into_iter().filter_map(|(key, amount)| Some((key, amount?.0))) {
            if amount <= Decimal::ZERO || Amount::try_from(amount).is_err() {
                self.error(&at(key), format!("{amount} is nothing to give: a number above 0 is expected"));
            }
        }
        if gives.percent_off.is_some_and(|percent| percent.0 > Decimal::ONE_HUNDRED) {
            self.error(&at("percent_off"), "more than 100 percent cannot be taken off".to_owned());
        }
        if gives.up_to.is_some() && gives.percent_off.is_none() && !gives.frees_shipping() {
            self.suggest(&at("up_to"), "only a percentage or the shipping has a most here".to_owned(), "leave it out");
        }
        if gives.items.is_some() && gives.amount_off.is_none() && gives.percent_off.is_none() {
            self.suggest(&at("items"), "nothing is taken off lines".to_owned(), "leave it out");
        }
        for (key, choice) in [("items", &gives.items), ("free_item", &gives.free_item)] {
            let Some(choice) = choice else { continue };
            if choice.is_everything() {
                self.error(&at(key), "say which lines: `category`, `brand` or `sku`".to_owned());
            }
            if key == "items" && choice.up_to.is_some() {
                self.suggest(&at(key), "`up_to` is for `free_item`".to_owned(), "put `up_to` beside `percent_off`");
            }
        }
        for (currency, points) in &gives.points {
            let path = ["vouchers", id, "gives", "points", currency.as_str()];
            let known = definition.currencies.keys().map(Id::as_str);
            self.known(&path, "currency", currency.as_str(), known);
            if *points <= 0 {
                self.error(&path, format!("{points} is nothing to give: a number above 0 is expected"));
            }
        }
        if let Some(grant) = &gives.grant {
            let known = definition.benefits.keys().map(Id::as_str);
            self.known(&at("grant"), "benefit", grant.benefit.as_str(), known);
        }
    }
}
