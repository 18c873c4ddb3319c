//! The catalogue, codes of partners and causes over HTTP.

use serde_json::{Value, json};
use tessera_engine::access::Scope;
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, items, once};
use crate::lists::comes_in_pages;

const GIFTS: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: never } }
code_pools: { cinema: { low: 2, name: { en: Cinema, vi: Rạp phim } } }
causes: { mangroves: { public: true, name: { en: Mangroves } }, quiet: {} }
rewards:
  film: { costs: { bean: 80 }, gives: { code_pool: cinema }, name: { en: A film }, text: { en: One seat, vi: Một ghế }, images: [ \"https://cdn.example.com/film.jpg\" ] }
  tree: { costs: { bean: 20 }, gives: { donation: { cause: mangroves, money: 20000 } } }
  hush: { costs: { bean: 20 }, gives: { donation: { cause: quiet, money: 5000 } } }
  yacht: { costs: { bean: 9000, money: 1000000 }, gives: { item: YACHT } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

fn app() -> TestApp {
    let app = TestApp::new(GIFTS);
    app.post("events", &event("purchase", "r-1", "card:1", &data::sale("r-1", 200_000))).ok();
    app
}

fn take(app: &TestApp, reward: &str, key: &str) -> Value {
    let reply =
        once(app, "POST", "redemptions", key).json(&json!({ "member": "card:1", "reward": reward, "capture": true }));
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.json()
}

fn bring_in(app: &TestApp, codes: &str) -> Value {
    call(app, "POST", "code-pools/cinema/codes").header("content-type", "text/plain").send(codes.to_owned()).ok()
}

#[test]
fn a_code_is_told_to_whoever_redeems_and_every_time() {
    let app = app();
    once(&app, "POST", "redemptions", "k-0")
        .json(&json!({ "member": "card:1", "reward": "film", "capture": true }))
        .problem(409, "reward-sold-out");
    assert_eq!(bring_in(&app, "K7QM-22XB\r\n\nP4ZD-91LW\nK7QM-22XB"), json!({ "imported": 2, "known": 1 }));
    assert_eq!(items(&app.get("rewards?available=true&gives=code_pool").ok())[0]["left"], 2);
    let first = take(&app, "film", "k-1");
    assert_eq!(first["redemption"]["code"], "K7QM-22XB");
    assert_eq!(take(&app, "film", "k-1")["redemption"]["code"], "K7QM-22XB", "a retry is told too");
    let shown = app.get(&format!("redemptions/{}", first["redemption"]["id"].as_str().unwrap())).ok();
    assert_eq!(shown["code"], "K7QM-22XB");
    let pools = app.get("code-pools").ok();
    assert_eq!(
        items(&pools)[0],
        json!({ "pool": "cinema", "name": "Cinema", "imported": 2, "given": 1, "reserved": 0, "left": 1, "low_at": 2, "low": true })
    );
}

#[test]
fn codes_are_brought_in_by_whom_the_document_is_for() {
    let app = app();
    let till = app.new_key(&[Scope::WriteRedemptions, Scope::ReadMembers]);
    let by_till = call(&app, "POST", "code-pools/cinema/codes").key(&till.key).send("X-1");
    assert_eq!(by_till.problem(403, "forbidden")["scope"], "document:write");
    call(&app, "POST", "code-pools/cinemas/codes").send("X-1").problem(404, "unknown-code-pool");
    let long = format!("GOOD-1\n{}\n", "X".repeat(501));
    let told = call(&app, "POST", "code-pools/cinema/codes").send(long).problem(400, "invalid-request");
    assert_eq!(told["line"], 2);
    assert!(!told.to_string().contains("XXXX"), "a code is in no answer");
    assert_eq!(items(&app.get("code-pools").ok())[0]["imported"], 1, "those before it are in");
}

#[test]
fn the_catalogue_is_filtered_sorted_and_paged_and_says_what_is_missing() {
    let app = app();
    let ids = |list: &Value| -> Vec<String> {
        items(list).iter().map(|reward| reward["id"].as_str().unwrap().to_owned()).collect()
    };
    let page = app.get("rewards?sort=-price&limit=2").ok();
    assert_eq!((ids(&page), &page["next"]), (vec!["yacht".to_owned(), "film".to_owned()], &json!("film")));
    let rest = app.get("rewards?sort=-price&limit=2&after=film").ok();
    assert_eq!((ids(&rest), &rest["next"]), (vec!["hush".to_owned(), "tree".to_owned()], &Value::Null));
    let yacht = items(&app.get("rewards?member=card:1&sort=-price").ok())[0].clone();
    assert_eq!(
        (&yacht["affordable"], &yacht["missing"], &yacht["money"]),
        (&json!(false), &json!(8_800), &json!("1000000"))
    );
    assert_eq!(yacht["refused"]["detail"], "9000 bean are needed, 200 can be spent");
    assert_eq!(ids(&app.get("rewards?member=card:1&affordable=true").ok()), ["film", "hush", "tree"]);
    assert_eq!(ids(&app.get("rewards?member=card:1&available=true").ok()), ["hush", "tree"]);
    let film = call(&app, "GET", "rewards?gives=code_pool").header("accept-language", "vi").send("").ok();
    assert_eq!(
        (&items(&film)[0]["text"], &items(&film)[0]["images"][0]),
        (&json!("Một ghế"), &json!("https://cdn.example.com/film.jpg"))
    );
    comes_in_pages(&app, "rewards", 4);
    comes_in_pages(&app, "rewards?member=card:1&affordable=true&sort=-price", 3);
    // Its last one may be no longer what is looked for: the page goes on from its place all the same.
    let behind = app.get("rewards?member=card:1&available=true&sort=price&after=film").ok();
    assert_eq!(ids(&behind), Vec::<String>::new());
    let unknown = app.get("rewards?after=nothing").problem(400, "invalid-request");
    assert_eq!(unknown["detail"], "after: the `next` of the page before is expected");
    app.get("rewards?sort=colour").problem(400, "invalid-request");
    app.get("rewards?limit=0").problem(400, "invalid-request");
}

#[test]
fn what_a_public_cause_was_given_everybody_may_read() {
    let app = app();
    let id = take(&app, "tree", "k-1")["redemption"]["id"].as_str().unwrap().to_owned();
    take(&app, "tree", "k-2");
    take(&app, "hush", "k-3");
    let open = |cause: &str| call(&app, "GET", &format!("causes/{cause}")).key("").send("");
    assert_eq!(open("mangroves").ok()["total"], "40000");
    open("quiet").problem(404, "unknown-cause");
    open("reefs").problem(404, "unknown-cause");
    once(&app, "POST", &format!("redemptions/{id}/return"), "b").send("").ok();
    assert_eq!(open("mangroves").ok()["total"], "20000");
    let all = app.get("causes").ok();
    assert_eq!(items(&all).len(), 2);
    let settled = app.get("donations?from=2026-03-01&until=2026-03-31").ok();
    assert_eq!(
        items(&settled)[0],
        json!({ "cause": "mangroves", "month": "2026-03", "given": "40000", "taken_back": "20000", "due": "20000", "currency": "VND" })
    );
    assert_eq!(items(&app.get("donations?from=2026-04-01").ok()).len(), 0);
}

const BY_HAND: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: never } }
rewards:
  mug: { costs: { bean: 40 }, gives: { item: MUG }, fulfilment: {} }
  seat: { costs: { bean: 10 }, gives: { experience: { day: 2026-06-01 } }, stock: 1, waitlist: {} }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

#[test]
fn what_people_have_to_do_is_listed_by_state_and_by_whom_it_was_done() {
    let app = TestApp::new(BY_HAND);
    app.post("events", &event("purchase", "r-1", "card:1", &data::sale("r-1", 200_000))).ok();
    let ids: Vec<String> =
        ["k-1", "k-2", "k-3"].map(|key| take(&app, "mug", key)["redemption"]["id"].as_str().unwrap().to_owned()).into();
    let page = app.get("fulfilments?state=requested&limit=2").ok();
    assert_eq!(items(&page)[0]["redemption"], ids[0]);
    let rest = app.get(&format!("fulfilments?state=requested&limit=2&after={}", page["next"].as_str().unwrap())).ok();
    assert_eq!((items(&rest).len(), &items(&rest)[0]["redemption"], &rest["next"]), (1, &json!(ids[2]), &Value::Null));
    comes_in_pages(&app, "fulfilments?state=requested", 3);
    for after in ["first", "7.first", ids[0].as_str()] {
        let unknown = app.get(&format!("fulfilments?state=requested&after={after}")).problem(400, "invalid-request");
        assert_eq!(unknown["detail"], "after: the `next` of the page before is expected");
    }
    let path = format!("redemptions/{}/fulfilment", ids[0]);
    let step = |state: &str, key: &str| once(&app, "POST", &path, key).json(&json!({ "state": state }));
    let done = step("done", "f-1").ok();
    assert_eq!(done["redemption"]["given"]["fulfilment"]["by"], "test");
    assert_eq!(step("done", "f-1").header("idempotency-replayed"), Some("true"));
    assert_eq!(step("sent", "f-2").problem(409, "fulfilment-not-there")["next"], json!([]));
    step("lost", "f-3").problem(400, "invalid-request");
    assert_eq!(items(&app.get("fulfilments?state=requested").ok()).len(), 2);
    assert_eq!(items(&app.get("fulfilments?state=done").ok())[0]["reward"], "mug");
}

#[test]
fn what_comes_free_goes_to_whoever_waited_longest() {
    let app = TestApp::new(BY_HAND);
    for number in 1..=3 {
        let id = format!("r-{number}");
        app.post("events", &event("purchase", &id, &format!("card:{number}"), &data::sale(&id, 200_000))).ok();
    }
    let taken = take(&app, "seat", "k-1");
    let wait =
        |member: &str, key: &str| once(&app, "POST", "rewards/seat/waitlist", key).json(&json!({ "member": member }));
    assert_eq!(wait("card:2", "w-2").ok()["effects"][0]["place"], 1);
    assert_eq!(wait("card:3", "w-3").ok()["effects"][0]["place"], 2);
    wait("card:3", "w-4").problem(409, "waits-already");
    let id = taken["redemption"]["id"].as_str().unwrap();
    once(&app, "POST", &format!("redemptions/{id}/return"), "b").send("").ok();
    let grab = |member: &str, key: &str| {
        once(&app, "POST", "redemptions", key).json(&json!({ "member": member, "reward": "seat", "capture": true }))
    };
    grab("card:1", "g-1").problem(409, "reward-waited-for");
    assert!(app.run_scheduler() > 0);
    let places = app.get("rewards/seat/waitlist").ok();
    let states: Vec<&Value> = items(&places).iter().map(|place| &place["state"]).collect();
    assert_eq!(states, ["offered", "waiting"]);
    comes_in_pages(&app, "rewards/seat/waitlist", 2);
    grab("card:3", "g-3").problem(409, "reward-sold-out");
    assert_eq!(grab("card:2", "g-2").status, 201);
    assert_eq!(app.run_scheduler(), 0, "nothing is left to offer");
    assert_eq!(items(&app.get("rewards/seat/waitlist").ok()).len(), 1);
}
