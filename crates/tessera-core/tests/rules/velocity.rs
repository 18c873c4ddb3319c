//! Velocity rules (P6): counted for whoever did it, and what is more passes with a case, waits, or is refused.

use tessera_core::decide::{CaseHit, Rejected, fold};
use tessera_core::event::{Adjustment, Origin, What};
use tessera_core::member::MemberState;
use tessera_core::program::{Severity, Stretch, VelocityAction, read_document};
use tessera_testkit::shop::{Shop, at, document, id, json::*, spend};

const POINTS: &str = "
currencies: { point: { name: Point, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  double: { trigger: purchase, rules: [ { extra: { currency: point, times: 2 } } ] }
";

fn shop(rules: &str) -> Shop {
    let mut shop = Shop::new(&format!("{POINTS}velocity:\n{rules}\n"));
    shop.origin = from_key("key_1");
    shop
}

fn from_key(key: &str) -> Origin {
    Origin { key: Some(key.into()), ..Origin::default() }
}

fn rung_by(staff: &str, order: &str, total: i64) -> String {
    let mut data: serde_json::Value = serde_json::from_str(&sale(order, total)).unwrap();
    data["staff"] = staff.into();
    data.to_string()
}

fn hit(rejected: &Rejected) -> CaseHit {
    rejected.case_hit().cloned().unwrap_or_else(|| panic!("no case: {rejected}"))
}

#[test]
fn p6_what_a_member_does_too_often_is_refused_until_the_window_ends() {
    let mut shop = shop("  spending: { what: redemption, per: member, window: PT1H, count: 2, action: refuse }");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    for time in ["2026-03-02T10:10", "2026-03-02T10:20"] {
        let decision = shop.redeem(time, spend("point", 5)).unwrap();
        assert_eq!(decision.cases, []);
    }
    let rejected = shop.redeem("2026-03-02T10:59", spend("point", 5)).unwrap_err();
    let found = hit(&rejected);
    assert_eq!((found.used, found.most, found.until), (3, 2, at("2026-03-02T11:00")));
    assert_eq!(
        rejected.to_string(),
        "redemptions by this member would come to 3 until 2026-03-02T04:00:00Z, and the rule spending lets 2 pass: no more of them"
    );
    assert_eq!(found.subject, shop.member().id.to_string());
    shop.redeem("2026-03-02T11:00", spend("point", 5)).unwrap();
    assert_eq!(shop.state().velocity.len(), 1, "what is over is forgotten");
}

#[test]
fn p6_a_flag_lets_it_pass_and_tells_how_much_it_was() {
    let mut shop = shop("  much: { what: redemption, per: member, window: P1D, points: { point: 30 } }");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    assert_eq!(shop.redeem("2026-03-02T10:00", spend("point", 30)).unwrap().cases, []);
    let decision = shop.redeem("2026-03-02T10:01", spend("point", 12)).unwrap();
    let [found] = decision.cases.as_slice() else { panic!("{:?}", decision.cases) };
    assert_eq!((found.used, found.most, found.by, found.action), (42, 30, 12, VelocityAction::Flag));
    assert_eq!((found.from, found.until), (at("2026-03-02T00:00"), at("2026-03-03T00:00")));
}

#[test]
fn p6_staff_are_counted_over_all_members_and_each_pair_by_itself() {
    let rules = "  staff: { what: purchase, per: staff, window: P1D, count: 3, action: refuse }
  pair: { what: purchase, per: [staff, member], window: P7D, count: 2 }";
    let mut shop = shop(rules);
    let mut cases = Vec::new();
    for (member, order) in [(0, "o1"), (1, "o2"), (0, "o3")] {
        shop.of_member(member);
        cases.extend(shop.send("2026-03-02T09:00", "purchase", &rung_by("S-1", order, 10_000)).cases);
    }
    assert_eq!(cases, []);
    shop.of_member(1);
    let rejected = shop.refused("2026-03-02T09:00", "purchase", &rung_by("S-1", "o4", 10_000));
    assert_eq!((hit(&rejected).subject.as_str(), hit(&rejected).used), ("S-1", 4));
    shop.send("2026-03-02T09:00", "purchase", &rung_by("S-2", "o5", 10_000));
    shop.send("2026-03-02T09:00", "purchase", &sale("o6", 10_000));
    shop.of_member(0);
    let decision = shop.send("2026-03-03T09:00", "purchase", &rung_by("S-1", "o7", 10_000));
    let subjects: Vec<&str> = decision.cases.iter().map(|found| found.subject.as_str()).collect();
    assert_eq!(subjects, [format!("S-1 + {}", shop.member().id)], "three for this member in a week");
}

#[test]
fn p6_pairs_that_the_members_state_has_no_room_for_are_counted_all_the_same() {
    let most = tessera_core::member::MemberState::VELOCITY_MAX;
    let mut shop = shop("  pair: { what: purchase, per: [staff, member], window: P7D, count: 1, action: refuse }");
    for staff in 0..most + 3 {
        let order = rung_by(&format!("S-{staff}"), &format!("o{staff}"), 10_000);
        shop.send("2026-03-02T09:00", "purchase", &order);
    }
    assert_eq!(shop.state().velocity.len(), most);
    for staff in [0, most - 1, most, most + 2] {
        let again = rung_by(&format!("S-{staff}"), &format!("again{staff}"), 10_000);
        let rejected = shop.refused("2026-03-02T10:00", "purchase", &again);
        assert_eq!(hit(&rejected).used, 2, "S-{staff}");
    }
    shop.send("2026-03-09T09:00", "purchase", &rung_by("S-0", "next", 10_000));
    assert_eq!(shop.state().velocity.len(), 1, "windows that are over are forgotten");
}

#[test]
fn p6_what_is_returned_gives_no_room_back() {
    let mut shop = shop("  purchases: { what: purchase, per: member, window: P1D, count: 2, action: refuse }");
    for order in ["o1", "o2"] {
        shop.send("2026-03-02T09:00", "purchase", &sale(order, 10_000));
        shop.send("2026-03-02T09:00", "return", &back_all(order));
    }
    let rejected = shop.refused("2026-03-02T10:00", "purchase", &sale("o3", 10_000));
    assert_eq!(rejected.code(), "too-often");
}

#[test]
fn p6_what_comes_late_is_counted_on_its_own_day() {
    let mut shop = shop("  purchases: { what: purchase, per: member, window: P1D, count: 2, action: refuse }");
    for (time, order) in [("2026-03-02T09:00", "o1"), ("2026-03-05T09:00", "o2"), ("2026-03-02T10:00", "o3")] {
        shop.send(time, "purchase", &sale(order, 10_000));
    }
    let rejected = shop.refused("2026-03-02T11:00", "purchase", &sale("o4", 10_000));
    assert_eq!(hit(&rejected).used, 3);
    shop.send("2026-03-05T10:00", "purchase", &sale("o5", 10_000));
    assert_eq!(shop.state().velocity.len(), 1);
    let member = shop.member();
    let folded: MemberState = fold(member.id, &member.events, None).unwrap();
    assert_eq!(folded.velocity, shop.state().velocity);
}

#[test]
fn a_condition_and_money_choose_what_is_counted() {
    let rules = "  large: { what: purchase, per: key, window: P1D, count: 1, when: event.total >= 500000 }
  cash: { what: purchase, per: location, window: P1D, money: 600000 }";
    let mut shop = shop(rules);
    shop.origin.location = Some("district-1".into());
    assert_eq!(shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000)).cases, []);
    assert_eq!(shop.send("2026-03-02T09:00", "purchase", &sale("o2", 500_000)).cases, []);
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o3", 500_000));
    let found: Vec<(&str, &str, i64)> =
        decision.cases.iter().map(|found| (found.rule.as_str(), found.subject.as_str(), found.used)).collect();
    assert_eq!(found, [("cash", "district-1", 1_100_000), ("large", "key_1", 2)]);
}

fn rules_of(decision: &tessera_core::decide::Decision) -> Vec<(String, i64)> {
    decision.cases.iter().map(|found| (found.rule.to_string(), found.used)).collect()
}

#[test]
fn p6_all_that_can_be_watched_is_counted() {
    let more = "gift_cards: {}
transfers: { point: {} }
vouchers: { cap: { gives: { points: { point: 5 } }, uses: { per_code: 9 } } }
";
    let rules = "  buys: { what: purchase, per: device, window: P1D, count: 1 }
  backs: { what: return, per: member, window: P1D, count: 1 }
  sends: { what: transfer, per: member, window: P1D, points: { point: 10 } }
  codes: { what: voucher, per: member, window: P1D, count: 1 }
  cards: { what: gift_card, per: key, window: P1D, money: 500000 }";
    let mut shop = Shop::new(&format!("{more}{POINTS}velocity:\n{rules}\n"));
    shop.origin = Origin { device: Some("d1".into()), ..from_key("key_1") };
    let (time, now) = ("2026-03-02T09:00", at("2026-03-02T09:00"));
    shop.of_member(1).send(time, "enrol", "{}");
    shop.of_member(0);
    assert_eq!(rules_of(&shop.send(time, "purchase", &lines("o1", &[("A", "x", 2, 100_000)]))), []);
    let exchanged = shop.send(time, "exchange", &exchange("o1", &[("A", 1)], &sale("o2", 90_000)));
    assert_eq!(rules_of(&exchanged), [("buys".to_owned(), 2)], "what is bought in an exchange is bought");
    shop.origin.device = None;
    assert_eq!(rules_of(&shop.send(time, "return", &back("o1", &[("A", 1)]))), []);
    assert_eq!(rules_of(&shop.send(time, "return", &back_all("o2"))), [("backs".to_owned(), 2)]);
    shop.send(time, "purchase", &sale("o3", 90_000));
    assert_eq!(rules_of(&shop.transfer(time, 1, "point", 6).unwrap()), []);
    assert_eq!(rules_of(&shop.transfer(time, 1, "point", 6).unwrap()), [("sends".to_owned(), 12)]);
    shop.issue("CAP-1", "cap");
    let code = tessera_core::voucher::normalise("CAP-1").unwrap();
    for expected in [vec![], vec![("codes".to_owned(), 2)]] {
        let used = tessera_core::event::RedeemVoucher { code: code.clone(), order_id: None, order: None };
        assert_eq!(rules_of(&shop.ask(now, What::RedeemVoucher(used)).unwrap()), expected);
    }
    for (card, amount, expected) in [(2, 300_000, vec![]), (3, 250_000, vec![("cards".to_owned(), 550_000)])] {
        let made = tessera_core::event::GiftCardStep::Issue { code: [card; 16], amount };
        let made = shop.of_member(card.into()).ask(now, What::GiftCard(made)).unwrap();
        assert_eq!(rules_of(&made), expected);
    }
}

#[test]
fn p6_the_place_of_an_order_goes_before_that_of_its_key() {
    let mut shop = shop("  there: { what: purchase, per: location, window: P1D, count: 1 }");
    shop.origin.location = Some("office".into());
    let at_place = |order: &str, place: &str| {
        sale_with(order, &[("A", "goods", 1, 1_000)], &format!(", \"location\": \"{place}\""))
    };
    for (order, place, more) in [("o1", "north", false), ("o2", "south", false), ("o3", "north", true)] {
        let bought = shop.send("2026-03-02T09:00", "purchase", &at_place(order, place));
        assert_eq!(
            bought.cases.iter().map(|found| found.subject.as_str()).collect::<Vec<_>>(),
            vec!["north"; more.into()]
        );
    }
}

#[test]
fn p6_a_condition_reads_the_member_as_they_were_before() {
    let rules = "  first: { what: purchase, per: key, window: P1D, count: 1, when: member.purchases < 1 }
  net: { what: purchase, per: key, window: P1D, count: 1, when: event.net >= 500000 }";
    let mut shop = shop(rules);
    let mut found = Vec::new();
    for (member, order, total) in [(0, "o1", 10_000), (0, "o2", 500_000), (1, "o3", 500_000)] {
        let bought = shop.of_member(member).send("2026-03-02T09:00", "purchase", &sale(order, total));
        found.extend(rules_of(&bought));
    }
    assert_eq!(found, [("first".to_owned(), 2), ("net".to_owned(), 2)]);
}

#[test]
fn p6_guests_and_what_moves_nothing_leave_no_trace() {
    let rule = "  buys: { what: purchase, per: member, window: P1D, count: 1, points: { point: 5 }, action: refuse }";
    let mut guests = shop(rule).guest();
    for order in ["o1", "o2"] {
        guests.send("2026-03-02T09:00", "purchase", &sale(order, 1_000));
    }
    let mut shop = shop("  points: { what: purchase, per: member, window: P1D, points: { point: 5 } }");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100));
    assert!(shop.state().velocity.is_empty(), "a hundred dong earn nothing");
}

#[test]
fn p6_what_a_command_and_a_look_up_need_of_the_pools_is_named() {
    let rules = "  staff: { what: redemption, per: staff, window: P1D, count: 3 }
  alone: { what: redemption, per: member, window: P1D, count: 3 }
  held: { what: redemption, per: member, window: P1D, count: 3, action: hold }
  finds: { what: lookup, per: key, window: PT1H, count: 3, action: refuse }
  seen: { what: lookup, per: key, window: PT1H, count: 5 }";
    let mut shop = shop(rules);
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let origin = Origin { staff: Some("S-1".into()), ..from_key("key_1") };
    let now = at("2026-03-02T10:00");
    let what = What::Redeem(spend("point", 1));
    let command = tessera_core::event::Command { effective_at: now, recorded_at: now, what };
    let pools = |origin: &Origin| {
        let member = Some(shop.member().id);
        let named = tessera_core::decide::velocity_pools(&shop.versions, &command, origin, member);
        named.iter().map(|pool| pool.split('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // That of the staff, and what a second person let pass; members are counted in their own state.
    let mut found = pools(&origin);
    found.sort_unstable();
    assert_eq!(found, ["pool:velocity", "pool:velocity-more"]);
    assert_eq!(pools(&from_key("key_1")), ["pool:velocity-more"], "nobody said who it was");
    assert!(pools(&Origin::default()).is_empty());
    let counted = || tessera_core::decide::look_up(&shop.versions, &origin, now).unwrap();
    assert_eq!(counted().pools.iter().map(|pool| pool.most).collect::<Vec<_>>(), [3, i64::MAX]);
    let hits = |used: i64| counted().hits(|_| used).iter().map(|hit| hit.used).collect::<Vec<_>>();
    assert_eq!([2, 3, 5].map(hits), [vec![], vec![4], vec![6, 6]]);
}

#[test]
fn p6_where_the_document_does_not_say_so_nobody_looks_at_own_purchases() {
    let mut shop = Shop::new(&format!("{POINTS}staff: {{ own_purchases: none }}\n"));
    shop.origin = Origin { own_staff: Some("S-1".into()), ..from_key("key_1") };
    let bought = shop.send("2026-03-02T09:00", "purchase", &rung_by("S-1", "o1", 10_000));
    assert_eq!((bought.cases.len(), shop.available("point")), (0, 0));
}

#[test]
fn what_comes_without_a_key_is_not_counted() {
    let mut shop = shop("  purchases: { what: purchase, per: member, window: P1D, count: 1, action: refuse }");
    shop.origin = Origin::default();
    for order in ["o1", "o2", "o3"] {
        shop.send("2026-03-02T09:00", "purchase", &sale(order, 10_000));
    }
    assert!(shop.state().velocity.is_empty() && shop.pools.is_empty());
}

#[test]
fn adjustments_count_what_they_move_either_way() {
    let rules = "  hands: { what: adjustment, per: [key, staff], window: P1D, points: { point: 100 }, action: refuse }";
    let mut shop = shop(rules);
    shop.origin.staff = Some("S-9".into());
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    let adjust = |shop: &mut Shop, amount| {
        let adjustment = Adjustment::new(id("point"), amount, "goodwill");
        shop.ask(at("2026-03-02T10:00"), What::Adjust(adjustment))
    };
    adjust(&mut shop, 60).unwrap();
    let rejected = adjust(&mut shop, -41).unwrap_err();
    assert_eq!((hit(&rejected).used, hit(&rejected).subject.as_str()), (101, "key_1 + S-9"));
    adjust(&mut shop, -40).unwrap();
}

#[test]
fn p6_a_second_person_lets_one_more_pass() {
    let mut shop = shop("  spending: { what: redemption, per: member, window: P1D, count: 1, action: hold }");
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 100_000));
    shop.redeem("2026-03-02T10:00", spend("point", 5)).unwrap();
    let rejected = shop.redeem("2026-03-02T10:01", spend("point", 5)).unwrap_err();
    assert_eq!(rejected.code(), "second-person-needed");
    shop.pools.insert(hit(&rejected).more, 1);
    assert_eq!(shop.redeem("2026-03-02T10:02", spend("point", 5)).unwrap().cases, []);
    assert_eq!(shop.redeem("2026-03-02T10:03", spend("point", 5)).unwrap_err().code(), "second-person-needed");
}

#[rstest::rstest]
#[case::all("earn", 30)]
#[case::base("base", 10)]
#[case::nothing("none", 0)]
fn p6_what_staff_earn_by_their_own_purchases(#[case] earns: &str, #[case] points: i64) {
    let mut shop = Shop::new(&format!(
        "{}staff: {{ own_purchases: {earns}, flag: true }}\n",
        POINTS.replace("times: 2", "times: 3")
    ));
    shop.origin = Origin { own_staff: Some("S-1".into()), ..from_key("key_1") };
    let decision = shop.send("2026-03-02T09:00", "purchase", &rung_by("S-1", "o1", 10_000));
    assert_eq!(shop.available("point"), points);
    assert_eq!(decision.cases.iter().map(|found| found.rule.as_str()).collect::<Vec<_>>(), ["own-purchases"]);
    // What is left of it after a return earns by the same measure (R1).
    shop.send("2026-03-02T10:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 0);
    let decision = shop.send("2026-03-02T11:00", "purchase", &rung_by("S-2", "o2", 10_000));
    assert_eq!((shop.available("point"), decision.cases.len()), (30, 0), "somebody else rang it up");
}

#[rstest::rstest]
#[case("PT15M", "2026-03-02T10:45", "2026-03-02T11:00")]
#[case("PT6H", "2026-03-02T06:00", "2026-03-02T12:00")]
#[case("P1D", "2026-03-02T00:00", "2026-03-03T00:00")]
#[case("P7D", "2026-03-02T00:00", "2026-03-09T00:00")]
#[case("P1M", "2026-03-01T00:00", "2026-04-01T00:00")]
fn windows_follow_each_other(#[case] window: &str, #[case] from: &str, #[case] until: &str) {
    let shop = Shop::new(POINTS);
    let window: Stretch = window.parse().unwrap();
    let calendar = &shop.versions.head().calendar;
    assert_eq!(window.around(calendar, at("2026-03-02T10:59")), (at(from), at(until)));
}

#[test]
fn a_rule_that_counts_nothing_or_cannot_is_refused_by_its_line() {
    let rules = "velocity:
  empty: { what: claim, per: member, window: P1D }
  odd: { what: claim, per: member, window: PT7H, count: 3 }";
    let problems = |rules: &str| -> Vec<(Severity, String)> {
        let findings = match read_document(&document(&format!("{POINTS}{rules}\n"))) {
            Ok(document) => document.findings,
            Err(problems) => problems,
        };
        findings.into_iter().map(|problem| (problem.severity, problem.to_string())).collect()
    };
    let found = problems(rules);
    assert!(found.iter().any(|(_, text)| text.contains("minutes or hours that divide a day")), "{found:?}");
    for (rule, said) in [
        ("{ what: claim, per: member, window: P1D }", "nothing is counted"),
        ("{ what: purchase, per: staff, window: P1D, count: 9, action: hold }", "nobody waits for a second person"),
        ("{ what: lookup, per: member, window: P1D, count: 9 }", "who looks members up is counted"),
        ("{ what: return, per: staff, window: P1D, points: { point: 9 } }", "returns move no points"),
        ("{ what: redemption, per: staff, window: P1D, money: 9 }", "no money is known of redemptions"),
        ("{ what: redemption, per: staff, window: P1D, points: { bean: 9 } }", "there is no currency `bean`"),
        ("{ what: redemption, per: [staff, staff], window: P1D, count: 9 }", "at most once"),
        ("{ what: redemption, per: till, window: P1D, count: 9 }", "not `till`"),
        ("{ what: redemption, per: staff, window: P1D, count: 0 }", "lets nothing pass"),
        ("{ what: redemption, per: staff, window: P1D, count: 9, when: event.total > 3 }", "total"),
    ] {
        let found = problems(&format!("velocity:\n  rule: {rule}"));
        assert!(
            found.iter().any(|(severity, text)| *severity == Severity::Error && text.contains(said)),
            "{rule}: {found:?}"
        );
    }
    for (rule, said) in [
        ("{ what: redemption, per: member, window: P1D, count: 1, action: refuse }", "on an ordinary day is stopped"),
        ("{ what: claim, per: member, window: P1D, count: 3 }", "nobody claims anything"),
        ("{ what: purchase, per: location, window: P1D, count: 900, action: refuse }", "closes the whole shop"),
    ] {
        let found = problems(&format!("velocity:\n  rule: {rule}"));
        assert!(
            found.iter().any(|(severity, text)| *severity == Severity::Warning && text.contains(said)),
            "{rule}: {found:?}"
        );
    }
    let fine = "{ what: purchase, per: staff, window: P1D, count: 200 }";
    assert_eq!(problems(&format!("velocity:\n  rule: {fine}")), []);
}
