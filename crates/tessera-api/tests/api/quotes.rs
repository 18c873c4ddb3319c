//! `POST …/quotes`: what an event would bring, with nothing written.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{app, call, cups, sale, with};

/// Everything that is stored.
fn rows(app: &TestApp) -> Vec<Vec<Vec<tessera_store::Value>>> {
    tessera_store::tables::ALL.iter().map(|table| app.query(&format!("SELECT * FROM {}", table.name))).collect()
}

/// An outcome without what is drawn at random.
fn comparable(mut outcome: Value) -> Value {
    for name in ["event_id", "member"] {
        outcome[name] = Value::Null;
    }
    for effect in outcome["effects"].as_array_mut().unwrap() {
        effect.as_object_mut().unwrap().remove("code");
    }
    outcome
}

#[rstest]
#[case::of_somebody_new(cups("r-9", "card:9", 2))]
#[case::of_a_member(sale("r-9", "card:1", 99_500))]
#[case::that_fills_a_card(cups("r-9", "card:1", 4))]
#[case::of_a_guest(sale("r-9", "", 5_000))]
#[case::of_a_return(event("return", "r-9", "card:1", &data::back("o-1", &[("LATTE", 1)])))]
#[case::of_a_return_that_will_wait(event("return", "r-9", "card:1", &data::back_all("o-7")))]
#[case::of_a_review(event("review", "r-9", "card:1", r#"{"order_id": "o-1", "stars": 5}"#))]
#[case::of_a_joining(event("enrol", "r-9", "card:9", r#"{"name": "Minh", "birthday": "03-02"}"#))]
#[case::of_an_exchange(event("exchange", "r-9", "card:1", &data::exchange("o-1", &[("LATTE", 1)], &data::sale("o-9", 70_000))))]
#[case::of_an_amendment(event("amend", "r-9", "card:1", &data::sale("o-1", 70_000)))]
fn a_quote_writes_nothing_and_equals_the_event_that_follows(#[case] event: Value) {
    let app = app();
    app.post("events", &cups("o-1", "card:1", 2)).ok();
    app.set_clock("2026-03-05T10:00");
    let before = rows(&app);
    let quote = call(&app, "POST", "quotes?explain=true").json(&event).ok();
    assert!(rows(&app) == before, "a quote writes nothing");
    let outcome = call(&app, "POST", "events?explain=true").json(&event).ok();
    assert_eq!(comparable(quote), comparable(outcome));
}

#[rstest]
#[case::refused(event("return", "r-9", "card:1", &data::back("o-1", &[("LATTE", 3)])), 422)]
#[case::invalid(with(sale("r-9", "card:1", 1), "/data/total", json!("a lot")), 400)]
#[case::an_order_that_is_there(event("purchase", "r-9", "card:1", &data::sale("o-1", 5_000)), 409)]
fn a_quote_is_refused_as_the_event_would_be(#[case] event: Value, #[case] status: u16) {
    let app = app();
    app.post("events", &cups("o-1", "card:1", 2)).ok();
    let before = rows(&app);
    let quote = app.post("quotes", &event);
    assert_eq!(quote.status.as_u16(), status, "{}", quote.body);
    assert!(rows(&app) == before, "not even the refusal is kept");
    let refused = app.post("events", &event);
    assert_eq!((quote.status, quote.json()), (refused.status, refused.json()));
}

#[test]
fn a_quote_holds_no_key() {
    let app = app();
    app.post("quotes", &sale("r-1", "card:1", 5_000)).ok();
    app.post("quotes", &sale("r-1", "card:1", 6_000)).ok();
    assert_eq!(app.post("events", &sale("r-1", "card:1", 7_000)).ok()["status"], "applied");
}

#[test]
fn a_quote_takes_one_event() {
    let app = app();
    app.post("quotes", &json!([sale("r-1", "card:1", 5_000)])).problem(400, "invalid-json");
}
