//! R2, R8, V3, A1 in a program that has everything at once: whatever comes back was never bought, and through whatever
//! members do the books hold.

use proptest::prelude::*;
use rust_decimal::Decimal;
use tessera_core::decide::{Decision, EffectKind, Rejected};
use tessera_core::event::{GiftCardStep, Situation, UseBenefit, What};
use tessera_core::quantity::Amount;
use tessera_core::time::Instant;
use tessera_testkit::shop::{Shop, at, count_of, id, spend};

use crate::programs::{Basket, basket};
use crate::returns::{books, units_back};

/// Points, stamps, levels, a club, a challenge, a streak, vouchers, gift cards, referral, transfers, limits and budgets.
fn program(expires: &str, pending: &str, measure: &str) -> String {
    format!(
        "
currencies:
  point: {{ name: Point, expires: {expires}{pending}, value: 100 }}
  star: {{ name: Star, expires: never }}
gift_cards: {{ expires: never }}
transfers: {{ point: {{ fee: 2, per_member: {{ month: 300 }} }} }}
referral:
  qualifies: {{ trigger: purchase, when: event.total >= 20000 }}
  gives: {{ referrer: [ {{ award: {{ currency: star, amount: 100 }} }} ], friend: [ {{ award: {{ currency: star, amount: 50 }} }} ] }}
benefits: {{ delivery: {{ name: Delivery, per: {{ month: 3 }}, worth: 15000 }} }}
membership: {{ plans: {{ plus: {{ name: Plus, fee: 365000, period: P1M, grace: P5D, benefits: [delivery], rate: {{ point: 1.25 }} }} }} }}
tiers:
  club: {{ measure: {measure}, levels: [ {{ id: blue, at: 0 }}, {{ id: silver, at: 40, rate: {{ point: 1.5 }}, benefits: [delivery] }}, {{ id: gold, at: 90, rate: {{ point: 2 }} }} ] }}
cards: {{ coffee: {{ stamps: 90, when: item.category == \"a\", full: {{ award: {{ currency: star, amount: 5 }} }} }} }}
challenges: {{ tour: {{ counts: purchase, steps: [ {{ at: 2, badge: bronze }}, {{ at: 4, badge: silver, award: {{ currency: star, amount: 30 }} }} ] }} }}
streaks: {{ daily: {{ counts: purchase, milestones: [ {{ at: 1, badge: day, award: {{ currency: star, amount: 7 }} }} ] }} }}
badges: {{ bronze: {{ name: B }}, silver: {{ name: S }}, day: {{ name: D }} }}
vouchers: {{ tet: {{ gives: {{ amount_off: 5000 }}, uses: {{ per_member: {{ month: 9 }} }}, on_return: rearm }} }}
events: {{ visit: {{}} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1500, fraction: carry }} }} ] }}
  big: {{ trigger: purchase, earning: bonus, budget: {{ point: 50 }}, rules: [ {{ when: event.net >= 30000, award: {{ currency: point, amount: 20 }}, limit: {{ per_member: {{ month: 3 }} }} }} ] }}
  small: {{ trigger: purchase, earning: bonus, rules: [ {{ when: event.net < 20000, award: {{ currency: point, amount: 9 }} }} ] }}
  twice: {{ trigger: purchase, earning: bonus, rules: [ {{ each: event.items, when: item.category == \"a\", extra: {{ currency: point, times: 2.5 }} }} ] }}
  hello: {{ trigger: visit, rules: [ {{ award: {{ currency: point, amount: 3 }} }} ] }}
limits: {{ per_member: {{ point: {{ day: 120 }} }} }}
"
    )
}

fn any_program() -> impl Strategy<Value = String> {
    let expires = prop::sample::select(vec!["never", "{ after: P1M, round: month }", "{ inactivity: P3M }"]);
    let pending = prop::sample::select(vec!["", ", pending: P5D", ", pending: { for: P5D, counts_to_tiers: true }"]);
    let measure = prop::sample::select(vec!["{ earned: point }", "{ earned: point, counts: all }"]);
    (expires, pending, measure).prop_map(|(expires, pending, measure)| program(expires, pending, measure))
}

#[derive(Clone, Debug)]
enum Pays {
    Money,
    /// So many points at most.
    Points(i64),
    /// So many hundredths of it with a gift card.
    Card(i64),
}

/// An order, how it is paid, and whether a voucher is used.
#[derive(Clone, Debug)]
struct Sale(Basket, Pays, bool);

fn sale() -> impl Strategy<Value = Sale> {
    let pays = prop_oneof![
        3 => Just(Pays::Money),
        2 => (1..60_i64).prop_map(Pays::Points),
        2 => (1..=100_i64).prop_map(Pays::Card),
    ];
    (basket(), pays, any::<bool>()).prop_map(|(basket, pays, voucher)| Sale(basket, pays, voucher))
}

/// What paid for an order besides money, and what came back of it so far.
#[derive(Clone, Debug, Default)]
struct Order {
    name: String,
    member: usize,
    total: i64,
    points: i64,
    card: i64,
    /// Units left, by line, each once.
    units: Vec<usize>,
    back: (i64, Decimal, Decimal),
}

const CARD: usize = 3;

impl Order {
    /// Sells to a member; the card pays if it can.
    fn sell(shop: &mut Shop, time: Instant, member: usize, name: &str, sale: &Sale) -> Result<Self, Rejected> {
        let Sale(basket, pays, voucher) = sale;
        let total = basket.total();
        let mut order = Self { name: name.into(), member, total, ..Self::default() };
        let mut more = String::new();
        let seq = |decision: Decision| decision.events[decision.main].seq;
        match pays {
            Pays::Money => {}
            Pays::Points(most) => {
                let has = shop.of_member(member).member().stored().map_or(0, |_| shop.available("point"));
                let points = has.min(*most).min(total / 100);
                if points > 0 {
                    let redemption = seq(shop.ask(time, What::Redeem(spend("point", points)))?);
                    (order.points, more) =
                        (points, format!(r#", "payments": [{}]"#, shop.payment(redemption, points * 100)));
                }
            }
            Pays::Card(share) => {
                let amount = (total * share / 100).min(shop.of_member(CARD).available("gift-card"));
                if amount > 0 {
                    let redemption = seq(shop.ask(time, What::Redeem(spend("gift-card", amount)))?);
                    let payment = shop.payment(redemption, amount).replace("\"points\"", "\"gift_card\"");
                    (order.card, more) = (amount, format!(r#", "payments": [{payment}]"#));
                }
            }
        }
        if *voucher {
            let code = format!("TET-{name}").to_uppercase();
            shop.issue(&code, "tet");
            more += &format!(r#", "vouchers": ["{code}"]"#);
        }
        let latest = shop.of_member(member).member().stored().map_or(time, |state| state.clock.max(time));
        shop.offer(time, latest, "purchase", &basket.data_with(name, &more))?;
        let lines = basket.lines.iter().enumerate();
        order.units = lines.flat_map(|(line, (units, ..))| vec![line; usize::try_from(*units).unwrap()]).collect();
        Ok(order)
    }

    /// Brings units back and notes what the decision gave back for them.
    fn bring_back(&mut self, shop: &mut Shop, time: Instant, units: &[(usize, i64)]) {
        let data = units_back(units).replace(r#""order_id": "o""#, &format!(r#""order_id": "{}""#, self.name));
        let decision = shop.of_member(self.member).send_at(time, "return", &data);
        for effect in &decision.outcome.effects {
            let money = effect.money.map(Amount::to_decimal).unwrap_or_default();
            match effect.kind {
                EffectKind::Refunded | EffectKind::DebtRepaid | EffectKind::Expired if effect.redemption.is_some() => {
                    self.back.0 += effect.amount.unwrap();
                }
                EffectKind::ToGiftCard => self.back.1 += money,
                EffectKind::MoneyBack => self.back.2 += money,
                _ => {}
            }
        }
    }

    /// R8, V3: of points, card and money exactly what each had paid.
    fn check(&self) -> Result<(), TestCaseError> {
        let (points, card, money) = self.back;
        let paid = self.total - self.points * 100 - self.card;
        let paid = if self.points + self.card > 0 { paid } else { 0 };
        prop_assert_eq!((points, card, money), (self.points, self.card.into(), paid.into()), "{:?}", self);
        Ok(())
    }
}

/// Challenges, streaks and badges, without what stands at nothing.
fn play(shop: &Shop, time: Instant) -> String {
    let state = shop.state();
    let day = shop.versions.head().calendar.day(time);
    let challenges: Vec<_> =
        state.challenges.iter().filter(|row| !row.value.is_zero()).map(|row| (&row.challenge, row.value)).collect();
    let streaks: Vec<_> = state
        .streaks
        .iter()
        .map(|row| (&row.streak, row.current(row.every.period(day))))
        .filter(|(_, run)| *run > 0)
        .collect();
    let badges: Vec<_> = state.badges.iter().map(|held| &held.badge).collect();
    format!("{challenges:?} {streaks:?} {badges:?}")
}

fn opened(program: &str) -> Shop {
    let mut shop = Shop::new(program).unchecked();
    let load = GiftCardStep::Issue { code: [1; 16], amount: 90_000 };
    shop.of_member(CARD).ask(at("2026-11-01T09:00"), What::GiftCard(load)).unwrap();
    shop.of_member(0);
    shop
}

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 4))]

    /// Orders of one day, paid in every way, brought back unit by unit in any order, at once or weeks later.
    #[test]
    fn r2_whatever_comes_back_in_any_order_was_never_bought(
        program in any_program(),
        (before, sales) in (prop::collection::vec(basket(), 0..3), prop::collection::vec(sale(), 1..4)),
        days in prop::sample::select(vec![0_i64, 0, 7, 40, 100]),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 27),
    ) {
        let mut shop = opened(&program);
        for (place, basket) in before.iter().enumerate() {
            shop.send(&format!("2026-12-{:02}T09:00", 20 + 3 * place), "purchase", &basket.data(&place.to_string()));
        }
        shop.adjust("2026-12-30T07:00", "point", 40).unwrap();
        shop.send("2026-12-30T08:00", "membership-fee", r#"{"plan": "plus"}"#);
        let mut never = shop.clone();
        let mut time = at("2026-12-30T09:00");
        let mut orders: Vec<Order> = Vec::new();
        for (place, sale) in sales.iter().enumerate() {
            time = time.plus_seconds(60);
            orders.push(Order::sell(&mut shop, time, 0, &format!("o{place}"), sale).unwrap());
        }
        time = time.plus_seconds(3_600 + days * 86_400);
        let mut picks = picks.iter().cycle();
        while orders.iter().any(|order| !order.units.is_empty()) {
            let (which, unit, together) = picks.next().unwrap();
            let mut open: Vec<&mut Order> = orders.iter_mut().filter(|order| !order.units.is_empty()).collect();
            let place = which.index(open.len());
            let order = &mut open[place];
            let mut units = vec![(order.units.swap_remove(unit.index(order.units.len())), 1)];
            if *together && let Some(line) = order.units.pop() {
                units.push((line, 1));
            }
            order.bring_back(&mut shop, time, &units);
        }
        shop.relay();
        shop.check();
        for order in &orders {
            order.check()?;
            let progress = shop.of_member(0).progress(&order.name).unwrap();
            prop_assert!(progress.net.values().all(|net| *net == 0) && progress.usage.is_empty() && progress.carried.is_empty());
        }
        prop_assert_eq!(shop.of_member(CARD).balance("gift-card").available, 90_000);
        shop.of_member(0);
        never.wake_at(time);
        shop.wake_at(time);
        // A streak remembers its last 31 days; what is older stays as it was.
        let remembered = days < 31;
        for currency in if remembered { vec!["point", "coffee", "star"] } else { vec!["point", "coffee"] } {
            let sums = |shop: &Shop| { let balance = shop.balance(currency); (balance.available - balance.debt, balance.pending, balance.held) };
            prop_assert_eq!(sums(&never), sums(&shop), "{} {}", currency, program);
        }
        if remembered {
            prop_assert_eq!(play(&never, time), play(&shop, time), "{}", program);
        }
        let with_points = orders.iter().any(|order| order.points > 0);
        let (left, right) = (books(&never), books(&shop));
        // What points paid comes home after others were taken; and room goes back into open windows only.
        let same = if with_points { 1 } else { 0 };
        if days == 0 {
            prop_assert_eq!(&left[same..5], &right[same..5], "{}", program);
            for (place, Sale(.., voucher)) in sales.iter().enumerate() {
                let used = if *voucher { shop.code(&format!("TET-O{place}")).uses } else { 0 };
                prop_assert_eq!(used, 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 2))]

    /// R10: one command comes to what a purchase and a return would, and says nothing of a level that the net keeps.
    #[test]
    fn r10_an_exchange_is_a_purchase_and_a_return_and_moves_no_level_that_the_net_keeps(
        program in any_program(),
        before in prop::collection::vec(basket(), 0..3),
        (sold, bought) in (basket(), basket()),
        units in prop::option::of(prop::sample::subsequence(vec![0_usize, 1, 2], 1..3)),
    ) {
        let mut shop = opened(&program);
        for (place, basket) in before.iter().enumerate() {
            shop.send(&format!("2026-12-{:02}T09:00", 20 + 3 * place), "purchase", &basket.data(&place.to_string()));
        }
        shop.send("2026-12-30T09:00", "purchase", &sold.data("o"));
        let (level, mut apart) = (shop.level("club"), shop.clone());
        let lines = units.iter().flatten().filter(|line| **line < sold.lines.len()).map(|line| (*line, 1)).collect::<Vec<_>>();
        let back = if lines.is_empty() { r#"{"order_id": "o"}"#.to_owned() } else { units_back(&lines) };
        let exchange = format!(r#"{{"returned": {back}, "bought": {}}}"#, bought.data("x"));
        let decision = shop.send("2026-12-30T10:00", "exchange", &exchange);
        apart.send("2026-12-30T10:00", "purchase", &bought.data("x"));
        apart.send("2026-12-30T10:00", "return", &back);
        prop_assert_eq!(books(&apart), books(&shop), "{}", program);
        let moved = count_of(&decision, EffectKind::TierUp) + count_of(&decision, EffectKind::TierDown);
        prop_assert_eq!(moved, usize::from(shop.level("club") != level), "{}", program);
        shop.check();
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Buy(Sale),
    /// One unit of the nth order, or everything that is left of it.
    Back(prop::sample::Index, bool),
    Exchange(prop::sample::Index, Basket),
    Amend(prop::sample::Index, Basket),
    Visit,
    Fee,
    EndClub(bool),
    UseBenefit(Option<prop::sample::Index>),
    Adjust(i64),
    Send(usize, i64),
    Join,
    Load(i64),
    Relay,
    Wake,
}

fn deed() -> impl Strategy<Value = Deed> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        8 => sale().prop_map(Deed::Buy),
        6 => (which(), any::<bool>()).prop_map(|(order, all)| Deed::Back(order, all)),
        1 => (which(), basket()).prop_map(|(order, basket)| Deed::Exchange(order, basket)),
        1 => (which(), basket()).prop_map(|(order, basket)| Deed::Amend(order, basket)),
        2 => Just(Deed::Visit),
        2 => Just(Deed::Fee),
        1 => any::<bool>().prop_map(Deed::EndClub),
        2 => prop::option::of(which()).prop_map(Deed::UseBenefit),
        2 => prop_oneof![1..80_i64, -120..0_i64].prop_map(Deed::Adjust),
        3 => (0..3_usize, 1..80_i64).prop_map(|(to, amount)| Deed::Send(to, amount)),
        1 => Just(Deed::Join),
        1 => (1..90_i64).prop_map(|thousands| Deed::Load(thousands * 1_000)),
        4 => Just(Deed::Relay),
        1 => Just(Deed::Wake),
    ]
}

/// Three members, a gift card and what they do.
struct Walk {
    shop: Shop,
    now: Instant,
    orders: Vec<Order>,
    loaded: i64,
}

impl Walk {
    /// Does what can be done; refusals leave no trace.
    fn act(&mut self, place: usize, member: usize, deed: &Deed) {
        let (now, name) = (self.now, format!("w{place}"));
        let latest = self.shop.of_member(member).member().stored().map_or(now, |state| state.clock.max(now));
        let mut of_member: Vec<&mut Order> =
            self.orders.iter_mut().filter(|order| order.member == member && !order.units.is_empty()).collect();
        let some = of_member.len();
        let shop = &mut self.shop;
        match deed {
            Deed::Buy(sale) => self.orders.extend(Order::sell(shop, now, member, &name, sale)),
            Deed::Back(which, all) if some > 0 => {
                let order = &mut of_member[which.index(some)];
                let take = if *all { order.units.len() } else { 1 };
                let units: Vec<(usize, i64)> = order.units.drain(..take).map(|line| (line, 1)).collect();
                order.bring_back(shop, now, &units);
            }
            // What an exchange or a correction leaves is no longer told by units: the end brings it back as a whole.
            Deed::Exchange(which, basket) if some > 0 => {
                let order = &mut of_member[which.index(some)];
                let back = format!(
                    r#"{{"order_id": "{}", "items": [{{"line": "l{}", "quantity": 1}}]}}"#,
                    order.name, order.units[0]
                );
                let data = format!(r#"{{"returned": {back}, "bought": {}}}"#, basket.data(&name));
                if shop.offer(now, latest, "exchange", &data).is_ok() {
                    order.units.clear();
                }
            }
            Deed::Amend(which, basket) if some > 0 => {
                let order = &mut of_member[which.index(some)];
                if shop.offer(now, latest, "amend", &basket.data(&order.name)).is_ok() {
                    order.units.clear();
                }
            }
            Deed::Back(..) | Deed::Exchange(..) | Deed::Amend(..) => {}
            Deed::Visit => drop(shop.send_at(now, "visit", "{}")),
            Deed::Fee => drop(shop.offer(now, latest, "membership-fee", r#"{"plan": "plus"}"#)),
            Deed::EndClub(refund) => {
                let kind = if *refund { "membership-refund" } else { "membership-cancel" };
                drop(shop.offer(now, latest, kind, r#"{"plan": "plus"}"#));
            }
            Deed::UseBenefit(order) => {
                let order_id =
                    order.as_ref().filter(|_| some > 0).map(|which| of_member[which.index(some)].name.as_str().into());
                let wish = UseBenefit { benefit: id("delivery"), order_id, situation: Situation::default() };
                drop(shop.ask(now, What::UseBenefit(wish)));
            }
            Deed::Adjust(amount) => drop(shop.adjust(&now.to_string(), "point", *amount)),
            Deed::Send(to, amount) => drop(shop.transfer(&now.to_string(), *to, "point", *amount)),
            Deed::Join if member > 0 => drop(shop.join_brought_by(&now.to_string(), member - 1, None)),
            Deed::Join => {}
            Deed::Load(amount) => {
                let step = What::GiftCard(GiftCardStep::TopUp { amount: *amount });
                self.loaded += if shop.of_member(CARD).ask(now, step).is_ok() { *amount } else { 0 };
            }
            Deed::Relay => drop(shop.relay()),
            Deed::Wake if shop.member().stored().is_some() => drop(shop.wake_at(now)),
            Deed::Wake => {}
        }
    }
}

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 4))]

    /// A1, L1, P7, F1: after everything that three members did, and after everything has come back.
    #[test]
    fn a1_the_books_of_several_members_hold_through_everything(
        program in any_program(),
        deeds in prop::collection::vec((0..3_usize, deed(), prop_oneof![3 => 0..600_i64, 2 => 600..20_000_i64, 1 => 20_000..90_000_i64]), 1..30),
    ) {
        let mut walk = Walk { shop: opened(&program), now: at("2026-11-02T08:00"), orders: Vec::new(), loaded: 90_000 };
        for (place, (member, deed, minutes)) in deeds.iter().enumerate() {
            walk.now = walk.now.plus_seconds(minutes * 60 + 1);
            walk.act(place, *member, deed);
        }
        walk.shop.relay();
        walk.shop.check();
        let Walk { mut shop, now, orders, loaded } = walk;
        for mut order in orders {
            if order.units.is_empty() {
                continue;
            }
            let units: Vec<(usize, i64)> = order.units.drain(..).map(|line| (line, 1)).collect();
            order.bring_back(&mut shop, now, &units);
            order.check()?;
        }
        shop.relay();
        shop.check();
        let card = shop.of_member(CARD).balance("gift-card");
        let spent = shop.state().purse("gift-card").unwrap().totals.redeemed.get();
        prop_assert_eq!(card.available + spent, loaded);
    }
}
