//! R1-R6, R9: what a return takes back.

use rstest::rstest;
use tessera_core::decide::{EffectKind, Rejected};
use tessera_testkit::shop::{Shop, count_of, json::*, sum_of};

use crate::common::{POINTS, points_and, points_with};

/// Base with a threshold bonus, an extra on a category, a daily cap, a program budget and a tier.
const EVERYTHING: &str = "
currencies:
  point: { name: Point, expires: { after: P12M, round: month } }
  stamp: { name: Stamp, expires: never }
tiers:
  club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 60, rate: { point: 1.5 } } ] }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  stamps: { trigger: purchase, rules: [ { each: event.items, when: item.category == \"coffee\", award: { currency: stamp, amount: item.quantity } } ] }
  double-coffee:
    trigger: purchase
    earning: bonus
    rules: [ { each: event.items, when: item.category == \"coffee\", extra: { currency: point, times: 2 }, limit: { per_member: { day: 25 } } } ]
  big-basket:
    trigger: purchase
    earning: bonus
    budget: { point: 100 }
    rules: [ { when: event.net >= 60000, award: { currency: point, amount: 30 } } ]
limits: { per_member: { point: { week: 95 } } }
";

/// Three coffees, two cakes and a mug: 77,000.
fn basket(order_id: &str) -> String {
    lines(order_id, &[("COF", "coffee", 3, 30_000), ("CAKE", "cake", 2, 17_000), ("MUG", "goods", 1, 30_000)])
}

/// Returns one after the other, written `COF 1, CAKE 1; COF 1`.
fn steps(text: &str) -> Vec<Vec<(&str, i64)>> {
    text.split(';')
        .filter(|step| !step.is_empty())
        .map(|step| {
            step.split(',')
                .map(|unit| unit.trim().split_once(' ').map(|(sku, count)| (sku, count.parse().unwrap())).unwrap())
                .collect()
        })
        .collect()
}

#[rstest]
#[case::one_unit_at_a_time("COF 1; COF 1; CAKE 1")]
#[case::the_cake_first("CAKE 1; COF 2")]
#[case::the_coffees_first("COF 2; CAKE 1")]
#[case::mixed("COF 1, CAKE 1; COF 1")]
fn r1_any_split_of_a_return_equals_one_return(#[case] parts: &str) {
    let bought = || {
        let mut shop = Shop::new(EVERYTHING);
        shop.send("2026-03-02T09:00", "purchase", &sale("before", 20_000));
        shop.send("2026-03-02T10:00", "purchase", &basket("o1"));
        shop
    };
    let mut once = bought();
    once.send("2026-03-03T10:00", "return", &back("o1", &[("COF", 2), ("CAKE", 1)]));
    let mut split = bought();
    for step in steps(parts) {
        split.send("2026-03-03T10:00", "return", &back("o1", &step));
    }
    assert_same_books(&once, &split);
    let (one, many) = (once.progress("o1").unwrap(), split.progress("o1").unwrap());
    assert_eq!((one.net, one.returned, one.usage), (many.net, many.returned, many.usage));
}

/// Balances, lots, tier measures, limits and pools, whatever way they came about.
pub fn assert_same_books(left: &Shop, right: &Shop) {
    let books = |shop: &Shop| {
        let state = shop.state();
        let purses: Vec<_> = state
            .purses
            .iter()
            .map(|purse| (purse.currency.clone(), purse.lots.clone(), purse.waits.clone(), purse.debt))
            .collect();
        let counters: std::collections::BTreeSet<_> =
            state.counters.iter().map(|counter| (counter.limit.clone(), counter.from, counter.used)).collect();
        let pools: Vec<_> =
            shop.pools.iter().filter(|(_, used)| **used != 0).map(|(pool, used)| (pool.clone(), *used)).collect();
        (purses, state.ladders, counters, state.fractions, pools)
    };
    assert_eq!(books(left), books(right));
}

#[test]
fn r1_the_level_and_facts_of_the_purchase_decide_not_todays() {
    let offer = "  hello: { trigger: purchase, audience: member.purchases == 0, rules: [ { award: { currency: point, amount: event.net / 2000 } } ] }";
    let mut shop = Shop::new(&points_and("", offer));
    shop.send("2026-03-01T10:00", "purchase", &lines("first", &[("A", "x", 2, 40_000)]));
    assert_eq!(shop.available("point"), 60, "40 base and 20 for the first purchase");
    shop.send("2026-03-02T10:00", "purchase", &sale("second", 10_000));
    shop.send("2026-03-03T10:00", "return", &back("first", &[("A", 1)]));
    assert_eq!(
        shop.available("point"),
        40,
        "the half of 60 is taken back although this is no longer the first purchase"
    );

    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-01T10:00", "purchase", &sale("blue", 100_000));
    shop.send("2026-03-02T10:00", "purchase", &lines("gold", &[("A", "x", 2, 20_000)]));
    assert_eq!((shop.available("point"), shop.level("club")), (140, "gold".to_owned()));
    shop.send("2026-03-03T10:00", "return", &back_all("blue"));
    assert_eq!(
        (shop.available("point"), shop.level("club")),
        (40, "blue".to_owned()),
        "100 were earned at the rate of blue"
    );
    shop.send("2026-03-04T10:00", "return", &back("gold", &[("A", 1)]));
    assert_eq!(shop.available("point"), 20, "and 40 at that of gold, although the level is gone");
}

#[test]
fn r1_returns_of_one_order_never_decide_another_again() {
    let cap = "limits: { per_member: { point: { day: 50 } } }";
    let mut shop = Shop::new(&points_and("", cap));
    shop.send("2026-03-01T10:00", "purchase", &sale("full", 40_000));
    shop.send("2026-03-01T11:00", "purchase", &sale("cut", 40_000));
    assert_eq!(shop.available("point"), 50, "the second order got the 10 that were left");
    shop.send("2026-03-01T12:00", "return", &back_all("full"));
    assert_eq!(shop.available("point"), 10, "the second order is not topped up");
    shop.send("2026-03-01T13:00", "purchase", &sale("later", 60_000));
    assert_eq!(shop.available("point"), 50, "the room itself is free again on the same day");
}

#[rstest]
#[case::at_once("")]
#[case::item_by_item("COF 1; MUG 1; COF 2, CAKE 1; CAKE 1")]
fn r2_a_full_return_leaves_nothing_behind(#[case] parts: &str) {
    let mut shop = Shop::new(EVERYTHING);
    shop.send("2026-03-02T09:00", "purchase", &sale("before", 20_000));
    let untouched = shop.clone();
    shop.send("2026-03-02T10:00", "purchase", &basket("o1"));
    assert_eq!((shop.available("point"), shop.available("stamp")), (95, 3), "cut to 95 a week");
    assert_eq!(shop.pools.values().sum::<i64>(), 0, "nothing is left for the bonus, so no budget is used");
    assert_eq!(shop.level("club"), "gold");
    if parts.is_empty() {
        shop.send("2026-03-02T11:00", "return", &back_all("o1"));
    }
    for step in steps(parts) {
        shop.send("2026-03-02T11:00", "return", &back("o1", &step));
    }
    assert_same_books_but_the_level_was_touched(&untouched, &shop);
    assert_eq!(shop.level("club"), "blue");
}

fn assert_same_books_but_the_level_was_touched(left: &Shop, right: &Shop) {
    let (left, right) = (left.state(), right.state());
    assert_eq!(
        left.purses
            .iter()
            .map(|purse| (&purse.currency, &purse.lots))
            .filter(|(_, lots)| !lots.is_empty())
            .collect::<Vec<_>>(),
        right
            .purses
            .iter()
            .map(|purse| (&purse.currency, &purse.lots))
            .filter(|(_, lots)| !lots.is_empty())
            .collect::<Vec<_>>()
    );
    assert_eq!(left.counters, right.counters);
    let measures = |state: &tessera_core::member::MemberState| {
        state.ladders.iter().map(|ladder| ladder.measures.clone()).collect::<Vec<_>>()
    };
    assert_eq!(measures(&left), measures(&right));
}

#[test]
fn r2_budgets_counters_and_counted_purchases_are_as_if_it_had_not_been() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: never } }
tiers: { visits: { measure: { events: purchase }, levels: [ { id: new, at: 0 }, { id: regular, at: 2 } ] } }
campaigns:
  gift:
    trigger: purchase
    earning: bonus
    budget: { point: 50 }
    limit: { per_member: { month: 1 } }
    rules: [ { award: { currency: point, amount: 40 } } ]
",
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 1_000));
    assert_eq!((shop.available("point"), shop.level("visits")), (40, "new".to_owned()));
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 1_000));
    assert_eq!((shop.available("point"), shop.level("visits")), (40, "regular".to_owned()), "once a month");
    shop.send("2026-03-04T09:00", "return", &back_all("o1"));
    assert_eq!((shop.available("point"), shop.level("visits")), (0, "new".to_owned()));
    assert_eq!(shop.pools.values().sum::<i64>(), 0, "the budget has its 40 again");
    shop.send("2026-03-05T09:00", "purchase", &sale("o3", 1_000));
    assert_eq!(shop.available("point"), 40, "and the member their turn");
}

#[rstest]
#[case::reverse("", 0)]
#[case::keep(", on_return: keep", 3)]
fn r2_a_currency_says_whether_a_return_takes_it_back(#[case] setting: &str, #[case] kept: i64) {
    let mut shop = Shop::new(&format!(
        "
currencies: {{ stamp: {{ name: Stamp, expires: never{setting} }} }}
campaigns: {{ stamps: {{ trigger: purchase, rules: [ {{ each: event.items, award: {{ currency: stamp, amount: item.quantity }} }} ] }} }}
"
    ));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 3, 30_000)]));
    shop.send("2026-03-02T09:10", "return", &back("o1", &[("A", 1)]));
    shop.send("2026-03-02T09:20", "return", &back("o1", &[("A", 2)]));
    assert_eq!(shop.available("stamp"), kept);
}

#[test]
fn r3_more_units_than_were_bought_are_refused_with_the_numbers() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 3, 30_000), ("B", "x", 1, 5_000)]));
    shop.send("2026-03-02T10:00", "return", &back("o1", &[("A", 2)]));
    let refused = shop.refused("2026-03-02T11:00", "return", &back("o1", &[("A", 2)]));
    let whole = tessera_core::quantity::Amount::whole;
    assert_eq!(
        refused,
        Rejected::TooManyUnits { line: "A".into(), wanted: whole(2), bought: whole(3), returned: whole(2) }
    );
    assert_eq!(refused.to_string(), "2 of line A cannot come back: 3 were bought and 2 have come back already");
    let refused = shop.refused("2026-03-02T11:00", "return", &back("o1", &[("C", 1)]));
    assert!(matches!(refused, Rejected::NoSuchLine { .. }), "{refused}");
    shop.send("2026-03-02T12:00", "return", &back_all("o1"));
    let refused = shop.refused("2026-03-02T13:00", "return", &back_all("o1"));
    assert_eq!(refused, Rejected::NothingLeft { order_id: "o1".into() });
}

#[test]
fn r3_an_order_gives_back_no_more_than_it_earned() {
    // The smaller basket would have earned more than the whole did.
    let small = "  small: { trigger: purchase, earning: bonus, rules: [ { when: event.net < 20000, award: { currency: point, amount: 500 } } ] }";
    let mut shop = Shop::new(&points_and("", small));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 1, 15_000), ("B", "x", 1, 15_000)]));
    assert_eq!(shop.available("point"), 30);
    shop.send("2026-03-02T10:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.available("point"), 30, "a return never earns: what is left is worth at most what the whole was");
    shop.send("2026-03-02T11:00", "return", &back("o1", &[("B", 1)]));
    assert_eq!(shop.balance("point"), tessera_core::decide::Balance::default());
}

#[test]
fn r3_another_members_order_is_refused() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 30_000));
    shop.of_member(1).send("2026-03-02T09:00", "purchase", &sale("o2", 30_000));
    let refused = shop.refused("2026-03-02T10:00", "return", &back_all("o1"));
    assert_eq!(refused, Rejected::OrderOfAnotherMember { order_id: "o1".into() });
}

#[rstest]
#[case::the_rule_gives_more(
    "  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 100 } } ] }"
)]
#[case::the_rule_is_gone("  other: { trigger: purchase, rules: [ { award: { currency: point, amount: 1 } } ] }")]
#[case::the_rule_is_off(
    "  base: { trigger: purchase, active: false, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }"
)]
fn r4_a_rule_changed_after_the_purchase_changes_nothing(#[case] campaign: &str) {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 30_000)]));
    let currencies = "currencies: { point: { name: Point, expires: { after: P12M, round: month } } }";
    shop.publish("2026-03-03T00:00", &format!("{currencies}\ncampaigns:\n{campaign}\n"));
    shop.send("2026-03-04T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.available("point"), 15);
    shop.send("2026-03-04T10:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.balance("point"), tessera_core::decide::Balance::default());
}

#[test]
fn r5_pending_goes_first_then_the_orders_own_lot_then_others() {
    let mut shop = Shop::new(&points_with(", pending: P3D"));
    shop.send("2026-01-10T09:00", "purchase", &sale("old", 50_000));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 40_000)]));
    assert_eq!((shop.balance("point").available, shop.balance("point").pending), (50, 40));
    shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!((shop.balance("point").available, shop.balance("point").pending), (50, 20), "pending is cancelled");
    shop.send("2026-03-06T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.lots("point"), [("2027-01-31".to_owned(), 50)], "the own lot, though the older would expire first");
}

#[test]
fn r5_when_the_own_lot_is_spent_others_pay_in_spending_order() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send("2026-04-02T09:00", "purchase", &sale("o2", 10_000));
    shop.send("2026-05-02T09:00", "purchase", &sale("o3", 10_000));
    shop.adjust("2026-05-03T09:00", "point", -35).unwrap();
    assert_eq!(shop.lots("point").iter().map(|(_, left)| *left).collect::<Vec<_>>(), [5, 10, 10]);
    shop.send("2026-05-04T09:00", "return", &back_all("o1"));
    assert_eq!(shop.balance("point").debt, 15, "5 of its own, 20 of the others; 15 are owed");
}

#[rstest]
#[case::by_time(", pending: { for: P3D, expiry_counts_from: maturity }", false)]
#[case::by_event(", pending: { until: delivered, expiry_counts_from: maturity }", true)]
fn r5_buying_and_returning_does_not_make_old_points_young(#[case] setting: &str, #[case] delivered: bool) {
    let mut shop =
        Shop::new(&format!("{}\nevents: {{ delivered: {{ data: {{ order_id: text }} }} }}", points_with(setting)));
    shop.send("2026-01-10T09:00", "purchase", &sale("old", 50_000));
    shop.send("2026-03-30T09:00", "purchase", &lines("o1", &[("A", "x", 4, 40_000)]));
    if delivered {
        shop.send("2026-03-31T09:00", "delivered", r#"{"order_id": "old"}"#);
        shop.send("2026-04-02T09:00", "delivered", r#"{"order_id": "o1"}"#);
    }
    shop.send("2026-04-03T09:00", "return", &back("o1", &[("A", 1)]));
    let old = if delivered { "2027-03-31" } else { "2027-01-31" };
    assert_eq!(shop.lots("point"), [(old.to_owned(), 50), ("2027-04-30".to_owned(), 30)]);
    shop.send("2026-04-04T09:00", "return", &back("o1", &[("A", 3)]));
    assert_eq!(shop.lots("point"), [(old.to_owned(), 50)]);
}

#[rstest]
#[case::debt("debt", Some((0, 30, EffectKind::Debt)))]
#[case::clamp("clamp", Some((0, 0, EffectKind::Forgiven)))]
#[case::refuse("refuse", None)]
fn r6_points_already_spent_become_debt_or_are_forgiven_or_refused(
    #[case] policy: &str,
    #[case] expected: Option<(i64, i64, EffectKind)>,
) {
    let mut shop = Shop::new(&points_with(&format!(", overdraft: {policy}")));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.adjust("2026-03-02T10:00", "point", -30).unwrap();
    match expected {
        Some((available, debt, kind)) => {
            let decision = shop.send("2026-03-02T11:00", "return", &back_all("o1"));
            assert_eq!((shop.balance("point").available, shop.balance("point").debt), (available, debt));
            assert_eq!(sum_of(&decision, kind, "point"), 30);
        }
        None => {
            let refused = shop.refused("2026-03-02T11:00", "return", &back_all("o1"));
            let point = tessera_testkit::shop::id("point");
            assert_eq!(refused, Rejected::NotEnoughToTakeBack { currency: point, wanted: 40, available: 10 });
            assert_eq!(shop.available("point"), 10, "the member stays as they were");
        }
    }
}

#[test]
fn r6_what_is_owed_is_repaid_first_and_never_expires() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.adjust("2026-03-02T10:00", "point", -40).unwrap();
    shop.send("2026-03-02T11:00", "return", &back_all("o1"));
    assert_eq!(shop.balance("point").debt, 40);
    let much_later = shop.seen_at("2036-01-01T00:00");
    assert_eq!(tessera_testkit::shop::balance(&much_later, "point").debt, 40);
    let decision = shop.send("2026-04-02T09:00", "purchase", &sale("o2", 15_000));
    assert_eq!((shop.balance("point").debt, shop.available("point")), (25, 0));
    assert_eq!((count_of(&decision, EffectKind::Accrual), sum_of(&decision, EffectKind::DebtRepaid, "point")), (0, 15));
    shop.send("2026-04-03T09:00", "purchase", &sale("o3", 30_000));
    assert_eq!((shop.balance("point").debt, shop.available("point")), (0, 5));
    shop.send("2026-04-04T09:00", "return", &back_all("o2"));
    assert_eq!((shop.balance("point").debt, shop.available("point")), (10, 0), "what had repaid debt is owed again");
}

#[test]
fn r9_a_basket_that_falls_under_a_threshold_loses_the_bonus() {
    let bonus = "  bonus: { trigger: purchase, earning: bonus, rules: [ { when: event.net >= 50000, award: { currency: point, amount: 100 } } ] }";
    let mut shop = Shop::new(&points_and("", bonus));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 1, 45_000), ("B", "x", 2, 10_000)]));
    assert_eq!(shop.available("point"), 155);
    shop.send("2026-03-02T10:00", "return", &back("o1", &[("B", 1)]));
    assert_eq!(shop.available("point"), 150, "50,000 are still enough");
    shop.send("2026-03-02T11:00", "return", &back("o1", &[("B", 1)]));
    assert_eq!(shop.available("point"), 45);
}

#[test]
fn r5_all_that_an_order_earned_in_one_lot_is_its_own() {
    let bonus = "  bonus: { trigger: purchase, earning: bonus, rules: [ { when: event.net >= 50000, award: { currency: point, amount: 30 } } ] }";
    let mut shop = Shop::new(&points_and("", bonus));
    shop.send("2026-01-10T09:00", "purchase", &sale("old", 40_000));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 50_000));
    assert_eq!(shop.lots("point"), [("2027-01-31".to_owned(), 40), ("2027-03-31".to_owned(), 80)]);
    shop.send("2026-03-03T09:00", "return", &back_all("o1"));
    assert_eq!(
        shop.lots("point"),
        [("2027-01-31".to_owned(), 40)],
        "base and bonus both come out of the lot they went to"
    );
}

/// A rule that pays more for a smaller basket, so that a further return earns again.
#[rstest]
#[case::nothing_spent(0)]
#[case::half_spent(-40)]
#[case::all_spent(-110)]
fn r1_a_return_that_is_undone_by_the_next_leaves_no_trace(#[case] spent: i64) {
    let odd = "  odd: { trigger: purchase, earning: bonus, rules: [ { when: event.net != 30000, award: { currency: point, amount: 50 } } ] }";
    for policy in ["", ", overdraft: clamp", ", pending: P20D"] {
        let bought = || {
            let mut shop = Shop::new(&points_and(policy, odd));
            shop.send("2026-01-10T09:00", "purchase", &sale("old", 30_000));
            shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 4, 40_000)]));
            if spent != 0 {
                shop.adjust("2026-03-02T10:00", "point", spent).unwrap();
            }
            shop
        };
        let (mut once, mut split) = (bought(), bought());
        once.send("2026-03-03T09:00", "return", &back("o1", &[("A", 2)]));
        split.send("2026-03-03T09:00", "return", &back("o1", &[("A", 1)]));
        split.send("2026-03-03T09:00", "return", &back("o1", &[("A", 1)]));
        assert_same_books(&once, &split);
    }
}

/// Two orders a month apart, and a later one; the first one's points die on 30 April.
fn with_a_dead_lot(policy: &str, spent: i64) -> Shop {
    let mut shop = Shop::new(&points_with(&format!(", expires: {{ after: P1M, round: month }}{policy}")));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 4, 40_000)]));
    if spent != 0 {
        shop.adjust("2026-03-03T09:00", "point", -spent).unwrap();
    }
    shop.send("2026-04-20T09:00", "purchase", &sale("o2", 25_000));
    shop
}

#[rstest]
#[case::all_of_it(0, 40, 25, 0)]
#[case::what_was_not_spent(10, 30, 15, 0)]
#[case::nothing_because_all_was_spent(40, 0, 0, 15)]
fn r5_own_points_that_expired_are_not_taken_a_second_time(
    #[case] spent: i64,
    #[case] expired: i64,
    #[case] left: i64,
    #[case] debt: i64,
) {
    let mut shop = with_a_dead_lot("", spent);
    let decision = shop.send("2026-05-02T09:00", "return", &back_all("o1"));
    assert_eq!(sum_of(&decision, EffectKind::AlreadyExpired, "point"), expired);
    assert_eq!(sum_of(&decision, EffectKind::TakenBack, "point"), 40 - expired, "what was spent is taken from others");
    assert_eq!((shop.available("point"), shop.balance("point").debt), (left, debt));
    assert_eq!(shop.progress("o1").unwrap().net.values().sum::<i64>(), 0, "R2: the order earned nothing");
}

#[test]
fn r1_any_split_of_a_return_of_expired_points_is_one_return() {
    let mut shop = with_a_dead_lot("", 10);
    for units in [1, 2, 1] {
        shop.send("2026-05-02T09:00", "return", &back("o1", &[("A", units)]));
    }
    assert_eq!(shop.available("point"), 15);
    let taken = shop.progress("o1").unwrap().taken;
    let sum = |expired: bool| taken.iter().filter(|credit| credit.expired == expired).map(|credit| credit.amount).sum();
    assert_eq!((sum(true), sum(false)), (30_i64, 10_i64));
}

#[test]
fn r5_what_expired_in_a_shared_lot_counts_once() {
    let mut shop = Shop::new(&points_with(", expires: { after: P1M, round: month }"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 20_000));
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 20_000));
    shop.adjust("2026-03-04T09:00", "point", -25).unwrap();
    shop.send("2026-05-02T09:00", "purchase", &sale("o3", 50_000));
    shop.send("2026-05-03T09:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 45, "15 had expired, 5 are taken from another lot");
    shop.send("2026-05-03T10:00", "return", &back_all("o2"));
    assert_eq!(shop.available("point"), 25, "nothing more had expired");
}

#[rstest]
#[case::clamp(", overdraft: clamp", Some(0))]
#[case::refuse(", overdraft: refuse", None)]
fn r6_expired_points_are_neither_forgiven_nor_a_reason_to_refuse(#[case] policy: &str, #[case] forgiven: Option<i64>) {
    let mut shop = with_a_dead_lot(policy, 0);
    let decision = shop.send("2026-05-02T09:00", "return", &back_all("o1"));
    assert_eq!(sum_of(&decision, EffectKind::Forgiven, "point"), forgiven.unwrap_or(0));
    assert_eq!(shop.available("point"), 25);
}

#[test]
fn r12_a_correction_does_not_bring_expired_points_to_life() {
    let mut shop = with_a_dead_lot("", 10);
    shop.send("2026-05-02T09:00", "amend", &sale("o1", 0));
    assert_eq!((shop.available("point"), shop.balance("point").debt), (15, 0));
    shop.send("2026-05-02T10:00", "amend", &sale("o1", 5_000));
    assert_eq!(shop.available("point"), 20, "the last that was taken comes back first");
    shop.send("2026-05-02T11:00", "amend", &sale("o1", 40_000));
    assert_eq!(shop.available("point"), 25, "30 had expired before the correction and stay so");
    shop.send("2026-05-02T12:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 15, "and are not taken again");
}

#[test]
fn r5_points_that_died_by_inactivity_are_gone_too() {
    let mut shop = Shop::new(&points_with(", expires: { inactivity: P1M }"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send("2026-05-02T09:00", "purchase", &sale("o2", 25_000));
    shop.send("2026-05-03T09:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 25);
    shop.send("2026-05-03T09:00", "return", &back_all("o2"));
    assert_eq!(shop.balance("point").debt, 0);
}

#[test]
fn l8_a_late_purchase_whose_points_were_dead_at_once_takes_nothing_when_it_comes_back() {
    let mut shop = Shop::new(&points_with(", expires: { after: P1M }"));
    shop.send("2026-05-02T09:00", "purchase", &sale("o2", 25_000));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send("2026-05-03T09:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 25);
}

/// Dated at maturity, with the longest wait of ten days: an event may come before it or after it.
#[rstest]
#[case::released_by_the_event("2026-03-06T09:00")]
#[case::matured_before_the_event("2026-03-20T09:00")]
fn r5_the_own_lot_is_found_however_the_wait_ended(#[case] delivered: &str) {
    let settings = ", pending: { for: P10D, until: delivered, expiry_counts_from: maturity }, expires: { after: P12M }";
    let mut shop =
        Shop::new(&format!("{}\nevents: {{ delivered: {{ data: {{ order_id: text }} }} }}", points_with(settings)));
    shop.send("2026-01-10T09:00", "purchase", &sale("old", 50_000));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send(delivered, "delivered", r#"{"order_id": "o1"}"#);
    shop.send("2026-03-25T09:00", "return", &back_all("o1"));
    assert_eq!(shop.lots("point"), [("2027-01-20".to_owned(), 50)], "the older ones stay");
}

#[test]
fn l6_an_event_releases_only_the_currency_that_waits_for_it() {
    let mut shop = Shop::new(
        "currencies:
  point: { name: P, expires: never, pending: { until: delivered } }
  star: { name: S, expires: never, pending: { until: reviewed } }
events: { delivered: { data: { order_id: text } }, reviewed: { data: { order_id: text } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } }, { award: { currency: star, amount: event.net / 1000 } } ] }",
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    shop.send("2026-03-03T09:00", "delivered", r#"{"order_id": "o1"}"#);
    shop.send("2026-03-04T09:00", "amend", &sale("o1", 50_000));
    assert_eq!((shop.available("point"), shop.balance("point").pending), (50, 0));
    assert_eq!((shop.available("star"), shop.balance("star").pending), (0, 50), "a correction waits like the rest");
}

/// What a decision says of why, in words, line by line.
fn words(decision: &tessera_core::decide::Decision) -> Vec<String> {
    decision.trace.iter().map(|trace| trace.words.clone()).collect()
}

#[test]
fn r1_a_return_says_what_each_award_was_worth_and_where_the_points_come_from() {
    let bonus = "  bonus: { trigger: purchase, earning: bonus, rules: [ { when: event.net >= 30000, award: { currency: point, amount: 7 } } ] }";
    let mut shop = Shop::new(&points_and("", bonus));
    shop.send("2026-01-10T09:00", "purchase", &sale("old", 5_000));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 4, 40_000)]));
    shop.adjust("2026-03-02T10:00", "point", -30).unwrap();
    let decision = shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(
        words(&decision),
        [
            "40 point for the order; this takes off 10: 30 are left",
            "7 point for the order: nothing changes",
            "10 point go back: 10 of its own until 2027-03-31",
        ]
    );
    let decision = shop.send("2026-03-04T09:00", "return", &back("o1", &[("A", 2)]));
    assert_eq!(
        words(&decision),
        [
            "40 point for the order, less 10 for earlier returns; this takes off 20: 10 are left",
            "7 point for the order; this takes off 7: 0 are left",
            "27 point go back: 12 of its own until 2027-03-31, 15 are owed",
        ]
    );
    let decision = shop.send("2026-03-05T09:00", "amend", &lines("o1", &[("A", "x", 4, 400_000)]));
    assert_eq!(
        words(&decision).last().unwrap(),
        "97 point are given: 22 of its own until 2027-03-31, 15 repay what was owed, 60 new ones until 2027-03-31"
    );
}

#[test]
fn r5_a_return_says_what_had_expired() {
    let mut shop = with_a_dead_lot("", 10);
    let decision = shop.send("2026-05-02T09:00", "return", &back_all("o1"));
    assert_eq!(
        words(&decision),
        [
            "40 point for the order; this takes off 40: 0 are left",
            "40 point go back: 30 of its own that had expired, 10 of others until 2026-05-31",
        ]
    );
}
