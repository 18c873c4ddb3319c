//! R2: orders bought and paid with points on different days, brought back in parts on different days, among purchases that
//! stay. In the end every lot is as if they had never been.

use proptest::prelude::*;
use tessera_core::event::{RedemptionPart, What};
use tessera_core::time::Instant;
use tessera_testkit::shop::{Shop, at, reserve, spend};

use crate::returns::units_back;

#[derive(Clone, Debug)]
enum Deed {
    /// So much, which stays.
    Keep(i64),
    /// Units of a price, paid with at most so many points, to be brought back.
    Buy(i64, i64, i64),
    /// One unit of the nth order, or all that is left of it.
    Back(prop::sample::Index, bool),
    /// So many points at most are reserved, to be set free again.
    Reserve(i64),
    Free(prop::sample::Index),
    Wake,
}

fn deed() -> impl Strategy<Value = Deed> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        2 => (1..60_i64).prop_map(Deed::Keep),
        4 => (1..4_i64, 1..40_i64, prop_oneof![Just(0), 1..90_i64]).prop_map(|(units, price, points)| Deed::Buy(units, price, points)),
        4 => (which(), any::<bool>()).prop_map(|(order, all)| Deed::Back(order, all)),
        1 => (1..60_i64).prop_map(Deed::Reserve),
        1 => which().prop_map(Deed::Free),
        1 => Just(Deed::Wake),
    ]
}

/// An order to be brought back, and the units that are left of it.
#[derive(Clone, Debug)]
struct Order {
    name: String,
    units: i64,
}

impl Order {
    fn bring_back(&mut self, shop: &mut Shop, time: Instant, units: i64) {
        self.units -= units;
        let data = units_back(&[(0, units)]).replace(r#""order_id": "o""#, &format!(r#""order_id": "{}""#, self.name));
        shop.send_at(time, "return", &data);
    }
}

fn sale(name: &str, units: i64, price: i64, payments: &str) -> String {
    let total = units * price * 1_000;
    format!(
        r#"{{"order_id": "{name}", "total": {total}, "items": [{{"line": "l0", "sku": "s0", "quantity": {units}, "amount": {total}}}]{payments}}}"#
    )
}

proptest! {
    #![proptest_config(tessera_testkit::cases(150, 1))]

    #[test]
    fn r2_whatever_came_back_on_whatever_day_every_lot_is_as_if_it_had_never_been_bought(
        months in 1..4_i64,
        pending in prop::sample::select(vec!["", ", pending: P5D", ", pending: { for: P9D, expiry_counts_from: maturity }"]),
        deeds in prop::collection::vec((prop_oneof![2 => 0..600_i64, 2 => 600..14_400_i64, 1 => 14_400..70_000_i64], deed()), 1..20),
        (gap, last) in (0..70_000_i64, prop::collection::vec(any::<prop::sample::Index>(), 12)),
    ) {
        let document = format!(
            "
currencies: {{ point: {{ name: Point, expires: {{ after: P{months}M, round: month }}{pending}, value: 100, spend: {{ reserve: P30D }} }} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}
  big: {{ trigger: purchase, earning: bonus, rules: [ {{ when: event.net >= 30000, award: {{ currency: point, amount: 20 }} }} ] }}
"
        );
        let mut shop = Shop::new(&document).unchecked();
        let mut now = at("2026-10-05T08:00");
        shop.send_at(now, "purchase", &sale("first", 1, 50, ""));
        let mut never = shop.clone();
        let (mut orders, mut reserved): (Vec<Order>, Vec<u64>) = (Vec::new(), Vec::new());
        for (place, (minutes, deed)) in deeds.iter().enumerate() {
            now = now.plus_seconds(minutes * 60 + 1);
            let (name, available) = (format!("o{place}"), shop.available("point"));
            match deed {
                Deed::Keep(price) => {
                    shop.send_at(now, "purchase", &sale(&name, 1, *price, ""));
                    never.send_at(now, "purchase", &sale(&name, 1, *price, ""));
                }
                Deed::Buy(units, price, points) => {
                    let points = available.min(*points).min(units * price * 10);
                    let redeemed = if points > 0 { shop.ask(now, What::Redeem(spend("point", points))).ok() } else { None };
                    let payments = redeemed.map_or_else(String::new, |decision| {
                        let redemption = decision.events[decision.main].seq;
                        format!(r#", "payments": [{}]"#, shop.payment(redemption, points * 100))
                    });
                    shop.send_at(now, "purchase", &sale(&name, *units, *price, &payments));
                    orders.push(Order { name, units: *units });
                }
                Deed::Back(which, all) => {
                    let mut open: Vec<&mut Order> = orders.iter_mut().filter(|order| order.units > 0).collect();
                    if !open.is_empty() {
                        let order = which.index(open.len());
                        let units = if *all { open[order].units } else { 1 };
                        open[order].bring_back(&mut shop, now, units);
                    }
                }
                Deed::Reserve(points) => {
                    if let Ok(decision) = shop.ask(now, What::Redeem(reserve("point", available.min(*points).max(1)))) {
                        reserved.push(decision.events[decision.main].seq);
                    }
                }
                Deed::Free(which) if !reserved.is_empty() => {
                    let redemption = reserved.swap_remove(which.index(reserved.len()));
                    // Unless it has ended by itself.
                    drop(shop.ask(now, What::Void { redemption }));
                }
                Deed::Free(_) => {}
                Deed::Wake => drop(shop.wake_at(now)),
            }
        }
        now = now.plus_seconds(gap * 60);
        let mut picks = last.iter().cycle();
        while orders.iter().any(|order| order.units > 0) || !reserved.is_empty() {
            let mut open: Vec<&mut Order> = orders.iter_mut().filter(|order| order.units > 0).collect();
            let place = picks.next().unwrap().index(open.len() + reserved.len());
            match open.get_mut(place) {
                Some(order) => order.bring_back(&mut shop, now, 1),
                // Nothing of it was captured, or nothing is spent of it any more; or it has ended by itself.
                None => {
                    let redemption = reserved.swap_remove(place - open.len());
                    let part = RedemptionPart { redemption, points: None };
                    if place % 2 == 0 && shop.ask(now, What::Capture(part)).is_ok() {
                        shop.ask(now, What::ReturnRedemption(part)).unwrap();
                    } else {
                        drop(shop.ask(now, What::Void { redemption }));
                    }
                }
            }
        }
        shop.check();
        for days in [0, 20, 60, 400] {
            let later = now.plus_seconds(days * 86_400);
            never.wake_at(later);
            shop.wake_at(later);
            let seen = |shop: &Shop| (shop.lots("point"), shop.balance("point"));
            prop_assert_eq!(seen(&never), seen(&shop), "{} days later", days);
        }
        prop_assert!(shop.state().shortfalls.iter().all(|known| known.gap() == 0));
    }
}
