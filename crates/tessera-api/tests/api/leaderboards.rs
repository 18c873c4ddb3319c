//! Leaderboards, and who is among the best.

use serde_json::{Value, json};
use tessera_engine::ranking::rank;
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, items, sale};

const BOARD: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  best: { trigger: purchase, audience: member.top_percent <= 10, rules: [ { award: { currency: point, amount: 500 } } ] }
leaderboards:
  spring: { measure: { earned: point }, names: initials, top: 3, prizes: [ { to: 1, currency: point, amount: 100 }, { to: 2, currency: point, amount: 10 } ] }
ranking: { priority_service: 10 }
";

fn places(board: &Value) -> Vec<(i64, i64)> {
    items(board).iter().map(|place| (place["place"].as_i64().unwrap(), place["score"].as_i64().unwrap())).collect()
}

fn close(app: &TestApp, day: &str) -> Reply {
    call(app, "POST", &format!("leaderboards/spring/close?period={day}")).header("idempotency-key", "k").send("")
}

#[test]
fn c4_places_are_net_of_returns_and_ties_go_to_who_was_earlier() {
    let app = TestApp::new(BOARD);
    app.post("events", &event("enrol", "e-4", "card:4", r#"{"name": "Nguyễn Thị Minh"}"#)).ok();
    for (hour, card, total) in [(1, 1, 5_000), (2, 2, 9_000), (3, 3, 5_000), (4, 4, 30_000), (5, 5, 1_000)] {
        app.set_clock(&format!("2026-03-02T1{hour}:00"));
        app.post("events", &sale(&format!("o-{card}"), &format!("card:{card}"), total)).ok();
    }
    app.post("events", &event("return", "b-2", "card:2", &data::back_all("o-2"))).ok();
    let board = app.get("leaderboards/spring?limit=2&member=card:5").ok();
    assert_eq!(places(&board), [(1, 30), (2, 5)]);
    assert_eq!((&board["items"][0]["name"], &board["items"][1]["name"]), (&json!("N. T. M."), &Value::Null));
    assert_eq!(board["items"][1]["member"], app.member("card:1")["id"], "as many as card:3, and earlier");
    assert_eq!((&board["players"], &board["own"]["place"], &board["over"]), (&json!(4), &json!(4), &json!(false)));
    assert_eq!((&board["from"], &board["last_day"]), (&json!("2026-03-01"), &json!("2026-03-31")));
    let rest = app.get(&format!("leaderboards/spring?limit=2&after={}", board["next"].as_str().unwrap())).ok();
    assert_eq!((places(&rest), &rest["next"]), (vec![(3, 5)], &Value::Null));
    app.get("leaderboards/winter").problem(404, "unknown-leaderboard");
    app.get("leaderboards/spring?period=soon").problem(400, "invalid-request");
    assert_eq!(places(&app.get("leaderboards/spring?period=2026-02-10").ok()), []);
}

#[test]
fn i1_prizes_are_given_once_when_the_period_is_over() {
    let app = TestApp::new(BOARD);
    for (card, total) in [(1, 5_000), (2, 9_000), (3, 3_000)] {
        app.post("events", &sale(&format!("o-{card}"), &format!("card:{card}"), total)).ok();
    }
    close(&app, "2026-03-31").problem(409, "leaderboard-still-running");
    app.set_clock("2026-04-01T00:00");
    let told = close(&app, "2026-03-31").ok();
    let given: Vec<&str> = told["prizes"].as_array().unwrap().iter().filter_map(|one| one["status"].as_str()).collect();
    assert_eq!(given, ["applied", "applied"]);
    assert_eq!(close(&app, "2026-03-05").ok()["prizes"][0]["status"], "duplicate");
    assert_eq!([1, 2, 3].map(|card| app.available(&format!("card:{card}"), "point")), [15, 109, 3]);
}

#[test]
fn the_best_are_known_by_a_daily_ranking() {
    let app = TestApp::new(BOARD);
    for card in 1..=20 {
        app.post("events", &sale(&format!("o-{card}"), &format!("card:{card}"), card * 1_000)).ok();
    }
    let engine = app.engine();
    let run = || rank(&engine.context, engine.executor(), &app.program).unwrap();
    assert_eq!(run(), 10, "the better half");
    assert_eq!(run(), 0, "nobody has moved");
    let member = |card: i64| app.member(&format!("card:{card}"));
    assert_eq!((&member(20)["top_percent"], &member(20)["priority_service"]), (&json!(1), &json!(true)));
    assert_eq!((&member(19)["top_percent"], &member(19)["priority_service"]), (&json!(10), &json!(true)));
    assert_eq!((&member(18)["top_percent"], &member(18)["priority_service"]), (&json!(20), &json!(false)));
    assert_eq!((&member(10)["top_percent"], &member(10)["priority_service"]), (&Value::Null, &json!(false)));
    for (card, points) in [(19, 520), (18, 19)] {
        app.post("events", &sale(&format!("p-{card}"), &format!("card:{card}"), 1_000)).ok();
        assert_eq!(app.available(&format!("card:{card}"), "point"), points);
    }
}
