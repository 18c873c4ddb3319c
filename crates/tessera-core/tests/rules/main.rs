//! The rules of a points program, each proven by the tests that carry its id.

mod common;
mod corrections;
mod lots;
mod money;
mod pending;
mod returns;
mod tiers;
