//! Levels beside what was reached: by invitation, status match, trial and lock.

use compact_str::CompactString;

use super::outcome::{Effect, EffectKind};
use super::tier::standing;
use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::{PlaceTier, PlacementEnd, PlacementKind, PlacementStep};
use crate::member::{Change, Condition, MemberState, Placement, Status};
use crate::program::{Id, LadderRules};
use crate::quantity::Amount;
use crate::time::{Day, Instant};

/// What has counted of a trial's condition so far: net of returns, as the measure is.
pub(super) fn reached(member: &MemberState, ladder: &str, condition: &Condition) -> Amount {
    let known = member.ladder(ladder);
    let sum = known.map_or(Amount::ZERO, |known| known.sum(&condition.measure, condition.from, Day::MAX));
    sum - condition.before
}

impl Working<'_> {
    pub(super) fn place_tier(&mut self, wish: &PlaceTier) -> Result<(), Rejected> {
        if self.inputs.state.is_none() || self.state.status == Status::Guest {
            return Err(Rejected::NeedsMember);
        }
        let id = &wish.ladder;
        self.open_main(wish.event_type(), EventStatus::Applied);
        let program = self.program.clone();
        let Some(ladder) = program.ladder(id.as_str()) else {
            return Err(Rejected::UnknownLadder { ladder: id.clone() });
        };
        match &wish.step {
            PlacementStep::Place { kind, level, ends, keep_if } => {
                let until = self.ends(*kind, *ends)?;
                let rank = self.rank_of(ladder, *kind, level.as_ref())?;
                let keep_if = keep_if.iter().map(|(name, needed)| self.condition(ladder, name, *needed));
                let keep_if = keep_if.collect::<Result<Vec<Condition>, Rejected>>()?;
                self.place(ladder, *kind, rank, until, &wish.reason, keep_if);
            }
            PlacementStep::Unlock => self.withdraw(ladder, PlacementKind::Lock)?,
            PlacementStep::Withdraw(kind) => self.withdraw(ladder, *kind)?,
        }
        self.follow_causes();
        Ok(())
    }

    fn ends(&self, kind: PlacementKind, ends: PlacementEnd) -> Result<Option<Instant>, Rejected> {
        let last = match ends {
            PlacementEnd::Open if matches!(kind, PlacementKind::Match | PlacementKind::Trial) => {
                return Err(Rejected::PlacementWithoutEnd { kind });
            }
            PlacementEnd::Open => return Ok(None),
            PlacementEnd::Until(day) => day,
            PlacementEnd::For(period) => period.after(self.day()),
        };
        if last < self.day() {
            return Err(Rejected::PlacementInThePast { last_day: last, today: self.day() });
        }
        Ok(Some(self.program.calendar.end(last)))
    }

    fn rank_of(&self, ladder: &LadderRules, kind: PlacementKind, level: Option<&Id>) -> Result<usize, Rejected> {
        let known = || ladder.levels.iter().map(|level| level.id.as_str()).collect::<Vec<_>>().join(", ");
        match level {
            Some(level) => ladder.levels.iter().position(|known| known.id == *level).ok_or_else(|| {
                Rejected::UnknownLevel { ladder: ladder.id.clone(), level: level.clone(), known: known() }
            }),
            None if kind == PlacementKind::Lock => Ok(standing::rank(ladder, &self.state)),
            None => Err(Rejected::PlacementWithoutLevel { ladder: ladder.id.clone(), known: known() }),
        }
    }

    /// What counts from now on.
    fn condition(&self, ladder: &LadderRules, name: &Id, needed: Amount) -> Result<Condition, Rejected> {
        let single = || ladder.measures.first().filter(|_| ladder.measures.len() == 1).map(|(measure, _)| measure);
        let by_name = ladder.measures.iter().map(|(measure, _)| measure);
        let mut by_name = by_name.filter(|measure| *measure == name || ladder.measure_name(measure) == *name);
        let measure = if name.as_str().is_empty() { single() } else { by_name.next() };
        let Some(measure) = measure.cloned() else {
            let known: Vec<String> =
                ladder.measures.iter().map(|(measure, _)| ladder.measure_name(measure).to_string()).collect();
            return Err(Rejected::UnknownMeasure {
                ladder: ladder.id.clone(),
                measure: name.clone(),
                known: known.join(", "),
            });
        };
        let from = standing::bucket(&self.program, ladder, self.state.joined_on, self.day());
        let fresh = Condition { measure, needed, from, before: Amount::ZERO };
        Ok(Condition { before: reached(&self.state, ladder.id.as_str(), &fresh), ..fresh })
    }

    fn place(
        &mut self,
        ladder: &LadderRules,
        kind: PlacementKind,
        rank: usize,
        until: Option<Instant>,
        reason: &CompactString,
        keep_if: Vec<Condition>,
    ) {
        let level = ladder.level(rank).id.clone();
        let (since, reason) = (self.at(), reason.clone());
        let placement =
            Placement { ladder: ladder.id.clone(), kind, level: level.clone(), since, until, reason, keep_if };
        self.change(Change::Placed { placement });
        self.effect(Effect {
            ladder: Some(ladder.id.clone()),
            level: Some(level),
            until,
            words: Some(kind.words().into()),
            ..Effect::of(EffectKind::TierPlaced)
        });
        // What it takes the place of may have been higher.
        self.judge_placements(ladder, None);
    }

    fn withdraw(&mut self, ladder: &LadderRules, kind: PlacementKind) -> Result<(), Rejected> {
        let mut there = self.state.placements(ladder.id.as_str(), self.at());
        let known = there.find(|placement| placement.kind == kind).cloned();
        let Some(known) = known else { return Err(Rejected::NotPlaced { ladder: ladder.id.clone(), kind }) };
        drop(there);
        self.end_placement(ladder, &known, false);
        Ok(())
    }

    /// A placement ends, by itself or by somebody, inside the event that is open.
    fn end_placement(&mut self, ladder: &LadderRules, ended: &Placement, by_itself: bool) {
        let kept = by_itself
            && !ended.keep_if.is_empty()
            && ended.keep_if.iter().all(|wanted| reached(&self.state, ladder.id.as_str(), wanted) >= wanted.needed);
        self.change(Change::Unplaced { ladder: ladder.id.clone(), kind: ended.kind });
        self.effect(Effect {
            ladder: Some(ladder.id.clone()),
            level: Some(ended.level.clone()),
            words: Some(if kept { "reached what it takes to stay".into() } else { ended.kind.words().into() }),
            ..Effect::of(EffectKind::TierPlacementEnded)
        });
        if kept {
            let until = standing::holds_until(&self.program, ladder, self.state.joined_on, self.day());
            self.change(Change::Floor { ladder: ladder.id.clone(), floor: Some((ended.level.clone(), until)) });
        }
        self.judge_placements(ladder, Some(ended.kind));
    }

    /// Up at once to what is held now; down to what is sustained without the placement that ended.
    fn judge_placements(&mut self, ladder: &LadderRules, ended: Option<PlacementKind>) {
        let now = self.state.clock;
        let program = self.program.clone();
        let sustained = standing::at(&program, ladder, &self.state, now, program.calendar.day(now)).rank;
        let current = standing::rank(ladder, &self.state);
        if ended == Some(PlacementKind::Lock) && sustained < current {
            // It kept the level through the review that it fell due for.
            self.review(ladder, now);
        } else if sustained != current {
            self.set_level(ladder, sustained);
        }
    }

    /// A placement ends by itself, in an event of its own.
    pub(super) fn placement_ends(&mut self, ladder: &Id, kind: PlacementKind, at: Instant) {
        self.open("tier-placement-end", EventStatus::Derived, at, None);
        let program = self.program.clone();
        let ended = self.state.placements.iter().find(|known| known.ladder == *ladder && known.kind == kind).cloned();
        match (program.ladder(ladder.as_str()), ended) {
            (Some(rules), Some(ended)) => self.end_placement(rules, &ended, true),
            // The version has no such ladder any more.
            _ => self.change(Change::Unplaced { ladder: ladder.clone(), kind }),
        }
        self.follow_causes();
    }
}
