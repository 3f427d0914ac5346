//! What a search came to, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Arguments, table};
use crate::{Failure, Group, Sink, Summary};

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
        })
    }

    /// The command that runs one seed again and shows all that happens in it.
    fn replay(&self, failure: &Failure) -> String {
        format!("{} {} --trace", self.program, self.arguments.replay(failure.seed))
    }
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
        "convergenceMs": { "median": group.quiet_ms.median(), "worst": group.quiet_ms.largest() },
        "faults": stats.faults,
        "byzantine": stats.byzantine,
        "messageMishaps": stats.mishaps,
        "repaired": stats.repaired,
        "counts": stats.counts,
    })
}
