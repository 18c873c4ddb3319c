//! What cannot be read is told where it is wrong and what would be right.

use std::collections::BTreeMap;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use tessera_api::Problem;
use tessera_engine::submission::Refusal;
use tessera_testkit::app::event;
use tessera_testkit::shop::json as data;

use crate::common::{app, call, sale, with};

fn sold(pointer: &str, value: Value) -> Value {
    with(sale("r-1", "card:1", 5_000), pointer, value)
}

#[rstest]
#[case::a_text_for_an_amount("/data/total", json!("a lot"), "data.total")]
#[case::a_list_for_an_amount("/data/total", json!([1]), "data.total")]
#[case::too_many_decimals("/data/total", json!("1.0000001"), "data.total")]
#[case::a_number_for_a_text("/data/order_id", json!(7), "data.order_id")]
#[case::an_empty_order("/data/order_id", json!(""), "data.order_id")]
#[case::an_object_for_a_list("/data/items", json!({}), "data.items")]
#[case::a_line_that_is_none("/data/items", json!([1]), "data.items[0]")]
#[case::an_amount_in_a_line("/data/items/0/amount", json!(true), "data.items[0].amount")]
#[case::a_quantity_in_a_line("/data/items/0/quantity", json!({}), "data.items[0].quantity")]
#[case::a_payment("/data/payments", json!([{ "method": "cash" }]), "data.payments[0].amount")]
#[case::a_declared_number("/data/table", json!("seven"), "data.table")]
#[case::a_fraction_for_an_integer("/data/table", json!(1.5), "data.table")]
#[case::a_declared_boolean("/data/items/0/organic", json!("yes"), "data.items[0].organic")]
#[case::a_field_nobody_knows("/data/totl", json!(1), "data.totl")]
#[case::a_line_s_field_nobody_knows("/data/items/0/colour", json!("red"), "data.items[0].colour")]
#[case::data_that_are_a_list("/data", json!([]), "data")]
#[case::data_that_are_a_text("/data", json!("purchase"), "data")]
#[case::no_data("/data", Value::Null, "data.order_id")]
#[case::a_time_in_words("/time", json!("yesterday"), "time")]
#[case::a_time_without_offset("/time", json!("2026-03-02T10:00:00"), "time")]
#[case::a_time_as_a_number("/time", json!(1), "time")]
#[case::a_subject_without_kind("/subject", json!("4711"), "subject")]
#[case::a_subject_as_a_number("/subject", json!(4711), "subject")]
#[case::an_empty_id("/id", json!(""), "id")]
#[case::a_long_id("/id", json!("x".repeat(256)), "id")]
#[case::an_id_as_a_number("/id", json!(1), "id")]
#[case::an_empty_source("/source", json!(""), "source")]
#[case::a_source_that_is_null("/source", Value::Null, "source")]
#[case::a_type_as_a_list("/type", json!([]), "type")]
#[case::another_specversion("/specversion", json!("0.3"), "specversion")]
#[case::a_specversion_as_a_number("/specversion", json!(1.0), "specversion")]
fn a_wrong_field_is_named_by_its_path(#[case] pointer: &str, #[case] value: Value, #[case] path: &str) {
    let app = app();
    let problem = app.post("events", &sold(pointer, value)).problem(400, "invalid-event");
    assert_eq!(problem["path"], path, "{problem}");
    assert!(problem["detail"].as_str().unwrap().starts_with(&format!("{path}: ")), "{problem}");
    assert_eq!(app.count("SELECT COUNT(*) FROM event_key"), 0, "nothing is kept of it");
}

#[rstest]
#[case::the_id("/id", "id")]
#[case::the_source("/source", "source")]
#[case::the_type("/type", "type")]
#[case::the_order("/data/order_id", "data.order_id")]
#[case::the_total("/data/total", "data.total")]
fn a_missing_field_is_named(#[case] pointer: &str, #[case] path: &str) {
    let mut event = sale("r-1", "card:1", 5_000);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = if parent.is_empty() { &mut event } else { event.pointer_mut(parent).unwrap() };
    parent.as_object_mut().unwrap().remove(name).unwrap();
    let problem = app().post("events", &event).problem(400, "invalid-event");
    assert_eq!(problem["path"], path, "{problem}");
}

#[rstest]
#[case::misspelt("purchas", "did you mean `purchase`?")]
#[case::of_the_document("reviews", "did you mean `review`?")]
#[case::nothing_near("teleportation", "declare it in the document's `events`")]
#[case::of_the_program_s_own("birthday", "declare it in the document's `events`")]
fn an_unknown_event_type_gets_a_suggestion(#[case] kind: &str, #[case] suggestion: &str) {
    let problem = app().post("events", &event(kind, "r-1", "card:1", "{}")).problem(400, "unknown-event-type");
    assert!(problem["detail"].as_str().unwrap().contains(suggestion), "{problem}");
    assert_eq!(problem["path"], "type");
}

#[test]
fn a_misspelt_field_gets_a_suggestion() {
    let problem = app().post("events", &sold("/data/locaton", json!("D1"))).problem(400, "invalid-event");
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `location`?"), "{problem}");
}

#[rstest]
#[case::stars_below(r#"{"order_id": "o-1", "stars": 0}"#, "data.stars", "below the least, 1")]
#[case::stars_above(r#"{"order_id": "o-1", "stars": 6}"#, "data.stars", "above the most, 5")]
#[case::stars_missing(r#"{"order_id": "o-1"}"#, "data.stars", "is missing")]
#[case::another_place(
    r#"{"order_id": "o-1", "stars": 5, "place": "moon"}"#,
    "data.place",
    "one of shop, web is expected"
)]
fn a_declared_event_is_held_to_its_declaration(#[case] data: &str, #[case] path: &str, #[case] said: &str) {
    let problem = app().post("events", &event("review", "r-1", "card:1", data)).problem(400, "invalid-event");
    assert_eq!(problem["path"], path);
    assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
}

#[rstest]
#[case::nothing("")]
#[case::no_json("hello")]
#[case::half("{\"id\": \"r-1\"")]
#[case::two("{} {}")]
#[case::a_list("[{}]")]
#[case::not_utf8(b"{\"id\": \"\xff\"}".as_slice())]
fn a_body_that_is_no_json_object_is_told_so(#[case] body: impl Into<axum::body::Body>) {
    call(&app(), "POST", "events").send(body).problem(400, "invalid-json");
}

#[test]
fn broken_json_is_told_its_place() {
    let problem = call(&app(), "POST", "events").send("{\n  \"id\": \"r-1\",\n  oops\n}").problem(400, "invalid-json");
    assert_eq!((&problem["line"], &problem["column"]), (&json!(3), &json!(3)), "{problem}");
}

#[rstest]
#[case::below_data(r#"{"id": "r-1", "source": "s", "type": "purchase", "data": DEEP}"#)]
#[case::in_a_field(
    r#"{"id": "r-1", "source": "s", "type": "purchase", "data": {"order_id": "o", "total": 1, "items": DEEP}}"#
)]
#[case::in_an_extension(
    r#"{"id": "r-1", "source": "s", "type": "purchase", "x": DEEP, "data": {"order_id": "o", "total": 1}}"#
)]
#[case::alone("DEEP")]
fn deep_json_is_refused_whatever_its_place(#[case] body: &str, #[values("[", "{\"a\":")] open: &str) {
    let app = app();
    let close = if open == "[" { "]" } else { "}" };
    let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let reply = call(&app, "POST", "events").send(body.replace("DEEP", &deep));
    if body.contains("\"x\"") {
        assert_eq!(reply.ok()["status"], "applied", "extensions are not read");
        return;
    }
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert_eq!(app.count("SELECT COUNT(*) FROM event_key"), 0);
    if body.contains("data") {
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("nested") || detail.contains("recursion") || detail.contains("a number"), "{detail}");
    }
}

#[rstest]
#[case::plain_text("text/plain")]
#[case::a_form("application/x-www-form-urlencoded")]
#[case::xml("application/xml")]
fn another_content_type_is_not_read(#[case] kind: &str) {
    let app = app();
    let reply =
        call(&app, "POST", "events").header("content-type", kind).send(sale("r-1", "card:1", 5_000).to_string());
    let problem = reply.problem(415, "unsupported-media-type");
    assert!(problem["detail"].as_str().unwrap().contains("application/x-ndjson"), "it says what is read");
}

#[rstest]
#[case::an_event("POST", "events", "application/json")]
#[case::a_batch("POST", "events", "application/cloudevents-batch+json")]
#[case::a_quote("POST", "quotes", "application/json")]
#[case::a_member("POST", "members", "application/json")]
#[case::an_adjustment("POST", "adjustments", "application/json")]
#[case::a_redemption("POST", "redemptions", "application/json")]
#[case::a_capture("POST", "redemptions/evt_x_1/capture", "application/json")]
#[case::a_document("PUT", "document", "application/yaml")]
#[case::a_plan("POST", "document/plan", "application/yaml")]
fn a_body_over_a_mebibyte_is_refused(#[case] method: &str, #[case] path: &str, #[case] kind: &str) {
    let app = app();
    let body = format!("[\"{}\"]", "x".repeat(1024 * 1024));
    let call = call(&app, method, path).header("content-type", kind).header("if-match", "\"1\"");
    call.header("idempotency-key", "k").send(body).problem(413, "body-too-large");
}

#[test]
fn a_body_just_under_a_mebibyte_is_read() {
    let app = app();
    let mut text = sale("r-1", "card:1", 5_000).to_string();
    text.push_str(&" ".repeat(1024 * 1024 - text.len()));
    assert_eq!(call(&app, "POST", "events").send(text).ok()["status"], "applied");
}

fn order_of(lines: usize) -> Value {
    let lines: Vec<(&str, &str, i64, i64)> = vec![("A", "goods", 1, 10); lines];
    event("purchase", "r-1", "card:1", &data::lines("o-1", &lines))
}

#[test]
fn an_order_of_a_thousand_lines_is_read() {
    assert_eq!(app().post("events", &order_of(1_000)).ok()["status"], "applied");
}

#[test]
fn an_order_of_more_lines_is_refused() {
    let problem = app().post("events", &order_of(1_002)).problem(400, "invalid-event");
    assert!(problem["detail"].as_str().unwrap().contains("1000"), "{problem}");
}

#[test]
fn an_order_of_one_line_more_is_refused() {
    app().post("events", &order_of(1_001)).problem(400, "invalid-event");
}

#[rstest]
#[case::explain("events?explain=maybe", "POST", "explain")]
#[case::a_limit("members?limit=many", "GET", "limit")]
#[case::a_version("document?version=first", "GET", "version")]
#[case::explain_of_an_event("events/evt_x_1?explain=2", "GET", "explain")]
#[case::explain_of_a_quote("quotes?explain=", "POST", "explain")]
fn a_wrong_parameter_is_a_problem_too(#[case] path: &str, #[case] method: &str, #[case] name: &str) {
    let problem = call(&app(), method, path).send("{}").problem(400, "invalid-request");
    assert!(problem["detail"].as_str().unwrap().contains(name), "{problem}");
}

#[rstest]
#[case::an_address("GET", "/v1/nothing", 404, "not-found")]
#[case::an_address_below("GET", "/v1/programs/test/members/card:1/secrets", 404, "not-found")]
#[case::a_method("DELETE", "/v1/programs/test/members", 405, "method-not-allowed")]
#[case::a_method_on_an_event("PUT", "/v1/programs/test/events/evt_1", 405, "method-not-allowed")]
#[case::an_asset("GET", "/docs/nothing.js", 404, "not-found")]
fn what_is_not_served_is_a_problem_too(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    call(&app(), method, path).send("").problem(status, code);
}

/// Every refusal of the core: its code, and the variant it is of.
fn refusals() -> Vec<(&'static str, &'static str)> {
    let source = include_str!("../../../tessera-core/src/decide/rejected/code.rs");
    let named = source.lines().filter_map(|line| {
        let (variant, code) = line.trim().strip_prefix("Self::")?.split_once("=> \"")?;
        let variant = variant.split([' ', '{']).next()?;
        Some((code.strip_suffix("\",")?, variant))
    });
    named.collect()
}

/// The status of every code of `docs/problems.md`.
fn documented() -> BTreeMap<&'static str, u16> {
    let mut found = BTreeMap::new();
    for line in include_str!("../../../../docs/problems.md").lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (codes, statuses) = (cells.next().unwrap(), cells.next().unwrap());
        let statuses: Vec<u16> = statuses.split(", ").filter_map(|status| status.parse().ok()).collect();
        for (place, code) in codes.split(", ").enumerate() {
            let status = statuses.get(place).or(statuses.last()).unwrap_or_else(|| panic!("no status: {line}"));
            found.insert(code.trim_matches('`'), *status);
        }
    }
    found
}

/// The text of all files below a folder with an ending.
fn texts(folder: &Path, ending: &str, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, ending, text);
        } else if path.extension().is_some_and(|found| found == ending) {
            *text += &std::fs::read_to_string(&path).unwrap();
        }
    }
}

#[test]
fn every_refusal_is_documented_with_its_status_and_provoked_somewhere() {
    let (refusals, documented) = (refusals(), documented());
    assert!(refusals.len() > 150 && documented.len() > 150, "they are read");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = String::new();
    texts(&root.join("scenarios"), "yaml", &mut tests);
    for one in std::fs::read_dir(root.join("crates")).unwrap() {
        let folder = one.unwrap().path().join("tests");
        if folder.is_dir() {
            texts(&folder, "rs", &mut tests);
        }
    }
    let is_part = |symbol: char| symbol.is_alphanumeric() || matches!(symbol, '-' | '_');
    let stands = |word: &str| {
        tests.match_indices(word).any(|(at, _)| {
            let (before, after) = (tests[..at].chars().next_back(), tests[at + word.len()..].chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    };
    for (code, variant) in refusals {
        let status = Problem::from(Refusal::new(code, "")).status;
        assert_eq!(documented.get(code), Some(&status), "docs/problems.md: {code}");
        assert!(stands(code) || stands(&format!("Rejected::{variant}")), "no test and no scenario provokes {code}");
    }
}
