//! Durations as percentiles, and what the process used of the processors.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

/// How long something took: half of the time at most `p50_ms`, in all but one case of a hundred at most `p99_ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Latency {
    /// Exact, by nearest rank; zero where nothing was measured.
    pub fn of(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        let rank = |percent: usize| {
            let place = (micros.len() * percent).div_ceil(100).saturating_sub(1);
            micros.get(place).map_or(0.0, |micros| f64::from(*micros) / 1e3)
        };
        Self { p50_ms: rank(50), p99_ms: rank(99) }
    }
}

/// What a stretch of time took of the processors. Linux tells it; elsewhere the figures are missing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cpu {
    /// Everything this process did: clients, server, executor and database.
    pub cpu_us_per_event: Option<f64>,
    pub cpu_us_by_thread: BTreeMap<&'static str, f64>,
    /// How many processors were busy with something else, on average: near 0 on a quiet machine.
    pub other_load: Option<f64>,
}

/// Times a stretch of work.
#[derive(Debug)]
pub struct Stopwatch {
    main: &'static str,
    started: Instant,
    before: Option<Used>,
}

/// How long a stretch of work took, by the clock and of the processors.
#[derive(Debug)]
pub struct Spent {
    pub took: Duration,
    cpu: Option<Used>,
}

impl Stopwatch {
    /// `main`: what the main thread does meanwhile.
    pub fn start(main: &'static str) -> Self {
        Self { main, started: Instant::now(), before: Used::now(main) }
    }

    pub fn stop(self) -> Spent {
        let cpu = self.before.zip(Used::now(self.main)).map(|(before, after)| after.since(&before));
        Spent { took: self.started.elapsed(), cpu }
    }
}

impl Spent {
    pub fn seconds(&self) -> f64 {
        self.took.as_secs_f64().max(0.001)
    }

    /// Takes out what is no part of the work: time that this thread spent computing.
    #[must_use]
    pub fn without(mut self, other: Duration) -> Self {
        self.took = self.took.saturating_sub(other);
        if let Some(cpu) = &mut self.cpu {
            cpu.own = cpu.own.saturating_sub(other);
        }
        self
    }

    /// For each of `count` events.
    pub fn cpu(&self, count: u64) -> Cpu {
        let each = |time: Duration| rounded(time.as_secs_f64() * 1e6 / (count.max(1) as f64), 10.0);
        let Some(used) = &self.cpu else { return Cpu::default() };
        Cpu {
            cpu_us_per_event: Some(each(used.own)),
            cpu_us_by_thread: used.threads.iter().map(|(does, time)| (*does, each(*time))).collect(),
            other_load: used
                .machine
                .map(|all| rounded(all.saturating_sub(used.own).as_secs_f64() / self.seconds(), 100.0)),
        }
    }
}

/// To so many parts of one, for people.
pub fn rounded(figure: f64, parts: f64) -> f64 {
    (figure * parts).round() / parts
}

/// Time of the processors since some beginning, in steps of 10 ms.
#[derive(Clone, Debug, Default)]
struct Used {
    own: Duration,
    threads: BTreeMap<&'static str, Duration>,
    machine: Option<Duration>,
}

impl Used {
    fn now(main: &'static str) -> Option<Self> {
        let own = used(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
        let machine = std::fs::read_to_string("/proc/stat").ok().and_then(|stat| busy(&stat));
        let mut threads = BTreeMap::new();
        let process = std::process::id().to_string();
        for task in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
            // A thread that ended meanwhile is in the process's own time.
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
            let does = if task.file_name() == *process { main } else { does(&stat) };
            *threads.entry(does).or_default() += used(&stat)?;
        }
        Some(Self { own, threads, machine })
    }

    fn since(mut self, before: &Self) -> Self {
        self.own = self.own.saturating_sub(before.own);
        self.machine = self.machine.zip(before.machine).map(|(after, before)| after.saturating_sub(before));
        for (does, time) in &mut self.threads {
            *time = time.saturating_sub(before.threads.get(does).copied().unwrap_or_default());
        }
        self.threads.retain(|_, time| !time.is_zero());
        self
    }
}

/// All processors' time but that of idling and of waiting for the disk, from the first line of `/proc/stat`.
fn busy(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; what comes after is counted in user already.
    let busy = ticks.get(..3)?.iter().chain(ticks.get(5..8)?).sum::<u64>();
    Some(Duration::from_millis(busy * 10))
}

/// The fields `utime` and `stime` of a `stat` file, in ticks of 10 ms. The name before them may hold anything.
fn used(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}

/// What a thread is there for, by its name.
fn does(stat: &str) -> &'static str {
    let name = stat.split_once('(').map_or("", |(_, rest)| rest);
    match name {
        _ if name.starts_with("executor") => "executor",
        _ if name.starts_with("decider") => "decider",
        _ if name.starts_with("tokio") => "http",
        _ if name.starts_with("reader") => "reading",
        _ if name.starts_with("tessera-checkpo") => "checkpoint",
        _ if name.starts_with("flush") => "flush",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let latency = Latency::of((1..=200).rev().map(|ms| ms * 1000).collect());
        assert_eq!(latency, Latency { p50_ms: 100.0, p99_ms: 198.0 });
        assert_eq!(Latency::of(vec![1500]), Latency { p50_ms: 1.5, p99_ms: 1.5 });
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }

    #[test]
    fn a_stat_file_is_read_past_a_name_with_brackets() {
        let stat = "7 (tokio) (x) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 99";
        assert_eq!(used(stat), Some(Duration::from_secs(3)));
        assert_eq!(does(stat), "http");
        let stat = "cpu  10 20 30 400 50 1 2 3 9 9\ncpu0 1";
        assert_eq!(busy(stat), Some(Duration::from_millis(660)));
    }
}
