//! F1 over HTTP: codes, joining by one, and what became of it.

use serde_json::json;
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

const SHOP: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: { after: P12M } } }
referral:
  qualifies: { trigger: purchase, when: event.total >= 50000 }
  gives: { referrer: [ { award: { currency: point, amount: 100 } } ], friend: [ { award: { currency: point, amount: 50 } } ] }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 10000 } } ] } }
";

#[test]
fn f1_a_friend_joins_by_a_code_and_both_are_paid() {
    let app = TestApp::new(SHOP);
    app.post("events", &event("enrol", "e-1", "card:1", "{}")).ok();
    let own = app.get("members/card:1/referral").ok();
    assert_eq!(app.get("members/card:1/referral").ok(), own, "the same whenever it is asked for");
    for (friend, by) in [("card:2", "code"), ("card:3", "token")] {
        let joins = json!({ "referred_by": own[by], "device": format!("phone of {friend}") }).to_string();
        app.post("events", &event("enrol", friend, friend, &joins)).ok();
    }
    app.post("events", &event("purchase", "o-1", "card:2", &data::sale("o-1", 60_000))).ok();
    app.relay();
    assert_eq!((app.available("card:1", "point"), app.available("card:2", "point")), (100, 56));
    let friends = app.get("members/card:1/referrals?limit=1").ok();
    assert_eq!((&friends["items"][0]["status"], &friends["next"]), (&json!("joined"), &json!("1")), "{friends}");
    let friends = app.get("members/card:1/referrals?limit=1&after=1").ok();
    assert_eq!((&friends["items"][0]["status"], &friends["next"]), (&json!("paid"), &json!(null)), "{friends}");
    assert!(!friends.to_string().contains("card:"), "{friends}");
    // Of a device only a keyed hash is kept.
    let kept = app.get("members/card:2/events").ok().to_string();
    assert!(!kept.contains("phone of"), "{kept}");
    let wrong = event("enrol", "e-9", "card:9", r#"{ "referred_by": "ABCDEFGHJK" }"#);
    app.post("events", &wrong).problem(422, "unknown-referral-code");
}
