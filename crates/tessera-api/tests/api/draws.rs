//! `GET …/draws`: the audit of surprises; and quotes, which never say whether something will be won.

use std::collections::BTreeSet;

use serde_json::json;
use tessera_testkit::app::TestApp;

use crate::common::{call, items, sale};
use crate::lists::comes_in_pages;

fn lucky(chance: &str) -> TestApp {
    TestApp::new(&format!(
        "unknown_member: enrol
currencies: {{ point: {{ name: Point, expires: never }} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}
  lucky: {{ trigger: purchase, budget: {{ point: 5000 }}, rules: [ {{ chance: {chance}, award: {{ currency: point, amount: 100 }} }} ] }}"
    ))
}

#[test]
fn g1_every_draw_is_listed_newest_first_a_page_at_a_time() {
    let app = lucky("0.5");
    for number in 0..12 {
        app.set_clock(&format!("2026-03-02T10:{number:02}"));
        app.post("events", &sale(&format!("o-{number}"), &format!("card:{}", number % 3), 1_000)).ok();
    }
    let (mut seen, mut won, mut after) = (BTreeSet::new(), 0, String::new());
    let mut times = Vec::new();
    loop {
        let page = app.get(&format!("draws?campaign=lucky&limit=5{after}")).ok();
        for draw in items(&page) {
            seen.insert(draw["event_id"].as_str().unwrap().to_owned());
            won += i64::from(draw["won"].as_bool().unwrap());
            assert_eq!((draw["chance"].as_str(), draw["rule"].as_i64()), (Some("0.5"), Some(0)));
            assert_eq!(draw["won"], json!(draw["drawn"].as_i64().unwrap() < 500_000));
            times.push(draw["time"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen.len(), 12);
    assert!(times.is_sorted_by(|one, next| one > next), "{times:?}");
    let points: i64 = (0..3).map(|card| app.available(&format!("card:{card}"), "point")).sum();
    assert_eq!(points, 12 + 100 * won);
    assert_eq!(items(&app.get("draws?campaign=base").ok()).len(), 0);
    comes_in_pages(&app, "draws?campaign=lucky", 12);
    app.get("draws").problem(400, "invalid-request");
    app.get("draws?campaign=lucky&after=nowhere").problem(400, "invalid-request");
}

#[test]
fn g1_a_quote_says_that_something_may_be_won_and_never_whether() {
    let app = lucky("1");
    let quote = call(&app, "POST", "quotes?explain=true").json(&sale("o-1", "card:1", 1_000)).ok();
    assert_eq!(quote["balances"]["point"]["available"], 1, "even what is certain is not told");
    let words: Vec<&str> =
        quote["explanation"].as_array().unwrap().iter().filter_map(|line| line["words"].as_str()).collect();
    assert!(words.contains(&"it may be won, at a chance of 1"), "{words:?}");
    let sold = call(&app, "POST", "events?explain=true").json(&sale("o-1", "card:1", 1_000)).ok();
    assert_eq!(sold["balances"]["point"]["available"], 101);
    assert!(
        sold["explanation"].as_array().unwrap().iter().any(|line| line["reason"] == "drawn" && line["won"] == true)
    );
    let again = app.get(&format!("events/{}?explain=true", sold["event_id"].as_str().unwrap())).ok();
    let drawn = |told: &serde_json::Value| {
        let lines = told["explanation"].as_array().unwrap().clone();
        lines.into_iter().find(|line| line["reason"] == "drawn").map(|line| line["drawn"].clone())
    };
    assert_eq!(drawn(&again), drawn(&sold), "a stored event is explained by what was drawn");
}
