use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tessera_core::decide::{Cart, CartAsk, Outcome, OutcomeStatus, RuleTrace};
use tessera_core::event::Origin;
use tessera_core::id::EventId;
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query;
use tessera_engine::submission::{Answer, CloudEvent, Refusal, Submission};
use tokio::sync::{mpsc, oneshot};

use super::members::language;
use crate::extract::{
    Body, Caller, Parameters, ReadMembers, WriteEvents, line_too_large, parse, stream_too_large, too_slow,
};
use crate::guessing::Guesser;
use crate::{AppState, Problem, STREAM_MAX};

/// Events in one batch.
const BATCH_MAX: usize = 1_000;
/// Events of one stream that are under way at once.
const STREAM_AHEAD: usize = 512;
/// The longest line of a stream, in bytes without its end.
const LINE_MAX: usize = crate::BODY_MAX;

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Options {
    #[serde(default)]
    pub(super) explain: bool,
    /// Whether what another system had is meant, and nothing else.
    #[serde(skip)]
    pub(super) moving: bool,
    #[serde(skip)]
    pub(super) guesser: Option<Guesser>,
    /// From where the events come; what another system had comes from nowhere.
    #[serde(skip)]
    pub(super) origin: Origin,
}

/// Takes one CloudEvent, a batch, or a stream of NDJSON.
///
/// Needs `events:write`.
///
/// `source` and `id` make an event unique for ever: sending it again gives the first outcome. With `explain=true` every
/// rule says why it did or did not apply.
#[utoipa::path(post, path = "/v1/programs/{program}/events", tag = "events", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("explain" = Option<bool>, Query, description = "Say why for every rule")),
    request_body(content(
        (Object = "application/cloudevents+json", example = json!({ "specversion": "1.0", "id": "receipt-1", "source": "till-1", "type": "purchase",
            "subject": "phone:+84901234567", "time": "2026-11-20T09:30:00+07:00", "data": { "order_id": "A-1", "currency": "VND", "total": 98000,
            "items": [{ "line": "1", "sku": "LATTE", "category": "coffee", "quantity": 2, "unit_price": 49000 }] } })),
        (Vec<Object> = "application/cloudevents-batch+json"),
        (String = "application/x-ndjson"))),
    responses((status = 200, description = "The outcome; for a batch one for each event, for a stream one on each line", body = Value,
        example = json!({ "event_id": "evt_…_2", "status": "applied", "member": "mem_…", "program_version": 1,
            "effects": [{ "type": "accrual", "currency": "bean", "amount": 9, "campaign": "everyday", "expires_on": "2027-11-30" }],
            "balances": { "bean": { "available": 9, "pending": 0, "held": 0, "debt": 0 } }, "tiers": { "cup": "paper" } })),
        (status = 400, description = "Not an event this program knows", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Nobody is known under the subject", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Against what is already there", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Refused by a rule", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Come back in a second", body = Problem, content_type = "application/problem+json")))]
pub async fn create_event(
    State(app): State<AppState>,
    caller: Caller<WriteEvents>,
    Parameters(options): Parameters<Options>,
    request: Request,
) -> Result<Response, Problem> {
    let options = Options { guesser: Some(caller.guesser), origin: caller.origin, ..options };
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-ndjson" | "application/ndjson" => Ok(stream(app, caller.program, request, options)),
        "application/cloudevents-batch+json" => {
            let Body(bytes) = Body::from_request(request, &app).await?;
            batch(&app, &caller.program, &bytes, options).await.map(IntoResponse::into_response)
        }
        "" | "application/json" | "application/cloudevents+json" => {
            let Body(bytes) = Body::from_request(request, &app).await?;
            let submission = submission(&app, &caller.program, &bytes, &options).await?;
            let watched = app.watch(options.guesser, &submission)?;
            let answer = app.submit(submission).await?;
            watched(&answer);
            render(answer, options.explain).map(IntoResponse::into_response)
        }
        other => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            format!(
                "`{other}` is not read here: send application/cloudevents+json, application/cloudevents-batch+json or application/x-ndjson"
            ),
        )),
    }
}

/// Reads one event. An array where one event is expected is told how batches are sent.
async fn submission(
    app: &AppState,
    program: &Arc<ProgramHandle>,
    bytes: &[u8],
    options: &Options,
) -> Result<Submission, Problem> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        let detail = "a list of events is sent with `Content-Type: application/cloudevents-batch+json`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-json", detail));
    }
    let event = cloud_event(bytes)?;
    let is_moving = matches!(event.kind.as_ref(), "import" | "move-in" | "move-voucher");
    if is_moving != options.moving {
        let detail = if is_moving {
            "what another system had comes in by `tessera import members` or `POST …/moving-in`; points by hand, with `POST …/adjustments`"
        } else {
            "this takes `move-in`, `import` and `move-voucher`; other events go to `POST …/events`"
        };
        return Err(Refusal::new("unknown-event-type", detail).with("path", "type").into());
    }
    let read = || Submission::from_event(&app.context.secrets, program, &event, app.context.clock.now());
    let submission = match read() {
        // Where several processes share a database, another may have published what this one cannot read yet.
        Err(_) if app.refreshed(program).await? => read(),
        read => read,
    };
    Ok(Submission { explain: options.explain, origin: options.origin.clone(), ..submission? })
}

/// The attributes of an event that are texts; the first three must be there.
const ATTRIBUTES: [&str; 6] = ["id", "source", "type", "specversion", "subject", "time"];

fn cloud_event(bytes: &[u8]) -> Result<CloudEvent<'_>, Problem> {
    parse(bytes).map_err(|problem| match serde_json::from_slice::<BTreeMap<String, &RawValue>>(bytes) {
        // It is JSON: an attribute is missing or no text.
        Ok(fields) => wrong_attribute(&fields).unwrap_or(problem),
        Err(error) if error.is_data() => {
            Problem::new(StatusCode::BAD_REQUEST, "invalid-json", "an event is a JSON object")
        }
        Err(_) => problem,
    })
}

fn wrong_attribute(fields: &BTreeMap<String, &RawValue>) -> Option<Problem> {
    let wrong =
        ATTRIBUTES.into_iter().enumerate().find_map(|(place, name)| match fields.get(name).map(|raw| raw.get()) {
            None if place < 3 => Some((name, "is missing")),
            Some(raw) if !raw.starts_with('"') && (place < 3 || raw != "null") => Some((name, "a text is expected")),
            _ => None,
        });
    let (name, message) = wrong?;
    Some(Refusal::new("invalid-event", format!("{name}: {message}")).with("path", name).into())
}

/// An outcome as the caller reads it, with the explanation where it was asked for.
#[derive(Debug, Serialize)]
pub struct Told {
    #[serde(flatten)]
    outcome: Box<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<RuleTrace>>,
    #[serde(flatten)]
    cart: Option<Box<Cart>>,
}

/// An answer as HTTP: 200 with the outcome, or a problem that carries it.
pub(super) fn render(answer: Answer, explain: bool) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let mut headers = HeaderMap::new();
    match answer {
        Answer::Done { outcome, trace } => {
            if outcome.status == OutcomeStatus::Duplicate {
                headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
            }
            Ok((StatusCode::OK, headers, Json(Told { outcome, explanation: explain.then_some(trace), cart: None })))
        }
        Answer::Refused(refusal) => Err(Problem::from(refusal).with("outcome", json!({ "status": "refused" }))),
        Answer::Unavailable => Err(Problem::unavailable()),
    }
}

/// An answer inside a batch or a stream: the outcome, or `problem`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OneOf {
    Told(Told),
    Refused { status: OutcomeStatus, problem: Problem },
}

fn rendered(answer: Result<Answer, Problem>, explain: bool) -> OneOf {
    match answer.and_then(|answer| render(answer, explain)) {
        Ok((_, _, Json(told))) => OneOf::Told(told),
        Err(problem) => OneOf::Refused { status: OutcomeStatus::Refused, problem },
    }
}

async fn batch(
    app: &AppState,
    program: &Arc<ProgramHandle>,
    bytes: &[u8],
    options: Options,
) -> Result<Json<Vec<OneOf>>, Problem> {
    let events: Vec<&RawValue> = parse(bytes)?;
    if events.len() > BATCH_MAX {
        let detail = format!("a batch has at most {BATCH_MAX} events; send more as application/x-ndjson");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "batch-too-large", detail).with("most", BATCH_MAX));
    }
    let mut waiting: Vec<Waiting> = Vec::with_capacity(events.len());
    for event in events {
        let read = submission(app, program, event.get().as_bytes(), &options).await;
        waiting.push(read.and_then(|event| send(app, event, &options)));
    }
    let mut outcomes = Vec::with_capacity(waiting.len());
    for answer in waiting {
        let answer = match answer {
            Ok(answered) => Ok(answered.await.unwrap_or(Answer::Unavailable)),
            Err(problem) => Err(problem),
        };
        outcomes.push(rendered(answer, options.explain));
    }
    Ok(Json(outcomes))
}

fn send(app: &AppState, submission: Submission, options: &Options) -> Waiting {
    let watched = app.watch(options.guesser, &submission)?;
    let (answer, answered) = oneshot::channel();
    let reply = Box::new(move |done| {
        watched(&done);
        // The stream may have ended; the event is done all the same.
        let _ = answer.send(done);
    });
    app.executor.submit_in_order(submission, reply).map_err(|_| Problem::overloaded())?;
    Ok(answered)
}

type Waiting = Result<oneshot::Receiver<Answer>, Problem>;

/// NDJSON in, NDJSON out, a line for each line in the same order; memory holds [`STREAM_AHEAD`] events.
pub(super) fn stream(app: AppState, program: Arc<ProgramHandle>, request: Request, options: Options) -> Response {
    let (ahead, waiting) = mpsc::channel::<Waiting>(STREAM_AHEAD);
    let explain = options.explain;
    tokio::spawn(async move {
        let body = request.into_body().into_data_stream();
        if let Err(problem) = read_lines(&app, &program, body, &ahead, &options).await {
            // Nobody listens any more when this fails too.
            let _ = ahead.send(Err(problem)).await;
        }
    });
    let lines = futures_util::stream::unfold(waiting, move |mut waiting| async move {
        let next = waiting.recv().await?;
        let answer = match next {
            Ok(answered) => Ok(answered.await.unwrap_or(Answer::Unavailable)),
            Err(problem) => Err(problem),
        };
        // Outcomes and problems hold texts and numbers: they always have a JSON form.
        let mut line = serde_json::to_string(&rendered(answer, explain)).unwrap_or_default();
        line.push('\n');
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(line)), waiting))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(lines)).into_response()
}

async fn read_lines(
    app: &AppState,
    program: &Arc<ProgramHandle>,
    mut body: axum::body::BodyDataStream,
    ahead: &mpsc::Sender<Waiting>,
    options: &Options,
) -> Result<(), Problem> {
    let (mut held, mut read) = (BytesMut::new(), 0_usize);
    let within = app.body_within;
    while let Some(chunk) = tokio::time::timeout(within, body.next()).await.map_err(|_| too_slow(within))? {
        let chunk = chunk.map_err(|_| Problem::invalid("the stream broke off"))?;
        read += chunk.len();
        if read > STREAM_MAX {
            return Err(stream_too_large());
        }
        // What was looked through before is not again: a line may come byte by byte.
        let mut from = held.len();
        held.extend_from_slice(&chunk);
        while let Some(end) = held[from..].iter().position(|byte| *byte == b'\n') {
            let line = held.split_to(from + end + 1);
            from = 0;
            // With its end.
            if line.len() > LINE_MAX + 1 {
                return Err(line_too_large(LINE_MAX));
            }
            line_in(app, program, &line, ahead, options).await?;
        }
        if held.len() > LINE_MAX {
            return Err(line_too_large(LINE_MAX));
        }
    }
    line_in(app, program, &held, ahead, options).await
}

async fn line_in(
    app: &AppState,
    program: &Arc<ProgramHandle>,
    line: &[u8],
    ahead: &mpsc::Sender<Waiting>,
    options: &Options,
) -> Result<(), Problem> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let waiting = match submission(app, program, line, options).await {
        Ok(event) => send_patiently(app, event, options).await,
        Err(problem) => Err(problem),
    };
    // When the caller has gone, reading on would be work for nobody.
    ahead.send(waiting).await.map_err(|_| Problem::invalid("the caller has gone"))
}

/// A stream waits for room in the queue where a single request would be told to come back.
async fn send_patiently(app: &AppState, submission: Submission, options: &Options) -> Waiting {
    let watched = app.watch(options.guesser, &submission)?;
    let (answer, answered) = oneshot::channel();
    let reply = Box::new(move |done| {
        watched(&done);
        let _ = answer.send(done);
    });
    let executor = app.executor.clone();
    app.blocking(move || executor.submit_in_order_waiting(submission, reply).map_err(|_| Problem::unavailable()))
        .await?;
    Ok(answered)
}

/// One event, as it came and what it brought. With `explain=true` every rule says why; of a redemption, every lot.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/events/{event}", tag = "events", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("event" = String, Path, example = "evt_…_2"), ("explain" = Option<bool>, Query)),
    responses((status = 200, description = "The event", body = Object), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub async fn show_event(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, event)): Path<(String, String)>,
    Parameters(options): Parameters<Options>,
) -> Result<Json<Value>, Problem> {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "unknown-event", "there is no such event");
    let id: EventId = event.parse().map_err(|_| unknown())?;
    let context = app.context.clone();
    let program = caller.program.clone();
    let found = app.read(move || Ok(query::event(&context, &program, id)?)).await?;
    let (view, stored) = found.ok_or_else(unknown)?;
    let mut body = json!(view);
    if options.explain {
        let lots = query::explain_redemption(&stored);
        if lots.is_empty() {
            let context = app.context.clone();
            let told = app.blocking(move || Ok(query::explain(&context, &caller.program, id.member, &stored)?)).await?;
            body["explanation"] = json!(told);
        } else {
            body["explanation"] = json!(lots);
        }
    }
    Ok(Json(body))
}

/// What is wanted of a quote.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    explain: bool,
    #[serde(default)]
    best: bool,
    #[serde(default)]
    missing: bool,
    #[serde(default)]
    rewards: bool,
    lang: Option<String>,
}

/// Says what an event would bring, with nothing written.
///
/// Needs `events:write`.
///
/// Of a purchase it also says what lines cost the member less (`prices`). With `best=true` it looks for the vouchers and
/// member prices that save most: the member's own, and those that the cart names. The answer is then about the cart as it
/// is paid with these, and `best.purchase` can be sent as the purchase as it stands: it saves and brings exactly this.
/// With `missing=true` it says what is missing to the next campaign, voucher, level and reward, with `rewards=true` what can
/// be had now.
#[utoipa::path(post, path = "/v1/programs/{program}/quotes", tag = "events", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("explain" = Option<bool>, Query, description = "Say why for every rule"),
        ("best" = Option<bool>, Query, description = "Find what saves most, and say why it does"),
        ("missing" = Option<bool>, Query, description = "Say what is missing to more: `Spend 40,000 ₫ more to get …`"),
        ("rewards" = Option<bool>, Query, description = "List the rewards that can be had now"),
        ("lang" = Option<String>, Query, description = "The language of names and words: en, vi or th; left out, as `Accept-Language` says", example = "vi")),
    request_body(content = Object, description = "An event, as for `events`"),
    responses((status = 200, description = "The outcome it would have", body = Object,
            example = json!({ "status": "applied", "effects": [{ "type": "accrual", "currency": "bean", "amount": 13 }],
                "best": { "saving": "30000", "vouchers": [{ "code": "CHXK-…", "voucher": "free-coffee", "saving": "30000", "lines": [{ "line": "1", "amount": "30000" }] }],
                    "considered": [{ "code": "CHXK-…", "voucher": "free-coffee", "used": true, "alone": "30000", "reason": "used", "words": "takes 30000 off" }],
                    "runner_up": { "vouchers": [], "prices": [], "saving": "0", "difference": "30000" }, "proven": true,
                    "purchase": { "order_id": "A-1", "total": 130000, "discount": 30000, "vouchers": ["CHXK-…"] } } })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_quote(
    State(app): State<AppState>,
    caller: Caller<WriteEvents>,
    headers: HeaderMap,
    Parameters(wanted): Parameters<Wanted>,
    Body(bytes): Body,
) -> Result<(StatusCode, HeaderMap, Json<Told>), Problem> {
    let options = Options { explain: wanted.explain, ..Options::default() };
    let mut submission = submission(&app, &caller.program, &bytes, &options).await?;
    submission.key = None;
    let ask = CartAsk {
        best: wanted.best,
        missing: wanted.missing,
        rewards: wanted.rewards,
        language: wanted.lang.unwrap_or_else(|| language(&headers)),
        ..CartAsk::default()
    };
    let watched = app.watch(Some(caller.guesser), &submission)?;
    let answer = app.quote(submission, ask).await?;
    let (answer, cart) = answer.unwrap_or((Answer::Unavailable, Cart::default()));
    watched(&answer);
    let (status, headers, Json(told)) = render(answer, wanted.explain)?;
    Ok((status, headers, Json(Told { cart: Some(Box::new(cart)), ..told })))
}
