use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::Text;

/// A point in time: UTC microseconds since 1970. What both databases store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(i64);

impl Instant {
    /// Before everything a program can hold.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything a program can hold.
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Later by so many seconds, at most [`Instant::MAX`].
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whole milliseconds since 1970, zero before.
    /// The last instant before this one.
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or_default()
    }

    pub(super) fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

impl From<Timestamp> for Instant {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

impl FromStr for Instant {
    type Err = jiff::Error;

    /// RFC 3339 with an offset: `2026-03-31T23:59:00+07:00`.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Timestamp>().map(Self::from)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl Serialize for Instant {
    /// RFC 3339 in UTC for people, microseconds in the compact form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = Text::deserialize(deserializer)?.0;
        text.parse().map_err(|_| de::Error::custom("a time is written as 2026-03-31T23:59:00+07:00"))
    }
}
