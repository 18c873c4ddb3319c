//! P5, R7, I3: rewards that a household's pool buys for one of its people, who alone know whether they may have them.

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, Rejected};
use tessera_core::event::{Freeze, FulfilmentStep, HouseholdStep, PartnerStep, Redeem, What};
use tessera_core::id::MemberId;
use tessera_core::ledger::{AtMember, AtMemberState, FulfilmentState, PartnerState, Redemption, RedemptionStatus};
use tessera_core::voucher::CodeStatus;
use tessera_testkit::shop::{Shop, at, count_of, json::*, reward};

/// The household stands behind the three members.
const HOME: usize = 3;

const PROGRAM: &str = "
households: { pools: { point: { contribute: all, per_member: { month: 60 } } } }
currencies: { point: { name: P, expires: { after: P12M, round: month }, spend: { reserve: PT15M } } }
tiers: { cup: { measure: { earned: point }, levels: [ { id: paper, at: 0 }, { id: gold, at: 50 } ] } }
partners: { giftly: {} }
vouchers:
  coffee: { gives: { amount_off: 1000 }, on_undo: void }
  kept: { gives: { amount_off: 1000 } }
benefits: { lounge: { name: Lounge } }
rewards:
  coffee: { costs: { point: 5 }, gives: { voucher: coffee }, stock: 9 }
  kept: { costs: { point: 5 }, gives: { voucher: kept } }
  lounge: { costs: { point: 5 }, gives: { benefit: { benefit: lounge, for: P30D } } }
  one: { costs: { point: 5 }, gives: { item: true }, per_member: { month: 1 }, stock: 9, fulfilment: { approval: true } }
  gift: { costs: { point: 5 }, gives: { e_gift: { partner: giftly, product: TEA-50 } }, per_member: { month: 1 } }
  paid: { costs: { money: 5000 }, gives: { item: true }, per_member: { month: 1 } }
  old: { costs: { point: 5 }, gives: { item: true }, when: member.purchases >= 2 }
  soon: { costs: { point: 5 }, gives: { item: true }, from: 2026-02-01, early: { before: P30D, level: { cup: gold } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }";

/// Members 0 and 1 save together and have put in 60 and 40; member 1 has bought twice.
fn family() -> Shop {
    let mut shop = Shop::new(PROGRAM);
    for member in 0..3 {
        shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
    }
    shop.of_member(0).household("2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    let (by, to) = (id_of(&mut shop, 0), Some(id_of(&mut shop, 1)));
    shop.of_member(HOME).household("2026-01-06T10:00", HouseholdStep::Invite { by, to, code: [9; 16] }).unwrap();
    let household = id_of(&mut shop, HOME);
    shop.of_member(1).household("2026-01-06T11:00", HouseholdStep::Accept { household, code: None }).unwrap();
    shop.relay();
    shop.of_member(0).send("2026-01-07T09:00", "purchase", &sale("o1", 60_000));
    shop.of_member(1).send("2026-01-07T10:00", "purchase", &sale("o2", 30_000));
    shop.of_member(1).send("2026-01-07T11:00", "purchase", &sale("o3", 10_000));
    shop.relay();
    shop
}

fn id_of(shop: &mut Shop, member: usize) -> MemberId {
    shop.of_member(member).member().id
}

fn wants(shop: &mut Shop, by: usize, time: &str, redeem: Redeem) -> Result<Decision, Rejected> {
    let by = Some(id_of(shop, by));
    shop.of_member(HOME).redeem(time, Redeem { by, ..redeem })
}

/// Somebody buys a reward with the pool, and everybody has heard of it; says the redemption.
fn buys(shop: &mut Shop, by: usize, time: &str, wanted: &str) -> u64 {
    let bought = wants(shop, by, time, Redeem { capture: true, ..reward(wanted) }).unwrap();
    shop.relay();
    bought.events[bought.main].seq
}

fn is(shop: &mut Shop, redemption: u64) -> Redemption {
    shop.of_member(HOME).redemption(redemption).unwrap()
}

fn at_member(shop: &mut Shop, redemption: u64) -> (RedemptionStatus, AtMember) {
    let found = is(shop, redemption);
    (found.status, found.given.unwrap().member.unwrap())
}

fn refused(reason: &str) -> AtMember {
    AtMember { state: AtMemberState::Refused, reason: Some(reason.into()) }
}

/// What is in the pool and what is reserved of it.
fn pool(shop: &mut Shop) -> (i64, i64) {
    let balance = shop.of_member(HOME).balance("point");
    (balance.available, balance.held)
}

/// How many of a reward count as a member's this month.
fn counted(shop: &mut Shop, member: usize, reward: &str) -> i64 {
    shop.of_member(member).state().used(&format!("reward/{reward}/month"), "2026-01-01".parse().unwrap())
}

#[test]
fn p5_a_pool_reserves_until_its_member_has_said_that_they_may_have_it() {
    let mut shop = family();
    let bought = wants(&mut shop, 1, "2026-01-08T09:00", Redeem { capture: true, ..reward("coffee") }).unwrap();
    let redemption = bought.events[bought.main].seq;
    assert_eq!(at_member(&mut shop, redemption), (RedemptionStatus::Reserved, AtMemberState::Asked.into()));
    assert_eq!(pool(&mut shop), (95, 5));
    // Between the halves nothing of it is cancelled, for nothing of it was spent.
    let early = shop.of_member(HOME).cancel("2026-01-08T09:00", redemption, None).unwrap_err();
    assert_eq!(early.code(), "redemption-closed");
    shop.relay();
    assert_eq!(at_member(&mut shop, redemption), (RedemptionStatus::Captured, AtMemberState::Given.into()));
    assert_eq!(pool(&mut shop), (95, 0));
    let code = is(&mut shop, redemption).given.unwrap().voucher.unwrap();
    let issued = shop.code(&code);
    assert_eq!((issued.voucher.as_str(), issued.status), ("coffee", CodeStatus::Open));
    let owner = issued.owner;
    assert_eq!(owner, Some(id_of(&mut shop, 1)));
    assert!(shop.of_member(HOME).state().asks.is_empty());
}

#[test]
fn p5_a_voucher_of_the_pool_is_void_with_its_redemption_unless_it_was_used() {
    let mut shop = family();
    let redemption = buys(&mut shop, 1, "2026-01-08T09:00", "coffee");
    let code = is(&mut shop, redemption).given.unwrap().voucher.unwrap();
    let back = shop.of_member(HOME).cancel("2026-01-08T10:00", redemption, None).unwrap();
    assert_eq!(count_of(&back, EffectKind::VoucherVoided), 1);
    assert_eq!((shop.code(&code).status, pool(&mut shop)), (CodeStatus::Cancelled, (100, 0)));
    shop.relay();
    assert_eq!(at_member(&mut shop, redemption), (RedemptionStatus::Captured, AtMemberState::Back.into()));
    let again = buys(&mut shop, 0, "2026-01-09T09:00", "coffee");
    let code = is(&mut shop, again).given.unwrap().voucher.unwrap();
    let order = sale_with("o9", &[("A", "x", 1, 50_000)], &format!(r#", "vouchers": ["{code}"]"#));
    shop.of_member(0).send("2026-01-09T10:00", "purchase", &order);
    shop.relay();
    let used = shop.of_member(HOME).cancel("2026-01-09T11:00", again, None).unwrap_err();
    assert_eq!(used.code(), "given-voucher-used");
}

#[test]
fn p5_what_is_on_its_way_to_a_member_is_not_cancelled_before_it_is_there() {
    let mut shop = family();
    let held = wants(&mut shop, 1, "2026-01-08T09:00", reward("coffee")).unwrap();
    let redemption = held.events[held.main].seq;
    shop.relay();
    assert_eq!(at_member(&mut shop, redemption), (RedemptionStatus::Reserved, AtMemberState::Allowed.into()));
    shop.of_member(HOME).capture("2026-01-08T09:01", redemption, None).unwrap();
    let early = shop.of_member(HOME).cancel("2026-01-08T09:01", redemption, None).unwrap_err();
    assert_eq!(early.code(), "reward-on-its-way");
    shop.relay();
    shop.of_member(HOME).cancel("2026-01-08T09:02", redemption, None).unwrap();
    assert_eq!(pool(&mut shop), (100, 0));
}

#[test]
fn p5_a_benefit_of_the_pool_is_that_of_whoever_asked() {
    let mut shop = family();
    let redemption = buys(&mut shop, 1, "2026-01-08T09:00", "lounge");
    assert_eq!(at_member(&mut shop, redemption), (RedemptionStatus::Captured, AtMemberState::Given.into()));
    let granted = |shop: &mut Shop, member| shop.of_member(member).state().grants.len();
    assert_eq!([granted(&mut shop, 0), granted(&mut shop, 1), granted(&mut shop, HOME)], [0, 1, 0]);
    // As of a redemption of their own: the points come home, what was seen stays.
    shop.of_member(HOME).cancel("2026-01-08T10:00", redemption, None).unwrap();
    shop.relay();
    assert_eq!((pool(&mut shop), granted(&mut shop, 1)), ((100, 0), 1));
}

#[rstest]
#[case::a_limit("one", 1, "reward-limit")]
#[case::a_condition("old", 0, "reward-not-for-member")]
#[case::an_early_window("soon", 1, "reward-not-yet")]
fn p5_what_the_member_may_not_have_the_pool_does_not_buy(#[case] wanted: &str, #[case] by: usize, #[case] why: &str) {
    let mut shop = family();
    if wanted == "one" {
        buys(&mut shop, by, "2026-01-08T09:00", wanted);
    }
    let before = pool(&mut shop);
    let redemption = buys(&mut shop, by, "2026-01-08T10:00", wanted);
    assert_eq!(at_member(&mut shop, redemption), (RedemptionStatus::Voided, refused(why)));
    assert_eq!(pool(&mut shop), before);
    assert!(shop.of_member(HOME).state().asks.is_empty());
    // Somebody else of them may.
    let other = buys(&mut shop, 1 - by, "2026-01-08T11:00", wanted);
    assert_eq!(at_member(&mut shop, other), (RedemptionStatus::Captured, AtMemberState::Given.into()));
    // What was refused counts neither of the pool nor of what each may spend of it.
    let household = shop.of_member(HOME).state();
    let spent: i64 =
        household.counters.iter().filter(|known| known.limit.starts_with("pool-use/")).map(|known| known.used).sum();
    assert_eq!(spent, 100 - pool(&mut shop).0);
}

#[test]
fn p5_a_limit_counts_what_the_pool_bought_together_with_what_the_member_bought() {
    let mut shop = family();
    shop.of_member(1).adjust("2026-01-08T08:00", "point", 20).unwrap();
    buys(&mut shop, 1, "2026-01-08T09:00", "one");
    let own = shop.of_member(1).redeem("2026-01-08T10:00", Redeem { capture: true, ..reward("one") }).unwrap_err();
    assert_eq!((own.code(), counted(&mut shop, 1, "one")), ("reward-limit", 1));
    // The first one out is the one that is there: two at once, and one of them goes home.
    let (first, second) = (reward("gift"), reward("gift"));
    let first = wants(&mut shop, 1, "2026-01-08T11:00", first).unwrap();
    let second = wants(&mut shop, 1, "2026-01-08T11:00", second).unwrap();
    shop.relay();
    let states = [first, second].map(|asked| at_member(&mut shop, asked.events[asked.main].seq));
    assert_eq!(states[0], (RedemptionStatus::Reserved, AtMemberState::Allowed.into()));
    assert_eq!(states[1], (RedemptionStatus::Voided, refused("reward-limit")));
}

#[rstest]
#[case::voided(false, true)]
#[case::voided_before_they_answered(false, false)]
#[case::ended(true, true)]
#[case::ended_before_they_answered(true, false)]
fn i3_a_reservation_that_is_over_counts_no_longer(#[case] by_time: bool, #[case] answered: bool) {
    let mut shop = family();
    let held = wants(&mut shop, 1, "2026-01-08T09:00", reward("one")).unwrap();
    let redemption = held.events[held.main].seq;
    if answered {
        shop.relay();
        assert_eq!(counted(&mut shop, 1, "one"), 1);
    }
    if by_time {
        shop.of_member(HOME).wake("2026-01-08T09:15");
    } else {
        shop.of_member(HOME).void("2026-01-08T09:05", redemption).unwrap();
    }
    assert_eq!((pool(&mut shop), shop.of_member(HOME).state().asks.len()), ((100, 0), usize::from(!answered)));
    shop.relay();
    assert_eq!((counted(&mut shop, 1, "one"), shop.of_member(HOME).state().asks.len()), (0, 0));
    buys(&mut shop, 1, "2026-01-08T10:00", "one");
    assert_eq!(pool(&mut shop), (95, 0));
}

#[test]
fn i3_a_capture_before_the_answer_is_done_with_it() {
    let mut shop = family();
    let held = wants(&mut shop, 1, "2026-01-08T09:00", reward("one")).unwrap();
    let redemption = held.events[held.main].seq;
    let captured = shop.of_member(HOME).capture("2026-01-08T09:00", redemption, None).unwrap();
    assert_eq!(captured.outcome.redemption.unwrap().status, RedemptionStatus::Reserved);
    shop.relay();
    assert_eq!(at_member(&mut shop, redemption), (RedemptionStatus::Captured, AtMemberState::Given.into()));
    let again = shop.of_member(HOME).capture("2026-01-08T09:01", redemption, None).unwrap_err();
    assert_eq!(again.code(), "redemption-closed");
}

#[test]
fn r7_what_people_or_partners_refuse_goes_home_and_counts_no_longer() {
    let mut shop = family();
    let mug = buys(&mut shop, 1, "2026-01-08T09:00", "one");
    let no = FulfilmentStep { redemption: mug, to: FulfilmentState::Refused, by: "office".into() };
    shop.of_member(HOME).ask(at("2026-01-08T10:00"), What::Fulfil(no)).unwrap();
    assert_eq!((pool(&mut shop), counted(&mut shop, 1, "one")), ((100, 0), 1));
    shop.relay();
    assert_eq!(counted(&mut shop, 1, "one"), 0);
    let gift = buys(&mut shop, 1, "2026-01-08T11:00", "gift");
    let no = PartnerStep { redemption: gift, to: PartnerState::Refused, reason: Some("sold-out".into()) };
    shop.of_member(HOME).ask(at("2026-01-08T12:00"), What::PartnerStep(no)).unwrap();
    shop.relay();
    assert_eq!((pool(&mut shop), counted(&mut shop, 1, "gift")), ((100, 0), 0));
    assert_eq!(at_member(&mut shop, gift).1, AtMemberState::Back.into());
}

#[test]
fn p5_what_costs_only_money_is_asked_for_too() {
    let mut shop = family();
    let paid = buys(&mut shop, 1, "2026-01-08T09:00", "paid");
    assert_eq!(at_member(&mut shop, paid), (RedemptionStatus::Captured, AtMemberState::Given.into()));
    let again = buys(&mut shop, 1, "2026-01-08T10:00", "paid");
    assert_eq!(at_member(&mut shop, again), (RedemptionStatus::Voided, refused("reward-limit")));
    let back = shop.of_member(HOME).cancel("2026-01-08T11:00", paid, None).unwrap();
    shop.relay();
    assert_eq!((count_of(&back, EffectKind::MoneyBack), counted(&mut shop, 1, "paid")), (1, 0));
}

#[test]
fn p3_whoever_leaves_the_program_on_the_way_gets_nothing_and_the_pool_has_its_points() {
    let mut shop = family();
    let held = wants(&mut shop, 1, "2026-01-08T09:00", reward("kept")).unwrap();
    let redemption = held.events[held.main].seq;
    shop.relay();
    shop.of_member(HOME).capture("2026-01-08T09:01", redemption, None).unwrap();
    shop.of_member(1).ask(at("2026-01-08T09:01"), What::Leave { erase: false }).unwrap();
    shop.relay();
    let found = is(&mut shop, redemption);
    assert_eq!((found.captured, found.returned, pool(&mut shop)), (5, 5, (100, 0)));
    assert_eq!(found.given.unwrap().member.unwrap().state, AtMemberState::Refused);
}

#[test]
fn p4_for_whoever_is_frozen_the_pool_buys_nothing() {
    let mut shop = family();
    let held = wants(&mut shop, 1, "2026-01-08T09:00", reward("one")).unwrap();
    shop.of_member(1)
        .ask(at("2026-01-08T09:00"), What::Freeze(Freeze { frozen: true, reason: "case".into() }))
        .unwrap();
    shop.relay();
    let redemption = held.events[held.main].seq;
    assert_eq!(at_member(&mut shop, redemption), (RedemptionStatus::Voided, refused("member-frozen")));
}

#[test]
fn p1_whoever_takes_a_place_answers_for_what_was_asked() {
    let mut shop = family();
    let held = wants(&mut shop, 1, "2026-01-08T09:00", reward("coffee")).unwrap();
    let redemption = held.events[held.main].seq;
    shop.relay();
    shop.of_member(1).merge("2026-01-08T09:01", 2).unwrap();
    shop.relay();
    shop.of_member(HOME).capture("2026-01-08T09:02", redemption, None).unwrap();
    shop.relay();
    let code = is(&mut shop, redemption).given.unwrap().voucher.unwrap();
    let owner = shop.code(&code).owner;
    assert_eq!(owner, Some(id_of(&mut shop, 2)));
}

#[test]
fn i3_so_many_questions_are_open_at_once() {
    let mut shop = family();
    for minute in 0..20 {
        let held = wants(&mut shop, 1, &format!("2026-01-08T09:{minute:02}"), reward("old")).unwrap();
        shop.of_member(HOME).void(&format!("2026-01-08T09:{minute:02}"), held.events[held.main].seq).unwrap();
    }
    let more = wants(&mut shop, 1, "2026-01-08T10:00", reward("old")).unwrap_err();
    assert_eq!(more.code(), "too-many-reservations");
    shop.relay();
    buys(&mut shop, 1, "2026-01-08T10:01", "old");
    assert_eq!(pool(&mut shop), (95, 0));
}
