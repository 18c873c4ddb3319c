//! P5, F1, C9, P7: who is in a household, how they come into it, and what that means elsewhere.

use tessera_core::decide::{EffectKind, Rejected};
use tessera_core::event::HouseholdStep;
use tessera_core::id::{EventId, MemberId};
use tessera_core::member::Status;
use tessera_testkit::shop::{Shop, json::*};

use super::{ALL, CODE, HOME, accept, buy, couple, found, has, id_of, invite, leave, pool, program, shop_of, step};

#[test]
fn p5_a_household_is_a_holder_of_its_own_with_its_founder_as_head() {
    let mut shop = shop_of(ALL, "");
    let household = found(&mut shop);
    let state = shop.of_member(HOME).state();
    assert_eq!((state.status, state.status.code()), (Status::Household, 6));
    let people = state.household.unwrap().people;
    assert_eq!((people.len(), people[0].head), (1, true));
    assert_eq!(shop.of_member(0).state().home(), Some(household));
    let again = step(&mut shop, 0, "2026-01-07T09:00", HouseholdStep::Found { known: None }).unwrap_err();
    assert_eq!(again.code(), "in-household");
}

#[test]
fn p5_nobody_is_in_a_household_without_accepting() {
    let mut shop = shop_of(ALL, "");
    let household = found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    assert_eq!(shop.of_member(1).state().home(), None);
    // An invitation for one member is for no other, and a code that nobody gave opens nothing.
    accept(&mut shop, 2, "2026-01-06T11:00", None).unwrap();
    accept(&mut shop, 2, "2026-01-06T11:10", Some([1; 16])).unwrap();
    let state = shop.of_member(2).state();
    assert_eq!((state.home(), state.belongs.unwrap().household), (None, None));
    let refused = shop.member().events.last().unwrap().record.effects[0].clone();
    assert_eq!((refused.kind, refused.reason.as_deref()), (EffectKind::HouseholdRefused, Some("not-invited")));
    accept(&mut shop, 1, "2026-01-06T12:00", None).unwrap();
    assert_eq!(shop.of_member(1).state().home(), Some(household));
}

#[test]
fn p5_a_code_lets_one_in_and_until_its_end() {
    let mut shop = shop_of(ALL, "");
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", None).unwrap();
    accept(&mut shop, 1, "2026-01-13T23:00", Some(CODE)).unwrap();
    accept(&mut shop, 2, "2026-01-13T23:10", Some(CODE)).unwrap();
    assert!(shop.of_member(1).state().home().is_some());
    assert_eq!(shop.of_member(2).state().home(), None);
    invite(&mut shop, "2026-01-14T10:00", None).unwrap();
    accept(&mut shop, 2, "2026-01-22T00:00", Some(CODE)).unwrap();
    assert_eq!(shop.of_member(2).state().home(), None, "seven days are over");
}

#[test]
fn p5_a_household_has_its_size() {
    let mut shop = couple("size: 2, pools: { point: { contribute: all } }");
    assert_eq!(invite(&mut shop, "2026-01-07T09:00", None).unwrap_err(), Rejected::HouseholdFull { size: 2 });
}

#[test]
fn p5_the_head_invites_sends_away_and_makes_another_head() {
    let mut shop = couple(ALL);
    let (first, second) = (id_of(&mut shop, 0), id_of(&mut shop, 1));
    let asks = HouseholdStep::Invite { by: second, to: None, code: CODE };
    assert_eq!(step(&mut shop, HOME, "2026-01-07T09:00", asks.clone()).unwrap_err().code(), "only-the-head");
    let removal = HouseholdStep::Remove { by: second, member: first };
    assert_eq!(step(&mut shop, HOME, "2026-01-07T09:00", removal).unwrap_err().code(), "only-the-head");
    let head = HouseholdStep::NewHead { by: first, to: second };
    step(&mut shop, HOME, "2026-01-07T09:00", head).unwrap();
    step(&mut shop, HOME, "2026-01-07T09:10", asks).unwrap();
    buy(&mut shop, 0, "2026-01-08T09:00", "o1", 50);
    let removal = HouseholdStep::Remove { by: second, member: first };
    step(&mut shop, HOME, "2026-01-09T09:00", removal).unwrap();
    shop.relay();
    assert_eq!((has(&mut shop, 0), pool(&mut shop)), (50, (0, [0, 0, 0])));
    assert_eq!(shop.of_member(0).state().home(), None);
    let stranger = id_of(&mut shop, 2);
    let removal = HouseholdStep::Remove { by: second, member: stranger };
    assert_eq!(step(&mut shop, HOME, "2026-01-09T10:00", removal).unwrap_err().code(), "not-of-household");
}

#[test]
fn p5_so_many_invitations_are_open_at_once_and_none_for_who_is_there() {
    let mut shop = couple(ALL);
    let refused = invite(&mut shop, "2026-01-07T09:00", Some(1)).unwrap_err();
    assert_eq!(refused.code(), "of-household-already");
    for _ in 0..20 {
        invite(&mut shop, "2026-01-07T09:00", None).unwrap();
    }
    let refused = invite(&mut shop, "2026-01-07T10:00", None).unwrap_err();
    assert_eq!((refused.code(), refused.facts()["most"].as_u64()), ("too-many-invitations", Some(20)));
    // Seven days later none is open any more.
    assert_eq!(invite(&mut shop, "2026-01-14T23:59", None).unwrap_err().code(), "too-many-invitations");
    invite(&mut shop, "2026-01-15T00:00", None).unwrap();
}

#[test]
fn p5_only_the_code_that_was_given_opens_and_only_while_there_is_room() {
    let mut shop = shop_of("size: 2, pools: { point: { contribute: all } }", "");
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", None).unwrap();
    accept(&mut shop, 1, "2026-01-06T11:00", Some([1; 16])).unwrap();
    assert_eq!(shop.of_member(1).state().home(), None, "another code");
    // Two are invited while there is room for one.
    let (head, third) = (id_of(&mut shop, 0), id_of(&mut shop, 2));
    let invites = HouseholdStep::Invite { by: head, to: Some(third), code: [8; 16] };
    step(&mut shop, HOME, "2026-01-06T11:10", invites).unwrap();
    accept(&mut shop, 1, "2026-01-06T12:00", Some(CODE)).unwrap();
    accept(&mut shop, 2, "2026-01-06T13:00", None).unwrap();
    assert_eq!((shop.of_member(1).state().home().is_some(), shop.of_member(2).state().home()), (true, None));
    let refused = shop.member().events.last().unwrap().record.effects[0].clone();
    assert_eq!(refused.reason.as_deref(), Some("household-full"));
    // Who was never in one has left none, and need not wait.
    assert_eq!(shop.state().belongs.unwrap().left_on, None);
    // Where everybody has gone nobody is let in.
    for member in [1, 0] {
        leave(&mut shop, member, "2026-01-07T09:00").unwrap();
    }
    accept(&mut shop, 2, "2026-01-07T10:00", None).unwrap();
    let refused = shop.of_member(2).member().events.last().unwrap().record.effects[0].clone();
    assert_eq!(refused.reason.as_deref(), Some("household-closed"));
}

#[test]
fn p5_who_changes_their_mind_before_they_are_taken_in_is_in_no_household() {
    let mut shop = shop_of("cooling_off: P30D, pools: { point: { contribute: none, by_hand: true } }", "");
    let household = found(&mut shop);
    buy(&mut shop, 1, "2026-01-06T09:30", "o1", 50);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    step(&mut shop, 1, "2026-01-06T11:00", HouseholdStep::Accept { household, code: None }).unwrap();
    let put = HouseholdStep::PutIn { currency: tessera_testkit::shop::id("point"), amount: 5 };
    assert_eq!(step(&mut shop, 1, "2026-01-06T11:00", put).unwrap_err(), Rejected::NotInHousehold, "not yet");
    step(&mut shop, 1, "2026-01-06T11:00", HouseholdStep::Leave).unwrap();
    shop.relay();
    let belongs = shop.of_member(1).state().belongs.unwrap();
    assert_eq!((belongs.household, belongs.left_on), (None, None));
    let people = shop.of_member(HOME).state().household.unwrap().people;
    assert_eq!(people.len(), 1, "both sides say so");
    step(&mut shop, 1, "2026-01-07T09:00", HouseholdStep::Found { known: None })
        .expect("who was in none need not wait");
}

#[test]
fn p5_a_refusal_makes_nobody_wait_less_than_their_last_household_does() {
    let mut shop = couple("cooling_off: P30D, pools: { point: { contribute: all } }");
    leave(&mut shop, 1, "2026-01-10T09:00").unwrap();
    // After the time they ask somewhere in vain: when they left is still known.
    accept(&mut shop, 1, "2026-02-10T09:00", None).unwrap();
    let belongs = shop.of_member(1).state().belongs.unwrap();
    assert_eq!((belongs.household, belongs.left_on.unwrap().to_string()), (None, "2026-01-10".into()));
}

#[test]
fn p5_the_head_alone_passes_it_on_and_stays_it_when_others_go() {
    let mut shop = couple(ALL);
    let (head, other) = (id_of(&mut shop, 0), id_of(&mut shop, 1));
    let taken = HouseholdStep::NewHead { by: other, to: other };
    assert_eq!(step(&mut shop, HOME, "2026-01-07T09:00", taken).unwrap_err().code(), "only-the-head");
    leave(&mut shop, 1, "2026-01-08T09:00").unwrap();
    let last = shop.of_member(HOME).member().events.last().unwrap();
    assert!(last.record.effects.iter().all(|effect| effect.kind != EffectKind::HouseholdHead), "nothing changed");
    assert!(shop.state().household.unwrap().person(head).unwrap().head);
}

#[test]
fn p5_a_gift_card_founds_no_household() {
    let mut shop = Shop::new(&format!("gift_cards: {{}}\n{}", program(ALL, "")));
    let card = tessera_core::event::GiftCardStep::Issue { code: [1; 16], amount: 0 };
    shop.ask(tessera_testkit::shop::at("2026-01-05T09:00"), tessera_core::event::What::GiftCard(card)).unwrap();
    assert_eq!(
        step(&mut shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap_err(),
        Rejected::NeedsMember
    );
}

#[test]
fn p5_a_household_is_no_member() {
    let mut shop = couple(ALL);
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    assert_eq!(shop.of_member(HOME).refused("2026-01-08T09:00", "purchase", &sale("o9", 1_000)), Rejected::NeedsMember);
    assert_eq!(shop.adjust("2026-01-08T09:00", "point", 5).unwrap_err(), Rejected::NeedsMember);
    let by = id_of(&mut shop, 0);
    let invites = HouseholdStep::Invite { by, to: None, code: CODE };
    assert_eq!(step(&mut shop, 1, "2026-01-08T09:00", invites).unwrap_err(), Rejected::NoSuchHousehold);
    let id = EventId { member: id_of(&mut shop, HOME), seq: 1 };
    assert_ne!(id.member, by);
}

#[test]
fn f1_household_blocks_a_referral_between_its_people() {
    let mut shop = Shop::new(&program(ALL, ""));
    shop.send("2026-01-05T09:00", "enrol", "{}");
    shop.of_member(1).join_brought_by("2026-01-05T10:00", 0, None).unwrap();
    shop.of_member(2).join_brought_by("2026-01-05T10:00", 0, None).unwrap();
    shop.relay();
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    accept(&mut shop, 1, "2026-01-06T11:00", None).unwrap();
    buy(&mut shop, 1, "2026-01-07T09:00", "o1", 50);
    let referral = shop.of_member(1).state().referral.unwrap();
    assert_eq!(referral.reason.as_deref(), Some("same-household"));
    assert_eq!(pool(&mut shop).0, 50);
    // Somebody else pays, and it goes into the pool as everything that is earned.
    buy(&mut shop, 2, "2026-01-07T09:00", "o2", 50);
    assert_eq!(pool(&mut shop), (150, [100, 50, 0]));
}

#[test]
fn c9_with_households_the_person_may_be_the_household() {
    let held = |holdout: &str| {
        let mut together = 0;
        for number in 0..12 {
            let text = format!(
                "
households: {{ holdout: {holdout}, pools: {{ point: {{ by_hand: true }} }} }}
currencies: {{ point: {{ name: P, expires: never }} }}
campaigns:
  offer-{number}: {{ trigger: purchase, earning: bonus, holdout: 0.5, rules: [ {{ award: {{ currency: point, amount: 7 }} }} ] }}"
            );
            let mut shop = Shop::new(&text);
            for member in 0..3 {
                shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
            }
            found(&mut shop);
            invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
            accept(&mut shop, 1, "2026-01-06T11:00", None).unwrap();
            buy(&mut shop, 0, "2026-01-07T09:00", "o1", 10);
            buy(&mut shop, 1, "2026-01-07T09:00", "o2", 10);
            let [first, second] = [0, 1].map(|member| shop.of_member(member).state().exposures[0].1);
            together += u32::from(first == second);
        }
        together
    };
    assert_eq!(held("household"), 12);
    assert!(held("member") < 12);
}

#[test]
fn p7_points_may_be_sent_within_the_household_alone() {
    let mut shop = Shop::new(&format!(
        "transfers: {{ point: {{ to: household }} }}\n{}",
        program("pools: { point: { by_hand: true } }", "")
    ));
    for member in 0..3 {
        shop.of_member(member).send("2026-01-05T09:00", "enrol", "{}");
    }
    found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    accept(&mut shop, 1, "2026-01-06T11:00", None).unwrap();
    buy(&mut shop, 0, "2026-01-07T09:00", "o1", 60);
    buy(&mut shop, 2, "2026-01-07T09:00", "o2", 60);
    shop.of_member(0).transfer("2026-01-08T09:00", 1, "point", 20).unwrap();
    shop.transfer("2026-01-08T10:00", 2, "point", 30).unwrap();
    shop.relay();
    assert_eq!([0, 1, 2].map(|member| has(&mut shop, member)), [40, 20, 60]);
    let alone = shop.of_member(2).transfer("2026-01-08T11:00", 0, "point", 5).unwrap_err();
    assert_eq!(alone, Rejected::NotInHousehold);
}

/// Somebody else founds a household and invites member 1; it stands behind them.
fn another(shop: &mut Shop) -> MemberId {
    let friend = HOME + 1;
    shop.of_member(friend).send("2026-01-08T09:00", "enrol", "{}");
    step(shop, friend, "2026-01-08T10:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    let second = shop.of_member(friend).state().home().unwrap();
    let (by, to) = (id_of(shop, friend), Some(id_of(shop, 1)));
    step(shop, friend + 1, "2026-01-08T11:00", HouseholdStep::Invite { by, to, code: CODE }).unwrap();
    second
}

/// Changes their mind: asks at the first household, and before an answer at the second.
fn asks_at_both(shop: &mut Shop, first: MemberId, second: MemberId) {
    for step in [
        HouseholdStep::Accept { household: first, code: None },
        HouseholdStep::Leave,
        HouseholdStep::Accept { household: second, code: None },
    ] {
        self::step(shop, 1, "2026-01-09T09:00", step).unwrap();
    }
}

/// The answer of the first was taken for that of the second.
#[test]
fn p5_a_refusal_is_about_the_household_that_refuses() {
    let mut shop = shop_of(ALL, "");
    let first = found(&mut shop);
    let second = another(&mut shop);
    asks_at_both(&mut shop, first, second);
    assert_eq!(shop.relay().remove(0).unwrap_err(), Rejected::NotInvited);
    assert_eq!(shop.of_member(1).state().home(), Some(second));
}

#[test]
fn p5_who_is_taken_in_where_they_want_no_more_is_where_they_want() {
    let mut shop = shop_of(ALL, "");
    let first = found(&mut shop);
    let second = another(&mut shop);
    invite(&mut shop, "2026-01-08T12:00", Some(1)).unwrap();
    asks_at_both(&mut shop, first, second);
    shop.relay();
    assert_eq!(shop.of_member(1).state().home(), Some(second));
    let people = [HOME, HOME + 2].map(|household| shop.of_member(household).state().household.unwrap().people.len());
    assert_eq!(people, [1, 2]);
}

#[test]
fn p5_a_guest_founds_no_household() {
    let mut shop = Shop::new(&program(ALL, "")).guest();
    shop.send("2026-01-05T09:00", "purchase", &sale("o1", 9_000));
    let refused = step(&mut shop, 0, "2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap_err();
    assert_eq!(refused, Rejected::NeedsMember);
}

#[test]
fn p5_both_sides_say_since_when_somebody_is_there() {
    let mut shop = shop_of(ALL, "");
    let household = found(&mut shop);
    invite(&mut shop, "2026-01-06T10:00", Some(1)).unwrap();
    step(&mut shop, 1, "2026-01-06T11:00", HouseholdStep::Accept { household, code: None }).unwrap();
    let belongs = |shop: &mut Shop| {
        let belongs = shop.of_member(1).state().belongs.unwrap();
        (belongs.asked, belongs.since.to_string())
    };
    assert_eq!(belongs(&mut shop), (true, "2026-01-06".into()), "since they asked");
    // The household has seen later days already when it hears of it.
    shop.of_member(HOME).wake("2026-01-08T09:00");
    let by = id_of(&mut shop, 0);
    step(&mut shop, HOME, "2026-01-08T10:00", HouseholdStep::Invite { by, to: None, code: CODE }).unwrap();
    shop.relay();
    let id = id_of(&mut shop, 1);
    let known = shop.of_member(HOME).state().household.unwrap().person(id).unwrap().since;
    assert_eq!((belongs(&mut shop), known.to_string()), ((false, "2026-01-08".into()), "2026-01-08".into()));
    leave(&mut shop, 1, "2026-01-09T09:00").unwrap();
    assert_eq!(belongs(&mut shop), (false, "2026-01-09".into()), "since they left");
}
