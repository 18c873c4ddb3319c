//! Stamp cards, challenges, streaks and badges: what counts, what it gives, and what a return takes back (R2, C8, I5).

use tessera_core::decide::{Decision, EffectKind, Reason, Rejected, progress};
use tessera_core::event::What;
use tessera_core::program::read_document;
use tessera_testkit::shop::{Shop, at, count_of, document, json::*};

use crate::common::points_and;

fn join(shop: &mut Shop, time: &str, challenge: &str) -> Result<Decision, Rejected> {
    shop.ask(at(time), What::JoinChallenge { challenge: challenge.parse().unwrap() })
}

fn value(shop: &Shop, challenge: &str) -> String {
    let state = shop.state();
    let row = state.challenges.iter().find(|row| row.challenge == *challenge);
    row.map_or_else(|| "-".to_owned(), |row| row.value.to_string())
}

fn holds(shop: &Shop, badge: &str) -> bool {
    shop.state().badges.iter().any(|held| held.badge == *badge)
}

/// The current run and the longest, as the member reads them at a time.
fn run(shop: &Shop, time: &str) -> (u32, u32) {
    let (program, state) = (shop.versions.head().clone(), shop.seen_at(time));
    let streak = &progress(&program, &state, at(time), "en").streaks[0];
    (streak.current, streak.longest)
}

const CARDS: &str = "
currencies: { point: { name: P, expires: never } }
cards:
  coffee: { stamps: 3, when: item.category == \"coffee\", max_per_order: 4, full: { issue: { voucher: free }, award: { currency: point, amount: 5 } } }
vouchers: { free: { gives: { free_item: { category: coffee } } } }
";

#[test]
fn r2_a_stamp_card_fills_gives_and_carries_its_surplus_over() {
    let mut shop = Shop::new(CARDS);
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("L", "coffee", 2, 9), ("T", "tea", 5, 9)]));
    assert_eq!((shop.available("coffee"), shop.available("point")), (2, 0));
    let decision = shop.send("2026-03-02T10:00", "purchase", &lines("o2", &[("L", "coffee", 9, 9)]));
    assert_eq!(count_of(&decision, EffectKind::VoucherIssued), 2, "2 and at most 4 are two full cards");
    assert_eq!((shop.available("coffee"), shop.available("point")), (0, 10));
    shop.send("2026-03-02T11:00", "purchase", &lines("o3", &[("L", "coffee", 2, 9)]));
    shop.send("2026-03-02T12:00", "return", &back("o3", &[("L", 1)]));
    assert_eq!(shop.available("coffee"), 1, "a stamp goes with its cup");
    let view = progress(shop.versions.head(), &shop.state(), at("2026-03-02T12:00"), "vi");
    assert_eq!((view.cards[0].stamps, view.cards[0].missing, view.cards[0].words.as_str()), (1, 2, "1/3: còn thiếu 2"));
}

#[test]
fn r2_a_card_may_lose_its_surplus_and_keep_its_stamps() {
    let settings = "stamps: 3, carry_over: false, on_return: keep,";
    let mut shop = Shop::new(&CARDS.replace("stamps: 3,", settings));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("L", "coffee", 2, 9)]));
    shop.send("2026-03-02T10:00", "return", &back_all("o1"));
    assert_eq!(shop.available("coffee"), 2, "kept");
    let decision = shop.send("2026-03-02T11:00", "purchase", &lines("o2", &[("L", "coffee", 2, 9)]));
    assert_eq!((count_of(&decision, EffectKind::VoucherIssued), shop.available("coffee")), (1, 0));
}

#[test]
fn c8_a_card_per_visit_counts_declared_events() {
    let mut shop = Shop::new(
        "currencies: { point: { name: P, expires: never } }
events: { visit: {} }
cards: { gym: { stamps: 2, per: visit, full: { award: { currency: point, amount: 7 } } } }",
    );
    shop.send("2026-03-02T09:00", "visit", "{}");
    shop.send("2026-03-03T09:00", "visit", "{}");
    assert_eq!((shop.available("gym"), shop.available("point")), (0, 7));
}

#[test]
fn what_is_wrong_with_a_card_is_told_where_it_stands() {
    let problems = |rest: &str| -> Vec<String> {
        let problems = read_document(&document(rest)).expect_err("the document is wrong");
        problems.iter().map(ToString::to_string).collect()
    };
    let found = problems(&CARDS.replace("voucher: free }", "voucher: fre }").replace("stamps: 3", "stamps: 0"));
    assert!(
        found.iter().any(|problem| problem.contains("cards.coffee.full.issue") && problem.contains("`free`")),
        "{found:?}"
    );
    assert!(found.iter().any(|problem| problem.contains("cards.coffee.stamps")), "{found:?}");
    let found = problems(&CARDS.replace("{ point: {", "{ coffee: { name: C, expires: never }, point: {"));
    assert!(found.iter().any(|problem| problem.contains("has a currency `coffee` already")), "{found:?}");
}

/// Points for money, and a challenge beside it.
fn challenge(settings: &str) -> String {
    let rest = format!(
        "challenges:\n  tour: {{ {settings} }}\nbadges: {{ bronze: {{ name: Bronze }}, silver: {{ name: Silver }} }}\nevents: {{ visit: {{ data: {{ place: text }} }} }}\n"
    );
    points_and("", &rest)
}

#[test]
fn c8_steps_give_badges_and_points_as_events_of_their_own() {
    let mut shop = Shop::new(&challenge(
        "counts: purchase, when: event.total >= 10000, steps: [ { at: 2, badge: bronze }, { at: 3, badge: silver, award: { currency: point, amount: 100 } } ]",
    ));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let decision = shop.send("2026-03-02T10:00", "purchase", &sale("o2", 9_000));
    assert_eq!(value(&shop, "tour"), "1");
    let why = decision.trace.iter().find(|trace| trace.challenge.is_some()).unwrap();
    assert_eq!((why.applied, why.words.as_str()), (false, "`event.total >= 10000` is not met"));
    let decision = shop.send("2026-03-02T11:00", "purchase", &sale("o3", 10_000));
    assert!(holds(&shop, "bronze") && !holds(&shop, "silver"));
    assert_eq!(count_of(&decision, EffectKind::BadgeGiven), 1);
    shop.send("2026-03-03T11:00", "purchase", &sale("o4", 10_000));
    assert!(holds(&shop, "silver"));
    assert_eq!(shop.available("point"), 39 + 100);
    shop.send("2026-03-03T12:00", "purchase", &sale("o5", 10_000));
    assert_eq!(shop.available("point"), 149, "a step is given once");
    let view = progress(shop.versions.head(), &shop.state(), at("2026-03-03T12:00"), "th");
    assert_eq!((view.challenges[0].status, view.challenges[0].words.as_str()), ("done", "สำเร็จแล้ว"));
}

#[test]
fn r2_a_returned_order_uncounts_and_takes_back_what_it_gave() {
    let steps = "counts: purchase, steps: [ { at: 2, badge: bronze, award: { currency: point, amount: 100 } } ]";
    let mut shop = Shop::new(&challenge(steps));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    shop.send("2026-03-02T10:00", "purchase", &lines("o2", &[("A", "x", 2, 20_000)]));
    assert_eq!((holds(&shop, "bronze"), shop.available("point")), (true, 130));
    shop.send("2026-03-02T11:00", "return", &back("o2", &[("A", 1)]));
    assert_eq!(
        (value(&shop, "tour").as_str(), shop.available("point")),
        ("2", 120),
        "what is left is a purchase still"
    );
    let decision = shop.send("2026-03-02T12:00", "return", &back("o2", &[("A", 1)]));
    assert_eq!((value(&shop, "tour").as_str(), holds(&shop, "bronze"), shop.available("point")), ("1", false, 10));
    assert_eq!((count_of(&decision, EffectKind::StepTaken), count_of(&decision, EffectKind::BadgeTaken)), (1, 1));
    assert!(decision.trace.iter().any(|trace| matches!(trace.reason, Reason::Uncounted { .. })));
    shop.send("2026-03-02T13:00", "purchase", &sale("o3", 10_000));
    assert_eq!((holds(&shop, "bronze"), shop.available("point")), (true, 120), "it can be done again");
    let mut shop = Shop::new(&challenge(&steps.replace("steps:", "on_return: keep, steps:")));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    shop.send("2026-03-02T10:00", "purchase", &sale("o2", 10_000));
    shop.send("2026-03-02T11:00", "return", &back_all("o2"));
    assert_eq!((value(&shop, "tour").as_str(), holds(&shop, "bronze"), shop.available("point")), ("2", true, 110));
}

#[test]
fn r2_any_split_of_a_return_moves_a_sum_as_one_would() {
    let settings = "counts: purchase, amount: event.net, repeat: true, steps: [ { at: 50000, award: { currency: point, amount: 9 } } ]";
    let order = lines("o1", &[("A", "x", 4, 100_000), ("B", "y", 1, 30_000)]);
    let mut at_once = Shop::new(&challenge(settings));
    at_once.send("2026-03-02T09:00", "purchase", &order);
    assert_eq!((value(&at_once, "tour").as_str(), at_once.available("point")), ("130000", 130 + 18), "two rounds");
    at_once.send("2026-03-02T10:00", "return", &back("o1", &[("A", 3)]));
    let mut by_steps = Shop::new(&challenge(settings));
    by_steps.send("2026-03-02T09:00", "purchase", &order);
    for hour in ["10", "11", "12"] {
        by_steps.send(&format!("2026-03-02T{hour}:00"), "return", &back("o1", &[("A", 1)]));
    }
    for shop in [at_once, by_steps] {
        assert_eq!((value(&shop, "tour").as_str(), shop.available("point")), ("55000", 55 + 9));
    }
}

#[test]
fn different_values_count_once_each_and_go_with_their_last_order() {
    let mut shop = Shop::new(&challenge(
        "counts: purchase, each: event.items, distinct: item.category, steps: [ { at: 3, badge: bronze } ]",
    ));
    shop.send(
        "2026-03-02T09:00",
        "purchase",
        &lines("o1", &[("A", "tea", 2, 9), ("B", "tea", 1, 9), ("C", "cake", 1, 9)]),
    );
    shop.send("2026-03-02T10:00", "purchase", &lines("o2", &[("A", "tea", 1, 9)]));
    assert_eq!(value(&shop, "tour"), "2");
    shop.send("2026-03-02T11:00", "return", &back_all("o1"));
    assert_eq!(value(&shop, "tour"), "1", "tea was bought again");
    shop.send("2026-03-02T12:00", "purchase", &lines("o3", &[("A", "cake", 1, 9), ("B", "soup", 1, 9)]));
    assert!(holds(&shop, "bronze"));
    let view = progress(shop.versions.head(), &shop.state(), at("2026-03-02T12:00"), "en");
    assert_eq!(view.challenges[0].values, ["cake", "soup", "tea"]);
}

#[test]
fn r2_each_month_counts_by_itself_and_what_is_over_stays_as_it_was() {
    let mut shop = Shop::new(&challenge(
        "counts: purchase, within: month, steps: [ { at: 2, award: { currency: point, amount: 100 } } ]",
    ));
    shop.send("2026-03-30T09:00", "purchase", &sale("o1", 1_000));
    shop.send("2026-03-31T09:00", "purchase", &sale("o2", 1_000));
    assert_eq!(shop.available("point"), 102);
    shop.send("2026-04-01T09:00", "purchase", &sale("o3", 1_000));
    assert_eq!(value(&shop, "tour"), "1");
    shop.send("2026-04-02T09:00", "return", &back_all("o2"));
    assert_eq!((value(&shop, "tour").as_str(), shop.available("point")), ("1", 102), "March is over");
    let decision = shop.send("2026-03-31T10:00", "purchase", &sale("late", 1_000));
    assert_eq!((value(&shop, "tour").as_str(), shop.available("point")), ("1", 103), "for late events too (I5)");
    assert!(decision.trace.iter().any(|trace| trace.reason == Reason::NotRunning));
    shop.send("2026-04-01T08:00", "purchase", &sale("late2", 1_000));
    assert_eq!((value(&shop, "tour").as_str(), shop.available("point")), ("2", 204), "April is open");
}

#[test]
fn days_count_from_the_first_event_that_counts() {
    let mut shop = Shop::new(&challenge("counts: purchase, within: P7D, steps: [ { at: 2, badge: bronze } ]"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 1_000));
    shop.send("2026-03-09T09:00", "purchase", &sale("o2", 1_000));
    assert_eq!(
        (value(&shop, "tour").as_str(), holds(&shop, "bronze")),
        ("1", false),
        "the seven days ended on the 8th"
    );
    shop.send("2026-03-15T09:00", "purchase", &sale("o3", 1_000));
    assert!(holds(&shop, "bronze"));
    shop.send("2026-05-15T09:00", "purchase", &sale("o4", 1_000));
    assert_eq!(value(&shop, "tour"), "3", "once done it does not begin again");
}

#[test]
fn who_is_asked_takes_part_from_joining_on() {
    let dates = "counts: visit, join: ask, within: { from: 2026-03-02, until: 2026-03-31 }, distinct: event.place, steps: [ { at: 2, badge: bronze } ]";
    let mut shop = Shop::new(&challenge(dates));
    let decision = shop.send("2026-03-01T09:00", "visit", r#"{"place": "a"}"#);
    assert!(decision.trace.iter().any(|trace| trace.reason == Reason::NotTakingPart));
    assert!(matches!(join(&mut shop, "2026-03-01T10:00", "tour"), Err(Rejected::ChallengeNotNow { .. })));
    assert!(matches!(join(&mut shop, "2026-03-01T10:00", "other"), Err(Rejected::UnknownChallenge { .. })));
    shop.send("2026-03-03T09:00", "visit", r#"{"place": "b"}"#);
    let decision = join(&mut shop, "2026-03-04T09:00", "tour").unwrap();
    assert_eq!(count_of(&decision, EffectKind::ChallengeJoined), 1);
    assert!(matches!(join(&mut shop, "2026-03-04T10:00", "tour"), Err(Rejected::AlreadyTakesPart { .. })));
    shop.send("2026-03-03T10:00", "visit", r#"{"place": "c"}"#);
    shop.send("2026-03-05T10:00", "visit", r#"{"place": "c"}"#);
    assert_eq!(value(&shop, "tour"), "1", "what was before joining counts for nothing, late or not");
    shop.send("2026-03-06T10:00", "visit", r#"{"place": "d"}"#);
    assert!(holds(&shop, "bronze"));
    let mut shop = Shop::new(&challenge("counts: purchase, steps: [ { at: 2, badge: bronze } ]"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 1_000));
    assert!(matches!(join(&mut shop, "2026-03-04T09:00", "tour"), Err(Rejected::NeedsNoJoining { .. })));
}

#[test]
fn facts_read_challenges_streaks_and_badges_as_they_were_before() {
    let program = challenge("counts: purchase, steps: [ { at: 2, badge: bronze } ]").replace(
        "challenges:",
        "  held: { trigger: purchase, audience: member.badge.bronze, rules: [ { award: { currency: point, amount: 1000 } } ] }
  second: { trigger: purchase, audience: member.challenge.tour == 1 and member.streak.daily == 1, rules: [ { award: { currency: point, amount: 100 } } ] }
streaks: { daily: { counts: purchase } }
challenges:",
    );
    let mut shop = Shop::new(&program);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 1_000));
    assert_eq!(shop.available("point"), 1);
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 1_000));
    assert_eq!(shop.available("point"), 102);
    shop.send("2026-03-06T09:00", "purchase", &sale("o3", 1_000));
    assert_eq!(shop.available("point"), 1103);
}

fn streak(settings: &str) -> String {
    points_and(
        "",
        &format!("streaks:\n  daily: {{ counts: purchase, {settings} }}\nbadges: {{ week: {{ name: Week }} }}\n"),
    )
}

fn buy(shop: &mut Shop, days: &[u32]) {
    for day in days {
        shop.send(&format!("2026-03-{day:02}T09:00"), "purchase", &sale(&format!("o{day}"), 1_000));
    }
}

#[test]
fn a_streak_counts_days_in_a_row_and_gives_its_milestones_once_a_run() {
    let mut shop =
        Shop::new(&streak("milestones: [ { at: 3, badge: week, award: { currency: point, amount: 100 } } ]"));
    buy(&mut shop, &[2, 3, 4, 5]);
    assert_eq!((run(&shop, "2026-03-05T23:00"), shop.available("point")), ((4, 4), 104));
    assert_eq!(run(&shop, "2026-03-06T23:00"), (4, 4), "the day is not over");
    assert_eq!(run(&shop, "2026-03-07T00:00"), (0, 4));
    buy(&mut shop, &[7, 8, 9]);
    assert_eq!((run(&shop, "2026-03-09T23:00"), shop.available("point")), ((3, 4), 207), "a new run");
}

#[test]
fn a_streak_survives_as_many_gaps_as_its_grace() {
    let mut shop = Shop::new(&streak("grace: 2"));
    buy(&mut shop, &[2, 4, 6]);
    assert_eq!(run(&shop, "2026-03-06T23:00"), (3, 3));
    assert_eq!(run(&shop, "2026-03-08T00:00"), (0, 3), "the third gap ends it");
    buy(&mut shop, &[8]);
    assert_eq!(run(&shop, "2026-03-08T23:00"), (1, 3));
}

#[rstest::rstest]
#[case::weeks("week", &["2026-03-02", "2026-03-15", "2026-03-16"], 3)]
#[case::months("month", &["2025-12-31", "2026-01-01", "2026-02-28"], 3)]
#[case::a_month_missed("month", &["2025-11-30", "2026-01-01", "2026-02-28"], 2)]
fn weeks_and_months_in_a_row_are_calendar_ones(#[case] every: &str, #[case] days: &[&str], #[case] length: u32) {
    let mut shop = Shop::new(&streak(&format!("every: {every}")));
    for day in days {
        shop.send(&format!("{day}T09:00"), "purchase", &sale(day, 1_000));
    }
    assert_eq!(run(&shop, &format!("{}T10:00", days[days.len() - 1])).0, length);
}

#[test]
fn i5_a_late_event_fills_a_gap_while_its_day_is_among_the_last_31() {
    let mut shop = Shop::new(&streak("milestones: [ { at: 3, award: { currency: point, amount: 100 } } ]"));
    buy(&mut shop, &[1, 2, 4]);
    assert_eq!(run(&shop, "2026-03-04T23:00"), (1, 2));
    shop.send("2026-03-03T10:00", "purchase", &sale("late", 1_000));
    assert_eq!((run(&shop, "2026-03-04T23:00"), shop.available("point")), ((4, 4), 104), "the milestone is given now");
    buy(&mut shop, &[31]);
    assert_eq!(run(&shop, "2026-03-31T23:00"), (1, 4));
    shop.send("2026-03-01T10:00", "purchase", &sale("open", 1_000));
    let explained = shop.send("2026-02-28T10:00", "purchase", &sale("closed", 1_000));
    assert_eq!(run(&shop, "2026-03-31T23:00"), (1, 4), "31 days, the current one included, are open");
    assert!(explained.trace.iter().any(|trace| matches!(trace.reason, Reason::PeriodClosed { open: 31 })));
}

#[test]
fn r2_a_returned_order_takes_its_day_out_of_a_streak() {
    let milestones = "milestones: [ { at: 3, badge: week, award: { currency: point, amount: 100 } } ]";
    let mut shop = Shop::new(&streak(milestones));
    buy(&mut shop, &[2, 3, 4]);
    shop.send("2026-03-03T10:00", "purchase", &sale("again", 1_000));
    assert_eq!((run(&shop, "2026-03-04T23:00"), shop.available("point")), ((3, 3), 104));
    shop.send("2026-03-04T11:00", "return", &back_all("again"));
    assert_eq!(run(&shop, "2026-03-04T23:00"), (3, 3), "the day has another order");
    shop.send("2026-03-04T12:00", "return", &back_all("o3"));
    assert_eq!((run(&shop, "2026-03-04T23:00"), shop.available("point")), ((1, 1), 2));
    assert!(!holds(&shop, "week"));
    let mut shop = Shop::new(&streak(&format!("on_return: keep, {milestones}")));
    buy(&mut shop, &[2, 3, 4]);
    shop.send("2026-03-04T12:00", "return", &back_all("o3"));
    assert_eq!((run(&shop, "2026-03-04T23:00"), shop.available("point")), ((3, 3), 102));
}

#[test]
fn a_streak_of_years_stays_as_small_as_one_of_a_month() {
    let mut shop = Shop::new(&streak("grace: 0")).unchecked();
    let mut day = at("2024-01-01T09:00");
    for number in 0..500 {
        shop.send_at(day, "purchase", &sale(&format!("o{number}"), 1_000));
        day = day.plus_seconds(86_400);
    }
    let row = shop.state().streaks[0].clone();
    assert_eq!((row.run().length, row.longest(), row.open.len()), (500, 500, 31));
}

#[test]
fn c5_the_budget_of_a_challenge_stops_its_steps() {
    let mut shop = Shop::new(&challenge(
        "counts: purchase, repeat: true, budget: { point: 150 }, steps: [ { at: 1, award: { currency: point, amount: 100 } } ]",
    ));
    for order in ["o1", "o2", "o3"] {
        shop.send("2026-03-02T09:00", "purchase", &sale(order, 1_000));
    }
    assert_eq!(shop.available("point"), 3 + 150);
    shop.send("2026-03-02T10:00", "return", &back_all("o3"));
    shop.send("2026-03-02T10:00", "return", &back_all("o2"));
    assert_eq!(shop.available("point"), 1 + 100);
    shop.send("2026-03-02T11:00", "purchase", &sale("o4", 1_000));
    assert_eq!(shop.available("point"), 2 + 150, "what came back can be given again");
}

#[test]
fn r10_an_exchange_does_a_step_or_a_milestone_only_by_its_net() {
    let rest =
        "challenges: { tour: { counts: purchase, steps: [ { at: 2, award: { currency: point, amount: 100 } } ] } }
streaks: { daily: { counts: purchase, milestones: [ { at: 2, award: { currency: point, amount: 1000 } } ] } }
";
    let mut shop = Shop::new(&points_and("", rest));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    shop.send("2026-03-03T09:00", "exchange", &exchange("o1", &[("A", 1)], &sale("o2", 20_000)));
    assert_eq!((value(&shop, "tour"), shop.available("point")), ("1".to_owned(), 20), "one order on one day");
    shop.send("2026-03-04T09:00", "purchase", &sale("o3", 5_000));
    assert_eq!(shop.available("point"), 20 + 5 + 100 + 1_000);
}
