//! Where a member stands among all: worked out by a job over everybody, and told to each by a command of their own, so
//! that a decision reads nothing but the member.

use super::working::Working;
use super::{EventStatus, Rejected};
use crate::member::{Change, MemberState, Ranked};
use crate::program::{Measure, Program};
use crate::quantity::Amount;

/// What a member is ranked by; `None` where the program ranks nobody.
pub fn score(program: &Program, member: &MemberState) -> Option<Amount> {
    Some(match &program.definition.ranking.as_ref()?.by {
        Measure::Earned { earned, .. } => Amount::whole(member.issued(earned.as_str()).get()),
        _ => member.statistics.spend - member.statistics.returned,
    })
}

impl Working<'_> {
    /// Notes where the member stands by now.
    pub(super) fn rank(&mut self, top_percent: Option<u8>) -> Result<(), Rejected> {
        let at = self.at_effective();
        self.program = self.inputs.versions.at(at).clone();
        self.open("ranking", EventStatus::Derived, at, None);
        self.main = self.events.len() - 1;
        let on = self.day();
        self.change(Change::Ranked { ranked: top_percent.map(|top_percent| Ranked { top_percent, on }) });
        Ok(())
    }
}
