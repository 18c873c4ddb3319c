//! `POST …/transfers`.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{items, once, with};
use crate::lists::comes_in_pages;

/// A bean per 1,000 for a year; at most 80 are sent at once.
const BEANS: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: { after: P12M } }, star: { name: Star, expires: never } }
transfers: { bean: { max: 80 } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

/// Two members, with 100 beans and none.
fn app() -> TestApp {
    let app = TestApp::new(BEANS);
    for (id, subject, total) in [("r-1", "card:1", 100_000), ("r-2", "card:2", 0)] {
        app.post("events", &event("purchase", id, subject, &data::sale(id, total))).ok();
    }
    app
}

fn sending(amount: i64) -> Value {
    json!({ "from": "card:1", "to": "card:2", "currency": "bean", "amount": amount, "message_id": "m-1" })
}

#[test]
fn p7_both_sides_see_the_other_by_id_only() {
    let app = app();
    let reply = once(&app, "POST", "transfers", "t-1").json(&sending(60));
    assert_eq!(reply.status, 201, "{}", reply.body);
    let (one, other) = (app.member("card:1")["id"].clone(), app.member("card:2")["id"].clone());
    let sent = reply.json();
    assert_eq!(sent["effects"][0]["member"], other);
    app.relay();
    assert_eq!((app.available("card:1", "bean"), app.available("card:2", "bean")), (40, 60));
    let again = once(&app, "POST", "transfers", "t-1").json(&sending(60));
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(app.relay(), 0);
    let list = app.get("members/card:2/events").ok();
    let history = items(&list);
    assert_eq!(history[0]["type"], "transfer-in");
    assert_eq!(history[0]["effects"][0]["type"], "received");
    assert_eq!(history[0]["effects"][0]["member"], one);
    assert!(!history[0].to_string().contains("card:1"), "{}", history[0]);
    let list = app.get("members/card:1/events").ok();
    let history = items(&list);
    assert_eq!((&history[0]["type"], &history[0]["data"]["message"]), (&json!("transfer"), &json!("m-1")));
    assert!(!history[0].to_string().contains("card:2"), "{}", history[0]);
}

#[test]
fn p7_a_member_sees_what_was_sent_what_came_and_what_came_back() {
    let app = app();
    once(&app, "POST", "transfers", "t-1").json(&sending(30)).ok();
    app.relay();
    once(&app, "POST", "transfers", "t-2").json(&sending(20)).ok();
    once(&app, "DELETE", "members/card:2", "gone").send("").ok();
    app.relay();
    let of = |member: &str| app.get(&format!("members/{member}/transfers")).ok();
    let seen: Vec<(Value, Value, Value)> = items(&of("card:1"))
        .iter()
        .map(|transfer| (transfer["direction"].clone(), transfer["amount"].clone(), transfer["message_id"].clone()))
        .collect();
    let expected = [("came_back", 20, Value::Null), ("sent", 20, json!("m-1")), ("sent", 30, json!("m-1"))];
    assert_eq!(seen, expected.map(|(direction, amount, message)| (json!(direction), json!(amount), message)));
    assert!(items(&of("card:1"))[0]["reason"].is_string());
    let page = app.get("members/card:1/transfers?limit=2").ok();
    let next = page["next"].as_str().unwrap();
    let rest = app.get(&format!("members/card:1/transfers?limit=2&after={next}")).ok();
    assert_eq!((items(&page).len(), items(&rest).len(), &rest["next"]), (2, 1, &Value::Null));
    comes_in_pages(&app, "members/card:1/transfers", 3);
}

#[test]
fn p7_who_receives_sees_from_whom_and_what_was_said() {
    let app = app();
    once(&app, "POST", "transfers", "t-1").json(&sending(30)).ok();
    app.relay();
    let list = app.get("members/card:2/transfers").ok();
    let received = &items(&list)[0];
    assert_eq!((&received["direction"], &received["amount"]), (&json!("received"), &json!(30)));
    assert_eq!((&received["member"], &received["message_id"]), (&app.member("card:1")["id"], &json!("m-1")));
    app.get("members/card:9/transfers").problem(404, "unknown-member");
}

#[rstest]
#[case::a_stranger("/to", json!("card:9"), 404, "unknown-member")]
#[case::from_a_stranger("/from", json!("card:9"), 404, "unknown-member")]
#[case::to_oneself("/to", json!("card:1"), 422, "transfer-to-oneself")]
#[case::not_listed("/currency", json!("star"), 422, "transfer-not-allowed")]
#[case::too_many("/amount", json!(81), 422, "transfer-size")]
#[case::none("/amount", json!(0), 422, "nothing-to-transfer")]
#[case::no_name("/currency", json!("Bean!"), 400, "invalid-request")]
#[case::no_message("/message_id", json!(""), 400, "invalid-request")]
fn p7_what_may_not_be_sent_is_a_problem(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] status: u16,
    #[case] code: &str,
) {
    let app = app();
    let body = with(sending(50), pointer, value);
    once(&app, "POST", "transfers", "t-1").json(&body).problem(status, code);
    assert_eq!(app.available("card:1", "bean"), 100);
}

#[test]
fn follow_ups_are_no_events_that_anybody_sends() {
    let app = app();
    for kind in tessera_core::event::FOLLOW_UP_TYPES {
        let wrong = event(kind, "x-1", "card:1", "{}");
        app.post("events", &wrong).problem(400, "unknown-event-type");
    }
}
