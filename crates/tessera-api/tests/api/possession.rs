//! P4: looking up may earn, spending needs proof that the member is there.

use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, once};

const GUARDED: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: never }, star: { name: Star, expires: never } }
proof: { spending_above: { bean: 50 } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } }, { award: { currency: star, amount: event.net / 1000 } } ] } }
";

fn app(document: &str) -> TestApp {
    let app = TestApp::new(document);
    app.post("events", &event("purchase", "r-1", "card:4711", &data::sale("r-1", 900_000))).ok();
    app
}

fn spend(app: &TestApp, key: &str, points: i64, proof: Option<Value>) -> Reply {
    let mut body = json!({ "member": "card:4711", "currency": "bean", "points": points, "capture": true });
    if let Some(proof) = proof {
        body["proof"] = proof;
    }
    once(app, "POST", "redemptions", key).json(&body)
}

fn card(app: &TestApp) -> Option<Value> {
    Some(json!({ "card_code": app.get("members/card:4711/card").ok()["code"] }))
}

#[test]
fn p4_spending_above_the_limit_needs_proof_and_earning_none() {
    let app = app(GUARDED);
    assert_eq!(spend(&app, "k-1", 50, None).status, 201);
    let needed = spend(&app, "k-2", 51, None).problem(403, "spending-proof-needed");
    assert_eq!((&needed["above"], &needed["by"]), (&json!(50), &json!(["card_code", "one_time_code"])));
    let shown = app.get("members/card:4711/card").ok();
    assert_eq!((&shown["card"], &shown["until"]), (&json!("4711"), &json!("2026-03-02T03:00:30Z")));
    let spent = spend(&app, "k-3", 100, card(&app));
    assert_eq!(spent.status, 201, "{}", spent.body);
    let stars = json!({ "member": "card:4711", "currency": "star", "points": 500, "capture": true });
    assert_eq!(once(&app, "POST", "redemptions", "k-4").json(&stars).status, 201);
    let id = spent.json()["redemption"]["id"].as_str().unwrap().to_owned();
    let kept = app.get(&format!("events/{id}")).ok();
    assert_eq!(kept["data"]["proof"], "card_code");
    assert!(!kept.to_string().contains(shown["code"].as_str().unwrap()), "the code itself is kept nowhere");
}

#[test]
fn p4_a_picture_of_a_code_opens_nothing() {
    let app = app(GUARDED);
    let picture = card(&app);
    let first = spend(&app, "k-1", 60, picture.clone());
    assert_eq!(first.status, 201);
    spend(&app, "k-2", 60, picture.clone()).problem(403, "proof-wrong");
    let again = spend(&app, "k-1", 60, picture);
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, Some("true")), "I1");
    let late = card(&app);
    app.set_clock("2026-03-02T10:01");
    spend(&app, "k-3", 60, late).problem(403, "proof-wrong");
    let slow = card(&app);
    app.clock.set(tessera_testkit::shop::at("2026-03-02T10:01").plus_seconds(45));
    assert_eq!(spend(&app, "k-4", 60, slow).status, 201, "clocks differ by a step");
    assert_eq!(app.available("card:4711", "bean"), 780);
}

#[test]
fn p4_a_code_that_was_sent_is_good_once_and_for_five_minutes() {
    let app = app(&GUARDED.replace("{ bean: 50 } }", "{ bean: 50 }, by: [one_time_code] }"));
    let send = || {
        let made = call(&app, "POST", "members/card:4711/one-time-codes").send("");
        assert_eq!(made.status, 201, "{}", made.body);
        Some(json!({ "one_time_code": made.json()["code"] }))
    };
    let code = send();
    assert_eq!(spend(&app, "k-1", 60, code.clone()).status, 201);
    spend(&app, "k-2", 60, code).problem(403, "proof-wrong");
    let old = send();
    app.set_clock("2026-03-02T10:05");
    spend(&app, "k-3", 60, old).problem(403, "proof-wrong");
    let by_card = spend(&app, "k-4", 60, card(&app)).problem(403, "spending-proof-needed");
    assert_eq!(by_card["by"], json!(["one_time_code"]));
}

#[test]
fn p4_guessing_is_stopped() {
    let app = app(GUARDED);
    let right = app.get("members/card:4711/card").ok()["code"].as_str().unwrap().parse::<u32>().unwrap();
    for guess in 1..=5 {
        let wrong = format!("{:06}", (right + 400_000 + guess) % 1_000_000);
        let told = spend(&app, &format!("g-{guess}"), 60, Some(json!({ "card_code": wrong })));
        let told = told.problem(403, "proof-wrong");
        assert!(!told.to_string().contains(&wrong) && told.get("digit").is_none(), "no hint: {told}");
    }
    let blocked = spend(&app, "k-1", 60, card(&app)).problem(429, "proof-blocked");
    assert_eq!(blocked["until"], "2026-03-02T03:15:00Z");
    app.set_clock("2026-03-02T10:15");
    assert_eq!(spend(&app, "k-2", 60, card(&app)).status, 201);
    spend(&app, "k-3", 60, Some(json!({ "card_code": "12345" }))).problem(400, "invalid-request");
    spend(&app, "k-4", 60, Some(json!({}))).problem(400, "invalid-request");
}
