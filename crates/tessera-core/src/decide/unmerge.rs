//! What a member has of their own again when somebody who came goes (P1): of a thing there is one of, a merge had put what
//! came in the place of their own, or made it last longer.

use super::Recorded;
use super::working::Working;
use crate::member::{Change, MemberState, Placement};
use crate::time::Day;

impl Working<'_> {
    /// `from`: who goes; `event`: the number of the event by which they came.
    pub(super) fn have_own_again(&mut self, from: &MemberState, history: &[Recorded], event: u64) {
        let came = history.iter().position(|known| known.seq == event).unwrap_or(0);
        let Some(own) = super::fold(self.state.id, &history[..came], None) else { return };
        for club in own.clubs.iter().filter(|club| from.club(club.plan.as_str()).is_some()) {
            if self.state.club(club.plan.as_str()).is_none() {
                self.change(Change::Club { club: club.clone() });
            }
        }
        for placement in &from.placements {
            self.take_placement_back(placement, &own);
        }
        for grant in &from.grants {
            let last_day = |state: &MemberState| {
                state.grants.iter().find(|known| known.benefit == grant.benefit).map(|known| known.last_day)
            };
            if last_day(&self.state) != Some(grant.last_day) {
                continue;
            }
            let benefit = grant.benefit.clone();
            let since = history[came + 1..].iter().flat_map(|event| &event.record.changes);
            let since = since.filter_map(|change| match change {
                Change::Granted { benefit, last_day } if *benefit == grant.benefit => Some(*last_day),
                _ => None,
            });
            let keeps = since.chain(last_day(&own)).max().filter(|day| *day >= self.today());
            self.change(Change::Ungranted { benefit: benefit.clone(), last_day: grant.last_day });
            if let Some(last_day) = keeps {
                self.change(Change::Granted { benefit, last_day });
            }
        }
        let floors = history[came].record.changes.iter().filter_map(|change| match change {
            Change::Floor { ladder, floor } => Some((ladder, floor)),
            _ => None,
        });
        for (ladder, floor) in floors {
            if self.state.ladder(ladder.as_str()).is_some_and(|known| known.floor == *floor) {
                let now = self.state.clock;
                let floor = own.ladder(ladder.as_str()).and_then(|known| known.floor.clone());
                let floor = floor.filter(|(_, until)| *until > now);
                self.change(Change::Floor { ladder: ladder.clone(), floor });
            }
        }
    }

    fn today(&self) -> Day {
        self.program.calendar.day(self.state.clock)
    }

    fn take_placement_back(&mut self, came: &Placement, own: &MemberState) {
        let of_kind = |known: &&Placement| known.ladder == came.ladder && known.kind == came.kind;
        let (now, before) = (self.state.placements.iter().find(of_kind), own.placements.iter().find(of_kind));
        // What came may have come to its end by itself.
        let is_over = now.is_none() && came.until.is_some_and(|until| until <= self.state.clock);
        if (now != Some(came) && !is_over) || before == Some(came) {
            return;
        }
        let before = before.filter(|known| known.until.is_none_or(|until| until > self.state.clock)).cloned();
        if !is_over {
            self.change(Change::Unplaced { ladder: came.ladder.clone(), kind: came.kind });
        }
        if let Some(placement) = before {
            self.change(Change::Placed { placement });
        }
    }
}
