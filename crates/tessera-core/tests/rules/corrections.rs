//! R10-R12 and I4: exchanges, returns without an order, corrections, and what comes before its order.

use rstest::rstest;
use tessera_core::decide::{EffectKind, EventStatus, OutcomeStatus, Rejected};
use tessera_testkit::shop::{Shop, count_of, json::*, sum_of};

use crate::common::{POINTS, points_and, points_with};

#[test]
fn r10_the_level_does_not_flap_when_the_net_still_qualifies() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 1, 60_000), ("B", "x", 1, 45_000)]));
    assert_eq!(shop.level("club"), "gold");
    let decision = shop.send("2026-03-03T09:00", "exchange", &exchange("o1", &[("A", 1)], &sale("o2", 50_000)));
    assert_eq!(count_of(&decision, EffectKind::TierDown) + count_of(&decision, EffectKind::TierUp), 0);
    assert_eq!(shop.level("club"), "gold");
    assert_eq!(shop.available("point"), 105 - 60 + 100, "the new items earn at gold's rate");
    let decision = shop.send("2026-03-04T09:00", "exchange", &exchange("o2", &[("A", 1)], &sale("o3", 1_000)));
    assert_eq!(
        (shop.level("club").as_str(), count_of(&decision, EffectKind::TierDown)),
        ("blue", 1),
        "47 are not enough"
    );
}

#[test]
fn r10_an_exchange_makes_an_order_that_can_come_back() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 60_000));
    shop.send("2026-03-03T09:00", "exchange", &exchange("o1", &[("A", 1)], &lines("o2", &[("C", "x", 2, 80_000)])));
    assert_eq!(shop.available("point"), 80);
    shop.send("2026-03-04T09:00", "return", &back("o2", &[("C", 1)]));
    assert_eq!(shop.available("point"), 40);
    let refused = shop.refused("2026-03-04T10:00", "exchange", &exchange("o2", &[("C", 2)], &sale("o3", 1_000)));
    assert!(matches!(refused, Rejected::TooManyUnits { .. }), "{refused}");
    let refused = shop.refused("2026-03-04T10:00", "exchange", &exchange("o2", &[("C", 1)], &sale("o1", 1_000)));
    assert_eq!(refused, Rejected::OrderExists { order_id: "o1".into() });
}

#[test]
fn r10_an_exchange_owes_nothing_in_between() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 60_000));
    shop.adjust("2026-03-02T10:00", "point", -60).unwrap();
    let decision = shop.send("2026-03-03T09:00", "exchange", &exchange("o1", &[("A", 1)], &sale("o2", 60_000)));
    assert_eq!(count_of(&decision, EffectKind::Debt), 0);
    assert_eq!(shop.balance("point"), tessera_core::decide::Balance::default());
}

fn without_order(policy: &str) -> String {
    format!("unlinked_returns: {policy}\n{}", points_with(""))
}

#[test]
fn r11_match_finds_the_newest_unreturned_units() {
    let mut shop = Shop::new(&without_order("{ policy: match, within: P30D }"));
    shop.send("2026-01-02T09:00", "purchase", &lines("too-old", &[("A", "x", 1, 90_000)]));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 20_000)]));
    shop.send("2026-03-05T09:00", "purchase", &lines("o2", &[("A", "x", 2, 30_000), ("B", "x", 1, 5_000)]));
    shop.send("2026-03-06T09:00", "return", &back("o2", &[("A", 1)]));
    assert_eq!(shop.available("point"), 90 + 20 + 20);
    shop.send("2026-03-07T09:00", "return", &back_without_order(&[("A", 2, 25_000)]));
    assert_eq!(
        shop.available("point"),
        90 + 10 + 5,
        "the one that was left of o2, then one of o1, at what they earned"
    );
    assert_eq!(shop.progress("o1").unwrap().net.values().sum::<i64>(), 10);
    assert_eq!(shop.progress("o2").unwrap().net.values().sum::<i64>(), 5);
    let refused = shop.refused("2026-03-07T10:00", "return", &back_without_order(&[("A", 2, 1)]));
    assert_eq!(refused, Rejected::Unmatched { what: "A".into(), within: "P30D".into() });
    assert_eq!(shop.available("point"), 105, "nothing of a refused return stays");
}

#[test]
fn r11_two_lines_of_the_same_item_do_not_match_the_same_unit() {
    let mut shop = Shop::new(&without_order("match"));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 1, 20_000)]));
    shop.send("2026-03-03T09:00", "purchase", &lines("o2", &[("A", "x", 1, 30_000)]));
    shop.send("2026-03-04T09:00", "return", &back_without_order(&[("A", 1, 1), ("A", 1, 1)]));
    assert_eq!(shop.available("point"), 0);
}

#[test]
fn r11_match_never_finds_a_later_purchase() {
    let mut shop = Shop::new(&without_order("match"));
    shop.send("2026-03-05T09:00", "purchase", &lines("o1", &[("A", "x", 1, 20_000)]));
    let refused = shop.refused("2026-03-04T09:00", "return", &back_without_order(&[("A", 1, 1)]));
    assert!(matches!(refused, Rejected::Unmatched { .. }), "{refused}");
}

#[test]
fn r11_refuse_takes_no_return_without_its_order() {
    let mut shop = Shop::new(&without_order("refuse"));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 1, 20_000)]));
    assert_eq!(
        shop.refused("2026-03-04T09:00", "return", &back_without_order(&[("A", 1, 1)])),
        Rejected::ReturnWithoutOrder
    );
}

#[test]
fn r11_take_back_takes_what_the_items_would_earn_at_the_returns_own_time() {
    let rest = POINTS.replace("event.net / 1000", "event.net / 500");
    let mut shop = Shop::new(&format!("unlinked_returns: take_back{POINTS}"));
    shop.publish("2026-04-01T00:00", &format!("unlinked_returns: take_back{rest}"));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 1, 50_000)]));
    assert_eq!(shop.available("point"), 50);
    shop.send("2026-03-03T09:00", "return", &back_without_order(&[("B", 1, 10_000)]));
    assert_eq!(shop.available("point"), 40, "no matter who bought what");
    shop.send("2026-04-03T09:00", "return", &back_without_order(&[("B", 1, 10_000)]));
    assert_eq!(shop.available("point"), 20, "20 by the version in force then");
    shop.send("2026-04-03T10:00", "return", &back_without_order(&[("B", 1, 15_000)]));
    assert_eq!((shop.balance("point").available, shop.balance("point").debt), (0, 10), "R3 does not hold for it");
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), "-10".to_owned())], "and tiers are net of it");
}

#[rstest]
#[case::items(&back_without_order(&[("A", 3, 60_000)]), 0)]
#[case::an_amount_alone(r#"{"total": 15000}"#, 5)]
fn r11_what_matches_nothing_may_be_clamped_at_the_balance(#[case] data: &str, #[case] left: i64) {
    let mut shop = Shop::new(&without_order("{ policy: match, unmatched: clamp }"));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 1, 20_000)]));
    shop.send("2026-03-04T09:00", "return", data);
    assert_eq!((shop.balance("point").available, shop.balance("point").debt), (left, 0));
}

#[test]
fn r11_an_amount_alone_matches_nothing() {
    let mut shop = Shop::new(&without_order("match"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 20_000));
    let refused = shop.refused("2026-03-04T09:00", "return", r#"{"total": 15000}"#);
    assert!(matches!(refused, Rejected::Unmatched { .. }), "{refused}");
}

#[rstest]
#[case::down(30_000, 30)]
#[case::up(80_000, 80)]
#[case::the_same(50_000, 50)]
fn r12_a_correction_changes_the_same_order_by_the_difference(#[case] corrected: i64, #[case] points: i64) {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 50_000));
    shop.send("2026-04-02T09:00", "amend", &sale("o1", corrected));
    assert_eq!(shop.lots("point"), [("2027-03-31".to_owned(), points)], "dated by the order's own day");
    let state = shop.state();
    assert_eq!(
        (state.statistics.purchases, state.statistics.spend.to_string()),
        (1, corrected.to_string()),
        "never a second purchase"
    );
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), points.to_string())]);
    shop.send("2026-04-03T09:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 0);
    let refused = shop.refused("2026-04-04T09:00", "purchase", &sale("o1", 50_000));
    assert_eq!(refused, Rejected::OrderExists { order_id: "o1".into() });
}

#[test]
fn r12_there_and_back_leaves_no_trace() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-01-02T09:00", "purchase", &sale("old", 20_000));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 50_000));
    shop.adjust("2026-03-02T10:00", "point", -40).unwrap();
    let before = shop.clone();
    shop.send("2026-03-03T09:00", "amend", &sale("o1", 5_000));
    assert_eq!((shop.balance("point").available, shop.balance("point").debt), (0, 15));
    shop.send("2026-03-04T09:00", "amend", &sale("o1", 50_000));
    assert_eq!((shop.lots("point"), shop.balance("point")), (before.lots("point"), before.balance("point")));
}

#[test]
fn r12_units_that_came_back_stay_back() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 40_000), ("B", "x", 1, 10_000)]));
    shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.available("point"), 30);
    shop.send("2026-03-04T09:00", "amend", &lines("o1", &[("A", "x", 2, 60_000), ("B", "x", 1, 10_000)]));
    assert_eq!(shop.available("point"), 40);
    shop.send("2026-03-05T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.available("point"), 10);
}

#[test]
fn r12_a_correction_uses_limits_that_the_order_did_not_use_before() {
    let bonus = "
  bonus: { trigger: purchase, earning: bonus, limit: { per_member: { month: 1 } }, budget: { point: 100 }, rules: [ { when: event.net >= 50000, award: { currency: point, amount: 30 } } ] }";
    let mut shop = Shop::new(&points_and("", bonus));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send("2026-03-02T10:00", "amend", &sale("o1", 50_000));
    assert_eq!((shop.available("point"), shop.pools.values().sum::<i64>()), (80, 30));
    shop.send("2026-03-02T11:00", "purchase", &sale("o2", 50_000));
    assert_eq!(shop.available("point"), 130, "the bonus of this month is used");
    shop.send("2026-03-02T12:00", "amend", &sale("o1", 40_000));
    assert_eq!((shop.available("point"), shop.pools.values().sum::<i64>()), (90, 0));
    shop.send("2026-03-02T13:00", "purchase", &sale("o3", 50_000));
    assert_eq!(shop.available("point"), 170, "and free again");
}

#[test]
fn r12_a_correction_of_pending_points_keeps_them_pending() {
    let mut shop = Shop::new(&points_with(", pending: P14D"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    for (corrected, pending) in [(50_000, 50), (0, 0), (60_000, 60)] {
        shop.send("2026-03-03T09:00", "amend", &sale("o1", corrected));
        assert_eq!((shop.balance("point").available, shop.balance("point").pending), (0, pending));
    }
    assert_eq!(tessera_testkit::shop::balance(&shop.seen_at("2026-03-16T00:00"), "point").available, 60);
}

#[rstest]
#[case::part(&[("A", 1)], 40)]
#[case::all(&[("A", 2), ("B", 1)], 0)]
#[case::too_many(&[("A", 3)], 60)]
fn i4_a_return_before_its_purchase_waits_for_it(#[case] units: &[(&str, i64)], #[case] left: i64) {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-01T09:00", "purchase", &sale("other", 1_000));
    let parked = shop.send("2026-03-02T09:05", "return", &back("o1", units));
    assert_eq!(parked.outcome.status, OutcomeStatus::Parked);
    assert_eq!(shop.state().parked.len(), 1);
    let decision =
        shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 40_000), ("B", "x", 1, 20_000)]));
    assert_eq!((shop.available("point"), shop.state().parked.len()), (1 + left, 0));
    let settled = decision.events.last().unwrap();
    assert_eq!((settled.kind.as_str(), settled.status), ("return", EventStatus::Derived));
}

#[test]
fn i4_what_turns_out_impossible_leaves_nothing_half_done() {
    let stamps = "currencies: { point: { name: Point, expires: never }, star: { name: Star, expires: never, overdraft: refuse } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } }, { award: { currency: star, amount: event.net / 1000 } } ] }
  full: { trigger: balance, rules: [ { when: member.balance.star >= 10, spend: { currency: star, amount: 10 } } ] }";
    let mut shop = Shop::new(stamps);
    shop.send("2026-03-02T08:00", "return", &back_all("o1"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(
        (shop.available("point"), shop.available("star")),
        (10, 0),
        "the stars are spent, so the return is impossible"
    );
    assert_eq!(shop.progress("o1"), None);
}

#[test]
fn i4_a_correction_an_exchange_and_a_release_wait_too() {
    let pending = format!(
        "{}events: {{ delivered: {{ data: {{ order_id: text }} }} }}",
        points_and(
            ", pending: { until: delivered }",
            "  thanks: { trigger: delivered, rules: [ { award: { currency: point, amount: 5 } } ] }\n"
        )
    );
    let mut shop = Shop::new(&pending);
    shop.send("2026-03-02T09:00", "amend", &sale("o1", 30_000));
    shop.send("2026-03-02T09:01", "exchange", &exchange("o1", &[("A", 1)], &sale("o2", 70_000)));
    shop.send("2026-03-02T09:02", "delivered", r#"{"order_id": "o2"}"#);
    shop.send("2026-03-02T09:03", "return", &back_all("o2"));
    assert_eq!(shop.state().parked.len(), 4);
    shop.send("2026-03-02T10:00", "purchase", &sale("o1", 50_000));
    let state = shop.state();
    assert_eq!(state.parked.len(), 0);
    assert_eq!(state.statistics.purchases, 2, "the exchange made its order");
    assert_eq!(state.counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1], "and the release counted");
    assert_eq!(
        (shop.balance("point").available, shop.balance("point").pending),
        (5, 0),
        "70 came, were released and went; 5 belong to no order"
    );
    assert_eq!(shop.progress("o1").unwrap().net.values().sum::<i64>(), 0);
    assert_eq!(shop.progress("o2").unwrap().net.values().sum::<i64>(), 0);
}

#[rstest]
#[case::bought_meanwhile(true, 50)]
#[case::wanted_by_two_exchanges(false, 70)]
fn i4_an_exchange_that_waited_makes_no_order_that_is_there(#[case] bought: bool, #[case] left: i64) {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o0", 30_000));
    shop.send("2026-03-02T09:01", "exchange", &exchange("o1", &[("A", 1)], &sale("o2", 40_000)));
    if bought {
        shop.send("2026-03-02T09:02", "purchase", &sale("o2", 0));
    } else {
        shop.send("2026-03-02T09:02", "exchange", &exchange("o2", &[("A", 1)], &sale("o2", 90_000)));
        shop.send("2026-03-02T09:03", "exchange", &exchange("o1", &[("A", 1)], &sale("o2", 90_000)));
    }
    shop.send("2026-03-02T10:00", "purchase", &sale("o1", 20_000));
    assert_eq!(shop.available("point"), left, "the first that can be done is done, the others change nothing");
    assert_eq!((shop.state().parked.len(), shop.state().statistics.purchases), (0, 3));
    let taken = exchange("o0", &[("A", 1)], &sale("o2", 1_000));
    assert_eq!(shop.refused("2026-03-02T11:00", "exchange", &taken), Rejected::OrderExists { order_id: "o2".into() });
    let waits = exchange("o9", &[("A", 1)], &sale("o2", 1_000));
    assert!(matches!(shop.refused("2026-03-02T11:00", "exchange", &waits), Rejected::OrderExists { .. }));
}

#[test]
fn i4_at_most_so_many_events_wait() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-01T09:00", "purchase", &sale("o0", 1_000));
    for number in 1..=50 {
        shop.send("2026-03-02T09:00", "return", &back_all(&format!("o{number}")));
    }
    assert_eq!(shop.refused("2026-03-02T09:00", "return", &back_all("o51")), Rejected::TooManyParked { most: 50 });
}

#[test]
fn r1_effects_say_what_was_taken_and_for_which_order() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-01T09:00", "purchase", &lines("o1", &[("A", "x", 2, 20_000)]));
    let decision = shop.send("2026-03-02T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(sum_of(&decision, EffectKind::TakenBack, "point"), 10);
    assert_eq!(decision.outcome.effects[0].order_id.as_deref(), Some("o1"));
}

#[test]
fn c5_a_return_never_draws_on_a_budget() {
    let odd = "
  small: { trigger: purchase, earning: bonus, budget: { point: 30 }, rules: [ { when: event.net < 40000, award: { currency: point, amount: 20 } } ] }";
    let mut shop = Shop::new(&points_and("", odd));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 60_000)]));
    shop.send("2026-03-02T10:00", "purchase", &sale("o2", 1_000));
    assert_eq!((shop.available("point"), shop.pools.values().sum::<i64>()), (60 + 1 + 20, 20));
    shop.send("2026-03-02T11:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(
        (shop.available("point"), shop.pools.values().sum::<i64>()),
        (50 + 1 + 20, 20),
        "worth 50 now, of 60; the budget is others'"
    );
}

#[test]
fn c5_a_correction_gets_what_is_left_of_limits_and_budgets() {
    let bonus = "
  bonus: { trigger: purchase, earning: bonus, budget: { point: 50 }, limit: { per_member: { month: { points: 45 } } }, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }";
    let mut shop = Shop::new(&points_and("", bonus));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 20_000)]));
    shop.of_member(1).send("2026-03-02T10:00", "purchase", &sale("o2", 25_000));
    shop.of_member(0).send("2026-03-02T11:00", "amend", &lines("o1", &[("A", "x", 2, 60_000)]));
    assert_eq!((shop.available("point"), shop.pools.values().sum::<i64>()), (60 + 25, 50), "5 more of the budget");
    shop.send("2026-03-02T12:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(
        (shop.available("point"), shop.pools.values().sum::<i64>()),
        (30 + 25, 50),
        "half of it would still use up all there was"
    );
    shop.send("2026-03-02T13:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!((shop.available("point"), shop.pools.values().sum::<i64>()), (0, 25));
}

#[test]
fn r12_of_a_line_that_was_below_zero_for_a_while_nothing_came_back() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 1, 10_000)]));
    shop.send("2026-03-02T10:00", "amend", &lines("o1", &[("A", "x", -3, 10_000)]));
    shop.send("2026-03-02T11:00", "amend", &lines("o1", &[("A", "x", 1, 10_000)]));
    assert_eq!(shop.available("point"), 10);
    assert!(shop.progress("o1").unwrap().returned.is_nothing());
}
