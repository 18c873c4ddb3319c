//! P1: a place in a household when its member becomes one with another, and when they are two again.

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, Rejected};
use tessera_core::event::HouseholdStep;
use tessera_core::id::MemberId;
use tessera_core::member::Status;
use tessera_testkit::shop::{Shop, json::*, reserve, spend};

use super::{ALL, CODE, HOME, accept, buy, couple, has, id_of, invite, leave, pay, pool, step};

/// The member becomes one with another, and everybody hears of it.
fn merge(shop: &mut Shop, from: usize, into: usize, time: &str) -> Result<Decision, Rejected> {
    let merged = shop.of_member(from).merge(time, into).unwrap();
    shop.relay().remove(0).map(|_| merged)
}

#[test]
fn p1_a_place_in_a_household_goes_along_and_comes_back() {
    let mut shop = couple("pools: { point: { contribute: all, per_member: { month: 50 } } }");
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    pay(&mut shop, 0, "2026-01-07T11:00", spend("point", 20)).unwrap();
    let held = pay(&mut shop, 0, "2026-01-07T11:05", reserve("point", 10)).unwrap();
    let ids = [0, 1, 2].map(|member| id_of(&mut shop, member));
    merge(&mut shop, 0, 2, "2026-01-07T11:06").unwrap();
    let people = |shop: &mut Shop| -> Vec<(MemberId, bool)> {
        let people = shop.of_member(HOME).state().household.unwrap().people;
        people.iter().map(|person| (person.member, person.head)).collect()
    };
    assert_eq!(people(&mut shop), [(ids[2], true), (ids[1], false)]);
    assert_eq!(pool(&mut shop), (70, [0, 40, 30]));
    // What is reserved is theirs by now, and what was spent counts.
    shop.of_member(HOME).capture("2026-01-07T11:10", held.events[held.main].seq, None).unwrap();
    let limit = pay(&mut shop, 2, "2026-01-07T11:20", spend("point", 21)).unwrap_err();
    assert_eq!((limit.code(), limit.facts()["spent"].as_i64()), ("pool-limit", Some(30)));
    buy(&mut shop, 0, "2026-01-07T12:00", "o3", 5);
    assert_eq!((has(&mut shop, 2), pool(&mut shop)), (0, (75, [0, 40, 35])));
    // A return of the old one's order asks the pool for the survivor's part.
    shop.of_member(2).send("2026-01-07T13:00", "return", &back_all("o1"));
    shop.relay();
    assert_eq!((pool(&mut shop), shop.of_member(2).balance("point").debt), ((40, [0, 40, 0]), 25));
    shop.of_member(2).unmerge("2026-01-08T09:00", 0).unwrap();
    shop.relay();
    assert_eq!(people(&mut shop), [(ids[0], true), (ids[1], false)]);
    assert_eq!(
        (shop.of_member(0).state().home(), shop.of_member(2).state().home()),
        (Some(id_of(&mut shop, HOME)), None)
    );
    buy(&mut shop, 2, "2026-01-09T09:00", "o5", 30);
    assert_eq!((has(&mut shop, 2), pool(&mut shop)), (5, (40, [0, 40, 0])));
    // What was spent counts once for whoever has the place again.
    let limit = pay(&mut shop, 0, "2026-01-09T10:00", spend("point", 21)).unwrap_err();
    assert_eq!((limit.code(), limit.facts()["spent"].as_i64()), ("pool-limit", Some(30)));
}

#[test]
fn p1_two_places_in_one_household_are_one_and_in_two_are_refused() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    merge(&mut shop, 0, 1, "2026-01-07T11:00").unwrap();
    assert_eq!(pool(&mut shop), (100, [0, 100, 0]));
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!((people.len(), people[0].member, people[0].head), (1, id_of(&mut shop, 1), true));
    let undone = shop.of_member(1).unmerge("2026-01-08T09:00", 0).unwrap();
    let stays = undone.outcome.effects.iter().find(|effect| effect.kind == EffectKind::Stays).unwrap();
    assert_eq!(stays.reason.as_deref(), Some("household"));
    shop.relay();
    assert_eq!((shop.of_member(0).state().home(), pool(&mut shop)), (None, (100, [0, 100, 0])));
    // In two households: both stay as they were.
    step(&mut shop, 2, "2026-01-08T10:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    let refused = merge(&mut shop, 2, 1, "2026-01-08T11:00").unwrap_err();
    assert_eq!(refused.code(), "both-in-household");
    let state = shop.of_member(2).state();
    assert_eq!((state.status, state.home().is_some()), (Status::Active, true));
}

#[test]
fn p1_whoever_has_just_asked_to_be_taken_in_and_ends_asks_no_more() {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-07T09:00", Some(2)).unwrap();
    let household = id_of(&mut shop, HOME);
    step(&mut shop, 2, "2026-01-07T10:00", HouseholdStep::Accept { household, code: None }).unwrap();
    shop.of_member(2).merge("2026-01-07T10:00", 1).unwrap();
    for told in shop.relay() {
        told.unwrap();
    }
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!((people.len(), shop.of_member(1).state().home()), (2, Some(household)));
}

#[test]
fn p1_a_place_that_was_taken_away_between_the_halves_is_nobodys() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    let (head, gone) = (id_of(&mut shop, 0), id_of(&mut shop, 1));
    shop.of_member(1).merge("2026-01-07T10:00", 2).unwrap();
    step(&mut shop, HOME, "2026-01-07T10:00", HouseholdStep::Remove { by: head, member: gone }).unwrap();
    shop.relay();
    assert_eq!((shop.of_member(2).state().home(), has(&mut shop, 2), pool(&mut shop).0), (None, 60, 0));
}

/// Member 2 comes into the household of members 0 and 1 two weeks after them.
fn three() -> Shop {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-20T09:00", Some(2)).unwrap();
    accept(&mut shop, 2, "2026-01-20T10:00", None).unwrap();
    shop
}

fn undo(shop: &mut Shop, survivor: usize, from: usize, time: &str) -> Decision {
    let undone = shop.of_member(survivor).unmerge(time, from).unwrap();
    shop.relay();
    undone
}

/// Since when a member is in the household, as they know it and as the household does.
fn since(shop: &mut Shop, member: usize) -> (String, String) {
    let (own, id) = (shop.of_member(member).state().belongs.unwrap().since, id_of(shop, member));
    let household = shop.of_member(HOME).state().household.unwrap();
    (own.to_string(), household.person(id).unwrap().since.to_string())
}

#[rstest]
#[case::into_the_younger(1, 2)]
#[case::into_the_older(2, 1)]
fn p1_of_two_places_in_one_household_the_older_counts(#[case] from: usize, #[case] into: usize) {
    let mut shop = three();
    let day = |day: &str| (day.to_owned(), day.to_owned());
    assert_eq!((since(&mut shop, 1), since(&mut shop, 2)), (day("2026-01-06"), day("2026-01-20")));
    let merged = merge(&mut shop, from, into, "2026-01-21T09:00").unwrap();
    assert_eq!(since(&mut shop, into), day("2026-01-06"));
    assert_eq!(merged.events.len(), 1);
    let arrived = shop.of_member(into).member().events.iter().rfind(|event| event.kind == "merge-in").unwrap();
    let kept = arrived.record.effects.iter().find(|effect| effect.kind == EffectKind::KeptOnce).unwrap();
    assert_eq!(kept.reason.as_deref(), Some("household"));
}

#[test]
fn p1_a_place_is_had_since_it_is_held_not_since_the_last_household_was_left() {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-07T09:00", Some(2)).unwrap();
    accept(&mut shop, 2, "2026-01-07T10:00", None).unwrap();
    leave(&mut shop, 2, "2026-01-08T09:00").unwrap();
    leave(&mut shop, 1, "2026-01-09T09:00").unwrap();
    invite(&mut shop, "2026-01-20T09:00", Some(1)).unwrap();
    accept(&mut shop, 1, "2026-01-20T10:00", None).unwrap();
    merge(&mut shop, 1, 2, "2026-01-21T09:00").unwrap();
    assert_eq!(since(&mut shop, 2), ("2026-01-20".to_owned(), "2026-01-20".to_owned()));
    // Undone, each has left when they left: the wait for the next household is each one's own.
    undo(&mut shop, 2, 1, "2026-01-22T09:00");
    let left_on = |shop: &mut Shop, member: usize| {
        shop.of_member(member).state().belongs.unwrap().left_on.map(|day| day.to_string())
    };
    assert_eq!([1, 2].map(|member| left_on(&mut shop, member).unwrap()), ["2026-01-09", "2026-01-08"]);
    assert_eq!(shop.of_member(2).state().belongs.unwrap().since.to_string(), "2026-01-22");
}

#[test]
fn r1_what_both_have_put_in_may_be_asked_back_of_whoever_they_are_now() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 1, "2026-01-07T10:00", "o2", 40);
    merge(&mut shop, 0, 1, "2026-01-07T11:00").unwrap();
    assert_eq!(shop.of_member(1).state().belongs.unwrap().given, [(tessera_testkit::shop::id("point"), 100)]);
    for order in ["o1", "o2"] {
        shop.of_member(1).send("2026-01-08T09:00", "return", &back_all(order));
        shop.relay();
    }
    assert_eq!((pool(&mut shop), shop.of_member(1).balance("point").debt), ((0, [0, 0, 0]), 0));
}

#[test]
fn p1_a_place_that_was_left_and_had_anew_is_the_survivors_own() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    merge(&mut shop, 1, 2, "2026-01-07T11:00").unwrap();
    leave(&mut shop, 2, "2026-01-08T09:00").unwrap();
    invite(&mut shop, "2026-01-09T09:00", Some(2)).unwrap();
    accept(&mut shop, 2, "2026-01-09T10:00", None).unwrap();
    let undone = undo(&mut shop, 2, 1, "2026-01-10T09:00");
    let stays = undone.outcome.effects.iter().find(|effect| effect.kind == EffectKind::Stays).unwrap();
    assert_eq!(stays.reason.as_deref(), Some("household"));
    let household = Some(id_of(&mut shop, HOME));
    assert_eq!([1, 2].map(|member| shop.of_member(member).state().home()), [None, household]);
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!(people[1].member, id_of(&mut shop, 2));
    // Whoever is back belongs nowhere, has put nothing in, and may go where they like.
    let belongs = shop.of_member(1).state().belongs.unwrap();
    assert_eq!((belongs.household, belongs.asked, belongs.given), (None, false, vec![]));
    step(&mut shop, 1, "2026-01-11T09:00", HouseholdStep::Found { known: None }).unwrap();
}

#[test]
fn p1_whoever_ends_asks_no_more_and_has_left_nothing() {
    let mut shop = couple(ALL);
    let household = id_of(&mut shop, HOME);
    step(&mut shop, 2, "2026-01-07T10:00", HouseholdStep::Accept { household, code: None }).unwrap();
    shop.of_member(2).merge("2026-01-07T10:00", 1).unwrap();
    let belongs = shop.member().stored().unwrap().belongs.unwrap();
    assert_eq!((belongs.household, belongs.asked, belongs.left_on), (None, false, None));
}

/// What the other's household answers is not about the survivor, who asked at another one: their own wish was dropped.
#[test]
fn p1_a_refusal_of_one_who_ended_is_none_of_the_survivor() {
    let mut shop = couple(ALL);
    let first = id_of(&mut shop, HOME);
    step(&mut shop, 1, "2026-01-07T09:00", HouseholdStep::Leave).unwrap();
    shop.relay();
    let friend = HOME + 1;
    shop.of_member(friend).send("2026-01-08T09:00", "enrol", "{}");
    step(&mut shop, friend, "2026-01-08T10:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    let second = shop.of_member(friend).state().home().unwrap();
    let (by, to) = (id_of(&mut shop, friend), Some(id_of(&mut shop, 1)));
    step(&mut shop, friend + 1, "2026-01-08T11:00", HouseholdStep::Invite { by, to, code: CODE }).unwrap();
    // One asks where nobody invited them and ends; the survivor asks where they are invited.
    step(&mut shop, 2, "2026-01-09T09:00", HouseholdStep::Accept { household: first, code: None }).unwrap();
    shop.of_member(2).merge("2026-01-09T09:00", 1).unwrap();
    step(&mut shop, 1, "2026-01-09T09:00", HouseholdStep::Accept { household: second, code: None }).unwrap();
    let told = shop.relay();
    assert_eq!(told[0].as_ref().unwrap_err(), &Rejected::NotInvited);
    assert_eq!(shop.of_member(1).state().home(), Some(second));
}

#[test]
fn p1_whoever_has_asked_for_a_place_is_given_no_other_before_the_answer() {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-07T09:00", Some(2)).unwrap();
    let household = id_of(&mut shop, HOME);
    shop.of_member(1).merge("2026-01-07T10:00", 2).unwrap();
    step(&mut shop, 2, "2026-01-07T10:00", HouseholdStep::Accept { household, code: None }).unwrap();
    let refused = shop.relay().remove(0).unwrap_err();
    assert_eq!(refused.code(), "both-in-household");
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!(people.len(), 3, "each has a place of their own");
}

#[test]
fn p1_what_cannot_go_back_is_a_place_too() {
    let mut shop = couple(ALL);
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 60);
    merge(&mut shop, 1, 2, "2026-01-07T10:00").unwrap();
    shop.of_member(2).unmerge("2026-01-08T09:00", 1).unwrap();
    let survivor = id_of(&mut shop, 2);
    let word = tessera_core::event::SurvivorLeft { survivor, erase: false };
    let word = tessera_core::event::What::SurvivorLeft(word);
    shop.of_member(1).ask(tessera_testkit::shop::at("2026-01-08T09:00"), word).unwrap();
    shop.relay().remove(0).unwrap_err();
    let household = Some(id_of(&mut shop, HOME));
    assert_eq!((shop.of_member(2).state().home(), pool(&mut shop)), (household, (60, [0, 0, 60])));
    leave(&mut shop, 2, "2026-01-09T09:00").unwrap();
    assert_eq!((has(&mut shop, 2), pool(&mut shop).0), (60, 0));
}

#[test]
fn p1_a_reservation_that_is_given_up_makes_room_for_whoever_has_the_place() {
    let mut shop = couple("pools: { point: { contribute: all, per_member: { month: 50 } } }");
    buy(&mut shop, 1, "2026-01-07T10:00", "o1", 90);
    let held = pay(&mut shop, 0, "2026-01-07T11:00", reserve("point", 40)).unwrap();
    merge(&mut shop, 0, 2, "2026-01-07T11:05").unwrap();
    shop.of_member(HOME).void("2026-01-07T11:10", held.events[held.main].seq).unwrap();
    pay(&mut shop, 2, "2026-01-08T09:00", spend("point", 50)).unwrap();
    let limit = pay(&mut shop, 2, "2026-01-08T10:00", spend("point", 1)).unwrap_err();
    assert_eq!(limit.code(), "pool-limit");
}

#[test]
fn p1_whom_somebody_invited_whoever_has_their_place_invited() {
    let mut shop = couple(ALL);
    let friend = HOME + 1;
    shop.of_member(friend).send("2026-01-06T09:00", "enrol", "{}");
    invite(&mut shop, "2026-01-07T09:00", None).unwrap();
    merge(&mut shop, 0, 2, "2026-01-07T10:00").unwrap();
    leave(&mut shop, 2, "2026-01-08T09:00").unwrap();
    // With whoever invited them the invitation has gone.
    accept(&mut shop, friend, "2026-01-08T10:00", Some(CODE)).unwrap();
    assert_eq!(shop.of_member(friend).state().home(), None);
}

/// The household has taken somebody in who is one with somebody else by then, and whoever that is leaves before they hear of
/// it: nobody would ever have told it that the place is free.
#[test]
fn p3_no_place_is_kept_for_somebody_who_ended_and_left() {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-07T09:00", Some(2)).unwrap();
    let household = id_of(&mut shop, HOME);
    let friend = HOME + 1;
    shop.of_member(friend).send("2026-01-06T09:00", "enrol", "{}");
    step(&mut shop, 2, "2026-01-07T10:00", HouseholdStep::Accept { household, code: None }).unwrap();
    shop.of_member(2).merge("2026-01-07T10:00", friend).unwrap();
    // The household takes them in; that they are does not reach them before they are one with the other.
    while shop.of_member(friend).state().merged.is_empty() {
        shop.relay_one(0).unwrap();
    }
    let leave = tessera_core::event::What::Leave { erase: false };
    shop.of_member(friend).ask(tessera_testkit::shop::at("2026-01-07T11:00"), leave).unwrap();
    shop.relay();
    assert_eq!(shop.of_member(HOME).state().household.unwrap().people.len(), 2);
}

#[test]
fn p1_a_place_that_is_left_before_the_household_knows_of_it_is_free() {
    let mut shop = couple(ALL);
    shop.of_member(1).merge("2026-01-07T10:00", 2).unwrap();
    shop.relay_one(0).unwrap();
    step(&mut shop, 2, "2026-01-07T10:00", HouseholdStep::Leave).unwrap();
    // That they have left is heard before that the place is theirs.
    shop.relay_one(1).unwrap();
    shop.relay();
    assert_eq!(shop.of_member(2).state().home(), None);
    assert_eq!(shop.of_member(HOME).state().household.unwrap().people.len(), 1);
}

#[test]
fn p1_of_two_who_ask_and_are_one_by_then_there_is_one_place() {
    let mut shop = couple(ALL);
    invite(&mut shop, "2026-01-07T09:00", Some(2)).unwrap();
    let household = id_of(&mut shop, HOME);
    step(&mut shop, 2, "2026-01-07T10:00", HouseholdStep::Accept { household, code: None }).unwrap();
    shop.of_member(2).merge("2026-01-07T10:00", 1).unwrap();
    // That they ask no more is heard before that they asked.
    shop.relay_one(1).unwrap();
    shop.relay();
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!((people.len(), people[1].member), (2, id_of(&mut shop, 1)));
}
