//! Looking up which campaigns an event can concern changes nothing: not what is decided, quoted, taken back or refused.

use std::sync::Arc;

use proptest::prelude::*;
use tessera_core::decide::{CartAsk, Decision, Rejected};
use tessera_core::program::{Program, Versions, load_program};
use tessera_testkit::shop::{Shop, at, document};

/// Of few texts, so that conditions and events meet.
const SKUS: [&str; 5] = ["A", "B", "C", "D", ""];
const CATEGORIES: [&str; 3] = ["tea", "cake", ""];

fn pick(options: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(options).prop_map(str::to_owned)
}

/// Conditions about the event, and under `each` about a line.
fn condition(of_line: bool) -> impl Strategy<Value = String> {
    let event = pick(&[
        r#"event.channel == "app""#,
        r#""shop" == event.channel"#,
        r#"event.channel in ["app", "shop"]"#,
        r#"event.location == "one""#,
        r#"event.location in ["one", "two", "three"]"#,
        r#"event.table == "t1""#,
        r#"event.location == null"#,
        r#"event.location in ["one", null]"#,
        r#"event.location != "one""#,
        r#"event.channel not in ["app"]"#,
        r#"(event.location ?? "one") == "one""#,
        "event.total >= 60",
        "event.net < 90",
        // Divided by zero it cannot be worked out.
        "event.total / event.tip >= 20",
        r#"some(event.items, #.sku == "A")"#,
        r#"one(event.items, #.sku in ["B", "C"] and #.quantity > 1)"#,
        r#"all(event.items, #.category == "tea")"#,
        r#"none(event.items, #.category == "tea")"#,
        r#"len(filter(event.items, #.sku == "B")) >= 1"#,
        r#"len(filter(event.items, #.sku == "B")) < 2"#,
        r#"count(event.items, #.category == "cake") > 0"#,
        r#"sum(map(filter(event.items, #.category == "tea"), #.amount)) > 30"#,
        r#"sum(map(filter(event.items, #.category == "tea"), #.amount)) >= 0"#,
        "member.purchases > 1",
        "true",
        "false",
    ]);
    let line = pick(&[
        r#"item.sku == "A""#,
        r#""B" == item.sku"#,
        r#"item.sku in ["A", "C"]"#,
        r#"item.sku in ["D"]"#,
        r#"item.category == "tea""#,
        r#"item.category in ["cake", "tea"]"#,
        r#"item.roast == "dark""#,
        r#"item.category == null"#,
        r#"item.category in ["tea", null]"#,
        r#"item.sku != "A""#,
        "item.quantity > 1",
        "item.amount / (item.quantity - 1) > 3",
    ]);
    let atom = if of_line { prop_oneof![1 => event, 3 => line].boxed() } else { event.boxed() };
    let joined = atom.clone().prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) and {right}")),
            3 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} or ({right})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} and {right}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} or {right}")),
            1 => inner.clone().prop_map(|inner| format!("not ({inner})")),
            1 => (inner.clone(), inner).prop_map(|(left, right)| format!("(event.total > 50 ? {left} : {right})")),
        ]
    });
    prop_oneof![1 => atom, 1 => joined]
}

fn rule() -> impl Strategy<Value = String> {
    let gives = pick(&[
        "award: { currency: point, amount: 7 }",
        "award: { currency: point, amount: event.net / 10, fraction: carry }",
        "extra: { currency: point, times: 2 }",
        "award: { currency: stamp, amount: 1 }, limit: { per_member: { day: 2 } }",
        "award: { currency: stamp, amount: 1 }, limit: { program: { month: 3 } }",
        "chance: 0.5, award: { currency: point, amount: 3 }",
        "spend: { currency: point, amount: 5 }, issue: { voucher: cup }",
    ]);
    let each = any::<bool>().prop_flat_map(|each| (Just(each), proptest::option::weighted(0.9, condition(each))));
    (each, gives).prop_map(|((each, when), gives)| {
        let each = if each { "each: event.items, " } else { "" };
        let when = when.map(|when| format!("when: '{when}', ")).unwrap_or_default();
        format!("{{ {each}{when}{gives} }}")
    })
}

fn campaign() -> impl Strategy<Value = String> {
    let settings = pick(&[
        "",
        "",
        "",
        "earning: base, ",
        "active: false, ",
        "holdout: 0.4, ",
        "budget: { point: 20 }, ",
        "limit: { per_member: { ever: 2 } }, ",
        "schedule: { until: 2026-03-02 }, ",
        "schedule: { from: 2026-03-02, weekdays: [mon, wed] }, ",
        "priority: 3, ",
        "priority: -2, holdout: 0.2, ",
    ]);
    let audience = proptest::option::weighted(0.3, condition(false));
    let rules = prop::collection::vec(rule(), 1..3);
    (pick(&["purchase", "purchase", "purchase", "visit", "balance"]), settings, audience, rules).prop_map(
        |(trigger, settings, audience, rules)| {
            let audience = audience.map(|audience| format!("audience: '{audience}', ")).unwrap_or_default();
            // Nothing else has lines or is sold.
            let of_purchase = trigger == "purchase";
            let rules: Vec<String> = if of_purchase {
                rules
            } else {
                let when = if trigger == "visit" { "event.place == \"one\"" } else { "event.currency == \"stamp\"" };
                vec![format!("{{ when: '{when}', award: {{ currency: point, amount: 2 }} }}")]
            };
            let audience = if of_purchase { audience } else { String::new() };
            let settings = if of_purchase { settings } else { settings.replace("earning: base, ", "") };
            format!("{{ trigger: {trigger}, earning: bonus, {settings}{audience}rules: [ {} ] }}", rules.join(", "))
                .replace("earning: bonus, earning: base, ", "earning: base, ")
        },
    )
}

fn program() -> impl Strategy<Value = String> {
    let stacking = pick(&[
        "",
        "stacking: { order: [ { exclusive: [c0, c2, c4, c5] } ] }\n",
        "stacking: { order: [ { never: [c1] }, { exclusive: [c2, c3], choose: first } ] }\ncontrol_group: 0.2\n",
        "limits: { per_member: { point: { week: 40 } }, program: { stamp: { day: 4 } } }\n",
    ]);
    (prop::collection::vec(campaign(), 1..9), stacking).prop_map(|(campaigns, stacking)| {
        let campaigns = campaigns.iter().enumerate().map(|(place, campaign)| format!("  c{place}: {campaign}\n"));
        let campaigns: String = campaigns.collect();
        format!(
            "currencies:
  point: {{ name: Point, expires: {{ after: P1Y }} }}
  stamp: {{ name: Stamp, expires: never }}
tiers:
  club: {{ measure: {{ earned: point }}, levels: [ {{ id: blue, at: 0 }}, {{ id: gold, at: 40, rate: {{ point: 2 }} }} ] }}
vouchers: {{ cup: {{ gives: {{ amount_off: 3 }} }} }}
events:
  visit: {{ data: {{ place: text }} }}
  purchase: {{ data: {{ table: {{ type: text, optional: true }} }}, item: {{ roast: {{ type: text, optional: true }} }} }}
challenges:
  teas: {{ counts: purchase, each: event.items, when: 'item.category == \"tea\"', within: P1M, steps: [ {{ at: 2 }} ] }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 10 }} }} ] }}
{campaigns}{stacking}"
        )
    })
}

/// An event as its type and data, with `ORDER` for the order and which of the earlier ones that is.
fn event() -> impl Strategy<Value = (String, String, usize)> {
    let line = (
        prop::sample::select(&SKUS[..]),
        prop::sample::select(&CATEGORIES[..]),
        1..4_i64,
        1..6_i64,
        proptest::option::weighted(0.3, prop::sample::select(&["dark", "light"][..])),
    );
    let fields = (
        pick(&["", r#", "channel": "app""#, r#", "channel": "shop""#]),
        pick(&["", r#", "location": "one""#, r#", "location": "two""#]),
        pick(&["", r#", "table": "t1""#]),
        pick(&["", r#", "tip": 3"#]),
    );
    let order = (prop::collection::vec(line, 0..5), fields).prop_map(|(lines, fields)| {
        let total: i64 = lines.iter().map(|(.., quantity, price, _)| quantity * price * 10).sum();
        let lines: Vec<String> = lines
            .iter()
            .map(|(sku, category, quantity, price, roast)| {
                let text = |name, text: &str| (!text.is_empty()).then(|| format!(r#""{name}": "{text}", "#));
                let texts: Vec<String> =
                    [text("sku", sku), text("category", category), text("roast", roast.unwrap_or_default())]
                        .into_iter()
                        .flatten()
                        .collect();
                format!(r#"{{{}"quantity": {quantity}, "amount": {}}}"#, texts.concat(), quantity * price * 10)
            })
            .collect();
        let (channel, location, table, tip) = fields;
        let tipped = if tip.is_empty() { total } else { total + 3 };
        let items = lines.join(", ");
        format!(r#"{{"order_id": "ORDER", "total": {tipped}{channel}{location}{table}{tip}, "items": [{items}]}}"#)
    });
    let order = order.boxed();
    let back = prop::sample::select(&SKUS[..4])
        .prop_map(|sku| format!(r#"{{"order_id": "ORDER", "items": [{{"sku": "{sku}", "quantity": 1}}]}}"#));
    let kind = prop_oneof![
        8 => order.clone().prop_map(|order| ("purchase".to_owned(), order)),
        2 => order.prop_map(|order| ("amend".to_owned(), order)),
        2 => back.prop_map(|back| ("return".to_owned(), back)),
        1 => Just(("return".to_owned(), r#"{"order_id": "ORDER"}"#.to_owned())),
        1 => pick(&["one", "two"]).prop_map(|place| ("visit".to_owned(), format!(r#"{{"place": "{place}"}}"#))),
    ];
    (kind, 0..20_usize).prop_map(|((kind, data), order)| (kind, data, order))
}

fn loaded(text: &str) -> Program {
    load_program(&document(text), 1).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

fn shop(program: Program) -> Shop {
    let minimal = "currencies: { point: { name: P, expires: never } }\ncampaigns: {}\n";
    let mut shop = Shop::new(minimal).unchecked();
    shop.versions = Versions::new(Arc::new(program));
    shop
}

/// All there is in a decision, or why there is none.
fn all_of(decided: &Result<Decision, Rejected>) -> String {
    format!("{decided:?}")
}

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 1))]

    #[test]
    fn looking_up_decides_what_looking_at_all_decides(
        text in program(),
        events in prop::collection::vec(event(), 1..12),
    ) {
        let mut indexed = shop(loaded(&text)).quiet();
        let mut plain = shop(loaded(&text).looking_at_all()).quiet();
        let (mut explained, mut plain_explained) = (shop(loaded(&text)), shop(loaded(&text).looking_at_all()));
        let ask = CartAsk { missing: true, best: true, ..CartAsk::default() };
        for (day, (kind, data, order)) in events.iter().enumerate() {
            let order = if kind == "purchase" { day } else { order % day.max(1) };
            let data = &data.replace("ORDER", &format!("o{order}"));
            let time = at(&format!("2026-03-{:02}T10:00", day + 1));
            if kind == "purchase" {
                let quote = |shop: &Shop| format!("{:?}", shop.cart(&time.to_string(), data, &ask));
                prop_assert_eq!(quote(&indexed), quote(&plain), "{}\n{}", text, data);
                prop_assert_eq!(quote(&explained), quote(&plain_explained), "{}\n{}", text, data);
            }
            let decided = indexed.offer(time, time, kind, data);
            prop_assert_eq!(all_of(&decided), all_of(&plain.offer(time, time, kind, data)), "{}\n{}", text, data);
            // An explanation tells of all, and decides the same.
            let told = explained.offer(time, time, kind, data);
            prop_assert_eq!(all_of(&told), all_of(&plain_explained.offer(time, time, kind, data)), "{}\n{}", text, data);
            let untold = told.map(|told| Decision { trace: Vec::new(), ..told });
            prop_assert_eq!(all_of(&decided), all_of(&untold), "{}\n{}", text, data);
        }
    }
}
