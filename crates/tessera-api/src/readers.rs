//! The threads that answer short reads: a balance, a quote, one member.
//!
//! A few threads take the next read from one queue. With a thread for every read most of them would wait for a
//! connection, and be woken one after the other to get it. Long reads (lists, reports) have threads of their own, so that
//! they hold nobody up.
//!
//! Quotes that wait are answered together, and so are looks at members: they share one read of the database, and each is
//! answered as if it alone had come.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use tessera_core::decide::CartAsk;
use tessera_engine::StoreError;
use tessera_engine::executor::{Context, Quoted, quote_carts};
use tessera_engine::query::{Seen, Wanted, see};
use tessera_engine::submission::Submission;
use tokio::sync::oneshot;

use crate::Problem;

/// Half of the connections that read: the other half is for lists and reports.
const THREADS: usize = tessera_engine::READERS_MAX / 2;

/// Reads that may wait: as many as commands may. More are told to come back.
const WAITING_MAX: usize = 4_096;

/// Questions answered together: enough to share the cost of a read, few enough to answer soon.
const TOGETHER_MAX: usize = 32;

type Read = Box<dyn FnOnce() + Send>;

/// A question that waits for its answer.
struct Ask<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A, Problem>>,
}

type QuoteAsk = Ask<(Submission, CartAsk), Quoted>;
type SeeAsk = Ask<Wanted, Seen>;

/// Who knows the answers, as many as there are questions.
#[derive(Clone)]
pub(crate) struct Answers {
    pub quote: Quoter,
    pub see: Seer,
}

pub(crate) type Quoter = Arc<dyn Fn(&[Submission], &[CartAsk]) -> Result<Vec<Quoted>, StoreError> + Send + Sync>;
pub(crate) type Seer = Arc<dyn Fn(&[Wanted]) -> Result<Vec<Seen>, StoreError> + Send + Sync>;

impl Answers {
    pub fn of(context: Arc<Context>) -> Self {
        let seeing = context.clone();
        Self {
            quote: Arc::new(move |commands, carts| quote_carts(&context, commands, carts)),
            see: Arc::new(move |wanted| see(&seeing, wanted)),
        }
    }
}

/// The way to the reading threads. Cheap to clone; the threads end with the last handle.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    queue: Sender<Read>,
    quotes: Sender<QuoteAsk>,
    looks: Sender<SeeAsk>,
}

impl Readers {
    pub fn start(answers: &Answers) -> Self {
        let (queue, reads) = crossbeam_channel::bounded(WAITING_MAX);
        let (quotes, quote_asks) = crossbeam_channel::bounded(WAITING_MAX);
        let (looks, see_asks) = crossbeam_channel::bounded(WAITING_MAX);
        for number in 0..THREADS {
            let waiting = Waiting {
                reads: reads.clone(),
                quotes: quote_asks.clone(),
                looks: see_asks.clone(),
                answers: answers.clone(),
            };
            // A machine that has no thread left answers "overloaded" in `read`, when the queue has filled.
            let _ = std::thread::Builder::new().name(format!("reader-{number}")).spawn(move || waiting.work());
        }
        Self { queue, quotes, looks }
    }

    /// Runs a read that blocks, and waits for it without blocking.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move || {
            // A caller that hung up does not need it any more.
            if !answer.is_closed() {
                let _ = answer.send(read());
            }
        });
        wait_for(self.queue.try_send(read), answered).await
    }

    /// What a command would do, and what its cart could bring.
    pub async fn quote(&self, command: Submission, cart: CartAsk) -> Result<Quoted, Problem> {
        let (answer, answered) = oneshot::channel();
        wait_for(self.quotes.try_send(Ask { question: (command, cart), answer }), answered).await
    }

    /// A member, or why there is none.
    pub async fn see(&self, wanted: Wanted) -> Result<Seen, Problem> {
        let (answer, answered) = oneshot::channel();
        wait_for(self.looks.try_send(Ask { question: wanted, answer }), answered).await
    }
}

async fn wait_for<T, W>(
    sent: Result<(), TrySendError<W>>,
    answered: oneshot::Receiver<Result<T, Problem>>,
) -> Result<T, Problem> {
    match sent {
        Ok(()) => answered.await.unwrap_or_else(|_| Err(Problem::broken())),
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Problem::overloaded()),
    }
}

/// What a reading thread works on.
struct Waiting {
    reads: Receiver<Read>,
    quotes: Receiver<QuoteAsk>,
    looks: Receiver<SeeAsk>,
    answers: Answers,
}

impl Waiting {
    fn work(&self) {
        loop {
            crossbeam_channel::select! {
                recv(self.reads) -> read => match read {
                    Ok(read) => run(read),
                    Err(_) => return,
                },
                recv(self.quotes) -> ask => match ask {
                    Ok(ask) => self.quote(all_of(ask, &self.quotes)),
                    Err(_) => return,
                },
                recv(self.looks) -> ask => match ask {
                    Ok(ask) => self.see(all_of(ask, &self.looks)),
                    Err(_) => return,
                },
            }
        }
    }

    fn quote(&self, (questions, waiting): All<(Submission, CartAsk), Quoted>) {
        let (commands, carts): (Vec<Submission>, Vec<CartAsk>) = questions.into_iter().unzip();
        give(waiting, |some: Range<usize>| (self.answers.quote)(&commands[some.clone()], &carts[some]));
    }

    fn see(&self, (wanted, waiting): All<Wanted, Seen>) {
        give(waiting, |some: Range<usize>| (self.answers.see)(&wanted[some]));
    }
}

/// Questions, and who waits for the answer to each.
type All<Q, A> = (Vec<Q>, Vec<oneshot::Sender<Result<A, Problem>>>);

/// What waits now, but no more than are answered together.
fn all_of<Q, A>(first: Ask<Q, A>, others: &Receiver<Ask<Q, A>>) -> All<Q, A> {
    let asks = std::iter::once(first).chain(others.try_iter()).take(TOGETHER_MAX);
    // A caller that hung up does not need it any more.
    asks.filter(|ask| !ask.answer.is_closed()).map(|ask| (ask.question, ask.answer)).unzip()
}

fn give<A>(
    waiting: Vec<oneshot::Sender<Result<A, Problem>>>,
    answer: impl Fn(Range<usize>) -> Result<Vec<A>, StoreError>,
) {
    let answers = together(waiting.len(), &answer);
    for (waiting, answer) in waiting.into_iter().zip(answers) {
        let _ = waiting.send(answer);
    }
}

/// Answers all of `count`; where that breaks on one of them, this one loses its answer and no other.
fn together<A>(count: usize, answer: &dyn Fn(Range<usize>) -> Result<Vec<A>, StoreError>) -> Vec<Result<A, Problem>> {
    let mut answered = Vec::with_capacity(count);
    match caught(|| answer(0..count)) {
        Some(Ok(all)) => answered.extend(all.into_iter().map(Ok)),
        // A database that is away is not waited for once more by each.
        Some(Err(error)) if error.is_transient() || count == 1 => {
            tracing::error!(%error, "the database could not be read");
            let problem = if error.is_transient() { Problem::unavailable } else { Problem::broken };
            answered.extend((0..count).map(|_| Err(problem())));
        }
        Some(Err(_)) | None if count > 1 => {
            answered.extend((0..count).flat_map(|one| together(1, &|_| answer(one..one + 1))));
        }
        _ => {}
    }
    // What has no answer broke.
    answered.resize_with(count, || Err(Problem::broken()));
    answered
}

fn run(read: Read) {
    // A read that panics drops the way to its answer.
    let _ = caught(read);
}

/// A bug in one read costs that read its answer, not the others their thread.
fn caught<T>(read: impl FnOnce() -> T) -> Option<T> {
    let done = std::panic::catch_unwind(AssertUnwindSafe(read));
    if done.is_err() {
        tracing::error!("a read could not be answered: this is a bug");
    }
    done.ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::cell::Cell;

    use super::*;

    fn no_answers() -> Answers {
        Answers { quote: Arc::new(|_, _| Ok(Vec::new())), see: Arc::new(|_| Ok(Vec::new())) }
    }

    /// Doubles numbers; some of them break it.
    fn doubled(numbers: &[u32], asked: &Cell<usize>) -> Vec<Result<u32, u16>> {
        let double = |some: Range<usize>| {
            asked.set(asked.get() + 1);
            let doubled = numbers[some].iter().map(|number| match number {
                13 => Err(StoreError::corrupt("member", "state", "broken")),
                66 => Err(StoreError::Busy { what: "the database is away" }),
                99 => panic!("a bug"),
                number => Ok(2 * number),
            });
            doubled.collect()
        };
        together(numbers.len(), &double).into_iter().map(|answer| answer.map_err(|problem| problem.status)).collect()
    }

    #[test]
    fn what_breaks_one_question_costs_the_others_nothing() {
        let asked = Cell::new(0);
        assert_eq!(doubled(&[1, 2, 3], &asked), [Ok(2), Ok(4), Ok(6)]);
        assert_eq!(asked.get(), 1, "one read for all");
        assert_eq!(doubled(&[1, 13, 3], &asked), [Ok(2), Err(500), Ok(6)]);
        assert_eq!(doubled(&[99, 2, 13], &asked), [Err(500), Ok(4), Err(500)]);
        assert_eq!(doubled(&[99], &asked), [Err(500)]);
    }

    #[test]
    fn a_database_that_is_away_is_asked_once() {
        let asked = Cell::new(0);
        assert_eq!(doubled(&[1, 66, 3], &asked), [Err(503); 3]);
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn a_read_that_panics_costs_its_own_answer_and_no_thread() {
        let readers = Readers::start(&no_answers());
        for _ in 0..2 * THREADS {
            let broken = readers.read(|| -> Result<(), Problem> { panic!("a bug") }).await;
            assert_eq!(broken.unwrap_err().status, 500);
        }
        assert_eq!(readers.read(|| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_full_queue_says_come_back() {
        let readers = Readers::start(&no_answers());
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
