//! I4, R12: events that name an order, in whatever order they come.

use tessera_core::decide::{EffectKind, OutcomeStatus};
use tessera_testkit::app::{TestApp, amounts, event, event_at};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::json as data;

use crate::common::{POINTS, back_all, sale};

on_both_databases!(POINTS =>
    i4_a_return_before_its_purchase_waits_across_a_restart,
    r12_an_amendment_is_the_same_order,
);

fn i4_a_return_before_its_purchase_waits_across_a_restart(app: &mut TestApp) {
    app.send(&event("enrol", "e-1", "card:1", "{}"));
    let parked = app.send(&event("return", "b-1", "card:1", &data::back("o-1", &[("A", 1)])));
    assert_eq!(parked.status, OutcomeStatus::Parked);
    assert_eq!(app.available("card:1", "point"), 10);
    app.restart();
    let sold = app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 2, 40_000)])));
    assert_eq!(amounts(&sold.effects, EffectKind::TakenBack, "point"), [20]);
    assert_eq!(app.available("card:1", "point"), 30);
    assert_eq!(app.member("card:1")["purchases"], 1);
}

#[test]
fn i4_an_exchange_that_waited_finds_its_new_order_taken() {
    let app = TestApp::new(POINTS);
    app.send(&event("enrol", "e-1", "card:1", "{}"));
    let waits = event("exchange", "x-1", "card:1", &data::exchange("o-1", &[("A", 1)], &data::sale("o-2", 30_000)));
    assert_eq!(app.send(&waits).status, OutcomeStatus::Parked);
    app.send(&event("purchase", "r-2", "card:1", &data::sale("o-2", 30_000)));
    // The exchange has become impossible; the purchase it waited for is taken all the same.
    let sold = app.send(&event("purchase", "r-1", "card:1", &data::lines("o-1", &[("A", "goods", 1, 20_000)])));
    assert_eq!(sold.status, OutcomeStatus::Applied);
    assert_eq!(app.member("card:1")["purchases"], 2);
}

fn r12_an_amendment_is_the_same_order(app: &mut TestApp) {
    app.send(&sale("o-1", "card:1", 40_000));
    let amended = app.send(&event("amend", "a-1", "card:1", &data::sale("o-1", 25_000)));
    assert_eq!(amounts(&amended.effects, EffectKind::TakenBack, "point"), [15]);
    app.restart();
    app.send(&event("amend", "a-2", "card:1", &data::sale("o-1", 60_000)));
    assert_eq!(app.available("card:1", "point"), 70);
    app.send(&back_all("b-1", "card:1", "o-1"));
    assert_eq!(app.available("card:1", "point"), 10);
    assert_eq!(app.member("card:1")["purchases"], 1);
}

#[test]
fn i4_what_waits_forever_has_a_bound() {
    let app = TestApp::new(POINTS);
    app.send(&event("enrol", "e-1", "card:1", "{}"));
    let most = tessera_core::member::MemberState::PARKED_MAX;
    for number in 0..most {
        app.send(&back_all(&format!("b-{number}"), "card:1", &format!("o-{number}")));
    }
    let refusal = app.refused(&back_all("b-x", "card:1", "o-x"));
    assert_eq!(refusal.code, "too-many-parked");
}

#[test]
fn i5_a_backdated_purchase_posts_now_and_re_decides_nothing() {
    let app = TestApp::new(POINTS);
    app.send(&event_at("2026-02-20T10:00", "purchase", "o-1", "card:1", &data::sale("o-1", 40_000)));
    let before = app.get("members/card:1/entries").ok();
    app.send(&event_at("2026-02-10T10:00", "purchase", "o-2", "card:1", &data::sale("o-2", 30_000)));
    let after = app.get("members/card:1/entries").ok();
    let (before, after) = (before["items"].as_array().unwrap(), after["items"].as_array().unwrap());
    assert_eq!(&after[after.len() - before.len()..], &before[..], "what was posted stays as it was");
    assert_eq!(app.available("card:1", "point"), 80);
}

#[test]
fn i5_a_matched_return_without_order_finds_the_member_s_own_purchases() {
    let app = TestApp::new(POINTS);
    app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 2, 40_000)])));
    app.send(&event("purchase", "o-2", "card:2", &data::lines("o-2", &[("B", "goods", 2, 40_000)])));
    let outcome = app.send(&event("return", "b-1", "card:1", &data::back_without_order(&[("A", 1, 20_000)])));
    assert_eq!(amounts(&outcome.effects, EffectKind::TakenBack, "point"), [20]);
    let foreign = event("return", "b-2", "card:1", &data::back_without_order(&[("B", 1, 20_000)]));
    assert_eq!(app.refused(&foreign).code, "return-unmatched");
    // What was matched counts against the order.
    app.send(&back_all("b-3", "card:1", "o-1"));
    assert_eq!(app.available("card:1", "point"), 10);
}

#[test]
fn r5_a_return_after_expiry_reads_what_became_of_its_points() {
    let app = TestApp::new(POINTS);
    app.send(&event_at("2025-01-10T10:00", "purchase", "o-1", "card:1", &data::sale("o-1", 40_000)));
    app.send(&event_at("2026-02-10T10:00", "purchase", "o-2", "card:1", &data::sale("o-2", 30_000)));
    let back = event_at("2026-02-11T10:00", "return", "b-1", "card:1", &data::back_all("o-1"));
    let outcome = app.send(&back);
    assert_eq!(amounts(&outcome.effects, EffectKind::AlreadyExpired, "point"), [40]);
    assert_eq!(app.available("card:1", "point"), 30);
}
