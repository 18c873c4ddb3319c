//! What people and machines read: tables and sentences, or the same facts as JSON.

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// Why a command failed: what is wrong, what would be right, and the exit code.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub wrong: String,
    pub right: Option<String>,
}

/// Refused, or findings.
pub const REFUSED: u8 = 1;
/// Not used as meant.
pub const USAGE: u8 = 2;

impl Failure {
    pub fn refused(wrong: impl std::fmt::Display) -> Self {
        Self { code: REFUSED, wrong: wrong.to_string(), right: None }
    }

    pub fn usage(wrong: impl std::fmt::Display) -> Self {
        Self { code: USAGE, wrong: wrong.to_string(), right: None }
    }

    #[must_use]
    pub fn right(mut self, right: impl std::fmt::Display) -> Self {
        self.right = Some(right.to_string());
        self
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::refused(error)
    }
}

pub fn failure(failure: &Failure) {
    eprintln!("error: {}", failure.wrong);
    if let Some(right) = &failure.right {
        eprintln!("       {right}");
    }
}

/// A table without borders: a header, rows, numbers to the right.
pub fn table(header: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        column.set_padding((0, 2));
    }
    table
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// Progress on a terminal as a bar with rate and time left, elsewhere as a plain line now and then.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    last: std::time::Instant,
}

impl Progress {
    /// `length` in bytes, or in things when there are no bytes to count.
    pub fn new(what: &'static str, length: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(length);
            let style = ProgressStyle::with_template("{spinner} {bar:32} {percent:>3}%  {msg}  {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, what, last: std::time::Instant::now() }
    }

    pub fn at(&mut self, position: u64, count: u64, started: std::time::Instant) {
        let per_second = (count as f64 / started.elapsed().as_secs_f64().max(0.001)) as i64;
        let message = format!("{} {}, {}/s", grouped(count), self.what, grouped(per_second));
        match &self.bar {
            Some(bar) => {
                bar.set_position(position);
                bar.set_message(message);
            }
            None if self.last.elapsed() >= Duration::from_secs(5) => {
                self.last = std::time::Instant::now();
                eprintln!("{message}");
            }
            None => {}
        }
    }

    pub fn done(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints JSON as machines want it: one document, readable.
pub fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(value).map_err(Failure::refused)?);
    Ok(())
}
