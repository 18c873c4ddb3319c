//! A cart's data as the purchase that it may become.

use serde_json::Value;

use crate::event::Order;
use crate::quantity::Amount;

/// The data that a cart came with, paid as `order` is: to be sent as the purchase as they stand.
pub(super) fn data(cart: &str, order: &Order) -> Value {
    let mut data: Value = serde_json::from_str(cart).unwrap_or_default();
    let Some(fields) = data.as_object_mut() else { return data };
    fields.insert("total".to_owned(), number(order.total));
    let amounts = [
        ("tax", order.tax),
        ("discount", order.discount),
        ("shipping", order.shipping),
        ("shipping_discount", order.shipping_discount),
    ];
    for (name, amount) in amounts {
        if !amount.is_zero() || fields.contains_key(name) {
            fields.insert(name.to_owned(), number(amount));
        }
    }
    fields.remove("vouchers");
    if !order.vouchers.is_empty() {
        let codes = order.vouchers.iter().map(|code| Value::from(crate::voucher::as_shown(code).as_str()));
        fields.insert("vouchers".to_owned(), codes.collect());
    }
    let lines = fields.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten();
    for (line, item) in lines.zip(&order.items) {
        let (Some(line), Some(price)) = (line.as_object_mut(), &item.member_price) else { continue };
        if line.get("member_price").and_then(Value::as_str) == Some(price) {
            continue;
        }
        line.insert("member_price".to_owned(), price.as_str().into());
        line.insert("amount".to_owned(), number(item.amount));
        line.remove("unit_price");
        line.extend(item.unit_price.map(|unit| ("unit_price".to_owned(), number(unit))));
    }
    data
}

/// A number where it is a whole one, else its exact text.
fn number(amount: Amount) -> Value {
    let text = amount.to_string();
    text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
}
