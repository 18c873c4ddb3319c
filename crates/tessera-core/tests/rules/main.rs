//! The rules of a points program, each proven by the tests that carry its id.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adjustments;
mod benefits;
mod caps;
mod cart;
mod cart_missing;
mod clubs;
mod codes;
mod common;
mod corrections;
mod derived;
mod documents;
mod events;
mod expressions;
mod gift_cards;
mod guide;
mod households;
mod inert;
mod limits;
mod lots;
mod members;
mod merged_lists;
mod merging;
mod money;
mod moving;
mod partners;
mod pending;
mod people;
mod placements;
mod play;
mod pool_rewards;
mod redemptions;
mod referral;
mod returns;
mod reward_kinds;
mod rewards;
mod stacking;
mod stored_state;
mod surprise;
mod tiers;
mod time_and_order;
mod transfers;
mod undo;
mod velocity;
mod vouchers;
