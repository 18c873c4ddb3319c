//! Documents, their versions, and the wall between programs.

use rstest::rstest;
use tessera_core::decide::OutcomeStatus;
use tessera_engine::access;
use tessera_engine::engine::Location;
use tessera_engine::programs::{self, ProgramError, Publication};
use tessera_engine::{Engine, EngineError, StoreError};
use tessera_testkit::app::{TestApp, accepted, event, event_at};
use tessera_testkit::on_both_databases;
use tessera_testkit::shop::{self, json as data};

use crate::common::{POINTS, sale};

on_both_databases!(POINTS =>
    a_new_version_takes_effect_at_once,
    an_event_is_decided_by_the_version_of_its_business_time,
    the_same_document_changes_nothing,
    a_currency_that_somebody_holds_cannot_be_dropped,
    a_rollback_is_an_old_text_as_a_new_version,
    programs_with_the_same_ids_do_not_see_each_other,
);

/// Two points per 1,000 instead of one.
fn doubled() -> String {
    POINTS.replace("amount: event.net / 1000", "amount: event.net / 500")
}

fn a_new_version_takes_effect_at_once(app: &mut TestApp) {
    let first = app.send(&sale("r-1", "card:1", 10_000));
    app.set_clock("2026-03-03T10:00");
    let (_, version, changed) = app.publish(&doubled()).unwrap();
    assert_eq!((version, changed), (2, true));
    let second = app.send(&sale("r-2", "card:1", 10_000));
    assert_eq!((first.program_version, second.program_version), (1, 2));
    assert_eq!(app.available("card:1", "point"), 10 + 10 + 20);
    app.restart();
    app.send(&sale("r-3", "card:1", 10_000));
    assert_eq!(app.available("card:1", "point"), 60);
}

fn an_event_is_decided_by_the_version_of_its_business_time(app: &mut TestApp) {
    app.set_clock("2026-03-03T10:00");
    app.publish(&doubled()).unwrap();
    let late = event_at("2026-03-03T09:59", "purchase", "r-1", "card:1", &data::sale("o-1", 10_000));
    assert_eq!(app.send(&late).program_version, 1);
    assert_eq!(app.available("card:1", "point"), 20);
}

fn the_same_document_changes_nothing(app: &mut TestApp) {
    let spelt_otherwise = format!("# a comment\n{}", shop::document(POINTS));
    assert_eq!(app.publish(&spelt_otherwise).unwrap().1, 1);
    let (_, version, changed) = app.publish(&shop::document(POINTS)).unwrap();
    assert_eq!((version, changed), (1, false));
    let versions = programs::history(&app.engine().context.database, app.program.number).unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].valid_from, None, "the first version is in force from the beginning");
}

fn a_currency_that_somebody_holds_cannot_be_dropped(app: &mut TestApp) {
    let other = POINTS.replace("point", "coin");
    app.send(&sale("r-1", "card:1", 10_000));
    match app.publish(&other).unwrap_err() {
        EngineError::Program(ProgramError::StillHeld { what, name, holders }) => {
            assert_eq!((what, name.as_str(), holders), ("currency", "point", 1));
        }
        other => panic!("{other}"),
    }
    assert_eq!(app.program.versions().head().version, 1);
    // When nobody holds it any more it may go.
    app.set_clock("2027-03-04T10:00");
    app.run_scheduler();
    assert_eq!(app.publish(&other).unwrap().1, 2);
}

fn a_rollback_is_an_old_text_as_a_new_version(app: &mut TestApp) {
    app.set_clock("2026-03-03T10:00");
    app.publish(&doubled()).unwrap();
    app.set_clock("2026-03-04T10:00");
    let (number, text) = programs::document_text(&app.engine().context.database, &app.program, Some(1)).unwrap();
    assert_eq!(number, 1);
    let (_, version, changed) = app.publish(&text).unwrap();
    assert_eq!((version, changed), (3, true));
    assert_eq!(app.send(&sale("r-1", "card:1", 10_000)).program_version, 3);
    assert_eq!(app.available("card:1", "point"), 20);
    let error = programs::document_text(&app.engine().context.database, &app.program, Some(9)).unwrap_err();
    assert_eq!(error.to_string(), "the program `test` has no version 9; its newest is 3");
}

fn programs_with_the_same_ids_do_not_see_each_other(app: &mut TestApp) {
    let other_text = format!("program: other\nname: Other\ntimezone: Asia/Bangkok\ncurrency: THB{}", doubled());
    let (other, version, _) = app.publish(&other_text).unwrap();
    assert_eq!(version, 1, "each program counts its own versions");
    app.send(&sale("r-1", "card:1", 10_000));
    let before = app.member("card:1");
    let there = app.read_for(&other, &sale("r-1", "card:1", 30_000)).unwrap();
    let outcome = accepted(app.engine().submit(there).unwrap());
    assert_eq!(outcome.status, OutcomeStatus::Applied, "the key is free there");
    assert_ne!(outcome.member.as_deref(), before["id"].as_str(), "the card is another member there");
    assert_eq!(app.member("card:1"), before);
    // A return of the order here does not reach the one there.
    app.send(&event("return", "r-2", "card:1", &data::back_all("r-1")));
    let read = |program| {
        let context = &app.engine().context;
        let id = programs_member(app, program);
        tessera_engine::query::member(context, program, id).unwrap().unwrap()
    };
    assert_eq!(read(&other).balances["point"].available, 70);
    assert_eq!(read(&app.program).balances["point"].available, 10);
    // A member's id of one program is nobody in the other.
    let foreign = sale("r-3", outcome.member.as_deref().unwrap(), 1_000);
    assert_eq!(app.refused(&foreign).code, "unknown-member");
    let theirs = access::list(&app.engine().context.database, other.number).unwrap();
    assert!(theirs.is_empty(), "keys belong to one program");
}

fn programs_member(app: &TestApp, program: &programs::ProgramHandle) -> tessera_core::id::MemberId {
    let found = tessera_engine::query::find_member(&app.engine().context, program, &"card:1".parse().unwrap());
    found.unwrap().expect("card:1 has joined")
}

#[test]
fn on_postgres_what_another_process_published_takes_effect_at_once() {
    let Some(app) = TestApp::on_postgres(POINTS) else { return };
    let other = app.neighbour();
    let text = shop::document(&doubled().replace("events: { ", "events: { review: {}, "));
    other.publish(Publication { text, ..Publication::default() }).unwrap();
    app.set_clock("2026-03-02T10:01");
    // Of a type that only the new version has, and as the first event this process sees since.
    assert_eq!(app.get("document").header("etag"), Some("\"2\""));
    let outcome = app.post("events", &event("review", "r-1", "card:1", "{}")).ok();
    assert_eq!(outcome["program_version"], 2);
    app.send(&sale("r-2", "card:1", 10_000));
    assert_eq!(app.available("card:1", "point"), 30);
}

#[rstest]
#[case::a_ladder("tiers: { club:", "tiers: { team:", "ladder", "club")]
fn what_somebody_has_reached_cannot_be_dropped(
    #[case] from: &str,
    #[case] to: &str,
    #[case] what: &str,
    #[case] name: &str,
) {
    let app = TestApp::new(POINTS);
    app.send(&sale("r-1", "card:1", 100_000));
    let refusal = app.publish(&POINTS.replace(from, to)).unwrap_err().to_string();
    assert_eq!(
        refusal,
        format!("the document drops the {what} `{name}`, which 1 members still hold: keep it, or move them first")
    );
}

#[test]
fn a_change_made_to_an_old_version_is_refused() {
    let app = TestApp::new(POINTS);
    app.publish(&doubled()).unwrap();
    let publication = Publication {
        text: shop::document(POINTS),
        expected_head: Some(1),
        by: "test".to_owned(),
        ..Publication::default()
    };
    match app.engine().publish(publication).unwrap_err() {
        EngineError::Program(ProgramError::Changed { expected: 1, found: 2 }) => {}
        other => panic!("{other}"),
    }
}

#[test]
fn a_document_with_mistakes_changes_nothing() {
    let app = TestApp::new(POINTS);
    let error = app.publish(&POINTS.replace("event.net / 1000", "event.nett / 1000")).unwrap_err();
    assert!(matches!(error, EngineError::Program(ProgramError::Invalid(_))), "{error}");
    assert_eq!(app.program.versions().head().version, 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM program_version"), 1);
}

#[test]
fn publishing_looks_at_every_member_again() {
    let app = TestApp::new(POINTS);
    app.send(&event("enrol", "r-1", "card:1", r#"{"birthday": "03-06"}"#));
    app.set_clock("2026-03-05T09:00");
    let gift = "  birthday: { trigger: birthday, rules: [ { award: { currency: point, amount: 30 } } ] }\n";
    app.publish(&format!("{POINTS}{gift}")).unwrap();
    assert_eq!(app.run_scheduler(), 1);
    app.set_clock("2026-03-06T00:00");
    assert_eq!(app.run_scheduler(), 1, "the gift is due, which the first version knew nothing of");
    assert_eq!(app.available("card:1", "point"), 40);
}

#[test]
fn one_process_writes_to_a_data_folder() {
    let app = TestApp::new(POINTS);
    let location = Location { folder: app.data().to_owned(), database_url: None, master_key: None };
    let error = Engine::open(&location).unwrap_err().to_string();
    assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
    let reader = Engine::open_to_read(&location).unwrap();
    assert!(reader.programs.get(&reader.database, "test").is_ok(), "reading is free");
}

#[test]
fn a_folder_tells_who_writes_to_it_and_where_its_api_is() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location { folder: folder.path().to_owned(), database_url: None, master_key: None };
    let engine = Engine::open(&location).unwrap();
    engine.announce("serve", Some("127.0.0.1:8080".parse().unwrap())).unwrap();
    let error = Engine::open(&location).unwrap_err().to_string();
    let told = format!("in use by process {} (`tessera serve` at http://127.0.0.1:8080, since 2", std::process::id());
    assert!(error.contains(&told), "{error}");
    engine.close();
    assert!(Engine::open(&location).is_ok(), "the lock goes with its holder");
}

#[test]
fn a_reader_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let location = Location { folder: nowhere.clone(), database_url: None, master_key: None };
    assert!(Engine::open_to_read(&location).is_err());
    assert!(!nowhere.exists());
    let location = Location { folder: folder.path().to_owned(), database_url: None, master_key: None };
    std::fs::write(folder.path().join("tessera.db"), "").unwrap();
    std::fs::write(folder.path().join("master.key"), "0".repeat(64)).unwrap();
    let error = Engine::open_to_read(&location).unwrap_err();
    assert!(matches!(error, EngineError::Store(StoreError::SchemaMissing)), "{error}");
    assert_eq!(std::fs::metadata(folder.path().join("tessera.db")).unwrap().len(), 0);
}

#[test]
fn a_database_without_its_key_is_not_opened_with_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location { folder: folder.path().to_owned(), database_url: None, master_key: None };
    Engine::open(&location).unwrap().close();
    let key = folder.path().join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    for error in [Engine::open(&location).unwrap_err(), Engine::open_to_read(&location).unwrap_err()] {
        assert!(error.to_string().contains("master.key is missing"), "{error}");
    }
    assert!(!key.exists());
    std::fs::write(&key, kept).unwrap();
    assert!(Engine::open(&location).is_ok());
}

/// A version of an older validator: what it says is refused of new documents.
#[test]
fn a_stored_version_loads_and_decides_whatever_is_refused_today() {
    let mut app = TestApp::new(POINTS);
    app.send(&sale("r-1", "card:1", 10_000));
    let old = shop::document(POINTS).replace(
        "  welcome:",
        "  never: { trigger: return, rules: [ { award: { currency: point, amount: 5 } } ] }\n  welcome:",
    );
    let refused = app.publish(&old).map(|_| ()).unwrap_err();
    assert!(matches!(refused, EngineError::Program(ProgramError::Invalid(_))), "{refused:?}");
    let database = rusqlite::Connection::open(app.database_file()).unwrap();
    assert_eq!(database.execute("UPDATE program_version SET document = ?1", [&old]).unwrap(), 1);
    drop(database);
    app.restart();
    app.send(&sale("r-2", "card:1", 20_000));
    assert_eq!(app.available("card:1", "point"), 10 + 10 + 20);
    let (_, version, changed) = app.publish(&doubled()).unwrap();
    assert_eq!((version, changed), (2, true), "a new version is compared with the old one");
}
