//! Rewards: price by tier, stock, limits, who may have them, and what happens when they are not taken after all (C5).

use rstest::rstest;
use tessera_core::decide::{Rejected, quote_redemption};
use tessera_core::event::{FulfilmentStep, Redeem, What};
use tessera_core::ledger::FulfilmentState;
use tessera_core::member::MemberState;
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, at, document, json::*, reward};

const CATALOGUE: &str = "
currencies: { bean: { name: Bean, expires: never, spend: { step: 10, min: 50 } } }
tiers: { cup: { measure: { earned: bean }, levels: [ { id: paper, at: 0 }, { id: copper, at: 500 } ] } }
rewards:
  mug: { costs: { bean: 45 }, costs_by_tier: { cup: { copper: 33 } }, gives: { item: MUG-01 }, stock: 3, per_member: { month: 2 } }
  tree: { costs: { bean: 20 }, gives: { donation: { cause: mangroves, money: 20000 } }, from: 2026-03-01, until: 2026-03-31 }
  chair: { costs: { bean: 20 }, gives: { item: CHAIR }, when: member.tier.cup == \"copper\" and member.purchases > 1 }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
";

fn shop(total: i64) -> Shop {
    let mut shop = Shop::new(CATALOGUE);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", total));
    shop
}

fn now(redeem: Redeem) -> Redeem {
    Redeem { capture: true, ..redeem }
}

fn stock(shop: &Shop) -> i64 {
    shop.pools.get("pool:reward:mug").copied().unwrap_or(0)
}

#[test]
fn a_reward_takes_its_price_and_one_of_the_stock_together() {
    let mut shop = shop(200_000);
    let decision = shop.redeem("2026-03-03T09:00", reward("mug")).unwrap();
    assert_eq!((shop.balance("bean").held, stock(&shop)), (45, 1), "45 is its price, though beans are spent in tens");
    let redemption = decision.events[decision.main].seq;
    assert_eq!(decision.outcome.redemption.unwrap().reward.unwrap().as_str(), "mug");
    shop.capture("2026-03-03T09:01", redemption, None).unwrap();
    assert_eq!((shop.available("bean"), stock(&shop)), (155, 1));
    shop.cancel("2026-03-03T09:02", redemption, None).unwrap();
    assert_eq!((shop.available("bean"), stock(&shop)), (200, 0));
}

#[test]
fn a_reward_is_cheaper_at_a_higher_level() {
    let shop = shop(500_000);
    let quote = quote_redemption(shop.versions.head(), &shop.state(), &reward("mug")).unwrap();
    assert_eq!(quote.points, 33);
}

#[test]
fn c5_no_more_rewards_than_the_stock_has() {
    let mut shop = Shop::new(CATALOGUE);
    for member in 0..4 {
        shop.of_member(member).send("2026-03-02T09:00", "purchase", &sale(&format!("o{member}"), 100_000));
        let redeemed = shop.redeem("2026-03-03T09:00", now(reward("mug")));
        if member < 3 {
            redeemed.unwrap();
        } else {
            assert_eq!(redeemed.unwrap_err(), Rejected::RewardSoldOut { reward: "mug".parse().unwrap(), stock: 3 });
        }
    }
    assert_eq!((stock(&shop), shop.available("bean")), (3, 100));
}

#[rstest]
#[case::voided(|shop: &mut Shop, redemption| drop(shop.void("2026-03-03T09:05", redemption).unwrap()))]
#[case::ended(|shop: &mut Shop, _| drop(shop.wake("2026-03-03T10:00")))]
fn c2_a_reward_that_is_not_taken_is_in_stock_again_and_not_counted(#[case] undo: fn(&mut Shop, u64)) {
    let mut shop = shop(200_000);
    for _ in 0..3 {
        let decision = shop.redeem("2026-03-03T09:00", reward("mug")).unwrap();
        undo(&mut shop.clone(), decision.events[decision.main].seq);
        shop.void("2026-03-03T09:00", decision.events[decision.main].seq).unwrap();
    }
    let decision = shop.redeem("2026-03-03T09:00", reward("mug")).unwrap();
    undo(&mut shop, decision.events[decision.main].seq);
    assert_eq!((stock(&shop), shop.available("bean"), shop.state().counters.len()), (0, 200, 0));
}

#[test]
fn c2_a_member_has_no_more_of_a_reward_than_the_window_allows() {
    let mut shop = shop(300_000);
    for minute in 0..2 {
        shop.redeem(&format!("2026-03-03T09:0{minute}"), now(reward("mug"))).unwrap();
    }
    let refused = shop.redeem("2026-03-04T09:00", now(reward("mug"))).unwrap_err();
    assert!(matches!(refused, Rejected::RewardLimit { window: "month", most: 2, .. }), "{refused}");
    shop.redeem("2026-04-01T09:00", now(reward("mug"))).unwrap();
}

#[rstest]
#[case::too_late("2026-04-01T09:00", "tree", "reward-not-now")]
#[case::for_others("2026-03-03T09:00", "chair", "reward-not-for-member")]
#[case::not_there("2026-03-03T09:00", "boat", "unknown-reward")]
fn a_reward_that_may_not_be_had_is_refused(#[case] time: &str, #[case] name: &str, #[case] code: &str) {
    assert_eq!(shop(100_000).redeem(time, reward(name)).unwrap_err().code(), code);
}

#[test]
fn a_reward_is_had_by_whom_it_is_for_and_can_pay() {
    let mut shop = shop(500_000);
    shop.send("2026-03-02T10:00", "purchase", &sale("o2", 1_000));
    shop.redeem("2026-03-03T09:00", reward("chair")).unwrap();
    let refused = self::shop(30_000).redeem("2026-03-03T09:00", reward("mug")).unwrap_err();
    assert!(matches!(refused, Rejected::NotEnoughPoints { wanted: 45, .. }), "{refused}");
}

#[test]
fn a_reward_is_taken_and_returned_whole() {
    let mut shop = shop(200_000);
    let decision = shop.redeem("2026-03-03T09:00", reward("mug")).unwrap();
    let redemption = decision.events[decision.main].seq;
    let refused = shop.capture("2026-03-03T09:01", redemption, Some(20)).unwrap_err();
    assert!(matches!(refused, Rejected::RewardInPart { wanted: 20, price: 45, .. }), "{refused}");
    shop.capture("2026-03-03T09:01", redemption, Some(45)).unwrap();
    assert_eq!(shop.cancel("2026-03-03T09:02", redemption, Some(5)).unwrap_err().code(), "reward-in-part");
}

#[test]
fn c5_nobody_waits_for_what_has_no_list_or_for_too_much() {
    let mut shop = shop(300_000);
    let wait = |shop: &mut Shop, reward: &str| {
        shop.ask(at("2026-03-03T09:00"), What::WaitFor { reward: reward.parse().unwrap() })
    };
    assert_eq!(wait(&mut shop, "mug").unwrap_err().code(), "no-waitlist");
    assert_eq!(wait(&mut shop, "tree").unwrap_err().code(), "no-waitlist");
    let most = MemberState::WAITING_MAX;
    let seats: String = (0..=most)
        .map(|seat| format!("  seat-{seat}: {{ costs: {{ bean: 1 }}, gives: {{ item: S }}, stock: 1, waitlist: {{ offer: P1D }} }}\n"))
        .collect();
    let mut shop = Shop::new(&CATALOGUE.replace("rewards:\n", &format!("rewards:\n{seats}")));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 300_000));
    for seat in 0..=most {
        shop.pools.insert(format!("pool:reward:seat-{seat}").into(), 1);
    }
    for seat in 0..most {
        wait(&mut shop, &format!("seat-{seat}")).unwrap();
    }
    let refused = wait(&mut shop, &format!("seat-{most}")).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["most"].as_u64()), ("waits-for-too-much", Some(20)));
}

#[test]
fn nobody_has_anything_to_do_for_what_is_handed_over() {
    let mut shop = shop(300_000);
    let taken = shop.redeem("2026-03-03T09:00", now(reward("mug"))).unwrap();
    let redemption = taken.events[taken.main].seq;
    let step = FulfilmentStep { redemption, to: FulfilmentState::Sent, by: "desk".into() };
    let refused = shop.ask(at("2026-03-03T10:00"), What::Fulfil(step)).unwrap_err();
    assert_eq!(refused.code(), "nothing-to-fulfil");
}

#[rstest]
#[case::without_price("costs: {}, gives: { item: X }", "one currency")]
#[case::of_two_currencies("costs: { bean: 1, star: 2 }, gives: { item: X }", "one currency")]
#[case::in_another_currency("costs: { been: 1 }, gives: { item: X }", "did you mean `bean`?")]
#[case::for_nothing("costs: { bean: 0 }, gives: { item: X }", "no price")]
#[case::of_nothing("costs: { bean: 1 }, gives: {}", "gives nothing")]
#[case::without_stock("costs: { bean: 1 }, gives: { item: X }, stock: 0", "above 0")]
#[case::for_a_level_nobody_has(
    "costs: { bean: 1 }, costs_by_tier: { cup: { coper: 1 } }, gives: { item: X }",
    "did you mean `copper`?"
)]
#[case::by_a_wrong_condition("costs: { bean: 1 }, gives: { item: X }, when: event.total > 1", "event")]
fn mistakes_in_the_catalogue_are_found(#[case] reward: &str, #[case] right: &str) {
    let text = document(&CATALOGUE.replace("rewards:\n", &format!("rewards:\n  wrong: {{ {reward} }}\n")));
    let said: Vec<String> = read_document(&text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|said| said.contains(right)), "{said:?}");
}
