//! Spent points come back (R7, R8): to their own lots with their own expiry, and before anything is taken back.

use std::collections::BTreeMap;

use compact_str::{CompactString, ToCompactString};
use rust_decimal::Decimal;

use super::outcome::{Effect, EffectKind, points};
use super::working::{Posting, Working};
use super::{OrderProgress, OrderRecord, Rejected, expiry};
use crate::event::{GiftCardRefund, HouseholdNews, Order, Payment};
use crate::id::{EventId, MemberId};
use crate::ledger::{Account, EntryKind, LotPart, LotRef, Redemption, RedemptionStatus};
use crate::program::{Id, Program, Restored};
use crate::quantity::{Amount, Rounding, apportion};
use crate::time::{Day, Instant};

impl Working<'_> {
    /// An order names redemptions of its own member only, and of gift cards: those only who has both can look at, before
    /// this.
    pub(super) fn check_payments(&self, order: &Order) -> Result<(), Rejected> {
        let of_members = order.payments.iter().filter(|payment| payment.by_gift_card().is_none());
        for redemption in of_members.filter_map(|payment| payment.redemption) {
            let is_own = redemption.member == self.state.id || self.state.has_merged(redemption.member);
            let own = self.state.number_of(redemption).filter(|_| is_own);
            // Whether the household's is there only who has both can look at, before this.
            let of_household = own.is_none() && self.is_of_own_pool(redemption.member, &order.order_id);
            if !of_household && own.is_none_or(|number| self.redemption(number).is_err()) {
                return Err(Rejected::UnknownRedemption { redemption: compact_str::format_compact!("{redemption}") });
            }
        }
        Ok(())
    }

    /// Gives back what paid for the part of an order that has come back by now (R8): of points and money each in
    /// proportion, so that the parts are the whole and any split of the order's returns ends as one.
    ///
    /// `before`: what was left of the same content before.
    pub(super) fn refund_order(
        &mut self,
        record: &OrderRecord,
        whole: &Order,
        (before, rest): (&Order, &Order),
        next: &mut OrderProgress,
    ) -> Result<(), Rejected> {
        let mut paid: BTreeMap<u64, Amount> = BTreeMap::new();
        for payment in &whole.payments {
            if let Some(number) = payment.by_points().and_then(|redemption| self.state.number_of(redemption)) {
                *paid.entry(number).or_default() += payment.amount;
            }
        }
        let money = self.program.money;
        let coins = |amount: Amount| money.amount(money.units_within(amount));
        let mut in_points = self.refund_cards(record, whole, rest, next);
        in_points += self.refund_pools(record, whole, rest, next);
        for (seq, amount) in &paid {
            let Ok(redemption) = self.redemption(*seq) else { continue };
            if redemption.status != RedemptionStatus::Captured {
                continue;
            }
            let rules = self.inputs.versions.number(redemption.terms.version);
            let of_order = rules.map_or(redemption.captured, |rules| points_of(rules, &redemption, *amount));
            let wanted = share_of(of_order, whole, rest, next);
            let already = next.refunded.get(seq).copied().unwrap_or(0);
            let due = (wanted - already).clamp(0, redemption.captured - redemption.returned);
            let worth = |points: i64| coins(amount.portion(points.into(), of_order.into()));
            in_points += worth(already + due) - worth(already);
            if due > 0 {
                let currency = redemption.terms.currency.clone();
                self.refund(*seq, redemption, due, Some(&record.order_id));
                next.refunded.insert(*seq, already + due);
                self.know_what_came_home(record, next);
                // What could not be taken back before, for it was spent on this very order, is there now.
                if let Some(forgiven) = next.forgiven.remove(&currency) {
                    self.take_back(record, &currency, points(forgiven), next)?;
                }
            }
        }
        // Units of a line may have no round price: of each step the coins go back that it completes.
        let back = |left: &Order| coins(whole.total - left.total);
        let money = back(rest) - back(before) - in_points;
        if (!paid.is_empty() || !next.to_cards.is_empty()) && !money.is_zero() {
            let order_id = Some(record.order_id.clone());
            self.effect(Effect { order_id, money: Some(money), ..Effect::of(EffectKind::MoneyBack) });
        }
        Ok(())
    }

    /// Sends back what gift cards paid of the part of an order that has come back by now, each to itself (V3). Says how
    /// much money that is.
    fn refund_cards(&mut self, record: &OrderRecord, whole: &Order, rest: &Order, next: &mut OrderProgress) -> Amount {
        let mut paid: BTreeMap<EventId, Amount> = BTreeMap::new();
        for payment in &whole.payments {
            if let Some(redemption) = payment.by_gift_card() {
                *paid.entry(redemption).or_default() += payment.amount;
            }
        }
        let money = self.program.money;
        let mut sent = Amount::ZERO;
        for (redemption, amount) in paid {
            let key = redemption.to_compact_string();
            let wanted = share_of(money.units_within(amount), whole, rest, next);
            let already = next.to_cards.get(&key).copied().unwrap_or(0);
            let due = wanted - already;
            if due <= 0 {
                continue;
            }
            next.to_cards.insert(key.clone(), wanted);
            let order_id = record.order_id.clone();
            let effect = Effect {
                order_id: Some(order_id.clone()),
                redemption: Some(key),
                money: Some(money.amount(due)),
                ..Effect::of(EffectKind::ToGiftCard)
            };
            self.effect(effect);
            let refund = GiftCardRefund { redemption: redemption.seq, amount: due, order_id };
            self.follow_up(redemption.member, "gift-card-refund", &refund, Vec::new());
            sent += money.amount(due);
        }
        sent
    }

    /// Whether a holder is the member's household, or was when it paid for the order.
    fn is_of_own_pool(&self, holder: MemberId, order_id: &CompactString) -> bool {
        let paid_before = |record: &OrderRecord| {
            let mut by_points = record.content.payments.iter().filter_map(Payment::by_points);
            record.order_id == *order_id && by_points.any(|redemption| redemption.member == holder)
        };
        self.state.home() == Some(holder) || self.inputs.orders.iter().any(paid_before)
    }

    /// Sends back what a household's pool paid of the part of an order that has come back by now (R7). Says how much money
    /// that is.
    fn refund_pools(&mut self, record: &OrderRecord, whole: &Order, rest: &Order, next: &mut OrderProgress) -> Amount {
        let mut paid: BTreeMap<EventId, Amount> = BTreeMap::new();
        for payment in &whole.payments {
            // Those of the member, and of whoever was merged into them, are their own.
            if let Some(redemption) = payment.by_points().filter(|paid| self.state.number_of(*paid).is_none()) {
                *paid.entry(redemption).or_default() += payment.amount;
            }
        }
        let money = self.program.money;
        let mut sent = Amount::ZERO;
        for (redemption, amount) in paid {
            let (key, paid) = (redemption.to_compact_string(), money.units_within(amount));
            let back = share_of(paid, whole, rest, next);
            let before = next.to_cards.get(&key).copied().unwrap_or(0);
            if back <= before {
                continue;
            }
            next.to_cards.insert(key.clone(), back);
            let order_id = record.order_id.clone();
            let effect = Effect {
                order_id: Some(order_id.clone()),
                redemption: Some(key),
                money: Some(money.amount(back - before)),
                ..Effect::of(EffectKind::BackToPool)
            };
            self.effect(effect);
            let news = HouseholdNews::Refund { redemption: redemption.seq, order_id, paid, before, back };
            self.send_news(redemption.member, &news);
            sent += money.amount(back - before);
        }
        sent
    }

    /// Gives back to the pool the points that paid for what of an order has come back: of points and money each in
    /// proportion, so that any split of its returns ends as one (R8).
    pub(super) fn refund_pool(&mut self, seq: u64, order_id: &CompactString, paid: i64, (before, back): (i64, i64)) {
        let Ok(redemption) = self.redemption(seq) else { return };
        if redemption.status != RedemptionStatus::Captured {
            return;
        }
        let rules = self.inputs.versions.number(redemption.terms.version);
        let amount = self.program.money.amount(paid);
        let of_order = rules.map_or(redemption.captured, |rules| points_of(rules, &redemption, amount));
        let portion = |back: i64| {
            let parts = apportion(i128::from(of_order), &[i128::from(back), i128::from(paid - back)]);
            i64::try_from(parts[0]).unwrap_or(of_order)
        };
        let due = (portion(back) - portion(before)).clamp(0, redemption.captured - redemption.returned);
        if due > 0 {
            self.refund(seq, redemption, due, Some(order_id));
        }
    }

    /// Gives so many points of a redemption back, last spent first. There are so many that have not gone back.
    pub(super) fn refund(
        &mut self,
        seq: u64,
        mut redemption: Redemption,
        amount: i64,
        order_id: Option<&CompactString>,
    ) {
        let currency = redemption.terms.currency.clone();
        self.expect_owners(&redemption, amount);
        let day = self.program.calendar.day(redemption.terms.at);
        self.unspent(redemption.by, &currency, amount, day);
        for part in redemption.next_back(amount) {
            self.refund_lot(seq, &redemption, &currency, &part, order_id);
        }
        redemption.returned += amount;
        self.note_redemption(seq, redemption);
        self.moved(&currency);
    }

    fn refund_lot(
        &mut self,
        seq: u64,
        redemption: &Redemption,
        currency: &Id,
        part: &LotPart,
        order_id: Option<&CompactString>,
    ) {
        let effect = |kind, amount: i64, expires_on: Option<Day>| Effect {
            expires_on,
            order_id: order_id.cloned(),
            ..Effect::points(kind, currency, amount)
        };
        let id = Some(self.redemption_id(seq));
        let lot = LotRef { order: Some(seq), ..part.lot.clone() };
        let dead = self.is_dead(currency, part.expires_at);
        let at_rest = LotRef { order: None, ..part.lot.clone() };
        let Some((last_day, expires_at)) = self.home_of(redemption, currency, part, dead) else {
            let (amount, expires_at) = (points(part.amount), part.expires_at);
            let home = self.coming_home(currency, &at_rest, amount, true);
            let posting = Posting { currency, amount, lot: Some(lot), expires_at, campaign: None };
            self.post(EntryKind::Expiry, Account::Redeemed, Account::Expired, posting);
            self.effect(Effect { redemption: id, ..effect(EffectKind::Expired, part.amount, part.lot.last_day) });
            self.settle_homecoming(currency, &at_rest, home, true);
            return;
        };
        // What had died has another date now: it is in no lot that an order misses it in.
        let at_rest = LotRef { last_day, ..at_rest };
        let home = self.coming_home(currency, &at_rest, points(part.amount), false);
        let (repaid, rest) = (home.to_debt, home.to_lot);
        for (amount, to, kind) in
            [(repaid, Account::Debt, EffectKind::DebtRepaid), (rest, Account::Active, EffectKind::Refunded)]
        {
            if !amount.is_zero() {
                let lot = LotRef { last_day, ..lot.clone() };
                let posting = Posting { currency, amount, lot: Some(lot), expires_at, campaign: None };
                self.post(EntryKind::Refund, Account::Redeemed, to, posting);
                let expires_on = last_day.filter(|_| to == Account::Active);
                self.effect(Effect { redemption: id.clone(), ..effect(kind, amount.get(), expires_on) });
            }
        }
        if dead && !rest.is_zero() && last_day.is_none() {
            let program = self.program.clone();
            if let Some(definition) = program.currency(currency.as_str()) {
                self.date_idle(currency, &definition.expires);
            }
        }
        self.settle_homecoming(currency, &at_rest, home, false);
    }

    /// The last day and its end of the lot that points go back to; `None` where they stay dead (R7).
    fn home_of(
        &self,
        redemption: &Redemption,
        currency: &Id,
        part: &LotPart,
        dead: bool,
    ) -> Option<(Option<Day>, Option<Instant>)> {
        if !dead {
            return Some((part.lot.last_day, part.expires_at));
        }
        let today = self.program.calendar.day(self.state.clock);
        let terms = self.inputs.versions.number(redemption.terms.version).unwrap_or(&self.program);
        match terms.currency(currency.as_str()).map(|definition| definition.spend.restored).unwrap_or_default() {
            Restored::StayExpired => None,
            Restored::Grace { grace } => {
                let last_day = grace.after(today);
                Some((Some(last_day), Some(self.program.calendar.end(last_day))))
            }
            Restored::NewDate => {
                let expires = &self.program.currency(currency.as_str())?.expires;
                Some(expiry::last_day(&self.program, expires, today).unzip())
            }
        }
    }
}

/// Of what paid for an order, the part that has come back by now (R8).
fn share_of(paid: i64, whole: &Order, rest: &Order, next: &OrderProgress) -> i64 {
    if next.returned.everything {
        return paid;
    }
    let back = (whole.total - rest.total).millionths().clamp(0, whole.total.millionths().max(0));
    let parts = apportion(i128::from(paid), &[back, whole.total.millionths() - back]);
    i64::try_from(parts[0]).unwrap_or(paid)
}

/// How many points of a redemption paid an amount of an order, by the redemption's own version; all where its points
/// have no value in money.
fn points_of(rules: &Program, redemption: &Redemption, paid: Amount) -> i64 {
    let definition = rules.currency(redemption.terms.currency.as_str());
    let value = definition.and_then(|definition| definition.value).map(|value| value.0).unwrap_or_default();
    let units = Decimal::from(10_i64.pow(definition.map_or(0, |definition| definition.scale.min(6))));
    let exact = paid.to_decimal().checked_mul(units).and_then(|paid| paid.checked_div(value));
    exact.map_or(redemption.captured, |exact| Rounding::HalfUp.whole(exact).clamp(0, redemption.captured))
}
