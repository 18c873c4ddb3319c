//! A1: `verify` finds what was changed behind the ledger's back.

use rstest::rstest;
use rusqlite::Connection;
use tessera_core::member::MemberState;
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::{json as data, reserve, spend};

use crate::common::{POINTS, back_all, sale};

/// A member with a joining, two orders, one of which came back in part and one as a whole.
fn app() -> TestApp {
    let mut app = TestApp::new(POINTS);
    app.send(&event("purchase", "o-1", "card:1", &data::lines("o-1", &[("A", "goods", 2, 80_000)])));
    app.send(&sale("o-2", "card:1", 30_000));
    app.send(&event("return", "b-1", "card:1", &data::back("o-1", &[("A", 1)])));
    app.send(&back_all("b-2", "card:1", "o-2"));
    app.send(&sale("o-3", "card:1", 5_000));
    app.send(&sale("o-4", "card:2", 7_000));
    app.send(&sale("o-5", "", 7_000));
    let found = app.verify();
    assert_eq!((found.members, found.differences.len()), (3, 0), "{found:?}");
    app.skip_verification();
    app
}

fn tamper(app: &TestApp, sql: &str) {
    let database = Connection::open(app.database_file()).unwrap();
    let changed = database.execute(sql, []).unwrap();
    assert!(changed > 0, "nothing was changed by {sql}");
}

#[rstest]
#[case::an_amount("UPDATE entry SET amount = amount + 1 WHERE seq = 2", "entry 2 does not follow")]
#[case::the_last_amount(
    "UPDATE entry SET amount = amount + 1 WHERE (member, seq) IN (SELECT member, MAX(seq) FROM entry GROUP BY member)",
    "does not follow"
)]
#[case::an_account("UPDATE entry SET credit = debit, debit = credit WHERE seq = 2", "entry 2 does not follow")]
#[case::a_date("UPDATE entry SET at = at + 1 WHERE seq = 1", "entry 1 does not follow")]
#[case::a_lot("UPDATE entry SET expires_at = expires_at + 1 WHERE seq = 2", "entry 2 does not follow")]
#[case::a_campaign("UPDATE entry SET campaign = 'other' WHERE seq = 2", "entry 2 does not follow")]
#[case::its_event("UPDATE entry SET event_seq = event_seq - 1 WHERE seq = 3", "entry 3 does not follow")]
#[case::an_entry_less("DELETE FROM entry WHERE seq = 2", "entries are stored, the state counts")]
#[case::the_last_entry_less(
    "DELETE FROM entry WHERE (member, seq) IN (SELECT member, MAX(seq) FROM entry GROUP BY member)",
    "entries are stored, the state counts"
)]
#[case::an_event_less("DELETE FROM event WHERE seq = 2", "entries are stored, the state counts")]
#[case::the_progress_of_an_order(
    "UPDATE order_key SET progress = replace(progress, '1', '2') WHERE progress IS NOT NULL",
    "is not that of its last event"
)]
#[case::an_order_as_if_nothing_came_back(
    "UPDATE order_key SET progress = NULL WHERE progress IS NOT NULL",
    "is not that of its last event"
)]
#[case::a_record("UPDATE event SET record = replace(record, '\"amount\":\"5000', '\"amount\":\"9000')", "statistics")]
fn a1_what_was_tampered_with_is_found(#[case] sql: &str, #[case] expected: &str) {
    let app = app();
    tamper(&app, sql);
    let found = app.verify();
    let said: Vec<String> =
        found.differences.iter().map(|difference| format!("{}: {}", difference.member, difference.what)).collect();
    assert!(said.iter().any(|line| line.contains(expected)), "{said:#?}");
    assert!(said.iter().all(|line| line.starts_with("mem_")), "each names its member: {said:#?}");
}

#[rstest]
#[case::what_came_back("UPDATE redemption SET progress = replace(progress, '\"returned\":0', '\"returned\":3')")]
#[case::its_state("UPDATE redemption SET progress = replace(progress, '\"captured\",', '\"voided\",')")]
#[case::a_redemption_less("DELETE FROM redemption WHERE seq = (SELECT MIN(seq) FROM redemption)")]
#[case::one_nobody_made(
    "INSERT INTO redemption SELECT bucket, program, member, seq + 50, progress FROM redemption LIMIT 1"
)]
fn a1_tampered_redemptions_are_found(#[case] sql: &str) {
    let mut app = app();
    app.engine().submit(app.redeeming("card:1", spend("point", 5), "k-1")).unwrap();
    app.engine().submit(app.redeeming("card:1", reserve("point", 5), "k-2")).unwrap();
    assert_eq!(app.verify().differences, []);
    tamper(&app, sql);
    let found = app.verify();
    assert!(found.differences.iter().any(|difference| difference.what.contains("the redemption evt_")), "{found:#?}");
    app.skip_verification();
}

#[rstest]
#[case::an_order_less("DELETE FROM order_key WHERE progress IS NULL")]
#[case::an_order_as_if_something_came_back(
    "UPDATE order_key SET progress = (SELECT progress FROM order_key WHERE progress IS NOT NULL LIMIT 1) WHERE progress IS NULL"
)]
#[case::an_order_of_somebody_else("UPDATE order_key SET seq = seq + 1 WHERE progress IS NULL")]
#[case::a_member_less("DELETE FROM member WHERE status = 1")]
#[case::a_new_entry_of_nobody_s(
    "INSERT INTO entry SELECT bucket, program, member, seq + 100, event_seq, at, currency, kind, debit, credit, amount, lot, expires_at, campaign, program_version, hash FROM entry WHERE seq = 1"
)]
fn a1_nothing_is_missed(#[case] sql: &str) {
    let app = app();
    tamper(&app, sql);
    assert!(!app.verify().differences.is_empty());
}

#[rstest]
#[case::more_points(|state: &mut MemberState| state.purses[0].totals.issued = state.purses[0].totals.redeemed, "purses[point].totals.issued: folded from the ledger it is ")]
#[case::a_debt(|state: &mut MemberState| state.purses[0].debt = state.purses[0].active(), "debt point: the ledger says 0")]
#[case::a_purchase_more(|state: &mut MemberState| state.statistics.purchases += 1, "statistics.purchases: folded from the ledger it is 3, the state has 4")]
#[case::a_level(|state: &mut MemberState| state.ladders[0].level = "gold".parse().unwrap(), "ladders[club].level: folded from the ledger it is ")]
#[case::its_clock(|state: &mut MemberState| state.clock = state.clock.plus_seconds(1), "clock: folded from the ledger it is ")]
fn a1_a_tampered_state_is_found(#[case] change: fn(&mut MemberState), #[case] expected: &str) {
    let app = app();
    let database = Connection::open(app.database_file()).unwrap();
    let rows: Vec<(Vec<u8>, Vec<u8>)> = database
        .prepare("SELECT member, state FROM member WHERE status = 1")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (member, bytes) in rows {
        let mut state = MemberState::from_bytes(&bytes).unwrap();
        change(&mut state);
        database.execute("UPDATE member SET state = ?1 WHERE member = ?2", (state.to_bytes(), member)).unwrap();
    }
    let found = app.verify();
    assert!(found.differences.iter().any(|difference| difference.what.contains(expected)), "{found:#?}");
}

#[test]
fn a_row_that_cannot_be_read_is_named() {
    let app = app();
    tamper(&app, "UPDATE event SET record = '{' WHERE seq = 2");
    let error = tessera_engine::verify::verify(&app.engine().context, &app.program, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("event.record"), "{error}");
}

#[test]
fn a1_a_difference_says_whose_and_what_was_expected_and_found() {
    let app = app();
    let database = Connection::open(app.database_file()).unwrap();
    let sql = "SELECT member, state FROM member WHERE status = 1 ORDER BY length(state) DESC LIMIT 1";
    let (member, bytes): (Vec<u8>, Vec<u8>) =
        database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut state = MemberState::from_bytes(&bytes).unwrap();
    let before = state.purses[0].active().get();
    state.purses[0].lots[0].remaining += tessera_core::quantity::Points::new(5).unwrap();
    database.execute("UPDATE member SET state = ?1 WHERE member = ?2", (state.to_bytes(), member)).unwrap();
    let found = app.verify().differences;
    let told = serde_json::to_value(&found).unwrap();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(
        (&told[0]["member"], &told[0]["currency"], &told[0]["account"]),
        (&state.id.to_string().into(), &"point".into(), &"active".into())
    );
    assert_eq!(
        (&told[0]["expected"], &told[0]["found"]),
        (&before.to_string().into(), &(before + 5).to_string().into())
    );
    assert_eq!((&told[1]["currency"], &told[1]["field"]), (&"point".into(), &"purses[point].lots[0].remaining".into()));
}
