//! Wakes members when something falls due. Only a convenience: every command settles first, so nothing is right only
//! because this ran (I7).

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tessera_store::StoreError;

use crate::executor::{Context, Executor};
use crate::programs::member_id;
use crate::submission::Submission;

/// Members woken in one round.
const ROUND_MAX: i64 = 500;
/// How long to wait when nothing was due.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Scheduler {
    stop: Option<crossbeam_channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scheduler {
    pub fn start(context: Arc<Context>, executor: Executor) -> std::io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let mut ranked = None;
        let (mut swept, mut swept_shards) = (None, None);
        let run = move || loop {
            let woken = wake_due(&context, &executor)
                .and_then(|woken| Ok(woken + crate::relay::relay_due(&context, &executor)?))
                .and_then(|done| Ok(done + crate::adjustment::finish_approved(&context, &executor)?))
                .and_then(|done| Ok(done + crate::waitlist::offer_free(&context, &executor)?));
            let woken = woken.and_then(|done| Ok(done + crate::ranking::rank_daily(&context, &executor, &mut ranked)?));
            let woken = woken.and_then(|done| Ok(done + crate::case::sweep(&context, &executor, &mut swept)?));
            let woken =
                woken.and_then(|done| Ok(done + crate::executor::sweep(&context, &executor, &mut swept_shards)?));
            let pause = match woken {
                Ok(0) => PAUSE,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "members could not be woken; trying again");
                    PAUSE
                }
            };
            // Nobody waits for a round to see what an event caused for another member.
            crossbeam_channel::select! {
                recv(stopped) -> _ => return,
                recv(executor.follow_ups()) -> _ => {}
                default(pause) => {}
            }
        };
        let thread = std::thread::Builder::new().name("scheduler".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the scheduler ended in a panic");
        }
    }
}

/// Sends a wake-up for every member that is due, and waits for them. Says how many there were.
pub fn wake_due(context: &Context, executor: &Executor) -> Result<usize, StoreError> {
    let now = context.clock.now();
    crate::people::forget_marks(context, executor, now)?;
    let due = context.database.read(|reader| {
        let sql = format!(
            "SELECT program, member, wake_at FROM member WHERE wake_at <= $1 ORDER BY wake_at LIMIT {ROUND_MAX}"
        );
        reader.query(&sql, &[now.micros().into()])
    })?;
    let (done, answers) = mpsc::channel();
    let mut sent = 0;
    for row in &due {
        let Some(program) = program_of(context, row[0].int()?)? else { continue };
        let wake_up = Submission::wake_up(&program, member_id(row[1].bytes()?)?, now);
        let done = done.clone();
        let reply = Box::new(move |_| {
            let _ = done.send(());
        });
        if executor.submit_waiting(wake_up, reply).is_ok() {
            sent += 1;
        }
    }
    drop(done);
    answers.iter().take(sent).for_each(drop);
    let oldest = due.first().map(|row| row[2].int()).transpose()?;
    metrics::gauge!("tessera_wake_up_lag_seconds").set(lag_seconds(now, oldest));
    Ok(sent)
}

/// How long the oldest of what is due has waited; 0 where nothing is.
pub(crate) fn lag_seconds(now: tessera_core::time::Instant, oldest: Option<i64>) -> f64 {
    oldest.map_or(0.0, |due| (now.micros() - due).max(0) as f64 / 1e6)
}

/// The program of a number, met before or not.
pub(crate) fn program_of(
    context: &Context,
    number: i64,
) -> Result<Option<Arc<crate::programs::ProgramHandle>>, StoreError> {
    if let Some(known) = context.programs.by_number(number) {
        return Ok(Some(known));
    }
    let rows =
        context.database.read(|reader| reader.query("SELECT key FROM program WHERE program = $1", &[number.into()]))?;
    let Some(row) = rows.first() else { return Ok(None) };
    match context.programs.get(&context.database, row[0].text()?) {
        Ok(handle) => Ok(Some(handle)),
        Err(crate::programs::ProgramError::Store(error)) => Err(error),
        Err(_) => Ok(None),
    }
}
