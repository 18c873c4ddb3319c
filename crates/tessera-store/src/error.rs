//! The one error of the store.

use std::fmt;

/// Why the store did not do as asked.
///
/// Messages name tables, columns, codes and pools; they never hold what a row holds, so they may be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A row with this key was already there, or another writer changed it since it was read.
    /// Some of the rows of the call may have been written: drop the transaction, read again, decide again.
    #[error("{table}: a row with this key is already there, or it was changed since it was read")]
    Conflict {
        /// The table that met the other row.
        table: &'static str,
    },

    /// A scarce thing has less left than was asked for. Drop the transaction.
    #[error("pool {pool} has {used} of {cap} in use, and less left than was asked for")]
    PoolExhausted {
        /// The name of the pool.
        pool: String,
        /// How much of it was in use, counting what this call had taken before.
        used: i64,
        /// The most that may be in use.
        cap: i64,
    },

    /// A stored row does not hold what its reader expects: damage, or a reader and a writer that disagree.
    #[error("a stored row cannot be read: {place}{problem}", place = Place(*.place))]
    CorruptRow {
        /// Table and column, where known.
        place: Option<(&'static str, &'static str)>,
        /// What was expected and what was found, without the content.
        problem: String,
    },

    /// Somebody else holds what was asked for. Nothing was done; trying again later may succeed.
    #[error("busy: {what}")]
    Busy {
        /// What is taken.
        what: &'static str,
    },

    /// A newer version of Tessera has used this database; this one would not understand it.
    #[error(
        "the database was written by a newer version of Tessera (its schema is {found}, this program knows {known}): \
         use that version, or restore a backup made before the upgrade"
    )]
    SchemaTooNew {
        /// The newest migration found in the database.
        found: i64,
        /// The newest migration this program knows.
        known: i64,
    },

    /// An older version of Tessera has used this database, and whoever only reads cannot bring it up to date.
    #[error(
        "the database was written by an older version of Tessera (its schema is {found}, this program reads {known}): \
         bring it up to date with `tessera migrate` (or `tessera serve`, which does so when it starts)"
    )]
    SchemaTooOld {
        /// The newest migration found in the database.
        found: i64,
        /// The newest migration this program knows.
        known: i64,
    },

    /// The schema is neither that of this version nor of one before it: a migration that was edited or left out, a table
    /// that is gone.
    #[error(
        "the schema of the database is not whole: {problem}. Restore a backup, or all of what it was copied from; \
         nothing was changed"
    )]
    SchemaBroken {
        /// What is not as the migrations leave it.
        problem: String,
    },

    /// Tables are to be spread over machines, and what does that is not there.
    #[error(
        "the extension citus is not in this database: install Citus on every machine, put citus into \
         shared_preload_libraries, restart, and run CREATE EXTENSION citus in this database; nothing was changed"
    )]
    NoCitus,

    /// There is a database, and nothing of Tessera's in it.
    #[error("the database holds no program yet: publish one with `tessera program apply FILE`")]
    SchemaMissing,

    /// The database could not serve for now: connection lost, deadlock broken, disk full. If it came from a commit,
    /// whether that commit happened is unknown, and only reading can tell.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),

    /// The URL of the database cannot be used: it cannot be read, its words do not fit together, or a file that it names
    /// is not what it has to be. Nobody was asked. The message does not repeat the URL, which may hold a password.
    #[error("{0}")]
    Url(String),

    /// The database refused for a reason that trying again will not cure.
    #[error("the database refused: {0}")]
    Database(String),
}

impl StoreError {
    /// Whether the same call, in a new transaction, may succeed by itself.
    ///
    /// A [`Conflict`](Self::Conflict) is not transient in this sense: the decision itself has to be made anew.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unavailable(_))
    }

    /// A [`CorruptRow`](Self::CorruptRow) that says where it was met. `problem` must not hold the content.
    pub fn corrupt(table: &'static str, column: &'static str, problem: impl Into<String>) -> Self {
        Self::CorruptRow { place: Some((table, column)), problem: problem.into() }
    }

    /// Adds table and column to a [`CorruptRow`](Self::CorruptRow) that does not know them; any other error is unchanged.
    #[must_use]
    pub fn located(self, table: &'static str, column: &'static str) -> Self {
        match self {
            Self::CorruptRow { place: None, problem } => Self::CorruptRow { place: Some((table, column)), problem },
            other => other,
        }
    }
}

struct Place(Option<(&'static str, &'static str)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |(table, column)| write!(f, "{table}.{column}: "))
    }
}

#[cfg(test)]
mod tests {
    use crate::value::Value;

    #[test]
    fn a_corrupt_row_tells_where_and_what_but_not_the_content() {
        let error = Value::from("an.nguyen@example.com").int().unwrap_err();
        assert_eq!(error.to_string(), "a stored row cannot be read: expected a whole number, found text");
        let located = error.located("member", "status").located("elsewhere", "never");
        assert_eq!(
            located.to_string(),
            "a stored row cannot be read: member.status: expected a whole number, found text"
        );
    }
}
