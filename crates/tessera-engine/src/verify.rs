//! Proof that the ledger is whole: every member folded again from entries and events and held against the stored state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use compact_str::CompactString;
use serde::Serialize;
use tessera_core::decide::{self, OrderProgress, Recorded};
use tessera_core::id::MemberId;
use tessera_core::ledger::{Account, Entry, Purse};
use tessera_core::member::{Change, MemberState};
use tessera_core::program::{Id, Versions};
use tessera_core::quantity::Points;
use tessera_store::{Reader, Row, StoreError, tables};

use crate::executor::Context;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{StoredEvent, own_key, progress_from_text, state_from_bytes, unsigned};
use crate::report::{each_member, history_seen};

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
    let versions = program.versions();
    context.database.read(|reader| {
        each_member(reader, program.number, &mut |reader, id, state| {
            if found.differences.len() >= DIFFERENCES_MAX {
                return Ok(());
            }
            check_whole(context, reader, (program.number, &versions), (id, &state), &mut found)?;
            progress(found.members);
            Ok(())
        })?;
        for member in without_state(reader, program.number)? {
            let what = "there are events, but no member".to_owned();
            found.differences.push(Difference { member: member.to_string(), what });
        }
        Ok(())
    })?;
    Ok(found)
}

/// Folds at most so many members of a program, from a bucket on. Buckets are hashes of ids, so those of any bucket are a
/// fair sample; another bucket each time reaches everybody in the end.
pub fn verify_some(
    context: &Context,
    program: &Arc<ProgramHandle>,
    (bucket, members_max): (i64, u32),
    progress: &mut dyn FnMut(u64),
) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    let versions = program.versions();
    context.database.read(|reader| {
        let mut left = i64::from(members_max);
        for side in ["bucket >= $2", "bucket < $2"] {
            let sql = format!(
                "SELECT member, state FROM member WHERE program = $1 AND {side} ORDER BY bucket, member LIMIT $3"
            );
            let rows = reader.query(&sql, &[program.number.into(), bucket.into(), left.into()])?;
            left -= i64::try_from(rows.len()).unwrap_or(left);
            for row in &rows {
                let (id, state) = (member_id(row[0].bytes()?)?, state_from_bytes(row[1].bytes()?)?);
                check_whole(context, reader, (program.number, &versions), (id, &state), &mut found)?;
                progress(found.members);
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Folds one member, and checks their orders.
fn check_whole(
    context: &Context,
    reader: &mut Reader<'_>,
    (program, versions): (i64, &Versions),
    (id, state): (MemberId, &MemberState),
    found: &mut Verification,
) -> Result<(), StoreError> {
    let mut made = BTreeMap::new();
    let events = history_seen(reader, program, id, &mut |event| note_order(versions, event, &mut made))?;
    found.members += 1;
    found.events += events.len() as u64;
    found.entries += events.iter().map(|event| event.entries.len() as u64).sum::<u64>();
    found.orders += made.len() as u64;
    let mut differs = |what: String| found.differences.push(Difference { member: id.to_string(), what });
    check_member(id, state, &events, &mut differs);
    check_orders(context, reader, program, (id, &events, &made), &mut differs)
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

/// The orders a member's events made, and by which event.
type Made = BTreeMap<CompactString, u64>;

fn note_order(versions: &Versions, event: &StoredEvent, made: &mut Made) -> Result<(), StoreError> {
    let recorded = &event.recorded;
    if recorded.record.changes.iter().any(|change| matches!(change, Change::Purchased { .. })) {
        made.insert(event.order(versions)?.order_id, recorded.seq);
    }
    Ok(())
}

/// Every order is kept under its member and event, with the progress of the last event about it.
fn check_orders(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    (member, events, made): (MemberId, &[Recorded], &Made),
    differs: &mut dyn FnMut(String),
) -> Result<(), StoreError> {
    let key_of = |order_id: &CompactString| own_key(program, &context.secrets.order_key(program, order_id));
    let keys: Vec<Row> = made.keys().map(key_of).collect();
    let mut kept: HashMap<Vec<u8>, Row> = HashMap::new();
    for row in reader.fetch_by_keys(&tables::ORDER_KEY, &keys)? {
        kept.insert(row[2].bytes()?.to_vec(), row);
    }
    let mut last: BTreeMap<&str, &OrderProgress> = BTreeMap::new();
    for event in events {
        if let Some((order_id, progress)) = &event.record.progress {
            last.insert(order_id, progress);
        }
    }
    for (order_id, seq) in made {
        let key = context.secrets.order_key(program, order_id);
        let Some(row) = kept.get(key.as_slice()) else {
            differs(format!("the order {order_id} is not kept"));
            continue;
        };
        if row[3].bytes()? != member.as_bytes() || unsigned(row[4].int()?) != *seq {
            differs(format!("the order {order_id} is kept as another event's"));
        }
        if progress_from_text(row[6].opt_text()?)?.as_ref() != last.get(order_id.as_str()).copied() {
            differs(format!("the progress kept with order {order_id} is not that of its last event"));
        }
    }
    Ok(())
}

/// Members of whom there are events but no state.
fn without_state(reader: &mut Reader<'_>, program: i64) -> Result<Vec<MemberId>, StoreError> {
    let sql = format!(
        "SELECT e.member FROM (SELECT DISTINCT bucket, member FROM event WHERE program = $1) e \
         LEFT JOIN member m ON m.bucket = e.bucket AND m.program = $1 AND m.member = e.member \
         WHERE m.member IS NULL LIMIT {DIFFERENCES_MAX}"
    );
    reader.query(&sql, &[program.into()])?.iter().map(|row| member_id(row[0].bytes()?)).collect()
}
