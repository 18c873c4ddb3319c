//! A place in a household, when its member becomes one with another, and when they are two again (P1, P5).

use compact_str::ToCompactString;

use super::household::of;
use super::merge::with;
use super::outcome::{Effect, EffectKind};
use super::working::Working;
use super::{Recorded, Rejected};
use crate::event::{GivenBack, HouseholdNews};
use crate::id::MemberId;
use crate::member::{Belonging, Change, MemberState};

impl Working<'_> {
    /// Whoever asked to be taken in and was not answered yet asks no more: they end.
    pub(super) fn withdraw_from_household(&mut self) {
        let asked = self.state.belongs.as_ref().filter(|belongs| belongs.asked);
        if let Some(household) = asked.and_then(|belongs| belongs.household) {
            self.no_longer_in(household, EffectKind::HouseholdLeft);
            self.send_news(household, &HouseholdNews::Gone { member: self.state.id, of_program: false });
        }
    }

    /// The household whose place comes with somebody. Nobody is in two.
    pub(super) fn may_take_seat(&self, from: &MemberState) -> Result<Option<MemberId>, Rejected> {
        let Some(theirs) = from.home() else { return Ok(None) };
        let own = self.state.belongs.as_ref().filter(|belongs| belongs.household.is_some());
        match own.and_then(|own| Some((own.household?, own.asked))) {
            Some((own, asked)) if asked || own != theirs => {
                let (own, theirs) = (own.to_compact_string(), theirs.to_compact_string());
                Err(Rejected::BothInHousehold { own, theirs })
            }
            _ => Ok(Some(theirs)),
        }
    }

    /// The place of somebody else is this member's: with the parts of the pool that were put in, and what was spent of it.
    pub(super) fn take_seat(&mut self, household: MemberId, from: &MemberState) {
        let Some(theirs) = from.belongs.clone() else { return };
        let own = self.state.belongs.clone();
        if self.state.home().is_some() {
            self.kept_once("household", None);
        } else {
            self.effect(of(EffectKind::HouseholdJoined, household));
        }
        let since =
            own.as_ref().filter(|own| own.household.is_some()).map_or(theirs.since, |own| own.since.min(theirs.since));
        let mut belonging = Belonging { since, ..theirs };
        for (currency, amount) in own.iter().flat_map(|own| &own.given) {
            belonging.give(currency, *amount);
        }
        self.change(Change::Belongs { belonging });
        self.send_news(household, &HouseholdNews::Seat { from: from.id, to: self.state.id });
    }

    /// The place goes back that came with somebody, if it is still held as it came; else it stays.
    pub(super) fn give_seat_back(
        &mut self,
        from: &MemberState,
        merged: u64,
        history: &[Recorded],
    ) -> Option<Belonging> {
        let household = from.home()?;
        let belongs = |event: &Recorded| -> Vec<Belonging> {
            let changes = event.record.changes.iter();
            let of = changes.filter_map(|change| match change {
                Change::Belongs { belonging } => Some(belonging.clone()),
                _ => None,
            });
            of.collect()
        };
        let before = history.iter().filter(|event| event.seq < merged).flat_map(belongs).last();
        let was_there = before.as_ref().is_some_and(|before| before.household.is_some());
        let moved = history.iter().any(|event| event.seq > merged && !belongs(event).is_empty());
        let Some(now) = self.state.belongs.clone().filter(|_| !was_there && !moved) else {
            let stays = Effect { reason: Some("household".into()), ..with(EffectKind::Stays, from.id) };
            self.effect(stays);
            return None;
        };
        self.effect(of(EffectKind::HouseholdLeft, household));
        let left_on = before.and_then(|before| before.left_on);
        let nowhere = Belonging { household: None, asked: false, since: self.day(), left_on, given: Vec::new() };
        self.change(Change::Belongs { belonging: nowhere });
        Some(now)
    }

    /// Whoever is a member of their own again is where they were, or belongs nowhere.
    pub(super) fn come_back_to_seat(&mut self, back: &GivenBack) {
        match (back.home.clone(), self.state.belongs.clone()) {
            (Some(belonging), _) => {
                if let Some(household) = belonging.household {
                    self.effect(of(EffectKind::HouseholdJoined, household));
                    self.send_news(household, &HouseholdNews::Seat { from: back.by.member, to: self.state.id });
                }
                self.change(Change::Belongs { belonging });
            }
            (None, Some(belongs)) if belongs.household.is_some() => {
                let nowhere = Belonging { household: None, asked: false, given: Vec::new(), ..belongs };
                self.change(Change::Belongs { belonging: nowhere });
            }
            _ => {}
        }
    }

    /// Somebody else has the place of one of the household's people, and all that goes with it.
    pub(super) fn pass_seat(&mut self, from: MemberId, to: MemberId) {
        let is_there =
            |member| self.state.household.as_ref().is_some_and(|household| household.person(member).is_some());
        if !is_there(from) {
            // They were sent away before it was known that they are one.
            if !is_there(to) {
                let household = self.state.id;
                self.send_news(to, &HouseholdNews::Out { household, member: to, points: Vec::new() });
            }
            return;
        }
        // What was spent of the pool counts for whoever has the place (P1).
        let own = super::pool::counters_of(from);
        let counters = self.state.counters.iter().filter(|counter| counter.limit.starts_with(own.as_str())).cloned();
        for counter in counters.collect::<Vec<_>>() {
            let limit = counter.limit.replacen(own.as_str(), super::pool::counters_of(to).as_str(), 1).into();
            let (from, until, by) = (counter.from, counter.until, counter.used);
            self.change(Change::Used { limit: counter.limit, from, until, by: -by });
            self.change(Change::Used { limit, from, until, by });
        }
        self.effect(of(EffectKind::HouseholdLeft, from));
        self.effect(of(EffectKind::HouseholdJoined, to));
        self.change(Change::SeatPassed { from, to });
        // Somebody who has left meanwhile, on the way of another word, says so.
        let household = self.state.id;
        self.send_news(to, &HouseholdNews::TakenIn { household, member: to });
    }
}
