//! `POST …/redemptions` and what follows.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, items, once, with};
use crate::lists::comes_in_pages;

/// A bean per 1,000 for a year, worth 100 ₫ in tens from 50 on.
const BEANS: &str = "
unknown_member: enrol
cash_rounding: { cash: 1000 }
currencies: { bean: { name: Bean, expires: { after: P12M }, value: 100, spend: { step: 10, min: 50, reserve: PT10M } }, star: { name: Star, expires: never } }
rewards: { mug: { costs: { bean: 45 }, gives: { item: MUG-01 }, stock: 1, name: { vi: Cốc đồng, en: Copper mug } }, yacht: { costs: { bean: 9000 }, gives: { item: YACHT } } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

/// A shop with a member who has 200 beans, half of which expire a month earlier.
fn app() -> TestApp {
    let app = TestApp::new(BEANS);
    app.post("events", &sale("r-1", 100_000)).ok();
    app.set_clock("2026-04-02T10:00");
    app.post("events", &sale("r-2", 100_000)).ok();
    app
}

fn sale(id: &str, total: i64) -> Value {
    event("purchase", id, "card:1", &data::sale(id, total))
}

fn beans(points: i64) -> Value {
    json!({ "member": "card:1", "currency": "bean", "points": points })
}

fn redeem(app: &TestApp, key: &str, body: &Value) -> Value {
    let reply = once(app, "POST", "redemptions", key).json(body);
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.json()
}

fn id_of(redeemed: &Value) -> &str {
    redeemed["redemption"]["id"].as_str().unwrap()
}

fn step(app: &TestApp, redeemed: &Value, step: &str, key: &str, body: &str) -> Reply {
    once(app, "POST", &format!("redemptions/{}/{step}", id_of(redeemed)), key).send(body.to_owned())
}

#[test]
fn i3_points_are_quoted_reserved_and_captured() {
    let app = app();
    let wish = json!({ "member": "card:1", "currency": "bean", "payable": "12345", "tender": "cash" });
    let quote = app.post("redemptions/quote", &wish).ok();
    assert_eq!(quote["points"], 120);
    assert_eq!(quote["choices"], json!({ "min": 50, "max": 120, "step": 10 }));
    assert_eq!(
        quote["bill"],
        json!({ "payable": "12345", "covered": "12000", "remainder": "345", "tender": "cash", "asked": "0" })
    );
    let lots: Vec<(i64, &str)> = quote["lots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lot| (lot["amount"].as_i64().unwrap(), lot["last_day"].as_str().unwrap()))
        .collect();
    assert_eq!(lots, [(100, "2027-03-02"), (20, "2027-04-02")]);
    assert_eq!(app.available("card:1", "bean"), 200, "nothing is written");
    let reserved = redeem(&app, "k", &wish);
    assert_eq!(reserved["redemption"]["status"], "reserved");
    assert_eq!(reserved["redemption"]["bill"], quote["bill"]);
    assert_eq!(reserved["redemption"]["ends_at"], "2026-04-02T03:10:00Z");
    assert_eq!(reserved["balances"]["bean"], json!({ "available": 80, "pending": 0, "held": 120, "debt": 0 }));
    let captured = step(&app, &reserved, "capture", "c", r#"{"points": 60}"#).ok();
    assert_eq!(
        (&captured["redemption"]["status"], &captured["redemption"]["captured"]),
        (&json!("captured"), &json!(60))
    );
    assert_eq!(captured["redemption"]["bill"]["remainder"], "6345");
    assert_eq!(captured["balances"]["bean"], json!({ "available": 140, "pending": 0, "held": 0, "debt": 0 }));
    let returned = step(&app, &reserved, "return", "b", "").ok();
    assert_eq!(returned["redemption"]["returned"], 60);
    assert_eq!(app.available("card:1", "bean"), 200);
}

#[test]
fn i3_a_reservation_is_voided_or_ends() {
    let app = app();
    let reserved = redeem(&app, "k-1", &beans(50));
    let voided = step(&app, &reserved, "void", "v", "").ok();
    assert_eq!(
        (&voided["redemption"]["status"], &voided["balances"]["bean"]["available"]),
        (&json!("voided"), &json!(200))
    );
    let second = redeem(&app, "k-2", &beans(50));
    app.set_clock("2026-04-02T10:10");
    let shown = app.get(&format!("redemptions/{}", id_of(&second))).ok();
    assert_eq!(shown["status"], "ended", "no job is needed");
    let late = step(&app, &second, "capture", "c", "").problem(409, "reservation-ended");
    assert_eq!(late["ended_at"], "2026-04-02T03:10:00Z");
}

#[test]
fn i1_every_step_is_done_once_under_its_key() {
    let app = app();
    let reserved = redeem(&app, "k", &beans(100));
    let again = once(&app, "POST", "redemptions", "k").json(&beans(100));
    assert_eq!(
        (again.header("idempotency-replayed"), &again.json()["redemption"]),
        (Some("true"), &reserved["redemption"])
    );
    once(&app, "POST", "redemptions", "k").json(&beans(110)).problem(409, "idempotency-key-reused");
    let captured = step(&app, &reserved, "capture", "c", r#"{"points":60}"#).ok();
    let again = step(&app, &reserved, "capture", "c", r#"{ "points": 60 }"#);
    assert_eq!(
        (again.header("idempotency-replayed"), &again.ok()["redemption"]),
        (Some("true"), &captured["redemption"])
    );
    step(&app, &reserved, "capture", "c", r#"{"points": 50}"#).problem(409, "idempotency-key-reused");
    assert_eq!(app.available("card:1", "bean"), 140);
    let missing = call(&app, "POST", "redemptions").json(&beans(50)).problem(400, "invalid-request");
    assert!(missing["detail"].as_str().unwrap().contains("Idempotency-Key"));
}

#[rstest]
#[case::more_than_is_there("/points", json!(210), 409, "not-enough-points", json!({ "wanted": 210, "available": 200, "pending": 0, "held": 0, "debt": 0 }))]
#[case::too_few("/points", json!(40), 422, "redemption-below-minimum", json!({ "wanted": 40, "min": 50 }))]
#[case::between_steps("/points", json!(55), 422, "redemption-not-in-steps", json!({ "wanted": 55, "step": 10 }))]
#[case::none("/points", json!(0), 422, "nothing-to-redeem", json!({}))]
#[case::below_none("/points", json!(-50), 422, "nothing-to-redeem", json!({}))]
#[case::more_than_is_owed("/payable", json!("5999"), 422, "redemption-over-payable", json!({ "wanted": 60, "most": 50, "payable": "5999" }))]
#[case::a_debt("/payable", json!(-1), 400, "invalid-request", json!({}))]
#[case::no_amount("/payable", json!("much"), 400, "invalid-json", json!({}))]
#[case::of_a_stranger("/member", json!("card:9"), 404, "unknown-member", json!({}))]
#[case::of_nobody("/member", json!("nine"), 400, "invalid-request", json!({}))]
#[case::in_another_currency("/currency", json!("mile"), 422, "unknown-currency", json!({ "currency": "mile" }))]
#[case::in_no_currency("/currency", json!("Two Words"), 400, "invalid-request", json!({}))]
#[case::of_no_number("/points", Value::Null, 400, "invalid-request", json!({}))]
#[case::of_a_fraction("/points", json!(60.5), 400, "invalid-json", json!({}))]
#[case::for_no_order("/order_id", json!(""), 400, "invalid-request", json!({}))]
#[case::with_more("/pints", json!(1), 400, "invalid-json", json!({}))]
fn what_cannot_be_redeemed_is_refused_with_the_numbers(
    #[case] field: &str,
    #[case] value: Value,
    #[case] status: u16,
    #[case] code: &str,
    #[case] facts: Value,
) {
    let app = app();
    let wish = with(beans(60), field, value);
    for path in ["redemptions", "redemptions/quote"] {
        let problem = once(&app, "POST", path, "k").json(&wish).problem(status, code);
        for (name, fact) in facts.as_object().unwrap() {
            assert_eq!(&problem[name], fact, "{path}: {problem}");
        }
    }
    assert_eq!(app.available("card:1", "bean"), 200);
}

#[test]
fn a_currency_without_a_value_pays_no_bill() {
    let app = app();
    let wish = json!({ "member": "card:1", "currency": "star", "payable": 500 });
    let problem = app.post("redemptions/quote", &wish).problem(422, "currency-without-value");
    assert_eq!(problem["currency"], "star");
}

#[test]
fn i3_a_step_that_is_not_possible_is_refused_with_the_numbers() {
    let app = app();
    let reserved = redeem(&app, "k", &beans(100));
    let more =
        step(&app, &reserved, "capture", "c-1", r#"{"points": 110}"#).problem(422, "captured-more-than-reserved");
    assert_eq!((&more["wanted"], &more["reserved"]), (&json!(110), &json!(100)));
    let open = step(&app, &reserved, "return", "b-1", "").problem(409, "redemption-closed");
    assert_eq!(open["redemption_status"], "reserved");
    step(&app, &reserved, "capture", "c-2", r#"{"pints": 1}"#).problem(400, "invalid-json");
    step(&app, &reserved, "capture", "c-3", "[]").problem(400, "invalid-json");
    step(&app, &reserved, "capture", "c-4", "").ok();
    let closed = step(&app, &reserved, "void", "v-1", "").problem(409, "redemption-closed");
    assert_eq!((&closed["redemption_status"], &closed["redemption"]), (&json!("captured"), &json!(id_of(&reserved))));
    step(&app, &reserved, "return", "b-2", r#"{"points": 70}"#).ok();
    let more = step(&app, &reserved, "return", "b-3", r#"{"points": 31}"#).problem(422, "returned-more-than-captured");
    assert_eq!((&more["captured"], &more["returned"], &more["wanted"]), (&json!(100), &json!(70), &json!(31)));
}

#[rstest]
#[case::nonsense("x")]
#[case::of_nobody("evt_00000000000000000000000000_1")]
fn an_unknown_redemption_is_not_found(#[case] id: &str) {
    let app = app();
    app.get(&format!("redemptions/{id}")).problem(404, "unknown-redemption");
    for step in ["capture", "void", "return"] {
        once(&app, "POST", &format!("redemptions/{id}/{step}"), "k").send("").problem(404, "unknown-redemption");
    }
}

#[test]
fn a_purchase_is_no_redemption() {
    let app = app();
    let events = app.get("members/card:1/events").ok();
    let purchase = items(&events)[0]["id"].as_str().unwrap().to_owned();
    app.get(&format!("redemptions/{purchase}")).problem(404, "unknown-redemption");
    once(&app, "POST", &format!("redemptions/{purchase}/capture"), "k").send("").problem(404, "unknown-redemption");
}

#[test]
fn redemptions_are_listed_newest_first_in_pages() {
    let app = app();
    let ids: Vec<String> = (0..3).map(|n| id_of(&redeem(&app, &format!("k-{n}"), &beans(50))).to_owned()).collect();
    let first = app.get("members/card:1/redemptions?limit=2").ok();
    let listed = |page: &Value| items(page).iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    assert_eq!(listed(&first), [json!(ids[2]), json!(ids[1])]);
    let rest = app.get(&format!("members/card:1/redemptions?limit=2&after={}", first["next"].as_str().unwrap())).ok();
    assert_eq!((listed(&rest), &rest["next"]), (vec![json!(ids[0])], &Value::Null));
    comes_in_pages(&app, "members/card:1/redemptions", 3);
    app.set_clock("2026-04-03T10:00");
    let statuses: Vec<Value> =
        items(&app.get("members/card:1/redemptions").ok()).iter().map(|item| item["status"].clone()).collect();
    assert_eq!(statuses, vec![json!("ended"); 3]);
}

#[test]
fn l1_lots_entries_and_the_event_show_what_paid() {
    let app = app();
    let reserved = redeem(&app, "k", &beans(120));
    let lots = app.get("members/card:1/lots").ok();
    let held: Vec<(i64, Value)> = items(&lots)
        .iter()
        .filter(|lot| lot["state"] == "held")
        .map(|lot| (lot["amount"].as_i64().unwrap(), lot["redemption"].clone()))
        .collect();
    assert_eq!(held, [(100, json!(id_of(&reserved))), (20, json!(id_of(&reserved)))]);
    step(&app, &reserved, "capture", "c", "").ok();
    let entries = app.get("members/card:1/entries").ok();
    let seq = id_of(&reserved).rsplit_once('_').unwrap().1;
    let newest = &items(&entries)[0];
    assert_eq!(
        (&newest["kind"], &newest["from"], &newest["to"], &newest["lot"]),
        (&json!("redemption"), &json!("held"), &json!("redeemed"), &json!(format!("2027-04-02@{seq}")))
    );
    let event = app.get(&format!("events/{}?explain=true", id_of(&reserved))).ok();
    assert_eq!(event["type"], "redemption");
    assert_eq!(event["explanation"][0]["words"], "first: what expires soonest, on 2027-03-02");
    assert_eq!(event["explanation"][1]["words"], "next: what expires on 2027-04-02");
    assert_eq!(event["data"], json!({ "currency": "bean", "points": 120, "capture": false }));
}

#[test]
fn r7_an_order_paid_with_points_gives_them_back() {
    let app = app();
    let spent = redeem(&app, "k", &with(beans(100), "/capture", json!(true)));
    assert_eq!(spent["redemption"]["status"], "captured");
    let mut sale = sale("o-1", 20_000);
    sale["data"]["payments"] = json!([{ "method": "points", "amount": 10000, "redemption": id_of(&spent) }, { "method": "cash", "amount": 10000 }]);
    app.post("events", &sale).ok();
    assert_eq!(app.available("card:1", "bean"), 110, "10,000 in cash earn 10");
    let back = app.post("events", &event("return", "b-1", "", r#"{"order_id": "o-1"}"#)).ok();
    let effects = back["effects"].as_array().unwrap();
    let of = |kind: &str| effects.iter().find(|effect| effect["type"] == kind).unwrap_or_else(|| panic!("{back:#}"));
    assert_eq!((&of("refunded")["amount"], &of("refunded")["redemption"]), (&json!(100), &json!(id_of(&spent))));
    assert_eq!(of("money_back")["money"], "10000");
    assert_eq!(app.available("card:1", "bean"), 200);
    let mut wrong = sale;
    wrong["id"] = json!("o-2");
    wrong["data"]["payments"] = json!([{ "method": "cash", "amount": 10000, "redemption": id_of(&spent) }]);
    let problem = app.post("events", &wrong).problem(400, "invalid-event");
    assert_eq!(problem["path"], "data.payments[0].redemption");
}

#[test]
fn a_reward_is_redeemed_by_its_name() {
    let app = app();
    let mug = json!({ "member": "card:1", "reward": "mug" });
    assert_eq!(app.post("redemptions/quote", &mug).ok()["points"], 45);
    let reserved = redeem(&app, "k-1", &mug);
    assert_eq!((&reserved["redemption"]["reward"], &reserved["redemption"]["points"]), (&json!("mug"), &json!(45)));
    let sold_out = once(&app, "POST", "redemptions", "k-2").json(&mug).problem(409, "reward-sold-out");
    assert_eq!((&sold_out["reward"], &sold_out["stock"]), (&json!("mug"), &json!(1)));
    step(&app, &reserved, "void", "v", "").ok();
    let taken = redeem(&app, "k-3", &with(mug.clone(), "/capture", json!(true)));
    step(&app, &taken, "return", "b-1", r#"{"points": 5}"#).problem(422, "reward-in-part");
    step(&app, &taken, "return", "b-2", "").ok();
    assert_eq!(app.available("card:1", "bean"), 200);
    once(&app, "POST", "redemptions", "k-4")
        .json(&with(mug.clone(), "/points", json!(45)))
        .problem(400, "invalid-request");
    let boat = with(mug, "/reward", json!("boat"));
    once(&app, "POST", "redemptions", "k-5").json(&boat).problem(404, "unknown-reward");
    once(&app, "POST", "redemptions", "k-6").json(&json!({ "member": "card:1" })).problem(400, "invalid-request");
}

#[test]
fn the_catalogue_says_what_a_member_can_have_and_why_not() {
    let app = app();
    let anybody = call(&app, "GET", "rewards").header("accept-language", "vi-VN,vi").send("").ok();
    let mug = &items(&anybody)[0];
    assert_eq!((&mug["id"], &mug["name"], &mug["points"]), (&json!("mug"), &json!("Cốc đồng"), &json!(45)));
    assert_eq!((&mug["left"], &mug["gives"], &mug["refused"]), (&json!(1), &json!({ "item": "MUG-01" }), &Value::Null));
    redeem(&app, "k", &json!({ "member": "card:1", "reward": "mug" }));
    let theirs = app.get("rewards?member=card:1").ok();
    let refusals: Vec<&Value> = items(&theirs).iter().map(|reward| &reward["refused"]["code"]).collect();
    assert_eq!(refusals, [&json!("reward-sold-out"), &json!("not-enough-points")]);
    assert_eq!(items(&theirs)[1]["refused"]["facts"]["available"], 155);
    app.get("rewards?member=card:9").problem(404, "unknown-member");
}

#[test]
fn nobody_sends_a_redemption_as_an_event() {
    for kind in ["redemption", "capture", "void", "redemption-return"] {
        app().post("events", &event(kind, "e-1", "card:1", "{}")).problem(400, "unknown-event-type");
    }
}
