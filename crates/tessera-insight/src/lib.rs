//! The figures of a program: pure arithmetic over members and events. What each figure means: `docs/glossary.md`.

mod comparison;
mod summary;

pub use comparison::{
    Comparison, Flow, Gain, LadderComparison, MemberComparison, MonthFlow, Move, Reason, Side, Sides, Window,
};
pub use summary::{CurrencyFigures, MonthFigures, Summary};
