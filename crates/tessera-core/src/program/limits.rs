use super::{Cap, Limit};
use crate::time::Window;

/// Compiled limits of a rule or a campaign (C1, C2).
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub per_event: Option<CapRule>,
    pub per_member: Vec<(Window, CapRule)>,
    pub program: Vec<(Window, CapRule)>,
    /// Whether a return gives room back.
    pub give_back: bool,
}

/// At most so many points, or so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapRule {
    pub counts_times: bool,
    pub max: i64,
}

impl Limits {
    /// `fixed`: whether what is limited gives the same each time, so that a bare number counts times.
    pub(super) fn compile(limit: Option<&Limit>, fixed: bool) -> Self {
        let Some(limit) = limit else { return Self::default() };
        let rule = |cap: Cap| CapRule {
            counts_times: match cap {
                Cap::Plain(_) => fixed,
                Cap::Times(_) => true,
                Cap::Points(_) => false,
            },
            max: cap.number(),
        };
        Self {
            per_event: limit.per_event.map(rule),
            per_member: limit.per_member.iter().map(|(window, cap)| (*window, rule(*cap))).collect(),
            program: limit.program.iter().map(|(window, cap)| (*window, rule(*cap))).collect(),
            give_back: limit.returns_give_back.unwrap_or(true),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.per_event.is_none() && self.per_member.is_empty() && self.program.is_empty()
    }
}
