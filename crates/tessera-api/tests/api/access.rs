//! Who may call what.

use axum::http::{Method, StatusCode};
use rstest::rstest;
use serde_json::json;
use tessera_engine::access::{self, Scope};
use tessera_testkit::app::{Reply, TestApp};

use crate::common::{SHOP, app, call, once, sale};

/// Every route of a program, with the scope it needs.
const ROUTES: &[(&str, &str, Scope)] = &[
    ("POST", "events", Scope::WriteEvents),
    ("GET", "events/evt_x_1", Scope::ReadMembers),
    ("POST", "quotes", Scope::WriteEvents),
    ("GET", "members", Scope::ReadMembers),
    ("POST", "members", Scope::WriteMembers),
    ("GET", "members/card:1", Scope::ReadMembers),
    ("PATCH", "members/card:1", Scope::WriteMembers),
    ("GET", "members/card:1/balances", Scope::ReadMembers),
    ("GET", "members/card:1/entries", Scope::ReadMembers),
    ("GET", "members/card:1/lots", Scope::ReadMembers),
    ("GET", "members/card:1/events", Scope::ReadMembers),
    ("GET", "members/card:1/vouchers", Scope::ReadMembers),
    ("GET", "members/card:1/tiers", Scope::ReadMembers),
    ("GET", "members/card:1/entitlements", Scope::ReadMembers),
    ("POST", "moving-in", Scope::WriteMoving),
    ("POST", "members/card:1/entitlements/lounge/use", Scope::WriteBenefits),
    ("POST", "members/card:1/entitlements/lounge/return", Scope::WriteBenefits),
    ("POST", "members/card:1/tiers/club", Scope::WriteTiers),
    ("GET", "benefits", Scope::ReadDocument),
    ("GET", "members/card:1/memberships", Scope::ReadMembers),
    ("POST", "members/card:1/memberships", Scope::WriteMemberships),
    ("POST", "members/card:1/memberships/plus/cancel", Scope::WriteMemberships),
    ("GET", "members/card:1/memberships/plus/refund", Scope::ReadMembers),
    ("POST", "members/card:1/memberships/plus/refund", Scope::WriteMemberships),
    ("POST", "adjustments", Scope::WriteAdjustments),
    ("GET", "adjustments", Scope::WriteAdjustments),
    ("GET", "adjustments/adj_x", Scope::WriteAdjustments),
    ("POST", "adjustments/adj_x/approve", Scope::WriteAdjustments),
    ("POST", "adjustments/adj_x/reject", Scope::WriteAdjustments),
    ("POST", "adjustments/evt_x_1/undo", Scope::WriteAdjustments),
    ("POST", "redemptions", Scope::WriteRedemptions),
    ("POST", "redemptions/quote", Scope::WriteRedemptions),
    ("POST", "redemptions/evt_x_1/capture", Scope::WriteRedemptions),
    ("POST", "redemptions/evt_x_1/void", Scope::WriteRedemptions),
    ("POST", "redemptions/evt_x_1/return", Scope::WriteRedemptions),
    ("GET", "redemptions/evt_x_1", Scope::ReadMembers),
    ("GET", "members/card:1/redemptions", Scope::ReadMembers),
    ("GET", "rewards", Scope::ReadMembers),
    ("POST", "redemptions/evt_x_1/fulfilment", Scope::WriteFulfilment),
    ("GET", "fulfilments?state=sent", Scope::ReadMembers),
    ("POST", "rewards/mug/waitlist", Scope::WriteRedemptions),
    ("GET", "rewards/mug/waitlist", Scope::ReadMembers),
    ("POST", "vouchers/TET2026/validate", Scope::WriteRedemptions),
    ("GET", "vouchers/TET2026", Scope::ReadMembers),
    ("POST", "vouchers/TET2026/redeem", Scope::WriteRedemptions),
    ("POST", "vouchers/TET2026/rollback", Scope::WriteRedemptions),
    ("GET", "members/card:1/card", Scope::WritePossession),
    ("POST", "members/card:1/one-time-codes", Scope::WritePossession),
    ("POST", "vouchers/TET2026/void", Scope::WriteRedemptions),
    ("POST", "vouchers/ten/codes", Scope::WriteRedemptions),
    ("POST", "vouchers/ten/codes/import", Scope::WriteRedemptions),
    ("GET", "vouchers/ten/batches", Scope::ReadMembers),
    ("GET", "voucher-batches/vb_0/codes", Scope::WriteRedemptions),
    ("POST", "voucher-batches/vb_0/void", Scope::WriteRedemptions),
    ("GET", "code-pools", Scope::ReadDocument),
    ("POST", "code-pools/cinema/codes", Scope::WriteDocument),
    ("GET", "causes", Scope::ReadMembers),
    ("GET", "donations", Scope::ReadMembers),
    ("GET", "document", Scope::ReadDocument),
    ("PUT", "document", Scope::WriteDocument),
    ("POST", "document/plan", Scope::ReadDocument),
    ("GET", "versions", Scope::ReadDocument),
    ("GET", "versions?limit=5", Scope::ReadDocument),
];

fn answer(app: &TestApp, method: &str, path: &str, key: &str) -> Reply {
    call(app, method, path).key(key).send("")
}

fn assert_unauthorized(reply: &Reply) {
    reply.problem(401, "unauthorized");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
}

#[test]
fn every_route_needs_a_key_with_its_scope() {
    let app = app();
    for (method, path, scope) in ROUTES.iter().copied() {
        assert_unauthorized(&answer(&app, method, path, ""));
        let others: Vec<Scope> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
        let refused = answer(&app, method, path, &app.new_key(&others).key).problem(403, "forbidden");
        assert_eq!(refused["scope"], scope.name(), "{method} {path}");
        let allowed = answer(&app, method, path, &app.new_key(&[scope]).key).status;
        assert!(![401, 403].contains(&allowed.as_u16()), "{method} {path}: {allowed}");
    }
}

#[rstest]
#[case::wrong("tsk_00000000000000000000000000000000")]
#[case::nonsense("x")]
#[case::of_another_case("TSK_0")]
fn a_wrong_key_is_told_nothing(#[case] key: &str) {
    assert_unauthorized(&answer(&app(), "GET", "members", key));
}

#[test]
fn a_key_stands_in_a_bearer_header() {
    let app = app();
    let plain = app.call(Method::GET, "members").key("").header("authorization", &app.key).send("");
    assert_unauthorized(&plain);
    let spaced =
        app.call(Method::GET, "members").key("").header("authorization", &format!("Bearer  {} ", app.key)).send("");
    assert_eq!(spaced.status, StatusCode::OK);
    let lower =
        app.call(Method::GET, "members").key("").header("authorization", &format!("bearer {}", app.key)).send("");
    assert_eq!(lower.status, StatusCode::OK, "schemes are written in any case (RFC 9110)");
}

#[test]
fn a_revoked_key_is_worth_nothing() {
    let app = app();
    let key = app.new_key(&Scope::ALL);
    let engine = app.engine();
    assert!(access::revoke(&engine.context, engine.executor(), app.program.number, &key.id).unwrap());
    assert_unauthorized(&answer(&app, "GET", "members", &key.key));
    assert!(!access::revoke(&engine.context, engine.executor(), app.program.number, &key.id).unwrap(), "once");
}

#[test]
fn a_key_of_another_program_learns_no_more_than_none() {
    let app = app();
    let other = format!("program: other\nname: Other\ntimezone: Asia/Bangkok\ncurrency: THB{SHOP}");
    let (other, ..) = app.publish(&other).unwrap();
    let engine = app.engine();
    let theirs = access::create(&engine.context, engine.executor(), other.number, "", &Scope::ALL).unwrap().key;
    app.post("events", &sale("r-1", "card:1", 5_000)).ok();
    for path in ["members", "members/card:1", "document"] {
        assert_unauthorized(&answer(&app, "GET", path, &theirs));
    }
    let unknown = call(&app, "GET", "/v1/programs/nowhere/members").key(&theirs).send("");
    let ours = answer(&app, "GET", "members", &theirs);
    assert_eq!((unknown.status, unknown.body), (ours.status, ours.body), "which programs there are is not told");
    let there = call(&app, "GET", "/v1/programs/other/members").key(&theirs).send("").ok();
    assert_eq!(there["items"], json!([]));
}

#[test]
fn without_a_right_nothing_is_written() {
    let app = app();
    let reader = app.new_key(&[Scope::ReadMembers]).key;
    call(&app, "POST", "events").key(&reader).json(&sale("r-1", "card:1", 5_000)).problem(403, "forbidden");
    once(&app, "POST", "members", "m-1")
        .key(&reader)
        .json(&json!({ "phone": "+84901234567" }))
        .problem(403, "forbidden");
    assert_eq!(app.count("SELECT COUNT(*) FROM event_key"), 0);
}

#[test]
fn keys_are_kept_as_hashes() {
    let app = app();
    let Ok(bytes) = std::fs::read(app.database_file()) else {
        println!("skipped: a test of the embedded database's file");
        return;
    };
    let needle = app.key.as_bytes();
    assert!(!bytes.windows(needle.len()).any(|window| window == needle));
}
