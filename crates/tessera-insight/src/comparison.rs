use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::id::MemberId;
use tessera_core::ledger::{Account, Entry};
use tessera_core::member::MemberState;
use tessera_core::program::{Id, Program};
use tessera_core::quantity::Amount;
use tessera_core::time::Instant;

/// How many winners and how many losers are named.
pub const NAMED_MAX: usize = 10;
/// How many reasons a named member is given.
const REASONS_MAX: usize = 5;

/// What happened, and what a draft would have made of the same events.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Events decided again under the draft.
    pub events: u64,
    /// Events that the draft refuses although they were accepted, by the refusal's code.
    pub refused: BTreeMap<String, u64>,
    /// Members with at least one event, without guests.
    pub members: u64,
    /// Members of whom events were archived, or of somebody who lives side by side with them: what is left does not say
    /// what they had, so they are in no other figure.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// When the oldest event that is left was recorded, where members are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_from: Option<Instant>,
    /// A budget or limit over all members may have run out, so that it mattered who came first: everything was decided
    /// in the order of recording. Between events that were recorded in the same microsecond that order is by member. So it
    /// was where the draft refuses a transfer, which then does not arrive.
    pub in_order: bool,
    pub currencies: BTreeMap<Id, Sides<Flow>>,
    pub tiers: BTreeMap<Id, LadderComparison>,
    /// What each campaign issued, by currency, in its smallest units.
    pub campaigns: BTreeMap<Id, BTreeMap<Id, Sides<i64>>>,
    /// By month of business time in the program's zone, and currency.
    pub by_month: BTreeMap<String, BTreeMap<Id, Sides<MonthFlow>>>,
    pub gain: Gain,
    /// Who gains most, most first.
    pub winners: Vec<MemberComparison>,
    /// Who loses most, most first.
    pub losers: Vec<MemberComparison>,
    /// Members and households whose entries are not the same one by one, however events are numbered, with the first
    /// that differ. At most 10.
    #[serde(skip)]
    pub unlike: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The same figure as it was, and as the draft makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sides<T> {
    pub before: T,
    pub after: T,
}

/// One currency over the window, in its smallest units; the last three as at the window's end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flow {
    /// Gross of what was taken back.
    pub issued: i64,
    pub taken_back: i64,
    pub spent: i64,
    pub expired: i64,
    /// Active, pending and held.
    pub outstanding: i64,
    pub pending: i64,
    pub debt: i64,
    /// What was issued less what was taken back, in money: at the document's `value` of one point. `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// What is outstanding, in money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liability: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MonthFlow {
    pub issued: i64,
    pub taken_back: i64,
}

/// Members by level at the window's end, and who would stand elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LadderComparison {
    /// In the order of rank: the draft's levels, then those it does not have any more.
    pub levels: Vec<LevelComparison>,
    /// Most members first.
    pub moves: Vec<Move>,
    #[serde(skip)]
    counted: BTreeMap<(Id, Id), u64>,
}

/// How many members stand on a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelComparison {
    pub level: Id,
    #[serde(flatten)]
    pub sides: Sides<u64>,
}

/// So many members stood on `from` and would stand on `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    pub from: Id,
    pub to: Id,
    pub members: u64,
}

/// How many members get more, less, or the same out of the window's events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gain {
    pub more: u64,
    pub less: u64,
    pub same: u64,
    /// What the gain is counted in: the currency's code, or `points` where no currency has a `value`.
    pub unit: String,
}

/// One member of the winners or losers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberComparison {
    pub member: String,
    /// Net of what was taken back; decimal text in [`Gain::unit`].
    pub gain: String,
    /// Where it comes from, the largest difference first.
    pub why: Vec<Reason>,
    #[serde(skip)]
    worth: Amount,
}

/// One campaign's part in what a member gains or loses, in the currency's smallest units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// `None` for what no campaign gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Id>,
    pub currency: Id,
    #[serde(flatten)]
    pub sides: Sides<i64>,
}

/// What one member's window came to on one side.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Every entry of the window.
    pub entries: &'a [Entry],
    /// As settled to the window's end; `None` for somebody who had not joined by then.
    pub state: Option<&'a MemberState>,
}

/// Which rules the two sides are read by, and which business time counts.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    pub current: &'a Program,
    pub draft: &'a Program,
    /// The first business time that counts.
    pub from: Instant,
    /// The end, exclusive; what falls due at this very instant counts.
    pub to: Instant,
}

impl Window<'_> {
    fn holds(&self, at: Instant) -> bool {
        self.from <= at && at <= self.to
    }

    /// What so many units are worth in money; where no currency has a value, units are counted themselves.
    fn worth(&self, currency: &str, units: i64) -> Amount {
        if !self.has_values() {
            return Amount::whole(units);
        }
        worth_in(self.draft, currency, units).or_else(|| worth_in(self.current, currency, units)).unwrap_or_default()
    }

    fn has_values(&self) -> bool {
        [self.draft, self.current]
            .iter()
            .any(|program| program.definition.currencies.values().any(|currency| currency.value.is_some()))
    }

    fn month(&self, at: Instant) -> String {
        let day = self.draft.calendar.day(at).to_string();
        day[..day.len() - 3].to_owned()
    }
}

impl Comparison {
    /// An empty comparison that names every currency and level of both documents.
    pub fn new(window: &Window<'_>) -> Self {
        let mut comparison = Self::default();
        for program in [window.draft, window.current] {
            for currency in program.definition.currencies.keys() {
                comparison.currencies.entry(currency.clone()).or_default();
            }
            for ladder in &program.ladders {
                let known = comparison.tiers.entry(ladder.id.clone()).or_default();
                for level in &ladder.levels {
                    known.of(&level.id);
                }
            }
        }
        comparison.gain.unit =
            if window.has_values() { window.draft.money.code().to_owned() } else { "points".to_owned() };
        comparison
    }

    /// Counts an event that the draft refuses.
    pub fn refuse(&mut self, code: &str) {
        *self.refused.entry(code.to_owned()).or_default() += 1;
    }

    /// Adds one member. `events`: how many of theirs were decided again.
    pub fn add_member(&mut self, window: &Window<'_>, id: MemberId, events: u64, before: Side<'_>, after: Side<'_>) {
        self.members += 1;
        self.rank(window, id, given_by_both(window, &before, &after));
        self.add_tiers(window, before.state, after.state);
        self.add_household(window, id, events, before, after);
    }

    /// Adds a household: what became of the points in its pool. It is no member, stands on no level and earns nothing.
    pub fn add_household(&mut self, window: &Window<'_>, id: MemberId, events: u64, before: Side<'_>, after: Side<'_>) {
        self.events += events;
        if let Some(difference) =
            first_unlike(window, before.entries, after.entries).filter(|_| self.unlike.len() < NAMED_MAX)
        {
            self.unlike.push(format!("{id}: {difference}"));
        }
        for (is_after, side) in [(false, &before), (true, &after)] {
            for entry in side.entries.iter().filter(|entry| window.holds(entry.at)) {
                self.add_entry(window, is_after, entry);
            }
            if let Some(state) = side.state {
                self.add_balances(is_after, state);
            }
        }
    }

    fn add_entry(&mut self, window: &Window<'_>, is_after: bool, entry: &Entry) {
        let amount = entry.amount.get();
        let flow = self.currencies.entry(entry.currency.clone()).or_default().of(is_after);
        match (entry.from, entry.to) {
            (Account::Issued, _) => flow.issued += amount,
            (_, Account::Issued) => flow.taken_back += amount,
            (_, Account::Redeemed) => flow.spent += amount,
            (_, Account::Expired) => flow.expired += amount,
            _ => {}
        }
        if entry.from == Account::Issued || entry.to == Account::Issued {
            let month = self.by_month.entry(window.month(entry.at)).or_default();
            let month = month.entry(entry.currency.clone()).or_default().of(is_after);
            if entry.from == Account::Issued {
                month.issued += amount;
            } else {
                month.taken_back += amount;
            }
        }
        if let (Account::Issued, Some(campaign)) = (entry.from, &entry.campaign) {
            let campaign = self.campaigns.entry(campaign.clone()).or_default();
            *campaign.entry(entry.currency.clone()).or_default().of(is_after) += amount;
        }
    }

    fn add_balances(&mut self, is_after: bool, state: &MemberState) {
        for purse in &state.purses {
            let flow = self.currencies.entry(purse.currency.clone()).or_default().of(is_after);
            let pending = purse.pending().get();
            flow.outstanding += purse.active().get() + pending;
            flow.pending += pending;
            flow.debt += purse.debt.get();
        }
    }

    fn add_tiers(&mut self, window: &Window<'_>, before: Option<&MemberState>, after: Option<&MemberState>) {
        for (ladder, known) in &mut self.tiers {
            let level = |program: &Program, state: Option<&MemberState>| {
                let rules = program.ladder(ladder.as_str())?;
                let rank = state?.ladder(ladder.as_str()).map_or(0, |standing| rules.rank(&standing.level));
                Some(rules.level(rank).id.clone())
            };
            let (from, to) = (level(window.current, before), level(window.draft, after));
            if let Some(level) = &from {
                known.of(level).before += 1;
            }
            if let Some(level) = &to {
                known.of(level).after += 1;
            }
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                *known.counted.entry((from, to)).or_default() += 1;
            }
        }
    }

    fn rank(&mut self, window: &Window<'_>, id: MemberId, given: Given) {
        let parts: Vec<(Amount, Reason)> = given
            .into_iter()
            .filter(|(_, sides)| sides.before != sides.after)
            .map(|((campaign, currency), sides)| {
                (window.worth(currency.as_str(), sides.after - sides.before), Reason { campaign, currency, sides })
            })
            .collect();
        let worth: Amount = parts.iter().map(|(worth, _)| *worth).sum();
        match (worth.is_zero(), worth.is_negative()) {
            (true, _) => self.gain.same += 1,
            (_, true) => self.gain.less += 1,
            (_, false) => self.gain.more += 1,
        }
        if worth.is_zero() {
            return;
        }
        let list = if worth.is_negative() { &mut self.losers } else { &mut self.winners };
        if list.len() >= NAMED_MAX && list.last().is_some_and(|last| last.worth.abs() > worth.abs()) {
            return;
        }
        let mut parts = parts;
        parts.sort_by_key(|(worth, _)| std::cmp::Reverse(worth.abs()));
        let why = parts.into_iter().take(REASONS_MAX).map(|(_, reason)| reason).collect();
        list.push(MemberComparison { member: id.to_string(), gain: worth.to_string(), why, worth });
        shorten(list);
    }

    /// Adds what another worker compared; the order does not matter.
    pub fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.members += other.members;
        self.left_out += other.left_out;
        self.unlike.extend(other.unlike);
        self.unlike.sort();
        self.unlike.truncate(NAMED_MAX);
        for (code, count) in other.refused {
            *self.refused.entry(code).or_default() += count;
        }
        for (currency, sides) in other.currencies {
            let known = self.currencies.entry(currency).or_default();
            known.before.add(&sides.before);
            known.after.add(&sides.after);
        }
        for (ladder, theirs) in other.tiers {
            let known = self.tiers.entry(ladder).or_default();
            for LevelComparison { level, sides } in theirs.levels {
                let known = known.of(&level);
                known.before += sides.before;
                known.after += sides.after;
            }
            for (step, members) in theirs.counted {
                *known.counted.entry(step).or_default() += members;
            }
        }
        for (campaign, currencies) in other.campaigns {
            for (currency, sides) in currencies {
                let known = self.campaigns.entry(campaign.clone()).or_default().entry(currency).or_default();
                known.before += sides.before;
                known.after += sides.after;
            }
        }
        for (month, currencies) in other.by_month {
            for (currency, sides) in currencies {
                let known = self.by_month.entry(month.clone()).or_default().entry(currency).or_default();
                for (known, theirs) in [(&mut known.before, sides.before), (&mut known.after, sides.after)] {
                    known.issued += theirs.issued;
                    known.taken_back += theirs.taken_back;
                }
            }
        }
        self.gain.more += other.gain.more;
        self.gain.less += other.gain.less;
        self.gain.same += other.gain.same;
        self.winners.extend(other.winners);
        self.losers.extend(other.losers);
        shorten(&mut self.winners);
        shorten(&mut self.losers);
    }

    /// Works out what rests on the sums: money, and moves in order.
    #[must_use]
    pub fn finished(mut self, window: &Window<'_>) -> Self {
        for (currency, sides) in &mut self.currencies {
            for (program, flow) in [(window.current, &mut sides.before), (window.draft, &mut sides.after)] {
                let decimals = window.draft.money.decimals();
                let money = |units| worth_in(program, currency.as_str(), units).map(|worth| worth.to_text(decimals));
                flow.cost = money(flow.issued - flow.taken_back);
                flow.liability = money(flow.outstanding);
            }
        }
        for ladder in self.tiers.values_mut() {
            let counted = std::mem::take(&mut ladder.counted);
            ladder.moves = counted.into_iter().map(|((from, to), members)| Move { from, to, members }).collect();
            ladder.moves.sort_by_key(|step| std::cmp::Reverse(step.members));
        }
        self
    }
}

/// What so many smallest units of a currency are worth in money by a document; `None` where it gives no value.
fn worth_in(program: &Program, currency: &str, units: i64) -> Option<Amount> {
    let known = program.definition.currencies.get(currency)?;
    let value = Amount::try_from(known.value?.0).ok()?;
    Some(value.portion(units.into(), 10_i128.pow(known.scale)))
}

/// What an entry gives the member, or takes back: issued points and take-backs.
fn net_of(entry: &Entry) -> i64 {
    match (entry.from, entry.to) {
        (Account::Issued, _) => entry.amount.get(),
        (_, Account::Issued) => -entry.amount.get(),
        _ => 0,
    }
}

/// What each campaign gave on both sides, by currency.
type Given = BTreeMap<(Option<Id>, Id), Sides<i64>>;

fn given_by_both(window: &Window<'_>, before: &Side<'_>, after: &Side<'_>) -> Given {
    let mut given = Given::new();
    for (is_after, side) in [(false, before), (true, after)] {
        for entry in side.entries.iter().filter(|entry| window.holds(entry.at)) {
            let net = net_of(entry);
            if net != 0 {
                let sides = given.entry((entry.campaign.clone(), entry.currency.clone())).or_default();
                *sides.of(is_after) += net;
            }
        }
    }
    given
}

/// The first entries of a window that are not the same on both sides.
fn first_unlike(window: &Window<'_>, before: &[Entry], after: &[Entry]) -> Option<String> {
    let of_window = |entry: &&Entry| window.holds(entry.at);
    let is_same = |one: &Entry, other: &Entry| {
        let lot = |entry: &Entry| entry.lot.as_ref().map(|lot| (lot.last_day, lot.funder.clone()));
        let what = |entry: &Entry| (entry.at, entry.kind, entry.from, entry.to, entry.amount, entry.expires_at);
        what(one) == what(other)
            && (&one.currency, &one.campaign) == (&other.currency, &other.campaign)
            && lot(one) == lot(other)
    };
    let (mut before, mut after) = (before.iter().filter(of_window), after.iter().filter(of_window));
    loop {
        match (before.next(), after.next()) {
            (None, None) => return None,
            (Some(one), Some(other)) if is_same(one, other) => {}
            (one, other) => return Some(format!("it was {one:?} and is {other:?}")),
        }
    }
}

/// Keeps those with the largest difference; of equals the first by name, so that the result is always the same.
fn shorten(list: &mut Vec<MemberComparison>) {
    list.sort_by(|one, other| other.worth.abs().cmp(&one.worth.abs()).then_with(|| one.member.cmp(&other.member)));
    list.truncate(NAMED_MAX);
}

impl<T> Sides<T> {
    fn of(&mut self, is_after: bool) -> &mut T {
        if is_after { &mut self.after } else { &mut self.before }
    }
}

impl LadderComparison {
    fn of(&mut self, level: &Id) -> &mut Sides<u64> {
        let place = self.levels.iter().position(|known| known.level == *level).unwrap_or_else(|| {
            self.levels.push(LevelComparison { level: level.clone(), sides: Sides::default() });
            self.levels.len() - 1
        });
        &mut self.levels[place].sides
    }
}

impl Flow {
    fn add(&mut self, other: &Self) {
        self.issued += other.issued;
        self.taken_back += other.taken_back;
        self.spent += other.spent;
        self.expired += other.expired;
        self.outstanding += other.outstanding;
        self.pending += other.pending;
        self.debt += other.debt;
    }
}
