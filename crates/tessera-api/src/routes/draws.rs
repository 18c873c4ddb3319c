use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::program::Id;
use tessera_engine::query::{self, DrawPlace};

use crate::extract::{Caller, PageQuery, Parameters, ReadMembers, WantedPage};
use crate::{AppState, Problem};

#[derive(Debug, Deserialize)]
pub struct Of {
    campaign: Option<String>,
}

/// What a campaign's rules with a `chance` drew, won or not, newest first: the audit of its surprises.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/draws", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("campaign" = String, Query, example = "lucky-cup"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "event_id": "evt_…_3", "member": "mem_…", "time": "2026-03-02T03:00:00Z", "campaign": "lucky-cup",
            "rule": 0, "chance": "0.05", "drawn": 31415, "won": true }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_draws(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Parameters(of): Parameters<Of>,
    WantedPage(page, ..): WantedPage<DrawPlace>,
) -> Result<Json<Value>, Problem> {
    let campaign = of.campaign.and_then(|campaign| campaign.parse::<Id>().ok());
    let campaign = campaign.ok_or_else(|| Problem::invalid("campaign: the name of a campaign is expected"))?;
    let context = app.context.clone();
    app.blocking(move || Ok(Json(json!(query::draws(&context, &caller.program, &campaign, &page)?)))).await
}
