//! Levels that somebody gives: by invitation, match, trial and lock.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{Reply, TestApp};

use crate::common::{app, items, once, sale};

fn give(app: &TestApp, key: &str, body: &Value) -> Reply {
    once(app, "POST", "members/card:1/tiers/club", key).json(body)
}

fn standing(app: &TestApp) -> Value {
    items(&app.get("members/card:1/tiers").ok())[0].clone()
}

#[test]
fn a_status_match_is_given_once_explained_and_ends_by_itself() {
    let app = app();
    app.post("events", &sale("o-1", "card:1", 1_000)).ok();
    let body = json!({ "kind": "match", "level": "gold", "until": "2026-06-30", "reason": "Sky Club platinum" });
    let given = give(&app, "t-1", &body).ok();
    let effects: Vec<&Value> = given["effects"].as_array().unwrap().iter().map(|effect| &effect["type"]).collect();
    assert_eq!(effects, ["tier_placed", "tier_up"]);
    assert_eq!(give(&app, "t-1", &body).ok()["status"], "duplicate");
    let told = standing(&app);
    assert_eq!(told["words"], "gold until 2026-06-30: status match");
    assert_eq!(told["placements"][0]["reason"], "Sky Club platinum");
    let history = app.get("members/card:1/events").ok();
    assert_eq!(
        (&items(&history)[0]["type"], &items(&history)[0]["data"]["level"]),
        (&json!("tier-match"), &json!("gold"))
    );
    app.set_clock("2026-07-01T00:00");
    assert_eq!(standing(&app)["level"], "blue");
    app.run_scheduler();
    assert_eq!(items(&app.get("members/card:1/events").ok())[0]["type"], "tier-placement-end");
}

#[test]
fn a_lock_is_unlocked_and_an_invitation_withdrawn() {
    let app = app();
    app.post("events", &sale("o-1", "card:1", 1_000)).ok();
    give(&app, "t-1", &json!({ "kind": "invite", "level": "gold", "reason": "a friend of the house" })).ok();
    give(&app, "t-2", &json!({ "kind": "lock", "reason": "for now" })).ok();
    give(&app, "t-3", &json!({ "kind": "withdraw", "what": "invite", "reason": "no more" })).ok();
    assert_eq!(standing(&app)["words"], "gold: locked");
    give(&app, "t-4", &json!({ "kind": "unlock", "reason": "no more" })).ok();
    assert_eq!(standing(&app)["level"], "blue");
    give(&app, "t-5", &json!({ "kind": "unlock", "reason": "no more" })).problem(409, "not-placed");
}

#[rstest]
#[case::two_ends(json!({ "kind": "match", "level": "gold", "until": "2026-06-30", "for": "P9D", "reason": "x" }), 400, "invalid-request")]
#[case::no_end(json!({ "kind": "match", "level": "gold", "reason": "x" }), 422, "placement-without-end")]
#[case::no_reason(json!({ "kind": "lock", "reason": " " }), 400, "invalid-request")]
#[case::no_level(json!({ "kind": "invite", "reason": "x" }), 422, "placement-without-level")]
#[case::unknown_level(json!({ "kind": "invite", "level": "pink", "reason": "x" }), 422, "unknown-level")]
#[case::unknown_kind(json!({ "kind": "gift", "reason": "x" }), 400, "invalid-json")]
#[case::keep_if_of_a_match(json!({ "kind": "match", "level": "gold", "for": "P9D", "keep_if": { "point": 3 }, "reason": "x" }), 400, "invalid-request")]
#[case::unknown_measure(json!({ "kind": "trial", "level": "gold", "for": "P9D", "keep_if": { "stamp": 3 }, "reason": "x" }), 422, "unknown-measure")]
#[case::withdraw_what(json!({ "kind": "withdraw", "reason": "x" }), 400, "invalid-request")]
fn what_is_wrong_is_said(#[case] body: Value, #[case] status: u16, #[case] code: &str) {
    let app = app();
    app.post("events", &sale("o-1", "card:1", 1_000)).ok();
    give(&app, "t-1", &body).problem(status, code);
}

#[test]
fn an_unknown_ladder_or_member_is_not_found() {
    let app = app();
    app.post("events", &sale("o-1", "card:1", 1_000)).ok();
    let body = json!({ "kind": "lock", "reason": "x" });
    once(&app, "POST", "members/card:1/tiers/stars", "t-1").json(&body).problem(404, "unknown-ladder");
    once(&app, "POST", "members/card:2/tiers/club", "t-1").json(&body).problem(404, "unknown-member");
}
