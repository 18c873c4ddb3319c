//! How often somebody may be wrong about a code: by key, and by the address the request came from (V1).
//!
//! In memory and bounded by [`KNOWN_MAX`] callers. A code that does not exist counts five times a mistyped one, whose
//! check character is wrong: people mistype, and who guesses does not know the difference.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use tessera_core::time::{Duration, Instant};
use tessera_engine::submission::Refusal;

use crate::Problem;

/// How many wrong codes are told that they are wrong, in how long a time; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLimits {
    /// By key: one key may serve a chain of shops.
    pub by_key: u32,
    /// By address. Behind a proxy every request has the proxy's: then 0.
    pub by_address: u32,
    /// How long it lasts, from the first wrong code.
    pub window: Duration,
}

impl Default for CodeLimits {
    fn default() -> Self {
        Self { by_key: 200, by_address: 50, window: Duration::minutes(10) }
    }
}

/// Callers that are kept count of.
const KNOWN_MAX: usize = 20_000;

/// What a code that does not exist counts, where a mistyped one counts 1.
const UNKNOWN: u32 = 5;

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caught {
    Key([u8; 16]),
    Address(IpAddr),
}

/// A caller, as they are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guesser {
    pub key: [u8; 16],
    pub address: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    wrong: u32,
    until: Instant,
}

/// The counts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guesses {
    limits: CodeLimits,
    counts: Arc<Mutex<HashMap<Caught, Count>>>,
}

impl Guesses {
    pub fn new(limits: CodeLimits) -> Self {
        Self { limits, counts: Arc::default() }
    }

    fn counted(&self, guesser: Guesser) -> impl Iterator<Item = (Caught, u32)> {
        // A home or a server has a network of addresses of the sixth version.
        let address = guesser.address.map(|address| match address {
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
            address => address,
        });
        let address = address.map(|address| (Caught::Address(address), self.limits.by_address));
        let key = (Caught::Key(guesser.key), self.limits.by_key);
        [Some(key), address].into_iter().flatten().filter(|(_, most)| *most > 0)
    }

    /// Refuses whoever was wrong too often, before anything is looked up.
    pub fn check(&self, guesser: Guesser, now: Instant) -> Result<(), Problem> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (caught, most) in self.counted(guesser) {
            let Some(count) = counts.get(&caught).filter(|count| now < count.until) else { continue };
            if count.wrong >= most.saturating_mul(UNKNOWN) {
                return Err(too_many(count.until, now));
            }
        }
        Ok(())
    }

    /// Notes what came of a code: only a wrong one counts.
    pub fn note(&self, guesser: Guesser, refusal: &Refusal, now: Instant) {
        let mistyped = refusal.facts.get("mistyped").is_some_and(|mistyped| mistyped == true);
        let weight = match refusal.code.as_str() {
            "voucher-mistyped" => 1,
            "unknown-gift-card" if mistyped => 1,
            "unknown-voucher" | "unknown-gift-card" => UNKNOWN,
            _ => return,
        };
        let until = now.plus_seconds(self.limits.window.seconds());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KNOWN_MAX {
            counts.retain(|_, count| now < count.until);
        }
        for (caught, _) in self.counted(guesser) {
            // Where there is no room, those who are known are counted still.
            if counts.len() >= KNOWN_MAX && !counts.contains_key(&caught) {
                continue;
            }
            let count = counts.entry(caught).or_insert(Count { wrong: 0, until });
            if now >= count.until {
                *count = Count { wrong: 0, until };
            }
            count.wrong = count.wrong.saturating_add(weight);
        }
    }
}

fn too_many(until: Instant, now: Instant) -> Problem {
    let seconds = (until.micros() - now.micros()).max(0).div_euclid(1_000_000).max(1);
    let detail = format!("too many codes were wrong: try again in {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-wrong-codes", detail).with("retry_after", seconds)
}
