//! I7, L2: nothing is right only because the scheduler ran.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{TestApp, event};

use crate::common::sale;

/// Points that wait a week and die after two months, and a level that is reviewed each month.
const DUE: &str = "
unknown_member: enrol
currencies:
  point: { name: Point, expires: { after: P2M }, pending: P7D }
  mile: { name: Mile, expires: { inactivity: P1M, moved_by: [purchase] } }
tiers:
  club:
    measure: spend
    window: { rolling: P1M }
    holds_to: current
    levels: [ { id: blue, at: 0 }, { id: gold, at: 100000, benefits: [lounge] } ]
benefits: { lounge: { name: Lounge } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  miles: { trigger: purchase, rules: [ { award: { currency: mile, amount: event.net / 500 } } ] }
";

/// What a member sees, without the clock of the last event that was only a settlement.
fn seen(app: &TestApp) -> Value {
    let member = app.member("card:1");
    let parts = ["lots", "tiers", "balances", "entitlements", "vouchers"];
    json!({ "member": member, "parts": parts.map(|part| app.get(&format!("members/card:1/{part}")).ok()) })
}

#[rstest]
#[case::before_anything("2026-03-05T10:00", [150, 0, 300])]
#[case::matured("2026-03-09T00:00", [0, 150, 300])]
#[case::the_last_day_of_the_miles("2026-04-02T23:59", [0, 150, 300])]
#[case::the_miles_are_dead("2026-04-03T00:00", [0, 150, 0])]
#[case::the_last_day_of_the_points("2026-05-02T23:59", [0, 150, 0])]
#[case::all_are_dead("2026-05-03T00:00", [0, 0, 0])]
#[case::long_after("2027-06-01T00:00", [0, 0, 0])]
fn l2_reads_show_what_a_wake_up_would_write(#[case] now: &str, #[case] expected: [i64; 3]) {
    let app = TestApp::new(DUE);
    app.send(&sale("r-1", "card:1", 150_000));
    app.set_clock(now);
    let read = seen(&app);
    let balances = &read["member"]["balances"];
    let found = [&balances["point"]["pending"], &balances["point"]["available"], &balances["mile"]["available"]];
    assert_eq!(found.map(|amount| amount.as_i64().unwrap()), expected);
    let before = app.count("SELECT COUNT(*) FROM event");
    app.run_scheduler();
    assert_eq!(seen(&app), read, "the wake-up changed nothing that was not to be seen before");
    assert_eq!(app.run_scheduler(), 0, "and it is done");
    let due = i64::from(expected != [150, 0, 300]);
    assert!(app.count("SELECT COUNT(*) FROM event") >= before + due, "it wrote what fell due");
}

/// A member's figures at the end must not depend on when anybody looked.
#[rstest]
#[case::never(&[])]
#[case::at_each_turn(&["2026-03-09T00:00", "2026-04-03T00:00", "2026-05-03T00:00"])]
#[case::late(&["2026-07-01T00:00"])]
fn i7_the_result_does_not_depend_on_when_the_scheduler_ran(#[case] wake_ups: &[&str]) {
    let app = TestApp::new(DUE);
    app.send(&sale("r-1", "card:1", 150_000));
    for time in wake_ups {
        app.set_clock(time);
        app.run_scheduler();
    }
    app.set_clock("2026-07-02T10:00");
    let outcome = app.send(&sale("r-2", "card:1", 20_000));
    assert_eq!(outcome.tiers["club"].as_str(), "blue");
    let entries = app.get("members/card:1/entries?limit=200").ok();
    let story: Vec<(&str, &str, i64)> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (entry["kind"].as_str().unwrap(), entry["at"].as_str().unwrap(), entry["amount"].as_i64().unwrap())
        })
        .rev()
        .collect();
    insta(&story);
}

/// The ledger of [`i7_the_result_does_not_depend_on_when_the_scheduler_ran`], dated when things fell due.
fn insta(story: &[(&str, &str, i64)]) {
    let expected = [
        ("accrual", "2026-03-02T03:00:00Z", 300),
        ("accrual", "2026-03-02T03:00:00Z", 150),
        ("maturity", "2026-03-08T17:00:00Z", 150),
        ("expiry", "2026-04-02T17:00:00Z", 300),
        ("expiry", "2026-05-02T17:00:00Z", 150),
        ("accrual", "2026-07-02T03:00:00Z", 40),
        ("accrual", "2026-07-02T03:00:00Z", 20),
    ];
    let sorted = |story: &[(&str, &str, i64)]| {
        let mut story: Vec<(String, String, i64)> =
            story.iter().map(|(kind, at, amount)| ((*at).to_owned(), (*kind).to_owned(), *amount)).collect();
        story.sort();
        story
    };
    assert_eq!(sorted(story), sorted(&expected));
}

#[test]
fn the_scheduler_wakes_more_members_than_fit_in_one_round() {
    let app = TestApp::new(DUE);
    let sales: Vec<Value> =
        (0..1_200).map(|number| sale(&format!("r-{number}"), &format!("card:{number}"), 1_000)).collect();
    app.send_together(&sales);
    app.set_clock("2026-03-09T00:00");
    assert_eq!(app.run_scheduler(), 1_200);
    assert_eq!(app.available("card:1199", "point"), 1);
}

#[test]
fn a_guest_is_not_woken() {
    let app = TestApp::new(DUE);
    app.send(&sale("r-1", "", 1_000));
    app.set_clock("2027-03-09T00:00");
    assert_eq!(app.run_scheduler(), 0);
    app.send(&event("enrol", "r-2", "card:1", "{}"));
}
