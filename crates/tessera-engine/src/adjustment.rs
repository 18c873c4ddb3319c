//! Adjustments that wait for a second person (A2), and how one is undone.
//!
//! What the document lets a role do alone goes through the door at once. What needs a second person is kept in a table
//! beside it until somebody else agrees; then it goes through the same door, once, whoever asks again. Notes lie in that
//! table too, and never in the ledger.

mod kept;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc;

use serde::Serialize;
use serde_json::json;
use tessera_core::decide::OutcomeStatus;
use tessera_core::event::{Adjustment, Asker, Undone};
use tessera_core::id::{EventId, base32};
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Row, StoreError, Tx, Value};

use crate::executor::{Context, Executor};
use crate::identifier::Subject;
use crate::programs::{ProgramHandle, member_id};
use crate::query::{self, Page};
use crate::record::{ENTRY_COLUMNS, entry_from_row, member_key, number, own_key, unsigned};
use crate::submission::{Answer, Refusal, Submission};
use kept::{COLUMNS, Kept, find, keep};

/// Who asks for an adjustment, or decides about one: the key that was used, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct By {
    pub key: String,
    /// The name of the key, as histories show it.
    pub name: String,
    pub role: Option<Id>,
    pub staff: Option<String>,
}

impl By {
    fn asker(&self, approved: bool) -> Asker {
        Asker {
            key: self.key.as_str().into(),
            role: self.role.clone(),
            staff: self.staff.as_deref().map(Into::into),
            approved,
        }
    }
}

/// An adjustment that somebody wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub member: Subject,
    pub currency: Id,
    pub amount: i64,
    pub reason: String,
    /// What else is to be known about it; kept beside the ledger.
    pub note: Option<String>,
    pub undoes: Option<EventId>,
    pub by: By,
    /// The caller's idempotency key.
    pub key: String,
}

/// What became of it.
#[derive(Debug)]
pub enum Asked {
    Decided(Answer),
    /// It waits for a second person, or did.
    Waiting(Box<AdjustmentView>),
}

/// An adjustment that is kept beside the ledger, as whoever may ask sees it.
#[derive(Clone, Debug, Serialize)]
pub struct AdjustmentView {
    pub id: String,
    pub state: State,
    pub member: String,
    pub currency: String,
    pub amount: i64,
    pub reason: String,
    pub note: Option<String>,
    /// The event that it undoes.
    pub undoes: Option<String>,
    /// The name of the key.
    pub asked_by: String,
    pub role: Option<String>,
    pub staff: Option<String>,
    pub asked_at: Instant,
    /// When it is no longer to be approved.
    pub ends_at: Option<Instant>,
    pub decided_by: Option<String>,
    pub decided_at: Option<Instant>,
    /// The event of the member that it became.
    pub event_id: Option<String>,
    /// Why the door refused it after it was approved.
    pub refusal: Option<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Waiting,
    /// Agreed to, and on its way through the door.
    Approved,
    Applied,
    Rejected,
    /// Agreed to, and refused by the door.
    Refused,
    /// Nobody decided in time.
    Expired,
}

impl State {
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Approved, Self::Applied, Self::Rejected, Self::Refused, Self::Expired];

    /// The number stored for it; never changes. What expired is stored as waiting, with its end.
    const fn code(self) -> i64 {
        match self {
            Self::Waiting | Self::Expired => 1,
            Self::Approved => 2,
            Self::Applied => 3,
            Self::Rejected => 4,
            Self::Refused => 5,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum AdjustmentError {
    #[error("{}", .0.detail)]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for AdjustmentError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn unknown() -> Refusal {
    Refusal::new("unknown-adjustment", "there is no such adjustment in this program")
}

/// Adjusts at once, or keeps what needs a second person.
///
/// # Errors
/// What is refused before the door is asked, and a database that fails.
pub fn ask(
    context: &Context,
    executor: &Executor,
    program: &Arc<ProgramHandle>,
    wanted: Wanted,
) -> Result<Asked, AdjustmentError> {
    let now = context.clock.now();
    let id = id_of(context, program, &wanted.key);
    let hash = hash_of(context, &wanted);
    if let Some(known) = find(&context.database, program, &id)? {
        if known.hash != hash {
            let detail = "another adjustment was asked for under this key; give this one a key of its own";
            return Err(Refusal::new("idempotency-key-reused", detail).into());
        }
        if known.state != State::Applied {
            return Ok(Asked::Waiting(Box::new(known.view(now))));
        }
    }
    let adjustment = adjustment_of(context, program, &wanted, false)?;
    let submission = Submission::adjusting(&context.secrets, program, &wanted, adjustment, None, now);
    let answer = through(executor, submission);
    match &answer {
        Answer::Refused(refusal) if refusal.code == "second-approval-needed" => {
            let member = query::find_member(context, program, &wanted.member)?;
            let Some(member) = member else { return Ok(Asked::Decided(answer)) };
            let rules = program.versions().at(now).clone();
            let waits = rules.definition.adjustments.as_ref().map(|rules| rules.waits);
            // To the end of the last day that it waits.
            let ends_at = waits.map(|waits| rules.calendar.end(waits.after(rules.calendar.day(now))));
            let kept = Kept::new(id, hash, member, &wanted, State::Waiting, now, ends_at);
            keep(executor, program, &kept)?;
            Ok(Asked::Waiting(Box::new(kept.view(now))))
        }
        Answer::Done { outcome, .. } if wanted.note.is_some() => {
            let event: Option<EventId> = outcome.event_id.parse().ok();
            if let Some(event) = event {
                let state = State::Applied;
                let kept =
                    Kept { event: Some(event.seq), ..Kept::new(id, hash, event.member, &wanted, state, now, None) };
                keep(executor, program, &kept)?;
            }
            Ok(Asked::Decided(answer))
        }
        _ => Ok(Asked::Decided(answer)),
    }
}

/// Agrees to an adjustment that waits; it then goes through the door, once, however often this is asked.
///
/// # Errors
/// If there is none, it is decided or over, the same key or person asked for it, or the role is too small.
pub fn approve(
    context: &Context,
    executor: &Executor,
    program: &Arc<ProgramHandle>,
    id: &str,
    by: &By,
) -> Result<(AdjustmentView, Answer), AdjustmentError> {
    let now = context.clock.now();
    let known = find(&context.database, program, id)?.ok_or_else(unknown)?;
    let is_again = matches!(known.state, State::Approved | State::Applied | State::Refused)
        && known.decided.as_ref().is_some_and(|decided| decided.key == by.key);
    if !is_again {
        must_wait(&known, now)?;
        another_person(&known, by)?;
        let rules = program.versions().at(now).clone();
        let most =
            rules.definition.adjustments.as_ref().and_then(|rules| rules.most(by.role.as_ref(), &known.currency));
        let wanted = known.amount.checked_abs().unwrap_or(i64::MAX);
        if let Some(most) = most.filter(|most| wanted > *most) {
            let why = if by.role.is_none() { ": it has no role" } else { "" };
            let detail = format!("{wanted} {} are more than this key may approve, {most}{why}", known.currency);
            let refusal = Refusal::new("approval-above-limit", detail);
            return Err(refusal.with("wanted", wanted).with("most", most).into());
        }
        decide(executor, program, id, State::Approved, by, now)?;
    }
    let known = find(&context.database, program, id)?.ok_or_else(unknown)?;
    let answer = finish(context, executor, program, &known)?;
    let known = find(&context.database, program, id)?.ok_or_else(unknown)?;
    Ok((known.view(now), answer))
}

/// Says no to an adjustment that waits. Whoever asked may take it back so.
///
/// # Errors
/// If there is none, or it is decided or over.
pub fn reject(
    context: &Context,
    executor: &Executor,
    program: &Arc<ProgramHandle>,
    id: &str,
    by: &By,
) -> Result<AdjustmentView, AdjustmentError> {
    let now = context.clock.now();
    let known = find(&context.database, program, id)?.ok_or_else(unknown)?;
    let is_again =
        known.state == State::Rejected && known.decided.as_ref().is_some_and(|decided| decided.key == by.key);
    if !is_again {
        must_wait(&known, now)?;
        decide(executor, program, id, State::Rejected, by, now)?;
    }
    Ok(find(&context.database, program, id)?.ok_or_else(unknown)?.view(now))
}

/// Sends what was agreed to and did not come through, as after a crash. Says how many there were.
pub fn finish_approved(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    // By program, as the index has them: this is asked every second.
    let sql = format!(
        "SELECT adjustment.program, {COLUMNS} FROM program JOIN adjustment ON adjustment.program = program.program AND adjustment.state = 2 LIMIT 100"
    );
    let rows = context.database.read(|reader| reader.query(&sql, &[]))?;
    let mut done = 0;
    for mut row in rows {
        let program = row.remove(0).int()?;
        let Some(program) = crate::scheduler::program_of(context, program)? else { continue };
        match finish(context, executor, &program, &Kept::from_row(&row)?) {
            Ok(Answer::Unavailable) | Err(AdjustmentError::Refused(_)) => {}
            Ok(_) => done += 1,
            Err(AdjustmentError::Store(error)) => return Err(error),
        }
    }
    Ok(done)
}

/// One that is kept; `None` where there is none.
pub fn show(context: &Context, program: &ProgramHandle, id: &str) -> Result<Option<AdjustmentView>, StoreError> {
    Ok(find(&context.database, program, id)?.map(|known| known.view(context.clock.now())))
}

/// A place in a list of adjustments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(i64, String);

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once('.').ok_or(())?;
        Ok(Self(at.parse().map_err(|_| ())?, id.to_owned()))
    }
}

/// Those of a state, newest first.
pub fn list(
    context: &Context,
    program: &ProgramHandle,
    state: State,
    page: &query::PageRequest,
) -> Result<Page<AdjustmentView>, StoreError> {
    let now = context.clock.now();
    let Place(at, id) =
        page.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(Place(i64::MAX, String::new()));
    let ended = match state {
        State::Waiting => "AND (ends_at IS NULL OR ends_at > $5)",
        State::Expired => "AND ends_at <= $5",
        _ => "AND asked_at <= $5",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM adjustment WHERE program = $1 AND state = $2 AND (asked_at < $3 OR (asked_at = $3 AND id < $4)) {ended} ORDER BY asked_at DESC, id DESC LIMIT {}",
        page.limit + 1
    );
    let params = [program.number.into(), state.code().into(), at.into(), id.into(), now.micros().into()];
    let rows = context.database.read(|reader| reader.query(&sql, &params))?;
    let kept: Vec<Kept> = rows.iter().take(page.limit).map(|row| Kept::from_row(row)).collect::<Result<_, _>>()?;
    let last = kept.last().filter(|_| rows.len() > page.limit);
    let next = last.map(|last| format!("{}.{}", last.asked_at.micros(), last.id));
    Ok(Page { items: kept.into_iter().map(|kept| kept.view(now)).collect(), next })
}

/// The event of an adjustment that was made under a caller's key; `None` where there is none.
pub fn made_under(context: &Context, program: &ProgramHandle, key: &str) -> Result<Option<EventId>, StoreError> {
    let key = own_key(program.number, &context.secrets.event_key(program.number, "tessera:adjustments", key));
    let sql = "SELECT member, seq FROM event_key WHERE bucket = $1 AND program = $2 AND key = $3 AND seq IS NOT NULL";
    let rows = context.database.read(|reader| reader.query(sql, &key))?;
    let event = |row: &Row| Ok(EventId { member: member_id(row[0].bytes()?)?, seq: unsigned(row[1].int()?) });
    rows.first().map(event).transpose()
}

/// What an adjustment moved, for the one that undoes it. Its currency, amount and reason are those of the first.
///
/// # Errors
/// If the event is no adjustment, or undoes one itself.
pub fn undoing(
    context: &Context,
    program: &ProgramHandle,
    event: EventId,
) -> Result<(Adjustment, Undone), AdjustmentError> {
    let no_adjustment = || Refusal::new("unknown-adjustment", "no adjustment has this event id");
    let (_, stored) = query::event(context, program, event)?.ok_or_else(no_adjustment)?;
    if stored.recorded.kind != "adjustment" {
        return Err(no_adjustment().into());
    }
    let envelope = stored.envelope()?;
    let data: Told = serde_json::from_str(envelope.data.get())
        .map_err(|error| StoreError::corrupt("event", "payload", error.to_string()))?;
    if data.undoes.is_some() {
        let detail = "this adjustment undoes another one: make a new one in its place";
        return Err(Refusal::new("adjustment-is-an-undo", detail).into());
    }
    let mut params = member_key(program.number, event.member);
    params.push(number(event.seq).into());
    let sql = format!(
        "SELECT {ENTRY_COLUMNS} FROM entry WHERE bucket = $1 AND program = $2 AND member = $3 AND event_seq = $4 ORDER BY seq"
    );
    let rows = context.database.read(|reader| reader.query(&sql, &params))?;
    let entries = rows.iter().map(|row| entry_from_row(row)).collect::<Result<_, _>>()?;
    Ok((Adjustment::new(data.currency, data.amount, &data.reason), Undone { event: event.seq, entries }))
}

/// What the event of an adjustment says.
#[derive(serde::Deserialize)]
struct Told {
    currency: Id,
    amount: i64,
    reason: String,
    undoes: Option<String>,
}

fn adjustment_of(
    context: &Context,
    program: &ProgramHandle,
    wanted: &Wanted,
    approved: bool,
) -> Result<Adjustment, AdjustmentError> {
    let undoes = wanted.undoes.map(|event| undoing(context, program, event)).transpose()?.map(|(_, undone)| undone);
    Ok(Adjustment {
        currency: wanted.currency.clone(),
        amount: wanted.amount,
        reason: wanted.reason.as_str().into(),
        by: Some(wanted.by.asker(approved)),
        undoes,
    })
}

fn through(executor: &Executor, submission: Submission) -> Answer {
    let (answer, answered) = mpsc::sync_channel(1);
    let reply = Box::new(move |done| {
        let _ = answer.send(done);
    });
    match executor.submit_waiting(submission, reply) {
        Ok(()) => answered.recv().unwrap_or(Answer::Unavailable),
        Err(_) => Answer::Unavailable,
    }
}

fn id_of(context: &Context, program: &ProgramHandle, key: &str) -> String {
    format!("adj_{}", base32(&context.secrets.event_key(program.number, "tessera:adjustments", key)))
}

fn hash_of(context: &Context, wanted: &Wanted) -> Vec<u8> {
    let body = json!({
        "member": wanted.member.to_text(), "currency": wanted.currency.as_str(), "amount": wanted.amount,
        "reason": wanted.reason, "undoes": wanted.undoes.map(|event| event.to_string()),
    });
    context.secrets.command_hash(&[b"adjustment-asked", body.to_string().as_bytes()]).to_vec()
}

fn must_wait(known: &Kept, now: Instant) -> Result<(), Refusal> {
    match known.state_at(now) {
        State::Waiting => Ok(()),
        State::Expired => {
            let ended = known.ends_at.map(|at| at.to_string()).unwrap_or_default();
            let detail = format!("nobody decided about this adjustment until {ended}: ask for it again");
            Err(Refusal::new("adjustment-decided", detail).with("state", "expired"))
        }
        state => {
            let detail = format!("this adjustment is {}: there is nothing to decide", state.word());
            Err(Refusal::new("adjustment-decided", detail).with("state", state.word()))
        }
    }
}

/// Two people: neither the same key, nor the same staff with another.
fn another_person(known: &Kept, by: &By) -> Result<(), Refusal> {
    let same_staff = by.staff.is_some() && by.staff == known.asked.staff;
    if by.key == known.asked.key || same_staff {
        let detail = "whoever asks for an adjustment cannot approve it: another key and another person are needed";
        return Err(Refusal::new("same-person", detail));
    }
    Ok(())
}

/// Notes a decision, if nobody came first.
fn decide(
    executor: &Executor,
    program: &ProgramHandle,
    id: &str,
    state: State,
    by: &By,
    now: Instant,
) -> Result<(), AdjustmentError> {
    let params: Vec<Value> = vec![
        program.number.into(),
        id.into(),
        state.code().into(),
        by.key.as_str().into(),
        by.name.as_str().into(),
        now.micros().into(),
    ];
    let update = "UPDATE adjustment SET state = $3, decided_by = $4, decided_name = $5, decided_at = $6 WHERE program = $1 AND id = $2 AND state = 1";
    if executor.write(move |tx: &mut Tx<'_>| tx.execute(update, &params))? == 0 {
        let detail = "somebody else has just decided about this adjustment";
        return Err(Refusal::new("adjustment-decided", detail).into());
    }
    Ok(())
}

/// Sends what was agreed to through the door and notes what came of it. Its key makes it happen once.
fn finish(
    context: &Context,
    executor: &Executor,
    program: &Arc<ProgramHandle>,
    known: &Kept,
) -> Result<Answer, AdjustmentError> {
    let wanted = known.wanted();
    let adjustment = adjustment_of(context, program, &wanted, true)?;
    let approver = known.decided.as_ref().map(|decided| decided.name.as_str());
    let at = context.clock.now();
    let answer = through(executor, Submission::adjusting(&context.secrets, program, &wanted, adjustment, approver, at));
    let (state, event, refusal) = match &answer {
        Answer::Done { outcome, .. } if outcome.status != OutcomeStatus::Refused => {
            let event: Option<EventId> = outcome.event_id.parse().ok();
            (State::Applied, event.map(|event| number(event.seq)), None)
        }
        Answer::Refused(refusal) => (State::Refused, None, serde_json::to_string(refusal).ok()),
        _ => return Ok(answer),
    };
    let params: Vec<Value> =
        vec![program.number.into(), known.id.as_str().into(), state.code().into(), event.into(), refusal.into()];
    let update =
        "UPDATE adjustment SET state = $3, event_seq = $4, refusal = $5 WHERE program = $1 AND id = $2 AND state = 2";
    executor.write(move |tx: &mut Tx<'_>| tx.execute(update, &params))?;
    Ok(answer)
}
