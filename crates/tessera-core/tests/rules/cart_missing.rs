//! C4, C9: what is missing to more, where it is easily told wrong: twice the same campaign, what another takes away, goals
//! of a voucher, levels with several ways, rewards that are no longer theirs to have.

use serde_json::json;
use tessera_core::decide::{CartAsk, Missing};
use tessera_testkit::shop::{Shop, json::*};

const TEN: &str = "2026-03-02T10:00";

fn ask() -> CartAsk {
    CartAsk { missing: true, rewards: true, language: "en".to_owned(), ..CartAsk::default() }
}

fn told(shop: &Shop, data: &str) -> Vec<String> {
    words(&shop.cart(TEN, data, &ask()).unwrap().1.missing)
}

fn words(missing: &[Missing]) -> Vec<String> {
    missing.iter().map(|one| json!(one)["words"].as_str().unwrap().to_owned()).collect()
}

/// A member of a program with a bean per 1,000 and these rules besides.
fn shop_with(rest: &str) -> Shop {
    let mut shop = Shop::new(&format!(
        "currencies: {{ bean: {{ name: {{ en: beans }}, expires: never }}, crumb: {{ name: {{ en: crumbs }}, expires: {{ after: P1M }} }} }}\n{rest}"
    ));
    shop.send("2026-01-05T09:00", "enrol", "{}");
    shop
}

#[test]
fn c9_of_a_campaign_the_nearest_step_is_said_with_what_it_brings_more() {
    let shop = shop_with(
        "campaigns:
  steps: { trigger: purchase, rules: [ { when: event.total >= 100000, award: { currency: bean, amount: 10 } }, { when: event.total >= 200000, award: { currency: bean, amount: 20 } }, { when: event.total >= 300000, award: { currency: bean, amount: 70 } } ] }",
    );
    assert_eq!(told(&shop, &sale("c", 150_000)), ["Spend 50,000 ₫ more to get 20 beans"], "10 of it are there already");
    assert_eq!(told(&shop, &sale("c", 90_000)), ["Spend 10,000 ₫ more to get 10 beans"]);
    assert_eq!(told(&shop, &sale("c", 300_000)), Vec::<String>::new());
}

#[test]
fn c9_what_takes_as_much_from_another_campaign_is_not_said() {
    let campaigns = "campaigns:
  more: { trigger: purchase, earning: bonus, rules: [ { when: event.total >= 100000, award: { currency: bean, amount: 10 } } ] }
  less: { trigger: purchase, earning: bonus, rules: [ { award: { currency: bean, amount: 8 } } ] }";
    let alone = shop_with(campaigns);
    assert_eq!(told(&alone, &sale("c", 60_000)), ["Spend 40,000 ₫ more to get 10 beans"]);
    let either =
        shop_with(&format!("stacking: {{ order: [ {{ exclusive: [more, less], choose: best }} ] }}\n{campaigns}"));
    assert_eq!(told(&either, &sale("c", 60_000)), Vec::<String>::new(), "two beans more are not ten");
}

#[test]
fn c9_what_repays_a_debt_is_brought_too() {
    let mut shop = shop_with(
        "campaigns: { ten: { trigger: purchase, rules: [ { when: event.total >= 100000, award: { currency: bean, amount: 10 } } ] } }",
    );
    shop.adjust("2026-01-06T09:00", "bean", -500).unwrap();
    assert_eq!(told(&shop, &sale("c", 60_000)), ["Spend 40,000 ₫ more to get 10 beans"]);
}

#[test]
fn c9_a_rule_for_each_line_is_no_goal_of_the_cart() {
    let shop = shop_with(
        "campaigns: { each: { trigger: purchase, rules: [ { each: event.items, when: event.total >= 100000, award: { currency: bean, amount: 10 } } ] } }",
    );
    assert_eq!(told(&shop, &lines("c", &[("A", "x", 1, 60_000)])), Vec::<String>::new());
}

#[test]
fn m4_what_a_rule_counts_by_its_own_base_is_short_by_that() {
    let shop = shop_with(
        "campaigns: { ten: { trigger: purchase, rules: [ { when: event.net >= 100000, award: { currency: bean, amount: event.net / 1000, base: { shipping: true } } } ] } }",
    );
    let data = sale_with("c", &[("A", "x", 1, 60_000)], ", \"total\": 90000, \"shipping\": 30000");
    assert_eq!(told(&shop, &data), ["Spend 10,000 ₫ more to get 100 beans"]);
}

#[test]
fn c9_of_a_category_and_of_lines_each_is_added_once() {
    let rules = "campaigns:
  cake: { trigger: purchase, rules: [ { when: \"sum(map(filter(event.items, #.category == 'cake'), #.amount)) >= 90000 and len(filter(event.items, #.category == 'cake')) >= 3\", award: { currency: bean, amount: event.net / 1000 } } ] }";
    let shop = shop_with(rules);
    // Three lines more are 90,000 together, not each; where the cart names no lines it is a line of its own.
    assert_eq!(
        told(&shop, &lines("c", &[("A", "tea", 1, 10_000)])),
        ["Add 3 more items of cake and spend 90,000 ₫ more to get 100 beans"]
    );
    assert_eq!(told(&shop, &sale("c", 10_000)), ["Add 3 more items of cake and spend 90,000 ₫ more to get 100 beans"]);
}

#[test]
fn c9_a_larger_cart_keeps_the_discount_that_its_voucher_takes() {
    let mut shop = shop_with(
        "campaigns: { ten: { trigger: purchase, rules: [ { when: event.total >= 100000, award: { currency: bean, amount: event.net / 1000, base: { discount: before } } } ] } }
vouchers: { half: { gives: { percent_off: 50 } } }",
    );
    shop.issue("HALF-1", "half");
    let data = sale_with(
        "c",
        &[("A", "x", 1, 120_000)],
        ", \"total\": 60000, \"discount\": 60000, \"vouchers\": [\"HALF-1\"]",
    );
    assert_eq!(told(&shop, &data), ["Spend 79,999 ₫ more to get 199 beans"], "before the discount it is 199,999");
}

const VOUCHERS: &str = "campaigns: { far: { trigger: purchase, rules: [ { when: event.total >= 150000, award: { currency: bean, amount: 10 } } ] } }
vouchers:
  goal: { gives: { amount_off: 7000 }, min_spend: 70000, when: event.total >= 100000, stacks: always }
  cake: { gives: { amount_off: 7000 }, when: \"sum(map(filter(event.items, #.category == 'cake'), #.amount)) >= 100000\", stacks: always }
  shop: { gives: { amount_off: 7000 }, min_spend: 100000, channels: [web], stacks: always }
  nothing: { gives: { free_item: { sku: [MUG] } }, min_spend: 100000, stacks: always }
  used: { gives: { amount_off: 1000 }, stacks: always }
  twice: { gives: { percent_off: 10 }, min_spend: 100000, stacks: always }";

#[test]
fn c3_of_vouchers_those_are_said_that_the_larger_cart_may_use_and_saves_with() {
    let mut shop = shop_with(VOUCHERS);
    for (code, voucher) in [("GOAL", "goal"), ("CAKE", "cake"), ("SHOP", "shop"), ("NONE", "nothing")] {
        shop.issue(code, voucher);
    }
    let data = lines("c", &[("A", "tea", 1, 60_000)]);
    for best in [false, true] {
        let (_, cart) = shop.cart(TEN, &data, &CartAsk { best, ..ask() }).unwrap();
        // By its own condition 100,000 are to be paid, of which it takes 7,000, though its least would be 10,000 more; cakes
        // and the web are another matter. The nearest is said first.
        let expected = ["Spend 47,000 ₫ more to use goal and save 7,000 ₫ more", "Spend 90,000 ₫ more to get 10 beans"];
        assert_eq!(words(&cart.missing), expected, "best: {best}");
    }
}

#[test]
fn c3_what_is_saved_more_is_beside_what_is_saved_already() {
    let mut shop = shop_with(VOUCHERS);
    shop.issue("USED", "used");
    shop.issue("TWICE", "twice");
    let items = [("A", "tea", 1, 90_000)];
    let data = sale_with("c", &items, ", \"total\": 89000, \"discount\": 1000, \"vouchers\": [\"USED\"]");
    let of_voucher = |cart: tessera_core::decide::Cart| {
        let saving = |one: &Missing| match one {
            Missing::Voucher { saving, spend, .. } => Some((spend.to_string(), saving.to_string())),
            _ => None,
        };
        cart.missing.iter().find_map(saving).unwrap()
    };
    let expected = ("10000".to_owned(), "10000".to_owned());
    assert_eq!(of_voucher(shop.cart(TEN, &data, &ask()).unwrap().1), expected, "without the thousand that is saved");
    let best = shop.cart(TEN, &lines("c", &items), &CartAsk { best: true, ..ask() }).unwrap().1;
    assert_eq!(of_voucher(best), expected, "without the thousand that is saved anyhow");
}

#[test]
fn t4_a_level_is_said_where_so_much_more_leads_to_it_and_not_where_a_voucher_takes_its_part() {
    let mut shop = shop_with(
        "tiers: { club: { measure: spend, levels: [ { id: blue, at: 0 }, { id: gold, at: 100000, name: { en: Gold } } ] } }
vouchers: { half: { gives: { percent_off: 50 } } }",
    );
    assert_eq!(told(&shop, &sale("c", 60_000)), ["40,000 ₫ more to reach Gold"]);
    shop.issue("HALF-1", "half");
    let data = sale_with(
        "c",
        &[("A", "x", 1, 120_000)],
        ", \"total\": 60000, \"discount\": 60000, \"vouchers\": [\"HALF-1\"]",
    );
    assert_eq!(told(&shop, &data), Vec::<String>::new(), "with 40,000 more only 20,000 more are paid");
}

#[test]
fn t7_of_several_ways_to_a_level_it_is_said_how_many_it_takes() {
    let tiers = "events: { visit: {} }
tiers:
  club:
    measures: { spent: spend, visits: { events: visit }, earned: { earned: bean } }
    levels:
      - { id: guest, at: { all: { spent: 0 } } }
      - { id: friend, name: { en: Friend }, at: { at_least: 2, of: { spent: 100000, visits: 1, earned: 50 } } }";
    let mut shop = shop_with(tiers);
    let needed = |shop: &Shop| {
        let missing = shop.cart(TEN, &sale("c", 10_000), &ask()).unwrap().1.missing;
        let level = missing.into_iter().find_map(|one| match one {
            Missing::Level { measures, needed, words, .. } => Some((measures.len(), needed, words)),
            _ => None,
        });
        level.unwrap()
    };
    let (missing, takes, said) = needed(&shop);
    assert_eq!((missing, takes), (3, 2), "{said}");
    shop.send("2026-01-06T09:00", "visit", "{}");
    // One of three is met, and two are asked for: one more will do.
    let (missing, takes, said) = needed(&shop);
    assert_eq!((missing, takes), (2, 1), "{said}");
    assert!(said.contains(" or ") && said.ends_with("more to reach Friend"), "{said}");
}

const REWARDS: &str = "code_pools: { cinema: {} }
rewards:
  mug: { costs: { bean: 50 }, gives: { item: true }, name: { en: Mug } }
  once: { costs: { bean: 60 }, gives: { item: true }, per_member: { ever: 1 } }
  vip: { costs: { bean: 20 }, gives: { item: true }, when: member.purchases > 5 }
  film: { costs: { bean: 58 }, gives: { code_pool: cinema } }";

#[test]
fn c9_rewards_are_told_that_are_there_and_theirs_to_have() {
    let mut shop = shop_with(REWARDS);
    shop.pools.insert("pool:codes-imported:cinema".into(), 3);
    shop.adjust("2026-01-06T09:00", "bean", 120).unwrap();
    let had = |shop: &Shop, time: &str| {
        let rewards = shop.cart(time, &sale("c", 1_000), &ask()).unwrap().1.rewards;
        rewards.iter().map(|one| one.reward.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(had(&shop, TEN), ["once", "film", "mug"]);
    // The last code is gone, the one that each may have was had.
    shop.pools.insert("pool:codes:cinema".into(), 3);
    shop.redeem(
        "2026-01-07T09:00",
        tessera_core::event::Redeem { capture: true, ..tessera_testkit::shop::reward("once") },
    )
    .unwrap();
    assert_eq!(had(&shop, TEN), ["mug"]);
    // What is short: never what could not be had for the points either.
    shop.redeem("2026-01-08T09:00", tessera_testkit::shop::spend("bean", 59)).unwrap();
    assert_eq!(told(&shop, &sale("c", 1_000)), ["49 beans more for Mug"]);
}

#[test]
fn i7_points_that_died_by_then_buy_nothing() {
    let mut shop = shop_with("rewards: { crumb: { costs: { crumb: 10 }, gives: { item: true } } }");
    shop.adjust("2026-01-06T09:00", "crumb", 10).unwrap();
    let had = |time: &str| shop.cart(time, &sale("c", 1_000), &ask()).unwrap().1.rewards.len();
    assert_eq!((had("2026-01-20T09:00"), had("2026-03-20T09:00")), (1, 0));
}

#[test]
fn m5_a_cart_in_foreign_money_is_decided_as_it_came_and_promises_nothing() {
    let mut shop = shop_with(
        "exchange_rates: { USD: 25000 }
campaigns: { ten: { trigger: purchase, rules: [ { when: event.total >= 100000, award: { currency: bean, amount: 10 } } ] } }
prices: { tea: { items: { category: tea }, percent_off: 10 } }
rewards: { mug: { costs: { bean: 5 }, gives: { item: true } } }",
    );
    shop.adjust("2026-01-06T09:00", "bean", 5).unwrap();
    let data = sale_with("c", &[("A", "tea", 1, 3)], ", \"currency\": \"USD\"");
    let (_, cart) = shop.cart(TEN, &data, &CartAsk { best: true, ..ask() }).unwrap();
    assert_eq!(cart, tessera_core::decide::Cart::default());
}

#[test]
fn c3_a_voucher_that_asks_for_what_is_paid_is_told_with_what_it_takes_and_keeps_its_word() {
    let terms = "vouchers:
  tenth: { gives: { percent_off: 10 }, when: event.total >= 100000, stacks: always }
  all: { gives: { percent_off: 100 }, when: event.total >= 100000, stacks: always }";
    let mut shop = shop_with(terms);
    shop.issue("TENTH", "tenth");
    shop.issue("ALL-1", "all");
    let data = lines("c", &[("A", "tea", 1, 60_000)]);
    for best in [false, true] {
        let missing = shop.cart(TEN, &data, &CartAsk { best, ..ask() }).unwrap().1.missing;
        let [Missing::Voucher { voucher, spend, saving, .. }] = missing.as_slice() else { panic!("{missing:?}") };
        assert_eq!(
            (voucher.as_str(), spend.to_string(), saving.to_string()),
            ("tenth", "51111".into(), "11111".into())
        );
    }
    // One less is refused, and so much is not.
    let with = |total: i64| {
        let off = total / 10;
        let paid = total - off;
        sale_with(
            "d",
            &[("A", "tea", 1, total)],
            &format!(", \"total\": {paid}, \"discount\": {off}, \"vouchers\": [\"TENTH\"]"),
        )
    };
    assert_eq!(shop.clone().refused(TEN, "purchase", &with(111_110)).code(), "voucher-condition-not-met");
    shop.send(TEN, "purchase", &with(111_111));
}
