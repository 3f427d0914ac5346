//! Replicas that lost everything, or were away while the others pruned, come back by a snapshot.

use daruma_simulator::{
    Behaviour, Fault, LinkSettings, Outcome, Plan, Scheduled, SnapshotSettings,
};
use daruma_types::ReplicaId;

const AWAY: ReplicaId = ReplicaId(3);
const PRUNED: SnapshotSettings = SnapshotSettings {
    every: 8,
    keep: 2,
    prune_margin: Some(2),
    leap: 1_000_000,
    chunk_bytes: 400,
};

const fn at(ms: u64, fault: Fault) -> Scheduled {
    Scheduled { at_us: ms * 1000, begins: None, fault }
}

fn crash(ms: u64) -> Scheduled {
    at(ms, Fault::Crash { replica: AWAY, after_messages: None })
}

/// Replica 3 is away from one second to twenty; all is calm from forty on.
fn away(seed: u64, snapshots: SnapshotSettings, more: Vec<Scheduled>) -> Plan {
    let mut schedule = vec![crash(1_000), at(20_000, Fault::Start(AWAY))];
    schedule.extend(more);
    schedule.sort_by_key(|entry| entry.at_us);
    let mut plan = Plan::calm(seed, 4).heal_after_ms(40_000).with_schedule(schedule);
    plan.snapshots = Some(snapshots);
    plan
}

fn holds(plan: &Plan) -> Outcome {
    let outcome = plan.run();
    assert!(outcome.holds(), "{plan}: {:?}", outcome.violations);
    outcome
}

fn count(outcome: &Outcome, name: &str) -> u64 {
    outcome.stats.counts.get(name).copied().unwrap_or_default()
}

#[test]
fn a_replica_that_was_away_while_blocks_were_pruned_restores_a_snapshot() {
    for seed in 0..4 {
        let outcome = holds(&away(seed, PRUNED, Vec::new()));
        assert!(count(&outcome, "snapshot: restored") >= 1, "seed {seed}: {:?}", outcome.stats);
        assert!(count(&outcome, "snapshot: made") > 10, "seed {seed}: {:?}", outcome.stats);
    }
}

#[test]
fn where_nothing_was_pruned_blocks_are_fetched_unless_a_snapshot_lies_far_ahead() {
    let kept = SnapshotSettings { prune_margin: None, ..PRUNED };
    for seed in 0..3 {
        assert_eq!(count(&holds(&away(seed, kept, Vec::new())), "snapshot: restored"), 0);
        let far = SnapshotSettings { leap: 20, ..kept };
        assert!(count(&holds(&away(seed, far, Vec::new())), "snapshot: restored") >= 1);
    }
}

#[test]
fn a_replica_that_lost_its_disk_has_the_state_of_the_others_again() {
    for seed in 0..4 {
        let lost = vec![at(10_000, Fault::LoseDisk(AWAY))];
        let outcome = holds(&away(seed, PRUNED, lost));
        assert!(count(&outcome, "snapshot: restored") >= 1, "seed {seed}: {:?}", outcome.stats);
    }
}

#[test]
fn restoring_goes_on_where_crashes_interrupted_it() {
    // It begins once offers came and the head stood still for a while. Each life is longer than the one
    // before by less than restoring takes, so one of them ends in the middle of it.
    let mut more = Vec::new();
    let mut now_ms = 20_000;
    for life in 0..20 {
        now_ms += 480 + 20 * life;
        more.extend([crash(now_ms), at(now_ms + 100, Fault::Start(AWAY))]);
        now_ms += 100;
    }
    let kept = SnapshotSettings { keep: 8, ..PRUNED };
    for seed in 0..3 {
        let outcome = holds(&away(seed, kept, more.clone()));
        assert!(count(&outcome, "snapshot: restored") >= 1, "seed {seed}: {:?}", outcome.stats);
        assert!(count(&outcome, "snapshot: went on") >= 1, "seed {seed}: {:?}", outcome.stats);
    }
}

#[test]
fn a_peer_that_lies_about_chunks_over_links_that_lose_delays_but_does_not_keep_a_replica_away() {
    let mut refused = 0;
    for seed in 0..5 {
        let loss = LinkSettings { loss: 100, duplication: 50, ..LinkSettings::QUIET };
        let plan = away(seed, PRUNED, Vec::new()).links(loss);
        let liar = (ReplicaId(seed as u16 % 3), Behaviour::LyingServer);
        let outcome = holds(&plan.byzantine(&[liar]));
        assert!(count(&outcome, "snapshot: restored") >= 1, "seed {seed}: {:?}", outcome.stats);
        refused += count(&outcome, "snapshot: chunk refused");
    }
    assert!(refused > 1, "{refused}");
}
