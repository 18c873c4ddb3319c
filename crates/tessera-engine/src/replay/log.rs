//! The recorded events as a replay reads them: what came from outside, without what it was decided to; but what was drawn
//! by chance stays drawn.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::Deserialize;
use tessera_core::decide::{EventStatus, Memory, Record};
use tessera_core::event::{FOLLOW_UP_TYPES, HouseholdNews, What, read_follow_up};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::Entry;
use tessera_core::member::{Change, MemberState};
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Reader, StoreError, Value};

use crate::record::{ENTRY_COLUMNS, Envelope, entry_from_row, member_key, number, state_from_bytes, unsigned};
use crate::relay::{DONE, Payload};

/// Members read in one query.
const PAGE: i64 = 500;

const COLUMNS: &str = "seq, type, status, effective_at, recorded_at, payload, record";

/// An event that somebody sent.
#[derive(Debug, Default)]
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
    /// The household that it founded.
    pub household: Option<MemberId>,
    /// The hash of the invitation's code that it made or used.
    pub invitation: Option<[u8; 16]>,
}

/// What a member lived through next.
#[derive(Debug)]
pub(super) enum Step {
    /// Somebody sent it, or another member's event caused it.
    Sent(Logged),
    /// Everything that had fallen due by then was settled, with no command.
    Settled(Settled),
}

/// Where something that a member lived through stands among all that was recorded.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Never before what the member had lived through by then, wherever the clock stood.
    pub recorded_at: Instant,
    /// The number of its first event, as it was recorded.
    pub from: u64,
    pub lived: Lived,
}

#[derive(Clone, Debug)]
pub(super) enum Lived {
    Sent { seq: u64, news: Option<News> },
    Settled(Settled),
}

/// What members told each other by an event.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub cause: Cause,
    pub kind: CompactString,
    /// It could not be told: why, as whoever wanted to tell it learned.
    pub refused: Option<CompactString>,
}

/// Which follow-up of which event it is. What was refused comes back under the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    pub event: EventId,
    pub number: u32,
}

/// What fell due was settled up to `to`, by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub to: Instant,
    pub recorded_at: Instant,
    /// The number of its first event.
    pub from: u64,
}

/// What time and the member's own events brought about is decided again; what other members caused comes as it came.
fn is_from_outside(kind: &str, status: i64) -> bool {
    // Where a member stands among all comes from looking at all.
    status != EventStatus::Derived.code() || kind == "ranking" || FOLLOW_UP_TYPES.contains(&kind)
}

/// An event, before it is known what it belongs to.
#[derive(Clone, Copy, Debug)]
struct Seen {
    seq: u64,
    effective_at: Instant,
    recorded_at: Instant,
    /// The last event of its command.
    ends: bool,
}

/// Finds out when something was settled by itself. A wake-up is not recorded, but what it settled is; and whatever comes
/// late is decided after it (I5). What a command settled or caused stands beside its own event.
#[derive(Debug, Default)]
struct ByItself {
    waiting: Vec<Seen>,
    last: Option<Seen>,
}

impl ByItself {
    /// The own event of a command comes: what was settled before it, and the number of its first event. `own`: how many
    /// events stand before it in the same command, where that is known; else those that may.
    fn before(&mut self, command: Seen, own: Option<usize>) -> (Vec<Settled>, u64) {
        let of_command = |seen: &&Seen| {
            !seen.ends && seen.recorded_at == command.recorded_at && seen.effective_at <= command.effective_at
        };
        let own = own.unwrap_or_else(|| self.waiting.iter().rev().take_while(of_command).count());
        let own = own.min(self.waiting.len());
        let first = self.waiting.split_off(self.waiting.len() - own).first().map_or(command.seq, |seen| seen.seq);
        let settled = self.rest();
        self.last = Some(command);
        (settled, first)
    }

    /// What was settled since the last command.
    fn rest(&mut self) -> Vec<Settled> {
        let caused = |settled: &Settled| {
            self.last.is_some_and(|last| settled.recorded_at == last.recorded_at && settled.to <= last.effective_at)
        };
        let mut list: Vec<Settled> = Vec::new();
        let mut goes_on = false;
        for seen in std::mem::take(&mut self.waiting) {
            match list.last_mut().filter(|last| goes_on && last.recorded_at == seen.recorded_at) {
                Some(last) => last.to = last.to.max(seen.effective_at),
                None => list.push(Settled { to: seen.effective_at, recorded_at: seen.recorded_at, from: seen.seq }),
            }
            goes_on = !seen.ends;
        }
        list.retain(|settled| !caused(settled));
        list
    }
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

/// One member.
pub(super) fn member(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
) -> Result<Option<MemberState>, StoreError> {
    let sql = "SELECT state FROM member WHERE bucket = $1 AND program = $2 AND member = $3";
    let rows = reader.query(sql, &member_key(program, member))?;
    rows.first().map(|row| state_from_bytes(row[0].bytes()?)).transpose()
}

/// Everybody whom a member was ever merged into.
pub(super) fn merged_into(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
) -> Result<Vec<MemberId>, StoreError> {
    let sql = "SELECT record FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND type = 'merge'";
    let mut survivors = Vec::new();
    for row in reader.query(sql, &member_key(program, member))? {
        survivors.extend(record(row[0].text()?)?.changes.into_iter().filter_map(|change| match change {
            Change::MergedInto { into } => Some(into),
            _ => None,
        }));
    }
    Ok(survivors)
}

fn record(text: &str) -> Result<Record, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt("event", "record", error.to_string()))
}

/// What a member lived through in business before `to`, in the order in which it was decided.
pub(super) fn steps(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
    to: Instant,
) -> Result<Vec<Step>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND effective_at < $4 ORDER BY seq"
    );
    let mut params = member_key(program, member);
    params.push(to.micros().into());
    let (mut steps, mut by_itself) = (Vec::new(), ByItself::default());
    reader.query_each(&sql, &params, &mut |row| {
        let seen = seen(&row[..5])?;
        if is_from_outside(row[1].text()?, row[2].int()?) {
            steps.extend(by_itself.before(seen, None).0.into_iter().map(Step::Settled));
            steps.push(Step::Sent(logged(&row)?));
        } else {
            by_itself.waiting.push(seen);
        }
        Ok(())
    })?;
    steps.extend(by_itself.rest().into_iter().map(Step::Settled));
    Ok(steps)
}

fn seen(row: &[Value]) -> Result<Seen, StoreError> {
    Ok(Seen {
        seq: unsigned(row[0].int()?),
        effective_at: Instant::from_micros(row[3].int()?),
        recorded_at: Instant::from_micros(row[4].int()?),
        // What a command brought a member goes into the pool when all of it is there.
        ends: row[1].text()? == "household-share",
    })
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

/// Between whom what one causes for another is decided again; between others it comes as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Between {
    /// A household and its people.
    #[default]
    Households,
    /// Also whoever sent points to somebody: all of them have to be lived through side by side.
    Everybody,
}

impl Between {
    pub fn is_told(self, kind: &str) -> bool {
        kind.starts_with("household-") || (self == Self::Everybody && kind == "transfer-in")
    }
}

/// What a member was told by an event; or could not tell.
fn news(between: Between, kind: &str, payload: &str) -> Result<Option<News>, StoreError> {
    let is_news = |kind: &str| between.is_told(kind) && FOLLOW_UP_TYPES.contains(&kind);
    let envelope = envelope(payload)?;
    // The key under which it came.
    let key = envelope.id.as_deref().and_then(|id| id.rsplit_once(':'));
    let cause =
        key.and_then(|(event, number)| Some(Cause { event: event.parse().ok()?, number: number.parse().ok()? }));
    Ok(match (cause, read_follow_up(kind, envelope.data.get())) {
        (Some(cause), Ok(What::FollowUpRefused(refused))) if is_news(&refused.kind) => {
            Some(News { cause, kind: refused.kind, refused: Some(refused.code) })
        }
        (Some(cause), Ok(_)) if is_news(kind) => Some(News { cause, kind: kind.into(), refused: None }),
        _ => None,
    })
}

/// The places of what a member lived through in business before `to`, in the order in which it was decided.
pub(super) fn places(
    reader: &mut Reader<'_>,
    program: i64,
    member: MemberId,
    (to, between): (Instant, Between),
) -> Result<Vec<Place>, StoreError> {
    let told: Vec<String> = FOLLOW_UP_TYPES.iter().map(|kind| format!("'{kind}'")).collect();
    let sql = format!(
        "SELECT seq, type, status, effective_at, recorded_at, \
         CASE WHEN type LIKE 'household-%' OR type IN ('transfer-in', 'follow-up-refused') THEN payload END, \
         CASE WHEN status <> 3 OR type IN ({}) THEN record END \
         FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND effective_at < $4 ORDER BY seq",
        told.join(", ")
    );
    let mut params = member_key(program, member);
    params.push(to.micros().into());
    let (mut places, mut by_itself) = (Vec::<Place>::new(), ByItself::default());
    let settled = |list: Vec<Settled>| {
        list.into_iter().map(|it| Place { recorded_at: it.recorded_at, from: it.from, lived: Lived::Settled(it) })
    };
    // What follows up to there belongs to the command before.
    let mut caused_until = 0;
    reader.query_each(&sql, &params, &mut |row| {
        let seen = seen(&row[..5])?;
        let kind = row[1].text()?;
        if !is_from_outside(kind, row[2].int()?) {
            if seen.seq > caused_until {
                by_itself.waiting.push(seen);
            }
            return Ok(());
        }
        let around = row[6].opt_text()?.map(around).transpose()?.flatten();
        caused_until = seen.seq + around.as_ref().map_or(0, |around| u64::from(around.after));
        let own = around.and_then(|around| usize::try_from(around.before).ok());
        let (before, from) = by_itself.before(seen, own);
        places.extend(settled(before));
        let news = row[5].opt_text()?.map(|payload| news(between, kind, payload)).transpose()?.flatten();
        places.push(Place { recorded_at: seen.recorded_at, from, lived: Lived::Sent { seq: seen.seq, news } });
        Ok(())
    })?;
    places.extend(settled(by_itself.rest()));
    // A clock that is put right steps back, and a member's own events stay in their order.
    let mut latest = Instant::MIN;
    for place in &mut places {
        latest = latest.max(place.recorded_at);
        place.recorded_at = latest;
    }
    Ok(places)
}

/// What members were told in business from `to` on: until there it has not arrived.
pub(super) fn told_from(
    reader: &mut Reader<'_>,
    program: i64,
    state: &MemberState,
    (to, between): (Instant, Between),
) -> Result<Vec<News>, StoreError> {
    if state.clock < to {
        return Ok(Vec::new());
    }
    let sql = "SELECT type, payload FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND effective_at >= $4 \
               AND (type LIKE 'household-%' OR type IN ('transfer-in', 'follow-up-refused'))";
    let mut params = member_key(program, state.id);
    params.push(to.micros().into());
    let mut told = Vec::new();
    for row in reader.query(sql, &params)? {
        told.extend(news(between, row[0].text()?, row[1].text()?)?);
    }
    Ok(told)
}

/// What is on its way between members, or never came: nobody was told it yet.
pub(super) fn on_the_way(reader: &mut Reader<'_>, program: i64, between: Between) -> Result<Vec<News>, StoreError> {
    let sql = format!("SELECT payload FROM outbox WHERE program = $1 AND kind = 'command' AND state <> {DONE}");
    let mut waits = Vec::new();
    for row in reader.query(&sql, &[program.into()])? {
        // What cannot be read reaches nobody either: the relay says so, and a replay goes on.
        let Ok(payload) = Payload::read(&row[0]) else { continue };
        let waiting = payload.follow_up.filter(|waiting| between.is_told(&waiting.kind));
        waits.extend(waiting.map(|waiting| News {
            cause: Cause { event: waiting.cause, number: waiting.number },
            kind: waiting.kind,
            refused: None,
        }));
    }
    Ok(waits)
}

/// Whether all that somebody lived through is there; else it was archived (`docs/scale.md`), with what they had by then.
pub(super) fn is_whole(reader: &mut Reader<'_>, program: i64, state: &MemberState) -> Result<bool, StoreError> {
    let sql = "SELECT seq FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND seq = 1";
    for member in std::iter::once(state.id).chain(state.merged.iter().map(|merged| merged.id)) {
        if reader.query(sql, &member_key(program, member))?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When the oldest event that is there was recorded.
pub(super) fn oldest(reader: &mut Reader<'_>, program: i64) -> Result<Option<Instant>, StoreError> {
    let sql = "SELECT MIN(recorded_at) FROM event WHERE program = $1";
    let rows = reader.query(sql, &[program.into()])?;
    Ok(rows.first().map(|row| row[0].opt_int()).transpose()?.flatten().map(Instant::from_micros))
}

/// How many events stand before and behind the own event of a command.
fn around(record: &str) -> Result<Option<Around>, StoreError> {
    let read: Answered =
        serde_json::from_str(record).map_err(|error| StoreError::corrupt("event", "record", error.to_string()))?;
    Ok(read.answer)
}

#[derive(Deserialize)]
struct Answered {
    answer: Option<Around>,
}

#[derive(Deserialize)]
struct Around {
    before: u32,
    after: u32,
}

/// What the program knew of a member who came back when they did (P3), from the event they joined by.
pub(super) fn memory(reader: &mut Reader<'_>, program: i64, member: MemberId) -> Result<Option<Memory>, StoreError> {
    let sql = "SELECT record FROM event WHERE bucket = $1 AND program = $2 AND member = $3 AND seq = 1";
    let rows = reader.query(sql, &member_key(program, member))?;
    let Some(text) = rows.first().map(|row| row[0].text()).transpose()? else { return Ok(None) };
    if !text.contains("\"rejoined\"") {
        return Ok(None);
    }
    Ok(Memory::recorded(&record(text)?))
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

fn envelope(payload: &str) -> Result<Envelope<'_>, StoreError> {
    serde_json::from_str(payload).map_err(|error| StoreError::corrupt("event", "payload", error.to_string()))
}

/// Whether an event's record holds what stands in no data: what was drawn, who rang up their own purchase, of a claimed code
/// what it was for, the household that was founded, the code that let somebody in.
fn tells(kind: &str, record: &str) -> bool {
    let always = ["voucher-redemption", "household", "household-invite", "household-accept"];
    always.contains(&kind) || record.contains("\"draws\":") || record.contains("\"own_purchase\":")
}

fn logged(row: &[Value]) -> Result<Logged, StoreError> {
    let envelope = envelope(row[5].text()?)?;
    let text = row[6].text()?;
    let record = if tells(row[1].text()?, text) { record(text)? } else { Record::default() };
    let follow_ups = &record.follow_ups;
    let household = follow_ups.iter().find(|caused| caused.kind == "household-made").map(|caused| caused.to);
    Ok(Logged {
        seq: unsigned(row[0].int()?),
        kind: row[1].text()?.to_owned(),
        effective_at: Instant::from_micros(row[3].int()?),
        recorded_at: Instant::from_micros(row[4].int()?),
        data: envelope.data.get().to_owned(),
        voucher: record.vouchers.first().map(|used| used.voucher.clone()),
        is_own_purchase: record.basis.as_ref().is_some_and(|basis| basis.own_purchase.is_some()),
        household,
        invitation: invitation(&record),
        draws: drawn(record),
    })
}

/// The code's hash of the invitation that an event made, or asked to be let in by.
fn invitation(record: &Record) -> Option<[u8; 16]> {
    let made = record.changes.iter().find_map(|change| match change {
        Change::Invited { invitation } => Some(invitation.code),
        _ => None,
    });
    let used = || {
        record.follow_ups.iter().find_map(|caused| match read_follow_up(&caused.kind, &caused.data) {
            Ok(What::HouseholdNews(HouseholdNews::Join { code, .. })) => code,
            _ => None,
        })
    };
    made.or_else(used)
}

/// The numbers that an event's rules drew, by its record; of a rule that drew more than once the first.
fn drawn(record: Record) -> BTreeMap<CompactString, u32> {
    let mut numbers = record.basis.map(|basis| basis.draws).unwrap_or_default();
    for draw in record.draws {
        numbers.entry(draw.key()).or_insert(draw.drawn);
    }
    numbers
}
