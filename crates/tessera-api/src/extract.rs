//! What a handler needs before it begins: who calls, for which program, with which right; bodies and pages.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tessera_core::event::Origin;
use tessera_engine::access::{KnownKey, Scope};
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query::PageRequest;
use tessera_engine::referral::device as device_of;
use tessera_engine::submission::Submission;
use utoipa::IntoParams;

use crate::guessing::Guesser;
use crate::{AppState, BODY_MAX, Problem, STREAM_MAX};

/// A right, as a type: a handler cannot be written without saying who may call it.
pub trait Right {
    const SCOPE: Scope;
}

macro_rules! rights {
    ($($name:ident => $scope:ident),*) => {$(
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Right for $name {
            const SCOPE: Scope = Scope::$scope;
        }
    )*};
}
rights!(WriteEvents => WriteEvents, ReadMembers => ReadMembers, WriteMembers => WriteMembers,
    WriteAdjustments => WriteAdjustments, WriteMoving => WriteMoving, WriteRedemptions => WriteRedemptions,
    WriteFulfilment => WriteFulfilment, WritePossession => WritePossession, WriteBenefits => WriteBenefits,
    WriteTiers => WriteTiers, WriteMemberships => WriteMemberships, WriteGiftCards => WriteGiftCards,
    WriteCases => WriteCases, WriteHouseholds => WriteHouseholds, ReadDocument => ReadDocument,
    WriteDocument => WriteDocument);

/// A caller with a right in the program the address names.
#[derive(Clone, Debug)]
pub struct Caller<R> {
    pub program: Arc<ProgramHandle>,
    /// The key that was shown.
    pub key: Arc<KnownKey>,
    /// As who they are counted when they are wrong about codes.
    pub(crate) guesser: Guesser,
    /// What velocity rules count by.
    pub(crate) origin: Origin,
    right: PhantomData<R>,
}

impl<R> Caller<R> {
    /// A command as it comes from this caller.
    pub(crate) fn sends(&self, submission: Submission) -> Submission {
        Submission { origin: self.origin.clone(), ..submission }
    }
}

impl<R: Right> FromRequestParts<AppState> for Caller<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = header.and_then(bearer).ok_or_else(Problem::unauthorized)?;
        let hash = state.context.secrets.access_hash(key.trim());
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let key = state.authenticate(key.trim()).await?;
        let Path(path): Path<std::collections::HashMap<String, String>> = Path::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid("the address is not understood"))?;
        let name = path.get("program").cloned().unwrap_or_default();
        // A key of another program learns no more than a key of none, nor which programs there are.
        let program = match state.program(&name).await {
            Ok(program) if program.number == key.program => program,
            Err(problem) if problem.status != StatusCode::NOT_FOUND => return Err(problem),
            _ => return Err(Problem::unauthorized()),
        };
        if !key.scopes.contains(&R::SCOPE) {
            return Err(Problem::forbidden(R::SCOPE.name()));
        }
        let mut guesser = Guesser { key: [0; 16], address };
        guesser.key.copy_from_slice(&hash[..16]);
        let origin = Origin {
            key: Some(key.id.as_str().into()),
            staff: told(parts, "tessera-staff")?.map(Into::into),
            device: told(parts, "tessera-device")?
                .map(|device| device_of(&state.context.secrets, program.number, device).into()),
            location: told(parts, "tessera-location")?.map(Into::into),
            own_staff: None,
        };
        Ok(Self { program, key, guesser, origin, right: PhantomData })
    }
}

/// The longest id of staff, a device or a shop in a header, in bytes.
const TOLD_MAX: usize = 100;

/// Who uses the key, or where, as a header says.
fn told<'p>(parts: &'p Parts, name: &str) -> Result<Option<&'p str>, Problem> {
    let Some(value) = parts.headers.get(name) else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty() && text.len() <= TOLD_MAX);
    let expected = || Problem::invalid(format!("the header `{name}` is an id of 1 to {TOLD_MAX} plain characters"));
    text.map(Some).ok_or_else(expected)
}

/// The key in an `Authorization` header; the scheme is written in any case.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The longest `Idempotency-Key`, in bytes.
const KEY_MAX: usize = 255;

/// The caller's own name for a write, under which it is done once.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(pub String);

impl FromRequestParts<AppState> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let key = parts.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
        let key = key.filter(|key| !key.is_empty() && key.len() <= KEY_MAX).ok_or_else(|| {
            let detail = format!(
                "the header `Idempotency-Key` is missing: a text of your own of 1 to {KEY_MAX} bytes, new for each request"
            );
            Problem::invalid(detail)
        })?;
        Ok(Self(key.to_owned()))
    }
}

/// The parameters behind the `?` of an address, or which one is wrong.
#[derive(Clone, Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let text = rejection.body_text();
                let detail = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, detail)| detail);
                Err(Problem::invalid(detail))
            }
        }
    }
}

/// A whole body within the limit.
pub struct Body(pub Bytes);

impl FromRequest<AppState> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        match tokio::time::timeout(state.body_within, Bytes::from_request(request, state)).await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)))) => Err(too_large()),
            Ok(Err(_)) => Err(Problem::invalid("the body could not be read")),
            Err(_) => Err(too_slow(state.body_within)),
        }
    }
}

/// The body did not come in time.
pub fn too_slow(within: Duration) -> Problem {
    let seconds = within.as_secs_f64();
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "body-too-slow",
        format!("the body, or the next piece of a stream, did not come within {seconds} seconds: send it again"),
    )
}

pub fn too_large() -> Problem {
    let detail = "a body has at most 1 MiB; send more events as NDJSON, or in several requests";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail).with("most", BODY_MAX)
}

/// A stream of lines is longer than is read in one request. What came before is done.
pub fn stream_too_large() -> Problem {
    let detail = "a stream has at most 64 MiB; send the rest in another request";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail).with("most", STREAM_MAX)
}

/// A line of a stream is longer than `most` bytes. What came before is done.
pub fn line_too_large(most: usize) -> Problem {
    let detail = format!("a line has at most {most} bytes, its end not counted");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail).with("most", most)
}

/// A JSON body of a known shape, or where it is not.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// Parses JSON, naming line and column of what is wrong. serde_json refuses nesting deeper than 128.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let detail = "the body is empty: a JSON object is expected";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-json", detail).with("line", 1).with("column", 0));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid-json", in_words(error.to_string()));
        problem.with("line", error.line()).with("column", error.column())
    })
}

/// What a parser says, without the names that only programmers of one language have for a number.
fn in_words(text: String) -> String {
    let kinds = ["i64", "u64", "i32", "u32", "u16", "u8", "usize"];
    kinds
        .into_iter()
        .fold(text, |text, kind| text.replace(&format!("expected {kind} at "), "expected a whole number at "))
}

/// `?limit=&after=` of lists.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many, 1 to 200
    #[param(example = 50, minimum = 1, maximum = 200)]
    pub(crate) limit: Option<usize>,
    /// The `next` of the page before
    pub(crate) after: Option<String>,
}

/// A page that was asked for, of a list whose places are written as `Place`.
pub struct WantedPage<Place>(pub PageRequest, pub PhantomData<Place>);

impl<Place: FromStr> FromRequestParts<AppState> for WantedPage<Place> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Parameters(query) = Parameters::<PageQuery>::from_request_parts(parts, state).await?;
        Ok(Self(query.wanted::<Place>()?, PhantomData))
    }
}

/// What is told of an `after` that no page gave out.
pub fn unknown_place() -> Problem {
    Problem::invalid("after: the `next` of the page before is expected")
}

impl PageQuery {
    fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            return Err(Problem::invalid("limit: a number from 1 to 200 is expected").with("limit", limit));
        }
        Ok(limit)
    }

    /// The page that is asked for, of a list whose places are written as `Place`.
    pub fn wanted<Place: FromStr>(self) -> Result<PageRequest, Problem> {
        let limit = self.limit()?;
        if self.after.as_deref().is_some_and(|after| after.parse::<Place>().is_err()) {
            return Err(unknown_place());
        }
        Ok(PageRequest { limit, after: self.after })
    }

    /// A page of a list that is at hand as a whole. `place`: what is unique of an item, with its number.
    pub fn of<T: Serialize>(&self, items: &[T], place: impl Fn(usize, &T) -> String) -> Result<Value, Problem> {
        let limit = self.limit()?;
        let start = match &self.after {
            None => 0,
            Some(after) => {
                let known = items.iter().enumerate().position(|(number, item)| place(number, item) == *after);
                known.ok_or_else(unknown_place)? + 1
            }
        };
        let end = items.len().min(start + limit);
        let next = (end < items.len()).then(|| place(end - 1, &items[end - 1]));
        Ok(json!({ "items": &items[start..end], "next": next }))
    }
}
