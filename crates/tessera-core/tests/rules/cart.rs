//! C3, C4, M3, M4: a cart before it is paid: member prices, the vouchers that save most and why, what it then brings.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_core::decide::{Best, Cart, CartAsk, Decision, EffectKind, Missing};
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, document, json::*, sum_of};

const TEN: &str = "2026-03-02T10:00";

/// A bean per 1,000; a price for everybody who is a member, one for gold from the 10th, a week earlier for those with a
/// pass; vouchers of every kind.
const CAFE: &str = "
currencies: { bean: { name: Bean, expires: never } }
benefits: { pass: { name: Pass } }
events: { visit: { data: {} }, vip: { data: {} } }
tiers: { club: { measure: spend, levels: [ { id: blue, at: 0 }, { id: gold, at: 500000 } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
  come-in: { trigger: visit, rules: [ { issue: { voucher: cup } } ] }
  get-pass: { trigger: vip, rules: [ { grant: { benefit: pass, for: P90D } } ] }
prices:
  cakes: { items: { category: cake }, percent_off: 10, name: { en: Cake price, vi: Giá bánh } }
  gold-tea: { items: { category: tea }, price: 30000, when: member.tier.club == \"gold\", schedule: { from: 2026-03-10, until: 2026-03-31 }, early: { before: P7D, benefit: pass }, stacks: always }
  app-bean: { items: { sku: [BEANS] }, amount_off: 15000, channels: [app], stacks: { exclusive: grocery } }
vouchers:
  cup: { gives: { free_item: { category: coffee } }, valid: P30D, name: { en: A cup, vi: Một ly } }
  half: { gives: { percent_off: 50, up_to: 40000 } }
  twenty: { gives: { amount_off: 20000 }, min_spend: 100000, stacks: always }
  ten: { gives: { percent_off: 10 }, stacks: always, priority: -1 }
  alone: { gives: { amount_off: 60000 }, stacks: never }
  ship: { gives: { free_shipping: true }, stacks: always }
  big: { gives: { amount_off: 15000 }, when: event.total >= 100000, stacks: always }
  week: { gives: { amount_off: 5000 }, uses: { per_code: 1, per_member: { week: 1 } }, stacks: always }
  grocer: { gives: { amount_off: 5000, items: { sku: [BEANS] } }, stacks: { exclusive: grocery } }
";

fn ask() -> CartAsk {
    CartAsk { best: true, language: "en".to_owned(), ..CartAsk::default() }
}

/// A shop whose member has been there before.
fn cafe() -> Shop {
    let mut shop = Shop::new(CAFE);
    shop.send("2026-03-01T09:00", "purchase", &sale("first", 1_000));
    shop
}

fn best(shop: &Shop, data: &str) -> (Decision, Best) {
    let (decision, cart) = shop.cart(TEN, data, &ask()).unwrap();
    (decision, cart.best.unwrap())
}

fn codes(best: &Best) -> Vec<&str> {
    best.vouchers.iter().map(|voucher| voucher.code.as_str()).collect()
}

fn prices(cart: &Cart) -> Vec<(String, String, String)> {
    let told = |price: &tessera_core::decide::LinePrice| {
        (price.line.to_string(), price.price.to_string(), price.amount.to_string())
    };
    cart.prices.iter().map(told).collect()
}

fn why(best: &Best, code: &str) -> String {
    best.considered.iter().find(|known| known.code == code).map(|known| known.reason.to_string()).unwrap_or_default()
}

/// What the answer promises is what the purchase brings when its data are sent as they are.
fn keeps_its_word(mut shop: Shop, (quoted, best): (Decision, Best)) {
    let bought = shop.send(TEN, "purchase", &best.purchase.to_string());
    let told = |decision: &Decision| {
        let effects = decision.outcome.effects.iter();
        effects.map(|effect| (effect.kind, effect.amount, effect.code.clone(), effect.money)).collect::<Vec<_>>()
    };
    assert_eq!(told(&quoted), told(&bought));
    assert_eq!(quoted.outcome.balances, bought.outcome.balances);
    let of = |effect: &tessera_core::decide::Effect| effect.money.unwrap_or_default();
    let vouchers = bought.outcome.effects.iter().filter(|effect| effect.kind == EffectKind::VoucherRedeemed);
    let by_vouchers: tessera_core::quantity::Amount = vouchers.map(of).sum();
    let by_prices = best.prices.iter().map(|price| price.saving).sum();
    assert_eq!(best.saving - by_vouchers, by_prices);
}

const BASKET: [(&str, &str, i64, i64); 2] = [("LATTE", "coffee", 2, 90_000), ("TEA", "tea", 2, 80_000)];

#[test]
fn c3_a_member_price_is_said_by_line_and_a_guest_has_none() {
    let shop = cafe();
    let data = lines("c", &[("CAKE", "cake", 3, 100_005), ("LATTE", "coffee", 1, 45_000)]);
    let (decision, cart) = shop.cart(TEN, &data, &CartAsk::default()).unwrap();
    assert_eq!(prices(&cart), [("1".into(), "cakes".into(), "90005".into())]);
    assert_eq!(cart.prices[0].words, "member price `cakes`: 10 % off, for members");
    assert_eq!(sum_of(&decision, EffectKind::Accrual, "bean"), 145, "without `best` it is decided as it came");
    let (_, of_guest) = Shop::new(CAFE).guest().cart(TEN, &data, &ask()).unwrap();
    assert_eq!((prices(&of_guest), of_guest.best.unwrap().saving.to_string()), (vec![], "0".into()));
    let (_, of_newcomer) = Shop::new(CAFE).cart(TEN, &data, &ask()).unwrap();
    assert_eq!(prices(&of_newcomer), []);
}

#[rstest]
#[case::not_gold_yet("2026-03-12T10:00", 1, false, false)]
#[case::gold("2026-03-12T10:00", 500_000, false, true)]
#[case::too_early("2026-03-08T10:00", 500_000, false, false)]
#[case::early_with_the_pass("2026-03-03T10:00", 500_000, true, true)]
#[case::too_early_even_with_it("2026-03-02T23:59", 500_000, true, false)]
#[case::over("2026-04-01T00:00", 500_000, true, false)]
fn c3_who_has_a_member_price_and_when(#[case] time: &str, #[case] spent: i64, #[case] pass: bool, #[case] has: bool) {
    let mut shop = Shop::new(CAFE);
    shop.send("2026-03-01T09:00", "purchase", &sale("first", spent));
    if pass {
        shop.send("2026-03-01T09:00", "vip", "{}");
    }
    let (_, cart) = shop.cart(time, &lines("c", &[("TEA", "tea", 2, 80_000)]), &CartAsk::default()).unwrap();
    let expected = if has { vec![("1".to_owned(), "gold-tea".to_owned(), "60000".to_owned())] } else { vec![] };
    assert_eq!(prices(&cart), expected);
}

#[test]
fn c4_a_price_is_the_same_on_every_channel_unless_it_names_one() {
    let shop = cafe();
    let on = |channel: &str| {
        let items = [("CAKE", "cake", 1, 50_000), ("BEANS", "grocery", 1, 90_000)];
        let (_, cart) = shop.cart(TEN, &sale_with("c", &items, channel), &ask()).unwrap();
        (prices(&cart), cart.best.unwrap().saving.to_string())
    };
    let everywhere = on("");
    assert_eq!(everywhere, (vec![("1".into(), "cakes".into(), "45000".into())], "5000".into()));
    for channel in ["pos", "web", "line", "zalo"] {
        assert_eq!(on(&format!(", \"channel\": \"{channel}\"")), everywhere, "{channel}");
    }
    assert_eq!(on(", \"channel\": \"app\"").1, "20000");
}

#[test]
fn c3_the_best_of_what_excludes_each_other_and_what_goes_together() {
    let mut shop = cafe();
    let cup = shop.send(TEN, "visit", "{}").vouchers[0].code.to_string();
    for (code, voucher) in [("HALF-1", "half"), ("TWENTY", "twenty"), ("TEN-1", "ten"), ("ALONE", "alone")] {
        shop.issue(code, voucher);
    }
    // The cup takes 45,000 and half at most 40,000; then 20,000, and 10 % of what is left of 170,000 is 10,500.
    let (quoted, best) = best(&shop, &lines("c", &BASKET));
    assert_eq!(codes(&best), [cup.as_str(), "TWENTY", "TEN1"]);
    assert_eq!(best.saving.to_string(), "75500");
    assert!(best.proven, "{}", best.words);
    assert_eq!(why(&best, &cup), "used");
    assert_eq!(why(&best, "HALF1"), "does-not-combine");
    assert_eq!(why(&best, "ALONE"), "does-not-combine");
    // Half in place of the cup takes 40,000, then 20,000 and 11,000.
    let next = best.runner_up.as_ref().unwrap();
    assert_eq!(
        (next.vouchers.as_slice(), next.saving.to_string()),
        (["HALF1".into(), "TWENTY".into(), "TEN1".into()].as_slice(), "71000".into())
    );
    assert_eq!(next.difference.to_string(), "4500");
    // M4: 170,000 − 75,500 earn 94 beans.
    assert_eq!(sum_of(&quoted, EffectKind::Accrual, "bean"), 94);
    keeps_its_word(shop, (quoted, best));
}

#[test]
fn c3_one_that_goes_with_none_is_best_where_it_takes_more_than_all_others() {
    let mut shop = cafe();
    for (code, voucher) in [("TWENTY", "twenty"), ("TEN-1", "ten"), ("ALONE", "alone")] {
        shop.issue(code, voucher);
    }
    let (quoted, best) = best(&shop, &lines("c", &BASKET));
    assert_eq!((codes(&best), best.saving.to_string()), (vec!["ALONE"], "60000".into()));
    keeps_its_word(shop, (quoted, best));
}

#[test]
fn c3_vouchers_keep_off_a_member_price_unless_it_allows_them() {
    let mut shop = cafe();
    shop.issue("HALF-1", "half");
    // Half of the cake is more than its member price: the price is left.
    let (quoted, found) = best(&shop, &lines("c", &[("CAKE", "cake", 1, 60_000)]));
    assert_eq!((codes(&found), found.prices.len(), found.saving.to_string()), (vec!["HALF1"], 0, "30000".into()));
    keeps_its_word(shop.clone(), (quoted, found));
    // Of a dear cake half is capped at 40,000, and its price takes 50,000: it is left with the coffee.
    let (quoted, found) = best(&shop, &lines("c", &[("CAKE", "cake", 1, 500_000), ("LATTE", "coffee", 1, 45_000)]));
    assert_eq!((codes(&found), found.saving.to_string()), (vec!["HALF1"], "72500".into()));
    assert_eq!(found.vouchers[0].lines[0].line, "2");
    assert_eq!(
        found.purchase["items"][0],
        json!({ "sku": "CAKE", "category": "cake", "quantity": 1, "amount": 450_000, "member_price": "cakes" })
    );
    assert_eq!((&found.purchase["total"], &found.purchase["discount"]), (&json!(472_500), &json!(22_500)));
    keeps_its_word(shop.clone(), (quoted, found));
    // A till that names the price is held to it: there is nothing else on the order for the voucher.
    let named = r#"{"order_id": "c", "total": 54000, "items": [{"category": "cake", "amount": 54000, "member_price": "cakes"}], "vouchers": ["HALF-1"]}"#;
    assert_eq!(shop.refused(TEN, "purchase", named).code(), "voucher-matches-nothing");
    // A price that nobody knows any more keeps nothing off.
    shop.send(TEN, "purchase", &named.replace("cakes", "of-old"));
}

#[test]
fn c3_a_price_of_a_group_goes_with_vouchers_of_another() {
    let mut shop = cafe();
    for (code, voucher) in [("GROCER", "grocer"), ("HALF-1", "half")] {
        shop.issue(code, voucher);
    }
    let data = sale_with("c", &[("BEANS", "grocery", 1, 90_000)], ", \"channel\": \"app\"");
    let (quoted, found) = best(&shop, &data);
    // 15,000 by the price, and half of the 75,000 that are left; the grocer's 5,000 are of the price's own group.
    assert_eq!((codes(&found), found.saving.to_string()), (vec!["HALF1"], "52500".into()));
    assert_eq!(why(&found, "GROCER"), "voucher-matches-nothing");
    keeps_its_word(shop, (quoted, found));
}

#[test]
fn m4_free_shipping_and_tax_come_out_right() {
    let mut shop = cafe();
    shop.issue("SHIP", "ship");
    shop.issue("HALF-1", "half");
    let data =
        sale_with("c", &[("LATTE", "coffee", 1, 60_000)], ", \"total\": 85000, \"shipping\": 25000, \"tax\": 5000");
    let (quoted, found) = best(&shop, &data);
    assert_eq!((codes(&found), found.saving.to_string()), (vec!["HALF1", "SHIP"], "55000".into()));
    let expected =
        json!({ "total": 30_000, "shipping": 0, "shipping_discount": 25_000, "discount": 30_000, "tax": 2_500 });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&found.purchase[name], value, "{name}");
    }
    // 30,000 − 2,500 of tax.
    assert_eq!(sum_of(&quoted, EffectKind::Accrual, "bean"), 27);
    keeps_its_word(shop, (quoted, found));
}

#[test]
fn c3_a_condition_on_what_is_paid_is_judged_with_the_combination() {
    let mut shop = cafe();
    for (code, voucher) in [("BIG-1", "big"), ("TWENTY", "twenty")] {
        shop.issue(code, voucher);
    }
    // Together 85,000 would be paid, less than `big` asks for.
    let (quoted, found) = best(&shop, &sale("c", 120_000));
    assert_eq!((codes(&found), found.saving.to_string()), (vec!["TWENTY"], "20000".into()));
    assert_eq!(why(&found, "BIG1"), "voucher-condition-not-met");
    keeps_its_word(shop.clone(), (quoted, found));
    let (quoted, found) = best(&shop, &sale("c", 135_000));
    assert_eq!((codes(&found), found.saving.to_string()), (vec!["BIG1", "TWENTY"], "35000".into()));
    keeps_its_word(shop, (quoted, found));
}

#[test]
fn c3_one_order_stays_within_what_a_member_may_use() {
    let mut shop = cafe();
    shop.issue("WEEK-1", "week");
    shop.issue("WEEK-2", "week");
    let (quoted, found) = best(&shop, &sale("c", 50_000));
    assert_eq!((codes(&found), found.saving.to_string()), (vec!["WEEK1"], "5000".into()));
    let both = sale_with("d", &[("A", "goods", 1, 50_000)], ", \"vouchers\": [\"WEEK-1\", \"WEEK-2\"]");
    assert_eq!(shop.refused(TEN, "purchase", &both).code(), "voucher-limit");
    keeps_its_word(shop, (quoted, found));
}

#[test]
fn c4_of_equal_ones_the_fewest_that_expire_first_whatever_is_named_first() {
    let mut shop = cafe();
    let first = shop.send("2026-03-01T10:00", "visit", "{}").vouchers[0].code.to_string();
    let second = shop.send("2026-03-02T09:00", "visit", "{}").vouchers[0].code.to_string();
    shop.issue("HALF-1", "half");
    for named in [[&first, &second], [&second, &first]] {
        let named = format!(", \"vouchers\": [\"{}\", \"{}\"]", named[0], named[1]);
        let (_, found) = best(&shop, &sale_with("c", &[("LATTE", "coffee", 2, 80_000)], &named));
        // A cup and half of all are 40,000 each: the cup expires, the code does not.
        assert_eq!((codes(&found), found.saving.to_string()), (vec![first.as_str()], "40000".into()));
        assert_eq!(found.runner_up.unwrap().difference.to_string(), "0");
    }
}

#[test]
fn c4_too_many_vouchers_are_searched_as_far_as_it_goes_and_nobody_claims_a_proof() {
    let mut shop = cafe();
    for number in 10..24 {
        shop.issue(&format!("TEN-{number}"), if number == 23 { "twenty" } else { "ten" });
    }
    let (quoted, found) = best(&shop, &sale("c", 1_000_000));
    // Ten vouchers go on one order: 20,000 and nine times a tenth of what is left are better than ten tenths.
    assert_eq!(found.vouchers.len(), 10);
    assert!(!found.proven && found.words.starts_with("not proven"), "{}", found.words);
    assert_eq!(found.considered.iter().filter(|one| one.reason == "not-tried").count(), 2);
    keeps_its_word(shop, (quoted, found));
}

#[test]
fn what_is_refused_is_told_and_what_nobody_named_is_left_unsaid() {
    let mut shop = cafe();
    let used = shop.send(TEN, "visit", "{}").vouchers[0].code.to_string();
    let spent = sale_with("o", &[("LATTE", "coffee", 1, 45_000)], &format!(", \"vouchers\": [\"{used}\"]"));
    shop.send(TEN, "purchase", &spent);
    shop.issue("TWENTY", "twenty");
    let (_, found) = best(&shop, &sale_with("c", &[("A", "goods", 1, 50_000)], ", \"vouchers\": [\"NOPE\"]"));
    assert_eq!(
        (why(&found, "NOPE"), why(&found, "TWENTY")),
        ("unknown-voucher".into(), "voucher-below-minimum".into())
    );
    assert_eq!(why(&found, &used), "", "it is not the customer's any more");
    assert_eq!(found.purchase.get("vouchers"), None::<&Value>);
}

/// Prices and vouchers at their edges: hours, places, halves of a dong, gift cards, many prices of one line.
const EDGES: &str = "
currencies: { bean: { name: Bean, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
prices:
  happy: { items: { category: beer }, percent_off: 20, schedule: { until: 2026-03-02, hours: [\"16:00\", \"18:00\"] }, locations: [bar] }
  tea-one: { items: { category: tea }, price: 30000 }
  tea-two: { items: { category: tea }, price: 30000 }
  all: { percent_off: 10 }
  dear: { items: { category: cake }, price: 90000 }
vouchers:
  cup: { gives: { amount_off: 10000 } }
  prize: { gives: { points: { bean: 5 } } }
  five: { gives: { amount_off: 5000 }, stacks: always }
  nine: { gives: { amount_off: 9000 }, stacks: always, uses: { per_code: 1, per_member: { day: 1 } } }
";

fn edges() -> Shop {
    let mut shop = Shop::new(EDGES);
    shop.send("2026-03-01T09:00", "purchase", &sale("first", 1_000));
    shop
}

#[rstest]
#[case::in_its_hour("2026-03-02T17:00", "bar", "beer")]
#[case::before_it("2026-03-02T15:59", "bar", "")]
#[case::elsewhere("2026-03-02T17:00", "shop", "")]
#[case::the_day_after("2026-03-03T17:00", "bar", "")]
fn c3_a_price_has_its_hours_and_places(#[case] time: &str, #[case] place: &str, #[case] has: &str) {
    let data = sale_with("c", &[("B", "beer", 1, 100_000)], &format!(", \"location\": \"{place}\""));
    let (_, cart) = edges().cart(time, &data, &CartAsk::default()).unwrap();
    let expected = if has.is_empty() { ("all", "90000") } else { ("happy", "80000") };
    assert_eq!((cart.prices[0].price.as_str(), cart.prices[0].amount.to_string().as_str()), expected);
}

#[test]
fn c4_of_equal_prices_the_first_by_name_and_none_that_is_dearer() {
    let shop = edges();
    let of = |items: &[(&str, &str, i64, i64)]| {
        let (_, cart) = shop.cart(TEN, &lines("c", items), &CartAsk::default()).unwrap();
        cart.prices.iter().map(|price| (price.price.to_string(), price.amount.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(of(&[("T", "tea", 2, 80_000)]), [("tea-one".to_owned(), "60000".to_owned())]);
    assert_eq!(of(&[("C", "cake", 1, 80_000)]), [("all".to_owned(), "72000".to_owned())], "90,000 would be dearer");
    assert_eq!(of(&[("G", "gift_card", 1, 100_000)]), [], "money costs what it is");
    let priced = r#"{"order_id": "c", "total": 70000, "items": [{"category": "tea", "amount": 70000, "member_price": "tea-one"}]}"#;
    let (_, cart) = shop.cart(TEN, priced, &CartAsk::default()).unwrap();
    assert_eq!(cart.prices, [], "a line has one price");
}

#[test]
fn m4_a_tip_is_not_discounted_and_a_unit_price_follows_its_line() {
    let mut shop = edges();
    shop.issue("CUP-1", "cup");
    // 6,000 are for goods: no more than that is taken off, whatever the voucher says.
    let tipped = r#"{"order_id": "c", "total": 26000, "tip": 20000}"#;
    let (quoted, found) = best(&shop, tipped);
    assert_eq!((found.saving.to_string(), &found.purchase["total"]), ("6000".into(), &json!(20_000)));
    keeps_its_word(shop.clone(), (quoted, found));
    let units =
        r#"{"order_id": "d", "total": 80000, "items": [{"category": "tea", "quantity": 2, "unit_price": 40000}]}"#;
    let (quoted, found) = best(&shop, units);
    assert_eq!(
        (&found.purchase["items"][0]["unit_price"], &found.purchase["items"][0]["amount"]),
        (&json!(30_000), &json!(60_000))
    );
    keeps_its_word(shop, (quoted, found));
}

#[test]
fn c4_more_prices_than_are_tried_together_are_no_proof_and_no_worse() {
    let mut shop = edges();
    shop.issue("FIVE-1", "five");
    let items = [("B", "beer", 1, 100_000), ("T", "tea", 1, 50_000), ("C", "cake", 1, 100_000)];
    let data = sale_with("c", &items, ", \"location\": \"bar\"");
    let (quoted, cart) = shop.cart("2026-03-02T17:00", &data, &ask()).unwrap();
    let found = cart.best.unwrap();
    // 20,000 and 20,000 and 10,000: with the voucher nothing would be left that has no price.
    assert_eq!((found.saving.to_string(), found.proven), ("50000".into(), false), "{}", found.words);
    assert_eq!(sum_of(&quoted, EffectKind::Accrual, "bean"), 200);
    let (_, few) = best(&shop, &lines("d", &[("C", "cake", 1, 60_000)]));
    assert_eq!((few.saving.to_string(), few.proven), ("6000".into(), true), "two prices are for it: {}", few.words);
}

#[test]
fn what_is_claimed_is_told_to_whom_names_it_alone_and_codes_that_were_not_read_prove_nothing() {
    let mut shop = edges();
    shop.issue("PRIZE", "prize");
    let (_, found) = best(&shop, &sale("c", 50_000));
    assert_eq!(why(&found, "PRIZE"), "");
    let (_, found) = best(&shop, &sale_with("c", &[("A", "goods", 1, 50_000)], ", \"vouchers\": [\"PRIZE\"]"));
    assert_eq!(why(&found, "PRIZE"), "voucher-is-claimed");
    assert!(found.proven);
    let not_all = CartAsk { not_all_codes: true, ..ask() };
    let (_, cart) = shop.cart(TEN, &sale("c", 50_000), &not_all).unwrap();
    assert!(!cart.best.unwrap().proven);
}

#[test]
fn c4_of_codes_of_one_voucher_the_first_are_taken() {
    let mut shop = edges();
    for code in ["FIVE-3", "FIVE-1", "FIVE-2"] {
        shop.issue(code, "five");
    }
    for code in ["NINE-1", "NINE-2"] {
        shop.issue(code, "nine");
    }
    // Of a cart of 12,000 two of the five and one of the nine are too much: one of each is enough for what they take.
    let (quoted, found) = best(&shop, &lines("c", &[("G", "goods", 1, 12_000)]));
    assert_eq!((codes(&found), found.saving.to_string()), (vec!["FIVE1", "NINE1"], "12000".into()));
    keeps_its_word(shop, (quoted, found));
}

#[rstest]
#[case::nothing_said(
    "{ items: { category: tea } }",
    "prices.p: one of `price`, `amount_off` and `percent_off` is expected"
)]
#[case::two_said(
    "{ price: 1, percent_off: 1 }",
    "prices.p: one of `price`, `amount_off` and `percent_off` is expected"
)]
#[case::nothing_off("{ percent_off: 0 }", "prices.p.percent_off: 0 is no price: a number above 0 is expected")]
#[case::too_much("{ percent_off: 101 }", "prices.p.percent_off: more than 100 percent cannot be taken off")]
#[case::all_lines("{ percent_off: 1, items: {} }", "prices.p.items: say which lines: `category`, `brand` or `sku`")]
#[case::ends_early(
    "{ percent_off: 1, schedule: { from: 2026-02-01, until: 2026-01-01 } }",
    "prices.p.schedule: it ends before it begins"
)]
#[case::early_of_nothing(
    "{ percent_off: 1, early: { before: P1D, benefit: pass } }",
    "prices.p.early: without `schedule: { from: … }` nobody has to wait"
)]
#[case::unknown_benefit(
    "{ percent_off: 1, schedule: { from: 2026-02-01 }, early: { before: P1D, benefit: pas } }",
    "prices.p.early.benefit: there is no benefit `pas`"
)]
fn a_price_that_says_nothing_is_refused(#[case] price: &str, #[case] expected: &str) {
    let text = document(&format!(
        "currencies: {{ bean: {{ name: B, expires: never }} }}\nbenefits: {{ pass: {{ name: Pass }} }}\nprices: {{ p: {price} }}"
    ));
    let found: Vec<String> = read_document(&text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|problem| problem.contains(expected)), "{found:?}");
}

const THRESHOLDS: &str = "
currencies: { bean: { name: { en: beans, vi: hạt, th: เมล็ด }, expires: never } }
benefits: { lounge: { name: { en: Lounge } } }
tiers: { club: { measure: spend, levels: [ { id: blue, at: 0 }, { id: gold, at: 1000000, name: { en: Gold, vi: Vàng, th: ทอง } } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
  mug: { trigger: purchase, rules: [ { when: event.total >= 300000, issue: { voucher: free-mug } } ] }
  lounge: { trigger: purchase, rules: [ { when: event.net > 400000 and event.channel == \"pos\", grant: { benefit: lounge, for: P7D } } ] }
  three: { trigger: purchase, earning: bonus, rules: [ { when: len(event.items) >= 3, award: { currency: bean, amount: 30 } } ] }
  held: { trigger: purchase, audience: member.purchases >= 0, holdout: 1, rules: [ { when: event.total >= 290000, award: { currency: bean, amount: 50 } } ] }
  over: { trigger: purchase, schedule: { until: 2026-02-01 }, rules: [ { when: event.total >= 290000, award: { currency: bean, amount: 50 } } ] }
  spent: { trigger: purchase, budget: { bean: 10 }, rules: [ { when: event.total >= 295000, award: { currency: bean, amount: 10 } } ] }
  lucky: { trigger: purchase, budget: { bean: 1000 }, rules: [ { when: event.total >= 285000, chance: 0.5, award: { currency: bean, amount: 50 } } ] }
  gold-only: { trigger: purchase, rules: [ { when: event.total >= 280000 and member.tier.club == \"gold\", award: { currency: bean, amount: 50 } } ] }
vouchers:
  free-mug: { gives: { free_item: { sku: [MUG] } }, name: { en: Free mug, vi: Ly miễn phí, th: แก้วฟรี } }
  half: { gives: { percent_off: 50 }, stacks: always }
  tet: { gives: { amount_off: 50000 }, min_spend: 320000, stacks: always, name: { en: Tet, vi: Tết } }
  little: { gives: { amount_off: 1000 }, min_spend: 320000, stacks: { exclusive: g } }
  much: { gives: { amount_off: 9000 }, stacks: { exclusive: g } }
rewards:
  cup: { costs: { bean: 300 }, gives: { item: true }, name: { en: Cup } }
  pot: { costs: { bean: 700 }, costs_by_tier: { club: { gold: 500 } }, gives: { item: true }, name: { en: Pot, vi: Ấm } }
  gone: { costs: { bean: 600 }, stock: 1, gives: { item: true } }
";

fn words(missing: &[Missing]) -> Vec<String> {
    let said = |missing: &Missing| json!(missing)["words"].as_str().unwrap().to_owned();
    missing.iter().map(said).collect()
}

/// A member who spent 200,000, in a program whose budget `spent` is gone.
fn thresholds() -> Shop {
    let mut shop = Shop::new(THRESHOLDS);
    shop.send("2026-03-01T09:00", "purchase", &sale("first", 200_000));
    shop.pools.insert("pool:budget/spent/bean".into(), 10);
    shop.pools.insert("pool:reward:gone".into(), 1);
    shop
}

fn missing(shop: &Shop, data: &str, ask: CartAsk) -> Vec<String> {
    let ask = CartAsk { missing: true, ..ask };
    words(&shop.cart(TEN, data, &ask).unwrap().1.missing)
}

const IN_ENGLISH: CartAsk =
    CartAsk { best: false, missing: false, rewards: false, language: String::new(), not_all_codes: false };

#[test]
fn c9_what_is_missing_is_exact_and_only_what_would_be_given() {
    let shop = thresholds();
    // 460 beans and 460,000 spent after it; the lounge asks for more than 400,000 and for the till.
    let data = sale_with("c", &[("A", "goods", 1, 260_000)], ", \"channel\": \"pos\"");
    let expected = [
        "Add 2 more items to get 30 beans",
        "Spend 40,000 ₫ more to get Free mug",
        "Spend 140,001 ₫ more to get Lounge",
        "540,000 ₫ more to reach Gold",
        "240 beans more for Pot",
    ];
    assert_eq!(missing(&shop, &data, IN_ENGLISH), expected);
    let elsewhere = missing(&shop, &sale("c", 260_000), IN_ENGLISH);
    assert!(!elsewhere.iter().any(|said| said.contains("Lounge")), "{elsewhere:?}");
    let there = missing(&shop, &sale("c", 300_000), IN_ENGLISH);
    assert!(!there.iter().any(|said| said.contains("mug")), "what the cart has come to is not missing: {there:?}");
}

#[rstest]
#[case(
    "vi",
    "Mua thêm 40.000 ₫ để nhận Ly miễn phí",
    "Còn 540.000 ₫ nữa để lên hạng Vàng",
    "Còn thiếu 240 hạt để đổi Ấm"
)]
#[case("th", "ซื้อเพิ่ม 40,000 ₫ รับ แก้วฟรี", "อีก 540,000 ₫ จะได้เลื่อนเป็นระดับ ทอง", "อีก 240 เมล็ด ก็แลก Pot ได้")]
fn what_is_missing_is_said_in_the_customers_language(
    #[case] language: &str,
    #[case] campaign: &str,
    #[case] level: &str,
    #[case] reward: &str,
) {
    let said = missing(&thresholds(), &sale("c", 260_000), CartAsk { language: language.to_owned(), ..IN_ENGLISH });
    for expected in [campaign, level, reward] {
        assert!(said.contains(&expected.to_owned()), "{said:?}");
    }
}

#[test]
fn c9_a_voucher_in_percent_takes_its_part_of_what_is_added() {
    let mut shop = thresholds();
    shop.issue("HALF-1", "half");
    // 260,000 cost 130,000. Half of 599,999 is 299,999 rounded down, and 300,000 are left to pay.
    let said = missing(&shop, &sale("c", 260_000), CartAsk { best: true, ..IN_ENGLISH });
    assert!(said.contains(&"Spend 339,999 ₫ more to get Free mug".to_owned()), "{said:?}");
    let more = ", \"total\": 300000, \"discount\": 299999, \"vouchers\": [\"HALF-1\"]";
    let bought = shop.send(TEN, "purchase", &sale_with("c", &[("A", "goods", 1, 599_999)], more));
    assert!(bought.outcome.effects.iter().any(|effect| effect.kind == EffectKind::VoucherIssued));
}

#[test]
fn c3_a_voucher_for_larger_carts_is_told_where_it_saves_more() {
    let mut shop = thresholds();
    for (code, voucher) in [("TET-1", "tet"), ("LITTLE", "little"), ("MUCH", "much")] {
        shop.issue(code, voucher);
    }
    let said = missing(&shop, &sale("c", 260_000), CartAsk { best: true, ..IN_ENGLISH });
    // `little` would not be used beside `much`, which saves more.
    let vouchers: Vec<&String> = said.iter().filter(|said| said.contains("save")).collect();
    assert_eq!(vouchers, ["Spend 60,000 ₫ more to use Tet and save 50,000 ₫ more"]);
    let (_, cart) = shop.cart(TEN, &sale("c", 320_000), &CartAsk { best: true, ..IN_ENGLISH }).unwrap();
    assert_eq!(cart.best.unwrap().saving.to_string(), "59000");
}

#[test]
fn c9_a_guest_is_told_nothing_of_levels_and_rewards() {
    let shop = Shop::new(THRESHOLDS).guest();
    assert_eq!(missing(&shop, &sale("c", 260_000), IN_ENGLISH), Vec::<String>::new());
}

#[test]
fn what_can_be_had_now_is_at_the_members_own_price() {
    let had = |spent: i64| {
        let mut shop = Shop::new(THRESHOLDS);
        shop.send("2026-03-01T09:00", "purchase", &sale("first", spent));
        shop.pools.insert("pool:reward:gone".into(), 1);
        let ask = CartAsk { rewards: true, ..IN_ENGLISH };
        let rewards = shop.cart(TEN, &sale("c", 1_000), &ask).unwrap().1.rewards;
        rewards.into_iter().map(|one| (one.reward.to_string(), one.points, one.ordinary)).collect::<Vec<_>>()
    };
    assert_eq!(had(250_000), []);
    assert_eq!(had(500_000), [("cup".to_owned(), 300, None)]);
    assert_eq!(had(1_000_000), [("pot".to_owned(), 500, Some(700)), ("cup".to_owned(), 300, None)]);
}

const CATEGORIES: &str = "
currencies: { bean: { name: { en: beans }, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
  bakery: { trigger: purchase, earning: bonus, rules: [ { when: \"sum(map(filter(event.items, #.category == 'bakery'), #.amount)) >= 100000\", award: { currency: bean, amount: 50 } } ] }
  acme: { trigger: purchase, earning: bonus, rules: [ { when: \"count(event.items, #.brand == 'acme' and 'tea' == #.category) > 1\", award: { currency: bean, amount: 20 } } ] }
  all: { trigger: purchase, earning: bonus, rules: [ { when: \"sum(map(event.items, #.amount)) >= 200000 and event.total >= 150000\", award: { currency: bean, amount: 5 } } ] }
  two: { trigger: purchase, earning: bonus, rules: [ { when: \"sum(map(filter(event.items, #.category == 'bakery'), #.amount)) >= 90000 and len(filter(event.items, #.category == 'tea')) >= 2\", award: { currency: bean, amount: 7 } } ] }
";

#[test]
fn c9_what_is_missing_of_a_category_is_told_with_it() {
    let shop = Shop::new(CATEGORIES);
    let cart = |bakery: i64, tea: i64| {
        let items = [("A", "bakery", 1, bakery), ("B", "tea", 1, tea)];
        missing(&shop, &sale_with("c", &items, ""), IN_ENGLISH)
    };
    let said = cart(60_000, 100_000);
    assert!(said.contains(&"Spend 40,000 ₫ more on bakery to get 50 beans".to_owned()), "{said:?}");
    assert!(said.contains(&"Add 2 more items of tea acme to get 20 beans".to_owned()), "{said:?}");
    assert!(said.contains(&"Spend 40,000 ₫ more to get 5 beans".to_owned()), "{said:?}");
    assert_eq!(said.len(), 3, "what asks for two kinds at once is not said: {said:?}");
    assert!(!cart(100_000, 60_000).iter().any(|said| said.contains("bakery")), "it has come to it");
    // What is promised is what is given.
    let mut shop = Shop::new(CATEGORIES);
    let bought = [("A", "bakery", 1, 60_000), ("B", "tea", 1, 100_000), ("C", "bakery", 1, 40_000)];
    let bought = shop.send(TEN, "purchase", &sale_with("c", &bought, ""));
    let given = bought
        .outcome
        .effects
        .iter()
        .filter(|effect| effect.campaign.as_ref().is_some_and(|id| id.as_str() == "bakery"));
    assert_eq!(given.filter_map(|effect| effect.amount).sum::<i64>(), 50);
}

#[test]
fn m5_a_cart_in_money_that_is_not_taken_is_refused_as_its_purchase() {
    let shop = Shop::new(CATEGORIES);
    let data = sale_with("c", &[("A", "bakery", 1, 60)], ", \"currency\": \"EUR\"");
    for ask in [IN_ENGLISH, CartAsk { best: true, missing: true, rewards: true, ..IN_ENGLISH }] {
        let quoted = shop.cart(TEN, &data, &ask).unwrap_err();
        assert_eq!(quoted, shop.clone().refused(TEN, "purchase", &data));
    }
}
