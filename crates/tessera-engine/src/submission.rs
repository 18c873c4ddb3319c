//! From what a caller sends to what the executor takes: parsed, hashed, personal data taken out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tessera_core::decide::{Outcome, Rejected, RuleTrace};
use tessera_core::event::{Adjustment, DataProblem, Origin, What, read_event};
use tessera_core::time::Instant;

use crate::adjustment::{By, Wanted};
use crate::identifier::{Identifier, Subject};
use crate::profile::take_personal;
use crate::programs::ProgramHandle;
use crate::record::{Envelope, write_text};
use crate::secret::Secrets;

/// A CloudEvents 1.0 event, as far as it concerns us; extension attributes are allowed and not kept.
#[derive(Debug, Deserialize)]
pub struct CloudEvent<'a> {
    #[serde(borrow, default)]
    pub specversion: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    pub id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    pub source: std::borrow::Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    pub kind: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    pub subject: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    pub time: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

/// A command on its way to the executor.
pub struct Submission {
    pub program: Arc<ProgramHandle>,
    pub what: What,
    pub subject: Subject,
    /// Key and hash of the command; none for wake-ups.
    pub key: Option<([u8; 16], [u8; 16])>,
    /// Source and id, the data without personal fields.
    pub envelope: String,
    /// The data alone, where they begin in the envelope.
    pub data: std::ops::Range<usize>,
    pub effective_at: Instant,
    pub recorded_at: Instant,
    pub personal: BTreeMap<String, String>,
    /// Names that the data give, besides the subject.
    pub identifiers: Vec<Identifier>,
    /// From where it came; nowhere unless the caller says.
    pub origin: Origin,
    pub explain: bool,
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submission")
            .field("program", &self.program.key)
            .field("kind", &self.what.kind())
            .finish_non_exhaustive()
    }
}

/// What the caller gets.
#[derive(Clone, Debug)]
pub enum Answer {
    Done {
        outcome: Box<Outcome>,
        trace: Vec<RuleTrace>,
    },
    Refused(Refusal),
    /// Nothing happened and the same command may be sent again.
    Unavailable,
}

impl Answer {
    /// Whether nothing came of the command, now and not when it was sent before: then nothing is written, and only what
    /// was read speaks for it.
    pub(crate) fn rests_on_reads_alone(&self) -> bool {
        match self {
            Self::Refused(refusal) => !refusal.replayed,
            Self::Unavailable => true,
            Self::Done { .. } => false,
        }
    }
}

/// A refusal with its stable code, a sentence and the facts.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    pub code: String,
    pub detail: String,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub facts: serde_json::Map<String, Value>,
    /// The same command was refused before, in the same way.
    #[serde(skip)]
    pub replayed: bool,
}

impl Refusal {
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into(), facts: serde_json::Map::new(), replayed: false }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        Self { facts: rejected.facts(), ..Self::new(rejected.code(), rejected.to_string()) }
    }
}

impl From<DataProblem> for Refusal {
    fn from(problem: DataProblem) -> Self {
        let code = if problem.path == "type" { "unknown-event-type" } else { "invalid-event" };
        Self::new(code, problem.to_string()).with("path", problem.path)
    }
}

/// The longest source or id of an event, in bytes.
const KEY_MAX: usize = 255;

impl Submission {
    /// Reads one CloudEvent. `now`: record time, and business time where the event has none.
    pub fn from_event(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        event: &CloudEvent<'_>,
        now: Instant,
    ) -> Result<Self, Refusal> {
        if event.specversion.as_deref().is_some_and(|version| version != "1.0") {
            return Err(
                Refusal::new("invalid-event", "specversion: CloudEvents 1.0 is expected").with("path", "specversion")
            );
        }
        for (name, text) in [("id", &event.id), ("source", &event.source)] {
            if text.is_empty() || text.len() > KEY_MAX {
                let detail = format!("{name}: 1 to {KEY_MAX} bytes are expected; source and id make an event unique");
                return Err(Refusal::new("invalid-event", detail).with("path", name));
            }
        }
        let effective_at = match &event.time {
            None => now,
            Some(text) => text.parse().map_err(|_| {
                Refusal::new("invalid-event", "time: a time such as 2026-03-31T23:59:00+07:00 is expected")
                    .with("path", "time")
            })?,
        };
        let subject = match event.subject.as_deref() {
            None | Some("") => Subject::Nobody,
            Some(text) => text.parse().map_err(|error: crate::identifier::IdentifierError| {
                Refusal::new("invalid-event", format!("subject: {error}")).with("path", "subject")
            })?,
        };
        let data = event.data.map_or("{}", RawValue::get);
        let canonical = canonical(data)?;
        let time = event.time.as_ref().map_or_else(String::new, |_| effective_at.micros().to_string());
        let subject_text = event.subject.as_deref().unwrap_or_default();
        let hash = secrets.command_hash(&[
            event.kind.as_bytes(),
            subject_text.as_bytes(),
            time.as_bytes(),
            canonical.as_bytes(),
        ]);
        let key = secrets.event_key(program.number, &event.source, &event.id);
        let (personal, identifiers, data) = without_personal(secrets, program.number, &event.kind, data)?;
        let versions = program.versions();
        let what = read_event(&versions.at(effective_at).definition, &event.kind, &data)?;
        let envelope = Envelope::text(Some(&event.source), Some(&event.id), &data);
        let end = envelope.len() - 1;
        Ok(Self {
            program: program.clone(),
            what,
            subject,
            key: Some((key, hash)),
            data: end - data.len()..end,
            envelope,
            effective_at,
            recorded_at: now,
            personal,
            identifiers,
            origin: Origin::default(),
            explain: false,
        })
    }

    /// A manual change of a balance, asked for by nobody in particular. `key`: the caller's idempotency key.
    pub fn adjustment(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        adjustment: Adjustment,
        key: &str,
        now: Instant,
    ) -> Self {
        let wanted = Wanted {
            member,
            currency: adjustment.currency.clone(),
            amount: adjustment.amount,
            reason: adjustment.reason.to_string(),
            note: None,
            undoes: None,
            by: By::default(),
            key: key.to_owned(),
        };
        Self::adjusting(secrets, program, &wanted, adjustment, None, now)
    }

    /// A manual change of a balance as it was asked for, and by whom it was approved.
    pub(crate) fn adjusting(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        wanted: &Wanted,
        adjustment: Adjustment,
        approved_by: Option<&str>,
        now: Instant,
    ) -> Self {
        let optional = [("undoes", wanted.undoes.map(|event| event.to_string()))];
        let told = [
            ("staff", wanted.by.staff.clone()),
            ("by", Some(wanted.by.name.clone()).filter(|name| !name.is_empty())),
            ("role", wanted.by.role.as_ref().map(ToString::to_string)),
            ("approved_by", approved_by.map(str::to_owned)),
        ];
        let mut data = serde_json::json!({
            "currency": wanted.currency.as_str(),
            "amount": wanted.amount,
            "reason": wanted.reason,
        });
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                data[name] = value.into();
            }
            data.to_string()
        };
        let body = optional.into_iter().fold(String::new(), |_, (name, value)| add(name, value));
        let data = told.into_iter().fold(String::new(), |_, (name, value)| add(name, value));
        let subject = wanted.member.to_text().unwrap_or_default();
        // Who asks and who approves changes nothing about what is asked for: a retry is the same command.
        let hash = secrets.command_hash(&[b"adjustment", subject.as_bytes(), body.as_bytes()]);
        // Whoever asked is counted, also where somebody else agreed.
        let by = Some(wanted.by.key.as_str()).filter(|key| !key.is_empty()).map(Into::into);
        let origin = Origin { key: by, staff: wanted.by.staff.as_deref().map(Into::into), ..Origin::default() };
        let source = if approved_by.is_some() { "tessera:adjustments:approved" } else { "tessera:adjustments" };
        let key = (secrets.event_key(program.number, source, &wanted.key), hash);
        let about = (What::Adjust(adjustment), wanted.member.clone());
        let submission = Self::now(program, about, (Some("api"), Some(&wanted.key)), &data, Some(key), now);
        Self { origin, ..submission }
    }

    pub fn wake_up(program: &Arc<ProgramHandle>, member: tessera_core::id::MemberId, now: Instant) -> Self {
        Self::now(program, (What::WakeUp, Subject::Member(member)), (None, None), "{}", None, now)
    }

    /// Whether it brings personal data or names besides its subject.
    pub fn has_personal_data(&self) -> bool {
        !self.personal.is_empty() || !self.identifiers.is_empty()
    }

    pub fn data_text(&self) -> &str {
        &self.envelope[self.data.clone()]
    }
}

/// How many digits a phone number has that comes from another system: E.164, and the shortest there are.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

type Personal<'a> = (BTreeMap<String, String>, Vec<Identifier>, std::borrow::Cow<'a, str>);

/// Takes personal fields out of the data of events that may carry them.
fn without_personal<'a>(secrets: &Secrets, program: i64, kind: &str, data: &'a str) -> Result<Personal<'a>, Refusal> {
    if !matches!(kind, "enrol" | "profile" | "move-in") {
        return Ok((BTreeMap::new(), Vec::new(), data.into()));
    }
    let mut value: Value =
        serde_json::from_str(data).map_err(|_| Refusal::new("invalid-event", "data: a JSON object is expected"))?;
    let (fields, identifiers) = take_personal(&mut value)
        .map_err(|(path, message)| Refusal::new("invalid-event", format!("{path}: {message}")).with("path", path))?;
    if kind == "move-in"
        && let Some(phone) = identifiers.iter().find(|identifier| *identifier.kind() == *"phone")
    {
        let digits = phone.value().bytes().filter(u8::is_ascii_digit).count();
        if !PHONE_DIGITS.contains(&digits) {
            let detail = format!("data.phone: {digits} digits are no phone number");
            return Err(Refusal::new("invalid-event", detail).with("path", "data.phone"));
        }
    }
    if let Some(Value::String(device)) = value.get_mut("device") {
        *device = crate::referral::device(secrets, program, device);
    }
    Ok((fields, identifiers, value.to_string().into()))
}

/// The canonical form of JSON data: keys sorted, no white space, numbers without superfluous zeros.
fn canonical(data: &str) -> Result<String, Refusal> {
    let value: Value = serde_json::from_str(data).map_err(|error| {
        let text = error.to_string();
        let problem = match text.split_once(" at line ") {
            Some(("recursion limit exceeded", _)) => "it is nested more than 127 levels deep",
            Some((problem, _)) => problem,
            None => &text,
        };
        Refusal::new("invalid-event", format!("data: {problem}")).with("path", "data")
    })?;
    let mut text = String::with_capacity(data.len());
    write_canonical(&value, &mut text);
    Ok(text)
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => write_number(number.as_str(), text),
        Value::String(value) => write_text(value, text),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in fields {
                write_text(name, text);
                text.push(':');
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        other => text.push_str(&other.to_string()),
    }
}

fn write_number(number: &str, text: &mut String) {
    // A whole number is its own canonical form, as long as it is none that a decimal has no room for.
    if number.len() <= 28 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.push_str(number);
    }
    match rust_decimal::Decimal::from_str_exact(number) {
        Ok(decimal) => text.push_str(&decimal.normalize().to_string()),
        Err(_) => text.push_str(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i1_the_same_command_has_one_canonical_form() {
        let one = canonical(r#"{"total": 10.50, "items": [{"sku":"A","quantity":1}], "order_id":"1"}"#).unwrap();
        let other = canonical(r#"{"order_id":"1","items":[{"quantity":1.0,"sku":"A"}],"total":10.5}"#).unwrap();
        assert_eq!(one, other);
        assert_ne!(one, canonical(r#"{"order_id":"1","items":[{"quantity":1.0,"sku":"A"}],"total":10.51}"#).unwrap());
    }
}
