//! From the tree to typed values, with all mistakes found in one go.
//!
//! serde stops at the first mistake. So what is wrong is noted, taken out of the tree, and the tree is read again,
//! until nothing is wrong; a mistake that only follows from another (a key that was taken out is now missing) is
//! not reported.

use std::fmt;

use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};

use super::node::{Key, Kind, Node, Position};
use super::problem::{Problem, nearest};

/// More mistakes than this in one document are not listed.
const MISTAKES_MAX: usize = 100;

/// What a tree with mistakes still gives.
#[derive(Debug)]
pub struct Mistakes<T> {
    pub problems: Vec<Problem>,
    /// The value without the unknown keys, when nothing else was wrong: what it says can be checked all the same.
    pub without_unknown_keys: Option<T>,
}

/// Reads the whole tree as `T`, or lists every mistake.
///
/// `explain_unknown` may give an unknown key (its path and name) a message of its own.
pub fn decode<T: DeserializeOwned>(
    tree: &Node,
    explain_unknown: impl Fn(&[String], &str) -> Option<String>,
) -> Result<T, Mistakes<T>> {
    let mut tree = tree.clone();
    let mut problems: Vec<Problem> = Vec::new();
    let mut pruned: Vec<Vec<String>> = Vec::new();
    let mut only_unknown_keys = true;
    let mut repaired = None;
    loop {
        let mistake = match T::deserialize(Reader { node: &tree }) {
            Ok(value) if problems.is_empty() => return Ok(value),
            Ok(value) => {
                repaired = Some(value);
                break;
            }
            Err(mistake) => mistake,
        };
        let mut path = mistake.path.clone();
        // A key that is missing because it was wrong is no second mistake.
        let mut follows = match &mistake.cause {
            Cause::MissingKey(key) => pruned
                .iter()
                .any(|gone| gone.split_last().is_some_and(|(last, parents)| last == key && parents == path.as_slice())),
            // What a value lacks once a wrong part of it is taken out.
            Cause::Other(_) => pruned.iter().any(|gone| gone.starts_with(&path) && gone.len() > path.len()),
            _ => false,
        };
        only_unknown_keys &= matches!(mistake.cause, Cause::UnknownKey { .. });
        follows |= matches!(tree.nearest(&path).kind, Kind::Null) && pruned.contains(&path);
        if !follows {
            problems.push(mistake.problem(&explain_unknown));
        }
        if let Cause::UnknownKey { key, .. } = &mistake.cause {
            path.push(key.clone());
        }
        // What cannot be taken out (a required key that is missing) takes its parent with it.
        while !path.is_empty() && !tree.remove(&path) {
            path.pop();
        }
        let again = pruned.contains(&path);
        pruned.push(path.clone());
        if again {
            path.pop();
            tree.remove(&path);
            pruned.push(path.clone());
        }
        if path.is_empty() || problems.len() >= MISTAKES_MAX || pruned.len() > 4 * MISTAKES_MAX {
            break;
        }
    }
    problems.sort_by_key(|problem| problem.at);
    Err(Mistakes { problems, without_unknown_keys: repaired.filter(|_| only_unknown_keys) })
}

/// One mistake, with where it was found.
#[derive(Debug)]
pub struct Mistake {
    cause: Cause,
    at: Option<Position>,
    path: Vec<String>,
}

#[derive(Debug)]
enum Cause {
    UnknownKey { key: String, known: &'static [&'static str] },
    UnknownWord { word: String, known: &'static [&'static str] },
    MissingKey(&'static str),
    Other(String),
}

impl Mistake {
    fn new(cause: Cause) -> Self {
        Self { cause, at: None, path: Vec::new() }
    }

    fn at(mut self, position: Position) -> Self {
        self.at.get_or_insert(position);
        self
    }

    fn under(mut self, segment: String) -> Self {
        self.path.insert(0, segment);
        self
    }

    fn problem(&self, explain_unknown: impl Fn(&[String], &str) -> Option<String>) -> Problem {
        let at = self.at.unwrap_or_default();
        let listed = |known: &[&str]| format!("one of: {}", known.join(", "));
        let suggest =
            |problem: Problem, word: &str, known: &'static [&'static str]| match nearest(word, known.iter().copied()) {
                Some(near) => problem.suggest(format!("did you mean `{near}`?")),
                None if known.is_empty() => problem,
                None => problem.suggest(listed(known)),
            };
        match &self.cause {
            Cause::UnknownKey { key, known } => match explain_unknown(&self.path, key) {
                Some(message) => Problem::error(at, &self.path, message),
                None => suggest(Problem::error(at, &self.path, format!("unknown key `{key}`")), key, known),
            },
            Cause::UnknownWord { word, known } => {
                suggest(Problem::error(at, &self.path, format!("`{word}` is not known here")), word, known)
            }
            Cause::MissingKey(key) => Problem::error(at, &self.path, format!("`{key}` is missing")),
            Cause::Other(message) => Problem::error(at, &self.path, message.clone()),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem(|_, _| None).fmt(f)
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Cause::Other(message.to_string()))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Cause::UnknownKey { key: field.to_owned(), known: expected })
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Cause::UnknownWord { word: variant.to_owned(), known: expected })
    }
    fn missing_field(field: &'static str) -> Self {
        Self::new(Cause::MissingKey(field))
    }
    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("{expected} is expected, not {found}"))
    }
    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("{expected} is expected, not {found}"))
    }
}

/// serde's view of a node.
#[derive(Clone, Copy)]
struct Reader<'tree> {
    node: &'tree Node,
}

impl<'tree> Reader<'tree> {
    fn placed<T>(self, result: Result<T, Mistake>) -> Result<T, Mistake> {
        result.map_err(|mistake| mistake.at(self.node.at))
    }

    fn found(self) -> &'static str {
        match self.node.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map of keys",
        }
    }

    fn expected<T>(self, what: &str) -> Result<T, Mistake> {
        let found = self.found();
        Err(Mistake::new(Cause::Other(format!("{what} is expected here, not {found}"))).at(self.node.at))
    }

    fn integer(self) -> Result<i64, Mistake> {
        match &self.node.kind {
            Kind::Number(text) => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) => self.expected("a whole number"),
            },
            _ => self.expected("a whole number"),
        }
    }

    fn text(self) -> Result<&'tree str, Mistake> {
        match &self.node.kind {
            Kind::Text(text) | Kind::Number(text) => Ok(text),
            Kind::Bool(true) => Ok("true"),
            Kind::Bool(false) => Ok("false"),
            _ => self.expected("a text"),
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'tree>>(self, visitor: V) -> Result<V::Value, Mistake> {
            let number = self.integer()?;
            self.placed(visitor.visit_i64(number))
        }
    )*};
}

impl<'tree> de::Deserializer<'tree> for Reader<'tree> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'tree>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let result = match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Number(text) | Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Kind::Map(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
        };
        self.placed(result)
    }

    fn deserialize_bool<V: Visitor<'tree>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.node.kind {
            Kind::Bool(value) => self.placed(visitor.visit_bool(value)),
            _ => self.expected("true or false"),
        }
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }

    fn deserialize_str<V: Visitor<'tree>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let text = self.text()?;
        self.placed(visitor.visit_borrowed_str(text))
    }

    fn deserialize_string<V: Visitor<'tree>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'tree>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.node.kind {
            Kind::Null => self.placed(visitor.visit_none()),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'tree>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.kind {
            Kind::List(items) => self.placed(visitor.visit_seq(Items { items: items.iter().enumerate() })),
            _ => self.expected("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'tree>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.kind {
            Kind::Map(entries) => self.placed(visitor.visit_map(Entries { entries: entries.iter(), value: None })),
            Kind::Null => self.placed(visitor.visit_map(Entries { entries: [].iter(), value: None })),
            _ => self.expected("a map of keys"),
        }
    }

    fn deserialize_struct<V: Visitor<'tree>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'tree>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'tree>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let word = self.text()?;
        self.placed(visitor.visit_enum(word.into_deserializer()))
    }

    serde::forward_to_deserialize_any! {
        <W: Visitor<'tree>>
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Items<'tree> {
    items: std::iter::Enumerate<std::slice::Iter<'tree, Node>>,
}

impl<'tree> de::SeqAccess<'tree> for Items<'tree> {
    type Error = Mistake;

    fn next_element_seed<T: de::DeserializeSeed<'tree>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Reader { node }).map(Some).map_err(|mistake| mistake.at(node.at).under(index.to_string()))
    }
}

struct Entries<'tree> {
    entries: std::slice::Iter<'tree, (Key, Node)>,
    value: Option<&'tree (Key, Node)>,
}

impl<'tree> de::MapAccess<'tree> for Entries<'tree> {
    type Error = Mistake;

    fn next_key_seed<K: de::DeserializeSeed<'tree>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(entry);
        let (key, _) = entry;
        let read = seed.deserialize(de::value::BorrowedStrDeserializer::<Mistake>::new(&key.text));
        read.map(Some).map_err(|mistake| match mistake.cause {
            Cause::UnknownKey { .. } => mistake.at(key.at),
            _ => mistake.at(key.at).under(key.text.clone()),
        })
    }

    fn next_value_seed<V: de::DeserializeSeed<'tree>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value without a key"));
        };
        seed.deserialize(Reader { node }).map_err(|mistake| mistake.at(node.at).under(key.text.clone()))
    }
}
