//! Rewards: price, stock and limits, decided with the points that pay for them in one transaction (C5).

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use rust_decimal::Decimal;

use super::Rejected;
use super::basis::{self, Usage};
use super::outcome::{Effect, EffectKind};
use super::tier::standing;
use super::working::Working;
use crate::event::Redeem;
use crate::expression::{EventScope, Facts};
use crate::ledger::{Fulfilment, FulfilmentState, Given, GivenDonation, Redemption, Terms};
use crate::member::{MemberState, Status};
use crate::program::{Donation, Early, Id, Program, Reward, RewardGives};
use crate::quantity::Amount;
use crate::time::{Day, Instant, Window};

/// The pool that counts how many of a reward's stock are taken.
pub fn stock_pool(reward: &Id) -> CompactString {
    format_compact!("pool:reward:{reward}")
}

/// The pool that counts how many of a partner's codes are reserved or given.
pub fn code_pool(pool: &Id) -> CompactString {
    format_compact!("pool:codes:{pool}")
}

/// How many of a partner's codes were ever brought in. No decision changes it; without it there is no bound.
pub fn codes_imported(pool: &Id) -> CompactString {
    format_compact!("{CODES_IMPORTED}{pool}")
}

/// The code pool whose imports a name of [`codes_imported`] counts.
pub fn imports_of(pool: &str) -> Option<&str> {
    pool.strip_prefix(CODES_IMPORTED)
}

const CODES_IMPORTED: &str = "pool:codes-imported:";

/// The pools that count, in the smallest unit of money, what a cause was given in the month of a day, and what was
/// taken back in it. Both only grow: a month that was settled stays what it was.
pub fn donation_pools(cause: &str, day: Day) -> (CompactString, CompactString) {
    let month = day.start_of(Window::Month);
    let (given, back) = donation_prefixes();
    (format_compact!("{given}{month}/{cause}"), format_compact!("{back}{month}/{cause}"))
}

/// How the names of those pools begin; month and cause follow.
pub const fn donation_prefixes() -> (&'static str, &'static str) {
    ("pool:donated/", "pool:donated-back/")
}

/// The pools of codes that a program's rewards draw on.
pub(super) fn code_pools(program: &Program) -> impl Iterator<Item = CompactString> {
    let pools = program.definition.code_pools.keys();
    pools.flat_map(|pool| [code_pool(pool), codes_imported(pool)])
}

/// The counter of what a member had of a reward in a window.
fn counter(reward: &Id, window: Window) -> CompactString {
    format_compact!("reward/{reward}/{}", window.name())
}

/// What a redemption of a reward spends: its price for this member, if the member may have it.
pub(super) fn priced(program: &Program, member: &MemberState, redeem: &Redeem) -> Result<Redeem, Rejected> {
    let Some(id) = &redeem.reward else { return Ok(redeem.clone()) };
    let Some(reward) = program.reward(id.as_str()) else { return Err(Rejected::UnknownReward { reward: id.clone() }) };
    may_have(program, member, id, reward, member.clock)?;
    Ok(Redeem {
        currency: reward.currency.clone(),
        points: Some(price_for(program, member, reward)),
        payable: None,
        ..redeem.clone()
    })
}

/// What a reward costs a member in points, whether or not they may have it.
pub fn reward_price(program: &Program, member: &MemberState, reward: &Reward) -> i64 {
    price_for(program, member, reward)
}

/// The price, or the lowest of those that the member's levels have.
fn price_for(program: &Program, member: &MemberState, reward: &Reward) -> i64 {
    let own = |ladder: &crate::program::LadderRules| {
        let level = &ladder.level(standing::rank(ladder, member)).id;
        reward.definition.costs_by_tier.get(&ladder.id)?.get(level).copied()
    };
    program.ladders.iter().filter_map(own).chain([reward.price]).min().unwrap_or(reward.price)
}

pub(super) fn may_have(
    program: &Program,
    member: &MemberState,
    id: &Id,
    reward: &Reward,
    at: Instant,
) -> Result<(), Rejected> {
    let (definition, day) = (&reward.definition, program.calendar.day(at));
    in_time(program, member, id, reward, day)?;
    if let Some(experience) = &definition.gives.experience
        && experience.day < day
    {
        return Err(Rejected::RewardNotNow { reward: id.clone(), from: definition.from, until: Some(experience.day) });
    }
    // What is asked of a member, the one answers who wants it of the pool.
    if member.status == Status::Household {
        return Ok(());
    }
    if let Some(when) = &reward.when {
        let facts: Facts =
            when.facts.iter().map(|fact| (fact.clone(), basis::fact_value(program, member, fact, at))).collect();
        let scope = EventScope::new(&when.fields, None, &[], &facts, Some((&program.calendar, at)));
        if !when.holds(scope.scope()).unwrap_or(false) {
            return Err(Rejected::RewardNotForMember { reward: id.clone(), condition: when.source().to_owned() });
        }
    }
    for (window, most) in &definition.per_member {
        let had = member.used(&counter(id, *window), day.start_of(*window));
        if had >= *most {
            return Err(Rejected::RewardLimit { reward: id.clone(), window: window.name(), most: *most });
        }
    }
    Ok(())
}

/// Whether a reward may be had on a day, some time earlier by those who may (see [`Early`]).
fn in_time(program: &Program, member: &MemberState, id: &Id, reward: &Reward, day: Day) -> Result<(), Rejected> {
    let (from, until) = (reward.definition.from, reward.definition.until);
    let is_one = |early: &Early| member.status == Status::Household || is_first(program, member, early, day);
    let is_early = |from: Day, early: &Early| early.before.before(from) <= day && is_one(early);
    match (from, &reward.definition.early) {
        (Some(from), Some(early)) if day < from && !is_early(from, early) => {
            Err(Rejected::RewardNotYet { reward: id.clone(), from, before: early.before })
        }
        (Some(first), None) if day < first => Err(Rejected::RewardNotNow { reward: id.clone(), from, until }),
        _ if until.is_some_and(|until| until < day) => Err(Rejected::RewardNotNow { reward: id.clone(), from, until }),
        _ => Ok(()),
    }
}

/// Whether a member is one of those who come first.
pub(super) fn is_first(program: &Program, member: &MemberState, early: &Early, day: Day) -> bool {
    let rank = |ladder: &crate::program::LadderRules| standing::rank(ladder, member);
    let reached = |(ladder, level): (&Id, &Id)| {
        program.ladder(ladder.as_str()).is_some_and(|ladder| rank(ladder) >= ladder.rank(level))
    };
    let has = |benefit: &Id| {
        let granted = member.grants.iter().any(|grant| grant.benefit == *benefit && day <= grant.last_day);
        granted || program.ladders.iter().any(|ladder| ladder.level(rank(ladder)).benefits.contains(benefit))
    };
    early.level.iter().any(reached) || early.benefit.as_ref().is_some_and(has)
}

impl Working<'_> {
    /// Takes a reward out of its stock and counts it; says what will come with it.
    pub(super) fn take_reward(&mut self, id: &Id) -> Result<Option<Given>, Rejected> {
        let program = self.program.clone();
        let Some(reward) = program.reward(id.as_str()) else { return Ok(None) };
        let day = self.program.calendar.day(self.state.clock);
        if let Some(stock) = reward.definition.stock
            && !self.take_offer(id)
        {
            self.is_free(id, stock)?;
            self.use_limit(&stock_pool(id), 1, day);
        }
        if self.state.status != Status::Household {
            self.count_reward(id, reward, day);
        }
        let code_pool = reward.definition.gives.code_pool.clone();
        if let Some(codes) = &code_pool {
            let imported = self.inputs.pools.get(&codes_imported(codes)).copied().unwrap_or(i64::MAX);
            let pool = self::code_pool(codes);
            if self.pool(&pool) >= imported {
                return Err(Rejected::RewardSoldOut { reward: id.clone(), stock: imported });
            }
            self.take_from_pool(pool, 1, imported);
        }
        Ok(Some(Given { money: reward.money, code_pool, ..Given::default() }))
    }

    /// One more of a reward is counted of the member.
    pub(super) fn count_reward(&mut self, id: &Id, reward: &Reward, day: Day) {
        for window in reward.definition.per_member.keys() {
            self.use_limit(&counter(id, *window), 1, day);
        }
    }

    /// One that is counted no longer, in windows still open.
    pub(super) fn uncount_reward(&mut self, id: &Id, reward: &Reward, day: Day) {
        for window in reward.definition.per_member.keys() {
            self.use_again(&counter(id, *window), -1, day);
        }
    }

    /// Gives what a reward gives, once its points are spent, by the version that it was redeemed under.
    pub(super) fn hand_over(&mut self, redemption: u64, terms: &Terms, given: Option<Given>) -> Option<Given> {
        let rules = self.rules_of_reward(terms)?;
        let gives = &rules.reward(terms.reward.as_ref()?.as_str())?.definition.gives;
        let mut given = given.unwrap_or_default();
        // Of what a pool buys they are its people's (see `asker.rs`).
        if self.state.status != Status::Household {
            given.voucher = self.give_own(gives);
        }
        if let Some(codes) = &gives.code_pool {
            self.codes.push((codes.clone(), redemption));
            let redemption = Some(self.redemption_id(redemption));
            self.effect(Effect { redemption, ..Effect::of(EffectKind::CodeGiven) });
        }
        if let Some(money) = gives.gift_card {
            given.gift_card = self.give_card(redemption, &rules, money);
        }
        if let Some(gift) = &gives.e_gift {
            given.partner = Some(self.order_e_gift(redemption, &rules, gift));
        }
        if rules.reward(terms.reward.as_ref()?.as_str())?.definition.fulfilment.is_some() {
            given.fulfilment = Some(self.requested());
        }
        if let Some(donation) = &gives.donation {
            given.donation = self.donate(redemption, &rules, donation);
        }
        Some(given)
    }

    /// Gives what only a member has; says the voucher's code.
    pub(super) fn give_own(&mut self, gives: &RewardGives) -> Option<CompactString> {
        let code = gives.voucher.as_ref().and_then(|voucher| self.issue_voucher(None, voucher));
        if let Some(granted) = &gives.benefit {
            self.grant(None, &granted.benefit, granted.period);
        }
        code
    }

    fn rules_of_reward(&self, terms: &Terms) -> Option<Arc<Program>> {
        terms.reward.as_ref().and(self.inputs.versions.number(terms.version).cloned())
    }

    fn donate(&mut self, redemption: u64, rules: &Program, donation: &Donation) -> Option<GivenDonation> {
        let (cause, day) = (CompactString::from(&donation.cause), self.day());
        let money = Amount::try_from(donation.money.0).ok()?;
        self.take_from_pool(donation_pools(&cause, day).0, smallest_units(rules, money), i64::MAX);
        let id = Some(self.redemption_id(redemption));
        let effect = Effect { redemption: id, cause: Some(cause.clone()), ..Effect::of(EffectKind::Donated) };
        self.effect(Effect { money: Some(money), ..effect });
        Some(GivenDonation { cause, money, day, back: None })
    }

    /// A reward that was given is cancelled: money comes back, also from a cause. What a member has seen or used (a
    /// code, a voucher, a benefit) stays given.
    pub(super) fn take_given_back(&mut self, redemption: u64, found: &Redemption) -> Option<Given> {
        let mut given = found.given.clone()?;
        self.back_at_member(redemption, found, &mut given);
        let day = self.program.calendar.day(self.state.clock);
        if let (Some(donation), Some(rules)) = (&mut given.donation, self.inputs.versions.number(found.terms.version)) {
            let pool = donation_pools(&donation.cause, day).1;
            self.take_from_pool(pool, smallest_units(rules, donation.money), i64::MAX);
            donation.back = Some(day);
        }
        if let Some(money) = given.money {
            let redemption = Some(self.redemption_id(redemption));
            let order_id = found.terms.order_id.clone();
            self.effect(Effect { redemption, order_id, money: Some(money), ..Effect::of(EffectKind::MoneyBack) });
        }
        if let Some(fulfilment) = &mut given.fulfilment {
            *fulfilment = Fulfilment { state: FulfilmentState::Cancelled, since: self.at(), by: None };
        }
        Some(Given { back: true, ..given })
    }

    /// Whether a reward that was given may still be cancelled: nobody sent it, and its day is far enough away.
    pub(super) fn may_be_cancelled(&self, redemption: u64, found: &Redemption) -> Result<(), Rejected> {
        let id = || self.redemption_id(redemption);
        let fulfilment = found.given.as_ref().and_then(|given| given.fulfilment.as_ref());
        if let Some(fulfilment) = fulfilment.filter(|fulfilment| !fulfilment.state.may_be_cancelled()) {
            return Err(Rejected::FulfilmentTooFar { redemption: id(), state: fulfilment.state });
        }
        if let Some(partner) = found.given.as_ref().and_then(|given| given.partner.as_ref()) {
            return Err(Rejected::IsAtPartner { redemption: id(), state: partner.state });
        }
        let rules = self.rules_of_reward(&found.terms);
        let reward = found.terms.reward.as_ref().and_then(|reward| rules.as_ref()?.reward(reward.as_str()));
        if let Some(experience) = reward.and_then(|reward| reward.definition.gives.experience.as_ref()) {
            let last = experience.cancel_until.map_or(experience.day, |before| before.before(experience.day));
            if self.program.calendar.day(self.at_effective()) > last {
                return Err(Rejected::TooLateToCancel { redemption: id(), last_day: last });
            }
        }
        Ok(())
    }

    /// A code that nobody has seen may go to somebody else.
    pub(super) fn put_code_back(&mut self, terms: &Terms) {
        let Some(rules) = self.rules_of_reward(terms) else { return };
        let reward = terms.reward.as_ref().and_then(|id| rules.reward(id.as_str()));
        if let Some(codes) = reward.and_then(|reward| reward.definition.gives.code_pool.as_ref()) {
            self.take_from_pool(code_pool(codes), -1, i64::MAX);
        }
    }

    /// A reward that is not taken after all, or comes back: in stock again, and no longer counted in windows still open.
    pub(super) fn put_reward_back(&mut self, terms: &Terms) {
        let Some(id) = &terms.reward else { return };
        let rules = self.inputs.versions.number(terms.version).cloned();
        let Some(reward) = rules.as_ref().and_then(|rules| rules.reward(id.as_str())) else { return };
        let day = self.program.calendar.day(terms.at);
        if reward.definition.stock.is_some() {
            self.use_limit(&stock_pool(id), -1, day);
        }
        if self.state.status != Status::Household {
            self.uncount_reward(id, reward, day);
        }
    }
}

/// Money in the smallest unit of the program's.
pub(super) fn smallest_units(program: &Program, money: Amount) -> i64 {
    let units = Decimal::from(10_i64.pow(u32::try_from(program.money.decimals()).unwrap_or_default()));
    money.to_decimal().checked_mul(units).and_then(|units| i64::try_from(units).ok()).unwrap_or(i64::MAX)
}

/// Whether so many points are a whole reward: it is captured and comes back as one.
pub(super) fn is_whole(terms: &Terms, id: CompactString, wanted: i64, all: i64) -> Result<(), Rejected> {
    match &terms.reward {
        Some(_) if wanted != all => Err(Rejected::RewardInPart { redemption: id, wanted, price: all }),
        _ => Ok(()),
    }
}
