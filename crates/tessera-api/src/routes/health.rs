use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use tessera_engine::executor::tell;

use crate::{AppState, Problem};

/// Says that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, description = "It lives")))]
pub async fn show_health() -> &'static str {
    "ok\n"
}

/// How long the database may take to answer before it is said not to.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Says whether the database answers and events are taken, and what is wrong where not.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "Ready"), (status = 503, description = "Not ready; `detail` says why", body = Problem, content_type = "application/problem+json")))]
pub async fn show_readiness(State(app): State<AppState>) -> Result<&'static str, Problem> {
    if app.executor.is_full() {
        return Err(Problem::overloaded());
    }
    let context = app.context.clone();
    let read = app.blocking(move || Ok(context.programs.list(&context.database)));
    match tokio::time::timeout(ANSWER_WITHIN, read).await {
        Ok(Ok(Ok(_))) => {}
        Ok(Ok(Err(error))) => return Err(Problem::not_ready(&tell(&error))),
        Ok(Err(problem)) => return Err(problem),
        Err(_) => return Err(Problem::not_ready("the database does not answer")),
    }
    if app.executor.health().trouble().is_some() {
        // Nobody sends events to a server that is not ready, so it has to find out by itself.
        let executor = app.executor.clone();
        let tried = app.blocking(move || {
            executor.try_to_write(ANSWER_WITHIN);
            Ok(())
        });
        tried.await?;
    }
    match app.executor.health().trouble() {
        Some(trouble) => Err(Problem::not_ready(&trouble)),
        None => Ok("ready\n"),
    }
}

/// Counters and gauges in the text form of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "Prometheus text", content_type = "text/plain")))]
pub async fn list_metrics(State(app): State<AppState>) -> Result<String, Problem> {
    match &app.metrics {
        Some(metrics) => {
            metrics::gauge!("tessera_queue_depth").set(app.executor.waiting() as f64);
            Ok(metrics.render())
        }
        None => Err(Problem::new(StatusCode::NOT_FOUND, "no-metrics", "this process keeps no metrics")),
    }
}
