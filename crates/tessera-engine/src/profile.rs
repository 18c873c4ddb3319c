//! A member's personal data: who they are, under a key of their own. No ledger, event or outbox row holds any of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Entropy;
use crate::identifier::Identifier;
use crate::secret::{SecretError, Secrets, open, seal};

/// Fields of `enrol` and `profile` events that are personal.
pub const PERSONAL_FIELDS: [&str; 4] = ["name", "phone", "email", "language"];

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Every name the member is known under, `kind:value`, the first first.
    pub identifiers: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// A profile as it is stored.
#[derive(Clone, Debug)]
pub struct SealedProfile {
    pub wrapped_key: Vec<u8>,
    pub data: Vec<u8>,
}

impl Profile {
    pub fn named(identifier: &Identifier) -> Self {
        Self { identifiers: vec![identifier.to_text()], fields: BTreeMap::new() }
    }

    /// Seals under a new key of the member's own.
    pub fn seal(&self, secrets: &Secrets, entropy: &mut Entropy) -> SealedProfile {
        let (key, wrapped_key) = secrets.new_member_key(entropy);
        let plain = serde_json::to_vec(self).unwrap_or_default();
        SealedProfile { wrapped_key, data: seal(&key, &entropy.bytes(), &plain) }
    }

    pub fn open(sealed: &SealedProfile, secrets: &Secrets) -> Result<Self, SecretError> {
        let key = secrets.unwrap_member_key(&sealed.wrapped_key)?;
        serde_json::from_slice(&open(&key, &sealed.data)?).map_err(|_| SecretError::WrongKey)
    }
}

/// Names that lead to one member. Each is looked up with every event that brings it, and all are sealed together.
pub const IDENTIFIERS_MAX: usize = 50;

/// Personal fields with their texts, and the names under which the member is known.
pub type Personal = (BTreeMap<String, String>, Vec<Identifier>);

/// Takes the personal fields and identifiers out of an event's data, so that what is stored with the event holds none.
///
/// Says what is wrong with a field that is not a text.
pub fn take_personal(data: &mut Value) -> Result<Personal, (String, String)> {
    let Value::Object(map) = data else { return Ok((BTreeMap::new(), Vec::new())) };
    let mut fields = BTreeMap::new();
    let mut identifiers = Vec::new();
    for name in PERSONAL_FIELDS {
        match map.remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.len() <= 400 => {
                if matches!(name, "phone" | "email")
                    && let Ok(kind) = name.parse()
                {
                    let identifier =
                        Identifier::new(kind, &text).map_err(|error| (format!("data.{name}"), error.to_string()))?;
                    identifiers.push(identifier);
                }
                fields.insert(name.to_owned(), text);
            }
            Some(_) => return Err((format!("data.{name}"), "a text of at most 400 bytes is expected".to_owned())),
        }
    }
    // As a file has them: `identifiers.card` is a column of cards.
    let by_kind: Vec<String> = map.keys().filter(|name| name.starts_with("identifiers.")).cloned().collect();
    for name in by_kind {
        let wrong = |message: String| (format!("data.{name}"), message);
        let kind = name.trim_start_matches("identifiers.");
        let kind = kind.parse().map_err(|error: tessera_core::program::IdProblem| wrong(error.to_string()))?;
        match map.remove(&name) {
            Some(Value::String(text)) => {
                identifiers.push(Identifier::new(kind, &text).map_err(|error| wrong(error.to_string()))?)
            }
            _ => return Err(wrong("a text is expected".to_owned())),
        }
    }
    if let Some(listed) = map.remove("identifiers") {
        let wrong = || ("data.identifiers".to_owned(), "a list such as [\"card:4711\"] is expected".to_owned());
        let listed = match listed {
            Value::Array(listed) => listed,
            // As a file has them, in one column: `phone:+84901234567;card:4711`.
            Value::String(text) => text.split(';').map(|part| part.trim().into()).collect(),
            _ => return Err(wrong()),
        };
        for (place, text) in listed.iter().enumerate() {
            let text = text.as_str().ok_or_else(wrong)?;
            let identifier: Identifier = text.parse().map_err(|error: crate::identifier::IdentifierError| {
                (format!("data.identifiers[{place}]"), error.to_string())
            })?;
            identifiers.push(identifier);
        }
    }
    if identifiers.len() > IDENTIFIERS_MAX {
        let message =
            format!("at most {IDENTIFIERS_MAX} identifiers lead to a member, and these are {}", identifiers.len());
        return Err(("data.identifiers".to_owned(), message));
    }
    Ok((fields, identifiers))
}
