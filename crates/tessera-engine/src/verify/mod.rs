//! Proof that the ledger is whole: every member folded again from entries and events and held against the stored state.

mod clearing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use compact_str::CompactString;
use serde::Serialize;
use serde_json::Value as Json;
use tessera_core::decide::{self, OrderProgress, Recorded};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::{Account, Entry, Purse, Redemption};
use tessera_core::member::{Change, MemberState, Status};
use tessera_core::program::{Id, Versions};
use tessera_core::quantity::Points;
use tessera_store::{Reader, Row, StoreError, tables};

use self::clearing::Clearing;
use crate::executor::Context;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{
    StoredEvent, member_key, order_progress, own_key, redemption_from_text, state_from_bytes, unsigned,
};
use crate::report::{each_member, history_seen};

/// What was folded, and what did not agree.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    pub members: u64,
    pub events: u64,
    pub entries: u64,
    pub orders: u64,
    pub differences: Vec<Difference>,
    /// How often each code of a voucher was used, by its key.
    #[serde(skip)]
    uses: BTreeMap<[u8; 16], i64>,
    /// Redemptions of merged members, as their survivors left them.
    #[serde(skip)]
    of_survivors: OfSurvivors,
    /// Redemptions that are not kept as their own member left them, who was merged.
    #[serde(skip)]
    changed_since: ChangedSince,
}

type OfSurvivors = BTreeMap<EventId, Vec<Redemption>>;
type ChangedSince = BTreeMap<EventId, Option<Redemption>>;

/// One thing that does not agree: what the ledger says it should be, and what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub member: String,
    /// In words, with what was expected and found.
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'static str>,
    /// The field of the state: `purses[point].totals.issued`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl Difference {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    fn between(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self { expected: Some(expected.to_string()), found: Some(found.to_string()), ..Self::new(what) }
    }
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
    let mut clearing = Clearing::default();
    let versions = program.versions();
    context.database.read(|reader| {
        each_member(reader, program.number, &mut |reader, id, state| {
            if found.differences.len() >= DIFFERENCES_MAX {
                return Ok(());
            }
            check_whole(context, reader, (program.number, &versions), (id, &state), (&mut found, &mut clearing))?;
            progress(found.members);
            Ok(())
        })?;
        check_codes(context, reader, program.number, &mut found)?;
        check_changed_since(&mut found);
        // Of a ledger that is not folded to its end nobody knows the sum.
        if found.differences.len() < DIFFERENCES_MAX {
            found.differences.extend(clearing.differences());
        }
        for member in without_state(reader, program.number)? {
            let difference = Difference::new("there are events, but no member");
            found.differences.push(Difference { member: member.to_string(), ..difference });
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
    // What a sample has sent may have arrived with others: its sum says nothing.
    let mut clearing = Clearing::default();
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
                check_whole(context, reader, (program.number, &versions), (id, &state), (&mut found, &mut clearing))?;
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
    (found, clearing): (&mut Verification, &mut Clearing),
) -> Result<(), StoreError> {
    let mut made = BTreeMap::new();
    let events = history_seen(reader, program, id, &mut |event| note_order(versions, event, &mut made))?;
    found.members += 1;
    for used in events.iter().flat_map(|event| &event.record.vouchers) {
        *found.uses.entry(context.secrets.code_key(program, &used.code)).or_default() += used.by();
    }
    found.events += events.len() as u64;
    found.entries += events.iter().map(|event| event.entries.len() as u64).sum::<u64>();
    found.orders += made.len() as u64;
    let (mut of_survivors, mut changed_since) = (OfSurvivors::new(), ChangedSince::new());
    let mut differs = |difference: Difference| {
        found.differences.push(Difference { member: id.to_string(), ..difference });
    };
    let gone = gone_before(&events, state);
    if gone > 0 {
        // Everything else would differ for this reason alone.
        let what = format!(
            "the first {gone} of {} events are not in the database: archived, or lost. Nothing of this member was checked",
            state.events
        );
        differs(Difference::between(what, state.events, state.events - gone));
        return Ok(());
    }
    check_member(id, state, &events, &mut differs);
    check_orders(context, reader, program, (state, &events, &made), &mut differs)?;
    check_redemptions(reader, program, (state, &events), (&mut of_survivors, &mut changed_since), &mut differs)?;
    clearing.check(context, reader, program, (state.id, &events), &mut differs)?;
    for (id, redemptions) in of_survivors {
        found.of_survivors.entry(id).or_default().extend(redemptions);
    }
    found.changed_since.extend(changed_since);
    Ok(())
}

/// How many of a member's events there were before the first that is there.
fn gone_before(events: &[Recorded], state: &MemberState) -> u64 {
    events.first().map_or(state.events, |first| first.seq.saturating_sub(1))
}

/// What a survivor changed of a merged member's redemption is kept with that redemption.
fn check_changed_since(found: &mut Verification) {
    let (of_survivors, changed) = (std::mem::take(&mut found.of_survivors), std::mem::take(&mut found.changed_since));
    let ids: BTreeSet<&EventId> = of_survivors.keys().chain(changed.keys()).collect();
    for id in ids {
        let kept = changed.get(id).and_then(Option::as_ref);
        let known = of_survivors.get(id).is_some_and(|known| known.iter().any(|known| Some(known) == kept));
        if !known && found.differences.len() < DIFFERENCES_MAX {
            let what = format!("the redemption {id} is not kept as its last event left it");
            found.differences.push(Difference { member: id.member.to_string(), ..Difference::new(what) });
        }
    }
}

fn check_member(id: MemberId, state: &MemberState, events: &[Recorded], differs: &mut dyn FnMut(Difference)) {
    let entries: Vec<&Entry> = events.iter().flat_map(|event| &event.entries).collect();
    if entries.len() as u64 != state.entries {
        let what = format!("{} entries are stored, the state counts {}", entries.len(), state.entries);
        differs(Difference::between(what, entries.len(), state.entries));
    }
    let mut previous = [0; 32];
    for entry in &entries {
        if entry.chained(&previous) != entry.hash {
            let what = format!(
                "entry {} does not follow from the one before: it ({} {}) was changed, or one is missing",
                entry.seq, entry.amount, entry.currency
            );
            let expected = crate::secret::hex(&entry.chained(&previous));
            let difference = Difference::between(what, expected, crate::secret::hex(&entry.hash));
            differs(Difference { currency: Some(entry.currency.clone()), ..difference });
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
                let what = format!("{name} {currency}: the ledger says {in_ledger}, the state {in_state}");
                let difference = Difference::between(what, in_ledger, in_state);
                differs(Difference { currency: Some(currency.clone()), account: Some(name), ..difference });
            }
        }
    }
    match decide::fold(id, events, None) {
        None => differs(Difference::new("a member without events")),
        Some(folded) => {
            let (folded, stored) = (folded.comparable(), state.clone().comparable());
            if folded != stored {
                state_differences(&folded, &stored).into_iter().for_each(differs);
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

/// Fields of the state of which more than these differ are not all listed: the state is another altogether.
const FIELDS_MAX: usize = 20;

/// Every field in which the folded state is not the stored one.
fn state_differences(folded: &MemberState, stored: &MemberState) -> Vec<Difference> {
    let (Ok(folded), Ok(stored)) = (serde_json::to_value(folded), serde_json::to_value(stored)) else {
        return vec![Difference::new("folded from the ledger the state is another")];
    };
    let mut fields = Vec::new();
    differing(String::new(), Some(&folded), Some(&stored), &mut fields);
    fields.truncate(FIELDS_MAX);
    let shown = |field: &str, value: Option<&Json>| match value {
        // What people told about themselves stays out of reports.
        _ if field.contains("birthday") || field.contains("gifts") || field.contains("parked") => "another".to_owned(),
        Some(Json::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "nothing".to_owned(),
    };
    let difference = |(field, expected, found): (String, Option<&Json>, Option<&Json>)| {
        let (expected, found) = (shown(&field, expected), shown(&field, found));
        let what = format!("{field}: folded from the ledger it is {expected}, the state has {found}");
        let currency = field.strip_prefix("purses[").and_then(|rest| rest.split(']').next());
        let currency = currency.and_then(|currency| currency.parse().ok());
        Difference { currency, field: Some(field), ..Difference::between(what, expected, found) }
    };
    fields.into_iter().map(difference).collect()
}

type Field<'a> = (String, Option<&'a Json>, Option<&'a Json>);

/// The deepest fields in which two values differ. Items of a list are called by their currency or id, where they have
/// one.
fn differing<'a>(path: String, left: Option<&'a Json>, right: Option<&'a Json>, fields: &mut Vec<Field<'a>>) {
    match (left, right) {
        _ if left == right => {}
        (Some(Json::Object(left)), Some(Json::Object(right))) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                differing(path, left.get(name), right.get(name), fields);
            }
        }
        (Some(Json::Array(left)), Some(Json::Array(right))) if left.iter().chain(right).all(Json::is_object) => {
            let name = |place: usize, item: &Json| match item.get("currency").or(item.get("id")) {
                Some(Json::String(name)) => name.clone(),
                _ => place.to_string(),
            };
            let mut items: BTreeMap<String, [Option<&Json>; 2]> = BTreeMap::new();
            for (side, list) in [left, right].into_iter().enumerate() {
                for (place, item) in list.iter().enumerate() {
                    items.entry(name(place, item)).or_default()[side] = Some(item);
                }
            }
            for (name, [left, right]) in items {
                differing(format!("{path}[{name}]"), left, right, fields);
            }
        }
        _ => fields.push((path, left, right)),
    }
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
    (state, events, made): (&MemberState, &[Recorded], &Made),
    differs: &mut dyn FnMut(Difference),
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
    // Orders of members who were merged into this one.
    for (order_id, progress) in last.iter().filter(|(order_id, _)| !made.contains_key(**order_id)) {
        let key = context.secrets.order_key(program, order_id);
        let rows = reader.fetch_by_keys(&tables::ORDER_KEY, &[own_key(program, &key)])?;
        let kept = rows.first().map(|row| order_progress(reader, context.shards.are_spread(), row)).transpose()?;
        let kept = kept.and_then(|(_, progress)| progress);
        // Whoever survived this one may have changed it since.
        let by = kept.as_ref().and_then(|kept| kept.by);
        if by.is_none_or(|by| by == state.id) && kept.as_ref() != Some(*progress) {
            differs(other_progress(order_id, Some(*progress), kept.as_ref()));
        }
    }
    for (order_id, seq) in made {
        let key = context.secrets.order_key(program, order_id);
        let Some(row) = kept.get(key.as_slice()) else {
            differs(Difference::between(format!("the order {order_id} is not kept"), seq, "nothing"));
            continue;
        };
        let (kept_member, kept_seq) = (member_id(row[3].bytes()?)?, unsigned(row[4].int()?));
        // A guest's order that somebody claimed is checked with them (P6).
        if state.status == Status::Guest && kept_member != state.id {
            continue;
        }
        let member = state.id;
        if kept_member != member || kept_seq != *seq {
            let what = format!("the order {order_id} is kept as another event's");
            let kept = EventId { member: kept_member, seq: kept_seq };
            differs(Difference::between(what, EventId { member, seq: *seq }, kept));
        }
        let (_, kept) = order_progress(reader, context.shards.are_spread(), row)?;
        let expected = last.get(order_id.as_str()).copied();
        // What a survivor of this member changed is checked with the survivor.
        let by = kept.as_ref().and_then(|kept| kept.by);
        if by.is_none_or(|by| by == state.id) && kept.as_ref() != expected {
            differs(other_progress(order_id, expected, kept.as_ref()));
        }
    }
    Ok(())
}

fn other_progress(order_id: &str, expected: Option<&OrderProgress>, kept: Option<&OrderProgress>) -> Difference {
    let what = format!("the progress kept with order {order_id} is not that of its last event");
    let text = |progress: Option<&OrderProgress>| progress.and_then(|known| serde_json::to_string(known).ok());
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
    Difference::between(what, or_none(text(expected)), or_none(text(kept)))
}

/// Every redemption is kept as the last event about it left it.
fn check_redemptions(
    reader: &mut Reader<'_>,
    program: i64,
    (state, events): (&MemberState, &[Recorded]),
    (of_survivors, changed_since): (&mut OfSurvivors, &mut ChangedSince),
    differs: &mut dyn FnMut(Difference),
) -> Result<(), StoreError> {
    let member = state.id;
    let was_merged = events.iter().any(|event| event.kind == "merge");
    let mut last: BTreeMap<u64, &Redemption> = BTreeMap::new();
    for (seq, redemption) in events.iter().flat_map(|event| &event.record.redemptions) {
        let id = state.event_id(*seq);
        if id.member == member {
            last.insert(*seq, redemption);
        } else {
            of_survivors.insert(id, vec![redemption.clone()]);
        }
    }
    let sql = "SELECT seq, progress FROM redemption WHERE bucket = $1 AND program = $2 AND member = $3 ORDER BY seq";
    let mut kept: BTreeMap<u64, Redemption> = BTreeMap::new();
    for row in reader.query(sql, &member_key(program, member))? {
        kept.insert(unsigned(row[0].int()?), redemption_from_text(row[1].text()?)?);
    }
    for seq in last.keys().chain(kept.keys()).collect::<BTreeSet<_>>() {
        if last.get(seq).copied() != kept.get(seq) {
            if was_merged {
                changed_since.insert(EventId { member, seq: *seq }, kept.get(seq).cloned());
                continue;
            }
            let what =
                format!("the redemption {} is not kept as its last event left it", EventId { member, seq: *seq });
            let text = |redemption: Option<&Redemption>| {
                redemption.and_then(|known| serde_json::to_string(known).ok()).unwrap_or_else(|| "nothing".to_owned())
            };
            differs(Difference::between(what, text(last.get(seq).copied()), text(kept.get(seq))));
        }
    }
    Ok(())
}

/// Every code was used as often as events say.
fn check_codes(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let mut uses = std::mem::take(&mut found.uses);
    uses.retain(|_, uses| *uses != 0);
    let mut differ = |key: &[u8; 16], what: &str, expected: i64, kept: i64| {
        if expected != kept && found.differences.len() < DIFFERENCES_MAX {
            let what = format!(
                "a code of {what} (key {}) is kept with {kept} uses, events say {expected}",
                crate::secret::hex(key)
            );
            found.differences.push(Difference::between(what, expected, kept));
        }
    };
    let sql = "SELECT key, voucher, uses, shared FROM voucher_code WHERE program = $1 AND (uses <> 0 OR shared = 1)";
    for row in reader.query(sql, &[program.into()])? {
        let key: [u8; 16] =
            row[0].bytes()?.try_into().map_err(|_| StoreError::corrupt("voucher_code", "key", "not 16 bytes"))?;
        let expected = uses.remove(&key).unwrap_or(0);
        let mut kept = row[2].int()?;
        if row[3].int()? == 1 {
            let pool = crate::voucher::shared_pool(&key);
            kept = crate::executor::in_use(reader, &context.shards, program, &pool)?;
        }
        differ(&key, row[1].text()?, expected, kept);
    }
    for (key, expected) in uses {
        differ(&key, "a voucher", expected, 0);
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
