//! Backup, restore, doctor and migrate, on the built binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rstest::rstest;
use serde_json::{Value, json};
use support::server::Client;
use support::{Tessera, said};

const PROGRAM: &str = "copper-cup";
const EVENTS: &str = "/v1/programs/copper-cup/events";

fn sale(number: u64) -> String {
    format!(
        r#"{{"id":"s-{number}","source":"till","type":"purchase","subject":"card:{}","time":"2026-03-01T10:00:00+07:00","data":{{"order_id":"o-{number}","currency":"VND","total":50000}}}}"#,
        number % 40
    )
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Runs on another data folder.
fn on(tessera: &Tessera, data: &str, arguments: &[&str]) -> support::Said {
    let data = tessera.folder().join(data);
    let mut command = tessera.bare_command(&["--data"]);
    said(command.arg(data).args(arguments).output().unwrap())
}

#[test]
fn a_backup_beside_a_busy_server_holds_all_that_was_acknowledged_before() {
    let tessera = Tessera::with_program("coffee");
    let key = tessera.key(PROGRAM);
    let server = tessera.serve();
    let (enough, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let count = || acknowledged.lock().unwrap().len();
    let before = std::thread::scope(|scope| {
        for till in 0..4 {
            let (key, enough, acknowledged, address) = (&key, &enough, &acknowledged, server.address);
            scope.spawn(move || {
                let mut client = Client::new(address, key).unwrap();
                let numbers = (0..).map(|n| n * 4 + till).take_while(|_| !enough.load(Ordering::Relaxed));
                for number in numbers {
                    let outcome = client.ok("POST", EVENTS, &sale(number));
                    let event = outcome["event_id"].as_str().unwrap().to_owned();
                    acknowledged.lock().unwrap().push((number, event));
                }
            });
        }
        while count() < 300 {
            std::thread::yield_now();
        }
        let before = acknowledged.lock().unwrap().clone();
        tessera.run(&["backup", "--to", "busy.db", "--with-key"]).expect(0);
        // It went on meanwhile, and goes on.
        let during = count();
        while count() < during + 20 {
            std::thread::yield_now();
        }
        enough.store(true, Ordering::Relaxed);
        before
    });
    server.kill();

    let restored = on(&tessera, "restored", &["backup", "restore", "busy.db", "--json"]);
    restored.expect(0);
    let told: Value = serde_json::from_str(&restored.out).unwrap();
    assert_eq!((&told["programs"], &told["key_restored"]), (&json!([PROGRAM]), &json!(true)));
    let verified = on(&tessera, "restored", &["verify", "--program", PROGRAM, "--json"]);
    verified.expect(0);
    let events = serde_json::from_str::<Value>(&verified.out).unwrap()["events"].as_u64().unwrap();
    assert!(events >= before.len() as u64, "{events} of {}", before.len());
    on(&tessera, "restored", &["doctor", "--full"]).expect(0);

    let mut command = tessera.bare_command(&["--data", "restored", "serve", "--listen", "127.0.0.1:0"]);
    command.env_remove("TESSERA_LOG");
    let server = support::server::Server::start(command);
    let mut client = Client::new(server.address, &key).unwrap();
    for (number, event) in before {
        let outcome = client.ok("POST", EVENTS, &sale(number));
        assert_eq!(
            (outcome["status"].as_str(), outcome["event_id"].as_str()),
            (Some("duplicate"), Some(event.as_str()))
        );
    }
}

#[test]
fn a_backup_writes_over_nothing_and_says_what_is_not_in_it() {
    let tessera = Tessera::with_program("coffee");
    let made = tessera.run(&["backup", "--to", "one.db"]);
    made.expect(0);
    assert!(made.err.contains("the master key is not in it"), "{made:?}");
    assert!(!tessera.folder().join("one.db.key").exists());
    tessera.run(&["backup", "--to", "one.db"]).failed(2, "is there already");
    tessera.write("two.db.key", "");
    tessera.run(&["backup", "--to", "two.db", "--with-key"]).failed(2, "two.db.key is there already");
    assert!(!tessera.folder().join("two.db").exists());
    tessera.run(&["backup", "--to", "nowhere/one.db"]).failed(2, "nowhere");
    std::fs::create_dir(tessera.folder().join("backups")).unwrap();
    let told = tessera.json(&["backup", "--to", "backups", "--with-key"]);
    let [backup, key] = files(&tessera.folder().join("backups")).try_into().unwrap();
    assert_eq!(told["file"], format!("backups/{backup}"));
    assert_eq!(told["key_file"], format!("backups/{key}"));
    assert!(backup.starts_with("tessera-2") && key == format!("{backup}.key"), "{backup} {key}");
    let url = ["backup", "--to", "three.db", "--database-url", "postgres://localhost/x"];
    tessera.run(&url).failed(2, "pg_dump");
    Tessera::new().run(&["backup", "--to", "x.db"]).failed(1, "there is no installation");
}

#[cfg(unix)]
#[test]
fn a_backup_and_its_key_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let tessera = Tessera::with_program("coffee");
    tessera.run(&["backup", "--to", "one.db", "--with-key"]).expect(0);
    for name in ["one.db", "one.db.key"] {
        let mode = std::fs::metadata(tessera.folder().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_restore_wants_the_key_an_empty_folder_and_a_whole_backup() {
    let tessera = Tessera::with_program("coffee");
    tessera.run(&["import", "members", &tessera.write("members.csv", "card\n1\n2\n"), "--program", PROGRAM]).expect(0);
    tessera.run(&["backup", "--to", "one.db"]).expect(0);
    let restore =
        |data: &str, file: &str, more: &[&str]| on(&tessera, data, &[&["backup", "restore", file], more].concat());
    let untouched = |data: &str| assert!(!tessera.folder().join(data).join("tessera.db").exists(), "{data}");

    restore("a", "one.db", &[]).failed(1, "the master key of the backup is missing");
    assert!(!tessera.folder().join("a").exists());
    tessera.write("other.key", "ab".repeat(32));
    restore("a", "one.db", &["--key", "other.key"]).failed(1, "another master key");
    untouched("a");
    restore("a", "nowhere.db", &["--key", "other.key"]).failed(2, "nowhere.db");
    tessera.write("notes.db", "these are notes, no database, but long enough to look like one".repeat(100));
    restore("a", "notes.db", &["--key", "data/master.key"]).failed(1, "not a whole backup");
    // A backup that was cut off, and one with a page that was overwritten.
    let whole = std::fs::read(tessera.folder().join("one.db")).unwrap();
    tessera.write("short.db", &whole[..whole.len() / 2]);
    restore("a", "short.db", &["--key", "data/master.key"]).failed(1, "not a whole backup");
    let mut damaged = whole.clone();
    damaged[8192..12288].fill(0x5a);
    tessera.write("damaged.db", damaged);
    restore("a", "damaged.db", &["--key", "data/master.key"]).failed(1, "not a whole backup");
    untouched("a");
    assert!(!tessera.folder().join("a/master.key").exists());
    tessera.write("one.db-wal", "a log");
    restore("a", "one.db", &["--key", "data/master.key"]).failed(1, "it has a log");
    std::fs::remove_file(tessera.folder().join("one.db-wal")).unwrap();
    restore("data", "one.db", &[]).failed(1, "is restored into an empty folder");

    restore("a", "one.db", &["--key", "data/master.key"]).expect(0);
    on(&tessera, "a", &["verify", "--program", PROGRAM]).expect(0);
    on(&tessera, "a", &["doctor"]).expect(0);
    assert_eq!(std::fs::read(tessera.folder().join("one.db")).unwrap(), whole, "the backup is as it was");
    assert!(!files(tessera.folder()).iter().any(|name| name.starts_with("one.db-")), "{:?}", files(tessera.folder()));
    // The key may be there before, or come from the environment.
    std::fs::create_dir(tessera.folder().join("b")).unwrap();
    std::fs::copy(tessera.data().join("master.key"), tessera.folder().join("b/master.key")).unwrap();
    restore("b", "one.db", &[]).expect(0);
    let key = std::fs::read_to_string(tessera.data().join("master.key")).unwrap();
    let mut command = tessera.bare_command(&["--data", "c", "backup", "restore", "one.db"]);
    said(command.env("TESSERA_MASTER_KEY", key).output().unwrap()).expect(0);
    assert!(!files(&tessera.folder().join("c")).contains(&"master.key".to_owned()));
}

/// What the doctor says about one thing.
fn check<'a>(report: &'a Value, name: &str) -> (&'a str, &'a str, &'a str) {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"));
    let text = |key: &str| check[key].as_str().unwrap_or_default();
    (text("state"), text("found"), text("advice"))
}

#[test]
fn the_doctor_finds_nothing_wrong_beside_a_server_and_without_one() {
    let tessera = Tessera::with_program("coffee");
    let key = tessera.key(PROGRAM);
    let server = tessera.serve();
    let mut client = Client::new(server.address, &key).unwrap();
    for number in 0..50 {
        client.ok("POST", EVENTS, &sale(number));
    }
    let well = tessera.json(&["doctor"]);
    assert_eq!(well["well"], true, "{well:#}");
    assert!(check(&well, "lock").1.contains(&format!("in use by process {}", server.id())), "{well:#}");
    assert!(check(&well, "ledger").1.starts_with("40 members (a sample)"), "{well:#}");
    for name in ["folder", "master key", "schema", "file", "key fits", "programs", "wake-ups", "outbox"] {
        assert_eq!(check(&well, name).0, "good", "{name}: {well:#}");
    }
    drop(client);
    server.stop("TERM");
    let before: Vec<_> = files(&tessera.data());
    let said = tessera.run(&["doctor", "--full"]);
    said.expect(0);
    assert!(said.out.contains("(all)") && said.out.ends_with("0 problems, 0 warnings\n"), "{}", said.out);
    assert_eq!(files(&tessera.data()), before);
}

/// What is broken, where the doctor finds it, and words of what it says.
#[rstest]
#[case::no_key("rm data/master.key", "master key", "is missing")]
#[case::a_key_for_everybody("chmod 644 data/master.key", "master key", "chmod 600")]
#[case::a_key_that_is_none("echo no > data/master.key", "master key", "64 hexadecimal digits")]
#[case::another_key(
    "chmod 600 data/master.key; printf '%064d' 7 > data/master.key",
    "key fits",
    "not the one this database"
)]
#[case::an_open_folder("chmod 777 data", "folder", "chmod o-w")]
#[case::no_database("rm data/tessera.db", "schema", "there is no database")]
#[case::no_folder("rm -r data", "folder", "name the data folder")]
#[case::no_database_at_all("seq 1 9999 > data/tessera.db", "schema", "restore")]
#[case::a_damaged_page(
    "printf '%4096s' x | dd of=data/tessera.db bs=4096 seek=8 conv=notrunc status=none",
    "file",
    "restore"
)]
fn the_doctor_says_what_is_wrong_and_what_to_do(#[case] damage: &str, #[case] name: &str, #[case] says: &str) {
    let tessera = Tessera::with_program("coffee");
    tessera.run(&["import", "members", &tessera.write("members.csv", "card\n1\n2\n"), "--program", PROGRAM]).expect(0);
    let mut shell = std::process::Command::new("sh");
    assert!(shell.args(["-c", damage]).current_dir(tessera.folder()).status().unwrap().success());
    let said = tessera.run(&["doctor", "--json"]);
    said.expect(1);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["well"], false);
    let (state, found, advice) = check(&report, name);
    assert_eq!(state, "problem", "{report:#}");
    assert!(!advice.is_empty() && format!("{found} {advice}").contains(says), "{report:#}");
    let people = tessera.run(&["doctor"]);
    people.expect(1);
    assert!(people.out.contains("problem") && people.out.contains("→"), "{}", people.out);
}

#[test]
fn migrate_says_what_is_pending() {
    let tessera = Tessera::with_program("coffee");
    let told = tessera.json(&["migrate", "--check"]);
    assert_eq!((&told["pending"], &told["applied"]), (&json!([]), &json!([])));
    assert!(told["schema"].as_str().unwrap().starts_with('V'));
    let said = tessera.run(&["migrate"]);
    said.expect(0);
    assert!(said.out.contains("nothing is pending"), "{}", said.out);
    // An empty file is a database before its first migration.
    std::fs::write(tessera.data().join("tessera.db"), "").unwrap();
    tessera.run(&["doctor"]).expect(1);
    let pending = tessera.run(&["migrate", "--check"]);
    pending.expect(1);
    assert!(pending.out.contains("V1__foundation"), "{}", pending.out);
    let applied = tessera.run(&["migrate"]);
    applied.expect(0);
    assert!(applied.out.contains("applied V1__foundation"), "{}", applied.out);
    tessera.run(&["migrate", "--check"]).expect(0);
    Tessera::new().run(&["migrate"]).failed(1, "there is no installation");
}

#[test]
fn migrate_spreads_a_database() {
    let tessera = Tessera::with_program("coffee");
    tessera.run(&["migrate", "--citus"]).failed(2, "name the coordinator's database with --database-url");
    tessera.run(&["migrate", "--shards", "0"]).expect(2);
    let said = tessera.run(&["migrate", "--shards", "8"]);
    said.expect(0);
    assert!(said.out.contains("spread over 8 shards"), "{}", said.out);
    tessera.run(&["verify", "--program", PROGRAM]).expect(0);
}
