//! `daruma simulate`: a search for seeds whose simulated run breaks a rule.

use std::ops::Range;
use std::time::Instant;

use clap::Args;
use daruma_simulator::{Failure, Plan, SearchSettings, Summary, limits, search};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{CliError, output};

/// Failing seeds after which the search ends: more of them say no more.
const FAILURES_MAX: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The seeds: `A..B`, B not included. A seed decides everything in its run.
    #[arg(long, value_name = "A..B", default_value = "0..100", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Replicas of each run [default: what the seed says].
    #[arg(long, value_name = "N")]
    replicas: Option<usize>,
    /// Print each thing that happens.
    #[arg(long)]
    trace: bool,
    /// Print JSON.
    #[arg(long, conflicts_with = "trace")]
    json: bool,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is not a range of seeds such as 0..100");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let seeds = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if seeds.is_empty() { Err(format!("{text:?} holds no seed")) } else { Ok(seeds) }
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        if let Some(replicas) = self.replicas
            && !(1..=limits::REPLICAS_MAX).contains(&replicas)
        {
            let max = limits::REPLICAS_MAX;
            return Err(CliError::bad_input(format!("--replicas {replicas}: 1 to {max}")));
        }
        let passed = if self.trace { self.traced() } else { self.searched() };
        if passed { Ok(()) } else { Err(CliError::Told) }
    }

    fn plan(&self, seed: u64) -> Plan {
        match self.replicas {
            Some(replicas) => Plan::seeded(seed).replicas(replicas),
            None => Plan::seeded(seed),
        }
    }

    /// The command that runs one seed again with all that happens in it.
    fn replay(&self, failure: &Failure) -> String {
        match self.replicas {
            Some(replicas) => format!("{} --replicas {replicas}", failure.command()),
            None => failure.command(),
        }
    }

    fn searched(&self) -> bool {
        let bar = ProgressBar::new(self.seeds.end - self.seeds.start);
        let style = "{bar:30} {pos}/{len} runs, {msg}, {elapsed} of about {duration}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
        bar.set_message("0 failed");
        let begin = Instant::now();
        let mut failed = 0_usize;
        let settings = SearchSettings { failures_max: FAILURES_MAX, ..SearchSettings::default() };
        let plan = |seed| self.plan(seed);
        let summary = search(self.seeds.clone(), plan, settings, |_, outcome| {
            failed += usize::from(!outcome.holds());
            bar.set_message(format!("{failed} failed"));
            bar.inc(1);
        });
        bar.finish_and_clear();
        let seconds = begin.elapsed().as_secs_f64();
        if self.json {
            self.show_json(&summary, seconds)
        } else {
            self.show(&summary, seconds)
        }
        summary.failures.is_empty()
    }

    fn show(&self, summary: &Summary, seconds: f64) {
        for failure in &summary.failures {
            output::line(format!("failed: {}", failure.plan));
            for violation in &failure.violations {
                output::line(format!("  {violation}"));
            }
            output::line(format!("  replay: {}", self.replay(failure)));
        }
        let stats = &summary.stats;
        output::line(format!(
            "{} runs, {} failed, {:.0} simulated seconds in {seconds:.1} s: {} blocks, {} \
             transactions, {} messages; longest way back to service {} ms",
            summary.runs,
            summary.failures.len(),
            stats.virtual_us as f64 / 1e6,
            stats.heights,
            stats.executed,
            stats.messages,
            stats.quiet_us / 1000,
        ));
    }

    fn show_json(&self, summary: &Summary, seconds: f64) {
        let failure = |failure: &Failure| {
            let violations: Vec<_> = failure.violations.iter().map(ToString::to_string).collect();
            json!({
                "seed": failure.seed,
                "plan": failure.plan,
                "violations": violations,
                "replay": self.replay(failure),
            })
        };
        output::json(&json!({
            "runs": summary.runs,
            "failed": summary.failures.iter().map(failure).collect::<Vec<_>>(),
            "seconds": seconds,
            "simulatedSeconds": summary.stats.virtual_us as f64 / 1e6,
            "blocks": summary.stats.heights,
            "transactions": summary.stats.executed,
        }));
    }

    fn traced(&self) -> bool {
        let mut passed = true;
        for seed in self.seeds.clone() {
            let plan = self.plan(seed);
            output::line(&plan);
            let outcome = plan.run_traced(&mut |line| output::line(line));
            for violation in &outcome.violations {
                output::line(format!("failed: {violation}"));
            }
            passed &= outcome.holds();
        }
        passed
    }
}
