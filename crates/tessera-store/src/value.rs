//! A value as both databases know it, and the accessors readers use.

use crate::error::StoreError;

/// One column of one row: what SQLite's STRICT tables and our PostgreSQL columns have in common.
///
/// The order is that of keys in both databases: integers by size, text and bytes by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Absent.
    Null,
    /// A whole number; also a boolean (0 or 1), an instant (UTC microseconds), an amount.
    Int(i64),
    /// Text, without the zero character (PostgreSQL cannot store it).
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The columns of one row, in the order asked for.
pub type Row = Vec<Value>;

impl Value {
    /// The whole number.
    ///
    /// # Errors
    /// [`StoreError::CorruptRow`] when it is anything else; so for each accessor here.
    pub fn int(&self) -> Result<i64, StoreError> {
        match self {
            Self::Int(value) => Ok(*value),
            other => Err(other.is_not("a whole number")),
        }
    }

    /// The text.
    pub fn text(&self) -> Result<&str, StoreError> {
        match self {
            Self::Text(value) => Ok(value),
            other => Err(other.is_not("text")),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> Result<&[u8], StoreError> {
        match self {
            Self::Bytes(value) => Ok(value),
            other => Err(other.is_not("bytes")),
        }
    }

    /// The whole number, or nothing.
    pub fn opt_int(&self) -> Result<Option<i64>, StoreError> {
        self.present().map(Self::int).transpose()
    }

    /// The text, or nothing.
    pub fn opt_text(&self) -> Result<Option<&str>, StoreError> {
        self.present().map(Self::text).transpose()
    }

    /// The bytes, or nothing.
    pub fn opt_bytes(&self) -> Result<Option<&[u8]>, StoreError> {
        self.present().map(Self::bytes).transpose()
    }

    /// The text, without a copy.
    pub fn into_text(self) -> Result<String, StoreError> {
        match self {
            Self::Text(value) => Ok(value),
            other => Err(other.is_not("text")),
        }
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Bytes(value) => Ok(value),
            other => Err(other.is_not("bytes")),
        }
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Int(_) => "a whole number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }

    fn present(&self) -> Option<&Self> {
        (*self != Self::Null).then_some(self)
    }

    fn is_not(&self, expected: &str) -> StoreError {
        let problem = format!("expected {expected}, found {}", self.kind_name());
        StoreError::CorruptRow { place: None, problem }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_accessor_takes_its_kind_and_no_other() {
        let values = [Value::Null, Value::from(7), Value::from("text"), Value::from(b"bytes")];
        let kinds = |value: &Value| {
            let required = [value.int().is_ok(), value.text().is_ok(), value.bytes().is_ok()];
            let optional = [value.opt_int().is_ok(), value.opt_text().is_ok(), value.opt_bytes().is_ok()];
            let owned = [value.clone().into_text().is_ok(), value.clone().into_bytes().is_ok()];
            assert_eq!(owned, required[1..]);
            (required, optional)
        };
        assert_eq!(kinds(&values[0]), ([false; 3], [true; 3]), "nothing is only what may be absent");
        for (i, value) in values[1..].iter().enumerate() {
            let mut expected = [false; 3];
            expected[i] = true;
            assert_eq!(kinds(value), (expected, expected));
        }
        assert_eq!(Value::Null.opt_text(), Ok(None));
        assert_eq!(Value::from(Some("x")).opt_text(), Ok(Some("x")));
        assert_eq!(Value::from(None::<i64>), Value::Null);
    }
}
