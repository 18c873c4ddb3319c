//! Cases: what was more than a velocity rule lets pass, looked into by somebody.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::event::Freeze;
use tessera_engine::adjustment::By;
use tessera_engine::case::{self, CaseError, CaseView, Place, State as Stage, Verdict, Wish};
use tessera_engine::submission::Submission;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::subject;
use crate::extract::{Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, WantedPage, WriteCases};
use crate::{AppState, Problem};

/// Which cases are wanted.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    state: Option<String>,
    rule: Option<String>,
    subject: Option<String>,
}

/// What came of looking into a case.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// `abuse`, `fine` or `unsure`
    #[schema(example = "abuse")]
    verdict: String,
    /// For colleagues; no names
    #[serde(default)]
    #[schema(example = "till 3 rang the same card up at closing time, every day")]
    note: Option<String>,
}

/// The longest note, in bytes: a few sentences.
const NOTE_MAX: usize = 1_000;

/// Cases, newest first; with `state` (`open`, `taken` or `closed`), `rule` or `subject` only these.
///
/// Needs `cases:write`.
///
/// There is one for each rule, subject and window. The subject is what the rule counts by: an id or a keyed hash.
#[utoipa::path(get, path = "/v1/programs/{program}/cases", tag = "cases", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"),
        ("state" = Option<String>, Query, example = "open"), ("rule" = Option<String>, Query, example = "staff-claims"),
        ("subject" = Option<String>, Query, description = "Such as a staff id", example = "S-17"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_cases(
    State(app): State<AppState>,
    caller: Caller<WriteCases>,
    Parameters(wanted): Parameters<Wanted>,
    WantedPage(page, ..): WantedPage<Place>,
) -> Result<Json<Value>, Problem> {
    let state = match wanted.state.as_deref().map(|word| (word, Stage::parse(word))) {
        Some((_, None)) => {
            let words = Stage::ALL.map(Stage::word).join(", ");
            return Err(Problem::invalid(format!("state: one of {words} is expected")));
        }
        Some((_, state)) => state,
        None => None,
    };
    let wish = Wish { state, rule: wanted.rule, subject: wanted.subject };
    let context = app.context.clone();
    app.blocking(move || Ok(Json(json!(case::list(&context, &caller.program, &wish, &page)?)))).await
}

/// A case with its evidence: the newest commands that were more, by their events or refusals; and where to do something
/// about it.
///
/// Needs `cases:write`.
#[utoipa::path(get, path = "/v1/programs/{program}/cases/{case}", tag = "cases", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("case" = String, Path, example = "case_…")),
    responses((status = 200, description = "The case with `commands` and `do`", body = Object,
        example = json!({ "id": "case_…", "state": "open", "rule": "staff-claims", "what": "claim", "per": "staff", "subject": "S-17",
            "member": "mem_…", "from": "2026-03-01T17:00:00Z", "until": "2026-03-02T17:00:00Z", "most": 3, "used": 5, "hits": 2,
            "action": "flag", "opened_at": "2026-03-02T03:00:00Z", "changed_at": "2026-03-02T03:05:00Z", "taken_by": null, "taken_at": null,
            "verdict": null, "note": null, "closed_by": null, "closed_at": null,
            "commands": [{ "at": "2026-03-02T03:05:00Z", "event_id": "evt_…_7", "member": "mem_…", "added": 1, "refusal": null,
                "key": "key_…", "staff": "S-17", "device": null, "location": null }],
            "do": { "see": "/v1/programs/copper-cup/members/mem_…" } })),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_case(
    State(app): State<AppState>,
    caller: Caller<WriteCases>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let (context, program) = (app.context.clone(), caller.program.clone());
    let found = app.blocking(move || Ok(case::show(&context, &program, &id)?)).await?;
    let (view, commands) = found.ok_or_else(case::unknown)?;
    let mut shown = json!(view);
    shown["commands"] = json!(commands);
    shown["do"] = what_to_do(&caller, &view);
    Ok(Json(shown))
}

/// Addresses of what there is to do about the member of a case.
fn what_to_do(caller: &Caller<WriteCases>, view: &CaseView) -> Value {
    let base = format!("/v1/programs/{}", caller.program.key);
    let case = format!("{base}/cases/{}", view.id);
    let mut todo = json!({ "take": format!("{case}/take"), "close": format!("{case}/close") });
    if let Some(member) = &view.member {
        todo["see"] = format!("{base}/members/{member}").into();
        todo["freeze"] = format!("{base}/members/{member}/freeze").into();
        todo["vouchers"] = format!("{base}/members/{member}/vouchers").into();
        todo["adjust"] = format!("{base}/adjustments").into();
    }
    if view.action == "hold" {
        todo["allow"] = format!("{case}/allow").into();
    }
    todo
}

fn by(caller: &Caller<WriteCases>) -> By {
    let key = &caller.key;
    let name = if key.name.is_empty() { &key.id } else { &key.name };
    let staff = caller.origin.staff.as_ref().map(ToString::to_string);
    By { key: key.id.clone(), name: name.clone(), role: key.role.clone(), staff }
}

pub(super) fn problem(error: CaseError) -> Problem {
    match error {
        CaseError::Refused(refusal) => refusal.into(),
        CaseError::Store(error) => error.into(),
    }
}

/// Looks into a case: nobody else does then. Who it is says the key, and `Tessera-Staff` where several use it.
///
/// Needs `cases:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/cases/{case}/take", tag = "cases", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("case" = String, Path, example = "case_…"),
        ("Tessera-Staff" = Option<String>, Header, example = "S-3")),
    responses((status = 200, description = "The case", body = Object),
        (status = 409, description = "Somebody else looks into it, or it is closed", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_case_taking(
    State(app): State<AppState>,
    caller: Caller<WriteCases>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<CaseView>, Problem> {
    let (context, executor, by) = (app.context.clone(), app.executor.clone(), by(&caller));
    app.blocking(move || case::take(&context, &executor, &caller.program, &id, &by).map_err(problem)).await.map(Json)
}

/// Closes a case with what came of it.
///
/// Needs `cases:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/cases/{case}/close", tag = "cases", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("case" = String, Path, example = "case_…"),
        ("Tessera-Staff" = Option<String>, Header, example = "S-3")),
    request_body = Closing,
    responses((status = 200, description = "The case", body = Object),
        (status = 409, description = "It is closed", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_case_closing(
    State(app): State<AppState>,
    caller: Caller<WriteCases>,
    Path((_, id)): Path<(String, String)>,
    JsonBody(body): JsonBody<Closing>,
) -> Result<Json<CaseView>, Problem> {
    let words = || format!("verdict: one of {} is expected", Verdict::ALL.map(Verdict::word).join(", "));
    let verdict = Verdict::parse(&body.verdict).ok_or_else(|| Problem::invalid(words()))?;
    if body.note.as_ref().is_some_and(|note| note.trim().is_empty() || note.len() > NOTE_MAX) {
        return Err(Problem::invalid(format!("note: 1 to {NOTE_MAX} bytes are expected")));
    }
    let (context, executor, by) = (app.context.clone(), app.executor.clone(), by(&caller));
    let close = move || case::close(&context, &executor, &caller.program, &id, (verdict, body.note), &by);
    app.blocking(move || close().map_err(problem)).await.map(Json)
}

/// Lets what waits for a second person pass: sent again under another `Idempotency-Key`, it is not refused for this
/// rule.
///
/// Needs `cases:write`.
///
/// By another key and other staff than asked. Asked twice, it lets no more pass.
#[utoipa::path(post, path = "/v1/programs/{program}/cases/{case}/allow", tag = "cases", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("case" = String, Path, example = "case_…"),
        ("Tessera-Staff" = Option<String>, Header, example = "S-3")),
    responses((status = 200, description = "The case", body = Object),
        (status = 403, description = "The same key or person asked for what waits", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is closed, or nothing waits", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_case_allowance(
    State(app): State<AppState>,
    caller: Caller<WriteCases>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<CaseView>, Problem> {
    let (context, executor, by) = (app.context.clone(), app.executor.clone(), by(&caller));
    app.blocking(move || case::allow(&context, &executor, &caller.program, &id, &by).map_err(problem)).await.map(Json)
}

/// Why a member is frozen, or thawed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Freezing {
    /// A word, or the id of a case; no names
    #[schema(example = "stolen-phone")]
    reason: String,
}

/// The longest reason, in bytes.
const REASON_MAX: usize = 100;

async fn freeze(
    app: &AppState,
    caller: &Caller<WriteCases>,
    (member, key): (&str, &str),
    (frozen, body): (bool, Freezing),
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if body.reason.is_empty() || body.reason.len() > REASON_MAX || !body.reason.chars().all(plain) {
        return Err(Problem::invalid("reason: a word or the id of a case is expected, such as stolen-phone"));
    }
    let (member, now) = (subject(member)?, app.context.clock.now());
    let freeze = Freeze { frozen, reason: body.reason.as_str().into() };
    let name = by(caller).name;
    let submission = Submission::freeze(&app.context.secrets, &caller.program, member, (freeze, &name), key, now);
    render(app.submit(submission).await?, false)
}

/// Freezes a member: nothing is spent, sent or claimed, and no name is changed, until they are thawed. What is bought
/// earns on.
///
/// Needs `cases:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/freeze", tag = "cases", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = Freezing,
    responses((status = 200, description = "The outcome", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_freeze(
    State(app): State<AppState>,
    caller: Caller<WriteCases>,
    Path((_, member)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<Freezing>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    freeze(&app, &caller, (&member, &key), (true, body)).await
}

/// Ends a freeze, or a quarantine.
///
/// Needs `cases:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/thaw", tag = "cases", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = Freezing,
    responses((status = 200, description = "The outcome", body = Object),
        (status = 409, description = "The member is not frozen", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_thaw(
    State(app): State<AppState>,
    caller: Caller<WriteCases>,
    Path((_, member)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<Freezing>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    freeze(&app, &caller, (&member, &key), (false, body)).await
}
