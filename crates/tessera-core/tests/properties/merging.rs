//! P1, P2, A1 over random histories of several members who earn, return, spend, owe, become one and two again.

use proptest::prelude::*;
use tessera_testkit::shop::{Shop, at, json, spend};

const PROGRAM: &str = "
currencies: { point: { name: Point, expires: { after: P3M, round: month }, pending: P5D, overdraft: debt } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 200 } ] } }
members: { merge: { undo_within: P60D } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  some: { trigger: purchase, rules: [ { award: { currency: point, amount: \"10\" }, limit: { per_member: { month: 2 } } } ] }
";

#[derive(Clone, Debug)]
enum Deed {
    Buy(i64),
    /// A unit of an order of anybody.
    Return(usize),
    Take(i64),
    Spend(i64),
    /// Cancels the last redemption.
    Cancel,
    /// The member becomes one with another, who buys something before everything is there.
    Merge(usize),
    Undo(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        5 => (1..200_i64).prop_map(Deed::Buy),
        3 => (0..20_usize).prop_map(Deed::Return),
        1 => (1..150_i64).prop_map(Deed::Take),
        2 => (1..150_i64).prop_map(Deed::Spend),
        1 => Just(Deed::Cancel),
        2 => (0..3_usize).prop_map(Deed::Merge),
        2 => (0..3_usize).prop_map(Deed::Undo),
    ]
}

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 4))]

    #[test]
    fn p1_whoever_becomes_one_or_two_nothing_is_made_or_lost(
        deeds in prop::collection::vec((0..3_usize, deed(), 0..9_i64), 1..40),
    ) {
        let mut shop = Shop::new(PROGRAM).unchecked();
        let mut now = at("2026-01-10T09:00");
        let mut orders = Vec::new();
        let mut spent = None;
        for member in 0..3 {
            shop.of_member(member).send_at(now, "purchase", &json::sale(&format!("first-{member}"), 50_000));
        }
        for (place, (member, deed, days)) in deeds.into_iter().enumerate() {
            now = now.plus_seconds(days * 86_400 + 60);
            shop.of_member(member);
            let time = now.to_string();
            match deed {
                Deed::Buy(thousands) => {
                    let order = format!("o-{place}");
                    shop.send_at(now, "purchase", &json::lines(&order, &[("A", "x", 3, thousands * 1_000), ("B", "y", 1, 7_000)]));
                    orders.push((order, member));
                }
                // Everybody has one order at least; more than was bought is refused.
                Deed::Return(which) if !orders.is_empty() => {
                    let (order, maker) = orders[which % orders.len()].clone();
                    let owner = shop.order(&order).map(|order| order.member);
                    let items: &[(&str, i64)] = if which % 2 == 0 { &[("A", 1)] } else { &[("B", 1)] };
                    // What a survivor changed stays with the survivor, also of whoever is on their own again.
                    let whose = (0..3).find(|number| Some(shop.of_member(*number).member().id) == owner).unwrap_or(maker);
                    drop(shop.of_member(whose).offer(now, now, "return", &json::back(&order, items)));
                }
                Deed::Return(_) => {}
                Deed::Take(amount) => drop(shop.adjust(&time, "point", -amount)),
                Deed::Spend(amount) => {
                    if let Ok(done) = shop.redeem(&time, spend("point", amount)) {
                        spent = Some(shop.state().event_id(done.events[done.main].seq));
                    }
                }
                Deed::Cancel => {
                    if let Some(event) = spent.take() {
                        for number in 0..3 {
                            let state = shop.of_member(number).state();
                            if state.into.is_none() && state.number_of(event).is_some() && (state.id == event.member || state.has_merged(event.member)) {
                                let number = state.number_of(event).unwrap();
                                drop(shop.cancel(&time, number, None));
                                break;
                            }
                        }
                    }
                }
                Deed::Merge(into) => {
                    if shop.merge(&time, into).is_ok() {
                        let order = format!("m-{place}");
                        shop.of_member(member).send_at(now, "purchase", &json::sale(&order, 5_000));
                        orders.push((order, member));
                    }
                    shop.relay();
                }
                Deed::Undo(from) => {
                    drop(shop.unmerge(&time, from));
                    shop.relay();
                }
            }
        }
        shop.check();
        prop_assert_eq!(shop.clearing().values().sum::<i64>(), 0);
        let (mut has, mut given, mut purchases) = (0, 0, 0);
        for member in 0..3 {
            let state = shop.of_member(member).state();
            let Some(purse) = state.purse("point") else { continue };
            has += purse.active().get() + purse.pending().get() - purse.debt.get();
            let totals = purse.totals;
            given += totals.issued.get() + totals.adjusted_in.get() - totals.adjusted_out.get()
                - totals.taken_back.get() - totals.redeemed.get() - totals.expired.get();
            if state.into.is_none() {
                purchases += state.statistics.purchases as usize;
            }
        }
        prop_assert_eq!(has, given);
        prop_assert_eq!(purchases, orders.len() + 3);
    }
}
