//! How long one decision takes, and the stored form of a member: the numbers behind `docs/performance.md`.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tessera_core::decide::{CartAsk, Draws, Inputs, decide, decide_cart};
use tessera_core::event::{Command, read_event};
use tessera_core::member::MemberState;
use tessera_core::program::{Versions, load_program};
use tessera_core::time::Instant;
use tessera_core::voucher::CodeRecord;
use tessera_testkit::shop::{self, Shop, at, json::lines};

/// A shop's year: base and stamps, a tier, and eighteen offers of every kind. Points live two years to the day, so that
/// a member who buys daily has 730 open lots.
fn document() -> String {
    let offers: String = (0..6)
        .map(|number| {
            format!(
                "  double-{number}: {{ trigger: purchase, schedule: {{ weekdays: [mon, tue] }}, rules: [ {{ each: event.items, when: item.category == \"cat-{number}\", extra: {{ currency: point, times: 2 }}, limit: {{ per_member: {{ day: 200 }} }} }} ] }}
  basket-{number}: {{ trigger: purchase, earning: bonus, budget: {{ point: 1000000 }}, rules: [ {{ when: event.net >= {}0000 and event.channel == \"app\", award: {{ currency: point, amount: 20 }} }} ] }}
  back-{number}: {{ trigger: purchase, audience: 'member.days_since_last_purchase > 4{number} and member.tier.club in [\"silver\", \"gold\"]', holdout: 0.1, rules: [ {{ award: {{ currency: point, amount: 50 }}, limit: {{ per_member: {{ quarter: 1 }} }} }} ] }}
",
                number + 5
            )
        })
        .collect();
    format!(
        "
currencies:
  point: {{ name: Point, expires: {{ after: P2Y }}, value: 10 }}
  stamp: {{ name: Stamp, expires: never }}
tiers:
  club: {{ measure: {{ earned: point }}, levels: [ {{ id: blue, at: 0 }}, {{ id: silver, at: 500, rate: {{ point: 1.25 }} }}, {{ id: gold, at: 2000, rate: {{ point: 1.5 }} }} ] }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 10000 }} }} ] }}
  stamps: {{ trigger: purchase, rules: [ {{ each: event.items, when: item.category == \"cat-1\", award: {{ currency: stamp, amount: item.quantity }} }} ] }}
{offers}
stacking: {{ order: [ {{ exclusive: [basket-0, basket-1, basket-2] }} ] }}
limits: {{ per_member: {{ point: {{ day: 2000 }} }} }}
"
    )
}

fn basket(order_id: &str) -> String {
    let items = [
        ("A", "cat-1", 2, 60_000),
        ("B", "cat-2", 1, 25_000),
        ("C", "cat-3", 3, 45_000),
        ("D", "cat-9", 1, 12_000),
        ("E", "cat-1", 1, 30_000),
    ];
    lines(order_id, &items)
}

/// A member who has bought once a day for so many days.
fn member(days: i64) -> (Versions, MemberState, Instant) {
    let mut shop = Shop::new(&document()).unchecked();
    let mut now = at("2026-01-01T09:00");
    for day in 0..days {
        shop.send_at(now, "purchase", &basket(&day.to_string()));
        now = now.plus_seconds(86_400);
    }
    (shop.versions.clone(), shop.state(), now)
}

fn decisions(criterion: &mut Criterion) {
    for (name, days) in [("a_purchase_of_5_lines_under_20_campaigns", 3), ("the_same_with_730_open_lots", 730)] {
        let (versions, state, now) = member(days);
        let data = basket("next");
        let what = read_event(&versions.head().definition, "purchase", &data).unwrap();
        let command = Command { effective_at: now, recorded_at: now, what };
        let member = Inputs::of_member(&versions, &state);
        let inputs = Inputs { entropy: [7; 16], draws: Draws::Fresh, payload: &data, ..member };
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| decide(black_box(&inputs), black_box(&command)).unwrap());
        });
    }
    let (versions, ..) = member(1);
    let data = basket("next");
    criterion.bench_function("reading_that_purchase_from_json", |bencher| {
        bencher.iter(|| read_event(&versions.head().definition, "purchase", black_box(&data)).unwrap());
    });
}

fn states(criterion: &mut Criterion) {
    for (name, days) in [("of_a_new_member", 3), ("with_730_open_lots", 730)] {
        let (_, state, _) = member(days);
        let bytes = state.to_bytes();
        assert!(days < 730 || state.purse("point").unwrap().lots.len() == 730);
        println!("the state {name} has {} bytes", bytes.len());
        criterion.bench_function(&format!("writing_the_state_{name}"), |bencher| {
            bencher.iter(|| black_box(&state).to_bytes())
        });
        criterion.bench_function(&format!("reading_the_state_{name}"), |bencher| {
            bencher.iter(|| MemberState::from_bytes(black_box(&bytes)).unwrap());
        });
    }
}

/// Eight vouchers that may be used on the basket, most of them together.
const VOUCHERS: [(&str, &str); 8] = [
    ("a", "gives: { amount_off: 20000 }, stacks: always"),
    ("b", "gives: { percent_off: 10 }, stacks: always"),
    ("c", "gives: { percent_off: 15, up_to: 25000 }, percent_of: original, stacks: always"),
    ("d", "gives: { free_item: { category: cat-1 } }, stacks: always"),
    ("e", "gives: { percent_off: 50, items: { category: cat-2 } }"),
    ("f", "gives: { amount_off: 30000 }, min_spend: 100000"),
    ("g", "gives: { percent_off: 20 }, when: event.total >= 100000"),
    ("h", "gives: { amount_off: 60000 }, stacks: never"),
];

/// What saves most of eight vouchers and two member prices; and what is missing under a thousand campaigns.
fn carts(criterion: &mut Criterion) {
    let vouchers: String = VOUCHERS.iter().map(|(id, terms)| format!("  {id}: {{ {terms} }}\n")).collect();
    let offers: String = (0..1_000)
        .map(|number| {
            let least = 1_000 * (number + 1);
            format!("  offer-{number}: {{ trigger: purchase, rules: [ {{ when: event.total >= {least}, award: {{ currency: point, amount: 1 }} }} ] }}\n")
        })
        .collect();
    let base = "currencies: { point: { name: Point, expires: { after: P1Y } } }\nprices:\n  tea: { items: { category: cat-9 }, percent_off: 10 }\n  cat: { items: { category: cat-3 }, amount_off: 1000, stacks: always }\n";
    let few = format!(
        "{base}campaigns:\n  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}\nvouchers:\n{vouchers}"
    );
    let many = format!("{base}campaigns:\n{offers}");
    let asks = [
        ("quote_best", &few, CartAsk { best: true, ..CartAsk::default() }),
        ("quote_under_1000_campaigns", &many, CartAsk::default()),
        ("quote_missing_under_1000_campaigns", &many, CartAsk { missing: true, ..CartAsk::default() }),
    ];
    for (name, text, ask) in asks {
        let mut shop = Shop::new(text).unchecked();
        shop.send_at(at("2026-01-01T09:00"), "enrol", "{}");
        let codes: Vec<CodeRecord> = match shop.versions.head().voucher("a") {
            Some(_) => VOUCHERS.iter().map(|(id, _)| shop.issue(&format!("CODE-{id}"), id).clone()).collect(),
            None => Vec::new(),
        };
        let (versions, state, now) = (shop.versions.clone(), shop.state(), at("2026-01-02T09:00"));
        let data = basket("next");
        let what = read_event(&versions.head().definition, "purchase", &data).unwrap();
        let command = Command { effective_at: now, recorded_at: now, what };
        let inputs = Inputs { codes: &codes, payload: &data, ..Inputs::of_member(&versions, &state) };
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| decide_cart(black_box(&inputs), black_box(&command), &ask).unwrap());
        });
    }
}

/// A thousand offers for one article each, with their limits, of which five lines name five; looked up, and looked at all.
fn offers(criterion: &mut Criterion) {
    for (limit, of) in [("", ""), (", limit: { per_member: { ever: 1 } }", "_with_limits")] {
        let offers: String = (0..1_000)
            .map(|number| {
                format!("  offer-{number}: {{ trigger: purchase, earning: bonus, rules: [ {{ each: event.items, when: item.sku == \"S{number}\", award: {{ currency: point, amount: 1 }}{limit} }} ] }}\n")
            })
            .collect();
        let text =
            format!("currencies: {{ point: {{ name: Point, expires: {{ after: P1Y }} }} }}\ncampaigns:\n{offers}");
        let mut shop = Shop::new(&text).unchecked();
        shop.send_at(at("2026-01-01T09:00"), "enrol", "{}");
        let (state, now) = (shop.state(), at("2026-01-02T09:00"));
        let all = load_program(&shop::document(&text), 1).unwrap().looking_at_all();
        let skus = ["S3", "S141", "S592", "S653", "S999"];
        let data = lines("next", &skus.map(|sku| (sku, "goods", 1, 10_000)));
        for (how, versions) in [("", shop.versions), ("_all_looked_at", Versions::new(Arc::new(all)))] {
            let what = read_event(&versions.head().definition, "purchase", &data).unwrap();
            let command = Command { effective_at: now, recorded_at: now, what };
            let inputs = Inputs { payload: &data, ..Inputs::of_member(&versions, &state) };
            criterion.bench_function(&format!("1000_offers_five_lines{of}{how}"), |bencher| {
                bencher.iter(|| decide_cart(black_box(&inputs), black_box(&command), &CartAsk::default()).unwrap());
            });
        }
    }
}

criterion_group!(benches, decisions, carts, offers, states);
criterion_main!(benches);
