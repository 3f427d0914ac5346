//! Plans in which everything goes wrong that may: long, with many faults of many kinds.

use daruma_adversary::{Behaviour, Window};
use daruma_engine::LocalLimits;
use daruma_types::ReplicaId;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::plan::{ClientSettings, Plan};
use crate::random::{Purpose, stream};
use crate::{FaultKind, FaultKinds, LinkSettings};

/// Ten minutes.
const PHASE_MS: u64 = 600_000;

/// Faults of a run, at least.
const FAULTS_MIN: usize = 20;

/// Kinds of faults of a run, at least and at most.
const KINDS: std::ops::RangeInclusive<usize> = 7..=14;

impl Plan {
    /// Ten simulated minutes with at least 20 faults of at least 6 kinds, within what the protocol
    /// claims to survive: at most `f` Byzantine replicas, which change what they do, and `n-f` correct
    /// ones that are connected in the end. A tick takes 100 ms and clients ask seldom, so that such a run
    /// is cheap.
    #[must_use]
    pub fn chaos(seed: u64) -> Self {
        let mut random = stream(seed, Purpose::Plan);
        let random = &mut random;
        let replicas = pick(random, &[4, 4, 6, 6, 7, 7, 11, 12]);
        let calm = Self::calm(seed, replicas);
        let mut kinds = FaultKind::FIRST.to_vec();
        kinds.shuffle(random);
        let count = random.random_range(KINDS);
        let faults: FaultKinds = kinds.into_iter().take(count).collect();
        let plan = Self {
            tick_ms: 100,
            local: LocalLimits {
                pending_max: 1024,
                progress_tokens: pick(random, &[10, 20, 40]),
                beat_rounds: pick(random, &[5, 10, 16]),
                ..calm.local
            },
            links: LinkSettings {
                delay_us_min: pick(random, &[100, 1_000, 10_000]),
                delay_us_max: pick(random, &[2_000, 20_000, 100_000]),
                jitter_us: pick(random, &[500, 10_000, 50_000]),
                loss: pick(random, &[0, 0, 10, 50]),
                duplication: pick(random, &[0, 0, 20]),
                ordered: random.random(),
                per_tick: pick(random, &[128, 512]),
                ..LinkSettings::QUIET
            },
            faults,
            fault_every_ms: random.random_range(60_000..=180_000),
            faults_min: FAULTS_MIN,
            faults_each_max: 8,
            fault_phase_ms: PHASE_MS,
            // Beyond f replicas in turn, each with the longest patience there is: 8 times 40 ticks.
            quiet_ms_max: 300_000,
            clients: ClientSettings {
                clients: 3,
                pause_us_max: 3_000_000,
                in_flight: 4,
                operation_bytes_max: 64,
                retry_us: 5_000_000,
                to_all: pick(random, &[0, 200]),
                two_faced: pick(random, &[0, 0, 100]),
            },
            ..calm
        };
        let windows = windows(&plan, random);
        plan.windows(&windows).perhaps_later_kinds(random)
    }
}

fn pick<T: Copy>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    #[expect(clippy::unwrap_used, reason = "no list of choices here is empty")]
    choices.choose(random).copied().unwrap()
}

/// Up to `f` replicas, somewhere or next to each other in turn, each with several behaviours.
fn windows(plan: &Plan, random: &mut ChaCha8Rng) -> Vec<Window> {
    let faulty_max = plan.thresholds.faulty_max();
    let mut ids: Vec<ReplicaId> = (0..plan.thresholds.replicas() as u16).map(ReplicaId).collect();
    if random.random() {
        ids.rotate_left(random.random_range(0..plan.thresholds.replicas()));
    } else {
        ids.shuffle(random);
    }
    ids.truncate(random.random_range(0..=faulty_max));
    let mut windows = Vec::new();
    for replica in ids {
        let mut from_ms = random.random_range(0..PHASE_MS / 4);
        while from_ms < PHASE_MS {
            let until_ms = from_ms + random.random_range(PHASE_MS / 40..PHASE_MS / 4);
            let behaviour = pick(random, &Behaviour::ALL);
            windows.push(Window { replica, behaviour, from_ms, until_ms });
            from_ms = until_ms + random.random_range(0..PHASE_MS / 20);
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_every_plan_keeps_to_its_budget() {
        for seed in 0..200 {
            let plan = Plan::chaos(seed);
            assert_eq!(plan, Plan::chaos(seed));
            assert!(plan.byzantine_ids().len() <= plan.thresholds.faulty_max(), "{plan}");
            assert!(plan.faults.len() >= 7, "{plan}");
            assert_eq!(plan, plan.clone().windows(&plan.windows), "{plan}");
        }
    }
}
