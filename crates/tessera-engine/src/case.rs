//! Cases: what was more than a velocity rule lets pass, for somebody to look into.
//!
//! There is one for each rule, subject and window; what comes to it later is added with its event. It is written in the
//! transaction of the command that was more, also where that was refused. A closed case counts on without being opened
//! again: somebody has judged that subject and window, and the next window has a case of its own.

mod look_up;
mod windows;

use std::collections::BTreeMap;
use std::str::FromStr;

use compact_str::CompactString;
use serde::Serialize;
use tessera_core::decide::CaseHit;
use tessera_core::id::{EventId, MemberId, base32};
use tessera_core::program::{VelocityAction, Watched};
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError, Tx, Value, tables};

use crate::adjustment::By;
use crate::executor::{Context, Executor, pool_key};
use crate::programs::{ProgramHandle, member_id};
use crate::query::{Page, PageRequest};
use crate::record::{number, unsigned};
use crate::secret::Secrets;
use crate::submission::{Refusal, Submission};

pub use look_up::look_up;
pub use windows::forget_windows;
pub(crate) use windows::sweep;

/// Commands of a case that are shown with it, newest first.
pub const HITS_SHOWN: usize = 100;

/// The name of the case that a hit belongs to.
pub(crate) fn case_id(secrets: &Secrets, program: i64, hit: &CaseHit) -> String {
    let of = format!("{}\n{}\n{}", hit.rule, hit.subject, hit.until.micros());
    format!("case_{}", base32(&secrets.event_key(program, "tessera:cases", &of)))
}

/// What a batch adds to cases.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    /// The last hit of each, how many there were, and when.
    files: BTreeMap<(i64, String), (CaseHit, i64, Instant)>,
    hits: BTreeMap<(i64, String, Vec<u8>), Row>,
}

impl Cases {
    /// `came`: the number of its event, or how it was refused.
    pub fn add(&mut self, command: &Submission, (id, hit): (String, CaseHit), came: Result<Option<u64>, &Refusal>) {
        let program = command.program.number;
        let key = command.key.map(|(key, _)| key.to_vec()).unwrap_or_default();
        let (seq, refusal) = match came {
            Ok(seq) => (seq, None),
            Err(refusal) => (None, Some(refusal.code.clone())),
        };
        let text = |text: &Option<CompactString>| text.as_deref().map(str::to_owned);
        let origin = &command.origin;
        let row = vec![
            program.into(),
            id.as_str().into(),
            key.as_slice().into(),
            command.recorded_at.micros().into(),
            known_member(hit.member).into(),
            seq.map(number).into(),
            hit.by.into(),
            refusal.into(),
            text(&origin.key).unwrap_or_default().into(),
            text(&origin.staff).into(),
            text(&origin.device).into(),
            text(&origin.location).into(),
        ];
        self.hit((program, id), hit, (key, row), command.recorded_at);
    }

    fn hit(&mut self, of: (i64, String), hit: CaseHit, (key, row): (Vec<u8>, Row), now: Instant) {
        // A command that is more for several limits of a rule is one.
        let is_new = self.hits.insert((of.0, of.1.clone(), key), row).is_none();
        let file = self.files.entry(of).or_insert_with(|| (hit.clone(), 0, now));
        (file.0, file.1, file.2) = (hit, file.1 + i64::from(is_new), now);
    }

    pub fn write(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if self.files.is_empty() {
            return Ok(());
        }
        for ((program, id), (hit, hits, now)) in &self.files {
            let rule = hit.rule.to_string();
            metrics::counter!("tessera_case_hits_total", "rule" => rule, "action" => word(hit.action))
                .increment(unsigned(*hits));
            tx.execute(ADD, &row_of(*program, id, hit, *hits, *now))?;
        }
        tx.upsert_rows(&tables::CASE_HIT, &self.hits.into_values().collect::<Vec<_>>())
    }
}

/// Opens a case, or adds to it. What is to be let pass beyond a limit is that of the last command that waits.
const ADD: &str = "INSERT INTO case_file (program, id, rule, what, per, subject, member, began_at, ends_at, most, used, \
    wanted, more, hits, action, state, opened_at, changed_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, $16, $16) \
    ON CONFLICT (program, id) DO UPDATE SET hits = case_file.hits + excluded.hits, most = excluded.most, \
    used = CASE WHEN excluded.used > case_file.used THEN excluded.used ELSE case_file.used END, \
    wanted = excluded.wanted, more = excluded.more, changed_at = excluded.changed_at";

fn row_of(program: i64, id: &str, hit: &CaseHit, hits: i64, now: Instant) -> Row {
    vec![
        program.into(),
        id.into(),
        hit.rule.as_str().into(),
        hit.what.word().into(),
        hit.per.words().into(),
        hit.subject.as_str().into(),
        known_member(hit.member).into(),
        hit.from.micros().into(),
        hit.until.micros().into(),
        hit.most.into(),
        hit.used.into(),
        (hit.used - hit.most).into(),
        hit.more.as_str().into(),
        hits.into(),
        word(hit.action).into(),
        now.micros().into(),
    ]
}

/// A look-up is about nobody yet.
fn known_member(member: MemberId) -> Option<Vec<u8>> {
    Some(member.as_bytes().to_vec()).filter(|bytes| bytes.iter().any(|byte| *byte != 0))
}

const fn word(action: VelocityAction) -> &'static str {
    match action {
        VelocityAction::Flag => "flag",
        VelocityAction::Hold => "hold",
        VelocityAction::Refuse => "refuse",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    /// Somebody looks into it.
    Taken,
    Closed,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Open, Self::Taken, Self::Closed];

    /// The number stored for it; never changes.
    const fn code(self) -> i64 {
        match self {
            Self::Open => 1,
            Self::Taken => 2,
            Self::Closed => 3,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Taken => "taken",
            Self::Closed => "closed",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What came of looking into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Abuse,
    Fine,
    Unsure,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Abuse, Self::Fine, Self::Unsure];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Abuse => "abuse",
            Self::Fine => "fine",
            Self::Unsure => "unsure",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }
}

/// A case as whoever looks into it sees it. Nobody's name: ids and keyed hashes.
#[derive(Clone, Debug, Serialize)]
pub struct CaseView {
    pub id: String,
    pub state: State,
    pub rule: String,
    /// What was counted.
    pub what: Watched,
    /// For whom: `staff`, or `staff and member`.
    pub per: String,
    pub subject: String,
    /// Of the first command; none for look-ups.
    pub member: Option<String>,
    pub from: Instant,
    /// The end of the window (exclusive).
    pub until: Instant,
    pub most: i64,
    /// The most that was counted, with what was refused.
    pub used: i64,
    /// Commands that were more.
    pub hits: i64,
    pub action: String,
    pub opened_at: Instant,
    pub changed_at: Instant,
    pub taken_by: Option<String>,
    pub taken_at: Option<Instant>,
    pub verdict: Option<String>,
    pub note: Option<String>,
    pub closed_by: Option<String>,
    pub closed_at: Option<Instant>,
}

/// A command that was more.
#[derive(Clone, Debug, Serialize)]
pub struct HitView {
    pub at: Instant,
    /// None for what was refused.
    pub event_id: Option<String>,
    pub member: Option<String>,
    pub added: i64,
    /// The code of its refusal.
    pub refusal: Option<String>,
    /// The id of the key.
    pub key: String,
    pub staff: Option<String>,
    pub device: Option<String>,
    pub location: Option<String>,
}

/// A place in a list of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(i64, String);

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once('.').ok_or(())?;
        Ok(Self(at.parse().map_err(|_| ())?, id.to_owned()))
    }
}

/// Which cases are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub state: Option<State>,
    pub rule: Option<String>,
    pub subject: Option<String>,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("{}", .0.detail)]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for CaseError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

pub fn unknown() -> Refusal {
    Refusal::new("unknown-case", "there is no such case in this program")
}

const COLUMNS: &str = "id, state, rule, what, per, subject, member, began_at, ends_at, most, used, hits, action, \
    opened_at, changed_at, taken_name, taken_at, verdict, note, closed_name, closed_at, taken_by, closed_by, wanted, more";

fn view(row: &[Value]) -> Result<CaseView, StoreError> {
    let text = |place: usize| Ok::<_, StoreError>(row[place].opt_text()?.map(str::to_owned));
    let at = |place: usize| Ok::<_, StoreError>(row[place].opt_int()?.map(Instant::from_micros));
    let code = row[1].int()?;
    let state = State::ALL.into_iter().find(|state| state.code() == code);
    Ok(CaseView {
        id: row[0].text()?.to_owned(),
        state: state.ok_or_else(|| StoreError::corrupt("case_file", "state", "not a value of ours"))?,
        rule: row[2].text()?.to_owned(),
        what: Watched::parse(row[3].text()?)
            .ok_or_else(|| StoreError::corrupt("case_file", "what", "nothing is counted so"))?,
        per: row[4].text()?.to_owned(),
        subject: row[5].text()?.to_owned(),
        member: row[6].opt_bytes()?.map(member_id).transpose()?.map(|member| member.to_string()),
        from: Instant::from_micros(row[7].int()?),
        until: Instant::from_micros(row[8].int()?),
        most: row[9].int()?,
        used: row[10].int()?,
        hits: row[11].int()?,
        action: row[12].text()?.to_owned(),
        opened_at: Instant::from_micros(row[13].int()?),
        changed_at: Instant::from_micros(row[14].int()?),
        taken_by: text(15)?,
        taken_at: at(16)?,
        verdict: text(17)?,
        note: text(18)?,
        closed_by: text(19)?,
        closed_at: at(20)?,
    })
}

/// Cases, newest first.
pub fn list(
    context: &Context,
    program: &ProgramHandle,
    wish: &Wish,
    page: &PageRequest,
) -> Result<Page<CaseView>, StoreError> {
    let Place(at, id) =
        page.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(Place(i64::MAX, String::new()));
    let mut params: Row = vec![program.number.into(), at.into(), id.into()];
    let mut wanted = String::new();
    let filters = [
        ("state", wish.state.map(|state| Value::from(state.code()))),
        ("rule", wish.rule.as_deref().map(Value::from)),
        ("subject", wish.subject.as_deref().map(Value::from)),
    ];
    for (column, value) in filters {
        if let Some(value) = value {
            params.push(value);
            wanted.push_str(&format!(" AND {column} = ${}", params.len()));
        }
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM case_file WHERE program = $1 AND (opened_at < $2 OR (opened_at = $2 AND id < $3)){wanted} \
         ORDER BY opened_at DESC, id DESC LIMIT {}",
        page.limit + 1
    );
    let rows = context.database.read(|reader| reader.query(&sql, &params))?;
    let items: Vec<CaseView> = rows.iter().take(page.limit).map(|row| view(row)).collect::<Result<_, _>>()?;
    let last = items.last().filter(|_| rows.len() > page.limit);
    let next = last.map(|last| format!("{}.{}", last.opened_at.micros(), last.id));
    Ok(Page { items, next })
}

/// A case with its newest commands; `None` where there is none.
pub fn show(
    context: &Context,
    program: &ProgramHandle,
    id: &str,
) -> Result<Option<(CaseView, Vec<HitView>)>, StoreError> {
    let key = [program.number.into(), id.into()];
    let sql = format!("SELECT {COLUMNS} FROM case_file WHERE program = $1 AND id = $2");
    let hits = format!(
        "SELECT at, member, event_seq, added, refusal, asked_by, staff, device, location FROM case_hit \
         WHERE program = $1 AND id = $2 ORDER BY at DESC, command LIMIT {HITS_SHOWN}"
    );
    let (found, rows) =
        context.database.read(|reader| Ok::<_, StoreError>((reader.query(&sql, &key)?, reader.query(&hits, &key)?)))?;
    let Some(found) = found.first() else { return Ok(None) };
    let hit = |row: &Row| {
        let member = row[1].opt_bytes()?.map(member_id).transpose()?;
        let text = |place: usize| Ok::<_, StoreError>(row[place].opt_text()?.map(str::to_owned));
        let event = member.zip(row[2].opt_int()?).map(|(member, seq)| EventId { member, seq: unsigned(seq) });
        Ok::<_, StoreError>(HitView {
            at: Instant::from_micros(row[0].int()?),
            event_id: event.map(|event| event.to_string()),
            member: member.map(|member| member.to_string()),
            added: row[3].int()?,
            refusal: text(4)?,
            key: row[5].text()?.to_owned(),
            staff: text(6)?,
            device: text(7)?,
            location: text(8)?,
        })
    };
    Ok(Some((view(found)?, rows.iter().map(hit).collect::<Result<_, _>>()?)))
}

/// Somebody looks into it.
///
/// # Errors
/// If there is none, it is closed, or somebody else looks into it.
pub fn take(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    id: &str,
    by: &By,
) -> Result<CaseView, CaseError> {
    let params: Vec<Value> =
        vec![program.number.into(), id.into(), who(by).into(), named(by).into(), context.clock.now().micros().into()];
    let update = "UPDATE case_file SET state = 2, taken_by = $3, taken_name = $4, taken_at = $5 \
                  WHERE program = $1 AND id = $2 AND (state = 1 OR (state = 2 AND taken_by = $3))";
    let changed = executor.write(move |tx: &mut Tx<'_>| tx.execute(update, &params))?;
    let (found, _) = show(context, program, id)?.ok_or_else(unknown)?;
    match found.state {
        _ if changed > 0 => Ok(found),
        State::Closed => Err(closed(&found).into()),
        _ => {
            let detail = format!("{} looks into this case", found.taken_by.as_deref().unwrap_or("somebody else"));
            Err(Refusal::new("case-taken", detail).into())
        }
    }
}

/// Says what came of looking into it.
///
/// # Errors
/// If there is none, or it is closed.
pub fn close(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    id: &str,
    (verdict, note): (Verdict, Option<String>),
    by: &By,
) -> Result<CaseView, CaseError> {
    let params: Vec<Value> = vec![
        program.number.into(),
        id.into(),
        verdict.word().into(),
        note.into(),
        who(by).into(),
        named(by).into(),
        context.clock.now().micros().into(),
    ];
    let update = "UPDATE case_file SET state = 3, verdict = $3, note = $4, closed_by = $5, closed_name = $6, \
                  closed_at = $7 WHERE program = $1 AND id = $2 AND state <> 3";
    let changed = executor.write(move |tx: &mut Tx<'_>| tx.execute(update, &params))?;
    let (found, _) = show(context, program, id)?.ok_or_else(unknown)?;
    if changed == 0 {
        return Err(closed(&found).into());
    }
    metrics::counter!("tessera_cases_closed_total", "rule" => found.rule.clone(), "verdict" => verdict.word())
        .increment(1);
    Ok(found)
}

/// Lets the last command that waits for a second person pass, when it is sent again under a key of its own. Asked twice,
/// it lets no more pass.
///
/// # Errors
/// If there is none, it is closed, nothing waits, or the same key or person asked for what waits.
pub fn allow(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    id: &str,
    by: &By,
) -> Result<CaseView, CaseError> {
    let (found, hits) = show(context, program, id)?.ok_or_else(unknown)?;
    if found.state == State::Closed {
        return Err(closed(&found).into());
    }
    if found.action != word(VelocityAction::Hold) {
        let detail = format!("the rule {} has nothing wait for a second person", found.rule);
        return Err(Refusal::new("nothing-waits", detail).into());
    }
    let same =
        |hit: &HitView| hit.refusal.is_some() && (hit.key == by.key || by.staff.is_some() && hit.staff == by.staff);
    if hits.iter().any(same) {
        let detail = "whoever asks does not let it pass: another key and another person are needed";
        return Err(Refusal::new("same-person", detail).into());
    }
    let (number, case) = (program.number, id.to_owned());
    executor.write(move |tx: &mut Tx<'_>| {
        let sql = "SELECT wanted, more FROM case_file WHERE program = $1 AND id = $2";
        let rows = tx.query(sql, &[number.into(), case.as_str().into()])?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (wanted, key) = (row[0].int()?, pool_key(number, row[1].text()?));
        let known = tx.fetch_by_keys(&tables::POOL, std::slice::from_ref(&key))?;
        let known = known.first().map(|row| row[3].int()).transpose()?.unwrap_or(0);
        if wanted > known {
            tx.take_from_pools(&[(key, wanted - known, wanted)])?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

fn closed(found: &CaseView) -> Refusal {
    let verdict = found.verdict.as_deref().unwrap_or("closed");
    let by = found.closed_by.as_deref().unwrap_or("somebody");
    Refusal::new("case-closed", format!("{by} closed this case as {verdict}")).with("verdict", verdict)
}

/// A person where several use a key, else the key.
fn who(by: &By) -> String {
    match &by.staff {
        Some(staff) => format!("{}/{staff}", by.key),
        None => by.key.clone(),
    }
}

fn named(by: &By) -> String {
    match &by.staff {
        Some(staff) => format!("{} ({staff})", by.name),
        None => by.name.clone(),
    }
}

/// How many cases are open or taken, by rule, for whoever measures.
pub fn waiting(context: &Context, program: i64) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT rule, COUNT(*) FROM case_file WHERE program = $1 AND state < 3 GROUP BY rule ORDER BY rule";
    let rows = context.database.read(|reader| reader.query(sql, &[program.into()]))?;
    rows.iter().map(|row| Ok((row[0].text()?.to_owned(), row[1].int()?))).collect()
}
