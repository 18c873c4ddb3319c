//! Benefits: what members have by a level, a grant or a club and use at the counter, the web shop or a partner's.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::scalar::{Exact, Formula, Id, Texts};
use super::validate::Checker;
use crate::expression::{Expected, Expression, RootTypes};
use crate::time::{Day, Period, Window};

/// Something that members have besides points.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BenefitDefinition {
    pub name: Texts,
    /// What it is in more words, shown to members.
    #[serde(default)]
    pub text: Texts,
    /// A plain word that tills and shops act on: `free_shipping`, `early_access`, `priority_service` or your own.
    #[serde(default)]
    pub kind: Option<Id>,
    /// How often it may be used, by window: `{ month: 2 }`. Left out, as often as the member likes.
    #[serde(default)]
    pub per: BTreeMap<UseWindow, i64>,
    /// The condition on the order or member when it is used: `event.total >= 300000`.
    #[serde(default)]
    pub when: Option<Formula>,
    /// What a return of the whole order does to a use for that order.
    #[serde(default)]
    pub on_return: UseOnReturn,
    /// How long before its public time something is open to whoever has this: early access.
    #[serde(default)]
    pub opens: Option<Period>,
    /// Who gives it in place of the program: they are told when it begins and ends.
    #[serde(default)]
    pub partner: Option<Id>,
    /// What one use is worth in the program's currency; a refund of a paid membership takes it off.
    #[serde(default)]
    pub worth: Option<Exact>,
}

/// What becomes of a use when its whole order comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UseOnReturn {
    /// It can be used once more, as long as its window is open.
    #[default]
    GiveBack,
    /// It stays used.
    Keep,
}

/// The stretch of time that uses are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UseWindow {
    Day,
    /// Monday to Sunday.
    Week,
    Month,
    Quarter,
    Year,
    /// A year from the day of joining, or from its anniversary.
    MembershipYear,
    /// The whole membership.
    Ever,
}

impl UseWindow {
    pub const fn name(self) -> &'static str {
        match self {
            Self::MembershipYear => "membership_year",
            Self::Day => Window::Day.name(),
            Self::Week => Window::Week.name(),
            Self::Month => Window::Month.name(),
            Self::Quarter => Window::Quarter.name(),
            Self::Year => Window::Year.name(),
            Self::Ever => Window::Ever.name(),
        }
    }

    /// The window in words: `this month`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Day => "today",
            Self::Week => "this week",
            Self::Month => "this month",
            Self::Quarter => "this quarter",
            Self::Year => "this year",
            Self::MembershipYear => "this year of membership",
            Self::Ever => "in all",
        }
    }

    /// The first day of the window that holds a day, and the first day behind it.
    pub fn around(self, day: Day, joined_on: Day) -> (Day, Day) {
        let window = match self {
            Self::MembershipYear => return membership_year(day, joined_on),
            Self::Day => Window::Day,
            Self::Week => Window::Week,
            Self::Month => Window::Month,
            Self::Quarter => Window::Quarter,
            Self::Year => Window::Year,
            Self::Ever => Window::Ever,
        };
        (day.start_of(window), day.end_of(window))
    }
}

/// The year of membership that holds a day: it begins on the day of joining (T2).
pub(crate) fn membership_year(day: Day, joined_on: Day) -> (Day, Day) {
    let years = i32::from(day.year()) - i32::from(joined_on.year());
    let anniversary = |year: i32| Period::months(12 * year).after(joined_on);
    let year = if anniversary(years) <= day { years } else { years - 1 };
    (anniversary(year), anniversary(year + 1))
}

/// A benefit, ready to be used.
#[derive(Debug)]
pub struct Benefit {
    pub definition: BenefitDefinition,
    pub when: Option<Expression>,
}

/// What expressions of a benefit may read of its use, all optional to say; a condition that reads one needs it.
pub const USE_FIELDS: [&str; 4] = ["total", "shipping", "location", "channel"];

/// The name under which the conditions of benefits are type-checked.
pub(crate) const USE_TRIGGER: &str = "benefit-use";

impl Checker<'_> {
    /// Checks and compiles the benefits.
    pub(super) fn benefits(&mut self, definition: &Definition) -> BTreeMap<Id, Benefit> {
        let mut benefits = BTreeMap::new();
        for (id, benefit) in &definition.benefits {
            let at = |key: &'static str| ["benefits", id.as_str(), key];
            for (window, most) in &benefit.per {
                if *most <= 0 {
                    let path = ["benefits", id.as_str(), "per", window.name()];
                    self.error(&path, format!("{most} leaves nothing: a number above 0 is expected"));
                }
            }
            if benefit.worth.is_some_and(|worth| worth.0 < Decimal::ZERO) {
                self.error(&at("worth"), "a worth is 0 or more".to_owned());
            }
            if benefit.opens.is_some_and(Period::is_zero) {
                self.suggest(&at("opens"), "this opens nothing earlier".to_owned(), "say how long before: P2D");
            }
            let types = RootTypes::for_trigger(definition, USE_TRIGGER, false);
            let when = benefit.when.as_ref();
            let when = when.and_then(|formula| self.expression(&at("when"), formula, &types, Expected::Truth));
            benefits.insert(id.clone(), Benefit { definition: benefit.clone(), when });
        }
        benefits
    }
}
