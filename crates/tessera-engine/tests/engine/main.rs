//! What the engine promises, on the embedded database and, where the executor is concerned, on PostgreSQL.

mod batches;
mod common;
mod contention;
mod idempotency;
mod members;
mod orders;
mod privacy;
mod programs;
mod reports;
mod time;
mod verification;
