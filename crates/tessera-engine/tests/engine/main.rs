//! What the engine promises, on the embedded database and, where the executor is concerned, on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archived;
mod batches;
mod carts;
mod codes;
mod common;
mod contention;
mod gift_cards;
mod hostile;
mod households;
mod idempotency;
mod members;
mod merging;
mod operations;
mod orders;
mod partners;
mod people;
mod privacy;
mod programs;
mod redemptions;
mod replay;
mod reports;
mod scenarios;
mod shards;
mod simulation;
mod time;
mod transfers;
mod velocity;
mod verification;
mod vouchers;
