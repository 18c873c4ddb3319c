//! Batches and streams: one answer for each event, in their order.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp};

use crate::common::{app, call, sale, with};

const BATCH: &str = "application/cloudevents-batch+json";
const NDJSON: &str = "application/x-ndjson";

fn send(app: &TestApp, kind: &str, body: String) -> Reply {
    call(app, "POST", "events").header("content-type", kind).send(body)
}

fn batch(app: &TestApp, events: &[Value]) -> Vec<Value> {
    let reply = send(app, BATCH, json!(events).to_string());
    reply.ok().as_array().expect("a list").clone()
}

fn stream(app: &TestApp, lines: &[String]) -> Vec<Value> {
    let reply = send(app, NDJSON, lines.join("\n"));
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some(NDJSON)), "{}", reply.body);
    reply.lines()
}

/// Good, good, of a wrong type, refused, good, a copy of the first.
fn mixed() -> Vec<Value> {
    vec![
        sale("r-1", "card:1", 5_000),
        sale("r-2", "card:2", 6_000),
        with(sale("r-3", "card:3", 1), "/data/total", json!("a lot")),
        with(sale("r-4", "card:1", 5_000), "/data/order_id", json!("r-1")),
        sale("r-5", "card:1", 7_000),
        sale("r-1", "card:1", 5_000),
    ]
}

fn assert_mixed(app: &TestApp, answers: &[Value]) {
    let told: Vec<(&Value, &Value)> =
        answers.iter().map(|answer| (&answer["status"], &answer["problem"]["status"])).collect();
    let (applied, refused, none) = (json!("applied"), json!("refused"), Value::Null);
    let (duplicate, invalid, conflict) = (json!("duplicate"), json!(400), json!(409));
    let expected = [
        (&applied, &none),
        (&applied, &none),
        (&refused, &invalid),
        (&refused, &conflict),
        (&applied, &none),
        (&duplicate, &none),
    ];
    assert_eq!(told, expected);
    assert_eq!(answers[2]["problem"]["path"], "data.total");
    assert_eq!(answers[3]["problem"]["type"], "https://tessera.example/problems/order-exists");
    assert_eq!(answers[5]["event_id"], answers[0]["event_id"]);
    assert_eq!((app.available("card:1", "point"), app.available("card:2", "point")), (22, 16));
    assert_eq!(app.get("members/card:3").status, 404);
}

#[test]
fn a_batch_answers_each_event_in_its_order() {
    let app = app();
    assert_mixed(&app, &batch(&app, &mixed()));
}

#[test]
fn a_stream_answers_each_line_in_its_order() {
    let app = app();
    let lines: Vec<String> = mixed().iter().map(Value::to_string).collect();
    assert_mixed(&app, &stream(&app, &lines));
}

#[test]
fn duplicates_inside_one_batch_have_one_effect() {
    let app = app();
    let answers =
        batch(&app, &[sale("r-1", "card:1", 5_000), sale("r-1", "card:1", 5_000), sale("r-1", "card:1", 6_000)]);
    let told: Vec<&Value> = answers.iter().map(|answer| &answer["status"]).collect();
    assert_eq!(told, ["applied", "duplicate", "refused"]);
    assert_eq!(app.available("card:1", "point"), 15);
}

#[test]
fn an_empty_batch_has_no_answers() {
    assert!(batch(&app(), &[]).is_empty());
}

#[rstest]
#[case::at_the_limit(1_000, 200)]
#[case::over_the_limit(1_001, 413)]
fn a_batch_has_a_limit(#[case] count: usize, #[case] status: u16) {
    let app = app();
    let events: Vec<Value> = (0..count).map(|number| sale(&format!("r-{number}"), "card:1", 1_000)).collect();
    let reply = send(&app, BATCH, json!(events).to_string());
    assert_eq!(reply.status.as_u16(), status);
    if status == 413 {
        let problem = reply.problem(413, "batch-too-large");
        assert_eq!(problem["most"], 1_000);
        assert_eq!(app.count("SELECT COUNT(*) FROM event_key"), 0, "none of it is taken");
    } else {
        assert_eq!(reply.ok().as_array().unwrap().len(), count);
        assert_eq!(app.available("card:1", "point"), 10 + 100 + (1_000 - 100));
    }
}

#[rstest]
#[case::an_object("{}")]
#[case::broken("[{\"id\": ]")]
#[case::nothing("")]
fn a_batch_that_is_no_list_is_refused_whole(#[case] body: &str) {
    send(&app(), BATCH, body.to_owned()).problem(400, "invalid-json");
}

#[test]
fn an_event_of_a_batch_that_is_none_is_told_so_in_its_place() {
    let app = app();
    let body = format!("[{}, 7, null, [], {}]", sale("r-1", "card:1", 5_000), sale("r-2", "card:1", 5_000));
    let answers = send(&app, BATCH, body).ok();
    let told: Vec<&Value> = answers.as_array().unwrap().iter().map(|answer| &answer["status"]).collect();
    assert_eq!(told, ["applied", "refused", "refused", "refused", "applied"]);
}

#[test]
fn a_bad_line_in_a_stream_is_told_in_its_place_and_stops_nothing() {
    let app = app();
    let lines =
        [sale("r-1", "card:1", 5_000).to_string(), "{oops".to_owned(), sale("r-2", "card:1", 5_000).to_string()];
    let answers = stream(&app, &lines);
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[1]["problem"]["type"], "https://tessera.example/problems/invalid-json");
    assert_eq!(answers[2]["status"], "applied");
}

#[test]
fn empty_lines_and_line_ends_of_other_systems_are_no_events() {
    let app = app();
    let body = format!("\r\n{}\r\n\r\n  \n{}\r\n", sale("r-1", "card:1", 5_000), sale("r-2", "card:1", 5_000));
    let answers = send(&app, NDJSON, body).lines();
    assert_eq!(answers.iter().map(|answer| &answer["status"]).collect::<Vec<_>>(), ["applied", "applied"]);
}

#[test]
fn a_long_stream_keeps_its_order() {
    let app = app();
    // More than may be under way at once, and more than one body may hold.
    let lines: Vec<String> = (0..5_000)
        .map(|number| sale(&format!("r-{number}"), &format!("card:{}", number % 7), 1_000).to_string())
        .collect();
    assert!(lines.iter().map(String::len).sum::<usize>() > 1024 * 1024 - 200_000);
    let answers = stream(&app, &lines);
    assert_eq!(answers.len(), 5_000);
    let mut last = std::collections::HashMap::new();
    for answer in &answers {
        let (member, seq) = answer["event_id"].as_str().unwrap().rsplit_once('_').unwrap();
        let seq: u64 = seq.parse().unwrap();
        let before = last.insert(member.to_owned(), seq).unwrap_or(0);
        assert!(before < seq, "the events of a member keep their order");
    }
}

#[test]
fn a_stream_may_be_larger_than_a_body() {
    let app = app();
    let lines: Vec<String> = (0..30)
        .map(|number| {
            let line = sale(&format!("r-{number}"), "card:1", 1_000).to_string();
            format!("{line}{}", " ".repeat(100_000))
        })
        .collect();
    assert_eq!(stream(&app, &lines).len(), 30);
}

#[test]
fn a_line_over_a_mebibyte_ends_the_stream_with_a_problem() {
    let app = app();
    let long = format!("{{\"id\": \"{}\"}}", "x".repeat(1024 * 1024));
    let answers =
        stream(&app, &[sale("r-1", "card:1", 5_000).to_string(), long, sale("r-2", "card:1", 5_000).to_string()]);
    assert_eq!(answers[0]["status"], "applied");
    assert_eq!(answers[1]["problem"]["type"], "https://tessera.example/problems/body-too-large");
    assert_eq!(answers.len(), 2);
}

#[test]
fn explain_holds_for_every_event_of_a_batch() {
    let app = app();
    let reply = call(&app, "POST", "events?explain=true").header("content-type", BATCH);
    let answers = reply.send(json!([sale("r-1", "card:1", 5_000), sale("r-2", "card:1", 5_000)]).to_string()).ok();
    for answer in answers.as_array().unwrap() {
        assert!(answer["explanation"].as_array().is_some_and(|rules| !rules.is_empty()), "{answer}");
    }
}
