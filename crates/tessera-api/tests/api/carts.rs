//! `POST …/quotes` of a cart: member prices, what saves most, and that the purchase keeps the quote's word.

use serde_json::{Value, json};
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, once};

const CAFE: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: never } }
events: { visit: { data: {} } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
  come-in: { trigger: visit, rules: [ { issue: { voucher: cup } } ] }
prices:
  cakes: { items: { category: cake }, percent_off: 10, name: { en: Member price, vi: Giá thành viên } }
vouchers:
  cup: { gives: { free_item: { category: coffee } }, valid: P30D, name: { en: A cup, vi: Một ly } }
  tet: { gives: { amount_off: 20000 }, min_spend: 100000, stacks: always }
";

fn app() -> TestApp {
    let app = TestApp::new(CAFE);
    app.post("events", &event("enrol", "e-1", "card:1", "{}")).ok();
    app
}

fn visit(app: &TestApp, id: &str) -> String {
    let outcome = app.post("events", &event("visit", id, "card:1", "{}")).ok();
    outcome["effects"].as_array().unwrap().iter().find_map(|effect| effect["code"].as_str()).unwrap().to_owned()
}

fn basket(order_id: &str, more: &str) -> String {
    data::sale_with(order_id, &[("LATTE", "coffee", 2, 90_000), ("CAKE", "cake", 1, 60_000)], more)
}

fn comparable(outcome: &Value) -> Value {
    json!([outcome["effects"], outcome["balances"], outcome["tiers"]])
}

#[test]
fn c3_the_best_is_found_and_the_purchase_keeps_its_word() {
    let app = app();
    let code = visit(&app, "v-1");
    visit(&app, "v-2");
    once(&app, "POST", "vouchers/tet/codes", "b-1").json(&json!({ "code": "TET2026", "total": 100 })).lines();
    let cart = basket("o-1", ", \"tax\": 15000, \"vouchers\": [\"TET2026\"]");
    let plain = app.post("quotes", &event("purchase", "q-1", "card:1", &basket("o-1", ""))).ok();
    assert_eq!(plain["prices"][0]["amount"], "54000");
    assert_eq!((&plain["best"], &plain["balances"]["bean"]["available"]), (&Value::Null, &json!(150)));
    let quote = call(&app, "POST", "quotes?best=true&lang=vi").json(&event("purchase", "q-1", "card:1", &cart)).ok();
    let best = &quote["best"];
    assert_eq!((&best["proven"], &best["vouchers"][0]["name"]), (&json!(true), &json!("Một ly")));
    assert_eq!(best["vouchers"][0]["code"], json!(code), "the one that expires first");
    let bought = app.post("events", &event("purchase", "o-1", "card:1", &best["purchase"].to_string())).ok();
    assert_eq!(comparable(&quote), comparable(&bought));
    let paid = best["purchase"]["total"].as_i64().unwrap();
    assert_eq!(best["saving"], json!((150_000 - paid).to_string()));
    assert_eq!(app.get(&format!("vouchers/{code}")).ok()["state"], "used");
}

#[test]
fn c4_every_channel_is_told_the_same() {
    let app = app();
    visit(&app, "v-1");
    let told = |channel: &str| {
        let cart = basket("o-1", &format!(", \"channel\": \"{channel}\""));
        let mut quote = call(&app, "POST", "quotes?best=true").json(&event("purchase", "q-1", "card:1", &cart)).ok();
        quote["best"]["purchase"].as_object_mut().unwrap().remove("channel");
        json!([comparable(&quote), quote["best"]])
    };
    let at_the_till = told("pos");
    for channel in ["web", "app", "line", "zalo"] {
        assert_eq!(told(channel), at_the_till, "{channel}");
    }
}

#[test]
fn a_guest_is_quoted_what_everybody_gets() {
    let app = app();
    visit(&app, "v-1");
    let quote = call(&app, "POST", "quotes?best=true").json(&event("purchase", "q-1", "", &basket("o-1", ""))).ok();
    assert_eq!((&quote["prices"], &quote["best"]["saving"]), (&Value::Null, &json!("0")));
    assert_eq!(quote["best"]["considered"], json!([]), "nobody's vouchers are looked at");
}
