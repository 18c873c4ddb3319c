//! Codes that people read, say and type: gift cards and vouchers.
//!
//! A code is made of [`ALPHABET`], upper case, without what looks alike, and ends with a check symbol: one symbol
//! mistyped, or any two in each other's place, is told from a code that does not exist.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;

/// What codes are made of: no 0 and O, no 1, I and L, no U beside V, no S beside 5. A prime number of symbols, which is
/// why the check symbol finds every single mistake.
pub const ALPHABET: &[u8; 29] = b"23456789ABCDEFGHJKMNPQRTVWXYZ";

/// A code in its canonical form: the symbols alone, check symbol last. As a text it stands in groups of four.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(CompactString);

/// Why a text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("a code has no `{found}`: it is made of 2 to 9 and of letters without I, L, O, S and U")]
    Symbol { found: char },
    #[error("a code has {} to {} symbols, this has {found}", Code::SHORTEST, Code::LONGEST)]
    Length { found: usize },
    #[error("the code is mistyped: its last symbol does not fit the others")]
    Check,
}

impl Code {
    /// Symbols of a code that is as hard to guess as V1 asks: 15 of 29 are 72 bits, and the check symbol.
    pub const LENGTH: usize = 16;
    /// The check symbol must leave something to check.
    pub const SHORTEST: usize = 6;
    /// 128 random bits make so many symbols; the check symbol is the last.
    pub const LONGEST: usize = 24;

    /// A code of [`Code::LENGTH`] symbols from 128 random bits.
    pub fn from_entropy(entropy: [u8; 16]) -> Self {
        Self::of_length(entropy, Self::LENGTH)
    }

    /// A code of so many symbols with the check symbol, [`Code::SHORTEST`] to [`Code::LONGEST`]. Each symbol but the last
    /// carries 4.85 bits.
    pub fn of_length(entropy: [u8; 16], length: usize) -> Self {
        let length = length.clamp(Self::SHORTEST, Self::LONGEST);
        let mut rest = u128::from_be_bytes(entropy);
        let mut values = Vec::with_capacity(length);
        for _ in 1..length {
            values.push(usize::try_from(rest % 29).unwrap_or_default());
            rest /= 29;
        }
        values.push(check(&values));
        Self(values.into_iter().map(|value| char::from(ALPHABET[value])).collect())
    }

    /// Reads what somebody typed: lower case, spaces and dashes do not matter.
    ///
    /// # Errors
    /// When it cannot be a code, which says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let mut symbols = CompactString::default();
        let mut values = Vec::new();
        for found in text.chars().filter(|symbol| !is_separator(*symbol)) {
            let symbol = found.to_ascii_uppercase();
            let value = ALPHABET.iter().position(|known| char::from(*known) == symbol);
            values.push(value.ok_or(CodeError::Symbol { found })?);
            symbols.push(symbol);
            if values.len() > Self::LONGEST {
                break;
            }
        }
        if !(Self::SHORTEST..=Self::LONGEST).contains(&values.len()) {
            let found = text.chars().filter(|symbol| !is_separator(*symbol)).count();
            return Err(CodeError::Length { found });
        }
        match values.split_last() {
            Some((last, rest)) if *last == check(rest) => Ok(Self(symbols)),
            _ => Err(CodeError::Check),
        }
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

/// The last four characters of a code of any origin.
pub fn last_four(code: &str) -> &str {
    let from = code.char_indices().rev().nth(3).map_or(0, |(place, _)| place);
    &code[from..]
}

/// What people and printers put between the groups of a code.
pub fn is_separator(symbol: char) -> bool {
    symbol.is_whitespace() || matches!(symbol, '-' | '\u{2010}'..='\u{2015}' | '_' | '.')
}

/// The value that makes the weighted sum of all a multiple of 29. The weights are 1 for the check symbol, 2 for the one
/// before it and so on: all different and none of them a multiple of 29, so no single mistake and no swap leaves the sum.
fn check(values: &[usize]) -> usize {
    let weighted = values.iter().rev().zip(2..).map(|(value, weight): (&usize, usize)| value * weight);
    (29 - weighted.sum::<usize>() % 29) % 29
}

/// In groups of four, as it is printed and shown to whom it belongs.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, symbol) in self.0.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{symbol}")?;
        }
        Ok(())
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
