//! The command line: examples, exit codes, and what each command says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use rstest::rstest;
use serde_json::{Value, json};
use support::{Tessera, repository, said};

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

/// The commands below a command, from its help.
fn commands_below(tessera: &Tessera, path: &[&str]) -> Vec<String> {
    let help = tessera.run(&[path, &["--help"]].concat());
    help.expect(0);
    let Some((_, list)) = help.out.split_once("Commands:\n") else { return Vec::new() };
    let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_command_shows_an_example() {
    let tessera = Tessera::new();
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        for name in commands_below(&tessera, &words) {
            waiting.push([path.clone(), vec![name]].concat());
        }
        let help = tessera.run(&[words.as_slice(), &["--help"]].concat()).out;
        let example = format!("Example:\n  tessera {}", path.join(" "));
        let has_one = help.contains(example.trim_end());
        assert!(has_one, "tessera {} --help shows no example of itself:\n{help}", path.join(" "));
        seen += 1;
    }
    assert!(seen >= 20, "{seen} commands");
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
    tessera.run(arguments).failed(2, with);
}

#[rstest]
#[case::an_unknown_program(&["verify", "--program", "shpo"], "there is no program `shpo`")]
#[case::a_report_of_it(&["report", "summary", "--program", "shpo"], "there is no program `shpo`")]
#[case::an_unknown_version(&["program", "show", "shop", "--version", "7"], "its newest is 1")]
#[case::a_rollback_to_it(&["program", "rollback", "shop", "--to", "7"], "its newest is 1")]
#[case::an_unknown_key(&["key", "revoke", "--program", "shop", "key_x"], "key list")]
#[case::a_change_to_an_old_version(&["program", "apply", "program.yaml", "--base", "7"], "version 1 is the newest")]
#[case::a_document_with_mistakes(&["program", "apply", "wrong.yaml"], "the document has 2 mistakes")]
#[case::its_validation(&["program", "validate", "wrong.yaml"], "wrong.yaml:12:")]
fn what_is_refused_ends_with_1(#[case] arguments: &[&str], #[case] with: &str) {
    let tessera = Tessera::with_document(SHOP);
    tessera.write("wrong.yaml", SHOP.replace("event.net", "event.nett").replace("expires: never", "expires: neverr"));
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

#[test]
fn validate_lists_every_mistake_with_its_line_and_a_suggestion() {
    let tessera = Tessera::new();
    let text = SHOP
        .replace("event.net", "event.nett")
        .replace("expires: never", "expires: neverr")
        .replace("timezone: Asia/Ho_Chi_Minh", "timezone: Asia/Saigonn")
        .replace("trigger: purchase", "triger: purchase");
    let file = tessera.write("wrong.yaml", &text);
    let said = tessera.run(&["program", "validate", &file]);
    said.expect(1);
    for (line, near) in
        [(3, "Asia/Saigon"), (7, "never"), (10, "did you mean `trigger`?"), (12, "did you mean `event.net`?")]
    {
        let place = format!("{file}:{line}:");
        let mistake =
            said.err.split(&place).nth(1).unwrap_or_else(|| panic!("no mistake in line {line}:\n{}", said.err));
        let mistake = mistake.split("wrong.yaml:").next().unwrap();
        assert!(mistake.contains(near), "line {line}: {mistake}");
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

/// A line without the `#` before a setting.
fn setting(line: &str) -> &str {
    let bare = line.trim_start_matches('#').trim_start();
    let is_setting = bare
        .split_once(" = ")
        .is_some_and(|(name, _)| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'));
    if is_setting { bare } else { line }
}

#[test]
fn a_reader_that_goes_away_is_no_mistake_to_panic_about() {
    let tessera = Tessera::new();
    let mut child = tessera
        .command(&["program", "schema"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let said = said(child.wait_with_output().unwrap());
    assert!(!said.err.contains("panicked"), "{}", said.err);
}
