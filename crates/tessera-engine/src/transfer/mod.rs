//! Data in: files of events and members, read by a mapping, streamed through the one door. And a whole installation in
//! and out, row by row, to move it between databases.

pub mod all;
mod condition;
mod import;
mod mapping;
mod plan;
mod rows;
mod tally;

pub use import::{Import, ImportError, Progress, default_member_mapping};
pub use mapping::{Format, Mapping, MappingError};
pub use tally::Report;
