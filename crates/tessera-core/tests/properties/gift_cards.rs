//! V3, A1 over random histories of a card: everything that was ever paid in is on it, reserved, spent, expired or void, and
//! never is anything below zero.

use proptest::prelude::*;
use tessera_core::decide::Rejected;
use tessera_core::event::{GiftCardStep, What};
use tessera_core::ledger::RedemptionStatus;
use tessera_core::time::Instant;
use tessera_testkit::shop::{Shop, at, pay, reserve, spend};

#[derive(Clone, Debug)]
enum Step {
    TopUp(i64),
    Spend(i64),
    Reserve(i64),
    Pay(i64),
    Capture(prop::sample::Index, Option<i64>),
    Void(prop::sample::Index),
    Return(prop::sample::Index, Option<i64>),
    Block,
    Unblock,
    Cancel,
    Replace(u8),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::option::of(1..200_i64);
    prop_oneof![
        2 => (1..300_i64).prop_map(Step::TopUp),
        3 => (1..200_i64).prop_map(Step::Spend),
        3 => (1..200_i64).prop_map(Step::Reserve),
        2 => (1..200_i64).prop_map(Step::Pay),
        3 => (any::<prop::sample::Index>(), some()).prop_map(|(which, part)| Step::Capture(which, part)),
        1 => any::<prop::sample::Index>().prop_map(Step::Void),
        3 => (any::<prop::sample::Index>(), some()).prop_map(|(which, part)| Step::Return(which, part)),
        1 => Just(Step::Block),
        2 => Just(Step::Unblock),
        1 => Just(Step::Cancel),
        1 => any::<u8>().prop_map(Step::Replace),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(tessera_testkit::cases(120, 1))]

    #[test]
    fn v3_what_was_paid_in_is_there_spent_or_expired(
        expires in prop::sample::select(vec!["never", "{ after: P1M }"]),
        restored in prop::sample::select(vec!["stay_expired", "new_date", "{ grace: P10D }"]),
        first in 0..500_i64,
        steps in prop::collection::vec((0..12_i64, step()), 1..40),
    ) {
        let mut shop = Shop::new(&format!(
            "gift_cards: {{ expires: {expires}, restored: {restored} }}\ncurrencies: {{ point: {{ name: P, expires: never }} }}"
        ));
        let mut now: Instant = at("2026-01-01T09:00");
        shop.ask(now, What::GiftCard(GiftCardStep::Issue { code: [0; 16], amount: first })).unwrap();
        let (mut paid_in, mut redemptions) = (first, Vec::new());
        for (days, step) in steps {
            now = now.plus_seconds(if days > 9 { days * 86_400 } else { days * 200 });
            let text = now.to_string();
            let which = |index: prop::sample::Index, known: &[u64]| (!known.is_empty()).then(|| *index.get(known));
            let mut made = |decision: Result<tessera_core::decide::Decision, Rejected>| {
                if let Ok(decision) = decision {
                    redemptions.push(decision.events[decision.main].seq);
                }
            };
            match step {
                Step::TopUp(amount) => {
                    let loaded = shop.ask(now, What::GiftCard(GiftCardStep::TopUp { amount }));
                    paid_in += if loaded.is_ok() { amount } else { 0 };
                }
                Step::Spend(amount) => made(shop.redeem(&text, spend("gift-card", amount))),
                Step::Reserve(amount) => made(shop.redeem(&text, reserve("gift-card", amount))),
                Step::Pay(amount) => made(shop.redeem(&text, pay("gift-card", &amount.to_string(), None))),
                Step::Capture(index, part) => {
                    if let Some(seq) = which(index, &redemptions) {
                        let _ = shop.capture(&text, seq, part);
                    }
                }
                Step::Void(index) => {
                    if let Some(seq) = which(index, &redemptions) {
                        let _ = shop.void(&text, seq);
                    }
                }
                Step::Return(index, part) => {
                    if let Some(seq) = which(index, &redemptions) {
                        let _ = shop.cancel(&text, seq, part);
                    }
                }
                Step::Block => drop(shop.ask(now, What::GiftCard(GiftCardStep::Block)).unwrap()),
                Step::Unblock => drop(shop.ask(now, What::GiftCard(GiftCardStep::Unblock)).unwrap()),
                Step::Cancel => drop(shop.ask(now, What::GiftCard(GiftCardStep::Void))),
                Step::Replace(code) => {
                    drop(shop.ask(now, What::GiftCard(GiftCardStep::Replace { code: [code; 16] })).unwrap());
                }
                Step::Wait => drop(shop.wake_at(now)),
            }
            let balance = shop.balance("gift-card");
            let totals = shop.state().purse("gift-card").map(|purse| purse.totals).unwrap_or_default();
            prop_assert!(balance.available >= 0 && balance.held >= 0 && balance.debt == 0);
            prop_assert_eq!(totals.issued.get(), paid_in);
            let accounted = balance.available + balance.held + totals.redeemed.get() + totals.expired.get() + totals.taken_back.get();
            prop_assert_eq!(accounted, paid_in);
            let spent: i64 = redemptions
                .iter()
                .filter_map(|seq| shop.redemption(*seq))
                .filter(|redemption| redemption.status == RedemptionStatus::Captured)
                .map(|redemption| redemption.captured - redemption.returned)
                .sum();
            // What came back to a load that had died is expired, not spent.
            prop_assert_eq!(spent, totals.redeemed.get());
        }
    }
}
