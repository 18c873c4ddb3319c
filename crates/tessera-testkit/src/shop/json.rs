//! Events' data as JSON, as short as tests need it.

/// A purchase of one line without a category.
pub fn sale(order_id: &str, total: i64) -> String {
    lines(order_id, &[("A", "goods", 1, total)])
}

/// A purchase of lines of SKU, category, quantity and amount.
pub fn lines(order_id: &str, items: &[(&str, &str, i64, i64)]) -> String {
    sale_with(order_id, items, "")
}

/// A purchase of lines with more fields, each with a comma in front: `, "tax": 10`.
pub fn sale_with(order_id: &str, items: &[(&str, &str, i64, i64)], more: &str) -> String {
    let total: i64 = items.iter().map(|(.., amount)| amount).sum();
    let items: Vec<String> = items
        .iter()
        .map(|(sku, category, quantity, amount)| {
            format!(r#"{{"sku": "{sku}", "category": "{category}", "quantity": {quantity}, "amount": {amount}}}"#)
        })
        .collect();
    let total = if more.contains("\"total\"") { String::new() } else { format!(r#", "total": {total}"#) };
    format!(r#"{{"order_id": "{order_id}"{total}, "items": [{}]{more}}}"#, items.join(", "))
}

/// A return of everything of an order.
pub fn back_all(order_id: &str) -> String {
    format!(r#"{{"order_id": "{order_id}"}}"#)
}

/// A return of units of an order, by SKU.
pub fn back(order_id: &str, units: &[(&str, i64)]) -> String {
    format!(r#"{{"order_id": "{order_id}", "items": [{}]}}"#, units_of(units))
}

/// A return that names no order: SKU, quantity and amount.
pub fn back_without_order(units: &[(&str, i64, i64)]) -> String {
    let units: Vec<String> = units
        .iter()
        .map(|(sku, quantity, amount)| format!(r#"{{"sku": "{sku}", "quantity": {quantity}, "amount": {amount}}}"#))
        .collect();
    format!(r#"{{"items": [{}]}}"#, units.join(", "))
}

/// An exchange: units of an order back, and a new purchase.
pub fn exchange(order_id: &str, units: &[(&str, i64)], bought: &str) -> String {
    format!(r#"{{"returned": {{"order_id": "{order_id}", "items": [{}]}}, "bought": {bought}}}"#, units_of(units))
}

fn units_of(units: &[(&str, i64)]) -> String {
    let units: Vec<String> =
        units.iter().map(|(sku, quantity)| format!(r#"{{"sku": "{sku}", "quantity": {quantity}}}"#)).collect();
    units.join(", ")
}
