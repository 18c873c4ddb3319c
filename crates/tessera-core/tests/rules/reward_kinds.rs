//! What rewards give, in points and money: vouchers, benefits, codes of partners, donations; and who may have them first.

use rstest::rstest;
use tessera_core::decide::{EffectKind, Rejected, code_pool, codes_imported, donation_pools};
use tessera_core::event::{FulfilmentStep, Redeem, What};
use tessera_core::ledger::FulfilmentState;
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, at, document, id, json::*, reward};

const CATALOGUE: &str = "
currencies: { bean: { name: Bean, expires: never } }
tiers: { cup: { measure: { earned: bean }, levels: [ { id: paper, at: 0 }, { id: copper, at: 500, benefits: [first-look] } ] } }
benefits: { first-look: { name: First look }, lounge: { name: Lounge } }
vouchers: { latte: { gives: { free_item: { category: coffee } }, valid: P30D } }
code_pools: { cinema: { low: 2 } }
causes: { mangroves: { public: true } }
rewards:
  coupon: { costs: { bean: 100 }, gives: { voucher: latte } }
  lounge: { costs: { bean: 50, money: 20000 }, gives: { benefit: { benefit: lounge, for: P7D } } }
  film: { costs: { bean: 80 }, gives: { code_pool: cinema } }
  tree: { costs: { bean: 20 }, gives: { donation: { cause: mangroves, money: 20000 } } }
  print: { costs: { money: 150000 }, gives: { item: PRINT }, stock: 1 }
  tasting: { costs: { bean: 10 }, gives: { experience: { day: 2026-04-10, cancel_until: P3D } }, stock: 5 }
  poster: { costs: { bean: 20 }, gives: { item: POSTER }, fulfilment: { approval: true } }
  new: { costs: { bean: 10 }, gives: { item: NEW }, from: 2026-04-01, early: { benefit: first-look, before: P7D } }
  gold: { costs: { bean: 10 }, gives: { item: NEW }, from: 2026-04-01, early: { level: { cup: copper }, before: P2D } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
";

fn shop(total: i64) -> Shop {
    let mut shop = Shop::new(CATALOGUE);
    shop.pools.insert(codes_imported(&id("cinema")), 1);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", total));
    shop
}

fn now(name: &str) -> Redeem {
    Redeem { capture: true, ..reward(name) }
}

fn used(shop: &Shop, pool: &str) -> i64 {
    shop.pools.get(pool).copied().unwrap_or(0)
}

#[test]
fn a_voucher_comes_when_the_points_are_spent_not_before() {
    let mut shop = shop(200_000);
    let reserved = shop.redeem("2026-03-03T09:00", reward("coupon")).unwrap();
    assert_eq!((reserved.vouchers.len(), shop.balance("bean").held), (0, 100));
    let captured = shop.capture("2026-03-03T09:01", reserved.events[reserved.main].seq, None).unwrap();
    let given = captured.outcome.redemption.unwrap().given.unwrap();
    assert_eq!(given.voucher, Some(captured.vouchers[0].code.clone()));
    assert_eq!(captured.vouchers[0].voucher, id("latte"));
}

#[test]
fn a_reward_may_cost_points_and_money_and_both_come_back() {
    let mut shop = shop(200_000);
    let taken = shop.redeem("2026-03-03T09:00", now("lounge")).unwrap();
    let redemption = taken.events[taken.main].seq;
    assert_eq!(taken.outcome.redemption.unwrap().given.unwrap().money.unwrap().to_string(), "20000");
    assert_eq!(shop.available("bean"), 150);
    assert_eq!(shop.state().grants[0].last_day.to_string(), "2026-03-10");
    let back = shop.cancel("2026-03-04T09:00", redemption, None).unwrap();
    let money: Vec<_> = back.outcome.effects.iter().filter(|effect| effect.kind == EffectKind::MoneyBack).collect();
    assert_eq!((money.len(), money[0].money.unwrap().to_string()), (1, "20000".to_owned()));
    assert_eq!(shop.available("bean"), 200);
}

#[test]
fn what_costs_only_money_takes_stock_and_no_points() {
    let mut shop = shop(1_000);
    let reserved = shop.redeem("2026-03-03T09:00", reward("print")).unwrap();
    let redemption = reserved.events[reserved.main].seq;
    assert_eq!((shop.state().holds.len(), used(&shop, "pool:reward:print")), (1, 1));
    shop.void("2026-03-03T09:01", redemption).unwrap();
    assert_eq!((shop.state().holds.len(), used(&shop, "pool:reward:print")), (0, 0));
    let again = shop.redeem("2026-03-03T09:02", reward("print")).unwrap();
    shop.capture("2026-03-03T09:03", again.events[again.main].seq, None).unwrap();
    assert_eq!((shop.state().holds.len(), shop.available("bean")), (0, 1));
    shop.cancel("2026-03-03T09:04", again.events[again.main].seq, None).unwrap();
    let twice = shop.cancel("2026-03-03T09:05", again.events[again.main].seq, None).unwrap_err();
    assert_eq!(twice.code(), "returned-more-than-captured");
    assert_eq!(used(&shop, "pool:reward:print"), 0);
    shop.redeem("2026-03-03T09:06", reward("print")).unwrap();
    shop.wake("2026-03-10T09:00");
    assert_eq!((shop.state().holds.len(), used(&shop, "pool:reward:print")), (0, 0), "it ends by itself");
}

#[test]
fn g1_no_more_codes_are_given_than_were_brought_in_and_a_seen_one_never_again() {
    let mut shop = shop(500_000);
    let reserved = shop.redeem("2026-03-03T09:00", reward("film")).unwrap();
    assert_eq!(reserved.codes, [], "nobody sees a code before it is paid");
    let refused = shop.redeem("2026-03-03T09:00", now("film")).unwrap_err();
    assert_eq!(refused, Rejected::RewardSoldOut { reward: id("film"), stock: 1 });
    shop.void("2026-03-03T09:01", reserved.events[reserved.main].seq).unwrap();
    let taken = shop.redeem("2026-03-03T09:02", now("film")).unwrap();
    let redemption = taken.events[taken.main].seq;
    assert_eq!(taken.codes, [(id("cinema"), redemption)]);
    shop.cancel("2026-03-03T09:03", redemption, None).unwrap();
    assert_eq!((used(&shop, &code_pool(&id("cinema"))), shop.available("bean")), (1, 500));
    assert_eq!(shop.redeem("2026-03-03T09:04", now("film")).unwrap_err().code(), "reward-sold-out");
}

#[test]
fn a_donation_counts_in_its_month_and_comes_back_in_that_of_its_return() {
    let mut shop = shop(200_000);
    let given = shop.redeem("2026-03-31T09:00", now("tree")).unwrap();
    shop.redeem("2026-03-31T09:01", now("tree")).unwrap();
    shop.cancel("2026-04-02T09:00", given.events[given.main].seq, None).unwrap();
    let pools = |day: &str| donation_pools("mangroves", day.parse().unwrap());
    let (march, april) = (pools("2026-03-05"), pools("2026-04-30"));
    assert_eq!((used(&shop, &march.0), used(&shop, &march.1)), (40_000, 0));
    assert_eq!((used(&shop, &april.0), used(&shop, &april.1)), (0, 20_000));
    let donation = shop.redemption(given.events[given.main].seq).unwrap().given.unwrap().donation.unwrap();
    assert_eq!(
        (donation.day.to_string(), donation.back.map(|day| day.to_string())),
        ("2026-03-31".into(), Some("2026-04-02".into()))
    );
}

#[rstest]
#[case::in_time("2026-04-07T23:59", None)]
#[case::too_late("2026-04-08T00:00", Some("too-late-to-cancel"))]
fn an_experience_is_cancelled_until_so_long_before_its_day(#[case] time: &str, #[case] code: Option<&str>) {
    let mut shop = shop(100_000);
    let taken = shop.redeem("2026-03-03T09:00", now("tasting")).unwrap();
    let said = shop.cancel(time, taken.events[taken.main].seq, None);
    assert_eq!(said.err().map(|refused| refused.code()), code);
    assert_eq!(shop.available("bean"), if code.is_some() { 90 } else { 100 });
}

#[test]
fn what_people_have_to_do_is_approved_first_and_begins_when_it_is_paid() {
    let mut shop = shop(100_000);
    let step = |shop: &mut Shop, redemption: u64, to: FulfilmentState| {
        let step = FulfilmentStep { redemption, to, by: "desk".into() };
        shop.ask(at("2026-03-04T09:00"), What::Fulfil(step))
    };
    let reserved = shop.redeem("2026-03-03T09:00", reward("poster")).unwrap();
    let redemption = reserved.events[reserved.main].seq;
    assert_eq!(step(&mut shop, redemption, FulfilmentState::Approved).unwrap_err().code(), "redemption-closed");
    shop.capture("2026-03-03T09:01", redemption, None).unwrap();
    let unapproved = step(&mut shop, redemption, FulfilmentState::Sent).unwrap_err();
    assert!(
        matches!(unapproved, Rejected::FulfilmentNotThere { state: FulfilmentState::Requested, .. }),
        "{unapproved}"
    );
    step(&mut shop, redemption, FulfilmentState::Approved).unwrap();
    step(&mut shop, redemption, FulfilmentState::Sent).unwrap();
    assert_eq!(shop.available("bean"), 80);
    step(&mut shop, redemption, FulfilmentState::Refused).unwrap();
    assert_eq!(shop.available("bean"), 100, "R7: refused after it was sent, the points are back");
}

#[rstest]
#[case::a_stranger_waits(1_000, "2026-03-31T09:00", "new", Some("reward-not-yet"))]
#[case::and_comes_with_all(20_000, "2026-04-01T09:00", "new", None)]
#[case::with_the_benefit_earlier(600_000, "2026-03-25T09:00", "new", None)]
#[case::but_not_for_ever(600_000, "2026-03-24T09:00", "new", Some("reward-not-yet"))]
#[case::by_level(600_000, "2026-03-30T00:00", "gold", None)]
#[case::not_before_it(600_000, "2026-03-29T23:59", "gold", Some("reward-not-yet"))]
fn some_may_have_it_first(#[case] total: i64, #[case] at: &str, #[case] name: &str, #[case] code: Option<&str>) {
    let said = shop(total).redeem(at, reward(name));
    assert_eq!(said.err().map(|refused| refused.code()), code);
}

#[rstest]
#[case::an_unknown_voucher("costs: { bean: 1 }, gives: { voucher: late }", "did you mean `latte`?")]
#[case::an_unknown_benefit("costs: { bean: 1 }, gives: { benefit: { benefit: sofa, for: P1D } }", "no benefit `sofa`")]
#[case::an_unknown_pool("costs: { bean: 1 }, gives: { code_pool: cinemas }", "did you mean `cinema`?")]
#[case::an_unknown_cause("costs: { bean: 1 }, gives: { donation: { cause: reefs, money: 5 } }", "no cause `reefs`")]
#[case::half_a_dong("costs: { bean: 1, money: 0.5 }, gives: { item: X }", "at most 0 decimals")]
#[case::half_a_bean("costs: { bean: 0.5 }, gives: { item: X }", "whole number")]
#[case::a_picture_in_the_open("costs: { bean: 1 }, gives: { item: X }, images: [\"http://x.vn/a.jpg\"]", "https://")]
#[case::early_of_nothing("costs: { bean: 1 }, gives: { item: X }, early: { benefit: lounge, before: P1D }", "`from`")]
#[case::early_for_nobody(
    "costs: { bean: 1 }, gives: { item: X }, from: 2026-04-01, early: { before: P1D }",
    "for whom"
)]
fn mistakes_in_what_is_given_are_found(#[case] reward: &str, #[case] right: &str) {
    let text = document(&CATALOGUE.replace("rewards:\n", &format!("rewards:\n  wrong: {{ {reward} }}\n")));
    let said: Vec<String> = read_document(&text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|said| said.contains(right)), "{said:?}");
}
