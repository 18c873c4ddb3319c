use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::event::Transfer;
use tessera_core::program::Id;
use tessera_engine::query;
use tessera_engine::submission::Submission;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::{named, subject};
use crate::extract::{Caller, IdempotencyKey, JsonBody, PageQuery, ReadMembers, WantedPage, WriteRedemptions};
use crate::{AppState, Problem};

/// Points that one member sends to another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTransfer {
    /// Who sends: a member's id, or `kind:value`
    #[schema(example = "phone:+84901234567")]
    from: String,
    /// Who receives
    #[schema(example = "card:4711")]
    to: String,
    #[schema(example = "bean")]
    currency: String,
    /// Units that arrive; a fee of the document comes on top
    #[schema(example = 50)]
    amount: i64,
    /// Your name for what is said with it; the words themselves stay with you
    message_id: Option<String>,
}

/// The longest `message_id`, in bytes.
const MESSAGE_MAX: usize = 100;

/// Sends points from one member to another.
///
/// Needs `redemptions:write`.
///
/// Only what the document lists under `transfers` can be sent. What expires soonest goes first; every lot keeps its own
/// expiry and funder. What arrives counts to no level. The answer is the sender's; the points arrive right after it, and
/// where they cannot, they come back to the sender's lots as an event `follow-up-refused`, with the reason.
#[utoipa::path(post, path = "/v1/programs/{program}/transfers", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header, description = "Yours, new for each transfer")),
    request_body = NewTransfer,
    responses((status = 201, description = "The sender's outcome", body = Object,
        example = json!({ "event_id": "evt_…_9", "status": "applied", "member": "mem_…", "program_version": 1,
            "effects": [{ "type": "sent", "currency": "bean", "amount": 50, "expires_on": "2027-11-30", "member": "mem_…" }],
            "balances": { "bean": { "available": 20, "pending": 0, "held": 0, "debt": 0 } }, "tiers": { "cup": "paper" } })),
        (status = 404, description = "Nobody is known under one of the names", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "More than can be sent", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not what the document lets members send", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_transfer(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewTransfer>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let currency: Id = body
        .currency
        .parse()
        .map_err(|_| Problem::invalid("currency: a name of the program's document is expected"))?;
    if body.message_id.as_ref().is_some_and(|text| text.is_empty() || text.len() > MESSAGE_MAX) {
        return Err(Problem::invalid(format!("message_id: 1 to {MESSAGE_MAX} bytes are expected")));
    }
    let from = subject(&body.from).map_err(|problem| problem.about("from"))?;
    let to = named(&app, &caller.program, &body.to).await.map_err(|problem| problem.about("to"))?;
    let message = body.message_id.as_deref().map(Into::into);
    let transfer = Transfer { to, currency, amount: body.amount, message };
    let now = app.context.clock.now();
    let submission = Submission::transfer(&app.context.secrets, &caller.program, from, transfer, &key, now);
    let (_, headers, told) = render(app.submit(caller.sends(submission)).await?, false)?;
    Ok((StatusCode::CREATED, headers, told))
}

/// Points that a member sent, received, or got back because they could not arrive, newest first.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/transfers", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path), PageQuery),
    responses((status = 200, description = "`items` and `next`; `direction` is `sent`, `received` or `came_back`", body = Object,
        example = json!({ "items": [{ "event_id": "evt_…_9", "at": "2026-11-20T02:45:00Z", "direction": "sent", "member": "mem_…",
            "currency": "bean", "amount": 50, "fee": 5, "message_id": "note-17", "reason": null }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_transfers(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let context = app.context.clone();
    let read = move || Ok(query::transfers(&context, &caller.program, id, &page)?);
    Ok(Json(json!(app.blocking(read).await?)))
}
