//! `POST …/adjustments`.

use rstest::rstest;
use serde_json::{Value, json};

use tessera_core::event::{Adjustment, Asker};
use tessera_engine::access::{self, Scope};
use tessera_engine::adjustment::{self, By};
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{Reply, TestApp};

use crate::common::{adjustment as new_adjustment, app, call, items, once, sale, with};
use crate::lists::{comes_in_pages, pages};

#[test]
fn points_are_given_and_taken_by_hand_with_a_reason() {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    let given = once(&app, "POST", "adjustments", "a-1").json(&new_adjustment("card:1", 50)).ok();
    assert_eq!(given["effects"][0]["type"], "adjusted");
    assert_eq!(given["balances"]["point"]["available"], 65);
    once(&app, "POST", "adjustments", "a-2").json(&new_adjustment("card:1", -65)).ok();
    let too_much = once(&app, "POST", "adjustments", "a-3").json(&new_adjustment("card:1", -1));
    assert_eq!(too_much.problem(409, "not-enough-to-take-back")["available"], 0);
    let events = app.get("members/card:1/events").ok();
    let newest = &items(&events)[0];
    assert_eq!((&newest["type"], &newest["data"]["reason"]), (&json!("adjustment"), &json!("cold coffee")));
}

#[test]
fn i1_an_adjustment_is_made_once_under_its_key() {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    once(&app, "POST", "adjustments", "a-1").json(&new_adjustment("card:1", 50)).ok();
    let again = once(&app, "POST", "adjustments", "a-1").json(&new_adjustment("card:1", 50));
    assert_eq!((again.header("idempotency-replayed"), &again.ok()["status"]), (Some("true"), &json!("duplicate")));
    once(&app, "POST", "adjustments", "a-1").json(&new_adjustment("card:1", 60)).problem(409, "idempotency-key-reused");
    assert_eq!(app.available("card:1", "point"), 65);
}

#[rstest]
#[case::of_nothing("/amount", json!(0), 422, "nothing-to-adjust")]
#[case::too_large("/amount", json!(1_000_000_001), 400, "invalid-request")]
#[case::the_least_number("/amount", json!(i64::MIN), 400, "invalid-request")]
#[case::a_fraction("/amount", json!(1.5), 400, "invalid-json")]
#[case::beyond_numbers("/amount", serde_json::from_str("99999999999999999999").unwrap(), 400, "invalid-json")]
#[case::without_reason("/reason", json!("  "), 400, "invalid-request")]
#[case::a_long_reason("/reason", json!("x".repeat(201)), 400, "invalid-request")]
#[case::in_another_currency("/currency", json!("mile"), 422, "unknown-currency")]
#[case::in_no_currency("/currency", json!("Two Words"), 400, "invalid-request")]
#[case::of_a_stranger("/member", json!("card:9"), 404, "unknown-member")]
#[case::of_nobody("/member", json!("9"), 400, "invalid-request")]
#[case::with_more("/memo", json!("x"), 400, "invalid-json")]
fn an_adjustment_that_cannot_be_is_refused(
    #[case] field: &str,
    #[case] value: Value,
    #[case] status: u16,
    #[case] code: &str,
) {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    once(&app, "POST", "adjustments", "a-1")
        .json(&with(new_adjustment("card:1", 5), field, value))
        .problem(status, code);
    assert_eq!(app.available("card:1", "point"), 15);
}

const RULES: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: { after: P12M } } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
adjustments:
  reasons: { goodwill: { name: Goodwill }, correction: { name: Correction, sign: both } }
  limits: { agent: { point: { each: 200, day: 300 } }, manager: { point: 5000 } }
  second_approval_above: { point: 1000 }
  waits: P3D
";

/// A key by name and role.
fn key(app: &TestApp, name: &str, role: &str) -> String {
    let engine = app.engine();
    let role = role.parse().ok();
    let (context, executor) = (&engine.context, engine.executor());
    let scopes = [Scope::WriteAdjustments, Scope::ReadMembers];
    access::create_with_role(context, executor, app.program.number, name, &scopes, role.as_ref()).unwrap().key
}

struct Desk {
    app: TestApp,
    agent: String,
    manager: String,
}

fn desk(app: TestApp) -> Desk {
    app.post("events", &sale("r-1", "card:1", 100_000)).ok();
    let (agent, manager) = (key(&app, "counter", "agent"), key(&app, "back office", "manager"));
    Desk { app, agent, manager }
}

impl Desk {
    fn ask(&self, id: &str, key: &str, amount: i64) -> Reply {
        let body = json!({ "member": "card:1", "currency": "point", "amount": amount, "reason": "correction" });
        once(&self.app, "POST", "adjustments", id).key(key).json(&body)
    }

    fn decide(&self, adjustment: &Value, how: &str, key: &str) -> Reply {
        let id = adjustment["id"].as_str().unwrap();
        call(&self.app, "POST", &format!("adjustments/{id}/{how}")).key(key).send("")
    }

    fn list(&self, state: &str) -> Vec<Value> {
        let list = call(&self.app, "GET", &format!("adjustments?state={state}")).key(&self.manager).send("").ok();
        items(&list).clone()
    }
}

tessera_testkit::on_both_databases!(RULES =>
    a2_what_is_above_the_role_waits_for_another_person,
    a2_two_who_decide_at_once_decide_once);

fn a2_what_is_above_the_role_waits_for_another_person(app: &mut TestApp) {
    let desk = desk(std::mem::replace(app, TestApp::new(RULES)));
    let waiting = desk.ask("a-1", &desk.agent, 700);
    assert_eq!((waiting.status.as_u16(), waiting.json()["state"].as_str()), (202, Some("waiting")), "{}", waiting.body);
    let waiting = waiting.json();
    assert_eq!((&waiting["asked_by"], &waiting["role"]), (&json!("counter"), &json!("agent")));
    assert_eq!(waiting["ends_at"], "2026-03-05T17:00:00Z", "to the end of the third day");
    assert_eq!(desk.app.available("card:1", "point"), 100, "nothing has moved");
    assert_eq!(desk.ask("a-1", &desk.agent, 700).json(), waiting, "asked again it is the same");
    desk.ask("a-1", &desk.agent, 800).problem(409, "idempotency-key-reused");
    assert_eq!(desk.list("waiting"), std::slice::from_ref(&waiting));

    desk.decide(&waiting, "approve", &desk.agent).problem(403, "same-person");
    let other = key(&desk.app, "other counter", "agent");
    assert_eq!(desk.decide(&waiting, "approve", &other).problem(403, "approval-above-limit")["most"], 200);
    let approved = desk.decide(&waiting, "approve", &desk.manager).ok();
    assert_eq!((&approved["status"], &approved["balances"]["point"]["available"]), (&json!("applied"), &json!(800)));
    let again = desk.decide(&waiting, "approve", &desk.manager).ok();
    assert_eq!((&again["status"], &again["event_id"]), (&json!("duplicate"), &approved["event_id"]));
    desk.decide(&waiting, "reject", &desk.manager).problem(409, "adjustment-decided");
    assert_eq!(desk.app.available("card:1", "point"), 800, "once");

    let applied = desk.list("applied");
    assert_eq!((&applied[0]["decided_by"], &applied[0]["event_id"]), (&json!("back office"), &approved["event_id"]));
    let events = desk.app.get("members/card:1/events").ok();
    let told = &items(&events)[0]["data"];
    let expected = json!({ "amount": 700, "currency": "point", "reason": "correction", "by": "counter", "role": "agent", "approved_by": "back office" });
    assert_eq!(told, &expected, "the member's history says why and by whom");
}

fn a2_two_who_decide_at_once_decide_once(app: &mut TestApp) {
    let desk = desk(std::mem::replace(app, TestApp::new(RULES)));
    let waiting = desk.ask("a-1", &desk.agent, 700).json();
    let id = waiting["id"].as_str().unwrap();
    let engine = desk.app.engine();
    let decide = |name: &str| {
        let by = By { key: name.to_owned(), name: name.to_owned(), role: "manager".parse().ok(), staff: None };
        adjustment::approve(&engine.context, engine.executor(), &desk.app.program, id, &by).is_ok()
    };
    let won: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = ["ann", "bob", "cai", "dao"].map(|name| scope.spawn(move || decide(name))).into();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    assert_eq!(desk.app.available("card:1", "point"), 800);
}

#[test]
fn a2_what_nobody_decides_about_expires_and_what_is_rejected_moves_nothing() {
    let desk = desk(TestApp::new(RULES));
    let late = desk.ask("a-1", &desk.agent, 700).json();
    let no = desk.ask("a-2", &desk.agent, 300).json();
    let rejected = desk.decide(&no, "reject", &desk.agent).ok();
    assert_eq!((&rejected["state"], &rejected["decided_by"]), (&json!("rejected"), &json!("counter")), "taken back");
    desk.decide(&no, "approve", &desk.manager).problem(409, "adjustment-decided");
    desk.app.set_clock("2026-03-06T00:00");
    assert_eq!(desk.decide(&late, "approve", &desk.manager).problem(409, "adjustment-decided")["state"], "expired");
    assert_eq!((desk.list("waiting").len(), desk.list("expired").len(), desk.list("rejected").len()), (0, 1, 1));
    assert_eq!(desk.app.available("card:1", "point"), 100);
    desk.app.get("adjustments?state=lost").problem(400, "invalid-request");
    desk.app.get("adjustments/adj_none").problem(404, "unknown-adjustment");
}

#[test]
fn a2_what_waits_comes_a_page_at_a_time_and_newest_first() {
    let desk = desk(TestApp::new(RULES));
    // Three are asked for at one instant, and two later; what was decided is in no list of what waits.
    for (number, seconds) in [0, 0, 0, 60, 60].into_iter().enumerate() {
        desk.app.clock.set(desk.app.now().plus_seconds(seconds));
        assert_eq!(desk.ask(&format!("a-{number}"), &desk.agent, 700 + i64::try_from(number).unwrap()).status, 202);
    }
    let no = desk.ask("a-9", &desk.agent, 900).json();
    desk.decide(&no, "reject", &desk.manager).ok();
    comes_in_pages(&desk.app, "adjustments", 5);
    let asked = pages(&desk.app, "adjustments", 2).concat();
    assert_eq!([&asked[0]["amount"], &asked[1]["amount"]], [704, 703], "{asked:?}");
    desk.app.get("adjustments?after=first").problem(400, "invalid-request");
}

#[test]
fn a2_the_second_person_is_another_one_of_the_staff_too() {
    let desk = desk(TestApp::new(RULES));
    let body = json!({ "member": "card:1", "currency": "point", "amount": 500, "reason": "goodwill", "staff": "S-1" });
    let waiting = once(&desk.app, "POST", "adjustments", "a-1").key(&desk.agent).json(&body).json();
    let path = format!("adjustments/{}/approve", waiting["id"].as_str().unwrap());
    let approve = |staff: &str| call(&desk.app, "POST", &path).key(&desk.manager).json(&json!({ "staff": staff }));
    approve("S-1").problem(403, "same-person");
    approve("S-2").ok();
}

#[test]
fn a2_what_was_agreed_to_and_refused_by_the_door_says_why() {
    let document = RULES.replace("expires: { after: P12M }", "expires: { after: P12M }, overdraft: refuse");
    let desk = desk(TestApp::new(&document));
    let waiting = desk.ask("a-1", &desk.agent, -700).json();
    desk.decide(&waiting, "approve", &desk.manager).problem(409, "not-enough-to-take-back");
    let refused = &desk.list("refused")[0];
    assert_eq!(refused["refusal"]["code"], "not-enough-to-take-back");
}

#[test]
fn a2_an_approval_that_a_crash_cut_off_is_finished_by_itself() {
    let desk = desk(TestApp::new(RULES));
    desk.ask("a-1", &desk.agent, 700);
    let engine = desk.app.engine();
    let sql = "UPDATE adjustment SET state = 2, decided_by = 'key_x', decided_name = 'ann', decided_at = 0";
    engine.executor().write(move |tx| tx.execute(sql, &[])).unwrap();
    assert_eq!(adjustment::finish_approved(&engine.context, engine.executor()).unwrap(), 1);
    assert_eq!(adjustment::finish_approved(&engine.context, engine.executor()).unwrap(), 0);
    assert_eq!(desk.app.available("card:1", "point"), 800);
    assert_eq!(desk.list("applied").len(), 1);
}

#[test]
fn a2_a_note_is_for_colleagues_and_not_in_the_ledger() {
    let desk = desk(TestApp::new(RULES));
    let body =
        json!({ "member": "card:1", "currency": "point", "amount": 50, "reason": "goodwill", "note": "cold twice" });
    once(&desk.app, "POST", "adjustments", "a-1").key(&desk.agent).json(&body).ok();
    once(&desk.app, "POST", "adjustments", "a-1").key(&desk.agent).json(&body).ok();
    let kept = desk.list("applied");
    assert_eq!((kept.len(), &kept[0]["note"]), (1, &json!("cold twice")));
    let events = desk.app.get("members/card:1/events").ok();
    assert!(!events.to_string().contains("cold twice"), "{events}");
    let long = with(body, "/note", json!("x".repeat(1_001)));
    once(&desk.app, "POST", "adjustments", "a-2").key(&desk.agent).json(&long).problem(400, "invalid-request");
}

#[test]
fn a2_an_adjustment_is_undone_once_by_one_that_names_it() {
    let desk = desk(TestApp::new(RULES));
    let given = desk.ask("a-1", &desk.agent, 150).ok();
    let event = given["event_id"].as_str().unwrap();
    let path = format!("adjustments/{event}/undo");
    let undone = call(&desk.app, "POST", &path).key(&desk.agent).send("").ok();
    assert_eq!(undone["balances"]["point"]["available"], 100);
    let again = call(&desk.app, "POST", &path).key(&desk.manager).send("").ok();
    assert_eq!((&again["status"], &again["event_id"]), (&json!("duplicate"), &undone["event_id"]));
    let events = desk.app.get("members/card:1/events").ok();
    assert_eq!(items(&events)[0]["data"]["undoes"], event);
    let undo_of = |event: &str| call(&desk.app, "POST", &format!("adjustments/{event}/undo")).key(&desk.agent).send("");
    undo_of(undone["event_id"].as_str().unwrap()).problem(409, "adjustment-is-an-undo");
    let purchase = items(&events).iter().find(|event| event["type"] == "purchase").unwrap();
    undo_of(purchase["id"].as_str().unwrap()).problem(404, "unknown-adjustment");
    undo_of("nothing").problem(404, "unknown-adjustment");

    let large = desk.ask("a-2", &desk.agent, 700).json();
    let applied = desk.decide(&large, "approve", &desk.manager).ok();
    let waiting = undo_of(applied["event_id"].as_str().unwrap());
    assert_eq!(waiting.status.as_u16(), 202, "what needed two people needs two to be undone: {}", waiting.body);
    desk.decide(&waiting.json(), "approve", &desk.manager).ok();
    assert_eq!(desk.app.available("card:1", "point"), 100);
}

/// Everything there is about adjustments in one history; the ledger is verified when the app goes.
#[test]
fn a1_a_mixed_history_with_adjustments_folds_to_what_is_stored() {
    let desk = desk(TestApp::new(RULES));
    for step in 0..6 {
        desk.app.set_clock(&format!("2026-03-{:02}T10:00", 3 + step * 3));
        desk.app.post("events", &sale(&format!("s-{step}"), "card:1", 40_000)).ok();
        let given = desk.ask(&format!("g-{step}"), &desk.agent, 120).ok();
        desk.ask(&format!("t-{step}"), &desk.agent, -160).ok();
        let waiting = desk.ask(&format!("w-{step}"), &desk.agent, if step % 2 == 0 { 900 } else { -900 }).json();
        desk.decide(&waiting, ["approve", "reject"][step % 2], &desk.manager).ok();
        let undo = format!("adjustments/{}/undo", given["event_id"].as_str().unwrap());
        call(&desk.app, "POST", &undo).key(&desk.manager).send("").ok();
    }
    let found = desk.app.verify();
    assert!(found.differences.is_empty(), "{:#?}", found.differences);
    let sums = "SELECT CAST(SUM(CASE WHEN credit = 1 THEN amount ELSE 0 END) - SUM(CASE WHEN debit = 1 THEN amount ELSE 0 END) AS BIGINT) FROM entry";
    assert_eq!(desk.app.available("card:1", "point"), desk.app.count(sums));
}

#[test]
fn a2_a_batch_gives_what_one_by_one_gives() {
    let app = TestApp::new(RULES);
    app.post("events", &sale("r-1", "card:1", 100_000)).ok();
    let submission = |id: usize| {
        let by = Asker { key: "k".into(), role: "agent".parse().ok(), staff: None, approved: false };
        let adjustment = Adjustment { by: Some(by), ..Adjustment::new("point".parse().unwrap(), 100, "goodwill") };
        let (secrets, member) = (&app.engine().context.secrets, "card:1".parse().unwrap());
        Ok(Submission::adjustment(secrets, &app.program, member, adjustment, &format!("a-{id}"), app.now()))
    };
    let answers = app.submit_together((0..5).map(submission).collect());
    let taken = answers.iter().filter(|answer| matches!(answer, Answer::Done { .. })).count();
    assert_eq!((taken, app.available("card:1", "point")), (3, 400), "300 a day, however many come at once");
}
