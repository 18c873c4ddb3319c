//! What goes with what it was given for, and what happens on the way down.

use tessera_core::decide::EffectKind;
use tessera_core::event::Redeem;
use tessera_core::voucher::{CodeStatus, normalise};
use tessera_testkit::shop::{Shop, count_of, json::*, reward, sum_of};

const COUPONS: &str = "
currencies: { bean: { name: Bean, expires: never } }
vouchers:
  good: { gives: { free_item: { category: coffee } } }
  gone: { gives: { free_item: { category: coffee } }, on_undo: void, on_return: rearm }
rewards:
  keep: { costs: { bean: 10 }, gives: { voucher: good } }
  void: { costs: { bean: 10 }, gives: { voucher: gone } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
challenges: { tour: { counts: purchase, within: month, steps: [ { at: 2, issue: { voucher: gone } } ] } }
streaks: { days: { counts: purchase, every: day, milestones: [ { at: 2, issue: { voucher: gone } } ] } }
";

/// A reward that was taken: its redemption and the code that came with it.
fn taken(shop: &mut Shop, name: &str) -> (u64, String) {
    let decision = shop.redeem("2026-03-03T09:00", Redeem { capture: true, ..reward(name) }).unwrap();
    let code = normalise(&decision.vouchers[0].code).unwrap().to_string();
    (decision.events[decision.main].seq, code)
}

fn status(shop: &Shop, code: &str) -> CodeStatus {
    shop.code(code).status
}

#[test]
fn c6_a_cancelled_redemption_leaves_its_voucher_good_or_void_as_the_document_says() {
    let mut shop = Shop::new(COUPONS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    for (name, left, effects) in [("keep", CodeStatus::Open, 0), ("void", CodeStatus::Cancelled, 1)] {
        let (redemption, code) = taken(&mut shop, name);
        let back = shop.cancel("2026-03-04T09:00", redemption, None).unwrap();
        assert_eq!((status(&shop, &code), count_of(&back, EffectKind::VoucherVoided)), (left, effects), "{name}");
    }
    assert_eq!(shop.available("bean"), 100);
}

#[test]
fn c6_a_voucher_that_was_used_keeps_its_redemption() {
    let mut shop = Shop::new(COUPONS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    let (redemption, code) = taken(&mut shop, "void");
    let more = format!(r#", "vouchers": ["{code}"]"#);
    shop.send("2026-03-04T09:00", "purchase", &sale_with("o2", &[("L", "coffee", 1, 40_000)], &more));
    let refused = shop.cancel("2026-03-05T09:00", redemption, None).unwrap_err();
    assert_eq!(refused.code(), "given-voucher-used");
    assert!(refused.to_string().contains("gone"), "{refused}");
    shop.send("2026-03-06T09:00", "return", &back_all("o2"));
    shop.cancel("2026-03-06T10:00", redemption, None).expect("with its order back, the use is free again");
    assert_eq!(status(&shop, &code), CodeStatus::Cancelled);
}

#[test]
fn r2_a_step_that_a_return_takes_back_takes_its_voucher_along() {
    let mut shop = Shop::new(COUPONS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let second = shop.send("2026-03-03T09:00", "purchase", &sale("o2", 10_000));
    assert_eq!(second.vouchers.len(), 2, "of the challenge and of the streak");
    let codes: Vec<String> =
        second.vouchers.iter().map(|issued| normalise(&issued.code).unwrap().to_string()).collect();
    let back = shop.send("2026-03-04T09:00", "return", &back_all("o2"));
    assert_eq!(count_of(&back, EffectKind::VoucherVoided), 2);
    assert!(codes.iter().all(|code| status(&shop, code) == CodeStatus::Cancelled));
    assert!(shop.state().step_vouchers.is_empty());
    let again = shop.send("2026-03-05T09:00", "purchase", &sale("o3", 10_000));
    assert_eq!(again.vouchers.len(), 1, "the step is there to be done again");
}

#[test]
fn r2_what_a_merged_members_step_gave_goes_with_it_too() {
    let mut shop = Shop::new(COUPONS);
    shop.send("2026-03-01T09:00", "enrol", "{}");
    shop.of_member(1).send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let second = shop.send("2026-03-03T09:00", "purchase", &sale("o2", 10_000));
    let codes: Vec<String> = second.vouchers.iter().map(|issued| issued.code.to_string()).collect();
    assert_eq!(codes.len(), 2, "of the challenge and of the streak");
    let mut undone = shop.clone();
    shop.merge("2026-03-03T10:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    let back = shop.send("2026-03-04T09:00", "return", &back_all("o2"));
    assert_eq!(count_of(&back, EffectKind::VoucherVoided), 2);
    assert!(codes.iter().all(|code| status(&shop, code) == CodeStatus::Cancelled));
    assert!(shop.of_member(0).state().step_vouchers.is_empty());
    // Two again, they are the other's.
    undone.merge("2026-03-03T10:00", 0).unwrap();
    undone.relay().remove(0).unwrap();
    undone.of_member(0).unmerge("2026-03-03T11:00", 1).unwrap();
    undone.relay().remove(0).unwrap();
    assert!(undone.state().step_vouchers.is_empty());
    undone.of_member(1).send("2026-03-04T09:00", "return", &back_all("o2"));
    assert!(codes.iter().all(|code| status(&undone, code) == CodeStatus::Cancelled));
}

#[test]
fn c6_what_was_made_void_before_is_not_made_void_again() {
    let mut shop = Shop::new(COUPONS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    let (redemption, code) = taken(&mut shop, "void");
    shop.issue(&code, "gone").status = CodeStatus::Cancelled;
    let back = shop.cancel("2026-03-04T09:00", redemption, None).unwrap();
    assert_eq!(count_of(&back, EffectKind::VoucherVoided), 0);
}

#[test]
fn r2_of_what_steps_gave_only_that_of_the_step_goes_and_only_unused() {
    let steps = "steps: [ { at: 1, issue: { voucher: gone } }, { at: 2, issue: { voucher: gone } }, { at: 3, issue: { voucher: gone } } ]";
    let tour = |more: &str| {
        let text = COUPONS.replace("steps: [ { at: 2, issue: { voucher: gone } } ]", &format!("{steps}{more}"));
        Shop::new(&text.replace("milestones: [ { at: 2,", "milestones: [ { at: 20,"))
    };
    let mut shop = tour("");
    let mut codes = Vec::new();
    for (day, order) in [(2, "o1"), (3, "o2"), (4, "o3")] {
        let bought = shop.send(&format!("2026-03-0{day}T09:00"), "purchase", &sale(order, 10_000));
        codes.push(bought.vouchers[0].code.to_string());
    }
    let mut amended = shop.clone();
    let back = shop.send("2026-03-05T09:00", "return", &back_all("o3"));
    assert_eq!(count_of(&back, EffectKind::VoucherVoided), 1);
    let left: Vec<CodeStatus> = codes.iter().map(|code| status(&shop, code)).collect();
    assert_eq!(left, [CodeStatus::Open, CodeStatus::Open, CodeStatus::Cancelled], "the other steps stand");
    // What was used stays as it is.
    let used = format!(r#", "vouchers": ["{}"]"#, codes[1]);
    shop.send("2026-03-06T09:00", "purchase", &sale_with("o4", &[("L", "coffee", 1, 40_000)], &used));
    shop.send("2026-03-07T09:00", "return", &back_all("o2"));
    let back = shop.send("2026-03-07T10:00", "return", &back_all("o1"));
    assert_eq!((status(&shop, &codes[1]), count_of(&back, EffectKind::VoucherVoided)), (CodeStatus::Open, 0));
    // An exchange takes the step back as a return does.
    let exchanged = amended.send("2026-03-05T09:00", "exchange", &exchange("o3", &[("A", 1)], &sale("o5", 0)));
    assert_eq!(count_of(&exchanged, EffectKind::VoucherVoided), 0, "what is bought instead counts");
    // Where the challenge keeps what it gave, its vouchers stay good.
    let mut kept = tour(", on_return: keep");
    kept.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    assert!(kept.state().step_vouchers.is_empty());
}

const LADDER: &str = "
currencies: { star: { name: Star, expires: never }, consolation: { name: C, expires: never }, goodbye: { name: G, expires: never } }
tiers: { club: { measure: { earned: star }, window: calendar_year, holds_to: current, down: { to: to_earned }, levels: [ { id: blue, at: 0 }, { id: silver, at: 50 }, { id: gold, at: 100 } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: star, amount: event.net / 1000 } } ] }
  left: { trigger: tier-left, rules: [ { award: { currency: goodbye, amount: 1 } } ] }
  down: { trigger: tier-left, rules: [ { when: event.level == \"gold\" and event.to == \"blue\", award: { currency: consolation, amount: 7 } } ] }
";

#[test]
fn c8_leaving_a_level_is_an_event_of_its_own() {
    let mut shop = Shop::new(LADDER);
    let up = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 120_000));
    assert_eq!(sum_of(&up, EffectKind::Accrual, "consolation"), 0);
    assert_eq!(sum_of(&up, EffectKind::Accrual, "goodbye"), 0, "rising leaves nothing");
    let down = shop.wake("2027-01-02T09:00");
    assert_eq!((shop.level("club").as_str(), sum_of(&down, EffectKind::Accrual, "consolation")), ("blue", 7));
    shop.send("2027-02-02T09:00", "purchase", &sale("o2", 120_000));
    let back = shop.send("2027-02-03T09:00", "return", &back_all("o2"));
    assert_eq!((shop.level("club").as_str(), sum_of(&back, EffectKind::Accrual, "consolation")), ("blue", 7));
    shop.send("2027-03-02T09:00", "purchase", &sale("o3", 60_000));
    let silver = shop.wake("2028-01-02T09:00");
    assert_eq!(sum_of(&silver, EffectKind::Accrual, "consolation"), 0, "another level was left");
}
