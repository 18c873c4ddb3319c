//! The recorded events as a replay reads them: what came from outside, without what it was decided to; but what was drawn
//! by chance stays drawn.

use std::collections::BTreeMap;

use compact_str::CompactString;
use tessera_core::decide::{EventStatus, Memory, Record};
use tessera_core::event::FOLLOW_UP_TYPES;
use tessera_core::id::MemberId;
use tessera_core::ledger::Entry;
use tessera_core::member::MemberState;
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Reader, StoreError, Value};

use crate::programs::member_id;
use crate::record::{ENTRY_COLUMNS, Envelope, entry_from_row, member_key, number, state_from_bytes, unsigned};

/// Members read in one query.
const PAGE: i64 = 500;

/// Records are read only where they tell something: what was drawn, and of a claimed code what it was for.
const COLUMNS: &str = "seq, type, effective_at, recorded_at, payload, \
     CASE WHEN type = 'voucher-redemption' OR record LIKE '%\"draws\":%' \
     OR record LIKE '%\"own_purchase\":%' THEN record END";

/// What time and the member's own events brought about is decided again; what other members caused comes as it came.
fn from_outside() -> String {
    // Where a member stands among all comes from looking at all.
    let kinds: Vec<String> = FOLLOW_UP_TYPES.iter().chain(&["ranking"]).map(|kind| format!("'{kind}'")).collect();
    format!("(status <> {} OR type IN ({}))", EventStatus::Derived.code(), kinds.join(", "))
}

/// One event that somebody sent.
#[derive(Debug)]
pub(super) struct Logged {
    /// Its number as it was recorded; under a draft it may have another.
    pub seq: u64,
    pub kind: String,
    pub effective_at: Instant,
    pub recorded_at: Instant,
    /// The event's data, as JSON.
    pub data: String,
    /// The numbers that its rules drew.
    pub draws: BTreeMap<CompactString, u32>,
    /// The voucher whose code it used by itself.
    pub voucher: Option<Id>,
    /// Whether the buyer rang it up.
    pub is_own_purchase: bool,
}

/// Where an event stands among all that were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub recorded_at: i64,
    pub member: MemberId,
    pub seq: u64,
}

/// Visits the members of a bucket in key order, a page at a time.
pub(super) fn each_member(
    reader: &mut Reader<'_>,
    program: i64,
    bucket: i64,
    visit: &mut dyn FnMut(&mut Reader<'_>, MemberState) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT member, state FROM member WHERE bucket = $1 AND program = $2 AND member > $3 ORDER BY member LIMIT {PAGE}"
    );
    let mut last = Vec::new();
    loop {
        let rows = reader.query(&sql, &[bucket.into(), program.into(), last.clone().into()])?;
        let Some(row) = rows.last() else { return Ok(()) };
        last = row[0].bytes()?.to_vec();
        for row in &rows {
            visit(reader, state_from_bytes(row[1].bytes()?)?)?;
        }
    }
}

/// What a member's events of business before `to` were, in the order they were decided.
pub(super) fn events(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
    to: Instant,
) -> Result<Vec<Logged>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND {} \
         AND effective_at < $4 ORDER BY seq",
        from_outside()
    );
    let mut params = member_key(program, member);
    params.push(to.micros().into());
    let mut events = Vec::new();
    reader.query_each(&sql, &params, &mut |row| {
        events.push(logged(&row)?);
        Ok(())
    })?;
    Ok(events)
}

pub(super) fn event(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
    seq: u64,
) -> Result<Option<Logged>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND seq = $4");
    let mut params = member_key(program, member);
    params.push(number(seq).into());
    reader.query(&sql, &params)?.first().map(|row| logged(row)).transpose()
}

/// What the program knew of a member who came back when they did (P3), from the event they joined by.
pub(super) fn memory(reader: &mut Reader<'_>, program: i64, member: MemberId) -> Result<Option<Memory>, StoreError> {
    let sql = "SELECT record FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND seq = 1";
    let rows = reader.query(sql, &member_key(program, member))?;
    let Some(text) = rows.first().map(|row| row[0].text()).transpose()? else { return Ok(None) };
    if !text.contains("\"rejoined\"") {
        return Ok(None);
    }
    let record: Record =
        serde_json::from_str(text).map_err(|error| StoreError::corrupt("event", "record", error.to_string()))?;
    Ok(Memory::recorded(&record))
}

/// The places of all events of business before `to`, oldest first: 40 bytes of memory each.
pub(super) fn in_order(reader: &mut Reader<'_>, program: i64, to: Instant) -> Result<Vec<Place>, StoreError> {
    let sql = format!(
        "SELECT recorded_at, member, seq FROM event WHERE program = $1 AND {} AND effective_at < $2",
        from_outside()
    );
    let mut places = Vec::new();
    reader.query_each(&sql, &[program.into(), to.micros().into()], &mut |row| {
        let place =
            Place { recorded_at: row[0].int()?, member: member_id(row[1].bytes()?)?, seq: unsigned(row[2].int()?) };
        places.push(place);
        Ok(())
    })?;
    places.sort_unstable();
    Ok(places)
}

/// Every entry of a member, oldest first.
pub(super) fn entries(reader: &mut Reader<'_>, program: i64, member: MemberId) -> Result<Vec<Entry>, StoreError> {
    let sql =
        format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE bucket = $1 AND program = $2 AND member = $3 ORDER BY seq");
    let mut entries = Vec::new();
    reader.query_each(&sql, &member_key(program, member), &mut |row| {
        entries.push(entry_from_row(&row)?);
        Ok(())
    })?;
    Ok(entries)
}

fn logged(row: &[Value]) -> Result<Logged, StoreError> {
    let payload = row[4].text()?;
    let envelope: Envelope<'_> =
        serde_json::from_str(payload).map_err(|error| StoreError::corrupt("event", "payload", error.to_string()))?;
    let record = row[5].opt_text()?.map(serde_json::from_str::<Record>).transpose();
    let record = record.map_err(|error| StoreError::corrupt("event", "record", error.to_string()))?;
    Ok(Logged {
        seq: unsigned(row[0].int()?),
        kind: row[1].text()?.to_owned(),
        effective_at: Instant::from_micros(row[2].int()?),
        recorded_at: Instant::from_micros(row[3].int()?),
        data: envelope.data.get().to_owned(),
        voucher: record.as_ref().and_then(|record| record.vouchers.first().map(|used| used.voucher.clone())),
        is_own_purchase: record
            .as_ref()
            .is_some_and(|record| record.basis.as_ref().is_some_and(|basis| basis.own_purchase.is_some())),
        draws: record.map(drawn).unwrap_or_default(),
    })
}

/// The numbers that an event's rules drew, by its record; of a rule that drew more than once the first.
fn drawn(record: Record) -> BTreeMap<CompactString, u32> {
    let mut numbers = record.basis.map(|basis| basis.draws).unwrap_or_default();
    for draw in record.draws {
        numbers.entry(draw.key()).or_insert(draw.drawn);
    }
    numbers
}
