//! Events as they come in: what is read, and where it is wrong; and orders of guests.

use rstest::rstest;
use tessera_core::event::{ITEMS_MAX, What, read_event};
use tessera_core::member::Status;
use tessera_testkit::shop::{Shop, json::*, program};

use crate::common::points_with;

const PROGRAM: &str = "
currencies: { point: { name: P, expires: never } }
events:
  review: { data: { order_id: text, stars: { type: integer, min: 1, max: 5 }, mood: { type: text, one_of: [good, bad], optional: true } } }
  purchase: { data: { table: { type: integer, optional: true } }, item: { hot: { type: boolean, optional: true } } }
";

fn problem(kind: &str, data: &str) -> String {
    match read_event(&program(PROGRAM, 1).definition, kind, data) {
        Ok(what) => panic!("{what:?}"),
        Err(problem) => problem.to_string(),
    }
}

#[rstest]
#[case::no_order("purchase", r#"{"total": 5}"#, "data.order_id: is missing: the number of the receipt or order")]
#[case::an_empty_order(
    "purchase",
    r#"{"order_id": "", "total": 5}"#,
    "data.order_id: is missing: the number of the receipt or order"
)]
#[case::no_total("purchase", r#"{"order_id": "o"}"#, "data.total: is missing: what the customer owes")]
#[case::a_misspelt_field(
    "purchase",
    r#"{"order_id": "o", "total": 5, "itms": []}"#,
    "data.itms: unknown field; did you mean `items`?"
)]
#[case::an_unknown_field(
    "purchase",
    r#"{"order_id": "o", "total": 5, "weather": 1}"#,
    "data.weather: unknown field; declare it in the document's `events`"
)]
#[case::too_many_decimals(
    "purchase",
    r#"{"order_id": "o", "total": 5.1234567}"#,
    "data.total: an amount has at most 6 decimals"
)]
#[case::scientific(
    "purchase",
    r#"{"order_id": "o", "total": 1e3}"#,
    "data.total: an amount is a decimal number such as 12.50"
)]
#[case::too_large(
    "purchase",
    r#"{"order_id": "o", "total": 1000000000000001}"#,
    "data.total: an amount is at most 1,000,000,000,000,000"
)]
#[case::a_line_without_amount(
    "purchase",
    r#"{"order_id": "o", "total": 5, "items": [{"sku": "a", "amount": 1}, {"sku": "b"}]}"#,
    "data.items[1].amount: is missing: give `amount`, or `quantity` and `unit_price`"
)]
#[case::a_wrong_amount_deep_inside(
    "purchase",
    r#"{"order_id": "o", "total": 5, "items": [{"amount": 1}, {"amount": "x"}]}"#,
    "data.items[1].amount: an amount is a decimal number such as 12.50"
)]
#[case::a_payment_without_method(
    "purchase",
    r#"{"order_id": "o", "total": 5, "payments": [{"amount": 1}]}"#,
    "data.payments[0].method: is missing: cash, card, points …"
)]
#[case::a_number_as_text("purchase", r#"{"order_id": 5, "total": 5}"#, "data.order_id: a text is expected")]
#[case::a_rate_of_nothing(
    "purchase",
    r#"{"order_id": "o", "total": 5, "exchange_rate": 0}"#,
    "data.exchange_rate: a rate is above 0"
)]
#[case::a_wrong_field_of_our_own(
    "purchase",
    r#"{"order_id": "o", "total": 5, "table": 1.5}"#,
    "data.table: a whole number is expected"
)]
#[case::a_wrong_field_of_a_line(
    "purchase",
    r#"{"order_id": "o", "total": 5, "items": [{"amount": 1, "hot": "yes"}]}"#,
    "data.items[0].hot: true or false is expected"
)]
#[case::a_return_of_nothing("return", "{}", "data.order_id: is missing: name the order, or the items that come back")]
#[case::a_return_of_less_than_nothing(
    "return",
    r#"{"order_id": "o", "items": [{"sku": "a", "quantity": -1}]}"#,
    "data.items[0].quantity: is negative: a return counts what comes back from 0 up"
)]
#[case::a_return_of_a_nameless_line(
    "return",
    r#"{"order_id": "o", "items": [{"quantity": 1}]}"#,
    "data.items[0].line: is missing: name the line, or its `sku`"
)]
#[case::an_exchange_of_nothing(
    "exchange",
    r#"{"bought": {"order_id": "o", "total": 1}}"#,
    "data.returned: is missing: the order and items that come back"
)]
#[case::an_exchange_without_order(
    "exchange",
    r#"{"returned": {"items": [{"sku": "a"}]}, "bought": {"order_id": "o", "total": 1}}"#,
    "data.returned.order_id: is missing: an exchange names the order"
)]
#[case::a_wrong_amount_in_an_exchange(
    "exchange",
    r#"{"returned": {"order_id": "o"}, "bought": {"order_id": "p", "total": true}}"#,
    "data.bought.total: an amount is a decimal number such as 12.50"
)]
#[case::a_wrong_birthday(
    "profile",
    r#"{"birthday": "1990-13-01"}"#,
    "data.birthday: a birthday is written as 1990-02-28, 02-28 or, for the month alone, 02"
)]
#[case::too_many_stars("review", r#"{"order_id": "o", "stars": 6}"#, "data.stars: 6 is above the most, 5")]
#[case::none_of_those(
    "review",
    r#"{"order_id": "o", "stars": 5, "mood": "so-so"}"#,
    "data.mood: one of good, bad is expected"
)]
#[case::a_missing_field("review", r#"{"order_id": "o"}"#, "data.stars: is missing")]
#[case::an_unknown_type("revew", "{}", "type: this program has no event type `revew`; did you mean `review`?")]
#[case::another_unknown_type(
    "parking",
    "{}",
    "type: this program has no event type `parking`; declare it in the document's `events`"
)]
#[case::no_object("purchase", "[]", "data: invalid type: sequence, expected a purchase as a JSON object")]
#[case::more_than_one("review", r#"{"order_id": "o", "stars": 1} {}"#, "data: trailing characters")]
fn what_is_wrong_is_said_with_its_place(#[case] kind: &str, #[case] data: &str, #[case] message: &str) {
    assert_eq!(problem(kind, data), message);
}

#[rstest]
#[case::at_most(ITEMS_MAX, true)]
#[case::too_many(ITEMS_MAX + 1, false)]
fn an_order_has_a_bounded_number_of_lines(#[case] count: usize, #[case] taken: bool) {
    let items: Vec<&str> = vec![r#"{"amount": 1}"#; count];
    let data = format!(r#"{{"order_id": "o", "total": 500, "items": [{}]}}"#, items.join(","));
    let read = read_event(&program(PROGRAM, 1).definition, "purchase", &data);
    assert_eq!(read.is_ok(), taken);
    if let Err(problem) = read {
        assert_eq!(problem.to_string(), format!("data.items: at most {ITEMS_MAX} lines are read"));
    }
}

#[test]
fn m1_quantities_times_prices_are_exact() {
    let data = r#"{"order_id": "o", "total": "0.3", "items": [{"quantity": 3, "unit_price": 0.1}, {"quantity": "0.5", "unit_price": "0.000002"}]}"#;
    let What::Purchase(order) = read_event(&program(PROGRAM, 1).definition, "purchase", data).unwrap() else {
        panic!()
    };
    assert_eq!(
        [order.items[0].amount.to_string(), order.items[1].amount.to_string(), order.total.to_string()],
        ["0.3", "0.000001", "0.3"]
    );
    let data = r#"{"order_id": "o", "total": 1, "items": [{"quantity": 0.5, "unit_price": 0.000001}]}"#;
    assert_eq!(problem("purchase", data), "data.items[0].unit_price: an amount has at most 6 decimals");
}

#[test]
fn a_guests_order_earns_nothing_and_wakes_nobody() {
    let mut shop = Shop::new(&points_with("")).guest();
    shop.send("2026-03-02T09:00", "purchase", &lines("o1", &[("A", "x", 2, 40_000)]));
    let decision = shop.send("2026-03-03T09:00", "return", &back("o1", &[("A", 1)]));
    let state = shop.state();
    assert_eq!((state.status, state.wake_at, state.purses.len()), (Status::Guest, None, 0));
    assert_eq!((state.statistics.purchases, state.statistics.returned.to_string()), (1, "20000".to_owned()));
    assert_eq!((decision.outcome.member, decision.events.len()), (None, 1));
    shop.send("2026-03-04T09:00", "amend", &sale("o1", 10_000));
    assert_eq!(shop.state().purses.len(), 0);
}
