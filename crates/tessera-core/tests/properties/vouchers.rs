//! M3, C3, C4: what vouchers take off an order adds up, whatever is bought and whatever goes together.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use tessera_core::event::{Item, Order};
use tessera_core::program::{Id, Program};
use tessera_core::quantity::Amount;
use tessera_core::voucher::{Candidate, discounts};
use tessera_testkit::shop::program;

const VOUCHERS: &str = "
currencies: { bean: { name: Bean, expires: never } }
vouchers:
  a: { gives: { amount_off: 20000 }, stacks: always }
  b: { gives: { percent_off: 33 }, stacks: always, rounding: half_up }
  c: { gives: { percent_off: 70, up_to: 45000 }, percent_of: original, stacks: always, priority: 1 }
  d: { gives: { free_item: { category: coffee } }, stacks: always }
  e: { gives: { percent_off: 100, items: { category: coffee } }, stacks: always, priority: -1 }
  f: { gives: { free_shipping: true, amount_off: 999 }, stacks: always }
";

static PROGRAM: LazyLock<Arc<Program>> = LazyLock::new(|| program(VOUCHERS, 1));

fn order() -> impl Strategy<Value = Order> {
    let item = (0..4_i64, -5_000_000_000_i128..90_000_000_000, any::<bool>(), any::<bool>()).prop_map(
        |(quantity, amount, coffee, whole)| Item {
            category: coffee.then(|| "coffee".into()),
            quantity: Amount::whole(quantity),
            amount: Amount::from_millionths(if whole { amount / 1_000_000 * 1_000_000 } else { amount }),
            ..Item::default()
        },
    );
    (prop::collection::vec(item, 1..8), 0..30_000_i64).prop_map(|(items, shipping)| {
        let shipping = Amount::whole(shipping);
        let total = items.iter().map(|item| item.amount).sum::<Amount>() + shipping;
        Order { items, shipping, total, ..Order::default() }
    })
}

fn candidates<'a>(program: &'a Program, names: &'a [Id]) -> Vec<Candidate<'a>> {
    let of = |id: &'a Id| Candidate { code: "CODE", id, voucher: program.voucher(id.as_str()).unwrap() };
    names.iter().map(of).collect()
}

proptest! {
    #![proptest_config(tessera_testkit::cases(600, 1))]

    #[test]
    fn m3_line_discounts_sum_to_the_discount_and_never_exceed_the_lines(
        order in order(),
        names in prop::sample::subsequence(vec!["a", "b", "c", "d", "e", "f"], 1..6).prop_shuffle(),
    ) {
        let program = &*PROGRAM;
        let ids: Vec<Id> = names.iter().map(|name| name.parse().unwrap()).collect();
        let candidates = candidates(program, &ids);
        let Ok(found) = discounts(&order, &program.prices, &candidates, 0) else {
            // Only a voucher for coffee finds nothing.
            prop_assert!(order.items.iter().all(|item| item.category.is_none()));
            return Ok(());
        };
        let mut shipping = Amount::ZERO;
        let mut lines = vec![Amount::ZERO; order.items.len()];
        for (discount, candidate) in found.iter().zip(&candidates) {
            prop_assert_eq!(discount.total(), discount.lines.iter().copied().sum::<Amount>() + discount.shipping);
            prop_assert!(discount.lines.iter().all(|part| !part.is_negative()));
            shipping += discount.shipping;
            lines.iter_mut().zip(&discount.lines).for_each(|(sum, part)| *sum += *part);
            let most = match candidate.id.as_str() {
                "a" => Some(20_000),
                "c" => Some(45_000),
                _ => None,
            };
            prop_assert!(most.is_none_or(|most| discount.total() <= Amount::whole(most)), "{:?}", discount);
        }
        for (sum, item) in lines.iter().zip(&order.items) {
            prop_assert!(*sum <= item.amount.max(Amount::ZERO), "{sum:?} of {:?}", item.amount);
        }
        prop_assert!(shipping <= order.shipping);
    }

    /// C4: the same vouchers take the same, in whatever order somebody names them.
    #[test]
    fn c4_the_order_of_the_codes_changes_nothing(
        order in order(),
        names in Just(vec!["a", "b", "c", "f"]).prop_shuffle(),
    ) {
        let program = &*PROGRAM;
        let by_name = |names: &[&str]| {
            let ids: Vec<Id> = names.iter().map(|name| name.parse().unwrap()).collect();
            let found = discounts(&order, &program.prices, &candidates(program, &ids), 0).unwrap();
            let mut named: Vec<_> = ids.into_iter().zip(found).map(|(id, found)| (id.to_string(), found)).collect();
            named.sort_by(|left, right| left.0.cmp(&right.0));
            named
        };
        prop_assert_eq!(by_name(&["a", "b", "c", "f"]), by_name(&names));
    }
}
