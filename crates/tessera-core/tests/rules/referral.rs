//! F1: who brings members is paid when a friend's order stays, and once.

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, Rejected};
use tessera_core::event::{Profile, What};
use tessera_core::member::ReferralStatus;
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, at, count_of, document, json::*};

fn program(settings: &str) -> String {
    format!(
        "
currencies: {{ point: {{ name: Point, expires: {{ after: P12M }} }} }}
referral:
  qualifies: {{ trigger: purchase, when: event.total >= 50000 }}
  gives: {{ referrer: [ {{ award: {{ currency: point, amount: 100 }} }} ], friend: [ {{ award: {{ currency: point, amount: 50 }} }} ] }}
  limit: {{ per_member: {{ month: 2 }} }}
{settings}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 10000 }} }} ] }}
"
    )
}

/// Member 0 is there; member 1 was brought by them.
fn shop(settings: &str) -> Shop {
    let mut shop = Shop::new(&program(settings));
    shop.send("2026-03-01T09:00", "enrol", "{}");
    shop.of_member(1).join_brought_by("2026-03-02T09:00", 0, None).unwrap();
    shop.relay();
    shop
}

fn status(shop: &Shop) -> ReferralStatus {
    shop.state().referral.unwrap().status
}

/// What the referrer and the friend have.
fn both(shop: &mut Shop) -> (i64, i64) {
    let referrer = shop.of_member(0).available("point");
    (referrer, shop.of_member(1).available("point"))
}

#[test]
fn f1_both_sides_are_paid_when_the_friend_qualifies_and_once() {
    let mut shop = shop("");
    // Too small to qualify.
    let small = shop.send("2026-03-03T09:00", "purchase", &sale("o1", 40_000));
    assert!(small.trace.iter().any(|rule| rule.words.contains("event.total >= 50000")), "{:?}", small.trace);
    assert_eq!((shop.relay().len(), status(&shop)), (0, ReferralStatus::Joined));
    shop.send("2026-03-04T09:00", "purchase", &sale("o2", 50_000));
    shop.relay();
    assert_eq!(status(&shop), ReferralStatus::Paid);
    assert_eq!(both(&mut shop), (100, 4 + 5 + 50));
    shop.send("2026-03-05T09:00", "purchase", &sale("o3", 50_000));
    assert_eq!(shop.relay().len(), 0);
    assert_eq!(both(&mut shop), (100, 64));
}

#[test]
fn f1_a_returned_order_takes_both_sides_back_exactly_and_once() {
    let mut shop = shop("");
    shop.send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    shop.relay();
    assert_eq!(both(&mut shop), (100, 56));
    shop.send("2026-03-05T09:00", "return", &back_all("o1"));
    shop.relay();
    assert_eq!((both(&mut shop), status(&shop)), ((0, 0), ReferralStatus::Reversed));
    // It does not begin again.
    shop.send("2026-03-06T09:00", "purchase", &sale("o2", 60_000));
    assert_eq!(shop.relay().len(), 0);
}

#[test]
fn f1_what_comes_back_before_the_referrer_has_decided_pays_nobody() {
    let mut shop = shop("");
    shop.send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    shop.send("2026-03-04T10:00", "return", &back_all("o1"));
    shop.relay();
    assert_eq!((both(&mut shop), status(&shop)), ((0, 0), ReferralStatus::Reversed));
}

#[test]
fn f1_what_was_paid_stays_where_the_document_says_so() {
    let mut shop = shop("  returned: keep");
    shop.send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    shop.relay();
    shop.send("2026-03-05T09:00", "return", &back_all("o1"));
    shop.relay();
    assert_eq!(both(&mut shop), (100, 50));
}

#[test]
fn f1_it_waits_until_the_order_cannot_come_back() {
    let mut shop = shop("  after: P14D");
    shop.send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    shop.relay();
    assert_eq!(status(&shop), ReferralStatus::Qualified);
    // It comes back in time: nothing was ever paid, and the next order may qualify.
    shop.send("2026-03-10T09:00", "return", &back_all("o1"));
    shop.relay();
    assert_eq!((both(&mut shop), status(&shop)), ((0, 0), ReferralStatus::Joined));
    shop.send("2026-03-11T09:00", "purchase", &sale("o2", 60_000));
    shop.wake("2026-03-24T23:00");
    shop.relay();
    assert_eq!(status(&shop), ReferralStatus::Qualified);
    shop.wake("2026-03-25T09:00");
    shop.relay();
    assert_eq!((both(&mut shop), status(&shop)), ((100, 56), ReferralStatus::Paid));
}

#[test]
fn f1_a_limit_stops_the_referrer_and_not_the_friend() {
    let mut shop = shop("");
    for friend in 1..4 {
        shop.of_member(friend);
        if friend > 1 {
            shop.join_brought_by("2026-03-02T10:00", 0, None).unwrap();
        }
        shop.send("2026-03-04T09:00", "purchase", &sale(&format!("o{friend}"), 60_000));
        shop.relay();
        assert_eq!(shop.available("point"), 56);
    }
    let last = shop.of_member(0).member().events.last().unwrap().record.effects[0].clone();
    assert_eq!((last.kind, last.reason.as_deref()), (EffectKind::ReferralRefused, Some("limit")));
    assert_eq!(shop.available("point"), 200);
}

#[test]
fn f1_a_referral_that_is_reversed_gives_its_room_back() {
    let mut shop = shop("");
    for friend in 1..4 {
        shop.of_member(friend);
        if friend > 1 {
            shop.join_brought_by("2026-03-02T10:00", 0, None).unwrap();
        }
        shop.send("2026-03-04T09:00", "purchase", &sale(&format!("o{friend}"), 60_000));
        shop.relay();
        if friend == 1 {
            shop.send("2026-03-04T10:00", "return", &back_all("o1"));
            shop.relay();
        }
    }
    assert_eq!(shop.of_member(0).available("point"), 200, "two of the three stand, as the month allows");
}

#[rstest]
#[case::on_the_last_day("2026-03-16T23:00", (100, 56))]
#[case::a_day_later("2026-03-17T00:00", (0, 6))]
fn f1_a_friend_has_so_long_to_qualify(#[case] time: &str, #[case] expected: (i64, i64)) {
    let mut shop = shop("  within: P14D");
    shop.send(time, "purchase", &sale("o1", 60_000));
    shop.relay();
    assert_eq!(both(&mut shop), expected);
}

fn told(shop: &mut Shop, time: &str, referrer: tessera_core::id::MemberId) -> Result<Decision, Rejected> {
    let profile = Profile { referred_by: Some("CODE".into()), referrer: Some(referrer), ..Profile::default() };
    shop.ask(at(time), What::Profile(profile))
}

#[test]
fn f1_nobody_is_brought_by_whom_they_brought() {
    let mut shop = shop("");
    let friend = shop.of_member(1).member().id;
    shop.of_member(0);
    told(&mut shop, "2026-03-02T10:00", friend).unwrap();
    shop.relay();
    shop.of_member(1).send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    shop.relay();
    assert_eq!(shop.state().referral.unwrap().reason.as_deref(), Some("in-a-circle"));
    assert_eq!(both(&mut shop), (0, 6));
}

#[test]
fn f1_nobody_brings_themselves_or_where_nobody_is_paid_for_it() {
    let mut shop = Shop::new(&program(""));
    shop.send("2026-03-01T09:00", "enrol", "{}");
    let own = shop.member().id;
    assert_eq!(told(&mut shop, "2026-03-01T10:00", own).unwrap_err(), Rejected::ReferralOfOneself);
    let mut shop = Shop::new("currencies: { point: { name: P, expires: never } }");
    assert_eq!(shop.join_brought_by("2026-03-01T09:00", 1, None).unwrap_err(), Rejected::NoReferral);
}

#[rstest]
#[case::on_the_last_day("2026-03-09T23:59", None)]
#[case::a_day_later("2026-03-10T00:00", Some("referral-too-late"))]
fn f1_who_brought_somebody_is_said_in_time_and_once(#[case] time: &str, #[case] code: Option<&str>) {
    let mut shop = Shop::new(&program(""));
    shop.send("2026-03-01T09:00", "enrol", "{}");
    let referrer = shop.member().id;
    shop.of_member(1).send("2026-03-02T09:00", "enrol", "{}");
    assert_eq!(told(&mut shop, time, referrer).err().map(|refused| refused.code()), code);
    assert_eq!(told(&mut shop, time, referrer).unwrap_err().code(), "referral-too-late");
}

#[test]
fn f1_what_was_never_paid_gives_no_room_back() {
    let mut shop = shop("");
    for friend in 1..=4 {
        shop.of_member(friend);
        if friend > 1 {
            shop.join_brought_by("2026-03-02T10:00", 0, None).unwrap();
        }
        shop.send("2026-03-04T09:00", "purchase", &sale(&format!("o{friend}"), 60_000));
        shop.relay();
        if friend == 3 {
            // The third was beyond the limit, and comes back.
            shop.send("2026-03-04T10:00", "return", &back_all("o3"));
            shop.relay();
        }
    }
    assert_eq!(shop.of_member(0).available("point"), 200);
}

#[test]
fn f1_what_comes_back_before_the_referrer_has_decided_stays_where_the_document_says_so() {
    let mut shop = shop("  returned: keep");
    shop.send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    shop.send("2026-03-04T10:00", "return", &back_all("o1"));
    shop.relay();
    assert_eq!((both(&mut shop), status(&shop)), ((100, 50), ReferralStatus::Paid));
}

#[test]
fn f1_who_has_bought_was_brought_by_nobody() {
    let mut shop = Shop::new(&program(""));
    shop.send("2026-03-01T09:00", "enrol", "{}");
    let referrer = shop.member().id;
    shop.of_member(1).send("2026-03-02T09:00", "purchase", &sale("o1", 1_000));
    assert_eq!(told(&mut shop, "2026-03-02T10:00", referrer).unwrap_err().code(), "referral-too-late");
}

#[test]
fn f1_one_device_brings_nobody() {
    let mut shop = Shop::new(&program(""));
    shop.send("2026-03-01T09:00", "enrol", r#"{ "device": "d1" }"#);
    shop.of_member(1).join_brought_by("2026-03-02T09:00", 0, Some("d1")).unwrap();
    shop.send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    shop.relay();
    let referral = shop.state().referral.unwrap();
    assert_eq!((referral.status, referral.reason.as_deref()), (ReferralStatus::Refused, Some("same-device")));
    assert_eq!(both(&mut shop), (0, 6));
}

#[test]
fn f1_only_one_step_is_paid() {
    let mut shop = shop("");
    shop.of_member(2).join_brought_by("2026-03-03T09:00", 1, None).unwrap();
    shop.send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    shop.relay();
    // Who brought the one who brought gets nothing.
    assert_eq!(both(&mut shop), (0, 100));
}

#[test]
fn f1_whoever_is_no_member_any_more_brings_nobody() {
    let mut shop = Shop::new(&program(""));
    shop.of_member(1).join_brought_by("2026-03-02T09:00", 0, None).unwrap();
    assert_eq!(shop.relay().remove(0).unwrap_err(), Rejected::NeedsMember);
    let referral = shop.state().referral.unwrap();
    assert_eq!((referral.status, referral.reason.as_deref()), (ReferralStatus::Refused, Some("needs-member")));
    let bought = shop.send("2026-03-04T09:00", "purchase", &sale("o1", 60_000));
    assert_eq!(count_of(&bought, EffectKind::ReferralQualified), 0);
}

#[rstest]
#[case::unknown(r#"{ "referred_by": "NOBODY" }"#, "unknown-referral-code")]
fn f1_a_code_that_nobody_has_is_refused(#[case] data: &str, #[case] code: &str) {
    let mut shop = Shop::new(&program(""));
    assert_eq!(shop.refused("2026-03-02T09:00", "enrol", data).code(), code);
}

#[rstest]
#[case::multi_level("  depth: 3", "`referral.depth`", "multi-level")]
#[case::no_trigger("  told_within: soon", "`referral", "P")]
fn f1_mistakes_in_the_section_are_found(#[case] settings: &str, #[case] path: &str, #[case] right: &str) {
    let problems = read_document(&document(&program(settings))).unwrap_err();
    let said = problems[0].to_string();
    assert!(said.contains(path.trim_matches('`')) && said.contains(right), "{said}");
}
