//! Whatever bytes come, reading them ends, and never in a panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tessera_core::decide::{Inputs, OrderRecord, decide};
use tessera_core::event::{Command, What, read_event};
use tessera_core::id::MemberId;
use tessera_core::program::{Versions, load_program, read_document};
use tessera_testkit::shop::{at, program};

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

/// Values that no document of good faith has.
const HOSTILE: [&str; 36] = [
    "1e999",
    "-1",
    "0",
    "79228162514264337593543950335",
    "-79228162514264337593543950335",
    "0.0000000000000000000000000001",
    "99999999999999999999999999999999999999",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "4294967296",
    ".nan",
    "NaN",
    ".inf",
    "-.inf",
    "inf",
    "~",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "[[[[[[1]]]]]]",
    "{ a: { b: { c: { d: 1 } } } }",
    "2026-99-99",
    "9999-12-31",
    "P36500Y36500M",
    "P99999999999Y",
    "P1000Y",
    "P366000D",
    "\"23:59\"",
    "\"02-29\"",
    "event.net * 79228162514264337593543950335",
    "event.net / 0.0000000000000000000000000001",
    "\u{0}",
    "member.balance.bean",
];

/// A valid document with some of its words (keys, names, numbers, expressions) replaced, doubled or nested.
fn mutated() -> impl Strategy<Value = String> {
    let documents = [
        COFFEE,
        include_str!("../../../../programs/grocer.yaml"),
        include_str!("../../../../programs/online-shop.yaml"),
    ];
    let value = prop_oneof![
        8 => prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
        1 => (1..3_000_usize).prop_map(|length| "x".repeat(length)),
        1 => (1..60_usize).prop_map(|depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth))),
        1 => any::<i64>().prop_map(|number| number.to_string()),
    ];
    let mutation = (any::<prop::sample::Index>(), value);
    (prop::sample::select(documents.to_vec()), prop::collection::vec(mutation, 1..4)).prop_map(|(text, mutations)| {
        let mut text = text.to_owned();
        for (index, value) in mutations {
            let is_word = |character: char| character.is_alphanumeric() || "-._\"".contains(character);
            let mut words: Vec<(usize, usize)> = Vec::new();
            let mut from = None;
            for (place, character) in text.char_indices().chain([(text.len(), ' ')]) {
                match (is_word(character), from) {
                    (true, None) => from = Some(place),
                    (false, Some(start)) => {
                        words.push((start, place));
                        from = None;
                    }
                    _ => {}
                }
            }
            // Every other time a number: that is where arithmetic hides.
            let numbers: Vec<(usize, usize)> = words
                .iter()
                .copied()
                .filter(|(from, _)| text[*from..].starts_with(|first: char| first.is_ascii_digit()))
                .collect();
            let words = if value.len() % 2 == 0 && !numbers.is_empty() { numbers } else { words };
            if words.is_empty() {
                break;
            }
            let (from, until) = words[index.index(words.len())];
            text.replace_range(from..until, &value);
        }
        text
    })
}

/// Decides a purchase, its return, and what falls due in a century, under a document that was taken: no arithmetic of
/// its numbers may panic.
fn live(text: &str) {
    let program = load_program(text, 1).unwrap_or_else(|problems| panic!("{problems:?}"));
    let versions = Versions::new(Arc::new(program));
    let definition = &versions.head().definition;
    let item = r#"{"sku": "A", "category": "coffee", "quantity": 3, "amount": 900000000}"#;
    let order = format!(r#"{{"order_id": "o", "total": 900000000, "items": [{item}, {item}]}}"#);
    let (mut state, mut stored) = (None, Vec::new());
    let start = at("2026-03-02T09:00");
    for (days, kind, data) in [
        (0, "enrol", r#"{"birthday": "02-29"}"#),
        (1, "purchase", &order),
        (2, "return", r#"{"order_id": "o", "items": [{"line": "1"}]}"#),
        (40_000, "wake", ""),
    ] {
        let time = start.plus_seconds(days * 86_400);
        let what = match read_event(definition, kind, data) {
            Ok(what) => what,
            Err(_) if kind == "wake" => What::WakeUp,
            // The mutation asks for a field that this purchase does not have.
            Err(_) => continue,
        };
        let command = Command { effective_at: time, recorded_at: time, what };
        let orders: Vec<OrderRecord> = std::mem::take(&mut stored);
        let inputs = Inputs {
            versions: &versions,
            state: state.as_ref(),
            new_member: MemberId::from_bytes([7; 16]),
            guest: false,
            pools: &BTreeMap::new(),
            orders: &orders,
            redemptions: &[],
            codes: &[],
            history: None,
            former: &[],
            memory: None,
            entropy: [7; 16],
            draws: tessera_core::decide::Draws::Fresh,
            payload: data,
            origin: tessera_core::event::Origin::nowhere(),
            explain: true,
        };
        let Ok(decision) = decide(&inputs, &command) else { continue };
        if let (What::Purchase(content), Some(event)) = (&command.what, decision.events.get(decision.main)) {
            stored.push(OrderRecord {
                order_id: "o".into(),
                member: decision.state.id,
                made_by: decision.state.id,
                event: event.seq,
                effective_at: time,
                basis: event.record.basis.clone().unwrap_or_default(),
                content: content.clone(),
                credits: event.record.credits.clone(),
                vouchers: event.record.vouchers.clone(),
                progress: None,
            });
        }
        state = Some(decision.state);
    }
}

proptest! {
    #![proptest_config(tessera_testkit::cases(200, 1))]

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
    fn hostile_documents_never_panic_and_every_mistake_has_its_place(text in mutated()) {
        match read_document(&text) {
            Ok(_) => live(&text),
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.at.line >= 1 && problem.at.line <= text.lines().count() + 1, "{problem}");
                    prop_assert!(!problem.message.is_empty());
                }
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
