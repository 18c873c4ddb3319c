//! What gift cards and pools of households paid of an order.

use tessera_core::event::What;
use tessera_core::ledger::RedemptionStatus;
use tessera_core::program::GIFT_CARD;

use super::batch::One;
use super::whom::{Whom, known_member};
use crate::submission::{Refusal, Submission};

impl One<'_> {
    /// What gift cards paid of an order: each redemption is one of a card, spent for this order and not given back (V3).
    pub(super) fn card_payments(&self, command: &Submission) -> Result<(), Refusal> {
        let program = command.program.number;
        let (order, is_new) = match &command.what {
            What::Purchase(order) => (order, true),
            What::Amend(order) => (order, false),
            What::Exchange(exchange) => (&exchange.bought, true),
            _ => return Ok(()),
        };
        let versions = command.program.versions();
        let rules = versions.at(command.effective_at);
        let foreign = !order.currency.is_empty() && order.currency != rules.definition.currency;
        for payment in &order.payments {
            let Some(id) = payment.by_gift_card() else { continue };
            let known = self.loaded.redemptions.get(&(program, id)).filter(|known| known.terms.currency == GIFT_CARD);
            let Some(known) = known.filter(|known| known.status == RedemptionStatus::Captured) else {
                let detail =
                    format!("payments: no gift card has spent anything by a redemption {id}: capture it first");
                return Err(Refusal::new("unknown-redemption", detail).with("redemption", id.to_string()));
            };
            if let Some(other) = known.terms.order_id.as_ref().filter(|other| **other != order.order_id) {
                let detail = format!("payments: the redemption {id} of a gift card paid for the order {other}");
                let refusal = Refusal::new("redemption-of-another-order", detail);
                return Err(refusal.with("redemption", id.to_string()).with("order_id", other.as_str()));
            }
            let spent = rules.money.amount(if is_new { known.captured - known.returned } else { known.captured });
            if !foreign && payment.amount > spent {
                let detail = format!("payments: {} is more than the {spent} that the gift card paid", payment.amount);
                let refusal = Refusal::new("gift-card-paid-less", detail).with("redemption", id.to_string());
                return Err(refusal.with("amount", payment.amount.to_string()).with("paid", spent.to_string()));
            }
        }
        Ok(())
    }

    /// What pools paid of an order: each redemption is there, spent for this order or for none in particular. Whose pool it
    /// is, the member knows.
    pub(super) fn pool_payments(&self, command: &Submission, whom: &Whom) -> Result<(), Refusal> {
        let program = command.program.number;
        let known = known_member(whom).and_then(|member| self.loaded.members.get(&(program, member)));
        let Some(member) = known.map(|known| &known.state) else { return Ok(()) };
        let order = match &command.what {
            What::Purchase(order) | What::Amend(order) => order,
            What::Exchange(exchange) => &exchange.bought,
            _ => return Ok(()),
        };
        let by_points = order.payments.iter().filter_map(|payment| payment.by_points());
        for id in by_points.filter(|paid| member.number_of(*paid).is_none()) {
            let known = self.loaded.redemptions.get(&(program, id)).filter(|known| known.by.is_some());
            let Some(known) = known else {
                let detail = format!("payments: there is no redemption {id} of the member or their household");
                return Err(Refusal::new("unknown-redemption", detail).with("redemption", id.to_string()));
            };
            if let Some(other) = known.terms.order_id.as_ref().filter(|other| **other != order.order_id) {
                let detail = format!("payments: the redemption {id} of a pool paid for the order {other}");
                let refusal = Refusal::new("redemption-of-another-order", detail);
                return Err(refusal.with("redemption", id.to_string()).with("order_id", other.as_str()));
            }
        }
        Ok(())
    }
}
