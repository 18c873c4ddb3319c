//! I1-I3, I7, R7: redemptions through the door, one by one, together and many at once.

use serde_json::{Value, json};
use tessera_core::decide::{EffectKind, Outcome, OutcomeStatus};
use tessera_core::event::Redeem;
use tessera_core::ledger::RedemptionStatus;
use tessera_engine::Engine;
use tessera_engine::redemption::Step;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, amounts, as_duplicate, event, refused};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::{pay, reserve, reward, spend};

use crate::common::{back_all, sale};
use crate::contention::{THREADS, at_once};

/// A point per 1,000, worth 100 each.
const SPENDING: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: { after: P12M }, value: 100, spend: { reserve: PT30M } } }
rewards: { mug: { costs: { point: 5 }, gives: { item: MUG-01 }, stock: 10 } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
";

on_both_databases!(SPENDING =>
    i2_of_many_spends_at_once_exactly_the_affordable_ones_win,
    i3_of_many_captures_of_one_reservation_one_wins,
    i3_a_batch_of_steps_is_decided_as_if_one_by_one,
    c5_of_a_scarce_reward_no_more_are_given_than_there_are,
    i1_a_redemption_is_made_once_under_its_key,
    i7_a_reservation_ends_by_itself,
    r7_points_come_back_with_the_order_they_paid,
    r2_an_order_that_came_back_before_owes_nothing_once_its_points_are_home,
    what_is_reserved_outlives_a_restart,
    a_stranger_redeems_nothing,
);

fn submit(app: &TestApp, submission: Submission) -> Answer {
    app.engine().submit(submission).unwrap()
}

fn redeem(app: &TestApp, redeem: Redeem, key: &str) -> Outcome {
    accepted(submit(app, app.redeeming("card:1", redeem, key)))
}

fn step(app: &TestApp, redemption: &Outcome, step: Step, key: &str) -> Outcome {
    accepted(submit(app, app.redemption_step(&redemption.event_id, step, key)))
}

/// What is spendable and what is reserved.
fn balance(app: &TestApp) -> (i64, i64) {
    let balance = &app.member("card:1")["balances"]["point"];
    (balance["available"].as_i64().unwrap(), balance["held"].as_i64().unwrap())
}

/// Submits a command of each number at once: on PostgreSQL through two processes.
fn submitted_at_once(app: &TestApp, submission: impl Fn(i64) -> Submission + Sync) -> (Vec<Outcome>, Vec<String>) {
    let shared = app.engine().context.database.dialect() == tessera_store::Dialect::Postgres;
    let other: Option<Engine> = shared.then(|| app.neighbour());
    let answers = at_once(|number| {
        let engine = other.as_ref().filter(|_| number % 2 == 0).unwrap_or(app.engine());
        engine.submit(submission(number)).unwrap()
    });
    let (mut done, mut codes) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Answer::Done { outcome, .. } => done.push(*outcome),
            Answer::Refused(refusal) => {
                let available = refusal.facts.get("available").and_then(Value::as_i64);
                assert!(available.is_none_or(|available| available < 7), "{refusal:?}");
                codes.push(refusal.code);
            }
            Answer::Unavailable => panic!("the database did not take it"),
        }
    }
    codes.dedup();
    (done, codes)
}

fn i2_of_many_spends_at_once_exactly_the_affordable_ones_win(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 100_000));
    let (won, codes) = submitted_at_once(app, |number| {
        let redeem = if number % 3 == 0 { reserve("point", 7) } else { spend("point", 7) };
        app.redeeming("card:1", redeem, &format!("k-{number}"))
    });
    assert_eq!((won.len(), codes), (14, vec!["not-enough-points".to_owned()]), "14 times 7 of 100");
    assert_eq!(THREADS, 64);
    let (available, held) = balance(app);
    let spent: i64 = won.iter().flat_map(|outcome| amounts(&outcome.effects, EffectKind::Spent, "point")).sum();
    assert_eq!((available, available + held + spent), (2, 100));
}

fn i3_of_many_captures_of_one_reservation_one_wins(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 100_000));
    let reserved = redeem(app, reserve("point", 60), "r");
    let (won, codes) = submitted_at_once(app, |number| {
        let step = if number % 2 == 0 { Step::Capture { points: Some(40) } } else { Step::Void };
        app.redemption_step(&reserved.event_id, step, &format!("k-{number}"))
    });
    assert_eq!((won.len(), codes), (1, vec!["redemption-closed".to_owned()]));
    let captured = won[0].redemption.as_ref().unwrap().captured;
    assert_eq!(balance(app), (100 - captured, 0));
    let (won, codes) = submitted_at_once(app, |number| {
        app.redemption_step(&reserved.event_id, Step::Return { points: Some(10) }, &format!("b-{number}"))
    });
    let expected = if captured == 0 { (0, "redemption-closed") } else { (4, "returned-more-than-captured") };
    assert_eq!((won.len(), codes), (expected.0, vec![expected.1.to_owned()]));
    assert_eq!(balance(app), (100, 0));
}

fn i3_a_batch_of_steps_is_decided_as_if_one_by_one(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 100_000));
    let first = redeem(app, reserve("point", 50), "r-1");
    // The second redemption takes the next place in the member's sequence.
    let (member, seq) = first.event_id.rsplit_once('_').unwrap();
    let second = format!("{member}_{}", seq.parse::<u64>().unwrap() + 2);
    let paid = json!([{ "method": "points", "amount": 3_000, "redemption": first.event_id }]);
    let answers = app.submit_together(vec![
        Ok(app.redemption_step(&first.event_id, Step::Capture { points: Some(30) }, "c")),
        Ok(app.redeeming("card:1", reserve("point", 70), "r-2")),
        Ok(app.redemption_step(&first.event_id, Step::Void, "v")),
        Ok(app.redemption_step(&second, Step::Void, "v")),
        app.read(&paid_sale("o-1", 10_000, &paid)),
        app.read(&back_all("b-1", "card:1", "o-1")),
        Ok(app.redemption_step(&first.event_id, Step::Return { points: Some(1) }, "b")),
    ]);
    let told: Vec<String> = answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Done { outcome, .. } => format!("{:?}", outcome.status),
            Answer::Refused(refusal) => refusal.code,
            Answer::Unavailable => panic!("the database did not take it"),
        })
        .collect();
    // The key of a refused step holds nothing, so the same one voids the other redemption.
    let expected =
        ["Applied", "Applied", "redemption-closed", "Applied", "Applied", "Applied", "returned-more-than-captured"];
    assert_eq!(told, expected);
    assert_eq!(balance(app), (100, 0));
}

fn c5_of_a_scarce_reward_no_more_are_given_than_there_are(app: &mut TestApp) {
    for number in 0..THREADS {
        app.send(&sale(&format!("r-{number}"), &format!("card:{number}"), 9_000));
    }
    let redeem = |number| {
        let mug = Redeem { capture: number % 2 == 0, ..reward("mug") };
        app.redeeming(&format!("card:{number}"), mug, &format!("k-{number}"))
    };
    let (won, codes) = submitted_at_once(app, redeem);
    assert_eq!((won.len(), codes), (10, vec!["reward-sold-out".to_owned()]));
    let points: i64 = (0..THREADS).map(|number| app.available(&format!("card:{number}"), "point")).sum();
    assert_eq!(points, 9 * THREADS - 5 * 10, "price and stock in one");
    // Those that are only reserved come back when they end.
    let reserved = won.iter().filter(|outcome| outcome.balances.values().any(|balance| balance.held > 0)).count();
    app.set_clock("2026-03-02T10:30");
    app.run_scheduler();
    let used = app.count("SELECT used FROM pool WHERE pool = 'pool:reward:mug'");
    assert_eq!(used, i64::try_from(10 - reserved).unwrap());
}

fn paid_sale(id: &str, total: i64, payments: &Value) -> Value {
    let mut sale = sale(id, "card:1", total);
    sale["data"]["payments"] = payments.clone();
    sale
}

fn i1_a_redemption_is_made_once_under_its_key(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 100_000));
    let first = redeem(app, pay("point", "2550", None), "k");
    let again = redeem(app, pay("point", "2550", None), "k");
    assert_eq!(again, as_duplicate(&first));
    assert_eq!(again.redemption.unwrap().bill.unwrap().remainder.to_string(), "50");
    let other = refused(submit(app, app.redeeming("card:1", pay("point", "2551", None), "k")));
    assert_eq!(other.code, "idempotency-key-reused");
    let captured = step(app, &first, Step::Capture { points: None }, "k");
    assert_eq!(captured.status, OutcomeStatus::Applied, "each kind of step has keys of its own");
    assert_eq!(step(app, &first, Step::Capture { points: None }, "k"), as_duplicate(&captured));
    let too_much = || refused(submit(app, app.redeeming("card:1", spend("point", 99), "much")));
    let refusal = too_much();
    assert_eq!(
        (refusal.code.as_str(), &refusal.facts["wanted"], &refusal.facts["available"]),
        ("not-enough-points", &json!(99), &json!(75))
    );
    assert!(too_much().replayed);
    assert_eq!(balance(app), (75, 0));
}

fn i7_a_reservation_ends_by_itself(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 100_000));
    let reserved = redeem(app, reserve("point", 60), "k");
    assert_eq!(balance(app), (40, 60));
    app.set_clock("2026-03-02T10:30");
    assert_eq!(balance(app), (100, 0), "no job is needed");
    let late = refused(submit(app, app.redemption_step(&reserved.event_id, Step::Capture { points: None }, "c")));
    assert_eq!((late.code.as_str(), &late.facts["redemption"]), ("reservation-ended", &json!(reserved.event_id)));
    assert_eq!(app.run_scheduler(), 1);
    let closed = refused(submit(app, app.redemption_step(&reserved.event_id, Step::Return { points: None }, "b")));
    assert_eq!((closed.code.as_str(), &closed.facts["redemption_status"]), ("redemption-closed", &json!("ended")));
    assert_eq!(app.run_scheduler(), 0);
}

fn r7_points_come_back_with_the_order_they_paid(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 100_000));
    let spent = redeem(app, spend("point", 80), "k");
    let payments = json!([{ "method": "points", "amount": 8_000, "redemption": spent.event_id }]);
    app.send(&paid_sale("o-1", 20_000, &payments));
    assert_eq!(balance(app), (20 + 12, 0), "what points paid earns nothing");
    // Without a subject: the order says whose it is.
    let back = app.send(&back_all("b-1", "", "o-1"));
    assert_eq!(amounts(&back.effects, EffectKind::Refunded, "point"), [80]);
    assert_eq!(balance(app), (100, 0));
    app.send(&sale("r-2", "card:2", 5_000));
    let mut theirs = paid_sale("o-2", 20_000, &payments);
    theirs["subject"] = "card:2".into();
    assert_eq!(app.refused(&theirs).code, "unknown-redemption");
}

/// 100 points, of which 80 pay for an order that earns 12; the others die. Half of what earned them comes back, then what
/// they paid for, then the other half.
fn r2_an_order_that_came_back_before_owes_nothing_once_its_points_are_home(app: &mut TestApp) {
    let shoes = tessera_testkit::shop::json::lines("r-1", &[("A", "x", 2, 100_000)]);
    app.send(&event("purchase", "r-1", "card:1", &shoes));
    let spent = redeem(app, spend("point", 80), "k");
    let payments = json!([{ "method": "points", "amount": 8_000, "redemption": spent.event_id }]);
    app.send(&paid_sale("o-1", 20_000, &payments));
    app.set_clock("2027-03-03T10:00");
    app.run_scheduler();
    let one = tessera_testkit::shop::json::back("r-1", &[("A", 1)]);
    let owed = |app: &TestApp| app.member("card:1")["balances"]["point"]["debt"].as_i64().unwrap();
    app.send(&event("return", "b-1", "", &one));
    assert_eq!(owed(app), 50 - 32);
    app.restart();
    let back = app.send(&back_all("b-2", "", "o-1"));
    assert_eq!(amounts(&back.effects, EffectKind::DebtRepaid, "point"), [18]);
    app.send(&event("return", "b-3", "", &one));
    assert_eq!((balance(app), owed(app)), ((0, 0), 0));
}

fn what_is_reserved_outlives_a_restart(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 100_000));
    let reserved = redeem(app, reserve("point", 60), "k");
    app.restart();
    assert_eq!(balance(app), (40, 60));
    let captured = step(app, &reserved, Step::Capture { points: Some(10) }, "c");
    assert_eq!(captured.redemption.unwrap().status, RedemptionStatus::Captured);
    assert_eq!(balance(app), (90, 0));
}

fn a_stranger_redeems_nothing(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 100_000));
    let members = || app.count("SELECT COUNT(*) FROM member");
    let before = members();
    let refusal = refused(submit(app, app.redeeming("card:9", spend("point", 1), "k")));
    assert_eq!((refusal.code.as_str(), members()), ("unknown-member", before), "and no member is made of them");
    let own = redeem(app, spend("point", 1), "k");
    let (member, _) = own.event_id.rsplit_once('_').unwrap();
    let nothing = refused(submit(app, app.redemption_step(&format!("{member}_1"), Step::Void, "v")));
    assert_eq!(nothing.code, "unknown-redemption");
    let purchase = app.send(&event("purchase", "g-1", "", &tessera_testkit::shop::json::sale("g-1", 9_000)));
    assert_eq!(purchase.member, None);
    let guest = refused(submit(app, app.redemption_step(&purchase.event_id, Step::Void, "g")));
    assert_eq!(guest.code, "unknown-redemption", "a guest has none");
}
