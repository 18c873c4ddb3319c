//! The comparison as one page that needs nothing else: no script, no other file.

use std::fmt::Write as _;

use tessera_core::program::{Id, Texts};
use tessera_engine::replay::Comparison;

use super::WhatIf;
use crate::output::{grouped, grouped_amount, moment};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c1b1a; --soft: #6b6763; --line: #e4e0db; --ground: #fbfaf8; --before: #b9b2aa; --after: #0f6e5c; }
@media (prefers-color-scheme: dark) { :root { --ink: #f1eeea; --soft: #a8a29b; --line: #3a3733; --ground: #191816; --before: #6d675f; --after: #4cc2a8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1rem 4rem; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, 'Be Vietnam Pro', 'Noto Sans Thai', sans-serif; }
h1 { font-size: 1.75rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; } p { margin: .25rem 0; color: var(--soft); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; min-width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .375rem .75rem .375rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; white-space: nowrap; }
th { font-weight: 600; color: var(--soft); font-size: .875rem; } .n { text-align: right; } td.why { white-space: normal; min-width: 16rem; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.before { fill: var(--before); } .after { fill: var(--after); } .key span { display: inline-block; width: .75rem; height: .75rem; margin: 0 .375rem 0 1rem; }
.key span:first-child { margin-left: 0; background: var(--before); } .key span:last-of-type { background: var(--after); }
";

pub(super) fn page(what_if: &WhatIf, name: &Texts) -> String {
    let found = &what_if.found;
    let title = escaped(name.in_language("en").unwrap_or(&what_if.program));
    let since = what_if.from.map_or_else(|| "the first event".to_owned(), moment);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}: what if</title><style>{STYLE}</style></head><body>\n<h1>{title}: what if</h1>\n\
         <p>Version {} against the draft, from {since} to {}. {} events of {} members decided again.</p>\n",
        what_if.version,
        moment(what_if.to),
        grouped(found.events),
        grouped(found.members),
    );
    if let Some(gone) = super::archived(found) {
        let _ = writeln!(page, "<p><strong>{}</strong></p>", escaped(&gone));
    }
    for (code, count) in &found.refused {
        let _ = writeln!(page, "<p>{} events the draft refuses: {}</p>", grouped(*count), escaped(code));
    }
    currencies(&mut page, found);
    for currency in found.currencies.keys() {
        months(&mut page, found, currency);
    }
    campaigns(&mut page, found);
    tiers(&mut page, found);
    members(&mut page, found);
    page.push_str("</body></html>\n");
    page
}

fn currencies(page: &mut String, found: &Comparison) {
    let header = ["Currency", "", "Issued", "Taken back", "Spent", "Expired", "Outstanding", "Cost", "Liability"];
    let rows = found.currencies.iter().flat_map(|(currency, sides)| {
        [("before", &sides.before), ("after", &sides.after)].map(|(side, flow)| {
            let money = |amount: &Option<String>| amount.as_deref().map_or_else(|| "–".to_owned(), grouped_amount);
            let figures = [flow.issued, flow.taken_back, flow.spent, flow.expired, flow.outstanding].map(grouped);
            let name = if side == "before" { currency.to_string() } else { String::new() };
            [name, side.to_owned()]
                .into_iter()
                .chain(figures)
                .chain([money(&flow.cost), money(&flow.liability)])
                .collect()
        })
    });
    section(page, "Points and money", &header, 2, rows);
}

/// Bars by month, before beside after; the figures are in a table below.
fn months(page: &mut String, found: &Comparison, currency: &Id) {
    let months: Vec<(&str, i64, i64)> = found
        .by_month
        .iter()
        .map(|(month, currencies)| {
            let flow = currencies.get(currency).copied().unwrap_or_default();
            (month.as_str(), flow.before.issued, flow.after.issued)
        })
        .collect();
    let most = months.iter().map(|(_, before, after)| *before.max(after)).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    const HEIGHT: i64 = 160;
    let step = (900 / i64::try_from(months.len()).unwrap_or(1)).clamp(12, 90);
    let (bar, width) = (step * 2 / 5, step * i64::try_from(months.len()).unwrap_or(1));
    let name = escaped(currency.as_str());
    let _ = writeln!(
        page,
        "<h2>{name} issued by month</h2>\n<p class=\"key\"><span></span>before <span></span>after</p>\n\
         <svg viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"{name} issued by month, before and after\">",
        HEIGHT + 24
    );
    // Labels side by side need about 60 units each.
    let every = usize::try_from(60 / step + 1).unwrap_or(1);
    for (place, (month, before, after)) in months.iter().enumerate() {
        let x = step * i64::try_from(place).unwrap_or(0);
        for (side, offset, value) in [("before", 0, before), ("after", bar, after)] {
            let height = i64::try_from(i128::from(*value) * i128::from(HEIGHT) / i128::from(most)).unwrap_or(0);
            let _ = writeln!(
                page,
                "<rect class=\"{side}\" x=\"{}\" y=\"{}\" width=\"{bar}\" height=\"{height}\"><title>{month} {side}: {}</title></rect>",
                x + offset,
                HEIGHT - height,
                grouped(*value)
            );
        }
        if place.is_multiple_of(every) {
            let _ = writeln!(page, "<text x=\"{x}\" y=\"{}\">{month}</text>", HEIGHT + 18);
        }
    }
    page.push_str("</svg>\n");
    let rows = months.iter().map(|(month, before, after)| vec![(*month).to_owned(), grouped(*before), grouped(*after)]);
    listed(page, &["Month", "Before", "After"], 1, rows);
}

fn campaigns(page: &mut String, found: &Comparison) {
    let rows = found.campaigns.iter().flat_map(|(campaign, currencies)| {
        currencies.iter().map(move |(currency, sides)| {
            let figures = [sides.before, sides.after, sides.after - sides.before].map(grouped);
            [campaign.to_string(), currency.to_string()].into_iter().chain(figures).collect()
        })
    });
    section(page, "Issued by campaign", &["Campaign", "Currency", "Before", "After", "Change"], 2, rows);
}

fn tiers(page: &mut String, found: &Comparison) {
    for (ladder, tiers) in &found.tiers {
        let rows = tiers
            .levels
            .iter()
            .map(|known| vec![known.level.to_string(), grouped(known.sides.before), grouped(known.sides.after)]);
        section(page, &format!("Members by {ladder}"), &["Level", "Before", "After"], 1, rows);
        for step in &tiers.moves {
            let (from, to) = (escaped(step.from.as_str()), escaped(step.to.as_str()));
            let _ = writeln!(page, "<p>{} from {from} to {to}</p>", grouped(step.members));
        }
    }
}

fn members(page: &mut String, found: &Comparison) {
    let gain = &found.gain;
    let _ = writeln!(
        page,
        "<h2>Who gains, who loses</h2>\n<p>{} gain, {} lose, {} keep what they have.</p>",
        grouped(gain.more),
        grouped(gain.less),
        grouped(gain.same)
    );
    for (title, list) in [("Most gained", &found.winners), ("Most lost", &found.losers)] {
        if list.is_empty() {
            continue;
        }
        let mut text = String::new();
        for one in list {
            let _ = writeln!(
                text,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"why\">{}</td></tr>",
                escaped(&one.member),
                grouped_amount(&one.gain),
                escaped(&why(one))
            );
        }
        let unit = escaped(&gain.unit);
        let _ = writeln!(
            page,
            "<div class=\"scroll\"><table><tr><th>{title}</th><th class=\"n\">{unit}</th><th>Why</th></tr>\n{text}</table></div>"
        );
    }
}

/// `everyday +40 bean, stamps −2 stamp`.
pub(super) fn why(member: &tessera_engine::replay::MemberComparison) -> String {
    let parts = member.why.iter().map(|reason| {
        let change = reason.sides.after - reason.sides.before;
        let sign = if change > 0 { "+" } else { "" };
        let campaign = reason.campaign.as_ref().map_or("other", Id::as_str);
        format!("{campaign} {sign}{} {}", grouped(change), reason.currency)
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn section(page: &mut String, title: &str, header: &[&str], numbers: usize, rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(page, "<h2>{}</h2>", escaped(title));
    listed(page, header, numbers, rows);
}

/// A table; the columns from `numbers` on hold figures.
fn listed(page: &mut String, header: &[&str], numbers: usize, rows: impl Iterator<Item = Vec<String>>) {
    let class = |place: usize| if place >= numbers { " class=\"n\"" } else { "" };
    page.push_str("<div class=\"scroll\"><table><tr>");
    for (place, name) in header.iter().enumerate() {
        let _ = write!(page, "<th{}>{name}</th>", class(place));
    }
    page.push_str("</tr>\n");
    for row in rows {
        page.push_str("<tr>");
        for (place, cell) in row.iter().enumerate() {
            let _ = write!(page, "<td{}>{}</td>", class(place), escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
