//! One member out of two: who came into whom, and how events of those who came are named.
//!
//! A survivor names an event of its own by its number. One of somebody merged into it gets a number beyond all own
//! ones, made of their place in the list and the event's number there.

use serde::{Deserialize, Serialize};

use super::{MemberState, Progress, Reward, StepVoucher, Streak};
use crate::event::Brought;
use crate::id::{EventId, MemberId};
use crate::program::Id;
use crate::quantity::Points;
use crate::time::Instant;

/// Somebody who was merged into a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    pub id: MemberId,
    /// The survivor's event by which they came.
    pub event: u64,
    /// Business time.
    pub at: Instant,
    /// Into whom they had been merged before, where they did not come by themselves.
    pub by: Option<MemberId>,
    /// What they had earned until then, by currency.
    pub issued: Vec<(Id, Points)>,
    /// They are a member of their own again.
    pub is_over: bool,
}

/// Events of one member: 2^40 of them are more than anybody has.
const EVENTS_MAX: u64 = 1 << 40;

impl MemberState {
    /// Members that may be merged into one, each with those who had been merged into them.
    pub const MERGED_MAX: usize = 50;

    /// Which event a number in this state means.
    pub fn event_id(&self, number: u64) -> EventId {
        let place = usize::try_from(number / EVENTS_MAX).unwrap_or(usize::MAX);
        match place.checked_sub(1).and_then(|place| self.merged.get(place)) {
            Some(merged) => EventId { member: merged.id, seq: number % EVENTS_MAX },
            None => EventId { member: self.id, seq: number },
        }
    }

    /// The number by which this state names an event of its own, or of somebody who was merged into it.
    pub fn number_of(&self, event: EventId) -> Option<u64> {
        if event.member == self.id {
            return Some(event.seq);
        }
        let place = self.merged.iter().rposition(|merged| merged.id == event.member)?;
        Some(u64::try_from(place + 1).ok()? * EVENTS_MAX + event.seq)
    }

    /// The number of another state's number.
    pub fn number_from(&self, other: &Self, number: u64) -> Option<u64> {
        self.number_of(other.event_id(number))
    }

    /// Whoever is one with this member now.
    pub fn merged_now(&self) -> impl Iterator<Item = &Merged> {
        self.merged.iter().filter(|merged| !merged.is_over)
    }

    pub fn has_merged(&self, member: MemberId) -> bool {
        self.merged_now().any(|merged| merged.id == member)
    }

    /// Everything of somebody else that is no points, tiers or limits: those are moved by changes of their own.
    pub(super) fn take_in(&mut self, event: u64, at: Instant, brought: &Brought) {
        let from = &brought.state;
        let issued = |state: &Self| state.purses.iter().map(|p| (p.currency.clone(), p.totals.issued)).collect();
        self.merged.push(Merged { id: from.id, event, at, by: None, issued: issued(from), is_over: false });
        for earlier in from.merged_now() {
            self.merged.push(Merged { event, at, by: Some(from.id), ..earlier.clone() });
        }
        self.add_statistics(from);
        for (campaign, held_out) in &from.exposures {
            if !self.exposures.iter().any(|(known, _)| known == campaign) {
                self.exposures.push((campaign.clone(), *held_out));
            }
        }
        for parked in &from.parked {
            if let Some(event) = self.number_from(from, parked.event) {
                self.parked.push(super::ParkedEvent { event, ..parked.clone() });
            }
        }
        for progress in &from.challenges {
            self.take_progress(from, progress);
        }
        for streak in &from.streaks {
            self.take_streak(from, streak);
        }
        for badge in &from.badges {
            match self.badges.iter_mut().find(|known| known.badge == badge.badge) {
                Some(known) => known.on = known.on.min(badge.on),
                None => self.badges.push(badge.clone()),
            }
        }
        for voucher in &from.step_vouchers {
            if let Some(event) = self.number_from(from, voucher.event) {
                self.remember_voucher(StepVoucher { event, ..voucher.clone() });
            }
        }
        for used in &from.uses {
            if let Some(event) = self.number_from(from, used.event) {
                self.use_benefit(&super::BenefitUse { event, ..used.clone() });
            }
        }
        if self.referral.is_none() && from.referral.as_ref().is_some_and(|referral| referral.referrer != self.id) {
            self.referral = from.referral.clone().map(|mut referral| {
                let number = |event: &u64| *event > 0;
                let paid = Some(referral.own.event).filter(number).and_then(|event| self.number_from(from, event));
                referral.own.event = paid.unwrap_or(0);
                referral
            });
        }
        for device in &from.devices {
            if !self.devices.contains(device) && self.devices.len() < Self::DEVICES_MAX {
                self.devices.push(device.clone());
            }
        }
        self.take_shortfalls(from);
        for wait in &from.waiting {
            if self.waits_for(&wait.reward).is_none() {
                self.waiting.push(wait.clone());
            }
        }
    }

    /// What was counted of both is one sum.
    fn add_statistics(&mut self, from: &Self) {
        let (own, their) = (&mut self.statistics, &from.statistics);
        own.purchases += their.purchases;
        own.spend += their.spend;
        own.returns += their.returns;
        own.returned += their.returned;
        own.last_purchase = own.last_purchase.max(their.last_purchase);
        own.last_event = own.last_event.max(their.last_event);
        for (kind, times) in &from.counts {
            match self.counts.iter_mut().find(|(known, _)| known == kind) {
                Some((_, known)) => *known += times,
                None => self.counts.push((kind.clone(), *times)),
            }
        }
    }

    fn renamed(&self, from: &Self, rewards: &[Reward]) -> Vec<Reward> {
        let renamed = |reward: &Reward| Some(Reward { event: self.number_from(from, reward.event)?, ..reward.clone() });
        rewards.iter().filter_map(renamed).collect()
    }

    /// Two ways through one challenge are one: what counted is a sum, a step that one of them was given stays given.
    fn take_progress(&mut self, from: &Self, theirs: &Progress) {
        let rewards = self.renamed(from, &theirs.rewards);
        let known = self.challenge(theirs.challenge.as_str(), theirs.from).map(|known| known.given);
        let own = self.challenge_for(&theirs.challenge, theirs.from, theirs.until);
        own.count(theirs.value, &theirs.values);
        own.until = own.until.max(theirs.until);
        own.joined = match (own.joined, theirs.joined) {
            (Some(own), Some(theirs)) => Some(own.min(theirs)),
            (own, theirs) => own.or(theirs),
        };
        // Steps that both were given stand once: their rewards are those of the survivor.
        let given = known.unwrap_or(0);
        own.rewards.extend(rewards.into_iter().filter(|reward| reward.place >= given));
        own.given = own.given.max(theirs.given);
    }

    /// A period counts if it counted for one of them; of what is settled the run that came last goes on.
    fn take_streak(&mut self, from: &Self, theirs: &Streak) {
        let rewards = self.renamed(from, &theirs.rewards);
        let Some(own) = self.streaks.iter_mut().find(|known| known.streak == theirs.streak) else {
            self.streaks.push(Streak { rewards, ..theirs.clone() });
            return;
        };
        own.take(theirs, rewards);
    }

    /// Those who came with a member are on their own again, and what was only theirs goes with them.
    pub(super) fn let_go(&mut self, brought: &Brought) {
        let from = &brought.state;
        let gone: Vec<u64> = from.parked.iter().filter_map(|parked| self.number_from(from, parked.event)).collect();
        self.parked.retain(|parked| !gone.contains(&parked.event));
        let gone: Vec<u64> = from.uses.iter().filter_map(|used| self.number_from(from, used.event)).collect();
        self.uses.retain(|used| !gone.contains(&used.event));
        self.step_vouchers.retain(|known| !from.step_vouchers.iter().any(|theirs| theirs.code == known.code));
        self.let_shortfalls_go(from);
        self.waiting.retain(|wait| {
            !from.waiting.iter().any(|known| (&known.reward, known.place) == (&wait.reward, wait.place))
        });
        let came = |club: &super::Club| {
            from.clubs
                .iter()
                .any(|known| known.plan == club.plan && self.number_from(from, known.event) == Some(club.event))
        };
        let clubs: Vec<super::Club> = self.clubs.iter().filter(|club| !came(club)).cloned().collect();
        self.clubs = clubs;
        let (own, their) = (&mut self.statistics, &from.statistics);
        own.purchases = own.purchases.saturating_sub(their.purchases);
        own.spend -= their.spend;
        own.returns = own.returns.saturating_sub(their.returns);
        own.returned -= their.returned;
        for (kind, times) in &from.counts {
            if let Some((_, known)) = self.counts.iter_mut().find(|(known, _)| known == kind) {
                *known = known.saturating_sub(*times);
            }
        }
        self.counts.retain(|(_, times)| *times > 0);
        for merged in &mut self.merged {
            if merged.id == from.id || merged.by == Some(from.id) {
                merged.is_over = true;
            }
        }
    }
}
