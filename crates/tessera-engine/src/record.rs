//! Stored rows and what they mean: events with their records, entries, member states.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tessera_core::decide::{EventStatus, OrderProgress, OrderRecord, Record, Recorded};
use tessera_core::event::{Order, What, read_event};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::{Account, Entry, EntryKind, Redemption};
use tessera_core::member::MemberState;
use tessera_core::program::Versions;
use tessera_core::quantity::Points;
use tessera_core::time::Instant;
use tessera_store::{Reader, Row, StoreError, Table, Tx, Value};

/// Something rows can be read from: the executor's transaction, or a reader's snapshot.
pub trait Rows {
    fn fetch_by_keys(&mut self, table: &'static Table, keys: &[Row]) -> Result<Vec<Row>, StoreError>;
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Rows of several tables, each table's in the place of its keys.
    fn fetch_together(&mut self, asked: &[(&'static Table, Vec<Row>)]) -> Result<Vec<Vec<Row>>, StoreError> {
        asked.iter().map(|(table, keys)| self.fetch_by_keys(table, keys)).collect()
    }
}

impl Rows for Tx<'_> {
    fn fetch_by_keys(&mut self, table: &'static Table, keys: &[Row]) -> Result<Vec<Row>, StoreError> {
        Tx::fetch_by_keys(self, table, keys)
    }
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        Tx::query(self, sql, params)
    }
    fn fetch_together(&mut self, asked: &[(&'static Table, Vec<Row>)]) -> Result<Vec<Vec<Row>>, StoreError> {
        Tx::fetch_together(self, asked)
    }
}

impl Rows for Reader<'_> {
    fn fetch_by_keys(&mut self, table: &'static Table, keys: &[Row]) -> Result<Vec<Row>, StoreError> {
        Reader::fetch_by_keys(self, table, keys)
    }
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        Reader::query(self, sql, params)
    }
    fn fetch_together(&mut self, asked: &[(&'static Table, Vec<Row>)]) -> Result<Vec<Vec<Row>>, StoreError> {
        Reader::fetch_together(self, asked)
    }
}

/// The columns of `event`, in the order [`event_from_row`] reads them.
pub const EVENT_COLUMNS: &str = "seq, type, status, effective_at, recorded_at, program_version, payload, record";

/// The columns of `entry`, in the order [`entry_from_row`] reads them.
pub const ENTRY_COLUMNS: &str =
    "seq, event_seq, at, currency, kind, debit, credit, amount, lot, expires_at, campaign, program_version, hash";

/// An event as it came: who sent it under which id, and its data.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub source: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub id: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    pub data: &'a RawValue,
}

impl Envelope<'_> {
    pub fn text(source: Option<&str>, id: Option<&str>, data: &str) -> String {
        let mut text = String::with_capacity(data.len() + 48);
        text.push('{');
        for (name, value) in [("source", source), ("id", id)] {
            if let Some(value) = value {
                write_text(name, &mut text);
                text.push(':');
                write_text(value, &mut text);
                text.push(',');
            }
        }
        text.push_str("\"data\":");
        text.push_str(data);
        text.push('}');
        text
    }
}

/// Adds a text in its JSON form.
pub(crate) fn write_text(value: &str, text: &mut String) {
    if value.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        return text.push_str(&serde_json::Value::from(value).to_string());
    }
    text.push('"');
    text.push_str(value);
    text.push('"');
}

/// A stored event with what the core does not know: when it was recorded, and its envelope.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub recorded: Recorded,
    pub recorded_at: Instant,
    pub payload: String,
}

pub fn event_row(member: MemberId, program: i64, event: &Recorded, recorded_at: Instant, payload: String) -> Row {
    // A record holds maps with text keys and exact numbers: it always has a JSON form.
    let record = serde_json::to_string(&event.record).unwrap_or_default();
    vec![
        i64::from(member.bucket().get()).into(),
        program.into(),
        member.as_bytes().as_slice().into(),
        number(event.seq).into(),
        event.kind.as_str().into(),
        event.status.code().into(),
        event.effective_at.micros().into(),
        recorded_at.micros().into(),
        i64::from(event.version).into(),
        payload.into(),
        record.into(),
    ]
}

/// Reads a row of [`EVENT_COLUMNS`] from `offset` on. Entries are read on their own.
pub fn event_from_row(row: &[Value]) -> Result<StoredEvent, StoreError> {
    let corrupt = |column: &'static str, problem: String| StoreError::corrupt("event", column, problem);
    let record: Record = serde_json::from_str(row[7].text()?).map_err(|error| corrupt("record", error.to_string()))?;
    let recorded = Recorded {
        seq: unsigned(row[0].int()?),
        kind: row[1].text()?.into(),
        status: EventStatus::from_code(row[2].int()?).ok_or_else(|| corrupt("status", "unknown".to_owned()))?,
        effective_at: Instant::from_micros(row[3].int()?),
        version: u32::try_from(row[5].int()?).map_err(|_| corrupt("program_version", "too large".to_owned()))?,
        data: None,
        record,
        entries: Vec::new(),
    };
    Ok(StoredEvent { recorded, recorded_at: Instant::from_micros(row[4].int()?), payload: row[6].text()?.to_owned() })
}

impl StoredEvent {
    /// The event's data as they came.
    pub fn envelope(&self) -> Result<Envelope<'_>, StoreError> {
        serde_json::from_str(&self.payload).map_err(|error| StoreError::corrupt("event", "payload", error.to_string()))
    }

    /// Whether this is what a command with this key did. One from before the database was spread says no key.
    pub(crate) fn is_of(&self, key: &[u8; 16]) -> bool {
        let record = &self.recorded.record;
        record.key.as_ref().map_or(record.answer.is_some(), |found| *found == crate::secret::hex(key))
    }

    /// The order this event made or corrected, read as its version reads it.
    pub fn order(&self, versions: &Versions) -> Result<Order, StoreError> {
        let program = versions.number(self.recorded.version).unwrap_or_else(|| versions.head());
        let data = self.envelope()?.data.get();
        let corrupt = |problem: String| StoreError::corrupt("event", "payload", problem);
        // A claimed order is the purchase as it was.
        let kind = if self.recorded.kind == "claim" { "purchase" } else { self.recorded.kind.as_str() };
        match read_event(&program.definition, kind, data).map_err(|error| corrupt(error.to_string()))? {
            What::Purchase(order) | What::Amend(order) => Ok(order),
            What::Exchange(exchange) => Ok(exchange.bought),
            _ => Err(corrupt("this event makes no order".to_owned())),
        }
    }
}

/// An order from the event that made it, the event that holds its content, and its progress.
pub fn order_record(
    versions: &Versions,
    member: MemberId,
    made_by: &StoredEvent,
    content: &StoredEvent,
    progress: Option<OrderProgress>,
) -> Result<OrderRecord, StoreError> {
    let record = &made_by.recorded.record;
    let content = content.order(versions)?;
    Ok(OrderRecord {
        order_id: content.order_id.clone(),
        member,
        made_by: member,
        event: made_by.recorded.seq,
        effective_at: made_by.recorded.effective_at,
        basis: record.basis.clone().unwrap_or_default(),
        content,
        credits: record.credits.clone(),
        vouchers: record.vouchers.clone(),
        progress,
    })
}

pub fn progress_from_text(text: Option<&str>) -> Result<Option<OrderProgress>, StoreError> {
    let read = |text: &str| {
        serde_json::from_str(text).map_err(|error| StoreError::corrupt("order_key", "progress", error.to_string()))
    };
    text.map(read).transpose()
}

/// How far an order has come by its row: where the database is spread over shards, by a second one in the bucket of the
/// member who made it, written from the first return on. With the version of that row, 0 where there is none yet.
pub(crate) fn order_progress(
    rows: &mut dyn Rows,
    spread: bool,
    row: &Row,
) -> Result<(Option<i64>, Option<OrderProgress>), StoreError> {
    if !spread {
        return Ok((None, progress_from_text(row[6].opt_text()?)?));
    }
    let member = crate::programs::member_id(row[3].bytes()?)?;
    let own = vec![i64::from(member.bucket().get()).into(), row[1].clone(), row[2].clone()];
    if own[0] == row[0] {
        return Ok((Some(row[5].int()?), progress_from_text(row[6].opt_text()?)?));
    }
    let local = rows.fetch_by_keys(&tessera_store::tables::ORDER_KEY, &[own])?;
    let of_member = local.first().filter(|local| local[3] == row[3] && local[4] == row[4]);
    match of_member {
        Some(local) => Ok((Some(local[5].int()?), progress_from_text(local[6].opt_text()?)?)),
        None => Ok((Some(0), progress_from_text(row[6].opt_text()?)?)),
    }
}

/// The key columns of a redemption: those of the event that made it.
pub fn redemption_key(program: i64, redemption: EventId) -> Row {
    let mut key = member_key(program, redemption.member);
    key.push(number(redemption.seq).into());
    key
}

pub fn redemption_from_text(text: &str) -> Result<Redemption, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt("redemption", "progress", error.to_string()))
}

pub fn entry_row(member: MemberId, program: i64, entry: &Entry) -> Row {
    vec![
        i64::from(member.bucket().get()).into(),
        program.into(),
        member.as_bytes().as_slice().into(),
        number(entry.seq).into(),
        number(entry.event).into(),
        entry.at.micros().into(),
        entry.currency.as_str().into(),
        i64::from(entry.kind.code()).into(),
        i64::from(entry.from.code()).into(),
        i64::from(entry.to.code()).into(),
        entry.amount.get().into(),
        entry.lot.as_ref().map(ToString::to_string).into(),
        entry.expires_at.map(Instant::micros).into(),
        entry.campaign.as_ref().map(|campaign| campaign.as_str().to_owned()).into(),
        i64::from(entry.version).into(),
        entry.hash.as_slice().into(),
    ]
}

/// Reads a row of [`ENTRY_COLUMNS`].
pub fn entry_from_row(row: &[Value]) -> Result<Entry, StoreError> {
    let corrupt = |column: &'static str| StoreError::corrupt("entry", column, "not a value of ours");
    let code = |value: &Value, column| u8::try_from(value.int()?).map_err(|_| corrupt(column));
    Ok(Entry {
        seq: unsigned(row[0].int()?),
        event: unsigned(row[1].int()?),
        at: Instant::from_micros(row[2].int()?),
        currency: row[3].text()?.parse().map_err(|_| corrupt("currency"))?,
        kind: EntryKind::from_code(code(&row[4], "kind")?).ok_or_else(|| corrupt("kind"))?,
        from: Account::from_code(code(&row[5], "debit")?).ok_or_else(|| corrupt("debit"))?,
        to: Account::from_code(code(&row[6], "credit")?).ok_or_else(|| corrupt("credit"))?,
        amount: Points::new(row[7].int()?).map_err(|_| corrupt("amount"))?,
        lot: row[8].opt_text()?.map(str::parse).transpose().map_err(|_| corrupt("lot"))?,
        expires_at: row[9].opt_int()?.map(Instant::from_micros),
        campaign: row[10].opt_text()?.map(str::parse).transpose().map_err(|_| corrupt("campaign"))?,
        version: u32::try_from(row[11].int()?).map_err(|_| corrupt("program_version"))?,
        hash: row[12].bytes()?.try_into().map_err(|_| corrupt("hash"))?,
    })
}

pub fn member_row(program: i64, version: i64, state: &MemberState) -> Row {
    vec![
        i64::from(state.id.bucket().get()).into(),
        program.into(),
        state.id.as_bytes().as_slice().into(),
        version.into(),
        state.wake_at.map(Instant::micros).into(),
        state.status.code().into(),
        state.to_bytes().into(),
    ]
}

pub fn state_from_bytes(bytes: &[u8]) -> Result<MemberState, StoreError> {
    MemberState::from_bytes(bytes).map_err(|error| StoreError::corrupt("member", "state", error.to_string()))
}

/// Sequence numbers as the database holds them.
pub fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// The first three key columns of everything that belongs to a member.
pub fn member_key(program: i64, member: MemberId) -> Row {
    vec![i64::from(member.bucket().get()).into(), program.into(), member.as_bytes().as_slice().into()]
}

/// The key columns of a look-up key in its own bucket.
pub fn own_key(program: i64, key: &[u8; 16]) -> Row {
    vec![i64::from(tessera_core::id::Bucket::of(key).get()).into(), program.into(), key.as_slice().into()]
}

/// The rows of what an event drew.
pub(crate) fn draw_rows(member: MemberId, program: i64, event: &Recorded) -> Vec<Row> {
    let row = |(place, draw): (usize, &tessera_core::decide::Draw)| -> Row {
        vec![
            program.into(),
            draw.campaign.as_str().into(),
            event.effective_at.micros().into(),
            member.as_bytes().as_slice().into(),
            number(event.seq).into(),
            i64::try_from(place).unwrap_or(i64::MAX).into(),
            i64::from(draw.rule).into(),
            draw.chance.as_str().into(),
            i64::from(draw.drawn).into(),
            i64::from(draw.won).into(),
        ]
    };
    event.record.draws.iter().enumerate().map(row).collect()
}
