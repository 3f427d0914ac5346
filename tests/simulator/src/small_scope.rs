//! Plans in which next to nothing goes wrong: a few fields of a few messages change by small steps, and
//! a few links are cut for a round. Most faults of protocols show in such runs, and they are cheap.

use daruma_adversary::Behaviour;
use daruma_engine::LocalLimits;
use daruma_types::ReplicaId;
use rand::Rng;

use crate::plan::{ClientSettings, Plan};
use crate::random::{Purpose, stream};
use crate::{FaultKind, FaultKinds, LinkSettings};

impl Plan {
    /// Up to three small steps in messages of one replica, signed again by it, up to three in messages
    /// of others on their way, and up to three links cut for a round, while views change often.
    #[must_use]
    pub fn mutations(seed: u64) -> Self {
        let mut random = stream(seed, Purpose::Plan);
        let random = &mut random;
        let replicas = if random.random_ratio(1, 4) { 6 } else { 4 };
        let calm = Self::calm(seed, replicas);
        let byzantine: Vec<_> = random
            .random_bool(0.8)
            .then(|| (ReplicaId(random.random_range(0..replicas as u16)), Behaviour::Mutate))
            .into_iter()
            .collect();
        let mut faults = FaultKinds::NONE;
        for kind in [FaultKind::Mutations, FaultKind::BriefCuts, FaultKind::Crashes] {
            if random.random() {
                faults = faults.with(kind);
            }
        }
        Self {
            tick_ms: 100,
            local: LocalLimits {
                // So impatient that views change all the time: it is there that small steps matter.
                beat_rounds: random.random_range(1..=3),
                progress_tokens: random.random_range(1..=4),
                ..calm.local
            },
            links: LinkSettings { delay_us_max: 60_000, ordered: random.random(), ..calm.links },
            faults,
            fault_every_ms: 1_000,
            faults_each_max: 3,
            fault_phase_ms: 4_000,
            clients: ClientSettings {
                clients: 2,
                pause_us_max: 400_000,
                operation_bytes_max: 8,
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
    fn a_seed_gives_one_plan_within_its_budget() {
        for seed in 0..200 {
            let plan = Plan::mutations(seed);
            assert_eq!(plan, Plan::mutations(seed));
            assert!(plan.byzantine.len() <= 1 && plan.faults.len() <= 3, "{plan}");
        }
    }
}
