//! P5, F1, C9, R1, R7: households, what goes into their pool, who spends it, and what comes back to whom.

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, Rejected};
use tessera_core::event::{HouseholdStep, Redeem};
use tessera_core::id::{EventId, MemberId};
use tessera_core::member::Status;
use tessera_core::program::{Severity, read_document};
use tessera_testkit::shop::{Shop, count_of, document, json::*, reserve, spend, sum_of};

const CODE: [u8; 16] = [9; 16];
/// The household stands behind the three members.
const HOME: usize = 3;

fn program(households: &str, currency: &str) -> String {
    format!(
        "
households: {{ {households} }}
currencies: {{ point: {{ name: P, expires: {{ after: P12M, round: month }}, {currency} }} }}
referral: {{ qualifies: {{ trigger: purchase }}, gives: {{ referrer: [ {{ award: {{ currency: point, amount: 100 }} }} ] }}, told_within: P30D }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}"
    )
}

/// Members 0, 1 and 2 have joined the program.
fn shop_of(households: &str, currency: &str) -> Shop {
    joined(&program(households, currency))
}

fn joined(document: &str) -> Shop {
    let mut shop = Shop::new(document);
    for member in 0..3 {
        shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
    }
    shop
}

const ALL: &str = "pools: { point: { contribute: all } }";

fn id_of(shop: &mut Shop, member: usize) -> MemberId {
    shop.of_member(member).member().id
}

fn step(shop: &mut Shop, member: usize, time: &str, step: HouseholdStep) -> Result<Decision, Rejected> {
    shop.of_member(member).household(time, step)
}

/// Member 0 founds a household.
fn found(shop: &mut Shop) -> MemberId {
    step(shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    id_of(shop, HOME)
}

fn invite(shop: &mut Shop, time: &str, to: Option<usize>) -> Result<Decision, Rejected> {
    let by = id_of(shop, 0);
    let to = to.map(|to| id_of(shop, to));
    step(shop, HOME, time, HouseholdStep::Invite { by, to, code: CODE })
}

fn accept(shop: &mut Shop, member: usize, time: &str, code: Option<[u8; 16]>) -> Result<Decision, Rejected> {
    let household = id_of(shop, HOME);
    let accepted = step(shop, member, time, HouseholdStep::Accept { household, code });
    shop.relay();
    accepted
}

/// Members 0 (the head) and 1 are a household.
fn couple_of(households: &str, currency: &str) -> Shop {
    coupled(shop_of(households, currency))
}

fn coupled(mut shop: Shop) -> Shop {
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    accept(&mut shop, 1, "2026-01-06T11:00", None).unwrap();
    shop
}

fn couple(households: &str) -> Shop {
    couple_of(households, "")
}

fn buy(shop: &mut Shop, member: usize, time: &str, order: &str, thousands: i64) -> Decision {
    let bought = shop.of_member(member).send(time, "purchase", &sale(order, thousands * 1_000));
    shop.relay();
    bought
}

/// What is in the pool, and each member's part of it.
fn pool(shop: &mut Shop) -> (i64, [i64; 3]) {
    let ids = [0, 1, 2].map(|member| id_of(shop, member));
    let state = shop.of_member(HOME).state();
    let household = state.household.clone().unwrap();
    (shop.available("point"), ids.map(|id| household.part_of(id, "point")))
}

fn has(shop: &mut Shop, member: usize) -> i64 {
    shop.of_member(member).available("point")
}

fn pay(shop: &mut Shop, by: usize, time: &str, redeem: Redeem) -> Result<Decision, Rejected> {
    let by = Some(id_of(shop, by));
    shop.of_member(HOME).redeem(time, Redeem { by, ..redeem })
}

fn leave(shop: &mut Shop, member: usize, time: &str) -> Result<Decision, Rejected> {
    let left = step(shop, member, time, HouseholdStep::Leave);
    shop.relay();
    left
}

#[test]
fn p5_a_household_is_a_holder_of_its_own_with_its_founder_as_head() {
    let mut shop = shop_of(ALL, "");
    let household = found(&mut shop);
    let state = shop.of_member(HOME).state();
    assert_eq!((state.status, state.status.code()), (Status::Household, 6));
    let people = state.household.unwrap().people;
    assert_eq!((people.len(), people[0].head), (1, true));
    assert_eq!(shop.of_member(0).state().home(), Some(household));
    let again = step(&mut shop, 0, "2026-01-07T09:00", HouseholdStep::Found { known: None }).unwrap_err();
    assert_eq!(again.code(), "in-household");
}

#[test]
fn p5_nobody_is_in_a_household_without_accepting() {
    let mut shop = shop_of(ALL, "");
    let household = found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    assert_eq!(shop.of_member(1).state().home(), None);
    // An invitation for one member is for no other, and a code that nobody gave opens nothing.
    accept(&mut shop, 2, "2026-01-06T11:00", None).unwrap();
    accept(&mut shop, 2, "2026-01-06T11:10", Some([1; 16])).unwrap();
    let state = shop.of_member(2).state();
    assert_eq!((state.home(), state.belongs.unwrap().household), (None, None));
    let refused = shop.member().events.last().unwrap().record.effects[0].clone();
    assert_eq!((refused.kind, refused.reason.as_deref()), (EffectKind::HouseholdRefused, Some("not-invited")));
    accept(&mut shop, 1, "2026-01-06T12:00", None).unwrap();
    assert_eq!(shop.of_member(1).state().home(), Some(household));
}

#[test]
fn p5_a_code_lets_one_in_and_until_its_end() {
    let mut shop = shop_of(ALL, "");
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", None).unwrap();
    accept(&mut shop, 1, "2026-01-13T23:00", Some(CODE)).unwrap();
    accept(&mut shop, 2, "2026-01-13T23:10", Some(CODE)).unwrap();
    assert!(shop.of_member(1).state().home().is_some());
    assert_eq!(shop.of_member(2).state().home(), None);
    invite(&mut shop, "2026-01-14T10:00", None).unwrap();
    accept(&mut shop, 2, "2026-01-22T00:00", Some(CODE)).unwrap();
    assert_eq!(shop.of_member(2).state().home(), None, "seven days are over");
}

#[test]
fn p5_a_household_has_its_size() {
    let mut shop = couple("size: 2, pools: { point: { contribute: all } }");
    assert_eq!(invite(&mut shop, "2026-01-07T09:00", None).unwrap_err(), Rejected::HouseholdFull { size: 2 });
}

#[test]
fn p5_the_head_invites_sends_away_and_makes_another_head() {
    let mut shop = couple(ALL);
    let (first, second) = (id_of(&mut shop, 0), id_of(&mut shop, 1));
    let asks = HouseholdStep::Invite { by: second, to: None, code: CODE };
    assert_eq!(step(&mut shop, HOME, "2026-01-07T09:00", asks.clone()).unwrap_err().code(), "only-the-head");
    let removal = HouseholdStep::Remove { by: second, member: first };
    assert_eq!(step(&mut shop, HOME, "2026-01-07T09:00", removal).unwrap_err().code(), "only-the-head");
    let head = HouseholdStep::NewHead { by: first, to: second };
    step(&mut shop, HOME, "2026-01-07T09:00", head).unwrap();
    step(&mut shop, HOME, "2026-01-07T09:10", asks).unwrap();
    buy(&mut shop, 0, "2026-01-08T09:00", "o1", 50);
    let removal = HouseholdStep::Remove { by: second, member: first };
    step(&mut shop, HOME, "2026-01-09T09:00", removal).unwrap();
    shop.relay();
    assert_eq!((has(&mut shop, 0), pool(&mut shop)), (50, (0, [0, 0, 0])));
    assert_eq!(shop.of_member(0).state().home(), None);
    let stranger = id_of(&mut shop, 2);
    let removal = HouseholdStep::Remove { by: second, member: stranger };
    assert_eq!(step(&mut shop, HOME, "2026-01-09T10:00", removal).unwrap_err().code(), "not-of-household");
}

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
fn p5_spending_takes_the_spenders_own_part_first_and_gives_it_back_to_whose_it_was() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    let spent = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 70)).unwrap();
    assert_eq!(pool(&mut shop), (30, [30, 0, 0]));
    let view = spent.outcome.redemption.clone().unwrap();
    assert_eq!(view.by, Some(id_of(&mut shop, 1).to_string().into()));
    let redemption = spent.events[spent.main].seq;
    shop.of_member(HOME).cancel("2026-01-09T09:00", redemption, Some(20)).unwrap();
    assert_eq!(pool(&mut shop), (50, [50, 0, 0]), "last spent, first back");
    shop.of_member(HOME).cancel("2026-01-09T10:00", redemption, None).unwrap();
    assert_eq!(pool(&mut shop), (100, [60, 40, 0]));
    assert_eq!(shop.of_member(HOME).lots("point"), [("2027-01-31".to_owned(), 100)]);
}

#[test]
fn i3_a_reservation_of_the_pool_is_captured_in_part_voided_or_ends() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    let held = pay(&mut shop, 1, "2026-01-08T09:00", reserve("point", 70)).unwrap();
    assert_eq!((pool(&mut shop).0, shop.of_member(HOME).balance("point").held), (30, 70));
    let redemption = held.events[held.main].seq;
    shop.of_member(HOME).capture("2026-01-08T09:05", redemption, Some(50)).unwrap();
    // 40 of the spender's own and 10 of the other's.
    assert_eq!(pool(&mut shop), (50, [50, 0, 0]));
    let held = pay(&mut shop, 0, "2026-01-08T10:00", reserve("point", 50)).unwrap();
    let redemption = held.events[held.main].seq;
    shop.of_member(HOME).void("2026-01-08T10:05", redemption).unwrap();
    assert_eq!(pool(&mut shop), (50, [50, 0, 0]));
    pay(&mut shop, 0, "2026-01-08T11:00", reserve("point", 50)).unwrap();
    shop.of_member(HOME).wake("2026-01-08T11:15");
    assert_eq!(pool(&mut shop), (50, [50, 0, 0]));
}

#[test]
fn r7_what_comes_back_after_its_end_stays_expired() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let spent = pay(&mut shop, 0, "2027-01-30T09:00", spend("point", 60)).unwrap();
    let back = shop.of_member(HOME).cancel("2027-02-02T09:00", spent.events[spent.main].seq, None).unwrap();
    assert_eq!(sum_of(&back, EffectKind::Expired, "point"), 60);
    assert_eq!(pool(&mut shop), (0, [0, 0, 0]));
}

#[test]
fn p5_only_who_is_in_it_spends_and_says_who_they_are() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    let stranger = pay(&mut shop, 2, "2026-01-08T09:00", spend("point", 10)).unwrap_err();
    assert_eq!(stranger.code(), "not-of-household");
    let nobody = shop.of_member(HOME).redeem("2026-01-08T09:00", spend("point", 10)).unwrap_err();
    assert_eq!(nobody, Rejected::WhoSpends);
    let too_much = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 61)).unwrap_err();
    assert_eq!((too_much.code(), too_much.facts()["available"].as_i64()), ("not-enough-points", Some(60)));
    // A member's own points are no pool.
    let by = Some(id_of(&mut shop, 1));
    let wrong = shop.of_member(0).redeem("2026-01-08T09:00", Redeem { by, ..spend("point", 1) }).unwrap_err();
    assert_eq!(wrong, Rejected::NoSuchHousehold);
}

#[test]
fn p5_the_document_says_who_spends_and_how_much() {
    let mut shop = couple("pools: { point: { contribute: all, spend: head } }");
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    assert_eq!(pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 10)).unwrap_err().code(), "only-the-head");
    pay(&mut shop, 0, "2026-01-08T09:00", spend("point", 10)).unwrap();
    let mut shop = couple("pools: { point: { contribute: all, spend: own_part } }");
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 0, "2026-01-07T09:00", "o2", 20);
    let refused = pay(&mut shop, 0, "2026-01-08T09:00", spend("point", 21)).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["available"].as_i64()), ("not-enough-points", Some(20)));
    pay(&mut shop, 0, "2026-01-08T09:00", spend("point", 20)).unwrap();
    assert_eq!(pool(&mut shop), (60, [0, 60, 0]));
}

#[test]
fn p5_each_spends_at_most_what_the_window_leaves_and_what_comes_back_makes_room() {
    let mut shop = couple("pools: { point: { contribute: all, per_member: { month: 50 } } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 300);
    let spent = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 40)).unwrap();
    let refused = pay(&mut shop, 1, "2026-01-08T10:00", spend("point", 11)).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["spent"].as_i64()), ("pool-limit", Some(40)));
    pay(&mut shop, 0, "2026-01-08T10:00", spend("point", 50)).unwrap();
    shop.of_member(HOME).cancel("2026-01-09T09:00", spent.events[spent.main].seq, Some(30)).unwrap();
    let held = pay(&mut shop, 1, "2026-01-09T10:00", reserve("point", 40)).unwrap();
    shop.of_member(HOME).void("2026-01-09T10:05", held.events[held.main].seq).unwrap();
    pay(&mut shop, 1, "2026-01-09T11:00", spend("point", 40)).unwrap();
    pay(&mut shop, 1, "2026-02-01T09:00", spend("point", 50)).unwrap();
}

#[test]
fn p5_whoever_leaves_takes_what_is_left_of_their_own_and_cools_off() {
    let mut shop = couple("cooling_off: P30D, pools: { point: { contribute: all } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    pay(&mut shop, 0, "2026-01-08T09:00", spend("point", 75)).unwrap();
    leave(&mut shop, 1, "2026-01-10T09:00").unwrap();
    assert_eq!((has(&mut shop, 1), pool(&mut shop)), (25, (0, [0, 0, 0])));
    let early = step(&mut shop, 1, "2026-02-08T23:00", HouseholdStep::Found { known: None }).unwrap_err();
    assert_eq!(early, Rejected::HouseholdCoolingOff { from: "2026-02-09".parse().unwrap() });
    step(&mut shop, 1, "2026-02-09T00:00", HouseholdStep::Found { known: None }).unwrap();
    assert_eq!(leave(&mut shop, 2, "2026-01-10T09:00").unwrap_err(), Rejected::NotInHousehold);
}

#[test]
fn p5_when_the_head_leaves_the_longest_there_is_head_and_the_last_one_takes_the_rest() {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-07T09:00", Some(2)).unwrap();
    accept(&mut shop, 2, "2026-01-07T10:00", None).unwrap();
    for member in 0..3 {
        buy(&mut shop, member, "2026-01-08T09:00", &format!("o{member}"), 10);
    }
    leave(&mut shop, 0, "2026-01-09T09:00").unwrap();
    let household = shop.of_member(HOME).state().household.unwrap();
    assert!(household.people[0].head && household.people[0].member == id_of(&mut shop, 1));
    // Whoever leaves the program leaves behind what they had put in.
    shop.of_member(1)
        .ask(tessera_testkit::shop::at("2026-01-10T09:00"), tessera_core::event::What::Leave { erase: true })
        .unwrap();
    shop.relay();
    assert_eq!(pool(&mut shop), (20, [0, 0, 10]));
    leave(&mut shop, 2, "2026-01-11T09:00").unwrap();
    assert_eq!((has(&mut shop, 2), pool(&mut shop).0), (20, 0));
    let by = Some(id_of(&mut shop, 2));
    let closed = shop.of_member(HOME).redeem("2026-01-12T09:00", Redeem { by, ..spend("point", 1) }).unwrap_err();
    assert_eq!(closed, Rejected::HouseholdClosed);
}

#[test]
fn p5_what_was_reserved_when_its_owner_left_is_the_households_own() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    let held = pay(&mut shop, 0, "2026-01-08T09:00", reserve("point", 30)).unwrap();
    leave(&mut shop, 1, "2026-01-08T09:05").unwrap();
    assert_eq!(has(&mut shop, 1), 10);
    shop.of_member(HOME).void("2026-01-08T09:10", held.events[held.main].seq).unwrap();
    assert_eq!(pool(&mut shop), (30, [0, 0, 0]));
}

#[test]
fn p5_points_on_their_way_to_a_household_that_was_left_come_back() {
    let mut shop = couple(ALL);
    shop.of_member(1).send("2026-01-07T09:00", "purchase", &sale("o1", 50_000));
    let first = id_of(&mut shop, 0);
    let second = id_of(&mut shop, 1);
    let removal = HouseholdStep::Remove { by: first, member: second };
    step(&mut shop, HOME, "2026-01-07T09:01", removal).unwrap();
    shop.relay();
    assert_eq!((has(&mut shop, 1), pool(&mut shop).0), (50, 0));
}

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
fn p7_points_may_be_sent_within_the_household_alone() {
    let mut shop = Shop::new(&format!(
        "transfers: {{ point: {{ to: household }} }}\n{}",
        program("pools: { point: { by_hand: true } }", "")
    ));
    for member in 0..3 {
        shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
    }
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    accept(&mut shop, 1, "2026-01-06T11:00", None).unwrap();
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 2, "2026-01-07T09:00", "o2", 60);
    shop.of_member(0).transfer("2026-01-08T09:00", 1, "point", 20).unwrap();
    shop.transfer("2026-01-08T10:00", 2, "point", 30).unwrap();
    shop.relay();
    assert_eq!([0, 1, 2].map(|member| has(&mut shop, member)), [40, 20, 60]);
    let alone = shop.of_member(2).transfer("2026-01-08T11:00", 0, "point", 5).unwrap_err();
    assert_eq!(alone, Rejected::NotInHousehold);
}

#[test]
fn f1_household_blocks_a_referral_between_its_people() {
    let mut shop = Shop::new(&program(ALL, ""));
    shop.send("2026-01-05T09:00", "enrol", "{}");
    shop.of_member(1).join_brought_by("2026-01-05T10:00", 0, None).unwrap();
    shop.of_member(2).join_brought_by("2026-01-05T10:00", 0, None).unwrap();
    shop.relay();
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    accept(&mut shop, 1, "2026-01-06T11:00", None).unwrap();
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 50);
    let referral = shop.of_member(1).state().referral.unwrap();
    assert_eq!(referral.reason.as_deref(), Some("same-household"));
    assert_eq!(pool(&mut shop).0, 50);
    // Somebody else pays, and it goes into the pool as everything that is earned.
    buy(&mut shop, 2, "2026-01-07T09:00", "o2", 50);
    assert_eq!(pool(&mut shop), (150, [100, 50, 0]));
}

#[test]
fn c9_with_households_the_person_may_be_the_household() {
    let held = |holdout: &str| {
        let mut together = 0;
        for number in 0..12 {
            let text = format!(
                "
households: {{ holdout: {holdout}, pools: {{ point: {{ by_hand: true }} }} }}
currencies: {{ point: {{ name: P, expires: never }} }}
campaigns:
  offer-{number}: {{ trigger: purchase, earning: bonus, holdout: 0.5, rules: [ {{ award: {{ currency: point, amount: 7 }} }} ] }}"
            );
            let mut shop = Shop::new(&text);
            for member in 0..3 {
                shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
            }
            found(&mut shop);
            invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
            accept(&mut shop, 1, "2026-01-06T11:00", None).unwrap();
            buy(&mut shop, 0, "2026-01-07T09:00", "o1", 10);
            buy(&mut shop, 1, "2026-01-07T09:00", "o2", 10);
            let [first, second] = [0, 1].map(|member| shop.of_member(member).state().exposures[0].1);
            together += u32::from(first == second);
        }
        together
    };
    assert_eq!(held("household"), 12);
    assert!(held("member") < 12);
}

#[test]
fn p5_so_many_invitations_are_open_at_once_and_none_for_who_is_there() {
    let mut shop = couple(ALL);
    let refused = invite(&mut shop, "2026-01-07T09:00", Some(1)).unwrap_err();
    assert_eq!(refused.code(), "of-household-already");
    for _ in 0..20 {
        invite(&mut shop, "2026-01-07T09:00", None).unwrap();
    }
    let refused = invite(&mut shop, "2026-01-07T10:00", None).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["most"].as_u64()), ("too-many-invitations", Some(20)));
    // Seven days later none is open any more.
    assert_eq!(invite(&mut shop, "2026-01-14T23:59", None).unwrap_err().code(), "too-many-invitations");
    invite(&mut shop, "2026-01-15T00:00", None).unwrap();
}

#[test]
fn p5_only_the_code_that_was_given_opens_and_only_while_there_is_room() {
    let mut shop = shop_of("size: 2, pools: { point: { contribute: all } }", "");
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", None).unwrap();
    accept(&mut shop, 1, "2026-01-06T11:00", Some([1; 16])).unwrap();
    assert_eq!(shop.of_member(1).state().home(), None, "another code");
    // Two are invited while there is room for one.
    let (head, third) = (id_of(&mut shop, 0), id_of(&mut shop, 2));
    let invites = HouseholdStep::Invite { by: head, to: Some(third), code: [8; 16] };
    step(&mut shop, HOME, "2026-01-06T11:10", invites).unwrap();
    accept(&mut shop, 1, "2026-01-06T12:00", Some(CODE)).unwrap();
    accept(&mut shop, 2, "2026-01-06T13:00", None).unwrap();
    assert_eq!((shop.of_member(1).state().home().is_some(), shop.of_member(2).state().home()), (true, None));
    let refused = shop.member().events.last().unwrap().record.effects[0].clone();
    assert_eq!(refused.reason.as_deref(), Some("household-full"));
    // Who was never in one has left none, and need not wait.
    assert_eq!(shop.state().belongs.unwrap().left_on, None);
    // Where everybody has gone nobody is let in.
    for member in [1, 0] {
        leave(&mut shop, member, "2026-01-07T09:00").unwrap();
    }
    accept(&mut shop, 2, "2026-01-07T10:00", None).unwrap();
    let refused = shop.of_member(2).member().events.last().unwrap().record.effects[0].clone();
    assert_eq!(refused.reason.as_deref(), Some("household-closed"));
}

#[test]
fn p5_who_changes_their_mind_before_they_are_taken_in_is_in_no_household() {
    let mut shop = shop_of("cooling_off: P30D, pools: { point: { contribute: none, by_hand: true } }", "");
    let household = found(&mut shop);
    buy(&mut shop, 1, "2026-01-06T09:30", "o1", 50);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    step(&mut shop, 1, "2026-01-06T11:00", HouseholdStep::Accept { household, code: None }).unwrap();
    let put = HouseholdStep::PutIn { currency: tessera_testkit::shop::id("point"), amount: 5 };
    assert_eq!(step(&mut shop, 1, "2026-01-06T11:00", put).unwrap_err(), Rejected::NotInHousehold, "not yet");
    step(&mut shop, 1, "2026-01-06T11:00", HouseholdStep::Leave).unwrap();
    shop.relay();
    let belongs = shop.of_member(1).state().belongs.unwrap();
    assert_eq!((belongs.household, belongs.left_on), (None, None));
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!(people.len(), 1, "both sides say so");
    step(&mut shop, 1, "2026-01-07T09:00", HouseholdStep::Found { known: None })
        .expect("who was in none need not wait");
}

#[test]
fn p5_a_refusal_makes_nobody_wait_less_than_their_last_household_does() {
    let mut shop = couple("cooling_off: P30D, pools: { point: { contribute: all } }");
    leave(&mut shop, 1, "2026-01-10T09:00").unwrap();
    // After the time they ask somewhere in vain: when they left is still known.
    accept(&mut shop, 1, "2026-02-10T09:00", None).unwrap();
    let belongs = shop.of_member(1).state().belongs.unwrap();
    assert_eq!((belongs.household, belongs.left_on.unwrap().to_string()), (None, "2026-01-10".into()));
}

#[test]
fn p5_the_head_alone_passes_it_on_and_stays_it_when_others_go() {
    let mut shop = couple(ALL);
    let (head, other) = (id_of(&mut shop, 0), id_of(&mut shop, 1));
    let taken = HouseholdStep::NewHead { by: other, to: other };
    assert_eq!(step(&mut shop, HOME, "2026-01-07T09:00", taken).unwrap_err().code(), "only-the-head");
    leave(&mut shop, 1, "2026-01-08T09:00").unwrap();
    let last = shop.of_member(HOME).member().events.last().unwrap();
    assert!(last.record.effects.iter().all(|effect| effect.kind != EffectKind::HouseholdHead), "nothing changed");
    assert!(shop.state().household.unwrap().person(head).unwrap().head);
}

#[test]
fn p5_a_gift_card_founds_no_household() {
    let mut shop = Shop::new(&format!("gift_cards: {{}}\n{}", program(ALL, "")));
    let card = tessera_core::event::GiftCardStep::Issue { code: [1; 16], amount: 0 };
    shop.ask(tessera_testkit::shop::at("2026-01-05T09:00"), tessera_core::event::What::GiftCard(card)).unwrap();
    assert_eq!(
        step(&mut shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap_err(),
        Rejected::NeedsMember
    );
}

#[test]
fn i3_what_the_last_one_out_had_reserved_is_void() {
    let mut shop = shop_of(ALL, "");
    found(&mut shop);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    pay(&mut shop, 0, "2026-01-08T09:00", reserve("point", 45)).unwrap();
    leave(&mut shop, 0, "2026-01-08T09:01").unwrap();
    assert_eq!((has(&mut shop, 0), shop.of_member(HOME).balance("point").held), (60, 0));
}

#[test]
fn p5_what_is_nobodys_pays_first_but_not_where_everybody_spends_their_own() {
    for (who, mine, left) in [("anyone", 10, [20, 0]), ("own_part", 20, [0, 0])] {
        let mut shop = couple(&format!("pools: {{ point: {{ contribute: all, spend: {who} }} }}"));
        buy(&mut shop, 0, "2026-01-07T09:00", "o1", 20);
        buy(&mut shop, 1, "2026-01-07T10:00", "o2", 10);
        // What somebody leaves behind with the program is the household's own, in one lot with the rest.
        let gone = tessera_core::event::What::Leave { erase: false };
        shop.of_member(1).ask(tessera_testkit::shop::at("2026-01-08T09:00"), gone).unwrap();
        shop.relay();
        assert_eq!(pool(&mut shop), (30, [20, 0, 0]));
        pay(&mut shop, 0, "2026-01-09T09:00", spend("point", mine)).unwrap();
        assert_eq!(pool(&mut shop), (30 - mine, [left[0], left[1], 0]), "{who}");
    }
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
fn r5_a_return_takes_the_orders_own_points_out_of_the_pool_first() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 30);
    buy(&mut shop, 0, "2026-02-07T09:00", "o2", 20);
    shop.of_member(0).send("2026-02-08T09:00", "return", &back_all("o2"));
    shop.relay();
    assert_eq!(shop.of_member(HOME).lots("point"), [("2027-01-31".to_owned(), 30)], "old points become no younger");
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
fn p5_a_limit_that_comes_later_is_not_gone_below_none_by_what_was_spent_before() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 100);
    let spent = pay(&mut shop, 1, "2026-01-08T09:00", spend("point", 40)).unwrap();
    let limited = program("pools: { point: { contribute: all, per_member: { month: 50 } } }", "");
    shop.publish("2026-01-09T00:00", &limited);
    shop.of_member(HOME).cancel("2026-01-09T09:00", spent.events[spent.main].seq, None).unwrap();
    assert!(shop.state().counters.iter().all(|counter| counter.used > 0), "{:?}", shop.state().counters);
    let refused = pay(&mut shop, 1, "2026-01-09T10:00", spend("point", 51)).unwrap_err();
    assert_eq!(refused.code(), "pool-limit");
}

#[test]
fn p5_a_household_is_no_member() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    assert_eq!(shop.of_member(HOME).refused("2026-01-08T09:00", "purchase", &sale("o9", 1_000)), Rejected::NeedsMember);
    assert_eq!(shop.adjust("2026-01-08T09:00", "point", 5).unwrap_err(), Rejected::NeedsMember);
    let by = id_of(&mut shop, 0);
    let invites = HouseholdStep::Invite { by, to: None, code: CODE };
    assert_eq!(step(&mut shop, 1, "2026-01-08T09:00", invites).unwrap_err(), Rejected::NoSuchHousehold);
    let id = EventId { member: id_of(&mut shop, HOME), seq: 1 };
    assert_ne!(id.member, by);
}

#[test]
fn p5_without_the_section_there_are_no_households() {
    let mut shop = Shop::new("currencies: { point: { name: P, expires: never } }");
    shop.send("2026-01-05T09:00", "enrol", "{}");
    assert_eq!(
        step(&mut shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap_err(),
        Rejected::NoHouseholds
    );
}

#[rstest]
#[case::size("size: 1", "2 to 20 people")]
#[case::invitation("invitation: P0D", "nobody could accept")]
#[case::currency("pools: { bean: { contribute: all } }", "`households.pools.bean`")]
#[case::nothing("pools: { point: {} }", "nothing would ever be in this pool")]
#[case::share("pools: { point: { contribute: 1.5 } }", "all, none, or a share from 0 to 1")]
#[case::limit("pools: { point: { contribute: all, per_member: { day: 0 } } }", "a number above 0")]
#[case::misspelt("pools: { point: { contributes: all } }", "contribute")]
fn p5_mistakes_in_the_section_are_found(#[case] section: &str, #[case] words: &str) {
    let problems = read_document(&document(&program(section, ""))).unwrap_err();
    let errors: Vec<String> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect();
    assert!(errors.iter().any(|error| error.contains(words.trim_matches('`'))), "{errors:?}");
}

/// The member becomes one with another, and everybody hears of it.
fn merge(shop: &mut Shop, from: usize, into: usize, time: &str) -> Result<Decision, Rejected> {
    let merged = shop.of_member(from).merge(time, into).unwrap();
    shop.relay().remove(0).map(|_| merged)
}

#[test]
fn p1_a_place_in_a_household_goes_along_and_comes_back() {
    let mut shop = couple("pools: { point: { contribute: all, per_member: { month: 50 } } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    pay(&mut shop, 0, "2026-01-07T11:00", spend("point", 20)).unwrap();
    let held = pay(&mut shop, 0, "2026-01-07T11:05", reserve("point", 10)).unwrap();
    let ids = [0, 1, 2].map(|member| id_of(&mut shop, member));
    merge(&mut shop, 0, 2, "2026-01-07T11:06").unwrap();
    let people = |shop: &mut Shop| -> Vec<(MemberId, bool)> {
        let people = shop.of_member(HOME).state().household.unwrap().people;
        people.iter().map(|person| (person.member, person.head)).collect()
    };
    assert_eq!(people(&mut shop), [(ids[2], true), (ids[1], false)]);
    assert_eq!(pool(&mut shop), (70, [0, 40, 30]));
    // What is reserved is theirs by now, and what was spent counts.
    shop.of_member(HOME).capture("2026-01-07T11:10", held.events[held.main].seq, None).unwrap();
    let limit = pay(&mut shop, 2, "2026-01-07T11:20", spend("point", 21)).unwrap_err();
    assert_eq!((limit.code(), limit.facts()["spent"].as_i64()), ("pool-limit", Some(30)));
    buy(&mut shop, 0, "2026-01-07T12:00", "o3", 5);
    assert_eq!((has(&mut shop, 2), pool(&mut shop)), (0, (75, [0, 40, 35])));
    // A return of the old one's order asks the pool for the survivor's part.
    shop.of_member(2).send("2026-01-07T13:00", "return", &back_all("o1"));
    shop.relay();
    assert_eq!((pool(&mut shop), shop.of_member(2).balance("point").debt), ((40, [0, 40, 0]), 25));
    shop.of_member(2).unmerge("2026-01-08T09:00", 0).unwrap();
    shop.relay();
    assert_eq!(people(&mut shop), [(ids[0], true), (ids[1], false)]);
    assert_eq!(
        (shop.of_member(0).state().home(), shop.of_member(2).state().home()),
        (Some(id_of(&mut shop, HOME)), None)
    );
    buy(&mut shop, 2, "2026-01-09T09:00", "o5", 30);
    assert_eq!((has(&mut shop, 2), pool(&mut shop)), (5, (40, [0, 40, 0])));
}

#[test]
fn p1_two_places_in_one_household_are_one_and_in_two_are_refused() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    merge(&mut shop, 0, 1, "2026-01-07T11:00").unwrap();
    assert_eq!(pool(&mut shop), (100, [0, 100, 0]));
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!((people.len(), people[0].member, people[0].head), (1, id_of(&mut shop, 1), true));
    let undone = shop.of_member(1).unmerge("2026-01-08T09:00", 0).unwrap();
    let stays = undone.outcome.effects.iter().find(|effect| effect.kind == EffectKind::Stays).unwrap();
    assert_eq!(stays.reason.as_deref(), Some("household"));
    shop.relay();
    assert_eq!((shop.of_member(0).state().home(), pool(&mut shop)), (None, (100, [0, 100, 0])));
    // In two households: both stay as they were.
    step(&mut shop, 2, "2026-01-08T10:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    let refused = merge(&mut shop, 2, 1, "2026-01-08T11:00").unwrap_err();
    assert_eq!(refused.code(), "both-in-household");
    let state = shop.of_member(2).state();
    assert_eq!((state.status, state.home().is_some()), (Status::Active, true));
}

#[test]
fn p1_whoever_has_just_asked_to_be_taken_in_and_ends_asks_no_more() {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-07T09:00", Some(2)).unwrap();
    let household = id_of(&mut shop, HOME);
    step(&mut shop, 2, "2026-01-07T10:00", HouseholdStep::Accept { household, code: None }).unwrap();
    shop.of_member(2).merge("2026-01-07T10:00", 1).unwrap();
    for told in shop.relay() {
        told.unwrap();
    }
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!((people.len(), shop.of_member(1).state().home()), (2, Some(household)));
}

const REWARDS: &str = "
partners: { giftly: {} }
rewards:
  machine: { costs: { point: 70 }, gives: { item: true }, stock: 1, fulfilment: { approval: true } }
  gift: { costs: { point: 50 }, gives: { e_gift: { partner: giftly, product: TEA-50 } } }";

#[test]
fn p5_a_pool_buys_a_reward_and_what_comes_back_is_whose_it_was() {
    let mut shop = coupled(joined(&format!("{}{REWARDS}", program(ALL, ""))));
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    let machine = || Redeem { capture: true, ..tessera_testkit::shop::reward("machine") };
    let bought = pay(&mut shop, 1, "2026-01-08T09:00", machine()).unwrap();
    assert_eq!(pool(&mut shop), (30, [30, 0, 0]));
    assert_eq!(bought.outcome.redemption.as_ref().unwrap().by, Some(id_of(&mut shop, 1).to_string().into()));
    // Somebody has to approve it, and does not: the points go home, and the machine is there again.
    let seq = bought.events[bought.main].seq;
    let step = tessera_core::event::FulfilmentStep {
        redemption: seq,
        to: tessera_core::ledger::FulfilmentState::Refused,
        by: "office".into(),
    };
    shop.of_member(HOME)
        .ask(tessera_testkit::shop::at("2026-01-08T11:00"), tessera_core::event::What::Fulfil(step))
        .unwrap();
    assert_eq!(pool(&mut shop), (100, [60, 40, 0]));
    let again = pay(&mut shop, 0, "2026-01-08T12:00", machine()).unwrap();
    shop.of_member(HOME).cancel("2026-01-08T13:00", again.events[again.main].seq, None).unwrap();
    assert_eq!(pool(&mut shop), (100, [60, 40, 0]));
    // Reserved first.
    let held = pay(&mut shop, 0, "2026-01-08T14:00", tessera_testkit::shop::reward("gift")).unwrap();
    let seq = held.events[held.main].seq;
    let captured = shop.of_member(HOME).capture("2026-01-08T14:01", seq, None).unwrap();
    assert_eq!((captured.partner_orders.len(), pool(&mut shop)), (1, (50, [10, 40, 0])));
    let step = tessera_core::event::PartnerStep {
        redemption: seq,
        to: tessera_core::ledger::PartnerState::Refused,
        reason: Some("sold-out".into()),
    };
    shop.of_member(HOME)
        .ask(tessera_testkit::shop::at("2026-01-08T15:00"), tessera_core::event::What::PartnerStep(step))
        .unwrap();
    assert_eq!(pool(&mut shop), (100, [60, 40, 0]));
}

#[test]
fn p1_a_place_that_was_taken_away_between_the_halves_is_nobodys() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    let (head, gone) = (id_of(&mut shop, 0), id_of(&mut shop, 1));
    shop.of_member(1).merge("2026-01-07T10:00", 2).unwrap();
    step(&mut shop, HOME, "2026-01-07T10:00", HouseholdStep::Remove { by: head, member: gone }).unwrap();
    shop.relay();
    assert_eq!((shop.of_member(2).state().home(), has(&mut shop, 2), pool(&mut shop).0), (None, 60, 0));
}
