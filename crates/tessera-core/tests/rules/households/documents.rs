//! P5: what a document says of households.

use rstest::rstest;
use tessera_core::decide::Rejected;
use tessera_core::event::HouseholdStep;
use tessera_core::program::{Severity, read_document};
use tessera_testkit::shop::{Shop, document};

use super::{program, step};

#[test]
fn p5_without_the_section_there_are_no_households() {
    let mut shop = Shop::new("currencies: { point: { name: P, expires: never } }");
    shop.send("2026-01-05T09:00", "enrol", "{}");
    assert_eq!(
        step(&mut shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap_err(),
        Rejected::NoHouseholds
    );
}

#[rstest]
#[case::size("size: 1", "2 to 20 people")]
#[case::invitation("invitation: P0D", "nobody could accept")]
#[case::currency("pools: { bean: { contribute: all } }", "`households.pools.bean`")]
#[case::nothing("pools: { point: {} }", "nothing would ever be in this pool")]
#[case::share("pools: { point: { contribute: 1.5 } }", "all, none, or a share from 0 to 1")]
#[case::limit("pools: { point: { contribute: all, per_member: { day: 0 } } }", "a number above 0")]
#[case::misspelt("pools: { point: { contributes: all } }", "contribute")]
fn p5_mistakes_in_the_section_are_found(#[case] section: &str, #[case] words: &str) {
    let problems = read_document(&document(&program(section, ""))).unwrap_err();
    let errors: Vec<String> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect();
    assert!(errors.iter().any(|error| error.contains(words.trim_matches('`'))), "{errors:?}");
}
