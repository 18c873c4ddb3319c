//! P7 over random histories of several members who earn, return, owe, send and let points expire.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tessera_core::ledger::Account;
use tessera_core::time::Day;
use tessera_testkit::shop::{Shop, at, json};

const PROGRAM: &str = "
currencies: { point: { name: Point, expires: { after: P3M, round: month }, pending: P2D, overdraft: debt } }
transfers: { point: { fee: 2, per_member: { month: 300 } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
";

#[derive(Clone, Debug)]
enum Deed {
    Buy(i64),
    Return,
    Take(i64),
    Send(usize, i64),
    Relay,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (1..200_i64).prop_map(Deed::Buy),
        1 => Just(Deed::Return),
        1 => (1..150_i64).prop_map(Deed::Take),
        // The last of four has never joined.
        5 => (0..4_usize, 1..200_i64).prop_map(|(to, amount)| Deed::Send(to, amount)),
        2 => Just(Deed::Relay),
    ]
}

proptest! {
    #![proptest_config(tessera_testkit::cases(120, 1))]

    #[test]
    fn p7_over_all_members_nothing_is_made_lost_or_made_young(
        deeds in prop::collection::vec((0..3_usize, deed(), 0..12_i64), 1..40),
    ) {
        let mut shop = Shop::new(PROGRAM).unchecked();
        let mut now = at("2026-01-10T09:00");
        for member in 0..3 {
            shop.of_member(member).send_at(now, "purchase", &json::sale(&format!("first-{member}"), 50_000));
        }
        let mut last = vec![String::new(); 3];
        for (place, (member, deed, days)) in deeds.into_iter().enumerate() {
            now = now.plus_seconds(days * 86_400 + 60);
            shop.of_member(member);
            match deed {
                Deed::Buy(thousands) => {
                    last[member] = format!("o-{place}");
                    shop.send_at(now, "purchase", &json::sale(&last[member], thousands * 1_000));
                }
                Deed::Return if !last[member].is_empty() => {
                    let order = std::mem::take(&mut last[member]);
                    shop.send_at(now, "return", &json::back_all(&order));
                }
                Deed::Return => {}
                Deed::Take(amount) => {
                    shop.adjust(&now.to_string(), "point", -amount).unwrap();
                }
                // One who has not enough sends nothing.
                Deed::Send(to, amount) => drop(shop.transfer(&now.to_string(), to, "point", amount)),
                Deed::Relay => drop(shop.relay()),
            }
        }
        shop.relay();
        // Each member's equation holds; nothing is between them; what all have is what was ever given and not used up.
        shop.check();
        prop_assert_eq!(shop.clearing().values().sum::<i64>(), 0);
        // Of each date no more arrives than was sent.
        let mut on_the_way: BTreeMap<Option<Day>, i64> = BTreeMap::new();
        for member in 0..3 {
            for entry in shop.of_member(member).member().events.iter().flat_map(|event| &event.entries) {
                let sum = on_the_way.entry(entry.lot.as_ref().and_then(|lot| lot.last_day)).or_insert(0);
                match (entry.from, entry.to) {
                    (_, Account::Clearing) => *sum += entry.amount.get(),
                    (Account::Clearing, Account::Active) => *sum -= entry.amount.get(),
                    _ => {}
                }
            }
        }
        prop_assert!(on_the_way.values().all(|left| *left >= 0), "{:?}", on_the_way);
        let (mut has, mut given) = (0, 0);
        for member in 0..3 {
            let state = shop.of_member(member).state();
            let purse = state.purse("point").unwrap();
            has += purse.active().get() + purse.pending().get() - purse.debt.get();
            let totals = purse.totals;
            given += totals.issued.get() - totals.taken_back.get() - totals.redeemed.get() - totals.expired.get() - totals.adjusted_out.get();
        }
        prop_assert_eq!(has, given);
    }
}
