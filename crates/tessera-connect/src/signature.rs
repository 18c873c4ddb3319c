//! Signed messages by the Standard Webhooks scheme: HMAC-SHA256 over `id.timestamp.body`, compared in constant time.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tessera_core::time::Instant;

/// The headers of a signed message: its id, the seconds it was signed at, its signatures.
pub const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// A message signed longer ago, or further ahead, is refused: whoever overheard it sends it again in vain.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The shortest secret, in bytes: below that it is guessed.
const SECRET_MIN: usize = 16;

/// The longest id, in bytes.
const ID_MAX: usize = 255;

/// What both sides know. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is `whsec_` with at least {SECRET_MIN} bytes in base64, or a text of at least {SECRET_MIN} bytes")]
pub struct SecretProblem;

impl Secret {
    /// `whsec_…` with base64 behind it, or any other text as it is.
    ///
    /// # Errors
    /// For one that is too short to keep anything secret, or no base64.
    pub fn parse(text: &str) -> Result<Self, SecretProblem> {
        let text = text.trim();
        let bytes = match text.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| SecretProblem)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() >= SECRET_MIN { Ok(Self(bytes)) } else { Err(SecretProblem) }
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }

    /// The headers of a message that is sent at an instant.
    pub fn sign(&self, id: &str, at: Instant, body: &[u8]) -> SignedHeaders {
        let timestamp = seconds(at).to_string();
        let signature = format!("v1,{}", STANDARD.encode(self.mac(id, &timestamp, body).finalize().into_bytes()));
        SignedHeaders { id: id.to_owned(), timestamp, signature }
    }

    /// Whether a message is from whoever has the secret, and new.
    ///
    /// # Errors
    /// When it is not, or its headers are no such headers.
    pub fn verify(&self, headers: &SignedHeaders, body: &[u8], now: Instant) -> Result<(), SignatureProblem> {
        if headers.id.is_empty() || headers.id.len() > ID_MAX {
            return Err(SignatureProblem::Malformed);
        }
        let timestamp: i64 = headers.timestamp.parse().map_err(|_| SignatureProblem::Malformed)?;
        let is_signed = |signature: &str| {
            let encoded = signature.strip_prefix("v1,")?;
            let given = STANDARD.decode(encoded).ok()?;
            self.mac(&headers.id, &headers.timestamp, body).verify_slice(&given).ok()
        };
        // A sender that changes its secret signs with both.
        if !headers.signature.split(' ').any(|signature| is_signed(signature).is_some()) {
            return Err(SignatureProblem::Wrong);
        }
        if timestamp.abs_diff(seconds(now)) > TOLERANCE_SECONDS.unsigned_abs() {
            return Err(SignatureProblem::Old);
        }
        Ok(())
    }
}

fn seconds(at: Instant) -> i64 {
    at.micros().div_euclid(1_000_000)
}

/// What stands in the headers of a signed message, in the order of [`HEADERS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    #[error("the headers webhook-id, webhook-timestamp (in seconds) and webhook-signature (`v1,…`) are expected")]
    Malformed,
    #[error("the signature is not made with this partner's secret over webhook-id.webhook-timestamp.body")]
    Wrong,
    #[error("it was signed more than {} minutes ago, or ahead: sign it when it is sent", TOLERANCE_SECONDS / 60)]
    Old,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the Standard Webhooks specification.
    fn vector() -> (Secret, SignedHeaders, &'static [u8], Instant) {
        let headers = SignedHeaders {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            timestamp: "1614265330".to_owned(),
            signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned(),
        };
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        (secret, headers, br#"{"test": 2432232314}"#, Instant::from_micros(1_614_265_330_000_000))
    }

    #[test]
    fn messages_are_signed_as_the_standard_says() {
        let (secret, headers, body, at) = vector();
        assert_eq!(secret.sign(&headers.id, at, body), headers);
        assert_eq!(secret.verify(&headers, body, at.plus_seconds(300)), Ok(()));
        let both = SignedHeaders { signature: format!("v1,AAAA {}", headers.signature), ..headers };
        assert_eq!(secret.verify(&both, body, at), Ok(()));
    }

    #[test]
    fn what_is_changed_old_or_signed_by_somebody_else_is_refused() {
        let (secret, headers, body, at) = vector();
        let other = Secret::parse("another secret of nobody").unwrap();
        assert_eq!(other.verify(&headers, body, at), Err(SignatureProblem::Wrong));
        assert_eq!(secret.verify(&headers, b"{}", at), Err(SignatureProblem::Wrong));
        for changed in [
            SignedHeaders { id: "msg_2".to_owned(), ..headers.clone() },
            SignedHeaders { timestamp: "1614265331".to_owned(), ..headers.clone() },
            SignedHeaders { signature: headers.signature.replace("v1,", "v2,"), ..headers.clone() },
            SignedHeaders { signature: String::new(), ..headers.clone() },
        ] {
            assert_eq!(secret.verify(&changed, body, at), Err(SignatureProblem::Wrong), "{changed:?}");
        }
        assert_eq!(secret.verify(&headers, body, at.plus_seconds(301)), Err(SignatureProblem::Old));
        assert_eq!(secret.verify(&headers, body, at.plus_seconds(-301)), Err(SignatureProblem::Old));
        let nameless = SignedHeaders { id: String::new(), ..headers };
        assert_eq!(secret.verify(&nameless, body, at), Err(SignatureProblem::Malformed));
    }

    #[test]
    fn a_secret_is_long_enough_and_never_shown() {
        for weak in ["", "short", "whsec_c2hvcnQ=", "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"] {
            assert_eq!(Secret::parse(weak).unwrap_err(), SecretProblem, "{weak}");
        }
        let secret = Secret::parse("sixteen bytes at least").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
