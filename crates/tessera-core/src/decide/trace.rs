//! For every rule, why it did or did not apply: as data and in words.

use compact_str::CompactString;
use serde::Serialize;

use super::outcome::{Effect, EffectKind};
use crate::expression::Facts;
use crate::ledger::LotRef;
use crate::program::Id;
use crate::quantity::Amount;

/// One rule of one campaign, and what became of it for one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleTrace {
    /// None where no campaign is meant: what became of points, whatever gave them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Id>,
    /// The rule's place in the campaign, from 0; none where the campaign as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// The challenge or streak it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streak: Option<Id>,
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
    /// What a campaign gave for the whole order, what that was after earlier returns, and what it gives for what is left
    /// after this return or correction.
    Revalued {
        currency: Id,
        earned: i64,
        before: i64,
        left: i64,
    },
    /// What a return or correction took back, and from where.
    TakenBack {
        currency: Id,
        amount: i64,
        from: Vec<Part>,
    },
    /// What a correction, or a return after which the rest is worth more, gave, and where it went.
    GivenAgain {
        currency: Id,
        amount: i64,
        to: Vec<Part>,
    },
    /// The event waits for the order that it names (I4).
    WaitsForOrder {
        order_id: CompactString,
    },
    /// It waited, and could not be done once its order came.
    Impossible,
    /// What time brought about, or somebody by hand.
    Brought {
        effect: Box<Effect>,
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
    /// The buyer rang it up themselves.
    OwnPurchase,
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
    /// It was drawn whether the rule applies.
    Drawn {
        chance: CompactString,
        drawn: u32,
        won: bool,
    },
    /// It will be drawn whether the rule applies; nobody knows yet.
    MayWin {
        chance: CompactString,
    },
    /// Counts towards a challenge or streak.
    Counted {
        by: Amount,
    },
    /// A return takes out of a challenge or streak what had counted.
    Uncounted {
        by: Amount,
    },
    /// The challenge asks who takes part, and the member has not said so.
    NotTakingPart,
    /// The challenge is not running on that day, or is over.
    NotRunning,
    /// The period of a streak is too far back to change.
    PeriodClosed {
        open: u32,
    },
}

/// A part of what was taken back or given again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    pub of: PartOf,
    pub amount: i64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lot_name")]
    pub lot: Option<LotRef>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartOf {
    /// The order's points that were still waiting.
    Pending,
    /// A lot that the order's own points went to.
    Own,
    /// Of an own lot, what had expired before.
    Expired,
    /// A lot of other points.
    Other,
    /// Became debt, or repaid it.
    Debt,
    Forgiven,
    /// Points that a correction adds.
    New,
}

fn lot_name<S: serde::Serializer>(lot: &Option<LotRef>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&lot.clone().unwrap_or_default())
}

impl Part {
    fn words(&self, taken: bool) -> String {
        let amount = self.amount;
        let until =
            self.lot.as_ref().and_then(|lot| lot.last_day).map(|day| format!(" until {day}")).unwrap_or_default();
        match (self.of, taken) {
            (PartOf::Pending, _) => format!("{amount} that wait"),
            (PartOf::Own, _) => format!("{amount} of its own{until}"),
            (PartOf::Expired, _) => format!("{amount} of its own that had expired"),
            (PartOf::Other, _) => format!("{amount} of others{until}"),
            (PartOf::Debt, true) => format!("{amount} are owed"),
            (PartOf::Debt, false) => format!("{amount} repay what was owed"),
            (PartOf::Forgiven, true) => format!("{amount} are forgiven"),
            (PartOf::Forgiven, false) => format!("{amount} had been forgiven"),
            (PartOf::New, _) => format!("{amount} new ones{until}"),
        }
    }
}

fn listed(parts: &[Part], taken: bool) -> String {
    parts.iter().map(|part| part.words(taken)).collect::<Vec<_>>().join(", ")
}

fn revalued(currency: &Id, earned: i64, before: i64, left: i64) -> String {
    let earlier = match before.cmp(&earned) {
        std::cmp::Ordering::Equal => String::new(),
        std::cmp::Ordering::Less => format!(", less {} for earlier returns", earned - before),
        std::cmp::Ordering::Greater => format!(", and {} more after earlier returns", before - earned),
    };
    match left.cmp(&before) {
        std::cmp::Ordering::Equal => format!("{earned} {currency} for the order{earlier}: nothing changes"),
        std::cmp::Ordering::Less => {
            format!("{earned} {currency} for the order{earlier}; this takes off {}: {left} are left", before - left)
        }
        std::cmp::Ordering::Greater => {
            format!("{earned} {currency} for the order{earlier}; this adds {}: {left} now", left - before)
        }
    }
}

fn brought(effect: &Effect) -> String {
    let name = |id: &Option<Id>| id.as_ref().map(ToString::to_string).unwrap_or_default();
    let points = format!("{} {}", effect.amount.unwrap_or_default(), name(&effect.currency));
    match effect.kind {
        EffectKind::Matured => format!("{points} had waited and can be spent now"),
        EffectKind::Expired => match effect.expires_on {
            Some(day) => format!("{points} could be spent until {day}"),
            None => format!("{points} have expired"),
        },
        EffectKind::Adjusted => format!("{points} by hand"),
        EffectKind::Imported => format!("{points} brought in from another system"),
        EffectKind::TierUp | EffectKind::TierDown => {
            format!("{}: {} after {}", name(&effect.ladder), name(&effect.level), name(&effect.from))
        }
        EffectKind::Debt => format!("{points} are owed"),
        EffectKind::DebtRepaid => format!("{points} repay what was owed"),
        EffectKind::Forgiven => format!("{points} are forgiven"),
        EffectKind::TakenBack => format!("{points} go back"),
        _ => points,
    }
}

impl RuleTrace {
    /// A line about no campaign.
    pub(super) fn of(reason: Reason) -> Self {
        let words = reason.words();
        let facts = Facts::new();
        Self { campaign: None, rule: None, challenge: None, streak: None, applied: true, reason, words, facts }
    }
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
            Self::Revalued { currency, earned, before, left } => revalued(currency, *earned, *before, *left),
            Self::TakenBack { currency, amount, from } => {
                format!("{amount} {currency} go back: {}", listed(from, true))
            }
            Self::GivenAgain { currency, amount, to } => {
                format!("{amount} {currency} are given: {}", listed(to, false))
            }
            Self::WaitsForOrder { order_id } => format!("it waits for the order {order_id}"),
            Self::Impossible => "it could not be done any more when its order came".to_owned(),
            Self::Brought { effect } => brought(effect),
            Self::Capped { currency, wanted, amount, by } => {
                format!("{amount} of {wanted} {currency}: the limit {by} leaves no more")
            }
            Self::UsedUp { limit } => format!("the limit {limit} is used up"),
            Self::SwitchedOff => "the campaign is switched off".to_owned(),
            Self::NotScheduled { at } => format!("the campaign does not run at {at}"),
            Self::NotInAudience { condition } => format!("the member is not in the audience `{condition}`"),
            Self::ConditionNotMet { condition } => format!("`{condition}` is not met"),
            Self::NoLineMatches { condition } => format!("no line meets `{condition}`"),
            Self::OwnPurchase => {
                "the buyer rang it up themselves, and the document's `staff` says what that earns".to_owned()
            }
            Self::HeldOut => "the member is in the group that shows what the campaign brings".to_owned(),
            Self::AnotherChosen { chosen } => format!("`{chosen}` was chosen instead; the two do not go together"),
            Self::RoundedToNothing { formula, worth } => format!("`{formula}` gives {worth}, rounded to 0"),
            Self::NothingToMultiply { currency } => format!("there are no base points in {currency} to multiply"),
            Self::NotEnoughToSpend { currency, wanted, available } => {
                format!("{wanted} {currency} are needed, {available} can be spent")
            }
            Self::CannotBeWorkedOut { error } => error.clone(),
            Self::Drawn { chance, drawn, won } => {
                let won = if *won { "won" } else { "not won" };
                format!("{won}: {drawn} of 1000000 was drawn at a chance of {chance}")
            }
            Self::MayWin { chance } => format!("it may be won, at a chance of {chance}"),
            Self::Counted { by } => format!("it counts {by}"),
            Self::Uncounted { by } => format!("{by} no longer counts"),
            Self::NotTakingPart => "the member does not take part in the challenge".to_owned(),
            Self::NotRunning => "the challenge does not run on that day, or is over".to_owned(),
            Self::PeriodClosed { open } => format!("only the last {open} periods of a streak can still change"),
        }
    }
}
