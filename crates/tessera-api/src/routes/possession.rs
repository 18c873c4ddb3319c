//! What the member's app shows and what is sent to them, so that a counter knows that they are there.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tessera_engine::{possession, query};

use super::members::named;
use crate::extract::{Caller, WritePossession};
use crate::{AppState, Problem};

/// The member's card: its number, and the code that proves for 30 seconds that they are there.
///
/// Needs `possession:write`: for the server of the member's app, never for a till.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/card", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path, example = "phone:+84901234567")),
    responses((status = 200, body = Object,
        example = json!({ "member": "mem_…", "card": "4711", "code": "287082", "until": "2026-03-02T03:00:30Z" })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_card(
    State(app): State<AppState>,
    caller: Caller<WritePossession>,
    Path((_, member)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let (context, executor) = (app.context.clone(), app.executor.clone());
    app.blocking(move || {
        let member = query::member(&context, &caller.program, id)?;
        let identifiers = member.into_iter().flat_map(|member| member.identifiers);
        let number = identifiers.into_iter().find_map(|name| name.strip_prefix("card:").map(str::to_owned));
        Ok(Json(json!(possession::card(&context, &executor, &caller.program, id, number)?)))
    })
    .await
}

/// Makes a code of 6 digits to be sent to the member: good once, for 5 minutes. One from before is no longer good.
///
/// Needs `possession:write`: whoever has that key sends it, by a way that reaches the member alone.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/one-time-codes", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path, example = "phone:+84901234567")),
    responses((status = 201, body = Object, example = json!({ "code": "081804", "until": "2026-03-02T03:05:00Z" })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_one_time_code(
    State(app): State<AppState>,
    caller: Caller<WritePossession>,
    Path((_, member)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let (context, executor) = (app.context.clone(), app.executor.clone());
    let make = move || Ok(possession::one_time_code(&context, &executor, &caller.program, id)?);
    Ok((StatusCode::CREATED, Json(json!(app.blocking(make).await?))))
}
