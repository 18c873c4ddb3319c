//! Benefits at the checkout: what a member has, and its use.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, items, once, sale};

/// Gold from 100 points: two free deliveries a month from 300,000 on, and a lounge without end.
const SHOP: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
tiers:
  club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, name: { en: Gold, vi: Vàng }, at: 100, benefits: [delivery, lounge] } ] }
benefits:
  delivery: { name: { en: Free delivery, vi: Giao hàng miễn phí }, text: Twice a month, kind: free_shipping, per: { month: 2 }, when: event.total >= 300000 }
  lounge: { name: Lounge }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
";

fn gold() -> TestApp {
    let app = TestApp::new(SHOP);
    app.post("events", &sale("o-1", "card:1", 100_000)).ok();
    app
}

fn using(app: &TestApp, benefit: &str, key: &str, body: &Value) -> Reply {
    once(app, "POST", &format!("members/card:1/entitlements/{benefit}/use"), key).json(body)
}

fn delivery(app: &TestApp, query: &str) -> Value {
    let list = app.get(&format!("members/card:1/entitlements{query}")).ok();
    items(&list).iter().find(|item| item["benefit"] == "delivery").cloned().unwrap_or_default()
}

#[test]
fn a_checkout_asks_what_a_member_has() {
    let app = gold();
    let list =
        call(&app, "GET", "members/card:1/entitlements?total=300000").header("accept-language", "vi").send("").ok();
    let found = &items(&list)[0];
    assert_eq!(
        (&found["benefit"], &found["kind"], &found["name"], &found["text"]),
        (&json!("delivery"), &json!("free_shipping"), &json!("Giao hàng miễn phí"), &json!("Twice a month"))
    );
    assert_eq!(
        found["from"][0],
        json!({ "by": "tier", "ladder": "club", "level": "gold", "until": "2027-12-31T17:00:00Z" })
    );
    assert_eq!(found["last_day"], "2027-12-31");
    assert_eq!(found["uses"], json!([{ "window": "month", "most": 2, "used": 0, "left": 2, "next": "2026-04-01" }]));
    assert_eq!((&found["usable"], &found["refused"]), (&json!(true), &Value::Null));
    assert_eq!(items(&list)[1]["benefit"], "lounge");
}

#[rstest]
#[case::too_little("?total=299999", "benefit-not-here")]
#[case::not_said("", "benefit-needs-field")]
fn a_condition_that_does_not_hold_says_so(#[case] query: &str, #[case] code: &str) {
    let found = delivery(&gold(), query);
    assert_eq!((&found["usable"], found["refused"]["code"].as_str()), (&json!(false), Some(code)));
}

#[rstest]
#[case("?total=much", "total")]
#[case("?totl=1", "totl")]
#[case("?public_at=soon", "public_at")]
fn what_is_asked_with_is_checked(#[case] query: &str, #[case] named: &str) {
    let problem = gold().get(&format!("members/card:1/entitlements{query}")).problem(400, "invalid-request");
    assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
}

#[test]
fn a_benefit_is_used_once_under_a_key_and_refused_with_the_numbers_when_used_up() {
    let app = gold();
    let order = json!({ "order_id": "o-2", "total": "350000" });
    let first = using(&app, "delivery", "u-1", &order).ok();
    assert_eq!((&first["effects"][0]["type"], &first["effects"][0]["left"]), (&json!("benefit_used"), &json!(1)));
    let again = using(&app, "delivery", "u-1", &order).ok();
    assert_eq!((&again["status"], &again["event_id"]), (&json!("duplicate"), &first["event_id"]));
    using(&app, "delivery", "u-2", &order).ok();
    let refused = using(&app, "delivery", "u-3", &order).problem(409, "benefit-used-up");
    assert_eq!(refused["detail"], "2 of 2 delivery are used this month, next from 2026-04-01");
    assert_eq!((&refused["used"], &refused["most"], &refused["next"]), (&json!(2), &json!(2), &json!("2026-04-01")));
    let back = once(&app, "POST", "members/card:1/entitlements/delivery/return", "b-1");
    back.json(&json!({ "use": first["event_id"] })).ok();
    assert_eq!(delivery(&app, "?total=300000")["uses"][0]["left"], 1);
    using(&app, "delivery", "u-4", &order).ok();
}

#[test]
fn a_returned_order_gives_its_use_back() {
    let app = gold();
    app.post("events", &sale("o-2", "card:1", 350_000)).ok();
    using(&app, "delivery", "u-1", &json!({ "order_id": "o-2", "total": 350_000 })).ok();
    assert_eq!(delivery(&app, "")["uses"][0]["left"], 1);
    app.post("events", &event("return", "b-1", "card:1", &data::back_all("o-2"))).ok();
    assert_eq!(delivery(&app, "")["uses"][0]["left"], 2);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let app = gold();
    app.post("events", &sale("o-9", "card:2", 1_000)).ok();
    using(&app, "sauna", "u-1", &json!({})).problem(404, "unknown-benefit");
    using(&app, "Not%20a%20name", "u-1", &json!({})).problem(404, "unknown-benefit");
    using(&app, "delivery", "u-1", &json!({})).problem(422, "benefit-needs-field");
    using(&app, "delivery", "u-1", &json!({ "totl": 1 })).problem(400, "invalid-json");
    once(&app, "POST", "members/card:2/entitlements/lounge/use", "u-1").send("").problem(409, "benefit-not-held");
    once(&app, "POST", "members/card:3/entitlements/lounge/use", "u-1").send("").problem(404, "unknown-member");
    once(&app, "POST", "members/card:1/entitlements/lounge/use", "u-1").send("").ok();
    let foreign = using(&app, "lounge", "u-2", &json!({})).ok();
    let back = once(&app, "POST", "members/card:2/entitlements/lounge/return", "b-1");
    back.json(&json!({ "use": foreign["event_id"] })).problem(404, "unknown-benefit-use");
}

#[test]
fn every_benefit_is_listed_in_every_language_with_who_has_it() {
    let list = gold().get("benefits").ok();
    let names: Vec<&Value> = items(&list).iter().map(|item| &item["id"]).collect();
    assert_eq!(names, ["delivery", "lounge"]);
    let delivery = &items(&list)[0];
    assert_eq!(delivery["name"], json!({ "en": "Free delivery", "vi": "Giao hàng miễn phí" }));
    assert_eq!((&delivery["per"], &delivery["when"]), (&json!({ "month": 2 }), &json!("event.total >= 300000")));
    assert_eq!(
        delivery["levels"],
        json!([{ "ladder": "club", "level": "gold", "name": { "en": "Gold", "vi": "Vàng" } }])
    );
}
