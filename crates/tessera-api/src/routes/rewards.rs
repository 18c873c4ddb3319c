//! The catalogue and what its rewards draw on: codes of partners, causes.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::program::Id;
use tessera_core::time::Day;
use tessera_engine::codes::{self, CODE_MAX, Imported};
use tessera_engine::query::{self, Catalogue, PageRequest, RewardQuery, RewardSort};

use super::members::{language, named};
use crate::extract::{Caller, PageQuery, Parameters, ReadMembers, WriteDocument, stream_too_large, unknown_place};
use crate::{AppState, Problem, STREAM_MAX};

/// Who looks at the catalogue, and for what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looker {
    member: Option<String>,
    gives: Option<String>,
    #[serde(default)]
    affordable: bool,
    #[serde(default)]
    available: bool,
    sort: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

impl Looker {
    fn page(&self) -> Result<PageRequest, Problem> {
        PageQuery { limit: self.limit, after: self.after.clone() }.wanted::<Id>()
    }

    fn sort(&self) -> Result<RewardSort, Problem> {
        let wrong = || Problem::invalid("sort: one of id, name, price, -price is expected");
        self.sort.as_deref().map_or(Ok(RewardSort::default()), |word| RewardSort::parse(word).ok_or_else(wrong))
    }
}

/// The catalogue of rewards. With `member` at the member's prices, with what is missing and why the member cannot have
/// one.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/rewards", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"),
        ("member" = Option<String>, Query, description = "An id, or kind:value", example = "phone:+84901234567"),
        ("gives" = Option<String>, Query, description = "Only what gives this: `item`, `voucher`, `benefit`, `code_pool`, `donation` …"),
        ("affordable" = Option<bool>, Query, description = "Only what the member has the points for"),
        ("available" = Option<bool>, Query, description = "Only what the member can have now"),
        ("sort" = Option<String>, Query, description = "`id`, `name`, `price`, `-price`"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 200", example = 50),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("Accept-Language" = Option<String>, Header, example = "vi")),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "id": "mug", "name": "Copper mug", "text": null, "images": ["https://cdn.example.com/mug.jpg"],
            "currency": "bean", "points": 800, "money": "20000", "gives": { "item": "MUG-01" }, "left": 12, "from": null, "until": null,
            "affordable": false, "missing": 150, "refused": { "code": "not-enough-points", "detail": "800 bean are needed, 650 can be spent",
                "facts": { "currency": "bean", "wanted": 800, "available": 650 } } }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_rewards(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Parameters(looker): Parameters<Looker>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let member = match &looker.member {
        Some(member) => Some(named(&app, &caller.program, member).await?),
        None => None,
    };
    let page = looker.page()?;
    let asked = RewardQuery {
        member,
        language: language(&headers),
        sort: looker.sort()?,
        gives: looker.gives,
        affordable: looker.affordable,
        available: looker.available,
    };
    let context = app.context.clone();
    match app.blocking(move || Ok(query::rewards(&context, &caller.program, &asked, &page)?)).await? {
        Catalogue::Page(page) => Ok(Json(json!(page))),
        Catalogue::UnknownMember => Err(Problem::unknown_member()),
        Catalogue::UnknownPlace => Err(unknown_place()),
    }
}

/// How many codes of partners there are, and where they run low.
///
/// Needs `document:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/code-pools", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "pool": "cinema", "name": "Cinema", "imported": 500, "given": 480, "reserved": 2, "left": 18, "low_at": 50, "low": true }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_code_pools(
    State(app): State<AppState>,
    caller: Caller<crate::extract::ReadDocument>,
    Parameters(page): Parameters<PageQuery>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let (context, language) = (app.context.clone(), language(&headers));
    let pools = app.blocking(move || Ok(codes::pools(&context, &caller.program, &language)?)).await?;
    Ok(Json(page.of(&pools, |_, pool| pool.pool.to_string())?))
}

/// Brings codes of a partner in, one a line, as a stream of at most 64 MiB.
///
/// Needs `document:write`.
///
/// A code that is there already is left out, so a list may be sent again after it broke off. Codes are sealed when they
/// are stored; nobody sees one but whoever asks for the redemption it was given to.
#[utoipa::path(post, path = "/v1/programs/{program}/code-pools/{pool}/codes", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("pool" = String, Path, example = "cinema")),
    request_body(content = String, content_type = "text/plain", example = "K7QM-22XB\nP4ZD-91LW\n"),
    responses((status = 200, description = "How many were new", body = Object, example = json!({ "imported": 2, "known": 0 })),
        (status = 404, description = "The document has no such pool", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_codes(
    State(app): State<AppState>,
    caller: Caller<WriteDocument>,
    Path((_, pool)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let definition = caller.program.versions().at(app.context.clock.now()).clone();
    let known = pool.parse::<Id>().ok().filter(|pool| definition.definition.code_pools.contains_key(pool));
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown-code-pool", "the document has no such code pool");
    let pool = known.ok_or_else(unknown)?;
    let mut body = request.into_body().into_data_stream();
    let (mut held, mut read, mut line, mut told) = (BytesMut::new(), 0_usize, 0_usize, Imported::default());
    let mut waiting = Vec::new();
    loop {
        let chunk = body.next().await.transpose().map_err(|_| Problem::invalid("the stream broke off"))?;
        let is_last = chunk.is_none();
        let chunk = chunk.unwrap_or_default();
        read += chunk.len();
        held.extend_from_slice(&chunk);
        if read > STREAM_MAX {
            return Err(stream_too_large());
        }
        let mut wrong = None;
        while let Some(end) =
            held.iter().position(|byte| *byte == b'\n').or((is_last && !held.is_empty()).then(|| held.len() - 1))
        {
            line += 1;
            match code(&held.split_to(end + 1), line) {
                Ok(code) => waiting.extend(code),
                Err(problem) => {
                    wrong = Some(problem);
                    break;
                }
            }
        }
        if held.len() > CODE_MAX + 2 && wrong.is_none() {
            wrong = Some(wrong_code(line + 1));
        }
        if is_last || wrong.is_some() || waiting.len() >= AHEAD {
            let (codes, context, executor) = (std::mem::take(&mut waiting), app.context.clone(), app.executor.clone());
            let (program, pool) = (caller.program.clone(), pool.clone());
            let import = move || Ok(codes::import(&context, &executor, &program, &pool, codes)?);
            let new = app.blocking(import).await?;
            told = Imported { imported: told.imported + new.imported, known: told.known + new.known };
        }
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        if is_last {
            return Ok(Json(json!(told)));
        }
    }
}

/// Codes held in memory before they are written.
const AHEAD: usize = 2_000;

/// The code of a line; none of an empty one.
fn code(line: &[u8], number: usize) -> Result<Option<String>, Problem> {
    let text = std::str::from_utf8(line).map_err(|_| wrong_code(number))?.trim();
    let is_one = text.len() <= CODE_MAX && !text.chars().any(char::is_control);
    if is_one { Ok((!text.is_empty()).then(|| text.to_owned())) } else { Err(wrong_code(number)) }
}

/// The code itself is not repeated: answers end in logs.
fn wrong_code(line: usize) -> Problem {
    let detail = format!("line {line}: a code of 1 to {CODE_MAX} bytes of text is expected; those before it are in");
    Problem::invalid(detail).with("line", line)
}

/// What every cause was given.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/causes", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "cause": "mangroves", "name": "Mangroves for Cần Giờ", "text": null, "total": "1260000", "currency": "VND", "public": true }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_causes(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Parameters(page): Parameters<PageQuery>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let (context, language) = (app.context.clone(), language(&headers));
    let causes = app.blocking(move || Ok(query::causes(&context, &caller.program, &language)?)).await?;
    Ok(Json(page.of(&causes, |_, cause| cause.cause.clone())?))
}

/// What a cause was given, for everybody, without a key: of causes that the document says are `public`.
#[utoipa::path(get, path = "/v1/programs/{program}/causes/{cause}", tag = "redemptions",
    params(("program" = String, Path, example = "copper-cup"), ("cause" = String, Path, example = "mangroves")),
    responses((status = 200, body = Object,
        example = json!({ "cause": "mangroves", "name": "Mangroves for Cần Giờ", "text": null, "total": "1260000", "currency": "VND", "public": true })),
        (status = 404, description = "There is no such public cause", body = Problem, content_type = "application/problem+json")))]
pub async fn show_cause(
    State(app): State<AppState>,
    Path((program, cause)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    // Whether there is such a program is nobody's business here.
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown-cause", "there is no such public cause");
    let program = match app.program(&program).await {
        Ok(program) => program,
        Err(problem) if problem.status == StatusCode::NOT_FOUND => return Err(unknown()),
        Err(problem) => return Err(problem),
    };
    let (context, language) = (app.context.clone(), language(&headers));
    let causes = app.blocking(move || Ok(query::causes(&context, &program, &language)?)).await?;
    let found = causes.into_iter().find(|known| known.cause == cause && known.public);
    Ok(Json(json!(found.ok_or_else(unknown)?)))
}

/// The months that are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Months {
    from: Option<Day>,
    until: Option<Day>,
    limit: Option<usize>,
    after: Option<String>,
}

/// What is to be paid to each cause, by the month of the program's days.
///
/// Needs `members:read`.
///
/// A month that is over stays what it is: a donation that is taken back later stands in the month it is taken back in.
#[utoipa::path(get, path = "/v1/programs/{program}/donations", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"),
        ("from" = Option<String>, Query, description = "A day of the first month", example = "2026-01-01"),
        ("until" = Option<String>, Query, description = "A day of the last month", example = "2026-03-31"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "cause": "mangroves", "month": "2026-03", "given": "1280000", "taken_back": "20000", "due": "1260000", "currency": "VND" }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_donations(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Parameters(months): Parameters<Months>,
) -> Result<Json<Value>, Problem> {
    let context = app.context.clone();
    let settled = move || Ok(query::settlements(&context, &caller.program, months.from, months.until)?);
    let page = PageQuery { limit: months.limit, after: months.after };
    let settled = app.blocking(settled).await?;
    Ok(Json(page.of(&settled, |_, settled| format!("{}/{}", settled.month, settled.cause))?))
}
