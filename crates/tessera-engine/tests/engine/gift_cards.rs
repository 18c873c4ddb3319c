//! V3, I1, I2: gift cards through the door, together and many at once.

use tessera_core::decide::OutcomeStatus;
use tessera_core::event::Redeem;
use tessera_core::program::GIFT_CARD;
use tessera_core::time::Instant;
use tessera_engine::Engine;
use tessera_engine::gift_card::{CardCode, CardStep, card_subject};
use tessera_engine::identifier::Subject;
use tessera_engine::query;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, refused};
use tessera_testkit::on_both_databases;

use crate::contention::at_once;

const CARDS: &str = "
gift_cards: { expires: { after: P1Y } }
currencies: { point: { name: Point, expires: never } }
";

/// The code of the card of these tests.
const CODE: &str = "HCM 0000 0001";

on_both_databases!(CARDS =>
    i2_of_many_who_want_the_last_money_of_a_card_as_many_as_it_pays_win,
    i1_one_card_asked_for_by_many_at_once_is_made_once,
    v3_a_batch_of_steps_is_decided_as_if_one_by_one,
    v3_what_is_loaded_expires_by_itself_and_stands_in_the_report,
);

fn issue(app: &TestApp, amount: i64, key: &str) -> Submission {
    let code = CardCode::printed(CODE).unwrap();
    step(app, None, CardStep::Issue { code, amount, buyer: None, order_id: None }, key)
}

fn step(app: &TestApp, card: Option<Subject>, step: CardStep, key: &str) -> Submission {
    Submission::gift_card(&app.engine().context.secrets, &app.program, card, step, key, app.now())
}

fn pay(app: &TestApp, amount: i64, key: &str) -> Submission {
    let redeem = Redeem {
        reward: None,
        currency: GIFT_CARD,
        points: Some(amount),
        payable: None,
        tender: None,
        order_id: None,
        capture: true,
        proven: None,
        by: None,
    };
    let card = card_subject(CODE).unwrap();
    Submission::redeem(&app.engine().context.secrets, &app.program, card, redeem, key, app.now())
}

fn balance(app: &TestApp) -> String {
    let card = card_subject(CODE).unwrap();
    query::gift_card(&app.engine().context, &app.program, &card).unwrap().unwrap().balance
}

/// Submits a command of each number at once: on PostgreSQL through two processes.
fn submitted_at_once(app: &TestApp, submission: impl Fn(i64) -> Submission + Sync) -> Vec<Answer> {
    let shared = app.engine().context.database.dialect() == tessera_store::Dialect::Postgres;
    let other: Option<Engine> = shared.then(|| app.neighbour());
    at_once(|number| {
        let engine = other.as_ref().filter(|_| number % 2 == 0).unwrap_or(app.engine());
        engine.submit(submission(number)).unwrap()
    })
}

fn i2_of_many_who_want_the_last_money_of_a_card_as_many_as_it_pays_win(app: &mut TestApp) {
    accepted(app.engine().submit(issue(app, 10_000, "new")).unwrap());
    let answers = submitted_at_once(app, |number| pay(app, 3_000, &format!("p-{number}")));
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| matches!(answer, Answer::Done { .. }));
    assert_eq!((won.len(), lost.len()), (3, 61));
    assert!(lost.into_iter().all(|answer| refused(answer).code == "not-enough-on-gift-card"));
    assert_eq!(balance(app), "1000");
    assert!(app.verify().differences.is_empty());
}

fn i1_one_card_asked_for_by_many_at_once_is_made_once(app: &mut TestApp) {
    let answers = submitted_at_once(app, |number| issue(app, 10_000, &format!("new-{}", number % 2)));
    let mut made = 0;
    for answer in answers {
        match answer {
            Answer::Done { outcome, .. } => made += i64::from(outcome.status == OutcomeStatus::Applied),
            other => assert_eq!(refused(other).code, "gift-card-exists"),
        }
    }
    assert_eq!((made, balance(app).as_str()), (1, "10000"));
}

fn v3_a_batch_of_steps_is_decided_as_if_one_by_one(app: &mut TestApp) {
    let card = || card_subject(CODE).ok();
    let top_up = |key| step(app, card(), CardStep::TopUp { amount: 5_000, order_id: None }, key);
    let steps = vec![
        Ok(issue(app, 10_000, "new")),
        Ok(pay(app, 12_000, "p-1")),
        Ok(top_up("t-1")),
        Ok(pay(app, 12_000, "p-2")),
        Ok(step(app, card(), CardStep::Block { reason: None }, "b")),
        Ok(pay(app, 1_000, "p-3")),
        Ok(step(app, card(), CardStep::Unblock, "u")),
        Ok(pay(app, 3_000, "p-4")),
    ];
    let codes: Vec<String> = app
        .submit_together(steps)
        .into_iter()
        .map(|answer| match answer {
            Answer::Done { .. } => "done".to_owned(),
            other => refused(other).code,
        })
        .collect();
    let expected = ["done", "not-enough-on-gift-card", "done", "done", "done", "gift-card-blocked", "done", "done"];
    assert_eq!(codes, expected);
    assert_eq!(balance(app), "0");
}

fn v3_what_is_loaded_expires_by_itself_and_stands_in_the_report(app: &mut TestApp) {
    accepted(app.engine().submit(issue(app, 10_000, "new")).unwrap());
    accepted(app.engine().submit(pay(app, 4_000, "p")).unwrap());
    app.set_clock("2027-03-03T00:00");
    app.run_scheduler();
    assert_eq!(balance(app), "0");
    let figures = |at: Instant| {
        let summary = tessera_engine::report::summary(&app.engine().context, &app.program, at).unwrap();
        let cards = summary.gift_cards.unwrap();
        [cards.sold, cards.spent, cards.expired, cards.outstanding]
    };
    assert_eq!(figures(app.now()), ["10000", "4000", "6000", "0"]);
    assert_eq!(figures(tessera_testkit::shop::at("2027-03-02T23:59")), ["10000", "4000", "0", "6000"]);
    assert_eq!(app.count("SELECT COUNT(*) FROM event WHERE type = 'enrol'"), 0, "a card joins nothing");
}
