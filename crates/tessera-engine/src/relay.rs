//! Follow-up commands: outbox rows that go through the same door, each once (their key is derived from their cause).

use std::sync::mpsc;

use serde::Deserialize;
use tessera_core::event::read_event;
use tessera_core::time::Instant;
use tessera_store::{StoreError, Value};

use crate::executor::{Context, Executor};
use crate::identifier::Subject;
use crate::programs::member_id;
use crate::record::Envelope;
use crate::submission::{Answer, Submission};

/// Rows taken in one round.
const ROUND_MAX: usize = 100;
/// After so many failures a row is left for people to look at.
const ATTEMPTS_MAX: i64 = 20;

/// States of an outbox row.
const WAITING: i64 = 0;
const DONE: i64 = 1;
const DEAD: i64 = 2;

/// What a parked event left for later.
#[derive(Deserialize)]
struct ParkedCommand {
    kind: String,
    time: Instant,
    key: String,
    hash: String,
    envelope: String,
}

/// Sends every follow-up that is due and notes what became of it. Says how many were done.
pub fn relay_due(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    let now = context.clock.now();
    let rows = context.database.read(|reader| {
        let sql = format!(
            "SELECT bucket, program, id, topic, payload, attempts FROM outbox WHERE state = {WAITING} AND due_at <= $1 AND kind = 'command' ORDER BY due_at, created_at LIMIT {ROUND_MAX}"
        );
        reader.query(&sql, &[now.micros().into()])
    })?;
    let mut done = 0;
    for row in rows {
        let attempts = row[5].int()? + 1;
        let state = match send(context, executor, &row, now) {
            Ok(Answer::Done { .. }) => DONE,
            Ok(Answer::Refused(refusal)) => {
                tracing::warn!(code = refusal.code, "an event that had waited was refused");
                DEAD
            }
            Ok(Answer::Unavailable) if attempts >= ATTEMPTS_MAX => DEAD,
            Ok(Answer::Unavailable) => WAITING,
            // One that nobody can read must not hold up those behind it.
            Err(error @ StoreError::CorruptRow { .. }) => {
                tracing::error!(%error, "an event that had waited cannot be read");
                DEAD
            }
            Err(error) => return Err(error),
        };
        done += usize::from(state == DONE);
        note(executor, &row, state, attempts)?;
    }
    Ok(done)
}

fn send(context: &Context, executor: &Executor, row: &[Value], now: Instant) -> Result<Answer, StoreError> {
    let number = row[1].int()?;
    let corrupt = |problem: String| StoreError::corrupt("outbox", "payload", problem);
    let parked: ParkedCommand = serde_json::from_str(row[4].text()?).map_err(|error| corrupt(error.to_string()))?;
    let Some(program) = crate::scheduler::program_of(context, number)? else { return Ok(Answer::Unavailable) };
    let topic: [u8; 16] = row[3].bytes()?.try_into().map_err(|_| corrupt("topic".to_owned()))?;
    let member = context.database.read(|reader| {
        let mut key = crate::record::own_key(number, &topic);
        let rows = reader.query(
            "SELECT member FROM member_identifier WHERE bucket = $1 AND program = $2 AND key = $3",
            &std::mem::take(&mut key),
        )?;
        rows.first().map(|row| member_id(row[0].bytes()?)).transpose()
    })?;
    let Some(member) = member else { return Ok(Answer::Unavailable) };
    let envelope: Envelope<'_> = serde_json::from_str(&parked.envelope).map_err(|error| corrupt(error.to_string()))?;
    let data = envelope.data.get();
    let versions = program.versions();
    let what = read_event(&versions.at(parked.time).definition, &parked.kind, data)
        .map_err(|error| corrupt(error.to_string()))?;
    // The event's own key answers "parked" for ever; its effect has a key derived from it.
    let derived = context.secrets.event_key(number, "tessera:parked", &parked.key);
    let hash = context.secrets.command_hash(&[parked.hash.as_bytes()]);
    let end = parked.envelope.len() - 1;
    let submission = Submission {
        program,
        what,
        subject: Subject::Member(member),
        key: Some((derived, hash)),
        data: end - data.len()..end,
        envelope: parked.envelope.clone(),
        effective_at: parked.time,
        recorded_at: now,
        personal: std::collections::BTreeMap::new(),
        identifiers: Vec::new(),
        explain: false,
    };
    let (answer, answered) = mpsc::sync_channel(1);
    let reply = Box::new(move |done| {
        let _ = answer.send(done);
    });
    if executor.submit_waiting(submission, reply).is_err() {
        return Ok(Answer::Unavailable);
    }
    Ok(answered.recv().unwrap_or(Answer::Unavailable))
}

fn note(executor: &Executor, row: &[Value], state: i64, attempts: i64) -> Result<(), StoreError> {
    let params: Vec<Value> = vec![row[0].clone(), row[1].clone(), row[2].clone(), state.into(), attempts.into()];
    let update = "UPDATE outbox SET state = $4, attempts = $5 WHERE bucket = $1 AND program = $2 AND id = $3";
    executor.write(move |tx| tx.execute(update, &params))?;
    Ok(())
}
