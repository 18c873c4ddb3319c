use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::decide::{self, Balance, Decision, Effect, Inputs, TierStanding};
use tessera_core::event::{Command, Merge, What, read_follow_up};
use tessera_core::id::MemberId;
use tessera_core::member::MemberState;
use tessera_core::program::{Id, Versions};
use tessera_core::time::Instant;
use tessera_store::StoreError;

use super::member::settled;
use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::submission::Refusal;

/// What the survivor of a merge would have, with nothing done.
#[derive(Clone, Debug, Serialize)]
pub struct MergePreview {
    pub survivor: String,
    pub from: String,
    pub balances: BTreeMap<Id, Balance>,
    pub tiers: Vec<TierStanding>,
    pub purchases: u32,
    /// What of reservations would be free, what would come, what would be netted, and what stands once.
    pub effects: Vec<Effect>,
}

/// Decides a merge as the executor would, and writes nothing. `None` where one of the two is no member.
///
/// # Errors
/// What reading ends in; and, inside, why the merge would be refused.
pub fn preview_merge(
    context: &Context,
    program: &ProgramHandle,
    survivor: MemberId,
    from: MemberId,
) -> Result<Option<Result<MergePreview, Refusal>>, StoreError> {
    let found = context.database.read(|reader| {
        let survivor = settled(context, reader, program, survivor)?;
        Ok::<_, StoreError>(survivor.zip(settled(context, reader, program, from)?))
    })?;
    let Some((survivor, from)) = found else { return Ok(None) };
    let versions = program.versions();
    let now = context.clock.now();
    Ok(Some(decided(&versions, &survivor, &from, now).map_err(Refusal::from)))
}

fn decided(
    versions: &Versions,
    survivor: &MemberState,
    from: &MemberState,
    now: Instant,
) -> Result<MergePreview, decide::Rejected> {
    let merge = What::Merge(Merge { into: survivor.id, reason: None });
    let sent = ask(versions, from, merge, now)?;
    let brought = sent.follow_ups.iter().find(|sent| sent.kind == "merge-in");
    let brought = brought.and_then(|brought| read_follow_up(&brought.kind, &brought.data).ok());
    let Some(brought) = brought else { return Err(decide::Rejected::NeedsMember) };
    let arrived = ask(versions, survivor, brought, now)?;
    let rules = versions.at(now);
    // What was reserved is free before it goes along.
    let released = sent.outcome.effects.into_iter().filter(|effect| effect.redemption.is_some());
    Ok(MergePreview {
        survivor: survivor.id.to_string(),
        from: from.id.to_string(),
        balances: arrived.outcome.balances,
        tiers: decide::tier_standings(rules, &arrived.state, now),
        purchases: arrived.state.statistics.purchases,
        effects: released.chain(arrived.outcome.effects).collect(),
    })
}

fn ask(versions: &Versions, state: &MemberState, what: What, now: Instant) -> Result<Decision, decide::Rejected> {
    decide::decide(&Inputs::of_member(versions, state), &Command { effective_at: now, recorded_at: now, what })
}
