//! I2, C5: many at once for the last of something.

use std::sync::Barrier;

use tessera_core::decide::{EffectKind, Outcome};
use tessera_core::event::Adjustment;
use tessera_engine::Engine;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, amounts};
use tessera_testkit::on_both_databases;

use crate::common::sale;

const THREADS: i64 = 64;

/// A gift of 7 with 100 in its budget, and one of 5 for at most 300 a day over all members.
const SCARCE: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never }, star: { name: Star, expires: never, overdraft: refuse }, mug: { name: Mug, expires: never } }
limits: { program: { star: { day: 200 } } }
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
);

/// Runs one thing on many threads that begin together.
fn at_once<T: Send>(work: impl Fn(i64) -> T + Sync) -> Vec<T> {
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

fn check_scarce(app: &TestApp, outcomes: &[Outcome]) {
    assert_eq!(total(outcomes, "point"), 100, "the budget is used to the last point and no further");
    assert_eq!(total(outcomes, "star"), 200, "the program's cap");
    assert_eq!(total(outcomes, "mug"), 10, "ten times");
    let held = |currency: &str| -> i64 {
        (0..THREADS).map(|number| app.available(&format!("card:{number}"), currency)).sum()
    };
    assert_eq!((held("point"), held("star"), held("mug")), (100, 200, 10), "what was told is what is there");
}

fn c5_budgets_and_caps_are_never_overspent_however_many_at_once(app: &mut TestApp) {
    // On PostgreSQL two processes write at once; the embedded database has one.
    let other: Option<Engine> = (app.engine().context.database.dialect() == tessera_store::Dialect::Postgres)
        .then(|| app.neighbour());
    let outcomes = at_once(|number| {
        let submission = app.read(&sale(&format!("r-{number}"), &format!("card:{number}"), 5_000)).unwrap();
        let engine = other.as_ref().filter(|_| number % 2 == 0).unwrap_or(app.engine());
        accepted(engine.submit(submission).unwrap())
    });
    check_scarce(app, &outcomes);
}

fn c5_budgets_are_not_overspent_by_one_batch(app: &mut TestApp) {
    let sales: Vec<_> = (0..THREADS).map(|number| sale(&format!("r-{number}"), &format!("card:{number}"), 5_000)).collect();
    let outcomes: Vec<Outcome> = app.send_together(&sales).into_iter().map(accepted).collect();
    check_scarce(app, &outcomes);
}

fn i2_of_many_spends_of_the_last_points_one_succeeds(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 9_000));
    let answers = at_once(|number| {
        let adjustment = Adjustment { currency: "star".parse().unwrap(), amount: -9, reason: "a mug".into() };
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
