//! P3 and P4: names, leaving and coming back.

use rstest::rstest;
use tessera_core::decide::{EffectKind, Memory, Rejected};
use tessera_core::event::{Freeze, NameKey, Removal, Renaming, SecondFact, What};
use tessera_core::member::Status;
use tessera_testkit::shop::{Shop, at, id, json::*, reserve};

use crate::common::points_and;

fn renaming() -> Renaming {
    Renaming { added: vec![id("phone")], proof: true, ..Renaming::default() }
}

fn card(is_own: bool) -> SecondFact {
    SecondFact::Name { name: NameKey { kind: id("card"), key: [1; 16] }, is_own }
}

fn rename(shop: &mut Shop, time: &str, renaming: Renaming) -> Result<(), String> {
    let answer = shop.ask(at(time), What::Rename(renaming));
    answer.map(drop).map_err(|rejected| rejected.code().to_owned())
}

fn shop(settings: &str) -> Shop {
    let welcome = "  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
  first: { trigger: purchase, rules: [ { award: { currency: point, amount: 5 }, limit: { per_member: { ever: { times: 1 } } } } ] }";
    let mut shop = Shop::new(&(points_and(", value: 100", welcome) + settings));
    shop.send("2026-01-05T09:00", "enrol", r#"{"birthday": "05-20"}"#);
    shop
}

#[test]
fn p4_a_phone_needs_proof_and_a_card_none() {
    let mut shop = shop("");
    let unproven = Renaming { proof: false, ..renaming() };
    assert_eq!(rename(&mut shop, "2026-01-06T09:00", unproven.clone()), Err("proof-needed".to_owned()));
    assert_eq!(rename(&mut shop, "2026-01-06T09:00", renaming()), Ok(()));
    let card = Renaming { added: vec![id("card")], ..unproven };
    assert_eq!(rename(&mut shop, "2026-01-06T09:00", card), Ok(()));
    assert_eq!(shop.state().statistics.last_event, Some(at("2026-01-05T09:00")), "a name is no sign of life");
}

#[rstest]
#[case::within_a_year("2027-01-04T09:00", None, Ok(()))]
#[case::code_alone("2027-01-07T09:00", None, Err("second-fact-needed"))]
#[case::own_card("2027-01-07T09:00", Some(card(true)), Ok(()))]
#[case::other_card("2027-01-07T09:00", Some(card(false)), Err("second-fact-needed"))]
#[case::birthday("2027-01-07T09:00", Some(SecondFact::Birthday("1990-05-20".parse().unwrap())), Ok(()))]
#[case::other_birthday("2027-01-07T09:00", Some(SecondFact::Birthday("1990-05-21".parse().unwrap())), Err("second-fact-needed"))]
fn p4_after_a_year_of_silence_a_code_alone_is_no_proof(
    #[case] time: &str,
    #[case] second: Option<SecondFact>,
    #[case] expected: Result<(), &str>,
) {
    let mut shop = shop("");
    let answer = rename(&mut shop, time, Renaming { second, ..renaming() });
    assert_eq!(answer, expected.map_err(str::to_owned));
}

#[test]
fn p4_a_number_is_given_away_only_after_the_silence() {
    let mut shop = shop("identity: { reuse_after: P6M }\n");
    let reused = || Renaming {
        removed: vec![NameKey { kind: id("phone"), key: [2; 16] }],
        why: Removal::Reused,
        ..Renaming::default()
    };
    assert_eq!(rename(&mut shop, "2026-07-05T09:00", reused()), Ok(()));
    shop.send("2026-07-06T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(rename(&mut shop, "2026-07-07T09:00", reused()), Err("member-not-silent".to_owned()));
}

#[test]
fn p3_leaving_forfeits_voids_and_writes_off() {
    let mut shop = shop("leaving: forfeit\n");
    shop.send("2026-02-01T09:00", "purchase", &sale("o1", 100_000));
    shop.redeem("2026-02-02T09:00", reserve("point", 50)).unwrap();
    let left = shop.ask(at("2026-02-02T09:05"), What::Leave { erase: false }).unwrap();
    let forfeited: i64 = left
        .outcome
        .effects
        .iter()
        .filter(|effect| effect.kind == EffectKind::Forfeited)
        .filter_map(|effect| effect.amount)
        .sum();
    assert_eq!(forfeited, 115);
    let state = shop.state();
    assert_eq!((state.status, state.wake_at, state.holds.len()), (Status::Left, None, 0));
    assert_eq!((shop.balance("point").available, shop.balance("point").held), (0, 0));
    assert_eq!(shop.refused("2026-02-03T09:00", "purchase", &sale("o2", 10_000)), Rejected::MemberLeft);
    assert_eq!(shop.refused("2026-02-03T09:00", "return", &back_all("o1")), Rejected::MemberLeft);
}

#[test]
fn p3_leaving_cancels_what_waits_and_writes_debt_off() {
    let mut shop = Shop::new(
        "currencies:
  point: { name: P, expires: never, pending: P14D }
  star: { name: S, expires: never }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  stars: { trigger: purchase, rules: [ { award: { currency: star, amount: 3 } } ] }",
    );
    shop.send("2026-02-01T09:00", "purchase", &sale("o1", 100_000));
    shop.adjust("2026-02-02T09:00", "star", -10).unwrap();
    assert_eq!((shop.balance("point").pending, shop.balance("star").debt), (100, 7));
    shop.ask(at("2026-02-03T09:00"), What::Leave { erase: false }).unwrap();
    assert_eq!((shop.balance("point").pending, shop.balance("star").debt), (0, 0));
    shop.wake("2026-04-01T09:00");
    assert_eq!(shop.balance("point").available, 0, "nothing matures for somebody who has left");
}

#[test]
fn p3_leaving_pays_out_what_the_points_are_worth() {
    let mut shop = shop("leaving: { points: pay_out }\n");
    shop.send("2026-02-01T09:00", "purchase", &sale("o1", 100_000));
    let left = shop.ask(at("2026-02-02T09:05"), What::Leave { erase: false }).unwrap();
    let paid = left.outcome.effects.iter().find(|effect| effect.kind == EffectKind::PaidOut).unwrap();
    assert_eq!((paid.amount, paid.money.unwrap().to_string()), (Some(115), "11500".to_owned()));
    assert_eq!(shop.state().purse("point").unwrap().totals.redeemed.get(), 115);
}

#[test]
fn p3_erasure_forgets_the_person_and_keeps_the_sums() {
    let mut shop = shop("");
    shop.send("2026-02-01T09:00", "purchase", &sale("o1", 100_000));
    shop.ask(at("2026-02-02T09:05"), What::Leave { erase: true }).unwrap();
    let state = shop.state();
    assert_eq!((state.birthday, state.statistics.purchases), (None, 1));
    assert_eq!(state.purse("point").unwrap().totals.issued.get(), 115);
    // Whoever left first may be erased later; a second leaving is refused.
    assert!(shop.ask(at("2026-02-02T09:06"), What::Leave { erase: true }).is_ok());
    assert_eq!(shop.ask(at("2026-02-02T09:07"), What::Leave { erase: false }).unwrap_err(), Rejected::MemberLeft);
}

#[test]
fn p3_rejoining_earns_no_second_welcome_and_no_second_once_only_gift() {
    let mut shop = shop("");
    shop.send("2026-02-01T09:00", "purchase", &sale("o1", 100_000));
    let memory = Memory::of(&shop.state());
    shop.ask(at("2026-02-02T09:00"), What::Leave { erase: true }).unwrap();
    shop.of_member(1).remembering(memory);
    let joined = shop.send("2026-03-01T09:00", "enrol", "{}");
    assert_eq!(joined.outcome.effects.first().map(|effect| effect.kind), Some(EffectKind::Rejoined));
    assert_eq!(joined.outcome.effects.len(), 1);
    shop.send("2026-03-02T09:00", "purchase", &sale("o2", 100_000));
    assert_eq!(shop.available("point"), 100, "neither welcome nor first-purchase gift");
}

fn reused() -> Renaming {
    Renaming { removed: vec![NameKey { kind: id("phone"), key: [2; 16] }], why: Removal::Reused, ..Renaming::default() }
}

#[test]
fn p4_an_account_whose_number_went_to_somebody_else_is_in_quarantine_until_a_second_fact() {
    let mut shop = shop("");
    assert_eq!(rename(&mut shop, "2027-02-01T09:00", reused()), Ok(()));
    let spent = shop.redeem("2027-02-01T10:00", reserve("point", 5)).unwrap_err();
    assert_eq!(spent.code(), "member-frozen");
    assert!(matches!(spent, Rejected::MemberFrozen { quarantined: true, .. }));
    shop.send("2027-02-02T09:00", "purchase", &sale("o1", 10_000));
    // A purchase is a sign of life, and no proof of whose account it is.
    assert_eq!(rename(&mut shop, "2027-02-03T09:00", renaming()), Err("second-fact-needed".to_owned()));
    let proven = Renaming { second: Some(card(true)), ..renaming() };
    assert_eq!(rename(&mut shop, "2027-02-03T09:00", proven), Ok(()));
    shop.redeem("2027-02-03T10:00", reserve("point", 5)).unwrap();
}

#[test]
fn p4_whoever_is_frozen_by_hand_earns_and_does_nothing_else_until_thawed() {
    let mut shop = shop("transfers: { point: {} }\n");
    shop.send("2026-01-06T09:00", "purchase", &sale("o1", 100_000));
    let held = shop.redeem("2026-01-06T10:00", reserve("point", 20)).unwrap();
    let redemption = held.events[held.main].seq;
    let freeze = |frozen| What::Freeze(Freeze { frozen, reason: "abuse".into() });
    shop.ask(at("2026-01-06T10:05"), freeze(true)).unwrap();
    assert_eq!(shop.state().statistics.last_event, Some(at("2026-01-06T10:00")), "no sign of life");
    let code = |answer: Result<tessera_core::decide::Decision, Rejected>| answer.unwrap_err().code();
    assert_eq!(code(shop.redeem("2026-01-06T10:06", reserve("point", 5))), "member-frozen");
    assert_eq!(code(shop.capture("2026-01-06T10:06", redemption, None)), "member-frozen");
    let proven = Renaming { second: Some(card(true)), ..renaming() };
    assert_eq!(rename(&mut shop, "2026-01-06T10:06", proven), Err("member-frozen".to_owned()));
    let before = shop.available("point");
    shop.send("2026-01-06T10:07", "purchase", &sale("o2", 10_000));
    shop.void("2026-01-06T10:08", redemption).unwrap();
    assert_eq!(shop.available("point"), before + 10 + 20);
    shop.ask(at("2026-01-08T09:00"), freeze(false)).unwrap();
    shop.redeem("2026-01-08T10:00", reserve("point", 5)).unwrap();
    assert_eq!(code(shop.ask(at("2026-01-08T11:00"), freeze(false))), "member-not-frozen");
}
