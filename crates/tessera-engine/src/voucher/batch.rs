//! Batches of codes: made by the hundred thousand, shared by many, or taken in from elsewhere.
//!
//! A batch has the caller's key: asked for again, it is the same batch with the same codes, and one that broke off goes
//! on where it stopped. What bounds it: [`CODES_MAX`] codes in a batch, [`CHUNK`] in a transaction, so that sales go on
//! beside it.

use compact_str::CompactString;
use serde::Serialize;
use tessera_core::code::{LENGTH, LENGTHS, on_pack_most, spoken_space};
use tessera_core::id::Bucket;
use tessera_core::program::{Id, VoucherDefinition};
use tessera_core::time::{Day, Instant};
use tessera_store::{Row, StoreError, Tx, Value, tables};

use super::{NewCode, text_row};
use crate::executor::{Context, Executor};
use crate::programs::ProgramHandle;
use crate::record::own_key;
use crate::submission::Refusal;

/// Codes in one batch.
pub const CODES_MAX: u64 = 1_000_000;

/// Codes in one transaction: a few milliseconds of the writer's time.
pub const CHUNK: u64 = 1_000;

/// Lines that are told why they were not taken in.
pub const TOLD_MAX: usize = 10_000;

/// The longest line of a file of codes, in bytes, its end not counted.
pub const LINE_MAX: usize = 1_000;

/// The state of a batch that was made void.
pub(super) const CANCELLED: i64 = 2;

/// The longest name of a batch, in bytes.
const NAME_MAX: usize = 200;

/// Where the codes of a batch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchKind {
    Made,
    Imported,
    /// One code that many use.
    Shared,
}

impl BatchKind {
    /// The number stored for it; never changes.
    const fn code(self) -> i64 {
        match self {
            Self::Made => 1,
            Self::Imported => 2,
            Self::Shared => 3,
        }
    }

    fn from_code(code: i64) -> Option<Self> {
        [Self::Made, Self::Imported, Self::Shared].into_iter().find(|kind| kind.code() == code)
    }
}

/// A batch that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBatch {
    pub voucher: Id,
    pub kind: BatchKind,
    /// For people.
    pub name: String,
    /// Codes; of a shared one, how often it may be used in all, 0 for as often as members like.
    pub count: u64,
    /// Characters of a code, the check character included.
    pub length: usize,
    /// The last day of every code; left out, as the document says.
    pub expires_on: Option<Day>,
    /// The code that is shared.
    pub code: Option<CompactString>,
}

/// A batch as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub id: [u8; 16],
    pub voucher: Id,
    pub name: String,
    pub kind: BatchKind,
    pub length: usize,
    /// Codes it has, or will have.
    pub codes: u64,
    /// The version whose terms its codes have.
    pub version: u32,
    pub created_at: Instant,
    pub expires_at: Option<Instant>,
    pub cancelled: bool,
    /// How often each code may be used.
    pub(crate) most: Option<i64>,
}

/// Why a batch was not made, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("{}", .0.detail)]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for BatchError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl NewBatch {
    /// Checks what can be said without looking at other batches, and the terms of its voucher.
    fn checked<'p>(&self, program: &'p tessera_core::program::Program) -> Result<&'p VoucherDefinition, Refusal> {
        let Some(terms) = program.voucher(self.voucher.as_str()).map(|terms| &terms.definition) else {
            let detail = format!("the document has no voucher `{}`", self.voucher);
            return Err(Refusal::new("unknown-voucher-name", detail).with("voucher", self.voucher.as_str()));
        };
        if self.name.len() > NAME_MAX {
            return Err(Refusal::new("invalid-request", format!("name: at most {NAME_MAX} bytes are kept")));
        }
        if self.kind == BatchKind::Made {
            if !(1..=CODES_MAX).contains(&self.count) {
                let detail = format!("count: 1 to {CODES_MAX} codes are made in one batch");
                return Err(Refusal::new("invalid-request", detail));
            }
            if !LENGTHS.contains(&self.length) {
                let (least, most) = (LENGTHS.start(), LENGTHS.end());
                return Err(Refusal::new(
                    "invalid-request",
                    format!("length: {least} to {most} characters are expected"),
                ));
            }
            if self.length < LENGTH && !terms.is_claimed() {
                return Err(too_short(self.length));
            }
        }
        Ok(terms)
    }

    fn hash(&self, context: &Context) -> [u8; 16] {
        let parts = serde_json::json!([
            self.voucher.as_str(),
            self.kind.code(),
            self.name,
            self.count,
            self.length,
            self.expires_on.map(|day| day.to_string()),
            self.code.as_deref(),
        ]);
        context.secrets.command_hash(&[b"voucher-batch", parts.to_string().as_bytes()])
    }
}

/// Codes on paper under a lid may be short, for each is claimed by a member and wrong tries are limited; every other is
/// tried by machines.
fn too_short(length: usize) -> Refusal {
    let bits = whole_bits(length);
    let detail = format!(
        "codes of {length} characters have {} random ones of 23, which is {bits} bits: codes that take something off an \
         order need 64, so {LENGTH} characters; shorter ones are for vouchers that are claimed (`points`, `grant`, `prize`)",
        length - 1
    );
    Refusal::new("codes-too-easy-to-guess", detail).with("length", length).with("bits", bits)
}

/// Whole bits of so many characters, without the check character.
fn whole_bits(length: usize) -> u32 {
    spoken_space(length).ilog2()
}

/// The arithmetic of V1: how many codes of a length there are, how many are valid, and what a guess is worth.
fn too_many(length: usize, used: i64, count: u64) -> Refusal {
    let (space, most) = (spoken_space(length), on_pack_most(length));
    let wanted = u128::try_from(used).unwrap_or_default() + u128::from(count);
    let one_in = space.checked_div(wanted).unwrap_or(0);
    let fits = LENGTHS.clone().find(|length| u128::try_from(on_pack_most(*length)).is_ok_and(|most| most >= wanted));
    let advice = match fits {
        Some(length) => format!("give `length` {length}"),
        None => "make fewer".to_owned(),
    };
    let detail = format!(
        "{count} more codes of {length} characters are too easy to guess: {} characters are random, so there are \
         23^{} = {space}; with {wanted} of them valid, one guess in {one_in} hits, and one in 1000000 is the most. At most \
         {most} codes of this length may be valid: {advice}",
        length - 1,
        length - 1,
    );
    Refusal::new("codes-too-easy-to-guess", detail)
        .with("length", length)
        .with("valid", used)
        .with("most", most)
        .with("one_in", one_in.to_string())
}

/// Codes that came into a batch after it was made void would be good.
pub(super) fn batch_cancelled() -> Refusal {
    Refusal::new(
        "batch-cancelled",
        "this batch was made void: codes that are to be good go into another, under a key of its own",
    )
}

/// The pool that counts the short codes of a length.
fn pool_row(program: i64, length: usize) -> Row {
    let pool = format!("pool:codes/{length}");
    vec![i64::from(Bucket::of(pool.as_bytes()).get()).into(), program.into(), pool.into()]
}

/// Opens a batch, or finds the one of this key. `key`: the caller's idempotency key.
///
/// # Errors
/// Where the document has no such voucher, the codes would be too easy to guess, the code is there already, or the key
/// was used for another batch or for one that was made void.
pub fn open_batch(
    context: &std::sync::Arc<Context>,
    executor: &Executor,
    program: &ProgramHandle,
    (new, key): (&NewBatch, &str),
) -> Result<Batch, BatchError> {
    let (now, number) = (context.clock.now(), program.number);
    let rules = program.versions().at(now).clone();
    let terms = new.checked(&rules)?;
    let id = context.secrets.event_key(number, "tessera:voucher-codes", key);
    let hash = new.hash(context);
    let last_day = new.expires_on.or_else(|| terms.valid.map(|valid| valid.after(rules.calendar.day(now))));
    let last_day = last_day.into_iter().chain(terms.until).min();
    let most = match new.kind {
        BatchKind::Shared => i64::try_from(new.count).ok().filter(|most| *most > 0),
        _ => Some(terms.uses.per_code),
    };
    let batch = Batch {
        id,
        voucher: new.voucher.clone(),
        name: new.name.clone(),
        kind: new.kind,
        length: new.length,
        codes: if new.kind == BatchKind::Made { new.count } else { u64::from(new.kind == BatchKind::Shared) },
        version: rules.version,
        created_at: now,
        expires_at: last_day.map(|day| rules.calendar.end(day)),
        cancelled: false,
        most,
    };
    let (context, program, wanted) = (context.clone(), number, new.clone());
    let versions_most = most;
    executor.write(move |tx| {
        if let Some(known) = find(tx, program, &id, &hash, versions_most)? {
            return Ok(known);
        }
        if wanted.kind == BatchKind::Made && wanted.length < LENGTH {
            let count = i64::try_from(wanted.count).unwrap_or(i64::MAX);
            let taken = tx.take_from_pools(&[(pool_row(program, wanted.length), count, on_pack_most(wanted.length))]);
            match taken {
                Err(StoreError::PoolExhausted { used, .. }) => {
                    return Err(too_many(wanted.length, used, wanted.count).into());
                }
                other => other?,
            }
        }
        if let Some(code) = &wanted.code {
            share(tx, &context, program, (&batch, code))?;
        }
        tx.insert_rows(&tables::VOUCHER_BATCH, &[batch.row(program, &hash)])?;
        Ok(batch)
    })
}

/// The batch of a key, if there is one; refused where the key was used for another.
fn find(
    tx: &mut Tx<'_>,
    program: i64,
    id: &[u8; 16],
    hash: &[u8; 16],
    most: Option<i64>,
) -> Result<Option<Batch>, BatchError> {
    let rows = tx.fetch_by_keys(&tables::VOUCHER_BATCH, &[own_key(program, id)])?;
    let Some(row) = rows.first() else { return Ok(None) };
    if row[11].bytes()? != hash {
        let detail = "another batch was made under this key; give this one a key of its own";
        return Err(Refusal::new("idempotency-key-reused", detail).into());
    }
    if row[12].int()? == CANCELLED {
        return Err(batch_cancelled().into());
    }
    Ok(Some(Batch { most, ..Batch::read(row)? }))
}

/// Makes the one code of a shared batch.
fn share(
    tx: &mut Tx<'_>,
    context: &Context,
    program: i64,
    (batch, code): (&Batch, &CompactString),
) -> Result<(), BatchError> {
    let key = context.secrets.code_key(program, code);
    if !tx.fetch_by_keys(&tables::VOUCHER_CODE, &[own_key(program, &key)])?.is_empty() {
        let detail = format!("the code {code} is there already: choose another");
        return Err(Refusal::new("code-exists", detail).with("code", code.as_str()).into());
    }
    let row = NewCode { shared: true, ..batch.code(1) }.row(program, &key);
    tx.insert_rows(&tables::VOUCHER_CODE, &[row])?;
    Ok(tx.insert_rows(&tables::VOUCHER_TEXT, &[text_row(context, program, (&batch.id, 1), code)])?)
}

impl Batch {
    /// What the row of its code of a number says.
    pub(crate) fn code(&self, place: u64) -> NewCode<'_> {
        NewCode {
            voucher: &self.voucher,
            version: self.version,
            owner: None,
            batch: Some((&self.id, place)),
            issued_at: self.created_at,
            expires_at: self.expires_at,
            most: self.most,
            shared: false,
        }
    }

    pub(crate) fn row(&self, program: i64, hash: &[u8]) -> Row {
        let mut row = own_key(program, &self.id);
        row.extend([
            self.voucher.as_str().into(),
            self.name.as_str().into(),
            self.kind.code().into(),
            i64::try_from(self.length).unwrap_or_default().into(),
            crate::record::number(self.codes).into(),
            i64::from(self.version).into(),
            self.created_at.micros().into(),
            self.expires_at.map(Instant::micros).into(),
            hash.into(),
            (if self.cancelled { CANCELLED } else { 1 }).into(),
        ]);
        row
    }

    /// Reads a row; how often a code may be used stands with the codes.
    pub(crate) fn read(row: &[Value]) -> Result<Self, StoreError> {
        let corrupt = |column: &'static str| StoreError::corrupt("voucher_batch", column, "not a value of ours");
        Ok(Self {
            id: row[2].bytes()?.try_into().map_err(|_| corrupt("batch"))?,
            voucher: row[3].text()?.parse().map_err(|_| corrupt("voucher"))?,
            name: row[4].text()?.to_owned(),
            kind: BatchKind::from_code(row[5].int()?).ok_or_else(|| corrupt("kind"))?,
            length: usize::try_from(row[6].int()?).map_err(|_| corrupt("length"))?,
            codes: crate::record::unsigned(row[7].int()?),
            version: u32::try_from(row[8].int()?).map_err(|_| corrupt("program_version"))?,
            created_at: Instant::from_micros(row[9].int()?),
            expires_at: row[10].opt_int()?.map(Instant::from_micros),
            cancelled: row[12].int()? == CANCELLED,
            most: None,
        })
    }

    /// The name it has outside: `vb_…`.
    pub fn key(&self) -> String {
        format!("vb_{}", tessera_core::id::base32(&self.id))
    }

    /// Its id, from the name outside.
    pub fn id_of(key: &str) -> Option<[u8; 16]> {
        tessera_core::id::from_base32(key.strip_prefix("vb_")?)?.try_into().ok()
    }
}
