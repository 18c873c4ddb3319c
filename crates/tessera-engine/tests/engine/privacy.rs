//! Personal data are sealed: no table, log or refusal holds them in the open.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tessera_engine::engine::Location;
use tessera_engine::secret::SecretError;
use tessera_engine::{Engine, EngineError};
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::{POINTS, sale};

/// Texts that must never be found anywhere: a phone in two spellings, a name, an address.
const SECRETS: [&str; 5] = ["84912876543", "912 876 543", "Minh Khai", "minh.khai@example.vn", "Minh.Khai@Example.VN"];

const JOINING: &str = r#"{"name": "Nguyễn Thị Minh Khai", "phone": "+84 912 876 543", "email": "Minh.Khai@Example.VN", "language": "vi"}"#;

/// Joins, buys, changes, is refused and waits, with personal data in every place that takes them.
fn some_business(app: &TestApp) -> Vec<String> {
    app.send(&event("enrol", "r-1", "card:1", JOINING));
    app.send(&sale("r-2", "phone:+84912876543", 50_000));
    app.send(&event("return", "r-3", "phone:+84912876543", &data::back_all("o-9")));
    app.send(&event("profile", "r-4", "email:minh.khai@example.vn", r#"{"name": "Minh Khai Nguyễn"}"#));
    let refusals = [
        app.refused(&event("enrol", "r-5", "card:2", JOINING)),
        app.refused(&event("enrol", "r-6", "", JOINING)),
        app.refused(&event("profile", "r-7", "card:1", r#"{"name": "Minh Khai", "birthday": "Minh Khai"}"#)),
        app.refused(&event("profile", "r-8", "card:1", r#"{"name": ["Minh Khai"]}"#)),
        app.refused(&event("profile", "r-9", "card:1", r#"{"phone": "+84912876543", "shoe_size": 38}"#)),
        app.refused(&event("return", "r-10", "phone:+84912876543", &data::back("r-2", &[("A", 9)]))),
        app.refused(&event("enrol", "r-11", "Minh Khai", "{}")),
    ];
    let calls = [
        app.post("members", &json!({ "name": "Minh Khai", "phone": "+84912876543", "nickname": "x" })),
        app.get("members/phone:+84912876544"),
        app.get("members?identifier=email:minh.khai@example.vn2"),
    ];
    refusals.iter().map(|refusal| format!("{refusal:?}")).chain(calls.into_iter().map(|reply| reply.body)).collect()
}

fn assert_holds_none(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    for secret in SECRETS {
        assert!(!text.contains(&secret.to_lowercase()), "{what} holds {secret}");
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn no_file_of_the_data_folder_holds_personal_data() {
    let mut app = TestApp::new(POINTS);
    some_business(&app);
    let look = |app: &TestApp| {
        let files = files_below(app.data());
        assert!(files.len() >= 3, "{files:?}");
        for file in files {
            assert_holds_none(&file.display().to_string(), &std::fs::read(&file).unwrap());
        }
    };
    look(&app);
    app.restart();
    look(&app);
    // They are there all the same, for whoever may ask.
    let member = app.member("phone:+84912876543");
    assert_eq!(member["profile"]["name"], "Minh Khai Nguyễn");
    assert_eq!(member["identifiers"], json!(["card:1", "phone:+84912876543", "email:minh.khai@example.vn"]));
}

#[test]
fn on_postgres_no_table_holds_personal_data() {
    let Some(app) = TestApp::on_postgres(POINTS) else { return };
    some_business(&app);
    for table in tessera_store::tables::ALL {
        for row in app.query(&format!("SELECT * FROM {}", table.name)) {
            for value in row {
                if let Ok(text) = value.text() {
                    assert_holds_none(table.name, text.as_bytes());
                } else if let Ok(bytes) = value.bytes() {
                    assert_holds_none(table.name, bytes);
                }
            }
        }
    }
}

#[test]
fn no_refusal_repeats_personal_data() {
    let app = TestApp::new(POINTS);
    for answer in some_business(&app) {
        assert_holds_none(&answer, answer.as_bytes());
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_log_line_holds_personal_data() {
    let written = Written::default();
    let sink = written.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || sink.clone());
    // For the whole process: the executor logs on a thread of its own.
    tracing::subscriber::set_global_default(subscriber.finish()).ok();
    let app = TestApp::new(POINTS);
    some_business(&app);
    tracing::info!("the end");
    let log = written.0.lock().unwrap().clone();
    assert!(String::from_utf8_lossy(&log).contains("the end"));
    assert_holds_none("the log", &log);
    // Nor does the debug form of what is under way.
    let submission = app.read(&event("enrol", "r-20", "phone:+84912876543", JOINING)).unwrap();
    assert_holds_none("a submission", format!("{submission:?}").as_bytes());
}

#[cfg(unix)]
#[test]
fn the_master_key_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let app = TestApp::new(POINTS);
    let mode = std::fs::metadata(app.data().join("master.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn another_master_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let location = |master_key: Option<&str>| Location {
        folder: folder.path().to_owned(),
        database_url: None,
        master_key: master_key.map(str::to_owned),
    };
    let engine = Engine::open(&location(None)).unwrap();
    let fingerprint = engine.context.secrets.fingerprint();
    assert_eq!(fingerprint.len(), 16);
    engine.close();
    let other = "ab".repeat(32);
    for error in [
        Engine::open(&location(Some(&other))).map(|_| ()).unwrap_err(),
        Engine::open_to_read(&location(Some(&other))).map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(error, EngineError::Secret(SecretError::OtherKey)), "{error}");
        assert!(!error.to_string().contains("abab"), "{error}");
    }
    let key = std::fs::read_to_string(folder.path().join("master.key")).unwrap();
    assert!(!key.contains(&fingerprint), "a fingerprint is no part of the key");
    Engine::open(&location(Some(&key))).unwrap().close();
}

#[test]
fn a_database_from_before_fingerprints_tells_its_key_by_what_is_sealed() {
    let mut app = TestApp::new(POINTS);
    app.send(&event("enrol", "r-1", "card:1", JOINING));
    let forget = || {
        let database = rusqlite::Connection::open(app.database_file()).unwrap();
        database.execute("DELETE FROM installation", []).unwrap();
    };
    forget();
    let location = Location { folder: app.data().to_owned(), database_url: None, master_key: Some("ab".repeat(32)) };
    let error = Engine::open_to_read(&location).map(|_| ()).unwrap_err();
    assert!(matches!(error, EngineError::Secret(SecretError::OtherKey)), "{error}");
    app.restart();
    let known = tessera_engine::installation::fingerprint(&app.engine().context.database).unwrap();
    assert_eq!(known, Some(app.engine().context.secrets.fingerprint()));
}

#[test]
fn a_server_elsewhere_makes_no_key_of_its_own_for_a_database_that_is_there() {
    let Some(database) = tessera_testkit::postgres::database() else { return };
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let location = |folder: &tempfile::TempDir| Location {
        folder: folder.path().to_owned(),
        database_url: Some(database.url()),
        master_key: None,
    };
    Engine::open(&location(&first)).unwrap().close();
    let error = Engine::open(&location(&second)).map(|_| ()).unwrap_err();
    assert!(matches!(error, EngineError::Secret(SecretError::Missing(_))), "{error}");
    assert!(!second.path().join("master.key").exists());
    std::fs::copy(first.path().join("master.key"), second.path().join("master.key")).unwrap();
    Engine::open(&location(&second)).unwrap().close();
}
