//! Waiting for what is sold out (C5, G1): first come first served. Whoever is next is offered what comes free, for a
//! while; meanwhile it is counted as taken.

use compact_str::{CompactString, format_compact};

use super::basis::Usage;
use super::outcome::{Effect, EffectKind};
use super::reward::{self, stock_pool};
use super::working::Working;
use super::{EventStatus, Rejected, WaitlistChange};
use crate::member::{Change, MemberState, Status, WaitState, Waiting};
use crate::program::{Id, Program};
use crate::time::Instant;

/// The pool that counts who waits for a reward.
pub fn waiting_pool(reward: &Id) -> CompactString {
    format_compact!("pool:waiting:{reward}")
}

/// The pool that counts the places ever given in a reward's list: the next place is one more.
pub fn places_pool(reward: &Id) -> CompactString {
    format_compact!("pool:places:{reward}")
}

/// The pools of the waiting lists of a program.
pub(super) fn pools(program: &Program) -> impl Iterator<Item = CompactString> {
    let rewards = program.definition.rewards.iter().filter(|(_, reward)| reward.waitlist.is_some());
    rewards.flat_map(|(id, _)| [waiting_pool(id), places_pool(id)])
}

impl Working<'_> {
    /// How many of a reward are left, and how many members wait for one.
    fn left_and_waiting(&self, id: &Id, stock: i64) -> (i64, i64) {
        (stock - self.pool(&stock_pool(id)), self.pool(&waiting_pool(id)))
    }

    /// Whether a reward is set aside for this member: then it is theirs, and counted already.
    pub(super) fn take_offer(&mut self, id: &Id) -> bool {
        let Some(place) = self.state.waits_for(id).filter(|wait| wait.offered_until.is_some()).map(|wait| wait.place)
        else {
            return false;
        };
        self.change(Change::WaitOver { reward: id.clone() });
        self.waitlist.push(WaitlistChange { reward: id.clone(), place, state: WaitState::Taken });
        true
    }

    /// What is left beyond those who wait may be taken by anybody.
    pub(super) fn is_free(&self, id: &Id, stock: i64) -> Result<(), Rejected> {
        let (left, waiting) = self.left_and_waiting(id, stock);
        match left {
            ..=0 => Err(Rejected::RewardSoldOut { reward: id.clone(), stock }),
            left if left <= waiting => Err(Rejected::RewardWaitedFor { reward: id.clone(), left, waiting }),
            _ => Ok(()),
        }
    }

    pub(super) fn wait_for(&mut self, id: &Id) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        self.open_main("waitlist", EventStatus::Applied);
        let program = self.program.clone();
        let Some(found) = program.reward(id.as_str()) else {
            return Err(Rejected::UnknownReward { reward: id.clone() });
        };
        let (Some(stock), Some(_)) = (found.definition.stock, found.definition.waitlist) else {
            return Err(Rejected::NoWaitlist { reward: id.clone() });
        };
        if self.state.waits_for(id).is_some() {
            return Err(Rejected::WaitsAlready { reward: id.clone() });
        }
        if self.state.waiting.len() >= MemberState::WAITING_MAX {
            return Err(Rejected::WaitsForTooMuch { most: MemberState::WAITING_MAX });
        }
        reward::may_have(&program, &self.state, id, found, self.state.clock)?;
        if self.is_free(id, stock).is_ok() {
            return Err(Rejected::RewardIsLeft { reward: id.clone(), left: self.left_and_waiting(id, stock).0 });
        }
        let place = self.pool(&places_pool(id)) + 1;
        self.take_from_pool(places_pool(id), 1, i64::MAX);
        self.take_from_pool(waiting_pool(id), 1, i64::MAX);
        self.change(Change::Waiting { reward: id.clone(), place });
        self.waitlist.push(WaitlistChange { reward: id.clone(), place, state: WaitState::Waiting });
        self.effect(Effect { reward: Some(id.clone()), place: Some(place), ..Effect::of(EffectKind::Waits) });
        Ok(())
    }

    pub(super) fn leave_waitlist(&mut self, id: &Id) -> Result<(), Rejected> {
        let Some(wait) = self.state.waits_for(id).cloned() else {
            return Err(Rejected::NotWaiting { reward: id.clone() });
        };
        self.open_main("waitlist-leave", EventStatus::Applied);
        self.leave_place(&wait);
        Ok(())
    }

    fn leave_place(&mut self, wait: &Waiting) {
        let id = &wait.reward;
        let pool = if wait.offered_until.is_some() { stock_pool(id) } else { waiting_pool(id) };
        self.take_from_pool(pool, -1, i64::MAX);
        self.change(Change::WaitOver { reward: id.clone() });
        self.waitlist.push(WaitlistChange { reward: id.clone(), place: wait.place, state: WaitState::Left });
    }

    /// Whoever leaves the program keeps nobody waiting.
    pub(super) fn stop_waiting(&mut self) {
        for wait in self.state.waiting.clone() {
            self.leave_place(&wait);
        }
    }

    /// Sets what came free aside for whoever is next. Only the engine asks for this.
    pub(super) fn offer(&mut self, id: &Id, place: i64) -> Result<(), Rejected> {
        let waits = self.state.waits_for(id).is_some_and(|wait| wait.place == place && wait.offered_until.is_none());
        if !waits {
            return Err(Rejected::NotWaiting { reward: id.clone() });
        }
        self.open_main("seat-offer", EventStatus::Derived);
        let program = self.program.clone();
        let found = program.reward(id.as_str());
        let settings = found.and_then(|found| Some((found.definition.stock?, found.definition.waitlist?)));
        let Some((stock, waitlist)) = settings else { return Err(Rejected::NoWaitlist { reward: id.clone() }) };
        if self.left_and_waiting(id, stock).0 <= 0 {
            return Err(Rejected::RewardSoldOut { reward: id.clone(), stock });
        }
        let until = self.state.clock.plus_seconds(waitlist.offer.seconds());
        self.take_from_pool(stock_pool(id), 1, stock);
        self.take_from_pool(waiting_pool(id), -1, i64::MAX);
        self.change(Change::Offered { reward: id.clone(), until });
        self.waitlist.push(WaitlistChange { reward: id.clone(), place, state: WaitState::Offered });
        self.effect(Effect { reward: Some(id.clone()), until: Some(until), ..Effect::of(EffectKind::Offered) });
        Ok(())
    }

    /// Nobody took what was set aside: it goes to the next.
    pub(super) fn end_offer(&mut self, id: &Id, at: Instant) {
        let Some(place) = self.state.waits_for(id).map(|wait| wait.place) else { return };
        self.open("seat-offer-end", EventStatus::Derived, at, None);
        self.take_from_pool(stock_pool(id), -1, i64::MAX);
        self.change(Change::WaitOver { reward: id.clone() });
        self.waitlist.push(WaitlistChange { reward: id.clone(), place, state: WaitState::Passed });
        self.effect(Effect { reward: Some(id.clone()), ..Effect::of(EffectKind::OfferEnded) });
    }
}
