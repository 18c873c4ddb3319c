use compact_str::CompactString;
use rust_decimal::Decimal;

use crate::program::{FieldDefinition, FieldKind};
use crate::quantity::Amount;

/// A value of a field that the program declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    Text(CompactString),
    Number(Amount),
    Boolean(bool),
}

/// Declared fields with their values, in the order given.
pub type FieldValues = Vec<(CompactString, FieldValue)>;

/// What is wrong with an event's data: where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct DataProblem {
    /// `data.items[2].amount`.
    pub path: String,
    pub message: String,
}

impl DataProblem {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// The longest text an event may carry in one field, in bytes.
pub(super) const TEXT_MAX: usize = 400;

/// Checks a JSON value against its declaration.
pub(super) fn read_field(field: &FieldDefinition, raw: &str) -> Result<FieldValue, String> {
    let value = match field.kind {
        FieldKind::Text => {
            let text: String = serde_json::from_str(raw).map_err(|_| "a text is expected".to_owned())?;
            if text.len() > TEXT_MAX {
                return Err(format!("at most {TEXT_MAX} bytes are kept"));
            }
            if !field.one_of.is_empty() && !field.one_of.contains(&text) {
                return Err(format!("one of {} is expected", field.one_of.join(", ")));
            }
            FieldValue::Text(text.into())
        }
        FieldKind::Integer | FieldKind::Number => {
            let amount: Amount =
                serde_json::from_str(raw).map_err(|_| "a number with at most 6 decimals is expected".to_owned())?;
            if field.kind == FieldKind::Integer && amount.millionths() % 1_000_000 != 0 {
                return Err("a whole number is expected".to_owned());
            }
            in_range(field, amount.to_decimal())?;
            FieldValue::Number(amount)
        }
        FieldKind::Boolean => {
            FieldValue::Boolean(serde_json::from_str(raw).map_err(|_| "true or false is expected".to_owned())?)
        }
    };
    Ok(value)
}

fn in_range(field: &FieldDefinition, number: Decimal) -> Result<(), String> {
    match (field.min, field.max) {
        (Some(min), _) if number < min.0 => Err(format!("{number} is below the least, {}", min.0)),
        (_, Some(max)) if number > max.0 => Err(format!("{number} is above the most, {}", max.0)),
        _ => Ok(()),
    }
}
