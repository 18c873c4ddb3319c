//! P1, P2, R1, A1: two members become one, and one two again.

use rstest::rstest;
use tessera_core::decide::{EffectKind, Rejected};
use tessera_core::member::{ClubStatus, MemberState, Status};
use tessera_testkit::shop::{Shop, count_of, json::*, pay, reserve, spend, sum_of};

const DOCUMENT: &str = "
currencies:
  point: { name: Point, expires: { after: P12M, round: month } }
  star: { name: Star, expires: never, pending: { for: P14D } }
tiers: { club: { measure: { earned: point, counts: all }, levels: [ { id: blue, at: 0 }, { id: gold, at: 100 }, { id: black, at: 200 } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  stars: { trigger: purchase, rules: [ { award: { currency: star, amount: event.net / 1000 } } ] }
  hello: { trigger: enrol, rules: [ { award: { currency: point, amount: \"5\" } } ] }
  once: { trigger: purchase, rules: [ { award: { currency: point, amount: \"7\" }, limit: { per_member: { ever: 1 } } } ] }
";

/// Member 0 bought in January, member 1 in February.
fn shop() -> Shop {
    let mut shop = Shop::new(DOCUMENT);
    shop.of_member(0).send("2026-01-05T09:00", "enrol", "{}");
    shop.send("2026-01-10T09:00", "purchase", &sale("a1", 120_000));
    shop.of_member(1).send("2026-02-05T09:00", "enrol", "{}");
    shop.send("2026-02-10T09:00", "purchase", &sale("b1", 90_000));
    shop
}

/// Member 1 becomes one with member 0.
fn merged() -> Shop {
    let mut shop = shop();
    shop.of_member(1).merge("2026-02-12T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    shop.of_member(0);
    shop
}

fn lots(lots: &[(&str, i64)]) -> Vec<(String, i64)> {
    lots.iter().map(|(day, amount)| ((*day).to_owned(), *amount)).collect()
}

#[test]
fn p1_everything_goes_with_its_dates() {
    let mut shop = merged();
    // a1: 120 + 7, hello 5; b1: 90 + 7, hello 5.
    assert_eq!(shop.lots("point"), lots(&[("2027-01-31", 132), ("2027-02-28", 102)]));
    let state = shop.state();
    let earned: Vec<_> = state.purse("point").unwrap().lots.iter().map(|lot| lot.earned_at).collect();
    assert_eq!(earned[1], tessera_testkit::shop::at("2026-02-05T09:00"));
    // What waits goes on waiting.
    assert_eq!(shop.balance("star").pending, 90);
    assert_eq!((state.statistics.purchases, state.merged.len()), (2, 1));
    let gone = shop.of_member(1).state();
    assert_eq!((gone.status, gone.into), (Status::Merged, Some(state.id)));
    assert_eq!(shop.available("point"), 0);
    shop.of_member(0).wake("2026-02-25T09:00");
    assert_eq!(shop.available("star"), 210);
}

#[test]
fn p1_the_tier_is_what_both_did_and_never_below_the_higher() {
    let shop = merged();
    assert_eq!(shop.level("club"), "black");
    let mut shop = self::shop();
    shop.of_member(0).merge("2026-02-12T09:00", 1).unwrap();
    shop.relay().remove(0).unwrap();
    assert_eq!(shop.of_member(1).level("club"), "black");
}

#[test]
fn p1_what_is_given_once_stays_once() {
    let mut shop = merged();
    let bought = shop.send("2026-02-13T09:00", "purchase", &sale("a2", 10_000));
    assert_eq!(sum_of(&bought, EffectKind::Accrual, "point"), 10);
}

#[test]
fn p1_what_is_sent_to_the_merged_one_reaches_the_survivor() {
    let mut shop = merged();
    let before = shop.available("point");
    shop.of_member(1).send("2026-02-13T09:00", "purchase", &sale("b2", 10_000));
    assert_eq!(shop.of_member(0).available("point"), before + 10);
}

#[rstest]
#[case::before_the_merge(true)]
#[case::after_it(false)]
fn r1_a_return_of_the_merged_ones_order_is_exact(#[case] partly_before: bool) {
    let mut shop = shop();
    let order = lines("b2", &[("A", "x", 3, 30_000), ("B", "y", 1, 11_000)]);
    shop.send("2026-02-11T09:00", "purchase", &order);
    if partly_before {
        shop.send("2026-02-11T10:00", "return", &back("b2", &[("A", 1)]));
    }
    shop.merge("2026-02-12T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    shop.of_member(0);
    if !partly_before {
        shop.send("2026-02-13T09:00", "return", &back("b2", &[("A", 1)]));
    }
    shop.send("2026-02-14T09:00", "return", &back("b2", &[("B", 1)]));
    shop.of_member(1).send("2026-02-15T09:00", "return", &back_all("b2"));
    shop.of_member(0);
    // As if it had never been.
    assert_eq!(shop.lots("point"), lots(&[("2027-01-31", 132), ("2027-02-28", 102)]));
    assert_eq!((shop.balance("star").pending, shop.balance("point").debt), (90, 0));
    assert_eq!(shop.level("club"), "black");
    let again = shop.refused("2026-02-16T09:00", "return", &back_all("b2"));
    assert_eq!(again.code(), "nothing-left-to-return");
}

#[test]
fn r5_the_pending_points_of_the_merged_ones_order_go_first() {
    let mut shop = merged();
    let back = shop.send("2026-02-13T09:00", "return", &back_all("b1"));
    assert_eq!(sum_of(&back, EffectKind::TakenBack, "star"), 90);
    assert_eq!(shop.balance("star").pending, 0);
    assert_eq!(shop.available("star"), 120);
    assert_eq!(shop.lots("point"), lots(&[("2027-01-31", 132), ("2027-02-28", 5)]));
}

#[test]
fn r7_what_the_merged_one_spent_comes_back_to_its_own_lot() {
    let mut shop = shop();
    let spent = shop.redeem("2026-02-11T09:00", spend("point", 40)).unwrap();
    let seq = spent.events[spent.main].seq;
    shop.merge("2026-02-12T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    let number = {
        let gone = shop.of_member(1).member().id;
        let state = shop.of_member(0).state();
        state.number_of(tessera_core::id::EventId { member: gone, seq }).unwrap()
    };
    shop.cancel("2026-02-13T09:00", number, None).unwrap();
    assert_eq!(shop.lots("point"), lots(&[("2027-01-31", 132), ("2027-02-28", 102)]));
    let twice = shop.cancel("2026-02-13T10:00", number, None).unwrap_err();
    assert_eq!(twice.code(), "returned-more-than-captured");
}

#[test]
fn r8_an_order_paid_with_the_merged_ones_points_gives_them_back() {
    let mut shop = Shop::new(&DOCUMENT.replace("point: { name: Point,", "point: { name: Point, value: 100,"));
    shop.of_member(0).send("2026-01-10T09:00", "purchase", &sale("a1", 120_000));
    shop.of_member(1).send("2026-02-10T09:00", "purchase", &sale("b1", 90_000));
    let spent = shop
        .redeem("2026-02-11T09:00", tessera_core::event::Redeem { capture: true, ..pay("point", "50000", Some(50)) });
    let spent = spent.unwrap();
    let paid = shop.payment(spent.events[spent.main].seq, 5_000);
    let order = format!(
        r#"{{"order_id": "b2", "total": 50000, "items": [{{"sku": "A", "quantity": 1, "amount": 50000}}], "payments": [{paid}]}}"#
    );
    shop.send("2026-02-11T09:01", "purchase", &order);
    shop.merge("2026-02-12T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    let back = shop.of_member(0).send("2026-02-13T09:00", "return", &back_all("b2"));
    assert_eq!(sum_of(&back, EffectKind::Refunded, "point"), 50);
}

#[rstest]
#[case::the_survivor_owes(0, 1)]
#[case::the_merged_one_owes(1, 0)]
fn p2_debts_net(#[case] owes: usize, #[case] has: usize) {
    let mut shop = shop();
    shop.of_member(owes).redeem("2026-02-11T09:00", spend("point", 50)).unwrap();
    let order = if owes == 0 { "a1" } else { "b1" };
    shop.send("2026-02-11T10:00", "return", &back_all(order));
    let debt = shop.balance("point").debt;
    let others = shop.of_member(has).available("point");
    assert!(debt > 0 && debt < others);
    shop.of_member(1).merge("2026-02-12T09:00", 0).unwrap();
    let sent = shop.state().purse("point").map_or(0, |purse| purse.active().get());
    assert_eq!(sent, 0, "everything is on the way");
    let arrived = shop.relay().remove(0).unwrap();
    assert_eq!(sum_of(&arrived, EffectKind::DebtRepaid, "point"), debt);
    let came = if owes == 0 { others - debt } else { 0 };
    assert_eq!(sum_of(&arrived, EffectKind::Received, "point"), came, "what repaid a debt was not received");
    let balance = shop.of_member(0).balance("point");
    assert_eq!((balance.available, balance.debt), (others - debt, 0));
}

#[test]
fn p2_chains_reach_the_last() {
    let mut shop = merged();
    shop.of_member(2).send("2026-02-12T10:00", "purchase", &sale("c1", 10_000));
    shop.of_member(0).merge("2026-02-12T11:00", 2).unwrap();
    shop.relay().remove(0).unwrap();
    assert_eq!(shop.of_member(2).state().merged.len(), 2);
    // An order of the first is returned to the last.
    shop.of_member(1).send("2026-02-13T09:00", "return", &back_all("b1"));
    let last = shop.of_member(2);
    assert_eq!(last.lots("point"), lots(&[("2027-01-31", 132), ("2027-02-28", 5 + 17 + 5)]));
    assert_eq!(last.balance("star").pending, 10);
}

#[test]
fn p2_cycles_and_oneself_are_refused() {
    let mut shop = merged();
    assert!(matches!(shop.of_member(0).merge("2026-02-13T09:00", 0), Err(Rejected::MergeWithOneself)));
    // Back is the survivor into the survivor.
    let mut shop = self::shop();
    shop.of_member(1).merge("2026-02-12T09:00", 0).unwrap();
    shop.relay();
    assert!(matches!(shop.of_member(1).merge("2026-02-13T09:00", 0), Err(Rejected::MergeWithOneself)));
}

#[test]
fn p1_what_is_reserved_is_voided_and_goes_along() {
    let mut shop = shop();
    let held = shop.redeem("2026-02-12T08:59", reserve("point", 10)).unwrap();
    let merged = shop.merge("2026-02-12T09:00", 0).unwrap();
    assert_eq!(sum_of(&merged, EffectKind::Released, "point"), 10);
    shop.relay().remove(0).unwrap();
    assert_eq!(shop.of_member(0).lots("point"), lots(&[("2027-01-31", 132), ("2027-02-28", 102)]));
    assert_eq!((shop.balance("point").held, shop.of_member(1).state().holds.len()), (0, 0));
    let number = {
        let gone = shop.of_member(1).member().id;
        let seq = held.events[held.main].seq;
        shop.of_member(0).state().number_of(tessera_core::id::EventId { member: gone, seq }).unwrap()
    };
    assert_eq!(shop.capture("2026-02-12T09:01", number, None).unwrap_err().code(), "redemption-closed");
}

#[test]
fn p1_a_merge_does_not_set_back_what_velocity_rules_count() {
    let rule = "velocity: { spending: { what: redemption, per: member, window: P1D, count: 2, action: refuse } }";
    let mut shop = Shop::new(&format!("{DOCUMENT}{rule}"));
    shop.origin = tessera_core::event::Origin { key: Some("key_1".into()), ..Default::default() };
    for member in [0, 1] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(&format!("o{member}"), 90_000));
    }
    shop.of_member(1).redeem("2026-02-12T08:00", spend("point", 1)).unwrap();
    shop.redeem("2026-02-12T08:01", spend("point", 1)).unwrap();
    shop.merge("2026-02-12T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    let refused = shop.of_member(0).redeem("2026-02-12T10:00", spend("point", 1)).unwrap_err();
    assert_eq!(refused.case_hit().map(|hit| hit.used), Some(3));
    shop.unmerge("2026-02-12T11:00", 1).unwrap();
    shop.relay().remove(0).unwrap();
    shop.of_member(0).redeem("2026-02-12T12:00", spend("point", 1)).unwrap();
    let again = shop.of_member(1).redeem("2026-02-12T12:00", spend("point", 1)).unwrap_err();
    assert_eq!(again.case_hit().map(|hit| hit.used), Some(3));
}

#[test]
fn p1_a_merge_adds_up_what_was_counted_with_staff_or_a_device_and_an_undo_takes_it_back() {
    let rule = "velocity:
  hands: { what: redemption, per: [staff, member], window: P1D, count: 3, action: refuse }
  phones: { what: redemption, per: [member, device], window: P1D, points: { point: 9 } }";
    let mut shop = Shop::new(&format!("{DOCUMENT}{rule}"));
    for member in [0, 1] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(&format!("o{member}"), 90_000));
    }
    let served = |staff: &str| tessera_core::event::Origin {
        key: Some("key_1".into()),
        staff: Some(staff.into()),
        device: Some("d-1".into()),
        ..Default::default()
    };
    let takes = |shop: &mut Shop, member: usize, staff: &str, hour: u32| {
        shop.origin = served(staff);
        shop.of_member(member).redeem(&format!("2026-02-12T{hour:02}:00"), spend("point", 2))
    };
    for (member, staff, hour) in [(0, "S-1", 1), (1, "S-1", 2), (1, "S-1", 3), (1, "S-2", 4)] {
        assert_eq!(takes(&mut shop, member, staff, hour).unwrap().cases, []);
    }
    shop.of_member(1).merge("2026-02-12T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    let refused = takes(&mut shop, 0, "S-1", 10).unwrap_err();
    assert_eq!(refused.case_hit().map(|hit| hit.used), Some(4));
    // Another one of the staff is another pair; on the one phone ten points of both make a case.
    let passed = takes(&mut shop, 0, "S-2", 11).unwrap();
    assert_eq!(passed.cases.iter().map(|hit| (hit.used, hit.most)).collect::<Vec<_>>(), [(10, 9)]);
    shop.of_member(0).unmerge("2026-02-12T12:00", 1).unwrap();
    shop.relay().remove(0).unwrap();
    assert_eq!(takes(&mut shop, 0, "S-1", 13).unwrap().cases, []);
    let own = takes(&mut shop, 1, "S-1", 14).unwrap();
    assert_eq!(own.cases, [], "two of their own before, and six points");
    assert_eq!(takes(&mut shop, 1, "S-1", 15).unwrap_err().case_hit().map(|hit| hit.used), Some(4));
}

#[test]
fn p1_a_merge_that_cannot_arrive_leaves_both_as_they_were() {
    let mut shop = shop();
    let before = shop.of_member(1).state();
    shop.merge("2026-02-12T09:00", 0).unwrap();
    // The survivor has left meanwhile.
    shop.of_member(0)
        .ask(tessera_testkit::shop::at("2026-02-12T09:00"), tessera_core::event::What::Leave { erase: false })
        .unwrap();
    assert_eq!(shop.relay().remove(0).unwrap_err().code(), "member-left");
    let after = shop.of_member(1).state();
    assert_eq!((after.status, after.into), (Status::Active, None));
    assert_eq!((&after.purses, &after.ladders), (&before.purses, &before.ladders));
}

#[test]
fn p1_undone_everything_is_as_it_was() {
    let mut shop = shop();
    shop.of_member(0).wake("2026-02-11T09:00");
    let (zero, one) = (shop.of_member(0).state(), shop.of_member(1).state());
    shop.of_member(1).merge("2026-02-12T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    let undone = shop.of_member(0).unmerge("2026-02-13T09:00", 1).unwrap();
    assert_eq!(count_of(&undone, EffectKind::Stays), 0);
    shop.relay().remove(0).unwrap();
    let (zero_now, one_now) = (shop.of_member(0).state(), shop.of_member(1).state());
    for (before, now) in [(&zero, &zero_now), (&one, &one_now)] {
        assert_eq!((before.status, &before.purses), (now.status, &now.purses));
        assert_eq!(
            (before.statistics.purchases, before.statistics.spend),
            (now.statistics.purchases, now.statistics.spend)
        );
    }
    assert_eq!(
        (shop.of_member(0).level("club"), shop.of_member(1).level("club")),
        ("gold".to_owned(), "gold".to_owned())
    );
    // They go their own ways.
    shop.of_member(1).send("2026-02-14T09:00", "return", &back_all("b1"));
    assert_eq!(shop.lots("point"), lots(&[("2027-02-28", 5)]));
    assert_eq!(shop.of_member(0).available("point"), 132);
}

#[test]
fn p1_what_was_spent_stays_with_the_survivor() {
    let mut shop = merged();
    shop.redeem("2026-02-12T10:00", spend("point", 200)).unwrap();
    let undone = shop.unmerge("2026-02-13T09:00", 1).unwrap();
    assert_eq!(sum_of(&undone, EffectKind::Stays, "point"), 102 - 34);
    assert_eq!(sum_of(&undone, EffectKind::Sent, "point"), 34);
    shop.relay().remove(0).unwrap();
    assert_eq!(shop.of_member(0).available("point"), 0);
    assert_eq!(shop.of_member(1).available("point"), 34);
}

#[test]
fn p1_a_merge_is_undone_in_time_or_never() {
    let mut shop = merged();
    shop.of_member(2).send("2026-02-12T10:00", "enrol", "{}");
    shop.of_member(0);
    let late = shop.unmerge("2026-03-15T00:00", 1).unwrap_err();
    assert_eq!(late.code(), "merge-undo-too-late");
    assert_eq!(shop.unmerge("2026-03-14T23:59", 2).unwrap_err().code(), "not-merged");
    shop.unmerge("2026-03-14T23:59", 1).unwrap();
    assert_eq!(shop.unmerge("2026-03-14T23:59", 1).unwrap_err().code(), "not-merged");
    shop.relay().remove(0).unwrap();
}

#[test]
fn p3_whoever_is_one_with_somebody_who_leaves_leaves_too() {
    let mut shop = merged();
    shop.ask(tessera_testkit::shop::at("2026-02-13T09:00"), tessera_core::event::What::Leave { erase: true }).unwrap();
    shop.relay().remove(0).unwrap();
    assert_eq!(shop.of_member(1).state().status, Status::Left);
}

/// Clubs with a trial, and whoever is in one has a lounge.
const CLUB: &str = "
currencies: { point: { name: Point, expires: never } }
benefits: { lounge: { name: Lounge } }
membership: { plans: { plus: { name: Plus, fee: 100000, period: P1Y, trial: P30D, benefits: [lounge] } } }
";
const PLUS: &str = r#"{"plan": "plus"}"#;
const OUT_OF_PLUS: &str = r#"{"plan": "plus", "at_once": true}"#;

/// Two members, the first of whom had a trial that they ended.
fn one_tried() -> Shop {
    let mut shop = Shop::new(CLUB);
    shop.of_member(1).send("2026-01-05T09:00", "enrol", "{}");
    shop.of_member(0).send("2026-01-05T09:00", "enrol", "{}");
    shop.send("2026-01-06T09:00", "membership-trial", PLUS);
    shop.send("2026-01-07T09:00", "membership-cancel", OUT_OF_PLUS);
    shop
}

#[test]
fn p1_two_in_one_club_end_one_of_the_memberships_first() {
    let mut shop = Shop::new(CLUB);
    for member in 0..2 {
        shop.of_member(member).send("2026-01-05T09:00", "membership-fee", PLUS);
    }
    shop.merge("2026-02-12T09:00", 0).unwrap();
    let refused = shop.relay().remove(0).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["plan"].as_str()), ("both-in-club", Some("plus")));
    assert_eq!(shop.state().status, Status::Active);
    shop.send("2026-02-13T09:00", "membership-refund", PLUS);
    shop.merge("2026-02-13T10:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    let clubs = shop.of_member(0).state().clubs;
    assert_eq!((clubs.len(), clubs[0].status), (1, ClubStatus::Paid), "the open one goes on");
}

#[rstest]
#[case::by_the_survivor(1, 0)]
#[case::by_the_other(0, 1)]
fn s1_of_two_memberships_the_open_one_goes_on_and_a_trial_was_had(#[case] from: usize, #[case] into: usize) {
    let mut shop = one_tried();
    shop.of_member(1).send("2026-01-08T09:00", "membership-fee", PLUS);
    shop.of_member(from).merge("2026-02-12T09:00", into).unwrap();
    shop.relay().remove(0).unwrap();
    let clubs = shop.of_member(into).state().clubs;
    assert_eq!((clubs.len(), clubs[0].status, clubs[0].tried), (1, ClubStatus::Paid, true));
}

#[test]
fn p1_undone_a_club_goes_back_to_whose_it_was_and_a_trial_was_still_had() {
    let mut shop = one_tried();
    shop.of_member(1).send("2026-01-08T09:00", "membership-fee", PLUS);
    shop.merge("2026-02-12T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    shop.of_member(0).unmerge("2026-02-13T09:00", 1).unwrap();
    shop.relay().remove(0).unwrap();
    let clubs = shop.state().clubs;
    assert_eq!((clubs.len(), clubs[0].status), (1, ClubStatus::Ended));
    assert_eq!(shop.refused("2026-02-13T10:00", "membership-trial", PLUS).code(), "trial-taken");
    assert_eq!(shop.of_member(1).state().clubs[0].status, ClubStatus::Paid);
}

#[test]
fn p1_so_many_are_one_and_no_more() {
    let mut shop = Shop::new("currencies: { point: { name: Point, expires: never } }").unchecked();
    shop.send("2026-01-05T09:00", "enrol", "{}");
    for member in 1..=MemberState::MERGED_MAX + 1 {
        shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
        shop.merge("2026-01-06T09:00", 0).unwrap();
        let arrived = shop.relay().remove(0);
        let refused = arrived.err().map(|refused| (refused.code(), refused.facts()["most"].as_u64()));
        assert_eq!(refused, (member > MemberState::MERGED_MAX).then_some(("too-many-merged", Some(50))), "{member}");
    }
    assert_eq!(shop.state().status, Status::Active, "the last one is one of their own");
    shop.check();
}

#[test]
fn p1_those_who_come_along_count_too() {
    let mut shop = Shop::new("currencies: { point: { name: Point, expires: never } }").unchecked();
    for member in 0..MemberState::MERGED_MAX {
        shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
    }
    let (one, other, most) = (0, 1, MemberState::MERGED_MAX);
    for member in 2..most {
        shop.of_member(member).merge("2026-01-06T09:00", if member == 2 { one } else { other }).unwrap();
        shop.relay().remove(0).unwrap();
    }
    let mut fewer = shop.clone();
    // 1 and 47 with who brings them are as many as there may be; one more is too many.
    fewer.of_member(other).merge("2026-01-07T09:00", one).unwrap();
    fewer.relay().remove(0).unwrap();
    assert_eq!(fewer.of_member(one).state().merged.len(), most - 1);
    for member in [most, most + 1] {
        shop.of_member(member).send("2026-01-06T09:00", "enrol", "{}");
        shop.merge("2026-01-06T09:00", other).unwrap();
        shop.relay().remove(0).unwrap();
    }
    shop.of_member(other).merge("2026-01-07T09:00", one).unwrap();
    assert_eq!(shop.relay().remove(0).unwrap_err(), Rejected::TooManyMerged { most });
}

#[test]
fn p1_a_guest_and_whoever_never_joined_become_one_with_nobody() {
    let mut shop = shop();
    for member in [0, 1] {
        shop.of_member(member).wake("2026-02-25T09:00");
    }
    // Of guests nothing is settled; nothing is due here.
    let mut guests = shop.guest();
    guests.of_member(2).send("2026-02-26T09:00", "purchase", &sale("g1", 50_000));
    assert_eq!(guests.state().status, Status::Guest);
    for nobody in [2, 3] {
        assert_eq!(guests.of_member(nobody).merge("2026-02-27T09:00", 0).unwrap_err(), Rejected::NeedsMember);
        guests.of_member(0).merge("2026-02-27T09:00", nobody).unwrap();
        assert_eq!(guests.relay().remove(0).unwrap_err(), Rejected::NeedsMember);
        assert_eq!(guests.state().status, Status::Active);
    }
}
