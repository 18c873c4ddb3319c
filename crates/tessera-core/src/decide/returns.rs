//! Returns and corrections of an order: points(what it was) − points(what is left), by its own basis (R1-R4, R9, R12).

use compact_str::CompactString;

use super::working::Working;
use super::{Basis, EventStatus, OrderProgress, OrderRecord, PricedVoucher, Rejected};
use crate::event::{Exchange, Order, Return, ReturnItem, Returned};
use crate::quantity::Amount;

impl Working<'_> {
    pub(super) fn give_back(&mut self, back: &Return) -> Result<(), Rejected> {
        let Some(order_id) = &back.order_id else { return self.unlinked_return(back) };
        let Some(record) = self.inputs.orders.first().cloned() else { return self.park("return", order_id) };
        self.open_main("return", EventStatus::Applied);
        self.return_units(&record, back)?;
        Ok(())
    }

    pub(super) fn amend(&mut self, order: &Order) -> Result<(), Rejected> {
        let Some(record) = self.inputs.orders.first().cloned() else { return self.park("amend", &order.order_id) };
        self.check_payments(order)?;
        self.open_main("amend", EventStatus::Applied);
        self.amend_order(&record, order)?;
        Ok(())
    }

    /// Items back and items bought as one: tiers are judged by the net (R10).
    pub(super) fn exchange(&mut self, exchange: &Exchange) -> Result<(), Rejected> {
        let order_id = exchange.back.order_id.clone().unwrap_or_default();
        self.must_be_free(&exchange.bought.order_id)?;
        let is_back = |record: &&OrderRecord| record.order_id == order_id;
        let Some(record) = self.inputs.orders.iter().find(is_back).cloned() else {
            // Whether its vouchers are still good then, nobody can promise.
            if !exchange.bought.vouchers.is_empty() {
                return Err(Rejected::VouchersCannotWait { order_id });
            }
            return self.park("exchange", &order_id);
        };
        self.check_payments(&exchange.bought)?;
        // The new purchase reads the member as they were before the exchange (C8).
        let basis = self.order_basis(&exchange.bought)?;
        let vouchers = self.price_vouchers(&exchange.bought, &basis)?;
        self.open_main("exchange", EventStatus::Applied);
        let (_, bought) = self.exchange_units(&record, exchange, basis, vouchers)?;
        self.settle_parked(bought);
        Ok(())
    }

    /// A new order needs an id that no order has, not even one that this decision made.
    pub(super) fn must_be_free(&self, order_id: &CompactString) -> Result<(), Rejected> {
        let known = self.inputs.orders.iter().any(|record| record.order_id == *order_id);
        if known || self.orders.iter().any(|(made, _)| made == order_id) {
            return Err(Rejected::OrderExists { order_id: order_id.clone() });
        }
        Ok(())
    }

    /// An exchange inside the event that is open: the order that units come back of, and the new one.
    pub(super) fn exchange_units(
        &mut self,
        record: &OrderRecord,
        exchange: &Exchange,
        basis: Basis,
        vouchers: Vec<PricedVoucher>,
    ) -> Result<(OrderProgress, OrderRecord), Rejected> {
        let standings = self.standings();
        self.make_order(&exchange.bought, basis, vouchers);
        let bought = self.order_made(&exchange.bought);
        let progress = self.take_units(record, &exchange.back)?;
        self.judge_tiers(&standings);
        self.follow_causes();
        Ok((progress, bought))
    }

    /// A return of units, tiers judged at once.
    pub(super) fn return_units(&mut self, record: &OrderRecord, back: &Return) -> Result<OrderProgress, Rejected> {
        let standings = self.standings();
        let progress = self.take_units(record, back)?;
        self.judge_tiers(&standings);
        self.follow_causes();
        Ok(progress)
    }

    fn take_units(&mut self, record: &OrderRecord, back: &Return) -> Result<OrderProgress, Rejected> {
        if record.member != self.state.id {
            return Err(Rejected::OrderOfAnotherMember { order_id: record.order_id.clone() });
        }
        let before = record.progress.as_ref().map(|progress| progress.returned.clone()).unwrap_or_default();
        let returned = returned_units(&record.order_id, &record.content, &before, back)?;
        self.revalue(record, None, returned)
    }

    /// The order as it should have been, by difference (R12). The event that is open carries the new content.
    pub(super) fn amend_order(&mut self, record: &OrderRecord, order: &Order) -> Result<OrderProgress, Rejected> {
        if record.member != self.state.id {
            return Err(Rejected::OrderOfAnotherMember { order_id: record.order_id.clone() });
        }
        self.same_vouchers(record, order)?;
        let standings = self.standings();
        let before = record.progress.as_ref().map(|progress| progress.returned.clone()).unwrap_or_default();
        let returned = carried_over(&record.content, order, &before);
        let seq = self.record().seq;
        let progress = self.revalue(record, Some((order.clone(), seq)), returned)?;
        self.judge_tiers(&standings);
        self.follow_causes();
        Ok(progress)
    }
}

/// The units that have come back with this return, or why they cannot (R3).
fn returned_units(
    order_id: &CompactString,
    order: &Order,
    before: &Returned,
    back: &Return,
) -> Result<Returned, Rejected> {
    // Lines below zero correct others; nothing of them can come back.
    let left = |index: usize, lines: &[Amount]| {
        (order.items[index].quantity - lines.get(index).copied().unwrap_or_default()).max(Amount::ZERO)
    };
    let mut lines: Vec<Amount> = (0..order.items.len()).map(|index| before.units(index)).collect();
    if before.everything {
        return Err(Rejected::NothingLeft { order_id: order_id.clone() });
    }
    if back.items.is_empty() {
        return Ok(Returned { everything: true, lines: order.items.iter().map(|item| item.quantity).collect() });
    }
    for ReturnItem { item } in &back.items {
        let places = lines_named(order_id, order, item)?;
        let mut wanted = item.quantity;
        let there: Amount = places.iter().map(|place| left(*place, &lines)).sum();
        if wanted > there {
            let bought = places.iter().map(|place| order.items[*place].quantity).sum();
            let line = item.line.clone().or_else(|| item.sku.clone()).unwrap_or_default();
            return Err(Rejected::TooManyUnits { line, wanted, bought, returned: bought - there });
        }
        for place in places {
            let take = wanted.min(left(place, &lines));
            lines[place] += take;
            wanted -= take;
        }
    }
    // The last unit takes everything with it: shipping, tips, and lines without a quantity (R2).
    let everything = (0..lines.len()).all(|index| left(index, &lines) <= Amount::ZERO);
    Ok(Returned { everything, lines })
}

/// The lines a return item means: one by its name, or every line of a SKU.
fn lines_named(order_id: &CompactString, order: &Order, item: &crate::event::Item) -> Result<Vec<usize>, Rejected> {
    let places: Vec<usize> = match (&item.line, &item.sku) {
        (Some(line), _) => (0..order.items.len()).filter(|index| order.line_name(*index) == *line).collect(),
        (None, sku) => (0..order.items.len()).filter(|index| order.items[*index].sku == *sku).collect(),
    };
    if places.is_empty() {
        let known: Vec<String> =
            (0..order.items.len().min(20)).map(|index| order.line_name(index).to_string()).collect();
        let line = item.line.clone().or_else(|| item.sku.clone()).unwrap_or_default();
        return Err(Rejected::NoSuchLine { order_id: order_id.clone(), line, known: known.join(", ") });
    }
    Ok(places)
}

/// Units that had come back of the old content, on the lines of the same name in the new one.
fn carried_over(old: &Order, new: &Order, before: &Returned) -> Returned {
    let units = |index: usize| {
        let name = new.line_name(index);
        let place = (0..old.items.len()).find(|place| old.line_name(*place) == name);
        let back = place.map_or(Amount::ZERO, |place| before.units(place));
        // Of a line below zero nothing can come back.
        back.min(new.items[index].quantity).max(Amount::ZERO)
    };
    let lines: Vec<Amount> = (0..new.items.len()).map(units).collect();
    Returned { everything: before.everything, lines }
}
