use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tessera_core::voucher::{Normal, is_mistyped, normalise};
use tessera_engine::identifier::Subject;
use tessera_engine::query;
use tessera_engine::submission::{Refusal, Submission};
use tessera_engine::voucher::cart;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::{language, named, subject};
use crate::extract::{Body, Caller, IdempotencyKey, ReadMembers, WriteRedemptions, parse};
use crate::guessing::Guesser;
use crate::{AppState, Problem};

/// Who uses a code, and on what.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoucherUse {
    /// A member's id, or `kind:value`
    #[schema(example = "phone:+84901234567")]
    member: Option<String>,
    /// The order it is used on
    #[schema(example = "A-2")]
    order_id: Option<String>,
    /// What is bought, as the `data` of a purchase
    #[schema(value_type = Option<Object>)]
    order: Option<Box<RawValue>>,
}

/// The longest `order_id`, in bytes.
const TEXT_MAX: usize = 400;

pub(super) fn code_of(text: &str) -> Result<Normal, Problem> {
    normalise(text).map_err(|error| Problem::invalid(format!("code: {error}")))
}

fn unknown(code: &str) -> Problem {
    let (kind, detail) = match is_mistyped(code) {
        true => ("voucher-mistyped", "the code is mistyped: its last character does not fit the others"),
        false => ("unknown-voucher", "there is no such code in this program"),
    };
    let status = if kind == "unknown-voucher" { StatusCode::NOT_FOUND } else { StatusCode::UNPROCESSABLE_ENTITY };
    Problem::new(status, kind, detail).with("code", code)
}

/// A code that is not there, which counts.
fn wrong(app: &AppState, guesser: Guesser, code: &str) -> Problem {
    let kind = if is_mistyped(code) { "voucher-mistyped" } else { "unknown-voucher" };
    app.guesses.note(guesser, &Refusal::new(kind, ""), app.context.clock.now());
    unknown(code)
}

fn body(bytes: &[u8]) -> Result<VoucherUse, Problem> {
    let read: VoucherUse =
        if bytes.iter().all(u8::is_ascii_whitespace) { VoucherUse::default() } else { parse(bytes)? };
    if read.order_id.as_ref().is_some_and(|order_id| order_id.is_empty() || order_id.len() > TEXT_MAX) {
        return Err(Problem::invalid(format!("order_id: 1 to {TEXT_MAX} bytes are expected")));
    }
    Ok(read)
}

/// Says what a code would give, with nothing written: what it takes off, line by line, or what a claim gives.
///
/// Needs `redemptions:write`.
///
/// What a redemption would be refused for is the answer here too. Other vouchers that are used on the same order stand
/// in `order.vouchers`.
#[utoipa::path(post, path = "/v1/programs/{program}/vouchers/{code}/validate", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("code" = String, Path, example = "CDFG-2345-HJKM-67NP"), ("Accept-Language" = Option<String>, Header, example = "vi")),
    request_body(content = Option<VoucherUse>),
    responses((status = 200, description = "The code may be used", body = Object,
        example = json!({ "code": "CDFG-2345-HJKM-67NP", "voucher": "free-coffee", "name": "One coffee free", "text": null, "state": "open",
            "expires_at": "2026-12-19T17:00:00Z", "expires_on": "2026-12-19", "uses": 0, "uses_left": 1,
            "discount": { "code": "CDFG-2345-HJKM-67NP", "voucher": "free-coffee", "total": "49000", "lines": [{ "line": "1", "amount": "49000" }], "shipping": "0" } })),
        (status = 404, description = "No such code, or nobody known", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Used up or cancelled", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not for this order, member or time", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_voucher_validation(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, code)): Path<(String, String)>,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Json<Value>, Problem> {
    let (code, wish, language) = (code_of(&code)?, body(&bytes)?, language(&headers));
    let member = match &wish.member {
        Some(text) => Some(named(&app, &caller.program, text).await?),
        None => None,
    };
    let now = app.context.clock.now();
    let order = wish.order.map(|order| cart(&caller.program, order.get(), now)).transpose()?;
    let context = app.context.clone();
    app.guesses.check(caller.guesser, now)?;
    let found =
        app.read(move || Ok(query::validate(&context, &caller.program, (&code, member, order), &language)?)).await?;
    if let Err(refusal) = &found {
        app.guesses.note(caller.guesser, refusal, now);
    }
    Ok(Json(json!(found?)))
}

/// A code as it is now: `state` is `open`, `used`, `expired` or `cancelled`.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/vouchers/{code}", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("code" = String, Path, example = "CDFG-2345-HJKM-67NP"), ("Accept-Language" = Option<String>, Header, example = "vi")),
    responses((status = 200, description = "The code", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_voucher(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, code)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let (code, language) = (code_of(&code)?, language(&headers));
    let (context, asked, now) = (app.context.clone(), code.clone(), app.context.clock.now());
    app.guesses.check(caller.guesser, now)?;
    let guesser = caller.guesser;
    let found = app.read(move || Ok(query::code(&context, &caller.program, &asked, &language)?)).await?;
    Ok(Json(json!(found.ok_or_else(|| wrong(&app, guesser, &code))?)))
}

/// Uses a code by itself: claims what it gives, or marks it as used on an order that is sent later or not at all.
///
/// Needs `redemptions:write`.
///
/// A till that sends its sales as events does not need this: a `purchase` names its codes in `vouchers`, and they are
/// used in the same transaction.
#[utoipa::path(post, path = "/v1/programs/{program}/vouchers/{code}/redeem", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("code" = String, Path, example = "CDFG-2345-HJKM-67NP"), ("Idempotency-Key" = String, Header, description = "Yours, new for each use")),
    request_body = VoucherUse,
    responses((status = 200, description = "The outcome", body = Object,
        example = json!({ "event_id": "evt_…_3", "status": "applied", "member": "mem_…", "program_version": 1,
            "effects": [{ "type": "voucher_redeemed", "voucher": "bottle-cap", "code": "CDFG-2345-HJ" }, { "type": "accrual", "currency": "bean", "amount": 25, "voucher": "bottle-cap" }],
            "balances": { "bean": { "available": 25, "pending": 0, "held": 0, "debt": 0 } }, "tiers": { "cup": "paper" } })),
        (status = 404, description = "No such code, or nobody known", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Used up or cancelled", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not for this order, member or time", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_voucher_redemption(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, code)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let (code, wish) = (code_of(&code)?, body(&bytes)?);
    let member = subject(wish.member.as_deref().ok_or_else(|| Problem::invalid("member: say who uses it"))?)?;
    let now = app.context.clock.now();
    let secrets = &app.context.secrets;
    let what = (code, wish.order_id.map(Into::into), wish.order.as_deref());
    let submission = Submission::redeem_voucher(secrets, &caller.program, member, what, &key, now)?;
    let watched = app.watch(Some(caller.guesser), &submission)?;
    let answer = app.submit(caller.sends(submission)).await?;
    watched(&answer);
    render(answer, false)
}

/// Takes a use of a code back whose order was cancelled: it can be used again, if it has not expired.
///
/// Needs `redemptions:write`.
///
/// An order that was sent as an event has to be returned first, all of it. Of a code that many share, `member` says
/// whose use is meant; `order_id` says which, left out the last.
#[utoipa::path(post, path = "/v1/programs/{program}/vouchers/{code}/rollback", tag = "vouchers", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("code" = String, Path, example = "CDFG-2345-HJKM-67NP"), ("Idempotency-Key" = String, Header)),
    request_body(content = Option<VoucherUse>),
    responses((status = 200, description = "The outcome", body = Object),
        (status = 409, description = "Its order stands, or it has no open use", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_voucher_rollback(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, code)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let (code, wish) = (code_of(&code)?, body(&bytes)?);
    if wish.order.is_some() {
        return Err(Problem::invalid("order: say only `order_id`"));
    }
    app.guesses.check(caller.guesser, app.context.clock.now())?;
    let member = match &wish.member {
        Some(text) => subject(text)?,
        None => Subject::Member(user_of(&app, &caller, &code).await?),
    };
    let now = app.context.clock.now();
    let what = (code, wish.order_id.map(Into::into));
    let submission = Submission::rollback_voucher(&app.context.secrets, &caller.program, member, what, &key, now);
    let watched = app.watch(Some(caller.guesser), &submission)?;
    let answer = app.submit(submission).await?;
    watched(&answer);
    render(answer, false)
}

/// Who used a code last.
async fn user_of(
    app: &AppState,
    caller: &Caller<WriteRedemptions>,
    code: &Normal,
) -> Result<tessera_core::id::MemberId, Problem> {
    let (context, program, asked) = (app.context.clone(), caller.program.clone(), code.clone());
    let (there, user) = app
        .blocking(move || {
            let there = query::code(&context, &program, &asked, "en")?.is_some();
            Ok((there, query::last_user(&context, &program, &asked)?))
        })
        .await?;
    if !there {
        return Err(wrong(app, caller.guesser, code));
    }
    user.ok_or_else(|| {
        let detail = "nobody is known to have used this code: say who as `member`, with `order_id`";
        Problem::new(StatusCode::CONFLICT, "voucher-not-used", detail).with("code", code.as_str())
    })
}
