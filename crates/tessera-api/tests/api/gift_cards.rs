//! `POST …/gift-cards` and what follows (V3).

use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp, event};

use crate::common::{call, items, once};
use crate::lists::{comes_in_pages, pages};

const CARDS: &str = "
unknown_member: enrol
cash_rounding: { cash: 1000 }
gift_cards: { min: 50000, max: 5000000, name: { vi: Thẻ quà, en: Gift card } }
currencies: { bean: { name: Bean, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] } }
";

fn app() -> TestApp {
    TestApp::new(CARDS)
}

fn make(app: &TestApp, key: &str, body: &Value) -> Value {
    let reply = once(app, "POST", "gift-cards", key).json(body);
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(reply.headers["cache-control"], "no-store");
    reply.json()
}

fn code_of(made: &Value) -> String {
    made["gift_card"]["code"].as_str().unwrap().to_owned()
}

/// A card of 500,000 ₫.
fn card(app: &TestApp) -> String {
    code_of(&make(app, "new", &json!({ "amount": "500000" })))
}

fn at(app: &TestApp, card: &str, step: &str, key: &str, body: &Value) -> Reply {
    once(app, "POST", &format!("gift-cards/{card}/{step}"), key).json(body)
}

fn pay(app: &TestApp, card: &str, key: &str, body: &Value) -> Value {
    let reply = at(app, card, "redemptions", key, body);
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.json()
}

fn shown(app: &TestApp, card: &str) -> Value {
    call(app, "GET", &format!("gift-cards/{card}")).send("").ok()
}

fn balance(app: &TestApp, card: &str) -> String {
    shown(app, card)["balance"].as_str().unwrap().to_owned()
}

#[test]
fn v3_the_code_is_shown_once_and_then_its_end() {
    let app = app();
    let made = make(&app, "k", &json!({ "amount": "500000", "order_id": "A-1", "buyer": null }));
    let code = code_of(&made);
    assert_eq!(code.len(), 19);
    assert_eq!(made["gift_card"]["balance"], "500000");
    let view = shown(&app, &code);
    assert_eq!((&view["last_four"], &view["status"]), (&json!(code[15..]), &json!("active")));
    assert!(!view.to_string().contains(&code[..4]));
    assert_eq!(view["expires"], json!([{ "amount": "500000", "last_day": null }]));
    let typed = code.to_lowercase().replace('-', "%20");
    assert_eq!(balance(&app, &typed), "500000", "however it is typed");
    assert_eq!(shown(&app, view["id"].as_str().unwrap())["id"], view["id"], "by its id, where the code is not at hand");
}

#[test]
fn i1_a_retry_gets_the_same_card_with_the_same_code() {
    let app = app();
    let body = json!({ "amount": "500000" });
    let first = make(&app, "k", &body);
    let again = once(&app, "POST", "gift-cards", "k").json(&body);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(
        (code_of(&again.json()), again.json()["gift_card"]["id"].clone()),
        (code_of(&first), first["gift_card"]["id"].clone())
    );
    once(&app, "POST", "gift-cards", "k").json(&json!({ "amount": "600000" })).problem(409, "idempotency-key-reused");
    assert_ne!(code_of(&make(&app, "other", &body)), code_of(&first));
}

#[test]
fn v3_a_card_printed_elsewhere_has_its_own_code() {
    let app = app();
    let body = json!({ "amount": "0", "code": "HCM 0001 2345" });
    make(&app, "k", &body);
    assert_eq!(
        at(&app, "hcm00012345", "top-up", "t", &json!({ "amount": 50000 })).ok()["gift_card"]["balance"],
        "50000"
    );
    once(&app, "POST", "gift-cards", "k2").json(&body).problem(409, "gift-card-exists");
    for wrong in ["1234567", "ÄÖÜ456789", "a:b:c:d:e:f:g"] {
        let reply = once(&app, "POST", "gift-cards", "w").json(&json!({ "amount": "0", "code": wrong }));
        reply.problem(400, "invalid-event");
    }
}

#[test]
fn v3_what_is_paid_in_is_checked() {
    let app = app();
    let wrong = |amount: Value| once(&app, "POST", "gift-cards", "w").json(&json!({ "amount": amount }));
    wrong(json!("49999")).problem(422, "gift-card-below-minimum");
    wrong(json!("5000001")).problem(422, "gift-card-over-maximum");
    wrong(json!("-1")).problem(400, "invalid-request");
    let problem = wrong(json!("50000.5")).problem(400, "invalid-request");
    assert_eq!(problem["detail"], "amount: a whole amount of VND of 0 or more is expected");
    let empty = once(&app, "POST", "gift-cards", "e").send("").problem(400, "invalid-json");
    assert_eq!(empty["detail"], "the body is empty: a JSON object is expected");
    let buyer = json!({ "amount": "60000", "buyer": "card:9" });
    let problem = once(&app, "POST", "gift-cards", "b").json(&buyer).problem(404, "unknown-member");
    assert_eq!(problem["detail"], "buyer: nobody is known under this id or name");
    let batch = once(&app, "POST", "gift-cards/batch", "c").json(&json!({ "count": "7", "amount": "0" }));
    let detail = batch.problem(400, "invalid-json")["detail"].to_string();
    assert!(detail.contains("expected a whole number at line 1"), "{detail}");
}

#[test]
fn v3_a_card_pays_in_parts_and_gets_its_own_money_back() {
    let app = app();
    let code = card(&app);
    let wish = json!({ "payable": "620500", "tender": "cash" });
    let quote = call(&app, "POST", &format!("gift-cards/{code}/redemptions/quote")).json(&wish).ok();
    assert_eq!(quote["amount"], "500000");
    assert_eq!((&quote["bill"]["remainder"], &quote["bill"]["asked"]), (&json!("120500"), &json!("121000")));
    let reserved = pay(&app, &code, "p", &json!({ "payable": "120500", "order_id": "A-1" }));
    assert_eq!((&reserved["amount"], &reserved["gift_card"]["balance"]), (&json!("120500"), &json!("379500")));
    let id = reserved["redemption"]["id"].as_str().unwrap();
    once(&app, "POST", &format!("redemptions/{id}/capture"), "c").send("").ok();
    let back = once(&app, "POST", &format!("redemptions/{id}/return"), "r").json(&json!({ "points": 20500 })).ok();
    assert_eq!(back["redemption"]["returned"], 20500);
    assert_eq!(balance(&app, &code), "400000");
    let more = once(&app, "POST", &format!("redemptions/{id}/return"), "r2").json(&json!({ "points": 100001 }));
    more.problem(422, "returned-more-than-captured");
    let moved = call(&app, "GET", &format!("gift-cards/{code}/movements")).send("").ok();
    let kinds: Vec<&str> = items(&moved).iter().map(|moved| moved["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["refund", "redemption", "reservation", "load"]);
    at(&app, &code, "redemptions", "q", &json!({ "amount": "400001" })).problem(409, "not-enough-on-gift-card");
}

#[test]
fn v3_only_the_code_pays() {
    let app = app();
    let code = card(&app);
    let id = shown(&app, &code)["id"].as_str().unwrap().to_owned();
    at(&app, &id, "redemptions", "p", &json!({ "amount": "1000" })).problem(404, "unknown-gift-card");
    let beans = json!({ "member": format!("gift-card:{code}"), "currency": "bean", "points": 1 });
    once(&app, "POST", "redemptions", "b").json(&beans).problem(422, "unknown-currency");
}

#[test]
fn v3_a_mistyped_code_is_told_from_one_that_is_not_there() {
    let app = app();
    let mut code = card(&app).into_bytes();
    code[0] = if code[0] == b'A' { b'B' } else { b'A' };
    let mistyped = String::from_utf8(code).unwrap();
    let reply = call(&app, "GET", &format!("gift-cards/{mistyped}")).send("");
    assert_eq!(reply.json()["mistyped"], true);
    reply.problem(404, "unknown-gift-card");
    let elsewhere = call(&app, "GET", "gift-cards/HCM00012345").send("");
    assert_eq!(elsewhere.json()["mistyped"], Value::Null);
    at(&app, &mistyped, "redemptions", "p", &json!({ "amount": "1000" })).problem(404, "unknown-gift-card");
}

#[test]
fn v3_a_lost_card_is_blocked_and_replaced() {
    let app = app();
    let code = card(&app);
    let id = shown(&app, &code)["id"].as_str().unwrap().to_owned();
    at(&app, &id, "block", "b", &json!({ "reason": "lost in a taxi" })).ok();
    assert_eq!(shown(&app, &code)["status"], "blocked");
    at(&app, &code, "redemptions", "p", &json!({ "amount": "1000" })).problem(409, "gift-card-blocked");
    let replaced = once(&app, "POST", &format!("gift-cards/{id}/replacement"), "r").send("");
    let again = once(&app, "POST", &format!("gift-cards/{id}/replacement"), "r").send("");
    let other = code_of(&replaced.ok());
    assert_eq!(code_of(&again.ok()), other);
    assert_ne!(other, code);
    at(&app, &code, "redemptions", "p2", &json!({ "amount": "1000" })).problem(409, "gift-card-replaced");
    call(&app, "GET", &format!("gift-cards/{code}")).send("").problem(409, "gift-card-replaced");
    let view = shown(&app, &other);
    assert_eq!(
        (&view["balance"], &view["status"], &view["last_four"]),
        (&json!("500000"), &json!("active"), &json!(other[15..]))
    );
    pay(&app, &other, "p3", &json!({ "amount": "500000", "capture": true }));
    at(&app, &other, "top-up", "t", &json!({ "amount": "50000" })).ok();
    at(&app, &id, "block", "b2", &json!({})).ok();
    at(&app, &id, "unblock", "u", &json!({})).ok();
    assert_eq!(balance(&app, &other), "50000");
}

#[test]
fn r8_a_return_gives_back_to_the_card_what_it_paid() {
    let app = app();
    let code = card(&app);
    let paid = pay(&app, &code, "p", &json!({ "amount": "150000", "order_id": "A-1", "capture": true }));
    let redemption = paid["redemption"]["id"].clone();
    let order = |order_id: &str, amount: i64| {
        let data = json!({ "order_id": order_id, "currency": "VND", "total": 300_000,
            "payments": [{ "method": "gift_card", "amount": amount, "redemption": redemption }, { "method": "cash", "amount": 300_000 - amount }],
            "items": [{ "line": "A", "quantity": 3, "unit_price": 100_000 }] });
        event("purchase", &format!("{order_id}/{amount}"), "card:1", &data.to_string())
    };
    app.post("events", &order("A-1", 150_001)).problem(422, "gift-card-paid-less");
    app.post("events", &order("A-2", 150_000)).problem(422, "redemption-of-another-order");
    app.post("events", &order("A-1", 150_000)).ok();
    assert_eq!(app.available("card:1", "bean"), 300, "what is paid with a card earns (M4)");
    let back = json!({ "order_id": "A-1", "items": [{ "line": "A", "quantity": 1 }] });
    let returned = app.post("events", &event("return", "r-1", "card:1", &back.to_string())).ok();
    let money: Vec<(&Value, &Value)> = items_of_money(&returned);
    assert_eq!(money, [(&json!("to_gift_card"), &json!("50000")), (&json!("money_back"), &json!("50000"))]);
    app.relay();
    assert_eq!(balance(&app, &code), "400000");
    app.post("events", &event("return", "r-2", "card:1", &json!({ "order_id": "A-1" }).to_string())).ok();
    app.relay();
    assert_eq!(balance(&app, &code), "500000");
}

fn items_of_money(outcome: &Value) -> Vec<(&Value, &Value)> {
    let effects = outcome["effects"].as_array().unwrap().iter();
    effects.filter(|effect| !effect["money"].is_null()).map(|effect| (&effect["type"], &effect["money"])).collect()
}

#[test]
fn v3_a_card_is_in_no_list_of_members_and_no_event_is_about_it() {
    let app = app();
    let code = card(&app);
    let id = shown(&app, &code)["id"].as_str().unwrap().to_owned();
    assert_eq!(items(&app.get("members").ok()).len(), 0);
    for member in [&id, &format!("gift-card:{code}")] {
        app.get(&format!("members/{member}")).problem(404, "unknown-member");
        let sale = event("purchase", "s", member, r#"{"order_id": "o", "currency": "VND", "total": 1}"#);
        app.post("events", &sale).problem(404, "unknown-member");
    }
    let joins = json!({ "identifiers": ["gift-card:12345678"] });
    once(&app, "POST", "members", "m").json(&joins).problem(409, "identifier-taken");
    let summary =
        tessera_engine::report::summary(&app.engine().context, &app.program, app.now().plus_seconds(1)).unwrap();
    let cards = summary.gift_cards.clone().unwrap();
    assert_eq!((summary.members, summary.by_month.len()), (0, 0));
    assert_eq!((cards.cards, cards.sold.as_str(), cards.outstanding.as_str()), (1, "500000", "500000"));
}

#[test]
fn v3_a_print_run_streams_its_cards_and_makes_none_twice() {
    let app = app();
    let body = json!({ "count": 1000, "amount": "0" });
    let first = once(&app, "POST", "gift-cards/batch", "run-1").json(&body);
    assert_eq!(
        (first.status.as_u16(), &first.headers["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    let codes = |reply: &Reply| -> Vec<String> {
        let lines = reply.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| code_of(&line)).collect()
    };
    let printed = codes(&first);
    let different: std::collections::BTreeSet<&String> = printed.iter().collect();
    assert_eq!((printed.len(), different.len()), (1000, 1000));
    assert_eq!(codes(&once(&app, "POST", "gift-cards/batch", "run-1").json(&body)), printed);
    at(&app, &printed[999], "top-up", "t", &json!({ "amount": "50000" })).ok();
    assert_eq!(balance(&app, &printed[999]), "50000");
    let csv = once(&app, "POST", "gift-cards/batch", "run-2").header("accept", "text/csv");
    let csv = csv.json(&json!({ "count": 3, "amount": "50000" }));
    let lines: Vec<&str> = csv.body.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "number,code,id,balance,problem"));
    assert!(lines[3].starts_with("3,") && lines[3].ends_with(",50000,"), "{}", lines[3]);
    let wrong = once(&app, "POST", "gift-cards/batch", "run-3").json(&json!({ "count": 3, "amount": "1" }));
    wrong.problem(422, "gift-card-below-minimum");
    once(&app, "POST", "gift-cards/batch", "run-4")
        .json(&json!({ "count": 10001, "amount": "0" }))
        .problem(400, "invalid-request");
}

#[test]
fn v3_the_cards_of_a_program_are_listed_by_pages_and_status() {
    let app = app();
    let printed = once(&app, "POST", "gift-cards/batch", "run").json(&json!({ "count": 7, "amount": "0" }));
    let codes: Vec<String> = printed.lines().iter().map(code_of).collect();
    for (place, code) in codes.iter().take(3).enumerate() {
        at(&app, code, "top-up", &format!("t-{place}"), &json!({ "amount": "50000" })).ok();
    }
    at(&app, &codes[2], "block", "b", &json!({})).ok();
    let page = |query: &str| app.get(&format!("gift-cards?{query}")).ok();
    let count = |status: &str| items(&page(&format!("status={status}"))).len();
    assert_eq!((count("active"), count("empty"), count("blocked")), (2, 4, 1));
    let mut seen = std::collections::BTreeSet::new();
    let mut query = "limit=3".to_owned();
    loop {
        let found = page(&query);
        let text = found.to_string();
        assert!(!codes.iter().any(|code| text.contains(code.as_str())), "codes are not shown");
        seen.extend(items(&found).iter().map(|card| card["id"].as_str().unwrap().to_owned()));
        let Some(next) = found["next"].as_str() else { break };
        query = format!("limit=3&after={next}");
    }
    assert_eq!(seen.len(), 7);
    comes_in_pages(&app, "gift-cards", 7);
    comes_in_pages(&app, "gift-cards?status=active", 2);
    comes_in_pages(&app, "gift-cards?status=empty", 4);
    app.get("gift-cards?status=lost").problem(400, "invalid-request");
    app.get("gift-cards?after=first").problem(400, "invalid-request");
    app.send(&event("enrol", "e", "card:1", "{}"));
    assert_eq!(items(&page("")).len(), 7, "members are no cards");
}

#[test]
fn v3_of_more_cards_than_are_read_at_once_each_is_listed_once() {
    let app = app();
    let printed = once(&app, "POST", "gift-cards/batch", "run").json(&json!({ "count": 401, "amount": "0" })).lines();
    let listed = |limit: usize| -> Vec<Value> {
        let cards = pages(&app, "gift-cards", limit);
        assert_eq!(cards.len(), 401_usize.div_ceil(limit));
        cards.concat().iter().map(|card| card["id"].clone()).collect()
    };
    let all = listed(200);
    let different: std::collections::BTreeSet<&str> = all.iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!((all.len(), different.len()), (401, 401));
    assert_eq!(listed(150), all);
    // The few of a status are found wherever they stand, and asked for a page at a time they are the same.
    let few: Vec<&Value> = [0, 199, 200, 400].into_iter().map(|place: usize| &all[place]).collect();
    for (place, card) in printed.iter().filter(|card| few.contains(&&card["gift_card"]["id"])).enumerate() {
        at(&app, &code_of(card), "top-up", &format!("t-{place}"), &json!({ "amount": "50000" })).ok();
    }
    for limit in [1, 3, 200] {
        let active = pages(&app, "gift-cards?status=active", limit).concat();
        assert_eq!(active.iter().map(|card| &card["id"]).collect::<Vec<_>>(), few, "limit {limit}");
    }
}

#[test]
fn v3_what_moved_on_a_card_comes_a_page_at_a_time_newest_first_and_is_of_that_card() {
    let app = app();
    let (one, other) = (card(&app), code_of(&make(&app, "other", &json!({ "amount": "300000" }))));
    for (place, code) in [&one, &other, &one, &one].into_iter().enumerate() {
        pay(&app, code, &format!("p-{place}"), &json!({ "amount": "1000" }));
    }
    let path = format!("gift-cards/{one}/movements");
    comes_in_pages(&app, &path, 4);
    let seqs: Vec<i64> = items(&app.get(&path).ok()).iter().map(|moved| moved["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, [4, 3, 2, 1]);
    let own = shown(&app, &one)["id"].as_str().unwrap().replace("mem_", "evt_");
    let moved = pages(&app, &path, 3).concat();
    assert!(moved.iter().all(|moved| moved["event_id"].as_str().unwrap().starts_with(&own)), "{own}: {moved:?}");
    app.get(&format!("{path}?after=first")).problem(400, "invalid-request");
}

#[test]
fn v3_a_void_card_is_empty_and_the_report_says_so() {
    let app = app();
    let code = card(&app);
    let reserved = pay(&app, &code, "p", &json!({ "amount": "100000" }));
    let problem = at(&app, &code, "void", "v", &json!({ "reason": "sold twice" })).problem(409, "gift-card-in-use");
    assert_eq!(problem["held"], "100000");
    let id = reserved["redemption"]["id"].as_str().unwrap();
    once(&app, "POST", &format!("redemptions/{id}/capture"), "c").send("").ok();
    assert_eq!(at(&app, &code, "void", "v2", &json!({ "reason": "sold twice" })).ok()["gift_card"]["balance"], "0");
    assert_eq!(shown(&app, &code)["status"], "blocked");
    at(&app, &code, "redemptions", "p2", &json!({ "amount": "1000" })).problem(409, "gift-card-blocked");
    let summary =
        tessera_engine::report::summary(&app.engine().context, &app.program, app.now().plus_seconds(1)).unwrap();
    let cards = summary.gift_cards.clone().unwrap();
    let sums = [&cards.sold, &cards.spent, &cards.voided, &cards.outstanding].map(String::as_str);
    assert_eq!(sums, ["500000", "100000", "400000", "0"]);
}

#[test]
fn v1_who_guesses_codes_of_cards_is_shut_out_for_a_while() {
    let app = app();
    let code = card(&app);
    let id = shown(&app, &code)["id"].as_str().unwrap().to_owned();
    let guess = |number: usize| call(&app, "GET", &format!("gift-cards/GUESS{number:05}")).send("");
    for number in 0..200 {
        guess(number).problem(404, "unknown-gift-card");
    }
    let refused = guess(200);
    assert_eq!(refused.header("retry-after"), Some("600"));
    refused.problem(429, "too-many-wrong-codes");
    let amount = json!({ "amount": "60000" });
    for (step, body) in [("redemptions", &amount), ("top-up", &amount), ("void", &json!({})), ("block", &json!({}))] {
        at(&app, &code, step, "k", body).problem(429, "too-many-wrong-codes");
    }
    call(&app, "GET", &format!("gift-cards/{code}/movements")).send("").problem(429, "too-many-wrong-codes");
    assert_eq!(shown(&app, &id)["balance"], "500000", "by its id a card is found still");
    make(&app, "another", &json!({ "amount": "60000" }));
    app.set_clock("2026-03-02T10:11");
    at(&app, &code, "redemptions", "k2", &json!({ "amount": "60000" })).ok();
}

#[test]
fn v1_who_guesses_cards_from_one_address_is_shut_out_whatever_key_they_show() {
    let app = app();
    let code = card(&app);
    let look = |code: &str, address: &str, key: &str| {
        call(&app, "GET", &format!("gift-cards/{code}")).key(key).from_address(address).send("")
    };
    let keys: Vec<String> = (0..3).map(|_| app.new_key(&tessera_engine::access::Scope::ALL).key).collect();
    for number in 0..50 {
        look(&format!("GUESS{number:05}"), "10.0.0.7", &keys[number % 3]).problem(404, "unknown-gift-card");
    }
    let refused = look(&code, "10.0.0.7", &keys[0]);
    assert_eq!(refused.header("retry-after"), Some("600"));
    refused.problem(429, "too-many-wrong-codes");
    let pay = |address: &str, key: &str| {
        let path = format!("gift-cards/{code}/redemptions");
        let call = call(&app, "POST", &path).key(&keys[1]).header("idempotency-key", key).from_address(address);
        call.json(&json!({ "amount": "1000", "capture": true }))
    };
    pay("10.0.0.7", "p-1").problem(429, "too-many-wrong-codes");
    assert_eq!(pay("10.0.0.8", "p-2").status, 201, "nobody else is shut out");
    // The time counts from the first wrong one, and then it begins again.
    app.set_clock("2026-03-02T10:09");
    look(&code, "10.0.0.7", &keys[0]).problem(429, "too-many-wrong-codes");
    app.set_clock("2026-03-02T10:10");
    assert_eq!(look(&code, "10.0.0.7", &keys[0]).ok()["balance"], "499000");
    for number in 0..49 {
        look(&format!("AGAIN{number:05}"), "10.0.0.7", &keys[0]).problem(404, "unknown-gift-card");
    }
    look(&code, "10.0.0.7", &keys[0]).ok();
}

#[test]
fn v1_a_mistyped_card_counts_less_than_a_guess() {
    let app = app();
    let code = card(&app);
    let first = if code.starts_with('2') { '3' } else { '2' };
    let typo = format!("{first}{}", &code[1..]);
    for _ in 0..999 {
        call(&app, "GET", &format!("gift-cards/{typo}")).send("").problem(404, "unknown-gift-card");
    }
    shown(&app, &code);
    call(&app, "GET", &format!("gift-cards/{typo}")).send("").problem(404, "unknown-gift-card");
    call(&app, "GET", &format!("gift-cards/{code}")).send("").problem(429, "too-many-wrong-codes");
}
