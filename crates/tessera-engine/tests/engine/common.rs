//! Programs and events that several tests share.

use serde_json::Value;
use tessera_testkit::app::event;
use tessera_testkit::shop::json;

/// A point per 1,000 for a year, gold from 100 points on, 10 points of welcome; whoever is unknown joins by their
/// first event.
pub const POINTS: &str = "
unknown_member: enrol
currencies: { point: { name: Point, expires: { after: P12M }, overdraft: debt } }
tiers: { club: { measure: { earned: point }, levels: [ { id: blue, at: 0 }, { id: gold, at: 100 } ] } }
transfers: { point: {} }
events: { visit: { data: { place: { type: text, optional: true } } } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
  welcome: { trigger: enrol, rules: [ { award: { currency: point, amount: 10 } } ] }
";

/// A purchase whose order has the id of the event.
pub fn sale(id: &str, subject: &str, total: i64) -> Value {
    event("purchase", id, subject, &json::sale(id, total))
}

/// A return of everything of an order.
pub fn back_all(id: &str, subject: &str, order: &str) -> Value {
    event("return", id, subject, &json::back_all(order))
}
