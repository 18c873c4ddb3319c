//! What expressions may know about a member. Everything here is bounded state; nothing here is personal data.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::program::Id;
use crate::text::Text;

/// One published fact, as `member.…` spells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// `balance.<currency>`: spendable units, debt taken off.
    Balance(Id),
    /// `pending.<currency>`: earned, not yet spendable.
    Pending(Id),
    /// `debt.<currency>`: owed.
    Debt(Id),
    /// `issued.<currency>`: earned in the whole membership, gross of returns.
    Issued(Id),
    /// `tier.<ladder>`: the level's name.
    Tier(Id),
    /// `count.<event type>`: events of that type so far.
    Count(Id),
    /// `challenge.<id>`: what counts in the current stretch of time, over all rounds.
    Challenge(Id),
    /// `streak.<id>`: periods in a row, 0 where the run has ended.
    Streak(Id),
    /// `badge.<id>`: whether the member holds it.
    Badge(Id),
    /// `top_percent`: among the best so many in a hundred, as last worked out; 100 for the others.
    TopPercent,
    /// `club.<plan>`: whether they are in this club now.
    Club(Id),
    /// `club_days_left.<plan>`: days until that ends, today included; 0 for who is not in it.
    ClubDaysLeft(Id),
    /// `purchases`: purchases so far, gross of returns.
    Purchases,
    /// `spend`: money spent so far, gross of returns.
    Spend,
    /// `returns`: returns so far.
    Returns,
    /// `days_since_last_purchase`: program days since the last purchase, or since joining where there was none.
    DaysSinceLastPurchase,
    /// `days_since_joined`: program days of membership.
    DaysSinceJoined,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balance(id) => write!(f, "balance.{id}"),
            Self::Pending(id) => write!(f, "pending.{id}"),
            Self::Debt(id) => write!(f, "debt.{id}"),
            Self::Issued(id) => write!(f, "issued.{id}"),
            Self::Tier(id) => write!(f, "tier.{id}"),
            Self::Count(id) => write!(f, "count.{id}"),
            Self::Club(id) => write!(f, "club.{id}"),
            Self::ClubDaysLeft(id) => write!(f, "club_days_left.{id}"),
            Self::Challenge(id) => write!(f, "challenge.{id}"),
            Self::Streak(id) => write!(f, "streak.{id}"),
            Self::Badge(id) => write!(f, "badge.{id}"),
            Self::TopPercent => f.write_str("top_percent"),
            Self::Purchases => f.write_str("purchases"),
            Self::Spend => f.write_str("spend"),
            Self::Returns => f.write_str("returns"),
            Self::DaysSinceLastPurchase => f.write_str("days_since_last_purchase"),
            Self::DaysSinceJoined => f.write_str("days_since_joined"),
        }
    }
}

/// No published fact has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fact member.{name}")]
pub struct UnknownFact {
    name: String,
}

impl FromStr for Fact {
    type Err = UnknownFact;

    fn from_str(text: &str) -> Result<Self, UnknownFact> {
        let unknown = || UnknownFact { name: text.to_owned() };
        let Some((group, id)) = text.split_once('.') else {
            return match text {
                "top_percent" => Ok(Self::TopPercent),
                "purchases" => Ok(Self::Purchases),
                "spend" => Ok(Self::Spend),
                "returns" => Ok(Self::Returns),
                "days_since_last_purchase" => Ok(Self::DaysSinceLastPurchase),
                "days_since_joined" => Ok(Self::DaysSinceJoined),
                _ => Err(unknown()),
            };
        };
        let id: Id = id.parse().map_err(|_| unknown())?;
        match group {
            "balance" => Ok(Self::Balance(id)),
            "pending" => Ok(Self::Pending(id)),
            "debt" => Ok(Self::Debt(id)),
            "issued" => Ok(Self::Issued(id)),
            "tier" => Ok(Self::Tier(id)),
            "count" => Ok(Self::Count(id)),
            "club" => Ok(Self::Club(id)),
            "club_days_left" => Ok(Self::ClubDaysLeft(id)),
            "challenge" => Ok(Self::Challenge(id)),
            "streak" => Ok(Self::Streak(id)),
            "badge" => Ok(Self::Badge(id)),
            _ => Err(unknown()),
        }
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactValue {
    Number(Decimal),
    Text(Id),
    Truth(bool),
}

impl Serialize for FactValue {
    /// Numbers and names as they are; `=true` is no name, so that everything reads back without guessing.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.collect_str(&number.normalize()),
            Self::Text(text) => serializer.collect_str(text),
            Self::Truth(truth) => serializer.collect_str(&format_args!("={truth}")),
        }
    }
}

impl<'de> Deserialize<'de> for FactValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        if let Some(truth) = text.strip_prefix('=') {
            return truth.parse().map(Self::Truth).map_err(de::Error::custom);
        }
        match Decimal::from_str_exact(&text) {
            Ok(number) => Ok(Self::Number(number)),
            // Names begin with a letter, so no name is a number.
            Err(_) => text.parse().map(Self::Text).map_err(de::Error::custom),
        }
    }
}

/// The facts one decision read, by name.
pub type Facts = BTreeMap<Fact, FactValue>;
