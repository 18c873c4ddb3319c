//! Program documents: what is read, what is refused and where, and what is worth a warning.

use rstest::rstest;
use tessera_core::program::{Problem, Severity, json_schema, read_document};
use tessera_testkit::shop::document;

const COFFEE: &str = include_str!("../../../../programs/coffee.yaml");

/// The problems of a document, each as `line:column path: message` with the suggestion behind ` / `.
fn problems(text: &str) -> Vec<String> {
    let found = match read_document(text) {
        Ok(document) => document.findings,
        Err(problems) => problems,
    };
    found.iter().map(in_words).collect()
}

fn in_words(problem: &Problem) -> String {
    problem.to_string().replace("\n    ", " / ")
}

#[rstest]
#[case::coffee(COFFEE)]
#[case::grocer(include_str!("../../../../programs/grocer.yaml"))]
#[case::online_shop(include_str!("../../../../programs/online-shop.yaml"))]
fn the_ready_made_programs_load_without_a_finding(#[case] text: &str) {
    assert_eq!(problems(text), Vec::<String>::new());
}

#[test]
fn sections_of_features_to_come_are_refused_by_name_with_their_line() {
    let lines = COFFEE.lines().count();
    let later = "games:\n  mug: { costs: { bean: 800 } }\njourneys:\n  limit: { per_member: { month: 5 } }\n";
    let expected = [
        format!("{}:1: `games` is not supported by this version yet: leave the section out", lines + 1),
        format!("{}:1: `journeys` is not supported by this version yet: leave the section out", lines + 3),
    ];
    assert_eq!(problems(&format!("{COFFEE}{later}")), expected);
}

#[test]
fn actions_to_come_are_refused_by_name() {
    let text = document(
        "currencies: { point: { name: P, expires: never } }\ncampaigns:\n  c:\n    trigger: purchase\n    rules:\n      - award: { currency: point, amount: 1 }\n        send: hello\n",
    );
    assert_eq!(
        problems(&text),
        ["11:9 campaigns.c.rules[0]: `send` is not supported by this version yet: leave the action out"]
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_what_would_be_right() {
    let text = "program: test
name: { en: Test, x: 5 }
timezone: Asia/Ho_Chi_Minh
day_starts: 4
curency: VND
currency: VND
currencies:
  point:
    nam: P
    name: P
    expires: { after: 1Y }
    value: abc
    scale: many
  Star: { name: S, expires: never }
tiers:
  club:
    measure: { earned: point }
    levels: [ { id: a, at: 0 }, { id: b, at: 3, rate: { point: x } } ]
campaigns:
  base:
    trigger: purchase
    holdout: 1.5
    schedule: { from: 2026-13-01 }
    rules:
      - award: { currency: point, amount: 1, rounding: halfup }
      - limit: { per_member: { fortnight: 3 } }
  x:
    trigger: purchase
    rules: {}
";
    let expected = [
        "2:7 name: `x` is no language tag such as vi, th or en",
        "4:13 day_starts: a time of day is written as \"04:00\", from 00:00 to 23:59",
        "5:1: unknown key `curency` / did you mean `currency`?",
        "9:5 currencies.point: unknown key `nam` / did you mean `name`?",
        "11:23 currencies.point.expires.after: a period is written as P1Y, P6M, P2W or P30D, and lasts at most 1,000 years",
        "12:12 currencies.point.value: `abc` is not a decimal number",
        "13:12 currencies.point.scale: a whole number is expected here, not a text",
        "14:3 currencies.Star: `Star` is no name: names are a-z, 0-9, - and _, begin with a letter and have at most 40 characters",
        "18:64 tiers.club.levels[1].rate.point: `x` is not a decimal number",
        "22:14 campaigns.base.holdout: 1.5 is no share: shares are 0 to 1, a tenth is 0.1",
        "23:23 campaigns.base.schedule.from: a day is written as 2026-03-31",
        "25:56 campaigns.base.rules[0].award.rounding: `halfup` is not known here / did you mean `half_up`?",
        "26:32 campaigns.base.rules[1].limit.per_member.fortnight: `fortnight` is not known here / one of: day, week, month, quarter, year, ever",
        "29:12 campaigns.x.rules: a list is expected here, not a map of keys",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn names_that_lead_nowhere_are_told_at_once_too() {
    let text = "program: test
name: Test
timezone: Asia/Ho_Chi_Min
currency: VNDD
exchange_rates: { USX: 2 }
currencies:
  point: { name: P, expires: { inactivity: P1Y, moved_by: [purchas] }, pending: { until: deliverd }, spend: { step: 0 } }
tiers:
  club:
    measure: { earned: pint }
    levels: [ { id: a, at: 5 }, { id: b, at: 3, rate: { pont: 1 }, benefits: [lounge] }, { id: b, at: 9 } ]
benefits: { longe: { name: Lounge } }
events: { delivered: { data: { stars: { type: text, min: 1 } } }, tier: {} }
campaigns:
  base:
    trigger: purchas
    days_before: 3
    rules: []
  more:
    trigger: purchase
    funded_by: { acme: 0.7, brand: 0.7 }
    budget: { point: 0 }
    rules:
      - award: { currency: poin, amount: event.nett / 10 }
      - issue: { voucher: cake }
      - extra: { currency: point, times: 1, of: bas }
      - when: event.total > 5
stacking: { order: [ { exclusive: [bse] } ] }
limits: { per_member: { pt: { day: -1 } } }
";
    let expected = [
        "3:11 timezone: there is no time zone \"Asia/Ho_Chi_Min\"; zones are named as Asia/Ho_Chi_Minh or Europe/London",
        "4:11 currency: `VNDD` is no ISO 4217 currency such as VND, THB or USD",
        "5:24 exchange_rates.USX: `USX` is no ISO 4217 currency",
        "7:59 currencies.point.expires.moved_by: there is no event type `purchas` / did you mean `purchase`?",
        "7:90 currencies.point.pending.until: there is no event type `deliverd` / did you mean `delivered`?",
        "7:117 currencies.point.spend.step: 0 leaves nothing: a number above 0 is expected",
        "10:14 tiers.club.measure: there is no currency `pint` / did you mean `point`?",
        "11:28 tiers.club.levels[0].at: the first level is the base and begins at 0",
        "11:33 tiers.club.levels[1]: there is no benefit `lounge` / did you mean `longe`?",
        "11:33 tiers.club.levels[1]: there is no currency `pont` / did you mean `point`?",
        "11:46 tiers.club.levels[1].at: 3 is not above the level before",
        "11:90 tiers.club.levels[2]: the level `b` stands here twice",
        "13:39 events.delivered.data.stars: only numbers have `min` and `max`",
        "13:73 events.tier: `tier` is a name of the program's own: choose another",
        "16:14 campaigns.base.trigger: there is no trigger `purchas` / did you mean `purchase`?",
        "17:18 campaigns.base.days_before: only `trigger: birthday` has `days_before`",
        "18:12 campaigns.base.rules: a campaign has at least one rule",
        "21:16 campaigns.more.funded_by: the shares add up to 1.4, more than the whole",
        "22:22 campaigns.more.budget.point: 0 leaves nothing: a number above 0 is expected",
        "24:16 campaigns.more.rules[0].award: there is no currency `poin` / did you mean `point`?",
        "24:42 campaigns.more.rules[0].award.amount: there is no `event.nett` here in `event.nett / 10` / did you mean `event.net`?",
        "25:16 campaigns.more.rules[1].issue: there is no voucher `cake` / the document has no voucher",
        "26:16 campaigns.more.rules[2].extra: 1 times adds nothing: a number above 1 is expected",
        "26:16 campaigns.more.rules[2].extra: there is no campaign `bas` / did you mean `base`?",
        "27:9 campaigns.more.rules[3]: this rule does nothing / give it award, extra, issue, grant, badge or spend",
        "28:35 stacking.order[0].exclusive: there is no campaign `bse` / did you mean `base`?",
        "29:29 limits.per_member.pt: there is no currency `pt` / there are: point",
        "29:36 limits.per_member.pt.day: -1 leaves nothing: a number above 0 is expected",
    ];
    assert_eq!(problems(text), expected);
}

/// A program with one base campaign of this formula and more.
fn with(currency: &str, amount: &str, more: &str) -> String {
    document(&format!(
        "currencies:
  point: {{ name: Point, {currency} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: {amount} }} }} ] }}
{more}"
    ))
}

const NEVER: &str = "expires: never";

#[rstest]
#[case::a_rule_that_never_matches(
    with(
        NEVER,
        "event.net / 1000",
        "  no: { trigger: purchase, rules: [ { when: event.total > 5 and event.total < 3, award: { currency: point, amount: 1 } } ] }"
    ),
    "this rule can never match"
)]
#[case::a_text_that_is_two(
    with(
        NEVER,
        "event.net / 1000",
        "  no: { trigger: purchase, rules: [ { when: event.channel == \"a\" and event.channel == \"b\", award: { currency: point, amount: 1 } } ] }"
    ),
    "this rule can never match"
)]
#[case::nobody_in_the_audience(
    with(
        NEVER,
        "event.net / 1000",
        "  no: { trigger: purchase, audience: member.purchases >= 3 and (member.purchases < 3), rules: [ { award: { currency: point, amount: 1 } } ] }"
    ),
    "no member can ever match"
)]
#[case::false_for_ever(
    with(
        NEVER,
        "event.net / 1000",
        "  no: { trigger: purchase, rules: [ { when: false, award: { currency: point, amount: 1 } } ] }"
    ),
    "this rule can never match"
)]
#[case::an_extra_of_nothing(with(NEVER, "event.net / 1000", "  no: { trigger: purchase, earning: bonus, rules: [ { extra: { currency: star, times: 2 } } ] }").replace("currencies:\n", "currencies:\n  star: { name: S, expires: never }\n"), "there are no base points in star to multiply")]
#[case::a_day_that_never_comes(
    with(
        NEVER,
        "event.net / 1000",
        "  no: { trigger: purchase, schedule: { from: 2026-03-02, until: 2026-03-03, weekdays: [sun] }, rules: [ { award: { currency: point, amount: 1 } } ] }"
    ),
    "none of its weekdays lies between its first and last day"
)]
#[case::points_from_nothing(
    with(
        NEVER,
        "event.net / 1000",
        "  no: { trigger: balance, rules: [ { award: { currency: point, amount: 1 } } ] }"
    ),
    "this award moves a balance, which starts the campaign again: points from nothing"
)]
#[case::dead_before_they_mature(
    with("expires: { after: P1M }, pending: P31D", "event.net / 1000", ""),
    "points mature after P31D but expire after P1M: they are dead before they can be spent"
)]
#[case::out_of_reach_by_what_counts(with(NEVER, "event.net / 1000", "tiers: { club: { measure: { earned: star }, levels: [ { id: a, at: 0 }, { id: b, at: 5 } ] } }").replace("currencies:\n", "currencies:\n  star: { name: S, expires: never }\n"), "nobody can reach `b`: nothing that counts gives so much")]
#[case::out_of_reach_by_a_limit(
    with(
        NEVER,
        "event.net / 1000",
        "tiers: { club: { measure: { earned: point }, levels: [ { id: a, at: 0 }, { id: b, at: 500 } ] } }\nlimits: { per_member: { point: { year: 499 } } }"
    ),
    "nobody can reach `b`: nothing that counts gives so much"
)]
#[case::a_money_pump(
    with("expires: never, value: 1000", "event.net / 1000", ""),
    "a money pump: at best 100000 point for 100,000,000 VND are worth as much as was paid, or more"
)]
#[case::a_money_pump_at_the_best_level(
    with(
        "expires: never, value: 100",
        "event.net / 1000",
        "tiers: { club: { measure: spend, levels: [ { id: a, at: 0 }, { id: b, at: 5, rate: { point: 10 } } ] } }"
    ),
    "a money pump: at best 1000000 point for 100,000,000 VND are worth as much as was paid, or more"
)]
fn what_is_probably_not_meant_is_a_warning(#[case] text: String, #[case] expected: &str) {
    let document = read_document(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let found: Vec<&str> = document.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(found, [expected]);
    let finding = &document.findings[0];
    assert!(
        finding.severity == Severity::Warning && finding.suggestion.is_some() && finding.at.line > 3,
        "{finding:?}"
    );
}

#[rstest]
#[case::a_condition_that_can_hold(with(
    NEVER,
    "event.net / 1000",
    "  yes: { trigger: purchase, rules: [ { when: event.total > 3 and event.total <= 5 or event.total == 9, award: { currency: point, amount: 1 } } ] }"
))]
#[case::either_text(with(
    NEVER,
    "event.net / 1000",
    "  yes: { trigger: purchase, rules: [ { when: event.channel == \"a\" or event.channel == \"b\", award: { currency: point, amount: 1 } } ] }"
))]
#[case::maturity_counts(with(
    "expires: { after: P1M }, pending: { for: P31D, expiry_counts_from: maturity }",
    "event.net / 1000",
    ""
))]
#[case::worth_less(with("expires: never, value: 999", "event.net / 1000", ""))]
fn what_is_meant_is_no_warning(#[case] text: String) {
    assert_eq!(problems(&text), Vec::<String>::new());
}

#[rstest]
#[case::a_value("expires: never, value: 79228162514264337593543950335", "event.net / 1000", "")]
#[case::a_formula("expires: never, value: 5", "event.net * 700000000000000000000", "")]
#[case::a_rate_and_extras("expires: never, value: 5", "event.net / 1000", "  x: { trigger: purchase, earning: bonus, rules: [ { extra: { currency: point, times: 79228162514264337593543950335 } } ] }
  y: { trigger: purchase, earning: bonus, rules: [ { extra: { currency: point, times: 79228162514264337593543950335 } } ] }
tiers: { club: { measure: spend, levels: [ { id: a, at: 0 }, { id: b, at: 5, rate: { point: 79228162514264337593543950335 } } ] } }")]
fn a_money_pump_of_numbers_beyond_all_arithmetic_is_still_one(
    #[case] currency: &str,
    #[case] amount: &str,
    #[case] more: &str,
) {
    let found = problems(&with(currency, amount, more));
    assert!(found.len() == 1 && found[0].contains("a money pump: at best "), "{found:?}");
}

#[test]
fn m2_a_fraction_of_a_line_cannot_be_carried() {
    let text = with(NEVER, "event.net / 1000, per: line, fraction: carry", "");
    assert_eq!(
        problems(&text),
        [
            "8:48 campaigns.base.rules[0].award: what is rounded line by line has no one fraction to carry: leave `per` or `fraction` out"
        ]
    );
}

#[rstest]
#[case::empty("", "the document is empty")]
#[case::blank("   \n# nothing\n", "the document is empty")]
#[case::two_documents("a: 1\n---\nb: 2\n", "a file holds one document, this is a second")]
#[case::a_list("- 1\n", "a map of keys is expected here, not a list")]
#[case::a_text("hello", "a map of keys is expected here, not a text")]
#[case::a_key_twice("program: a\nprogram: b\n", "`program` stands here twice, first in line 1")]
#[case::an_open_bracket("program: [", "this is not YAML or JSON")]
#[case::an_alias_to_nothing("program: *a\n", "this is not YAML or JSON")]
#[case::a_key_that_is_a_list("? [a]\n: 1\n", "a key is a plain text")]
fn texts_that_are_no_document_say_so(#[case] text: &str, #[case] message: &str) {
    let found = problems(text);
    assert!(found.iter().any(|found| found.contains(message)), "{found:?}");
}

#[test]
fn hostile_documents_are_refused_not_suffered() {
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain(
            (1..12).map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "))),
        )
        .collect();
    let deep_flow = format!("program: {}{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_block: String = (0..20_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let wide: String = (0..300_000).map(|number| format!("k{number}: 1\n")).collect();
    let deep_expression = with(NEVER, &format!("\"{}1{}\"", "(".repeat(900), ")".repeat(900)), "");
    let chain = with(NEVER, &format!("\"{}1\"", "1 + ".repeat(490)), "");
    for (name, text) in [
        ("alias bomb", bomb),
        ("deep lists", deep_flow),
        ("deep maps", deep_block),
        ("wide", wide),
        ("huge", "# ".to_owned() + &"x".repeat(3 << 20)),
        ("a huge text", with(NEVER, &format!("\"{}\"", "9".repeat(1 << 20)), "")),
        ("a self reference", "a: &a [*a]\n".to_owned()),
    ] {
        assert!(read_document(&text).is_err(), "{name} was taken");
    }
    for text in [chain, deep_expression] {
        assert_eq!(problems(&text), Vec::<String>::new(), "long and deep is fine within its bound");
    }
}

#[test]
fn json_is_read_as_well_and_the_schema_is_published() {
    let text = r#"{"program": "test", "name": "Test", "timezone": "Asia/Bangkok", "currency": "THB",
        "currencies": {"point": {"name": {"th": "แต้ม"}, "expires": "never", "value": 0.25}}}"#;
    let document = read_document(text).unwrap();
    assert_eq!(document.definition.currencies.values().next().unwrap().value.unwrap().0.to_string(), "0.25");
    let schema = json_schema();
    assert!(schema["properties"]["campaigns"].is_object() && schema["title"] == "Tessera program");
}
