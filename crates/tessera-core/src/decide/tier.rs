//! Where a member stands on the ladders (T1-T8).

use crate::member::{Change, MemberState};
use crate::program::{
    Counts, DownTo, HoldsTo, Id, LadderRules, LevelDefinition, Measure, Program, ReturnUndoes, TierWindow,
};
use crate::quantity::Amount;
use crate::time::{Day, Instant, Period};

use super::outcome::{Effect, EffectKind};
use super::working::Working;

pub(super) mod standing {
    use super::*;

    /// The level that a member holds, and until when.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Standing {
        pub rank: usize,
        /// The next review; `None` at the base, which nobody can lose. [`Instant::MAX`] for a level without an end.
        pub until: Option<Instant>,
    }

    /// The place of the level a member has; the base where none was ever set, or the version does not know it.
    pub fn rank(ladder: &LadderRules, member: &MemberState) -> usize {
        member.ladder(ladder.id.as_str()).map_or(0, |known| ladder.rank(&known.level))
    }

    /// The first day of the window that a business day belongs to, and the first day behind it (T2).
    pub fn period(program: &Program, ladder: &LadderRules, joined_on: Day, day: Day) -> (Day, Day) {
        let _ = program;
        match ladder.window {
            TierWindow::CalendarYear => {
                (day.start_of(crate::time::Window::Year), day.end_of(crate::time::Window::Year))
            }
            TierWindow::Anniversary => crate::program::membership_year(day, joined_on),
            TierWindow::Rolling { rolling } => (rolling.before(day).plus(1), day.plus(1)),
        }
    }

    /// The bucket a business day is counted in: its day where windows roll, else its whole period.
    pub fn bucket(program: &Program, ladder: &LadderRules, joined_on: Day, day: Day) -> Day {
        match ladder.window {
            TierWindow::Rolling { .. } => day,
            _ => period(program, ladder, joined_on, day).0,
        }
    }

    /// The highest level whose conditions hold over a stretch of days (T4, T7).
    pub fn earned(ladder: &LadderRules, member: &MemberState, from: Day, until: Day) -> usize {
        let known = member.ladder(ladder.id.as_str());
        let sum = |measure: &Id| known.map_or(Amount::ZERO, |known| known.sum(measure, from, until)).to_decimal();
        let holds = |rank: &usize| {
            let LevelDefinition { at, .. } = &ladder.levels[*rank];
            at.of.iter().filter(|(measure, threshold)| sum(measure) >= threshold.0).count() >= at.needed
        };
        (1..ladder.levels.len()).rev().find(holds).unwrap_or(0)
    }

    /// Where a member stands at an instant: the best of what they reached and what somebody put them on, as long as it
    /// holds. The one place that says so.
    pub fn at(program: &Program, ladder: &LadderRules, member: &MemberState, now: Instant, day: Day) -> Standing {
        let mut best = by_measures(program, ladder, member, now, day);
        for placement in member.placements(ladder.id.as_str(), now) {
            let (rank, until) = (ladder.rank(&placement.level), placement.until.unwrap_or(Instant::MAX));
            if rank > best.rank || (rank > 0 && rank == best.rank && Some(until) > best.until) {
                best = Standing { rank, until: Some(until) };
            }
        }
        best
    }

    /// Until when a level is held that is reached on a day (T3).
    pub fn holds_until(program: &Program, ladder: &LadderRules, joined_on: Day, day: Day) -> Instant {
        let end = match (ladder.window, ladder.holds_to) {
            (TierWindow::Rolling { rolling }, _) => rolling.after(day).plus(1),
            (_, HoldsTo::Current) => period(program, ladder, joined_on, day).1,
            (_, HoldsTo::Next) => period(program, ladder, joined_on, period(program, ladder, joined_on, day).1).1,
        };
        program.calendar.start(ladder.down.grace.after(end))
    }

    /// Where measures and reviews alone put a member: the best of what each window earned and a review left.
    pub fn by_measures(
        program: &Program,
        ladder: &LadderRules,
        member: &MemberState,
        now: Instant,
        day: Day,
    ) -> Standing {
        let mut best = Standing { rank: 0, until: None };
        let mut better = |rank: usize, until: Instant| {
            if rank > 0 && until > now && (rank > best.rank || (rank == best.rank && Some(until) > best.until)) {
                best = Standing { rank, until: Some(until) };
            }
        };
        let Some(known) = member.ladder(ladder.id.as_str()) else { return best };
        let grace = |last: Day| program.calendar.start(ladder.down.grace.after(last));
        let mut days: Vec<Day> =
            known.measures.iter().flat_map(|known| known.buckets.iter().map(|(day, _)| *day)).collect();
        days.sort_unstable();
        days.dedup();
        match ladder.window {
            TierWindow::Rolling { rolling } => {
                let exits: Vec<Day> = days.iter().map(|bucket| leaves(rolling, *bucket)).collect();
                let mut changes: Vec<Day> =
                    days.iter().chain(&exits).copied().filter(|change| *change <= day).collect();
                changes.sort_unstable();
                changes.dedup();
                for change in changes {
                    let rank = earned(ladder, member, rolling.before(change).plus(1), change.plus(1));
                    let until = match ladder.holds_to {
                        HoldsTo::Next => rolling.after(change).plus(1),
                        HoldsTo::Current => {
                            exits.iter().copied().filter(|exit| *exit > change).min().unwrap_or(change.plus(1))
                        }
                    };
                    better(rank, grace(until));
                }
            }
            TierWindow::CalendarYear | TierWindow::Anniversary => {
                for bucket in days.into_iter().filter(|bucket| *bucket <= day) {
                    let (from, until) = period(program, ladder, member.joined_on, bucket);
                    let end = match ladder.holds_to {
                        HoldsTo::Current => until,
                        HoldsTo::Next => period(program, ladder, member.joined_on, until).1,
                    };
                    better(earned(ladder, member, from, until), grace(end));
                }
            }
        }
        if let Some((level, until)) = &known.floor {
            better(ladder.rank(level), *until);
        }
        best
    }

    /// The first day on which a level that is reached on a day no longer holds by itself (T3).
    pub fn holds_from(program: &Program, ladder: &LadderRules, joined_on: Day, day: Day) -> Day {
        let end = match ladder.window {
            TierWindow::Rolling { rolling } => rolling.after(day).plus(1),
            TierWindow::CalendarYear | TierWindow::Anniversary => {
                let (_, until) = period(program, ladder, joined_on, day);
                match ladder.holds_to {
                    HoldsTo::Current => until,
                    HoldsTo::Next => period(program, ladder, joined_on, until).1,
                }
            }
        };
        ladder.down.grace.after(end)
    }

    /// The first day on which a bucket no longer counts in a rolling window.
    fn leaves(rolling: Period, bucket: Day) -> Day {
        let mut day = rolling.after(bucket).plus(-4);
        while rolling.before(day) < bucket {
            day = day.plus(1);
        }
        day
    }

    /// The first day whose buckets can still matter.
    pub fn horizon(program: &Program, ladder: &LadderRules, joined_on: Day, day: Day) -> Day {
        let before = ladder.down.grace.before(day);
        match ladder.window {
            TierWindow::Rolling { rolling } => rolling.before(rolling.before(before)).plus(-1),
            _ => {
                let (from, _) = period(program, ladder, joined_on, before);
                period(program, ladder, joined_on, from.plus(-1)).0
            }
        }
    }
}

impl Working<'_> {
    /// Counts points towards the ladders that measure them (T1).
    pub(super) fn measure_points(&mut self, currency: &Id, base: i64, all: i64, on: Day) {
        let scale = self.program.currency(currency.as_str()).map_or(0, |definition| definition.scale);
        let amount = |points: i64| Amount::from_millionths(i128::from(points) * 10_i128.pow(6 - scale.min(6)));
        self.measure(on, |measure| match measure {
            Measure::Earned { earned, counts } if earned == currency => Some(amount(match counts {
                Counts::Base => base,
                Counts::All => all,
            })),
            _ => None,
        });
    }

    pub(super) fn measure_spend(&mut self, by: Amount, on: Day) {
        self.measure(on, |measure| matches!(measure, Measure::Spend).then_some(by));
    }

    pub(super) fn measure_event(&mut self, kind: &str, times: i64, on: Day) {
        self.measure(on, |measure| match measure {
            Measure::Events { events } if *events == *kind => Some(Amount::whole(times)),
            _ => None,
        });
    }

    fn measure(&mut self, on: Day, by: impl Fn(&Measure) -> Option<Amount>) {
        let program = self.program.clone();
        for ladder in &program.ladders {
            for (name, measure) in &ladder.measures {
                if let Some(by) = by(measure).filter(|by| !by.is_zero()) {
                    let bucket = standing::bucket(&program, ladder, self.state.joined_on, on);
                    self.change(Change::Measured { ladder: ladder.id.clone(), measure: name.clone(), on: bucket, by });
                }
            }
        }
    }

    /// Compares where the member stands now with the level they have: up at once, down by a return as set (T3, T6).
    pub(super) fn judge_tiers(&mut self, before: &[standing::Standing]) {
        if self.judged.is_some() {
            self.check_judged();
            return;
        }
        // A backdated event is judged by the member's own clock and the version in force then: nothing later is decided
        // again.
        let now = self.state.clock;
        let program = self.inputs.versions.at(now).clone();
        let day = program.calendar.day(now);
        let after = self.standings_now();
        // What is changed from here on takes it back.
        self.judged = (before.len() == after.len()).then(|| after.clone());
        for ((ladder, before), after) in program.ladders.iter().zip(before).zip(after) {
            let current = standing::rank(ladder, &self.state);
            if after.rank > current {
                self.set_level(ladder, after.rank);
            } else if after.rank < current {
                let until = before.until.filter(|until| *until > now);
                match (ladder.return_undoes, until) {
                    (ReturnUndoes::AtReview, Some(until)) if before.rank >= current => {
                        let floor = Some((ladder.level(current).id.clone(), until));
                        self.change(Change::Floor { ladder: ladder.id.clone(), floor });
                    }
                    _ => self.set_level(ladder, after.rank),
                }
            }
            let horizon = standing::horizon(&program, ladder, self.state.joined_on, day);
            let known = self.state.ladder(ladder.id.as_str());
            let old = known.is_some_and(|known| {
                known.measures.iter().any(|known| known.buckets.iter().any(|(day, _)| *day < horizon))
            });
            if old {
                self.change(Change::Forgot { ladder: ladder.id.clone(), before: horizon });
            }
        }
    }

    /// Where the member stands on every ladder, to compare with later.
    pub(super) fn standings(&self) -> Vec<standing::Standing> {
        self.check_judged();
        self.judged.clone().unwrap_or_else(|| self.standings_now())
    }

    fn standings_now(&self) -> Vec<standing::Standing> {
        let now = self.state.clock;
        let program = self.inputs.versions.at(now);
        let day = program.calendar.day(now);
        program.ladders.iter().map(|ladder| standing::at(program, ladder, &self.state, now, day)).collect()
    }

    /// What was judged is kept only as long as it is true: every test that decides looks, for it goes wrong silently.
    fn check_judged(&self) {
        debug_assert!(
            self.judged.as_ref().is_none_or(|judged| *judged == self.standings_now()),
            "the member stands elsewhere than where they were judged to stand"
        );
    }

    pub(super) fn set_level(&mut self, ladder: &LadderRules, rank: usize) {
        let from = ladder.level(standing::rank(ladder, &self.state)).id.clone();
        let level = ladder.level(rank).id.clone();
        let up = rank > ladder.rank(&from);
        self.change(Change::Level { ladder: ladder.id.clone(), level: level.clone(), at: self.at() });
        let kind = if up { EffectKind::TierUp } else { EffectKind::TierDown };
        self.effect(Effect {
            ladder: Some(ladder.id.clone()),
            level: Some(level.clone()),
            from: Some(from.clone()),
            ..Effect::of(kind)
        });
        if up {
            self.entered_level(ladder.id.clone(), level, from);
        } else {
            self.left_level(ladder.id.clone(), from, level);
        }
    }

    /// Until when the version before still sustains a level that a new one, in force from this instant, would not: a
    /// level holds to the end of its period, whatever is published meanwhile (T3).
    fn promised(&self, ladder: &LadderRules, at: Instant) -> Option<Instant> {
        let before = self.inputs.versions.at(Instant::from_micros(at.micros().saturating_sub(1)));
        let old = before.ladder(ladder.id.as_str()).filter(|_| before.version != self.program.version)?;
        let standing = standing::at(before, old, &self.state, at, before.calendar.day(at));
        standing.until.filter(|_| standing.rank >= standing::rank(old, &self.state))
    }

    /// A period has ended and nothing sustains the level: down as the document says (T3).
    pub(super) fn review(&mut self, ladder: &LadderRules, at: Instant) {
        let program = self.program.clone();
        let day = program.calendar.day(at);
        let current = standing::rank(ladder, &self.state);
        if standing::at(&program, ladder, &self.state, at, day).rank >= current {
            return;
        }
        let sustained = standing::by_measures(&program, ladder, &self.state, at, day).rank;
        if let Some(until) = self.promised(ladder, at) {
            let floor = Some((ladder.level(current).id.clone(), until));
            return self.change(Change::Floor { ladder: ladder.id.clone(), floor });
        }
        let rank = match ladder.down.to {
            DownTo::ToEarned => sustained,
            DownTo::OneDown => sustained.max(ladder.below(current)),
            DownTo::ToBase => {
                let (from, _) = standing::period(&program, ladder, self.state.joined_on, day);
                let before = if matches!(ladder.window, TierWindow::Rolling { .. }) { day.plus(1) } else { from };
                self.change(Change::Forgot { ladder: ladder.id.clone(), before });
                standing::by_measures(&program, ladder, &self.state, at, day).rank
            }
        };
        // An older floor that sustains a lower level stays.
        if rank > sustained {
            let end = match ladder.window {
                TierWindow::Rolling { rolling } => rolling.after(day),
                _ => standing::period(&program, ladder, self.state.joined_on, day).1,
            };
            let floor = Some((ladder.level(rank).id.clone(), program.calendar.start(ladder.down.grace.after(end))));
            self.change(Change::Floor { ladder: ladder.id.clone(), floor });
        }
        // What somebody put the member on holds beside what is left of what they reached.
        let held = standing::at(&program, ladder, &self.state, at, day).rank;
        self.set_level(ladder, rank.max(held));
    }
}
