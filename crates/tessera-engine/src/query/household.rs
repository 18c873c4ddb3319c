use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::decide::{self, Balance};
use tessera_core::event::Redeem;
use tessera_core::id::MemberId;
use tessera_core::member::{MemberState, Status};
use tessera_core::program::Id;
use tessera_core::time::{Day, Instant};
use tessera_store::StoreError;

use super::member::settled;
use crate::executor::Context;
use crate::household::unknown_household;
use crate::programs::ProgramHandle;
use crate::submission::Refusal;

/// The household of a member.
#[derive(Clone, Debug, Serialize)]
pub struct HouseholdOfMember {
    pub id: String,
    /// Accepted an invitation, or founded it, and not answered yet.
    pub asked: bool,
    pub since: Day,
}

impl HouseholdOfMember {
    pub(super) fn of(member: &MemberState) -> Option<Self> {
        let belongs = member.belongs.as_ref()?;
        let id = belongs.household?.to_string();
        Some(Self { id, asked: belongs.asked, since: belongs.since })
    }
}

/// A household with its people and its pool, settled to now.
#[derive(Clone, Debug, Serialize)]
pub struct HouseholdView {
    pub id: String,
    pub founded_at: Instant,
    /// `open`, or `closed` once everybody has left.
    pub status: &'static str,
    /// In the order in which they joined.
    pub people: Vec<PersonView>,
    pub pool: BTreeMap<Id, Balance>,
    /// What of the pool belongs to nobody in particular, by currency.
    pub common: BTreeMap<Id, i64>,
    pub invitations: Vec<InvitationView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct PersonView {
    pub member: String,
    pub since: Day,
    pub head: bool,
    /// What of the pool is theirs, by currency, less what is reserved.
    pub part: BTreeMap<Id, i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct InvitationView {
    pub by: String,
    /// Whom alone it is for; left out, for whoever has its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub until: Instant,
}

fn of_id(context: &Context, program: &ProgramHandle, id: MemberId) -> Result<Option<MemberState>, StoreError> {
    let state = context.database.read(|reader| settled(context, reader, program, id))?;
    Ok(state.filter(|state| state.status == Status::Household))
}

/// A household, settled to now.
pub fn household(
    context: &Context,
    program: &ProgramHandle,
    id: MemberId,
) -> Result<Option<HouseholdView>, StoreError> {
    let Some(state) = of_id(context, program, id)? else { return Ok(None) };
    let Some(known) = &state.household else { return Ok(None) };
    let (rules, now) = (program.versions().head().clone(), context.clock.now());
    let pools = rules.definition.households.iter().flat_map(|households| households.pools.keys());
    let currencies: Vec<&Id> = pools.chain(state.purses.iter().map(|purse| &purse.currency)).collect();
    let part = |owner: MemberId| -> BTreeMap<Id, i64> {
        let of = |currency: &&Id| ((*currency).clone(), known.part_of(owner, currency.as_str()));
        currencies.iter().map(of).collect()
    };
    let all = decide::balances(&rules, &state);
    Ok(Some(HouseholdView {
        id: state.id.to_string(),
        founded_at: state.joined_at,
        status: if known.closed { "closed" } else { "open" },
        people: known
            .people
            .iter()
            .map(|person| PersonView {
                member: person.member.to_string(),
                since: person.since,
                head: person.head,
                part: part(person.member),
            })
            .collect(),
        pool: all.into_iter().filter(|(currency, _)| currencies.contains(&currency)).collect(),
        common: part(state.id).into_iter().filter(|(_, amount)| *amount > 0).collect(),
        invitations: known
            .invitations
            .iter()
            .filter(|invitation| invitation.until > now)
            .map(|invitation| InvitationView {
                by: invitation.by.to_string(),
                to: invitation.to.map(|to| to.to_string()),
                until: invitation.until,
            })
            .collect(),
    }))
}

/// Whether one of a household's people may have the reward that they want of its pool, so that who asks is told at once.
/// The household asks them again.
pub fn may_ask_for(
    context: &Context,
    program: &ProgramHandle,
    redeem: &Redeem,
) -> Result<Result<(), Refusal>, StoreError> {
    let (Some(by), Some(reward)) = (redeem.by, &redeem.reward) else { return Ok(Ok(())) };
    let Some(state) = context.database.read(|reader| settled(context, reader, program, by))? else { return Ok(Ok(())) };
    let now = context.clock.now();
    Ok(decide::may_ask_for(program.versions().at(now), &state, reward, now).map_err(Refusal::from))
}

/// Whether a household would take a member in now, so that who accepts is told at once. The household itself decides.
pub fn may_join(
    context: &Context,
    program: &ProgramHandle,
    id: MemberId,
    member: MemberId,
    code: Option<&[u8; 16]>,
) -> Result<Result<(), Refusal>, StoreError> {
    let asks = context.database.read(|reader| settled(context, reader, program, member))?;
    // Whoever is there already, or sends the same again, is answered by their own state.
    if asks.and_then(|state| state.belongs).is_some_and(|belongs| belongs.household.is_some()) {
        return Ok(Ok(()));
    }
    let Some(state) = of_id(context, program, id)? else { return Ok(Err(unknown_household())) };
    let taken = decide::may_take_in(program.versions().head(), &state, member, code, context.clock.now());
    Ok(taken.map(drop).map_err(Refusal::from))
}
