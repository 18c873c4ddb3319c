//! What the doctor finds in a database, and backups of databases of another age.

use rstest::rstest;
use tessera_engine::Engine;
use tessera_engine::backup::backup;
use tessera_engine::doctor::{Check, State, examine};
use tessera_engine::engine::Location;
use tessera_store::StoreError;
use tessera_testkit::app::{TestApp, event};

use crate::common::{POINTS, sale};

fn app() -> TestApp {
    let app = TestApp::new(POINTS);
    app.send(&event("enrol", "r-1", "card:1", "{}"));
    for n in 0..20 {
        app.send(&sale(&format!("o-{n}"), &format!("card:{n}"), 30_000));
    }
    app
}

fn location(app: &TestApp) -> Location {
    Location { folder: app.data().to_owned(), database_url: None, master_key: None }
}

fn examined(app: &TestApp, full: bool) -> Vec<Check> {
    examine(&location(app), app.clock.clone(), full, &mut |_| {})
}

fn change(app: &TestApp, sql: &str) {
    let database = rusqlite::Connection::open(app.database_file()).unwrap();
    database.execute_batch(sql).unwrap();
}

#[test]
fn the_doctor_finds_nothing_wrong_where_nothing_is() {
    let app = app();
    for full in [false, true] {
        let checks = examined(&app, full);
        let odd: Vec<&Check> =
            checks.iter().filter(|check| check.state != State::Good && check.check != "disk").collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert!(checks.iter().all(|check| check.advice.is_none() || check.check == "disk"), "{checks:?}");
        assert!(checks.last().unwrap().found.starts_with("20 members"), "{checks:?}");
    }
}

#[rstest]
#[case::late_members("UPDATE member SET wake_at = 1", State::Warning, "wake-ups", "20 members should have been woken")]
#[case::a_command_that_waits(
    "INSERT INTO outbox VALUES (0, 1, x'01', 'command', NULL, 1, 0, 0, '{}', 1)",
    State::Warning,
    "outbox",
    "1 wait and should be done, the first 20514 days ago"
)]
#[case::a_command_given_up(
    "INSERT INTO outbox VALUES (0, 1, x'01', 'command', NULL, 1, 20, 2, '{}', 1)",
    State::Warning,
    "outbox",
    "1 were given up"
)]
#[case::a_program_that_is_none(
    "UPDATE program_version SET document = replace(document, 'currencies:', 'currencies: [')",
    State::Problem,
    "programs",
    "`test` does not load"
)]
#[case::an_entry("UPDATE entry SET amount = amount + 1", State::Problem, "ledger", "differences in `test`")]
#[case::a_newer_schema(
    "INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')",
    State::Problem,
    "schema",
    "newer version of Tessera"
)]
#[case::an_older_schema("DELETE FROM refinery_schema_history", State::Problem, "schema", "no record of the migrations")]
#[case::a_missing_table("ALTER TABLE voucher RENAME TO away", State::Problem, "schema", "voucher")]
#[case::another_key("UPDATE installation SET value = '00'", State::Problem, "key fits", "not the one this database")]
fn the_doctor_finds_what_is_wrong_in_the_database(
    #[case] sql: &str,
    #[case] state: State,
    #[case] name: &str,
    #[case] says: &str,
) {
    let mut app = app();
    app.skip_verification();
    change(&app, sql);
    let checks = examined(&app, false);
    let check = checks.iter().find(|check| check.check == name).unwrap();
    assert_eq!(check.state, state, "{checks:?}");
    assert!(check.found.contains(says) && check.advice.is_some(), "{check:?}");
    let others = checks.iter().filter(|other| other.check != name && other.check != "disk");
    let worse: Vec<&Check> = others.filter(|other| other.state >= State::Warning).collect();
    assert!(worse.is_empty(), "one thing is wrong: {worse:?}");
}

/// A new version is backed up to before it migrates.
#[test]
fn a_database_of_an_older_schema_is_backed_up_as_it_is() {
    let mut app = app();
    app.skip_verification();
    change(&app, "UPDATE refinery_schema_history SET version = version - 1");
    let refused = Engine::open_to_read(&location(&app)).map(|_| ()).unwrap_err();
    assert!(matches!(refused, tessera_engine::EngineError::Store(StoreError::SchemaTooOld { .. })), "{refused}");
    let to = app.folder().join("before.db");
    let made = backup(&location(&app), &to, false, &mut |_, _| {}).unwrap();
    assert_eq!((made.file, made.key_file), (to.clone(), None));
    let copy = rusqlite::Connection::open(&to).unwrap();
    let members: i64 = copy.query_row("SELECT COUNT(*) FROM member", [], |row| row.get(0)).unwrap();
    assert_eq!(members, 20);
}
