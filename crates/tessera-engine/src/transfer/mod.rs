//! Data in: files of events and members, read by a mapping, streamed through the one door.

mod condition;
mod import;
mod mapping;
mod plan;
mod rows;
mod tally;

pub use import::{Import, ImportError, Progress, default_member_mapping};
pub use mapping::{Format, Mapping, MappingError};
pub use tally::Report;
