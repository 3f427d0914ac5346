//! Searches seeds for a run that breaks a rule, without building a whole node.

use std::num::NonZero;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use daruma_simulator::{Behaviour, Plan, SearchSettings, search};
use daruma_types::ReplicaId;

/// Simulates a chain under faults, for each seed of a range.
#[derive(Debug, Parser)]
struct Arguments {
    /// The seeds: from, and up to but without.
    #[arg(long, default_value = "0..100", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// How a seed becomes a plan.
    #[arg(long, value_enum, default_value = "seeded")]
    plan: Kind,
    /// Print each thing that happens.
    #[arg(long)]
    trace: bool,
    /// Replicas, instead of what the seed says.
    #[arg(long)]
    replicas: Option<usize>,
    /// Byzantine replicas, instead of what the seed says: `0=equivocating`, or `none`.
    #[arg(long, value_delimiter = ',')]
    byzantine: Vec<String>,
    /// Threads; as many as there are cores if not given.
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Stop at so many failures.
    #[arg(long, default_value_t = 20)]
    failures_max: usize,
    /// Print the counts.
    #[arg(long)]
    stats: bool,
}

/// The plans that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Seeded,
    Chaos,
    Twins,
    Mutations,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is not a range like 0..100");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    Ok(from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?)
}

fn parse_byzantine(text: &str) -> Option<(ReplicaId, Behaviour)> {
    let (id, behaviour) = text.split_once('=')?;
    Some((ReplicaId(id.parse().ok()?), Behaviour::from_name(behaviour)?))
}

impl Arguments {
    /// What replaces the seed's own plan, as arguments: a replay needs it too.
    fn overrides(&self) -> String {
        let mut text = String::new();
        match self.plan {
            Kind::Seeded => {}
            Kind::Chaos => text.push_str(" --plan chaos"),
            Kind::Twins => text.push_str(" --plan twins"),
            Kind::Mutations => text.push_str(" --plan mutations"),
        }
        if let Some(replicas) = self.replicas {
            text.push_str(&format!(" --replicas {replicas}"));
        }
        if !self.byzantine.is_empty() {
            text.push_str(&format!(" --byzantine {}", self.byzantine.join(",")));
        }
        text
    }

    fn plan(&self, seed: u64) -> Plan {
        let mut plan = match self.plan {
            Kind::Seeded => Plan::seeded(seed),
            Kind::Chaos => Plan::chaos(seed),
            Kind::Twins => Plan::twins(seed),
            Kind::Mutations => Plan::mutations(seed),
        };
        if let Some(replicas) = self.replicas {
            plan = plan.replicas(replicas);
        }
        if !self.byzantine.is_empty() {
            let byzantine: Vec<_> =
                self.byzantine.iter().filter_map(|text| parse_byzantine(text)).collect();
            plan = plan.byzantine(&byzantine);
        }
        plan
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.trace {
        return traced(&arguments);
    }
    let begin = Instant::now();
    let settings = SearchSettings { threads: arguments.jobs, failures_max: arguments.failures_max };
    let summary = search(arguments.seeds.clone(), |seed| arguments.plan(seed), settings, |_, _| {});
    for failure in &summary.failures {
        println!("FAILED {}", failure.plan);
        for violation in &failure.violations {
            println!("  {violation}");
        }
        println!("  replay: {}{}", failure.command(), arguments.overrides());
    }
    let seconds = begin.elapsed().as_secs_f64();
    let stats = &summary.stats;
    println!(
        "{} runs, {} failed; {:.0} simulated s in {seconds:.1} s; {} blocks, {} transactions, {} \
         views, {} messages; longest way back to service {} ms (seed {})",
        summary.runs,
        summary.failures.len(),
        stats.virtual_us as f64 / 1e6,
        stats.heights,
        stats.executed,
        stats.views,
        stats.messages,
        stats.quiet_us / 1000,
        summary.slowest.map_or(0, |(seed, _)| seed),
    );
    if arguments.stats {
        for (name, count) in &stats.faults {
            println!("  fault {name}: {count}");
        }
        for (name, count) in &stats.counts {
            println!("  {name}: {count}");
        }
    }
    if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn traced(arguments: &Arguments) -> ExitCode {
    let mut held = true;
    for seed in arguments.seeds.clone() {
        let plan = arguments.plan(seed);
        println!("{plan}");
        let outcome = plan.run_traced(&mut |line| println!("{line}"));
        for violation in &outcome.violations {
            println!("VIOLATION {violation}");
        }
        println!("trace hash {:016x}; {:?}", outcome.trace_hash, outcome.stats);
        held &= outcome.holds();
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
