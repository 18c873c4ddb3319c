//! What went wrong, told without what a row holds.

use std::time::Duration;

use crate::error::StoreError;

/// What [`refused`] says of a server that has become one that is only read.
pub(super) const MADE_READ_ONLY: &str = "PostgreSQL answered 25006";

pub(super) fn lost() -> StoreError {
    StoreError::Unavailable("the connection to PostgreSQL was lost".to_owned())
}

pub(crate) fn silent(within: Duration) -> StoreError {
    StoreError::Unavailable(format!("PostgreSQL did not answer within {} ms", within.as_millis()))
}

/// SQLSTATE classes and codes after which the same statement may succeed in a new transaction. 25006: the server has
/// become one that is only read; its address soon leads to the one that is written.
const TRANSIENT: [&str; 10] = ["08", "40", "53", "55P03", "57014", "57P", "58030", "25006", "25P03", "25P04"];
/// Classes whose messages speak of the statement, a name or the set-up; others may quote what a row holds.
const SAFE_MESSAGES: [&str; 5] = ["0A", "28", "3D", "42", "53"];

/// What the server or the driver said, without what a row holds.
pub(crate) fn refused(error: &tokio_postgres::Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let io = std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
        return if error.is_closed() || io { lost() } else { StoreError::Database(chain(error)) };
    };
    let code = db.code().code();
    let mut text = format!("PostgreSQL answered {code}");
    for (what, name) in [("table", db.table()), ("column", db.column()), ("constraint", db.constraint())] {
        if let Some(name) = name {
            text = format!("{text}, {what} {name}");
        }
    }
    if SAFE_MESSAGES.iter().any(|class| code.starts_with(class)) {
        text = format!("{text}: {}", db.message());
    }
    if TRANSIENT.iter().any(|class| code.starts_with(class)) {
        StoreError::Unavailable(text)
    } else {
        StoreError::Database(text)
    }
}

/// The driver's own messages name parameters and columns by number.
pub(crate) fn chain(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
