//! Programs that several tests share.

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
