//! R1, R5, R6, R7: orders of people of a household that come back.

use rstest::rstest;
use tessera_core::decide::EffectKind;
use tessera_testkit::shop::{count_of, json::*, spend};

use super::{ALL, HOME, buy, couple, couple_of, has, pay, pool, program};

#[test]
fn r1_what_a_return_takes_back_is_taken_from_the_member_then_from_their_part_of_the_pool() {
    let mut shop = couple("pools: { point: { contribute: 0.6 } }");
    let order = lines("o1", &[("A", "goods", 10, 100_000)]);
    shop.of_member(0).send("2026-01-07T09:00", "purchase", &order);
    shop.relay();
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 50);
    assert_eq!((has(&mut shop, 0), pool(&mut shop)), (40, (90, [60, 30, 0])));
    shop.of_member(0).send("2026-01-08T09:00", "return", &back("o1", &[("A", 7)]));
    assert_eq!(shop.balance("point").debt, 30, "owed until the pool has answered");
    shop.relay();
    assert_eq!((has(&mut shop, 0), pool(&mut shop)), (0, (60, [30, 30, 0])));
    assert_eq!(shop.of_member(0).balance("point").debt, 0);
    shop.send("2026-01-08T10:00", "return", &back_all("o1"));
    shop.relay();
    assert_eq!((has(&mut shop, 0), pool(&mut shop)), (0, (30, [0, 30, 0])));
    assert_eq!(shop.of_member(0).balance("point").debt, 0);
    let totals = shop.state().purse("point").unwrap().totals;
    assert_eq!((totals.issued.get(), totals.taken_back.get()), (100, 100));
}

#[rstest]
#[case::owed("overdraft: debt", 45, 0)]
#[case::forgiven("overdraft: clamp", 0, 1)]
fn r6_what_neither_the_member_nor_their_part_has_is_owed_or_forgiven(
    #[case] currency: &str,
    #[case] debt: i64,
    #[case] forgiven: usize,
) {
    let mut shop = couple_of(ALL, currency);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    // The other spends their own 40 and 45 of the head's.
    pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 85)).unwrap();
    shop.of_member(0).send("2026-01-09T09:00", "return", &back_all("o1"));
    let answered = shop.relay();
    let last = answered.last().unwrap().as_ref().unwrap();
    assert_eq!(count_of(last, EffectKind::Forgiven), forgiven);
    assert_eq!((shop.of_member(0).balance("point").debt, pool(&mut shop).0), (debt, 0));
}

#[test]
fn r1_any_split_of_a_return_ends_as_one() {
    let mut ends = Vec::new();
    for parts in [vec![10], vec![3, 7], vec![1, 2, 3, 4], vec![9, 1]] {
        let mut shop = couple("pools: { point: { contribute: 0.7 } }");
        shop.of_member(0).send("2026-01-07T09:00", "purchase", &lines("o1", &[("A", "goods", 10, 100_000)]));
        shop.relay();
        pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 25)).unwrap();
        for (place, units) in parts.into_iter().enumerate() {
            shop.of_member(0).send(&format!("2026-01-1{place}T09:00"), "return", &back("o1", &[("A", units)]));
            shop.relay();
        }
        let debt = shop.of_member(0).balance("point").debt;
        ends.push((has(&mut shop, 0), debt, pool(&mut shop)));
    }
    assert!(ends.iter().all(|end| *end == (0, 25, (0, [0, 0, 0]))), "{ends:?}");
}

#[test]
fn r7_an_order_that_the_pool_paid_gives_back_to_the_pool_in_any_split() {
    let mut ends = Vec::new();
    for parts in [vec![3], vec![1, 2], vec![1, 1, 1]] {
        let mut shop = couple("pools: { point: { contribute: all } }");
        buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
        buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
        let paid = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 70)).unwrap();
        let payment = shop.payment(paid.events[paid.main].seq, 50_000);
        let order = format!(
            r#"{{"order_id": "o3", "currency": "VND", "total": 150000, "payments": [{payment}, {{"method": "cash", "amount": 100000}}],
                "items": [{{"sku": "A", "quantity": 3, "amount": 150000}}]}}"#
        );
        shop.of_member(1).send("2026-01-08T09:05", "purchase", &order);
        shop.relay();
        let mut money = 0;
        for (place, units) in parts.into_iter().enumerate() {
            let time = format!("2026-01-1{place}T09:00");
            let back = shop.of_member(1).send(&time, "return", &back("o3", &[("A", units)]));
            let to_pool = back.outcome.effects.iter().filter(|effect| effect.kind == EffectKind::BackToPool);
            money +=
                to_pool.filter_map(|effect| effect.money).map(|money| money.millionths() / 1_000_000).sum::<i128>();
            shop.relay();
        }
        assert_eq!(money, 50_000);
        ends.push(pool(&mut shop));
    }
    // What it paid came back; what the order had earned was taken back.
    assert!(ends.iter().all(|end| *end == (100, [60, 40, 0])), "{ends:?}");
}

#[test]
fn r7_only_the_pool_of_ones_own_household_pays_for_an_order() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let paid = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 50)).unwrap();
    let payment = shop.payment(paid.events[paid.main].seq, 50_000);
    let order = format!(r#"{{"order_id": "o3", "currency": "VND", "total": 50000, "payments": [{payment}]}}"#);
    assert_eq!(shop.of_member(2).refused("2026-01-08T09:05", "purchase", &order).code(), "unknown-redemption");
    shop.of_member(0).send("2026-01-08T09:05", "purchase", &order);
}

#[test]
fn r5_a_return_takes_the_orders_own_points_out_of_the_pool_first() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 30);
    buy(&mut shop, 0, "2026-02-07T09:00", "o2", 20);
    shop.of_member(0).send("2026-02-08T09:00", "return", &back_all("o2"));
    shop.relay();
    assert_eq!(shop.of_member(HOME).lots("point"), [("2027-01-31".to_owned(), 30)], "old points become no younger");
}

#[test]
fn r6_only_what_the_pool_did_not_have_is_forgiven() {
    let mut shop = couple_of(ALL, "overdraft: debt");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    shop.of_member(0).adjust("2026-01-07T10:00", "point", -30).unwrap();
    shop.publish("2026-01-08T00:00", &program(ALL, "overdraft: clamp"));
    shop.of_member(0).send("2026-01-09T09:00", "return", &back_all("o1"));
    shop.relay();
    // The pool had all that was asked back: what was owed before is owed.
    assert_eq!((shop.of_member(0).balance("point").debt, pool(&mut shop).0), (30, 0));
}

#[test]
fn r6_what_was_repaid_on_the_way_needs_no_forgiving() {
    let mut shop = couple_of(ALL, "overdraft: clamp");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 45)).unwrap();
    shop.of_member(0).send("2026-01-09T09:00", "return", &back_all("o1"));
    shop.of_member(0).send("2026-01-09T10:00", "purchase", &sale("o2", 70_000));
    assert_eq!(shop.balance("point").debt, 0);
    shop.relay();
    // Of the pool 15 came, and 10 were left of the second order: both are shared or the member's, nothing is made.
    let totals = shop.of_member(0).state().purse("point").unwrap().totals;
    assert_eq!(totals.issued.get() - totals.taken_back.get(), 70);
    assert_eq!(shop.balance("point").debt, 0);
}

#[test]
fn r6_where_a_return_is_refused_the_pool_is_asked_for_no_more_than_was_put_in() {
    let mut shop = couple_of("pools: { point: { contribute: 0.6 } }", "overdraft: refuse");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 100);
    shop.of_member(0).redeem("2026-01-08T09:00", spend("point", 40)).unwrap();
    let refused = shop.of_member(0).refused("2026-01-09T09:00", "return", &back_all("o1"));
    assert_eq!(refused.code(), "not-enough-to-take-back");
    assert_eq!(pool(&mut shop), (60, [60, 0, 0]));
}

#[test]
fn r1_what_was_asked_back_is_no_longer_put_in() {
    let mut shop = couple("pools: { point: { contribute: 0.6 } }");
    let order = lines("o1", &[("A", "goods", 10, 100_000)]);
    shop.of_member(0).send("2026-01-07T09:00", "purchase", &order);
    shop.relay();
    for (units, given) in [(7, vec![30]), (3, vec![])] {
        shop.of_member(0).send("2026-01-08T09:00", "return", &back("o1", &[("A", units)]));
        let known = shop.state().belongs.unwrap().given;
        assert_eq!(known.iter().map(|(_, amount)| *amount).collect::<Vec<_>>(), given);
        shop.relay();
    }
}
