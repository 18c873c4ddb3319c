//! L6: points that wait.

use rstest::rstest;
use tessera_core::decide::EffectKind;
use tessera_testkit::shop::{Shop, balance, json::*, lots, sum_of};

use crate::common::points_with;

#[test]
fn l6_pending_matures_at_its_time_and_is_not_spendable_before() {
    let mut shop = Shop::new(&points_with(", pending: P14D"));
    let decision = shop.send("2026-03-02T15:00", "purchase", &sale("o1", 40_000));
    assert_eq!(sum_of(&decision, EffectKind::Pending, "point"), 40);
    assert_eq!(decision.outcome.effects[1].matures_at.unwrap().to_string(), "2026-03-15T17:00:00Z");
    let seen = |time: &str| {
        let balance = balance(&shop.seen_at(time), "point");
        (balance.available, balance.pending)
    };
    assert_eq!(seen("2026-03-15T23:59"), (0, 40));
    assert_eq!(seen("2026-03-16T00:00"), (40, 0));
    let decision = shop.adjust("2026-03-03T09:00", "point", -10).unwrap();
    assert_eq!(sum_of(&decision, EffectKind::Debt, "point"), 10, "nothing can be spent yet");
    let decision = shop.wake("2026-03-16T00:00");
    assert_eq!((shop.balance("point").available, shop.balance("point").debt), (30, 0), "what is owed is repaid first");
    assert_eq!(sum_of(&decision, EffectKind::Matured, "point"), 40);
}

fn delivered(settings: &str) -> Shop {
    Shop::new(&format!("{}events: {{ delivered: {{ data: {{ order_id: text }} }} }}", points_with(settings)))
}

#[test]
fn l6_an_event_that_names_the_order_releases_its_points() {
    let mut shop = delivered(", pending: { until: delivered }");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 10_000));
    shop.send("2026-03-04T09:00", "delivered", r#"{"order_id": "o1"}"#);
    assert_eq!((shop.balance("point").available, shop.balance("point").pending), (40, 10));
    assert_eq!(balance(&shop.seen_at("2026-12-01T00:00"), "point").pending, 10, "the other waits for its own");
}

#[test]
fn l6_the_longest_wait_ends_what_the_event_never_did() {
    let mut shop = delivered(", pending: { until: delivered, for: P30D }");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send("2026-03-02T10:00", "purchase", &sale("o2", 10_000));
    shop.send("2026-03-04T09:00", "delivered", r#"{"order_id": "o2"}"#);
    assert_eq!(shop.available("point"), 10);
    assert_eq!(balance(&shop.seen_at("2026-04-01T00:00"), "point").available, 50);
}

#[test]
fn l6_what_no_order_earned_does_not_wait_for_an_orders_event() {
    let mut shop = Shop::new(&format!(
        "{}
  welcome: {{ trigger: enrol, rules: [ {{ award: {{ currency: point, amount: 7 }} }} ] }}
events: {{ delivered: {{ data: {{ order_id: text }} }} }}",
        points_with(", pending: { until: delivered }").trim_end()
    ));
    shop.send("2026-03-02T09:00", "enrol", "{}");
    assert_eq!((shop.balance("point").available, shop.balance("point").pending), (7, 0));
}

#[rstest]
#[case::earn("earn", "2027-03-31")]
#[case::maturity("maturity", "2027-04-30")]
fn l6_expiry_counts_from_earning_or_from_maturity(#[case] from: &str, #[case] last: &str) {
    let mut shop = Shop::new(&points_with(&format!(", pending: {{ for: P14D, expiry_counts_from: {from} }}")));
    shop.send("2026-03-25T09:00", "purchase", &sale("o1", 40_000));
    assert_eq!(lots(&shop.seen_at("2026-05-01T00:00"), "point"), [(last.to_owned(), 40)]);
}

#[test]
fn l6_maturity_is_dated_when_it_fell_due_however_late_it_is_noticed() {
    let mut shop =
        Shop::new(&points_with(", pending: { for: P14D, expiry_counts_from: maturity }, expires: { after: P1M }"));
    shop.send("2026-03-10T09:00", "purchase", &sale("now", 1_000));
    shop.send("2026-03-01T09:00", "purchase", &sale("late", 40_000));
    shop.send("2026-05-20T09:00", "purchase", &sale("next", 1_000));
    assert_eq!(shop.balance("point").available, 0, "matured on 15 and 24 March, dead on 16 and 25 April");
    assert_eq!(shop.state().purse("point").unwrap().totals.expired.get(), 41);
}

#[rstest]
#[case::no("", "blue", "0")]
#[case::yes(", counts_to_tiers: true", "gold", "100")]
fn l6_pending_counts_to_tiers_as_set(#[case] setting: &str, #[case] before: &str, #[case] measured: &str) {
    let mut shop = Shop::new(&format!(
        "
currencies: {{ point: {{ name: Point, expires: never, pending: {{ for: P14D{setting} }} }} }}
tiers: {{ club: {{ measure: {{ earned: point }}, levels: [ {{ id: blue, at: 0 }}, {{ id: gold, at: 100 }} ] }} }}
campaigns: {{ base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }} }}
"
    ));
    shop.send("2026-12-25T09:00", "purchase", &lines("o1", &[("A", "x", 2, 100_000)]));
    let sum = shop.measured("club").first().map_or("0".to_owned(), |(_, sum)| sum.clone());
    assert_eq!((shop.level("club").as_str(), sum.as_str()), (before, measured));
    shop.wake("2027-01-10T00:00");
    assert_eq!(shop.level("club"), "gold");
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), "100".to_owned())], "in the year of the purchase");
    shop.send("2027-01-11T00:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), "50".to_owned())]);
    assert_eq!(shop.level("club"), "blue");
}

#[rstest]
#[case::no("")]
#[case::yes(", counts_to_tiers: true")]
fn l6_what_is_taken_back_before_maturity_never_counts(#[case] setting: &str) {
    let mut shop = Shop::new(&format!(
        "
currencies: {{ point: {{ name: Point, expires: never, pending: {{ for: P14D{setting} }} }} }}
tiers: {{ club: {{ measure: {{ earned: point }}, levels: [ {{ id: blue, at: 0 }}, {{ id: gold, at: 100 }} ] }} }}
campaigns: {{ base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }} }}
"
    ));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 3, 150_000)]));
    shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 2)]));
    shop.wake("2026-03-20T00:00");
    assert_eq!(
        (shop.available("point"), shop.measured("club")),
        (50, vec![("2026-01-01".to_owned(), "50".to_owned())])
    );
    shop.send("2026-03-21T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!((shop.available("point"), shop.measured("club")), (0, vec![]));
}

#[test]
fn l6_points_taken_back_before_maturity_are_never_usable() {
    let mut shop = Shop::new(&points_with(", pending: P14D"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send("2026-03-03T09:00", "return", &back_all("o1"));
    let later = shop.seen_at("2026-06-01T00:00");
    assert_eq!(balance(&later, "point"), tessera_core::decide::Balance::default());
    assert!(later.purse("point").unwrap().waits.is_empty());
    assert_eq!(later.wake_at, None);
}

#[test]
fn l6_maturing_may_raise_a_level_and_start_what_that_causes() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: never, pending: P14D }, star: { name: Star, expires: never } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 100 } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  gold: { trigger: tier, rules: [ { when: event.level == \"gold\", award: { currency: star, amount: 3 } } ] }
",
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 120_000));
    assert_eq!(shop.available("star"), 0);
    shop.wake("2026-03-17T00:00");
    assert_eq!((shop.level("club").as_str(), shop.available("star")), ("gold", 3));
}

#[test]
fn l6_what_an_event_causes_in_the_same_currency_waits_with_it() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: never, pending: P14D } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 100 } ] }, visits: { measure: { events: purchase }, levels: [ { id: new, at: 0 }, { id: known, at: 1 } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  known: { trigger: tier, rules: [ { when: event.level == \"known\", award: { currency: point, amount: 30 } } ] }
",
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 120_000));
    assert_eq!(shop.balance("point").pending, 150);
    shop.wake("2026-03-17T00:00");
    assert_eq!((shop.available("point"), shop.level("club").as_str()), (150, "gold"));
    assert_eq!(
        shop.measured("club"),
        [("2026-01-01".to_owned(), "120".to_owned())],
        "the base points count, the gift does not"
    );
}
