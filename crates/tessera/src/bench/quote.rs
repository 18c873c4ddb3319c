//! Quotes under many campaigns: each an offer for one article, of which a basket names a few.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::client::Connection;
use super::figures::{Cpu, Latency, rounded};
use super::installation::{Installation, PROGRAM, Place};
use super::load::{self, Load, Phase, Tally};
use super::random::Random;
use super::till::{Line, Till};
use crate::output::Failure;

#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub per_second: u64,
    #[serde(flatten)]
    pub latency: Latency,
    #[serde(flatten)]
    pub cpu: Cpu,
    pub quotes: u64,
    /// Active ones: earning on everything, and the rest offers.
    pub campaigns: u16,
    pub clients: u32,
    pub members: u32,
    pub seconds: f64,
    /// Requests that were not answered 200.
    pub refused: u64,
    #[serde(skip)]
    pub example: Option<String>,
}

const QUOTE: &str = "quote";

/// Of a basket, each with an article that has an offer.
pub const LINES: usize = 5;

/// A shop that earns on everything and has an offer for every article, up to so many campaigns in all.
fn document(campaigns: u16) -> String {
    let mut text = format!(
        "program: {PROGRAM}\nname: Offers\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nunknown_member: enrol\n\
         currencies: {{ point: {{ name: Point, expires: {{ after: P1Y }} }} }}\ncampaigns:\n  \
         everything: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / 10000 }} }} ] }}\n"
    );
    for article in 1..campaigns {
        // Writing into a `String` cannot fail.
        let _ = writeln!(
            text,
            "  offer-{article}: {{ trigger: purchase, earning: bonus, rules: [ {{ each: event.items, when: item.sku == \"{}\", \
             award: {{ currency: point, amount: 5 * item.quantity }} }} ] }}",
            sku(article)
        );
    }
    text
}

fn sku(article: u16) -> String {
    format!("SKU-{article:04}")
}

pub fn run(place: &Place, load: Load, campaigns: u16) -> Result<Figures, Failure> {
    let installation = Installation::of_document(place, document(campaigns))?;
    installation.enrol(load.members, &mut |_| {})?;
    let run = installation.run;
    let skus: Arc<[String]> = (1..campaigns).map(sku).collect();
    let (mut tally, spent) = load::run(&installation, load, |number, key, connection, phase| {
        let till = Till::new(load.seed, number, load.members, run, &key);
        ask(till, connection, phase, skus.clone(), Random::new(load.seed ^ u64::from(number), 0))
    })?;
    let quotes = tally.take(QUOTE);
    let count = quotes.len() as u64;
    Ok(Figures {
        per_second: (count as f64 / spent.seconds()) as u64,
        latency: Latency::of(quotes),
        cpu: spent.cpu(count),
        quotes: count,
        campaigns,
        clients: load.clients,
        members: load.members,
        seconds: rounded(spent.seconds(), 100.0),
        refused: tally.refused,
        example: tally.example,
    })
}

async fn ask(
    mut till: Till,
    mut connection: Connection,
    phase: Arc<Phase>,
    skus: Arc<[String]>,
    mut random: Random,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    while !phase.is_over() {
        let mut sku = || skus[random.below(skus.len() as u32) as usize].as_str();
        let line = |_| Line { sku: sku(), name: "Article", category: "goods", price: 45_000, quantity: 1 };
        let lines: Vec<Line<'_>> = (0..LINES).map(line).collect();
        let member = till.member();
        let request = till.quote(member, &lines);
        let began = Instant::now();
        let answer = connection.ask(request).await?;
        if phase.is_measured() {
            tally.note(QUOTE, began.elapsed());
            if answer.status != 200 {
                tally.refused(1, answer);
            }
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::installation::for_tests;
    use crate::bench::load::longer_and_longer;

    #[test]
    fn every_quote_is_answered_under_as_many_campaigns_as_a_document_may_have() {
        let figures = longer_and_longer(|load| run(&for_tests(), load, 1_000).unwrap(), |found| found.quotes > 0);
        assert_eq!(figures.example, None);
        assert_eq!((figures.refused, figures.campaigns), (0, 1_000));
        assert!(figures.latency.p50_ms > 0.0 && figures.latency.p50_ms <= figures.latency.p99_ms);
    }

    #[test]
    fn the_document_has_so_many_campaigns_that_are_active() {
        for campaigns in [2, 1_000] {
            let document = tessera_core::program::read_document(&document(campaigns)).unwrap();
            assert_eq!(document.definition.campaigns.len(), usize::from(campaigns));
            assert!(document.definition.campaigns.values().all(|campaign| campaign.active));
        }
    }
}
