//! What must hold after every event, whatever the program.

use std::collections::BTreeMap;

use tessera_core::decide::{Recorded, fold, next_wake, settled_to};
use tessera_core::ledger::{Account, Entry, LotRef, Redemption, RedemptionStatus};
use tessera_core::member::MemberState;
use tessera_core::program::{Id, Versions};

/// Checks a member's state against everything that was stored: A1, L1, the chain of hashes, the fold, the bytes.
pub fn check_books(versions: &Versions, state: &MemberState, events: &[Recorded]) {
    let entries: Vec<&Entry> = events.iter().flat_map(|event| &event.entries).collect();
    check_chain(state, &entries);
    check_accounts(state, &entries);
    check_purses(state);
    check_pool(state);
    let folded = fold(state.id, events, None).unwrap_or_else(|| panic!("nothing to fold"));
    assert_eq!(folded.comparable(), state.clone().comparable(), "A1: the fold of the events is another state");
    assert_eq!(
        MemberState::from_bytes(&state.to_bytes()).as_ref(),
        Ok(state),
        "the state changed on its way through bytes"
    );
    assert_eq!(next_wake(versions, state), state.wake_at, "the member would sleep through what is due");
    assert!(
        state.wake_at.is_none_or(|wake| wake > state.clock),
        "I7: what fell due at {:?} is not settled",
        state.wake_at
    );
    assert_eq!(settled_to(versions, state, state.clock), *state, "reading a member at their own clock changes them");
}

/// Entries are numbered without a gap, positive, of the member and the program, and each hash covers the one before.
fn check_chain(state: &MemberState, entries: &[&Entry]) {
    let mut hash = [0; 32];
    for (entry, seq) in entries.iter().zip(1..) {
        assert_eq!(entry.seq, seq, "entries are numbered without a gap");
        assert!(!entry.amount.is_zero(), "A1: an entry moves something");
        assert_ne!(entry.from, entry.to, "A1: an entry moves between two accounts");
        assert_eq!(entry.hash, entry.chained(&hash), "the chain breaks at entry {seq}");
        hash = entry.hash;
    }
    assert_eq!(
        (state.entries, state.chain),
        (u64::try_from(entries.len()).unwrap(), hash),
        "the state stands at another entry"
    );
}

/// issued + imported ± adjusted + debt = active + pending + held + redeemed + expired + taken back + written off ± clearing.
fn check_accounts(state: &MemberState, entries: &[&Entry]) {
    let mut books: BTreeMap<&Id, Books> = BTreeMap::new();
    for entry in entries {
        books.entry(&entry.currency).or_default().book(entry);
    }
    for purse in &state.purses {
        let books = books.remove(&purse.currency).unwrap_or_default();
        let of = |account| books.sum.get(&account).copied().unwrap_or(0);
        assert_eq!(of(Account::Active), purse.active().get(), "A1: active {}", purse.currency);
        assert_eq!(of(Account::Pending), purse.pending().get(), "A1: pending {}", purse.currency);
        assert_eq!(-of(Account::Debt), purse.debt.get(), "A1: debt {}", purse.currency);
        let held = state.held(purse.currency.as_str()).get();
        assert_eq!(of(Account::Held), held, "A1: held {}", purse.currency);
        assert_eq!(of(Account::Redeemed), purse.totals.redeemed.get(), "A1: redeemed {}", purse.currency);
        assert_eq!(of(Account::Expired), purse.totals.expired.get(), "A1: expired {}", purse.currency);
        let left = books.issued + of(Account::Debt).abs() - of(Account::Imported) - of(Account::Adjusted);
        let right = of(Account::Active)
            + of(Account::Pending)
            + of(Account::Held)
            + of(Account::Redeemed)
            + of(Account::Expired)
            + books.taken_back
            + of(Account::WrittenOff)
            + of(Account::Clearing);
        assert_eq!(left, right, "the account equation of {}: {:?}", purse.currency, books.sum);
        assert_eq!(books.sum.values().sum::<i64>(), 0, "A1: {} does not sum to zero", purse.currency);
        assert_eq!((books.issued, books.taken_back), (purse.totals.issued.get(), purse.totals.taken_back.get()));
        for (account, least) in &books.least {
            assert!(*least >= 0, "{account:?} {} went below zero", purse.currency);
        }
    }
    assert!(books.is_empty(), "entries of a currency without a purse");
}

#[derive(Default)]
struct Books {
    sum: BTreeMap<Account, i64>,
    issued: i64,
    taken_back: i64,
    /// The lowest that each account has been which never goes below zero.
    least: BTreeMap<Account, i64>,
}

impl Books {
    fn book(&mut self, entry: &Entry) {
        let amount = entry.amount.get();
        *self.sum.entry(entry.from).or_insert(0) -= amount;
        *self.sum.entry(entry.to).or_insert(0) += amount;
        if entry.from == Account::Issued {
            self.issued += amount;
        }
        if entry.to == Account::Issued {
            self.taken_back += amount;
        }
        for account in [Account::Active, Account::Pending, Account::Held, Account::Redeemed] {
            let now = self.sum.get(&account).copied().unwrap_or(0);
            let least = self.least.entry(account).or_insert(0);
            *least = now.min(*least);
        }
    }
}

/// What each redemption has come to is what the entries say, and what the last event about it says; each is open in the
/// state exactly while it is reserved (I3).
pub fn check_redemptions(state: &MemberState, events: &[Recorded], stored: &BTreeMap<u64, Redemption>) {
    let mut last: BTreeMap<u64, Redemption> = BTreeMap::new();
    let mut moved: BTreeMap<u64, [i64; 3]> = BTreeMap::new();
    for event in events {
        last.extend(event.record.redemptions.iter().cloned());
        for entry in &event.entries {
            let Some(seq) = entry.lot.as_ref().and_then(|lot| lot.order) else { continue };
            let amount = entry.amount.get();
            for (account, sum) in [Account::Held, Account::Redeemed, Account::Expired]
                .into_iter()
                .zip(moved.entry(seq).or_default().iter_mut())
            {
                *sum += if entry.to == account { amount } else { 0 } - if entry.from == account { amount } else { 0 };
            }
        }
    }
    assert_eq!(last, *stored, "the rows of redemptions are those of their last events");
    for (seq, redemption) in stored {
        // What costs only money moves no points.
        let [held, redeemed, _] = moved.get(seq).copied().unwrap_or_default();
        let (reserved, captured, returned) = (redemption.reserved, redemption.captured, redemption.returned);
        assert!(0 <= returned && returned <= captured && captured <= reserved, "I3: {redemption:?}");
        assert_eq!(redeemed, captured - returned, "the ledger of redemption {seq}: {redemption:?}");
        let is_open = redemption.status == RedemptionStatus::Reserved;
        assert_eq!(held, if is_open { reserved } else { 0 }, "the ledger of redemption {seq}: {redemption:?}");
        let hold = state.hold(*seq);
        assert_eq!(hold.is_some(), is_open, "redemption {seq}: {redemption:?}");
        assert_eq!(hold.map_or(0, |hold| hold.held().get()), held, "redemption {seq}");
        let owned: i64 = redemption.owners.iter().map(|part| part.amount).sum();
        assert!(state.household.is_none() || owned == captured, "P5: whose it was: {redemption:?}");
        let of_lots: i64 = redemption.lots.iter().map(|part| part.amount).sum();
        assert_eq!(of_lots, if is_open { reserved } else { captured }, "redemption {seq}: {redemption:?}");
    }
    let open = stored.values().filter(|redemption| redemption.status == RedemptionStatus::Reserved).count();
    assert_eq!(state.holds.len(), open, "a reservation without its redemption");
    assert!(open <= MemberState::HOLDS_MAX, "too many reservations");
}

/// P5: whose each lot of a household's pool is sums to the lot, open and reserved.
fn check_pool(state: &MemberState) {
    let Some(household) = &state.household else { return };
    let mut lots: BTreeMap<(String, String), i64> = BTreeMap::new();
    for purse in &state.purses {
        assert!(purse.debt.is_zero() && purse.waits.is_empty(), "P5: a pool owes nothing and waits for nothing");
        for lot in &purse.lots {
            *lots.entry((purse.currency.to_string(), lot.key().to_string())).or_default() += lot.remaining.get();
        }
    }
    for hold in &state.holds {
        for lot in &hold.lots {
            let key = LotRef { order: Some(hold.event), ..lot.key() };
            *lots.entry((hold.terms.currency.to_string(), key.to_string())).or_default() += lot.remaining.get();
        }
    }
    let mut parts: BTreeMap<(String, String), i64> = BTreeMap::new();
    for part in &household.parts {
        assert!(part.amount > 0, "P5: {part:?}");
        let is_there = part.owner == state.id || household.person(part.owner).is_some() || part.lot.order.is_some();
        assert!(is_there, "P5: a part of the pool is somebody's who has gone: {part:?}");
        *parts.entry((part.currency.to_string(), part.lot.to_string())).or_default() += part.amount;
    }
    assert_eq!(parts, lots, "P5: the parts sum to the pool");
    let heads = household.people.iter().filter(|person| person.head).count();
    assert_eq!(heads, usize::from(!household.people.is_empty()), "P5: a household has one head");
    let spending: Vec<u64> = household.spending.iter().map(|(redemption, _)| *redemption).collect();
    let held: Vec<u64> = state.holds.iter().map(|hold| hold.event).collect();
    assert_eq!(spending, held, "P5: who reserved what is reserved");
}

/// Lots stand in spending order, none is empty or doubled (L1); nobody owes while something can be spent (R6).
fn check_purses(state: &MemberState) {
    for purse in &state.purses {
        let open: i64 = purse.lots.iter().map(|lot| lot.remaining.get()).sum();
        assert_eq!(purse.balance(), open - purse.debt.get(), "L1: balance = open lots - debt");
        assert!(purse.lots.iter().all(|lot| !lot.remaining.is_zero()), "an empty lot stays open");
        assert!(
            purse.lots.is_sorted_by(|left, right| left.spending_order() <= right.spending_order()),
            "L1: out of order"
        );
        for (place, lot) in purse.lots.iter().enumerate() {
            assert!(purse.lots[..place].iter().all(|other| !other.is(&lot.key())), "two lots have one key");
        }
        assert!(
            open == 0 || purse.debt.is_zero(),
            "R6: {open} {} can be spent while {} are owed",
            purse.currency,
            purse.debt
        );
        assert!(purse.waits.iter().all(|wait| !wait.lots.is_empty()), "a wait for nothing");
    }
}
