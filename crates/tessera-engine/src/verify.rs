//! Proof that the ledger is whole: every member folded again from entries and events and held against the stored state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use compact_str::CompactString;
use serde::Serialize;
use tessera_core::decide::{self, OrderProgress, Recorded};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::{Account, Entry, Purse, Redemption};
use tessera_core::member::{Change, MemberState};
use tessera_core::program::{Id, Versions};
use tessera_core::quantity::Points;
use tessera_store::{Reader, Row, StoreError, tables};

use crate::executor::Context;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{StoredEvent, member_key, own_key, progress_from_text, redemption_from_text, unsigned};
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
            let mut made = BTreeMap::new();
            let events =
                history_seen(reader, program.number, id, &mut |event| note_order(&versions, event, &mut made))?;
            found.members += 1;
            found.events += events.len() as u64;
            found.entries += events.iter().map(|event| event.entries.len() as u64).sum::<u64>();
            let mut differs = |what: String| found.differences.push(Difference { member: id.to_string(), what });
            check_member(id, &state, &events, &mut differs);
            found.orders += made.len() as u64;
            check_orders(context, reader, program.number, (id, &events, &made), &mut differs)?;
            check_redemptions(reader, program.number, id, &events, &mut differs)?;
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
            ("held", held(Account::Held), i128::from(state.held(currency.as_str()).get())),
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
    let parts: [(&str, bool); 10] = [
        ("clock", folded.clock == stored.clock),
        ("events", folded.events == stored.events),
        ("purses", folded.purses == stored.purses),
        ("tiers", folded.ladders == stored.ladders),
        ("limits", folded.counters == stored.counters),
        ("statistics", folded.statistics == stored.statistics),
        ("parked events", folded.parked == stored.parked),
        ("chain", folded.chain == stored.chain),
        ("reservations", folded.holds == stored.holds),
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

/// Every redemption is kept as the last event about it left it.
fn check_redemptions(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
    events: &[Recorded],
    differs: &mut dyn FnMut(String),
) -> Result<(), StoreError> {
    let mut last: BTreeMap<u64, &Redemption> = BTreeMap::new();
    for (seq, redemption) in events.iter().flat_map(|event| &event.record.redemptions) {
        last.insert(*seq, redemption);
    }
    let sql = "SELECT seq, progress FROM redemption WHERE bucket = $1 AND program = $2 AND member = $3 ORDER BY seq";
    let mut kept: BTreeMap<u64, Redemption> = BTreeMap::new();
    for row in reader.query(sql, &member_key(program, member))? {
        kept.insert(unsigned(row[0].int()?), redemption_from_text(row[1].text()?)?);
    }
    for seq in last.keys().chain(kept.keys()).collect::<BTreeSet<_>>() {
        if last.get(seq).copied() != kept.get(seq) {
            differs(format!("the redemption {} is not kept as its last event left it", EventId { member, seq: *seq }));
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
