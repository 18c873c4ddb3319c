//! P5, I2, I6: a household and its people tell each other what happens, with whatever may happen between the halves.

use std::sync::Arc;

use serde_json::Value;
use tessera_core::decide::Outcome;
use tessera_core::event::{HouseholdStep, Merge, Redeem};
use tessera_core::id::MemberId;
use tessera_core::program::load_program;
use tessera_engine::household::InvitationCode;
use tessera_engine::query;
use tessera_engine::replay::{Span, differences, replay};
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, event_at, refused};
use tessera_testkit::on_both_databases;
use tessera_testkit::partner::{FakePartner, Plan};
use tessera_testkit::shop::{at, document, json, spend};

use crate::common::sale;
use crate::contention::at_once;

/// A point per 1,000 for a year, all of it saved together.
const TOGETHER: &str = "
unknown_member: enrol
households: { size: 3, pools: { point: { contribute: all, by_hand: true } } }
currencies: { point: { name: Point, expires: { after: P12M, round: month } } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
partners: { giftly: { deadline: P1D } }
gift_cards: {}
rewards:
  gift: { costs: { point: 50 }, gives: { e_gift: { partner: giftly, product: TEA-50 } }, stock: 5 }
  card: { costs: { point: 20 }, gives: { gift_card: 20000 } }
";

on_both_databases!(TOGETHER =>
    p5_what_members_earn_is_in_the_pool_and_comes_home_when_they_leave,
    i2_of_many_clients_that_want_the_last_points_of_the_pool_exactly_one_gets_them,
    i2_of_many_who_accept_the_last_place_exactly_one_is_taken_in,
    i6_news_that_is_sent_again_changes_nothing,
    r1_a_return_asks_the_pool_for_what_the_member_has_not,
    p5_a_lost_contribution_is_found_by_verification,
    p5_a_draft_changes_what_is_in_the_pool_and_who_may_spend_it,
    p5_the_pool_buys_rewards_and_gets_back_what_does_not_come,
    p1_a_place_goes_along_with_a_merge_and_comes_back_when_it_is_undone,
    p5_who_is_not_let_in_hears_of_it_as_whoever_they_are_by_then,
    p5_what_is_on_its_way_to_a_pool_is_on_its_way_in_a_replay_too,
);

/// Points matured, the scheduler noticed, and in the same instant a merge brought a place in a household. They had matured
/// before there was a pool to go to; a replay, which comes when the test ends, took both for one command.
#[test]
fn p5_what_matured_before_a_merge_brought_a_place_does_not_go_to_the_pool() {
    let app = TestApp::new(
        "
unknown_member: enrol
households: { pools: { star: { contribute: all } } }
currencies: { star: { name: Star, expires: never, pending: P7D } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: star, amount: event.net / 1000 } } ] } }
",
    );
    app.send(&sale("o-1", "card:1", 10_000));
    app.send(&sale("o-2", "card:2", 20_000));
    done(&app, "card:1", HouseholdStep::Found { known: None }, "f");
    app.relay();
    app.set_clock("2026-03-12T10:00");
    let merge = Merge { into: id(&app, "card:2"), reason: None };
    let secrets = &app.engine().context.secrets;
    let merge = Submission::merge(secrets, &app.program, id(&app, "card:1"), merge, "m", app.now());
    accepted(app.engine().submit(merge).unwrap());
    app.run_scheduler();
    assert_eq!(app.available("card:2", "star"), 30, "what one had comes along, and nothing goes to the pool");
}

/// Somebody asks to be taken in, uninvited, and becomes one with another before the answer: the household hears that they
/// are gone, and the refusal goes to the other. A replay, which comes when the test ends, had those two apart, and told
/// the refusal twice.
fn p5_who_is_not_let_in_hears_of_it_as_whoever_they_are_by_then(app: &mut TestApp) {
    for number in 1..=3 {
        app.send(&sale(&format!("o-{number}"), &format!("card:{number}"), 10_000));
    }
    let founded = done(app, "card:1", HouseholdStep::Found { known: None }, "f");
    app.relay();
    let household = founded.effects.iter().find_map(|effect| effect.member.as_ref()).unwrap().parse().unwrap();
    app.set_clock("2026-03-02T11:00");
    done(app, "card:2", HouseholdStep::Accept { household, code: None }, "a");
    app.set_clock("2026-03-02T12:00");
    let merge = Merge { into: id(app, "card:3"), reason: None };
    let secrets = &app.engine().context.secrets;
    accepted(
        app.engine()
            .submit(Submission::merge(secrets, &app.program, id(app, "card:2"), merge, "m", app.now()))
            .unwrap(),
    );
    app.relay();
    assert_eq!(app.member("card:2")["household"], Value::Null);
    assert_eq!(app.available("card:3", "point"), 20);
}

/// What the replay's members caused and nothing was recorded of was told at once. What is on its way was so told as well:
/// points stood in a pool that had not come there, and somebody was refused whom nobody had refused yet.
fn p5_what_is_on_its_way_to_a_pool_is_on_its_way_in_a_replay_too(app: &mut TestApp) {
    let household = couple(app);
    let same = |when: &str| {
        let found = differences(&app.engine().context, &app.program, None).unwrap();
        assert!(found.is_empty(), "{when}: {found:#?}");
    };
    same("everything has come");
    let before = in_pool(app, household);
    app.send(&sale("w-1", "card:1", 30_000));
    assert_eq!(in_pool(app, household), before, "nobody has told the household");
    same("points are on their way");
    app.send(&sale("o-3", "card:3", 0));
    invite(app, household, Some(id(app, "card:3")), "i-3");
    done(app, "card:3", HouseholdStep::Accept { household, code: None }, "a-3");
    same("somebody has asked");
    relay_all(app);
    assert_eq!(in_pool(app, household), before + 30);
    same("it has come");
    // Looked at up to an instant at which it had not: the pool had seen later business when it came.
    app.set_clock("2026-03-03T10:00");
    app.send(&sale("w-2", "card:2", 5_000));
    relay_all(app);
    app.send(&event_at("2026-03-02T20:00", "purchase", "w-3", "card:1", &json::sale("w-3", 40_000)));
    relay_all(app);
    let draft = Arc::new(load_program(&document(TOGETHER), 2).unwrap());
    let span = Span { from: None, to: at("2026-03-03T00:00") };
    let found = replay(&app.engine().context, &app.program, draft, span, &|_| {}).unwrap();
    let points = &found.currencies[&tessera_testkit::shop::id("point")];
    assert_eq!(points.before, points.after);
    assert!(found.unlike.is_empty(), "{:?}", found.unlike);
}

fn submission(app: &TestApp, about: &str, step: HouseholdStep, key: &str) -> Submission {
    let (secrets, about) = (&app.engine().context.secrets, about.parse().unwrap());
    Submission::household(secrets, &app.program, about, step, key, app.now())
}

fn done(app: &TestApp, about: &str, step: HouseholdStep, key: &str) -> Outcome {
    accepted(app.engine().submit(submission(app, about, step, key)).unwrap())
}

fn id(app: &TestApp, member: &str) -> MemberId {
    app.member(member)["id"].as_str().unwrap().parse().unwrap()
}

fn invite(app: &TestApp, household: MemberId, to: Option<MemberId>, key: &str) -> [u8; 16] {
    let code = InvitationCode::fresh(&app.engine().context.secrets, app.program.number, key).hash;
    let by = id(app, "card:1");
    done(app, &household.to_string(), HouseholdStep::Invite { by, to, code }, key);
    code
}

/// Two members who are a household.
fn couple(app: &TestApp) -> MemberId {
    app.send(&sale("o-1", "card:1", 0));
    app.send(&sale("o-2", "card:2", 0));
    let founded = done(app, "card:1", HouseholdStep::Found { known: None }, "h-1");
    let household: MemberId = founded.effects[0].member.as_ref().unwrap().parse().unwrap();
    app.relay();
    invite(app, household, Some(id(app, "card:2")), "i-1");
    done(app, "card:2", HouseholdStep::Accept { household, code: None }, "a-1");
    relay_all(app);
    household
}

fn relay_all(app: &TestApp) {
    while app.relay() > 0 {}
}

fn seen(app: &TestApp, household: MemberId) -> Value {
    let found = query::household(&app.engine().context, &app.program, household).unwrap().unwrap();
    serde_json::to_value(found).unwrap()
}

fn in_pool(app: &TestApp, household: MemberId) -> i64 {
    seen(app, household)["pool"]["point"]["available"].as_i64().unwrap()
}

fn p5_what_members_earn_is_in_the_pool_and_comes_home_when_they_leave(app: &mut TestApp) {
    let household = couple(app);
    let people = seen(app, household)["people"].clone();
    assert_eq!((people.as_array().unwrap().len(), &people[0]["head"]), (2, &Value::from(true)));
    app.send(&sale("o-3", "card:1", 60_000));
    app.send(&sale("o-4", "card:2", 40_000));
    assert_eq!(app.verify().differences, [], "between the halves nothing is wrong");
    relay_all(app);
    assert_eq!((in_pool(app, household), app.available("card:1", "point")), (100, 0));
    assert_eq!(seen(app, household)["people"][1]["part"]["point"], 40);
    assert_eq!(app.member("card:2")["household"]["id"], household.to_string());
    done(app, "card:2", HouseholdStep::Leave, "l-1");
    relay_all(app);
    assert_eq!((in_pool(app, household), app.available("card:2", "point")), (60, 40));
    assert!(app.member("card:2").get("household").is_none());
    assert_eq!(app.verify().differences, []);
}

fn i2_of_many_clients_that_want_the_last_points_of_the_pool_exactly_one_gets_them(app: &mut TestApp) {
    let household = couple(app);
    app.send(&sale("o-3", "card:1", 100_000));
    relay_all(app);
    let people = [id(app, "card:1"), id(app, "card:2")];
    let about = household.to_string();
    let answers = at_once(|number| {
        let redeem = Redeem { by: Some(if number % 2 == 0 { people[0] } else { people[1] }), ..spend("point", 60) };
        let (secrets, key) = (&app.engine().context.secrets, format!("r-{number}"));
        let wanted = Submission::redeem(secrets, &app.program, about.parse().unwrap(), redeem, &key, app.now());
        app.engine().submit(wanted).unwrap()
    });
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Done { .. })).count(), 1);
    for answer in answers {
        if let Answer::Refused(refusal) = answer {
            assert_eq!((refusal.code.as_str(), refusal.facts["available"].as_i64()), ("not-enough-points", Some(40)));
        }
    }
    assert_eq!(in_pool(app, household), 40);
    assert_eq!(app.verify().differences, []);
}

fn i2_of_many_who_accept_the_last_place_exactly_one_is_taken_in(app: &mut TestApp) {
    let household = couple(app);
    for number in 0..8 {
        app.send(&sale(&format!("n-{number}"), &format!("card:1{number}"), 0));
    }
    let code = invite(app, household, None, "i-2");
    for number in 0..8 {
        let accept = HouseholdStep::Accept { household, code: Some(code) };
        done(app, &format!("card:1{number}"), accept, &format!("b-{number}"));
    }
    relay_all(app);
    assert_eq!(seen(app, household)["people"].as_array().unwrap().len(), 3);
    let taken = (0..8).filter(|number| app.member(&format!("card:1{number}")).get("household").is_some()).count();
    assert_eq!(taken, 1);
}

fn i6_news_that_is_sent_again_changes_nothing(app: &mut TestApp) {
    let household = couple(app);
    app.send(&sale("o-3", "card:1", 60_000));
    app.send(&sale("o-4", "card:2", 40_000));
    done(app, "card:2", HouseholdStep::Leave, "l-1");
    relay_all(app);
    let before = (seen(app, household), app.available("card:2", "point"));
    // As after a crash between the effects and the notes that they were done.
    let reset = "UPDATE outbox SET state = 0 WHERE kind = 'command'";
    app.engine().executor().write(move |tx| tx.execute(reset, &[]).map(drop)).unwrap();
    app.restart();
    relay_all(app);
    assert_eq!((seen(app, household), app.available("card:2", "point")), before);
    assert_eq!(before.1, 40);
    assert_eq!(app.verify().differences, []);
}

fn r1_a_return_asks_the_pool_for_what_the_member_has_not(app: &mut TestApp) {
    let household = couple(app);
    app.send(&sale("o-3", "card:1", 60_000));
    relay_all(app);
    app.send(&tessera_testkit::app::event("return", "b-3", "card:1", &json::back_all("o-3")));
    assert_eq!(app.verify().differences, []);
    relay_all(app);
    assert_eq!((in_pool(app, household), app.member("card:1")["balances"]["point"]["debt"].as_i64()), (0, Some(0)));
    assert_eq!(app.verify().differences, []);
}

/// What a member earns under a draft goes into the pool, is spent from it, and comes home; nothing is left on the way.
fn p5_a_draft_changes_what_is_in_the_pool_and_who_may_spend_it(app: &mut TestApp) {
    let household = couple(app);
    app.send(&sale("o-3", "card:1", 60_000));
    app.send(&sale("o-4", "card:2", 40_000));
    relay_all(app);
    let redeem = Redeem { by: Some(id(app, "card:2")), ..spend("point", 30) };
    accepted(app.engine().submit(app.redeeming(&household.to_string(), redeem, "r-1")).unwrap());
    done(app, "card:2", HouseholdStep::Leave, "l-1");
    relay_all(app);
    let what_if = |draft: &str| {
        let draft = Arc::new(load_program(&document(draft), 2).unwrap());
        let span = Span { from: None, to: app.now().plus_seconds(1) };
        replay(&app.engine().context, &app.program, draft, span, &|_| {}).unwrap()
    };
    let found = what_if(&TOGETHER.replace("/ 1000", "/ 500"));
    let point = &found.currencies["point"];
    assert_eq!((point.before.issued, point.before.spent, point.before.outstanding), (100, 30, 70));
    assert_eq!((point.after.issued, point.after.spent, point.after.outstanding), (200, 30, 170));
    assert_eq!((found.members, found.refused.len()), (2, 0));
    // With half as much in the pool there is not enough to spend.
    let found = what_if(&TOGETHER.replace("/ 1000", "/ 5000"));
    let point = &found.currencies["point"];
    assert_eq!((point.after.issued, point.after.spent, point.after.outstanding), (20, 0, 20));
    assert_eq!(found.refused, [("not-enough-points".to_owned(), 1)].into());
    // And where there are no households, everybody keeps their own.
    let alone = TOGETHER.lines().filter(|line| !line.starts_with("households:")).collect::<Vec<_>>().join("\n");
    let found = what_if(&alone);
    assert_eq!(found.currencies["point"].after.outstanding, 100);
}

fn p5_a_lost_contribution_is_found_by_verification(app: &mut TestApp) {
    let household = couple(app);
    app.send(&sale("o-3", "card:1", 60_000));
    let set = |state: i64| {
        let sql = "UPDATE outbox SET state = $1 WHERE kind = 'command' AND state <> 1";
        app.engine().executor().write(move |tx| tx.execute(sql, &[state.into()]).map(drop)).unwrap();
    };
    set(2);
    let found = app.verify().differences;
    assert!(found.len() == 1 && found[0].what.contains("is stuck"), "{found:#?}");
    set(0);
    relay_all(app);
    assert_eq!(in_pool(app, household), 60);
    let again = app.engine().submit(submission(app, "card:1", HouseholdStep::Found { known: None }, "h-2")).unwrap();
    assert_eq!(refused(again).code, "in-household");
}

fn p1_a_place_goes_along_with_a_merge_and_comes_back_when_it_is_undone(app: &mut TestApp) {
    let household = couple(app);
    app.send(&sale("o-3", "card:2", 60_000));
    app.send(&sale("o-4", "card:3", 0));
    relay_all(app);
    let (one, two, three) = (id(app, "card:1"), id(app, "card:2"), id(app, "card:3"));
    let (secrets, program) = (&app.engine().context.secrets, &app.program);
    let looked = query::preview_merge(&app.engine().context, program, three, two).unwrap().unwrap().unwrap();
    let looked = serde_json::to_value(looked).unwrap();
    assert!(
        looked["effects"].as_array().unwrap().iter().any(|effect| effect["type"] == "household_joined"),
        "{looked}"
    );
    let merge = |from, into, key: &str| {
        let merge = tessera_core::event::Merge { into, reason: None };
        app.engine().submit(Submission::merge(secrets, program, from, merge, key, app.now())).unwrap()
    };
    accepted(merge(two, three, "m-1"));
    assert_eq!(app.verify().differences, []);
    relay_all(app);
    let people = seen(app, household)["people"].clone();
    assert_eq!((&people[1]["member"], &people[1]["part"]["point"]), (&three.to_string().into(), &60.into()));
    assert_eq!(app.member("card:3")["household"]["id"], household.to_string());
    // By either card it is the same place.
    app.send(&sale("o-5", "card:2", 10_000));
    relay_all(app);
    assert_eq!(seen(app, household)["people"][1]["part"]["point"], 70);
    assert_eq!(app.verify().differences, []);
    accepted(app.engine().submit(Submission::unmerge(secrets, program, three, two, "u-1", app.now())).unwrap());
    relay_all(app);
    let people = seen(app, household)["people"].clone();
    assert_eq!((&people[1]["member"], &people[1]["part"]["point"]), (&two.to_string().into(), &70.into()));
    assert!(app.member("card:3").get("household").is_none());
    // Somebody of the same household is one place from then on.
    accepted(merge(two, one, "m-2"));
    relay_all(app);
    let seen = seen(app, household);
    assert_eq!((seen["people"].as_array().unwrap().len(), in_pool(app, household)), (1, 70));
    assert_eq!(app.verify().differences, []);
}

fn p5_the_pool_buys_rewards_and_gets_back_what_does_not_come(app: &mut TestApp) {
    let household = couple(app);
    app.send(&sale("o-3", "card:1", 60_000));
    app.send(&sale("o-4", "card:2", 40_000));
    relay_all(app);
    let parts = |app: &TestApp| {
        let people = seen(app, household)["people"].clone();
        [0, 1].map(|place: usize| people[place]["part"]["point"].as_i64().unwrap_or(0))
    };
    let bought = |app: &TestApp, reward: &str, key: &str| {
        let by = Some(id(app, "card:2"));
        let redeem = Redeem { by, capture: true, ..tessera_testkit::shop::reward(reward) };
        let about = household.to_string().parse().unwrap();
        let secrets = &app.engine().context.secrets;
        let wanted = Submission::redeem(secrets, &app.program, about, redeem, key, app.now());
        accepted(app.engine().submit(wanted).unwrap()).redemption.unwrap().id.to_string()
    };
    let view = |app: &TestApp, redemption: &str| {
        query::redemption(&app.engine().context, &app.program, redemption.parse().unwrap()).unwrap().unwrap()
    };
    // One that comes, and one that the partner does not have.
    app.partner.plan(&[Plan::Deliver, Plan::Refuse("sold-out")]);
    let comes = bought(app, "gift", "r-1");
    app.relay_to_partners();
    assert_eq!((view(app, &comes).code, parts(app)), (Some(FakePartner::code(&comes)), [50, 0]));
    bought(app, "gift", "r-2");
    assert_eq!(parts(app), [0, 0]);
    app.relay_to_partners();
    assert_eq!(parts(app), [50, 0]);
    // A gift card, and its money taken back.
    let card = bought(app, "card", "r-3");
    relay_all(app);
    let step = tessera_engine::redemption::Step::Return { points: None };
    let secrets = &app.engine().context.secrets;
    let back = Submission::redemption_step(secrets, &app.program, card.parse().unwrap(), step, "b-1", app.now());
    accepted(app.engine().submit(back).unwrap());
    relay_all(app);
    assert_eq!((parts(app), in_pool(app, household)), ([50, 0], 50));
    assert_eq!(app.verify().differences, []);
}
