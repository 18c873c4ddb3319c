//! The stored form of a member: what was written once is read for ever, and what cannot be read says why.
//!
//! A format is **open** until a release: while it is, a field may be added at the end of the state, with one more zero in
//! `SINCE_FORMAT_2`. A release **closes** it (`CONTRIBUTING.md`): its fixtures are written by
//! `cargo test -p tessera-core --test rules -- --ignored writes_the_fixtures` and stay. From then on a change of the
//! state's types is red here, until it has a format byte of its own and a reader for the old one (decision 5).

use std::collections::{BTreeMap, BTreeSet};

use tessera_core::event::{
    Freeze, GiftCardStep, HouseholdStep, Origin, PlaceTier, PlacementEnd, PlacementKind, PlacementStep, Redeem,
    Situation, UseBenefit, What,
};
use tessera_core::member::{MemberState, StateError};
use tessera_core::quantity::Amount;
use tessera_core::time::Period;
use tessera_testkit::shop::{Shop, at, id, json::*, reserve, reward};

const CHANGELOG: &str = include_str!("../../../../CHANGELOG.md");
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// What a closed format looks like: the bytes that were stored once, and what they mean.
struct Fixture {
    name: String,
    format: u8,
    bytes: Vec<u8>,
    meaning: serde_json::Value,
}

/// Every fixture there is, oldest format first.
fn fixtures() -> Vec<Fixture> {
    let files = std::fs::read_dir(FIXTURES).unwrap().map(|file| file.unwrap().path());
    let stored = files.filter(|file| file.extension().is_some_and(|kind| kind == "postcard"));
    let read = stored.map(|file| {
        let bytes = std::fs::read(&file).unwrap();
        let words = std::fs::read_to_string(file.with_extension("json")).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let format = name.rsplit('-').next().unwrap().parse().unwrap();
        Fixture { name, format, bytes, meaning: serde_json::from_str(&words).unwrap() }
    });
    let mut fixtures: Vec<Fixture> = read.collect();
    fixtures.sort_by_key(|fixture| fixture.format);
    fixtures
}

/// The format that is written now.
fn format() -> u8 {
    card().to_bytes()[0]
}

/// Whose states are the fixtures of a format: between them they have something in every field.
fn everybody() -> Vec<(&'static str, MemberState)> {
    let mut shop = busy_shop();
    let mut of = |number: usize| shop.of_member(number).state();
    vec![("member", of(0)), ("merged", of(1)), ("household", of(2)), ("friend", friend()), ("card", card())]
}

/// A member with something in nearly every part of the state.
fn member() -> MemberState {
    busy_shop().state()
}

/// That member, whom they merged with, and their household.
fn busy_shop() -> Shop {
    let mut shop = Shop::new(
        "currencies:
  point: { name: P, expires: { after: P12M, round: month }, pending: { for: P14D } }
  star: { name: S, expires: { inactivity: P6M } }
tiers: { club: { measure: { earned: star }, return_undoes: at_review, levels: [ { id: blue, at: 0 }, { id: gold, at: 50 } ] } }
partners: { airport: {} }
benefits: { lounge: { name: Lounge, per: { month: 2 }, partner: airport } }
membership: { plans: { plus: { name: Plus, fee: 99000, period: P1Y, benefits: [lounge] } } }
events: { visit: {} }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1500, fraction: carry } }, { award: { currency: star, amount: event.net / 1000 }, limit: { per_member: { month: { points: 500 } } } } ] }
  funded: { trigger: purchase, earning: bonus, holdout: 0.5, funded_by: { brand: 0.5 }, rules: [ { award: { currency: star, amount: 9 } } ] }
  hello: { trigger: visit, rules: [ { grant: { benefit: lounge, for: P1Y } } ] }
  cake: { trigger: birthday, rules: [ { award: { currency: star, amount: 3 } } ] }
challenges: { tour: { counts: purchase, each: event.items, distinct: item.category, on_return: reverse, steps: [ { at: 1, badge: tourist, issue: { voucher: postcard } } ] } }
streaks: { months: { counts: purchase, every: month } }
badges: { tourist: { name: Tourist } }
households: { pools: { star: { by_hand: true } } }
rewards: { card: { costs: { money: 9000 }, gives: { voucher: postcard } } }
vouchers: { postcard: { gives: { free_item: { category: card } }, on_undo: void } }
velocity: { often: { what: purchase, per: member, window: P1M, count: 9 } }",
    );
    shop.origin = Origin { key: Some("key_1".into()), ..Origin::default() };
    shop.send("2026-01-05T09:00", "enrol", r#"{"birthday": "02-10"}"#);
    shop.send("2026-02-20T09:00", "visit", "{}");
    shop.send("2026-02-21T09:00", "purchase", &lines("o1", &[("A", "x", 2, 80_000)]));
    shop.send("2026-03-10T09:00", "profile", r#"{"birthday": "07-01"}"#);
    shop.adjust("2026-03-10T09:30", "star", -160).unwrap();
    shop.send("2026-03-10T10:00", "return", &back("o1", &[("A", 1)]));
    shop.send("2026-03-11T09:00", "purchase", &sale("o2", 40_000));
    shop.send("2026-03-11T10:00", "return", &back_all("o9"));
    shop.adjust("2026-03-12T09:00", "star", -500).unwrap();
    shop.send("2026-03-12T09:05", "membership-fee", r#"{"plan": "plus"}"#);
    let wish = UseBenefit { benefit: id("lounge"), order_id: Some("o2".into()), situation: Situation::default() };
    shop.ask(at("2026-03-12T09:10"), What::UseBenefit(wish)).unwrap();
    let keep_if = BTreeMap::from([(id("star"), Amount::whole(40))]);
    let (kind, ends) = (PlacementKind::Trial, PlacementEnd::For(Period::days(30)));
    let step = PlacementStep::Place { kind, level: Some(id("gold")), ends, keep_if };
    let wish = PlaceTier { ladder: id("club"), step, reason: "a month of gold".into() };
    shop.ask(at("2026-03-12T09:20"), What::PlaceTier(wish)).unwrap();
    shop.redeem("2026-03-12T10:00", reserve("point", 5)).unwrap();
    shop.of_member(1).send("2026-03-12T10:05", "purchase", &sale("b1", 30_000));
    shop.merge("2026-03-12T10:10", 0).unwrap();
    shop.relay();
    shop.of_member(0).household("2026-03-12T10:12", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    let by = Some(shop.state().id);
    shop.of_member(2).redeem("2026-03-12T10:12", Redeem { by, ..reward("card") }).unwrap();
    shop.of_member(0);
    let freeze = Freeze { frozen: true, reason: "stolen-phone".into() };
    shop.ask(at("2026-03-12T10:12"), What::Freeze(freeze)).unwrap();
    shop
}

/// Somebody who was brought by a member, is among the best, and waits for what that member got.
fn friend() -> MemberState {
    let mut shop = Shop::new(
        "currencies: { point: { name: P, expires: never } }
ranking: { by: spend }
referral: { qualifies: { trigger: purchase }, gives: { friend: [ { award: { currency: point, amount: 50 } } ] } }
rewards: { mug: { costs: { point: 5 }, gives: { item: MUG-01 }, stock: 1, waitlist: { offer: P1D } } }",
    );
    shop.send("2026-03-01T09:00", "enrol", "{}");
    shop.adjust("2026-03-01T09:00", "point", 5).unwrap();
    shop.redeem("2026-03-01T10:00", Redeem { capture: true, ..reward("mug") }).unwrap();
    shop.of_member(1).join_brought_by("2026-03-02T09:00", 0, Some("d1")).unwrap();
    shop.relay();
    shop.of_member(1).ask(at("2026-03-02T10:00"), What::WaitFor { reward: id("mug") }).unwrap();
    shop.ask(at("2026-03-02T10:01"), What::Rank { top_percent: Some(5) }).unwrap();
    shop.state()
}

/// A gift card: no member, and stored as one.
fn card() -> MemberState {
    let mut shop = Shop::new("gift_cards: {}\ncurrencies: { point: { name: P, expires: never } }");
    let issue = GiftCardStep::Issue { code: [7; 16], amount: 500_000 };
    shop.ask(at("2026-03-12T09:00"), What::GiftCard(issue)).unwrap();
    shop.redeem("2026-03-12T10:00", reserve("gift-card", 120_000)).unwrap();
    shop.ask(at("2026-03-12T10:01"), What::GiftCard(GiftCardStep::Block)).unwrap();
    shop.state()
}

#[test]
fn what_is_stored_now_is_read_back_as_it_was() {
    for (whose, state) in everybody() {
        assert_eq!(MemberState::from_bytes(&state.to_bytes()).unwrap(), state, "{whose}");
    }
    let card = card();
    assert!(card.gift_card.is_some_and(|known| known.blocked && known.code == [7; 16]));
    assert!(!card.holds.is_empty() && card.purses.iter().any(|purse| !purse.lots.is_empty()));
}

#[test]
fn the_fixtures_have_something_in_every_field() {
    let states: Vec<_> = everybody().iter().map(|(_, state)| serde_json::to_value(state).unwrap()).collect();
    for field in states[0].as_object().unwrap().keys() {
        let has_it = |state: &serde_json::Value| match &state[field] {
            serde_json::Value::Null => false,
            serde_json::Value::Array(list) => !list.is_empty(),
            _ => true,
        };
        assert!(states.iter().any(has_it), "nobody has anything in `{field}`: give it to one of them");
    }
}

#[test]
fn the_fixture_has_something_in_every_part() {
    let state = member();
    assert!(
        state.purses.iter().any(|purse| !purse.lots.is_empty())
            && state.purses.iter().any(|purse| !purse.waits.is_empty())
    );
    assert!(state.purses.iter().any(|purse| !purse.debt.is_zero() && purse.idle.is_some()));
    assert!(state.ladders.iter().any(|ladder| ladder.floor.is_some() && !ladder.measures.is_empty()));
    assert!(!state.counters.is_empty() && !state.fractions.is_empty() && !state.counts.is_empty());
    assert!(state.birthday.is_some() && state.birthday_since.is_some() && state.birthday_next.is_some());
    assert!(!state.gifts.is_empty() && !state.exposures.is_empty() && !state.grants.is_empty());
    assert!(!state.challenges.is_empty() && !state.streaks.is_empty() && !state.badges.is_empty());
    assert!(!state.velocity.is_empty() && state.frozen.is_some());
    assert!(!state.placements.is_empty() && !state.uses.is_empty() && !state.clubs.is_empty());
    assert!(!state.told.is_empty() && !state.step_vouchers.is_empty());
    assert!(!state.merged.is_empty());
    assert!(state.home().is_some());
    assert!(state.shortfalls.iter().any(|known| known.owed > 0 && !known.own.is_empty()));
    assert!(!state.parked.is_empty() && state.wake_at.is_some() && !state.holds.is_empty());
}

#[test]
fn a_state_stored_in_a_closed_format_reads_as_it_was_meant() {
    for Fixture { name, format: written, bytes, meaning: mut expected } in fixtures() {
        assert_eq!(bytes[0], written, "{name}");
        let state = MemberState::from_bytes(&bytes)
            .unwrap_or_else(|error| panic!("{name}: {error}: a change of the state takes a new format byte"));
        // What came later is empty.
        let fresh =
            serde_json::to_value(MemberState::new(state.id, state.status, state.joined_at, state.joined_on)).unwrap();
        for (field, empty) in fresh.as_object().unwrap() {
            expected.as_object_mut().unwrap().entry(field).or_insert_with(|| empty.clone());
        }
        assert_eq!(serde_json::to_value(&state).unwrap(), expected, "{name}");
        if written == format() {
            assert_eq!(state.to_bytes(), bytes, "{name}: this format is closed, a change takes a new one");
        }
    }
}

#[test]
fn every_format_that_was_released_has_fixtures() {
    let closed: BTreeSet<u8> = fixtures().iter().map(|fixture| fixture.format).collect();
    let version = CHANGELOG.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    let is_open = version.ends_with(", unreleased");
    for known in 1..=format() {
        let may_be_open = is_open && known == format();
        assert!(
            closed.contains(&known) || may_be_open,
            "{version}: format {known} has no fixture; the head of this file says how to write one"
        );
    }
}

#[test]
fn a_state_of_another_format_or_damaged_says_so() {
    let bytes = card().to_bytes();
    let mut other = bytes.clone();
    other[0] = 99;
    let error = MemberState::from_bytes(&other).unwrap_err();
    assert_eq!(error, StateError::UnknownFormat { found: 99 });
    assert!(error.to_string().contains("has the format 99, this version reads "), "{error}");
    for damaged in [&[][..], &bytes[..1], &bytes[..bytes.len() - 1], &[bytes.as_slice(), &[0]].concat()] {
        let error = MemberState::from_bytes(damaged).unwrap_err();
        assert_eq!(error, StateError::Damaged, "{} bytes", damaged.len());
        assert!(error.to_string().contains("restore the database from a backup"), "{error}");
    }
}

#[test]
#[ignore = "writes files: for a release, which closes the format"]
fn writes_the_fixtures() {
    for (whose, state) in everybody() {
        let name = format!("{FIXTURES}/{whose}-state-{}", format());
        std::fs::write(format!("{name}.postcard"), state.to_bytes()).unwrap();
        std::fs::write(format!("{name}.json"), serde_json::to_string_pretty(&state).unwrap() + "\n").unwrap();
    }
}
