use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::time::Instant;

/// How much of a velocity rule's limit the member has used in a window that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Velocity {
    /// The limit's name, with whom it is counted together behind it.
    pub rule: CompactString,
    pub from: Instant,
    /// The end of the window (exclusive); then it is forgotten.
    pub until: Instant,
    pub used: i64,
}

/// A member of whom nothing is spent, sent or claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    pub since: Instant,
    /// Their number went to somebody else after a long silence; a second fact ends it (P4). Else somebody froze them.
    pub quarantined: bool,
}
