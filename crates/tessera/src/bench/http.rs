//! Purchases over HTTP: every client sends the next one as soon as it has the answer to the last.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::client::{Answer, Connection};
use super::figures::{Cpu, Latency, rounded};
use super::installation::{Installation, Place};
use super::load::{self, Load, Phase, Tally};
use super::till::Till;
use crate::output::Failure;

#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub per_second: u64,
    /// Of a request: with several events in one, they share it.
    #[serde(flatten)]
    pub latency: Latency,
    #[serde(flatten)]
    pub cpu: Cpu,
    pub events: u64,
    pub clients: u32,
    pub batch_size: u16,
    pub members: u32,
    pub seconds: f64,
    pub refused: u64,
    #[serde(skip)]
    pub example: Option<String>,
}

const REQUEST: &str = "request";

pub fn run(place: &Place, load: Load, batch_size: u16) -> Result<Figures, Failure> {
    let installation = Installation::make(place)?;
    installation.enrol(load.members, &mut |_| {})?;
    let run = installation.run;
    let (mut tally, spent) = load::run(&installation, load, |number, key, connection, phase| {
        let till = Till::new(load.seed, number, load.members, run, &key);
        buy(till, connection, phase, batch_size)
    })?;
    let requests = tally.take(REQUEST);
    let events = requests.len() as u64 * u64::from(batch_size);
    Ok(Figures {
        per_second: (events as f64 / spent.seconds()) as u64,
        latency: Latency::of(requests),
        cpu: spent.cpu(events),
        events,
        clients: load.clients,
        batch_size,
        members: load.members,
        seconds: rounded(spent.seconds(), 100.0),
        refused: tally.refused,
        example: tally.example,
    })
}

async fn buy(mut till: Till, mut connection: Connection, phase: Arc<Phase>, batch_size: u16) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    while !phase.is_over() {
        let request = till.purchases(usize::from(batch_size));
        let began = Instant::now();
        let answer = connection.ask(request).await?;
        if phase.is_measured() {
            tally.note(REQUEST, began.elapsed());
            let refused = refused(answer, batch_size);
            if refused > 0 {
                tally.refused(refused, answer);
            }
        }
    }
    Ok(tally)
}

/// How many of a request's events were refused. A batch is answered 200 with what became of each.
fn refused(answer: Answer<'_>, batch_size: u16) -> u64 {
    match (answer.status, batch_size) {
        (200, 1) => 0,
        (200, _) => String::from_utf8_lossy(answer.body).matches("\"status\":\"refused\"").count() as u64,
        _ => u64::from(batch_size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::installation::for_tests;
    use crate::bench::load::longer_and_longer;

    #[test]
    fn a_short_run_is_answered_without_a_refusal() {
        for batch_size in [1, 5] {
            let figures =
                longer_and_longer(|load| run(&for_tests(), load, batch_size).unwrap(), |found| found.events > 0);
            assert_eq!(figures.example, None);
            assert_eq!(figures.refused, 0);
            assert!(figures.latency.p50_ms > 0.0);
        }
    }
}
