//! Balances changed by hand (A2): reasons, limits by role, two people, and undoing.

use rstest::rstest;
use tessera_core::decide::{Decision, Rejected};
use tessera_core::event::{Adjustment, Asker, Undone, What};
use tessera_testkit::shop::{Shop, at, id, json::*};

const RULES: &str = "
currencies: { point: { name: Point, expires: { after: P12M, round: month }, overdraft: debt }, stamp: { name: Stamp, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
adjustments:
  reasons:
    goodwill: { name: { en: Goodwill, vi: Thiện chí }, max: { point: 5000 } }
    fraud: { name: Fraud, sign: take }
    correction: { name: Correction, sign: both }
  limits:
    agent: { point: { each: 200, day: 300 }, stamp: 1 }
    manager: { point: 5000 }
  second_approval_above: { point: 1000 }
";

fn shop() -> Shop {
    let mut shop = Shop::new(RULES);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    shop
}

fn by(key: &str, role: &str) -> Asker {
    Asker { key: key.into(), role: role.parse().ok(), staff: None, approved: false }
}

fn ask(
    shop: &mut Shop,
    time: &str,
    currency: &str,
    amount: i64,
    reason: &str,
    by: Asker,
) -> Result<Decision, Rejected> {
    let adjustment = Adjustment { by: Some(by), ..Adjustment::new(id(currency), amount, reason) };
    shop.ask(at(time), What::Adjust(adjustment))
}

#[rstest]
#[case::a_reason_that_is_none("point", 5, "sorry", "agent", "unknown-reason")]
#[case::taking_for_a_reason_that_gives("point", -5, "goodwill", "agent", "adjustment-against-its-reason")]
#[case::giving_for_a_reason_that_takes("point", 5, "fraud", "agent", "adjustment-against-its-reason")]
#[case::more_than_the_reason("point", 5_001, "goodwill", "manager", "adjustment-over-its-reason")]
#[case::above_the_role("point", 201, "goodwill", "agent", "second-approval-needed")]
#[case::taking_is_limited_too("point", -201, "fraud", "agent", "second-approval-needed")]
#[case::a_currency_the_role_has_no_limit_for("stamp", 1, "correction", "manager", "second-approval-needed")]
#[case::a_key_without_a_role("point", 1, "goodwill", "", "second-approval-needed")]
#[case::a_role_nobody_knows("point", 1, "goodwill", "cook", "second-approval-needed")]
#[case::above_the_general_limit("point", 1_001, "goodwill", "manager", "second-approval-needed")]
#[case::above_everybody("stamp", 2, "correction", "agent", "adjustment-too-large")]
#[case::the_least_number("point", i64::MIN, "fraud", "manager", "adjustment-too-large")]
fn a2_what_the_document_does_not_allow_is_refused(
    #[case] currency: &str,
    #[case] amount: i64,
    #[case] reason: &str,
    #[case] role: &str,
    #[case] code: &str,
) {
    let mut shop = shop();
    let refused = ask(&mut shop, "2026-03-03T09:00", currency, amount, reason, by("k1", role)).unwrap_err();
    assert_eq!(refused.code(), code, "{refused}");
    assert_eq!(shop.available("point"), 100);
}

#[test]
fn a2_a_role_moves_up_to_its_limit_and_more_with_a_second_person() {
    let mut shop = shop();
    ask(&mut shop, "2026-03-03T09:00", "point", 200, "goodwill", by("k1", "agent")).unwrap();
    let approved = Asker { approved: true, ..by("k1", "agent") };
    ask(&mut shop, "2026-03-03T09:00", "point", 5_000, "goodwill", approved).unwrap();
    ask(&mut shop, "2026-03-03T09:00", "point", 1_000, "goodwill", by("k2", "manager")).unwrap();
    assert_eq!(shop.available("point"), 6_300);
}

#[test]
fn a2_a_day_s_sum_is_limited_by_key_and_staff() {
    let mut shop = shop();
    let staff = |staff: &str| Asker { staff: Some(staff.into()), ..by("k1", "agent") };
    ask(&mut shop, "2026-03-03T09:00", "point", 200, "goodwill", by("k1", "agent")).unwrap();
    shop.of_member(1).send("2026-03-03T09:00", "purchase", &sale("o2", 1_000));
    let refused = ask(&mut shop, "2026-03-03T10:00", "point", 101, "goodwill", by("k1", "agent")).unwrap_err();
    let expected = "101 point are more than is left of today: 200 of 300 were moved";
    assert_eq!((refused.code(), refused.to_string().as_str()), ("adjusted-enough-today", expected));
    ask(&mut shop, "2026-03-03T10:00", "point", 100, "goodwill", by("k1", "agent")).unwrap();
    ask(&mut shop, "2026-03-03T11:00", "point", -200, "correction", staff("S-1")).unwrap();
    ask(&mut shop, "2026-03-03T11:00", "point", 200, "goodwill", by("k2", "agent")).unwrap();
    ask(&mut shop, "2026-03-04T00:00", "point", 200, "goodwill", by("k1", "agent")).unwrap();
    let approved = Asker { approved: true, ..by("k1", "agent") };
    ask(&mut shop, "2026-03-04T01:00", "point", 900, "goodwill", approved).unwrap();
}

/// Undoes the adjustment of a decision.
fn undo(shop: &mut Shop, time: &str, first: &Decision) -> Result<Decision, Rejected> {
    let main = &first.events[first.main];
    let moved = main.record.effects.iter().find_map(|effect| Some((effect.currency.clone()?, effect.amount?))).unwrap();
    let undoes = Some(Undone { event: main.seq, entries: main.entries.clone() });
    let adjustment =
        Adjustment { by: Some(by("k2", "manager")), undoes, ..Adjustment::new(moved.0, -moved.1, "goodwill") };
    shop.ask(at(time), What::Adjust(adjustment))
}

#[test]
fn a2_what_was_taken_goes_back_to_its_own_lots() {
    let mut shop = shop();
    shop.send("2026-04-02T09:00", "purchase", &sale("o2", 50_000));
    let before = shop.lots("point");
    let taken = ask(&mut shop, "2026-04-03T09:00", "point", -120, "fraud", by("k1", "agent")).unwrap();
    assert_eq!(shop.lots("point"), [("2027-04-30".to_owned(), 30)]);
    undo(&mut shop, "2026-05-03T09:00", &taken).unwrap();
    assert_eq!(shop.lots("point"), before, "with their own dates");
}

#[test]
fn a2_what_was_given_is_taken_from_its_own_lot_and_then_from_others() {
    let mut shop = shop();
    let given = ask(&mut shop, "2026-05-03T09:00", "point", 150, "goodwill", by("k1", "agent")).unwrap();
    undo(&mut shop, "2026-05-04T09:00", &given).unwrap();
    assert_eq!(shop.lots("point"), [("2027-03-31".to_owned(), 100)], "the older lot is as it was");
    let given = ask(&mut shop, "2026-06-03T09:00", "point", 150, "goodwill", by("k1", "agent")).unwrap();
    ask(&mut shop, "2026-06-04T09:00", "point", -180, "correction", by("k1", "agent")).unwrap();
    undo(&mut shop, "2026-06-05T09:00", &given).unwrap();
    assert_eq!(
        (shop.available("point"), shop.balance("point").debt),
        (0, 80),
        "spent meanwhile: owed, as the currency says"
    );
}

#[test]
fn a2_debt_that_an_adjustment_made_or_repaid_is_undone_with_it() {
    let mut shop = shop();
    let taken = ask(&mut shop, "2026-03-03T09:00", "point", -150, "fraud", by("k1", "agent")).unwrap();
    assert_eq!((shop.available("point"), shop.balance("point").debt), (0, 50));
    let given = ask(&mut shop, "2026-03-04T09:00", "point", 80, "goodwill", by("k1", "agent")).unwrap();
    assert_eq!((shop.available("point"), shop.balance("point").debt), (30, 0));
    undo(&mut shop, "2026-03-05T09:00", &given).unwrap();
    assert_eq!((shop.available("point"), shop.balance("point").debt), (0, 50));
    undo(&mut shop, "2026-03-06T09:00", &taken).unwrap();
    assert_eq!((shop.available("point"), shop.balance("point").debt), (100, 0));
}

#[rstest]
#[case::no_reason("adjustments: { reasons: {} }", "without a reason nothing can be adjusted")]
#[case::another_currency("adjustments: { reasons: { a: { max: { mile: 5 } } } }", "there is no currency `mile`")]
#[case::below_nothing("adjustments: { reasons: { a: { max: { point: -5 } } } }", "0 or more")]
#[case::a_day_below_once(
    "adjustments: { reasons: { a: {} }, limits: { agent: { point: { each: 5, day: 4 } } } }",
    "4 a day is less than 5 at a time"
)]
#[case::a_word_for_a_number(
    "adjustments: { reasons: { a: {} }, limits: { agent: { point: few } } }",
    "a number such as 200"
)]
#[case::no_time("adjustments: { reasons: { a: {} }, waits: P0D }", "waits P1D to P90D")]
#[case::too_much_time("adjustments: { reasons: { a: {} }, waits: P1Y }", "waits P1D to P90D")]
fn a2_a_document_that_cannot_be_says_why(#[case] section: &str, #[case] message: &str) {
    let document = tessera_testkit::shop::document(&format!(
        "currencies: {{ point: {{ name: Point, expires: never }} }}\ncampaigns: {{}}\n{section}\n"
    ));
    let problems = tessera_core::program::read_document(&document).unwrap_err();
    assert!(problems.iter().any(|problem| problem.to_string().contains(message)), "{problems:?}");
}

#[test]
fn a2_a_threshold_that_nobody_may_pass_is_a_lint() {
    let document = tessera_testkit::shop::document(
        "currencies: { point: { name: Point, expires: never } }
campaigns: {}
adjustments: { reasons: { a: {} }, limits: { agent: { point: 100 } }, second_approval_above: { point: 100 } }
",
    );
    let read = tessera_core::program::read_document(&document).unwrap();
    let told = read.findings.iter().any(|finding| finding.to_string().contains("nobody may approve more than 100"));
    assert!(told, "{:?}", read.findings);
}
