//! `POST …/members/{id}/merge`, its preview and its undo.

use serde_json::json;
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{items, once};

const BEANS: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: { after: P12M } } }
tiers: { cup: { measure: { earned: bean }, levels: [ { id: paper, at: 0 }, { id: steel, at: 120 } ] } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

/// Two members, with 100 and 40 beans.
fn app() -> TestApp {
    let app = TestApp::new(BEANS);
    for (id, subject, total) in [("r-1", "card:1", 100_000), ("r-2", "card:2", 40_000)] {
        app.post("events", &event("purchase", id, subject, &data::sale(id, total))).ok();
    }
    app
}

#[test]
fn p1_a_preview_says_what_would_be_and_writes_nothing() {
    let app = app();
    let before = (app.member("card:1"), app.member("card:2"));
    let from = json!({ "from": "card:2" });
    let shown = once(&app, "POST", "members/card:1/merge?preview=true", "p-1").json(&from);
    assert_eq!(shown.status, 200, "{}", shown.body);
    let shown = shown.json();
    assert_eq!(shown["balances"]["bean"]["available"], 140, "{shown}");
    assert_eq!(shown["tiers"][0]["level"], "steel");
    assert_eq!((app.member("card:1"), app.member("card:2")), before);
    let done = once(&app, "POST", "members/card:1/merge", "p-1").json(&from);
    assert_eq!(done.status, 200, "{}", done.body);
    app.relay();
    let view = app.member("card:1");
    assert_eq!((&view["balances"], &view["tiers"][0]["level"]), (&shown["balances"], &shown["tiers"][0]["level"]));
}

#[test]
fn p1_a_preview_tells_what_reservations_it_would_void() {
    let app = app();
    let body = json!({ "member": "card:2", "currency": "bean", "points": 15 });
    let held = once(&app, "POST", "redemptions", "k-1").json(&body);
    let redemption = held.json()["redemption"]["id"].clone();
    let from = json!({ "from": "card:2" });
    let shown = once(&app, "POST", "members/card:1/merge?preview=true", "p-1").json(&from).json();
    let released = &shown["effects"][0];
    assert_eq!(
        (&released["type"], &released["amount"], &released["redemption"]),
        (&json!("released"), &json!(15), &redemption)
    );
    assert_eq!(shown["balances"]["bean"]["available"], 140);
    once(&app, "POST", "members/card:1/merge", "m-1").json(&from).ok();
    app.relay();
    let capture = format!("redemptions/{}/capture", redemption.as_str().unwrap());
    let late = once(&app, "POST", &capture, "c-1").json(&json!({}));
    assert_eq!(late.status, 409, "{}", late.body);
    assert!(late.json()["type"].as_str().unwrap().ends_with("redemption-closed"));
}

#[test]
fn p1_the_merged_one_is_found_and_tells_into_whom() {
    let app = app();
    let (one, two) = (app.member("card:1")["id"].clone(), app.member("card:2")["id"].clone());
    let two = two.as_str().unwrap();
    let from = json!({ "from": two, "reason": "the same person" });
    once(&app, "POST", "members/card:1/merge", "m-1").json(&from).ok();
    app.relay();
    let again = once(&app, "POST", "members/card:1/merge", "m-1").json(&from);
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, Some("true")));
    let view = app.get(&format!("members/{two}")).ok();
    assert_eq!((&view["id"], &view["merged_into"]), (&one, &one), "{view}");
    assert!(view["merged"][0]["undo_until"].is_string(), "{view}");
    let list = app.get("members/card:2/events").ok();
    assert_eq!(items(&list)[0]["type"], "merge-in");
    let own = app.get(&format!("members/{two}/events")).ok();
    assert_eq!(items(&own)[0]["type"], "merge");
    assert_eq!(items(&own)[0]["data"]["reason"], "the same person");
    let other = once(&app, "POST", "members/card:1/merge", "m-2").json(&from);
    assert_eq!(other.status, 422, "{}", other.body);
    assert!(other.json()["type"].as_str().unwrap().ends_with("merge-with-oneself"));
}

#[test]
fn p1_undo_answers_with_what_goes_back_and_what_stays() {
    let app = app();
    let from = json!({ "from": "card:2" });
    once(&app, "POST", "members/card:1/merge", "m-1").json(&from).ok();
    app.relay();
    let wish = json!({ "member": "card:1", "currency": "bean", "points": 120, "capture": true });
    assert!(once(&app, "POST", "redemptions", "r-1").json(&wish).status.is_success());
    let undone = once(&app, "POST", "members/card:1/merge/undo", "u-1").json(&from).ok();
    let kinds: Vec<_> = undone["effects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|effect| (effect["type"].as_str().unwrap(), effect["amount"].as_i64()))
        .collect();
    assert!(kinds.contains(&("sent", Some(20))) && kinds.contains(&("stays", Some(20))), "{kinds:?}");
    app.relay();
    assert_eq!((app.available("card:1", "bean"), app.available("card:2", "bean")), (0, 20));
    let again = once(&app, "POST", "members/card:1/merge/undo", "u-2").json(&from);
    assert!(again.json()["type"].as_str().unwrap().ends_with("not-merged"), "{}", again.body);
}

#[test]
fn p3_whoever_is_erased_leaves_no_birthday_of_those_they_were_merged_with() {
    let app = app();
    for (key, card) in [("b-1", "card:1"), ("b-2", "card:2")] {
        let id = app.member(card)["id"].as_str().unwrap().to_owned();
        once(&app, "PATCH", &format!("members/{id}"), key).json(&json!({ "birthday": "03-20" })).ok();
    }
    once(&app, "POST", "members/card:1/merge", "m-1").json(&json!({ "from": "card:2" })).ok();
    app.relay();
    let days = || app.count("SELECT count(*) FROM event WHERE record LIKE '%irthday\"%' OR payload LIKE '%irthday\"%'");
    assert!(days() > 1);
    let id = app.member("card:1")["id"].as_str().unwrap().to_owned();
    once(&app, "DELETE", &format!("members/{id}?mode=erase"), "e-1").send("").ok();
    app.relay();
    assert_eq!(days(), 0);
}
