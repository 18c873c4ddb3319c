//! L1-L5, L8, L10: in which order points are spent, and when they die.

use rstest::rstest;
use tessera_core::decide::EffectKind;
use tessera_core::event::{Adjustment, Command, What, read_event};
use tessera_core::ledger::Account;
use tessera_testkit::shop::{Shop, at, balance, id, json::*, lots, sum_of};

use crate::common::{points_and, points_with};

#[test]
fn l1_the_soonest_expiry_pays_first_then_the_earliest_earned_then_the_key() {
    let funded = "  brand: { trigger: purchase, earning: bonus, funded_by: { acme: 1 }, rules: [ { when: event.total == 2000, award: { currency: point, amount: 7 } } ] }";
    let mut shop = Shop::new(&points_and("", funded));
    shop.send("2026-05-02T09:00", "purchase", &sale("o1", 10_000));
    shop.send("2026-03-02T09:00", "purchase", &sale("o2", 20_000));
    shop.send("2026-05-03T09:00", "purchase", &sale("o3", 2_000));
    let purse = shop.state().purse("point").unwrap().clone();
    let order: Vec<(String, Option<String>, i64)> = purse
        .lots
        .iter()
        .map(|lot| {
            (lot.last_day.unwrap().to_string(), lot.funder.as_ref().map(ToString::to_string), lot.remaining.get())
        })
        .collect();
    let day = |text: &str| text.to_owned();
    let acme = Some("acme".to_owned());
    assert_eq!(
        order,
        [(day("2027-03-31"), None, 20), (day("2027-05-31"), None, 12), (day("2027-05-31"), acme.clone(), 7)]
    );
    let decision = shop.adjust("2026-05-04T09:00", "point", -35).unwrap();
    let splits: Vec<(String, i64)> = decision.events[0]
        .entries
        .iter()
        .map(|entry| (entry.lot.as_ref().unwrap().to_string(), entry.amount.get()))
        .collect();
    assert_eq!(
        splits,
        [(day("2027-03-31"), 20), (day("2027-05-31"), 12), (day("2027-05-31/acme"), 3)],
        "entries keep the splits"
    );
}

#[test]
fn l1_what_never_expires_goes_last_and_balance_is_lots_less_debt() {
    let mut shop = Shop::new(&points_with(", expires: never"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    shop.publish("2026-04-01T00:00", &points_with(""));
    shop.send("2026-05-02T09:00", "purchase", &sale("o2", 20_000));
    assert_eq!(shop.lots("point"), [("2027-05-31".to_owned(), 20), ("-".to_owned(), 10)]);
    shop.adjust("2026-05-04T09:00", "point", -25).unwrap();
    assert_eq!(shop.lots("point"), [("-".to_owned(), 5)]);
    shop.adjust("2026-05-04T10:00", "point", -7).unwrap();
    assert_eq!(shop.state().purse("point").unwrap().balance(), -2);
}

#[rstest]
#[case::midnight("", "2027-03-31T23:59", "2027-04-01T00:00")]
#[case::four_in_the_morning("day_starts: \"04:00\"", "2027-04-01T03:59", "2027-04-01T04:00")]
fn l2_a_lot_dies_at_the_end_of_its_last_day_with_no_job_needed(
    #[case] head: &str,
    #[case] last: &str,
    #[case] dead: &str,
) {
    let mut shop = Shop::new(&format!("{head}{}", points_with("")));
    let decision = shop.send("2026-03-15T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(decision.outcome.effects[1].expires_on.unwrap().to_string(), "2027-03-31", "shown as use by 31 March");
    assert_eq!(lots(&shop.seen_at(last), "point").len(), 1);
    assert_eq!(lots(&shop.seen_at(dead), "point"), []);
    let mut late = shop.clone();
    shop.adjust(last, "point", -10).unwrap();
    assert_eq!(shop.balance("point").debt, 0);
    let decision = late.adjust(dead, "point", -10).unwrap();
    assert_eq!(
        (late.balance("point").debt, sum_of(&decision, EffectKind::Expired, "point")),
        (10, 10),
        "judged when spent"
    );
}

#[rstest]
#[case::none("P1Y", "none", "2026-01-31", "2027-01-31")]
#[case::by_day("P1Y", "day", "2026-01-31", "2027-01-31")]
#[case::week("P1Y", "week", "2026-03-18", "2027-03-21")]
#[case::month("P1Y", "month", "2026-03-15", "2027-03-31")]
#[case::quarter("P1Y", "quarter", "2026-04-15", "2027-06-30")]
#[case::year("P1Y", "year", "2026-04-15", "2027-12-31")]
#[case::a_short_month("P1M", "none", "2026-01-31", "2026-02-28")]
#[case::from_the_original_date("P2M", "none", "2026-01-31", "2026-03-31")]
#[case::a_leap_day("P1Y", "none", "2024-02-29", "2025-02-28")]
#[case::six_months("P6M", "none", "2026-08-31", "2027-02-28")]
#[case::added_then_rounded("P1M", "month", "2026-01-31", "2026-02-28")]
#[case::days("P30D", "none", "2026-01-31", "2026-03-02")]
fn l3_the_period_is_added_to_the_business_day_then_rounded(
    #[case] after: &str,
    #[case] round: &str,
    #[case] earned: &str,
    #[case] last: &str,
) {
    let mut shop = Shop::new(&points_with(&format!(", expires: {{ after: {after}, round: {round} }}")));
    shop.send(&format!("{earned}T09:00"), "purchase", &sale("o1", 10_000));
    assert_eq!(shop.lots("point"), [(last.to_owned(), 10)]);
}

#[test]
fn l3_rounding_is_none_unless_set() {
    let mut shop = Shop::new(&points_with(", expires: { after: P1Y }"));
    shop.send("2026-03-15T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(shop.lots("point"), [("2027-03-15".to_owned(), 10)]);
}

#[test]
fn l3_the_end_of_the_day_is_resolved_in_the_zone_and_kept() {
    let mut shop =
        Shop::new(&format!("timezone: America/New_York\ncurrency: USD{}", points_with(", expires: { after: P1M }")));
    // In winter the day begins at 05:00 UTC; a month later summer time holds, and it ends at 04:00 UTC.
    shop.send("2026-02-10T04:59:00Z", "purchase", &sale("o1", 10_000));
    shop.send("2026-02-10T05:00:00Z", "purchase", &sale("o2", 10_000));
    let state = shop.state();
    let ends: Vec<String> =
        state.purse("point").unwrap().lots.iter().map(|lot| lot.expires_at.unwrap().to_string()).collect();
    assert_eq!(ends, ["2026-03-10T04:00:00Z", "2026-03-11T04:00:00Z"]);
    assert_eq!(
        shop.lots("point").iter().map(|(day, _)| day.as_str()).collect::<Vec<_>>(),
        ["2026-03-09", "2026-03-10"]
    );
}

#[rstest]
#[case::this_year("2026-03-15", "2026-12-31", "12-31")]
#[case::on_the_day_itself("2026-12-31", "2026-12-31", "12-31")]
#[case::the_next("2026-07-01", "2027-06-30", "06-30")]
#[case::a_leap_day("2026-03-15", "2027-02-28", "02-29")]
fn l4_points_may_die_on_a_fixed_date(#[case] earned: &str, #[case] last: &str, #[case] fixed: &str) {
    let mut shop = Shop::new(&points_with(&format!(", expires: {{ fixed: \"{fixed}\" }}")));
    shop.send(&format!("{earned}T09:00"), "purchase", &sale("o1", 10_000));
    assert_eq!(shop.lots("point"), [(last.to_owned(), 10)]);
}

const INACTIVITY: &str = ", expires: { inactivity: P6M, moved_by: [purchase, visit] }";

fn with_visits(settings: &str) -> String {
    let campaigns = "
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 3 } } ] }
  review: { trigger: review, rules: [ { award: { currency: point, amount: 5 } } ] }";
    format!("{}events: {{ visit: {{}}, review: {{}} }}", points_and(settings, campaigns))
}

#[test]
fn l4_inactivity_is_one_date_moved_by_qualifying_events() {
    let mut shop = Shop::new(&with_visits(INACTIVITY));
    shop.send("2026-01-10T09:00", "purchase", &sale("o1", 10_000));
    shop.send("2026-05-10T09:00", "visit", "{}");
    shop.send("2026-06-10T09:00", "review", "{}");
    let idle = |shop: &Shop| shop.state().purse("point").unwrap().idle.map(|(day, _)| day.to_string());
    assert_eq!(idle(&shop).as_deref(), Some("2026-11-10"), "a review does not qualify");
    assert_eq!(balance(&shop.seen_at("2026-11-10T23:59"), "point").available, 18);
    assert_eq!(balance(&shop.seen_at("2026-11-11T00:00"), "point").available, 0, "everything dies at once");
}

#[test]
fn l4_the_longest_extension_holds() {
    let mut shop = Shop::new(&with_visits(INACTIVITY));
    shop.send("2026-05-10T09:00", "purchase", &sale("o1", 10_000));
    shop.send("2026-03-10T09:00", "visit", "{}");
    assert_eq!(
        shop.state().purse("point").unwrap().idle.unwrap().0.to_string(),
        "2026-11-10",
        "a late visit does not shorten it"
    );
}

#[test]
fn l4_what_a_first_event_gives_has_a_date_too_even_if_it_moves_none() {
    let mut shop = Shop::new(&with_visits(INACTIVITY));
    shop.send("2026-01-10T09:00", "enrol", "{}");
    assert_eq!(balance(&shop.seen_at("2026-07-10T23:59"), "point").available, 3);
    assert_eq!(balance(&shop.seen_at("2026-07-11T00:00"), "point").available, 0);
    shop.send("2027-01-10T09:00", "review", "{}");
    assert_eq!(shop.available("point"), 5, "long after that date, new points live on");
    assert_eq!(balance(&shop.seen_at("2027-07-10T23:59"), "point").available, 5);
    assert_eq!(balance(&shop.seen_at("2027-07-11T00:00"), "point").available, 0);
}

#[test]
fn l5_a_policy_change_touches_new_lots_only() {
    let mut shop = Shop::new(&points_with(", expires: { after: P12M }"));
    shop.send("2026-01-10T09:00", "purchase", &sale("o1", 10_000));
    shop.publish("2026-02-01T00:00", &points_with(", expires: { after: P1M }"));
    shop.send("2026-02-10T09:00", "purchase", &sale("o2", 20_000));
    assert_eq!(shop.lots("point"), [("2026-03-10".to_owned(), 20), ("2027-01-10".to_owned(), 10)]);
}

#[test]
fn l5_new_points_are_not_drawn_into_an_old_inactivity_date() {
    let mut shop = Shop::new(&points_with(", expires: { inactivity: P6M }"));
    shop.send("2026-01-10T09:00", "purchase", &sale("o1", 10_000));
    shop.publish("2026-02-01T00:00", &points_with(", expires: never"));
    shop.send("2026-02-10T09:00", "purchase", &sale("o2", 20_000));
    assert_eq!(balance(&shop.seen_at("2027-01-01T00:00"), "point").available, 30, "the document now lets them live");

    let mut shop = Shop::new(&points_with(", expires: { inactivity: P6M }"));
    shop.send("2026-01-10T09:00", "purchase", &sale("o1", 10_000));
    shop.publish("2026-02-01T00:00", &points_with(", expires: { after: P24M }"));
    shop.send("2026-02-10T09:00", "purchase", &sale("o2", 20_000));
    assert_eq!(lots(&shop.seen_at("2027-01-01T00:00"), "point"), [("2028-02-10".to_owned(), 20)]);
    let state = shop.seen_at("2027-01-01T00:00");
    assert_eq!(state.wake_at.unwrap().to_string(), "2028-02-10T17:00:00Z", "the next thing due is the new lot");
}

#[test]
fn l5_an_old_inactivity_date_stops_nothing_else_from_falling_due() {
    let mut shop = Shop::new(&points_with(", expires: { after: P12M }"));
    shop.send("2026-01-10T09:00", "purchase", &sale("o1", 10_000));
    shop.publish("2026-02-01T00:00", &points_with(", expires: { inactivity: P1M }"));
    shop.send("2026-02-10T09:00", "purchase", &sale("o2", 20_000));
    let state = shop.seen_at("2027-02-01T00:00");
    assert_eq!(lots(&state, "point"), [], "the idle ones in March, the dated one in January after");
}

#[test]
fn l8_a_backdated_earn_that_would_be_dead_leaves_its_lot_and_its_expiry() {
    let mut shop = Shop::new(&points_with(", expires: { after: P1M }"));
    shop.send("2026-03-15T09:00", "purchase", &sale("now", 10_000));
    let decision = shop.send("2026-01-10T09:00", "purchase", &sale("late", 20_000));
    let main = &decision.events[decision.main];
    let kinds: Vec<_> = main.entries.iter().map(|entry| (entry.kind, entry.amount.get())).collect();
    use tessera_core::ledger::EntryKind::{Accrual, Expiry};
    assert_eq!(kinds, [(Accrual, 20), (Expiry, 20)], "nothing disappears silently");
    assert_eq!(shop.available("point"), 10);
    assert_eq!(sum_of(&decision, EffectKind::Expired, "point"), 20);
}

#[test]
fn l8_holds_for_inactivity_and_for_what_matured_meanwhile() {
    let mut shop = Shop::new(&points_with(", expires: { inactivity: P1M }"));
    shop.send("2026-03-15T09:00", "purchase", &sale("now", 10_000));
    shop.wake("2026-04-16T00:00");
    assert_eq!(shop.available("point"), 0);
    shop.send("2026-03-01T09:00", "purchase", &sale("late", 20_000));
    assert_eq!(shop.available("point"), 0, "its date was 15 April, which is past");

    let mut shop = Shop::new(&points_with(", pending: P3D"));
    shop.send("2026-03-15T09:00", "purchase", &sale("now", 10_000));
    shop.send("2026-03-01T09:00", "purchase", &sale("late", 20_000));
    assert_eq!((shop.balance("point").available, shop.balance("point").pending), (20, 10), "it matured long ago");
}

#[test]
fn l10_all_coming_expiries_are_there_not_only_the_first() {
    let mut shop = Shop::new(&points_with(""));
    for (month, total) in [("01", 10_000), ("02", 20_000), ("05", 30_000)] {
        shop.send(&format!("2026-{month}-10T09:00"), "purchase", &sale(month, total));
    }
    let expected = [("2027-01-31", 10), ("2027-02-28", 20), ("2027-05-31", 30)];
    assert_eq!(shop.lots("point"), expected.map(|(day, left)| (day.to_owned(), left)));
    assert_eq!(shop.state().wake_at.unwrap().to_string(), "2027-01-31T17:00:00Z", "and the first wakes the member");
}

#[test]
fn a_spending_of_more_than_there_is_says_so() {
    let mut shop = Shop::new(&points_with(", overdraft: refuse"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let what = What::Adjust(Adjustment::new(id("point"), -11, "mistake"));
    let time = at("2026-03-03T09:00");
    let refused = shop.apply(Command { effective_at: time, recorded_at: time, what }, "{}").unwrap_err();
    assert_eq!(refused.to_string(), "11 point would be taken back, 10 are there");
    assert_eq!(shop.adjust("2026-03-03T09:00", "point", 0).unwrap_err().code(), "nothing-to-adjust");
    assert_eq!(shop.adjust("2026-03-03T09:00", "star", 5).unwrap_err().code(), "unknown-currency");
}

#[test]
fn l5_what_is_earned_to_live_for_ever_is_not_drawn_into_a_date_that_has_passed() {
    let mut shop = Shop::new(&points_with(", expires: { inactivity: P1M }"));
    shop.send("2026-01-10T09:00", "purchase", &sale("o1", 10_000));
    shop.publish("2026-05-01T00:00", &points_with(", expires: never"));
    shop.send("2026-05-10T09:00", "purchase", &sale("o2", 20_000));
    assert_eq!(shop.lots("point"), [("-".to_owned(), 20)], "the first died in February");
    assert_eq!(balance(&shop.seen_at("2036-01-01T00:00"), "point").available, 20);
}

#[test]
fn l9_imported_lots_keep_their_earn_and_expiry_dates() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: { after: P12M, round: month } }, star: { name: Star, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  stars: { trigger: balance, rules: [ { when: member.balance.point >= 10, award: { currency: star, amount: 1 } } ] }
",
    );
    shop.send("2025-01-10T09:00", "enrol", "{}");
    let lot = |amount: i64, expires: &str| format!(r#"{{"currency": "point", "amount": {amount}{expires}}}"#);
    shop.send("2025-02-03T09:00", "import", &lot(40, r#", "expires": "2026-12-31""#));
    let decision = shop.send("2025-06-20T09:00", "import", &lot(25, ""));
    assert_eq!(sum_of(&decision, EffectKind::Imported, "point"), 25);
    assert_eq!(decision.events[0].entries[0].from, Account::Imported);
    assert_eq!(
        shop.lots("point"),
        [("2026-06-30".to_owned(), 25), ("2026-12-31".to_owned(), 40)],
        "one by the document from the day it was earned, one as it was"
    );
    let purse = shop.state().purse("point").unwrap().clone();
    let earned: Vec<_> = purse.lots.iter().map(|lot| lot.earned_at).collect();
    assert_eq!(earned, [at("2025-06-20T09:00"), at("2025-02-03T09:00")]);
    assert_eq!((purse.totals.imported.get(), purse.totals.issued.get()), (65, 0), "brought in, not earned here");
    assert_eq!(shop.available("star"), 0, "no campaign looks at what was earned elsewhere");
    let later = shop.seen_at("2026-07-01T00:00");
    assert_eq!(balance(&later, "point").available, 40);
}

#[test]
fn l8_an_imported_lot_that_is_dead_already_leaves_a_lot_and_its_expiry() {
    let mut shop = Shop::new(&points_with(""));
    shop.send("2025-01-10T09:00", "enrol", "{}");
    shop.send("2026-05-01T09:00", "purchase", &sale("now", 10_000));
    let dead = r#"{"currency": "point", "amount": 40, "expires": "2026-03-31"}"#;
    let decision = shop.offer(at("2026-03-20T09:00"), at("2026-05-01T10:00"), "import", dead).unwrap();
    assert_eq!(sum_of(&decision, EffectKind::Expired, "point"), 40);
    assert_eq!(shop.available("point"), 10);
}

#[rstest]
#[case::nothing(r#"{"currency": "point", "amount": 0}"#, "data.amount: at least 1")]
#[case::no_currency(r#"{"amount": 5}"#, "currency")]
#[case::a_day_that_is_none(r#"{"currency": "point", "amount": 5, "expires": "2026-02-30"}"#, "data")]
#[case::a_field_too_many(r#"{"currency": "point", "amount": 5, "expire": "2026-02-28"}"#, "expire")]
fn l9_a_lot_that_cannot_be_says_why(#[case] data: &str, #[case] message: &str) {
    let shop = Shop::new(&points_with(""));
    let problem = read_event(&shop.versions.head().definition, "import", data).unwrap_err().to_string();
    assert!(problem.contains(message), "{problem}");
}
