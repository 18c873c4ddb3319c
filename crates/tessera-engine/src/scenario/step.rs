//! What a step may do. A new command of the engine gets its word in [`ACTIONS`], its settings here, its reading in
//! [`super::read`] and its submission in [`super::run`].

use std::collections::BTreeMap;

use serde::Deserialize;
use tessera_core::decide::CartAsk;
use tessera_core::event::{
    Freeze, Origin, PlaceTier, PlacementEnd, PlacementKind, PlacementStep, Redeem, Situation, UseBenefit,
};
use tessera_core::ledger::{FulfilmentState, PartnerState};
use tessera_core::program::{Exact, Id, Node, ProofKind};
use tessera_core::quantity::Amount;
use tessera_core::time::{Calendar, Day, Instant, Period};

use super::cards::{CardWish, MakeCodes, Pay, UseCode};
use super::expect::Expectation;
use super::moment::Moment;
use crate::identifier::Subject;

/// Words of steps that do something and are no event types.
pub(super) const ACTIONS: &[&str] = &[
    "adjust",
    "publish",
    "redeem",
    "quote",
    "capture",
    "void",
    "join",
    "transfer",
    "use",
    "use-back",
    "tier",
    "fulfil",
    "partner",
    "waitlist",
    "claim",
    "leave",
    "freeze",
    "thaw",
    "merge",
    "merge-undo",
    "gift-card",
    "pay",
    "make-codes",
    "redeem-code",
    "rollback-code",
    "household",
];

/// Those of them that send no command about anybody.
pub(super) const UNSENT: [&str; 3] = ["publish", "quote", "make-codes"];

/// Stands before the member whose referral code is meant; no code begins like this.
pub(super) const BROUGHT_BY: &str = "<member> ";

/// The other words of steps.
pub(super) const SETTINGS: [&str; 7] = ["say", "at", "happened", "id", "source", "from", "expect"];

/// Types of events that every program has, and what comes from another system.
pub(super) const EVENT_TYPES: [&str; 9] =
    ["purchase", "return", "exchange", "amend", "enrol", "profile", "move-in", "import", "move-voucher"];

/// One step: at a time something happens, or nothing, and then this is expected.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) title: String,
    pub(super) now: Instant,
    /// From where it comes, for velocity rules.
    pub(super) origin: Origin,
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
    /// Asks what a purchase would bring, and what saves most.
    QuoteCart {
        subject: Subject,
        data: serde_json::Value,
        ask: CartAsk,
        id: String,
    },
    /// Does something with what an earlier step redeemed.
    OfRedemption {
        /// The `id` of that step.
        redemption: String,
        doing: Doing,
        id: String,
    },
    /// Says that a guest's purchase is theirs.
    Claim {
        subject: Subject,
        order_id: String,
        id: String,
    },
    Leave {
        subject: Subject,
        erase: bool,
        id: String,
    },
    /// Makes one member of two, or two of one again.
    Merge {
        subject: Subject,
        from: Subject,
        undo: bool,
        id: String,
    },
    /// Sends points to another member.
    Transfer {
        subject: Subject,
        to: Subject,
        settings: Sending,
        id: String,
    },
    /// Takes part in a challenge.
    Join {
        subject: Subject,
        challenge: Id,
        id: String,
    },
    Waitlist {
        subject: Subject,
        settings: Waitlist,
        id: String,
    },
    Use {
        subject: Subject,
        settings: Use,
        id: String,
    },
    /// Takes back what an earlier step used, by the `id` of that step.
    UseBack {
        used: String,
        id: String,
    },
    Tier {
        subject: Subject,
        settings: Tier,
        id: String,
    },
    /// Does something with a gift card.
    Card {
        wish: CardWish,
        id: String,
    },
    /// Pays with a gift card.
    Pay {
        pay: Pay,
        id: String,
    },
    MakeCodes {
        wanted: MakeCodes,
        id: String,
    },
    /// Uses a code by itself, or takes that back.
    UseCode {
        subject: Subject,
        settings: UseCode,
        back: bool,
        id: String,
    },
    /// Freezes a member, or thaws them.
    Freeze {
        subject: Subject,
        freeze: Freeze,
        id: String,
    },
    /// Something about a household, with one of its people.
    Household {
        subject: Subject,
        who: Subject,
        settings: Together,
        id: String,
    },
    Publish {
        text: String,
    },
}

/// What is done with a redemption.
#[derive(Clone, Copy, Debug)]
pub(super) enum Doing {
    Step(crate::redemption::Step),
    Fulfil(FulfilmentState),
    Partner(PartnerState),
}

/// What a partner says of what an earlier step redeemed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidByPartner {
    pub(super) redemption: String,
    pub(super) to: PartnerState,
}

/// What somebody did for what an earlier step redeemed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fulfil {
    pub(super) redemption: String,
    pub(super) to: FulfilmentState,
}

/// Who waits for a reward, or no longer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waitlist {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) reward: Id,
    #[serde(default)]
    pub(super) leave: bool,
}

/// Points sent to another member.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sending {
    #[serde(rename = "member")]
    pub(super) _member: String,
    #[serde(rename = "to")]
    pub(super) _to: String,
    pub(super) currency: Id,
    pub(super) amount: i64,
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
    /// What was shown at the counter; a story has no codes.
    pub(super) proven: Option<ProofKind>,
    /// From the pool of the member's household.
    #[serde(default)]
    pub(super) pool: bool,
}

/// Something about a household.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Together {
    #[serde(rename = "member")]
    pub(super) _member: String,
    #[serde(rename = "do")]
    pub(super) deed: Deed,
    /// Whom else it is about: who is invited, whose invitation it is, who is sent away or made the head.
    #[serde(rename = "who")]
    pub(super) _who: Option<String>,
    pub(super) currency: Option<Id>,
    pub(super) amount: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Deed {
    Found,
    Invite,
    Accept,
    Leave,
    Remove,
    Head,
    PutIn,
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
            proven: self.proven,
            // Who of a household spends is looked up when it happens.
            by: None,
        }
    }
}

/// What a redemption would be, or a purchase.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quote {
    #[serde(default)]
    member: String,
    reward: Option<Id>,
    currency: Option<Id>,
    points: Option<i64>,
    payable: Option<Exact>,
    tender: Option<String>,
    order_id: Option<String>,
    #[serde(default)]
    capture: bool,
    /// From the pool of the member's household.
    #[serde(default)]
    pool: bool,
    proven: Option<ProofKind>,
    /// The data of a purchase.
    pub(super) cart: Option<serde::de::IgnoredAny>,
    best: Option<bool>,
    missing: Option<bool>,
    rewards: Option<bool>,
    lang: Option<String>,
}

impl Quote {
    pub(super) fn redemption(&self) -> Redemption {
        Redemption {
            _member: self.member.clone(),
            reward: self.reward.clone(),
            currency: self.currency.clone(),
            points: self.points,
            payable: self.payable,
            tender: self.tender.clone(),
            order_id: self.order_id.clone(),
            capture: self.capture,
            pool: self.pool,
            proven: self.proven,
        }
    }

    pub(super) fn ask(&self) -> CartAsk {
        CartAsk {
            best: self.best == Some(true),
            missing: self.missing == Some(true),
            rewards: self.rewards == Some(true),
            language: self.lang.clone().unwrap_or_else(|| "en".to_owned()),
            ..CartAsk::default()
        }
    }

    /// Whether it asks for something that only a cart, or only a redemption, has.
    pub(super) fn is_mixed(&self) -> bool {
        let of_cart = [self.best, self.missing, self.rewards].iter().any(Option::is_some) || self.lang.is_some();
        let of_redemption = self.reward.is_some() || self.currency.is_some() || self.payable.is_some();
        if self.cart.is_some() { of_redemption } else { of_cart || self.member.is_empty() }
    }
}

/// Something that an earlier step redeemed, by the `id` of that step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfRedemption {
    pub(super) redemption: String,
    pub(super) points: Option<i64>,
}

/// A member claims the purchase of a guest, with the code that its outcome carried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) order_id: String,
}

/// A membership ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leave {
    #[serde(rename = "member")]
    pub(super) _member: String,
    #[serde(default)]
    pub(super) erase: bool,
}

/// From where a step comes: who uses which key, and where.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sender {
    pub(super) key: Option<String>,
    pub(super) staff: Option<String>,
    pub(super) device: Option<String>,
    pub(super) location: Option<String>,
}

impl Sender {
    pub(super) fn origin(&self) -> Origin {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        Origin {
            key: Some(self.key.as_deref().unwrap_or("scenario").into()),
            staff: text(&self.staff),
            device: text(&self.device),
            location: text(&self.location),
            own_staff: None,
        }
    }
}

/// A member is frozen, or no longer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Freezing {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) reason: String,
}

/// Somebody who becomes one with a member, or is one of their own again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    #[serde(rename = "member")]
    pub(super) _member: String,
    #[serde(rename = "from")]
    pub(super) _from: String,
}

/// A member takes part in a challenge.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) challenge: Id,
}

/// A benefit that is used, and what is known of the moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Use {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) benefit: Id,
    pub(super) order_id: Option<String>,
    pub(super) total: Option<Exact>,
    pub(super) shipping: Option<Exact>,
    pub(super) location: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) public_at: Option<Moment>,
}

impl Use {
    pub(super) fn wish(&self, calendar: &Calendar) -> UseBenefit {
        let amount = |exact: Option<Exact>| exact.and_then(|exact| Amount::try_from(exact.0).ok());
        UseBenefit {
            benefit: self.benefit.clone(),
            order_id: self.order_id.as_deref().map(Into::into),
            situation: Situation {
                total: amount(self.total),
                shipping: amount(self.shipping),
                location: self.location.as_deref().map(Into::into),
                channel: self.channel.as_deref().map(Into::into),
                public_at: self.public_at.map(|moment| moment.at(calendar)),
            },
        }
    }
}

/// What an earlier step used.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UseBack {
    #[serde(rename = "use")]
    pub(super) used: String,
}

/// A level that is given, or taken back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tier {
    #[serde(rename = "member")]
    pub(super) _member: String,
    pub(super) ladder: Id,
    pub(super) kind: TierKind,
    pub(super) level: Option<Id>,
    pub(super) until: Option<Day>,
    #[serde(rename = "for")]
    pub(super) period: Option<Period>,
    #[serde(default)]
    pub(super) keep_if: BTreeMap<Id, Exact>,
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TierKind {
    Invite,
    Match,
    Trial,
    Lock,
    Unlock,
    WithdrawInvite,
    WithdrawMatch,
    WithdrawTrial,
}

impl Tier {
    pub(super) fn wish(&self) -> PlaceTier {
        let place = |kind| PlacementStep::Place {
            kind,
            level: self.level.clone(),
            ends: match (self.until, self.period) {
                (Some(day), _) => PlacementEnd::Until(day),
                (None, Some(period)) => PlacementEnd::For(period),
                (None, None) => PlacementEnd::Open,
            },
            keep_if: self
                .keep_if
                .iter()
                .filter_map(|(measure, needed)| Some((measure.clone(), Amount::try_from(needed.0).ok()?)))
                .collect(),
        };
        let step = match self.kind {
            TierKind::Invite => place(PlacementKind::Invite),
            TierKind::Match => place(PlacementKind::Match),
            TierKind::Trial => place(PlacementKind::Trial),
            TierKind::Lock => place(PlacementKind::Lock),
            TierKind::Unlock => PlacementStep::Unlock,
            TierKind::WithdrawInvite => PlacementStep::Withdraw(PlacementKind::Invite),
            TierKind::WithdrawMatch => PlacementStep::Withdraw(PlacementKind::Match),
            TierKind::WithdrawTrial => PlacementStep::Withdraw(PlacementKind::Trial),
        };
        PlaceTier { ladder: self.ladder.clone(), step, reason: self.reason.as_str().into() }
    }
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
