use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Day, Window};

/// A calendar period such as `P1Y`, `P6M` or `P30D`: whole years, months, weeks and days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    months: i32,
    days: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a period is written as P1Y, P6M, P2W or P30D, and lasts at most 1,000 years")]
pub struct PeriodError;

/// A thousand years, so that no sum of days leaves the calendar's reach.
const MONTHS_MAX: i32 = 12_000;
const DAYS_MAX: i32 = 366_000;

impl Period {
    pub const ZERO: Self = Self { months: 0, days: 0 };

    pub const fn days(days: i32) -> Self {
        Self { months: 0, days }
    }

    pub const fn months(months: i32) -> Self {
        Self { months, days: 0 }
    }

    /// So many of this period in a row, at most a thousand years.
    pub fn times(self, count: u32) -> Self {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            months: self.months.saturating_mul(count).min(MONTHS_MAX),
            days: self.days.saturating_mul(count).min(DAYS_MAX),
        }
    }

    pub const fn is_zero(self) -> bool {
        self.months == 0 && self.days == 0
    }

    /// The day this period after `day` (L3): always counted from that day, so 31 January + 1 month is 28 February
    /// and + 2 months is 31 March.
    pub fn after(self, day: Day) -> Day {
        day.shifted(self.months, self.days)
    }

    /// The day this period before `day`.
    pub fn before(self, day: Day) -> Day {
        day.shifted(-self.months, -self.days)
    }

    /// Days at the longest (a month is 31), to compare periods.
    pub const fn days_at_most(self) -> i32 {
        self.months * 31 + self.days
    }

    /// Days at the shortest (a month is 28).
    pub const fn days_at_least(self) -> i32 {
        self.months * 28 + self.days
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let digits = text.strip_prefix('P').ok_or(PeriodError)?;
        let (mut period, mut number, mut any) = (Self::ZERO, String::new(), false);
        for character in digits.chars() {
            if character.is_ascii_digit() {
                number.push(character);
                continue;
            }
            let count: i32 = number.parse().ok().filter(|count| *count <= 36_500).ok_or(PeriodError)?;
            number.clear();
            any = true;
            match character {
                'Y' => period.months += count * 12,
                'M' => period.months += count,
                'W' => period.days += count * 7,
                'D' => period.days += count,
                _ => return Err(PeriodError),
            }
            if period.months > MONTHS_MAX || period.days > DAYS_MAX {
                return Err(PeriodError);
            }
        }
        (any && number.is_empty()).then_some(period).ok_or(PeriodError)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (years, months) = (self.months / 12, self.months % 12);
        f.write_str("P")?;
        if years != 0 {
            write!(f, "{years}Y")?;
        }
        if months != 0 {
            write!(f, "{months}M")?;
        }
        if self.days != 0 || self.months == 0 {
            write!(f, "{}D", self.days)?;
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^P([0-9]+[YMWD])+$", "examples": ["P1Y", "P6M", "P30D"] })
    }
}

/// To which calendar end an expiry date is moved out (L3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoundTo {
    #[default]
    None,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl RoundTo {
    /// The last day of the week, month, quarter or year that holds `day`.
    pub fn last_day(self, day: Day) -> Day {
        let window = match self {
            Self::None | Self::Day => return day,
            Self::Week => Window::Week,
            Self::Month => Window::Month,
            Self::Quarter => Window::Quarter,
            Self::Year => Window::Year,
        };
        day.end_of(window).plus(-1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn l3_periods_count_from_the_original_date() {
        let earned = day("2026-01-31");
        assert_eq!(Period::months(1).after(earned), day("2026-02-28"));
        assert_eq!(Period::months(2).after(earned), day("2026-03-31"));
        assert_eq!("P1Y".parse::<Period>().unwrap().after(day("2024-02-29")), day("2025-02-28"));
    }

    #[test]
    fn l3_the_period_is_added_then_rounded() {
        let last = Period::months(12).after(day("2026-03-15"));
        assert_eq!(RoundTo::Month.last_day(last), day("2027-03-31"));
        assert_eq!(RoundTo::Quarter.last_day(day("2026-05-01")), day("2026-06-30"));
        assert_eq!(RoundTo::Week.last_day(day("2026-11-22")), day("2026-11-22"));
        assert_eq!(RoundTo::None.last_day(last), last);
    }

    #[test]
    fn l3_periods_are_counted_as_the_calendar_counts_them() {
        let days = (-4_000_000..2_932_000).step_by(9_973).chain([-4_000_000, -1, 0, 19_782, 2_931_999, 2_932_000]);
        for day in days.map(Day::from_number) {
            for (months, count) in [(0, 0), (1, 0), (2, 1), (12, 0), (13, 29), (0, 366_000), (11_999, 366_000)] {
                let (period, span) = (Period { months, days: count }, jiff::Span::new().months(months).days(count));
                assert_eq!(period.after(day), Day::from_date(day.date().saturating_add(span)), "{day} + {period}");
                assert_eq!(period.before(day), Day::from_date(day.date().saturating_sub(span)), "{day} - {period}");
            }
        }
    }

    #[test]
    fn periods_survive_their_text_form_and_refuse_others() {
        for text in ["P1Y", "P1Y6M", "P30D", "P0D"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in ["", "P", "1Y", "P1H", "P1", "P-1D", "P99999999999D"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
