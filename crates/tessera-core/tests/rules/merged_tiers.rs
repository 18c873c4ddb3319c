//! P1, T3, T6: levels, placements and grants of two who become one, and of each when they are two again.

use std::collections::BTreeMap;

use rstest::rstest;
use tessera_core::event::{PlaceTier, PlacementEnd, PlacementKind, PlacementStep, What};
use tessera_testkit::shop::{Shop, at, id, json::*, level};

/// Silver at 50, gold at 100 and black at 300 a year; what a return undoes is held to the next review.
const DOCUMENT: &str = "
members: { merge: { undo_within: P1Y } }
currencies: { point: { name: Point, expires: never } }
tiers:
  club: { measure: { earned: point }, return_undoes: at_review, down: { to: to_earned }, levels: [ { id: blue, at: 0 }, { id: silver, at: 50 }, { id: gold, at: 100 }, { id: black, at: 300 } ] }
benefits: { parking: { name: Parking } }
events: { visit: {} }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  hello: { trigger: visit, rules: [ { grant: { benefit: parking, for: P7D } } ] }
";

/// Members 0 and 1 have joined long ago.
fn shop() -> Shop {
    let mut shop = Shop::new(DOCUMENT);
    for member in [1, 0] {
        shop.of_member(member).send("2025-02-01T09:00", "enrol", "{}");
    }
    shop
}

fn buys(shop: &mut Shop, member: usize, time: &str, thousands: i64) -> String {
    let order = format!("o-{member}-{time}");
    shop.of_member(member).send(time, "purchase", &sale(&order, thousands * 1_000));
    order
}

/// Reaches a level, and holds it to its review alone: the order has come back.
fn held(shop: &mut Shop, member: usize, time: &str, thousands: i64) {
    let order = buys(shop, member, time, thousands);
    shop.send(time, "return", &back_all(&order));
}

fn merge(shop: &mut Shop, time: &str) {
    shop.of_member(1).merge(time, 0).unwrap();
    shop.relay().remove(0).unwrap();
    shop.of_member(0);
}

fn undo(shop: &mut Shop, time: &str) {
    shop.of_member(0).unmerge(time, 1).unwrap();
    shop.relay().remove(0).unwrap();
    shop.of_member(0);
}

fn seen(shop: &Shop, time: &str) -> String {
    level(&shop.versions, &shop.seen_at(time), "club")
}

fn place(shop: &mut Shop, member: usize, time: &str, name: &str, until: &str) {
    let ends = PlacementEnd::Until(until.parse().unwrap());
    let step =
        PlacementStep::Place { kind: PlacementKind::Match, level: Some(id(name)), ends, keep_if: BTreeMap::new() };
    let wish = PlaceTier { ladder: id("club"), step, reason: "Sky Club".into() };
    shop.of_member(member).ask(at(time), What::PlaceTier(wish)).unwrap();
}

#[test]
fn t3_a_level_that_is_held_to_its_review_comes_along_to_its_review_and_goes_again() {
    let mut shop = shop();
    held(&mut shop, 1, "2026-02-10T09:00", 120);
    merge(&mut shop, "2026-02-11T09:00");
    assert_eq!([seen(&shop, "2027-12-31T23:59"), seen(&shop, "2028-01-01T00:00")], ["gold", "blue"]);
    undo(&mut shop, "2026-02-12T09:00");
    assert_eq!(shop.level("club"), "blue");
    assert_eq!(seen(shop.of_member(1), "2027-12-31T23:59"), "gold");
}

#[test]
fn t3_of_one_level_that_both_have_the_later_review_counts_and_undone_each_has_their_own() {
    let mut shop = shop();
    held(&mut shop, 0, "2025-02-10T09:00", 120);
    held(&mut shop, 1, "2026-02-10T09:00", 120);
    merge(&mut shop, "2026-02-11T09:00");
    assert_eq!(seen(&shop, "2027-06-01T09:00"), "gold");
    let mut late = shop.clone();
    undo(&mut shop, "2026-02-12T09:00");
    assert_eq!([seen(&shop, "2026-12-31T23:59"), seen(&shop, "2027-01-01T00:00")], ["gold", "blue"]);
    // What was the survivor's own is over by then.
    undo(&mut late, "2027-01-10T09:00");
    assert_eq!(late.level("club"), "blue");
}

#[test]
fn t3_a_lower_level_of_the_other_makes_none_last_longer() {
    let mut shop = shop();
    buys(&mut shop, 0, "2025-02-10T09:00", 120);
    buys(&mut shop, 1, "2026-02-10T09:00", 60);
    merge(&mut shop, "2026-02-11T09:00");
    assert_eq!([seen(&shop, "2026-12-31T23:59"), seen(&shop, "2027-01-01T00:00")], ["gold", "silver"]);
}

#[test]
fn t6_what_the_survivor_holds_by_a_return_of_their_own_stays_theirs() {
    let mut shop = shop();
    held(&mut shop, 1, "2026-02-10T09:00", 120);
    merge(&mut shop, "2026-02-11T09:00");
    held(&mut shop, 0, "2026-02-12T09:00", 320);
    assert_eq!(shop.level("club"), "black");
    undo(&mut shop, "2026-02-13T09:00");
    assert_eq!([seen(&shop, "2027-12-31T23:59"), seen(&shop, "2028-01-01T00:00")], ["black", "blue"]);
}

#[rstest]
#[case::theirs_is_higher(("silver", "2026-12-31"), ("gold", "2026-09-30"), ("gold", "2026-09-30"))]
#[case::own_is_higher(("gold", "2026-09-30"), ("silver", "2026-12-31"), ("gold", "2026-09-30"))]
#[case::theirs_lasts_longer(("gold", "2026-09-30"), ("gold", "2026-12-31"), ("gold", "2026-12-31"))]
#[case::own_lasts_longer(("gold", "2026-12-31"), ("gold", "2026-09-30"), ("gold", "2026-12-31"))]
#[case::they_are_alike(("gold", "2026-12-31"), ("gold", "2026-12-31"), ("gold", "2026-12-31"))]
fn p1_of_two_status_matches_the_better_counts_and_undone_each_has_their_own(
    #[case] own: (&str, &str),
    #[case] theirs: (&str, &str),
    #[case] best: (&str, &str),
) {
    let mut shop = shop();
    for (member, (name, until)) in [(0, own), (1, theirs)] {
        place(&mut shop, member, "2026-02-10T09:00", name, until);
    }
    let has = |shop: &Shop| -> Vec<(String, String)> {
        let state = shop.state();
        let end = |until: Option<tessera_core::time::Instant>| until.unwrap().plus_seconds(-1);
        let placed = state.placements.iter();
        placed
            .map(|known| (known.level.to_string(), shop.versions.head().calendar.day(end(known.until)).to_string()))
            .collect()
    };
    let one = |(name, until): (&str, &str)| [(name.to_owned(), until.to_owned())];
    merge(&mut shop, "2026-02-11T09:00");
    assert_eq!(has(&shop), one(best));
    // Somebody else's word since then stays.
    let mut placed = shop.clone();
    place(&mut placed, 0, "2026-02-12T09:00", "silver", "2026-06-30");
    undo(&mut placed, "2026-02-13T09:00");
    assert_eq!(has(&placed), one(("silver", "2026-06-30")));
    let mut late = shop.clone();
    undo(&mut shop, "2026-02-13T09:00");
    assert_eq!(has(&shop), one(own));
    assert_eq!(has(shop.of_member(1)), one(theirs));
    undo(&mut late, "2026-11-01T09:00");
    assert_eq!(has(&late), if own.1 == "2026-12-31" { one(own).to_vec() } else { Vec::new() });
}

#[test]
fn p1_of_what_was_granted_since_the_longest_stays_and_nothing_that_is_over() {
    let mut shop = shop();
    let days =
        |shop: &Shop| -> Vec<String> { shop.state().grants.iter().map(|grant| grant.last_day.to_string()).collect() };
    shop.of_member(0).send("2026-03-03T09:00", "visit", "{}");
    shop.of_member(1).send("2026-03-05T09:00", "visit", "{}");
    merge(&mut shop, "2026-03-06T09:00");
    assert_eq!(days(&shop), ["2026-03-12"]);
    for (time, left) in [("2026-03-10T23:00", vec!["2026-03-10"]), ("2026-03-11T00:00", vec![])] {
        let mut undone = shop.clone();
        undo(&mut undone, time);
        assert_eq!(days(&undone), left, "{time}");
    }
    // As late as what came, or later, it is the survivor's own.
    let mut later = shop.clone();
    later.send("2026-03-07T09:00", "visit", "{}");
    undo(&mut later, "2026-03-08T09:00");
    assert_eq!(days(&later), ["2026-03-14"]);
    // What became known late was granted since, for a shorter time.
    shop.send("2026-03-04T09:00", "visit", "{}");
    undo(&mut shop, "2026-03-08T09:00");
    assert_eq!(days(&shop), ["2026-03-11"]);
}
