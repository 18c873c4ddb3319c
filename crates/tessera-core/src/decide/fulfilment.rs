//! What people do for a redemption: approve, send, hand over, or refuse; then the points go back to their lots (R7).

use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::FulfilmentStep;
use crate::ledger::{Fulfilment, FulfilmentState, Given, Redemption, RedemptionStatus};

impl Working<'_> {
    /// A redemption of what somebody has to bring about begins as requested.
    pub(super) fn requested(&self) -> Fulfilment {
        Fulfilment { state: FulfilmentState::Requested, since: self.at(), by: None }
    }

    pub(super) fn fulfil(&mut self, step: &FulfilmentStep) -> Result<(), Rejected> {
        let found = self.redemption(step.redemption)?;
        let redemption = self.redemption_id(step.redemption);
        if found.status != RedemptionStatus::Captured {
            return Err(Rejected::RedemptionClosed { redemption, status: found.status });
        }
        let Some(now) = found.given.as_ref().and_then(|given| given.fulfilment.clone()) else {
            return Err(Rejected::NothingToFulfil { redemption });
        };
        let next = now.state.next(self.needs_approval(&found));
        if !next.contains(&step.to) {
            return Err(Rejected::FulfilmentNotThere { redemption, state: now.state, wanted: step.to, next });
        }
        self.open_main("fulfilment", EventStatus::Applied);
        let found = if step.to == FulfilmentState::Refused { self.give_up(step.redemption, found) } else { found };
        let fulfilment = Some(Fulfilment { state: step.to, since: self.at(), by: Some(step.by.clone()) });
        let given = found.given.map(|given| Given { fulfilment, ..given });
        self.note_redemption(step.redemption, Redemption { given, ..found });
        self.follow_causes();
        Ok(())
    }

    fn needs_approval(&self, redemption: &Redemption) -> bool {
        let terms = &redemption.terms;
        let rules = self.inputs.versions.number(terms.version);
        let reward = terms.reward.as_ref().and_then(|id| rules?.reward(id.as_str()));
        let by_hand = reward.and_then(|reward| reward.definition.fulfilment);
        by_hand.is_some_and(|by_hand| by_hand.approval)
    }

    /// The member does not get it: stock, points and money go back.
    pub(super) fn give_up(&mut self, seq: u64, found: Redemption) -> Redemption {
        self.put_reward_back(&found.terms);
        let given = self.take_given_back(seq, &found);
        let found = Redemption { given, ..found };
        let (left, order_id) = (found.captured - found.returned, found.terms.order_id.clone());
        self.refund(seq, found.clone(), left, order_id.as_ref());
        Redemption { returned: found.captured, ..found }
    }
}
