//! Plans with twins: one identity runs twice with the same key and unmodified code, while the network
//! falls apart in two groups, in another way in each phase. All that an equivocating replica can do
//! comes about in this way, without anyone writing it down.

use daruma_adversary::Behaviour;
use daruma_engine::LocalLimits;
use daruma_types::ReplicaId;
use rand::Rng;

use crate::Plan;
use crate::plan::ClientSettings;
use crate::random::{Purpose, stream};

impl Plan {
    /// One of six replicas has a twin, in one run of sixteen two of eleven: the primary, the next one, or
    /// a backup. In each of 4 to 12 phases of 8 rounds the instances are split in two groups, in any way.
    #[must_use]
    pub fn twins(seed: u64) -> Self {
        let mut random = stream(seed, Purpose::Plan);
        let random = &mut random;
        let replicas = if random.random_ratio(1, 16) { 11 } else { 6 };
        let phases = random.random_range(4..=12);
        let first = random.random_range(0..3);
        let splits: Vec<u64> = (0..phases).map(|_| random.random()).collect();
        let patience = if random.random() { (2, 4) } else { (4, 10) };
        Self::of_twins(seed, replicas, first, &splits, patience)
    }

    /// The same with `splits` for phases: `f = replicas / 5` twins, from the replica `first` on. The
    /// primary is suspected after `patience.0` rounds of silence, or `patience.1` without progress.
    #[must_use]
    pub fn of_twins(
        seed: u64,
        replicas: usize,
        first: u16,
        splits: &[u64],
        patience: (u32, u32),
    ) -> Self {
        let calm = Self::calm(seed, replicas);
        let twins = (replicas / 5).min(calm.thresholds.faulty_max()).max(1) as u16;
        let instances = replicas as u32 + u32::from(twins);
        let byzantine: Vec<_> =
            (first..first + twins).map(|id| (ReplicaId(id), Behaviour::Twins)).collect();
        let tick_ms = 100;
        Self {
            tick_ms,
            local: LocalLimits {
                beat_rounds: patience.0,
                progress_tokens: patience.1,
                ..calm.local
            },
            // Bit by bit the side of each instance.
            splits: splits.iter().map(|split| split & ((1 << instances) - 1)).collect(),
            split_rounds: 8,
            fault_phase_ms: tick_ms * 8 * splits.len() as u64,
            clients: ClientSettings {
                clients: 2,
                pause_us_max: 800_000,
                operation_bytes_max: 8,
                to_all: 300,
                ..calm.clients
            },
            ..calm
        }
        .byzantine(&byzantine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_seven_instances_comes_about_with_the_twin_in_every_place() {
        let plans: Vec<Plan> = (0..400).map(Plan::twins).collect();
        for first in 0..3 {
            let six = |plan: &&Plan| {
                plan.thresholds.replicas() == 6 && plan.byzantine[0].0 == ReplicaId(first)
            };
            let mut splits: Vec<u64> =
                plans.iter().filter(six).flat_map(|plan| plan.splits.clone()).collect();
            // A split and its opposite are one.
            splits.iter_mut().for_each(|split| *split = (*split).min(*split ^ 0b111_1111));
            splits.sort_unstable();
            splits.dedup();
            assert_eq!(splits.len(), 64);
        }
        assert!(plans.iter().any(|plan| plan.byzantine.len() == 2));
    }
}
