//! I5 and I7: late events, and settlement before everything.

use rstest::rstest;
use tessera_core::decide::{EffectKind, Rejected};
use tessera_core::event::{Command, What};
use tessera_testkit::shop::{Shop, at, balance, json::*, sum_of};

use crate::common::{POINTS, points_and, points_with};

#[test]
fn i5_a_late_event_uses_the_version_of_its_business_time() {
    let mut shop = Shop::new(&points_with(""));
    shop.publish("2026-03-10T00:00", &points_with("").replace("/ 1000", "/ 100"));
    shop.send("2026-03-12T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), 100);
    let decision = shop.send("2026-03-09T23:59", "purchase", &sale("late", 10_000));
    assert_eq!((shop.available("point"), decision.outcome.program_version), (110, 1));
    let decision = shop.send("2026-03-10T00:00", "purchase", &sale("in-time", 10_000));
    assert_eq!((shop.available("point"), decision.outcome.program_version), (210, 2));
}

#[test]
fn i5_a_late_event_uses_the_level_of_its_business_time_and_decides_nothing_later_again() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 60_000));
    shop.send("2026-03-05T09:00", "purchase", &sale("o2", 60_000));
    shop.send("2026-03-06T09:00", "purchase", &sale("o3", 10_000));
    assert_eq!((shop.available("point"), shop.level("club").as_str()), (140, "gold"));
    let decision = shop.send("2026-03-03T09:00", "purchase", &sale("late", 50_000));
    assert_eq!(
        shop.available("point"),
        190,
        "at the rate of blue; o2, which now crossed later than it should have, stays"
    );
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), "190".to_owned())]);
    let entry = &decision.events[decision.main].entries[0];
    assert_eq!(
        (entry.at, entry.lot.as_ref().unwrap().last_day.unwrap().to_string().as_str()),
        (at("2026-03-03T09:00"), "2027-03-31")
    );
    assert_eq!(shop.state().clock, at("2026-03-06T09:00"), "the member's own clock does not go back");
}

#[test]
fn i5_a_late_event_may_raise_the_level_now() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-05T09:00", "purchase", &sale("o1", 60_000));
    let decision = shop.send("2026-03-03T09:00", "purchase", &sale("late", 60_000));
    assert_eq!((shop.level("club").as_str(), shop.available("point")), ("gold", 120));
    assert!(decision.outcome.effects.iter().any(|effect| effect.kind == EffectKind::TierUp));
}

#[rstest]
#[case::the_members_day("limits: { per_member: { point: { day: 50 } } }")]
#[case::the_rules_week("")]
fn i5_caps_are_judged_in_the_windows_of_the_business_time(#[case] limits: &str) {
    let rule = if limits.is_empty() { ", limit: { per_member: { week: 50 } }" } else { "" };
    let program = format!(
        "
currencies: {{ point: {{ name: Point, expires: never }} }}
campaigns: {{ base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }}{rule} }} ] }} }}
{limits}
"
    );
    let mut shop = Shop::new(&program);
    shop.send("2026-03-03T09:00", "purchase", &sale("o1", 30_000));
    shop.send("2026-03-12T09:00", "purchase", &sale("o2", 45_000));
    shop.send("2026-03-03T10:00", "purchase", &sale("late", 30_000));
    assert_eq!(shop.available("point"), 30 + 45 + 20, "20 were left on the 3rd");
    shop.send("2026-03-03T08:00", "purchase", &sale("later", 30_000));
    assert_eq!(shop.available("point"), 95, "and nothing after that");
    shop.send("2026-03-12T10:00", "purchase", &sale("o3", 30_000));
    assert_eq!(shop.available("point"), 100, "the window of today has its own 5");
}

#[test]
fn i5_the_room_that_a_return_gave_back_is_there_for_a_late_event_too() {
    let mut shop = Shop::new(&points_and("", "limits: { per_member: { point: { month: 50 } } }"));
    shop.send("2026-03-03T09:00", "purchase", &sale("o1", 50_000));
    shop.send("2026-03-04T09:00", "return", &back_all("o1"));
    shop.send("2026-04-04T09:00", "purchase", &sale("o2", 1_000));
    shop.send("2026-03-20T09:00", "purchase", &sale("late", 40_000));
    assert_eq!(shop.available("point"), 41);
}

#[test]
fn i5_facts_of_a_late_event_are_those_of_its_time() {
    let offer = "  second: { trigger: purchase, audience: member.purchases == 1 and member.days_since_last_purchase == 2, rules: [ { award: { currency: point, amount: 500 } } ] }";
    let mut shop = Shop::new(&points_and("", offer));
    shop.send("2026-03-01T09:00", "purchase", &sale("o1", 1_000));
    shop.send("2026-03-10T09:00", "purchase", &sale("o2", 1_000));
    shop.send("2026-03-03T09:00", "purchase", &sale("late", 1_000));
    assert_eq!(shop.available("point"), 503);
}

#[test]
fn i5_beyond_backdate_max_a_late_event_is_refused() {
    let mut shop = Shop::new(&format!("backdate_max: P10D{}", points_with("")));
    shop.send("2026-03-20T09:00", "purchase", &sale("o1", 1_000));
    shop.send("2026-03-10T00:00", "purchase", &sale("just", 1_000));
    let refused = shop.refused("2026-03-09T23:59", "purchase", &sale("late", 1_000));
    assert_eq!(refused, Rejected::TooLate { effective_at: at("2026-03-09T23:59"), earliest: at("2026-03-10T00:00") });
}

#[test]
fn i5_more_than_five_minutes_ahead_is_refused() {
    let mut shop = Shop::new(&points_with(""));
    let now = at("2026-03-20T09:00");
    assert!(shop.offer(now.plus_seconds(300), now, "purchase", &sale("o1", 1_000)).is_ok());
    let refused = shop.offer(now.plus_seconds(301), now, "purchase", &sale("o2", 1_000)).unwrap_err();
    assert_eq!(refused, Rejected::InTheFuture { effective_at: now.plus_seconds(301), recorded_at: now });
}

#[test]
fn i5_a_late_return_of_a_late_purchase() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-20T09:00", "purchase", &sale("now", 10_000));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 40_000)]));
    shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 1)]));
    assert_eq!(shop.lots("point"), [("2027-03-31".to_owned(), 30)]);
}

#[test]
fn i5_an_event_before_joining_is_taken_as_the_first() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-20T09:00", "enrol", "{}");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), 10);
    assert_eq!(shop.state().joined_at, at("2026-03-20T09:00"));
}

#[test]
fn i7_every_command_first_settles_what_fell_due_in_due_order() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: { after: P2M }, pending: P14D } }
tiers: { club: { measure: { earned: point }, holds_to: current, levels: [ { id: blue, at: 0 }, { id: gold, at: 100, rate: { point: 2 } } ] } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
",
    );
    shop.send("2026-12-02T09:00", "purchase", &sale("o1", 100_000));
    let decision = shop.send("2027-03-02T09:00", "purchase", &sale("o2", 10_000));
    let story: Vec<(String, String)> =
        decision.events.iter().map(|event| (event.kind.to_string(), event.effective_at.to_string())).collect();
    let expected = [
        ("maturity", "2026-12-15T17:00:00Z"),
        ("tier-review", "2026-12-31T17:00:00Z"),
        ("expiry", "2027-02-02T17:00:00Z"),
        ("purchase", "2027-03-02T02:00:00Z"),
    ];
    assert_eq!(story, expected.map(|(kind, time)| (kind.to_owned(), time.to_owned())));
    assert_eq!(decision.main, 3);
    assert_eq!(
        (shop.balance("point").pending, shop.level("club").as_str()),
        (10, "blue"),
        "gold was lost before it could count"
    );
}

#[test]
fn i7_the_result_does_not_depend_on_when_the_scheduler_ran() {
    let program = POINTS.replace("expires: {", "pending: P3D, expires: {");
    let play = |wakes: &[&str]| {
        let mut shop = Shop::new(&program);
        let events = [
            ("2026-03-02T09:00", sale("o1", 120_000)),
            ("2027-02-02T09:00", sale("o2", 30_000)),
            ("2028-06-02T09:00", sale("o3", 30_000)),
        ];
        for (time, data) in events {
            for wake in wakes.iter().filter(|wake| at(wake) <= at(time)) {
                shop.wake(wake);
            }
            shop.send(time, "purchase", &data);
        }
        (shop.state(), shop.member().events.iter().flat_map(|event| event.entries.clone()).collect::<Vec<_>>())
    };
    let never = play(&[]);
    assert_eq!(play(&["2026-03-05T00:00", "2027-03-31T23:00", "2027-04-01T00:00", "2028-01-01T00:00"]), never);
    assert_eq!(play(&["2026-12-31T23:59", "2028-05-01T00:00"]), never);
}

#[test]
fn i7_a_wake_up_with_nothing_due_leaves_no_trace() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 120_000));
    let before = shop.state();
    let decision = shop.wake("2026-08-02T09:00");
    assert_eq!((decision.events.len(), shop.state()), (0, before));
}

#[test]
fn i7_a_late_wake_up_is_only_a_wake_up() {
    let mut shop = Shop::new(POINTS);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 120_000));
    let before = shop.state();
    let command =
        Command { effective_at: at("2026-02-02T09:00"), recorded_at: at("2026-03-02T09:00"), what: What::WakeUp };
    shop.apply(command, "{}").unwrap();
    assert_eq!(shop.state(), before);
}

#[test]
fn i7_a_new_version_wakes_the_member_by_its_own_rules() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "profile", r#"{"birthday": "05-20"}"#);
    assert_eq!(shop.state().wake_at, None);
    shop.publish(
        "2026-04-01T00:00",
        &points_and(
            "",
            "  cake: { trigger: birthday, days_before: 7, rules: [ { award: { currency: point, amount: 9 } } ] }",
        ),
    );
    assert_eq!(balance(&shop.seen_at("2026-05-13T00:00"), "point").available, 9);
    shop.wake("2026-04-02T00:00");
    assert_eq!(shop.state().wake_at, Some(at("2026-05-13T00:00")));
}

#[test]
fn i5_facts_count_days_by_the_programs_calendar() {
    let offer = "  back: { trigger: purchase, audience: member.days_since_last_purchase > 45, rules: [ { award: { currency: point, amount: 50 } } ] }";
    let mut shop = Shop::new(&points_and("", offer));
    shop.send("2026-03-01T23:59", "purchase", &sale("o1", 1_000));
    let decision = shop.send("2026-04-15T00:00", "purchase", &sale("o2", 1_000));
    assert_eq!(sum_of(&decision, EffectKind::Accrual, "point"), 1, "45 days are not more than 45");
    let decision = shop.send("2026-05-31T00:00", "purchase", &sale("o3", 1_000));
    assert_eq!(sum_of(&decision, EffectKind::Accrual, "point"), 51);
}
