use zen_expression::variable::{Variable, VariableMap};

use super::mapping::MappingError;
use super::plan::FILE_LINE;
use super::rows::{Columns, Row};
use crate::submission::Refusal;

/// A condition about a row: `startsWith(row.invoice, "C")`. Every column is a text.
pub(super) struct RowCondition {
    when: String,
    bytecode: zen_expression::Expression<zen_expression::expression::Standard>,
    reads: Vec<(String, usize)>,
}

impl RowCondition {
    pub fn new(when: &str, columns: &Columns) -> Result<Self, MappingError> {
        let wrong = |problem: String| MappingError::Condition { when: when.to_owned(), problem };
        let bytecode = zen_expression::compile_expression(when).map_err(|error| wrong(error.to_string()))?;
        let mut sense = zen_expression::intellisense::IntelliSense::new();
        let analysis = sense.analyze(when, &zen_expression::variable::VariableType::Any);
        let mut reads = Vec::new();
        for reference in &analysis.references {
            let path: Vec<&str> = reference.path.iter().map(AsRef::as_ref).collect();
            let place = match path.as_slice() {
                ["row", column] => columns.place(column).map(|place| ((*column).to_owned(), place)),
                _ => None,
            };
            reads.push(place.ok_or_else(|| wrong(format!("it reads `{}`; it can read row.<column>", path.join("."))))?);
        }
        Ok(Self { when: when.to_owned(), bytecode, reads })
    }

    pub fn holds(&self, row: &Row) -> Result<bool, Refusal> {
        let mut fields = VariableMap::new();
        for (name, place) in &self.reads {
            fields.insert_str(name, Variable::String(row.values[*place].as_str().into()));
        }
        let mut root = VariableMap::new();
        root.insert_str("row", Variable::from_object(fields));
        let result = self.bytecode.evaluate(Variable::from_object(root));
        result.ok().and_then(|value| value.as_bool()).ok_or_else(|| {
            let detail = format!("line {}: `{}` gives neither true nor false", row.line, self.when);
            Refusal::new("invalid-line", detail).with(FILE_LINE, row.line)
        })
    }
}
