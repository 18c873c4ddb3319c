use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    Ask, Badge, Belonging, BenefitUse, Change, Club, Frozen, Household, Merged, ParkedEvent, Placement, Progress,
    Ranked, Referral, Shortfall, StepVoucher, Streak, Told, Velocity, Waiting,
};
use crate::id::MemberId;
use crate::ledger::{Account, Entry, Hold, Lot, Purse};
use crate::program::{Id, id_or_empty};
use crate::quantity::{Amount, Points};
use crate::time::{Day, Instant, MonthDay};

/// Everything decisions need to know about a member. Bounded: it does not grow with the number of events.
///
/// What bounds it: lots by days × funders, counters by limits in open windows, tier buckets by two windows, parked
/// events by [`MemberState::PARKED_MAX`], reservations by [`MemberState::HOLDS_MAX`], challenges and streaks by what a
/// document may have of them, placements by ladders × kinds, uses of benefits by [`MemberState::USES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    pub id: MemberId,
    pub status: Status,
    pub joined_at: Instant,
    pub joined_on: Day,
    /// The latest business time this member has seen; everything due until then is settled.
    pub clock: Instant,
    /// Events so far.
    pub events: u64,
    /// Entries so far, and the hash of the last.
    pub entries: u64,
    pub chain: [u8; 32],
    pub purses: Vec<Purse>,
    pub ladders: Vec<Ladder>,
    pub counters: Vec<Counter>,
    pub fractions: Vec<Fraction>,
    pub statistics: Statistics,
    /// Declared events by type.
    pub counts: Vec<(Id, u32)>,
    pub birthday: Option<MonthDay>,
    /// When the birthday became known.
    pub birthday_since: Option<Instant>,
    /// A change of the birthday that holds from the year after its date (P8).
    pub birthday_next: Option<(i16, MonthDay)>,
    /// By campaign, the last birthday a gift was given for.
    pub gifts: Vec<(Id, Day)>,
    /// Campaigns with a holdout this member has qualified for, and whether they were held out.
    pub exposures: Vec<(Id, bool)>,
    pub grants: Vec<Grant>,
    pub parked: Vec<ParkedEvent>,
    /// When this member next needs attention, and the version that says so. No fold of anything: `verify` skips it.
    pub wake_at: Option<Instant>,
    pub wake_version: u32,
    /// Reservations that are open. It and all behind it came after the first format, hence at the end and in this order.
    pub holds: Vec<Hold>,
    /// The member's way through challenges; what is over is forgotten with the next event.
    pub challenges: Vec<Progress>,
    pub streaks: Vec<Streak>,
    pub badges: Vec<Badge>,
    pub ranked: Option<Ranked>,
    /// Rewards that are waited for, or set aside for the member.
    pub waiting: Vec<Waiting>,
    /// Levels the member was put on, by ladder and kind.
    pub placements: Vec<Placement>,
    /// Uses of benefits that may still be taken back, oldest first.
    pub uses: Vec<BenefitUse>,
    /// Who brought the member.
    pub referral: Option<Referral>,
    /// The devices last seen, as keyed hashes; at most [`MemberState::DEVICES_MAX`].
    pub devices: Vec<CompactString>,
    /// Paid memberships by plan, those that ended too.
    pub clubs: Vec<Club>,
    /// What makes this member a gift card.
    pub gift_card: Option<GiftCard>,
    /// What partners were told of their benefits; at most one for each of the document's.
    pub told: Vec<Told>,
    /// Into whom the member was merged.
    pub into: Option<MemberId>,
    /// Who was merged into the member, in order: places never change. At most [`MemberState::MERGED_MAX`].
    pub merged: Vec<Merged>,
    /// Vouchers that go with the step they were given for, oldest first; at most
    /// [`MemberState::STEP_VOUCHERS_MAX`], what is older stays good.
    pub step_vouchers: Vec<StepVoucher>,
    /// What velocity rules count, in windows that are open; pairs at most up to [`MemberState::VELOCITY_MAX`].
    pub velocity: Vec<Velocity>,
    /// Nothing is spent, sent or claimed.
    pub frozen: Option<Frozen>,
    /// The household that the member is in, or was.
    pub belongs: Option<Belonging>,
    /// What makes this holder a household.
    pub household: Option<Household>,
    /// Rewards of a household's pool that its people were asked about; at most [`MemberState::HOLDS_MAX`].
    pub asks: Vec<Ask>,
    /// Orders that came back while their points were away, as they were made; at most [`MemberState::SHORTFALLS_MAX`].
    pub shortfalls: Vec<Shortfall>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    /// A shadow of an order without a member, until somebody claims it.
    Guest,
    /// One with another member, to whom everything went.
    Merged,
    /// No longer a member.
    Left,
    /// No member: a gift card, found by its code.
    GiftCard,
    /// No member: several who save together.
    Household,
}

impl Status {
    /// The number stored for it; never changes.
    pub const fn code(self) -> i64 {
        match self {
            Self::Active => 1,
            Self::Guest => 2,
            Self::Merged => 3,
            Self::Left => 4,
            Self::GiftCard => 5,
            Self::Household => 6,
        }
    }

    /// Whether time brings anything about for such a holder.
    pub const fn keeps_time(self) -> bool {
        matches!(self, Self::Active | Self::GiftCard | Self::Household)
    }

    /// Whether this is a member: somebody whom campaigns, levels and dates of inactivity are about.
    pub const fn is_member(self) -> bool {
        !matches!(self, Self::GiftCard | Self::Household)
    }
}

/// Sums that reports and facts read. `purchases` and `spend` are gross of returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    pub purchases: u32,
    pub spend: Amount,
    pub returns: u32,
    pub returned: Amount,
    pub last_purchase: Option<Day>,
    /// Business time of the last event from outside.
    pub last_event: Option<Instant>,
}

/// A member's place on one ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    pub id: Id,
    /// Empty until a first level is set: the base.
    #[serde(deserialize_with = "id_or_empty")]
    pub level: Id,
    pub since: Instant,
    /// A level kept whatever the measures say, until an instant: the result of a review.
    pub floor: Option<(Id, Instant)>,
    /// By measure, what counted, by the first day of its bucket.
    pub measures: Vec<Bucketed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucketed {
    /// Empty for a ladder's only measure.
    #[serde(deserialize_with = "id_or_empty")]
    pub measure: Id,
    /// Sorted by day; no bucket is zero.
    pub buckets: Vec<(Day, Amount)>,
}

impl Ladder {
    /// The sum of a measure over days `from..until`.
    pub fn sum(&self, measure: &Id, from: Day, until: Day) -> Amount {
        let known = self.measures.iter().find(|known| known.measure == *measure);
        let buckets = known.into_iter().flat_map(|known| &known.buckets);
        buckets.filter(|(day, _)| (from..until).contains(day)).map(|(_, amount)| *amount).sum()
    }
}

/// How much of a limit is used in one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    pub limit: CompactString,
    /// The window: its first day, and the first day behind it.
    pub from: Day,
    pub until: Day,
    pub used: i64,
}

/// What rounding cut off and the next event gets (M2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fraction {
    pub rule: CompactString,
    #[serde(with = "rust_decimal::serde::str")]
    pub carried: Decimal,
}

/// A gift card that this is in place of a member. Its balance is a purse of [`GIFT_CARD`](crate::program::GIFT_CARD).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiftCard {
    /// The keyed hash of the code that pays; an earlier one, replaced since, does not.
    pub code: [u8; 16],
    /// Lost: it pays for nothing until it is unblocked.
    pub blocked: bool,
}

/// A benefit given by a rule, until the end of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub benefit: Id,
    pub last_day: Day,
}

/// A stored state that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error(
        "the stored state of a member has the format {found}, this version reads {FORMAT}: run the version that wrote it"
    )]
    UnknownFormat { found: u8 },
    #[error(
        "the stored state of a member is damaged: restore the database from a backup; events and entries are whole"
    )]
    Damaged,
}

/// The first byte of a stored state. Format 3 is open: nothing of it was released, so fields may still be added to it. The
/// test `stored_state` says how a release closes it and what a change takes from then on.
const FORMAT: u8 = 3;
/// What formats before had no fields for, at the end of the state: lists and options, of which a zero byte is none.
const SINCE_FORMAT_1: &[u8] = &[0];
const SINCE_FORMAT_2: &[u8] = &[0; 21];

impl MemberState {
    /// Events that name an order nobody has seen yet; one more is refused.
    pub const PARKED_MAX: usize = 50;

    /// Reservations that are open at once; one more is refused. A member at several tills has a few.
    pub const HOLDS_MAX: usize = 20;

    /// Devices that are remembered; more forget the first.
    pub const DEVICES_MAX: usize = 5;

    /// Rewards that a member waits for at once; one more is refused.
    pub const WAITING_MAX: usize = 20;

    /// What velocity rules count of a member together with staff and devices, in windows that are open; a merge adds those of
    /// both.
    pub const VELOCITY_MAX: usize = 64;

    /// Vouchers that are remembered with their steps.
    pub const STEP_VOUCHERS_MAX: usize = 32;

    pub fn new(id: MemberId, status: Status, joined_at: Instant, joined_on: Day) -> Self {
        Self {
            id,
            status,
            joined_at,
            joined_on,
            clock: joined_at,
            events: 0,
            entries: 0,
            chain: [0; 32],
            purses: Vec::new(),
            ladders: Vec::new(),
            counters: Vec::new(),
            fractions: Vec::new(),
            statistics: Statistics::default(),
            counts: Vec::new(),
            birthday: None,
            birthday_since: None,
            birthday_next: None,
            gifts: Vec::new(),
            exposures: Vec::new(),
            grants: Vec::new(),
            parked: Vec::new(),
            wake_at: None,
            wake_version: 0,
            holds: Vec::new(),
            challenges: Vec::new(),
            streaks: Vec::new(),
            badges: Vec::new(),
            ranked: None,
            waiting: Vec::new(),
            placements: Vec::new(),
            uses: Vec::new(),
            referral: None,
            devices: Vec::new(),
            clubs: Vec::new(),
            gift_card: None,
            told: Vec::new(),
            into: None,
            merged: Vec::new(),
            step_vouchers: Vec::new(),
            velocity: Vec::new(),
            frozen: None,
            belongs: None,
            household: None,
            asks: Vec::new(),
            shortfalls: Vec::new(),
        }
    }

    /// The compact form that is stored: a format byte, then postcard.
    pub fn to_bytes(&self) -> Vec<u8> {
        let buffer = Vec::with_capacity(512);
        let mut bytes = buffer;
        bytes.push(FORMAT);
        match postcard::to_extend(self, bytes) {
            Ok(bytes) => bytes,
            // Writing to memory cannot fail, and every field of the state is serializable.
            Err(_) => vec![FORMAT],
        }
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => Self::read(rest),
            Some((&2, rest)) => Self::read(&[rest, SINCE_FORMAT_2].concat()),
            Some((&1, rest)) => Self::read(&[rest, SINCE_FORMAT_1, SINCE_FORMAT_2].concat()),
            Some((&found, _)) => Err(StateError::UnknownFormat { found }),
            None => Err(StateError::Damaged),
        }
    }

    /// Exactly one state, and nothing behind it.
    fn read(bytes: &[u8]) -> Result<Self, StateError> {
        match postcard::take_from_bytes(bytes) {
            Ok((state, [])) => Ok(state),
            _ => Err(StateError::Damaged),
        }
    }

    pub fn purse(&self, currency: &str) -> Option<&Purse> {
        self.purses.iter().find(|purse| purse.currency == *currency)
    }

    fn purse_mut(&mut self, currency: &Id) -> &mut Purse {
        let place = match self.purses.binary_search_by(|purse| purse.currency.cmp(currency)) {
            Ok(place) => return &mut self.purses[place],
            Err(place) => place,
        };
        self.purses.insert(place, Purse::new(currency.clone()));
        &mut self.purses[place]
    }

    pub fn ladder(&self, ladder: &str) -> Option<&Ladder> {
        self.ladders.iter().find(|known| known.id == *ladder)
    }

    /// Used so far of a limit in the window that begins on a day.
    pub fn used(&self, limit: &str, from: Day) -> i64 {
        let counter = self.counters.iter().find(|counter| counter.limit == limit && counter.from == from);
        counter.map_or(0, |counter| counter.used)
    }

    pub fn fraction(&self, rule: &str) -> Decimal {
        let carried = self.fractions.iter().find(|fraction| fraction.rule == rule);
        carried.map_or(Decimal::ZERO, |fraction| fraction.carried)
    }

    /// Everything ever earned of a currency, with what those earned before who are one with the member.
    pub fn issued(&self, currency: &str) -> Points {
        let theirs = self.merged_now().flat_map(|merged| &merged.issued).filter(|(known, _)| *known == *currency);
        let own = self.purse(currency).map_or(Points::ZERO, |purse| purse.totals.issued);
        theirs.fold(own, |sum, (_, issued)| sum + *issued)
    }

    /// The way through a challenge in the stretch that begins on a day.
    pub fn challenge(&self, challenge: &str, from: Day) -> Option<&Progress> {
        self.challenges.iter().find(|row| row.challenge == *challenge && row.from == from)
    }

    pub(super) fn challenge_for(&mut self, challenge: &Id, from: Day, until: Day) -> &mut Progress {
        let known = self.challenges.iter().position(|row| row.challenge == *challenge && row.from == from);
        let place = known.unwrap_or_else(|| {
            self.challenges.push(Progress::new(challenge, from, until));
            self.challenges.len() - 1
        });
        &mut self.challenges[place]
    }

    pub fn streak(&self, streak: &str) -> Option<&Streak> {
        self.streaks.iter().find(|known| known.streak == *streak)
    }

    /// Points of a currency that are reserved.
    pub fn held(&self, currency: &str) -> Points {
        self.holds.iter().filter(|hold| hold.terms.currency == *currency).map(Hold::held).sum()
    }

    /// The member's place in the list of those who wait for a reward.
    pub fn waits_for(&self, reward: &Id) -> Option<&Waiting> {
        self.waiting.iter().find(|wait| wait.reward == *reward)
    }

    /// An open reservation, by its redemption's event.
    pub fn hold(&self, redemption: u64) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.event == redemption)
    }

    /// Folds an entry: balances, lots, reservations and the chain.
    pub fn apply_entry(&mut self, entry: &Entry) {
        let earned_at = self.move_held(entry);
        self.purse_mut(&entry.currency).apply(entry, earned_at);
        self.entries = entry.seq;
        self.chain = entry.hash;
    }

    /// Folds what an entry moves into or out of a reservation. Says when the points were earned: a lot that was drained
    /// comes back with its label.
    fn move_held(&mut self, entry: &Entry) -> Instant {
        let Some(key) = entry.lot.as_ref().filter(|_| entry.from == Account::Held || entry.to == Account::Held) else {
            return entry.at;
        };
        let earned_at = self.purse(entry.currency.as_str()).and_then(|purse| purse.lot(key)).map(|lot| lot.earned_at);
        let Some(place) = self.holds.iter().position(|hold| Some(hold.event) == key.order) else { return entry.at };
        let lots = &mut self.holds[place].lots;
        if entry.to == Account::Held {
            let earned_at = earned_at.unwrap_or(entry.at);
            lots.push(Lot {
                last_day: key.last_day,
                expires_at: entry.expires_at,
                funder: key.funder.clone(),
                earned_at,
                remaining: entry.amount,
            });
            return earned_at;
        }
        let Some(index) = lots.iter().position(|lot| lot.is(key)) else { return entry.at };
        let earned_at = lots[index].earned_at;
        lots[index].remaining = lots[index].remaining.less(entry.amount);
        lots.retain(|lot| !lot.remaining.is_zero());
        if lots.is_empty() {
            self.holds.remove(place);
        }
        earned_at
    }

    /// Begins an event: the clock moves unless the event is backdated, windows that ended are forgotten.
    pub fn begin_event(&mut self, effective_at: Instant, day: Day) {
        self.events += 1;
        if effective_at >= self.clock {
            self.clock = effective_at;
            self.counters.retain(|counter| counter.until > day);
            self.grants.retain(|grant| grant.last_day >= day);
            self.challenges.retain(|progress| progress.until > day);
            self.uses.retain(|used| used.until > day);
            self.velocity.retain(|known| known.until > effective_at);
            if let Some(household) = &mut self.household {
                household.invitations.retain(|invitation| invitation.until > effective_at);
            }
        }
    }

    /// Folds a change.
    pub fn apply_change(&mut self, change: &Change) {
        change.apply(self);
    }

    pub(super) fn purse_for(&mut self, currency: &Id) -> &mut Purse {
        self.purse_mut(currency)
    }

    pub(super) fn ladder_for(&mut self, ladder: &Id) -> &mut Ladder {
        let place = match self.ladders.binary_search_by(|known| known.id.cmp(ladder)) {
            Ok(place) => return &mut self.ladders[place],
            Err(place) => place,
        };
        let fresh = Ladder {
            id: ladder.clone(),
            level: Id::default(),
            since: self.joined_at,
            floor: None,
            measures: Vec::new(),
        };
        self.ladders.insert(place, fresh);
        &mut self.ladders[place]
    }

    /// The same state without what is no fold of the ledger, for comparing.
    #[must_use]
    pub fn comparable(mut self) -> Self {
        self.wake_at = None;
        self.wake_version = 0;
        self
    }
}
