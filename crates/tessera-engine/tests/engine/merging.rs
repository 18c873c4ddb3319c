//! P1, P2, I6: two members become one, with whatever may happen between the two halves.

use tessera_core::event::Merge;
use tessera_core::id::{EventId, MemberId};
use tessera_engine::programs::ProgramHandle;
use tessera_engine::query::{self, Seen, Wanted, see};
use tessera_engine::redemption::Step;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, as_duplicate, event, refused};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::{json as data, spend};

use crate::common::{POINTS, sale};
use crate::contention::at_once;

on_both_databases!(POINTS =>
    p1_everything_of_one_arrives_at_the_other,
    p1_an_order_of_the_merged_one_is_returned_exactly,
    p1_between_the_halves_what_needs_the_other_comes_back,
    i6_a_merge_that_is_sent_again_changes_nothing,
    p1_what_cannot_arrive_leaves_both_as_they_were,
    p1_of_many_at_once_nothing_is_lost_or_doubled,
    p2_cycles_are_refused,
    p1_an_order_of_somebody_who_went_again_is_found_after_the_next_merge,
    p2_a_merge_into_somebody_who_ends_on_the_way_leaves_it_as_it_was,
    p1_the_rest_of_an_order_is_taken_back_by_the_last_of_a_chain,
    p1_what_is_named_by_an_id_comes_again_while_it_is_on_its_way,
    p1_what_befell_a_member_after_an_undo_changes_no_replay_of_what_was_before,
    p1_two_again_within_the_time,
    p3_the_survivor_is_erased_with_whoever_is_one_with_them,
    looked_at_together_everybody_is_seen_as_alone,
    looked_at_together_everybody_is_as_a_look_at_them_alone_says,
);

fn merge(app: &TestApp, from: MemberId, into: MemberId, key: &str) -> Submission {
    let merge = Merge { into, reason: None };
    Submission::merge(&app.engine().context.secrets, &app.program, from, merge, key, app.now())
}

fn undo(app: &TestApp, survivor: MemberId, from: MemberId, key: &str) -> Submission {
    Submission::unmerge(&app.engine().context.secrets, &app.program, survivor, from, key, app.now())
}

fn submit(app: &TestApp, submission: Submission) -> Answer {
    app.engine().submit(submission).unwrap()
}

fn id_of(app: &TestApp, name: &str) -> MemberId {
    app.member(name)["id"].as_str().unwrap().parse().unwrap()
}

/// Two members with 110 and 30 points.
fn two(app: &TestApp) -> (MemberId, MemberId) {
    app.send(&sale("o-1", "card:1", 100_000));
    app.send(&sale("o-2", "card:2", 20_000));
    (id_of(app, "card:1"), id_of(app, "card:2"))
}

fn points(app: &TestApp, name: &str) -> i64 {
    app.available(name, "point")
}

fn p1_everything_of_one_arrives_at_the_other(app: &mut TestApp) {
    let (one, two) = two(app);
    accepted(submit(app, merge(app, two, one, "m-1")));
    assert_eq!(app.verify().differences, []);
    assert_eq!(app.relay(), 1);
    // By either card it is one member.
    assert_eq!((points(app, "card:1"), points(app, "card:2")), (140, 140));
    assert_eq!(id_of(app, "card:2"), one);
    app.send(&sale("o-3", "card:2", 10_000));
    assert_eq!(points(app, "card:1"), 150);
    let view = app.member("card:1");
    assert_eq!(view["merged"][0]["member"], two.to_string(), "{view}");
    let mut names: Vec<&str> =
        view["identifiers"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["card:1", "card:2"]);
    assert_eq!(app.verify().differences, []);
}

fn p1_an_order_of_the_merged_one_is_returned_exactly(app: &mut TestApp) {
    let (one, two) = two(app);
    let paid = accepted(submit(
        app,
        Submission::redeem(
            &app.engine().context.secrets,
            &app.program,
            "card:2".parse().unwrap(),
            spend("point", 5),
            "r-1",
            app.now(),
        ),
    ));
    app.send(&tessera_testkit::app::event("purchase", "o-4", "card:2", &data::lines("o-4", &[("A", "x", 2, 20_000)])));
    app.send(&tessera_testkit::app::event("return", "b-1", "card:2", &data::back("o-4", &[("A", 1)])));
    let before = points(app, "card:1") + points(app, "card:2");
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.relay();
    assert_eq!(points(app, "card:1"), before);
    app.send(&tessera_testkit::app::event("return", "b-2", "card:1", &data::back("o-4", &[("A", 1)])));
    assert_eq!(points(app, "card:1"), before - 10);
    app.send(&tessera_testkit::app::event("return", "b-3", "", &data::back_all("o-2")));
    assert_eq!(points(app, "card:1"), before - 30);
    // What was spent comes home.
    let redemption: EventId = paid.event_id.parse().unwrap();
    assert_eq!(redemption.member, two);
    let step = Step::Return { points: None };
    let secrets = &app.engine().context.secrets;
    let back = Submission::redemption_step(secrets, &app.program, redemption, step, "rr-1", app.now());
    let done = accepted(submit(app, back));
    assert_eq!(done.redemption.unwrap().id, redemption.to_string());
    assert_eq!(points(app, "card:1"), before - 25);
    assert_eq!(app.verify().differences, []);
}

fn p1_between_the_halves_what_needs_the_other_comes_back(app: &mut TestApp) {
    let (one, two) = two(app);
    accepted(submit(app, merge(app, two, one, "m-1")));
    let event = tessera_testkit::app::event("return", "b-1", "card:2", &data::back_all("o-2"));
    let early = app.post("events", &event);
    assert_eq!((early.status.as_u16(), early.header("retry-after")), (503, Some("1")));
    // A purchase needs nothing of it.
    app.send(&sale("o-3", "card:2", 10_000));
    assert_eq!(points(app, "card:1"), 120);
    app.restart();
    app.relay();
    app.send(&event);
    assert_eq!(points(app, "card:1"), 130);
}

fn i6_a_merge_that_is_sent_again_changes_nothing(app: &mut TestApp) {
    let (one, two) = two(app);
    let first = accepted(submit(app, merge(app, two, one, "m-1")));
    assert_eq!(accepted(submit(app, merge(app, two, one, "m-1"))), as_duplicate(&first));
    app.relay();
    assert_eq!(accepted(submit(app, merge(app, two, one, "m-1"))), as_duplicate(&first));
    // As after a crash between the effect and the note that it was done.
    let reset = "UPDATE outbox SET state = 0 WHERE kind = 'command'";
    app.engine().executor().write(move |tx| tx.execute(reset, &[]).map(drop)).unwrap();
    app.restart();
    assert_eq!(app.relay(), 1);
    assert_eq!(points(app, "card:1"), 140);
    assert_eq!(refused(submit(app, merge(app, two, one, "m-2"))).code, "merge-with-oneself");
}

fn p1_what_cannot_arrive_leaves_both_as_they_were(app: &mut TestApp) {
    let (_, two) = two(app);
    let nobody = MemberId::from_bytes([7; 16]);
    accepted(submit(app, merge(app, two, nobody, "m-1")));
    // Nobody is made of it meanwhile.
    assert!(matches!(app.submit(&sale("o-3", "card:2", 10_000)), Answer::Unavailable));
    assert_eq!(app.relay(), 1);
    assert_eq!((id_of(app, "card:2"), points(app, "card:2")), (two, 30));
    app.send(&sale("o-3", "card:2", 10_000));
    assert_eq!(points(app, "card:2"), 40);
}

fn p1_of_many_at_once_nothing_is_lost_or_doubled(app: &mut TestApp) {
    let (one, two) = two(app);
    let answers = at_once(|number| {
        let card = if number % 2 == 0 { "card:1" } else { "card:2" };
        let answer = app.submit(&sale(&format!("n-{number}"), card, 10_000));
        if number == 20 {
            accepted(app.engine().submit(merge(app, two, one, "m-1")).unwrap());
            app.relay();
        }
        answer
    });
    let bought = answers.len();
    answers.into_iter().for_each(|answer| drop(accepted(answer)));
    app.relay();
    assert_eq!(points(app, "card:1"), 140 + 10 * i64::try_from(bought).unwrap());
    assert_eq!(app.member("card:2")["purchases"], bought + 2);
    assert_eq!(app.verify().differences, []);
}

fn p2_cycles_are_refused(app: &mut TestApp) {
    let (one, two) = two(app);
    app.send(&sale("o-3", "card:3", 5_000));
    let three = id_of(app, "card:3");
    accepted(submit(app, merge(app, one, two, "m-1")));
    app.relay();
    accepted(submit(app, merge(app, two, three, "m-2")));
    app.relay();
    for from in [one, two, three] {
        let answer = submit(app, merge(app, three, from, &format!("m-3-{from}")));
        assert_eq!(refused(answer).code, "merge-with-oneself");
    }
    // Whoever is named, it is the last.
    for card in ["card:1", "card:2", "card:3"] {
        assert_eq!((id_of(app, card), points(app, card)), (three, 155));
    }
    app.send(&tessera_testkit::app::event("return", "b-1", "card:1", &data::back_all("o-1")));
    assert_eq!(points(app, "card:3"), 55);
}

fn back_of(app: &TestApp, id: &str, order: &str, units: i64) -> Answer {
    app.submit(&tessera_testkit::app::event("return", id, "", &data::back(order, &[("A", units)])))
}

/// A unit of the order came back while its maker was one with another, so the order is the survivor's from then on. The
/// maker was on their own again, and the survivor became one with a third: who came and went was forgotten, the order
/// could not be read, and its other unit was told to come again for ever.
fn p1_an_order_of_somebody_who_went_again_is_found_after_the_next_merge(app: &mut TestApp) {
    let (one, two) = two(app);
    app.send(&tessera_testkit::app::event("purchase", "o-4", "card:2", &data::lines("o-4", &[("A", "x", 2, 20_000)])));
    app.send(&sale("o-3", "card:3", 5_000));
    let three = id_of(app, "card:3");
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.relay();
    accepted(back_of(app, "b-1", "o-4", 1));
    accepted(submit(app, undo(app, one, two, "u-1")));
    app.relay();
    accepted(submit(app, merge(app, one, three, "m-2")));
    app.relay();
    let before = points(app, "card:3");
    accepted(back_of(app, "b-2", "o-4", 1));
    assert_eq!(points(app, "card:3"), before - 10);
    assert_eq!((id_of(app, "card:2"), id_of(app, "card:1")), (two, three));
}

/// Two becomes one with one, and before that arrives one becomes one with three. Three had the points of two, whose card led
/// to one as before: once that was undone, to somebody who did not know of them.
fn p2_a_merge_into_somebody_who_ends_on_the_way_leaves_it_as_it_was(app: &mut TestApp) {
    let (one, two) = two(app);
    app.send(&sale("o-3", "card:3", 5_000));
    let three = id_of(app, "card:3");
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.set_clock("2026-03-02T10:01");
    accepted(submit(app, merge(app, one, three, "m-2")));
    app.relay();
    assert_eq!((id_of(app, "card:1"), id_of(app, "card:2")), (three, two));
    assert_eq!((points(app, "card:3"), points(app, "card:2")), (125, 30));
    accepted(submit(app, undo(app, three, one, "u-1")));
    app.relay();
    assert_eq!(["card:1", "card:2", "card:3"].map(|card| points(app, card)), [110, 30, 15]);
}

/// A part of an order came back while its maker was one with somebody, who then became one with a third: the rest is the
/// third's to give back. A replay, which comes when the test ends, knew only what the maker had done with it, and took back
/// the first part once more.
fn p1_the_rest_of_an_order_is_taken_back_by_the_last_of_a_chain(app: &mut TestApp) {
    let (one, two) = two(app);
    app.send(&tessera_testkit::app::event("purchase", "o-4", "card:2", &data::lines("o-4", &[("A", "x", 2, 20_000)])));
    app.send(&sale("o-3", "card:3", 50_000));
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.relay();
    app.set_clock("2026-03-03T10:00");
    accepted(back_of(app, "b-1", "o-4", 1));
    app.set_clock("2026-03-04T10:00");
    accepted(submit(app, merge(app, one, id_of(app, "card:3"), "m-2")));
    app.relay();
    app.set_clock("2026-03-05T10:00");
    let before = points(app, "card:3");
    accepted(back_of(app, "b-2", "o-4", 1));
    assert_eq!(points(app, "card:3"), before - 10);
}

/// A redemption and a purchase that name the member by their id, not by a name: told that there is no such thing, a till
/// would not try again.
fn p1_what_is_named_by_an_id_comes_again_while_it_is_on_its_way(app: &mut TestApp) {
    let (_, two) = two(app);
    let spent = app.redeeming("card:2", spend("point", 5), "r-1");
    let spent = accepted(submit(app, spent)).event_id;
    accepted(submit(app, merge(app, two, MemberId::from_bytes([7; 16]), "m-1")));
    let back = |app: &TestApp| submit(app, app.redemption_step(&spent, Step::Return { points: None }, "rr-1"));
    assert!(matches!(back(app), Answer::Unavailable));
    assert!(matches!(app.submit(&sale("o-3", &two.to_string(), 10_000)), Answer::Unavailable));
    app.relay();
    accepted(back(app));
    accepted(app.submit(&sale("o-3", &two.to_string(), 10_000)));
    assert_eq!(points(app, "card:2"), 40);
}

/// A return of a merged member's order asks what became of its points. Those that died after an undo had not then: a
/// replay, which comes when the test ends, found them dead and took nothing back.
fn p1_what_befell_a_member_after_an_undo_changes_no_replay_of_what_was_before(app: &mut TestApp) {
    let (one, two) = two(app);
    app.send(&sale("o-3", "card:2", 30_000));
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.relay();
    app.set_clock("2026-03-03T10:00");
    app.send(&tessera_testkit::app::event("return", "b-1", "", &data::back_all("o-2")));
    app.set_clock("2026-03-04T10:00");
    accepted(submit(app, undo(app, one, two, "u-1")));
    app.relay();
    app.set_clock("2027-03-05T10:00");
    app.run_scheduler();
    assert_eq!((points(app, "card:1"), points(app, "card:2")), (0, 0));
}

fn p1_two_again_within_the_time(app: &mut TestApp) {
    let (one, two) = two(app);
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.relay();
    accepted(submit(app, undo(app, one, two, "u-1")));
    assert_eq!(app.verify().differences, []);
    app.relay();
    assert_eq!((id_of(app, "card:1"), id_of(app, "card:2")), (one, two));
    assert_eq!((points(app, "card:1"), points(app, "card:2")), (110, 30));
    app.send(&tessera_testkit::app::event("return", "b-1", "card:2", &data::back_all("o-2")));
    assert_eq!((points(app, "card:1"), points(app, "card:2")), (110, 10));
    assert_eq!(refused(submit(app, undo(app, one, two, "u-2"))).code, "not-merged");
}

fn p3_the_survivor_is_erased_with_whoever_is_one_with_them(app: &mut TestApp) {
    let (one, two) = two(app);
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.relay();
    let secrets = &app.engine().context.secrets;
    accepted(submit(app, Submission::leave(secrets, &app.program, one, true, "l-1", app.now())));
    app.relay();
    let left = "SELECT member FROM member_profile";
    let rows = app.engine().context.database.read(|reader| reader.query(left, &[])).unwrap();
    assert!(rows.is_empty());
    assert_eq!(app.get("members/card:2").status, 404);
}

/// Looks that wait at the same time share one read: members, somebody who was merged, left, or was never there.
fn looked_at_together_everybody_is_seen_as_alone(app: &mut TestApp) {
    let (one, two) = two(app);
    for (order, card) in [("o-3", "card:3"), ("o-4", "card:4")] {
        app.send(&sale(order, card, 30_000));
    }
    let (three, four) = (id_of(app, "card:3"), id_of(app, "card:4"));
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.relay();
    let secrets = &app.engine().context.secrets;
    accepted(submit(app, Submission::leave(secrets, &app.program, four, false, "l-1", app.now())));
    let asked = ["card:1", "card:2", "card:3", "card:4", "card:5", "giftcard:0000-0000"].map(str::to_owned);
    let ids = [one, two, three, four, MemberId::new(7, [7; 10])].map(|id| id.to_string());
    let subjects = asked.iter().chain(&ids).filter_map(|text| text.parse().ok());
    let wanted: Vec<Wanted> = subjects.map(|subject| Wanted { program: app.program.clone(), subject }).collect();
    let told = |seen: Seen| match seen {
        Seen::Member(view) => format!("{} {}", view.id, view.balances["point"].available),
        Seen::Not(why) => format!("{why:?}"),
    };
    let context = &app.engine().context;
    let together: Vec<String> = see(context, &wanted).unwrap().into_iter().map(told).collect();
    let alone = |one: &Wanted| told(see(context, std::slice::from_ref(one)).unwrap().remove(0));
    assert_eq!(together, wanted.iter().map(alone).collect::<Vec<_>>());
    let (both, other, gone, nobody) = (format!("{one} 140"), format!("{three} 40"), "Left", "Nobody");
    let by_name = [&both, &both, &other, nobody, nobody];
    let by_id = [&both, &both, &other, gone, nobody];
    assert_eq!(
        (&together[..5], &together[together.len() - 5..]),
        (&by_name.map(str::to_owned)[..], &by_id.map(str::to_owned)[..])
    );
}

/// Two programs have members of the same names; some are one by now, some of what they have is over.
fn looked_at_together_everybody_is_as_a_look_at_them_alone_says(app: &mut TestApp) {
    for (number, name) in ["An", "Bình", "Chi"].iter().enumerate() {
        let (id, card) = (format!("e-{number}"), format!("card:{}", number + 1));
        app.send(&event("enrol", &id, &card, &format!(r#"{{"name": "{name}"}}"#)));
    }
    let (one, two) = two(app);
    app.send(&sale("o-3", "card:3", 30_000));
    accepted(submit(app, merge(app, two, one, "m-1")));
    app.relay();
    let head = "program: other\nname: Other\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\n";
    let other = app.publish(&format!("{head}{POINTS}")).unwrap().0;
    for (order, card) in [("o-1", "card:3"), ("o-2", "card:2"), ("o-3", "card:1")] {
        accepted(submit(app, app.read_for(&other, &sale(order, card, 7_000)).unwrap()));
    }
    for clock in ["2026-03-02T10:00", "2027-05-01T10:00"] {
        app.set_clock(clock);
        let of = |program: &std::sync::Arc<ProgramHandle>, card: &str| Wanted {
            program: program.clone(),
            subject: card.parse().unwrap(),
        };
        let cards = ["card:1", "card:2", "card:3"];
        let wanted: Vec<Wanted> = cards.iter().flat_map(|card| [of(&app.program, card), of(&other, card)]).collect();
        let context = &app.engine().context;
        let mut seen_in = Vec::new();
        for (wanted, seen) in wanted.iter().zip(see(context, &wanted).unwrap()) {
            let Seen::Member(view) = seen else { panic!("{:?} is a member", wanted.subject) };
            let alone = query::member(context, &wanted.program, view.id.parse().unwrap()).unwrap();
            assert_eq!(serde_json::json!(view), serde_json::json!(alone), "at {clock}");
            seen_in.push((view.id.clone(), wanted.program.number));
        }
        assert_eq!(seen_in[0], seen_in[2], "one and two are one");
        assert_eq!(seen_in.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "of each program its own");
    }
}
