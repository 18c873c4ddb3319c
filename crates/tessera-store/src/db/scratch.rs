//! Room for what is thrown away, in a PostgreSQL database that others use.

use std::sync::Arc;

use crate::db::postgres::{PgConnection, Role};
use crate::db::servers::Servers;
use crate::error::StoreError;

/// A schema of its own, until it is removed; what is outside it is never touched.
#[derive(Debug)]
pub struct ScratchSchema {
    servers: Arc<Servers>,
    name: String,
    url: String,
}

impl ScratchSchema {
    /// Makes the schema `name`, of lower-case letters, digits and `_`, in the database of `url`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the server cannot be reached; [`StoreError::Database`] where the URL cannot be
    /// read, the name is taken, or the user may not make schemas.
    pub fn new(url: &str, name: &str) -> Result<Self, StoreError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(StoreError::Database(format!("`{name}` is no name for a scratch schema")));
        }
        let servers = Servers::to_write(url)?;
        PgConnection::open(&servers, Role::Migration)?.run(&format!("CREATE SCHEMA {name}"))?;
        Ok(Self { servers, name: name.to_owned(), url: within(url, name) })
    }

    /// Where it is, as a URL of its own.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Removes it with all that is in it. Whoever still uses it is in the way.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the server cannot be reached any more.
    pub fn remove(&self) -> Result<(), StoreError> {
        PgConnection::open(&self.servers, Role::Migration)?.run(&format!("DROP SCHEMA {} CASCADE", self.name))
    }
}

/// The same database, seen from within a schema.
fn within(url: &str, name: &str) -> String {
    match (url.contains("://"), url.contains('?')) {
        (false, _) => format!("{url} options='-csearch_path={name}'"),
        (true, false) => format!("{url}?options=-csearch_path%3D{name}"),
        (true, true) => format!("{url}&options=-csearch_path%3D{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn a_url_of_any_form_leads_into_the_schema() {
        for url in ["postgres://u@h/d", "postgres://u@h/d?sslmode=disable", "host=h user=u dbname=d"] {
            let config: tokio_postgres::Config = within(url, "s_1").parse().unwrap();
            assert_eq!(config.get_options(), Some("-csearch_path=s_1"), "{url}");
            assert_eq!(config.get_dbname(), Some("d"));
        }
    }
}
