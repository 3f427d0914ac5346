//! What a search came to, for people and for programs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Arguments, table};
use crate::{Failure, Group, Shrunken, Sink, Spread, Summary};

/// A finished search.
pub(super) struct Report<'a> {
    pub(super) summary: &'a Summary,
    /// Time that passed, on the clock of the wall.
    pub(super) wall: Duration,
    pub(super) arguments: &'a Arguments,
    /// How the user calls this command.
    pub(super) program: &'a str,
}

impl Report<'_> {
    /// Failures first, each with the command that shows it, and then the table.
    pub(super) fn text(&self, out: Sink<'_>) {
        for failure in &self.summary.failures {
            out(&format!("FAILED {}", failure.plan));
            for violation in &failure.violations {
                out(&format!("  {violation}"));
            }
            out(&format!("  replay: {}", self.replay(failure)));
            if let Some(shrunken) = &failure.shrunken {
                self.smaller(failure.seed, shrunken, out);
            }
        }
        table::lines(self.summary).iter().for_each(|line| out(line));
        if self.arguments.stats {
            for (name, count) in &self.summary.stats.counts {
                out(&format!("  {name}: {count}"));
            }
        }
        let slowest = self.summary.slowest.map_or_else(String::new, |(seed, quiet_us)| {
            format!("; slowest convergence {} ms (seed {seed})", quiet_us / 1000)
        });
        out(&format!(
            "{} runs, {} failed, in {:.1} s{slowest}",
            self.summary.runs,
            self.summary.failures.len(),
            self.wall.as_secs_f64(),
        ));
    }

    /// The smaller plan, with the command that runs it.
    fn smaller(&self, seed: u64, shrunken: &Shrunken, out: Sink<'_>) {
        out(&format!(
            "  shrunken from {} faults to {}, in {} runs; fails with {}",
            shrunken.faults_before,
            shrunken.faults(),
            shrunken.attempts,
            shrunken.violation
        ));
        let text = shrunken.plan.to_text();
        match &self.arguments.plans {
            Some(folder) => {
                text.lines().for_each(|line| out(&format!("    {line}")));
                let path = plan_path(folder, seed);
                out(&format!("  replay it: {} --replay {}", self.program, path.display()));
            }
            // As it stands, for a shell.
            None => {
                out("  replay it:");
                out(&format!("{} --replay - <<'END'", self.program));
                text.lines().for_each(&mut *out);
                out("END");
            }
        }
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let failed = self.summary.failures.iter().map(|failure| self.failure(failure));
        let groups = self.summary.groups.iter().map(|(replicas, group)| {
            let mut figures = figures(group);
            figures["replicas"] = json!(replicas);
            figures
        });
        let mut all = figures(&table::together(self.summary));
        all["failed"] = failed.collect();
        all["byReplicas"] = groups.collect();
        all["seconds"] = json!(self.wall.as_secs_f64());
        all["slowestSeed"] = json!(self.summary.slowest.map(|(seed, _)| seed));
        all
    }

    fn failure(&self, failure: &Failure) -> Value {
        let violations: Vec<_> = failure.violations.iter().map(ToString::to_string).collect();
        json!({
            "seed": failure.seed,
            "plan": failure.plan.to_string(),
            "violations": violations,
            "replay": self.replay(failure),
            "shrunken": failure.shrunken.as_ref().map(|shrunken| json!({
                "plan": shrunken.plan.to_text(),
                "violation": shrunken.violation.to_string(),
                "faultsBefore": shrunken.faults_before,
                "faults": shrunken.faults(),
                "attempts": shrunken.attempts,
            })),
        })
    }

    /// The command that runs one seed again and shows all that happens in it.
    fn replay(&self, failure: &Failure) -> String {
        format!("{} {} --trace", self.program, self.arguments.replay(failure.seed))
    }
}

/// Where the smaller plan of a seed is written.
pub(super) fn plan_path(folder: &Path, seed: u64) -> PathBuf {
    folder.join(format!("seed-{seed}.toml"))
}

fn spread(spread: &Spread) -> Value {
    json!({
        "median": spread.median(),
        "p90": spread.at_most(90),
        "p99": spread.at_most(99),
        "worst": spread.largest(),
    })
}

fn figures(group: &Group) -> Value {
    let stats = &group.stats;
    json!({
        "runs": group.runs,
        "failed": group.failed,
        "simulatedSeconds": table::simulated_s(group),
        "cpuSeconds": group.cpu.as_secs_f64(),
        "simulatedSecondsPerCpuSecond": table::pace(group),
        "blocks": stats.heights,
        "transactions": stats.executed,
        "confirmed": stats.confirmed,
        "viewChanges": stats.views,
        "messages": stats.messages,
        "bytes": stats.bytes,
        "refused": stats.refused,
        "convergenceMs": spread(&group.quiet_ms),
        "commonViewRounds": spread(&group.view_rounds),
        "convergenceRounds": spread(&group.rounds),
        "faults": stats.faults,
        "byzantine": stats.byzantine,
        "messageMishaps": stats.mishaps,
        "repaired": stats.repaired,
        "counts": stats.counts,
    })
}
