//! Who is among the best: a job over all members of a program, in two passes.
//!
//! The first reads every member's score (16 bytes each in memory), the second tells those whose band changed, each by a
//! command through the one door. Equal scores share the better band, so the answer never depends on an order.

use std::sync::Arc;
use std::sync::mpsc;

use serde_json::json;
use tessera_core::decide;
use tessera_core::event::What;
use tessera_core::id::MemberId;
use tessera_core::member::{MemberState, Status};
use tessera_core::program::BANDS;
use tessera_core::quantity::Amount;
use tessera_core::time::Instant;
use tessera_store::{Reader, StoreError};

use crate::executor::{Context, Executor};
use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::record::state_from_bytes;
use crate::secret::Secrets;
use crate::submission::Submission;

/// Members read in one query.
const PAGE: usize = 500;
const BUCKETS: i64 = 1024;

impl Submission {
    /// Where a member stands by now.
    fn rank(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: MemberId,
        top_percent: Option<u8>,
        now: Instant,
    ) -> Self {
        let data = json!({ "top_percent": top_percent }).to_string();
        let id = format!("{}:{member}", now.micros());
        let hash = secrets.command_hash(&[b"ranking", id.as_bytes(), data.as_bytes()]);
        let found = secrets.event_key(program.number, "tessera:ranking", &id);
        let about = (What::Rank { top_percent }, Subject::Member(member));
        Self::now(program, about, (Some("ranking"), Some(&id)), &data, Some((found, hash)), now)
    }
}

/// Ranks the members of a program. Says how many stand elsewhere than before; nobody where the document ranks nobody.
pub fn rank(context: &Context, executor: &Executor, program: &Arc<ProgramHandle>) -> Result<usize, StoreError> {
    let rules = program.versions().head().clone();
    if rules.definition.ranking.is_none() {
        return Ok(0);
    }
    let mut scores: Vec<Amount> = Vec::new();
    let above_zero = |state: &MemberState| decide::score(&rules, state).filter(|score| *score > Amount::ZERO);
    context.database.read(|reader| {
        each_member(reader, program.number, &mut |state| {
            scores.extend(above_zero(&state));
        })
    })?;
    scores.sort_unstable();
    // The least score of the best so many in a hundred, rounded up to whole members.
    let least = |band: u8| -> Option<Amount> {
        let count = (scores.len() * usize::from(band)).div_ceil(100);
        scores.get(scores.len().checked_sub(count)?).copied()
    };
    let bands: Vec<(u8, Amount)> = BANDS.into_iter().filter_map(|band| Some((band, least(band)?))).collect();
    let mut moved: Vec<(MemberId, Option<u8>)> = Vec::new();
    context.database.read(|reader| {
        each_member(reader, program.number, &mut |state| {
            let score = above_zero(&state);
            let band = score.and_then(|score| bands.iter().find(|(_, least)| score >= *least).map(|(band, _)| *band));
            if state.ranked.map(|ranked| ranked.top_percent) != band {
                moved.push((state.id, band));
            }
        })
    })?;
    let now = context.clock.now();
    for page in moved.chunks(PAGE) {
        let (done, answers) = mpsc::channel();
        let mut sent = 0;
        for (member, band) in page {
            let command = Submission::rank(&context.secrets, program, *member, *band, now);
            let done = done.clone();
            let reply = Box::new(move |_| {
                let _ = done.send(());
            });
            if executor.submit_waiting(command, reply).is_ok() {
                sent += 1;
            }
        }
        drop(done);
        answers.iter().take(sent).for_each(drop);
    }
    Ok(moved.len())
}

/// Ranks every program once a day, by the clock of UTC. `last`: the day it was done.
pub(crate) fn rank_daily(context: &Context, executor: &Executor, last: &mut Option<i64>) -> Result<usize, StoreError> {
    let today = context.clock.now().micros().div_euclid(86_400_000_000);
    if *last == Some(today) {
        return Ok(0);
    }
    let rows = context.database.read(|reader| reader.query("SELECT program FROM program ORDER BY program", &[]))?;
    let mut moved = 0;
    for row in rows {
        if let Some(program) = crate::scheduler::program_of(context, row[0].int()?)? {
            moved += rank(context, executor, &program)?;
        }
    }
    *last = Some(today);
    Ok(moved)
}

/// Visits the active members of a program, a page at a time.
fn each_member(reader: &mut Reader<'_>, program: i64, visit: &mut dyn FnMut(MemberState)) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT member, state FROM member WHERE bucket = $1 AND program = $2 AND member > $3 AND status = {} \
         ORDER BY member LIMIT {PAGE}",
        Status::Active.code()
    );
    for bucket in 0..BUCKETS {
        let mut last = Vec::new();
        loop {
            let rows = reader.query(&sql, &[bucket.into(), program.into(), last.clone().into()])?;
            let Some(row) = rows.last() else { break };
            last = row[0].bytes()?.to_vec();
            for row in &rows {
                visit(state_from_bytes(row[1].bytes()?)?);
            }
        }
    }
    Ok(())
}
