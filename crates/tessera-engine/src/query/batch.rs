use serde::Serialize;
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_core::voucher::as_shown;
use tessera_store::{StoreError, tables};

use super::member::{Page, PageRequest};
use super::voucher::VoucherState;
use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::record::own_key;
use crate::voucher::{Batch, BatchKind, CHUNK, Kept, KnownCode, rows_of};

/// A batch of codes as whoever may ask sees it.
#[derive(Clone, Debug, Serialize)]
pub struct BatchView {
    /// `vb_…`
    pub id: String,
    pub voucher: Id,
    pub name: String,
    pub kind: BatchKind,
    /// Codes it has; of an import, lines of the file.
    pub codes: u64,
    /// Characters of a made code.
    pub length: usize,
    pub created_at: Instant,
    pub expires_at: Option<Instant>,
    pub cancelled: bool,
}

/// A code of a batch.
#[derive(Clone, Debug, Serialize)]
pub struct BatchCode {
    pub number: u64,
    pub code: String,
    pub state: VoucherState,
    pub uses: i64,
}

impl From<&Batch> for BatchView {
    fn from(batch: &Batch) -> Self {
        Self {
            id: batch.key(),
            voucher: batch.voucher.clone(),
            name: batch.name.clone(),
            kind: batch.kind,
            codes: batch.codes,
            length: batch.length,
            created_at: batch.created_at,
            expires_at: batch.expires_at,
            cancelled: batch.cancelled,
        }
    }
}

/// A batch of a program, by the name it has outside; `None` where there is none.
pub fn batch(context: &Context, program: &ProgramHandle, key: &str) -> Result<Option<Batch>, StoreError> {
    let Some(id) = Batch::id_of(key) else { return Ok(None) };
    let rows = context
        .database
        .read(|reader| reader.fetch_by_keys(&tables::VOUCHER_BATCH, &[own_key(program.number, &id)]))?;
    rows.first().map(|row| Batch::read(row)).transpose()
}

/// The batches of a voucher, newest first. There are few: a campaign has one or two.
pub fn batches(
    context: &Context,
    program: &ProgramHandle,
    (voucher, page): (&Id, &PageRequest),
) -> Result<Page<BatchView>, StoreError> {
    let columns: Vec<&str> = tables::VOUCHER_BATCH.columns.iter().map(|column| column.name).collect();
    let from: i64 = page.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(0);
    let sql = format!(
        "SELECT {} FROM voucher_batch WHERE program = $1 AND voucher = $2 ORDER BY created_at DESC, batch \
         LIMIT {} OFFSET {from}",
        columns.join(", "),
        page.limit + 1
    );
    let rows = context.database.read(|reader| reader.query(&sql, &[program.number.into(), voucher.as_str().into()]))?;
    let read = rows.iter().take(page.limit).map(|row| Batch::read(row).map(|batch| BatchView::from(&batch)));
    let items: Vec<BatchView> = read.collect::<Result<_, _>>()?;
    let place = from + i64::try_from(items.len()).unwrap_or_default();
    Ok(Page { next: (rows.len() > page.limit).then(|| place.to_string()), items })
}

/// Codes of a batch in the order of their numbers; with `state` only those.
pub fn batch_codes(
    context: &Context,
    program: &ProgramHandle,
    (batch, page, state): (&Batch, &PageRequest, Option<VoucherState>),
) -> Result<Page<BatchCode>, StoreError> {
    let mut from: u64 = page.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(0) + 1;
    let now = context.clock.now();
    let mut items: Vec<BatchCode> = Vec::new();
    context.database.read(|reader| {
        while from <= batch.codes {
            let numbers = from..(from + CHUNK).min(batch.codes + 1);
            from = numbers.end;
            for Kept { number, code, key, row } in rows_of(reader, context, program.number, (batch, numbers))? {
                let record = KnownCode::read(row)?.record(code, &key)?;
                let view = BatchCode {
                    number,
                    code: as_shown(&record.code).into(),
                    state: VoucherState::of(&record, now),
                    uses: record.uses,
                };
                if state.is_some_and(|wanted| wanted != view.state) {
                    continue;
                }
                if items.len() == page.limit {
                    let next = items.last().map(|last| last.number.to_string());
                    return Ok(Page { items: std::mem::take(&mut items), next });
                }
                items.push(view);
            }
        }
        Ok(Page { items: std::mem::take(&mut items), next: None })
    })
}
