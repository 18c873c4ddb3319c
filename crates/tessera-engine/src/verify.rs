//! Proof that the ledger is whole: every member folded again from entries and events and held against the stored state.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tessera_core::decide::{self, OrderProgress, Recorded};
use tessera_core::id::MemberId;
use tessera_core::ledger::{Account, Entry, Purse};
use tessera_core::member::MemberState;
use tessera_core::program::Id;
use tessera_core::quantity::Points;
use tessera_store::{Reader, StoreError};

use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::record::{own_key, progress_from_text};
use crate::report::{each_member, history};

/// What was folded, and what did not agree.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    pub members: u64,
    pub events: u64,
    pub entries: u64,
    pub orders: u64,
    pub differences: Vec<Difference>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub member: String,
    pub what: String,
}

/// More differences than this are counted by nobody: the ledger is broken.
const DIFFERENCES_MAX: usize = 1_000;

/// Folds every member of a program. `progress` is told after each.
pub fn verify(
    context: &Context,
    program: &Arc<ProgramHandle>,
    progress: &mut dyn FnMut(u64),
) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    context.database.read(|reader| {
        each_member(reader, program.number, &mut |reader, id, state| {
            if found.differences.len() >= DIFFERENCES_MAX {
                return Ok(());
            }
            let events = history(reader, program.number, id)?;
            found.members += 1;
            found.events += events.len() as u64;
            found.entries += events.iter().map(|event| event.entries.len() as u64).sum::<u64>();
            let mut differs = |what: String| found.differences.push(Difference { member: id.to_string(), what });
            check_member(id, &state, &events, &mut differs);
            found.orders += check_orders(context, reader, program.number, &events, &mut differs)?;
            progress(found.members);
            Ok(())
        })
    })?;
    Ok(found)
}

fn check_member(id: MemberId, state: &MemberState, events: &[Recorded], differs: &mut dyn FnMut(String)) {
    let entries: Vec<&Entry> = events.iter().flat_map(|event| &event.entries).collect();
    if entries.len() as u64 != state.entries {
        differs(format!("{} entries are stored, the state counts {}", entries.len(), state.entries));
    }
    let mut previous = [0; 32];
    for entry in &entries {
        if entry.chained(&previous) != entry.hash {
            differs(format!(
                "entry {} does not follow from the one before: it was changed, or one is missing",
                entry.seq
            ));
            break;
        }
        previous = entry.hash;
    }
    for (currency, accounts) in accounts(&entries) {
        let purse = state.purse(currency.as_str());
        let held = |account: Account| accounts.get(&account).copied().unwrap_or(0);
        let stored = |points: Option<Points>| i128::from(points.unwrap_or_default().get());
        let pairs = [
            ("active", held(Account::Active), stored(purse.map(Purse::active))),
            ("pending", held(Account::Pending), stored(purse.map(Purse::pending))),
            // What is owed is an account below zero.
            ("debt", -held(Account::Debt), stored(purse.map(|purse| purse.debt))),
        ];
        for (name, in_ledger, in_state) in pairs {
            if in_ledger != in_state {
                differs(format!("{name} {currency}: the ledger says {in_ledger}, the state {in_state}"));
            }
        }
    }
    match decide::fold(id, events, None) {
        None => differs("a member without events".to_owned()),
        Some(folded) => {
            let (folded, stored) = (folded.comparable(), state.clone().comparable());
            if folded != stored {
                differs(format!("folded from the ledger the state is another: {}", first_difference(&folded, &stored)));
            }
        }
    }
}

/// What each account holds, by currency: every entry leaves one account and arrives in another.
fn accounts(entries: &[&Entry]) -> BTreeMap<Id, BTreeMap<Account, i128>> {
    let mut sums: BTreeMap<Id, BTreeMap<Account, i128>> = BTreeMap::new();
    for entry in entries {
        let accounts = sums.entry(entry.currency.clone()).or_default();
        *accounts.entry(entry.from).or_default() -= i128::from(entry.amount.get());
        *accounts.entry(entry.to).or_default() += i128::from(entry.amount.get());
    }
    sums
}

fn first_difference(folded: &MemberState, stored: &MemberState) -> String {
    let parts: [(&str, bool); 9] = [
        ("clock", folded.clock == stored.clock),
        ("events", folded.events == stored.events),
        ("purses", folded.purses == stored.purses),
        ("tiers", folded.ladders == stored.ladders),
        ("limits", folded.counters == stored.counters),
        ("statistics", folded.statistics == stored.statistics),
        ("parked events", folded.parked == stored.parked),
        ("chain", folded.chain == stored.chain),
        ("fractions", folded.fractions == stored.fractions),
    ];
    let differing: Vec<&str> = parts.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
    if differing.is_empty() { "other facts".to_owned() } else { differing.join(", ") }
}

/// The progress kept with each order is that of the last event about it.
fn check_orders(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    events: &[Recorded],
    differs: &mut dyn FnMut(String),
) -> Result<u64, StoreError> {
    let mut last: BTreeMap<&str, &OrderProgress> = BTreeMap::new();
    for event in events {
        if let Some((order_id, progress)) = &event.record.progress {
            last.insert(order_id, progress);
        }
    }
    for (order_id, progress) in &last {
        let key = own_key(program, &context.secrets.order_key(program, order_id));
        let rows =
            reader.query("SELECT progress FROM order_key WHERE bucket = $1 AND program = $2 AND key = $3", &key)?;
        let stored = rows.first().map_or(Ok(None), |row| progress_from_text(row[0].opt_text()?))?;
        if stored.as_ref() != Some(*progress) {
            differs(format!("the progress kept with order {order_id} is not that of its last event"));
        }
    }
    Ok(last.len() as u64)
}
