//! What can be asked for.

use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::CommandError;
use super::changes::Changes;
use crate::{Plan, Scenario, SearchSettings, ShrinkSettings, Start};

/// The path that stands for the standard output or input.
pub(super) const STANDARD_STREAM: &str = "-";

/// The name under which all scenarios are listed.
const LIST: &str = "list";

/// Arguments of a search for seeds whose simulated run breaks a rule.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The seeds: `A..B`, B not included, or one. A seed decides everything in its run.
    #[arg(long, value_name = "A..B", default_value = "0..100", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// How a plan is made from a seed; `list` shows the names.
    #[arg(long, value_name = "NAME", default_value = "random", value_parser = parse_scenario)]
    scenario: Named,
    #[command(flatten)]
    changes: Changes,
    /// Run the plan in this file instead, as a shrunken failure or `--trace` shows it; `-` for the
    /// standard input.
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = [
        "seeds", "scenario", "replicas", "faulty", "adversary", "establishment",
        "arbitrary_start", "rounds",
        "fault_phase_ms"
    ])]
    replay: Option<PathBuf>,
    /// Threads [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Begin no further seed after so many seconds: for a search that lasts as long as one likes.
    #[arg(long, value_name = "S", conflicts_with = "replay")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    duration_s: Option<u64>,
    /// Begin no further seed after so many failures: more of them say no more.
    #[arg(long, value_name = "N", default_value_t = 20)]
    failures_max: usize,
    /// Leave failing plans as they are instead of making the first ones smaller.
    #[arg(long)]
    no_shrink: bool,
    /// Write each smaller plan to a file in this folder, for --replay; else it is printed only.
    #[arg(long, value_name = "DIR", conflicts_with = "no_shrink")]
    pub(super) plans: Option<PathBuf>,
    /// Write all that happens in the run of one seed to a file, or, without one, to the standard
    /// output.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STANDARD_STREAM)]
    trace: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long, conflicts_with = "trace")]
    pub(super) json: bool,
    /// Print how often everything else that is counted happened.
    #[arg(long, conflicts_with_all = ["trace", "json"])]
    pub(super) stats: bool,
}

/// A scenario, or the wish to see all of them.
#[derive(Debug, Clone, Copy)]
enum Named {
    List,
    One(Scenario),
}

impl Arguments {
    pub(super) const fn wants_list(&self) -> bool {
        matches!(self.scenario, Named::List)
    }

    pub(super) fn seeds(&self) -> Range<u64> {
        self.seeds.clone()
    }

    pub(super) fn trace(&self) -> Option<&Path> {
        self.trace.as_deref()
    }

    pub(super) fn replayed(&self) -> Option<&Path> {
        self.replay.as_deref()
    }

    pub(super) fn settings(&self) -> SearchSettings {
        let shrinks = !self.no_shrink && self.replay.is_none();
        SearchSettings {
            threads: self.jobs,
            failures_max: self.failures_max,
            duration: self.duration_s.map(Duration::from_secs),
            shrink: shrinks.then(ShrinkSettings::default),
        }
    }

    fn scenario(&self) -> Scenario {
        match self.scenario {
            Named::List => Scenario::RANDOM,
            Named::One(scenario) => scenario,
        }
    }

    /// What each argument cannot know of the others.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let seeds = self.seeds.end - self.seeds.start;
        if self.trace.is_some() && self.replay.is_none() && seeds != 1 {
            let first = self.seeds.start;
            return Err(CommandError::BadInput(format!(
                "--trace shows one run, and --seeds names {seeds}: give one, as in --seeds {first}"
            )));
        }
        self.changes.check()?;
        let first = self.plan(self.seeds.start);
        if self.changes.has_fault_phase() && first.start != Start::Fresh {
            let name = self.scenario().name();
            return Err(CommandError::BadInput(format!(
                "runs of scenario {name} have no fault phase: leave --fault-phase-ms out, or bound \
                 their convergence with --rounds"
            )));
        }
        first.check().map_err(|why| CommandError::BadInput(format!("no run can be so: {why}")))
    }

    /// The plan of a seed.
    pub(super) fn plan(&self, seed: u64) -> Plan {
        self.changes.apply(self.scenario().plan(seed))
    }

    /// The arguments that run one seed of these again.
    pub(super) fn replay(&self, seed: u64) -> String {
        if let Some(path) = &self.replay {
            return format!("--replay {}", path.display());
        }
        let mut text = format!("--seeds {seed}");
        if self.scenario().name() != Scenario::RANDOM.name() {
            text.push_str(" --scenario ");
            text.push_str(self.scenario().name());
        }
        text.push_str(&self.changes.arguments());
        text
    }
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = |_| format!("{text:?} is not a range of seeds such as 0..100, nor one seed");
    let Some((from, to)) = text.split_once("..") else {
        let seed: u64 = text.parse().map_err(wrong)?;
        let end = seed.checked_add(1).ok_or_else(|| format!("{text} is one more than the last"))?;
        return Ok(seed..end);
    };
    let (from, to) = (from.parse().map_err(wrong)?, to.parse().map_err(wrong)?);
    match u64::cmp(&from, &to) {
        core::cmp::Ordering::Less => Ok(from..to),
        core::cmp::Ordering::Equal => {
            Err(format!("{text} holds no seed, since B is not included; for one seed write {from}"))
        }
        core::cmp::Ordering::Greater => {
            Err(format!("{text} runs backwards; write it as {to}..{from}"))
        }
    }
}

fn parse_scenario(name: &str) -> Result<Named, String> {
    if name == LIST {
        return Ok(Named::List);
    }
    let wrong = || format!("there is no such scenario; there are:\n{}", Scenario::list());
    Scenario::from_name(name).map(Named::One).ok_or_else(wrong)
}
