//! V1, V2, R9, C3, C4, C6, M3: codes that are used with an order, claimed, and taken back.

use rstest::rstest;
use tessera_core::decide::{Decision, Effect, EffectKind, Rejected};
use tessera_core::event::{Order, RedeemVoucher, RollbackVoucher, What, read_event};
use tessera_core::program::read_document;
use tessera_core::voucher::CodeStatus;
use tessera_testkit::shop::{Shop, at, count_of, document, json::*, sum_of};

/// Vouchers of every kind; a bean per 1,000, and a free cup for the second visit.
const CAFE: &str = "
currencies: { bean: { name: Bean, expires: never } }
benefits: { lounge: { name: Lounge } }
events: { visit: { data: {} } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
  come-in: { trigger: visit, rules: [ { issue: { voucher: cup } } ] }
vouchers:
  cup: { gives: { free_item: { category: coffee, up_to: 50000 } }, valid: P30D, on_return: rearm }
  bearer: { gives: { amount_off: 20000 }, transferable: true, stacks: always }
  ten: { gives: { percent_off: 10, up_to: 15000 }, min_spend: 100000, stacks: always, priority: -1 }
  half: { gives: { percent_off: 50 }, stacks: always }
  half-of-all: { gives: { percent_off: 50 }, percent_of: original, stacks: always, priority: -1 }
  tea: { gives: { percent_off: 100, items: { category: tea } }, uses: { per_code: 2 } }
  alone: { gives: { amount_off: 5000 }, stacks: never }
  spring: { gives: { amount_off: 5000 }, stacks: { exclusive: season } }
  summer: { gives: { amount_off: 6000 }, stacks: { exclusive: season } }
  ship: { gives: { free_shipping: true, up_to: 20000 }, stacks: always }
  tet: { gives: { amount_off: 10000 }, from: 2026-03-10, until: 2026-03-20, uses: { per_member: { ever: 1 } }, on_return: rearm }
  app: { gives: { amount_off: 10000 }, channels: [app], when: event.total >= 50000, audience: member.purchases >= 1 }
  cap: { gives: { points: { bean: 25 }, prize: { en: A cup } } }
  pass: { gives: { grant: { benefit: lounge, for: P7D } } }
";

const TEN: &str = "2026-03-01T10:00";

fn cafe() -> Shop {
    Shop::new(CAFE)
}

/// A purchase with vouchers: lines of SKU, category, quantity and amount.
fn with(order_id: &str, items: &[(&str, &str, i64, i64)], codes: &[&str], more: &str) -> String {
    let codes: Vec<String> = codes.iter().map(|code| format!("\"{code}\"")).collect();
    sale_with(order_id, items, &format!(", \"vouchers\": [{}]{more}", codes.join(", ")))
}

fn redeemed(decision: &Decision) -> Vec<&Effect> {
    decision.outcome.effects.iter().filter(|effect| effect.kind == EffectKind::VoucherRedeemed).collect()
}

/// Code and what it took off, by line.
fn taken(decision: &Decision) -> Vec<(String, Vec<(String, String)>)> {
    let lines = |effect: &Effect| {
        effect.lines.iter().map(|part| (part.line.to_string(), part.amount.to_string())).collect::<Vec<_>>()
    };
    redeemed(decision).iter().map(|effect| (effect.voucher.as_ref().unwrap().to_string(), lines(effect))).collect()
}

fn money(decision: &Decision) -> Vec<String> {
    redeemed(decision).iter().map(|effect| effect.money.unwrap().to_string()).collect()
}

/// A cup that a visit gave the member.
fn given(shop: &mut Shop, time: &str) -> String {
    let decision = shop.send(time, "visit", "{}");
    decision.vouchers[0].code.to_string()
}

const BASKET: [(&str, &str, i64, i64); 2] = [("LATTE", "coffee", 2, 90_000), ("CAKE", "food", 1, 60_000)];

#[test]
fn v1_a_voucher_is_used_with_its_order_and_only_once() {
    let mut shop = cafe();
    let code = given(&mut shop, TEN);
    let decision = shop.send("2026-03-02T10:00", "purchase", &with("o1", &BASKET, &[&code.to_lowercase()], ""));
    assert_eq!(taken(&decision), [("cup".to_owned(), vec![("1".to_owned(), "45000".to_owned())])]);
    assert_eq!(redeemed(&decision)[0].code.as_deref(), Some(code.as_str()), "as it was issued");
    // What the receipt says is paid stands: the points are those of its total.
    assert_eq!(sum_of(&decision, EffectKind::Accrual, "bean"), 150);
    assert_eq!(shop.code(&code).state(at("2026-03-02T10:00")), "used");
    let again = shop.refused("2026-03-03T10:00", "purchase", &with("o2", &BASKET, &[&code], ""));
    assert_eq!(again.code(), "voucher-used-up");
    assert!(again.to_string().ends_with("is used up: it was good for 1 use"), "{again}");
}

#[test]
fn v1_an_unknown_code_is_told_from_a_mistyped_one() {
    let mut shop = cafe();
    let code = given(&mut shop, TEN);
    let first = if code.starts_with('2') { '3' } else { '2' };
    let typo = format!("{first}{}", &code[1..]);
    let refused = |shop: &mut Shop, code: &str| {
        let rejected = shop.refused("2026-03-02T10:00", "purchase", &with("o1", &BASKET, &[code], ""));
        rejected.code()
    };
    assert_eq!(refused(&mut shop, &typo), "voucher-mistyped");
    assert_eq!(refused(&mut shop, "TET2027"), "unknown-voucher");
}

#[test]
fn v1_a_voucher_is_its_members_unless_it_may_go_round() {
    let mut shop = cafe();
    let code = given(&mut shop, TEN);
    shop.of_member(1);
    let refused = shop.refused("2026-03-02T10:00", "purchase", &with("o1", &BASKET, &[&code], ""));
    assert_eq!(refused.code(), "voucher-of-another-member");
    shop.issue("GIVE-IT-ON", "bearer").owner = None;
    let decision = shop.send("2026-03-02T10:00", "purchase", &with("o1", &BASKET, &["GIVE-IT-ON"], ""));
    assert_eq!(money(&decision), ["20000"]);
}

#[test]
fn p1_a_voucher_of_somebody_who_was_merged_is_the_survivors_as_long_as_they_are_one() {
    let mut shop = cafe();
    shop.send(TEN, "visit", "{}");
    let codes = [given(shop.of_member(1), TEN), given(&mut shop, TEN)];
    shop.merge("2026-03-02T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    let bought = shop.of_member(0).send("2026-03-02T10:00", "purchase", &with("o1", &BASKET, &[&codes[0]], ""));
    assert_eq!(money(&bought), ["45000"]);
    shop.unmerge("2026-03-02T11:00", 1).unwrap();
    shop.relay().remove(0).unwrap();
    let refused = shop.of_member(0).refused("2026-03-02T12:00", "purchase", &with("o2", &BASKET, &[&codes[1]], ""));
    assert_eq!(refused.code(), "voucher-of-another-member");
    shop.of_member(1).send("2026-03-02T12:00", "purchase", &with("o2", &BASKET, &[&codes[1]], ""));
}

#[test]
fn v1_a_voucher_of_a_guests_order_needs_no_member() {
    let mut shop = cafe().guest();
    shop.issue("WALK-IN", "bearer");
    shop.issue("TET-2026", "tet");
    let decision = shop.send(TEN, "purchase", &with("o1", &BASKET, &["WALK-IN"], ""));
    assert_eq!(money(&decision), ["20000"]);
    shop.of_member(1);
    let refused = shop.refused("2026-03-12T10:00", "purchase", &with("o2", &BASKET, &["TET-2026"], ""));
    assert_eq!(refused, Rejected::NeedsMember, "uses by member cannot be counted");
}

#[rstest]
#[case::too_early("2026-03-09T23:59", "voucher-not-yet", "can be used from 2026-03-10 on")]
#[case::too_late("2026-03-21T00:00", "voucher-expired", "expired on 2026-03-20")]
fn v1_dates_are_told(#[case] time: &str, #[case] code: &str, #[case] words: &str) {
    let mut shop = cafe();
    shop.issue("TET2026", "tet");
    let refused = shop.refused(time, "purchase", &with("o1", &BASKET, &["TET2026"], ""));
    assert_eq!(refused.code(), code);
    assert!(refused.to_string().ends_with(words), "{refused}");
}

#[test]
fn v1_the_last_day_is_included() {
    let mut shop = cafe();
    shop.issue("TET2026", "tet");
    shop.send("2026-03-20T23:59", "purchase", &with("o1", &BASKET, &["TET2026"], ""));
}

#[test]
fn v1_what_is_missing_is_told_with_the_numbers() {
    let mut shop = cafe();
    shop.issue("TENPERCENT", "ten");
    let small = [("CAKE", "food", 1, 60_000)];
    let refused = shop.refused(TEN, "purchase", &with("o1", &small, &["TENPERCENT"], ""));
    assert_eq!(
        refused.to_string(),
        "the voucher ten (TENPERCENT) needs an order of 100000, this one is worth 60000: 40000 more"
    );
    assert_eq!(refused.facts()["missing"], "40000");
    // Lines after the discount, as some tills send them: what they were worth before counts.
    let after = with("o1", &[("CAKE", "food", 1, 95_000)], &["TENPERCENT"], ", \"discount\": 9500");
    shop.send(TEN, "purchase", &after);
}

#[test]
fn v1_where_and_for_whom() {
    let mut shop = cafe();
    shop.issue("APP10", "app");
    let refused = |shop: &mut Shop, items: &[(&str, &str, i64, i64)], more: &str| {
        shop.refused("2026-03-02T10:00", "purchase", &with("o2", items, &["APP10"], more)).code()
    };
    assert_eq!(refused(&mut shop, &BASKET, ", \"channel\": \"app\""), "voucher-condition-not-met", "a newcomer");
    shop.send(TEN, "purchase", &sale("o1", 10_000));
    assert_eq!(refused(&mut shop, &BASKET, ", \"channel\": \"shop\""), "voucher-not-here");
    assert_eq!(refused(&mut shop, &BASKET, ""), "voucher-not-here");
    assert_eq!(refused(&mut shop, &[("A", "goods", 1, 40_000)], ", \"channel\": \"app\""), "voucher-condition-not-met");
    shop.send("2026-03-02T10:00", "purchase", &with("o2", &BASKET, &["APP10"], ", \"channel\": \"app\""));
}

#[test]
fn v1_uses_are_counted_by_code_and_by_member() {
    let mut shop = cafe();
    shop.issue("TEATIME", "tea");
    let tea = [("OOLONG", "tea", 1, 30_000), ("CAKE", "food", 1, 60_000)];
    for order in ["o1", "o2"] {
        let decision = shop.send(TEN, "purchase", &with(order, &tea, &["TEATIME"], ""));
        assert_eq!(taken(&decision), [("tea".to_owned(), vec![("1".to_owned(), "30000".to_owned())])]);
    }
    assert_eq!(shop.refused(TEN, "purchase", &with("o3", &tea, &["TEATIME"], "")).code(), "voucher-used-up");
    for code in ["TET-A", "TET-B"] {
        shop.issue(code, "tet");
    }
    shop.send("2026-03-12T10:00", "purchase", &with("o4", &BASKET, &["TET-A"], ""));
    let refused = shop.refused("2026-03-12T11:00", "purchase", &with("o5", &BASKET, &["TET-B"], ""));
    assert_eq!(refused.to_string(), "a member may use the voucher tet 1 time (ever)");
    shop.of_member(1).send("2026-03-12T11:00", "purchase", &with("o5", &BASKET, &["TET-B"], ""));
}

#[test]
fn v1_a_shared_code_is_counted_in_its_pool() {
    let mut shop = cafe();
    let shared = shop.issue("TET2026", "tet");
    (shared.most, shared.pool) = (Some(2), Some("pool:code:x".into()));
    for member in 0..2 {
        let order = format!("o{member}");
        shop.of_member(member).send("2026-03-12T10:00", "purchase", &with(&order, &BASKET, &["TET2026"], ""));
    }
    let third = with("o3", &BASKET, &["TET2026"], "");
    assert_eq!(shop.of_member(2).refused("2026-03-12T10:00", "purchase", &third).code(), "voucher-used-up");
    shop.of_member(0).send("2026-03-13T10:00", "return", &back_all("o0"));
    shop.of_member(2).send("2026-03-13T10:00", "purchase", &third);
}

#[test]
fn c3_percent_of_what_is_left_or_of_the_original() {
    let order = |shop: &mut Shop, codes: &[&str]| {
        let decision = shop.send(TEN, "purchase", &with("o1", &BASKET, codes, ""));
        taken(&decision)
    };
    let parts = |one: &str, other: &str| vec![("1".to_owned(), one.to_owned()), ("2".to_owned(), other.to_owned())];
    let mut shop = cafe();
    for (code, voucher) in [("HALF", "half"), ("TENPER", "ten")] {
        shop.issue(code, voucher);
    }
    // 75,000 off, then 10 % of 75,000; in the order they are named, worked out by priority.
    let found = order(&mut shop, &["TENPER", "HALF"]);
    assert_eq!(found, [("ten".to_owned(), parts("4500", "3000")), ("half".to_owned(), parts("45000", "30000"))]);
    let mut shop = cafe();
    for (code, voucher) in [("HALF", "half"), ("HALFALL", "half-of-all")] {
        shop.issue(code, voucher);
    }
    let found = order(&mut shop, &["HALF", "HALFALL"]);
    assert_eq!(found[1].1, parts("45000", "30000"), "half of what it was: nothing is left");
}

#[test]
fn c4_the_order_in_which_codes_are_named_changes_nothing() {
    let sums = |codes: [&str; 3]| {
        let mut shop = cafe();
        for (code, voucher) in [("BEARER", "bearer"), ("HALF", "half"), ("TENPER", "ten")] {
            shop.issue(code, voucher);
        }
        let decision = shop.send(TEN, "purchase", &with("o1", &BASKET, &codes, ""));
        let mut found: Vec<_> = taken(&decision);
        found.sort();
        found
    };
    let first = sums(["BEARER", "HALF", "TENPER"]);
    assert_eq!(first, sums(["TENPER", "HALF", "BEARER"]));
    assert_eq!(first, sums(["HALF", "TENPER", "BEARER"]));
}

#[rstest]
#[case::of_one_group("spring", "summer", true)]
#[case::of_no_group("tea", "cup", true)]
#[case::never("alone", "bearer", true)]
#[case::of_two_groups("spring", "tea", false)]
#[case::always("bearer", "spring", false)]
fn c3_which_vouchers_go_together(#[case] one: &str, #[case] other: &str, #[case] conflict: bool) {
    let mut shop = cafe();
    shop.issue("ONE1", one);
    shop.issue("OTHER2", other);
    let items = [("LATTE", "coffee", 1, 50_000), ("OOLONG", "tea", 1, 30_000)];
    let purchase = with("o1", &items, &["ONE1", "OTHER2"], "");
    let taken = shop.offer(at(TEN), at(TEN), "purchase", &purchase);
    match taken {
        Err(rejected) if conflict => assert_eq!(rejected.code(), "vouchers-do-not-combine"),
        Ok(decision) if !conflict => assert_eq!(redeemed(&decision).len(), 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn m3_a_discount_is_spread_by_largest_remainder_and_never_more_than_there_is() {
    let mut shop = cafe();
    shop.issue("TWENTY", "bearer");
    let thirds = [("A", "x", 1, 33_333), ("B", "x", 1, 33_333), ("C", "x", 1, 33_334)];
    let decision = shop.send(TEN, "purchase", &with("o1", &thirds, &["TWENTY"], ""));
    let amounts: Vec<String> = taken(&decision)[0].1.iter().map(|(_, amount)| amount.clone()).collect();
    assert_eq!(amounts, ["6667", "6666", "6667"]);
    shop.issue("TWENTY2", "bearer");
    let decision = shop.send(TEN, "purchase", &with("o2", &[("A", "x", 1, 7_000)], &["TWENTY2"], ""));
    assert_eq!(money(&decision), ["7000"]);
}

#[test]
fn v1_shipping_and_gift_cards() {
    let mut shop = cafe();
    for (code, voucher) in [("SHIP", "ship"), ("HALF", "half"), ("HALF2", "half")] {
        shop.issue(code, voucher);
    }
    let items = [("GIFT", "gift_card", 1, 100_000), ("CAKE", "food", 1, 60_000)];
    let decision = shop.send(TEN, "purchase", &with("o1", &items, &["SHIP", "HALF"], ", \"shipping\": 25000"));
    assert_eq!(redeemed(&decision)[0].shipping.unwrap().to_string(), "20000", "at most that");
    assert_eq!(money(&decision), ["20000", "30000"], "nothing is taken off money");
    let only = with("o2", &items[..1], &["HALF2"], "");
    assert_eq!(shop.refused(TEN, "purchase", &only).code(), "voucher-matches-nothing");
}

#[test]
fn r9_a_returned_order_arms_its_voucher_again_only_if_the_policy_says_so() {
    let mut shop = cafe();
    let cup = given(&mut shop, TEN);
    shop.issue("TWENTY", "bearer");
    shop.send("2026-03-02T10:00", "purchase", &with("o1", &BASKET, &[&cup, "TWENTY"], ""));
    // A part of it comes back: used is used.
    let part = shop.send("2026-03-03T10:00", "return", &back("o1", &[("CAKE", 1)]));
    assert_eq!(count_of(&part, EffectKind::VoucherRearmed), 0);
    let rest = shop.send("2026-03-04T10:00", "return", &back_all("o1"));
    let armed: Vec<_> =
        rest.outcome.effects.iter().filter(|effect| effect.kind == EffectKind::VoucherRearmed).collect();
    assert_eq!(armed.len(), 1);
    assert_eq!(armed[0].code.as_deref(), Some(cup.as_str()));
    assert_eq!(shop.code("TWENTY").uses, 1, "`keep` is the default");
    shop.send("2026-03-05T10:00", "purchase", &with("o2", &BASKET, &[&cup], ""));
}

#[test]
fn v2_a_code_that_has_expired_meanwhile_stays_used() {
    let mut shop = cafe();
    let cup = given(&mut shop, TEN);
    shop.send("2026-03-31T10:00", "purchase", &with("o1", &BASKET, &[&cup], ""));
    let back = shop.send("2026-04-01T10:00", "return", &back_all("o1"));
    assert_eq!(count_of(&back, EffectKind::VoucherRearmed), 0);
    assert_eq!(shop.code(&cup).uses, 1);
}

#[test]
fn v1_a_cancelled_code_is_good_for_nothing_and_is_not_armed_again() {
    let mut shop = cafe();
    shop.issue("TWENTY", "bearer").status = CodeStatus::Cancelled;
    assert_eq!(shop.refused(TEN, "purchase", &with("o1", &BASKET, &["TWENTY"], "")).code(), "voucher-cancelled");
    let cup = given(&mut shop, TEN);
    shop.send("2026-03-02T10:00", "purchase", &with("o1", &BASKET, &[&cup], ""));
    shop.issue(&cup, "cup").status = CodeStatus::Cancelled;
    let back = shop.send("2026-03-03T10:00", "return", &back_all("o1"));
    assert_eq!((count_of(&back, EffectKind::VoucherRearmed), shop.code(&cup).uses), (0, 1));
}

#[test]
fn v2_a_use_that_is_taken_back_no_longer_counts_for_its_member() {
    let mut shop = cafe();
    shop.issue("TET-1", "tet");
    shop.issue("TET-2", "tet");
    shop.send("2026-03-10T10:00", "purchase", &with("o1", &BASKET, &["TET-1"], ""));
    let second = with("o2", &BASKET, &["TET-2"], "");
    assert_eq!(shop.refused("2026-03-11T10:00", "purchase", &second).code(), "voucher-limit", "once ever");
    shop.send("2026-03-12T10:00", "return", &back_all("o1"));
    shop.send("2026-03-13T10:00", "purchase", &second);
}

#[test]
fn v2_a_rollback_needs_a_cancelled_order() {
    let mut shop = cafe();
    shop.issue("TWENTY", "bearer");
    shop.send(TEN, "purchase", &with("o1", &BASKET, &["TWENTY"], ""));
    let rollback = |shop: &mut Shop, order: Option<&str>| {
        let (code, order_id) = ("TWENTY".into(), order.map(Into::into));
        shop.ask(at("2026-03-02T10:00"), What::RollbackVoucher(RollbackVoucher { code, order_id }))
    };
    assert_eq!(rollback(&mut shop, Some("o9")).unwrap_err().code(), "voucher-not-used");
    assert_eq!(rollback(&mut shop, Some("o1")).unwrap_err().code(), "voucher-order-stands");
    shop.send("2026-03-02T08:00", "return", &back("o1", &[("CAKE", 1)]));
    assert_eq!(rollback(&mut shop, Some("o1")).unwrap_err().code(), "voucher-order-stands", "a part of it");
    shop.send("2026-03-02T09:00", "return", &back_all("o1"));
    let back = rollback(&mut shop, None).unwrap();
    assert_eq!(count_of(&back, EffectKind::VoucherRearmed), 1);
    assert_eq!(rollback(&mut shop, None).unwrap_err().code(), "voucher-not-used", "once");
    shop.send("2026-03-03T10:00", "purchase", &with("o2", &BASKET, &["TWENTY"], ""));
}

#[test]
fn r12_a_correction_keeps_the_vouchers_of_its_order() {
    let mut shop = cafe();
    shop.issue("TWENTY", "bearer");
    let cup = given(&mut shop, TEN);
    shop.send(TEN, "purchase", &with("o1", &BASKET, &[&cup], ""));
    let other = shop.refused("2026-03-02T10:00", "amend", &with("o1", &BASKET, &["TWENTY"], ""));
    assert_eq!(other.code(), "vouchers-changed");
    shop.send("2026-03-02T10:00", "amend", &sale_with("o1", &BASKET[..1], ""));
    shop.send("2026-03-02T11:00", "amend", &with("o1", &BASKET, &[&cup], ""));
    let back = shop.send("2026-03-03T10:00", "return", &back_all("o1"));
    assert_eq!(count_of(&back, EffectKind::VoucherRearmed), 1);
}

#[test]
fn r10_an_exchange_may_use_vouchers_but_not_wait_with_them() {
    let mut shop = cafe();
    shop.issue("TWENTY", "bearer");
    let bought = with("o2", &[("CAKE", "food", 1, 60_000)], &["TWENTY"], "");
    let swap = exchange("o1", &[("LATTE", 2)], &bought);
    assert_eq!(shop.refused(TEN, "exchange", &swap).code(), "vouchers-cannot-wait");
    shop.send(TEN, "purchase", &sale_with("o1", &BASKET, ""));
    let decision = shop.send("2026-03-02T10:00", "exchange", &swap);
    assert_eq!(money(&decision), ["20000"]);
}

fn redeem(code: &str, order: Option<Order>) -> What {
    What::RedeemVoucher(RedeemVoucher { code: code.into(), order_id: None, order })
}

#[test]
fn v1_a_claim_gives_points_a_benefit_or_a_prize() {
    let mut shop = cafe();
    shop.issue("CAP-1", "cap");
    shop.issue("PASS-1", "pass");
    shop.send(TEN, "visit", "{}");
    let claimed = shop.ask(at("2026-03-02T10:00"), redeem("CAP1", None)).unwrap();
    assert_eq!(shop.available("bean"), 25);
    assert_eq!(count_of(&claimed, EffectKind::Prize), 1);
    let again = shop.ask(at("2026-03-02T11:00"), redeem("CAP1", None)).unwrap_err();
    assert_eq!(again.code(), "voucher-used-up");
    shop.ask(at("2026-03-02T11:00"), redeem("PASS1", None)).unwrap();
    assert_eq!(shop.state().grants.len(), 1);
    shop.issue("CAP-2", "cap");
    let refused = shop.refused("2026-03-02T12:00", "purchase", &with("o1", &BASKET, &["CAP-2"], ""));
    assert_eq!(refused.code(), "voucher-is-claimed");
    let rollback = What::RollbackVoucher(RollbackVoucher { code: "CAP1".into(), order_id: None });
    assert_eq!(shop.ask(at("2026-03-02T12:00"), rollback).unwrap_err().code(), "voucher-is-claimed");
}

#[test]
fn v1_a_voucher_is_used_without_the_event_of_an_order() {
    let mut shop = cafe();
    shop.send(TEN, "visit", "{}");
    let definition = shop.versions.head().definition.clone();
    let order = |text: &str| match read_event(&definition, "purchase", text).unwrap() {
        What::Purchase(order) => order,
        other => panic!("{other:?}"),
    };
    shop.issue("TEN-1", "ten");
    let refused = shop.ask(at("2026-03-02T10:00"), redeem("TEN1", None)).unwrap_err();
    assert_eq!(refused.code(), "voucher-needs-order");
    let basket = order(&sale_with("web-1", &BASKET, ""));
    let what = RedeemVoucher { code: "TEN1".into(), order_id: Some("web-1".into()), order: Some(basket) };
    let used = shop.ask(at("2026-03-02T10:00"), What::RedeemVoucher(what)).unwrap();
    assert_eq!(money(&used), ["15000"], "10 % of 150,000, at most 15,000");
    // The web shop cancels: no order of ours stands.
    let rollback = RollbackVoucher { code: "TEN1".into(), order_id: Some("web-1".into()) };
    shop.ask(at("2026-03-02T11:00"), What::RollbackVoucher(rollback)).unwrap();
    assert_eq!(shop.code("TEN1").uses, 0);
}

#[test]
fn c6_terms_are_those_of_the_issue() {
    let mut shop = cafe();
    let cup = given(&mut shop, TEN);
    let without = CAFE.replace("  cup: {", "  mug: {").replace("issue: { voucher: cup }", "issue: { voucher: mug }");
    shop.publish("2026-03-02T00:00", &without);
    let decision = shop.send("2026-03-03T10:00", "purchase", &with("o1", &BASKET, &[&cup], ""));
    assert_eq!(money(&decision), ["45000"], "what was promised holds, whatever the document says since");
}

#[rstest]
#[case::nothing("{ gives: {} }", "this voucher gives nothing")]
#[case::two("{ gives: { amount_off: 1, percent_off: 2 } }", "one of `amount_off`, `percent_off` and `free_item`")]
#[case::both("{ gives: { amount_off: 1, points: { bean: 2 } } }", "either something is taken off an order")]
#[case::more_than_all("{ gives: { percent_off: 101 } }", "more than 100 percent")]
#[case::no_lines("{ gives: { free_item: {} } }", "say which lines")]
#[case::a_most_of_nothing("{ gives: { amount_off: 1, up_to: 5 } }", "only a percentage or the shipping")]
#[case::a_claim_with_a_least("{ gives: { points: { bean: 1 } }, min_spend: 5 }", "`min_spend` would do nothing")]
#[case::an_end_before_its_beginning(
    "{ gives: { amount_off: 1 }, from: 2026-03-02, until: 2026-03-01 }",
    "it ends before it begins"
)]
#[case::no_use("{ gives: { amount_off: 1 }, uses: { per_code: 0 } }", "`per_code` is 1 to")]
#[case::an_unknown_currency("{ gives: { points: { baen: 1 } } }", "there is no currency `baen`")]
#[case::a_misspelt_fact("{ gives: { amount_off: 1 }, audience: member.purchase > 1 }", "member.purchase")]
fn documents_say_what_is_wrong_with_a_voucher(#[case] voucher: &str, #[case] words: &str) {
    let text = format!("currencies: {{ bean: {{ name: Bean, expires: never }} }}\nvouchers: {{ x: {voucher} }}\n");
    let problems = read_document(&document(&text)).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|problem| problem.contains(words)), "{told:?}");
}
