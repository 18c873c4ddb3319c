//! P8, joining, profiles and what expressions know of a member.

use rstest::rstest;
use tessera_core::decide::{EffectKind, EventStatus, Memory, Rejected};
use tessera_core::event::What;
use tessera_core::member::Status;
use tessera_testkit::shop::{Shop, at, count_of, json::*};

use crate::common::{merge, points_and, points_with};

/// A gift of nine points on birthdays, so many days ahead.
fn birthdays(days_before: i64) -> Shop {
    Shop::new(&points_and(
        "",
        &format!(
            "  cake: {{ trigger: birthday, days_before: {days_before}, rules: [ {{ award: {{ currency: point, amount: 9 }} }} ] }}"
        ),
    ))
}

fn joined(days_before: i64, time: &str, birthday: &str) -> Shop {
    let mut shop = birthdays(days_before);
    shop.send(time, "enrol", &format!(r#"{{"birthday": "{birthday}"}}"#));
    shop
}

/// The days on which gifts were given until a time.
fn gifts(shop: &mut Shop, until: &str) -> Vec<String> {
    shop.wake(until);
    shop.member()
        .events
        .iter()
        .filter(|event| event.kind == "birthday")
        .map(|event| event.record.day.to_string())
        .collect()
}

#[rstest]
#[case::on_the_day(0, "1990-05-20", &["2026-05-20", "2027-05-20"])]
#[case::a_week_ahead(7, "1990-05-20", &["2026-05-13", "2027-05-13"])]
#[case::third_of_january(7, "1990-01-03", &["2026-12-27", "2027-12-27"])]
#[case::leap_day(0, "1996-02-29", &["2026-02-28", "2027-02-28"])]
#[case::month_only(0, "06", &["2026-06-01", "2027-06-01"])]
#[case::month_and_day(3, "06-02", &["2026-05-30", "2027-05-30"])]
#[case::buddhist_year(0, "2533-05-20", &["2026-05-20", "2027-05-20"])]
fn p8_a_gift_once_per_birthday(#[case] days_before: i64, #[case] birthday: &str, #[case] expected: &[&str]) {
    let mut shop = joined(days_before, "2026-02-01T09:00", birthday);
    assert_eq!(gifts(&mut shop, "2027-12-31T00:00"), expected);
    assert_eq!(shop.state().purse("point").unwrap().totals.issued.get(), 18);
}

#[test]
fn p8_a_leap_year_has_the_29th() {
    let mut shop = joined(0, "2028-02-01T09:00", "1996-02-29");
    assert_eq!(gifts(&mut shop, "2028-12-31T00:00"), ["2028-02-29"]);
}

#[rstest]
#[case::after_the_day("2026-05-21T09:00", &["2027-05-13"])]
#[case::on_the_day("2026-05-20T09:00", &["2026-05-20", "2027-05-13"])]
#[case::within_the_lead("2026-05-15T09:00", &["2026-05-15", "2027-05-13"])]
#[case::before("2026-05-12T09:00", &["2026-05-13", "2027-05-13"])]
fn p8_joining_after_the_day_brings_none_this_year(#[case] time: &str, #[case] expected: &[&str]) {
    let mut shop = joined(7, time, "1990-05-20");
    assert_eq!(gifts(&mut shop, "2027-06-01T00:00"), expected);
}

#[test]
fn p8_within_the_lead_over_new_year() {
    let mut shop = joined(7, "2026-12-30T09:00", "1990-01-03");
    assert_eq!(gifts(&mut shop, "2027-12-28T00:00"), ["2026-12-30", "2027-12-27"]);
    let mut shop = joined(7, "2027-01-04T09:00", "1990-01-03");
    assert_eq!(gifts(&mut shop, "2027-12-28T00:00"), ["2027-12-27"]);
}

#[test]
fn p8_before_the_first_gift_the_date_may_change() {
    let mut shop = joined(0, "2026-02-01T09:00", "1990-05-20");
    shop.send("2026-03-01T09:00", "profile", r#"{"birthday": "1990-06-20"}"#);
    assert_eq!(gifts(&mut shop, "2026-12-31T00:00"), ["2026-06-20"]);
}

#[rstest]
#[case::to_a_later_day("06-20", &["2026-05-20", "2027-06-20", "2028-06-20"])]
#[case::to_an_earlier_day("04-20", &["2026-05-20", "2027-04-20", "2028-04-20"])]
fn p8_after_a_gift_a_change_works_from_the_next_year(#[case] birthday: &str, #[case] expected: &[&str]) {
    let mut shop = joined(0, "2026-02-01T09:00", "1990-05-20");
    shop.wake("2026-05-21T09:00");
    shop.send("2026-05-22T09:00", "profile", &format!(r#"{{"birthday": "{birthday}"}}"#));
    assert_eq!(gifts(&mut shop, "2028-12-31T00:00"), expected);
}

#[test]
fn p8_a_gift_given_ahead_over_new_year_is_not_given_again_for_a_changed_day() {
    let mut shop = joined(7, "2026-02-01T09:00", "1990-01-03");
    assert_eq!(gifts(&mut shop, "2026-12-28T00:00"), ["2026-12-27"]);
    shop.send("2026-12-28T09:00", "profile", r#"{"birthday": "01-15"}"#);
    assert_eq!(gifts(&mut shop, "2027-12-31T00:00"), ["2026-12-27"], "that was the gift for 2027");
    assert_eq!(gifts(&mut shop, "2028-12-31T00:00"), ["2026-12-27", "2028-01-08"]);
}

#[test]
fn p8_several_changes_keep_the_day_of_each_year() {
    let mut shop = joined(0, "2026-02-01T09:00", "1990-03-20");
    shop.wake("2026-03-21T00:00");
    shop.send("2026-04-01T09:00", "profile", r#"{"birthday": "06-20"}"#);
    shop.wake("2027-06-21T00:00");
    shop.send("2027-07-01T09:00", "profile", r#"{"birthday": "10-20"}"#);
    shop.send("2027-07-02T09:00", "profile", r#"{"birthday": "10-20"}"#);
    assert_eq!(gifts(&mut shop, "2028-12-31T00:00"), ["2026-03-20", "2027-06-20", "2028-10-20"]);
}

/// Whoever came back after a gift once got no birthday gift ever again.
#[rstest]
#[case::a_later_day(0, "2026-07-01T09:00", "12-24", &["2026-05-20", "2027-12-24", "2028-12-24"])]
#[case::the_same_day(0, "2026-07-01T09:00", "05-20", &["2026-05-20", "2027-05-20", "2028-05-20"])]
#[case::ahead_over_new_year(7, "2026-07-01T09:00", "01-03", &["2026-05-13", "2027-01-01", "2027-12-27", "2028-12-27"])]
#[case::in_the_year_after(0, "2027-02-01T09:00", "05-20", &["2026-05-20", "2027-05-20", "2028-05-20"])]
#[case::behind_the_day_in_the_year_after(0, "2027-06-01T09:00", "05-20", &["2026-05-20", "2028-05-20"])]
fn p3_whoever_comes_back_gets_gifts_again_from_the_next_year(
    #[case] days_before: i64,
    #[case] back: &str,
    #[case] birthday: &str,
    #[case] expected: &[&str],
) {
    let mut shop = joined(days_before, "2026-01-05T09:00", "05-20");
    shop.wake("2026-06-01T09:00");
    let memory = Memory::of(&shop.state());
    let before = gifts(&mut shop, "2026-06-01T10:00");
    shop.ask(at("2026-06-02T09:00"), What::Leave { erase: false }).unwrap();
    shop.of_member(1).remembering(memory);
    // The day is told on joining, or a little later.
    let mut later = shop.clone();
    let told = format!(r#"{{"birthday": "{birthday}"}}"#);
    shop.send(back, "enrol", &told);
    later.send(back, "enrol", "{}");
    later.send(back, "profile", &told);
    for mut shop in [shop, later] {
        let after = gifts(&mut shop, "2028-12-31T09:00");
        assert_eq!([before.clone(), after].concat(), expected);
    }
}

#[test]
fn p8_a_campaign_that_pauses_for_years_gives_again() {
    let on = points_and("", "  cake: { trigger: birthday, rules: [ { award: { currency: point, amount: 9 } } ] }");
    let mut shop = Shop::new(&on);
    shop.send("2026-02-01T09:00", "enrol", r#"{"birthday": "05-20"}"#);
    shop.publish("2026-06-01T00:00", &on.replace("trigger: birthday,", "trigger: birthday, active: false,"));
    shop.publish("2033-06-01T00:00", &on);
    assert_eq!(gifts(&mut shop, "2034-12-31T00:00"), ["2026-05-20", "2034-05-20"]);
}

#[test]
fn p8_each_campaign_gives_its_own() {
    let mut shop = Shop::new(&points_and(
        "",
        "  cake: { trigger: birthday, days_before: 7, rules: [ { award: { currency: point, amount: 9 } } ] }
  card: { trigger: birthday, rules: [ { issue: { voucher: card } } ] }
vouchers: { card: { gives: { amount_off: 5000 }, valid: P14D } }",
    ));
    shop.send("2026-02-01T09:00", "enrol", r#"{"birthday": "05-20"}"#);
    let decision = shop.wake("2026-05-20T12:00");
    assert_eq!((shop.available("point"), count_of(&decision, EffectKind::VoucherIssued)), (9, 1));
    assert_eq!(decision.vouchers[0].issued_at, at("2026-05-20T00:00"));
}

#[test]
fn p8_the_gift_is_welcomed_late_when_the_day_is_told_late() {
    let mut shop = birthdays(7);
    shop.send("2026-05-01T09:00", "purchase", &sale("o1", 1_000));
    let decision = shop.send("2026-05-16T09:00", "profile", r#"{"birthday": "05-20"}"#);
    assert_eq!(shop.available("point"), 10);
    assert_eq!(decision.events[decision.main].kind, "profile");
    assert_eq!(decision.events.last().unwrap().status, EventStatus::Derived);
    shop.send("2026-05-18T09:00", "purchase", &sale("o2", 1_000));
    assert_eq!(shop.available("point"), 11);
}

#[test]
fn members_made_by_an_event_join_at_its_business_time_and_are_welcomed_once() {
    let welcome = "  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 50 } } ] }";
    let mut shop = Shop::new(&points_and("", welcome));
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let kinds: Vec<&str> = decision.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!((kinds, decision.main, shop.available("point")), (vec!["enrol", "purchase"], 1, 60));
    assert_eq!((shop.state().joined_at, shop.state().status), (at("2026-03-02T09:00"), Status::Active));
    assert_eq!(shop.refused("2026-03-03T09:00", "enrol", "{}"), Rejected::AlreadyEnrolled);
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 10_000));
    assert_eq!(shop.available("point"), 70);
}

#[test]
fn a_refused_first_event_makes_nobody() {
    let mut shop = Shop::new(&format!("unlinked_returns: refuse{}", points_with("")));
    shop.refused("2026-03-02T09:00", "return", &back_without_order(&[("A", 1, 1)]));
    assert!(shop.member().stored().is_none());
}

#[test]
fn facts_are_gross_and_as_published() {
    let facts = "
  all: { trigger: visit, rules: [ { award: { currency: star, amount: member.purchases * 1000000 + member.returns * 100000 + member.count.visit * 10000 + member.spend / 1000 + member.issued.point * 10 } } ] }
events: { visit: {} }";
    let program = points_and("", facts).replace("currencies: {", "currencies: { star: { name: Star, expires: never },");
    let mut shop = Shop::new(&program);
    shop.send("2026-03-02T09:00", "visit", "{}");
    shop.send("2026-03-02T10:00", "purchase", &lines("o1", &[("A", "x", 2, 20_000)]));
    shop.send("2026-03-02T11:00", "return", &back("o1", &[("A", 1)]));
    let before = shop.available("star");
    shop.send("2026-03-02T12:00", "visit", "{}");
    assert_eq!(shop.available("star") - before, 1_000_000 + 100_000 + 10_000 + 20 + 200);
}

#[test]
fn balances_pending_and_debt_are_facts() {
    let facts = "
  owed: { trigger: visit, rules: [ { when: member.debt.point == 15 and member.balance.point == -15, award: { currency: star, amount: 1 } } ] }
  waits: { trigger: visit, rules: [ { when: member.pending.late == 7, award: { currency: star, amount: 10 } } ] }
  late: { trigger: call, rules: [ { award: { currency: late, amount: 7 } } ] }
events: { visit: {}, call: {} }";
    let program = points_and("", facts).replace(
        "currencies: {",
        "currencies: { star: { name: Star, expires: never }, late: { name: Late, expires: never, pending: P5D },",
    );
    let mut shop = Shop::new(&program);
    shop.adjust("2026-03-02T09:00", "point", 1).ok();
    shop.send("2026-03-02T10:00", "purchase", &sale("o1", 20_000));
    shop.adjust("2026-03-02T11:00", "point", -5 - shop.available("point") + 20).unwrap();
    shop.adjust("2026-03-02T11:30", "point", -(shop.available("point") + 15)).unwrap();
    shop.send("2026-03-02T12:00", "call", "{}");
    shop.send("2026-03-02T13:00", "visit", "{}");
    assert_eq!(shop.available("star"), 11);
}

#[test]
fn two_shops_never_share_a_member() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    shop.of_member(1).send("2026-03-02T09:00", "purchase", &sale("o2", 20_000));
    assert_eq!((shop.available("point"), shop.of_member(0).available("point")), (20, 10));
    let refused = shop.refused("2026-03-03T09:00", "amend", &sale("o2", 1_000));
    assert_eq!(refused, Rejected::OrderOfAnotherMember { order_id: "o2".into() });
}

/// One of the two has had the gift for a birthday that comes, a week ahead: nobody has it twice, whoever survives.
#[test]
fn p8_two_who_are_one_have_one_gift_for_one_birthday() {
    for (from, into, second) in [(1, 0, None), (0, 1, None), (1, 0, Some("02-20")), (0, 1, Some("02-20"))] {
        let mut shop = birthdays(7);
        shop.of_member(1).send("2026-02-01T09:00", "enrol", r#"{"birthday": "03-03"}"#);
        let other = second.map_or("{}".to_owned(), |birthday| format!(r#"{{"birthday": "{birthday}"}}"#));
        shop.of_member(0).send("2026-02-01T09:00", "enrol", &other);
        for member in [0, 1] {
            shop.of_member(member).wake("2026-02-24T09:00");
        }
        let had = 9 * (1 + i64::from(second.is_some()));
        merge(&mut shop, from, into, "2026-02-25T09:00");
        assert_eq!(shop.available("point"), had);
        shop.wake("2026-12-31T09:00");
        assert_eq!(shop.available("point"), had, "{from} into {into}, {second:?}");
    }
}

#[test]
fn p8_a_birthday_that_holds_from_next_year_comes_along() {
    let mut shop = birthdays(7);
    shop.of_member(1).send("2026-02-01T09:00", "enrol", r#"{"birthday": "03-03"}"#);
    shop.wake("2026-03-03T09:00");
    shop.send("2026-03-04T09:00", "profile", r#"{"birthday": "06-15"}"#);
    let next = shop.state().birthday_next;
    shop.of_member(0).send("2026-02-01T09:00", "enrol", "{}");
    merge(&mut shop, 1, 0, "2026-03-05T09:00");
    assert!(next.is_some_and(|(year, _)| year == 2027));
    assert_eq!(shop.state().birthday_next, next);
}
