//! What looks at an event: campaigns, challenges and streaks by the type that they name, with all that they read of it.

use std::collections::{BTreeMap, BTreeSet};

use super::index::{Index, Places};
use super::limits::NamedLimit;
use super::{Campaign, Challenge, Id, StreakRules};
use crate::expression::{EventFields, EventScope, Expression, Fact};

/// The campaigns that look at one event type, and all that their expressions read.
#[derive(Debug, Default)]
pub struct Trigger {
    /// As they stand in the program: by priority, then name.
    pub campaigns: Vec<usize>,
    pub challenges: Vec<usize>,
    pub streaks: Vec<usize>,
    pub facts: BTreeSet<Fact>,
    pub fields: EventFields,
    /// Limits and budgets that such an event may use.
    pub(crate) limits: Vec<NamedLimit>,
    /// Campaigns from which some may be held out (C9).
    pub(crate) targeted: Vec<usize>,
    /// Campaigns with a rule that waits for a larger cart.
    pub(crate) waiting: Vec<usize>,
    /// Rules with a chance: the campaign, and the rule's place in it.
    pub(crate) chances: Vec<(usize, usize)>,
    /// None where all are looked at for every event.
    index: Option<Index>,
}

impl Trigger {
    /// Of nothing yet; `limits`: those of the whole program.
    pub(super) fn new(limits: &[NamedLimit]) -> Self {
        Self { limits: limits.to_vec(), ..Self::default() }
    }

    fn reads(&mut self, expression: &Expression) {
        self.facts.extend(expression.facts.iter().cloned());
        self.fields.merge(&expression.fields);
    }

    /// The campaigns that may give something for an event, as places in `campaigns`.
    pub(crate) fn concerned(&self, scope: &EventScope) -> Places {
        self.index.as_ref().map_or_else(|| self.all(), |index| index.find(scope))
    }

    /// All of them.
    pub(crate) fn all(&self) -> Places {
        Places::all(self.campaigns.len())
    }

    pub(super) fn look_at_all(&mut self) {
        self.index = None;
    }
}

/// By event type; `limits`: those of the whole program.
pub(super) fn triggers(
    campaigns: &[Campaign],
    challenges: &[Challenge],
    streaks: &[StreakRules],
    limits: &[NamedLimit],
) -> BTreeMap<Id, Trigger> {
    let new = || Trigger::new(limits);
    let mut triggers: BTreeMap<Id, Trigger> = BTreeMap::new();
    // Types with an expression outside `each` that reads `item`: today it is refused, but a program published before it was
    // finds there what the campaign before had left.
    let mut odd: BTreeSet<Id> = BTreeSet::new();
    for (place, campaign) in campaigns.iter().enumerate() {
        let trigger = triggers.entry(campaign.trigger.clone()).or_insert_with(new);
        trigger.campaigns.push(place);
        campaign.expressions().for_each(|(expression, each)| {
            trigger.reads(expression);
            if !each && expression.fields.line {
                odd.insert(campaign.trigger.clone());
            }
        });
        trigger.fields.items |= campaign.rules.iter().any(|rule| rule.each);
        trigger.limits.extend(campaign.named_limits());
        if campaign.may_hold_out() {
            trigger.targeted.push(place);
        }
        if campaign.rules.iter().any(|rule| rule.when.as_ref().is_some_and(|when| !when.goals.is_empty())) {
            trigger.waiting.push(place);
        }
        let chances = campaign.rules.iter().enumerate().filter(|(_, rule)| rule.chance.is_some());
        trigger.chances.extend(chances.map(|(rule, _)| (place, rule)));
    }
    for (place, challenge) in challenges.iter().enumerate() {
        let trigger = triggers.entry(challenge.counts.clone()).or_insert_with(new);
        trigger.challenges.push(place);
        challenge.expressions().for_each(|expression| {
            trigger.reads(expression);
            if !challenge.each && expression.fields.line {
                odd.insert(challenge.counts.clone());
            }
        });
        trigger.fields.items |= challenge.each;
    }
    for (place, streak) in streaks.iter().enumerate() {
        let trigger = triggers.entry(streak.counts.clone()).or_insert_with(new);
        trigger.streaks.push(place);
        streak.when.iter().for_each(|expression| {
            trigger.reads(expression);
            if expression.fields.line {
                odd.insert(streak.counts.clone());
            }
        });
    }
    for (kind, trigger) in &mut triggers {
        // What is made of them is sorted.
        trigger.limits.sort_unstable_by(|left, right| left.name().cmp(right.name()));
        if !odd.contains(kind) {
            let own: Vec<&Campaign> = trigger.campaigns.iter().map(|place| &campaigns[*place]).collect();
            trigger.index = Some(Index::new(&own));
        }
    }
    triggers
}

impl Campaign {
    /// All of them, and whether each is worked out for every line.
    fn expressions(&self) -> impl Iterator<Item = (&Expression, bool)> {
        let rules = self.rules.iter().flat_map(|rule| {
            let own = rule.when.iter().chain(rule.award.iter().map(|award| &award.amount));
            own.map(move |expression| (expression, rule.each))
        });
        self.audience.iter().map(|audience| (audience, false)).chain(rules)
    }
}
