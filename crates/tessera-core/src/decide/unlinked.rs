//! Returns that name no order (R11).

use super::outcome::points;
use super::working::Working;
use super::{Basis, EventStatus, OrderRecord, Rejected};
use crate::event::{Order, Return, ReturnItem};
use crate::member::{Change, Status};
use crate::program::{UnlinkedPolicy, Unmatched};
use crate::quantity::Amount;

impl Working<'_> {
    pub(super) fn unlinked_return(&mut self, back: &Return) -> Result<(), Rejected> {
        let settings = self.inputs.versions.at(self.at_effective()).definition.unlinked_returns.clone();
        match settings.policy {
            UnlinkedPolicy::Refuse => Err(Rejected::ReturnWithoutOrder),
            UnlinkedPolicy::TakeBack => {
                let order = as_order(back, &back.items);
                let basis = self.order_basis(&order)?;
                self.open_main("return", EventStatus::Applied);
                self.take_worth(&order, basis, false)
            }
            UnlinkedPolicy::Match => {
                let order = as_order(back, &back.items);
                let basis = self.order_basis(&order)?;
                self.open_main("return", EventStatus::Applied);
                let unmatched = self.match_units(back)?;
                if unmatched.is_empty() {
                    return Ok(());
                }
                match settings.unmatched {
                    Unmatched::Refuse => {
                        let what: Vec<&str> = unmatched.iter().filter_map(|left| left.item.sku.as_deref()).collect();
                        let what = if what.is_empty() { "these items".to_owned() } else { what.join(", ") };
                        Err(Rejected::Unmatched { what, within: settings.within.to_string() })
                    }
                    Unmatched::Clamp => self.take_worth(&as_order(&Return::default(), &unmatched), basis, true),
                }
            }
        }
    }

    /// Finds unreturned units of the same items in the member's purchases, newest first, and returns them there.
    /// What is left over was not found.
    fn match_units(&mut self, back: &Return) -> Result<Vec<ReturnItem>, Rejected> {
        let mut unmatched = back.items.clone();
        for record in self.inputs.orders {
            let mut found: Vec<ReturnItem> = Vec::new();
            let returned = record.progress.as_ref().map(|progress| progress.returned.clone()).unwrap_or_default();
            if returned.everything {
                continue;
            }
            for wanted in &mut unmatched {
                for (index, item) in record.content.items.iter().enumerate() {
                    let same = wanted.item.sku.is_some() && item.sku == wanted.item.sku;
                    let left = item.quantity - returned.units(index);
                    let take = wanted.item.quantity.min(left);
                    if !same || take <= Amount::ZERO {
                        continue;
                    }
                    let share = wanted.item.amount.portion(take.millionths(), wanted.item.quantity.millionths());
                    let line = Some(record.content.line_name(index));
                    found.push(ReturnItem { item: crate::event::Item { line, quantity: take, ..wanted.item.clone() } });
                    wanted.item.quantity -= take;
                    wanted.item.amount -= share;
                }
            }
            unmatched.retain(|wanted| wanted.item.quantity > Amount::ZERO);
            if !found.is_empty() {
                let part = Return { order_id: Some(record.order_id.clone()), items: found, ..Return::default() };
                self.return_units(record.clone(), &part)?;
            }
            if unmatched.is_empty() {
                break;
            }
        }
        Ok(unmatched)
    }

    /// Takes what the items would earn now: base and what multiplies it, not gifts that were given once.
    fn take_worth(&mut self, order: &Order, basis: Basis, clamp: bool) -> Result<(), Rejected> {
        let standings = self.standings();
        let content = basis.rate().map_or_else(|| order.clone(), |rate| order.converted(rate));
        self.change(Change::Returned { amount: content.total });
        if self.state.status == Status::Guest {
            return Ok(());
        }
        let evaluation = self.evaluate("purchase", Some(&content), &content.extra, &basis, None);
        let program = self.program.clone();
        let of_items = |campaign: &crate::program::Id| {
            program.campaign(campaign.as_str()).is_some_and(|campaign| campaign.is_base || campaign.rules.iter().any(|rule| rule.extra.is_some()))
        };
        let record = OrderRecord {
            order_id: "".into(),
            member: self.state.id,
            event: 0,
            effective_at: self.at_effective(),
            basis: basis.clone(),
            content: order.clone(),
            credits: Vec::new(),
            progress: None,
        };
        let mut totals = std::collections::BTreeMap::new();
        for award in evaluation.awards.iter().filter(|award| of_items(&award.campaign)) {
            let (all, base) = totals.entry(award.currency.clone()).or_insert((0, 0));
            *all += award.amount;
            *base += if award.is_base { award.amount } else { 0 };
        }
        for (currency, (all, base)) in totals {
            let balance = self.state.purse(currency.as_str()).map_or(0, |purse| purse.active().get());
            let taken = if clamp { all.min(balance) } else { all };
            if taken > 0 {
                self.take_back(&record, &currency, points(taken), &mut Vec::new())?;
            }
            self.measure_points(&currency, -base, -all, basis.day);
        }
        self.measure_spend(-content.net(&program.definition.base), basis.day);
        self.judge_tiers(&standings);
        self.follow_causes();
        if self.record().record.basis.is_none() {
            self.record().record.basis = Some(basis);
        }
        Ok(())
    }
}

/// The items as a purchase of their own, to see what they would earn.
fn as_order(back: &Return, items: &[ReturnItem]) -> Order {
    let items: Vec<_> = items.iter().map(|back| back.item.clone()).collect();
    let sum: Amount = items.iter().map(|item| item.amount).sum();
    Order {
        currency: back.currency.clone().unwrap_or_default(),
        total: back.total.unwrap_or(sum).abs(),
        items,
        ..Order::default()
    }
}
