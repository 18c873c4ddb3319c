//! Whatever bytes come, reading them ends, and never in a panic.

use proptest::prelude::*;
use tessera_core::event::read_event;
use tessera_core::program::read_document;
use tessera_testkit::shop::program;

const COFFEE: &str = include_str!("../../../../programs/coffee.yaml");

/// The coffee document with some of its bytes cut, doubled or replaced.
fn damaged() -> impl Strategy<Value = String> {
    let scratch = (
        any::<prop::sample::Index>(),
        0..40_usize,
        prop_oneof![
            "[\\[\\]{}:,&*|>'\"#\\-? \n]{0,3}",
            "\\PC{0,6}",
            Just(String::new()),
            Just("\n  ".to_owned()),
            Just("event.total ^ -".to_owned()),
        ],
    );
    prop::collection::vec(scratch, 1..6).prop_map(|scratches| {
        let mut text: Vec<char> = COFFEE.chars().collect();
        for (index, length, with) in scratches {
            let from = index.index(text.len());
            let to = (from + length).min(text.len());
            text.splice(from..to, with.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_texts_never_panic(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _refused_or_not = (read_document(&text).is_ok(), read_document(&String::from_utf8_lossy(&bytes)).is_ok());
    }

    #[test]
    fn damaged_documents_never_panic_and_every_mistake_has_its_place(text in damaged()) {
        if let Err(problems) = read_document(&text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.at.line >= 1 && problem.at.line <= text.lines().count() + 1, "{problem}");
            }
        }
    }

    #[test]
    fn random_expressions_never_panic(source in "[a-z0-9.,()\\[\\]#<>=+*/^?:\"' ]{0,60}|(event\\.[a-z]{3,6}|member\\.[a-z]{4}|[0-9]{1,30}|[-+*/<>()=,]| and | or |some\\(event.items, #\\.amount > |len\\(){1,12}") {
        let quoted = serde_json::Value::from(source.as_str());
        let text = format!("program: t\nname: T\ntimezone: UTC\ncurrency: VND\ncurrencies: {{ point: {{ name: P, expires: never }} }}\ncampaigns: {{ c: {{ trigger: purchase, rules: [ {{ when: {quoted}, award: {{ currency: point, amount: {quoted} }} }} ] }} }}\n");
        let _refused_or_not = read_document(&text).is_ok();
    }

    #[test]
    fn random_event_data_never_panic(kind in "purchase|return|exchange|amend|enrol|profile|review", data in prop_oneof![
        "\\PC{0,80}",
        r#"\{("(order_id|total|items|currency|birthday|stars|quantity|amount|returned|bought)": ?("[a-z0-9.-]{0,9}"|-?[0-9]{1,20}(\.[0-9]{0,8})?|null|true|\[\]|\[\{("(sku|line|quantity|amount)": ?("x"|-?[0-9]{1,18}|1e9),? ?){0,4}\}\]|\{\}),? ?){0,5}\}"#,
    ]) {
        let program = program("currencies: { point: { name: P, expires: never } }\nevents: { review: { data: { stars: { type: integer, min: 1, max: 5 } } } }", 1);
        if let Err(problem) = read_event(&program.definition, &kind, &data) {
            prop_assert!(!problem.message.is_empty());
        }
    }
}
