//! Vouchers: whether codes may be used and what they take off, in one transaction with the order (V1, C3); what they
//! give when claimed; and when a use is taken back (V2, R9).

use compact_str::{CompactString, format_compact};

use super::basis::fact_value;
use super::outcome::{Effect, EffectKind, LineDiscount, points};
use super::working::{Past, Working};
use super::{Basis, EventStatus, OrderRecord, Rejected};
use crate::event::{Order, RedeemVoucher, RollbackVoucher};
use crate::expression::{EventScope, Expression, Facts};
use crate::id::EventId;
use crate::member::{Change, MemberState, Status};
use crate::program::{Id, OnVoucherReturn, Program, Versions, Voucher, VoucherDefinition};
use crate::quantity::Amount;
use crate::time::{Day, Instant, Window};
use crate::voucher::{self, Candidate, CodeRecord, CodeStatus, CodeUse, Conflict, named_lines};

/// What is looked at when codes are judged.
#[derive(Clone, Copy)]
pub struct VoucherLook<'a> {
    pub versions: &'a Versions,
    /// Those that were found of the codes named.
    pub codes: &'a [CodeRecord],
    /// Uses of shared codes, by pool.
    pub pool: &'a dyn Fn(&str) -> i64,
    /// Who wants to use them; `None` for nobody that is known.
    pub member: Option<&'a MemberState>,
    /// What the member used of a limit in the window that begins on a day.
    pub used: &'a dyn Fn(&str, Day) -> i64,
    /// Business time.
    pub at: Instant,
}

/// A code that may be used, and what it takes off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedVoucher {
    pub code: CodeRecord,
    /// By line, those without a part left out.
    pub lines: Vec<(CompactString, Amount)>,
    pub shipping: Amount,
    /// Lines and shipping together.
    pub total: Amount,
}

/// What the vouchers named on an order take off it, or why one of them may not be used. `order` is in the program's
/// currency. Nothing is written.
///
/// # Errors
/// The first code, in the order they are named, that may not be used, or two that do not go together.
pub fn price_vouchers(look: &VoucherLook<'_>, order: &Order) -> Result<Vec<PricedVoucher>, Rejected> {
    let mut judged: Vec<(&CodeRecord, &Voucher)> = Vec::with_capacity(order.vouchers.len());
    for code in &order.vouchers {
        let (record, rules, terms) = look.usable(code)?;
        let same = judged.iter().filter(|(known, _)| known.voucher == record.voucher).count();
        look.is_within_limits(record, rules, &terms.definition, i64::try_from(same).unwrap_or(i64::MAX))?;
        if terms.definition.is_claimed() {
            return Err(Rejected::VoucherIsClaimed { code: code.clone(), voucher: record.voucher.clone() });
        }
        look.fits_order(record, rules, terms, order)?;
        judged.push((record, terms));
    }
    let candidates: Vec<Candidate<'_>> =
        judged.iter().map(|(record, voucher)| Candidate { code: &record.code, id: &record.voucher, voucher }).collect();
    let rules = look.versions.at(look.at);
    let decimals = u32::try_from(rules.money.decimals()).unwrap_or_default();
    let discounts = voucher::discounts(order, &rules.prices, &candidates, decimals).map_err(|conflict| {
        let name = |place: usize| (judged[place].0.code.clone(), judged[place].0.voucher.clone());
        match conflict {
            Conflict::DoNotCombine(one, other) => {
                let ((code, voucher), (other, other_voucher)) = (name(one), name(other));
                Rejected::VouchersDoNotCombine { code, voucher, other, other_voucher }
            }
            Conflict::MatchesNothing(place) => {
                let (code, voucher) = name(place);
                Rejected::VoucherMatchesNothing { code, voucher }
            }
        }
    })?;
    let priced = |((record, _), discount): (&(&CodeRecord, &Voucher), voucher::Discount)| PricedVoucher {
        code: (*record).clone(),
        lines: named_lines(order, &discount.lines),
        shipping: discount.shipping,
        total: discount.total(),
    };
    Ok(judged.iter().zip(discounts).map(priced).collect())
}

/// The counter of a member's uses of a voucher in a window.
fn counter(voucher: &Id, window: Window) -> CompactString {
    format_compact!("voucher/{voucher}/{}", window.name())
}

impl std::fmt::Debug for VoucherLook<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VoucherLook").field("at", &self.at).finish_non_exhaustive()
    }
}

impl<'a> VoucherLook<'a> {
    /// A code that may be used by this member now, with the version whose terms hold and the terms.
    pub fn usable(&self, code: &CompactString) -> Result<(&'a CodeRecord, &'a Program, &'a Voucher), Rejected> {
        let mistyped = voucher::is_mistyped(code);
        let unknown = || Rejected::UnknownVoucher { code: code.clone(), mistyped };
        let record = self.codes.iter().find(|record| record.code == *code).ok_or_else(unknown)?;
        let rules = self.versions.number(record.version).unwrap_or_else(|| self.versions.head());
        let terms = rules.voucher(record.voucher.as_str()).ok_or_else(unknown)?;
        self.is_theirs(record, &terms.definition)?;
        if record.status == CodeStatus::Cancelled {
            return Err(Rejected::VoucherCancelled { code: code.clone(), voucher: record.voucher.clone() });
        }
        self.is_in_time(record, rules, &terms.definition)?;
        self.is_left(record, rules, &terms.definition)?;
        if let Some(audience) = &terms.audience {
            self.holds(record, rules, audience, None)?;
        }
        Ok((record, rules, terms))
    }

    fn is_theirs(&self, record: &CodeRecord, terms: &VoucherDefinition) -> Result<(), Rejected> {
        let of = |member: &MemberState, owner| member.id == owner || member.has_merged(owner);
        let theirs = record.owner.is_none_or(|owner| self.member.is_some_and(|member| of(member, owner)));
        if theirs || terms.transferable {
            return Ok(());
        }
        Err(Rejected::VoucherOfAnotherMember { code: record.code.clone(), voucher: record.voucher.clone() })
    }

    fn is_in_time(&self, record: &CodeRecord, rules: &Program, terms: &VoucherDefinition) -> Result<(), Rejected> {
        let (code, voucher, day) = (record.code.clone(), record.voucher.clone(), rules.calendar.day(self.at));
        if let Some(from) = terms.from.filter(|from| day < *from) {
            return Err(Rejected::VoucherNotYet { code, voucher, from });
        }
        if let Some(end) = record.expires_at.filter(|end| *end <= self.at) {
            let expired_on = rules.calendar.day(end.before());
            return Err(Rejected::VoucherExpired { code, voucher, expired_on });
        }
        Ok(())
    }

    fn is_left(&self, record: &CodeRecord, rules: &Program, terms: &VoucherDefinition) -> Result<(), Rejected> {
        let uses = record.pool.as_ref().map_or(record.uses, |pool| (self.pool)(pool));
        if let Some(most) = record.most.filter(|most| uses >= *most) {
            return Err(Rejected::VoucherUsedUp { code: record.code.clone(), voucher: record.voucher.clone(), most });
        }
        self.is_within_limits(record, rules, terms, 0)
    }

    /// Whether the member may use one more of a voucher besides `more` of the same order.
    fn is_within_limits(
        &self,
        record: &CodeRecord,
        rules: &Program,
        terms: &VoucherDefinition,
        more: i64,
    ) -> Result<(), Rejected> {
        let day = rules.calendar.day(self.at);
        for (window, most) in &terms.uses.per_member {
            self.known_member()?;
            if (self.used)(&counter(&record.voucher, *window), day.start_of(*window)) + more >= *most {
                let (voucher, window) = (record.voucher.clone(), window.name());
                return Err(Rejected::VoucherLimit { voucher, window, most: *most });
            }
        }
        Ok(())
    }

    fn known_member(&self) -> Result<&'a MemberState, Rejected> {
        self.member.filter(|member| member.status != Status::Guest).ok_or(Rejected::NeedsMember)
    }

    /// Whether a condition holds; who is nobody has no facts.
    fn holds(
        &self,
        record: &CodeRecord,
        rules: &Program,
        condition: &Expression,
        order: Option<&Order>,
    ) -> Result<(), Rejected> {
        let mut facts = Facts::new();
        for fact in &condition.facts {
            facts.insert(fact.clone(), fact_value(rules, self.known_member()?, fact, self.at));
        }
        let data = order.map(|order| order.extra.as_slice()).unwrap_or_default();
        let scope = EventScope::new(&condition.fields, order, data, &facts, Some((&rules.calendar, self.at)));
        if let Some(order) = order {
            scope.set_net(order.net(&rules.definition.base).to_decimal());
        }
        if condition.holds(scope.scope()).unwrap_or(false) {
            return Ok(());
        }
        let condition = condition.source().to_owned();
        Err(Rejected::VoucherConditionNotMet { code: record.code.clone(), voucher: record.voucher.clone(), condition })
    }

    /// Whether an order is one that a voucher is for.
    fn fits_order(&self, record: &CodeRecord, rules: &Program, terms: &Voucher, order: &Order) -> Result<(), Rejected> {
        self.fits_place(record, terms, order)?;
        self.meets(record, rules, terms, order)
    }

    /// Whether an order is of the right channel and location, and worth enough.
    pub(super) fn fits_place(&self, record: &CodeRecord, terms: &Voucher, order: &Order) -> Result<(), Rejected> {
        let definition = &terms.definition;
        let places =
            [("channel", &definition.channels, &order.channel), ("location", &definition.locations, &order.location)];
        for (what, allowed, found) in places {
            if !allowed.is_empty() && !allowed.iter().any(|known| found.as_deref() == Some(known.as_str())) {
                let (code, voucher, found) = (record.code.clone(), record.voucher.clone(), found.clone());
                return Err(Rejected::VoucherNotHere { code, voucher, what, found, allowed: allowed.join(", ") });
            }
        }
        if let Some(least) = definition.min_spend.and_then(|least| Amount::try_from(least.0).ok()) {
            let spent = voucher::worth(order);
            if spent < least {
                let (code, voucher, missing) = (record.code.clone(), record.voucher.clone(), least - spent);
                return Err(Rejected::VoucherBelowMinimum { code, voucher, least, spent, missing });
            }
        }
        Ok(())
    }

    /// Whether an order meets a voucher's own condition.
    pub(super) fn meets(
        &self,
        record: &CodeRecord,
        rules: &Program,
        terms: &Voucher,
        order: &Order,
    ) -> Result<(), Rejected> {
        terms.when.as_ref().map_or(Ok(()), |when| self.holds(record, rules, when, Some(order)))
    }

    /// How many more codes of a voucher the member may use; `None`: as many as there are.
    pub(super) fn room(&self, record: &CodeRecord, rules: &Program, terms: &VoucherDefinition) -> Option<i64> {
        let day = rules.calendar.day(self.at);
        let left = |(window, most): (&Window, &i64)| {
            most - (self.used)(&counter(&record.voucher, *window), day.start_of(*window))
        };
        terms.uses.per_member.iter().map(left).min()
    }
}

impl Working<'_> {
    /// What the vouchers of an order take off it, or why one may not be used.
    pub(super) fn price_vouchers(&self, order: &Order, basis: &Basis) -> Result<Vec<PricedVoucher>, Rejected> {
        if order.vouchers.is_empty() {
            return Ok(Vec::new());
        }
        let content = basis.rate().map_or_else(|| order.clone(), |rate| order.converted(rate));
        let codes = self.known_codes();
        self.look(&codes, |look| price_vouchers(look, &content))
    }

    pub(super) fn look<T>(&self, codes: &[CodeRecord], work: impl FnOnce(&VoucherLook<'_>) -> T) -> T {
        use super::basis::Usage;
        let (pool, used) = (|pool: &str| self.pool(pool), |limit: &str, from: Day| self.used(limit, from));
        let member = self.past().map_or(&self.state, |Past { member, .. }| member);
        work(&VoucherLook {
            versions: self.inputs.versions,
            codes,
            pool: &pool,
            member: Some(member),
            used: &used,
            at: self.at_effective(),
        })
    }

    /// The codes as this decision leaves them by now.
    pub(super) fn known_codes(&self) -> Vec<CodeRecord> {
        let changed = |code: &&CodeRecord| !self.voucher_codes.iter().any(|known| known.code == code.code);
        self.voucher_codes.iter().chain(self.inputs.codes.iter().filter(changed)).cloned().collect()
    }

    /// Uses codes inside the event that is open.
    pub(super) fn use_vouchers(&mut self, priced: Vec<PricedVoucher>, order_id: Option<&CompactString>) {
        for one in priced {
            let lines = one.lines.into_iter().map(|(line, amount)| LineDiscount { line, amount }).collect();
            let shipping = Some(one.shipping).filter(|shipping| !shipping.is_zero());
            let effect = Effect { money: Some(one.total), lines, shipping, ..Effect::of(EffectKind::VoucherRedeemed) };
            self.use_code(one.code, order_id, effect);
        }
    }

    fn use_code(&mut self, mut code: CodeRecord, order_id: Option<&CompactString>, effect: Effect) {
        let day = self.day();
        let rules = self.inputs.versions.number(code.version).cloned().unwrap_or_else(|| self.program.clone());
        let terms = rules.voucher(code.voucher.as_str());
        for window in terms.into_iter().flat_map(|terms| terms.definition.uses.per_member.keys()) {
            self.use_limit(&counter(&code.voucher, *window), 1, day);
        }
        self.effect(Effect {
            voucher: Some(code.voucher.clone()),
            code: Some(voucher::as_shown(&code.code)),
            order_id: order_id.cloned(),
            ..effect
        });
        let (order_id, version) = (order_id.cloned(), code.version);
        let used = CodeUse { code: code.code.clone(), voucher: code.voucher.clone(), version, order_id, back: None };
        self.record().record.vouchers.push(used);
        match &code.pool {
            Some(pool) => self.take_from_pool(pool.clone(), 1, code.most.unwrap_or(i64::MAX)),
            None => {
                code.uses += 1;
                code.last = Some(EventId { member: self.state.id, seq: self.state.events });
                self.keep_code(code);
            }
        }
    }

    fn keep_code(&mut self, code: CodeRecord) {
        self.voucher_codes.retain(|known| known.code != code.code);
        self.voucher_codes.push(code);
    }

    /// The whole order has come back: what may be used again is (R9, V2).
    pub(super) fn rearm_vouchers(&mut self, record: &OrderRecord) {
        for used in &record.vouchers {
            let rules = self.inputs.versions.number(used.version).cloned();
            let terms = rules.as_ref().and_then(|rules| rules.voucher(used.voucher.as_str()));
            if terms.is_some_and(|terms| terms.definition.on_return == OnVoucherReturn::Rearm) {
                // What has expired or was cancelled since stays used.
                self.take_use_back(used, record.event, record.basis.day).ok();
            }
        }
    }

    /// Gives back the use that an event made of a code, if the code is still good.
    fn take_use_back(&mut self, used: &CodeUse, event: u64, day: Day) -> Result<(), Rejected> {
        let known = self.known_codes().into_iter().find(|known| known.code == used.code);
        let unknown = || Rejected::UnknownVoucher { code: used.code.clone(), mistyped: false };
        let mut code = known.ok_or_else(unknown)?;
        let (name, of) = (used.code.clone(), used.voucher.clone());
        if code.status == CodeStatus::Cancelled {
            return Err(Rejected::VoucherCancelled { code: name, voucher: of });
        }
        if let Some(end) = code.expires_at.filter(|end| *end <= self.state.clock) {
            let expired_on = self.program.calendar.day(end.before());
            return Err(Rejected::VoucherExpired { code: name, voucher: of, expired_on });
        }
        let rules = self.inputs.versions.number(used.version).cloned();
        let terms = rules.as_ref().and_then(|rules| rules.voucher(used.voucher.as_str()));
        for window in terms.into_iter().flat_map(|terms| terms.definition.uses.per_member.keys()) {
            self.use_again(&counter(&used.voucher, *window), -1, day);
        }
        self.effect(Effect {
            voucher: Some(of),
            code: Some(voucher::as_shown(&used.code)),
            order_id: used.order_id.clone(),
            ..Effect::of(EffectKind::VoucherRearmed)
        });
        self.record().record.vouchers.push(CodeUse { back: Some(event), ..used.clone() });
        match &code.pool {
            Some(pool) => self.take_from_pool(pool.clone(), -1, code.most.unwrap_or(i64::MAX)),
            None => {
                code.uses = (code.uses - 1).max(0);
                code.last = None;
                self.keep_code(code);
            }
        }
        Ok(())
    }

    /// A code used by itself: claimed, or at a counter that sends its order later or not at all.
    pub(super) fn redeem_voucher(&mut self, redeem: &RedeemVoucher) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        let codes = self.known_codes();
        let (code, terms) = self.look(&codes, |look| {
            let (record, _, terms) = look.usable(&redeem.code)?;
            Ok::<_, Rejected>((record.clone(), terms.definition.clone()))
        })?;
        let priced = match &redeem.order {
            _ if terms.is_claimed() => None,
            Some(order) => {
                let order = Order { vouchers: vec![redeem.code.clone()], ..order.clone() };
                let basis = self.order_basis(&order)?;
                Some(self.price_vouchers(&order, &basis)?)
            }
            None if terms.is_about_the_order() => {
                let (code, voucher) = (redeem.code.clone(), code.voucher.clone());
                return Err(Rejected::VoucherNeedsOrder { code, voucher });
            }
            None => None,
        };
        self.open_main("voucher-redemption", EventStatus::Applied);
        let standings = self.standings();
        match priced {
            Some(priced) => self.use_vouchers(priced, redeem.order_id.as_ref()),
            None => {
                let claims = terms.is_claimed().then(|| code.voucher.clone());
                self.use_code(code, redeem.order_id.as_ref(), Effect::of(EffectKind::VoucherRedeemed));
                if let Some(voucher) = claims {
                    self.claim(&voucher, &terms);
                }
            }
        }
        self.judge_tiers(&standings);
        self.follow_causes();
        Ok(())
    }

    /// Gives what a claimed voucher gives, by its own terms.
    fn claim(&mut self, voucher: &Id, terms: &VoucherDefinition) {
        let gives = &terms.gives;
        let day = self.day();
        let program = self.program.clone();
        for (currency, wanted) in &gives.points {
            let Some(definition) = program.currency(currency.as_str()) else { continue };
            let room = definition.max_balance.map(|most| {
                let balance = super::outcome::balance(&self.state, currency);
                (most - balance.available - balance.pending - balance.held).max(0)
            });
            let amount = room.map_or(*wanted, |room| room.min(*wanted));
            let capped = (amount < *wanted).then(|| super::basis::key::balance(currency));
            let effect = Effect {
                voucher: Some(voucher.clone()),
                wanted: capped.is_some().then_some(*wanted),
                capped_by: capped,
                ..Effect::of(EffectKind::Accrual)
            };
            let mut credits = Vec::new();
            self.accrue(definition, currency, points(amount), None, day, None, effect, &mut credits);
            self.measure_points(currency, 0, amount, day);
            self.moved(currency);
        }
        self.expire_dead_on_arrival();
        if let Some(grant) = &gives.grant {
            let last_day = grant.period.after(day);
            self.change(Change::Granted { benefit: grant.benefit.clone(), last_day });
            self.effect(Effect {
                benefit: Some(grant.benefit.clone()),
                voucher: Some(voucher.clone()),
                expires_on: Some(last_day),
                ..Effect::of(EffectKind::BenefitGranted)
            });
        }
        if !gives.prize.is_empty() {
            let prize = Some(gives.prize.clone());
            self.effect(Effect { voucher: Some(voucher.clone()), prize, ..Effect::of(EffectKind::Prize) });
        }
    }

    /// Takes a use back whose order was cancelled (V2).
    pub(super) fn rollback_voucher(&mut self, rollback: &RollbackVoucher) -> Result<(), Rejected> {
        let history = self.inputs.history.unwrap_or_default();
        let of_code = |used: &&CodeUse| used.code == rollback.code;
        let uses = || history.iter().flat_map(|event| event.record.vouchers.iter().map(move |used| (event, used)));
        let taken_back = |seq: u64| uses().any(|(_, used)| of_code(&used) && used.back == Some(seq));
        let wanted = |used: &CodeUse| rollback.order_id.as_ref().is_none_or(|id| used.order_id.as_ref() == Some(id));
        let mut open = uses()
            .filter(|(event, used)| of_code(used) && used.back.is_none() && wanted(used) && !taken_back(event.seq));
        let Some((event, used)) = open.next_back().map(|(event, used)| (event.clone(), used.clone())) else {
            return Err(Rejected::VoucherNotUsed { code: rollback.code.clone(), order_id: rollback.order_id.clone() });
        };
        let made_order = event.record.changes.iter().any(|change| matches!(change, Change::Purchased { .. }));
        if let (true, Some(order_id)) = (made_order, &used.order_id) {
            let known = history.iter().rev().filter_map(|event| event.record.progress.as_ref());
            let mut progress = known.filter(|(known, _)| known == order_id).map(|(_, progress)| progress);
            if !progress.next().is_some_and(|progress| progress.returned.everything) {
                return Err(Rejected::VoucherOrderStands { code: used.code.clone(), order_id: order_id.clone() });
            }
        }
        let (code, name) = (rollback.code.clone(), used.voucher.clone());
        let rules = self.inputs.versions.number(used.version).cloned();
        if rules
            .as_ref()
            .and_then(|rules| rules.voucher(name.as_str()))
            .is_some_and(|terms| terms.definition.is_claimed())
        {
            return Err(Rejected::VoucherIsClaimed { code, voucher: name });
        }
        self.open_main("voucher-rollback", EventStatus::Applied);
        self.take_use_back(&used, event.seq, event.record.day)
    }

    /// An amendment is about the order, not about its vouchers: they stay those it was made with.
    pub(super) fn same_vouchers(&self, record: &OrderRecord, order: &Order) -> Result<(), Rejected> {
        let same = order.vouchers.is_empty()
            || (order.vouchers.len() == record.vouchers.len()
                && record.vouchers.iter().all(|used| order.vouchers.contains(&used.code)));
        if same { Ok(()) } else { Err(Rejected::VouchersChanged { order_id: record.order_id.clone() }) }
    }
}

/// The codes that a command names, itself or by the orders it is about. They are to be read before a decision.
pub fn voucher_codes(what: &crate::event::What, orders: &[OrderRecord]) -> Vec<CompactString> {
    let named = what.voucher_codes().cloned();
    let of_orders = orders.iter().flat_map(|order| order.vouchers.iter().map(|used| used.code.clone()));
    let mut codes: Vec<CompactString> = named.chain(of_orders).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// The pool that counts the uses of a shared code, by its look-up key.
pub fn shared_code_pool(key: &str) -> CompactString {
    format_compact!("pool:code:{key}")
}
