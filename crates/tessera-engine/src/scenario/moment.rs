//! Times as a story tells them: with an offset, or by the clock of the program's zone.

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Deserializer, de};
use tessera_core::time::{Calendar, Instant};

/// `2026-03-03 08:15` by the program's clock, `2026-03-03T08:15:00+07:00` anywhere; a day alone is its noon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Exact(Instant),
    Local(DateTime),
}

impl Moment {
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Ok(day) = text.parse::<Date>()
            && text.len() == 10
        {
            return Some(Self::Local(day.at(12, 0, 0, 0)));
        }
        match text.parse() {
            Ok(instant) => Some(Self::Exact(instant)),
            Err(_) => text.parse().ok().map(Self::Local),
        }
    }

    pub(super) fn at(self, calendar: &Calendar) -> Instant {
        match self {
            Self::Exact(instant) => instant,
            Self::Local(local) => calendar.instant(local),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no time: write 2026-03-03 08:15, or with an offset 2026-03-03T08:15:00+07:00"
            ))
        })
    }
}
