//! Runs arbitrary starts and prints how many rounds they took, by number of replicas:
//! `arbitrary 0..1000 4,7 [--trace]`.

use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use daruma_simulator::{Outcome, Plan};

fn range(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

/// Median, 99th percentile and largest.
fn spread(mut values: Vec<u32>) -> String {
    values.sort_unstable();
    let at =
        |share: usize| values.get((values.len() * share / 100).min(values.len().saturating_sub(1)));
    match (at(50), at(99), values.last()) {
        (Some(median), Some(most), Some(largest)) => format!("{median}/{most}/{largest}"),
        _ => "-".to_owned(),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seeds = arguments.first().and_then(|text| range(text)).unwrap_or(0..100);
    let sizes = arguments.get(1).map_or("4", String::as_str).split(',');
    let sizes: Vec<usize> = sizes.filter_map(|size| size.parse().ok()).collect();
    let traced = arguments.iter().any(|argument| argument == "--trace");
    let mut failed = 0;
    for replicas in sizes {
        let begin = Instant::now();
        let mut held: Vec<Outcome> = Vec::new();
        for seed in seeds.clone() {
            let plan = Plan::arbitrary(seed, replicas);
            let outcome =
                if traced { plan.run_traced(&mut |line| println!("{line}")) } else { plan.run() };
            let stats = &outcome.stats;
            if stats.rounds_to_view > 4
                || stats.rounds_to_active > 8
                || stats.rounds_to_service > 20
            {
                let (view, active) = (stats.rounds_to_view, stats.rounds_to_active);
                println!("slow: {view}, {active}, {} rounds: {plan}", stats.rounds_to_service);
            }
            if outcome.holds() {
                held.push(outcome);
                continue;
            }
            failed += 1;
            println!("FAILED {plan}");
            for violation in &outcome.violations {
                let text = violation.to_string();
                println!("  {}", if traced { &text } else { text.lines().next().unwrap_or("") });
            }
        }
        let of = |value: fn(&Outcome) -> u32| spread(held.iter().map(value).collect());
        println!(
            "n={replicas}: {} runs held; rounds (median/99%/most) to a common view {}, to \
             votes in it {}, to service {}, to settle {}, after a failure {}; {:.1} ms a run",
            held.len(),
            of(|o| o.stats.rounds_to_view),
            of(|o| o.stats.rounds_to_active),
            of(|o| o.stats.rounds_to_service),
            of(|o| o.stats.rounds_to_settle),
            of(|o| o.stats.rounds_after_failure),
            begin.elapsed().as_secs_f64() * 1000.0 / seeds.clone().count().max(1) as f64,
        );
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
