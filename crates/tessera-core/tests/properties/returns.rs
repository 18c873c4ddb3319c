//! R1 over random programs and baskets: however an order comes back, it ends as if it had come back at once.

use std::fmt::Write as _;

use proptest::prelude::*;
use tessera_testkit::shop::{Shop, at};

/// Settings of a program, each with several spellings.
fn program() -> impl Strategy<Value = String> {
    let pick = |options: &'static [&'static str]| prop::sample::select(options);
    let currency = (
        pick(&["", ", pending: P5D", ", pending: { for: P5D, expiry_counts_from: maturity }", ", pending: { for: P20D, counts_to_tiers: true }"]),
        pick(&["", ", overdraft: clamp"]),
        pick(&["never", "{ after: P2M, round: month }", "{ after: P10D }", "{ inactivity: P3M }"]),
        pick(&["", ", max_balance: 150"]),
        pick(&["", ", on_return: keep"]),
    );
    let ladder = (
        pick(&["{ earned: point }", "{ earned: point, counts: all }", "spend", "{ events: purchase }"]),
        pick(&["", "window: { rolling: P3M }, ", "window: anniversary, ", "crossing: marginal, ", "return_undoes: at_review, "]),
    );
    let rules = (
        pick(&["", ", rounding: half_up", ", per: line", ", fraction: carry", ", fraction: carry, rounding: half_even", ", base: { shipping: true, tax: true }"]),
        pick(&["", "when: event.net >= 60000, ", "when: event.net < 40000, ", "when: event.net != 50000, ", "when: len(event.items) > 1, "]),
        pick(&["", ", limit: { per_member: { day: 1 } }", ", limit: { program: { month: { points: 25 } } }"]),
        pick(&["", "budget: { point: 30 }, ", "funded_by: { acme: 0.3, brand: 0.3 }, "]),
        pick(&["add", "highest", "product"]),
        pick(&["", "{ point: { day: 60 } }", "{ point: { ever: 100 }, stamp: { week: 3 } }"]),
    );
    (currency, ladder, rules).prop_map(|((pending, overdraft, expires, most, keep), (measure, settings), (award, when, limit, more, extras, limits))| {
        let limits = if limits.is_empty() { String::new() } else { format!("limits: {{ per_member: {limits} }}\n") };
        let measure_at = if measure == "spend" { (60_000, 150_000) } else if measure.contains("events") { (1, 2) } else { (40, 90) };
        format!(
            "
currencies:
  point: {{ name: Point, expires: {expires}{pending}{overdraft}{most} }}
  stamp: {{ name: Stamp, expires: never{keep} }}
tiers:
  club: {{ measure: {measure}, {settings}levels: [ {{ id: blue, at: 0 }}, {{ id: silver, at: {}, rate: {{ point: 1.5 }} }}, {{ id: gold, at: {}, rate: {{ point: 2 }} }} ] }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1500{award} }} }} ] }}
  stamps: {{ trigger: purchase, rules: [ {{ each: event.items, when: item.category == \"a\", award: {{ currency: stamp, amount: item.quantity }} }} ] }}
  gift: {{ trigger: purchase, earning: bonus, {more}rules: [ {{ {when}award: {{ currency: point, amount: 20 }}{limit} }} ] }}
  x: {{ trigger: purchase, earning: bonus, rules: [ {{ each: event.items, when: item.category == \"a\", extra: {{ currency: point, times: 2.5 }} }} ] }}
  y: {{ trigger: purchase, earning: bonus, rules: [ {{ when: event.total > 30000, extra: {{ currency: point, times: 1.75 }} }} ] }}
stacking: {{ extras: {extras} }}
{limits}",
            measure_at.0, measure_at.1
        )
    })
}

#[derive(Clone, Debug)]
struct Basket {
    /// Units, price of a unit, and whether it is of category a.
    lines: Vec<(i64, i64, bool)>,
    discount: i64,
    shipping: i64,
    tax: i64,
}

fn basket() -> impl Strategy<Value = Basket> {
    let line = (1..4_i64, 1..300_i64, any::<bool>()).prop_map(|(units, price, a)| (units, price * 100, a));
    (prop::collection::vec(line, 1..4), 0..3_i64, 0..2_i64, 0..2_i64).prop_map(|(lines, discount, shipping, tax)| Basket {
        lines,
        discount: discount * 77,
        shipping: shipping * 1_500,
        tax: tax * 333,
    })
}

impl Basket {
    fn data(&self, order_id: &str) -> String {
        let mut items = String::new();
        for (place, (units, price, a)) in self.lines.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            let category = if *a { "a" } else { "b" };
            write!(items, r#"{comma}{{"line": "l{place}", "category": "{category}", "quantity": {units}, "amount": {}}}"#, units * price).unwrap();
        }
        let goods: i64 = self.lines.iter().map(|(units, price, _)| units * price).sum();
        let discount = self.discount.min(goods);
        let total = goods - discount + self.shipping + self.tax;
        format!(
            r#"{{"order_id": "{order_id}", "total": {total}, "discount": {discount}, "shipping": {}, "tax": {}, "items": [{items}]}}"#,
            self.shipping, self.tax
        )
    }
}

fn units_back(units: &[(usize, i64)]) -> String {
    let items: Vec<String> = units.iter().map(|(line, units)| format!(r#"{{"line": "l{line}", "quantity": {units}}}"#)).collect();
    format!(r#"{{"order_id": "o", "items": [{}]}}"#, items.join(", "))
}

/// Everything a return may touch, but for the labels of when lots were first earned.
fn books(shop: &Shop) -> [String; 6] {
    let state = shop.state();
    let lots = |lots: &[tessera_core::ledger::Lot]| lots.iter().map(|lot| (lot.key(), lot.remaining, lot.expires_at)).collect::<Vec<_>>();
    let purses: Vec<_> = state
        .purses
        .iter()
        .map(|purse| {
            let waits: Vec<_> = purse.waits.iter().map(|wait| (wait.event, wait.base, wait.matures_at, lots(&wait.lots))).collect();
            (purse.currency.clone(), lots(&purse.lots), waits, purse.debt)
        })
        .filter(|(_, lots, waits, debt)| !lots.is_empty() || !waits.is_empty() || !debt.is_zero())
        .collect();
    let measures = |ladder: &tessera_core::member::Ladder| ladder.measures.iter().filter(|measure| !measure.buckets.is_empty()).cloned().collect::<Vec<_>>();
    let club = state.ladder("club").map(|ladder| (ladder.floor.clone(), measures(ladder))).filter(|(floor, measures)| floor.is_some() || !measures.is_empty());
    let ladders = (shop.level("club"), club);
    let counters: std::collections::BTreeSet<_> =
        state.counters.iter().map(|counter| (counter.limit.clone(), counter.from, counter.used)).collect();
    let pools: Vec<_> = shop.pools.iter().filter(|(_, used)| **used != 0).map(|(pool, used)| (pool.clone(), *used)).collect();
    let progress = shop.progress("o").map(|progress| (progress.net, progress.net_base, progress.usage, progress.carried, progress.returned));
    [
        format!("{purses:?}"),
        format!("{ladders:?}"),
        format!("{counters:?}"),
        format!("{:?}", state.fractions),
        format!("{pools:?}"),
        format!("{progress:?}"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn r1_any_split_and_order_of_returns_equals_one_return(
        program in program(),
        (before, order) in (prop::collection::vec(basket(), 0..3), basket()),
        spent in prop::option::of(1..200_i64),
        days in prop::sample::select(vec![0_i64, 1, 6, 35, 100]),
        shuffle in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 9),
        how_many in 1..10_usize,
    ) {
        let mut shop = Shop::new(&program).unchecked();
        for (place, basket) in before.iter().enumerate() {
            shop.send(&format!("2026-12-{:02}T09:00", 20 + 3 * place), "purchase", &basket.data(&place.to_string()));
        }
        shop.send("2026-12-30T09:00", "purchase", &order.data("o"));
        if let Some(points) = spent {
            shop.adjust("2026-12-30T10:00", "point", -points).unwrap();
        }
        // Every unit once, in a random order, grouped at random.
        let mut units: Vec<usize> = order.lines.iter().enumerate().flat_map(|(line, (units, ..))| vec![line; usize::try_from(*units).unwrap()]).collect();
        let mut steps: Vec<Vec<(usize, i64)>> = Vec::new();
        for (index, together) in shuffle.iter().take(how_many) {
            if units.is_empty() {
                break;
            }
            let line = units.swap_remove(index.index(units.len()));
            match steps.last_mut() {
                Some(step) if *together => step.push((line, 1)),
                _ => steps.push(vec![(line, 1)]),
            }
        }
        let time = at("2026-12-30T11:00").plus_seconds(days * 86_400);
        let mut once = shop.clone();
        once.send_at(time, "return", &units_back(&steps.concat()));
        let mut split = shop;
        for step in &steps {
            split.send_at(time, "return", &units_back(step));
        }
        prop_assert_eq!(books(&once), books(&split), "{}", program);
        once.check();
        split.check();
    }

    /// R2: bought and brought back on one day, nothing is left: no points, no measure, no use of limits and budgets.
    #[test]
    fn r2_a_full_return_earns_nothing_measures_nothing_and_uses_nothing(
        program in program(),
        (before, order) in (prop::collection::vec(basket(), 1..3), basket()),
    ) {
        let mut shop = Shop::new(&program.replace(", on_return: keep", "").replace("return_undoes: at_review, ", "")).unchecked();
        for (place, basket) in before.iter().enumerate() {
            shop.send("2026-12-30T07:00", "purchase", &basket.data(&place.to_string()));
        }
        shop.wake("2026-12-30T08:00");
        let untouched = books(&shop);
        shop.send("2026-12-30T08:00", "purchase", &order.data("o"));
        shop.send("2026-12-30T09:00", "return", r#"{"order_id": "o"}"#);
        let progress = shop.progress("o").unwrap();
        prop_assert!(progress.net.values().all(|net| *net == 0) && progress.usage.is_empty() && progress.carried.is_empty());
        prop_assert_eq!(&untouched[..5], &books(&shop)[..5], "{}", program);
        shop.check();
    }
}
