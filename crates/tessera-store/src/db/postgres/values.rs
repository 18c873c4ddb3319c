//! Values on their way to the server and back.

use tokio_postgres::Statement;
use tokio_postgres::types::{ToSql, Type};

use crate::error::StoreError;
use crate::table::{Kind, Table};
use crate::value::{Row, Value};

/// One column of a batch.
pub(super) enum Array<'v> {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<&'v str>>),
    Bytes(Vec<Option<&'v [u8]>>),
}

impl<'v> Array<'v> {
    /// The first `width` columns of rows that were checked against the table.
    pub(super) fn of_columns(width: usize, table: &Table, rows: &[&'v [Value]]) -> Vec<Self> {
        let columns = table.columns.iter().take(width).enumerate();
        columns
            .map(|(i, column)| match column.kind {
                Kind::Int => Self::Int(rows.iter().map(|row| row[i].opt_int().ok().flatten()).collect()),
                Kind::Text => Self::Text(rows.iter().map(|row| row[i].opt_text().ok().flatten()).collect()),
                Kind::Bytes => Self::Bytes(rows.iter().map(|row| row[i].opt_bytes().ok().flatten()).collect()),
            })
            .collect()
    }

    pub(super) fn borrowed<'a>(arrays: &'a [Array<'v>]) -> Vec<&'a (dyn ToSql + Sync)> {
        arrays
            .iter()
            .map(|array| match array {
                Array::Int(array) => array as &(dyn ToSql + Sync),
                Array::Text(array) => array,
                Array::Bytes(array) => array,
            })
            .collect()
    }
}

/// A parameter in the type its statement wants.
pub(super) enum Param<'v> {
    Bool(Option<bool>),
    Int2(Option<i16>),
    Int4(Option<i32>),
    Int8(Option<i64>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
}

pub(super) fn typed<'v>(statement: &Statement, params: &'v [Value]) -> Result<Vec<Param<'v>>, StoreError> {
    let (wanted, given) = (statement.params().len(), params.len());
    if wanted != given {
        return Err(StoreError::Database(format!("{wanted} parameters were expected, {given} given")));
    }
    let typed = statement.params().iter().zip(params).enumerate();
    typed.map(|(i, (wanted, value))| param(wanted, value).ok_or_else(|| misfit(i, wanted, value))).collect()
}

fn param<'v>(wanted: &Type, value: &'v Value) -> Option<Param<'v>> {
    Some(match *wanted {
        Type::BOOL => Param::Bool(value.opt_int().ok()?.map(|value| value != 0)),
        Type::INT2 => Param::Int2(value.opt_int().ok()?.map(i16::try_from).transpose().ok()?),
        Type::INT4 => Param::Int4(value.opt_int().ok()?.map(i32::try_from).transpose().ok()?),
        Type::INT8 => Param::Int8(value.opt_int().ok()?),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => Param::Text(value.opt_text().ok()?),
        Type::BYTEA => Param::Bytes(value.opt_bytes().ok()?),
        _ => return None,
    })
}

fn misfit(index: usize, wanted: &Type, value: &Value) -> StoreError {
    let (number, found) = (index + 1, value.kind_name());
    StoreError::Database(format!("${number} is {wanted} in the statement, {found} (or a number too large) was given"))
}

pub(super) fn borrowed<'a>(params: &'a [Param<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params
        .iter()
        .map(|param| match param {
            Param::Bool(value) => value as &(dyn ToSql + Sync),
            Param::Int2(value) => value,
            Param::Int4(value) => value,
            Param::Int8(value) => value,
            Param::Text(value) => value,
            Param::Bytes(value) => value,
        })
        .collect()
}

pub(super) fn read_row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    row.columns().iter().enumerate().map(|(i, column)| read_value(row, i, column.type_())).collect()
}

fn read_value(row: &tokio_postgres::Row, i: usize, kind: &Type) -> Result<Value, StoreError> {
    let value = match *kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(i).map(Value::from),
        Type::INT4 => row.try_get::<_, Option<i32>>(i).map(|value| Value::from(value.map(i64::from))),
        Type::INT2 => row.try_get::<_, Option<i16>>(i).map(|value| Value::from(value.map(i64::from))),
        Type::BOOL => row.try_get::<_, Option<bool>>(i).map(|value| Value::from(value.map(i64::from))),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => row.try_get::<_, Option<String>>(i).map(Value::from),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(i).map(Value::from),
        _ => {
            let problem = format!("column {i} of the result is {kind}: cast it to BIGINT, TEXT or BYTEA in the query");
            return Err(StoreError::Database(problem));
        }
    };
    value.map_err(|error| {
        let problem = format!("column {i} of the result: {error}");
        StoreError::CorruptRow { place: None, problem }
    })
}
