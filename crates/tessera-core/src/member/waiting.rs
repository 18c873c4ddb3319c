use serde::{Deserialize, Serialize};

use crate::program::Id;
use crate::time::Instant;

/// A place in the list of those who wait for a reward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub reward: Id,
    pub place: i64,
    /// Until when it is set aside for the member (exclusive); `None` while they wait.
    pub offered_until: Option<Instant>,
}

/// What became of a place in such a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitState {
    Waiting,
    /// Set aside for the member for a while.
    Offered,
    Taken,
    /// The while is over.
    Passed,
    Left,
}

impl WaitState {
    /// The number stored for it; never changes.
    pub const fn code(self) -> i64 {
        match self {
            Self::Waiting => 1,
            Self::Offered => 2,
            Self::Taken => 3,
            Self::Passed => 4,
            Self::Left => 5,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Taken => "taken",
            Self::Passed => "passed",
            Self::Left => "left",
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Waiting, Self::Offered, Self::Taken, Self::Passed, Self::Left]
            .into_iter()
            .find(|state| state.code() == code)
    }
}
