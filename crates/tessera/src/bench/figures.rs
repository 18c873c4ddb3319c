//! Durations as percentiles, and what the process used of the processors.

use std::collections::BTreeMap;
use std::time::Duration;

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

/// User and system time of this process since it began, by kind of thread.
#[derive(Clone, Debug, Default)]
pub struct CpuTime {
    all: Duration,
    threads: BTreeMap<&'static str, Duration>,
}

impl CpuTime {
    /// As Linux tells it, in hundredths of a second; `None` elsewhere. `main`: what the main thread does.
    pub fn now(main: &'static str) -> Option<Self> {
        let all = used(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
        let mut threads = BTreeMap::new();
        let own = std::process::id().to_string();
        for task in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
            // A thread that ended meanwhile is in the sum of all.
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
            let does = if task.file_name() == *own { main } else { does(&stat) };
            *threads.entry(does).or_default() += used(&stat)?;
        }
        Some(Self { all, threads })
    }

    /// Microseconds since `before` for each of `count` events: in all, and by kind of thread.
    pub fn per_event(&self, before: &Self, count: u64) -> (f64, BTreeMap<&'static str, f64>) {
        let each = |time: Duration| (time.as_secs_f64() * 1e7 / (count.max(1) as f64)).round() / 10.0;
        let since = |(does, time): (&&'static str, &Duration)| {
            (*does, time.saturating_sub(before.threads.get(does).copied().unwrap_or_default()))
        };
        let threads: BTreeMap<&str, Duration> =
            self.threads.iter().map(since).filter(|(_, time)| !time.is_zero()).collect();
        let all = self.all.saturating_sub(before.all);
        (each(all), threads.into_iter().map(|(does, time)| (does, each(time))).collect())
    }

    pub fn since(&self, before: &Self) -> Duration {
        self.all.saturating_sub(before.all)
    }
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
        _ if name.starts_with("tokio") => "http",
        _ if name.starts_with("tessera-checkpo") => "checkpoint",
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
    }
}
