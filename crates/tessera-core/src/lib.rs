//! The pure heart of Tessera: what a program says, what a member has, and what an event does to both.
//!
//! Nothing here reads a clock, a file, a random number or a float: the same inputs give the same outcome on a server, in
//! a quote, in a test, and when a year of history is replayed. [`decide`] chooses what happens; [`member::MemberState`]
//! folds it.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

pub mod code;
pub mod decide;
pub mod event;
pub mod expression;
pub mod id;
pub mod ledger;
pub mod member;
pub mod program;
pub mod quantity;
mod text;
pub mod time;
pub mod voucher;
