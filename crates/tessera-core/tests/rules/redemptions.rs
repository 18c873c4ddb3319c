//! I2, I3, L1, L7, M4, M6, R7, R8: points that are spent, and points that come back.

use rstest::rstest;
use tessera_core::decide::{
    Balance, Decision, EffectKind, EventStatus, Rejected, explain_redemption, quote_redemption,
};
use tessera_core::event::Redeem;
use tessera_core::ledger::{Account, Redemption, RedemptionStatus};
use tessera_core::member::MemberState;
use tessera_core::program::read_document;
use tessera_core::quantity::{Amount, Choices};
use tessera_testkit::shop::{Shop, at, count_of, document, json::*, pay, reserve, spend, sum_of};

use crate::common::{points_and, points_with};

/// A point is worth 100 ₫; cash is paid in 500 ₫.
const WORTH: &str = ", value: 100";

/// A member with 100 points of January 2027 and 30 of March.
fn shop_with(settings: &str) -> Shop {
    let mut shop = Shop::new(&points_with(settings));
    shop.send("2026-01-10T09:00", "purchase", &sale("o1", 100_000));
    shop.send("2026-03-02T09:00", "purchase", &sale("o2", 30_000));
    shop
}

fn shop() -> Shop {
    shop_with(WORTH)
}

/// The redemption's own event.
fn id_of(decision: &Decision) -> u64 {
    decision.events[decision.main].seq
}

fn lots(lots: &[(&str, i64)]) -> Vec<(String, i64)> {
    lots.iter().map(|(day, amount)| ((*day).to_owned(), *amount)).collect()
}

fn balance(available: i64, held: i64) -> Balance {
    Balance { available, held, ..Balance::default() }
}

/// Entries of a decision as from, to, lot and amount.
fn moves(decision: &Decision) -> Vec<(Account, Account, String, i64)> {
    let entries = decision.events.iter().flat_map(|event| &event.entries);
    entries
        .map(|entry| {
            let lot = entry.lot.as_ref().map(ToString::to_string).unwrap_or_default();
            (entry.from, entry.to, lot, entry.amount.get())
        })
        .collect()
}

#[test]
fn i3_points_are_reserved_then_captured_and_the_rest_is_released() {
    let mut shop = shop();
    let reserved = shop.redeem("2026-03-03T09:00", reserve("point", 120)).unwrap();
    assert_eq!(shop.balance("point"), balance(10, 120));
    let view = reserved.outcome.redemption.clone().unwrap();
    assert_eq!(
        (view.status, view.points, view.ends_at),
        (RedemptionStatus::Reserved, 120, Some(at("2026-03-03T09:15")))
    );
    assert_eq!(view.id.as_str(), reserved.outcome.event_id);
    let captured = shop.capture("2026-03-03T09:05", id_of(&reserved), Some(70)).unwrap();
    assert_eq!(shop.balance("point"), balance(60, 0));
    assert_eq!(shop.lots("point"), lots(&[("2027-01-31", 30), ("2027-03-31", 30)]), "as if 70 had been spent at once");
    assert_eq!(sum_of(&captured, EffectKind::Spent, "point"), 70);
    assert_eq!(sum_of(&captured, EffectKind::Released, "point"), 50);
    let view = captured.outcome.redemption.unwrap();
    assert_eq!((view.status, view.points, view.captured), (RedemptionStatus::Captured, 120, 70));
    assert_eq!(shop.state().purse("point").unwrap().totals.redeemed.get(), 70);
}

#[test]
fn i3_a_voided_reservation_leaves_no_trace_in_the_lots() {
    let mut shop = shop();
    let before = shop.state().purse("point").cloned();
    let reserved = shop.redeem("2026-03-03T09:00", reserve("point", 130)).unwrap();
    assert_eq!(shop.lots("point"), []);
    let voided = shop.void("2026-03-03T09:05", id_of(&reserved)).unwrap();
    assert_eq!(shop.state().purse("point").cloned(), before, "labels of when they were earned included");
    assert_eq!(voided.outcome.redemption.unwrap().status, RedemptionStatus::Voided);
}

#[test]
fn i3_a_reservation_ends_by_itself_and_is_captured_until_then_only() {
    let mut shop = shop_with(", spend: { reserve: PT1H }");
    let reserved = shop.redeem("2026-03-03T09:00", reserve("point", 120)).unwrap();
    let redemption = id_of(&reserved);
    assert_eq!(shop.state().wake_at, Some(at("2026-03-03T10:00")));
    let mut in_time = shop.clone();
    in_time.capture("2026-03-03T09:59", redemption, None).unwrap();
    assert_eq!(in_time.balance("point"), balance(10, 0));
    let too_late = shop.capture("2026-03-03T10:00", redemption, None).unwrap_err();
    assert!(
        matches!(&too_late, Rejected::ReservationEnded { ended_at, .. } if *ended_at == at("2026-03-03T10:00")),
        "{too_late}"
    );
    let seen = shop.seen_at("2026-03-03T10:00");
    assert_eq!((seen.held("point").get(), seen.purse("point").unwrap().active().get()), (0, 130), "no job is needed");
    let woken = shop.wake("2026-03-04T09:00");
    let ended = &woken.events[0];
    assert_eq!(
        (ended.kind.as_str(), ended.status, ended.effective_at),
        ("reservation-end", EventStatus::Derived, at("2026-03-03T10:00"))
    );
    assert_eq!(shop.balance("point"), balance(130, 0));
    assert_eq!(shop.redemption(redemption).unwrap().status, RedemptionStatus::Ended);
    assert!(matches!(shop.void("2026-03-04T10:00", redemption), Err(Rejected::ReservationEnded { .. })));
}

#[test]
fn i7_whoever_comes_first_after_its_end_finds_a_reservation_ended() {
    let mut shop = shop();
    shop.redeem("2026-03-03T09:00", reserve("point", 120)).unwrap();
    let refused = shop.redeem("2026-03-03T09:10", reserve("point", 20)).unwrap_err();
    let expected =
        Rejected::NotEnoughPoints { currency: "point".parse().unwrap(), wanted: 20, balance: balance(10, 120) };
    assert_eq!(refused, expected);
    let decision = shop.redeem("2026-03-03T09:20", reserve("point", 130)).unwrap();
    assert_eq!(decision.events[0].kind, "reservation-end");
    assert_eq!(shop.balance("point"), balance(0, 130));
}

#[test]
fn i3_no_more_is_captured_than_was_reserved_and_only_once() {
    let mut shop = shop();
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", reserve("point", 50)).unwrap());
    let refused = shop.capture("2026-03-03T09:01", redemption, Some(51)).unwrap_err();
    assert!(matches!(refused, Rejected::CapturedMoreThanReserved { wanted: 51, reserved: 50, .. }), "{refused}");
    assert_eq!(shop.capture("2026-03-03T09:01", redemption, Some(0)).unwrap_err(), Rejected::NothingToRedeem);
    shop.capture("2026-03-03T09:01", redemption, None).unwrap();
    let closed = |refused: Result<Decision, Rejected>| match refused.unwrap_err() {
        Rejected::RedemptionClosed { status, .. } => status,
        other => panic!("{other}"),
    };
    assert_eq!(closed(shop.capture("2026-03-03T09:02", redemption, None)), RedemptionStatus::Captured);
    assert_eq!(closed(shop.void("2026-03-03T09:02", redemption)), RedemptionStatus::Captured);
    let open = id_of(&shop.redeem("2026-03-03T09:03", reserve("point", 50)).unwrap());
    assert_eq!(closed(shop.cancel("2026-03-03T09:04", open, None)), RedemptionStatus::Reserved);
    shop.void("2026-03-03T09:05", open).unwrap();
    assert_eq!(closed(shop.capture("2026-03-03T09:06", open, None)), RedemptionStatus::Voided);
    assert!(matches!(shop.capture("2026-03-03T09:06", 1, None), Err(Rejected::UnknownRedemption { .. })));
    assert!(matches!(shop.cancel("2026-03-03T09:06", 99, None), Err(Rejected::UnknownRedemption { .. })));
}

#[test]
fn i3_reservations_are_bounded() {
    let mut shop = shop();
    for minute in 0..MemberState::HOLDS_MAX {
        shop.redeem(&format!("2026-03-03T09:00:{minute:02}+07:00"), reserve("point", 1)).unwrap();
    }
    let refused = shop.redeem("2026-03-03T09:01", reserve("point", 1)).unwrap_err();
    assert_eq!(refused, Rejected::TooManyReservations { most: MemberState::HOLDS_MAX });
    shop.redeem("2026-03-03T09:01", spend("point", 1)).unwrap();
}

#[rstest]
#[case::reserved(reserve("point", 131))]
#[case::spent_at_once(spend("point", 131))]
fn i2_more_than_is_there_is_refused_with_the_balance(#[case] redeem: Redeem) {
    let mut shop = shop();
    let refused = shop.redeem("2026-03-03T09:00", redeem).unwrap_err();
    let expected =
        Rejected::NotEnoughPoints { currency: "point".parse().unwrap(), wanted: 131, balance: balance(130, 0) };
    assert_eq!(refused, expected);
    assert_eq!((refused.code(), refused.facts()["available"].as_i64()), ("not-enough-points", Some(130)));
}

#[test]
fn i2_what_is_pending_or_owed_cannot_be_spent() {
    let mut shop = Shop::new(&points_with(", pending: P5D"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 50_000));
    let refused = shop.redeem("2026-03-03T09:00", spend("point", 1)).unwrap_err();
    assert!(matches!(refused, Rejected::NotEnoughPoints { balance: Balance { pending: 50, .. }, .. }), "{refused}");
    let mut shop = Shop::new(&points_with(""));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 50_000));
    shop.adjust("2026-03-02T10:00", "point", -80).unwrap();
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 40_000));
    let refused = shop.redeem("2026-03-03T10:00", spend("point", 11)).unwrap_err();
    assert!(matches!(refused, Rejected::NotEnoughPoints { balance: Balance { available: 10, debt: 0, .. }, .. }));
    shop.redeem("2026-03-03T10:00", spend("point", 10)).unwrap();
}

#[test]
fn l1_entries_say_which_lots_paid_and_the_event_says_why() {
    let mut shop = shop();
    let spent = shop.redeem("2026-03-03T09:00", spend("point", 110)).unwrap();
    let redemption = id_of(&spent);
    let lot = |day: &str| format!("{day}@{redemption}");
    assert_eq!(
        moves(&spent),
        [
            (Account::Active, Account::Redeemed, lot("2027-01-31"), 100),
            (Account::Active, Account::Redeemed, lot("2027-03-31"), 10)
        ]
    );
    let why: Vec<(i64, String)> =
        explain_redemption(&spent.events[spent.main]).into_iter().map(|lot| (lot.amount, lot.words)).collect();
    assert_eq!(
        why,
        [
            (100, "first: what expires soonest, on 2027-01-31".to_owned()),
            (10, "next: what expires on 2027-03-31".to_owned())
        ]
    );
}

#[test]
fn l7_a_reservation_taken_before_expiry_is_captured_after_it() {
    let mut shop = shop_with(", spend: { reserve: PT2H }");
    let reserved = shop.redeem("2027-01-31T23:30", reserve("point", 100)).unwrap();
    shop.send("2027-02-01T00:10", "purchase", &sale("o3", 1_000));
    assert_eq!(shop.balance("point"), balance(31, 100), "the lot is dead, what is reserved of it is not");
    shop.capture("2027-02-01T01:00", id_of(&reserved), None).unwrap();
    let totals = shop.state().purse("point").unwrap().totals;
    assert_eq!((totals.redeemed.get(), totals.expired.get()), (100, 0));
}

#[rstest]
#[case::voided(|shop: &mut Shop, redemption| drop(shop.void("2027-02-01T01:00", redemption).unwrap()))]
#[case::ended(|shop: &mut Shop, _| drop(shop.wake("2027-02-01T02:00")))]
#[case::captured_in_part(|shop: &mut Shop, redemption| drop(shop.capture("2027-02-01T01:00", redemption, Some(10)).unwrap()))]
fn l7_what_is_released_after_its_lot_has_died_is_dead(#[case] release: fn(&mut Shop, u64)) {
    let mut shop = shop_with(", spend: { reserve: PT2H }");
    let reserved = shop.redeem("2027-01-31T23:30", reserve("point", 110)).unwrap();
    release(&mut shop, id_of(&reserved));
    let totals = shop.state().purse("point").unwrap().totals;
    assert_eq!(shop.lots("point"), lots(&[("2027-03-31", 30)]), "the part of March is alive");
    assert_eq!(totals.redeemed + totals.expired, 100_i64.try_into().unwrap(), "nothing disappears silently");
    assert!(totals.expired.get() >= 90);
}

#[test]
fn l7_reserved_points_of_an_inactive_currency_die_when_they_are_released() {
    let mut shop =
        shop_with(", expires: { inactivity: P3M, moved_by: [purchase, redemption] }, spend: { reserve: PT2H }");
    assert_eq!(shop.seen_at("2026-06-02T23:00").purse("point").unwrap().active().get(), 130);
    let reserved = shop.redeem("2026-06-02T23:00", reserve("point", 130)).unwrap();
    let mut voided = shop.clone();
    voided.void("2026-06-03T00:30", id_of(&reserved)).unwrap();
    assert_eq!(voided.state().purse("point").unwrap().totals.expired.get(), 130);
    shop.capture("2026-06-03T00:30", id_of(&reserved), Some(100)).unwrap();
    assert_eq!(shop.available("point"), 30, "spending keeps the currency alive where the document says so");
    assert_eq!(shop.seen_at("2026-09-04T00:00").purse("point").unwrap().totals.expired.get(), 30);
}

#[test]
fn r6_what_is_owed_is_repaid_first_by_what_is_released_or_comes_back() {
    let mut shop = shop();
    let reserved = shop.redeem("2026-03-03T09:00", reserve("point", 130)).unwrap();
    shop.send("2026-03-03T09:01", "return", &back_all("o2"));
    assert_eq!(shop.balance("point").debt, 30, "what is reserved is out of reach");
    shop.void("2026-03-03T09:02", id_of(&reserved)).unwrap();
    assert_eq!(shop.balance("point"), balance(100, 0));
    let spent = shop.redeem("2026-03-03T09:03", spend("point", 100)).unwrap();
    shop.send("2026-03-03T09:04", "return", &back_all("o1"));
    assert_eq!(shop.balance("point").debt, 100);
    shop.cancel("2026-03-03T09:05", id_of(&spent), Some(40)).unwrap();
    assert_eq!((shop.balance("point").debt, shop.available("point")), (60, 0));
}

#[rstest]
#[case::in_steps(60, Ok(()))]
#[case::too_few(40, Err(Rejected::BelowMinimum { currency: "point".parse().unwrap(), wanted: 40, min: 50 }))]
#[case::between_steps(55, Err(Rejected::NotInSteps { currency: "point".parse().unwrap(), wanted: 55, step: 10 }))]
#[case::none(0, Err(Rejected::NothingToRedeem))]
#[case::below_none(-10, Err(Rejected::NothingToRedeem))]
fn m6_points_are_spent_in_the_steps_of_the_document(#[case] wanted: i64, #[case] expected: Result<(), Rejected>) {
    let mut shop = shop_with(", spend: { step: 10, min: 50 }");
    assert_eq!(shop.redeem("2026-03-03T09:00", reserve("point", wanted)).map(drop), expected);
}

#[test]
fn m6_points_pay_up_to_the_exact_payable_and_only_the_rest_is_rounded_by_its_tender() {
    let rest =
        format!("cash_rounding: {{ cash: 500, coins: {{ to: 1000, rounding: floor }} }}\n{}", points_with(WORTH));
    let mut shop = Shop::new(&rest);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 200_000));
    let bill = |shop: &Shop, tender: Option<&str>, points: Option<i64>| {
        let redeem = Redeem { tender: tender.map(Into::into), ..pay("point", "12345", points) };
        let quote = quote_redemption(shop.versions.head(), &shop.state(), &redeem).unwrap();
        let bill = quote.bill.unwrap();
        assert_eq!(bill.covered + bill.remainder, bill.payable);
        (quote.points, bill.covered.to_string(), bill.remainder.to_string(), bill.asked.to_string())
    };
    let told = |points: i64, covered: &str, rest: &str, asked: &str| {
        (points, covered.to_owned(), rest.to_owned(), asked.to_owned())
    };
    assert_eq!(bill(&shop, None, None), told(123, "12300", "45", "45"));
    assert_eq!(bill(&shop, Some("cash"), None), told(123, "12300", "45", "0"));
    assert_eq!(bill(&shop, Some("cash"), Some(100)), told(100, "10000", "2345", "2500"));
    assert_eq!(bill(&shop, Some("coins"), Some(100)), told(100, "10000", "2345", "2000"));
    assert_eq!(bill(&shop, Some("card"), Some(100)), told(100, "10000", "2345", "2345"));
    let refused = shop.redeem("2026-03-03T09:00", pay("point", "12345", Some(124))).unwrap_err();
    assert!(matches!(refused, Rejected::OverPayable { wanted: 124, most: 123, .. }), "{refused}");
    let reserved = shop.redeem("2026-03-03T09:00", pay("point", "12345", None)).unwrap();
    assert_eq!(shop.balance("point"), balance(77, 123));
    let captured = shop.capture("2026-03-03T09:01", id_of(&reserved), Some(120)).unwrap();
    let bill = captured.outcome.redemption.unwrap().bill.unwrap();
    assert_eq!((bill.covered.to_string(), bill.remainder.to_string()), ("12000".into(), "345".into()));
}

#[test]
fn m6_a_slider_offers_what_is_there_and_payable_in_whole_steps() {
    let shop = shop_with(", value: 100, spend: { step: 20, min: 50 }");
    let choices = |redeem: &Redeem| {
        let quote = quote_redemption(shop.versions.head(), &shop.state(), redeem).unwrap();
        (quote.points, quote.choices)
    };
    let steps = |max| Choices { min: 60, max, step: 20 };
    assert_eq!(choices(&pay("point", "1000000", None)), (120, steps(120)));
    assert_eq!(choices(&pay("point", "9900", None)), (80, steps(80)));
    assert_eq!(choices(&pay("point", "5900", None)), (0, steps(0)), "59 points would do, but 60 are the least");
    assert_eq!(choices(&Redeem { points: None, ..reserve("point", 0) }), (120, steps(120)));
    let refused = |redeem: Redeem| shop.clone().redeem("2026-03-03T09:00", redeem).unwrap_err();
    assert!(matches!(refused(pay("point", "5900", None)), Rejected::BelowMinimum { min: 60, .. }));
    assert_eq!(refused(Redeem { points: None, ..reserve("point", 0) }), Rejected::NothingToRedeem);
}

#[test]
fn m6_points_without_a_value_pay_no_bill() {
    let mut shop = shop_with("");
    let refused = shop.redeem("2026-03-03T09:00", pay("point", "12345", None)).unwrap_err();
    assert_eq!(refused, Rejected::WorthNothing { currency: "point".parse().unwrap() });
    shop.redeem("2026-03-03T09:00", spend("point", 3)).unwrap();
    let refused = shop.redeem("2026-03-03T09:00", spend("mile", 3)).unwrap_err();
    assert_eq!(refused, Rejected::UnknownCurrency { currency: "mile".parse().unwrap() });
}

#[test]
fn nobody_redeems_who_has_not_joined() {
    let mut shop = Shop::new(&points_with(WORTH));
    assert_eq!(shop.redeem("2026-03-03T09:00", spend("point", 3)).unwrap_err(), Rejected::NeedsMember);
    assert_eq!(shop.member().stored(), None);
}

/// An order of two lines, of which so many points of a redemption paid a part.
fn paid_sale(shop: &Shop, order_id: &str, items: &[(&str, &str, i64, i64)], redemption: u64, amount: i64) -> String {
    sale_with(order_id, items, &format!(r#", "payments": [{}]"#, shop.payment(redemption, amount)))
}

/// 100 points pay 10,000 of an order of 40,000 in four equal units.
fn shop_that_sold_for_points(settings: &str) -> (Shop, u64) {
    let mut shop = shop_with(&format!("{WORTH}{settings}"));
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 110)).unwrap());
    let data = paid_sale(&shop, "paid", &[("A", "x", 4, 40_000)], redemption, 11_000);
    shop.send("2026-03-03T09:01", "purchase", &data);
    (shop, redemption)
}

#[test]
fn m4_the_part_paid_with_points_never_earns() {
    let (shop, _) = shop_that_sold_for_points("");
    assert_eq!(shop.available("point"), 20 + 29, "29 for the 29,000 that were paid with money");
}

#[test]
fn r7_points_spent_on_a_returned_order_go_back_to_their_own_lots() {
    let (mut shop, redemption) = shop_that_sold_for_points("");
    let back = shop.send("2026-04-05T09:00", "return", &back_all("paid"));
    assert_eq!(shop.lots("point"), lots(&[("2027-01-31", 100), ("2027-03-31", 30)]), "and what it earned is gone");
    assert_eq!(sum_of(&back, EffectKind::Refunded, "point"), 110);
    let first = back.outcome.effects.iter().find(|effect| effect.kind == EffectKind::Refunded).unwrap();
    assert_eq!(first.expires_on.map(|day| day.to_string()).as_deref(), Some("2027-03-31"), "last spent, first back");
    let money = back.outcome.effects.iter().find(|effect| effect.kind == EffectKind::MoneyBack).unwrap();
    assert_eq!(money.money.unwrap().to_string(), "29000");
    let Redemption { captured, returned, .. } = shop.redemption(redemption).unwrap();
    assert_eq!((captured, returned), (110, 110));
    assert_eq!(shop.state().purse("point").unwrap().totals.redeemed.get(), 0);
}

/// Three units of 13,333.33… ₫ each: the till was told to hand out 9,633.333334 ₫.
#[test]
fn r8_money_goes_back_in_coins_and_adds_up_to_what_was_paid() {
    let mut shop = shop_with(WORTH);
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 110)).unwrap());
    let data = paid_sale(&shop, "paid", &[("A", "x", 3, 40_000)], redemption, 11_000);
    shop.send("2026-03-03T09:01", "purchase", &data);
    let mut sum = (0, Amount::ZERO);
    for _ in 0..3 {
        let back = shop.send("2026-03-05T09:00", "return", &back("paid", &[("A", 1)]));
        let money = back.outcome.effects.iter().find(|effect| effect.kind == EffectKind::MoneyBack).unwrap();
        let money = money.money.unwrap();
        assert!(!money.to_string().contains('.'), "{money}");
        sum = (sum.0 + sum_of(&back, EffectKind::Refunded, "point"), sum.1 + money);
    }
    assert_eq!((sum.0, sum.1.to_string().as_str()), (110, "29000"));
}

#[test]
fn r7_they_go_back_before_anything_is_taken_back_else_it_would_be_owed() {
    let (mut shop, _) = shop_that_sold_for_points("");
    shop.redeem("2026-03-04T09:00", spend("point", 49)).unwrap();
    let back = shop.send("2026-03-05T09:00", "return", &back_all("paid"));
    assert_eq!(count_of(&back, EffectKind::Debt), 0);
    assert_eq!(shop.balance("point"), balance(110 - 29, 0));
}

#[rstest]
#[case::stay_expired("", &[("2027-03-31", 10)], 100)]
#[case::grace("{ restored: { grace: P30D } }", &[("2027-03-07", 100), ("2027-03-31", 10)], 0)]
#[case::new_date("{ restored: new_date }", &[("2027-03-31", 10), ("2028-02-29", 100)], 0)]
fn r7_where_the_lot_has_died_the_document_says_what_becomes_of_them(
    #[case] spend_settings: &str,
    #[case] expected: &[(&str, i64)],
    #[case] expired: i64,
) {
    let settings = if spend_settings.is_empty() { String::new() } else { format!(", spend: {spend_settings}") };
    let mut shop = shop_with(&settings);
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 110)).unwrap());
    shop.redeem("2026-03-03T10:00", spend("point", 20)).unwrap();
    shop.cancel("2027-02-05T09:00", redemption, None).unwrap();
    assert_eq!(shop.lots("point"), lots(expected));
    assert_eq!(shop.state().purse("point").unwrap().totals.expired.get(), expired, "nothing disappears silently");
}

#[test]
fn r7_points_of_an_inactive_currency_come_back_under_its_policy() {
    for (restored, left) in [("stay_expired", 0), ("new_date", 130), ("{ grace: P10D }", 130)] {
        let settings = format!(", expires: {{ inactivity: P3M }}, spend: {{ restored: {restored} }}");
        let mut shop = shop_with(&settings);
        let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 130)).unwrap());
        shop.cancel("2026-09-05T09:00", redemption, None).unwrap();
        assert_eq!(shop.available("point"), left, "{restored}");
        assert_eq!(shop.seen_at("2026-12-06T00:00").purse("point").unwrap().active().get(), 0, "{restored}");
    }
}

#[test]
fn r8_points_and_money_come_back_in_proportion_and_sum_to_the_whole() {
    let mut shop = shop();
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 50)).unwrap());
    // 5,000 of 9,999 in points: a third of the goods is 3,333, of which 1,667 in points (16.67).
    let data = paid_sale(&shop, "paid", &[("A", "x", 3, 9_999)], redemption, 5_000);
    shop.send("2026-03-03T09:01", "purchase", &data);
    let mut sums = (0, 0);
    for step in 0..3 {
        let back = shop.send(&format!("2026-03-04T09:0{step}"), "return", &back("paid", &[("A", 1)]));
        let points = sum_of(&back, EffectKind::Refunded, "point");
        let money = back.outcome.effects.iter().filter_map(|effect| effect.money).map(|money| money.to_string());
        let money: i64 = money.map(|money| money.parse::<i64>().unwrap()).sum();
        assert_eq!(points * 100 + money, 3_333, "step {step}");
        sums = (sums.0 + points, sums.1 + money);
    }
    assert_eq!(sums, (50, 4_999));
    assert_eq!(shop.redemption(redemption).unwrap().returned, 50);
}

#[test]
fn r8_never_more_points_come_back_than_were_spent() {
    let (mut shop, redemption) = shop_that_sold_for_points("");
    shop.cancel("2026-03-03T10:00", redemption, Some(60)).unwrap();
    let refused = shop.cancel("2026-03-03T10:01", redemption, Some(51)).unwrap_err();
    assert!(matches!(refused, Rejected::ReturnedMoreThanCaptured { wanted: 51, captured: 110, returned: 60, .. }));
    // Another order paid by the same redemption, as if it had paid twice.
    let data = paid_sale(&shop, "again", &[("A", "x", 1, 11_000)], redemption, 11_000);
    shop.send("2026-03-03T10:02", "purchase", &data);
    let first = shop.send("2026-03-03T10:03", "return", &back_all("paid"));
    assert_eq!(sum_of(&first, EffectKind::Refunded, "point"), 50);
    let second = shop.send("2026-03-03T10:04", "return", &back_all("again"));
    assert_eq!(sum_of(&second, EffectKind::Refunded, "point"), 0);
    assert!(matches!(
        shop.cancel("2026-03-03T10:05", redemption, None),
        Err(Rejected::ReturnedMoreThanCaptured { .. })
    ));
    assert_eq!(shop.balance("point"), balance(130, 0));
}

/// A basket that loses a bonus with the first unit, of a member who has spent everything.
#[rstest]
#[case::at_once(&[2])]
#[case::one_by_one(&[1, 1])]
fn r6_what_was_forgiven_is_taken_from_what_comes_back_later(#[case] steps: &[i64]) {
    let bonus = "  bonus: { trigger: purchase, earning: bonus, rules: [ { when: event.net >= 15000, award: { currency: point, amount: 100 } } ] }";
    let mut shop = Shop::new(&points_and(", value: 100, overdraft: clamp", bonus));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 14_000));
    shop.adjust("2026-03-02T09:01", "point", 36).unwrap();
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 50)).unwrap());
    let data = paid_sale(&shop, "paid", &[("A", "x", 2, 20_000)], redemption, 5_000);
    shop.send("2026-03-03T09:01", "purchase", &data);
    shop.redeem("2026-03-03T09:02", spend("point", 115)).unwrap();
    for (minute, units) in steps.iter().enumerate() {
        shop.send(&format!("2026-03-04T09:0{minute}"), "return", &back("paid", &[("A", *units)]));
    }
    assert_eq!(shop.balance("point"), balance(0, 0), "50 came back, 115 were to be taken");
    assert_eq!(shop.progress("paid").unwrap().forgiven.values().sum::<i64>(), 65);
}

/// An order that 20 points paid for in part and that earned 48, of which 8 were left to die on 30 April, as did what it
/// was paid with. Its first unit takes the bonus with it, more than comes home dead with that unit; its second takes less.
fn shop_that_comes_back_too_late(expires: &str) -> Shop {
    let bonus = "  bonus: { trigger: purchase, earning: bonus, rules: [ { when: event.net >= 15000, award: { currency: point, amount: 30 } } ] }";
    let mut shop = Shop::new(&points_and(&format!(", value: 100, {expires}"), bonus));
    shop.send("2026-03-01T09:00", "purchase", &sale("before", 14_000));
    shop.adjust("2026-03-02T09:00", "point", 46).unwrap();
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 20)).unwrap());
    let data = paid_sale(&shop, "paid", &[("A", "x", 2, 20_000)], redemption, 2_000);
    shop.send("2026-03-03T09:01", "purchase", &data);
    shop.redeem("2026-03-03T09:02", spend("point", 80)).unwrap();
    shop
}

const MONTHLY: &str = "expires: { after: P1M, round: month }";

#[rstest]
#[case::at_once(&[2])]
#[case::one_by_one(&[1, 1])]
fn r1_what_comes_home_dead_excuses_what_was_owed_for_it_before(#[case] steps: &[i64]) {
    let mut shop = shop_that_comes_back_too_late(MONTHLY);
    for (minute, units) in steps.iter().enumerate() {
        shop.send(&format!("2026-05-02T09:0{minute}"), "return", &back("paid", &[("A", *units)]));
    }
    assert_eq!(
        (shop.available("point"), shop.balance("point").debt),
        (0, 20),
        "48, less 8 that died and 20 come home dead"
    );
    let progress = shop.progress("paid").unwrap();
    let gone: i64 = progress.taken.iter().filter(|credit| credit.expired).map(|credit| credit.amount).sum();
    assert_eq!((gone, progress.owed.values().sum::<i64>()), (28, 20));
}

#[rstest]
#[case::at_once(&[2])]
#[case::one_by_one(&[1, 1])]
fn r1_what_comes_home_dead_excuses_what_other_lots_paid(#[case] steps: &[i64]) {
    let mut shop = shop_that_comes_back_too_late(MONTHLY);
    shop.send("2026-04-20T09:00", "purchase", &sale("later", 14_000));
    shop.adjust("2026-05-01T09:00", "point", 11).unwrap();
    for (minute, units) in steps.iter().enumerate() {
        shop.send(&format!("2026-05-02T09:0{minute}"), "return", &back("paid", &[("A", *units)]));
    }
    assert_eq!(shop.lots("point"), lots(&[("2026-06-30", 5)]), "14 and 6 of the others");
}

#[test]
fn r1_a_debt_that_was_repaid_and_is_excused_comes_back_as_points() {
    let mut shop = shop_that_comes_back_too_late(MONTHLY);
    shop.send("2026-05-02T09:00", "return", &back("paid", &[("A", 1)]));
    assert_eq!(shop.balance("point").debt, 21, "39, less 8 that died and 10 come home dead");
    shop.send("2026-05-02T10:00", "purchase", &sale("later", 14_000));
    shop.adjust("2026-05-02T10:01", "point", 16).unwrap();
    let back = shop.send("2026-05-02T11:00", "return", &back("paid", &[("A", 1)]));
    assert_eq!(shop.lots("point"), lots(&[("2026-06-30", 10)]), "as one return on that day would leave it");
    let words: Vec<&str> = back.trace.iter().map(|trace| trace.words.as_str()).collect();
    assert_eq!(
        words[2..],
        [
            "30 point go back: 10 of its own that had expired, 20 of others until 2026-06-30",
            "21 point are given: 21 repay what was owed"
        ]
    );
}

/// Three orders of March whose points die on 30 April: `a` earned 40, which paid for `b`; `b` earned 36, which paid for `c`;
/// `c` earned 6.
fn orders_that_paid_for_each_other() -> Shop {
    let mut shop = Shop::new(&points_with(", value: 100, expires: { after: P1M, round: month }"));
    shop.send("2026-03-03T09:00", "purchase", &lines("a", &[("A", "x", 2, 40_000)]));
    let forty = id_of(&shop.redeem("2026-03-03T10:00", spend("point", 40)).unwrap());
    let data = paid_sale(&shop, "b", &[("B", "x", 1, 40_000)], forty, 4_000);
    shop.send("2026-03-03T10:01", "purchase", &data);
    let the_rest = id_of(&shop.redeem("2026-03-03T11:00", spend("point", 36)).unwrap());
    let data = paid_sale(&shop, "c", &[("C", "x", 1, 10_000)], the_rest, 3_600);
    shop.send("2026-03-03T11:01", "purchase", &data);
    assert_eq!(shop.lots("point"), lots(&[("2026-04-30", 6)]));
    shop
}

/// What can be spent, and what is owed.
fn has_and_owes(shop: &Shop) -> (i64, i64) {
    let balance = shop.balance("point");
    (balance.available, balance.debt)
}

/// `a` first: 40 are to go, of which 6 died, so 34 are owed. `b` brings 40 home, dead: 34 of them are those that `a` missed,
/// and of the 36 that `b` earned 6 are among the dead. The 30 that it then owes are among the 36 that `c` brings home.
#[rstest]
#[case::as_they_were_made(["a", "b", "c"], [34, 30, 0])]
#[case::the_last_first(["c", "b", "a"], [0, 0, 0])]
#[case::the_first_last(["b", "c", "a"], [0, 0, 0])]
#[case::the_middle_last(["a", "c", "b"], [34, 4, 0])]
#[case::from_the_middle(["b", "a", "c"], [0, 30, 0])]
#[case::around_the_middle(["c", "a", "b"], [0, 4, 0])]
fn r2_orders_that_paid_for_each_other_leave_nothing_in_whatever_order_they_come_back(
    #[case] orders: [&str; 3],
    #[case] owed: [i64; 3],
) {
    let mut shop = orders_that_paid_for_each_other();
    for (order, owed) in orders.into_iter().zip(owed) {
        shop.send("2026-05-02T09:00", "return", &back_all(order));
        assert_eq!(has_and_owes(&shop), (0, owed), "after {order}");
    }
    assert!(shop.state().shortfalls.iter().all(|known| known.gap() == 0));
}

#[test]
fn r2_an_order_that_came_back_in_part_first_is_as_if_it_had_come_back_last() {
    let mut shop = orders_that_paid_for_each_other();
    shop.send("2026-05-02T09:00", "return", &back("a", &[("A", 1)]));
    assert_eq!(has_and_owes(&shop), (0, 14), "20, less 6 that died");
    shop.send("2026-05-02T09:01", "return", &back_all("c"));
    assert_eq!(has_and_owes(&shop), (0, 0), "14 of the 36 that are home");
    shop.send("2026-05-02T09:02", "return", &back_all("b"));
    shop.send("2026-05-02T09:03", "return", &back("a", &[("A", 1)]));
    assert_eq!(has_and_owes(&shop), (0, 0));
    let progress = shop.progress("a").unwrap();
    assert_eq!(progress.taken.iter().filter(|credit| credit.expired).map(|credit| credit.amount).sum::<i64>(), 40);
    assert!(progress.owed.is_empty());
}

/// One of two units comes back, and the other turns out to have cost 5,000 more.
#[rstest]
#[case::the_return_first(&["a", "b", "c"])]
#[case::the_return_last(&["b", "c", "a"])]
fn r12_a_correction_gives_the_same_whenever_what_paid_for_others_came_home(#[case] orders: &[&str]) {
    let mut shop = orders_that_paid_for_each_other();
    shop.adjust("2026-05-01T09:00", "point", 50).unwrap();
    for order in orders {
        let data = if *order == "a" { back("a", &[("A", 1)]) } else { back_all(order) };
        shop.send("2026-05-02T09:00", "return", &data);
    }
    assert_eq!(shop.lots("point"), lots(&[("2026-06-30", 50)]));
    shop.send("2026-05-02T10:00", "amend", &lines("a", &[("A", "x", 2, 50_000)]));
    assert_eq!(shop.lots("point"), lots(&[("2026-06-30", 50)]), "what it earns more would have died");
}

/// What was taken in April from points that live until the end of May goes back to them, and not into the lot of March.
#[test]
fn r2_what_was_taken_from_younger_points_goes_back_to_them_once_the_own_are_home() {
    let mut shop = orders_that_paid_for_each_other();
    shop.send("2026-04-10T09:00", "purchase", &sale("later", 50_000));
    shop.send("2026-04-11T09:00", "return", &back_all("a"));
    assert_eq!(shop.lots("point"), lots(&[("2026-05-31", 16)]), "6 of its own, 34 of the others");
    shop.send("2026-04-12T09:00", "return", &back_all("b"));
    assert_eq!(shop.lots("point"), lots(&[("2026-05-31", 20)]), "34 go back; of its 36, 6 are its own");
    let last = shop.send("2026-04-13T09:00", "return", &back_all("c"));
    assert_eq!(sum_of(&last, EffectKind::Restored, "point"), 30);
    assert_eq!(shop.lots("point"), lots(&[("2026-05-31", 50)]));
}

/// A purchase of April repaid what `a` owed. Its points go back to their own lot, and die with it.
#[test]
fn r2_what_repaid_a_debt_goes_back_where_it_would_have_been() {
    let mut shop = orders_that_paid_for_each_other();
    shop.send("2026-03-04T09:00", "return", &back_all("a"));
    shop.send("2026-04-10T09:00", "purchase", &sale("later", 50_000));
    assert_eq!(shop.lots("point"), lots(&[("2026-05-31", 16)]), "50, less 34 that were owed");
    for order in ["b", "c"] {
        shop.send("2026-05-02T09:00", "return", &back_all(order));
    }
    assert_eq!(shop.lots("point"), lots(&[("2026-05-31", 50)]));
    shop.send("2026-05-03T09:00", "return", &back_all("later"));
    assert_eq!(has_and_owes(&shop), (0, 0));
}

#[rstest]
#[case::while_they_live("2026-04-20T09:00")]
#[case::once_they_have_died("2026-05-02T09:00")]
fn r2_what_was_reserved_when_its_order_came_back_is_no_debt_once_it_is_free(#[case] freed: &str) {
    let mut shop =
        Shop::new(&points_with(", value: 100, expires: { after: P1M, round: month }, spend: { reserve: P30D }"));
    shop.send("2026-03-03T09:00", "purchase", &sale("a", 40_000));
    let redemption = id_of(&shop.redeem("2026-04-10T10:00", reserve("point", 40)).unwrap());
    shop.send("2026-04-11T09:00", "return", &back_all("a"));
    assert_eq!(has_and_owes(&shop), (0, 40));
    shop.void(freed, redemption).unwrap();
    assert_eq!(has_and_owes(&shop), (0, 0));
}

/// Where a currency forgives, `a` first is forgiven 34. They are taken once they are home, or buying would be a pump.
#[test]
fn r6_what_was_forgiven_is_taken_once_it_is_home() {
    let settings = ", value: 100, overdraft: clamp";
    let mut shop = Shop::new(&points_with(settings));
    shop.send("2026-03-03T09:00", "purchase", &sale("a", 40_000));
    let forty = id_of(&shop.redeem("2026-03-03T10:00", spend("point", 40)).unwrap());
    let data = paid_sale(&shop, "b", &[("B", "x", 1, 40_000)], forty, 4_000);
    shop.send("2026-03-03T10:01", "purchase", &data);
    shop.send("2026-03-04T09:00", "return", &back_all("a"));
    assert_eq!(has_and_owes(&shop), (0, 0), "36 of the other order's are taken, 4 are forgiven");
    shop.send("2026-03-05T09:00", "return", &back_all("b"));
    assert_eq!(has_and_owes(&shop), (0, 0));
}

#[test]
fn r8_two_redemptions_and_two_orders_each_get_their_own_back() {
    let mut shop = shop();
    let one = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 60)).unwrap());
    let two = id_of(&shop.redeem("2026-03-03T09:01", spend("point", 40)).unwrap());
    let payments = format!(r#", "payments": [{}, {}]"#, shop.payment(one, 4_000), shop.payment(two, 4_000));
    shop.send("2026-03-03T09:02", "purchase", &sale_with("a", &[("A", "x", 2, 20_000)], &payments));
    let data = paid_sale(&shop, "b", &[("B", "x", 1, 2_000)], one, 2_000);
    shop.send("2026-03-03T09:03", "purchase", &data);
    shop.send("2026-03-04T09:00", "return", &back("a", &[("A", 1)]));
    let returned = |shop: &Shop| [one, two].map(|redemption| shop.redemption(redemption).unwrap().returned);
    assert_eq!(returned(&shop), [20, 20]);
    shop.send("2026-03-04T09:01", "return", &back_all("b"));
    assert_eq!(returned(&shop), [40, 20]);
    shop.send("2026-03-04T09:02", "return", &back("a", &[("A", 1)]));
    assert_eq!(returned(&shop), [60, 40]);
    assert_eq!(shop.balance("point"), balance(130, 0));
}

#[test]
fn r7_an_exchange_and_a_return_that_waited_give_points_back_too() {
    let mut shop = shop();
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 100)).unwrap());
    shop.send("2026-03-03T09:30", "return", &back("paid", &[("A", 1)]));
    let data = paid_sale(&shop, "paid", &[("A", "x", 2, 20_000)], redemption, 10_000);
    shop.send("2026-03-03T09:01", "purchase", &data);
    assert_eq!(shop.redemption(redemption).unwrap().returned, 50, "the return that came first was settled");
    shop.send("2026-03-04T09:00", "exchange", &exchange("paid", &[("A", 1)], &sale("new", 1_000)));
    assert_eq!(shop.redemption(redemption).unwrap().returned, 100);
}

#[test]
fn r8_an_order_names_redemptions_of_its_own_member_only() {
    let mut shop = shop();
    let redemption = id_of(&shop.redeem("2026-03-03T09:00", spend("point", 100)).unwrap());
    let data = paid_sale(&shop, "paid", &[("A", "x", 2, 20_000)], redemption, 10_000);
    shop.of_member(1);
    let refused = shop.refused("2026-03-03T09:01", "purchase", &data);
    assert!(matches!(refused, Rejected::UnknownRedemption { .. }), "{refused}");
    shop.of_member(0);
    let unknown = paid_sale(&shop, "paid", &[("A", "x", 2, 20_000)], 1, 10_000);
    assert!(matches!(shop.refused("2026-03-03T09:01", "purchase", &unknown), Rejected::UnknownRedemption { .. }));
}

#[test]
fn c7_what_is_reserved_counts_to_the_balance_limit() {
    let mut shop = Shop::new(&points_with(", max_balance: 100"));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 90_000));
    let reserved = shop.redeem("2026-03-02T09:01", reserve("point", 50)).unwrap();
    shop.send("2026-03-02T09:02", "purchase", &sale("o2", 90_000));
    assert_eq!(shop.balance("point"), balance(50, 50));
    shop.void("2026-03-02T09:03", id_of(&reserved)).unwrap();
    assert_eq!(shop.balance("point"), balance(100, 0));
}

#[rstest]
#[case::no_step("step: 0", "`currencies.point.spend.step`", "a number above 0")]
#[case::negative("min: -1", "`currencies.point.spend.min`", "0 or more")]
#[case::too_short("reserve: PT10S", "`currencies.point.spend.reserve`", "PT1M to P30D")]
#[case::no_time("reserve: P1M", "`currencies.point.spend.reserve`", "PT15M")]
#[case::no_policy("restored: never", "`currencies.point.spend.restored`", "stay_expired")]
#[case::misspelt("steps: 10", "`currencies.point.spend", "step")]
fn mistakes_in_how_points_are_spent_are_found(#[case] setting: &str, #[case] path: &str, #[case] right: &str) {
    let text = document(&points_with(&format!(", spend: {{ {setting} }}")));
    let problems = read_document(&text).unwrap_err();
    let said = problems[0].to_string();
    assert!(said.contains(path.trim_matches('`')) && said.contains(right), "{said}");
}

#[rstest]
#[case("cash_rounding: { cash: 0 }", "above 0")]
#[case("cash_rounding: { cash: much }", "500")]
#[case("events: { capture: {} }", "choose another")]
#[case("events: { redemption-return: {} }", "choose another")]
fn mistakes_around_redemptions_are_found(#[case] line: &str, #[case] right: &str) {
    let text = document(&format!("{line}\n{}", points_with("")));
    let said: Vec<String> = read_document(&text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|said| said.contains(right)), "{said:?}");
}
