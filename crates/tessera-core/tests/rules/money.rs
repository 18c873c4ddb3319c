//! M1-M5, M7: exact amounts, rounding, and what of a purchase earns.

use rstest::rstest;
use tessera_core::decide::Rejected;
use tessera_testkit::shop::{Shop, json::*};

use crate::common::points_with;

/// A shop whose only rule is this award.
fn awarding(award: &str) -> Shop {
    Shop::new(&rule(award, ""))
}

fn rule(award: &str, settings: &str) -> String {
    format!(
        "
currencies: {{ point: {{ name: Point, expires: never{settings} }} }}
campaigns: {{ base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, {award} }} }} ] }} }}
"
    )
}

#[rstest]
#[case::a_number("0.29", "event.net * 100", 29)]
#[case::a_text("\"0.29\"", "event.net * 100", 29)]
#[case::tenths("0.3", "(event.total - 0.1 - 0.2) * 1000000 + 7", 7)]
#[case::sixths("1.000001", "(event.total - 1) * 1000000", 1)]
fn m1_no_amount_ever_passes_through_a_binary_float(#[case] total: &str, #[case] formula: &str, #[case] points: i64) {
    let mut shop = awarding(&format!("amount: {formula}"));
    shop.send("2026-03-02T09:00", "purchase", &format!(r#"{{"order_id": "o1", "total": {total}}}"#));
    assert_eq!(shop.available("point"), points);
}

#[test]
fn m1_a_currency_has_a_fixed_scale() {
    let mut shop = Shop::new(&format!("currency: THB{}", rule("amount: event.net * 0.015", ", scale: 2")));
    shop.send("2026-03-02T09:00", "purchase", r#"{"order_id": "o1", "total": 123.45}"#);
    assert_eq!(shop.available("point"), 185, "1.85175 baht are 185 satang");
}

#[rstest]
#[case::floor_by_default("", 1)]
#[case::floor(", rounding: floor", 1)]
#[case::half_up(", rounding: half_up", 2)]
#[case::half_even(", rounding: half_even", 2)]
fn m2_each_rule_names_its_rounding(#[case] rounding: &str, #[case] points: i64) {
    let mut shop = awarding(&format!("amount: event.net / 1000{rounding}"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 1_500));
    assert_eq!(shop.available("point"), points);
}

#[rstest]
#[case::half_up("half_up", 3)]
#[case::half_even("half_even", 2)]
fn m2_halves_go_up_or_to_the_even_neighbour(#[case] rounding: &str, #[case] points: i64) {
    let mut shop = awarding(&format!("amount: event.net / 1000, rounding: {rounding}"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 2_500));
    assert_eq!(shop.available("point"), points);
}

const THREE_LINES: [(&str, &str, i64, i64); 3] = [("A", "x", 1, 6_500), ("B", "x", 1, 6_500), ("C", "x", 1, 7_000)];

#[rstest]
#[case::order_by_default("", 2)]
#[case::order(", per: order", 2)]
#[case::line(", per: line", 0)]
#[case::line_half_up(", per: line, rounding: half_up", 3)]
fn m7_one_per_ten_thousand_floors_the_total_not_each_line_unless_set(#[case] per: &str, #[case] points: i64) {
    let mut shop = awarding(&format!("amount: event.net / 10000{per}"));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &THREE_LINES));
    assert_eq!(shop.available("point"), points);
}

#[rstest]
#[case::order("", 2)]
#[case::line(", per: line", 0)]
fn m7_the_same_holds_for_a_rule_that_runs_for_each_line(#[case] per: &str, #[case] points: i64) {
    let mut shop = Shop::new(&format!(
        "
currencies: {{ point: {{ name: Point, expires: never }} }}
campaigns: {{ base: {{ trigger: purchase, rules: [ {{ each: event.items, award: {{ currency: point, amount: item.amount / 10000{per} }} }} ] }} }}
"
    ));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &THREE_LINES));
    assert_eq!(shop.available("point"), points);
}

#[rstest]
#[case::drop_by_default("", [1, 2, 3])]
#[case::drop(", fraction: drop", [1, 2, 3])]
#[case::carry(", fraction: carry", [1, 3, 5])]
#[case::carry_half_up(", fraction: carry, rounding: half_up", [2, 3, 5])]
fn m2_a_fraction_is_dropped_or_carried_to_the_next_event(#[case] fraction: &str, #[case] points: [i64; 3]) {
    let mut shop = awarding(&format!("amount: event.net / 1000{fraction}"));
    for (number, points) in points.into_iter().enumerate() {
        shop.send("2026-03-02T09:00", "purchase", &sale(&number.to_string(), 1_700));
        assert_eq!(shop.available("point"), points);
    }
}

#[test]
fn m2_the_level_s_rate_is_part_of_base_and_rounded_once() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: never } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0, rate: { point: 1.25 } } ] } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
",
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 3_900));
    assert_eq!(shop.available("point"), 4, "3.9 × 1.25 = 4.875, not 3 × 1.25");
}

/// 28,000 ÷ 3,000 never ends as a decimal; three times that is 28 all the same.
#[test]
fn m2_a_division_that_does_not_end_loses_no_point() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: never } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0, rate: { point: 3 } } ] } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 3000 } } ] } }
",
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 28_000));
    assert_eq!(shop.available("point"), 28);
    let mut shop = awarding("amount: event.net / 3000, fraction: carry");
    for number in 1..=9 {
        shop.send("2026-03-02T09:00", "purchase", &sale(&number.to_string(), 1_000));
        assert_eq!(shop.available("point"), number / 3, "three thirds are one");
    }
    let mut shop = awarding("amount: event.net / 1000000000");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 999_999_999));
    assert_eq!(shop.available("point"), 0, "but what is really less stays less");
}

/// What was lent by rounding is put right, so that points and fraction together are always exact.
#[rstest]
#[case::all(&[("A", 2)])]
#[case::a_half(&[("A", 1)])]
fn m2_a_return_puts_what_was_carried_right_too(#[case] units: &[(&str, i64)]) {
    let mut shop = awarding("amount: event.net / 1000, fraction: carry");
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 1_500)]));
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 500));
    assert_eq!(shop.available("point"), 2, "1.5 and 0.5");
    shop.send("2026-03-04T09:00", "return", &back("o1", units));
    let back = units[0].1 * 750;
    let exact = rust_decimal::Decimal::new(2_000 - back, 3);
    let state = shop.state();
    assert_eq!(rust_decimal::Decimal::from(shop.available("point")) + state.fraction("base/0"), exact);
    shop.send("2026-03-05T09:00", "purchase", &sale("o3", 1_000 + back));
    assert_eq!(shop.available("point"), 3, "as if every unit had been counted once");
    assert!(shop.state().fractions.is_empty());
}

#[test]
fn m2_buying_and_returning_gathers_no_fraction() {
    let mut shop = awarding("amount: event.net / 1000, fraction: carry");
    for number in 0..5 {
        shop.send("2026-03-02T09:00", "purchase", &sale(&number.to_string(), 900));
        shop.send("2026-03-02T09:00", "return", &back_all(&number.to_string()));
    }
    assert_eq!((shop.available("point"), shop.state().fractions.len()), (0, 0));
}

#[test]
fn m2_a_late_event_carries_into_what_was_carried_meanwhile() {
    let mut shop = awarding("amount: event.net / 1000, fraction: carry");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 1_600));
    shop.send("2026-03-04T09:00", "purchase", &sale("o2", 1_300));
    shop.send("2026-03-03T09:00", "purchase", &sale("late", 1_300));
    let state = shop.state();
    let sum = rust_decimal::Decimal::from(shop.available("point")) + state.fraction("base/0");
    assert_eq!(sum, "4.2".parse().unwrap(), "1.6 + 1.3 + 1.3, nothing lost");
}

#[test]
fn m3_an_order_discount_is_spread_over_the_lines() {
    let mut shop = awarding("amount: event.net / 100, per: line");
    // 100 off 300: 100, 100 and 100 become 67, 67 and 66.
    let data = sale_with(
        "o1",
        &[("A", "x", 1, 10_000), ("B", "x", 1, 10_000), ("C", "x", 1, 10_000)],
        r#", "total": 20000, "discount": 10000"#,
    );
    shop.send("2026-03-02T09:00", "purchase", &data);
    assert_eq!(shop.available("point"), 66 + 66 + 66, "6,666.67 a line");
    shop.send("2026-03-03T09:00", "return", &back("o1", &[("B", 1)]));
    assert_eq!(shop.available("point"), 66 + 66);
}

#[test]
fn m3_everything_off_leaves_exactly_nothing_tax_included() {
    let mut shop = awarding("amount: event.net, base: { tax: true }");
    shop.send(
        "2026-03-02T09:00",
        "purchase",
        &sale_with("o1", &[("A", "x", 3, 9_999)], r#", "total": 0, "discount": 9999, "tax": 0"#),
    );
    assert_eq!(shop.available("point"), 0);
    shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 1)]));
    shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 2)]));
    assert_eq!(shop.available("point"), 0);
}

#[rstest]
#[case::by_default("", 68_000)]
#[case::tax("tax: true", 78_000)]
#[case::shipping("shipping: true", 83_000)]
#[case::tips("tips: true", 73_000)]
#[case::gift_cards_sold("gift_cards_sold: true", 88_000)]
#[case::not_what_a_gift_card_paid("paid_with_gift_card: false", 38_000)]
#[case::what_points_paid("paid_with_points: true", 80_000)]
#[case::before_discount("discount: before", 75_000)]
#[case::after_discount("discount: after", 68_000)]
fn m4_what_earns_is_set_per_rule_or_for_the_program(#[case] base: &str, #[case] points: i64) {
    let data = sale_with(
        "o1",
        &[("A", "x", 1, 80_000), ("G", "gift_card", 1, 20_000)],
        r#", "total": 130000, "tax": 10000, "shipping": 15000, "tip": 5000, "discount": 7000,
           "payments": [{"method": "gift_card", "amount": 30000}, {"method": "points", "amount": 12000}, {"method": "cash", "amount": 88000}]"#,
    );
    let mut shop = awarding(&format!("amount: event.net, base: {{ {base} }}"));
    shop.send("2026-03-02T09:00", "purchase", &data);
    assert_eq!(shop.available("point"), points);
    let mut shop = Shop::new(&format!("base: {{ {base} }}{}", rule("amount: event.net", "")));
    shop.send("2026-03-02T09:00", "purchase", &data);
    assert_eq!(shop.available("point"), points);
    shop.send("2026-03-03T09:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 0);
}

#[test]
fn m4_a_condition_and_an_audience_see_the_same_net() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: never } }
campaigns:
  big: { trigger: purchase, audience: event.net >= 50000, rules: [ { award: { currency: point, amount: 10 } } ] }
  tipped: { trigger: purchase, earning: bonus, rules: [ { when: event.net >= 55000, award: { currency: point, amount: 100, base: { tips: true } } } ] }
",
    );
    shop.send(
        "2026-03-02T09:00",
        "purchase",
        &sale_with("o1", &[("A", "x", 1, 50_000)], r#", "total": 55000, "tip": 5000"#),
    );
    assert_eq!(shop.available("point"), 110);
    shop.send(
        "2026-03-02T10:00",
        "purchase",
        &sale_with("o2", &[("A", "x", 1, 49_000)], r#", "total": 54000, "tip": 5000"#),
    );
    assert_eq!(shop.available("point"), 110);
}

#[test]
fn m5_the_rate_is_kept_with_the_order_and_returns_use_the_same() {
    let program = format!("exchange_rates: {{ USD: 25000 }}{}", points_with(""));
    let mut shop = Shop::new(&program);
    let data = sale_with("o1", &[("A", "x", 2, 20)], r#", "currency": "USD""#);
    shop.send("2026-03-02T09:00", "purchase", &data);
    assert_eq!((shop.available("point"), shop.state().statistics.spend.to_string()), (500, "500000".to_owned()));
    shop.publish("2026-03-03T00:00", &program.replace("25000", "30000"));
    shop.send("2026-03-04T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.available("point"), 250);
    shop.send(
        "2026-03-04T10:00",
        "purchase",
        &sale_with("o2", &[("A", "x", 1, 10)], r#", "currency": "USD", "exchange_rate": 24500.5"#),
    );
    assert_eq!(shop.available("point"), 250 + 245, "a rate on the event goes before the document's");
    let refused =
        shop.refused("2026-03-04T11:00", "purchase", &sale_with("o3", &[("A", "x", 1, 10)], r#", "currency": "EUR""#));
    assert_eq!(refused, Rejected::NoExchangeRate { currency: "EUR".into(), expected: "VND".into() });
}

#[rstest]
#[case::a_square("event.total * event.total")]
#[case::too_large_a_factor("event.total * 1000000000000")]
#[case::for_every_line("event.total * 79228162514264")]
fn m1_absurd_formulas_give_the_most_there_is_or_nothing_but_never_panic(#[case] formula: &str) {
    for (each, settings) in [("", ""), ("each: event.items, ", ", scale: 6")] {
        let mut shop = Shop::new(&format!(
            "
currencies: {{ point: {{ name: Point, expires: never{settings} }} }}
tiers: {{ club: {{ measure: {{ earned: point }}, levels: [ {{ id: blue, at: 0, rate: {{ point: 1000000000000 }} }} ] }} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ {each}award: {{ currency: point, amount: {formula} }}, extra: {{ currency: point, times: 9999999999 }} }} ] }}
  more: {{ trigger: purchase, rules: [ {{ {each}award: {{ currency: point, amount: {formula}, per: line }} }}, {{ extra: {{ currency: point, times: 79228162514264337593543 }} }} ] }}
"
        ));
        let items: Vec<(&str, &str, i64, i64)> = vec![("A", "x", 1, 100_000_000_000); 40];
        shop.send("2026-03-02T09:00", "purchase", &lines("o1", &items));
        assert!((0..=4_000_000_000_000).contains(&shop.available("point")), "{}", shop.available("point"));
        shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 7)]));
        shop.send("2026-03-03T09:00", "return", &back_all("o1"));
        assert_eq!(shop.balance("point").available, 0);
    }
}
