//! Freezing: by hand, where somebody looks into a case, and by itself, where a number went to somebody else (P4). What is
//! bought earns on; nothing is spent, sent or claimed.

use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::{Freeze, What};
use crate::member::{Change, Frozen, Status};

impl Working<'_> {
    /// Refuses what may not happen to a member who is frozen.
    pub(super) fn stop_if_frozen(&self, what: &What) -> Result<(), Rejected> {
        match self.state.frozen {
            Some(Frozen { since, quarantined }) if what.is_stopped_by_freezing() => {
                Err(Rejected::MemberFrozen { since, quarantined })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn freeze(&mut self, wish: &Freeze) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status != Status::Active {
            return Err(Rejected::NeedsMember);
        }
        if !wish.frozen && self.state.frozen.is_none() {
            return Err(Rejected::NotFrozen);
        }
        self.open_freezing(wish.event_type());
        let since = self.at();
        // Who was in quarantine is frozen by hand from now on: no second fact frees them.
        let frozen = wish.frozen.then_some(Frozen { since, quarantined: false });
        self.change(Change::Frozen { frozen });
        Ok(())
    }

    fn open_freezing(&mut self, kind: &str) {
        // No sign of life of the member's.
        self.open(kind, EventStatus::Applied, self.at_effective(), None);
        self.main = self.events.len() - 1;
    }
}
