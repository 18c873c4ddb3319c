use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::decide::{RedemptionView, Rejected};
use tessera_core::event::Redeem;
use tessera_core::id::{EventId, MemberId};
use tessera_core::member::Frozen;
use tessera_core::program::{Id, ProofKind};
use tessera_core::quantity::Amount;
use tessera_engine::possession::{self, Shown};
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query;
use tessera_engine::redemption::Step;
use tessera_engine::submission::{Answer, Refusal, Submission};
use utoipa::ToSchema;

use super::events::{Told, render};
use super::households::household_id;
use super::members::{named, own_history, subject};
use crate::extract::{
    Body, Caller, IdempotencyKey, JsonBody, PageQuery, ReadMembers, WantedPage, WriteRedemptions, parse,
};
use crate::{AppState, Problem};

/// Points to be spent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRedemption {
    /// A member's id, or `kind:value`; a household's id for what is spent from its pool
    #[schema(example = "phone:+84901234567")]
    member: String,
    /// Who of the household spends
    by: Option<String>,
    /// Of the points; left out for a `reward`, whose price says both
    #[schema(example = "bean")]
    currency: Option<String>,
    /// A reward of the catalogue, in place of `currency`, `points` and `payable`
    reward: Option<String>,
    /// Units to spend; left out, as many as there are and `payable` takes
    #[schema(example = 50)]
    points: Option<i64>,
    /// What is to be paid, in the program's currency: points never pay more
    #[schema(value_type = Option<String>, example = "54500")]
    payable: Option<Amount>,
    /// What pays the rest, for its rounding: `cash`, `card` …
    #[schema(example = "cash")]
    tender: Option<String>,
    #[schema(example = "A-2")]
    order_id: Option<String>,
    /// Spend at once, in place of reserving
    #[serde(default)]
    capture: bool,
    /// What the member showed, where the document's `proof` asks for it
    proof: Option<NewProof>,
}

/// One of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProof {
    /// As the member's card shows it now
    #[schema(example = "287082")]
    card_code: Option<String>,
    /// As it was sent to the member
    #[schema(example = "081804")]
    one_time_code: Option<String>,
}

impl std::fmt::Debug for NewProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewProof(…)")
    }
}

impl NewProof {
    fn read(&self) -> Result<Shown, Problem> {
        let (kind, code) = match (&self.card_code, &self.one_time_code) {
            (Some(code), None) => (ProofKind::CardCode, code),
            (None, Some(code)) => (ProofKind::OneTimeCode, code),
            _ => return Err(Problem::invalid("proof: one of `card_code` and `one_time_code` is expected")),
        };
        if code.len() != 6 || !code.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Problem::invalid("proof: a code has 6 digits"));
        }
        Ok(Shown { kind, code: code.clone() })
    }
}

/// How much of a redemption a step is about.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedemptionPart {
    /// Left out, or without a body: everything
    #[schema(example = 40)]
    points: Option<i64>,
}

/// The longest `order_id` and `tender`, in bytes.
const TEXT_MAX: usize = 400;

impl NewRedemption {
    fn read(&self) -> Result<Redeem, Problem> {
        let name = |name: &str, text: Option<&String>| match text.map(|text| text.parse::<Id>()) {
            Some(Err(_)) => Err(Problem::invalid(format!("{name}: a name of the program's document is expected"))),
            Some(Ok(id)) => Ok(Some(id)),
            None => Ok(None),
        };
        let (currency, reward) = (name("currency", self.currency.as_ref())?, name("reward", self.reward.as_ref())?);
        let pays = self.points.is_some() || self.payable.is_some();
        if reward.is_some() && (currency.is_some() || pays) {
            let detail = "reward: its price says currency and points; leave `currency`, `points` and `payable` out";
            return Err(Problem::invalid(detail));
        }
        if reward.is_none() && currency.is_none() {
            return Err(Problem::invalid("currency: say which, or name a `reward`"));
        }
        if reward.is_none() && !pays {
            return Err(Problem::invalid("points: say how many, or what is to be paid as `payable`"));
        }
        if self.payable.is_some_and(Amount::is_negative) {
            return Err(Problem::invalid("payable: an amount of 0 or more is expected"));
        }
        for (name, text) in [("tender", &self.tender), ("order_id", &self.order_id)] {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > TEXT_MAX) {
                return Err(Problem::invalid(format!("{name}: 1 to {TEXT_MAX} bytes are expected")));
            }
        }
        Ok(Redeem {
            reward,
            currency: currency.unwrap_or_default(),
            points: self.points,
            payable: self.payable,
            tender: self.tender.as_deref().map(Into::into),
            order_id: self.order_id.as_deref().map(Into::into),
            capture: self.capture,
            proven: None,
            by: None,
        })
    }
}

/// Who of a household spends from its pool.
async fn spender(
    app: &AppState,
    program: &Arc<ProgramHandle>,
    body: &NewRedemption,
) -> Result<Option<MemberId>, Problem> {
    let Some(by) = &body.by else { return Ok(None) };
    let id = named(app, program, by).await?;
    let (context, program) = (app.context.clone(), program.clone());
    let found = app.blocking(move || Ok(query::member(&context, &program, id)?)).await?;
    // The pool does not know who of its people is frozen.
    if let Some(Frozen { since, quarantined }) = found.and_then(|member| member.frozen) {
        return Err(Problem::from(Refusal::from(Rejected::MemberFrozen { since, quarantined })));
    }
    Ok(Some(id))
}

/// Reserves points, or with `capture` spends them at once.
///
/// Needs `redemptions:write`.
///
/// A reservation keeps points out of reach for everything else until it is captured or voided, or ends by itself
/// (`redemption.ends_at`; the document's `spend.reserve`). The lots that expire soonest pay first; `effects` has one for
/// each. To give the points back when the order comes back, its `payments` name the redemption's id.
///
/// What a household's pool buys and is a member's own (a voucher, a benefit, so many for each, a condition) is answered
/// `reserved` with `given.member.state` `asked`, also with `capture`: who spends is asked, and a moment later it is `captured`,
/// or `voided` with the `reason`.
#[utoipa::path(post, path = "/v1/programs/{program}/redemptions", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header, description = "Yours, new for each redemption")),
    request_body = NewRedemption,
    responses((status = 201, description = "The outcome, with the redemption", body = Object,
        example = json!({ "event_id": "evt_…_3", "status": "applied", "member": "mem_…", "program_version": 1,
            "effects": [{ "type": "reserved", "currency": "bean", "amount": 50, "expires_on": "2027-11-30", "redemption": "evt_…_3", "until": "2026-11-20T02:45:00Z" }],
            "balances": { "bean": { "available": 20, "pending": 0, "held": 50, "debt": 0 } }, "tiers": { "cup": "paper" },
            "redemption": { "id": "evt_…_3", "status": "reserved", "currency": "bean", "points": 50, "captured": 0, "returned": 0,
                "at": "2026-11-20T02:30:00Z", "ends_at": "2026-11-20T02:45:00Z", "order_id": "A-2",
                "bill": { "payable": "54500", "covered": "5000", "remainder": "49500", "tender": "cash", "asked": "49500" },
                "lots": [{ "amount": 50, "last_day": "2027-11-30", "funder": null, "words": "first: what expires soonest, on 2027-11-30" }] } })),
        (status = 404, description = "Nobody is known under this name", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "More than can be spent", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not in the document's steps, below its least, or more than is to be paid", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_redemption(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewRedemption>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let (member, mut redeem) = (subject(&body.member)?, body.read()?);
    redeem.by = spender(&app, &caller.program, &body).await?;
    if let Some(proof) = &body.proof {
        let shown = proof.read()?;
        redeem.proven = Some(shown.kind);
        // Who spends from a pool shows that they are there.
        let id = match redeem.by {
            Some(by) => by,
            None => named(&app, &caller.program, &body.member).await?,
        };
        let (context, executor, program) = (app.context.clone(), app.executor.clone(), caller.program.clone());
        let made_by = key.clone();
        let looked = app.blocking(move || {
            // A code is good once, and its redemption may be sent again (I1).
            if possession::is_made(&context, &program, &made_by)? {
                return Ok(Ok(()));
            }
            Ok(possession::check(&context, &executor, &program, id, shown)?)
        });
        looked.await?.map_err(Problem::from)?;
    }
    if redeem.by.is_some() && redeem.reward.is_some() {
        let (context, program, wanted, made_by) =
            (app.context.clone(), caller.program.clone(), redeem.clone(), key.clone());
        let looked = app.blocking(move || {
            // Sent again, it counts already (I1).
            if possession::is_made(&context, &program, &made_by)? {
                return Ok(Ok(()));
            }
            Ok(query::may_ask_for(&context, &program, &wanted)?)
        });
        looked.await?.map_err(Problem::from)?;
    }
    let now = app.context.clock.now();
    let submission = Submission::redeem(&app.context.secrets, &caller.program, member, redeem, &key, now);
    let answer = app.submit(caller.sends(submission)).await?;
    let (_, headers, told) = render(with_code(&app, &caller.program, answer).await?, false)?;
    Ok((StatusCode::CREATED, headers, told))
}

/// Says what a redemption would be, with nothing written: which lots pay, what is left to pay, and what a slider may
/// offer.
///
/// Needs `redemptions:write`.
///
/// Without `points` it answers with as many as there are and `payable` takes, which may be 0.
#[utoipa::path(post, path = "/v1/programs/{program}/redemptions/quote", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup")),
    request_body = NewRedemption,
    responses((status = 200, body = Object,
        example = json!({ "currency": "bean", "points": 50,
            "lots": [{ "amount": 50, "last_day": "2027-11-30", "funder": null, "words": "first: what expires soonest, on 2027-11-30" }],
            "bill": { "payable": "54500", "covered": "5000", "remainder": "49500", "tender": "cash", "asked": "49500" },
            "choices": { "min": 50, "max": 70, "step": 10 },
            "balance": { "available": 70, "pending": 0, "held": 0, "debt": 0 } })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_redemption_quote(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    JsonBody(body): JsonBody<NewRedemption>,
) -> Result<Json<Value>, Problem> {
    let mut redeem = body.read()?;
    redeem.by = spender(&app, &caller.program, &body).await?;
    let member = match redeem.by {
        Some(_) => household_id(&body.member)?,
        None => named(&app, &caller.program, &body.member).await?,
    };
    let context = app.context.clone();
    let quote = app.read(move || {
        if let Err(refusal) = query::may_ask_for(&context, &caller.program, &redeem)? {
            return Ok(Some(Err(refusal)));
        }
        Ok(query::quote_redemption(&context, &caller.program, member, &redeem)?)
    });
    Ok(Json(json!(quote.await?.ok_or_else(Problem::unknown_member)??)))
}

/// A redemption as it is now.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/redemptions/{redemption}", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("redemption" = String, Path, example = "evt_…_3")),
    responses((status = 200, description = "The redemption; `status` is `reserved`, `captured`, `voided` or `ended`", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_redemption(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, redemption)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let (context, id) = (app.context.clone(), id(&redemption)?);
    let found = app.read(move || Ok(query::redemption(&context, &caller.program, id)?)).await?;
    Ok(Json(json!(found.ok_or_else(unknown)?)))
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-redemption", "there is no such redemption in this program")
}

fn id(text: &str) -> Result<EventId, Problem> {
    text.parse().map_err(|_| unknown())
}

/// A body that may be left out.
fn part(bytes: &[u8]) -> Result<RedemptionPart, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) { Ok(RedemptionPart::default()) } else { parse(bytes) }
}

async fn step(
    app: &AppState,
    caller: Caller<WriteRedemptions>,
    redemption: &str,
    step: Step,
    key: &str,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let now = app.context.clock.now();
    let id = id(redemption)?;
    let submission = Submission::redemption_step(&app.context.secrets, &caller.program, id, step, key, now);
    let answer = app.submit(submission).await?;
    render(with_code(app, &caller.program, answer).await?, false)
}

/// A partner's code is in no event: it is opened for the answer, the first and every later one alike.
async fn with_code(app: &AppState, program: &Arc<ProgramHandle>, answer: Answer) -> Result<Answer, Problem> {
    let Answer::Done { mut outcome, trace } = answer else { return Ok(answer) };
    if let Some(redemption) = outcome.redemption.take() {
        let (context, program) = (app.context.clone(), program.clone());
        let opened = move || {
            let code = query::code_of(&context, &program, &redemption)?;
            Ok(RedemptionView { code, ..redemption })
        };
        outcome.redemption = Some(app.blocking(opened).await?);
    }
    Ok(Answer::Done { outcome, trace })
}

/// Spends what was reserved, or so many points of it; the rest is released.
///
/// Needs `redemptions:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/redemptions/{redemption}/capture", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("redemption" = String, Path, example = "evt_…_3"), ("Idempotency-Key" = String, Header)),
    request_body(content = Option<RedemptionPart>),
    responses((status = 200, description = "The outcome, with the redemption", body = Object),
        (status = 409, description = "The reservation has ended, or is captured or voided", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_capture(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, redemption)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let points = part(&bytes)?.points;
    step(&app, caller, &redemption, Step::Capture { points }, &key).await
}

/// Releases what was reserved.
///
/// Needs `redemptions:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/redemptions/{redemption}/void", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("redemption" = String, Path, example = "evt_…_3"), ("Idempotency-Key" = String, Header)),
    responses((status = 200, description = "The outcome, with the redemption", body = Object),
        (status = 409, description = "The reservation has ended, or is captured or voided", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_void(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, redemption)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    step(&app, caller, &redemption, Step::Void, &key).await
}

/// Cancels a redemption, or so many points of it: they go back to the lots they came from, with their own expiry.
///
/// Needs `redemptions:write`.
///
/// An order that was paid with points needs no such call: its `return` gives them back.
#[utoipa::path(post, path = "/v1/programs/{program}/redemptions/{redemption}/return", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("redemption" = String, Path, example = "evt_…_3"), ("Idempotency-Key" = String, Header)),
    request_body(content = Option<RedemptionPart>),
    responses((status = 200, description = "The outcome, with the redemption", body = Object),
        (status = 409, description = "Nothing of it was spent", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "More than was spent and has not come back", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_redemption_return(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, redemption)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let points = part(&bytes)?.points;
    step(&app, caller, &redemption, Step::Return { points }, &key).await
}

/// What a member redeemed, newest first.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/redemptions", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_redemptions(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let id = own_history(&app, &caller.program, &member).await?;
    let context = app.context.clone();
    app.blocking(move || Ok(Json(json!(query::redemptions(&context, &caller.program, id, &page)?)))).await
}
