use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use tessera_engine::referral;

use super::members::named;
use crate::extract::{Caller, PageQuery, ReadMembers, WantedPage};
use crate::{AppState, Problem};

/// A member's referral code and the token for links: by either of them a friend says who brought them.
///
/// Needs `members:read`.
///
/// A friend joins with it as `referred_by`, or says it in their profile within the document's `told_within` and before the
/// first purchase.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/referral", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path)),
    responses((status = 200, description = "`code` and `token`", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_referral(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let (context, executor) = (app.context.clone(), app.executor.clone());
    app.blocking(move || Ok(Json(json!(referral::code(&context, &executor, &caller.program, id)?)))).await
}

/// Those whom a member brought, newest first: `joined`, `qualified`, `paid`, `reversed` or `refused` with the reason.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/referrals", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("member" = String, Path), PageQuery),
    responses((status = 200, description = "`items` and `next`; friends by id only", body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_referrals(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let id = named(&app, &caller.program, &member).await?;
    let context = app.context.clone();
    app.blocking(move || Ok(Json(json!(referral::referrals(&context, &caller.program, id, &page)?)))).await
}
