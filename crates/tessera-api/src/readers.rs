//! The threads that answer short reads: a balance, a quote, one member.
//!
//! A few threads take the next read from one queue. With a thread for every read most of them would wait for a
//! connection, and be woken one after the other to get it. Long reads (lists, reports) have threads of their own, so that
//! they hold nobody up.

use std::panic::AssertUnwindSafe;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use crate::Problem;

/// Half of the connections that read: the other half is for lists and reports.
const THREADS: usize = tessera_engine::READERS_MAX / 2;

/// Reads that may wait: as many as commands may. More are told to come back.
const WAITING_MAX: usize = 4_096;

type Read = Box<dyn FnOnce() + Send>;

/// The way to the reading threads. Cheap to clone; the threads end with the last handle.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    queue: Sender<Read>,
}

impl Readers {
    pub fn start() -> Self {
        let (queue, waiting) = crossbeam_channel::bounded(WAITING_MAX);
        for number in 0..THREADS {
            let waiting = waiting.clone();
            // A machine that has no thread left answers "overloaded" in `read`, when the queue has filled.
            let _ = std::thread::Builder::new().name(format!("reader-{number}")).spawn(move || work(&waiting));
        }
        Self { queue }
    }

    /// Runs a read that blocks, and waits for it without blocking.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let read: Read = Box::new(move || {
            // A caller that hung up does not need it any more.
            if !answer.is_closed() {
                let _ = answer.send(read());
            }
        });
        match self.queue.try_send(read) {
            Ok(()) => answered.await.unwrap_or_else(|_| Err(Problem::broken())),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Problem::overloaded()),
        }
    }
}

fn work(waiting: &Receiver<Read>) {
    while let Ok(read) = waiting.recv() {
        // A bug in one read costs that read its answer, not the others their thread.
        if std::panic::catch_unwind(AssertUnwindSafe(read)).is_err() {
            tracing::error!("a read could not be answered: this is a bug");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[tokio::test]
    async fn a_read_that_panics_costs_its_own_answer_and_no_thread() {
        let readers = Readers::start();
        for _ in 0..2 * THREADS {
            let broken = readers.read(|| -> Result<(), Problem> { panic!("a bug") }).await;
            assert_eq!(broken.unwrap_err().status, 500);
        }
        assert_eq!(readers.read(|| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_full_queue_says_come_back() {
        let readers = Readers::start();
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let (busy, is_busy) = crossbeam_channel::bounded::<()>(THREADS);
        let mut waiting = Vec::new();
        for _ in 0..THREADS + WAITING_MAX {
            let (readers, released, busy) = (readers.clone(), released.clone(), busy.clone());
            let hold = move || {
                let _ = busy.try_send(());
                Ok(released.recv().is_err())
            };
            let mut read = Box::pin(async move { readers.read(hold).await });
            let once = read.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            assert!(once.is_pending(), "there was room");
            waiting.push(read);
            if waiting.len() <= THREADS {
                is_busy.recv().unwrap();
            }
        }
        assert_eq!(readers.read(|| Ok(())).await.unwrap_err().status, 503);
        drop(release);
        for read in waiting {
            assert!(read.await.unwrap(), "whatever waited is answered");
        }
        readers.read(|| Ok(())).await.unwrap();
    }
}
