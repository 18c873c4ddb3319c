//! Returns and corrections of an order: points(what it was) − points(what is left), by its own basis (R1-R4, R9, R12).

use std::collections::BTreeMap;

use compact_str::CompactString;

use super::evaluate::Evaluation;
use super::outcome::{Effect, EffectKind, points};
use super::working::Working;
use super::{Credit, EventStatus, OrderProgress, OrderRecord, Rejected};
use crate::event::{Exchange, Order, Return, ReturnItem, Returned};
use crate::ledger::{Account, EntryKind};
use crate::member::{Change, Status};
use crate::program::{Id, OnReturn};
use crate::quantity::{Amount, Points};

impl Working<'_> {
    pub(super) fn give_back(&mut self, back: &Return) -> Result<(), Rejected> {
        let Some(order_id) = &back.order_id else { return self.unlinked_return(back) };
        let Some(record) = self.inputs.orders.first().cloned() else { return self.park("return", order_id) };
        self.open_main("return", EventStatus::Applied);
        self.return_units(record, back)?;
        Ok(())
    }

    pub(super) fn amend(&mut self, order: &Order) -> Result<(), Rejected> {
        let Some(record) = self.inputs.orders.first().cloned() else { return self.park("amend", &order.order_id) };
        self.open_main("amend", EventStatus::Applied);
        let main = self.main;
        self.amend_order(record, order, main)?;
        Ok(())
    }

    /// Items back and items bought as one: tiers are judged by the net (R10).
    pub(super) fn exchange(&mut self, exchange: &Exchange) -> Result<(), Rejected> {
        let order_id = exchange.back.order_id.clone().unwrap_or_default();
        let is_back = |record: &&OrderRecord| record.order_id == order_id;
        let Some(record) = self.inputs.orders.iter().find(is_back).cloned() else { return self.park("exchange", &order_id) };
        if self.inputs.orders.iter().any(|record| record.order_id == exchange.bought.order_id) {
            return Err(Rejected::OrderExists { order_id: exchange.bought.order_id.clone() });
        }
        // The new purchase reads the member as they were before the exchange (C8).
        let basis = self.order_basis(&exchange.bought)?;
        let standings = self.standings();
        let bought = self.make_order(&exchange.bought, basis, false);
        let main = self.main;
        self.events[main].kind = "exchange".into();
        self.take_units(record, &exchange.back)?;
        self.judge_tiers(&standings);
        self.follow_causes();
        self.settle_parked(bought)
    }

    /// A return of units, tiers judged at once.
    pub(super) fn return_units(&mut self, record: OrderRecord, back: &Return) -> Result<OrderProgress, Rejected> {
        let standings = self.standings();
        let progress = self.take_units(record, back)?;
        self.judge_tiers(&standings);
        self.follow_causes();
        Ok(progress)
    }

    pub(super) fn take_units(&mut self, record: OrderRecord, back: &Return) -> Result<OrderProgress, Rejected> {
        if record.member != self.state.id {
            return Err(Rejected::OrderOfAnotherMember { order_id: record.order_id });
        }
        let before = record.progress.as_ref().map(|progress| progress.returned.clone()).unwrap_or_default();
        let returned = returned_units(&record.order_id, &record.content, &before, back)?;
        self.revalue(record, None, returned)
    }

    /// The order as it should have been, by difference (R12). `event`: the event that carries the new content.
    pub(super) fn amend_order(&mut self, record: OrderRecord, order: &Order, event: usize) -> Result<OrderProgress, Rejected> {
        if record.member != self.state.id {
            return Err(Rejected::OrderOfAnotherMember { order_id: record.order_id });
        }
        let standings = self.standings();
        let before = record.progress.as_ref().map(|progress| progress.returned.clone()).unwrap_or_default();
        let returned = carried_over(&record.content, order, &before);
        let seq = self.events[event].seq;
        let progress = self.revalue(record, Some((order.clone(), seq)), returned)?;
        self.judge_tiers(&standings);
        self.follow_causes();
        Ok(progress)
    }

    /// Brings what an order earned to what it would have earned with this content, less these units.
    fn revalue(&mut self, record: OrderRecord, content: Option<(Order, u64)>, returned: Returned) -> Result<OrderProgress, Rejected> {
        let program = self.program.clone();
        // R4: the version and facts of the purchase decide, never today's.
        let rules = self.inputs.versions.number(record.basis.version).cloned().unwrap_or_else(|| program.clone());
        let convert = |order: &Order| record.basis.rate().map_or_else(|| order.clone(), |rate| order.converted(rate));
        let old = convert(&record.content);
        let progress = match &record.progress {
            Some(progress) => progress.clone(),
            None => self.untouched(&record, &old, &rules),
        };
        let (new, seq, amended) = match &content {
            Some((order, seq)) => (convert(order), *seq, true),
            None => (old.clone(), progress.content, false),
        };
        let rest = new.without(&returned);
        let full = self.by_basis(&rules, &record, &new);
        let left = if returned.everything { Evaluation::default() } else { self.by_basis(&rules, &record, &rest) };
        let spent = if returned.everything { Amount::ZERO } else { rest.net(&rules.definition.base) };
        let mut next = OrderProgress {
            content: seq,
            returned,
            spend: spent,
            usage: left.returnable_usage(),
            changes: progress.changes + 1,
            ..progress.clone()
        };
        let guest = self.state.status == Status::Guest;
        if !amended {
            let gone = old.without(&progress.returned).total - rest.total;
            self.change(Change::Returned { amount: gone });
        }
        if !guest {
            self.move_points(&record, &progress, &mut next, &full, &left, amended)?;
            let day = record.basis.day;
            self.measure_spend(next.spend - progress.spend, day);
            for (limit, used) in &progress.usage {
                let now = next.usage.get(limit).copied().unwrap_or(0);
                self.use_limit(limit, now - used, day);
            }
            self.expire_dead_on_arrival();
        }
        let at = self.events.len() - 1;
        self.events[at].record.progress = Some((record.order_id.clone(), next.clone()));
        self.progress.retain(|(known, _)| *known != record.order_id);
        self.progress.push((record.order_id.clone(), next.clone()));
        Ok(next)
    }

    /// What an order has brought before anything happened to it.
    fn untouched(&mut self, record: &OrderRecord, content: &Order, rules: &crate::program::Program) -> OrderProgress {
        let evaluation = self.by_basis(rules, record, content);
        OrderProgress {
            content: record.event,
            net: evaluation.totals(),
            net_base: evaluation.base_totals(),
            spend: content.net(&rules.definition.base),
            usage: evaluation.returnable_usage(),
            ..OrderProgress::default()
        }
    }

    /// Evaluates an order's content by the version and basis of the purchase.
    fn by_basis(&mut self, rules: &crate::program::Program, record: &OrderRecord, content: &Order) -> Evaluation {
        let spendable = |_: &Id| 0;
        let look = super::evaluate::Look {
            program: rules,
            kind: "purchase",
            order: Some(content),
            data: &content.extra,
            basis: &record.basis,
            only: None,
            spendable: &spendable,
            explain: false,
        };
        super::evaluate::evaluate(&look)
    }

    fn move_points(
        &mut self,
        record: &OrderRecord,
        before: &OrderProgress,
        next: &mut OrderProgress,
        full: &Evaluation,
        left: &Evaluation,
        amended: bool,
    ) -> Result<(), Rejected> {
        let (full_net, left_net, left_base) = (full.totals(), left.totals(), left.base_totals());
        let currencies: Vec<Id> = before.net.keys().chain(left_net.keys()).cloned().collect();
        let (mut net, mut net_base) = (BTreeMap::new(), BTreeMap::new());
        for currency in currencies {
            if net.contains_key(&currency) {
                continue;
            }
            let of = |map: &BTreeMap<Id, i64>| map.get(&currency).copied().unwrap_or(0);
            let keeps = self.program.currency(currency.as_str()).is_some_and(|definition| definition.on_return == OnReturn::Keep);
            let had = of(&before.net);
            // A return never earns: what is left is worth at most what the whole was (R3).
            let has = if keeps && !amended { had } else { of(&left_net).min(of(&full_net)) };
            let has_base = if keeps && !amended { of(&before.net_base) } else { of(&left_base).min(has) };
            if has < had {
                self.take_back(record, &currency, points(had - has), &mut next.taken)?;
            } else if has > had {
                self.restore(record, &currency, has - had, full, amended, &mut next.added);
            }
            self.measure_difference(record, &currency, has_base - of(&before.net_base), has - had);
            net.insert(currency.clone(), has);
            net_base.insert(currency, has_base);
        }
        (next.net, next.net_base) = (net, net_base);
        Ok(())
    }

    /// Counts the difference to tiers, in the window of the purchase (T2); points still pending count when they mature.
    fn measure_difference(&mut self, record: &OrderRecord, currency: &Id, base: i64, all: i64) {
        let wait = self.state.purse(currency.as_str()).and_then(|purse| purse.waits.iter().find(|wait| wait.event == record.event)).cloned();
        match wait {
            Some(wait) if !self.counts_now(currency) => {
                let counts = points(wait.base.get() + base);
                self.change(Change::Waits {
                    currency: currency.clone(),
                    event: wait.event,
                    order_id: wait.order_id,
                    earned_on: wait.earned_on,
                    matures_at: wait.matures_at,
                    until: wait.until,
                    version: wait.version,
                    base: counts,
                });
            }
            // Taken back before it matured: it never counted.
            None if !self.counts_now(currency) && self.was_pending(record, currency) => {}
            _ => self.measure_points(currency, base, all, record.basis.day),
        }
    }

    /// Whether the order's points were still pending when this event began.
    fn was_pending(&self, record: &OrderRecord, currency: &Id) -> bool {
        let entries = self.events.last().map(|event| event.entries.as_slice()).unwrap_or_default();
        entries.iter().any(|entry| {
            entry.currency == *currency
                && entry.from == Account::Pending
                && entry.lot.as_ref().is_some_and(|lot| lot.order == Some(record.event))
        })
    }

    /// Gives what a correction adds, dated by the order's own day.
    fn restore(&mut self, record: &OrderRecord, currency: &Id, amount: i64, full: &Evaluation, amended: bool, added: &mut Vec<Credit>) {
        let program = self.program.clone();
        let Some(definition) = program.currency(currency.as_str()) else { return };
        let campaign = full.awards.iter().find(|award| award.currency == *currency).map(|award| award.campaign.clone());
        let mut credits = Vec::new();
        let kind = if amended { EffectKind::Accrual } else { EffectKind::Restored };
        let effect = Effect { order_id: Some(record.order_id.clone()), campaign: campaign.clone(), ..Effect::of(kind) };
        let waiting = self.state.purse(currency.as_str()).is_some_and(|purse| purse.waits.iter().any(|wait| wait.event == record.event));
        if definition.pending.waits() && waiting {
            self.add_to_wait(record, currency, amount, campaign.as_ref(), effect, &mut credits);
        } else {
            let spendable = crate::program::CurrencyDefinition { pending: crate::program::Pending::default(), ..definition.clone() };
            let amount = Points::clamped(i128::from(amount));
            self.accrue(&spendable, currency, amount, None, record.basis.day, campaign.as_ref(), effect, &mut credits);
        }
        added.append(&mut credits);
        self.moved(currency);
    }

    fn add_to_wait(
        &mut self,
        record: &OrderRecord,
        currency: &Id,
        amount: i64,
        campaign: Option<&Id>,
        effect: Effect,
        credits: &mut Vec<Credit>,
    ) {
        let wait = self.state.purse(currency.as_str()).and_then(|purse| purse.waits.iter().find(|wait| wait.event == record.event)).cloned();
        let Some((wait, lot)) = wait.and_then(|wait| wait.lots.first().cloned().map(|lot| (wait, lot))) else { return };
        let reference = crate::ledger::LotRef { last_day: lot.last_day, funder: lot.funder.clone(), order: Some(wait.event) };
        let posting = super::working::Posting {
            currency,
            amount: points(amount),
            lot: Some(reference.clone()),
            expires_at: lot.expires_at,
            campaign,
        };
        self.post(EntryKind::Accrual, Account::Issued, Account::Pending, posting);
        self.effect(Effect {
            kind: EffectKind::Pending,
            currency: Some(currency.clone()),
            amount: Some(amount),
            matures_at: wait.matures_at,
            expires_on: lot.last_day,
            ..effect
        });
        credits.push(Credit { currency: currency.clone(), amount, lot: Some(reference) });
    }
}

/// The units that have come back with this return, or why they cannot (R3).
fn returned_units(order_id: &CompactString, order: &Order, before: &Returned, back: &Return) -> Result<Returned, Rejected> {
    let left = |index: usize, lines: &[Amount]| order.items[index].quantity - lines.get(index).copied().unwrap_or_default();
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
    let everything = (0..lines.len()).all(|index| left(index, &lines).is_zero());
    Ok(Returned { everything, lines })
}

/// The lines a return item means: one by its name, or every line of a SKU.
fn lines_named(order_id: &CompactString, order: &Order, item: &crate::event::Item) -> Result<Vec<usize>, Rejected> {
    let places: Vec<usize> = match (&item.line, &item.sku) {
        (Some(line), _) => (0..order.items.len()).filter(|index| order.line_name(*index) == *line).collect(),
        (None, sku) => (0..order.items.len()).filter(|index| order.items[*index].sku == *sku).collect(),
    };
    if places.is_empty() {
        let known: Vec<String> = (0..order.items.len().min(20)).map(|index| order.line_name(index).to_string()).collect();
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
        place.map_or(Amount::ZERO, |place| before.units(place)).min(new.items[index].quantity)
    };
    let lines: Vec<Amount> = (0..new.items.len()).map(units).collect();
    Returned { everything: before.everything, lines }
}
