use axum::extract::State;
use axum::http::StatusCode;

use crate::{AppState, Problem};

/// Says that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, description = "It lives")))]
pub async fn show_health() -> &'static str {
    "ok\n"
}

/// Says whether the database answers and events are taken.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "Ready"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn show_readiness(State(app): State<AppState>) -> Result<&'static str, Problem> {
    if app.executor.waiting() >= tessera_engine::executor::QUEUE_MAX {
        return Err(Problem::overloaded());
    }
    let context = app.context.clone();
    app.blocking(move || context.programs.list(&context.database).map_err(Problem::from))
        .await
        .map_err(|_| Problem::unavailable())?;
    Ok("ready\n")
}

/// Counters and gauges in the text form of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "Prometheus text", content_type = "text/plain")))]
pub async fn list_metrics(State(app): State<AppState>) -> Result<String, Problem> {
    match &app.metrics {
        Some(metrics) => Ok(metrics.render()),
        None => Err(Problem::new(StatusCode::NOT_FOUND, "no-metrics", "this process keeps no metrics")),
    }
}
