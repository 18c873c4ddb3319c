//! Data in: files of events and members, read by a mapping, streamed through the one door.

mod import;
mod mapping;
mod rows;

pub use import::{Import, ImportError, Progress, Report, default_member_mapping};
pub use mapping::{Mapping, MappingError};
