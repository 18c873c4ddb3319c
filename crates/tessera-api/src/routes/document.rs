use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::program;
use tessera_core::time::Instant;
use tessera_engine::engine::publish;
use tessera_engine::executor::Context;
use tessera_engine::programs::{self, ProgramError, ProgramHandle, Publication};
use tessera_engine::replay::{Span, replay};

use crate::extract::{Body, Caller, PageQuery, Parameters, ReadDocument, WriteDocument};
use crate::{AppState, Problem};

#[derive(Debug, Deserialize)]
pub struct Which {
    version: Option<u32>,
}

/// The program document as JSON, or as it was written with `Accept: application/yaml`.
///
/// Needs `document:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/document", tag = "document", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("version" = Option<u32>, Query, description = "The newest when left out")),
    responses((status = 200, description = "The document; `ETag` is its version", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_document(
    State(app): State<AppState>,
    caller: Caller<ReadDocument>,
    Parameters(which): Parameters<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let context = app.context.clone();
    let (version, text) =
        app.blocking(move || Ok(programs::document_text(&context.database, &caller.program, which.version)?)).await?;
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).map_err(|_| Problem::broken())?;
    let yaml = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("yaml"));
    let mut response = if yaml {
        ([(header::CONTENT_TYPE, "application/yaml")], text).into_response()
    } else {
        let document =
            program::read_document(&text).map_err(|findings| Problem::from(ProgramError::Invalid(findings)))?;
        Json(document.tree.to_json()).into_response()
    };
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Publishes a document, JSON or YAML, as the next version.
///
/// Needs `document:write`.
#[utoipa::path(put, path = "/v1/programs/{program}/document", tag = "document", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"),
        ("If-Match" = String, Header, description = "The version the change was made to, as `ETag` gave it")),
    request_body(content = Object, description = "The whole document"),
    responses((status = 200, description = "Published", body = Object),
        (status = 412, description = "Somebody published meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The document has mistakes; `findings` lists all", body = Problem, content_type = "application/problem+json")))]
pub async fn replace_document(
    State(app): State<AppState>,
    caller: Caller<WriteDocument>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(HeaderMap, Json<Value>), Problem> {
    let given = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    let base = given.map(|text| text.trim_matches('"').parse::<u32>());
    let expected_head = match base {
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => return Err(Problem::invalid("`If-Match` is the version as `ETag` gave it, such as \"3\"")),
        None => {
            let detail = "send `If-Match` with the version the change was made to, so that nobody's change is lost";
            return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "if-match-required", detail));
        }
    };
    let text = String::from_utf8(body.to_vec()).map_err(|_| Problem::invalid("the document is not UTF-8"))?;
    let publication = Publication {
        text,
        expected_key: Some(caller.program.key.to_string()),
        expected_head,
        by: "api".to_owned(),
        note: String::new(),
    };
    let (context, executor) = (app.context.clone(), app.executor.clone());
    let (_, version, changed) = app.blocking(move || Ok(publish(&context, &executor, publication)?)).await?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, HeaderValue::from_str(&format!("\"{version}\"")).map_err(|_| Problem::broken())?);
    Ok((headers, Json(json!({ "version": version, "changed": changed }))))
}

#[derive(Debug, Deserialize)]
pub struct WhatIf {
    #[serde(default)]
    replay: bool,
    from: Option<Instant>,
    to: Option<Instant>,
}

/// Says in words what publishing a document would change, and with `replay` what it would have made of the events so far.
///
/// A replay decides every recorded event again under the draft, in memory, and compares: points, cost and liability,
/// tiers, campaigns, months, and who gains or loses most. It writes nothing and takes seconds per million events; one
/// runs at a time. Needs `document:read`.
#[utoipa::path(post, path = "/v1/programs/{program}/document/plan", tag = "document", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"),
        ("replay" = Option<bool>, Query, description = "Whether to replay the recorded events under the draft"),
        ("from" = Option<String>, Query, description = "From when the draft is in force in the replay, as if it had been published then; from the first event when left out"),
        ("to" = Option<String>, Query, description = "The end of the business looked at, exclusive; now when left out")),
    request_body(content = Object, description = "The whole document"),
    responses((status = 200, description = "The differences and the warnings; with `replay` the comparison as `what_if`", body = Object),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Another replay is running", body = Problem, content_type = "application/problem+json")))]
pub async fn plan_document(
    State(app): State<AppState>,
    caller: Caller<ReadDocument>,
    Parameters(wanted): Parameters<WhatIf>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let text = String::from_utf8(body.to_vec()).map_err(|_| Problem::invalid("the document is not UTF-8"))?;
    let span = Span { from: wanted.from, to: wanted.to.unwrap_or_else(|| app.context.clock.now()) };
    if span.from.is_some_and(|from| from >= span.to) {
        return Err(Problem::invalid("from: a time before `to` is expected"));
    }
    // One replay keeps every processor busy; a second would only make both late.
    let turn = if wanted.replay {
        let turn = app.replays.clone().try_acquire_owned();
        Some(turn.map_err(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "replay-running",
                "another replay is running: ask again when it is done",
            )
        })?)
    } else {
        None
    };
    let context = app.context.clone();
    app.blocking(move || {
        let _turn = turn;
        let (document, plan) = programs::plan(&context.database, &text)?;
        if document.definition.program != caller.program.key {
            let (expected, found) = (caller.program.key.to_string(), document.definition.program.to_string());
            return Err(ProgramError::OtherProgram { expected, found }.into());
        }
        let mut answer = json!({ "base": plan.base, "differences": plan.differences, "findings": plan.findings });
        if wanted.replay {
            answer["what_if"] = what_if(&context, &caller.program, &text, span)?;
        }
        Ok(Json(answer))
    })
    .await
}

fn what_if(context: &Context, program: &Arc<ProgramHandle>, text: &str, span: Span) -> Result<Value, Problem> {
    let versions = program.versions();
    let draft = program::load_program(text, versions.head().version + 1)
        .map_err(|findings| Problem::from(ProgramError::Invalid(findings)))?;
    let found = replay(context, program, Arc::new(draft), span, &|_| {})?;
    let mut answer = json!({ "version": versions.at(span.to).version, "from": span.from, "to": span.to });
    let Ok(Value::Object(found)) = serde_json::to_value(found) else { return Err(Problem::broken()) };
    if let Value::Object(answer) = &mut answer {
        answer.extend(found);
    }
    Ok(answer)
}

/// The versions, newest first.
///
/// Needs `document:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/versions", tag = "document", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_versions(
    State(app): State<AppState>,
    caller: Caller<ReadDocument>,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let context = app.context.clone();
    let versions = app.blocking(move || Ok(programs::history(&context.database, caller.program.number)?)).await?;
    Ok(Json(page.of(&versions, |_, version| version.version.to_string())?))
}
