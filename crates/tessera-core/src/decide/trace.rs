//! For every rule, why it did or did not apply: as data and in words.

use compact_str::CompactString;
use serde::Serialize;

use crate::expression::Facts;
use crate::program::Id;

/// One rule of one campaign, and what became of it for one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleTrace {
    pub campaign: Id,
    /// The rule's place in the campaign, from 0; none where the campaign as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    pub applied: bool,
    #[serde(flatten)]
    pub reason: Reason,
    /// The reason as a sentence.
    pub words: String,
    /// The member facts the campaign could see.
    #[serde(skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    Awarded {
        currency: Id,
        amount: i64,
        formula: CompactString,
        #[serde(skip_serializing_if = "Option::is_none")]
        rate: Option<CompactString>,
    },
    Multiplied {
        currency: Id,
        amount: i64,
        times: CompactString,
        base: i64,
    },
    Acted,
    /// What a campaign gave for the order before a return or a correction, and what it gives for what is left.
    Revalued {
        currency: Id,
        before: i64,
        left: i64,
    },
    /// A limit left only a part, or nothing.
    Capped {
        currency: Id,
        wanted: i64,
        amount: i64,
        by: CompactString,
    },
    UsedUp {
        limit: CompactString,
    },
    SwitchedOff,
    NotScheduled {
        at: CompactString,
    },
    NotInAudience {
        condition: String,
    },
    ConditionNotMet {
        condition: String,
    },
    NoLineMatches {
        condition: String,
    },
    HeldOut,
    AnotherChosen {
        chosen: Id,
    },
    RoundedToNothing {
        formula: CompactString,
        worth: CompactString,
    },
    NothingToMultiply {
        currency: Id,
    },
    NotEnoughToSpend {
        currency: Id,
        wanted: i64,
        available: i64,
    },
    CannotBeWorkedOut {
        error: String,
    },
}

impl Reason {
    pub fn words(&self) -> String {
        match self {
            Self::Awarded { currency, amount, formula, rate: None } => format!("{amount} {currency} from `{formula}`"),
            Self::Awarded { currency, amount, formula, rate: Some(rate) } => {
                format!("{amount} {currency} from `{formula}` at the level's rate of {rate}")
            }
            Self::Multiplied { currency, amount, times, base } => {
                format!("{amount} more {currency}: {times} times the {base} base points it is about")
            }
            Self::Acted => "it applied".to_owned(),
            Self::Revalued { currency, before, left } if left < before => {
                format!(
                    "{left} {currency} for what is left of the order, {before} before: {} taken back",
                    before - left
                )
            }
            Self::Revalued { currency, before, left } if left > before => {
                format!("{left} {currency} for the order as it is now, {before} before: {} more", left - before)
            }
            Self::Revalued { currency, before, .. } => format!("{before} {currency} before and after"),
            Self::Capped { currency, wanted, amount, by } => {
                format!("{amount} of {wanted} {currency}: the limit {by} leaves no more")
            }
            Self::UsedUp { limit } => format!("the limit {limit} is used up"),
            Self::SwitchedOff => "the campaign is switched off".to_owned(),
            Self::NotScheduled { at } => format!("the campaign does not run at {at}"),
            Self::NotInAudience { condition } => format!("the member is not in the audience `{condition}`"),
            Self::ConditionNotMet { condition } => format!("`{condition}` is not met"),
            Self::NoLineMatches { condition } => format!("no line meets `{condition}`"),
            Self::HeldOut => "the member is in the group that shows what the campaign brings".to_owned(),
            Self::AnotherChosen { chosen } => format!("`{chosen}` was chosen instead; the two do not go together"),
            Self::RoundedToNothing { formula, worth } => format!("`{formula}` gives {worth}, rounded to 0"),
            Self::NothingToMultiply { currency } => format!("there are no base points in {currency} to multiply"),
            Self::NotEnoughToSpend { currency, wanted, available } => {
                format!("{wanted} {currency} are needed, {available} can be spent")
            }
            Self::CannotBeWorkedOut { error } => error.clone(),
        }
    }
}
