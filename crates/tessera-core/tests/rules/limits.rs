//! At every limit of what a member or a document may have, what is just within is taken, and one more is refused with the
//! number.

use rstest::rstest;
use tessera_core::decide::Rejected;
use tessera_core::event::HouseholdStep;
use tessera_core::member::{Household, MemberState};
use tessera_core::program::{CAMPAIGNS_MAX, CHALLENGES_MAX, read_document};
use tessera_testkit::shop::{Shop, document, json::*};

#[test]
fn invitations_of_a_household() {
    let mut shop = Shop::new(
        "
households: { size: 3 }
currencies: { point: { name: P, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }",
    );
    shop.of_member(0).send("2026-01-05T09:00", "enrol", "{}");
    let by = shop.member().id;
    shop.household("2026-01-06T09:00", HouseholdStep::Found { known: None }).unwrap();
    shop.relay();
    let most = Household::INVITATIONS_MAX;
    let mut invite = |day: &str, number: usize| {
        let code = [u8::try_from(number).unwrap(); 16];
        shop.of_member(1).household(&format!("2026-01-{day}T10:00"), HouseholdStep::Invite { by, to: None, code })
    };
    for number in 0..most {
        invite("06", number).unwrap();
    }
    let refused = invite("06", most).unwrap_err();
    assert_eq!(refused, Rejected::TooManyInvitations { most });
    assert!(refused.to_string().contains(&most.to_string()), "{refused}");
    // They are over after a week.
    invite("20", most).unwrap();
}

#[test]
fn p1_members_who_are_one() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: P, expires: never } }
campaigns: { base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] } }",
    );
    let most = MemberState::MERGED_MAX;
    for member in 0..=most + 1 {
        shop.of_member(member).send("2026-01-05T09:00", "purchase", &sale(&format!("o-{member}"), 1_000));
    }
    for member in 1..=most {
        shop.of_member(member).merge("2026-02-12T09:00", 0).unwrap();
        shop.relay().remove(0).unwrap();
    }
    shop.of_member(most + 1).merge("2026-02-12T09:00", 0).unwrap();
    let refused = shop.relay().remove(0).unwrap_err();
    assert_eq!(refused, Rejected::TooManyMerged { most });
    assert!(refused.to_string().contains(&most.to_string()), "{refused}");
    // What could not arrive went back.
    assert_eq!((shop.of_member(0).available("point"), shop.of_member(most + 1).available("point")), (51, 1));
}

/// What is wrong with a document, a line each.
fn complaints(text: &str) -> String {
    let problems = read_document(&document(text));
    problems.map_or_else(|problems| problems.iter().map(ToString::to_string).collect(), |_| String::new())
}

#[rstest]
#[case::campaigns(
    "campaigns",
    CAMPAIGNS_MAX,
    "{ trigger: purchase, rules: [ { award: { currency: point, amount: 1 } } ] }"
)]
#[case::challenges(
    "challenges",
    CHALLENGES_MAX,
    "{ counts: purchase, steps: [ { at: 3, award: { currency: point, amount: 1 } } ] }"
)]
#[case::streaks(
    "streaks",
    CHALLENGES_MAX,
    "{ counts: purchase, milestones: [ { at: 3, award: { currency: point, amount: 1 } } ] }"
)]
fn parts_of_a_document(#[case] section: &str, #[case] most: usize, #[case] part: &str) {
    let of = |count: usize| {
        let parts: String = (0..count).map(|number| format!("  c{number}: {part}\n")).collect();
        complaints(&format!("currencies: {{ point: {{ name: P, expires: never }} }}\n{section}:\n{parts}"))
    };
    assert_eq!(of(most), "");
    let one_more = of(most + 1);
    assert!(one_more.contains(&format!("at most {most} {section}")), "{one_more}");
}
