//! Gift cards: money that somebody paid in, and whoever has the code spends.

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::{CurrencyDefinition, Definition, Expires, OnReturn, Overdraft, Pending};
use super::scalar::{Exact, Id, Texts};
use super::spending::{Restored, SpendDefinition};
use super::validate::Checker;
use crate::quantity::{Amount, Currency};
use crate::time::{Duration, Period};

/// How gift cards are sold and spent (V3). Amounts are in the program's currency.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GiftCardsDefinition {
    pub name: Texts,
    /// The least that is loaded at once.
    pub min: Option<Exact>,
    /// The most that a card may hold.
    pub max: Option<Exact>,
    /// Whether a card that holds or held money can be loaded again.
    pub reload: bool,
    /// When what was loaded dies, counted from the day of each load: `never`, or `{ after: P5Y }`.
    pub expires: Expires,
    /// How long a reservation lasts that is neither captured nor voided.
    pub reserve: Duration,
    /// What becomes of money that comes back to a card after it has died there.
    pub restored: Restored,
}

impl Default for GiftCardsDefinition {
    fn default() -> Self {
        Self {
            name: Texts::default(),
            min: None,
            max: None,
            reload: true,
            expires: Expires::Never,
            reserve: Duration::minutes(15),
            restored: Restored::Grace { grace: Period::days(30) },
        }
    }
}

impl GiftCardsDefinition {
    /// The least that is loaded at once, in the money's smallest units.
    pub fn least(&self, money: Currency) -> i64 {
        self.min.and_then(|min| units(min, money)).unwrap_or(1).max(1)
    }

    /// The most that a card may hold, in the money's smallest units.
    pub fn most(&self, money: Currency) -> Option<i64> {
        self.max.and_then(|max| units(max, money))
    }

    /// What cards hold, as a currency: the program's money in its smallest units, each worth itself.
    pub(super) fn currency(&self, money: Currency) -> CurrencyDefinition {
        CurrencyDefinition {
            name: self.name.clone(),
            expires: self.expires.clone(),
            pending: Pending::default(),
            overdraft: Overdraft::Refuse,
            value: Some(Exact(Decimal::ONE)),
            spend: SpendDefinition { step: 1, min: 0, reserve: self.reserve, restored: self.restored },
            scale: u32::try_from(money.decimals()).unwrap_or_default(),
            max_balance: None,
            on_return: OnReturn::Keep,
        }
    }
}

fn units(amount: Exact, money: Currency) -> Option<i64> {
    money.units(Amount::try_from(amount.0).ok()?)
}

/// The currency that gift cards hold. A document declares no currency of this name.
pub const GIFT_CARD: Id = Id::constant("gift-card");

impl Checker<'_> {
    /// Checks everything about gift cards.
    pub(super) fn gift_cards(&mut self, definition: &Definition) {
        if definition.currencies.contains_key(&GIFT_CARD) {
            let message = "`gift-card` is what gift cards hold".to_owned();
            self.suggest(&["currencies", GIFT_CARD.as_str()], message, "give the currency another name");
        }
        let Some(cards) = &definition.gift_cards else { return };
        let Some(money) = Currency::from_code(&definition.currency) else { return };
        for (key, amount) in [("min", cards.min), ("max", cards.max)] {
            let Some(amount) = amount else { continue };
            if units(amount, money).is_none_or(|units| units <= 0) {
                let message = format!("{} is no amount of {} above 0", amount.0, money.code());
                self.error(&["gift_cards", key], message);
            }
        }
        if matches!((cards.min, cards.max), (Some(min), Some(max)) if min > max) {
            self.error(&["gift_cards", "max"], "a card could not hold the least that is loaded".to_owned());
        }
        if !matches!(cards.expires, Expires::Never | Expires::After { .. }) {
            let message = "what is loaded lives for a time from its load, or for ever".to_owned();
            self.suggest(&["gift_cards", "expires"], message, "write `never`, or { after: P5Y }");
        }
        self.lasts(&["gift_cards", "reserve"], cards.reserve);
    }

    /// A card that a reward gives holds what a card may hold.
    pub(super) fn given_card(&mut self, definition: &Definition, reward: &Id, money: Exact) {
        let path = ["rewards", reward.as_str(), "gives", "gift_card"];
        let Some(cards) = &definition.gift_cards else {
            let message = "the program has no gift cards".to_owned();
            return self.suggest(&path, message, "add `gift_cards: {}`, which says how they are spent");
        };
        self.money(definition, &path, money.0);
        let Some(currency) = Currency::from_code(&definition.currency) else { return };
        let (least, most) = (cards.least(currency), cards.most(currency).unwrap_or(i64::MAX));
        if units(money, currency).is_some_and(|units| !(least..=most).contains(&units)) {
            self.error(&path, format!("no card holds {}: see `min` and `max` of `gift_cards`", money.0));
        }
    }

    /// Somebody paid for it: in many countries a card may not expire, or not so soon.
    pub(super) fn gift_cards_that_expire(&mut self, definition: &Definition) {
        if let Some(cards) = &definition.gift_cards
            && cards.expires != Expires::Never
        {
            self.warning(
                &["gift_cards", "expires"],
                "many countries forbid that a gift card expires, or that it does so soon".to_owned(),
                "ask whoever knows your law, or write `never`",
            );
        }
    }
}
