//! Households in a story: each is meant by somebody who is in it.

use std::sync::Arc;

use serde_json::{Value, json};
use tessera_core::event::{HouseholdStep, Redeem};
use tessera_core::id::MemberId;
use tessera_core::time::Instant;

use super::step::{Deed, Redemption, Together};
use crate::EngineError;
use crate::engine::Engine;
use crate::household::{InvitationCode, unknown_household};
use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::query::{self, MemberView};
use crate::submission::{Refusal, Submission};

/// A member of a story, and the household they are in.
fn somebody(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    subject: &Subject,
) -> Result<Option<(MemberId, Option<MemberId>)>, EngineError> {
    let context = &engine.context;
    let Some(id) = query::find_member(context, program, subject)? else { return Ok(None) };
    let home = query::member(context, program, id)?.and_then(|member| member.household);
    Ok(Some((id, home.and_then(|home| home.id.parse().ok()))))
}

/// Whose points are spent: the member's, or with `pool` those of their household.
pub(super) fn payer(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    subject: &Subject,
    settings: &Redemption,
) -> Result<(Subject, Redeem), EngineError> {
    let redeem = settings.redeem();
    if !settings.pool {
        return Ok((subject.clone(), redeem));
    }
    Ok(match somebody(engine, program, subject)? {
        Some((by, home)) => {
            // Whoever is in none spends from one that nobody founded.
            let home = home.unwrap_or_else(|| MemberId::from_bytes([0; 16]));
            (Subject::Member(home), Redeem { by: Some(by), ..redeem })
        }
        None => (subject.clone(), redeem),
    })
}

/// What a step does about a household.
pub(super) fn submission(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    (subject, who): (&Subject, &Subject),
    settings: &Together,
    id: &str,
    now: Instant,
) -> Result<Result<Submission, Refusal>, EngineError> {
    let secrets = &engine.context.secrets;
    let unknown = || Refusal::new("unknown-member", "nobody is known under this name");
    let Some((member, home)) = somebody(engine, program, subject)? else { return Ok(Err(unknown())) };
    let other = somebody(engine, program, who)?;
    let about_home = |step: HouseholdStep| home.map(|home| (home, step)).ok_or_else(unknown_household);
    let step = match (settings.deed, other) {
        (Deed::Found, _) => Ok((member, HouseholdStep::Found { known: None })),
        (Deed::Leave, _) => Ok((member, HouseholdStep::Leave)),
        (Deed::PutIn, _) => {
            let (currency, amount) = (settings.currency.clone().unwrap_or_default(), settings.amount.unwrap_or(0));
            Ok((member, HouseholdStep::PutIn { currency, amount }))
        }
        (_, None) => Err(unknown()),
        (Deed::Accept, Some((_, household))) => household
            .map(|household| (member, HouseholdStep::Accept { household, code: None }))
            .ok_or_else(unknown_household),
        (Deed::Invite, Some((to, _))) => {
            let code = InvitationCode::fresh(secrets, program.number, id).hash;
            about_home(HouseholdStep::Invite { by: member, to: Some(to), code })
        }
        (Deed::Remove, Some((other, _))) => about_home(HouseholdStep::Remove { by: member, member: other }),
        (Deed::Head, Some((to, _))) => about_home(HouseholdStep::NewHead { by: member, to }),
    };
    Ok(step.map(|(about, step)| Submission::household(secrets, program, Subject::Member(about), step, id, now)))
}

/// What is in the pool of a member's household, or their own part of it, by currency.
pub(super) fn seen(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    member: &MemberView,
    own: bool,
) -> Result<Value, EngineError> {
    let home = member.household.as_ref().and_then(|home| home.id.parse().ok());
    let household = match home {
        Some(home) => query::household(&engine.context, program, home)?,
        None => None,
    };
    let Some(household) = household else { return Ok(json!({})) };
    if own {
        let part = household.people.into_iter().find(|person| person.member == member.id).map(|person| person.part);
        return Ok(json!(part.unwrap_or_default()));
    }
    let pool = household.pool.into_iter().map(|(currency, has)| (currency.to_string(), has.available.into()));
    Ok(Value::Object(pool.collect()))
}
