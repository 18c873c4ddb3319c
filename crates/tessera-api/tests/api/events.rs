//! `POST …/events` with one event, and `GET …/events/{id}`.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{event, event_at};
use tessera_testkit::shop::json as data;

use crate::common::{app, call, cups, sale, with};

#[test]
fn a_purchase_is_answered_with_its_outcome() {
    let app = app();
    let outcome = app.post("events", &cups("r-1", "phone:+84901234567", 2)).ok();
    assert_eq!(outcome["status"], "applied");
    assert_eq!(outcome["program_version"], 1);
    assert!(outcome["member"].as_str().unwrap().starts_with("mem_"));
    assert!(outcome["event_id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(outcome["tiers"], json!({ "club": "blue" }));
    assert_eq!(outcome["balances"]["point"], json!({ "available": 90, "pending": 0, "held": 0, "debt": 0 }));
    let effects = json!([
        { "type": "joined" },
        { "type": "accrual", "currency": "point", "amount": 10, "campaign": "welcome", "expires_on": "2027-03-02" },
        { "type": "accrual", "currency": "point", "amount": 80, "campaign": "base", "expires_on": "2027-03-02" },
        { "type": "accrual", "currency": "stamp", "amount": 2, "campaign": "cups" },
    ]);
    assert_eq!(outcome["effects"], effects);
    assert!(outcome.get("explanation").is_none());
}

#[rstest]
#[case::none("")]
#[case::json("application/json")]
#[case::cloudevents("application/cloudevents+json")]
#[case::with_a_charset("application/cloudevents+json; charset=UTF-8")]
#[case::in_capitals("Application/JSON")]
fn one_event_comes_under_several_content_types(#[case] kind: &str) {
    let app = app();
    let request = call(&app, "POST", "events");
    let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
    assert_eq!(request.send(sale("r-1", "card:1", 5_000).to_string()).ok()["status"], "applied");
}

#[test]
fn i1_a_duplicate_carries_the_first_outcome_and_says_so() {
    let app = app();
    let first = app.post("events", &sale("r-1", "card:1", 5_000));
    assert_eq!(first.header("idempotency-replayed"), None);
    app.post("events", &sale("r-2", "card:1", 5_000)).ok();
    let again = app.post("events", &sale("r-1", "card:1", 5_000));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let mut expected = first.ok();
    expected["status"] = "duplicate".into();
    expected["first_status"] = "applied".into();
    assert_eq!(again.ok(), expected);
}

#[test]
fn i1_another_body_is_a_conflict() {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    let problem = app.post("events", &sale("r-1", "card:1", 6_000)).problem(409, "idempotency-key-reused");
    assert_eq!(problem["outcome"]["status"], "refused");
}

#[test]
fn i1_a_refusal_is_replayed_and_says_so() {
    let app = app();
    app.post("events", &sale("o-1", "card:1", 5_000)).ok();
    let too_many = event("return", "b-1", "card:1", &data::back("o-1", &[("A", 2)]));
    let first = app.post("events", &too_many);
    let problem = first.problem(422, "too-many-units-returned");
    assert_eq!((&problem["bought"], &problem["wanted"], &problem["returned"]), (&json!("1"), &json!("2"), &json!("0")));
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = app.post("events", &too_many);
    assert_eq!((again.status, again.header("idempotency-replayed")), (first.status, Some("true")));
    assert_eq!(again.body, first.body);
}

#[test]
fn a_parked_event_is_a_success() {
    let app = app();
    app.post("events", &sale("o-1", "card:1", 5_000)).ok();
    let parked = app.post("events", &event("return", "b-1", "card:1", &data::back_all("o-2"))).ok();
    assert_eq!(parked["status"], "parked");
}

#[rstest]
#[case::of_another_member(sale("o-1", "card:2", 5_000), 409, "idempotency-key-reused")]
#[case::an_order_that_is_there(event("purchase", "r-2", "card:1", &data::sale("o-1", 5_000)), 409, "order-exists")]
#[case::the_receipt_of_another(event("purchase", "r-2", "card:2", &data::sale("o-1", 5_000)), 409, "order-of-another-member")]
#[case::joined_already(event("enrol", "r-2", "card:1", "{}"), 409, "already-enrolled")]
#[case::an_unknown_line(event("return", "r-2", "card:1", &data::back("o-1", &[("B", 1)])), 422, "no-such-line")]
#[case::a_foreign_currency(with(sale("r-2", "card:1", 5_000), "/data/currency", json!("USD")), 422, "no-exchange-rate")]
#[case::from_the_future(event_at("2026-03-02T10:06", "purchase", "r-2", "card:1", &data::sale("r-2", 1)), 422, "event-in-the-future")]
#[case::long_past(event_at("2025-03-02T10:06", "purchase", "r-2", "card:1", &data::sale("r-2", 1)), 422, "event-too-late")]
#[case::a_return_of_strange_items(event("return", "r-2", "card:1", &data::back_without_order(&[("Z", 1, 500)])), 422, "return-unmatched")]
#[case::about_nobody(event("review", "r-2", "", r#"{"order_id": "o-9", "stars": 5}"#), 400, "needs-member")]
#[case::a_guest_s_unknown_order(event("return", "r-2", "", &data::back_all("o-9")), 404, "unknown-order")]
fn a_refusal_is_a_problem_with_a_type_of_its_own(#[case] event: Value, #[case] status: u16, #[case] code: &str) {
    let app = app();
    app.post("events", &sale("o-1", "card:1", 5_000)).ok();
    let before = app.count("SELECT COUNT(*) FROM event");
    let problem = app.post("events", &event).problem(status, code);
    assert_eq!(problem["title"].as_str().unwrap().to_lowercase(), code.replace('-', " "));
    assert_eq!(app.count("SELECT COUNT(*) FROM event"), before, "nothing happened");
}

#[test]
fn an_unknown_member_is_refused_where_the_document_says_so() {
    let app = tessera_testkit::app::TestApp::new(&crate::common::SHOP.replace("unknown_member: enrol", ""));
    app.post("events", &sale("r-1", "card:1", 5_000)).problem(404, "unknown-member");
    assert_eq!(app.count("SELECT COUNT(*) FROM event_key"), 0);
}

#[test]
fn a_stored_event_is_shown_with_what_it_brought() {
    let app = app();
    let outcome = app.post("events", &cups("r-1", "card:1", 1)).ok();
    let id = outcome["event_id"].as_str().unwrap();
    let shown = app.get(&format!("events/{id}")).ok();
    assert_eq!((&shown["id"], &shown["type"], &shown["status"]), (&json!(id), &json!("purchase"), &json!("applied")));
    assert_eq!((&shown["source"], &shown["source_id"]), (&json!("till-1"), &json!("r-1")));
    assert_eq!(
        (&shown["time"], &shown["recorded_at"]),
        (&json!("2026-03-02T03:00:00Z"), &json!("2026-03-02T03:00:00Z"))
    );
    assert_eq!(shown["data"], cups("r-1", "card:1", 1)["data"], "the data as they came");
    let amounts: Vec<&Value> = shown["effects"].as_array().unwrap().iter().map(|effect| &effect["amount"]).collect();
    assert_eq!(amounts, [40, 1]);
    assert!(shown["basis"].is_object());
}

#[rstest]
#[case::nonsense("x")]
#[case::of_nobody("evt_00000000000000000000000000_1")]
fn an_unknown_event_is_not_found(#[case] id: &str) {
    app().get(&format!("events/{id}")).problem(404, "unknown-event");
}

#[test]
fn an_event_of_another_program_is_not_found() {
    let app = app();
    let other = format!("program: other\nname: Other\ntimezone: Asia/Bangkok\ncurrency: THB{}", crate::common::SHOP);
    let (other, ..) = app.publish(&other).unwrap();
    let there = app.engine().submit(app.read_for(&other, &sale("r-1", "card:1", 5_000)).unwrap()).unwrap();
    let id = tessera_testkit::app::accepted(there).event_id;
    app.get(&format!("events/{id}")).problem(404, "unknown-event");
}

#[test]
fn numbers_keep_their_digits() {
    let app = app();
    let text = r#"{"id":"r-1","source":"till-1","type":"purchase","subject":"card:1","data":{"order_id":"o-1","total":1000.000001,"table":7.0}}"#;
    let outcome = call(&app, "POST", "events").send(text).ok();
    let shown = call(&app, "GET", &format!("events/{}", outcome["event_id"].as_str().unwrap())).send("");
    assert!(shown.body.contains("1000.000001"), "{}", shown.body);
}

/// Points of another system come in by a file: a till's key cannot make points out of nothing.
#[test]
fn l9_lots_are_not_brought_in_over_the_api() {
    let app = app();
    let lot = event("import", "r-1", "card:1", r#"{ "currency": "point", "amount": 1000 }"#);
    for path in ["events", "quotes"] {
        let problem = app.post(path, &lot).problem(400, "unknown-event-type");
        assert!(problem["detail"].as_str().unwrap().contains("tessera import members"), "{problem}");
    }
    let kind = "application/cloudevents-batch+json";
    let batch = call(&app, "POST", "events").header("content-type", kind).send(json!([lot]).to_string()).ok();
    assert_eq!(
        batch[0]["problem"]["type"].as_str().map(|kind| kind.ends_with("unknown-event-type")),
        Some(true),
        "{batch}"
    );
    let lines = call(&app, "POST", "events").header("content-type", "application/x-ndjson").send(format!("{lot}\n"));
    assert_eq!(lines.lines()[0]["status"], "refused");
}
