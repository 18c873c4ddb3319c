//! T6 and benefits: who has them, how often they are used, and what a return gives back.

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, Entitlement, Rejected, SourceKind, entitlements};
use tessera_core::event::{Situation, UseBenefit, What};
use tessera_core::program::read_document;
use tessera_core::quantity::Amount;
use tessera_testkit::shop::{Shop, at, count_of, document, id, json::*};

/// Gold from 100 points: two free deliveries a month from 300,000 on, a lounge, early access. A visit grants parking.
const SHOP: &str = "
currencies: { point: { name: Point, expires: never } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 100, benefits: [delivery, lounge, presale] } ] } }
benefits:
  delivery: { name: Free delivery, kind: free_shipping, per: { month: 2 }, when: event.total >= 300000 }
  lounge: { name: Lounge, per: { membership_year: 3, week: 1 }, on_return: keep }
  parking: { name: Parking, kind: priority_service }
  presale: { name: Early access, kind: early_access, opens: P2D }
events: { visit: {} }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  hello: { trigger: visit, rules: [ { grant: { benefit: parking, for: P7D } } ] }
";

fn gold() -> Shop {
    let mut shop = Shop::new(SHOP);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    shop
}

fn use_for(shop: &mut Shop, time: &str, benefit: &str, order: Option<&str>, total: i64) -> Result<Decision, Rejected> {
    let situation = Situation { total: Some(Amount::whole(total)), ..Situation::default() };
    let wish = UseBenefit { benefit: id(benefit), order_id: order.map(Into::into), situation };
    shop.ask(at(time), What::UseBenefit(wish))
}

fn used(shop: &mut Shop, time: &str, benefit: &str) -> Result<Decision, Rejected> {
    use_for(shop, time, benefit, None, 500_000)
}

fn list(shop: &Shop, time: &str) -> Vec<Entitlement> {
    let situation = Situation { total: Some(Amount::whole(300_000)), ..Situation::default() };
    entitlements(shop.versions.at(at(time)), &shop.seen_at(time), &situation, at(time))
}

fn left(shop: &Shop, time: &str, benefit: &str) -> Vec<i64> {
    let all = list(shop, time);
    let found = all.iter().find(|entitlement| entitlement.benefit == *benefit);
    found.map(|found| found.uses.iter().map(|uses| uses.left).collect()).unwrap_or_default()
}

#[test]
fn benefits_say_where_they_come_from_and_until_when() {
    let mut shop = gold();
    shop.send("2026-03-03T09:00", "visit", "{}");
    let all = list(&shop, "2026-03-04T09:00");
    let names: Vec<&str> = all.iter().map(|entitlement| entitlement.benefit.as_str()).collect();
    assert_eq!(names, ["delivery", "lounge", "parking", "presale"]);
    let (delivery, parking) = (&all[0], &all[2]);
    assert_eq!((delivery.from[0].by, delivery.from[0].level.as_ref().unwrap().as_str()), (SourceKind::Tier, "gold"));
    assert_eq!(delivery.until, Some(at("2028-01-01T00:00")), "as long as the level holds");
    assert_eq!((delivery.uses[0].most, delivery.uses[0].left), (2, 2));
    assert_eq!((parking.from[0].by, parking.last_day.unwrap().to_string()), (SourceKind::Grant, "2026-03-10".into()));
    assert!(delivery.refused.is_none());
    assert_eq!(list(&shop, "2026-03-10T23:59").len(), 4, "all of its last day");
    assert_eq!(list(&shop, "2026-03-11T00:00").len(), 3, "the grant ended with its last day");
}

#[test]
fn a_benefit_is_used_as_often_as_it_says_and_from_the_next_window_again() {
    let mut shop = gold();
    let first = used(&mut shop, "2026-03-05T09:00", "delivery").unwrap();
    assert_eq!(first.outcome.effects[0].left, Some(1));
    used(&mut shop, "2026-03-31T23:59", "delivery").unwrap();
    let refused = used(&mut shop, "2026-03-31T23:59", "delivery").unwrap_err();
    assert_eq!(refused.to_string(), "2 of 2 delivery are used this month, next from 2026-04-01");
    assert_eq!(refused.code(), "benefit-used-up");
    assert_eq!(left(&shop, "2026-03-31T23:59", "delivery"), [0]);
    assert_eq!(left(&shop, "2026-04-01T00:00", "delivery"), [2]);
    used(&mut shop, "2026-04-01T00:00", "delivery").unwrap();
}

#[test]
fn of_several_windows_each_counts() {
    let mut shop = gold();
    for time in ["2026-03-03T09:00", "2026-03-10T09:00", "2026-03-17T09:00"] {
        used(&mut shop, time, "lounge").unwrap();
        let code = used(&mut shop, time, "lounge").unwrap_err().code();
        assert_eq!(code, "benefit-used-up", "once a week");
    }
    let refused = used(&mut shop, "2026-03-24T09:00", "lounge").unwrap_err();
    assert_eq!(refused.to_string(), "3 of 3 lounge are used this year of membership, next from 2027-03-02");
    assert_eq!(left(&shop, "2027-03-02T00:00", "lounge"), [1, 3]);
}

#[test]
fn what_may_be_used_once_for_ever_is_used_up_for_good() {
    let mut shop = Shop::new(&SHOP.replace("parking: { name: Parking,", "parking: { name: Parking, per: { ever: 1 },"));
    shop.send("2026-03-03T09:00", "visit", "{}");
    used(&mut shop, "2026-03-04T09:00", "parking").unwrap();
    let refused = used(&mut shop, "2026-03-05T09:00", "parking").unwrap_err();
    assert!(!refused.to_string().contains("next from"), "{refused}");
    assert_eq!(refused.facts()["next"], serde_json::Value::Null);
}

#[rstest]
#[case::too_little("delivery", Some(299_999), "benefit-not-here")]
#[case::not_said("delivery", None, "benefit-needs-field")]
#[case::when_is_it_public("presale", Some(1), "benefit-needs-field")]
#[case::not_held("parking", Some(1), "benefit-not-held")]
#[case::unknown("sauna", Some(1), "unknown-benefit")]
fn a_use_is_refused_with_what_is_missing(#[case] benefit: &str, #[case] total: Option<i64>, #[case] code: &str) {
    let mut shop = gold();
    let situation = Situation { total: total.map(Amount::whole), ..Situation::default() };
    let wish = UseBenefit { benefit: id(benefit), order_id: None, situation };
    assert_eq!(shop.ask(at("2026-03-05T09:00"), What::UseBenefit(wish)).unwrap_err().code(), code);
}

#[rstest]
#[case::a_second_before("2026-11-27T08:59", Some("benefit-not-open-yet"))]
#[case::on_time("2026-11-27T09:00", None)]
fn early_access_opens_before_the_public_time(#[case] time: &str, #[case] code: Option<&str>) {
    let mut shop = gold();
    let situation = Situation { public_at: Some(at("2026-11-29T09:00")), ..Situation::default() };
    let wish = UseBenefit { benefit: id("presale"), order_id: None, situation };
    let answer = shop.ask(at(time), What::UseBenefit(wish));
    assert_eq!(answer.err().map(|rejected| rejected.code()), code);
}

#[rstest]
#[case::given_back("delivery", [2])]
#[case::kept("lounge", [0, 2])]
fn a_returned_order_gives_its_use_back_where_the_benefit_says_so<const N: usize>(
    #[case] benefit: &str,
    #[case] uses: [i64; N],
) {
    let mut shop = gold();
    shop.send("2026-03-05T09:00", "purchase", &lines("o2", &[("A", "x", 2, 400_000)]));
    use_for(&mut shop, "2026-03-05T09:01", benefit, Some("o2"), 400_000).unwrap();
    let before = left(&shop, "2026-03-06T09:00", benefit);
    shop.send("2026-03-06T09:00", "return", &back("o2", &[("A", 1)]));
    assert_eq!(left(&shop, "2026-03-06T10:00", benefit), before, "a part of the order was delivered all the same");
    shop.send("2026-03-06T11:00", "return", &back("o2", &[("A", 1)]));
    assert_eq!(left(&shop, "2026-03-06T12:00", benefit), uses);
}

#[test]
fn a_use_is_taken_back_once_and_only_into_an_open_window() {
    let mut shop = gold();
    let first = used(&mut shop, "2026-03-05T09:00", "delivery").unwrap().events.last().unwrap().seq;
    let back = shop.ask(at("2026-03-06T09:00"), What::ReturnBenefit { used: first }).unwrap();
    assert_eq!(count_of(&back, EffectKind::BenefitReturned), 1);
    assert_eq!(left(&shop, "2026-03-06T09:00", "delivery"), [2]);
    let again = shop.ask(at("2026-03-06T09:00"), What::ReturnBenefit { used: first }).unwrap_err();
    assert_eq!(again.code(), "unknown-benefit-use");
    let late = used(&mut shop, "2026-03-31T09:00", "delivery").unwrap().events.last().unwrap().seq;
    shop.ask(at("2026-04-02T09:00"), What::ReturnBenefit { used: late }).unwrap();
    assert_eq!(left(&shop, "2026-04-02T09:00", "delivery"), [2], "march is over");
}

#[test]
fn t6_benefits_already_used_are_not_charged() {
    let mut shop = gold();
    used(&mut shop, "2026-03-05T09:00", "lounge").unwrap();
    let back = shop.send("2026-03-06T09:00", "return", &back_all("o1"));
    assert_eq!(shop.level("club"), "blue", "the crossing is undone");
    assert_eq!(count_of(&back, EffectKind::TierDown), 1);
    assert_eq!(count_of(&back, EffectKind::Debt) + count_of(&back, EffectKind::BenefitReturned), 0);
    assert_eq!(shop.available("point"), 0);
    assert!(list(&shop, "2026-03-06T10:00").is_empty(), "and nothing more can be used");
    assert_eq!(used(&mut shop, "2026-03-06T10:00", "lounge").unwrap_err().code(), "benefit-not-held");
}

#[test]
fn p1_what_was_granted_lasts_longest_for_the_two_and_as_it_was_for_each_again() {
    let mut shop = Shop::new(SHOP);
    let last_days =
        |shop: &Shop| -> Vec<String> { shop.state().grants.iter().map(|grant| grant.last_day.to_string()).collect() };
    shop.send("2026-03-03T09:00", "visit", "{}");
    shop.of_member(2).send("2026-03-03T09:00", "enrol", "{}");
    shop.of_member(1).send("2026-03-05T09:00", "visit", "{}");
    for (into, own) in [(0, vec!["2026-03-10".to_owned()]), (2, Vec::new())] {
        let mut shop = shop.clone();
        shop.merge("2026-03-06T09:00", into).unwrap();
        shop.relay().remove(0).unwrap();
        assert_eq!(last_days(shop.of_member(into)), ["2026-03-12"]);
        shop.unmerge("2026-03-07T09:00", 1).unwrap();
        shop.relay().remove(0).unwrap();
        assert_eq!(last_days(&shop), own);
        assert_eq!(last_days(shop.of_member(1)), ["2026-03-12"]);
    }
}

#[rstest]
#[case::nothing("per: { month: 0 }", "0 leaves nothing")]
#[case::unknown_window("per: { fortnight: 1 }", "fortnight")]
#[case::condition("when: event.total", "this must give true or false")]
#[case::field("when: event.net > 3", "there is no `event.net` here")]
#[case::never_earlier("opens: P0D", "opens nothing earlier")]
#[case::worth("worth: -1", "0 or more")]
fn what_is_wrong_with_a_benefit_is_said(#[case] settings: &str, #[case] message: &str) {
    let text = document(&format!(
        "currencies: {{ point: {{ name: P, expires: never }} }}\nbenefits: {{ a: {{ name: A, {settings} }} }}"
    ));
    let problems = read_document(&text).unwrap_err();
    assert!(problems.iter().any(|problem| problem.to_string().contains(message)), "{problems:?}");
}
