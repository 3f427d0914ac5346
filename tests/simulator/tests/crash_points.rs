//! The power goes at a write to the disk, at each one of a run of a hundred blocks, before, during and
//! after it; the replica starts again from what is there and goes on with the others (catalogue C-R03,
//! C-R04, C-D02).
//!
//! Some points are tried in each build, and all of a primary and of a backup with `DARUMA_CRASH_POINTS=all`.

use daruma_simulator::{Fault, Moment, Plan, Scheduled, SearchSettings, search};
use daruma_types::ReplicaId;

const BLOCKS: u64 = 100;

/// Long enough for the others to go on meanwhile, and short enough to catch up within the run.
const DOWN_US: u64 = 200_000;

fn run_of_blocks(id: u16, after_writes: u64, moment: Moment) -> Plan {
    let replica = ReplicaId(id);
    let cut = Fault::CutPower { replica, after_writes, moment, down_us: DOWN_US };
    Plan::calm(1, 4).heal_after_ms(7_000).with_schedule(vec![Scheduled {
        at_us: 0,
        begins: None,
        fault: cut,
    }])
}

/// How many writes the replica makes until it is calm, when nothing happens to it.
fn writes(id: u16) -> u64 {
    let went = |after: &u64| {
        let stats = run_of_blocks(id, *after, Moment::After).run().stats;
        stats.counts.contains_key("power cut")
    };
    let (mut low, mut high) = (0, 1 << 14);
    assert!(went(&low) && !went(&high), "the first write is made, and they end");
    while low + 1 < high {
        let middle = low.midpoint(high);
        *(if went(&middle) { &mut low } else { &mut high }) = middle;
    }
    high
}

/// Tries every `step`th point.
fn every_point_is_survived(id: u16, step: u64) {
    let writes = writes(id);
    let points = writes * Moment::ALL.len() as u64;
    let plan = |number: u64| {
        let point = number * step;
        let moment = Moment::ALL[(point % 3) as usize];
        run_of_blocks(id, point / 3, moment)
    };
    let summary = search(0..points.div_ceil(step), plan, SearchSettings::default(), |_, _| {});
    assert!(summary.failures.is_empty(), "{:#?}", summary.failures);
    let cuts = summary.stats.counts.get("power cut");
    println!("replica {id}: {writes} writes, {} runs, {cuts:?} cuts", summary.runs);
    assert_eq!(cuts, Some(&summary.runs), "each run has its cut");
    assert!(summary.stats.heights >= BLOCKS * summary.runs, "{:?}", summary.stats);
}

#[test]
fn c_r03_c_r04_power_that_goes_at_a_write_costs_nothing_that_was_promised_or_confirmed() {
    let all = std::env::var("DARUMA_CRASH_POINTS").is_ok_and(|asked| asked == "all");
    let [primary, backup] = if all { [1, 1] } else { [29, 31] };
    every_point_is_survived(0, primary);
    every_point_is_survived(2, backup);
}
