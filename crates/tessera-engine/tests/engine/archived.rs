//! Events whose partition was dropped (`docs/scale.md`): what rests on them is refused, and never decided from what is left.

use std::sync::Arc;

use serde_json::Value;
use tessera_core::event::HouseholdStep;
use tessera_core::id::MemberId;
use tessera_core::program::load_program;
use tessera_engine::replay::{Comparison, Span, replay};
use tessera_engine::submission::Submission;
use tessera_testkit::app::{TestApp, accepted};
use tessera_testkit::shop::{at, document as document_of, id};

use crate::common::{back_all, sale};

const RULES: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
";

/// Two purchases of one year, whose events are dropped, and one of the next.
fn archived(app: &mut TestApp) {
    // Of what is left the ledger cannot be folded.
    app.skip_verification();
    app.send(&sale("r-1", "card:1", 10_000));
    app.send(&sale("r-2", "card:2", 20_000));
    app.set_clock("2027-03-02T10:00");
    let drop_all = |tx: &mut tessera_store::Tx<'_>| {
        tx.execute("DELETE FROM event", &[])?;
        tx.execute("DELETE FROM entry", &[]).map(drop)
    };
    app.engine().executor().write(drop_all).unwrap();
    app.send(&sale("r-3", "card:1", 30_000));
}

fn backdated(id: &str) -> Value {
    let mut event = sale(id, "card:1", 5_000);
    event["time"] = "2027-03-02T09:00:00+07:00".into();
    event
}

fn what_rests_on_archived_events_is_refused(app: &mut TestApp) {
    archived(app);
    let refused = app.refused(&back_all("b-1", "card:1", "r-1"));
    assert_eq!((refused.code.as_str(), &refused.facts["order_id"]), ("history-archived", &Value::from("r-1")));
    assert!(refused.detail.contains("it was archived"), "{}", refused.detail);
    // Decided in the past of somebody of whom not everything is known.
    assert_eq!(app.refused(&backdated("r-4")).code, "history-archived");
    // The order is known by its key.
    let mut again = sale("r-1", "card:1", 10_000);
    again["id"] = "another".into();
    assert_eq!(app.refused(&again).code, "order-exists");
    // So is the event, and it does not count once more.
    let refused = app.refused(&sale("r-2", "card:2", 20_000));
    assert_eq!(refused.code, "answer-archived");
    assert!(refused.facts["event_id"].as_str().unwrap().starts_with("evt_"), "{refused:?}");
    assert_eq!(app.available("card:2", "point"), 20);
    // Everything since goes on.
    app.send(&back_all("b-3", "card:1", "r-3"));
    assert_eq!(app.available("card:1", "point"), 10);
    let found = app.verify();
    assert_eq!(found.differences.len(), 2, "one a member: {:?}", found.differences);
    assert!(found.differences.iter().all(|difference| difference.what.contains("not in the database")), "{found:?}");
}

fn what_if(app: &TestApp, document: &str) -> Comparison {
    let draft = load_program(&document_of(document), app.program.versions().head().version + 1).unwrap();
    let span = Span { from: None, to: app.now().plus_seconds(1) };
    replay(&app.engine().context, &app.program, Arc::new(draft), span, &|_| {}).unwrap()
}

/// Decided from what is left, whoever had points before had none.
fn a_replay_leaves_out_whose_history_was_archived(app: &mut TestApp) {
    archived(app);
    app.send(&sale("r-5", "card:5", 50_000));
    let found = what_if(app, &RULES.replace("/ 1000", "/ 500"));
    assert_eq!((found.left_out, found.members, found.events), (2, 1, 1), "{found:#?}");
    assert_eq!(found.history_from, Some(at("2027-03-02T10:00")));
    let point = &found.currencies[&id("point")];
    assert_eq!((point.before.issued, point.after.issued), (50, 100));
    assert_eq!((point.before.outstanding, point.after.outstanding), (50, 100));
    assert_eq!((found.gain.more, found.gain.less, found.gain.same), (1, 0, 0));
}

#[test]
fn a_replay_says_whose_history_was_archived() {
    a_replay_leaves_out_whose_history_was_archived(&mut TestApp::new(RULES));
}

#[test]
fn a_replay_says_so_where_the_database_is_spread() {
    a_replay_leaves_out_whose_history_was_archived(&mut TestApp::on_shards(RULES));
}

/// A budget that may have run out has everything decided on one thread; somebody's household is of them all the same.
#[test]
fn a_replay_leaves_out_the_household_of_somebody_whose_history_was_archived() {
    let budget = "campaigns: { base: { budget: { point: 60 }, trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }";
    let (head, _) = RULES.split_once("campaigns:").unwrap();
    let rules = format!("{head}households: {{ pools: {{ point: {{ contribute: all }} }} }}\n{budget}");
    let mut app = TestApp::new(&rules);
    app.skip_verification();
    app.send(&sale("r-1", "card:1", 10_000));
    app.set_clock("2027-03-02T10:00");
    let drop_all = |tx: &mut tessera_store::Tx<'_>| {
        tx.execute("DELETE FROM event", &[])?;
        tx.execute("DELETE FROM entry", &[]).map(drop)
    };
    app.engine().executor().write(drop_all).unwrap();
    app.send(&sale("r-2", "card:2", 20_000));
    app.send(&sale("r-3", "card:3", 30_000));
    let member = |card: &str| app.member(card)["id"].as_str().unwrap().parse::<MemberId>().unwrap();
    let step = |about: &str, step: HouseholdStep, key: &str| {
        let (secrets, about) = (&app.engine().context.secrets, about.parse().unwrap());
        let step = Submission::household(secrets, &app.program, about, step, key, app.now());
        let founded = accepted(app.engine().submit(step).unwrap());
        app.run_scheduler();
        founded
    };
    let founded = step("card:1", HouseholdStep::Found { known: None }, "f");
    let household: MemberId = founded.effects[0].member.as_ref().unwrap().parse().unwrap();
    let invite = HouseholdStep::Invite { by: member("card:1"), to: Some(member("card:2")), code: [1; 16] };
    step(&household.to_string(), invite, "i");
    step("card:2", HouseholdStep::Accept { household, code: None }, "a");
    for (in_order, document) in [(true, rules.replace("point: 60", "point: 30")), (false, rules.clone())] {
        let found = what_if(&app, &document);
        assert_eq!((found.in_order, found.left_out, found.members), (in_order, 2, 1), "{found:#?}");
        assert_eq!(found.currencies[&id("point")].before.issued, 30);
    }
}

#[test]
fn i1_what_rests_on_archived_events_is_refused_and_counts_once() {
    what_rests_on_archived_events_is_refused(&mut TestApp::new(RULES));
}

#[test]
fn i1_so_it_is_where_the_database_is_spread() {
    what_rests_on_archived_events_is_refused(&mut TestApp::on_shards(RULES));
}
