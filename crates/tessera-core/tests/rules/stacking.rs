//! C3, C4, C7: which campaigns go together, and how extras add up.

use std::collections::BTreeMap;

use rstest::rstest;
use tessera_core::decide::Reason;
use tessera_testkit::shop::{Shop, json::*};

use crate::common::points_and;

/// Base of one per 1,000 and bonuses of these points, with priorities; then a stacking section.
fn bonuses(bonuses: &[(&str, i64, i32)], stacking: &str) -> Shop {
    let campaigns: String = bonuses
        .iter()
        .map(|(id, points, priority)| {
            format!("  {id}: {{ trigger: purchase, earning: bonus, priority: {priority}, rules: [ {{ award: {{ currency: point, amount: {points} }} }} ] }}\n")
        })
        .collect();
    Shop::new(&points_and("", &format!("{campaigns}stacking: {{ {stacking} }}")))
}

/// The campaigns that gave something.
fn given(shop: &mut Shop) -> Vec<String> {
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    decision
        .outcome
        .effects
        .iter()
        .filter(|effect| effect.amount.is_some())
        .filter_map(|effect| effect.campaign.as_ref())
        .map(ToString::to_string)
        .collect()
}

#[rstest]
#[case::all_together("", &["base", "a", "b", "c"])]
#[case::the_best("order: [ { exclusive: [a, b, c] } ]", &["base", "b"])]
#[case::the_best_said("order: [ { exclusive: [a, b, c], choose: best } ]", &["base", "b"])]
#[case::the_first_by_priority("order: [ { exclusive: [a, b, c], choose: first } ]", &["base", "c"])]
#[case::only_those_named("order: [ { exclusive: [a, b] } ]", &["base", "b", "c"])]
#[case::two_groups("order: [ { exclusive: [a, b] }, { exclusive: [b, c] } ]", &["base", "b"])]
#[case::always_goes_with_everything("order: [ { exclusive: [a, b, c], always: [a] } ]", &["base", "a", "b"])]
#[case::never_goes_with_any("order: [ { never: [b] } ]", &["base", "b"])]
#[case::never_gives_way_to_more("order: [ { never: [a] } ]", &["base", "b", "c"])]
#[case::never_by_priority("order: [ { never: [b], choose: first } ]", &["base", "a", "c"])]
#[case::never_first_by_priority("order: [ { never: [c], choose: first } ]", &["base", "c"])]
fn c3_groups_say_which_bonuses_go_together(#[case] stacking: &str, #[case] expected: &[&str]) {
    let mut shop = bonuses(&[("a", 20, 0), ("b", 50, 0), ("c", 10, 5)], stacking);
    let mut given = given(&mut shop);
    let mut expected: Vec<String> = expected.iter().map(|id| (*id).to_owned()).collect();
    given.sort();
    expected.sort();
    assert_eq!(given, expected);
}

#[test]
fn c3_the_loser_says_who_was_chosen() {
    let mut shop = bonuses(&[("a", 20, 0), ("b", 50, 0)], "order: [ { exclusive: [a, b] } ]");
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let reason = |id: &str| {
        decision
            .trace
            .iter()
            .find(|trace| trace.campaign.as_ref().is_some_and(|campaign| campaign.as_str() == id))
            .map(|trace| trace.reason.clone())
            .unwrap()
    };
    assert_eq!(reason("a"), Reason::AnotherChosen { chosen: tessera_testkit::shop::id("b") });
    assert_eq!(decision.trace.iter().filter(|trace| !trace.words.is_empty()).count(), decision.trace.len());
}

#[rstest]
#[case::by_name(0, 0, "a")]
#[case::by_priority(0, 1, "b")]
fn c4_ties_are_broken_by_priority_then_name(#[case] a: i32, #[case] b: i32, #[case] winner: &str) {
    for choose in ["best", "first"] {
        let mut shop =
            bonuses(&[("b", 20, b), ("a", 20, a)], &format!("order: [ {{ exclusive: [b, a], choose: {choose} }} ]"));
        assert_eq!(given(&mut shop), ["base", winner], "{choose}");
    }
}

#[test]
fn c4_the_order_in_the_document_decides_nothing() {
    let one = bonuses(&[("a", 20, 0), ("b", 20, 0), ("c", 7, 3)], "order: [ { exclusive: [a, b] } ]");
    let other = bonuses(&[("c", 7, 3), ("b", 20, 0), ("a", 20, 0)], "order: [ { exclusive: [b, a] } ]");
    let outcome = |mut shop: Shop| shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000)).outcome;
    assert_eq!(outcome(one), outcome(other));
}

#[test]
fn c3_best_counts_money_where_currencies_have_a_value() {
    let mut shop = Shop::new(
        "
currencies:
  point: { name: Point, expires: never, value: 100 }
  star: { name: Star, expires: never, value: 5000 }
campaigns:
  points: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: 40 } } ] }
  stars: { trigger: purchase, earning: bonus, rules: [ { award: { currency: star, amount: 1 } } ] }
stacking: { order: [ { exclusive: [points, stars] } ] }
",
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!((shop.available("point"), shop.available("star")), (0, 1));
}

/// Base of one per 1,000 and extras of these factors; what each campaign gave for 45,000.
fn extras(factors: &[&str], stacking: &str) -> BTreeMap<String, i64> {
    let campaigns: String = factors
        .iter()
        .enumerate()
        .map(|(number, times)| format!("  x{number}: {{ trigger: purchase, earning: bonus, rules: [ {{ extra: {{ currency: point, times: {times} }} }} ] }}\n"))
        .collect();
    let mut shop = Shop::new(&points_and("", &format!("{campaigns}stacking: {{ {stacking} }}")));
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 45_900));
    let effects = decision.outcome.effects.iter().filter_map(|effect| effect.campaign.as_ref().zip(effect.amount));
    effects.map(|(campaign, amount)| (campaign.to_string(), amount)).collect()
}

#[rstest]
#[case::an_extra_adds_the_rounded_base(&["2"], "", &[45, 45])]
#[case::two_and_three_are_four(&["2", "3"], "", &[45, 45, 90])]
#[case::add(&["2", "3"], "extras: add", &[45, 45, 90])]
#[case::highest(&["2", "3"], "extras: highest", &[45, 0, 90])]
#[case::product(&["2", "3"], "extras: product", &[45, 45, 180])]
#[case::product_with_a_ceiling(&["2", "3"], "extras: product, extras_max: 4", &[45, 45, 90])]
#[case::halves_share_by_largest_remainder(&["1.5", "1.5"], "", &[45, 23, 22])]
#[case::thirds(&["1.25", "1.25", "1.25"], "", &[45, 11, 11, 11])]
#[case::one_half_is_floored(&["1.5"], "", &[45, 22])]
fn c7_several_extras(#[case] factors: &[&str], #[case] stacking: &str, #[case] expected: &[i64]) {
    let given = extras(factors, stacking);
    let of = |id: &str| given.get(id).copied().unwrap_or(0);
    let found: Vec<i64> =
        std::iter::once(of("base")).chain((0..factors.len()).map(|number| of(&format!("x{number}")))).collect();
    assert_eq!(found, expected);
}

#[test]
fn c7_an_extra_on_some_lines_multiplies_their_share_of_the_rounded_base() {
    let coffee = "  coffee: { trigger: purchase, earning: bonus, rules: [ { each: event.items, when: item.category == \"coffee\", extra: { currency: point, times: 3 } } ] }";
    let mut shop = Shop::new(&points_and("", coffee));
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("C", "coffee", 1, 10_500), ("D", "cake", 1, 10_500)]));
    assert_eq!(shop.available("point"), 21 + 2 * 11, "21 base are 11 and 10 by line, so that the receipt adds up");
}

#[test]
fn c7_an_extra_may_be_of_one_campaign() {
    let campaigns = "
  stamps: { trigger: purchase, earning: base, rules: [ { award: { currency: point, amount: 5 } } ] }
  double: { trigger: purchase, earning: bonus, rules: [ { extra: { currency: point, times: 2, of: base } } ] }";
    let mut shop = Shop::new(&points_and("", campaigns));
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), 10 + 5 + 10);
}

#[test]
fn c7_the_levels_rate_is_part_of_base_so_an_extra_multiplies_it_and_a_bonus_has_none() {
    let mut shop = Shop::new(
        "
currencies: { point: { name: Point, expires: never } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0, rate: { point: 1.5 } } ] } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  double: { trigger: purchase, earning: bonus, rules: [ { extra: { currency: point, times: 2 } } ] }
  gift: { trigger: purchase, earning: bonus, rules: [ { award: { currency: point, amount: 100 } } ] }
",
    );
    shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    assert_eq!(shop.available("point"), 15 + 15 + 100);
    assert_eq!(shop.measured("club"), [("2026-01-01".to_owned(), "15".to_owned())]);
}

#[rstest]
#[case::a_third("{ acme: 0.333333 }", 100, &[("acme", 33), ("-", 67)])]
#[case::two_funders("{ acme: 0.5, brand: 0.25 }", 101, &[("acme", 51), ("brand", 25), ("-", 25)])]
#[case::all_of_it("{ acme: 1 }", 7, &[("acme", 7)])]
#[case::too_few_for_both("{ acme: 0.5 }", 1, &[("acme", 1)])]
fn c7_the_parts_of_each_funder_are_whole(
    #[case] funded_by: &str,
    #[case] amount: i64,
    #[case] expected: &[(&str, i64)],
) {
    let mut shop = Shop::new(&format!(
        "
currencies: {{ point: {{ name: Point, expires: never }} }}
campaigns: {{ c: {{ trigger: purchase, earning: bonus, funded_by: {funded_by}, rules: [ {{ award: {{ currency: point, amount: {amount} }} }} ] }} }}
"
    ));
    let decision = shop.send("2026-03-02T09:00", "purchase", &sale("o1", 10_000));
    let parts: Vec<(String, i64)> = decision.events[decision.main]
        .entries
        .iter()
        .map(|entry| {
            let funder = entry.lot.as_ref().and_then(|lot| lot.funder.as_ref());
            (funder.map_or("-".to_owned(), ToString::to_string), entry.amount.get())
        })
        .collect();
    assert_eq!(parts, expected.iter().map(|(funder, part)| ((*funder).to_owned(), *part)).collect::<Vec<_>>());
    shop.send("2026-03-03T09:00", "return", &back_all("o1"));
    assert_eq!(shop.available("point"), 0);
}
