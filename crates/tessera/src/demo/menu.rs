use serde_json::{Value, json};

use super::random::Random;

/// SKU, name, category, price in dong.
const MENU: [(&str, &str, &str, i64); 14] = [
    ("CF-DEN", "Cà phê đen đá", "coffee", 35_000),
    ("CF-SUA", "Cà phê sữa đá", "coffee", 39_000),
    ("CF-BAC", "Bạc xỉu", "coffee", 42_000),
    ("LATTE", "Latte", "coffee", 60_000),
    ("CAPPU", "Cappuccino", "coffee", 60_000),
    ("COLD", "Cold brew cam", "coffee", 65_000),
    ("TRA-DAO", "Trà đào cam sả", "tea", 55_000),
    ("TRA-VAI", "Trà vải", "tea", 52_000),
    ("MATCHA", "Matcha latte", "tea", 65_000),
    ("BANH-MI", "Bánh mì que", "food", 22_000),
    ("CROIS", "Croissant bơ", "food", 38_000),
    ("TIRA", "Tiramisu", "food", 49_000),
    ("BEANS", "Hạt rang 250 g", "retail", 165_000),
    ("TUMBLER", "Bình giữ nhiệt", "retail", 320_000),
];

const LOCATIONS: [&str; 6] = ["nguyen-hue", "thao-dien", "phu-nhuan", "district-7", "tan-binh", "thu-duc"];

/// Most of the time the one around the corner.
pub fn location(member: u32, random: &mut Random) -> &'static str {
    if random.below(10) < 8 { LOCATIONS[member as usize % LOCATIONS.len()] } else { random.pick(&LOCATIONS) }
}

/// One to four lines, mostly coffee; paid in cash, by card or with the app.
pub fn order(order_id: &str, location: &str, random: &mut Random) -> Value {
    let lines = 1 + [0, 0, 0, 1, 1, 2, 3][random.below(7) as usize];
    let mut total = 0;
    let mut items = Vec::new();
    for line in 1..=lines {
        // Retail goods are rare.
        let place = if random.below(20) == 0 { random.below(14) } else { random.below(12) };
        let (sku, name, category, price) = MENU[place as usize];
        let quantity = 1 + i64::from(random.below(6) == 0);
        total += price * quantity;
        items.push(json!({ "line": line.to_string(), "sku": sku, "name": name, "category": category, "quantity": quantity, "unit_price": price }));
    }
    let method = random.pick(&["cash", "card", "card", "app"]);
    let channel = if method == "app" { "app" } else { "counter" };
    json!({
        "order_id": order_id, "currency": "VND", "total": total, "location": location, "channel": channel,
        "payments": [{ "method": method, "amount": total }], "items": items,
    })
}
