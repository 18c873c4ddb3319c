//! C1, C2, C5: limits, their windows, and budgets.

use rstest::rstest;
use tessera_core::decide::{EffectKind, Reason};
use tessera_testkit::shop::{Shop, count_of, json::*};

use crate::common::{points_and, points_with};

/// A bonus of one per 1,000 beside base, with this limit.
fn bonus(limit: &str) -> String {
    points_and(
        "",
        &format!(
            "  bonus: {{ trigger: purchase, earning: bonus, {limit} rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}"
        ),
    )
}

#[test]
fn c1_a_cap_met_in_mid_event_gives_what_fits_and_says_so() {
    let mut shop = Shop::new(&bonus("limit: { per_member: { day: 50 } },"));
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    assert!(decision.outcome.effects.iter().all(|effect| effect.capped_by.is_none()));
    let decision = shop.send("2026-03-02T10:00", "purchase", &sale("o2", 40_000));
    assert_eq!(shop.available("point"), 80 + 50);
    let capped = decision.outcome.effects.iter().find(|effect| effect.capped_by.is_some()).unwrap();
    assert_eq!(
        (capped.amount, capped.wanted, capped.capped_by.as_deref()),
        (Some(10), Some(40), Some("campaign/bonus/day"))
    );
    let reason = &decision
        .trace
        .iter()
        .find(|trace| trace.campaign.as_ref().is_some_and(|campaign| campaign.as_str() == "bonus"))
        .unwrap()
        .reason;
    assert!(matches!(reason, Reason::Capped { wanted: 40, amount: 10, .. }), "{reason:?}");
    let decision = shop.send("2026-03-02T11:00", "purchase", &sale("o3", 40_000));
    let capped = decision.outcome.effects.iter().find(|effect| effect.capped_by.is_some()).unwrap();
    assert_eq!((capped.amount, capped.wanted), (Some(0), Some(40)), "also when nothing is left");
}

#[rstest]
#[case::the_rule(
    "rules: [ { award: { currency: point, amount: event.net / 1000 }, limit: { per_member: { day: 30 } } } ]",
    "",
    70
)]
#[case::the_campaign(
    "limit: { per_member: { day: 30 } }, rules: [ { award: { currency: point, amount: event.net / 1000 } } ]",
    "",
    70
)]
#[case::one_event_of_the_rule(
    "rules: [ { award: { currency: point, amount: event.net / 1000 }, limit: { per_event: 30 } } ]",
    "",
    70
)]
#[case::one_event_of_the_campaign(
    "limit: { per_event: 30 }, rules: [ { award: { currency: point, amount: event.net / 1000 } } ]",
    "",
    70
)]
#[case::the_member(
    "rules: [ { award: { currency: point, amount: event.net / 1000 } } ]",
    "limits: { per_member: { point: { day: 70 } } }",
    70
)]
#[case::the_program(
    "rules: [ { award: { currency: point, amount: event.net / 1000 } } ]",
    "limits: { program: { point: { day: 70 } } }",
    70
)]
#[case::one_event(
    "rules: [ { award: { currency: point, amount: event.net / 1000 } } ]",
    "limits: { per_event: { point: 70 } }",
    70
)]
#[case::the_tightest_of_all(
    "limit: { per_member: { day: 35 } }, rules: [ { award: { currency: point, amount: event.net / 1000 }, limit: { per_member: { week: 30 } } } ]",
    "limits: { per_member: { point: { day: 60 } } }",
    60
)]
#[case::the_balance("rules: [ { award: { currency: point, amount: event.net / 1000 } } ]", "", 80)]
fn c7_caps_go_from_the_rule_to_the_program(#[case] campaign: &str, #[case] limits: &str, #[case] points: i64) {
    let campaign = format!("  bonus: {{ trigger: purchase, earning: bonus, {campaign} }}\n{limits}");
    let mut shop = Shop::new(&points_and("", &campaign));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    assert_eq!(shop.available("point"), points);
}

#[test]
fn c7_the_balance_limit_comes_last_and_counts_what_is_pending() {
    let mut shop = Shop::new(&points_with(", pending: P3D, max_balance: 50"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    let decision = shop.send("2026-03-02T10:00", "purchase", &sale("o2", 40_000));
    assert_eq!(shop.balance("point").pending, 50);
    assert_eq!(decision.outcome.effects[0].capped_by.as_deref(), Some("balance/point"));
    shop.adjust("2026-03-06T10:00", "point", -20).unwrap();
    shop.send("2026-03-06T11:00", "purchase", &sale("o3", 40_000));
    assert_eq!((shop.balance("point").available, shop.balance("point").pending), (30, 20));
    shop.send("2026-03-05T11:00", "purchase", &sale("late", 40_000));
    assert_eq!(
        (shop.balance("point").available, shop.balance("point").pending),
        (30, 20),
        "a late one finds it full as well"
    );
}

#[rstest]
#[case::day("day", "2026-03-04T23:59", "2026-03-05T00:00")]
#[case::week("week", "2026-03-08T23:59", "2026-03-09T00:00")]
#[case::month("month", "2026-03-31T23:59", "2026-04-01T00:00")]
#[case::quarter("quarter", "2026-03-31T23:59", "2026-04-01T00:00")]
#[case::year("year", "2026-12-31T23:59", "2027-01-01T00:00")]
#[case::ever("ever", "2035-12-31T23:59", "")]
fn c2_windows_are_of_program_days(#[case] window: &str, #[case] last: &str, #[case] next: &str) {
    let mut shop = Shop::new(&bonus(&format!("limit: {{ per_member: {{ {window}: 30 }} }},")));
    shop.send("2026-03-04T09:00", "purchase", &sale("o1", 30_000));
    shop.send(last, "purchase", &sale("o2", 10_000));
    let earned = |shop: &Shop| shop.state().purse("point").unwrap().totals.issued.get();
    assert_eq!(earned(&shop), 70, "still the same {window}");
    if !next.is_empty() {
        shop.send(next, "purchase", &sale("o3", 10_000));
        assert_eq!(earned(&shop), 90, "a new {window}");
    }
}

#[test]
fn c2_a_day_begins_at_the_programs_hour() {
    let mut shop = Shop::new(&format!("day_starts: \"04:00\"{}", bonus("limit: { per_member: { day: 30 } },")));
    shop.send("2026-03-04T23:00", "purchase", &sale("o1", 30_000));
    shop.send("2026-03-05T03:59", "purchase", &sale("o2", 10_000));
    shop.send("2026-03-05T04:00", "purchase", &sale("o3", 10_000));
    assert_eq!(shop.available("point"), 30 + 30 + 10 + 10 + 10);
}

#[rstest]
#[case::yes_by_default("", 60)]
#[case::yes(", returns_give_back: true", 60)]
#[case::no(", returns_give_back: false", 30)]
fn c2_a_return_gives_room_back_as_set_and_once(#[case] setting: &str, #[case] points: i64) {
    let mut shop = Shop::new(&bonus(&format!("limit: {{ per_member: {{ day: 30 }}{setting} }},")));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 3, 30_000)]));
    shop.send("2026-03-02T10:00", "return", &back("o1", &[("A", 1)]));
    shop.send("2026-03-02T10:10", "return", &back("o1", &[("A", 2)]));
    assert_eq!(shop.available("point"), 0);
    shop.send("2026-03-02T11:00", "purchase", &sale("o2", 30_000));
    assert_eq!(shop.available("point"), points);
    shop.send("2026-03-02T12:00", "purchase", &sale("o3", 30_000));
    assert_eq!(shop.available("point"), points + 30, "once");
}

#[test]
fn c2_room_goes_back_only_into_windows_still_open() {
    let mut shop = Shop::new(&bonus("limit: { per_member: { day: 30 }, program: { month: 100 } },"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 30_000));
    shop.send("2026-03-03T09:00", "return", &back_all("o1"));
    assert_eq!(shop.state().counters, [], "yesterday's window stays as it was");
    assert_eq!(shop.pools.values().copied().collect::<Vec<_>>(), [0], "the month is still open");
    shop.send("2026-03-03T10:00", "purchase", &sale("o2", 20_000));
    shop.send("2026-04-03T10:00", "return", &back_all("o2"));
    assert_eq!(shop.pools.values().copied().collect::<Vec<_>>(), [20], "March is over");
}

#[rstest]
#[case::a_fixed_amount_counts_times("award: { currency: point, amount: 20 }", "2", [20, 40, 40])]
#[case::times("award: { currency: point, amount: event.net / 1000 }", "{ times: 2 }", [10, 20, 20])]
#[case::points("award: { currency: point, amount: 20 }", "{ points: 30 }", [20, 30, 30])]
#[case::a_formula_counts_points("award: { currency: point, amount: event.net / 1000 }", "15", [10, 15, 15])]
fn c1_a_bare_number_counts_times_where_the_amount_is_fixed(
    #[case] award: &str,
    #[case] cap: &str,
    #[case] points: [i64; 3],
) {
    let mut shop = Shop::new(&format!(
        "
currencies: {{ point: {{ name: Point, expires: never }} }}
campaigns: {{ c: {{ trigger: purchase, rules: [ {{ {award}, limit: {{ per_member: {{ month: {cap} }} }} }} ] }} }}
"
    ));
    for (number, points) in points.into_iter().enumerate() {
        shop.send("2026-03-02T09:00", "purchase", &sale(&number.to_string(), 10_000));
        assert_eq!(shop.available("point"), points);
    }
}

#[test]
fn c5_a_budget_is_shared_by_all_members_and_never_overspent() {
    let mut shop = Shop::new(&bonus("budget: { point: 100 },"));
    for member in 0..4 {
        shop.of_member(member).send("2026-03-02T09:00", "purchase", &sale(&member.to_string(), 40_000));
    }
    let given: Vec<i64> = (0..4).map(|member| shop.of_member(member).available("point") - 40).collect();
    assert_eq!(given, [40, 40, 20, 0]);
    assert_eq!(
        shop.pools.iter().map(|(pool, used)| (pool.as_str(), *used)).collect::<Vec<_>>(),
        [("pool:budget/bonus/point", 100)]
    );
    shop.of_member(1).send("2026-03-03T09:00", "return", &back_all("1"));
    shop.of_member(3).send("2026-03-03T10:00", "purchase", &sale("again", 90_000));
    assert_eq!(shop.available("point"), 40 + 90 + 40, "a return gives the budget back");
}

#[test]
fn c5_what_one_command_causes_in_turn_draws_on_the_same_pools() {
    let mut shop = Shop::new(
        "
currencies: { stamp: { name: Stamp, expires: never } }
campaigns:
  stamps: { trigger: purchase, rules: [ { award: { currency: stamp, amount: event.net / 1000 } } ] }
  full: { trigger: balance, rules: [ { when: member.balance.stamp >= 9, spend: { currency: stamp, amount: 9 }, issue: { voucher: coffee }, limit: { program: { ever: 3 } } } ] }
vouchers: { coffee: { gives: { free_item: { category: coffee } } } }
",
    );
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 18_000));
    assert_eq!(count_of(&decision, EffectKind::VoucherIssued), 2);
    let decision = shop.of_member(1).send("2026-03-02T09:00", "purchase", &sale("o2", 36_000));
    assert_eq!(count_of(&decision, EffectKind::VoucherIssued), 1, "the third of three");
    assert_eq!(shop.available("stamp"), 27);
}

#[test]
fn c5_a_members_own_limit_holds_within_one_command_too_even_a_late_one() {
    let program = "
currencies: { stamp: { name: Stamp, expires: never } }
campaigns:
  stamps: { trigger: purchase, rules: [ { award: { currency: stamp, amount: event.net / 1000 } } ] }
  full: { trigger: balance, rules: [ { when: member.balance.stamp >= 9, spend: { currency: stamp, amount: 9 }, issue: { voucher: coffee }, limit: { per_member: { day: 1 } } } ] }
vouchers: { coffee: { gives: { free_item: { category: coffee } } } }
";
    let mut shop = Shop::new(program);
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 27_000));
    assert_eq!(count_of(&decision, EffectKind::VoucherIssued), 1);
    shop.send("2026-03-05T09:00", "purchase", &sale("o2", 1_000));
    let decision = shop.send("2026-03-04T09:00", "purchase", &sale("late", 1_000));
    assert_eq!(count_of(&decision, EffectKind::VoucherIssued), 1, "one on the 4th");
    let decision = shop.send("2026-03-04T08:00", "purchase", &sale("later", 20_000));
    assert_eq!(count_of(&decision, EffectKind::VoucherIssued), 0, "and no second");
}

#[test]
fn c6_a_campaign_that_is_off_gives_nothing() {
    let mut shop = Shop::new(&bonus("active: false,"));
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 40_000));
    assert_eq!(shop.available("point"), 40);
    assert!(decision.trace.iter().any(|trace| trace.reason == Reason::SwitchedOff));
}

#[rstest]
#[case::before("2026-02-28T23:59", false)]
#[case::on_the_first_day("2026-03-01T00:00", false)]
#[case::the_right_weekday("2026-03-03T07:00", true)]
#[case::until_is_exclusive("2026-03-03T11:00", false)]
#[case::too_early("2026-03-03T06:59", false)]
#[case::the_wrong_weekday("2026-03-04T08:00", false)]
#[case::on_the_last_day("2026-03-31T10:59", true)]
#[case::after("2026-04-07T08:00", false)]
fn c2_schedules_are_of_program_days_and_the_wall_clock(#[case] time: &str, #[case] runs: bool) {
    let mut shop = Shop::new(&bonus(
        "schedule: { from: 2026-03-01, until: 2026-03-31, weekdays: [tue], hours: [\"07:00\", \"11:00\"] },",
    ));
    shop.send(time, "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), if runs { 20 } else { 10 });
}

#[rstest]
#[case::late("2026-03-03T23:30", 20)]
#[case::past_midnight("2026-03-04T01:30", 20)]
#[case::at_its_end("2026-03-04T02:00", 10)]
fn c2_hours_may_go_past_midnight(#[case] time: &str, #[case] points: i64) {
    let mut shop = Shop::new(&format!(
        "day_starts: \"04:00\"{}",
        bonus("schedule: { weekdays: [tue], hours: [\"22:00\", \"02:00\"] },")
    ));
    shop.send(time, "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), points);
}

#[test]
fn c1_a_campaign_s_limit_of_one_event_is_over_all_its_rules() {
    let two = "  bonus: { trigger: purchase, earning: bonus, limit: { per_event: { points: 10 } }, rules: [ { award: { currency: point, amount: 8 } }, { award: { currency: point, amount: 8 } } ] }";
    let mut shop = Shop::new(&points_and("", two));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), 10 + 10);
    shop.send("2026-03-02T10:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 0);
}
