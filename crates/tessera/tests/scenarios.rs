//! The scenarios of the repository, and the runner that others check their own programs with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../tessera-testkit/src/postgres.rs"]
mod postgres;
mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;

use rstest::rstest;
use support::{Said, Tessera, repository};
use tessera_core::program;

const PROGRAM: &str = "
program: corner-shop
name: Corner Shop
timezone: Asia/Ho_Chi_Minh
currency: VND
unknown_member: enrol
currencies: { bean: { name: bean, expires: { after: P12M } } }
tiers: { cup: { measure: { earned: bean }, levels: [ { id: paper, at: 0 }, { id: steel, at: 500 } ] } }
events: { visit: { data: { place: text } } }
campaigns:
  everyday: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 10000 } } ] }
  large: { trigger: purchase, audience: member.tier.cup == \"steel\", rules: [ { when: event.total >= 500000, award: { currency: bean, amount: 5 } } ] }
";

/// A story about the corner shop whose steps begin in line 5.
fn story(steps: &str) -> String {
    format!("scenario: A story\nprogram: program.yaml\nmembers: [an]\nsteps:\n{steps}")
}

fn run(scenario: &str) -> Said {
    let tessera = Tessera::new();
    tessera.write("program.yaml", PROGRAM);
    tessera.write("story.yaml", scenario);
    tessera.run(&["scenario", "run", "story.yaml"])
}

const SALE: &str = "purchase: { member: an, order_id: A1, currency: VND, total: 129000 }";

#[test]
fn every_scenario_of_the_repository_comes_out_as_expected() {
    let tessera = Tessera::new();
    let folder = repository().join("scenarios");
    let said = tessera.run(&["scenario", "run", folder.to_str().unwrap()]);
    said.expect(0);
    assert!(said.out.contains(" 0 failed, 0 unusable"), "{}", said.out);
}

#[test]
fn every_scenario_comes_out_the_same_on_postgresql_and_leaves_no_schema() {
    let Some(database) = postgres::database() else { return };
    let tessera = Tessera::new();
    let (folder, url) = (repository().join("scenarios"), database.url());
    let said = tessera.run(&["--database-url", &url, "scenario", "run", folder.to_str().unwrap()]);
    said.expect(0);
    assert!(said.out.contains(" 0 failed, 0 unusable"), "{}", said.out);
    assert_eq!(database.count("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tessera%'"), 0);
}

#[test]
fn what_is_as_expected_passes_and_nothing_is_left_behind() {
    let said = run(&story(&format!(
        "  - at: 2026-03-03 08:15\n    {SALE}\n    expect: {{ balances: {{ bean: 12 }}, tiers: {{ cup: paper }} }}\n"
    )));
    said.expect(0);
    assert!(said.out.contains("ok        story.yaml: A story"), "{}", said.out);
    assert!(said.out.contains("1 scenarios: 1 passed, 0 failed, 0 unusable"), "{}", said.out);
}

#[rstest]
#[case::balance(
    "balances: { bean: 13 }",
    "story.yaml:7: step 1 (purchase of an): balances.bean.available: expected 13, found 12"
)]
#[case::several("balances: { bean: { pending: 1, debt: 2 } }", "balances.bean.debt: expected 2, found 0")]
#[case::effect(
    "effects: [ { type: accrual, amount: 13 } ]",
    "effects: expected { amount: 13, type: accrual }, found [{ type: joined }, { amount: 12"
)]
#[case::each_effect_once("effects: [ { amount: 12 }, { amount: 12 } ]", "effects: expected { amount: 12 }")]
#[case::no_effect("effects: none", "effects: expected none, found [{ type: joined }, { amount: 12")]
#[case::without(
    "without: [ { campaign: everyday } ]",
    "without: expected no { campaign: everyday }, found { amount: 12"
)]
#[case::level("tiers: { cup: steel }", "tiers.cup: expected steel, found paper")]
#[case::standing("standing: { cup: { missing_to_rise: { bean: 487 } } }", "expected 487, found 488")]
#[case::lots(
    "lots: { bean: [ { amount: 12, last_day: 2027-03-02 } ] }",
    "lots.bean[0].last_day: expected 2027-03-02, found 2027-03-03"
)]
#[case::lots_are_all("lots: { bean: [] }", "lots.bean: expected none, found [{")]
#[case::refused("refused: order-exists", "refused: expected order-exists, found applied")]
#[case::status("status: duplicate", "status: expected duplicate, found applied")]
#[case::version("version: 2", "version: expected 2, found 1")]
#[case::because(
    "because: [ { campaign: large, applied: true } ]",
    "because: expected { applied: true, campaign: large }"
)]
#[case::history("history: [ { type: expiry } ]", "history: expected { type: expiry }, found purchase at")]
#[case::entries("entries: [ { kind: take_back } ]", "found accrual of 12 bean from issued to active")]
#[case::others("members: { an: { purchases: 2 } }", "members.an.purchases: expected 2, found 1")]
fn a_wrong_expectation_says_where_what_and_why(#[case] expected: &str, #[case] said: &str) {
    let found = run(&story(&format!("  - at: 2026-03-03\n    {SALE}\n    expect: {{ {expected} }}\n")));
    found.expect(1);
    assert!(found.out.contains(said), "{said:?} is not in\n{}", found.out);
    assert!(found.out.contains("story.yaml:7: step 1 (purchase of an): "), "{}", found.out);
    let why = "large: the member is not in the audience `member.tier.cup == \"steel\"`";
    assert!(
        found.out.contains(why) && found.out.contains("everyday: 12 bean from `event.net / 10000`"),
        "{}",
        found.out
    );
}

#[test]
fn what_nobody_expected_to_be_refused_fails_with_the_refusal() {
    let found = run(&story(&format!("  - at: 2026-03-03\n    {SALE}\n  - say: Again\n    {SALE}\n")));
    found.expect(1);
    let said = "story.yaml:7: step 2 (Again): status: expected applied, found refused: order-exists { order_id: A1 }";
    assert!(found.out.contains(said), "{}", found.out);
}

#[rstest]
#[case::step_key(
    "  - at: 2026-03-03\n    purchas: { member: an }\n",
    "story.yaml:6:5 steps[0]: unknown key `purchas`: did you mean `purchase`?"
)]
#[case::declared_type(
    "  - at: 2026-03-03\n    visits: { member: an }\n",
    "unknown key `visits`: did you mean `visit`?"
)]
#[case::expect_key(
    "  - at: 2026-03-03\n    expect: { balance: { bean: 1 } }\n",
    "story.yaml:6:15 steps[0].expect: unknown key `balance`: did you mean `balances`?"
)]
#[case::balance_key(
    "  - at: 2026-03-03\n    expect: { balances: { bean: { avalable: 1 } } }\n",
    "unknown key `avalable`\n"
)]
#[case::effect_key(
    "  - at: 2026-03-03\n    visit: { member: an, place: x }\n    expect: { effects: [ { amout: 1 } ] }\n",
    "did you mean `amount`?"
)]
#[case::effect_type(
    "  - at: 2026-03-03\n    visit: { member: an, place: x }\n    expect: { effects: [ { type: acrual } ] }\n",
    "did you mean `accrual`?"
)]
#[case::currency(
    "  - at: 2026-03-03\n    expect: { balances: { been: 1 } }\n",
    "story.yaml:6:27: the program has no currency `been`\n        did you mean `bean`?"
)]
#[case::level("  - at: 2026-03-03\n    expect: { tiers: { cup: stel } }\n", "the program has no level `stel`")]
#[case::campaign(
    "  - at: 2026-03-03\n    visit: { member: an, place: x }\n    expect: { effects: [ { campaign: everyday-x } ] }\n",
    "the program has no campaign `everyday-x`"
)]
#[case::member(
    "  - at: 2026-03-03\n    visit: { member: am, place: x }\n",
    "there is no member `am` in this story: did you mean `an`?"
)]
#[case::time("  - at: 3 March\n", "`3 March` is no time")]
#[case::no_time("  - say: x\n", "`at` is missing: the first step says when it is")]
#[case::back_in_time("  - at: 2026-03-03\n  - at: 2026-03-02\n", "story.yaml:6:9: this is before the last step")]
#[case::two_things(
    "  - at: 2026-03-03\n    visit: { member: an, place: x }\n    enrol: { member: an }\n",
    "a step does one thing: give `enrol` a step of its own"
)]
#[case::nothing_sent(
    "  - at: 2026-03-03\n    expect: { status: applied }\n",
    "`status` is about an answer, and nothing is sent in this step"
)]
#[case::change_without_base(
    "  - at: 2026-03-03\n    publish: { changes: {} }\n",
    "the path of a document, `document` or `change` is expected"
)]
#[case::wrong_document(
    "  - at: 2026-03-03\n    publish:\n      change:\n        currencies: { bean: { expire: never } }\n",
    "story.yaml:8:31 currencies.bean: unknown key `expire`"
)]
fn a_file_that_cannot_be_used_says_where_and_what_would_be_right(#[case] steps: &str, #[case] said: &str) {
    let found = run(&story(steps));
    found.expect(2);
    assert!(found.out.contains("UNUSABLE  story.yaml"), "{}", found.out);
    assert!(found.out.contains(said), "{said:?} is not in\n{}", found.out);
}

#[rstest]
#[case::no_yaml("a: [", "this is not YAML or JSON")]
#[case::no_document(
    "scenario: x\nsteps: [ { at: 2026-03-03 } ]",
    "`program`, the path of a program document, or `document`, one in place, is missing"
)]
#[case::two_documents(
    "scenario: x\nprogram: program.yaml\ndocument: {}\nsteps: []",
    "one of `program` and `document` is enough"
)]
#[case::no_such_file("scenario: x\nprogram: nowhere.yaml\nsteps: []", "story.yaml:2:10: nowhere.yaml: ")]
#[case::no_steps("scenario: x\nprogram: program.yaml\nsteps: []", "a scenario has at least one step")]
#[case::no_title("program: program.yaml\nsteps: [ { at: 2026-03-03 } ]", "`scenario` is missing")]
fn a_file_that_is_no_scenario_is_told_so(#[case] text: &str, #[case] said: &str) {
    let found = run(text);
    found.expect(2);
    assert!(found.out.contains(said), "{said:?} is not in\n{}", found.out);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let steps =
        "  - at: 2026-03-03\n    visit: { member: am }\n    expect: { balances: { been: 1 } }\n  - at: 2026-03-02\n";
    let found = run(&story(steps));
    found.expect(2);
    for said in ["no member `am`", "no currency `been`", "before the last step"] {
        assert!(found.out.contains(said), "{}", found.out);
    }
}

#[test]
fn a_new_version_may_be_a_change_or_another_document() {
    let steps = format!(
        "  - at: 2026-03-03\n    publish: {{ change: {{ campaigns: {{ everyday: {{ rules: [ {{ award: {{ currency: bean, amount: 1 }} }} ] }}, large: null }} }} }}\n  \
           - {SALE}\n    expect: {{ version: 2, balances: {{ bean: 1 }} }}\n  \
           - at: 2026-03-04\n    publish: program.yaml\n  \
           - say: Nothing may be dropped that somebody holds\n    publish: {{ change: {{ currencies: {{ bean: null, star: {{ name: star, expires: never }} }}, tiers: null, campaigns: {{ everyday: {{ rules: [ {{ award: {{ currency: star, amount: 1 }} }} ] }}, large: null }} }} }}\n    \
             expect: {{ refused: still-held }}\n"
    );
    run(&story(&steps)).expect(0);
    let published = run(&story(
        "  - at: 2026-03-03\n    publish: { change: { currencies: { bean: { expires: never } } } }\n    expect: { refused: still-held }\n",
    ));
    published.expect(1);
    assert!(published.out.contains("refused: expected still-held, found done"), "{}", published.out);
}

#[test]
fn c9_what_is_random_is_the_same_each_time_and_another_chance_draws_others() {
    let held = |chance: u32| {
        let mut text = format!(
            "scenario: x\nprogram: program.yaml\nchance: {chance}\nmembers: [a, b, c, d, e, f, g, h]\n\
             change: {{ campaigns: {{ offer: {{ trigger: visit, holdout: 0.5, rules: [ {{ award: {{ currency: bean, amount: 1 }} }} ] }} }} }}\nsteps:\n"
        );
        for member in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            text += &format!("  - at: 2026-03-03\n    visit: {{ member: {member}, place: x }}\n");
        }
        text += "  - expect: { members: { ";
        for member in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            text += &format!("{member}: {{ balances: {{ bean: 1 }} }}, ");
        }
        let out = run(&(text + "} }\n")).out;
        ["a", "b", "c", "d", "e", "f", "g", "h"].map(|member| out.contains(&format!("members.{member}.balances")))
    };
    let first = held(1);
    assert_eq!(first, held(1));
    assert!((2..10).any(|chance| held(chance) != first));
}

#[test]
fn i7_without_wake_ups_time_works_all_the_same() {
    for wake_ups in [true, false] {
        let text = format!(
            "scenario: x\nprogram: program.yaml\nmembers: [an]\nwake_ups: {wake_ups}\nsteps:\n  - at: 2026-03-03\n    {SALE}\n  \
               - at: 2027-03-03 23:59\n    expect: {{ balances: {{ bean: 12 }} }}\n  \
               - at: 2027-03-04 00:00\n    expect: {{ balances: {{ bean: 0 }} }}\n"
        );
        run(&text).expect(0);
    }
}

#[test]
fn a_folder_is_run_file_by_file_and_a_filter_chooses() {
    let tessera = Tessera::new();
    tessera.write("program.yaml", PROGRAM);
    std::fs::create_dir_all(tessera.folder().join("all/below")).unwrap();
    let story = story("  - at: 2026-03-03\n").replace("program.yaml", "../program.yaml");
    tessera.write("all/one.yaml", &story);
    tessera.write("all/two.yaml", story.replace("2026-03-03", "2026"));
    tessera.write("all/below/three.yaml", story.replace("../", "../../"));
    tessera.write("all/notes.md", "no scenario");
    let all = tessera.run(&["scenario", "run", "all"]);
    assert!(all.expect(2).out.contains("3 scenarios: 2 passed, 0 failed, 1 unusable"), "{}", all.out);
    let some = tessera.run(&["scenario", "run", "all", "--filter", "three"]);
    assert!(some.expect(0).out.contains("1 scenarios: 1 passed"), "{}", some.out);
    tessera.run(&["scenario", "run", "all", "--filter", "four"]).failed(2, "there is no scenario to run");
    tessera.run(&["scenario", "run", "nowhere"]).failed(2, "nowhere: ");
    let json = tessera.json(&["scenario", "run", "all"]);
    assert_eq!((json["passed"].as_u64(), json["unusable"].as_u64()), (Some(2), Some(1)), "{json}");
    let two = json["scenarios"].as_array().unwrap().iter().find(|report| report["result"] == "unusable").unwrap();
    assert_eq!(two["problems"][0]["line"], 5, "{two}");
}

#[test]
fn the_example_of_the_guide_is_a_scenario_and_fails_as_it_says() {
    let guide = std::fs::read_to_string(repository().join("docs/scenarios.md")).unwrap();
    let example = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let programs = repository().join("programs").display().to_string();
    let tessera = Tessera::new();
    tessera.write("story.yaml", example.replace("../programs", &programs));
    tessera.run(&["scenario", "run", "story.yaml"]).expect(0);
    tessera
        .write("story.yaml", example.replace("../programs", &programs).replace("bean: 62, stamp", "bean: 63, stamp"));
    let failed = tessera.run(&["scenario", "run", "story.yaml"]);
    failed.expect(1);
    for line in guide.lines().skip_while(|line| !line.starts_with("    story.yaml:")).take(2) {
        assert!(failed.out.contains(line.trim()), "{line:?} is not in\n{}", failed.out);
    }
}

/// The documents of `programs/`, by name.
fn presets() -> Vec<(String, PathBuf)> {
    let files = std::fs::read_dir(repository().join("programs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = files.filter(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    documents.map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), file)).collect()
}

#[test]
fn every_preset_is_valid_without_a_warning_and_its_key_is_no_others() {
    let mut keys = BTreeSet::new();
    for (name, file) in presets() {
        let document = program::read_document(&std::fs::read_to_string(file).unwrap());
        let document = document.unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        assert!(document.findings.is_empty(), "{name}: {:#?}", document.findings);
        assert!(keys.insert(document.definition.program), "two programs have the key of {name}");
    }
}

#[test]
fn every_text_of_a_preset_is_in_all_three_languages() {
    for (name, file) in presets() {
        let tree = program::read_tree(&std::fs::read_to_string(file).unwrap()).unwrap();
        texts(&tree.to_json(), &mut |text| {
            let complete = ["vi", "th", "en"].iter().all(|language| text[language].is_string());
            assert!(complete, "{name}: {text}");
        });
    }
}

/// Every `name` of a document.
fn texts(value: &serde_json::Value, check: &mut dyn FnMut(&serde_json::Value)) {
    match value {
        serde_json::Value::Object(fields) => fields.iter().for_each(|(key, value)| match key.as_str() {
            "name" => check(value),
            _ => texts(value, check),
        }),
        serde_json::Value::Array(values) => values.iter().for_each(|value| texts(value, check)),
        _ => {}
    }
}

#[test]
fn every_preset_has_a_scenario_and_a_paragraph_for_whom_it_is() {
    let readme = std::fs::read_to_string(repository().join("programs/README.md")).unwrap();
    for (name, _) in presets() {
        let scenario = repository().join(format!("scenarios/programs/{name}.yaml"));
        let text = std::fs::read_to_string(&scenario).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            text.contains(&format!("program: ../../programs/{name}.yaml")),
            "{name} is not what its scenario is about"
        );
        assert!(readme.contains(&format!("({name}.yaml)")), "programs/README.md does not tell of {name}");
    }
}

#[test]
fn a_scenario_says_in_words_what_it_shows() {
    let folders = ["scenarios/rules", "scenarios/programs"].map(|folder| repository().join(folder));
    for folder in folders {
        for file in tessera_engine::scenario::files_in(&folder).unwrap() {
            let scenario = tessera_engine::scenario::Scenario::read(&file).unwrap();
            assert!(scenario.text.len() > 60 && !scenario.shows.is_empty(), "{}", file.display());
        }
    }
}
