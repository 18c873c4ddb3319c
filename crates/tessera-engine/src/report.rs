//! Reports over a whole program as at an instant: read in one pass, nothing written.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use tessera_core::decide::{self, Recorded};
use tessera_core::id::MemberId;
use tessera_core::ledger::{Account, Purse};
use tessera_core::member::{Change, MemberState, Status};
use tessera_core::program::{Id, Versions};
use tessera_core::time::Instant;
pub use tessera_insight::Summary;
use tessera_store::{Reader, StoreError, Value};

use crate::executor::Context;
use crate::profile::{Profile, SealedProfile};
use crate::programs::{ProgramHandle, member_id};
use crate::record::{
    ENTRY_COLUMNS, EVENT_COLUMNS, StoredEvent, entry_from_row, event_from_row, member_key, state_from_bytes,
};

/// Members read in one query.
const PAGE: i64 = 500;

/// Visits every member of a program in key order, a page at a time: memory stays flat.
pub(crate) fn each_member(
    reader: &mut Reader<'_>,
    program: i64,
    visit: &mut dyn FnMut(&mut Reader<'_>, MemberId, MemberState) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (mut bucket, mut member) = (-1_i64, Vec::new());
    loop {
        let sql = format!(
            "SELECT bucket, member, state FROM member WHERE program = $1 AND (bucket > $2 OR (bucket = $2 AND member > $3)) \
             ORDER BY bucket, member LIMIT {PAGE}"
        );
        let rows = reader.query(&sql, &[program.into(), bucket.into(), member.clone().into()])?;
        let Some(last) = rows.last() else { return Ok(()) };
        (bucket, member) = (last[0].int()?, last[1].bytes()?.to_vec());
        for row in &rows {
            visit(reader, member_id(row[1].bytes()?)?, state_from_bytes(row[2].bytes()?)?)?;
        }
    }
}

/// Every event of a member with its entries, oldest first.
pub(crate) fn history(reader: &mut Reader<'_>, program: i64, member: MemberId) -> Result<Vec<Recorded>, StoreError> {
    history_seen(reader, program, member, &mut |_| Ok(()))
}

/// The same, each event shown with its payload on the way.
pub(crate) fn history_seen(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
    seen: &mut dyn FnMut(&StoredEvent) -> Result<(), StoreError>,
) -> Result<Vec<Recorded>, StoreError> {
    let key = member_key(program, member);
    let mut events: Vec<Recorded> = Vec::new();
    let sql =
        format!("SELECT {EVENT_COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 ORDER BY seq");
    reader.query_each(&sql, &key, &mut |row| {
        let event = event_from_row(&row)?;
        seen(&event)?;
        events.push(event.recorded);
        Ok(())
    })?;
    let sql =
        format!("SELECT {ENTRY_COLUMNS} FROM entry WHERE bucket = $1 AND program = $2 AND member = $3 ORDER BY seq");
    reader.query_each(&sql, &key, &mut |row| {
        let entry = entry_from_row(&row)?;
        if let Ok(place) = events.binary_search_by_key(&entry.event, |event| event.seq) {
            events[place].entries.push(entry);
        }
        Ok(())
    })?;
    Ok(events)
}

/// The member as at the end of all business before `at`, settled to it; `None` before they joined.
pub(crate) fn as_at(
    reader: &mut Reader<'_>,
    versions: &Versions,
    program: i64,
    state: MemberState,
    at: Instant,
) -> Result<Option<MemberState>, StoreError> {
    if state.joined_at >= at && state.clock >= at {
        return Ok(None);
    }
    if state.clock < at {
        return Ok(Some(decide::settled_to(versions, &state, at)));
    }
    let events = history(reader, program, state.id)?;
    Ok(decide::as_at(versions, state.id, &events, at))
}

/// The program's figures as at an instant.
pub fn summary(context: &Context, program: &Arc<ProgramHandle>, at: Instant) -> Result<Summary, StoreError> {
    let versions = program.versions();
    let rules = versions.at(at).clone();
    let mut summary = Summary::new(&rules);
    context.database.read(|reader| {
        each_member(reader, program.number, &mut |reader, _, state| {
            if state.status == Status::Guest {
                return Ok(());
            }
            if state.status == Status::GiftCard {
                if let Some(card) = as_at(reader, &versions, program.number, state, at)? {
                    summary.add_gift_card(&card);
                }
                return Ok(());
            }
            if let Some(member) = as_at(reader, &versions, program.number, state, at)? {
                summary.add_member(&rules, &member);
                months(reader, program.number, member.id, at, &mut summary)?;
            }
            Ok(())
        })
    })?;
    Ok(summary.finished())
}

/// Adds one member's purchases and points to their months.
fn months(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
    at: Instant,
    summary: &mut Summary,
) -> Result<(), StoreError> {
    for event in history(reader, program, member)?.iter().filter(|event| event.effective_at < at) {
        for change in &event.record.changes {
            match change {
                Change::Purchased { amount, on } => summary.add_purchase(*on, *amount),
                Change::Corrected { by, on } => summary.add_correction(*on, *by),
                _ => {}
            }
        }
        for entry in event.entries.iter().filter(|entry| entry.from == Account::Issued) {
            summary.add_issued(event.record.day, &entry.currency, entry.amount);
        }
    }
    Ok(())
}

/// One member's line of the members report.
struct Line {
    identifier: String,
    member: MemberState,
    /// By currency, what was issued to those who were merged into the member, and taken back from them.
    brought: BTreeMap<Id, (i64, i64)>,
}

/// By who was merged, into whom, and the purses they left.
type Merged = BTreeMap<MemberId, (Option<MemberId>, Vec<Purse>)>;

/// Adds what was issued to those who were merged to the line of whoever survived them.
fn bring(lines: &mut [Line], merged: &Merged) {
    let places: BTreeMap<MemberId, usize> =
        lines.iter().enumerate().map(|(place, line)| (line.member.id, place)).collect();
    for (into, purses) in merged.values() {
        let mut survivor = *into;
        while let Some((next, _)) = survivor.and_then(|survivor| merged.get(&survivor)) {
            survivor = *next;
        }
        let Some(place) = survivor.and_then(|survivor| places.get(&survivor)) else { continue };
        for purse in purses {
            let (issued, taken_back) = lines[*place].brought.entry(purse.currency.clone()).or_default();
            *issued += purse.totals.issued.get();
            *taken_back += purse.totals.taken_back.get();
        }
    }
}

/// A row a member, sorted by identifier: `identifier,joined,purchases,spend,<currency>_issued,<currency>_taken_back,
/// <currency>_balance,…,<ladder>_tier,…,last_event`.
#[derive(Clone, Debug)]
pub struct MembersTable {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl MembersTable {
    pub fn write_csv(&self, out: impl Write) -> Result<(), ReportError> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(&self.header)?;
        for row in &self.rows {
            csv.write_record(row)?;
        }
        Ok(csv.flush()?)
    }

    /// The rows as objects: counts and points as numbers, money as exact text, what is not there as null.
    pub fn objects(&self) -> Vec<serde_json::Map<String, serde_json::Value>> {
        let is_count = |name: &str| {
            name == "purchases" || ["_issued", "_taken_back", "_balance"].iter().any(|ending| name.ends_with(ending))
        };
        let value = |(name, text): (&String, &String)| {
            let value = match text.parse::<i64>() {
                Ok(count) if is_count(name) => count.into(),
                _ if text.is_empty() => serde_json::Value::Null,
                _ => text.as_str().into(),
            };
            (name.clone(), value)
        };
        self.rows.iter().map(|row| self.header.iter().zip(row).map(value).collect()).collect()
    }
}

/// Writes [`members`] as CSV and says how many there were.
pub fn members_csv(
    context: &Context,
    program: &Arc<ProgramHandle>,
    at: Instant,
    out: impl Write,
) -> Result<u64, ReportError> {
    let table = members(context, program, at)?;
    table.write_csv(out)?;
    Ok(table.rows.len() as u64)
}

/// What every member had at the end of all business before `at`. Guests are left out.
pub fn members(context: &Context, program: &Arc<ProgramHandle>, at: Instant) -> Result<MembersTable, StoreError> {
    let versions = program.versions();
    let rules = versions.at(at).clone();
    let mut lines: Vec<Line> = Vec::new();
    let mut merged = Merged::new();
    context.database.read(|reader| {
        each_member(reader, program.number, &mut |reader, id, state| {
            if matches!(state.status, Status::Guest | Status::GiftCard | Status::Household) {
                return Ok(());
            }
            match as_at(reader, &versions, program.number, state, at)? {
                // What somebody had who was merged stands with the survivor.
                Some(member) if member.status == Status::Merged => {
                    merged.insert(id, (member.into, member.purses));
                }
                Some(member) => {
                    let identifier = identifier_of(context, reader, program.number, id)?;
                    lines.push(Line { identifier, member, brought: BTreeMap::new() });
                }
                None => {}
            }
            Ok(())
        })
    })?;
    bring(&mut lines, &merged);
    lines.sort_by_cached_key(|line| natural(&line.identifier));
    let definition = &rules.definition;
    let mut header: Vec<String> = ["identifier", "joined", "purchases", "spend"].map(str::to_owned).to_vec();
    for currency in definition.currencies.keys() {
        header.extend(["issued", "taken_back", "balance"].map(|figure| format!("{currency}_{figure}")));
    }
    header.extend(rules.ladders.iter().map(|ladder| format!("{}_tier", ladder.id)));
    header.push("last_event".to_owned());
    Ok(MembersTable { header, rows: lines.iter().map(|line| fields(&rules, line)).collect() })
}

fn fields(rules: &tessera_core::program::Program, line: &Line) -> Vec<String> {
    let member = &line.member;
    let mut fields = vec![
        line.identifier.clone(),
        member.joined_at.to_string(),
        member.statistics.purchases.to_string(),
        member.statistics.spend.to_text(rules.money.decimals()),
    ];
    for currency in rules.definition.currencies.keys() {
        let (issued, taken_back) = line.brought.get(currency).copied().unwrap_or_default();
        let own = member.purse(currency.as_str()).map(|purse| (purse.totals, purse.balance()));
        let (totals, balance) = own.unwrap_or_default();
        let sums = [totals.issued.get() + issued, totals.taken_back.get() + taken_back, balance];
        fields.extend(sums.map(|sum| sum.to_string()));
    }
    let levels: BTreeMap<Id, Id> = rules
        .ladders
        .iter()
        .map(|ladder| {
            let rank = member.ladder(ladder.id.as_str()).map_or(0, |known| ladder.rank(&known.level));
            (ladder.id.clone(), ladder.level(rank).id.clone())
        })
        .collect();
    fields.extend(rules.ladders.iter().map(|ladder| levels[&ladder.id].to_string()));
    fields.push(member.statistics.last_event.map_or_else(String::new, |at| at.to_string()));
    fields
}

/// `household:9` before `household:10`: texts by their letters, digits by their number.
fn natural(text: &str) -> (String, u64, String) {
    let digits = text.find(|character: char| character.is_ascii_digit()).unwrap_or(text.len());
    let end = text[digits..].find(|character: char| !character.is_ascii_digit()).map_or(text.len(), |end| digits + end);
    (text[..digits].to_owned(), text[digits..end].parse().unwrap_or(u64::MAX), text.to_owned())
}

/// The first name a member is known under, or their id.
pub(crate) fn identifier_of(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
) -> Result<String, StoreError> {
    let profile = profile_of(context, reader, program, member)?;
    Ok(profile.identifiers.into_iter().next().unwrap_or_else(|| member.to_string()))
}

/// What is personal of a member, with what those brought who were merged into them: the member's own word first.
pub(crate) fn whole_profile(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    state: &MemberState,
) -> Result<Profile, StoreError> {
    let mut profile = profile_of(context, reader, program, state.id)?;
    for merged in state.merged_now() {
        let theirs = profile_of(context, reader, program, merged.id)?;
        profile.identifiers.extend(theirs.identifiers);
        for (name, value) in theirs.fields {
            profile.fields.entry(name).or_insert(value);
        }
    }
    Ok(profile)
}

pub(crate) fn profile_of(
    context: &Context,
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
) -> Result<Profile, StoreError> {
    let sql = "SELECT wrapped_key, data FROM member_profile WHERE bucket = $1 AND program = $2 AND member = $3";
    let rows = reader.query(sql, &member_key(program, member))?;
    rows.first().map_or_else(|| Ok(Profile::default()), |row| profile_of_row(context, &row[0], &row[1]))
}

/// A profile from its columns `wrapped_key` and `data`.
pub(crate) fn profile_of_row(context: &Context, wrapped_key: &Value, data: &Value) -> Result<Profile, StoreError> {
    let sealed = SealedProfile { wrapped_key: wrapped_key.bytes()?.to_vec(), data: data.bytes()?.to_vec() };
    Profile::open(&sealed, &context.secrets)
        .map_err(|error| StoreError::corrupt("member_profile", "data", error.to_string()))
}

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the report cannot be written: {0}")]
    Csv(#[from] csv::Error),
    #[error("the report cannot be written: {0}")]
    Write(#[from] std::io::Error),
}
