//! A batch where the database is spread: all it needs is read and decided first, what it needs on other shards is claimed
//! each in a transaction of its own, and what it writes about its members is one transaction on their shard.
//!
//! Nothing is locked while deciding: members are written only over the version they were read at, so whoever met another
//! writer decides again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use tessera_store::{Row, SPREAD, StoreError, Table, Value};

use super::again;
use super::batch::{One, Written, part};
use super::claims::{self, EFFECT_WITHIN};
use super::faults::{Fault, Faults};
use super::load::Loaded;
use super::write::Writes;
use super::{Context, Reply, Worker, slices};
use crate::clock::Entropy;
use crate::identifier::Subject;
use crate::record::Rows;
use crate::submission::{Answer, Submission};

/// How long, in milliseconds, a batch waits before each time it looks again for a name that another process is about to
/// give: what is between a claim and its commit takes a few. Whoever finds it then still under way is told to come back.
const WAITS: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// How often a batch in which something comes of nothing is read until two reads agree.
const READS_MAX: usize = 8;

/// Reads each shard by itself, as the last transaction left it.
struct Spread<'c> {
    context: &'c Context,
    faults: &'c Faults,
}

impl Rows for Spread<'_> {
    fn fetch_by_keys(&mut self, table: &'static Table, keys: &[Row]) -> Result<Vec<Row>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.faults.meet(Fault::Reading(table.name))?;
        let database = &self.context.database;
        if !SPREAD.iter().any(|spread| spread.name == table.name) {
            return database.read(|reader| reader.fetch_by_keys(table, keys));
        }
        let mut by_shard: BTreeMap<u16, Vec<Row>> = BTreeMap::new();
        for key in keys {
            by_shard.entry(self.context.shards.of(key[0].int()?)).or_default().push(key.clone());
        }
        let mut rows = Vec::new();
        for keys in by_shard.into_values() {
            rows.extend(database.read(|reader| reader.fetch_by_keys(table, &keys))?);
        }
        Ok(rows)
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.faults.meet(Fault::Querying)?;
        self.context.database.read(|reader| reader.query(sql, params))
    }
}

impl Spread<'_> {
    /// Waits a little for names that another process is about to give, as long as there are `waits`.
    fn read(&mut self, batch: &[Submission], waits: &mut impl Iterator<Item = u64>) -> Result<Loaded, StoreError> {
        loop {
            let context = self.context;
            let loaded = Loaded::read(self, context, batch)?;
            match loaded.awaits.then(|| waits.next()).flatten() {
                Some(wait) => std::thread::sleep(Duration::from_millis(wait)),
                None => return Ok(loaded),
            }
        }
    }
}

impl Worker {
    /// Decides and writes as many commands from the front as are about members of one shard.
    pub(super) fn attempt_on_shard(&mut self, batch: &[Submission]) -> Result<Written, StoreError> {
        let context = self.context.clone();
        let mut before = None;
        let mut waits = WAITS.into_iter();
        for _ in 0..READS_MAX {
            let mut spread = Spread { context: &context, faults: &self.faults };
            let mut loaded = part("read").in_scope(|| spread.read(batch, &mut waits))?;
            let versions = loaded.versions();
            let mut writes = Writes::default();
            let mut one = One::new(&context, &mut self.entropy, (&mut spread, &mut loaded), &mut writes);
            one.hold_hollow_keys(batch)?;
            let home = batch.first().map_or(0, |command| one.home_of(command));
            one.home = Some(home);
            one.loaded.home = Some(home);
            one.loaded.read_pools(one.tx, &context, batch)?;
            let answers = one.decide_all(batch, |one, command| one.home_of(command) == home)?;
            // What comes of nothing writes nothing, so no version would show that somebody wrote between two of the reads it
            // rests on. Everything of a member moves with their version: what was read between two equal ones belongs
            // together.
            if answers.iter().any(Answer::rests_on_reads_alone) && before.as_ref() != Some(&versions) {
                before = Some(versions);
                continue;
            }
            return self.finish_on_shard(&context, home, &loaded, writes, answers);
        }
        Err(StoreError::Conflict { table: "member" })
    }

    fn finish_on_shard(
        &mut self,
        context: &Context,
        home: u16,
        loaded: &Loaded,
        writes: Writes,
        answers: Vec<Answer>,
    ) -> Result<Written, StoreError> {
        again::lock_one_a_shard(context, &mut self.writer, &writes.again)?;
        let (began, wakes_relay) = self.write_on_shard(context, home, loaded, writes)?;
        metrics::histogram!("tessera_batch_size").record(answers.len() as f64);
        Ok(Written { answers, began, wakes_relay })
    }

    /// Says when the commit of the effect began, and whether there is something to relay.
    fn write_on_shard(
        &mut self,
        context: &Context,
        home: u16,
        loaded: &Loaded,
        mut writes: Writes,
    ) -> Result<(Instant, bool), StoreError> {
        let now = context.clock.now();
        claims::note_stale(context, &mut self.writer, &loaded.stale, now)?;
        let mut wakes_relay = writes.wakes_relay;
        let (mut claims, contested) = writes.claims(loaded, now);
        if !contested.is_empty() {
            claims::note_stale(context, &mut self.writer, &contested, now)?;
            return Err(StoreError::Conflict { table: contested[0].0.name });
        }
        let wanted = writes.pools_wanted();
        self.faults.meet(Fault::Decided)?;
        slices::fill(context, &mut self.writer, home, &wanted)?;
        let began = Instant::now();
        claims.take(&mut self.writer, &context.shards, &self.faults)?;
        self.faults.meet(Fault::AfterClaims)?;
        let written = part("write").in_scope(|| {
            let why = writes.crosses(&context.shards, home);
            let mut tx = self.writer.begin()?;
            match why {
                // Rare, and dearer on several machines: `docs/decisions/0017-shards.md` says which and why.
                Some(why) => metrics::counter!("tessera_crossings_total", "why" => why).increment(1),
                None if cfg!(debug_assertions) => tx.keep_to_one_shard(&context.shards),
                None => {}
            }
            slices::take(&mut tx, context.shards.first_bucket(home), &wanted)?;
            writes.write(&mut tx, loaded)?;
            if began.elapsed() > EFFECT_WITHIN {
                return Err(StoreError::Conflict { table: "member" });
            }
            let commit = Instant::now();
            part("commit").in_scope(|| tx.commit())?;
            Ok(commit)
        });
        let commit = match written {
            Ok(commit) => commit,
            Err(error) => {
                // After any other error the commit may have happened.
                if !error.is_transient() {
                    claims.release(&mut self.writer, &context.shards);
                }
                return Err(error);
            }
        };
        self.faults.meet(Fault::AfterCommit)?;
        // It counts already; who fails here leaves it to the sweep.
        match claims.confirm(context, &mut self.writer, now) {
            Ok(released) => wakes_relay |= released,
            Err(error) => tracing::warn!(%error, "names could not be confirmed"),
        }
        Ok((commit, wakes_relay))
    }

    /// Sorts commands by the shard of their members, each shard's a queue of its own. Those that name the same thing stay
    /// together and in their order; where that cannot be, what came before is worked first.
    pub(super) fn queues(&mut self, batch: Vec<(Submission, Reply)>) -> Vec<Vec<(Submission, Reply)>> {
        let (commands, replies): (Vec<Submission>, Vec<Reply>) = batch.into_iter().unzip();
        // Only a guess: whoever works the batch looks again.
        let homes = self.homes(&commands).unwrap_or_else(|_| vec![0; commands.len()]);
        let mut queues = Vec::new();
        let mut open: BTreeMap<u16, Vec<(Submission, Reply)>> = BTreeMap::new();
        let mut seen: HashMap<(i64, [u8; 16]), u16> = HashMap::new();
        for ((command, reply), home) in commands.into_iter().zip(replies).zip(homes) {
            let names = self.names_of(&command);
            let met: Vec<u16> = names.iter().filter_map(|name| seen.get(name).copied()).collect();
            let queue = met.first().copied().unwrap_or(home);
            if met.iter().any(|met| *met != queue) {
                queues.extend(std::mem::take(&mut open).into_values());
                seen.clear();
            }
            seen.extend(names.into_iter().map(|name| (name, queue)));
            open.entry(queue).or_default().push((command, reply));
        }
        queues.extend(open.into_values());
        queues
    }

    fn homes(&mut self, batch: &[Submission]) -> Result<Vec<u16>, StoreError> {
        let context = self.context.clone();
        // Where a name leads has to be looked up; an id says it.
        let said = |command: &Submission| match &command.subject {
            Subject::Member(id) => Some(context.shards.of(i64::from(id.bucket().get()))),
            _ => None,
        };
        if let Some(homes) = batch.iter().map(said).collect::<Option<Vec<u16>>>() {
            return Ok(homes);
        }
        let faults = Faults::default();
        let mut spread = Spread { context: &context, faults: &faults };
        let (mut entropy, mut writes) = (Entropy::default(), Writes::default());
        let mut loaded = Loaded::read_rows(&mut spread, &context, batch)?;
        let one = One::new(&context, &mut entropy, (&mut spread, &mut loaded), &mut writes);
        Ok(batch.iter().map(|command| one.home_of(command)).collect())
    }

    /// Everything by which two commands may meet.
    fn names_of(&self, command: &Submission) -> Vec<(i64, [u8; 16])> {
        let (program, secrets) = (command.program.number, &self.context.secrets);
        let mut names: Vec<[u8; 16]> = command.key.iter().map(|(key, _)| *key).collect();
        let subject = match &command.subject {
            Subject::Identifier(identifier) => Some(identifier),
            Subject::Member(id) => {
                names.push(*id.as_bytes());
                None
            }
            Subject::Nobody => None,
        };
        let known = subject.into_iter().chain(&command.identifiers);
        names.extend(known.map(|name| secrets.identifier_key(program, &name.to_text())));
        names.extend(super::asked::order_names(command).iter().map(|order| secrets.order_key(program, order)));
        names.extend(command.what.voucher_codes().map(|code| secrets.code_key(program, code)));
        names.into_iter().map(|name| (program, name)).collect()
    }
}
