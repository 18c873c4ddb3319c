//! Events whose partition was dropped (`docs/scale.md`): what rests on them is refused, and never decided from what is left.

use serde_json::Value;
use tessera_testkit::app::TestApp;

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

#[test]
fn i1_what_rests_on_archived_events_is_refused_and_counts_once() {
    what_rests_on_archived_events_is_refused(&mut TestApp::new(RULES));
}

#[test]
fn i1_so_it_is_where_the_database_is_spread() {
    what_rests_on_archived_events_is_refused(&mut TestApp::on_shards(RULES));
}
