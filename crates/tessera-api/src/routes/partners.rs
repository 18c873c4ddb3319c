//! Partners: what they say of orders, what was ordered from them, and where their e-gifts are taken.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_connect::signature::{HEADERS, SignedHeaders};
use tessera_core::id::EventId;
use tessera_core::program::Id;
use tessera_core::time::Day;
use tessera_engine::partner::{self, Received};
use tessera_engine::submission::Answer;

use crate::extract::{Body, Caller, PageQuery, Parameters, ReadMembers, WantedPage};
use crate::{AppState, Problem};

fn unknown_partner() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown-partner", "there is no such partner here")
}

/// Takes what a partner says of an order: delivered, refused, used, expired or refunded.
///
/// Needs no key but the partner's signature, by the Standard Webhooks scheme: `webhook-id`, `webhook-timestamp` and
/// `webhook-signature` over `id.timestamp.body`, at most five minutes old. Said again under the same id it changes
/// nothing. Refused or refunded, the points go back to the lots they came from.
#[utoipa::path(post, path = "/v1/programs/{program}/partners/{partner}/notices", tag = "partners",
    params(("program" = String, Path, example = "copper-cup"), ("partner" = String, Path, example = "giftly"),
        ("webhook-id" = String, Header, example = "ntc_71"), ("webhook-timestamp" = String, Header, example = "1767603600"),
        ("webhook-signature" = String, Header, example = "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=")),
    request_body(content = Object, example = json!({ "type": "order.used", "order": "evt_…_3", "reference": "GF-2201" })),
    responses((status = 200, description = "`status` is `applied`, or `duplicate` where it was known", body = Object, example = json!({ "status": "applied" })),
        (status = 401, description = "The signature is wrong or too old", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The partner has no such order", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The order does not become that from where it is", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_partner_notice(
    State(app): State<AppState>,
    Path((program, partner)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    // Whether there is such a program is nobody's business here.
    let program = match app.program(&program).await {
        Ok(program) => program,
        Err(problem) if problem.status == StatusCode::NOT_FOUND => return Err(unknown_partner()),
        Err(problem) => return Err(problem),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let [id, timestamp, signature] = HEADERS.map(header);
    let signed = SignedHeaders { id, timestamp, signature };
    let (context, executor, partners) = (app.context.clone(), app.executor.clone(), app.partners.clone());
    let read = move || Ok(partner::receive((&context, &executor), &partners, &program, &partner, (&signed, &body))?);
    let submission = match app.blocking(read).await? {
        Received::Says(submission) => *submission,
        Received::Known => return Ok(Json(json!({ "status": "duplicate" }))),
        Received::Refused(refusal) => return Err(refusal.into()),
    };
    match app.submit(submission).await? {
        Answer::Done { outcome, .. } => Ok(Json(json!({ "status": outcome.status }))),
        Answer::Refused(refusal) => Err(refusal.into()),
        Answer::Unavailable => Err(Problem::unavailable()),
    }
}

/// The month that is asked for.
#[derive(Debug, Deserialize)]
pub struct Month {
    month: String,
}

impl Month {
    fn day(&self) -> Result<Day, Problem> {
        let wrong = || Problem::invalid("month: a month is expected, such as 2026-10");
        format!("{}-01", self.month).parse().map_err(|_| wrong())
    }
}

fn named(partner: &str) -> Result<Id, Problem> {
    partner.parse().map_err(|_| unknown_partner())
}

/// What was ordered from a partner in a month of the program's days, and what became of it.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/partners/{partner}/orders", tag = "partners", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("partner" = String, Path, example = "giftly"),
        ("month" = String, Query, example = "2026-10"), PageQuery),
    responses((status = 200, description = "`products` by what became of them in the whole month, and the orders in `items`, oldest first", body = Object,
        example = json!({ "products": [{ "partner": "giftly", "product": "COFFEE-50", "orders": 2, "by_state": { "delivered": 1, "used": 1 } }],
            "items": [{ "order": "evt_…_3", "partner": "giftly", "product": "COFFEE-50", "state": "used", "reference": "GF-2201", "ordered_at": "2026-10-02T03:00:00Z", "changed_at": "2026-10-03T03:00:00Z" }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_partner_orders(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, partner)): Path<(String, String)>,
    Parameters(month): Parameters<Month>,
    WantedPage(page, ..): WantedPage<EventId>,
) -> Result<Json<Value>, Problem> {
    let (context, partner, day) = (app.context.clone(), named(&partner)?, month.day()?);
    app.blocking(move || {
        let products = partner::month_products(&context, &caller.program, (&partner, day))?;
        let page = partner::month_page(&context, &caller.program, (&partner, day), &page)?;
        Ok(Json(json!({ "products": products, "items": page.items, "next": page.next })))
    })
    .await
}

/// Holds our orders of a month against a partner's own list of it, and lists every difference.
///
/// Needs `members:read`.
///
/// The list is CSV with the columns `order` and `state`, and where they have them `product` and `reference`. Nothing is
/// changed by it.
#[utoipa::path(post, path = "/v1/programs/{program}/partners/{partner}/reconciliation", tag = "partners", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("partner" = String, Path, example = "giftly"),
        ("month" = String, Query, example = "2026-10")),
    request_body(content = String, content_type = "text/csv", example = "order,state,reference\nevt_…_3,used,GF-2201\n"),
    responses((status = 200, body = Object,
        example = json!({ "ours": 2, "theirs": 2, "agree": 1, "differences": [{ "kind": "state", "order": "evt_…_3", "ours": "delivered", "theirs": "used" }] })),
        (status = 400, description = "It is no such list; `line` says where", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_partner_reconciliation(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, partner)): Path<(String, String)>,
    Parameters(month): Parameters<Month>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let (context, partner, day) = (app.context.clone(), named(&partner)?, month.day()?);
    let text = String::from_utf8(body.to_vec()).map_err(|_| Problem::invalid("the list is expected in UTF-8"))?;
    let orders = app.blocking(move || Ok(partner::month(&context, &caller.program, Some(&partner), day)?)).await?;
    let found = partner::reconcile(&orders, &text)
        .map_err(|problem| Problem::invalid(problem.to_string()).with("line", problem.line))?;
    Ok(Json(json!(found)))
}

/// Where an e-gift is taken.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/rewards/{reward}/shops", tag = "redemptions", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("reward" = String, Path, example = "coffee-gift"), PageQuery),
    responses((status = 200, description = "`items` and `next`; none for what is no e-gift", body = Object,
        example = json!({ "items": [{ "name": "Giftly Nguyễn Huệ", "address": "12 Nguyễn Huệ", "city": "Hồ Chí Minh" }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_shops(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, reward)): Path<(String, String)>,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let rules = caller.program.versions().at(app.context.clock.now()).clone();
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown-reward", "the program has no such reward");
    let reward = rules.reward(&reward).ok_or_else(unknown)?;
    let shops = reward.definition.gives.e_gift.as_ref().map(|gift| gift.shops.as_slice()).unwrap_or_default();
    // Two shops may have one name.
    Ok(Json(page.of(shops, |number, _| number.to_string())?))
}
