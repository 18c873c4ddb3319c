//! Batches of codes: made by the hundred thousand as a stream, shared, taken in, listed, made void.

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::code::LENGTH;
use tessera_core::program::Id;
use tessera_core::time::Day;
use tessera_engine::query::{self, BatchView};
use tessera_engine::voucher::{
    Batch, BatchError, BatchKind, CHUNK, CODES_MAX, LINE_MAX, LineProblem, NewBatch, TOLD_MAX, cancel_batch,
    cancel_code, chunks, finish_import, import_chunk, make_chunk, open_batch,
};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::members::{OfState, language};
use super::vouchers::code_of;
use crate::extract::{
    Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, ReadMembers, WantedPage, WriteRedemptions, line_too_large,
    stream_too_large,
};
use crate::{AppState, Problem, STREAM_MAX};

/// Codes that are wanted: so many of their own, or one that many share.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCodes {
    /// How many, at most 1,000,000
    #[schema(example = 100_000)]
    count: Option<u64>,
    /// Characters of a code, the check character included; left out, 16. Fewer for vouchers that are claimed
    #[schema(example = 10)]
    length: Option<usize>,
    /// For people
    #[schema(example = "bottle caps, autumn")]
    name: Option<String>,
    /// The last day of every code; left out, as the document says
    #[schema(value_type = Option<String>, example = "2026-12-31")]
    expires_on: Option<Day>,
    /// One code that many use, in place of `count`
    #[schema(example = "TET2026")]
    code: Option<String>,
    /// How often the shared code may be used in all; left out, as often as members like
    #[schema(example = 5_000)]
    total: Option<u64>,
}

impl NewCodes {
    fn read(&self, voucher: Id) -> Result<NewBatch, Problem> {
        let shared = self.code.as_deref().map(code_of).transpose()?;
        let misplaced = match (&shared, self.count) {
            (Some(_), Some(_)) => Some("count: a shared code is one; say how often it may be used as `total`"),
            (None, None) => Some("count: say how many codes, or the one that is shared as `code`"),
            (Some(_), None) if self.length.is_some() => Some("length: a shared code is as long as it is"),
            (Some(_), None) if self.total == Some(0) => Some("total: a number above 0 is expected"),
            (None, Some(_)) if self.total.is_some() => Some("total: only a shared code has one"),
            _ => None,
        };
        if let Some(detail) = misplaced {
            return Err(Problem::invalid(detail));
        }
        Ok(NewBatch {
            voucher,
            kind: if shared.is_some() { BatchKind::Shared } else { BatchKind::Made },
            name: self.name.clone().unwrap_or_default(),
            count: self.count.or(self.total).unwrap_or(0),
            length: self.length.unwrap_or(LENGTH),
            expires_on: self.expires_on,
            code: shared,
        })
    }
}

fn voucher_name(text: &str) -> Result<Id, Problem> {
    text.parse().map_err(|_| {
        Problem::new(StatusCode::NOT_FOUND, "unknown-voucher-name", "the document has no voucher of this name")
    })
}

async fn open(app: &AppState, caller: &Caller<WriteRedemptions>, new: NewBatch, key: String) -> Result<Batch, Problem> {
    let (context, executor, program) = (app.context.clone(), app.executor.clone(), caller.program.clone());
    app.blocking(move || Ok(open_batch(&context, &executor, &program, (&new, &key))?)).await
}

/// Makes codes and streams them, or makes one that many share.
///
/// Needs `redemptions:write`.
///
/// The answer is NDJSON, a line for each code with its `number` in the batch, and the batch itself on the first line;
/// with `Accept: text/csv` it is a CSV file. The same call under the same `Idempotency-Key` gives the same codes: send it
/// again where a stream broke off. Codes of fewer than 16 characters are for vouchers that are claimed, and at most as
/// many are made that one guess in a million hits a valid one.
#[utoipa::path(post, path = "/v1/programs/{program}/vouchers/{voucher}/codes", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("voucher" = String, Path, description = "A voucher of the document", example = "bottle-cap"), ("Idempotency-Key" = String, Header, description = "Yours, new for each batch")),
    request_body = NewCodes,
    responses((status = 200, description = "The batch, then its codes", content((String = "application/x-ndjson"), (String = "text/csv"))),
        (status = 404, description = "The document has no such voucher", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The shared code is there already, or the key was used for another batch", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Too easy to guess; `detail` has the arithmetic", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_voucher_codes(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, voucher)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    JsonBody(body): JsonBody<NewCodes>,
) -> Result<Response, Problem> {
    let new = body.read(voucher_name(&voucher)?)?;
    let shared = new.code.clone();
    let batch = open(&app, &caller, new, key).await?;
    let csv =
        headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|kind| kind == "text/csv");
    let (ahead, lines) = mpsc::channel::<Bytes>(4);
    tokio::task::spawn_blocking(move || {
        let first = if csv { "number,code\n".to_owned() } else { format!("{}\n", json!(BatchView::from(&batch))) };
        let line = |number: u64, code: &str| match csv {
            true => format!("{number},{code}\n"),
            false => format!("{}\n", json!({ "number": number, "code": code })),
        };
        if ahead.blocking_send(first.into()).is_err() {
            return;
        }
        if let Some(code) = shared {
            // Nobody listens any more when this fails.
            let _ = ahead.blocking_send(line(1, &code).into());
            return;
        }
        for numbers in chunks(batch.codes) {
            let from = numbers.start;
            let made = make_chunk(&app.context, &app.executor, &caller.program, (&batch, numbers));
            let text: String = match made {
                Ok(codes) => (from..).zip(codes).map(|(number, code)| line(number, &code)).collect(),
                Err(error) => {
                    let problem = match error {
                        BatchError::Refused(refusal) => refusal.into(),
                        BatchError::Store(error) => {
                            tracing::error!(%error, "a batch of codes broke off");
                            Problem::unavailable()
                        }
                    };
                    let broken = json!({ "problem": problem });
                    // What is there stays; the same call goes on.
                    let _ = ahead.blocking_send(format!("{broken}\n").into());
                    return;
                }
            };
            if ahead.blocking_send(text.into()).is_err() {
                return;
            }
        }
    });
    let stream = futures_util::stream::unfold(lines, |mut lines| async move {
        let next = lines.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(next), lines))
    });
    let kind = if csv { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    Ok(([(header::CONTENT_TYPE, kind)], HttpBody::from_stream(stream)).into_response())
}

/// How an import is called and how long its codes are good.
#[derive(Debug, Default, Deserialize)]
pub struct ImportOptions {
    name: Option<String>,
    expires_on: Option<Day>,
}

/// Takes in codes from elsewhere: one on each line, as text.
///
/// Needs `redemptions:write`.
///
/// The answer names every line that was not taken in, at most 10,000 of them, with why. The same file under the same key
/// may be sent again, also where it broke off: what is there is no duplicate of itself. Until then the batch has the lines
/// that came, which can be listed and made void.
#[utoipa::path(post, path = "/v1/programs/{program}/vouchers/{voucher}/codes/import", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("voucher" = String, Path, example = "bottle-cap"),
        ("name" = Option<String>, Query, description = "For people"), ("expires_on" = Option<String>, Query, description = "The last day of every code", example = "2026-12-31"),
        ("Idempotency-Key" = String, Header, description = "Yours, new for each file")),
    request_body(content = String, content_type = "text/plain", description = "A code a line, at most 64 MiB"),
    responses((status = 200, description = "What was taken in, and what was not", body = Object,
        example = json!({ "batch": "vb_…", "lines": 3, "imported": 2, "problems": [{ "line": 3, "code": "SUMMER1", "detail": "a duplicate of line 1" }] })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_voucher_import(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, voucher)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Parameters(options): Parameters<ImportOptions>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let new = NewBatch {
        voucher: voucher_name(&voucher)?,
        kind: BatchKind::Imported,
        name: options.name.unwrap_or_default(),
        count: 0,
        length: 0,
        expires_on: options.expires_on,
        code: None,
    };
    let batch = open(&app, &caller, new, key).await?;
    let mut import = Import {
        app: &app,
        caller: &caller,
        batch: &batch,
        line: 0,
        waiting: Vec::new(),
        taken: 0,
        wrong: 0,
        told: Vec::new(),
    };
    let ended = import.read(request).await;
    // However it ended, what came before is in.
    import.flush().await?;
    ended?;
    let (lines, taken, wrong, problems) = (import.line, import.taken, import.wrong, import.told);
    let (executor, program, of) = (app.executor.clone(), caller.program.clone(), batch.clone());
    app.blocking(move || Ok(finish_import(&executor, &program, (&of, lines))?)).await?;
    let imported = taken - wrong;
    Ok(Json(json!({ "batch": batch.key(), "lines": lines, "imported": imported, "problems": problems })))
}

/// A file of codes on its way in, a chunk at a time.
struct Import<'a> {
    app: &'a AppState,
    caller: &'a Caller<WriteRedemptions>,
    batch: &'a Batch,
    line: u64,
    waiting: Vec<(u64, String)>,
    /// Lines with a code.
    taken: u64,
    /// Of these, those that were not taken in, and what is told of them.
    wrong: u64,
    told: Vec<LineProblem>,
}

impl Import<'_> {
    async fn read(&mut self, request: Request) -> Result<(), Problem> {
        let mut body = request.into_body().into_data_stream();
        let (mut held, mut read) = (BytesMut::new(), 0_usize);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| Problem::invalid("the stream broke off"))?;
            read += chunk.len();
            if read > STREAM_MAX {
                return Err(stream_too_large());
            }
            held.extend_from_slice(&chunk);
            while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let line = held.split_to(end + 1);
                // With its end.
                if line.len() > LINE_MAX + 1 {
                    return Err(line_too_large(LINE_MAX));
                }
                self.line(&line).await?;
            }
            if held.len() > LINE_MAX {
                return Err(line_too_large(LINE_MAX));
            }
        }
        self.line(&held).await
    }

    async fn line(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.line == CODES_MAX {
            let detail = format!("a file has at most {CODES_MAX} lines; those before this one are in");
            return Err(Problem::invalid(detail));
        }
        self.line += 1;
        let text = String::from_utf8_lossy(bytes).trim().to_owned();
        if !text.is_empty() {
            self.taken += 1;
            self.waiting.push((self.line, text));
        }
        if self.waiting.len() as u64 >= CHUNK { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        let lines = std::mem::take(&mut self.waiting);
        if lines.is_empty() {
            return Ok(());
        }
        let (context, executor) = (self.app.context.clone(), self.app.executor.clone());
        let (program, batch) = (self.caller.program.clone(), self.batch.clone());
        let import = move || Ok(import_chunk(&context, &executor, &program, (&batch, lines))?);
        let problems = self.app.blocking(import).await?;
        self.wrong += problems.len() as u64;
        let room = TOLD_MAX.saturating_sub(self.told.len());
        self.told.extend(problems.into_iter().take(room));
        Ok(())
    }
}

/// The batches of a voucher, newest first.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/vouchers/{voucher}/batches", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path), ("voucher" = String, Path, example = "bottle-cap"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_voucher_batches(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, voucher)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let (context, voucher) = (app.context.clone(), voucher_name(&voucher)?);
    app.blocking(move || Ok(Json(json!(query::batches(&context, &caller.program, (&voucher, &page))?)))).await
}

async fn batch_named(
    app: &AppState,
    program: &std::sync::Arc<tessera_engine::programs::ProgramHandle>,
    key: &str,
) -> Result<Batch, Problem> {
    let (context, program, key) = (app.context.clone(), program.clone(), key.to_owned());
    let found = app.blocking(move || Ok(query::batch(&context, &program, &key)?)).await?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown-batch", "there is no such batch in this program");
    found.ok_or_else(unknown)
}

/// The codes of a batch in the order of their numbers, each `open`, `used`, `expired` or `cancelled`.
///
/// Needs `redemptions:write`: whoever has a code may use it.
#[utoipa::path(get, path = "/v1/programs/{program}/voucher-batches/{batch}/codes", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path), ("batch" = String, Path, example = "vb_…"), PageQuery, ("state" = Option<String>, Query, description = "Only these", example = "used")),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_voucher_codes(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, batch)): Path<(String, String)>,
    Parameters(wanted): Parameters<OfState>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let (batch, state) = (batch_named(&app, &caller.program, &batch).await?, wanted.read()?);
    let context = app.context.clone();
    app.blocking(move || Ok(Json(json!(query::batch_codes(&context, &caller.program, (&batch, &page, state))?)))).await
}

/// Makes a code void: nobody can use it any more.
///
/// Needs `redemptions:write`. One that is void stays so; one that is used up is refused.
#[utoipa::path(post, path = "/v1/programs/{program}/vouchers/{code}/void", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path), ("code" = String, Path, example = "CDFG-2345-HJKM-67NP"), ("Accept-Language" = Option<String>, Header, example = "vi")),
    responses((status = 200, description = "The code", body = Object),
        (status = 409, description = "Used up", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_voucher_void(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, code)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let (code, language) = (code_of(&code)?, language(&headers));
    let (context, executor) = (app.context.clone(), app.executor.clone());
    let found = app
        .blocking(move || {
            cancel_code(&context, &executor, &caller.program, &code)?;
            Ok(query::code(&context, &caller.program, &code, &language)?)
        })
        .await?;
    Ok(Json(json!(found)))
}

/// Makes every code of a batch void that is not used up.
///
/// Needs `redemptions:write`. May be sent again where it broke off.
#[utoipa::path(post, path = "/v1/programs/{program}/voucher-batches/{batch}/void", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path), ("batch" = String, Path, example = "vb_…")),
    responses((status = 200, description = "The batch, and how many codes were made void by this call", body = Object,
        example = json!({ "batch": "vb_…", "cancelled": 812 })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_voucher_batch_void(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, batch)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let batch = batch_named(&app, &caller.program, &batch).await?;
    let (context, executor) = (app.context.clone(), app.executor.clone());
    let key = batch.key();
    let cancel = move || Ok(cancel_batch(&context, &executor, &caller.program, &batch, &mut |_| {})?);
    let cancelled = app.blocking(cancel).await?;
    Ok(Json(json!({ "batch": key, "cancelled": cancelled })))
}
