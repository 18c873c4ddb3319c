use tessera_core::decide::{self, ProgressView};
use tessera_core::id::MemberId;
use tessera_store::StoreError;

use super::member::settled;
use crate::executor::Context;
use crate::programs::ProgramHandle;

/// How far a member has come with cards, challenges, streaks and badges; `None` where there is no such member.
pub fn progress(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    language: &str,
) -> Result<Option<ProgressView>, StoreError> {
    let now = context.clock.now();
    context.database.read(|reader| {
        let state = settled(context, reader, program, member)?;
        Ok(state.map(|state| decide::progress(program.versions().at(now), &state, now, language)))
    })
}
