//! What Tessera remembers, on SQLite or PostgreSQL, behind one synchronous facade.
//!
//! Two ways in. The executor writes through the verbs of [`Tx`]: [`fetch_by_keys`](Tx::fetch_by_keys),
//! [`insert_rows`](Tx::insert_rows), [`upsert_rows`](Tx::upsert_rows), [`take_from_pools`](Tx::take_from_pools) and
//! [`commit`](Tx::commit), each in the best form of its database: a cached statement run per row on SQLite, one
//! statement over `UNNEST` arrays on PostgreSQL, several of them in one message ([`fetch_together`](Tx::fetch_together),
//! [`write_together`](Tx::write_together)). Everything else is ordinary SQL, written once in the subset both
//! databases accept, with `$1`, `$2` … as placeholders.
//!
//! Promises:
//!
//! * What [`Tx::commit`] answered is on the disk, and so is what [`Tx::commit_visible`] answered once [`Database::flush`]
//!   has (PostgreSQL as its server is configured).
//! * A [`Tx`] that is dropped without a commit never happened.
//! * A [`Reader`] sees one moment: rows committed after its first statement stay invisible to it.
//! * An error tells tables, columns and codes, never what a row holds.
//!
//! Calls block. Make them from a thread of your own or from `spawn_blocking`, never inside an async task.
//!
//! Bounds: [`READERS_MAX`] readers at a time, one writer at a time on SQLite and any number on PostgreSQL.

mod citus;
mod db;
mod error;
mod hot;
mod migrate;
mod shards;
mod sql;
mod table;
pub mod tables;
mod value;

pub use citus::{citus_statements, spread_with_citus};
pub use db::reader::{READERS_MAX, Reader};
pub use db::scratch::ScratchSchema;
pub use db::{Database, Dialect, Writer};
pub use error::StoreError;
pub use hot::{Tx, Write};
pub use migrate::{Schema, migration_names};
pub use shards::{BUCKETS, SPREAD, Shards};
pub use table::{Column, Kind, Table};
pub use value::{Row, Value};
