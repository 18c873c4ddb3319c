use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An exact amount of money in the major unit, with at most six decimals (M1).
///
/// Kept as a whole number of millionths, so that sums are exact and never touch a binary float.
/// One amount read from outside is at most 10^15 in size; sums of amounts cannot overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("an amount is a decimal number such as 12.50")]
    NotANumber,
    #[error("an amount has at most 6 decimals")]
    TooManyDecimals,
    #[error("an amount is at most 1,000,000,000,000,000")]
    TooLarge,
}

impl Amount {
    pub const ZERO: Self = Self(0);
    const DECIMALS: u32 = 6;
    const ONE: i128 = 1_000_000;
    /// The largest amount one event may carry, in the major unit.
    const MAX: i128 = 1_000_000_000_000_000 * Self::ONE;

    /// From millionths of the major unit.
    pub const fn from_millionths(value: i128) -> Self {
        Self(value)
    }

    pub const fn millionths(self) -> i128 {
        self.0
    }

    /// A whole number of major units.
    pub fn whole(units: i64) -> Self {
        Self(i128::from(units) * Self::ONE)
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The amount without its sign.
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// As a decimal without trailing zeros, for expressions.
    pub fn to_decimal(self) -> Decimal {
        Decimal::from_i128_with_scale(self.0, Self::DECIMALS).normalize()
    }

    /// `self × part ÷ whole`, exact where the division is, else cut to millionths towards zero.
    pub fn portion(self, part: i128, whole: i128) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        Self(self.0.saturating_mul(part) / whole)
    }

    /// A product of two decimals (quantity × unit price), exact to six decimals.
    pub fn product(self, other: Self) -> Result<Self, AmountError> {
        let product = self.0.checked_mul(other.0).ok_or(AmountError::TooLarge)?;
        if product % Self::ONE != 0 {
            return Err(AmountError::TooManyDecimals);
        }
        Self(product / Self::ONE).in_range()
    }

    /// Text with at least `decimals` digits behind the point: 236.5 with 2 is `236.50`.
    pub fn to_text(self, decimals: usize) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        let one = Self::ONE.unsigned_abs();
        let fraction = format!("{:06}", size % one);
        let kept = fraction.trim_end_matches('0').len().max(decimals.min(6));
        let point = if kept == 0 { "" } else { "." };
        format!("{sign}{}{point}{}", size / one, &fraction[..kept])
    }

    /// The largest power of ten (in millionths, at most one unit) that divides every amount.
    pub(crate) fn finest_digit(amounts: impl Iterator<Item = Self>) -> i128 {
        let mut unit = Self::ONE;
        for amount in amounts {
            while unit > 1 && amount.0 % unit != 0 {
                unit /= 10;
            }
        }
        unit
    }

    fn in_range(self) -> Result<Self, AmountError> {
        (self.0.abs() <= Self::MAX).then_some(self).ok_or(AmountError::TooLarge)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads `-12.345` or `1e3` is refused: only an optional sign, digits and one point.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) || digits.ends_with('.') {
            return Err(AmountError::NotANumber);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 6 {
            return Err(AmountError::TooManyDecimals);
        }
        if whole.trim_start_matches('0').len() > 16 {
            return Err(AmountError::TooLarge);
        }
        let mut value: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(6)) {
            value = value * 10 + i128::from(digit - b'0');
        }
        Self(if negative { -value } else { value }).in_range()
    }
}

impl TryFrom<Decimal> for Amount {
    type Error = AmountError;

    fn try_from(value: Decimal) -> Result<Self, AmountError> {
        let value = value.normalize();
        if value.scale() > Self::DECIMALS {
            return Err(AmountError::TooManyDecimals);
        }
        let factor = 10_i128.pow(Self::DECIMALS - value.scale());
        let units = value.mantissa().checked_mul(factor).ok_or(AmountError::TooLarge)?;
        Self(units).in_range()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(0))
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(|amount| amount.0).sum())
    }
}

impl Serialize for Amount {
    /// Text for people (`"12.5"`), a whole number of millionths in the compact form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i128(self.0) }
    }
}

impl<'de> Deserialize<'de> for Amount {
    /// A JSON number or string, exactly as written: the digits never pass through a float.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i128::deserialize(deserializer).map(Self);
        }
        let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?.get();
        let text = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
        let read = text.parse();
        read.map_err(de::Error::custom)
    }
}

/// An ISO 4217 currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// `None` for a code that ISO 4217 does not know.
    pub fn from_code(code: &str) -> Option<Self> {
        iso_currency::Currency::from_code(code).map(Self)
    }

    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits behind the point: 0 for VND, 2 for THB.
    pub fn decimals(self) -> usize {
        self.0.exponent().map_or(0, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m1_amounts_are_exact_from_number_and_text() {
        for (text, millionths) in
            [("0.29", 290_000), ("\"0.1\"", 100_000), ("-12.345678", -12_345_678), ("7", 7_000_000)]
        {
            let read: Amount = serde_json::from_str(text).unwrap();
            assert_eq!(read.millionths(), millionths, "{text}");
        }
    }

    #[test]
    fn m1_what_is_not_an_exact_amount_is_refused() {
        for text in ["1e3", "0.1234567", "\"\"", "\"-\"", "\"1.\"", "\".5\"", "true", "1000000000000001", "\"1,5\""] {
            assert!(serde_json::from_str::<Amount>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_keeps_the_decimals_asked_for() {
        let amount: Amount = "236.5".parse().unwrap();
        assert_eq!((amount.to_text(2), amount.to_text(0)), ("236.50".to_owned(), "236.5".to_owned()));
        assert_eq!(Amount::whole(-3).to_text(0), "-3");
    }
}
