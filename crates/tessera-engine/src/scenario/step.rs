//! What a step may do. A new command of the engine gets its word in [`ACTIONS`], its settings here, its reading in
//! [`super::read`] and its submission in [`super::run`].

use serde::Deserialize;
use tessera_core::event::Redeem;
use tessera_core::program::{Exact, Id, Node};
use tessera_core::quantity::Amount;
use tessera_core::time::Instant;

use super::expect::Expectation;
use crate::identifier::Subject;

/// Words of steps that do something and are no event types.
pub(super) const ACTIONS: &[&str] = &["adjust", "publish", "redeem", "quote", "capture", "void", "join"];

/// The other words of steps.
pub(super) const SETTINGS: [&str; 6] = ["say", "at", "happened", "id", "source", "expect"];

/// Types of events that every program has, and what comes from another system.
pub(super) const EVENT_TYPES: [&str; 9] =
    ["purchase", "return", "exchange", "amend", "enrol", "profile", "move-in", "import", "move-voucher"];

/// One step: at a time something happens, or nothing, and then this is expected.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) title: String,
    pub(super) now: Instant,
    pub(super) action: Action,
    pub(super) expectation: Expectation,
}

#[derive(Debug)]
pub(super) enum Action {
    /// Only time passes.
    Wait,
    Event {
        kind: String,
        subject: Subject,
        data: serde_json::Value,
        happened: Option<Instant>,
        id: String,
        source: String,
    },
    Adjust {
        subject: Subject,
        settings: Adjust,
        id: String,
    },
    Redeem {
        subject: Subject,
        settings: Redemption,
        id: String,
    },
    /// Asks what a redemption would be.
    Quote {
        subject: Subject,
        settings: Redemption,
    },
    /// Does something with what an earlier step redeemed.
    OfRedemption {
        /// The `id` of that step.
        redemption: String,
        step: crate::redemption::Step,
        id: String,
    },
    /// Takes part in a challenge.
    Join {
        subject: Subject,
        challenge: Id,
        id: String,
    },
    Publish {
        text: String,
    },
}

/// What is redeemed: a reward, or points of a currency.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Redemption {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) reward: Option<Id>,
    pub(super) currency: Option<Id>,
    pub(super) points: Option<i64>,
    pub(super) payable: Option<Exact>,
    pub(super) tender: Option<String>,
    pub(super) order_id: Option<String>,
    /// Spent at once, in place of being reserved.
    #[serde(default)]
    pub(super) capture: bool,
}

impl Redemption {
    pub(super) fn payable(&self) -> Option<Amount> {
        self.payable.and_then(|payable| Amount::try_from(payable.0).ok())
    }

    pub(super) fn redeem(&self) -> Redeem {
        Redeem {
            reward: self.reward.clone(),
            currency: self.currency.clone().unwrap_or_default(),
            points: self.points,
            payable: self.payable(),
            tender: self.tender.as_deref().map(Into::into),
            order_id: self.order_id.as_deref().map(Into::into),
            capture: self.capture,
        }
    }
}

/// Something that an earlier step redeemed, by the `id` of that step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfRedemption {
    pub(super) redemption: String,
    pub(super) points: Option<i64>,
}

/// A member takes part in a challenge.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) challenge: Id,
}

/// A manual change of a balance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adjust {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) currency: Id,
    pub(super) amount: i64,
    pub(super) reason: String,
    /// Who asks: the name of a key, and its role.
    pub(super) by: Option<String>,
    pub(super) role: Option<Id>,
    /// The second person, where one has agreed.
    pub(super) approved_by: Option<String>,
    /// The `id` of the step whose adjustment this one undoes.
    pub(super) undoes: Option<String>,
}

/// A member of the story: an alias and the identifier behind it.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) alias: String,
    pub(super) subject: Subject,
}

/// A document as it is published.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) text: String,
    pub(super) tree: Node,
}
