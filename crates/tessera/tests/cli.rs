//! The command line: examples, exit codes, and what each command says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rstest::rstest;
use serde_json::{Value, json};
use support::help::every_command;
use support::server::Client;
use support::{Said, Tessera, repository, said};

/// A small program; the figure of its rule is what the tests change.
const SHOP: &str = "program: shop
name: Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
unknown_member: enrol
currencies:
  point: { name: Point, expires: never }
campaigns:
  base:
    trigger: purchase
    rules:
      - award: { currency: point, amount: event.net / 1000 }
";

#[test]
fn the_help_of_every_command_shows_an_example() {
    let tessera = Tessera::new();
    for path in every_command(&tessera) {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let help = tessera.run(&[words.as_slice(), &["--help"]].concat()).out;
        let example = format!("tessera {}", path.join(" "));
        let examples = help.split_once("Example").map_or("", |(_, examples)| examples);
        assert!(
            examples.contains(&format!("  {}", example.trim_end())),
            "tessera {path:?} --help shows no example of itself:\n{help}"
        );
        let about = help.lines().next().unwrap();
        assert!(about.len() > 10, "tessera {path:?} --help does not say what it does:\n{help}");
    }
}

#[rstest]
#[case::nothing(&[], "Usage")]
#[case::an_unknown_command(&["sevre"], "serve")]
#[case::an_unknown_flag(&["verify", "--program", "shop", "--quick"], "--quick")]
#[case::a_missing_argument(&["verify"], "--program")]
#[case::a_time_without_offset(&["report", "summary", "--program", "shop", "--at", "2026-03-01"], "2026-03-31T23:59:00+07:00")]
#[case::an_unknown_scope(&["key", "create", "--program", "shop", "--scope", "all"], "events:write")]
#[case::a_document_that_is_not_there(&["program", "validate", "nowhere.yaml"], "nowhere.yaml")]
#[case::a_plan_of_nothing(&["program", "plan", "nowhere.yaml"], "nowhere.yaml")]
#[case::an_apply_of_nothing(&["program", "apply", "nowhere.yaml"], "nowhere.yaml")]
#[case::a_document_that_is_a_folder(&["program", "validate", "."], "it is a folder")]
#[case::a_document_that_is_no_text(&["program", "apply", "bytes.yaml"], "it is not UTF-8 text")]
#[case::an_import_without_mapping(&["import", "events", "program.yaml", "--program", "shop"], "--mapping")]
#[case::an_import_with_no_such_mapping(&["import", "events", "program.yaml", "--program", "shop", "--mapping", "nowhere.toml"], "nowhere.toml")]
#[case::an_import_of_no_such_file(&["import", "events", "nowhere.csv", "--program", "shop", "--mapping", "mapping.toml"], "nowhere.csv")]
#[case::an_import_of_no_such_members(&["import", "members", "nowhere.csv", "--program", "shop"], "nowhere.csv")]
#[case::a_list_of_members_without_names(&["import", "members", "nameless.csv", "--program", "shop"], "phone")]
#[case::settings_that_are_not_there(&["--config", "nowhere.toml", "program", "schema"], "nowhere.toml")]
#[case::an_unknown_setting(&["--config", "wrong.toml", "program", "schema"], "tessera.default.toml")]
#[case::an_address_that_is_none(&["serve", "--listen", "here"], "here")]
fn wrong_use_ends_with_2(#[case] arguments: &[&str], #[case] with: &str) {
    let tessera = Tessera::with_document(SHOP);
    tessera.write("mapping.toml", "source = 's'\n[event]\ntype = 'purchase'\nid = 'id'\n");
    tessera.write("wrong.toml", "prot = 8080\n");
    tessera.write("nameless.csv", "colour\nred\n");
    tessera.write("bytes.yaml", b"program: \xff");
    tessera.run(arguments).failed(2, with);
}

#[rstest]
#[case::an_unknown_program(&["verify", "--program", "shpo"], "there is no program `shpo`")]
#[case::a_report_of_it(&["report", "summary", "--program", "shpo"], "programs here: shop")]
#[case::an_unknown_version(&["program", "show", "shop", "--version", "7"], "its newest is 1")]
#[case::a_rollback_to_it(&["program", "rollback", "shop", "--to", "7"], "its newest is 1")]
#[case::an_unknown_key(&["key", "revoke", "--program", "shop", "key_x"], "key list")]
#[case::a_change_to_an_old_version(&["program", "apply", "program.yaml", "--base", "7"], "version 1 is the newest")]
#[case::a_document_with_mistakes(&["program", "apply", "wrong.yaml"], "the document has 2 mistakes")]
#[case::its_validation(&["program", "validate", "wrong.yaml"], "wrong.yaml:12:")]
fn what_is_refused_ends_with_1(#[case] arguments: &[&str], #[case] with: &str) {
    let tessera = Tessera::with_document(SHOP);
    tessera.write("wrong.yaml", SHOP.replace("event.net", "event.nett").replace("Asia/Ho", "Asia/Hoo"));
    tessera.run(arguments).failed(1, with);
}

#[test]
fn without_an_installation_it_says_how_to_make_one() {
    let tessera = Tessera::new();
    for arguments in [
        vec!["verify", "--program", "shop"],
        vec!["program", "history", "shop"],
        vec!["report", "summary", "--program", "shop"],
    ] {
        tessera.run(&arguments).failed(1, "tessera program apply");
    }
    assert!(!tessera.data().exists(), "looking makes nothing");
}

#[rstest]
#[case::of_form(&[("expires: never", "expires: neverr", 7, "never"), ("trigger: purchase", "triger: purchase", 10, "did you mean `trigger`?")])]
#[case::of_meaning(&[("Asia/Ho_Chi_Minh", "Asia/Saigonn", 3, "Asia/Saigon"), ("event.net", "event.nett", 12, "did you mean `event.net`?")])]
fn validate_lists_every_mistake_with_its_line_and_a_suggestion(#[case] mistakes: &[(&str, &str, usize, &str)]) {
    let tessera = Tessera::new();
    let text = mistakes.iter().fold(SHOP.to_owned(), |text, (right, wrong, ..)| text.replace(right, wrong));
    let file = tessera.write("wrong.yaml", &text);
    let said = tessera.run(&["program", "validate", &file]);
    said.expect(1);
    for (.., line, near) in mistakes {
        let place = format!("{file}:{line}:");
        let said: String = said.err.split(&file).filter(|part| part.starts_with(&place[file.len()..])).collect();
        assert!(said.contains(near), "line {line}: {said}");
    }
    let found = tessera.json(&["program", "validate", &file]);
    assert_eq!(found["valid"], false);
    assert!(found["findings"].as_array().unwrap().iter().all(|finding| finding["line"].is_u64()), "{found:#}");
    assert!(!tessera.data().exists(), "validating makes no installation");
}

#[rstest]
#[case("coffee")]
#[case("grocer")]
#[case("online-shop")]
fn the_programs_of_the_repository_are_valid(#[case] name: &str) {
    let tessera = Tessera::new();
    let file = repository().join(format!("programs/{name}.yaml"));
    let said = tessera.run(&["program", "validate", file.to_str().unwrap()]);
    said.expect(0);
    assert!(said.out.ends_with(": valid\n") && said.err.is_empty(), "{said:?}");
}

#[test]
fn the_schema_is_json_schema() {
    let schema: Value = serde_json::from_str(&Tessera::new().run(&["program", "schema"]).out).unwrap();
    assert!(schema["$schema"].as_str().unwrap().starts_with("https://json-schema.org/"));
    assert!(schema["properties"]["campaigns"].is_object());
}

#[test]
fn a_document_is_planned_published_listed_shown_and_rolled_back() {
    let tessera = Tessera::new();
    let first = tessera.write("one.yaml", SHOP);
    let second = tessera.write("two.yaml", SHOP.replace("/ 1000", "/ 500"));
    let out = |arguments: &[&str]| {
        let said = tessera.run(arguments);
        said.expect(0);
        said.out
    };
    assert!(out(&["program", "plan", &first]).contains("`shop` is new: this would be version 1"));
    assert!(out(&["program", "apply", &first, "--note", "the beginning"]).contains("published `shop` version 1"));
    assert!(out(&["program", "apply", &first]).contains("nothing changed"));
    assert!(out(&["program", "plan", &first]).contains("nothing would change"));
    let plan = out(&["program", "plan", &second]);
    assert!(plan.contains("version 1 → 2") && plan.contains("event.net / 500"), "{plan}");
    assert!(out(&["program", "apply", &second, "--base", "1"]).contains("version 2"));
    assert_eq!(out(&["program", "show", "shop", "--version", "1"]), SHOP, "to the letter");
    assert!(out(&["program", "rollback", "shop", "--to", "1"]).contains("published `shop` version 3"));
    assert_eq!(out(&["program", "show", "shop"]), SHOP);
    let history = out(&["program", "history", "shop"]);
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 4, "{history}");
    assert!(lines[1].contains("rolled back to version 1") && lines[3].contains("the beginning"), "{history}");
    let versions = tessera.json(&["program", "history", "shop"]);
    let told: Vec<(&Value, &Value)> =
        versions.as_array().unwrap().iter().map(|version| (&version["version"], &version["created_by"])).collect();
    assert_eq!(told, [(&json!(3), &json!("tester")), (&json!(2), &json!("tester")), (&json!(1), &json!("tester"))]);
}

#[test]
fn machines_get_the_same_facts() {
    let tessera = Tessera::new();
    let file = tessera.write("one.yaml", SHOP);
    assert_eq!(tessera.json(&["program", "plan", &file])["base"], 0);
    assert_eq!(tessera.json(&["program", "apply", &file]), json!({ "program": "shop", "version": 1, "changed": true }));
    assert_eq!(tessera.json(&["program", "apply", &file])["changed"], false);
    assert_eq!(tessera.json(&["program", "validate", &file]), json!({ "valid": true, "findings": [] }));
    assert_eq!(tessera.json(&["verify", "--program", "shop"])["differences"], json!([]));
    assert_eq!(tessera.json(&["report", "summary", "--program", "shop"])["members"], 0);
    let shown = tessera.json(&["program", "show", "shop"]);
    assert_eq!((&shown["version"], &shown["document"]["program"]), (&json!(1), &json!("shop")));
    assert_eq!(tessera.json(&["program", "history", "shop"])[0]["version"], 1);
    let made = tessera.json(&["key", "create", "--program", "shop"]);
    let id = made["id"].as_str().unwrap();
    assert_eq!(tessera.json(&["key", "revoke", "--program", "shop", id]), json!({ "id": id, "revoked": true }));
    let file = tessera.write("members.csv", "card,name\n1,An\n");
    assert_eq!(tessera.json(&["import", "members", &file, "--program", "shop"])["applied"], 1);
    let members = tessera.json(&["report", "members", "--program", "shop"]);
    let [member] = members.as_array().unwrap().as_slice() else { panic!("{members}") };
    assert_eq!((&member["identifier"], &member["point_balance"]), (&json!("card:1"), &json!(0)));
}

#[test]
fn p6_cases_are_listed_shown_and_closed_once() {
    let rule = "velocity: { rush: { what: purchase, per: key, window: P1D, count: 1 } }\n";
    let tessera = Tessera::with_document(&format!("{SHOP}{rule}"));
    let case = |arguments: &[&str]| tessera.run(&[&["case"], arguments, &["--program", "shop"]].concat());
    case(&["list"]).expect(0);
    assert_eq!(case(&["list"]).out.trim(), "no cases");
    let key = tessera.key("shop");
    let server = tessera.serve();
    let mut till = Client::new(server.address, &key).unwrap();
    for number in 0..3 {
        let data = json!({ "order_id": format!("o-{number}"), "currency": "VND", "total": 10_000 });
        let sale = json!({ "id": format!("p-{number}"), "source": "till", "type": "purchase", "subject": "card:1", "data": data });
        till.ok("POST", "/v1/programs/shop/events", &sale.to_string());
    }
    // Reading is free beside a server; closing goes through it.
    let found = tessera.json(&["case", "list", "--program", "shop", "--state", "open", "--rule", "rush"]);
    let [found] = found.as_array().unwrap().as_slice() else { panic!("one case, not {found}") };
    assert_eq!((&found["used"], &found["most"], &found["hits"]), (&json!(3), &json!(1), &json!(2)));
    let (id, subject) = (found["id"].as_str().unwrap(), found["subject"].as_str().unwrap());
    let list = case(&["list"]);
    assert!(["rush", "3 of 1", id].iter().all(|part| list.expect(0).out.contains(part)), "{}", list.out);
    assert_eq!(case(&["list", "--subject", "nobody"]).out.trim(), "no cases");
    case(&["close", id, "--verdict", "fine"]).failed(1, &format!("/v1/programs/shop/cases/{id}/close"));
    drop(till);
    server.stop("TERM");

    let shown = case(&["show", id]);
    let line = format!("rush: purchases by key {subject} came to 3, 1 pass");
    assert!(shown.expect(0).out.contains(&line) && shown.out.contains("2 commands were more"), "{}", shown.out);
    assert_eq!(tessera.json(&["case", "show", "--program", "shop", id])["commands"].as_array().unwrap().len(), 2);
    case(&["close", id, "--verdict", "guilty"]).failed(2, "the verdicts are abuse, fine, unsure");
    case(&["list", "--state", "old"]).failed(2, "the states are open, taken, closed");
    case(&["close", id, "--verdict", "fine", "--note", "a party of twelve"]).expect(0);
    let shown = case(&["show", id]).out;
    assert!(shown.contains("closed as fine by tessera case close: a party of twelve"), "{shown}");
    case(&["close", id, "--verdict", "abuse"]).failed(1, "closed this case as fine");
    assert_eq!(case(&["list", "--state", "open"]).out.trim(), "no cases");
    case(&["show", "case_none"]).failed(1, "`shop` has no case case_none");
    case(&["close", "case_none", "--verdict", "fine"]).failed(1, "there is no such case");
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let tessera = Tessera::with_document(SHOP);
    let made = tessera.json(&["key", "create", "--program", "shop", "--name", "till-1", "--scope", "events:write"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(made.as_object().unwrap().len(), 2, "just id and key: {made}");
    let list = tessera.run(&["key", "list", "--program", "shop"]);
    assert!(
        list.out.contains(id)
            && list.out.contains("till-1")
            && list.out.contains("events:write")
            && list.out.contains("valid")
    );
    assert!(!list.out.contains(key), "a key is shown once");
    tessera.run(&["key", "revoke", "--program", "shop", id]).expect(0);
    tessera.run(&["key", "revoke", "--program", "shop", id]).failed(1, "no valid key");
    let keys = tessera.json(&["key", "list", "--program", "shop"]);
    assert!(keys[0]["revoked_at"].is_string(), "{keys}");
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
    let tessera = Tessera::new();
    let file = tessera.write("one.yaml", SHOP);
    for folder in ["of-the-file", "of-the-environment", "of-the-flag"] {
        std::fs::create_dir(tessera.folder().join(folder)).unwrap();
    }
    tessera.write("tessera.toml", "data = \"of-the-file\"\n");
    let made = |folder: &str| tessera.folder().join(folder).join("tessera.db").exists();
    said(tessera.bare_command(&["program", "apply", &file]).output().unwrap()).expect(0);
    assert!(made("of-the-file"));
    said(
        tessera.bare_command(&["program", "apply", &file]).env("TESSERA_DATA", "of-the-environment").output().unwrap(),
    )
    .expect(0);
    assert!(made("of-the-environment"));
    let mut command = tessera.bare_command(&["--data", "of-the-flag", "program", "apply", &file]);
    said(command.env("TESSERA_DATA", "elsewhere").output().unwrap()).expect(0);
    assert!(made("of-the-flag") && !made("elsewhere"));
}

#[test]
fn every_setting_of_the_default_file_is_understood() {
    let tessera = Tessera::new();
    let text = std::fs::read_to_string(repository().join("tessera.default.toml")).unwrap();
    // As it stands, and with every setting that is only shown switched on.
    let switched_on: String = text.lines().map(|line| format!("{}\n", setting(line))).collect();
    for (name, text) in [("as-it-is.toml", text.clone()), ("switched-on.toml", switched_on)] {
        let file = tessera.write(name, text);
        tessera.run(&["--config", &file, "program", "schema"]).expect(0);
    }
    for key in ["data", "database_url", "listen", "log"] {
        assert!(text.lines().any(|line| setting(line).starts_with(&format!("{key} ="))), "{key} is not in the file");
    }
}

/// A line without the `#` before a setting, or before the section it is in.
fn setting(line: &str) -> &str {
    let bare = line.trim_start_matches('#').trim_start();
    let is_setting = bare
        .split_once(" = ")
        .is_some_and(|(name, _)| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'));
    let is_section = bare.starts_with('[') && bare.ends_with(']');
    if is_setting || is_section { bare } else { line }
}

/// A command whose output nobody reads after the first line, or at all.
fn unread(tessera: &Tessera, arguments: &[&str], lines: usize) -> Said {
    let mut child = tessera.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(out.lines().take(lines).count(), lines);
    said(child.wait_with_output().unwrap())
}

#[test]
fn a_reader_that_goes_away_has_read_what_it_wanted() {
    let tessera = Tessera::with_document(SHOP);
    let members: String = (0..3_000).map(|n| format!("{n},A name long enough to fill a pipe with\n")).collect();
    let file = tessera.write("members.csv", format!("card,name\n{members}"));
    tessera.run(&["import", "members", &file, "--program", "shop"]).expect(0);
    let csv = tessera.run(&["report", "members", "--program", "shop"]).out;
    assert!(csv.len() > 128 << 10, "more than a pipe holds: {}", csv.len());
    for (arguments, lines) in [
        (vec!["report", "members", "--program", "shop"], 1),
        (vec!["report", "members", "--program", "shop", "--json"], 1),
        (vec!["report", "summary", "--program", "shop"], 0),
        (vec!["program", "schema"], 0),
        (vec!["program", "show", "shop"], 0),
        (vec!["verify", "--program", "shop"], 0),
        (vec!["--help"], 0),
    ] {
        let said = unread(&tessera, &arguments, lines);
        // On a slow machine it says how far it is.
        assert!(said.code == 0 && !said.err.contains("error"), "{arguments:?}: {said:?}");
    }
}

#[test]
fn where_nobody_reads_errors_they_are_not_one_more() {
    let tessera = Tessera::new();
    let wrong = tessera.write("wrong.yaml", SHOP.replace("event.net", "event.nett"));
    let mut child = tessera.command(&["program", "validate", &wrong]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn an_installation_that_cannot_be_read_says_why() {
    let tessera = Tessera::with_document(SHOP);
    let look = ["verify", "--program", "shop"];
    let key = tessera.data().join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    tessera.run(&look).failed(1, "master.key is missing: put it back from a backup");
    tessera.run(&["key", "create", "--program", "shop"]).failed(1, "master.key is missing");
    assert!(!key.exists(), "a new key would open nothing");
    std::fs::write(&key, kept).unwrap();
    tessera.run(&look).expect(0);
    std::fs::write(tessera.data().join("tessera.db"), "").unwrap();
    tessera.run(&look).failed(1, "holds no program yet");
    std::fs::write(tessera.data().join("tessera.db"), "no database, but long enough to look like one".repeat(100))
        .unwrap();
    tessera.run(&look).failed(1, "not a database");
}

#[test]
fn reading_leaves_the_folder_as_it_was() {
    let tessera = Tessera::with_document(SHOP);
    let files = || -> Vec<(OsString, Vec<u8>)> {
        let entries = std::fs::read_dir(tessera.data()).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> =
            entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect();
        files.sort();
        files
    };
    let before = files();
    for arguments in [
        vec!["report", "summary", "--program", "shop"],
        vec!["report", "members", "--program", "shop"],
        vec!["program", "history", "shop"],
        vec!["program", "plan", "program.yaml"],
        vec!["key", "list", "--program", "shop"],
        vec!["verify", "--program", "shop"],
        vec!["doctor", "--full"],
        vec!["migrate", "--check"],
    ] {
        tessera.run(&arguments).expect(0);
        assert!(files() == before, "{arguments:?}");
    }
}

/// What a command prints on a terminal of 80 columns; nothing where no terminal can be had.
#[test]
fn the_memory_of_a_server_is_told_and_nothing_of_it_stays() {
    let tessera = Tessera::new();
    let bench = ["bench", "memory", "--members", "60", "--seconds", "0"];
    if !cfg!(target_os = "linux") {
        tessera.run(&bench).failed(1, "memory cannot be measured here");
        return;
    }
    let said = tessera.run(&bench);
    let text = &said.expect(0).out;
    assert!(text.contains("a server that knows 60 members") && text.contains("s after 300 requests"), "{text}");
    let figures = tessera.json(&bench);
    let bytes = |name: &str| figures[name].as_u64().unwrap();
    assert_eq!((bytes("members"), bytes("requests"), bytes("refused")), (60, 300, 0));
    // More than a program that does nothing has; less than a thousand of them would be.
    assert!((4_000_000..2_000_000_000).contains(&bytes("idle_bytes")), "{figures}");
    assert!(bytes("most_bytes") >= bytes("idle_bytes") && bytes("started_bytes") > 0, "{figures}");
    assert_eq!(std::fs::read_dir(tessera.data()).unwrap().count(), 0, "its folder is removed");
}

fn on_a_terminal(tessera: &Tessera, line: &str, colour: bool) -> Option<String> {
    let (binary, data) = (support::binary(), tessera.data());
    let shell = format!("stty rows 24 cols 80; {} --data {} {line}", binary.display(), data.display());
    let command = tessera.bare_command(&[]);
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &shell, "/dev/null"]).current_dir(tessera.folder()).stdin(Stdio::null());
    script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("TESSERA_DATA");
    if !colour {
        script.env("NO_COLOR", "1");
    }
    let Ok(output) = script.output() else {
        println!("skipped: no script to make a terminal");
        return None;
    };
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let tessera = Tessera::with_document(SHOP);
    let list = "program history shop";
    let wrong = "verify --program shpo";
    let Some(coloured) = on_a_terminal(&tessera, wrong, true) else { return };
    assert!(coloured.contains("\u{1b}[1;31merror:\u{1b}[0m there is no program"), "{coloured:?}");
    let coloured = on_a_terminal(&tessera, list, true).unwrap();
    assert!(coloured.contains("\u{1b}[1mVERSION"), "{coloured:?}");
    for line in [list, wrong, "--help"] {
        let plain = on_a_terminal(&tessera, line, false).unwrap();
        assert!(!plain.contains("\u{1b}[1") && !plain.contains("\u{1b}[3"), "{plain:?}");
    }
    assert!(!tessera.run(&["program", "history", "shop"]).out.contains('\u{1b}'));
}

#[test]
fn help_fits_eighty_columns() {
    let tessera = Tessera::new();
    for path in every_command(&tessera) {
        let Some(help) = on_a_terminal(&tessera, &format!("{} --help", path.join(" ")), false) else { return };
        // An example stands on one line, so that it can be copied.
        let text = help.lines().filter(|line| !line.trim_start().starts_with("tessera "));
        let widest = text.max_by_key(|line| line.trim_end().chars().count()).unwrap();
        assert!(widest.trim_end().chars().count() <= 80, "{path:?}: {widest:?}");
    }
}
