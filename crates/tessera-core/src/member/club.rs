//! A member's paid membership of one plan.

use serde::{Deserialize, Serialize};

use super::MemberState;
use crate::program::Id;
use crate::time::{Day, Instant};

/// A paid membership, or what is left of one that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Club {
    pub plan: Id,
    pub status: ClubStatus,
    /// Since when they are in without a break.
    pub since: Instant,
    /// The version whose terms hold for this period.
    pub version: u32,
    /// The event that this period began by.
    pub event: u64,
    /// From where periods are counted, and how many have begun since: the n-th ends n periods after it.
    pub anchor: Day,
    pub periods: u32,
    /// The first day of the period, and the first day behind it.
    pub from: Day,
    pub until: Day,
    /// When it ends unless something happens (exclusive): the period, or its grace.
    pub ends_at: Instant,
    /// What was paid for this period, and for the next, in minor units.
    pub fee: i64,
    pub next_fee: Option<i64>,
    /// It is not to be renewed.
    pub cancelled: bool,
    /// The fee of the next period could not be collected.
    pub failed: bool,
    /// They have had its trial, in whichever period: shown to members and at the counter. Whoever was in the club before is not
    /// given one either way.
    pub tried: bool,
    pub refunded: bool,
    pub ended_at: Option<Instant>,
    /// What was used in this period of what the plan gives.
    pub used: Vec<UsedOfClub>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedOfClub {
    pub benefit: Id,
    pub times: i64,
    /// Of one use, in minor units.
    pub worth: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClubStatus {
    Trial,
    Paid,
    /// The period is over, and the next was not paid.
    Grace,
    Ended,
}

impl Club {
    /// Whether its benefits can be used at an instant.
    pub fn is_open(&self, at: Instant) -> bool {
        self.status != ClubStatus::Ended && at < self.ends_at
    }

    /// Counts uses of a benefit, or takes them back.
    pub(crate) fn count(&mut self, benefit: &Id, worth: i64, by: i64) {
        match self.used.iter_mut().find(|used| used.benefit == *benefit && used.worth == worth) {
            Some(used) => used.times += by,
            None => self.used.push(UsedOfClub { benefit: benefit.clone(), times: by, worth }),
        }
        self.used.retain(|used| used.times > 0);
    }
}

impl MemberState {
    pub fn club(&self, plan: &str) -> Option<&Club> {
        self.clubs.iter().find(|club| club.plan == *plan)
    }

    pub(super) fn set_club(&mut self, club: &Club) {
        match self.clubs.binary_search_by(|known| known.plan.cmp(&club.plan)) {
            Ok(place) => self.clubs[place] = club.clone(),
            Err(place) => self.clubs.insert(place, club.clone()),
        }
    }
}
