//! How long one decision takes, and the stored form of a member: the numbers behind `docs/performance.md`.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tessera_core::decide::{Inputs, decide};
use tessera_core::event::{Command, read_event};
use tessera_core::member::MemberState;
use tessera_core::program::Versions;
use tessera_core::time::Instant;
use tessera_testkit::shop::{Shop, at, json::lines};

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
        let pools = BTreeMap::new();
        let what = read_event(&versions.head().definition, "purchase", &data).unwrap();
        let command = Command { effective_at: now, recorded_at: now, what };
        let inputs = Inputs {
            versions: &versions,
            state: Some(&state),
            new_member: state.id,
            guest: false,
            pools: &pools,
            orders: &[],
            redemptions: &[],
            codes: &[],
            history: None,
            former: &[],
            memory: None,
            entropy: [7; 16],
            draws: tessera_core::decide::Draws::Fresh,
            payload: &data,
            origin: tessera_core::event::Origin::nowhere(),
            explain: false,
        };
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

criterion_group!(benches, decisions, states);
criterion_main!(benches);
