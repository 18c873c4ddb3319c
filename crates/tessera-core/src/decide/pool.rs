//! The pool of a household (P5): what members put in, whose each lot is, who spends it, and what goes back to whom.
//!
//! A pool's points are in lots of the household, as a member's are. Beside them stands whose part of each lot is whose;
//! every entry of the household moves the parts with the lots, here and nowhere else, so that they always sum to them.

use compact_str::{CompactString, ToCompactString, format_compact};

use super::household::of;
use super::outcome::{Balance, Effect, EffectKind, balance, points};
use super::redeem::by_l1;
use super::transfer::of_part;
use super::working::{Posting, Working};
use super::{EventStatus, Rejected};
use crate::event::{HouseholdNews, Pooled, Redeem};
use crate::id::MemberId;
use crate::ledger::{Account, Entry, EntryKind, Hold, Lot, LotPart, LotRef, OwnedPart, Redemption};
use crate::member::{Change, Household, MemberState, PoolPart, Status};
use crate::program::{Id, Overdraft, PoolDefinition, Program, Spenders};
use crate::quantity::{Points, apportion};
use crate::time::{Day, Window};

/// Whose parts the entries of a household move while it decides.
#[derive(Clone, Debug, Default)]
pub(super) struct Pooling {
    /// Whose parts pay first.
    pub first: Option<MemberId>,
    /// Nobody else's do.
    pub only: bool,
    /// Whose the next points are that come into a lot.
    coming: Vec<OwnedPart>,
    /// Whose points were spent.
    paid: Vec<OwnedPart>,
}

/// The counter of what somebody spent of a pool in a window.
fn counter(by: MemberId, currency: &Id, window: Window) -> CompactString {
    format_compact!("{}{currency}/{}", counters_of(by), window.name())
}

/// How the names of somebody's counters begin.
pub(super) fn counters_of(by: MemberId) -> CompactString {
    format_compact!("pool-use/{by}/")
}

fn pool_of(program: &Program, currency: &Id) -> PoolDefinition {
    let households = program.definition.households.as_ref();
    households.and_then(|households| households.pools.get(currency)).cloned().unwrap_or_default()
}

/// Whether somebody may spend from this pool; members spend their own.
pub(super) fn may_spend(program: &Program, holder: &MemberState, redeem: &Redeem) -> Result<(), Rejected> {
    let Some(household) = holder.household.as_ref().filter(|_| holder.status == Status::Household) else {
        return if redeem.by.is_some() { Err(Rejected::NoSuchHousehold) } else { Ok(()) };
    };
    if household.closed {
        return Err(Rejected::HouseholdClosed);
    }
    let by = redeem.by.ok_or(Rejected::WhoSpends)?;
    let person = household.person(by).ok_or_else(|| Rejected::NotOfHousehold { member: by.to_compact_string() })?;
    if pool_of(program, &redeem.currency).spend == Spenders::Head && !person.head {
        return Err(Rejected::OnlyTheHead { to_do: "spend from the pool" });
    }
    Ok(())
}

/// Whether so many are within what one of the household may spend.
pub(super) fn within_limits(
    program: &Program,
    holder: &MemberState,
    redeem: &Redeem,
    wanted: i64,
) -> Result<(), Rejected> {
    let (Some(by), Status::Household) = (redeem.by, holder.status) else { return Ok(()) };
    let (currency, day) = (&redeem.currency, program.calendar.day(holder.clock));
    for (window, most) in &pool_of(program, currency).per_member {
        let spent = holder.used(&counter(by, currency, *window), day.start_of(*window));
        if spent.saturating_add(wanted) > *most {
            let (window, most) = (window.name(), *most);
            return Err(Rejected::PoolLimit { currency: currency.clone(), window, most, spent, wanted });
        }
    }
    Ok(())
}

/// Whose part alone pays, where everybody spends what they have put in themselves.
fn own_part(program: &Program, holder: &MemberState, currency: &Id, by: Option<MemberId>) -> Option<MemberId> {
    let is_own = holder.status == Status::Household && pool_of(program, currency).spend == Spenders::OwnPart;
    by.filter(|_| is_own)
}

/// What can be spent by a redemption.
pub(super) fn spendable(program: &Program, holder: &MemberState, redeem: &Redeem) -> Balance {
    let all = balance(holder, &redeem.currency);
    match (own_part(program, holder, &redeem.currency, redeem.by), &holder.household) {
        (Some(by), Some(household)) => Balance { available: household.part_of(by, redeem.currency.as_str()), ..all },
        _ => all,
    }
}

/// What each lot pays of so many points, in spending order (L1). There are enough.
pub(super) fn paying(program: &Program, holder: &MemberState, redeem: &Redeem, wanted: Points) -> Vec<Lot> {
    let currency = &redeem.currency;
    match (own_part(program, holder, currency, redeem.by), &holder.household) {
        (Some(by), Some(household)) => lots_of(holder, household, by, currency, wanted),
        _ => by_l1(holder, currency, wanted),
    }
}

/// One owner's parts of the pool's lots, in spending order.
fn lots_of(holder: &MemberState, household: &Household, owner: MemberId, currency: &Id, wanted: Points) -> Vec<Lot> {
    let mut due = wanted;
    let mut found = Vec::new();
    for lot in holder.purse(currency.as_str()).into_iter().flat_map(|purse| &purse.lots) {
        let key = lot.key();
        let is_own = |part: &&PoolPart| part.currency == *currency && part.lot == key && part.owner == owner;
        let own: i64 = household.parts.iter().filter(is_own).map(|part| part.amount).sum();
        let (taken, rest) = due.split(points(own));
        if !taken.is_zero() {
            found.push(Lot { remaining: taken, ..lot.clone() });
        }
        due = rest;
    }
    found
}

/// Takes from the front of a list of parts; what is missing is the household's own.
fn take_from(parts: &mut Vec<OwnedPart>, household: MemberId, amount: i64) -> Vec<OwnedPart> {
    let (mut due, mut taken) = (amount, Vec::new());
    while due > 0 && !parts.is_empty() {
        let take = due.min(parts[0].amount);
        taken.push(OwnedPart { amount: take, ..parts[0].clone() });
        parts[0].amount -= take;
        parts.retain(|part| part.amount > 0);
        due -= take;
    }
    taken.extend((due > 0).then_some(OwnedPart { owner: household, amount: due }));
    taken
}

impl Working<'_> {
    /// Moves the parts of a household's lots with an entry.
    pub(super) fn move_parts(&mut self, entry: &Entry) {
        let (Some(_), Some(key)) = (&self.state.household, &entry.lot) else { return };
        let (currency, household) = (entry.currency.clone(), self.state.id);
        let at_rest = LotRef { order: None, ..key.clone() };
        let (amount, mut moving) = (entry.amount.get(), self.pooling.coming.clone());
        let moved = match entry.from {
            Account::Active => self.drain(&currency, &at_rest, amount),
            Account::Held => self.drain(&currency, key, amount),
            _ => {
                let moved = take_from(&mut moving, household, amount);
                self.pooling.coming = moving;
                moved
            }
        };
        match entry.to {
            Account::Active => {
                for OwnedPart { owner, amount } in moved {
                    // Of whoever has gone meanwhile it is the household's.
                    let is_here = self.state.household.as_ref().is_some_and(|known| known.person(owner).is_some());
                    let owner = if is_here { owner } else { household };
                    self.part(&currency, &at_rest, owner, amount);
                }
            }
            Account::Held => {
                for OwnedPart { owner, amount } in moved {
                    self.part(&currency, key, owner, amount);
                }
            }
            Account::Redeemed => self.pooling.paid.extend(moved),
            _ => {}
        }
    }

    fn part(&mut self, currency: &Id, lot: &LotRef, owner: MemberId, amount: i64) {
        let part = PoolPart { currency: currency.clone(), lot: lot.clone(), owner, amount };
        self.change(Change::Pooled { part });
    }

    /// Takes so many points of a lot from its parts: of an open one what is nobody's first, then the spender's own, then
    /// the others' in the order in which they joined; of a reserved one in the order in which it was reserved.
    fn drain(&mut self, currency: &Id, lot: &LotRef, amount: i64) -> Vec<OwnedPart> {
        let Some(household) = &self.state.household else { return Vec::new() };
        let Pooling { first, only, .. } = self.pooling;
        let mut parts: Vec<PoolPart> =
            household.parts.iter().filter(|part| part.currency == *currency && part.lot == *lot).cloned().collect();
        if lot.order.is_none() {
            let place = |owner: MemberId| match household.people.iter().position(|person| person.member == owner) {
                _ if Some(owner) == first => (1, 0),
                Some(place) => (2, place),
                None => (0, 0),
            };
            parts.sort_by_key(|part| place(part.owner));
            parts.retain(|part| !only || Some(part.owner) == first);
        }
        let (mut due, mut taken) = (amount, Vec::new());
        for part in parts {
            let take = due.min(part.amount);
            if take > 0 {
                self.part(currency, lot, part.owner, -take);
                taken.push(OwnedPart { owner: part.owner, amount: take });
                due -= take;
            }
        }
        taken
    }

    /// Whose points the spending since the last call took.
    pub(super) fn paid_by_owners(&mut self) -> Vec<OwnedPart> {
        std::mem::take(&mut self.pooling.paid)
    }

    /// What comes back of a redemption comes back to whose it was.
    pub(super) fn expect_owners(&mut self, redemption: &Redemption, amount: i64) {
        self.pooling.coming = redemption.owners_back(amount);
    }

    /// Prepares spending: whose part pays first, and that it counts.
    pub(super) fn begin_spending(&mut self, redemption: u64, redeem: &Redeem, wanted: i64) {
        if self.state.status != Status::Household {
            return;
        }
        let only = own_part(&self.program, &self.state, &redeem.currency, redeem.by).is_some();
        self.pooling = Pooling { first: redeem.by, only, ..Pooling::default() };
        let Some(by) = redeem.by else { return };
        let day = self.program.calendar.day(self.state.clock);
        for window in pool_of(&self.program, &redeem.currency).per_member.keys() {
            self.use_limit(&counter(by, &redeem.currency, *window), wanted, day);
        }
        if !redeem.capture {
            self.change(Change::SpendsOfPool { redemption, by: Some(by) });
        }
    }

    /// What was not spent after all makes room again, in windows that are still open.
    pub(super) fn unspent(&mut self, by: Option<MemberId>, currency: &Id, amount: i64, day: Day) {
        let Some(by) = by.filter(|_| amount > 0 && self.state.status == Status::Household) else { return };
        for window in Window::ALL {
            let counter = counter(by, currency, window);
            let used = self.state.used(&counter, day.start_of(window));
            self.use_again(&counter, -amount.min(used), day);
        }
    }

    /// Who holds a reservation of the pool.
    pub(super) fn spender(&self, redemption: u64) -> Option<MemberId> {
        self.state.household.as_ref().and_then(|household| household.spender(redemption))
    }

    /// A reservation of the pool is over.
    pub(super) fn ends_spending(&mut self, redemption: u64) {
        if self.spender(redemption).is_some() {
            self.change(Change::SpendsOfPool { redemption, by: None });
        }
    }

    /// The part of what this command brought the member that goes into the pool at once.
    pub(super) fn share_earnings(&mut self) {
        // Of whoever is frozen nothing is sent: what they earn stays with them.
        let may_send = self.state.status == Status::Active && self.state.frozen.is_none();
        let Some(household) = self.state.home().filter(|_| may_send) else { return };
        let program = self.inputs.versions.at(self.state.clock).clone();
        let Some(rules) = &program.definition.households else { return };
        let mut opened = false;
        for (currency, pool) in rules.pools.iter().filter(|(_, pool)| !pool.contribute.is_none()) {
            let earned = self.earned(currency);
            let all: Points = earned.iter().map(|(_, amount)| *amount).sum();
            let share = pool.contribute.of(all);
            if share.is_zero() {
                continue;
            }
            let weights: Vec<i128> = earned.iter().map(|(_, amount)| i128::from(amount.get())).collect();
            let shares = apportion(i128::from(share.get()), &weights);
            let mut lots = Vec::new();
            for ((key, _), part) in earned.into_iter().zip(shares) {
                let lot = self.state.purse(currency.as_str()).and_then(|purse| purse.lot(&key)).cloned();
                if let Some(lot) = lot {
                    let amount = Points::clamped(part).min(lot.remaining);
                    lots.extend((!amount.is_zero()).then(|| Lot { remaining: amount, ..lot }));
                }
            }
            if lots.is_empty() {
                continue;
            }
            if !opened {
                self.program = program.clone();
                self.open("household-share", EventStatus::Derived, self.state.clock, None);
                opened = true;
            }
            self.send_to_pool(household, currency, &lots);
        }
    }

    /// What this command's events brought into open lots: earned, or matured.
    fn earned(&self, currency: &Id) -> Vec<(LotRef, Points)> {
        let mut earned: Vec<(LotRef, Points)> = Vec::new();
        let is_earned = |entry: &&Entry| {
            let kind = matches!(entry.kind, EntryKind::Accrual | EntryKind::Maturity);
            kind && entry.to == Account::Active && entry.currency == *currency
        };
        for entry in self.events.iter().flat_map(|event| &event.entries).filter(is_earned) {
            let Some(lot) = entry.lot.clone().map(|lot| LotRef { order: None, ..lot }) else { continue };
            match earned.iter_mut().find(|(known, _)| *known == lot) {
                Some((_, amount)) => *amount += entry.amount,
                None => earned.push((lot, entry.amount)),
            }
        }
        earned
    }

    /// Points leave the member's lots for the pool.
    fn send_to_pool(&mut self, household: MemberId, currency: &Id, lots: &[Lot]) {
        let lots: Vec<LotPart> = lots.iter().map(LotPart::of).collect();
        for part in &lots {
            self.post_part(EntryKind::Pool, (Account::Active, Account::Clearing), currency, part);
            self.effect(of_part(EffectKind::ToPool, currency, part, household));
        }
        let idle = self.idle_of(currency).filter(|_| lots.iter().any(|part| part.lot.last_day.is_none()));
        let put = Pooled { currency: currency.clone(), lots, idle };
        self.change(Change::GaveToPool { currency: currency.clone(), by: put.amount() });
        let member = self.state.id;
        self.send_news(household, &HouseholdNews::Put { member, points: put });
    }

    pub(super) fn put_in(&mut self, currency: &Id, amount: i64) -> Result<(), Rejected> {
        let rules = self.households()?;
        let household = self.state.home().ok_or(Rejected::NotInHousehold)?;
        if !rules.pools.get(currency).is_some_and(|pool| pool.by_hand) {
            return Err(Rejected::NotByHand { currency: currency.clone() });
        }
        if amount <= 0 {
            return Err(Rejected::NothingToTransfer);
        }
        let has = balance(&self.state, currency);
        if amount > has.available {
            return Err(Rejected::NotEnoughPoints { currency: currency.clone(), wanted: amount, balance: has });
        }
        self.open_main("household-put-in", EventStatus::Applied);
        let lots = by_l1(&self.state, currency, points(amount));
        self.send_to_pool(household, currency, &lots);
        self.moved(currency);
        self.follow_causes();
        Ok(())
    }

    /// Points arrive in the pool; they are whose they were.
    pub(super) fn arrive_in_pool(&mut self, member: MemberId, put: &Pooled) -> Result<(), Rejected> {
        let household = self.state.household.as_ref().ok_or(Rejected::NoSuchHousehold)?;
        if household.person(member).is_none() {
            return Err(Rejected::NotOfHousehold { member: member.to_compact_string() });
        }
        let (wanted, room) = (put.amount(), self.room(&put.currency).get());
        if wanted > room {
            return Err(Rejected::NoRoom { currency: put.currency.clone(), wanted, room });
        }
        self.open_main("household-put", EventStatus::Derived);
        for part in &put.lots {
            let part = dated(part, put);
            self.pooling.coming = vec![OwnedPart { owner: member, amount: part.amount }];
            self.post_part(EntryKind::Pool, (Account::Clearing, Account::Active), &put.currency, &part);
            self.effect(of_part(EffectKind::ToPool, &put.currency, &part, member));
        }
        self.expire_dead_on_arrival();
        Ok(())
    }

    /// Points of one owner leave the pool: lots named first, then the soonest expiry. At most so many; less where there
    /// is less.
    pub(super) fn take_of_pool(&mut self, owner: MemberId, currency: &Id, amount: i64, own: &[LotRef]) -> Pooled {
        let Some(household) = self.state.household.clone() else {
            return Pooled { currency: currency.clone(), lots: Vec::new(), idle: None };
        };
        let mut all = lots_of(&self.state, &household, owner, currency, Points::MAX);
        all.sort_by_key(|lot| !own.contains(&lot.key()));
        let mut due = points(amount);
        let mut lots = Vec::new();
        for lot in all {
            let (taken, rest) = due.split(lot.remaining);
            lots.extend((!taken.is_zero()).then(|| LotPart::of(&Lot { remaining: taken, ..lot })));
            due = rest;
        }
        self.pooling = Pooling { first: Some(owner), only: true, ..Pooling::default() };
        self.send_out(owner, currency, lots)
    }

    fn send_out(&mut self, to: MemberId, currency: &Id, lots: Vec<LotPart>) -> Pooled {
        for part in &lots {
            self.post_part(EntryKind::Pool, (Account::Active, Account::Clearing), currency, part);
            self.effect(of_part(EffectKind::FromPool, currency, part, to));
        }
        self.pooling = Pooling::default();
        let idle = self.idle_of(currency).filter(|_| lots.iter().any(|part| part.lot.last_day.is_none()));
        Pooled { currency: currency.clone(), lots, idle }
    }

    /// What somebody takes along when they leave: what they have put in, and the last one everything.
    pub(super) fn take_all_of(&mut self, owner: MemberId, everything: bool) -> Vec<Pooled> {
        let currencies: Vec<Id> = self.state.purses.iter().map(|purse| purse.currency.clone()).collect();
        let mut taken = Vec::new();
        for currency in currencies {
            taken.push(if everything {
                let lots = by_l1(&self.state, &currency, Points::MAX).iter().map(LotPart::of).collect();
                self.send_out(owner, &currency, lots)
            } else {
                self.take_of_pool(owner, &currency, Points::MAX.get(), &[])
            });
        }
        taken.retain(|taken| !taken.lots.is_empty());
        taken
    }

    /// What was somebody's is the household's own from now on.
    pub(super) fn keep_for_all(&mut self, member: MemberId) {
        let household = self.state.id;
        let parts = self.state.household.as_ref().map(|household| household.parts.clone()).unwrap_or_default();
        for part in parts.into_iter().filter(|part| part.owner == member) {
            self.part(&part.currency, &part.lot, member, -part.amount);
            self.part(&part.currency, &part.lot, household, part.amount);
        }
    }

    /// Points come from the pool to the member: what is owed is repaid first (R6).
    pub(super) fn come_home(&mut self, household: MemberId, back: &Pooled) {
        for part in &back.lots {
            let part = dated(part, back);
            let from = (EntryKind::Pool, Account::Clearing);
            self.give_lot(from, &back.currency, &part, (EffectKind::FromPool, household));
        }
        self.moved(&back.currency);
    }

    pub(super) fn come_to_rest(&mut self) {
        self.expire_dead_on_arrival();
        self.follow_causes();
    }

    /// What a member had put in could not arrive.
    pub(super) fn put_back_in_lots(&mut self, put: &Pooled) {
        let home = self.state.belongs.as_ref().and_then(|belongs| belongs.household).unwrap_or(self.state.id);
        for part in &put.lots {
            let from = (EntryKind::Pool, Account::Clearing);
            self.give_lot(from, &put.currency, part, (EffectKind::CameBack, home));
        }
        self.change(Change::GaveToPool { currency: put.currency.clone(), by: -put.amount() });
        self.moved(&put.currency);
    }

    /// What was to go to somebody who could not have it is the household's own.
    pub(super) fn back_in_pool(&mut self, back: &[Pooled]) {
        let household = self.state.id;
        for Pooled { currency, lots, .. } in back {
            for part in lots {
                self.pooling = Pooling::default();
                self.post_part(EntryKind::Pool, (Account::Clearing, Account::Active), currency, part);
                self.effect(of_part(EffectKind::CameBack, currency, part, household));
            }
        }
    }

    /// How much of what an order no longer earns is asked back from the pool: at most what the member has put in. It is
    /// owed until it comes.
    pub(super) fn ask_pool(&mut self, currency: &Id, due: Points, own: Vec<LotRef>) -> Points {
        let Some(household) = self.state.home() else { return Points::ZERO };
        let given = self.state.belongs.as_ref().map_or(0, |belongs| belongs.given(currency));
        let asked = due.min(points(given));
        if asked.is_zero() {
            return asked;
        }
        let posting = Posting { currency, amount: asked, lot: None, expires_at: None, campaign: None };
        self.post(EntryKind::TakeBack, Account::Debt, Account::Issued, posting);
        self.change(Change::GaveToPool { currency: currency.clone(), by: -asked.get() });
        let effect = of(EffectKind::AskedOfPool, household);
        self.effect(Effect { currency: Some(currency.clone()), amount: Some(asked.get()), ..effect });
        let (member, amount) = (self.state.id, asked.get());
        self.send_news(household, &HouseholdNews::Ask { member, currency: currency.clone(), amount, own });
        asked
    }

    /// The pool had less than was asked back: the rest stays owed, or is forgiven as the currency says (R6).
    pub(super) fn not_in_pool(&mut self, currency: &Id, missing: i64) {
        let overdraft = self.program.currency(currency.as_str()).map(|settings| settings.overdraft);
        let forgiven = points(missing.max(0)).min(self.owed(currency));
        if overdraft == Some(Overdraft::Clamp) && !forgiven.is_zero() {
            let posting = Posting { currency, amount: forgiven, lot: None, expires_at: None, campaign: None };
            self.post(EntryKind::WriteOff, Account::WrittenOff, Account::Debt, posting);
            self.effect(Effect::points(EffectKind::Forgiven, currency, forgiven.get()));
        }
    }

    /// A reservation of the last one out is void.
    pub(super) fn void_within(&mut self, hold: &Hold) {
        self.close(hold, crate::ledger::RedemptionStatus::Voided);
    }
}

/// A lot with the date it had where it comes from.
fn dated(part: &LotPart, of: &Pooled) -> LotPart {
    match (part.lot.last_day, of.idle) {
        (None, Some((last_day, end))) => LotPart {
            lot: LotRef { last_day: Some(last_day), ..part.lot.clone() },
            expires_at: Some(end),
            ..part.clone()
        },
        _ => part.clone(),
    }
}
