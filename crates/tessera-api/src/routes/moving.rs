//! What members had in another system, as a stream.

use axum::extract::{Request, State};
use axum::response::Response;

use super::events::{Options, stream};
use crate::extract::{Caller, WriteMoving};
use crate::{AppState, Problem};

/// Takes members, lots and vouchers of another system, as NDJSON of CloudEvents.
///
/// Needs `moving:write`.
///
/// The types are `move-in` (a member as they were there), `import` (a lot, its time the day it was earned) and
/// `move-voucher`; `docs/moving-in.md` lists their data. Nothing fires: no welcome, no campaign, no notice of a level.
/// `source` and `id` make a line unique for ever. The answer has a line for each line, in the same order.
#[utoipa::path(post, path = "/v1/programs/{program}/moving-in", tag = "members", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup")),
    request_body(content = String, content_type = "application/x-ndjson",
        example = "{\"type\": \"move-in\", \"source\": \"old\", \"id\": \"88-1\", \"subject\": \"old:88-1\", \"data\": {\"joined\": \"2019-05-06\", \"balances\": {\"bean\": 40}}}"),
    responses((status = 200, description = "A line of outcome or problem for each line", body = String, content_type = "application/x-ndjson"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_moving_in(
    State(app): State<AppState>,
    caller: Caller<WriteMoving>,
    request: Request,
) -> Result<Response, Problem> {
    Ok(stream(app, caller.program, request, Options { moving: true, ..Options::default() }))
}
