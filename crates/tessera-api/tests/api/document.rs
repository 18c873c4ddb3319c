//! The document and its versions.

use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp};
use tessera_testkit::shop::document;

use crate::common::{SHOP, app, call, items, sale};

fn put(app: &TestApp, base: &str, text: &str) -> Reply {
    call(app, "PUT", "document")
        .header("if-match", base)
        .header("content-type", "application/yaml")
        .send(text.to_owned())
}

fn changed() -> String {
    document(&SHOP.replace("event.net / 1000", "event.net / 500"))
}

#[test]
fn the_document_is_shown_as_json_and_as_it_was_written() {
    let app = app();
    let reply = app.get("document");
    assert_eq!((reply.header("etag"), reply.header("content-type")), (Some("\"1\""), Some("application/json")));
    let shown = reply.ok();
    assert_eq!((&shown["program"], &shown["currencies"]["stamp"]["expires"]), (&json!("test"), &json!("never")));
    let yaml = call(&app, "GET", "document").header("accept", "application/yaml").send("");
    assert_eq!((yaml.header("content-type"), yaml.header("etag")), (Some("application/yaml"), Some("\"1\"")));
    assert_eq!(yaml.body, document(SHOP));
    app.get("document?version=7").problem(404, "unknown-version");
}

#[test]
fn a_document_is_published_over_the_version_it_was_made_to() {
    let app = app();
    let reply = put(&app, "\"1\"", &changed());
    assert_eq!(reply.header("etag"), Some("\"2\""));
    assert_eq!(reply.ok(), json!({ "version": 2, "changed": true }));
    assert_eq!(app.post("events", &sale("r-1", "card:1", 5_000)).ok()["balances"]["point"]["available"], 20);
    assert_eq!(app.get("document?version=1").header("etag"), Some("\"1\""));
    // The JSON that was shown can be sent back.
    let shown = app.get("document?version=1").ok();
    assert_eq!(put(&app, "2", &shown.to_string()).ok(), json!({ "version": 3, "changed": true }));
    assert_eq!(put(&app, "\"3\"", &document(SHOP)).ok(), json!({ "version": 3, "changed": false }));
}

#[test]
fn nobody_s_change_is_lost() {
    let app = app();
    put(&app, "\"1\"", &changed()).ok();
    let problem = put(&app, "\"1\"", &document(SHOP)).problem(412, "document-changed");
    assert_eq!(problem["version"], 2);
    call(&app, "PUT", "document").send(changed()).problem(428, "if-match-required");
    put(&app, "newest", &changed()).problem(400, "invalid-request");
    assert_eq!(app.get("document").header("etag"), Some("\"2\""));
}

#[test]
fn a_document_with_mistakes_tells_all_of_them_with_their_lines() {
    let app = app();
    let text = changed().replace("event.net / 500", "event.nett / 500").replace("trigger: review", "trigger: revew");
    let problem = put(&app, "\"1\"", &text).problem(422, "invalid-document");
    let findings: Vec<&Value> =
        problem["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error").collect();
    assert!(findings.len() >= 2, "{problem:#}");
    let lines: Vec<u64> = findings.iter().filter_map(|finding| finding["line"].as_u64()).collect();
    for (line, text) in text.lines().enumerate().filter(|(_, text)| text.contains("nett") || text.contains("revew")) {
        assert!(lines.contains(&(line as u64 + 1)), "line {} ({text}) in {problem:#}", line + 1);
    }
    assert_eq!(app.get("document").header("etag"), Some("\"1\""));
}

#[test]
fn a_document_of_another_program_is_refused() {
    let app = app();
    let other = changed().replace("program: test", "program: other");
    put(&app, "\"1\"", &other).problem(422, "other-program");
    call(&app, "POST", "document/plan").send(other).problem(422, "other-program");
    call(&app, "PUT", "document").header("if-match", "\"1\"").send(vec![0xff, 0xfe]).problem(400, "invalid-request");
}

#[test]
fn what_is_held_cannot_be_dropped() {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    let without = document(SHOP).replace("point", "coin");
    let problem = put(&app, "\"1\"", &without).problem(409, "still-held");
    assert_eq!(problem["holders"], 1);
}

#[test]
fn a_plan_says_the_difference_in_words_and_changes_nothing() {
    let app = app();
    let plan = call(&app, "POST", "document/plan").send(changed()).ok();
    assert_eq!(plan["base"], 1);
    let differences = plan["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{plan:#}");
    let words = differences[0]["words"].as_str().unwrap();
    assert!(words.contains("event.net / 1000") && words.contains("event.net / 500"), "{words}");
    assert_eq!(app.get("document").header("etag"), Some("\"1\""));
    let same = call(&app, "POST", "document/plan").send(document(SHOP)).ok();
    assert_eq!(same["differences"], json!([]));
    let invalid = call(&app, "POST", "document/plan").send(changed().replace("event.net", "event.nett"));
    invalid.problem(422, "invalid-document");
}

#[test]
fn a_plan_replays_what_happened_under_the_draft() {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    app.post("events", &sale("r-2", "card:2", 2_500)).ok();
    app.set_clock("2026-03-03T10:00");
    let plan = call(&app, "POST", "document/plan?replay=true").send(changed()).ok();
    let found = &plan["what_if"];
    assert_eq!((&found["version"], &found["events"], &found["members"]), (&json!(1), &json!(2), &json!(2)));
    let point = &found["currencies"]["point"];
    // A point per 1,000 before, per 500 after; both got 10 for joining.
    assert_eq!((&point["before"]["issued"], &point["after"]["issued"]), (&json!(27), &json!(35)));
    assert_eq!((&found["gain"]["more"], &found["gain"]["less"]), (&json!(2), &json!(0)));
    // Nothing was written, and nobody's plan says so unasked.
    assert_eq!(app.get("document").header("etag"), Some("\"1\""));
    assert_eq!(call(&app, "POST", "document/plan").send(changed()).ok().get("what_if"), None);
    let same = call(&app, "POST", "document/plan?replay=true").send(document(SHOP)).ok();
    assert_eq!(same["what_if"]["gain"]["same"], 2);
    let backwards = "document/plan?replay=true&from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z";
    call(&app, "POST", backwards).send(changed()).problem(400, "invalid-request");
}

#[test]
fn a_plan_shows_the_warnings() {
    let app = app();
    let text = document(&SHOP.replace(
        "  welcome:",
        "  never: { trigger: purchase, rules: [ { when: event.total > 5 and event.total < 3, award: { currency: point, amount: 1 } } ] }\n  welcome:",
    ));
    let plan = call(&app, "POST", "document/plan").send(text).ok();
    let said = plan["findings"].to_string();
    assert!(said.contains("this rule can never match"), "{plan:#}");
}

#[test]
fn versions_are_listed_newest_first() {
    let app = app();
    app.set_clock("2026-03-03T10:00");
    put(&app, "\"1\"", &changed()).ok();
    let versions = app.get("versions").ok();
    let told: Vec<(&Value, &Value, &Value)> = items(&versions)
        .iter()
        .map(|version| (&version["version"], &version["valid_from"], &version["created_by"]))
        .collect();
    let (two, one, since, none) = (json!(2), json!(1), json!("2026-03-03T03:00:00Z"), Value::Null);
    assert_eq!(told, [(&two, &since, &json!("api")), (&one, &none, &json!("test"))]);
}
