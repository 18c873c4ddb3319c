//! Scarce things where the database is spread: each shard has a slice of a pool and takes from it in the transaction of
//! the member; the pool's own row counts what the slices were given.
//!
//! Every count that crosses shards only grows and is carried over by its difference, so whatever is cut off is finished
//! by the next who comes by, and the sum is exact. Rows of the pool, for a slice whose first bucket is `B`:
//!
//! | Row | Where | Counts |
//! | --- | --- | --- |
//! | `pool` | with the pool | given to all slices and not given back |
//! | `pool#B` | with the pool | ever given to this slice |
//! | `pool#B#back` | with the pool | of what came back from it, known here |
//! | `pool#had` | with the slice | ever given to it, known here |
//! | `pool#back` | with the slice | ever given back by it |
//! | `pool#free` | with the slice | what it may give out now |

use tessera_store::{Row, Shards, StoreError, Tx, Value, Writer, tables};

use super::claims::begin;
use super::load::pool_key;
use super::{Context, Executor};
use crate::record::Rows;

/// The most that a slice is given at once beyond what is asked for.
const SLICE_MAX: i64 = 64;

/// What a command wants of a pool, in use at most `most`.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub program: i64,
    pub pool: String,
    pub by: i64,
    pub most: i64,
}

pub(super) fn free_name(pool: &str) -> String {
    format!("{pool}#free")
}

pub(super) fn free_key(bucket: i64, program: i64, pool: &str) -> Row {
    named(bucket, program, free_name(pool))
}

fn named(bucket: i64, program: i64, name: String) -> Row {
    vec![bucket.into(), program.into(), name.into()]
}

/// The row of a pool that stands with it, under another name.
fn beside(program: i64, pool: &str, rest: &str) -> Row {
    let mut key = pool_key(program, pool);
    key[2] = Value::from(format!("{pool}{rest}"));
    key
}

/// The amounts in rows of `pool`, 0 where there is none. They stay locked until the end of the transaction.
fn locked<const N: usize>(tx: &mut Tx<'_>, keys: [Row; N]) -> Result<[i64; N], StoreError> {
    // A row that is not there cannot be locked.
    tx.take_from_pools(&keys.clone().map(|key| (key, 0, i64::MAX)))?;
    let rows = tx.fetch_by_keys(&tables::POOL, &keys)?;
    let mut amounts = [0; N];
    for (amount, key) in amounts.iter_mut().zip(&keys) {
        let row = rows.iter().find(|row| row[..3] == key[..]);
        *amount = row.map_or(Ok(0), |row| row[3].int())?;
    }
    Ok(amounts)
}

/// Sees that the slices of a shard have what a batch wants, before its transaction.
///
/// # Errors
/// [`StoreError::PoolExhausted`] where a pool has too little left.
pub(super) fn fill(context: &Context, writer: &mut Writer, shard: u16, wanted: &[Wanted]) -> Result<(), StoreError> {
    let shards = &context.shards;
    let bucket = shards.first_bucket(shard);
    for want in wanted.iter().filter(|want| want.by > 0) {
        let free = free_of(context, bucket, want)?;
        if free >= want.by {
            continue;
        }
        let ever = give(writer, shards, bucket, want, free)?;
        let mut tx = begin(writer, shards)?;
        receive(&mut tx, bucket, (want.program, &want.pool), ever)?;
        tx.commit()?;
    }
    Ok(())
}

fn free_of(context: &Context, bucket: i64, want: &Wanted) -> Result<i64, StoreError> {
    amount_of(context, &free_key(bucket, want.program, &want.pool))
}

fn amount_of(context: &Context, key: &Row) -> Result<i64, StoreError> {
    context.database.read(|reader| {
        let rows = Rows::fetch_by_keys(reader, &tables::POOL, std::slice::from_ref(key))?;
        rows.first().map_or(Ok(0), |row| row[3].int())
    })
}

/// Gives a slice what it misses, and more where plenty is left. Says what it was ever given.
fn give(writer: &mut Writer, shards: &Shards, bucket: i64, want: &Wanted, free: i64) -> Result<i64, StoreError> {
    let mut tx = begin(writer, shards)?;
    let (pool, given) = (pool_key(want.program, &want.pool), beside(want.program, &want.pool, &format!("#{bucket}")));
    let [used, ever] = locked(&mut tx, [pool.clone(), given.clone()])?;
    let (missing, left) = (want.by - free, want.most.saturating_sub(used));
    if left < missing {
        return Err(StoreError::PoolExhausted { pool: want.pool.clone(), used, cap: want.most });
    }
    // What is only counted is given out exactly; of what is scarce less and less at a time as it comes to its end.
    let more = if want.most == i64::MAX { 0 } else { (left / (2 * i64::from(shards.count()))).min(SLICE_MAX) };
    let gift = missing.max(more);
    tx.take_from_pools(&[(pool, gift, i64::MAX), (given, gift, i64::MAX)])?;
    tx.commit()?;
    Ok(ever + gift)
}

/// Puts into a slice what it was given and has not had.
fn receive(tx: &mut Tx<'_>, bucket: i64, (program, pool): (i64, &str), ever: i64) -> Result<(), StoreError> {
    let had = named(bucket, program, format!("{pool}#had"));
    let [known] = locked(tx, [had.clone()])?;
    let new = ever - known;
    if new > 0 {
        tx.take_from_pools(&[(had, new, i64::MAX), (free_key(bucket, program, pool), new, i64::MAX)])?;
    }
    Ok(())
}

/// Takes from the slices of a shard, or puts back, within the transaction of a batch.
pub(super) fn take(tx: &mut Tx<'_>, bucket: i64, wanted: &[Wanted]) -> Result<(), StoreError> {
    let mut back = Vec::new();
    for want in wanted {
        let key = free_key(bucket, want.program, &want.pool);
        if want.by <= 0 {
            back.push((key, -want.by, i64::MAX));
            continue;
        }
        let mut params = key;
        params.push(want.by.into());
        let sql = "UPDATE pool SET used = used - $4 WHERE bucket = $1 AND program = $2 AND pool = $3 AND used >= $4";
        if tx.execute(sql, &params)? != 1 {
            return Err(StoreError::PoolExhausted { pool: want.pool.clone(), used: want.most, cap: want.most });
        }
    }
    tx.take_from_pools(&back)
}

/// Gives back what slices do not need, so that other shards may have it. Says how many gave something.
pub(crate) fn sweep_slices(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    if !context.shards.are_spread() {
        return Ok(0);
    }
    let given = context
        .database
        .read(|reader| reader.query("SELECT program, pool, used FROM pool WHERE pool LIKE '%#%'", &[]))?;
    let mut done = 0;
    for row in given {
        let Some((pool, bucket)) = row[1].text()?.rsplit_once('#') else { continue };
        let Ok(bucket) = bucket.parse::<i64>() else { continue };
        done += usize::from(give_back(executor, bucket, (row[0].int()?, pool.to_owned()), row[2].int()?)?);
    }
    Ok(done)
}

fn give_back(executor: &Executor, bucket: i64, (program, pool): (i64, String), given: i64) -> Result<bool, StoreError> {
    let name = pool.clone();
    let (unused, ever) = executor.write(move |tx| {
        receive(tx, bucket, (program, &name), given)?;
        let (free, back) = (free_key(bucket, program, &name), named(bucket, program, format!("{name}#back")));
        let [unused, ever] = locked(tx, [free.clone(), back.clone()])?;
        if unused > 0 {
            tx.take_from_pools(&[(free, -unused, i64::MAX), (back, unused, i64::MAX)])?;
        }
        Ok::<_, StoreError>((unused, ever + unused))
    })?;
    executor.write(move |tx| {
        let (main, known) = (pool_key(program, &pool), beside(program, &pool, &format!("#{bucket}#back")));
        let [_, before] = locked(tx, [main.clone(), known.clone()])?;
        let new = ever - before;
        if new > 0 {
            tx.take_from_pools(&[(main, -new, i64::MAX), (known, new, i64::MAX)])?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(unused > 0)
}

/// How much of a pool is in use: what its slices were given, less what they have left.
pub(crate) fn in_use(rows: &mut dyn Rows, shards: &Shards, program: i64, pool: &str) -> Result<i64, StoreError> {
    let mut keys = vec![pool_key(program, pool)];
    if shards.are_spread() {
        keys.extend((0..shards.count()).map(|shard| free_key(shards.first_bucket(shard), program, pool)));
    }
    let mut used = 0;
    for row in rows.fetch_by_keys(&tables::POOL, &keys)? {
        let amount = row[3].int()?;
        used += if row[2].text()? == pool { amount } else { -amount };
    }
    Ok(used)
}
