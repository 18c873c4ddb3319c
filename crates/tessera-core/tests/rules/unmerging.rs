//! P1, P2, P3, R7, L2, L6, A1: undoing a merge, where time has passed and more has happened since; and what cannot go back.

use std::collections::BTreeMap;

use tessera_core::decide::EffectKind;
use tessera_core::event::{PlaceTier, PlacementEnd, PlacementKind, PlacementStep, SurvivorLeft, What};
use tessera_core::id::EventId;
use tessera_core::member::Status;
use tessera_testkit::shop::{Shop, at, id, json::*, spend, sum_of};

use crate::common::{merge, undo_merge};

const DOCUMENT: &str = "
members: { merge: { undo_within: P1Y } }
currencies:
  point: { name: Point, expires: { after: P12M, round: month } }
  mile: { name: Mile, expires: { inactivity: P6M, moved_by: [purchase] } }
  star: { name: Star, expires: never, pending: { for: P14D } }
  stamp: { name: Stamp, expires: never }
  coin: { name: Coin, expires: { after: P12M }, pending: { for: P14D } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 100 } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  stars: { trigger: purchase, rules: [ { award: { currency: star, amount: event.net / 1000 } } ] }
  miles: { trigger: purchase, rules: [ { award: { currency: mile, amount: event.net / 1000 } } ] }
  coins: { trigger: purchase, rules: [ { award: { currency: coin, amount: event.net / 1000 } } ] }
  cups: { trigger: purchase, rules: [ { award: { currency: stamp, amount: event.net / 10000 } } ] }
";

/// Whoever has five stamps has a star for them at once.
const FULL_CARD: &str = "  card: { trigger: balance, rules: [ { when: member.balance.stamp >= 5, spend: { currency: stamp, amount: 5 }, award: { currency: point, amount: 50 } } ] }";

/// Members 0, 1 and 2 have joined, and the first two have bought for 60,000 each.
fn shop() -> Shop {
    let mut shop = Shop::new(DOCUMENT);
    for member in [2, 1, 0] {
        shop.of_member(member).send("2026-02-01T09:00", "enrol", "{}");
    }
    for (member, order) in [(0, "a1"), (1, "b1")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 60_000));
    }
    shop
}

fn available(shop: &mut Shop, currency: &str) -> [i64; 3] {
    [0, 1, 2].map(|member| shop.of_member(member).available(currency))
}

/// The merged one goes for good before what is theirs reaches them.
fn leaves_on_the_way(shop: &mut Shop, survivor: usize, gone: usize, time: &str) {
    let survivor = shop.of_member(survivor).member().id;
    shop.of_member(gone).ask(at(time), What::SurvivorLeft(SurvivorLeft { survivor, erase: false })).unwrap();
}

#[test]
fn r7_what_came_home_while_both_were_one_with_a_third_was_spent_by_none_of_them() {
    let mut shop = shop();
    let spent = shop.of_member(1).redeem("2026-02-11T09:00", spend("point", 40)).unwrap();
    let theirs = EventId { member: shop.member().id, seq: spent.events[spent.main].seq };
    merge(&mut shop, 1, 0, "2026-02-12T09:00");
    merge(&mut shop, 0, 2, "2026-02-13T09:00");
    let number = shop.state().number_of(theirs).unwrap();
    shop.cancel("2026-02-14T09:00", number, None).unwrap();
    undo_merge(&mut shop, 2, 0, "2026-02-15T09:00");
    undo_merge(&mut shop, 0, 1, "2026-02-16T09:00");
    let redeemed = |member: usize| shop.clone().of_member(member).state().purse("point").unwrap().totals.redeemed.get();
    assert_eq!([0, 1, 2].map(redeemed), [0, 0, 0]);
    // What came home since the third was there stays where it came.
    assert_eq!(available(&mut shop, "point"), [60, 20, 40]);
}

#[test]
fn a1_what_cannot_go_back_stays_with_who_had_it_and_goes_on_waiting() {
    let mut shop = shop();
    shop.of_member(1).adjust("2026-02-11T09:00", "stamp", -9).unwrap();
    merge(&mut shop, 1, 0, "2026-02-12T09:00");
    let before = shop.state();
    assert_eq!((shop.balance("star").pending, shop.balance("stamp").debt), (120, 0));
    shop.unmerge("2026-02-13T09:00", 1).unwrap();
    leaves_on_the_way(&mut shop, 0, 1, "2026-02-13T09:00");
    assert_eq!(shop.relay().remove(0).unwrap_err().code(), "member-left");
    let after = shop.of_member(0).state();
    for (before, after) in before.purses.iter().zip(&after.purses) {
        assert_eq!((&before.lots, &before.waits, before.debt), (&after.lots, &after.waits, after.debt));
    }
    shop.wake("2026-02-24T09:00");
    assert_eq!(shop.available("star"), 120);
}

#[test]
fn l2_what_comes_back_when_it_is_over_is_over() {
    let mut shop = shop();
    merge(&mut shop, 1, 0, "2026-02-12T09:00");
    let mut refused = shop.clone();
    // The survivor has kept alive what came, and bought in July; the other's date was in August.
    shop.of_member(0).send("2026-07-01T09:00", "purchase", &sale("a2", 1_000));
    undo_merge(&mut shop, 0, 1, "2026-09-01T09:00");
    assert_eq!(available(&mut shop, "mile"), [61, 0, 0]);
    // Nobody takes it back, and meanwhile it has come to its end.
    refused.of_member(0).unmerge("2027-01-31T09:00", 1).unwrap();
    leaves_on_the_way(&mut refused, 0, 1, "2027-01-31T09:00");
    refused.of_member(0).wake("2027-03-01T09:00");
    refused.relay().remove(0).unwrap_err();
    let purse = refused.of_member(0).state().purse("point").cloned().unwrap();
    assert_eq!((purse.active().get(), purse.totals.expired.get()), (0, 120));
}

#[test]
fn l6_what_is_due_when_it_arrives_is_there_at_once() {
    let mut shop = shop();
    shop.of_member(0).wake("2026-03-01T09:00");
    merge(&mut shop, 1, 0, "2026-02-20T09:00");
    assert_eq!(shop.available("star"), 120);
    assert_eq!(available(&mut shop, "star"), [120, 0, 0]);
    // And dead is what has died.
    let mut shop = self::shop();
    shop.of_member(0).wake("2027-03-01T09:00");
    merge(&mut shop, 1, 0, "2027-02-27T09:00");
    assert_eq!(shop.state().purse("point").unwrap().totals.expired.get(), 120);
}

#[test]
fn c8_what_two_have_together_counts_as_soon_as_it_is_together() {
    let mut shop = Shop::new(&format!("{DOCUMENT}{FULL_CARD}\n"));
    for (member, order) in [(0, "a1"), (1, "b1")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 30_000));
    }
    let arrived = merge(&mut shop, 1, 0, "2026-02-12T09:00");
    assert_eq!(sum_of(&arrived, EffectKind::Accrual, "point"), 50);
    assert_eq!(shop.available("stamp"), 1);
}

#[test]
fn c8_what_each_has_again_counts_for_each() {
    let mut shop = shop();
    merge(&mut shop, 1, 0, "2026-02-12T09:00");
    let mut refused = shop.clone();
    shop.publish("2026-02-13T00:00", &format!("{DOCUMENT}{FULL_CARD}\n"));
    undo_merge(&mut shop, 0, 1, "2026-02-13T09:00");
    assert_eq!(available(&mut shop, "stamp"), [1, 1, 0]);
    assert_eq!(available(&mut shop, "point"), [110, 110, 0]);
    // What cannot go back has come as anything else does.
    refused.publish("2026-02-13T00:00", &format!("{DOCUMENT}{FULL_CARD}\n").replace(">= 5", ">= 10"));
    refused.of_member(0).unmerge("2026-02-13T09:00", 1).unwrap();
    leaves_on_the_way(&mut refused, 0, 1, "2026-02-13T09:00");
    refused.relay().remove(0).unwrap_err();
    assert_eq!(refused.of_member(0).available("stamp"), 7);
}

#[test]
fn i7_what_fell_due_while_somebody_was_merged_is_settled_when_they_are_back() {
    let mut shop = shop();
    let until = PlacementEnd::Until("2026-02-28".parse().unwrap());
    let step = PlacementStep::Place {
        kind: PlacementKind::Match,
        level: Some(id("gold")),
        ends: until,
        keep_if: BTreeMap::new(),
    };
    let wish = PlaceTier { ladder: id("club"), step, reason: "Sky Club".into() };
    shop.of_member(1).ask(at("2026-02-11T09:00"), What::PlaceTier(wish)).unwrap();
    merge(&mut shop, 1, 0, "2026-02-12T09:00");
    assert_eq!(shop.level("club"), "gold");
    undo_merge(&mut shop, 0, 1, "2026-03-05T09:00");
    assert_eq!([0, 1].map(|member| shop.of_member(member).level("club")), ["blue", "blue"]);
}

#[test]
fn p3_who_went_again_does_not_leave_with_the_survivor() {
    let mut shop = shop();
    merge(&mut shop, 1, 0, "2026-02-12T09:00");
    undo_merge(&mut shop, 0, 1, "2026-02-13T09:00");
    shop.of_member(0).ask(at("2026-02-14T09:00"), What::Leave { erase: true }).unwrap();
    assert!(shop.relay().is_empty(), "nobody is told");
    assert_eq!(shop.of_member(1).state().status, Status::Active);
    // Nor where a word of it came too late.
    let survivor = shop.of_member(0).member().id;
    let word = What::SurvivorLeft(SurvivorLeft { survivor, erase: true });
    assert_eq!(shop.of_member(1).ask(at("2026-02-14T09:00"), word).unwrap_err().code(), "not-merged");
}

/// The campaign of a moved balance gave something each time, and members who fail to become one could try every day.
#[test]
fn a1_a_merge_that_cannot_arrive_has_moved_no_balance() {
    let moved = "  moved: { trigger: balance, rules: [ { award: { currency: stamp, amount: 1 }, limit: { per_member: { day: 1 } } } ] }";
    let mut shop = Shop::new(&format!("{DOCUMENT}{moved}\n"));
    for (member, order) in [(0, "a1"), (1, "b1")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 60_000));
    }
    let before = shop.of_member(1).state();
    shop.merge("2026-02-12T09:00", 0).unwrap();
    shop.of_member(0).ask(at("2026-02-12T09:00"), What::Leave { erase: false }).unwrap();
    shop.relay().remove(0).unwrap_err();
    assert_eq!(shop.of_member(1).state().purses, before.purses);
}

#[test]
fn c2_what_was_used_of_a_window_that_is_over_does_not_come_along() {
    let mut shop = Shop::new(
        &DOCUMENT
            .replace("amount: event.net / 10000 }", "amount: event.net / 10000 }, limit: { per_member: { month: 9 } }"),
    );
    for (member, order) in [(0, "a1"), (1, "b1")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 60_000));
    }
    merge(&mut shop, 1, 0, "2026-03-05T09:00");
    assert_eq!(shop.state().counters, []);
}

/// Points that have died on the way fill no card.
#[test]
fn l2_what_is_dead_as_it_comes_counts_for_nothing() {
    let by_points = FULL_CARD.replace(
        "stamp >= 5, spend: { currency: stamp, amount: 5 }",
        "CURRENCY >= 50, spend: { currency: CURRENCY, amount: 50 }",
    );
    let by_points = by_points.replace("currency: point, amount: 50 }", "currency: stamp, amount: 50 }");
    let full = |currency: &str| format!("{DOCUMENT}{}\n", by_points.replace("CURRENCY", currency));
    let mut shop = shop();
    let mut merged = shop.clone();
    // The survivor has seen March by then.
    merged.publish("2027-02-20T00:00", &full("point"));
    merged.of_member(0).wake("2027-03-01T09:00");
    merge(&mut merged, 1, 0, "2027-02-27T09:00");
    assert_eq!((merged.available("stamp"), merged.available("point")), (12, 0));
    // What goes back has died there.
    let mut refused = shop.clone();
    merge(&mut shop, 1, 0, "2026-02-12T09:00");
    shop.of_member(0).send("2026-07-01T09:00", "purchase", &sale("a2", 1_000));
    shop.publish("2026-09-01T00:00", &full("mile").replace(">= 50", ">= 60"));
    shop.unmerge("2026-09-01T09:00", 1).unwrap();
    shop.relay().remove(0).unwrap();
    assert_eq!((shop.of_member(1).available("stamp"), shop.available("mile")), (6, 0));
    // And what nobody took.
    merge(&mut refused, 1, 0, "2026-03-05T09:00");
    refused.publish("2027-02-20T00:00", &full("point"));
    refused.of_member(0).unmerge("2027-02-27T09:00", 1).unwrap();
    leaves_on_the_way(&mut refused, 0, 1, "2027-02-27T09:00");
    refused.of_member(0).wake("2027-03-01T09:00");
    let stamps = refused.available("stamp");
    refused.relay().remove(0).unwrap_err();
    assert_eq!(refused.of_member(0).available("stamp"), stamps + 6);
}

#[test]
fn l6_what_matured_meanwhile_goes_back_with_its_date_and_without_what_repaid_a_debt() {
    let mut shop = shop();
    shop.of_member(0).adjust("2026-02-11T09:00", "star", -100).unwrap();
    merge(&mut shop, 1, 0, "2026-02-12T09:00");
    shop.wake("2026-02-24T09:00");
    assert_eq!((shop.available("star"), shop.balance("star").debt), (20, 0));
    shop.send("2026-02-25T09:00", "purchase", &sale("a2", 50_000));
    undo_merge(&mut shop, 0, 1, "2026-03-12T09:00");
    assert_eq!(available(&mut shop, "star"), [50, 20, 0]);
    assert_eq!(available(&mut shop, "coin"), [110, 60, 0]);
    assert_eq!(shop.of_member(1).lots("coin"), [("2027-02-10".to_owned(), 60)]);
    let seen = shop.seen_at("2027-02-11T00:00");
    assert_eq!(seen.purse("coin").unwrap().totals.expired.get(), 60);
}
