//! `?explain=true`: for every rule, why it did or did not apply.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::json as data;

use crate::common::call;

/// A campaign for every reason there is.
const REASONS: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: never, value: 100 }, stamp: { name: Stamp, expires: never } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 50, rate: { point: 1.5 } } ] } }
stacking: { order: [ { exclusive: [big, small], choose: best } ] }
vouchers: { cake: { gives: { percent_off: 100 } } }
campaigns:
  awarded: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  multiplied: { trigger: purchase, earning: bonus, rules: [ { extra: { currency: point, times: 2, of: awarded } } ] }
  capped: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: event.net / 1000 }, limit: { per_member: { day: { points: 7 } } } } ] }
  used_up: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: 1 }, limit: { per_member: { ever: { times: 1 } } } } ] }
  switched_off: { trigger: purchase, active: false, rules: [ { award: { currency: point, amount: 1 } } ] }
  not_scheduled: { trigger: purchase, schedule: { weekdays: [sun] }, rules: [ { award: { currency: point, amount: 1 } } ] }
  not_in_audience: { trigger: purchase, audience: member.tier.club == \"gold\", rules: [ { award: { currency: point, amount: 1 } } ] }
  condition_not_met: { trigger: purchase, earning: bonus, rules: [ { when: event.total > 1000000, award: { currency: point, amount: 1 } } ] }
  no_line_matches: { trigger: purchase, rules: [ { each: event.items, when: item.category == \"tea\", award: { currency: stamp, amount: item.quantity } } ] }
  big: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: 9 } } ] }
  small: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: 8 } } ] }
  rounded_to_nothing: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: event.net / 100000000 } } ] }
  cannot_be_worked_out: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: event.net / (event.total - event.total) } } ] }
  held_out: { trigger: purchase, holdout: 1, rules: [ { award: { currency: point, amount: 1 } } ] }
  not_enough_to_spend: { trigger: purchase, earning: bonus, rules: [ { spend: { currency: stamp, amount: 5 }, issue: { voucher: cake } } ] }
  of_another_event: { trigger: enrol, rules: [ { award: { currency: point, amount: 1 } } ] }
";

fn explained(reply: &Value) -> Vec<Value> {
    reply["explanation"].as_array().unwrap_or_else(|| panic!("no explanation: {reply}")).clone()
}

fn rule<'a>(rules: &'a [Value], campaign: &str) -> &'a Value {
    let found: Vec<&Value> = rules.iter().filter(|rule| rule["campaign"] == campaign).collect();
    assert_eq!(found.len(), 1, "{campaign} stands once in {rules:#?}");
    found[0]
}

fn buy(app: &TestApp, id: &str) -> Value {
    let sale = event("purchase", id, "card:1", &data::lines(id, &[("A", "coffee", 2, 20_000)]));
    call(app, "POST", "events?explain=true").json(&sale).ok()
}

#[rstest]
#[case("awarded", true, "awarded", "20 point from `event.net / 1000`")]
#[case("multiplied", true, "multiplied", "20 more point: 2 times the 20 base points it is about")]
#[case("capped", true, "capped", "leaves no more")]
#[case("used_up", false, "used_up", "is used up")]
#[case("switched_off", false, "switched_off", "the campaign is switched off")]
#[case("not_scheduled", false, "not_scheduled", "the campaign does not run at")]
#[case("not_in_audience", false, "not_in_audience", "the member is not in the audience `member.tier.club == \"gold\"`")]
#[case("condition_not_met", false, "condition_not_met", "`event.total > 1000000` is not met")]
#[case("no_line_matches", false, "no_line_matches", "no line meets `item.category == \"tea\"`")]
#[case("big", true, "awarded", "9 point")]
#[case("small", false, "another_chosen", "`big` was chosen instead")]
#[case("rounded_to_nothing", false, "rounded_to_nothing", "rounded to 0")]
#[case("cannot_be_worked_out", false, "cannot_be_worked_out", "")]
#[case("held_out", false, "held_out", "")]
#[case("not_enough_to_spend", false, "not_enough_to_spend", "5 stamp are needed, 0 can be spent")]
fn a_purchase_says_for_every_rule_why(
    #[case] campaign: &str,
    #[case] applied: bool,
    #[case] reason: &str,
    #[case] words: &str,
) {
    let app = TestApp::new(REASONS);
    // Once before, so that what is given once has been given.
    app.post("events", &event("purchase", "o-0", "card:1", &data::lines("o-0", &[("A", "coffee", 1, 1_000)]))).ok();
    app.set_clock("2026-03-03T10:00");
    let rules = explained(&buy(&app, "o-1"));
    let found = rule(&rules, campaign);
    assert_eq!((&found["applied"], &found["reason"]), (&json!(applied), &json!(reason)), "{found:#}");
    assert!(found["words"].as_str().unwrap().contains(words), "{found:#}");
    assert_eq!(rules.len(), 15, "every rule that looks at purchases, and no other");
}

#[test]
fn an_explanation_adds_up_to_what_was_given() {
    let app = TestApp::new(REASONS);
    app.post("events", &event("enrol", "e-1", "card:1", "{}")).ok();
    let outcome = buy(&app, "o-1");
    let given: i64 = outcome["effects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|effect| effect["currency"] == "point")
        .filter_map(|effect| effect["amount"].as_i64())
        .sum();
    let explained: i64 = explained(&outcome)
        .iter()
        .filter(|rule| rule["applied"] == true)
        .filter_map(|rule| rule["amount"].as_i64())
        .sum();
    assert_eq!(given, explained);
}

#[test]
fn a_stored_event_is_explained_by_its_own_version_and_basis() {
    let app = TestApp::new(REASONS);
    app.post("events", &event("enrol", "e-1", "card:1", "{}")).ok();
    let outcome = buy(&app, "o-1");
    // The member has risen and the rules have changed since: the explanation has not.
    app.post("events", &event("purchase", "o-2", "card:1", &data::sale("o-2", 900_000))).ok();
    app.publish(&REASONS.replace("amount: event.net / 1000 }", "amount: event.net / 10 }")).unwrap();
    let id = outcome["event_id"].as_str().unwrap();
    let again = explained(&app.get(&format!("events/{id}?explain=true")).ok());
    let first = explained(&outcome);
    for told in &first {
        let campaign = told["campaign"].as_str().unwrap();
        if campaign == "not_enough_to_spend" {
            // What could be spent is not part of the basis.
            continue;
        }
        assert_eq!(rule(&again, campaign), told, "{campaign}");
    }
    let plain = app.get(&format!("events/{id}")).ok();
    assert!(plain.get("explanation").is_none());
}

#[test]
fn a_level_s_rate_is_part_of_the_reason() {
    let app = TestApp::new(REASONS);
    app.post("events", &event("purchase", "o-0", "card:1", &data::sale("o-0", 60_000))).ok();
    let rules = explained(&buy(&app, "o-1"));
    let base = rule(&rules, "awarded");
    assert_eq!((&base["amount"], &base["rate"]), (&json!(30), &json!("1.5")));
    assert!(base["words"].as_str().unwrap().contains("at the level's rate of 1.5"));
}

#[test]
fn facts_the_rules_read_are_shown() {
    let app = TestApp::new(REASONS);
    let rules = explained(&buy(&app, "o-1"));
    let facts = &rule(&rules, "not_in_audience")["facts"];
    assert!(facts.to_string().contains("blue"), "{facts}");
}

#[test]
fn a_declared_event_is_explained_too() {
    let app = crate::common::app();
    let review = event("review", "r-1", "card:1", r#"{"order_id": "o-1", "stars": 5}"#);
    let rules = explained(&call(&app, "POST", "events?explain=true").json(&review).ok());
    assert_eq!(rule(&rules, "thanks")["applied"], true);
}

const STORY: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: { after: P12M } } }
events: { visit: {} }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 5 } } ] }
";

/// Sends an event with and without the point of time when it is explained, and says what both say.
fn told(app: &TestApp, kind: &str, id: &str, data: &str) -> Vec<String> {
    let outcome = call(app, "POST", "events?explain=true").json(&event(kind, id, "card:1", data)).ok();
    let event_id = outcome["event_id"].as_str().unwrap();
    app.post("events", &event("visit", &format!("after-{id}"), "card:1", "{}")).ok();
    let again = explained(&app.get(&format!("events/{event_id}?explain=true")).ok());
    let mut first = explained(&outcome);
    // What joining brought is another event.
    first.retain(|told| told["campaign"] != "welcome");
    let key = |told: &Value| told["words"].as_str().unwrap().to_owned();
    let (mut first, mut again): (Vec<_>, Vec<_>) = (first.iter().map(key).collect(), again.iter().map(key).collect());
    first.sort();
    again.sort();
    if outcome["status"] != "parked" {
        assert_eq!(first, again, "{kind} {id}");
    }
    again
}

#[test]
fn every_stored_event_is_explained_as_it_was_when_it_was_decided() {
    let app = TestApp::new(STORY);
    let two = data::lines("o-1", &[("A", "coffee", 2, 40_000)]);
    assert_eq!(told(&app, "purchase", "p-1", &two), ["40 point from `event.net / 1000`"]);
    let first = told(&app, "return", "r-1", &data::back("o-1", &[("A", 1)]));
    assert!(first[0].starts_with("20 point go back: 20 of its own until "), "{first:?}");
    assert_eq!(first[1], "40 point for the order; this takes off 20: 20 are left");
    let amended = data::lines("o-1", &[("A", "coffee", 2, 60_000)]);
    let raised = told(&app, "amend", "a-1", &amended);
    assert_eq!(raised[1], "40 point for the order, less 20 for earlier returns; this adds 10: 30 now");
    let swapped = told(&app, "exchange", "x-1", &data::exchange("o-1", &[("A", 1)], &data::sale("o-2", 9_000)));
    assert_eq!(swapped.len(), 3, "{swapped:?}");
    assert!(swapped.contains(&"9 point from `event.net / 1000`".to_owned()), "{swapped:?}");
    assert!(
        swapped
            .contains(&"60 point for the order, less 30 for earlier returns; this takes off 30: 0 are left".to_owned()),
        "{swapped:?}"
    );
    let unlinked = told(&app, "return", "r-2", &data::back_without_order(&[("A", 1, 9_000)]));
    assert_eq!(unlinked.len(), 2, "{unlinked:?}");
    assert_eq!(told(&app, "return", "r-3", &data::back_all("o-9")), ["it waits for the order o-9"]);
}

#[test]
fn a_return_is_explained_as_data_too() {
    let app = TestApp::new(STORY);
    app.post("events", &event("purchase", "p-1", "card:1", &data::lines("o-1", &[("A", "coffee", 2, 40_000)]))).ok();
    let back = app.post("events", &event("return", "r-1", "card:1", &data::back("o-1", &[("A", 1)]))).ok();
    let rules = explained(&app.get(&format!("events/{}?explain=true", back["event_id"].as_str().unwrap())).ok());
    let base = rule(&rules, "base");
    assert_eq!(
        (&base["reason"], &base["earned"], &base["before"], &base["left"]),
        (&json!("revalued"), &json!(40), &json!(40), &json!(20))
    );
    let taken = rules.iter().find(|rule| rule["reason"] == "taken_back").unwrap();
    assert_eq!((&taken["currency"], &taken["amount"]), (&json!("point"), &json!(20)));
    assert_eq!((&taken["from"][0]["of"], &taken["from"][0]["amount"]), (&json!("own"), &json!(20)));
    assert!(taken.get("campaign").is_none());
}
