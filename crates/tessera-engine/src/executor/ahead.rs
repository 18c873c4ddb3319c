//! Deciding a batch while the one before it is written: `docs/decisions/0020-deciding-beside-writing.md`.
//!
//! The writing thread reads what a batch names, lets another thread decide it, and writes the batch before meanwhile. What
//! that one has decided and not written yet is handed on from memory. Where more would be needed, the batch waits until
//! everything is written, and is decided as any other.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use tessera_core::event::What;
use tessera_store::{Row, StoreError, Table, Tx, Value};
use tracing::Span;

use super::batch::{One, Step, Written, finish, part};
use super::faults::Fault;
use super::load::{KnownMember, Loaded};
use super::write::Writes;
use super::{BESIDE_FROM, Batch, Context, Reply, Work, Worker};
use crate::clock::Entropy;
use crate::record::Rows;
use crate::submission::{Answer, Submission};

/// A batch with what it rests on.
struct Ask {
    commands: Vec<Submission>,
    loaded: Loaded,
    entropy: Entropy,
    span: Span,
}

/// A batch that is decided and not written.
pub(super) struct Decided {
    commands: Vec<Submission>,
    /// To the first commands, in their order: to all of them, or to those before one that needs more than was read.
    answers: Vec<Answer>,
    loaded: Loaded,
    writes: Writes,
    entropy: Entropy,
}

impl Decided {
    /// How many commands there are.
    pub fn size(&self) -> usize {
        self.commands.len()
    }

    fn is_whole(&self) -> bool {
        self.answers.len() == self.commands.len()
    }
}

/// The thread that decides.
pub(super) struct Decider {
    asks: Option<Sender<Ask>>,
    decided: Receiver<Decided>,
    thread: Option<JoinHandle<()>>,
}

impl Decider {
    pub fn start(context: Arc<Context>) -> Result<Self, StoreError> {
        let (asks, asked) = crossbeam_channel::bounded::<Ask>(1);
        let (tell, decided) = crossbeam_channel::bounded(1);
        let run = move || {
            for ask in asked {
                if tell.send(decide(&context, ask)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("decider".to_owned()).spawn(run);
        let thread = thread.map_err(|error| StoreError::Unavailable(format!("no thread to decide on: {error}")))?;
        Ok(Self { asks: Some(asks), decided, thread: Some(thread) })
    }

    /// Gives a batch back where nobody is there to decide it. Until it is decided there is no other randomness.
    fn ask(&self, commands: Vec<Submission>, loaded: Loaded, entropy: &mut Entropy) -> Result<(), Vec<Submission>> {
        let ask = Ask { commands, loaded, entropy: std::mem::take(entropy), span: Span::current() };
        let unsent = match &self.asks {
            Some(asks) => asks.send(ask).map_err(|unsent| unsent.0),
            None => Err(ask),
        };
        unsent.map_err(|ask| {
            *entropy = ask.entropy;
            ask.commands
        })
    }
}

impl Drop for Decider {
    fn drop(&mut self) {
        drop(self.asks.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the deciding thread has failed: this is a bug");
        }
    }
}

fn decide(context: &Context, ask: Ask) -> Decided {
    let Ask { commands, mut loaded, mut entropy, span } = ask;
    let (mut answers, mut writes) = (Vec::with_capacity(commands.len()), Writes::default());
    let deciding = AssertUnwindSafe(|| {
        let _deciding = part("decide").entered();
        let mut nothing = NothingMore;
        let mut one = One::new(context, &mut entropy, (&mut nothing, &mut loaded), &mut writes);
        for command in &commands {
            if changes_what_is_sealed(command) {
                return true;
            }
            let events = one.writes.events();
            match one.decide(command) {
                Ok(Step::Answer(answer)) => answers.push(answer),
                Ok(Step::Cut) => return true,
                // Whoever has more at hand tries again, and says so if that was not the reason.
                Err(_) => return one.writes.events() == events,
            }
        }
        true
    });
    // A bug in a decision shows again where it costs one command.
    if !span.in_scope(|| std::panic::catch_unwind(deciding)).unwrap_or(false) {
        answers.clear();
        writes = Writes::default();
    }
    Decided { commands, answers, loaded, writes, entropy }
}

/// Whether a command reads personal data before it writes them.
fn changes_what_is_sealed(command: &Submission) -> bool {
    command.has_personal_data() && !matches!(command.what, What::Enrol(_))
}

/// The database while another batch is being written to it: nothing can be read.
struct NothingMore;

impl Rows for NothingMore {
    fn fetch_by_keys(&mut self, _: &'static Table, keys: &[Row]) -> Result<Vec<Row>, StoreError> {
        match keys {
            [] => Ok(Vec::new()),
            _ => Err(needs_more()),
        }
    }

    fn query(&mut self, _: &str, _: &[Value]) -> Result<Vec<Row>, StoreError> {
        Err(needs_more())
    }
}

fn needs_more() -> StoreError {
    StoreError::Database("this needs more than was read before deciding".to_owned())
}

impl Loaded {
    /// Takes over what the batch before has decided since this one was read. `false` where memory does not tell all of it:
    /// then this is to be read again, once that is written.
    fn follow(&mut self, before: &Loaded, writes: &Writes) -> bool {
        if !writes.may_be_followed(self) {
            return false;
        }
        for key in &self.asked.identifiers {
            self.identifiers.extend(before.identifiers.get(key).map(|member| (*key, *member)));
        }
        for key in &self.asked.staff {
            self.staff.extend(before.identifiers.get(key).map(|member| (*key, *member)));
        }
        for key in &self.asked.orders {
            self.orders.extend(before.orders.get(key).map(|order| (*key, order.clone())));
        }
        let mut members = self.named_members();
        members.extend(self.members.keys());
        for key in members {
            let Some(known) = before.members.get(&key).filter(|_| before.touched.contains(&key)) else { continue };
            if known.state.into.is_some() {
                return false;
            }
            self.members.insert(key, KnownMember { state: known.state.clone(), version: known.version + 1 });
        }
        for (program, pool) in writes.pools.keys() {
            let used = before.pools.get(program).and_then(|pools| pools.get(pool)).copied().unwrap_or(0);
            self.pools.entry(*program).or_default().insert(pool.clone(), used);
        }
        self.being_written.clone_from(&before.touched);
        self.fresh_keys.extend(&before.fresh_keys);
        true
    }
}

impl Worker {
    /// Works what has come, with deciding and writing beside each other as long as more comes.
    ///
    /// `decided`: the batch before, which is yet to be written.
    pub(super) fn work_in_step(&mut self, decided: Option<Decided>, batch: Batch, queue: &Receiver<Work>) {
        match decided {
            Some(decided) => self.write_beside(decided, batch, queue),
            None => self.begin_with(batch, queue),
        }
    }

    /// What the decider was given, once it is decided.
    pub(super) fn decided(&mut self) -> Option<Decided> {
        self.deciding.as_ref()?;
        let health = self.health.clone();
        let _busy = health.busy();
        let Some(mut decided) = self.decider.as_ref().and_then(|decider| decider.decided.recv().ok()) else {
            // Whoever waits learns that there is no answer.
            tracing::error!("the deciding thread is gone: this is a bug");
            (self.deciding, self.decider) = (None, None);
            return None;
        };
        self.entropy = std::mem::take(&mut decided.entropy);
        Some(decided)
    }

    /// Takes back what the decider was given in the belief that the batch before would be written.
    pub(super) fn take_back(&mut self) -> Batch {
        match self.decided() {
            Some(decided) => decided.commands.into_iter().zip(self.deciding.take().unwrap_or_default()).collect(),
            None => Batch::new(),
        }
    }

    /// Has a batch decided that follows upon nothing.
    fn begin_with(&mut self, batch: Batch, queue: &Receiver<Work>) {
        // Hardly anybody else waits: this thread would only stand still meanwhile.
        if queue.len() < BESIDE_FROM / 2 || self.decider.is_none() {
            return self.work(batch, queue);
        }
        let (commands, replies): (Vec<Submission>, VecDeque<Reply>) = batch.into_iter().unzip();
        let read = self.writer.begin().and_then(|mut tx| read(&mut tx, &self.context, &commands));
        let unasked = match (read, &self.decider) {
            (Ok(loaded), Some(decider)) => decider.ask(commands, loaded, &mut self.entropy),
            // Whoever works it tries as often as is right.
            _ => Err(commands),
        };
        match unasked {
            Ok(()) => self.deciding = Some(replies),
            Err(commands) => self.work(commands.into_iter().zip(replies).collect(), queue),
        }
    }

    /// Writes what is decided, while the decider has the next batch.
    fn write_beside(&mut self, mut decided: Decided, mut next: Batch, queue: &Receiver<Work>) {
        let mut replies = self.deciding.take().unwrap_or_default();
        let written = match decided.answers.is_empty() {
            true => None,
            false => Some(self.attempt_beside(&mut decided, &mut next)),
        };
        match written {
            Some(Ok(written)) => {
                self.health.note(&Ok(()));
                decided.commands.drain(..written.answers.len());
                self.answer(written.answers, Some(written.began), written.wakes_relay, &mut replies);
            }
            // It is tried again as any other. So is the next one, which was decided upon it.
            Some(Err(_)) => {
                let after = self.take_back();
                self.work(decided.commands.into_iter().zip(replies).collect(), queue);
                self.work(after, queue);
                return self.work(next, queue);
            }
            None => {}
        }
        if !decided.commands.is_empty() {
            self.work(decided.commands.into_iter().zip(replies).collect(), queue);
        }
        if !next.is_empty() {
            self.begin_with(next, queue);
        }
    }

    /// Takes `next` out of its place where it could be given to the decider.
    fn attempt_beside(&mut self, decided: &mut Decided, next: &mut Batch) -> Result<Written, StoreError> {
        let is_whole = decided.is_whole();
        let mut tx = self.writer.begin()?;
        if let (true, false, Some(decider)) = (is_whole, next.is_empty(), &self.decider) {
            let (commands, replies): (Vec<Submission>, VecDeque<Reply>) = std::mem::take(next).into_iter().unzip();
            let read = read(&mut tx, &self.context, &commands);
            if read.is_err() {
                // After an error nothing can be committed.
                drop(tx);
                tx = self.writer.begin()?;
            }
            let follows = read.ok().and_then(|mut read| read.follow(&decided.loaded, &decided.writes).then_some(read));
            let unasked = match follows {
                Some(loaded) => decider.ask(commands, loaded, &mut self.entropy),
                None => Err(commands),
            };
            match unasked {
                Ok(()) => self.deciding = Some(replies),
                Err(commands) => *next = commands.into_iter().zip(replies).collect(),
            }
        }
        if self.deciding.is_some() {
            self.faults.meet(Fault::BesideDeciding)?;
        }
        let (answers, writes) = (std::mem::take(&mut decided.answers), std::mem::take(&mut decided.writes));
        finish(tx, &self.context, (writes, &decided.loaded), answers, self.answering.flushes())
    }
}

fn read(tx: &mut Tx<'_>, context: &Context, commands: &[Submission]) -> Result<Loaded, StoreError> {
    part("read").in_scope(|| Loaded::read(tx, context, commands))
}

#[cfg(test)]
mod tests {
    use compact_str::CompactString;
    use tessera_core::id::MemberId;
    use tessera_core::member::{MemberState, Status};
    use tessera_core::time::{Day, Instant};

    use super::super::asked::Asked;
    use super::super::load::{Key, KnownMember, KnownOrder, Loaded};
    use super::super::write::Writes;

    const PROGRAM: i64 = 1;

    fn key(number: u8) -> Key {
        (PROGRAM, [number; 16])
    }

    fn member(number: u8) -> MemberId {
        MemberId::from_bytes([number; 16])
    }

    /// A member as read at a version, with so many events.
    fn known(number: u8, version: i64, events: u64) -> KnownMember {
        let mut state = MemberState::new(member(number), Status::Active, Instant::default(), Day::default());
        state.events = events;
        KnownMember { state, version }
    }

    fn order(number: u8, version: i64) -> KnownOrder {
        KnownOrder { member: member(number), seq: 4, version, progress: None, local: None }
    }

    /// A batch that has changed the members 1 and 2, the latter being new, and knows a third.
    fn before() -> Loaded {
        let mut before = Loaded::default();
        for (number, version, events) in [(1, 7, 12), (2, 0, 1), (3, 5, 5)] {
            before.members.insert((PROGRAM, member(number)), known(number, version, events));
            before.identifiers.insert(key(number), member(number));
        }
        before.touched.extend([(PROGRAM, member(1)), (PROGRAM, member(2))]);
        before.orders.insert(key(10), order(1, 1));
        before.fresh_keys.insert(key(20));
        before.pools.entry(PROGRAM).or_default().insert("gift".into(), 63);
        before
    }

    fn asking(asked: Asked) -> Loaded {
        Loaded { asked, ..Loaded::default() }
    }

    #[test]
    fn members_are_taken_over_as_the_batch_before_leaves_them() {
        let mut next = asking(Asked::default());
        for number in [1, 3] {
            next.members.insert((PROGRAM, member(number)), known(number, 5 + i64::from(number), 5));
        }
        assert!(next.follow(&before(), &Writes::default()));
        let of =
            |number: u8| next.members.get(&(PROGRAM, member(number))).map(|known| (known.version, known.state.events));
        assert_eq!(of(1), Some((8, 12)), "over the version that is about to be written");
        assert_eq!(of(2), None, "nobody names them");
        assert_eq!(of(3), Some((8, 5)), "nothing was changed");
        assert!(next.is_unwritten((PROGRAM, member(1))) && !next.is_unwritten((PROGRAM, member(3))));
        assert!(next.touched.is_empty(), "they are written once");
    }

    #[test]
    fn whoever_the_batch_before_has_made_is_known_by_id_name_and_order() {
        let by_name = Asked { identifiers: vec![key(2)], ..Asked::default() };
        let by_id = Asked { members: vec![(PROGRAM, member(2))], ..Asked::default() };
        for asked in [by_name, by_id] {
            let mut next = asking(asked);
            assert!(next.follow(&before(), &Writes::default()));
            let version = next.members.get(&(PROGRAM, member(2))).map(|known| known.version);
            assert_eq!(version, Some(1), "{:?}", next.asked);
        }
        let mut next = asking(Asked { orders: vec![key(10)], staff: vec![key(3)], ..Asked::default() });
        assert!(next.follow(&before(), &Writes::default()));
        assert_eq!(next.orders.get(&key(10)).map(|order| (order.member, order.version)), Some((member(1), 1)));
        assert!(next.members.contains_key(&(PROGRAM, member(1))));
        assert_eq!(next.staff.get(&key(3)), Some(&member(3)));
        assert!(next.identifiers.is_empty());
    }

    #[test]
    fn a_key_that_is_being_written_is_not_used_again_and_pools_are_as_much_used() {
        let mut next = asking(Asked::default());
        next.pools.entry(PROGRAM).or_default().insert("gift".into(), 54);
        next.pools.entry(PROGRAM).or_default().insert("other".into(), 1);
        let mut writes = Writes::default();
        writes.pools.insert((PROGRAM, CompactString::from("gift")), (9, 100));
        assert!(next.follow(&before(), &writes));
        assert!(next.fresh_keys.contains(&key(20)));
        let used: Vec<i64> = next.pools[&PROGRAM].values().copied().collect();
        assert_eq!(used, [63, 1]);
    }

    #[test]
    fn what_memory_does_not_tell_is_waited_for() {
        let follows = |asked: Asked, change: fn(&mut Loaded, &mut Writes)| {
            let (mut before, mut writes) = (before(), Writes::default());
            change(&mut before, &mut writes);
            asking(asked).follow(&before, &writes)
        };
        let orders = || Asked { orders: vec![key(10)], ..Asked::default() };
        assert!(follows(orders(), |_, _| ()));
        assert!(
            !follows(orders(), |_, writes| drop(writes.orders.insert(key(10), Vec::new()))),
            "its progress goes on"
        );
        assert!(follows(orders(), |_, writes| drop(writes.orders.insert(key(11), Vec::new()))));
        let codes = || Asked { codes: vec![key(30)], ..Asked::default() };
        assert!(!follows(codes(), |_, writes| writes.new_voucher_codes.push(Vec::new())));
        assert!(!follows(codes(), |_, writes| drop(writes.voucher_codes.insert(key(30), Vec::new()))));
        assert!(follows(orders(), |_, writes| writes.new_voucher_codes.push(Vec::new())));
        let redemption = (PROGRAM, member(1), 3);
        let redemptions = || {
            let id = tessera_core::id::EventId { member: redemption.1, seq: redemption.2 };
            Asked { redemptions: vec![(redemption.0, id)], ..Asked::default() }
        };
        let spent = |_: &mut Loaded, writes: &mut Writes| {
            let id = tessera_core::id::EventId { member: member(1), seq: 3 };
            writes.redemptions.insert((PROGRAM, id), Vec::new());
        };
        assert!(!follows(redemptions(), spent));
        assert!(follows(orders(), spent));
        let asked = || Asked { identifiers: vec![key(1)], ..Asked::default() };
        assert!(!follows(asked(), |_, writes| writes.closed.push((key(9), member(1), None))));
        assert!(!follows(asked(), |_, writes| writes.reopened.push(key(9))));
        assert!(!follows(asked(), |_, writes| writes.undated.push(key(9))));
        assert!(!follows(asked(), |_, writes| writes.erased.push((PROGRAM, member(9)))));
        let merged = |before: &mut Loaded, _: &mut Writes| {
            let known = before.members.get_mut(&(PROGRAM, member(1)));
            known.into_iter().for_each(|known| known.state.into = Some(member(3)));
        };
        assert!(!follows(asked(), merged), "whom they were merged into was not read");
        assert!(follows(codes(), merged), "nobody names them");
    }
}
