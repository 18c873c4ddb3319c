//! What people do for redemptions, and who waits for what is sold out.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::id::EventId;
use tessera_core::ledger::FulfilmentState;
use tessera_core::program::Id;
use tessera_engine::query::{self, FulfilmentPlace};
use tessera_engine::redemption::Waiting;
use tessera_engine::submission::Submission;
use tessera_engine::waitlist;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::subject;
use crate::extract::{
    Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, ReadMembers, WantedPage, WriteFulfilment, WriteRedemptions,
};
use crate::{AppState, Problem};

/// Where somebody brought a redemption.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFulfilment {
    /// `approved`, `sent`, `done` or `refused`
    #[schema(example = "sent")]
    state: String,
}

fn state(word: &str) -> Result<FulfilmentState, Problem> {
    let wrong = || Problem::invalid("state: one of requested, approved, sent, done, refused, cancelled is expected");
    FulfilmentState::from_word(word).ok_or_else(wrong)
}

/// Says that a redemption was approved, sent, handed over or refused, by the name of the key that says so.
///
/// Needs `fulfilment:write`.
///
/// Refused, its points go back to the lots they came from and the reward is in stock again.
#[utoipa::path(post, path = "/v1/programs/{program}/redemptions/{redemption}/fulfilment", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("redemption" = String, Path, example = "evt_…_3"), ("Idempotency-Key" = String, Header)),
    request_body = NewFulfilment,
    responses((status = 200, description = "The outcome, with the redemption", body = Object),
        (status = 409, description = "It does not become that from where it is", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_fulfilment(
    State(app): State<AppState>,
    caller: Caller<WriteFulfilment>,
    Path((_, redemption)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewFulfilment>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let unknown =
        || Problem::new(StatusCode::NOT_FOUND, "unknown-redemption", "there is no such redemption in this program");
    let id: EventId = redemption.parse().map_err(|_| unknown())?;
    let by = if caller.key.name.is_empty() { &caller.key.id } else { &caller.key.name };
    let (secrets, now) = (&app.context.secrets, app.context.clock.now());
    let submission = Submission::fulfilment(secrets, &caller.program, id, (state(&body.state)?, by), &key, now);
    render(app.submit(submission).await?, false)
}

/// Which redemptions are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    state: String,
    limit: Option<usize>,
    after: Option<String>,
}

/// Redemptions that people have to do something for, those that wait longest first.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/fulfilments", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"),
        ("state" = String, Query, description = "`requested`, `approved`, `sent`, `done`, `refused` or `cancelled`", example = "requested"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 200", example = 50),
        ("after" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "redemption": "evt_…_3", "member": "mem_…", "reward": "mug", "state": "requested", "since": "2026-03-02T03:00:00Z" }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_fulfilments(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Value>, Problem> {
    let (context, state) = (app.context.clone(), state(&wanted.state)?);
    let page = PageQuery { limit: wanted.limit, after: wanted.after }.wanted::<FulfilmentPlace>()?;
    app.blocking(move || Ok(Json(json!(query::fulfilments(&context, &caller.program, state, &page)?)))).await
}

/// Who waits, or no longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlace {
    /// A member's id, or `kind:value`
    #[schema(example = "phone:+84901234567")]
    member: String,
    /// Waits no longer, or does not want what is set aside
    #[serde(default)]
    leave: bool,
}

fn reward(text: &str) -> Result<Id, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown-reward", "the program has no such reward");
    text.parse().map_err(|_| unknown())
}

/// Puts a member on the list of those who wait for a reward that is sold out, or with `leave` takes them off it.
///
/// Needs `redemptions:write`.
///
/// When one comes free it is set aside for whoever is next, by an event of theirs (`seat-offer`) that says until when; they
/// redeem it like any other. After that it goes to the next.
#[utoipa::path(post, path = "/v1/programs/{program}/rewards/{reward}/waitlist", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("reward" = String, Path, example = "cupping"), ("Idempotency-Key" = String, Header)),
    request_body = NewPlace,
    responses((status = 200, description = "The outcome; its effect `waits` has the place", body = Object),
        (status = 409, description = "One is left, or the member waits already", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_place(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, id)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewPlace>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let (member, reward) = (subject(&body.member)?, reward(&id)?);
    let waiting = if body.leave { Waiting::Leave } else { Waiting::Join };
    let (secrets, now) = (&app.context.secrets, app.context.clock.now());
    let submission = Submission::waiting(secrets, &caller.program, member, (reward, waiting), &key, now);
    render(app.submit(submission).await?, false)
}

/// Who waits for a reward or is offered one, in their order.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/rewards/{reward}/waitlist", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("reward" = String, Path, example = "cupping"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "place": 7, "member": "mem_…", "state": "waiting", "since": "2026-03-02T03:00:00Z" }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_places(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, id)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<i64>,
) -> Result<Json<Value>, Problem> {
    let (context, reward) = (app.context.clone(), reward(&id)?);
    app.blocking(move || Ok(Json(json!(waitlist::places(&context, &caller.program, &reward, &page)?)))).await
}
