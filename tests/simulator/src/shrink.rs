//! Makes a failing plan smaller: less happens in it, and it fails in the same way.
//!
//! The schedule is taken as drawn and becomes a part of the plan; from then on everything is delta
//! debugging (Zeller 2002): leave out halves, quarters, ... and single things, as long as the run still
//! breaks the same invariant. What is left out: the end of the fault phase, faults, Byzantine
//! replicas, and everything in which the plan differs from a calm one: mishaps of links, kinds of
//! clients, sizes, times. Unless attempts or time ran out, no single thing that is left can be left
//! out.

use std::time::{Duration, Instant};

use crate::{
    ArbitraryStart, DiskFaults, Invariant, Outcome, Plan, Rhythm, Start, Violation, limits,
};

/// How long a plan may be made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShrinkSettings {
    /// Runs at most.
    pub attempts_max: usize,
    /// Time at most; a run that has begun is finished.
    pub time_max: Duration,
}

impl Default for ShrinkSettings {
    fn default() -> Self {
        Self { attempts_max: limits::SHRINK_ATTEMPTS_MAX, time_max: limits::SHRINK_TIME_MAX }
    }
}

/// A failing plan that was made smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunken {
    /// The plan, with its faults written out.
    pub plan: Plan,
    /// How it fails: by the same invariant as before.
    pub violation: Violation,
    /// Entries of the schedule before.
    pub faults_before: usize,
    /// Runs that it took.
    pub attempts: usize,
}

impl Shrunken {
    /// Entries of its schedule.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.plan.schedule.as_ref().map_or(0, Vec::len)
    }
}

/// Makes `plan`, whose run broke `violation`, smaller. `run` is what runs it: [`Plan::run`], or that
/// with checks of one's own. None if it does not fail in the same way when it is run again.
pub fn shrink(
    plan: &Plan,
    violation: &Violation,
    run: &dyn Fn(&Plan) -> Outcome,
    settings: ShrinkSettings,
) -> Option<Shrunken> {
    let schedule = plan.schedule.clone().unwrap_or_else(|| plan.drawn_schedule());
    let faults_before = schedule.len();
    let mut shrinking = Shrinking {
        best: plan.clone(),
        violation: violation.clone(),
        invariant: violation.invariant,
        run,
        attempts: 0,
        settings,
        begin: Instant::now(),
    };
    if !shrinking.improves(plan.clone().with_schedule(schedule)) {
        return None;
    }
    shrinking.until_nothing_more();
    let Shrinking { best: plan, violation, attempts, .. } = shrinking;
    Some(Shrunken { plan, violation, faults_before, attempts })
}

struct Shrinking<'a> {
    /// The smallest plan so far that fails.
    best: Plan,
    violation: Violation,
    invariant: Invariant,
    run: &'a dyn Fn(&Plan) -> Outcome,
    attempts: usize,
    settings: ShrinkSettings,
    begin: Instant,
}

impl Shrinking<'_> {
    /// Goes through everything that can be left out until nothing more can.
    fn until_nothing_more(&mut self) {
        loop {
            let before = self.best.clone();
            // The cheapest first: a short run makes all further attempts cheap.
            self.shorter();
            self.fewer_faults();
            self.fewer_byzantine();
            self.fewer_replicas();
            self.simpler_start();
            self.plainer();
            self.fewer_clients();
            if self.best == before || self.is_over() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.attempts >= self.settings.attempts_max || self.begin.elapsed() > self.settings.time_max
    }

    /// Runs a plan and keeps it if it fails in the same way.
    fn improves(&mut self, plan: Plan) -> bool {
        if self.is_over() || plan.check().is_err() {
            return false;
        }
        self.attempts += 1;
        let outcome = (self.run)(&plan);
        let same = outcome.violations.into_iter().find(|v| v.invariant == self.invariant);
        let Some(violation) = same else { return false };
        (self.best, self.violation) = (plan, violation);
        true
    }

    /// The same, unless it is the best plan already.
    fn improves_if_other(&mut self, plan: Plan) -> bool {
        plan != self.best && self.improves(plan)
    }

    /// Leaves things out, large parts first. `with` makes a plan of the best one and what is kept.
    fn fewer<T: Clone>(&mut self, mut kept: Vec<T>, with: impl Fn(&Plan, &[T]) -> Option<Plan>) {
        let mut chunk = kept.len();
        while chunk > 0 && !kept.is_empty() {
            let mut from = 0;
            while from < kept.len() {
                let until = (from + chunk).min(kept.len());
                let rest = [&kept[..from], &kept[until..]].concat();
                let smaller = with(&self.best, &rest);
                if smaller.is_some_and(|smaller| self.improves_if_other(smaller)) {
                    kept = rest;
                } else {
                    from = until;
                }
            }
            chunk /= 2;
        }
    }

    /// Ends the fault phase, if there is one, as early as it goes.
    fn shorter(&mut self) {
        if self.best.start != Start::Fresh {
            return;
        }
        let after_violation_ms = self.violation.at_us / 1000 + 1;
        if after_violation_ms < self.best.fault_phase_ms {
            self.improves(ending_at(&self.best, after_violation_ms));
        }
        let faults = self.best.schedule.iter().flatten();
        let after_faults_ms = faults.map(|entry| entry.at_us / 1000 + 1).max().unwrap_or(1);
        if after_faults_ms < self.best.fault_phase_ms {
            self.improves(ending_at(&self.best, after_faults_ms));
        }
        // By a half, a quarter, ... of what is left.
        let mut step_ms = self.best.fault_phase_ms / 2;
        while step_ms > 0 {
            let left_ms = self.best.fault_phase_ms.saturating_sub(step_ms);
            if left_ms == 0 || !self.improves(ending_at(&self.best, left_ms)) {
                step_ms /= 2;
            }
            if step_ms < self.best.fault_phase_ms / 16 {
                return;
            }
        }
    }

    fn fewer_faults(&mut self) {
        let schedule = self.best.schedule.clone().unwrap_or_default();
        self.fewer(schedule, |plan, kept| Some(plan.clone().with_schedule(kept.to_vec())));
    }

    fn fewer_byzantine(&mut self) {
        self.fewer(self.best.byzantine.clone(), |plan, kept| {
            Some(Plan { byzantine: kept.to_vec(), ..plan.clone() })
        });
        self.fewer(self.best.windows.clone(), |plan, kept| {
            Some(Plan { windows: kept.to_vec(), ..plan.clone() })
        });
        self.fewer(self.best.splits.clone(), |plan, kept| {
            Some(Plan { splits: kept.to_vec(), ..plan.clone() })
        });
    }

    /// The same with fewer replicas, if nobody is missing then.
    fn fewer_replicas(&mut self) {
        for replicas in REPLICAS {
            if replicas < self.best.thresholds.replicas() {
                let smaller = self.best.clone().replicas(replicas);
                let nobody_missing = (&smaller.byzantine, &smaller.windows)
                    == (&self.best.byzantine, &self.best.windows);
                if nobody_missing && self.improves(smaller) {
                    return;
                }
            }
        }
    }

    /// The same after less of a history, with less in faulty memories and on links.
    fn simpler_start(&mut self) {
        let mut improved = true;
        while improved {
            improved = simpler(&self.best.start).into_iter().any(|start| {
                let start = Start::Arbitrary(start);
                self.improves_if_other(Plan { start, ..self.best.clone() })
            });
        }
    }

    /// Takes back, one by one, whatever makes the plan another than a calm one.
    fn plainer(&mut self) {
        self.fewer(self.best.peculiarities(), |plan, kept| plan.with_peculiarities(kept));
    }

    fn fewer_clients(&mut self) {
        for clients in 1..self.best.clients.clients {
            let mut smaller = self.best.clone();
            smaller.clients.clients = clients;
            if self.improves(smaller) {
                return;
            }
        }
    }
}

/// Numbers of replicas that are tried: the least with any Byzantine ones, and then the present one.
const REPLICAS: [usize; 3] = [4, 6, 7];

/// Starts that are each somewhat simpler than this one.
fn simpler(start: &Start) -> Vec<ArbitraryStart> {
    let Start::Arbitrary(start) = start else { return Vec::new() };
    let mut found = vec![
        ArbitraryStart { in_flight: 0, ..start.clone() },
        ArbitraryStart { in_flight: start.in_flight / 2, ..start.clone() },
        ArbitraryStart { blocks: 0, ..start.clone() },
        ArbitraryStart { blocks: start.blocks / 2, ..start.clone() },
        ArbitraryStart { views: 0, ..start.clone() },
        ArbitraryStart { views: start.views / 2, ..start.clone() },
        ArbitraryStart { swapped: false, ..start.clone() },
        ArbitraryStart { rhythm: Rhythm::LockStep, ..start.clone() },
    ];
    let disks = start.disks;
    let fewer = [
        DiskFaults::NONE,
        DiskFaults { old: 0, ..disks },
        DiskFaults { old: disks.old.saturating_sub(1), ..disks },
        DiskFaults { damaged: 0, rows: 0, ..disks },
        DiskFaults { damaged: disks.damaged.saturating_sub(1), ..disks },
        DiskFaults { rows: disks.rows / 2, ..disks },
        DiskFaults { rows: disks.rows.saturating_sub(1), ..disks },
    ];
    found.extend(fewer.map(|disks| ArbitraryStart { disks, ..start.clone() }));
    if start.faulty > 1 {
        found.push(ArbitraryStart { faulty: 1, ..start.clone() });
        found.push(ArbitraryStart { faulty: start.faulty - 1, ..start.clone() });
    }
    found
}

/// This plan with its faults over at this time.
fn ending_at(plan: &Plan, fault_phase_ms: u64) -> Plan {
    let mut plan = Plan { fault_phase_ms, ..plan.clone() };
    if let Some(schedule) = &mut plan.schedule {
        schedule.retain(|entry| entry.at_us < fault_phase_ms * 1000);
    }
    plan
}

#[cfg(test)]
mod tests;
