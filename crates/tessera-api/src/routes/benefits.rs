use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tessera_core::event::{Situation, UseBenefit};
use tessera_core::id::EventId;
use tessera_core::program::Id;
use tessera_core::quantity::Amount;
use tessera_core::time::Instant;
use tessera_engine::query;
use tessera_engine::submission::Submission;
use utoipa::ToSchema;

use super::events::{Told, render};
use super::members::{language, named, subject};
use crate::extract::{
    Body, Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, ReadMembers, WriteBenefits, parse,
};
use crate::{AppState, Problem};

/// What is known of the moment: conditions of benefits read it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// The order it is used for: a return of all of it may give the use back
    #[schema(example = "A-7")]
    order_id: Option<String>,
    /// What the order comes to, in the program's currency
    #[schema(value_type = Option<String>, example = "350000")]
    total: Option<Amount>,
    #[schema(value_type = Option<String>, example = "25000")]
    shipping: Option<Amount>,
    location: Option<String>,
    channel: Option<String>,
    /// When what is asked for is open to everybody: early access counts from it
    #[schema(example = "2026-12-01T00:00:00+07:00")]
    public_at: Option<String>,
}

/// The longest text of a use, in bytes.
const TEXT_MAX: usize = 400;

impl Use {
    fn read(&self) -> Result<Situation, Problem> {
        for (name, text) in [("order_id", &self.order_id), ("location", &self.location), ("channel", &self.channel)] {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > TEXT_MAX) {
                return Err(Problem::invalid(format!("{name}: 1 to {TEXT_MAX} bytes are expected")));
            }
        }
        let public_at = self.public_at.as_ref().map(|text| text.parse::<Instant>()).transpose();
        let public_at = public_at
            .map_err(|_| Problem::invalid("public_at: a time such as 2026-12-01T00:00:00+07:00 is expected"))?;
        Ok(Situation {
            total: self.total,
            shipping: self.shipping,
            location: self.location.as_deref().map(Into::into),
            channel: self.channel.as_deref().map(Into::into),
            public_at,
        })
    }
}

/// What is known of an order at the checkout, behind the `?`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    total: Option<String>,
    shipping: Option<String>,
    location: Option<String>,
    channel: Option<String>,
    public_at: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

impl Checkout {
    fn page(&self) -> PageQuery {
        PageQuery { limit: self.limit, after: self.after.clone() }
    }

    fn read(self) -> Result<Situation, Problem> {
        let amount = |name: &str, text: Option<String>| {
            let read = text.map(|text| text.parse::<Amount>()).transpose();
            read.map_err(|_| Problem::invalid(format!("{name}: an amount such as 350000 is expected")))
        };
        let read = Use {
            order_id: None,
            total: amount("total", self.total)?,
            shipping: amount("shipping", self.shipping)?,
            location: self.location,
            channel: self.channel,
            public_at: self.public_at,
        };
        read.read()
    }
}

fn benefit(text: &str) -> Result<Id, Problem> {
    text.parse()
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "unknown-benefit", "the program has no benefit of this name"))
}

/// Benefits a member has now: from where, until when, how many uses are left, and whether each can be used at this
/// checkout.
///
/// Needs `members:read`.
///
/// Conditions such as a least order read what stands behind the `?`; without it `refused` says what to ask with.
#[utoipa::path(get, path = "/v1/programs/{program}/members/{member}/entitlements", tag = "benefits", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path),
        ("total" = Option<String>, Query, description = "What the order comes to", example = "350000"),
        ("shipping" = Option<String>, Query), ("location" = Option<String>, Query), ("channel" = Option<String>, Query),
        ("public_at" = Option<String>, Query, description = "When what is asked for is open to everybody"),
        PageQuery, ("Accept-Language" = Option<String>, Header, example = "vi")),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "benefit": "free-delivery", "kind": "free_shipping", "name": "Free delivery", "text": null,
            "from": [{ "by": "tier", "ladder": "cup", "level": "gold", "until": "2026-12-31T17:00:00Z" }],
            "until": "2026-12-31T17:00:00Z", "last_day": "2026-12-31",
            "uses": [{ "window": "month", "most": 2, "used": 1, "left": 1, "next": "2026-12-01" }],
            "when": "event.total >= 300000", "opens": null, "opens_at": null, "partner": null,
            "usable": true, "refused": null }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_entitlements(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, member)): Path<(String, String)>,
    Parameters(checkout): Parameters<Checkout>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let page = checkout.page();
    let (asked, situation, language) = (subject(&member)?, checkout.read()?, language(&headers));
    let (context, program) = (app.context.clone(), caller.program.clone());
    let found = app.read(move || Ok(query::entitlements(&context, &program, &asked, &situation, &language)?)).await?;
    match found {
        Some(items) => Ok(Json(page.of(&items, |_, item| item.entitlement.benefit.to_string())?)),
        // It knows why there is nobody.
        None => Err(named(&app, &caller.program, &member).await.err().unwrap_or_else(Problem::unknown_member)),
    }
}

/// Uses a benefit.
///
/// Needs `benefits:write`.
///
/// `effects` say how many uses are left; the event's id is that of the use.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/entitlements/{benefit}/use", tag = "benefits", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), ("benefit" = String, Path, example = "free-delivery"),
        ("Idempotency-Key" = String, Header, description = "Yours, new for each use")),
    request_body(content = Option<Use>),
    responses((status = 200, description = "The outcome", body = Object),
        (status = 409, description = "Used up: `used`, `most` and the day of the `next`; or not the member's", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Its condition does not hold here", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_benefit_use(
    State(app): State<AppState>,
    caller: Caller<WriteBenefits>,
    Path((_, member, name)): Path<(String, String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let body: Use = if bytes.iter().all(u8::is_ascii_whitespace) { Use::default() } else { parse(&bytes)? };
    let situation = body.read()?;
    let wish = UseBenefit { benefit: benefit(&name)?, order_id: body.order_id.as_deref().map(Into::into), situation };
    let (member, now) = (subject(&member)?, app.context.clock.now());
    let submission = Submission::use_benefit(&app.context.secrets, &caller.program, member, wish, &key, now);
    render(app.submit(submission).await?, false)
}

/// A use that is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UseBack {
    /// The id of the event that used it
    #[serde(rename = "use")]
    #[schema(example = "evt_…_3")]
    used: String,
}

/// Takes a use of a benefit back: it can be used once more, as long as its window is open.
///
/// Needs `benefits:write`.
///
/// A return of the whole order does so by itself where the document says `on_return: give_back`.
#[utoipa::path(post, path = "/v1/programs/{program}/members/{member}/entitlements/{benefit}/return", tag = "benefits", security(("key" = [])),
    params(("program" = String, Path), ("member" = String, Path), ("benefit" = String, Path, example = "free-delivery"),
        ("Idempotency-Key" = String, Header)),
    request_body = UseBack,
    responses((status = 200, description = "The outcome", body = Object),
        (status = 404, description = "There is no such use, or it is too long ago", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_benefit_return(
    State(app): State<AppState>,
    caller: Caller<WriteBenefits>,
    Path((_, member, name)): Path<(String, String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<UseBack>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    benefit(&name)?;
    let member = named(&app, &caller.program, &member).await?;
    let used = body.used.parse::<EventId>().ok().filter(|used| used.member == member);
    let unknown = || {
        let detail = "this member has no such use of a benefit";
        Problem::new(StatusCode::NOT_FOUND, "unknown-benefit-use", detail)
    };
    let used = used.ok_or_else(unknown)?;
    let now = app.context.clock.now();
    let submission = Submission::return_benefit(&app.context.secrets, &caller.program, used, &key, now);
    render(app.submit(submission).await?, false)
}

/// Every benefit of the program in every language of its document, and which levels and campaigns give it.
///
/// Needs `document:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/benefits", tag = "benefits", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), PageQuery),
    responses((status = 200, description = "`items`, in the order of their ids, and `next`", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_benefits(
    State(app): State<AppState>,
    caller: Caller<crate::extract::ReadDocument>,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let rules = caller.program.versions().at(app.context.clock.now()).clone();
    Ok(Json(page.of(&query::benefits(&rules), |_, benefit| benefit.id.to_string())?))
}
