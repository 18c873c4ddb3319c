//! Who a member is: the names they are known under, and how a membership ends.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::code::Code;
use tessera_core::event::Removal;
use tessera_engine::identifier::{Identifier, IdentifierError, Subject};
use tessera_engine::people::{NameChange, Second};
use tessera_engine::query;
use tessera_engine::submission::Submission;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::{named, subject};
use crate::extract::{Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, ReadMembers, WriteEvents, WriteMembers};
use crate::{AppState, Problem};

/// A name that comes to a member, perhaps in place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentifier {
    /// `kind:value`
    #[schema(example = "card:5000")]
    identifier: String,
    /// The one it takes the place of: it is blocked for ever, and given to nobody again
    #[serde(default)]
    #[schema(example = "card:4711")]
    replaces: Option<String>,
    /// That the one-time code sent to the new number came back right. Needed for the kinds of the document's
    /// `identity.proof`
    #[serde(default)]
    proof: bool,
    /// Something only the member has or knows, needed after a long silence: another of their identifiers, or
    /// `birthday:02-28`
    #[serde(default)]
    #[schema(example = "birthday:02-28")]
    second: Option<String>,
}

fn identifier(field: &str, text: &str) -> Result<Identifier, Problem> {
    text.parse().map_err(|error: IdentifierError| Problem::invalid(format!("{field}: {error}")))
}

/// Lists the names a member is known under.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/identifiers", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path, description = "An id, or kind:value"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object, example = json!({ "items": [{ "kind": "card", "identifier": "card:4711" }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_identifiers(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let context = app.context.clone();
    let found = app.blocking(move || Ok(query::identifiers(&context, &caller.program, id)?)).await?;
    let item = |text: &String| json!({ "kind": text.split(':').next(), "identifier": text });
    let items: Vec<Value> = found.iter().map(item).collect();
    // A cursor stands in addresses, which are logged: it is no name.
    Ok(Json(page.of(&items, |number, _| number.to_string())?))
}

/// Adds a name, or replaces one: a lost card by a new one, an old number by the new.
///
/// Needs `members:write`.
///
/// What a member has stays with the member. A replaced name is blocked: whoever shows it is told so.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/identifiers", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = NewIdentifier,
    responses((status = 201, description = "The outcome", body = Object),
        (status = 409, description = "Taken by another member, or blocked", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A proof or a second fact is missing", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_identifier(
    State(app): State<AppState>,
    caller: Caller<WriteMembers>,
    Path((_, member)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewIdentifier>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let second = match body.second.as_deref().map(|text| (text, text.strip_prefix("birthday:"))) {
        None => None,
        Some((_, Some(birthday))) => {
            let birthday = birthday
                .parse()
                .map_err(|error: tessera_core::event::BirthdayError| Problem::invalid(format!("second: {error}")))?;
            Some(Second::Birthday(birthday))
        }
        Some((text, None)) => Some(Second::Name(identifier("second", text)?)),
    };
    let removed = body.replaces.as_deref().map(|text| identifier("replaces", text)).transpose()?;
    let change = NameChange {
        added: Some(identifier("identifier", &body.identifier)?),
        why: Removal::Replaced,
        removed,
        proof: body.proof,
        second,
    };
    let (_, headers, told) = rename(&app, &caller, &member, change, &key).await?;
    Ok((StatusCode::CREATED, headers, told))
}

async fn rename(
    app: &AppState,
    caller: &Caller<WriteMembers>,
    member: &str,
    change: NameChange,
    key: &str,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let id = named(app, &caller.program, member).await?;
    let now = app.context.clock.now();
    let submission = Submission::rename(&app.context.secrets, &caller.program, id, change, key, now);
    render(app.submit(submission).await?, false)
}

#[derive(Debug, Deserialize)]
pub struct WhyRemoved {
    reason: Option<String>,
}

/// Takes a name away from a member. It is free for others.
///
/// Needs `members:write`.
///
/// With `reason=reused` for a number that is somebody else's by now: only after the document's `identity.reuse_after` of
/// silence. The account stays, without that number, until a second fact finds it.
#[utoipa::path(delete, path = "/v1/programs/{program}/members/{member}/identifiers/{identifier}", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path), ("identifier" = String, Path, example = "phone:+84901234567"),
        ("reason" = Option<String>, Query, example = "reused"), ("Idempotency-Key" = String, Header)),
    responses((status = 200, description = "The outcome", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_identifier(
    State(app): State<AppState>,
    caller: Caller<WriteMembers>,
    Path((_, member, name)): Path<(String, String, String)>,
    Parameters(options): Parameters<WhyRemoved>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let why = match options.reason.as_deref() {
        None => Removal::Given,
        Some("reused") => Removal::Reused,
        Some(_) => return Err(Problem::invalid("reason: `reused`, or nothing, is expected")),
    };
    let removed = Some(identifier("identifier", &name)?);
    let change = NameChange { removed, why, ..NameChange::default() };
    rename(&app, &caller, &member, change, &key).await
}

/// The purchase of a guest, and who says that it is theirs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClaim {
    /// A member's id, or `kind:value`
    #[schema(example = "phone:+84901234567")]
    member: String,
    /// The claim code of the receipt; lower case, spaces and dashes do not matter
    #[schema(example = "CDFG-2345-HJKM-67NP")]
    code: String,
}

/// Makes the purchase of a guest a member's, by the claim code of its receipt.
///
/// Needs `events:write`.
///
/// It earns what it would have earned on its day at the base level, net of what has come back. Once, within the time and
/// the limits of the document's `claims`, and not by whoever rang it up.
#[utoipa::path(post, path = "/v1/programs/{program}/claims", tag = "events", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header)),
    request_body = NewClaim,
    responses((status = 201, description = "The outcome: what the purchase earned", body = Object),
        (status = 404, description = "No purchase has this code", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was claimed before", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Too late, too many, or one's own sale", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_claim(
    State(app): State<AppState>,
    caller: Caller<WriteEvents>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewClaim>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let member = subject(&body.member)?;
    let code = Code::parse(&body.code).map_err(|error| Problem::invalid(format!("code: {error}")))?;
    let now = app.context.clock.now();
    let submission = Submission::claim(&app.context.secrets, &caller.program, member, &code, &key, now);
    let (_, headers, told) = render(app.submit(caller.sends(submission)).await?, false)?;
    Ok((StatusCode::CREATED, headers, told))
}

#[derive(Debug, Deserialize)]
pub struct HowToLeave {
    mode: Option<String>,
}

/// Ends a membership.
///
/// Needs `members:write`.
///
/// `mode=leave` (the default) forfeits the points or pays them out, as the document's `leaving` says; `mode=erase` forgets
/// the person as well, also of whoever has left before. The sums stay.
#[utoipa::path(delete, path = "/v1/programs/{program}/members/{member}", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path),
        ("mode" = Option<String>, Query, description = "`leave` or `erase`", example = "erase"), ("Idempotency-Key" = String, Header)),
    responses((status = 200, description = "The outcome: what was forfeited, paid out and written off", body = Object),
        (status = 410, description = "They have left before", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_member(
    State(app): State<AppState>,
    caller: Caller<WriteMembers>,
    Path((_, member)): Path<(String, String)>,
    Parameters(options): Parameters<HowToLeave>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let erase = match options.mode.as_deref() {
        None | Some("leave") => false,
        Some("erase") => true,
        Some(_) => return Err(Problem::invalid("mode: `leave` or `erase` is expected")),
    };
    let id = match subject(&member)? {
        // Whoever has left is still to be erased, and the same request again is answered as the first.
        Subject::Member(id) => id,
        _ => named(&app, &caller.program, &member).await?,
    };
    let now = app.context.clock.now();
    let submission = Submission::leave(&app.context.secrets, &caller.program, id, erase, &key, now);
    render(app.submit(submission).await?, false)
}
