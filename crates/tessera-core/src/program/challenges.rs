//! Challenges: so many events, so much of something, or so many different things, within a time; and the badges that
//! show what was done.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::cards::Gift;
use super::definition::*;
use super::scalar::{Exact, Formula, Id, Texts, word_or_map};
use super::validate::Checker;
use crate::expression::{Expected, Expression, RootTypes};
use crate::quantity::Amount;
use crate::time::{Day, Period, Window};

/// Challenges, and streaks, that one document may have: each may keep a row in a member's state.
pub const CHALLENGES_MAX: usize = 50;

/// Steps of a challenge, or milestones of a streak.
pub const STEPS_MAX: usize = 10;

/// Different values that one challenge keeps of a member, and the longest, in bytes.
pub const VALUES_MAX: usize = 50;
pub const VALUE_BYTES_MAX: usize = 64;

/// Something a member holds and may show.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BadgeDefinition {
    pub name: Texts,
    /// What it is for, for members.
    #[serde(default)]
    pub text: Texts,
}

/// A goal over events, with steps that give something.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeDefinition {
    #[serde(default)]
    pub name: Texts,
    /// `purchase`, or an event type of the document.
    pub counts: Id,
    /// `event.items`: every line that meets `when` counts; `item` is the line.
    #[serde(default)]
    pub each: Option<Formula>,
    #[serde(default)]
    pub when: Option<Formula>,
    /// What an event, or a line, counts; left out: 1.
    #[serde(default)]
    pub amount: Option<Formula>,
    /// A text of which different values are counted, in place of `amount`.
    #[serde(default)]
    pub distinct: Option<Formula>,
    #[serde(default)]
    pub within: Within,
    #[serde(default)]
    pub join: Join,
    /// Whether it begins again when its last step is done.
    #[serde(default)]
    pub repeat: bool,
    /// Whether a return takes back what counted, and what that gave (R2).
    #[serde(default)]
    pub on_return: OnReturn,
    /// The most that its steps may give in all, by currency (C5).
    #[serde(default)]
    pub budget: BTreeMap<Id, i64>,
    pub steps: Vec<StepDefinition>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Everybody takes part.
    #[default]
    Auto,
    /// Whoever says so takes part.
    Ask,
}

/// One step of a challenge, and what it gives.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDefinition {
    pub at: Exact,
    #[serde(default)]
    pub award: Option<AwardDefinition>,
    #[serde(default)]
    pub issue: Option<IssueAction>,
    #[serde(default)]
    pub grant: Option<GrantAction>,
    #[serde(default)]
    pub badge: Option<Id>,
}

impl StepDefinition {
    pub(super) fn gift(&self) -> Gift {
        Gift {
            award: self.award.clone(),
            issue: self.issue.clone(),
            grant: self.grant.clone(),
            badge: self.badge.clone(),
        }
    }
}

/// The time in which a goal is to be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Within {
    /// The whole membership.
    #[default]
    Ever,
    /// Every week, month … by itself.
    Window(Window),
    /// From the first day that counts, or from joining.
    Period(Period),
    /// Days, both included.
    Dates { from: Option<Day>, until: Option<Day> },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Dates {
    from: Option<Day>,
    until: Option<Day>,
}

word_or_map!(
    Within,
    "ever, day, week, month, quarter, year, a period such as P30D, or { from: …, until: … }",
    |word| {
        let window = Window::ALL.into_iter().find(|window| window.name() == word);
        match window {
            Some(Window::Ever) => Some(Within::Ever),
            Some(window) => Some(Within::Window(window)),
            None => word.parse().ok().filter(|period: &Period| !period.is_zero()).map(Within::Period),
        }
    },
    Dates,
    |read| Ok::<_, String>(Within::Dates { from: read.from, until: read.until })
);

impl Within {
    /// The first day of the stretch that a day belongs to, and the first day behind it. `begun`: the member's own
    /// stretch, which a [`Within::Period`] goes on with. `None` for a day on which nothing counts.
    pub fn span(self, day: Day, begun: Option<(Day, Day)>) -> Option<(Day, Day)> {
        let ever = Day::default();
        match self {
            Self::Ever => Some((ever.start_of(Window::Ever), ever.end_of(Window::Ever))),
            Self::Window(window) => Some((day.start_of(window), day.end_of(window))),
            Self::Period(period) => match begun {
                Some((from, until)) => (from <= day && day < until).then_some((from, until)),
                None => Some((day, period.after(day))),
            },
            Self::Dates { from, until } => {
                let end = until.map_or(ever.end_of(Window::Ever), |last| last.plus(1));
                let start = from.unwrap_or(ever);
                (start <= day && day < end).then_some((start, end))
            }
        }
    }
}

/// A challenge, ready to count.
#[derive(Debug)]
pub struct Challenge {
    pub id: Id,
    pub counts: Id,
    pub each: bool,
    pub when: Option<Expression>,
    pub amount: Option<Expression>,
    pub distinct: Option<Expression>,
    pub within: Within,
    pub asks: bool,
    pub repeat: bool,
    pub on_return: OnReturn,
    /// What each step takes, lowest first.
    pub steps: Vec<Amount>,
}

impl Challenge {
    /// How many steps so much has done, over all rounds.
    pub fn done(&self, value: Amount) -> u32 {
        let reached = |value: Amount| u32::try_from(self.steps.iter().filter(|at| **at <= value).count()).unwrap_or(0);
        match self.steps.last() {
            Some(top) if self.repeat && !value.is_negative() && top.millionths() > 0 => {
                let rounds = value.millionths() / top.millionths();
                let rest = Amount::from_millionths(value.millionths() % top.millionths());
                let whole = u32::try_from(rounds).unwrap_or(u32::MAX).saturating_mul(self.length());
                whole.saturating_add(reached(rest))
            }
            _ => reached(value),
        }
    }

    /// How many steps one round has.
    pub fn length(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// What it takes to do a step, counted from 0 over all rounds; `None` behind the last.
    pub fn threshold(&self, place: u32) -> Option<Amount> {
        let (round, step) = (place.checked_div(self.length())?, place.checked_rem(self.length())?);
        let at = *self.steps.get(usize::try_from(step).ok()?)?;
        let top = *self.steps.last()?;
        let before = Amount::from_millionths(top.millionths().saturating_mul(i128::from(round)));
        (round == 0 || self.repeat).then_some(before + at)
    }

    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.when.iter().chain(&self.amount).chain(&self.distinct)
    }
}

pub(super) fn complete(definition: &mut Definition) {
    for (id, challenge) in definition.challenges.clone() {
        let path = ["challenges", id.as_str()];
        let gifts = challenge.steps.iter().enumerate().filter(|(_, step)| !step.gift().is_empty());
        let rules: Vec<_> = gifts
            .map(|(place, step)| {
                let condition = format!("event.challenge == \"{id}\" and event.step == {}", place + 1);
                let at = ["challenges", id.as_str(), "steps", &place.to_string()];
                (step.gift().rule(condition), at.iter().map(|part| (*part).to_owned()).collect())
            })
            .collect();
        if rules.is_empty() {
            continue;
        }
        let campaign = CampaignDefinition {
            name: challenge.name.clone(),
            budget: challenge.budget.clone(),
            ..CampaignDefinition::on(Id::constant("challenge"))
        };
        definition.make_campaign(Ok(id.clone()), campaign, rules, &path);
    }
}

impl Checker<'_> {
    /// Checks badges, and checks and compiles challenges.
    pub(super) fn challenges(&mut self, definition: &Definition) -> Vec<Challenge> {
        if definition.challenges.len() > CHALLENGES_MAX {
            self.error(&["challenges"], format!("a document has at most {CHALLENGES_MAX} challenges"));
        }
        definition.challenges.iter().filter_map(|(id, challenge)| self.challenge(definition, id, challenge)).collect()
    }

    fn challenge(&mut self, definition: &Definition, id: &Id, challenge: &ChallengeDefinition) -> Option<Challenge> {
        let at = |key: &'static str| ["challenges", id.as_str(), key];
        self.counted(definition, &at("counts"), &challenge.counts);
        if let Some(each) = &challenge.each
            && (each.0.trim() != "event.items" || challenge.counts != *"purchase")
        {
            self.error(&at("each"), "a challenge can count each of `event.items` of a purchase".to_owned());
        }
        if challenge.amount.is_some() && challenge.distinct.is_some() {
            self.error(&at("distinct"), "a challenge counts an `amount` or `distinct` values, not both".to_owned());
        }
        if matches!(challenge.within, Within::Dates { from: Some(from), until: Some(until) } if from > until) {
            self.error(&at("within"), "it ends before it begins".to_owned());
        }
        if challenge.repeat && challenge.distinct.is_some() {
            self.error(&at("repeat"), "what is different once is not different again: leave `repeat` out".to_owned());
        }
        let steps = self.steps(&at("steps"), challenge.steps.iter().map(|step| step.at));
        let most = u32::try_from(VALUES_MAX).unwrap_or(u32::MAX);
        if challenge.distinct.is_some() && steps.last().is_some_and(|last| *last > Amount::whole(i64::from(most))) {
            self.error(&at("steps"), format!("at most {VALUES_MAX} different values are counted"));
        }
        let types = RootTypes::for_trigger(definition, challenge.counts.as_str(), challenge.each.is_some());
        let mut compiled = |key: &'static str, formula: Option<&Formula>, expected| match formula {
            Some(formula) => self.expression(&at(key), formula, &types, expected).map(Some),
            None => Some(None),
        };
        let (when, amount, distinct) = (
            compiled("when", challenge.when.as_ref(), Expected::Truth),
            compiled("amount", challenge.amount.as_ref(), Expected::Number),
            compiled("distinct", challenge.distinct.as_ref(), Expected::Text),
        );
        Some(Challenge {
            id: id.clone(),
            counts: challenge.counts.clone(),
            each: challenge.each.is_some(),
            when: when?,
            amount: amount?,
            distinct: distinct?,
            within: challenge.within,
            asks: challenge.join == Join::Ask,
            repeat: challenge.repeat,
            on_return: challenge.on_return,
            steps,
        })
    }

    /// Purchases and the document's own events are counted.
    pub(super) fn counted(&mut self, definition: &Definition, path: &[&str], kind: &Id) {
        let own = definition.events.keys().map(Id::as_str).filter(|name| *name != "purchase");
        self.known(path, "event type that is counted", kind.as_str(), std::iter::once("purchase").chain(own));
    }

    /// Steps go up, and there are a few.
    pub(super) fn steps(&mut self, path: &[&str], steps: impl Iterator<Item = Exact>) -> Vec<Amount> {
        let mut found: Vec<Amount> = Vec::new();
        for at in steps {
            let amount = Amount::try_from(at.0).unwrap_or_default();
            if amount <= found.last().copied().unwrap_or_default() {
                self.error(path, format!("{} is not above what comes before it", at.0));
            }
            found.push(amount);
        }
        if !(1..=STEPS_MAX).contains(&found.len()) {
            self.error(path, format!("1 to {STEPS_MAX} are expected"));
        }
        found
    }
}
