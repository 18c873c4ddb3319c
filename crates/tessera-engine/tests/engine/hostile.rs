//! Files and requests with bytes changed: mappings, imported files, events and scenarios are read or refused, and what
//! is taken leaves the books whole. [`TestApp`] verifies when it goes.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tessera_engine::identifier::Subject;
use tessera_engine::scenario::{Scenario, run_file};
use tessera_engine::submission::{CloudEvent, Submission};
use tessera_engine::transfer::{Import, Mapping, Progress, default_member_mapping};
use tessera_testkit::app::TestApp;
use tessera_testkit::bytes::{changed, changes, read_quickly};

const PROGRAM: &str = "
unknown_member: enrol
currencies: { point: { name: P, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }
";

const MAPPING: &str = r#"
format = "csv"
source = "till"
[event]
type = "purchase"
group_by = "basket"
id = "basket"
time = { column = "at", zone = "Asia/Ho_Chi_Minh" }
subject = { kind = "card", column = "card" }
[data]
order_id = "basket"
total = { sum = "amount" }
[item]
sku = "sku"
quantity = { value = "1" }
amount = "amount"
"#;

const FILE: &str = "basket,at,card,sku,amount\n1,2026-01-05 10:00,7,A,5000\n1,2026-01-05 10:00,7,\"B, large\",12000\n2,2026-01-06 11:30,8,A,5000\n3,2026-01-07 09:15,,C,-700\n";

const EVENT: &str = r#"{"specversion": "1.0", "id": "1", "source": "till", "type": "purchase", "subject": "phone:+84901234567", "time": "2026-03-01T10:00:00+07:00", "data": {"order_id": "A-1", "currency": "VND", "total": 98000, "items": [{"line": "1", "sku": "X", "quantity": 2, "unit_price": 49000}]}}"#;

static SCENARIOS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/rules");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut texts: Vec<String> = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    texts.sort_by_key(|text| (text.len(), text.clone()));
    texts.truncate(20);
    assert!(!texts.is_empty());
    texts
});

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn import(app: &TestApp, mapping: Mapping, text: &str) {
    let file = write(app.folder(), "sales.csv", text);
    let rejects = app.folder().join("rejects.csv");
    let import = Import { engine: app.engine(), program: app.program.clone(), mapping, file, rejects, strict: false };
    if let Ok(report) = import.run(&Progress::default()) {
        assert!(report.lines < 100_000, "{report:?}");
    }
}

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 1))]

    #[test]
    fn changed_mappings_are_read_or_refused(changes in changes()) {
        let text = changed(MAPPING, &changes);
        let _read = read_quickly(&text, || Mapping::parse(&text).is_ok());
    }

    #[test]
    fn changed_scenarios_are_read_or_refused(which in any::<prop::sample::Index>(), changes in changes()) {
        let folder = tempfile::tempdir().unwrap();
        let text: &String = which.get(SCENARIOS.as_slice());
        let file = write(folder.path(), "scenario.yaml", &changed(text, &changes));
        if let Err(problems) = read_quickly("a scenario", || Scenario::read(&file).map(drop)) {
            assert!(!problems.is_empty());
        }
    }

    #[test]
    fn changed_subjects_are_read_or_refused(changes in changes()) {
        for text in ["phone:+84901234567", "email:an@example.com", "mem_01890a5d-ac96-774b-bcce-b302099a8057", "gift-card:CDFG-2345-HJKM-67NP"] {
            let _read = changed(text, &changes).parse::<Subject>().is_ok();
        }
    }
}

/// Runs so many cases on one installation: what one leaves, the next one meets.
fn cases<S: Strategy>(many: u32, strategy: &S, run: impl Fn(&TestApp, S::Value)) {
    let app = TestApp::new(PROGRAM);
    let mut runner = TestRunner::new(tessera_testkit::cases(many, 10));
    let ran = runner.run(strategy, |value| {
        run(&app, value);
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
}

#[test]
fn changed_events_are_taken_or_refused_and_the_books_hold() {
    cases(80, &changes(), |app, changes| {
        let text = changed(EVENT, &changes);
        let engine = app.engine();
        if let Ok(event) = serde_json::from_str::<CloudEvent<'_>>(&text)
            && let Ok(read) = Submission::from_event(&engine.context.secrets, &app.program, &event, app.now())
        {
            let _answer = engine.submit(read).unwrap();
        }
        // The API reads the same bytes in its own way, and never says that it is our mistake.
        for path in ["events", "quotes", "members", "redemptions", "redemptions/quote", "adjustments"] {
            let reply = app.post_text(path, &text);
            assert!(reply.status.as_u16() < 500, "{path} {text}: {}", reply.status);
        }
        for list in ["members", "adjustments", "draws", "members/card:1/entries", "members/card:1/vouchers"] {
            let after: String = text.bytes().take(300).map(|byte| format!("%{byte:02x}")).collect();
            let reply = app.get(&format!("{list}?after={after}&limit=1"));
            assert!(reply.status.as_u16() < 500, "{list} after {after}: {}", reply.status);
        }
    });
}

#[test]
fn changed_files_are_imported_or_told() {
    cases(40, &changes(), |app, changes| {
        import(app, Mapping::parse(MAPPING).unwrap(), &changed(FILE, &changes));
        let members = changed("card,phone,name\n1,+84901234567,An\n2,,\"B, C\"\n", &changes);
        let file = write(app.folder(), "members.csv", &members);
        if let Ok(mapping) = default_member_mapping(&file) {
            import(app, mapping, &members);
        }
    });
}

#[test]
fn a_scenario_of_the_corpus_runs_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let ran = SCENARIOS.iter().any(|text| run_file(&write(folder.path(), "scenario.yaml", text), None).passed());
    assert!(ran, "what is changed above is no scenario to begin with");
    let event: Value = serde_json::from_str(EVENT).unwrap();
    assert!(event.is_object() && Mapping::parse(MAPPING).is_ok());
}
