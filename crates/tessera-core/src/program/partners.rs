//! Partners: who delivers e-gifts, and who is told when a benefit of theirs begins and ends. Where they are reached, and
//! with which secret, is the server's business and stands in no document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::scalar::{Id, Texts};
use super::validate::Checker;
use crate::time::Duration;

/// Somebody else, reached over the network.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PartnerDefinition {
    pub name: Texts,
    /// How long an order may take; then it is given up, and the points go back.
    pub deadline: Duration,
}

impl Default for PartnerDefinition {
    fn default() -> Self {
        Self { name: Texts::default(), deadline: Duration::days(2) }
    }
}

/// The shortest and the longest time that an order may take.
const DEADLINE: (Duration, Duration) = (Duration::minutes(1), Duration::days(30));

/// A voucher of somebody else, ordered from them for each redemption.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EGift {
    pub partner: Id,
    /// What the partner calls it.
    pub product: String,
    /// Where it is taken.
    #[serde(default, skip_serializing)]
    pub shops: Vec<Shop>,
}

/// A place that takes an e-gift.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
}

/// The longest name of a product, in bytes.
const PRODUCT_MAX: usize = 100;

/// Shops of one reward. They are listed whole.
const SHOPS_MAX: usize = 1_000;

impl Checker<'_> {
    pub(super) fn partners(&mut self, definition: &Definition) {
        for (id, partner) in &definition.partners {
            if !(DEADLINE.0..=DEADLINE.1).contains(&partner.deadline) {
                let message = format!("an order may take {} to {}, not {}", DEADLINE.0, DEADLINE.1, partner.deadline);
                self.error(&["partners", id.as_str(), "deadline"], message);
            }
        }
        for (id, benefit) in &definition.benefits {
            if let Some(partner) = &benefit.partner {
                self.partner(definition, &["benefits", id.as_str(), "partner"], partner);
            }
        }
    }

    fn partner(&mut self, definition: &Definition, path: &[&str], partner: &Id) {
        self.known(path, "partner", partner.as_str(), definition.partners.keys().map(Id::as_str));
    }

    pub(super) fn e_gift(&mut self, definition: &Definition, reward: &Id, gift: &EGift) {
        let at = |key: &'static str| ["rewards", reward.as_str(), "gives", "e_gift", key];
        self.partner(definition, &at("partner"), &gift.partner);
        let is_plain = !gift.product.chars().any(char::is_control) && gift.product.trim() == gift.product;
        if gift.product.is_empty() || gift.product.len() > PRODUCT_MAX || !is_plain {
            self.error(&at("product"), format!("a product has a name of 1 to {PRODUCT_MAX} bytes"));
        }
        if gift.shops.len() > SHOPS_MAX {
            self.error(&at("shops"), format!("a reward has at most {SHOPS_MAX} shops"));
        }
        if gift.shops.iter().any(|shop| shop.name.trim().is_empty()) {
            self.error(&at("shops"), "a shop has a name".to_owned());
        }
    }
}
