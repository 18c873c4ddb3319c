//! Which points members may send to each other (P7). What is not listed stays where it is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::Definition;
use super::scalar::Id;
use super::validate::Checker;
use crate::time::Window;

/// How points of a currency may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TransferDefinition {
    /// The least that is sent at once.
    pub min: i64,
    /// The most that is sent at once; left out, as many as there are.
    pub max: Option<i64>,
    /// How many a member may send, by window. What comes back because it could not arrive does not count.
    pub per_member: BTreeMap<Window, i64>,
    /// What the sender pays on top for each transfer. Such points are spent.
    pub fee: i64,
    pub to: TransferTo,
}

impl Default for TransferDefinition {
    fn default() -> Self {
        Self { min: 1, max: None, per_member: BTreeMap::new(), fee: 0, to: TransferTo::Anyone }
    }
}

/// Who may receive points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferTo {
    /// Every member of the program.
    #[default]
    Anyone,
    /// Those of the sender's own household.
    Household,
    /// Nobody: transfers rest.
    None,
}

impl Checker<'_> {
    /// Checks the section about transfers.
    pub(super) fn transfers(&mut self, definition: &Definition) {
        for (currency, transfers) in &definition.transfers {
            let at = |key: &'static str| ["transfers", currency.as_str(), key];
            let currencies = definition.currencies.keys().map(Id::as_str);
            self.known(&["transfers", currency.as_str()], "currency", currency.as_str(), currencies);
            if transfers.to == TransferTo::Household && definition.households.is_none() {
                let message = "the document has no `households`".to_owned();
                self.suggest(&at("to"), message, "add the section, or set `to: anyone`");
            }
            let (min, most) = (transfers.min, transfers.max.unwrap_or(i64::MAX));
            if min < 1 {
                self.error(&at("min"), format!("{min} is no transfer: a number above 0 is expected"));
            } else if most < min {
                self.error(&at("max"), format!("{most} is less than `min`, {min}: nothing could be sent"));
            }
            if transfers.fee < 0 {
                self.error(&at("fee"), "a fee is 0 or more".to_owned());
            }
            for most in transfers.per_member.values().filter(|most| **most < min.max(1)) {
                self.error(
                    &at("per_member"),
                    format!("{most} is less than one transfer, {min}: nothing could be sent"),
                );
            }
        }
    }
}
