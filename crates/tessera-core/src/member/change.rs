use std::collections::BTreeMap;

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::club::Club;
use super::household::{Ask, Belonging, Invitation, Person, PoolPart};
use super::play::{Badge, REWARDS_MAX, Ranked, Reward, StepVoucher, Streak};
use super::referral::Referral;
use super::standing::{BenefitUse, Placement, Told};
use super::state::{Bucketed, Counter, Fraction, GiftCard, Grant, MemberState, Status};
use super::{Frozen, Shortfall, Velocity, Waiting};
use crate::event::{Brought, PlacementKind};
use crate::id::{MemberId, member_text};
use crate::ledger::{Hold, LotRef, Wait};
use crate::program::{Every, Id, id_or_empty};
use crate::quantity::{Amount, Points};
use crate::time::{Day, Instant, MonthDay};

/// What an event changed besides balances. Stored with the event, so that the state can be folded again.
///
/// Changes and entries touch different parts of the state, so the order between the two does not matter; among
/// themselves changes keep their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An event from outside happened.
    Happened {
        at: Instant,
    },
    Purchased {
        amount: Amount,
        on: Day,
    },
    Returned {
        amount: Amount,
    },
    /// A purchase of a day was corrected by an amount (R12).
    Corrected {
        by: Amount,
        on: Day,
    },
    Counted {
        kind: Id,
    },
    /// A tier measure moved, in the bucket of a business day.
    Measured {
        ladder: Id,
        #[serde(deserialize_with = "id_or_empty")]
        measure: Id,
        on: Day,
        by: Amount,
    },
    Level {
        ladder: Id,
        level: Id,
        at: Instant,
    },
    Floor {
        ladder: Id,
        floor: Option<(Id, Instant)>,
    },
    /// Buckets before a day no longer matter.
    Forgot {
        ladder: Id,
        before: Day,
    },
    Used {
        limit: CompactString,
        from: Day,
        until: Day,
        by: i64,
    },
    Carried {
        rule: CompactString,
        #[serde(with = "rust_decimal::serde::str")]
        fraction: Decimal,
    },
    /// Came to an offer from which some are held out, for the first time; `worth`: what it gives, or would have (C9).
    Exposed {
        campaign: Id,
        held_out: bool,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        worth: BTreeMap<Id, i64>,
    },
    Birthday {
        birthday: MonthDay,
        at: Instant,
    },
    /// A later birthday, which holds from a year on.
    BirthdayNext {
        from_year: i16,
        birthday: MonthDay,
    },
    Gift {
        campaign: Id,
        birthday: Day,
    },
    Granted {
        benefit: Id,
        last_day: Day,
    },
    /// Points that will come as pending belong to this event.
    Waits {
        currency: Id,
        event: u64,
        order_id: Option<CompactString>,
        earned_on: Day,
        matures_at: Option<Instant>,
        until: Option<Id>,
        version: u32,
        base: Points,
    },
    /// The inactivity date of a currency.
    Idle {
        currency: Id,
        last_day: Day,
        expires_at: Instant,
    },
    Parked {
        event: ParkedEvent,
    },
    Unparked {
        event: u64,
    },
    /// A redemption reserves what the event's entries put into it.
    Reserved {
        hold: Hold,
    },
    /// Waits for a reward that is sold out, at a place in its list.
    Waiting {
        reward: Id,
        place: i64,
    },
    /// One is set aside for the member until an instant.
    Offered {
        reward: Id,
        until: Instant,
    },
    /// Waits no longer, for whatever reason.
    WaitOver {
        reward: Id,
    },
    /// The membership ended.
    Left {
        at: Instant,
    },
    /// What is personal in the state was forgotten.
    Erased,
    /// A reservation that held no points is over.
    Closed {
        redemption: u64,
    },
    /// Counted towards a challenge, in the stretch of time that begins on a day.
    Progressed {
        challenge: Id,
        from: Day,
        until: Day,
        by: Amount,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<(CompactString, i64)>,
    },
    /// Takes part in a challenge that asks.
    TakesPart {
        challenge: Id,
        from: Day,
        until: Day,
        on: Day,
    },
    /// A step of a challenge was given; so many are by now.
    Stepped {
        challenge: Id,
        from: Day,
        given: u32,
        /// A stretch that lasts for ever from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Day>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reward: Option<Reward>,
    },
    /// The last step was taken back; so many are given by now.
    StepTaken {
        challenge: Id,
        from: Day,
        given: u32,
    },
    /// A period of a streak counts an event more, or fewer.
    Marked {
        streak: Id,
        every: Every,
        grace: u32,
        period: i32,
        by: i32,
    },
    Milestone {
        streak: Id,
        reward: Reward,
    },
    MilestoneTaken {
        streak: Id,
        place: u32,
    },
    /// A badge was given on a day, or without one taken away.
    Badge {
        badge: Id,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<Day>,
    },
    /// A benefit that was given until this day is taken back.
    Ungranted {
        benefit: Id,
        last_day: Day,
    },
    /// A challenge or streak that is no longer kept.
    Gone {
        id: Id,
    },
    /// Where the member stands among all; nowhere where there is nothing to compare.
    Ranked {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ranked: Option<Ranked>,
    },
    /// A member as they were in another system.
    MovedIn {
        joined_at: Instant,
        joined_on: Day,
        purchases: u32,
        spend: Amount,
        first_purchase: Option<Day>,
        last_purchase: Option<Day>,
    },
    /// Who brought the member, and what has become of it.
    Referral {
        referral: Box<Referral>,
    },
    /// A device the member is on, as a keyed hash.
    Device {
        device: CompactString,
    },
    /// Somebody put the member on a level.
    Placed {
        placement: Placement,
    },
    Unplaced {
        ladder: Id,
        kind: PlacementKind,
    },
    BenefitUsed {
        used: BenefitUse,
    },
    /// A use, by its event, was taken back.
    BenefitReturned {
        used: u64,
    },
    /// A paid membership as it is from now on.
    Club {
        club: Club,
    },
    /// A gift card was made, blocked, unblocked or got another code.
    GiftCard {
        card: GiftCard,
    },
    /// A partner is told that a benefit of theirs begins or ends.
    Told {
        told: Told,
    },
    /// The member is one with another now, to whom everything went.
    MergedInto {
        #[serde(with = "member_text")]
        into: MemberId,
    },
    /// The member is one of their own again.
    Unmerged,
    /// Somebody was merged into the member, by this event.
    TookIn {
        event: u64,
        at: Instant,
        brought: Box<Brought>,
    },
    /// They are a member of their own again.
    LetGo {
        brought: Box<Brought>,
    },
    /// Points that this event puts into a lot were earned before.
    EarnedAt {
        currency: Id,
        last_day: Option<Day>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funder: Option<Id>,
        expires_at: Option<Instant>,
        /// Where they still wait: the event they belong to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait: Option<u64>,
        at: Instant,
    },
    /// A step or milestone gave a voucher that goes with it.
    StepVoucher {
        voucher: StepVoucher,
    },
    /// A voucher went with its step.
    StepVoucherGone {
        code: CompactString,
    },
    /// Counted by a velocity rule, in a window.
    Velocity {
        rule: CompactString,
        from: Instant,
        until: Instant,
        by: i64,
    },
    /// Frozen from now on, or no longer.
    Frozen {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frozen: Option<Frozen>,
    },
    /// Where the member belongs from now on.
    Belongs {
        belonging: Belonging,
    },
    /// The member put something into the pool, or it came back.
    GaveToPool {
        currency: Id,
        by: i64,
    },
    /// Somebody is in this household, as its head or not.
    Person {
        person: Person,
    },
    PersonGone {
        member: MemberId,
    },
    Invited {
        invitation: Invitation,
    },
    Uninvited {
        code: [u8; 16],
    },
    /// Somebody's part of a lot of the pool became more, or less.
    Pooled {
        part: PoolPart,
    },
    /// Who reserved what a redemption holds; nobody any more where it is over.
    SpendsOfPool {
        redemption: u64,
        by: Option<MemberId>,
    },
    HouseholdClosed,
    /// Somebody has the place of another in the household.
    SeatPassed {
        from: MemberId,
        to: MemberId,
    },
    /// One of the people is asked about a reward of the pool, or has answered.
    Asked {
        ask: Ask,
    },
    /// Nothing is left to be said about it.
    AskOver {
        redemption: u64,
    },
    /// What an order has from elsewhere for points of its own that are away.
    Shortfall {
        shortfall: Shortfall,
    },
}

/// An event that names an order nobody has seen yet (I4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedEvent {
    /// Its own event row.
    pub event: u64,
    pub order_id: CompactString,
    pub kind: CompactString,
    pub effective_at: Instant,
    /// The event's data as it came.
    pub data: String,
}

impl Change {
    pub(super) fn apply(&self, state: &mut MemberState) {
        match self {
            Self::Happened { at } => {
                let last = &mut state.statistics.last_event;
                *last = Some(last.map_or(*at, |known| known.max(*at)));
            }
            Self::Purchased { amount, on } => {
                state.statistics.purchases += 1;
                state.statistics.spend += *amount;
                let last = &mut state.statistics.last_purchase;
                *last = Some(last.map_or(*on, |known| known.max(*on)));
            }
            Self::Corrected { by, .. } => state.statistics.spend += *by,
            Self::Returned { amount } => {
                state.statistics.returns += 1;
                state.statistics.returned += *amount;
            }
            Self::Counted { kind } => match state.counts.iter_mut().find(|(known, _)| known == kind) {
                Some((_, count)) => *count += 1,
                None => state.counts.push((kind.clone(), 1)),
            },
            Self::Measured { ladder, measure, on, by } => measured(state, ladder, measure, *on, *by),
            Self::Level { ladder, level, at } => {
                let ladder = state.ladder_for(ladder);
                ladder.level = level.clone();
                ladder.since = *at;
            }
            Self::Floor { ladder, floor } => state.ladder_for(ladder).floor = floor.clone(),
            Self::Forgot { ladder, before } => {
                for known in &mut state.ladder_for(ladder).measures {
                    known.buckets.retain(|(day, _)| day >= before);
                }
            }
            Self::Used { limit, from, until, by } => used(state, limit, *from, *until, *by),
            Self::Carried { rule, fraction } => {
                state.fractions.retain(|known| known.rule != *rule);
                if !fraction.is_zero() {
                    state.fractions.push(Fraction { rule: rule.clone(), carried: fraction.normalize() });
                }
            }
            Self::Exposed { campaign, held_out, .. } => state.exposures.push((campaign.clone(), *held_out)),
            Self::Birthday { birthday, at } => {
                state.birthday = Some(*birthday);
                state.birthday_since = Some(*at);
                state.birthday_next = None;
            }
            Self::BirthdayNext { from_year, birthday } => {
                // An earlier change that holds by now stays what it is until this one does.
                if let Some((_, known)) = state.birthday_next.filter(|(known_from, _)| known_from < from_year) {
                    state.birthday = Some(known);
                }
                state.birthday_next = Some((*from_year, *birthday));
            }
            Self::Gift { campaign, birthday } => {
                state.gifts.retain(|(known, _)| known != campaign);
                state.gifts.push((campaign.clone(), *birthday));
            }
            Self::Granted { benefit, last_day } => {
                match state.grants.iter_mut().find(|grant| grant.benefit == *benefit) {
                    // Of competing extensions the longest.
                    Some(grant) => grant.last_day = grant.last_day.max(*last_day),
                    None => state.grants.push(Grant { benefit: benefit.clone(), last_day: *last_day }),
                }
            }
            Self::Waits { currency, event, order_id, earned_on, matures_at, until, version, base } => {
                let waits = &mut state.purse_for(currency).waits;
                match waits.iter_mut().find(|wait| wait.event == *event) {
                    Some(wait) => wait.base = *base,
                    None => waits.push(Wait {
                        event: *event,
                        order_id: order_id.clone(),
                        earned_on: *earned_on,
                        matures_at: *matures_at,
                        until: until.clone(),
                        version: *version,
                        base: *base,
                        lots: Vec::new(),
                    }),
                }
            }
            Self::Idle { currency, last_day, expires_at } => {
                state.purse_for(currency).idle = Some((*last_day, *expires_at));
            }
            Self::Parked { event } => state.parked.push(event.clone()),
            Self::Unparked { event } => state.parked.retain(|parked| parked.event != *event),
            Self::Reserved { hold } => state.holds.push(hold.clone()),
            Self::Waiting { reward, place } => {
                state.waiting.push(Waiting { reward: reward.clone(), place: *place, offered_until: None });
            }
            Self::Offered { reward, until } => {
                let wait = state.waiting.iter_mut().find(|wait| wait.reward == *reward);
                wait.into_iter().for_each(|wait| wait.offered_until = Some(*until));
            }
            Self::WaitOver { reward } => state.waiting.retain(|wait| wait.reward != *reward),
            Self::Left { .. } => {
                // What somebody did who was merged is among what the survivor did.
                if state.status == Status::Merged {
                    state.statistics = super::Statistics::default();
                }
                state.shortfalls.clear();
                state.status = Status::Left;
                state.parked.clear();
                state.grants.clear();
                state.placements.clear();
                state.uses.clear();
                state.clubs.clear();
                state.into = None;
                state.belongs = None;
            }
            Self::Erased => {
                (state.birthday, state.birthday_since, state.birthday_next) = (None, None, None);
                state.gifts.clear();
            }
            Self::Closed { redemption } => state.holds.retain(|hold| hold.event != *redemption),
            Self::Progressed { challenge, from, until, by, values } => {
                state.challenge_for(challenge, *from, *until).count(*by, values);
            }
            Self::TakesPart { challenge, from, until, on } => {
                state.challenge_for(challenge, *from, *until).joined = Some(*on);
            }
            Self::Stepped { challenge, from, given, until, reward } => {
                let row = state.challenge_for(challenge, *from, until.unwrap_or(*from));
                row.given = *given;
                row.until = until.unwrap_or(row.until);
                row.rewards.extend(reward.clone());
                let surplus = row.rewards.len().saturating_sub(REWARDS_MAX);
                row.rewards.drain(..surplus);
            }
            Self::StepTaken { challenge, from, given } => {
                let row = state.challenge_for(challenge, *from, *from);
                row.given = *given;
                row.rewards.retain(|reward| reward.place < *given);
            }
            Self::Marked { streak, every, grace, period, by } => {
                let row = streak_for(state, streak, *every);
                row.grace = *grace;
                row.mark(*period, *by);
            }
            Self::Milestone { streak, reward } => {
                if let Some(row) = state.streaks.iter_mut().find(|row| row.streak == *streak) {
                    row.rewards.retain(|known| known.place != reward.place);
                    row.rewards.push(reward.clone());
                }
            }
            Self::MilestoneTaken { streak, place } => {
                if let Some(row) = state.streaks.iter_mut().find(|row| row.streak == *streak) {
                    row.rewards.retain(|known| known.place != *place);
                }
            }
            Self::Badge { badge, on } => {
                state.badges.retain(|known| known.badge != *badge);
                state.badges.extend(on.map(|on| Badge { badge: badge.clone(), on }));
            }
            Self::Ungranted { benefit, last_day } => {
                state.grants.retain(|grant| grant.benefit != *benefit || grant.last_day != *last_day);
            }
            Self::Gone { id } => {
                state.challenges.retain(|row| row.challenge != *id);
                state.streaks.retain(|row| row.streak != *id);
            }
            Self::Ranked { ranked } => state.ranked = *ranked,
            Self::MovedIn { joined_at, joined_on, purchases, spend, last_purchase, .. } => {
                (state.joined_at, state.joined_on) = (*joined_at, *joined_on);
                let statistics = &mut state.statistics;
                (statistics.purchases, statistics.spend) = (*purchases, *spend);
                statistics.last_purchase = *last_purchase;
            }
            Self::Referral { referral } => state.referral = Some((**referral).clone()),
            Self::Device { device } => {
                state.devices.push(device.clone());
                let known = state.devices.len();
                state.devices.drain(..known.saturating_sub(MemberState::DEVICES_MAX));
            }
            Self::Placed { placement } => state.place(placement),
            Self::Unplaced { ladder, kind } => state.unplace(ladder, *kind),
            Self::BenefitUsed { used } => state.use_benefit(used),
            Self::Club { club } => state.set_club(club),
            Self::BenefitReturned { used } => state.uses.retain(|known| known.event != *used),
            Self::GiftCard { card } => state.gift_card = Some(*card),
            Self::Told { told } => state.tell(told),
            Self::MergedInto { into } => {
                state.status = Status::Merged;
                state.into = Some(*into);
            }
            Self::Unmerged => {
                state.status = Status::Active;
                state.into = None;
                // The survivor has settled some of them since; each is known again once its order comes back further.
                state.shortfalls.clear();
            }
            Self::TookIn { event, at, brought } => state.take_in(*event, *at, brought),
            Self::LetGo { brought } => state.let_go(brought),
            Self::EarnedAt { currency, last_day, funder, expires_at, wait, at } => {
                let lot = LotRef { last_day: *last_day, funder: funder.clone(), order: *wait };
                state.purse_for(currency).label(&lot, *expires_at, *at);
            }
            Self::StepVoucher { voucher } => state.remember_voucher(voucher.clone()),
            Self::StepVoucherGone { code } => state.step_vouchers.retain(|known| known.code != *code),
            Self::Frozen { frozen } => state.frozen = *frozen,
            Self::Velocity { rule, from, until, by } => counted(state, rule, *from, *until, *by),
            Self::Belongs { belonging } => state.belongs = Some(belonging.clone()),
            Self::GaveToPool { currency, by } => {
                if let Some(belonging) = &mut state.belongs {
                    belonging.give(currency, *by);
                }
            }
            Self::Person { person } => state.household.get_or_insert_default().set_person(person),
            Self::PersonGone { member } => {
                let household = state.household.get_or_insert_default();
                household.people.retain(|person| person.member != *member);
                household.invitations.retain(|invitation| invitation.by != *member);
            }
            Self::Invited { invitation } => {
                state.household.get_or_insert_default().invitations.push(invitation.clone());
            }
            Self::Uninvited { code } => {
                let invitations = &mut state.household.get_or_insert_default().invitations;
                invitations.retain(|invitation| invitation.code != *code);
            }
            Self::Pooled { part } => state.household.get_or_insert_default().pool(part),
            Self::SpendsOfPool { redemption, by } => {
                let spending = &mut state.household.get_or_insert_default().spending;
                spending.retain(|(known, _)| known != redemption);
                spending.extend(by.map(|by| (*redemption, by)));
            }
            Self::SeatPassed { from, to } => state.pass_seat(*from, *to),
            Self::Asked { ask } => state.set_ask(ask),
            Self::AskOver { redemption } => state.asks.retain(|ask| ask.redemption != *redemption),
            Self::HouseholdClosed => state.household.get_or_insert_default().closed = true,
            Self::Shortfall { shortfall } => state.set_shortfall(shortfall),
        }
    }
}

fn streak_for<'a>(state: &'a mut MemberState, streak: &Id, every: Every) -> &'a mut Streak {
    let known = state.streaks.iter().position(|row| row.streak == *streak);
    let place = known.unwrap_or_else(|| {
        state.streaks.push(Streak::new(streak, every, 0));
        state.streaks.len() - 1
    });
    &mut state.streaks[place]
}

fn measured(state: &mut MemberState, ladder: &Id, measure: &Id, on: Day, by: Amount) {
    let measures = &mut state.ladder_for(ladder).measures;
    let place = match measures.iter().position(|known| known.measure == *measure) {
        Some(place) => place,
        None => {
            measures.push(Bucketed { measure: measure.clone(), buckets: Vec::new() });
            measures.len() - 1
        }
    };
    let buckets = &mut measures[place].buckets;
    match buckets.binary_search_by_key(&on, |(day, _)| *day) {
        Ok(found) => {
            buckets[found].1 += by;
            if buckets[found].1.is_zero() {
                buckets.remove(found);
            }
        }
        Err(gap) => buckets.insert(gap, (on, by)),
    }
}

/// A window that is over is in the history alone.
fn counted(state: &mut MemberState, rule: &CompactString, from: Instant, until: Instant, by: i64) {
    if until <= state.clock {
        return;
    }
    match state.velocity.iter_mut().find(|known| known.rule == *rule && known.from == from) {
        Some(known) => known.used = known.used.saturating_add(by),
        None => state.velocity.push(Velocity { rule: rule.clone(), from, until, used: by }),
    }
}

fn used(state: &mut MemberState, limit: &CompactString, from: Day, until: Day, by: i64) {
    let counters = &mut state.counters;
    match counters.iter_mut().find(|counter| counter.limit == *limit && counter.from == from) {
        Some(counter) => counter.used += by,
        None => counters.push(Counter { limit: limit.clone(), from, until, used: by }),
    }
    counters.retain(|counter| counter.used != 0);
}
