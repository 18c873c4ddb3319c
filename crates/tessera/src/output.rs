//! What people and machines read: tables and sentences, or the same facts as JSON.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use tessera_core::time::Instant;

/// A line on standard output, see [`put`].
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::put(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use say;

/// A line on standard error. Where nobody reads it any more there is nobody to tell.
macro_rules! note {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = std::io::stderr().lock().write_fmt(format_args!("{}\n", format_args!($($text)*)));
    }};
}
pub(crate) use note;

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

/// Says on standard error what is wrong, and below it what would be right.
pub fn failure(failure: &Failure) {
    let label = paint(std::io::stderr().is_terminal(), RED, "error:");
    note!("{label} {}", failure.wrong);
    for line in failure.right.iter().flat_map(|right| right.lines()) {
        note!("       {line}");
    }
}

pub const RED: &str = "1;31";
pub const YELLOW: &str = "1;33";
const BOLD: &str = "1";

/// Whether colours are wanted: on a terminal that has some, unless `NO_COLOR` is set.
pub fn colours(is_terminal: bool) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    is_terminal && !unwanted
}

/// Colours a text for a terminal that wants it.
pub fn paint(is_terminal: bool, colour: &str, text: &str) -> String {
    if colours(is_terminal) { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Why a file cannot be read, in words.
pub fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let words = match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    Failure::usage(format!("{}: {words}", file.display()))
}

/// A table without borders: a header, rows, numbers to the right.
pub fn table(header: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
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
    let text = table.to_string();
    let mut lines = text.lines().map(str::trim_end);
    let header = paint(std::io::stdout().is_terminal(), BOLD, lines.next().unwrap_or_default());
    std::iter::once(header.as_str()).chain(lines).collect::<Vec<_>>().join("\n")
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

/// `1234567.50` as `1,234,567.50`: an exact amount as the engine writes it.
pub fn grouped_amount(amount: &str) -> String {
    let (whole, decimals) = amount.split_once('.').map_or((amount, None), |(whole, decimals)| (whole, Some(decimals)));
    let Ok(number) = whole.parse::<i128>() else { return amount.to_owned() };
    // Nothing but its decimals tells that -0.50 is negative.
    let sign = if number == 0 && whole.starts_with('-') { "-" } else { "" };
    match decimals {
        Some(decimals) => format!("{sign}{}.{decimals}", grouped(number)),
        None => grouped(number),
    }
}

/// One thing or several: `1 member`, `2 members`.
pub fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { several })
}

/// A size in bytes, as people say it: `512 KiB`, `1.4 GiB`.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        ..1_048_576 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

/// A time to the second.
pub fn moment(at: Instant) -> String {
    let micros = at.micros();
    Instant::from_micros(micros - micros.rem_euclid(1_000_000)).to_string()
}

/// Progress on a terminal as a bar with rate and time left, elsewhere as a plain line now and then.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    length: u64,
    /// When the next plain line is due.
    next: Duration,
}

/// A first plain line soon, for whoever watches; then few, for a log.
const FIRST_LINE: Duration = Duration::from_secs(1);
const NEXT_LINE: Duration = Duration::from_secs(5);

impl Progress {
    /// `length` in bytes, or in things when there are no bytes to count; 0 where it is unknown.
    pub fn new(what: &'static str, length: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = match length {
                0 => (ProgressBar::no_length(), "{spinner} {msg}"),
                _ => (ProgressBar::new(length), "{spinner} {bar:24} {percent:>3}%  {msg}  {eta} left"),
            };
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, what, length, next: FIRST_LINE }
    }

    pub fn at(&mut self, position: u64, count: u64, started: std::time::Instant) {
        let elapsed = started.elapsed();
        let per_second = (count as f64 / elapsed.as_secs_f64().max(0.001)) as i64;
        let message = format!("{} {}, {}/s", grouped(count), self.what, grouped(per_second));
        match &self.bar {
            Some(bar) => {
                bar.set_position(position);
                bar.set_message(message);
            }
            None if elapsed >= self.next => {
                self.next = elapsed + NEXT_LINE;
                match (position * 100).checked_div(self.length) {
                    Some(percent) => note!("{message}, {}%", percent.min(100)),
                    None => note!("{message}"),
                }
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

/// Writes to standard output. A reader that went away (`| head`) has read what it wanted; a full disk is a failure.
pub fn put(text: std::fmt::Arguments<'_>) {
    match std::io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            note!("error: the output cannot be written: {error}");
            std::process::exit(REFUSED.into());
        }
        _ => {}
    }
}

/// How much of a list of what is wrong people are told.
const TOLD_MAX: usize = 20;

/// Prints the first of a list of what is wrong, a line each, and how many more there are.
pub fn say_first<T>(found: &[T], line: impl Fn(&T) -> String) {
    let (first, more) = found.split_at(found.len().min(TOLD_MAX));
    for found in first {
        say!("{}", line(found));
    }
    if !more.is_empty() {
        note!("… and {} more: --json has them all", grouped(more.len() as i128));
    }
}

/// Prints JSON as machines want it: one document, readable.
pub fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    say!("{}", serde_json::to_string_pretty(value).map_err(Failure::refused)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (amount, text) in [
            ("195807000", "195,807,000"),
            ("1234.50", "1,234.50"),
            ("-0.50", "-0.50"),
            ("-1234.5", "-1,234.5"),
            ("?", "?"),
        ] {
            assert_eq!(grouped_amount(amount), text);
        }
    }

    #[test]
    fn one_is_not_several() {
        assert_eq!(counted(1, "member", "members"), "1 member");
        assert_eq!(counted(1_000, "member", "members"), "1,000 members");
    }
}
