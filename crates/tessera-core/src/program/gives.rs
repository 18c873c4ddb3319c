//! What a reward gives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::partners::EGift;
use super::scalar::{Exact, Id};
use super::validate::Checker;
use crate::time::{Day, Period, TimeOfDay};

/// What is handed over: one of these, or several together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardGives {
    /// A SKU, shown to the counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// A voucher of the document: money off, percent off, a free item, free shipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voucher: Option<Id>,
    /// A benefit for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub benefit: Option<GivenBenefit>,
    /// A code of a partner, from those that were brought in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_pool: Option<Id>,
    /// A voucher of a partner, ordered from them for each redemption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e_gift: Option<EGift>,
    /// So much money on a new gift card, in the program's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift_card: Option<Exact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub donation: Option<Donation>,
    /// Something to be at; `stock` says how many seats there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experience: Option<Experience>,
}

impl RewardGives {
    /// Whether people bring it about, and nothing of it is given by itself.
    pub(super) fn has_hands(&self) -> bool {
        let by_itself = [
            self.voucher.is_some(),
            self.benefit.is_some(),
            self.code_pool.is_some(),
            self.e_gift.is_some(),
            self.gift_card.is_some(),
        ];
        let by_itself = by_itself.contains(&true);
        !by_itself && self.donation.is_none() && (self.item.is_some() || self.experience.is_some())
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experience {
    /// The program day it is on; it is not to be had afterwards.
    pub day: Day,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeOfDay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// How long before its day it may last be cancelled; left out, until the day itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_until: Option<Period>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenBenefit {
    pub benefit: Id,
    #[serde(rename = "for")]
    pub period: Period,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Donation {
    pub cause: String,
    /// In the program's currency.
    pub money: Exact,
}

/// The longest name of a cause, in bytes: it is a part of the name of its counter.
const CAUSE_MAX: usize = 100;

impl Checker<'_> {
    pub(super) fn gives(&mut self, definition: &Definition, reward: &Id, gives: &RewardGives) {
        if *gives == RewardGives::default() {
            let message = "this reward gives nothing: say `item`, `voucher`, `benefit`, `code_pool`, `e_gift`, `gift_card`, `donation` or `experience`";
            self.error(&["rewards", reward.as_str(), "gives"], message.to_owned());
        }
        let at = |key: &'static str| ["rewards", reward.as_str(), "gives", key];
        if let Some(voucher) = &gives.voucher {
            let known = definition.vouchers.keys().map(Id::as_str);
            self.known(&at("voucher"), "voucher", voucher.as_str(), known);
        }
        if let Some(given) = &gives.benefit {
            let known = definition.benefits.keys().map(Id::as_str);
            self.known(&at("benefit"), "benefit", given.benefit.as_str(), known);
        }
        if let Some(pool) = &gives.code_pool {
            let known = definition.code_pools.keys().map(Id::as_str);
            self.known(&at("code_pool"), "code pool", pool.as_str(), known);
        }
        if let Some(gift) = &gives.e_gift {
            self.e_gift(definition, reward, gift);
            if gives != &(RewardGives { e_gift: Some(gift.clone()), ..RewardGives::default() }) {
                let message = "an e-gift stands alone: its partner may refuse it, and then nothing of it is given";
                self.error(&at("e_gift"), message.to_owned());
            }
        }
        if let Some(money) = gives.gift_card {
            self.given_card(definition, reward, money);
            if gives != &(RewardGives { gift_card: gives.gift_card, ..RewardGives::default() }) {
                let message = "a gift card stands alone: as long as it is not used it can be given back";
                self.error(&at("gift_card"), message.to_owned());
            }
        }
        if let Some(donation) = &gives.donation {
            self.money(definition, &at("donation"), donation.money.0);
            if donation.cause.is_empty() || donation.cause.len() > CAUSE_MAX {
                self.error(&at("donation"), format!("a cause has a name of 1 to {CAUSE_MAX} bytes"));
            }
            if !definition.causes.is_empty() {
                let known = definition.causes.keys().map(String::as_str);
                self.known(&at("donation"), "cause", &donation.cause, known);
            }
        }
    }
}
