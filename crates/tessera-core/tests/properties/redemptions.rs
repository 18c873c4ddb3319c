//! R7 and R8 over random programs and baskets that points paid for in part: however an order comes back, the same
//! points and the same money come back, exactly what was paid.

use proptest::prelude::*;
use tessera_core::decide::{Balance, EffectKind};
use tessera_testkit::shop::{Shop, at, spend, sum_of};

use crate::programs::{basket, program};
use crate::returns::units_back;

proptest! {
    #![proptest_config(tessera_testkit::cases(80, 1))]

    #[test]
    fn r8_any_split_of_a_return_gives_the_same_points_and_money_back(
        program in program(),
        (before, order) in (prop::collection::vec(basket(), 1..4), basket()),
        (tens, share) in (1..9_i64, 1..=100_i64),
        spent_after in prop::option::of(1..60_i64),
        days in prop::sample::select(vec![0_i64, 6, 35, 100]),
        shuffle in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 9),
    ) {
        let mut shop = Shop::new(&program).unchecked();
        for (place, basket) in before.iter().enumerate() {
            shop.send(&format!("2026-12-{:02}T09:00", 10 + 3 * place), "purchase", &basket.data(&place.to_string()));
        }
        shop.adjust("2026-12-30T07:00", "point", 60).unwrap();
        let there = shop.available("point") / 10 * 10;
        let points = there.min(tens * 10);
        let decision = shop.redeem("2026-12-30T08:00", spend("point", points)).unwrap();
        let redemption = decision.events[decision.main].seq;
        let worth = (points * 50).min(order.total()) * share / 100;
        let payments = format!(r#", "payments": [{}]"#, shop.payment(redemption, worth));
        shop.send("2026-12-30T09:00", "purchase", &order.data_with("o", &payments));
        if let Some(points) = spent_after {
            shop.adjust("2026-12-30T10:00", "point", -points).unwrap();
        }
        let mut units: Vec<usize> = order.lines.iter().enumerate().flat_map(|(line, (units, ..))| vec![line; usize::try_from(*units).unwrap()]).collect();
        let mut steps: Vec<Vec<(usize, i64)>> = Vec::new();
        for (index, together) in &shuffle {
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
        let bring = |shop: &mut Shop, steps: &[Vec<(usize, i64)>]| {
            let mut told = (0, rust_decimal::Decimal::ZERO);
            for step in steps {
                let decision = shop.send_at(time, "return", &units_back(step));
                let back = [EffectKind::Refunded, EffectKind::DebtRepaid];
                told.0 += back.iter().map(|kind| of_redemption(&decision, *kind)).sum::<i64>();
                told.1 += decision.outcome.effects.iter().filter_map(|effect| effect.money).map(|money| money.to_decimal()).sum::<rust_decimal::Decimal>();
            }
            told
        };
        let mut once = shop.clone();
        let told_once = bring(&mut once, &[steps.concat()]);
        let told_split = bring(&mut shop, &steps);
        let sums = |shop: &Shop| {
            let (Balance { available, debt, .. }, redeemed) = (shop.balance("point"), shop.redemption(redemption).unwrap());
            (available - debt, redeemed, shop.progress("o").map(|progress| (progress.refunded, progress.net)))
        };
        prop_assert_eq!(sums(&once), sums(&shop), "{}", program);
        prop_assert_eq!(told_once.1, told_split.1, "{}", program);
        let Some(returned) = once.progress("o") else { return Ok(()) };
        if returned.returned.everything {
            let all = shop.redemption(redemption).unwrap().returned;
            prop_assert_eq!(all, (worth + 25).div_euclid(50).min(points));
            prop_assert_eq!(told_split.1, rust_decimal::Decimal::from(order.total() - if all > 0 { worth } else { 0 }));
        }
        once.check();
        shop.check();
    }
}

/// What an effect of a redemption amounts to.
fn of_redemption(decision: &tessera_core::decide::Decision, kind: EffectKind) -> i64 {
    let all = sum_of(decision, kind, "point");
    let others = decision.outcome.effects.iter().filter(|effect| effect.kind == kind && effect.redemption.is_none());
    all - others.filter_map(|effect| effect.amount).sum::<i64>()
}
