//! Codes by the batch: made, shared, taken in, listed, made void; and who guesses.

use std::collections::BTreeSet;

use axum::body::Body;
use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{call, items, once};
use crate::lists::comes_in_pages;

const CAFE: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: never } }
events: { visit: { data: {} } }
vouchers:
  ten: { gives: { amount_off: 10000 }, uses: { per_member: { ever: 1 } }, on_return: rearm }
  cap: { gives: { points: { bean: 25 } }, valid: P90D }
";

fn app() -> TestApp {
    let app = TestApp::new(CAFE);
    for member in 1..4 {
        app.post("events", &event("visit", &format!("v-{member}"), &format!("card:{member}"), "{}")).ok();
    }
    app
}

fn codes(app: &TestApp, voucher: &str, key: &str, body: &Value) -> Reply {
    once(app, "POST", &format!("vouchers/{voucher}/codes"), key).json(body)
}

/// The batch, and its codes.
fn made(reply: &Reply) -> (Value, Vec<String>) {
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-type")),
        (200, Some("application/x-ndjson")),
        "{}",
        reply.body
    );
    let mut lines = reply.lines().into_iter();
    let batch = lines.next().unwrap();
    (batch, lines.map(|line| line["code"].as_str().unwrap().to_owned()).collect())
}

fn buy(app: &TestApp, order: &str, member: &str, code: &str) -> Reply {
    let purchase = data::sale_with(order, &[("A", "goods", 1, 50_000)], &format!(", \"vouchers\": [\"{code}\"]"));
    app.post("events", &event("purchase", order, member, &purchase))
}

fn claim(app: &TestApp, code: &str, member: &str, key: &str) -> Reply {
    once(app, "POST", &format!("vouchers/{code}/redeem"), key).json(&json!({ "member": member }))
}

#[test]
fn v1_codes_are_made_once_and_the_same_call_gives_the_same() {
    let app = app();
    let (batch, first) = made(&codes(&app, "ten", "k-1", &json!({ "count": 2_500, "name": "spring" })));
    assert_eq!((&batch["codes"], &batch["name"], &batch["kind"]), (&json!(2_500), &json!("spring"), &json!("made")));
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 2_500, "all differ");
    let (again, second) = made(&codes(&app, "ten", "k-1", &json!({ "count": 2_500, "name": "spring" })));
    assert_eq!((&again["id"], &second), (&batch["id"], &first));
    assert_eq!(app.count("SELECT COUNT(*) FROM voucher_code"), 2_500);
    codes(&app, "ten", "k-1", &json!({ "count": 2_501 })).problem(409, "idempotency-key-reused");
    let (_, others) = made(&codes(&app, "ten", "k-2", &json!({ "count": 10 })));
    assert!(others.iter().all(|code| !first.contains(code)));
    buy(&app, "o-1", "card:1", &first[2_400]).ok();
    buy(&app, "o-2", "card:2", &first[2_400]).problem(409, "voucher-used-up");
    buy(&app, "o-2", "card:1", &first[0]).problem(422, "voucher-limit");
}

#[test]
fn v1_a_batch_that_broke_off_goes_on() {
    let app = app();
    let (_, first) = made(&codes(&app, "ten", "k-1", &json!({ "count": 1_500 })));
    let lost = "DELETE FROM voucher_code WHERE number > 700";
    app.engine().executor().write::<_, tessera_engine::StoreError>(|tx| tx.execute(lost, &[])).unwrap();
    let (_, second) = made(&codes(&app, "ten", "k-1", &json!({ "count": 1_500 })));
    assert_eq!(first, second);
    assert_eq!(app.count("SELECT COUNT(*) FROM voucher_code"), 1_500);
}

#[test]
fn v1_no_code_stands_in_the_database() {
    let app = app();
    let (_, made) = made(&codes(&app, "ten", "k-1", &json!({ "count": 20 })));
    codes(&app, "ten", "k-2", &json!({ "code": "TET-2026" })).lines();
    let Ok(file) = std::fs::read(app.database_file()) else {
        println!("skipped: a test of the embedded database's file");
        return;
    };
    let log = std::fs::read(app.database_file().with_extension("db-wal")).unwrap_or_default();
    let holds = |text: &str| {
        let text = text.replace('-', "").into_bytes();
        [&file, &log].into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text))
    };
    assert!(!made.iter().any(|code| holds(code)) && !holds("TET2026"));
}

#[test]
fn a_batch_is_a_csv_file_for_whoever_asks() {
    let app = app();
    let reply =
        once(&app, "POST", "vouchers/ten/codes", "k-1").header("accept", "text/csv").json(&json!({ "count": 2 }));
    let lines: Vec<&str> = reply.body.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "number,code"));
    assert!(lines[1].starts_with("1,") && lines[2].starts_with("2,"), "{lines:?}");
}

#[test]
fn v1_short_codes_are_for_claims_and_only_as_many_as_nobody_guesses() {
    let app = app();
    let refused =
        codes(&app, "ten", "k-1", &json!({ "count": 10, "length": 10 })).problem(422, "codes-too-easy-to-guess");
    assert!(refused["detail"].as_str().unwrap().contains("9 random ones of 23, which is 40 bits"), "{refused}");
    let refused =
        codes(&app, "cap", "k-2", &json!({ "count": 4_000, "length": 8 })).problem(422, "codes-too-easy-to-guess");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("23^7 = 3404825447") && detail.contains("one guess in 851206 hits"), "{detail}");
    assert!(detail.ends_with("give `length` 9"), "{detail}");
    made(&codes(&app, "cap", "k-3", &json!({ "count": 3_000, "length": 8 })));
    let refused =
        codes(&app, "cap", "k-4", &json!({ "count": 500, "length": 8 })).problem(422, "codes-too-easy-to-guess");
    assert_eq!((&refused["valid"], &refused["most"]), (&json!(3_000), &json!(3_404)));
    made(&codes(&app, "cap", "k-5", &json!({ "count": 404, "length": 8 })));
    assert_eq!(app.count("SELECT COUNT(*) FROM voucher_batch"), 2, "what was refused left nothing");
}

#[test]
fn v1_an_on_pack_code_is_claimed_once() {
    let app = app();
    let (batch, made) =
        made(&codes(&app, "cap", "k-1", &json!({ "count": 5, "length": 10, "expires_on": "2026-03-10" })));
    assert_eq!(made[0].replace('-', "").len(), 10);
    assert_eq!(batch["expires_at"], "2026-03-10T17:00:00Z");
    let outcome = claim(&app, &made[0].to_lowercase(), "card:1", "c-1").ok();
    assert_eq!(outcome["balances"]["bean"]["available"], 25);
    claim(&app, &made[0], "card:2", "c-2").problem(409, "voucher-used-up");
    let found = call(&app, "POST", &format!("vouchers/{}/validate", made[1])).json(&json!({ "member": "card:1" })).ok();
    assert_eq!(found["claim"]["points"], json!({ "bean": 25 }));
    app.set_clock("2026-03-11T00:00");
    claim(&app, &made[1], "card:1", "c-3").problem(422, "voucher-expired");
}

#[test]
fn v1_a_shared_code_has_a_total_that_is_never_passed() {
    let app = app();
    let (batch, told) = made(&codes(&app, "ten", "k-1", &json!({ "code": "tet 2026", "total": 2 })));
    assert_eq!((&batch["kind"], told.as_slice()), (&json!("shared"), ["TET2026".to_owned()].as_slice()));
    codes(&app, "ten", "k-1", &json!({ "code": "TET2026", "total": 2 })).lines();
    codes(&app, "ten", "k-2", &json!({ "code": "TET-2026" })).problem(409, "code-exists");
    buy(&app, "o-1", "card:1", "TET2026").ok();
    buy(&app, "o-2", "card:1", "TET2026").problem(422, "voucher-limit");
    buy(&app, "o-2", "card:2", "tet-2026").ok();
    buy(&app, "o-3", "card:3", "TET2026").problem(409, "voucher-used-up");
    let shown = app.get("vouchers/TET2026").ok();
    assert_eq!((&shown["state"], &shown["uses"], &shown["uses_left"]), (&json!("used"), &json!(2), &json!(0)));
    app.post("events", &event("return", "b-1", "card:1", &data::back_all("o-1"))).ok();
    // Where the database is spread, the shard of its member gives it back.
    app.run_scheduler();
    // A refused command stays refused: this is another.
    buy(&app, "o-4", "card:3", "TET2026").ok();
}

#[test]
fn v1_sixty_four_want_a_shared_code_of_five_at_once() {
    for app in [Some(TestApp::new(CAFE)), TestApp::on_postgres(CAFE)].into_iter().flatten() {
        codes(&app, "ten", "k-1", &json!({ "code": "TET2026", "total": 5 })).lines();
        let sales: Vec<Value> = (0..64)
            .map(|number| {
                let order = format!("o-{number}");
                let purchase = data::sale_with(&order, &[("A", "goods", 1, 50_000)], ", \"vouchers\": [\"TET2026\"]");
                event("purchase", &order, &format!("card:{number}"), &purchase)
            })
            .collect();
        let answers = app.send_together(&sales);
        let done = answers.iter().filter(|answer| matches!(answer, tessera_engine::submission::Answer::Done { .. }));
        assert_eq!(done.count(), 5);
    }
}

#[test]
fn codes_of_somebody_else_are_taken_in_with_their_lines() {
    let app = app();
    let import = |text: &str| {
        once(&app, "POST", "vouchers/ten/codes/import?name=partner", "k-1")
            .header("content-type", "text/plain")
            .send(text.to_owned())
            .ok()
    };
    let file = "SUMMER-1\nSUMMER-2\r\n\nsummer1\nab\nSUMMER-3";
    let told = import(file);
    assert_eq!((&told["lines"], &told["imported"]), (&json!(6), &json!(3)));
    let problems: Vec<(&Value, &Value)> =
        told["problems"].as_array().unwrap().iter().map(|problem| (&problem["line"], &problem["detail"])).collect();
    assert_eq!(problems[0], (&json!(4), &json!("a duplicate of line 1")));
    assert_eq!(problems[1].0, &json!(5));
    let again = import(file);
    assert_eq!(again["problems"], told["problems"], "the same file may be sent again");
    let other = once(&app, "POST", "vouchers/ten/codes/import", "k-2").send("SUMMER-3\n").ok();
    assert_eq!(other["problems"][0]["detail"], "the program has this code already");
    buy(&app, "o-1", "card:1", "summer-2").ok();
    let batch = told["batch"].as_str().unwrap();
    let listed = app.get(&format!("voucher-batches/{batch}/codes?state=open")).ok();
    let open: Vec<(&Value, &Value)> = items(&listed).iter().map(|item| (&item["number"], &item["code"])).collect();
    assert_eq!(open, [(&json!(1), &json!("SUMMER1")), (&json!(6), &json!("SUMMER3"))]);
}

/// A body that ends in the middle of a line, without its end.
fn broken_off(text: &str) -> Body {
    let chunks = [Ok(text.to_owned()), Err(std::io::Error::other("the client is gone"))];
    Body::from_stream(futures_util::stream::iter(chunks))
}

#[test]
fn c6_what_came_of_a_file_that_broke_off_is_listed_made_void_and_gone_on_with() {
    let app = app();
    let import = |key: &str, body: Body| once(&app, "POST", "vouchers/ten/codes/import", key).send(body);
    import("k-1", broken_off("SUMMER-1\nSUMMER-2\nSUMM")).problem(400, "invalid-request");
    let batch = items(&app.get("vouchers/ten/batches").ok())[0].clone();
    assert_eq!(batch["codes"], 2);
    let batch = batch["id"].as_str().unwrap();
    assert_eq!(items(&app.get(&format!("voucher-batches/{batch}/codes")).ok()).len(), 2);
    let told = import("k-1", "SUMMER-1\nSUMMER-2\nSUMMER-3\n".into()).ok();
    assert_eq!((&told["imported"], &told["problems"]), (&json!(3), &json!([])), "it goes on where it broke off");
    let long = format!("SUMMER-4\n{}\nSUMMER-5\n", "X".repeat(1_001));
    import("k-2", long.into()).problem(413, "body-too-large");
    app.get("vouchers/SUMMER-4").ok();
    import("k-3", "SUMMER-6\n".into()).ok();
    let void = call(&app, "POST", &format!("voucher-batches/{batch}/void")).send("").ok();
    assert_eq!(void["cancelled"], 3);
    buy(&app, "o-1", "card:1", "SUMMER-2").problem(409, "voucher-cancelled");
    buy(&app, "o-2", "card:1", "SUMMER-6").ok();
}

#[test]
fn c6_nothing_comes_into_a_batch_that_was_made_void() {
    let app = app();
    let import = |text: &str| once(&app, "POST", "vouchers/ten/codes/import", "k-1").send(text.to_owned());
    let taken_in = import("SUMMER-1\n").ok();
    let (made, _) = made(&codes(&app, "ten", "k-2", &json!({ "count": 2 })));
    for batch in [&taken_in["batch"], &made["id"]] {
        call(&app, "POST", &format!("voucher-batches/{}/void", batch.as_str().unwrap())).send("").ok();
    }
    import("SUMMER-1\nSUMMER-2\n").problem(409, "batch-cancelled");
    app.get("vouchers/SUMMER-2").problem(404, "unknown-voucher");
    codes(&app, "ten", "k-2", &json!({ "count": 2 })).problem(409, "batch-cancelled");
}

#[test]
fn c6_codes_are_made_void_one_by_one_or_by_the_batch() {
    let app = app();
    let (batch, made) = made(&codes(&app, "ten", "k-1", &json!({ "count": 1_200 })));
    let batch = batch["id"].as_str().unwrap();
    buy(&app, "o-1", "card:1", &made[1]).ok();
    let void = |code: &str| call(&app, "POST", &format!("vouchers/{code}/void")).send("");
    assert_eq!(void(&made[0]).ok()["state"], "cancelled");
    assert_eq!(void(&made[0]).ok()["state"], "cancelled", "once more changes nothing");
    void(&made[1]).problem(409, "voucher-used-up");
    void("NO-SUCH-CODE").problem(404, "unknown-voucher");
    buy(&app, "o-2", "card:2", &made[0]).problem(409, "voucher-cancelled");
    let all = call(&app, "POST", &format!("voucher-batches/{batch}/void")).send("").ok();
    assert_eq!(all["cancelled"], 1_198);
    buy(&app, "o-2", "card:2", &made[1_199]).problem(409, "voucher-cancelled");
    let used = app.get(&format!("voucher-batches/{batch}/codes?state=used")).ok();
    assert_eq!(items(&used).len(), 1);
    let page = app.get(&format!("voucher-batches/{batch}/codes?limit=2&after=1198")).ok();
    assert_eq!((items(&page).len(), &page["next"]), (2, &Value::Null));
    let listed = app.get("vouchers/ten/batches").ok();
    assert_eq!((&items(&listed)[0]["id"], &items(&listed)[0]["cancelled"]), (&json!(batch), &json!(true)));
    app.get("voucher-batches/vb_x/codes").problem(404, "unknown-batch");
}

#[test]
fn batches_and_their_codes_come_a_page_at_a_time() {
    let app = app();
    let batch = |voucher: &str, key: &str, count: u64| {
        let (batch, _) = made(&codes(&app, voucher, key, &json!({ "count": count })));
        batch["id"].as_str().unwrap().to_owned()
    };
    let of_ten = [batch("ten", "k-1", 4), batch("ten", "k-2", 2), batch("ten", "k-3", 1)];
    batch("cap", "k-4", 3);
    comes_in_pages(&app, "vouchers/ten/batches", 3);
    comes_in_pages(&app, &format!("voucher-batches/{}/codes", of_ten[0]), 4);
    comes_in_pages(&app, &format!("voucher-batches/{}/codes?state=open", of_ten[1]), 2);
}

#[rstest]
#[case::nothing(json!({}))]
#[case::both(json!({ "count": 1, "code": "TET2026" }))]
#[case::no_codes(json!({ "count": 0 }))]
#[case::too_many(json!({ "count": 1_000_001 }))]
#[case::too_long(json!({ "count": 1, "length": 21 }))]
#[case::a_total_of_many(json!({ "count": 1, "total": 2 }))]
#[case::a_code_that_is_none(json!({ "code": "x" }))]
fn a_wrong_wish_for_codes_is_told(#[case] body: Value) {
    codes(&app(), "ten", "k-1", &body).problem(400, "invalid-request");
}

#[test]
fn codes_of_no_voucher_are_refused() {
    codes(&app(), "tenn", "k-1", &json!({ "count": 1 })).problem(404, "unknown-voucher-name");
}

#[test]
fn v1_who_guesses_is_shut_out_for_a_while() {
    let app = app();
    let (_, good) = made(&codes(&app, "ten", "k-1", &json!({ "count": 1 })));
    let guess = |number: usize| call(&app, "POST", &format!("vouchers/GUESS-{number:04}/validate")).json(&json!({}));
    for number in 0..200 {
        guess(number).problem(404, "unknown-voucher");
    }
    let refused = guess(200);
    assert_eq!(refused.header("retry-after"), Some("600"));
    refused.problem(429, "too-many-wrong-codes");
    call(&app, "POST", &format!("vouchers/{}/validate", good[0]))
        .json(&json!({ "member": "card:1" }))
        .problem(429, "too-many-wrong-codes");
    buy(&app, "o-1", "card:1", &good[0]).problem(429, "too-many-wrong-codes");
    // Sales without codes go on, and other keys are not touched.
    app.post("events", &event("purchase", "o-2", "card:1", &data::sale("o-2", 1_000))).ok();
    let other = app.new_key(&tessera_engine::access::Scope::ALL).key;
    call(&app, "GET", &format!("vouchers/{}", good[0])).key(&other).send("").ok();
    app.set_clock("2026-03-02T10:11");
    buy(&app, "o-1", "card:1", &good[0]).ok();
}

#[test]
fn v1_a_typo_counts_less_than_a_guess() {
    let app = app();
    let (_, good) = made(&codes(&app, "ten", "k-1", &json!({ "count": 1 })));
    let first = if good[0].starts_with('2') { '3' } else { '2' };
    let typo = format!("{first}{}", &good[0][1..]);
    for _ in 0..999 {
        call(&app, "GET", &format!("vouchers/{typo}")).send("").problem(422, "voucher-mistyped");
    }
    call(&app, "GET", &format!("vouchers/{}", good[0])).send("").ok();
    call(&app, "GET", &format!("vouchers/{typo}")).send("").problem(422, "voucher-mistyped");
    call(&app, "GET", &format!("vouchers/{}", good[0])).send("").problem(429, "too-many-wrong-codes");
}

#[test]
fn v1_who_guesses_from_one_address_is_shut_out_whatever_key_they_show() {
    let app = app();
    let (_, good) = made(&codes(&app, "ten", "k-1", &json!({ "count": 1 })));
    let look = |path: &str, address: &str, key: &str| call(&app, "GET", path).key(key).from_address(address).send("");
    let keys: Vec<String> = (0..3).map(|_| app.new_key(&tessera_engine::access::Scope::ALL).key).collect();
    for number in 0..50 {
        let path = format!("vouchers/GUESS-{number:04}");
        look(&path, "10.0.0.7", &keys[number % 3]).problem(404, "unknown-voucher");
    }
    let good = format!("vouchers/{}", good[0]);
    look(&good, "10.0.0.7", &keys[0]).problem(429, "too-many-wrong-codes");
    look(&good, "10.0.0.8", &keys[0]).ok();
    // A network of the sixth version is one address: nobody guesses on from the next.
    for number in 0..50 {
        look(&format!("vouchers/GUESS-{number:04}"), &format!("2001:db8::{number:x}"), &keys[1]);
    }
    look(&good, "2001:db8::ffff", &keys[2]).problem(429, "too-many-wrong-codes");
    look(&good, "2001:db8:0:1::1", &keys[2]).ok();
}
