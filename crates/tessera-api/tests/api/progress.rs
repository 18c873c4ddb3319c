//! `GET …/members/{id}/progress` and joining a challenge.

use serde_json::json;
use tessera_testkit::app::{Reply, TestApp, event};

use crate::common::{call, cups};

const PLAY: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
events: { visit: { data: { place: text } } }
cards: { latte: { name: { en: Latte card, vi: Thẻ latte }, stamps: 10, when: item.category == \"coffee\", full: { award: { currency: point, amount: 5 } } } }
challenges:
  tour: { name: Tour, counts: visit, distinct: event.place, join: ask, steps: [ { at: 2, badge: guide } ] }
streaks: { daily: { counts: visit, milestones: [ { at: 3, award: { currency: point, amount: 9 } } ] } }
badges: { guide: { name: { en: Guide, th: ไกด์ } } }
";

fn join(app: &TestApp, path: &str, key: &str) -> Reply {
    call(app, "POST", path).header("idempotency-key", key).send("")
}

#[test]
fn what_is_missing_is_told_in_figures_and_words() {
    let app = TestApp::new(PLAY);
    app.post("events", &cups("o-1", "card:1", 7)).ok();
    join(&app, "members/card:1/challenges/tour/join", "k-1").ok();
    for place in ["hue", "hanoi"] {
        app.post("events", &event("visit", place, "card:1", &format!(r#"{{"place": "{place}"}}"#))).ok();
    }
    let progress = call(&app, "GET", "members/card:1/progress").header("accept-language", "vi-VN").send("").ok();
    assert_eq!(progress["cards"][0]["name"], "Thẻ latte");
    assert_eq!(progress["cards"][0]["words"], "7/10: còn thiếu 3");
    assert_eq!(
        (&progress["challenges"][0]["status"], &progress["challenges"][0]["words"]),
        (&json!("done"), &json!("đã hoàn thành"))
    );
    assert_eq!(progress["challenges"][0]["values"], json!(["hanoi", "hue"]));
    assert_eq!(progress["streaks"][0]["words"], "1/3: còn thiếu 2");
    assert_eq!((&progress["badges"][0]["held"], &progress["badges"][0]["since"]), (&json!(true), &json!("2026-03-02")));
    let english = app.get("members/card:1/progress").ok();
    assert_eq!(english["cards"][0]["words"], "7 of 10: 3 to go");
    app.get("members/card:9/progress").problem(404, "unknown-member");
}

#[test]
fn i1_joining_is_done_once_and_refused_where_it_cannot_be() {
    let app = TestApp::new(PLAY);
    app.post("events", &cups("o-1", "card:1", 1)).ok();
    let path = "members/card:1/challenges/tour/join";
    let told = join(&app, path, "k-1");
    assert_eq!(told.ok()["effects"], json!([{ "type": "challenge_joined", "challenge": "tour" }]));
    assert_eq!(join(&app, path, "k-1").ok()["status"], "duplicate");
    join(&app, path, "k-2").problem(409, "challenge-already-joined");
    join(&app, "members/card:1/challenges/none/join", "k-3").problem(404, "unknown-challenge");
    join(&app, "members/card:9/challenges/tour/join", "k-4").problem(404, "unknown-member");
    call(&app, "POST", path).send("").problem(400, "invalid-request");
}

#[test]
fn an_explanation_says_why_progress_moved_or_not() {
    let app = TestApp::new(PLAY);
    let visit = event("visit", "v-1", "card:1", r#"{"place": "hue"}"#);
    let explained = call(&app, "POST", "events?explain=true").json(&visit).ok();
    let words: Vec<&str> =
        explained["explanation"].as_array().unwrap().iter().filter_map(|line| line["words"].as_str()).collect();
    assert!(words.contains(&"the member does not take part in the challenge"), "{words:?}");
    assert!(words.contains(&"it counts 1"), "{words:?}");
}
