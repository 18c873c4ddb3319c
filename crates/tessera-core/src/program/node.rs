//! A YAML or JSON text as a tree that remembers where everything stood.
//!
//! JSON is YAML, so one reader serves both. Numbers keep their text: `1.25` never becomes a binary float.

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::Problem;

/// The longest document read, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The deepest nesting read.
const DEPTH_MAX: usize = 32;
/// The most values read, aliases counted as often as they are used, and what has an anchor once more.
const NODES_MAX: usize = 200_000;
/// The most text that aliases may repeat, in bytes: a page of it used a hundred thousand times is no program.
const REPEATED_BYTES_MAX: usize = 1024 * 1024;

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub at: Position,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    /// A number as it was written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub struct Key {
    pub at: Position,
    pub text: String,
}

impl Node {
    /// The value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(known, _)| known.text == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The node a path leads to, or the deepest one on the way that exists.
    pub fn nearest(&self, path: &[String]) -> &Self {
        let mut node = self;
        for segment in path {
            let next = match &node.kind {
                Kind::Map(_) => node.get(segment),
                Kind::List(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// Takes a map's entry or a list's item out; `false` where there is none.
    pub fn remove(&mut self, path: &[String]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let mut node = self;
        for segment in parents {
            let next = match &mut node.kind {
                Kind::Map(entries) => entries.iter_mut().find(|(key, _)| key.text == *segment).map(|(_, value)| value),
                Kind::List(items) => segment.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return false,
            }
        }
        match &mut node.kind {
            Kind::Map(entries) => {
                let before = entries.len();
                entries.retain(|(key, _)| key.text != *last);
                entries.len() < before
            }
            Kind::List(items) => match last.parse::<usize>() {
                // Emptied, not removed, so that the paths of later items stay true.
                Ok(index) if index < items.len() => {
                    items[index].kind = Kind::Null;
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// The tree as JSON, numbers as written.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(text) => match serde_json::from_str(text) {
                Ok(number) => number,
                Err(_) => Value::String(text.clone()),
            },
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect())
            }
        }
    }

    fn extent(&self) -> Extent {
        let mut extent = Extent { nodes: 1, bytes: 0, depth: 0 };
        match &self.kind {
            Kind::List(items) => items.iter().for_each(|item| extent.add(&item.extent())),
            Kind::Map(entries) => {
                for (key, value) in entries {
                    extent.bytes += key.text.len();
                    extent.add(&value.extent());
                }
            }
            Kind::Text(text) | Kind::Number(text) => extent.bytes = text.len(),
            Kind::Null | Kind::Bool(_) => {}
        }
        extent
    }
}

/// How large a part of a tree is.
struct Extent {
    nodes: usize,
    /// Of its texts.
    bytes: usize,
    /// Levels below it.
    depth: usize,
}

impl Extent {
    fn add(&mut self, below: &Self) {
        self.nodes += below.nodes;
        self.bytes += below.bytes;
        self.depth = self.depth.max(below.depth + 1);
    }
}

/// Reads a text into a tree, or says at which line it is no YAML.
pub fn read(text: &str) -> Result<Node, Problem> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("the document has {} bytes; at most {DOCUMENT_BYTES_MAX} are read", text.len());
        return Err(Problem::error(Position { line: 1, column: 1 }, &[], message));
    }
    Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, repeated: 0 }.document()
}

struct Reader<'text> {
    events: Parser<'text, saphyr_parser::StrInput<'text>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// Bytes of text that aliases have repeated.
    repeated: usize,
}

impl<'text> Reader<'text> {
    fn document(mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => return Err(refused(span, "a file holds one document, this is a second")),
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        root.ok_or_else(|| Problem::error(Position { line: 1, column: 1 }, &[], "the document is empty".to_owned()))
    }

    fn next(&mut self) -> Result<(Event<'text>, Span), Problem> {
        match self.events.next() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                let marker = error.marker();
                let at = Position { line: marker.line(), column: marker.col() + 1 };
                Err(Problem::error(at, &[], format!("this is not YAML or JSON: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: usize) -> Result<Node, Problem> {
        if depth > DEPTH_MAX {
            return Err(too_deep(span));
        }
        self.nodes += 1;
        let at = position(span);
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).ok_or_else(|| refused(span, "this alias has no anchor"))?;
                let extent = known.extent();
                if depth + extent.depth > DEPTH_MAX {
                    return Err(too_deep(span));
                }
                self.repeated += extent.bytes;
                if self.repeated > REPEATED_BYTES_MAX {
                    return Err(refused(span, "aliases repeat more than 1 MiB of text"));
                }
                self.nodes += extent.nodes;
                self.within_nodes(span)?;
                (known.kind.clone(), 0)
            }
            _ => return Err(refused(span, "a value is expected here")),
        };
        self.within_nodes(span)?;
        let node = Node { at, kind };
        if anchor > 0 {
            self.nodes += node.extent().nodes;
            self.within_nodes(span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn within_nodes(&self, span: Span) -> Result<(), Problem> {
        if self.nodes > NODES_MAX {
            return Err(refused(span, "the document has more than 200,000 values"));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            let text = match event {
                Event::MappingEnd => return Ok(Kind::Map(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(refused(span, "a key is a plain text")),
            };
            if let Some(line) = lines.insert(text.clone(), position(span).line) {
                let message = format!("`{text}` stands here twice, first in line {line}");
                return Err(refused(span, &message));
            }
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            entries.push((Key { at: position(span), text }, value));
        }
    }
}

fn position(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

fn too_deep(span: Span) -> Problem {
    refused(span, "the document is nested deeper than 32 levels")
}

fn refused(span: Span, message: &str) -> Problem {
    Problem::error(position(span), &[], message.to_owned())
}

/// The YAML 1.2 core schema: what is quoted is text.
fn scalar(text: &str, style: ScalarStyle) -> Kind {
    if style != ScalarStyle::Plain {
        return Kind::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if is_number(text) => Kind::Number(text.to_owned()),
        _ => Kind::Text(text.to_owned()),
    }
}

/// A number as JSON writes it, with an optional sign.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_numbers_are_kept_as_written() {
        let tree = read("a:\n  b: 1.250\n  c: [x, 'y']\n").unwrap();
        let number = tree.nearest(&["a".into(), "b".into()]);
        assert_eq!((number.at.line, number.at.column), (2, 6));
        assert_eq!(serde_json::to_string(&tree.to_json()).unwrap(), r#"{"a":{"b":1.250,"c":["x","y"]}}"#);
    }

    #[test]
    fn broken_texts_say_where() {
        for (text, line) in [("a: 1\na: 2", 2), ("a: [1", 1), ("a: 1\n---\nb: 2", 3), ("? [x]\n: 1", 1), ("", 1)] {
            let problem = read(text).unwrap_err();
            assert!(problem.at.line >= line, "{text:?}: {problem:?}");
        }
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
        }
        assert!(read(&text).unwrap_err().message.contains("200,000"));
    }

    /// What was refused, or nothing.
    fn complaint(text: &str) -> String {
        read(text).err().map(|problem| problem.message).unwrap_or_default()
    }

    #[test]
    fn a_document_at_each_limit_is_read_and_one_past_it_is_refused() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        // The root is no level, and an empty list has none below it.
        assert_eq!(complaint(&nested(DEPTH_MAX + 1)), "");
        assert!(complaint(&nested(DEPTH_MAX + 2)).contains("nested deeper than 32 levels"));
        let long = |bytes: usize| format!("a: {}", "x".repeat(bytes - 3));
        assert_eq!(complaint(&long(DOCUMENT_BYTES_MAX)), "");
        assert!(complaint(&long(DOCUMENT_BYTES_MAX + 1)).contains("at most 2097152 are read"));
        let many = |values: usize| format!("[{}]", vec!["1"; values - 1].join(","));
        assert_eq!(complaint(&many(NODES_MAX)), "");
        assert!(complaint(&many(NODES_MAX + 1)).contains("more than 200,000 values"));
    }

    #[test]
    fn aliases_repeat_no_more_text_and_reach_no_deeper_than_a_document_may() {
        let page = "x".repeat(REPEATED_BYTES_MAX / 8);
        let repeated = |times: usize| format!("a: &a {page}\nb: [{}]", vec!["*a"; times].join(","));
        assert_eq!(complaint(&repeated(8)), "");
        assert!(complaint(&repeated(9)).contains("repeat more than 1 MiB"));
        let half = |levels: usize| format!("a: &a {}{}\nb: [[[[[[*a]]]]]]", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(complaint(&half(DEPTH_MAX - 6)), "");
        assert!(complaint(&half(DEPTH_MAX - 5)).contains("nested"));
        // Each is small, and each holds the one before: no tower of them is built.
        let tower = (1..5_000).map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1));
        assert!(complaint(&format!("a0: &a0 x\n{}", tower.collect::<String>())).contains("nested"));
    }

    #[test]
    fn many_keys_and_anchors_are_read_as_fast_as_few() {
        let keys = (0..150_000).map(|n| format!("k{n}:\n")).collect::<String>();
        assert_eq!(complaint(&keys), "");
        let anchors = (0..40_000).map(|n| format!("- &a{n} x\n- *a{n}\n")).collect::<String>();
        assert_eq!(complaint(&anchors), "");
    }
}
