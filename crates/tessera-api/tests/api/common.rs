//! A program and calls that several tests share.

use axum::http::Method;
use serde_json::{Value, json};
use tessera_testkit::app::{Call, TestApp, event};
use tessera_testkit::shop::json as data;

/// A point per 1,000 for a year, a stamp a cup, two levels, a welcome; strangers join by their first event.
pub const SHOP: &str = "
unknown_member: enrol
currencies:
  point: { name: { en: point, vi: điểm }, expires: { after: P12M }, overdraft: refuse }
  stamp: { name: Stamp, expires: never }
tiers:
  club:
    measure: { earned: point }
    levels: [ { id: blue, at: 0 }, { id: gold, at: 100, rate: { point: 1.5 }, benefits: [lounge] } ]
benefits: { lounge: { name: Lounge }, parking: { name: Parking } }
events:
  review: { data: { order_id: text, stars: { type: integer, min: 1, max: 5 }, place: { type: text, one_of: [shop, web], optional: true } } }
  purchase: { data: { table: { type: integer, optional: true } }, item: { organic: { type: boolean, optional: true } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  cups: { trigger: purchase, rules: [ { each: event.items, when: item.category == \"coffee\", award: { currency: stamp, amount: item.quantity } } ] }
  card: { trigger: balance, rules: [ { when: member.balance.stamp >= 5, spend: { currency: stamp, amount: 5 }, issue: { voucher: cup } } ] }
  thanks: { trigger: review, rules: [ { award: { currency: point, amount: 3 }, grant: { benefit: parking, for: P7D } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
vouchers: { cup: { gives: { free_item: { category: coffee } }, valid: P30D, name: { en: One coffee free, vi: Một ly miễn phí } } }
";

pub fn app() -> TestApp {
    TestApp::new(SHOP)
}

/// A purchase whose order has the id of the event.
pub fn sale(id: &str, subject: &str, total: i64) -> Value {
    event("purchase", id, subject, &data::sale(id, total))
}

/// A purchase of cups of coffee at 40,000 each.
pub fn cups(id: &str, subject: &str, quantity: i64) -> Value {
    event("purchase", id, subject, &data::lines(id, &[("LATTE", "coffee", quantity, quantity * 40_000)]))
}

/// Changes one thing of an event.
pub fn with(mut event: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap()[name] = value;
    event
}

pub fn call<'a>(app: &'a TestApp, method: &str, path: &str) -> Call<'a> {
    app.call(method.parse::<Method>().unwrap(), path)
}

/// A request that is made once under its key.
pub fn once<'a>(app: &'a TestApp, method: &str, path: &str, key: &str) -> Call<'a> {
    call(app, method, path).header("idempotency-key", key)
}

/// The items of a list.
pub fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}"))
}

pub fn adjustment(member: &str, amount: i64) -> Value {
    json!({ "member": member, "currency": "point", "amount": amount, "reason": "cold coffee" })
}
