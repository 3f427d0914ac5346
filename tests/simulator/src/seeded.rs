//! Plans drawn from a seed, in the manner of swarm testing: each run switches a random subset of the
//! faults on, since some faults hide what others would show.

use daruma_adversary::Behaviour;
use daruma_engine::{ChainLimits, LocalLimits};
use daruma_types::{ReplicaId, Thresholds};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::plan::{ClientSettings, Plan};
use crate::random::{Purpose, stream};
use crate::{FaultKind, FaultKinds, LinkSettings, Scheme};

impl Plan {
    /// The plan of this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut random = stream(seed, Purpose::Plan);
        let random = &mut random;
        let calm = Self::calm(seed, pick(random, &[4, 4, 4, 6, 7]));
        let faults = fault_kinds(random);
        let byzantine = byzantine(calm.thresholds, random);
        let plan = Self {
            chain: ChainLimits {
                block_transactions_max: pick(random, &[1, 2, 4, 16, 64]),
                window: pick(random, &[1, 2, 4, 8, 16]),
                ..calm.chain
            },
            local: LocalLimits {
                pending_max: pick(random, &[64, 1024, 16_384]),
                summary_ticks: pick(random, &[2, 4, 8]),
                // Impatient replicas change views often, and it is views that are hard.
                beat_rounds: pick(random, &[3, 16, 16]),
                progress_tokens: pick(random, &[8, 40, 40]),
                censorship_blocks: pick(random, &[4, 32]),
                eager_proposals: pick(random, &[1, 2, 8]),
                ..calm.local
            },
            scheme: if random.random_ratio(1, 50) { Scheme::Ed25519 } else { Scheme::Fast },
            links: links(random),
            faults,
            fault_every_ms: random.random_range(300..4_000),
            fault_phase_ms: random.random_range(2_000..15_000),
            clients: clients(random),
            byzantine,
            sync_us: pick(random, &[50, 500, 3_000]),
            execute_us: pick(random, &[50, 300, 5_000]),
            ..calm
        };
        plan.perhaps_later_kinds(random)
    }

    /// The same with faults of the later kinds as well, in some plans.
    pub(crate) fn perhaps_later_kinds(self, random: &mut ChaCha8Rng) -> Self {
        let later = FaultKind::LATER.iter().filter(|kind| random.random_bool(chance(**kind)));
        let faults = later.fold(self.faults, |faults, kind| faults.with(*kind));
        Self { faults, ..self }
    }
}

impl Plan {
    /// `count` Byzantine replicas, at most `f`, whom the seed chooses. They take turns with
    /// `behaviours`; with none the seed chooses those, too.
    #[must_use]
    pub fn faulty(self, count: usize, behaviours: &[Behaviour]) -> Self {
        let mut random = stream(self.seed, Purpose::Faulty);
        let mut ids: Vec<u16> = (0..self.thresholds.replicas() as u16).collect();
        ids.shuffle(&mut random);
        let chosen: Vec<_> = ids
            .into_iter()
            .take(count.min(self.thresholds.faulty_max()))
            .enumerate()
            .map(|(turn, id)| {
                let behaviour = match behaviours.len() {
                    0 => pick(&mut random, &Behaviour::ALL),
                    several => behaviours[turn % several],
                };
                (ReplicaId(id), behaviour)
            })
            .collect();
        self.byzantine(&chosen)
    }
}

pub(crate) fn pick<T: Copy>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    #[expect(clippy::unwrap_used, reason = "no list of choices here is empty")]
    choices.choose(random).copied().unwrap()
}

fn fault_kinds(random: &mut ChaCha8Rng) -> FaultKinds {
    FaultKind::FIRST.iter().copied().filter(|kind| random.random_bool(chance(*kind))).collect()
}

/// How often a plan has faults of this kind: some of the common ones, and mostly one or two of the others.
const fn chance(kind: FaultKind) -> f64 {
    match kind {
        FaultKind::Crashes => 0.4,
        FaultKind::Partitions => 0.3,
        FaultKind::OneWayCuts | FaultKind::PowerLoss | FaultKind::SlowDisks => 0.2,
        FaultKind::LateStarts => 0.15,
        FaultKind::PartialPartitions
        | FaultKind::RestlessPartitions
        | FaultKind::PermanentCuts
        | FaultKind::BriefCuts
        | FaultKind::Bursts
        | FaultKind::Losses
        | FaultKind::LateDuplicates
        | FaultKind::Reordering
        | FaultKind::Corruption
        | FaultKind::Mutations
        | FaultKind::Swizzles
        | FaultKind::Churn
        | FaultKind::Holding
        | FaultKind::SlowReplicas
        | FaultKind::CrashLoops
        | FaultKind::RollingRestarts
        | FaultKind::Pauses
        | FaultKind::ClockJumps
        | FaultKind::ClockDrift
        | FaultKind::Memory
        | FaultKind::Timers => 0.1,
    }
}

pub(crate) fn byzantine(
    thresholds: Thresholds,
    random: &mut ChaCha8Rng,
) -> Vec<(ReplicaId, Behaviour)> {
    if random.random_bool(0.25) {
        return Vec::new();
    }
    let mut ids: Vec<u16> = (0..thresholds.replicas() as u16).collect();
    let mut chosen = Vec::new();
    for _ in 0..random.random_range(1..=thresholds.faulty_max().max(1)) {
        if chosen.len() < thresholds.faulty_max() {
            let id = ids.swap_remove(random.random_range(0..ids.len()));
            chosen.push((ReplicaId(id), pick(random, &Behaviour::ALL)));
        }
    }
    chosen.sort_unstable_by_key(|(id, _)| *id);
    chosen
}

fn links(random: &mut ChaCha8Rng) -> LinkSettings {
    let some = |random: &mut ChaCha8Rng, chance: f64, most: u32| {
        if random.random_bool(chance) { random.random_range(1..=most) } else { 0 }
    };
    LinkSettings {
        delay_us_min: pick(random, &[50, 500, 5_000]),
        delay_us_max: pick(random, &[500, 5_000, 30_000]),
        jitter_us: pick(random, &[100, 2_000, 20_000, 100_000]),
        loss: some(random, 0.5, 200),
        duplication: some(random, 0.4, 200),
        corruption: some(random, 0.3, 50),
        ordered: random.random_bool(0.5),
        per_tick: pick(random, &[256, 2_048, 2_048]),
    }
}

fn clients(random: &mut ChaCha8Rng) -> ClientSettings {
    ClientSettings {
        clients: random.random_range(1..=6),
        pause_us_max: pick(random, &[5_000, 50_000, 500_000]),
        in_flight: pick(random, &[1, 1, 4, 16]),
        operation_bytes_max: pick(random, &[8, 64, 1024]),
        retry_us: pick(random, &[300_000, 1_000_000, 3_000_000]),
        to_all: pick(random, &[0, 100, 1000]),
        two_faced: pick(random, &[0, 0, 0, 200]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_every_plan_keeps_to_its_budget() {
        for seed in 0..500 {
            let plan = Plan::seeded(seed);
            assert_eq!(plan, Plan::seeded(seed));
            assert!(plan.byzantine.len() <= plan.thresholds.faulty_max());
            assert_eq!(plan, plan.clone().byzantine(&plan.byzantine));
        }
    }

    #[test]
    fn five_hundred_seeds_meet_every_behaviour_size_and_kind_of_fault() {
        let plans: Vec<Plan> = (0..500).map(Plan::seeded).collect();
        for kind in FaultKind::ALL {
            assert!(plans.iter().any(|plan| plan.faults.has(kind)), "{}", kind.name());
        }
        for behaviour in Behaviour::ALL {
            assert!(plans.iter().any(|p| p.byzantine.iter().any(|(_, b)| *b == behaviour)));
        }
        for n in [4, 6, 7] {
            assert!(plans.iter().any(|plan| plan.thresholds.replicas() == n));
        }
    }
}
