//! Members who cause events for each other, living through their events side by side: a household and its people, or
//! everybody where a pool may run out.
//!
//! What one causes for another is what the draft makes of it, and it arrives where it was recorded to. What the draft
//! causes and nothing was recorded of arrives at once; what was recorded and the draft does not cause does not happen, and
//! what was on its way when the business looked at ends still is.
//! What a friend or a merge brought comes as it came; what a transfer brought too, unless the draft refuses one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use compact_str::CompactString;
use tessera_core::decide::FollowUp;
use tessera_core::id::{EventId, MemberId};
use tessera_core::member::{MemberState, Status};
use tessera_core::time::Instant;
use tessera_insight::Comparison;
use tessera_store::{Reader, StoreError};

use super::Replay;
use super::log::{self, Between, Cause, Lived, News, Place};
use super::run::{Pooled, Pools, Run};

#[derive(Default)]
pub(super) struct Together {
    pub runs: HashMap<MemberId, Run>,
    /// What each still has before them.
    ahead: HashMap<MemberId, VecDeque<Place>>,
    /// What is recorded to have been told because of each member's events, or to be on its way, and of which kind it was.
    told: BTreeMap<Cause, CompactString>,
    /// What the draft wants told, until it was recorded to have been.
    on_the_way: BTreeMap<Cause, FollowUp>,
    pooled: Pooled,
    between: Between,
}

impl Together {
    /// `waits`: what is on its way at the end of what is looked at, and is told nobody before.
    pub fn new(between: Between, waits: &[News]) -> Self {
        let mut together = Self { between, ..Self::default() };
        together.told_later(waits);
        together
    }

    pub fn told_later(&mut self, news: &[News]) {
        self.told.extend(news.iter().map(|news| (news.cause, news.kind.clone())));
    }

    /// Takes somebody in, with everything they lived through.
    pub fn add(&mut self, state: &MemberState, run: Run, places: Vec<Place>) {
        for place in &places {
            if let Lived::Sent { news: Some(news), .. } = &place.lived {
                self.told.insert(news.cause, news.kind.clone());
            }
        }
        if state.status == Status::Household {
            self.pooled.households.insert(state.id);
        }
        self.ahead.insert(state.id, places.into());
        self.runs.insert(state.id, run);
    }

    /// Lives through everything, in the order in which it was recorded. What was recorded in the same microsecond goes by
    /// member, but nobody is told anything before it happened.
    pub fn live(
        &mut self,
        replay: &Replay<'_>,
        reader: &mut Reader<'_>,
        pools: &mut Pools,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let mut next: BTreeSet<(Instant, MemberId)> = self.ahead.keys().filter_map(|id| self.head(*id)).collect();
        let mut waiting: BTreeMap<MemberId, Vec<MemberId>> = BTreeMap::new();
        while let Some((at, member)) = next.pop_first() {
            if let Some(other) = self.waits_for(member) {
                waiting.entry(other).or_default().push(member);
                continue;
            }
            let Some(place) = self.ahead.get_mut(&member).and_then(VecDeque::pop_front) else { continue };
            self.step(replay, reader, (member, at, &place), pools, comparison)?;
            next.extend(self.head(member));
            let freed = waiting.remove(&member).unwrap_or_default();
            next.extend(freed.into_iter().filter_map(|waits| self.head(waits)));
        }
        Ok(())
    }

    fn head(&self, member: MemberId) -> Option<(Instant, MemberId)> {
        self.ahead.get(&member).and_then(VecDeque::front).map(|place| (place.recorded_at, member))
    }

    /// Whose event comes first, that caused what a member lives through next.
    fn waits_for(&self, member: MemberId) -> Option<MemberId> {
        let Lived::Sent { news: Some(news), .. } = &self.ahead.get(&member)?.front()?.lived else { return None };
        let EventId { member: other, seq } = news.cause.event;
        let is_ahead = self.ahead.get(&other).and_then(VecDeque::front).is_some_and(|place| place.from <= seq);
        (is_ahead && other != member).then_some(other)
    }

    fn step(
        &mut self,
        replay: &Replay<'_>,
        reader: &mut Reader<'_>,
        (member, at, place): (MemberId, Instant, &Place),
        pools: &mut Pools,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let caused = match &place.lived {
            Lived::Settled(settled) => {
                let run = self.runs.get_mut(&member);
                run.map(|run| run.settle(replay.versions, settled.to, pools)).unwrap_or_default()
            }
            // Whose sender is not here comes as it came.
            Lived::Sent { news: Some(News { cause, refused, .. }), .. }
                if self.runs.contains_key(&cause.event.member) =>
            {
                let Some(news) = self.on_the_way.remove(cause) else { return Ok(()) };
                let news = match refused {
                    Some(code) => news.refused(code).unwrap_or(news),
                    None => news,
                };
                self.tell(replay, (member, at), news, pools, comparison)
            }
            Lived::Sent { seq, .. } => {
                let Some(event) = log::event(reader, replay.program, member, *seq)? else { return Ok(()) };
                let Some(run) = self.runs.get_mut(&member) else { return Ok(()) };
                replay.send(run, &event, (pools, &mut self.pooled), comparison)
            }
        };
        let until = self.ahead.get(&member).and_then(VecDeque::front).map_or(u64::MAX, |next| next.from);
        let at_once = self.keep(member, place.from..until, caused);
        self.tell_at_once(replay, at, at_once, pools, comparison);
        Ok(())
    }

    /// Keeps what is recorded to have been told later; the rest is told at once.
    fn keep(&mut self, member: MemberId, events: std::ops::Range<u64>, caused: Vec<FollowUp>) -> VecDeque<FollowUp> {
        let first = |seq| Cause { event: EventId { member, seq }, number: 0 };
        let recorded = self.told.range(first(events.start)..first(events.end));
        let mut recorded: Vec<(Cause, CompactString)> = recorded.map(|(cause, kind)| (*cause, kind.clone())).collect();
        let mut at_once = VecDeque::new();
        for news in caused.into_iter().filter(|news| self.between.is_told(&news.kind)) {
            match recorded.iter().position(|(_, kind)| *kind == news.kind) {
                Some(place) => drop(self.on_the_way.insert(recorded.remove(place).0, news)),
                None => at_once.push_back(news),
            }
        }
        at_once
    }

    fn tell_at_once(
        &mut self,
        replay: &Replay<'_>,
        at: Instant,
        mut news: VecDeque<FollowUp>,
        pools: &mut Pools,
        comparison: &mut Comparison,
    ) {
        while let Some(next) = news.pop_front() {
            let to = self.survivor(next.to);
            let caused = self.tell(replay, (to, at), next, pools, comparison);
            news.extend(caused.into_iter().filter(|news| self.between.is_told(&news.kind)));
        }
    }

    /// Who somebody is by now.
    fn survivor(&self, member: MemberId) -> MemberId {
        let mut now = member;
        for _ in 0..=MemberState::MERGED_MAX {
            match self.runs.get(&now).and_then(Run::merged_into) {
                Some(into) => now = into,
                None => return now,
            }
        }
        member
    }

    /// Tells somebody; what cannot be told comes back to whoever wanted to.
    fn tell(
        &mut self,
        replay: &Replay<'_>,
        (to, at): (MemberId, Instant),
        news: FollowUp,
        pools: &mut Pools,
        comparison: &mut Comparison,
    ) -> Vec<FollowUp> {
        let Some(run) = self.runs.get_mut(&to) else { return Vec::new() };
        let code = match run.hear(replay.versions, &news, at, pools) {
            Ok(caused) => return caused,
            Err(code) => code,
        };
        replay.refuse(&code, news.effective_at, comparison);
        let Some(back) = news.refused(&code) else { return Vec::new() };
        let sender = self.runs.get_mut(&back.to);
        sender.and_then(|run| run.hear(replay.versions, &back, at, pools).ok()).unwrap_or_default()
    }
}
