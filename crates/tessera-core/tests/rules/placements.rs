//! Levels beside what was reached: by invitation, status match, trial and lock; and several ladders.

use std::collections::BTreeMap;

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, Rejected, TierStanding, tier_standings};
use tessera_core::event::{PlaceTier, PlacementEnd, PlacementKind, PlacementStep, What};
use tessera_core::program::read_document;
use tessera_core::quantity::Amount;
use tessera_testkit::shop::{Shop, at, count_of, document, id, json::*, level};

/// Silver at 100 and gold at 500 a year, black by invitation; a second ladder by visits; entering a level gives a point.
const SHOP: &str = "
currencies: { point: { name: Point, expires: never }, star: { name: Star, expires: never } }
tiers:
  club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: silver, at: 100 }, { id: gold, at: 500 }, { id: black, by_invitation: true } ] }
  circle: { measure: { events: visit }, levels: [ { id: guest, at: 0 }, { id: friend, at: 2 } ] }
events: { visit: {} }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  hello: { trigger: tier, rules: [ { when: event.level == \"gold\" or event.level == \"black\", award: { currency: star, amount: 1 } } ] }
";

fn shop() -> Shop {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 50_000));
    shop
}

fn day(text: &str) -> PlacementEnd {
    PlacementEnd::Until(text.parse().unwrap())
}

fn step(shop: &mut Shop, time: &str, step: PlacementStep) -> Result<Decision, Rejected> {
    let wish = PlaceTier { ladder: id("club"), step, reason: "Sky Club platinum".into() };
    shop.ask(at(time), What::PlaceTier(wish))
}

fn place(shop: &mut Shop, time: &str, kind: PlacementKind, level: &str, ends: PlacementEnd) -> Decision {
    let level = (!level.is_empty()).then(|| id(level));
    step(shop, time, PlacementStep::Place { kind, level, ends, keep_if: BTreeMap::new() }).unwrap()
}

fn trial(shop: &mut Shop, time: &str, until: &str, needed: i64) -> Decision {
    let keep_if = BTreeMap::from([(id("point"), Amount::whole(needed))]);
    let kind = PlacementKind::Trial;
    step(shop, time, PlacementStep::Place { kind, level: Some(id("gold")), ends: day(until), keep_if }).unwrap()
}

fn seen(shop: &Shop, time: &str) -> String {
    level(&shop.versions, &shop.seen_at(time), "club")
}

fn standing(shop: &Shop, time: &str, ladder: &str) -> TierStanding {
    let all = tier_standings(shop.versions.at(at(time)), &shop.seen_at(time), at(time));
    all.into_iter().find(|standing| standing.ladder == *ladder).unwrap()
}

#[test]
fn a_status_match_holds_to_its_last_day_and_says_so() {
    let mut shop = shop();
    let placed = place(&mut shop, "2026-03-03T09:00", PlacementKind::Match, "gold", day("2026-06-30"));
    assert_eq!((count_of(&placed, EffectKind::TierPlaced), count_of(&placed, EffectKind::TierUp)), (1, 1));
    assert_eq!(placed.events[placed.main].kind, "tier-match");
    assert_eq!(shop.available("star"), 1, "whoever enters a level gets what is given for it");
    let told = standing(&shop, "2026-03-04T09:00", "club");
    assert_eq!(told.words, "gold until 2026-06-30: status match");
    assert_eq!(
        (told.holds_until, told.placements[0].reason.as_str()),
        (Some(at("2026-07-01T00:00")), "Sky Club platinum")
    );
    assert_eq!(seen(&shop, "2026-06-30T23:59"), "gold");
    assert_eq!(seen(&shop, "2026-07-01T00:00"), "blue", "what was reached is what is left");
    let woken = shop.wake("2026-07-01T00:00");
    assert_eq!(woken.events[0].kind, "tier-placement-end");
    assert_eq!(woken.events[0].effective_at, at("2026-07-01T00:00"));
}

#[test]
fn t8_what_is_missing_is_said_beside_a_placement() {
    let mut shop = shop();
    place(&mut shop, "2026-03-03T09:00", PlacementKind::Match, "gold", day("2026-06-30"));
    let told = standing(&shop, "2026-03-04T09:00", "club");
    assert_eq!(told.next_level, None, "nobody rises to a level by invitation");
    assert_eq!(told.missing_to_stay[&id("point")], Amount::whole(450));
    shop.send("2026-04-02T09:00", "purchase", &sale("o2", 450_000));
    assert_eq!(seen(&shop, "2026-07-01T00:00"), "gold", "it was reached meanwhile");
    assert_eq!(standing(&shop, "2026-07-01T00:00", "club").words, "gold until 2027-12-31: reached");
}

#[test]
fn a_level_by_invitation_is_reached_by_nothing_else() {
    let mut shop = shop();
    shop.send("2026-03-03T09:00", "purchase", &sale("o2", 900_000_000));
    assert_eq!(shop.level("club"), "gold");
    place(&mut shop, "2026-03-04T09:00", PlacementKind::Invite, "black", PlacementEnd::Open);
    let told = standing(&shop, "2026-03-05T09:00", "club");
    assert_eq!((told.words.as_str(), told.holds_until, told.missing_to_stay.len()), ("black: by invitation", None, 0));
    assert_eq!(seen(&shop, "2036-01-01T00:00"), "black", "it has no end");
    let gone = step(&mut shop, "2026-05-01T09:00", PlacementStep::Withdraw(PlacementKind::Invite)).unwrap();
    assert_eq!((shop.level("club").as_str(), count_of(&gone, EffectKind::TierDown)), ("gold", 1));
}

#[rstest]
#[case::reached(299_000, true)]
#[case::one_short(298_000, false)]
fn a_trial_ends_by_itself_or_stays_for_what_was_reached_in_it(#[case] spent: i64, #[case] stays: bool) {
    let mut shop = shop();
    trial(&mut shop, "2026-03-03T09:00", "2026-05-31", 299);
    shop.send("2026-04-02T09:00", "purchase", &sale("o2", spent));
    let missing = &standing(&shop, "2026-04-03T09:00", "club").placements[0].missing_to_keep;
    assert_eq!(missing.get(&id("point")).copied(), (!stays).then(|| Amount::whole(1)), "what counted before does not");
    assert_eq!(seen(&shop, "2026-05-31T23:59"), "gold");
    assert_eq!(seen(&shop, "2026-06-01T00:00"), if stays { "gold" } else { "silver" });
    if stays {
        assert_eq!(standing(&shop, "2026-06-01T00:00", "club").holds_until, Some(at("2028-01-01T00:00")));
    }
}

#[test]
fn a_trial_across_the_new_year_counts_both_sides() {
    let mut shop = shop();
    trial(&mut shop, "2026-12-01T09:00", "2027-01-31", 300);
    shop.send("2026-12-20T09:00", "purchase", &sale("o2", 150_000));
    shop.send("2027-01-20T09:00", "purchase", &sale("o3", 150_000));
    assert_eq!(seen(&shop, "2027-02-01T00:00"), "gold");
}

#[test]
fn t3_a_lock_keeps_the_level_through_reviews() {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 500_000));
    place(&mut shop, "2026-03-03T09:00", PlacementKind::Lock, "", PlacementEnd::Open);
    assert_eq!(seen(&shop, "2030-01-01T00:00"), "gold");
    let unlocked = step(&mut shop, "2030-01-01T09:00", PlacementStep::Unlock).unwrap();
    assert_eq!(unlocked.events[unlocked.main].kind, "tier-unlock");
    assert_eq!(shop.level("club"), "silver", "the review that it kept off comes now: one down");
    assert_eq!(seen(&shop, "2031-01-01T00:00"), "blue");
}

#[test]
fn t6_a_return_takes_no_locked_level() {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 500_000));
    place(&mut shop, "2026-03-03T09:00", PlacementKind::Lock, "", day("2026-12-31"));
    shop.send("2026-03-04T09:00", "return", &back_all("o1"));
    assert_eq!(shop.level("club"), "gold");
    assert_eq!(seen(&shop, "2027-01-01T00:00"), "silver");
}

#[test]
fn i7_a_placement_and_a_review_end_in_due_order_whenever_somebody_looks() {
    let mut at_once = shop();
    place(&mut at_once, "2026-03-03T09:00", PlacementKind::Match, "gold", day("2026-06-30"));
    place(&mut at_once, "2026-03-03T10:00", PlacementKind::Lock, "silver", day("2026-12-31"));
    let levels: Vec<String> =
        ["2026-06-30T12:00", "2026-07-01T00:00", "2027-01-01T00:00"].map(|time| seen(&at_once, time)).into();
    assert_eq!(levels, ["gold", "silver", "blue"]);
    let late = at_once.wake("2027-02-01T00:00");
    let ends: Vec<String> = late.events.iter().map(|event| event.effective_at.to_string()).collect();
    assert_eq!(ends.len(), 2);
    assert!(ends[0] < ends[1]);
}

#[test]
fn ladders_stand_beside_each_other() {
    let mut shop = shop();
    for number in 1..=2 {
        shop.send(&format!("2026-03-0{number}T10:00"), "visit", "{}");
    }
    place(&mut shop, "2026-03-03T09:00", PlacementKind::Match, "gold", day("2026-06-30"));
    assert_eq!((shop.level("club").as_str(), shop.level("circle").as_str()), ("gold", "friend"));
    assert_eq!(standing(&shop, "2026-03-04T09:00", "circle").words, "friend until 2027-12-31: reached");
}

#[rstest]
#[case::ladder("stars", PlacementKind::Invite, Some("gold"), PlacementEnd::Open, "unknown-ladder")]
#[case::level("club", PlacementKind::Invite, Some("pink"), PlacementEnd::Open, "unknown-level")]
#[case::no_level("club", PlacementKind::Invite, None, PlacementEnd::Open, "placement-without-level")]
#[case::match_for_ever("club", PlacementKind::Match, Some("gold"), PlacementEnd::Open, "placement-without-end")]
#[case::over("club", PlacementKind::Match, Some("gold"), PlacementEnd::Until("2026-03-02".parse().unwrap()), "placement-in-the-past")]
fn what_is_wrong_with_a_placement_is_said(
    #[case] ladder: &str,
    #[case] kind: PlacementKind,
    #[case] level: Option<&str>,
    #[case] ends: PlacementEnd,
    #[case] code: &str,
) {
    let mut shop = shop();
    let step = PlacementStep::Place { kind, level: level.map(id), ends, keep_if: BTreeMap::new() };
    let wish = PlaceTier { ladder: id(ladder), step, reason: "why not".into() };
    assert_eq!(shop.ask(at("2026-03-03T09:00"), What::PlaceTier(wish)).unwrap_err().code(), code);
}

#[test]
fn nothing_that_is_not_there_can_be_ended() {
    let mut shop = shop();
    let refused = step(&mut shop, "2026-03-03T09:00", PlacementStep::Unlock).unwrap_err();
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        ("not-placed", "the member has no level of the ladder club locked")
    );
}

#[rstest]
#[case::both("{ id: top, at: 5, by_invitation: true }", "leave `at` out")]
#[case::neither("{ id: top }", "`at` is missing")]
fn a_level_is_reached_or_by_invitation(#[case] top: &str, #[case] message: &str) {
    let text = document(&format!(
        "currencies: {{ point: {{ name: P, expires: never }} }}\ntiers: {{ club: {{ measure: {{ earned: point }}, levels: [ {{ id: blue, at: 0 }}, {top} ] }} }}"
    ));
    let problems = read_document(&text).unwrap_err();
    assert!(problems.iter().any(|problem| problem.to_string().contains(message)), "{problems:?}");
}

#[test]
fn p1_a_level_that_came_with_somebody_goes_with_them() {
    let mut shop = shop();
    place(&mut shop, "2026-03-03T09:00", PlacementKind::Match, "silver", day("2026-12-31"));
    shop.of_member(1).send("2026-03-02T09:00", "purchase", &sale("p1", 10_000));
    place(&mut shop, "2026-03-03T09:00", PlacementKind::Match, "gold", day("2026-09-30"));
    place(&mut shop, "2026-03-03T09:10", PlacementKind::Invite, "black", PlacementEnd::Open);
    shop.merge("2026-03-04T09:00", 0).unwrap();
    shop.relay().remove(0).unwrap();
    assert_eq!((shop.of_member(0).level("club"), shop.state().placements.len()), ("black".into(), 2));
    shop.unmerge("2026-03-05T09:00", 1).unwrap();
    shop.relay().remove(0).unwrap();
    assert_eq!((shop.level("club"), shop.state().placements.len()), ("silver".into(), 1), "their own match again");
    assert_eq!(seen(&shop, "2027-01-01T00:00"), "blue");
    assert_eq!(shop.of_member(1).level("club"), "black");
}
