//! The command line of the simulator: `daruma simulate`, and `daruma-simulator`, which is the same
//! without a node around it. Arguments and all that they do are defined here, once.

mod arguments;
mod changes;
mod progress;
mod report;
mod table;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

pub use arguments::Arguments;
use report::Report;

use crate::{Plan, Scenario, Sink, Summary, search};

/// Why a command did not do what it was asked to. That a run broke a rule is no such reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// What was asked for makes no sense; the text says what would.
    #[error("{0}")]
    BadInput(String),
    /// It was tried and did not work.
    #[error("{0}")]
    Failed(String),
}

/// Exit codes, as of every command of `daruma`.
pub mod exit {
    /// Every rule held.
    pub const DONE: u8 = 0;
    /// A run broke a rule, or the command did not work.
    pub const FAILED: u8 = 1;
    /// The arguments make no sense.
    pub const BAD_INPUT: u8 = 2;
}

/// Does what the arguments ask for, and gives whether every rule held. `program` is how the user
/// calls this command, for the commands printed; `out` takes the lines of the standard output.
///
/// # Errors
/// The arguments contradict each other or the limits of a plan, or a file cannot be written.
pub fn run(arguments: &Arguments, program: &str, out: Sink<'_>) -> Result<bool, CommandError> {
    if arguments.wants_list() {
        Scenario::list().lines().for_each(&mut *out);
        return Ok(true);
    }
    arguments.check()?;
    let replayed = arguments.replayed().map(read_plan).transpose()?;
    if let Some(path) = arguments.trace() {
        let plan = replayed.unwrap_or_else(|| arguments.plan(arguments.seeds().start));
        return traced(&plan, path, out);
    }
    match replayed {
        None => searched(arguments, arguments.seeds(), &|seed| arguments.plan(seed), program, out),
        Some(plan) => {
            let next = plan.seed.checked_add(1);
            let next = next.ok_or_else(|| bad_input("a plan to run has no seed this large"))?;
            searched(arguments, plan.seed..next, &|_| plan.clone(), program, out)
        }
    }
}

fn bad_input(why: impl core::fmt::Display) -> CommandError {
    CommandError::BadInput(why.to_string())
}

/// The plan that a file holds, or the standard input.
fn read_plan(path: &Path) -> Result<Plan, CommandError> {
    let text = if path == Path::new(arguments::STANDARD_STREAM) {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text
        .map_err(|error| bad_input(format!("--replay: cannot read {}: {error}", path.display())))?;
    Plan::from_text(&text).map_err(|error| bad_input(format!("{}: {error}", path.display())))
}

fn searched(
    arguments: &Arguments,
    seeds: Range<u64>,
    plan: &(dyn Fn(u64) -> Plan + Sync),
    program: &str,
    out: Sink<'_>,
) -> Result<bool, CommandError> {
    let bar = progress::Bar::new(seeds.clone());
    let begin = Instant::now();
    let summary = search(seeds, plan, arguments.settings(), |_, outcome| bar.ended(outcome));
    bar.finish();
    if let Some(folder) = &arguments.plans {
        write_plans(folder, &summary)?;
    }
    let report = Report { summary: &summary, wall: begin.elapsed(), arguments, program };
    if arguments.json {
        out(&report.json().to_string());
    } else {
        report.text(out);
    }
    Ok(summary.failures.is_empty())
}

/// Writes the smaller plans to files of a folder, which is made if need be.
fn write_plans(folder: &Path, summary: &Summary) -> Result<(), CommandError> {
    let written = || {
        std::fs::create_dir_all(folder)?;
        for failure in &summary.failures {
            if let Some(shrunken) = &failure.shrunken {
                let path = report::plan_path(folder, failure.seed);
                std::fs::write(path, shrunken.plan.to_text())?;
            }
        }
        Ok(())
    };
    written().map_err(|error: std::io::Error| {
        CommandError::Failed(format!("cannot write plans to {}: {error}", folder.display()))
    })
}

/// Writes one run to a file, or to the standard output if the path is `-`.
fn traced(plan: &Plan, path: &Path, out: Sink<'_>) -> Result<bool, CommandError> {
    if path == Path::new(arguments::STANDARD_STREAM) {
        return Ok(write_trace(plan, out));
    }
    let failed = |error| CommandError::Failed(format!("cannot write {}: {error}", path.display()));
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let mut result = Ok(());
    let held = write_trace(plan, &mut |line| {
        if result.is_ok() {
            result = writeln!(file, "{line}");
        }
    });
    result.and_then(|()| file.flush()).map_err(failed)?;
    out(&format!("{}: {}", path.display(), if held { "every rule held" } else { "FAILED" }));
    Ok(held)
}

/// A heading with the plan, a line for each thing that happens, and how it ended.
fn write_trace(plan: &Plan, out: Sink<'_>) -> bool {
    out(&format!("# {plan}"));
    out("#");
    plan.to_text().lines().for_each(|line| out(&format!("# {}", line.trim_start_matches("# "))));
    out("#");
    out("#     time ms   round  who   what");
    let outcome = plan.run_traced(out);
    out("#");
    for violation in &outcome.violations {
        out(&format!("# FAILED {violation}"));
    }
    if outcome.holds() {
        out("# every rule held");
    }
    let stats = &outcome.stats;
    out(&format!(
        "# {} ms; {} commits, {} transactions, {} view changes, {} messages, {} refused; run {:016x}",
        stats.virtual_us / 1000,
        stats.heights,
        stats.executed,
        stats.views,
        stats.messages,
        stats.refused,
        outcome.trace_hash
    ));
    outcome.holds()
}

#[cfg(test)]
mod tests;
