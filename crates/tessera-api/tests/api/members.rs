//! Members: joining, looking, changing.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::event;

use crate::common::{app, cups, items, once, sale};

fn minh() -> Value {
    json!({ "name": "Nguyễn Thị Minh", "phone": "+84 901 234 567", "identifiers": ["card:4711"], "birthday": "1990-02-28", "language": "vi" })
}

#[test]
fn a_member_joins_and_is_shown() {
    let app = app();
    let reply = once(&app, "POST", "members", "m-1").json(&minh());
    assert_eq!(reply.status, 201);
    let outcome = reply.ok();
    assert_eq!(outcome["status"], "applied");
    let member = app.member("phone:+84901234567");
    assert_eq!(member["id"], outcome["member"]);
    assert_eq!(member["identifiers"], json!(["phone:+84901234567", "card:4711"]));
    assert_eq!(member["profile"], json!({ "name": "Nguyễn Thị Minh", "phone": "+84 901 234 567", "language": "vi" }));
    assert_eq!(member["joined_at"], "2026-03-02T03:00:00Z");
    assert_eq!(member["balances"]["point"]["available"], 10);
    assert_eq!(member["tiers"][0]["level"], "blue");
    assert_eq!((&member["purchases"], &member["spend"]), (&json!(0), &json!("0")));
    for name in ["mem", "card:4711"] {
        let name = if name == "mem" { outcome["member"].as_str().unwrap() } else { name };
        assert_eq!(app.member(name), member);
    }
}

#[test]
fn joining_is_done_once_under_its_key() {
    let app = app();
    let first = once(&app, "POST", "members", "m-1").json(&minh()).ok();
    let again = once(&app, "POST", "members", "m-1").json(&minh());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(
        (again.json()["member"].clone(), again.json()["status"].clone()),
        (first["member"].clone(), json!("duplicate"))
    );
    once(&app, "POST", "members", "m-1")
        .json(&json!({ "phone": "+84900000000" }))
        .problem(409, "idempotency-key-reused");
    once(&app, "POST", "members", "m-2").json(&minh()).problem(409, "already-enrolled");
    let other = json!({ "identifiers": ["card:1"], "email": "a@example.vn", "phone": "+84901234567" });
    once(&app, "POST", "members", "m-3").json(&other);
    assert_eq!(app.get("members").ok()["items"].as_array().unwrap().len(), 1);
}

#[rstest]
#[case::no_name(json!({ "name": "Minh" }), 400, "invalid-request")]
#[case::an_unknown_field(json!({ "phone": "+84901234567", "nickname": "M" }), 400, "invalid-json")]
#[case::a_wrong_birthday(json!({ "phone": "+84901234567", "birthday": "30-02" }), 400, "invalid-event")]
#[case::a_wrong_identifier(json!({ "identifiers": ["4711"] }), 400, "invalid-event")]
#[case::a_number(json!({ "phone": 84901234567_i64 }), 400, "invalid-json")]
fn joining_needs_a_name_that_can_be_read(#[case] body: Value, #[case] status: u16, #[case] code: &str) {
    let app = app();
    once(&app, "POST", "members", "m-1").json(&body).problem(status, code);
    assert_eq!(items(&app.get("members").ok()).len(), 0);
}

#[rstest]
#[case::joining("POST", "members")]
#[case::changing("PATCH", "members/card:1")]
#[case::adjusting("POST", "adjustments")]
fn a_write_without_a_natural_id_needs_a_key(#[case] method: &str, #[case] path: &str) {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    let body =
        if path == "adjustments" { crate::common::adjustment("card:1", 5) } else { json!({ "phone": "+84901234567" }) };
    let problem = crate::common::call(&app, method, path).json(&body).problem(400, "invalid-request");
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
    let problem = once(&app, method, path, "").json(&body).problem(400, "invalid-request");
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
}

#[test]
fn a_member_is_found_by_an_identifier() {
    let app = app();
    once(&app, "POST", "members", "m-1").json(&minh()).ok();
    let found = app.get("members?identifier=phone:%2B84901234567").ok();
    assert_eq!(items(&found).len(), 1);
    assert_eq!(found["next"], Value::Null);
    assert!(items(&app.get("members?identifier=phone:%2B84900000000").ok()).is_empty());
    app.get("members?identifier=4711").problem(400, "invalid-request");
}

#[test]
fn a_member_is_changed_field_by_field() {
    let app = app();
    once(&app, "POST", "members", "m-1").json(&minh()).ok();
    once(&app, "PATCH", "members/card:4711", "m-2").json(&json!({ "name": "Minh Khai", "email": "m@example.vn" })).ok();
    let member = app.member("email:m@example.vn");
    assert_eq!((&member["profile"]["name"], &member["profile"]["language"]), (&json!("Minh Khai"), &json!("vi")));
    once(&app, "PATCH", "members/card:999", "m-3").json(&json!({ "name": "x" })).problem(404, "unknown-member");
    once(&app, "POST", "members", "m-4").json(&json!({ "phone": "+84900000000" })).ok();
    let taken = once(&app, "PATCH", "members/phone:+84900000000", "m-5").json(&json!({ "email": "M@Example.VN" }));
    assert_eq!(taken.problem(409, "identifier-taken")["kind"], "email");
}

/// Everything that can be asked about one member.
const PARTS: [&str; 7] = ["balances", "entries", "lots", "events", "vouchers", "tiers", "entitlements"];

#[rstest]
#[case::a_card("card:9", 404)]
#[case::an_id("mem_00000000000000000000000000", 404)]
#[case::nonsense("9", 400)]
#[case::a_broken_id("mem_x", 400)]
fn what_an_unknown_member_has_is_not_found(#[case] member: &str, #[case] status: u16) {
    let app = app();
    let code = if status == 404 { "unknown-member" } else { "invalid-request" };
    app.get(&format!("members/{member}")).problem(status, code);
    for part in PARTS {
        app.get(&format!("members/{member}/{part}")).problem(status, code);
    }
}

#[test]
fn the_shadow_of_a_guest_s_order_is_nobody() {
    let app = app();
    app.post("events", &sale("r-1", "", 5_000)).ok();
    let rows = app.query("SELECT member FROM member");
    let shadow = tessera_core::id::MemberId::from_slice(rows[0][0].bytes().unwrap()).unwrap().to_string();
    for part in PARTS {
        app.get(&format!("members/{shadow}/{part}")).problem(404, "unknown-member");
    }
    let sale = sale("r-2", &shadow, 5_000);
    app.post("events", &sale).problem(404, "unknown-member");
}

#[test]
fn everything_a_member_has_is_shown() {
    let app = app();
    app.post("events", &cups("o-1", "card:1", 5)).ok();
    app.post("events", &event("review", "r-2", "card:1", r#"{"order_id": "o-1", "stars": 5}"#)).ok();
    let part = |name: &str| app.get(&format!("members/card:1/{name}")).ok();
    assert_eq!(part("balances"), app.member("card:1")["balances"]);
    assert_eq!(part("balances")["point"]["available"], 213);
    let lots = part("lots");
    let lot = &items(&lots)[0];
    assert_eq!(
        (&lot["currency"], &lot["amount"], &lot["state"], &lot["last_day"]),
        (&json!("point"), &json!(213), &json!("active"), &json!("2027-03-02"))
    );
    let tiers = part("tiers");
    let tier = &items(&tiers)[0];
    assert_eq!((&tier["ladder"], &tier["level"], &tier["next_level"]), (&json!("club"), &json!("gold"), &Value::Null));
    let entitlements = part("entitlements");
    let told: Vec<(&Value, &Value)> =
        items(&entitlements).iter().map(|item| (&item["benefit"], &item["from"][0]["by"])).collect();
    assert_eq!(told, [(&json!("lounge"), &json!("tier")), (&json!("parking"), &json!("grant"))]);
    let vouchers = crate::common::call(&app, "GET", "members/card:1/vouchers")
        .header("accept-language", "vi-VN,vi;q=0.9")
        .send("")
        .ok();
    let voucher = &items(&vouchers)[0];
    assert_eq!(
        (&voucher["voucher"], &voucher["name"], &voucher["state"]),
        (&json!("cup"), &json!("Một ly miễn phí"), &json!("open"))
    );
    let kinds: Vec<Value> = items(&part("events")).iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds.first(), Some(&json!("review")), "newest first");
    assert!(kinds.contains(&json!("purchase")));
}
