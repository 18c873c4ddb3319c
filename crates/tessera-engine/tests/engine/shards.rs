//! A database spread over eight shards: no transaction of a batch names two of them (the store refuses it here), and a crash
//! between what is claimed on one and what is written on another loses and doubles nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::channel;

use serde_json::Value;
use tessera_core::decide::OutcomeStatus;
use tessera_core::event::{Merge, Redeem};
use tessera_core::id::MemberId;
use tessera_engine::executor::{Fault, sweep_now};
use tessera_engine::redemption::Step;
use tessera_engine::submission::{Answer, Submission};
use tessera_testkit::app::{TestApp, accepted, as_duplicate, event, event_at};
use tessera_testkit::shop::{json, reward};

use crate::common::{back_all, sale};
use crate::contention::{THREADS, at_once};

const RULES: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  gift: { trigger: purchase, earning: bonus, budget: { point: 100 }, rules: [ { award: { currency: point, amount: 7 } } ] }
rewards: { mug: { costs: { point: 1 }, gives: { item: MUG }, stock: 200 } }
";

/// How often the executor tries before it tells callers to come back.
const ATTEMPTS: u32 = 3;

/// Writes each test for both databases, spread over eight shards.
macro_rules! on_shards {
    ($rules:expr => $($test:ident),+ $(,)?) => {$(
        mod $test {
            use super::*;

            #[test]
            fn sqlite() {
                super::$test(&mut TestApp::on_shards($rules));
            }

            #[test]
            fn postgres() {
                if let Some(mut app) = TestApp::on_shards_of_postgres($rules) {
                    super::$test(&mut app);
                }
            }
        }
    )+};
}

on_shards!(RULES =>
    i1_a_crash_after_the_claims_is_finished_by_the_retry,
    i1_a_crash_after_the_commit_doubles_nothing,
    i1_what_was_cut_between_its_claims_goes_on_at_once,
    i1_what_is_refused_after_its_claims_were_cut_is_answered_when_they_are_let_go,
    i1_one_receipt_of_two_members_counts_once,
    what_nobody_comes_back_for_is_let_go,
    i1_what_is_refused_after_a_crash_stays_refused,
    a_return_finds_its_order_on_another_shard,
    c5_a_budget_in_slices_is_never_overspent_and_comes_to_its_end,
    a_slice_that_was_given_and_never_came_is_not_lost,
    c5_what_a_slice_has_over_is_shown_as_left_and_what_comes_back_is_there_again,
    members_of_many_shards_join_in_one_batch,
);

/// Strangers wait until they join, and whoever joins is welcomed once.
const PARK: &str = "
unknown_member: park
currencies: { point: { name: Point, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
";

on_shards!(PARK =>
    i4_what_waits_for_somebody_goes_on_after_a_crash,
    p3_the_mark_of_whoever_left_comes_back,
);

fn crash(app: &TestApp, fault: Fault, event: &Value) {
    app.engine().executor().fail_at(fault, ATTEMPTS);
    assert!(matches!(app.submit(event), Answer::Unavailable), "the attempt ends as if the process had died");
}

fn buckets(app: &TestApp, table: &str) -> BTreeSet<i64> {
    let rows = app.query(&format!("SELECT bucket FROM {table}"));
    rows.iter().map(|row| row[0].int().unwrap()).collect()
}

fn i1_a_crash_after_the_claims_is_finished_by_the_retry(app: &mut TestApp) {
    for number in 0..8 {
        let sale = sale(&format!("r-{number}"), &format!("card:{number}"), 20_000);
        crash(app, Fault::AfterClaims, &sale);
        assert_eq!(app.count("SELECT COUNT(*) FROM member"), number, "nobody is written");
        assert_eq!(app.get(&format!("members/card:{number}")).status, 404, "nor found");
        let first = app.send(&sale);
        assert_eq!(first.status, OutcomeStatus::Applied);
        assert_eq!(app.send(&sale), as_duplicate(&first), "and once");
        assert_eq!(app.available(&format!("card:{number}"), "point"), 27);
    }
    let keys = "SELECT COUNT(*) FROM member_identifier WHERE state IS NOT NULL";
    assert_eq!(app.count(keys), 0, "every name is confirmed");
    // What is claimed and what it leads to are on shards of their own.
    assert_ne!(buckets(app, "event_key"), buckets(app, "event"));
}

fn i1_a_crash_after_the_commit_doubles_nothing(app: &mut TestApp) {
    let sale = sale("r-1", "card:1", 20_000);
    crash(app, Fault::AfterCommit, &sale);
    assert_eq!(app.count("SELECT COUNT(*) FROM member"), 1, "it is written");
    assert_eq!(app.send(&sale).status, OutcomeStatus::Duplicate);
    let other = app.send(&crate::common::sale("r-2", "card:1", 1_000));
    assert_eq!(other.status, OutcomeStatus::Applied, "a name that is not confirmed yet leads to its member");
    assert_eq!(app.count("SELECT COUNT(*) FROM member"), 1);
    let unconfirmed = "SELECT COUNT(*) FROM member_identifier WHERE state IS NOT NULL";
    assert_eq!(app.count(unconfirmed), 1);
    app.run_scheduler();
    assert_eq!(app.count(unconfirmed), 0, "and the sweep confirms it");
    assert_eq!(app.available("card:1", "point"), 20 + 7 + 1 + 7);
}

/// A crash between the joining and the confirming of the name: whoever confirms it lets go what waited for it too.
fn i4_what_waits_for_somebody_goes_on_after_a_crash(app: &mut TestApp) {
    let waits = sale("r-1", "card:1", 50_000);
    assert_eq!(app.send(&waits).status, OutcomeStatus::Parked);
    crash(app, Fault::AfterCommit, &event("enrol", "r-2", "card:1", "{}"));
    assert_eq!(app.count("SELECT COUNT(*) FROM member"), 1, "the joining counts");
    let parked = "SELECT COUNT(*) FROM outbox WHERE kind = 'parked' AND state = 0";
    assert_eq!(app.count(parked), 1);
    app.run_scheduler();
    assert_eq!((app.count(parked), app.available("card:1", "point")), (0, 60));
    assert_eq!(app.send(&waits).status, OutcomeStatus::Duplicate);
}

/// Whoever returns claims the name in the place of their mark, so a crash there must not make them a stranger, who would be
/// welcomed a second time.
fn p3_the_mark_of_whoever_left_comes_back(app: &mut TestApp) {
    let join = |id: &str| event("enrol", id, "phone:+84901", "{}");
    let member = app.send(&join("r-1")).member.unwrap().parse().unwrap();
    assert_eq!(app.available("phone:+84901", "point"), 10);
    let leave = Submission::leave(&app.engine().context.secrets, &app.program, member, true, "k-1", app.now());
    accepted(app.engine().submit(leave).unwrap());
    crash(app, Fault::AfterClaims, &join("r-2"));
    app.set_clock("2026-03-02T10:04");
    sweep_now(&app.engine().context, app.engine().executor()).unwrap();
    assert_eq!(app.refused(&sale("r-3", "phone:+84901", 1_000)).code, "member-left");
    assert_eq!(app.send(&join("r-4")).status, OutcomeStatus::Applied);
    assert_eq!(app.available("phone:+84901", "point"), 0, "no second welcome");
}

fn guest_sale(id: &str, amount: i64) -> Value {
    let mut sale = sale(id, "card:0", amount);
    sale.as_object_mut().unwrap().remove("subject");
    sale
}

/// Somebody who is about to be a member, or a guest, has no id but the one in the claims. Where the claim of the order was
/// written and that of the event was not, nothing said whose it was: the same sale waited three minutes for itself.
fn i1_what_was_cut_between_its_claims_goes_on_at_once(app: &mut TestApp) {
    let mut orders_alone = 0;
    for number in 0..24 {
        let (id, card) = (format!("r-{number}"), format!("card:{number}"));
        let sale = if number % 3 == 0 { guest_sale(&id, 1_000) } else { sale(&id, &card, 1_000) };
        let claims = |app: &TestApp| {
            ["order_key", "event_key", "member_identifier"]
                .map(|table| app.count(&format!("SELECT COUNT(*) FROM {table}")))
        };
        let before = claims(app);
        crash(app, Fault::BetweenClaims, &sale);
        let after = claims(app);
        orders_alone += i32::from(after[0] > before[0] && after[1..] == before[1..]);
        app.clock.set(app.now().plus_seconds(5));
        let first = app.send(&sale);
        assert_eq!(first.status, OutcomeStatus::Applied);
        assert_eq!(app.send(&sale), as_duplicate(&first), "and once");
    }
    assert!(orders_alone > 3, "orders were claimed without their events");
}

/// What claimed the order may still be on its way, so the refusal waits until that is let go.
fn i1_what_is_refused_after_its_claims_were_cut_is_answered_when_they_are_let_go(app: &mut TestApp) {
    let claims = |app: &TestApp, table: &str| app.count(&format!("SELECT COUNT(*) FROM {table}"));
    let sale = |number: i32| {
        let id = format!("r-{number}");
        event_at("2026-03-02T10:00", "purchase", &id, &format!("card:{number}"), &json::sale(&id, 1_000))
    };
    let order_alone = (0..).find(|number| {
        let before = ["order_key", "event_key", "member_identifier"].map(|table| claims(app, table));
        crash(app, Fault::BetweenClaims, &sale(*number));
        let after = ["order_key", "event_key", "member_identifier"].map(|table| claims(app, table));
        after[0] > before[0] && after[1..] == before[1..]
    });
    let sale = sale(order_alone.unwrap());
    // The clock was wrong, and is put right.
    app.set_clock("2026-03-02T09:00");
    assert!(matches!(app.submit(&sale), Answer::Unavailable), "it is of the future now, but that is not final");
    app.set_clock("2026-03-02T09:04");
    sweep_now(&app.engine().context, app.engine().executor()).unwrap();
    let refused = app.refused(&sale);
    assert_eq!((refused.code.as_str(), refused.replayed), ("event-in-the-future", false));
    assert!(app.refused(&sale).replayed);
}

/// Two processes have the same sale at once: somebody waited, and sent it again to the other one. The second takes the
/// claims of the first over and is done; the first finds the member changed and gives back its claims. They looked like
/// those that the second stood on: these were gone, and the sale counted once more.
#[test]
fn i1_an_attempt_that_fails_gives_back_no_claim_that_another_stands_on() {
    let Some(app) = TestApp::on_shards_of_postgres(RULES) else { return };
    app.send(&sale("r-0", "card:0", 1_000));
    for (number, card) in [(1, "card:0"), (2, "card:0"), (3, "card:3"), (4, "card:4")] {
        let sale = sale(&format!("r-{number}"), card, 1_000);
        let (other, same) = (app.neighbour(), app.read(&sale).unwrap());
        app.engine().executor().meanwhile(Fault::AfterClaims, move || {
            assert_eq!(accepted(other.submit(same).unwrap()).status, OutcomeStatus::Applied);
        });
        assert_eq!(app.send(&sale).status, OutcomeStatus::Duplicate);
        assert_eq!(app.send(&sale).status, OutcomeStatus::Duplicate);
        let mut order = sale.clone();
        order["id"] = format!("again-{number}").into();
        assert_eq!(app.refused(&order).code, "order-exists");
    }
    assert_eq!(app.available("card:0", "point"), 3 * 8);
    assert_eq!(app.count("SELECT COUNT(*) FROM event WHERE type = 'purchase'"), 5);
}

/// Two processes have the same first sale of a stranger at once. The second one looks for the event before the first has
/// claimed it, finds the name claimed by this very command and not given, and then the order made: the first was done in
/// between. It was taken for an order of another event, and the caller told to come back for what had long been counted.
#[test]
fn i1_what_is_done_while_it_is_read_is_answered_as_done() {
    let Some(app) = TestApp::on_shards_of_postgres(RULES) else { return };
    for number in 0..8 {
        let sale = sale(&format!("r-{number}"), &format!("card:{number}"), 1_000);
        let (one, two, [first, same]) = (app.neighbour(), app.neighbour(), [(); 2].map(|()| app.read(&sale).unwrap()));
        let (claimed, is_claimed) = channel();
        let (go, goes) = channel::<()>();
        one.executor().meanwhile(Fault::AfterClaims, move || {
            claimed.send(()).unwrap();
            goes.recv().unwrap();
        });
        let (done, is_done) = channel();
        two.executor().meanwhile(Fault::Reading("member_identifier"), move || {
            std::thread::spawn(move || done.send(accepted(one.submit(first).unwrap()).status));
            is_claimed.recv().unwrap();
        });
        // Whether the name is given,
        two.executor().meanwhile(Fault::Querying, || {});
        // and whether the order is made.
        let (told, is_told) = channel();
        two.executor().meanwhile(Fault::Querying, move || {
            go.send(()).unwrap();
            told.send(is_done.recv().unwrap()).unwrap();
        });
        assert_eq!(accepted(two.submit(same).unwrap()).status, OutcomeStatus::Duplicate);
        assert_eq!(is_told.try_recv(), Ok(OutcomeStatus::Applied), "in between");
        assert_eq!(app.available(&format!("card:{number}"), "point"), 8);
    }
}

/// Each of two processes ends one of two members for the other, and neither sees what the other does. Each of the two had
/// ended then and was to take in the other, for ever.
#[test]
fn p2_of_merges_that_cross_one_gives_way() {
    let Some(app) = TestApp::on_shards_of_postgres(RULES) else { return };
    for number in 0..4 {
        let cards = [format!("card:{number}-a"), format!("card:{number}-b")];
        for (card, earned) in cards.iter().zip([1_000, 2_000]) {
            app.send(&sale(&format!("r-{card}"), card, earned));
        }
        let [one, two] = cards.each_ref().map(|card| app.member(card)["id"].as_str().unwrap().parse().unwrap());
        let merge = |from: MemberId, into: MemberId| {
            let (merge, key) = (Merge { into, reason: None }, format!("{from} into {into}"));
            Submission::merge(&app.engine().context.secrets, &app.program, from, merge, &key, app.now())
        };
        // In either order of their ids.
        let [first, second] = if number % 2 == 0 { [(one, two), (two, one)] } else { [(two, one), (one, two)] };
        let (other, crossing) = (app.neighbour(), merge(second.0, second.1));
        app.engine().executor().meanwhile(Fault::AfterClaims, move || {
            accepted(other.submit(crossing).unwrap());
        });
        accepted(app.engine().submit(merge(first.0, first.1)).unwrap());
        let ended = "SELECT COUNT(*) FROM event WHERE type = 'merge'";
        assert_eq!(app.count(ended), 2 * (number + 1), "both have ended");
        app.run_scheduler();
        // Who was told to come back does so after a while.
        app.clock.set(app.now().plus_seconds(3600));
        app.run_scheduler();
        assert_eq!(app.count("SELECT COUNT(*) FROM event WHERE type = 'merge-in'"), number + 1, "one of them is left");
        let [one, two] = cards.each_ref().map(|card| app.member(card)["id"].clone());
        assert_eq!(one, two, "under both names");
        assert_eq!(app.available(&cards[0], "point"), 1 + 7 + 2 + 7);
    }
}

fn i1_one_receipt_of_two_members_counts_once(app: &mut TestApp) {
    for card in ["card:1", "card:2"] {
        app.send(&event("enrol", card, card, "{}"));
    }
    let receipt = |card: &str| sale("r-1", card, 10_000);
    crash(app, Fault::AfterClaims, &receipt("card:1"));
    // Whoever claimed it may still be on the way.
    assert!(matches!(app.submit(&receipt("card:2")), Answer::Unavailable));
    let mut order = receipt("card:2");
    order["id"] = "another".into();
    assert!(matches!(app.submit(&order), Answer::Unavailable), "the order is claimed too");
    assert_eq!(app.send(&receipt("card:1")).status, OutcomeStatus::Applied);
    assert_eq!(app.refused(&receipt("card:2")).code, "idempotency-key-reused");
    assert_eq!(app.refused(&order).code, "order-of-another-member");
    assert_eq!((app.available("card:1", "point"), app.available("card:2", "point")), (17, 0));
    let answers = at_once(|number| app.submit(&sale("r-9", &format!("card:{}", number % 2 + 1), 10_000)));
    let applied = answers
        .iter()
        .filter(|answer| matches!(answer, Answer::Done { outcome, .. } if outcome.status == OutcomeStatus::Applied));
    assert_eq!(applied.count(), 1);
    // Claims were noted as left behind while others came by. What they were for is done, and they stay.
    assert!(app.count("SELECT COUNT(*) FROM outbox WHERE kind = 'claim'") > 0);
    app.set_clock("2026-03-02T10:04");
    sweep_now(&app.engine().context, app.engine().executor()).unwrap();
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox WHERE kind = 'claim'"), 0);
    assert_eq!(app.send(&receipt("card:1")).status, OutcomeStatus::Duplicate);
    assert_eq!(app.refused(&receipt("card:2")).code, "idempotency-key-reused");
    let mut third = order.clone();
    third["id"] = "third".into();
    assert_eq!(app.refused(&third).code, "order-of-another-member");
}

fn what_nobody_comes_back_for_is_let_go(app: &mut TestApp) {
    crash(app, Fault::AfterClaims, &sale("r-1", "card:1", 10_000));
    let mut other = sale("r-2", "card:1", 30_000);
    other["data"]["order_id"] = "r-1".into();
    assert!(matches!(app.submit(&other), Answer::Unavailable), "the name is claimed by another command");
    let (context, executor) = (&app.engine().context, app.engine().executor());
    sweep_now(context, executor).unwrap();
    assert_eq!(app.count("SELECT COUNT(*) FROM member_identifier"), 1, "it is young");
    app.set_clock("2026-03-02T10:04");
    sweep_now(context, executor).unwrap();
    assert_eq!(app.count("SELECT COUNT(*) FROM member_identifier"), 0);
    // The order is noted when somebody comes by, and let go three minutes later.
    assert!(matches!(app.submit(&other), Answer::Unavailable));
    app.set_clock("2026-03-02T10:08");
    sweep_now(context, executor).unwrap();
    assert_eq!(app.send(&other).status, OutcomeStatus::Applied);
    assert_eq!(app.available("card:1", "point"), 37);
    // The first came too late. It learns that when its own claim is let go too.
    let first = sale("r-1", "card:1", 10_000);
    assert!(matches!(app.submit(&first), Answer::Unavailable));
    app.set_clock("2026-03-02T10:12");
    sweep_now(context, executor).unwrap();
    assert_eq!(app.refused(&first).code, "order-exists");
}

/// What had claimed its key and died may still be on its way, so a refusal cannot be kept under that key yet. It was told
/// all the same, and the next attempt could be told something else.
fn i1_what_is_refused_after_a_crash_stays_refused(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 10_000));
    let back = back_all("back-1", "card:1", "r-1");
    crash(app, Fault::AfterClaims, &back);
    app.send(&back_all("back-2", "card:1", "r-1"));
    assert!(matches!(app.submit(&back), Answer::Unavailable), "nothing is left to return, but that is not final");
    app.set_clock("2026-03-02T10:04");
    sweep_now(&app.engine().context, app.engine().executor()).unwrap();
    let refused = app.refused(&back);
    assert_eq!((refused.code.as_str(), refused.replayed), ("nothing-left-to-return", false));
    assert!(app.refused(&back).replayed);
}

fn a_return_finds_its_order_on_another_shard(app: &mut TestApp) {
    for number in 0..8 {
        let (order, card) = (format!("r-{number}"), format!("card:{number}"));
        app.send(&sale(&order, &card, 10_000));
        let back = back_all(&format!("back-{number}"), &card, &order);
        crash(app, Fault::AfterClaims, &back);
        let first = app.send(&back);
        assert_eq!(first.status, OutcomeStatus::Applied);
        assert_eq!(app.available(&card, "point"), 0);
        let again = back_all(&format!("again-{number}"), &card, &order);
        assert!(matches!(app.submit(&again), Answer::Refused(_)), "nothing is left to return");
    }
    let local = "SELECT COUNT(*) FROM order_key o JOIN member m ON m.member = o.member AND m.bucket = o.bucket";
    assert!(app.count(local) >= 8, "how far an order has come stands with its member");
}

fn c5_a_budget_in_slices_is_never_overspent_and_comes_to_its_end(app: &mut TestApp) {
    let answers = at_once(|number| app.submit(&sale(&format!("r-{number}"), &format!("card:{number}"), 1_000)));
    assert_eq!(answers.len(), usize::try_from(THREADS).unwrap());
    let given = |app: &TestApp| -> i64 {
        (0..THREADS).map(|number| app.available(&format!("card:{number}"), "point") - 1).sum()
    };
    let so_far = given(app);
    assert!(so_far <= 100, "{so_far} of 100");
    // What slices of other shards hold comes back, and whoever comes next has it.
    app.run_scheduler();
    for number in 0..THREADS {
        app.send(&sale(&format!("s-{number}"), &format!("card:{number}"), 1_000));
        app.run_scheduler();
    }
    assert_eq!(given(app) - THREADS, 100, "to the last point");
    assert_eq!(app.count("SELECT used FROM pool WHERE pool LIKE '%gift%' AND pool NOT LIKE '%#%'"), 100);
}

fn a_slice_that_was_given_and_never_came_is_not_lost(app: &mut TestApp) {
    app.send(&sale("r-1", "card:1", 1_000));
    app.run_scheduler();
    let pool = "SELECT bucket, pool FROM pool WHERE pool LIKE '%gift%' AND pool NOT LIKE '%#%'";
    let name = app.query(pool)[0][1].text().unwrap().to_owned();
    // As a crash leaves it between the two halves: everything was given to one slice, which has not had it.
    let statements = [
        format!(
            "UPDATE pool SET used = used + 93 WHERE pool LIKE '{name}#%' AND pool NOT LIKE '{name}#%#%' \
                 AND pool NOT IN ('{name}#had', '{name}#back', '{name}#free')"
        ),
        format!("UPDATE pool SET used = 100 WHERE pool = '{name}'"),
    ];
    for statement in statements {
        app.engine().executor().write(move |tx| tx.execute(&statement, &[])).unwrap();
    }
    app.run_scheduler();
    for number in 2..20 {
        app.send(&sale(&format!("r-{number}"), "card:1", 1_000));
    }
    assert_eq!(app.available("card:1", "point"), 19 + 100);
}

fn c5_what_a_slice_has_over_is_shown_as_left_and_what_comes_back_is_there_again(app: &mut TestApp) {
    let left = |app: &TestApp| app.get("rewards").ok()["items"][0]["left"].as_i64();
    app.send(&sale("r-1", "card:1", 1_000));
    assert_eq!(left(app), Some(200));
    let mug = || Redeem { capture: true, ..reward("mug") };
    let taken = accepted(app.engine().submit(app.redeeming("card:1", mug(), "k-1")).unwrap());
    let slices = "SELECT used FROM pool WHERE pool LIKE '%mug%#free'";
    assert!(app.count(slices) > 0, "the shard was given more than one");
    assert_eq!(left(app), Some(199));
    let redemption = taken.redemption.unwrap().id.to_string();
    let had = app.count(slices);
    let back = app.redemption_step(&redemption, Step::Return { points: None }, "b-1");
    accepted(app.engine().submit(back).unwrap());
    assert_eq!((left(app), app.count(slices)), (Some(200), had + 1));
    // Taken back from the slices it is as if nobody had taken one.
    app.run_scheduler();
    assert_eq!((left(app), app.count(slices)), (Some(200), 0));
    assert_eq!(app.count("SELECT used FROM pool WHERE pool LIKE '%mug%' AND pool NOT LIKE '%#%'"), 0);
}

/// Two cards of members on one shard, whatever shards chance put them on; 91 of the budget of 100 are given by then.
fn on_one_shard(app: &TestApp) -> (String, String) {
    let mut known = BTreeMap::new();
    let cards: Vec<String> = (0..13).map(|number| format!("card:{number}")).collect();
    for card in &cards {
        app.send(&sale(&format!("r-{card}"), card, 1_000));
    }
    let shard_of = |card: &String| -> u16 {
        let id: MemberId = app.member(card)["id"].as_str().unwrap().parse().unwrap();
        app.engine().context.shards.of(i64::from(id.bucket().get()))
    };
    for card in cards {
        if let Some(other) = known.insert(shard_of(&card), card.clone()) {
            return (other, card);
        }
    }
    unreachable!("13 members on 8 shards")
}

/// Each of two processes has seen that there is room for 7, and there is for one of them alone: before anything is taken of
/// the pool, and once the slice is filled and not taken from yet.
#[test]
fn c5_of_two_processes_that_see_the_last_of_a_budget_one_has_it() {
    for fault in [Fault::Decided, Fault::AfterClaims] {
        let Some(app) = TestApp::on_shards_of_postgres(RULES) else { return };
        let (one, two) = on_one_shard(&app);
        let (other, first) = (app.neighbour(), app.read(&sale("other", &two, 1_000)).unwrap());
        app.engine().executor().meanwhile(fault, move || {
            assert_eq!(accepted(other.submit(first).unwrap()).status, OutcomeStatus::Applied);
        });
        app.send(&sale("last", &one, 1_000));
        assert_eq!(
            (app.available(&one, "point"), app.available(&two, "point")),
            (1 + 7 + 1 + 2, 2 * (1 + 7)),
            "{fault:?}"
        );
        assert_eq!(app.count("SELECT used FROM pool WHERE pool LIKE '%gift%' AND pool NOT LIKE '%#%'"), 100);
    }
}

fn members_of_many_shards_join_in_one_batch(app: &mut TestApp) {
    let sales: Vec<Value> = (0..100).map(|n| sale(&format!("r-{n}"), &format!("card:{}", n % 50), 1_000)).collect();
    let outcomes: Vec<_> = app.send_together(&sales).into_iter().map(accepted).collect();
    assert!(outcomes.iter().all(|outcome| outcome.status == OutcomeStatus::Applied));
    assert_eq!(app.count("SELECT COUNT(*) FROM member"), 50);
    assert!(buckets(app, "member").len() > 30, "they are spread");
    for card in 0..50 {
        assert_eq!(app.get(&format!("members/card:{card}")).ok()["balances"]["point"]["debt"], 0);
    }
}

/// What `docs/scale.md` says to run, a statement at a time.
fn partitioning() -> Vec<String> {
    let page = include_str!("../../../../docs/scale.md");
    let (_, rest) = page.split_once("BEGIN;\n").unwrap();
    let (block, _) = rest.split_once("COMMIT;").unwrap();
    block.split(';').map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

#[test]
fn events_by_year_are_as_events_in_one_table() {
    let Some(mut app) = TestApp::on_postgres(RULES) else { return };
    app.send(&sale("r-1", "card:1", 10_000));
    app.send(&sale("r-2", "card:1", 20_000));
    let statements = partitioning();
    assert_eq!(statements.len(), 12);
    let run =
        move |tx: &mut tessera_store::Tx<'_>| statements.iter().try_for_each(|sql| tx.execute(sql, &[]).map(drop));
    app.engine().executor().write(run).unwrap();
    app.restart();
    app.send(&back_all("b-1", "card:1", "r-1"));
    for (year, order) in [("2027", "r-3"), ("2028", "r-4")] {
        app.set_clock(&format!("{year}-03-02T10:00"));
        let first = app.send(&sale(order, "card:1", 10_000));
        assert_eq!(app.send(&sale(order, "card:1", 10_000)), as_duplicate(&first));
        app.send(&back_all(&format!("b-{order}"), "card:1", order));
    }
    app.send(&back_all("b-2", "card:1", "r-2"));
    assert_eq!(app.available("card:1", "point"), 0);
    for table in ["event_before_2027", "event_2027", "event_later", "entry_before_2027", "entry_2027", "entry_later"] {
        assert!(app.count(&format!("SELECT COUNT(*) FROM {table}")) > 0, "{table}");
    }
}
