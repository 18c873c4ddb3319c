//! How the outside names a member: an id, or `kind:value` such as `phone:+84901234567`.

use std::fmt;
use std::str::FromStr;

use tessera_core::id::MemberId;
use tessera_core::program::Id;

/// What is stored with a name that leads to no member: it is blocked for another took its place, or the mark of somebody
/// who left. The numbers never change.
pub(crate) const NAME_REPLACED: i64 = 2;
pub(crate) const NAME_LEFT: i64 = 3;
/// A command is about to give it to a member; its effect decides. Only where the database is spread over shards.
pub(crate) const NAME_CLAIMED: i64 = 4;
/// The kind of the codes of gift cards: no member has a name of this kind.
pub const GIFT_CARD: &str = "gift-card";

/// Whom an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Member(MemberId),
    Identifier(Identifier),
    /// Nobody: the event of a guest, or one that its order names.
    Nobody,
}

/// A name under which a member is known: its kind and its value. `Debug` hides the value, it may be a phone number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    kind: Id,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a member is named by an id (mem_…) or as kind:value, such as phone:+84901234567 or card:4711")]
pub struct IdentifierError;

impl Identifier {
    pub fn new(kind: Id, value: &str) -> Result<Self, IdentifierError> {
        let value = normalised(kind.as_str(), value);
        if value.is_empty() || value.len() > 200 {
            return Err(IdentifierError);
        }
        Ok(Self { kind, value })
    }

    pub fn kind(&self) -> &Id {
        &self.kind
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    /// The code of a gift card.
    pub fn gift_card(code: &str) -> Result<Self, IdentifierError> {
        Self::new(Id::constant(GIFT_CARD), code)
    }

    pub fn is_gift_card(&self) -> bool {
        self.kind == *GIFT_CARD
    }

    /// The whole name, `kind:value`.
    pub fn to_text(&self) -> String {
        format!("{}:{}", self.kind, self.value)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:…", self.kind)
    }
}

impl FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let (kind, value) = text.split_once(':').ok_or(IdentifierError)?;
        Self::new(kind.parse().map_err(|_| IdentifierError)?, value)
    }
}

impl Subject {
    /// As it is written; nothing for nobody.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Member(id) => Some(id.to_string()),
            Self::Identifier(identifier) => Some(identifier.to_text()),
            Self::Nobody => None,
        }
    }
}

impl FromStr for Subject {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if text.starts_with("mem_") {
            return text.parse().map(Self::Member).map_err(|_| IdentifierError);
        }
        text.parse().map(Self::Identifier)
    }
}

/// Spaces and the like are left out of phone numbers, letters of addresses are lowered: one person, one name.
fn normalised(kind: &str, value: &str) -> String {
    let value = value.trim();
    match kind {
        "phone" => value.chars().filter(|character| character.is_ascii_digit() || *character == '+').collect(),
        "email" => value.to_lowercase(),
        // Codes are read aloud and typed.
        GIFT_CARD => {
            let symbols = value.chars().filter(|symbol| !tessera_core::code::is_separator(*symbol));
            symbols.flat_map(char::to_uppercase).collect()
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_name_however_it_is_written() {
        let phone: Identifier = "phone: +84 901-234-567".parse().unwrap();
        assert_eq!(phone.to_text(), "phone:+84901234567");
        assert_eq!("email:An@Example.VN".parse::<Identifier>().unwrap().value(), "an@example.vn");
        assert_eq!(format!("{phone:?}"), "phone:…");
        for wrong in ["", "phone", "phone:", "Phone:1", "mem_x"] {
            assert!(wrong.parse::<Subject>().is_err(), "{wrong}");
        }
    }
}
