//! How a table is described to the verbs: its columns and kinds, its key, its guard.

use crate::error::StoreError;
use crate::value::Value;

/// The kind of a column: `INTEGER`, `TEXT`, `BLOB` on SQLite; `BIGINT`, `TEXT`, `BYTEA` on PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers of 64 bits.
    Int,
    /// Unicode text without the zero character.
    Text,
    /// Bytes.
    Bytes,
}

/// One column of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, the same in both databases.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be absent.
    pub nullable: bool,
}

/// A table as the verbs see it. A contract test compares each with the schema the migrations make.
#[derive(Debug)]
pub struct Table {
    /// Its name, the same in both databases.
    pub name: &'static str,
    /// Every column, in the order of a row.
    pub columns: &'static [Column],
    /// The first `key` columns are the primary key.
    pub key: usize,
    /// The version column, where rows are written only over the version they were read at.
    pub guard: Option<usize>,
    /// An indexed column that most writes leave as it is.
    pub steady: Option<usize>,
    /// Whether a transaction locks the rows it fetches (PostgreSQL; SQLite has one writer anyway).
    pub locked: bool,
}

impl Column {
    pub(crate) const fn int(name: &'static str) -> Self {
        Self { name, kind: Kind::Int, nullable: false }
    }

    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text, nullable: false }
    }

    pub(crate) const fn bytes(name: &'static str) -> Self {
        Self { name, kind: Kind::Bytes, nullable: false }
    }

    pub(crate) const fn or_null(self) -> Self {
        Self { nullable: true, ..self }
    }
}

impl Table {
    /// The columns of the primary key.
    pub fn key_columns(&self) -> &'static [Column] {
        let (key, _) = self.columns.split_at(self.key);
        key
    }

    /// The columns beside the primary key.
    pub fn other_columns(&self) -> &'static [Column] {
        let (_, other) = self.columns.split_at(self.key);
        other
    }

    /// Refuses a row that does not fit the columns: the same refusal on both databases, before anything is sent.
    pub(crate) fn check_row(&self, row: &[Value]) -> Result<(), StoreError> {
        self.check(self.columns, row)
    }

    /// Refuses a key that does not fit the key columns.
    pub(crate) fn check_key(&self, key: &[Value]) -> Result<(), StoreError> {
        self.check(self.key_columns(), key)
    }

    /// The key of a row that passed [`check_row`](Self::check_row).
    pub(crate) fn key_of<'r>(&self, row: &'r [Value]) -> &'r [Value] {
        let (key, _) = row.split_at(self.key);
        key
    }

    fn check(&self, columns: &[Column], values: &[Value]) -> Result<(), StoreError> {
        if columns.len() != values.len() {
            let (wanted, given) = (columns.len(), values.len());
            return Err(StoreError::Database(format!("{}: {wanted} values were expected, {given} given", self.name)));
        }
        for (column, value) in columns.iter().zip(values) {
            let fits = match (value, column.kind) {
                (Value::Null, _) => column.nullable,
                (Value::Int(_), Kind::Int) | (Value::Bytes(_), Kind::Bytes) => true,
                // PostgreSQL cannot store it; refused on both, so that data can move between them.
                (Value::Text(text), Kind::Text) => !text.as_bytes().contains(&0),
                _ => false,
            };
            if !fits {
                return Err(self.misfit(column, value));
            }
        }
        Ok(())
    }

    fn misfit(&self, column: &Column, value: &Value) -> StoreError {
        let expected = match column.kind {
            Kind::Int => "a whole number",
            Kind::Text => "text without a zero character",
            Kind::Bytes => "bytes",
        };
        let (table, column, found) = (self.name, column.name, value.kind_name());
        StoreError::Database(format!("{table}.{column}: expected {expected}, found {found}"))
    }
}
