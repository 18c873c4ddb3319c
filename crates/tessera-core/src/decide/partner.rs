//! What partners deliver for a redemption: ordered once its points are spent, followed by what they say of it. What they
//! refuse, do not deliver in time or take back gives the points back to their lots (R7).

use super::outcome::{Effect, EffectKind};
use super::working::Working;
use super::{EventStatus, PartnerOrder, Rejected};
use crate::event::PartnerStep;
use crate::ledger::{AtPartner, Given, PartnerState, Redemption, RedemptionStatus};
use crate::program::{EGift, Program};

impl Working<'_> {
    /// Orders an e-gift for a redemption.
    pub(super) fn order_e_gift(&mut self, redemption: u64, rules: &Program, gift: &EGift) -> AtPartner {
        let deadline = rules.definition.partners.get(&gift.partner).map(|partner| partner.deadline);
        let until = self.at().plus_seconds(deadline.unwrap_or_default().seconds());
        let (partner, product) = (gift.partner.clone(), gift.product.as_str().into());
        self.partner_orders.push(PartnerOrder { redemption, partner: partner.clone(), product, until });
        let id = Some(self.redemption_id(redemption));
        self.effect(Effect { redemption: id, partner: Some(partner.clone()), ..Effect::of(EffectKind::GiftOrdered) });
        AtPartner { partner, state: PartnerState::Ordered, since: self.at(), until, reason: None }
    }

    pub(super) fn partner_step(&mut self, step: &PartnerStep) -> Result<(), Rejected> {
        let found = self.redemption(step.redemption)?;
        let redemption = self.redemption_id(step.redemption);
        if found.status != RedemptionStatus::Captured {
            return Err(Rejected::RedemptionClosed { redemption, status: found.status });
        }
        let Some(now) = found.given.as_ref().and_then(|given| given.partner.clone()) else {
            return Err(Rejected::NotAtPartner { redemption });
        };
        let next = now.state.next();
        if !next.contains(&step.to) {
            return Err(Rejected::PartnerStateNotThere { redemption, state: now.state, wanted: step.to, next });
        }
        self.open_main("partner-notice", EventStatus::Applied);
        let kind = match step.to {
            PartnerState::Ordered => EffectKind::GiftOrdered,
            PartnerState::Delivered => EffectKind::GiftDelivered,
            PartnerState::Used => EffectKind::GiftUsed,
            PartnerState::Expired => EffectKind::GiftExpired,
            PartnerState::Refunded => EffectKind::GiftRefunded,
            PartnerState::Refused => EffectKind::GiftRefused,
        };
        let effect = Effect { redemption: Some(redemption), partner: Some(now.partner.clone()), ..Effect::of(kind) };
        self.effect(Effect { reason: step.reason.clone(), ..effect });
        let found = if step.to.gives_back() { self.give_up(step.redemption, found) } else { found };
        let partner = Some(AtPartner { state: step.to, since: self.at(), reason: step.reason.clone(), ..now });
        let given = found.given.map(|given| Given { partner, ..given });
        self.note_redemption(step.redemption, Redemption { given, ..found });
        self.follow_causes();
        Ok(())
    }
}
