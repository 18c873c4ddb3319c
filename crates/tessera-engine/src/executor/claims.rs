//! What a batch needs on other shards: keys of events and orders, names, codes. Each is taken in a short transaction of
//! its own shard before the transaction of the members it leads to, in the same order everywhere.
//!
//! A claim counts only once what it leads to is there (see `known.rs`), so a crash in between loses and doubles nothing:
//! the same command sent again takes over its own claims, and what nobody comes back for is swept away.

use std::collections::BTreeMap;

use tessera_core::id::MemberId;
use tessera_core::time::{Duration, Instant};
use tessera_store::{Row, Shards, StoreError, Table, Tx, Value, Writer, tables};

use super::faults::{Fault, Faults};
use super::known::{NameClaim, is_made, name_is_given, was_done};
use super::load::key_of;
use super::{Context, Executor};
use crate::identifier::{NAME_CLAIMED, NAME_LEFT};
use crate::programs::member_id;
use crate::record::{Rows, unsigned};
use crate::relay::WAITING;

/// A claim without its effect belongs to nobody after so long. Whoever made it gives up long before: see [`EFFECT_WITHIN`].
/// Clocks of servers may differ by less than what is between the two.
const CLAIM_LIVES: Duration = Duration::minutes(3);
/// How long after its claims a batch may still be committed.
pub(super) const EFFECT_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);
/// Kind of the outbox rows that name a claim to be looked at.
const STALE: &str = "claim";
/// Claims looked at in one round.
const ROUND_MAX: usize = 500;

/// A row of another shard, and the one that holds nothing in whose place it comes.
#[derive(Debug)]
struct Claim {
    table: &'static Table,
    row: Row,
    over: Option<Row>,
}

/// The claims of a batch, by shard.
#[derive(Debug, Default)]
pub(super) struct Claims {
    of: BTreeMap<u16, Vec<Claim>>,
}

impl Claims {
    pub fn add(&mut self, shards: &Shards, table: &'static Table, mut row: Row, over: Option<Row>) {
        if let Some(over) = &over {
            mark_taken_over(table, &mut row, over);
        }
        let shard = shards.of(row[0].int().unwrap_or(0));
        self.of.entry(shard).or_default().push(Claim { table, row, over });
    }

    /// Takes them all, or none.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else was first.
    pub fn take(&mut self, writer: &mut Writer, shards: &Shards, faults: &Faults) -> Result<(), StoreError> {
        for claims in self.of.values_mut() {
            claims.sort_by(|one, other| (one.table.name, &one.row).cmp(&(other.table.name, &other.row)));
        }
        for (shard, claims) in &self.of {
            let taken = begin(writer, shards).and_then(|mut tx| {
                for claim in claims {
                    if let Some(over) = &claim.over
                        && delete(&mut tx, claim.table, over)? != 1
                    {
                        return Err(StoreError::Conflict { table: claim.table.name });
                    }
                }
                for of_table in claims.chunk_by(|one, next| one.table.name == next.table.name) {
                    let rows: Vec<Row> = of_table.iter().map(|claim| claim.row.clone()).collect();
                    tx.insert_rows(of_table[0].table, &rows)?;
                }
                tx.commit()
            });
            if let Err(error) = taken {
                if !error.is_transient() {
                    self.release_of(writer, shards, |other| other < *shard);
                }
                return Err(error);
            }
            faults.meet(Fault::BetweenClaims)?;
        }
        Ok(())
    }

    /// Gives them back: what they were for did not happen.
    pub fn release(&self, writer: &mut Writer, shards: &Shards) {
        self.release_of(writer, shards, |_| true);
    }

    fn release_of(&self, writer: &mut Writer, shards: &Shards, wanted: impl Fn(u16) -> bool) {
        for (_, claims) in self.of.iter().filter(|(shard, _)| wanted(**shard)) {
            let released = begin(writer, shards).and_then(|mut tx| {
                for claim in claims {
                    if delete(&mut tx, claim.table, &claim.row)? == 1
                        && let Some(over) = &claim.over
                    {
                        tx.insert_rows(claim.table, std::slice::from_ref(over))?;
                    }
                }
                tx.commit()
            });
            // What stays holds nothing, and is taken over or swept away.
            if let Err(error) = released {
                tracing::warn!(%error, "claims could not be given back");
            }
        }
    }

    /// Names lead to their members from now on, and what waited for them may go.
    pub fn confirm(&self, context: &Context, writer: &mut Writer, now: Instant) -> Result<bool, StoreError> {
        let claims = self.of.values().flatten();
        let names = claims.filter(|claim| is_claimed_name(claim)).map(|claim| &claim.row).collect::<Vec<_>>();
        let mut released = false;
        let mut run = |sql: &str, params: Row| {
            let mut tx = begin(writer, &context.shards)?;
            tx.execute(sql, &params)?;
            tx.commit()
        };
        for row in names {
            released |= confirm_name(context, &mut run, row, now)?;
        }
        Ok(released)
    }
}

/// An attempt that takes over the claim of an earlier one writes it so that it is another row. The earlier attempt may be on
/// its way in another process: what it gives back when it fails is its own, and never what this one stands on.
fn mark_taken_over(table: &'static Table, row: &mut Row, over: &Row) {
    match table.name {
        "event_key" if over[4] != Value::Null => {
            let (Ok(hash), Ok(known)) = (row[3].bytes(), over[3].bytes()) else { return };
            let times = known.get(hash.len()).map_or(1, |times| times.wrapping_add(1));
            row[3] = Value::from([hash, &[times]].concat());
        }
        "order_key" => row[5] = over[5].int().map_or(Value::Int(1), |version| (version + 1).into()),
        "member_identifier" if over[4] == Value::Int(NAME_CLAIMED) => {
            let (Ok(mut claim), Ok(known)) = (NameClaim::read(row), NameClaim::read(over)) else { return };
            claim.at = claim.at.max(Instant::from_micros(known.at.micros() + 1));
            row[6] = serde_json::to_string(&claim).ok().into();
        }
        _ => {}
    }
}

fn is_claimed_name(claim: &Claim) -> bool {
    claim.table.name == tables::MEMBER_IDENTIFIER.name && claim.row[4] == Value::Int(NAME_CLAIMED)
}

/// A transaction that keeps to one shard; debug builds look that it does.
pub(super) fn begin<'w>(writer: &'w mut Writer, shards: &Shards) -> Result<Tx<'w>, StoreError> {
    let mut tx = writer.begin()?;
    if cfg!(debug_assertions) {
        tx.keep_to_one_shard(shards);
    }
    Ok(tx)
}

/// Deletes a row if it is exactly this one.
fn delete(tx: &mut Tx<'_>, table: &'static Table, row: &Row) -> Result<u64, StoreError> {
    let same = |(place, column): (usize, &tessera_store::Column)| {
        let equals = if column.nullable { "IS NOT DISTINCT FROM" } else { "=" };
        format!("{} {equals} ${}", column.name, place + 1)
    };
    let same: Vec<String> = table.columns.iter().enumerate().map(same).collect();
    tx.execute(&format!("DELETE FROM {} WHERE {}", table.name, same.join(" AND ")), row)
}

/// Runs a statement in a transaction of its own.
type Run<'r> = dyn FnMut(&str, Row) -> Result<(), StoreError> + 'r;

/// First what waits for the name is let go, so that whoever finds the name confirmed finds that done. Says whether
/// anything was.
fn confirm_name(context: &Context, run: &mut Run<'_>, row: &Row, now: Instant) -> Result<bool, StoreError> {
    let (program, key) = key_of(row)?;
    let waiting = context.database.read(|reader| {
        let sql = "SELECT bucket, program, id FROM outbox WHERE program = $1 AND kind = 'parked' AND topic = $2";
        reader.query(sql, &[program.into(), key.as_slice().into()])
    })?;
    for waiting in &waiting {
        let mut params = waiting.clone();
        params.push(now.micros().into());
        let sql = "UPDATE outbox SET kind = 'command', due_at = $4 WHERE bucket = $1 AND program = $2 AND id = $3 \
                   AND kind = 'parked'";
        run(sql, params)?;
    }
    let sql = format!(
        "UPDATE member_identifier SET state = NULL, ends_at = NULL, memory = NULL \
         WHERE bucket = $1 AND program = $2 AND key = $3 AND member = $4 AND state = {NAME_CLAIMED}"
    );
    run(&sql, row[..4].to_vec())?;
    Ok(!waiting.is_empty())
}

/// Notes claims of others whose effect was not there when somebody came by: they are looked at again when they are old.
pub(super) fn note_stale(
    context: &Context,
    writer: &mut Writer,
    stale: &[(&'static Table, Row)],
    now: Instant,
) -> Result<(), StoreError> {
    for (table, row) in stale {
        let (program, key) = key_of(row)?;
        let id = context.secrets.command_hash(&[STALE.as_bytes(), table.name.as_bytes(), &key]);
        let due = now.plus_seconds(CLAIM_LIVES.seconds());
        let params: Row = vec![
            row[0].clone(),
            program.into(),
            id.as_slice().into(),
            STALE.into(),
            key.as_slice().into(),
            due.micros().into(),
            table.name.into(),
            now.micros().into(),
        ];
        let mut tx = begin(writer, &context.shards)?;
        let sql = format!(
            "INSERT INTO outbox (bucket, program, id, kind, topic, due_at, attempts, state, payload, created_at) \
             SELECT $1, $2, $3, $4, $5, $6, 0, {WAITING}, $7, $8 WHERE NOT EXISTS \
             (SELECT 1 FROM outbox WHERE bucket = $1 AND program = $2 AND id = $3)"
        );
        tx.execute(&sql, &params)?;
        tx.commit()?;
    }
    Ok(())
}

/// Finishes or lets go what crashed attempts left: names claimed, keys whose event never came. Says how many there were.
pub(crate) fn sweep_claims(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    if !context.shards.are_spread() {
        return Ok(0);
    }
    let now = context.clock.now();
    let old = now.plus_seconds(-CLAIM_LIVES.seconds());
    let names = context.database.read(|reader| {
        let columns = "bucket, program, key, member, state, ends_at, memory";
        let sql = format!("SELECT {columns} FROM member_identifier WHERE state = {NAME_CLAIMED} LIMIT {ROUND_MAX}");
        reader.query(&sql, &[])
    })?;
    let mut done = 0;
    for row in names {
        let (claim, member) = (NameClaim::read(&row)?, member_id(row[3].bytes()?)?);
        let program = row[1].int()?;
        let given = context.database.read(|reader| name_is_given(reader, program, member, &claim.key()))?;
        if given {
            let mut run = |sql: &str, params: Row| {
                let sql = sql.to_owned();
                executor.write(move |tx| tx.execute(&sql, &params).map(drop))
            };
            confirm_name(context, &mut run, &row, now)?;
            done += 1;
        } else if claim.at < old {
            executor.write(move |tx| {
                if delete(tx, &tables::MEMBER_IDENTIFIER, &row)? == 1
                    && let Some((until, memory)) = claim.mark
                {
                    tx.insert_rows(&tables::MEMBER_IDENTIFIER, &[mark_row(&row, until, &memory)])?;
                }
                Ok::<_, StoreError>(())
            })?;
            done += 1;
        }
    }
    Ok(done + sweep_keys(context, executor, now)?)
}

/// The row of a mark, in the place of a claim.
fn mark_row(claim: &Row, until: Instant, memory: &tessera_core::decide::Memory) -> Row {
    let nobody = MemberId::from_bytes([0; 16]);
    let mut row: Row = claim[..3].to_vec();
    row.extend([
        nobody.as_bytes().as_slice().into(),
        NAME_LEFT.into(),
        until.micros().into(),
        serde_json::to_string(memory).ok().into(),
    ]);
    row
}

fn sweep_keys(context: &Context, executor: &Executor, now: Instant) -> Result<usize, StoreError> {
    let due = context.database.read(|reader| {
        let sql = format!(
            "SELECT bucket, program, id, topic, payload FROM outbox WHERE state = {WAITING} AND due_at <= $1 \
             AND kind = '{STALE}' LIMIT {ROUND_MAX}"
        );
        reader.query(&sql, &[now.micros().into()])
    })?;
    let done = due.len();
    for note in due {
        let program = crate::scheduler::program_of(context, note[1].int()?)?;
        let table: &'static Table =
            if note[4] == Value::from(tables::ORDER_KEY.name) { &tables::ORDER_KEY } else { &tables::EVENT_KEY };
        let key: Row = vec![note[0].clone(), note[1].clone(), note[3].clone()];
        let hollow = context.database.read(|reader| {
            let Some(row) = Rows::fetch_by_keys(reader, table, std::slice::from_ref(&key))?.pop() else {
                return Ok(None);
            };
            let is_event = table.name == tables::EVENT_KEY.name;
            let (member, seq) = if is_event { (&row[4], &row[5]) } else { (&row[3], &row[4]) };
            let Some(member) = member.opt_bytes()?.map(member_id).transpose()? else { return Ok(None) };
            let id = tessera_core::id::EventId { member, seq: unsigned(seq.opt_int()?.unwrap_or(0)) };
            let found = key_of(&row)?;
            let counts = match &program {
                _ if is_event => was_done(reader, found, id)?,
                Some(program) => is_made(reader, context, program, &found.1, id)?,
                None => true,
            };
            Ok((!counts).then_some(row))
        })?;
        executor.write(move |tx| {
            if let Some(row) = hollow {
                delete(tx, table, &row)?;
            }
            tx.execute("DELETE FROM outbox WHERE bucket = $1 AND program = $2 AND id = $3", &note[..3])?;
            Ok::<_, StoreError>(())
        })?;
    }
    Ok(done)
}
