//! Texts that nobody would write: bytes changed, cut, doubled and put in, for whatever reads texts.
//!
//! Changes are drawn by proptest: bolero's engine for stable Rust draws them blindly too, and the crate pins versions
//! that the rest of the workspace would have to follow.

use std::time::{Duration, Instant};

use proptest::prelude::*;

/// No text within the limits may take longer, on a busy machine and without optimisation.
pub const QUICK: Duration = Duration::from_secs(20);

/// What YAML, JSON, expressions, times and codes are made of.
const PIECES: &[&str] = &[
    "",
    " ",
    "\n",
    "\t",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "é",
    "𝄞",
    ":",
    "- ",
    "? ",
    "{",
    "}",
    "[",
    "]",
    "[[",
    "{{",
    "(",
    ")",
    "((",
    "&a ",
    "*a",
    "!x ",
    "%",
    "@",
    "`",
    "|",
    ">",
    "'",
    "\"",
    "\\",
    "#",
    "---\n",
    "...\n",
    "<<: *a",
    "null",
    "true",
    "~",
    "-1",
    "0",
    "1e9",
    "9223372036854775807",
    "99999999999999999999999999999",
    "0.0000000000000000001",
    "NaN",
    "P1D",
    "P999999999M",
    "event.net",
    "item.amount",
    "member.balance.bean",
    "now.hour",
    " and ",
    " or ",
    " not ",
    "!",
    "- -",
    " ? ",
    " in [1..2]",
    "map(event.items, #)",
    "some(",
    "sum(",
    "len(",
    "#",
    ".",
    "..",
    "^",
    "%",
    "/ 0",
    "2026-02-30",
    "T24:00:00Z",
    "+99:99",
    "00000",
    "mem_",
    "evt_",
    "campaigns:\n",
    "rules: ",
    "when: ",
    "award: ",
    "currencies: {}\n",
];

/// Where something is changed, as a share of the text in 65,536ths, and how.
#[derive(Clone, Debug)]
pub enum Change {
    Cut { at: u16, length: u8 },
    Double { at: u16, length: u8 },
    Put { at: u16, piece: &'static str },
    Repeat { at: u16, piece: &'static str, times: u16 },
    End { at: u16 },
}

/// A few changes.
pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    let piece = || prop::sample::select(PIECES);
    let change = prop_oneof![
        3 => (any::<u16>(), any::<u8>()).prop_map(|(at, length)| Change::Cut { at, length }),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(at, length)| Change::Double { at, length }),
        6 => (any::<u16>(), piece()).prop_map(|(at, piece)| Change::Put { at, piece }),
        1 => (any::<u16>(), piece(), 0..2_000_u16).prop_map(|(at, piece, times)| Change::Repeat { at, piece, times }),
        1 => any::<u16>().prop_map(|at| Change::End { at }),
    ];
    prop::collection::vec(change, 1..6)
}

/// The text after the changes.
pub fn changed(text: &str, changes: &[Change]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for change in changes {
        let place = |at: &u16| usize::from(*at) * text.len() / 65_536;
        match change {
            Change::Cut { at, length } => {
                let from = place(at);
                text.drain(from..(from + usize::from(*length)).min(text.len()));
            }
            Change::Double { at, length } => {
                let from = place(at);
                let part = text[from..(from + usize::from(*length)).min(text.len())].to_vec();
                text.splice(from..from, part);
            }
            Change::Put { at, piece } => {
                let from = place(at);
                text.splice(from..from, piece.chars());
            }
            Change::Repeat { at, piece, times } => {
                let from = place(at);
                text.splice(from..from, piece.repeat(usize::from(*times)).chars().collect::<Vec<_>>());
            }
            Change::End { at } => text.truncate(place(at)),
        }
    }
    text.into_iter().collect()
}

/// Runs on a stack as small as that of the threads that read in earnest.
///
/// # Panics
/// As `read` does, or if it takes longer than [`QUICK`].
pub fn read_quickly<T: Send>(what: &str, read: impl FnOnce() -> T + Send) -> T {
    let begin = Instant::now();
    let value = std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
        small.spawn_scoped(scope, read).unwrap().join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    assert!(begin.elapsed() < QUICK, "{:?} for {}", begin.elapsed(), what.chars().take(300).collect::<String>());
    value
}
