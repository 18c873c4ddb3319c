//! What the store promises, run on both databases: this suite is the definition of correct.
//!
//! Every test appears twice, as `…::sqlite` and `…::postgres`. Around each, a second program holds rows with the same
//! ids in every table, and must hold them unchanged afterwards (`support::run`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[macro_use]
mod support;

// The test kit's own file instead of the test kit: that depends on most of the product, and the store must be tested
// without it.
#[path = "../../../tessera-testkit/src/postgres.rs"]
mod postgres;

mod pools;
mod reading;
mod schema;
mod servers;
mod sql;
mod tls;
mod together;
mod transactions;
mod upserts;
mod verbs;
