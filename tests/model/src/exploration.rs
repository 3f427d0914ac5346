//! Runs a model through the checker, and says what was explored.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Name that no property has: the search goes on to the end.
const NEVER: &str = "";

/// What ends an exploration that is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// States generated, repetitions counted, after which no more are looked at. A state costs some hundred bytes while it waits and
    /// about 50 afterwards, so that a bound keeps a run within a machine's memory.
    pub states_max: usize,
    /// Threads.
    pub threads: usize,
    /// Depth first instead of breadth first: finds deep states sooner, with longer paths to them.
    pub depth_first: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { states_max: 100_000_000, threads: 1, depth_first: false }
    }
}

/// What was explored, and what was found.
#[derive(Debug, Clone)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// States generated, repetitions counted.
    pub generated: usize,
    /// Steps from a start state to the farthest one looked at.
    pub depth: usize,
    /// Wall-clock time.
    pub time: Duration,
    /// Whether every reachable state was looked at.
    pub complete: bool,
    /// Properties that failed, each with the steps to a state that shows it.
    pub violated: Vec<(&'static str, Vec<String>)>,
    /// Properties that should hold somewhere and did, each with the number of steps to there.
    pub reached: Vec<(&'static str, usize)>,
    /// Properties that should hold somewhere and did not.
    pub unreached: Vec<&'static str>,
}

impl Explored {
    /// Whether nothing was violated, everything reached, and no state left out.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.complete && self.violated.is_empty() && self.unreached.is_empty()
    }

    /// Whether `property` failed.
    #[must_use]
    pub fn violates(&self, property: &str) -> bool {
        self.violated.iter().any(|(name, _)| *name == property)
    }
}

/// Explores `model` up to `limits`. With `until` it ends when that
/// property fails, and looks on although others fail.
pub fn explore<M>(model: M, limits: Limits, until: Option<&'static str>) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + fmt::Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + fmt::Debug + PartialEq + Send + Sync + 'static,
{
    let started = Instant::now();
    let kinds: Vec<(&'static str, Expectation)> =
        model.properties().iter().map(|p| (p.name, p.expectation.clone())).collect();
    let builder = model
        .checker()
        .threads(limits.threads)
        .target_state_count(std::num::NonZeroUsize::new(limits.states_max).map_or(1, usize::from))
        .finish_when(match until {
            Some(property) => HasDiscoveries::AllOf(BTreeSet::from([property])),
            None => HasDiscoveries::AllOf(BTreeSet::from([NEVER])),
        });
    if limits.depth_first {
        finish(builder.spawn_dfs().join(), &kinds, limits, until, started)
    } else {
        finish(builder.spawn_bfs().join(), &kinds, limits, until, started)
    }
}

fn finish<M, C>(
    checker: C,
    kinds: &[(&'static str, Expectation)],
    limits: Limits,
    until: Option<&str>,
    started: Instant,
) -> Explored
where
    M: Model,
    C: Checker<M>,
    M::State: Clone + fmt::Debug + Hash + PartialEq,
    M::Action: Clone + fmt::Debug + PartialEq,
{
    let time = started.elapsed();
    let found = checker.discoveries();
    let mut explored = Explored {
        states: checker.unique_state_count(),
        generated: checker.state_count(),
        depth: checker.max_depth(),
        time,
        complete: checker.state_count() < limits.states_max
            && !until.is_some_and(|property| found.contains_key(property)),
        violated: Vec::new(),
        reached: Vec::new(),
        unreached: Vec::new(),
    };
    for (name, expectation) in kinds {
        let path = found.get(name);
        match (expectation, path) {
            (Expectation::Sometimes, Some(path)) => {
                explored.reached.push((name, path.clone().into_actions().len()));
            }
            (Expectation::Sometimes, None) => explored.unreached.push(name),
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                let steps = path.clone().into_actions();
                let steps = steps.iter().map(|action| format!("{action:?}")).collect();
                explored.violated.push((name, steps));
            }
            (Expectation::Always | Expectation::Eventually, None) => {}
        }
    }
    explored
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, generated, depth, time, complete, .. } = self;
        let complete = if *complete { "complete" } else { "NOT complete" };
        writeln!(
            f,
            "{states} states ({generated} steps), depth {depth}, {:.1} s, {complete}",
            time.as_secs_f64()
        )?;
        for (name, steps) in &self.reached {
            writeln!(f, "reached in {steps} steps: {name}")?;
        }
        for name in &self.unreached {
            writeln!(f, "NOT REACHED: {name}")?;
        }
        for (name, steps) in &self.violated {
            writeln!(f, "VIOLATED after {} steps: {name}", steps.len())?;
            for step in steps {
                writeln!(f, "  {step}")?;
            }
        }
        Ok(())
    }
}
