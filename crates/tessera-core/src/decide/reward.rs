//! Rewards: price, stock and limits, decided with the points that pay for them in one transaction (C5).

use compact_str::{CompactString, format_compact};

use super::Rejected;
use super::basis::{self, Usage};
use super::tier::standing;
use super::working::Working;
use crate::event::Redeem;
use crate::expression::{EventScope, Facts};
use crate::ledger::Terms;
use crate::member::MemberState;
use crate::program::{Id, Program, Reward};
use crate::time::{Instant, Window};

/// The pool that counts how many of a reward's stock are taken.
pub fn stock_pool(reward: &Id) -> CompactString {
    format_compact!("pool:reward:{reward}")
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

/// The price, or the lowest of those that the member's levels have.
fn price_for(program: &Program, member: &MemberState, reward: &Reward) -> i64 {
    let own = |ladder: &crate::program::LadderRules| {
        let level = &ladder.level(standing::rank(ladder, member)).id;
        reward.definition.costs_by_tier.get(&ladder.id)?.get(level).copied()
    };
    program.ladders.iter().filter_map(own).chain([reward.price]).min().unwrap_or(reward.price)
}

fn may_have(program: &Program, member: &MemberState, id: &Id, reward: &Reward, at: Instant) -> Result<(), Rejected> {
    let (definition, day) = (&reward.definition, program.calendar.day(at));
    let in_time = definition.from.is_none_or(|from| from <= day) && definition.until.is_none_or(|until| day <= until);
    if !in_time {
        let (from, until) = (definition.from, definition.until);
        return Err(Rejected::RewardNotNow { reward: id.clone(), from, until });
    }
    if let Some(when) = &reward.when {
        let facts: Facts =
            when.facts.iter().map(|fact| (fact.clone(), basis::fact_value(program, member, fact, day))).collect();
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

impl Working<'_> {
    /// Takes a reward out of its stock and counts it.
    pub(super) fn take_reward(&mut self, id: &Id) -> Result<(), Rejected> {
        let program = self.program.clone();
        let Some(reward) = program.reward(id.as_str()) else { return Ok(()) };
        let pool = stock_pool(id);
        if let Some(stock) = reward.definition.stock
            && self.pool(&pool) >= stock
        {
            return Err(Rejected::RewardSoldOut { reward: id.clone(), stock });
        }
        let day = self.program.calendar.day(self.state.clock);
        if reward.definition.stock.is_some() {
            self.use_limit(&pool, 1, day);
        }
        for window in reward.definition.per_member.keys() {
            self.use_limit(&counter(id, *window), 1, day);
        }
        Ok(())
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
        for window in reward.definition.per_member.keys() {
            self.use_again(&counter(id, *window), -1, day);
        }
    }
}

/// Whether so many points are a whole reward: it is captured and comes back as one.
pub(super) fn is_whole(terms: &Terms, id: CompactString, wanted: i64, all: i64) -> Result<(), Rejected> {
    match &terms.reward {
        Some(_) if wanted != all => Err(Rejected::RewardInPart { redemption: id, wanted, price: all }),
        _ => Ok(()),
    }
}
