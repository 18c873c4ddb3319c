use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::event::{Membership, MembershipStep};
use tessera_core::program::Id;
use tessera_core::quantity::Amount;
use tessera_engine::query;
use tessera_engine::submission::Submission;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::{language, named, subject};
use crate::extract::{
    Body, Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, ReadMembers, WriteMemberships, parse,
};
use crate::{AppState, Problem};

/// A club that is joined or renewed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMembership {
    /// A plan of the document
    #[schema(example = "plus")]
    plan: String,
    /// Try it for nothing, where the plan has a trial
    #[serde(default)]
    trial: bool,
    /// What was paid, in the program's currency; left out, the plan's fee
    #[schema(value_type = Option<String>, example = "299000")]
    amount: Option<Amount>,
    /// The order or payment it was paid by
    #[schema(example = "pay-4711")]
    reference: Option<String>,
}

/// How a membership ends.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    /// At once, in place of with what is paid
    #[serde(default)]
    at_once: bool,
}

fn plan(text: &str) -> Result<Id, Problem> {
    text.parse()
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "unknown-plan", "the program has no club of this name"))
}

async fn step(
    app: &AppState,
    caller: Caller<WriteMemberships>,
    member: &str,
    wish: Membership,
    key: &str,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let (member, now) = (subject(member)?, app.context.clock.now());
    let submission = Submission::membership(&app.context.secrets, &caller.program, member, wish, key, now);
    render(app.submit(submission).await?, false)
}

/// The clubs a member pays for or has paid for.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/memberships", tag = "memberships", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), PageQuery,
        ("Accept-Language" = Option<String>, Header, example = "vi")),
    responses((status = 200, description = "`items` and `next`; `status` is `trial`, `paid`, `grace` or `ended`", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_memberships(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    Parameters(page): Parameters<PageQuery>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let (context, language) = (app.context.clone(), language(&headers));
    let clubs = app.blocking(move || Ok(query::clubs(&context, &caller.program, id, &language)?)).await?;
    let clubs = clubs.ok_or_else(Problem::unknown_member)?;
    Ok(Json(page.of(&clubs, |number, _| number.to_string())?))
}

/// Joins or renews a club by a fee that was paid, or begins its trial.
///
/// Needs `memberships:write`.
///
/// The same as the events `membership-fee` and `membership-trial`, which payment systems may send to `…/events` with the
/// time of the payment. A fee paid before the end of a period is for the next one.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/memberships", tag = "memberships", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), ("Idempotency-Key" = String, Header, description = "Yours, new for each fee")),
    request_body = NewMembership,
    responses((status = 200, description = "The outcome", body = Object),
        (status = 409, description = "The next period is paid already, or the trial was had", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_membership(
    State(app): State<AppState>,
    caller: Caller<WriteMemberships>,
    Path((_, member)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewMembership>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    if body.trial && (body.amount.is_some() || body.reference.is_some()) {
        return Err(Problem::invalid("trial: it costs nothing; leave `amount` and `reference` out"));
    }
    if body.amount.is_some_and(Amount::is_negative) {
        return Err(Problem::invalid("amount: what was paid is 0 or more"));
    }
    if body.reference.as_ref().is_some_and(|text| text.is_empty() || text.len() > 400) {
        return Err(Problem::invalid("reference: 1 to 400 bytes are expected"));
    }
    let fee = MembershipStep::Fee { amount: body.amount, reference: body.reference.as_deref().map(Into::into) };
    let wish = Membership { plan: plan(&body.plan)?, step: if body.trial { MembershipStep::Trial } else { fee } };
    step(&app, caller, &member, wish, &key).await
}

/// Ends a membership with what is paid, or at once.
///
/// Needs `memberships:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/memberships/{plan}/cancel", tag = "memberships", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), ("plan" = String, Path, example = "plus"), ("Idempotency-Key" = String, Header)),
    request_body(content = Option<Cancellation>),
    responses((status = 200, description = "The outcome", body = Object),
        (status = 409, description = "The member is not in it", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_cancellation(
    State(app): State<AppState>,
    caller: Caller<WriteMemberships>,
    Path((_, member, name)): Path<(String, String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let body: Cancellation =
        if bytes.iter().all(u8::is_ascii_whitespace) { Cancellation::default() } else { parse(&bytes)? };
    let wish = Membership { plan: plan(&name)?, step: MembershipStep::Cancel { at_once: body.at_once } };
    step(&app, caller, &member, wish, &key).await
}

/// Says what would be paid back of a fee now, and how that is worked out. Nothing is written.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/memberships/{plan}/refund", tag = "memberships", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), ("plan" = String, Path, example = "plus")),
    responses((status = 200, body = Object,
        example = json!({ "plan": "plus", "policy": "pro_rata_less_used", "rounding": "floor", "fee": "299000", "days": 365, "days_left": 200,
            "in_proportion": "163835", "paid_ahead": "0", "used": [{ "benefit": "free-delivery", "times": 2, "worth": "15000", "amount": "30000" }],
            "less_used": "30000", "refund": "133835",
            "words": "200 of 365 days of 299000: 163835, rounded down; less 2 × 15000 for free-delivery; 133835 back" })),
        (status = 409, description = "There is nothing to pay back", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_membership_refund(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member, name)): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let plan = plan(&name)?;
    let id = named(&app, &caller.program, &member).await?;
    let context = app.context.clone();
    let quote = app.blocking(move || Ok(query::quote_refund(&context, &caller.program, id, &plan)?)).await?;
    Ok(Json(json!(quote.ok_or_else(Problem::unknown_member)??)))
}

/// Notes that what is left of a fee was paid back: the membership ends at once. Nothing is paid by this call.
///
/// Needs `memberships:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/memberships/{plan}/refund", tag = "memberships", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), ("plan" = String, Path, example = "plus"), ("Idempotency-Key" = String, Header)),
    responses((status = 200, description = "The outcome; the effect `club_refunded` has the sum and the calculation", body = Object),
        (status = 409, description = "There is nothing to pay back", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_membership_refund(
    State(app): State<AppState>,
    caller: Caller<WriteMemberships>,
    Path((_, member, name)): Path<(String, String, String)>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let wish = Membership { plan: plan(&name)?, step: MembershipStep::Refund };
    step(&app, caller, &member, wish, &key).await
}
