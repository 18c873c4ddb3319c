//! Members who bring members (F1). One step deep: paying for whom one's friends bring is no referral program.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::Definition;
use super::scalar::{Formula, Id};
use super::validate::Checker;
use crate::event::{BUILT_IN_TYPES, DERIVED_TRIGGERS};
use crate::expression::{Expected, Expression, RootTypes};
use crate::time::{Period, Window};

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferralDefinition {
    /// What a friend must do for it to pay.
    pub qualifies: QualifiesDefinition,
    pub gives: ReferralGives,
    #[serde(default)]
    pub limit: ReferralLimit,
    /// How long after that it pays: the time in which the order may come back.
    #[serde(default = "no_time")]
    pub after: Period,
    /// How long after joining the friend may qualify; left out, for ever.
    #[serde(default)]
    pub within: Option<Period>,
    /// How long after joining, and before the first purchase, a friend may still say who brought them.
    #[serde(default = "a_week")]
    pub told_within: Period,
    /// What becomes of what was paid when the order comes back.
    #[serde(default)]
    pub returned: ReferralReturned,
    /// How many steps deep it pays: 1. More is multi-level promotion.
    #[serde(default = "one")]
    pub depth: i64,
}

fn no_time() -> Period {
    Period::ZERO
}

fn a_week() -> Period {
    Period::days(7)
}

fn one() -> i64 {
    1
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QualifiesDefinition {
    /// `purchase`, or an event type of the document.
    pub trigger: Id,
    #[serde(default)]
    pub when: Option<Formula>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReferralGives {
    pub referrer: Vec<ReferralGift>,
    pub friend: Vec<ReferralGift>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferralGift {
    pub award: ReferralAward,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferralAward {
    pub currency: Id,
    /// In the currency's smallest units.
    pub amount: i64,
}

/// How many referrals pay the referrer; a friend beyond gets theirs all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReferralLimit {
    pub per_member: BTreeMap<Window, i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferralReturned {
    /// Both sides' points are taken back.
    #[default]
    Reverse,
    Keep,
}

/// The section, ready to decide.
#[derive(Debug)]
pub struct Referral {
    pub definition: ReferralDefinition,
    pub when: Option<Expression>,
}

impl Checker<'_> {
    /// Checks and compiles the section.
    pub(super) fn referral(&mut self, definition: &Definition) -> Option<Referral> {
        let referral = definition.referral.as_ref()?;
        let qualifies = &referral.qualifies;
        let trigger = qualifies.trigger.as_str();
        let others = BUILT_IN_TYPES.into_iter().chain(DERIVED_TRIGGERS).filter(|kind| *kind != "purchase");
        let path = ["referral", "qualifies", "trigger"];
        if others.clone().any(|kind| kind == trigger) {
            self.error(
                &path,
                format!("a `{trigger}` does not qualify: `purchase` or an event type of the document does"),
            );
            return None;
        }
        let known = definition.events.keys().map(Id::as_str).chain(["purchase"]);
        self.known(&path, "event type", trigger, known);
        let types = RootTypes::for_trigger(definition, trigger, false);
        let path = ["referral", "qualifies", "when"];
        let when = qualifies.when.as_ref();
        let when = when.and_then(|formula| self.expression(&path, formula, &types, Expected::Truth));
        let sides = [("referrer", &referral.gives.referrer), ("friend", &referral.gives.friend)];
        for (side, gift) in sides.into_iter().flat_map(|(side, gifts)| gifts.iter().map(move |gift| (side, gift))) {
            let (path, award) = (["referral", "gives", side], &gift.award);
            let currencies = definition.currencies.keys().map(Id::as_str);
            self.known(&path, "currency", award.currency.as_str(), currencies);
            if award.amount <= 0 {
                self.error(&path, format!("{} is nothing to give: a number above 0 is expected", award.amount));
            }
        }
        if sides.iter().all(|(_, gifts)| gifts.is_empty()) {
            self.error(&["referral", "gives"], "it gives nobody anything: say `referrer`, `friend` or both".to_owned());
        }
        if referral.limit.per_member.values().any(|most| *most < 1) {
            self.error(&["referral", "limit", "per_member"], "a limit is 1 or more".to_owned());
        }
        if referral.depth != 1 {
            let message = format!(
                "it would pay {} steps deep: multi-level promotion is regulated, and a referral pays one step",
                referral.depth
            );
            self.suggest(&["referral", "depth"], message, "leave `depth` out");
        }
        Some(Referral { definition: referral.clone(), when })
    }
}
