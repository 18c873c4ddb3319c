//! Names, leaving and coming back, over HTTP.

use serde_json::{Value, json};
use tessera_testkit::app::TestApp;

use crate::common::{SHOP, app, call, items, once, sale};

fn joined(app: &TestApp, key: &str, body: &Value) -> String {
    once(app, "POST", "members", key).json(body).ok()["member"].as_str().unwrap().to_owned()
}

fn add(app: &TestApp, member: &str, key: &str, body: &Value) -> tessera_testkit::app::Reply {
    once(app, "POST", &format!("members/{member}/identifiers"), key).json(body)
}

#[test]
fn a_lost_card_is_replaced_and_keeps_the_balance() {
    let app = app();
    let an = joined(&app, "1", &json!({ "identifiers": ["card:4711"] }));
    app.send(&sale("o1", "card:4711", 50_000));
    add(&app, "card:4711", "2", &json!({ "identifier": "card:5000", "replaces": "card:4711" })).ok();
    assert_eq!((app.available("card:5000", "point"), app.available(&an, "point")), (60, 60));
    // The old card answers that it was replaced, at the till, when it is looked up and when somebody gets it anew.
    let refusal = app.refused(&sale("o2", "card:4711", 10_000));
    assert_eq!(refusal.code, "identifier-replaced");
    app.get("members/card:4711").problem(409, "identifier-replaced");
    let taken = once(&app, "POST", "members", "3").json(&json!({ "identifiers": ["card:4711"] }));
    taken.problem(409, "identifier-replaced");
    let binh = joined(&app, "4", &json!({ "identifiers": ["card:1"] }));
    add(&app, &binh, "5", &json!({ "identifier": "card:4711" })).problem(409, "identifier-replaced");
    add(&app, &binh, "6", &json!({ "identifier": "card:5000" })).problem(409, "identifier-taken");
    let list = app.get(&format!("members/{an}/identifiers")).ok();
    assert_eq!(items(&list), &[json!({ "kind": "card", "identifier": "card:5000" })]);
    // The same request again is answered as the first.
    let again = add(&app, "card:5000", "2", &json!({ "identifier": "card:5000", "replaces": "card:4711" }));
    assert_eq!(again.ok()["status"], "duplicate");
}

#[test]
fn p4_a_phone_changes_with_proof_and_after_silence_with_a_second_fact() {
    let app = app();
    let an =
        joined(&app, "1", &json!({ "phone": "+84 901 234 567", "birthday": "1990-02-28", "email": "an@example.vn" }));
    let phone = |phone: &str| json!({ "identifier": phone, "replaces": "phone:+84901234567" });
    let change = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let unproven = phone("phone:+84900000001");
    let problem = add(&app, &an, "2", &unproven).problem(422, "proof-needed");
    assert_eq!(problem["kind"], "phone");
    let proven = change(unproven, "proof", true.into());
    app.set_clock("2027-06-01T10:00");
    add(&app, &an, "3", &proven).problem(422, "second-fact-needed");
    add(&app, &an, "4", &change(proven.clone(), "second", "birthday:03-01".into())).problem(422, "second-fact-needed");
    add(&app, &an, "5", &change(proven.clone(), "second", "email:else@example.vn".into()))
        .problem(422, "second-fact-needed");
    add(&app, &an, "6", &change(proven.clone(), "second", "email:an@example.vn".into())).ok();
    assert_eq!(app.member("phone:+84900000001")["id"], an.as_str());
    app.get("members/phone:+84901234567").problem(409, "identifier-replaced");
}

#[test]
fn p4_a_number_somebody_else_has_by_now_is_given_away_and_the_account_stays() {
    let app = app();
    let an = joined(&app, "1", &json!({ "phone": "+84901234567" }));
    app.send(&sale("o1", "phone:+84901234567", 50_000));
    let give = |key: &str| {
        once(&app, "DELETE", "members/phone:+84901234567/identifiers/phone:+84901234567?reason=reused", key)
    };
    give("2").send("").problem(409, "member-not-silent");
    app.set_clock("2027-03-03T10:00");
    give("3").send("").ok();
    let other = joined(&app, "4", &json!({ "phone": "+84901234567" }));
    assert_ne!(an, other);
    assert_eq!(app.member(&an)["purchases"], 1);
    assert_eq!(app.member("phone:+84901234567")["purchases"], 0);
    let unknown = once(&app, "DELETE", &format!("members/{an}/identifiers/phone:+84901234567"), "5").send("");
    unknown.problem(404, "unknown-identifier");
}

#[test]
fn p3_whoever_has_left_is_refused_and_comes_back_without_a_second_welcome() {
    let app = app();
    let an = joined(&app, "1", &json!({ "phone": "+84901234567", "name": "An", "birthday": "1990-02-28" }));
    app.send(&sale("o1", "phone:+84901234567", 50_000));
    let left = once(&app, "DELETE", "members/phone:+84901234567", "2").send("").ok();
    let kinds: Vec<&str> = left["effects"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"forfeited") && kinds.contains(&"left"), "{left}");
    app.get(&format!("members/{an}")).problem(410, "member-left");
    app.get("members/phone:+84901234567").problem(404, "unknown-member");
    // Strangers join by their first purchase here; nobody comes back that way.
    assert_eq!(app.refused(&sale("o2", "phone:+84901234567", 10_000)).code, "member-left");
    assert_eq!(app.refused(&sale("o3", &an, 10_000)).code, "member-left");
    once(&app, "DELETE", &format!("members/{an}"), "3").send("").problem(410, "member-left");
    let back = once(&app, "POST", "members", "4").json(&json!({ "phone": "+84901234567" })).ok();
    assert_eq!(back["effects"][0]["type"], "rejoined");
    assert_ne!(back["member"], an.as_str());
    assert_eq!(app.available("phone:+84901234567", "point"), 0);
    // Years later nothing is remembered.
    once(&app, "DELETE", "members/phone:+84901234567?mode=erase", "5").send("").ok();
    app.set_clock("2028-06-01T10:00");
    app.run_scheduler();
    assert_eq!(app.count("SELECT count(*) FROM member_identifier"), 0);
    let fresh = once(&app, "POST", "members", "6").json(&json!({ "phone": "+84901234567" })).ok();
    assert_eq!(fresh["effects"][0]["type"], "joined");
}

#[test]
fn p3_erasure_leaves_nothing_personal_and_keeps_the_sums() {
    let app = app();
    let an = joined(&app, "1", &json!({ "phone": "+84901234567", "name": "An", "birthday": "1987-06-05" }));
    app.send(&sale("o1", "phone:+84901234567", 50_000));
    once(&app, "DELETE", &format!("members/{an}"), "2").send("").ok();
    assert_eq!(app.count("SELECT count(*) FROM member_profile"), 1);
    let erased = once(&app, "DELETE", &format!("members/{an}?mode=erase"), "3").send("").ok();
    assert_eq!(erased["status"], "applied");
    assert_eq!(app.count("SELECT count(*) FROM member_profile"), 0);
    assert_eq!(app.count("SELECT count(*) FROM event WHERE payload LIKE '%1987%'"), 0);
    app.set_clock("2026-03-03T10:00");
    let now = app.now();
    let summary = tessera_engine::report::summary(&app.engine().context, &app.program, now).unwrap();
    let points = &summary.currencies["point"];
    assert_eq!((summary.members, summary.purchases), (0, 1));
    assert_eq!((points.issued, points.outstanding), (60, 0));
}

#[test]
fn p3_no_birthday_and_no_card_is_left_of_whoever_is_erased() {
    let mut app = TestApp::new(&SHOP.replace(
        "vouchers:",
        "  cake: { trigger: birthday, rules: [ { award: { currency: point, amount: 3 } } ] }\nvouchers:",
    ));
    let birthdays = || {
        app.count("SELECT count(*) FROM event WHERE record LIKE '%irthday\"%' OR payload LIKE '%irthday\"%'")
            + app.count("SELECT count(*) FROM member_identifier WHERE memory LIKE '%-03-20%'")
    };
    let joined_with_birthday = |key: &str, phone: &str| {
        let id = joined(&app, key, &json!({ "phone": phone, "birthday": "03-20" }));
        app.get(&format!("members/{id}/card")).ok();
        id
    };
    let an = joined_with_birthday("1", "+84901234567");
    let binh = joined_with_birthday("2", "+84901234568");
    app.set_clock("2026-03-21T10:00");
    app.run_scheduler();
    assert_eq!(app.available(&an, "point"), 13, "the gift of this year");
    // One is erased at once, the other after leaving: their marks forget the day as well.
    once(&app, "DELETE", &format!("members/{binh}"), "3").send("").ok();
    assert!(birthdays() > 0 && app.count("SELECT count(*) FROM possession") == 2);
    for (key, id) in [("4", &an), ("5", &binh)] {
        once(&app, "DELETE", &format!("members/{id}?mode=erase"), key).send("").ok();
    }
    assert_eq!((birthdays(), app.count("SELECT count(*) FROM possession")), (0, 0));
    // Whoever comes back gets no second gift this year.
    let again = joined(&app, "6", &json!({ "phone": "+84901234567", "birthday": "12-24" }));
    app.set_clock("2026-12-25T10:00");
    app.run_scheduler();
    assert_eq!(app.available(&again, "point"), 0);
    let differences = app.verify().differences;
    assert!(differences.is_empty(), "what is folded without birthdays is what is stored: {differences:#?}");
    // A replay cannot give what was given for a birthday that nobody knows any more.
    app.skip_verification();
}

#[test]
fn who_may_not_write_members_changes_no_names() {
    let app = app();
    joined(&app, "1", &json!({ "identifiers": ["card:1"] }));
    let key = app.new_key(&[tessera_engine::access::Scope::ReadMembers]);
    for (method, path) in [("POST", "members/card:1/identifiers"), ("DELETE", "members/card:1")] {
        let answer = call(&app, method, path).key(&key.key).header("idempotency-key", "x");
        answer.json(&json!({ "identifier": "card:2" })).problem(403, "forbidden");
    }
}
