//! What an order is worth after a return or a correction, and the difference to what it was worth before (R1, R2, R4, R12).

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use rust_decimal::Decimal;

use super::basis::{self, Usage};
use super::evaluate::{self, Evaluation, Look};
use super::outcome::points;
use super::working::{Working, counts_at_once};
use super::{OrderProgress, OrderRecord, Rejected, RuleTrace};
use crate::event::{Order, Returned};
use crate::ledger::Account;
use crate::member::{Change, Status};
use crate::program::{Id, OnReturn, Program};
use crate::quantity::Amount;

impl Working<'_> {
    /// Brings what an order brought to what it would have brought with this content, less these units.
    ///
    /// `content` comes with the event that carries it; `None` for the content as it is.
    pub(super) fn revalue(
        &mut self,
        record: &OrderRecord,
        content: Option<(Order, u64)>,
        returned: Returned,
    ) -> Result<OrderProgress, Rejected> {
        let rules = self.rules_of(record);
        let convert = |order: &Order| record.basis.rate().map_or_else(|| order.clone(), |rate| order.converted(rate));
        let old = convert(&record.content);
        let mut before = record.progress.clone().unwrap_or_else(|| untouched(record, &old, &rules));
        self.know_what_came_home(record, &mut before);
        // Of an order that came back under an earlier version, or was forgotten.
        self.note_shortfalls(record, &before);
        let (new, seq, amended) = match &content {
            Some((order, seq)) => (convert(order), *seq, true),
            None => (old.clone(), before.content, false),
        };
        let rooms = if amended {
            self.rooms_left(&rules, record, &by_basis(&rules, record, &old, &before.rooms), &before)
        } else {
            before.rooms.clone()
        };
        let rest = new.without(&returned);
        let full = by_basis(&rules, record, &new, &rooms);
        let left = if returned.everything { Evaluation::default() } else { by_basis(&rules, record, &rest, &rooms) };
        let all_back = returned.everything && !before.returned.everything;
        let mut next = OrderProgress {
            content: seq,
            spend: if returned.everything { Amount::ZERO } else { rest.net(&rules.definition.base) },
            returned,
            usage: no_more_than(left.returnable_usage(), &full.returnable_usage()),
            rooms,
            carried: carried_by(&left),
            changes: before.changes + 1,
            ..before.clone()
        };
        let day = record.basis.day;
        if amended {
            let by = new.total - old.total;
            if !by.is_zero() {
                self.change(Change::Corrected { by, on: day });
            }
        } else {
            self.change(Change::Returned { amount: old.without(&before.returned).total - rest.total });
        }
        // Before anything is taken back: else it would be owed while what was spent comes home (R7).
        let until_now = if amended { rest.clone() } else { new.without(&before.returned) };
        self.refund_order(record, &new, (&until_now, &rest), &mut next)?;
        if self.state.status != Status::Guest {
            self.move_points(record, &before, &mut next, &full, &left, amended)?;
            self.measure_spend(next.spend - before.spend, day);
            if all_back {
                self.measure_event("purchase", -1, day);
                self.return_benefits_of(&record.order_id);
            }
            self.move_usage(&before, &next, record);
            self.move_carried(&before, &next);
            let trigger = rules.trigger("purchase");
            if !record.basis.playing.is_empty() || trigger.is_some_and(|trigger| !trigger.streaks.is_empty()) {
                let until_now = match before.returned.everything {
                    true => Evaluation::default(),
                    false => by_basis(&rules, record, &old.without(&before.returned), &before.rooms),
                };
                self.play_again(&rules, &until_now, &left)?;
            }
            self.expire_dead_on_arrival();
        }
        if all_back {
            self.rearm_vouchers(record);
        }
        self.note_progress(&record.order_id, &next);
        self.note_shortfalls(record, &next);
        self.qualifies_still(record, (!next.returned.everything).then_some(&rest));
        if self.inputs.explain {
            self.trace.extend(explain_order(&rules, record, content.as_ref().map(|(order, _)| order), &next));
        }
        Ok(next)
    }

    /// The room that a correction finds under each limit where it is less than the purchase had: what others have used
    /// since is theirs, and a budget is never overspent (C5).
    fn rooms_left(
        &self,
        rules: &Program,
        record: &OrderRecord,
        old: &Evaluation,
        before: &OrderProgress,
    ) -> BTreeMap<CompactString, i64> {
        let mut rooms = before.rooms.clone();
        for (limit, window, most) in basis::limits_of(rules, "purchase", record.basis.day) {
            let used = match window {
                Some(window) => self.used(&limit, record.basis.day.start_of(window)),
                None => self.pool(&limit),
            };
            let own = old.usage.get(&limit).map_or(0, |usage| usage.by);
            let left = most.saturating_sub(used).saturating_add(own).max(0);
            let known = before.rooms.get(&limit).or(record.basis.rooms.get(&limit));
            if known.is_some_and(|known| left < *known) {
                rooms.insert(limit, left);
            }
        }
        rooms
    }

    /// The rules an order was decided by (R4): never today's.
    pub(super) fn rules_of(&self, record: &OrderRecord) -> std::sync::Arc<Program> {
        self.inputs.versions.number(record.basis.version).cloned().unwrap_or_else(|| self.program.clone())
    }

    /// How far an order has come, as it is or as it would be were it asked now.
    pub(super) fn progress_of(&self, record: &OrderRecord) -> OrderProgress {
        record.progress.clone().unwrap_or_else(|| {
            let content =
                record.basis.rate().map_or_else(|| record.content.clone(), |rate| record.content.converted(rate));
            untouched(record, &content, &self.rules_of(record))
        })
    }

    /// Keeps an order's progress, with its key and with the event that brought it there.
    pub(super) fn note_progress(&mut self, order_id: &CompactString, progress: &OrderProgress) {
        self.record().record.progress = Some((order_id.clone(), progress.clone()));
        self.progress.retain(|(known, _)| known != order_id);
        self.progress.push((order_id.clone(), progress.clone()));
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
        let (full_net, full_base) = (full.totals(), full.base_totals());
        let (left_net, left_base) = (left.totals(), left.base_totals());
        let currencies: std::collections::BTreeSet<&Id> =
            before.net.keys().chain(left_net.keys()).chain(full_net.keys()).collect();
        let (mut net, mut net_base) = (BTreeMap::new(), BTreeMap::new());
        for currency in currencies {
            let of = |map: &BTreeMap<Id, i64>| map.get(currency).copied().unwrap_or(0);
            let keeps = self
                .program
                .currency(currency.as_str())
                .is_some_and(|definition| definition.on_return == OnReturn::Keep);
            let had = of(&before.net);
            let (has, has_base) = match (keeps, amended) {
                (true, false) => (had, of(&before.net_base)),
                (true, true) => (of(&full_net), of(&full_base)),
                // A return never earns: what is left is worth at most what the whole was (R3).
                (false, _) => (of(&left_net).min(of(&full_net)), of(&left_base).min(of(&full_base))),
            };
            if has < had {
                self.take_back(record, currency, points(had - has), next)?;
            } else if has > had {
                self.give_again(record, currency, points(has - had), full, amended, next);
            }
            self.measure_difference(record, currency, has_base - of(&before.net_base), has - had);
            net.insert(currency.clone(), has);
            net_base.insert(currency.clone(), has_base);
        }
        (next.net, next.net_base) = (net, net_base);
        Ok(())
    }

    /// Uses or gives back room of limits, only in windows still open (C2).
    fn move_usage(&mut self, before: &OrderProgress, next: &OrderProgress, record: &OrderRecord) {
        let limits: std::collections::BTreeSet<&CompactString> = before.usage.keys().chain(next.usage.keys()).collect();
        for limit in limits {
            let of = |usage: &BTreeMap<CompactString, i64>| usage.get(limit).copied().unwrap_or(0);
            self.use_again(limit, of(&next.usage) - of(&before.usage), record.basis.day);
        }
    }

    /// What rounding of this order left to later ones is put right too, so that the sum stays exact (M2).
    fn move_carried(&mut self, before: &OrderProgress, next: &OrderProgress) {
        let rules: std::collections::BTreeSet<&CompactString> =
            before.carried.keys().chain(next.carried.keys()).collect();
        for rule in rules {
            let of = |carried: &BTreeMap<CompactString, CompactString>| {
                carried.get(rule).and_then(|text| Decimal::from_str_exact(text).ok()).unwrap_or_default()
            };
            self.carry(rule, of(&next.carried) - of(&before.carried));
        }
    }

    /// Counts the difference to tiers, in the window of the purchase (T2); points still pending count when they mature.
    fn measure_difference(&mut self, record: &OrderRecord, currency: &Id, base: i64, all: i64) {
        if counts_at_once(&self.rules_of(record), currency) {
            return self.measure_points(currency, base, all, record.basis.day);
        }
        let wait = self
            .state
            .purse(currency.as_str())
            .and_then(|purse| purse.waits.iter().find(|wait| wait.event == record.event))
            .cloned();
        match wait {
            Some(wait) => self.change(Change::Waits {
                currency: currency.clone(),
                event: wait.event,
                order_id: wait.order_id,
                earned_on: wait.earned_on,
                matures_at: wait.matures_at,
                until: wait.until,
                version: wait.version,
                base: points(wait.base.get() + base),
            }),
            // Taken back before it matured: it never counted.
            None if self.was_pending(record, currency) => {}
            None => self.measure_points(currency, base, all, record.basis.day),
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
}

/// What a return or correction changed of an order, by the rules it was decided by: `record` as it was before, `content`
/// where a correction brought one, and how far the order had come by it.
pub fn explain_order(
    rules: &Program,
    record: &OrderRecord,
    content: Option<&Order>,
    after: &OrderProgress,
) -> Vec<RuleTrace> {
    let convert = |order: &Order| record.basis.rate().map_or_else(|| order.clone(), |rate| order.converted(rate));
    let old = convert(&record.content);
    let new = content.map_or_else(|| old.clone(), convert);
    let before = record.progress.clone().unwrap_or_else(|| untouched(record, &old, rules));
    let left_of = |order: &Order, progress: &OrderProgress| match progress.returned.everything {
        true => Evaluation::default(),
        false => by_basis(rules, record, &order.without(&progress.returned), &progress.rooms),
    };
    let whole = by_basis(rules, record, &old, &before.rooms);
    let mut trace = super::explain::revalued(&whole, &left_of(&old, &before), &left_of(&new, after));
    trace.extend(super::explain::moved(rules, record, &before, after));
    trace
}

/// What an order has brought before anything happened to it.
fn untouched(record: &OrderRecord, content: &Order, rules: &Program) -> OrderProgress {
    let evaluation = by_basis(rules, record, content, &BTreeMap::new());
    OrderProgress {
        content: record.event,
        by: record.named_by(),
        net: evaluation.totals(),
        net_base: evaluation.base_totals(),
        spend: content.net(&rules.definition.base),
        usage: evaluation.returnable_usage(),
        carried: carried_by(&evaluation),
        ..OrderProgress::default()
    }
}

/// Evaluates an order's content by the version and basis of the purchase, under these rooms where they are less.
fn by_basis(
    rules: &Program,
    record: &OrderRecord,
    content: &Order,
    rooms: &BTreeMap<CompactString, i64>,
) -> Evaluation {
    let mut basis = std::borrow::Cow::Borrowed(&record.basis);
    if !rooms.is_empty() {
        basis.to_mut().rooms.extend(rooms.iter().map(|(limit, room)| (limit.clone(), *room)));
    }
    evaluate::evaluate(&Look {
        program: rules,
        kind: "purchase",
        order: Some(content),
        data: &content.extra,
        basis: &basis,
        only: None,
        spendable: &|_| 0,
        explain: false,
    })
}

/// A return never uses more of a limit than the whole order did.
fn no_more_than(
    mut usage: BTreeMap<CompactString, i64>,
    most: &BTreeMap<CompactString, i64>,
) -> BTreeMap<CompactString, i64> {
    usage.retain(|limit, by| {
        *by = (*by).min(most.get(limit).copied().unwrap_or(0));
        *by != 0
    });
    usage
}

fn carried_by(evaluation: &Evaluation) -> BTreeMap<CompactString, CompactString> {
    let carried = evaluation.carried.iter().filter(|(_, by)| !by.is_zero());
    carried.map(|(rule, by)| (rule.clone(), format_compact!("{}", by.normalize()))).collect()
}
