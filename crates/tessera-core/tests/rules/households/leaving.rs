//! P5, I3: whoever leaves a household, or is sent away, and what goes with them.

use tessera_core::decide::Rejected;
use tessera_core::event::{HouseholdStep, Redeem};
use tessera_testkit::shop::{Shop, json::*, reserve, spend};

use super::{ALL, HOME, accept, buy, couple, found, has, id_of, invite, leave, pay, pool, shop_of, step};

#[test]
fn p5_whoever_leaves_takes_what_is_left_of_their_own_and_cools_off() {
    let mut shop = couple("cooling_off: P30D, pools: { point: { contribute: all } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    pay(&mut shop, 0, "2026-01-08T09:00", spend("point", 75)).unwrap();
    leave(&mut shop, 1, "2026-01-10T09:00").unwrap();
    assert_eq!((has(&mut shop, 1), pool(&mut shop)), (25, (0, [0, 0, 0])));
    let early = step(&mut shop, 1, "2026-02-08T23:00", HouseholdStep::Found { known: None }).unwrap_err();
    assert_eq!(early, Rejected::HouseholdCoolingOff { from: "2026-02-09".parse().unwrap() });
    step(&mut shop, 1, "2026-02-09T00:00", HouseholdStep::Found { known: None }).unwrap();
    assert_eq!(leave(&mut shop, 2, "2026-01-10T09:00").unwrap_err(), Rejected::NotInHousehold);
}

#[test]
fn p5_when_the_head_leaves_the_longest_there_is_head_and_the_last_one_takes_the_rest() {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-07T09:00", Some(2)).unwrap();
    accept(&mut shop, 2, "2026-01-07T10:00", None).unwrap();
    for member in 0..3 {
        buy(&mut shop, member, "2026-01-08T09:00", &format!("o{member}"), 10);
    }
    leave(&mut shop, 0, "2026-01-09T09:00").unwrap();
    let household = shop.of_member(HOME).state().household.unwrap();
    assert!(household.people[0].head && household.people[0].member == id_of(&mut shop, 1));
    // Whoever leaves the program leaves behind what they had put in.
    shop.of_member(1)
        .ask(tessera_testkit::shop::at("2026-01-10T09:00"), tessera_core::event::What::Leave { erase: true })
        .unwrap();
    shop.relay();
    assert_eq!(pool(&mut shop), (20, [0, 0, 10]));
    leave(&mut shop, 2, "2026-01-11T09:00").unwrap();
    assert_eq!((has(&mut shop, 2), pool(&mut shop).0), (20, 0));
    let by = Some(id_of(&mut shop, 2));
    let closed = shop.of_member(HOME).redeem("2026-01-12T09:00", Redeem { by, ..spend("point", 1) }).unwrap_err();
    assert_eq!(closed, Rejected::HouseholdClosed);
}

#[test]
fn p5_what_was_reserved_when_its_owner_left_is_the_households_own() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    let held = pay(&mut shop, 0, "2026-01-08T09:00", reserve("point", 30)).unwrap();
    leave(&mut shop, 1, "2026-01-08T09:05").unwrap();
    assert_eq!(has(&mut shop, 1), 10);
    shop.of_member(HOME).void("2026-01-08T09:10", held.events[held.main].seq).unwrap();
    assert_eq!(pool(&mut shop), (30, [0, 0, 0]));
}

#[test]
fn p5_points_on_their_way_to_a_household_that_was_left_come_back() {
    let mut shop = couple(ALL);
    shop.of_member(1).send("2026-01-07T09:00", "purchase", &sale("o1", 50_000));
    let first = id_of(&mut shop, 0);
    let second = id_of(&mut shop, 1);
    let removal = HouseholdStep::Remove { by: first, member: second };
    step(&mut shop, HOME, "2026-01-07T09:01", removal).unwrap();
    shop.relay();
    assert_eq!((has(&mut shop, 1), pool(&mut shop).0), (50, 0));
}

#[test]
fn i3_what_the_last_one_out_had_reserved_is_void() {
    let mut shop = shop_of(ALL, "");
    found(&mut shop);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    pay(&mut shop, 0, "2026-01-08T09:00", reserve("point", 45)).unwrap();
    leave(&mut shop, 0, "2026-01-08T09:01").unwrap();
    assert_eq!((has(&mut shop, 0), shop.of_member(HOME).balance("point").held), (60, 0));
}

fn of_program(shop: &mut Shop, member: usize, time: &str) {
    let gone = tessera_core::event::What::Leave { erase: false };
    shop.of_member(member).ask(tessera_testkit::shop::at(time), gone).unwrap();
}

fn sent_away(shop: &mut Shop, member: usize, time: &str) {
    let (by, member) = (id_of(shop, 0), id_of(shop, member));
    step(shop, HOME, time, HouseholdStep::Remove { by, member }).unwrap();
}

#[test]
fn a1_what_nobody_is_there_to_take_along_is_the_households_own() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    let mut dead = shop.clone();
    sent_away(&mut shop, 1, "2026-01-08T09:00");
    of_program(&mut shop, 1, "2026-01-08T09:00");
    shop.relay();
    assert_eq!(pool(&mut shop), (60, [0, 0, 0]));
    pay(&mut shop, 0, "2026-01-09T09:00", spend("point", 60)).unwrap();
    // Where it has died meanwhile it is dead.
    sent_away(&mut dead, 1, "2027-01-31T23:00");
    of_program(&mut dead, 1, "2027-01-31T23:00");
    dead.of_member(HOME).wake("2027-02-02T09:00");
    let by = id_of(&mut dead, 0);
    step(&mut dead, HOME, "2027-02-02T10:00", HouseholdStep::Invite { by, to: None, code: [9; 16] }).unwrap();
    dead.relay();
    assert_eq!(dead.of_member(HOME).state().purse("point").unwrap().totals.expired.get(), 60);
}

#[test]
fn a1_what_was_asked_back_of_somebody_who_has_left_stays_in_the_pool() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    shop.of_member(1).send("2026-01-08T09:00", "return", &back_all("o1"));
    // The pool has sent what it has.
    shop.relay_one(0).unwrap();
    of_program(&mut shop, 1, "2026-01-08T09:00");
    shop.relay();
    assert_eq!(pool(&mut shop), (60, [0, 0, 0]));
}

#[test]
fn l2_what_has_died_on_the_way_home_is_dead() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    sent_away(&mut shop, 1, "2027-01-31T23:00");
    shop.of_member(1).send("2027-02-01T09:00", "profile", "{}");
    shop.relay();
    let purse = shop.of_member(1).state().purse("point").cloned().unwrap();
    assert_eq!((purse.active().get(), purse.totals.expired.get()), (0, 60));
}
