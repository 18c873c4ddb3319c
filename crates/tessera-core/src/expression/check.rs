//! The check of a source at publish: everything that would only fail, or differ, when it runs.

use zen_expression::functions::{FunctionKind, InternalFunction};
use zen_expression::intellisense::IntelliSense;
use zen_expression::intellisense::dependency::Reference;
use zen_expression::intellisense::diagnostic::Severity;
use zen_expression::lexer::{ArithmeticOperator, Operator};
use zen_expression::parser::Node;
use zen_expression::variable::VariableType;

use super::cost::{self, Cost, DEPTH_MAX};
use super::{COLLECTION_DEPTH_MAX, Code, EventFields, Expression, Fact, Requirement, RootTypes, SOURCE_MAX};
use super::{contradiction, goal};
use crate::program::nearest;

/// What an expression has to yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Number,
    Truth,
    Text,
}

/// One thing wrong with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Characters into the source.
    pub offset: usize,
    pub message: String,
    pub suggestion: Option<String>,
}

impl Finding {
    fn new(offset: u32, message: impl Into<String>) -> Self {
        Self { offset: usize::try_from(offset).unwrap_or_default(), message: message.into(), suggestion: None }
    }
}

pub(super) fn check(source: &str, types: &RootTypes, expected: Expected) -> Result<Expression, Vec<Finding>> {
    let source = source.trim();
    if source.chars().count() > SOURCE_MAX {
        return Err(vec![Finding::new(0, format!("the expression is longer than {SOURCE_MAX} characters"))]);
    }
    if source.is_empty() {
        return Err(vec![Finding::new(0, "the expression is empty")]);
    }
    let constant = constant(source);
    if let Some(code) = &constant {
        let fits = matches!((code, expected), (Code::Number(_), Expected::Number) | (Code::Truth(_), Expected::Truth));
        if fits {
            let code = code.clone();
            let never = matches!(code, Code::Truth(false));
            let fields = EventFields::default();
            let (facts, goals, cost) = (Vec::new(), Vec::new(), Cost::default());
            let requirement = if never { Requirement::NEVER } else { Requirement::Nothing };
            return Ok(Expression { source: source.to_owned(), code, facts, fields, goals, requirement, never, cost });
        }
    }
    if cost::closes_too_much(source) {
        return Err(vec![Finding::new(0, "brackets close that were never opened")]);
    }
    let mut sense = IntelliSense::new().with_strict(true);
    let too_deep =
        cost::brackets_too_deep(source) || sense.with_ast(source, false, |ast, _| cost::too_deep(ast)) == Some(true);
    if too_deep {
        let message =
            format!("the expression is nested deeper than {DEPTH_MAX} levels, or has more than 200 list functions");
        return Err(vec![Finding::new(0, message)]);
    }
    let analysis = sense.analyze(source, &types.root);
    let mut findings: Vec<Finding> = Vec::new();
    for diagnostic in &analysis.diagnostics {
        // Comparing unlike types is only a warning to ZEN; to us it is a mistake.
        if diagnostic.severity != Severity::Hint {
            findings.push(Finding::new(diagnostic.span.0, sentence(&diagnostic.message)));
        }
    }
    // What may be missing is compared with anything, ZEN finds; a text that is there is no number all the same.
    for diagnostic in &IntelliSense::new().with_strict(true).analyze(source, &types.given).diagnostics {
        let is_known = findings.iter().any(|known| known.offset == Finding::new(diagnostic.span.0, "").offset);
        if diagnostic.message.contains("will always evaluate") && !is_known {
            findings.push(Finding::new(diagnostic.span.0, sentence(&diagnostic.message)));
        }
    }
    let paths: Vec<Vec<&str>> = analysis.references.iter().map(whole_path).collect();
    for (reference, path) in analysis.references.iter().zip(&paths) {
        let offset = reference.spans.first().map_or(0, |span| span.0);
        // A field of `#` is no root; whether the element has it is among the diagnostics.
        if !is_of_element(source, offset) {
            unknown_path(path, offset, types, &mut findings);
        }
    }
    if findings.is_empty() {
        sense.with_ast(source, false, |ast, _| refuse(ast, 0, &mut findings));
    }
    if findings.is_empty() && !yields(&analysis.return_type, expected) {
        let wanted = match expected {
            Expected::Number => "a number",
            Expected::Truth => "true or false",
            Expected::Text => "a text",
        };
        findings.push(Finding::new(0, format!("this must give {wanted}; it gives {}", analysis.return_type)));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let bytecode = zen_expression::compile_expression(source);
    let bytecode = bytecode.map_err(|error| vec![Finding::new(0, error.to_string())])?;
    let facts = paths.iter().filter(|path| path.first() == Some(&"member")).filter_map(|path| fact(path)).collect();
    let fields = EventFields::read_by(&paths);
    let never = sense.with_ast(source, false, |ast, _| contradiction::contradicts_itself(ast)).unwrap_or_default();
    let goals = sense.with_ast(source, false, |ast, _| goal::goals(ast)).unwrap_or_default();
    let requirement = sense.with_ast(source, false, |ast, _| Requirement::of(ast)).unwrap_or_default();
    let cost = sense.with_ast(source, false, |ast, _| Cost::of(ast)).unwrap_or_default();
    let (source, code) = (source.to_owned(), Code::Compiled(bytecode));
    Ok(Expression { source, code, facts, fields, goals, requirement, never, cost })
}

/// Compiles a source that was checked before, whatever is refused now; `None` where it cannot even run.
pub(super) fn unchecked(source: &str) -> Option<Expression> {
    let source = source.trim();
    let mut sense = IntelliSense::new();
    let analysis = sense.analyze(source, &VariableType::Any);
    let paths: Vec<Vec<&str>> = analysis.references.iter().map(whole_path).collect();
    let facts = paths.iter().filter(|path| path.first() == Some(&"member")).filter_map(|path| fact(path)).collect();
    let fields = EventFields::read_by(&paths);
    let code = constant(source).or_else(|| zen_expression::compile_expression(source).ok().map(Code::Compiled))?;
    let goals = sense.with_ast(source, false, |ast, _| goal::goals(ast)).unwrap_or_default();
    let requirement = sense.with_ast(source, false, |ast, _| Requirement::of(ast)).unwrap_or_default();
    let cost = sense.with_ast(source, false, |ast, _| Cost::of(ast)).unwrap_or_default();
    Some(Expression { source: source.to_owned(), code, facts, fields, goals, requirement, never: false, cost })
}

/// A reference with the collection that `#` or a name for its elements stands for in front.
fn whole_path(reference: &Reference) -> Vec<&str> {
    let collection = reference.via_index.iter().flatten();
    let alias = reference.via_alias.iter().flat_map(|alias| &alias.collection);
    let own = reference.path.iter().skip(usize::from(reference.via_alias.is_some()));
    collection.chain(alias).chain(own).map(AsRef::as_ref).collect()
}

fn constant(source: &str) -> Option<Code> {
    match source {
        "true" => Some(Code::Truth(true)),
        "false" => Some(Code::Truth(false)),
        _ => rust_decimal::Decimal::from_str_exact(source).ok().map(Code::Number),
    }
}

fn yields(found: &VariableType, expected: Expected) -> bool {
    match expected {
        // A division may be null at run time; the rule then does not apply and says so.
        Expected::Number => match found {
            VariableType::Number => true,
            VariableType::Nullable(inner) => matches!(**inner, VariableType::Number),
            _ => false,
        },
        Expected::Truth => matches!(found, VariableType::Bool),
        // A text that is missing is no value of its own; the event then does not count.
        Expected::Text => match found {
            VariableType::String | VariableType::Const(_) | VariableType::Enum(..) => true,
            VariableType::Nullable(inner) => {
                matches!(**inner, VariableType::String | VariableType::Const(_) | VariableType::Enum(..))
            }
            _ => false,
        },
    }
}

/// `member.balance.bean` as the fact it names.
fn fact(path: &[&str]) -> Option<Fact> {
    path.get(1..)?.join(".").parse().ok()
}

fn unknown_path(path: &[&str], offset: u32, types: &RootTypes, findings: &mut Vec<Finding>) {
    let dotted = path.join(".");
    let root = path.first().copied().unwrap_or_default();
    let whole_object =
        matches!(path, ["member" | "event" | "item" | "now"]) || matches!(path, ["member", group] if is_group(group));
    let message = if whole_object {
        format!("`{dotted}` is a group: name one of its fields")
    } else if types.paths.iter().any(|known| known == root) {
        let known = types.paths.contains(&dotted) || path.contains(&"items");
        if known {
            return;
        }
        format!("there is no `{dotted}` here")
    } else {
        format!("`{root}` is not known here: expressions read event, item (under each), member and now")
    };
    let mut finding = Finding::new(offset, message);
    let inside = format!("{dotted}.");
    let first = types.paths.iter().filter(|known| known.starts_with(&inside)).min();
    finding.suggestion = match first {
        Some(field) => Some(format!("for example `{field}`")),
        None => nearest(&dotted, types.paths.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?")),
    };
    // ZEN names the same mistake in its own words; ours says what would be right.
    findings.retain(|other| other.offset != finding.offset);
    findings.push(finding);
}

/// Whether a name stands behind `#.`, the element that a collection function looks at.
fn is_of_element(source: &str, offset: u32) -> bool {
    let before = usize::try_from(offset).ok().and_then(|offset| source.get(..offset));
    before.is_some_and(|before| {
        before.trim_end().strip_suffix('.').is_some_and(|before| before.trim_end().ends_with('#'))
    })
}

fn is_group(name: &str) -> bool {
    matches!(
        name,
        "balance"
            | "pending"
            | "debt"
            | "issued"
            | "tier"
            | "count"
            | "club"
            | "club_days_left"
            | "challenge"
            | "streak"
            | "badge"
    )
}

fn sentence(message: &str) -> String {
    let message = message.trim();
    message.strip_suffix('.').unwrap_or(message).to_owned()
}

/// Walks the syntax tree for what is not the same in every run, or not bounded.
fn refuse(node: &Node<'_>, depth: usize, findings: &mut Vec<Finding>) {
    let mut refused = |message: String| findings.push(Finding::new(0, message));
    let mut inner_depth = depth;
    match node {
        Node::FunctionCall { kind, arguments, .. } => match kind {
            FunctionKind::Closure(_) => {
                if arguments.first().is_some_and(|list| cost::goes_through_a_range(list)) {
                    refused(format!("`{kind}` goes through lists, not through ranges: these have no bound"));
                }
                inner_depth += 1;
                if inner_depth > COLLECTION_DEPTH_MAX {
                    refused(format!("`{kind}` stands more than {COLLECTION_DEPTH_MAX} collection functions deep"));
                }
            }
            FunctionKind::Internal(InternalFunction::Rand) => {
                refused("`rand` would decide differently each time".into())
            }
            FunctionKind::Internal(
                InternalFunction::Matches | InternalFunction::Extract | InternalFunction::FuzzyMatch,
            ) => refused(format!("`{kind}` is not allowed: its cost has no bound")),
            FunctionKind::Internal(InternalFunction::Date) | FunctionKind::Deprecated(_) => {
                refused(format!("`{kind}` is not allowed: the time of the event is `now`"));
            }
            FunctionKind::Internal(_) => {}
        },
        Node::MethodCall { kind, .. } => refused(format!("`.{kind}()` is not allowed: the time of the event is `now`")),
        Node::Binary { operator: Operator::Arithmetic(ArithmeticOperator::Power), .. } => {
            refused("`^` is not allowed: its result has no bound".into());
        }
        Node::Assignments { .. } => refused("assignments are not allowed: give one value".into()),
        _ => {}
    }
    for child in children(node) {
        refuse(child, inner_depth, findings);
    }
}

pub(super) fn children<'a>(node: &'a Node<'a>) -> Vec<&'a Node<'a>> {
    match node {
        Node::TemplateString(parts) | Node::Array(parts) => parts.to_vec(),
        Node::Object(pairs) => pairs.iter().flat_map(|(key, value)| [*key, *value]).collect(),
        Node::Assignments { list, output } => {
            list.iter().flat_map(|(key, value)| [*key, *value]).chain(output.iter().copied()).collect()
        }
        Node::Closure { body, .. } => vec![body],
        Node::Parenthesized(inner) | Node::Unary { node: inner, .. } => vec![inner],
        Node::Member { node, property } => vec![node, property],
        Node::Slice { node, from, to } => [Some(*node), *from, *to].into_iter().flatten().collect(),
        Node::Interval { left, right, .. } | Node::Binary { left, right, .. } => vec![left, right],
        Node::Conditional { condition, on_true, on_false } => vec![condition, on_true, on_false],
        Node::FunctionCall { arguments, .. } => arguments.to_vec(),
        Node::MethodCall { this, arguments, .. } => std::iter::once(*this).chain(arguments.iter().copied()).collect(),
        Node::Null
        | Node::Bool(_)
        | Node::Number(_)
        | Node::String(_)
        | Node::Pointer
        | Node::Identifier(_)
        | Node::Root
        | Node::Error { .. } => Vec::new(),
    }
}
