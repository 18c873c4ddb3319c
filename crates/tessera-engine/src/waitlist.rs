//! Whoever waits for a reward is offered what comes free, first come first served.
//!
//! Nothing has to be remembered for it: what is free and who waits say together whose turn it is. Until this has run,
//! nobody else can take what is waited for.

use std::sync::{Arc, mpsc};

use serde::Serialize;
use tessera_core::decide;
use tessera_core::id::Bucket;
use tessera_core::member::WaitState;
use tessera_core::program::Id;
use tessera_core::time::Instant;
use tessera_store::{Shards, StoreError, Value};

use crate::executor::{Context, Executor, pool_key};
use crate::identifier::Subject;
use crate::programs::{ProgramHandle, member_id};
use crate::query::{Page, PageRequest};
use crate::redemption::Waiting;
use crate::submission::{Answer, Submission};

/// Members of one list that are offered something in one round.
const ROUND_MAX: i64 = 100;

/// A place in the list of those who wait for a reward.
#[derive(Clone, Debug, Serialize)]
pub struct PlaceView {
    pub place: i64,
    pub member: String,
    pub state: &'static str,
    pub since: Instant,
}

/// Offers what came free to those whose turn it is. Says to how many.
pub fn offer_free(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    let waited = context.database.read(|reader| {
        // `state <= 2` is what the index is about.
        let sql = "SELECT DISTINCT program, reward FROM waitlist WHERE state <= 2 AND state = 1";
        reader.query(sql, &[])
    })?;
    let mut offered = 0;
    for row in waited {
        let Some(program) = crate::scheduler::program_of(context, row[0].int()?)? else { continue };
        if let Ok(reward) = row[1].text()?.parse() {
            offered += offer_of(context, executor, &program, &reward)?;
        }
    }
    Ok(offered)
}

fn offer_of(
    context: &Context,
    executor: &Executor,
    program: &Arc<ProgramHandle>,
    reward: &Id,
) -> Result<usize, StoreError> {
    let now = context.clock.now();
    let rules = program.versions().at(now).clone();
    let stock = rules.reward(reward.as_str()).and_then(|reward| reward.definition.stock);
    let Some(stock) = stock else { return Ok(0) };
    let next = context.database.read(|reader| {
        // What a slice of another shard has not given back is nothing that can be offered yet: it would be refused, and what
        // was refused once stays so.
        let used = crate::executor::in_use(reader, &Shards::default(), program.number, &decide::stock_pool(reward))?;
        let free = (stock - used).clamp(0, ROUND_MAX);
        let sql = format!(
            "SELECT place, member FROM waitlist WHERE bucket = $1 AND program = $2 AND reward = $3 AND state = 1 \
             ORDER BY place LIMIT {free}"
        );
        reader.query(&sql, &list_key(program.number, reward))
    })?;
    let mut offered = 0;
    for row in next {
        let (place, member) = (row[0].int()?, member_id(row[1].bytes()?)?);
        // A place is offered something once, however often this is tried.
        let submission = Submission::waiting(
            &context.secrets,
            program,
            Subject::Member(member),
            (reward.clone(), Waiting::Offer(place)),
            &format!("{reward}/{place}"),
            now,
        );
        let (answer, answered) = mpsc::sync_channel(1);
        let reply = Box::new(move |done| {
            let _ = answer.send(done);
        });
        if executor.submit_waiting(submission, reply).is_err() {
            return Ok(offered);
        }
        match answered.recv() {
            Ok(Answer::Done { .. }) => offered += 1,
            Ok(Answer::Refused(refusal)) if refusal.code == "unknown-member" || refusal.code == "not-waiting" => {
                pass_over(executor, program.number, reward, place)?;
            }
            _ => return Ok(offered),
        }
    }
    Ok(offered)
}

/// Somebody who is no longer there keeps nobody waiting.
fn pass_over(executor: &Executor, program: i64, reward: &Id, place: i64) -> Result<(), StoreError> {
    let (mut params, waiting) = (list_key(program, reward), pool_key(program, &decide::waiting_pool(reward)));
    params.extend([place.into(), WaitState::Left.code().into()]);
    executor.write(move |tx| {
        let sql = "UPDATE waitlist SET state = $5 WHERE bucket = $1 AND program = $2 AND reward = $3 AND place = $4 AND state = 1";
        if tx.execute(sql, &params)? > 0 {
            tx.take_from_pools(&[(waiting, -1, i64::MAX)])?;
        }
        Ok::<_, StoreError>(())
    })
}

fn list_key(program: i64, reward: &Id) -> Vec<Value> {
    let bucket = i64::from(Bucket::of(reward.as_str().as_bytes()).get());
    vec![bucket.into(), program.into(), reward.as_str().into()]
}

/// Those who wait for a reward or are offered one, in their order.
pub fn places(
    context: &Context,
    program: &ProgramHandle,
    reward: &Id,
    page: &PageRequest,
) -> Result<Page<PlaceView>, StoreError> {
    let after: i64 = page.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(0);
    let mut params = list_key(program.number, reward);
    params.push(after.into());
    let sql = format!(
        "SELECT place, member, state, since FROM waitlist WHERE bucket = $1 AND program = $2 AND reward = $3 \
         AND place > $4 AND state <= 2 ORDER BY place LIMIT {}",
        page.limit + 1
    );
    let rows = context.database.read(|reader| reader.query(&sql, &params))?;
    let view = |row: &Vec<Value>| {
        let state = WaitState::from_code(row[2].int()?).map_or("unknown", WaitState::word);
        let (member, since) = (member_id(row[1].bytes()?)?, Instant::from_micros(row[3].int()?));
        Ok(PlaceView { place: row[0].int()?, member: member.to_string(), state, since })
    };
    let items: Vec<PlaceView> = rows.iter().take(page.limit).map(view).collect::<Result<_, StoreError>>()?;
    let next = items.last().filter(|_| rows.len() > page.limit).map(|last| last.place.to_string());
    Ok(Page { items, next })
}
