//! What a handler needs before it begins: who calls, for which program, with which right; bodies and pages.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tessera_engine::access::Scope;
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query::PageRequest;
use utoipa::IntoParams;

use crate::{AppState, Problem};

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
    WriteAdjustments => WriteAdjustments, ReadDocument => ReadDocument, WriteDocument => WriteDocument);

/// A caller with a right in the program the address names.
#[derive(Clone, Debug)]
pub struct Caller<R> {
    pub program: Arc<ProgramHandle>,
    right: PhantomData<R>,
}

impl<R: Right> FromRequestParts<AppState> for Caller<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = header.and_then(|header| header.strip_prefix("Bearer ")).ok_or_else(Problem::unauthorized)?;
        let (number, scopes) = state.authenticate(key.trim()).await?;
        let Path(path): Path<std::collections::HashMap<String, String>> = Path::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid("the address is not understood"))?;
        let name = path.get("program").cloned().unwrap_or_default();
        let program = state.program(&name).await?;
        // A key of another program learns no more than a key of none.
        if program.number != number {
            return Err(Problem::unauthorized());
        }
        if !scopes.contains(&R::SCOPE) {
            return Err(Problem::forbidden(R::SCOPE.name()));
        }
        Ok(Self { program, right: PhantomData })
    }
}

/// A whole body within the limit.
pub struct Body(pub Bytes);

impl FromRequest<AppState> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(BytesRejection::FailedToBufferBody(_)) => Err(too_large()),
            Err(_) => Err(Problem::invalid("the body could not be read")),
        }
    }
}

pub fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        "a body has at most 1 MiB, NDJSON at most 64 MiB; send more events as NDJSON, in several requests",
    )
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
    serde_json::from_slice(bytes).map_err(|error| {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid-json", error.to_string());
        problem.with("line", error.line()).with("column", error.column())
    })
}

/// `?limit=&after=` of lists.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many, 1 to 200
    #[param(example = 50, minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// The `next` of the page before
    after: Option<String>,
}

/// A page that was asked for.
pub struct WantedPage(pub PageRequest);

impl FromRequestParts<AppState> for WantedPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let query = Query::<PageQuery>::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|_| Problem::invalid("`limit` is a number from 1 to 200"))?;
        let limit = query.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            return Err(Problem::invalid("`limit` is a number from 1 to 200").with("limit", limit));
        }
        Ok(Self(PageRequest { limit, after: query.after }))
    }
}
