//! R1 over random programs and baskets: however an order comes back, it ends as if it had come back at once.

use proptest::prelude::*;
use tessera_testkit::shop::{Shop, at};

use crate::programs::{basket, program};

pub fn units_back(units: &[(usize, i64)]) -> String {
    let items: Vec<String> =
        units.iter().map(|(line, units)| format!(r#"{{"line": "l{line}", "quantity": {units}}}"#)).collect();
    format!(r#"{{"order_id": "o", "items": [{}]}}"#, items.join(", "))
}

/// Everything a return may touch, but for the labels of when lots were first earned.
pub fn books(shop: &Shop) -> [String; 6] {
    let state = shop.state();
    let lots = |lots: &[tessera_core::ledger::Lot]| {
        lots.iter().map(|lot| (lot.key(), lot.remaining, lot.expires_at)).collect::<Vec<_>>()
    };
    let purses: Vec<_> = state
        .purses
        .iter()
        .map(|purse| {
            let waits: Vec<_> =
                purse.waits.iter().map(|wait| (wait.event, wait.base, wait.matures_at, lots(&wait.lots))).collect();
            (purse.currency.clone(), lots(&purse.lots), waits, purse.debt)
        })
        .filter(|(_, lots, waits, debt)| !lots.is_empty() || !waits.is_empty() || !debt.is_zero())
        .collect();
    let measures = |ladder: &tessera_core::member::Ladder| {
        ladder.measures.iter().filter(|measure| !measure.buckets.is_empty()).cloned().collect::<Vec<_>>()
    };
    let club = state
        .ladder("club")
        .map(|ladder| (ladder.floor.clone(), measures(ladder)))
        .filter(|(floor, measures)| floor.is_some() || !measures.is_empty());
    let ladders = (shop.level("club"), club);
    let counters: std::collections::BTreeSet<_> =
        state.counters.iter().map(|counter| (counter.limit.clone(), counter.from, counter.used)).collect();
    let pools: Vec<_> =
        shop.pools.iter().filter(|(_, used)| **used != 0).map(|(pool, used)| (pool.clone(), *used)).collect();
    let progress = shop
        .progress("o")
        .map(|progress| (progress.net, progress.net_base, progress.usage, progress.carried, progress.returned));
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
    #![proptest_config(tessera_testkit::cases(100, 1))]

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
