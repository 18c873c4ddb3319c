//! The catalogue: what points and money can be spent on, at which price, for whom and how many.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::Definition;
use super::gives::RewardGives;
use super::scalar::{Exact, Formula, Id, Texts};
use super::validate::Checker;
use crate::expression::{Expected, Expression, RootTypes};
use crate::quantity::{Amount, Currency};
use crate::time::{Day, Duration, Period, Window};

/// Something that can be had for points, for money, or for both.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardDefinition {
    #[serde(default)]
    pub name: Texts,
    /// What it is, for members.
    #[serde(default)]
    pub text: Texts,
    /// Addresses of pictures, `https://` only, the first one the most telling.
    #[serde(default)]
    pub images: Vec<String>,
    /// The price: points of one currency, `money`, or both: `{ bean: 500, money: 20000 }`.
    pub costs: BTreeMap<Id, Exact>,
    /// Other prices in points by ladder and level, of which the lowest holds: `{ cup: { copper: 600 } }`.
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
    /// Who may have it before `from`.
    #[serde(default)]
    pub early: Option<Early>,
    /// The condition on the member.
    #[serde(default)]
    pub when: Option<Formula>,
    /// What people have to do before the member has it; left out, nothing.
    #[serde(default)]
    pub fulfilment: Option<ByHand>,
    /// Whether members may wait for it once it is sold out.
    #[serde(default)]
    pub waitlist: Option<Waitlist>,
}

/// A reward that people send or hand over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ByHand {
    /// Whether somebody has to approve it first.
    pub approval: bool,
}

/// Who comes first waits first, and is offered what comes free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waitlist {
    /// How long it is set aside for whoever is next.
    #[serde(default = "a_day")]
    pub offer: Duration,
}

fn a_day() -> Duration {
    Duration::days(1)
}

/// The shortest and the longest time it is set aside.
const OFFER: (Duration, Duration) = (Duration::minutes(5), Duration::days(30));

/// A window before the first day, for some.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Early {
    /// How long before `from`.
    pub before: Period,
    /// Members with this benefit, by their level or granted by a rule.
    #[serde(default)]
    pub benefit: Option<Id>,
    /// Members at this level or above, on one ladder: `{ cup: copper }`.
    #[serde(default)]
    pub level: BTreeMap<Id, Id>,
}

/// Codes of somebody else, brought in as a list and given once each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CodePoolDefinition {
    pub name: Texts,
    /// Fewer than so many left are too few: told by metrics, lists and the doctor.
    pub low: Option<i64>,
}

/// What members give to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CauseDefinition {
    pub name: Texts,
    pub text: Texts,
    /// Whether everybody may read its total, without a key.
    pub public: bool,
}

/// A reward, ready to be asked for.
#[derive(Debug)]
pub struct Reward {
    pub definition: RewardDefinition,
    pub currency: Id,
    /// Points; 0 for what costs only money.
    pub price: i64,
    /// What is to be paid in money besides.
    pub money: Option<Amount>,
    pub when: Option<Expression>,
}

/// The word for money in a price.
const MONEY: &str = "money";

/// Pictures of one reward.
const IMAGES_MAX: usize = 10;

/// The longest address of a picture, in bytes: what browsers and mail programs agree on.
const ADDRESS_MAX: usize = 2_000;

impl Checker<'_> {
    /// Checks and compiles the catalogue.
    pub(super) fn rewards(&mut self, definition: &Definition) -> BTreeMap<Id, Reward> {
        for (id, pool) in &definition.code_pools {
            if pool.low.is_some_and(|low| low <= 0) {
                self.error(&["code_pools", id.as_str(), "low"], "a number above 0 is expected".to_owned());
            }
        }
        let mut rewards = BTreeMap::new();
        for (id, reward) in &definition.rewards {
            self.gives(definition, id, &reward.gives);
            self.bounds(definition, id, reward);
            let price = self.price(definition, id, reward);
            let path = ["rewards", id.as_str(), "when"];
            let types = RootTypes::for_trigger(definition, "reward", false);
            let when = reward.when.as_ref();
            let when = when.and_then(|formula| self.expression(&path, formula, &types, Expected::Truth));
            if let Some((currency, price, money)) = price {
                rewards.insert(id.clone(), Reward { definition: reward.clone(), currency, price, money, when });
            }
        }
        rewards
    }

    fn bounds(&mut self, definition: &Definition, id: &Id, reward: &RewardDefinition) {
        let at = |key: &'static str| ["rewards", id.as_str(), key];
        let numbers = [("stock", reward.stock)].into_iter().filter_map(|(key, most)| Some((key, most?)));
        for (key, most) in numbers.chain(reward.per_member.values().map(|most| ("per_member", *most))) {
            if most <= 0 {
                self.error(&at(key), format!("{most} leaves nothing: a number above 0 is expected"));
            }
        }
        if matches!((reward.from, reward.until), (Some(from), Some(until)) if from > until) {
            self.error(&at("until"), "it ends before it begins".to_owned());
        }
        if reward.images.len() > IMAGES_MAX {
            self.error(&at("images"), format!("a reward has at most {IMAGES_MAX} images"));
        }
        for image in &reward.images {
            let has_host =
                image.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
            let is_plain = image.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>'));
            if !has_host || !is_plain || image.len() > ADDRESS_MAX {
                let message = format!("`{image}` is no address of an image, such as https://cdn.example.com/mug.jpg");
                self.error(&at("images"), message);
            }
        }
        if reward.fulfilment.is_some() && !reward.gives.has_hands() {
            let message = "what is given at once needs nobody to send it: this is for `item` and `experience` alone";
            self.error(&at("fulfilment"), message.to_owned());
        }
        if let Some(waitlist) = reward.waitlist {
            if reward.stock.is_none() {
                self.error(&at("waitlist"), "without `stock` nobody has to wait: say how many there are".to_owned());
            }
            if !(OFFER.0..=OFFER.1).contains(&waitlist.offer) {
                let message = format!("it is set aside for {} to {}, not {}", OFFER.0, OFFER.1, waitlist.offer);
                self.error(&["rewards", id.as_str(), "waitlist", "offer"], message);
            }
        }
        if reward.gives.experience.is_some() && reward.stock.is_none() {
            self.error(&at("stock"), "an experience has so many seats: say how many as `stock`".to_owned());
        }
        let Some(early) = &reward.early else { return };
        if reward.from.is_none() {
            self.error(&at("early"), "without `from` nobody has to wait: say from when it is for everybody".to_owned());
        }
        self.early(definition, &at("early"), early);
    }

    /// Who comes first.
    pub(super) fn early(&mut self, definition: &Definition, path: &[&str; 3], early: &Early) {
        let [section, id, key] = *path;
        if early.benefit.is_none() == early.level.is_empty() || early.level.len() > 1 {
            self.error(path, "say for whom: `benefit`, or `level` on one ladder".to_owned());
        }
        if let Some(benefit) = &early.benefit {
            let known = definition.benefits.keys().map(Id::as_str);
            self.known(&[section, id, key, "benefit"], "benefit", benefit.as_str(), known);
        }
        for (ladder, level) in &early.level {
            self.level(definition, &[section, id, key, "level"], ladder, level);
        }
    }

    fn level(&mut self, definition: &Definition, path: &[&str], ladder: &Id, level: &Id) {
        self.known(path, "ladder", ladder.as_str(), definition.tiers.keys().map(Id::as_str));
        if let Some(known) = definition.tiers.get(ladder) {
            let levels = known.levels.iter().map(|level| level.id.as_str());
            self.known(path, "level", level.as_str(), levels);
        }
    }

    /// The currency, how much of it, and how much money.
    fn price(
        &mut self,
        definition: &Definition,
        id: &Id,
        reward: &RewardDefinition,
    ) -> Option<(Id, i64, Option<Amount>)> {
        let at = |key: &'static str| ["rewards", id.as_str(), key];
        for (ladder, prices) in &reward.costs_by_tier {
            let path = ["rewards", id.as_str(), "costs_by_tier", ladder.as_str()];
            for (level, price) in prices {
                self.level(definition, &path, ladder, level);
                if *price <= 0 {
                    self.error(&path, format!("{price} is no price: a number above 0 is expected"));
                }
            }
        }
        let money = reward.costs.get(MONEY).map(|money| money.0);
        let amount = money.map(|money| self.money(definition, &at("costs"), money));
        let mut points = reward.costs.iter().filter(|(key, _)| key.as_str() != MONEY);
        let (first, second) = (points.next(), points.next());
        if second.is_some() || reward.costs.is_empty() {
            let message =
                "a reward has a price in one currency, such as { bean: 800 }, in money, or in both".to_owned();
            self.error(&at("costs"), message);
            return None;
        }
        let Some((currency, price)) = first else {
            if !reward.costs_by_tier.is_empty() {
                self.error(
                    &at("costs_by_tier"),
                    "a price in points by level needs one in points for the others".to_owned(),
                );
            }
            // A redemption is of some currency, even where none of it is spent.
            return Some((definition.currencies.keys().next()?.clone(), 0, amount?));
        };
        let currencies = definition.currencies.keys().map(Id::as_str);
        self.known(&at("costs"), "currency", currency.as_str(), currencies);
        let units = price.0.is_integer().then(|| i64::try_from(price.0).ok()).flatten().filter(|units| *units > 0);
        if units.is_none() {
            self.error(&at("costs"), format!("{} is no price: a whole number above 0 is expected", price.0));
        }
        Some((currency.clone(), units?, amount.unwrap_or(None)))
    }

    /// An amount of the program's currency above 0, in its smallest unit or more.
    pub(super) fn money(&mut self, definition: &Definition, path: &[&str], money: Decimal) -> Option<Amount> {
        let decimals = Currency::from_code(&definition.currency).map_or(0, Currency::decimals);
        let fits = usize::try_from(money.normalize().scale()).is_ok_and(|scale| scale <= decimals);
        let amount = Amount::try_from(money).ok().filter(|_| fits && money > Decimal::ZERO);
        if amount.is_none() {
            let message = format!(
                "{money} is no amount of {}: more than 0, with at most {decimals} decimals",
                definition.currency
            );
            self.error(path, message);
        }
        amount
    }
}
