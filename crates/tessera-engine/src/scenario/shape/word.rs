//! One word in place of settings.

use std::fmt;
use std::marker::PhantomData;

use serde::de;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::{Deserialize, Deserializer};

/// A value that is one word, or a map or list of settings.
pub(in crate::scenario) struct WordOr<W, S>(PhantomData<(W, S)>);

/// What a word may be.
pub(super) trait Word {
    const EXPECTED: &'static str;
    fn is_one(text: &str) -> bool;
}

/// A whole number.
pub(super) struct Whole;

impl Word for Whole {
    const EXPECTED: &'static str = "a whole number, or settings such as { available: 5, pending: 2 }";
    fn is_one(text: &str) -> bool {
        text.parse::<i64>().is_ok()
    }
}

pub(super) struct Nothing;

impl Word for Nothing {
    const EXPECTED: &'static str = "`none`, or a list of effects";
    fn is_one(text: &str) -> bool {
        text == "none"
    }
}

impl Word for String {
    const EXPECTED: &'static str = "a word, or settings";
    fn is_one(text: &str) -> bool {
        !text.is_empty()
    }
}

impl<'de, W: Word, S: Deserialize<'de>> Deserialize<'de> for WordOr<W, S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<W, S>(PhantomData<(W, S)>);
        impl<'de, W: Word, S: Deserialize<'de>> de::Visitor<'de> for Visitor<W, S> {
            type Value = WordOr<W, S>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(W::EXPECTED)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let wrong = || E::custom(format!("{} is expected here, not `{text}`", W::EXPECTED));
                W::is_one(text).then_some(WordOr(PhantomData)).ok_or_else(wrong)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                S::deserialize(MapAccessDeserializer::new(map)).map(|_| WordOr(PhantomData))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                S::deserialize(SeqAccessDeserializer::new(seq)).map(|_| WordOr(PhantomData))
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}
