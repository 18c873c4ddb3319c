use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tessera_core::program::Id;
use tessera_engine::query;
use tessera_engine::submission::Submission;

use super::events::{Told, render};
use super::members::{language, named, subject};
use crate::extract::{Caller, IdempotencyKey, ReadMembers, WriteMembers};
use crate::{AppState, Problem};

/// How far a member has come: stamp cards, challenges, streaks and badges, with what is missing in words.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/progress", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path, description = "An id, or kind:value", example = "phone:+84901234567"),
        ("Accept-Language" = Option<String>, Header, description = "`vi`, `th` or `en`", example = "vi")),
    responses((status = 200, body = Object,
        example = json!({ "cards": [{ "card": "latte", "name": "Latte card", "stamps": 7, "pending": 0, "needed": 10, "missing": 3, "words": "7 of 10: 3 to go" }],
            "challenges": [{ "challenge": "explorer", "name": "Explorer", "status": "open", "value": "2", "round": 1,
                "steps": [{ "at": "3", "done": false }], "next": "3", "missing": "1", "values": ["latte", "mocha"], "from": "2026-03-01", "last_day": "2026-03-31", "words": "2 of 3: 1 to go" }],
            "streaks": [{ "streak": "daily", "name": null, "every": "day", "current": 4, "longest": 9, "counted_now": true, "grace_left": 1, "next": 7, "missing": 3, "words": "4 of 7: 3 to go" }],
            "badges": [{ "badge": "regular", "name": "Regular", "text": null, "held": true, "since": "2026-02-01" }] })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_progress(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let language = language(&headers);
    let context = app.context.clone();
    let progress = app.read(move || Ok(query::progress(&context, &caller.program, id, &language)?)).await?;
    Ok(Json(json!(progress.ok_or_else(Problem::unknown_member)?)))
}

/// A member takes part in a challenge that asks who does.
///
/// Needs `members:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/challenges/{challenge}/join", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path, description = "An id, or kind:value", example = "phone:+84901234567"),
        ("challenge" = String, Path, example = "explorer"), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The outcome", body = Object),
        (status = 404, description = "No such member or challenge", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The member takes part already", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_participation(
    State(app): State<AppState>,
    caller: Caller<WriteMembers>,
    Path((_, member, challenge)): Path<(String, String, String)>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let (member, now) = (subject(&member)?, app.context.clock.now());
    let challenge: Id = challenge.parse().map_err(|_| unknown())?;
    let submission = Submission::join_challenge(&app.context.secrets, &caller.program, member, challenge, &key, now);
    let (_, headers, told) = render(app.submit(submission).await?, false)?;
    Ok((StatusCode::CREATED, headers, told))
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-challenge", "the program has no challenge of this name")
}
