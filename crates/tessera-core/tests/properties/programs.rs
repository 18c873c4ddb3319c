//! Random programs and baskets.

use std::fmt::Write as _;

use proptest::prelude::*;

/// Settings of a program, each with several spellings.
pub fn program() -> impl Strategy<Value = String> {
    let pick = |options: &'static [&'static str]| prop::sample::select(options);
    let currency = (
        pick(&[
            "",
            ", pending: P5D",
            ", pending: { for: P5D, expiry_counts_from: maturity }",
            ", pending: { for: P20D, counts_to_tiers: true }",
        ]),
        pick(&["", ", overdraft: clamp"]),
        pick(&["never", "{ after: P2M, round: month }", "{ after: P10D }", "{ inactivity: P3M }"]),
        pick(&["", ", max_balance: 150"]),
        pick(&["", ", on_return: keep"]),
        pick(&["", "step: 5, min: 10, ", "restored: new_date, ", "restored: { grace: P20D }, "]),
    );
    let ladder = (
        pick(&["{ earned: point }", "{ earned: point, counts: all }", "spend", "{ events: purchase }"]),
        pick(&[
            "",
            "window: { rolling: P3M }, ",
            "window: anniversary, ",
            "crossing: marginal, ",
            "return_undoes: at_review, ",
        ]),
    );
    let rules = (
        pick(&[
            "",
            ", rounding: half_up",
            ", per: line",
            ", fraction: carry",
            ", fraction: carry, rounding: half_even",
            ", base: { shipping: true, tax: true }",
        ]),
        pick(&[
            "",
            "when: event.net >= 60000, ",
            "when: event.net < 40000, ",
            "when: event.net != 50000, ",
            "when: len(event.items) > 1, ",
        ]),
        pick(&["", ", limit: { per_member: { day: 1 } }", ", limit: { program: { month: { points: 25 } } }"]),
        pick(&["", "budget: { point: 30 }, ", "funded_by: { acme: 0.3, brand: 0.3 }, "]),
        pick(&["add", "highest", "product"]),
        pick(&["", "{ point: { day: 60 } }", "{ point: { ever: 100 }, stamp: { week: 3 } }"]),
    );
    (currency, ladder, rules).prop_map(|((pending, overdraft, expires, most, keep, spend), (measure, settings), (award, when, limit, more, extras, limits))| {
        let limits = if limits.is_empty() { String::new() } else { format!("limits: {{ per_member: {limits} }}\n") };
        // An event has no parts that could each have a rate of their own.
        let settings = if measure.contains("events") { settings.replace("crossing: marginal, ", "") } else { settings.to_owned() };
        let measure_at = if measure == "spend" { (60_000, 150_000) } else if measure.contains("events") { (1, 2) } else { (40, 90) };
        format!(
            "
currencies:
  point: {{ name: Point, expires: {expires}{pending}{overdraft}{most}, value: 50, spend: {{ {spend}reserve: P2D }} }}
  stamp: {{ name: Stamp, expires: never{keep} }}
tiers:
  club: {{ measure: {measure}, {settings}levels: [ {{ id: blue, at: 0 }}, {{ id: silver, at: {}, rate: {{ point: 1.5 }} }}, {{ id: gold, at: {}, rate: {{ point: 2 }} }} ] }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1500{award} }} }} ] }}
  stamps: {{ trigger: purchase, rules: [ {{ each: event.items, when: item.category == \"a\", award: {{ currency: stamp, amount: item.quantity }} }} ] }}
  gift: {{ trigger: purchase, earning: bonus, {more}rules: [ {{ {when}award: {{ currency: point, amount: 20 }}{limit} }} ] }}
  x: {{ trigger: purchase, earning: bonus, rules: [ {{ each: event.items, when: item.category == \"a\", extra: {{ currency: point, times: 2.5 }} }} ] }}
  y: {{ trigger: purchase, earning: bonus, rules: [ {{ when: event.total > 30000, extra: {{ currency: point, times: 1.75 }} }} ] }}
stacking: {{ extras: {extras} }}
{limits}",
            measure_at.0, measure_at.1
        )
    })
}

#[derive(Clone, Debug)]
pub struct Basket {
    /// Units, price of a unit, and whether it is of category a.
    pub lines: Vec<(i64, i64, bool)>,
    discount: i64,
    shipping: i64,
    tax: i64,
}

pub fn basket() -> impl Strategy<Value = Basket> {
    let line = (1..4_i64, 1..300_i64, any::<bool>()).prop_map(|(units, price, a)| (units, price * 100, a));
    (prop::collection::vec(line, 1..4), 0..3_i64, 0..2_i64, 0..2_i64).prop_map(|(lines, discount, shipping, tax)| {
        Basket { lines, discount: discount * 77, shipping: shipping * 1_500, tax: tax * 333 }
    })
}

impl Basket {
    /// What is owed for it.
    pub fn total(&self) -> i64 {
        let goods: i64 = self.lines.iter().map(|(units, price, _)| units * price).sum();
        goods - self.discount.min(goods) + self.shipping + self.tax
    }

    pub fn data(&self, order_id: &str) -> String {
        self.data_with(order_id, "")
    }

    /// The same with more fields, each with a comma in front.
    pub fn data_with(&self, order_id: &str, more: &str) -> String {
        let mut items = String::new();
        for (place, (units, price, a)) in self.lines.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            let category = if *a { "a" } else { "b" };
            write!(
                items,
                r#"{comma}{{"line": "l{place}", "category": "{category}", "quantity": {units}, "amount": {}}}"#,
                units * price
            )
            .unwrap();
        }
        let goods: i64 = self.lines.iter().map(|(units, price, _)| units * price).sum();
        let discount = self.discount.min(goods);
        let total = self.total();
        format!(
            r#"{{"order_id": "{order_id}", "total": {total}, "discount": {discount}, "shipping": {}, "tax": {}, "items": [{items}]{more}}}"#,
            self.shipping, self.tax
        )
    }
}

/// The same with events of its own, stamp cards, a welcome, birthdays, a prize for entering a level, and sometimes
/// points that wait for an event.
pub fn eventful_program() -> impl Strategy<Value = String> {
    (program(), any::<bool>(), 0..8_i32).prop_map(|(program, until, days_before)| {
        let campaigns = format!(
            "  welcome: {{ trigger: enrol, rules: [ {{ award: {{ currency: point, amount: 5 }} }} ] }}
  full: {{ trigger: balance, rules: [ {{ when: member.balance.stamp >= 4, spend: {{ currency: stamp, amount: 4 }}, issue: {{ voucher: cake }}, limit: {{ program: {{ month: 3 }} }} }} ] }}
  entered: {{ trigger: tier, rules: [ {{ when: event.level == \"gold\", award: {{ currency: point, amount: 11 }}, grant: {{ benefit: lounge, for: P1M }}, limit: {{ per_member: {{ year: 1 }} }} }} ] }}
  cake: {{ trigger: birthday, days_before: {days_before}, rules: [ {{ award: {{ currency: point, amount: 9 }} }} ] }}
  often: {{ trigger: visit, audience: member.days_since_last_purchase < 9 and member.tier.club != \"gold\", rules: [ {{ award: {{ currency: point, amount: member.count.visit + 1 }}, limit: {{ per_member: {{ week: 7 }} }} }} ] }}
  offer: {{ trigger: purchase, holdout: 0.5, audience: member.purchases > 1, rules: [ {{ award: {{ currency: point, amount: 3 }} }} ] }}
stacking:"
        );
        let program = program.replace("stacking:", &campaigns);
        let program = if until { program.replace("pending: P5D", "pending: { until: delivered }") } else { program };
        format!(
            "{program}events: {{ visit: {{}}, delivered: {{ data: {{ order_id: text }} }} }}
vouchers: {{ cake: {{ gives: {{ percent_off: 100 }}, valid: P14D }} }}
benefits: {{ lounge: {{ name: Lounge }} }}
unlinked_returns: {{ policy: match, unmatched: clamp }}
"
        )
    })
}
