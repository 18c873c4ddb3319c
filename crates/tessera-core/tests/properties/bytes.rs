//! Texts that nobody would write: documents, expressions, codes and times with bytes changed, cut, doubled and put in.
//! Read without a panic and in bounded time, and every mistake has its place.
//!
//! Changes are drawn by proptest: bolero's engine for stable Rust draws them blindly too, and the crate pins versions
//! that the rest of the workspace would have to follow.

use std::sync::LazyLock;
use std::time::Instant as Stopwatch;

use proptest::prelude::*;
use tessera_core::code::Code;
use tessera_core::event::read_event;
use tessera_core::expression::{DEPTH_MAX, EvaluationError, Expected, Expression, RootTypes, SOURCE_MAX, STEPS_MAX};
use tessera_core::id::{EventId, MemberId};
use tessera_core::program::{Definition, read_document};
use tessera_core::quantity::Amount;
use tessera_core::time::{Day, Duration as Span, Instant, Period, TimeOfDay};
use tessera_testkit::bytes::{QUICK, changed, changes, read_quickly};
use tessera_testkit::shop::{Shop, at, document, json};

static DOCUMENTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../programs");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|kind| kind == "yaml")).collect();
    files.sort();
    let mut texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // Short ones give way sooner.
    texts.sort_by_key(String::len);
    texts.truncate(12);
    assert!(!texts.is_empty());
    texts
});

fn read_document_quickly(text: &str) {
    let lines = text.lines().count() + 2;
    if let Err(problems) = read_quickly(text, || read_document(text).map(drop)) {
        assert!(!problems.is_empty() && problems.len() < 5_000, "{} problems", problems.len());
        for problem in problems {
            assert!(problem.at.line <= lines, "{problem} is behind the end of {text:?}");
        }
    }
}

const SOURCES: &[&str] = &[
    "event.net / 10000",
    "some(event.items, #.category == \"coffee\" and #.quantity > 2) or event.total >= 50000.50",
    "sum(map(filter(event.items, #.amount > 5), #.amount * #.quantity)) / len(event.items)",
    "event.channel in [\"web\", \"app\"] ? 2 : now.hour < 12 ? 1 : 0",
    "not (event.total in [10..20)) and count(event.items, some(event.items, #.amount > 1)) > 0",
];

fn definition() -> &'static Definition {
    static DEFINITION: LazyLock<Definition> = LazyLock::new(|| {
        let text = document("currencies: { bean: { name: B, expires: never } }\ncampaigns: {}\n");
        read_document(&text).unwrap().definition
    });
    &DEFINITION
}

fn types() -> RootTypes {
    RootTypes::for_trigger(definition(), "purchase", true)
}

fn check_expression(source: &str) -> Result<Expression, Vec<String>> {
    read_quickly(source, || {
        for expected in [Expected::Truth, Expected::Text] {
            let _found = Expression::new(source, &types(), expected).is_ok();
        }
        let checked = Expression::new(source, &types(), Expected::Number);
        let checked = checked.map(|expression| expression.source().to_owned());
        checked.map_err(|findings| findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>())
    })
    .map(|source| Expression::new(&source, &types(), Expected::Number).unwrap())
}

/// Everything that callers write by hand in an address or a field.
fn parse_all(text: &str) {
    let _ = (text.parse::<Instant>(), text.parse::<Day>(), text.parse::<Span>(), text.parse::<Period>());
    let _ = (text.parse::<TimeOfDay>(), text.parse::<Amount>(), text.parse::<MemberId>(), text.parse::<EventId>());
    if let Ok(code) = text.parse::<Code>() {
        assert_eq!(code.to_string().parse::<Code>().ok(), Some(code), "a code that is read is written as itself");
    }
}

proptest! {
    #![proptest_config(tessera_testkit::cases(150, 1))]

    #[test]
    fn changed_documents_are_read_or_refused(which in any::<prop::sample::Index>(), changes in changes()) {
        let text: &String = which.get(DOCUMENTS.as_slice());
        read_document_quickly(&changed(text, &changes));
    }

    #[test]
    fn changed_expressions_are_checked_or_refused(which in any::<prop::sample::Index>(), changes in changes()) {
        let source: &&str = which.get(SOURCES);
        let _checked = check_expression(&changed(source, &changes)).is_ok();
    }

    #[test]
    fn changed_event_data_are_read_or_refused(which in 0..3_usize, changes in changes()) {
        let data = [
            json::lines("o1", &[("A", "goods", 2, 500), ("B", "goods", 1, 100)]),
            json::back("o1", &[("A", 1)]),
            r#"{"returned": {"order_id": "o1"}, "bought": {"order_id": "o2", "total": 5, "payments": [{"method": "cash", "amount": 5}]}}"#.to_owned(),
        ];
        let text = changed(&data[which], &changes);
        read_quickly(&text, || {
            for kind in ["purchase", "return", "exchange", "enrol", "adjust", "no-such"] {
                let _ = read_event(definition(), kind, &text);
            }
        });
    }

    #[test]
    fn changed_times_amounts_ids_and_codes_are_read_or_refused(which in 0..6_usize, changes in changes()) {
        let whole = ["2026-03-31T23:59:00+07:00", "2026-12-31", "P1Y2M3DT4H", "9007199254740993.000001", "mem_018f", "CDFG-2345-HJKM-67NP"];
        parse_all(&changed(whole[which], &changes));
    }
}

/// Patterns that make readers of YAML, or what comes behind them, go over the same again and again.
#[test]
fn long_documents_of_one_pattern_are_read_in_bounded_time() {
    let patterns = [
        "[",
        "{",
        "{a: ",
        "- ",
        "? ",
        "a: ",
        "a:\n",
        "- a\n",
        "\"",
        "'",
        "|\n",
        "#\n",
        "\n",
        "\t",
        " ",
        "&a ",
        "*a ",
        "!a ",
        "a, ",
        "a b\n",
        "%TAG ! !\n",
        "--- a\n",
        "\\",
        "1.",
        "- - a\n",
        "k: [a, b]\n",
        "\"a\\u0041\" ",
    ];
    for pattern in patterns {
        read_document_quickly(&pattern.repeat(120_000 / pattern.len()));
        read_document_quickly(&format!("campaigns: {}", pattern.repeat(60_000 / pattern.len())));
    }
    let keys: String = (0..20_000).map(|n| format!("key-{n}: x\n")).collect();
    read_document_quickly(&keys);
    let campaigns: String = (0..1_000).map(|n| format!("  c{n}: {{ trigger: purchase, rules: [ {{ when: event.totl > {n}, award: {{ currency: ben, amount: 1 }} }} ] }}\n")).collect();
    read_document_quickly(&document(&format!(
        "currencies: {{ bean: {{ name: B, expires: never }} }}\ncampaigns:\n{campaigns}"
    )));
}

/// Depth is what breaks a stack, in whichever way it is made.
#[test]
fn deep_expressions_are_taken_or_refused_and_break_no_stack() {
    let deep = |levels: usize| {
        let (inner, half) = (levels / 2, levels);
        vec![
            format!("{}1{}", "(".repeat(half), ")".repeat(half)),
            format!("{}1{}", "[".repeat(half), "]".repeat(half)),
            format!("{}1", "- ".repeat(half)),
            format!("{}true", "!".repeat(half)),
            format!("1{}", "+1".repeat(half)),
            format!("{}1", "true?1:".repeat(levels / 4)),
            format!("1{}", " in [1]".repeat(inner / 2)),
            format!("event{}", ".a".repeat(half)),
            format!("event{}", "[0]".repeat(inner)),
            "sum(map(".repeat(levels / 5),
            "some(event.items, ".repeat(levels / 20),
            "(".repeat(half),
            "`${".repeat(inner),
        ]
    };
    for source in deep(SOURCE_MAX / 2 - 1).into_iter().chain(deep(600)) {
        let source: String = source.chars().take(SOURCE_MAX).collect();
        let _taken = check_expression(&source).is_ok();
    }
}

#[test]
fn an_expression_at_each_limit_is_taken_and_one_past_it_is_refused() {
    let complaint = |source: &str| check_expression(source).err().map(|found| found.join(" / ")).unwrap_or_default();
    let long = |length: usize| format!("1 + {}", "9".repeat(20)) + &" ".repeat(length - 25) + "+1";
    assert_eq!(long(SOURCE_MAX).chars().count(), SOURCE_MAX + 1);
    assert_eq!(complaint(&long(SOURCE_MAX - 1)), "");
    assert!(complaint(&long(SOURCE_MAX)).contains("longer than 2000 characters"));
    let nested = |levels: usize| format!("{}true", "!".repeat(levels));
    assert!(!complaint(&nested(DEPTH_MAX - 2)).contains("nested deeper"));
    assert!(complaint(&nested(DEPTH_MAX + 2)).contains("nested deeper than 1000 levels"));
    assert!(complaint(&"map(".repeat(201)).contains("more than 200 list functions"));
    for range in
        ["sum(map([1..9], # * 2))", "len(filter((([1..1000000000])), # > 1))", "sum(map(flatMap([1..5], [#]), #))"]
    {
        // Some of them ZEN itself takes for no list.
        assert!(!complaint(range).is_empty(), "{range}");
    }
    assert!(!complaint("event.total in [1..9] ? 1 : 0").contains("ranges"));
}

/// Each was kept as a mistake with all behind it: a source of this length took all the memory there was.
#[test]
fn brackets_that_close_nothing_are_refused_before_they_are_parsed() {
    let complaint = |source: &str| check_expression(source).err().map(|found| found.join(" / ")).unwrap_or_default();
    for stray in [")", "]", "}", "])", ")}"] {
        let source = format!("event.total + sum({}event.items", stray.repeat(600));
        assert!(complaint(&source).contains("never opened"), "{stray}");
    }
    assert_eq!(complaint(&format!("event.channel == \"{}\" ? 1 : 0", ")".repeat(100))), "");
    assert_eq!(complaint("event.total in [10..20) or event.total in (1..2] or event.total in [1..2] ? 1 : 0"), "");
}

/// An order of so many lines, under a rule that goes over them twice.
#[test]
fn an_evaluation_takes_so_many_steps_and_no_more() {
    let rule = "count(event.items, some(event.items, #.amount > event.total)) + 1";
    let program = format!(
        "currencies: {{ bean: {{ name: B, expires: never }} }}\ncampaigns: {{ base: {{ trigger: purchase, rules: [ {{ award: {{ currency: bean, amount: \"{rule}\" }} }} ] }} }}\n"
    );
    let expression = check_expression(rule).unwrap();
    let most = (1..1_000).rev().find(|lines| expression.steps(*lines) <= STEPS_MAX).unwrap();
    assert!((200..999).contains(&most), "{most}");
    for (lines, points) in [(most, 1), (most + 1, 0)] {
        let mut shop = Shop::new(&program);
        let items: Vec<String> =
            (0..lines).map(|n| format!(r#"{{"line": "{n}", "quantity": 1, "amount": 1}}"#)).collect();
        let data = format!(r#"{{"order_id": "o", "total": {lines}, "items": [{}]}}"#, items.join(","));
        let begin = Stopwatch::now();
        let now = at("2026-03-02T10:00");
        let decision = shop.offer(now, now, "purchase", &data).unwrap();
        assert!(begin.elapsed() < QUICK, "{:?} for {lines} lines", begin.elapsed());
        let given: i64 = decision.outcome.effects.iter().filter_map(|effect| effect.amount).sum();
        assert_eq!(given, points, "{lines} lines: {decision:?}");
    }
    let error =
        EvaluationError::TooLong { expression: rule.to_owned(), lines: most + 1, steps: expression.steps(most + 1) };
    assert!(error.to_string().contains("at most 2000000 are taken"), "{error}");
}
