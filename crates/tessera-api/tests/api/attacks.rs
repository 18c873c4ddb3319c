//! What is tried at tills and on phones (capability 104), each attempted here, and stopped or caught in a case.

use serde_json::{Value, json};
use tessera_engine::access::Scope;
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::shop::json::sale as data;

use crate::common::{call, items, once, sale};

/// A shop that guards itself as `docs/abuse.md` says.
const GUARDED: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
claims: { within: P30D, per_member: { day: 3 } }
proof: { spending_above: { point: 50 } }
staff: { own_purchases: none, flag: true }
vouchers: { tea: { name: Tea, gives: { amount_off: 10000 } } }
velocity:
  staff-claims: { what: claim, per: staff, window: P1D, count: 2 }
  device-claims: { what: claim, per: device, window: P1D, count: 4, action: refuse }
  spending: { what: redemption, per: member, window: PT1H, count: 2, action: hold }
  numbers-tried: { what: lookup, per: key, window: PT1H, count: 20, action: refuse }
";

fn cases(app: &TestApp, rule: &str) -> Vec<Value> {
    items(&app.get(&format!("cases?rule={rule}")).ok()).clone()
}

/// A guest's purchase that somebody rang up, and the code on its receipt.
fn left_receipt(app: &TestApp, order: &str, staff: &str) -> String {
    let mut event = sale(order, "", 60_000);
    event["data"]["staff"] = staff.into();
    app.send(&event).claim_code.unwrap().to_string()
}

fn spend(app: &TestApp, key: &str, member: &str, points: i64, proof: Option<Value>) -> Reply {
    let mut body = json!({ "member": member, "currency": "point", "points": points, "capture": true });
    if let Some(proof) = proof {
        body["proof"] = proof;
    }
    once(app, "POST", "redemptions", key).json(&body)
}

fn join(app: &TestApp, key: &str, body: &Value) -> String {
    once(app, "POST", "members", key).json(body).ok()["member"].as_str().unwrap().to_owned()
}

#[test]
fn guest_receipts_harvested_by_staff() {
    let app = TestApp::new(GUARDED);
    join(&app, "m-1", &json!({ "identifiers": ["staff:an", "card:1"] }));
    for number in 2..=4 {
        join(&app, &format!("m-{number}"), &json!({ "identifiers": [format!("card:{number}")] }));
    }
    let claim = |key: &str, card: &str, code: &str| {
        let call = once(&app, "POST", "claims", key).header("tessera-staff", "an").header("tessera-device", "till-3");
        call.json(&json!({ "member": card, "code": code }))
    };
    // Their own sale to their own card: refused.
    let own = left_receipt(&app, "o-0", "an");
    claim("c-0", "card:1", &own).problem(422, "claim-of-own-sale");
    // A colleague's sales: at most three a day for one card, whatever the rules of staff say.
    let codes: Vec<String> = (1..=7).map(|number| left_receipt(&app, &format!("o-{number}"), "binh")).collect();
    for (number, code) in codes[..3].iter().enumerate() {
        claim(&format!("c-{number}b"), "card:1", code).ok();
    }
    claim("c-3", "card:1", &codes[3]).problem(422, "claimed-enough");
    // Cards of friends: caught in a case by staff, and stopped by the till it is done at.
    claim("c-4", "card:2", &codes[3]).ok();
    let stopped = claim("c-5", "card:3", &codes[4]).problem(409, "too-often");
    assert_eq!(stopped["rule"], "device-claims");
    let found = cases(&app, "staff-claims");
    assert_eq!((&found[0]["subject"], &found[0]["used"], &found[0]["hits"]), (&json!("an"), &json!(4), &json!(2)));
    let of_device = cases(&app, "device-claims");
    assert!(!of_device[0].to_string().contains("till-3"), "a device is a keyed hash");
    // The same receipt twice, or ringing one's own card up, gives nothing.
    claim("c-6", "card:2", &codes[0]).problem(409, "already-claimed");
    let mut own = sale("o-9", "card:1", 60_000);
    own["data"]["staff"] = "an".into();
    let before = app.available("card:1", "point");
    app.post("events", &own).ok();
    assert_eq!(app.available("card:1", "point"), before);
    assert_eq!(cases(&app, "own-purchases").len(), 1);
}

#[test]
fn borrowed_phone_numbers() {
    let app = TestApp::new(GUARDED);
    app.post("events", &event("purchase", "r-1", "phone:+84901234567", &data("r-1", 900_000))).ok();
    // Whoever knows a number may earn for it; spending more than a little needs what only the member has.
    app.post("events", &event("purchase", "r-2", "phone:+84901234567", &data("r-2", 60_000))).ok();
    spend(&app, "k-1", "phone:+84901234567", 51, None).problem(403, "spending-proof-needed");
    spend(&app, "k-2", "phone:+84901234567", 51, Some(json!({ "one_time_code": "000000" })))
        .problem(403, "proof-wrong");
    // In small parts it is held from the third on, and somebody looks at it.
    spend(&app, "k-3", "phone:+84901234567", 50, None).ok();
    spend(&app, "k-4", "phone:+84901234567", 50, None).ok();
    spend(&app, "k-5", "phone:+84901234567", 50, None).problem(403, "second-person-needed");
    let case = &cases(&app, "spending")[0];
    assert_eq!((&case["hits"], &case["state"]), (&json!(1), &json!("open")));
    let shown = app.get(&format!("cases/{}", case["id"].as_str().unwrap())).ok();
    assert!(!shown.to_string().contains("+84901234567"), "nobody's number: {shown}");
    let freeze = shown["do"]["freeze"].as_str().unwrap();
    once(&app, "POST", freeze, "f-1").json(&json!({ "reason": case["id"] })).ok();
    app.set_clock("2026-03-02T12:00");
    spend(&app, "k-6", "phone:+84901234567", 10, None).problem(409, "member-frozen");
    app.post("events", &event("purchase", "r-3", "phone:+84901234567", &data("r-3", 10_000))).ok();
    assert_eq!(app.member("phone:+84901234567")["frozen"]["quarantined"], false);
    let thaw = freeze.replace("/freeze", "/thaw");
    once(&app, "POST", &thaw, "f-2").json(&json!({ "reason": "was-the-member" })).ok();
    spend(&app, "k-7", "phone:+84901234567", 10, None).ok();
    once(&app, "POST", &thaw, "f-3").json(&json!({ "reason": "again" })).problem(409, "member-not-frozen");
    once(&app, "POST", freeze, "f-4").json(&json!({ "reason": "An told me" })).problem(400, "invalid-request");
    // Who tries numbers to see which are members' is stopped.
    let till = app.new_key(&[Scope::ReadMembers]);
    let look = |number: usize| {
        call(&app, "GET", &format!("members/phone:+849012345{number:02}")).key(&till.key).send("").status.as_u16()
    };
    let told: Vec<u16> = (0..22).map(look).collect();
    assert_eq!((told.iter().filter(|told| **told == 404).count(), &told[20..]), (20, &[409, 409][..]));
    assert_eq!(cases(&app, "numbers-tried").len(), 1);
}

#[test]
fn account_takeover() {
    let app = TestApp::new(GUARDED);
    let an =
        join(&app, "m-1", &json!({ "phone": "+84901234567", "identifiers": ["card:1"], "birthday": "1990-02-28" }));
    app.send(&sale("o-1", "card:1", 100_000));
    let change = |key: &str, body: Value| once(&app, "POST", &format!("members/{an}/identifiers"), key).json(&body);
    let theirs = json!({ "identifier": "phone:+84900000009", "replaces": "phone:+84901234567" });
    // Another number without the code that was sent to it: by the way for names, and by the one for profiles.
    change("i-1", theirs.clone()).problem(422, "proof-needed");
    let patched = once(&app, "PATCH", &format!("members/{an}"), "p-1").json(&json!({ "phone": "+84900000009" }));
    assert_eq!(patched.problem(422, "proof-needed")["kind"], "phone");
    let profile = event("profile", "p-2", "card:1", r#"{"phone": "+84900000009"}"#);
    app.post("events", &profile).problem(422, "proof-needed");
    once(&app, "PATCH", &format!("members/{an}"), "p-3").json(&json!({ "phone": "+84901234567", "name": "An" })).ok();
    app.get("members/phone:+84900000009").problem(404, "unknown-member");
    // After a year of silence the number may be theirs: the code alone opens nothing.
    app.set_clock("2027-06-01T10:00");
    let mut proven = theirs;
    proven["proof"] = true.into();
    change("i-2", proven.clone()).problem(422, "second-fact-needed");
    proven["second"] = "birthday:12-24".into();
    change("i-3", proven).problem(422, "second-fact-needed");
    // Whoever has the number now gets an account of their own; the old one is in quarantine with everything it holds.
    let gone = "members/phone:+84901234567/identifiers/phone:+84901234567?reason=reused";
    once(&app, "DELETE", gone, "d-1").send("").ok();
    let fresh = join(&app, "m-2", &json!({ "phone": "+84901234567" }));
    assert_ne!(fresh, an);
    assert_eq!(app.available(&fresh, "point"), 0);
    let seen = app.member(&an);
    assert_eq!((&seen["frozen"]["quarantined"], &seen["balances"]["point"]["available"]), (&json!(true), &json!(100)));
    spend(&app, "k-1", &an, 10, None).problem(409, "member-frozen");
    // The member comes back with what only they know, and goes on.
    let back = json!({ "identifier": "phone:+84900000001", "proof": true });
    change("i-4", back.clone()).problem(422, "second-fact-needed");
    let mut known = back;
    known["second"] = "birthday:02-28".into();
    change("i-5", known).ok();
    spend(&app, "k-2", &an, 10, None).ok();
    assert!(app.member(&an)["frozen"].is_null());
}

#[test]
fn replayed_qr() {
    let app = TestApp::new(GUARDED);
    app.post("events", &event("purchase", "r-1", "card:4711", &data("r-1", 900_000))).ok();
    let shown = app.get("members/card:4711/card").ok();
    let picture = || Some(json!({ "card_code": shown["code"] }));
    spend(&app, "k-1", "card:4711", 60, picture()).ok();
    // The same picture within its own 30 seconds, and in the step behind, which is taken for clocks that differ.
    spend(&app, "k-2", "card:4711", 60, picture()).problem(403, "proof-wrong");
    app.clock.set(app.now().plus_seconds(31));
    spend(&app, "k-3", "card:4711", 60, picture()).problem(403, "proof-wrong");
    // Another member's picture opens nothing here.
    app.post("events", &event("purchase", "r-2", "card:1", &data("r-2", 900_000))).ok();
    let other = app.get("members/card:1/card").ok();
    spend(&app, "k-4", "card:4711", 60, Some(json!({ "card_code": other["code"] }))).problem(403, "proof-wrong");
    // Sent again under its own key it is the same redemption, and spends nothing more.
    let again = spend(&app, "k-1", "card:4711", 60, picture());
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(app.available("card:4711", "point"), 840);
}

#[test]
fn code_guessing() {
    let app = TestApp::new(GUARDED);
    app.post("events", &event("purchase", "r-1", "card:1", &data("r-1", 900_000))).ok();
    // Codes of a card: after five no more are looked at, not even the right one.
    for guess in 0..5 {
        let wrong = Some(json!({ "one_time_code": format!("{guess:06}") }));
        spend(&app, &format!("g-{guess}"), "card:1", 60, wrong).problem(403, "proof-wrong");
    }
    let right = Some(json!({ "card_code": app.get("members/card:1/card").ok()["code"] }));
    spend(&app, "g-6", "card:1", 60, right).problem(429, "proof-blocked");
    // Codes of vouchers: after so many wrong ones this key learns nothing more.
    let till = app.new_key(&[Scope::WriteEvents, Scope::WriteRedemptions]);
    let guess = |number: u32| {
        let code = tessera_core::code::Code::from_entropy([u8::try_from(number % 250).unwrap(); 16]).to_string();
        let path = format!("vouchers/{code}/redeem");
        let call = once(&app, "POST", &path, &format!("v-{number}")).key(&till.key);
        call.json(&json!({ "member": "card:1" })).status.as_u16()
    };
    let told: Vec<u16> = (0..210).map(guess).collect();
    assert_eq!(told.iter().filter(|told| **told == 404).count(), 200, "as many as a key may be wrong");
    assert_eq!(told[209], 429);
    // Codes of receipts are as long, and a wrong one says nothing.
    let nobodys = tessera_core::code::Code::from_entropy([9; 16]).to_string();
    once(&app, "POST", "claims", "c-1")
        .json(&json!({ "member": "card:1", "code": nobodys }))
        .problem(404, "unknown-claim-code");
}
