//! Quantities: exact amounts of money as events carry them, whole points, and how both are rounded and shared out.

mod amount;
mod apportion;
mod pay;
mod points;
mod rounding;

pub use amount::{Amount, AmountError, Currency};
pub use apportion::apportion;
pub use pay::{Choices, PointPayment, PointTender, TenderRounding, pay_with_points};
pub use points::{Points, PointsOutOfRange};
pub use rounding::Rounding;
