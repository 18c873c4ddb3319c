//! Settlement (I7): what fell due for a member since their clock, in due order, each under the version then in force.

use super::outcome::{Effect, EffectKind};
use super::tier::standing;
use super::working::{Posting, Working};
use super::{Credit, EventStatus, Inputs, Recorded, birthday};
use crate::event::{Command, PlacementKind, What};
use crate::id::MemberId;
use crate::ledger::{Account, EntryKind, Lot, LotRef, Purse, Wait};
use crate::member::{ClubStatus, MemberState};
use crate::program::{CountsFrom, Expires, Id, Versions};
use crate::quantity::Points;
use crate::time::{Day, Instant};

/// Something that falls due, in the order of things due at the same instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Maturity {
        currency: Id,
        event: u64,
    },
    /// A referral has waited until its order cannot come back.
    Referral,
    /// A reservation ends by itself.
    End {
        redemption: u64,
    },
    Expiry {
        currency: Id,
    },
    /// What was set aside for whoever waited for it goes to the next.
    Offer {
        reward: Id,
    },
    /// A level that somebody put the member on ends.
    Placement {
        ladder: Id,
        kind: PlacementKind,
    },
    /// A paid period, a trial or a grace is over.
    Club {
        plan: Id,
    },
    Review {
        ladder: Id,
    },
    Birthday {
        campaign: Id,
        birthday: Day,
    },
    /// A benefit that a partner was told of ends.
    Entitlement {
        benefit: Id,
    },
}

/// The earliest thing due at or before `until`.
fn next_due(versions: &Versions, member: &MemberState, until: Instant) -> Option<(Instant, Due)> {
    let mut earliest: Option<(Instant, Due)> = None;
    let mut offer = |at: Instant, due: Due| {
        if at <= until && earliest.as_ref().is_none_or(|known| (at, &due) < (known.0, &known.1)) {
            earliest = Some((at, due));
        }
    };
    for purse in &member.purses {
        for wait in &purse.waits {
            if let Some(at) = wait.matures_at {
                offer(at, Due::Maturity { currency: purse.currency.clone(), event: wait.event });
            }
        }
        // Lots stand in the order of their expiry, so the first is the earliest.
        if let Some(at) = purse.lots.first().and_then(|lot| lot.expires_at) {
            offer(at, Due::Expiry { currency: purse.currency.clone() });
        }
        if let Some((_, at)) = idle_end(versions, purse, member.clock) {
            offer(at, Due::Expiry { currency: purse.currency.clone() });
        }
    }
    for hold in &member.holds {
        if let Some(at) = hold.terms.ends_at {
            offer(at, Due::End { redemption: hold.event });
        }
    }
    if let Some(at) = super::referral::due(member) {
        offer(at, Due::Referral);
    }
    for wait in &member.waiting {
        if let Some(at) = wait.offered_until {
            offer(at, Due::Offer { reward: wait.reward.clone() });
        }
    }
    for placement in &member.placements {
        if let Some(at) = placement.until {
            offer(at, Due::Placement { ladder: placement.ladder.clone(), kind: placement.kind });
        }
    }
    for club in member.clubs.iter().filter(|club| club.status != ClubStatus::Ended) {
        offer(club.ends_at, Due::Club { plan: club.plan.clone() });
    }
    reviews(versions, member, until, &mut offer);
    for gift in birthday::due(versions, member, until) {
        offer(gift.at, Due::Birthday { campaign: gift.campaign, birthday: gift.birthday });
    }
    for (at, benefit) in super::entitlement::due(versions, member) {
        offer(at, Due::Entitlement { benefit: benefit.clone() });
    }
    earliest
}

/// A review is due when what sustained the level has ended, as the version then in force sees it.
fn reviews(versions: &Versions, member: &MemberState, until: Instant, offer: &mut impl FnMut(Instant, Due)) {
    for known in &member.ladders {
        for (from, end, program) in versions.within(member.clock, until) {
            let Some(ladder) = program.ladder(known.id.as_str()) else { continue };
            let now = member.clock.max(from);
            let rank = ladder.rank(&known.level);
            let standing = standing::at(program, ladder, member, now, program.calendar.day(now));
            let at = match standing.until {
                _ if rank == 0 => continue,
                Some(at) if standing.rank >= rank => at,
                // Nothing sustains the level under this version: it is up for review at once.
                _ => now,
            };
            if at < end {
                offer(at, Due::Review { ladder: known.id.clone() });
                break;
            }
        }
    }
}

/// When a member next needs attention; `None` for never.
pub fn next_wake(versions: &Versions, member: &MemberState) -> Option<Instant> {
    if !member.status.keeps_time() {
        return None;
    }
    next_due(versions, member, Instant::MAX).map(|(at, _)| at).filter(|at| *at < Instant::MAX)
}

/// A member with everything settled that fell due until an instant, in memory (L2: no job is needed).
pub fn settled_to(versions: &Versions, member: &MemberState, at: Instant) -> MemberState {
    if !member.status.keeps_time() || at <= member.clock || is_quiet(versions, member, at) {
        return member.clone();
    }
    let command = Command { effective_at: at, recorded_at: at, what: What::WakeUp };
    super::decide(&Inputs::of_member(versions, member), &command)
        .map_or_else(|_| member.clone(), |decision| decision.state)
}

/// Whether nothing can be due, as the last decision worked out under the same version.
fn is_quiet(versions: &Versions, member: &MemberState, at: Instant) -> bool {
    let head = versions.head().version;
    member.wake_version == head
        && member.wake_at.is_none_or(|wake| at < wake)
        && versions.at(member.clock).version == head
}

/// The member as folded from stored events before an instant, settled to it. `None` before they joined.
pub fn as_at(versions: &Versions, id: MemberId, history: &[Recorded], at: Instant) -> Option<MemberState> {
    let mut member = super::fold(id, history, Some(at))?;
    member.wake_version = 0;
    Some(settled_to(versions, &member, at))
}

impl Working<'_> {
    /// Settles everything due until an instant, each thing in an event of its own, dated when it fell due.
    pub(super) fn settle(&mut self, until: Instant) {
        let asleep = self.inputs.state.is_none() || !self.state.status.keeps_time();
        if asleep || until < self.state.clock || is_quiet(self.inputs.versions, &self.state, until) {
            return;
        }
        self.settle_due(until);
        self.program = self.inputs.versions.at(until).clone();
        self.main = self.events.len();
    }

    /// What a backdated event posts may be due already: nothing waits for the next event (L2, L8).
    pub(super) fn settle_after_backdating(&mut self) {
        if self.is_backdated() && self.state.status.keeps_time() {
            self.settle_due(self.state.clock);
        }
    }

    /// What fell due while two members became one, or one two, is settled with it (I7).
    pub(super) fn settle_what_came(&mut self) {
        if self.state.status.keeps_time() {
            self.settle_due(self.state.clock);
        }
    }

    fn settle_due(&mut self, until: Instant) {
        let mut before = None;
        while let Some((due_at, due)) = next_due(self.inputs.versions, &self.state, until) {
            // What does not change when it is settled would come up for ever.
            if before.as_ref() == Some(&(due_at, due.clone())) {
                break;
            }
            before = Some((due_at, due.clone()));
            let at = due_at.max(self.state.clock);
            self.program = self.inputs.versions.at(at).clone();
            match due {
                Due::Maturity { currency, event } => self.mature(&currency, event, at),
                Due::End { redemption } => self.end_reservation(redemption, at),
                Due::Referral => self.referral_is_due(at),
                Due::Expiry { currency } => self.expire(&currency, at),
                Due::Offer { reward } => self.end_offer(&reward, at),
                Due::Placement { ladder, kind } => self.placement_ends(&ladder, kind, at),
                Due::Club { plan } => self.club_due(&plan, at),
                Due::Review { ladder } => {
                    self.open("tier-review", EventStatus::Derived, at, None);
                    let program = self.program.clone();
                    match program.ladder(ladder.as_str()) {
                        Some(rules) => self.review(rules, at),
                        None => break,
                    }
                    self.follow_causes();
                }
                Due::Birthday { campaign, birthday } => self.celebrate(&campaign, birthday, at),
                Due::Entitlement { .. } => self.end_entitlement(at),
            }
        }
    }

    /// Pending points become spendable (L6); what is owed is repaid first.
    pub(super) fn mature(&mut self, currency: &Id, event: u64, at: Instant) {
        let wait = self
            .state
            .purse(currency.as_str())
            .and_then(|purse| purse.waits.iter().find(|wait| wait.event == event))
            .cloned();
        let Some(wait) = wait else { return };
        self.open("maturity", EventStatus::Derived, at, None);
        // Counted from the day it fell due, whenever it was noticed.
        let day = wait.matures_at.map_or_else(|| self.day(), |at| self.program.calendar.day(at));
        self.release(currency, &wait, day);
        self.follow_causes();
    }

    /// Posts what a wait releases on a day, inside the event that is open; says which lots it went to.
    pub(super) fn release(&mut self, currency: &Id, wait: &Wait, day: Day) -> Vec<Credit> {
        let standings = self.standings();
        let version = self.inputs.versions.number(wait.version).cloned().unwrap_or_else(|| self.program.clone());
        let Some(settings) = version.currency(currency.as_str()) else { return Vec::new() };
        let (mut released, mut credits) = (0, Vec::new());
        for lot in &wait.lots {
            let (last_day, expires_at) = match settings.pending.expiry_counts_from {
                CountsFrom::Maturity if lot.last_day.is_none() => {
                    super::expiry::last_day(&version, &settings.expires, day).unzip()
                }
                // What came from another system keeps its own last day (L9).
                _ => (lot.last_day, lot.expires_at),
            };
            let owed = self.state.purse(currency.as_str()).map_or(Points::ZERO, |purse| purse.debt);
            let (repaid, rest) = lot.remaining.split(owed);
            let from = LotRef { last_day: lot.last_day, funder: lot.funder.clone(), order: Some(wait.event) };
            self.repaying = Some(LotRef { last_day, funder: lot.funder.clone(), order: None });
            let posting = Posting { currency, amount: repaid, lot: Some(from), expires_at: None, campaign: None };
            self.post(EntryKind::Maturity, Account::Pending, Account::Debt, posting);
            // The entry names the active lot, with the wait it comes from.
            let to = LotRef { last_day, funder: lot.funder.clone(), order: Some(wait.event) };
            let posting = Posting { currency, amount: rest, lot: Some(to.clone()), expires_at, campaign: None };
            self.post(EntryKind::Maturity, Account::Pending, Account::Active, posting);
            credits.push(Credit::new(currency, rest, Some(LotRef { order: None, ..to })));
            released += lot.remaining.get();
            self.effect(Effect {
                expires_on: last_day,
                order_id: wait.order_id.clone(),
                ..Effect::points(EffectKind::Matured, currency, lot.remaining.get())
            });
        }
        self.date_idle(currency, &settings.expires);
        if !settings.pending.counts_to_tiers && wait.version != Wait::FROM_ELSEWHERE {
            self.measure_points(currency, wait.base.get(), released, wait.earned_on);
            self.judge_tiers(&standings);
        }
        self.moved(currency);
        credits
    }

    /// Everything of a currency that is dead at an instant dies (L2).
    fn expire(&mut self, currency: &Id, at: Instant) {
        let Some(purse) = self.state.purse(currency.as_str()) else { return };
        let idle = idle_end(self.inputs.versions, purse, self.state.clock);
        let is_dead = |lot: &&Lot| lot.expires_at.or(idle.map(|(_, end)| end)).is_some_and(|end| end <= at);
        let dead: Vec<Lot> = purse.lots.iter().filter(is_dead).cloned().collect();
        self.open("expiry", EventStatus::Derived, at, None);
        self.post_expired(currency, dead, idle.map(|(day, _)| day));
    }

    fn post_expired(&mut self, currency: &Id, dead: Vec<Lot>, idle_day: Option<Day>) {
        for lot in dead {
            let posting = Posting {
                currency,
                amount: lot.remaining,
                lot: Some(lot.key()),
                expires_at: lot.expires_at,
                campaign: None,
            };
            self.post(EntryKind::Expiry, Account::Active, Account::Expired, posting);
            self.effect(Effect {
                expires_on: lot.last_day.or(idle_day),
                ..Effect::points(EffectKind::Expired, currency, lot.remaining.get())
            });
        }
    }

    /// Lots that were already dead when they were posted, as a backdated earn may be (L8), expire in the same event.
    pub(super) fn expire_dead_on_arrival(&mut self) {
        let clock = self.state.clock;
        let mut dead: Vec<(Id, Vec<Lot>, Option<Day>)> = Vec::new();
        for purse in &self.state.purses {
            let idle = idle_end(self.inputs.versions, purse, self.state.clock);
            let is_dead = |lot: &&Lot| lot.expires_at.or(idle.map(|(_, end)| end)).is_some_and(|end| end <= clock);
            let lots: Vec<Lot> = purse.lots.iter().filter(is_dead).cloned().collect();
            if !lots.is_empty() {
                dead.push((purse.currency.clone(), lots, idle.map(|(day, _)| day)));
            }
        }
        for (currency, lots, idle_day) in dead {
            self.post_expired(&currency, lots, idle_day);
        }
    }
}

/// The inactivity date of what has no date of its own. A document that lets the currency live for ever ends it; and
/// what is earned under one after the date has passed was never meant by it.
fn idle_end(versions: &Versions, purse: &Purse, clock: Instant) -> Option<(Day, Instant)> {
    let undated = purse.lots.iter().any(|lot| lot.expires_at.is_none());
    idle_date(versions, purse, clock).filter(|_| undated)
}

/// The same where what has no date of its own is in no open lot: reserved or spent.
pub(super) fn idle_date(versions: &Versions, purse: &Purse, clock: Instant) -> Option<(Day, Instant)> {
    let lives_on = |end: Instant| {
        let settings = versions.at(end.max(clock)).currency(purse.currency.as_str());
        settings.is_some_and(|settings| settings.expires == Expires::Never)
    };
    purse.idle.filter(|(_, end)| !lives_on(*end))
}
