use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use tessera_core::id::MemberId;
use tessera_core::program::Watched;
use tessera_engine::case;
use tessera_engine::identifier::Subject;
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query::{self, Located, MemberView, Seen, VoucherPlace, VoucherState};
use tessera_engine::submission::{CloudEvent, Submission};
use utoipa::ToSchema;

use super::events::{Told, render};
use crate::extract::{Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, ReadMembers, WantedPage, WriteMembers};
use crate::{AppState, Problem};

/// Somebody who joins, or a change of what is known about them. The names are those of an `enrol` event's data.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberFields {
    /// How the member is known, `kind:value`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["card:4711"]))]
    identifiers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Nguyễn Thị Minh")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "+84901234567")]
    phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// `1990-02-28`, `02-28` or, for the month alone, `02`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "1990-02-28")]
    birthday: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "vi")]
    language: Option<String>,
    /// The referral code, or the token of the link, of whoever brought them
    #[serde(default, skip_serializing_if = "Option::is_none")]
    referred_by: Option<String>,
    /// What tells the device; only a keyed hash of it is kept
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Search {
    identifier: Option<String>,
}

/// Lists members, or finds the one with an identifier.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"),
        ("identifier" = Option<String>, Query, description = "kind:value", example = "phone:+84901234567"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_members(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Parameters(search): Parameters<Search>,
    WantedPage(page, ..): WantedPage<MemberId>,
) -> Result<Json<Value>, Problem> {
    let Some(identifier) = search.identifier else {
        let context = app.context.clone();
        let page = app.blocking(move || Ok(query::members(&context, &caller.program, &page)?)).await?;
        return Ok(Json(json!(page)));
    };
    let subject = subject(&identifier)?;
    looked_up(&app, &caller, &identifier).await?;
    let found = match app.see(&caller.program, subject).await? {
        Seen::Member(view) => vec![*view],
        Seen::Not(_) => Vec::new(),
    };
    Ok(Json(json!({ "items": found, "next": null })))
}

pub(super) fn subject(text: &str) -> Result<Subject, Problem> {
    text.parse().map_err(|error: tessera_engine::identifier::IdentifierError| Problem::invalid(error.to_string()))
}

/// Enrols a member.
///
/// Needs `members:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/members", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header)),
    request_body = MemberFields,
    responses((status = 201, description = "The outcome of the enrolment", body = Object),
        (status = 409, description = "Somebody is known under this identifier", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_member(
    State(app): State<AppState>,
    caller: Caller<WriteMembers>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<MemberFields>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    if body.identifiers.is_empty() && body.phone.is_none() && body.email.is_none() {
        return Err(Problem::invalid("a member has a phone, an email, or another identifier such as card:4711"));
    }
    let submission = event(&app, &caller.program, &key, "enrol", None, &body)?;
    let (_, headers, outcome) = render(app.submit(submission).await?, false)?;
    Ok((StatusCode::CREATED, headers, outcome))
}

/// An event of the API's own, keyed by the caller's `Idempotency-Key`.
fn event(
    app: &AppState,
    program: &Arc<ProgramHandle>,
    key: &IdempotencyKey,
    kind: &str,
    member: Option<&str>,
    body: &MemberFields,
) -> Result<Submission, Problem> {
    let data = serde_json::to_string(body).map_err(|_| Problem::broken())?;
    let data: Box<RawValue> = RawValue::from_string(data).map_err(|_| Problem::broken())?;
    let event = CloudEvent {
        specversion: None,
        id: key.0.as_str().into(),
        source: "tessera:members".into(),
        kind: kind.into(),
        subject: member.map(Into::into),
        time: None,
        data: Some(&data),
    };
    Submission::from_event(&app.context.secrets, program, &event, app.context.clock.now()).map_err(Problem::from)
}

/// The member an address names: an id, or `kind:value`.
pub(super) async fn named(app: &AppState, program: &Arc<ProgramHandle>, text: &str) -> Result<MemberId, Problem> {
    let subject = subject(text)?;
    let (context, program) = (app.context.clone(), program.clone());
    app.read(move || located(query::locate(&context, &program, &subject)?)).await
}

fn located(found: Located) -> Result<MemberId, Problem> {
    match found {
        Located::Member(id) => Ok(id),
        nobody => Err(not_seen(nobody)),
    }
}

fn not_seen(located: Located) -> Problem {
    match located {
        Located::Left => Problem::member_left(),
        Located::Replaced => Problem::identifier_replaced(),
        Located::Member(_) | Located::Nobody => Problem::unknown_member(),
    }
}

/// Counts a look-up by a name, where velocity rules do: whoever tries phone numbers does it often.
async fn looked_up(app: &AppState, caller: &Caller<ReadMembers>, text: &str) -> Result<(), Problem> {
    let now = app.context.clock.now();
    let counts = caller.program.versions().at(now).velocity.iter().any(|rule| rule.what == Watched::Lookup);
    if !counts || text.parse::<MemberId>().is_ok() {
        return Ok(());
    }
    let (context, executor) = (app.context.clone(), app.executor.clone());
    let (program, origin) = (caller.program.clone(), caller.origin.clone());
    let counted = move || case::look_up(&context, &executor, &program, &origin).map_err(super::cases::problem);
    app.blocking(counted).await
}

/// A member with balances and tiers, settled to now.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path, description = "An id, or kind:value", example = "phone:+84901234567")),
    responses((status = 200, description = "The member", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_member(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
) -> Result<Json<MemberView>, Problem> {
    looked_up(&app, &caller, &member).await?;
    view(&app, caller, &member).await.map(Json)
}

async fn view(app: &AppState, caller: Caller<ReadMembers>, member: &str) -> Result<MemberView, Problem> {
    let subject = subject(member)?;
    let mut view = match app.see(&caller.program, subject).await? {
        Seen::Member(view) => view,
        Seen::Not(located) => return Err(not_seen(located)),
    };
    // Whoever asks for somebody who was merged is told so.
    if member.starts_with("mem_") && member != view.id {
        view.merged_into = Some(view.id.clone());
    }
    Ok(*view)
}

/// The member whose own history is wanted: of somebody who was merged what they did until then.
pub(super) async fn own_history(app: &AppState, program: &Arc<ProgramHandle>, text: &str) -> Result<MemberId, Problem> {
    let now = named(app, program, text).await?;
    Ok(match subject(text)? {
        Subject::Member(id) => id,
        _ => now,
    })
}

/// Changes what is known about a member.
///
/// Needs `members:write`.
#[utoipa::path(patch, path = "/v1/programs/{program}/members/{member}", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = MemberFields,
    responses((status = 200, description = "The outcome", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn update_member(
    State(app): State<AppState>,
    caller: Caller<WriteMembers>,
    Path((_, member)): Path<(String, String)>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<MemberFields>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let member = named(&app, &caller.program, &member).await?.to_string();
    let submission = event(&app, &caller.program, &key, "profile", Some(&member), &body)?;
    render(app.submit(submission).await?, false)
}

/// What a member has in each currency, settled to now.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/balances", tag = "members", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path)),
    responses((status = 200, body = Object, example = json!({ "bean": { "available": 120, "pending": 0, "held": 0, "debt": 0 } })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_balances(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(view(&app, caller, &member).await?.balances)))
}

/// The ledger of a member, newest first.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/entries", tag = "members", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_entries(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let id = own_history(&app, &caller.program, &member).await?;
    let context = app.context.clone();
    app.blocking(move || Ok(Json(json!(query::entries(&context, &caller.program, id, &page)?)))).await
}

/// Everything a member holds and when it expires, in the order it would be spent.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/lots", tag = "members", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_lots(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let context = app.context.clone();
    let lots = app.read(move || Ok(query::lots(&context, &caller.program, id)?)).await?;
    let lots = lots.ok_or_else(Problem::unknown_member)?;
    // Several may have one end: those that wait for different events.
    Ok(Json(page.of(&lots, |number, _| number.to_string())?))
}

/// What happened to a member, newest first.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/events", tag = "members", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_events(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let id = own_history(&app, &caller.program, &member).await?;
    let context = app.context.clone();
    app.blocking(move || Ok(Json(json!(query::events(&context, &caller.program, id, &page)?)))).await
}

/// The language that texts are wanted in.
pub(super) fn language(headers: &HeaderMap) -> String {
    let language = headers.get("accept-language").and_then(|value| value.to_str().ok()).unwrap_or("en");
    language.split([',', ';', '-']).next().unwrap_or("en").to_owned()
}

/// Which vouchers are wanted.
#[derive(Debug, Deserialize)]
pub struct OfState {
    state: Option<String>,
}

impl OfState {
    pub(super) fn read(&self) -> Result<Option<VoucherState>, Problem> {
        let state = self.state.as_deref().map(str::parse::<VoucherState>).transpose();
        state.map_err(|error| Problem::invalid(format!("state: {error}")))
    }
}

/// Vouchers of a member, newest first, each `open`, `used`, `expired` or `cancelled`.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/vouchers", tag = "members", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), PageQuery,
        ("state" = Option<String>, Query, description = "Only these", example = "open"),
        ("Accept-Language" = Option<String>, Header, example = "vi")),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_vouchers(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    Parameters(wanted): Parameters<OfState>,
    WantedPage(page, ..): WantedPage<VoucherPlace>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let state = wanted.read()?;
    let id = named(&app, &caller.program, &member).await?;
    let language = language(&headers);
    let context = app.context.clone();
    let found = move || Ok(query::vouchers(&context, &caller.program, id, (&page, state, &language))?);
    Ok(Json(json!(app.blocking(found).await?)))
}

/// Where a member stands on every ladder, with what is missing to rise and to stay.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/tiers", tag = "members", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_tiers(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let view = view(&app, caller, &member).await?;
    Ok(Json(page.of(&view.tiers, |_, standing| standing.ladder.to_string())?))
}
