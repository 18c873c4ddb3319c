//! Pages: `?limit=&after=`, without gaps and without repeats.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::app::TestApp;

use crate::common::{app, items, once, sale};

/// Forty members, one of them with a long story.
fn busy() -> TestApp {
    let app = app();
    let mut sales: Vec<Value> =
        (0..39).map(|number| sale(&format!("m-{number}"), &format!("card:{number}"), 1_000)).collect();
    sales.extend((0..60).map(|number| sale(&format!("r-{number}"), "card:busy", 1_000)));
    app.send_together(&sales);
    app
}

/// A list is the same whatever a page holds, and the last page says that it is.
pub fn comes_in_pages(app: &TestApp, path: &str, count: usize) {
    let whole = pages(app, path, 200).concat();
    assert_eq!(whole.len(), count, "{whole:?}");
    for limit in [1, 2, count - 1, count, count + 1] {
        let pages = pages(app, path, limit);
        assert!(pages.iter().all(|page| page.len() <= limit), "at most {limit} on a page");
        assert_eq!((pages.concat(), pages.len()), (whole.clone(), count.div_ceil(limit)), "{path}, limit {limit}");
    }
}

pub fn pages(app: &TestApp, path: &str, limit: usize) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut after = String::new();
    let more = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = app.get(&format!("{path}{more}limit={limit}{after}")).ok();
        pages.push(items(&page).clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return pages,
        }
        assert!(pages.len() < 200, "the pages never end");
    }
}

#[rstest]
#[case::members("members", "id", 40)]
#[case::entries("members/card:busy/entries", "seq", 61)]
#[case::events("members/card:busy/events", "id", 61)]
fn pages_have_no_gaps_and_no_repeats(#[case] path: &str, #[case] key: &str, #[case] count: usize) {
    let app = busy();
    let whole = items(&app.get(&format!("{path}?limit=200")).ok()).clone();
    assert_eq!(whole.len(), count);
    for limit in [1, 7, 20, count - 1, count, count + 1] {
        let pages = pages(&app, path, limit);
        assert!(pages.iter().all(|page| page.len() <= limit), "at most {limit} on a page");
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit), "only the last page is short");
        let keys = |items: &[Value]| items.iter().map(|item| item[key].clone()).collect::<Vec<_>>();
        assert_eq!(keys(&pages.concat()), keys(&whole), "limit {limit}");
        assert_eq!(pages.len(), count.div_ceil(limit), "no empty page at the end");
    }
}

#[test]
fn what_comes_meanwhile_moves_nothing_of_a_story() {
    let app = busy();
    let first = app.get("members/card:busy/events?limit=10").ok();
    app.post("events", &sale("late", "card:busy", 1_000)).ok();
    let next = first["next"].as_str().unwrap();
    let second = app.get(&format!("members/card:busy/events?limit=10&after={next}")).ok();
    let number = |event: &Value| event["id"].as_str().unwrap().rsplit('_').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(number(&items(&second)[0]) + 1, number(items(&first).last().unwrap()));
}

#[rstest]
#[case::zero("limit=0")]
#[case::too_many("limit=201")]
#[case::negative("limit=-1")]
#[case::a_word("limit=ten")]
#[case::nothing("limit=")]
#[case::a_place_nobody_gave("after=nowhere")]
fn a_page_that_cannot_be_is_refused(
    #[case] query: &str,
    #[values("members", "members/card:busy/entries", "members/card:busy/events")] path: &str,
) {
    let app = app();
    app.post("events", &sale("r-1", "card:busy", 1_000)).ok();
    app.get(&format!("{path}?{query}")).problem(400, "invalid-request");
}

#[test]
fn a_page_holds_fifty_unless_asked() {
    let app = busy();
    assert_eq!(items(&app.get("members/card:busy/entries").ok()).len(), 50);
}

const MANY: &str = "
currencies: { point: { name: Point, expires: never } }
partners: { giftly: {} }
causes: { c1: {}, c2: {}, c3: {}, c4: {}, c5: {} }
benefits: { b1: { name: B }, b2: { name: B }, b3: { name: B } }
code_pools: { p1: {}, p2: {}, p3: {}, p4: {} }
rewards:
  e-gift: { costs: { point: 5 }, gives: { e_gift: { partner: giftly, product: TEA, shops: [ { name: A }, { name: A }, { name: B } ] } } }
";

#[rstest]
#[case::causes("causes", 5)]
#[case::benefits("benefits", 3)]
#[case::code_pools("code-pools", 4)]
#[case::shops("rewards/e-gift/shops", 3)]
#[case::versions("versions", 3)]
fn what_a_document_lists_comes_a_page_at_a_time_too(#[case] path: &str, #[case] count: usize) {
    let app = TestApp::new(MANY);
    for number in 0..2 {
        let more = MANY.replace("{ name: Point,", &format!("{{ name: P{number},"));
        app.publish(&more).unwrap();
    }
    let whole = items(&app.get(path).ok()).clone();
    assert_eq!(whole.len(), count);
    for limit in [1, 2, count, count + 1] {
        let pages = pages(&app, path, limit);
        assert!(pages.iter().all(|page| page.len() <= limit));
        assert_eq!((pages.concat(), pages.len()), (whole.clone(), count.div_ceil(limit)), "limit {limit}");
    }
    app.get(&format!("{path}?after=elsewhere")).problem(400, "invalid-request");
    app.get(&format!("{path}?limit=0")).problem(400, "invalid-request");
}

const OF_ONE: &str = "
unknown_member: enrol
currencies: { a: { name: A, expires: never }, b: { name: B, expires: never }, c: { name: C, expires: { after: P1Y } } }
benefits: { b1: { name: B }, b2: { name: B }, b3: { name: B } }
tiers:
  one: { measure: spend, levels: [ { id: all, at: 0, benefits: [b1, b2] } ] }
  two: { measure: spend, levels: [ { id: all, at: 0, benefits: [b3] } ] }
membership: { plans: { day: { name: D, fee: 1, period: P1D }, month: { name: M, fee: 2, period: P1M }, year: { name: Y, fee: 3, period: P1Y } } }
campaigns:
  all: { trigger: purchase, rules: [ { award: { currency: a, amount: 1 } }, { award: { currency: b, amount: 2 } }, { award: { currency: c, amount: 3 } } ] }
";

#[rstest]
#[case::lots("lots", 3)]
#[case::tiers("tiers", 2)]
#[case::identifiers("identifiers", 2)]
#[case::entitlements("entitlements", 3)]
#[case::memberships("memberships", 3)]
fn what_one_member_has_comes_a_page_at_a_time_too(#[case] path: &str, #[case] count: usize) {
    let app = TestApp::new(OF_ONE);
    once(&app, "POST", "members", "m-1").json(&json!({ "identifiers": ["card:1", "card:2"] })).ok();
    app.post("events", &sale("r-1", "card:1", 10_000)).ok();
    for plan in ["year", "day", "month"] {
        let joined = once(&app, "POST", "members/card:1/memberships", plan);
        joined.json(&json!({ "plan": plan })).ok();
    }
    let path = format!("members/card:1/{path}");
    let whole = items(&app.get(&path).ok()).clone();
    assert_eq!(whole.len(), count, "{whole:?}");
    for limit in [1, 2, count, count + 1] {
        let pages = pages(&app, &path, limit);
        assert!(pages.iter().all(|page| page.len() <= limit));
        assert_eq!((pages.concat(), pages.len()), (whole.clone(), count.div_ceil(limit)), "limit {limit}");
    }
    app.get(&format!("{path}?after=elsewhere")).problem(400, "invalid-request");
}
