use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::program::Id;
use crate::quantity::Points;
use crate::text::Text;
use crate::time::{Day, Instant};

/// Which lot an entry is about: its last day, who funds it and, while pending, the event that earned it; of points
/// that are reserved or spent, the redemption.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LotRef {
    /// `None`: the lot does not expire on a day of its own.
    pub last_day: Option<Day>,
    /// `None`: the program itself.
    pub funder: Option<Id>,
    /// The sequence number of the earning event, while pending; of the redemption, while reserved or spent.
    pub order: Option<u64>,
}

/// `2027-03-31/brand@7`; `-` where there is no last day.
impl fmt::Display for LotRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last_day {
            Some(day) => write!(f, "{day}")?,
            None => f.write_str("-")?,
        }
        if let Some(funder) = &self.funder {
            write!(f, "/{funder}")?;
        }
        match self.order {
            Some(order) => write!(f, "@{order}"),
            None => Ok(()),
        }
    }
}

/// A text that names no lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a lot: expected 2027-03-31/funder@7")]
pub struct LotRefError;

impl FromStr for LotRef {
    type Err = LotRefError;

    fn from_str(text: &str) -> Result<Self, LotRefError> {
        let (rest, order) = match text.split_once('@') {
            Some((rest, order)) => (rest, Some(order.parse().map_err(|_| LotRefError)?)),
            None => (text, None),
        };
        let (day, funder) = match rest.split_once('/') {
            Some((day, funder)) => (day, Some(funder.parse().map_err(|_| LotRefError)?)),
            None => (rest, None),
        };
        let last_day = if day == "-" { None } else { Some(day.parse().map_err(|_| LotRefError)?) };
        Ok(Self { last_day, funder, order })
    }
}

impl Serialize for LotRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LotRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}

/// What is left of points that die together and have one funder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The last day it can be spent on, in the program's zone; `None` for never.
    pub last_day: Option<Day>,
    /// The end of that day as resolved when the lot was made (L3): the first instant it is dead.
    pub expires_at: Option<Instant>,
    pub funder: Option<Id>,
    /// When the first of its points were earned: a label, and the second key in L1.
    pub earned_at: Instant,
    pub remaining: Points,
}

impl Lot {
    pub fn key(&self) -> LotRef {
        LotRef { last_day: self.last_day, funder: self.funder.clone(), order: None }
    }

    pub fn is(&self, key: &LotRef) -> bool {
        self.last_day == key.last_day && self.funder == key.funder
    }

    /// L1: earliest expiry, then earliest earned, then key; without expiry last.
    pub fn spending_order(&self) -> (Instant, Instant, &Option<Id>) {
        (self.expires_at.unwrap_or(Instant::MAX), self.earned_at, &self.funder)
    }
}
