//! Random histories, decided by the core and told by the reference model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tessera_core::decide::Rejected;
use tessera_core::event::{RedemptionPart, What};
use tessera_core::ledger::Redemption;
use tessera_core::time::{Day, Instant};
use tessera_testkit::reference::{Happening, Line, Picture, Reference, Rules};
use tessera_testkit::shop::{Shop, at, level, reserve};

/// Something to do, as far as it is possible when it comes.
#[derive(Clone, Debug)]
enum Deed {
    Buy {
        lines: Vec<Line>,
    },
    /// Of the nth order, up to so many units of each line.
    BringBack {
        order: usize,
        units: Vec<i64>,
    },
    Spend {
        points: i64,
    },
    Reserve {
        points: i64,
    },
    /// So many hundredths of the nth reservation.
    Capture {
        redemption: usize,
        share: i64,
    },
    Void {
        redemption: usize,
    },
    /// So many hundredths of what the nth redemption has left.
    Cancel {
        redemption: usize,
        share: i64,
    },
    Sleep,
}

fn rules() -> impl Strategy<Value = Rules> {
    let levels = prop_oneof![
        Just(vec![]),
        Just(vec![(60, (3, 2))]),
        Just(vec![(60, (5, 4)), (150, (2, 1))]),
        Just(vec![(30, (3, 2)), (90, (7, 4)), (200, (3, 1))]),
    ];
    (
        prop_oneof![Just(1_000), Just(3_000), Just(7_000)],
        proptest::option::of((20_000..120_000_i64, 1..60_i64)),
        proptest::option::of(prop_oneof![Just((2, 1)), Just((3, 2)), Just((3, 1)), Just((9, 4))]),
        proptest::option::of(20..150_i64),
        levels,
        1..14_i32,
        prop_oneof![Just(15_i64), Just(2_000), Just(43_200)],
    )
        .prop_map(|(money_per_point, bonus, coffee_times, day_cap, levels, months, reserve_minutes)| Rules {
            reserve_minutes,
            money_per_point,
            bonus,
            coffee_times,
            day_cap,
            levels,
            months,
        })
}

fn deed() -> impl Strategy<Value = Deed> {
    let line = (any::<bool>(), 1..4_i64, 1..400_i64).prop_map(|(coffee, units, price)| Line {
        coffee,
        units,
        unit_price: price * 100,
    });
    prop_oneof![
        5 => prop::collection::vec(line, 1..4).prop_map(|lines| Deed::Buy { lines }),
        4 => (0..12_usize, prop::collection::vec(0..3_i64, 4)).prop_map(|(order, units)| Deed::BringBack { order, units }),
        2 => (1..150_i64).prop_map(|points| Deed::Spend { points }),
        3 => (1..150_i64).prop_map(|points| Deed::Reserve { points }),
        2 => (0..6_usize, 1..=100_i64).prop_map(|(redemption, share)| Deed::Capture { redemption, share }),
        1 => (0..6_usize).prop_map(|redemption| Deed::Void { redemption }),
        1 => (0..6_usize, 1..=100_i64).prop_map(|(redemption, share)| Deed::Cancel { redemption, share }),
        1 => Just(Deed::Sleep),
    ]
}

/// Minutes until the next deed: the same day, days later, months later.
fn gap() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 0..600_i64, 3 => 600..14_400_i64, 2 => 14_400..200_000_i64]
}

proptest! {
    #![proptest_config(tessera_testkit::cases(100, 1))]

    /// Balance, lots by last day, level, issued, taken back and expired, after every deed and years later.
    #[test]
    fn a1_random_histories_are_as_the_reference_model_tells_them(
        rules in rules(),
        deeds in prop::collection::vec((gap(), deed()), 1..25),
        moments in prop::collection::vec(0..3_000_000_i64, 3),
    ) {
        let mut play = Play::new(&rules);
        let start = at("2026-10-05T08:00");
        let mut now = start;
        for (minutes, deed) in &deeds {
            now = now.plus_seconds(minutes * 60);
            play.act(now, deed);
            prop_assert_eq!(play.seen_at(now), play.reference.at(now), "at {} after {:?}", now, deed);
        }
        for minutes in moments {
            let later = now.plus_seconds(minutes * 60);
            prop_assert_eq!(play.seen_at(later), play.reference.at(later), "at {}", later);
        }
        play.shop.check();
    }

    /// Late purchases, without levels: own windows, own expiry, posted now.
    #[test]
    fn i5_late_purchases_are_as_the_reference_model_tells_them(
        rules in rules().prop_map(|rules| Rules { levels: vec![], ..rules }),
        deeds in prop::collection::vec((gap(), prop::option::of(0..80_000_i64), deed()), 1..16),
    ) {
        let mut play = Play::new(&rules);
        let mut now = at("2026-10-05T08:00");
        for (minutes, late_by, deed) in &deeds {
            now = now.plus_seconds(minutes * 60);
            let late_by = late_by.filter(|_| matches!(deed, Deed::Buy { .. }) && play.bought > 0).unwrap_or(0);
            play.act(now.plus_seconds(-late_by * 60), deed);
            let clock = play.shop.member().stored().map_or(now, |state| state.clock);
            prop_assert_eq!(play.seen_at(clock), play.reference.at(clock), "at {} after {:?}", clock, deed);
        }
        let later = now.plus_seconds(40_000_000);
        prop_assert_eq!(play.seen_at(later), play.reference.at(later));
        play.shop.check();
    }
}

/// The same deeds in the shop and in the reference model.
struct Play {
    shop: Shop,
    reference: Reference,
    bought: usize,
    /// Units still to be brought back, by order and line.
    left: BTreeMap<usize, Vec<i64>>,
    /// The events of redemptions.
    redeemed: Vec<u64>,
}

impl Play {
    fn new(rules: &Rules) -> Self {
        let shop = Shop::new(&rules.document()).unchecked();
        Self { shop, reference: Reference::new(rules.clone()), bought: 0, left: BTreeMap::new(), redeemed: Vec::new() }
    }

    fn act(&mut self, now: Instant, deed: &Deed) {
        match deed {
            Deed::Buy { lines } => {
                let order = self.bought;
                self.bought += 1;
                let items: Vec<String> = lines
                    .iter()
                    .enumerate()
                    .map(|(place, line)| {
                        let category = if line.coffee { "coffee" } else { "goods" };
                        let (units, amount) = (line.units, line.units * line.unit_price);
                        format!(r#"{{"line": "l{place}", "category": "{category}", "quantity": {units}, "amount": {amount}}}"#)
                    })
                    .collect();
                let total: i64 = lines.iter().map(|line| line.units * line.unit_price).sum();
                let data = format!(r#"{{"order_id": "{order}", "total": {total}, "items": [{}]}}"#, items.join(", "));
                self.shop.send_at(now, "purchase", &data);
                self.left.insert(order, lines.iter().map(|line| line.units).collect());
                self.reference.tell(now, Happening::Purchase { order, lines: lines.clone() });
            }
            Deed::BringBack { order, units } => {
                if self.bought == 0 {
                    return;
                }
                let order = order % self.bought;
                let left = self.left.get_mut(&order).unwrap();
                let units: Vec<i64> = left
                    .iter()
                    .zip(units.iter().chain(std::iter::repeat(&0)))
                    .map(|(left, units)| *units.min(left))
                    .collect();
                if units.iter().all(|units| *units == 0) {
                    return;
                }
                left.iter_mut().zip(&units).for_each(|(left, units)| *left -= units);
                let items: Vec<String> = units
                    .iter()
                    .enumerate()
                    .filter(|(_, units)| **units > 0)
                    .map(|(place, units)| format!(r#"{{"line": "l{place}", "quantity": {units}}}"#))
                    .collect();
                let data = format!(r#"{{"order_id": "{order}", "items": [{}]}}"#, items.join(", "));
                self.shop.send_at(now, "return", &data);
                self.reference.tell(now, Happening::Return { order, units });
            }
            Deed::Spend { points } => {
                if self.bought > 0 {
                    self.shop.adjust(&now.to_string(), "point", -points).unwrap();
                    self.reference.tell(now, Happening::Spending { points: *points });
                }
            }
            Deed::Reserve { points } => {
                let there = self.reference.at(now).balance();
                match self.shop.ask(now, What::Redeem(reserve("point", *points))) {
                    Ok(decision) => {
                        assert!(*points <= there, "I2: {points} of {there}");
                        self.reference
                            .tell(now, Happening::Reserve { redemption: self.redeemed.len(), points: *points });
                        self.redeemed.push(decision.events[decision.main].seq);
                    }
                    Err(Rejected::NotEnoughPoints { balance, .. }) => {
                        assert_eq!(balance.available, there.max(0), "I2");
                        assert!(*points > there, "I2: {points} of {there}");
                    }
                    Err(Rejected::NeedsMember | Rejected::TooManyReservations { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            Deed::Capture { redemption, share } => {
                let Some((redemption, known)) = self.known(*redemption) else { return };
                let points = (known.reserved * share + 99) / 100;
                let part = RedemptionPart { redemption: self.redeemed[redemption], points: Some(points) };
                if self.shop.ask(now, What::Capture(part)).is_ok() {
                    self.reference.tell(now, Happening::Capture { redemption, points });
                }
            }
            Deed::Void { redemption } => {
                let Some((redemption, _)) = self.known(*redemption) else { return };
                if self.shop.ask(now, What::Void { redemption: self.redeemed[redemption] }).is_ok() {
                    self.reference.tell(now, Happening::Void { redemption });
                }
            }
            Deed::Cancel { redemption, share } => {
                let Some((redemption, known)) = self.known(*redemption) else { return };
                let points = (known.captured - known.returned) * share / 100;
                let part = RedemptionPart { redemption: self.redeemed[redemption], points: Some(points) };
                if self.shop.ask(now, What::ReturnRedemption(part)).is_ok() {
                    self.reference.tell(now, Happening::Cancel { redemption, points });
                }
            }
            Deed::Sleep => {
                if self.bought > 0 {
                    self.shop.wake_at(now);
                }
            }
        }
    }

    /// The nth redemption from the last, where there are so many.
    fn known(&self, from_last: usize) -> Option<(usize, Redemption)> {
        let place = self.redeemed.len().checked_sub(from_last + 1)?;
        Some((place, self.shop.redemption(self.redeemed[place]).unwrap()))
    }

    fn seen_at(&self, instant: Instant) -> Picture {
        let Some(state) = self.shop.member().stored() else { return Picture::default() };
        let state = tessera_core::decide::settled_to(&self.shop.versions, &state, instant);
        let ladder = self.shop.versions.head().ladders.first();
        let level = ladder.map_or(0, |ladder| {
            let name = level(&self.shop.versions, &state, ladder.id.as_str());
            ladder.levels.iter().position(|level| level.id == *name.as_str()).unwrap()
        });
        let Some(purse) = state.purse("point") else { return Picture { level, ..Picture::default() } };
        let mut lots: BTreeMap<Day, i64> = BTreeMap::new();
        for lot in &purse.lots {
            *lots.entry(lot.last_day.unwrap()).or_insert(0) += lot.remaining.get();
        }
        let totals = purse.totals;
        let (issued, taken_back, expired) = (totals.issued.get(), totals.taken_back.get(), totals.expired.get());
        let (held, redeemed) = (state.held("point").get(), totals.redeemed.get());
        Picture { lots, debt: purse.debt.get(), level, issued, taken_back, expired, held, redeemed }
    }
}
