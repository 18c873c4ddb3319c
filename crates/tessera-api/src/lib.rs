//! The HTTP API: extract, build the command, submit, render. No rules and no SQL stand here.
//!
//! Only registered routes are served, and those are the OpenAPI at `/openapi.json`.

mod connections;
mod docs;
mod extract;
mod guessing;
mod measured;
mod openapi;
mod problem;
mod readers;
mod routes;
mod state;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;

pub use connections::{ConnectionLimits, serve};
pub use guessing::CodeLimits;
pub use measured::describe_metrics;
pub use openapi::document;
pub use problem::Problem;
pub use state::AppState;

/// The largest body, in bytes; NDJSON is streamed and may be larger.
pub const BODY_MAX: usize = 1024 * 1024;

/// The largest NDJSON stream, in bytes.
pub const STREAM_MAX: usize = 64 * 1024 * 1024;

/// Every route, with limits and answers for what is not found.
pub fn router(state: AppState) -> Router {
    let (routes, _) = openapi::routes().split_for_parts();
    routes
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .merge(
            Router::new()
                .route("/openapi.json", get(docs::openapi))
                .route("/docs", get(docs::page))
                .route("/docs/{file}", get(docs::asset))
                .route("/", get(docs::root)),
        )
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(state.clone(), state::count))
        .with_state(state)
}
