//! Commands that wait in the outbox, sent through the same door: what an event causes for another member, and events
//! that waited for somebody to join. Each has a key derived from its cause, so that sent twice it is applied once (I6).

use std::sync::mpsc::{self, Receiver};

use serde::{Deserialize, Serialize};
use tessera_core::decide::FollowUp;
use tessera_core::event::{Origin, read_event, read_follow_up};
use tessera_core::time::Instant;
use tessera_store::{StoreError, Value};

use crate::executor::{Context, Executor};
use crate::identifier::Subject;
use crate::programs::{ProgramHandle, member_id};
use crate::record::Envelope;
use crate::secret::Secrets;
use crate::submission::{Answer, Submission};

/// Rows taken in one round.
const ROUND_MAX: usize = 100;
/// After so many failures an event that waited for its member is left for people to look at. What another member's
/// event caused is tried for ever: value may be on the way.
const ATTEMPTS_MAX: i64 = 20;
/// The longest pause before a failed one is tried again, in seconds.
const PAUSE_MAX: i64 = 600;

/// States of an outbox row.
pub(crate) const WAITING: i64 = 0;
pub(crate) const DONE: i64 = 1;
pub(crate) const DEAD: i64 = 2;

/// What a parked event left for later.
#[derive(Deserialize)]
struct ParkedCommand {
    kind: String,
    time: Instant,
    key: String,
    hash: String,
    envelope: String,
}

/// The payload of a follow-up's row; that of a parked event has other fields.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Payload {
    #[serde(default)]
    pub follow_up: Option<FollowUp>,
}

impl Payload {
    pub fn read(payload: &Value) -> Result<Self, StoreError> {
        serde_json::from_str(payload.text()?).map_err(|error| corrupt(error.to_string()))
    }
}

/// A row on its way.
struct Sent {
    row: Vec<Value>,
    follow_up: Option<FollowUp>,
    answer: Result<Receiver<Answer>, StoreError>,
}

/// Sends every command that is due and notes what became of it. Says how many were done.
pub fn relay_due(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    let now = context.clock.now();
    let rows = context.database.read(|reader| {
        let sql = format!(
            "SELECT bucket, program, id, topic, payload, attempts, due_at FROM outbox WHERE state = {WAITING} AND due_at <= $1 AND kind = 'command' ORDER BY due_at, created_at LIMIT {ROUND_MAX}"
        );
        reader.query(&sql, &[now.micros().into()])
    })?;
    let oldest = rows.first().map(|row| row[6].int()).transpose()?;
    metrics::gauge!("tessera_outbox_lag_seconds").set(crate::scheduler::lag_seconds(now, oldest));
    // All are handed over before the first answer is waited for: together they are a batch.
    let mut sent = Vec::with_capacity(rows.len());
    for row in rows {
        let read =
            Payload::read(&row[4]).and_then(|payload| Ok((send(context, executor, &row, &payload, now)?, payload)));
        let (answer, follow_up) = match read {
            Ok((answer, payload)) => (Ok(answer), payload.follow_up),
            Err(error) => (Err(error), None),
        };
        sent.push(Sent { row, follow_up, answer });
    }
    let mut notes = Vec::with_capacity(sent.len());
    for Sent { row, follow_up, answer } in sent {
        let attempts = row[5].int()? + 1;
        let answer = answer.map(|answer| answer.recv().unwrap_or(Answer::Unavailable));
        let state = match (answer, &follow_up) {
            (Ok(Answer::Done { .. }), _) => DONE,
            (Ok(Answer::Refused(refusal)), Some(follow_up)) => {
                give_back(context, executor, row[1].int()?, follow_up, &refusal.code, now)?
            }
            (Ok(Answer::Refused(refusal)), None) => {
                tracing::warn!(code = refusal.code, "an event that had waited was refused");
                DEAD
            }
            (Ok(Answer::Unavailable), None) if attempts >= ATTEMPTS_MAX => DEAD,
            (Ok(Answer::Unavailable), _) => WAITING,
            // One that nobody can read must not hold up those behind it.
            (Err(error @ StoreError::CorruptRow { .. }), _) => {
                tracing::error!(%error, "a command that waited cannot be read");
                DEAD
            }
            (Err(error), _) => return Err(error),
        };
        notes.push((row, state, attempts));
    }
    let done = notes.iter().filter(|(_, state, _)| *state == DONE).count();
    note(executor, notes, now)?;
    Ok(done)
}

/// Sends what is due until nothing is. Says how many were done.
pub fn relay_all(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    let mut done = 0;
    loop {
        match relay_due(context, executor)? {
            0 => return Ok(done),
            more => done += more,
        }
    }
}

fn corrupt(problem: String) -> StoreError {
    StoreError::corrupt("outbox", "payload", problem)
}

/// An answer that is there at once.
fn unavailable() -> Receiver<Answer> {
    let (answer, answered) = mpsc::sync_channel(1);
    let _ = answer.send(Answer::Unavailable);
    answered
}

fn send(
    context: &Context,
    executor: &Executor,
    row: &[Value],
    payload: &Payload,
    now: Instant,
) -> Result<Receiver<Answer>, StoreError> {
    let number = row[1].int()?;
    let Some(program) = crate::scheduler::program_of(context, number)? else { return Ok(unavailable()) };
    let submission = match &payload.follow_up {
        Some(follow_up) => Some(Submission::follow_up(&context.secrets, &program, follow_up, now)?),
        None => parked(context, &program, row, now)?,
    };
    Ok(submission.map_or_else(unavailable, |submission| hand_over(executor, submission)))
}

fn hand_over(executor: &Executor, submission: Submission) -> Receiver<Answer> {
    let (answer, answered) = mpsc::sync_channel(1);
    let reply = Box::new(move |done| {
        let _ = answer.send(done);
    });
    if executor.submit_waiting(submission, reply).is_err() {
        return unavailable();
    }
    answered
}

/// The other member cannot have it: whoever caused it gets it back. The refusal is kept under the follow-up's key, so
/// that this stays so however often it is sent.
fn give_back(
    context: &Context,
    executor: &Executor,
    number: i64,
    follow_up: &FollowUp,
    code: &str,
    now: Instant,
) -> Result<i64, StoreError> {
    let Some(program) = crate::scheduler::program_of(context, number)? else { return Ok(WAITING) };
    let Some(back) = follow_up.refused(code) else {
        tracing::error!(code, kind = %follow_up.kind, key = %follow_up.key(), "a follow-up could not be done");
        return Ok(DEAD);
    };
    let submission = Submission::follow_up(&context.secrets, &program, &back, now)?;
    Ok(match hand_over(executor, submission).recv().unwrap_or(Answer::Unavailable) {
        Answer::Done { .. } => DONE,
        Answer::Unavailable => WAITING,
        Answer::Refused(refusal) => {
            let (first, then) = (code, refusal.code);
            tracing::error!(first, then, key = %follow_up.key(), "what was refused could not be given back");
            DEAD
        }
    })
}

/// An event that waited until somebody joined; `None` while nobody has.
fn parked(
    context: &Context,
    program: &std::sync::Arc<ProgramHandle>,
    row: &[Value],
    now: Instant,
) -> Result<Option<Submission>, StoreError> {
    let number = program.number;
    let parked: ParkedCommand = serde_json::from_str(row[4].text()?).map_err(|error| corrupt(error.to_string()))?;
    let topic: [u8; 16] = row[3].bytes()?.try_into().map_err(|_| corrupt("topic".to_owned()))?;
    let member = context.database.read(|reader| {
        let key = crate::record::own_key(number, &topic);
        let rows = reader.query(
            "SELECT member FROM member_identifier WHERE bucket = $1 AND program = $2 AND key = $3 AND state IS NULL",
            &key,
        )?;
        rows.first().map(|row| member_id(row[0].bytes()?)).transpose()
    })?;
    let Some(member) = member else { return Ok(None) };
    let envelope: Envelope<'_> = serde_json::from_str(&parked.envelope).map_err(|error| corrupt(error.to_string()))?;
    let data = envelope.data.get();
    let versions = program.versions();
    let what = read_event(&versions.at(parked.time).definition, &parked.kind, data)
        .map_err(|error| corrupt(error.to_string()))?;
    // The event's own key answers "parked" for ever; its effect has a key derived from it.
    let derived = context.secrets.event_key(number, "tessera:parked", &parked.key);
    let hash = context.secrets.command_hash(&[parked.hash.as_bytes()]);
    let end = parked.envelope.len() - 1;
    Ok(Some(Submission {
        program: program.clone(),
        what,
        subject: Subject::Member(member),
        key: Some((derived, hash)),
        data: end - data.len()..end,
        envelope: parked.envelope.clone(),
        effective_at: parked.time,
        recorded_at: now,
        personal: std::collections::BTreeMap::new(),
        identifiers: Vec::new(),
        origin: Origin::default(),
        explain: false,
    }))
}

/// The key under which a follow-up is applied, once.
pub(crate) fn follow_up_key(secrets: &Secrets, program: i64, follow_up: &FollowUp) -> [u8; 16] {
    secrets.event_key(program, &format!("tessera:{}", follow_up.kind), &follow_up.key())
}

impl Submission {
    /// What another member's event caused.
    ///
    /// # Errors
    /// If its data cannot be read.
    pub(crate) fn follow_up(
        secrets: &Secrets,
        program: &std::sync::Arc<ProgramHandle>,
        follow_up: &FollowUp,
        now: Instant,
    ) -> Result<Self, StoreError> {
        let about = match crate::gift_card::reward_card(secrets, program.number, &follow_up.kind, &follow_up.data) {
            Some(about) => about,
            None => {
                let what = read_follow_up(&follow_up.kind, &follow_up.data);
                (what.map_err(|error| corrupt(error.to_string()))?, Subject::Member(follow_up.to))
            }
        };
        let to = follow_up.to.to_string();
        let hash = secrets.command_hash(&[follow_up.kind.as_bytes(), to.as_bytes(), follow_up.data.as_bytes()]);
        let key = (follow_up_key(secrets, program.number, follow_up), hash);
        let id = follow_up.key();
        let submission = Self::now(program, about, (Some("tessera"), Some(&id)), &follow_up.data, Some(key), now);
        Ok(Self { effective_at: follow_up.effective_at, ..submission })
    }
}

/// Notes what became of rows, all at once. One that failed is tried again after a pause that doubles.
fn note(executor: &Executor, notes: Vec<(Vec<Value>, i64, i64)>, now: Instant) -> Result<(), StoreError> {
    if notes.is_empty() {
        return Ok(());
    }
    let (ended, later) = (
        "UPDATE outbox SET state = $4, attempts = $5 WHERE bucket = $1 AND program = $2 AND id = $3",
        "UPDATE outbox SET due_at = $4, attempts = $5 WHERE bucket = $1 AND program = $2 AND id = $3",
    );
    executor.write(move |tx| {
        for (row, state, attempts) in &notes {
            let pause = (1_i64 << (attempts - 1).clamp(0, 20)).min(PAUSE_MAX);
            let (update, value) = match *state {
                WAITING => (later, now.plus_seconds(pause).micros()),
                state => (ended, state),
            };
            let key = row[..3].iter().cloned();
            let params: Vec<Value> = key.chain([value.into(), (*attempts).into()]).collect();
            tx.execute(update, &params)?;
        }
        Ok(())
    })
}
