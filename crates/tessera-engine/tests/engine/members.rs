//! Who an event is about: strangers, guests, names, birthdays.

use rstest::rstest;
use tessera_core::decide::{EffectKind, OutcomeStatus};
use tessera_engine::people::NameChange;
use tessera_engine::submission::Submission;
use tessera_testkit::app::{TestApp, accepted, amounts, as_duplicate, event, event_at};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::json as data;

use crate::common::{POINTS, back_all, sale};

/// Strangers wait until they join.
const PARK: &str = "
unknown_member: park
currencies: { point: { name: Point, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
";

on_both_databases!(PARK =>
    i4_a_stranger_s_event_waits_and_is_released_once_when_they_join,
    i4_a_stranger_s_event_is_released_by_a_name_learnt_later,
    i4_a_stranger_and_their_joining_may_stand_in_one_batch,
);

fn waiting(app: &TestApp) -> i64 {
    app.count("SELECT COUNT(*) FROM outbox WHERE state = 0")
}

fn i4_a_stranger_s_event_waits_and_is_released_once_when_they_join(app: &mut TestApp) {
    let sale = sale("r-1", "card:1", 50_000);
    let first = app.send(&sale);
    assert_eq!((first.status, first.member.as_ref()), (OutcomeStatus::Parked, None));
    assert_eq!(app.send(&sale), as_duplicate(&first));
    assert_eq!(app.run_scheduler(), 0, "nobody has joined");
    assert_eq!(waiting(app), 1);

    app.set_clock("2026-03-09T10:00");
    app.send(&event("enrol", "r-2", "card:1", "{}"));
    assert_eq!(app.available("card:1", "point"), 10, "the event waits for the scheduler");
    assert_eq!(app.run_scheduler(), 1);
    assert_eq!(app.available("card:1", "point"), 60);
    assert_eq!((app.run_scheduler(), waiting(app)), (0, 0), "it is released once");
    app.restart();
    assert_eq!(app.run_scheduler(), 0);
    assert_eq!(app.send(&sale), as_duplicate(&first), "its key answers as at first");
    assert_eq!(app.available("card:1", "point"), 60);
    let events = app.get("members/card:1/events").ok();
    let purchase = events["items"].as_array().unwrap().iter().find(|event| event["type"] == "purchase").unwrap();
    assert_eq!((purchase["source"].as_str(), purchase["source_id"].as_str()), (Some("till-1"), Some("r-1")));
    assert_eq!(purchase["time"], "2026-03-02T03:00:00Z", "it happened when it happened");
}

fn i4_a_stranger_s_event_is_released_by_a_name_learnt_later(app: &mut TestApp) {
    let joined = app.send(&event("enrol", "r-1", "card:1", "{}"));
    app.send(&sale("r-2", "phone:+84901234567", 50_000));
    app.send(&sale("r-3", "phone:+84907654321", 70_000));
    let added = Some("phone:+84901234567".parse().unwrap());
    let change = NameChange { added, proof: true, ..NameChange::default() };
    let member = joined.member.unwrap().parse().unwrap();
    let secrets = &app.engine().context.secrets;
    let renaming = Submission::rename(secrets, &app.program, member, change, "r-4", app.now());
    accepted(app.engine().submit(renaming).unwrap());
    assert_eq!(app.run_scheduler(), 1);
    assert_eq!(app.available("card:1", "point"), 60);
    assert_eq!(waiting(app), 1, "the other stranger still waits");
}

fn i4_a_stranger_and_their_joining_may_stand_in_one_batch(app: &mut TestApp) {
    let events =
        [sale("r-1", "card:1", 50_000), back_all("r-2", "card:1", "r-1"), event("enrol", "r-3", "card:1", "{}")];
    let statuses: Vec<OutcomeStatus> =
        app.send_together(&events).into_iter().map(|answer| tessera_testkit::app::accepted(answer).status).collect();
    assert_eq!(statuses, [OutcomeStatus::Parked, OutcomeStatus::Parked, OutcomeStatus::Applied]);
    assert_eq!(app.run_scheduler(), 2);
    assert_eq!(app.available("card:1", "point"), 10, "bought and brought back");
}

#[test]
fn i4_a_waiting_event_that_cannot_be_read_does_not_hold_up_the_others() {
    let app = TestApp::new(PARK);
    for (id, subject) in [("r-1", "card:1"), ("r-2", "card:2"), ("r-3", "card:3")] {
        app.send(&sale(id, subject, 50_000));
    }
    let database = rusqlite::Connection::open(app.database_file()).unwrap();
    database.execute("UPDATE outbox SET payload = '{' WHERE rowid = (SELECT MIN(rowid) FROM outbox)", []).unwrap();
    for number in 1..=3 {
        app.send(&event("enrol", &format!("e-{number}"), &format!("card:{number}"), "{}"));
    }
    assert_eq!(app.run_scheduler(), 2);
    assert_eq!(waiting(&app), 0, "it is set aside for people to look at");
    let total: i64 = (1..=3).map(|number| app.available(&format!("card:{number}"), "point")).sum();
    assert_eq!(total, 3 * 10 + 2 * 50);
}

#[test]
fn i4_another_body_under_a_parked_key_is_refused() {
    let app = TestApp::new(PARK);
    app.send(&sale("r-1", "card:1", 50_000));
    assert_eq!(app.refused(&sale("r-1", "card:1", 60_000)).code, "idempotency-key-reused");
}

#[test]
fn a_stranger_s_personal_data_do_not_wait_in_the_open() {
    let app = TestApp::new(PARK);
    let refusal = app.refused(&event("profile", "r-1", "card:1", r#"{"name": "Nguyễn Thị Minh Khai"}"#));
    assert_eq!(refusal.code, "unknown-member");
    assert_eq!(waiting(&app), 0);
}

#[test]
fn an_adjustment_does_not_wait() {
    let app = TestApp::new(PARK);
    let call = app.call("POST".parse().unwrap(), "adjustments").header("idempotency-key", "a-1");
    let body = serde_json::json!({ "member": "card:1", "currency": "point", "amount": 5, "reason": "test" });
    call.json(&body).problem(404, "unknown-member");
}

#[test]
fn strangers_are_refused_unless_the_document_says_otherwise() {
    let app = TestApp::new(&POINTS.replace("unknown_member: enrol", ""));
    assert_eq!(app.refused(&sale("r-1", "card:1", 1_000)).code, "unknown-member");
    app.send(&event("enrol", "r-2", "card:1", "{}"));
    assert_eq!(app.send(&sale("r-1", "card:1", 1_000)).status, OutcomeStatus::Applied, "nothing was kept of it");
}

#[test]
fn strangers_join_at_the_business_time_of_their_first_event() {
    let app = TestApp::new(POINTS);
    app.send(&event_at("2026-02-01T10:00", "purchase", "r-1", "card:1", &data::sale("o-1", 1_000)));
    assert_eq!(app.member("card:1")["joined_at"], "2026-02-01T03:00:00Z");
}

#[test]
fn a_guest_s_purchase_earns_nothing_and_is_found_by_its_order() {
    let app = TestApp::new(POINTS);
    let sold = app.send(&sale("o-1", "", 50_000));
    assert_eq!((sold.status, sold.member.as_ref(), sold.effects.len()), (OutcomeStatus::Applied, None, 0));
    let back = back_all("r-2", "", "o-1");
    let first = app.send(&back);
    assert_eq!((first.status, first.member.as_ref()), (OutcomeStatus::Applied, None));
    assert_eq!(app.send(&back), as_duplicate(&first), "a guest's return is told the same way twice");
    assert_eq!(app.send(&sale("o-1", "", 50_000)), as_duplicate(&sold));
    assert_eq!(app.refused(&back_all("r-3", "", "o-1")).code, "nothing-left-to-return");
    assert_eq!(app.get("members").ok()["items"].as_array().unwrap().len(), 0, "a guest is no member");
}

#[test]
fn a_guest_s_order_is_not_returned_by_somebody_else() {
    let app = TestApp::new(POINTS);
    app.send(&sale("o-1", "", 50_000));
    assert_eq!(app.refused(&back_all("r-2", "card:1", "o-1")).code, "order-of-another-member");
    assert_eq!(app.refused(&sale("o-1", "card:1", 50_000)).code, "idempotency-key-reused");
    let same_receipt = event("purchase", "r-3", "card:1", &data::sale("o-1", 50_000));
    assert_eq!(app.refused(&same_receipt).code, "order-of-another-member");
}

#[test]
fn a_name_belongs_to_one_member() {
    let app = TestApp::new(POINTS);
    app.send(&event("enrol", "r-1", "card:1", r#"{"phone": "+84901234567"}"#));
    let refusal = app.refused(&event("enrol", "r-2", "card:2", r#"{"phone": "+84 901-234-567"}"#));
    assert_eq!((refusal.code.as_str(), refusal.facts["kind"].as_str()), ("identifier-taken", Some("phone")));
    assert_eq!(app.get("members/card:2").status, 404, "nobody joined");
    app.send(&event("enrol", "r-3", "card:2", "{}"));
    assert_eq!(
        app.refused(&event("profile", "r-4", "card:2", r#"{"phone": "+84901234567"}"#)).code,
        "identifier-taken"
    );
    // One's own names may be said again.
    app.send(&event("profile", "r-5", "card:1", r#"{"phone": "+84901234567", "identifiers": ["card:1", "app:x"]}"#));
    assert_eq!(app.member("app:x")["id"], app.member("phone:+84901234567")["id"]);
}

#[test]
fn two_who_join_with_one_name_in_one_batch_are_told_apart() {
    let app = TestApp::new(POINTS);
    let answers = app.send_together(&[
        event("enrol", "r-1", "card:1", r#"{"phone": "+84901234567"}"#),
        event("enrol", "r-2", "card:2", r#"{"phone": "+84901234567"}"#),
    ]);
    let mut answers = answers.into_iter();
    tessera_testkit::app::accepted(answers.next().unwrap());
    assert_eq!(tessera_testkit::app::refused(answers.next().unwrap()).code, "identifier-taken");
}

#[rstest]
#[case::by_name("card:1")]
#[case::by_their_phone("")]
fn whoever_has_joined_does_not_join_again(#[case] subject: &str) {
    let app = TestApp::new(POINTS);
    app.send(&event("enrol", "r-1", "card:1", r#"{"phone": "+84901234567"}"#));
    let again = event("enrol", "r-2", subject, r#"{"phone": "+84901234567"}"#);
    assert_eq!(app.refused(&again).code, "already-enrolled");
    assert_eq!(app.available("card:1", "point"), 10);
}

#[test]
fn a_profile_changes_field_by_field() {
    let app = TestApp::new(POINTS);
    let joined = r#"{"name": "Minh", "language": "vi", "email": "Minh@Example.VN"}"#;
    app.send(&event("enrol", "r-1", "card:1", joined));
    app.send(&event("profile", "r-2", "card:1", r#"{"name": "Minh Khai"}"#));
    let member = app.member("email:minh@example.vn");
    assert_eq!(member["profile"]["name"], "Minh Khai");
    assert_eq!(member["profile"]["language"], "vi");
    assert_eq!(member["identifiers"], serde_json::json!(["card:1", "email:minh@example.vn"]));
}

const BIRTHDAY: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: { after: P2M } } }
vouchers: { cake: { gives: { percent_off: 100 }, valid: P14D } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  birthday: { trigger: birthday, days_before: 7, rules: [ { issue: { voucher: cake }, award: { currency: point, amount: 25 } } ] }
";

#[test]
fn p8_the_scheduler_brings_the_birthday_gift_once_a_year() {
    let app = TestApp::new(BIRTHDAY);
    app.send(&event("enrol", "r-1", "card:1", r#"{"birthday": "1990-03-20"}"#));
    app.set_clock("2026-03-12T23:59");
    app.run_scheduler();
    assert_eq!(app.available("card:1", "point"), 0);
    app.set_clock("2026-03-13T00:00");
    assert_eq!(app.run_scheduler(), 1);
    assert_eq!(app.available("card:1", "point"), 25);
    let vouchers = app.get("members/card:1/vouchers").ok();
    assert_eq!(vouchers["items"].as_array().unwrap().len(), 1);
    assert_eq!(app.run_scheduler(), 0);
    app.set_clock("2027-03-13T00:00");
    app.run_scheduler();
    let vouchers = app.get("members/card:1/vouchers").ok();
    let states: Vec<&str> =
        vouchers["items"].as_array().unwrap().iter().filter_map(|item| item["state"].as_str()).collect();
    assert_eq!(states, ["open", "expired"]);
}

#[test]
fn p8_a_purchase_on_the_day_brings_the_gift_without_the_scheduler() {
    let app = TestApp::new(BIRTHDAY);
    app.send(&event("enrol", "r-1", "card:1", r#"{"birthday": "03-20"}"#));
    app.set_clock("2026-03-20T10:00");
    let outcome = app.send(&sale("r-2", "card:1", 5_000));
    assert_eq!(amounts(&outcome.effects, EffectKind::Accrual, "point"), [25, 5]);
    assert_eq!(app.run_scheduler(), 0);
}
