//! Reports as at an instant: the same whenever they are taken.

use serde_json::{Value, json};
use tessera_core::time::Instant;
use tessera_engine::report;
use tessera_testkit::app::{TestApp, event, event_at};
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
