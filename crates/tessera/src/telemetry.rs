//! What the server tells of itself while it runs: log lines on standard error, and traces to a collector that is asked for.

use std::io::IsTerminal;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Response};
use axum::middleware::{self, Next};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Instrument;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Resolved;
use crate::output::{Failure, colours};

/// How long a collector may take for one batch of spans. Requests never wait for it.
const COLLECTOR_PATIENCE: Duration = Duration::from_secs(10);

/// Where OpenTelemetry's own variables say that a collector is.
const COLLECTOR_VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line, for whatever gathers logs.
    Json,
}

/// Keeps traces going; the last spans are sent when it is dropped.
#[derive(Debug, Default)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Logs and traces as the settings say. `TESSERA_LOG` wins over their level.
    ///
    /// # Errors
    /// A failure if the collector's address is none.
    pub fn start(settings: &Resolved) -> Result<Self, Failure> {
        let traces = collector(settings).map(|()| provider(settings)).transpose()?;
        let spans = traces.as_ref().map(|traces| {
            tracing_opentelemetry::layer()
                .with_tracer(traces.tracer("tessera"))
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false)
                .with_filter(Targets::new().with_target(tessera_engine::SPANS, LevelFilter::DEBUG))
        });
        let lines = lines(&settings.log, settings.log_format);
        // Only the first of several subscribers in one process counts; that is the one wanted.
        let _ = tracing_subscriber::registry().with(spans).with(lines).try_init();
        Ok(Self { traces })
    }

    /// Logs alone, for commands that serve only by the way.
    pub fn log(level: &str) {
        let _ = tracing_subscriber::registry().with(lines(level, LogFormat::Text)).try_init();
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

/// Log lines; the spans of requests are for traces and not repeated in each of them.
fn lines<S>(level: &str, format: LogFormat) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let filter = EnvFilter::try_from_env("TESSERA_LOG").unwrap_or_else(|_| level.into());
    let filter = match format!("{}=off", tessera_engine::SPANS).parse() {
        Ok(no_spans) => filter.add_directive(no_spans),
        Err(_) => filter,
    };
    // A file is for other programs to read.
    let coloured = colours(std::io::stderr().is_terminal());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(coloured);
    match format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_current_span(false).with_span_list(false).with_filter(filter).boxed(),
    }
}

/// Whether somebody asked for traces.
fn collector(settings: &Resolved) -> Option<()> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    (settings.collector.is_some() || COLLECTOR_VARIABLES.into_iter().any(is_set)).then_some(())
}

fn provider(settings: &Resolved) -> Result<SdkTracerProvider, Failure> {
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new())
        .with_protocol(Protocol::HttpJson);
    if let Some(collector) = &settings.collector {
        exporter = exporter.with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')));
    }
    let exporter = exporter.build().map_err(|error| {
        Failure::usage(format!("traces cannot be sent: {error}")).right("write http://localhost:4318")
    })?;
    // Whoever calls with a trace of their own has decided whether it is kept.
    let share = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.traced_share)));
    let resource = Resource::builder().with_service_name("tessera").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(share).with_resource(resource).build())
}

/// Sends spans with the one HTTP client that is here anyway, on the thread that gathers them.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new() -> Self {
        let settings =
            ureq::Agent::config_builder().timeout_global(Some(COLLECTOR_PATIENCE)).http_status_as_error(false);
        Self(settings.build().into())
    }

    fn send(&self, request: axum::http::Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(axum::http::Request::from_parts(parts, body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        Ok(Response::from_parts(parts, body.read_to_vec()?.into()))
    }
}

impl HttpClient for Client {
    fn send_bytes<'client, 'future>(
        &'client self,
        request: axum::http::Request<Bytes>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'client: 'future,
        Self: 'future,
    {
        // The exporter's own thread waits for nothing else.
        Box::pin(std::future::ready(self.send(request)))
    }
}

/// Gives every request a span, in the caller's trace where it names one (W3C Trace Context).
pub fn traced(router: Router) -> Router {
    router.layer(middleware::from_fn(span))
}

async fn span(request: Request, next: Next) -> axum::response::Response {
    if !tracing::enabled!(target: tessera_engine::SPANS, tracing::Level::DEBUG) {
        return next.run(request).await;
    }
    // The route and not the path: paths hold ids and phone numbers.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let method = request.method().as_str();
    let span = tracing::debug_span!(
        target: tessera_engine::SPANS,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    // A trace that cannot be joined is one of our own.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&Headers(request.headers())));
    let response = next.run(request).instrument(span.clone()).await;
    // Signed, as what is unsigned arrives as a text.
    span.record("http.response.status_code", i64::from(response.status().as_u16()));
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}
