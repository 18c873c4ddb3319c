use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::decide::{EffectKind, Outcome};
use tessera_core::event::HouseholdStep;
use tessera_core::id::MemberId;
use tessera_core::program::Id;
use tessera_engine::household::{InvitationCode, unknown_household};
use tessera_engine::identifier::Subject;
use tessera_engine::query::{self, HouseholdView};
use tessera_engine::submission::{Answer, Submission};
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::{named, subject};
use crate::extract::{Caller, IdempotencyKey, JsonBody, PageQuery, ReadMembers, WantedPage, WriteHouseholds};
use crate::{AppState, Problem};

/// Who founds a household.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHousehold {
    /// A member's id, or `kind:value`: the head
    #[schema(example = "phone:+84901234567")]
    member: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// Who of the household invites
    #[schema(example = "phone:+84901234567")]
    by: String,
    /// The member whom alone it is for; left out, whoever has the code
    #[schema(example = "card:4711")]
    to: Option<String>,
}

/// Somebody who accepts an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    #[schema(example = "card:4711")]
    member: String,
    /// The invitation's code; left out by whom an invitation names
    #[schema(example = "7K3M-PQ2R-9WXA-B4CD")]
    code: Option<String>,
}

/// Whom the head sends away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRemoval {
    /// The head
    by: String,
    member: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHead {
    /// The head until now
    by: String,
    to: String,
}

/// Points that a member puts into the pool.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContribution {
    member: String,
    #[schema(example = "point")]
    currency: String,
    /// Units, at least 1
    #[schema(example = 500)]
    amount: i64,
}

type Done = (StatusCode, HeaderMap, Json<Told>);

pub(super) fn household_id(text: &str) -> Result<MemberId, Problem> {
    text.parse().map_err(|_| Problem::from(unknown_household()))
}

async fn submit(
    app: &AppState,
    caller: &Caller<WriteHouseholds>,
    about: Subject,
    step: HouseholdStep,
    key: &str,
) -> Result<Answer, Problem> {
    let now = app.context.clock.now();
    app.submit(Submission::household(&app.context.secrets, &caller.program, about, step, key, now)).await
}

/// What became of a step.
async fn step(
    app: &AppState,
    caller: &Caller<WriteHouseholds>,
    about: Subject,
    step: HouseholdStep,
    key: &str,
) -> Result<Done, Problem> {
    render(submit(app, caller, about, step, key).await?, false)
}

/// Founds a household; the member is its head.
///
/// Needs `households:write`.
///
/// The answer is the member's. `household` is its id, under which it is there a moment later.
#[utoipa::path(post, path = "/v1/programs/{program}/households", tag = "households", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header, description = "Yours, new for each household")),
    request_body = NewHousehold,
    responses((status = 201, description = "The founder's outcome and `household`", body = Object),
        (status = 409, description = "The member is in a household, or left one a short time ago", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_household(
    State(app): State<AppState>,
    caller: Caller<WriteHouseholds>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewHousehold>,
) -> Result<(StatusCode, HeaderMap, Json<Value>), Problem> {
    let answer = submit(&app, &caller, subject(&body.member)?, HouseholdStep::Found { known: None }, &key).await?;
    let household = match &answer {
        Answer::Done { outcome, .. } => of_outcome(outcome),
        _ => None,
    };
    let (_, headers, Json(told)) = render(answer, false)?;
    let mut told = json!(told);
    told["household"] = household.into();
    Ok((StatusCode::CREATED, headers, Json(told)))
}

fn of_outcome(outcome: &Outcome) -> Option<String> {
    let founded = outcome.effects.iter().find(|effect| effect.kind == EffectKind::HouseholdFounded);
    founded.and_then(|effect| effect.member.as_ref().map(ToString::to_string))
}

/// A household: its people, its pool and each one's part of it, settled to now.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/households/{household}", tag = "households", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("household" = String, Path, example = "mem_…")),
    responses((status = 200, description = "The household", body = Object,
        example = json!({ "id": "mem_…", "founded_at": "2026-11-20T02:30:00Z", "status": "open",
            "people": [{ "member": "mem_…", "since": "2026-11-20", "head": true, "part": { "point": 60 } }],
            "pool": { "point": { "available": 60, "pending": 0, "held": 0, "debt": 0 } }, "common": {}, "invitations": [] })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_household(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, household)): Path<(String, String)>,
) -> Result<Json<HouseholdView>, Problem> {
    let (context, id) = (app.context.clone(), household_id(&household)?);
    let found = app.blocking(move || Ok(query::household(&context, &caller.program, id)?)).await?;
    found.map(Json).ok_or_else(|| Problem::from(unknown_household()))
}

/// The ledger of a household's pool, newest first.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/households/{household}/entries", tag = "households", security(("key" = [])),
    params(("program" = String, Path), ("household" = String, Path), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_pool_entries(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, household)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let (context, id) = (app.context.clone(), household_id(&household)?);
    let found = app.blocking(move || {
        let known = query::household(&context, &caller.program, id)?;
        let entries = known.map(|_| query::entries(&context, &caller.program, id, &page)).transpose()?;
        Ok(entries)
    });
    found.await?.map(|entries| Json(json!(entries))).ok_or_else(|| Problem::from(unknown_household()))
}

/// Invites somebody: one member, or whoever has the code.
///
/// Needs `households:write`.
///
/// The answer shows the code, and so does the same request sent again; nothing else does. Nobody is in the household
/// before they accept.
#[utoipa::path(post, path = "/v1/programs/{program}/households/{household}/invitations", tag = "households", security(("key" = [])),
    params(("program" = String, Path), ("household" = String, Path), ("Idempotency-Key" = String, Header, description = "Yours, new for each invitation")),
    request_body = NewInvitation,
    responses((status = 201, description = "`code`, and `until` when it can be accepted", body = Object,
        example = json!({ "event_id": "evt_…_2", "household": "mem_…", "code": "7K3M-PQ2R-9WXA-B4CD", "until": "2026-11-27T17:00:00Z" })),
        (status = 409, description = "The household is full", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_invitation(
    State(app): State<AppState>,
    caller: Caller<WriteHouseholds>,
    Path((_, household)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewInvitation>,
) -> Result<(StatusCode, HeaderMap, Json<Value>), Problem> {
    let id = household_id(&household)?;
    let by = named(&app, &caller.program, &body.by).await?;
    let to = match &body.to {
        Some(to) => Some(named(&app, &caller.program, to).await?),
        None => None,
    };
    let code = InvitationCode::fresh(&app.context.secrets, caller.program.number, &key);
    let invite = HouseholdStep::Invite { by, to, code: code.hash };
    let answer = submit(&app, &caller, Subject::Member(id), invite, &key).await?;
    let (event, until) = match &answer {
        Answer::Done { outcome, .. } => {
            (outcome.event_id.clone(), outcome.effects.iter().find_map(|effect| effect.until))
        }
        _ => Default::default(),
    };
    let (_, headers, _) = render(answer, false)?;
    let mut told = json!({ "event_id": event, "household": id.to_string(), "until": until });
    if to.is_none() {
        told["code"] = code.shown().into();
    }
    Ok((StatusCode::CREATED, headers, Json(told)))
}

/// Accepts an invitation.
///
/// Needs `households:write`.
///
/// The answer is the member's; the household takes them in right after it. Where it cannot, such as when somebody else
/// was faster, an event `follow-up-refused` of the member says why.
#[utoipa::path(post, path = "/v1/programs/{program}/households/{household}/members", tag = "households", security(("key" = [])),
    params(("program" = String, Path), ("household" = String, Path), ("Idempotency-Key" = String, Header, description = "Yours, new for each acceptance")),
    request_body = NewPerson,
    responses((status = 201, description = "The member's outcome", body = Object),
        (status = 409, description = "Not invited, in another household, or it is full", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_person(
    State(app): State<AppState>,
    caller: Caller<WriteHouseholds>,
    Path((_, household)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewPerson>,
) -> Result<Done, Problem> {
    let household = household_id(&household)?;
    let member = named(&app, &caller.program, &body.member).await?;
    let secrets = &app.context.secrets;
    let code = match &body.code {
        Some(text) => Some(InvitationCode::parse(secrets, caller.program.number, text)?.hash),
        None => None,
    };
    let (context, program) = (app.context.clone(), caller.program.clone());
    let looked =
        app.blocking(move || Ok(query::may_join(&context, &program, household, member, code.as_ref())?)).await?;
    looked.map_err(Problem::from)?;
    let accept = HouseholdStep::Accept { household, code };
    let (_, headers, told) = step(&app, &caller, Subject::Member(member), accept, &key).await?;
    Ok((StatusCode::CREATED, headers, told))
}

/// Leaves the household. What the member has put in and is still there comes back to them.
///
/// Needs `households:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/household/leave", tag = "households", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, description = "The member's outcome", body = Object),
        (status = 409, description = "The member is in no household", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_household_leave(
    State(app): State<AppState>,
    caller: Caller<WriteHouseholds>,
    Path((_, member)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Done, Problem> {
    step(&app, &caller, subject(&member)?, HouseholdStep::Leave, &key).await
}

/// Sends somebody away: the head does. What they have put in and is still there comes back to them.
///
/// Needs `households:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/households/{household}/removals", tag = "households", security(("key" = [])),
    params(("program" = String, Path), ("household" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = NewRemoval,
    responses((status = 200, description = "The household's outcome", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_removal(
    State(app): State<AppState>,
    caller: Caller<WriteHouseholds>,
    Path((_, household)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewRemoval>,
) -> Result<Done, Problem> {
    let about = Subject::Member(household_id(&household)?);
    let by = named(&app, &caller.program, &body.by).await?;
    let member = named(&app, &caller.program, &body.member).await?;
    step(&app, &caller, about, HouseholdStep::Remove { by, member }, &key).await
}

/// Makes somebody else of the household its head.
///
/// Needs `households:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/households/{household}/head", tag = "households", security(("key" = [])),
    params(("program" = String, Path), ("household" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = NewHead,
    responses((status = 200, description = "The household's outcome", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_head(
    State(app): State<AppState>,
    caller: Caller<WriteHouseholds>,
    Path((_, household)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewHead>,
) -> Result<Done, Problem> {
    let about = Subject::Member(household_id(&household)?);
    let by = named(&app, &caller.program, &body.by).await?;
    let to = named(&app, &caller.program, &body.to).await?;
    step(&app, &caller, about, HouseholdStep::NewHead { by, to }, &key).await
}

/// Puts a member's points into the pool of their household by hand.
///
/// Needs `households:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/household-contributions", tag = "households", security(("key" = [])),
    params(("program" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = NewContribution,
    responses((status = 201, description = "The member's outcome", body = Object),
        (status = 409, description = "In no household, or fewer points", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_contribution(
    State(app): State<AppState>,
    caller: Caller<WriteHouseholds>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewContribution>,
) -> Result<Done, Problem> {
    let currency: Id = body
        .currency
        .parse()
        .map_err(|_| Problem::invalid("currency: a name of the program's document is expected"))?;
    let put_in = HouseholdStep::PutIn { currency, amount: body.amount };
    let (_, headers, told) = step(&app, &caller, subject(&body.member)?, put_in, &key).await?;
    Ok((StatusCode::CREATED, headers, told))
}
