//! I2, C5: many at once for the last of something.

use std::sync::Barrier;

use serde_json::Value;
use tessera_core::decide::{EffectKind, Outcome, OutcomeStatus};
use tessera_core::event::{Adjustment, Situation, UseBenefit};
use tessera_engine::Engine;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, amounts, event};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::json as data;

use crate::common::sale;

pub const THREADS: i64 = 64;

/// A gift of 7 with 100 in its budget, and one of 5 for at most 300 a day over all members.
const SCARCE: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never }, star: { name: Star, expires: never, overdraft: refuse }, mug: { name: Mug, expires: never } }
limits: { program: { star: { day: 200 } } }
tiers: { club: { measure: spend, levels: [ { id: all, at: 0, benefits: [delivery] } ] } }
benefits: { delivery: { name: Delivery, per: { month: 2 } } }
campaigns:
  gift: { trigger: purchase, earning: bonus, budget: { point: 100 }, rules: [ { award: { currency: point, amount: 7 } } ] }
  stars: { trigger: purchase, rules: [ { award: { currency: star, amount: event.net / 1000 } } ] }
  mugs:
    trigger: purchase
    earning: bonus
    rules: [ { award: { currency: mug, amount: 1 }, limit: { program: { ever: { times: 10 } } } } ]
";

on_both_databases!(SCARCE =>
    c5_budgets_and_caps_are_never_overspent_however_many_at_once,
    c5_budgets_are_not_overspent_by_one_batch,
    i2_of_many_spends_of_the_last_points_one_succeeds,
    of_many_uses_of_the_last_of_a_benefit_one_succeeds,
    i1_one_event_sent_by_many_at_once_is_applied_once,
    r3_of_many_returns_of_one_order_at_once_no_more_units_come_back_than_were_bought,
    one_name_claimed_by_many_at_once_has_one_owner,
);

/// Runs one thing on many threads that begin together.
pub fn at_once<T: Send>(work: impl Fn(i64) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    std::thread::scope(|scope| {
        let (work, start) = (&work, &start);
        let run = |number| {
            scope.spawn(move || {
                start.wait();
                work(number)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn total(outcomes: &[Outcome], currency: &str) -> i64 {
    outcomes.iter().flat_map(|outcome| amounts(&outcome.effects, EffectKind::Accrual, currency)).sum()
}

fn of_many_uses_of_the_last_of_a_benefit_one_succeeds(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 9_000));
    let wish = |number: i64| {
        let benefit = "delivery".parse().unwrap();
        let wish = UseBenefit { benefit, order_id: None, situation: Situation::default() };
        let (secrets, subject) = (&app.engine().context.secrets, "card:1".parse().unwrap());
        Submission::use_benefit(secrets, &app.program, subject, wish, &format!("u-{number}"), app.now())
    };
    let first = app.engine().submit(wish(100)).unwrap();
    assert!(matches!(first, Answer::Done { .. }), "one of two is used");
    let shared = app.engine().context.database.dialect() == tessera_store::Dialect::Postgres;
    let other: Option<Engine> = shared.then(|| app.neighbour());
    let answers = at_once(|number| {
        let engine = other.as_ref().filter(|_| number % 2 == 0).unwrap_or(app.engine());
        engine.submit(wish(number)).unwrap()
    });
    assert_eq!(counted(&answers, OutcomeStatus::Applied), (1, vec!["benefit-used-up"]));
    let list = app.get("members/card:1/entitlements").ok();
    assert_eq!(list["items"][0]["uses"][0]["used"], 2);
}

fn check_scarce(app: &TestApp, outcomes: &[Outcome]) {
    assert_eq!(total(outcomes, "point"), 100, "the budget is used to the last point and no further");
    assert_eq!(total(outcomes, "star"), 200, "the program's cap");
    assert_eq!(total(outcomes, "mug"), 10, "ten times");
    let held =
        |currency: &str| -> i64 { (0..THREADS).map(|number| app.available(&format!("card:{number}"), currency)).sum() };
    assert_eq!((held("point"), held("star"), held("mug")), (100, 200, 10), "what was told is what is there");
}

/// Sends an event of each number at once: on PostgreSQL through two processes, the embedded database has one.
fn sent_at_once(app: &TestApp, event: impl Fn(i64) -> Value + Sync) -> Vec<Answer> {
    let shared = app.engine().context.database.dialect() == tessera_store::Dialect::Postgres;
    let other: Option<Engine> = shared.then(|| app.neighbour());
    at_once(|number| {
        let submission = app.read(&event(number)).unwrap();
        let engine = other.as_ref().filter(|_| number % 2 == 0).unwrap_or(app.engine());
        engine.submit(submission).unwrap()
    })
}

/// How many answers are accepted with this status, and the codes of the refused.
fn counted(answers: &[Answer], status: OutcomeStatus) -> (usize, Vec<&str>) {
    let mut codes: Vec<&str> = Vec::new();
    let mut count = 0;
    for answer in answers {
        match answer {
            Answer::Done { outcome, .. } => count += usize::from(outcome.status == status),
            Answer::Refused(refusal) => codes.push(&refusal.code),
            Answer::Unavailable => panic!("the database did not take it"),
        }
    }
    codes.sort_unstable();
    codes.dedup();
    (count, codes)
}

fn c5_budgets_and_caps_are_never_overspent_however_many_at_once(app: &mut TestApp) {
    let answers = sent_at_once(app, |number| sale(&format!("r-{number}"), &format!("card:{number}"), 5_000));
    let outcomes: Vec<Outcome> = answers.into_iter().map(accepted).collect();
    check_scarce(app, &outcomes);
}

fn i1_one_event_sent_by_many_at_once_is_applied_once(app: &mut TestApp) {
    let answers = sent_at_once(app, |_| sale("r-1", "card:1", 5_000));
    assert_eq!(counted(&answers, OutcomeStatus::Applied), (1, Vec::new()));
    assert_eq!(counted(&answers, OutcomeStatus::Duplicate), (63, Vec::new()));
    assert_eq!(app.available("card:1", "star"), 5);
}

fn r3_of_many_returns_of_one_order_at_once_no_more_units_come_back_than_were_bought(app: &mut TestApp) {
    app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 20, 100_000)])));
    let one = |number| event("return", &format!("b-{number}"), "card:1", &data::back("o-1", &[("A", 1)]));
    let answers = sent_at_once(app, one);
    assert_eq!(counted(&answers, OutcomeStatus::Applied), (20, vec!["nothing-left-to-return"]));
    assert_eq!(app.available("card:1", "star"), 0);
}

fn one_name_claimed_by_many_at_once_has_one_owner(app: &mut TestApp) {
    let join =
        |number| event("enrol", &format!("e-{number}"), &format!("card:{number}"), r#"{"phone": "+84901234567"}"#);
    let answers = sent_at_once(app, join);
    assert_eq!(counted(&answers, OutcomeStatus::Applied), (1, vec!["identifier-taken"]));
    assert_eq!(app.get("members").ok()["items"].as_array().unwrap().len(), 1);
}

fn c5_budgets_are_not_overspent_by_one_batch(app: &mut TestApp) {
    let sales: Vec<_> =
        (0..THREADS).map(|number| sale(&format!("r-{number}"), &format!("card:{number}"), 5_000)).collect();
    let outcomes: Vec<Outcome> = app.send_together(&sales).into_iter().map(accepted).collect();
    check_scarce(app, &outcomes);
}

fn i2_of_many_spends_of_the_last_points_one_succeeds(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 9_000));
    let answers = at_once(|number| {
        let adjustment = Adjustment::new("star".parse().unwrap(), -9, "a mug");
        let (secrets, subject) = (&app.engine().context.secrets, "card:1".parse().unwrap());
        let key = format!("a-{number}");
        let submission = Submission::adjustment(secrets, &app.program, subject, adjustment, &key, app.now());
        app.engine().submit(submission).unwrap()
    });
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Refused(refusal) => Some(refusal),
            _ => None,
        })
        .collect();
    assert_eq!(refused.len(), 63);
    for refusal in refused {
        assert_eq!((refusal.code.as_str(), refusal.facts["available"].as_i64()), ("not-enough-to-take-back", Some(0)));
    }
    assert_eq!(app.available("card:1", "star"), 0);
}
