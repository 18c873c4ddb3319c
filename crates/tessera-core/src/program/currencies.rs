//! The section `currencies`: what members earn, when it dies, how long it waits.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

use super::scalar::{Exact, Id, Texts, word_or_map};
use super::spending::SpendDefinition;
use crate::time::{Day, Period, RoundTo};

/// A currency of the program: points, stars, stamps, miles, cashback.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrencyDefinition {
    pub name: Texts,
    pub expires: Expires,
    #[serde(default)]
    pub pending: Pending,
    /// What happens when more is taken back than is there (R6).
    #[serde(default)]
    pub overdraft: Overdraft,
    /// Money that one is worth when spent, in the program's currency.
    #[serde(default)]
    pub value: Option<Exact>,
    /// How it is spent: in which amounts, how long a reservation lasts.
    #[serde(default)]
    pub spend: SpendDefinition,
    /// Digits behind the point: 0 for points, 2 for cashback in baht (M1).
    #[serde(default)]
    pub scale: u32,
    /// The most a member may hold, active and pending together.
    #[serde(default)]
    pub max_balance: Option<i64>,
    /// Whether a return takes it back (R2).
    #[serde(default)]
    pub on_return: OnReturn,
}

impl CurrencyDefinition {
    /// One with every setting as it is when left out.
    pub(super) fn plain(expires: Expires) -> Self {
        Self {
            name: Texts::default(),
            expires,
            pending: Pending::default(),
            overdraft: Overdraft::default(),
            value: None,
            spend: SpendDefinition::default(),
            scale: 0,
            max_balance: None,
            on_return: OnReturn::default(),
        }
    }
}

/// When what was earned dies (L3, L4). Of several that compete the longest holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Expires {
    Never,
    After {
        after: Period,
        round: RoundTo,
    },
    /// Every year on a date, written `12-31`.
    Fixed {
        fixed: MonthAndDay,
    },
    /// One date for the whole currency, moved out by qualifying events.
    Inactivity {
        inactivity: Period,
        round: RoundTo,
        moved_by: Vec<Id>,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExpiresMap {
    after: Option<Period>,
    fixed: Option<MonthAndDay>,
    inactivity: Option<Period>,
    #[serde(default)]
    round: RoundTo,
    moved_by: Option<Vec<Id>>,
}

word_or_map!(
    Expires,
    "`never`, or one of after, fixed and inactivity",
    |word| { (word == "never").then_some(Expires::Never) },
    ExpiresMap,
    |read| {
        match (read.after, read.fixed, read.inactivity) {
            (Some(after), None, None) => Ok(Expires::After { after, round: read.round }),
            (None, Some(fixed), None) => Ok(Expires::Fixed { fixed }),
            (None, None, Some(inactivity)) => Ok(Expires::Inactivity {
                inactivity,
                round: read.round,
                moved_by: read.moved_by.unwrap_or_else(|| vec![Id::constant("purchase")]),
            }),
            _ => Err("exactly one of `after`, `fixed` and `inactivity` is expected"),
        }
    }
);

/// A date of every year, written `12-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthAndDay {
    pub month: i8,
    pub day: i8,
}

impl std::str::FromStr for MonthAndDay {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no date of the year: 31 December is written \"12-31\"");
        let (month, day) = text.split_once('-').ok_or_else(wrong)?;
        let (month, day) = (month.parse().map_err(|_| wrong())?, day.parse().map_err(|_| wrong())?);
        // A leap year, so that 02-29 is a date of the year.
        Day::new(2024, month, day).map(|_| Self { month, day }).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for MonthAndDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for MonthAndDay {
    fn schema_name() -> Cow<'static, str> {
        "MonthAndDay".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{2}-[0-9]{2}$", "examples": ["12-31"] })
    }
}

/// How long what was earned waits before it can be spent (L6): a period, or until an event that names the order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pending {
    pub period: Period,
    /// The event type whose `order_id` makes it spendable; `for` is then the longest wait, if given.
    pub until: Option<Id>,
    pub expiry_counts_from: CountsFrom,
    /// Whether pending points already count to tiers.
    pub counts_to_tiers: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountsFrom {
    #[default]
    Earn,
    Maturity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PendingMap {
    #[serde(default, rename = "for")]
    period: Period,
    until: Option<Id>,
    #[serde(default)]
    expiry_counts_from: CountsFrom,
    #[serde(default)]
    counts_to_tiers: bool,
}

word_or_map!(
    Pending,
    "a period such as P14D, or settings",
    |word| { word.parse().ok().map(|period| Pending { period, ..Pending::default() }) },
    PendingMap,
    |read| {
        Ok::<_, String>(Pending {
            period: read.period,
            until: read.until,
            expiry_counts_from: read.expiry_counts_from,
            counts_to_tiers: read.counts_to_tiers,
        })
    }
);

impl Pending {
    /// Whether anything waits at all.
    pub fn waits(&self) -> bool {
        !self.period.is_zero() || self.until.is_some()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overdraft {
    /// The rest is owed and repaid first by what is earned next.
    #[default]
    Debt,
    /// The rest is forgiven.
    Clamp,
    /// The return is refused.
    Refuse,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReturn {
    #[default]
    Reverse,
    Keep,
}
