//! I1, I6: the same command twice has one effect and one answer.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_core::decide::{EffectKind, OutcomeStatus};
use tessera_core::event::Adjustment;
use tessera_engine::identifier::Subject;
use tessera_engine::submission::Submission;
use tessera_testkit::app::{TestApp, accepted, amounts, as_duplicate, event, event_at, refused};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::json as data;

use crate::common::{POINTS, sale};

on_both_databases!(POINTS =>
    i1_a_duplicate_gives_the_first_outcome_with_the_joining,
    i1_a_duplicate_gives_the_first_outcome_with_the_settlement,
    i1_a_corrected_body_is_decided_afresh,
    i6_an_answer_lost_after_the_commit_is_given_to_the_retry,
);

fn i1_a_duplicate_gives_the_first_outcome_with_the_joining(app: &mut TestApp) {
    let first = app.send(&sale("r-1", "card:1", 50_000));
    assert_eq!(first.status, OutcomeStatus::Applied);
    assert_eq!(first.effects.iter().filter(|effect| effect.kind == EffectKind::Joined).count(), 1);
    assert_eq!(amounts(&first.effects, EffectKind::Accrual, "point"), [10, 50]);
    // What happens later changes nothing about it.
    app.send(&sale("r-2", "card:1", 90_000));
    assert_eq!(app.send(&sale("r-1", "card:1", 50_000)), as_duplicate(&first));
    app.restart();
    assert_eq!(app.send(&sale("r-1", "card:1", 50_000)), as_duplicate(&first));
    assert_eq!(app.available("card:1", "point"), 150);
    assert_eq!(app.count("SELECT COUNT(*) FROM event_key"), 2);
}

fn i1_a_duplicate_gives_the_first_outcome_with_the_settlement(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 150_000));
    // A year later the points have died, and the level's period has not ended: both belong to this event's outcome.
    app.set_clock("2027-03-05T10:00");
    let first = app.send(&sale("r-2", "card:1", 20_000));
    assert_eq!(amounts(&first.effects, EffectKind::Expired, "point").iter().sum::<i64>(), 160);
    assert_eq!(amounts(&first.effects, EffectKind::Accrual, "point"), [20]);
    assert_eq!(app.send(&sale("r-2", "card:1", 20_000)), as_duplicate(&first));
}

fn i1_a_corrected_body_is_decided_afresh(app: &mut TestApp) {
    app.send(&event("purchase", "r-1", "card:1", &data::lines("o-1", &[("A", "goods", 2, 40_000)])));
    let wrong = event("return", "r-2", "card:1", &data::back("o-1", &[("A", 3)]));
    let right = event("return", "r-2", "card:1", &data::back("o-1", &[("A", 2)]));
    let refusal = app.refused(&wrong);
    assert_eq!((refusal.code.as_str(), refusal.replayed), ("too-many-units-returned", false));
    let again = app.refused(&wrong);
    assert!(again.replayed, "the same body is refused the same way");
    assert_eq!((again.detail, again.facts), (refusal.detail, refusal.facts));

    let first = app.send(&right);
    assert_eq!(amounts(&first.effects, EffectKind::TakenBack, "point"), [40]);
    assert_eq!(app.send(&right), as_duplicate(&first));
    assert_eq!(app.refused(&wrong).code, "idempotency-key-reused", "the key is the corrected body's now");
}

fn i6_an_answer_lost_after_the_commit_is_given_to_the_retry(app: &mut TestApp) {
    let submission = app.read(&sale("r-1", "card:1", 50_000)).unwrap();
    let answer = std::sync::Arc::new(std::sync::Mutex::new(None));
    let lost = answer.clone();
    let reply = Box::new(move |done| *lost.lock().unwrap() = Some(done));
    app.engine().executor().submit(submission, reply).unwrap();
    app.restart();
    let committed = accepted(answer.lock().unwrap().take().expect("what was accepted is written before the end"));
    assert_eq!(app.send(&sale("r-1", "card:1", 50_000)), as_duplicate(&committed));
    assert_eq!(app.available("card:1", "point"), 60);
}

/// Changes one thing of an event.
fn with(mut event: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap()[name] = value;
    event
}

#[rstest]
#[case::the_total(sale("r-1", "card:1", 51_000))]
#[case::the_member(sale("r-1", "card:2", 50_000))]
#[case::the_type(event("visit", "r-1", "card:1", "{}"))]
#[case::a_field_more(with(sale("r-1", "card:1", 50_000), "/data/channel", json!("app")))]
#[case::a_time_that_was_not_given(event_at("2026-03-02T10:00", "purchase", "r-1", "card:1", &data::sale("r-1", 50_000)))]
fn i1_another_body_under_an_applied_key_is_refused(#[case] other: Value) {
    let app = TestApp::new(POINTS);
    let first = app.send(&sale("r-1", "card:1", 50_000));
    let events = app.count("SELECT COUNT(*) FROM event");
    assert_eq!(app.refused(&other).code, "idempotency-key-reused");
    assert_eq!(app.count("SELECT COUNT(*) FROM event"), events);
    assert_eq!(app.send(&sale("r-1", "card:1", 50_000)), as_duplicate(&first), "the key is still the first body's");
}

#[rstest]
#[case::zeros(with(sale("r-1", "card:1", 50_000), "/data/total", serde_json::from_str("50000.00").unwrap()))]
#[case::an_extension(with(sale("r-1", "card:1", 50_000), "/traceparent", json!("00-1")))]
fn i1_the_same_body_spelt_otherwise_is_the_same(#[case] same: Value) {
    let app = TestApp::new(POINTS);
    let first = app.send(&sale("r-1", "card:1", 50_000));
    assert_eq!(app.send(&same), as_duplicate(&first));
}

#[test]
fn i1_without_a_time_the_retry_may_come_later() {
    let app = TestApp::new(POINTS);
    let first = app.send(&sale("r-1", "card:1", 50_000));
    app.set_clock("2026-03-09T10:00");
    assert_eq!(app.send(&sale("r-1", "card:1", 50_000)), as_duplicate(&first));
}

#[test]
fn i1_a_key_is_source_and_id_together() {
    let app = TestApp::new(POINTS);
    app.send(&sale("r-1", "card:1", 50_000));
    let other_till = event("purchase", "r-1", "card:1", &data::sale("o-2", 50_000));
    let outcome = app.send(&with(other_till, "/source", json!("till-2")));
    assert_eq!(outcome.status, OutcomeStatus::Applied);
    assert_eq!(app.available("card:1", "point"), 110);
}

#[rstest]
#[case::of_an_order_there_is(sale("r-2", "card:1", 10_000), "order_id", "r-1", "order-exists")]
#[case::too_late(event_at("2020-01-01T10:00", "visit", "r-2", "card:1", "{}"), "place", "shop", "event-too-late")]
#[case::in_the_future(
    event_at("2026-03-02T10:06", "visit", "r-2", "card:1", "{}"),
    "place",
    "shop",
    "event-in-the-future"
)]
fn i1_a_refused_key_holds_nothing(#[case] event: Value, #[case] field: &str, #[case] value: &str, #[case] code: &str) {
    let app = TestApp::new(POINTS);
    app.send(&sale("r-1", "card:1", 50_000));
    let wrong = with(event, &format!("/data/{field}"), json!(value));
    let before = app.member("card:1");
    assert_eq!(app.refused(&wrong).code, code);
    assert!(app.refused(&wrong).replayed);
    assert_eq!(app.member("card:1"), before, "a refusal changes nothing");
    let outcome = app.send(&sale("r-2", "card:1", 10_000));
    assert_eq!(outcome.status, OutcomeStatus::Applied);
}

fn nobody() -> String {
    tessera_core::id::MemberId::new(1, [7; 10]).to_string()
}

#[rstest]
#[case::a_wrong_type(with(sale("r-1", "card:1", 1_000), "/data/total", json!("a lot")), "invalid-event")]
#[case::an_unknown_type(event("buy", "r-1", "card:1", "{}"), "unknown-event-type")]
#[case::an_unknown_subject(with(sale("r-1", "card:1", 1_000), "/subject", json!("nobody")), "invalid-event")]
#[case::a_member_nobody_knows(sale("r-1", &nobody(), 1_000), "unknown-member")]
#[case::an_order_nobody_knows(event("return", "r-1", "", &data::back_all("o-9")), "unknown-order")]
fn i1_what_cannot_be_read_leaves_no_trace(#[case] wrong: Value, #[case] code: &str) {
    let app = TestApp::new(POINTS);
    let refusal = app.refused(&wrong);
    assert_eq!(refusal.code, code, "{}", refusal.detail);
    let again = app.refused(&wrong);
    assert!(!again.replayed, "nothing is kept of it");
    for table in ["event_key", "event", "member", "outbox"] {
        assert_eq!(app.count(&format!("SELECT COUNT(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(app.send(&sale("r-1", "card:1", 1_000)).status, OutcomeStatus::Applied);
}

#[test]
fn i1_an_adjustment_is_made_once_under_its_key() {
    let app = TestApp::new(POINTS);
    app.send(&sale("r-1", "card:1", 50_000));
    let adjust = |amount: i64| {
        let adjustment = Adjustment::new("point".parse().unwrap(), amount, "cold coffee");
        let subject: Subject = "card:1".parse().unwrap();
        let secrets = &app.engine().context.secrets;
        let submission = Submission::adjustment(secrets, &app.program, subject, adjustment, "a-1", app.now());
        app.engine().submit(submission).unwrap()
    };
    let first = accepted(adjust(5));
    assert_eq!(accepted(adjust(5)), as_duplicate(&first));
    assert_eq!(refused(adjust(6)).code, "idempotency-key-reused");
    assert_eq!(app.available("card:1", "point"), 65);
}
