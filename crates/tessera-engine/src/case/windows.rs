//! What was counted in windows that are over is forgotten.

use tessera_core::decide::ended_velocity_pools;
use tessera_core::time::Instant;
use tessera_store::{StoreError, Tx};

use crate::executor::{Context, Executor};
use crate::programs::ProgramHandle;

/// Days that the pools of a window are kept longer than late events may come.
const KEPT_DAYS: i64 = 1;

/// Forgets what was counted in windows that ended so long ago that no event may be in them any more. Says how many rows
/// there were.
pub fn forget_windows(context: &Context, executor: &Executor, program: &ProgramHandle) -> Result<u64, StoreError> {
    let now = context.clock.now();
    let versions = program.versions();
    let rules = versions.head();
    if rules.velocity.is_empty() {
        return Ok(0);
    }
    let late = rules.definition.backdate_max;
    let before = rules.calendar.start(late.before(rules.calendar.day(now))).plus_seconds(-KEPT_DAYS * 86_400);
    let number = program.number;
    executor.write(move |tx: &mut Tx<'_>| {
        let mut gone = 0;
        for (from, until) in ended_velocity_pools(before) {
            let sql = "DELETE FROM pool WHERE program = $1 AND pool >= $2 AND pool < $3";
            gone += tx.execute(sql, &[number.into(), from.as_str().into(), until.as_str().into()])?;
        }
        Ok(gone)
    })
}

/// How long between two looks for windows that are over, in seconds.
const SWEEP_SECONDS: i64 = 3_600;

/// Forgets, once an hour, what nobody asks for any more. `last`: when it did.
pub(crate) fn sweep(context: &Context, executor: &Executor, last: &mut Option<Instant>) -> Result<usize, StoreError> {
    let now = context.clock.now();
    if last.is_some_and(|last| now < last.plus_seconds(SWEEP_SECONDS)) {
        return Ok(0);
    }
    *last = Some(now);
    for row in context.database.read(|reader| reader.query("SELECT program FROM program", &[]))? {
        if let Some(program) = crate::scheduler::program_of(context, row[0].int()?)? {
            forget_windows(context, executor, &program)?;
        }
    }
    Ok(0)
}
