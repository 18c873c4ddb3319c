//! `…/vouchers/{code}` and the lists of them.

use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, items, once};
use crate::lists::comes_in_pages;

const CAFE: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: never } }
events: { visit: { data: {} } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
  come-in: { trigger: visit, rules: [ { issue: { voucher: cup } } ] }
vouchers:
  cup: { gives: { free_item: { category: coffee } }, valid: P30D, name: { en: A cup, vi: Một ly }, text: { en: One small cup } }
";

fn app() -> TestApp {
    TestApp::new(CAFE)
}

fn visit(app: &TestApp, id: &str, subject: &str) -> String {
    let outcome = app.post("events", &event("visit", id, subject, "{}")).ok();
    outcome["effects"].as_array().unwrap().iter().find_map(|effect| effect["code"].as_str()).unwrap().to_owned()
}

fn cart() -> Value {
    json!({ "total": 150_000, "items": [{ "sku": "LATTE", "category": "coffee", "quantity": 2, "amount": 90_000 }, { "sku": "CAKE", "amount": 60_000 }] })
}

fn validate(app: &TestApp, code: &str, body: &Value) -> Reply {
    call(app, "POST", &format!("vouchers/{code}/validate")).json(body)
}

fn step(app: &TestApp, code: &str, step: &str, key: &str, body: &Value) -> Reply {
    once(app, "POST", &format!("vouchers/{code}/{step}"), key).json(body)
}

#[test]
fn v1_a_code_is_validated_line_by_line_and_nothing_is_written() {
    let app = app();
    let code = visit(&app, "v-1", "card:1");
    let found = validate(&app, &code.to_lowercase(), &json!({ "member": "card:1", "order": cart() })).ok();
    assert_eq!((&found["voucher"], &found["name"], &found["state"]), (&json!("cup"), &json!("A cup"), &json!("open")));
    assert_eq!(found["text"], "One small cup");
    assert_eq!(found["expires_on"], "2026-04-01");
    assert_eq!(found["discount"]["total"], "45000");
    assert_eq!(found["discount"]["lines"], json!([{ "line": "1", "amount": "45000" }]));
    assert_eq!(app.get(&format!("vouchers/{code}")).ok()["uses"], 0);
    let without = validate(&app, &code, &json!({ "member": "card:1" })).ok();
    assert_eq!(without["discount"], Value::Null);
    let nothing = json!({ "member": "card:1", "order": { "total": 1, "items": [{ "sku": "CAKE", "amount": 1 }] } });
    validate(&app, &code, &nothing).problem(422, "voucher-matches-nothing");
}

#[test]
fn v1_why_not_is_told_with_the_facts() {
    let app = app();
    let code = visit(&app, "v-1", "card:1");
    visit(&app, "v-2", "card:2");
    validate(&app, &code, &json!({ "member": "card:2" })).problem(409, "voucher-of-another-member");
    validate(&app, &code, &json!({ "member": "card:9" })).problem(404, "unknown-member");
    validate(&app, "TET2026", &json!({})).problem(404, "unknown-voucher");
    let typo = if code.starts_with('2') { code.replacen('2', "3", 1) } else { format!("2{}", &code[1..]) };
    validate(&app, &typo, &json!({})).problem(422, "voucher-mistyped");
    app.get(&format!("vouchers/{typo}")).problem(422, "voucher-mistyped");
    validate(&app, "x", &json!({})).problem(400, "invalid-request");
    app.set_clock("2026-04-02T00:00");
    let late = validate(&app, &code, &json!({ "member": "card:1" })).problem(422, "voucher-expired");
    assert_eq!((&late["voucher"], &late["expired_on"]), (&json!("cup"), &json!("2026-04-01")));
}

#[test]
fn v1_a_purchase_uses_its_vouchers_and_tells_what_they_took_off() {
    let app = app();
    let code = visit(&app, "v-1", "card:1");
    let purchase = data::sale_with(
        "o-1",
        &[("LATTE", "coffee", 2, 90_000)],
        &format!(", \"total\": 45000, \"discount\": 45000, \"vouchers\": [\"{code}\"]"),
    );
    let quoted = app.post("quotes", &event("purchase", "q-1", "card:1", &purchase)).ok();
    let outcome = app.post("events", &event("purchase", "o-1", "card:1", &purchase)).ok();
    let used = |outcome: &Value| {
        let effects = outcome["effects"].as_array().unwrap();
        effects.iter().find(|effect| effect["type"] == "voucher_redeemed").unwrap().clone()
    };
    assert_eq!(used(&quoted), used(&outcome));
    assert_eq!((&used(&outcome)["money"], &used(&outcome)["code"]), (&json!("45000"), &json!(code)));
    assert_eq!(outcome["balances"]["bean"]["available"], 45, "the total is what is paid");
    let listed = app.get("members/card:1/vouchers").ok();
    assert_eq!((&items(&listed)[0]["state"], &items(&listed)[0]["uses_left"]), (&json!("used"), &json!(0)));
    let again = data::sale_with("o-2", &[("LATTE", "coffee", 1, 45_000)], &format!(", \"vouchers\": [\"{code}\"]"));
    let refused = app.post("events", &event("purchase", "o-2", "card:1", &again)).problem(409, "voucher-used-up");
    assert_eq!((&refused["voucher"], &refused["most"]), (&json!("cup"), &json!(1)));
    let twice = data::sale_with("o-3", &[("A", "x", 1, 1)], ", \"vouchers\": [\"AAAA\", \"a-aaa\"]");
    let refused = app.post("events", &event("purchase", "o-3", "card:1", &twice)).problem(400, "invalid-event");
    assert_eq!(refused["path"], "data.vouchers[1]");
}

#[test]
fn v2_a_code_is_redeemed_and_rolled_back() {
    let app = app();
    let code = visit(&app, "v-1", "card:1");
    let wish = json!({ "member": "card:1", "order_id": "web-1", "order": cart() });
    call(&app, "POST", &format!("vouchers/{code}/redeem")).json(&wish).problem(400, "invalid-request");
    let outcome = step(&app, &code, "redeem", "k-1", &wish).ok();
    assert_eq!(outcome["effects"][0]["type"], "voucher_redeemed");
    assert_eq!(
        (&outcome["effects"][0]["money"], &outcome["effects"][0]["order_id"]),
        (&json!("45000"), &json!("web-1"))
    );
    let replayed = step(&app, &code, "redeem", "k-1", &wish);
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    assert_eq!(replayed.ok()["effects"], outcome["effects"]);
    step(&app, &code, "redeem", "k-2", &wish).problem(409, "voucher-used-up");
    step(&app, &code, "rollback", "b-1", &json!({ "order_id": "web-9" })).problem(409, "voucher-not-used");
    let back = step(&app, &code, "rollback", "b-2", &json!({ "order_id": "web-1" })).ok();
    assert_eq!(back["effects"][0]["type"], "voucher_rearmed");
    assert_eq!(app.get(&format!("vouchers/{code}")).ok()["state"], "open");
    step(&app, &code, "rollback", "b-3", &json!({})).problem(409, "voucher-not-used");
    step(&app, "NO-SUCH-CODE", "rollback", "b-4", &json!({})).problem(404, "unknown-voucher");
}

#[test]
fn vouchers_are_listed_by_state_a_page_at_a_time() {
    let app = app();
    let codes: Vec<String> = (0..5)
        .map(|number| {
            app.set_clock(&format!("2026-03-0{}T10:00", number + 1));
            visit(&app, &format!("v-{number}"), "card:1")
        })
        .collect();
    step(&app, &codes[3], "redeem", "k-1", &json!({ "member": "card:1" })).ok();
    let first = app.get("members/card:1/vouchers?limit=2&state=open").ok();
    let told =
        |list: &Value| items(list).iter().map(|item| item["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(told(&first), [codes[4].clone(), codes[2].clone()]);
    let next = first["next"].as_str().unwrap();
    let second = app.get(&format!("members/card:1/vouchers?limit=2&state=open&after={next}")).ok();
    assert_eq!((told(&second), &second["next"]), (vec![codes[1].clone(), codes[0].clone()], &Value::Null));
    assert_eq!(told(&app.get("members/card:1/vouchers?state=used").ok()), [codes[3].clone()]);
    comes_in_pages(&app, "members/card:1/vouchers", 5);
    comes_in_pages(&app, "members/card:1/vouchers?state=open", 4);
    app.get("members/card:1/vouchers?state=good").problem(400, "invalid-request");
    app.get("members/card:1/vouchers?after=x").problem(400, "invalid-request");
}
