//! Quantities: exact amounts of money as events carry them, whole points, and how both are rounded and shared out.

mod amount;
mod apportion;
mod points;
mod rounding;

pub use amount::{Amount, AmountError, Currency};
pub use apportion::apportion;
pub use points::{Points, PointsOutOfRange};
pub use rounding::Rounding;
