//! Paid membership over HTTP: joined, renewed, cancelled, paid back.

use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp, event};

use crate::common::{items, once, sale};

const SHOP: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
benefits: { delivery: { name: Delivery, per: { month: 2 }, worth: 15000 } }
membership: { plans: { plus: { name: { en: Plus, vi: Hội viên }, fee: 365000, period: P1Y, grace: P14D, trial: P30D, benefits: [delivery] } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
";

fn app() -> TestApp {
    let app = TestApp::new(SHOP);
    app.post("events", &sale("o-1", "card:1", 1_000)).ok();
    app
}

fn join(app: &TestApp, key: &str, body: &Value) -> Reply {
    once(app, "POST", "members/card:1/memberships", key).json(body)
}

fn club(app: &TestApp) -> Value {
    items(&app.get("members/card:1/memberships").ok())[0].clone()
}

#[test]
fn s1_a_fee_is_paid_once_under_its_key_and_lasts_to_the_end_of_its_period() {
    let app = app();
    let body = json!({ "plan": "plus", "amount": "365000", "reference": "pay-1" });
    let joined = join(&app, "f-1", &body).ok();
    assert_eq!((&joined["effects"][0]["type"], &joined["effects"][0]["plan"]), (&json!("club_joined"), &json!("plus")));
    assert_eq!(join(&app, "f-1", &body).ok()["status"], "duplicate");
    let told = club(&app);
    assert_eq!(
        (&told["status"], &told["last_day"], &told["name"]),
        (&json!("paid"), &json!("2027-03-01"), &json!("Plus"))
    );
    assert_eq!((&told["fee"], &told["days_left"], &told["renews"]), (&json!("365000"), &json!(365), &json!(true)));
    let list = app.get("members/card:1/entitlements").ok();
    assert_eq!(items(&list)[0]["from"][0]["by"], "club");
    app.set_clock("2027-03-02T00:00");
    assert_eq!(club(&app)["status"], "grace");
    app.set_clock("2027-03-16T00:00");
    assert_eq!(club(&app)["status"], "ended");
    assert!(items(&app.get("members/card:1/entitlements").ok()).is_empty());
    app.run_scheduler();
    assert_eq!(items(&app.get("members/card:1/events").ok())[0]["type"], "membership-end");
}

#[test]
fn s1_a_payment_system_sends_fees_as_events() {
    let app = app();
    app.post("events", &event("membership-fee", "f-1", "card:1", r#"{"plan": "plus", "amount": 365000}"#)).ok();
    assert_eq!(club(&app)["status"], "paid");
    app.post("events", &event("membership-payment-failed", "f-2", "card:1", r#"{"plan": "plus"}"#)).ok();
    assert_eq!(club(&app)["payment_failed"], true);
    let wrong = event("membership-fee", "f-3", "card:1", r#"{"plan": "gold"}"#);
    assert_eq!(app.post("events", &wrong).problem(404, "unknown-plan")["plans"], "plus");
    let odd = event("membership-fee", "f-4", "card:2", r#"{"plan": "plus", "amount": 1.5}"#);
    app.post("events", &odd).problem(422, "no-such-money");
}

#[test]
fn s1_a_refund_is_quoted_with_its_calculation_and_done() {
    let app = app();
    join(&app, "f-1", &json!({ "plan": "plus" })).ok();
    once(&app, "POST", "members/card:1/entitlements/delivery/use", "u-1").send("").ok();
    app.set_clock("2026-05-01T09:00");
    let quote = app.get("members/card:1/memberships/plus/refund").ok();
    assert_eq!(
        (&quote["days_left"], &quote["in_proportion"], &quote["refund"]),
        (&json!(304), &json!("304000"), &json!("289000"))
    );
    assert_eq!(
        quote["words"],
        "304 of 365 days of 365000: 304000, rounded down; less 1 × 15000 for delivery; 289000 back"
    );
    let done = once(&app, "POST", "members/card:1/memberships/plus/refund", "r-1").send("").ok();
    assert_eq!(
        (&done["effects"][0]["type"], &done["effects"][0]["money"]),
        (&json!("club_refunded"), &json!("289000"))
    );
    assert_eq!(done["effects"][0]["words"], quote["words"]);
    once(&app, "POST", "members/card:1/memberships/plus/refund", "r-2").send("").problem(409, "nothing-to-refund");
}

#[test]
fn s1_a_membership_is_cancelled_and_a_trial_is_had_once() {
    let app = app();
    once(&app, "POST", "members/card:1/memberships/plus/cancel", "c-0").send("").problem(409, "not-in-club");
    join(&app, "t-1", &json!({ "plan": "plus", "trial": true })).ok();
    assert_eq!((&club(&app)["status"], &club(&app)["tried"]), (&json!("trial"), &json!(true)));
    once(&app, "POST", "members/card:1/memberships/plus/cancel", "c-1").json(&json!({ "at_once": true })).ok();
    assert_eq!(club(&app)["status"], "ended");
    join(&app, "t-2", &json!({ "plan": "plus", "trial": true })).problem(409, "trial-taken");
    join(&app, "t-3", &json!({ "plan": "plus", "trial": true, "amount": 1 })).problem(400, "invalid-request");
    join(&app, "t-4", &json!({ "plan": "gold" })).problem(404, "unknown-plan");
}
