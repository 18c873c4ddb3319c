//! The small value types of a document: identifiers, exact decimals, shares, expression sources, texts by language.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::Text;

/// The name of something in a document: a currency, campaign, tier level … Lower case, at most 40 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Id(CompactString);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no name: names are a-z, 0-9, - and _, begin with a letter and have at most 40 characters")]
pub struct IdProblem {
    text: String,
}

impl Id {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name known to be well formed, from the program's own constants.
    pub const fn constant(text: &'static str) -> Self {
        Self(CompactString::const_new(text))
    }
}

impl FromStr for Id {
    type Err = IdProblem;

    fn from_str(text: &str) -> Result<Self, IdProblem> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'));
        if first && rest && text.len() <= 40 {
            Ok(Self(CompactString::new(text)))
        } else {
            Err(IdProblem { text: text.chars().take(60).collect() })
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Id {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        text.parse().map_err(de::Error::custom)
    }
}

/// For stored fields where no name is a value too: a ladder's only measure, a level nobody has set yet.
pub(crate) fn id_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
    let text = Text::deserialize(deserializer)?.0;
    if text.is_empty() { Ok(Id::default()) } else { text.parse().map_err(de::Error::custom) }
}

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,39}$" })
    }
}

/// An exact decimal, never a binary float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(pub Decimal);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.normalize())
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        Decimal::from_str_exact(&text)
            .map(Self)
            .map_err(|_| de::Error::custom(format!("`{text}` is not a decimal number")))
    }
}

impl JsonSchema for Exact {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "description": "an exact decimal" })
    }
}

/// A share from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Share(Exact);

impl Share {
    pub fn decimal(self) -> Decimal {
        self.0.0
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let exact = Exact::deserialize(deserializer)?;
        if exact.0 < Decimal::ZERO || exact.0 > Decimal::ONE {
            return Err(de::Error::custom(format!("{} is no share: shares are 0 to 1, a tenth is 0.1", exact.0)));
        }
        Ok(Self(exact))
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// The source of a ZEN expression; a plain number is one too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Formula(pub String);

impl Formula {
    /// The number this source is, if it is nothing but a number.
    pub fn constant(&self) -> Option<Decimal> {
        Decimal::from_str_exact(self.0.trim()).ok()
    }
}

impl<'de> Deserialize<'de> for Formula {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Formula {
    fn schema_name() -> Cow<'static, str> {
        "Formula".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"], "description": "a ZEN expression",
            "examples": ["event.net / 10000", "item.category == \"coffee\""] })
    }
}

/// A text in the languages a program speaks: `{ vi: …, th: …, en: … }`, or one text for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Texts(BTreeMap<String, String>);

impl Texts {
    /// The text in a language, else in English, else in any.
    pub fn in_language<'a>(&'a self, language: &str) -> Option<&'a str> {
        let text = self.0.get(language).or_else(|| self.0.get("en")).or_else(|| self.0.values().next());
        text.map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts by language.
    pub const fn by_language(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or texts by language such as { vi: …, en: … }")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(BTreeMap::from([("en".to_owned(), text.to_owned())])))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((language, text)) = map.next_entry::<String, String>()? {
                    let well_formed = (2..=8).contains(&language.len())
                        && language.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
                    if !well_formed {
                        return Err(de::Error::custom(format!("`{language}` is no language tag such as vi, th or en")));
                    }
                    texts.insert(language, text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "string" },
            { "type": "object", "additionalProperties": { "type": "string" }, "examples": [{ "vi": "hạt", "en": "bean" }] }] })
    }
}

/// Declares a type that is written either as one word or as a map of settings.
macro_rules! word_or_map {
    ($(#[$doc:meta])* $name:ident, $expecting:literal, |$word:ident| $from_word:expr, $map:ty, |$read:ident| $from_map:expr) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, $word: &str) -> Result<$name, E> {
                        $from_word.ok_or_else(|| E::custom(format!("{} is expected here, not `{}`", $expecting, $word)))
                    }
                    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        let $read = <$map>::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                        $from_map.map_err(serde::de::Error::custom)
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let map = generator.subschema_for::<$map>();
                schemars::json_schema!({ "anyOf": [{ "type": ["string", "number"], "description": $expecting }, map] })
            }
        }
    };
}
pub(super) use word_or_map;
