//! Conditions and formulas: what is refused when a program is published, and what the rest gives.

use rstest::rstest;
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, document, json::*};

/// A program with one rule, with this condition or formula.
fn rule(each: &str, when: &str, amount: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let events = "events: { purchase: { data: { gift: boolean, table: { type: integer, optional: true }, mood: { type: text, one_of: [good, bad] } }, item: { hot: { type: boolean, optional: true } } }, call: {} }";
    document(&format!(
        "currencies: {{ point: {{ name: Point, expires: never }} }}
tiers: {{ club: {{ measure: {{ earned: point }}, levels: [ {{ id: blue, at: 0 }}, {{ id: gold, at: 100000 }} ] }} }}
{events}
campaigns:
  c:
    trigger: purchase
    rules:
      - {each}
        when: {}
        award: {{ currency: point, amount: {} }}
",
        quoted(when),
        quoted(amount)
    ))
}

fn refusals(text: &str) -> Vec<String> {
    match read_document(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.to_string().replace("\n    ", " / ")).collect(),
    }
}

#[rstest]
#[case::randomness("rand(10) > 1", "`rand` would decide differently each time")]
#[case::randomness_in_a_corner(
    "event.total > 5 or (event.total < 3 and rand(2) == 1)",
    "`rand` would decide differently each time"
)]
#[case::todays_date("d() > d(\"2026-01-01\")", "`d` is not allowed: the time of the event is `now`")]
#[case::the_old_date("date(\"now\") > 1", "`date` is not allowed: the time of the event is `now`")]
#[case::parts_of_dates("year(\"2020-01-01\") > 1", "`year` is not allowed: the time of the event is `now`")]
#[case::a_power("event.total ^ 2 > 4", "`^` is not allowed: its result has no bound")]
#[case::a_pattern("matches(event.order_id, \"a.*\")", "`matches` is not allowed: its cost has no bound")]
#[case::a_pattern_that_extracts(
    "len(extract(event.order_id, \"(a+)+\")) > 0",
    "`extract` is not allowed: its cost has no bound"
)]
#[case::a_fuzzy_match("fuzzyMatch(event.order_id, \"a\") > 0.5", "`fuzzyMatch` is not allowed: its cost has no bound")]
#[case::an_unknown_root("foo > 1", "`foo` is not known here")]
#[case::an_unknown_root_within("some(event.items, foo > #.amount)", "`foo` is not known here")]
#[case::a_misspelt_field(
    "event.totl > 1",
    "there is no `event.totl` here in `event.totl > 1` / did you mean `event.total`?"
)]
#[case::a_misspelt_fact("member.balance.pont > 1", "did you mean `member.balance.point`?")]
#[case::a_misspelt_field_of_a_line("some(event.items, #.ctegory == \"a\")", "ctegory")]
#[case::the_line_without_each("item.amount > 5", "`item` is not known here")]
#[case::a_group(
    "member.balance > 3",
    "`member.balance` is a group: name one of its fields in `member.balance > 3` / for example `member.balance.point`"
)]
#[case::the_whole_event("len(keys(event)) > 3", "`event` is a group")]
#[case::a_text_with_a_number("event.order_id == 5", "`string` != `number`")]
#[case::an_optional_text_with_a_number("event.channel == 5", "`string` != `number`")]
#[case::an_optional_text_of_a_line("some(event.items, #.sku == 5)", "`string` != `number`")]
#[case::a_text_in_numbers("event.channel in [1, 2]", "`number`")]
#[case::a_number_with_a_text("event.total > \"5\"", "cannot be applied to types `number` and `\"5\"`")]
#[case::a_number_that_may_be_missing("event.table > 3", "cannot be applied to types `number?` and `number`")]
#[case::a_level_that_is_none(
    "member.tier.club == \"silver\"",
    "Value `\"silver\"` is not a valid member of `\"blue\" | \"gold\"`"
)]
#[case::a_text_that_is_none_of_those("event.mood == \"so-so\"", "is not a valid member of")]
#[case::a_number_as_condition("event.total", "this must give true or false; it gives number")]
#[case::three_deep(
    "len(filter(event.items, some(event.items, all(event.items, #.amount > 1)))) > 1",
    "`all` stands more than 2 collection functions deep"
)]
#[case::an_assignment("x = 5; x > 1", "assignments are not allowed: give one value")]
#[case::an_unfinished_one("event.total > 5 and", "Unexpected end")]
#[case::nothing("  ", "the expression is empty")]
fn a_condition_is_refused(#[case] when: &str, #[case] message: &str) {
    let found = refusals(
        &rule("each: event.items", when, "1").replace("      - each: event.items\n        when", "      - when"),
    );
    assert!(found.iter().any(|found| found.contains(message)), "{found:?}");
    assert!(
        found.iter().all(|found| found.starts_with("12:") && found.contains("campaigns.c.rules[0].when")),
        "{found:?}"
    );
}

#[rstest]
#[case::a_text("event.order_id", "this must give a number; it gives string")]
#[case::a_truth("event.total > 5", "this must give a number; it gives bool")]
#[case::a_power("2 ^ 100", "`^` is not allowed")]
#[case::a_list("[1, 2]", "this must give a number")]
fn a_formula_is_refused(#[case] amount: &str, #[case] message: &str) {
    let found = refusals(&rule("each: event.items", "true", amount));
    assert!(found.len() == 1 && found[0].contains(message) && found[0].contains("rules[0].award.amount"), "{found:?}");
}

#[test]
fn an_expression_has_at_most_two_thousand_characters() {
    let long = |length: usize| format!("event.total{}> 10", " ".repeat(length - 15));
    assert_eq!(refusals(&rule("each: event.items", &long(2_000), "1")), Vec::<String>::new());
    let found = refusals(&rule("each: event.items", &long(2_001), "1"));
    assert!(found[0].contains("longer than 2000 characters"), "{found:?}");
}

#[test]
fn a_position_points_into_the_expression() {
    let found = refusals(&rule("each: event.items", "event.total > 5 and event.nett > 3", "1"));
    assert!(found[0].starts_with("13:35 "), "{found:?}");
}

const BASKET: &str = r#", "channel": "app", "gift": false, "mood": "good""#;

/// What one rule gives for two coffees at 30,000 each and a cake at 20,000, through the app, on a Monday at 09:30.
fn points(each: &str, when: &str, amount: &str) -> i64 {
    let text = rule(each, when, amount);
    let text = if each.is_empty() { text.replace("      - \n        when", "      - when") } else { text };
    let program = text.split_once("currency: VND\n").unwrap().1;
    let mut shop = Shop::new(program);
    let data = sale_with("o1", &[("COF", "coffee", 2, 60_000), ("CAKE", "cake", 1, 20_000)], BASKET);
    shop.send("2026-03-02T09:30", "purchase", &data);
    shop.available("point")
}

#[rstest]
#[case::a_sum_over_lines("sum(map(event.items, #.amount)) == 80000", true)]
#[case::some_line("some(event.items, #.category == \"coffee\")", true)]
#[case::every_line("all(event.items, #.category == \"coffee\")", false)]
#[case::a_count("count(event.items as line, line.quantity > 1) == 1", true)]
#[case::two_deep("len(filter(event.items, some(event.items, #.amount > 50000))) == 2", true)]
#[case::a_chain("sum(map(filter(event.items, #.category == \"cake\"), #.amount)) == 20000", true)]
#[case::an_element("event.items[1].sku == \"CAKE\"", true)]
#[case::one_of("event.channel in [\"app\", \"web\"]", true)]
#[case::none_of("event.channel not in [\"app\", \"web\"]", false)]
#[case::an_interval("event.total in [50000..80000]", true)]
#[case::an_open_interval("event.total in [50000..80000)", false)]
#[case::what_is_missing("event.location == null", true)]
#[case::what_is_missing_is_no_text("event.location == \"hcm\"", false)]
#[case::a_default("(event.table ?? 0) == 0", true)]
#[case::the_weekday(
    "now.weekday == \"mon\" and now.hour == 9 and now.minute == 30 and now.time == \"09:30\" and now.date == \"2026-03-02\"",
    true
)]
#[case::a_level("member.tier.club == \"blue\"", true)]
#[case::a_field_of_our_own("event.mood == \"good\" and not event.gift", true)]
#[case::division_by_zero_is_not_met("event.total / 0 > 1", false)]
#[case::ternary("event.total > 1 ? event.channel == \"app\" : false", true)]
fn a_condition_holds_or_not(#[case] when: &str, #[case] holds: bool) {
    assert_eq!(points("", when, "7"), if holds { 7 } else { 0 });
}

#[rstest]
#[case::exact("event.net / 30000 * 3", 8)]
#[case::by_line_count("len(event.items) * 5", 10)]
#[case::an_overflow_gives_nothing("sum(map(event.items, 79228162514264337593543950335))", 0)]
#[case::a_division_by_zero_gives_nothing("event.total / member.balance.point", 0)]
#[case::below_zero_gives_nothing("0 - event.total", 0)]
#[case::rounded("round(event.total / 30000)", 3)]
#[case::least("min([event.total / 10000, 5])", 5)]
fn a_formula_gives_points(#[case] amount: &str, #[case] expected: i64) {
    assert_eq!(points("", "true", amount), expected);
}

#[rstest]
#[case::the_line("item.category == \"coffee\"", "item.quantity * 3", 6)]
#[case::the_line_and_the_event("item.amount > 10000 and event.channel == \"app\"", "1", 2)]
#[case::a_line_field_of_our_own("item.hot == true", "1", 0)]
#[case::no_line("item.sku == \"TEA\"", "1", 0)]
fn a_rule_runs_for_each_line(#[case] when: &str, #[case] amount: &str, #[case] expected: i64) {
    assert_eq!(points("each: event.items", when, amount), expected);
}
