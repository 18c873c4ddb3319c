//! Cases of velocity rules, over HTTP: opened by what was more, taken by one, closed with a verdict.

use serde_json::{Value, json};
use tessera_engine::access::Scope;
use tessera_testkit::app::{Reply, TestApp};

use crate::common::{SHOP, call, items, once, sale};

const RULES: &str = "velocity:
  staff-claims: { what: claim, per: staff, window: P1D, count: 2 }
  spending: { what: redemption, per: member, window: P1D, count: 2, action: hold }
  lookups: { what: lookup, per: key, window: PT1H, count: 3, action: refuse }
  cards: { what: gift_card, per: key, window: P1D, money: 500000, action: refuse }
  gifts: { what: adjustment, per: staff, window: P1D, points: { point: 100 } }
gift_cards: {}
claims: { within: P30D, per_member: { day: 50 } }
";

fn app() -> TestApp {
    TestApp::new(&format!("{RULES}{SHOP}"))
}

fn spend(app: &TestApp, key: &str) -> Reply {
    let body = json!({ "member": "card:1", "currency": "point", "points": 1, "capture": true });
    once(app, "POST", "redemptions", key).header("tessera-staff", "S-1").json(&body)
}

fn claim(app: &TestApp, number: usize, staff: &str) -> Value {
    let code = app.send(&sale(&format!("g-{number}"), "", 10_000)).claim_code.unwrap();
    let body = json!({ "member": "card:1", "code": code.as_str() });
    once(app, "POST", "claims", &format!("c-{number}")).header("tessera-staff", staff).json(&body).ok()
}

fn cases(app: &TestApp, query: &str) -> Vec<Value> {
    items(&app.get(&format!("cases{query}")).ok()).clone()
}

#[test]
fn a_flag_opens_one_case_for_all_of_a_window_and_lets_everything_pass() {
    let app = app();
    // Low enough for the base level: a replay takes a claim for a purchase of its own time.
    app.send(&sale("o-1", "card:1", 5_000));
    let claimed: Vec<Value> = (0..4).map(|number| claim(&app, number, "S-1")).collect();
    claim(&app, 9, "S-2");
    let all = cases(&app, "?state=open");
    let [case] = all.as_slice() else { panic!("one case, not {all:?}") };
    assert_eq!(
        (&case["rule"], &case["per"], &case["subject"]),
        (&json!("staff-claims"), &json!("staff"), &json!("S-1"))
    );
    assert_eq!((&case["most"], &case["used"], &case["hits"]), (&json!(2), &json!(4), &json!(2)));
    let path = format!("cases/{}", case["id"].as_str().unwrap());
    let shown = app.get(&path).ok();
    let events: Vec<&Value> = shown["commands"].as_array().unwrap().iter().map(|it| &it["event_id"]).collect();
    assert!(events.contains(&&claimed[2]["event_id"]) && events.contains(&&claimed[3]["event_id"]), "{shown}");
    assert!(shown["do"]["see"].as_str().unwrap().ends_with(case["member"].as_str().unwrap()));
    assert!(!shown.to_string().contains("card:"), "nobody's name: {shown}");
    // The next day has a case of its own.
    app.set_clock("2026-03-03T10:00");
    (10..13).for_each(|number| drop(claim(&app, number, "S-1")));
    assert_eq!(cases(&app, "?rule=staff-claims&subject=S-1").len(), 2);
    assert_eq!(cases(&app, "?subject=S-2").len(), 0);
    let page = app.get("cases?limit=1").ok();
    let rest = app.get(&format!("cases?limit=1&after={}", page["next"].as_str().unwrap())).ok();
    assert_eq!((items(&rest)[0]["id"].as_str(), &rest["next"]), (case["id"].as_str(), &Value::Null));
    app.get("cases?state=old").problem(400, "invalid-request");
}

#[test]
fn a_case_is_taken_by_one_and_closed_once() {
    let app = app();
    app.send(&sale("o-1", "card:1", 50_000));
    (0..3).for_each(|number| drop(claim(&app, number, "S-1")));
    let path = format!("cases/{}", cases(&app, "")[0]["id"].as_str().unwrap());
    let by = |step: &str, staff: &str| call(&app, "POST", &format!("{path}/{step}")).header("tessera-staff", staff);
    assert_eq!(by("take", "S-8").send("").ok()["state"], "taken");
    assert_eq!(by("take", "S-8").send("").ok()["state"], "taken", "asked twice");
    by("take", "S-9").send("").problem(409, "case-taken");
    by("close", "S-8").json(&json!({ "verdict": "guilty" })).problem(400, "invalid-request");
    by("allow", "S-8").send("").problem(409, "nothing-waits");
    let closed = by("close", "S-8").json(&json!({ "verdict": "abuse", "note": "till 3, every evening" })).ok();
    assert_eq!(
        (&closed["state"], &closed["verdict"], &closed["note"]),
        (&json!("closed"), &json!("abuse"), &json!("till 3, every evening"))
    );
    by("close", "S-9").json(&json!({ "verdict": "fine" })).problem(409, "case-closed");
    by("take", "S-9").send("").problem(409, "case-closed");
    // What comes later in a window that was judged is added, and opens nothing again.
    claim(&app, 4, "S-1");
    let shown = app.get(&path).ok();
    assert_eq!((&shown["state"], &shown["hits"]), (&json!("closed"), &json!(2)));
    assert_eq!(cases(&app, "?state=open").len(), 0);
    app.get("cases/case_none").problem(404, "unknown-case");
    let till = app.new_key(&[Scope::WriteEvents]);
    call(&app, "GET", "cases").key(&till.key).send("").problem(403, "forbidden");
}

#[test]
fn p6_what_is_held_passes_once_a_second_person_lets_it() {
    let app = app();
    app.send(&sale("o-1", "card:1", 50_000));
    spend(&app, "k-1").ok();
    spend(&app, "k-2").ok();
    let held = spend(&app, "k-3").problem(403, "second-person-needed");
    assert_eq!((&held["rule"], &held["most"], &held["used"]), (&json!("spending"), &json!(2), &json!(3)));
    let path = format!("cases/{}/allow", held["case"].as_str().unwrap());
    call(&app, "POST", &path).send("").problem(403, "same-person");
    let second = app.new_key(&[Scope::WriteCases]);
    let allow = |staff: &str| call(&app, "POST", &path).key(&second.key).header("tessera-staff", staff).send("");
    allow("S-1").problem(403, "same-person");
    allow("S-2").ok();
    allow("S-2").ok();
    assert_eq!(spend(&app, "k-3").problem(403, "second-person-needed")["case"], held["case"], "I1");
    spend(&app, "k-4").ok();
    spend(&app, "k-5").problem(403, "second-person-needed");
    let flagged = cases(&app, "?rule=spending");
    assert_eq!((flagged.len(), &flagged[0]["hits"]), (1, &json!(2)));
}

#[test]
fn who_looks_up_too_many_numbers_finds_no_more_until_the_hour_is_over() {
    let app = app();
    app.send(&sale("o-1", "phone:+84901234567", 50_000));
    let id = app.member("phone:+84901234567")["id"].as_str().unwrap().to_owned();
    for number in 0..2 {
        app.get(&format!("members/phone:+8490123456{number}")).problem(404, "unknown-member");
    }
    let stopped = app.get("members/phone:+84901234569").problem(409, "too-often");
    assert_eq!(stopped["rule"], "lookups");
    app.get("members?identifier=phone:%2B84901234567").problem(409, "too-often");
    app.get(&format!("members/{id}")).ok();
    let found = cases(&app, "?rule=lookups");
    assert_eq!((&found[0]["hits"], &found[0]["member"]), (&json!(2), &Value::Null));
    app.set_clock("2026-03-02T11:00");
    app.member("phone:+84901234567");
}

#[test]
fn money_on_gift_cards_and_points_by_hand_are_summed() {
    let app = app();
    let card = |key: &str, amount: i64| once(&app, "POST", "gift-cards", key).json(&json!({ "amount": amount }));
    card("g-1", 300_000).ok();
    card("g-2", 250_000).problem(409, "too-often");
    card("g-3", 200_000).ok();
    app.send(&sale("o-1", "card:1", 50_000));
    for (key, amount) in [("a-1", 60), ("a-2", -50)] {
        let body =
            json!({ "member": "card:1", "currency": "point", "amount": amount, "reason": "goodwill", "staff": "S-4" });
        once(&app, "POST", "adjustments", key).json(&body).ok();
    }
    let found = cases(&app, "?rule=gifts");
    assert_eq!((&found[0]["subject"], &found[0]["used"]), (&json!("S-4"), &json!(110)));
}

#[test]
fn p6_staff_who_buy_from_themselves_earn_what_the_document_says() {
    let app = TestApp::new(&format!("staff: {{ own_purchases: none, flag: true }}\n{SHOP}"));
    once(&app, "POST", "members", "m").json(&json!({ "identifiers": ["staff:an", "card:9"] })).ok();
    let rung = |order: &str, card: &str, staff: &str| {
        let mut event = sale(order, card, 50_000);
        event["data"]["staff"] = staff.into();
        app.post("events", &event).ok()
    };
    rung("o-1", "card:9", "an");
    assert_eq!(app.available("card:9", "point"), 10, "the welcome alone");
    rung("o-2", "card:9", "binh");
    rung("o-3", "card:8", "an");
    assert_eq!((app.available("card:9", "point"), app.available("card:8", "point")), (60, 60));
    let found = cases(&app, "");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["rule"], &found[0]["subject"], &found[0]["hits"]),
        (&json!("own-purchases"), &json!("an"), &json!(1))
    );
}
