//! Random histories of everything that can happen: the books hold after each event (A1, L1), nothing depends on when
//! the scheduler looked (I7), and a member does not grow with their history.

use proptest::prelude::*;
use tessera_core::decide::{Decision, Rejected};
use tessera_core::event::{Redeem, RedemptionPart, What};
use tessera_core::time::Instant;
use tessera_testkit::shop::{Shop, at, pay, reserve};

use crate::programs::{Basket, basket, eventful_program, program};

#[derive(Clone, Debug)]
enum Deed {
    Buy(Basket),
    /// Corrects the nth order.
    Amend(usize, Basket),
    /// One unit of the first line, or everything; the order may not be there yet.
    BringBack(usize, bool),
    BringBackWithoutOrder(i64),
    Exchange(usize, Basket),
    Visit,
    Deliver(usize),
    Birthday(u32),
    Adjust(i64),
    /// Points spent at once or reserved.
    Redeem(i64, bool),
    /// As much of a bill as points can pay, reserved.
    Pay(i64),
    /// The nth redemption from the last, all or so many points of it.
    Capture(usize, Option<i64>),
    Void(usize),
    Cancel(usize, Option<i64>),
    /// An order that the nth redemption from the last paid in part.
    BuyWithPoints(Basket, usize),
    /// Publishes another version.
    Publish,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => basket().prop_map(Deed::Buy),
        1 => (0..14_usize, basket()).prop_map(|(order, basket)| Deed::Amend(order, basket)),
        4 => (0..14_usize, any::<bool>()).prop_map(|(order, all)| Deed::BringBack(order, all)),
        1 => (1..50_i64).prop_map(|thousands| Deed::BringBackWithoutOrder(thousands * 1_000)),
        1 => (0..14_usize, basket()).prop_map(|(order, basket)| Deed::Exchange(order, basket)),
        2 => Just(Deed::Visit),
        2 => (0..14_usize).prop_map(Deed::Deliver),
        1 => (1..13_u32).prop_map(Deed::Birthday),
        2 => prop_oneof![1..80_i64, -120..0_i64].prop_map(Deed::Adjust),
        3 => (1..8_i64, any::<bool>()).prop_map(|(tens, capture)| Deed::Redeem(tens * 10, capture)),
        1 => (1..90_i64).prop_map(|hundreds| Deed::Pay(hundreds * 100)),
        2 => (0..3_usize, prop::option::of(1..40_i64)).prop_map(|(which, points)| Deed::Capture(which, points)),
        1 => (0..3_usize).prop_map(Deed::Void),
        1 => (0..3_usize, prop::option::of(1..40_i64)).prop_map(|(which, points)| Deed::Cancel(which, points)),
        2 => (basket(), 0..2_usize).prop_map(|(basket, which)| Deed::BuyWithPoints(basket, which)),
        1 => Just(Deed::Publish),
    ]
}

/// Minutes since the deed before; sometimes the event comes late by some more.
fn times() -> impl Strategy<Value = (i64, i64)> {
    let gap = prop_oneof![3 => 0..900_i64, 3 => 900..20_000_i64, 2 => 20_000..250_000_i64];
    (gap, prop_oneof![5 => Just(0_i64), 1 => 1..60_000_i64])
}

/// Does what can be done; refusals leave no trace.
fn act(shop: &mut Shop, done: &mut Done, at: Instant, deed: &Deed, other: &str) {
    let orders = &mut done.orders;
    let latest = shop.member().stored().map_or(at, |state| state.clock.max(at));
    let redemption = |which: &usize| done.redemptions.iter().rev().nth(*which).copied().unwrap_or(1);
    let mut offer = |kind: &str, data: &str| shop.offer(at, latest, kind, data).is_ok();
    match deed {
        Deed::Buy(basket) => {
            if offer("purchase", &basket.data(&format!("o{orders}"))) {
                *orders += 1;
            }
        }
        Deed::Amend(order, basket) => {
            offer("amend", &basket.data(&format!("o{order}")));
        }
        Deed::BringBack(order, true) => {
            offer("return", &format!(r#"{{"order_id": "o{order}"}}"#));
        }
        Deed::BringBack(order, false) => {
            offer("return", &format!(r#"{{"order_id": "o{order}", "items": [{{"line": "l0", "quantity": 1}}]}}"#));
        }
        Deed::BringBackWithoutOrder(total) => {
            offer(
                "return",
                &format!(r#"{{"items": [{{"sku": "nobody-bought-it", "quantity": 1, "amount": {total}}}]}}"#),
            );
        }
        Deed::Exchange(order, basket) => {
            let bought = basket.data(&format!("x{orders}"));
            let back = format!(r#"{{"order_id": "o{order}", "items": [{{"line": "l0", "quantity": 1}}]}}"#);
            if offer("exchange", &format!(r#"{{"returned": {back}, "bought": {bought}}}"#)) {
                *orders += 1;
            }
        }
        Deed::Visit => {
            offer("visit", "{}");
        }
        Deed::Deliver(order) => {
            offer("delivered", &format!(r#"{{"order_id": "o{order}"}}"#));
        }
        Deed::Birthday(month) => {
            offer("profile", &format!(r#"{{"birthday": "{month:02}-28"}}"#));
        }
        Deed::Adjust(amount) => {
            let _refused_is_fine = shop.adjust(&at.to_string(), "point", *amount);
        }
        Deed::Redeem(points, capture) => {
            let redeem = Redeem { capture: *capture, ..reserve("point", *points) };
            done.note(shop.ask(at, What::Redeem(redeem)));
        }
        Deed::Pay(payable) => done.note(shop.ask(at, What::Redeem(pay("point", &payable.to_string(), None)))),
        Deed::Capture(which, points) => {
            let part = RedemptionPart { redemption: redemption(which), points: *points };
            let _refused_is_fine = shop.ask(at, What::Capture(part));
        }
        Deed::Void(which) => {
            let _refused_is_fine = shop.ask(at, What::Void { redemption: redemption(which) });
        }
        Deed::Cancel(which, points) => {
            let part = RedemptionPart { redemption: redemption(which), points: *points };
            let _refused_is_fine = shop.ask(at, What::ReturnRedemption(part));
        }
        Deed::BuyWithPoints(basket, which) => {
            let payment = shop.payment(redemption(which), basket.total() / 2);
            let data = basket.data_with(&format!("o{orders}"), &format!(r#", "payments": [{payment}]"#));
            *orders += usize::from(shop.offer(at, latest, "purchase", &data).is_ok());
        }
        Deed::Publish => shop.publish(&latest.to_string(), other),
    }
}

/// What can be referred to later.
#[derive(Default)]
struct Done {
    orders: usize,
    redemptions: Vec<u64>,
}

impl Done {
    fn note(&mut self, redeemed: Result<Decision, Rejected>) {
        self.redemptions.extend(redeemed.map(|decision| decision.events[decision.main].seq));
    }
}

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 1))]

    /// Every check of the books, after every event, under two versions of a program.
    #[test]
    fn a1_the_books_hold_after_every_event(
        programs in (eventful_program(), eventful_program()),
        deeds in prop::collection::vec((times(), deed()), 1..25),
    ) {
        let mut shop = Shop::new(&programs.0);
        let (mut now, mut done) = (at("2026-10-05T08:00"), Done::default());
        for ((gap, late_by), deed) in &deeds {
            now = now.plus_seconds(gap * 60);
            act(&mut shop, &mut done, now.plus_seconds(-late_by * 60), deed, &programs.1);
        }
    }

    /// I7: wake-ups at any instants change nothing.
    #[test]
    fn i7_the_result_is_the_same_whenever_the_scheduler_ran(
        programs in (eventful_program(), eventful_program()),
        deeds in prop::collection::vec((times(), deed()), 1..16),
        wakes in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let play = |wakes: &[prop::sample::Index]| {
            let mut shop = Shop::new(&programs.0).unchecked();
            let (mut now, mut done) = (at("2026-10-05T08:00"), Done::default());
            let mut wakes = wakes.iter();
            // An event that comes late must not become later by a look at what fell due: none after it.
            let mut times: Vec<Instant> = deeds.iter().scan(now, |now, ((gap, late_by), _)| {
                *now = now.plus_seconds(gap * 60);
                Some(now.plus_seconds(-late_by * 60))
            }).collect();
            for place in (1..times.len()).rev() {
                times[place - 1] = times[place - 1].min(times[place]);
            }
            for (((gap, late_by), deed), latest) in deeds.iter().zip(times) {
                // Before each deed, up to four looks at moments until then.
                let due = |wake: &prop::sample::Index| now.plus_seconds(i64::try_from(wake.index(usize::try_from(gap * 60 + 1).unwrap())).unwrap());
                let mut moments: Vec<Instant> = wakes.by_ref().take(4).map(due).collect();
                moments.sort_unstable();
                now = now.plus_seconds(gap * 60);
                let time = now.plus_seconds(-late_by * 60);
                let joined = shop.member().stored().is_some();
                for moment in moments.into_iter().filter(|moment| joined && *moment <= latest) {
                    shop.wake_at(moment);
                }
                act(&mut shop, &mut done, time, deed, &programs.1);
            }
            if shop.member().stored().is_some() {
                shop.wake_at(now);
            }
            let entries: Vec<_> = shop.member().events.iter().flat_map(|event| event.entries.clone()).collect();
            (shop.member().stored(), entries)
        };
        prop_assert_eq!(play(&[]), play(&wakes));
    }
}

proptest! {
    #![proptest_config(tessera_testkit::cases(2, 1000))]

    /// Five hundred purchases, two days apart, leave a state no larger than fifty do, but for what a year holds.
    #[test]
    fn state_is_bounded(program in program(), basket in basket()) {
        let program = program.replace("{ after: P10D }", "{ after: P2M, round: month }");
        let mut shop = Shop::new(&program).unchecked();
        let mut now = at("2026-01-01T09:00");
        let mut sizes = Vec::new();
        for number in 0..500 {
            shop.send_at(now, "purchase", &basket.data(&number.to_string()));
            now = now.plus_seconds(2 * 86_400);
            sizes.push(shop.state().to_bytes().len());
        }
        shop.check();
        let (early, late) = (sizes[50..200].iter().max().unwrap(), sizes[350..].iter().max().unwrap());
        prop_assert!(*late <= early + 32, "{early} bytes, then {late}\n{program}");
        prop_assert!(*late < 4_000, "{late} bytes");
    }
}
