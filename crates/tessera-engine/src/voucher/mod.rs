//! Codes of vouchers as they are stored, and what is done with them on its way to the executor.

mod batch;
mod make;
mod submission;

pub use batch::{Batch, BatchError, BatchKind, CHUNK, CODES_MAX, LINE_MAX, NewBatch, TOLD_MAX, open_batch};
pub(crate) use make::{Kept, rows_of};
pub use make::{LineProblem, cancel_batch, cancel_code, chunks, finish_import, import_chunk, make_chunk};
pub use submission::cart;

use compact_str::CompactString;
use tessera_core::code::grouped;
use tessera_core::decide::{IssuedVoucher, shared_code_pool};
use tessera_core::event::Command;
use tessera_core::id::{EventId, MemberId};
use tessera_core::program::{Id, Versions};
use tessera_core::time::Instant;
use tessera_core::voucher::{CodeRecord, CodeStatus, normalise};
use tessera_store::{Row, StoreError, Value};

use crate::executor::Context;
use crate::programs::{ProgramHandle, member_id};
use crate::record::{Rows, member_key, number, own_key, unsigned};

/// The pool that counts the uses of a shared code.
pub(crate) fn shared_pool(key: &[u8; 16]) -> CompactString {
    shared_code_pool(&crate::secret::hex(key))
}

/// Where a row of `voucher_code` has what.
mod column {
    pub const VERSION: usize = 3;
    pub const VOUCHER: usize = 4;
    pub const PROGRAM_VERSION: usize = 5;
    pub const MEMBER: usize = 6;
    pub const BATCH: usize = 7;
    pub const NUMBER: usize = 8;
    pub const ISSUED_AT: usize = 9;
    pub const EXPIRES_AT: usize = 10;
    pub const MOST: usize = 11;
    pub const SHARED: usize = 12;
    pub const STATUS: usize = 13;
    pub const USES: usize = 14;
    pub const LAST_MEMBER: usize = 15;
    pub const LAST_SEQ: usize = 16;
}

/// A code's row, and the version it was read at; 0 for one that is not written yet.
#[derive(Clone, Debug)]
pub(crate) struct KnownCode {
    row: Row,
    version: i64,
}

impl KnownCode {
    pub fn read(row: Row) -> Result<Self, StoreError> {
        let version = row[column::VERSION].int()?;
        Ok(Self { row, version })
    }

    pub fn is_shared(&self) -> bool {
        self.row[column::SHARED] == Value::Int(1)
    }

    /// What the core knows of it, under the text it was named by.
    pub fn record(&self, code: CompactString, key: &[u8; 16]) -> Result<CodeRecord, StoreError> {
        let row = &self.row;
        let corrupt = |column: &'static str| StoreError::corrupt("voucher_code", column, "not a value of ours");
        let owner = row[column::MEMBER].opt_bytes()?.map(member_id).transpose()?;
        let last = match (row[column::LAST_MEMBER].opt_bytes()?, row[column::LAST_SEQ].opt_int()?) {
            (Some(member), Some(seq)) => Some(EventId { member: member_id(member)?, seq: unsigned(seq) }),
            _ => None,
        };
        Ok(CodeRecord {
            code,
            voucher: row[column::VOUCHER].text()?.parse().map_err(|_| corrupt("voucher"))?,
            version: u32::try_from(row[column::PROGRAM_VERSION].int()?).map_err(|_| corrupt("program_version"))?,
            owner,
            issued_at: Instant::from_micros(row[column::ISSUED_AT].int()?),
            expires_at: row[column::EXPIRES_AT].opt_int()?.map(Instant::from_micros),
            status: CodeStatus::from_code(row[column::STATUS].int()?).ok_or_else(|| corrupt("status"))?,
            most: row[column::MOST].opt_int()?,
            pool: self.is_shared().then(|| shared_pool(key)),
            uses: row[column::USES].int()?,
            last,
        })
    }

    /// The row as a decision left it, over the version it was read at; later commands of the batch see it.
    pub fn now(&mut self, code: &CodeRecord) -> Row {
        self.row[column::VERSION] = (self.version + 1).into();
        self.row[column::STATUS] = code.status.code().into();
        self.row[column::USES] = code.uses.into();
        self.row[column::LAST_MEMBER] = code.last.map(|last| last.member.as_bytes().to_vec()).into();
        self.row[column::LAST_SEQ] = code.last.map(|last| number(last.seq)).into();
        self.row.clone()
    }
}

/// What a new row says of its code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewCode<'a> {
    pub voucher: &'a Id,
    pub version: u32,
    pub owner: Option<MemberId>,
    /// Batch and number in it.
    pub batch: Option<(&'a [u8; 16], u64)>,
    pub issued_at: Instant,
    pub expires_at: Option<Instant>,
    pub most: Option<i64>,
    pub shared: bool,
}

impl NewCode<'_> {
    pub fn row(&self, program: i64, key: &[u8; 16]) -> Row {
        let mut row = own_key(program, key);
        row.extend([
            1.into(),
            self.voucher.as_str().into(),
            i64::from(self.version).into(),
            self.owner.map(|owner| owner.as_bytes().to_vec()).into(),
            self.batch.map(|(batch, _)| batch.to_vec()).into(),
            self.batch.map_or(0, |(_, place)| number(place)).into(),
            self.issued_at.micros().into(),
            self.expires_at.map(Instant::micros).into(),
            self.most.into(),
            i64::from(self.shared).into(),
            CodeStatus::Open.code().into(),
            0.into(),
            Value::Null,
            Value::Null,
        ]);
        row
    }
}

/// The text of a code that cannot be made again, sealed.
pub(crate) fn text_row(context: &Context, program: i64, (batch, place): (&[u8; 16], u64), code: &str) -> Row {
    let mut row = own_key(program, batch);
    let sealed = context.secrets.seal_voucher_code(code, &mut crate::clock::Entropy::default());
    row.extend([number(place).into(), sealed.into()]);
    row
}

/// The code of a voucher that a member was given.
pub(crate) fn issued_row(context: &Context, program: i64, member: MemberId, issued: &IssuedVoucher) -> Row {
    let code = normalise(&issued.code).unwrap_or_default();
    let new = NewCode {
        voucher: &issued.voucher,
        version: issued.version,
        owner: Some(member),
        batch: None,
        issued_at: issued.issued_at,
        expires_at: issued.expires_at,
        most: Some(issued.uses),
        shared: false,
    };
    new.row(program, &context.secrets.code_key(program, &code))
}

/// The code of a voucher that a member was given before codes had rows of their own.
pub(crate) fn issued_before(
    tx: &mut dyn Rows,
    program: &ProgramHandle,
    member: MemberId,
    (code, key): (&str, [u8; 16]),
) -> Result<Option<KnownCode>, StoreError> {
    let mut own = member_key(program.number, member);
    own.push(grouped(code).as_str().into());
    let rows = tx.fetch_by_keys(&tessera_store::tables::VOUCHER, &[own])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let voucher: Id = row[4].text()?.parse().map_err(|_| StoreError::corrupt("voucher", "voucher", "not a name"))?;
    let issued_at = Instant::from_micros(row[6].int()?);
    let versions = program.versions();
    let rules = versions.at(issued_at);
    let uses = rules.voucher(voucher.as_str()).map_or(1, |terms| terms.definition.uses.per_code);
    let new = NewCode {
        voucher: &voucher,
        version: rules.version,
        owner: Some(member),
        batch: None,
        issued_at,
        expires_at: row[7].opt_int()?.map(Instant::from_micros),
        most: Some(uses),
        shared: false,
    };
    Ok(Some(KnownCode { row: new.row(program.number, &key), version: 0 }))
}

/// A member's own vouchers that one quote looks at, the newest first.
pub(crate) const OWN_MAX: usize = 200;

/// The codes that a member was given and that have not expired at an instant; used ones are among them.
pub(crate) fn good_codes(
    tx: &mut dyn Rows,
    program: i64,
    member: MemberId,
    at: Instant,
) -> Result<Vec<CompactString>, StoreError> {
    let sql = format!(
        "SELECT code FROM voucher WHERE bucket = $1 AND program = $2 AND member = $3 \
         AND (expires_at IS NULL OR expires_at > $4) ORDER BY issued_at DESC, code LIMIT {OWN_MAX}"
    );
    let mut params = member_key(program, member);
    params.push(at.micros().into());
    let rows = tx.query(&sql, &params)?;
    rows.iter().map(|row| Ok(tessera_core::voucher::normalise(row[0].text()?).unwrap_or_default())).collect()
}

/// A code of a voucher that is good at a command's time under these versions, for a what-if.
pub(crate) fn good_code(versions: &Versions, command: &Command, voucher: &Id) -> Option<CodeRecord> {
    let rules = versions.at(command.effective_at);
    rules.voucher(voucher.as_str())?;
    Some(CodeRecord {
        code: command.what.voucher_codes().next()?.clone(),
        voucher: voucher.clone(),
        version: rules.version,
        owner: None,
        issued_at: command.effective_at,
        expires_at: None,
        status: CodeStatus::Open,
        most: None,
        pool: None,
        uses: 0,
        last: None,
    })
}
