//! What a member has beside points: levels they were placed on, and uses of benefits.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::MemberState;
use crate::event::PlacementKind;
use crate::program::{Id, id_or_empty};
use crate::quantity::Amount;
use crate::time::{Day, Instant};

/// A level that somebody put the member on. At most one of each kind on a ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    pub ladder: Id,
    pub kind: PlacementKind,
    pub level: Id,
    pub since: Instant,
    /// When it ends by itself (exclusive); `None`: when somebody ends it.
    pub until: Option<Instant>,
    pub reason: CompactString,
    /// What must be reached in it to stay.
    pub keep_if: Vec<Condition>,
}

/// So much of a measure, counted from when a trial began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Empty for a ladder's only measure.
    #[serde(deserialize_with = "id_or_empty")]
    pub measure: Id,
    pub needed: Amount,
    /// The bucket the trial began in, and what it held then.
    pub from: Day,
    pub before: Amount,
}

/// A use of a benefit, kept as long as it may be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenefitUse {
    /// The event it was used by.
    pub event: u64,
    pub benefit: Id,
    pub order_id: Option<CompactString>,
    /// Where it is counted: the limit, the first day of its window, and the first day behind it.
    pub counted: Vec<(CompactString, Day, Day)>,
    /// The first day on which it is forgotten.
    pub until: Day,
    /// The club that it is charged to when a fee is refunded, and what for, in minor units.
    pub club: Option<(Id, i64)>,
}

/// What a partner was told last of a benefit of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub benefit: Id,
    pub partner: Id,
    /// Counts what they were told, from 1.
    pub number: u32,
    /// Whether the member has it.
    pub granted: bool,
}

impl MemberState {
    /// Uses of benefits that are remembered; of more the oldest is forgotten.
    pub const USES_MAX: usize = 200;

    /// The placements on a ladder that hold at an instant.
    pub fn placements(&self, ladder: &str, at: Instant) -> impl Iterator<Item = &Placement> {
        let on = self.placements.iter().filter(move |placement| placement.ladder == *ladder);
        on.filter(move |placement| placement.until.is_none_or(|until| at < until))
    }

    pub fn benefit_use(&self, event: u64) -> Option<&BenefitUse> {
        self.uses.iter().find(|used| used.event == event)
    }

    pub(super) fn place(&mut self, placement: &Placement) {
        self.unplace(&placement.ladder, placement.kind);
        let place =
            self.placements.partition_point(|known| (&known.ladder, known.kind) < (&placement.ladder, placement.kind));
        self.placements.insert(place, placement.clone());
    }

    pub(super) fn unplace(&mut self, ladder: &Id, kind: PlacementKind) {
        self.placements.retain(|known| known.ladder != *ladder || known.kind != kind);
    }

    pub(super) fn tell(&mut self, told: &Told) {
        let known = self.told.iter_mut().find(|known| known.benefit == told.benefit && known.partner == told.partner);
        match known {
            Some(known) => *known = told.clone(),
            None => self.told.push(told.clone()),
        }
    }

    pub(super) fn use_benefit(&mut self, used: &BenefitUse) {
        if self.uses.len() >= Self::USES_MAX {
            self.uses.remove(0);
        }
        self.uses.push(used.clone());
    }
}
