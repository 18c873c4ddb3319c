use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tessera_core::code::last_four;
use tessera_core::decide::{Outcome, OutcomeStatus};
use tessera_core::event::Redeem;
use tessera_core::id::MemberId;
use tessera_core::program::GIFT_CARD;
use tessera_core::quantity::{Amount, Currency};
use tessera_engine::gift_card::{CardCode, CardStep, card_subject, paying_card, unknown_code};
use tessera_engine::identifier::Subject;
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query::{self, CardStatus};
use tessera_engine::submission::{Answer, Refusal, Submission};
use utoipa::ToSchema;

use super::members::named;
use crate::extract::{
    Body, Caller, IdempotencyKey, JsonBody, PageQuery, Parameters, ReadMembers, WantedPage, WriteGiftCards,
    WriteRedemptions, parse,
};
use crate::guessing::Guesser;
use crate::{AppState, Problem};

/// A gift card that is sold, or printed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGiftCard {
    /// What is paid in, in the program's currency; 0 for a card that is loaded later
    #[schema(value_type = String, example = "500000")]
    amount: Amount,
    /// The code of a card that was printed elsewhere; left out, the answer has one
    code: Option<String>,
    /// Who bought it: a member's id, or `kind:value`
    buyer: Option<String>,
    #[schema(example = "A-17")]
    order_id: Option<String>,
}

/// Money paid in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    #[schema(value_type = String, example = "200000")]
    amount: Amount,
    order_id: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Why, kept with the event
    #[schema(example = "lost in a taxi")]
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoidCard {
    /// Why, kept with the event
    #[schema(example = "made twice")]
    reason: Option<String>,
}

/// `?status=` of a list of cards.
#[derive(Debug, Deserialize)]
pub struct OfStatus {
    status: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// The code of a card that was printed elsewhere; left out, the answer has one
    code: Option<String>,
}

/// What is paid with a gift card.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiftCardPayment {
    /// So much; left out, as much as there is and `payable` takes
    #[schema(value_type = Option<String>, example = "120000")]
    amount: Option<Amount>,
    /// What is to be paid, in the program's currency
    #[schema(value_type = Option<String>, example = "154500")]
    payable: Option<Amount>,
    /// What pays the rest, for its rounding: `cash`, `card` …
    #[schema(example = "cash")]
    tender: Option<String>,
    #[schema(example = "A-18")]
    order_id: Option<String>,
    /// Spend at once, in place of reserving
    #[serde(default)]
    capture: bool,
}

/// The longest text of a request, in bytes.
const TEXT_MAX: usize = 400;
pub(super) fn checked(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.trim().is_empty() || text.len() > TEXT_MAX => {
            Err(Problem::invalid(format!("{name}: 1 to {TEXT_MAX} bytes are expected")))
        }
        text => Ok(text),
    }
}

fn money(program: &ProgramHandle) -> Currency {
    program.versions().head().money
}

/// An amount in the smallest units of the program's money.
pub(super) fn units(program: &ProgramHandle, name: &str, amount: Amount) -> Result<i64, Problem> {
    let units = money(program).units(amount).filter(|units| *units >= 0);
    units.ok_or_else(|| {
        let (code, digits) = (money(program).code(), money(program).decimals());
        Problem::invalid(match digits {
            0 => format!("{name}: a whole amount of {code} of 0 or more is expected"),
            _ => format!("{name}: an amount of {code} of 0 or more with at most {digits} decimals is expected"),
        })
    })
}

/// The answer to a step: the event, and the card as it is now.
fn told(program: &ProgramHandle, outcome: &Outcome, code: Option<&CardCode>) -> Value {
    let money = money(program);
    let text = |units: i64| money.amount(units).to_text(money.decimals());
    let balance = outcome.balances.get(&GIFT_CARD).copied().unwrap_or_default();
    let mut card = json!({
        "id": outcome.member,
        "currency": money.code(),
        "balance": text(balance.available),
        "held": text(balance.held),
    });
    if let Some(code) = code {
        card["code"] = code.shown().into();
        card["last_four"] = last_four(code.shown()).into();
    }
    let expires_on = outcome.effects.iter().find_map(|effect| effect.expires_on);
    if let Some(day) = expires_on {
        card["expires_on"] = day.to_string().into();
    }
    let mut told = json!({
        "event_id": outcome.event_id,
        "status": outcome.status,
        "program_version": outcome.program_version,
        "gift_card": card,
    });
    if let Some(redemption) = &outcome.redemption {
        told["redemption"] = json!(redemption);
        let spent = if redemption.captured > 0 { redemption.captured } else { redemption.points };
        told["amount"] = text(spent).into();
    }
    told
}

pub(super) type Answered = (HeaderMap, Json<Value>);

/// An answer as HTTP. `named`: what the caller called the card.
pub(super) fn render(
    program: &ProgramHandle,
    answer: Answer,
    named: Option<&NamedCard<'_>>,
    code: Option<&CardCode>,
) -> Result<Answered, Problem> {
    match answer {
        Answer::Done { outcome, .. } => {
            let mut headers = HeaderMap::new();
            if outcome.status == OutcomeStatus::Duplicate {
                headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
            }
            // A code is money: nobody on the way keeps it.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok((headers, Json(told(program, &outcome, code))))
        }
        Answer::Refused(refusal) => Err(match named {
            Some(card) => card.explained(refusal).into(),
            None => refusal.into(),
        }),
        Answer::Unavailable => Err(Problem::unavailable()),
    }
}

/// A card as its caller named it. Whoever is wrong about codes too often has to wait (V1).
pub(super) struct NamedCard<'a> {
    app: &'a AppState,
    guesser: Guesser,
    text: &'a str,
}

impl<'a> NamedCard<'a> {
    fn new<R>(app: &'a AppState, caller: &Caller<R>, text: &'a str) -> Result<Self, Problem> {
        let card = Self { app, guesser: caller.guesser, text };
        if card.is_by_code() {
            app.guesses.check(card.guesser, app.context.clock.now())?;
        }
        Ok(card)
    }

    /// An id is as long as a key, and guessed by nobody.
    fn is_by_code(&self) -> bool {
        !self.text.starts_with("mem_")
    }

    /// A code that nobody has may be mistyped, and counts.
    fn explained(&self, refusal: Refusal) -> Refusal {
        if refusal.code != "unknown-gift-card" || !self.is_by_code() {
            return refusal;
        }
        let refusal = unknown_code(self.text);
        self.app.guesses.note(self.guesser, &refusal, self.app.context.clock.now());
        refusal
    }

    fn subject(&self) -> Result<Subject, Problem> {
        Ok(card_subject(self.text).map_err(|refusal| self.explained(refusal))?)
    }

    fn paying(&self) -> Result<Subject, Problem> {
        Ok(paying_card(self.text).map_err(|refusal| self.explained(refusal))?)
    }
}

fn code_of(app: &AppState, program: &ProgramHandle, given: Option<&str>, key: &str) -> Result<CardCode, Problem> {
    match given {
        Some(text) => Ok(CardCode::printed(text)?),
        None => Ok(CardCode::fresh(&app.context.secrets, program.number, key)),
    }
}

async fn step<R>(
    app: &AppState,
    caller: &Caller<R>,
    card: &str,
    step: CardStep,
    key: &str,
    code: Option<&CardCode>,
) -> Result<Answered, Problem> {
    let (program, card) = (&caller.program, NamedCard::new(app, caller, card)?);
    let (subject, now) = (card.subject()?, app.context.clock.now());
    let submission = Submission::gift_card(&app.context.secrets, program, Some(subject), step, key, now);
    render(program, app.submit(caller.sends(submission)).await?, Some(&card), code)
}

/// Makes a gift card.
///
/// Needs `gift-cards:write`.
///
/// The answer shows the code, and so does the same request sent again; every other read shows its last four symbols.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("Idempotency-Key" = String, Header, description = "Yours, new for each card")),
    request_body = NewGiftCard,
    responses((status = 201, description = "The card with its code", body = Object,
        example = json!({ "event_id": "evt_…_1", "status": "applied", "program_version": 1,
            "gift_card": { "id": "mem_…", "code": "CDFG-2345-HJKM-67NP", "last_four": "67NP", "currency": "VND", "balance": "500000", "held": "0" } })),
        (status = 409, description = "There is a card of this code", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Less or more than the document allows", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_gift_card(
    State(app): State<AppState>,
    caller: Caller<WriteGiftCards>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<NewGiftCard>,
) -> Result<(StatusCode, HeaderMap, Json<Value>), Problem> {
    let program = &caller.program;
    let amount = units(program, "amount", body.amount)?;
    let order_id = checked("order_id", body.order_id)?;
    let buyer = match &body.buyer {
        Some(buyer) => {
            let found = named(&app, program, buyer).await.map_err(|problem| problem.about("buyer"))?;
            Some(found.to_string())
        }
        None => None,
    };
    let code = code_of(&app, program, body.code.as_deref(), &key)?;
    let issue = CardStep::Issue { code: code.clone(), amount, buyer, order_id };
    let now = app.context.clock.now();
    let submission = Submission::gift_card(&app.context.secrets, program, None, issue, &key, now);
    let (headers, body) = render(program, app.submit(caller.sends(submission)).await?, None, Some(&code))?;
    Ok((StatusCode::CREATED, headers, body))
}

/// A gift card as it is now, found by its code or its id.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/gift-cards/{card}", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("card" = String, Path, description = "Its code, or its id")),
    responses((status = 200, description = "The card", body = Object,
        example = json!({ "id": "mem_…", "last_four": "67NP", "status": "active", "currency": "VND", "balance": "379500", "held": "0",
            "made_at": "2026-11-20T02:30:00Z", "expires": [{ "amount": "379500", "last_day": null }] })),
        (status = 404, description = "There is no such card", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show_gift_card(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, card)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let named = NamedCard::new(&app, &caller, &card)?;
    let (context, subject) = (app.context.clone(), named.subject()?);
    let found = app.read(move || Ok(query::gift_card(&context, &caller.program, &subject)?)).await?;
    Ok(Json(json!(found.map_err(|refusal| named.explained(refusal))?)))
}

/// The gift cards of a program. `status` is `active`, `empty` or `blocked`; codes are not shown, their last four symbols are.
///
/// Needs `members:read`.
///
/// A rare status among many cards takes as long as looking at them all.
#[utoipa::path(get, path = "/v1/programs/{program}/gift-cards", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), PageQuery, ("status" = Option<String>, Query, description = "Only these", example = "blocked")),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "id": "mem_…", "last_four": "67NP", "status": "active", "currency": "VND", "balance": "379500", "held": "0",
            "made_at": "2026-11-20T02:30:00Z", "expires": [{ "amount": "379500", "last_day": null }] }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_gift_cards(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Parameters(wanted): Parameters<OfStatus>,
    WantedPage(page, ..): WantedPage<MemberId>,
) -> Result<Json<Value>, Problem> {
    let status = wanted.status.as_deref().map(str::parse::<CardStatus>).transpose();
    let status = status.map_err(|error| Problem::invalid(format!("status: {error}")))?;
    let context = app.context.clone();
    let read = move || Ok(query::gift_cards(&context, &caller.program, (&page, status))?);
    Ok(Json(json!(app.blocking(read).await?)))
}

/// What moved on a gift card, newest first.
///
/// Needs `members:read`.
#[utoipa::path(get, path = "/v1/programs/{program}/gift-cards/{card}/movements", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path), ("card" = String, Path, description = "Its code, or its id"), PageQuery),
    responses((status = 200, description = "`items` and `next`", body = Object,
        example = json!({ "items": [{ "seq": 2, "event_id": "evt_…_2", "at": "2026-11-20T02:45:00Z", "kind": "redemption", "from": "active", "to": "redeemed", "amount": "120500", "redemption": "evt_…_2" }], "next": null })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_movements(
    State(app): State<AppState>,
    caller: Caller<ReadMembers>,
    Path((_, card)): Path<(String, String)>,
    WantedPage(page, ..): WantedPage<u64>,
) -> Result<Json<Value>, Problem> {
    let named = NamedCard::new(&app, &caller, &card)?;
    let (context, subject) = (app.context.clone(), named.subject()?);
    let read = move || Ok(query::gift_card_movements(&context, &caller.program, &subject, &page)?);
    Ok(Json(json!(app.blocking(read).await?.map_err(|refusal| named.explained(refusal))?)))
}

/// Pays money in.
///
/// Needs `gift-cards:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards/{card}/top-up", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path), ("card" = String, Path, description = "Its code, or its id"), ("Idempotency-Key" = String, Header)),
    request_body = TopUp,
    responses((status = 200, description = "The card", body = Object),
        (status = 409, description = "The card is blocked or replaced", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Less or more than the document allows", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_top_up(
    State(app): State<AppState>,
    caller: Caller<WriteGiftCards>,
    Path((_, card)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<TopUp>,
) -> Result<Answered, Problem> {
    let amount = units(&caller.program, "amount", body.amount)?;
    let order_id = checked("order_id", body.order_id)?;
    step(&app, &caller, &card, CardStep::TopUp { amount, order_id }, &key, None).await
}

/// Blocks a card that was lost: it pays for nothing until it is unblocked or replaced. What is reserved stays reserved.
///
/// Needs `gift-cards:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards/{card}/block", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path), ("card" = String, Path, description = "Its code, or its id"), ("Idempotency-Key" = String, Header)),
    request_body(content = Option<Block>),
    responses((status = 200, description = "The card", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_block(
    State(app): State<AppState>,
    caller: Caller<WriteGiftCards>,
    Path((_, card)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<Answered, Problem> {
    let body: Block = or_empty(&bytes)?;
    let reason = checked("reason", body.reason)?;
    step(&app, &caller, &card, CardStep::Block { reason }, &key, None).await
}

/// Lets a blocked card pay again.
///
/// Needs `gift-cards:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards/{card}/unblock", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path), ("card" = String, Path, description = "Its code, or its id"), ("Idempotency-Key" = String, Header)),
    responses((status = 200, description = "The card", body = Object),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_unblock(
    State(app): State<AppState>,
    caller: Caller<WriteGiftCards>,
    Path((_, card)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Answered, Problem> {
    step(&app, &caller, &card, CardStep::Unblock, &key, None).await
}

/// Makes a card void: what is on it goes for good, and it pays for nothing. For cards that were made by mistake, or whose
/// money was given back in another way.
///
/// Needs `gift-cards:write`.
///
/// A card of which some is reserved is refused: capture or void that redemption first.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards/{card}/void", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path), ("card" = String, Path, description = "Its code, or its id"), ("Idempotency-Key" = String, Header)),
    request_body(content = Option<VoidCard>),
    responses((status = 200, description = "The card", body = Object),
        (status = 409, description = "Some of it is reserved", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_card_void(
    State(app): State<AppState>,
    caller: Caller<WriteGiftCards>,
    Path((_, card)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<Answered, Problem> {
    let body: VoidCard = or_empty(&bytes)?;
    let reason = checked("reason", body.reason)?;
    step(&app, &caller, &card, CardStep::Void { reason }, &key, None).await
}

/// Moves the balance to a replacement card: the old code pays for nothing from now on.
///
/// Needs `gift-cards:write`.
///
/// Refunds of what the old card paid come to the replacement.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards/{card}/replacement", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path), ("card" = String, Path, description = "Its code, or its id"), ("Idempotency-Key" = String, Header)),
    request_body(content = Option<Replacement>),
    responses((status = 200, description = "The card with its new code", body = Object),
        (status = 409, description = "There is a card of this code", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_replacement(
    State(app): State<AppState>,
    caller: Caller<WriteGiftCards>,
    Path((_, card)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Body(bytes): Body,
) -> Result<Answered, Problem> {
    let body: Replacement = or_empty(&bytes)?;
    // A key of its own: a card that was made under the same key has the code of that.
    let code = code_of(&app, &caller.program, body.code.as_deref(), &format!("replacement/{key}"))?;
    let replace = CardStep::Replace { code: code.clone() };
    step(&app, &caller, &card, replace, &key, Some(&code)).await
}

/// A body that may be left out.
fn or_empty<T: Default + serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { parse(bytes) }
}

impl GiftCardPayment {
    fn read(self, program: &ProgramHandle) -> Result<Redeem, Problem> {
        if self.amount.is_none() && self.payable.is_none() {
            return Err(Problem::invalid("amount: say how much, or what is to be paid as `payable`"));
        }
        if self.payable.is_some_and(Amount::is_negative) {
            return Err(Problem::invalid("payable: an amount of 0 or more is expected"));
        }
        let amount = self.amount.map(|amount| units(program, "amount", amount)).transpose()?;
        Ok(Redeem {
            reward: None,
            currency: GIFT_CARD,
            points: amount,
            payable: self.payable,
            tender: checked("tender", self.tender)?.map(Into::into),
            order_id: checked("order_id", self.order_id)?.map(Into::into),
            capture: self.capture,
            proven: None,
            by: None,
        })
    }
}

/// Reserves money of a gift card, or with `capture` spends it at once.
///
/// Needs `redemptions:write`.
///
/// Only the code pays, not the card's id. What follows is as with points: `POST …/redemptions/{redemption}/capture`,
/// `/void` and `/return`, whose `points` are the smallest units of the program's money. A purchase names the redemption in
/// its `payments` with the method `gift_card`; its return then gives back to the card.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards/{card}/redemptions", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("card" = String, Path, description = "Its code"), ("Idempotency-Key" = String, Header, description = "Yours, new for each payment")),
    request_body = GiftCardPayment,
    responses((status = 201, description = "What was paid, and the card", body = Object,
        example = json!({ "event_id": "evt_…_2", "status": "applied", "program_version": 1, "amount": "120500",
            "gift_card": { "id": "mem_…", "currency": "VND", "balance": "379500", "held": "120500" },
            "redemption": { "id": "evt_…_2", "status": "reserved", "currency": "gift-card", "points": 120500, "captured": 0, "returned": 0 } })),
        (status = 404, description = "There is no such card", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is less on the card, or it is blocked or replaced", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_payment(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, card)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<GiftCardPayment>,
) -> Result<(StatusCode, HeaderMap, Json<Value>), Problem> {
    let program = &caller.program;
    let card = NamedCard::new(&app, &caller, &card)?;
    let (subject, redeem) = (card.paying()?, body.read(program)?);
    let now = app.context.clock.now();
    let submission = Submission::redeem(&app.context.secrets, program, subject, redeem, &key, now);
    let (headers, told) = render(program, app.submit(submission).await?, Some(&card), None)?;
    Ok((StatusCode::CREATED, headers, told))
}

/// Says what a gift card would pay, with nothing written.
///
/// Needs `redemptions:write`.
#[utoipa::path(post, path = "/v1/programs/{program}/gift-cards/{card}/redemptions/quote", tag = "gift-cards", security(("key" = [])),
    params(("program" = String, Path, example = "copper-cup"), ("card" = String, Path, description = "Its code")),
    request_body = GiftCardPayment,
    responses((status = 200, body = Object,
        example = json!({ "amount": "154500", "balance": "500000", "held": "0", "bill": { "payable": "154500", "covered": "154500", "remainder": "0", "tender": "cash", "asked": "0" } })),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_payment_quote(
    State(app): State<AppState>,
    caller: Caller<WriteRedemptions>,
    Path((_, card)): Path<(String, String)>,
    JsonBody(body): JsonBody<GiftCardPayment>,
) -> Result<Json<Value>, Problem> {
    let card = NamedCard::new(&app, &caller, &card)?;
    let program = caller.program;
    let (subject, redeem) = (card.paying()?, body.read(&program)?);
    let (context, of_program) = (app.context.clone(), program.clone());
    let quoted = app.read(move || Ok(query::quote_gift_card(&context, &of_program, &subject, &redeem)?)).await?;
    let quote = quoted.map_err(|refusal| card.explained(refusal))?;
    let money = money(&program);
    let text = |units: i64| money.amount(units).to_text(money.decimals());
    Ok(Json(json!({
        "amount": text(quote.points),
        "balance": text(quote.balance.available),
        "held": text(quote.balance.held),
        "bill": quote.bill,
    })))
}
