//! The codes of a batch, a chunk at a time: made, found again, taken in, cancelled.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use compact_str::CompactString;
use serde::Serialize;
use tessera_core::code::Code;
use tessera_core::voucher::{CodeStatus, as_shown, normalise};
use tessera_store::{Row, StoreError, Tx, Value, tables};

use super::batch::{Batch, BatchError, BatchKind, CANCELLED, CHUNK, batch_cancelled};
use super::{KnownCode, column, text_row};
use crate::executor::{Context, Executor};
use crate::programs::ProgramHandle;
use crate::record::{Rows, own_key, unsigned};
use crate::submission::Refusal;

/// One code of a batch and its row, where it has one.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub number: u64,
    pub code: CompactString,
    pub key: [u8; 16],
    pub row: Option<Row>,
}

/// A code of a batch that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub number: u64,
    pub code: CompactString,
    pub key: [u8; 16],
    pub row: Row,
}

/// The codes that a batch has under these numbers, from 1 on: the same each time. A code that another batch has by
/// chance is passed over.
pub(crate) fn numbered(
    rows: &mut dyn Rows,
    context: &Context,
    program: i64,
    (batch, numbers): (&Batch, Range<u64>),
) -> Result<Vec<Made>, StoreError> {
    let mut made: HashMap<u64, Made> = HashMap::new();
    let mut taken: HashSet<[u8; 16]> = HashSet::new();
    let mut open: Vec<(u64, u32)> = numbers.clone().map(|number| (number, 0)).collect();
    while !open.is_empty() {
        let candidates: Vec<(u64, u32, Code)> = open
            .iter()
            .map(|(number, attempt)| {
                let random = context.secrets.code_bytes(&batch.id, *number, *attempt);
                (*number, *attempt, Code::of_length(random, batch.length))
            })
            .collect();
        let keyed = |code: &Code| context.secrets.code_key(program, code.as_str());
        let keys: Vec<Row> = candidates.iter().map(|(.., code)| own_key(program, &keyed(code))).collect();
        let mut known: HashMap<Vec<u8>, Row> = HashMap::new();
        for row in rows.fetch_by_keys(&tables::VOUCHER_CODE, &keys)? {
            known.insert(row[2].bytes()?.to_vec(), row);
        }
        open.clear();
        for (number, attempt, code) in candidates {
            let key = keyed(&code);
            let row = known.get(key.as_slice()).cloned();
            let is_ours = match &row {
                Some(row) => {
                    row[column::BATCH].opt_bytes()? == Some(batch.id.as_slice())
                        && unsigned(row[column::NUMBER].int()?) == number
                }
                None => !taken.contains(&key),
            };
            if is_ours {
                taken.insert(key);
                made.insert(number, Made { number, code: code.as_str().into(), key, row });
            } else {
                open.push((number, attempt + 1));
            }
        }
    }
    Ok(numbers.filter_map(|number| made.remove(&number)).collect())
}

/// Makes the codes of a chunk that are not there yet, and gives all of them as they are printed.
///
/// # Errors
/// Where the batch was made void meanwhile; what the database may end in.
pub fn make_chunk(
    context: &Arc<Context>,
    executor: &Executor,
    program: &ProgramHandle,
    (batch, numbers): (&Batch, Range<u64>),
) -> Result<Vec<CompactString>, BatchError> {
    let (context, program, batch) = (context.clone(), program.number, batch.clone());
    executor.write(move |tx: &mut Tx<'_>| {
        let made = numbered(tx, &context, program, (&batch, numbers))?;
        let new = made.iter().filter(|made| made.row.is_none());
        let rows: Vec<Row> = new.map(|made| batch.code(made.number).row(program, &made.key)).collect();
        if !rows.is_empty() {
            open_row(tx, program, &batch.id)?;
        }
        tx.insert_rows(&tables::VOUCHER_CODE, &rows)?;
        Ok(made.iter().map(|made| as_shown(&made.code)).collect())
    })
}

/// The numbers of a batch's codes in chunks.
pub fn chunks(codes: u64) -> impl Iterator<Item = Range<u64>> {
    (0..codes.div_ceil(CHUNK)).map(move |chunk| chunk * CHUNK + 1..((chunk + 1) * CHUNK).min(codes) + 1)
}

/// A line of a file of codes that was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineProblem {
    pub line: u64,
    pub code: String,
    pub detail: String,
}

/// Takes in codes from elsewhere, each with its line, which is its number in the batch. A line that was taken in before
/// is no duplicate of itself. What is in can be listed and made void, also where the file breaks off after it.
///
/// # Errors
/// Where the batch was made void meanwhile; what the database may end in.
pub fn import_chunk(
    context: &Arc<Context>,
    executor: &Executor,
    program: &ProgramHandle,
    (batch, lines): (&Batch, Vec<(u64, String)>),
) -> Result<Vec<LineProblem>, BatchError> {
    let (context, program, batch) = (context.clone(), program.number, batch.clone());
    executor.write(move |tx: &mut Tx<'_>| {
        note_lines(tx, program, &batch.id, lines.last().map_or(0, |(line, _)| *line))?;
        let mut problems = Vec::new();
        let mut wanted: Vec<(u64, CompactString, [u8; 16])> = Vec::with_capacity(lines.len());
        for (line, text) in &lines {
            match normalise(text) {
                Ok(code) => wanted.push((*line, code.clone(), context.secrets.code_key(program, &code))),
                Err(error) => {
                    problems.push(LineProblem { line: *line, code: text.clone(), detail: error.to_string() });
                }
            }
        }
        let keys: Vec<Row> = wanted.iter().map(|(.., key)| own_key(program, key)).collect();
        let mut there: HashMap<Vec<u8>, String> = HashMap::new();
        for row in tx.fetch_by_keys(&tables::VOUCHER_CODE, &keys)? {
            let ours = row[column::BATCH].opt_bytes()? == Some(batch.id.as_slice());
            let told = match ours {
                true => format!("line {}", row[column::NUMBER].int()?),
                false => "the program has this code already".to_owned(),
            };
            there.insert(row[2].bytes()?.to_vec(), told);
        }
        let (mut rows, mut texts) = (Vec::new(), Vec::new());
        for (line, code, key) in wanted {
            match there.get(key.as_slice()) {
                Some(told) if *told == format!("line {line}") => {}
                Some(told) => {
                    let detail = match told.strip_prefix("line ") {
                        Some(first) => format!("a duplicate of line {first}"),
                        None => told.clone(),
                    };
                    problems.push(LineProblem { line, code: code.into(), detail });
                }
                None => {
                    texts.push(text_row(&context, program, (&batch.id, line), &code));
                    rows.push(batch.code(line).row(program, &key));
                    there.insert(key.to_vec(), format!("line {line}"));
                }
            }
        }
        tx.insert_rows(&tables::VOUCHER_CODE, &rows)?;
        tx.insert_rows(&tables::VOUCHER_TEXT, &texts)?;
        problems.sort_by_key(|problem| problem.line);
        Ok(problems)
    })
}

/// Notes how many lines a file had, those without a code included.
///
/// # Errors
/// As [`import_chunk`].
pub fn finish_import(
    executor: &Executor,
    program: &ProgramHandle,
    (batch, lines): (&Batch, u64),
) -> Result<(), BatchError> {
    let (program, id) = (program.number, batch.id);
    executor.write(move |tx: &mut Tx<'_>| note_lines(tx, program, &id, lines))
}

/// A batch has this many lines, or more.
fn note_lines(tx: &mut Tx<'_>, program: i64, batch: &[u8; 16], lines: u64) -> Result<(), BatchError> {
    let mut row = open_row(tx, program, batch)?;
    if unsigned(row[7].int()?) < lines {
        row[7] = crate::record::number(lines).into();
        tx.upsert_rows(&tables::VOUCHER_BATCH, &[row])?;
    }
    Ok(())
}

/// The row of a batch that codes come into: none once it was made void, or they would be good.
fn open_row(tx: &mut Tx<'_>, program: i64, batch: &[u8; 16]) -> Result<Row, BatchError> {
    let row = tx.fetch_by_keys(&tables::VOUCHER_BATCH, &[own_key(program, batch)])?.pop();
    let row = row.filter(|row| row[12] != Value::from(CANCELLED));
    row.ok_or_else(|| batch_cancelled().into())
}

/// The rows of a chunk of any batch, with the codes as they are looked up.
pub(crate) fn rows_of(
    rows: &mut dyn Rows,
    context: &Context,
    program: i64,
    (batch, numbers): (&Batch, Range<u64>),
) -> Result<Vec<Kept>, StoreError> {
    if batch.kind == BatchKind::Made {
        let made = numbered(rows, context, program, (batch, numbers))?;
        let kept = |Made { number, code, key, row }| row.map(|row| Kept { number, code, key, row });
        return Ok(made.into_iter().filter_map(kept).collect());
    }
    let sql = "SELECT number, text FROM voucher_text WHERE bucket = $1 AND program = $2 AND batch = $3 \
               AND number >= $4 AND number < $5 ORDER BY number";
    let mut params = own_key(program, &batch.id);
    params.extend([crate::record::number(numbers.start).into(), crate::record::number(numbers.end).into()]);
    let mut texts = Vec::new();
    for row in rows.query(sql, &params)? {
        let corrupt = |_| StoreError::corrupt("voucher_text", "text", "sealed with another key");
        let code = context.secrets.open_voucher_code(row[1].bytes()?).map_err(corrupt)?;
        let key = context.secrets.code_key(program, &code);
        texts.push((unsigned(row[0].int()?), CompactString::from(code), key));
    }
    let keys: Vec<Row> = texts.iter().map(|(.., key)| own_key(program, key)).collect();
    let mut known: HashMap<Vec<u8>, Row> = HashMap::new();
    for row in rows.fetch_by_keys(&tables::VOUCHER_CODE, &keys)? {
        known.insert(row[2].bytes()?.to_vec(), row);
    }
    let kept = |(number, code, key): (u64, CompactString, [u8; 16])| {
        known.remove(key.as_slice()).map(|row| Kept { number, code, key, row })
    };
    Ok(texts.into_iter().filter_map(kept).collect())
}

/// Cancels the codes of a batch that are not used up, and says how many there were. `progress` is told after each chunk
/// how far it is.
///
/// # Errors
/// What the database may end in.
pub fn cancel_batch(
    context: &Arc<Context>,
    executor: &Executor,
    program: &ProgramHandle,
    batch: &Batch,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, StoreError> {
    let (number, id) = (program.number, batch.id);
    // First of all nothing more comes in.
    let lines = executor.write(move |tx: &mut Tx<'_>| {
        let mut lines = 0;
        for mut row in tx.fetch_by_keys(&tables::VOUCHER_BATCH, &[own_key(number, &id)])? {
            lines = unsigned(row[7].int()?);
            row[12] = CANCELLED.into();
            tx.upsert_rows(&tables::VOUCHER_BATCH, &[row])?;
        }
        Ok::<_, StoreError>(lines)
    })?;
    let mut cancelled = 0;
    for numbers in chunks(lines) {
        let (context, batch, done) = (context.clone(), batch.clone(), numbers.end - 1);
        cancelled += executor.write(move |tx: &mut Tx<'_>| {
            let mut changed = Vec::new();
            for Kept { code, key, row, .. } in rows_of(tx, &context, number, (&batch, numbers))? {
                let mut known = KnownCode::read(row)?;
                let mut record = known.record(code, &key)?;
                let used_up = record.pool.is_none() && record.most.is_some_and(|most| record.uses >= most);
                if record.status == CodeStatus::Open && !used_up {
                    record.status = CodeStatus::Cancelled;
                    changed.push(known.now(&record));
                }
            }
            tx.upsert_rows(&tables::VOUCHER_CODE, &changed)?;
            Ok::<_, StoreError>(changed.len() as u64)
        })?;
        progress(done);
    }
    Ok(cancelled)
}

/// Cancels one code; one that is cancelled already stays so.
///
/// # Errors
/// Where there is no such code, or it is used up.
pub fn cancel_code(
    context: &Arc<Context>,
    executor: &Executor,
    program: &ProgramHandle,
    code: &CompactString,
) -> Result<(), BatchError> {
    let (number, name) = (program.number, code.clone());
    let key = context.secrets.code_key(number, code);
    executor.write(move |tx: &mut Tx<'_>| {
        let rows = tx.fetch_by_keys(&tables::VOUCHER_CODE, &[own_key(number, &key)])?;
        let Some(row) = rows.into_iter().next() else {
            let detail = format!("there is no voucher {name}");
            return Err(Refusal::new("unknown-voucher", detail).with("code", name.as_str()).into());
        };
        let mut known = KnownCode::read(row)?;
        let mut record = known.record(name.clone(), &key)?;
        if record.status == CodeStatus::Cancelled {
            return Ok(());
        }
        if let Some(most) = record.most.filter(|most| record.pool.is_none() && record.uses >= *most) {
            let used_up = tessera_core::decide::Rejected::VoucherUsedUp { code: name, voucher: record.voucher, most };
            return Err(Refusal::from(used_up).into());
        }
        record.status = CodeStatus::Cancelled;
        Ok(tx.upsert_rows(&tables::VOUCHER_CODE, &[known.now(&record)])?)
    })
}
