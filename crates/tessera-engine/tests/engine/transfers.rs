//! P7, I6: points sent from one member to another, with whatever may happen between the two halves.

use tessera_core::decide::{EffectKind, Outcome};
use tessera_core::event::Transfer;
use tessera_core::id::MemberId;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, amounts, as_duplicate, refused};
use tessera_testkit::on_both_databases;

use crate::common::{POINTS, sale};
use crate::contention::at_once;

on_both_databases!(POINTS =>
    p7_points_leave_one_member_and_arrive_at_the_other,
    i1_a_transfer_is_made_once_under_its_key,
    i6_a_follow_up_that_is_sent_again_changes_nothing,
    i2_of_many_transfers_of_the_same_points_exactly_the_balance_leaves,
    p7_what_cannot_arrive_comes_back,
    p7_a_follow_up_that_is_lost_is_found_by_verification,
);

fn submission(app: &TestApp, from: &str, to: MemberId, amount: i64, key: &str) -> Submission {
    let currency = "point".parse().unwrap();
    let transfer = Transfer { to, currency, amount, message: None };
    let from = from.parse().unwrap();
    Submission::transfer(&app.engine().context.secrets, &app.program, from, transfer, key, app.now())
}

fn submit(app: &TestApp, submission: Submission) -> Answer {
    app.engine().submit(submission).unwrap()
}

fn send(app: &TestApp, from: &str, to: MemberId, amount: i64, key: &str) -> Outcome {
    accepted(submit(app, submission(app, from, to, amount, key)))
}

/// Two members with 110 and 10 points; the id of the second.
fn two(app: &TestApp) -> MemberId {
    app.send(&sale("o-1", "card:1", 100_000));
    let other = app.send(&sale("o-2", "card:2", 0));
    other.member.unwrap().parse().unwrap()
}

fn both(app: &TestApp) -> (i64, i64) {
    (app.available("card:1", "point"), app.available("card:2", "point"))
}

fn p7_points_leave_one_member_and_arrive_at_the_other(app: &mut TestApp) {
    let to = two(app);
    assert_eq!(both(app), (110, 10));
    let sent = send(app, "card:1", to, 60, "t-1");
    assert_eq!(amounts(&sent.effects, EffectKind::Sent, "point"), [60]);
    assert_eq!(sent.effects[0].member.as_deref(), Some(to.to_string().as_str()));
    // Between the halves nothing is lost, and nothing is wrong.
    assert_eq!(both(app), (50, 10));
    assert_eq!(app.verify().differences, []);
    assert_eq!(app.relay(), 1);
    assert_eq!(both(app), (50, 70));
    assert_eq!(app.relay(), 0);
    // What was not earned here makes nobody gold (T1).
    let member = app.member("card:2");
    assert_eq!(member["tiers"][0]["measured"]["point"], "0", "{member}");
}

fn i1_a_transfer_is_made_once_under_its_key(app: &mut TestApp) {
    let to = two(app);
    let first = send(app, "card:1", to, 60, "t-1");
    assert_eq!(send(app, "card:1", to, 60, "t-1"), as_duplicate(&first));
    app.relay();
    assert_eq!(send(app, "card:1", to, 60, "t-1"), as_duplicate(&first));
    assert_eq!(app.relay(), 0);
    assert_eq!(both(app), (50, 70));
    assert_eq!(refused(submit(app, submission(app, "card:1", to, 40, "t-1"))).code, "idempotency-key-reused");
}

fn i6_a_follow_up_that_is_sent_again_changes_nothing(app: &mut TestApp) {
    let to = two(app);
    send(app, "card:1", to, 60, "t-1");
    send(app, "card:1", to, 20, "t-2");
    app.relay();
    // As after a crash between the effect and the note that it was done.
    let again = |app: &TestApp| {
        let reset = "UPDATE outbox SET state = 0 WHERE kind = 'command'";
        app.engine().executor().write(move |tx| tx.execute(reset, &[]).map(drop)).unwrap();
    };
    again(app);
    assert_eq!(app.verify().differences, []);
    app.restart();
    assert_eq!(app.relay(), 2);
    assert_eq!(both(app), (30, 90));
}

fn i2_of_many_transfers_of_the_same_points_exactly_the_balance_leaves(app: &mut TestApp) {
    let to = two(app);
    let answers =
        at_once(|number| app.engine().submit(submission(app, "card:1", to, 20, &format!("t-{number}"))).unwrap());
    let done = answers.iter().filter(|answer| matches!(answer, Answer::Done { .. })).count();
    assert_eq!(done, 5);
    for answer in answers {
        if let Answer::Refused(refusal) = answer {
            assert_eq!(refusal.code, "not-enough-points");
        }
    }
    app.relay();
    assert_eq!(both(app), (10, 110));
}

fn p7_what_cannot_arrive_comes_back(app: &mut TestApp) {
    two(app);
    // Nobody.
    let to = MemberId::from_bytes([7; 16]);
    send(app, "card:1", to, 60, "t-1");
    assert_eq!(both(app), (50, 10));
    assert_eq!(app.relay(), 1);
    assert_eq!(both(app), (110, 10));
    let id = app.member("card:1")["id"].as_str().unwrap().to_owned();
    let events = app.get(&format!("members/{id}/events?limit=1")).ok();
    assert_eq!(events["items"][0]["type"], "follow-up-refused", "{events}");
    assert_eq!(app.relay(), 0);
    // Sent again, it stays refused, and does not come back twice.
    let reset = "UPDATE outbox SET state = 0 WHERE kind = 'command'";
    app.engine().executor().write(move |tx| tx.execute(reset, &[]).map(drop)).unwrap();
    assert_eq!(app.relay(), 1);
    assert_eq!(both(app), (110, 10));
}

fn p7_a_follow_up_that_is_lost_is_found_by_verification(app: &mut TestApp) {
    let to = two(app);
    send(app, "card:1", to, 60, "t-1");
    let set = |state: i64| {
        let sql = "UPDATE outbox SET state = $1 WHERE kind = 'command'";
        app.engine().executor().write(move |tx| tx.execute(sql, &[state.into()]).map(drop)).unwrap();
    };
    for (state, says) in [(2, "is stuck"), (1, "was never done")] {
        set(state);
        let found = app.verify().differences;
        assert!(found.len() == 1 && found[0].what.contains(says), "{found:#?}");
    }
    set(0);
    app.relay();
    assert_eq!(both(app), (50, 70));
}
