//! The figures of a program: pure arithmetic over members and events. What each figure means: `docs/glossary.md`.

mod summary;

pub use summary::{CurrencyFigures, MonthFigures, Summary};
