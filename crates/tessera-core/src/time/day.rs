use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::Text;

/// A program day: a calendar date in the program's zone, counted in days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(i32);

/// The first day of each kind of window.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// The first and the last day there are, in the years -8981 and 9997: their ends are instants in every zone.
const FIRST: i32 = -4_000_000;
const LAST: i32 = 2_932_000;

fn days_since_epoch(date: Date) -> i32 {
    i32::try_from(date.duration_since(EPOCH).as_secs() / 86_400).unwrap_or_default()
}

impl Day {
    /// The last day there is.
    pub const MAX: Self = Self(LAST);

    pub const fn from_number(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i32 {
        self.0
    }

    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self::from_date)
    }

    pub fn from_date(date: Date) -> Self {
        Self(days_since_epoch(date).clamp(FIRST, LAST))
    }

    pub fn date(self) -> Date {
        let midnight = Timestamp::from_second(i64::from(self.0.clamp(FIRST, LAST)) * 86_400);
        Offset::UTC.to_datetime(midnight.unwrap_or_default()).date()
    }

    /// So many months later, or earlier when negative, on the same day of the month or its last; then so many days.
    pub(super) fn shifted(self, months: i32, days: i32) -> Self {
        let date = self.date();
        let month = i32::from(date.year()) * 12 + i32::from(date.month()) - 1 + months;
        let (year, month) = (i16::try_from(month.div_euclid(12)), i8::try_from(month.rem_euclid(12) + 1));
        let first = year.ok().zip(month.ok()).and_then(|(year, month)| Date::new(year, month, 1).ok());
        match first {
            Some(first) => {
                let day = i32::from(date.day().min(first.days_in_month()));
                Self((days_since_epoch(first) + day - 1 + days).clamp(FIRST, LAST))
            }
            // Beyond the calendar.
            None if months < 0 => Self(FIRST),
            None => Self(LAST),
        }
    }

    /// `days` later, or earlier when negative.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    pub fn year(self) -> i16 {
        self.date().year()
    }

    pub fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        match (self.0 + 3).rem_euclid(7) {
            0 => Weekday::Mon,
            1 => Weekday::Tue,
            2 => Weekday::Wed,
            3 => Weekday::Thu,
            4 => Weekday::Fri,
            5 => Weekday::Sat,
            _ => Weekday::Sun,
        }
    }

    /// The first day of the window that holds this day.
    #[must_use]
    pub fn start_of(self, window: Window) -> Self {
        let date = self.date();
        match window {
            Window::Day => self,
            Window::Week => Self(self.0 - (self.0 + 3).rem_euclid(7)),
            Window::Month => Self::from_date(date.first_of_month()),
            Window::Quarter => {
                let month = (date.month() - 1) / 3 * 3 + 1;
                Self::new(date.year(), month, 1).unwrap_or(self)
            }
            Window::Year => Self::from_date(date.first_of_year()),
            Window::Ever => Self(0),
        }
    }

    /// The first day behind the window that holds this day; the last day there is for [`Window::Ever`].
    #[must_use]
    pub fn end_of(self, window: Window) -> Self {
        let start = self.start_of(window);
        let date = start.date();
        match window {
            Window::Day => start.plus(1),
            Window::Week => start.plus(7),
            Window::Month => Self::from_date(date.last_of_month()).plus(1),
            Window::Quarter => start.shifted(3, 0),
            Window::Year => Self::from_date(date.last_of_year()).plus(1),
            Window::Ever => Self(LAST),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl FromStr for Day {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Date>().map(Self::from_date)
    }
}

impl Serialize for Day {
    /// `2026-03-31` for people, the day's number in the compact form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i32(self.0) }
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i32::deserialize(deserializer).map(Self);
        }
        let text = Text::deserialize(deserializer)?.0;
        text.parse().map_err(|_| de::Error::custom("a day is written as 2026-03-31"))
    }
}

impl JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date", "examples": ["2026-12-31"] })
    }
}

/// A stretch of program days that limits are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    Day,
    /// Monday to Sunday.
    Week,
    Month,
    Quarter,
    Year,
    /// The whole membership.
    Ever,
}

impl Window {
    pub const ALL: [Self; 6] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year, Self::Ever];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::Ever => "ever",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
}

/// A month and perhaps a day of it, without a year: a birthday (P8). Only the month may be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthDay {
    pub month: i8,
    /// `None` where only the month is known: the first of the month then counts.
    pub day: Option<i8>,
}

impl MonthDay {
    /// The birthday in a year: 29 February falls on the 28th in common years.
    pub fn in_year(self, year: i16) -> Option<Day> {
        let first = Date::new(year, self.month, 1).ok()?;
        let day = self.day.unwrap_or(1).clamp(1, first.days_in_month());
        Day::new(year, self.month, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn days_count_from_1970_and_know_their_weekday() {
        assert_eq!(day("1970-01-02").number(), 1);
        assert_eq!(day("2026-11-22").weekday(), Weekday::Sun);
        assert_eq!(day("1969-12-29").weekday(), Weekday::Mon);
        assert_eq!(day("2017-10-01").to_string(), "2017-10-01");
    }

    #[test]
    fn c2_windows_begin_and_end_on_calendar_days() {
        let someday = day("2026-11-22");
        let bounds = |window| (someday.start_of(window).to_string(), someday.end_of(window).to_string());
        assert_eq!(bounds(Window::Week), ("2026-11-16".into(), "2026-11-23".into()));
        assert_eq!(bounds(Window::Month), ("2026-11-01".into(), "2026-12-01".into()));
        assert_eq!(bounds(Window::Quarter), ("2026-10-01".into(), "2027-01-01".into()));
        assert_eq!(bounds(Window::Year), ("2026-01-01".into(), "2027-01-01".into()));
    }

    #[test]
    fn p8_a_leap_day_birthday_falls_on_the_28th() {
        let leap = MonthDay { month: 2, day: Some(29) };
        assert_eq!(leap.in_year(2027), Some(day("2027-02-28")));
        assert_eq!(leap.in_year(2028), Some(day("2028-02-29")));
        assert_eq!(MonthDay { month: 5, day: None }.in_year(2026), Some(day("2026-05-01")));
    }
}
