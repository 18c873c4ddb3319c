//! Leaderboards, and where members stand among all.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::challenges::Within;
use super::definition::*;
use super::scalar::{Id, Texts};
use super::validate::Checker;

/// Places that a leaderboard may show, and that may have prizes.
pub const PLACES_MAX: u32 = 1_000;
pub const PRIZES_MAX: u32 = 100;

/// Shares of members, in a hundred, that are told apart: who is among the best 3 is in 3, not in 5.
pub const BANDS: [u8; 8] = [1, 2, 3, 5, 10, 20, 25, 50];

/// Who did most in a stretch of time.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaderboardDefinition {
    #[serde(default)]
    pub name: Texts,
    /// `{ earned: <currency> }`, net of returns, or `{ events: <type> }`.
    pub measure: Measure,
    /// The stretch of time: a window, or dates.
    #[serde(default = "month")]
    pub within: Within,
    /// Places that are shown.
    #[serde(default = "hundred")]
    pub top: u32,
    #[serde(default)]
    pub names: Names,
    /// What the best get when the leaderboard is closed, first place first.
    #[serde(default)]
    pub prizes: Vec<PrizeDefinition>,
}

fn month() -> Within {
    Within::Window(crate::time::Window::Month)
}

fn hundred() -> u32 {
    100
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    #[default]
    Hidden,
    Initials,
}

/// Points for every place up to one that no prize before is for.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrizeDefinition {
    /// The last place it is for.
    pub to: u32,
    pub currency: Id,
    pub amount: i64,
}

/// Who is among the best.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RankingDefinition {
    /// `spend` (net of returns) or `{ earned: <currency> }`, in the whole membership.
    #[serde(default = "spend")]
    pub by: Measure,
    /// The best so many in a hundred are flagged for service.
    #[serde(default = "five")]
    pub priority_service: u8,
}

fn spend() -> Measure {
    Measure::Spend
}

fn five() -> u8 {
    5
}

impl LeaderboardDefinition {
    /// The prize of a place, from 1.
    pub fn prize(&self, place: u32) -> Option<&PrizeDefinition> {
        self.prizes.iter().find(|prize| place <= prize.to)
    }
}

impl Checker<'_> {
    pub(super) fn leaderboards(&mut self, definition: &Definition) {
        let currencies: BTreeMap<&str, ()> = definition.currencies.keys().map(|id| (id.as_str(), ())).collect();
        for (id, board) in &definition.leaderboards {
            let at = |key: &'static str| ["leaderboards", id.as_str(), key];
            match &board.measure {
                Measure::Earned { earned, .. } => {
                    self.known(&at("measure"), "currency", earned.as_str(), currencies.keys().copied());
                }
                Measure::Events { events } => self.counted(definition, &at("measure"), events),
                Measure::Spend => {
                    let message = "a leaderboard shows points earned or events, not money".to_owned();
                    self.suggest(&at("measure"), message, "say `{ earned: … }` or `{ events: … }`");
                }
            }
            if self.has(&["leaderboards", id.as_str(), "measure", "counts"]) {
                self.suggest(&at("measure"), "all points count here".to_owned(), "leave `counts` out");
            }
            if matches!(board.within, Within::Period(_)) {
                self.error(&at("within"), "everybody has the same time: say a window or dates".to_owned());
            }
            if !(1..=PLACES_MAX).contains(&board.top) {
                self.error(&at("top"), format!("1 to {PLACES_MAX} places are shown"));
            }
            let mut before = 0;
            for prize in &board.prizes {
                self.known(&at("prizes"), "currency", prize.currency.as_str(), currencies.keys().copied());
                if prize.to <= before || prize.to > PRIZES_MAX || prize.amount < 1 {
                    let message = format!("prizes go down the places, to {PRIZES_MAX} at the most, and are above 0");
                    self.error(&at("prizes"), message);
                }
                before = prize.to;
            }
        }
        if let Some(ranking) = &definition.ranking {
            match &ranking.by {
                Measure::Earned { earned, .. } => {
                    self.known(&["ranking", "by"], "currency", earned.as_str(), currencies.keys().copied());
                }
                Measure::Spend => {}
                Measure::Events { .. } => {
                    self.error(&["ranking", "by"], "members are ranked by `spend` or `{ earned: … }`".to_owned());
                }
            }
            if self.has(&["ranking", "by", "counts"]) {
                self.suggest(&["ranking", "by"], "all points count here".to_owned(), "leave `counts` out");
            }
            if !BANDS.contains(&ranking.priority_service) {
                let bands: Vec<String> = BANDS.iter().map(ToString::to_string).collect();
                let message = format!("one of {} is expected", bands.join(", "));
                self.error(&["ranking", "priority_service"], message);
            }
        }
    }
}
