//! The documents of a scenario: in place, from a file beside it, or as a change of the one before.

use std::path::Path;

use tessera_core::program::{self, Definition, Key, Kind, Node, Position, Problem};

use super::read::{FileProblem, Problems};
use super::step::Published;

/// The document a scenario begins with, and those that it publishes, in their order.
pub(super) fn documents(file: &Path, tree: &Node) -> Result<Vec<(Published, Definition)>, Problems> {
    let mut found: Vec<(Published, Definition)> = vec![document(file, tree, tree.at, None)?];
    let steps = match tree.get("steps").map(|steps| &steps.kind) {
        Some(Kind::List(steps)) => steps.as_slice(),
        _ => &[],
    };
    for publish in steps.iter().filter_map(|step| step.get("publish")) {
        let latest = found.last().map(|(latest, _)| latest.tree.clone());
        let wrapped;
        let publish = match &publish.kind {
            // `publish: file.yaml`
            Kind::Text(_) => {
                let key = Key { at: publish.at, text: "program".to_owned() };
                wrapped = Node { at: publish.at, kind: Kind::Map(vec![(key, publish.clone())]) };
                &wrapped
            }
            _ => publish,
        };
        found.push(document(file, publish, publish.at, latest.as_ref())?);
    }
    Ok(found)
}

/// Reads `program` (a file), `document` (in place) or, with `base`, only a `change` of it.
fn document(file: &Path, node: &Node, at: Position, base: Option<&Node>) -> Result<(Published, Definition), Problems> {
    let wrong = |at: Position, message: &str| {
        let problem = Problem::error(at, &[], message.to_owned());
        vec![FileProblem { file: file.to_owned(), problem }]
    };
    let change = node.get("change");
    let (mut tree, mut text, named) = match (node.get("program"), node.get("document"), base) {
        (Some(_), Some(second), _) => return Err(wrong(second.at, "one of `program` and `document` is enough")),
        (Some(path), None, _) => {
            let Kind::Text(name) = &path.kind else {
                return Err(wrong(path.at, "the path of a program document is expected"));
            };
            let beside = file.parent().unwrap_or(Path::new("")).join(name);
            let text = std::fs::read_to_string(&beside)
                .map_err(|error| wrong(path.at, &format!("{}: {error}", beside.display())))?;
            let tree =
                program::read_tree(&text).map_err(|problem| vec![FileProblem { file: beside.clone(), problem }])?;
            (tree, Some(text), beside)
        }
        (None, Some(document), _) => (document.clone(), None, file.to_owned()),
        (None, None, Some(base)) if change.is_some() => (base.clone(), None, file.to_owned()),
        (None, None, Some(_)) => return Err(wrong(at, "the path of a document, `document` or `change` is expected")),
        (None, None, None) => {
            return Err(wrong(
                at,
                "`program`, the path of a program document, or `document`, one in place, is missing",
            ));
        }
    };
    let mut blamed = named;
    if let Some(change) = change {
        merge(&mut tree, change);
        (text, blamed) = (None, file.to_owned());
    }
    let checked = program::check_document(tree).map_err(|problems| {
        problems.into_iter().map(|problem| FileProblem { file: blamed.clone(), problem }).collect::<Problems>()
    })?;
    let text = text.unwrap_or_else(|| checked.tree.to_json().to_string());
    Ok((Published { text, tree: checked.tree }, checked.definition))
}

/// Lays a change over a document: maps are gone into, nothing takes a key away, everything else takes its place.
fn merge(into: &mut Node, change: &Node) {
    match (&mut into.kind, &change.kind) {
        (Kind::Map(entries), Kind::Map(changes)) => {
            for (key, value) in changes {
                let place = entries.iter().position(|(known, _)| known.text == key.text);
                match (place, &value.kind) {
                    (Some(place), Kind::Null) => drop(entries.remove(place)),
                    (Some(place), _) => merge(&mut entries[place].1, value),
                    (None, _) => entries.push((key.clone(), value.clone())),
                }
            }
        }
        _ => *into = change.clone(),
    }
}
