//! What-if: the recorded events under a draft, held against what happened.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tessera_core::event::{Adjustment, Transfer};
use tessera_core::program::load_program;
use tessera_engine::identifier::Subject;
use tessera_engine::replay::{Span, differences, replay};
use tessera_engine::scenario::{files_in, run_file_and};
use tessera_engine::submission::Submission;
use tessera_testkit::app::{TestApp, accepted, event, event_at};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::{self, id, json as data};

use crate::common::{POINTS, back_all, sale};

/// Points that wait and die, a ladder, offers with limits and chance, returns that name no order.
const SHOP: &str = "
unknown_member: enrol
unlinked_returns: { policy: match, within: P60D }
currencies:
  point: { name: Point, expires: { after: P2M, round: month }, pending: P3D, overdraft: debt, value: 50 }
  star: { name: Star, expires: never }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 100, rate: { point: 2 } } ] } }
events: { visit: { data: { place: { type: text, optional: true } } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
  birthday: { trigger: birthday, days_before: 7, rules: [ { award: { currency: star, amount: 5 } } ] }
  visits: { trigger: visit, rules: [ { award: { currency: star, amount: 1 }, limit: { per_member: { day: 2 } } } ] }
";

on_both_databases!(SHOP =>
    the_log_under_its_own_document_gives_exactly_its_ledger,
    a_draft_that_doubles_points_says_who_gains_and_why,
    a_budget_over_all_members_is_shared_in_the_order_of_the_log,
    a_draft_from_a_day_on_leaves_what_was_before,
    an_event_the_draft_does_not_know_is_counted_as_refused,
    i5_what_comes_late_comes_after_what_time_had_done_in_a_replay_too,
    g1_what_was_drawn_stays_drawn_and_a_new_surprise_draws_the_same_each_time,
);

/// A till was offline. While it was, points died and the scheduler noticed; then their purchase's return of the evening
/// before came in. They were gone, so nothing was taken. A replay that knows of no wake-up finds them alive at the
/// return's own time, and takes them back: the same balance by other entries.
fn i5_what_comes_late_comes_after_what_time_had_done_in_a_replay_too(app: &mut TestApp) {
    app.set_clock("2026-03-02T10:00");
    app.send(&sale("o-1", "card:1", 40_000));
    app.set_clock("2026-06-01T00:30");
    app.run_scheduler();
    app.send(&event_at("2026-05-31T20:00", "return", "b-1", "card:1", &data::back_all("o-1")));
    let found = what_if(app, SHOP, None);
    let point = &found["currencies"]["point"];
    // 40 of the purchase and 10 of the welcome.
    assert_eq!((&point["before"]["expired"], &point["before"]["taken_back"]), (&json!(50), &json!(0)));
    assert_eq!(point["before"], point["after"], "{found:#}");
}

/// What chance decided is no part of what a draft changes; what it never decided is drawn by the event itself.
fn g1_what_was_drawn_stays_drawn_and_a_new_surprise_draws_the_same_each_time(app: &mut TestApp) {
    let lucky = |amount: &str| {
        format!(
            "{SHOP}  lucky: {{ trigger: purchase, earning: bonus, budget: {{ star: 90000 }}, rules: [ {{ chance: 0.5, award: {{ currency: star, amount: {amount} }} }} ] }}\n"
        )
    };
    app.publish(&lucky("10")).unwrap();
    for number in 0..30 {
        app.send(&sale(&format!("o-{number}"), &format!("card:{}", number % 4), 1_000));
    }
    let won = app.count("SELECT CAST(SUM(won) AS BIGINT) FROM draw");
    assert!((3..=27).contains(&won), "{won} of 30 at a half");
    assert_eq!(app.count("SELECT CAST(COUNT(*) AS BIGINT) FROM draw"), 30);
    let issued = |text: &str| {
        let told = what_if(app, text, None);
        let star = &told["currencies"]["star"];
        (star["before"]["issued"].as_i64().unwrap(), star["after"]["issued"].as_i64().unwrap())
    };
    assert_eq!(issued(&lucky("10")), (won * 10, won * 10));
    assert_eq!(issued(&lucky("7")), (won * 10, won * 7), "the same win, another prize");
    let more = format!(
        "{}  second: {{ trigger: purchase, earning: bonus, budget: {{ star: 90000 }}, rules: [ {{ chance: 0.5, award: {{ currency: star, amount: 1 }} }} ] }}\n",
        lucky("10")
    );
    let (first, again) = (issued(&more), issued(&more));
    assert_eq!(first, again);
    assert!((won * 10 + 3..=won * 10 + 27).contains(&first.1), "{first:?}");
}

/// Whatever a story is about, its log under its own document is its ledger again: households and their pools, merges,
/// returns, everything that has a scenario. One that publishes another document is left out.
#[test]
fn every_scenario_comes_to_its_own_ledger_again() {
    let files = files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")).unwrap();
    let told = |file: &std::path::PathBuf| {
        let report = run_file_and(file, None, &|context, program| {
            if program.versions().head().version > 1 { Ok(Vec::new()) } else { differences(context, program, None) }
        });
        report.complaints()
    };
    let complaints: Vec<String> = files.iter().flat_map(told).collect();
    assert!(files.len() > 50 && complaints.is_empty(), "{complaints:#?}");
}

/// A spring of everything that can happen to two members and a guest.
fn spring(app: &mut TestApp) {
    let enrol = r#"{ "birthday": "1990-03-20" }"#;
    app.set_clock("2026-03-02T10:00");
    app.send(&event("enrol", "e-1", "card:1", enrol));
    app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 3, 150_000)])));
    app.send(&sale("o-2", "card:2", 40_000));
    app.send(&sale("o-3", "", 9_000));
    // A return before its purchase waits for it (I4).
    app.send(&back_all("b-9", "card:2", "o-9"));
    app.set_clock("2026-03-04T10:00");
    app.send(&event("return", "b-1", "card:1", r#"{ "order_id": "o-1", "items": [ { "sku": "A", "quantity": 1 } ] }"#));
    app.send(&sale("o-9", "card:2", 30_000));
    for number in 0..3 {
        app.send(&event("visit", &format!("v-{number}"), "card:2", "{}"));
    }
    app.set_clock("2026-03-25T18:00");
    app.send(&event("amend", "a-2", "card:2", &data::sale("o-2", 25_000)));
    // Told late (I5).
    app.send(&event_at("2026-03-10T09:00", "purchase", "o-4", "card:2", &data::sale("o-4", 77_000)));
    app.send(&event("return", "b-2", "card:1", r#"{ "items": [ { "sku": "A", "quantity": 1, "amount": 50000 } ] }"#));
    let adjustment = Adjustment::new(id("star"), 7, "sorry");
    let subject: Subject = "card:1".parse().unwrap();
    let secrets = &app.engine().context.secrets;
    let by_hand = Submission::adjustment(secrets, &app.program, subject, adjustment, "adj-1", app.now());
    accepted(app.engine().submit(by_hand).unwrap());
    // Some of it has expired since, and nobody has looked.
    app.set_clock("2026-06-20T12:00");
}

/// What was sent came as it was recorded, also where the draft lets nobody send it: one had it still, and the other too.
#[test]
fn p7_what_a_draft_does_not_let_be_sent_does_not_arrive() {
    let app = TestApp::new(POINTS);
    app.send(&sale("o-1", "card:1", 90_000));
    app.send(&sale("o-2", "card:2", 0));
    let member = |card: &str| app.member(card)["id"].as_str().unwrap().parse().unwrap();
    let sent = Transfer { to: member("card:2"), currency: id("point"), amount: 50, message: None };
    let (secrets, now) = (&app.engine().context.secrets, app.now());
    accepted(
        app.engine()
            .submit(Submission::transfer(secrets, &app.program, Subject::Member(member("card:1")), sent, "t", now))
            .unwrap(),
    );
    app.relay();
    assert_eq!((app.available("card:1", "point"), app.available("card:2", "point")), (50, 60));
    let outstanding = |draft: &str| {
        let found = what_if(&app, draft, None);
        let point = &found["currencies"]["point"];
        assert_eq!(point["before"]["outstanding"], 110);
        (point["after"]["outstanding"].clone(), found["refused"].clone(), found["in_order"].clone())
    };
    let forbidden = POINTS.replace("transfers: { point: {} }", "transfers: { point: { to: none } }");
    assert_eq!(outstanding(&forbidden), (json!(110), json!({ "transfer-not-allowed": 1 }), json!(true)));
    // A tenth of what it was: there is too little to be sent.
    let poor = POINTS.replace("/ 1000", "/ 10000");
    assert_eq!(outstanding(&poor), (json!(29), json!({ "not-enough-points": 1 }), json!(true)));
    let rich = POINTS.replace("/ 1000", "/ 500");
    assert_eq!(outstanding(&rich), (json!(200), json!({}), json!(false)));
}

fn what_if(app: &TestApp, draft: &str, from: Option<&str>) -> Value {
    let version = app.program.versions().head().version + 1;
    let draft = Arc::new(load_program(&shop::document(draft), version).unwrap());
    let span = Span { from: from.map(shop::at), to: app.now().plus_seconds(1) };
    json!(replay(&app.engine().context, &app.program, draft, span, &|_| {}).unwrap())
}

fn the_log_under_its_own_document_gives_exactly_its_ledger(app: &mut TestApp) {
    spring(app);
    let found = what_if(app, SHOP, None);
    assert_eq!((&found["members"], &found["refused"]), (&json!(2), &json!({})), "{found:#}");
    assert_eq!(found["gain"], json!({ "more": 0, "less": 0, "same": 2, "unit": "VND" }), "{found:#}");
    for part in ["currencies", "campaigns", "by_month"] {
        let text = found[part].to_string();
        let mut sides = 0;
        each_side(&found[part], &mut |before, after| {
            sides += 1;
            assert_eq!(before, after, "{part}: {text}");
        });
        assert!(sides > 1, "{part}: {text}");
    }
    assert_eq!(found["tiers"]["club"]["moves"], json!([]));
    let point = &found["currencies"]["point"]["after"];
    assert!(point["taken_back"].as_i64() > Some(0) && point["expired"].as_i64() > Some(0), "{point}");
}

fn each_side(value: &Value, visit: &mut impl FnMut(&Value, &Value)) {
    let Some(fields) = value.as_object() else { return };
    match (fields.get("before"), fields.get("after")) {
        (Some(before), Some(after)) => visit(before, after),
        _ => fields.values().for_each(|inner| each_side(inner, visit)),
    }
}

fn a_draft_that_doubles_points_says_who_gains_and_why(app: &mut TestApp) {
    app.send(&sale("o-1", "card:1", 40_000));
    app.send(&sale("o-2", "card:2", 7_000));
    let found = what_if(app, &SHOP.replace("event.net / 1000", "event.net / 500"), None);
    // 40 + 7 points become 80 + 14, and 2 × 10 of welcome stay; at 50 VND each.
    let point = &found["currencies"]["point"];
    assert_eq!((&point["before"]["issued"], &point["after"]["issued"]), (&json!(67), &json!(114)));
    assert_eq!((&point["before"]["cost"], &point["after"]["cost"]), (&json!("3350"), &json!("5700")));
    assert_eq!(found["gain"], json!({ "more": 2, "less": 0, "same": 0, "unit": "VND" }));
    assert_eq!(found["winners"][0]["gain"], "2000", "40 points more at 50 VND: {found:#}");
    assert_eq!(
        found["winners"][0]["why"],
        json!([{ "campaign": "base", "currency": "point", "before": 40, "after": 80 }])
    );
    assert_eq!(found["losers"], json!([]));
}

fn a_budget_over_all_members_is_shared_in_the_order_of_the_log(app: &mut TestApp) {
    for (minute, (number, total)) in [(1, 40_000), (2, 30_000), (3, 20_000), (1, 10_000)].into_iter().enumerate() {
        app.set_clock(&format!("2026-03-02T10:0{minute}"));
        let order = format!("o-{number}-{total}");
        app.send(&sale(&order, &format!("card:{number}"), total));
    }
    let with_budget = |most: u32| {
        let budget = format!("  base: {{ trigger: purchase, budget: {{ point: {most} }}, rules");
        SHOP.replace("  base: { trigger: purchase, rules", &budget)
    };
    let base = |found: &Value| found["campaigns"]["base"]["point"]["after"].clone();
    assert_eq!(base(&what_if(app, &with_budget(1000), None)), 100, "never met");
    let found = what_if(app, &with_budget(75), None);
    assert_eq!(base(&found), 75);
    // 40 and 30 fit, the third finds 5, the last nothing.
    let losers: Vec<&str> =
        found["losers"].as_array().unwrap().iter().map(|one| one["gain"].as_str().unwrap()).collect();
    assert_eq!(losers, ["-750", "-500"], "15 points and 10 points at 50 VND: {found:#}");
    assert_eq!(found, what_if(app, &with_budget(75), None), "the same whenever it is asked");
}

fn a_draft_from_a_day_on_leaves_what_was_before(app: &mut TestApp) {
    app.set_clock("2026-03-02T10:00");
    app.send(&sale("o-1", "card:1", 40_000));
    app.set_clock("2026-03-20T10:00");
    app.send(&sale("o-2", "card:1", 10_000));
    // The order is from before: what it earned then is taken back (R4).
    app.send(&back_all("b-1", "card:1", "o-1"));
    app.set_clock("2026-03-25T10:00");
    let found = what_if(app, &SHOP.replace("event.net / 1000", "event.net / 500"), Some("2026-03-10T00:00"));
    let point = &found["currencies"]["point"];
    assert_eq!((&point["before"]["issued"], &point["after"]["issued"]), (&json!(10), &json!(20)), "{found:#}");
    assert_eq!((&point["before"]["taken_back"], &point["after"]["taken_back"]), (&json!(40), &json!(40)));
    assert_eq!((&point["before"]["outstanding"], &point["after"]["outstanding"]), (&json!(20), &json!(30)));
    assert_eq!(found["by_month"].as_object().unwrap().keys().collect::<Vec<_>>(), ["2026-03"]);
}

fn an_event_the_draft_does_not_know_is_counted_as_refused(app: &mut TestApp) {
    app.send(&event("visit", "v-1", "card:1", "{}"));
    let draft = SHOP.replace("events: { visit: { data: { place: { type: text, optional: true } } } }", "");
    let draft: String =
        draft.lines().filter(|line| !line.contains("visits:")).map(|line| format!("{line}\n")).collect();
    let found = what_if(app, &draft, None);
    assert_eq!(found["refused"], json!({ "unknown-event-type": 1 }));
}
