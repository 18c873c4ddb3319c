//! The description of the API: complete, named well, and the same as the snapshot in the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use tessera_testkit::app::TestApp;

use crate::common::{app, call};

fn described() -> Value {
    serde_json::to_value(tessera_api::document()).unwrap()
}

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if let Some(operation) = item.get(method) {
                found.push((method.to_uppercase(), path.clone(), operation.clone()));
            }
        }
    }
    found
}

#[test]
fn openapi_snapshot_is_what_the_routes_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&described()).unwrap());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == generated,
        "openapi.json is not what the routes say: look at the change, then run\n    UPDATE_OPENAPI=1 cargo test -p tessera-api openapi"
    );
}

#[test]
fn openapi_is_served_as_it_is_kept() {
    let served = call(&app(), "GET", "/openapi.json").key("").send("").ok();
    assert_eq!(served, described());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"), "{}", served["openapi"]);
}

#[test]
fn openapi_operations_are_named_verb_and_noun() {
    let verbs = ["create", "show", "list", "update", "replace", "delete", "plan"];
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&described()) {
        let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id")).to_owned();
        let (verb, noun) = name.split_once('_').unwrap_or_else(|| panic!("{name} is not verb_noun"));
        assert!(verbs.contains(&verb) && !noun.is_empty(), "{name}");
        assert!(names.insert(name.clone()), "{name} stands twice");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{name} has one tag");
    }
    assert!(names.len() >= 41, "{names:?}");
}

#[test]
fn openapi_describes_what_is_served_and_its_parameters() {
    let app = app();
    for (method, path, operation) in operations(&described()) {
        let filled = path.replace("{program}", "test").replace("{member}", "card:1").replace("{event}", "evt_x_1");
        let filled = filled.replace("{redemption}", "evt_x_1").replace("{adjustment}", "adj_x");
        let filled = filled.replace("{pool}", "cinema").replace("{reward}", "mug").replace("{cause}", "trees");
        let filled = filled.replace("{card}", "23456789").replace("{partner}", "giftly");
        let status = call(&app, &method, &filled).key("").send("").status.as_u16();
        // A public cause is read by everybody, and a partner shows its signature.
        let open = matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics") || path.ends_with("/causes/{cause}");
        let signed = path.ends_with("/notices");
        assert!(if open { [200, 404].contains(&status) } else { status == 401 }, "{method} {path}: {status}");
        assert_eq!(operation.get("security").is_some(), !open && !signed, "{method} {path}: whether it needs a key");
        let empty = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        let in_path: BTreeSet<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let named: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(in_path, named, "{method} {path}");
        let succeeds = operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2'));
        assert!(succeeds, "{method} {path} describes its success");
    }
}

#[test]
fn openapi_problems_are_problem_json() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (method, path, operation) in operations(&described()) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with(['4', '5']) {
                let content = response["content"].as_object().unwrap_or_else(|| panic!("{method} {path} {status}"));
                assert!(content.contains_key("application/problem+json"), "{method} {path} {status}: {content:?}");
                *kinds.entry(status.clone()).or_default() += 1;
            }
        }
    }
    assert!(kinds.len() > 5, "{kinds:?}");
}

#[test]
fn openapi_s_example_of_an_event_works() {
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/coffee.yaml")).unwrap();
    let app = TestApp::new(&document);
    app.set_clock("2026-11-20T09:31");
    let described = described();
    let content = &described["paths"]["/v1/programs/{program}/events"]["post"]["requestBody"]["content"];
    let example = &content["application/cloudevents+json"]["example"];
    assert!(example.is_object(), "{content:#}");
    let outcome = app.post("events", example).ok();
    assert_eq!(outcome["status"], "applied");
    let member = &described["components"]["schemas"]["MemberFields"]["properties"];
    assert_eq!(member["phone"]["example"], "+84901234567");
}
