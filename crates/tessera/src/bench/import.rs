//! The import of a file of purchases, and how near it comes to the bare writing of the same rows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use tessera_core::time::Instant;
use tessera_engine::transfer::{Import, Mapping, Progress};

use super::figures::{Cpu, Stopwatch, rounded};
use super::floor;
use super::installation::{Installation, Place};
use super::random::Random;
use super::till::{Line, basket};
use crate::output::Failure;

/// Lines of a basket, each a line of the file.
const LINES: u32 = 3;
const MEMBERS: u32 = 5_000;

const MAPPING: &str = r#"
source = "bench-file"
[event]
type = "purchase"
group_by = "basket"
id = "basket"
time = { column = "time" }
subject = { kind = "card", column = "card" }
[data]
order_id = "basket"
location = "store"
currency = { value = "VND" }
total = { sum = "amount" }
[item]
sku = "sku"
name = "name"
category = "category"
quantity = "quantity"
amount = "amount"
"#;

#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Purchases, from the opening of the file to the last commit.
    pub per_second: u64,
    #[serde(flatten)]
    pub cpu: Cpu,
    pub events: u64,
    pub lines: u64,
    pub members: u32,
    pub seconds: f64,
    pub refused: u64,
    /// The same number of rows of the same width, with nothing else.
    pub floor: floor::Figures,
    /// The import's speed over the floor's.
    pub ratio: f64,
    #[serde(skip)]
    pub example: Option<String>,
}

pub fn run(place: &Place, events: u32, seed: u64) -> Result<Figures, Failure> {
    let installation = Installation::make(place)?;
    let file = installation.folder.path().join("purchases.csv");
    write_file(&file, events, installation.run, seed)
        .map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?;
    let import = Import {
        engine: &installation.engine,
        program: installation.program.clone(),
        mapping: Mapping::parse(MAPPING)?,
        rejects: installation.folder.path().join("rejects.csv"),
        file,
        strict: false,
    };
    let stopwatch = Stopwatch::start("reading");
    let report = import.run(&Progress::default())?;
    let spent = stopwatch.stop();
    drop(import);
    let floor = floor::run(installation, report.events, MEMBERS, seed)?;
    let per_second = report.events as f64 / spent.seconds();
    Ok(Figures {
        per_second: per_second as u64,
        cpu: spent.cpu(report.events),
        events: report.events,
        lines: report.lines,
        members: MEMBERS,
        seconds: rounded(spent.seconds(), 100.0),
        refused: report.events - report.applied,
        ratio: rounded(per_second / (floor.per_second.max(1) as f64), 100.0),
        floor,
        example: report.examples.into_iter().next(),
    })
}

/// A year of baskets, a line an item, in the order of time. `run`: tells its receipts from those of an earlier file.
fn write_file(file: &Path, events: u32, run: i64, seed: u64) -> Result<(), std::io::Error> {
    const STORES: [&str; 4] = ["nguyen-hue", "thao-dien", "phu-nhuan", "tan-binh"];
    const YEAR: u32 = 365 * 86_400;
    let mut random = Random::new(seed, 0);
    let mut out = BufWriter::with_capacity(256 * 1024, File::create(file)?);
    writeln!(out, "basket,time,card,store,sku,name,category,quantity,amount")?;
    // 1 January 2025 in UTC: a past year, whenever the bench runs.
    let start = Instant::from_micros(1_735_689_600_000_000);
    for number in 0..events {
        let seconds = u64::from(number) * u64::from(YEAR) / u64::from(events.max(1));
        let time = start.plus_seconds(i64::try_from(seconds).unwrap_or(0));
        let (card, store) = (100_000 + random.below(MEMBERS), random.pick(&STORES));
        for line in basket(LINES, &mut random) {
            let Line { sku, name, category, quantity, .. } = line;
            writeln!(
                out,
                "{run:x}-{number},{time},{card},{store},{sku},{name},{category},{quantity},{}",
                line.amount()
            )?;
        }
    }
    // On the disk before the import begins: what is left to write would be flushed with its first commits.
    out.into_inner()?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::installation::for_tests;

    #[test]
    fn every_basket_of_the_file_is_applied() {
        let figures = run(&for_tests(), 400, 1).unwrap();
        assert_eq!(figures.example, None);
        assert_eq!((figures.events, figures.lines, figures.refused), (400, 1200, 0));
        assert!(figures.ratio > 0.0 && figures.floor.rows_per_event >= 5.0);
    }
}
