//! Looking up a member may earn; spending needs proof that the member is there (P4).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::scalar::Id;
use super::validate::Checker;

/// When a redemption needs proof, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProofDefinition {
    /// By currency: more than so many units at once need proof; 0: any.
    pub spending_above: BTreeMap<Id, i64>,
    /// What counts as proof; left out, everything that there is.
    pub by: Vec<ProofKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// The code on the member's card, another one every 30 seconds.
    CardCode,
    /// A code that was sent to the member, good once.
    OneTimeCode,
}

impl ProofKind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::CardCode => "card_code",
            Self::OneTimeCode => "one_time_code",
        }
    }
}

impl ProofDefinition {
    /// What may prove it.
    pub fn takes(&self, kind: ProofKind) -> bool {
        self.by.is_empty() || self.by.contains(&kind)
    }

    /// The names of what may prove it.
    pub fn words(&self) -> Vec<&'static str> {
        let all = [ProofKind::CardCode, ProofKind::OneTimeCode];
        all.into_iter().filter(|kind| self.takes(*kind)).map(ProofKind::word).collect()
    }
}

impl Checker<'_> {
    pub(super) fn proof(&mut self, definition: &Definition) {
        for (currency, above) in &definition.proof.spending_above {
            let path = ["proof", "spending_above", currency.as_str()];
            self.known(&path, "currency", currency.as_str(), definition.currencies.keys().map(Id::as_str));
            if *above < 0 {
                self.error(&path, format!("{above} is less than nothing: 0 or more is expected"));
            }
        }
    }
}
