//! Streaks: days, weeks or months in a row with at least one event that counts.

use schemars::JsonSchema;
use serde::Deserialize;

use super::cards::Gift;
use super::challenges::CHALLENGES_MAX;
use super::definition::*;
use super::scalar::{Exact, Formula, Id, Texts};
use super::validate::Checker;
use crate::expression::{Expected, Expression, RootTypes};
use crate::time::{Day, Window};

/// Something done again and again without a gap.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreakDefinition {
    #[serde(default)]
    pub name: Texts,
    /// `purchase`, or an event type of the document.
    pub counts: Id,
    #[serde(default)]
    pub when: Option<Formula>,
    #[serde(default)]
    pub every: Every,
    /// How many periods one run may miss in all without ending; they do not count.
    #[serde(default)]
    pub grace: u32,
    /// Whether a return takes its period out again (R2).
    #[serde(default)]
    pub on_return: OnReturn,
    #[serde(default)]
    pub milestones: Vec<MilestoneDefinition>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    #[default]
    Day,
    /// Monday to Sunday.
    Week,
    Month,
}

impl Every {
    /// The number of the period that a day is in; the next period has the next number.
    pub fn period(self, day: Day) -> i32 {
        match self {
            Self::Day => day.number(),
            // 1970-01-01 was a Thursday.
            Self::Week => (day.number() + 3).div_euclid(7),
            Self::Month => {
                let date = day.start_of(Window::Month).date();
                i32::from(date.year()) * 12 + i32::from(date.month()) - 1
            }
        }
    }
}

/// A length that gives something.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MilestoneDefinition {
    pub at: u32,
    #[serde(default)]
    pub award: Option<AwardDefinition>,
    #[serde(default)]
    pub issue: Option<IssueAction>,
    #[serde(default)]
    pub grant: Option<GrantAction>,
    #[serde(default)]
    pub badge: Option<Id>,
}

impl MilestoneDefinition {
    fn gift(&self) -> Gift {
        Gift {
            award: self.award.clone(),
            issue: self.issue.clone(),
            grant: self.grant.clone(),
            badge: self.badge.clone(),
        }
    }
}

/// A streak, ready to count.
#[derive(Debug)]
pub struct StreakRules {
    pub id: Id,
    pub counts: Id,
    pub when: Option<Expression>,
    pub every: Every,
    pub grace: u32,
    pub on_return: OnReturn,
    pub milestones: Vec<u32>,
}

pub(super) fn complete(definition: &mut Definition) {
    for (id, streak) in definition.streaks.clone() {
        let gifts = streak.milestones.iter().enumerate().filter(|(_, milestone)| !milestone.gift().is_empty());
        let rules: Vec<_> = gifts
            .map(|(place, milestone)| {
                let condition = format!("event.streak == \"{id}\" and event.length == {}", milestone.at);
                let at = ["streaks", id.as_str(), "milestones", &place.to_string()];
                (milestone.gift().rule(condition), at.iter().map(|part| (*part).to_owned()).collect())
            })
            .collect();
        if !rules.is_empty() {
            let campaign =
                CampaignDefinition { name: streak.name.clone(), ..CampaignDefinition::on(Id::constant("streak")) };
            definition.make_campaign(Ok(id.clone()), campaign, rules, &["streaks", id.as_str()]);
        }
    }
}

impl Checker<'_> {
    /// Checks and compiles streaks.
    pub(super) fn streaks(&mut self, definition: &Definition) -> Vec<StreakRules> {
        if definition.streaks.len() > CHALLENGES_MAX {
            self.error(&["streaks"], format!("a document has at most {CHALLENGES_MAX} streaks"));
        }
        let mut found = Vec::new();
        for (id, streak) in &definition.streaks {
            let at = |key: &'static str| ["streaks", id.as_str(), key];
            self.counted(definition, &at("counts"), &streak.counts);
            if !streak.milestones.is_empty() {
                self.steps(&at("milestones"), streak.milestones.iter().map(|step| Exact(step.at.into())));
            }
            let types = RootTypes::for_trigger(definition, streak.counts.as_str(), false);
            let when = streak.when.as_ref();
            let checked = when.map(|formula| self.expression(&at("when"), formula, &types, Expected::Truth));
            if matches!(checked, Some(None)) {
                continue;
            }
            found.push(StreakRules {
                id: id.clone(),
                counts: streak.counts.clone(),
                when: checked.flatten(),
                every: streak.every,
                grace: streak.grace,
                on_return: streak.on_return,
                milestones: streak.milestones.iter().map(|milestone| milestone.at).collect(),
            });
        }
        found
    }
}
