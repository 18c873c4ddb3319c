//! P6: guests' purchases that somebody claims later, over HTTP.

use serde_json::{Value, json};
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::shop::json::{back, back_all, lines};

use crate::common::{SHOP, once, sale};

const CLAIMS: &str = "claims: { within: P30D, per_member: { day: 3 } }\n";

fn claims() -> TestApp {
    TestApp::new(&format!("{CLAIMS}{SHOP}"))
}

fn claim(app: &TestApp, key: &str, member: &str, code: &str) -> Reply {
    once(app, "POST", "claims", key).json(&json!({ "member": member, "code": code }))
}

/// A guest's purchase of so much, and the code on its receipt.
fn bought(app: &TestApp, order: &str, total: i64) -> String {
    let outcome = app.send(&sale(order, "", total));
    assert_eq!(outcome.member, None);
    outcome.claim_code.expect("a claim code").to_string()
}

fn join(app: &TestApp, card: &str) {
    once(app, "POST", "members", card).json(&json!({ "identifiers": [card] })).ok();
}

#[test]
fn p6_a_guests_purchase_is_claimed_once_and_can_be_returned() {
    let app = claims();
    let code = bought(&app, "o1", 50_000);
    join(&app, "card:1");
    join(&app, "card:2");
    let typed = code.to_lowercase().replace('-', "");
    let outcome = claim(&app, "1", "card:1", &typed).ok();
    assert_eq!(outcome["balances"]["point"]["available"], 60, "{outcome}");
    assert_eq!(claim(&app, "1", "card:1", &typed).ok()["status"], "duplicate");
    claim(&app, "2", "card:2", &code).problem(409, "already-claimed");
    claim(&app, "3", "card:1", &code).problem(409, "already-claimed");
    assert_eq!(app.member("card:1")["purchases"], 1);
    // Whoever claimed it is found by the order, and a return takes exactly what it earned.
    let returned = app.send(&event("return", "r1", "", &back_all("o1")));
    assert_eq!(returned.member.as_deref(), app.member("card:1")["id"].as_str());
    assert_eq!(app.available("card:1", "point"), 10);
}

#[test]
fn p6_a_claim_is_decided_as_on_the_day_of_the_purchase_net_of_returns_at_the_base_level() {
    let app = claims();
    join(&app, "card:1");
    app.send(&sale("o1", "card:1", 200_000));
    assert_eq!(app.member("card:1")["tiers"][0]["level"], "gold");
    let guest = app.send(&event("purchase", "o2", "", &lines("o2", &[("A", "tea", 2, 100_000)])));
    let code = guest.claim_code.unwrap();
    app.send(&event("return", "r1", "", &back("o2", &[("A", 1)])));
    app.set_clock("2026-03-20T10:00");
    app.publish(&format!("{CLAIMS}{SHOP}").replace("event.net / 1000 }", "event.net / 10 }")).unwrap();
    let before = app.available("card:1", "point");
    claim(&app, "1", "card:1", &code).ok();
    assert_eq!(app.available("card:1", "point") - before, 50, "not 75 as gold earns, not 5,000 as of today");
    app.send(&event("return", "r2", "", &back("o2", &[("A", 1)])));
    assert_eq!(app.available("card:1", "point"), before);
}

#[test]
fn p6_a_claim_comes_in_time_within_limits_and_not_by_staff() {
    let app = claims();
    let codes: Vec<String> = (0..5).map(|number| bought(&app, &format!("o{number}"), 10_000)).collect();
    join(&app, "card:1");
    for (number, code) in codes[..3].iter().enumerate() {
        claim(&app, &format!("c{number}"), "card:1", code).ok();
    }
    let problem = claim(&app, "c3", "card:1", &codes[3]).problem(422, "claimed-enough");
    assert_eq!((&problem["window"], &problem["most"]), (&json!("day"), &json!(3)));
    app.set_clock("2026-03-03T10:00");
    claim(&app, "c4", "card:1", &codes[3]).ok();
    let mut by_staff = sale("s1", "", 10_000);
    by_staff["data"]["staff"] = Value::from("an");
    let code = app.send(&by_staff).claim_code.unwrap();
    once(&app, "POST", "members", "s").json(&json!({ "identifiers": ["staff:an", "card:9"] })).ok();
    claim(&app, "c5", "card:9", &code).problem(422, "claim-of-own-sale");
    app.set_clock("2026-04-02T10:00");
    claim(&app, "c6", "card:1", &codes[4]).problem(422, "claim-too-late");
    claim(&app, "c7", "card:1", "2222-2222-2222-2223").problem(400, "invalid-request");
    claim(&app, "c8", "card:none", &code).problem(404, "unknown-member");
    let nobodys = tessera_core::code::Code::from_entropy([9; 16]).to_string();
    claim(&app, "c9", "card:1", &nobodys).problem(404, "unknown-claim-code");
}

#[test]
fn p6_of_sixty_four_who_claim_one_purchase_exactly_one_gets_it() {
    let app = claims();
    let code = tessera_core::code::Code::parse(&bought(&app, "o1", 50_000)).unwrap();
    let cards: Vec<String> = (0..64).map(|number| format!("card:{number}")).collect();
    cards.iter().for_each(|card| join(&app, card));
    let submissions = cards.iter().map(|card| {
        let (member, secrets) = (card.parse().unwrap(), &app.engine().context.secrets);
        Ok(Submission::claim(secrets, &app.program, member, &code, card, app.now()))
    });
    let answers = app.submit_together(submissions.collect());
    let codes = answers.iter().map(|answer| match answer {
        Answer::Done { .. } => "done",
        Answer::Refused(refusal) => refusal.code.as_str(),
        Answer::Unavailable => "unavailable",
    });
    let lost = codes.clone().filter(|code| *code == "already-claimed").count();
    assert_eq!((codes.filter(|code| *code == "done").count(), lost), (1, 63));
    let all: i64 = cards.iter().map(|card| app.available(card, "point")).sum();
    assert_eq!(all, 64 * 10 + 50);
}

#[test]
fn p6_without_claims_in_the_document_no_receipt_has_a_code() {
    let app = TestApp::new(SHOP);
    assert_eq!(app.send(&sale("o1", "", 50_000)).claim_code, None);
}
