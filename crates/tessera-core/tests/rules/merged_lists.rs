//! P1: what a member has beside points, list by list, through a merge and its undo.

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, Rejected};
use tessera_core::event::{GiftCardStep, Profile, Situation, UseBenefit, What};
use tessera_core::id::EventId;
use tessera_core::member::{Status, WaitState};
use tessera_testkit::shop::{Shop, at, count_of, id, json::*, spend, sum_of};

use crate::common::{merge, undo_merge};

const LISTS: &str = "
currencies:
  point: { name: Point, expires: { after: P12M, round: month } }
  mile: { name: Mile, expires: { inactivity: P6M, moved_by: [purchase, visit] } }
  star: { name: Star, expires: never, pending: { for: P14D } }
gift_cards: {}
benefits: { lounge: { name: Lounge, per: { month: 2 } } }
events: { visit: { data: { place: text } }, spin: {} }
rewards: { seat: { costs: { point: 1 }, gives: { item: SEAT }, stock: 1, waitlist: { offer: P1D } } }
badges: { regular: { name: Regular } }
tiers: { club: { measure: { earned: point }, return_undoes: at_once, levels: [ { id: blue, at: 0 }, { id: gold, at: 100 } ] } }
challenges:
  tour: { counts: visit, distinct: event.place, within: month, join: ask, steps: [ { at: 2, badge: regular }, { at: 4, award: { currency: point, amount: 9 } } ] }
  often: { counts: spin, within: year, steps: [ { at: 2, award: { currency: point, amount: 3 } }, { at: 5, award: { currency: point, amount: 4 } } ] }
streaks: { days: { counts: spin, every: day, milestones: [ { at: 3, award: { currency: point, amount: 6 } } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  stars: { trigger: purchase, rules: [ { award: { currency: star, amount: event.net / 1000 } } ] }
  miles: { trigger: purchase, rules: [ { award: { currency: mile, amount: event.net / 4000, fraction: carry } } ] }
  pass: { trigger: purchase, rules: [ { when: event.net >= 1000000, grant: { benefit: lounge, for: P90D } } ] }
  monthly: { trigger: purchase, rules: [ { award: { currency: point, amount: 7 }, limit: { per_member: { month: 1 } } } ] }
  once: { trigger: purchase, rules: [ { award: { currency: point, amount: 11 }, limit: { per_member: { ever: 1 } } } ] }
  offer: { trigger: purchase, earning: bonus, audience: member.purchases >= 0, holdout: 0.5, rules: [ { award: { currency: mile, amount: 1 } } ] }
";

/// Members 0, 1 and 2 have joined.
fn shop() -> Shop {
    let mut shop = Shop::new(LISTS);
    for member in [2, 1, 0] {
        shop.of_member(member).send("2026-02-01T09:00", "enrol", "{}");
    }
    shop
}

fn visit(shop: &mut Shop, member: usize, time: &str, place: &str) -> Decision {
    shop.of_member(member).send(time, "visit", &format!(r#"{{"place": "{place}"}}"#))
}

#[test]
fn p1_only_members_are_merged() {
    let mut shop = shop();
    shop.of_member(3)
        .ask(at("2026-02-02T09:00"), What::GiftCard(GiftCardStep::Issue { code: [1; 16], amount: 0 }))
        .unwrap();
    assert_eq!(shop.merge("2026-02-03T09:00", 0).unwrap_err(), Rejected::NeedsMember);
    shop.of_member(0).merge("2026-02-03T09:00", 3).unwrap();
    assert_eq!(shop.relay().remove(0).unwrap_err(), Rejected::NeedsMember);
    assert_eq!(shop.state().status, Status::Active);
}

#[test]
fn p1_the_later_date_of_inactivity_is_that_of_both() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut shop = shop();
        shop.of_member(first).send("2026-02-10T09:00", "purchase", &sale("a", 30_000));
        shop.of_member(second).send("2026-04-10T09:00", "purchase", &sale("b", 30_000));
        merge(&mut shop, 1, 0, "2026-04-11T09:00");
        assert_eq!(shop.state().purse("mile").unwrap().idle.unwrap().0.to_string(), "2026-10-10");
    }
}

#[test]
fn m2_fractions_go_on_together() {
    let mut shop = shop();
    for (member, order) in [(0, "a"), (1, "b")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 5_000));
        let offered = shop.state().exposures[0].1;
        assert_eq!(shop.available("mile"), 1 + i64::from(!offered));
    }
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    // A quarter and a quarter, and the next half is one.
    let fractions: Vec<String> = shop.state().fractions.iter().map(|known| known.carried.to_string()).collect();
    assert_eq!(fractions, ["0.5"]);
    let bought = shop.send("2026-02-12T09:00", "purchase", &sale("c", 2_000));
    let base = bought.outcome.effects.iter().find(|effect| effect.campaign == Some(id("miles"))).unwrap();
    assert_eq!(base.amount, Some(1));
}

#[test]
fn c9_who_was_held_out_is_noted_once() {
    let mut shop = shop();
    for (member, order) in [(0, "a"), (1, "b")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 5_000));
    }
    let before = shop.of_member(0).state().exposures;
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.state().exposures, before);
    let mut shop = self::shop();
    shop.of_member(1).send("2026-02-10T09:00", "purchase", &sale("b", 5_000));
    let theirs = shop.state().exposures;
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.state().exposures, theirs);
}

#[test]
fn c1_what_one_of_them_used_of_a_limit_is_used_and_undone_it_is_not() {
    let mut shop = shop();
    shop.of_member(1).send("2026-02-10T09:00", "purchase", &sale("b", 5_000));
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let mut undone = shop.clone();
    let bought = shop.send("2026-02-12T09:00", "purchase", &sale("a", 5_000));
    assert_eq!(sum_of(&bought, EffectKind::Accrual, "point"), 5, "neither the month's seven nor the eleven");
    // Undone, the month is the survivor's own; what is given once was given to both.
    undo_merge(&mut undone, 0, 1, "2026-02-11T10:00");
    let bought = undone.send("2026-02-12T09:00", "purchase", &sale("a", 5_000));
    assert_eq!(sum_of(&bought, EffectKind::Accrual, "point"), 5 + 7);
    let theirs = undone.of_member(1).send("2026-02-12T09:00", "purchase", &sale("c", 5_000));
    assert_eq!(sum_of(&theirs, EffectKind::Accrual, "point"), 5);
}

#[test]
fn c2_nothing_goes_below_none_when_what_came_was_given_back_before_the_undo() {
    let mut shop = shop();
    shop.of_member(1).send("2026-02-10T09:00", "purchase", &sale("b", 50_000));
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    shop.send("2026-02-11T10:00", "return", &back_all("b"));
    undo_merge(&mut shop, 0, 1, "2026-02-11T11:00");
    let state = shop.of_member(0).state();
    assert!(state.counters.iter().all(|counter| counter.used >= 0), "{:?}", state.counters);
    assert!(shop.measured("club").is_empty(), "nothing of theirs is missing of what was never the survivor's");
    assert_eq!((state.statistics.purchases, state.statistics.returns), (0, 1));
}

#[rstest]
#[case::known_to_the_other(None, 3, false)]
#[case::known_to_both(Some("07-01"), 7, true)]
fn p8_of_two_birthdays_the_survivors_stands(#[case] own: Option<&str>, #[case] month: i8, #[case] told: bool) {
    let mut shop = shop();
    shop.of_member(1).send("2026-02-03T09:00", "profile", r#"{"birthday": "03-20"}"#);
    if let Some(own) = own {
        shop.of_member(0).send("2026-02-05T09:00", "profile", &format!(r#"{{"birthday": "{own}"}}"#));
    }
    let since = shop.of_member(1).state().birthday_since;
    let arrived = merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let state = shop.state();
    assert_eq!(state.birthday.unwrap().month, month);
    assert_eq!(state.birthday_since == since, own.is_none(), "known since they said so");
    let kept = arrived.outcome.effects.iter().filter(|effect| effect.kind == EffectKind::KeptOnce);
    let kept: Vec<_> = kept.filter_map(|effect| effect.reason.as_deref()).collect();
    assert_eq!(kept, if told { vec!["birthday"] } else { vec![] });
}

#[test]
fn p2_who_came_with_somebody_goes_with_them_and_not_alone() {
    let mut shop = shop();
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    merge(&mut shop, 0, 2, "2026-02-11T10:00");
    assert_eq!(shop.unmerge("2026-02-12T09:00", 1).unwrap_err().code(), "not-merged");
    undo_merge(&mut shop, 2, 0, "2026-02-12T10:00");
    assert_eq!(shop.of_member(2).state().merged_now().count(), 0);
    undo_merge(&mut shop, 0, 1, "2026-02-12T11:00");
    assert_eq!(shop.of_member(1).state().status, Status::Active);
}

#[test]
fn p1_a_merge_that_cannot_be_undone_never_is() {
    let mut shop = Shop::new(&format!("members: {{ merge: {{ undo_within: P0D }} }}\n{LISTS}"));
    shop.send("2026-02-01T09:00", "enrol", "{}");
    shop.of_member(1).send("2026-02-01T09:00", "enrol", "{}");
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.unmerge("2026-02-11T09:00", 1).unwrap_err().code(), "merge-undo-too-late");
}

#[test]
fn p1_undone_each_is_at_the_level_of_what_they_did() {
    let mut shop = shop();
    for (member, order) in [(0, "a"), (1, "b")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 60_000));
    }
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.level("club"), "gold");
    undo_merge(&mut shop, 0, 1, "2026-02-12T09:00");
    assert_eq!([0, 1].map(|member| shop.of_member(member).level("club")), ["blue", "blue"]);
}

#[test]
fn t3_who_comes_to_the_higher_level_has_it_as_long_as_it_was_had() {
    let mut shop = shop();
    shop.of_member(1).send("2026-02-10T09:00", "purchase", &sale("b", 160_000));
    let since = shop.state().ladder("club").unwrap().since;
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.state().ladder("club").unwrap().since, since);
}

#[test]
fn p1_undone_what_matured_meanwhile_goes_back_and_of_a_lot_of_both_each_part() {
    let mut shop = shop();
    // Points of one month are one lot of the two.
    for (member, order) in [(0, "a"), (1, "b")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 50_000));
    }
    let before = shop.of_member(1).available("point");
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.lots("point").len(), 1);
    shop.wake("2026-02-25T09:00");
    assert_eq!(shop.available("star"), 100);
    let undone = undo_merge(&mut shop, 0, 1, "2026-02-26T09:00");
    assert_eq!(count_of(&undone, EffectKind::Stays), 0);
    assert_eq!([0, 1].map(|member| shop.of_member(member).available("star")), [50, 50]);
    assert_eq!([0, 1].map(|member| shop.of_member(member).available("point")), [before, before]);
}

#[test]
fn p2_a_debt_goes_back_as_far_as_it_is_still_owed() {
    let mut shop = shop();
    shop.of_member(1).adjust("2026-02-10T09:00", "point", -30).unwrap();
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.balance("point").debt, 30);
    shop.adjust("2026-02-11T10:00", "point", 20).unwrap();
    undo_merge(&mut shop, 0, 1, "2026-02-12T09:00");
    assert_eq!([0, 1].map(|member| shop.of_member(member).balance("point").debt), [0, 10]);
}

#[test]
fn r7_what_came_home_before_the_undo_was_not_spent_by_the_other() {
    let mut shop = shop();
    for (member, order) in [(0, "a"), (1, "b")] {
        shop.of_member(member).send("2026-02-10T09:00", "purchase", &sale(order, 60_000));
    }
    let spent = shop.redeem("2026-02-10T10:00", spend("point", 40)).unwrap();
    let theirs = EventId { member: shop.member().id, seq: spent.events[spent.main].seq };
    shop.of_member(0).redeem("2026-02-10T10:00", spend("point", 25)).unwrap();
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let number = shop.state().number_of(theirs).unwrap();
    shop.cancel("2026-02-11T10:00", number, None).unwrap();
    undo_merge(&mut shop, 0, 1, "2026-02-12T09:00");
    let redeemed =
        |shop: &mut Shop, member: usize| shop.of_member(member).state().purse("point").unwrap().totals.redeemed;
    assert_eq!([0, 1].map(|member| redeemed(&mut shop, member).get()), [25, 0]);
}

/// Who waits for the seat that is sold out: the rows of the list as the last decision left them, and the pool's count.
fn waits(shop: &mut Shop, member: usize, time: &str) -> i64 {
    shop.pools.insert("pool:reward:seat".into(), 1);
    shop.of_member(member).ask(at(time), What::WaitFor { reward: id("seat") }).unwrap();
    shop.pools["pool:waiting:seat"]
}

#[test]
fn g1_of_two_places_in_one_list_one_is_free_again() {
    let mut shop = shop();
    waits(&mut shop, 0, "2026-02-10T09:00");
    assert_eq!(waits(&mut shop, 1, "2026-02-10T10:00"), 2);
    let arrived = merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let told: Vec<_> = arrived.waitlist.iter().map(|change| (change.place, change.state)).collect();
    assert_eq!((told, shop.pools["pool:waiting:seat"]), (vec![(2, WaitState::Left)], 1));
    assert_eq!(shop.state().waiting.len(), 1);
}

#[test]
fn g1_a_place_comes_along_and_what_was_set_aside_stays_so() {
    let mut shop = shop();
    waits(&mut shop, 1, "2026-02-10T09:00");
    let mut offered = shop.clone();
    let arrived = merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!((arrived.waitlist[0].state, shop.pools["pool:waiting:seat"]), (WaitState::Waiting, 1));
    // The survivor changes their mind: undone, the other has no place either.
    let mut left = shop.clone();
    left.ask(at("2026-02-11T10:00"), What::LeaveWaitlist { reward: id("seat") }).unwrap();
    undo_merge(&mut left, 0, 1, "2026-02-11T11:00");
    assert!(left.of_member(1).state().waiting.is_empty());
    undo_merge(&mut shop, 0, 1, "2026-02-11T11:00");
    assert!(shop.of_member(0).state().waiting.is_empty());
    assert_eq!(shop.of_member(1).state().waiting.len(), 1);
    // Set aside for one of them it is for both.
    offered.pools.insert("pool:reward:seat".into(), 0);
    offered.ask(at("2026-02-10T12:00"), What::Offer { reward: id("seat"), place: 1 }).unwrap();
    let mut doubled = offered.clone();
    let arrived = merge(&mut offered, 1, 0, "2026-02-10T13:00");
    assert_eq!(arrived.waitlist[0].state, WaitState::Offered);
    offered.of_member(0).unmerge("2026-02-10T14:00", 1).unwrap();
    let back = offered.relay().remove(0).unwrap();
    assert_eq!(back.waitlist[0].state, WaitState::Offered);
    // Of two places the one that was set aside is free for whoever is next.
    waits(&mut doubled, 0, "2026-02-10T12:30");
    assert_eq!((doubled.pools["pool:reward:seat"], doubled.pools["pool:waiting:seat"]), (1, 1));
    merge(&mut doubled, 1, 0, "2026-02-10T13:00");
    assert_eq!((doubled.pools["pool:reward:seat"], doubled.pools["pool:waiting:seat"]), (0, 1));
}

#[test]
fn g1_a_place_that_was_given_up_is_not_had_again_by_an_undo() {
    let mut shop = shop();
    waits(&mut shop, 1, "2026-02-10T09:00");
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    shop.ask(at("2026-02-11T10:00"), What::LeaveWaitlist { reward: id("seat") }).unwrap();
    waits(&mut shop, 0, "2026-02-11T11:00");
    shop.of_member(0).unmerge("2026-02-12T09:00", 1).unwrap();
    let back = shop.relay().remove(0).unwrap();
    assert_eq!((back.waitlist.len(), shop.of_member(1).state().waiting.len()), (0, 0));
    let own: Vec<i64> = shop.of_member(0).state().waiting.iter().map(|wait| wait.place).collect();
    assert_eq!((own, shop.pools["pool:waiting:seat"]), (vec![2], 1), "the survivor's own place stays theirs");
}

#[test]
fn i4_what_waits_for_an_order_comes_along() {
    let mut shop = shop();
    shop.of_member(1).send("2026-02-10T09:00", "return", &back_all("late"));
    let mut undone = shop.clone();
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.state().parked.len(), 1);
    shop.send("2026-02-11T10:00", "purchase", &sale("late", 50_000));
    assert_eq!((shop.available("point"), shop.state().parked.len()), (0, 0), "it came back before it was bought");
    merge(&mut undone, 1, 0, "2026-02-11T09:00");
    undo_merge(&mut undone, 0, 1, "2026-02-11T10:00");
    assert!(undone.of_member(0).state().parked.is_empty());
    assert_eq!(undone.of_member(1).state().parked.len(), 1);
}

#[test]
fn t6_a_use_of_the_other_can_be_taken_back_and_goes_with_them() {
    let mut shop = shop();
    shop.of_member(1).send("2026-02-10T09:00", "purchase", &sale("b", 1_000_000));
    let wish = UseBenefit { benefit: id("lounge"), order_id: None, situation: Situation::default() };
    let used = shop.ask(at("2026-02-10T10:00"), What::UseBenefit(wish)).unwrap();
    let theirs = EventId { member: shop.member().id, seq: used.events[used.main].seq };
    let mut undone = shop.clone();
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let number = shop.state().number_of(theirs).unwrap();
    let back = shop.ask(at("2026-02-11T10:00"), What::ReturnBenefit { used: number }).unwrap();
    assert_eq!(count_of(&back, EffectKind::BenefitReturned), 1);
    merge(&mut undone, 1, 0, "2026-02-11T09:00");
    assert_eq!(undone.state().uses.len(), 1);
    undo_merge(&mut undone, 0, 1, "2026-02-11T10:00");
    assert!(undone.of_member(0).state().uses.is_empty());
}

#[test]
fn p1_what_was_counted_of_both_is_one_sum_and_two_again() {
    let mut shop = shop();
    shop.of_member(0).send("2026-02-05T09:00", "purchase", &sale("a", 5_000));
    visit(&mut shop, 0, "2026-02-06T09:00", "north");
    shop.of_member(1).send("2026-02-08T09:00", "purchase", &lines("b", &[("A", "x", 2, 20_000)]));
    shop.send("2026-02-09T09:00", "return", &back("b", &[("A", 1)]));
    visit(&mut shop, 1, "2026-02-10T09:00", "south");
    let own = shop.of_member(0).state();
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let both = shop.state();
    assert_eq!(both.counts, [(id("visit"), 2)]);
    let of = |state: &tessera_core::member::MemberState| {
        let sums = state.statistics;
        (sums.purchases, sums.spend.to_string(), sums.returns, sums.returned.to_string())
    };
    assert_eq!(of(&both), (2, "25000".into(), 1, "10000".into()));
    assert_eq!(both.statistics.last_purchase.unwrap().to_string(), "2026-02-08");
    assert!(both.statistics.last_event >= Some(at("2026-02-10T09:00")));
    undo_merge(&mut shop, 0, 1, "2026-02-12T09:00");
    let again = shop.of_member(0).state();
    assert_eq!((of(&again), again.counts), (of(&own), own.counts));
}

#[test]
fn p1_a_device_of_one_is_one_of_both() {
    let mut shop = shop();
    let device = |device: &str| What::Profile(Profile { device: Some(device.into()), ..Profile::default() });
    shop.of_member(1).ask(at("2026-02-02T09:00"), device("d1")).unwrap();
    shop.ask(at("2026-02-02T09:00"), device("d2")).unwrap();
    shop.of_member(0).ask(at("2026-02-02T09:00"), device("d2")).unwrap();
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    assert_eq!(shop.state().devices, ["d2", "d1"]);
}

fn takes_part(shop: &mut Shop, member: usize, time: &str) {
    shop.of_member(member).ask(at(time), What::JoinChallenge { challenge: id("tour") }).unwrap();
}

#[test]
fn p1_two_ways_through_a_challenge_are_one() {
    let mut shop = shop();
    takes_part(&mut shop, 0, "2026-02-04T09:00");
    takes_part(&mut shop, 1, "2026-02-03T09:00");
    visit(&mut shop, 0, "2026-02-05T09:00", "north");
    visit(&mut shop, 1, "2026-02-06T09:00", "south");
    visit(&mut shop, 1, "2026-02-07T09:00", "west");
    assert_eq!(shop.state().badges.len(), 1);
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let state = shop.state();
    let row = &state.challenges.iter().find(|row| row.challenge == *"tour").unwrap();
    assert_eq!((row.given, row.joined.unwrap().to_string()), (1, "2026-02-03".into()));
    // The fourth place of the two, and the step that it does; the second step was done.
    let last = visit(&mut shop, 0, "2026-02-12T09:00", "east");
    assert_eq!((sum_of(&last, EffectKind::Accrual, "point"), count_of(&last, EffectKind::BadgeGiven)), (9, 0));
}

#[test]
fn p1_a_step_that_both_were_given_stands_once_and_a_badge_since_the_first() {
    let mut shop = shop();
    for (member, days) in [(0, ["05", "06"]), (1, ["03", "04"])] {
        takes_part(&mut shop, member, "2026-02-02T09:00");
        for (place, day) in ["north", "south"].into_iter().zip(days) {
            visit(&mut shop, member, &format!("2026-02-{day}T09:00"), place);
        }
    }
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let state = shop.state();
    assert_eq!(state.badges.iter().map(|badge| badge.on.to_string()).collect::<Vec<_>>(), ["2026-02-04"]);
    let row = state.challenges.iter().find(|row| row.challenge == *"tour").unwrap();
    assert_eq!((row.given, row.rewards.len()), (1, 1));
}

#[test]
fn p1_a_period_counts_if_it_counted_for_one_of_them() {
    let mut shop = shop();
    for (member, day) in [(0, "05"), (1, "06")] {
        shop.of_member(member).send(&format!("2026-02-{day}T09:00"), "spin", "{}");
    }
    merge(&mut shop, 1, 0, "2026-02-06T10:00");
    let third = shop.send("2026-02-07T09:00", "spin", "{}");
    // The third day in a row; of `often` two steps' worth were two spins, and this is the third.
    assert_eq!(count_of(&third, EffectKind::StreakMilestone), 1);
    assert_eq!(shop.state().streak("days").unwrap().run().length, 3);
}

#[test]
fn p1_the_run_that_came_last_goes_on_and_a_milestone_stands_once() {
    let mut shop = shop();
    let spins = |shop: &mut Shop, member: usize, days: std::ops::RangeInclusive<i64>| {
        let start = at("2026-03-01T09:00");
        for day in days {
            shop.of_member(member).send_at(start.plus_seconds(day * 86_400), "spin", "{}");
        }
    };
    // Both had their three days; the other's are settled long since and were longer.
    spins(&mut shop, 1, 0..=5);
    spins(&mut shop, 1, 60..=60);
    spins(&mut shop, 0, 58..=60);
    let settled = shop.of_member(1).state().streaks[0].settled;
    assert_eq!(settled.length, 6);
    merge(&mut shop, 1, 0, "2026-05-01T09:00");
    let state = shop.state();
    let row = &state.streaks[0];
    assert_eq!((row.settled, row.longest(), row.run().length, row.rewards.len()), (settled, 6, 3, 1));
}

#[test]
fn f1_who_brought_a_member_comes_along_unless_it_was_the_survivor() {
    let document = "
currencies: { point: { name: Point, expires: { after: P12M } } }
referral:
  qualifies: { trigger: purchase }
  gives: { referrer: [ { award: { currency: point, amount: 100 } } ], friend: [ { award: { currency: point, amount: 50 } } ] }
";
    let mut shop = Shop::new(document);
    for member in [3, 2, 0] {
        shop.of_member(member).send("2026-02-01T09:00", "enrol", "{}");
    }
    shop.of_member(1).join_brought_by("2026-02-02T09:00", 0, None).unwrap();
    shop.relay();
    let mut with_the_referrer = shop.clone();
    merge(&mut with_the_referrer, 1, 0, "2026-02-03T09:00");
    assert_eq!(with_the_referrer.state().referral, None, "nobody brought themselves");
    shop.of_member(1).send("2026-02-03T09:00", "purchase", &sale("b", 10_000));
    shop.relay();
    merge(&mut shop, 1, 2, "2026-02-04T09:00");
    let referral = shop.state().referral.unwrap();
    assert_eq!(shop.state().event_id(referral.own.event).member, shop.of_member(1).member().id, "whose event it was");
    let mut other = shop.clone();
    shop.of_member(2).send("2026-02-05T09:00", "return", &back_all("b"));
    shop.relay();
    assert_eq!([0, 2].map(|member| shop.of_member(member).available("point")), [0, 0], "taken back from both sides");
    // Of two first words one stands, and that is told.
    other.of_member(4).join_brought_by("2026-02-05T09:00", 3, None).unwrap();
    other.relay();
    let arrived = merge(&mut other, 4, 2, "2026-02-06T09:00");
    let kept = arrived.outcome.effects.iter().find(|effect| effect.kind == EffectKind::KeptOnce).unwrap();
    assert_eq!(kept.reason.as_deref(), Some("referral"));
}

#[test]
fn p3_an_erased_survivor_leaves_no_birthday_of_those_who_are_one_with_them() {
    let mut shop = shop();
    shop.of_member(1).send("2026-02-02T09:00", "profile", r#"{"birthday": "03-20"}"#);
    merge(&mut shop, 1, 0, "2026-02-11T09:00");
    let mut left = shop.clone();
    for (shop, erase) in [(&mut shop, true), (&mut left, false)] {
        shop.ask(at("2026-02-12T09:00"), What::Leave { erase }).unwrap();
        shop.relay().remove(0).unwrap();
        let gone = shop.of_member(1).state();
        assert_eq!((gone.status, gone.birthday.is_none(), gone.statistics.purchases), (Status::Left, erase, 0));
    }
}

#[test]
fn l1_who_holds_the_most_there_can_be_takes_nobody_in() {
    let mut shop = shop();
    for member in [0, 1] {
        shop.of_member(member).adjust("2026-02-02T09:00", "point", 600_000_000_000).unwrap();
    }
    shop.merge("2026-02-11T09:00", 0).unwrap();
    let refused = shop.relay().remove(0).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["room"].as_i64()), ("no-room", Some(400_000_000_000)));
    assert_eq!(shop.of_member(1).available("point"), 600_000_000_000);
}
