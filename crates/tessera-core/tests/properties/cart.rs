//! C3, C4: the search for what saves most finds what trying everything finds, and its answer is kept when it is bought.

use proptest::prelude::*;
use tessera_core::decide::{CartAsk, EffectKind};
use tessera_core::event::{Order, What, read_event};
use tessera_core::program::Program;
use tessera_core::quantity::Amount;
use tessera_core::voucher::{Candidate, discounts, worth};
use tessera_testkit::shop::{Shop, program};

const SHOP: &str = "
currencies: { bean: { name: Bean, expires: never } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
prices:
  shut: { items: { category: tea }, percent_off: 15 }
  open: { items: { category: coffee }, percent_off: 10, stacks: always }
  season: { items: { sku: [S1] }, percent_off: 12, stacks: { exclusive: season } }
vouchers:
  amount: { gives: { amount_off: 20000 }, stacks: always }
  percent: { gives: { percent_off: 33 }, stacks: always, rounding: half_up, priority: 1 }
  original: { gives: { percent_off: 40, up_to: 30000 }, percent_of: original, stacks: always }
  free: { gives: { free_item: { category: coffee } } }
  most: { gives: { percent_off: 50, items: { category: tea } }, stacks: { exclusive: season }, priority: -1 }
  rival: { gives: { amount_off: 25000 }, min_spend: 60000, stacks: { exclusive: season } }
  least: { gives: { amount_off: 18000 }, min_spend: 90000 }
  alone: { gives: { amount_off: 45000 }, stacks: never }
  ship: { gives: { free_shipping: true, up_to: 12000 }, stacks: always }
  paid: { gives: { amount_off: 22000 }, when: event.total >= 70000, stacks: always }
";

const NAMES: [&str; 10] = ["amount", "percent", "original", "free", "most", "rival", "least", "alone", "ship", "paid"];

/// A cart as its data, with the codes of all vouchers of these names.
fn cart() -> impl Strategy<Value = (String, Vec<&'static str>)> {
    let line = (1..4_i64, 1..60_i64, prop::sample::select(vec!["coffee", "tea", "cake"]), 1..4_i64).prop_map(
        |(quantity, thousands, category, sku)| {
            let amount = thousands * 1_000 * quantity + sku;
            (
                amount,
                format!(r#"{{"sku": "S{sku}", "category": "{category}", "quantity": {quantity}, "amount": {amount}}}"#),
            )
        },
    );
    let names = prop::sample::subsequence(NAMES.to_vec(), 0..=6);
    (prop::collection::vec(line, 1..5), 0..3_i64, names).prop_map(|(lines, shipping, names)| {
        let shipping = shipping * 9_000;
        let total: i64 = lines.iter().map(|(amount, _)| amount).sum::<i64>() + shipping;
        let items: Vec<&str> = lines.iter().map(|(_, item)| item.as_str()).collect();
        let data = format!(
            r#"{{"order_id": "c", "total": {total}, "shipping": {shipping}, "items": [{}]}}"#,
            items.join(", ")
        );
        (data, names)
    })
}

fn subsets<T: Clone>(all: &[T]) -> Vec<Vec<T>> {
    all.iter().fold(vec![Vec::new()], |sets, one| {
        let more: Vec<Vec<T>> = sets.iter().map(|set| set.iter().cloned().chain([one.clone()]).collect()).collect();
        sets.into_iter().chain(more).collect()
    })
}

/// A line at its member price, worked out by hand; every line has at most one open price and one of a season.
fn at_prices(order: &Order, taken: &[&str]) -> Order {
    let mut order = order.clone();
    for item in &mut order.items {
        let is_s1 = item.sku.as_deref() == Some("S1");
        let percents = [
            ("open", 10, item.category.as_deref() == Some("coffee")),
            ("season", 12, is_s1),
            ("shut", 15, item.category.as_deref() == Some("tea")),
        ];
        let percents = percents.into_iter().filter(|(name, _, fits)| *fits && taken.contains(name));
        if let Some((name, percent, _)) = percents.max_by_key(|(_, percent, _)| *percent) {
            let whole = item.amount.millionths() / 1_000_000;
            let off = Amount::whole(i64::try_from(whole * percent / 100).unwrap());
            item.amount -= off;
            item.member_price = Some(name.into());
            order.total -= off;
        }
    }
    order
}

/// Every set of vouchers on every set of prices.
fn most_by_trying_everything(program: &Program, order: &Order, names: &[&str]) -> Amount {
    let mut most = Amount::ZERO;
    for prices in subsets(&["open", "season", "shut"]) {
        let at_prices = at_prices(order, &prices);
        for names in subsets(names) {
            let ids: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
            let candidates: Vec<Candidate<'_>> = ids
                .iter()
                .zip(&names)
                .map(|(id, code)| Candidate { code, id, voucher: program.voucher(code).unwrap() })
                .collect();
            let Ok(found) = discounts(&at_prices, &program.prices, &candidates, 0) else { continue };
            let off: Amount = found.iter().map(|discount| discount.total()).sum();
            let reached = |name: &str, least: i64| !names.contains(&name) || worth(&at_prices) >= Amount::whole(least);
            let pays = !names.contains(&"paid") || at_prices.total - off >= Amount::whole(70_000);
            if reached("rival", 60_000) && reached("least", 90_000) && pays {
                most = most.max(order.total - at_prices.total + off);
            }
        }
    }
    most
}

proptest! {
    #![proptest_config(tessera_testkit::cases(60, 1))]

    #[test]
    fn c3_the_best_is_what_trying_everything_finds((data, names) in cart()) {
        let mut shop = Shop::new(SHOP).unchecked();
        shop.send("2026-03-01T09:00", "enrol", "{}");
        for name in &names {
            shop.issue(name, name);
        }
        let ask = CartAsk { best: true, language: "en".to_owned(), ..CartAsk::default() };
        let (quoted, cart) = shop.cart("2026-03-02T10:00", &data, &ask).unwrap();
        let best = cart.best.unwrap();
        let program = program(SHOP, 1);
        let What::Purchase(order) = read_event(&program.definition, "purchase", &data).unwrap() else { panic!() };
        let most = most_by_trying_everything(&program, &order, &names);
        prop_assert_eq!(best.saving, most, "{:?}", best);
        prop_assert!(best.proven);
        prop_assert!(best.runner_up.iter().all(|next| next.saving <= best.saving));
        // The quote is kept when it is bought.
        let bought = shop.send("2026-03-02T10:00", "purchase", &best.purchase.to_string());
        let effects = |decision: &tessera_core::decide::Decision| {
            let kept = decision.outcome.effects.iter().filter(|effect| effect.kind != EffectKind::VoucherIssued);
            kept.cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(effects(&quoted), effects(&bought));
        let owed = order.total - Amount::whole(best.purchase["total"].as_i64().unwrap());
        prop_assert_eq!(owed, best.saving);
    }
}
