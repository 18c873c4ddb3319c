//! The retail moment: what a counter asks while a basket is rung up, and the sale that ends it.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::client::Connection;
use super::figures::{Cpu, Latency, rounded};
use super::installation::{Installation, Place};
use super::load::{self, Load, Phase, Tally};
use super::till::{Till, basket};
use crate::output::Failure;

#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Sales: four quotes, a balance and a purchase each.
    pub per_second: u64,
    /// Of a whole sale, one request after the other.
    #[serde(flatten)]
    pub latency: Latency,
    pub quote: Latency,
    pub balance: Latency,
    pub purchase: Latency,
    /// Of a whole sale.
    #[serde(flatten)]
    pub cpu: Cpu,
    pub sales: u64,
    pub clients: u32,
    pub members: u32,
    pub seconds: f64,
    /// Requests that were not answered 200.
    pub refused: u64,
    #[serde(skip)]
    pub example: Option<String>,
}

const SALE: &str = "sale";
const QUOTE: &str = "quote";
const BALANCE: &str = "balance";
const PURCHASE: &str = "purchase";

/// A quote after each of three lines, and one before paying.
const QUOTED: [usize; 4] = [1, 2, 3, 3];
const LINES: u32 = 3;

pub fn run(place: &Place, load: Load) -> Result<Figures, Failure> {
    let installation = Installation::make(place)?;
    installation.enrol(load.members, &mut |_| {})?;
    let run = installation.run;
    let (mut tally, spent) = load::run(&installation, load, |number, key, connection, phase| {
        let till = Till::new(load.seed, number, load.members, run, &key);
        sell(till, connection, phase, load.seed ^ u64::from(number))
    })?;
    let sales = tally.take(SALE);
    let count = sales.len() as u64;
    Ok(Figures {
        per_second: (count as f64 / spent.seconds()) as u64,
        latency: Latency::of(sales),
        quote: Latency::of(tally.take(QUOTE)),
        balance: Latency::of(tally.take(BALANCE)),
        purchase: Latency::of(tally.take(PURCHASE)),
        cpu: spent.cpu(count),
        sales: count,
        clients: load.clients,
        members: load.members,
        seconds: rounded(spent.seconds(), 100.0),
        refused: tally.refused,
        example: tally.example,
    })
}

async fn sell(mut till: Till, mut connection: Connection, phase: Arc<Phase>, seed: u64) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut random = super::random::Random::new(seed, 0);
    while !phase.is_over() {
        let (member, lines) = (till.member(), basket(LINES, &mut random));
        let began = Instant::now();
        for quoted in QUOTED {
            ask(&mut connection, till.quote(member, &lines[..quoted]), QUOTE, &phase, &mut tally).await?;
        }
        ask(&mut connection, till.balances(member), BALANCE, &phase, &mut tally).await?;
        ask(&mut connection, till.purchase(member, &lines), PURCHASE, &phase, &mut tally).await?;
        if phase.is_measured() {
            tally.note(SALE, began.elapsed());
        }
    }
    Ok(tally)
}

async fn ask(
    connection: &mut Connection,
    request: &str,
    kind: &'static str,
    phase: &Phase,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let began = Instant::now();
    let answer = connection.ask(request).await?;
    if phase.is_measured() {
        tally.note(kind, began.elapsed());
        if answer.status != 200 {
            tally.refused(1, answer);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::installation::for_tests;
    use crate::bench::load::longer_and_longer;

    #[test]
    fn every_request_of_a_sale_is_answered() {
        let figures = longer_and_longer(|load| run(&for_tests(), load).unwrap(), |found| found.sales >= 10);
        assert_eq!(figures.example, None);
        assert!(figures.balance.p50_ms > 0.0 && figures.quote.p50_ms > 0.0);
        assert!(figures.latency.p50_ms >= figures.purchase.p50_ms);
    }
}
