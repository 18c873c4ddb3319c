//! Their JSON and our words.

use std::fmt;

use serde::Deserialize;

use super::OrderAnswer;
use crate::signature::SignatureProblem;

/// The longest code, and reference, in bytes.
const TEXT_MAX: usize = 500;
/// The longest reason, in bytes.
const REASON_MAX: usize = 60;

/// What a partner says of an order of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct PartnerNotice {
    /// The partner's own name for what it says; said again it is the same.
    pub id: String,
    pub kind: NoticeKind,
    /// Our id of the order.
    pub order: String,
    pub reference: Option<String>,
    /// What the member gets, where it is delivered.
    pub code: Option<String>,
    /// Why it is refused, as a code.
    pub reason: Option<String>,
}

impl fmt::Debug for PartnerNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, order, .. } = self;
        f.debug_struct("PartnerNotice")
            .field("id", id)
            .field("kind", kind)
            .field("order", order)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum NoticeKind {
    #[serde(rename = "order.delivered")]
    Delivered,
    #[serde(rename = "order.refused")]
    Refused,
    #[serde(rename = "order.used")]
    Used,
    #[serde(rename = "order.expired")]
    Expired,
    #[serde(rename = "order.refunded")]
    Refunded,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeProblem {
    #[error(transparent)]
    Signature(#[from] SignatureProblem),
    #[error("{0}")]
    Unreadable(String),
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type")]
    kind: NoticeKind,
    order: String,
    reference: Option<String>,
    code: Option<String>,
    reason: Option<String>,
}

/// Reads a verified notice.
///
/// # Errors
/// For what is no notice; the message repeats nothing of it.
pub fn read_notice(id: &str, body: &[u8]) -> Result<PartnerNotice, NoticeProblem> {
    let unreadable = |problem: &str| NoticeProblem::Unreadable(problem.to_owned());
    let said: Said = serde_json::from_slice(body).map_err(|error| {
        let expected = "`type` (order.delivered, .refused, .used, .expired or .refunded) and `order` are expected";
        NoticeProblem::Unreadable(format!("line {}: {expected}", error.line()))
    })?;
    let code = text(said.code).map_err(|()| unreadable("`code` is a text of 1 to 500 bytes"))?;
    if code.is_none() && said.kind == NoticeKind::Delivered {
        return Err(unreadable("`code` is expected with what is delivered"));
    }
    Ok(PartnerNotice {
        id: id.to_owned(),
        kind: said.kind,
        order: said.order,
        reference: text(said.reference).map_err(|()| unreadable("`reference` is a text of 1 to 500 bytes"))?,
        code,
        reason: said.reason.map(|reason| word(&reason)),
    })
}

#[derive(Deserialize)]
struct Answered {
    state: State,
    reference: Option<String>,
    code: Option<String>,
    reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Accepted,
    Delivered,
    Refused,
}

/// Reads the answer to an order, or says what is wrong with it, repeating nothing of it.
pub(super) fn read_answer(body: &[u8]) -> Result<OrderAnswer, &'static str> {
    let answered: Answered =
        serde_json::from_slice(body).map_err(|_| "`state` (accepted, delivered or refused) is expected")?;
    let reference = text(answered.reference).map_err(|()| "`reference` is a text of 1 to 500 bytes")?;
    Ok(match answered.state {
        State::Accepted => OrderAnswer::Accepted { reference },
        State::Delivered => {
            let code = text(answered.code).ok().flatten().ok_or("`code` is a text of 1 to 500 bytes")?;
            OrderAnswer::Delivered { reference, code }
        }
        State::Refused => OrderAnswer::Refused { reason: word(answered.reason.as_deref().unwrap_or("refused")) },
    })
}

fn text(given: Option<String>) -> Result<Option<String>, ()> {
    let is_one = |text: &String| !text.is_empty() && text.len() <= TEXT_MAX && !text.chars().any(char::is_control);
    match given {
        Some(text) if !is_one(&text) => Err(()),
        given => Ok(given),
    }
}

/// A reason ends in events and reports: a short word in letters, digits and dashes, nothing else of what came.
fn word(reason: &str) -> String {
    let plain = |symbol: char| if symbol.is_ascii_alphanumeric() { symbol.to_ascii_lowercase() } else { '-' };
    let word: String = reason.trim().chars().take(REASON_MAX).map(plain).collect();
    if word.is_empty() { "refused".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_read_and_never_repeated() {
        let body = br#"{"type":"order.delivered","order":"evt_1","reference":"R1","code":"K7QM-22XB","at":"later"}"#;
        let notice = read_notice("n1", body).unwrap();
        assert_eq!((notice.kind, notice.order.as_str()), (NoticeKind::Delivered, "evt_1"));
        assert_eq!((notice.reference.as_deref(), notice.code.as_deref()), (Some("R1"), Some("K7QM-22XB")));
        assert!(!format!("{notice:?}").contains("K7QM"), "{notice:?}");
        for wrong in [
            &b"K7QM-22XB"[..],
            br#"{"type":"order.lost","order":"K7QM-22XB"}"#,
            br#"{"type":"order.delivered","order":"K7QM-22XB"}"#,
            br#"{"type":"order.used","order":"evt_1","code":""}"#,
        ] {
            let problem = read_notice("n1", wrong).unwrap_err().to_string();
            assert!(!problem.contains("K7QM"), "{problem}");
        }
    }

    #[test]
    fn answers_to_orders_are_read() {
        let delivered = read_answer(br#"{"state":"delivered","code":"K7QM"}"#).unwrap();
        assert_eq!(delivered, OrderAnswer::Delivered { reference: None, code: "K7QM".to_owned() });
        assert!(!format!("{delivered:?}").contains("K7QM"));
        let refused = read_answer(br#"{"state":"refused","reason":"Sold out!"}"#).unwrap();
        assert_eq!(refused, OrderAnswer::Refused { reason: "sold-out-".to_owned() });
        assert!(read_answer(br#"{"state":"delivered"}"#).is_err(), "delivered, and nothing to give");
        assert!(read_answer(b"<html>").is_err());
    }
}
