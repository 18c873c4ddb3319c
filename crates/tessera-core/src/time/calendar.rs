use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Day, Instant, Period};

/// A program's zone and cut-off hour: which day an instant belongs to, and when a day begins and ends.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    day_starts: TimeOfDay,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone {name:?}; zones are named as Asia/Ho_Chi_Minh or Europe/London")]
pub struct UnknownZone {
    pub name: String,
}

impl Calendar {
    /// Zones come from the database bundled with the binary, never from the machine.
    pub fn new(zone: &str, day_starts: TimeOfDay) -> Result<Self, UnknownZone> {
        let zone = TimeZone::get(zone).map_err(|_| UnknownZone { name: zone.to_owned() })?;
        Ok(Self { zone, day_starts })
    }

    /// The civil date and time of an instant in the program's zone.
    pub fn local(&self, instant: Instant) -> DateTime {
        self.zone.to_datetime(instant.timestamp())
    }

    /// The instant of a civil date and time in the program's zone; in a gap the later one, of two the first.
    pub fn instant(&self, local: DateTime) -> Instant {
        let zoned = self.zone.to_ambiguous_zoned(local).compatible();
        zoned.map_or(Instant::MAX, |zoned| Instant::from(zoned.timestamp()))
    }

    /// The program day an instant belongs to: 02:00 is still yesterday where days begin at 04:00.
    pub fn day(&self, instant: Instant) -> Day {
        let local = self.local(instant);
        let starts = self.day_starts.time();
        let day = Day::from_date(local.date());
        let day = if local.time() < starts { day.plus(-1) } else { day };
        // No clock change is longer than three hours: far from the cut-off the wall clock is right.
        let hours = (i16::from(local.hour()) - i16::from(starts.hour())).rem_euclid(24);
        if (4..20).contains(&hours) {
            return day;
        }
        // Around a change of summer time the wall clock repeats or skips: the resolved bounds decide.
        if instant < self.start(day) {
            day.plus(-1)
        } else if instant >= self.start(day.plus(1)) {
            day.plus(1)
        } else {
            day
        }
    }

    /// The same time of day so many days, months or years before an instant.
    pub fn before(&self, instant: Instant, period: Period) -> Instant {
        let local = self.local(instant);
        self.instant(period.before(Day::from_date(local.date())).date().to_datetime(local.time()))
    }

    /// The last program day that something counts which ends at an instant (exclusive).
    pub fn last_day_before(&self, end: Instant) -> Day {
        self.day(Instant::from_micros(end.micros().saturating_sub(1)))
    }

    /// When a program day begins.
    pub fn start(&self, day: Day) -> Instant {
        let civil = day.date().to_datetime(self.day_starts.time());
        match self.zone.to_ambiguous_timestamp(civil).compatible() {
            Ok(timestamp) => Instant::from(timestamp),
            Err(_) => {
                if day.number() < 0 {
                    Instant::MIN
                } else {
                    Instant::MAX
                }
            }
        }
    }

    /// When a program day ends: the first instant of the next, exclusive.
    pub fn end(&self, day: Day) -> Instant {
        self.start(day.plus(1))
    }

    /// A civil time of this zone as an instant: times that a clock change skips move forward.
    pub fn resolve(&self, civil: DateTime) -> Option<Instant> {
        self.zone.to_ambiguous_timestamp(civil).compatible().ok().map(Instant::from)
    }

    /// Midnight at the start of a civil date, whatever the cut-off hour.
    pub fn midnight(&self, date: Date) -> Option<Instant> {
        self.resolve(date.to_datetime(Time::midnight()))
    }
}

/// A time of day in hours and minutes, written `04:00`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

impl TimeOfDay {
    pub fn time(self) -> Time {
        Time::constant(self.hour, self.minute, 0, 0)
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let (hour, minute) = text.split_once(':').ok_or(TimeOfDayError)?;
        let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !two_digits(hour) || !two_digits(minute) {
            return Err(TimeOfDayError);
        }
        let (hour, minute) = (hour.parse().map_err(|_| TimeOfDayError)?, minute.parse().map_err(|_| TimeOfDayError)?);
        if !(0..24).contains(&hour) || !(0..60).contains(&minute) {
            return Err(TimeOfDayError);
        }
        Ok(Self { hour, minute })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time of day is written as \"04:00\", from 00:00 to 23:59")]
pub struct TimeOfDayError;

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["04:00"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_its_cut_off_hour() {
        let bar = Calendar::new("Asia/Ho_Chi_Minh", "04:00".parse().unwrap()).unwrap();
        assert_eq!(bar.day(at("2026-05-02T03:59:59+07:00")).to_string(), "2026-05-01");
        assert_eq!(bar.day(at("2026-05-02T04:00:00+07:00")).to_string(), "2026-05-02");
        assert_eq!(bar.end("2026-05-01".parse().unwrap()), at("2026-05-02T04:00:00+07:00"));
    }

    #[test]
    fn l3_summer_time_is_settled_by_the_zone() {
        let shop = Calendar::new("America/New_York", TimeOfDay::default()).unwrap();
        let (short, long) = ("2017-03-12".parse().unwrap(), "2017-11-05".parse().unwrap());
        let hours = |day| (shop.end(day).micros() - shop.start(day).micros()) / 3_600_000_000;
        assert_eq!((hours(short), hours(long)), (23, 25));
        assert_eq!(shop.day(at("2017-10-01T03:59:27Z")).to_string(), "2017-09-30");
    }

    #[test]
    fn every_instant_of_a_day_belongs_to_it_even_where_clocks_change_at_the_cut_off() {
        let shop = Calendar::new("America/New_York", "01:30".parse().unwrap()).unwrap();
        for number in 17_474..17_478 {
            let day = Day::from_number(number);
            for instant in [shop.start(day), Instant::from_micros(shop.end(day).micros() - 1)] {
                assert_eq!(shop.day(instant), day);
            }
        }
    }
}
