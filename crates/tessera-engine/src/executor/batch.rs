//! One batch: read, decide each in order, write, commit.

use compact_str::CompactString;
use tessera_core::decide::{self, Cart, CartAsk, Decision, Draws, Inputs, Memory, OrderRecord, Recorded};
use tessera_core::event::{Claim, Command, Origin, Removal, SecondFact, What};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::{Redemption, RedemptionStatus};
use tessera_core::member::Status;
use tessera_core::program::{GIFT_CARD, UnknownMember};
use tessera_core::voucher::CodeRecord;
use tessera_store::{Dialect, StoreError, tables};

use super::load::{self, ClosedName, Loaded};
use super::write::Writes;
use super::{Context, Worker};
use crate::case;
use crate::clock::Entropy;
use crate::gift_card::{replaced_gift_card, unknown_gift_card};
use crate::household::unknown_household;
use crate::identifier::{Identifier, Subject};
use crate::profile::{IDENTIFIERS_MAX, Profile, SealedProfile};
use crate::programs::member_id;
use crate::record::{Rows, member_key, own_key};
use crate::submission::{Answer, Refusal, Submission};
use crate::voucher;

/// What became of one command of a batch.
enum Step {
    Answer(Answer),
    /// It needs rows that this batch has not written yet: the batch ends before it.
    Cut,
}

/// Whom a command is about.
enum Whom {
    Known(MemberId),
    /// Nobody yet: the command makes a member, or the shadow of a guest's order.
    New {
        guest: bool,
    },
    /// Waits until somebody joins with this identifier.
    Later([u8; 16]),
}

impl Worker {
    /// Decides and writes as many commands from the front as one transaction can hold, and answers those.
    pub(super) fn attempt(&mut self, batch: &[Submission]) -> Result<Vec<Answer>, StoreError> {
        let mut tx = self.writer.begin()?;
        let mut loaded = part("read").in_scope(|| Loaded::read(&mut tx, &self.context, batch))?;
        let mut writes = Writes::default();
        let mut answers = Vec::with_capacity(batch.len());
        let context = self.context.clone();
        let mut one = One {
            context: &context,
            entropy: &mut self.entropy,
            tx: &mut tx,
            loaded: &mut loaded,
            writes: &mut writes,
            quote: None,
        };
        let deciding = part("decide").entered();
        for command in batch {
            match one.decide(command)? {
                Step::Answer(answer) => answers.push(answer),
                Step::Cut if answers.is_empty() => {
                    return Err(StoreError::Database("a batch of one cannot be cut".to_owned()));
                }
                Step::Cut => break,
            }
        }
        drop(deciding);
        let wakes_relay = writes.wakes_relay;
        part("write").in_scope(|| writes.write(&mut tx, &loaded))?;
        let began = std::time::Instant::now();
        part("commit").in_scope(|| tx.commit())?;
        metrics::histogram!("tessera_commit_seconds").record(began.elapsed().as_secs_f64());
        if wakes_relay {
            // One signal is enough: the relay takes everything that is there.
            let _ = self.follow_ups.try_send(());
        }
        metrics::histogram!("tessera_batch_size").record(answers.len() as f64);
        Ok(answers)
    }
}

/// The span of a part of a batch.
fn part(name: &'static str) -> tracing::Span {
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
    context.database.read(|reader| {
        // The embedded database has no other process that could have published a version.
        let mut loaded = match context.database.dialect() {
            Dialect::Sqlite => Loaded::read_rows(reader, context, commands)?,
            Dialect::Postgres => Loaded::read(reader, context, commands)?,
        };
        // Stays empty: what one of them would change, the next does not see.
        let mut writes = Writes::default();
        let quoted = commands.iter().zip(asks).map(|(command, ask)| {
            let mut one = One {
                context,
                entropy: &mut entropy,
                tx: reader,
                loaded: &mut loaded,
                writes: &mut writes,
                quote: Some(Quoting { ask: ask.clone(), cart: Cart::default() }),
            };
            match one.decide(command)? {
                Step::Answer(answer) => Ok(Some((answer, one.quote.map(|quote| quote.cart).unwrap_or_default()))),
                Step::Cut => Ok(None),
            }
        });
        quoted.collect()
    })
}

/// The guest's order that a claim is about (P6).
enum Claimed {
    /// The command is no claim.
    Nothing,
    /// With its data.
    Order(Box<(OrderRecord, String)>),
    /// This batch has changed it and not written it yet.
    Unwritten,
    Refused(Refusal),
}

/// What a command needs beyond the batch's one read.
struct More {
    orders: Vec<OrderRecord>,
    redemptions: Vec<(u64, Redemption)>,
    codes: Vec<CodeRecord>,
    history: Option<Vec<Recorded>>,
    /// What became of an order's points before its maker was merged.
    former: Vec<Recorded>,
    /// It is about what a merge has not brought yet.
    is_early: bool,
    /// The data of the event, where they are not the command's.
    payload: Option<String>,
}

struct One<'a> {
    context: &'a Context,
    entropy: &'a mut Entropy,
    tx: &'a mut dyn Rows,
    loaded: &'a mut Loaded,
    writes: &'a mut Writes,
    /// Nothing is written, and what chance decides stays unknown.
    quote: Option<Quoting>,
}

/// What is wanted of a cart, and what was found.
struct Quoting {
    ask: CartAsk,
    cart: Cart,
}

impl One<'_> {
    fn decide(&mut self, command: &Submission) -> Result<Step, StoreError> {
        let program = command.program.number;
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
        let Some(known) = self.loaded.keys.get(&(program, key)) else { return Ok(None) };
        let same = known.hash == hash;
        if let Some(text) = &known.refusal {
            // A refused key holds nothing: a corrected command is decided afresh.
            let refusal = same.then(|| serde_json::from_str::<Refusal>(text).ok()).flatten();
            return Ok(refusal.map(|refusal| Answer::Refused(Refusal { replayed: true, ..refusal })));
        }
        if !same {
            let detail = "another event with this source and id was accepted before; give this one an id of its own";
            return Ok(Some(Answer::Refused(Refusal::new("idempotency-key-reused", detail))));
        }
        let Some(member) = known.member else { return Ok(Some(duplicate_parked(command))) };
        let seq = known.seq;
        let main = load::events_between(self.tx, program, member, seq, seq)?;
        let corrupt = || StoreError::corrupt("event", "record", "the event of a known key has no answer");
        let answer = main.first().and_then(|event| event.recorded.record.answer.clone()).ok_or_else(corrupt)?;
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
        if self.quote.is_none() {
            self.writes.refusal(self.loaded, command, &refusal);
        }
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
        if let (Some(key), Whom::Known(member)) = (load::staff_key(self.context, command), whom) {
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

    fn whom(&self, command: &Submission) -> Result<Whom, Refusal> {
        let program = command.program.number;
        let unknown = || {
            if command.what.names_redemption().is_some() {
                return Refusal::new("unknown-redemption", "there is no such redemption in this program");
            }
            if matches!(command.what, What::GiftCard(_)) {
                return unknown_gift_card();
            }
            let of_pool = matches!(&command.what, What::Redeem(redeem) if redeem.by.is_some());
            if of_pool || command.what.is_of_household() {
                return unknown_household();
            }
            Refusal::new(
                "unknown-member",
                "no member is known under this subject; enrol them first, or let the document say `unknown_member: enrol`",
            )
        };
        match &command.subject {
            Subject::Member(id) => {
                let id = if command.what.is_of_merged() { *id } else { self.loaded.survivor(program, *id) };
                match self.loaded.members.get(&(program, id)) {
                    Some(known) if is_about(known.state.status, &command.what) => Ok(Whom::Known(id)),
                    Some(known) if known.state.status == Status::Left => Err(member_left()),
                    None if command.what.makes_household() => Ok(Whom::New { guest: false }),
                    _ => Err(unknown()),
                }
            }
            Subject::Identifier(identifier) if identifier.is_gift_card() => self.gift_card(command, identifier),
            Subject::Identifier(identifier) => {
                let key = self.context.secrets.identifier_key(program, &identifier.to_text());
                if let Some(member) = self.loaded.identifiers.get(&(program, key)) {
                    return Ok(Whom::Known(self.loaded.survivor(program, *member)));
                }
                match self.loaded.closed.get(&(program, key)) {
                    Some(ClosedName::Replaced) => return Err(name_replaced(identifier)),
                    // Nobody comes back without wanting to.
                    Some(ClosedName::Left { until, .. })
                        if *until > command.recorded_at && !matches!(command.what, What::Enrol(_)) =>
                    {
                        return Err(member_left());
                    }
                    _ => {}
                }
                let policy = command.program.versions().at(command.effective_at).definition.unknown_member;
                match (&command.what, policy) {
                    // What somebody does by hand is about a member there is: a slip of the pen makes none.
                    (What::Adjust(_) | What::Transfer(_) | What::JoinChallenge { .. } | What::Household(_), _) => {
                        Err(unknown())
                    }
                    (What::MoveIn(_), _) => Ok(Whom::New { guest: false }),
                    // Somebody has joined elsewhere before they have points: what comes first is about nobody.
                    (what, _) if what.is_from_elsewhere() => Err(unknown()),
                    (What::Claim(_) | What::Rename(_) | What::Leave { .. } | What::Freeze(_), _) => Err(unknown()),
                    (what, _) if what.is_about_now() => Err(unknown()),
                    (What::Enrol(_), _) | (_, UnknownMember::Enrol) => Ok(Whom::New { guest: false }),
                    (_, UnknownMember::Refuse) => Err(unknown()),
                    // What waits lies in the open: personal data do not.
                    (What::Profile(_), _) if command.has_personal_data() => Err(unknown()),
                    (_, UnknownMember::Park) => Ok(Whom::Later(key)),
                }
            }
            Subject::Nobody => self.whom_by_order(command),
        }
    }

    /// The gift card of a code, which is what makes it and pays with it.
    fn gift_card(&self, command: &Submission, identifier: &Identifier) -> Result<Whom, Refusal> {
        let program = command.program.number;
        if !command.what.may_be_of_gift_card() {
            let detail = "this is the code of a gift card, and the event is about members";
            return Err(Refusal::new("unknown-member", detail));
        }
        let key = self.context.secrets.identifier_key(program, &identifier.to_text());
        let Some(card) = self.loaded.identifiers.get(&(program, key)) else {
            let makes = command.what.makes_gift_card();
            return if makes { Ok(Whom::New { guest: false }) } else { Err(unknown_gift_card()) };
        };
        let known = self.loaded.members.get(&(program, *card));
        if known.is_some_and(|known| known.state.gift_card.is_some_and(|known| known.code != key)) {
            return Err(replaced_gift_card());
        }
        Ok(Whom::Known(*card))
    }

    /// What gift cards paid of an order: each redemption is one of a card, spent for this order and not given back (V3).
    fn card_payments(&self, command: &Submission) -> Result<(), Refusal> {
        let program = command.program.number;
        let (order, is_new) = match &command.what {
            What::Purchase(order) => (order, true),
            What::Amend(order) => (order, false),
            What::Exchange(exchange) => (&exchange.bought, true),
            _ => return Ok(()),
        };
        let versions = command.program.versions();
        let rules = versions.at(command.effective_at);
        let foreign = !order.currency.is_empty() && order.currency != rules.definition.currency;
        for payment in &order.payments {
            let Some(id) = payment.by_gift_card() else { continue };
            let known = self.loaded.redemptions.get(&(program, id)).filter(|known| known.terms.currency == GIFT_CARD);
            let Some(known) = known.filter(|known| known.status == RedemptionStatus::Captured) else {
                let detail =
                    format!("payments: no gift card has spent anything by a redemption {id}: capture it first");
                return Err(Refusal::new("unknown-redemption", detail).with("redemption", id.to_string()));
            };
            if let Some(other) = known.terms.order_id.as_ref().filter(|other| **other != order.order_id) {
                let detail = format!("payments: the redemption {id} of a gift card paid for the order {other}");
                let refusal = Refusal::new("redemption-of-another-order", detail);
                return Err(refusal.with("redemption", id.to_string()).with("order_id", other.as_str()));
            }
            let spent = rules.money.amount(if is_new { known.captured - known.returned } else { known.captured });
            if !foreign && payment.amount > spent {
                let detail = format!("payments: {} is more than the {spent} that the gift card paid", payment.amount);
                let refusal = Refusal::new("gift-card-paid-less", detail).with("redemption", id.to_string());
                return Err(refusal.with("amount", payment.amount.to_string()).with("paid", spent.to_string()));
            }
        }
        Ok(())
    }

    /// What pools paid of an order: each redemption is there, spent for this order or for none in particular. Whose pool it
    /// is, the member knows.
    fn pool_payments(&self, command: &Submission, whom: &Whom) -> Result<(), Refusal> {
        let program = command.program.number;
        let known = known_member(whom).and_then(|member| self.loaded.members.get(&(program, member)));
        let Some(member) = known.map(|known| &known.state) else { return Ok(()) };
        let order = match &command.what {
            What::Purchase(order) | What::Amend(order) => order,
            What::Exchange(exchange) => &exchange.bought,
            _ => return Ok(()),
        };
        let by_points = order.payments.iter().filter_map(|payment| payment.by_points());
        for id in by_points.filter(|paid| member.number_of(*paid).is_none()) {
            let known = self.loaded.redemptions.get(&(program, id)).filter(|known| known.by.is_some());
            let Some(known) = known else {
                let detail = format!("payments: there is no redemption {id} of the member or their household");
                return Err(Refusal::new("unknown-redemption", detail).with("redemption", id.to_string()));
            };
            if let Some(other) = known.terms.order_id.as_ref().filter(|other| **other != order.order_id) {
                let detail = format!("payments: the redemption {id} of a pool paid for the order {other}");
                let refusal = Refusal::new("redemption-of-another-order", detail);
                return Err(refusal.with("redemption", id.to_string()).with("order_id", other.as_str()));
            }
        }
        Ok(())
    }

    /// A command that names nobody: the member of the order it is about, somebody who joins, or a guest.
    fn whom_by_order(&self, command: &Submission) -> Result<Whom, Refusal> {
        let program = command.program.number;
        if let Some(order) = command.what.names_order() {
            let key = self.context.secrets.order_key(program, order);
            return match self.loaded.orders.get(&(program, key)) {
                Some(known) => Ok(Whom::Known(self.loaded.owner(program, known))),
                None => Err(Refusal::new(
                    "unknown-order",
                    format!("there is no order {order}, and the event names no member that it could wait with"),
                )
                .with("order_id", order)),
            };
        }
        match &command.what {
            What::Purchase(_) | What::Return(_) => Ok(Whom::New { guest: true }),
            What::Enrol(_) if !command.identifiers.is_empty() => {
                let taken = command.identifiers.iter().find_map(|identifier| {
                    let key = self.context.secrets.identifier_key(program, &identifier.to_text());
                    self.loaded.identifiers.get(&(program, key))
                });
                Ok(taken
                    .map_or(Whom::New { guest: false }, |member| Whom::Known(self.loaded.survivor(program, *member))))
            }
            _ => Err(Refusal::new(
                "needs-member",
                "this event needs a `subject`: a member's id, or kind:value such as phone:+84901234567",
            )),
        }
    }

    /// Reads what this command needs beyond the batch's one read; `None` when that is not written yet.
    fn read_more(&mut self, command: &Submission, core: &Command, whom: &Whom) -> Result<Option<More>, StoreError> {
        let program = command.program.number;
        let versions = command.program.versions();
        let known = match whom {
            Whom::Known(member) => self.loaded.members.get(&(program, *member)),
            _ => None,
        };
        let needs = decide::needs(&versions, known.map(|known| &known.state), core);
        let touched = matches!(whom, Whom::Known(member) if self.loaded.touched.contains(&(program, *member)));
        let reads_profile = command.has_personal_data()
            || matches!(command.what, What::Rename(_) | What::Leave { .. } | What::SurvivorLeft(_));
        if touched && (needs.history || needs.purchases_since.is_some() || reads_profile) {
            return Ok(None);
        }
        let (mut orders, mut is_early) = (Vec::new(), false);
        load::known_orders(self.loaded, self.tx, self.context, program, &needs.awaited)?;
        for name in load::order_names(command).into_iter().chain(needs.awaited.iter().cloned()) {
            let key = self.context.secrets.order_key(program, &name);
            let Some(known) = self.loaded.orders.get(&(program, key)).cloned() else { continue };
            let wanted = command.what.makes_order() == Some(name.as_str())
                || needs.order.as_ref() == Some(&name)
                || needs.awaited.contains(&name);
            if !wanted {
                continue;
            }
            let owner = self.loaded.owner(program, &known);
            if [known.member, owner].iter().any(|member| self.loaded.touched.contains(&(program, *member))) {
                return Ok(None);
            }
            let record = load::order(self.loaded, self.tx, program, &versions, &known)?;
            match self.loaded.seen_by_owner(program, &known, record) {
                Some(record) => orders.push(record),
                None => is_early = true,
            }
        }
        let (mut history, mut former, mut redemptions) = (None, Vec::new(), Vec::new());
        if let Whom::Known(member) = whom {
            if let Some(since) = needs.purchases_since {
                let state = self.loaded.members.get(&(program, *member)).map(|known| &known.state);
                let merged = state.into_iter().flat_map(|state| state.merged_now()).map(|merged| merged.id);
                let makers: Vec<MemberId> = std::iter::once(*member).chain(merged).collect();
                for maker in makers {
                    let found =
                        load::purchases_since(self.loaded, self.tx, self.context, program, &versions, maker, since)?;
                    for (record, key, known) in found.into_iter().filter(|(record, ..)| record.member == *member) {
                        self.loaded.orders.insert(key, known);
                        orders.push(record);
                    }
                }
                orders.sort_by_key(|order| std::cmp::Reverse((order.effective_at, order.event)));
            }
            let state = self.loaded.members.get(&(program, *member)).map(|known| &known.state);
            let of_orders = state.is_some_and(|state| decide::needs_history(&versions, state, &orders, core));
            if of_orders && touched {
                return Ok(None);
            }
            let made_by = orders.iter().find(|order| order.made_by != order.member);
            let made_by = made_by.zip(state).map(|(order, state)| state.event_id(order.event));
            let named: Vec<(u64, EventId)> = decide::redemptions(&core.what, state, &orders)
                .into_iter()
                .filter_map(|number| Some((number, state?.event_id(number))))
                .collect();
            if needs.history || of_orders {
                history = Some(load::history(self.tx, program, *member)?);
            }
            if let Some(made_by) = made_by.filter(|_| of_orders) {
                if self.loaded.touched.contains(&(program, made_by.member)) {
                    return Ok(None);
                }
                former = load::history(self.tx, program, made_by.member)?;
                former.retain(|event| event.seq >= made_by.seq);
            }
            let ids: Vec<_> = named.iter().map(|(_, id)| (program, *id)).collect();
            self.loaded.read_redemptions_of(self.tx, &ids)?;
            let known =
                |(number, id): (u64, EventId)| Some((number, self.loaded.redemptions.get(&(program, id))?.clone()));
            redemptions.extend(named.into_iter().filter_map(known));
        }
        let member = known_member(whom);
        let mut named = decide::voucher_codes(&core.what, &orders);
        let state = member.and_then(|member| self.loaded.members.get(&(program, member))).map(|known| &known.state);
        let undone = decide::undone_codes(&core.what, state, &redemptions);
        named.extend(undone.iter().cloned());
        named.sort_unstable();
        named.dedup();
        if let (Some(member), Some(quote), What::Purchase(_)) = (member, &mut self.quote, &core.what)
            && (quote.ask.best || quote.ask.missing)
        {
            let holder = self.loaded.members.get(&(program, member)).map(|known| &known.state);
            let merged = holder.into_iter().flat_map(|holder| holder.merged_now()).map(|merged| merged.id);
            let owners: Vec<MemberId> = std::iter::once(member).chain(merged).collect();
            let mut own = Vec::new();
            for owner in owners {
                own.append(&mut voucher::good_codes(self.tx, program, owner, core.effective_at)?);
            }
            quote.ask.not_all_codes = own.len() >= voucher::OWN_MAX;
            named.extend(own);
            named.sort_unstable();
            named.dedup();
        }
        let codes = self.read_vouchers(command, member, named)?;
        // A code that this batch has given is not written yet.
        if touched && undone.iter().any(|code| codes.iter().all(|known| known.code != *code)) {
            return Ok(None);
        }
        Ok(Some(More { payload: None, orders, redemptions, codes, history, former, is_early }))
    }

    /// The codes of vouchers that are there of those named.
    fn read_vouchers(
        &mut self,
        command: &Submission,
        member: Option<MemberId>,
        named: Vec<CompactString>,
    ) -> Result<Vec<CodeRecord>, StoreError> {
        let program = command.program.number;
        let key = |code: &CompactString| (program, self.context.secrets.code_key(program, code));
        let keys: Vec<_> = named.iter().map(key).collect();
        self.loaded.read_codes_of(self.tx, &keys)?;
        let mut codes = Vec::with_capacity(named.len());
        for (code, key) in named.into_iter().zip(keys) {
            if !self.loaded.codes.contains_key(&key)
                && let Some(member) = member
                && let Some(known) = voucher::issued_before(self.tx, &command.program, member, (&code, key.1))?
            {
                self.loaded.codes.insert(key, known);
            }
            codes.extend(self.loaded.codes.get(&key).map(|known| known.record(code, &key.1)).transpose()?);
        }
        Ok(codes)
    }

    /// A name that the data give must be free, or the member's own.
    fn claims(&self, command: &Submission, whom: &Whom) -> Result<(), Refusal> {
        let program = command.program.number;
        let own = match whom {
            Whom::Known(member) => Some(*member),
            _ => None,
        };
        for identifier in &command.identifiers {
            if identifier.is_gift_card() && !matches!(command.what, What::GiftCard(_)) {
                let detail = format!("{GIFT_CARD}:… is the name of a gift card, and no member's");
                return Err(Refusal::new("identifier-taken", detail).with("kind", GIFT_CARD.as_str()));
            }
            let key = self.context.secrets.identifier_key(program, &identifier.to_text());
            let known = self.loaded.identifiers.get(&(program, key));
            let taken = known.is_some_and(|member| Some(self.loaded.survivor(program, *member)) != own);
            if matches!(self.loaded.closed.get(&(program, key)), Some(ClosedName::Replaced)) {
                return Err(name_replaced(identifier));
            }
            if taken {
                let detail = format!("another member is known under this {}", identifier.kind());
                return Err(Refusal::new("identifier-taken", detail).with("kind", identifier.kind().as_str()));
            }
            // P4: a profile says what is known of somebody, and carries no proof of whose number it is.
            let is_new = own.is_some() && !self.loaded.identifiers.contains_key(&(program, key));
            if is_new && matches!(command.what, What::Profile(_)) {
                let versions = command.program.versions();
                if versions.at(command.recorded_at).definition.identity.proof.contains(identifier.kind()) {
                    return Err(decide::Rejected::ProofNeeded { kind: identifier.kind().clone() }.into());
                }
            }
        }
        if let What::Rename(renaming) = &command.what {
            for name in &renaming.removed {
                let known = self.loaded.identifiers.get(&(program, name.key));
                if known.map(|member| self.loaded.survivor(program, *member)) != own {
                    let detail = format!("the member is known under no such {}", name.kind);
                    return Err(Refusal::new("unknown-identifier", detail).with("kind", name.kind.as_str()));
                }
            }
        }
        Ok(())
    }

    /// Why the names that a command brings would be more than may lead to one member.
    fn too_many_names(&mut self, command: &Submission, whom: &Whom) -> Result<Option<Refusal>, StoreError> {
        let program = command.program.number;
        let is_new = |identifier: &&Identifier| {
            let key = self.context.secrets.identifier_key(program, &identifier.to_text());
            !self.loaded.identifiers.contains_key(&(program, key))
        };
        let (new, Whom::Known(member)) = (command.identifiers.iter().filter(is_new).count(), whom) else {
            return Ok(None);
        };
        if new == 0 {
            return Ok(None);
        }
        let removed = match &command.what {
            What::Rename(renaming) => renaming.removed.len(),
            _ => 0,
        };
        let known = self.profile_of(program, *member)?.identifiers.len().saturating_sub(removed);
        if known + new <= IDENTIFIERS_MAX {
            return Ok(None);
        }
        let detail = format!(
            "at most {IDENTIFIERS_MAX} identifiers lead to a member: there are {known}, and {new} more would come"
        );
        Ok(Some(Refusal::new("too-many-identifiers", detail).with("most", IDENTIFIERS_MAX).with("known", known)))
    }

    /// Finds the guest's order of a claim's code. The command then happens when the purchase did.
    fn claimed(&mut self, command: &Submission, core: &mut Command, whom: &Whom) -> Result<Claimed, StoreError> {
        let What::Claim(claim) = &mut core.what else { return Ok(Claimed::Nothing) };
        let program = command.program.number;
        let code = self.context.secrets.order_key(program, &Claim::key_of(&claim.code));
        let Some(guest) = self.loaded.orders.get(&(program, code)).cloned() else {
            return Ok(Claimed::Refused(decide::Rejected::UnknownClaimCode.into()));
        };
        if self.loaded.touched.contains(&(program, guest.member)) {
            return Ok(Claimed::Unwritten);
        }
        let versions = command.program.versions();
        let made_by = load::one_event(self.tx, program, guest.member, guest.seq)?;
        let order_id = made_by.order(&versions)?.order_id;
        load::known_orders(self.loaded, self.tx, self.context, program, std::slice::from_ref(&order_id))?;
        let key = self.context.secrets.order_key(program, &order_id);
        let known = self.loaded.orders.get(&(program, key)).filter(|known| known.member == guest.member).cloned();
        let Some(known) = known else {
            let detail = format!("the purchase {order_id} was claimed before");
            return Ok(Claimed::Refused(Refusal::new("already-claimed", detail).with("order_id", order_id.as_str())));
        };
        let record = load::order(self.loaded, self.tx, program, &versions, &known)?;
        let content = known.progress.as_ref().map_or(known.seq, |progress| progress.content);
        let content = load::one_event(self.tx, program, guest.member, content)?;
        core.effective_at = record.effective_at;
        if let (Some(staff), Whom::Known(member)) = (&record.content.staff, whom)
            && let Ok(identifier) = format!("staff:{staff}").parse::<Identifier>()
        {
            let key = self.context.secrets.identifier_key(program, &identifier.to_text());
            let sql = "SELECT member FROM member_identifier WHERE bucket = $1 AND program = $2 AND key = $3 \
                       AND state IS NULL";
            let rows = self.tx.query(sql, &own_key(program, &key))?;
            let known = rows.first().map(|row| member_id(row[0].bytes()?)).transpose()?;
            claim.is_own_sale = known.map(|known| self.loaded.survivor(program, known)) == Some(*member);
        }
        Ok(Claimed::Order(Box::new((record, content.envelope()?.data.get().to_owned()))))
    }

    /// A second fact that is a name is one if the name leads to the same member.
    fn know_second_fact(&self, program: i64, what: &mut What, whom: &Whom) {
        if let (What::Rename(renaming), Whom::Known(member)) = (what, whom)
            && let Some(SecondFact::Name { name, is_own }) = &mut renaming.second
        {
            let known = self.loaded.identifiers.get(&(program, name.key));
            *is_own = known.is_some_and(|known| self.loaded.survivor(program, *known) == *member);
        }
    }

    /// What is remembered of somebody who is about to leave, and whether they are still a member.
    fn memory_of_leaver(&self, command: &Submission, whom: &Whom) -> Option<(Memory, bool)> {
        let (What::Leave { .. } | What::SurvivorLeft(_), Whom::Known(member)) = (&command.what, whom) else {
            return None;
        };
        let known = self.loaded.members.get(&(command.program.number, *member))?;
        Some((Memory::of(&known.state), matches!(known.state.status, Status::Active | Status::Merged)))
    }

    /// What is remembered of whoever joins, if they left before (P3).
    fn memory_of_joiner(&self, command: &Submission, whom: &Whom) -> Option<Memory> {
        let Whom::New { guest: false } = whom else { return None };
        let program = command.program.number;
        let subject = match &command.subject {
            Subject::Identifier(identifier) => Some(identifier),
            _ => None,
        };
        let mut found: Option<Memory> = None;
        for identifier in subject.into_iter().chain(&command.identifiers) {
            let key = self.context.secrets.identifier_key(program, &identifier.to_text());
            if let Some(ClosedName::Left { until, memory }) = self.loaded.closed.get(&(program, key))
                && *until > command.recorded_at
            {
                found = Some(found.unwrap_or_default().and(memory.clone()));
            }
        }
        found
    }

    /// Whoever left is known under no name any more; of each but cards a mark stays for a while (P3). Whoever is erased
    /// leaves nothing personal.
    fn forget(
        &mut self,
        command: &Submission,
        member: MemberId,
        memory: &Memory,
        is_member: bool,
    ) -> Result<(), StoreError> {
        let program = command.program.number;
        let erases = command.what.erases();
        let memory = if erases { &memory.clone().without_birthdays() } else { memory };
        if erases && !is_member {
            // The marks that were left when they left tell no birthday either.
            for name in &self.profile_of(program, member)?.identifiers {
                self.writes.forget_birthday((program, self.context.secrets.identifier_key(program, name)));
            }
        }
        if is_member {
            let profile = self.profile_of(program, member)?;
            let versions = command.program.versions();
            let rules = versions.at(command.recorded_at);
            let kept = rules.definition.leaving.rejoin_memory;
            let until = rules.calendar.end(kept.after(rules.calendar.day(command.recorded_at)));
            for name in &profile.identifiers {
                let key = (program, self.context.secrets.identifier_key(program, name));
                let mark = (!kept.is_zero() && !name.starts_with("card:"))
                    .then(|| ClosedName::Left { until, memory: memory.clone() });
                self.writes.close_name(self.loaded, key, member, mark);
            }
        }
        if erases {
            self.writes.erase(program, member);
        }
        Ok(())
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
                _ => self.entropy.member_id(command.recorded_at),
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

    /// Names and personal data: claimed and sealed in the same transaction as the event that brought them.
    fn personal(&mut self, command: &Submission, member: MemberId, is_new: bool) -> Result<(), StoreError> {
        let program = command.program.number;
        let subject = match &command.subject {
            Subject::Identifier(identifier) if is_new => Some(identifier),
            _ => None,
        };
        let renaming = match &command.what {
            What::Rename(renaming) => Some(renaming),
            _ => None,
        };
        if !is_new && renaming.is_none() && !command.has_personal_data() {
            return Ok(());
        }
        let mut profile = if is_new { Profile::default() } else { self.profile_of(program, member)? };
        for name in renaming.iter().flat_map(|renaming| &renaming.removed) {
            let blocked = renaming.is_some_and(|renaming| renaming.why == Removal::Replaced);
            let kept = blocked.then_some(ClosedName::Replaced);
            let is_other = |text: &String| self.context.secrets.identifier_key(program, text) != name.key;
            // A name of somebody who was merged stands with them.
            let owner = self.loaded.identifiers.get(&(program, name.key)).copied().unwrap_or(member);
            if owner == member {
                profile.identifiers.retain(is_other);
            } else {
                let mut theirs = self.profile_of(program, owner)?;
                theirs.identifiers.retain(|text| self.context.secrets.identifier_key(program, text) != name.key);
                let sealed = theirs.seal(&self.context.secrets, self.entropy);
                self.writes.profile(program, owner, sealed);
            }
            self.writes.close_name(self.loaded, (program, name.key), owner, kept);
        }
        for identifier in subject.into_iter().chain(&command.identifiers) {
            let text = identifier.to_text();
            let key = self.context.secrets.identifier_key(program, &text);
            if !self.loaded.identifiers.contains_key(&(program, key)) {
                self.writes.identifier(self.loaded, program, key, member, command.recorded_at);
            }
            if !profile.identifiers.contains(&text) {
                profile.identifiers.push(text);
            }
        }
        profile.fields.extend(command.personal.iter().map(|(name, value)| (name.clone(), value.clone())));
        let sealed = profile.seal(&self.context.secrets, self.entropy);
        self.writes.profile(program, member, sealed);
        Ok(())
    }

    fn profile_of(&mut self, program: i64, member: MemberId) -> Result<Profile, StoreError> {
        let rows = self.tx.fetch_by_keys(&tables::MEMBER_PROFILE, &[member_key(program, member)])?;
        let Some(row) = rows.first() else { return Ok(Profile::default()) };
        let sealed = SealedProfile { wrapped_key: row[3].bytes()?.to_vec(), data: row[4].bytes()?.to_vec() };
        Profile::open(&sealed, &self.context.secrets)
            .map_err(|error| StoreError::corrupt("member_profile", "data", error.to_string()))
    }
}

fn known_member(whom: &Whom) -> Option<MemberId> {
    match whom {
        Whom::Known(member) => Some(*member),
        _ => None,
    }
}

fn member_left() -> Refusal {
    Refusal::new("member-left", "the member has left; whoever wants to come back enrols again")
}

fn name_replaced(identifier: &Identifier) -> Refusal {
    let detail = format!("this {} was replaced by another and is blocked", identifier.kind());
    Refusal::new("identifier-replaced", detail).with("kind", identifier.kind().as_str())
}

/// Whether a command may be about somebody of this status.
fn is_about(status: Status, what: &What) -> bool {
    match status {
        Status::Active => what.is_follow_up() || !matches!(what, What::GiftCard(_)),
        Status::GiftCard => what.may_be_of_gift_card(),
        Status::Household => what.may_be_of_household() || what.is_follow_up(),
        Status::Left => what.is_follow_up() || what.may_follow_leaving(),
        // A guest's cancelled order may free its voucher.
        Status::Guest => what.is_follow_up() || what.is_rollback(),
        Status::Merged => what.is_of_merged(),
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
