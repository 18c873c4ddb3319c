//! At each limit of a scenario and of a run what is just within is read, and one more is refused with the number.

use std::fs::File;

use tessera_engine::scenario::{FILES_MAX, STEPS_MAX, Scenario, files_in};

#[test]
fn steps_of_a_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.yaml");
    let complaints = |steps: usize| {
        let visits = "  - visit: { member: an }\n".repeat(steps);
        let head =
            "scenario: Long\ndocument:\n  program: long\n  name: Long\n  timezone: Asia/Ho_Chi_Minh\n  currency: VND\n";
        let rest =
            "  events: { visit: { data: {} } }\n  currencies: { point: { name: P, expires: never } }\nmembers: [an]\n";
        let text = format!("{head}{rest}steps:\n{visits}");
        std::fs::write(&file, text).unwrap();
        let problems = Scenario::read(&file).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let limit = format!("at most {STEPS_MAX} steps");
    assert!(!complaints(STEPS_MAX).contains(&limit));
    let one_more = complaints(STEPS_MAX + 1);
    assert!(one_more.contains(&limit), "{one_more}");
}

#[test]
fn files_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("below");
    std::fs::create_dir(&below).unwrap();
    for number in 0..FILES_MAX {
        File::create(below.join(format!("{number}.yaml"))).unwrap();
    }
    assert_eq!(files_in(folder.path()).unwrap().len(), FILES_MAX);
    File::create(folder.path().join("one-more.yaml")).unwrap();
    let refused = files_in(folder.path()).unwrap_err().to_string();
    assert!(refused.contains(&FILES_MAX.to_string()), "{refused}");
}
