use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::program::Id;
use crate::quantity::Amount;
use crate::time::{Day, Period};

/// How somebody has a level beside what they reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacementKind {
    /// Asked in, for as long as it says or for good.
    Invite,
    /// A level held in another program, honoured for a time.
    Match,
    /// A level to try, for a time; kept if what was asked was reached in it.
    Trial,
    /// Kept through every review.
    Lock,
}

impl PlacementKind {
    pub const ALL: [Self; 4] = [Self::Invite, Self::Match, Self::Trial, Self::Lock];

    /// The word of the API and of the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Match => "match",
            Self::Trial => "trial",
            Self::Lock => "lock",
        }
    }

    /// What people call it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Invite => "by invitation",
            Self::Match => "status match",
            Self::Trial => "on trial",
            Self::Lock => "locked",
        }
    }
}

/// Puts a member on a level, or takes back that somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceTier {
    pub ladder: Id,
    pub step: PlacementStep,
    /// Why, shown in the member's history; for a status match also the other program.
    pub reason: CompactString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacementStep {
    Place {
        kind: PlacementKind,
        /// Left out of a lock: the level the member has.
        level: Option<Id>,
        ends: PlacementEnd,
        /// For a trial: what must be reached in it to stay, by measure; under the empty name for a ladder's only one.
        keep_if: BTreeMap<Id, Amount>,
    },
    Unlock,
    /// Ends an invitation, a match or a trial before its time.
    Withdraw(PlacementKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementEnd {
    Open,
    /// The last program day.
    Until(Day),
    /// So long from today, the last day included.
    For(Period),
}

impl PlaceTier {
    /// The type of its event in the member's history.
    pub const fn event_type(&self) -> &'static str {
        match &self.step {
            PlacementStep::Place { kind: PlacementKind::Invite, .. } => "tier-invite",
            PlacementStep::Place { kind: PlacementKind::Match, .. } => "tier-match",
            PlacementStep::Place { kind: PlacementKind::Trial, .. } => "tier-trial",
            PlacementStep::Place { kind: PlacementKind::Lock, .. } => "tier-lock",
            PlacementStep::Unlock => "tier-unlock",
            PlacementStep::Withdraw(_) => "tier-withdraw",
        }
    }
}
