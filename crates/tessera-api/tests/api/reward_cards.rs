//! Gift cards as rewards: made with the redemption, taken back as long as nobody used them (R7, V3).

use serde_json::{Value, json};
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, once};

const GIFTS: &str = "
unknown_member: enrol
gift_cards: { min: 50000, max: 500000 }
currencies: { bean: { name: Bean, expires: { after: P12M } } }
rewards: { card: { costs: { bean: 80 }, gives: { gift_card: 100000 }, stock: 5 } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

/// A member with 200 beans who took a card: the redemption and the card's code.
fn taken() -> (TestApp, String, String) {
    let app = TestApp::new(GIFTS);
    app.post("events", &event("purchase", "r-1", "card:1", &data::sale("r-1", 200_000))).ok();
    let body = json!({ "member": "card:1", "reward": "card", "capture": true });
    let taken = once(&app, "POST", "redemptions", "k-1").json(&body).ok();
    let again = once(&app, "POST", "redemptions", "k-1").json(&body).ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (id, code) = (text(&taken["redemption"]["id"]), text(&taken["redemption"]["code"]));
    assert_eq!((code.len(), &again["redemption"]["code"]), (19, &taken["redemption"]["code"]), "a retry is told too");
    (app, id, code)
}

fn balance(app: &TestApp, code: &str) -> Value {
    call(app, "GET", &format!("gift-cards/{code}")).send("").ok()["balance"].clone()
}

fn cancel(app: &TestApp, id: &str, key: &str) -> Value {
    once(app, "POST", &format!("redemptions/{id}/return"), key).send("").ok()
}

fn given(app: &TestApp, id: &str) -> Value {
    app.get(&format!("redemptions/{id}")).ok()["given"].clone()
}

#[test]
fn a_card_of_a_reward_is_money_like_any_other() {
    let (app, id, code) = taken();
    assert_eq!(app.relay(), 1);
    assert_eq!((balance(&app, &code), app.available("card:1", "bean")), (json!("100000"), 120));
    assert_eq!(given(&app, &id)["gift_card"], json!({ "money": "100000", "state": "issued" }));
    assert_eq!(app.get(&format!("redemptions/{id}")).ok()["code"], code.as_str());
    assert_eq!((app.relay(), balance(&app, &code)), (0, json!("100000")), "made once");
}

#[test]
fn r7_cancelled_unused_the_card_goes_and_the_points_come_back() {
    let (app, id, code) = taken();
    app.relay();
    let asked = cancel(&app, &id, "c-1");
    assert_eq!(asked["redemption"]["given"]["gift_card"]["state"], "asked_back");
    assert_eq!(app.available("card:1", "bean"), 120, "not before the card is gone");
    once(&app, "POST", &format!("redemptions/{id}/return"), "c-2").send("").problem(409, "gift-card-asked-back");
    app.relay();
    assert_eq!((app.available("card:1", "bean"), balance(&app, &code)), (200, json!("0")));
    assert_eq!(given(&app, &id)["gift_card"]["state"], "taken_back");
    assert_eq!(app.get(&format!("redemptions/{id}")).ok().get("code"), None);
    let pay = json!({ "amount": "1000", "capture": true });
    once(&app, "POST", &format!("gift-cards/{code}/redemptions"), "p-1").json(&pay).problem(409, "gift-card-blocked");
    once(&app, "POST", &format!("redemptions/{id}/return"), "c-3").send("").problem(422, "returned-more-than-captured");
}

#[test]
fn r7_a_card_that_was_used_stays_and_the_points_are_spent() {
    let (app, id, code) = taken();
    app.relay();
    let pay = json!({ "amount": "1000", "capture": true });
    assert_eq!(once(&app, "POST", &format!("gift-cards/{code}/redemptions"), "p-1").json(&pay).status, 201);
    cancel(&app, &id, "c-1");
    app.relay();
    assert_eq!((app.available("card:1", "bean"), balance(&app, &code)), (120, json!("99000")));
    assert_eq!(given(&app, &id)["gift_card"]["state"], "issued");
    let last = app.get("members/card:1/events").ok()["items"][0].clone();
    let kept = json!({ "type": "gift_card_kept", "redemption": id, "reason": "gift-card-used" });
    assert_eq!(last["effects"], json!([kept]), "the member is told why");
}

#[test]
fn r7_a_card_that_was_loaded_or_reserved_from_stays_until_it_is_whole_again() {
    let (app, id, code) = taken();
    app.relay();
    let at =
        |step: &str, key: &str, body: &Value| once(&app, "POST", &format!("gift-cards/{code}/{step}"), key).json(body);
    let reserved = at("redemptions", "p-1", &json!({ "amount": "30000" })).json();
    cancel(&app, &id, "c-1");
    app.relay();
    assert_eq!((app.available("card:1", "bean"), balance(&app, &code)), (120, json!("70000")), "some is reserved");
    let reserved = reserved["redemption"]["id"].as_str().unwrap();
    once(&app, "POST", &format!("redemptions/{reserved}/void"), "v-1").send("").ok();
    // Money that somebody paid in is not taken with it, nor what is as much again after some was spent.
    let paid = at("redemptions", "p-2", &json!({ "amount": "60000", "capture": true })).json();
    at("top-up", "t-1", &json!({ "amount": "60000" })).ok();
    assert_eq!(balance(&app, &code), "100000");
    cancel(&app, &id, "c-2");
    app.relay();
    assert_eq!((app.available("card:1", "bean"), balance(&app, &code)), (120, json!("100000")), "40,000 and 60,000");
    assert_eq!(paid["status"], "applied");
}

#[test]
fn r7_a_card_whose_money_came_back_whole_goes() {
    let (app, id, code) = taken();
    app.relay();
    let pay = json!({ "amount": "30000" });
    let reserved = once(&app, "POST", &format!("gift-cards/{code}/redemptions"), "p-1").json(&pay).json();
    let reserved = reserved["redemption"]["id"].as_str().unwrap();
    once(&app, "POST", &format!("redemptions/{reserved}/void"), "v-1").send("").ok();
    cancel(&app, &id, "c-1");
    app.relay();
    assert_eq!((app.available("card:1", "bean"), balance(&app, &code)), (200, json!("0")));
}

#[test]
fn r7_where_no_card_can_be_made_any_more_the_points_come_back() {
    let (app, id, code) = taken();
    app.publish(&GIFTS.replace("gift_cards: { min: 50000, max: 500000 }", "").replace("gift_card: 100000", "item: X"))
        .unwrap();
    app.clock.set(app.now().plus_seconds(1));
    app.relay();
    assert_eq!(
        (app.available("card:1", "bean"), given(&app, &id)["gift_card"]["state"].clone()),
        (200, json!("taken_back"))
    );
    call(&app, "GET", &format!("gift-cards/{code}")).send("").problem(404, "unknown-gift-card");
}
