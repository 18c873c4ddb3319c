use std::sync::{Mutex, PoisonError};

use tessera_core::time::Instant;

/// Failures in a row that open the circuit.
const FAILURES_MAX: u32 = 5;
/// The first pause once it is open, in seconds; it doubles up to the longest.
const PAUSE: (i64, i64) = (30, 600);

/// Keeps from calling, for a while, somebody who did not answer several times in a row. After the pause one call is made;
/// it says whether the others go too.
#[derive(Debug, Default)]
pub struct Circuit(Mutex<Seen>);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    failures: u32,
    open_until: Option<Instant>,
}

impl Circuit {
    /// Until when nobody should be called; `None`: now.
    pub fn open_until(&self, now: Instant) -> Option<Instant> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.open_until.filter(|until| now < *until)
    }

    pub fn succeeded(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    pub fn failed(&self, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.failures = seen.failures.saturating_add(1);
        if let Some(more) = seen.failures.checked_sub(FAILURES_MAX) {
            let pause = (PAUSE.0 << more.min(10)).min(PAUSE.1);
            seen.open_until = Some(now.plus_seconds(pause));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_it_pauses_longer_and_longer() {
        let (circuit, start) = (Circuit::default(), Instant::from_micros(0));
        for _ in 0..4 {
            circuit.failed(start);
        }
        assert_eq!(circuit.open_until(start), None);
        circuit.failed(start);
        assert_eq!(circuit.open_until(start), Some(start.plus_seconds(30)));
        let later = start.plus_seconds(30);
        assert_eq!(circuit.open_until(later), None, "one more try");
        circuit.failed(later);
        assert_eq!(circuit.open_until(later), Some(later.plus_seconds(60)));
        for _ in 0..20 {
            circuit.failed(later);
        }
        assert_eq!(circuit.open_until(later), Some(later.plus_seconds(600)));
        circuit.succeeded();
        circuit.failed(later);
        assert_eq!(circuit.open_until(later), None, "it begins again");
    }
}
