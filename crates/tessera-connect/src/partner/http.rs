//! Partners that take signed JSON over HTTP. `docs/partners.md` says what they answer.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tessera_core::time::Instant;
use ureq::Agent;

use super::translate::read_answer;
use super::{
    CallError, Cancellation, Entitlement, NoticeProblem, Order, OrderAnswer, Partner, PartnerNotice, read_notice,
};
use crate::signature::{HEADERS, Secret, SignedHeaders};

/// How long a call may take as a whole: it is made again.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 64 * 1024;

/// A partner at an address, with the secret that both sides sign with.
pub struct HttpPartner {
    address: String,
    secret: Secret,
    agent: Agent,
}

impl fmt::Debug for HttpPartner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPartner").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address that begins with https:// is expected (http:// on this machine alone), without `?` and `#`")]
pub struct AddressProblem;

impl HttpPartner {
    /// # Errors
    /// For an address that codes should not travel to.
    pub fn new(address: &str, secret: Secret) -> Result<Self, AddressProblem> {
        let address = address.trim_end_matches('/');
        let local = address.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
        let is_local = local.is_some_and(|host| matches!(host, "localhost" | "127.0.0.1"));
        let is_safe = address.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
        let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@'));
        if !is_plain || !(is_local || is_safe) {
            return Err(AddressProblem);
        }
        let mut config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("tessera/", env!("CARGO_PKG_VERSION")));
        if is_local {
            config = config.proxy(None);
        }
        Ok(Self { address: address.to_owned(), secret, agent: config.build().into() })
    }

    fn post(&self, path: &str, id: &str, body: &impl Serialize, now: Instant) -> Result<(u16, Vec<u8>), CallError> {
        // Texts and numbers: it always has a JSON form.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let signed = self.secret.sign(id, now, &body);
        let mut request =
            self.agent.post(format!("{}/{path}", self.address)).header("content-type", "application/json");
        for (name, value) in HEADERS.into_iter().zip([&signed.id, &signed.timestamp, &signed.signature]) {
            request = request.header(name, value);
        }
        let mut response = request.send(&body[..]).map_err(|error| CallError::Unreachable(kind_of(&error)))?;
        let status = response.status().as_u16();
        let answer = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        Ok((status, answer.map_err(|error| CallError::Unreachable(kind_of(&error)))?))
    }
}

/// What went wrong, without the address and without anything that was sent.
fn kind_of(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it took too long",
        ureq::Error::HostNotFound => "its host is not found",
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "no safe connection comes about",
        ureq::Error::BodyExceedsLimit(_) => "the answer is too long",
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed => "no connection comes about, or it broke off",
        _ => "the call failed",
    }
    .to_owned()
}

impl Partner for HttpPartner {
    fn order(&self, order: &Order, now: Instant) -> Result<OrderAnswer, CallError> {
        match self.post("orders", &order.id, order, now)? {
            (200..=202, body) => read_answer(&body).map_err(|problem| CallError::Unreadable(problem.to_owned())),
            (status, _) => Err(CallError::Status(status)),
        }
    }

    fn cancel(&self, order: &Order, now: Instant) -> Result<Cancellation, CallError> {
        match self.post("cancellations", &format!("cancel-{}", order.id), order, now)?.0 {
            200..=299 => Ok(Cancellation::Cancelled),
            409 => Ok(Cancellation::TooLate),
            404 | 405 | 501 => Ok(Cancellation::NotTaken),
            status => Err(CallError::Status(status)),
        }
    }

    fn tell(&self, entitlement: &Entitlement, now: Instant) -> Result<(), CallError> {
        match self.post("entitlements", &entitlement.id, entitlement, now)? {
            (200..=299, _) => Ok(()),
            (status, _) => Err(CallError::Status(status)),
        }
    }

    fn read(&self, headers: &SignedHeaders, body: &[u8], now: Instant) -> Result<PartnerNotice, NoticeProblem> {
        self.secret.verify(headers, body, now)?;
        read_notice(&headers.id, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_travel_over_safe_addresses_only() {
        let secret = Secret::parse("sixteen bytes at least").unwrap();
        for wrong in
            ["", "ftp://a.example", "http://gifts.example", "https://", "https://a.example/?k=1", "https://u@a"]
        {
            assert!(HttpPartner::new(wrong, secret.clone()).is_err(), "{wrong}");
        }
        for right in ["https://gifts.example/v1/", "http://127.0.0.1:9999", "http://localhost/x"] {
            let partner = HttpPartner::new(right, secret.clone()).unwrap();
            assert_eq!(format!("{partner:?}"), "HttpPartner { .. }");
        }
    }
}
