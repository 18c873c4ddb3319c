//! A guest's order becomes a member's (P6): decided by the version of the purchase, at the base level, in the windows of
//! its day (I5), net of what has come back.

use compact_str::format_compact;

use super::outcome::{Effect, EffectKind};
use super::working::Working;
use super::{Basis, EventStatus, Rejected};
use crate::code::Code;
use crate::event::Claim;
use crate::expression::{Fact, FactValue};
use crate::member::{Change, Status};

impl Working<'_> {
    /// A guest's purchase says under which code it can be claimed, where the document has claims.
    pub(super) fn make_claimable(&mut self, order_id: &compact_str::CompactString) {
        let Some(claims) = self.program.definition.claims.as_ref().filter(|_| self.state.status == Status::Guest)
        else {
            return;
        };
        let code = Code::from_entropy(self.inputs.entropy);
        let effect = Effect {
            code: Some(code.as_str().into()),
            order_id: Some(order_id.clone()),
            expires_on: Some(claims.within.after(self.day())),
            ..Effect::of(EffectKind::Claimable)
        };
        self.effect(effect);
    }

    pub(super) fn claim_order(&mut self, claim: &Claim) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status != Status::Active {
            return Err(Rejected::NeedsMember);
        }
        let Some(record) = self.inputs.orders.first().cloned() else { return Err(Rejected::UnknownClaimCode) };
        self.program = self.inputs.versions.at(self.at_effective()).clone();
        let program = self.program.clone();
        let Some(claims) = &program.definition.claims else { return Err(Rejected::UnknownClaimCode) };
        let order_id = record.order_id.clone();
        let until = program.calendar.end(claims.within.after(program.calendar.day(self.at_effective())));
        if claim.claimed_at >= until {
            return Err(Rejected::ClaimTooLate { order_id, until });
        }
        if claim.is_own_sale {
            return Err(Rejected::OwnSale { order_id });
        }
        let today = program.calendar.day(claim.claimed_at);
        for (window, most) in &claims.per_member {
            let used = self.state.used(&format_compact!("claims/{}", window.name()), today.start_of(*window));
            if used >= *most {
                return Err(Rejected::ClaimedEnough { window: window.name(), most: *most });
            }
        }
        let basis = self.order_basis(&record.content)?;
        let basis = self.at_base_level(basis);
        self.open("claim", EventStatus::Applied, self.at_effective(), Some(self.inputs.payload.to_owned()));
        self.main = self.events.len() - 1;
        self.change(Change::Happened { at: self.at_effective() });
        for window in claims.per_member.keys() {
            let limit = format_compact!("claims/{}", window.name());
            let (from, until) = (today.start_of(*window), today.end_of(*window));
            self.change(Change::Used { limit, from, until, by: 1 });
        }
        self.effect(Effect { order_id: Some(order_id), ..Effect::of(EffectKind::Claimed) });
        let standings = self.standings();
        // Vouchers were used when it was bought.
        self.make_order(&record.content, basis, Vec::new());
        let mut made = self.order_made(&record.content);
        let returned = record.progress.map(|progress| progress.returned).unwrap_or_default();
        if !returned.is_nothing() {
            made.progress = Some(self.revalue(&made, None, returned)?);
        }
        self.judge_tiers(&standings);
        self.follow_causes();
        self.settle_parked(made);
        Ok(())
    }

    /// Nobody was at a level when a guest bought.
    fn at_base_level(&self, mut basis: Basis) -> Basis {
        for ladder in &self.program.ladders {
            let base = ladder.level(0).id.clone();
            if let Some(fact) = basis.facts.get_mut(&Fact::Tier(ladder.id.clone())) {
                *fact = FactValue::Text(base.clone());
            }
            basis.levels.insert(ladder.id.clone(), base);
        }
        basis
    }
}
