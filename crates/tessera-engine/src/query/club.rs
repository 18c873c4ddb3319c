use serde::Serialize;
use tessera_core::decide::{self, ClubView, RefundQuote};
use tessera_core::id::MemberId;
use tessera_core::program::Id;
use tessera_store::StoreError;

use super::member::settled;
use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::submission::Refusal;

/// A paid membership with its name.
#[derive(Clone, Debug, Serialize)]
pub struct NamedClub {
    #[serde(flatten)]
    pub club: ClubView,
    pub name: Option<String>,
}

/// Every paid membership of a member, those that ended too; `None` where there is no such member.
pub fn clubs(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    language: &str,
) -> Result<Option<Vec<NamedClub>>, StoreError> {
    let state = context.database.read(|reader| settled(context, reader, program, member))?;
    let Some(state) = state else { return Ok(None) };
    let now = context.clock.now();
    let rules = program.versions().at(now).clone();
    let named = |club: ClubView| {
        let plan = rules.plan(club.plan.as_str());
        NamedClub { name: plan.and_then(|plan| plan.name.in_language(language)).map(str::to_owned), club }
    };
    Ok(Some(decide::clubs(&rules, &state, now).into_iter().map(named).collect()))
}

/// What would be paid back of a fee now, with nothing written; `None` where there is no such member.
pub fn quote_refund(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    plan: &Id,
) -> Result<Option<Result<RefundQuote, Refusal>>, StoreError> {
    let state = context.database.read(|reader| settled(context, reader, program, member))?;
    let Some(state) = state else { return Ok(None) };
    let quote = decide::quote_refund(&program.versions(), &state, plan, context.clock.now());
    Ok(Some(quote.map_err(Refusal::from)))
}
