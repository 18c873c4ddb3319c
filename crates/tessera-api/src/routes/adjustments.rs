use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tessera_core::event::Adjustment;
use tessera_engine::identifier::Subject;
use tessera_engine::submission::Submission;
use utoipa::ToSchema;

use super::events::{Told, render};
use crate::extract::{Caller, IdempotencyKey, JsonBody, WriteAdjustments};
use crate::{AppState, Problem};

/// A manual change of a balance.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdjustment {
    /// A member's id, or `kind:value`
    #[schema(example = "phone:+84901234567")]
    member: String,
    #[schema(example = "bean")]
    currency: String,
    /// Units given; taken when negative
    #[schema(example = 50)]
    amount: i64,
    /// Why, shown in the member's history
    #[schema(example = "apology for a cold latte")]
    reason: String,
}

/// The most one adjustment may move.
const AMOUNT_MAX: i64 = 1_000_000_000;

/// Gives or takes points by hand.
///
/// Needs `adjustments:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/adjustments", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header, description = "Yours, new for each adjustment")),
    request_body = NewAdjustment,
    responses((status = 200, description = "The outcome", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_adjustment(
    State(app): State<AppState>,
    caller: Caller<WriteAdjustments>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewAdjustment>,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let member: Subject = body
        .member
        .parse()
        .map_err(|error: tessera_engine::identifier::IdentifierError| Problem::invalid(format!("member: {error}")))?;
    let currency =
        body.currency.parse().map_err(|_| Problem::invalid("currency: the name of a currency is expected"))?;
    if body.amount.unsigned_abs() > AMOUNT_MAX.unsigned_abs() {
        return Err(Problem::invalid(format!("amount: at most {AMOUNT_MAX} at a time")));
    }
    if body.reason.trim().is_empty() || body.reason.len() > 200 {
        return Err(Problem::invalid("reason: 1 to 200 bytes are expected; the member sees it"));
    }
    let adjustment = Adjustment { currency, amount: body.amount, reason: body.reason.as_str().into() };
    let submission = Submission::adjustment(
        &app.context.secrets,
        &caller.program,
        member,
        adjustment,
        &key,
        app.context.clock.now(),
    );
    render(app.submit(submission).await?, false)
}
