use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use tessera_core::decide::{self, Balance, Basis, Effect, EventStatus, RuleTrace, TierStanding};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::{Account, EntryKind};
use tessera_core::member::{Frozen, MemberState, Merged, Status};
use tessera_core::program::Id;
use tessera_core::time::{Day, Instant};
use tessera_store::{Reader, StoreError, Value, tables};

use super::household::HouseholdOfMember;
use crate::executor::{Context, events_between};
use crate::profile::Profile;
use crate::programs::ProgramHandle;
use crate::record::{
    ENTRY_COLUMNS, EVENT_COLUMNS, StoredEvent, entry_from_row, event_from_row, member_key, number, order_record,
    own_key, state_from_bytes, unsigned,
};
use crate::report::whole_profile;

/// A member as everybody who may ask sees them.
#[derive(Clone, Debug, Serialize)]
pub struct MemberView {
    pub id: String,
    pub identifiers: Vec<String>,
    /// Name, language and other personal fields, where the member gave them.
    pub profile: BTreeMap<String, String>,
    pub joined_at: Instant,
    pub balances: BTreeMap<Id, Balance>,
    pub tiers: Vec<TierStanding>,
    pub purchases: u32,
    pub spend: String,
    pub last_event: Option<Instant>,
    /// Benefits given by rules, with their last day.
    pub grants: BTreeMap<Id, Day>,
    /// Among the best so many in a hundred, where the document ranks members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_percent: Option<u8>,
    /// Whether the member is among the best that the document wants served first.
    pub priority_service: bool,
    /// Nothing is spent, sent or claimed: since when, and whether a second fact ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// Who was merged into the member.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<MergedView>,
    /// Where another was asked for: into whom they were merged, this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// The household that the member is in, or has asked to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub household: Option<HouseholdOfMember>,
}

/// Somebody who was merged into a member.
#[derive(Clone, Debug, Serialize)]
pub struct MergedView {
    pub member: String,
    pub at: Instant,
    /// Until when it can be undone (exclusive); of those who came with somebody else with that one.
    pub undo_until: Option<Instant>,
    /// The survivor's event.
    pub event_id: String,
}

/// Points that die together.
#[derive(Clone, Debug, Serialize)]
pub struct LotView {
    pub currency: Id,
    pub amount: i64,
    /// `active`, `held` (reserved for a redemption) or `pending`.
    pub state: &'static str,
    /// "Use by": the last day, in the program's zone.
    pub last_day: Option<Day>,
    pub expires_at: Option<Instant>,
    pub earned_at: Option<Instant>,
    pub matures_at: Option<Instant>,
    pub funder: Option<Id>,
    /// The redemption it is reserved for.
    pub redemption: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct EntryView {
    pub seq: u64,
    pub event_id: String,
    pub at: Instant,
    pub currency: Id,
    pub kind: EntryKind,
    pub from: Account,
    pub to: Account,
    pub amount: i64,
    pub lot: Option<String>,
    pub campaign: Option<Id>,
    pub program_version: u32,
    pub hash: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct EventView {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: EventStatus,
    pub time: Instant,
    pub recorded_at: Instant,
    pub program_version: u32,
    pub source: Option<String>,
    pub source_id: Option<String>,
    pub data: Box<RawValue>,
    pub effects: Vec<Effect>,
    /// What the decision was based on.
    pub basis: Option<Basis>,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    pub limit: usize,
    pub after: Option<String>,
}

/// A part of a list, newest first, with where the next begins.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl PageRequest {
    /// The sequence number to go on below.
    pub(super) fn below(&self) -> u64 {
        self.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(u64::MAX)
    }
}

pub(super) fn settled(
    context: &Context,
    reader: &mut Reader<'_>,
    program: &ProgramHandle,
    id: MemberId,
) -> Result<Option<MemberState>, StoreError> {
    let sql = "SELECT state FROM member WHERE bucket = $1 AND program = $2 AND member = $3";
    let rows = reader.query(sql, &member_key(program.number, id))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let state = state_from_bytes(row[0].bytes()?)?;
    if state.status == Status::Guest {
        return Ok(None);
    }
    Ok(Some(decide::settled_to(&program.versions(), &state, context.clock.now())))
}

/// A member, settled to now.
pub fn member(context: &Context, program: &ProgramHandle, id: MemberId) -> Result<Option<MemberView>, StoreError> {
    context.database.read(|reader| {
        let Some(state) = settled(context, reader, program, id)? else { return Ok(None) };
        let profile = whole_profile(context, reader, program.number, &state)?;
        Ok(Some(view(context, program, profile, &state)))
    })
}

pub(super) fn view(context: &Context, program: &ProgramHandle, profile: Profile, state: &MemberState) -> MemberView {
    let head = program.versions();
    let rules = head.head();
    let now = context.clock.now();
    let versions = program.versions();
    let merged = |merged: &Merged| MergedView {
        member: merged.id.to_string(),
        at: merged.at,
        undo_until: merged.by.is_none().then(|| decide::undo_until(versions.at(merged.at), merged)),
        event_id: EventId { member: state.id, seq: merged.event }.to_string(),
    };
    MemberView {
        merged: state.merged_now().map(merged).collect(),
        merged_into: None,
        id: state.id.to_string(),
        identifiers: profile.identifiers,
        profile: profile.fields,
        joined_at: state.joined_at,
        balances: decide::balances(rules, state),
        tiers: decide::tier_standings(rules, state, now),
        purchases: state.statistics.purchases,
        spend: state.statistics.spend.to_text(rules.money.decimals()),
        last_event: state.statistics.last_event,
        top_percent: state.ranked.map(|ranked| ranked.top_percent),
        priority_service: rules
            .definition
            .ranking
            .as_ref()
            .is_some_and(|ranking| state.ranked.is_some_and(|ranked| ranked.top_percent <= ranking.priority_service)),
        frozen: state.frozen,
        household: HouseholdOfMember::of(state),
        grants: state.grants.iter().map(|grant| (grant.benefit.clone(), grant.last_day)).collect(),
    }
}

/// Members of a program in the order of their keys, which is no order of theirs.
pub fn members(context: &Context, program: &ProgramHandle, page: &PageRequest) -> Result<Page<MemberView>, StoreError> {
    let after = page.after.as_deref().and_then(|after| after.parse::<MemberId>().ok());
    let (bucket, member) = after.map_or((-1, Vec::new()), |id| (i64::from(id.bucket().get()), id.as_bytes().to_vec()));
    context.database.read(|reader| {
        let sql = format!(
            "SELECT state FROM member WHERE program = $1 AND status = 1 AND (bucket > $2 OR (bucket = $2 AND member > $3)) ORDER BY bucket, member LIMIT {}",
            page.limit + 1
        );
        let rows = reader.query(&sql, &[program.number.into(), bucket.into(), member.into()])?;
        let (versions, now) = (program.versions(), context.clock.now());
        let mut items = Vec::new();
        for row in rows.iter().take(page.limit) {
            let state = decide::settled_to(&versions, &state_from_bytes(row[0].bytes()?)?, now);
            let profile = whole_profile(context, reader, program.number, &state)?;
            items.push(view(context, program, profile, &state));
        }
        let next = (rows.len() > page.limit).then(|| items.last().map(|last| last.id.clone())).flatten();
        Ok(Page { items, next })
    })
}

/// Everything a member holds, in the order it would be spent, pending last (L10: all coming expiries are shown).
pub fn lots(context: &Context, program: &ProgramHandle, id: MemberId) -> Result<Option<Vec<LotView>>, StoreError> {
    context.database.read(|reader| {
        let Some(state) = settled(context, reader, program, id)? else { return Ok(None) };
        let mut views = Vec::new();
        for purse in &state.purses {
            let idle = purse.idle;
            views.extend(purse.lots.iter().map(|lot| LotView {
                currency: purse.currency.clone(),
                amount: lot.remaining.get(),
                state: "active",
                last_day: lot.last_day.or(idle.map(|(day, _)| day)),
                expires_at: lot.expires_at.or(idle.map(|(_, end)| end)),
                earned_at: Some(lot.earned_at),
                matures_at: None,
                funder: lot.funder.clone(),
                redemption: None,
            }));
            views.extend(purse.waits.iter().flat_map(|wait| wait.lots.iter().map(move |lot| (wait, lot))).map(
                |(wait, lot)| LotView {
                    currency: purse.currency.clone(),
                    amount: lot.remaining.get(),
                    state: "pending",
                    last_day: lot.last_day,
                    expires_at: lot.expires_at,
                    earned_at: Some(lot.earned_at),
                    matures_at: wait.matures_at,
                    funder: lot.funder.clone(),
                    redemption: None,
                },
            ));
        }
        for hold in &state.holds {
            let redemption = EventId { member: id, seq: hold.event }.to_string();
            views.extend(hold.lots.iter().map(|lot| LotView {
                currency: hold.terms.currency.clone(),
                amount: lot.remaining.get(),
                state: "held",
                last_day: lot.last_day,
                expires_at: lot.expires_at,
                earned_at: Some(lot.earned_at),
                matures_at: None,
                funder: lot.funder.clone(),
                redemption: Some(redemption.clone()),
            }));
        }
        Ok(Some(views))
    })
}

/// A member's ledger, newest first.
pub fn entries(
    context: &Context,
    program: &ProgramHandle,
    id: MemberId,
    page: &PageRequest,
) -> Result<Page<EntryView>, StoreError> {
    let rows = page_of(context, program, id, page, ENTRY_COLUMNS, "entry")?;
    let view = |row: &Vec<Value>| {
        let entry = entry_from_row(row)?;
        Ok(EntryView {
            seq: entry.seq,
            event_id: EventId { member: id, seq: entry.event }.to_string(),
            at: entry.at,
            currency: entry.currency,
            kind: entry.kind,
            from: entry.from,
            to: entry.to,
            amount: entry.amount.get(),
            lot: entry.lot.map(|lot| lot.to_string()),
            campaign: entry.campaign,
            program_version: entry.version,
            hash: crate::secret::hex(&entry.hash),
        })
    };
    paged(&rows, page, view, |entry: &EntryView| entry.seq)
}

/// What happened to a member, newest first.
pub fn events(
    context: &Context,
    program: &ProgramHandle,
    id: MemberId,
    page: &PageRequest,
) -> Result<Page<EventView>, StoreError> {
    let rows = page_of(context, program, id, page, EVENT_COLUMNS, "event")?;
    let items: Vec<StoredEvent> =
        rows.iter().take(page.limit).map(|row| event_from_row(row)).collect::<Result<_, _>>()?;
    let next = (rows.len() > page.limit).then(|| items.last().map(|last| last.recorded.seq.to_string())).flatten();
    Ok(Page { items: items.iter().map(|event| event_view(id, event)).collect::<Result<_, _>>()?, next })
}

/// One event; `None` where there is none.
pub fn event(
    context: &Context,
    program: &ProgramHandle,
    id: EventId,
) -> Result<Option<(EventView, StoredEvent)>, StoreError> {
    let mut params = member_key(program.number, id.member);
    params.push(number(id.seq).into());
    let sql =
        format!("SELECT {EVENT_COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND seq = $4");
    let rows = context.database.read(|reader| reader.query(&sql, &params))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let stored = event_from_row(row)?;
    Ok(Some((event_view(id.member, &stored)?, stored)))
}

fn event_view(member: MemberId, event: &StoredEvent) -> Result<EventView, StoreError> {
    let envelope = event.envelope()?;
    let recorded = &event.recorded;
    Ok(EventView {
        id: EventId { member, seq: recorded.seq }.to_string(),
        kind: recorded.kind.to_string(),
        status: recorded.status,
        time: recorded.effective_at,
        recorded_at: event.recorded_at,
        program_version: recorded.version,
        source: envelope.source.as_deref().map(str::to_owned),
        source_id: envelope.id.as_deref().map(str::to_owned),
        data: shown(&recorded.kind, envelope.data)?,
        effects: recorded.record.effects.clone(),
        basis: recorded.record.basis.clone(),
    })
}

/// The data of an event as it is shown: what a merged member had stays inside.
fn shown(kind: &str, data: &RawValue) -> Result<Box<RawValue>, StoreError> {
    if !matches!(kind, "merge-in" | "follow-up-refused") {
        return Ok(data.to_owned());
    }
    let corrupt = |error: serde_json::Error| StoreError::corrupt("event", "payload", error.to_string());
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(data.get()).map_err(corrupt)?;
    let is_merge = kind == "merge-in" || fields.get("kind").is_some_and(|kind| kind == "merge-in");
    if is_merge {
        fields.retain(|name, _| !matches!(name.as_str(), "state" | "data"));
    }
    serde_json::value::to_raw_value(&fields).map_err(corrupt)
}

pub(super) fn page_of(
    context: &Context,
    program: &ProgramHandle,
    id: MemberId,
    page: &PageRequest,
    columns: &str,
    table: &str,
) -> Result<Vec<Vec<Value>>, StoreError> {
    let mut params = member_key(program.number, id);
    params.push(number(page.below()).into());
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE bucket = $1 AND program = $2 AND member = $3 AND seq < $4 ORDER BY seq DESC LIMIT {}",
        page.limit + 1
    );
    context.database.read(|reader| reader.query(&sql, &params))
}

fn paged<T>(
    rows: &[Vec<Value>],
    page: &PageRequest,
    view: impl Fn(&Vec<Value>) -> Result<T, StoreError>,
    seq: impl Fn(&T) -> u64,
) -> Result<Page<T>, StoreError> {
    let items: Vec<T> = rows.iter().take(page.limit).map(view).collect::<Result<_, _>>()?;
    let next = (rows.len() > page.limit).then(|| items.last().map(|last| seq(last).to_string())).flatten();
    Ok(Page { items, next })
}

/// For every rule that looked at a stored event, why it did or did not apply, and what became of the order it is about:
/// worked out again from the basis of the event or of that order.
pub fn explain(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    event: &StoredEvent,
) -> Result<Vec<RuleTrace>, StoreError> {
    let versions = program.versions();
    let recorded = &event.recorded;
    let rules = versions.number(recorded.version).unwrap_or_else(|| versions.head());
    let data = event.envelope()?.data.get().to_owned();
    let what = tessera_core::event::read_event(&rules.definition, &recorded.kind, &data).ok();
    let mut trace = match recorded.kind.as_str() {
        "return" | "amend" | "exchange" => of_order(context, program, member, event)?,
        _ => Vec::new(),
    };
    trace.extend(decide::explain(rules, what.as_ref(), recorded));
    Ok(trace)
}

/// What an event changed of the order that it is about.
fn of_order(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    event: &StoredEvent,
) -> Result<Vec<RuleTrace>, StoreError> {
    let versions = program.versions();
    let Some((order_id, after)) = &event.recorded.record.progress else { return Ok(Vec::new()) };
    let key = own_key(program.number, &context.secrets.order_key(program.number, order_id));
    let events = context.database.read(|reader| {
        let rows = reader.fetch_by_keys(&tables::ORDER_KEY, std::slice::from_ref(&key))?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        events_between(reader, program.number, member, unsigned(row[4].int()?), event.recorded.seq)
    })?;
    let (Some(made_by), Some((_, earlier))) = (events.first(), events.split_last()) else { return Ok(Vec::new()) };
    let known = earlier.iter().rev().filter_map(|event| event.recorded.record.progress.as_ref());
    let before = known.into_iter().find(|(known, _)| known == order_id).map(|(_, progress)| progress.clone());
    let by_seq = |seq: u64| events.iter().find(|event| event.recorded.seq == seq).unwrap_or(made_by);
    let content = by_seq(before.as_ref().map_or(made_by.recorded.seq, |progress| progress.content));
    let record = order_record(&versions, member, made_by, content, before)?;
    let corrected = (after.content == event.recorded.seq).then(|| event.order(&versions)).transpose()?;
    let rules = versions.number(record.basis.version).unwrap_or_else(|| versions.head());
    Ok(decide::explain_order(rules, &record, corrected.as_ref(), after))
}
