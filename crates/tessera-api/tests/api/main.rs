//! The HTTP API, called in this process: every route, who may call it, and what it says when something is wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod adjustments;
mod attacks;
mod benefits;
mod carts;
mod cases;
mod claims;
mod common;
mod document;
mod draws;
mod events;
mod explain;
mod gift_cards;
mod households;
mod leaderboards;
mod limits;
mod lists;
mod many;
mod members;
mod memberships;
mod merging;
mod moving;
mod openapi;
mod operations;
mod partners;
mod people;
mod possession;
mod problems;
mod progress;
mod quotes;
mod redemptions;
mod referrals;
mod reward_cards;
mod rewards;
mod tiers;
mod transfers;
mod voucher_codes;
mod vouchers;
