//! Runs many seeds on all cores.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::{Outcome, Plan, Stats, Violation};

/// A seed whose run broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Its plan, in one line.
    pub plan: String,
    /// What was broken.
    pub violations: Vec<Violation>,
}

impl Failure {
    /// The command that replays the run and shows all that happens in it.
    #[must_use]
    pub fn command(&self) -> String {
        format!("daruma simulate --seeds {}..{} --trace", self.seed, self.seed + 1)
    }
}

/// What came of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs done.
    pub runs: u64,
    /// The sum of their counts; of the quiet phases, the longest.
    pub stats: Stats,
    /// The seed that took longest from calm to the end, and the time in microseconds.
    pub slowest: Option<(u64, u64)>,
    /// Seeds that failed, ascending.
    pub failures: Vec<Failure>,
}

/// How a search goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchSettings {
    /// Threads; none for as many as there are cores.
    pub threads: Option<NonZero<usize>>,
    /// Failures after which no further seed is begun.
    pub failures_max: usize,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self { threads: None, failures_max: usize::MAX }
    }
}

/// Runs the plan of each seed. `progress` is told of each run as it ends, in any order.
pub fn search(
    seeds: Range<u64>,
    plan: impl Fn(u64) -> Plan + Sync,
    settings: SearchSettings,
    mut progress: impl FnMut(u64, &Outcome),
) -> Summary {
    let cores = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let threads = settings.threads.unwrap_or(cores).get();
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let mut summary = Summary::default();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(threads);
        for _ in 0..threads {
            let (sender, next, stop, plan) = (sender.clone(), &next, &stop, &plan);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || sender.send((seed, plan(seed).run())).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (seed, outcome) in receiver {
            progress(seed, &outcome);
            summary.runs += 1;
            summary.stats.add(&outcome.stats);
            let quiet_us = outcome.stats.quiet_us;
            if summary.slowest.is_none_or(|slowest| (quiet_us, slowest.0) > (slowest.1, seed)) {
                summary.slowest = Some((seed, quiet_us));
            }
            if !outcome.holds() {
                let plan = plan(seed).to_string();
                summary.failures.push(Failure { seed, plan, violations: outcome.violations });
                if summary.failures.len() >= settings.failures_max {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    });
    summary.failures.sort_by_key(|failure| failure.seed);
    summary
}
