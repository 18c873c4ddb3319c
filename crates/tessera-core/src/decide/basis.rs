//! What a decision was based on, stored with its event, so that returns and "why?" never look at today's state (R1, R4).

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::holdout;
use super::play::{self, Playing};
use super::tier::standing;
use crate::expression::{Fact, FactValue, Facts};
use crate::member::MemberState;
pub(super) use crate::program::limit_key as key;
use crate::program::{Crossing, Id, OwnPurchases, Program};
use crate::quantity::{Amount, Points};
use crate::time::{Day, Instant, Window};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    pub version: u32,
    pub at: Instant,
    pub day: Day,
    /// The member facts that the rules read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: Facts,
    /// The member's level on each ladder, before the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<Id, Id>,
    /// Clubs with a rate of their own that the member was in, before the event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clubs: Vec<Id>,
    /// What the ladders with marginal crossing had measured before the event (T5).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<Id, Amount>,
    /// Room under each limit, budget and balance limit, before the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rooms: BTreeMap<CompactString, i64>,
    /// Fractions carried in (M2).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fractions: BTreeMap<CompactString, CompactString>,
    /// Campaigns this member is held out of (C9).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_out: Vec<Id>,
    /// Program money for one of the order's currency, where they differ (M5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange_rate: Option<CompactString>,
    /// Challenges that the event counted for, as far as it met their conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub playing: Vec<Playing>,
    /// What the purchase earns, where the buyer rang it up themselves (P6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_purchase: Option<OwnPurchases>,
    /// The numbers that rules with a chance drew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub draws: BTreeMap<CompactString, u32>,
}

/// Where used-up limits are looked up.
pub(super) trait Usage {
    /// Used of a member's limit in the window that begins on a day.
    fn used(&self, limit: &str, from: Day) -> i64;
    /// Used of a pool, over all members.
    fn pool(&self, pool: &str) -> i64;
}

/// The limits and budgets that one kind of event may use, on one day: each with its key, the window in which a member's use
/// of it is counted (`None` for a pool) and the most it allows.
pub(super) fn limits_of<'p>(
    program: &'p Program,
    kind: &str,
    day: Day,
) -> impl Iterator<Item = (CompactString, Option<Window>, i64)> + use<'p> {
    let limits = program.trigger(kind).map(|trigger| trigger.limits.as_slice()).unwrap_or_default();
    limits.iter().map(move |limit| (limit.key(day), limit.of_member_in(), limit.most))
}

/// The pools that limits and budgets of a program draw on, on one day.
pub(super) fn pool_names(program: &Program, day: Day) -> Vec<CompactString> {
    let limits = program.pools().map(|limit| limit.key(day));
    let stocks = stocks(program).map(|(pool, _)| pool);
    limits.chain(stocks).chain(super::reward::code_pools(program)).chain(super::waitlist::pools(program)).collect()
}

/// The pool of each reward that is scarce, and how many there are.
fn stocks(program: &Program) -> impl Iterator<Item = (CompactString, i64)> {
    let rewards = program.definition.rewards.iter();
    rewards.filter_map(|(id, reward)| Some((super::reward::stock_pool(id), reward.stock?)))
}

/// The most that a pool allows; no bound for one that the version no longer knows.
pub(super) fn pool_most(program: &Program, pool: &CompactString, day: Day) -> i64 {
    if let Some((_, stock)) = stocks(program).find(|(known, _)| known == pool) {
        return stock;
    }
    program.pool(pool, day).map_or(i64::MAX, |limit| limit.most)
}

/// The basis for one event: `before` is the member as they were at its business time, `now` as they are, to whom it
/// posts.
pub(super) fn basis(
    program: &Program,
    kind: &str,
    before: &MemberState,
    now: &MemberState,
    usage: &dyn Usage,
    at: Instant,
) -> Basis {
    let day = program.calendar.day(at);
    let mut basis = Basis { version: program.version, at, day, ..Basis::default() };
    let Some(trigger) = program.trigger(kind) else { return basis };
    for fact in &trigger.facts {
        basis.facts.insert(fact.clone(), fact_value(program, before, fact, at));
    }
    for ladder in &program.ladders {
        let level = ladder.level(standing::rank(ladder, before));
        basis.levels.insert(ladder.id.clone(), level.id.clone());
        if ladder.crossing == Crossing::Marginal
            && let [(measure, _)] = ladder.measures.as_slice()
        {
            let (from, until) = standing::period(program, ladder, before.joined_on, day);
            let sum = before.ladder(ladder.id.as_str()).map_or(Amount::ZERO, |known| known.sum(measure, from, until));
            basis.measured.insert(ladder.id.clone(), sum);
        }
    }
    let has_rate = |plan: &Id| program.plan(plan.as_str()).is_some_and(|plan| !plan.rate.is_empty());
    let clubs = before.clubs.iter().filter(|club| club.is_open(at) && has_rate(&club.plan));
    basis.clubs = clubs.map(|club| club.plan.clone()).collect();
    let rooms = limits_of(program, kind, day).map(|(key, window, most)| {
        let used = match window {
            Some(window) => usage.used(&key, day.start_of(window)),
            None => usage.pool(&key),
        };
        (key, most.saturating_sub(used).max(0))
    });
    basis.rooms = rooms.collect();
    for (id, currency) in &program.definition.currencies {
        if let Some(most) = currency.max_balance {
            let held = now.purse(id.as_str()).map_or(Points::ZERO, |purse| purse.active() + purse.pending());
            let held = held + now.held(id.as_str());
            basis.rooms.insert(key::balance(id), (most - held.get()).max(0));
        }
    }
    basis.held_out = holdout::held_out(program, trigger, before);
    for carried in &before.fractions {
        let of_kind = program.rule(&carried.rule).is_some_and(|(campaign, _)| campaign.trigger == *kind);
        if of_kind && !carried.carried.is_zero() {
            basis.fractions.insert(carried.rule.clone(), format_compact!("{}", carried.carried.normalize()));
        }
    }
    // It posts to the member as they are: what is over for them is over.
    basis.playing = play::playing(program, trigger, now, day);
    basis
}

impl Basis {
    pub(super) fn fraction(&self, rule: &str) -> Decimal {
        let carried = self.fractions.get(rule).and_then(|text| Decimal::from_str_exact(text).ok());
        carried.unwrap_or(Decimal::ZERO)
    }

    pub(super) fn rate(&self) -> Option<Decimal> {
        self.exchange_rate.as_ref().and_then(|text| Decimal::from_str_exact(text).ok())
    }
}

/// A published fact, as the member was.
pub(super) fn fact_value(program: &Program, member: &MemberState, fact: &Fact, at: Instant) -> FactValue {
    let today = || program.calendar.day(at);
    let unit = |currency: &Id, points: i64| {
        let scale = program.currency(currency.as_str()).map_or(0, |definition| definition.scale);
        FactValue::Number(Decimal::new(points, scale))
    };
    let days_since = |past: Day| FactValue::Number(Decimal::from((today().number() - past.number()).max(0)));
    let purse = |currency: &Id| member.purse(currency.as_str());
    match fact {
        Fact::Balance(currency) => unit(currency, purse(currency).map_or(0, crate::ledger::Purse::balance)),
        Fact::Pending(currency) => unit(currency, purse(currency).map_or(0, |purse| purse.pending().get())),
        Fact::Debt(currency) => unit(currency, purse(currency).map_or(0, |purse| purse.debt.get())),
        Fact::Issued(currency) => unit(currency, member.issued(currency.as_str()).get()),
        Fact::Tier(ladder) => {
            let level = |rules: &crate::program::LadderRules| rules.level(standing::rank(rules, member)).id.clone();
            FactValue::Text(program.ladder(ladder.as_str()).map_or_else(Id::default, level))
        }
        Fact::Count(kind) => {
            let count = member.counts.iter().find(|(known, _)| known == kind).map_or(0, |(_, count)| *count);
            FactValue::Number(Decimal::from(count))
        }
        Fact::Challenge(id) => {
            let standing = program.challenge(id.as_str()).and_then(|rules| play::standing(rules, member, today()));
            FactValue::Number(standing.map_or(Decimal::ZERO, |row| row.value.to_decimal()))
        }
        Fact::Streak(id) => {
            let current = member.streak(id.as_str()).map_or(0, |row| row.current(row.every.period(today())));
            FactValue::Number(Decimal::from(current))
        }
        Fact::Badge(id) => FactValue::Truth(member.badges.iter().any(|held| held.badge == *id)),
        Fact::TopPercent => {
            let percent = member.ranked.map_or(100, |ranked| ranked.top_percent);
            FactValue::Number(Decimal::from(percent))
        }
        Fact::Club(plan) => FactValue::Truth(member.club(plan.as_str()).is_some_and(|club| club.is_open(at))),
        Fact::ClubDaysLeft(plan) => {
            let left = member.club(plan.as_str()).map_or(0, |club| super::club::days_left(program, club, at));
            FactValue::Number(Decimal::from(left))
        }
        Fact::Purchases => FactValue::Number(Decimal::from(member.statistics.purchases)),
        Fact::Spend => FactValue::Number(member.statistics.spend.to_decimal()),
        Fact::Returns => FactValue::Number(Decimal::from(member.statistics.returns)),
        Fact::DaysSinceLastPurchase => days_since(member.statistics.last_purchase.unwrap_or(member.joined_on)),
        Fact::DaysSinceJoined => days_since(member.joined_on),
    }
}
