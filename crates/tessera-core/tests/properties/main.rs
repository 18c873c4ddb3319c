//! The sums in the rules, over random histories: bounded, so that the whole takes seconds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod any_order;
mod bytes;
mod cart;
mod clubs;
mod documents;
mod everything;
mod gift_cards;
mod histories;
mod hostile;
mod households;
mod index;
mod merging;
mod programs;
mod redemptions;
mod reference;
mod returns;
mod transfers;
mod vouchers;
