//! Codes that people read, say and type: of vouchers, gift cards, receipts and referral.
//!
//! A code of ours is made of [`ALPHABET`], upper case, and ends with a check symbol: one symbol mistyped, or any two in
//! each other's place, is told from a code that does not exist. Vouchers also have codes from elsewhere, of any signs.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;

/// What codes are made of: no 0 and O, no 1, I and L, nothing that looks like 2, 5 or 8, and no vowel that would make a
/// word. A prime number of symbols, so that one check symbol notices every wrong one and every two that changed places.
pub const ALPHABET: &[u8; 23] = b"23456789CDFGHJKMNPRTVWX";

/// Symbols of a code, the check symbol included: fifteen hold 67 random bits, and 64 are asked for (V1).
pub const LENGTH: usize = 16;

/// The shortest and the longest code of a voucher that is made: the check holds for fewer than 23 symbols.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 8..=20;

/// The longest code that is taken from elsewhere, in characters.
pub const CODE_MAX: usize = 40;

/// A code in its canonical form: the symbols alone, check symbol last. As a text it stands in groups of four.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(CompactString);

/// Why a text is no code of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("a code has no `{found}`: it is made of 2 to 9 and the letters {}", letters())]
    Symbol { found: char },
    #[error("a code has {} to {} symbols, this has {found}", Code::SHORTEST, Code::LONGEST)]
    Length { found: usize },
    #[error("the code is mistyped: its last symbol does not fit the others")]
    Check,
}

impl Code {
    /// Symbols of a code that is as hard to guess as V1 asks.
    pub const LENGTH: usize = LENGTH;
    /// The check symbol must leave something to check.
    pub const SHORTEST: usize = 6;
    pub const LONGEST: usize = *LENGTHS.end();

    /// A code of [`Code::LENGTH`] symbols from 128 random bits.
    pub fn from_entropy(entropy: [u8; 16]) -> Self {
        Self::of_length(entropy, Self::LENGTH)
    }

    /// A code of so many symbols with the check symbol, [`Code::SHORTEST`] to [`Code::LONGEST`]. Each symbol but the last
    /// carries 4.52 bits: the longest takes 86 of the 128, so that no symbol is favoured by more than one in 2^42.
    pub fn of_length(entropy: [u8; 16], length: usize) -> Self {
        let length = length.clamp(Self::SHORTEST, Self::LONGEST);
        let mut rest = u128::from_be_bytes(entropy);
        let mut digits = Vec::with_capacity(length);
        for _ in 1..length {
            digits.push(u8::try_from(rest % 23).unwrap_or_default());
            rest /= 23;
        }
        digits.push(check_of(&digits));
        Self(digits.into_iter().map(|digit| char::from(ALPHABET[usize::from(digit)])).collect())
    }

    /// Reads what somebody typed: lower case, spaces and dashes do not matter.
    ///
    /// # Errors
    /// When it cannot be a code, which says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let mut symbols = CompactString::default();
        let mut length = 0;
        for found in text.chars().filter(|symbol| !is_separator(*symbol)) {
            length += 1;
            let symbol = found.to_ascii_uppercase();
            if !ALPHABET.iter().any(|known| char::from(*known) == symbol) {
                return Err(CodeError::Symbol { found });
            }
            if length <= Self::LONGEST {
                symbols.push(symbol);
            }
        }
        if !(Self::SHORTEST..=Self::LONGEST).contains(&length) {
            return Err(CodeError::Length { found: length });
        }
        if fits(&symbols) { Ok(Self(symbols)) } else { Err(CodeError::Check) }
    }

    /// The symbols alone: what is hashed, compared and stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last four symbols: enough to tell one's own codes apart, too little to use one.
    pub fn last_four(&self) -> &str {
        last_four(&self.0)
    }
}

/// In groups of four, as it is printed and shown to whom it belongs.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grouped(&self.0))
    }
}

/// A code is worth money: what is printed for developers shows its end alone.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code(…{})", self.last_four())
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        Self::parse(text)
    }
}

/// A code of any origin in the form it is looked up by.
pub type Normal = CompactString;

/// A text that cannot be a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has 4 to {CODE_MAX} letters, digits and signs; blanks and hyphens do not count")]
pub struct NotACode;

/// A code as it is looked up, however it was typed: blanks and hyphens are for reading, and small letters are large.
///
/// # Errors
/// [`NotACode`] for what is too short, too long, or has other characters.
pub fn normalise(text: &str) -> Result<Normal, NotACode> {
    let kept = text.chars().filter(|character| !is_separator(*character));
    let normal: Normal = kept.map(|character| character.to_ascii_uppercase()).collect();
    let fits = (4..=CODE_MAX).contains(&normal.len()) && normal.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(normal) } else { Err(NotACode) }
}

/// In groups of four, to be read.
pub fn grouped(code: &str) -> CompactString {
    let mut text = CompactString::default();
    for (place, character) in code.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        text.push(character);
    }
    text
}

/// In groups where it is one of ours, else as it is.
pub fn as_shown(code: &str) -> CompactString {
    if has_check(code) { grouped(code) } else { code.into() }
}

/// Whether a code has the form of ours and its check symbol is right.
pub fn has_check(code: &str) -> bool {
    LENGTHS.contains(&code.len()) && fits(code)
}

/// Whether a code has the form of ours and its check symbol is wrong: somebody mistyped it, nobody guessed.
pub fn is_mistyped(code: &str) -> bool {
    LENGTHS.contains(&code.len()) && digits(code).is_some() && !fits(code)
}

/// How many codes of a length there are: the check symbol says nothing new to who guesses.
pub fn spoken_space(length: usize) -> u128 {
    let random = u32::try_from(length.saturating_sub(1)).unwrap_or_default();
    23_u128.saturating_pow(random)
}

/// How many codes of a length may be valid, so that at most one guess in a million hits one (V1).
pub fn on_pack_most(length: usize) -> i64 {
    i64::try_from(spoken_space(length) / 1_000_000).unwrap_or(i64::MAX)
}

/// The last four characters of a code of any origin.
pub fn last_four(code: &str) -> &str {
    let from = code.char_indices().rev().nth(3).map_or(0, |(place, _)| place);
    &code[from..]
}

/// What people and printers put between the groups of a code.
pub fn is_separator(symbol: char) -> bool {
    symbol.is_whitespace() || matches!(symbol, '-' | '\u{2010}'..='\u{2015}')
}

fn letters() -> &'static str {
    std::str::from_utf8(&ALPHABET[8..]).unwrap_or_default()
}

fn digits(code: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| ALPHABET.iter().position(|known| *known == byte).and_then(|place| u8::try_from(place).ok());
    code.bytes().map(digit).collect()
}

/// Whether the last symbol is the check of the others.
fn fits(code: &str) -> bool {
    digits(code).is_some_and(|digits| digits.split_last().is_some_and(|(check, rest)| *check == check_of(rest)))
}

/// Weighted by place, modulo a prime above the length: no two places weigh the same (the check symbol's own −1).
fn check_of(digits: &[u8]) -> u8 {
    let sum: u32 = digits.iter().zip(1_u32..).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    u8::try_from(sum % 23).unwrap_or_default()
}
