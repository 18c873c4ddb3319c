//! Events with numbers and shapes that no till sends: decided without a panic, and the books hold after each.

use proptest::prelude::*;
use tessera_core::event::read_event;
use tessera_testkit::shop::{Shop, at};

/// The day begins at 02:30, which one night a year does not have.
const PROGRAM: &str = "
timezone: America/New_York
day_starts: \"02:30\"
currencies:
  point: { name: P, expires: { after: P1M, round: month }, scale: 2 }
  star: { name: S, expires: { inactivity: P10D }, overdraft: clamp, pending: { for: P1D, expiry_counts_from: maturity } }
tiers: { club: { measure: spend, window: { rolling: P1M }, crossing: marginal, levels: [ { id: a, at: 0 }, { id: b, at: 1000, rate: { point: 2 } }, { id: c, at: 900000000000, rate: { point: 3 } } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net * 1000, fraction: carry } } ] }
  lines: { trigger: purchase, rules: [ { each: event.items, when: item.quantity != 0, award: { currency: star, amount: item.amount / item.quantity, per: line } } ] }
  twice: { trigger: purchase, earning: bonus, rules: [ { extra: { currency: point, times: 2.5 }, limit: { per_member: { day: 9000000000000000000 }, program: { ever: 9223372036854775807 } } } ] }
  odd: { trigger: purchase, earning: bonus, budget: { star: 9223372036854775807 }, rules: [ { when: len(event.items) != 2, award: { currency: star, amount: 7 } } ] }
";

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (-5_000..50_000_i64).prop_map(|number| number.to_string()),
        1 => prop::sample::select(&["0", "-0", "0.000001", "-0.000001", "999999999999", "-999999999999", "9223372036854.775807", "9223372036854775807", "123456789012345678.123456", "0.333333"][..])
            .prop_map(str::to_owned),
    ]
}

fn item() -> impl Strategy<Value = String> {
    // Lines of the same name, and lines without one.
    let name = prop::sample::select(
        &["", r#""line": "1", "#, r#""line": "2", "#, r#""line": "x", "sku": "A", "#, r#""sku": "A", "#][..],
    );
    (name, number(), number())
        .prop_map(|(name, quantity, amount)| format!(r#"{{{name}"quantity": {quantity}, "amount": {amount}}}"#))
}

fn items(most: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::collection::vec(item(), 0..most).prop_map(|items| items.join(", ")),
        1 => item().prop_map(|item| vec![item; 1_000].join(", ")),
    ]
}

fn order(id: &'static str) -> impl Strategy<Value = String> {
    (number(), number(), number(), number(), items(5)).prop_map(move |(total, tax, discount, tip, items)| {
        format!(r#"{{"order_id": "{id}", "total": {total}, "tax": {tax}, "discount": {discount}, "tip": {tip}, "items": [{items}]}}"#)
    })
}

fn back() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"{"order_id": "o1"}"#.to_owned()),
        items(3).prop_map(|items| format!(r#"{{"order_id": "o1", "items": [{items}]}}"#)),
        (items(3), number()).prop_map(|(items, total)| format!(r#"{{"items": [{items}], "total": {total}}}"#)),
    ]
}

fn happening() -> impl Strategy<Value = (&'static str, String)> {
    prop_oneof![
        order("o1").prop_map(|data| ("purchase", data)),
        order("o2").prop_map(|data| ("purchase", data)),
        order("o1").prop_map(|data| ("amend", data)),
        back().prop_map(|data| ("return", data)),
        (back(), order("o3"))
            .prop_map(|(back, bought)| ("exchange", format!(r#"{{"returned": {back}, "bought": {bought}}}"#))),
    ]
}

/// Around the cut-off of the night that has no 02:30, to the second and at the instant itself; else some days later.
fn steps() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0_i64), 1..3_i64, 1_800..1_802_i64, 3_600..3_601_i64, 86_400..86_401_i64, 1..4_000_000_i64]
}

proptest! {
    #![proptest_config(tessera_testkit::cases(70, 1))]

    #[test]
    fn hostile_events_never_panic_and_the_books_hold(happenings in prop::collection::vec((happening(), steps()), 1..9)) {
        let mut shop = Shop::new(PROGRAM);
        let mut now = at("2026-03-08T06:29:59Z");
        for ((kind, data), step) in happenings {
            now = now.plus_seconds(step);
            // What cannot be read, or is refused, changes nothing.
            if read_event(&shop.versions.head().definition, kind, &data).is_ok() {
                let _refused_or_not = shop.offer(now, now, kind, &data).is_ok();
            }
        }
        shop.wake_at(now.plus_seconds(100 * 86_400));
    }
}
