//! What-if: the recorded events decided again under a draft, in memory, and compared with what happened.
//!
//! Every event goes through the same `decide` as when it came. Members do not touch each other but for budgets and
//! limits over all members, so they are replayed in parallel; where such a pool could have run out, everything is
//! replayed once more on one thread in the order in which it was recorded. So the result is always the same.

mod log;
mod run;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use compact_str::CompactString;
use tessera_core::decide::{self, OrderProgress, Recorded};
use tessera_core::id::{BUCKETS, MemberId};
use tessera_core::ledger::Entry;
use tessera_core::member::{Change, MemberState, Status};
use tessera_core::program::{Program, Versions};
use tessera_core::time::Instant;
pub use tessera_insight::{Comparison, MemberComparison};
use tessera_insight::{Side, Window};
use tessera_store::{Reader, StoreError};

use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::record::{member_key, order_record, state_from_bytes};
use crate::report::{as_at, history, history_seen};
use log::{Logged, Place};
use run::{Former, Pools, Run};

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
        progress,
    };
    let (comparison, pools) = replay.in_parallel()?;
    let comparison = if pools.may_run_out() { replay.in_order()? } else { comparison };
    Ok(comparison.finished(&window))
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
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Replay<'_> {
    /// Members on as many threads as there are processors, a bucket at a time; each with pools of their own.
    fn in_parallel(&self) -> Result<(Comparison, Pools), StoreError> {
        let next = AtomicI64::new(0);
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let parts: Vec<Result<(Comparison, Pools), StoreError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(|| self.work(&next))).collect();
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

    fn work(&self, next: &AtomicI64) -> Result<(Comparison, Pools), StoreError> {
        let (mut comparison, mut asked) = (Comparison::new(&self.window), Pools::default());
        self.context.database.read(|reader| {
            loop {
                let bucket = next.fetch_add(1, Ordering::Relaxed);
                if bucket >= i64::from(BUCKETS) {
                    return Ok(());
                }
                log::each_member(reader, self.program, bucket, &mut |reader, state| {
                    // Guests earn nothing under any document; gift cards and households are no members.
                    if matches!(state.status, Status::Guest | Status::GiftCard | Status::Household) {
                        return Ok(());
                    }
                    let mut pools = Pools::default();
                    let mut run = self.run(reader, &state)?;
                    for event in log::events(reader, self.program, state.id, self.window.to)? {
                        self.send(&mut run, &event, &mut pools, &mut comparison);
                    }
                    asked.merge(pools);
                    self.compare(reader, state, run, &mut comparison)
                })?;
            }
        })?;
        Ok((comparison, asked))
    }

    /// Everything in the order in which it was recorded, every member in memory: for pools that may run out.
    fn in_order(&self) -> Result<Comparison, StoreError> {
        self.done.store(0, Ordering::Relaxed);
        let (mut comparison, mut pools) = (Comparison::new(&self.window), Pools::default());
        let mut runs: HashMap<MemberId, Run> = HashMap::new();
        self.context.database.read(|reader| {
            for bucket in 0..i64::from(BUCKETS) {
                log::each_member(reader, self.program, bucket, &mut |reader, state| {
                    if !matches!(state.status, Status::Guest | Status::GiftCard | Status::Household) {
                        runs.insert(state.id, self.run(reader, &state)?);
                    }
                    Ok(())
                })?;
            }
            for place in log::in_order(reader, self.program, self.window.to)? {
                let Place { member, seq, .. } = place;
                let Some(run) = runs.get_mut(&member) else { continue };
                let Some(event) = log::event(reader, self.program, member, seq)? else { continue };
                self.send(run, &event, &mut pools, &mut comparison);
            }
            for bucket in 0..i64::from(BUCKETS) {
                log::each_member(reader, self.program, bucket, &mut |reader, state| match runs.remove(&state.id) {
                    Some(run) => self.compare(reader, state, run, &mut comparison),
                    None => Ok(()),
                })?;
            }
            Ok(())
        })?;
        comparison.in_order = true;
        Ok(comparison)
    }

    /// A member about to live through their events again.
    fn run(&self, reader: &mut Reader<'_>, state: &MemberState) -> Result<Run, StoreError> {
        let referrer = state.referral.as_ref().map(|referral| referral.referrer);
        let run = Run::new(state.id, log::memory(reader, self.program, state.id)?, referrer);
        Ok(run.with_former(self.former(reader, state)?))
    }

    /// What those did who were merged into a member, as it was recorded: under the draft it is theirs.
    fn former(&self, reader: &mut Reader<'_>, state: &MemberState) -> Result<Former, StoreError> {
        let mut former = Former::default();
        for merged in &state.merged {
            let key = member_key(self.program, merged.id);
            let sql = "SELECT state FROM member WHERE bucket = $1 AND program = $2 AND member = $3";
            let rows = reader.query(sql, &key)?;
            let Some(row) = rows.first() else { continue };
            let names = Arc::new(state_from_bytes(row[0].bytes()?)?);
            let mut stored = BTreeMap::new();
            let events = history_seen(reader, self.program, merged.id, &mut |event| {
                if event.recorded.record.basis.is_some() || event.recorded.kind == "amend" {
                    stored.insert(event.recorded.seq, event.clone());
                }
                Ok(())
            })?;
            let mut progress = BTreeMap::new();
            for record in events.iter().map(|event| &event.record) {
                progress.extend(record.progress.iter().cloned());
                let id = |seq: u64| names.event_id(seq);
                former.redemptions.extend(record.redemptions.iter().map(|(seq, known)| (id(*seq), known.clone())));
            }
            for made_by in events.iter().filter(|event| makes_order(event)).filter_map(|event| stored.get(&event.seq)) {
                let order_id = made_by.order(self.actual)?.order_id;
                let progress: Option<OrderProgress> = progress.get(&order_id).cloned();
                let content = progress.as_ref().map_or(made_by.recorded.seq, |progress| progress.content);
                let content = stored.get(&content).unwrap_or(made_by);
                let record = order_record(self.actual, merged.id, made_by, content, progress)?;
                former.orders.insert(order_id, (record, names.clone()));
            }
            former.history.insert(merged.id, events);
        }
        Ok(former)
    }

    fn send(&self, run: &mut Run, event: &Logged, pools: &mut Pools, comparison: &mut Comparison) {
        if let Err(code) = run.send(self.versions, event, pools)
            && event.effective_at >= self.window.from
        {
            comparison.refuse(&code);
        }
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(1_000) {
            (self.progress)(done);
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
        run.settle(self.versions, to);
        let events = run.sent;
        let (after, after_state) = run.finished();
        let (before, before_state) = self.happened(reader, state)?;
        comparison.add_member(
            &self.window,
            id,
            events,
            Side { entries: &before, state: before_state.as_ref() },
            Side { entries: &after, state: after_state.as_ref() },
        );
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

fn makes_order(event: &Recorded) -> bool {
    event.record.changes.iter().any(|change| matches!(change, Change::Purchased { .. }))
}

/// What a member's events used of every pool, by its name.
pub(crate) type Used = BTreeMap<CompactString, i64>;

/// A refusal as it is counted: by its code.
pub(crate) fn refusal_of(rejected: &decide::Rejected) -> String {
    rejected.code().to_owned()
}
