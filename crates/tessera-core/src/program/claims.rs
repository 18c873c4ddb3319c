//! Guests' orders that somebody claims later (P6).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::Definition;
use super::validate::Checker;
use crate::time::{Period, Window};

/// Who bought without saying who they are may say so later, with the code on the receipt.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimsDefinition {
    /// How long after the purchase.
    pub within: Period,
    /// The most one member claims in a window.
    pub per_member: BTreeMap<Window, i64>,
}

impl Default for ClaimsDefinition {
    fn default() -> Self {
        Self { within: Period::days(30), per_member: BTreeMap::from([(Window::Day, 3)]) }
    }
}

impl Checker<'_> {
    pub(super) fn claims(&mut self, definition: &Definition) {
        let Some(claims) = &definition.claims else { return };
        if claims.within.is_zero() {
            let message = "nobody can claim within nothing: a period such as P30D is expected".to_owned();
            self.error(&["claims", "within"], message);
        }
        for (window, most) in &claims.per_member {
            if *most <= 0 {
                let message = format!("{most} leaves nothing: a number above 0 is expected");
                self.error(&["claims", "per_member", window.name()], message);
            }
        }
    }
}
