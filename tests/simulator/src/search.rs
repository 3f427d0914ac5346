//! Runs many seeds on all cores.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::spread::Spread;
use crate::{Outcome, Plan, ShrinkSettings, Shrunken, Stats, Violation, cpu_time, limits, shrink};

/// A seed whose run broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Its plan.
    pub plan: Plan,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// A smaller plan that fails in the same way, for the first [`limits::SHRUNKEN_MAX`] failures if
    /// it was asked for.
    pub shrunken: Option<Shrunken>,
}

impl Failure {
    fn shrunken(&self, settings: ShrinkSettings) -> Option<Shrunken> {
        shrink(&self.plan, self.violations.first()?, &Plan::run, settings)
    }
}

/// The runs with one number of replicas, taken together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Runs done.
    pub runs: u64,
    /// Those that broke a rule.
    pub failed: u64,
    /// Time that threads computed for them.
    pub cpu: Duration,
    /// The sum of their counts; of the quiet phases, the longest.
    pub stats: Stats,
    /// From calm to the end, or from an arbitrary start to service, of each run that broke no rule, in
    /// milliseconds of virtual time.
    pub quiet_ms: Spread,
    /// Rounds from an arbitrary start to service, of each run that had one and broke no rule.
    pub rounds: Spread,
    /// Rounds from an arbitrary start until all correct replicas were in one view, in the same runs.
    pub view_rounds: Spread,
}

impl Group {
    fn add(&mut self, outcome: &Outcome, cpu: Duration) {
        self.runs += 1;
        self.failed += u64::from(!outcome.holds());
        self.cpu += cpu;
        self.stats.add(&outcome.stats);
        if outcome.holds() {
            self.quiet_ms.add(outcome.stats.quiet_us / 1000);
            if outcome.stats.rounds_to_service > 0 {
                self.rounds.add(u64::from(outcome.stats.rounds_to_service));
                self.view_rounds.add(u64::from(outcome.stats.rounds_to_view));
            }
        }
    }

    /// Takes in another group's runs.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failed += other.failed;
        self.cpu += other.cpu;
        self.stats.add(&other.stats);
        self.quiet_ms.merge(&other.quiet_ms);
        self.rounds.merge(&other.rounds);
        self.view_rounds.merge(&other.view_rounds);
    }
}

/// What came of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs done.
    pub runs: u64,
    /// The sum of their counts; of the quiet phases, the longest.
    pub stats: Stats,
    /// The same by number of replicas, with more about each.
    pub groups: BTreeMap<usize, Group>,
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
    /// Time after which no further seed is begun; none to run them all.
    pub duration: Option<Duration>,
    /// Make the plans of the first failures smaller; none to leave them as they are.
    pub shrink: Option<ShrinkSettings>,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self { threads: None, failures_max: usize::MAX, duration: None, shrink: None }
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
    let begun = Instant::now();
    let time_left = || settings.duration.is_none_or(|duration| begun.elapsed() < duration);
    let mut summary = Summary::default();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(threads);
        for _ in 0..threads {
            let (sender, next, stop, plan) = (sender.clone(), &next, &stop, &plan);
            let time_left = &time_left;
            scope.spawn(move || {
                while time_left() && !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let begin = cpu_time::of_this_thread();
                    let plan = plan(seed);
                    let outcome = plan.run();
                    let cpu = cpu_time::of_this_thread().saturating_sub(begin);
                    if sender.send((seed, plan, outcome, cpu)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (seed, plan, outcome, cpu) in receiver {
            progress(seed, &outcome);
            summary.runs += 1;
            summary.stats.add(&outcome.stats);
            let group = summary.groups.entry(plan.thresholds.replicas()).or_default();
            group.add(&outcome, cpu);
            let quiet_us = outcome.stats.quiet_us;
            if summary.slowest.is_none_or(|slowest| (quiet_us, slowest.0) > (slowest.1, seed)) {
                summary.slowest = Some((seed, quiet_us));
            }
            if !outcome.holds() {
                let violations = outcome.violations;
                summary.failures.push(Failure { seed, plan, violations, shrunken: None });
                if summary.failures.len() >= settings.failures_max {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    });
    summary.failures.sort_by_key(|failure| failure.seed);
    if let Some(settings) = settings.shrink {
        for failure in summary.failures.iter_mut().take(limits::SHRUNKEN_MAX) {
            failure.shrunken = failure.shrunken(settings);
        }
    }
    summary
}
