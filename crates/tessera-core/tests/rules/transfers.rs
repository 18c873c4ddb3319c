//! P7, T1, R6: points that one member sends to another.

use rstest::rstest;
use tessera_core::decide::{EffectKind, Rejected};
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, count_of, document, json::*, sum_of};

/// Points of a year, whoever earns them; gold from 100.
fn program(currency: &str, transfers: &str) -> String {
    format!(
        "
currencies: {{ point: {{ name: Point, {currency} }}, star: {{ name: Star, expires: never }} }}
tiers: {{ club: {{ measure: {{ earned: point, counts: all }}, levels: [ {{ id: blue, at: 0 }}, {{ id: gold, at: 100 }} ] }} }}
transfers: {{ {transfers} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}
  stars: {{ trigger: purchase, rules: [ {{ award: {{ currency: star, amount: \"1\" }} }} ] }}
"
    )
}

const YEAR: &str = "expires: { after: P12M, round: month }";

/// Member 0 has 100 points of January and 30 of March, member 1 has 20.
fn shop_of(currency: &str, transfers: &str) -> Shop {
    let mut shop = Shop::new(&program(currency, transfers));
    shop.of_member(1).send("2026-02-10T09:00", "purchase", &sale("b1", 20_000));
    shop.of_member(0).send("2026-01-10T09:00", "purchase", &sale("a1", 100_000));
    shop.send("2026-03-02T09:00", "purchase", &sale("a2", 30_000));
    shop
}

fn shop(transfers: &str) -> Shop {
    shop_of(YEAR, transfers)
}

fn lots(lots: &[(&str, i64)]) -> Vec<(String, i64)> {
    lots.iter().map(|(day, amount)| ((*day).to_owned(), *amount)).collect()
}

#[test]
fn p7_every_lot_keeps_its_own_expiry() {
    let mut shop = shop("point: {}");
    let sent = shop.transfer("2026-03-03T09:00", 1, "point", 110).unwrap();
    assert_eq!(sum_of(&sent, EffectKind::Sent, "point"), 110);
    assert_eq!(shop.lots("point"), lots(&[("2027-03-31", 20)]));
    assert_eq!(shop.clearing()["point"], 110);
    let arrived = shop.relay().remove(0).unwrap();
    assert_eq!(sum_of(&arrived, EffectKind::Received, "point"), 110);
    let others = shop.of_member(1).lots("point");
    assert_eq!(others, lots(&[("2027-01-31", 100), ("2027-02-28", 20), ("2027-03-31", 10)]));
}

#[test]
fn t1_points_that_were_received_make_no_level() {
    let mut shop = shop("point: {}");
    shop.transfer("2026-03-03T09:00", 1, "point", 130).unwrap();
    shop.relay();
    // Who earned them stays gold, who got them does not become it.
    assert_eq!(shop.level("club"), "gold");
    assert_eq!(shop.of_member(1).level("club"), "blue");
    assert_eq!(shop.available("point"), 150);
}

#[rstest]
#[case::unlisted("point: {}", "star", 1, "transfer-not-allowed")]
#[case::no_section("", "point", 1, "transfer-not-allowed")]
#[case::resting("point: { to: none }", "point", 10, "transfer-not-allowed")]
#[case::unknown("point: {}", "mile", 10, "unknown-currency")]
#[case::none("point: {}", "point", 0, "nothing-to-transfer")]
#[case::below_none("point: {}", "point", -5, "nothing-to-transfer")]
#[case::more_than_is_there("point: {}", "point", 131, "not-enough-points")]
#[case::the_fee_is_missing("point: { fee: 1 }", "point", 130, "not-enough-points")]
#[case::too_small("point: { min: 20 }", "point", 19, "transfer-size")]
#[case::too_large("point: { max: 50 }", "point", 51, "transfer-size")]
#[case::over_the_limit("point: { per_member: { month: 60 } }", "point", 61, "transfer-limit")]
fn p7_what_may_not_be_sent_is_refused(
    #[case] transfers: &str,
    #[case] currency: &str,
    #[case] amount: i64,
    #[case] code: &str,
) {
    let mut shop = shop(transfers);
    let before = shop.state();
    assert_eq!(shop.transfer("2026-03-03T09:00", 1, currency, amount).unwrap_err().code(), code);
    assert_eq!(shop.state(), before);
}

#[test]
fn p7_nobody_sends_to_themselves_or_while_owing() {
    let mut shop = shop("point: {}");
    assert_eq!(shop.transfer("2026-03-03T09:00", 0, "point", 10).unwrap_err(), Rejected::TransferToOneself);
    shop.adjust("2026-03-03T09:00", "point", -150).unwrap();
    let refused = shop.transfer("2026-03-03T09:01", 1, "point", 10).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["debt"].as_i64()), ("transfer-while-owing", Some(20)));
}

#[test]
fn p7_pending_and_reserved_points_stay() {
    let mut shop = shop_of(&format!("{YEAR}, pending: P7D"), "point: {}");
    // The 30 of March wait, 40 are reserved.
    let reserved = tessera_testkit::shop::reserve("point", 40);
    shop.redeem("2026-03-03T09:00", reserved).unwrap();
    let refused = shop.transfer("2026-03-03T09:01", 1, "point", 61).unwrap_err();
    assert_eq!(refused.facts()["available"].as_i64(), Some(60), "{refused}");
    shop.transfer("2026-03-03T09:01", 1, "point", 60).unwrap();
    shop.relay();
}

#[test]
fn p7_a_member_sends_so_much_in_a_window() {
    let mut shop = shop("point: { per_member: { month: 60 } }");
    shop.transfer("2026-03-03T09:00", 1, "point", 50).unwrap();
    shop.relay();
    let refused = shop.transfer("2026-03-31T09:00", 1, "point", 11).unwrap_err();
    assert_eq!((refused.facts()["sent"].as_i64(), refused.facts()["most"].as_i64()), (Some(50), Some(60)));
    shop.transfer("2026-03-31T09:00", 1, "point", 10).unwrap();
    shop.transfer("2026-04-01T09:00", 1, "point", 60).unwrap();
    shop.relay();
}

#[test]
fn p7_a_fee_comes_on_top_and_is_spent() {
    let mut shop = shop("point: { fee: 5 }");
    let sent = shop.transfer("2026-03-03T09:00", 1, "point", 98).unwrap();
    assert_eq!((sum_of(&sent, EffectKind::Sent, "point"), sum_of(&sent, EffectKind::Fee, "point")), (98, 5));
    shop.relay();
    assert_eq!(shop.available("point"), 27);
    assert_eq!(shop.state().purse("point").unwrap().totals.redeemed.get(), 5);
    assert_eq!(shop.of_member(1).available("point"), 118);
}

#[test]
fn r6_what_arrives_repays_what_is_owed_first() {
    let mut shop = shop("point: {}");
    shop.of_member(1).adjust("2026-03-03T08:00", "point", -50).unwrap();
    shop.of_member(0).transfer("2026-03-03T09:00", 1, "point", 40).unwrap();
    let arrived = shop.relay().remove(0).unwrap();
    assert_eq!(sum_of(&arrived, EffectKind::DebtRepaid, "point"), 30);
    assert_eq!(sum_of(&arrived, EffectKind::Received, "point"), 10);
    assert_eq!(shop.of_member(1).balance("point").debt, 0);
}

#[test]
fn p7_what_cannot_arrive_comes_back_to_its_lots_with_the_fee() {
    let mut shop = shop("point: { fee: 5, per_member: { month: 100 } }");
    let before = shop.lots("point");
    // Member 2 has not joined.
    shop.transfer("2026-03-03T09:00", 2, "point", 98).unwrap();
    assert_eq!(shop.relay().remove(0).unwrap_err(), Rejected::NeedsMember);
    assert_eq!(shop.lots("point"), before);
    let last = shop.member().events.last().unwrap();
    assert_eq!(last.kind, "follow-up-refused");
    assert!(last.record.effects.iter().all(|effect| effect.reason.as_deref() == Some("needs-member")));
    // It was not sent: the month has room for it.
    shop.transfer("2026-03-04T09:00", 1, "point", 100).unwrap();
    shop.relay();
}

#[test]
fn p7_what_the_other_may_not_hold_comes_back() {
    // Member 1 has 20, so there is room for 130.
    let mut shop = shop_of(&format!("{YEAR}, max_balance: 150"), "point: {}");
    let before = shop.lots("point");
    shop.of_member(1).send("2026-03-03T08:00", "purchase", &sale("b2", 1_000));
    shop.of_member(0).transfer("2026-03-03T09:00", 1, "point", 130).unwrap();
    let refused = shop.relay().remove(0).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["room"].as_i64()), ("no-room", Some(129)));
    assert_eq!(shop.lots("point"), before);
    shop.transfer("2026-03-03T10:00", 1, "point", 129).unwrap();
    shop.relay().remove(0).unwrap();
    assert_eq!(shop.of_member(1).available("point"), 150);
}

#[test]
fn p7_what_died_on_its_way_back_is_dead() {
    let mut shop = shop("point: {}");
    shop.transfer("2027-01-31T23:00", 2, "point", 100).unwrap();
    // The sender has been seen in February already when it comes back.
    shop.send("2027-02-01T09:00", "purchase", &sale("a3", 1_000));
    shop.relay();
    assert_eq!(shop.lots("point"), lots(&[("2027-03-31", 30), ("2028-02-29", 1)]));
    assert_eq!(shop.state().purse("point").unwrap().totals.expired.get(), 100);
}

#[test]
fn p7_sending_makes_no_points_young_that_die_of_inactivity() {
    let mut shop = shop_of("expires: { inactivity: P6M }", "point: {}");
    // Member 0 was last seen on 2 March, member 1 buys in June.
    shop.of_member(1).send("2026-06-01T09:00", "purchase", &sale("b2", 1_000));
    shop.of_member(0).transfer("2026-06-01T10:00", 1, "point", 100).unwrap();
    shop.relay();
    assert_eq!(shop.of_member(1).lots("point"), lots(&[("2026-09-02", 100), ("-", 21)]));
    shop.wake("2026-09-03T09:00");
    assert_eq!(shop.available("point"), 21);
}

#[test]
fn p7_what_arrives_late_arrives_now() {
    let mut shop = shop("point: {}");
    shop.transfer("2026-03-03T09:00", 1, "point", 10).unwrap();
    shop.of_member(1).send("2026-03-05T09:00", "purchase", &sale("b2", 1_000));
    let arrived = shop.relay().remove(0).unwrap();
    assert_eq!(arrived.events[arrived.main].effective_at, tessera_testkit::shop::at("2026-03-05T09:00"));
    assert_eq!(count_of(&arrived, EffectKind::Expired), 0);
}

#[rstest]
#[case::no_currency("bean: {}", "`transfers.bean`", "point")]
#[case::no_minimum("point: { min: 0 }", "`transfers.point.min`", "a number above 0")]
#[case::crossed("point: { min: 10, max: 5 }", "`transfers.point.max`", "nothing could be sent")]
#[case::shut("point: { min: 10, per_member: { day: 5 } }", "`transfers.point.per_member`", "nothing could be sent")]
#[case::negative("point: { fee: -1 }", "`transfers.point.fee`", "0 or more")]
#[case::misspelt("point: { too: anyone }", "`transfers.point", "to")]
fn p7_mistakes_in_the_section_are_found(#[case] transfers: &str, #[case] path: &str, #[case] right: &str) {
    let problems = read_document(&document(&program(YEAR, transfers))).unwrap_err();
    let said = problems[0].to_string();
    assert!(said.contains(path.trim_matches('`')) && said.contains(right), "{said}");
}
