//! At every limit what is just within is taken, and one more is refused with the number.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{Reply, event};
use tessera_testkit::shop::json as data;

use crate::common::{app, call, once, sale, with};

const MEBIBYTE: usize = 1024 * 1024;

/// Of so many bytes.
fn text(length: usize) -> String {
    "x".repeat(length)
}

/// The detail of an answer that must refuse, and name the limit.
fn refused(reply: &Reply, status: u16, code: &str, number: &str) {
    let problem = reply.problem(status, code);
    assert!(problem["detail"].as_str().unwrap().contains(number), "{problem}");
}

#[rstest]
#[case::an_id("/id", 255)]
#[case::a_source("/source", 255)]
#[case::the_value_of_a_name("/subject", 200)]
#[case::an_order("/data/order_id", 400)]
#[case::an_article("/data/items/0/sku", 400)]
#[case::a_payment("/data/payments/0/method", 400)]
fn a_text_of_an_event(#[case] pointer: &str, #[case] most: usize) {
    let app = app();
    let of = |length: usize| {
        let value = if pointer == "/subject" { format!("card:{}", text(length)) } else { text(length) };
        let paid = json!([{ "method": "cash", "amount": 5_000 }]);
        with(with(sale("r-1", "card:1", 5_000), "/data/payments", paid), pointer, value.into())
    };
    assert_eq!(app.post("events", &of(most)).ok()["status"], "applied");
    let problem = app.post("events", &of(most + 1)).problem(400, "invalid-event");
    let detail = problem["detail"].as_str().unwrap();
    assert!(pointer == "/subject" || detail.contains(&most.to_string()), "{problem}");
}

#[test]
fn an_idempotency_key() {
    let app = app();
    let adjust =
        |length: usize| once(&app, "POST", "adjustments", &text(length)).json(&crate::common::adjustment("card:1", 5));
    app.send(&sale("r-1", "card:1", 5_000));
    adjust(255).ok();
    refused(&adjust(256), 400, "invalid-request", "255");
}

#[rstest]
#[case::payments("/data/payments", 1_000, json!({ "method": "cash", "amount": 0 }), "1000")]
#[case::vouchers("/data/vouchers", 10, Value::Null, "10")]
fn a_list_of_an_order(#[case] pointer: &str, #[case] most: usize, #[case] one: Value, #[case] number: &str) {
    let app = app();
    let of = |count: usize| {
        let items = (0..count).map(|place| if one.is_null() { format!("CODE{place:04}").into() } else { one.clone() });
        app.post("events", &with(sale("r-1", "card:1", 5_000), pointer, items.collect()))
    };
    let within = of(most);
    // No such codes were issued; ten are looked up.
    assert!(within.status.is_success() || within.json()["code"] != "invalid-event", "{}", within.body);
    assert!(!within.body.contains("at most"), "{}", within.body);
    refused(&of(most + 1), 400, "invalid-event", number);
}

#[test]
fn the_names_of_a_member() {
    let app = app();
    let names = |from: usize, count: usize| -> Vec<String> {
        (from..from + count).map(|number| format!("card:{number}")).collect()
    };
    let join =
        |key: &str, names: Vec<String>| once(&app, "POST", "members", key).json(&json!({ "identifiers": names }));
    refused(&join("1", names(0, 51)), 400, "invalid-event", "at most 50");
    join("2", names(0, 50)).ok();
    // One by one it is the same, until one of them goes.
    let add = |key: &str, body: Value| once(&app, "POST", "members/card:1/identifiers", key).json(&body);
    let problem = add("3", json!({ "identifier": "card:1000" })).problem(422, "too-many-identifiers");
    assert_eq!((&problem["most"], &problem["known"]), (&json!(50), &json!(50)));
    add("4", json!({ "identifier": "card:1000", "replaces": "card:7" })).ok();
    let profile = event("profile", "p-1", "card:1", r#"{ "identifiers": ["card:2000"] }"#);
    app.post("events", &profile).problem(422, "too-many-identifiers");
}

#[test]
fn nested_json() {
    let app = app();
    // Data are a level themselves.
    let of = |depth: usize| {
        let value = format!("{}1{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let body = sale("r-1", "card:1", 5_000).to_string().replace("\"total\":5000", &format!("\"total\":{value}"));
        call(&app, "POST", "events").send(body).problem(400, "invalid-event")["detail"].as_str().unwrap().to_owned()
    };
    assert!(!of(127).contains("nested"), "an amount is no list, and that is what is said");
    assert!(of(128).contains("nested more than 127 levels deep"));
}

#[test]
fn a_body() {
    let app = app();
    let of = |length: usize| {
        let mut text = sale("r-1", "card:1", 5_000).to_string();
        text.push_str(&" ".repeat(length - text.len()));
        call(&app, "POST", "events").send(text)
    };
    of(MEBIBYTE).ok();
    assert_eq!(of(MEBIBYTE + 1).problem(413, "body-too-large")["most"], MEBIBYTE);
}

fn stream(body: String) -> Vec<Value> {
    let app = app();
    call(&app, "POST", "events").header("content-type", "application/x-ndjson").send(body).lines()
}

#[rstest]
#[case::with_an_end("\n")]
#[case::the_last_one("")]
fn a_line_of_a_stream(#[case] end: &str) {
    let of = |length: usize| {
        let mut line = sale("r-1", "card:1", 5_000).to_string();
        line.push_str(&" ".repeat(length - line.len()));
        line.push_str(end);
        stream(line)
    };
    assert_eq!(of(MEBIBYTE)[0]["status"], "applied");
    assert_eq!(of(MEBIBYTE + 1)[0]["problem"]["most"], MEBIBYTE);
}

#[test]
fn a_stream() {
    let sold = sale("r-1", "card:1", 5_000).to_string();
    let of = |length: usize| {
        let mut body = format!("{sold}\n");
        let line = format!("{}\n", " ".repeat(MEBIBYTE - 1));
        body.push_str(&line.repeat(63));
        body.push_str(&" ".repeat(length - body.len()));
        stream(body)
    };
    assert_eq!(of(64 * MEBIBYTE).len(), 1);
    assert_eq!(of(64 * MEBIBYTE + 1).last().unwrap()["problem"]["most"], 64 * MEBIBYTE);
}

#[test]
fn codes_of_a_batch() {
    let app = app();
    let make = |body: Value| once(&app, "POST", "vouchers/cup/codes", &body.to_string()).json(&body);
    refused(&make(json!({ "count": 1_000_001 })), 400, "invalid-request", "1000000");
    refused(&make(json!({ "count": 1, "name": text(201) })), 400, "invalid-request", "200");
    assert_eq!(make(json!({ "count": 1, "name": text(200) })).status, 200);
}

#[test]
fn a_line_of_a_file_of_codes() {
    let app = app();
    let import = |key: &str, lines: &str| {
        let call = once(&app, "POST", "vouchers/cup/codes/import", key).header("content-type", "text/plain");
        call.send(lines.to_owned())
    };
    let found = import("1", &format!("GOOD-0001\n{}\n", text(1_000))).ok();
    assert_eq!((&found["imported"], &found["problems"][0]["line"]), (&json!(1), &json!(2)), "no code, and read");
    assert_eq!(import("2", &format!("{}\n", text(1_001))).problem(413, "body-too-large")["most"], 1_000);
}

#[test]
fn a_page_of_a_list() {
    let app = app();
    app.send(&event("purchase", "r-1", "card:1", &data::sale("r-1", 5_000)));
    app.get("members?limit=200").ok();
    refused(&app.get("members?limit=201"), 400, "invalid-request", "200");
}
