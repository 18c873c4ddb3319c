//! Reports as at an instant: the same whenever they are taken.

use serde_json::{Value, json};
use tessera_core::event::{HouseholdStep, Merge};
use tessera_core::time::Instant;
use tessera_engine::report;
use tessera_engine::submission::Submission;
use tessera_testkit::app::{TestApp, accepted, event, event_at};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::{self, json as data};

use crate::common::{back_all, sale};

/// Points that wait three days and die at the end of the month after next, with a level of each month.
const REPORTED: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: { after: P2M, round: month }, pending: P3D }, star: { name: Star, expires: never } }
tiers:
  club:
    measure: spend
    window: { rolling: P1M }
    holds_to: current
    levels: [ { id: blue, at: 0 }, { id: gold, at: 100000 } ]
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  stars: { trigger: purchase, rules: [ { award: { currency: star, amount: 1 } } ] }
";

fn taken(app: &TestApp, at: Instant) -> Value {
    let context = &app.engine().context;
    let mut csv = Vec::new();
    let lines = report::members_csv(context, &app.program, at, &mut csv).unwrap();
    let summary = report::summary(context, &app.program, at).unwrap();
    json!({ "summary": summary, "csv": String::from_utf8(csv).unwrap(), "lines": lines })
}

on_both_databases!(REPORTED => a_report_of_the_past_equals_the_one_taken_then);

fn a_report_of_the_past_equals_the_one_taken_then(app: &mut TestApp) {
    let mut reports: Vec<(Instant, Value)> = Vec::new();
    let mut note = |app: &TestApp, time: &str| {
        app.set_clock(time);
        reports.push((app.now(), taken(app, app.now())));
    };
    note(app, "2026-03-01T00:00");
    app.set_clock("2026-03-02T10:00");
    app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 3, 150_000)])));
    app.send(&sale("o-2", "card:2", 40_000));
    app.send(&sale("o-3", "", 9_000));
    note(app, "2026-03-03T10:00");
    note(app, "2026-03-06T00:00");
    app.set_clock("2026-03-31T23:30");
    app.send(&event("return", "b-1", "card:1", &data::back("o-1", &[("A", 1)])));
    app.send(&event("enrol", "e-1", "card:3", "{}"));
    note(app, "2026-04-01T00:00");
    app.set_clock("2026-04-20T10:00");
    app.send(&event("amend", "a-1", "card:2", &data::sale("o-2", 60_000)));
    app.send(&sale("o-4", "card:3", 120_000));
    note(app, "2026-05-15T00:00");
    app.publish(&REPORTED.replace("event.net / 1000", "event.net / 500")).unwrap();
    note(app, "2026-06-01T00:00");
    app.set_clock("2026-06-02T10:00");
    app.send(&back_all("b-2", "card:2", "o-2"));
    app.send(&sale("o-5", "card:4", 10_000));
    app.set_clock("2027-01-01T10:00");
    app.run_scheduler();
    app.send(&sale("o-6", "card:1", 10_000));
    for (at, then) in reports {
        assert_eq!(taken(app, at), then, "as at {at}");
    }
}

#[test]
fn a_report_shows_what_the_glossary_says() {
    let app = TestApp::new(REPORTED);
    app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 3, 150_000)])));
    app.send(&sale("o-2", "card:2", 40_000));
    app.send(&sale("o-3", "", 9_000));
    app.send(&event("return", "b-1", "card:1", &data::back("o-1", &[("A", 1)])));
    app.set_clock("2026-03-10T00:00");
    let report = taken(&app, app.now());
    let expected = json!({
        "members": 2, "purchases": 2, "returns": 1, "spend": "190000",
        "currencies": {
            "point": { "issued": 190, "taken_back": 50, "redeemed": 0, "expired": 0, "outstanding": 140, "pending": 0, "held": 0, "debt": 0 },
            "star": { "issued": 2, "taken_back": 0, "redeemed": 0, "expired": 0, "outstanding": 2, "pending": 0, "held": 0, "debt": 0 },
        },
        "tiers": { "club": { "blue": 1, "gold": 1 } },
        "by_month": { "2026-03": { "purchases": 2, "spend": "190000", "issued": 192, "issued_by_currency": { "point": 190, "star": 2 } } },
    });
    assert_eq!(report["summary"], expected);
    let csv = report["csv"].as_str().unwrap();
    let expected = "identifier,joined,purchases,spend,point_issued,point_taken_back,point_balance,star_issued,star_taken_back,star_balance,club_tier,last_event
card:1,2026-03-02T03:00:00Z,1,150000,150,50,100,1,0,1,gold,2026-03-02T03:00:00Z
card:2,2026-03-02T03:00:00Z,1,40000,40,0,40,1,0,1,blue,2026-03-02T03:00:00Z
";
    assert_eq!(csv, expected);
}

/// What a report says in all, without how many members there are.
fn sums(report: &Value) -> Value {
    let summary = &report["summary"];
    json!([summary["purchases"], summary["returns"], summary["spend"], summary["currencies"], summary["by_month"]])
}

/// The sums of a column of the report of members.
fn column(report: &Value, name: &str) -> i64 {
    let mut lines = report["csv"].as_str().unwrap().lines().map(|line| line.split(',').collect::<Vec<_>>());
    let place = lines.next().unwrap().iter().position(|known| *known == name).unwrap();
    lines.map(|line| line[place].parse::<i64>().unwrap()).sum()
}

#[test]
fn p1_two_who_become_one_change_no_sum_of_a_report() {
    let app = TestApp::new(&format!("households: {{ pools: {{ star: {{ by_hand: true }} }} }}\n{REPORTED}"));
    app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 3, 150_000)])));
    app.send(&sale("o-2", "card:2", 40_000));
    app.send(&sale("o-3", "card:3", 20_000));
    app.send(&event("return", "b-1", "card:2", &data::back_all("o-2")));
    app.send(&sale("o-4", "card:2", 60_000));
    app.set_clock("2026-03-10T00:00");
    let (then, before) = (app.now(), taken(&app, app.now()));
    let members = |report: &Value| (report["summary"]["members"].clone(), report["lines"].clone());
    assert_eq!(members(&before), (json!(3), json!(3)));
    let secrets = &app.engine().context.secrets;
    let id = |card: &str| app.member(card)["id"].as_str().unwrap().parse::<tessera_core::id::MemberId>().unwrap();
    let (one, two, three) = (id("card:1"), id("card:2"), id("card:3"));
    let merge = |from, into, key: &str| {
        let merge = Merge { into, reason: None };
        accepted(app.engine().submit(Submission::merge(secrets, &app.program, from, merge, key, app.now())).unwrap());
        app.relay();
    };
    let check = |wanted: u64| {
        app.clock.set(app.now().plus_seconds(60));
        let report = taken(&app, app.now());
        assert_eq!((sums(&report), members(&report)), (sums(&before), (json!(wanted), json!(wanted))));
        for (name, figure) in [("point_issued", "issued"), ("point_taken_back", "taken_back")] {
            let figure = &report["summary"]["currencies"]["point"][figure];
            assert_eq!(json!(column(&report, name)), *figure, "{name}: {report:#}");
        }
        assert_eq!(column(&report, "purchases"), 4);
        assert_eq!(taken(&app, then), before, "as it was then");
    };
    merge(two, one, "m-1");
    check(2);
    merge(one, three, "m-2");
    check(1);
    // A household holds points of its people, and is no member.
    let found = HouseholdStep::Found { known: None };
    let found = Submission::household(secrets, &app.program, "card:1".parse().unwrap(), found, "h-1", app.now());
    accepted(app.engine().submit(found).unwrap());
    app.relay();
    let put = HouseholdStep::PutIn { currency: shop::id("star"), amount: 2 };
    let put = Submission::household(secrets, &app.program, "card:1".parse().unwrap(), put, "h-2", app.now());
    accepted(app.engine().submit(put).unwrap());
    while app.relay() > 0 {}
    check(1);
    // Whoever leaves takes with them all who are one with them; what they did was done once.
    accepted(app.engine().submit(Submission::leave(secrets, &app.program, three, false, "l-1", app.now())).unwrap());
    while app.relay() > 0 {}
    app.clock.set(app.now().plus_seconds(60));
    let left = taken(&app, app.now());
    assert_eq!((&left["summary"]["purchases"], &left["summary"]["spend"]), (&json!(4), &json!("270000")));
    assert_eq!(left["summary"]["members"], 0);
}

#[test]
fn an_instant_is_exclusive() {
    let app = TestApp::new(REPORTED);
    app.send(&event_at("2026-03-02T09:00", "purchase", "o-1", "card:1", &data::sale("o-1", 50_000)));
    let members = |time: &str| taken(&app, shop::at(time))["summary"]["members"].clone();
    assert_eq!(members("2026-03-02T09:00"), 0);
    assert_eq!(taken(&app, shop::at("2026-03-02T09:00").plus_seconds(1))["summary"]["members"], 1);
}

#[test]
fn reading_a_report_writes_nothing() {
    let app = TestApp::new(REPORTED);
    app.send(&sale("o-1", "card:1", 50_000));
    let rows = || tessera_store::tables::ALL.map(|table| app.query(&format!("SELECT * FROM {}", table.name)));
    let before = rows();
    app.set_clock("2027-03-10T00:00");
    taken(&app, app.now());
    taken(&app, shop::at("2026-03-02T10:00"));
    assert!(rows() == before);
}

#[test]
fn members_are_sorted_as_people_count() {
    let app = TestApp::new(REPORTED);
    for number in [10, 9, 100, 1] {
        app.send(&event("enrol", &format!("e-{number}"), &format!("household:{number}"), "{}"));
    }
    app.set_clock("2026-03-10T00:00");
    let csv = taken(&app, app.now())["csv"].as_str().unwrap().to_owned();
    let names: Vec<&str> = csv.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(names, ["household:1", "household:9", "household:10", "household:100"]);
}
