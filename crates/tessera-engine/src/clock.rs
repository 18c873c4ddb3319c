//! The only place that reads the clock and draws random numbers. Everything else takes both as arguments.

use std::sync::atomic::{AtomicI64, Ordering};

use tessera_core::id::MemberId;
use tessera_core::time::Instant;

/// Where "now" comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Instant;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Instant {
        Instant::from(jiff::Timestamp::now())
    }
}

/// A clock that stands where it is put, for tests and demos.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    pub fn at(instant: Instant) -> Self {
        Self(AtomicI64::new(instant.micros()))
    }

    pub fn set(&self, instant: Instant) {
        self.0.store(instant.micros(), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Random bytes from the operating system, drawn in blocks: a call for each id would cost more than the id.
///
/// The first block is small, for whoever needs one or two ids: a quote makes an `Entropy` of its own.
#[derive(Debug, Default)]
pub struct Entropy {
    block: Vec<u8>,
    used: usize,
    /// Where the bytes come from in place of the operating system.
    repeatable: Option<blake3::OutputReader>,
}

const FIRST_BLOCK: usize = 64;
const BLOCK: usize = 4096;

impl Entropy {
    /// Bytes that are the same for the same number, so that a scenario draws the same groups each time. Codes and keys
    /// made of them can be guessed: for data that are thrown away.
    pub fn repeatable(number: u64) -> Self {
        let source = blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof();
        Self { repeatable: Some(source), ..Self::default() }
    }

    /// Whether it gives the same bytes each time.
    pub fn is_repeatable(&self) -> bool {
        self.repeatable.is_some()
    }

    /// Fresh random bytes, never given twice.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > self.block.len() {
            let size = if self.block.is_empty() { FIRST_BLOCK } else { BLOCK };
            self.block.resize(size.max(N), 0);
            match &mut self.repeatable {
                Some(source) => source.fill(&mut self.block),
                // Without randomness nothing may go on: codes and ids would repeat.
                None => getrandom::fill(&mut self.block).expect("the operating system gives random bytes"),
            }
            self.used = 0;
        }
        let mut bytes = [0; N];
        let drawn = &mut self.block[self.used..self.used + N];
        bytes.copy_from_slice(drawn);
        drawn.fill(0);
        self.used += N;
        bytes
    }

    pub fn member_id(&mut self, now: Instant) -> MemberId {
        MemberId::new(now.unix_ms(), self.bytes())
    }
}
