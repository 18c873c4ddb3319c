//! An adjustment as a step of a scenario says it.

use std::sync::Arc;

use tessera_core::event::{Adjustment, Asker};
use tessera_core::time::Instant;

use super::step::Adjust;
use crate::adjustment::{self, AdjustmentError, By, Wanted};
use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::submission::Submission;
use crate::{Engine, EngineError};

/// An adjustment as its step says it.
pub(super) fn submission(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    subject: &Subject,
    settings: &Adjust,
    id: &str,
    now: Instant,
) -> Result<Submission, EngineError> {
    let name = settings.by.clone().unwrap_or_else(|| "scenario".to_owned());
    let undone = match &settings.undoes {
        Some(undone) => adjustment::made_under(&engine.context, program, undone)?,
        None => None,
    };
    let undoes = match undone.map(|event| adjustment::undoing(&engine.context, program, event)) {
        Some(Ok((_, undone))) => Some(undone),
        Some(Err(AdjustmentError::Store(error))) => return Err(error.into()),
        Some(Err(AdjustmentError::Refused(_))) | None => None,
    };
    let asker = Asker {
        key: name.as_str().into(),
        role: settings.role.clone(),
        staff: None,
        approved: settings.approved_by.is_some(),
    };
    let adjustment = Adjustment {
        by: Some(asker),
        undoes,
        ..Adjustment::new(settings.currency.clone(), settings.amount, &settings.reason)
    };
    let wanted = Wanted {
        member: subject.clone(),
        currency: settings.currency.clone(),
        amount: settings.amount,
        reason: settings.reason.clone(),
        note: None,
        undoes: undone,
        by: By {
            key: name.clone(),
            name: settings.by.as_ref().map_or_else(String::new, |_| name),
            role: settings.role.clone(),
            staff: None,
        },
        key: id.to_owned(),
    };
    let approved_by = settings.approved_by.as_deref();
    Ok(Submission::adjusting(&engine.context.secrets, program, &wanted, adjustment, approved_by, now))
}
