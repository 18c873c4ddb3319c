//! A row as a line, and back.

use serde_json::value::RawValue;
use tessera_store::{Column, Kind, Row, Value};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends a row and the end of its line.
pub(super) fn write(row: &[Value], line: &mut Vec<u8>) {
    let mut before = b'[';
    for value in row {
        line.push(before);
        before = b',';
        match value {
            Value::Null => line.extend_from_slice(b"null"),
            Value::Int(value) => line.extend_from_slice(value.to_string().as_bytes()),
            // Text and a vector of bytes: neither can fail.
            Value::Text(text) => serde_json::to_writer(&mut *line, text).unwrap_or_default(),
            Value::Bytes(bytes) => {
                line.push(b'"');
                for byte in bytes {
                    line.push(DIGITS[usize::from(byte >> 4)]);
                    line.push(DIGITS[usize::from(byte & 15)]);
                }
                line.push(b'"');
            }
        }
    }
    line.extend_from_slice(b"]\n");
}

/// Reads a row of these columns; nothing where it is none.
pub(super) fn read(line: &[u8], columns: &[Column]) -> Option<Row> {
    let parts: Vec<&RawValue> = serde_json::from_slice(line).ok()?;
    if parts.len() != columns.len() {
        return None;
    }
    let value = |(part, column): (&&RawValue, &Column)| {
        let text = part.get();
        if text == "null" {
            return column.nullable.then_some(Value::Null);
        }
        Some(match column.kind {
            Kind::Int => Value::Int(text.parse().ok()?),
            Kind::Text => Value::Text(serde_json::from_str(text).ok()?),
            Kind::Bytes => Value::Bytes(bytes(text.strip_prefix('"')?.strip_suffix('"')?)?),
        })
    };
    parts.iter().zip(columns).map(value).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let whole = rest.is_empty().then_some(pairs)?;
    whole.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tessera_store::tables;

    use super::*;

    #[test]
    fn a_row_comes_back_as_it_was() {
        let text = "a \"quoted\" line\nand a second, \u{1} tiếng Việt, ภาษาไทย, 😀 \u{2028}";
        let row: Row = vec![
            7.into(),
            i64::MIN.into(),
            vec![0, 1, 0x7f, 0x80, 0xff].into(),
            text.into(),
            Value::Null,
            i64::MAX.into(),
            0.into(),
            (-1).into(),
            "".into(),
            0.into(),
        ];
        let mut line = Vec::new();
        write(&row, &mut line);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
        assert_eq!(read(&line, tables::OUTBOX.columns), Some(row));
    }

    #[rstest]
    #[case::nothing("")]
    #[case::too_few(r#"["a"]"#)]
    #[case::too_many(r#"["a","b","c"]"#)]
    #[case::another_kind(r#"["a",1]"#)]
    #[case::nothing_where_something_must_be(r#"["a",null]"#)]
    #[case::no_row(r#"{"name":"a","value":"b"}"#)]
    #[case::two_rows(r#"["a","b"]["a","b"]"#)]
    fn what_is_no_row_is_none(#[case] line: &str) {
        assert_eq!(read(line.as_bytes(), tables::INSTALLATION.columns), None);
        assert!(read(br#"["a","b"]"#, tables::INSTALLATION.columns).is_some());
    }

    #[rstest]
    #[case::an_odd_digit("abc")]
    #[case::no_digit("0g")]
    #[case::a_sign("+1")]
    fn what_are_no_bytes_is_none(#[case] hex: &str) {
        assert_eq!(bytes(hex), None);
    }
}
