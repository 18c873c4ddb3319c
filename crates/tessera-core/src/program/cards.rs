//! Stamp cards, in their short spelling: a currency of stamps, a campaign that gives them, and one that a full card
//! starts.

use schemars::JsonSchema;
use serde::Deserialize;

use super::definition::*;
use super::scalar::{Formula, Id, Texts};
use super::validate::Checker;

/// The most stamps one card may have: a card that nobody fills is no card.
pub const STAMPS_MAX: i64 = 1_000;

/// A stamp card. Its stamps are a currency of the card's name.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardDefinition {
    #[serde(default)]
    pub name: Texts,
    /// Stamps that fill it.
    pub stamps: i64,
    /// `item` (a stamp for each unit bought), `order` (one for each purchase), or an event type of the document.
    #[serde(default = "per_item")]
    pub per: Id,
    /// What earns a stamp; with `per: item` it reads `item`.
    #[serde(default)]
    pub when: Option<Formula>,
    /// The most stamps of one order.
    #[serde(default)]
    pub max_per_order: Option<i64>,
    /// What a full card gives.
    pub full: Gift,
    /// Whether stamps beyond a full card begin the next one.
    #[serde(default = "yes")]
    pub carry_over: bool,
    #[serde(default = "never")]
    pub expires: Expires,
    /// Whether a return takes stamps back (R2).
    #[serde(default)]
    pub on_return: OnReturn,
}

/// What a full card, a step or a milestone gives: the actions of a rule that need no purchase.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gift {
    pub award: Option<AwardDefinition>,
    pub issue: Option<IssueAction>,
    pub grant: Option<GrantAction>,
    pub badge: Option<Id>,
}

impl Gift {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn rule(&self, when: String) -> RuleDefinition {
        RuleDefinition {
            when: Some(Formula(when)),
            award: self.award.clone(),
            issue: self.issue.clone(),
            grant: self.grant.clone(),
            badge: self.badge.clone(),
            ..RuleDefinition::default()
        }
    }
}

fn per_item() -> Id {
    Id::constant("item")
}

fn yes() -> bool {
    true
}

fn never() -> Expires {
    Expires::Never
}

pub(super) fn complete(definition: &mut Definition) {
    for (id, card) in definition.cards.clone() {
        let path = ["cards", id.as_str()];
        let currency = CurrencyDefinition {
            name: card.name.clone(),
            on_return: card.on_return,
            ..CurrencyDefinition::plain(card.expires.clone())
        };
        definition.make_currency(&id, currency, &path);
        let per_item = card.per == *"item";
        let trigger = if per_item || card.per == *"order" { Id::constant("purchase") } else { card.per.clone() };
        let amount = if per_item { "item.quantity" } else { "1" };
        let stamp = RuleDefinition {
            each: per_item.then(|| Formula("event.items".to_owned())),
            when: card.when.clone(),
            award: Some(AwardDefinition::of(&id, amount)),
            limit: card.max_per_order.map(|most| Limit { per_event: Some(Cap::Points(most)), ..Limit::default() }),
            ..RuleDefinition::default()
        };
        let at = |rest: &[&str]| path.iter().chain(rest).map(|part| (*part).to_owned()).collect();
        let campaign = CampaignDefinition {
            name: card.name.clone(),
            earning: Some(Earning::Base),
            ..CampaignDefinition::on(trigger)
        };
        definition.make_campaign(Ok(id.clone()), campaign, vec![(stamp, at(&[]))], &path);
        let condition = format!("event.currency == \"{id}\" and member.balance.{id} >= {}", card.stamps);
        let spend = SpendAction { currency: id.clone(), amount: card.stamps, everything: !card.carry_over };
        let full = RuleDefinition { spend: Some(spend), ..card.full.rule(condition) };
        let campaign =
            CampaignDefinition { name: card.name.clone(), ..CampaignDefinition::on(Id::constant("balance")) };
        definition.make_campaign(format!("{id}-full").parse(), campaign, vec![(full, at(&["full"]))], &path);
    }
}

impl Checker<'_> {
    pub(super) fn cards(&mut self, definition: &Definition) {
        for (id, card) in &definition.cards {
            let at = |key: &'static str| ["cards", id.as_str(), key];
            if !(1..=STAMPS_MAX).contains(&card.stamps) {
                self.error(&at("stamps"), format!("a card has 1 to {STAMPS_MAX} stamps"));
            }
            if card.max_per_order.is_some_and(|most| most < 1) {
                self.error(&at("max_per_order"), "a number above 0 is expected".to_owned());
            }
            if card.max_per_order.is_some() && !matches!(card.per.as_str(), "item" | "order") {
                self.error(&at("max_per_order"), "only a purchase is an order: leave it out".to_owned());
            }
            if id.as_str().contains('-') {
                let message =
                    "a card's stamps are read as `member.balance.…`: write the name without hyphens".to_owned();
                self.error(&["cards", id.as_str()], message);
            }
            let own = definition.events.keys().map(Id::as_str).filter(|name| *name != "purchase");
            self.known(&at("per"), "event type", card.per.as_str(), ["item", "order"].into_iter().chain(own));
            if card.full.is_empty() {
                self.suggest(&at("full"), "a full card gives nothing".to_owned(), "say award, issue, grant or badge");
            }
        }
    }
}
