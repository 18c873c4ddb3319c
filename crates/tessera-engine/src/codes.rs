//! Codes of partners: brought in as a list, sealed, given once each with the redemption that pays for it.
//!
//! A code is in no event and no log: it is opened for whoever asks for its redemption.

use std::collections::HashSet;

use serde::Serialize;
use tessera_core::decide;
use tessera_core::id::{Bucket, EventId};
use tessera_core::program::Id;
use tessera_store::{StoreError, Tx, tables};

use crate::clock::Entropy;
use crate::executor::{Context, Executor};
use crate::programs::ProgramHandle;
use crate::record::{Rows, number};
use crate::secret::Secrets;

/// The longest code, in bytes; addresses of e-vouchers are longer than codes.
pub const CODE_MAX: usize = 500;
/// Codes brought in by one transaction, so that members do not wait for a long list.
const CHUNK: usize = 500;

/// What became of a list of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub imported: u64,
    /// Were there already, given or not.
    pub known: u64,
}

/// A pool of codes as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct CodePoolView {
    pub pool: Id,
    pub name: Option<String>,
    pub imported: i64,
    /// Given to members.
    pub given: i64,
    /// Set aside for redemptions that are under way.
    pub reserved: i64,
    pub left: i64,
    /// Fewer than so many are too few, as the document says.
    pub low_at: Option<i64>,
    pub low: bool,
}

fn pool_bucket(pool: &Id) -> i64 {
    i64::from(Bucket::of(pool.as_str().as_bytes()).get())
}

/// Brings codes in. One that is there already, in this list or from an earlier one, is left out, so that a list may be
/// sent again after it broke off.
pub fn import(
    context: &Context,
    executor: &Executor,
    program: &ProgramHandle,
    pool: &Id,
    codes: Vec<String>,
) -> Result<Imported, StoreError> {
    let mut told = Imported::default();
    for chunk in codes.chunks(CHUNK) {
        let (number, pool, chunk, secrets) = (program.number, pool.clone(), chunk.to_vec(), context.secrets.clone());
        let (imported, known) = executor.write(move |tx| import_chunk(tx, &secrets, number, &pool, &chunk))?;
        told.imported += imported;
        told.known += known;
    }
    Ok(told)
}

fn import_chunk(
    tx: &mut Tx<'_>,
    secrets: &Secrets,
    program: i64,
    pool: &Id,
    codes: &[String],
) -> Result<(u64, u64), StoreError> {
    let key: tessera_store::Row = vec![pool_bucket(pool).into(), program.into(), pool.as_str().into()];
    let count = tx.fetch_by_keys(&tables::CODE_POOL, std::slice::from_ref(&key))?;
    let mut imported = count.first().map_or(Ok(0), |row| row[3].int())?;
    let (before, mut entropy, mut seen) = (imported, Entropy::default(), HashSet::new());
    let mut rows = Vec::with_capacity(codes.len());
    for code in codes {
        let hash = secrets.code_hash(program, pool.as_str(), code);
        let mut params = key.clone();
        params.push(hash.as_slice().into());
        let sql = "SELECT number FROM pool_code WHERE bucket = $1 AND program = $2 AND pool = $3 AND hash = $4";
        if !seen.insert(hash) || !tx.query(sql, &params)?.is_empty() {
            continue;
        }
        imported += 1;
        let sealed = secrets.seal_code(&mut entropy, code);
        let mut row = key.clone();
        let free = || tessera_store::Value::Null;
        row.extend([imported.into(), hash.as_slice().into(), sealed.into(), free(), free(), free()]);
        rows.push(row);
    }
    tx.insert_rows(&tables::POOL_CODE, &rows)?;
    let mut count = key;
    count.push(imported.into());
    tx.upsert_rows(&tables::CODE_POOL, &[count])?;
    let new = u64::try_from(imported - before).unwrap_or_default();
    Ok((new, codes.len() as u64 - new))
}

/// Gives the first free code of a pool to a redemption. The pool's row is locked by whoever decides about it.
pub(crate) fn give(
    tx: &mut Tx<'_>,
    program: i64,
    pool: &Id,
    redemption: EventId,
    now: tessera_core::time::Instant,
) -> Result<(), StoreError> {
    let given = tx.execute(
        "UPDATE pool_code SET member = $4, seq = $5, given_at = $6 WHERE bucket = $1 AND program = $2 AND pool = $3 \
         AND member IS NULL AND number = (SELECT MIN(number) FROM pool_code WHERE bucket = $1 AND program = $2 \
         AND pool = $3 AND member IS NULL)",
        &[
            pool_bucket(pool).into(),
            program.into(),
            pool.as_str().into(),
            redemption.member.as_bytes().as_slice().into(),
            number(redemption.seq).into(),
            now.micros().into(),
        ],
    )?;
    if given == 1 { Ok(()) } else { Err(StoreError::Conflict { table: tables::POOL_CODE.name }) }
}

/// The code that a redemption was given, opened.
pub(crate) fn of_redemption(
    reader: &mut dyn Rows,
    secrets: &Secrets,
    program: i64,
    redemption: EventId,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT sealed FROM pool_code WHERE program = $1 AND member = $2 AND seq = $3 AND member IS NOT NULL";
    let member = redemption.member;
    let params = [program.into(), member.as_bytes().as_slice().into(), number(redemption.seq).into()];
    let rows = reader.query(sql, &params)?;
    let open = |sealed: &[u8]| {
        secrets.open_code(sealed).map_err(|error| StoreError::corrupt("pool_code", "sealed", error.to_string()))
    };
    rows.first().map(|row| open(row[0].bytes()?)).transpose()
}

/// How many codes of each pool there are, by the document in force.
pub fn pools(context: &Context, program: &ProgramHandle, language: &str) -> Result<Vec<CodePoolView>, StoreError> {
    let rules = program.versions().at(context.clock.now()).clone();
    context.database.read(|reader| pools_of(reader, program.number, &rules.definition, language))
}

pub(crate) fn pools_of(
    reader: &mut dyn Rows,
    program: i64,
    definition: &tessera_core::program::Definition,
    language: &str,
) -> Result<Vec<CodePoolView>, StoreError> {
    let mut views = Vec::with_capacity(definition.code_pools.len());
    for (pool, settings) in &definition.code_pools {
        let key = vec![pool_bucket(pool).into(), program.into(), pool.as_str().into()];
        let imported = reader.fetch_by_keys(&tables::CODE_POOL, &[key])?.first().map_or(Ok(0), |row| row[3].int())?;
        let counted = crate::executor::pool_key(program, &decide::code_pool(pool));
        let used = reader.fetch_by_keys(&tables::POOL, &[counted])?.first().map_or(Ok(0), |row| row[3].int())?;
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM pool_code WHERE bucket = $1 AND program = $2 AND pool = $3 \
                   AND member IS NULL";
        let free = reader.query(sql, &[pool_bucket(pool).into(), program.into(), pool.as_str().into()])?;
        let given = imported - free.first().map_or(Ok(0), |row| row[0].int())?;
        let left = (imported - used).max(0);
        views.push(CodePoolView {
            pool: pool.clone(),
            name: settings.name.in_language(language).map(str::to_owned),
            imported,
            given,
            reserved: (used - given).max(0),
            left,
            low_at: settings.low,
            low: settings.low.is_some_and(|low| left < low),
        });
    }
    Ok(views)
}
