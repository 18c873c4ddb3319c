use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// A whole, non-negative number of a program currency's smallest units; the entry that carries it tells the direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Points(i64);

/// A number of points below zero or above [`Points::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not a number of points: it is 0 to 1,000,000,000,000")]
pub struct PointsOutOfRange {
    pub value: i64,
}

impl Points {
    pub const ZERO: Self = Self(0);
    /// Low enough that no sum over one member can overflow `i64`.
    pub const MAX: Self = Self(1_000_000_000_000);

    pub fn new(value: i64) -> Result<Self, PointsOutOfRange> {
        (0..=Self::MAX.0).contains(&value).then_some(Self(value)).ok_or(PointsOutOfRange { value })
    }

    /// The nearest number of points: below zero is zero, above the maximum is the maximum.
    pub fn clamped(value: i128) -> Self {
        Self(i64::try_from(value.clamp(0, i128::from(Self::MAX.0))).unwrap_or_default())
    }

    pub const fn get(self) -> i64 {
        self.0
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// At most `limit` of these points, and what is left: nothing is lost or made.
    #[must_use]
    pub fn split(self, limit: Self) -> (Self, Self) {
        let taken = self.min(limit);
        (taken, Self(self.0 - taken.0))
    }

    /// What is left when `other` is taken away, zero if that is more.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }
}

impl TryFrom<i64> for Points {
    type Error = PointsOutOfRange;
    /// As stored: a sum over a membership may be above [`Points::MAX`], which bounds what moves at once.
    fn try_from(value: i64) -> Result<Self, PointsOutOfRange> {
        (value >= 0).then_some(Self(value)).ok_or(PointsOutOfRange { value })
    }
}

impl From<Points> for i64 {
    fn from(points: Points) -> Self {
        points.0
    }
}

impl Add for Points {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Points {
    type Output = Self;
    /// Callers take away only what is there; less would be a broken ledger.
    fn sub(self, other: Self) -> Self {
        debug_assert!(self.0 >= other.0, "{} - {} points", self.0, other.0);
        self.less(other)
    }
}

impl AddAssign for Points {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Points {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Points {
    fn sum<I: Iterator<Item = Self>>(points: I) -> Self {
        points.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
