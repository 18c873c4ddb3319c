//! Gift cards by the thousand, to be printed.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tessera_core::quantity::Amount;
use tessera_engine::gift_card::{CardCode, CardStep};
use tessera_engine::programs::ProgramHandle;
use tessera_engine::submission::{Answer, Submission};
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

use super::gift_cards::{checked, render, units};
use crate::extract::{Caller, IdempotencyKey, JsonBody, WriteGiftCards};
use crate::{AppState, Problem};

/// Gift cards to be printed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGiftCards {
    /// How many, 1 to 10000
    #[schema(example = 1000)]
    count: u32,
    /// What is on each; 0 for cards that are loaded when they are sold
    #[schema(value_type = String, example = "0")]
    amount: Amount,
    order_id: Option<String>,
}

/// The most cards of one request.
const CARDS_MAX: u32 = 10_000;
/// Cards of one request that are under way at once.
const CARDS_AHEAD: usize = 256;

/// Makes many gift cards to be printed, and streams their codes.
///
/// Needs `gift-cards:write`.
///
/// NDJSON, a card on each line; with `Accept: text/csv` as CSV. Sent again under the same key, a stream that broke off
/// gives the same cards: none is made twice.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards/batch", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header, description = "Yours, new for each print run")),
    request_body = NewGiftCards,
    responses((status = 200, description = "A card on each line", content_type = "application/x-ndjson", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_gift_cards(
    State(app): State<AppState>,
    caller: Caller<WriteGiftCards>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    JsonBody(body): JsonBody<NewGiftCards>,
) -> Result<Response, Problem> {
    let program = caller.program;
    if !(1..=CARDS_MAX).contains(&body.count) {
        return Err(Problem::invalid(format!("count: a number from 1 to {CARDS_MAX} is expected")));
    }
    let amount = units(&program, "amount", body.amount)?;
    let order_id = checked("order_id", body.order_id)?;
    let print = Print { app, program: program.clone(), key, amount, order_id };
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let as_csv = accepted.to_ascii_lowercase().contains("text/csv");
    // What is wrong with one is wrong with all: said as a problem, before anything streams.
    let (code, answered) = print.card(1).await?;
    let first = match answered.await.unwrap_or(Answer::Unavailable) {
        Answer::Refused(refusal) => return Err(refusal.into()),
        answer => line(&program, 1, Ok((code, answer)), as_csv),
    };
    let (ahead, waiting) = mpsc::channel(CARDS_AHEAD);
    tokio::spawn(async move {
        for number in 2..=body.count {
            // When the caller has gone, going on would be work for nobody; the same request goes on from here.
            if ahead.send((number, print.card(number).await)).await.is_err() {
                return;
            }
        }
    });
    let rest = futures_util::stream::unfold((waiting, program), move |(mut waiting, program)| async move {
        let (number, card): (u32, Result<Card, Problem>) = waiting.recv().await?;
        let card = match card {
            Ok((code, answered)) => Ok((code, answered.await.unwrap_or(Answer::Unavailable))),
            Err(problem) => Err(problem),
        };
        Some((line(&program, number, card, as_csv), (waiting, program)))
    });
    let head = if as_csv { "number,code,id,balance,problem\n" } else { "" };
    let lines = futures_util::stream::iter([head.to_owned(), first]).chain(rest);
    let lines = lines.map(|line| Ok::<_, Infallible>(Bytes::from(line)));
    let kind = if as_csv { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, HttpBody::from_stream(lines)).into_response())
}

/// A card under way: its code, and who brings its answer.
type Card = (CardCode, oneshot::Receiver<Answer>);

/// Cards that are made by one request.
struct Print {
    app: AppState,
    program: Arc<ProgramHandle>,
    key: String,
    amount: i64,
    order_id: Option<String>,
}

impl Print {
    /// Sends the card of a number, waiting for room: a print run goes as fast as it can and no faster.
    async fn card(&self, number: u32) -> Result<Card, Problem> {
        let context = &self.app.context;
        let key = format!("{}/{number}", self.key);
        let code = CardCode::fresh(&context.secrets, self.program.number, &key);
        let (amount, order_id) = (self.amount, self.order_id.clone());
        let issue = CardStep::Issue { code: code.clone(), amount, buyer: None, order_id };
        let now = context.clock.now();
        let submission = Submission::gift_card(&context.secrets, &self.program, None, issue, &key, now);
        let (answer, answered) = oneshot::channel();
        let reply = Box::new(move |done| {
            // The stream may have ended; the card is made all the same.
            let _ = answer.send(done);
        });
        let executor = self.app.executor.clone();
        let sent = move || executor.submit_waiting(submission, reply).map_err(|_| Problem::unavailable());
        self.app.blocking(sent).await?;
        Ok((code, answered))
    }
}

/// One card as a line of NDJSON or CSV. Codes, ids and amounts have no character that CSV would need quoted.
fn line(program: &ProgramHandle, number: u32, card: Result<(CardCode, Answer), Problem>, as_csv: bool) -> String {
    let told = card.and_then(|(code, answer)| render(program, answer, None, Some(&code)));
    match (told, as_csv) {
        (Ok((_, Json(mut told))), false) => {
            told["number"] = number.into();
            format!("{told}\n")
        }
        (Ok((_, Json(told))), true) => {
            let card = &told["gift_card"];
            let text = |name: &str| card[name].as_str().unwrap_or_default().to_owned();
            format!("{number},{},{},{},\n", text("code"), text("id"), text("balance"))
        }
        (Err(problem), false) => format!("{}\n", json!({ "number": number, "status": "refused", "problem": problem })),
        (Err(problem), true) => format!("{number},,,,{}\n", problem.kind.rsplit('/').next().unwrap_or_default()),
    }
}
