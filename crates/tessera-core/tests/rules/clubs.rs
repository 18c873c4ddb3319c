//! S1: a paid membership ends exactly at the end of its period, has a grace where a renewal fails, and is paid back in
//! proportion, less what was used.

use rstest::rstest;
use tessera_core::decide::{Decision, EffectKind, SourceKind, clubs, entitlements, quote_refund};
use tessera_core::event::{Situation, UseBenefit, What};
use tessera_core::member::ClubStatus;
use tessera_core::program::read_document;
use tessera_core::quantity::Amount;
use tessera_testkit::shop::{Shop, at, count_of, document, id, json::*};

/// A club of 365,000 a year with two free deliveries a month, twice the points, a grace and a trial; who comes and goes
/// gets a star.
fn shop(settings: &str) -> Shop {
    Shop::new(&format!(
        "
currencies: {{ point: {{ name: Point, expires: never }}, star: {{ name: Star, expires: never }} }}
benefits: {{ delivery: {{ name: Delivery, per: {{ month: 2 }}, worth: 15000 }} }}
membership: {{ plans: {{ plus: {{ name: Plus, fee: 365000, period: P1Y, benefits: [delivery], rate: {{ point: 2 }}{settings} }} }} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}
  for-club: {{ trigger: purchase, earning: bonus, audience: member.club.plus and member.club_days_left.plus > 300, rules: [ {{ award: {{ currency: star, amount: 5 }} }} ] }}
  hello: {{ trigger: club-joined, rules: [ {{ when: event.plan == \"plus\", award: {{ currency: star, amount: 1 }} }} ] }}
  farewell: {{ trigger: club-ended, rules: [ {{ award: {{ currency: star, amount: 100 }} }} ] }}
"
    ))
}

const GRACE: &str = ", grace: P14D, trial: P30D";
const PLUS: &str = r#"{"plan": "plus"}"#;

fn joined(settings: &str) -> Shop {
    let mut shop = shop(settings);
    shop.send("2026-03-01T09:00", "enrol", "{}");
    shop.send("2026-03-02T15:00", "membership-fee", PLUS);
    shop
}

fn status(shop: &Shop, time: &str) -> ClubStatus {
    let all = clubs(shop.versions.at(at(time)), &shop.seen_at(time), at(time));
    all[0].status
}

fn has_delivery(shop: &Shop, time: &str) -> bool {
    !entitlements(shop.versions.at(at(time)), &shop.seen_at(time), &Situation::default(), at(time)).is_empty()
}

fn deliver(shop: &mut Shop, time: &str) -> Decision {
    let wish = UseBenefit { benefit: id("delivery"), order_id: None, situation: Situation::default() };
    shop.ask(at(time), What::UseBenefit(wish)).unwrap()
}

#[test]
fn s1_a_fee_joins_and_what_it_gives_begins_at_once() {
    let shop = joined("");
    assert_eq!(status(&shop, "2026-03-02T15:00"), ClubStatus::Paid);
    let now = at("2026-03-03T09:00");
    let all = entitlements(shop.versions.at(now), &shop.state(), &Situation::default(), now);
    let source = &all[0].from[0];
    assert_eq!((source.by, source.plan.as_ref().unwrap().as_str()), (SourceKind::Club, "plus"));
    assert_eq!(source.until, Some(at("2027-03-02T00:00")));
    assert_eq!(shop.available("star"), 1, "club-joined");
}

#[test]
fn s1_it_ends_exactly_at_the_end_of_its_period_with_no_job() {
    let mut shop = joined("");
    assert!(has_delivery(&shop, "2027-03-01T23:59") && !has_delivery(&shop, "2027-03-02T00:00"));
    assert_eq!(status(&shop, "2027-03-02T00:00"), ClubStatus::Ended);
    let late = shop.wake("2027-05-01T00:00");
    assert_eq!((late.events[0].kind.as_str(), late.events[0].effective_at), ("membership-end", at("2027-03-02T00:00")));
    assert_eq!(shop.available("star"), 101, "club-ended");
}

#[test]
fn s1_members_earn_at_the_rate_of_their_club_and_campaigns_know_them() {
    let mut shop = joined("");
    shop.send("2026-03-03T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!((shop.available("point"), shop.available("star")), (20, 6));
    shop.send("2027-02-01T09:00", "purchase", &sale("o2", 10_000));
    assert_eq!((shop.available("point"), shop.available("star")), (40, 6), "30 days are left");
    shop.send("2027-03-02T00:00", "purchase", &sale("o3", 10_000));
    assert_eq!(shop.available("point"), 50);
    shop.send("2027-03-03T00:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 30, "by the rate of the purchase");
}

#[test]
fn s1_a_failed_renewal_has_its_grace() {
    let mut shop = joined(GRACE);
    shop.send("2027-03-01T09:00", "membership-payment-failed", PLUS);
    assert_eq!(status(&shop, "2027-03-02T00:00"), ClubStatus::Grace);
    assert!(has_delivery(&shop, "2027-03-15T23:59") && !has_delivery(&shop, "2027-03-16T00:00"));
    shop.send("2027-03-10T09:00", "membership-fee", PLUS);
    let view = clubs(shop.versions.head(), &shop.state(), at("2027-03-10T09:00"));
    assert_eq!((view[0].from.to_string(), view[0].last_day.to_string()), ("2027-03-02".into(), "2028-03-01".into()));
    assert_eq!(shop.available("star"), 1, "nobody left, nobody joined");
}

#[test]
fn s1_a_fee_that_becomes_known_after_the_grace_counts_from_when_it_was_paid() {
    let mut shop = joined(GRACE);
    shop.wake("2027-03-17T00:00");
    assert_eq!(status(&shop, "2027-03-17T00:00"), ClubStatus::Ended);
    shop.send("2027-03-10T09:00", "membership-fee", PLUS);
    let view = clubs(shop.versions.head(), &shop.state(), at("2027-03-17T00:00"));
    assert_eq!((view[0].status, view[0].last_day.to_string()), (ClubStatus::Paid, "2028-03-01".into()));
}

#[test]
fn s1_a_late_fee_goes_on_only_with_what_lapsed_while_it_was_paid() {
    let lapsed = || {
        let mut shop = joined(GRACE);
        shop.wake("2027-03-17T00:00");
        shop
    };
    let since = |shop: &Shop| shop.state().clubs[0].from.to_string();
    // Paid after the grace it is a membership of its own.
    let mut after = lapsed();
    after.send("2027-03-16T00:00", "membership-fee", PLUS);
    assert_eq!(since(&after), "2027-03-16");
    // What was ended on purpose does not go on.
    let mut ended = joined(GRACE);
    ended.send("2027-03-01T09:00", "membership-cancel", PLUS);
    ended.wake("2027-03-17T00:00");
    ended.send("2027-03-01T10:00", "membership-fee", PLUS);
    assert_eq!(since(&ended), "2027-03-01");
    let mut refunded = joined(GRACE);
    refunded.send("2026-05-01T09:00", "membership-refund", PLUS);
    assert_eq!(refunded.refused("2027-03-05T09:00", "membership-refund", PLUS).code(), "nothing-to-refund");
}

#[test]
fn s1_a_fee_paid_early_begins_when_the_period_ends() {
    let mut shop = joined(GRACE);
    shop.send("2027-02-20T09:00", "membership-fee", PLUS);
    let again = shop.refused("2027-02-21T09:00", "membership-fee", PLUS);
    assert_eq!(again.code(), "paid-ahead");
    let woken = shop.wake("2027-03-02T00:00");
    assert_eq!(woken.events[0].kind, "membership-renewal");
    assert_eq!(status(&shop, "2028-03-01T23:59"), ClubStatus::Paid);
    assert_eq!(status(&shop, "2028-03-02T00:00"), ClubStatus::Grace);
}

#[test]
fn s1_months_are_counted_from_the_first_day() {
    let mut shop = shop(", grace: P5D");
    shop.publish("2020-01-02T00:00", MONTHLY);
    shop.send("2026-01-31T09:00", "membership-fee", PLUS);
    for (paid, last) in [("2026-02-28T09:00", "2026-03-30"), ("2026-03-31T09:00", "2026-04-29")] {
        shop.send(paid, "membership-fee", PLUS);
        let view = clubs(shop.versions.head(), &shop.state(), at(paid));
        assert_eq!(view[0].last_day.to_string(), last);
    }
}

const MONTHLY: &str = "
currencies: { point: { name: Point, expires: never }, star: { name: Star, expires: never } }
benefits: { delivery: { name: Delivery } }
membership: { plans: { plus: { name: Plus, fee: 30000, period: P1M, grace: P5D, benefits: [delivery] } } }
";

#[rstest]
#[case::at_its_end(r#"{"plan": "plus"}"#, true, "2027-03-02T00:00")]
#[case::at_once(r#"{"plan": "plus", "at_once": true}"#, false, "2026-05-01T09:00")]
fn s1_cancelled_it_ends_with_its_period_or_at_once(#[case] data: &str, #[case] goes_on: bool, #[case] end: &str) {
    let mut shop = joined(GRACE);
    shop.send("2026-05-01T09:00", "membership-cancel", data);
    assert_eq!(has_delivery(&shop, "2026-05-01T09:01"), goes_on);
    assert_eq!(status(&shop, end), ClubStatus::Ended, "and no grace");
    assert_eq!(shop.refused("2027-03-03T09:00", "membership-cancel", PLUS).code(), "not-in-club");
    shop.send("2027-04-01T09:00", "membership-fee", PLUS);
    assert_eq!(status(&shop, "2028-03-31T23:59"), ClubStatus::Paid, "whoever comes back joins afresh");
}

#[test]
fn s1_a_trial_is_free_had_once_and_followed_by_what_was_paid() {
    let mut shop = shop(GRACE);
    shop.send("2026-03-01T09:00", "enrol", "{}");
    shop.send("2026-03-02T09:00", "membership-trial", PLUS);
    assert!(has_delivery(&shop, "2026-03-02T09:00"));
    assert_eq!(shop.refused("2026-03-03T09:00", "membership-trial", PLUS).code(), "in-club");
    shop.send("2026-03-20T09:00", "membership-fee", PLUS);
    shop.wake("2026-04-01T00:00");
    let view = clubs(shop.versions.head(), &shop.state(), at("2026-04-01T00:00"));
    assert_eq!((view[0].from.to_string(), view[0].last_day.to_string()), ("2026-04-01".into(), "2027-03-31".into()));
    assert!(view[0].tried, "it is told for as long as they are known");
    shop.send("2026-05-01T09:00", "membership-cancel", r#"{"plan": "plus", "at_once": true}"#);
    assert_eq!(shop.refused("2026-05-02T09:00", "membership-trial", PLUS).code(), "trial-taken");
    let mut untried = self::shop("");
    untried.send("2026-03-01T09:00", "enrol", "{}");
    assert_eq!(untried.refused("2026-03-02T09:00", "membership-trial", PLUS).code(), "no-trial");
}

#[rstest]
#[case::nothing_used("", 0, "2026-05-01T09:00", 304_000, "304 of 365 days")]
#[case::less_used("", 2, "2026-05-01T09:00", 304_000 - 30_000, "less 2 × 15000 for delivery")]
#[case::in_proportion(", refund: pro_rata", 2, "2026-05-01T09:00", 304_000, "304000 back")]
#[case::the_first_day("", 0, "2026-03-02T16:00", 364_000, "364 of 365 days")]
fn s1_a_refund_is_in_proportion_less_what_was_used(
    #[case] settings: &str,
    #[case] uses: usize,
    #[case] when: &str,
    #[case] refund: i64,
    #[case] words: &str,
) {
    let mut shop = joined(settings);
    for _ in 0..uses {
        deliver(&mut shop, "2026-03-05T09:00");
    }
    let quote = quote_refund(&shop.versions, &shop.seen_at(when), &id("plus"), at(when)).unwrap();
    assert_eq!(quote.refund, Amount::whole(refund));
    assert!(quote.words.contains(words), "{}", quote.words);
    let done = shop.send(when, "membership-refund", PLUS);
    assert_eq!(done.outcome.effects[0].money, Some(quote.refund));
    assert_eq!(count_of(&done, EffectKind::ClubEnded), 1);
    assert!(!has_delivery(&shop, when));
    assert_eq!(shop.refused(when, "membership-refund", PLUS).code(), "nothing-to-refund");
}

#[test]
fn s1_each_period_is_charged_with_its_own_uses() {
    let mut shop = joined("");
    let wish = UseBenefit { benefit: id("delivery"), order_id: Some("o1".into()), situation: Situation::default() };
    shop.send("2027-02-27T09:00", "purchase", &sale("o1", 10_000));
    shop.ask(at("2027-02-27T10:00"), What::UseBenefit(wish)).unwrap();
    shop.send("2027-02-28T09:00", "membership-fee", PLUS);
    shop.wake("2027-03-02T00:00");
    let quote = |shop: &Shop, when: &str| {
        let quote = quote_refund(&shop.versions, &shop.seen_at(when), &id("plus"), at(when)).unwrap();
        (quote.less_used, quote.refund)
    };
    let whole = Amount::whole;
    // The period has 366 days.
    assert_eq!(quote(&shop, "2027-05-01T09:00"), (whole(0), whole(365_000 * 305 / 366)));
    deliver(&mut shop, "2027-03-03T09:00");
    // A use of the period before is there again, and changes nothing in this one.
    let back = shop.send("2027-03-05T09:00", "return", &back_all("o1"));
    assert_eq!(count_of(&back, EffectKind::BenefitReturned), 1);
    assert_eq!(quote(&shop, "2027-05-01T09:00").0, whole(15_000));
    assert!(
        shop.state().counters.iter().all(|counter| counter.used >= 0),
        "February is over: {:?}",
        shop.state().counters
    );
}

#[rstest]
#[case::floor("floor", 12)]
#[case::half_up("half_up", 13)]
#[case::half_even("half_even", 12)]
fn s1_the_rounding_of_a_refund_is_named(#[case] rounding: &str, #[case] refund: i64) {
    let mut shop = Shop::new(&format!(
        "
currencies: {{ point: {{ name: Point, expires: never }} }}
membership: {{ plans: {{ plus: {{ name: Plus, fee: 25, period: P2D, rate: {{ point: 2 }}, refund: {{ rounding: {rounding} }} }} }} }}
"
    ));
    shop.send("2026-03-02T15:00", "membership-fee", PLUS);
    let when = at("2026-03-02T16:00");
    assert_eq!(quote_refund(&shop.versions, &shop.state(), &id("plus"), when).unwrap().refund, Amount::whole(refund));
}

#[test]
fn s1_nothing_is_paid_back_where_the_document_says_so_or_it_ran_to_its_end() {
    let mut kept = joined(", refund: none");
    assert_eq!(kept.refused("2026-05-01T09:00", "membership-refund", PLUS).code(), "not-refundable");
    let mut over = joined("");
    assert_eq!(over.refused("2027-05-01T09:00", "membership-refund", PLUS).code(), "nothing-to-refund");
}

#[rstest]
#[case::benefit("fee: 1, period: P1Y, benefits: [sauna]", "no benefit `sauna`")]
#[case::digits("fee: 1.5, period: P1Y", "0 digits behind the point")]
#[case::period("fee: 1, period: P0D", "over before it begins")]
#[case::refund("fee: 1, period: P1Y, refund: all", "pro_rata_less_used")]
fn what_is_wrong_with_a_plan_is_said(#[case] plan: &str, #[case] message: &str) {
    let text = document(&format!(
        "currencies: {{ point: {{ name: P, expires: never }} }}\nmembership: {{ plans: {{ plus: {{ name: Plus, {plan} }} }} }}"
    ));
    let problems = read_document(&text).unwrap_err();
    assert!(problems.iter().any(|problem| problem.to_string().contains(message)), "{problems:?}");
}

#[test]
fn a_plan_that_gives_nothing_is_warned_of() {
    let text = document(
        "currencies: { point: { name: P, expires: never } }\nmembership: { plans: { plus: { name: Plus, fee: 1, period: P1Y } } }",
    );
    let findings = read_document(&text).unwrap().findings;
    assert!(findings.iter().any(|finding| finding.to_string().contains("gets nothing for it")), "{findings:?}");
}
