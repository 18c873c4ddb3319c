//! One batch: read, decide each in order, write, commit.

use std::time::Instant;

use tessera_core::decide::{self, Cart, CartAsk, Decision, Draws, Inputs, Recorded};
use tessera_core::event::{Command, Origin, What};
use tessera_core::id::EventId;
use tessera_core::member::Status;
use tessera_store::{Dialect, StoreError, Tx};

use super::again::{self, SentAgain};
use super::archived;
use super::asked::staff_key;
use super::load::{self, Loaded};
use super::more::{Claimed, More};
use super::whom::{Whom, known_member};
use super::write::Writes;
use super::{Context, Worker};
use crate::case;
use crate::clock::Entropy;
use crate::identifier::Subject;
use crate::record::Rows;
use crate::submission::{Answer, Refusal, Submission};

/// What became of one command of a batch.
pub(super) enum Step {
    Answer(Answer),
    /// It needs rows that this batch has not written yet: the batch ends before it.
    Cut,
}

/// What a transaction has written.
pub(super) struct Written {
    /// To the first commands of the batch, in their order.
    pub answers: Vec<Answer>,
    /// When its commit began.
    pub began: Instant,
    pub wakes_relay: bool,
}

impl Worker {
    /// Decides and writes as many commands from the front as one transaction can hold.
    pub(super) fn attempt(&mut self, batch: &[Submission]) -> Result<Written, StoreError> {
        if self.context.shards.are_spread() {
            return self.attempt_on_shard(batch);
        }
        let mut tx = self.writer.begin()?;
        let mut loaded = part("read").in_scope(|| Loaded::read(&mut tx, &self.context, batch))?;
        let mut writes = Writes::default();
        let context = self.context.clone();
        let mut one = One::new(&context, &mut self.entropy, (&mut tx, &mut loaded), &mut writes);
        let answers = one.decide_all(batch, |_, _| true)?;
        finish(tx, &context, (writes, &loaded), answers, self.answering.flushes())
    }
}

/// Writes what was decided. `flushes`: whether a commit may leave the flush to others.
pub(super) fn finish(
    mut tx: Tx<'_>,
    context: &Context,
    (writes, loaded): (Writes, &Loaded),
    answers: Vec<Answer>,
    flushes: bool,
) -> Result<Written, StoreError> {
    let wakes_relay = writes.wakes_relay;
    again::lock_one(&mut tx, context, &writes.again)?;
    part("write").in_scope(|| writes.write(&mut tx, loaded))?;
    let began = Instant::now();
    part("commit").in_scope(|| if flushes { tx.commit_visible() } else { tx.commit() })?;
    metrics::histogram!("tessera_batch_size").record(answers.len() as f64);
    Ok(Written { answers, began, wakes_relay })
}

/// The span of a part of a batch.
pub(super) fn part(name: &'static str) -> tracing::Span {
    tracing::debug_span!(target: crate::SPANS, "part", otel.name = name)
}

/// What a command would do, and what its cart could bring; `None` for one that rests on rows not there yet.
pub type Quoted = Option<(Answer, Cart)>;

/// What a command would do, by the same code and with nothing written. `None` for one that rests on rows not there yet.
pub fn quote(context: &Context, command: &Submission) -> Result<Option<Answer>, StoreError> {
    Ok(quote_cart(context, command, CartAsk::default())?.map(|(answer, _)| answer))
}

/// The same, and of a purchase what its customer wants to know before it is paid.
pub fn quote_cart(context: &Context, command: &Submission, ask: CartAsk) -> Result<Quoted, StoreError> {
    let quoted = quote_carts(context, std::slice::from_ref(command), &[ask])?;
    Ok(quoted.into_iter().next().flatten())
}

/// What each of these commands would do if it alone came now. They share one read of the database, which costs as much as
/// deciding them. An error is that of one of them.
pub fn quote_carts(context: &Context, commands: &[Submission], asks: &[CartAsk]) -> Result<Vec<Quoted>, StoreError> {
    let mut entropy = Entropy::default();
    context.database.read_again(|reader| {
        // The embedded database has no other process that could have published a version.
        let mut loaded = match context.database.dialect() {
            Dialect::Sqlite => Loaded::read_rows(reader, context, commands)?,
            Dialect::Postgres => Loaded::read(reader, context, commands)?,
        };
        if loaded.spread {
            loaded.read_pools(reader, context, commands)?;
        }
        // Stays empty: what one of them would change, the next does not see.
        let mut writes = Writes::default();
        let quoted = commands.iter().zip(asks).map(|(command, ask)| {
            let mut one = One::new(context, &mut entropy, (&mut *reader, &mut loaded), &mut writes);
            one.quote = Some(Quoting { ask: ask.clone(), cart: Cart::default() });
            one.hold_hollow_keys(std::slice::from_ref(command))?;
            match one.decide(command)? {
                Step::Answer(answer) => Ok(Some((answer, one.quote.map(|quote| quote.cart).unwrap_or_default()))),
                Step::Cut => Ok(None),
            }
        });
        quoted.collect()
    })
}

pub(super) struct One<'a> {
    pub context: &'a Context,
    pub entropy: &'a mut Entropy,
    pub tx: &'a mut dyn Rows,
    pub loaded: &'a mut Loaded,
    pub writes: &'a mut Writes,
    /// Nothing is written, and what chance decides stays unknown.
    pub quote: Option<Quoting>,
    /// The shard whose members the batch is about, where the database is spread.
    pub home: Option<u16>,
}

/// What is wanted of a cart, and what was found.
pub(super) struct Quoting {
    pub ask: CartAsk,
    pub cart: Cart,
}

impl<'a> One<'a> {
    /// Of no shard, and no quote.
    pub(super) fn new(
        context: &'a Context,
        entropy: &'a mut Entropy,
        (tx, loaded): (&'a mut dyn Rows, &'a mut Loaded),
        writes: &'a mut Writes,
    ) -> Self {
        Self { context, entropy, tx, loaded, writes, quote: None, home: None }
    }

    /// Decides commands in their order, as many from the front as go together, and answers those.
    pub(super) fn decide_all(
        &mut self,
        batch: &[Submission],
        goes_along: impl Fn(&Self, &Submission) -> bool,
    ) -> Result<Vec<Answer>, StoreError> {
        let _deciding = part("decide").entered();
        let mut answers = Vec::with_capacity(batch.len());
        for command in batch {
            if !goes_along(self, command) {
                break;
            }
            match self.decide(command)? {
                Step::Answer(answer) => answers.push(answer),
                Step::Cut if answers.is_empty() => {
                    return Err(StoreError::Database("a batch of one cannot be cut".to_owned()));
                }
                Step::Cut => break,
            }
        }
        Ok(answers)
    }
}

impl One<'_> {
    pub(super) fn decide(&mut self, command: &Submission) -> Result<Step, StoreError> {
        let program = command.program.number;
        if self.is_contested(command) {
            return Ok(Step::Answer(Answer::Unavailable));
        }
        if let Some((key, hash)) = command.key {
            if self.loaded.fresh_keys.contains(&(program, key)) {
                return Ok(Step::Cut);
            }
            if let Some(answer) = self.before(command, key, hash)? {
                return Ok(Step::Answer(answer));
            }
        }
        let whom = match self.whom(command) {
            Ok(whom) => whom,
            // What another member's event caused is not tried again: it goes back, and nothing may happen here later.
            Err(refusal) if command.what.is_follow_up() => return Ok(Step::Answer(self.refuse(command, refusal))),
            Err(refusal) => return Ok(Step::Answer(Answer::Refused(refusal))),
        };
        if let Whom::Later(topic) = whom {
            if self.quote.is_none() {
                self.writes.park(self.loaded, command, topic);
            }
            return Ok(Step::Answer(parked(command)));
        }
        let mut core = Command {
            effective_at: command.effective_at,
            recorded_at: command.recorded_at,
            what: command.what.clone(),
        };
        // A merge that leads to nobody, or back, is on its way to be given up: then they are themselves again.
        let is_between = known_member(&whom).and_then(|member| self.loaded.members.get(&(program, member)));
        if is_between.is_some_and(|known| known.state.status == Status::Merged) && !core.what.is_of_merged() {
            return Ok(Step::Answer(Answer::Unavailable));
        }
        if !self.rename_events(command, &mut core.what, &whom) {
            return Ok(Step::Answer(Answer::Unavailable));
        }
        self.know_second_fact(program, &mut core.what, &whom);
        self.know_referrer(program, &mut core.what);
        let claimed = match self.claimed(command, &mut core, &whom)? {
            Claimed::Nothing => None,
            Claimed::Order(claimed) => Some(*claimed),
            Claimed::Unwritten => return Ok(Step::Cut),
            Claimed::Refused(refusal) => return Ok(Step::Answer(self.refuse(command, refusal))),
        };
        let Some(mut more) = self.read_more(command, &core, &whom)? else { return Ok(Step::Cut) };
        if more.is_early {
            return Ok(Step::Answer(Answer::Unavailable));
        }
        match more.archived.take() {
            // What another member's event caused goes back.
            Some(refusal) if command.what.is_follow_up() => return Ok(Step::Answer(self.refuse(command, refusal))),
            // Not kept under the key: the archive may be brought back, and then it is decided.
            Some(refusal) => return Ok(Step::Answer(Answer::Refused(refusal))),
            None => {}
        }
        if let Some((order, payload)) = claimed {
            more.orders.insert(0, order);
            more.payload = Some(payload);
        }
        let payments = |one: &Self| one.card_payments(command).and_then(|()| one.pool_payments(command, &whom));
        if let Err(refusal) = self.claims(command, &whom).and_then(|()| payments(self)) {
            return Ok(Step::Answer(self.refuse(command, refusal)));
        }
        if let Some(refusal) = self.too_many_names(command, &whom)? {
            return Ok(Step::Answer(self.refuse(command, refusal)));
        }
        let origin = self.origin(command, &core, &whom)?;
        let decided = self.ask_core(command, &core, (&whom, &origin), &more);
        let mut decision = match decided {
            Ok(decision) => decision,
            Err(rejected) => return Ok(Step::Answer(self.reject(command, rejected))),
        };
        if matches!(command.what, What::WakeUp) && !self.is_known(program, &decision) {
            return Ok(Step::Answer(Answer::Done { outcome: Box::new(decision.outcome), trace: Vec::new() }));
        }
        if self.quote.is_some() {
            return Ok(Step::Answer(Answer::Done { outcome: Box::new(decision.outcome), trace: decision.trace }));
        }
        let before = self.memory_of_leaver(command, &whom);
        let outcome = Box::new(decision.outcome.clone());
        let trace = std::mem::take(&mut decision.trace);
        let member = decision.state.id;
        self.writes.stage(self.context, self.loaded, command, decision);
        let is_somebody = matches!(whom, Whom::New { guest: false }) && !command.what.makes_household();
        self.personal(command, member, is_somebody)?;
        if let Some((memory, is_member)) = before {
            self.forget(command, member, &memory, is_member)?;
        }
        Ok(Step::Answer(Answer::Done { outcome, trace }))
    }

    /// Whose code or link it is by which a friend says who brought them.
    fn know_referrer(&self, program: i64, what: &mut What) {
        if let What::Enrol(profile) | What::Profile(profile) = what {
            let key = crate::referral::key_of(&self.context.secrets, program, profile);
            let referrer = key.and_then(|key| self.loaded.identifiers.get(&(program, key)).copied());
            profile.referrer = referrer.map(|referrer| self.loaded.survivor(program, referrer));
        }
    }

    /// Events of somebody who was merged, as the survivor names them; and into whom a merge leads by now. `false` as long
    /// as the survivor does not know of the merge.
    fn rename_events(&self, command: &Submission, what: &mut What, whom: &Whom) -> bool {
        let program = command.program.number;
        if let What::Merge(merge) = what {
            merge.into = self.loaded.survivor(program, merge.into);
        }
        let (Subject::Member(named), Whom::Known(member)) = (&command.subject, whom) else { return true };
        if named == member {
            return true;
        }
        let Some(known) = self.loaded.members.get(&(program, *member)) else { return true };
        let number = |seq: &mut u64| match known.state.number_of(EventId { member: *named, seq: *seq }) {
            Some(now) => {
                *seq = now;
                true
            }
            None => false,
        };
        match what {
            What::Capture(part) | What::ReturnRedemption(part) => number(&mut part.redemption),
            What::Void { redemption } => number(redemption),
            What::Fulfil(step) => number(&mut step.redemption),
            What::PartnerStep(step) => number(&mut step.redemption),
            What::ReturnBenefit { used } => number(used),
            _ => true,
        }
    }

    /// Whether there is a row to write: publishing sets `wake_at` alone, so a wake-up always writes the time it worked out.
    fn is_known(&self, program: i64, decision: &Decision) -> bool {
        self.loaded.members.contains_key(&(program, decision.state.id))
    }

    /// The answer to a command whose key was used before (I1, I6); `None` when it has to be decided.
    fn before(&mut self, command: &Submission, key: [u8; 16], hash: [u8; 16]) -> Result<Option<Answer>, StoreError> {
        let program = command.program.number;
        let is_other = self.loaded.keys.get(&(program, key)).is_some_and(|known| !known.is_of(&hash));
        if self.loaded.spread && is_other && !self.was_done((program, key))? {
            self.loaded.contest_key((program, key));
            return Ok(Some(Answer::Unavailable));
        }
        let Some(known) = self.loaded.keys.get(&(program, key)) else { return Ok(None) };
        let same = known.is_of(&hash);
        if let Some(text) = &known.refusal {
            // A refused key holds nothing: a corrected command is decided afresh.
            let refusal = same.then(|| serde_json::from_str::<Refusal>(text).ok()).flatten();
            return Ok(refusal.map(|refusal| Answer::Refused(Refusal { replayed: true, ..refusal })));
        }
        if !same {
            let detail = "another event with this source and id was accepted before; give this one an id of its own";
            return Ok(Some(Answer::Refused(Refusal::new("idempotency-key-reused", detail))));
        }
        let (member, seq) = (known.member, known.seq);
        if self.quote.is_none() {
            self.writes.again.push(SentAgain { key: (program, key), member });
        }
        let Some(member) = member else { return Ok(Some(duplicate_parked(command))) };
        let main = load::events_between(self.tx, program, member, seq, seq)?;
        let corrupt = || StoreError::corrupt("event", "record", "the event of a known key has no answer");
        let Some(main) = main.first() else {
            return Ok(Some(Answer::Refused(archived::answer(EventId { member, seq }))));
        };
        let answer = main.recorded.record.answer.clone().ok_or_else(corrupt)?;
        let (from, until) = (seq.saturating_sub(answer.before.into()), seq + u64::from(answer.after));
        let events = load::events_between(self.tx, program, member, from, until)?;
        let events: Vec<Recorded> = events.into_iter().map(|event| event.recorded).collect();
        let known = self.loaded.members.get(&(program, member));
        let guest = known.is_some_and(|known| known.state.status == Status::Guest)
            || events.first().is_some_and(|event| event.record.joined == Some(Status::Guest));
        let mut outcome = answer.outcome(EventId { member, seq }, guest, &events);
        if let Some(known) = known {
            outcome.of_survivor(&known.state);
        }
        outcome.first_status = Some(outcome.status);
        outcome.status = decide::OutcomeStatus::Duplicate;
        Ok(Some(Answer::Done { outcome: Box::new(outcome), trace: Vec::new() }))
    }

    fn refuse(&mut self, command: &Submission, refusal: Refusal) -> Answer {
        if self.quote.is_some() {
            return Answer::Refused(refusal);
        }
        let key = command.key.map(|(key, _)| (command.program.number, key));
        if let Some(key) = key.filter(|key| self.loaded.reserved.contains_key(key)) {
            // An earlier attempt of it may still be on its way elsewhere, and what is refused stays refused (I1).
            self.loaded.contest_own(key);
            return Answer::Unavailable;
        }
        self.writes.refusal(self.loaded, command, &refusal);
        Answer::Refused(refusal)
    }

    /// A refusal of the core; one by a velocity rule belongs to a case.
    fn reject(&mut self, command: &Submission, rejected: decide::Rejected) -> Answer {
        let case = rejected.case_hit().cloned();
        let mut refusal = Refusal::from(rejected);
        if let Some(hit) = case {
            let id = case::case_id(&self.context.secrets, command.program.number, &hit);
            refusal = refusal.with("case", id.as_str());
            if self.quote.is_none() {
                self.writes.case(command, (id, hit), Err(&refusal));
            }
        }
        self.refuse(command, refusal)
    }

    /// From where a command came, with whether the buyer is who rang it up; what is counted for it is read.
    fn origin(&mut self, command: &Submission, core: &Command, whom: &Whom) -> Result<Origin, StoreError> {
        let mut origin = command.origin.clone();
        let program = command.program.number;
        if let (Some(key), Whom::Known(member)) = (staff_key(self.context, command), whom) {
            let known = self.loaded.identifiers.get(&(program, key)).or_else(|| self.loaded.staff.get(&(program, key)));
            let order = match &command.what {
                What::Purchase(order) => Some(order),
                What::Exchange(exchange) => Some(&exchange.bought),
                _ => None,
            };
            let own = order.filter(|_| known == Some(member));
            origin.own_staff = own.and_then(|order| order.staff.clone());
        }
        let pools = decide::velocity_pools(&command.program.versions(), core, &origin, known_member(whom));
        self.loaded.read_pools_of(self.tx, program, &pools)?;
        Ok(origin)
    }

    fn ask_core(
        &mut self,
        command: &Submission,
        core: &Command,
        (whom, origin): (&Whom, &Origin),
        more: &More,
    ) -> Result<Decision, decide::Rejected> {
        let program = command.program.number;
        let versions = command.program.versions();
        let new_member = match whom {
            Whom::New { .. } => self.new_member(command),
            _ => self.entropy.member_id(command.recorded_at),
        };
        let state = match whom {
            Whom::Known(member) => self.loaded.members.get(&(program, *member)).map(|known| &known.state),
            _ => None,
        };
        let guest = match whom {
            Whom::New { guest } => *guest,
            _ => state.is_some_and(|state| state.status == Status::Guest),
        };
        let none = std::collections::BTreeMap::new();
        let memory = self.memory_of_joiner(command, whom);
        let inputs = Inputs {
            versions: &versions,
            state,
            new_member: match &command.subject {
                // Whoever founds a household says under which id.
                Subject::Member(id) if command.what.makes_household() => *id,
                _ => new_member,
            },
            guest,
            pools: self.loaded.pools.get(&program).unwrap_or(&none),
            orders: &more.orders,
            redemptions: &more.redemptions,
            codes: &more.codes,
            history: more.history.as_deref(),
            former: &more.former,
            memory: memory.as_ref(),
            entropy: self.entropy.bytes(),
            draws: if self.quote.is_some() { Draws::Hidden } else { Draws::Fresh },
            payload: more.payload.as_deref().unwrap_or(command.data_text()),
            origin,
            explain: command.explain,
        };
        match &mut self.quote {
            Some(quote) => {
                let (decision, cart) = decide::decide_cart(&inputs, core, &quote.ask)?;
                quote.cart = cart;
                Ok(decision)
            }
            None => decide::decide(&inputs, core),
        }
    }
}

fn parked(command: &Submission) -> Answer {
    let key = command.key.map(|(key, _)| crate::secret::hex(&key)).unwrap_or_default();
    let outcome = decide::Outcome {
        event_id: format!("parked_{key}"),
        status: decide::OutcomeStatus::Parked,
        first_status: None,
        member: None,
        program_version: command.program.versions().head().version,
        effects: Vec::new(),
        balances: std::collections::BTreeMap::new(),
        tiers: std::collections::BTreeMap::new(),
        claim_code: None,
        redemption: None,
    };
    Answer::Done { outcome: Box::new(outcome), trace: Vec::new() }
}

fn duplicate_parked(command: &Submission) -> Answer {
    match parked(command) {
        Answer::Done { mut outcome, trace } => {
            outcome.first_status = Some(decide::OutcomeStatus::Parked);
            outcome.status = decide::OutcomeStatus::Duplicate;
            Answer::Done { outcome, trace }
        }
        other => other,
    }
}
