//! What-if: the recorded events decided again under a draft, in memory, and compared with what happened.
//!
//! Every event goes through the same `decide` as when it came. Most members do not touch each other but for budgets and
//! limits over all members, so they are replayed in parallel; a household and its people are replayed side by side.
//! Where a budget or limit over all could have run out, or the draft refuses what somebody sent to another, everything is
//! replayed once more on one thread in the order in which it was recorded. So the result is always the same. Members of
//! whom events were archived are left out, and counted.

mod families;
mod log;
mod run;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use compact_str::CompactString;
use tessera_core::decide::{self, FollowUp, OrderProgress, Recorded};
use tessera_core::id::{BUCKETS, EventId, MemberId};
use tessera_core::ledger::Entry;
use tessera_core::member::{Change, MemberState, Status};
use tessera_core::program::{Program, Versions, load_program};
use tessera_core::time::Instant;
pub use tessera_insight::{Comparison, MemberComparison};
use tessera_insight::{Side, Window};
use tessera_store::{Reader, StoreError};

use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::record::{member_key, order_record, state_from_bytes};
use crate::report::{as_at, history, history_seen};
use families::Families;
use log::{Between, Logged, News, Step};
use run::{Former, Pooled, Pools, Run, Since};
use together::Together;

/// Which events are decided again, and until when members are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The draft is in force from here on, as if it had been published then; what came before stays as it was.
    /// `None`: from the first event.
    pub from: Option<Instant>,
    /// The end of the business looked at, exclusive.
    pub to: Instant,
}

/// Replays a program's events under `draft`, whose version number must be above every published one.
///
/// `progress` is told, from any thread, how many events are done.
///
/// # Errors
/// What reading the database may end in.
pub fn replay(
    context: &Context,
    program: &Arc<ProgramHandle>,
    draft: Arc<Program>,
    span: Span,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Comparison, StoreError> {
    let actual = program.versions();
    let current = actual.at(span.to).clone();
    let versions = versions_with(&actual, draft.clone(), span.from);
    let from = span.from.unwrap_or(Instant::MIN);
    let window = Window { current: &current, draft: &draft, from, to: span.to };
    let replay = Replay {
        context,
        program: program.number,
        actual: &actual,
        versions: &versions,
        window,
        done: AtomicU64::new(0),
        refuses_transfers: AtomicBool::new(false),
        progress,
    };
    let families = context.database.read(|reader| Families::read(reader, program.number, &actual))?;
    let (comparison, pools) = replay.in_parallel(&families)?;
    let in_order = pools.may_run_out() || replay.refuses_transfers.load(Ordering::Relaxed);
    let mut comparison = if in_order { replay.in_order(&families)? } else { comparison };
    if comparison.left_out > 0 {
        comparison.history_from = context.database.read(|reader| log::oldest(reader, program.number))?;
    }
    Ok(comparison.finished(&window))
}

/// Where a program's events, decided again under the document in force, come to something else than what happened: in
/// words, empty where they come to the same.
///
/// `from`: since when that document is in force, where another was before; nothing may have been decided by the other
/// that happened later. Who of many at once came first to a budget's end, or to the last of a stock, is nowhere recorded:
/// of that nothing is said.
///
/// # Errors
/// What reading the database may end in.
pub fn differences(
    context: &Context,
    program: &Arc<ProgramHandle>,
    from: Option<Instant>,
) -> Result<Vec<String>, StoreError> {
    let broken = |problem: String| StoreError::Database(problem);
    let document = crate::programs::document_text(&context.database, program, None);
    let (version, text) = document.map_err(|error| broken(error.to_string()))?;
    let draft = load_program(&text, version + 1).map_err(|problems| broken(format!("{problems:?}")))?;
    let span = Span { from, to: context.clock.now().plus_seconds(1) };
    let found = replay(context, program, Arc::new(draft), span, &|_| {})?;
    if found.in_order {
        return Ok(Vec::new());
    }
    let mut differences = Vec::new();
    for (code, count) in &found.refused {
        differences.push(format!("{count} events that were accepted are refused now: {code}"));
    }
    for (currency, sides) in &found.currencies {
        if sides.before != sides.after {
            differences.push(format!("{currency}: it came to {:?} and comes to {:?}", sides.before, sides.after));
        }
    }
    if found.gain.more + found.gain.less > 0 {
        differences.push(format!("somebody gets more or less: {:?}, {:?}", found.winners, found.losers));
    }
    differences.extend(found.unlike);
    Ok(differences)
}

/// The versions of a what-if: as they were until `from`, then the draft.
fn versions_with(actual: &Versions, draft: Arc<Program>, from: Option<Instant>) -> Versions {
    let Some(from) = from else { return Versions::new(draft) };
    let mut list: Vec<(Instant, Arc<Program>)> = actual
        .within(Instant::MIN, from)
        .filter(|(since, ..)| *since < from)
        .map(|(since, _, program)| (since, program.clone()))
        .collect();
    list.push((from, draft.clone()));
    Versions::from_list(list).unwrap_or_else(|| Versions::new(draft))
}

struct Replay<'a> {
    context: &'a Context,
    program: i64,
    actual: &'a Versions,
    versions: &'a Versions,
    window: Window<'a>,
    done: AtomicU64,
    /// Points that somebody sent would arrive all the same.
    refuses_transfers: AtomicBool,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Replay<'_> {
    /// Members on as many threads as there are processors, a bucket or a household at a time; each with pools of their
    /// own.
    fn in_parallel(&self, families: &Families) -> Result<(Comparison, Pools), StoreError> {
        let on_the_way = |reader: &mut Reader<'_>| log::on_the_way(reader, self.program, Between::Households);
        let waits = self.context.database.read(on_the_way)?;
        let (next_bucket, next_family) = (AtomicI64::new(0), AtomicUsize::new(0));
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let parts: Vec<Result<(Comparison, Pools), StoreError>> = std::thread::scope(|scope| {
            let work = || self.work((families, &waits), &next_bucket, &next_family);
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let panicked = || Err(StoreError::Database("a thread of the replay ended in a panic".to_owned()));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
        });
        let (mut comparison, mut pools) = (Comparison::new(&self.window), Pools::default());
        for part in parts {
            let (compared, asked) = part?;
            comparison.merge(compared);
            pools.merge(asked);
        }
        Ok((comparison, pools))
    }

    fn work(
        &self,
        (families, waits): (&Families, &[News]),
        next_bucket: &AtomicI64,
        next_family: &AtomicUsize,
    ) -> Result<(Comparison, Pools), StoreError> {
        let (mut comparison, mut asked) = (Comparison::new(&self.window), Pools::default());
        self.context.database.read(|reader| {
            while let Some(family) = families.list().get(next_family.fetch_add(1, Ordering::Relaxed)) {
                if self.left_out(reader, family)? {
                    self.leave_out(reader, family, &mut comparison)?;
                    continue;
                }
                let (mut pools, mut together) = (Pools::default(), Together::new(Between::Households, waits));
                for member in family {
                    if let Some(state) = log::member(reader, self.program, *member)? {
                        self.join(reader, &state, &mut together, Between::Households)?;
                    }
                }
                together.live(self, reader, &mut pools, &mut comparison)?;
                asked.merge(pools);
                for (member, run) in together.runs {
                    if let Some(state) = log::member(reader, self.program, member)? {
                        self.compare(reader, state, run, &mut comparison)?;
                    }
                }
            }
            loop {
                let bucket = next_bucket.fetch_add(1, Ordering::Relaxed);
                if bucket >= i64::from(BUCKETS) {
                    return Ok(());
                }
                log::each_member(reader, self.program, bucket, &mut |reader, state| {
                    if !is_replayed(&state) || families.has(state.id) {
                        return Ok(());
                    }
                    if !log::is_whole(reader, self.program, &state)? {
                        comparison.left_out += 1;
                        return Ok(());
                    }
                    let (mut pools, mut run) = (Pools::default(), self.run(reader, &state)?);
                    for step in log::steps(reader, self.program, state.id, self.window.to)? {
                        match step {
                            Step::Settled(settled) => drop(run.settle(self.versions, settled.to, &mut pools)),
                            Step::Sent(event) => {
                                let alone = &mut Pooled::default();
                                drop(self.send(&mut run, &event, (&mut pools, alone), &mut comparison));
                            }
                        }
                    }
                    asked.merge(pools);
                    self.compare(reader, state, run, &mut comparison)
                })?;
            }
        })?;
        Ok((comparison, asked))
    }

    /// Whether somebody of a household, or who was, has not all of their history any more: then what the others lived
    /// through with them cannot be decided again either.
    fn left_out(&self, reader: &mut Reader<'_>, family: &BTreeSet<MemberId>) -> Result<bool, StoreError> {
        for member in family {
            if let Some(state) = log::member(reader, self.program, *member)?
                && is_replayed(&state)
                && !log::is_whole(reader, self.program, &state)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn leave_out(
        &self,
        reader: &mut Reader<'_>,
        family: &BTreeSet<MemberId>,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        for member in family {
            let state = log::member(reader, self.program, *member)?;
            let is_person = |state: &MemberState| is_replayed(state) && state.status != Status::Household;
            comparison.left_out += u64::from(state.as_ref().is_some_and(is_person));
        }
        Ok(())
    }

    /// Everything in the order in which it was recorded, every member in memory: for pools that may run out, and transfers
    /// that the draft refuses.
    fn in_order(&self, families: &Families) -> Result<Comparison, StoreError> {
        self.done.store(0, Ordering::Relaxed);
        let (mut comparison, mut pools) = (Comparison::new(&self.window), Pools::default());
        self.context.database.read(|reader| {
            let waits = log::on_the_way(reader, self.program, Between::Everybody)?;
            let mut together = Together::new(Between::Everybody, &waits);
            let mut left_out: BTreeSet<MemberId> = BTreeSet::new();
            for family in families.list() {
                if self.left_out(reader, family)? {
                    self.leave_out(reader, family, &mut comparison)?;
                    left_out.extend(family);
                }
            }
            for bucket in 0..i64::from(BUCKETS) {
                log::each_member(reader, self.program, bucket, &mut |reader, state| {
                    if !is_replayed(&state) || left_out.contains(&state.id) {
                        return Ok(());
                    }
                    if !families.has(state.id) && !log::is_whole(reader, self.program, &state)? {
                        comparison.left_out += 1;
                        return Ok(());
                    }
                    self.join(reader, &state, &mut together, Between::Everybody)
                })?;
            }
            together.live(self, reader, &mut pools, &mut comparison)?;
            for bucket in 0..i64::from(BUCKETS) {
                log::each_member(reader, self.program, bucket, &mut |reader, state| match together
                    .runs
                    .remove(&state.id)
                {
                    Some(run) => self.compare(reader, state, run, &mut comparison),
                    None => Ok(()),
                })?;
            }
            Ok(())
        })?;
        comparison.in_order = true;
        Ok(comparison)
    }

    fn join(
        &self,
        reader: &mut Reader<'_>,
        state: &MemberState,
        together: &mut Together,
        between: Between,
    ) -> Result<(), StoreError> {
        let places = log::places(reader, self.program, state.id, (self.window.to, between))?;
        together.add(state, self.run(reader, state)?, places);
        together.told_later(&log::told_from(reader, self.program, state, (self.window.to, between))?);
        Ok(())
    }

    /// A member about to live through their events again.
    fn run(&self, reader: &mut Reader<'_>, state: &MemberState) -> Result<Run, StoreError> {
        let referrer = state.referral.as_ref().map(|referral| referral.referrer);
        let run = Run::new(state.id, log::memory(reader, self.program, state.id)?, referrer);
        Ok(run.with_former(self.former(reader, state)?))
    }

    /// What those did who were merged into a member, as it was recorded: under the draft it is theirs. An order may have been
    /// changed by one of them who had taken in its maker.
    fn former(&self, reader: &mut Reader<'_>, state: &MemberState) -> Result<Former, StoreError> {
        let mut former = Former::default();
        let (mut orders, mut made) = (BTreeMap::new(), Vec::new());
        let mut progress: BTreeMap<CompactString, Since<(OrderProgress, Arc<MemberState>)>> = BTreeMap::new();
        for merged in &state.merged {
            let key = member_key(self.program, merged.id);
            let sql = "SELECT state FROM member WHERE bucket = $1 AND program = $2 AND member = $3";
            let rows = reader.query(sql, &key)?;
            let Some(row) = rows.first().filter(|_| !former.history.contains_key(&merged.id)) else { continue };
            let names = Arc::new(state_from_bytes(row[0].bytes()?)?);
            let mut recorded = Vec::new();
            let events = history_seen(reader, self.program, merged.id, &mut |event| {
                recorded.push(event.recorded_at);
                if event.recorded.record.basis.is_some() || event.recorded.kind == "amend" {
                    orders.insert(EventId { member: merged.id, seq: event.recorded.seq }, event.clone());
                }
                Ok(())
            })?;
            for (event, at) in events.iter().zip(&recorded) {
                if let Some((order, known)) = &event.record.progress {
                    progress.entry(order.clone()).or_default().push((*at, (known.clone(), names.clone())));
                }
                for (seq, known) in &event.record.redemptions {
                    former.redemptions.entry(names.event_id(*seq)).or_default().push((*at, known.clone()));
                }
                if makes_order(event) {
                    made.push((EventId { member: merged.id, seq: event.seq }, names.clone()));
                }
            }
            former.history.insert(merged.id, (events, recorded));
        }
        for (id, names) in made {
            let Some(made_by) = orders.get(&id) else { continue };
            let order_id = made_by.order(self.actual)?.order_id;
            let first = order_record(self.actual, id.member, made_by, made_by, None)?;
            let mut known = vec![(made_by.recorded_at, (first, names))];
            for (at, (progress, names)) in progress.remove(&order_id).unwrap_or_default() {
                let content = orders.get(&names.event_id(progress.content)).unwrap_or(made_by);
                let record = order_record(self.actual, id.member, made_by, content, Some(progress))?;
                known.push((at, (record, names)));
            }
            known.sort_by_key(|(at, _)| *at);
            former.orders.insert(order_id, known);
        }
        for known in former.redemptions.values_mut() {
            known.sort_by_key(|(at, _)| *at);
        }
        Ok(former)
    }

    /// Decides an event again; answers what it causes for others.
    fn send(
        &self,
        run: &mut Run,
        event: &Logged,
        (pools, pooled): (&mut Pools, &mut Pooled),
        comparison: &mut Comparison,
    ) -> Vec<FollowUp> {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(1_000) {
            (self.progress)(done);
        }
        match run.send(self.versions, event, pools, pooled) {
            Ok(caused) => caused,
            Err(code) => {
                if event.kind == "transfer" {
                    self.refuses_transfers.store(true, Ordering::Relaxed);
                }
                self.refuse(&code, event.effective_at, comparison);
                Vec::new()
            }
        }
    }

    /// Counts what the draft refuses of what it is asked about.
    fn refuse(&self, code: &str, effective_at: Instant, comparison: &mut Comparison) {
        if effective_at >= self.window.from {
            comparison.refuse(code);
        }
    }

    /// Holds what happened to a member against what the run came to.
    fn compare(
        &self,
        reader: &mut Reader<'_>,
        state: MemberState,
        mut run: Run,
        comparison: &mut Comparison,
    ) -> Result<(), StoreError> {
        let (id, to) = (state.id, self.window.to);
        if run.sent == 0 {
            return Ok(());
        }
        run.settle(self.versions, to, &mut Pools::default());
        let (events, is_household) = (run.sent, state.status == Status::Household);
        let (after, after_state) = run.finished();
        let (before, before_state) = self.happened(reader, state)?;
        let before = Side { entries: &before, state: before_state.as_ref() };
        let after = Side { entries: &after, state: after_state.as_ref() };
        if is_household {
            comparison.add_household(&self.window, id, events, before, after);
        } else {
            comparison.add_member(&self.window, id, events, before, after);
        }
        Ok(())
    }

    /// The entries that were written for business before the window's end, with those that fell due by then and wait
    /// for the member's next event; and the member at the end.
    fn happened(
        &self,
        reader: &mut Reader<'_>,
        state: MemberState,
    ) -> Result<(Vec<Entry>, Option<MemberState>), StoreError> {
        let (id, to) = (state.id, self.window.to);
        if state.clock < to {
            let mut entries = log::entries(reader, self.program, id)?;
            let (due, settled) = run::settled(self.actual, &state, to);
            entries.extend(due.into_iter().flat_map(|event| event.entries));
            return Ok((entries, Some(settled)));
        }
        let events: Vec<Recorded> =
            history(reader, self.program, id)?.into_iter().filter(|event| event.effective_at < to).collect();
        let settled = as_at(reader, self.actual, self.program, state, to)?;
        let entries = events.into_iter().flat_map(|event| event.entries).collect();
        Ok((entries, settled))
    }
}

/// Guests earn nothing under any document; gift cards are money, which no document earns.
fn is_replayed(state: &MemberState) -> bool {
    !matches!(state.status, Status::Guest | Status::GiftCard)
}

fn makes_order(event: &Recorded) -> bool {
    event.record.changes.iter().any(|change| matches!(change, Change::Purchased { .. }))
}

/// What a member's events used of every pool, by its name.
pub(crate) type Used = BTreeMap<CompactString, i64>;

/// A refusal as it is counted: by its code.
pub(crate) fn refusal_of(rejected: &decide::Rejected) -> String {
    rejected.code().to_owned()
}
