//! P5, L6, P4: what goes into a household's pool.

use rstest::rstest;
use tessera_core::decide::{EffectKind, Rejected};
use tessera_core::event::HouseholdStep;
use tessera_testkit::shop::{Shop, sum_of};

use super::{ALL, CODE, HOME, buy, couple, couple_of, found, has, id_of, leave, pool, step};

#[rstest]
#[case::all("contribute: all", 75, 75, 0)]
#[case::none("contribute: none, by_hand: true", 75, 0, 75)]
#[case::half("contribute: 0.5", 75, 37, 38)]
#[case::a_tenth_of_a_little("contribute: 0.1", 9, 0, 9)]
fn p5_what_members_earn_goes_into_the_pool_as_the_document_says(
    #[case] rule: &str,
    #[case] earned: i64,
    #[case] pooled: i64,
    #[case] kept: i64,
) {
    let mut shop = couple(&format!("pools: {{ point: {{ {rule} }} }}"));
    let bought = buy(&mut shop, 0, "2026-01-07T09:00", "o1", earned);
    assert_eq!(sum_of(&bought, EffectKind::Accrual, "point"), earned);
    assert_eq!(sum_of(&bought, EffectKind::ToPool, "point"), pooled);
    assert_eq!((pool(&mut shop).0, has(&mut shop, 0)), (pooled, kept));
    // Whoever is in no household keeps what they earn.
    buy(&mut shop, 2, "2026-01-07T09:00", "o2", earned);
    assert_eq!(has(&mut shop, 2), earned);
}

#[test]
fn p5_lots_keep_their_dates_in_the_pool_and_on_the_way_home() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-20T09:00", "o2", 20);
    buy(&mut shop, 1, "2026-02-07T09:00", "o3", 40);
    let expected = [("2027-01-31".to_owned(), 80), ("2027-02-28".to_owned(), 40)];
    assert_eq!(shop.of_member(HOME).lots("point"), expected);
    leave(&mut shop, 1, "2026-03-01T09:00").unwrap();
    assert_eq!(shop.of_member(1).lots("point"), [("2027-01-31".to_owned(), 20), ("2027-02-28".to_owned(), 40)]);
    assert_eq!(pool(&mut shop), (60, [60, 0, 0]));
}

#[test]
fn l6_what_waits_goes_into_the_pool_when_it_matures() {
    let mut shop = couple_of(ALL, "pending: P14D");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    assert_eq!((pool(&mut shop).0, has(&mut shop, 0)), (0, 0));
    shop.of_member(0).wake("2026-01-22T09:00");
    shop.relay();
    assert_eq!(pool(&mut shop), (60, [60, 0, 0]));
}

#[test]
fn p5_points_are_put_in_by_hand_where_the_document_lets_members() {
    let mut shop = couple("pools: { point: { by_hand: true } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let put = |amount| HouseholdStep::PutIn { currency: tessera_testkit::shop::id("point"), amount };
    step(&mut shop, 0, "2026-01-08T09:00", put(45)).unwrap();
    shop.relay();
    assert_eq!((pool(&mut shop), has(&mut shop, 0)), ((45, [45, 0, 0]), 15));
    assert_eq!(step(&mut shop, 0, "2026-01-08T10:00", put(16)).unwrap_err().code(), "not-enough-points");
    assert_eq!(step(&mut shop, 2, "2026-01-08T10:00", put(1)).unwrap_err(), Rejected::NotInHousehold);
    let mut shop = couple(ALL);
    assert_eq!(step(&mut shop, 0, "2026-01-08T10:00", put(1)).unwrap_err().code(), "not-by-hand");
}

#[test]
fn p4_what_a_frozen_member_earns_stays_with_them() {
    let mut shop = couple(ALL);
    let freeze = tessera_core::event::Freeze { frozen: true, reason: "abuse".into() };
    let freeze = tessera_core::event::What::Freeze(freeze);
    shop.of_member(0).ask(tessera_testkit::shop::at("2026-01-07T08:00"), freeze).unwrap();
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    assert_eq!((has(&mut shop, 0), pool(&mut shop).0), (60, 0));
}

#[test]
fn p5_each_currency_goes_into_its_own_pool() {
    let mut shop = Shop::new(
        "households: { pools: { point: { contribute: all }, star: { contribute: 0.5 } } }
currencies: { point: { name: P, expires: never }, star: { name: S, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  stars: { trigger: purchase, rules: [ { award: { currency: star, amount: 8 } } ] }",
    );
    shop.send("2026-01-05T09:00", "enrol", "{}");
    step(&mut shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    assert_eq!((shop.of_member(0).available("point"), shop.available("star")), (0, 4));
    assert_eq!((shop.of_member(1).available("point"), shop.available("star")), (60, 4));
}

#[test]
fn p5_all_of_it_may_be_put_in_and_nothing_may_not() {
    let mut shop = couple("pools: { point: { by_hand: true } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let put = |amount| HouseholdStep::PutIn { currency: tessera_testkit::shop::id("point"), amount };
    for nothing in [0, -5] {
        let refused = step(&mut shop, 0, "2026-01-08T09:00", put(nothing)).unwrap_err();
        assert_eq!(refused, Rejected::NothingToTransfer);
    }
    step(&mut shop, 0, "2026-01-08T09:00", put(60)).unwrap();
    shop.relay();
    assert_eq!(pool(&mut shop).0, 60);
    // What cannot arrive is theirs again, and no part of what may be asked back from the pool.
    buy(&mut shop, 1, "2026-01-08T09:30", "o2", 40);
    step(&mut shop, 1, "2026-01-08T10:00", put(40)).unwrap();
    let (by, member) = (id_of(&mut shop, 0), id_of(&mut shop, 1));
    step(&mut shop, HOME, "2026-01-08T10:00", HouseholdStep::Remove { by, member }).unwrap();
    shop.relay();
    assert_eq!((has(&mut shop, 1), shop.of_member(1).state().belongs.unwrap().given), (40, vec![]));
}

#[test]
fn p5_what_reached_the_pool_when_it_was_dead_is_dead() {
    let mut shop = couple("pools: { point: { by_hand: true } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let put = HouseholdStep::PutIn { currency: tessera_testkit::shop::id("point"), amount: 60 };
    step(&mut shop, 0, "2027-01-31T23:00", put).unwrap();
    // The household has been seen in February already when they come.
    shop.of_member(HOME).wake("2027-02-01T09:00");
    let by = id_of(&mut shop, 0);
    step(&mut shop, HOME, "2027-02-01T10:00", HouseholdStep::Invite { by, to: None, code: CODE }).unwrap();
    shop.relay();
    assert_eq!(pool(&mut shop).0, 0);
    assert_eq!(shop.of_member(HOME).state().purse("point").unwrap().totals.expired.get(), 60);
}

#[test]
fn p5_what_is_not_earned_stays_with_the_member() {
    let mut shop = couple("pools: { point: { contribute: 0.5 } }");
    shop.of_member(0).adjust("2026-01-07T09:00", "point", 50).unwrap();
    shop.relay();
    assert_eq!((has(&mut shop, 0), pool(&mut shop).0), (50, 0));
    // Nor is what repays a debt.
    shop.of_member(0).adjust("2026-01-07T10:00", "point", -70).unwrap();
    buy(&mut shop, 0, "2026-01-08T09:00", "o1", 60);
    assert_eq!((has(&mut shop, 0), pool(&mut shop).0), (20, 20));
}

#[test]
fn p5_all_that_one_order_earned_goes_into_the_pool_less_what_was_spent_at_once() {
    let mut shop = Shop::new(
        "households: { pools: { stamp: { contribute: all } } }
currencies: { stamp: { name: S, expires: never }, point: { name: P, expires: never } }
campaigns:
  cups: { trigger: purchase, rules: [ { award: { currency: stamp, amount: event.net / 10000 } } ] }
  more: { trigger: purchase, earning: bonus, rules: [ { award: { currency: stamp, amount: 3 } } ] }
  card: { trigger: balance, rules: [ { when: member.balance.stamp >= 5, spend: { currency: stamp, amount: 5 }, award: { currency: point, amount: 1 } } ] }",
    );
    shop.send("2026-01-05T09:00", "enrol", "{}");
    step(&mut shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    for (order, thousands, pooled) in [("o1", 10, 4), ("o2", 30, 4 + 1)] {
        buy(&mut shop, 0, "2026-01-07T09:00", order, thousands);
        assert_eq!(
            (shop.of_member(0).available("stamp"), shop.of_member(1).available("stamp")),
            (0, pooled),
            "{order}"
        );
    }
}

#[test]
fn l4_undated_points_keep_in_the_pool_the_date_they_had() {
    let mut shop = Shop::new(
        "households: { pools: { point: { by_hand: true } } }
currencies: { point: { name: P, expires: { inactivity: P6M, moved_by: [purchase] } } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }",
    );
    for member in 0..3 {
        shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
    }
    found(&mut shop);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let put = HouseholdStep::PutIn { currency: tessera_testkit::shop::id("point"), amount: 40 };
    step(&mut shop, 0, "2026-02-01T09:00", put).unwrap();
    shop.relay();
    assert_eq!(shop.of_member(HOME).lots("point"), [("2026-07-07".to_owned(), 40)]);
    // Whoever goes on shopping keeps alive what they have; what is in the pool has its date, also when it comes home.
    buy(&mut shop, 0, "2026-06-07T09:00", "o2", 1);
    leave(&mut shop, 0, "2026-06-08T09:00").unwrap();
    assert_eq!(shop.of_member(0).lots("point"), [("2026-07-07".to_owned(), 40), ("-".to_owned(), 21)]);
}

#[test]
fn l1_a_pool_holds_no_more_than_there_can_be_and_what_is_too_much_is_whose_it_was() {
    let mut shop = couple("pools: { point: { by_hand: true } }");
    let put = HouseholdStep::PutIn { currency: tessera_testkit::shop::id("point"), amount: 600_000_000_000 };
    for member in [0, 1] {
        shop.of_member(member).adjust("2026-01-07T09:00", "point", 600_000_000_000).unwrap();
        step(&mut shop, member, "2026-01-08T09:00", put.clone()).unwrap();
    }
    let told = shop.relay();
    assert_eq!(told[1].as_ref().unwrap_err().code(), "no-room");
    let most = 600_000_000_000;
    assert_eq!((has(&mut shop, 0), has(&mut shop, 1), pool(&mut shop)), (0, most, (most, [most, 0, 0])));
    assert_eq!(shop.of_member(1).state().belongs.unwrap().given, []);
}
