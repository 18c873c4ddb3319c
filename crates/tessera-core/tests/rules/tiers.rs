//! T1-T8: what a level measures, when it is reached, kept and lost.

use rstest::rstest;
use tessera_core::decide::{EffectKind, tier_standings};
use tessera_testkit::shop::{Shop, at, count_of, json::*, level};

/// One point per 1,000 and a ladder with these settings; silver at 100, gold at 500.
fn ladder(settings: &str) -> String {
    let measure = if settings.contains("measure") { "" } else { "measure: { earned: point }, " };
    format!(
        "
currencies: {{ point: {{ name: Point, expires: {{ after: P1M }} }}, star: {{ name: Star, expires: never }} }}
tiers: {{ club: {{ {measure}{settings}levels: [ {{ id: blue, at: 0 }}, {{ id: silver, at: 100 }}, {{ id: gold, at: 500 }} ] }} }}
events: {{ visit: {{}} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}
  gift: {{ trigger: purchase, earning: bonus, rules: [ {{ when: event.tip > 0, award: {{ currency: point, amount: 100 }} }} ] }}
"
    )
}

fn seen(shop: &Shop, time: &str) -> String {
    level(&shop.versions, &shop.seen_at(time), "club")
}

#[test]
fn t1_spending_and_expiry_never_lower_the_measure() {
    let mut shop = Shop::new(&ladder(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    shop.adjust("2026-03-03T09:00", "point", -60).unwrap();
    shop.wake("2026-05-01T00:00");
    assert_eq!((shop.available("point"), shop.level("club").as_str()), (0, "silver"));
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), "100".to_owned())]);
}

#[rstest]
#[case::base_by_default("measure: { earned: point }, ", "50")]
#[case::all("measure: { earned: point, counts: all }, ", "150")]
#[case::spend("measure: spend, ", "50000")]
#[case::purchases("measure: { events: purchase }, ", "1")]
#[case::visits("measure: { events: visit }, ", "1")]
fn t1_what_counts_is_net_of_returns(#[case] measure: &str, #[case] sum: &str) {
    let mut shop = Shop::new(&ladder(measure));
    shop.send("2026-03-01T09:00", "visit", "{}");
    let start = shop.measured("club");
    shop.send(
        "2026-03-02T09:00",
        "purchase",
        &sale_with("o1", &[("A", "x", 1, 50_000)], r#", "tip": 1000, "total": 51000"#),
    );
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), sum.to_owned())]);
    shop.send("2026-03-03T09:00", "return", &back_all("o1"));
    assert_eq!(shop.measured("club"), start);
}

#[rstest]
#[case::calendar_year("window: calendar_year, ", "2027-01-01", false)]
#[case::calendar_year_before("window: calendar_year, ", "2026-12-31", true)]
#[case::anniversary_before("window: anniversary, ", "2027-03-09", true)]
#[case::anniversary("window: anniversary, ", "2027-03-10", false)]
#[case::rolling_before("window: { rolling: P3M }, ", "2026-06-09", true)]
#[case::rolling("window: { rolling: P3M }, ", "2026-06-10", false)]
fn t2_two_purchases_count_together_only_in_one_window(
    #[case] window: &str,
    #[case] second: &str,
    #[case] together: bool,
) {
    let mut shop = Shop::new(&ladder(window));
    shop.send("2026-03-10T09:00", "purchase", &sale("o1", 60_000));
    shop.send(&format!("{second}T09:00"), "purchase", &sale("o2", 60_000));
    assert_eq!(shop.level("club"), if together { "silver" } else { "blue" });
}

#[test]
fn t2_a_transaction_belongs_to_its_business_day() {
    let mut shop = Shop::new(&format!("day_starts: \"04:00\"{}", ladder("")));
    shop.send("2026-12-31T09:00", "purchase", &sale("o1", 60_000));
    shop.send("2027-01-01T03:30", "purchase", &sale("o2", 60_000));
    assert_eq!(shop.level("club"), "silver", "half past three on New Year's morning is still the old year");
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), "120".to_owned())]);
}

#[test]
fn t2_a_leap_day_membership_year_begins_on_28_february() {
    let mut shop = Shop::new(&ladder("window: anniversary, "));
    shop.send("2024-02-29T09:00", "purchase", &sale("o1", 60_000));
    shop.send("2025-02-27T09:00", "purchase", &sale("o2", 30_000));
    shop.send("2025-02-28T09:00", "purchase", &sale("o3", 20_000));
    let expected = [("2024-02-29", "90"), ("2025-02-28", "20")];
    assert_eq!(shop.measured("club"), expected.map(|(day, sum)| (day.to_owned(), sum.to_owned())));
}

#[rstest]
#[case::next_year("", "2027-12-31T23:59", "2028-01-01T00:00")]
#[case::this_year("holds_to: current, ", "2026-12-31T23:59", "2027-01-01T00:00")]
#[case::with_grace("holds_to: current, down: { grace: P30D }, ", "2027-01-30T23:59", "2027-01-31T00:00")]
#[case::rolling("window: { rolling: P6M }, holds_to: current, ", "2027-06-29T23:59", "2027-06-30T00:00")]
#[case::rolling_next("window: { rolling: P6M }, ", "2027-06-30T23:59", "2027-07-01T00:00")]
#[case::anniversary("window: anniversary, holds_to: current, ", "2027-12-29T23:59", "2027-12-30T00:00")]
fn t3_a_level_reached_on_30_december_holds_to_the_end_of_its_period(
    #[case] settings: &str,
    #[case] last: &str,
    #[case] lost: &str,
) {
    let mut shop = Shop::new(&ladder(settings));
    let decision = shop.send("2026-12-30T09:00", "purchase", &sale("o1", 100_000));
    assert_eq!(count_of(&decision, EffectKind::TierUp), 1, "up at once");
    assert_eq!(seen(&shop, last), "silver");
    assert_eq!(seen(&shop, lost), "blue", "a period ends exclusive: at midnight the review has happened");
    let standings = tier_standings(shop.versions.head(), &shop.state(), at("2026-12-30T09:00"));
    assert_eq!(standings[0].holds_until, Some(at(lost)));
    let decision = shop.wake(lost);
    assert_eq!(count_of(&decision, EffectKind::TierDown), 1);
}

#[rstest]
#[case::one_down_by_default("", ["silver", "silver", "blue"])]
#[case::to_earned("down: { to: to_earned }, ", ["blue", "blue", "blue"])]
#[case::to_base("down: { to: to_base }, ", ["blue", "blue", "blue"])]
fn t3_down_only_at_review(#[case] settings: &str, #[case] expected: [&str; 3]) {
    let mut shop = Shop::new(&ladder(&format!("holds_to: current, {settings}")));
    shop.send("2026-05-02T09:00", "purchase", &sale("o1", 600_000));
    assert_eq!(seen(&shop, "2026-12-31T23:59"), "gold");
    let levels = ["2027-01-01T00:00", "2027-12-31T23:59", "2028-01-01T00:00"].map(|time| seen(&shop, time));
    assert_eq!(levels.each_ref().map(String::as_str), expected);
}

#[rstest]
#[case::one_down("one_down", "silver")]
#[case::to_earned("to_earned", "silver")]
#[case::to_base("to_base", "blue")]
fn t3_to_earned_keeps_what_the_last_period_earned(#[case] to: &str, #[case] expected: &str) {
    let mut shop = Shop::new(&ladder(&format!("down: {{ to: {to} }}, ")));
    shop.send("2026-05-02T09:00", "purchase", &sale("o1", 600_000));
    shop.send("2027-05-02T09:00", "purchase", &sale("o2", 150_000));
    assert_eq!(shop.level("club"), "gold", "gold of 2026 holds to the end of 2027");
    assert_eq!(seen(&shop, "2028-01-01T00:00"), expected);
    assert_eq!(seen(&shop, "2029-01-01T00:00"), "blue");
}

#[test]
fn t3_what_is_earned_again_in_time_renews_the_level() {
    let mut shop = Shop::new(&ladder(""));
    shop.send("2026-05-02T09:00", "purchase", &sale("o1", 100_000));
    shop.send("2027-12-31T23:00", "purchase", &sale("o2", 100_000));
    assert_eq!(seen(&shop, "2028-12-31T23:59"), "silver");
    assert_eq!(seen(&shop, "2029-01-01T00:00"), "blue");
}

#[test]
fn t3_a_new_document_takes_no_level_before_its_period_ends() {
    let mut shop = Shop::new(&ladder(""));
    shop.send("2026-05-02T09:00", "purchase", &sale("o1", 100_000));
    shop.publish("2026-06-01T00:00", &ladder("").replace("id: silver, at: 100", "id: silver, at: 300"));
    assert_eq!(seen(&shop, "2026-06-01T00:00"), "silver");
    shop.send("2026-07-02T09:00", "purchase", &sale("o2", 1_000));
    assert_eq!(shop.level("club"), "silver", "a purchase is no review");
    assert_eq!(seen(&shop, "2027-12-31T23:59"), "silver");
    assert_eq!(seen(&shop, "2028-01-01T00:00"), "blue");
}

#[rstest]
#[case::noticed_at_once(true)]
#[case::noticed_years_later(false)]
fn t3_each_review_is_by_the_version_in_force_when_it_fell_due(#[case] woken: bool) {
    let mut shop = Shop::new(&ladder("holds_to: current, down: { to: one_down }, "));
    shop.send("2026-05-02T09:00", "purchase", &sale("o1", 600_000));
    shop.publish("2027-06-01T00:00", &ladder("holds_to: current, down: { to: to_base }, "));
    if woken {
        shop.wake("2027-01-01T00:00");
        shop.wake("2028-01-01T00:00");
    }
    let decision = shop.send("2029-02-02T09:00", "purchase", &sale("o2", 1_000));
    let downs: Vec<_> = shop
        .member()
        .events
        .iter()
        .flat_map(|event| {
            let downs = event.record.effects.iter().filter(|effect| effect.kind == EffectKind::TierDown);
            downs.map(|effect| (event.effective_at, effect.level.as_ref().unwrap().to_string(), event.version))
        })
        .collect();
    let expected = [(at("2027-01-01T00:00"), "silver".to_owned(), 1), (at("2028-01-01T00:00"), "blue".to_owned(), 2)];
    assert_eq!(downs, expected, "{:?}", decision.outcome.effects);
}

#[rstest]
#[case::just_short(99_999, "blue")]
#[case::exactly(100_000, "silver")]
#[case::skipping_one(500_000, "gold")]
#[case::nothing(0, "blue")]
fn t4_thresholds_are_inclusive_and_the_highest_satisfied_wins(#[case] total: i64, #[case] expected: &str) {
    let mut shop = Shop::new(&ladder(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", total));
    assert_eq!(shop.level("club"), expected);
}

fn rates(settings: &str) -> String {
    format!(
        "
currencies: {{ point: {{ name: Point, expires: never }} }}
tiers:
  club:
    {settings}
    levels: [ {{ id: blue, at: 0 }}, {{ id: silver, at: 100, rate: {{ point: 2 }} }}, {{ id: gold, at: 400, rate: {{ point: 3 }} }} ]
campaigns: {{ base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }} }}
"
    )
}

#[rstest]
#[case::before("measure: { earned: point }", 300)]
#[case::marginal("measure: { earned: point }\n    crossing: marginal", 100 + 2 * 150 + 3 * 50)]
fn t5_an_order_that_crosses_earns_at_the_rate_before_it_or_each_part_at_its_own(
    #[case] settings: &str,
    #[case] points: i64,
) {
    let mut shop = Shop::new(&rates(settings));
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 300_000));
    assert_eq!(shop.available("point"), points);
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), points.to_string())]);
    assert!(decision.trace.iter().any(|trace| trace.applied));
}

#[test]
fn t5_marginal_by_spend_and_with_decimals() {
    let mut shop = Shop::new(
        &rates("measure: spend\n    crossing: marginal")
            .replace("at: 100,", "at: 100000,")
            .replace("at: 400,", "at: 400000,"),
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 500_000));
    assert_eq!(shop.available("point"), 100 + 2 * 300 + 3 * 100);

    let mut shop = Shop::new(
        &rates("measure: { earned: point }\n    crossing: marginal")
            .replace("expires: never", "expires: never, scale: 2"),
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 300_000));
    assert_eq!(shop.available("point"), 100 * (100 + 2 * 150 + 3 * 50), "a scale of 2 changes nothing but the unit");
}

#[test]
fn t5_marginal_begins_at_the_level_that_is_held() {
    let mut shop = Shop::new(&rates("measure: { earned: point }\n    crossing: marginal"));
    shop.send("2026-12-30T09:00", "purchase", &sale("o1", 100_000));
    assert_eq!((shop.available("point"), shop.level("club").as_str()), (100, "silver"));
    shop.send("2027-01-02T09:00", "purchase", &sale("o2", 10_000));
    assert_eq!(shop.available("point"), 120, "silver of last year, though this year's measure begins at 0");
}

#[rstest]
#[case::at_once("", "blue", "blue")]
#[case::at_review("return_undoes: at_review, ", "silver", "blue")]
fn t6_a_return_that_undoes_the_crossing_takes_the_level_as_set(
    #[case] setting: &str,
    #[case] after: &str,
    #[case] reviewed: &str,
) {
    let mut shop = Shop::new(&ladder(setting));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 60_000));
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 60_000));
    shop.send("2026-03-04T09:00", "return", &back_all("o1"));
    assert_eq!(shop.level("club"), after);
    shop.send("2026-03-05T09:00", "purchase", &sale("o3", 1_000));
    assert_eq!(shop.level("club"), after, "a later purchase is no review");
    assert_eq!(seen(&shop, "2028-01-01T00:00"), reviewed);
    assert_eq!(seen(&shop, "2027-12-31T23:59"), after);
}

#[test]
fn t6_what_else_sustains_the_level_keeps_it() {
    let mut shop = Shop::new(&ladder(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("last-year", 100_000));
    shop.send("2027-03-02T09:00", "purchase", &sale("this-year", 100_000));
    shop.send("2027-03-03T09:00", "return", &back_all("this-year"));
    assert_eq!(shop.level("club"), "silver", "last year's is enough until the end of this one");
    shop.send("2027-03-04T09:00", "return", &back_all("last-year"));
    assert_eq!(shop.level("club"), "blue");
}

#[rstest]
#[case::all("{ all: { spend: 100000, visits: 2 } }", [false, false, true])]
#[case::any("{ any: { spend: 100000, visits: 2 } }", [true, true, true])]
#[case::two_of_three("{ at_least: 2, of: { spend: 100000, visits: 2, points: 5000 } }", [false, false, true])]
#[case::one_of_three("{ at_least: 1, of: { spend: 100000, visits: 2, points: 5000 } }", [true, true, true])]
fn t7_several_conditions(#[case] threshold: &str, #[case] reached: [bool; 3]) {
    let program = format!(
        "
currencies: {{ point: {{ name: Point, expires: never }} }}
tiers:
  club:
    measures: {{ spend: spend, visits: {{ events: visit }}, points: {{ earned: point }} }}
    levels: [ {{ id: blue, at: {{ all: {{ spend: 0 }} }} }}, {{ id: gold, at: {threshold} }} ]
events: {{ visit: {{}} }}
campaigns: {{ base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }} }}
"
    );
    let mut shop = Shop::new(&program);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    let after_spend = shop.level("club") == "gold";
    shop.send("2026-03-02T10:00", "visit", "{}");
    let after_one = shop.level("club") == "gold";
    shop.send("2026-03-02T11:00", "visit", "{}");
    assert_eq!([after_spend, after_one, shop.level("club") == "gold"], reached);
}

#[test]
fn t8_what_is_missing_to_rise_and_to_stay() {
    let mut shop = Shop::new(&ladder(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 120_000));
    shop.send("2027-03-02T09:00", "purchase", &sale("o2", 30_000));
    let state = shop.state();
    let standings = tier_standings(shop.versions.head(), &state, at("2027-03-02T09:00"));
    let club = &standings[0];
    let only = |map: &std::collections::BTreeMap<_, tessera_core::quantity::Amount>| {
        map.values().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!((club.level.as_str(), club.next_level.as_ref().unwrap().as_str()), ("silver", "gold"));
    assert_eq!(
        (only(&club.measured), only(&club.missing_to_rise), only(&club.missing_to_stay)),
        (vec!["30".into()], vec!["470".into()], vec!["70".into()])
    );
    assert_eq!(club.holds_until, Some(at("2028-01-01T00:00")));
}

#[test]
fn t1_the_level_before_is_what_expressions_and_outcomes_see() {
    let program = format!(
        "{}  hello: {{ trigger: purchase, audience: member.tier.club == \"blue\", rules: [ {{ award: {{ currency: star, amount: 1 }} }} ] }}\n",
        ladder("")
    );
    let mut shop = Shop::new(&program);
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 30_000));
    assert_eq!(decision.outcome.tiers.values().next().unwrap().as_str(), "blue");
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 70_000));
    shop.send("2026-03-04T09:00", "purchase", &sale("o3", 70_000));
    assert_eq!(shop.available("star"), 2, "the first two find a blue member, also once something was measured");
}
