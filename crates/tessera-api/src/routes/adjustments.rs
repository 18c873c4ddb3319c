//! Balances changed by hand (A2): asked for, approved by a second person, rejected, undone.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::id::EventId;
use tessera_core::program::Id;
use tessera_engine::adjustment::{self, AdjustmentError, Asked, By, State as Stage, Wanted};
use tessera_engine::identifier::{IdentifierError, Subject};
use utoipa::ToSchema;

use super::events::{Told, render};
use crate::extract::{
    Body, Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, WantedPage, WriteAdjustments, parse,
};
use crate::{AppState, Problem};

/// A manual change of a balance.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdjustment {
    /// A member's id, or `kind:value`
    #[schema(example = "phone:+84901234567")]
    member: String,
    #[schema(example = "bean")]
    currency: String,
    /// Units given; taken when negative
    #[schema(example = 50)]
    amount: i64,
    /// One of the document's `adjustments.reasons`; where it has none, any text, which the member sees
    #[schema(example = "goodwill")]
    reason: String,
    /// What else is to be known, for colleagues; never in the member's history
    #[schema(example = "latte was cold twice")]
    note: Option<String>,
    /// Who asks, where several people use the key; no name
    #[schema(example = "S-17")]
    staff: Option<String>,
}

/// Who decides, where several people use the key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decider {
    #[schema(example = "S-3")]
    staff: Option<String>,
}

/// The most one adjustment may move.
const AMOUNT_MAX: i64 = 1_000_000_000;
/// The longest reason, in bytes.
const REASON_MAX: usize = 200;
/// The longest note, in bytes: a few sentences.
const NOTE_MAX: usize = 1_000;
/// The longest name of staff, in bytes.
const STAFF_MAX: usize = 100;

/// Gives or takes points by hand.
///
/// Needs `adjustments:write`.
///
/// Where the document has `adjustments`, `reason` is one of its codes, and a key's role moves as much as it allows. What
/// is above waits for a second person and is answered with 202 and the adjustment's id.
#[utoipa::path(post, path = "/v1/programs/{program}/adjustments", tag = "adjustments", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header, description = "Yours, new for each adjustment")),
    request_body = NewAdjustment,
    responses((status = 200, description = "The outcome", body = Object),
        (status = 202, description = "It waits for a second person", body = Object,
            example = json!({ "id": "adj_…", "state": "waiting", "member": "mem_…", "currency": "bean", "amount": 5000, "reason": "goodwill",
                "note": null, "undoes": null, "asked_by": "counter", "role": "agent", "staff": "S-17", "asked_at": "2026-11-20T02:30:00Z",
                "ends_at": "2026-11-27T17:00:00Z", "decided_by": null, "decided_at": null, "event_id": null, "refusal": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_adjustment(
    State(app): State<AppState>,
    caller: Caller<WriteAdjustments>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewAdjustment>,
) -> Result<Response, Problem> {
    let member: Subject =
        body.member.parse().map_err(|error: IdentifierError| Problem::invalid(format!("member: {error}")))?;
    let currency: Id =
        body.currency.parse().map_err(|_| Problem::invalid("currency: the name of a currency is expected"))?;
    if body.amount.unsigned_abs() > AMOUNT_MAX.unsigned_abs() {
        return Err(Problem::invalid(format!("amount: at most {AMOUNT_MAX} at a time")));
    }
    bounded("reason", Some(&body.reason), REASON_MAX)?;
    bounded("note", body.note.as_ref(), NOTE_MAX)?;
    let by = by(&caller, body.staff)?;
    let wanted =
        Wanted { member, currency, amount: body.amount, reason: body.reason, note: body.note, undoes: None, by, key };
    ask(&app, &caller, move || Ok(wanted)).await
}

/// Undoes an adjustment by one that moves as much the other way and names it.
///
/// Needs `adjustments:write`.
///
/// What was taken goes back to the lots it came from; what was given is taken from its own lot first. It happens once,
/// however often it is asked. The limits of the key's role hold for it as for any adjustment.
#[utoipa::path(post, path = "/v1/programs/{program}/adjustments/{adjustment}/undo", tag = "adjustments", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("adjustment" = String, Path, description = "The id of its event", example = "evt_…_3")),
    request_body(content = Option<Decider>),
    responses((status = 200, description = "The outcome", body = Object),
        (status = 202, description = "It waits for a second person", body = Object),
        (status = 404, description = "No adjustment has this event id", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_undo(
    State(app): State<AppState>,
    caller: Caller<WriteAdjustments>,
    Path((_, event)): Path<(String, String)>,
    Body(bytes): Body,
) -> Result<Response, Problem> {
    let event: EventId = event.parse().map_err(|_| unknown())?;
    let by = by(&caller, decider(&bytes)?.staff)?;
    let (context, program) = (app.context.clone(), caller.program.clone());
    let wanted = move || {
        let (first, _) = adjustment::undoing(&context, &program, event).map_err(problem)?;
        Ok(Wanted {
            member: Subject::Member(event.member),
            currency: first.currency,
            amount: -first.amount,
            reason: first.reason.to_string(),
            note: None,
            undoes: Some(event),
            by,
            key: format!("undo:{event}"),
        })
    };
    ask(&app, &caller, wanted).await
}

async fn ask(
    app: &AppState,
    caller: &Caller<WriteAdjustments>,
    wanted: impl FnOnce() -> Result<Wanted, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (context, executor, program) = (app.context.clone(), app.executor.clone(), caller.program.clone());
    let asked = app
        .blocking(move || {
            let wanted = wanted()?;
            adjustment::ask(&context, &executor, &program, wanted).map_err(problem)
        })
        .await?;
    match asked {
        Asked::Decided(answer) => Ok(render(answer, false)?.into_response()),
        Asked::Waiting(view) => Ok((StatusCode::ACCEPTED, Json(json!(view))).into_response()),
    }
}

/// Which adjustments are wanted.
#[derive(Debug, Deserialize)]
pub struct Wish {
    state: Option<String>,
}

/// Adjustments that wait for a second person, or, with `state`, what became of them; newest first.
///
/// Needs `adjustments:write`.
#[utoipa::path(get, path = "/v1/programs/{program}/adjustments", tag = "adjustments", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"),
        ("state" = Option<String>, Query, description = "`waiting` unless set; `approved`, `applied`, `rejected`, `refused` or `expired`", example = "waiting"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_adjustments(
    State(app): State<AppState>,
    caller: Caller<WriteAdjustments>,
    Parameters(wish): Parameters<Wish>,
    WantedPage(page, ..): WantedPage<adjustment::Place>,
) -> Result<Json<Value>, Problem> {
    let stage = wish.state.as_deref().map_or(Some(Stage::Waiting), Stage::parse);
    let stage = stage.ok_or_else(|| {
        Problem::invalid(format!("state: one of {} is expected", Stage::ALL.map(Stage::word).join(", ")))
    })?;
    let context = app.context.clone();
    app.blocking(move || Ok(Json(json!(adjustment::list(&context, &caller.program, stage, &page)?)))).await
}

/// An adjustment that waits or waited, or came with a note.
///
/// Needs `adjustments:write`.
#[utoipa::path(get, path = "/v1/programs/{program}/adjustments/{adjustment}", tag = "adjustments", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("adjustment" = String, Path, example = "adj_…")),
    responses((status = 200, description = "The adjustment", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_adjustment(
    State(app): State<AppState>,
    caller: Caller<WriteAdjustments>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let context = app.context.clone();
    let found = app.blocking(move || Ok(adjustment::show(&context, &caller.program, &id)?)).await?;
    Ok(Json(json!(found.ok_or_else(unknown)?)))
}

/// Agrees to an adjustment that waits, as a second person: another key than the one that asked, and other staff.
///
/// Needs `adjustments:write`.
///
/// It goes through the door then, once; asked again by the same key the answer is the same.
#[utoipa::path(post, path = "/v1/programs/{program}/adjustments/{adjustment}/approve", tag = "adjustments", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("adjustment" = String, Path, example = "adj_…")),
    request_body(content = Option<Decider>),
    responses((status = 200, description = "The outcome", body = Object),
        (status = 403, description = "The same key or staff asked for it, or it is more than the role may approve", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is decided, or nobody decided in time", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_approval(
    State(app): State<AppState>,
    caller: Caller<WriteAdjustments>,
    Path((_, id)): Path<(String, String)>,
    Body(bytes): Body,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let by = by(&caller, decider(&bytes)?.staff)?;
    let (context, executor) = (app.context.clone(), app.executor.clone());
    let approve = move || adjustment::approve(&context, &executor, &caller.program, &id, &by).map_err(problem);
    let (_, answer) = app.blocking(approve).await?;
    render(answer, false)
}

/// Says no to an adjustment that waits. Whoever asked for it may take it back so.
///
/// Needs `adjustments:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/adjustments/{adjustment}/reject", tag = "adjustments", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("adjustment" = String, Path, example = "adj_…")),
    request_body(content = Option<Decider>),
    responses((status = 200, description = "The adjustment", body = Object),
        (status = 409, description = "It is decided, or nobody decided in time", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_rejection(
    State(app): State<AppState>,
    caller: Caller<WriteAdjustments>,
    Path((_, id)): Path<(String, String)>,
    Body(bytes): Body,
) -> Result<Json<Value>, Problem> {
    let by = by(&caller, decider(&bytes)?.staff)?;
    let (context, executor) = (app.context.clone(), app.executor.clone());
    let reject = move || adjustment::reject(&context, &executor, &caller.program, &id, &by).map_err(problem);
    Ok(Json(json!(app.blocking(reject).await?)))
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-adjustment", "there is no such adjustment in this program")
}

fn problem(error: AdjustmentError) -> Problem {
    match error {
        AdjustmentError::Refused(refusal) => refusal.into(),
        AdjustmentError::Store(error) => error.into(),
    }
}

fn bounded(name: &str, text: Option<&String>, most: usize) -> Result<(), Problem> {
    let fits = text.is_none_or(|text| !text.trim().is_empty() && text.len() <= most);
    fits.then_some(()).ok_or_else(|| Problem::invalid(format!("{name}: 1 to {most} bytes are expected")))
}

/// A body that may be left out.
fn decider(bytes: &[u8]) -> Result<Decider, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) { Ok(Decider::default()) } else { parse(bytes) }
}

/// The key that was shown, by its name or, where it has none, its id.
fn by(caller: &Caller<WriteAdjustments>, staff: Option<String>) -> Result<By, Problem> {
    bounded("staff", staff.as_ref(), STAFF_MAX)?;
    let key = &caller.key;
    let name = if key.name.is_empty() { &key.id } else { &key.name };
    Ok(By { key: key.id.clone(), name: name.clone(), role: key.role.clone(), staff })
}
