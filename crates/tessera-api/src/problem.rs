//! RFC 9457 problems: a stable type, a sentence, the facts.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tessera_engine::programs::ProgramError;
use tessera_engine::submission::Refusal;
use tessera_engine::voucher::BatchError;
use tessera_engine::{EngineError, StoreError};
use utoipa::ToSchema;

/// What went wrong, as `application/problem+json`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Stable: one type has one meaning for ever.
    #[serde(rename = "type")]
    #[schema(example = "https://tessera.example/problems/too-many-units-returned")]
    pub kind: String,
    #[schema(example = "Too many units returned")]
    pub title: String,
    #[schema(example = 422)]
    pub status: u16,
    /// What was wrong and what would be right.
    pub detail: String,
    /// The facts.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub facts: Map<String, Value>,
    #[serde(skip)]
    replayed: bool,
}

/// Where the types of problems live; each has a section in `docs/problems.md`.
const TYPES: &str = "https://tessera.example/problems/";

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let mut title = code.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self {
            kind: format!("{TYPES}{code}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            facts: Map::new(),
            replayed: false,
        }
    }

    /// Which part of the request it is about.
    #[must_use]
    pub fn about(mut self, field: &str) -> Self {
        self.detail = format!("{field}: {}", self.detail);
        self
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "send `Authorization: Bearer <key>` with a valid key of this program; `tessera key create` makes one",
        )
    }

    pub fn forbidden(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", format!("this key may not do that: it needs the scope {scope}"))
            .with("scope", scope)
    }

    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "too many events are waiting: send it again in a second",
        )
    }

    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the database did not answer, so it may have been written or not: send it again as it is, with the same id \
             or key, and it counts once",
        )
    }

    /// Events are not taken now, or nothing can be read.
    pub fn not_ready(reason: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", format!("not ready: {reason}"))
    }

    pub fn broken() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "this is a mistake of ours; the log says more. Nothing was written",
        )
    }

    pub fn unknown_member() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-member", "nobody is known under this id or name")
    }

    pub fn member_left() -> Self {
        Self::new(StatusCode::GONE, "member-left", "the member has left; whoever wants to come back enrols again")
    }

    pub fn identifier_replaced() -> Self {
        Self::new(StatusCode::CONFLICT, "identifier-replaced", "this number was replaced by another and is blocked")
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code.as_str() {
            "same-person" | "approval-above-limit" | "second-person-needed" | "only-the-head" => StatusCode::FORBIDDEN,
            "spending-proof-needed" | "proof-wrong" => StatusCode::FORBIDDEN,
            "wrong-signature" | "signature-too-old" => StatusCode::UNAUTHORIZED,
            "proof-blocked" => StatusCode::TOO_MANY_REQUESTS,
            "invalid-event" | "invalid-request" | "unknown-event-type" | "needs-member" => StatusCode::BAD_REQUEST,
            "unknown-adjustment"
            | "unknown-case"
            | "unknown-challenge"
            | "unknown-member"
            | "unknown-order"
            | "unknown-redemption"
            | "unknown-partner"
            | "unknown-partner-order"
            | "unknown-claim-code"
            | "unknown-identifier"
            | "unknown-reward"
            | "unknown-voucher"
            | "unknown-voucher-name"
            | "unknown-benefit"
            | "unknown-benefit-use"
            | "unknown-gift-card"
            | "unknown-household"
            | "unknown-ladder"
            | "unknown-plan" => StatusCode::NOT_FOUND,
            "member-left" => StatusCode::GONE,
            "idempotency-key-reused"
            | "history-archived"
            | "answer-archived"
            | "order-exists"
            | "order-of-another-member"
            | "already-enrolled"
            | "already-claimed"
            | "identifier-taken"
            | "identifier-replaced"
            | "member-not-silent"
            | "nothing-left-to-return"
            | "not-enough-points"
            | "not-enough-on-gift-card"
            | "gift-card-exists"
            | "gift-card-blocked"
            | "gift-card-in-use"
            | "gift-card-replaced"
            | "reservation-ended"
            | "redemption-closed"
            | "reward-sold-out"
            | "code-exists"
            | "reward-waited-for"
            | "reward-is-left"
            | "waits-already"
            | "not-waiting"
            | "nothing-to-fulfil"
            | "fulfilment-not-there"
            | "fulfilment-too-far"
            | "too-late-to-cancel"
            | "given-voucher-used"
            | "gift-card-asked-back"
            | "reward-on-its-way"
            | "gift-card-used"
            | "not-at-partner"
            | "partner-state-not-there"
            | "is-at-partner"
            | "reference-used"
            | "voucher-cancelled"
            | "voucher-not-used"
            | "voucher-of-another-member"
            | "voucher-order-stands"
            | "voucher-used-up"
            | "adjusted-enough-today"
            | "adjustment-decided"
            | "adjustment-is-an-undo"
            | "batch-cancelled"
            | "case-taken"
            | "case-closed"
            | "nothing-waits"
            | "member-frozen"
            | "member-not-frozen"
            | "too-often"
            | "challenge-already-joined"
            | "benefit-not-held"
            | "benefit-used-up"
            | "benefit-not-open-yet"
            | "not-placed"
            | "not-in-club"
            | "in-club"
            | "paid-ahead"
            | "trial-taken"
            | "nothing-to-refund"
            | "in-household"
            | "not-in-household"
            | "household-cooling-off"
            | "household-full"
            | "household-closed"
            | "not-invited"
            | "not-of-household"
            | "of-household-already"
            | "too-many-invitations"
            | "pool-limit"
            | "not-enough-to-take-back" => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut problem = Self::new(status, &refusal.code, refusal.detail);
        problem.facts = refusal.facts;
        problem.replayed = refusal.replayed;
        problem
    }
}

impl From<BatchError> for Problem {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Refused(refusal) => refusal.into(),
            BatchError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the database could not be read");
        if error.is_transient() { Self::unavailable() } else { Self::broken() }
    }
}

impl From<ProgramError> for Problem {
    fn from(error: ProgramError) -> Self {
        let detail = error.to_string();
        match error {
            ProgramError::Unknown { key } => {
                Self::new(StatusCode::NOT_FOUND, "unknown-program", detail).with("program", key)
            }
            ProgramError::UnknownVersion { version, .. } => {
                Self::new(StatusCode::NOT_FOUND, "unknown-version", detail).with("version", version)
            }
            ProgramError::Invalid(findings) => {
                let findings = serde_json::to_value(findings).unwrap_or_default();
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-document", detail).with("findings", findings)
            }
            ProgramError::OtherProgram { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "other-program", detail),
            ProgramError::Changed { found, .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "document-changed", detail).with("version", found)
            }
            ProgramError::StillHeld { holders, .. } => {
                Self::new(StatusCode::CONFLICT, "still-held", detail).with("holders", holders)
            }
            ProgramError::Store(error) => error.into(),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Program(error) => error.into(),
            EngineError::Store(error) => error.into(),
            EngineError::Overloaded(_) => Self::overloaded(),
            other => {
                tracing::error!(error = %other, "a request failed");
                Self::broken()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let replayed = self.replayed;
        let retry_after = self.facts.get("retry_after").and_then(Value::as_u64);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            // What is left of the body would be taken for the next request.
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        if replayed {
            headers.insert("idempotency-replayed", header::HeaderValue::from_static("true"));
        }
        response
    }
}

pub(crate) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing at this address; /docs lists what there is")
}

pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this address takes other methods; /docs lists them",
    )
}
