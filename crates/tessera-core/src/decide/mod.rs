//! The one function that chooses: [`decide`] looks at a member, a program and a command and says what happens.
//!
//! It is pure. What it reads comes in [`Inputs`]; what it wants written comes out in a [`Decision`]. The order is
//! always: settle what fell due (I7), decide the event by the version of its business time (I5), then the events that
//! it causes (C8), at most [`DERIVED_MAX`] deep.

mod adjust;
mod asker;
mod award;
mod basis;
mod benefit;
mod birthday;
mod caps;
mod cart;
mod claim;
mod club;
mod derived;
mod draw;
mod entitlement;
mod evaluate;
mod events;
mod expiry;
mod explain;
mod follow_up;
mod freeze;
mod fulfilment;
mod gift_card;
mod give_again;
mod holdout;
mod household;
mod merge;
mod moving;
mod order;
mod outcome;
mod partner;
mod people;
mod placement;
mod play;
mod pool;
mod progress;
mod ranking;
mod redeem;
mod referral;
mod refund;
mod rejected;
mod returns;
mod revalue;
mod reward;
mod reward_card;
mod seat;
mod settle;
mod shortfall;
mod stacking;
mod take_back;
mod tier;
mod trace;
mod transfer;
mod undo;
mod unlinked;
mod unmerge;
mod velocity;
mod voucher;
mod waitlist;
mod working;

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

pub use adjust::adjustment_pool;
pub use asker::may_ask_for;
pub use basis::Basis;
pub use benefit::{Entitlement, Source, SourceKind, UsesLeft, entitlements};
pub use cart::{
    Best, Cart, CartAsk, Considered, LARGER_CARTS_MAX, LinePrice, Missing, PRICES_TRIED_MAX, REWARDS_MAX, RewardNow,
    RunnerUp, VOUCHERS_TRIED_MAX, VoucherSaving, WORK_MAX, decide_cart,
};
pub use club::{ClubView, RefundQuote, UsedView, clubs, quote_refund};
pub use draw::{Draw, Draws, NUMBERS};
pub use events::priced_in;
pub use explain::explain;
pub use follow_up::FollowUp;
pub use household::may_take_in;
pub use merge::undo_until;
pub use order::{Credit, OrderProgress, OrderRecord};
pub use outcome::{
    Balance, Effect, EffectKind, LineDiscount, Outcome, OutcomeStatus, PlacementView, TierStanding, balances,
    tier_standings,
};
pub use people::Memory;
pub use play::Playing;
pub use progress::{BadgeView, CardView, ChallengeView, ProgressView, StreakView, progress};
pub use ranking::score;
pub use redeem::{LotTrace, Quote, RedemptionView, explain_redemption, quote_redemption};
pub use rejected::Rejected;
pub use revalue::explain_order;
pub use reward::{code_pool, codes_imported, donation_pools, donation_prefixes, imports_of, reward_price, stock_pool};
pub use settle::{as_at, next_wake, settled_to};
pub use trace::{Part, PartOf, Reason, RuleTrace};
pub use undo::undone_codes;
pub use velocity::{CaseHit, LookUp, OWN_PURCHASES, ended_velocity_pools, look_up, velocity_pools};
pub use voucher::{PricedVoucher, VoucherLook, price_vouchers, shared_code_pool, voucher_codes};
pub use waitlist::{places_pool, waiting_pool};

use crate::event::{Command, Origin, What};
use crate::id::MemberId;
use crate::ledger::{Entry, LotRef, Redemption};
use crate::member::{Change, MemberState, Status, WaitState};
use crate::program::{Id, Versions};
use crate::time::{Day, Instant};
use crate::voucher::{CodeRecord, CodeUse};
use working::Working;

/// How deep derived events may cause each other (C8).
pub const DERIVED_MAX: usize = 8;

/// How far ahead of record time an event may be, in seconds (I5).
pub const FUTURE_MAX_SECONDS: i64 = 300;

/// Everything a decision reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub versions: &'a Versions,
    /// `None` for somebody who is not a member yet: the event makes them one.
    pub state: Option<&'a MemberState>,
    /// The identity of a member that is made.
    pub new_member: MemberId,
    /// Whether a made member is only the shadow of an order without one.
    pub guest: bool,
    /// What is used of each pool, as last seen; a pool that is not there is unused.
    pub pools: &'a BTreeMap<CompactString, i64>,
    /// The orders of [`Needs`] that exist and the one that the command would make; for a return without order, the
    /// member's purchases, newest first.
    pub orders: &'a [OrderRecord],
    /// The redemptions of the member that the command or those orders name (see [`redemptions`]), by event.
    pub redemptions: &'a [(u64, Redemption)],
    /// Those that exist of the codes that the command or those orders name (see [`voucher_codes`]).
    pub codes: &'a [CodeRecord],
    /// Every event of the member, oldest first: for a backdated event (see [`Needs::history`]), and for a return of what
    /// may have expired (see [`needs_history`]).
    pub history: Option<&'a [Recorded]>,
    /// What became of an order's points before its maker was merged into the member: events since the order, oldest first.
    pub former: &'a [Recorded],
    /// What is remembered of somebody who left and joins again (P3).
    pub memory: Option<&'a Memory>,
    /// Random bytes, for voucher codes.
    pub entropy: [u8; 16],
    /// Where the numbers of draws come from.
    pub draws: Draws<'a>,
    /// The event's data as it came: kept when the event has to wait.
    pub payload: &'a str,
    /// From where the command came.
    pub origin: &'a Origin,
    /// Whether to say for every rule why it did or did not apply.
    pub explain: bool,
}

impl<'a> Inputs<'a> {
    /// A member as they are and nothing read beside them, for a look at what is or would be. Nothing is drawn.
    pub fn of_member(versions: &'a Versions, state: &'a MemberState) -> Self {
        static UNUSED: BTreeMap<CompactString, i64> = BTreeMap::new();
        Self {
            versions,
            state: Some(state),
            new_member: state.id,
            guest: false,
            pools: &UNUSED,
            orders: &[],
            redemptions: &[],
            codes: &[],
            history: None,
            former: &[],
            memory: None,
            entropy: [0; 16],
            draws: Draws::Hidden,
            payload: "{}",
            origin: Origin::nowhere(),
            explain: false,
        }
    }
}

/// What has to be read before a command can be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The order with this id.
    pub order: Option<CompactString>,
    /// The orders that exchanges waiting for this one would make: each is still free, or its exchange is impossible.
    pub awaited: Vec<CompactString>,
    /// The member's purchases since an instant.
    pub purchases_since: Option<Instant>,
    /// Every event of the member.
    pub history: bool,
}

/// What a decision wants written, all in one transaction.
#[derive(Clone, Debug)]
pub struct Decision {
    /// New events of the member, in order; the command's own is the one at `main`.
    pub events: Vec<Recorded>,
    pub main: usize,
    pub state: MemberState,
    /// Orders made: their id and the event they were made by.
    pub orders: Vec<(CompactString, u64)>,
    /// Orders whose progress changed.
    pub progress: Vec<(CompactString, OrderProgress)>,
    /// Changes of pools, each with the most the pool may reach.
    pub pools: Vec<PoolChange>,
    pub vouchers: Vec<IssuedVoucher>,
    /// Places in waiting lists that are new or have come to something else.
    pub waitlist: Vec<WaitlistChange>,
    /// Codes of partners to be given, one each: from which pool, to which redemption (by its event).
    pub codes: Vec<(Id, u64)>,
    /// What partners are to deliver from now on.
    pub partner_orders: Vec<PartnerOrder>,
    /// Redemptions made or changed, by their event: how far each has come.
    pub redemptions: Vec<(u64, Redemption)>,
    /// Codes of vouchers whose uses changed.
    pub voucher_codes: Vec<CodeRecord>,
    /// Commands about other members that these events cause, in order.
    pub follow_ups: Vec<FollowUp>,
    /// What was more than velocity rules let pass, and passed.
    pub cases: Vec<CaseHit>,
    pub outcome: Outcome,
    pub trace: Vec<RuleTrace>,
}

/// One event as it is stored. `data` is the caller's payload, except for events that time or another event caused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub seq: u64,
    pub kind: CompactString,
    pub status: EventStatus,
    pub effective_at: Instant,
    pub version: u32,
    /// The caller's data, or what an event settled later carried; `None`: the payload of the command.
    pub data: Option<String>,
    pub record: Record,
    pub entries: Vec<Entry>,
}

/// What is stored with an event besides its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The program day of business time.
    pub day: Day,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// What the order this event made was credited with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credits: Vec<Credit>,
    /// The order this event is about and how far it has come by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<(CompactString, OrderProgress)>,
    /// Redemptions that this event made or changed, by their event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redemptions: Vec<(u64, Redemption)>,
    /// Codes that this event used, or gave a use of back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vouchers: Vec<CodeUse>,
    /// What this event causes for other members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follow_ups: Vec<FollowUp>,
    /// What was drawn, won or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draws: Vec<Draw>,
    /// Joined by this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Status>,
    /// What the caller was told besides the effects, so that a retry gets the first outcome (I1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The key of the command whose event this is, in hexadecimal digits; empty for one without. Kept only where the
    /// database is spread over shards: there a key is claimed before its event is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CompactString>,
}

/// The part of an outcome that is not in the effects of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How many events of the same command stand before this one, and how many behind it.
    pub before: u32,
    pub after: u32,
    pub balances: BTreeMap<Id, Balance>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<Id, Id>,
}

impl Answer {
    /// The first outcome again, from the events of the command: those before this one, itself, those behind it.
    pub fn outcome(&self, id: crate::id::EventId, guest: bool, events: &[Recorded]) -> Outcome {
        let main = events.iter().find(|event| event.seq == id.seq);
        let parked = main.is_some_and(|event| event.status == EventStatus::Parked);
        Outcome {
            event_id: id.to_string(),
            status: if parked { OutcomeStatus::Parked } else { OutcomeStatus::Applied },
            first_status: None,
            member: (!guest).then(|| id.member.to_string()),
            program_version: main.map_or(0, |event| event.version),
            effects: events.iter().flat_map(|event| event.record.effects.iter().cloned()).collect(),
            balances: self.balances.clone(),
            tiers: self.tiers.clone(),
            claim_code: events.iter().flat_map(|event| &event.record.effects).find_map(|effect| {
                let code = (effect.kind == EffectKind::Claimable).then_some(effect.code.as_deref()?)?;
                crate::code::Code::parse(code).ok().map(|code| compact_str::format_compact!("{code}"))
            }),
            redemption: main.and_then(|event| redeem::view_of(id.member, event)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    Applied,
    /// Waits for the order it names (I4).
    Parked,
    /// Brought about by time or by another event.
    Derived,
}

impl EventStatus {
    /// The number stored for it; never changes.
    pub const fn code(self) -> i64 {
        match self {
            Self::Applied => 1,
            Self::Parked => 2,
            Self::Derived => 3,
        }
    }

    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Applied),
            2 => Some(Self::Parked),
            3 => Some(Self::Derived),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolChange {
    pub pool: CompactString,
    pub by: i64,
    pub most: i64,
}

/// What became of a member's place in the list of those who wait for a reward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitlistChange {
    pub reward: Id,
    pub place: i64,
    pub state: WaitState,
}

/// Something to be ordered from a partner, for a redemption by its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerOrder {
    pub redemption: u64,
    pub partner: Id,
    /// What the partner calls it.
    pub product: CompactString,
    /// Given up then.
    pub until: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedVoucher {
    pub code: CompactString,
    pub voucher: Id,
    /// The version whose terms hold.
    pub version: u32,
    /// How often the code may be used.
    pub uses: i64,
    pub event: u64,
    pub issued_at: Instant,
    pub expires_at: Option<Instant>,
}

/// What must be read before [`decide`] can be asked.
pub fn needs(versions: &Versions, state: Option<&MemberState>, command: &Command) -> Needs {
    let program = versions.at(command.effective_at);
    let mut needs = Needs::default();
    match &command.what {
        What::Return(back) if back.order_id.is_none() => {
            if program.definition.unlinked_returns.policy == crate::program::UnlinkedPolicy::Match {
                let from =
                    program.definition.unlinked_returns.within.before(program.calendar.day(command.effective_at));
                needs.purchases_since = Some(program.calendar.start(from));
            }
        }
        What::Declared { kind, data } => {
            let releases =
                program.definition.currencies.values().any(|currency| currency.pending.until.as_ref() == Some(kind));
            if releases {
                needs.order = declared_order(data);
            }
        }
        what => needs.order = what.names_order().map(CompactString::from),
    }
    if let (Some(made), Some(state)) = (command.what.makes_order(), state) {
        needs.awaited = awaited(versions, state, made);
    }
    needs.history = state.is_some_and(|state| command.effective_at < state.clock)
        && !(matches!(command.what, What::WakeUp) || command.what.is_never_past() || command.what.is_from_elsewhere());
    needs.history |= matches!(command.what, What::RollbackVoucher(_)) && state.is_some();
    needs.history |= matches!(command.what, What::Unmerge(_));
    needs.history |= matches!(command.what, What::Referral(crate::event::ReferralStep::Reversed { .. }));
    needs
}

/// Whether the member's whole history must be read too, once the orders of [`Needs`] are: what an order earned may have
/// expired since, and only the history knows how much of it (R5).
pub fn needs_history(versions: &Versions, state: &MemberState, orders: &[OrderRecord], command: &Command) -> bool {
    let calendar = &versions.at(command.effective_at).calendar;
    let now = state.clock.max(command.effective_at);
    let may_be_gone = |credit: &Credit| match &credit.lot {
        Some(LotRef { last_day: Some(day), .. }) => calendar.end(*day) <= now,
        // It got its date when it matured, or dies by inactivity.
        Some(LotRef { last_day: None, .. }) => true,
        None => false,
    };
    let has_expired = |credit: &Credit| {
        let purse = state.purse(credit.currency.as_str());
        purse.is_some_and(|purse| !purse.totals.expired.is_zero()) && may_be_gone(credit)
    };
    let takes_back = matches!(command.what, What::Return(_) | What::Exchange(_) | What::Amend(_));
    let added =
        |order: &'_ OrderRecord| order.progress.as_ref().is_some_and(|progress| progress.added.iter().any(has_expired));
    let own = |order: &&OrderRecord| order.member == state.id;
    // What expired before two became one, only that history knows.
    let merged = |order: &OrderRecord| order.made_by != order.member && order.credits.iter().any(may_be_gone);
    takes_back
        && orders.iter().filter(own).any(|order| order.credits.iter().any(has_expired) || added(order) || merged(order))
}

/// The orders that parked exchanges would make once an order is made, and those that wait for these in turn.
fn awaited(versions: &Versions, state: &MemberState, made: &str) -> Vec<CompactString> {
    let mut orders = vec![CompactString::from(made)];
    let mut next = 0;
    while let Some(order) = orders.get(next).cloned() {
        next += 1;
        for parked in state.parked.iter().filter(|parked| parked.kind == "exchange" && parked.order_id == order) {
            let definition = &versions.at(parked.effective_at).definition;
            if let Ok(What::Exchange(exchange)) = crate::event::read_event(definition, &parked.kind, &parked.data)
                && !orders.contains(&exchange.bought.order_id)
            {
                orders.push(exchange.bought.order_id);
            }
        }
    }
    orders.split_off(1)
}

/// The order that a declared event names.
fn declared_order(data: &crate::event::FieldValues) -> Option<CompactString> {
    data.iter().find_map(|(name, value)| match value {
        crate::event::FieldValue::Text(text) if name == "order_id" => Some(text.clone()),
        _ => None,
    })
}

/// The redemptions of a member that a command names, itself or by how its orders were paid, as the state names them. They are to be read before
/// [`decide`] is asked.
pub fn redemptions(what: &What, state: Option<&MemberState>, orders: &[OrderRecord]) -> BTreeSet<u64> {
    let paid = orders.iter().flat_map(|order| &order.content.payments).filter_map(|payment| payment.redemption);
    let own = what.paid_by().chain(paid).filter_map(|redemption| state?.number_of(redemption));
    what.names_redemption().into_iter().chain(own).collect()
}

/// The pools a command of this kind may draw on, at the versions it may be decided by.
pub fn pools(versions: &Versions, effective_at: Instant) -> Vec<CompactString> {
    basis::pool_names(versions.at(effective_at), versions.at(effective_at).calendar.day(effective_at))
}

/// Chooses what happens. Refusals leave no trace in what they return: the member stays as they were.
pub fn decide(inputs: &Inputs<'_>, command: &Command) -> Result<Decision, Rejected> {
    let latest = command.recorded_at.plus_seconds(FUTURE_MAX_SECONDS);
    if command.effective_at > latest {
        return Err(Rejected::InTheFuture { effective_at: command.effective_at, recorded_at: command.recorded_at });
    }
    // What somebody has is spent or sent now, and what comes from others arrives now.
    let clock = inputs.state.map_or(command.effective_at, |state| state.clock);
    let now = command
        .what
        .is_never_past()
        .then(|| Command { effective_at: command.effective_at.max(clock), ..command.clone() });
    let command = now.as_ref().unwrap_or(command);
    if inputs.state.is_some_and(|state| state.status == Status::Left) && !command.what.may_follow_leaving() {
        return Err(Rejected::MemberLeft);
    }
    let is_merged = inputs.state.is_some_and(|state| state.status == Status::Merged);
    if is_merged && !command.what.is_of_merged() {
        return Err(Rejected::NeedsMember);
    }
    let is_card = inputs.state.is_some_and(|state| state.status == Status::GiftCard);
    if is_card && !command.what.may_be_of_gift_card() {
        return Err(Rejected::NeedsMember);
    }
    let is_household = inputs.state.is_some_and(|state| state.status == Status::Household);
    if is_household && !command.what.may_be_of_household() {
        return Err(Rejected::NeedsMember);
    }
    if inputs.state.is_some() && !is_household && command.what.is_of_household() {
        return Err(Rejected::NoSuchHousehold);
    }
    let mut working = Working::begin(inputs, command)?;
    if !inputs.guest {
        working.settle(command.effective_at);
        working.enrol_if_new(command)?;
    }
    working.stop_if_frozen(&command.what)?;
    match &command.what {
        What::Purchase(order) => working.purchase(order)?,
        What::Amend(order) => working.amend(order)?,
        What::Return(back) => working.give_back(back)?,
        What::Exchange(exchange) => working.exchange(exchange)?,
        What::Enrol(profile) => working.enrol(profile)?,
        What::Profile(profile) => working.profile(profile)?,
        What::Declared { kind, data } => working.declared(kind, data)?,
        What::Adjust(adjustment) => working.adjust(adjustment)?,
        What::Import(imported) => working.import(imported)?,
        What::MoveIn(moved) => working.move_in(moved)?,
        What::MoveVoucher(moved) => working.move_voucher(moved)?,
        What::Redeem(redeem) => working.redeem(redeem)?,
        What::Capture(part) => working.capture(part)?,
        What::Void { redemption } => working.void(*redemption)?,
        What::ReturnRedemption(part) => working.return_redemption(part)?,
        What::Claim(claim) => working.claim_order(claim)?,
        What::Fulfil(step) => working.fulfil(step)?,
        What::PartnerStep(step) => working.partner_step(step)?,
        What::WaitFor { reward } => working.wait_for(reward)?,
        What::LeaveWaitlist { reward } => working.leave_waitlist(reward)?,
        What::Offer { reward, place } => working.offer(reward, *place)?,
        What::RedeemVoucher(redeem) => working.redeem_voucher(redeem)?,
        What::RollbackVoucher(rollback) => working.rollback_voucher(rollback)?,
        What::Rename(renaming) => working.rename(renaming)?,
        What::Leave { erase } => working.leave(*erase)?,
        What::Rank { top_percent } => working.rank(*top_percent)?,
        What::JoinChallenge { challenge } => working.join_challenge(challenge)?,
        What::Transfer(transfer) => working.transfer(transfer)?,
        What::Arrival(arrival) => working.arrive(arrival)?,
        What::Referral(step) => working.referral_step(step)?,
        What::FollowUpRefused(refused) => working.follow_up_refused(refused)?,
        What::UseBenefit(wish) => working.use_benefit(wish)?,
        What::ReturnBenefit { used } => working.return_benefit(*used)?,
        What::PlaceTier(placement) => working.place_tier(placement)?,
        What::Membership(membership) => working.membership(membership)?,
        What::GiftCard(step) => working.gift_card(step)?,
        What::GiftCardTakeBack(card) => working.take_gift_card_back(card)?,
        What::GiftCardTakenBack(card) => working.gift_card_is_back(card)?,
        What::GiftCardRefund(refund) => working.gift_card_refund(refund)?,
        What::Merge(merge) => working.merge(merge)?,
        What::MergeIn(brought) => working.merge_in(brought)?,
        What::Unmerge(unmerge) => working.unmerge(unmerge)?,
        What::MergeBack(back) => working.merge_back(back)?,
        What::SurvivorLeft(left) => working.survivor_left(left)?,
        What::Freeze(wish) => working.freeze(wish)?,
        What::Household(step) => working.household_step(step)?,
        What::HouseholdNews(news) => working.household_news(news)?,
        What::WakeUp => {}
    }
    working.forfeit_after_leaving();
    working.settle_after_backdating();
    working.tell_partners();
    working.watch(command)?;
    working.share_earnings();
    working.finish(command)
}

/// Folds a member's stored events, oldest first, into the state they left; with `before`, only those of business time
/// before an instant. `None` when nothing is left to fold.
pub fn fold(id: MemberId, events: &[Recorded], before: Option<Instant>) -> Option<MemberState> {
    let first = events.first()?;
    let status = first.record.joined.unwrap_or(Status::Active);
    let mut state = MemberState::new(id, status, first.effective_at, first.record.day);
    let mut any = false;
    // Whoever came from elsewhere was before then what they were when they came.
    let counts = |event: &&Recorded| before.is_none_or(|before| event.effective_at < before || event.kind == "move-in");
    for event in events.iter().filter(counts) {
        any = true;
        event.apply_to(&mut state);
    }
    any.then_some(state)
}

impl Recorded {
    /// Folds this event into a member's state: nothing is decided again.
    pub fn apply_to(&self, state: &mut MemberState) {
        state.begin_event(self.effective_at, self.record.day);
        for change in &self.record.changes {
            state.apply_change(change);
        }
        for entry in &self.entries {
            state.apply_entry(entry);
        }
    }
}
