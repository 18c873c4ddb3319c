//! What an expression may cost: how deep its tree may be, and how many steps one evaluation may take.

use zen_expression::functions::{ClosureFunction, FunctionKind, InternalFunction};
use zen_expression::parser::Node;

use super::check::children;

/// How deep a source may be nested: brackets within brackets, and the tree they make. A chain such as `a or b or c` is
/// as deep as it has parts.
pub const DEPTH_MAX: usize = 1_000;

/// Steps of one evaluation: a node of the tree, for every element it is worked out for. A step takes well under a
/// microsecond, so this is about a second at the very worst, for one order of very many lines.
pub const STEPS_MAX: u64 = 2_000_000;

/// List functions in one source. The parser counts up to 255 of them within each other.
const LIST_FUNCTIONS_MAX: usize = 200;

/// How many elements `split` of an event's longest text may give.
const SPLIT_MAX: u64 = 400;

/// Nested loops are counted apart up to here; a check refuses deeper ones.
const LOOPS: usize = 6;

/// How many nodes are worked out once, for every element of a list, for every pair of elements, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    nodes: [u64; LOOPS],
    /// Elements of the longest list that is not the event's.
    own: u64,
}

impl Cost {
    pub(super) fn of(ast: &Node<'_>) -> Self {
        let mut cost = Self::default();
        cost.add(ast, 0);
        cost
    }

    /// Whether anything is worked out more than once.
    pub(super) fn loops(&self) -> bool {
        self.nodes[1..].iter().any(|nodes| *nodes > 0)
    }

    /// Steps for an event of so many lines.
    pub(super) fn steps(&self, lines: u64) -> u64 {
        let elements = lines.max(self.own).max(1);
        let mut each = 1_u64;
        let mut steps = 0_u64;
        for nodes in self.nodes {
            steps = steps.saturating_add(nodes.saturating_mul(each));
            each = each.saturating_mul(elements);
        }
        steps
    }

    fn add(&mut self, node: &Node<'_>, loops: usize) {
        self.nodes[loops.min(LOOPS - 1)] += 1;
        match node {
            Node::Array(parts) => self.own = self.own.max(u64::try_from(parts.len()).unwrap_or(u64::MAX)),
            Node::FunctionCall { kind: FunctionKind::Internal(InternalFunction::Split), .. } => {
                self.own = self.own.max(SPLIT_MAX);
            }
            Node::FunctionCall { kind: FunctionKind::Closure(_), arguments } => {
                let Some((list, body)) = arguments.split_first() else { return };
                self.add(list, loops);
                // A list of lists put end to end is as long as both together.
                let inside = loops + 1 + flattened(list);
                for node in body {
                    self.add(node, inside);
                }
                return;
            }
            _ => {}
        }
        for child in children(node) {
            self.add(child, loops);
        }
    }
}

/// How often `flatMap` stands in what makes a list.
fn flattened(node: &Node<'_>) -> usize {
    let own = matches!(node, Node::FunctionCall { kind: FunctionKind::Closure(ClosureFunction::FlatMap), .. });
    let mut often = usize::from(own);
    for child in children(node) {
        often += flattened(child);
    }
    often
}

/// Whether the brackets of a source are nested too deep, or so many list functions stand in it that the parser cannot
/// count them; texts in quotes count too, to be on the safe side.
pub(super) fn brackets_too_deep(source: &str) -> bool {
    let calls = ["map(", "Map(", "all(", "some(", "none(", "one(", "filter(", "count("];
    if calls.iter().map(|call| source.matches(call).count()).sum::<usize>() > LIST_FUNCTIONS_MAX {
        return true;
    }
    let mut depth = 0_usize;
    source.bytes().any(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })
}

/// Brackets that close nothing, or something else, in one source: what the parser makes of each it keeps, and with many
/// it keeps more than there is memory for.
const STRAY_MAX: usize = 8;

/// Whether so many brackets close what was not opened that a source is not even parsed; texts in quotes do not count.
pub(super) fn closes_too_much(source: &str) -> bool {
    let (mut open, mut stray, mut quote) = (Vec::new(), 0, None);
    for byte in source.bytes() {
        match (quote, byte) {
            (Some(begun), byte) if byte == begun => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'' | b'`') => quote = Some(byte),
            (None, b'(') => open.push(b')'),
            (None, b'[') => open.push(b']'),
            (None, b'{') => open.push(b'}'),
            // A range may be open at either end: `[1..9)`.
            (None, b')' | b']') if matches!(open.last(), Some(b')' | b']')) => drop(open.pop()),
            (None, b'}') if open.last() == Some(&b'}') => drop(open.pop()),
            (None, b')' | b']' | b'}') => stray += 1,
            _ => {}
        }
    }
    stray > STRAY_MAX
}

/// Whether a tree is too deep to walk; without walking it deep.
pub(super) fn too_deep(ast: &Node<'_>) -> bool {
    let mut open = vec![(ast, 1_usize)];
    while let Some((node, depth)) = open.pop() {
        if depth > DEPTH_MAX {
            return true;
        }
        open.extend(children(node).into_iter().map(|child| (child, depth + 1)));
    }
    false
}

/// Whether a range stands where a list is gone through: `map([1..1000000000], #)` has no bound.
pub(super) fn goes_through_a_range(list: &Node<'_>) -> bool {
    if matches!(list, Node::Interval { .. }) {
        return true;
    }
    for child in children(list) {
        if goes_through_a_range(child) {
            return true;
        }
    }
    false
}
