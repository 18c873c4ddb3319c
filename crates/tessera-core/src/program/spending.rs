//! How points are spent: in which amounts, for how long they are reserved, and what becomes of them when what they
//! paid for comes back.

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::Definition;
use super::scalar::{Exact, word_or_map};
use super::validate::Checker;
use crate::quantity::{Amount, Rounding, TenderRounding};
use crate::time::{Duration, Period};

/// How a currency is spent (M6, R7, L7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpendDefinition {
    /// Only multiples of so many are spent.
    pub step: i64,
    /// Never fewer than this.
    pub min: i64,
    /// How long a reservation lasts that is neither captured nor voided.
    pub reserve: Duration,
    /// What becomes of spent points that come back after their lot has died (R7).
    pub restored: Restored,
}

impl Default for SpendDefinition {
    fn default() -> Self {
        Self { step: 1, min: 0, reserve: Duration::minutes(15), restored: Restored::StayExpired }
    }
}

/// What becomes of points that come back to a lot that has died (R7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restored {
    #[default]
    StayExpired,
    /// They live so long from the day they come back.
    Grace { grace: Period },
    /// They are dated as if they were earned on the day they come back.
    NewDate,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RestoredMap {
    grace: Period,
}

word_or_map!(
    Restored,
    "stay_expired, new_date or { grace: P30D }",
    |word| {
        match word {
            "stay_expired" => Some(Restored::StayExpired),
            "new_date" => Some(Restored::NewDate),
            _ => None,
        }
    },
    RestoredMap,
    |read| Ok::<_, String>(Restored::Grace { grace: read.grace })
);

/// What a tender is rounded to: `500`, or `{ to: 500, rounding: floor }`. Left out, to the nearest, halves up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CashRounding {
    pub to: Exact,
    pub rounding: Rounding,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CashRoundingMap {
    to: Exact,
    rounding: Option<Rounding>,
}

word_or_map!(
    CashRounding,
    "an amount such as 500, or { to: 500, rounding: half_up }",
    |word| {
        let to = Decimal::from_str_exact(word).ok();
        to.map(|to| CashRounding { to: Exact(to), rounding: Rounding::HalfUp })
    },
    CashRoundingMap,
    |read| Ok::<_, String>(CashRounding { to: read.to, rounding: read.rounding.unwrap_or(Rounding::HalfUp) })
);

impl CashRounding {
    pub(crate) fn of_tender(self) -> TenderRounding {
        TenderRounding { step: Amount::try_from(self.to.0).unwrap_or_default(), rounding: self.rounding }
    }
}

/// The shortest and the longest time a reservation may last: a till needs a minute, and a month is no reservation.
const RESERVE: (Duration, Duration) = (Duration::minutes(1), Duration::days(30));

impl Checker<'_> {
    /// Checks everything about spending.
    pub(super) fn spending(&mut self, definition: &Definition) {
        for (tender, rounding) in &definition.cash_rounding {
            if rounding.to.0 <= Decimal::ZERO || Amount::try_from(rounding.to.0).is_err() {
                let message = format!("{} is nothing to round to: an amount above 0 is expected", rounding.to.0);
                self.error(&["cash_rounding", tender.as_str()], message);
            }
        }
        for (id, currency) in &definition.currencies {
            let path = |key: &'static str| ["currencies", id.as_str(), "spend", key];
            let spend = currency.spend;
            if spend.step <= 0 {
                self.error(&path("step"), format!("{} leaves nothing: a number above 0 is expected", spend.step));
            }
            if spend.min < 0 {
                self.error(&path("min"), "the least that is spent is 0 or more".to_owned());
            }
            self.lasts(&path("reserve"), spend.reserve);
        }
    }

    /// How long a reservation may last.
    pub(super) fn lasts(&mut self, path: &[&str], reserve: Duration) {
        if !(RESERVE.0..=RESERVE.1).contains(&reserve) {
            self.error(path, format!("a reservation lasts {} to {}, not {reserve}", RESERVE.0, RESERVE.1));
        }
    }
}
