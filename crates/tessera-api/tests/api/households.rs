//! `…/households`, and redemptions from a pool.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{items, once};

const TOGETHER: &str = "
unknown_member: enrol
households: { size: 2, pools: { point: { contribute: all, spend: anyone, per_member: { day: 81 } } } }
currencies: { point: { name: Point, expires: { after: P12M }, value: 10 }, star: { name: Star, expires: never } }
proof: { spending_above: { point: 50 } }
vouchers: { tea: { gives: { amount_off: 10000 }, on_undo: void } }
rewards:
  mug: { costs: { point: 40 }, gives: { item: true }, stock: 1 }
  tea: { costs: { point: 5 }, gives: { voucher: tea }, per_member: { month: 1 }, when: member.purchases >= 2 }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
";

fn app() -> TestApp {
    let app = TestApp::new(TOGETHER);
    for member in 1..=3 {
        app.post(
            "events",
            &event(
                "purchase",
                &format!("r-{member}"),
                &format!("card:{member}"),
                &data::sale(&format!("r-{member}"), 0),
            ),
        )
        .ok();
    }
    app
}

fn relay(app: &TestApp) {
    while app.relay() > 0 {}
}

fn post(app: &TestApp, path: &str, key: &str, body: Value) -> Value {
    let reply = once(app, "POST", path, key).json(&body);
    assert!(reply.status.is_success(), "{path}: {}", reply.body);
    reply.json()
}

/// Cards 1 and 2 are a household; its id.
fn couple(app: &TestApp) -> String {
    let founded = post(app, "households", "h-1", json!({ "member": "card:1" }));
    let household = founded["household"].as_str().unwrap().to_owned();
    relay(app);
    let invited = post(app, &format!("households/{household}/invitations"), "i-1", json!({ "by": "card:1" }));
    let body = json!({ "member": "card:2", "code": invited["code"] });
    post(app, &format!("households/{household}/members"), "a-1", body);
    relay(app);
    household
}

fn buy(app: &TestApp, member: &str, id: &str, total: i64) {
    app.post("events", &event("purchase", id, member, &data::sale(id, total))).ok();
    relay(app);
}

#[test]
fn p5_a_household_is_founded_joined_shown_and_left() {
    let app = app();
    let household = couple(&app);
    buy(&app, "card:1", "o-1", 60_000);
    buy(&app, "card:2", "o-2", 40_000);
    let shown = app.get(&format!("households/{household}")).ok();
    assert_eq!(shown["pool"]["point"]["available"], 100, "{shown}");
    let people = shown["people"].as_array().unwrap();
    assert_eq!((people.len(), &people[0]["head"], &people[1]["part"]["point"]), (2, &json!(true), &json!(40)));
    let member = app.member("card:2");
    assert_eq!((&member["household"]["id"], &member["household"]["asked"]), (&json!(household), &json!(false)));
    let entries = app.get(&format!("households/{household}/entries?limit=1")).ok();
    assert_eq!((items(&entries)[0]["kind"].as_str(), items(&entries).len()), (Some("pool"), 1));
    assert!(entries["next"].is_string());
    post(&app, "members/card:2/household/leave", "l-1", json!({}));
    relay(&app);
    assert_eq!(app.available("card:2", "point"), 40);
    assert!(app.member("card:2").get("household").is_none());
    // Households are no members, in no list of them.
    let members = app.get("members").ok();
    assert!(items(&members).iter().all(|member| member["id"] != household.as_str()));
}

#[test]
fn i1_the_same_request_again_makes_no_second_household_and_shows_the_same_code() {
    let app = app();
    let first = post(&app, "households", "h-1", json!({ "member": "card:1" }));
    relay(&app);
    let again = post(&app, "households", "h-1", json!({ "member": "card:1" }));
    assert_eq!(first["household"], again["household"]);
    let path = format!("households/{}/invitations", first["household"].as_str().unwrap());
    let invited = post(&app, &path, "i-1", json!({ "by": "card:1" }));
    assert_eq!(post(&app, &path, "i-1", json!({ "by": "card:1" }))["code"], invited["code"]);
    let path = format!("households/{}/members", first["household"].as_str().unwrap());
    let body = json!({ "member": "card:2", "code": invited["code"] });
    post(&app, &path, "a-1", body.clone());
    relay(&app);
    assert_eq!(post(&app, &path, "a-1", body)["status"], "duplicate");
    let stored =
        app.count(&format!("SELECT COUNT(*) FROM event WHERE payload LIKE '%{}%'", invited["code"].as_str().unwrap()));
    assert_eq!(stored, 0, "a code is nowhere but with whom it is for");
}

#[test]
fn p5_the_pool_pays_for_one_of_the_household_who_shows_that_they_are_there() {
    let app = app();
    let household = couple(&app);
    buy(&app, "card:1", "o-1", 100_000);
    let pays = |by: &str, points: i64| json!({ "member": household, "by": by, "currency": "point", "points": points });
    let reserved = post(&app, "redemptions", "p-1", pays("card:2", 50));
    let redemption = reserved["redemption"]["id"].as_str().unwrap().to_owned();
    assert_eq!(reserved["redemption"]["by"], app.member("card:2")["id"]);
    post(&app, &format!("redemptions/{redemption}/capture"), "c-1", json!({ "points": 30 }));
    let shown = app.get(&format!("households/{household}")).ok();
    assert_eq!((&shown["pool"]["point"]["available"], &shown["pool"]["point"]["held"]), (&json!(70), &json!(0)));
    once(&app, "POST", "redemptions", "p-2").json(&pays("card:2", 51)).problem(403, "spending-proof-needed");
    let code = app.get("members/card:2/card").ok()["code"].clone();
    let mut shows = pays("card:2", 52);
    shows["proof"] = json!({ "card_code": code });
    once(&app, "POST", "redemptions", "p-3").json(&shows).problem(409, "pool-limit");
    once(&app, "POST", "redemptions", "p-4").json(&pays("card:3", 5)).problem(409, "not-of-household");
    let mut nobody = pays("card:2", 5);
    nobody.as_object_mut().unwrap().remove("by");
    once(&app, "POST", "redemptions", "p-5").json(&nobody).problem(422, "who-spends");
    post(&app, &format!("redemptions/{redemption}/return"), "b-1", json!({}));
    let shown = app.get(&format!("households/{household}")).ok();
    assert_eq!(shown["pool"]["point"]["available"], 100);
    let quoted = app.post(
        "redemptions/quote",
        &json!({ "member": household, "by": "card:2", "currency": "point", "payable": "300" }),
    );
    assert_eq!(quoted.ok()["points"], 30);
}

#[rstest]
#[case::a_stranger("households/mem_00000000000000000000000000/members", json!({ "member": "card:3" }), 404, "unknown-household")]
#[case::no_id("households/home/members", json!({ "member": "card:3" }), 404, "unknown-household")]
#[case::not_invited("members", json!({ "member": "card:3" }), 409, "not-invited")]
#[case::mistyped("members", json!({ "member": "card:3", "code": "7K3M-PQ2R-9WXA-B4CE" }), 409, "not-invited")]
#[case::full("invitations", json!({ "by": "card:1" }), 409, "household-full")]
#[case::no_head("removals", json!({ "by": "card:2", "member": "card:1" }), 403, "only-the-head")]
#[case::not_there("head", json!({ "by": "card:1", "to": "card:3" }), 409, "not-of-household")]
fn p5_what_may_not_be_done_is_a_problem(
    #[case] path: &str,
    #[case] body: Value,
    #[case] status: u16,
    #[case] code: &str,
) {
    let app = app();
    let household = couple(&app);
    let path = if path.contains('/') { path.to_owned() } else { format!("households/{household}/{path}") };
    let reply = once(&app, "POST", &path, "x-1").json(&body);
    reply.problem(status, code);
}

#[test]
fn p5_another_household_and_points_by_hand_are_refused() {
    let app = app();
    couple(&app);
    once(&app, "POST", "households", "h-2").json(&json!({ "member": "card:2" })).problem(409, "in-household");
    let put = json!({ "member": "card:1", "currency": "point", "amount": 5 });
    once(&app, "POST", "household-contributions", "p-1").json(&put).problem(422, "not-by-hand");
    once(&app, "POST", "members/card:3/household/leave", "l-1").json(&json!({})).problem(409, "not-in-household");
}

#[test]
fn p5_the_pool_buys_a_reward_that_is_no_members_own() {
    let app = app();
    let household = couple(&app);
    buy(&app, "card:1", "o-1", 60_000);
    let wanted = |reward: &str| json!({ "member": household, "by": "card:2", "reward": reward, "capture": true });
    let quote = app.post("redemptions/quote", &wanted("mug")).ok();
    assert_eq!((&quote["points"], &quote["balance"]["available"]), (&json!(40), &json!(60)));
    let bought = post(&app, "redemptions", "k-1", wanted("mug"));
    assert_eq!(
        (&bought["redemption"]["reward"], &bought["balances"]["point"]["available"]),
        (&json!("mug"), &json!(20))
    );
    let id = bought["redemption"]["id"].as_str().unwrap();
    post(&app, &format!("redemptions/{id}/return"), "b-1", json!({}));
    let seen = app.get(&format!("households/{household}")).ok();
    assert_eq!(seen["people"][0]["part"]["point"], 60, "{seen}");
}

#[test]
fn p5_what_is_a_members_own_the_pool_buys_for_whoever_may_have_it() {
    let app = app();
    let household = couple(&app);
    buy(&app, "card:1", "o-1", 60_000);
    let wanted = |by: &str| json!({ "member": household, "by": by, "reward": "tea", "capture": true });
    // Who may not have it is told at once, and nothing is reserved.
    once(&app, "POST", "redemptions", "k-1").json(&wanted("card:2")).problem(422, "reward-not-for-member");
    app.post("redemptions/quote", &wanted("card:2")).problem(422, "reward-not-for-member");
    app.post("redemptions/quote", &wanted("card:1")).ok();
    let asked = post(&app, "redemptions", "k-2", wanted("card:1"));
    let redemption = &asked["redemption"];
    assert_eq!((&redemption["status"], &redemption["given"]["member"]["state"]), (&json!("reserved"), &json!("asked")));
    assert_eq!(asked["balances"]["point"]["held"], 5);
    relay(&app);
    let path = format!("redemptions/{}", redemption["id"].as_str().unwrap());
    let bought = app.get(&path).ok();
    assert_eq!((&bought["status"], &bought["given"]["member"]["state"]), (&json!("captured"), &json!("given")));
    let vouchers = app.get("members/card:1/vouchers").ok();
    let vouchers = items(&vouchers);
    assert_eq!((vouchers.len(), &vouchers[0]["code"]), (1, &bought["given"]["voucher"]));
    // Sent again it is the same; another one is refused by the member's own limit, which counts this one.
    let again = post(&app, "redemptions", "k-2", wanted("card:1"));
    assert_eq!((&again["status"], &again["redemption"]["id"]), (&json!("duplicate"), &redemption["id"]));
    once(&app, "POST", "redemptions", "k-3").json(&wanted("card:1")).problem(422, "reward-limit");
    let of_member = app.get("members/card:1/events").ok();
    let kinds: Vec<Value> = items(&of_member).iter().map(|event| event["type"].clone()).collect();
    assert!(kinds.contains(&json!("household-reward-give")), "{kinds:?}");
    post(&app, &format!("{path}/return"), "b-1", json!({}));
    relay(&app);
    assert_eq!(app.get("members/card:1/vouchers").ok()["items"][0]["state"], "cancelled");
    assert_eq!(app.get(&format!("households/{household}")).ok()["pool"]["point"]["available"], 60);
    // Two who ask at once: the counter looked at both, and the member decides.
    let both = [post(&app, "redemptions", "k-4", wanted("card:1")), post(&app, "redemptions", "k-5", wanted("card:1"))];
    relay(&app);
    let told = both.map(|asked| {
        let id = asked["redemption"]["id"].as_str().unwrap();
        let now = app.get(&format!("redemptions/{id}")).ok();
        (now["status"].clone(), now["given"]["member"].clone())
    });
    assert_eq!(told[0], (json!("captured"), json!({ "state": "given" })));
    assert_eq!(told[1], (json!("voided"), json!({ "state": "refused", "reason": "reward-limit" })));
    assert_eq!(app.get(&format!("households/{household}")).ok()["pool"]["point"]["available"], 55);
}
