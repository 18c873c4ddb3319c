//! Paid membership: plans with a fee, a period and what it gives (S1).

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::scalar::{Exact, Id, Texts, word_or_map};
use super::validate::Checker;
use crate::quantity::{Amount, Currency, Rounding};
use crate::time::Period;

/// Clubs that members pay to be in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MembershipDefinition {
    pub plans: BTreeMap<Id, PlanDefinition>,
}

/// A club, with its fee and its period.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanDefinition {
    pub name: Texts,
    /// What it is in more words, shown to members.
    #[serde(default)]
    pub text: Texts,
    /// What one period costs, in the program's currency.
    pub fee: Exact,
    /// How long a fee lasts, from the day it was paid: it ends where the day begins that is so much later.
    pub period: Period,
    #[serde(default)]
    pub renews: Renews,
    /// How much longer it lasts after a renewal that was not paid.
    #[serde(default)]
    pub grace: Period,
    /// How long somebody may try it for nothing, once.
    #[serde(default)]
    pub trial: Option<Period>,
    #[serde(default)]
    pub benefits: Vec<Id>,
    /// Base earning is multiplied by this, by currency; of levels and clubs the highest counts.
    #[serde(default)]
    pub rate: BTreeMap<Id, Exact>,
    #[serde(default)]
    pub refund: Refund,
}

/// Whether a period is followed by another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Renews {
    /// The fee is collected by itself: one that does not come in time has its grace.
    #[default]
    Auto,
    /// The member is asked: without another fee it ends with its period.
    Ask,
}

/// What is paid back of a fee: `pro_rata_less_used | pro_rata | none`, or with its rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refund {
    pub policy: RefundPolicy,
    pub rounding: Rounding,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundPolicy {
    /// By the days that are left, less the worth of the benefits that were used.
    #[default]
    ProRataLessUsed,
    /// By the days that are left.
    ProRata,
    None,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RefundMap {
    #[serde(default)]
    policy: RefundPolicy,
    #[serde(default)]
    rounding: Rounding,
}

word_or_map!(
    Refund,
    "pro_rata_less_used, pro_rata, none or settings with a rounding",
    |word| {
        let policy = match word {
            "pro_rata_less_used" => Some(RefundPolicy::ProRataLessUsed),
            "pro_rata" => Some(RefundPolicy::ProRata),
            "none" => Some(RefundPolicy::None),
            _ => None,
        };
        policy.map(|policy| Refund { policy, rounding: Rounding::default() })
    },
    RefundMap,
    |read| Ok::<_, String>(Refund { policy: read.policy, rounding: read.rounding })
);

/// An amount of the program's currency in its smallest units; `None` for one that is none.
pub(crate) fn minor(money: Currency, amount: Decimal) -> Option<i64> {
    let unit = Decimal::from(10_i64.checked_pow(u32::try_from(money.decimals()).ok()?)?);
    let units = amount.checked_mul(unit)?;
    if units.fract().is_zero() {
        i64::try_from(units.trunc().mantissa() / 10_i128.pow(units.trunc().scale())).ok()
    } else {
        None
    }
}

/// Smallest units of the program's currency as an amount.
pub(crate) fn from_minor(money: Currency, units: i64) -> Amount {
    let digits = u32::try_from(money.decimals()).unwrap_or_default().min(6);
    Amount::from_millionths(i128::from(units) * 10_i128.pow(6 - digits))
}

impl Checker<'_> {
    /// Checks the plans.
    pub(super) fn membership(&mut self, definition: &Definition, money: Option<Currency>) {
        let plans = &definition.membership.plans;
        if self.has(&["membership"]) && plans.is_empty() {
            self.error(&["membership", "plans"], "membership has at least one plan".to_owned());
        }
        for (id, plan) in plans {
            let at = |key: &'static str| ["membership", "plans", id.as_str(), key];
            if plan.fee.0 < Decimal::ZERO {
                self.error(&at("fee"), "a fee is 0 or more".to_owned());
            } else if let Some(money) = money.filter(|money| minor(*money, plan.fee.0).is_none()) {
                let (code, digits) = (money.code(), money.decimals());
                let message =
                    format!("{} is no amount of {code}, which has {digits} digits behind the point", plan.fee.0);
                self.error(&at("fee"), message);
            }
            if plan.period.is_zero() {
                self.error(&at("period"), "a period of nothing is over before it begins: P1M or P1Y".to_owned());
            }
            if plan.trial.is_some_and(Period::is_zero) {
                self.suggest(&at("trial"), "there is nothing to try".to_owned(), "leave it out, or say how long: P30D");
            }
            for benefit in &plan.benefits {
                let known = definition.benefits.keys().map(Id::as_str);
                self.known(&at("benefits"), "benefit", benefit.as_str(), known);
            }
            for (currency, rate) in &plan.rate {
                let known = definition.currencies.keys().map(Id::as_str);
                self.known(&at("rate"), "currency", currency.as_str(), known);
                if rate.0 < Decimal::ZERO {
                    self.error(&at("rate"), "a rate is 0 or more".to_owned());
                }
            }
            self.odd_plan(definition, id, plan);
        }
    }

    /// What is valid and probably not meant.
    fn odd_plan(&mut self, definition: &Definition, id: &Id, plan: &PlanDefinition) {
        let at = |key: &'static str| ["membership", "plans", id.as_str(), key];
        if plan.grace.days_at_least() > plan.period.days_at_most() {
            let message = format!("the grace of {} is longer than the period of {}", plan.grace, plan.period);
            self.warning(&at("grace"), message, "shorten it: whoever never pays again stays so long");
        }
        let gives = !plan.benefits.is_empty() || !plan.rate.is_empty();
        let condition = format!("member.club.{id}");
        let named = definition.campaigns.values().any(|campaign| {
            let rules = campaign.rules.iter().filter_map(|rule| rule.when.as_ref());
            let mut conditions = campaign.audience.iter().chain(rules);
            campaign.trigger == *"club-joined" || conditions.any(|formula| formula.0.contains(&condition))
        });
        if !gives && !named {
            let message = "whoever pays for this plan gets nothing for it".to_owned();
            self.warning(&["membership", "plans", id.as_str()], message, "give it `benefits` or a `rate`");
        }
    }
}
