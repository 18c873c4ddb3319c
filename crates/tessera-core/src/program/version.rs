use std::sync::Arc;

use super::Program;
use crate::time::Instant;

/// Every published version of a program, and since when each is in force.
#[derive(Clone, Debug)]
pub struct Versions {
    /// Oldest first; never empty.
    list: Vec<(Instant, Arc<Program>)>,
}

impl Versions {
    pub fn new(first: Arc<Program>) -> Self {
        Self { list: vec![(Instant::MIN, first)] }
    }

    /// `None` for no version at all. The first one is in force for all time before the second.
    pub fn from_list(mut list: Vec<(Instant, Arc<Program>)>) -> Option<Self> {
        list.sort_by_key(|(_, program)| program.version);
        list.first_mut()?.0 = Instant::MIN;
        Some(Self { list })
    }

    pub fn push(&mut self, from: Instant, program: Arc<Program>) {
        self.list.push((from, program));
    }

    /// The version in force at an instant (I5).
    pub fn at(&self, instant: Instant) -> &Arc<Program> {
        let found = self.list.iter().rev().find(|(from, _)| *from <= instant);
        &found.unwrap_or(&self.list[0]).1
    }

    /// The newest version.
    pub fn head(&self) -> &Arc<Program> {
        &self.list[self.list.len() - 1].1
    }

    /// A version by its number.
    pub fn number(&self, version: u32) -> Option<&Arc<Program>> {
        self.list.iter().find(|(_, program)| program.version == version).map(|(_, program)| program)
    }

    /// The versions in force anywhere in `after..=until`, each with the first instant it is.
    pub fn within(&self, after: Instant, until: Instant) -> impl Iterator<Item = (Instant, Instant, &Arc<Program>)> {
        self.list.iter().enumerate().filter_map(move |(index, (from, program))| {
            let end = self.list.get(index + 1).map_or(Instant::MAX, |(next, _)| *next);
            (*from <= until && end > after).then_some((*from, end, program))
        })
    }
}
