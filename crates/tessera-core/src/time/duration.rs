use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of clock time such as `PT15M`, `PT2H` or `P1D`: whole days of 24 hours, hours, minutes and seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    seconds: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a length of time is written as PT15M, PT2H or P1D")]
pub struct DurationError;

impl Duration {
    pub const fn minutes(minutes: i64) -> Self {
        Self { seconds: minutes * 60 }
    }

    pub const fn days(days: i64) -> Self {
        Self { seconds: days * 86_400 }
    }

    pub const fn seconds(self) -> i64 {
        self.seconds
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let rest = text.strip_prefix('P').ok_or(DurationError)?;
        let (mut seconds, mut number, mut of_day, mut any) = (0, String::new(), false, false);
        for character in rest.chars() {
            if character.is_ascii_digit() {
                number.push(character);
                continue;
            }
            if character == 'T' && !of_day && number.is_empty() {
                (of_day, any) = (true, false);
                continue;
            }
            let count: i64 = number.parse().ok().filter(|count| *count <= 1_000_000).ok_or(DurationError)?;
            number.clear();
            any = true;
            seconds += match (character, of_day) {
                ('W', false) => count * 7 * 86_400,
                ('D', false) => count * 86_400,
                ('H', true) => count * 3_600,
                ('M', true) => count * 60,
                ('S', true) => count,
                _ => return Err(DurationError),
            };
        }
        (any && number.is_empty()).then_some(Self { seconds }).ok_or(DurationError)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.seconds / 86_400, self.seconds % 86_400);
        f.write_str("P")?;
        if days != 0 {
            write!(f, "{days}D")?;
        }
        if rest == 0 && days != 0 {
            return Ok(());
        }
        f.write_str("T")?;
        for (count, letter) in [(rest / 3_600, 'H'), (rest % 3_600 / 60, 'M'), (rest % 60, 'S')] {
            if count != 0 || (rest == 0 && letter == 'S') {
                write!(f, "{count}{letter}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^P([0-9]+[WD])*(T([0-9]+[HMS])+)?$", "examples": ["PT15M", "PT2H", "P1D"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_survive_their_text_form_and_refuse_others() {
        for (text, seconds) in [("PT15M", 900), ("PT2H", 7_200), ("P1D", 86_400), ("P1DT1H1S", 90_001), ("PT0S", 0)] {
            let read: Duration = text.parse().unwrap();
            assert_eq!((read.seconds(), read.to_string().as_str()), (seconds, text));
        }
        for text in ["", "P", "PT", "15M", "P1M", "P1H", "PT1D", "PT1", "P1DT", "PTT1M", "PT-1M", "PT99999999M"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
