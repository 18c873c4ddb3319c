//! Data in: files of events and members, read by a mapping, streamed through the one door. And a whole installation in
//! and out, row by row, to move it between databases.

pub mod all;
mod cards;
mod condition;
mod import;
mod mapping;
mod moving;
mod people;
mod plan;
mod reconcile;
mod rows;
mod tally;

pub use cards::{CardsError, CardsMovedIn, LineDifference, import_cards};
pub use import::{Import, ImportError, Progress, default_member_mapping};
pub use mapping::{Format, Mapping, MappingError};
pub use moving::{Moving, Part, Parts};
pub use people::{People, export_people};
pub use reconcile::{Count, CurrencyFigures, Difference, ReconcileError, Reconciliation, read_expected, reconcile};
pub use tally::Report;
