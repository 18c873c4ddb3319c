//! Moving in from another system (L9): everything as it was, and nothing fires.

use rstest::rstest;
use tessera_core::decide::{EffectKind, tier_standings};
use tessera_testkit::shop::{Shop, at, json::*};

const SHOP: &str = "
currencies:
  point: { name: Point, expires: { after: P12M, round: month } }
  star: { name: Star, expires: { inactivity: P6M } }
tiers:
  club:
    measure: { earned: point }
    levels: [ { id: blue, at: 0 }, { id: gold, at: 100, rate: { point: 2 } } ]
vouchers: { cake: { gives: { amount_off: 100 }, valid: P30D } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 500 } } ] }
  climbed: { trigger: tier, rules: [ { award: { currency: point, amount: 300 } } ] }
  saved: { trigger: balance, rules: [ { when: member.balance.point >= 10, award: { currency: star, amount: 1 } } ] }
  cake-day: { trigger: birthday, days_before: 7, rules: [ { award: { currency: point, amount: 77 } } ] }
";

const GOLD: &str = r#"{"joined": "2019-05-06", "birthday": "03-05", "purchases": 12, "spend": "340.50",
  "first_purchase": "2019-05-07", "last_purchase": "2026-01-20", "balances": {"point": 40},
  "tiers": {"club": {"level": "gold", "since": "2025-11-01", "holds_until": "2026-06-30"}}}"#;

#[test]
fn l9_a_member_comes_as_they_were_and_nothing_fires() {
    let mut shop = Shop::new(SHOP);
    let came = shop.send("2026-03-02T10:00", "move-in", GOLD);
    let kinds: Vec<EffectKind> = came.outcome.effects.iter().map(|effect| effect.kind).collect();
    assert_eq!(kinds, [EffectKind::Joined, EffectKind::Imported], "no welcome, no level, no gift");
    assert_eq!((shop.available("point"), shop.available("star")), (40, 0));
    let state = shop.state();
    assert_eq!((state.joined_on.to_string().as_str(), state.clock), ("2019-05-06", at("2026-03-02T10:00")));
    let statistics = state.statistics;
    assert_eq!((statistics.purchases, statistics.spend.to_string().as_str()), (12, "340.5"));
    assert_eq!(statistics.last_purchase.map(|day| day.to_string()).as_deref(), Some("2026-01-20"));
    shop.wake("2026-03-06T10:00");
    assert_eq!(shop.available("point"), 40, "the birthday of these days was the old system's");
    shop.wake("2027-03-01T10:00");
    assert!(shop.available("point") >= 77, "the next one is ours");
}

#[test]
fn l9_t3_a_level_holds_to_its_own_end_and_then_goes() {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T10:00", "move-in", GOLD);
    let standing = tier_standings(shop.versions.head(), &shop.state(), at("2026-03-02T10:00")).remove(0);
    assert_eq!((standing.level.as_str(), standing.since), ("gold", Some(at("2025-11-01T00:00"))));
    assert_eq!(standing.holds_until, Some(at("2026-07-01T00:00")));
    shop.send("2026-03-03T10:00", "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), 60, "at the rate of gold");
    shop.wake("2026-06-30T23:59");
    assert_eq!(shop.state().ladder("club").unwrap().level.as_str(), "gold");
    shop.wake("2026-07-01T00:00");
    assert_eq!(shop.state().ladder("club").unwrap().level.as_str(), "blue");
}

#[rstest]
#[case::reached_today(r#"{"tiers": {"club": {"level": "gold"}}}"#, "2028-01-01T00:00")]
#[case::sustained_by_what_counts(
    r#"{"tiers": {"club": {"level": "gold", "holds_until": "2026-03-31", "progress": 120}}}"#,
    "2028-01-01T00:00"
)]
#[case::to_its_own_day(
    r#"{"tiers": {"club": {"level": "gold", "holds_until": "2026-03-31", "progress": 99}}}"#,
    "2026-04-01T00:00"
)]
fn l9_t3_until_when_a_level_holds(#[case] data: &str, #[case] until: &str) {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T10:00", "move-in", data);
    let standing = tier_standings(shop.versions.head(), &shop.state(), at("2026-03-02T10:00")).remove(0);
    assert_eq!((standing.level.as_str(), standing.holds_until), ("gold", Some(at(until))));
}

#[test]
fn l9_lots_of_any_age_come_with_their_own_dates() {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T10:00", "move-in", r#"{"joined": "2019-05-06"}"#);
    let lot =
        |amount: i64, expires: &str| format!(r#"{{"currency": "point", "amount": {amount}, "expires": "{expires}"}}"#);
    shop.send("2019-06-01T00:00", "import", &lot(7, "2026-04-30"));
    shop.send("2024-01-05T00:00", "import", &lot(11, "2026-03-31"));
    let dead = shop.send("2020-01-05T00:00", "import", &lot(13, "2021-01-31"));
    assert!(dead.outcome.effects.iter().any(|effect| effect.kind == EffectKind::Expired), "L8: a lot and its expiry");
    assert_eq!(shop.lots("point"), [("2026-03-31".to_owned(), 11), ("2026-04-30".to_owned(), 7)]);
    let earned: Vec<_> = shop.state().purse("point").unwrap().lots.iter().map(|lot| lot.earned_at).collect();
    assert_eq!(earned, [at("2024-01-05T00:00"), at("2019-06-01T00:00")]);
    assert_eq!((shop.available("star"), shop.state().statistics.last_event), (0, None), "no campaign, no event");
    assert_eq!(shop.refused("2024-02-05T00:00", "import", &lot(1, "2024-02-04")).code(), "expires-before-earned");
}

#[test]
fn l9_an_inactivity_date_comes_along() {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T10:00", "move-in", r#"{"idle_until": {"star": "2026-04-15"}}"#);
    shop.send("2025-10-15T00:00", "import", r#"{"currency": "star", "amount": 5}"#);
    shop.wake("2026-04-15T23:59");
    assert_eq!(shop.available("star"), 5);
    shop.wake("2026-04-16T00:00");
    assert_eq!(shop.available("star"), 0);
}

#[test]
fn l9_a_voucher_keeps_its_code_and_its_end() {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T10:00", "move-in", "{}");
    let data = r#"{"voucher": "cake", "code": "OLD-17", "expires": "2026-05-31"}"#;
    let came = shop.send("2026-03-02T10:00", "move-voucher", data);
    let voucher = &came.vouchers[0];
    assert_eq!((voucher.code.as_str(), voucher.expires_at), ("OLD-17", Some(at("2026-06-01T00:00"))));
    assert_eq!(shop.refused("2026-03-02T10:00", "move-voucher", r#"{"voucher": "pie"}"#).code(), "no-such-voucher");
}

#[rstest]
#[case::another_level(r#"{"tiers": {"club": {"level": "diamond"}}}"#, "unknown-level")]
#[case::another_ladder(r#"{"tiers": {"lounge": {"level": "gold"}}}"#, "unknown-ladder")]
#[case::another_currency(r#"{"balances": {"mile": 5}}"#, "unknown-currency")]
#[case::a_day_to_come(r#"{"joined": "2026-03-03"}"#, "moved-from-the-future")]
fn l9_a_member_who_cannot_be_is_refused(#[case] data: &str, #[case] code: &str) {
    let mut shop = Shop::new(SHOP);
    assert_eq!(shop.refused("2026-03-02T10:00", "move-in", data).code(), code);
}

#[test]
fn l9_nobody_moves_in_twice() {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T10:00", "move-in", GOLD);
    assert_eq!(shop.refused("2026-03-02T10:00", "move-in", GOLD).code(), "already-enrolled");
}

#[test]
fn i5_a_receipt_from_before_the_move_is_judged_by_the_level_that_came() {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T10:00", "move-in", GOLD);
    shop.send("2026-02-27T10:00", "purchase", &sale("late", 10_000));
    assert_eq!(shop.available("point"), 60, "gold, though the member came three days later");
}

#[test]
fn l9_a_lot_remembers_who_paid_for_it() {
    let mut shop = Shop::new("currencies: { point: { name: P, expires: never } }");
    shop.send("2026-01-05T09:00", "enrol", "{}");
    shop.send("2026-01-06T09:00", "import", r#"{"currency": "point", "amount": 40, "funder": "brand"}"#);
    shop.send("2026-01-06T09:00", "import", r#"{"currency": "point", "amount": 2}"#);
    let state = shop.state();
    let lots = &state.purse("point").unwrap().lots;
    let funders: Vec<(Option<&str>, i64)> =
        lots.iter().map(|lot| (lot.funder.as_ref().map(|funder| funder.as_str()), lot.remaining.get())).collect();
    assert_eq!(funders.len(), 2, "who paid keeps lots apart");
    assert!(funders.contains(&(Some("brand"), 40)) && funders.contains(&(None, 2)), "{funders:?}");
}

const WAITING: &str = "
currencies:
  point: { name: Point, expires: { after: P12M, round: month }, pending: { for: P14D } }
  mile: { name: Mile, expires: { after: P12M }, pending: { for: P14D, expiry_counts_from: maturity } }
tiers: { club: { measure: { earned: point, counts: all }, levels: [ { id: blue, at: 0 }, { id: gold, at: 10 } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
";

#[rstest]
#[case::with_its_own_end("point", ", \"expires\": \"2026-05-31\"", "2026-05-31")]
#[case::dated_from_the_day_it_was_earned("point", "", "2027-02-28")]
#[case::with_its_own_end_where_maturity_dates("mile", ", \"expires\": \"2026-05-31\"", "2026-05-31")]
#[case::dated_from_maturity("mile", "", "2027-03-20")]
fn l6_l9_what_waited_elsewhere_waits_here_to_its_own_day(
    #[case] currency: &str,
    #[case] more: &str,
    #[case] last_day: &str,
) {
    let mut shop = Shop::new(WAITING);
    shop.send("2026-03-02T10:00", "move-in", "{}");
    let lot = format!(r#"{{"currency": "{currency}", "amount": 40, "matures": "2026-03-20"{more}}}"#);
    shop.send("2026-02-20T00:00", "import", &lot);
    assert_eq!((shop.available(currency), shop.balance(currency).pending), (0, 40));
    shop.wake("2026-03-19T23:59");
    assert_eq!(shop.available(currency), 0);
    shop.wake("2026-03-20T00:00");
    assert_eq!(shop.lots(currency), [(last_day.to_owned(), 40)]);
    assert_eq!(shop.level("club"), "blue", "it counts to no level");
}

#[test]
fn l9_what_has_matured_meanwhile_can_be_spent_at_once() {
    let mut shop = Shop::new(WAITING);
    shop.send("2026-03-02T10:00", "move-in", "{}");
    shop.send("2026-02-02T00:00", "import", r#"{"currency": "point", "amount": 40, "matures": "2026-03-02"}"#);
    assert_eq!(shop.available("point"), 40);
    let never = r#"{"currency": "point", "amount": 1, "expires": "2026-03-19", "matures": "2026-03-20"}"#;
    let problem = tessera_core::event::read_event(&shop.versions.head().definition, "import", never).unwrap_err();
    assert!(problem.to_string().contains("data.matures"), "{problem}");
}

#[test]
fn l9_r6_what_was_owed_elsewhere_is_repaid_first() {
    let mut shop = Shop::new(WAITING);
    shop.send("2026-03-02T10:00", "move-in", r#"{"balances": {"mile": -50, "point": 7}}"#);
    assert_eq!((shop.balance("mile").debt, shop.available("point")), (50, 7));
    shop.send("2026-02-20T00:00", "import", r#"{"currency": "mile", "amount": 20, "expires": "2026-12-31"}"#);
    assert_eq!((shop.balance("mile").debt, shop.available("mile")), (30, 0));
    shop.send("2026-02-20T00:00", "import", r#"{"currency": "mile", "amount": 40, "matures": "2026-03-20"}"#);
    shop.wake("2026-03-20T00:00");
    assert_eq!((shop.balance("mile").debt, shop.available("mile")), (0, 10));
}
