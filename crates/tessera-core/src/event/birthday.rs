use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::time::{Day, MonthDay};

/// A birthday as members give it (P8): a full date, month and day, or the month alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Birthday(pub MonthDay);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a birthday is written as 1990-02-28, 02-28 or, for the month alone, 02")]
pub struct BirthdayError;

/// Years from here on are of the Buddhist era, 543 ahead.
const BUDDHIST_FROM: i16 = 2400;

impl FromStr for Birthday {
    type Err = BirthdayError;

    fn from_str(text: &str) -> Result<Self, BirthdayError> {
        let parts: Vec<&str> = text.split('-').collect();
        let number = |part: &str, digits: usize| {
            let well_formed = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            well_formed.then(|| part.parse::<i16>().ok()).flatten().ok_or(BirthdayError)
        };
        let small = |value: i16| i8::try_from(value).map_err(|_| BirthdayError);
        match parts.as_slice() {
            [month] => {
                let month = small(number(month, 2)?)?;
                Day::new(2000, month, 1).ok_or(BirthdayError)?;
                Ok(Self(MonthDay { month, day: None }))
            }
            [month, day] => Self::checked(2000, small(number(month, 2)?)?, small(number(day, 2)?)?),
            [year, month, day] => {
                let year = number(year, 4)?;
                let year = if year >= BUDDHIST_FROM { year - 543 } else { year };
                Self::checked(year, small(number(month, 2)?)?, small(number(day, 2)?)?)
            }
            _ => Err(BirthdayError),
        }
    }
}

impl Birthday {
    fn checked(year: i16, month: i8, day: i8) -> Result<Self, BirthdayError> {
        Day::new(year, month, day).ok_or(BirthdayError)?;
        Ok(Self(MonthDay { month, day: Some(day) }))
    }
}

impl<'de> Deserialize<'de> for Birthday {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_birthdays_are_read_with_and_without_year_and_from_the_buddhist_era() {
        let read = |text: &str| text.parse::<Birthday>().map(|birthday| (birthday.0.month, birthday.0.day));
        assert_eq!(read("1990-02-28"), Ok((2, Some(28))));
        assert_eq!(read("2547-02-29"), Ok((2, Some(29))));
        assert_eq!(read("02-29"), Ok((2, Some(29))));
        assert_eq!(read("12"), Ok((12, None)));
        for wrong in ["", "13", "2546-02-29", "1990-2-28", "28-02-1990", "x"] {
            assert_eq!(read(wrong), Err(BirthdayError), "{wrong}");
        }
    }
}
