//! How fast the simulator is: simulated seconds per second of CPU time, with six replicas and rounds
//! of 100 ms.
//!
//! `cargo run --profile search -p daruma-simulator --example speed`, or with `--release`
//!
//! The first line is one short run in a fresh process, all costs of starting included. The others are
//! long runs, quiet and under faults, with the blocks and messages that they came to: a figure of
//! speed says little without the work done. CPU time, not wall time, so a busy machine gives nearly
//! the same figures; those of two builds are best compared in one sitting.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use daruma_simulator::{ClientSettings, FaultKind, FaultKinds, LinkSettings, Plan};

/// Length of a round: one tick of every replica.
const ROUND_MS: u64 = 100;

/// Replicas.
const REPLICAS: usize = 6;

/// Virtual time of a long run.
const LONG_MS: u64 = 600_000;

/// CPU time of this process so far, in seconds. Where the system does not tell, the wall clock's.
fn cpu_seconds(begin: Instant) -> f64 {
    // The first number of schedstat is the time on a processor in nanoseconds.
    fs::read_to_string("/proc/self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .filter(|nanoseconds| *nanoseconds > 0)
        .map_or_else(|| begin.elapsed().as_secs_f64(), |nanoseconds| nanoseconds as f64 / 1e9)
}

fn plan(seed: u64) -> Plan {
    Plan { tick_ms: ROUND_MS, ..Plan::calm(seed, REPLICAS) }
}

/// `plan` with clients that ask a fifth as often as those of [`Plan::calm`], the moderate load: three
/// clients that ask about six times a second each.
fn light(plan: Plan) -> Plan {
    let pause_us_max = plan.clients.pause_us_max * 5;
    Plan { clients: ClientSettings { pause_us_max, ..plan.clients }, ..plan }
}

/// Everything that can happen to correct replicas until the end: crashes, power losses, partitions,
/// slow disks, and links that lose, repeat, change and reorder.
fn chaos(plan: Plan) -> Plan {
    let links = LinkSettings {
        delay_us_max: 5_000,
        jitter_us: 20_000,
        loss: 20,
        duplication: 20,
        corruption: 5,
        ordered: false,
        ..LinkSettings::QUIET
    };
    let faults = [
        FaultKind::Partitions,
        FaultKind::OneWayCuts,
        FaultKind::Crashes,
        FaultKind::PowerLoss,
        FaultKind::SlowDisks,
    ];
    let faults: FaultKinds = faults.into_iter().collect();
    Plan { fault_every_ms: 30_000, ..plan.faults(faults).links(links) }
}

fn main() -> ExitCode {
    let begin = Instant::now();
    let short = plan(1).run();
    println!(
        "a lone run of {:.1} simulated s: {:.1} ms of CPU time",
        short.stats.virtual_us as f64 / 1e6,
        cpu_seconds(begin) * 1e3,
    );
    let long = || plan(1).heal_after_ms(LONG_MS);
    let settings = [
        ("quiet, moderate load", long()),
        ("chaos, moderate load", chaos(long())),
        ("quiet, light load", light(long())),
        ("chaos, light load", chaos(light(long()))),
    ];
    let mut held = short.holds();
    for (name, plan) in settings {
        let before = cpu_seconds(begin);
        let outcome = plan.run();
        let cpu = cpu_seconds(begin) - before;
        let stats = &outcome.stats;
        let simulated = stats.virtual_us as f64 / 1e6;
        println!(
            "{name}: {:.0} simulated s per CPU s; {simulated:.0} s in {cpu:.2} s, {} blocks, {} \
             transactions, {} messages at {:.0} ns each, trace {:016x}",
            simulated / cpu,
            stats.heights,
            stats.executed,
            stats.messages,
            cpu * 1e9 / stats.messages.max(1) as f64,
            outcome.trace_hash,
        );
        for violation in &outcome.violations {
            println!("  {violation}");
        }
        held &= outcome.holds();
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
