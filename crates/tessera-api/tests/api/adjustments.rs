//! `POST …/adjustments`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{adjustment, app, items, once, sale, with};

#[test]
fn points_are_given_and_taken_by_hand_with_a_reason() {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    let given = once(&app, "POST", "adjustments", "a-1").json(&adjustment("card:1", 50)).ok();
    assert_eq!(given["effects"][0]["type"], "adjusted");
    assert_eq!(given["balances"]["point"]["available"], 65);
    once(&app, "POST", "adjustments", "a-2").json(&adjustment("card:1", -65)).ok();
    let too_much = once(&app, "POST", "adjustments", "a-3").json(&adjustment("card:1", -1));
    assert_eq!(too_much.problem(409, "not-enough-to-take-back")["available"], 0);
    let events = app.get("members/card:1/events").ok();
    let newest = &items(&events)[0];
    assert_eq!((&newest["type"], &newest["data"]["reason"]), (&json!("adjustment"), &json!("cold coffee")));
}

#[test]
fn i1_an_adjustment_is_made_once_under_its_key() {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    once(&app, "POST", "adjustments", "a-1").json(&adjustment("card:1", 50)).ok();
    let again = once(&app, "POST", "adjustments", "a-1").json(&adjustment("card:1", 50));
    assert_eq!((again.header("idempotency-replayed"), &again.ok()["status"]), (Some("true"), &json!("duplicate")));
    once(&app, "POST", "adjustments", "a-1").json(&adjustment("card:1", 60)).problem(409, "idempotency-key-reused");
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
#[case::with_more("/note", json!("x"), 400, "invalid-json")]
fn an_adjustment_that_cannot_be_is_refused(
    #[case] field: &str,
    #[case] value: Value,
    #[case] status: u16,
    #[case] code: &str,
) {
    let app = app();
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    once(&app, "POST", "adjustments", "a-1").json(&with(adjustment("card:1", 5), field, value)).problem(status, code);
    assert_eq!(app.available("card:1", "point"), 15);
}
