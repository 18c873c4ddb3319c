//! Time as the rules see it: instants in microseconds, program days that begin at a cut-off hour, calendar periods.

mod calendar;
mod day;
mod duration;
mod instant;
mod period;

pub use calendar::{Calendar, TimeOfDay, UnknownZone};
pub use day::{Day, MonthDay, Weekday, Window};
pub use duration::{Duration, DurationError};
pub use instant::Instant;
pub use period::{Period, PeriodError, RoundTo};
