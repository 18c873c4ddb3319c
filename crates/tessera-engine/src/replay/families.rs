//! Who lives through their events side by side: each household with everybody who ever told it something, and whoever
//! they were merged into.

use std::collections::{BTreeMap, BTreeSet};

use tessera_core::id::{BUCKETS, MemberId};
use tessera_core::member::Status;
use tessera_core::program::Versions;
use tessera_core::time::Instant;
use tessera_store::{Reader, StoreError};

use super::log::{self, Between, Lived};

/// What a household could not be told comes back to whoever its sender was one with by then.
fn with_survivors(
    reader: &mut Reader<'_>,
    program: i64,
    mut family: BTreeSet<MemberId>,
) -> Result<BTreeSet<MemberId>, StoreError> {
    let mut unseen: Vec<MemberId> = family.iter().copied().collect();
    while let Some(member) = unseen.pop() {
        let survivors = log::merged_into(reader, program, member)?;
        unseen.extend(survivors.into_iter().filter(|survivor| family.insert(*survivor)));
    }
    Ok(family)
}

/// Households with their people; somebody who was in two joins both.
#[derive(Debug, Default)]
pub(super) struct Families {
    list: Vec<BTreeSet<MemberId>>,
    of: BTreeMap<MemberId, usize>,
}

impl Families {
    pub fn read(reader: &mut Reader<'_>, program: i64, versions: &Versions) -> Result<Self, StoreError> {
        let mut families = Self::default();
        if versions.within(Instant::MIN, Instant::MAX).all(|(_, _, program)| program.definition.households.is_none()) {
            return Ok(families);
        }
        for bucket in 0..i64::from(BUCKETS) {
            log::each_member(reader, program, bucket, &mut |reader, state| {
                if state.status != Status::Household {
                    return Ok(());
                }
                let mut family = BTreeSet::from([state.id]);
                for place in log::places(reader, program, state.id, (Instant::MAX, Between::Households))? {
                    if let Lived::Sent { news: Some(news), .. } = place.lived {
                        family.insert(news.cause.event.member);
                    }
                }
                families.join(with_survivors(reader, program, family)?);
                Ok(())
            })?;
        }
        Ok(families)
    }

    fn join(&mut self, mut family: BTreeSet<MemberId>) {
        let known: BTreeSet<usize> = family.iter().filter_map(|member| self.of.get(member).copied()).collect();
        for place in known {
            family.append(&mut self.list[place]);
        }
        let place = self.list.len();
        self.of.extend(family.iter().map(|member| (*member, place)));
        self.list.push(family);
    }

    pub fn list(&self) -> &[BTreeSet<MemberId>] {
        &self.list
    }

    pub fn has(&self, member: MemberId) -> bool {
        self.of.contains_key(&member)
    }
}
