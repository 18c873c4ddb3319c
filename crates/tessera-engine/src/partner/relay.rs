use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tessera_connect::partner::{CallError, Cancellation, Entitlement, Order, OrderAnswer, Partners};
use tessera_core::id::EventId;
use tessera_core::ledger::PartnerState;
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{StoreError, Value};

use super::outgoing::{KIND, Outgoing, keep, stored};
use crate::executor::{Context, Executor};
use crate::programs::ProgramHandle;
use crate::relay::{DEAD, DONE, WAITING};
use crate::submission::{Answer, Submission};

/// Rows taken in one round.
const ROUND_MAX: usize = 200;
/// The longest pause before a failed call is made again, in seconds.
const PAUSE_MAX: i64 = 600;
/// How long a partner is asked to cancel what was given up, in seconds: what is not heard in a week is in the monthly list.
const CANCEL_FOR: i64 = 7 * 24 * 3600;
/// How long to wait when nothing was due.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends what waits for partners, on a thread of its own: a slow partner holds nobody else up. Ends when it is dropped.
#[derive(Debug)]
pub struct PartnerRelay {
    stop: Option<crossbeam_channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PartnerRelay {
    pub fn start(context: Arc<Context>, executor: Executor, partners: Arc<Partners>) -> std::io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let run = move || loop {
            let pause = match relay_due(&context, &executor, &partners) {
                Ok(0) => PAUSE,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "what waits for partners could not be sent; trying again");
                    PAUSE
                }
            };
            match stopped.recv_timeout(pause) {
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        };
        let thread = std::thread::Builder::new().name("partners".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for PartnerRelay {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the relay to partners ended in a panic");
        }
    }
}

/// What becomes of a row.
enum Fate {
    Done,
    /// Tried in vain: again after a pause that doubles, at the latest at an instant.
    Again {
        latest: Instant,
    },
    /// Not tried: again at an instant.
    At(Instant),
    /// Nobody can read it.
    Dead,
}

/// A row on its way.
struct Sent {
    key: Vec<Value>,
    topic: Vec<u8>,
    attempts: i64,
    outgoing: Outgoing,
}

/// Sends everything that is due and notes what became of it: to each partner one after the other, to several at the same
/// time. Says how much was done.
pub fn relay_due(context: &Context, executor: &Executor, partners: &Partners) -> Result<usize, StoreError> {
    let now = context.clock.now();
    let rows = context.database.read(|reader| {
        let sql = format!(
            "SELECT bucket, program, id, topic, payload, attempts FROM outbox WHERE state = {WAITING} \
             AND due_at <= $1 AND kind = '{KIND}' ORDER BY due_at, created_at LIMIT {ROUND_MAX}"
        );
        reader.query(&sql, &[now.micros().into()])
    })?;
    let mut notes = Vec::with_capacity(rows.len());
    let mut by_partner: BTreeMap<Id, Vec<Sent>> = BTreeMap::new();
    for row in rows {
        let (key, attempts) = (row[..3].to_vec(), row[5].int()?);
        match Outgoing::read(&row[4]) {
            Ok(outgoing) => by_partner.entry(outgoing.partner().clone()).or_default().push(Sent {
                key,
                topic: row[3].bytes()?.to_vec(),
                attempts,
                outgoing,
            }),
            Err(error) => {
                tracing::error!(%error, "what waits for a partner cannot be read");
                notes.push((key, Fate::Dead, attempts));
            }
        }
    }
    std::thread::scope(|scope| {
        let to = |(partner, rows): (Id, Vec<Sent>)| {
            scope.spawn(move || To { context, executor, partners, partner, now }.send(rows))
        };
        let threads: Vec<_> = by_partner.into_iter().map(to).collect();
        for thread in threads {
            match thread.join() {
                Ok(sent) => notes.extend(sent?),
                Err(_) => tracing::error!("a call to a partner ended in a panic"),
            }
        }
        Ok::<_, StoreError>(())
    })?;
    let done = notes.iter().filter(|(_, fate, _)| matches!(fate, Fate::Done)).count();
    note(executor, notes, now)?;
    Ok(done)
}

/// One partner, and what is sent to them in a round.
struct To<'a> {
    context: &'a Context,
    executor: &'a Executor,
    partners: &'a Partners,
    partner: Id,
    now: Instant,
}

type Noted = (Vec<Value>, Fate, i64);

impl To<'_> {
    fn send(&self, mut rows: Vec<Sent>) -> Result<Vec<Noted>, StoreError> {
        // Of one topic the older word goes first, whichever was put off longer.
        rows.sort_by_key(|row| match &row.outgoing {
            Outgoing::Order { .. } => 0,
            Outgoing::Told { number, .. } => *number,
        });
        let (mut notes, mut told) = (Vec::with_capacity(rows.len()), BTreeSet::new());
        for row in rows {
            let fate = match &row.outgoing {
                Outgoing::Order { .. } => self.order(&row)?,
                Outgoing::Told { number, .. } => {
                    let fate = self.tell(&row, &told)?;
                    if matches!(fate, Fate::Done) {
                        told.insert((row.topic.clone(), *number));
                    }
                    fate
                }
            };
            notes.push((row.key, fate, row.attempts));
        }
        Ok(notes)
    }

    fn program(&self, row: &Sent) -> Result<Option<Arc<ProgramHandle>>, StoreError> {
        crate::scheduler::program_of(self.context, row.key[1].int()?)
    }

    /// Makes a call unless the partner has not answered for a while; says what it brought, or when to try again.
    fn call<T>(
        &self,
        latest: Instant,
        call: impl FnOnce(&dyn tessera_connect::partner::Partner) -> Result<T, CallError>,
    ) -> Result<T, Fate> {
        let Some(reached) = self.partners.get(self.partner.as_str()) else {
            let wait = self.now.plus_seconds(60);
            tracing::warn!(partner = %self.partner, "no address is known of a partner: see [partners] in the settings");
            return Err(Fate::At(wait.min(latest)));
        };
        if let Some(until) = reached.circuit.open_until(self.now) {
            return Err(Fate::At(until.min(latest)));
        }
        match call(reached.adapter.as_ref()) {
            Ok(answer) => {
                reached.circuit.succeeded();
                Ok(answer)
            }
            Err(error) => {
                tracing::warn!(partner = %self.partner, %error, "a call to a partner was in vain");
                metrics::counter!("tessera_partner_failures_total", "partner" => self.partner.to_string()).increment(1);
                reached.circuit.failed(self.now);
                Err(Fate::Again { latest })
            }
        }
    }

    fn order(&self, row: &Sent) -> Result<Fate, StoreError> {
        let Outgoing::Order { redemption, product, ordered_at, until, .. } = &row.outgoing else {
            return Ok(Fate::Dead);
        };
        let (Ok(id), Some(program)) = (redemption.parse::<EventId>(), self.program(row)?) else {
            return Ok(Fate::Dead);
        };
        let number = program.number;
        let state = || self.context.database.read(|reader| stored(reader, number, id));
        let mut known = state()?.map(|known| known.state);
        let is_over = *until <= self.now;
        if known == Some(PartnerState::Ordered) && is_over {
            let given_up = self.step(&program, id, PartnerState::Refused, Some("deadline"), *until)?;
            if !matches!(given_up, Fate::Done) {
                return Ok(given_up);
            }
            known = state()?.map(|known| known.state);
        }
        let order = Order {
            id: redemption.clone(),
            program: program.key.to_string(),
            product: product.clone(),
            ordered_at: *ordered_at,
            until: *until,
        };
        match known {
            Some(PartnerState::Ordered) if !is_over => {}
            // Given up: the points are back, so it must not come any more.
            Some(PartnerState::Refused) if is_over => return Ok(self.cancel(&order)),
            // The partner has said so already.
            _ => return Ok(Fate::Done),
        }
        let answer = match self.call(*until, |partner| partner.order(&order, self.now)) {
            Ok(answer) => answer,
            Err(fate) => return Ok(fate),
        };
        let (reference, code) = match &answer {
            OrderAnswer::Refused { reason } => {
                return self.step(&program, id, PartnerState::Refused, Some(reason), *until);
            }
            OrderAnswer::Accepted { reference } => (reference.clone(), None),
            OrderAnswer::Delivered { reference, code } => (reference.clone(), Some(code.clone())),
        };
        let (secrets, is_delivered) = (self.context.secrets.clone(), code.is_some());
        let kept =
            self.executor.write(move |tx| keep(tx, &secrets, (number, id), reference.as_deref(), code.as_deref()))?;
        if !kept {
            tracing::error!(partner = %self.partner, redemption, "the partner's reference is another order's");
            return Ok(Fate::Again { latest: *until });
        }
        if is_delivered {
            return self.step(&program, id, PartnerState::Delivered, None, *until);
        }
        Ok(Fate::Again { latest: *until })
    }

    fn cancel(&self, order: &Order) -> Fate {
        let latest = order.until.plus_seconds(CANCEL_FOR);
        if latest <= self.now {
            tracing::error!(partner = %self.partner, redemption = order.id, "an order that was given up could not be cancelled");
            return Fate::Done;
        }
        match self.call(latest, |partner| partner.cancel(order, self.now)) {
            Ok(Cancellation::Cancelled) => Fate::Done,
            Ok(answer) => {
                tracing::warn!(partner = %self.partner, redemption = order.id, ?answer, "an order that was given up was not cancelled");
                Fate::Done
            }
            Err(fate) => fate,
        }
    }

    /// Says through the door what became of an order. Said again it is the same.
    fn step(
        &self,
        program: &Arc<ProgramHandle>,
        id: EventId,
        to: PartnerState,
        reason: Option<&str>,
        latest: Instant,
    ) -> Result<Fate, StoreError> {
        let key = format!("relay/{id}/{}", to.word());
        let submission = Submission::partner_step(&self.context.secrets, program, id, (to, reason), &key, self.now);
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let reply = Box::new(move |done| {
            let _ = answer.send(done);
        });
        if self.executor.submit_waiting(submission, reply).is_err() {
            return Ok(Fate::Again { latest });
        }
        Ok(match answered.recv().unwrap_or(Answer::Unavailable) {
            Answer::Done { .. } => Fate::Done,
            Answer::Refused(refusal) => {
                tracing::warn!(redemption = %id, code = refusal.code, "what a partner answered came too late");
                Fate::Done
            }
            // Once the order's time is over there is no later instant than the next second.
            Answer::Unavailable => Fate::Again { latest: latest.max(self.now.plus_seconds(1)) },
        })
    }

    fn tell(&self, row: &Sent, told: &BTreeSet<(Vec<u8>, u32)>) -> Result<Fate, StoreError> {
        let Outgoing::Told { member, benefit, number, granted, at, .. } = &row.outgoing else {
            return Ok(Fate::Dead);
        };
        let Some(program) = self.program(row)? else { return Ok(Fate::Dead) };
        let waiting = self.context.database.read(|reader| {
            let sql = format!(
                "SELECT payload FROM outbox WHERE program = $1 AND kind = '{KIND}' AND topic = $2 AND state = {WAITING}"
            );
            reader.query(&sql, &[row.key[1].clone(), row.topic.as_slice().into()])
        })?;
        for other in waiting {
            if let Outgoing::Told { number: other, .. } = Outgoing::read(&other[0])?
                && other < *number
                && !told.contains(&(row.topic.clone(), other))
            {
                return Ok(Fate::At(self.now.plus_seconds(1)));
            }
        }
        let entitlement = Entitlement {
            id: format!("{member}/{benefit}/{number}"),
            program: program.key.to_string(),
            member: member.clone(),
            entitlement: benefit.to_string(),
            granted: *granted,
            number: *number,
            at: *at,
        };
        let forever = self.now.plus_seconds(PAUSE_MAX);
        Ok(match self.call(forever, |partner| partner.tell(&entitlement, self.now)) {
            Ok(()) => Fate::Done,
            Err(fate) => fate,
        })
    }
}

/// Notes what became of rows, all at once.
fn note(executor: &Executor, notes: Vec<Noted>, now: Instant) -> Result<(), StoreError> {
    if notes.is_empty() {
        return Ok(());
    }
    let ended = "UPDATE outbox SET state = $4, attempts = $5 WHERE bucket = $1 AND program = $2 AND id = $3";
    let later = "UPDATE outbox SET due_at = $4, attempts = $5 WHERE bucket = $1 AND program = $2 AND id = $3";
    executor.write(move |tx| {
        for (key, fate, attempts) in notes {
            let (update, value, attempts) = match fate {
                Fate::Done => (ended, DONE, attempts + 1),
                Fate::Dead => (ended, DEAD, attempts),
                Fate::At(at) => (later, at.micros(), attempts),
                Fate::Again { latest } => {
                    let pause = (1_i64 << attempts.clamp(0, 20)).min(PAUSE_MAX);
                    (later, now.plus_seconds(pause).min(latest).micros(), attempts + 1)
                }
            };
            let params: Vec<Value> = key.into_iter().chain([value.into(), attempts.into()]).collect();
            tx.execute(update, &params)?;
        }
        Ok(())
    })
}
