//! What a member has done towards challenges, streaks and badges.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::MemberState;
use crate::program::{Every, Id};
use crate::quantity::Amount;
use crate::time::Day;

/// A member's way through one challenge, in one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub challenge: Id,
    /// The first day of the stretch, and the first day behind it.
    pub from: Day,
    pub until: Day,
    /// The day of joining, where that was asked for.
    pub joined: Option<Day>,
    pub value: Amount,
    /// Different values with how often each counted, sorted.
    pub values: Vec<(CompactString, i64)>,
    /// How many steps have been given.
    pub given: u32,
    /// What the last steps gave, as far as a return takes it back.
    pub rewards: Vec<Reward>,
}

impl Progress {
    pub(super) fn new(challenge: &Id, from: Day, until: Day) -> Self {
        Self {
            challenge: challenge.clone(),
            from,
            until,
            joined: None,
            value: Amount::ZERO,
            values: Vec::new(),
            given: 0,
            rewards: Vec::new(),
        }
    }

    /// Moves what counted. Of different values the number counts.
    pub(super) fn count(&mut self, by: Amount, values: &[(CompactString, i64)]) {
        self.value += by;
        for (value, by) in values {
            match self.values.binary_search_by(|(known, _)| known.cmp(value)) {
                Ok(place) => self.values[place].1 += by,
                Err(place) if self.values.len() < crate::program::VALUES_MAX => {
                    self.values.insert(place, (value.clone(), *by));
                }
                Err(_) => {}
            }
        }
        if !values.is_empty() {
            self.values.retain(|(_, count)| *count > 0);
            self.value = Amount::whole(i64::try_from(self.values.len()).unwrap_or(i64::MAX));
        }
    }
}

/// What a step or a milestone gave, so that it can be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reward {
    /// The step, from 0 over all rounds; the length of a milestone.
    pub place: u32,
    /// For a milestone: the period it was reached in.
    pub period: i32,
    pub event: u64,
    pub on: Day,
    pub points: Vec<(Id, i64)>,
    /// Benefits with the last day they were given for.
    pub benefits: Vec<(Id, Day)>,
    pub badges: Vec<Id>,
    /// Room of limits and budgets that it used.
    pub usage: Vec<(CompactString, i64)>,
}

/// A voucher that a step or milestone gave, and that goes when it is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepVoucher {
    /// The event that gave it.
    pub event: u64,
    /// The challenge or streak, and the place in it.
    pub of: Id,
    pub place: u32,
    /// Its code, as it is looked up.
    pub code: CompactString,
}

/// How many steps of one challenge can still be taken back; what older ones gave stays.
pub(super) const REWARDS_MAX: usize = 16;

/// Something a member holds and may show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Badge {
    pub badge: Id,
    pub on: Day,
}

/// Where a member stands among all, as last worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranked {
    /// Among the best so many in a hundred.
    pub top_percent: u8,
    pub on: Day,
}

/// Periods in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Periods that counted. 0 where there never was a run.
    pub length: u32,
    /// Periods that were missed in between.
    pub missed: u32,
    pub first: i32,
    pub last: i32,
}

impl Run {
    /// The run after a later period that counts.
    fn then(self, period: i32, grace: u32) -> Self {
        let fresh = Self { length: 1, missed: 0, first: period, last: period };
        if self.length == 0 {
            return fresh;
        }
        let missed = u32::try_from(period - self.last - 1).unwrap_or(0);
        if self.missed + missed > grace {
            return fresh;
        }
        Self { length: self.length + 1, missed: self.missed + missed, last: period, ..self }
    }
}

/// A member's streak: what is settled, and the periods that are still open.
///
/// The last [`Streak::OPEN`] periods can still change, by late events and by returns; what is older is folded into one
/// run. So the row is as large after ten years as after a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    pub streak: Id,
    pub every: Every,
    pub grace: u32,
    /// The run up to the first open period, and the longest until then.
    pub settled: Run,
    pub settled_longest: u32,
    /// Open periods with how many events counted in each, sorted.
    pub open: Vec<(i32, u32)>,
    /// The milestones given last, one for each length.
    pub rewards: Vec<Reward>,
}

impl Streak {
    /// Periods that are open, the current one included.
    pub const OPEN: i32 = 31;

    pub(super) fn new(streak: &Id, every: Every, grace: u32) -> Self {
        Self {
            streak: streak.clone(),
            every,
            grace,
            settled: Run::default(),
            settled_longest: 0,
            open: Vec::new(),
            rewards: Vec::new(),
        }
    }

    /// Counts an event in a period, or takes one out.
    pub(super) fn mark(&mut self, period: i32, by: i32) {
        match self.open.binary_search_by_key(&period, |(known, _)| *known) {
            Ok(place) => {
                self.open[place].1 = self.open[place].1.saturating_add_signed(by);
                if self.open[place].1 == 0 {
                    self.open.remove(place);
                }
            }
            Err(place) if by > 0 => self.open.insert(place, (period, by.unsigned_abs())),
            Err(_) => {}
        }
        let newest = self.open.last().map_or(period, |(newest, _)| *newest);
        while let Some((oldest, _)) = self.open.first().copied().filter(|(oldest, _)| *oldest <= newest - Self::OPEN) {
            self.settled = self.settled.then(oldest, self.grace);
            self.settled_longest = self.settled_longest.max(self.settled.length);
            self.open.remove(0);
        }
    }

    /// Becomes one with another member's streak.
    pub(super) fn take(&mut self, theirs: &Self, rewards: Vec<Reward>) {
        if (theirs.settled.last, theirs.settled.length) > (self.settled.last, self.settled.length) {
            self.settled = theirs.settled;
        }
        self.settled_longest = self.settled_longest.max(theirs.settled_longest);
        for (period, times) in &theirs.open {
            self.mark(*period, i32::try_from(*times).unwrap_or(i32::MAX));
        }
        self.rewards.extend(rewards);
        self.rewards.sort_by_key(|reward| (reward.place, std::cmp::Reverse(reward.period)));
        self.rewards.dedup_by_key(|reward| reward.place);
    }

    /// The runs that can still change, the last of them being the latest.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = (self.settled.length > 0).then_some(self.settled).into_iter().collect();
        for (period, _) in &self.open {
            let before = runs.last().copied().unwrap_or_default();
            let run = before.then(*period, self.grace);
            if run.first == before.first && before.length > 0 {
                runs.pop();
            }
            runs.push(run);
        }
        runs
    }

    pub fn run(&self) -> Run {
        self.runs().pop().unwrap_or_default()
    }

    /// Periods in a row, seen from one that has not ended: it may still be missed without ending the run.
    pub fn current(&self, period: i32) -> u32 {
        let run = self.run();
        let missed = u32::try_from(period - run.last - 1).unwrap_or(0);
        if run.missed + missed > self.grace { 0 } else { run.length }
    }

    pub fn longest(&self) -> u32 {
        self.runs().iter().map(|run| run.length).max().unwrap_or(0).max(self.settled_longest)
    }

    /// Whether a milestone was given in a run.
    pub fn was_given(&self, length: u32, run: Run) -> bool {
        self.rewards.iter().any(|reward| reward.place == length && reward.period >= run.first)
    }
}

impl MemberState {
    /// Of more than are kept the oldest stays good.
    pub(super) fn remember_voucher(&mut self, voucher: StepVoucher) {
        if self.step_vouchers.len() >= Self::STEP_VOUCHERS_MAX {
            self.step_vouchers.remove(0);
        }
        self.step_vouchers.push(voucher);
    }
}
