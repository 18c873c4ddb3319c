//! Settings that nothing would act on are refused with what would; versions published before go on.

use rstest::rstest;
use tessera_core::program::{load_program, read_document};
use tessera_testkit::shop::document;

/// A document with these settings of its one currency, and more sections.
fn with(currency: &str, sections: &str) -> String {
    let expires = if currency.contains("expires:") { "" } else { ", expires: never" };
    document(&format!(
        "currencies: {{ point: {{ name: Point{expires}{currency} }} }}\nvouchers: {{ cake: {{ gives: {{ percent_off: 100 }} }} }}\n{sections}\n"
    ))
}

fn campaign(text: &str) -> String {
    with("", &format!("events: {{ visit: {{}} }}\ncampaigns:\n  c: {{ {text} }}"))
}

fn ladder(text: &str) -> String {
    let base = "campaigns: { c: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net } } ] } }";
    with(
        "",
        &format!("tiers: {{ club: {{ {text}, levels: [ {{ id: a, at: 0 }} ] }} }}\nevents: {{ visit: {{}} }}\n{base}"),
    )
}

const AWARD: &str = "award: { currency: point, amount: 5 }";

#[rstest]
#[case::on_a_return(campaign(&format!("trigger: return, rules: [ {{ {AWARD} }} ]")), "campaigns.c.trigger", "no campaign runs on `return`")]
#[case::on_an_exchange(campaign(&format!("trigger: exchange, rules: [ {{ {AWARD} }} ]")), "campaigns.c.trigger", "its new purchase runs the campaigns of `purchase`")]
#[case::on_an_amendment(campaign(&format!("trigger: amend, rules: [ {{ {AWARD} }} ]")), "campaigns.c.trigger", "no campaign runs on `amend`")]
#[case::on_a_profile(campaign(&format!("trigger: profile, rules: [ {{ {AWARD} }} ]")), "campaigns.c.trigger", "campaigns of `birthday`")]
#[case::moved_by_a_return(
    with(", expires: { inactivity: P1Y, moved_by: [purchase, return] }", ""),
    "currencies.point.expires.moved_by",
    "events of type `return` are not counted here"
)]
#[case::moved_by_joining(
    with(", expires: { inactivity: P1Y, moved_by: [enrol] }", ""),
    "currencies.point.expires.moved_by",
    "events of type `enrol` are not counted here"
)]
#[case::moved_though_dated(
    with(", expires: { after: P1Y, moved_by: [purchase] }", ""),
    "currencies.point.expires.moved_by",
    "only `inactivity` is moved by events"
)]
#[case::a_rounded_date(
    with(", expires: { fixed: \"12-31\", round: month }", ""),
    "currencies.point.expires.round",
    "a fixed date is not rounded"
)]
#[case::a_measure_of_exchanges(
    ladder("measure: { events: exchange }"),
    "tiers.club.measure",
    "events of type `exchange` are not counted here"
)]
#[case::base_of_events(
    ladder("measure: { events: visit, counts: all }"),
    "tiers.club.measure.counts",
    "events have no base points"
)]
#[case::parts_of_events(
    ladder("measure: { events: visit }, crossing: marginal"),
    "tiers.club.crossing",
    "an event has no parts"
)]
#[case::times_of_one_event(campaign(&format!("trigger: purchase, rules: [ {{ {AWARD}, limit: {{ per_event: 10 }} }} ]")), "campaigns.c.rules[0].limit.per_event", "this counts times")]
#[case::said_times_of_one_event(
    campaign(
        "trigger: purchase, limit: { per_event: { times: 1 } }, rules: [ { award: { currency: point, amount: event.net } } ]"
    ),
    "campaigns.c.limit.per_event",
    "this counts times"
)]
#[case::points_of_a_voucher(
    campaign("trigger: purchase, rules: [ { issue: { voucher: cake }, limit: { per_event: { points: 3 } } } ]"),
    "campaigns.c.rules[0].limit.per_event",
    "there are no points to cut"
)]
#[case::points_of_a_voucher_a_day(
    campaign(
        "trigger: purchase, rules: [ { issue: { voucher: cake }, limit: { per_member: { day: { points: 3 } } } } ]"
    ),
    "campaigns.c.rules[0].limit.per_member.day",
    "there are no points to cut"
)]
#[case::room_of_no_limit(campaign(&format!("trigger: purchase, rules: [ {{ {AWARD}, limit: {{ returns_give_back: false }} }} ]")), "campaigns.c.rules[0].limit.returns_give_back", "no limit over a window")]
#[case::reserved_redemption(with("", "events: { redemption: {} }"), "events.redemption", "a name of the program's own")]
#[case::reserved_wake_up(with("", "events: { wake-up: {} }"), "events.wake-up", "a name of the program's own")]
#[case::reserved_expiry(with("", "events: { expiry: {} }"), "events.expiry", "a name of the program's own")]
#[case::fields_of_a_return(
    with("", "events: { return: { data: { reason: text } } }"),
    "events.return",
    "fields can be declared on `purchase` only"
)]
#[case::a_second_total(
    with("", "events: { purchase: { data: { total: number } } }"),
    "events.purchase.data.total",
    "every purchase has `total` already"
)]
#[case::a_second_sku(
    with("", "events: { purchase: { item: { sku: text } } }"),
    "events.purchase.item.sku",
    "every purchase has `sku` already"
)]
#[case::spent_for_points(campaign(&format!("trigger: purchase, rules: [ {{ spend: {{ currency: point, amount: 3 }}, {AWARD} }} ]")), "campaigns.c.rules[0].spend", "a return of the purchase could not undo")]
#[case::lines_of_a_visit(
    campaign("trigger: visit, rules: [ { award: { currency: point, amount: 5, per: line } } ]"),
    "campaigns.c.rules[0].award.per",
    "only a purchase has lines"
)]
#[case::net_of_a_visit(
    campaign("trigger: visit, rules: [ { award: { currency: point, amount: 5, base: { tax: true } } } ]"),
    "campaigns.c.rules[0].award.base",
    "only a purchase has an `event.net`"
)]
#[case::matching_that_is_off(
    with("", "unlinked_returns: { policy: take_back, within: P9D }"),
    "unlinked_returns.within",
    "`within` is for `policy: match`"
)]
#[case::counting_from_no_wait(
    with(", pending: { expiry_counts_from: maturity }", ""),
    "currencies.point.pending.expiry_counts_from",
    "nothing waits"
)]
#[case::a_most_of_no_product(
    with("", "stacking: { extras_max: 3 }"),
    "stacking.extras_max",
    "only `extras: product` has a most"
)]
#[case::held_out_of_a_promise(campaign(&format!("trigger: purchase, earning: base, holdout: 0.1, rules: [ {{ {AWARD} }} ]")), "campaigns.c.holdout", "nobody is held out of it")]
#[case::a_budget_of_another(with(", value: 1", &format!("campaigns: {{ c: {{ trigger: enrol, budget: {{ star: 5 }}, rules: [ {{ {AWARD} }} ] }} }}")).replace("currencies: {", "currencies: { star: { name: S, expires: never },"), "campaigns.c.budget.star", "the campaign gives no star")]
#[case::a_rate_of_nothing(with("", "exchange_rates: { USD: 0 }"), "exchange_rates.USD", "a rate is above 0")]
fn what_would_do_nothing_is_refused(#[case] text: String, #[case] path: &str, #[case] message: &str) {
    let problems = read_document(&text).err().unwrap_or_else(|| panic!("it was taken:\n{text}"));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = &problems[0];
    assert!(problem.path == path && problem.message.contains(message), "{problem:?}");
    assert!(problem.at.line >= 5, "{problem:?}");
    load_program(&text, 1).unwrap_or_else(|problems| panic!("a published version did not load: {problems:?}"));
}

#[rstest]
#[case::points_of_one_event(campaign(&format!("trigger: purchase, rules: [ {{ {AWARD}, limit: {{ per_event: {{ points: 3 }} }} }} ]")))]
#[case::moved_by_a_visit(with(", expires: { inactivity: P1Y, moved_by: [purchase, visit] }", "events: { visit: {} }"))]
#[case::a_measure_of_purchases(ladder("measure: { events: purchase }"))]
#[case::spent_for_a_voucher(campaign(
    "trigger: purchase, rules: [ { spend: { currency: point, amount: 3 }, issue: { voucher: cake } } ]"
))]
#[case::spent_on_a_visit(campaign(&format!("trigger: visit, rules: [ {{ spend: {{ currency: point, amount: 3 }}, {AWARD} }} ]")))]
fn what_acts_is_taken(#[case] text: String) {
    let document = read_document(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(document.findings, []);
}

#[test]
fn an_old_expression_runs_as_it_did() {
    // A document of an older validator, with a comparison that is refused today.
    let text = campaign(
        "trigger: purchase, rules: [ { when: event.channel == 5 or event.total > 10, award: { currency: point, amount: 5 } } ]",
    );
    assert!(read_document(&text).is_err());
    let program = load_program(&text, 1).unwrap_or_else(|problems| panic!("{problems:?}"));
    let trigger = program.trigger("purchase").unwrap();
    assert!(trigger.fields.event.contains("total") && trigger.fields.event.contains("channel"), "{:?}", trigger.fields);
}

#[test]
fn what_cannot_run_at_all_is_said() {
    let text = campaign(&format!("trigger: purchase, rules: [ {{ when: event.total >, {AWARD} }} ]"));
    let problems = load_program(&text, 1).unwrap_err();
    assert!(problems[0].path == "campaigns.c.rules[0].when", "{problems:?}");
}
