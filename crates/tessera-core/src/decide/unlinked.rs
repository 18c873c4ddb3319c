//! Returns that name no order (R11).

use std::collections::BTreeMap;

use super::outcome::points;
use super::working::Working;
use super::{Basis, EventStatus, OrderProgress, OrderRecord, Rejected};
use crate::event::{Item, Order, Return, ReturnItem};
use crate::member::{Change, Status};
use crate::program::{Campaign, Id, UnlinkedPolicy, Unmatched};
use crate::quantity::Amount;

impl Working<'_> {
    pub(super) fn unlinked_return(&mut self, back: &Return) -> Result<(), Rejected> {
        let settings = self.inputs.versions.at(self.at_effective()).definition.unlinked_returns.clone();
        if settings.policy == UnlinkedPolicy::Refuse {
            return Err(Rejected::ReturnWithoutOrder);
        }
        let basis = self.order_basis(&as_order(back, &back.items))?;
        self.open_main("return", EventStatus::Applied);
        if settings.policy == UnlinkedPolicy::TakeBack {
            return self.take_worth(&as_order(back, &back.items), basis, false);
        }
        let unmatched = self.match_units(back)?;
        // A return of no items, only an amount, matches nothing.
        if unmatched.is_empty() && !back.items.is_empty() {
            return Ok(());
        }
        match settings.unmatched {
            Unmatched::Refuse => {
                let what: Vec<&str> = unmatched.iter().filter_map(|left| left.item.sku.as_deref()).collect();
                let what = if what.is_empty() { "these items".to_owned() } else { what.join(", ") };
                Err(Rejected::Unmatched { what, within: settings.within.to_string() })
            }
            Unmatched::Clamp => {
                let whole = unmatched == back.items;
                let left = if whole { as_order(back, &unmatched) } else { as_order(&Return::default(), &unmatched) };
                self.take_worth(&left, basis, true)
            }
        }
    }

    /// Finds unreturned units of the same items in the member's purchases, newest first, and returns them there, each
    /// order in an event of its own. What is left over was not found.
    fn match_units(&mut self, back: &Return) -> Result<Vec<ReturnItem>, Rejected> {
        let mut unmatched = back.items.clone();
        let mut is_first = true;
        let (orders, at) = (self.inputs.orders, self.at_effective());
        for record in orders.iter().filter(|record| record.effective_at <= at) {
            let found = units_in(record, &mut unmatched);
            if !found.is_empty() {
                if !is_first {
                    self.open("return", EventStatus::Derived, self.at(), None);
                }
                is_first = false;
                let part = Return { order_id: Some(record.order_id.clone()), items: found, ..Return::default() };
                self.return_units(record, &part)?;
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
        let is_of_items =
            |campaign: &Campaign| campaign.is_base || campaign.rules.iter().any(|rule| rule.extra.is_some());
        let mut totals: BTreeMap<Id, (i64, i64)> = BTreeMap::new();
        for award in &evaluation.awards {
            if program.campaign(award.campaign.as_str()).is_some_and(is_of_items) {
                let (all, base) = totals.entry(award.currency.clone()).or_default();
                *all += award.amount;
                *base += if award.is_base { award.amount } else { 0 };
            }
        }
        let record = OrderRecord {
            order_id: "".into(),
            member: self.state.id,
            made_by: self.state.id,
            event: 0,
            effective_at: self.at_effective(),
            basis: basis.clone(),
            content: order.clone(),
            credits: Vec::new(),
            vouchers: Vec::new(),
            progress: None,
        };
        for (currency, (all, base)) in totals {
            let balance = self.state.purse(currency.as_str()).map_or(0, |purse| purse.active().get());
            let taken = if clamp { all.min(balance) } else { all };
            if taken > 0 {
                self.take_back(&record, &currency, points(taken), &mut OrderProgress::default())?;
            }
            self.measure_points(&currency, -base, -all, basis.day);
        }
        self.measure_spend(-content.net(&program.definition.base), basis.day);
        self.judge_tiers(&standings);
        self.follow_causes();
        self.record().record.basis.get_or_insert(basis);
        Ok(())
    }
}

/// The units of one order that are among those wanted and have not come back; takes them off what is wanted.
fn units_in(record: &OrderRecord, wanted: &mut Vec<ReturnItem>) -> Vec<ReturnItem> {
    let returned = record.progress.as_ref().map(|progress| progress.returned.clone()).unwrap_or_default();
    let mut found: Vec<ReturnItem> = Vec::new();
    if returned.everything {
        return found;
    }
    let mut left: Vec<Amount> =
        record.content.items.iter().enumerate().map(|(index, item)| item.quantity - returned.units(index)).collect();
    for wanted in wanted.iter_mut() {
        for (index, item) in record.content.items.iter().enumerate() {
            let take = wanted.item.quantity.min(left[index]);
            if wanted.item.sku.is_none() || item.sku != wanted.item.sku || take <= Amount::ZERO {
                continue;
            }
            let share = wanted.item.amount.portion(take.millionths(), wanted.item.quantity.millionths());
            let line = Some(record.content.line_name(index));
            found.push(ReturnItem { item: Item { line, quantity: take, ..wanted.item.clone() } });
            left[index] -= take;
            wanted.item.quantity -= take;
            wanted.item.amount -= share;
        }
    }
    wanted.retain(|wanted| wanted.item.quantity > Amount::ZERO);
    found
}

/// The items as a purchase of their own, to see what they would earn.
pub(super) fn as_order(back: &Return, items: &[ReturnItem]) -> Order {
    let items: Vec<_> = items.iter().map(|back| back.item.clone()).collect();
    let sum: Amount = items.iter().map(|item| item.amount).sum();
    Order {
        currency: back.currency.clone().unwrap_or_default(),
        total: back.total.unwrap_or(sum).abs(),
        items,
        ..Order::default()
    }
}
