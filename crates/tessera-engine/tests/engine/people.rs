//! P3, P4, P6: names, leaving and claims, on both databases, also when things meet.

use tessera_core::code::Code;
use tessera_core::event::{Removal, Transfer};
use tessera_core::id::MemberId;
use tessera_engine::identifier::Identifier;
use tessera_engine::people::NameChange;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, refused};
use tessera_testkit::on_both_databases;

use crate::common::{POINTS, sale};

const CLAIMS: &str = "claims: { per_member: { day: 100 } }\n";

on_both_databases!(&format!("{CLAIMS}{POINTS}") =>
    p4_a_card_is_replaced_and_the_old_one_is_blocked,
    p3_a_mark_is_kept_used_and_forgotten,
    p3_points_on_the_way_between_two_who_leave_are_given_up,
    p6_claims_that_meet_give_the_purchase_once,
    i1_a_batch_of_names_gives_what_one_by_one_gives,
);

fn submit(app: &TestApp, submission: Submission) -> Answer {
    app.engine().submit(submission).unwrap()
}

fn name(text: &str) -> Option<Identifier> {
    Some(text.parse().unwrap())
}

fn replacing(app: &TestApp, member: MemberId, old: &str, new: &str, key: &str) -> Submission {
    let change = NameChange { added: name(new), removed: name(old), why: Removal::Replaced, ..NameChange::default() };
    Submission::rename(&app.engine().context.secrets, &app.program, member, change, key, app.now())
}

fn leaving(app: &TestApp, member: MemberId, erase: bool, key: &str) -> Submission {
    Submission::leave(&app.engine().context.secrets, &app.program, member, erase, key, app.now())
}

/// Somebody who joined by a purchase of so much.
fn joined(app: &TestApp, order: &str, subject: &str, total: i64) -> MemberId {
    app.send(&sale(order, subject, total)).member.unwrap().parse().unwrap()
}

fn p4_a_card_is_replaced_and_the_old_one_is_blocked(app: &mut TestApp) {
    let an = joined(app, "o-1", "card:1", 50_000);
    let before = app.available("card:1", "point");
    accepted(submit(app, replacing(app, an, "card:1", "card:2", "k-1")));
    assert_eq!(app.available("card:2", "point"), before);
    assert_eq!(refused(submit(app, replacing(app, an, "card:1", "card:3", "k-2"))).code, "unknown-identifier");
    assert_eq!(app.refused(&sale("o-2", "card:1", 1_000)).code, "identifier-replaced");
    app.restart();
    assert_eq!(app.refused(&sale("o-3", "card:1", 1_000)).code, "identifier-replaced");
}

fn p3_a_mark_is_kept_used_and_forgotten(app: &mut TestApp) {
    let an = joined(app, "o-1", "phone:+84901", 50_000);
    accepted(submit(app, leaving(app, an, true, "k-1")));
    assert_eq!(app.refused(&sale("o-2", "phone:+84901", 1_000)).code, "member-left");
    assert_eq!(app.count("SELECT count(*) FROM member_identifier WHERE state IS NOT NULL"), 1);
    app.send(&tessera_testkit::app::event("enrol", "e-1", "phone:+84901", "{}"));
    assert_eq!(app.available("phone:+84901", "point"), 0, "no second welcome");
    assert_eq!(app.count("SELECT count(*) FROM member_identifier WHERE state IS NOT NULL"), 0);
    let again: MemberId = app.member("phone:+84901")["id"].as_str().unwrap().parse().unwrap();
    accepted(submit(app, leaving(app, again, false, "k-2")));
    app.set_clock("2029-01-01T10:00");
    app.run_scheduler();
    assert_eq!(app.count("SELECT count(*) FROM member_identifier"), 0);
    assert_eq!(app.count("SELECT count(*) FROM outbox WHERE state = 0"), 0);
}

fn p3_points_on_the_way_between_two_who_leave_are_given_up(app: &mut TestApp) {
    let an = joined(app, "o-1", "card:1", 50_000);
    let binh = joined(app, "o-2", "card:2", 0);
    let transfer = Transfer { to: binh, currency: "point".parse().unwrap(), amount: 30, message: None };
    let from = "card:1".parse().unwrap();
    let secrets = app.engine().context.secrets.clone();
    accepted(submit(app, Submission::transfer(&secrets, &app.program, from, transfer, "t-1", app.now())));
    accepted(submit(app, leaving(app, binh, false, "k-1")));
    accepted(submit(app, leaving(app, an, true, "k-2")));
    assert_eq!(app.verify().differences, [], "on the way, and nowhere lost");
    app.relay();
    assert_eq!(app.verify().differences, []);
    let sum = |account: i64| {
        let of = |side: &str| {
            let sql = format!("SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM entry WHERE {side} = {account}");
            app.count(&sql)
        };
        of("credit") - of("debit")
    };
    assert_eq!((sum(13), sum(1)), (0, 0), "nothing is in clearing and nobody has any");
}

fn p6_claims_that_meet_give_the_purchase_once(app: &mut TestApp) {
    let code = app.send(&sale("g-1", "", 50_000)).claim_code.unwrap();
    let code = Code::parse(&code).unwrap();
    let cards: Vec<String> = (0..16).map(|number| format!("card:{number}")).collect();
    for card in &cards {
        joined(app, card, card, 0);
    }
    let secrets = app.engine().context.secrets.clone();
    let claim =
        |card: &String| Ok(Submission::claim(&secrets, &app.program, card.parse().unwrap(), &code, card, app.now()));
    let answers = app.submit_together(cards.iter().map(claim).collect());
    let won = answers.iter().filter(|answer| matches!(answer, Answer::Done { .. })).count();
    assert_eq!(won, 1);
    assert_eq!(app.count("SELECT count(*) FROM event WHERE type = 'claim'"), 1);
}

fn i1_a_batch_of_names_gives_what_one_by_one_gives(app: &mut TestApp) {
    let an = joined(app, "o-1", "card:1", 50_000);
    let answers = app.submit_together(vec![
        Ok(replacing(app, an, "card:1", "card:2", "k-1")),
        Ok(replacing(app, an, "card:2", "card:3", "k-2")),
        app.read(&sale("o-2", "card:3", 10_000)),
        app.read(&sale("o-3", "card:2", 10_000)),
        Ok(leaving(app, an, false, "k-3")),
        Ok(replacing(app, an, "card:3", "card:4", "k-4")),
        app.read(&sale("o-4", "card:3", 10_000)),
    ]);
    let told: Vec<String> = answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Done { .. } => "done".to_owned(),
            Answer::Refused(refusal) => refusal.code,
            Answer::Unavailable => "unavailable".to_owned(),
        })
        .collect();
    // The last is somebody new: a card that was given up is free.
    assert_eq!(told, ["done", "done", "done", "identifier-replaced", "done", "member-left", "done"]);
}
