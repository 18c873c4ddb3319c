//! P5, F1, C9, R1, R7, P1: households, what goes into their pool, who spends it, and what comes back to whom.

mod documents;
mod joining;
mod leaving;
mod returns;
mod saving;
mod seats;
mod spending;

use tessera_core::decide::{Decision, Rejected};
use tessera_core::event::{HouseholdStep, Redeem};
use tessera_core::id::MemberId;
use tessera_testkit::shop::{Shop, json::*};

const CODE: [u8; 16] = [9; 16];
/// The household stands behind the three members.
const HOME: usize = 3;

fn program(households: &str, currency: &str) -> String {
    format!(
        "
households: {{ {households} }}
currencies: {{ point: {{ name: P, expires: {{ after: P12M, round: month }}, {currency} }} }}
referral: {{ qualifies: {{ trigger: purchase }}, gives: {{ referrer: [ {{ award: {{ currency: point, amount: 100 }} }} ] }}, told_within: P30D }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}"
    )
}

/// Members 0, 1 and 2 have joined the program.
fn shop_of(households: &str, currency: &str) -> Shop {
    joined(&program(households, currency))
}

fn joined(document: &str) -> Shop {
    let mut shop = Shop::new(document);
    for member in 0..3 {
        shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
    }
    shop
}

const ALL: &str = "pools: { point: { contribute: all } }";

fn id_of(shop: &mut Shop, member: usize) -> MemberId {
    shop.of_member(member).member().id
}

fn step(shop: &mut Shop, member: usize, time: &str, step: HouseholdStep) -> Result<Decision, Rejected> {
    shop.of_member(member).household(time, step)
}

/// Member 0 founds a household.
fn found(shop: &mut Shop) -> MemberId {
    step(shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    id_of(shop, HOME)
}

fn invite(shop: &mut Shop, time: &str, to: Option<usize>) -> Result<Decision, Rejected> {
    let by = id_of(shop, 0);
    let to = to.map(|to| id_of(shop, to));
    step(shop, HOME, time, HouseholdStep::Invite { by, to, code: CODE })
}

fn accept(shop: &mut Shop, member: usize, time: &str, code: Option<[u8; 16]>) -> Result<Decision, Rejected> {
    let household = id_of(shop, HOME);
    let accepted = step(shop, member, time, HouseholdStep::Accept { household, code });
    shop.relay();
    accepted
}

/// Members 0 (the head) and 1 are a household.
fn couple_of(households: &str, currency: &str) -> Shop {
    coupled(shop_of(households, currency))
}

fn coupled(mut shop: Shop) -> Shop {
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    accept(&mut shop, 1, "2026-01-06T11:00", None).unwrap();
    shop
}

fn couple(households: &str) -> Shop {
    couple_of(households, "")
}

fn buy(shop: &mut Shop, member: usize, time: &str, order: &str, thousands: i64) -> Decision {
    let bought = shop.of_member(member).send(time, "purchase", &sale(order, thousands * 1_000));
    shop.relay();
    bought
}

/// What is in the pool, and each member's part of it.
fn pool(shop: &mut Shop) -> (i64, [i64; 3]) {
    let ids = [0, 1, 2].map(|member| id_of(shop, member));
    let state = shop.of_member(HOME).state();
    let household = state.household.clone().unwrap();
    (shop.available("point"), ids.map(|id| household.part_of(id, "point")))
}

fn has(shop: &mut Shop, member: usize) -> i64 {
    shop.of_member(member).available("point")
}

fn pay(shop: &mut Shop, by: usize, time: &str, redeem: Redeem) -> Result<Decision, Rejected> {
    let by = Some(id_of(shop, by));
    shop.of_member(HOME).redeem(time, Redeem { by, ..redeem })
}

fn leave(shop: &mut Shop, member: usize, time: &str) -> Result<Decision, Rejected> {
    let left = step(shop, member, time, HouseholdStep::Leave);
    shop.relay();
    left
}
