//! What partners say of orders, over HTTP.

use serde_json::{Value, json};
use tessera_engine::access::Scope;
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::partner::Plan;
use tessera_testkit::shop::json as data;

use crate::common::{call, items, once};
use crate::lists::comes_in_pages;

const GIFTS: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: never } }
partners: { giftly: { deadline: P1D }, airport: {} }
rewards:
  gift: { costs: { bean: 80 }, gives: { e_gift: { partner: giftly, product: TEA-50, shops: [ { name: Giftly, city: Huế } ] } } }
  mug: { costs: { bean: 10 }, gives: { item: MUG } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

/// An order that the partner took and has not delivered; its id.
fn ordered() -> (TestApp, String) {
    let app = TestApp::new(GIFTS);
    app.post("events", &event("purchase", "r-1", "card:1", &data::sale("r-1", 200_000))).ok();
    app.partner.plan(&[Plan::Accept; 20]);
    let body = json!({ "member": "card:1", "reward": "gift", "capture": true });
    let taken = once(&app, "POST", "redemptions", "k-1").json(&body).ok();
    assert_eq!(taken["redemption"]["given"]["partner"]["state"], "ordered");
    assert_eq!(taken["redemption"].get("code"), None);
    app.relay_to_partners();
    let id = taken["redemption"]["id"].as_str().unwrap().to_owned();
    (app, id)
}

/// Says something as the partner, signed now.
fn says(app: &TestApp, partner: &str, id: &str, notice: &Value) -> Reply {
    let body = notice.to_string();
    send(app, partner, (id, &body), &app.partner.sign(id, app.now(), &body).signature, app.now())
}

fn send(
    app: &TestApp,
    partner: &str,
    (id, body): (&str, &str),
    signature: &str,
    signed_at: tessera_core::time::Instant,
) -> Reply {
    let seconds = (signed_at.micros() / 1_000_000).to_string();
    let call = call(app, "POST", &format!("partners/{partner}/notices")).key("");
    call.header("webhook-id", id)
        .header("webhook-timestamp", &seconds)
        .header("webhook-signature", signature)
        .send(body.to_owned())
}

fn about(kind: &str, order: &str) -> Value {
    json!({ "type": format!("order.{kind}"), "order": order })
}

#[test]
fn a_partner_delivers_later_and_says_what_became_of_it() {
    let (app, order) = ordered();
    let delivered = json!({ "type": "order.delivered", "order": order, "code": "K7QM-22XB", "reference": "GF-1" });
    assert_eq!(says(&app, "giftly", "n-1", &delivered).ok(), json!({ "status": "applied" }));
    let shown = app.get(&format!("redemptions/{order}")).ok();
    assert_eq!((&shown["code"], &shown["given"]["partner"]["state"]), (&json!("K7QM-22XB"), &json!("delivered")));
    let redeemed = json!({ "member": "card:1", "reward": "gift", "capture": true });
    assert_eq!(once(&app, "POST", "redemptions", "k-1").json(&redeemed).ok()["status"], "duplicate");
    assert_eq!(says(&app, "giftly", "n-2", &about("used", &order)).ok(), json!({ "status": "applied" }));
    assert_eq!(app.get(&format!("redemptions/{order}")).ok()["given"]["partner"]["state"], "used");
    once(&app, "POST", &format!("redemptions/{order}/return"), "k-2").send("").problem(409, "is-at-partner");
    assert_eq!(app.relay_to_partners(), 0);
}

#[test]
fn notices_may_come_twice_and_replays_change_nothing() {
    let (app, order) = ordered();
    let delivered = json!({ "type": "order.delivered", "order": order, "code": "K7QM-22XB" });
    says(&app, "giftly", "n-1", &delivered).ok();
    for id in ["n-1", "n-2"] {
        assert_eq!(says(&app, "giftly", id, &delivered).ok(), json!({ "status": "duplicate" }), "{id}");
    }
    let other = json!({ "type": "order.delivered", "order": order, "code": "OTHER" });
    says(&app, "giftly", "n-3", &other).ok();
    assert_eq!(app.get(&format!("redemptions/{order}")).ok()["code"], "K7QM-22XB", "the first is the one");
    let refunded = about("refunded", &order);
    says(&app, "giftly", "n-4", &refunded).ok();
    assert_eq!(app.available("card:1", "bean"), 200);
    assert_eq!(says(&app, "giftly", "n-4", &refunded).ok(), json!({ "status": "duplicate" }));
    // What was overheard before is known by its id, whatever has become of the order since.
    assert_eq!(says(&app, "giftly", "n-1", &delivered).ok(), json!({ "status": "duplicate" }));
    says(&app, "giftly", "n-1", &about("used", &order)).problem(409, "idempotency-key-reused");
    says(&app, "giftly", "n-5", &about("used", &order)).problem(409, "partner-state-not-there");
    assert_eq!(app.available("card:1", "bean"), 200, "given back once");
    assert_eq!(app.get(&format!("redemptions/{order}")).ok().get("code"), None, "taken back, it is not shown");
}

#[test]
fn one_name_of_a_partner_is_one_order() {
    let (app, first) = ordered();
    app.post("events", &event("purchase", "r-2", "card:2", &data::sale("r-2", 100_000))).ok();
    let body = json!({ "member": "card:2", "reward": "gift", "capture": true });
    let taken = once(&app, "POST", "redemptions", "k-2").json(&body).ok();
    let second = taken["redemption"]["id"].as_str().unwrap().to_owned();
    let delivered = |order: &str, code: &str, reference: &str| json!({ "type": "order.delivered", "order": order, "code": code, "reference": reference });
    says(&app, "giftly", "n-1", &delivered(&first, "ONE", "GF-1")).ok();
    says(&app, "giftly", "n-2", &delivered(&second, "TWO", "GF-1")).problem(409, "reference-used");
    let shown = app.get(&format!("redemptions/{second}")).ok();
    assert_eq!((&shown["given"]["partner"]["state"], shown.get("code")), (&json!("ordered"), None));
    says(&app, "giftly", "n-3", &delivered(&second, "TWO", "GF-2")).ok();
    assert_eq!(app.get(&format!("redemptions/{second}")).ok()["code"], "TWO");
    assert_eq!(app.get(&format!("redemptions/{first}")).ok()["code"], "ONE");
}

#[test]
fn only_the_partner_is_believed() {
    let (app, order) = ordered();
    let (now, body) = (app.now(), about("refused", &order).to_string());
    let signed = app.partner.sign("n-1", now, &body).signature;
    send(&app, "giftly", ("n-1", &body), "", now).problem(401, "wrong-signature");
    send(&app, "giftly", ("n-1", &body), &signed.replace("v1,", "v1,AA"), now).problem(401, "wrong-signature");
    send(&app, "giftly", ("n-2", &body), &signed, now).problem(401, "wrong-signature");
    send(&app, "giftly", ("n-1", &body.replace("refused", "used")), &signed, now).problem(401, "wrong-signature");
    app.clock.set(now.plus_seconds(301));
    send(&app, "giftly", ("n-1", &body), &signed, now).problem(401, "signature-too-old");
    says(&app, "nobody", "n-1", &about("used", &order)).problem(404, "unknown-partner");
    // The other partner is known, and the order is not theirs.
    says(&app, "airport", "n-1", &about("used", &order)).problem(404, "unknown-partner-order");
    says(&app, "giftly", "n-1", &about("used", "evt_none")).problem(404, "unknown-partner-order");
    says(&app, "giftly", "n-1", &json!({ "type": "order.lost", "order": order })).problem(400, "invalid-request");
    let elsewhere = call(&app, "POST", "/v1/programs/nowhere/partners/giftly/notices").key("").send("{}");
    elsewhere.problem(404, "unknown-partner");
    assert_eq!(app.get(&format!("redemptions/{order}")).ok()["given"]["partner"]["state"], "ordered");
}

#[test]
fn refused_by_notice_it_is_not_ordered_again() {
    let (app, order) = ordered();
    says(&app, "giftly", "n-1", &json!({ "type": "order.refused", "order": order, "reason": "Sold out" })).ok();
    assert_eq!(app.available("card:1", "bean"), 200);
    let calls = app.partner.seen().order_calls;
    app.clock.set(app.now().plus_seconds(600));
    assert_eq!((app.relay_to_partners(), app.partner.seen().order_calls), (1, calls));
    let shown = app.get(&format!("redemptions/{order}")).ok();
    assert_eq!(shown["given"]["partner"]["reason"], "sold-out");
}

#[test]
fn a_month_is_listed_and_held_against_the_partners_list() {
    let (app, order) = ordered();
    app.partner.plan(&[]);
    app.clock.set(app.now().plus_seconds(600));
    app.relay_to_partners();
    let month = app.get("partners/giftly/orders?month=2026-03").ok();
    assert_eq!(
        month["products"],
        json!([{ "partner": "giftly", "product": "TEA-50", "orders": 1, "by_state": { "delivered": 1 } }])
    );
    assert_eq!(
        (&items(&month)[0]["order"], &items(&month)[0]["reference"]),
        (&json!(order), &json!(format!("REF-{order}")))
    );
    let hold = |list: String| call(&app, "POST", "partners/giftly/reconciliation?month=2026-03").send(list);
    let found = hold(format!("order,state\n{order},used\nevt_x,used\n")).ok();
    assert_eq!((&found["agree"], found["differences"].as_array().unwrap().len()), (&json!(0), 2));
    assert_eq!(
        found["differences"][0],
        json!({ "kind": "state", "order": order, "ours": "delivered", "theirs": "used" })
    );
    assert_eq!(hold("who,what\n".to_owned()).problem(400, "invalid-request")["line"], 1);
    app.get("partners/giftly/orders?month=March").problem(400, "invalid-request");
    let poor = app.new_key(&[Scope::WriteEvents]).key;
    call(&app, "GET", "partners/giftly/orders?month=2026-03").key(&poor).send("").problem(403, "forbidden");
}

#[test]
fn a_months_orders_come_a_page_at_a_time() {
    let (app, first) = ordered();
    let mut orders = vec![first];
    for (card, key) in [("card:2", "k-2"), ("card:3", "k-3"), ("card:4", "k-4"), ("card:5", "k-5")] {
        app.post("events", &event("purchase", key, card, &data::sale(key, 100_000))).ok();
        let body = json!({ "member": card, "reward": "gift", "capture": true });
        let taken = once(&app, "POST", "redemptions", key).json(&body).ok();
        orders.push(taken["redemption"]["id"].as_str().unwrap().to_owned());
    }
    let (mut listed, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = app.get(&format!("partners/giftly/orders?month=2026-03&limit=2{after}")).ok();
        assert_eq!(page["products"][0]["orders"], 5, "of the whole month");
        listed.extend(items(&page).iter().map(|order| order["order"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(pages, 3);
    // Those of one instant stand in the order of their members.
    listed.sort_unstable();
    orders.sort_unstable();
    assert_eq!(listed, orders);
    comes_in_pages(&app, "partners/giftly/orders?month=2026-03", 5);
    app.get("partners/giftly/orders?month=2026-03&after=x").problem(400, "invalid-request");
}

#[test]
fn a_partner_is_shown_no_order_of_another() {
    let app = TestApp::new(&GIFTS.replace(
        "  mug:",
        "  lounge: { costs: { bean: 10 }, gives: { e_gift: { partner: airport, product: PASS } } }\n  mug:",
    ));
    app.post("events", &event("purchase", "r-1", "card:1", &data::sale("r-1", 900_000))).ok();
    app.partner.plan(&[Plan::Accept; 20]);
    let mut orders = Vec::new();
    for (place, reward) in ["gift", "lounge", "lounge", "gift", "lounge"].into_iter().enumerate() {
        app.clock.set(app.now().plus_seconds(60));
        let body = json!({ "member": "card:1", "reward": reward, "capture": true });
        let taken = once(&app, "POST", "redemptions", &format!("k-{place}")).json(&body).ok();
        orders.push(taken["redemption"]["id"].clone());
    }
    for (partner, product, own) in [("giftly", "TEA-50", vec![0, 3]), ("airport", "PASS", vec![1, 2, 4])] {
        let path = format!("partners/{partner}/orders?month=2026-03");
        comes_in_pages(&app, &path, own.len());
        let month = app.get(&path).ok();
        let listed: Vec<&Value> = items(&month).iter().map(|order| &order["order"]).collect();
        assert_eq!(listed, own.iter().map(|place: &usize| &orders[*place]).collect::<Vec<_>>(), "{partner}");
        let products = month["products"].as_array().unwrap();
        assert_eq!(products.iter().map(|of| &of["product"]).collect::<Vec<_>>(), [product]);
        // Behind an order of another partner there is nothing of this one's.
        let foreign = (0..5).find(|place| !own.contains(place)).unwrap();
        let behind = app.get(&format!("{path}&after={}", orders[foreign].as_str().unwrap())).ok();
        assert_eq!((items(&behind).len(), &behind["next"]), (0, &Value::Null), "{partner}");
    }
}

#[test]
fn shops_that_take_an_e_gift_are_listed() {
    let (app, _) = ordered();
    assert_eq!(items(&app.get("rewards/gift/shops").ok()), &[json!({ "name": "Giftly", "city": "Huế" })]);
    assert!(items(&app.get("rewards/mug/shops").ok()).is_empty());
    app.get("rewards/none/shops").problem(404, "unknown-reward");
    let listed = app.get("rewards?gives=e_gift").ok();
    assert_eq!(items(&listed)[0]["gives"], json!({ "e_gift": { "partner": "giftly", "product": "TEA-50" } }));
}
