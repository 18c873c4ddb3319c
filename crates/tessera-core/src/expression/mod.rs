//! Conditions and formulas: ZEN expressions, checked when a program is published and evaluated when it decides.
//!
//! An expression sees four roots: `event` (the event's data), `item` (one line, under `each`), `member` (the published
//! facts, see [`Fact`]) and `now` (the business time in the program's zone). Numbers are exact decimals.
//!
//! What bounds an evaluation: sources of at most [`SOURCE_MAX`] characters, nested at most [`DEPTH_MAX`] deep, collection
//! functions nested at most [`COLLECTION_DEPTH_MAX`] deep, and [`STEPS_MAX`] steps: an order of so many lines that it would
//! take more is told so, and the rule does not apply.

mod check;
mod contradiction;
mod cost;
mod fact;
mod goal;
mod requirement;
mod scope;
mod types;

use rust_decimal::Decimal;
use zen_expression::Variable;
use zen_expression::expression::{Expression as Bytecode, Standard};
use zen_expression::vm::VM;

pub use check::{Expected, Finding};
pub use cost::{Cost, DEPTH_MAX, STEPS_MAX};
pub use fact::{Fact, FactValue, Facts};
pub use goal::{CartNumber, Goal, LineKind};
pub use requirement::{FieldOf, FieldText, Requirement};
pub use scope::{EventFields, EventScope};
pub use types::RootTypes;
pub use zen_expression::Scope;

/// The longest source, in characters.
pub const SOURCE_MAX: usize = 2_000;
/// How deep `map`, `filter` and their like may stand in each other.
pub const COLLECTION_DEPTH_MAX: usize = 2;

/// A checked expression, ready to run.
#[derive(Clone, Debug)]
pub struct Expression {
    source: String,
    code: Code,
    /// The member facts it reads.
    pub facts: Vec<Fact>,
    /// The fields it reads of the event and of a line.
    pub fields: EventFields,
    /// The numbers of a cart that it waits for, as far as comparisons with constants show it.
    pub goals: Vec<Goal>,
    /// What an event must have for this condition to hold.
    pub requirement: Requirement,
    never: bool,
    cost: Cost,
}

#[derive(Clone, Debug)]
enum Code {
    Number(Decimal),
    Truth(bool),
    Compiled(Bytecode<Standard>),
}

/// Why an expression gave no answer for one event; the rule then does not apply and its trace says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    #[error("`{expression}` gives no number for this event: something was divided by zero or is missing")]
    Nothing { expression: String },
    #[error("`{expression}` cannot be worked out for this event")]
    Failed { expression: String },
    #[error("`{expression}` would take {steps} steps for this event of {lines} lines; at most {STEPS_MAX} are taken")]
    TooLong { expression: String, lines: u64, steps: u64 },
}

impl Expression {
    /// Checks and compiles a source, or lists everything that is wrong with it.
    pub fn new(source: &str, types: &RootTypes, expected: Expected) -> Result<Self, Vec<Finding>> {
        check::check(source, types, expected)
    }

    /// Compiles a source that was checked when it was published; `None` where it cannot run.
    pub fn unchecked(source: &str) -> Option<Self> {
        check::unchecked(source)
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The number this expression always is, if it reads nothing.
    pub fn constant(&self) -> Option<Decimal> {
        match self.code {
            Code::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Whether this condition is seen to hold for nobody: `false`, or `x > 5 and x < 3`.
    pub fn is_never(&self) -> bool {
        self.never
    }

    /// How many steps an evaluation takes for an event of so many lines, at the most.
    pub fn steps(&self, lines: u64) -> u64 {
        self.cost.steps(lines)
    }

    /// The number for one event.
    pub fn number(&self, scope: &Scope) -> Result<Decimal, EvaluationError> {
        match &self.code {
            Code::Number(number) => Ok(*number),
            Code::Truth(_) => Err(self.failed()),
            Code::Compiled(bytecode) => match self.run(bytecode, scope)? {
                Variable::Number(number) => Ok(number),
                Variable::Null => Err(EvaluationError::Nothing { expression: self.source.clone() }),
                _ => Err(self.failed()),
            },
        }
    }

    /// Whether the condition holds for one event.
    pub fn holds(&self, scope: &Scope) -> Result<bool, EvaluationError> {
        match &self.code {
            Code::Truth(truth) => Ok(*truth),
            Code::Number(_) => Err(self.failed()),
            Code::Compiled(bytecode) => match self.run(bytecode, scope)? {
                Variable::Bool(truth) => Ok(truth),
                _ => Err(self.failed()),
            },
        }
    }

    /// The text for one event; `None` where it is missing.
    pub fn text(&self, scope: &Scope) -> Result<Option<String>, EvaluationError> {
        match &self.code {
            Code::Number(_) | Code::Truth(_) => Err(self.failed()),
            Code::Compiled(bytecode) => match self.run(bytecode, scope)? {
                Variable::String(text) => Ok(Some(text.to_string())),
                Variable::Null => Ok(None),
                _ => Err(self.failed()),
            },
        }
    }

    fn run(&self, bytecode: &Bytecode<Standard>, scope: &Scope) -> Result<Variable, EvaluationError> {
        if self.cost.loops() {
            let lines = lines(scope);
            let steps = self.cost.steps(lines);
            if steps > STEPS_MAX {
                return Err(EvaluationError::TooLong { expression: self.source.clone(), lines, steps });
            }
        }
        bytecode.evaluate_with_scope(scope, &mut VM::new()).map_err(|_| self.failed())
    }

    fn failed(&self) -> EvaluationError {
        EvaluationError::Failed { expression: self.source.clone() }
    }
}

/// How many lines the event has, as far as its expressions may go through them.
fn lines(scope: &Scope) -> u64 {
    let Some(Variable::Object(event)) = scope.get_str("event") else { return 0 };
    let event = event.borrow();
    let Some(Variable::Array(items)) = event.get_str("items") else { return 0 };
    u64::try_from(items.borrow().len()).unwrap_or(u64::MAX)
}
