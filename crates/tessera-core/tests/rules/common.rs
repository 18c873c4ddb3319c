//! Programs that several tests share, and what several tests do.

use tessera_core::decide::Decision;
use tessera_testkit::shop::Shop;

/// One point per 1,000, for a year rounded to the month's end; gold from 100 base points a year at twice the rate.
pub const POINTS: &str = "
currencies: { point: { name: Point, expires: { after: P12M, round: month } } }
tiers:
  club:
    measure: { earned: point }
    levels: [ { id: blue, at: 0 }, { id: gold, at: 100, rate: { point: 2 } } ]
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: point, amount: event.net / 1000 } } ] }
";

/// One point per 1,000 without tiers, with more settings of the currency: `, overdraft: clamp`.
pub fn points_with(settings: &str) -> String {
    points_and(settings, "")
}

/// The same with more campaigns, each on a line of its own.
pub fn points_and(settings: &str, campaigns: &str) -> String {
    let expires = if settings.contains("expires:") { "" } else { ", expires: { after: P12M, round: month }" };
    format!(
        "
currencies: {{ point: {{ name: Point{expires}{settings} }} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 1000 }} }} ] }}
{campaigns}
"
    )
}

/// Merges one member into another, and brings word of it: what the survivor's decision was.
pub fn merge(shop: &mut Shop, from: usize, into: usize, time: &str) -> Decision {
    shop.of_member(from).merge(time, into).unwrap();
    let arrived = shop.relay().remove(0).unwrap();
    shop.of_member(into);
    arrived
}

/// Makes them two again, and brings what goes back: what the survivor's decision was.
pub fn undo_merge(shop: &mut Shop, survivor: usize, from: usize, time: &str) -> Decision {
    let undone = shop.of_member(survivor).unmerge(time, from).unwrap();
    shop.relay().remove(0).unwrap();
    undone
}
