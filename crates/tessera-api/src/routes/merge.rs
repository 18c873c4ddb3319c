//! Making one member of two, looked at before, and undone.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tessera_core::event::Merge;
use tessera_core::id::MemberId;
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query;
use tessera_engine::submission::Submission;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::{named, subject};
use crate::extract::{Caller, IdempotencyKey, JsonBody, Parameters, WriteMembers};
use crate::{AppState, Problem};

/// Who is to be one with the member of the address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeFrom {
    /// Who ends: a member's id, or `kind:value`
    #[schema(example = "card:4711")]
    from: String,
    /// Why, for the history
    #[schema(example = "the same phone number")]
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct MergeOptions {
    #[serde(default)]
    preview: bool,
}

/// The longest reason, in bytes.
const REASON_MAX: usize = 200;

/// Makes one member of two.
///
/// Needs `members:write`.
///
/// The member of the address stays; the one of `from` ends, and whatever is sent to it from then on, by id or by any of
/// its names, reaches the survivor. Points go with their days and funders, what waits goes on waiting, debts net, and
/// what is given once stands once. What the one who ends has reserved is voided before; a place in a household comes along.
/// The level is that of both together, never below the higher before its review. The
/// answer is that of the one who ends; what it had arrives right after it, and where it cannot, it comes back as an event
/// `follow-up-refused`. With `preview=true` nothing is written, and the answer is what the survivor would have.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/merge", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path, description = "Who stays: an id, or kind:value"),
        ("preview" = Option<bool>, Query, description = "Only look", example = true), ("Idempotency-Key" = String, Header)),
    request_body = MergeFrom,
    responses((status = 200, description = "The outcome, or the preview: `balances`, `tiers` and `effects` of the survivor", body = Object),
        (status = 404, description = "Nobody is known under one of the names", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "They are one already, both are in one club, or in different households", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_merge(
    State(app): State<AppState>,
    caller: Caller<WriteMembers>,
    Path((_, member)): Path<(String, String)>,
    Parameters(options): Parameters<MergeOptions>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<MergeFrom>,
) -> Result<Response, Problem> {
    if body.reason.as_ref().is_some_and(|reason| reason.is_empty() || reason.len() > REASON_MAX) {
        return Err(Problem::invalid(format!("reason: 1 to {REASON_MAX} bytes are expected")));
    }
    let (survivor, from) =
        (named(&app, &caller.program, &member).await?, named(&app, &caller.program, &body.from).await?);
    if options.preview {
        let context = app.context.clone();
        let found = app.blocking(move || Ok(query::preview_merge(&context, &caller.program, survivor, from)?)).await?;
        let preview = found.ok_or_else(Problem::unknown_member)??;
        let mut shown = json!(preview);
        shown["preview"] = true.into();
        return Ok(Json(shown).into_response());
    }
    let (into, from) =
        (own_id(&app, &caller.program, &member).await?, own_id(&app, &caller.program, &body.from).await?);
    let merge = Merge { into, reason: body.reason.as_deref().map(Into::into) };
    let now = app.context.clock.now();
    let submission = Submission::merge(&app.context.secrets, &caller.program, from, merge, &key, now);
    Ok(render(app.submit(submission).await?, false)?.into_response())
}

/// The member a name leads to by itself, whoever they are one with: so a retry is the same command.
async fn own_id(app: &AppState, program: &Arc<ProgramHandle>, text: &str) -> Result<MemberId, Problem> {
    let subject = subject(text)?;
    let (context, program) = (app.context.clone(), program.clone());
    let found = app.blocking(move || Ok(query::own_id(&context, &program, &subject)?)).await?;
    found.ok_or_else(Problem::unknown_member)
}

/// Who is to be a member of their own again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoMerge {
    /// Who had been merged: their id, or one of the names they brought
    #[schema(example = "card:4711")]
    from: String,
}

/// Makes two members of one again.
///
/// Needs `members:write`.
///
/// Within the document's `members.merge.undo_within`. What had come goes back as far as it is there, in an effect `sent`
/// per currency; what was spent meanwhile stays, in an effect `stays`. What happened since the merge stays with the
/// survivor; names lead to whom they led before.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/merge/undo", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path, description = "The survivor"), ("Idempotency-Key" = String, Header)),
    request_body = UndoMerge,
    responses((status = 200, description = "The survivor's outcome", body = Object),
        (status = 422, description = "Not merged into this member, or too late", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_merge_undo(
    State(app): State<AppState>,
    caller: Caller<WriteMembers>,
    Path((_, member)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<UndoMerge>,
) -> Result<(axum::http::StatusCode, HeaderMap, Json<Told>), Problem> {
    let (survivor, from) =
        (own_id(&app, &caller.program, &member).await?, own_id(&app, &caller.program, &body.from).await?);
    let now = app.context.clock.now();
    let submission = Submission::unmerge(&app.context.secrets, &caller.program, survivor, from, &key, now);
    render(app.submit(submission).await?, false)
}
