//! Answers once what they tell is on the disk. The embedded database flushes on this thread while the writer decides the
//! next batch: `docs/decisions/0018-flushing-beside-deciding.md`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use tessera_store::StoreError;

use super::Reply;
use super::health::Health;
use crate::submission::Answer;

/// Batches that may wait for a flush. One flush serves all of them, so a slow disk makes batches wait together.
const WAITING_MAX: usize = 4;

/// A batch that is committed, and whom to tell what.
pub(super) struct Done {
    pub answers: Vec<(Reply, Answer)>,
    /// When its commit began.
    pub began: Option<Instant>,
    /// Who relays what one member's event causes for another has something to do.
    pub wakes_relay: bool,
}

/// How answers get out.
pub(super) struct Answering {
    follow_ups: Sender<()>,
    /// Where a commit leaves the flush to others.
    flusher: Option<(Sender<Done>, JoinHandle<()>)>,
}

impl Answering {
    /// Commits are durable when they answer.
    pub fn at_once(follow_ups: Sender<()>) -> Self {
        Self { follow_ups, flusher: None }
    }

    /// Starts the thread that flushes what commits left.
    pub fn after(
        flush: impl FnMut() -> Result<(), StoreError> + Send + 'static,
        follow_ups: Sender<()>,
        health: Arc<Health>,
    ) -> Result<Self, StoreError> {
        let (queue, waiting) = crossbeam_channel::bounded(WAITING_MAX);
        let signal = follow_ups.clone();
        let run = move || run(&waiting, flush, &signal, &health);
        let thread = std::thread::Builder::new().name("flush".to_owned()).spawn(run);
        let thread = thread.map_err(|error| StoreError::Unavailable(format!("no thread to flush on: {error}")))?;
        Ok(Self { follow_ups, flusher: Some((queue, thread)) })
    }

    /// Whether a commit may leave the flush to this.
    pub fn flushes(&self) -> bool {
        self.flusher.is_some()
    }

    /// Tells everybody, when it is time to.
    pub fn give(&self, done: Done) {
        match &self.flusher {
            // It ends only after this, or with a panic: then whoever waits learns that there is no answer.
            Some((queue, _)) => drop(queue.send(done)),
            None => tell(done, &self.follow_ups, Instant::now()),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some((queue, thread)) = self.flusher.take() {
            drop(queue);
            if thread.join().is_err() {
                tracing::error!("the flushing thread has failed: this is a bug");
            }
        }
    }
}

fn run(
    waiting: &Receiver<Done>,
    mut flush: impl FnMut() -> Result<(), StoreError>,
    follow_ups: &Sender<()>,
    health: &Health,
) {
    while let Ok(first) = waiting.recv() {
        let batches: Vec<Done> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let _busy = health.busy();
        let flushed = flush();
        let now = Instant::now();
        if let Err(error) = &flushed {
            tracing::error!(%error, batches = batches.len(), "what was committed could not be flushed");
            metrics::counter!("tessera_batches_failed_total").increment(batches.len() as u64);
            health.note(&flushed);
        }
        for mut done in batches {
            if flushed.is_err() {
                // Whether it happened shows after a restart, when the caller tries again (I6).
                done.answers.iter_mut().for_each(|(_, answer)| *answer = Answer::Unavailable);
            }
            tell(done, follow_ups, now);
        }
    }
}

fn tell(done: Done, follow_ups: &Sender<()>, durable_at: Instant) {
    if let Some(began) = done.began {
        metrics::histogram!("tessera_commit_seconds").record((durable_at - began).as_secs_f64());
    }
    if done.wakes_relay {
        // One signal is enough: the relay takes everything that is there.
        let _ = follow_ups.try_send(());
    }
    for (reply, answer) in done.answers {
        // One who cannot hear it costs the others nothing.
        if std::panic::catch_unwind(AssertUnwindSafe(|| reply(answer))).is_err() {
            tracing::error!("an answer could not be given: this is a bug");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use crossbeam_channel::{Receiver, bounded, unbounded};
    use tessera_store::StoreError;

    use super::{Answering, Done, Health};
    use crate::submission::{Answer, Refusal};

    /// A batch with one answer, and where it arrives.
    fn batch() -> (Done, Receiver<Answer>) {
        let (answer, answered) = unbounded();
        let reply = Box::new(move |told| answer.send(told).unwrap());
        let told = Answer::Refused(Refusal::new("any", "answer"));
        (Done { answers: vec![(reply, told)], began: Some(Instant::now()), wakes_relay: true }, answered)
    }

    #[test]
    fn nobody_is_told_before_the_flush_and_one_flush_serves_all_who_wait() {
        let (follow_ups, relay) = bounded(1);
        let (begun, flushing) = unbounded();
        let (may_end, ends) = unbounded();
        let flush = move || {
            begun.send(()).unwrap();
            ends.recv().unwrap()
        };
        let answering = Answering::after(flush, follow_ups, Arc::default()).unwrap();
        let (first, told_first) = batch();
        answering.give(first);
        flushing.recv().unwrap();
        let (second, told_second) = batch();
        let (third, told_third) = batch();
        answering.give(second);
        answering.give(third);
        assert!(told_first.is_empty(), "it is not on the disk");
        assert!(relay.is_empty(), "and nobody acts on it");
        may_end.send(Ok(())).unwrap();
        assert!(matches!(told_first.recv(), Ok(Answer::Refused(_))));
        flushing.recv().unwrap();
        assert!(told_second.is_empty());
        may_end.send(Ok(())).unwrap();
        assert!(matches!((told_second.recv(), told_third.recv()), (Ok(Answer::Refused(_)), Ok(Answer::Refused(_)))));
        drop(answering);
        assert!(flushing.try_recv().is_err(), "there was no third flush");
        assert_eq!(relay.try_recv(), Ok(()));
    }

    #[test]
    fn i6_what_could_not_be_flushed_is_not_acknowledged() {
        let (follow_ups, _relay) = bounded(1);
        let health: Arc<Health> = Arc::default();
        let flush = || Err(StoreError::Unavailable("the disk is gone".to_owned()));
        let answering = Answering::after(flush, follow_ups, health.clone()).unwrap();
        let (done, told) = batch();
        answering.give(done);
        assert!(matches!(told.recv(), Ok(Answer::Unavailable)));
        drop(answering);
        assert!(health.trouble().is_some_and(|trouble| trouble.contains("the disk is gone")));
    }

    #[test]
    fn who_cannot_hear_an_answer_costs_nobody_else_theirs() {
        let (follow_ups, _relay) = bounded(1);
        let answering = Answering::after(|| Ok(()), follow_ups, Arc::default()).unwrap();
        let (mut done, told) = batch();
        done.answers.insert(0, (Box::new(|_| panic!("a bug")), Answer::Unavailable));
        answering.give(done);
        let (next, told_next) = batch();
        answering.give(next);
        assert!(told.recv().is_ok());
        assert!(told_next.recv().is_ok());
    }

    #[test]
    fn what_was_given_is_told_before_it_ends() {
        let (follow_ups, _relay) = bounded(1);
        let answering = Answering::after(|| Ok(()), follow_ups, Arc::default()).unwrap();
        let (done, told) = batch();
        answering.give(done);
        drop(answering);
        assert!(matches!(told.try_recv(), Ok(Answer::Refused(_))));
    }
}
