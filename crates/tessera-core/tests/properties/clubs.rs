//! S1 over random fees, days and uses: a refund is the rest of the period, less what was used, and never below nothing.

use proptest::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};
use tessera_core::decide::quote_refund;
use tessera_core::event::{Situation, UseBenefit, What};
use tessera_core::quantity::Amount;
use tessera_testkit::shop::{Shop, at, id};

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 4))]

    #[test]
    fn s1_a_refund_is_the_share_of_the_days_left_less_what_was_used(
        (fee, worth) in (1..2_000_000_i64, 1..300_000_i64),
        (rounding, strategy) in prop::sample::select(vec![
            ("floor", RoundingStrategy::ToZero),
            ("half_up", RoundingStrategy::MidpointAwayFromZero),
            ("half_even", RoundingStrategy::MidpointNearestEven),
        ]),
        charged in any::<bool>(),
        (period, days) in prop::sample::select(vec![("P1M", 31), ("P1Y", 365), ("P3M", 92), ("P10D", 10)]),
        uses in prop::collection::vec(0..12_i64, 0..5),
        day in 0..360_i64,
        ahead in any::<bool>(),
    ) {
        let less = if charged { "pro_rata_less_used" } else { "pro_rata" };
        let mut shop = Shop::new(&format!(
            "
currencies: {{ point: {{ name: Point, expires: never }} }}
benefits: {{ delivery: {{ name: Delivery, worth: {worth} }} }}
membership: {{ plans: {{ plus: {{ name: Plus, fee: {fee}, period: {period}, benefits: [delivery], refund: {{ policy: {less}, rounding: {rounding} }} }} }} }}
"
        )).unchecked();
        let start = at("2026-03-02T15:00");
        shop.send_at(start, "membership-fee", r#"{"plan": "plus"}"#);
        if ahead {
            shop.send_at(start.plus_seconds(60), "membership-fee", r#"{"plan": "plus", "amount": 1234}"#);
        }
        let day = day % days;
        let mut used = 0;
        let mut hours: Vec<i64> = uses.iter().filter(|of| **of <= day).copied().collect();
        hours.sort_unstable();
        for of in hours {
            let wish = UseBenefit { benefit: id("delivery"), order_id: None, situation: Situation::default() };
            shop.ask(start.plus_seconds(of * 86_400 + 120), What::UseBenefit(wish)).unwrap();
            used += 1;
        }
        let now = start.plus_seconds(day * 86_400 + 3_600);
        let share = (Decimal::from(fee * (days - day - 1)) / Decimal::from(days)).round_dp_with_strategy(0, strategy);
        let charge = Decimal::from(if charged { used * worth } else { 0 });
        let expected = (share - charge).max(Decimal::ZERO) + Decimal::from(if ahead { 1_234 } else { 0 });
        match quote_refund(&shop.versions, &shop.state(), &id("plus"), now) {
            Ok(quote) => prop_assert_eq!(quote.refund.to_decimal(), expected, "{}", quote.words),
            Err(_) => prop_assert_eq!(expected, Decimal::ZERO),
        }
        let refund = shop.offer(now, now, "membership-refund", r#"{"plan": "plus"}"#);
        let told = refund.map_or(Amount::ZERO, |decision| decision.outcome.effects[0].money.unwrap());
        prop_assert_eq!(told.to_decimal(), expected);
        shop.check();
    }
}
