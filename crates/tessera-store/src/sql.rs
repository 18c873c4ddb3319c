//! The texts of the verbs, each dialect beside the other, and the rewriting of placeholders.

use crate::table::{Column, Kind, Table};

/// The texts of one table in one dialect, built once per connection.
#[derive(Debug)]
pub(crate) struct TableSql {
    /// All columns of the rows with the given keys.
    pub(crate) select: String,
    /// The same, locking the rows in key order.
    pub(crate) select_locked: String,
    /// Those of the row with one key, locked: what Citus, which locks on one shard at a time, takes in its place.
    pub(crate) select_one_locked: String,
    /// New rows; those whose keys are taken are left out.
    pub(crate) insert: String,
    /// New rows; one whose key is taken is an error, and then the transaction is lost. PostgreSQL looks for a key once, not
    /// twice, and writes one record less to its log for each row.
    pub(crate) insert_new: String,
    /// New rows, or the other columns of those there are (where the guard allows it).
    pub(crate) upsert: String,
    /// The other columns of rows there are, where the guard allows it. Empty for a table without a guard.
    pub(crate) update: String,
    /// The same where the table's `steady` column keeps its value: the others alone, so that its index stays untouched.
    /// Empty where there is none, and on PostgreSQL, which looks at the values itself.
    pub(crate) update_steady: String,
}

impl TableSql {
    /// Statements for one row at a time; `?n` is the n-th column (of the key, in a select).
    pub(crate) fn sqlite(table: &Table) -> Self {
        let name = table.name;
        let all = list(table.columns, ", ", |_, column| column.name.to_owned());
        let keyed = list(table.key_columns(), " AND ", |i, column| format!("{} = ?{}", column.name, i + 1));
        let select = format!("SELECT {all} FROM {name} WHERE {keyed}");
        let values = list(table.columns, ", ", |i, _| format!("?{}", i + 1));
        let insert = format!("INSERT INTO {name} ({all}) VALUES ({values})");
        let upsert = format!("{insert} {}", on_conflict_update(table));
        let update = table.guard.map_or_else(String::new, |guard| {
            let set =
                list(table.other_columns(), ", ", |i, column| format!("{} = ?{}", column.name, table.key + i + 1));
            format!("UPDATE {name} SET {set} WHERE {keyed} AND {} = ?{} - 1", table.columns[guard].name, guard + 1)
        });
        let update_steady = match (table.guard, table.steady) {
            (Some(guard), Some(steady)) => {
                let moving = (table.key..table.columns.len()).filter(|i| *i != steady);
                let set: Vec<String> = moving.map(|i| format!("{} = ?{}", table.columns[i].name, i + 1)).collect();
                format!(
                    "UPDATE {name} SET {} WHERE {keyed} AND {} = ?{} - 1 AND {} IS ?{}",
                    set.join(", "),
                    table.columns[guard].name,
                    guard + 1,
                    table.columns[steady].name,
                    steady + 1
                )
            }
            _ => String::new(),
        };
        let (select_locked, select_one_locked, insert_new) = (select.clone(), select.clone(), insert.clone());
        Self { select, select_locked, select_one_locked, insert, insert_new, upsert, update, update_steady }
    }

    /// Statements for a whole batch; `$n` is the array of the n-th column (of the key, in a select).
    pub(crate) fn postgres(table: &Table) -> Self {
        let name = table.name;
        let bare = |_, column: &Column| column.name.to_owned();
        let all = list(table.columns, ", ", bare);
        let key = list(table.key_columns(), ", ", bare);
        let own = list(table.columns, ", ", |_, column| format!("t.{}", column.name));
        let matched = list(table.key_columns(), " AND ", |_, column| format!("t.{0} = k.{0}", column.name));
        let order = list(table.key_columns(), ", ", |_, column| format!("t.{}", column.name));
        let keys = format!("UNNEST({}) AS k({key})", arrays(table.key_columns()));
        let rows = format!("UNNEST({}) AS k({all})", arrays(table.columns));

        let select = format!("SELECT {own} FROM {name} t JOIN {keys} ON {matched}");
        let select_locked = format!("{select} ORDER BY {order} FOR UPDATE OF t");
        let found = list(table.key_columns(), " AND ", |i, column| format!("{} = ${}", column.name, i + 1));
        let select_one_locked = format!("SELECT {all} FROM {name} WHERE {found} FOR UPDATE");
        let insert_new = format!("INSERT INTO {name} ({all}) SELECT {all} FROM {rows}");
        let insert = format!("{insert_new} ON CONFLICT DO NOTHING");
        let upsert = format!("{insert_new} {}", on_conflict_update(table));
        let update = table.guard.map_or_else(String::new, |guard| {
            let set = list(table.other_columns(), ", ", |_, column| format!("{0} = k.{0}", column.name));
            let guard = table.columns[guard].name;
            format!("UPDATE {name} t SET {set} FROM {rows} WHERE {matched} AND t.{guard} = k.{guard} - 1")
        });
        let update_steady = String::new();
        Self { select, select_locked, select_one_locked, insert, insert_new, upsert, update, update_steady }
    }
}

/// The same text on both databases; the table's name is qualified because PostgreSQL calls a bare column ambiguous.
fn on_conflict_update(table: &Table) -> String {
    let key = list(table.key_columns(), ", ", |_, column| column.name.to_owned());
    let set = list(table.other_columns(), ", ", |_, column| format!("{0} = excluded.{0}", column.name));
    let text = format!("ON CONFLICT ({key}) DO UPDATE SET {set}");
    match table.guard {
        None => text,
        Some(guard) => {
            let guard = table.columns[guard].name;
            format!("{text} WHERE {}.{guard} = excluded.{guard} - 1", table.name)
        }
    }
}

fn arrays(columns: &[Column]) -> String {
    list(columns, ", ", |i, column| {
        let kind = match column.kind {
            Kind::Int => "int8",
            Kind::Text => "text",
            Kind::Bytes => "bytea",
        };
        format!("${}::{kind}[]", i + 1)
    })
}

fn list(columns: &[Column], separator: &str, part: impl Fn(usize, &Column) -> String) -> String {
    let parts: Vec<String> = columns.iter().enumerate().map(|(i, column)| part(i, column)).collect();
    parts.join(separator)
}

/// Shared SQL for SQLite: `$n` becomes `?n`, outside of quotes and comments.
///
/// SQLite takes `$2` for a *name* and numbers names by first appearance, so `$2 … $1` would swap the values silently.
pub(crate) fn numbered(shared: &str) -> String {
    let mut text = String::with_capacity(shared.len());
    let mut rest = shared;
    while let Some(at) = rest.find(['$', '\'', '"', '-', '/']) {
        let (before, found) = rest.split_at(at);
        text.push_str(before);
        let token = match found.as_bytes() {
            [b'$', digit, ..] if digit.is_ascii_digit() => {
                text.push('?');
                rest = &found[1..];
                continue;
            }
            [b'\'', ..] => upto(found, 1, "'"),
            [b'"', ..] => upto(found, 1, "\""),
            [b'-', b'-', ..] => upto(found, 2, "\n"),
            [b'/', b'*', ..] => upto(found, 2, "*/"),
            _ => 1,
        };
        let (token, after) = found.split_at(token);
        text.push_str(token);
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The length of the token that opens `text` with `opening` bytes and closes with `end`; a doubled quote is two tokens.
fn upto(text: &str, opening: usize, end: &str) -> usize {
    let (_, inside) = text.split_at(opening);
    inside.find(end).map_or(text.len(), |at| opening + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    #[test]
    fn placeholders_are_numbered_outside_of_quotes_and_comments() {
        for (shared, expected) in [
            ("SELECT $2, $1", "SELECT ?2, ?1"),
            ("a = $10 AND b = '$1'", "a = ?10 AND b = '$1'"),
            ("'it''s $1' || $1", "'it''s $1' || ?1"),
            ("\"a$1\" = $1 -- $1\n+ $2", "\"a$1\" = ?1 -- $1\n+ ?2"),
            ("a - $1 / $2 /* $3 */ > $3", "a - ?1 / ?2 /* $3 */ > ?3"),
            ("'ü$1' = $1 AND 'open $2", "'ü$1' = ?1 AND 'open $2"),
            ("$1 /*/ $2 */ $3", "?1 /*/ $2 */ ?3"),
            ("$", "$"),
            ("", ""),
        ] {
            assert_eq!(numbered(shared), expected);
        }
    }

    #[test]
    fn the_guard_is_in_every_text_that_writes_over_a_row() {
        for table in tables::ALL {
            for sql in [TableSql::sqlite(table), TableSql::postgres(table)] {
                assert_eq!(sql.update.is_empty(), table.guard.is_none(), "{}", table.name);
                assert_eq!(sql.upsert.contains(" - 1"), table.guard.is_some(), "{}", table.name);
            }
        }
    }

    #[test]
    fn the_verbs_join_a_table_with_the_keys_asked_for_and_with_nothing_else() {
        for table in tables::every() {
            for sql in [TableSql::sqlite(table), TableSql::postgres(table)] {
                let selects = [&sql.select, &sql.select_locked];
                let writes = [&sql.insert, &sql.insert_new, &sql.upsert, &sql.update, &sql.update_steady];
                for text in selects.into_iter().chain(writes) {
                    let joined: Vec<&str> = text.split("JOIN ").skip(1).collect();
                    assert!(joined.iter().all(|rest| rest.starts_with("UNNEST(")), "{text}");
                    let others = tables::every().filter(|other| other.name != table.name);
                    for other in others {
                        assert!(!text.contains(&format!("FROM {} ", other.name)), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn texts_read_as_meant() {
        let sqlite = TableSql::sqlite(&tables::ORDER_KEY);
        assert_eq!(
            sqlite.update,
            "UPDATE order_key SET member = ?4, seq = ?5, version = ?6, progress = ?7 \
             WHERE bucket = ?1 AND program = ?2 AND key = ?3 AND version = ?6 - 1"
        );
        assert_eq!(
            TableSql::sqlite(&tables::MEMBER).update_steady,
            "UPDATE member SET version = ?4, status = ?6, state = ?7 \
             WHERE bucket = ?1 AND program = ?2 AND member = ?3 AND version = ?4 - 1 AND wake_at IS ?5"
        );
        let postgres = TableSql::postgres(&tables::POOL);
        assert_eq!(
            postgres.select_locked,
            "SELECT t.bucket, t.program, t.pool, t.used FROM pool t \
             JOIN UNNEST($1::int8[], $2::int8[], $3::text[]) AS k(bucket, program, pool) \
             ON t.bucket = k.bucket AND t.program = k.program AND t.pool = k.pool \
             ORDER BY t.bucket, t.program, t.pool FOR UPDATE OF t"
        );
        assert_eq!(
            postgres.select_one_locked,
            "SELECT bucket, program, pool, used FROM pool WHERE bucket = $1 AND program = $2 AND pool = $3 FOR UPDATE"
        );
    }
}
