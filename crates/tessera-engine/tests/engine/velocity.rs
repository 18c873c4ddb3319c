//! P6: velocity rules count over all servers, and what is more is in a case.

use serde_json::Value;
use tessera_core::event::Origin;
use tessera_engine::Engine;
use tessera_engine::case::{self, State, Wish};
use tessera_engine::query::PageRequest;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::TestApp;
use tessera_testkit::on_both_databases;

use crate::common::sale;
use crate::contention::{THREADS, at_once};

const MOST: i64 = 10;

/// Ten an hour for each of the staff; an eleventh a member in a day is looked at.
const RULES: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: 1 } } ] } }
velocity:
  staff-hour: { what: purchase, per: staff, window: PT1H, count: 10, action: refuse }
  member-day: { what: purchase, per: member, window: P1D, count: 4 }
";

on_both_databases!(RULES =>
    a_limit_of_staff_is_never_overrun_however_many_at_once,
    a_limit_of_staff_is_never_overrun_by_one_batch,
    windows_that_are_long_over_are_forgotten,
);

/// A purchase that somebody rang up, by one of two members.
fn rung(app: &TestApp, number: i64, staff: &str) -> Submission {
    let mut event = sale(&format!("r-{number}"), &format!("card:{}", number / 2 % 2), 5_000);
    event["data"]["staff"] = Value::from(staff);
    let origin = Origin { key: Some("key_till".into()), ..Origin::default() };
    Submission { origin, ..app.read(&event).unwrap() }
}

fn check(app: &TestApp, answers: &[Answer]) {
    let (mut accepted, mut refused) = (0, 0);
    for answer in answers {
        match answer {
            Answer::Done { .. } => accepted += 1,
            Answer::Refused(refusal) => {
                assert_eq!(refusal.code, "too-often", "{}", refusal.detail);
                assert!(refusal.facts["case"].as_str().unwrap().starts_with("case_"));
                refused += 1;
            }
            Answer::Unavailable => panic!("the database did not take it"),
        }
    }
    assert_eq!((accepted, refused), (MOST, THREADS - MOST));
    assert_eq!(app.available("card:0", "point") + app.available("card:1", "point"), MOST);
    let context = &app.engine().context;
    let list = |rule: &str| {
        let wish = Wish { rule: Some(rule.to_owned()), ..Wish::default() };
        case::list(context, &app.program, &wish, &PageRequest { limit: 50, after: None }).unwrap().items
    };
    let of_staff = list("staff-hour");
    let [case] = of_staff.as_slice() else { panic!("one case, not {of_staff:?}") };
    assert_eq!((case.subject.as_str(), case.hits, case.most, case.used), ("S-1", THREADS - MOST, MOST, MOST + 1));
    assert_eq!(case.state, State::Open);
    let (_, commands) = case::show(context, &app.program, &case.id).unwrap().unwrap();
    assert_eq!(commands.len(), usize::try_from(THREADS - MOST).unwrap());
    assert!(commands.iter().all(|hit| hit.event_id.is_none() && hit.refusal.as_deref() == Some("too-often")));
    // Ten purchases by two members: what was more than four each is in a case by its event.
    let of_members: i64 = list("member-day").iter().map(|case| case.hits).sum();
    let spent = |card: &str| (app.available(card, "point") - 4).max(0);
    assert_eq!(of_members, spent("card:0") + spent("card:1"));
}

fn a_limit_of_staff_is_never_overrun_however_many_at_once(app: &mut TestApp) {
    let shared = app.engine().context.database.dialect() == tessera_store::Dialect::Postgres;
    let other: Option<Engine> = shared.then(|| app.neighbour());
    let answers = at_once(|number| {
        let engine = other.as_ref().filter(|_| number % 2 == 0).unwrap_or(app.engine());
        engine.submit(rung(app, number, "S-1")).unwrap()
    });
    check(app, &answers);
}

fn a_limit_of_staff_is_never_overrun_by_one_batch(app: &mut TestApp) {
    let submissions = (0..THREADS).map(|number| Ok(rung(app, number, "S-1"))).collect();
    check(app, &app.submit_together(submissions));
}

fn windows_that_are_long_over_are_forgotten(app: &mut TestApp) {
    let (context, executor) = (app.engine().context.clone(), app.engine().executor().clone());
    let submit = |app: &TestApp, number| app.engine().submit(rung(app, number, "S-1")).unwrap();
    submit(app, 1);
    let pools = "SELECT count(*) FROM pool WHERE pool LIKE 'pool:velocity%'";
    assert_eq!(app.count(pools), 1);
    app.set_clock("2026-05-20T10:00");
    assert_eq!(case::forget_windows(&context, &executor, &app.program).unwrap(), 0, "an event may come 90 days late");
    submit(app, 2);
    app.set_clock("2026-06-20T10:00");
    assert_eq!(case::forget_windows(&context, &executor, &app.program).unwrap(), 1);
    assert_eq!(app.count(pools), 1, "what is open, or may be, stays");
}
